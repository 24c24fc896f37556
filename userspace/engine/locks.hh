// SPDX-License-Identifier: GPL-2.0-only
// Record locks (fcntl) of clients' processes, held on the server.
//
// The engine holds them as open file description locks (fcntl(2), F_OFD_SETLK): one description for
// each owner and file, so that owners exclude each other and every process of the server. What they
// hold is noted here too: whoever waits in a circle is told so, as the kernel tells nobody who has
// such locks.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "engine/lock_ranges.hh"
#include "engine/open.hh"
#include "lib/ref.hh"
#include "lib/result.hh"

namespace qtfs {

class LockTable;

// A process, or what shares its descriptors: the client's choice of number, in one session.
struct LockOwner {
  const void* session = nullptr;
  uint64_t id = 0;
  bool operator==(const LockOwner&) const = default;
  bool operator<(const LockOwner& other) const {
    return std::tie(session, id) < std::tie(other.session, other.id);
  }
};

struct FileKey {
  uint64_t dev = 0;
  uint64_t ino = 0;
  bool operator<(const FileKey& other) const {
    return std::tie(dev, ino) < std::tie(other.dev, other.ino);
  }
};

enum class LockKind : uint8_t { posix, ofd, flock };

struct LockRequest {
  LockKind kind = LockKind::posix;
  FileKey file;
  LockOwner owner;
  LockRange range;
  Ref<Open> open;
  LockQuota* quota = nullptr;
};

// One owner's description of a file. Protected by the table's lock.
struct HeldFile : public RefCounted {
  LockOwner owner;
  FileKey file;
  UniqueFd fd;  // not changed while there are users
  bool writable = false;
  RangeSet ranges;
  unsigned users = 0;  // requests under way
};

// A request that waits, until it is over.
class LockWait {
 public:
  ~LockWait();
  LockWait(const LockWait&) = delete;
  LockWait& operator=(const LockWait&) = delete;

  // Another waits for the same: what lets that one go on may let this one. It needs no thread.
  bool behind() const { return behind_.load(std::memory_order_relaxed); }
  // It has the lock; wait() returns at once. Without that it is given back.
  bool granted() const { return granted_.load(std::memory_order_relaxed); }

 private:
  friend class LockTable;
  LockWait(LockTable& table, const LockRequest& request, Ref<HeldFile> held);
  int fd() const { return held_ ? held_->fd.get() : request_.open->fd.get(); }

  LockTable& table_;
  const LockRequest request_;
  const Ref<HeldFile> held_;
  // Written under the table's lock:
  std::atomic<bool> behind_{false};
  std::atomic<bool> granted_{false};
  bool threaded_ = false;  // a thread waits in the kernel
  bool over_ = false;
  bool taken_ = false;  // by wait()
};

class LockTable {
 public:
  // Opens the request's file once more, whatever the caller's permissions.
  using Reopen = std::function<Result<UniqueFd>(bool write)>;

  // Told, without any lock of the table, when a LockWait is not behind() any more, or granted().
  std::function<void()> on_released = [] {};

  // At once, or EAGAIN. With @wait: that is left there, or EDEADLK.
  Status lock(const LockRequest& request, const Reopen& reopen, std::unique_ptr<LockWait>* wait);
  // Blocks; EINTR when the thread is interrupted.
  Status wait(LockWait& wait);
  Status unlock(const LockRequest& request);
  bool has_locks(const Open& open);
  // A descriptor of @file is closed that had locks.
  void closed(const FileKey& file);
  // Looks after waits that have no thread: processes of the server give back unseen.
  void try_all();
  // A lock that is in the way; of type NONE if there is none. @pid: the server's process that holds
  // it, or 0.
  Result<LockRange> test(const LockRequest& request, const Reopen& reopen, pid_t& pid);
  // It holds and waits for nothing any more.
  void end_session(const void* session);
  // Files that somebody holds or waits for.
  size_t size();

 private:
  friend class LockWait;
  struct File {
    std::map<LockOwner, Ref<HeldFile>> owners;
    std::list<LockWait*> waits;  // in order of arrival
  };

  Result<Ref<HeldFile>> held_file(const LockRequest& request, const Reopen& reopen,
                                  std::unique_lock<std::mutex>& lock);
  Ref<HeldFile> find(const LockRequest& request);
  Status lock_now(const LockRequest& request, HeldFile* held);
  bool would_deadlock(const LockRequest& request);
  bool needs_no_thread(const File& file, const LockWait& wait);
  void put(HeldFile& held);
  void add_wait(LockWait& wait);
  void end_wait(LockWait& wait);
  bool release_some(const FileKey& key);
  bool grant_some(const FileKey& key);
  void give_back(const LockRequest& request, HeldFile* held);
  void drop_if_unused(const FileKey& key);

  std::mutex mutex_;  // protects everything below, and each HeldFile and Open::locks
  std::map<FileKey, File> files_;
  std::multimap<LockOwner, LockWait*> waiting_;  // for record locks of processes
};

}  // namespace qtfs
