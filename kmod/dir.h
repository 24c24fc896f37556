/* SPDX-License-Identifier: GPL-2.0-only */
/* Names: what others need of dir.c. */
#ifndef QTFS_DIR_H
#define QTFS_DIR_H

#include <linux/fs.h>
#include <qtfs/wire.h>

/* The name was just confirmed; it holds as long as its directory's attributes. */
void qtfs_dentry_believe(struct dentry *dentry, struct inode *dir, u64 clock);

/**
 * qtfs_splice - give a dentry what the engine said about its name
 * @wire: NULL: it does not exist
 * @clock: qtfs_clock() from before the request
 *
 * Return: NULL, an alias to use instead (referenced), or an ERR_PTR. The
 * entry's node is the inode's or has been given back.
 */
struct dentry *qtfs_splice(struct inode *dir, struct dentry *dentry,
			   const struct qtfs_wire_entry *wire, u64 clock);

/* A name that this client just made; the directory has changed. */
int qtfs_instantiate(struct inode *dir, struct dentry *dentry,
		     const struct qtfs_wire_entry *wire, u64 clock);

/* After a call that failed: where it may have been done, nothing is believed. */
void qtfs_name_unsure(struct inode *dir, struct dentry *dentry, int err);

#endif /* QTFS_DIR_H */
