// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page cache: reading ahead and writing back in requests of up to a few
 * MiB, many in flight. Their completions run in the receiver (see rx.c): they
 * mark folios and wake, nothing else.
 *
 * A request that carries folios has its own array of them. For READ the folios
 * are locked, for WRITE under writeback, until the completion.
 */
#include <linux/backing-dev.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/writeback.h>

#include "chan.h"
#include "compat/compat.h"
#include "file.h"
#include "inode.h"
#include "req.h"

#define PAGES_PER_BATCH 256u

static void pages_set(struct bio_vec *bvec, struct folio *folio)
{
	*bvec = (struct bio_vec){
		.bv_page = &folio->page,
		.bv_len	 = folio_size(folio),
	};
}

/* Reading */

/* A request for @len bytes at @pos into @bvec, which it takes over. */
static struct qtfs_req *read_req(struct qtfs_open *open, loff_t pos,
				 struct bio_vec *bvec, unsigned int nr,
				 size_t len)
{
	struct qtfs_wire_read body = {
		.open	= cpu_to_le64(open->release.open),
		.offset	= cpu_to_le64(pos),
		.count	= cpu_to_le32(len),
	};
	struct qtfs_args args = {
		.op	 = QTFS_OP_READ,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { NULL, sizeof(struct qtfs_wire_read_rep) },
		.out_min = sizeof(struct qtfs_wire_read_rep),
	};
	struct qtfs_req *req = qtfs_req_new(&args, GFP_NOFS);

	if (!req)
		return NULL;
	req->recv = (struct qtfs_pages){ bvec, nr, len };
	req->recv_max = len;
	return req;
}

/* Completion of a READ: folios become up to date, or not, and unlocked. */
static void read_done(struct qtfs_req *req)
{
	const struct qtfs_wire_read_rep *rep = req->reply;
	struct qtfs_open *open = req->priv;
	size_t left = req->err ? 0 : req->recv_len;
	unsigned int i;

	if (!req->err && le32_to_cpu(rep->count) != req->recv_len)
		req->err = -EPROTO;
	for (i = 0; i < req->recv.nr; i++) {
		struct folio *folio = page_folio(req->recv.bvec[i].bv_page);
		size_t got = min(left, folio_size(folio));

		left -= got;
		if (!req->err) {
			/* Behind the end of the file there are zeros. */
			folio_zero_segment(folio, got, folio_size(folio));
			flush_dcache_folio(folio);
			folio_mark_uptodate(folio);
		}
		folio_unlock(folio);
	}
	qtfs_open_put(open);
	qtfs_req_put(req);
}

/* Sends a READ for locked folios. On failure they are unlocked. */
static int read_submit(struct qtfs_open *open, loff_t pos,
		       struct bio_vec *bvec, unsigned int nr, size_t len,
		       bool wait, struct qtfs_req **out)
{
	struct qtfs_req *req = read_req(open, pos, bvec, nr, len);
	unsigned int i;
	int err = -ENOMEM;

	if (req) {
		qtfs_open_get(open);
		req->priv = open;
		req->done = read_done;
		if (out) {
			qtfs_req_get(req);
			*out = req;
		}
		err = qtfs_submit(open->session, req, open->cred, wait);
		if (!err)
			return 0;
		qtfs_open_put(open);
	}
	for (i = 0; i < nr; i++)
		folio_unlock(page_folio(bvec[i].bv_page));
	if (!req) {
		kfree(bvec);
		return err;
	}
	if (out) {
		qtfs_req_put(req);
		*out = NULL;
	}
	qtfs_req_put(req);
	return err;
}

static struct qtfs_open *read_open(struct file *file, struct inode *inode)
{
	struct qtfs_open *open = file ? qtfs_open_of(file) : NULL;

	if (open && (open->mode & FMODE_READ)) {
		qtfs_open_get(open);
		return open;
	}
	return qtfs_open_any(inode, FMODE_READ);
}

static int qtfs_read_folio(struct file *file, struct folio *folio)
{
	struct qtfs_open *open = read_open(file, folio->mapping->host);
	struct qtfs_req *req = NULL;
	struct bio_vec *bvec;
	int err;

	bvec = kmalloc(sizeof(*bvec), GFP_NOFS);
	if (!open || !bvec) {
		folio_unlock(folio);
		kfree(bvec);
		if (open)
			qtfs_open_put(open);
		return open ? -ENOMEM : -EBADF;
	}
	pages_set(bvec, folio);
	err = read_submit(open, folio_pos(folio), bvec, 1, folio_size(folio),
			  true, &req);
	if (!err) {
		err = qtfs_help(open->session, req);
		if (!err)
			err = req->err;
		qtfs_req_put(req);
	}
	qtfs_open_put(open);
	return err;
}

