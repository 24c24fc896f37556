// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing back dirty folios in requests of up to a few MiB, many in flight.
 * Each request has its own array of folios, which stay under writeback until
 * the completion; that runs in the receiver (see rx.c) and only marks and
 * wakes. The last WRITE of a file that is being closed takes its RELEASE along.
 */
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

/*
 * Contiguous folios on their way into one WRITE.
 * @closing: RELEASE may travel with the last one
 * @latest: the request that was sent last, with a reference; NULL: none
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
	struct qtfs_req *latest;
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
	bool newest;
	u64 clock;

	if (!req->err)
		rep = wb_reply(req, &wire);
	/* The engine takes all of a cached write or says why it cannot. */
	if (rep && le32_to_cpu(rep->count) != req->send.len)
		req->err = le32_to_cpu(rep->count) > req->send.len ?
			   -EPROTO : -EIO;
	spin_lock(&qi->lock);
	newest = qi->mod_clock <= req->clock;
	clock = qtfs_inode_touch(inode);
	if (!req->err) {
		/* Of several WRITEs, any may be the last to be answered. */
		qi->change = max(qi->change, le64_to_cpu(rep->change));
		qi->racy = true;
		/* Somebody else made it longer. */
		if (le64_to_cpu(rep->size) > i_size_read(inode))
			set_bit(QTFS_INODE_STALE_DATA, &qi->state);
	} else {
		/* The cache holds what the server does not. */
		set_bit(QTFS_INODE_STALE_DATA, &qi->state);
	}
	spin_unlock(&qi->lock);
	wb_end(req, req->err);
	/* Taken after closing: nobody needs to ask again. */
	if (wire && !req->err && newest && !qtfs_attr_decode(wire, &attr) &&
	    !inode_wrong_type(inode, attr.mode))
		qtfs_inode_update(inode, &attr, clock, false);
	qtfs_open_settle(inode);
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

	if (!last || b->latest || !b->closing)
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

/* Sends what is gathered. On failure the folios stay dirty, mostly. */
static int wb_flush_batch(struct wb_batch *b, bool last)
{
	struct qtfs_req *req;
	bool close, lost;
	unsigned int i;
	int err;

	if (!b->nr)
		return 0;
	close = wb_may_close(b, last);
	req = wb_req(b, close);
	if (!req)
		return -ENOMEM;	/* cannot be: GFP_NOFS has a reserve */

	req->send = (struct qtfs_pages){ b->bvec, b->nr, b->len };
	req->done = wb_done;
	req->priv = b->open;
	req->clock = qtfs_clock(b->inode->i_sb);
	qtfs_open_get(b->open);
	b->bvec = NULL;
	if (b->latest)
		qtfs_req_put(b->latest);
	qtfs_req_get(req);
	b->latest = req;

	err = qtfs_submit(b->open->session, req, b->open->cred, !qtfs_dying());
	if (err) {
		/* A soft mount gives up what it cannot write, and tells so. */
		lost = err == -ETIMEDOUT;
		for (i = 0; !lost && i < req->send.nr; i++)
			folio_redirty_for_writepage(b->wbc,
				page_folio(req->send.bvec[i].bv_page));
		if (lost)
			set_bit(QTFS_INODE_STALE_DATA,
				&qtfs_i(b->inode)->state);
		wb_end(req, lost ? err : 0);
		wb_inode_put(b->inode);
		if (close)
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
	b->max = QTFS_BATCH_FOLIOS;
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
	/* What was stored there through a mapping must not last. */
	if (len < folio_size(folio))
		folio_zero_segment(folio, len, folio_size(folio));
	if (!b->bvec)
		wb_alloc(b);
	if (!b->nr) {
		b->pos = pos;
		/* Who no longer finds the page dirty must find it counted. */
		atomic_inc(&qtfs_i(b->inode)->writeback);
		smp_mb__after_atomic();
	}
	folio_get(folio);	/* the request's: see struct qtfs_req */
	folio_start_writeback(folio);
	folio_unlock(folio);
	qtfs_pages_set(&b->bvec[b->nr], folio);
	b->bvec[b->nr++].bv_len = len;
	b->len += len;
	return 0;
}

/* By which open pages go: not by one that may more than others who wrote. */
static struct qtfs_open *wb_open(struct inode *inode, struct qtfs_open *closing)
{
	struct qtfs_open *open = NULL;

	if (!closing || qtfs_open_is_privileged(closing))
		open = qtfs_open_any(inode, FMODE_WRITE);
	if (closing && (!open || qtfs_open_is_privileged(open))) {
		if (open)
			qtfs_open_put(open);
		qtfs_open_get(closing);
		return closing;
	}
	return open;
}

/* @latest: where to leave the last request, for its caller to put; or NULL */
static int wb_run(struct address_space *mapping, struct writeback_control *wbc,
		  struct qtfs_open *closing, struct qtfs_req **latest)
{
	struct qtfs_session *session = qtfs_session(mapping->host->i_sb);
	struct wb_batch b = {
		.inode	 = mapping->host,
		.wbc	 = wbc,
	};
	int err, last;

	if (!mapping_tagged(mapping, PAGECACHE_TAG_DIRTY))
		return 0;
	/* Where requests have their time, they end. Else the pages stay dirty. */
	if (!qtfs_session_alive(session) &&
	    (!session->patience || qtfs_session_wait_up(session)))
		return -EIO;
	b.open = wb_open(b.inode, closing);
	if (b.open == closing)
		b.closing = closing;
	if (!b.open) {
		/* Somebody who is just closing may have taken the last page. */
		return WARN_ON_ONCE(mapping_tagged(mapping,
						   PAGECACHE_TAG_DIRTY)) ?
		       -EIO : 0;
	}

	err = qtfs_for_each_dirty_folio(mapping, wbc, wb_folio, &b);
	last = wb_flush_batch(&b, true);
	kfree(b.bvec);
	qtfs_open_put(b.open);
	if (latest)
		*latest = b.latest;
	else if (b.latest)
		qtfs_req_put(b.latest);
	return err ?: last;
}

int qtfs_writepages(struct address_space *mapping,
		    struct writeback_control *wbc)
{
	return wb_run(mapping, wbc, NULL, NULL);
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
	struct qtfs_session *session = qtfs_session(inode->i_sb);
	struct qtfs_req *latest = NULL;
	int err;

	if (!mapping_tagged(mapping, PAGECACHE_TAG_DIRTY)) {
		smp_rmb();	/* pairs with wb_folio() */
		if (!atomic_read(&qtfs_i(inode)->writeback))
			return 0;
	}
	/* Before writepages waits for each folio, unkillably. */
	err = wb_wait(inode);
	if (!err)
		err = qtfs_session_wait_up(session);
	if (!err)
		err = wb_run(mapping, &wbc, closing, &latest);
	if (!err && latest)
		err = qtfs_help(session, latest);
	if (latest)
		qtfs_req_put(latest);
	if (!err)
		err = wb_wait(inode);
	return err;
}
