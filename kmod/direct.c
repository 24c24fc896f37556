// SPDX-License-Identifier: GPL-2.0-only
/*
 * Past the page cache: O_DIRECT, appending, files that are not cached. A long
 * transfer goes straight between the caller's own pages and the link, in
 * requests of up to rsize or wsize bytes, several under way; a request keeps
 * the pages pinned, so that it may outlive its caller. What is short, or not
 * in user memory, is copied.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "chan.h"
#include "compat/compat.h"
#include "file.h"
#include "inode.h"
#include "lock.h"
#include "poll.h"
#include "req.h"

/* Copied */

ssize_t qtfs_read_once(struct qtfs_open *open, loff_t pos, size_t count,
		       struct iov_iter *to, u32 flags)
{
	struct qtfs_wire_read body = {
		.open	= cpu_to_le64(open->release.open),
		.offset	= cpu_to_le64(pos),
		.count	= cpu_to_le32(count),
		.flags	= cpu_to_le32(flags),
	};
	struct {
		struct qtfs_wire_read_rep rep;
		struct qtfs_wire_level level;
	} out;
	struct qtfs_args args = {
		.op	  = QTFS_OP_READ,
		.nr_in	  = 1,
		.in[0]	  = { &body, sizeof(body) },
		.out	  = { &out, sizeof(out) },
		.out_min  = sizeof(out.rep),
		.data_max = count,
		.cred	  = open->cred,
		.open	  = open->poll ? open : NULL,
		.may_park = open->poll,
		.fragile  = open->socket,
	};
	ssize_t n;
	int err;

	if (open->socket && qtfs_session_has(open->session, QTFS_FEATURE_RIGHTS))
		body.flags |= cpu_to_le32(QTFS_READ_RIGHTS);
	err = qtfs_call(open->session, &args);
	if (!err && le32_to_cpu(out.rep.count) != args.data_len)
		err = -EPROTO;
	if (!err && open->socket &&
	    (le32_to_cpu(out.rep.flags) & QTFS_READ_TAKE))
		WRITE_ONCE(open->takes, true);
	if (!err && open->poll && args.out_len >= sizeof(out))
		qtfs_poll_level(open, &out.level, args.data_len < count);
	n = err;
	if (!err && args.data_len) {
		n = copy_to_iter(args.data, args.data_len, to);
		if (!n)
			n = -EFAULT;
	}
	kvfree(args.data);
	return n;
}

static u32 write_flags(const struct kiocb *iocb)
{
	const struct inode *inode = file_inode(iocb->ki_filp);
	u32 flags = 0;

	if (iocb->ki_flags & IOCB_APPEND)
		flags |= QTFS_WRITE_APPEND;
	if (iocb->ki_flags & IOCB_SYNC)
		flags |= QTFS_WRITE_SYNC;
	else if ((iocb->ki_flags & IOCB_DSYNC) ||
		 (S_ISREG(inode->i_mode) && IS_SYNC(inode)))
		flags |= QTFS_WRITE_DSYNC;
	return flags;
}

/* How many of @count bytes a WRITE took, or -EPROTO. */
static ssize_t write_taken(const struct qtfs_wire_write_rep *rep, size_t count)
{
	u64 end = le64_to_cpu(rep->offset);
	size_t n = le32_to_cpu(rep->count);

	return n > count || end < n || end > MAX_LFS_FILESIZE ? -EPROTO : n;
}

/* @n bytes in front of @end are at the server, past the cache. */
static void write_done(const struct kiocb *iocb, loff_t end, size_t n,
		       const struct qtfs_wire_write_rep *rep)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct qtfs_inode *qi = qtfs_i(inode);
	loff_t start = end - n;

	qtfs_inode_modified(inode);
	/* Old pages go first: none may be seen together with the new length. */
	invalidate_inode_pages2_range(inode->i_mapping, start >> PAGE_SHIFT,
				      (end - 1) >> PAGE_SHIFT);
	spin_lock(&qi->lock);
	/* What others appended meanwhile is not in the cache. */
	if (((iocb->ki_flags & IOCB_APPEND) && start != i_size_read(inode)) ||
	    le64_to_cpu(rep->size) > max(end, i_size_read(inode)))
		set_bit(QTFS_INODE_STALE_DATA, &qi->state);
	qi->change = le64_to_cpu(rep->change);
	qi->racy = true;
	if (end > i_size_read(inode))
		i_size_write(inode, end);
	spin_unlock(&qi->lock);
}

