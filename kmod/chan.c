// SPDX-License-Identifier: GPL-2.0-only
/*
 * Step 3 of the request path: the channel gives requests their tags and their
 * order, and lets whoever waits do the receiving (tx.c sends, rx.c receives).
 *
 * Whoever has work tries to take the sender's or the receiver's role, a bit in
 * @flags; who finds it taken leaves a wake bit that the holder sees before it
 * goes. Nobody ever waits for the role: a killed caller holds up nothing.
 *
 * Life and death: UP until the link fails, then DEAD: requests stay where they
 * are and their callers wait, killably. qtfs_chan_abort() makes it ABORTED:
 *  1. the state keeps new requests out,
 *  2. the link is shut down,
 *  3. both roles are taken for good, so that nobody touches a buffer,
 *  4. every request completes with the error.
 * Where requests have their time (@patience), a task gives up its own, and
 * expire.c ends those of the page cache, which no task waits for.
 *
 * qtfs_chan_close() aborts, closes the link (its callbacks are over then),
 * stops the timer and the work items, which find no role to take, and frees.
 *
 * What one connection guarantees is that requests are begun by the engine in the
 * order in which they were queued. Between connections there is no order; see
 * session.c for who needs one and how it is kept.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "chan.h"
#include "chan_io.h"
#include "compat/compat.h"
#include "log.h"
#include "req.h"
#include "trace.h"

static struct workqueue_struct *chan_wq;

int qtfs_chan_module_init(void)
{
	chan_wq = alloc_workqueue("qtfs", WQ_MEM_RECLAIM, 0);
	return chan_wq ? 0 : -ENOMEM;
}

void qtfs_chan_module_exit(void)
{
	destroy_workqueue(chan_wq);
}

bool qtfs_chan_role_take(struct qtfs_chan *chan, int busy, int wake)
{
	if (!test_bit(wake, &chan->flags) ||
	    test_and_set_bit_lock(busy, &chan->flags))
		return false;
	clear_bit(wake, &chan->flags);
	smp_mb__after_atomic();	/* what came before the wake bit is seen */
	return true;
}

void qtfs_chan_role_drop(struct qtfs_chan *chan, int busy)
{
	clear_bit_unlock(busy, &chan->flags);
	smp_mb__after_atomic();	/* for wake_up_bit() and for the wake bit */
	wake_up_bit(&chan->flags, busy);
}

static void chan_tx_work(struct work_struct *work)
{
	qtfs_chan_transmit(container_of(work, struct qtfs_chan, tx_work));
}

static void chan_post_work(struct work_struct *work)
{
	struct qtfs_chan *chan = container_of(to_delayed_work(work),
					      struct qtfs_chan, post_work);

	set_bit(QTFS_CHAN_TX_WAKE, &chan->flags);
	qtfs_chan_transmit(chan);
}

static void chan_rx_work(struct work_struct *work)
{
	qtfs_chan_receive(container_of(work, struct qtfs_chan, rx_work), NULL);
}

/* The leader was woken but has not run: somebody else must read. */
static void chan_late(struct timer_list *timer)
{
	struct qtfs_chan *chan = container_of(timer, struct qtfs_chan, late);

	if (test_bit(QTFS_CHAN_RX_WAKE, &chan->flags))
		queue_work(chan_wq, &chan->rx_work);
}

/* Lets the leader read, or a work item where nobody waits. */
static void chan_wake_receiver(struct qtfs_chan *chan)
{
	lockdep_assert_held(&chan->lock);

	/* Before, the link may be closed any moment; its first user looks. */
	if (!test_bit(QTFS_CHAN_OPEN, &chan->flags))
		return;
	if (!chan->leader) {
		queue_work(chan_wq, &chan->rx_work);
		return;
	}
	wake_up(&chan->leader->wq);
	if (!timer_pending(&chan->late))
		mod_timer(&chan->late, jiffies + 1 + HZ / 1000);
}

void qtfs_chan_wake_receiver(struct qtfs_chan *chan)
{
	spin_lock_bh(&chan->lock);
	if (test_bit(QTFS_CHAN_RX_WAKE, &chan->flags))
		chan_wake_receiver(chan);
	spin_unlock_bh(&chan->lock);
}

static void chan_readable(struct qtfs_link *link)
{
	struct qtfs_chan *chan = container_of(link, struct qtfs_chan, link);

	set_bit(QTFS_CHAN_RX_WAKE, &chan->flags);
	spin_lock_bh(&chan->lock);
	chan_wake_receiver(chan);
	spin_unlock_bh(&chan->lock);
}

