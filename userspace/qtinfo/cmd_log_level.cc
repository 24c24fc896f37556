// SPDX-License-Identifier: GPL-2.0-only
// qtinfo log-level [LEVEL]: how much the module writes to the kernel log; the server's where there
// is no client's.
#include <cerrno>

#include "lib/qtfs_netlink.hh"
#include "qtinfo/commands.hh"

namespace qtfs::qtinfo {

namespace {

Tree client_level(std::optional<uint32_t> wanted) {
  netlink::Qtfs qtfs;
  if (wanted)
    qtfs.set_log_level(*wanted);
  return {{"log_level", netlink::log_level_name(qtfs.log_level())}};
}

}  // namespace

Tree cmd_log_level(const std::string& level) {
  std::optional<uint32_t> wanted;
  if (!level.empty()) {
    wanted = netlink::parse_log_level(level);
    if (!wanted)
      throw netlink::Error(EINVAL,
                           level + ": no log level; there are none, error, warn, info, debug, 0-4");
  }

  try {
    return client_level(wanted);
  } catch (const netlink::Error& error) {
    auto server = netlink::Server::find();
    if (!server || error.err() != ENOENT)
      throw;
    if (wanted)
      server->set_log_level(*wanted);
    return {{"log_level", netlink::log_level_name(server->status().log_level)}};
  }
}

}  // namespace qtfs::qtinfo
