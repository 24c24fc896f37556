/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 2 of the request path: what a VFS operation asks (args) becomes a
 * tagged request that may outlive its caller.
 */
#ifndef QTFS_REQ_H
#define QTFS_REQ_H

#include <linux/bvec.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <qtfs/ops.h>

struct qtfs_chan;
struct qtfs_open;
struct qtfs_session;

/**
 * struct qtfs_pages - a payload in page cache or pinned memory
 * @bvec: where, in order
 * @nr: used entries of @bvec
 * @len: bytes altogether
 * @pinned: a caller's, to be unpinned when the request is freed
 */
struct qtfs_pages {
	struct bio_vec *bvec;
	unsigned int nr;
	size_t len;
	bool pinned;
};

/**
 * struct qtfs_args - one call to the engine, as a VFS operation states it
 * @op: what to do, an enum qtfs_op
 * @nr_in: used entries of @in
 * @in: body parts, gathered in order, each padded to 8 bytes; borrowed until
 *	the call returns
 * @data_in: bytes to send as payload; borrowed until the call returns
 * @out: where the reply's body goes; iov_len is what there is room for
 * @out_min: a shorter reply is a protocol error
 * @out_len: returned: bytes of the reply's body
 * @data_max: most bytes of payload that the reply may have
 * @data: returned: those bytes; the caller's to kvfree()
 * @data_len: returned: how many
 * @cred: act as this one; NULL: the current task's
 * @timeout: in jiffies; 0: the session's, if it has one
 * @session_op: belongs to the session itself: sent with credential 0
 * @chan: travels on this connection; NULL: on any
 * @open: not released at the engine before the request is over, whatever
 *	becomes of the caller; may be NULL
 * @owned: a lock of an owner whose number may be another's once it has exited
 * @fragile: fails with the connection instead of waiting for it to come back
 * @may_park: it may wait for somebody for ever: the engine may take it off its
 *	tag, and any signal ends the wait, with -ERESTARTSYS
 */
struct qtfs_args {
	u16 op;
	u8 nr_in;
	struct kvec in[6];
	struct kvec data_in;
	struct kvec out;
	size_t out_min;
	size_t out_len;
	size_t data_max;
	void *data;
	size_t data_len;
	const struct cred *cred;
	long timeout;
	struct qtfs_open *open;
	bool owned;
	bool fragile;
	bool session_op;
	bool may_park;
	struct qtfs_chan *chan;
};

enum qtfs_req_state {
	QTFS_REQ_QUEUED,	/* on the channel's send list */
	QTFS_REQ_SENT,		/* in the tag table, the reply to come */
	QTFS_REQ_PARKED,	/* among the parked ones, a push to come */
	QTFS_REQ_DONE,		/* completed, @err is set */
};

/**
 * struct qtfs_req - a request under way
 * @ref: the caller's, the channel's (until completed), the sender's and the
 *	receiver's while they use its buffers
 * @link: in the channel's send list
 * @waiting: in the channel's list of those that could lead
 * @chan: set when queued, or before by who cares
 * @wq: wakes the caller
 * @done: called instead of waking, from the receiver: must not sleep, lock
 *	folios or allocate. NULL for synchronous calls
 * @priv: @done's
 * @clock: @done's: qtfs_clock() from before the request
 * @state: see above; written under the channel's lock
 * @err: result
 * @op: enum qtfs_op
 * @noreply: the engine does not answer
 * @may_park: see struct qtfs_args
 * @fragile: see struct qtfs_args
 * @deaf: a signal has ended the wait for it already; only SIGKILL counts now
 * @orphan: a lock whose caller was killed; counted in the session
 * @abandoned: the caller is gone; the reply's gifts are given back
 * @tag: 0 until queued
 * @park: what the engine calls it while it is parked
 * @parked: in the channel's table by @park, then
 * @cred: credential reference; see cred.h
 * @open: see struct qtfs_args; a reference
 * @late: its caller's time was over
 * @timed: fails with -ETIMEDOUT after @deadline
 * @deadline: in jiffies
 * @head: header and body; @head_buf or allocated
 * @send: payload, as pages (each with a reference that the request drops when
 *	it is freed: the sender may still be reading) or as @send_copy
 * @reply: reply's body; @reply_buf or allocated
 * @reply_min: least bytes of it
 * @reply_max: room for it
 * @reply_len: bytes that came
 * @recv: payload's target, as pages or as @recv_copy
 * @recv_max: most bytes of payload
 * @recv_len: bytes that came
 * @recv_copy: allocated by the receiver's side of a synchronous call
 * @push_seq: of the reply
 * @queued_at: ktime, for statistics
 */
