/* SPDX-License-Identifier: GPL-2.0-only */
/* What the server does with ranges of a file, without its bytes travelling. */
#ifndef QTFS_RANGE_H
#define QTFS_RANGE_H

#include <linux/fs.h>

struct fiemap_extent_info;

/* ->fallocate, ->copy_file_range, ->remap_file_range */
long qtfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len);
ssize_t qtfs_copy_file_range(struct file *in, loff_t in_pos, struct file *out,
			     loff_t out_pos, size_t len, unsigned int flags);
loff_t qtfs_remap_file_range(struct file *in, loff_t in_pos, struct file *out,
			     loff_t out_pos, loff_t len, unsigned int flags);

/* ->fiemap */
int qtfs_fiemap(struct inode *inode, struct fiemap_extent_info *info,
		u64 start, u64 len);

/*
 * SEEK_DATA and SEEK_HOLE at the engine, or SEEK_END of a file that is never
 * cached. Return: the offset, or a negative errno; -EOPNOTSUPP from an engine
 * that cannot tell.
 */
loff_t qtfs_seek_call(struct file *file, loff_t offset, int whence);

#endif /* QTFS_RANGE_H */
