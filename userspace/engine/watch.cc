// SPDX-License-Identifier: GPL-2.0-only
#include "engine/watch.hh"

#include <poll.h>

#include <vector>

#include "lib/codec.hh"

namespace qtfs {

namespace {

// Some files tell of these only to the first who asks.
constexpr uint32_t told_once = QTFS_POLL_PRI | QTFS_POLL_ERR;
// The ring tells of these whatever it is asked for: while they last, of nothing else.
constexpr uint32_t told_always = QTFS_POLL_ERR | QTFS_POLL_HUP | QTFS_POLL_RDHUP;

constexpr struct {
  uint32_t wire;
  short native;
} bits[] = {
    {QTFS_POLL_IN, POLLIN},   {QTFS_POLL_OUT, POLLOUT}, {QTFS_POLL_PRI, POLLPRI},
    {QTFS_POLL_ERR, POLLERR}, {QTFS_POLL_HUP, POLLHUP}, {QTFS_POLL_RDHUP, POLLRDHUP},
};

uint32_t to_wire(int events) {
  uint32_t mask = 0;
  for (const auto& bit : bits)
    if (events & bit.native)
      mask |= bit.wire;
  return mask;
}

short from_wire(uint32_t mask) {
  short events = 0;
  for (const auto& bit : bits)
    if (mask & bit.wire)
      events = static_cast<short>(events | bit.native);
  return events;
}

}  // namespace

// In this order: what happens after the number was taken is told with a greater one, and what
// happens before is seen.
std::optional<qtfs_wire_level> look(Open& open) {
  const std::shared_ptr<Watcher> watcher = open.watcher();
  if (!watcher)
    return std::nullopt;
  uint32_t mask = watcher->looking();
  qtfs_wire_level level{};
  level.generation = htole64(++open.poll_generation);
  pollfd ready{open.fd.get(), from_wire(QTFS_POLL_ALL), 0};
  if (poll(&ready, 1, 0) > 0)
    mask |= to_wire(ready.revents);
  level.mask = htole32(mask);
  watcher->looked(mask);
  return level;
}

// --- the table

Result<qtfs_wire_level> WatchTable::request(const Ref<Open>& open, uint32_t mask) {
  std::shared_ptr<Watcher> watcher = open->watcher();
  if (!watcher && mask) {
    // Another of the session's connections may have been faster: then that one is told.
    auto made = std::make_shared<Watch>(*this, next_, open);
    watcher = open->watch(made);
    if (!watcher)
      return Status::error(EBADF);
    if (watcher == made)
      watches_.emplace(next_++, std::move(made));
  }
  if (!watcher)
    return qtfs_wire_level{};
  watcher->want(mask);
  const auto level = look(*open);
  if (mask == 0)
    open->end_watch();
  return level.value_or(qtfs_wire_level{});
}

void WatchTable::close() {
  std::vector<std::shared_ptr<Watch>> all;
  for (const auto& [id, watch] : watches_)
    all.push_back(watch);
  for (const auto& watch : all) {
    Ref<Open> open;
    {
      std::lock_guard guard(watch->mutex_);
      open = watch->open_;
    }
    if (open)
      open->end_watch();
  }
}

void WatchTable::gone(uint64_t id) {
  watches_.erase(id);
  if (watches_.empty())
    host_.watches_gone();
}

// --- one of them

Watch::Watch(WatchTable& table, uint64_t id, Ref<Open> open)
    : table_(table), post_(table.post_), worker_(table.worker_), id_(id), open_(std::move(open)) {
  op_ = {[](void* self, const Completion& c) { static_cast<Watch*>(self)->on_event(c); }, this};
}

void Watch::want(uint32_t mask) {
  std::lock_guard guard(mutex_);
  wanted_ = mask;
}

uint32_t Watch::looking() {
  std::lock_guard guard(mutex_);
  told_ = 0;
  return std::exchange(held_, 0);
}

void Watch::looked(uint32_t level) {
  {
    std::lock_guard guard(mutex_);
    level_ = level;
    known_ = level;  // what was known when the ring was asked may be gone since
    if (!std::exchange(deaf_, false))
      return;
    again_ = true;
  }
  post_(worker_, shared_from_this());
}

void Watch::released() {
  {
    std::lock_guard guard(mutex_);
    over_ = true;
  }
  post_(worker_, shared_from_this());
}

void Watch::attend() {
  std::unique_lock lock(mutex_);
  if (ending_)
    return;
  if (over_) {
    ending_ = true;
    const bool listening = listening_;
    if (listening)
      table_.host_.watch_ring().cancel(op_);
    // The ring has the file, too, and would be the one that closes it.
    if (listening && open_->device())
      return;
    const Ref<Open> open = std::exchange(open_, Ref<Open>());  // closed without the lock
    lock.unlock();
    if (!listening)
      table_.gone(id_);
  } else if (again_ && listening_) {
    table_.host_.watch_ring().cancel(op_);
  } else if (again_) {
    listen(level_);
  }
}

void Watch::listen(uint32_t level) {
  again_ = false;
  rest_ = false;
  known_ = level;
  first_ = true;
  listening_ = true;
  table_.host_.watch_ring().poll_fd(open_->fd.get(), from_wire(QTFS_POLL_ALL), false, op_);
}

// Where the ring tells only once: of what it has not told.
void Watch::listen_rest(uint32_t told) {
  rest_ = false;
  deaf_ = true;  // until the client looks; then for everything
  // What is told once would be told to the ring then, which would not pass it on.
  if (told == QTFS_POLL_ALL || (told & (told_once | told_always)))
    return;
  listening_ = true;
  table_.host_.watch_ring().poll_fd(open_->fd.get(), from_wire(QTFS_POLL_ALL & ~told), true, op_);
}

// What of @mask the client has to be told now. After a wake that it need not know of, only what it
// was not told is listened for.
uint32_t Watch::news(uint32_t mask, bool more) {
  const bool first = std::exchange(first_, false);
  if (first && !(mask & ~known_)) {
    if (!more)
      listen_rest(mask);
    return 0;
  }
  const uint32_t fresh = mask & wanted_ & ~told_;
  told_ |= mask;
  held_ |= mask & told_once & ~fresh;
  if (fresh && !more)
    listen_rest(told_ | known_);
  if (!fresh && more && !(told_ & told_always)) {
    rest_ = true;  // when that has ended
    deaf_ = true;
    table_.host_.watch_ring().cancel(op_);
  } else if (!fresh && !more) {
    listen_rest(told_);
  }
  return fresh;
}

void Watch::on_event(const Completion& completion) {
  const std::shared_ptr<Watch> self = shared_from_this();
  uint32_t fresh = 0;
  uint64_t open = 0;
  qtfs_wire_level level{};
  {
    std::lock_guard guard(mutex_);
    if (!completion.more)
      listening_ = false;
    if (!ending_ && completion.result > 0)
      fresh = news(to_wire(completion.result), completion.more);
    else if (!completion.more)
      deaf_ = !again_;
    if (!ending_ && !listening_ && again_)
      listen(level_);
    else if (!ending_ && !listening_ && rest_)
      listen_rest(told_);
    if (fresh) {
      open = open_->id;
      level.generation = htole64(++open_->poll_generation);
      level.mask = htole32(fresh);
    }
  }
  if (ending_ && !completion.more) {
    std::unique_lock lock(mutex_);
    const Ref<Open> last = std::exchange(open_, Ref<Open>());
    lock.unlock();
    table_.gone(id_);
  } else if (fresh) {
    table_.host_.push_ready(open, level);
  }
}

}  // namespace qtfs
