// SPDX-License-Identifier: GPL-2.0-only
/*
 * Soft mounts: the end of READs and WRITEs of the page cache that the engine
 * does not answer in time. No task waits for them that could give up; folios
 * do, locked or under writeback.
 *
 * The request completes with -ETIMEDOUT. Another, without any buffer, takes its
 * place in the table of tags, so that its reply, however late, is known for
 * what it is, and its payload thrown away. The receiver's role is held
 * meanwhile: nobody is copying into the folios then. The sender may still be
 * reading them; it has references.
 */
#include <linux/slab.h>
#include <linux/uio.h>

#include "chan_io.h"
#include "req.h"

/*
 * One whose time is over, or NULL; then @next is the earliest deadline of the
 * others, if @more says that there are any.
 */
static struct qtfs_req *find_expired(struct qtfs_chan *chan, bool *more,
				     unsigned long *next)
{
	struct qtfs_req *req;
	unsigned int slot;

	lockdep_assert_held(&chan->lock);

	*more = false;
	for_each_set_bit(slot, chan->used, QTFS_INFLIGHT_MAX) {
		req = chan->inflight[slot];
		if (!req->timed || !req->done)
			continue;
		if (time_after_eq(jiffies, req->deadline))
			return req;
		if (!*more || time_before(req->deadline, *next))
			*next = req->deadline;
		*more = true;
	}
	return NULL;
}

static struct qtfs_req *stand_in_new(void)
{
	struct qtfs_args args = {
		.op	     = QTFS_OP_PING,	/* until it stands in */
		.out.iov_len = sizeof_field(struct qtfs_req, reply_buf),
	};

	/* Not to wait for memory that only the end of requests gives. */
	return qtfs_req_new(&args, GFP_NOWAIT | __GFP_NOWARN);
}

/* With the receiver's role. The channel's reference on @req becomes the caller's. */
static void stand_in(struct qtfs_chan *chan, struct qtfs_req *req,
		     struct qtfs_req *other)
{
	lockdep_assert_held(&chan->lock);

	other->op = req->op;
	other->tag = req->tag;
	other->chan = chan;
	other->reply_min = req->reply_min;
	other->reply_max = req->reply_max;
	other->recv_max = req->recv_max;
	other->state = QTFS_REQ_SENT;
	other->abandoned = true;
	chan->inflight[req->tag & (QTFS_INFLIGHT_MAX - 1)] = other;
	if (chan->rx.req != req)
		return;
	/* Half of its reply is there. */
	memcpy(other->reply, req->reply, req->reply_max);
	other->reply_len = req->reply_len;
	other->recv_len = req->recv_len;
	other->push_seq = req->push_seq;
	iov_iter_discard(&chan->rx.iter, ITER_DEST, chan->rx.payload_left);
	qtfs_req_get(other);
	chan->rx.req = other;
	qtfs_req_put(req);	/* the receiver's */
}

/*
 * Ends one request, whose tag is left in @tag if the engine has it; false if
 * there is none any more, or no memory. Then @more says whether to look again,
 * at @next.
 */
static bool expire_one(struct qtfs_chan *chan, u64 *tag, bool *more,
		       unsigned long *next)
{
	struct qtfs_req *other = stand_in_new(), *req;
	bool sent;

	spin_lock_bh(&chan->lock);
	req = find_expired(chan, more, next);
	if (!req || !other || WARN_ON_ONCE(req->reply != req->reply_buf)) {
		spin_unlock_bh(&chan->lock);
		if (other)
			qtfs_req_put(other);
		if (req) {
			*more = true;
			*next = jiffies + HZ / 10;
		}
		return false;
	}
	WRITE_ONCE(chan->stalled_at, jiffies);
	WRITE_ONCE(chan->stalled, true);
	sent = req->state == QTFS_REQ_SENT;
	*tag = sent ? req->tag : 0;
	if (sent)
		stand_in(chan, req, other);
	else
		qtfs_chan_unqueue(chan, req);
	req->err = -ETIMEDOUT;
	smp_store_release(&req->state, QTFS_REQ_DONE);
	spin_unlock_bh(&chan->lock);

	if (!sent)
		qtfs_req_put(other);
	qtfs_req_complete(req, -ETIMEDOUT);
	return true;
}

void qtfs_chan_expire_work(struct work_struct *work)
{
	struct qtfs_chan *chan = container_of(to_delayed_work(work),
					      struct qtfs_chan, expire);
	unsigned long next = jiffies + HZ / 50;
	unsigned int i, nr = 0;
	bool more = true;
	u64 tags[16];

	/* Who has the role has it for a moment, or, after an abort, for good. */
	if (!test_and_set_bit_lock(QTFS_CHAN_RX_BUSY, &chan->flags)) {
		while (nr < ARRAY_SIZE(tags) &&
		       expire_one(chan, &tags[nr], &more, &next))
			nr++;
		qtfs_chan_role_drop(chan, QTFS_CHAN_RX_BUSY);
		qtfs_chan_wake_receiver(chan);
		wake_up(&chan->tags_wq);
	} else if (READ_ONCE(chan->state) == QTFS_CHAN_ABORTED) {
		more = false;
	}
	/* Without the role: this may wait for memory. */
	for (i = 0; i < nr; i++)
		if (tags[i])
			chan->ops->expired(chan, tags[i]);
	if (nr == ARRAY_SIZE(tags))	/* there may be more */
		qtfs_chan_expire_at(chan, jiffies + 1);
	else if (more)
		qtfs_chan_expire_at(chan, next);
}
