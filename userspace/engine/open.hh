// SPDX-License-Identifier: GPL-2.0-only
// What a client has open.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "engine/lock_ranges.hh"
#include "engine/node.hh"
#include "engine/rights.hh"
#include "qtfs/wire.h"

namespace qtfs {

// Where a directory stands: names that were read from it and not yet sent.
struct DirState {
  std::vector<std::byte> names;  // linux_dirent64 records
  size_t next = 0;               // the first one that was not sent
  uint64_t cookie = 0;           // of the last one that was sent
  bool eof = false;
};

// Who tells the client when an open becomes ready (watch.hh); called from any thread.
class Watcher {
 public:
  virtual ~Watcher() = default;
  // QTFS_POLL_* to tell.
  virtual void want(uint32_t mask) = 0;
  // The client is about to look, by whatever it does with the open. What it was not told yet.
  virtual uint32_t looking() = 0;
  // It is told @level.
  virtual void looked(uint32_t level) = 0;
  virtual void released() = 0;
};

class Open : public RefCounted {
 public:
  Open() = default;
  // A device is closed by a thread of its own: that may take long.
  ~Open();

  uint64_t id = 0;
  UniqueFd fd;
  Ref<Node> node;
  Ref<const Cred> opener;
  uint32_t flags = 0;              // QTFS_OPEN_*
  uint32_t type = 0;               // enum qtfs_type
  uint32_t socket = 0;             // QTFS_SOCKET_*, of a connection
  std::unique_ptr<Rights> rights;  // likewise
  bool synthetic = false;
  bool seekable = true;
  bool pollable = false;  // reading and writing may wait for somebody
  bool passed = false;    // programs have it, too, or its other end: slow perhaps, and anybody's
  bool memory = false;    // reading never waits for a device
  bool content = false;   // what a rule has in the file's place: nothing of the file itself
  bool kernel_append = false;  // the descriptor itself appends: the inode takes nothing else
  std::atomic<uint64_t> stream_offset{0};  // bytes read from a stream; where the descriptor stands
  std::atomic<bool> no_nowait{false};      // the filesystem does not know RWF_NOWAIT
  std::atomic<bool> no_splice{false};      // nor splice(2)

  // What data is read and written by: as fd, which locks are had by; or, where programs have that,
  // too, and may change how it is read and written, a descriptor that only we have.
  int io() const {
    const int own = own_.load(std::memory_order_acquire);
    return own >= 0 ? own : fd.get();
  }
  bool has_io() const { return own_.load(std::memory_order_acquire) >= 0; }
  // False, and without effect, where it has been set before.
  bool set_io(UniqueFd own);

  std::mutex mutex;  // protects dir, and the descriptor's position
  DirState dir;

  // Protected by the lock of LockTable: what the descriptor holds by fcntl(2), and whether it may
  // hold something by flock(2).
  RangeSet locks;
  bool flocked = false;

  // Numbers what is said of its being ready.
  std::atomic<uint64_t> poll_generation{0};
  std::shared_ptr<Watcher> watcher();
  // Makes @made the watcher unless there is one; which it is. None when the open is released.
  std::shared_ptr<Watcher> watch(const std::shared_ptr<Watcher>& made);
  // Nobody is told any more; with @for_good never again.
  void end_watch(bool for_good = false);

  // Bytes from one end to another: who has to wait does so in the loop.
  bool piped() const { return type == QTFS_TYPE_FIFO || socket || (device() && pollable); }
  bool device() const { return type == QTFS_TYPE_CHR; }
  bool regular() const { return type == QTFS_TYPE_REG && !synthetic; }
  bool writable() const { return (flags & QTFS_OPEN_WRITE) != 0; }

 private:
  std::atomic<int> own_{-1};
  std::mutex watch_mutex_;  // protects the rest
  std::shared_ptr<Watcher> watcher_;
  bool released_ = false;
};

class OpenTable {
 public:
  OpenTable(uint16_t life, uint64_t max) : life_(life), max_(max) {}
  // Closes what may take long on a thread.
  ~OpenTable();

  // Gives it an id; ENFILE over the limit.
  Status add(const Ref<Open>& open);
  Ref<Open> find(uint64_t id);
  Ref<Open> remove(uint64_t id);
  // Whether the next one would be too many.
  bool full() const { return size() >= max_; }
  uint64_t size() const { return count_.load(std::memory_order_relaxed); }

 private:
  static constexpr unsigned shard_count = 16;
  struct Shard {
    std::mutex mutex;  // protects by_id
    std::unordered_map<uint64_t, Ref<Open>> by_id;
  };
  Shard& shard_of(uint64_t id) { return shards_[id % shard_count]; }

  const uint64_t life_;
  const uint64_t max_;
  std::atomic<uint64_t> next_{1};
  std::atomic<uint64_t> count_{0};
  std::array<Shard, shard_count> shards_;
};

}  // namespace qtfs
