/* SPDX-License-Identifier: GPL-2.0-only */
/* What qtinfo sees: the generic netlink family, docs/netlink/qtfs.yaml. */
#ifndef QTFS_NETLINK_H
#define QTFS_NETLINK_H

int qtfs_netlink_init(void);
void qtfs_netlink_exit(void);

#endif /* QTFS_NETLINK_H */
