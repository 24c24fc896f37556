/* SPDX-License-Identifier: GPL-2.0-only */
/* Unix sockets of the server, which programs here connect to. */
#ifndef QTFS_SOCKET_H
#define QTFS_SOCKET_H

#include <linux/fs.h>

extern const struct inode_operations qtfs_socket_inode_operations;

/* The inode goes: if it is a directory to bind in, so does what it holds. */
void qtfs_alias_evict(struct inode *inode);

#endif /* QTFS_SOCKET_H */
