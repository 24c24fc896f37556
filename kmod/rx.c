// SPDX-License-Identifier: GPL-2.0-only
/*
 * Receiving (steps 10 to 12): frames from the link into the requests that wait
 * for them, by the leader or a work item. Everything here only copies bytes,
 * completes and queues: no folio lock, no allocation, no wait.
 *
 * This is the only reader of frames from a peer that may be hostile: each
 * length is compared with what was asked before a byte is moved.
 */
#include "chan_io.h"
#include "log.h"
#include "req.h"

enum { RX_HEADER, RX_BODY, RX_PAYLOAD };

static int rx_protocol_error(struct qtfs_chan *chan, const char *what)
{
	qtfs_err("protocol error from the server: %s (op %u, tag %llu)\n",
		 what, le16_to_cpu(chan->rx.hdr.op),
		 le64_to_cpu(chan->rx.hdr.tag));
	return -EPROTO;
}

static ssize_t rx_read(struct qtfs_chan *chan, struct iov_iter *to)
{
	ssize_t n = chan->link.trans->recv(&chan->link, to);

	if (n > 0)
		qtfs_count_add(chan->stats, QTFS_COUNT_BYTES_IN, n);
	return n ?: -ECONNRESET;
}

static int rx_fill(struct qtfs_chan *chan)
{
	struct kvec vec = { chan->rx.staging, sizeof(chan->rx.staging) };
	struct iov_iter to;
	ssize_t n;

	iov_iter_kvec(&to, ITER_DEST, &vec, 1, vec.iov_len);
	n = rx_read(chan, &to);
	if (n < 0)
		return n;
	chan->rx.staged = n;
	chan->rx.taken = 0;
	return 0;
}

/* Gathers a part of @want bytes at @dst; -EAGAIN until it is complete. */
static int rx_part(struct qtfs_chan *chan, void *dst, size_t want)
{
	while (chan->rx.have < want) {
		size_t n = chan->rx.staged - chan->rx.taken;
		int err;

		if (!n) {
			err = rx_fill(chan);
			if (err)
				return err;
			continue;
		}
		n = min(n, want - chan->rx.have);
		memcpy(dst + chan->rx.have, chan->rx.staging + chan->rx.taken,
		       n);
		chan->rx.taken += n;
		chan->rx.have += n;
	}
	chan->rx.have = 0;
	return 0;
}

static struct qtfs_req *rx_find(struct qtfs_chan *chan, u64 tag)
{
	struct qtfs_req *req;

	spin_lock_bh(&chan->lock);
	req = chan->inflight[tag & (QTFS_INFLIGHT_MAX - 1)];
	/* A reply to what was not sent is as wrong as an unknown tag. */
	if (req && req->tag == tag && req->state == QTFS_REQ_SENT)
		qtfs_req_get(req);
	else
		req = NULL;
	spin_unlock_bh(&chan->lock);
	return req;
}

static void rx_aim(struct qtfs_chan *chan, struct qtfs_req *req, size_t len)
{
	chan->rx.payload_left = len;
	if (!len)
		return;
	if (req->recv_copy) {
		chan->rx.vec = (struct kvec){ req->recv_copy, len };
		iov_iter_kvec(&chan->rx.iter, ITER_DEST, &chan->rx.vec, 1, len);
	} else if (!req->recv.nr) {	/* its time was over: see expire.c */
		iov_iter_discard(&chan->rx.iter, ITER_DEST, len);
	} else {
		iov_iter_bvec(&chan->rx.iter, ITER_DEST, req->recv.bvec,
			      req->recv.nr, len);
	}
}

static bool rx_is_parked(const struct qtfs_wire_rep *hdr)
{
	return hdr->flags & cpu_to_le16(QTFS_FRAME_PARKED);
}

static int rx_check_reply(struct qtfs_chan *chan, size_t body, size_t payload)
{
	const struct qtfs_wire_rep *hdr = &chan->rx.hdr;
	struct qtfs_req *req;

	req = rx_find(chan, le64_to_cpu(hdr->tag));
	if (!req)
		return rx_protocol_error(chan, "reply to nothing");
	chan->rx.req = req;

	if (le16_to_cpu(hdr->op) != req->op)
		return rx_protocol_error(chan, "wrong operation");
	if (body > req->reply_max)
		return rx_protocol_error(chan, "body too long");
	if (rx_is_parked(hdr) &&
	    (!req->may_park || hdr->status || payload ||
	     body != sizeof(struct qtfs_wire_parked)))
		return rx_protocol_error(chan, "parked what cannot be");
	if (!rx_is_parked(hdr) && !hdr->status && body < req->reply_min)
		return rx_protocol_error(chan, "body too short");
	if (payload > (hdr->status ? 0 : req->recv_max))
		return rx_protocol_error(chan, "payload too long");

	req->reply_len = body;
	req->recv_len = payload;
	req->push_seq = le64_to_cpu(hdr->push_seq);
	rx_aim(chan, req, payload);
	return 0;
}