/* Takes folios off the window, up to one request's worth. */
static unsigned int readahead_gather(struct readahead_control *rac,
				     struct bio_vec *bvec, unsigned int max,
				     size_t max_len, size_t *len)
{
	struct folio *folio;
	unsigned int nr = 0;

	*len = 0;
	while (nr < max && *len < max_len) {
		folio = readahead_folio(rac);
		if (!folio)
			break;
		pages_set(&bvec[nr++], folio);
		*len += folio_size(folio);
	}
	return nr;
}

static void qtfs_readahead(struct readahead_control *rac)
{
	struct inode *inode = rac->mapping->host;
	struct qtfs_fs *fs = qtfs_fs(inode->i_sb);
	struct qtfs_open *open = read_open(rac->file, inode);
	/* The last folio may be a large one: leave room for it. */
	size_t max_len = fs->opts.rsize - qtfs_folio_max(inode->i_sb) + 1;

	while (open && readahead_count(rac)) {
		struct bio_vec *bvec;
		unsigned int nr;
		size_t len;

		nr = min_t(unsigned int, readahead_count(rac),
			   PAGES_PER_BATCH);
		bvec = kmalloc_array(nr, sizeof(*bvec), GFP_NOFS);
		if (!bvec)
			break;
		nr = readahead_gather(rac, bvec, nr, max_len, &len);
		if (!nr) {
			kfree(bvec);
			break;
		}
		/* Not readahead_pos(): that lags behind by a folio. */
		if (read_submit(open, folio_pos(page_folio(bvec->bv_page)),
				bvec, nr, len, true, NULL))
			break;
	}
	if (open)
		qtfs_open_put(open);
}

void qtfs_fill_first(struct inode *inode, const void *data, size_t len,
		     bool eof)
{
	struct address_space *mapping = inode->i_mapping;
	size_t pos, n, size = min_t(u64, len, i_size_read(inode));
	struct folio *folio;

	if (qtfs_is_synthetic(inode) || (eof && size != i_size_read(inode)))
		return;
	for (pos = 0; pos < size; pos += PAGE_SIZE) {
		n = min(size - pos, PAGE_SIZE);
		if (n < PAGE_SIZE && !eof)
			return;
		folio = __filemap_get_folio(mapping, pos >> PAGE_SHIFT,
					    FGP_LOCK | FGP_CREAT | FGP_NOWAIT,
					    mapping_gfp_mask(mapping));
		if (IS_ERR_OR_NULL(folio))
			return;
		if (!folio_test_uptodate(folio) &&
		    folio_size(folio) == PAGE_SIZE) {
			memcpy_to_page(&folio->page, 0, data + pos, n);
			folio_zero_segment(folio, n, PAGE_SIZE);
			folio_mark_uptodate(folio);
		}
		folio_unlock(folio);
		folio_put(folio);
	}
}

int qtfs_revalidate_pages(struct inode *inode)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	int err;

	if (!test_and_clear_bit(QTFS_INODE_STALE_DATA, &qi->state))
		return 0;
	if (!inode->i_mapping->nrpages)
		return 0;
	err = qtfs_flush_pages(inode, NULL);
	if (!err)
		err = invalidate_inode_pages2(inode->i_mapping);
	if (err)	/* some are still there, busy or dirty again */
		set_bit(QTFS_INODE_STALE_DATA, &qi->state);
	if (err == -EINTR)
		return err;
	qtfs_count(qtfs_session(inode->i_sb)->stats, QTFS_COUNT_INVALIDATIONS);
	return 0;
}

/* Writing back */

/*
 * Contiguous folios on their way into one WRITE.
 * @closing: RELEASE may travel with the last one
 */
struct wb_batch {
	struct inode *inode;
	struct writeback_control *wbc;
	struct qtfs_open *open;
	struct qtfs_open *closing;
	struct bio_vec *bvec;
	unsigned int nr;
	unsigned int max;
	loff_t pos;
	size_t len;
	unsigned int sent;
};