static void chan_writable(struct qtfs_link *link)
{
	struct qtfs_chan *chan = container_of(link, struct qtfs_chan, link);

	set_bit(QTFS_CHAN_TX_WAKE, &chan->flags);
	if (test_bit(QTFS_CHAN_OPEN, &chan->flags))
		queue_work(chan_wq, &chan->tx_work);
}

static bool chan_busy(struct qtfs_link *link)
{
	struct qtfs_chan *chan = container_of(link, struct qtfs_chan, link);

	return READ_ONCE(chan->nr_used);
}

void qtfs_chan_fail(struct qtfs_chan *chan, int err)
{
	struct qtfs_req *req;
	bool first, greeting;

	spin_lock_bh(&chan->lock);
	greeting = chan->greeting;
	first = chan->state == QTFS_CHAN_UP;
	if (first) {
		chan->dead_since = jiffies;
		chan->state = QTFS_CHAN_DEAD;
		chan->error = err;
	}
	list_for_each_entry(req, &chan->waiters, waiting)
		wake_up(&req->wq);
	spin_unlock_bh(&chan->lock);

	if (!first)
		return;
	if (err == -EPROTO)
		qtfs_count(chan->stats, QTFS_COUNT_PROTOCOL_ERRORS);
	chan->link.trans->shutdown(&chan->link);
	if (!greeting)
		chan->ops->lost(chan, err);
}

bool qtfs_chan_settle(struct qtfs_chan *chan)
{
	bool up;

	spin_lock_bh(&chan->lock);
	chan->greeting = false;
	up = chan->state == QTFS_CHAN_UP;
	spin_unlock_bh(&chan->lock);
	return up;
}

struct qtfs_chan *qtfs_chan_open(void *owner, const struct qtfs_chan_ops *ops,
				 struct qtfs_stats __percpu *stats,
				 struct net *net,
				 const struct qtfs_endpoint *to, long timeout)
{
	struct qtfs_chan *chan;
	int err;

	chan = kvzalloc(sizeof(*chan), GFP_KERNEL);
	if (!chan)
		return ERR_PTR(-ENOMEM);

	chan->owner = owner;
	chan->ops = ops;
	chan->stats = stats;
	chan->greeting = true;
	chan->limit = 1;
	spin_lock_init(&chan->lock);
	INIT_LIST_HEAD(&chan->sendq);
	INIT_LIST_HEAD(&chan->waiters);
	hash_init(chan->parked);
	init_waitqueue_head(&chan->tags_wq);
	timer_setup(&chan->late, chan_late, 0);
	INIT_WORK(&chan->tx_work, chan_tx_work);
	INIT_DELAYED_WORK(&chan->post_work, chan_post_work);
	INIT_DELAYED_WORK(&chan->expire, qtfs_chan_expire_work);
	INIT_WORK(&chan->rx_work, chan_rx_work);
	chan->link.trans = to->trans;
	chan->link.readable = chan_readable;
	chan->link.writable = chan_writable;
	chan->link.busy = chan_busy;

	err = to->trans->open(&chan->link, net, to, timeout);
	if (err) {
		kvfree(chan);
		return ERR_PTR(err);
	}
	set_bit(QTFS_CHAN_OPEN, &chan->flags);
	return chan;
}

static void chan_drop_slot(struct qtfs_chan *chan, struct qtfs_req *req)
{
	unsigned int slot = req->tag & (QTFS_INFLIGHT_MAX - 1);

	lockdep_assert_held(&chan->lock);

	if (req->noreply)
		return;
	if (req->state == QTFS_REQ_PARKED) {
		hash_del(&req->parked);
		return;
	}
	WARN_ON_ONCE(chan->inflight[slot] != req);
	chan->inflight[slot] = NULL;
	__clear_bit(slot, chan->used);
	chan->nr_used--;
}

void qtfs_chan_unqueue(struct qtfs_chan *chan, struct qtfs_req *req)
{
	list_del_init(&req->link);
	chan_drop_slot(chan, req);
}

/* Takes every request off the channel, onto @all. Roles are held for good. */
static void chan_collect(struct qtfs_chan *chan, struct list_head *all)
{
	struct hlist_node *next;
	struct qtfs_req *req;
	unsigned int slot;

	lockdep_assert_held(&chan->lock);

	hash_for_each_safe(chan->parked, slot, next, req, parked) {
		chan_drop_slot(chan, req);
		list_add_tail(&req->link, all);
	}
	for_each_set_bit(slot, chan->used, QTFS_INFLIGHT_MAX) {
		req = chan->inflight[slot];
		chan_drop_slot(chan, req);
		list_move_tail(&req->link, all);
	}
	list_splice_tail_init(&chan->sendq, all);	/* the unanswered ones */
	if (chan->tx.req && chan->tx.req->noreply)
		list_move_tail(&chan->tx.req->link, all);
	list_for_each_entry(req, all, link) {
		req->err = chan->error;
		req->abandoned = false;
		smp_store_release(&req->state, QTFS_REQ_DONE);
	}
}

