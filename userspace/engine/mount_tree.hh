// SPDX-License-Identifier: GPL-2.0-only
// A mount table of the engine's own: a private copy of the machine's that is kept like it.
//
// What clients know and hold open keeps a mount of the copy busy, never one of the machine's: there
// umount(8) always works, and the copy of what it took away goes a moment later. Copies that get
// the machine's changes by propagation (slave, shared) would not do: the kernel refuses to unmount
// what is busy in one of them.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lib/mountinfo.hh"
#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

class MountTree {
 public:
  // Gives the calling thread, and those it creates from now on, a table of their own. EPERM where
  // that is forbidden, EINVAL where / is not a mount: nothing has changed then.
  static Result<std::unique_ptr<MountTree>> enter();
  ~MountTree();

  // What followed a change of the machine's table: numbers of mounts, as NodeKey has them.
  struct Change {
    std::vector<uint64_t> gone;
    std::vector<uint64_t> come;  // some may have the number of one that is gone
  };
  // Called by the thread that follows.
  using Changed = std::function<void(const Change& change)>;
  // Takes over what has changed since enter(), then starts to follow.
  Status follow(Changed changed);

 private:
  MountTree() = default;
  void adopt(const std::vector<MountInfo>& before);
  void run();
  Status leave_for_machine();
  Status come_back();
  // Both tables are the same after it, as far as they can be.
  Status take_over(const std::vector<MountInfo>& now);
  void unmount(const std::string& point, Change& change);
  Status mount(const MountInfo& machines, Change& change);
  void set_flags(const MountInfo& machines);

  UniqueFd machine_ns_;
  UniqueFd machine_root_;
  UniqueFd machine_table_;
  UniqueFd own_ns_;
  UniqueFd own_root_;
  std::map<uint64_t, MountInfo> copied_;  // by the machine's numbers
  Changed changed_;
  UniqueFd stop_;
  std::thread thread_;
};

}  // namespace qtfs
