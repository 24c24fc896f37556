// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ranges of files that the server allocates, empties, moves, copies or looks
 * for holes in. Dirty pages go there first; cached ones that are not the file's
 * any more are dropped afterwards.
 */
#include <linux/fs.h>
#include <linux/falloc.h>

#include "compat/compat.h"
#include "file.h"
#include "inode.h"
#include "range.h"
#include "req.h"
#include "super.h"

static const struct {
	int native;
	u32 wire;
} falloc_modes[] = {
	{ FALLOC_FL_KEEP_SIZE,		QTFS_FALLOC_KEEP_SIZE },
	{ FALLOC_FL_PUNCH_HOLE,		QTFS_FALLOC_PUNCH_HOLE },
	{ FALLOC_FL_COLLAPSE_RANGE,	QTFS_FALLOC_COLLAPSE },
	{ FALLOC_FL_ZERO_RANGE,		QTFS_FALLOC_ZERO },
	{ FALLOC_FL_INSERT_RANGE,	QTFS_FALLOC_INSERT },
	{ FALLOC_FL_UNSHARE_RANGE,	QTFS_FALLOC_UNSHARE },
};

/* 0 and @wire, or -EOPNOTSUPP for a mode that the protocol does not know. */
static int falloc_encode(int mode, u32 *wire)
{
	unsigned int i;

	*wire = 0;
	for (i = 0; i < ARRAY_SIZE(falloc_modes); i++) {
		if (mode & falloc_modes[i].native)
			*wire |= falloc_modes[i].wire;
		mode &= ~falloc_modes[i].native;
	}
	return mode ? -EOPNOTSUPP : 0;
}

/*
 * The server has changed the file's data past the cache, which is to be
 * dropped; it is @size bytes long now. Under i_rwsem.
 */
static int range_changed(struct inode *inode, loff_t size, u64 change)
{
	struct qtfs_inode *qi = qtfs_i(inode);

	if (size > i_size_read(inode))
		qtfs_zero_tail(inode);
	spin_lock(&qi->lock);
	qtfs_inode_touch(inode);
	set_bit(QTFS_INODE_STALE_DATA, &qi->state);
	qi->change = change;
	qi->racy = true;
	i_size_write(inode, size);
	spin_unlock(&qi->lock);
	return qtfs_revalidate_pages(inode);
}

/* It failed half-way, or who asked was killed: how far it came is not known. */
static void range_unknown(struct inode *inode)
{
	qtfs_inode_expire(inode);
	set_bit(QTFS_INODE_STALE_DATA, &qtfs_i(inode)->state);
}

static int falloc_call(struct file *file, u32 mode, loff_t offset, loff_t len,
		       struct qtfs_attr *attr)
{
	struct qtfs_open *open = qtfs_open_of(file);
	struct qtfs_wire_fallocate body = {
		.open	= cpu_to_le64(open->release.open),
		.offset = cpu_to_le64(offset),
		.length = cpu_to_le64(len),
		.mode	= cpu_to_le32(mode),
	};
	struct qtfs_wire_attr wire;
	struct qtfs_args args = {
		.op	 = QTFS_OP_FALLOCATE,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &wire, sizeof(wire) },
		.out_min = sizeof(wire),
	};

	return qtfs_call(open->session, &args) ?: qtfs_attr_decode(&wire, attr);
}

static int falloc_locked(struct file *file, int mode, u32 wire, loff_t offset,
			 loff_t len)
{
	const int moves = FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE;
	struct inode *inode = file_inode(file);
	struct qtfs_attr attr;
	int err = 0;

	if (!(mode & (moves | FALLOC_FL_KEEP_SIZE)))
		err = inode_newsize_ok(inode, offset + len);
	if (mode & FALLOC_FL_INSERT_RANGE)
		err = inode_newsize_ok(inode, i_size_read(inode) + len);
	if (!err)
		err = qtfs_flush_pages(inode, NULL);
	if (err)
		return err;
	err = falloc_call(file, wire, offset, len, &attr);
	if (err) {
		range_unknown(inode);
		return err;
	}
	return range_changed(inode, attr.size, attr.change);
}

long qtfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);
	u32 wire;
	int err;

	err = falloc_encode(mode, &wire);
	if (err)
		return err;
	err = down_write_killable(&inode->i_rwsem);
	if (err)
		return err;
	err = falloc_locked(file, mode, wire, offset, len);
	inode_unlock(inode);
	return err;
}