static void wb_inode_put(struct inode *inode)
{
	struct qtfs_inode *qi = qtfs_i(inode);

	/* Eviction waits for the count; RCU keeps the memory for the wake-up. */
	rcu_read_lock();
	if (atomic_dec_and_test(&qi->writeback))
		wake_up_all(&qi->writeback_wq);
	rcu_read_unlock();
}

static void wb_end(struct qtfs_req *req, int err)
{
	unsigned int i;

	for (i = 0; i < req->send.nr; i++) {
		struct folio *folio = page_folio(req->send.bvec[i].bv_page);

		if (err)
			mapping_set_error(folio->mapping, err);
		folio_end_writeback(folio);
	}
}

static const struct qtfs_wire_write_rep *
wb_reply(struct qtfs_req *req, const struct qtfs_wire_attr **attr)
{
	struct qtfs_results r;
	const void *rep, *body;
	int err;

	if (req->op == QTFS_OP_WRITE)
		return req->reply;
	err = qtfs_results_start(&r, req->reply, req->reply_len) ?:
	      qtfs_results_next(&r, QTFS_OP_WRITE,
				sizeof(struct qtfs_wire_write_rep), &rep);
	if (err) {
		req->err = err == -ENODATA ? -EPROTO : err;
		return NULL;
	}
	/* Written and closed. */
	if (!qtfs_results_next(&r, QTFS_OP_RELEASE, sizeof(**attr), &body)) {
		WRITE_ONCE(((struct qtfs_open *)req->priv)->released, true);
		*attr = body;
	}
	return rep;
}

/* Completion of a WRITE. */
static void wb_done(struct qtfs_req *req)
{
	struct inode *inode = page_folio(req->send.bvec[0].bv_page)->mapping->host;
	struct qtfs_open *open = req->priv;
	const struct qtfs_wire_write_rep *rep = NULL;
	const struct qtfs_wire_attr *wire = NULL;
	struct qtfs_inode *qi = qtfs_i(inode);
	struct qtfs_attr attr;

	if (!req->err)
		rep = wb_reply(req, &wire);
	/* The engine takes all of a cached write or says why it cannot. */
	if (rep && le32_to_cpu(rep->count) != req->send.len)
		req->err = le32_to_cpu(rep->count) > req->send.len ?
			   -EPROTO : -EIO;
	qtfs_inode_modified(inode);
	spin_lock(&qi->lock);
	if (!req->err) {
		qi->change = le64_to_cpu(rep->change);
		qi->racy = true;
	} else {
		/* The cache holds what the server does not. */
		set_bit(QTFS_INODE_STALE_DATA, &qi->state);
	}
	spin_unlock(&qi->lock);
	wb_end(req, req->err);
	/* Taken after closing: nobody needs to ask again. */
	if (wire && !req->err && !qtfs_attr_decode(wire, &attr) &&
	    !inode_wrong_type(inode, attr.mode))
		qtfs_inode_update(inode, &attr, qtfs_clock(inode->i_sb), true);
	wb_inode_put(inode);
	qtfs_open_put(open);
	qtfs_req_put(req);
}

struct wb_compound {
	struct qtfs_wire_compound head;
	struct qtfs_wire_sub write_sub;
	struct qtfs_wire_write write;
	struct qtfs_wire_sub release_sub;
	struct qtfs_wire_release release;
};

/* Room for the reply to wb_compound. */
struct wb_compound_rep {
	struct qtfs_wire_compound head;
	struct qtfs_wire_result write_result;
	struct qtfs_wire_write_rep write;
	struct qtfs_wire_result release_result;
	struct qtfs_wire_attr attr;
};

static struct qtfs_req *wb_req(const struct wb_batch *b, bool close)
{
	__le64 id = cpu_to_le64(b->open->release.open);
	struct wb_compound body = {
		.head.nr = cpu_to_le16(2),
		.write_sub.op = cpu_to_le16(QTFS_OP_WRITE),
		.write_sub.body = cpu_to_le32(sizeof(body.write)),
		.write = {
			.open = id,
			.offset = cpu_to_le64(b->pos),
			.count = cpu_to_le32(b->len),
			.flags = cpu_to_le32(QTFS_WRITE_CACHED),
		},
		.release_sub.op = cpu_to_le16(QTFS_OP_RELEASE),
		.release_sub.body = cpu_to_le32(sizeof(body.release)),
		.release = {
			.open = id,
			.flags = cpu_to_le32(QTFS_RELEASE_ATTR),
		},
	};
	struct qtfs_args args = {
		.op	 = QTFS_OP_WRITE,
		.nr_in	 = 1,
		.in[0]	 = { &body.write, sizeof(body.write) },
		.out	 = { NULL, sizeof(struct qtfs_wire_write_rep) },
		.out_min = sizeof(struct qtfs_wire_write_rep),
	};

