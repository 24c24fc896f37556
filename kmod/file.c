// SPDX-License-Identifier: GPL-2.0-only
/*
 * Step 1 of the request path for regular files: reading and writing through
 * the page cache or past it, flush and fsync.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "chan.h"
#include "compat/compat.h"
#include "file.h"
#include "flags.h"
#include "inode.h"
#include "lock.h"
#include "poll.h"
#include "range.h"
#include "req.h"

static int qtfs_flush(struct file *file, fl_owner_t id)
{
	struct inode *inode = file_inode(file);
	struct qtfs_open *open = qtfs_open_of(file);
	bool closing;
	int err;

	if (!(file->f_mode & FMODE_WRITE))
		return 0;
	if (qtfs_dying()) {
		filemap_flush(inode->i_mapping);
		return -EINTR;
	}
	closing = file_count(file) == 1 && qtfs_open_takes_pages(open) &&
		  !qtfs_posix_locked(inode);
	err = qtfs_flush_pages(inode, closing ? open : NULL);
	if (err == -EINTR)
		return err;
	return file_check_and_advance_wb_err(file) ?: err;
}

int qtfs_fsync_call(struct qtfs_open *open, bool datasync)
{
	struct qtfs_wire_fsync body = {
		.open  = cpu_to_le64(open->release.open),
		.flags = cpu_to_le32(datasync ? QTFS_FSYNC_DATA : 0),
	};
	struct qtfs_args args = {
		.op	= QTFS_OP_FSYNC,
		.nr_in	= 1,
		.in[0]	= { &body, sizeof(body) },
		.cred	= open->cred,
	};

	return qtfs_call(open->session, &args);
}

static int qtfs_fsync(struct file *file, loff_t start, loff_t end,
		      int datasync)
{
	struct inode *inode = file_inode(file);
	int err, wb;

	err = qtfs_flush_pages(inode, NULL);
	/* That took long enough already. */
	if (!err && qtfs_session_stalled(qtfs_open_of(file)->session))
		err = -ETIMEDOUT;
	if (!err)
		err = qtfs_fsync_call(qtfs_open_of(file), datasync);
	wb = file_check_and_advance_wb_err(file);
	return wb ?: err;
}

/*
 * A reader that keeps the file open sees what others append, in time. While
 * there is dirty data, ours is what counts.
 */
static int read_revalidate(struct inode *inode)
{
	int err = qtfs_has_dirty_pages(inode) ? 0 :
		  qtfs_inode_revalidate(inode, false);

	return err ?: qtfs_revalidate_pages(inode);
}

/*
 * Only what is in the cache, and known to be what the file has. Not even
 * readahead is begun: that could have to wait for a tag.
 */
static ssize_t read_nowait(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	int before = iocb->ki_flags & IOCB_NOIO;
	ssize_t n;

	if ((iocb->ki_flags & IOCB_DIRECT) || !qtfs_pages_are_good(inode) ||
	    !(qtfs_inode_fresh(inode) || qtfs_has_dirty_pages(inode)))
		return -EAGAIN;
	iocb->ki_flags |= IOCB_NOIO;
	n = generic_file_read_iter(iocb, to);
	iocb->ki_flags = (iocb->ki_flags & ~IOCB_NOIO) | before;
	return n;
}

static ssize_t qtfs_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	int err;

	if (iocb->ki_flags & IOCB_NOWAIT)
		return qtfs_is_uncached(inode) ? -EAGAIN : read_nowait(iocb, to);
	if ((iocb->ki_flags & IOCB_DIRECT) || qtfs_is_uncached(inode)) {
		err = qtfs_flush_pages(inode, NULL);
		return err ?: qtfs_read_through(iocb, to);
	}
	err = read_revalidate(inode);
	return err ?: generic_file_read_iter(iocb, to);
}

