/* SPDX-License-Identifier: GPL-2.0-only */
/* Descriptors in what connections to unix sockets carry (SCM_RIGHTS). */
#ifndef QTFS_RIGHTS_H
#define QTFS_RIGHTS_H

#include <linux/fs.h>

#include <qtfs/agent.h>

struct qtfs_wire_opened;

/*
 * QTFS_AGENT_GIVE and QTFS_AGENT_TAKE on the connection @file: see
 * qtfs/agent.h. -ENOTTY for other commands.
 */
long qtfs_rights_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/*
 * What the engine has open already, if it is for the file that this task is
 * opening of @inode; NULL as a rule. It is the caller's.
 */
const struct qtfs_wire_opened *qtfs_rights_opened(struct inode *inode,
						  u64 *clock);

#endif /* QTFS_RIGHTS_H */
