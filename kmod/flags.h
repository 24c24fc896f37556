/* SPDX-License-Identifier: GPL-2.0-only */
/* Inode flags and project ids: what chattr(1) and lsattr(1) ask for. */
#ifndef QTFS_FLAGS_OPS_H
#define QTFS_FLAGS_OPS_H

#include <linux/fs.h>

#include "compat/compat.h"

/* ->fileattr_get, ->fileattr_set */
int qtfs_fileattr_get(struct dentry *dentry, struct file_kattr *fa);
int qtfs_fileattr_set(struct mnt_idmap *idmap, struct dentry *dentry,
		      struct file_kattr *fa);

/* ->unlocked_ioctl: what the VFS has no name for. */
long qtfs_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/*
 * Before data changes that is not sent at once: -EPERM for an immutable file,
 * as the server will say later.
 */
int qtfs_may_modify(struct inode *inode);

#endif /* QTFS_FLAGS_OPS_H */