	if (close) {
		args.op = QTFS_OP_COMPOUND;
		args.in[0] = (struct kvec){ &body, sizeof(body) };
		args.out.iov_len = sizeof(struct wb_compound_rep);
		args.out_min = sizeof(body.head);
	}
	return qtfs_req_new(&args, GFP_NOFS);
}

/*
 * Whether RELEASE can go with this, the only WRITE of the last user. Then
 * nobody else gets hold of the open any more.
 */
static bool wb_may_close(const struct wb_batch *b, bool last)
{
	struct qtfs_inode *qi = qtfs_i(b->inode);
	bool may = false;

	if (!last || b->sent || !b->closing)
		return false;
	spin_lock(&qi->lock);
	if (refcount_read(&b->open->ref) == 2) {	/* file's and batch's */
		list_del_init(&b->open->inode_link);
		may = true;
	}
	spin_unlock(&qi->lock);
	return may;
}

/* It was not sent after all: the dirty pages need their open. */
static void wb_unclose(const struct wb_batch *b)
{
	struct qtfs_inode *qi = qtfs_i(b->inode);

	spin_lock(&qi->lock);
	if (list_empty(&b->open->inode_link))
		list_add(&b->open->inode_link, &qi->opens);
	spin_unlock(&qi->lock);
}

/* Sends what is gathered. On failure the folios stay dirty. */
static int wb_flush_batch(struct wb_batch *b, bool last)
{
	struct qtfs_inode *qi = qtfs_i(b->inode);
	struct qtfs_req *req;
	unsigned int i;
	int err;

	if (!b->nr)
		return 0;
	req = wb_req(b, wb_may_close(b, last));
	if (!req)
		return -ENOMEM;	/* cannot be: GFP_NOFS has a reserve */

	req->send = (struct qtfs_pages){ b->bvec, b->nr, b->len };
	req->done = wb_done;
	req->priv = b->open;
	qtfs_open_get(b->open);
	atomic_inc(&qi->writeback);
	b->bvec = NULL;
	b->sent++;

	err = qtfs_submit(b->open->session, req, b->open->cred, true);
	if (err) {
		for (i = 0; i < req->send.nr; i++)
			folio_redirty_for_writepage(b->wbc,
				page_folio(req->send.bvec[i].bv_page));
		wb_end(req, 0);
		wb_inode_put(b->inode);
		wb_unclose(b);
		qtfs_open_put(b->open);
		qtfs_req_put(req);
	}
	b->nr = 0;
	b->len = 0;
	return err;
}

static void wb_alloc(struct wb_batch *b)
{
	b->max = PAGES_PER_BATCH;
	b->bvec = kmalloc_array(b->max, sizeof(*b->bvec),
				GFP_NOFS | __GFP_NOWARN);
	if (b->bvec)
		return;
	b->max = 1;
	b->bvec = kmalloc_array(1, sizeof(*b->bvec), GFP_NOFS | __GFP_NOFAIL);
}

static int wb_folio(struct folio *folio, struct writeback_control *wbc,
		    void *data)
{
	struct wb_batch *b = data;
	size_t wsize = qtfs_fs(b->inode->i_sb)->opts.wsize;
	loff_t size = i_size_read(b->inode), pos = folio_pos(folio);
	size_t len = min_t(u64, folio_size(folio), max(size - pos, 0ll));
	int err = 0;

	if (!len) {	/* truncated meanwhile */
		folio_unlock(folio);
		return 0;
	}
	if (b->nr && (b->pos + b->len != pos || b->nr == b->max ||
		      b->len + len > wsize))
		err = wb_flush_batch(b, false);
	if (err) {
		folio_redirty_for_writepage(wbc, folio);
		folio_unlock(folio);
		return err;
	}
	if (!b->bvec)
		wb_alloc(b);
	if (!b->nr)
		b->pos = pos;
	folio_get(folio);	/* the request's: see struct qtfs_req */
	folio_start_writeback(folio);
	folio_unlock(folio);
	pages_set(&b->bvec[b->nr], folio);
	b->bvec[b->nr++].bv_len = len;
	b->len += len;
	return 0;
}