void qtfs_chan_abort(struct qtfs_chan *chan, int err)
{
	struct qtfs_req *req, *next;
	LIST_HEAD(all);
	bool first;

	spin_lock_bh(&chan->lock);
	first = chan->state != QTFS_CHAN_ABORTED;
	chan->state = QTFS_CHAN_ABORTED;
	chan->error = err;
	spin_unlock_bh(&chan->lock);
	if (!first)
		return;

	chan->link.trans->shutdown(&chan->link);
	/* Holders never sleep for the peer: these waits are short. */
	wait_on_bit_lock(&chan->flags, QTFS_CHAN_TX_BUSY, TASK_UNINTERRUPTIBLE);
	wait_on_bit_lock(&chan->flags, QTFS_CHAN_RX_BUSY, TASK_UNINTERRUPTIBLE);

	spin_lock_bh(&chan->lock);
	chan_collect(chan, &all);
	spin_unlock_bh(&chan->lock);

	if (chan->tx.req)
		qtfs_req_put(chan->tx.req);
	chan->tx.req = NULL;
	if (chan->rx.req)
		qtfs_req_put(chan->rx.req);
	chan->rx.req = NULL;

	list_for_each_entry_safe(req, next, &all, link) {
		list_del_init(&req->link);
		qtfs_req_complete(req, err);
	}
	wake_up_all(&chan->tags_wq);
}

void qtfs_chan_close(struct qtfs_chan *chan)
{
	qtfs_chan_abort(chan, -ESHUTDOWN);
	chan->link.trans->close(&chan->link);
	timer_delete_sync(&chan->late);
	cancel_delayed_work_sync(&chan->post_work);
	cancel_delayed_work_sync(&chan->expire);
	cancel_work_sync(&chan->rx_work);
	cancel_work_sync(&chan->tx_work);
	kvfree(chan);
}

/* Of a request that does not wait for the channel to come back. */
static int chan_error(const struct qtfs_chan *chan)
{
	/* Why it was lost, a time-out perhaps, would be taken for the call's. */
	if (!chan->greeting && chan->state == QTFS_CHAN_DEAD)
		return -ECONNRESET;
	return READ_ONCE(chan->error) ?: -EIO;
}

/* 1: queued, 0: no room or dead, or the error. */
static int chan_try_queue(struct qtfs_chan *chan, struct qtfs_req *req)
{
	struct qtfs_wire_req *hdr = req->head;
	unsigned int slot;
	int ret = 0;

	spin_lock_bh(&chan->lock);
	if (chan->state == QTFS_CHAN_ABORTED ||
	    (chan->state == QTFS_CHAN_DEAD &&
	     (chan->greeting || req->fragile))) {
		ret = chan_error(chan);
		goto out;
	}
	if (chan->state == QTFS_CHAN_DEAD)
		goto out;
	if (!req->noreply) {
		if (chan->nr_used >= chan->limit)
			goto out;
		slot = find_next_zero_bit(chan->used, QTFS_INFLIGHT_MAX,
					  chan->next_slot);
		if (slot == QTFS_INFLIGHT_MAX)
			slot = find_first_zero_bit(chan->used,
						   QTFS_INFLIGHT_MAX);
		chan->next_slot = (slot + 1) % QTFS_INFLIGHT_MAX;
		__set_bit(slot, chan->used);
		chan->nr_used++;
		chan->inflight[slot] = req;
		req->tag = ++chan->next_tag * QTFS_INFLIGHT_MAX + slot;
	}
	hdr->tag = cpu_to_le64(req->tag);
	hdr->epoch = cpu_to_le16(chan->epoch);
	trace_qtfs_req_queued(req->tag, req->op, le32_to_cpu(hdr->len));
	qtfs_req_get(req);	/* the channel's */
	req->chan = chan;
	req->state = QTFS_REQ_QUEUED;
	list_add_tail(&req->link, &chan->sendq);
	/* No-op if it is wanted earlier already. */
	if (req->timed && req->done)
		queue_delayed_work(chan_wq, &chan->expire,
				   qtfs_chan_left(req) + 1);
	ret = 1;
out:
	spin_unlock_bh(&chan->lock);
	return ret;
}