static ssize_t copy_call(struct file *in, loff_t in_pos, struct file *out,
			 loff_t out_pos, u64 len, u32 flags,
			 struct qtfs_wire_write_rep *rep)
{
	struct qtfs_open *open = qtfs_open_of(out);
	struct qtfs_wire_copy body = {
		.from_open = cpu_to_le64(qtfs_open_of(in)->release.open),
		.to_open   = cpu_to_le64(open->release.open),
		.from	   = cpu_to_le64(in_pos),
		.to	   = cpu_to_le64(out_pos),
		.length	   = cpu_to_le64(len),
		.flags	   = cpu_to_le32(flags),
	};
	struct qtfs_args args = {
		.op	 = QTFS_OP_COPY,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { rep, sizeof(*rep) },
		.out_min = sizeof(*rep),
	};
	int err;

	err = qtfs_flush_pages(file_inode(in), NULL);
	if (!err)
		err = qtfs_flush_pages(file_inode(out), NULL);
	if (!err)
		err = qtfs_call(open->session, &args);
	if (err)
		range_unknown(file_inode(out));
	if (!err && le64_to_cpu(rep->size) > MAX_LFS_FILESIZE)
		err = -EPROTO;
	return err;
}

/* Under @out's i_rwsem. Bytes copied or an error. */
static ssize_t copy_locked(struct file *in, loff_t in_pos, struct file *out,
			   loff_t out_pos, size_t len)
{
	struct qtfs_wire_write_rep rep;
	ssize_t n, err;

	err = copy_call(in, in_pos, out, out_pos, len, 0, &rep);
	if (err)
		return err;
	n = le32_to_cpu(rep.count);
	if (n > len)
		return -EPROTO;
	if (n)
		err = range_changed(file_inode(out), le64_to_cpu(rep.size),
				    le64_to_cpu(rep.change));
	return err ?: n;
}

static bool copied_by_server(struct file *in, struct file *out)
{
	return file_inode(in)->i_sb == file_inode(out)->i_sb &&
	       !qtfs_is_synthetic(file_inode(in)) &&
	       !qtfs_is_synthetic(file_inode(out));
}

ssize_t qtfs_copy_file_range(struct file *in, loff_t in_pos, struct file *out,
			     loff_t out_pos, size_t len, unsigned int flags)
{
	struct inode *inode = file_inode(out);
	ssize_t n = -EXDEV;

	if (copied_by_server(in, out)) {
		n = down_write_killable(&inode->i_rwsem);
		if (n)
			return n;
		n = copy_locked(in, in_pos, out, out_pos, len);
		inode_unlock(inode);
	}
	if (n == -EXDEV || n == -EOPNOTSUPP)
		n = splice_copy_file_range(in, in_pos, out, out_pos, len);
	return n;
}

loff_t qtfs_remap_file_range(struct file *in, loff_t in_pos, struct file *out,
			     loff_t out_pos, loff_t len, unsigned int flags)
{
	struct inode *inode = file_inode(out);
	struct qtfs_wire_write_rep rep;
	ssize_t err;

	if (flags & ~(REMAP_FILE_DEDUP | REMAP_FILE_ADVISORY))
		return -EINVAL;
	if ((flags & REMAP_FILE_DEDUP) || !copied_by_server(in, out))
		return -EOPNOTSUPP;
	err = down_write_killable(&inode->i_rwsem);
	if (err)
		return err;
	err = copy_call(in, in_pos, out, out_pos, len, QTFS_COPY_CLONE, &rep);
	if (!err)
		err = range_changed(inode, le64_to_cpu(rep.size),
				    le64_to_cpu(rep.change));
	inode_unlock(inode);
	/* All of it, or nothing. */
	return err ?: (len ?: max_t(loff_t, i_size_read(file_inode(in)) - in_pos, 0));
}

loff_t qtfs_seek_call(struct file *file, loff_t offset, int whence)
{
	struct qtfs_open *open = qtfs_open_of(file);
	struct qtfs_wire_seek body = {
		.open	= cpu_to_le64(open->release.open),
		.offset = cpu_to_le64(offset),
		.whence = cpu_to_le32(whence == SEEK_DATA ? QTFS_SEEK_DATA :
							    QTFS_SEEK_HOLE),
	};
	struct qtfs_wire_seek_rep rep;
	struct qtfs_args args = {
		.op	 = QTFS_OP_SEEK,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &rep, sizeof(rep) },
		.out_min = sizeof(rep),
	};
	int err;

	if (offset < 0)
		return -ENXIO;
	err = qtfs_flush_pages(file_inode(file), NULL) ?:
	      qtfs_call(open->session, &args);
	if (err)
		return err;
	if (le64_to_cpu(rep.offset) > MAX_LFS_FILESIZE)
		return -EPROTO;
	return le64_to_cpu(rep.offset);
}
