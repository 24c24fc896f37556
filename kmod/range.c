// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ranges of files that the server allocates, empties, moves, copies or looks
 * for holes in. Dirty pages go there first; cached ones that are not the file's
 * any more are dropped afterwards.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>

#include "compat/compat.h"
#include "file.h"
#include "inode.h"
#include "lock.h"
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
		.chan	 = qtfs_locked_chan(file),
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
		qtfs_data_unknown(inode);
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

/* What the server is to copy must be there: an error that fsync(2) would tell counts now. */
static int flush_for_server(struct file *file)
{
	int err = qtfs_flush_pages(file_inode(file), NULL);

	return err ?: filemap_check_wb_err(file->f_mapping,
					   READ_ONCE(file->f_wb_err));
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

	err = flush_for_server(in);
	if (!err)
		err = flush_for_server(out);
	if (!err)
		err = qtfs_call(open->session, &args);
	if (err)
		qtfs_data_unknown(file_inode(out));
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
	/* Submounts as well: it says itself what it cannot copy between them. */
	return qtfs_session(file_inode(in)->i_sb) ==
		       qtfs_session(file_inode(out)->i_sb) &&
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

/* The contents stay what they are, so nothing of the cache has to go. */
static loff_t dedupe(struct file *in, loff_t in_pos, struct file *out,
		     loff_t out_pos, loff_t len)
{
	struct qtfs_wire_copy body = {
		.from_open = cpu_to_le64(qtfs_open_of(in)->release.open),
		.to_open   = cpu_to_le64(qtfs_open_of(out)->release.open),
		.from	   = cpu_to_le64(in_pos),
		.to	   = cpu_to_le64(out_pos),
		.length	   = cpu_to_le64(len),
	};
	struct qtfs_wire_dedupe_rep rep;
	struct qtfs_args args = {
		.op	 = QTFS_OP_DEDUPE,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &rep, sizeof(rep) },
		.out_min = sizeof(rep),
	};
	int err;

	if (!len)
		return 0;
	err = flush_for_server(in) ?: flush_for_server(out) ?:
	      qtfs_call(qtfs_open_of(out)->session, &args);
	if (err)
		return err;
	if (rep.differs)
		return -EBADE;
	if (le64_to_cpu(rep.length) > len)
		return -EPROTO;
	return le64_to_cpu(rep.length);
}

loff_t qtfs_remap_file_range(struct file *in, loff_t in_pos, struct file *out,
			     loff_t out_pos, loff_t len, unsigned int flags)
{
	struct inode *inode = file_inode(out);
	struct qtfs_wire_write_rep rep;
	loff_t count;
	ssize_t err;

	if (flags & ~(REMAP_FILE_DEDUP | REMAP_FILE_ADVISORY))
		return -EINVAL;
	if (!copied_by_server(in, out))
		return -EOPNOTSUPP;
	if (flags & REMAP_FILE_DEDUP)
		return dedupe(in, in_pos, out, out_pos, len);
	err = down_write_killable(&inode->i_rwsem);
	if (err)
		return err;
	count = len ?: max_t(loff_t, i_size_read(file_inode(in)) - in_pos, 0);
	err = inode_newsize_ok(inode, out_pos + count);
	if (!err)
		err = copy_call(in, in_pos, out, out_pos, len, QTFS_COPY_CLONE,
				&rep);
	if (!err)
		err = range_changed(inode, le64_to_cpu(rep.size),
				    le64_to_cpu(rep.change));
	inode_unlock(inode);
	/* All of it, or nothing. */
	return err ?: count;
}

static u32 whence_encode(int whence)
{
	switch (whence) {
	case SEEK_DATA:
		return QTFS_SEEK_DATA;
	case SEEK_HOLE:
		return QTFS_SEEK_HOLE;
	default:
		return QTFS_SEEK_END;
	}
}

loff_t qtfs_seek_call(struct file *file, loff_t offset, int whence)
{
	struct qtfs_open *open = qtfs_open_of(file);
	struct qtfs_wire_seek body = {
		.open	= cpu_to_le64(open->release.open),
		.offset = cpu_to_le64(offset),
		.whence = cpu_to_le32(whence_encode(whence)),
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

	if (offset < 0 && whence != SEEK_END)
		return -ENXIO;
	err = qtfs_flush_pages(file_inode(file), NULL) ?:
	      qtfs_call(open->session, &args);
	if (err)
		return err;
	if (le64_to_cpu(rep.offset) > MAX_LFS_FILESIZE)
		return -EPROTO;
	return le64_to_cpu(rep.offset);
}

static u32 extent_flags_decode(u32 wire)
{
	static const struct {
		u32 wire;
		u32 native;
	} map[] = {
		{ QTFS_EXTENT_LAST,	   FIEMAP_EXTENT_LAST },
		{ QTFS_EXTENT_UNKNOWN,	   FIEMAP_EXTENT_UNKNOWN },
		{ QTFS_EXTENT_DELALLOC,	   FIEMAP_EXTENT_DELALLOC },
		{ QTFS_EXTENT_ENCODED,	   FIEMAP_EXTENT_ENCODED },
		{ QTFS_EXTENT_ENCRYPTED,   FIEMAP_EXTENT_DATA_ENCRYPTED },
		{ QTFS_EXTENT_NOT_ALIGNED, FIEMAP_EXTENT_NOT_ALIGNED },
		{ QTFS_EXTENT_INLINE,	   FIEMAP_EXTENT_DATA_INLINE },
		{ QTFS_EXTENT_TAIL,	   FIEMAP_EXTENT_DATA_TAIL },
		{ QTFS_EXTENT_UNWRITTEN,   FIEMAP_EXTENT_UNWRITTEN },
		{ QTFS_EXTENT_MERGED,	   FIEMAP_EXTENT_MERGED },
		{ QTFS_EXTENT_SHARED,	   FIEMAP_EXTENT_SHARED },
	};
	u32 native = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(map); i++)
		if (wire & map[i].wire)
			native |= map[i].native;
	return native;
}