static ssize_t qtfs_splice_read(struct file *file, loff_t *pos,
				struct pipe_inode_info *pipe, size_t len,
				unsigned int flags)
{
	int err;

	if (qtfs_is_uncached(file_inode(file)))
		return copy_splice_read(file, pos, pipe, len, flags);
	err = read_revalidate(file_inode(file));
	return err ?: filemap_splice_read(file, pos, pipe, len, flags);
}

/* A page that is stored to through a mapping would undo what goes past it. */
static bool goes_past_cache(struct inode *inode)
{
	return qtfs_is_uncached(inode) &&
	       !mapping_writably_mapped(inode->i_mapping);
}

/* @n bytes are in the cache of a file that has none but for its mappings. */
static ssize_t write_settle(struct kiocb *iocb, ssize_t n)
{
	int err = qtfs_flush_pages(file_inode(iocb->ki_filp), NULL);

	err = err ?: file_check_and_advance_wb_err(iocb->ki_filp);
	return err ?: generic_write_sync(iocb, n);
}

/* As file_remove_privs() has it: the server does it, for the open of who writes. */
static bool clears_set_id(const struct inode *inode)
{
	umode_t mode = READ_ONCE(inode->i_mode);

	return ((mode & S_ISUID) ||
		(mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) &&
	       !capable(CAP_FSETID);
}

static ssize_t qtfs_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	bool through, set_id;
	ssize_t n;
	int err;

	if (iocb->ki_flags & IOCB_NOWAIT)
		return -EAGAIN;
	err = down_write_killable(&inode->i_rwsem);
	if (err)
		return err;
	/* Notes of locks shrink before who unlocks passes i_rwsem. */
	set_id = clears_set_id(inode);
	through = (iocb->ki_flags & (IOCB_APPEND | IOCB_DIRECT)) || set_id ||
		  goes_past_cache(inode) || qtfs_partly_locked(inode);
	n = generic_write_checks(iocb, from);
	err = n > 0 ? qtfs_may_modify(inode) : 0;
	/* RWF_NOAPPEND, or O_APPEND taken away: the VFS would have refused it. */
	if (!err && n > 0 && !(iocb->ki_flags & IOCB_APPEND) &&
	    !qtfs_open_takes_pages(qtfs_open_of(iocb->ki_filp)))
		err = -EPERM;
	if (err)
		n = err;
	if (n > 0)
		n = through ? qtfs_write_through(iocb, from) :
			      qtfs_buffered_write(iocb, from);
	inode_unlock(inode);
	if (n > 0 && set_id)
		qtfs_inode_revalidate(inode, true);
	if (n > 0 && !through)
		n = qtfs_is_uncached(inode) ? write_settle(iocb, n) :
					      generic_write_sync(iocb, n);
	return n;
}

static loff_t qtfs_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);
	int err;

	if (whence == SEEK_DATA || whence == SEEK_HOLE) {
		offset = qtfs_seek_call(file, offset, whence);
		if (offset < 0)
			return offset;
		return vfs_setpos(file, offset, inode->i_sb->s_maxbytes);
	}
	if (whence == SEEK_END) {
		err = qtfs_inode_revalidate(inode, false);
		if (err)
			return err;
	}
	return generic_file_llseek(file, offset, whence);
}

const struct file_operations qtfs_file_operations = {
	.open		= qtfs_open,
	.release	= qtfs_release,
	.flush		= qtfs_flush,
	.fsync		= qtfs_fsync,
	.llseek		= qtfs_llseek,
	.read_iter	= qtfs_read_iter,
	.write_iter	= qtfs_write_iter,
	.mmap		= qtfs_mmap,
	.fallocate	= qtfs_fallocate,
	.copy_file_range = qtfs_copy_file_range,
	.remap_file_range = qtfs_remap_file_range,
	.unlocked_ioctl	= qtfs_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.lock		= qtfs_lock,
	.flock		= qtfs_flock,
	.setlease	= simple_nosetlease,
	.splice_read	= qtfs_splice_read,
	.splice_write	= iter_file_splice_write,
};
