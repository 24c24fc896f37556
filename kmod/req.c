// SPDX-License-Identifier: GPL-2.0-only
/*
 * Step 2 of the request path: args become a request with a header and a
 * credential, the caller waits, and what an abandoned reply gave goes back.
 */
#include <linux/cred.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/errno.h>
#include <qtfs/errno.h>

#include "chan.h"
#include "compat/compat.h"
#include "cred.h"
#include "file.h"
#include "log.h"
#include "req.h"
#include "session.h"
#include "trace.h"

#define REQ_RESERVE 64

static struct kmem_cache *req_cache;
static mempool_t *req_pool;

int qtfs_req_cache_init(void)
{
	req_cache = KMEM_CACHE(qtfs_req, SLAB_HWCACHE_ALIGN);
	if (!req_cache)
		return -ENOMEM;
	req_pool = mempool_create_slab_pool(REQ_RESERVE, req_cache);
	if (req_pool)
		return 0;
	kmem_cache_destroy(req_cache);
	return -ENOMEM;
}

void qtfs_req_cache_exit(void)
{
	mempool_destroy(req_pool);
	kmem_cache_destroy(req_cache);
}

int qtfs_wire_status(__le32 status)
{
	return qtfs_errno_from_wire(le32_to_cpu(status));
}

static void req_unpin(const struct qtfs_pages *pages)
{
	unsigned int i;

	for (i = 0; i < pages->nr && pages->pinned; i++)
		qtfs_unpin_page(pages->bvec[i].bv_page);
}

static void req_free(struct qtfs_req *req)
{
	unsigned int i;

	for (i = 0; i < req->send.nr && !req->send.pinned; i++)
		folio_put(page_folio(req->send.bvec[i].bv_page));
	req_unpin(&req->send);
	req_unpin(&req->recv);
	if (req->cred)
		qtfs_cred_put(req->cred);
	if (req->orphan)
		qtfs_session_orphan_gone(req->open->session);
	if (req->open)
		qtfs_open_put(req->open);
	if (req->head != req->head_buf)
		kfree(req->head);
	if (req->reply != req->reply_buf)
		kfree(req->reply);
	kvfree(req->send_copy);
	kvfree(req->recv_copy);
	kfree(req->send.bvec);
	kfree(req->recv.bvec);
	mempool_free(req, req_pool);
}

void qtfs_req_get(struct qtfs_req *req)
{
	refcount_inc(&req->ref);
}

void qtfs_req_put(struct qtfs_req *req)
{
	if (refcount_dec_and_test(&req->ref))
		req_free(req);
}

static size_t body_len(const struct qtfs_args *args)
{
	size_t len = 0;
	int i;

	for (i = 0; i < args->nr_in; i++)
		len += QTFS_PAD(args->in[i].iov_len);
	return len;
}

static void req_fill_head(struct qtfs_req *req, const struct qtfs_args *args)
{
	struct qtfs_wire_req *hdr = req->head;
	u8 *at = req->head + sizeof(*hdr);
	int i;

	memset(req->head, 0, req->head_len);
	for (i = 0; i < args->nr_in; i++) {
		memcpy(at, args->in[i].iov_base, args->in[i].iov_len);
		at += QTFS_PAD(args->in[i].iov_len);
	}
	hdr->op = cpu_to_le16(args->op);
	hdr->body = cpu_to_le32(req->head_len - sizeof(*hdr));
	hdr->slot = cpu_to_le16(QTFS_NO_SLOT);
}

static int req_fill(struct qtfs_req *req, const struct qtfs_args *args,
		    gfp_t gfp)
{
	req->head = req->head_buf;
	if (req->head_len > sizeof(req->head_buf))
		req->head = kmalloc(req->head_len, gfp);
	req->reply = req->reply_buf;
	if (req->reply_max > sizeof(req->reply_buf))
		req->reply = kmalloc(req->reply_max, gfp);
	if (!req->head || !req->reply)
		return -ENOMEM;
	if (args->data_in.iov_len) {
		req->send_copy = kvmalloc(args->data_in.iov_len, gfp);
		if (!req->send_copy)
			return -ENOMEM;
		memcpy(req->send_copy, args->data_in.iov_base,
		       args->data_in.iov_len);
	}
	if (args->data_max) {
		req->recv_copy = kvmalloc(args->data_max, gfp);
		if (!req->recv_copy)
			return -ENOMEM;
	}
	req_fill_head(req, args);
	return 0;
}

