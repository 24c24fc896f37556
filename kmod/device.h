/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Device nodes of the server, with dev=remote: opening one opens the server's
 * device. Read, written and polled as other files that are never cached.
 */
#ifndef QTFS_REMOTE_DEVICE_H
#define QTFS_REMOTE_DEVICE_H

struct file;

/* A command of qtfs/device.h on an open device; -ENOTTY for others. */
long qtfs_device_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

#endif /* QTFS_REMOTE_DEVICE_H */
