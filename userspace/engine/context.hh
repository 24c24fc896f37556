// SPDX-License-Identifier: GPL-2.0-only
// What one thread that executes requests has to itself.
#pragma once

#include <unordered_map>

#include "engine/creds.hh"
#include "engine/mounts.hh"
#include "engine/pipe.hh"
#include "engine/rules.hh"
#include "engine/stats.hh"
#include "lib/bytes.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

// What a filesystem is like, by its magic number.
struct FsKind {
  bool synthetic = false;  // procfs and the like
  bool proc = false;       // procfs
  bool memory = false;     // reading never waits for a device
};

// Kinds of the filesystems this thread met, by device number.
class FsKinds {
 public:
  explicit FsKinds(const Mounts& mounts) : mounts_(mounts) {}
  // @fd is any descriptor on the filesystem with device number @dev.
  FsKind get(int fd, uint64_t dev);

 private:
  const Mounts& mounts_;
  uint64_t generation_ = 0;  // device numbers are used again after an unmount
  std::unordered_map<uint64_t, FsKind> kinds_;
};

struct Context {
  Context(Mounts& mounts_, Rules& rules_) : mounts(mounts_), rules(rules_), kinds(mounts_) {}

  Creds creds;
  BufferPool buffers;
  PipePool pipes;
  Mounts& mounts;
  Rules& rules;
  FsKinds kinds;
  UniqueFd epoll;  // asked whether a file can be polled
  Stats stats;
};

}  // namespace qtfs