static bool chan_may_queue(struct qtfs_chan *chan)
{
	bool may;

	spin_lock_bh(&chan->lock);
	may = chan->state == QTFS_CHAN_ABORTED ||
	      (chan->state == QTFS_CHAN_UP && chan->nr_used < chan->limit);
	spin_unlock_bh(&chan->lock);
	return may;
}

void qtfs_chan_expire_at(struct qtfs_chan *chan, unsigned long when)
{
	long left = when - jiffies;

	mod_delayed_work(chan_wq, &chan->expire, max(left, 1L));
}

long qtfs_chan_left(const struct qtfs_req *req)
{
	long left = req->deadline - jiffies;

	return req->timed ? max(left, 0L) : MAX_SCHEDULE_TIMEOUT;
}

/* Waits until it may be queued. A link that was lost long ago stays lost. */
static int chan_wait_room(struct qtfs_chan *chan, const struct qtfs_req *req)
{
	long left = qtfs_chan_left(req);

	if (chan->patience && READ_ONCE(chan->state) == QTFS_CHAN_DEAD &&
	    time_after(jiffies, READ_ONCE(chan->dead_since) + chan->patience))
		return -ETIMEDOUT;
	left = ___wait_event(chan->tags_wq,
			     ___wait_cond_timeout(chan_may_queue(chan)),
			     QTFS_WAIT_STATE, 0, left,
			     __ret = schedule_timeout(__ret));
	if (left < 0)
		return -EINTR;
	return left ? 0 : -ETIMEDOUT;
}

int qtfs_chan_queue(struct qtfs_chan *chan, struct qtfs_req *req, bool wait)
{
	int ret;

	for (;;) {
		ret = chan_try_queue(chan, req);
		if (ret < 0)
			return ret;
		if (ret)
			break;
		if (!wait)
			return qtfs_chan_is_up(chan) ? -EAGAIN : -ENOTCONN;
		ret = chan_wait_room(chan, req);
		if (ret)
			return ret;
	}
	/* From here on @req may be done and gone. */
	set_bit(QTFS_CHAN_TX_WAKE, &chan->flags);
	qtfs_chan_transmit(chan);
	return 0;
}

int qtfs_chan_wait_up(struct qtfs_chan *chan)
{
	if (chan->patience)
		return READ_ONCE(chan->state) == QTFS_CHAN_ABORTED ? -EIO : 0;
	if (wait_event_state(chan->tags_wq,
			     READ_ONCE(chan->state) != QTFS_CHAN_DEAD,
			     QTFS_WAIT_STATE))
		return -EINTR;
	return qtfs_chan_is_up(chan) ? 0 : -EIO;
}

int qtfs_chan_post(struct qtfs_chan *chan, struct qtfs_req *req)
{
	int ret = chan_try_queue(chan, req);

	if (ret <= 0)
		return ret ?: -ENOTCONN;
	queue_delayed_work(chan_wq, &chan->post_work, HZ / 50);
	return 0;
}

void qtfs_chan_hurry(struct qtfs_chan *chan)
{
	mod_delayed_work(chan_wq, &chan->post_work, 0);
}

bool qtfs_chan_detach(struct qtfs_chan *chan, struct qtfs_req *req, int err)
{
	bool abandoned;

	spin_lock_bh(&chan->lock);
	chan_drop_slot(chan, req);
	list_del_init(&req->link);
	abandoned = req->abandoned;
	req->err = err;
	smp_store_release(&req->state, QTFS_REQ_DONE);
	spin_unlock_bh(&chan->lock);

	if (!req->noreply && waitqueue_active(&chan->tags_wq))
		wake_up(&chan->tags_wq);
	return abandoned;
}

static struct qtfs_req *chan_find_parked(struct qtfs_chan *chan, u64 park)
{
	struct qtfs_req *req;

	lockdep_assert_held(&chan->lock);

	hash_for_each_possible(chan->parked, req, parked, park)
		if (req->park == park)
			return req;
	return NULL;
}

bool qtfs_chan_park(struct qtfs_chan *chan, struct qtfs_req *req, u64 park)
{
	bool fresh;

	spin_lock_bh(&chan->lock);
	fresh = !chan_find_parked(chan, park);
	if (fresh) {
		chan_drop_slot(chan, req);
		list_del_init(&req->link);
		req->park = park;
		req->state = QTFS_REQ_PARKED;
		hash_add(chan->parked, &req->parked, park);
	}
	spin_unlock_bh(&chan->lock);

	if (waitqueue_active(&chan->tags_wq))
		wake_up(&chan->tags_wq);
	return fresh;
}

struct qtfs_req *qtfs_chan_parked(struct qtfs_chan *chan, u64 park)
{
	struct qtfs_req *req;

