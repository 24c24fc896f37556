// SPDX-License-Identifier: GPL-2.0-only
// qtinfo status: the modules and their defaults.
#include <cerrno>

#include "lib/qtfs_netlink.hh"
#include "qtinfo/commands.hh"

namespace qtfs::qtinfo {

namespace {

Tree server_tree(netlink::Server& server) {
  const auto status = server.status();
  Tree tree;
  tree["version"] = status.version;
  tree["server_ip"] = status.ip ? Tree(*status.ip) : Tree(nullptr);
  tree["server_port"] = status.port;
  tree["server_vsock_cid"] = status.vsock_cid ? Tree(*status.vsock_cid) : Tree(nullptr);
  tree["server_vsock_port"] = status.vsock_port;
  tree["log_level"] = netlink::log_level_name(status.log_level);
  tree["devices"] = status.devices;
  tree["engine"] = nullptr;
  if (status.engine)
    tree["engine"] = {{"pid", status.engine->pid},
                      {"listen", status.engine->listen},
                      {"threads", status.engine->threads},
                      {"ring", status.engine->ring}};
  return tree;
}

Tree client_tree() {
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

}  // namespace

// The client's is what stands at the top; a machine may be both.
Tree cmd_status() {
  auto server = netlink::Server::find();
  Tree tree = Tree::object();
  try {
    tree = client_tree();
  } catch (const netlink::Error& error) {
    if (!server || error.err() != ENOENT)
      throw;
  }
  if (server)
    tree["server"] = server_tree(*server);
  return tree;
}

}  // namespace qtfs::qtinfo