struct qtfs_req *qtfs_req_new(const struct qtfs_args *args, gfp_t gfp)
{
	struct qtfs_req *req = mempool_alloc(req_pool, gfp);

	if (!req)
		return NULL;

	memset(req, 0, offsetof(struct qtfs_req, head_buf));
	refcount_set(&req->ref, 1);
	INIT_LIST_HEAD(&req->link);
	INIT_LIST_HEAD(&req->waiting);
	init_waitqueue_head(&req->wq);
	req->op = args->op;
	req->head_len = sizeof(struct qtfs_wire_req) + body_len(args);
	req->send.len = args->data_in.iov_len;
	req->reply_min = args->out_min;
	req->reply_max = QTFS_PAD(args->out.iov_len);
	req->recv_max = args->data_max;
	req->may_park = args->may_park;
	req->fragile = args->fragile;
	req->chan = args->chan;
	req->open = args->open;
	if (req->open)
		qtfs_open_get(req->open);
	if (req_fill(req, args, gfp)) {
		qtfs_req_put(req);
		return NULL;
	}
	return req;
}

void qtfs_req_complete(struct qtfs_req *req, int err)
{
	req->err = err;
	qtfs_stats_call(req->chan->stats, req->op,
			ktime_to_ns(ktime_sub(ktime_get(), req->queued_at)),
			err);
	trace_qtfs_req_done(req->tag, req->op, err);
	smp_store_release(&req->state, QTFS_REQ_DONE);
	qtfs_req_get(req);	/* for the wake-up, beyond @done's */
	if (req->done)
		req->done(req);
	wake_up(&req->wq);
	qtfs_req_put(req);
	qtfs_req_put(req);
}

/* Header fields that depend on the session, then off it goes. */
static int req_send(struct qtfs_session *session, struct qtfs_req *req,
		    bool wait)
{
	struct qtfs_wire_req *hdr = req->head;
	struct qtfs_chan *chan = req->chan ?:
		qtfs_session_chan(session, max(req->send.len, req->recv_max));
	unsigned int flags;
	int err;

	hdr->len = cpu_to_le32(req->head_len + req->send.len);
	hdr->cred = cpu_to_le32(req->cred ? req->cred->id : 0);
	hdr->flags = cpu_to_le16(req->noreply ? QTFS_FRAME_NOREPLY : 0);
	req->queued_at = ktime_get();

	if (req->noreply)
		return qtfs_chan_post(chan, req);

	/* Sockets allocate; we may be called from reclaim. */
	flags = memalloc_nofs_save();
	err = qtfs_chan_queue(chan, req, wait);
	memalloc_nofs_restore(flags);
	return err;
}

static int req_set_cred(struct qtfs_session *session, struct qtfs_req *req,
			const struct cred *cred)
{
	struct qtfs_cred *c = qtfs_cred_get(session, cred ?: current_cred());

	if (IS_ERR(c))
		return PTR_ERR(c);
	req->cred = c;
	return 0;
}

/* @timeout in jiffies, the session's if that is less; 0: none. */
static void req_set_time(struct qtfs_session *session, struct qtfs_req *req,
			 long timeout)
{
	timeout = min_not_zero(timeout, session->patience);
	if (!timeout)
		return;
	req->timed = true;
	req->deadline = jiffies + timeout;
}

/*
 * What was given up is begun before what comes now, whichever connections they
 * travel on: a PING is answered when the engine has begun what was sent before.
 */
static int req_fence(struct qtfs_session *session, bool fragile, long timeout)
{
	int err, strayed = qtfs_session_strayed(session);
	unsigned int i;

	if (likely(!strayed))
		return 0;
	for (i = 0; i < session->nr_chans; i++) {
		struct qtfs_args args = {
			.op	    = QTFS_OP_PING,
			.session_op = true,
			.fragile    = fragile,
			.timeout    = timeout,
			.chan	    = session->chans[i],
		};

		err = qtfs_call(session, &args);
		if (err)
			return err;
	}
	qtfs_session_fenced(session, strayed);
	return 0;
}

