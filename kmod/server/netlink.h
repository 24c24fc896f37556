/* SPDX-License-Identifier: GPL-2.0-only */
/* The generic netlink family "qtfs_server", docs/netlink/qtfs_server.yaml. */
#ifndef QTFS_SERVER_NETLINK_H
#define QTFS_SERVER_NETLINK_H

int qtfs_server_netlink_init(void);
void qtfs_server_netlink_exit(void);

#endif /* QTFS_SERVER_NETLINK_H */
