/* SPDX-License-Identifier: GPL-2.0-only */
/* Step 3 of the request path: one connection, its tags and its order. */
#ifndef QTFS_CHAN_H
#define QTFS_CHAN_H

#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <qtfs/wire.h>

#include "stats.h"
#include "transport/transport.h"

struct qtfs_chan;
struct qtfs_req;

#define QTFS_CHAN_STAGING 1024

/* Bits of qtfs_chan.flags. */
enum {
	QTFS_CHAN_TX_BUSY,	/* somebody sends */
	QTFS_CHAN_TX_WAKE,	/* there is, or may be, something to send */
	QTFS_CHAN_RX_BUSY,	/* somebody receives */
	QTFS_CHAN_RX_WAKE,	/* there is, or may be, something to receive */
	QTFS_CHAN_OPEN,		/* connected: work items may use the link */
};

enum qtfs_chan_state {
	QTFS_CHAN_UP,
	QTFS_CHAN_DEAD,		/* link lost; requests wait */
	QTFS_CHAN_ABORTED,	/* requests fail */
};

/**
 * struct qtfs_chan_ops - what a channel tells its owner
 * @push: a push came; @body is gone when it returns; must not sleep. An error
 *	where it makes no sense
 * @abandoned: a reply came that nobody waits for; takes the reference;
 *	must not sleep
 * @expired: the time of a request that was sent is over; may sleep
 * @lost: the link is lost, after the greeting, for the first time; may sleep,
 *	but not for the peer
 */
struct qtfs_chan_ops {
	int (*push)(struct qtfs_chan *chan, const struct qtfs_wire_rep *hdr,
		    const void *body, size_t len);
	void (*abandoned)(struct qtfs_chan *chan, struct qtfs_req *req);
	void (*expired)(struct qtfs_chan *chan, u64 tag);
	void (*lost)(struct qtfs_chan *chan, int err);
};

/**
 * struct qtfs_chan - one connection to an engine
 * @owner: the session
 * @ops: its upcalls
 * @stats: its counters
 * @link: the connection
 * @epoch: of the session, goes into each request
 * @greeting: the session is not up yet: a lost link ends the calls at once,
 *	and is nobody else's affair; see qtfs_chan_settle()
 * @patience: how long requests may take, in jiffies; 0: any time
 * @dead_since: jiffies, when the link was lost
 * @stalled: the time of a READ or WRITE of the page cache is over, and nothing
 *	came since
 * @stalled_at: jiffies, when it was
 * @lock: protects @state, @error, @sendq, @inflight, @used, @nr_used,
 *	@waiters, @leader and each request's state. Taken in softirq context
 *	by the link's callbacks: spin_lock_bh. Innermost
 * @tags_wq: those that wait for a free tag, or for the channel to live
 * @limit: requests that may be under way, as the engine allowed
 * @waiters: requests with a task that waits and could receive
 * @leader: of them, the one that is woken when bytes arrive
 * @parked: requests that wait at the engine without a tag
 * @late: takes over from a leader that does not run
 * @expire: ends requests whose time is over and that no task waits for
 * @tx: what the sender (QTFS_CHAN_TX_BUSY) works on
 * @rx: what the receiver (QTFS_CHAN_RX_BUSY) works on
 */
struct qtfs_chan {
	void *owner;
	const struct qtfs_chan_ops *ops;
	struct qtfs_stats __percpu *stats;
	struct qtfs_link link;
	u16 epoch;
	bool greeting;
	long patience;
	unsigned long dead_since;
	bool stalled;
	unsigned long stalled_at;

	spinlock_t lock;
	enum qtfs_chan_state state;
	int error;
	struct list_head sendq;
	struct qtfs_req *inflight[QTFS_INFLIGHT_MAX];
	DECLARE_BITMAP(used, QTFS_INFLIGHT_MAX);
	unsigned int nr_used;
	unsigned int next_slot;
	u64 next_tag;
	wait_queue_head_t tags_wq;
	unsigned int limit;

	struct list_head waiters;
	struct qtfs_req *leader;
	DECLARE_HASHTABLE(parked, 6);
	struct timer_list late;

	unsigned long flags;
	struct work_struct tx_work;
	struct delayed_work post_work;
	struct delayed_work expire;
	struct work_struct rx_work;

