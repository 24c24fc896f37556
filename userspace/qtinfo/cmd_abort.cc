// SPDX-License-Identifier: GPL-2.0-only
// qtinfo abort MOUNT: fail everything under way, as umount -f does.
#include "lib/qtfs_netlink.hh"
#include "qtinfo/commands.hh"
#include "qtinfo/mountinfo.hh"

namespace qtfs::qtinfo {

Tree cmd_abort(const std::string& mount) {
  netlink::Qtfs qtfs;
  const uint32_t id = find_mount(qtfs, mount);
  qtfs.abort(id);
  return {{"aborted", id}};
}

}  // namespace qtfs::qtinfo