ssize_t qtfs_write_once(struct kiocb *iocb, size_t count,
			struct iov_iter *from, u32 flags)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct qtfs_open *open = qtfs_open_of(iocb->ki_filp);
	struct qtfs_wire_write body = {
		.open	= cpu_to_le64(open->release.open),
		.offset	= cpu_to_le64(iocb->ki_pos),
		.count	= cpu_to_le32(count),
		.flags	= cpu_to_le32(write_flags(iocb) | flags),
	};
	struct {
		struct qtfs_wire_write_rep rep;
		struct qtfs_wire_level level;
	} out;
	struct qtfs_args args = {
		.op	  = QTFS_OP_WRITE,
		.nr_in	  = 1,
		.in[0]	  = { &body, sizeof(body) },
		.out	  = { &out, sizeof(out) },
		.out_min  = sizeof(out.rep),
		.cred	  = open->cred,
		.open	  = open->poll ? open : NULL,
		.may_park = open->poll,
		.fragile  = open->socket,
		.chan	  = qtfs_locked_chan(iocb->ki_filp),
	};
	void *copy = kvmalloc(count, GFP_KERNEL);
	ssize_t n;
	int err;

	if (!copy)
		return -ENOMEM;
	if (!copy_from_iter_full(copy, count, from)) {
		kvfree(copy);
		return -EFAULT;
	}
	args.data_in = (struct kvec){ copy, count };
	err = qtfs_call(open->session, &args);
	kvfree(copy);
	if (qtfs_may_be_done(err))
		qtfs_data_unknown(inode);
	if (err)
		return err;
	if (open->poll && args.out_len >= sizeof(out))
		qtfs_poll_level(open, &out.level, false);
	n = write_taken(&out.rep, count);
	if (n < 0)
		return n;
	iov_iter_revert(from, count - n);
	iocb->ki_pos = iocb->ki_flags & IOCB_APPEND ?
		       le64_to_cpu(out.rep.offset) : iocb->ki_pos + n;
	if (n && S_ISREG(inode->i_mode) && !qtfs_is_synthetic(inode))
		write_done(iocb, iocb->ki_pos, n, &out.rep);
	return n;
}

/* Pinned */

/* Requests of one read(2) or write(2) that are under way at the same time. */
#define DIRECT_BATCH 8

/*
 * A transfer between the caller's pages and the engine.
 * @pos: of the next request
 * @parts: requests under way, each with a reference, in order
 */
struct direct {
	struct kiocb *iocb;
	struct iov_iter *iter;
	u16 op;
	loff_t pos;
	struct direct_part {
		struct qtfs_req *req;
		loff_t pos;
	} parts[DIRECT_BATCH];
	unsigned int nr;
};

/* Whether pinning is worth its while. */
static bool can_pin(const struct iov_iter *iter)
{
	size_t pages = iov_iter_count(iter) >> PAGE_SHIFT;

	return pages && user_backed_iter(iter) &&
	       iov_iter_npages(iter, INT_MAX) <= 2 * pages + 2;
}

/*
 * Pins the next @len bytes of @iter, which moves. On failure @to has what was
 * pinned before.
 */
static int pin_pages(struct iov_iter *iter, size_t len, struct qtfs_pages *to)
{
	struct iov_iter part = *iter;
	struct page *pages[16];
	unsigned int i, max;
	size_t offset, size;
	ssize_t n;

	iov_iter_truncate(&part, len);
	max = iov_iter_npages(&part, INT_MAX);
	*to = (struct qtfs_pages){
		.bvec	= kmalloc_array(max, sizeof(*to->bvec), GFP_KERNEL),
		.pinned = true,
	};
	if (!to->bvec)
		return -ENOMEM;
	while (to->len < len) {
		n = qtfs_pin_pages(iter, pages, len - to->len,
				   min_t(size_t, ARRAY_SIZE(pages), max - to->nr),
				   &offset);
		if (n <= 0) {
			iov_iter_revert(iter, to->len);
			return n ?: -EFAULT;
		}
		to->len += n;
		for (i = 0; n; i++, n -= size, offset = 0) {
			size = min_t(size_t, n, PAGE_SIZE - offset);
			to->bvec[to->nr++] = (struct bio_vec){
				pages[i], size, offset
			};
		}
	}
	return 0;
}