static int wb_run(struct address_space *mapping, struct writeback_control *wbc,
		  struct qtfs_open *closing)
{
	struct wb_batch b = {
		.inode	 = mapping->host,
		.wbc	 = wbc,
		.closing = closing,
	};
	int err, last;

	if (!mapping_tagged(mapping, PAGECACHE_TAG_DIRTY))
		return 0;
	if (!qtfs_session_alive(qtfs_session(b.inode->i_sb)))
		return -EIO;	/* the pages stay dirty */
	b.open = closing;
	if (closing)
		qtfs_open_get(closing);
	else
		b.open = qtfs_open_any(b.inode, FMODE_WRITE);
	if (WARN_ON_ONCE(!b.open))
		return -EIO;

	err = qtfs_for_each_dirty_folio(mapping, wbc, wb_folio, &b);
	last = wb_flush_batch(&b, true);
	kfree(b.bvec);
	qtfs_open_put(b.open);
	return err ?: last;
}

static int qtfs_writepages(struct address_space *mapping,
			   struct writeback_control *wbc)
{
	return wb_run(mapping, wbc, NULL);
}

static int wb_wait(struct inode *inode)
{
	struct qtfs_inode *qi = qtfs_i(inode);

	return wait_event_state(qi->writeback_wq, !atomic_read(&qi->writeback),
				QTFS_WAIT_STATE) ? -EINTR : 0;
}

/* Receives the writes' replies while it waits: the common case is one. */
int qtfs_flush_pages(struct inode *inode, struct qtfs_open *closing)
{
	struct address_space *mapping = inode->i_mapping;
	struct writeback_control wbc = {
		.sync_mode	= WB_SYNC_ALL,
		.nr_to_write	= LONG_MAX,
		.range_end	= LLONG_MAX,
	};
	int err;

	if (!mapping_tagged(mapping, PAGECACHE_TAG_DIRTY) &&
	    !atomic_read(&qtfs_i(inode)->writeback))
		return 0;
	/* Before writepages waits for each folio, unkillably. */
	err = wb_wait(inode);
	if (!err)
		err = qtfs_chan_wait_up(qtfs_session(inode->i_sb)->chan);
	if (!err)
		err = wb_run(mapping, &wbc, closing);
	if (!err)
		err = wb_wait(inode);
	return err;
}

/* Writing into the cache */

/*
 * Makes a locked folio ready to take @len bytes at @offset: what is around
 * them must be right.
 */
static int write_prepare(struct kiocb *iocb, struct folio *folio,
			 size_t offset, size_t len)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t pos = folio_pos(folio);

	if (folio_test_uptodate(folio) || len == folio_size(folio))
		return 0;
	/* Nothing of it is on the server yet. */
	if (pos >= i_size_read(inode) ||
	    (!offset && pos + len >= i_size_read(inode))) {
		folio_zero_segments(folio, 0, offset, offset + len,
				    folio_size(folio));
		return 0;
	}
	return -EAGAIN;	/* must be read first */
}

/* Reads the folio that is to be written in part. It comes back unlocked. */
static int write_read_around(struct kiocb *iocb, struct folio *folio)
{
	return qtfs_read_folio(iocb->ki_filp, folio);
}

/* The part goes straight to the server: the file cannot be read. */
static ssize_t write_around(struct kiocb *iocb, struct iov_iter *from,
			    size_t len)
{
	struct iov_iter part = *from;
	ssize_t n;

	iov_iter_truncate(&part, len);
	n = qtfs_write_through(iocb, &part);
	if (n > 0)
		iov_iter_advance(from, n);
	return n;
}

static void write_extend(struct inode *inode, loff_t end)
{
	struct qtfs_inode *qi = qtfs_i(inode);

	spin_lock(&qi->lock);
	if (end > i_size_read(inode))
		i_size_write(inode, end);
	spin_unlock(&qi->lock);
}

