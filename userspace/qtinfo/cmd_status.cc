// SPDX-License-Identifier: GPL-2.0-only
// qtinfo status: the module and its defaults.
#include "lib/qtfs_netlink.hh"
#include "qtinfo/commands.hh"

namespace qtfs::qtinfo {

Tree cmd_status() {
  const auto status = netlink::Qtfs().status();
  Tree tree;
  tree["version"] = status.version;
  tree["protocol"] = status.protocol;
  tree["channel"] = status.channel;
  tree["server_ip"] = status.server_ip ? Tree(*status.server_ip) : Tree(nullptr);
  tree["server_port"] = status.server_port;
  tree["server_vsock_cid"] = status.server_vsock_cid;
  tree["server_vsock_port"] = status.server_vsock_port;
  tree["log_level"] = netlink::log_level_name(status.log_level);
  tree["mounts"] = status.mounts;
  return tree;
}

}  // namespace qtfs::qtinfo
