// SPDX-License-Identifier: GPL-2.0-only
#include "engine/creds.hh"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include "lib/unique_fd.hh"
#include "qtfs/wire.h"

namespace qtfs {

namespace {

constexpr int native_cap[QTFS_CAP_NR] = {
    CAP_CHOWN,     CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,
    CAP_FSETID,    CAP_MKNOD,        CAP_LINUX_IMMUTABLE, CAP_SYS_RESOURCE,
    CAP_SYS_ADMIN, CAP_SETFCAP,      CAP_LEASE,           CAP_SYS_PTRACE,
    CAP_NET_ADMIN, CAP_SYSLOG,       CAP_MAC_ADMIN,       CAP_MAC_OVERRIDE,
    CAP_SYS_NICE,  CAP_KILL,         CAP_SYS_TTY_CONFIG,  CAP_IPC_LOCK,
    CAP_SYS_RAWIO, CAP_SYS_TIME,
};

uint64_t native_caps(uint64_t wire) {
  uint64_t caps = 0;
  for (unsigned i = 0; i < QTFS_CAP_NR; i++)
    if (wire & (uint64_t{1} << i))
      caps |= uint64_t{1} << native_cap[i];
  return caps;
}

constexpr uint32_t keep_id = ~0u;

// The library's wrappers change every thread of the process; these change the calling one.
Status raw_setgroups(const std::vector<gid_t>& groups) {
  return check(syscall(SYS_setgroups, groups.size(), groups.data()));
}
Status raw_setresgid(uint32_t egid) {
  return check(syscall(SYS_setresgid, keep_id, egid, keep_id));
}
Status raw_setresuid(uint32_t euid) {
  return check(syscall(SYS_setresuid, keep_id, euid, keep_id));
}

}  // namespace

Cred::Cred(uint32_t uid_, uint32_t gid_, std::vector<gid_t> groups_, uint64_t wire_caps)
    : uid(uid_), gid(gid_), groups(std::move(groups_)), caps(native_caps(wire_caps)) {}

Status Creds::enter_thread() {
  if (unshare(CLONE_FS) < 0)
    return Status::last();
  UniqueFd fds(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fds || fchdir(fds.get()) < 0)
    return Status::last();
  ::umask(0);

  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) < 0)
    return Status::last();
  permitted_ = data[0].permitted | uint64_t{data[1].permitted} << 32;
  effective_ = data[0].effective | uint64_t{data[1].effective} << 32;

  const int count = getgroups(0, nullptr);
  if (count < 0)
    return Status::last();
  groups_.resize(static_cast<size_t>(count));
  if (count > 0 && getgroups(count, groups_.data()) < 0)
    return Status::last();
  uid_ = geteuid();
  gid_ = getegid();
  return {};
}

Status Creds::set_effective(uint64_t caps) {
  caps &= permitted_;
  if (caps == effective_)
    return {};
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct data[2] = {
      {static_cast<uint32_t>(caps), static_cast<uint32_t>(permitted_), 0},
      {static_cast<uint32_t>(caps >> 32), static_cast<uint32_t>(permitted_ >> 32), 0},
  };
  if (syscall(SYS_capset, &header, data) < 0)
    return Status::last();
  effective_ = caps;
  return {};
}

Status Creds::set_ids(uint32_t uid, uint32_t gid, const std::vector<gid_t>& groups) {
  if (uid == uid_ && gid == gid_ && groups == groups_)
    return {};
  if (Status status = set_effective(permitted_); !status)
    return status;
  if (groups != groups_) {
    if (Status status = raw_setgroups(groups); !status)
      return status;
    groups_ = groups;
  }
  if (gid != gid_) {
    if (Status status = raw_setresgid(gid); !status)
      return status;
    gid_ = gid;
  }
  if (uid != uid_) {
    if (Status status = raw_setresuid(uid); !status)
      return status;
    // Leaving uid 0 clears the effective set, coming back fills it, else it stays.
    if (uid_ == 0)
      effective_ = 0;
    else if (uid == 0)
      effective_ = permitted_;
    uid_ = uid;
  }
  return {};
}

Status Creds::assume(const Ref<const Cred>& cred) {
  if (settled_ && current_.get() == cred.get())
    return {};
  if (!cred)
    return privileged();
  if (cred->uid == keep_id || cred->gid == keep_id)
    return Status::error(EINVAL);
  settled_ = false;
  if (Status status = set_ids(cred->uid, cred->gid, cred->groups); !status)
    return status;
  if (Status status = set_effective(cred->caps); !status)
    return status;
  current_ = cred;
  settled_ = true;
  return {};
}

Status Creds::privileged() {
  if (settled_ && !current_)
    return {};
  settled_ = false;
  if (Status status = set_ids(0, 0, {}); !status)
    return status;
  if (Status status = set_effective(permitted_); !status)
    return status;
  current_ = {};
  settled_ = true;
  return {};
}

void Creds::umask(uint32_t mask) {
  mask &= 0777;
  if (mask == umask_)
    return;
  ::umask(static_cast<mode_t>(mask));
  umask_ = mask;
}

Privileged::Privileged(Creds& creds)
    : creds_(creds), before_(creds.current()), status_(creds.privileged()) {}

Privileged::~Privileged() {
  // Going on with more than the caller has would be worse than not going on.
  if (before_ && !creds_.assume(before_))
    std::abort();
}

}  // namespace qtfs
