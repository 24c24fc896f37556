// SPDX-License-Identifier: GPL-2.0-only
// qtinfo mounts: the mounts of this network namespace and how they fare.
#include <string_view>

#include "lib/qtfs_netlink.hh"
#include "qtinfo/commands.hh"
#include "qtinfo/mountinfo.hh"

namespace qtfs::qtinfo {

namespace {

std::string hex(const std::vector<std::byte>& bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const auto byte : bytes) {
    out += digits[std::to_integer<size_t>(byte >> 4)];
    out += digits[std::to_integer<size_t>(byte & std::byte{15})];
  }
  return out;
}

// The kernel tells of superblocks; where they are mounted differs by mount namespace.
void add_mount_points(Tree& tree, const netlink::MountStatus& mount,
                      const std::vector<MountPoint>& points) {
  tree["mount_points"] = Tree::array();
  tree["options"] = nullptr;
  for (const auto& point : points) {
    if (point.dev_major != mount.dev_major || point.dev_minor != mount.dev_minor)
      continue;
    tree["mount_points"].push_back(point.where);
    tree["options"] = point.options;
  }
}

}  // namespace

Tree cmd_mounts() {
  const auto points = read_mountinfo();
  Tree tree = Tree::array();
  for (const auto& mount : netlink::Qtfs().mounts()) {
    Tree one;
    one["id"] = mount.id;
    one["source"] = mount.source;
    add_mount_points(one, mount, points);
    one["device"] = std::to_string(mount.dev_major) + ":" + std::to_string(mount.dev_minor);
    one["server"] = mount.address;
    one["path"] = mount.path;
    one["channel"] = mount.channel;
    one["state"] = mount.state;
    one["connections"] = mount.connections;
    one["protocol"] = mount.protocol;
    one["session"] = hex(mount.session);
    one["inflight"] = mount.inflight;
    one["waiting"] = mount.waiting;
    tree.push_back(std::move(one));
  }
  return tree;
}

}  // namespace qtfs::qtinfo
