// SPDX-License-Identifier: GPL-2.0-only
// /proc/self/mountinfo: where a qtfs superblock is mounted, and with which options.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/qtfs_netlink.hh"

namespace qtfs::qtinfo {

struct MountPoint {
  uint64_t id = 0;
  uint64_t parent = 0;
  uint32_t dev_major = 0;
  uint32_t dev_minor = 0;
  std::string where;
  std::string options;  // of the superblock
};

// The mounts of type qtfs in a file of that format.
std::vector<MountPoint> mount_points(std::string_view text);
std::vector<MountPoint> read_mountinfo();

// The id of the mount that the user means: a number, or one of its mount points, those of its
// submounts included.
// Throws netlink::Error with words for the user.
uint32_t find_mount(netlink::Qtfs& qtfs, const std::string& text);

}  // namespace qtfs::qtinfo