	spin_lock_bh(&chan->lock);
	req = chan_find_parked(chan, park);
	if (req)
		qtfs_req_get(req);
	spin_unlock_bh(&chan->lock);
	return req;
}

static bool req_done(const struct qtfs_req *req)
{
	return smp_load_acquire(&req->state) == QTFS_REQ_DONE;
}

static void chan_waiter_add(struct qtfs_chan *chan, struct qtfs_req *req)
{
	spin_lock_bh(&chan->lock);
	list_add_tail(&req->waiting, &chan->waiters);
	if (!chan->leader)
		chan->leader = req;
	spin_unlock_bh(&chan->lock);
}

/* Leaves, and hands the leader's role on if there is something to read. */
static void chan_waiter_del(struct qtfs_chan *chan, struct qtfs_req *req)
{
	spin_lock_bh(&chan->lock);
	list_del_init(&req->waiting);
	if (chan->leader == req) {
		chan->leader = list_first_entry_or_null(&chan->waiters,
							struct qtfs_req,
							waiting);
		if (test_bit(QTFS_CHAN_RX_WAKE, &chan->flags))
			chan_wake_receiver(chan);
	}
	spin_unlock_bh(&chan->lock);
}

/*
 * The caller gives up. A request that nobody began to send vanishes; else it
 * stays until its reply comes, and what that gives is given back.
 * Returns false if it completed in the meantime.
 */
static bool chan_give_up(struct qtfs_chan *chan, struct qtfs_req *req, int err)
{
	bool unsent = false, gone = true;

	spin_lock_bh(&chan->lock);
	switch (req->state) {
	case QTFS_REQ_DONE:
		gone = false;
		break;
	case QTFS_REQ_QUEUED:
		unsent = true;
		qtfs_chan_unqueue(chan, req);
		break;
	case QTFS_REQ_SENT:
	case QTFS_REQ_PARKED:
		req->abandoned = true;
		req->late = err == -ETIMEDOUT;
		break;
	}
	spin_unlock_bh(&chan->lock);

	if (unsent) {
		wake_up(&chan->tags_wq);
		qtfs_req_put(req);	/* the channel's */
	}
	return gone;
}

/* Whether there is something for this waiter to do. */
static bool chan_stirred(struct qtfs_chan *chan, struct qtfs_req *req)
{
	return req_done(req) ||
	       (READ_ONCE(chan->leader) == req &&
		test_bit(QTFS_CHAN_RX_WAKE, &chan->flags) &&
		!test_bit(QTFS_CHAN_RX_BUSY, &chan->flags)) ||
	       ((chan->greeting || req->fragile) && !qtfs_chan_is_up(chan));
}

/* The leader receives; where that is worth it, also what is just coming. */
static void chan_lead(struct qtfs_chan *chan, struct qtfs_req *req)
{
	if (chan->link.trans->spin)
		set_bit(QTFS_CHAN_RX_WAKE, &chan->flags);
	qtfs_chan_receive(chan, req);
}

/* The engine has answered: what is waited for is another's to give. */
static bool chan_waits_for_others(struct qtfs_chan *chan, struct qtfs_req *req)
{
	return chan->patience && READ_ONCE(req->state) == QTFS_REQ_PARKED &&
	       qtfs_chan_is_up(chan);
}

int qtfs_chan_wait(struct qtfs_chan *chan, struct qtfs_req *req, long timeout)
{
	unsigned int state = req->may_park && !req->deaf ?
			     QTFS_INTERRUPTIBLE_STATE : QTFS_WAIT_STATE;
	int err = 0;

	chan_waiter_add(chan, req);
	while (!req_done(req)) {
		DEFINE_WAIT(wait);

		if (READ_ONCE(chan->leader) == req)
			chan_lead(chan, req);

		prepare_to_wait(&req->wq, &wait, state);
		if (!chan_stirred(chan, req) &&
		    !signal_pending_state(state, current))
			timeout = schedule_timeout(timeout);
		finish_wait(&req->wq, &wait);

		if (req_done(req))
			break;
		if (fatal_signal_pending(current))
			err = -EINTR;
		else if (signal_pending_state(state, current))
			err = -ERESTARTSYS;
		else if (!timeout && chan_waits_for_others(chan, req))
			timeout = chan->patience;
		else if (!timeout)
			err = -ETIMEDOUT;
		else if ((chan->greeting || req->fragile) &&
			 !qtfs_chan_is_up(chan))
			err = chan_error(chan);
		if (err)
			break;
	}
	chan_waiter_del(chan, req);
	if (err == -ERESTARTSYS)
		return err;
	if (err && (req->done || chan_give_up(chan, req, err)))
		return err;
	return 0;
}
