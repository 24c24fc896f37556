// SPDX-License-Identifier: GPL-2.0-only
#include "qtinfo/mountinfo.hh"

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "lib/mountinfo.hh"

namespace qtfs::qtinfo {

namespace {

// Comparable form of a path; no symbolic link is followed, as that may ask a lost server.
std::string normal(const std::string& path) {
  auto out = std::filesystem::absolute(path).lexically_normal().string();
  if (out.size() > 1 && out.back() == '/')
    out.pop_back();
  return out;
}

}  // namespace

std::vector<MountPoint> mount_points(std::string_view text) {
  std::vector<MountPoint> out;
  for (MountInfo& mount : parse_mountinfo(text))
    if (mount.type == "qtfs")
      out.push_back(
          {mount.dev_major, mount.dev_minor, std::move(mount.point), std::move(mount.options)});
  return out;
}

std::vector<MountPoint> read_mountinfo() {
  std::ifstream in("/proc/self/mountinfo");
  return mount_points(std::string(std::istreambuf_iterator<char>(in), {}));
}

uint32_t find_mount(netlink::Qtfs& qtfs, const std::string& text) {
  uint32_t id = 0;
  const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (err == std::errc{} && end == text.data() + text.size() && id > 0)
    return id;

  const std::string where = normal(text);
  for (const auto& point : read_mountinfo()) {
    if (point.where != where)
      continue;
    for (const auto& mount : qtfs.mounts())
      if (mount.dev_major == point.dev_major && mount.dev_minor == point.dev_minor)
        return mount.id;
    throw netlink::Error(ENOENT, text + ": mounted from another network namespace");
  }
  throw netlink::Error(ENOENT, text + ": not a mount point of qtfs, nor the id of a mount");
}

}  // namespace qtfs::qtinfo
