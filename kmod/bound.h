/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unix sockets that programs of this machine bind in the tree. Programs of this
 * machine connect to them without us. Those of the server connect to a socket that
 * the engine has bound in its place; of who arrives there the agent learns, and
 * connects here in his stead.
 */
#ifndef QTFS_BOUND_H
#define QTFS_BOUND_H

#include <linux/fs.h>

/**
 * qtfs_bind - ->mknod of a socket that programs of the server can connect to
 *
 * Return: 0; -EOPNOTSUPP where the caller is not in bind(2), no agent runs, or the
 * engine does not do it: then nothing was made; or another error.
 */
int qtfs_bind(struct inode *dir, struct dentry *dentry, umode_t mode);

#endif /* QTFS_BOUND_H */
