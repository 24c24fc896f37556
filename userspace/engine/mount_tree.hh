// SPDX-License-Identifier: GPL-2.0-only
// A mount table of the engine's own: a private copy of the machine's that is kept like it.
//
// What clients know and hold open keeps a mount of the copy busy, never one of the machine's: there
// umount(8) always works, and the copy of what it took away goes a moment later. Copies that get
// the machine's changes by propagation (slave, shared) would not do: the kernel refuses to unmount
// what is busy in one of them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lib/mountinfo.hh"
#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

class MountTree {
 public:
  // Gives the calling thread, and those it creates from now on, a table of their own, before there
  // are others. EPERM where that is forbidden, EINVAL where / is not a mount: nothing has changed
  // then.
  static Result<std::unique_ptr<MountTree>> enter();
  // Ends following, unless it hangs in somebody's filesystem: false, and the object has to stay.
  bool stop();

  // What followed a change of the machine's table.
  struct Change {
    std::vector<uint64_t> gone;       // numbers of mounts, as NodeKey has them
    std::vector<uint64_t> come;       // some may have the number of one that went before
    std::vector<std::string> points;  // where those are
  };
  // Called by the thread that follows: for what went before anything else comes.
  using Changed = std::function<void(const Change& change)>;
  // Takes over what has changed since enter(), then starts to follow.
  Status follow(Changed changed);

  // Runs @work in the machine's table, where / is the root that it has there. The calling thread
  // must be privileged and have directories of its own (unshare(CLONE_FS)); comes back to its own
  // table and working directory.
  Status in_machine(const std::function<void(int root)>& work);
  // Returns when what has changed by now is followed; or after a while, if that hangs somewhere.
  void settle();

 private:
  // One of our mounts, and what it is a copy of.
  struct Copy {
    MountInfo machines;
    UniqueFd root;        // O_PATH; a stand-in has one as well
    uint64_t number = 0;  // as NodeKey has it; 0 when it is not to be had
    uint64_t order = 0;   // of two the one that was mounted later has more
  };

  MountTree() = default;
  Status adopt();
  void run();
  Status leave_for_machine();
  Status come_back();
  // Both tables are the same after it, as far as they can be.
  Status take_over();
  std::vector<uint64_t> drop_ended(const std::map<uint64_t, const MountInfo*>& wanted);
  Status mount_new(const std::vector<MountInfo>& now);
  Status mount(const MountInfo& machines);
  void keep(const MountInfo& machines, UniqueFd root);
  void set_flags(const Copy& copy, const MountInfo& machines);
  void tell(const Change& change);

  UniqueFd machine_ns_;
  UniqueFd machine_root_;
  UniqueFd machine_table_;
  UniqueFd own_ns_;
  UniqueFd own_root_;
  UniqueFd own_fds_;                 // /proc/self/fd, which need not be mounted any more
  UniqueFd own_fdinfo_;              // and /proc/self/fdinfo
  std::map<uint64_t, Copy> copies_;  // by the machine's numbers; not of what is hidden there
  uint64_t next_order_ = 0;
  bool again_ = false;  // something could not be mounted
  Changed changed_;
  UniqueFd wake_;     // to be stopped, or for settle()
  std::mutex mutex_;  // protects the next two
  uint64_t asked_ = 0;
  uint64_t followed_ = 0;  // of what was asked
  std::condition_variable settled_;
  std::atomic<bool> ended_{true};
  std::atomic<bool> over_{false};
  std::thread thread_;
};

}  // namespace qtfs
