// SPDX-License-Identifier: GPL-2.0-only
// Acting as the caller: the effective ids, groups, capabilities and umask of one thread.
//
// Real and saved ids stay 0 and the permitted capabilities stay whole, so that the thread can
// come back. setfsuid() is not enough: /proc/sys looks at the effective uid, and many checks at
// effective capabilities.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "lib/ref.hh"
#include "lib/result.hh"

namespace qtfs {

// A registered credential. Never changes; outlives its registration while it is used.
class Cred : public RefCounted {
 public:
  Cred(uint32_t uid, uint32_t gid, std::vector<gid_t> groups, uint64_t wire_caps);

  const uint32_t uid;
  const uint32_t gid;
  const std::vector<gid_t> groups;
  const uint64_t caps;  // of the kernel's numbering
};

// What one thread acts as. Only that thread calls.
class Creds {
 public:
  // Once per thread, as root: leaves the process's shared umask and working directory, whose
  // place /proc/self/fd takes, so that "12" names descriptor 12 in every path call.
  Status enter_thread();
  // A failure leaves the thread as nobody in particular: nothing may be done before the next call.
  Status assume(const Ref<const Cred>& cred);
  // As the engine itself.
  Status privileged();
  void umask(uint32_t mask);
  const Ref<const Cred>& current() const { return current_; }  // empty: privileged

 private:
  Status set_ids(uint32_t uid, uint32_t gid, const std::vector<gid_t>& groups);
  Status set_effective(uint64_t caps);

  Ref<const Cred> current_;
  bool settled_ = false;  // what the thread has is what current_ says
  uint32_t uid_ = 0;
  uint32_t gid_ = 0;
  std::vector<gid_t> groups_;
  uint64_t permitted_ = 0;
  uint64_t effective_ = 0;
  uint32_t umask_ = 0;
};

// The engine itself for a while, then whoever it was before.
class Privileged {
 public:
  explicit Privileged(Creds& creds);
  ~Privileged();
  Privileged(const Privileged&) = delete;
  Privileged& operator=(const Privileged&) = delete;
  const Status& status() const { return status_; }

 private:
  Creds& creds_;
  Ref<const Cred> before_;
  Status status_;
};

}  // namespace qtfs
