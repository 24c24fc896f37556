// SPDX-License-Identifier: GPL-2.0-only
// What a client has open.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "engine/lock_ranges.hh"
#include "engine/node.hh"

namespace qtfs {

// Where a directory stands: names that were read from it and not yet sent.
struct DirState {
  std::vector<std::byte> names;  // linux_dirent64 records
  size_t next = 0;               // the first one that was not sent
  uint64_t cookie = 0;           // of the last one that was sent
  bool eof = false;
};

class Open : public RefCounted {
 public:
  uint64_t id = 0;
  UniqueFd fd;
  Ref<Node> node;
  Ref<const Cred> opener;
  uint32_t flags = 0;  // QTFS_OPEN_*
  uint32_t type = 0;   // enum qtfs_type
  bool synthetic = false;
  bool seekable = true;
  bool pollable = false;       // reading and writing may wait for somebody
  bool memory = false;         // reading never waits for a device
  bool kernel_append = false;  // the descriptor itself appends: the inode takes nothing else
  std::atomic<uint64_t> stream_offset{0};  // bytes read from a stream; where the descriptor stands
  std::atomic<bool> no_nowait{false};      // the filesystem does not know RWF_NOWAIT
  std::atomic<bool> no_splice{false};      // nor splice(2)

  std::mutex mutex;  // protects dir, and the descriptor's position
  DirState dir;

  // Protected by the lock of LockTable: what the descriptor holds by fcntl(2), and whether it may
  // hold something by flock(2).
  RangeSet locks;
  bool flocked = false;

  bool regular() const { return type == QTFS_TYPE_REG && !synthetic; }
  bool writable() const { return (flags & QTFS_OPEN_WRITE) != 0; }
};

class OpenTable {
 public:
  OpenTable(uint16_t life, uint64_t max) : life_(life), max_(max) {}

  // Gives it an id; ENFILE over the limit.
  Status add(const Ref<Open>& open);
  Ref<Open> find(uint64_t id);
  Ref<Open> remove(uint64_t id);
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
