// SPDX-License-Identifier: GPL-2.0-only
#include "engine/locks.hh"

#include <fcntl.h>
#include <qtfs/wire.h>
#include <sys/file.h>

#include <algorithm>
#include <set>

namespace qtfs {

namespace {

struct flock native_lock(const LockRange& range) {
  struct flock lock {};
  lock.l_type = range.type == QTFS_LOCK_NONE   ? F_UNLCK
                : range.type == QTFS_LOCK_READ ? F_RDLCK
                                               : F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(range.start);
  const bool to_end = range.end >= INT64_MAX;
  lock.l_len = to_end ? 0 : static_cast<off_t>(range.end - range.start + 1);
  return lock;
}

LockRange range_of(const struct flock& lock) {
  const auto start = static_cast<uint64_t>(lock.l_start);
  return {start, lock.l_len ? start + static_cast<uint64_t>(lock.l_len) - 1 : UINT64_MAX,
          lock.l_type == F_RDLCK ? QTFS_LOCK_READ : QTFS_LOCK_WRITE};
}

Status system_lock(int fd, LockKind kind, const LockRange& range, bool block) {
  int result = 0;
  if (kind == LockKind::flock) {
    const int how = range.type == QTFS_LOCK_NONE   ? LOCK_UN
                    : range.type == QTFS_LOCK_READ ? LOCK_SH
                                                   : LOCK_EX;
    result = flock(fd, how | (block ? 0 : LOCK_NB));
  } else {
    struct flock lock = native_lock(range);
    result = fcntl(fd, block ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
  }
  if (result == 0)
    return {};
  return errno == EACCES ? Status::error(EAGAIN) : Status::last();
}

constexpr size_t deadlock_steps_max = 100000;

}  // namespace

LockWait::LockWait(LockTable& table, const LockRequest& request, Ref<HeldFile> held)
    : table_(table), request_(request), held_(std::move(held)) {}

LockWait::~LockWait() {
  bool released = false;
  {
    std::lock_guard guard(table_.mutex_);
    if (granted_ && !taken_)
      table_.give_back(request_, held_.get());
    table_.end_wait(*this);
    released = table_.release_some(request_.file);
    table_.drop_if_unused(request_.file);
  }
  if (released)
    table_.on_released();
}

Ref<HeldFile> LockTable::find(const LockRequest& request) {
  const auto file = files_.find(request.file);
  if (request.kind != LockKind::posix || file == files_.end())
    return {};
  const auto held = file->second.owners.find(request.owner);
  return held == file->second.owners.end() ? Ref<HeldFile>() : held->second;
}

// The owner's description, opened if need be; writing is possible where @request needs it. A user.
Result<Ref<HeldFile>> LockTable::held_file(const LockRequest& request, const Reopen& reopen,
                                           std::unique_lock<std::mutex>& lock) {
  const bool write = request.range.type == QTFS_LOCK_WRITE || request.open->writable();
  UniqueFd fd;
  while (true) {
    Ref<HeldFile> held = find(request);
    if (held && (held->writable || request.range.type == QTFS_LOCK_READ)) {
      held->users++;
      return held;
    }
    // Somebody waits with the descriptor that would have to go.
    if (held && held->users)
      return Status::error(ENOLCK);
    if (fd && !held) {
      held = make_ref<HeldFile>();
      held->owner = request.owner;
      held->file = request.file;
      files_[request.file].owners.emplace(request.owner, held);
    }
    if (fd) {
      // Only read locks can be held with the one before: both have them for a moment.
      for (const LockRange& range : held->ranges.ranges())
        if (Status status = system_lock(fd.get(), LockKind::posix, range, false); !status)
          return Status::error(ENOLCK);
      held->fd = std::move(fd);
      held->writable = write;
      held->users++;
      return held;
    }
    lock.unlock();
    auto opened = reopen(write);
    lock.lock();
    if (!opened)
      return opened.status();
    fd = std::move(*opened);
  }
}

// Both here and in the kernel, which nobody comes between.
Status LockTable::lock_now(const LockRequest& request, HeldFile* held) {
  const int fd = held ? held->fd.get() : request.open->fd.get();
  if (Status status = system_lock(fd, request.kind, request.range, false); !status)
    return status;
  if (request.kind == LockKind::flock)
    request.open->flocked = request.range.type != QTFS_LOCK_NONE;
  else
    (held ? held->ranges : request.open->locks).set(request.range, *request.quota);
  return {};
}

Status LockTable::lock(const LockRequest& request, const Reopen& reopen,
                       std::unique_ptr<LockWait>* wait) {
  // A range in the middle of another makes three of one.
  if (request.kind != LockKind::flock && request.quota->used + 2 > request.quota->max)
    return Status::error(ENOLCK);
  std::unique_lock lock(mutex_);
  Ref<HeldFile> held;
  if (request.kind == LockKind::posix) {
    auto found = held_file(request, reopen, lock);
    if (!found)
      return found.status();
    held = std::move(*found);
  }
  Status status = lock_now(request, held.get());
  if (status.err() == EAGAIN && wait) {
    if (would_deadlock(request)) {
      status = Status::error(EDEADLK);
    } else {
      wait->reset(new LockWait(*this, request, held));
      add_wait(**wait);
    }
  }
  // Where an owner holds something, others may wait for just that: not for what it waits for.
  bool released = status.ok() && release_some(request.file);
  // And it may be less than what was held before.
  released |= status.ok() && grant_some(request.file);
  if (held)
    put(*held);
  lock.unlock();
  if (released)
    on_released();
  return status;
}

// The kernel says when; then it is taken again under the table's lock, where unlocking by the same
// owner cannot come between it and the note of it.
Status LockTable::wait(LockWait& wait) {
  {
    std::lock_guard guard(mutex_);
    wait.taken_ = true;
    if (wait.granted_)
      return {};
    wait.threaded_ = true;
  }
  while (true) {
    if (Status status = system_lock(wait.fd(), wait.request_.kind, wait.request_.range, true);
        !status)
      return status;
    std::lock_guard guard(mutex_);
    const Status status = lock_now(wait.request_, wait.held_.get());
    if (status.err() == EAGAIN)
      continue;
    end_wait(wait);
    return status;
  }
}

Status LockTable::unlock(const LockRequest& request) {
  // Taking a part out of a range makes two of it.
  const bool part = request.range.start != 0 || request.range.end != UINT64_MAX;
  if (part && request.quota->used > 2 * request.quota->max)
    return Status::error(ENOLCK);
  std::unique_lock lock(mutex_);
  const Ref<HeldFile> held = find(request);
  if (request.kind == LockKind::posix && !held)
    return {};
  if (held)
    held->users++;
  const Status status = lock_now(request, held.get());
  if (held)
    put(*held);
  const bool granted = grant_some(request.file);
  lock.unlock();
  if (granted)
    on_released();
  return status;
}

// Of a wait that has it, and is given up.
void LockTable::give_back(const LockRequest& request, HeldFile* held) {
  LockRequest back = request;
  back.range.type = QTFS_LOCK_NONE;
  if (held)
    held->users++;
  static_cast<void>(lock_now(back, held));
  if (held)
    put(*held);
}

bool LockTable::has_locks(const Open& open) {
  std::lock_guard guard(mutex_);
  return open.flocked || !open.locks.empty();
}

void LockTable::closed(const FileKey& file) {
  bool granted = false;
  {
    std::lock_guard guard(mutex_);
    granted = grant_some(file);
  }
  if (granted)
    on_released();
}

void LockTable::try_all() {
  bool granted = false;
  {
    std::lock_guard guard(mutex_);
    for (auto file = files_.begin(); file != files_.end();) {
      const FileKey key = file->first;
      ++file;  // it may be gone afterwards
      granted |= grant_some(key);
    }
  }
  if (granted)
    on_released();
}

// Gives what is free to those who wait for it without a thread, in their order.
bool LockTable::grant_some(const FileKey& key) {
  const auto found = files_.find(key);
  if (found == files_.end())
    return false;
  std::vector<LockWait*> waits(found->second.waits.begin(), found->second.waits.end());
  bool any = false;
  for (LockWait* wait : waits) {
    if (wait->threaded_ || wait->behind_ || !lock_now(wait->request_, wait->held_.get()))
      continue;
    wait->granted_ = true;
    end_wait(*wait);
    any = true;
  }
  return (any && release_some(key)) || any;
}

Result<LockRange> LockTable::test(const LockRequest& request, const Reopen& reopen, pid_t& pid) {
  std::unique_lock lock(mutex_);
  const Ref<HeldFile> held = find(request);
  UniqueFd own;
  int fd = held ? held->fd.get() : request.open->fd.get();
  // What the open itself holds is in the way of processes.
  if (!held && request.kind == LockKind::posix && !request.open->locks.empty()) {
    lock.unlock();
    auto opened = reopen(false);
    if (!opened)
      return opened.status();
    own = std::move(*opened);
    fd = own.get();
    lock.lock();
  }
  struct flock native = native_lock(request.range);
  if (fcntl(fd, F_OFD_GETLK, &native) < 0)
    return Status::last();
  pid = std::max(native.l_pid, 0);
  if (native.l_type == F_UNLCK)
    return LockRange{request.range.start, request.range.end, QTFS_LOCK_NONE};
  return range_of(native);
}

// Follows who waits for whom, up to a bound; the kernel's rule for its own (fs/locks.c,
// posix_locks_deadlock).
bool LockTable::would_deadlock(const LockRequest& request) {
  if (request.kind != LockKind::posix)
    return false;
  size_t steps = 0;
  std::set<LockOwner> seen{request.owner};
  std::vector<const LockRequest*> todo{&request};
  while (!todo.empty()) {
    const LockRequest& next = *todo.back();
    todo.pop_back();
    const auto file = files_.find(next.file);
    if (file == files_.end())
      continue;
    for (const auto& [owner, held] : file->second.owners) {
      if (++steps > deadlock_steps_max)
        return false;
      if (owner == next.owner || !held->ranges.conflicts(next.range))
        continue;
      if (owner == request.owner)
        return true;
      if (!seen.insert(owner).second)
        continue;
      const auto [first, last] = waiting_.equal_range(owner);
      std::for_each(first, last,
                    [&](const auto& entry) { todo.push_back(&entry.second->request_); });
    }
  }
  return false;
}

// Whatever is in the way of an earlier one is in its way too.
bool LockTable::needs_no_thread(const File& file, const LockWait& wait) {
  const LockRequest& own = wait.request_;
  const bool holds = own.kind == LockKind::posix ? !wait.held_->ranges.empty()
                     : own.kind == LockKind::ofd ? !own.open->locks.empty()
                                                 : own.open->flocked;
  if (holds)
    return false;
  for (const LockWait* other : file.waits) {
    if (other == &wait)
      return false;
    const LockRequest& earlier = other->request_;
    if ((earlier.kind == LockKind::flock) == (own.kind == LockKind::flock) &&
        earlier.range.within(own.range) &&
        (own.range.type == QTFS_LOCK_WRITE || earlier.range.type == QTFS_LOCK_READ))
      return true;
  }
  return false;
}

void LockTable::add_wait(LockWait& wait) {
  File& file = files_[wait.request_.file];
  file.waits.push_back(&wait);
  if (wait.held_)
    wait.held_->users++;
  if (wait.request_.kind == LockKind::posix)
    waiting_.emplace(wait.request_.owner, &wait);
  wait.behind_ = needs_no_thread(file, wait);
}

void LockTable::end_wait(LockWait& wait) {
  if (std::exchange(wait.over_, true))
    return;
  files_[wait.request_.file].waits.remove(&wait);
  const auto [first, last] = waiting_.equal_range(wait.request_.owner);
  const auto found =
      std::find_if(first, last, [&](const auto& entry) { return entry.second == &wait; });
  if (found != last)
    waiting_.erase(found);
  if (wait.held_)
    put(*wait.held_);
}

bool LockTable::release_some(const FileKey& key) {
  const auto found = files_.find(key);
  if (found == files_.end())
    return false;
  bool any = false;
  for (LockWait* wait : found->second.waits) {
    if (!wait->behind_ || needs_no_thread(found->second, *wait))
      continue;
    wait->behind_ = false;
    any = true;
  }
  return any;
}

void LockTable::put(HeldFile& held) {
  held.users--;
  const auto file = files_.find(held.file);
  if (held.users == 0 && held.ranges.empty() && file != files_.end())
    file->second.owners.erase(held.owner);
  drop_if_unused(held.file);
}

void LockTable::drop_if_unused(const FileKey& key) {
  const auto file = files_.find(key);
  if (file != files_.end() && file->second.owners.empty() && file->second.waits.empty())
    files_.erase(file);
}

void LockTable::end_session(const void* session) {
  {
    std::lock_guard guard(mutex_);
    for (auto file = files_.begin(); file != files_.end();) {
      std::erase_if(file->second.owners,
                    [&](const auto& entry) { return entry.first.session == session; });
      const bool unused = file->second.owners.empty() && file->second.waits.empty();
      file = unused ? files_.erase(file) : std::next(file);
    }
  }
  try_all();
}

size_t LockTable::size() {
  std::lock_guard guard(mutex_);
  return files_.size();
}

}  // namespace qtfs