	struct {
		struct qtfs_req *req;
		struct iov_iter iter;
		struct kvec vec;
		bool in_payload;
	} tx;

	struct {
		int stage;
		struct qtfs_wire_rep hdr;
		size_t have;		/* bytes of the part in hand */
		struct qtfs_req *req;	/* NULL for a push, unless a result */
		struct iov_iter iter;	/* of the payload */
		struct kvec vec;
		size_t payload_left;
		size_t staged;		/* bytes in @staging ... */
		size_t taken;		/* ... and how many are used up */
		u8 staging[QTFS_CHAN_STAGING] __aligned(8);
		u8 push[QTFS_CHAN_STAGING] __aligned(8);
	} rx;
};

int qtfs_chan_module_init(void);
void qtfs_chan_module_exit(void);

/**
 * qtfs_chan_open - connect
 * @timeout: in jiffies; the wait is killable
 *
 * Return: a channel without any request, or an ERR_PTR.
 */
struct qtfs_chan *qtfs_chan_open(void *owner, const struct qtfs_chan_ops *ops,
				 struct qtfs_stats __percpu *stats,
				 struct net *net,
				 const struct qtfs_endpoint *to, long timeout);

/*
 * The greeting is over: the channel belongs to a session that is up. Return:
 * whether it still lives; else ->lost() was not and will not be called.
 */
bool qtfs_chan_settle(struct qtfs_chan *chan);

/* The link is lost, or the peer broke the protocol (-EPROTO). */
void qtfs_chan_fail(struct qtfs_chan *chan, int err);

/*
 * Ends everything (see chan.c) and frees the channel. Sleeps. One of several
 * is closed after all of them were aborted: until then each may fail the rest.
 */
void qtfs_chan_close(struct qtfs_chan *chan);

/**
 * qtfs_chan_queue - give a request its tag and a place in the send order
 * @wait: wait, killably, while the channel is full or dead
 *
 * On success the channel holds a reference until the request completes, and
 * the request is on its way when this returns.
 *
 * Return: 0, -EINTR, -ETIMEDOUT when its time is over, -EIO after an abort, or
 * without @wait -EAGAIN (full) or -ENOTCONN (dead).
 */
int qtfs_chan_queue(struct qtfs_chan *chan, struct qtfs_req *req, bool wait);

/*
 * Queues a request that is not answered; it travels in front of the next one,
 * or by itself after a few milliseconds. Never waits.
 */
int qtfs_chan_post(struct qtfs_chan *chan, struct qtfs_req *req);

/* What was posted travels at once. */
void qtfs_chan_hurry(struct qtfs_chan *chan);

/**
 * qtfs_chan_wait - wait for a queued request, receiving if nobody else does
 * @timeout: in jiffies; MAX_SCHEDULE_TIMEOUT for none
 *
 * Return: 0 when it is completed, -EINTR or -ETIMEDOUT when the caller gives
 * up: the request is then abandoned and must not be looked at any more. One
 * with a @done goes on without its caller. -ERESTARTSYS when a signal came and
 * the request may park: nothing has happened to it. Time does not count for one
 * that is parked, as long as the link lives.
 */
int qtfs_chan_wait(struct qtfs_chan *chan, struct qtfs_req *req, long timeout);

/* Fails all requests, now and later. Any context that may sleep; idempotent. */
void qtfs_chan_abort(struct qtfs_chan *chan, int err);

/*
 * Waits, killably, until the channel is up. -EINTR, or -EIO after an abort. Where
 * requests have their time it does not wait: they do, and not for ever.
 */
int qtfs_chan_wait_up(struct qtfs_chan *chan);

/* What is left of a request's time, in jiffies; MAX_SCHEDULE_TIMEOUT if endless. */
long qtfs_chan_left(const struct qtfs_req *req);

static inline bool qtfs_chan_is_up(const struct qtfs_chan *chan)
{
	return READ_ONCE(chan->state) == QTFS_CHAN_UP;
}

/* Whether a request would get a tag at once; old news when it is used. */
static inline bool qtfs_chan_has_room(const struct qtfs_chan *chan)
{
	return READ_ONCE(chan->nr_used) < chan->limit;
}

#endif /* QTFS_CHAN_H */
