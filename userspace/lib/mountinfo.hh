// SPDX-License-Identifier: GPL-2.0-only
// /proc/PID/mountinfo, as proc_pid_mountinfo(5) describes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qtfs {

struct MountInfo {
  uint64_t id = 0;
  uint64_t parent = 0;
  uint32_t dev_major = 0;
  uint32_t dev_minor = 0;
  std::string root;     // within its filesystem
  std::string point;    // where it is mounted
  std::string flags;    // of the mount
  std::string type;     // of the filesystem
  std::string source;   // as it was given
  std::string options;  // of the filesystem

  bool operator==(const MountInfo&) const = default;
};

// In the file's order; lines that are no mounts are left out.
std::vector<MountInfo> parse_mountinfo(std::string_view text);

// Whether an absolute path leads through @top and on.
bool is_below(std::string_view path, std::string_view top);

}  // namespace qtfs