static int rx_check(struct qtfs_chan *chan)
{
	const struct qtfs_wire_rep *hdr = &chan->rx.hdr;
	size_t len = le32_to_cpu(hdr->len);
	size_t body = le32_to_cpu(hdr->body);
	u16 flags = le16_to_cpu(hdr->flags);

	if (len < sizeof(*hdr) || body > len - sizeof(*hdr) ||
	    body % QTFS_ALIGN || body > QTFS_BODY_MAX)
		return rx_protocol_error(chan, "lengths make no sense");
	len -= sizeof(*hdr) + body;

	if (flags == QTFS_FRAME_REPLY ||
	    flags == (QTFS_FRAME_REPLY | QTFS_FRAME_PARKED))
		return rx_check_reply(chan, body, len);
	if (flags != QTFS_FRAME_PUSH)
		return rx_protocol_error(chan, "neither reply nor push");
	if (body > sizeof(chan->rx.push) || hdr->tag || hdr->status ||
	    (len && le16_to_cpu(hdr->op) != QTFS_OP_PUSH_UNPARK))
		return rx_protocol_error(chan, "bad push");
	chan->rx.payload_left = len;	/* aimed when the body tells whose */
	return 0;
}

static int rx_payload(struct qtfs_chan *chan)
{
	ssize_t n;

	while (chan->rx.payload_left) {
		n = chan->rx.staged - chan->rx.taken;
		if (n) {
			n = min_t(size_t, n, chan->rx.payload_left);
			n = copy_to_iter(chan->rx.staging + chan->rx.taken, n,
					 &chan->rx.iter);
			if (WARN_ON_ONCE(!n))
				return -EFAULT;
			chan->rx.taken += n;
		} else {
			n = rx_read(chan, &chan->rx.iter);
			if (n < 0)
				return n;
		}
		chan->rx.payload_left -= n;
	}
	return 0;
}

/* The engine is through with @req, a reference of which goes. */
static void rx_finish(struct qtfs_chan *chan, struct qtfs_req *req,
		      __le32 status)
{
	int err = -qtfs_wire_status(status);

	if (qtfs_chan_detach(chan, req, err))
		chan->ops->abandoned(chan, req);
	else
		qtfs_req_complete(req, err);
	qtfs_req_put(req);
}

/*
 * The result of a request that was parked: its reply's body is in the push's,
 * its payload comes behind.
 */
static int rx_unpark(struct qtfs_chan *chan)
{
	const struct qtfs_wire_push_unpark *push = (void *)chan->rx.push;
	size_t len = le32_to_cpu(chan->rx.hdr.body);
	size_t payload = chan->rx.payload_left;
	struct qtfs_req *req;

	if (len < sizeof(*push))
		return rx_protocol_error(chan, "bad push");
	req = qtfs_chan_parked(chan, le64_to_cpu(push->park));
	if (!req)
		return rx_protocol_error(chan, "result of nothing");
	chan->rx.req = req;
	len -= sizeof(*push);
	if (le16_to_cpu(push->op) != req->op || len > req->reply_max ||
	    (!push->status && len < req->reply_min) ||
	    payload > (push->status ? 0 : req->recv_max))
		return rx_protocol_error(chan, "result makes no sense");
	memcpy(req->reply, push + 1, len);
	req->reply_len = len;
	req->recv_len = payload;
	rx_aim(chan, req, payload);
	return 0;
}

static int rx_push(struct qtfs_chan *chan)
{
	size_t len = le32_to_cpu(chan->rx.hdr.body);

	if (chan->ops->push(chan, &chan->rx.hdr, chan->rx.push, len))
		return rx_protocol_error(chan, "push makes no sense");
	return 0;
}

static bool rx_is_push(const struct qtfs_chan *chan)
{
	return chan->rx.hdr.flags & cpu_to_le16(QTFS_FRAME_PUSH);
}