/* How many extents are asked for at once. */
#define FIEMAP_BATCH 128u

/* A part of FIEMAP: where the extents that are asked for next begin. */
struct fiemap_part {
	struct fiemap_extent_info *info;
	u64 start;
	u64 end;
	u32 count;
};

/*
 * Hands on what one reply brought. 1: that was all, or all there is room for;
 * 0: go on at @part->start; or an error.
 */
static int fiemap_fill(struct fiemap_part *part,
		       const struct qtfs_wire_extent *extents, u32 nr)
{
	u64 at, len;
	u32 i, flags;
	int ret;

	for (i = 0; i < nr; i++) {
		at = le64_to_cpu(extents[i].logical);
		len = le64_to_cpu(extents[i].length);
		/* In order, so that it comes to an end. */
		if (!len || len > U64_MAX - at || at + len <= part->start ||
		    at >= part->end || extents[i].reserved)
			return -EPROTO;
		part->start = at + len;
		flags = le32_to_cpu(extents[i].flags);
		ret = fiemap_fill_next_extent(part->info, at,
					      le64_to_cpu(extents[i].physical),
					      len, extent_flags_decode(flags));
		if (ret)
			return ret;
		if (flags & QTFS_EXTENT_LAST)
			return 1;
	}
	return nr < part->count || part->start >= part->end;
}

static u32 fiemap_flags_encode(u32 native)
{
	u32 wire = 0;

	if (native & FIEMAP_FLAG_XATTR)
		wire |= QTFS_FIEMAP_XATTR;
	if (native & FIEMAP_FLAG_SYNC)
		wire |= QTFS_FIEMAP_SYNC;
	return wire;
}

static int fiemap_call(struct inode *inode, struct fiemap_part *part)
{
	struct qtfs_open *open = qtfs_open_any(inode, 0);
	struct qtfs_wire_fiemap body = {
		.node	= cpu_to_le64(qtfs_i(inode)->node),
		.open	= cpu_to_le64(open ? open->release.open : 0),
		.start	= cpu_to_le64(part->start),
		.length = cpu_to_le64(part->end - part->start),
		.count	= cpu_to_le32(part->count),
		.flags	= cpu_to_le32(fiemap_flags_encode(part->info->fi_flags)),
	};
	struct qtfs_wire_extents rep;
	struct qtfs_args args = {
		.op	  = QTFS_OP_FIEMAP,
		.nr_in	  = 1,
		.in[0]	  = { &body, sizeof(body) },
		.out	  = { &rep, sizeof(rep) },
		.out_min  = sizeof(rep),
		.data_max = part->count * sizeof(struct qtfs_wire_extent),
	};
	int ret;

	ret = qtfs_call(qtfs_session(inode->i_sb), &args);
	if (open)
		qtfs_open_put(open);
	if (!ret && args.data_len != (u64)le32_to_cpu(rep.nr) *
				     sizeof(struct qtfs_wire_extent))
		ret = -EPROTO;
	if (!ret)
		ret = fiemap_fill(part, args.data, le32_to_cpu(rep.nr));
	kvfree(args.data);
	return ret;
}

int qtfs_fiemap(struct inode *inode, struct fiemap_extent_info *info,
		u64 start, u64 len)
{
	struct fiemap_part part = { .info = info, .start = start };
	int ret;

	/* Killably, before the VFS does it. Its errors are fsync's to tell. */
	if ((info->fi_flags & FIEMAP_FLAG_SYNC) && S_ISREG(inode->i_mode) &&
	    qtfs_flush_pages(inode, NULL) == -EINTR)
		return -EINTR;
	ret = fiemap_prep(inode, info, start, &len, FIEMAP_FLAG_XATTR);
	if (ret)
		return ret;
	part.end = start + len;
	do {
		/* Without room, they are counted. */
		part.count = FIEMAP_BATCH;
		if (info->fi_extents_max)
			part.count = min(part.count, info->fi_extents_max -
						     info->fi_extents_mapped);
		ret = fiemap_call(inode, &part);
	} while (!ret);
	/* Of synthetic files. */
	return ret == -ENOTTY ? -EOPNOTSUPP : min(ret, 0);
}
