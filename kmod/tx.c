// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sending: whole frames in the order of the queue, by whoever queued one or,
 * when the link was full, by a work item. State lives in the channel, so a
 * killed caller leaves nothing half done.
 */
#include "chan_io.h"
#include "req.h"
#include "trace.h"

static bool tx_next(struct qtfs_chan *chan)
{
	struct qtfs_req *req;

	spin_lock_bh(&chan->lock);
	req = list_first_entry_or_null(&chan->sendq, struct qtfs_req, link);
	if (req) {
		list_del_init(&req->link);
		req->state = QTFS_REQ_SENT;
		qtfs_req_get(req);
	}
	spin_unlock_bh(&chan->lock);
	if (!req)
		return false;

	chan->tx.req = req;
	chan->tx.in_payload = false;
	chan->tx.vec = (struct kvec){ req->head, req->head_len };
	iov_iter_kvec(&chan->tx.iter, ITER_SOURCE, &chan->tx.vec, 1,
		      req->head_len);
	return true;
}

/* Goes on to the payload, if there is one. */
static bool tx_payload(struct qtfs_chan *chan)
{
	struct qtfs_req *req = chan->tx.req;

	if (chan->tx.in_payload || !req->send.len)
		return false;

	chan->tx.in_payload = true;
	if (req->send_copy) {
		chan->tx.vec = (struct kvec){ req->send_copy, req->send.len };
		iov_iter_kvec(&chan->tx.iter, ITER_SOURCE, &chan->tx.vec, 1,
			      req->send.len);
	} else {
		iov_iter_bvec(&chan->tx.iter, ITER_SOURCE, req->send.bvec,
			      req->send.nr, req->send.len);
	}
	return true;
}

static void tx_finish(struct qtfs_chan *chan)
{
	struct qtfs_req *req = chan->tx.req;

	chan->tx.req = NULL;
	qtfs_count(chan->stats, QTFS_COUNT_FRAMES_OUT);
	qtfs_count_add(chan->stats, QTFS_COUNT_BYTES_OUT,
		       req->head_len + req->send.len);
	trace_qtfs_req_sent(req->tag, req->op, req->head_len + req->send.len);
	if (req->noreply)
		qtfs_req_complete(req, 0);
	qtfs_req_put(req);
}

static void tx_drain(struct qtfs_chan *chan)
{
	ssize_t n;
	bool more;

	while (qtfs_chan_is_up(chan) && (chan->tx.req || tx_next(chan))) {
		more = (!chan->tx.in_payload && chan->tx.req->send.len) ||
		       !list_empty_careful(&chan->sendq);
		n = chan->link.trans->send(&chan->link, &chan->tx.iter, more);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			qtfs_chan_fail(chan, n ?: -EPIPE);
			return;
		}
		if (!iov_iter_count(&chan->tx.iter) && !tx_payload(chan))
			tx_finish(chan);
	}
}

void qtfs_chan_transmit(struct qtfs_chan *chan)
{
	while (qtfs_chan_role_take(chan, QTFS_CHAN_TX_BUSY,
				   QTFS_CHAN_TX_WAKE)) {
		tx_drain(chan);
		qtfs_chan_role_drop(chan, QTFS_CHAN_TX_BUSY);
	}
}
