// SPDX-License-Identifier: GPL-2.0-only
#include "engine/open.hh"

namespace qtfs {

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
  std::lock_guard guard(shard.mutex);
  const auto found = shard.by_id.find(id);
  if (found == shard.by_id.end())
    return {};
  Ref<Open> open = std::move(found->second);
  shard.by_id.erase(found);
  count_.fetch_sub(1, std::memory_order_relaxed);
  return open;
}

}  // namespace qtfs
