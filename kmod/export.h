/* SPDX-License-Identifier: GPL-2.0-only */
/* File handles. */
#ifndef QTFS_EXPORT_H
#define QTFS_EXPORT_H

#include <linux/atomic.h>
#include <linux/xarray.h>

struct dentry;
struct export_operations;
struct inode;
struct qtfs_entry;
struct super_block;
struct vfsmount;

/**
 * struct qtfs_handles - nodes that the engine keeps because handles name them
 * @nodes: by node; the stamp that forgets one, 0 while its inode is in use
 * @nr: how many
 * @hand: where the search for one to give up goes on
 */
struct qtfs_handles {
	struct xarray nodes;
	atomic_t nr;
	unsigned long hand;
};

void qtfs_handles_init(struct qtfs_handles *handles);
void qtfs_handles_destroy(struct qtfs_handles *handles);

/* An inode goes: whether its node is to stay at the engine. */
bool qtfs_handle_kept(struct inode *inode);

/**
 * qtfs_node_call - ask for a node that has no name here
 * @op: QTFS_OP_NODE: @node itself, QTFS_OP_PARENT: the folder above it
 * @entry: returned: what the engine grants
 *
 * Return: 0, the engine's error, or -EPROTO when it grants another node.
 */
int qtfs_node_call(struct super_block *sb, u16 op, u64 node,
		   struct qtfs_entry *entry);

/*
 * A dentry of @inode, whose reference is used up, that the tree leads to if it is
 * a directory's; also on failure. May ask the engine.
 */
struct dentry *qtfs_export_dentry(struct vfsmount *mnt, struct inode *inode);

extern const struct export_operations qtfs_export_operations;

#endif /* QTFS_EXPORT_H */