/* The caller has, or had, a reference of its own. */
static void direct_done(struct qtfs_req *req)
{
	qtfs_req_put(req);
}

static struct qtfs_req *direct_req(const struct direct *d, size_t len)
{
	struct qtfs_open *open = qtfs_open_of(d->iocb->ki_filp);
	struct qtfs_wire_read read = {
		.open	= cpu_to_le64(open->release.open),
		.offset = cpu_to_le64(d->pos),
		.count	= cpu_to_le32(len),
	};
	struct qtfs_wire_write write = {
		.open	= cpu_to_le64(open->release.open),
		.offset = cpu_to_le64(d->pos),
		.count	= cpu_to_le32(len),
		.flags	= cpu_to_le32(write_flags(d->iocb)),
	};
	struct qtfs_args args = {
		.op	= d->op,
		.nr_in	= 1,
		.open	= open,
	};
	struct qtfs_req *req;

	if (d->op == QTFS_OP_READ) {
		args.in[0] = (struct kvec){ &read, sizeof(read) };
		args.out_min = sizeof(struct qtfs_wire_read_rep);
	} else {
		args.in[0] = (struct kvec){ &write, sizeof(write) };
		args.out_min = sizeof(struct qtfs_wire_write_rep);
		args.chan = qtfs_locked_chan(d->iocb->ki_filp);
	}
	args.out.iov_len = args.out_min;
	req = qtfs_req_new(&args, GFP_NOFS);
	if (req)
		req->done = direct_done;
	return req;
}

static int direct_send(struct direct *d, size_t len)
{
	struct qtfs_open *open = qtfs_open_of(d->iocb->ki_filp);
	struct qtfs_req *req = direct_req(d, len);
	int err;

	if (!req)
		return -ENOMEM;
	err = pin_pages(d->iter, len,
			d->op == QTFS_OP_READ ? &req->recv : &req->send);
	if (!err) {
		req->recv_max = req->recv.len;
		qtfs_req_get(req);
		err = qtfs_submit(open->session, req, open->cred, true);
		if (!err) {
			d->parts[d->nr++] = (struct direct_part){ req, d->pos };
			d->pos += len;
			return 0;
		}
		iov_iter_revert(d->iter, len);
		qtfs_req_put(req);
	}
	qtfs_req_put(req);
	return err;
}

/* Bytes that a READ brought, or an error. */
static ssize_t read_result(struct qtfs_req *req)
{
	const struct qtfs_wire_read_rep *rep = req->reply;
	unsigned int i;

	if (le32_to_cpu(rep->count) != req->recv_len)
		return -EPROTO;
	for (i = 0; req->recv_len && i < req->recv.nr; i++)
		set_page_dirty_lock(req->recv.bvec[i].bv_page);
	return req->recv_len;
}

/* Bytes that a WRITE took, or an error. One that appends tells its position. */
static ssize_t write_result(const struct kiocb *iocb, struct direct_part *part)
{
	const struct qtfs_wire_write_rep *rep = part->req->reply;
	ssize_t n = write_taken(rep, part->req->send.len);

	if (n >= 0 && (iocb->ki_flags & IOCB_APPEND))
		part->pos = le64_to_cpu(rep->offset) - n;
	if (n > 0)
		write_done(iocb, part->pos + n, n, rep);
	return n;
}

static ssize_t part_result(struct direct *d, struct direct_part *part)
{
	struct qtfs_session *session = qtfs_open_of(d->iocb->ki_filp)->session;
	int err = qtfs_help(session, part->req);

	if (err)
		qtfs_req_give_up(session, part->req);
	else
		err = part->req->err;
	if (err)
		return err;
	return d->op == QTFS_OP_READ ? read_result(part->req) :
				       write_result(d->iocb, part);
}

