/* SPDX-License-Identifier: GPL-2.0-only */
/* File handles. */
#ifndef QTFS_EXPORT_H
#define QTFS_EXPORT_H

#include <linux/atomic.h>
#include <linux/xarray.h>

struct export_operations;
struct inode;

/**
 * struct qtfs_handles - nodes that the engine keeps because handles name them
 * @nodes: by node; the stamp that forgets one, 0 while its inode is in use
 * @nr: how many
 */
struct qtfs_handles {
	struct xarray nodes;
	atomic_t nr;
};

void qtfs_handles_init(struct qtfs_handles *handles);
void qtfs_handles_destroy(struct qtfs_handles *handles);

/* An inode goes: whether its node is to stay at the engine. */
bool qtfs_handle_kept(struct inode *inode);

extern const struct export_operations qtfs_export_operations;

#endif /* QTFS_EXPORT_H */
