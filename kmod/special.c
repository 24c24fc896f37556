// SPDX-License-Identifier: GPL-2.0-only
/*
 * Step 1 of the request path for files that are never cached: synthetic files
 * and FIFOs. What is read and written is the server's at once. Those that may
 * have to be waited for, FIFOs and what can be polled, have file operations of
 * their own: a wait holds no tag, and any signal ends it.
 */
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include <asm/ioctls.h>

#include "device.h"
#include "file.h"
#include "inode.h"
#include "lock.h"
#include "poll.h"
#include "range.h"
#include "req.h"

/* Synthetic files: one read is one request, with the file's own boundaries. */
static ssize_t qtfs_direct_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct qtfs_open *open = qtfs_open_of(iocb->ki_filp);
	u32 max = qtfs_fs(file_inode(iocb->ki_filp)->i_sb)->opts.rsize;
	ssize_t n;

	if (!iov_iter_count(to))
		return 0;
	if (iocb->ki_flags & IOCB_NOWAIT)
		return -EAGAIN;
	n = qtfs_read_once(open, iocb->ki_pos,
			   min_t(size_t, iov_iter_count(to), max), to, 0);
	if (n > 0)
		iocb->ki_pos += n;
	return n;
}

/* Synthetic files: one write is one write, boundaries and errors the server's. */
static ssize_t qtfs_direct_write_iter(struct kiocb *iocb,
				      struct iov_iter *from)
{
	u32 max = qtfs_fs(file_inode(iocb->ki_filp)->i_sb)->opts.wsize;

	if (iocb->ki_flags & IOCB_NOWAIT)
		return -EAGAIN;
	return qtfs_write_once(iocb, min_t(size_t, iov_iter_count(from), max),
			       from, 0);
}

/* Synthetic files have no size here. Some have an end at the server. */
static loff_t qtfs_direct_llseek(struct file *file, loff_t offset, int whence)
{
	if (whence != SEEK_END)
		return no_seek_end_llseek(file, offset, whence);
	offset = qtfs_seek_call(file, offset, whence);
	if (offset < 0)
		return offset;
	return vfs_setpos(file, offset, file_inode(file)->i_sb->s_maxbytes);
}

/* Nothing is cached: what the server's file does, be it EINVAL. */
static int qtfs_direct_fsync(struct file *file, loff_t start, loff_t end,
			     int datasync)
{
	return qtfs_fsync_call(qtfs_open_of(file), datasync);
}

/* Files that may have to be waited for */

/* Most bytes of a READ that may wait: a buffer is set aside for as long. */
#define STREAM_READ_MAX 65536
/* Of a connection: no message is longer. */
#define MESSAGE_READ_MAX 262144

static bool stream_nowait(const struct kiocb *iocb)
{
	return (iocb->ki_filp->f_flags & O_NONBLOCK) ||
	       (iocb->ki_flags & IOCB_NOWAIT);
}

/* io_uring's NOWAIT may wait for a server that is there, but for nobody else. */
static bool stream_must_not(const struct kiocb *iocb)
{
	return (iocb->ki_flags & IOCB_NOWAIT) &&
	       !qtfs_session_alive(qtfs_open_of(iocb->ki_filp)->session);
}

/* Nor does a signal end what does not wait: it is tried again where one may. */
static ssize_t stream_result(const struct kiocb *iocb, ssize_t n)
{
	return n == -ERESTARTSYS && (iocb->ki_flags & IOCB_NOWAIT) ? -EAGAIN : n;
}

