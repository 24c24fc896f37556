/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mounts that somebody here makes on the server. Nothing else does: mount(2)
 * and umount(2) on the client stay the client's.
 */
#ifndef QTFS_REMOTE_MOUNTS_H
#define QTFS_REMOTE_MOUNTS_H

struct file;

/* The two commands of qtfs/remote.h; -ENOTTY for others. Waits, killably. */
long qtfs_remote_ioctl(struct file *dir, unsigned int cmd, void __user *arg);

#endif /* QTFS_REMOTE_MOUNTS_H */
