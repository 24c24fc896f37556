// SPDX-License-Identifier: GPL-2.0-only
#include "engine/context.hh"

#include <linux/magic.h>
#include <sys/statfs.h>

#include <algorithm>
#include <array>

namespace qtfs {

namespace {

constexpr uint64_t configfs_magic = 0x62656570;
constexpr uint64_t mqueue_magic = 0x19800202;
constexpr uint64_t rpc_pipefs_magic = 0x67596969;
constexpr uint64_t fusectl_magic = 0x65735543;
constexpr uint64_t nfsd_magic = 0x6e667364;
constexpr uint64_t resctrl_magic = 0x7655821;

constexpr std::array<uint64_t, 19> synthetic = {
    PROC_SUPER_MAGIC, SYSFS_MAGIC,    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,
    TRACEFS_MAGIC,    configfs_magic, BPF_FS_MAGIC,       SECURITYFS_MAGIC,    EFIVARFS_MAGIC,
    PSTOREFS_MAGIC,   mqueue_magic,   BINFMTFS_MAGIC,     SELINUX_MAGIC,       SMACK_MAGIC,
    rpc_pipefs_magic, fusectl_magic,  nfsd_magic,         resctrl_magic,
};

}  // namespace

FsKind FsKinds::get(int fd, uint64_t dev) {
  if (const uint64_t now = mounts_.generation(); now != generation_) {
    kinds_.clear();
    generation_ = now;
  }
  if (const auto found = kinds_.find(dev); found != kinds_.end())
    return found->second;
  struct statfs fs {};
  if (fstatfs(fd, &fs) < 0)
    return {};
  const auto magic = static_cast<uint64_t>(fs.f_type) & 0xffffffffu;
  FsKind kind;
  kind.synthetic = std::find(synthetic.begin(), synthetic.end(), magic) != synthetic.end();
  kind.proc = magic == PROC_SUPER_MAGIC;
  kind.memory = magic == TMPFS_MAGIC || magic == RAMFS_MAGIC || magic == HUGETLBFS_MAGIC;
  kinds_.emplace(dev, kind);
  return kind;
}

}  // namespace qtfs
