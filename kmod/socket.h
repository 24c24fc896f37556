/* SPDX-License-Identifier: GPL-2.0-only */
/* Unix sockets of the server, which programs here connect to; see also bound.h. */
#ifndef QTFS_SOCKET_H
#define QTFS_SOCKET_H

#include <linux/fs.h>

struct qtfs_wire_opened;

extern const struct inode_operations qtfs_socket_inode_operations;

/* What making and using connections needs of the engine. */
#define QTFS_SOCKET_FEATURES (QTFS_FEATURE_SOCKETS | QTFS_FEATURE_POLL)

/*
 * The open that @file, a socket's, stands for. On failure it is given back.
 * Return: SOCK_*, or an error.
 */
int qtfs_socket_attach(struct inode *inode, struct file *file,
		       const struct qtfs_wire_opened *rep, u64 clock);

/* QTFS_SOCKET_* of SOCK_*; 0 if there is none. */
u32 qtfs_socket_kind(int type);

/* A connection to the socket @inode, on @mnt, which is still to be attached. */
struct file *qtfs_connection_file(struct inode *inode, struct vfsmount *mnt);

/* A mount of @root alone, in nobody's namespace. Takes the reference to @root. */
struct vfsmount *qtfs_private_mount(struct dentry *root);

/* Which system call the caller is in, and what it was given; -1: not to be seen. */
int qtfs_syscall(unsigned long args[6]);

/* The inode goes: if it is a directory to bind in, so does what it holds. */
void qtfs_alias_evict(struct inode *inode);

#endif /* QTFS_SOCKET_H */