/* One folio's worth. Bytes written, 0 to try again, or an error. */
static ssize_t write_folio(struct kiocb *iocb, struct iov_iter *from,
			   size_t count)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct qtfs_open *open = qtfs_open_of(iocb->ki_filp);
	loff_t pos = iocb->ki_pos;
	struct folio *folio;
	size_t offset, len, copied;
	int err;

	folio = qtfs_get_write_folio(inode->i_mapping, pos, count);
	if (!folio)
		return -ENOMEM;
	offset = offset_in_folio(folio, pos);
	len = min(count, folio_size(folio) - offset);

	err = write_prepare(iocb, folio, offset, len);
	if (err) {
		if (open->mode & FMODE_READ) {
			err = write_read_around(iocb, folio);
			folio_put(folio);
			return err;
		}
		folio_unlock(folio);
		folio_put(folio);
		return write_around(iocb, from, len);
	}
	copied = copy_page_from_iter_atomic(&folio->page, offset,
					    len, from);
	flush_dcache_folio(folio);
	if (!folio_test_uptodate(folio)) {
		/* A short copy leaves a hole that nobody must see. */
		if (copied < len) {
			iov_iter_revert(from, copied);
			copied = 0;
		} else {
			folio_mark_uptodate(folio);
		}
	}
	if (copied) {
		folio_mark_dirty(folio);
		write_extend(inode, pos + copied);
		iocb->ki_pos += copied;
	}
	folio_unlock(folio);
	folio_put(folio);
	return copied;
}

static ssize_t write_folios(struct kiocb *iocb, struct iov_iter *from)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;
	ssize_t done = 0, n = 0;

	while (iov_iter_count(from)) {
		size_t count = min_t(size_t, iov_iter_count(from), SZ_1M);

		if (fatal_signal_pending(current)) {
			n = -EINTR;
			break;
		}
		/* The folio lock and the caller's page might be the same. */
		count -= fault_in_iov_iter_readable(from, count);
		if (!count) {
			n = -EFAULT;
			break;
		}
		n = write_folio(iocb, from, count);
		if (n < 0)
			break;
		done += n;
		cond_resched();
		balance_dirty_pages_ratelimited(mapping);
	}
	return done ?: n;
}

static void write_count(struct inode *inode, int n)
{
	struct qtfs_inode *qi = qtfs_i(inode);

	spin_lock(&qi->lock);
	qi->writers += n;
	spin_unlock(&qi->lock);
}

ssize_t qtfs_buffered_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t n;

	n = qtfs_revalidate_pages(inode);
	if (n)
		return n;
	write_count(inode, 1);
	n = write_folios(iocb, from);
	write_count(inode, -1);
	qtfs_inode_modified(inode);
	return n;
}

/* Mapping */

static vm_fault_t qtfs_page_mkwrite(struct vm_fault *vmf)
{
	struct folio *folio = page_folio(vmf->page);
	struct inode *inode = file_inode(vmf->vma->vm_file);
	vm_fault_t ret = VM_FAULT_LOCKED;

	sb_start_pagefault(inode->i_sb);
	if (folio_wait_writeback_killable(folio) ||
	    folio_lock_killable(folio)) {
		ret = VM_FAULT_RETRY;
		goto out;
	}
	if (folio->mapping != inode->i_mapping ||
	    folio_pos(folio) >= i_size_read(inode)) {
		folio_unlock(folio);
		ret = VM_FAULT_NOPAGE;
		goto out;
	}
	folio_wait_stable(folio);
	folio_mark_dirty(folio);
	qtfs_inode_modified(inode);
out:
	sb_end_pagefault(inode->i_sb);
	return ret;
}

static const struct vm_operations_struct qtfs_vm_ops = {
	.fault		= filemap_fault,
	.map_pages	= filemap_map_pages,
	.page_mkwrite	= qtfs_page_mkwrite,
};

int qtfs_mmap(struct file *file, struct vm_area_struct *vma)
{
	int err = qtfs_revalidate_pages(file_inode(file));

	if (err)
		return err;
	vma->vm_ops = &qtfs_vm_ops;
	return 0;
}

const struct address_space_operations qtfs_aops = {
	.read_folio	= qtfs_read_folio,
	.readahead	= qtfs_readahead,
	.writepages	= qtfs_writepages,
	.dirty_folio	= filemap_dirty_folio,
	.migrate_folio	= filemap_migrate_folio,
	.direct_IO	= noop_direct_IO,	/* lets O_DIRECT opens pass */
};