ssize_t qtfs_stream_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	size_t count = min_t(size_t, iov_iter_count(to),
			     qtfs_fs(inode->i_sb)->opts.rsize);
	ssize_t n;

	if (!count)
		return 0;
	if (stream_must_not(iocb))
		return -EAGAIN;
	if (S_ISFIFO(inode->i_mode) || qtfs_is_device(inode))
		count = min_t(size_t, count, STREAM_READ_MAX);
	if (S_ISSOCK(inode->i_mode))
		count = min_t(size_t, count, MESSAGE_READ_MAX);
	/* What cannot be handed over would be lost. */
	if (fault_in_iov_iter_writeable(to, count) == count)
		return -EFAULT;
	n = qtfs_read_once(qtfs_open_of(iocb->ki_filp), iocb->ki_pos, count, to,
			   stream_nowait(iocb) ? QTFS_READ_NOWAIT : 0);
	if (n > 0)
		iocb->ki_pos += n;
	return stream_result(iocb, n);
}

/* Into a FIFO goes all of it, if need be in parts, as with write(2) locally. */
ssize_t qtfs_stream_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	u32 max = qtfs_fs(inode->i_sb)->opts.wsize;
	bool fifo = S_ISFIFO(inode->i_mode);
	ssize_t done = 0, n = 0;
	size_t count;

	if (fifo && !iov_iter_count(from))
		return 0;
	if (stream_must_not(iocb))
		return -EAGAIN;
	do {
		count = min_t(size_t, iov_iter_count(from), max);
		n = qtfs_write_once(iocb, count, from,
				    stream_nowait(iocb) ? QTFS_WRITE_NOWAIT : 0);
		if (n > 0)
			done += n;
	} while (fifo && n == count && iov_iter_count(from));
	if (fifo && n == -EPIPE)
		send_sig(SIGPIPE, current, 0);
	return done ?: stream_result(iocb, n);
}

static int stream_readable(struct file *file, int __user *to)
{
	struct qtfs_open *open = qtfs_open_of(file);
	struct qtfs_wire_ioctl body = {
		.open = cpu_to_le64(open->release.open),
		.cmd  = cpu_to_le32(QTFS_IOCTL_READABLE),
	};
	struct qtfs_wire_ioctl_rep rep;
	struct qtfs_args args = {
		.op	 = QTFS_OP_IOCTL,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &rep, sizeof(rep) },
		.out_min = sizeof(rep),
		.cred	 = open->cred,
	};
	int err;

	err = qtfs_call(open->session, &args);
	if (err)
		return err;
	if (le64_to_cpu(rep.result) > INT_MAX)
		return -EPROTO;
	return put_user((int)le64_to_cpu(rep.result), to);
}

static long qtfs_stream_ioctl(struct file *file, unsigned int cmd,
			      unsigned long arg)
{
	if (cmd == FIONREAD && S_ISFIFO(file_inode(file)->i_mode))
		return stream_readable(file, (int __user *)arg);
	if (qtfs_is_device(file_inode(file)))
		return qtfs_device_ioctl(file, cmd, arg);
	return -ENOTTY;
}

/* Set at the open, which tells whether the file can be polled. */
const struct file_operations qtfs_stream_operations = {
	.open		= qtfs_open,
	.release	= qtfs_release,
	.llseek		= qtfs_direct_llseek,
	.read_iter	= qtfs_stream_read_iter,
	.write_iter	= qtfs_stream_write_iter,
	.poll		= qtfs_poll,
	.fsync		= qtfs_direct_fsync,
	.unlocked_ioctl	= qtfs_stream_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.lock		= qtfs_lock,
	.flock		= qtfs_flock,
	.setlease	= simple_nosetlease,
	.splice_read	= copy_splice_read,
	.splice_write	= iter_file_splice_write,
};

const struct file_operations qtfs_direct_operations = {
	.open		= qtfs_open,
	.release	= qtfs_release,
	.llseek		= qtfs_direct_llseek,
	.read_iter	= qtfs_direct_read_iter,
	.write_iter	= qtfs_direct_write_iter,
	.fsync		= qtfs_direct_fsync,
	.unlocked_ioctl	= qtfs_stream_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.lock		= qtfs_lock,
	.flock		= qtfs_flock,
	.setlease	= simple_nosetlease,
	.splice_read	= copy_splice_read,
	.splice_write	= iter_file_splice_write,
};