/*
 * Waits for all that is under way. Return: bytes up to the first that came
 * short, or what befell the first. What later WRITEs did is not told, but the
 * cache must not hide it.
 */
static ssize_t direct_collect(struct direct *d)
{
	ssize_t done = 0, n, err = 0;
	struct direct_part *part;
	bool whole = true;
	size_t len;

	for (part = d->parts; part < d->parts + d->nr; part++) {
		n = part_result(d, part);
		len = part->req->recv.len ?: part->req->send.len;
		qtfs_req_put(part->req);
		if (whole && n > 0) {
			done += n;
			d->iocb->ki_pos = part->pos + n;
		} else if (whole) {
			err = n;
		}
		whole &= n == len;
	}
	if (d->op == QTFS_OP_WRITE && !whole)
		qtfs_data_unknown(file_inode(d->iocb->ki_filp));
	d->nr = 0;
	return done ?: err;
}

/* Transfers all of @iter, as far as it comes. @max: bytes of one request. */
static ssize_t direct_run(struct direct *d, u32 max)
{
	/* Where the next one goes is known when this one has gone. */
	unsigned int batch = d->iocb->ki_flags & IOCB_APPEND ? 1 : DIRECT_BATCH;
	ssize_t done = 0, n, want;
	size_t len;
	int err;

	do {
		d->pos = d->iocb->ki_pos;
		for (err = 0, want = 0; d->nr < batch; want += len) {
			len = min_t(size_t, iov_iter_count(d->iter), max);
			err = len ? direct_send(d, len) : 0;
			if (err || !len)
				break;
		}
		n = direct_collect(d);
		if (n > 0)
			done += n;
		if (n != want)
			iov_iter_revert(d->iter, want - max_t(ssize_t, n, 0));
	} while (n == want && !err && iov_iter_count(d->iter));
	if (done || n < 0)
		return done ?: n;
	return n == want ? err : 0;
}

static ssize_t copied_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct qtfs_open *open = qtfs_open_of(iocb->ki_filp);
	u32 max = qtfs_fs(file_inode(iocb->ki_filp)->i_sb)->opts.rsize;
	ssize_t done = 0, n = 0;

	while (iov_iter_count(to)) {
		size_t count = min_t(size_t, iov_iter_count(to), max);

		n = qtfs_read_once(open, iocb->ki_pos, count, to, 0);
		if (n <= 0)
			break;
		iocb->ki_pos += n;
		done += n;
		if (n < count)
			break;
	}
	return done ?: n;
}

ssize_t qtfs_read_through(struct kiocb *iocb, struct iov_iter *to)
{
	u32 max = qtfs_fs(file_inode(iocb->ki_filp)->i_sb)->opts.rsize;
	struct direct d = { .iocb = iocb, .iter = to, .op = QTFS_OP_READ };

	ssize_t n = can_pin(to) ? direct_run(&d, max) : -EFAULT;

	/* There is memory that can be copied to, but not pinned. */
	return n == -EFAULT ? copied_read(iocb, to) : n;
}

static ssize_t copied_write(struct kiocb *iocb, struct iov_iter *from, u32 max)
{
	ssize_t done = 0, n = 0;

	while (iov_iter_count(from)) {
		size_t count = min_t(size_t, iov_iter_count(from), max);

		n = qtfs_write_once(iocb, count, from, 0);
		if (n <= 0)
			break;
		done += n;
		if (n < count)
			break;
	}
	return done ?: n;
}

ssize_t qtfs_write_through(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	u32 max = qtfs_fs(inode->i_sb)->opts.wsize;
	struct direct d = { .iocb = iocb, .iter = from, .op = QTFS_OP_WRITE };
	ssize_t n = qtfs_flush_pages(inode, NULL);

	if (n)
		return n;
	n = can_pin(from) ? direct_run(&d, max) : -EFAULT;
	return n == -EFAULT ? copied_write(iocb, from, max) : n;
}