static int rx_park(struct qtfs_chan *chan, struct qtfs_req *req)
{
	const struct qtfs_wire_parked *body = req->reply;
	int err = 0;

	if (!qtfs_chan_park(chan, req, le64_to_cpu(body->park)))
		err = rx_protocol_error(chan, "parked twice");
	qtfs_req_put(req);
	return err;
}

/* The frame is complete. */
static int rx_deliver(struct qtfs_chan *chan)
{
	const struct qtfs_wire_push_unpark *result = (void *)chan->rx.push;
	struct qtfs_req *req = chan->rx.req;

	qtfs_count(chan->stats, QTFS_COUNT_FRAMES_IN);
	WRITE_ONCE(chan->stalled, false);
	if (rx_is_push(chan))
		qtfs_count(chan->stats, QTFS_COUNT_PUSHES);
	chan->rx.req = NULL;
	if (!req)
		return rx_push(chan);
	if (rx_is_push(chan)) {
		rx_finish(chan, req, result->status);
		return 0;
	}
	if (rx_is_parked(&chan->rx.hdr))
		return rx_park(chan, req);
	rx_finish(chan, req, chan->rx.hdr.status);
	return 0;
}

/* One step of the frame in hand; 0 to go on. */
static int rx_step(struct qtfs_chan *chan)
{
	void *body = chan->rx.req ? chan->rx.req->reply : chan->rx.push;
	int err;

	switch (chan->rx.stage) {
	case RX_HEADER:
		err = rx_part(chan, &chan->rx.hdr, sizeof(chan->rx.hdr));
		/* A banner of something else may be shorter than a header. */
		if (err == -EAGAIN && chan->greeting &&
		    chan->rx.have >= sizeof(chan->rx.hdr.len) &&
		    le32_to_cpu(chan->rx.hdr.len) > QTFS_BODY_MAX)
			return rx_protocol_error(chan, "no greeting");
		if (!err)
			err = rx_check(chan);
		if (err)
			return err;
		chan->rx.stage = RX_BODY;
		return 0;
	case RX_BODY:
		err = rx_part(chan, body, le32_to_cpu(chan->rx.hdr.body));
		if (!err && rx_is_push(chan) && le16_to_cpu(chan->rx.hdr.op) ==
						QTFS_OP_PUSH_UNPARK)
			err = rx_unpark(chan);
		if (err)
			return err;
		chan->rx.stage = RX_PAYLOAD;
		return 0;
	default:
		err = rx_payload(chan);
		if (err)
			return err;
		chan->rx.stage = RX_HEADER;
		return rx_deliver(chan);
	}
}

/*
 * Nobody receives from here on: the link has to tell of what comes. Returns
 * whether something is there already.
 */
static bool rx_rest(struct qtfs_chan *chan)
{
	const struct qtfs_transport *trans = chan->link.trans;

	return trans->arm ? trans->arm(&chan->link) :
			    trans->pending(&chan->link);
}

/* The link is empty. Returns whether something came, for who cares to look. */
static bool rx_await(struct qtfs_chan *chan, struct qtfs_req *until)
{
	const struct qtfs_transport *trans = chan->link.trans;

	if (!trans->arm)
		return false;
	return (until && trans->spin(&chan->link)) || trans->arm(&chan->link);
}

static void rx_drain(struct qtfs_chan *chan, struct qtfs_req *until)
{
	int err;

	while (qtfs_chan_is_up(chan)) {
		if (until && chan->rx.stage == RX_HEADER &&
		    READ_ONCE(until->state) == QTFS_REQ_DONE) {
			/* What is left is the next one's. */
			if (chan->rx.staged != chan->rx.taken || rx_rest(chan))
				set_bit(QTFS_CHAN_RX_WAKE, &chan->flags);
			return;
		}
		err = rx_step(chan);
		if (err == -EAGAIN && rx_await(chan, until))
			continue;
		if (err == -EAGAIN)
			return;
		if (err)
			qtfs_chan_fail(chan, err);
	}
}

void qtfs_chan_receive(struct qtfs_chan *chan, struct qtfs_req *until)
{
	while (!(until && READ_ONCE(until->state) == QTFS_REQ_DONE) &&
	       qtfs_chan_role_take(chan, QTFS_CHAN_RX_BUSY,
				   QTFS_CHAN_RX_WAKE)) {
		rx_drain(chan, until);
		qtfs_chan_role_drop(chan, QTFS_CHAN_RX_BUSY);
	}
}
