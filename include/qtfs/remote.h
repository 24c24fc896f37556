/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Mounts on the server: ioctl(2) on a directory of a mount of qtfs, for
 * mount.qtfs. Wants CAP_SYS_ADMIN, and a server whose export allows it.
 */
#ifndef QTFS_REMOTE_H
#define QTFS_REMOTE_H

#include <linux/types.h>
#include <linux/ioctl.h>

/**
 * struct qtfs_remote_mount - what is to be mounted on the directory
 * @what: address of "fstype\0source\0options\0", as fsopen(2) and fsconfig(2)
 *	take them on the server; not used to unmount
 * @said: address for what the server says of it, terminated
 * @what_len: bytes at @what
 * @said_len: room at @said; 0: nobody wants to know
 */
struct qtfs_remote_mount {
	__u64 what;
	__u64 said;
	__u32 what_len;
	__u32 said_len;
};

#define QTFS_REMOTE_MOUNT	_IOW('q', 0x10, struct qtfs_remote_mount)
/* Of the mount whose root the directory is, made with this mount of qtfs. */
#define QTFS_REMOTE_UMOUNT	_IOW('q', 0x11, struct qtfs_remote_mount)

#endif /* QTFS_REMOTE_H */
