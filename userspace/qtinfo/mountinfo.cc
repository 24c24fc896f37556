// SPDX-License-Identifier: GPL-2.0-only
#include "qtinfo/mountinfo.hh"

#include <algorithm>
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
      out.push_back({mount.id, mount.parent, mount.dev_major, mount.dev_minor,
                     std::move(mount.point), std::move(mount.options)});
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

  const auto points = read_mountinfo();
  const auto mounts = qtfs.mounts();
  const std::string where = normal(text);
  auto point = std::find_if(points.rbegin(), points.rend(),
                            [&](const auto& candidate) { return candidate.where == where; });
  if (point == points.rend())
    throw netlink::Error(ENOENT, text + ": not a mount point of qtfs, nor the id of a mount");
  while (point != points.rend()) {
    for (const auto& mount : mounts)
      if (mount.dev_major == point->dev_major && mount.dev_minor == point->dev_minor)
        return mount.id;
    const uint64_t above = point->parent;
    point = std::find_if(points.rbegin(), points.rend(),
                         [&](const auto& candidate) { return candidate.id == above; });
  }
  throw netlink::Error(ENOENT, text + ": mounted from another network namespace");
}

}  // namespace qtfs::qtinfo
