// SPDX-License-Identifier: GPL-2.0-only
#include "engine/open.hh"

#include <vector>

namespace qtfs {

std::shared_ptr<Watcher> Open::watcher() {
  if (!pollable)
    return nullptr;
  std::lock_guard guard(watch_mutex_);
  return watcher_;
}

std::shared_ptr<Watcher> Open::watch(const std::shared_ptr<Watcher>& made) {
  std::lock_guard guard(watch_mutex_);
  if (!watcher_ && !released_)
    watcher_ = made;
  return watcher_;
}

void Open::end_watch(bool for_good) {
  std::shared_ptr<Watcher> ended;
  {
    std::lock_guard guard(watch_mutex_);
    released_ |= for_good;
    ended = std::move(watcher_);
  }
  if (ended)
    ended->released();
}

Open::~Open() {
  UniqueFd own(own_.load());
  if (!device() && !passed)
    return;
  std::vector<UniqueFd> slow;
  for (UniqueFd* one : {&fd, &own})
    if (*one)
      slow.push_back(std::move(*one));
  close_elsewhere(std::move(slow));
}

bool Open::set_io(UniqueFd own) {
  int none = -1;
  if (!own_.compare_exchange_strong(none, own.get(), std::memory_order_acq_rel))
    return false;
  own.release();
  return true;
}

OpenTable::~OpenTable() {
  std::vector<UniqueFd> slow;
  for (Shard& shard : shards_)
    for (auto& [id, open] : shard.by_id)
      if (open->device() && open->sole())
        slow.push_back(std::move(open->fd));
  if (!slow.empty())
    close_elsewhere(std::move(slow));
}

Status OpenTable::add(const Ref<Open>& open) {
  if (count_.fetch_add(1, std::memory_order_relaxed) >= max_) {
    count_.fetch_sub(1, std::memory_order_relaxed);
    return Status::error(ENFILE);
  }
  open->id = life_ << 48 | next_.fetch_add(1, std::memory_order_relaxed);
  Shard& shard = shard_of(open->id);
  std::lock_guard guard(shard.mutex);
  shard.by_id.emplace(open->id, open);
  return {};
}

Ref<Open> OpenTable::find(uint64_t id) {
  Shard& shard = shard_of(id);
  std::lock_guard guard(shard.mutex);
  const auto found = shard.by_id.find(id);
  return found == shard.by_id.end() ? Ref<Open>() : found->second;
}

Ref<Open> OpenTable::remove(uint64_t id) {
  Shard& shard = shard_of(id);
  Ref<Open> open;
  {
    std::lock_guard guard(shard.mutex);
    const auto found = shard.by_id.find(id);
    if (found == shard.by_id.end())
      return {};
    open = std::move(found->second);
    shard.by_id.erase(found);
    count_.fetch_sub(1, std::memory_order_relaxed);
  }
  if (open->pollable)
    open->end_watch(true);
  return open;
}

}  // namespace qtfs