int qtfs_submit(struct qtfs_session *session, struct qtfs_req *req,
		const struct cred *cred, bool wait)
{
	int err;

	req_set_time(session, req, 0);
	err = req_set_cred(session, req, cred);

	if (!err && wait)
		err = req_fence(session, false, 0);
	return err ?: req_send(session, req, wait);
}

int qtfs_help(struct qtfs_session *session, struct qtfs_req *req)
{
	return qtfs_chan_wait(req->chan, req, MAX_SCHEDULE_TIMEOUT);
}

int qtfs_post(struct qtfs_session *session, struct qtfs_args *args)
{
	struct qtfs_req *req = qtfs_req_new(args, GFP_NOFS);
	int err;

	if (!req)
		return -ENOMEM;
	req->noreply = true;
	err = req_send(session, req, false);
	qtfs_req_put(req);
	return err;
}

void qtfs_req_cancel(struct qtfs_session *session, struct qtfs_chan *chan,
		     u64 tag)
{
	struct qtfs_wire_cancel body = { .tag = cpu_to_le64(tag) };
	struct qtfs_args args = {
		.op	= QTFS_OP_CANCEL,
		.nr_in	= 1,
		.in[0]	= { &body, sizeof(body) },
		.chan	= chan,
	};

	qtfs_count(session->stats, QTFS_COUNT_CANCELS);
	qtfs_post(session, &args);
}

void qtfs_req_give_up(struct qtfs_session *session, struct qtfs_req *req)
{
	qtfs_req_cancel(session, req->chan, req->tag);
	qtfs_session_stray(session);
}

static void req_results(struct qtfs_req *req, struct qtfs_args *args)
{
	args->out_len = min(req->reply_len, args->out.iov_len);
	memcpy(args->out.iov_base, req->reply, args->out_len);
	args->data = req->recv_copy;
	args->data_len = req->err ? 0 : req->recv_len;
	req->recv_copy = NULL;
}

/*
 * A signal ends what waits for somebody; but only the engine knows whether it
 * was had at the last moment, so its answer counts.
 */
static int req_wait(struct qtfs_session *session, struct qtfs_req *req)
{
	long timeout = session->patience ?: MAX_SCHEDULE_TIMEOUT;
	struct qtfs_chan *chan = req->chan;
	int err = qtfs_chan_wait(chan, req, qtfs_chan_left(req));

	if (err != -ERESTARTSYS)
		return err;
	req->deaf = true;
	qtfs_req_cancel(session, chan, req->tag);
	qtfs_chan_hurry(chan);
	err = qtfs_chan_wait(chan, req, timeout);
	if (!err && req->err == -EINTR)
		req->err = -ERESTARTSYS;
	return err;
}

int qtfs_call(struct qtfs_session *session, struct qtfs_args *args)
{
	struct qtfs_req *req = qtfs_req_new(args, GFP_NOFS);
	int err = 0;
	u64 tag;

	if (!req)
		return -ENOMEM;
	req_set_time(session, req, args->timeout);
	if (!args->session_op)
		err = req_set_cred(session, req, args->cred) ?:
		      req_fence(session, args->fragile, args->timeout);
	if (!err)
		err = req_send(session, req, true);
	if (err)
		goto out;

	tag = req->tag;
	err = req_wait(session, req);
	if (err) {
		if (!args->session_op)	/* else there may be no session yet */
			qtfs_req_give_up(session, req);
		if (args->may_park)	/* others may want what it waited for */
			qtfs_chan_hurry(req->chan);
		/* One that only lost patience may yet have it, whose it is. */
		if (args->owned ||
		    (err == -ETIMEDOUT && args->op == QTFS_OP_LOCK)) {
			req->orphan = true;
			atomic_inc(&session->orphans);
		}
	} else {
		err = req->err;
		req_results(req, args);
		qtfs_debug("%s: tag %llu, result %d, %lld us\n",
			   qtfs_op_name(args->op), tag, err,
			   ktime_us_delta(ktime_get(), req->queued_at));
	}
out:
	qtfs_req_put(req);
	return err;
}
