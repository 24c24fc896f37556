// SPDX-License-Identifier: GPL-2.0-only
#include "lib/codec.hh"

#include <dirent.h>

#include <ctime>

namespace qtfs {

namespace {

constexpr int64_t ns_per_s = 1'000'000'000;

// How long a time stamp may stay as it is while the file changes on.
int64_t stamp_step_ns(const statx_timestamp& ctime) {
  // No fraction at all: a filesystem that counts in seconds, or in two, as vfat does.
  if (ctime.tv_nsec == 0)
    return 2 * ns_per_s;
  // The clock of all others moves once a tick.
  static const int64_t tick = [] {
    timespec resolution{};
    clock_getres(CLOCK_REALTIME_COARSE, &resolution);
    return resolution.tv_sec * ns_per_s + resolution.tv_nsec;
  }();
  return 2 * tick;
}

bool is_racy(const statx_timestamp& ctime) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  const int64_t age =
      (now.tv_sec - ctime.tv_sec) * ns_per_s + now.tv_nsec - static_cast<int64_t>(ctime.tv_nsec);
  return age < stamp_step_ns(ctime);
}

uint32_t attr_flags(const struct statx& stx) {
  static constexpr struct {
    uint64_t native;
    uint32_t wire;
  } told[] = {
      {STATX_ATTR_IMMUTABLE, QTFS_ATTR_IMMUTABLE}, {STATX_ATTR_APPEND, QTFS_ATTR_APPEND},
      {STATX_ATTR_NODUMP, QTFS_ATTR_NODUMP},       {STATX_ATTR_COMPRESSED, QTFS_ATTR_COMPRESSED},
      {STATX_ATTR_ENCRYPTED, QTFS_ATTR_ENCRYPTED}, {STATX_ATTR_VERITY, QTFS_ATTR_VERITY},
  };
  uint32_t flags = 0;
  const uint64_t attributes = stx.stx_attributes & stx.stx_attributes_mask;
  for (const auto& flag : told) {
    if (stx.stx_attributes_mask & flag.native)
      flags |= QTFS_ATTR_HAS(flag.wire);
    if (attributes & flag.native)
      flags |= flag.wire;
  }
  if (is_racy(stx.stx_ctime))
    flags |= QTFS_ATTR_RACY;
  if (attributes & STATX_ATTR_MOUNT_ROOT)
    flags |= QTFS_ATTR_MOUNT_ROOT;
  if (attributes & STATX_ATTR_AUTOMOUNT)
    flags |= QTFS_ATTR_AUTOMOUNT;
  if (stx.stx_mask & STATX_BTIME)
    flags |= QTFS_ATTR_BTIME;
  if (stx.stx_mask & STATX_DIOALIGN)
    flags |= QTFS_ATTR_DIOALIGN;
  return flags;
}

}  // namespace

std::string_view op_name(unsigned op) {
  switch (op) {
#define X(number, NAME, name, req, rep) \
  case number:                          \
    return #NAME;
    QTFS_OP_LIST(X)
#undef X
    default:
      return "?";
  }
}

uint32_t type_to_wire(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return QTFS_TYPE_REG;
    case S_IFDIR:
      return QTFS_TYPE_DIR;
    case S_IFLNK:
      return QTFS_TYPE_LNK;
    case S_IFCHR:
      return QTFS_TYPE_CHR;
    case S_IFBLK:
      return QTFS_TYPE_BLK;
    case S_IFIFO:
      return QTFS_TYPE_FIFO;
    case S_IFSOCK:
      return QTFS_TYPE_SOCK;
    default:
      return 0;
  }
}

uint32_t type_from_wire(uint32_t type) {
  switch (type) {
    case QTFS_TYPE_REG:
      return S_IFREG;
    case QTFS_TYPE_DIR:
      return S_IFDIR;
    case QTFS_TYPE_LNK:
      return S_IFLNK;
    case QTFS_TYPE_CHR:
      return S_IFCHR;
    case QTFS_TYPE_BLK:
      return S_IFBLK;
    case QTFS_TYPE_FIFO:
      return S_IFIFO;
    case QTFS_TYPE_SOCK:
      return S_IFSOCK;
    default:
      return 0;
  }
}

uint32_t type_from_dirent(unsigned char d_type) {
  return type_to_wire(static_cast<uint32_t>(DTTOIF(d_type)));
}

qtfs_wire_attr attr_to_wire(const struct statx& stx) {
  qtfs_wire_attr attr{};
  attr.ino = htole64(stx.stx_ino);
  attr.size = htole64(stx.stx_size);
  attr.blocks = htole64(stx.stx_blocks);
  attr.change =
      htole64(static_cast<uint64_t>(stx.stx_ctime.tv_sec) * ns_per_s + stx.stx_ctime.tv_nsec);
  attr.atime = htole64(static_cast<uint64_t>(stx.stx_atime.tv_sec));
  attr.mtime = htole64(static_cast<uint64_t>(stx.stx_mtime.tv_sec));
  attr.ctime = htole64(static_cast<uint64_t>(stx.stx_ctime.tv_sec));
  attr.atime_ns = htole32(stx.stx_atime.tv_nsec);
  attr.mtime_ns = htole32(stx.stx_mtime.tv_nsec);
  attr.ctime_ns = htole32(stx.stx_ctime.tv_nsec);
  if (stx.stx_mask & STATX_BTIME) {
    attr.btime = htole64(static_cast<uint64_t>(stx.stx_btime.tv_sec));
    attr.btime_ns = htole32(stx.stx_btime.tv_nsec);
  }
  attr.mode = htole32(stx.stx_mode & 07777u);
  attr.type = htole32(type_to_wire(stx.stx_mode));
  attr.nlink = htole32(stx.stx_nlink);
  attr.uid = htole32(stx.stx_uid);
  attr.gid = htole32(stx.stx_gid);
  attr.blksize = htole32(stx.stx_blksize);
  attr.rdev_major = htole32(stx.stx_rdev_major);
  attr.rdev_minor = htole32(stx.stx_rdev_minor);
  attr.dev_major = htole32(stx.stx_dev_major);
  attr.dev_minor = htole32(stx.stx_dev_minor);
  attr.flags = htole32(attr_flags(stx));
  attr.dio_mem_align = htole32(stx.stx_dio_mem_align);
  attr.dio_offset_align = htole32(stx.stx_dio_offset_align);
  attr.mnt_id = htole64(stx.stx_mnt_id);
  return attr;
}

bool valid_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == name.npos &&
         name.find('\0') == name.npos;
}

}  // namespace qtfs