struct qtfs_req {
	refcount_t ref;
	struct list_head link;
	struct list_head waiting;
	struct qtfs_chan *chan;
	wait_queue_head_t wq;
	void (*done)(struct qtfs_req *req);
	void *priv;
	u64 clock;
	enum qtfs_req_state state;
	int err;
	u16 op;
	bool noreply;
	bool may_park;
	bool fragile;
	bool deaf;
	bool orphan;
	bool abandoned;
	bool late;
	bool timed;
	unsigned long deadline;
	u64 tag;
	u64 park;
	struct hlist_node parked;
	struct qtfs_cred *cred;
	struct qtfs_open *open;

	void *head;
	size_t head_len;
	struct qtfs_pages send;
	void *send_copy;

	void *reply;
	size_t reply_min;
	size_t reply_max;
	size_t reply_len;
	struct qtfs_pages recv;
	void *recv_copy;
	size_t recv_max;
	size_t recv_len;

	u64 push_seq;
	ktime_t queued_at;

	u8 head_buf[256] __aligned(8);
	u8 reply_buf[416] __aligned(8);
};

int qtfs_req_cache_init(void);
void qtfs_req_cache_exit(void);

/**
 * qtfs_req_new - make a request from what a caller asks
 * @args: @in, @data_in and sizes are taken (copied) from it
 * @gfp: with GFP_NOFS, from writeback, a reserve stands behind the allocation
 *
 * Return: a request with one reference, or NULL.
 */
struct qtfs_req *qtfs_req_new(const struct qtfs_args *args, gfp_t gfp);
void qtfs_req_get(struct qtfs_req *req);
void qtfs_req_put(struct qtfs_req *req);

/**
 * qtfs_req_complete - hand a request back to who made it
 * @req: off every list of the channel
 * @err: 0 or a negative errno
 *
 * Wakes the caller or calls @done. Takes the channel's reference.
 */
void qtfs_req_complete(struct qtfs_req *req, int err);

/* The (positive) errno of a reply's or a result's status. */
int qtfs_wire_status(__le32 status);

/**
 * qtfs_call - ask the engine and wait, killably, for its answer
 *
 * Return: 0 with @args' results filled in, or a negative errno: the server's,
 * -EINTR after SIGKILL, -ETIMEDOUT when its time is over, -EIO after an abort,
 * -EPROTO for a reply that makes no sense, -ERESTARTSYS for an interrupted wait
 * (@args->may_park) that the engine has ended without any effect.
 */
int qtfs_call(struct qtfs_session *session, struct qtfs_args *args);

/* Whether the engine may have done what failed with @err here: nobody waited for its answer. */
static inline bool qtfs_may_be_done(int err)
{
	return err == -EINTR || err == -ETIMEDOUT;
}

/**
 * qtfs_submit - ask the engine and let @req->done have the answer
 * @req: with @done set, which gets the caller's reference
 * @cred: act as this one
 *
 * @wait: wait, killably, while the channel is full or dead
 *
 * Return: 0, or a negative errno: then @done is not called and the caller
 * still owns the reference.
 */
int qtfs_submit(struct qtfs_session *session, struct qtfs_req *req,
		const struct cred *cred, bool wait);

/* Receives, killably, until a submitted request is done; -EINTR after SIGKILL. */
int qtfs_help(struct qtfs_session *session, struct qtfs_req *req);

/* Who waited for a submitted request was killed: it may run yet, or not. */
void qtfs_req_give_up(struct qtfs_session *session, struct qtfs_req *req);

/* Tells the engine that nobody waits any more; it may be blocking. */
void qtfs_req_cancel(struct qtfs_session *session, struct qtfs_chan *chan,
		     u64 tag);

/*
 * For what needs no credential and gets no answer. It travels with the next
 * request, or a few milliseconds later by itself.
 */
int qtfs_post(struct qtfs_session *session, struct qtfs_args *args);

#endif /* QTFS_REQ_H */
