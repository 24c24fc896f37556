// SPDX-License-Identifier: GPL-2.0-only
/*
 * A session: first exchange, identity, teardown.
 *
 * Teardown, from qtfs_session_close(): the superblock is gone, so nobody calls
 * any more; the reaper is stopped, the channel closed (see chan.c), the
 * credentials freed. The structure itself goes with the last reference, which
 * may be netlink's.
 */
#include <crypto/algapi.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/utsname.h>
#include <linux/wait_bit.h>
#include <net/net_namespace.h>

#include "auth.h"
#include "chan.h"
#include "compat/compat.h"
#include "log.h"
#include "poll.h"
#include "reap.h"
#include "req.h"
#include "session.h"

/* Protects the list of sessions and the ids. */
static DEFINE_MUTEX(sessions_lock);
static LIST_HEAD(sessions);
static u32 last_id;

/* What the steps of the first exchange hand on. */
struct greeting {
	struct qtfs_session *session;
	struct qtfs_session_params *params;
	unsigned long deadline;
	u8 transcript[32];
	u32 auth;
	char addr[64];
};

#define greeting_fail(g, err, fmt, ...)					\
	({								\
		snprintf((g)->params->why, sizeof((g)->params->why),	\
			 "%s: " fmt, (g)->addr, ##__VA_ARGS__);		\
		(err);							\
	})

static long greeting_left(const struct greeting *g)
{
	long left = g->deadline - jiffies;

	return max(left, 1L);
}

static int greeting_call(struct greeting *g, struct qtfs_args *args,
			 void *body, size_t len, void *rep, size_t rep_len)
{
	args->nr_in = max_t(u8, args->nr_in, 1);
	args->in[0] = (struct kvec){ body, len };
	args->out = (struct kvec){ rep, rep_len };
	args->out_min = rep_len;
	args->session_op = true;
	args->timeout = greeting_left(g);
	return qtfs_call(g->session, args);
}

static int greeting_hello_error(struct greeting *g, int err,
				const struct qtfs_wire_hello_rep *rep)
{
	switch (err) {
	case -EINTR:
		return err;
	case -ETIMEDOUT:
		return greeting_fail(g, err,
			"connected, but nothing answers the greeting: is it a qtfs engine?");
	case -EPROTONOSUPPORT:
		return greeting_fail(g, err,
			"protocol version mismatch: the server speaks %u, this module %u",
			le16_to_cpu(rep->version), QTFS_WIRE_VERSION);
	case -EACCES:
		if (g->params->psk)
			return greeting_fail(g, err,
				"the server does not ask for the key");
		return greeting_fail(g, err,
			"the server requires %s",
			le32_to_cpu(rep->auth) & QTFS_AUTH_PSK ?
			"a pre-shared key (option psk=FILE)" :
			"another kind of authentication");
	case -EPROTO:
	case -ECONNRESET:
	case -EPIPE:
		return greeting_fail(g, -EPROTO,
			"what listens there does not speak the qtfs protocol");
	default:
		return greeting_fail(g, err, "greeting failed: error %d", err);
	}
}

static int greeting_check_hello(struct greeting *g,
				const struct qtfs_wire_hello_rep *rep,
				u32 offered)
{
	struct qtfs_session *session = g->session;
	u32 inflight = le32_to_cpu(rep->inflight);
	u32 io_max = le32_to_cpu(rep->io_max);

	g->auth = le32_to_cpu(rep->auth);
	if (le32_to_cpu(rep->magic) != QTFS_WIRE_MAGIC ||
	    le16_to_cpu(rep->version) != QTFS_WIRE_VERSION || rep->reserved ||
	    (rep->features & ~cpu_to_le64(QTFS_SESSION_FEATURES)) ||
	    !inflight || inflight > QTFS_INFLIGHT_MAX ||
	    io_max < PAGE_SIZE || hweight32(g->auth) != 1)
		return greeting_fail(g, -EPROTO,
				     "the server's greeting makes no sense");
	/* With a key in hand nothing less will do: no downgrade. */
	if (!(g->auth & offered))
		return greeting_fail(g, -EACCES,
				     "the server does not ask for the key");

	session->life = le64_to_cpu(rep->life);
	session->features = le64_to_cpu(rep->features);
	session->io_max = min3(io_max, g->params->io_max, QTFS_IO_MAX);
	session->chan->limit = inflight;
	return 0;
}

static int greeting_hello(struct greeting *g)
{
	u8 buf[sizeof(struct qtfs_wire_hello) + QTFS_PAD(__NEW_UTS_LEN + 1)] = {};
	struct qtfs_wire_hello *hello = (void *)buf;
	u32 offered = g->params->psk ? QTFS_AUTH_PSK : QTFS_AUTH_NONE;
	struct qtfs_args args = { .op = QTFS_OP_HELLO };
	struct qtfs_wire_hello_rep rep;
	size_t name_len, len;
	int err;

	name_len = strnlen(utsname()->nodename, __NEW_UTS_LEN);
	memcpy(hello + 1, utsname()->nodename, name_len);
	len = sizeof(*hello) + QTFS_PAD(name_len);
	hello->magic = cpu_to_le32(QTFS_WIRE_MAGIC);
	hello->version_min = cpu_to_le16(QTFS_WIRE_VERSION);
	hello->version_max = cpu_to_le16(QTFS_WIRE_VERSION);
	hello->features = cpu_to_le64(QTFS_SESSION_FEATURES);
	hello->io_max = cpu_to_le32(g->params->io_max);
	hello->inflight = cpu_to_le32(QTFS_INFLIGHT_MAX);
	hello->name_len = cpu_to_le16(name_len);
	hello->auth = cpu_to_le32(offered);
	get_random_bytes(hello->nonce, sizeof(hello->nonce));

	memset(&rep, 0, sizeof(rep));
	err = greeting_call(g, &args, hello, len, &rep, sizeof(rep));
	if (err)
		return greeting_hello_error(g, err, &rep);
	err = greeting_check_hello(g, &rep, offered);
	if (err)
		return err;
	return qtfs_auth_transcript(hello, len, &rep, sizeof(rep),
				    g->transcript);
}

/* Both sides prove that they know the key; the engine's proof counts too. */
static int greeting_auth(struct greeting *g)
{
	const struct qtfs_session_params *p = g->params;
	struct qtfs_args args = { .op = QTFS_OP_AUTH };
	struct qtfs_wire_auth mine, theirs;
	u8 expected[QTFS_PROOF_LEN];
	int err;

	if (g->auth != QTFS_AUTH_PSK)
		return 0;

	err = qtfs_auth_proof(p->psk, p->psk_len, QTFS_LABEL_CLIENT,
			      g->transcript, mine.proof) ?:
	      qtfs_auth_proof(p->psk, p->psk_len, QTFS_LABEL_SERVER,
			      g->transcript, expected);
	if (err)
		return greeting_fail(g, err, "cannot compute HMAC-SHA-256");
	err = greeting_call(g, &args, &mine, sizeof(mine), &theirs,
			    sizeof(theirs));
	if (err == -EACCES)
		return greeting_fail(g, err, "wrong pre-shared key");
	if (err)
		return greeting_fail(g, err, "authentication failed: error %d",
				     err);
	if (crypto_memneq(theirs.proof, expected, sizeof(expected)))
		return greeting_fail(g, -EACCES,
				     "the server does not know the pre-shared key");
	return 0;
}

static int greeting_session(struct greeting *g)
{
	const struct qtfs_session_params *p = g->params;
	struct qtfs_wire_session body = {
		.action = cpu_to_le16(QTFS_SESSION_NEW),
	};
	struct qtfs_args args = { .op = QTFS_OP_SESSION };
	struct qtfs_session *session = g->session;
	struct qtfs_wire_session_rep rep;
	int err;

	err = greeting_call(g, &args, &body, sizeof(body), &rep, sizeof(rep));
	if (err)
		return greeting_fail(g, err, "no session: error %d", err);

	memcpy(session->wire_id, rep.id, sizeof(rep.id));
	memcpy(session->secret, rep.secret, sizeof(rep.secret));
	session->lease_ms = le32_to_cpu(rep.lease_ms);
	session->chan->epoch = le16_to_cpu(rep.epoch);
	if (g->auth == QTFS_AUTH_PSK)
		err = qtfs_auth_proof(p->psk, p->psk_len, QTFS_LABEL_SECRET,
				      g->transcript, session->secret);
	return err;
}

static int session_push(struct qtfs_chan *chan,
			const struct qtfs_wire_rep *hdr, const void *body,
			size_t len)
{
	struct qtfs_session *session = chan->owner;

	if (le16_to_cpu(hdr->op) == QTFS_OP_PUSH_POLL &&
	    (session->features & QTFS_FEATURE_POLL))
		return qtfs_poll_push(session, body, len);
	/* No other feature that pushes was asked for in the greeting. */
	qtfs_debug("ignored push %u\n", le16_to_cpu(hdr->op));
	return 0;
}

static void session_expired(struct qtfs_chan *chan, u64 tag)
{
	qtfs_req_cancel(chan->owner, tag);
}

static const struct qtfs_chan_ops session_chan_ops = {
	.push		= session_push,
	.abandoned	= qtfs_reap_reply,
	.expired	= session_expired,
};

static int greeting_connect(struct greeting *g)
{
	struct qtfs_session *session = g->session;
	struct qtfs_chan *chan;
	int err;

	chan = qtfs_chan_open(session, &session_chan_ops, session->stats,
			      session->net, &session->to, greeting_left(g));
	if (!IS_ERR(chan)) {
		session->chan = chan;
		return 0;
	}
	err = PTR_ERR(chan);
	switch (err) {
	case -EINTR:
		return err;
	case -ECONNREFUSED:
		return greeting_fail(g, err,
				     "connection refused: no engine listens there");
	case -ETIMEDOUT:
		return greeting_fail(g, err, "no answer within the connect timeout");
	case -EAFNOSUPPORT:
		return greeting_fail(g, err,
				     "this kernel has no sockets for such addresses");
	case -ENODEV:
		return greeting_fail(g, err,
				     "no device of this machine leads there");
	case -EBUSY:
		return greeting_fail(g, err,
				     "every queue of the device is in use");
	case -EPROTONOSUPPORT:
		return greeting_fail(g, err,
				     "the server lays its memory out in another version");
	case -ECONNRESET:
		return greeting_fail(g, -EPROTO,
			"what listens there does not speak the qtfs protocol");
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		return greeting_fail(g, err, "cannot be reached");
	default:
		return greeting_fail(g, err, "cannot connect: error %d", err);
	}
}

static int session_greet(struct qtfs_session *session,
			 struct qtfs_session_params *params)
{
	struct greeting g = {
		.session = session,
		.params = params,
		.deadline = jiffies + params->timeout,
	};
	int err;

	params->to.trans->print(&params->to, g.addr, sizeof(g.addr));
	err = greeting_connect(&g) ?: greeting_hello(&g) ?:
	      greeting_auth(&g) ?: greeting_session(&g);
	memzero_explicit(g.transcript, sizeof(g.transcript));
	if (!err)
		session->chan->greeting = false;
	return err;
}

static void session_free(struct qtfs_session *session)
{
	/* An abort by netlink may have brought more since. */
	qtfs_reap_stop(session);
	if (session->chan)
		qtfs_chan_close(session->chan);
	qtfs_creds_destroy(&session->creds);
	free_percpu(session->stats);
	put_net(session->net);
	kfree(session->source);
	kfree(session->path);
	kfree_sensitive(session);
}

void qtfs_session_orphan_gone(struct qtfs_session *session)
{
	if (atomic_dec_and_test(&session->orphans))
		wake_up_var(&session->orphans);
}

int qtfs_session_wait_orphans(struct qtfs_session *session)
{
	long left = session->patience ?: MAX_SCHEDULE_TIMEOUT;

	left = ___wait_var_event(&session->orphans,
				 ___wait_cond_timeout(!atomic_read(&session->orphans)),
				 QTFS_WAIT_STATE, 0, left,
				 __ret = schedule_timeout(__ret));
	if (left < 0)
		return -EINTR;
	return left ? 0 : -ETIMEDOUT;
}

void qtfs_session_set_patience(struct qtfs_session *session, long patience)
{
	session->patience = patience;
	session->chan->patience = patience;
}

void qtfs_session_get(struct qtfs_session *session)
{
	refcount_inc(&session->ref);
}

void qtfs_session_put(struct qtfs_session *session)
{
	if (refcount_dec_and_test(&session->ref))
		session_free(session);
}

static struct qtfs_session *session_new(const struct qtfs_session_params *p)
{
	struct qtfs_session *session = kzalloc(sizeof(*session), GFP_KERNEL);

	if (!session)
		return NULL;

	refcount_set(&session->ref, 1);
	INIT_LIST_HEAD(&session->list);
	get_random_bytes(&session->owner_key, sizeof(session->owner_key));
	session->net = get_net(p->net);
	session->to = p->to;
	qtfs_creds_init(&session->creds);
	qtfs_reap_init(session);
	spin_lock_init(&session->poll_lock);
	hash_init(session->polled);
	session->source = kstrdup(p->source, GFP_KERNEL);
	session->path = kstrdup(p->path, GFP_KERNEL);
	session->stats = alloc_percpu(struct qtfs_stats);
	if (session->source && session->path && session->stats)
		return session;
	qtfs_session_put(session);
	return NULL;
}

struct qtfs_session *qtfs_session_open(struct qtfs_session_params *params)
{
	struct qtfs_session *session = session_new(params);
	int err;

	if (!session)
		return ERR_PTR(-ENOMEM);
	err = session_greet(session, params);
	if (err) {
		qtfs_session_put(session);
		return ERR_PTR(err);
	}

	mutex_lock(&sessions_lock);
	session->id = ++last_id;
	list_add_tail(&session->list, &sessions);
	mutex_unlock(&sessions_lock);
	return session;
}

void qtfs_session_close(struct qtfs_session *session)
{
	mutex_lock(&sessions_lock);
	list_del_init(&session->list);
	mutex_unlock(&sessions_lock);

	qtfs_chan_abort(session->chan, -ESHUTDOWN);
	qtfs_reap_stop(session);
	qtfs_session_put(session);
}

void qtfs_session_abort(struct qtfs_session *session)
{
	qtfs_chan_abort(session->chan, -EIO);
	qtfs_poll_abort(session);
}

bool qtfs_session_is_local(const struct qtfs_session *session)
{
	return session->chan->link.local;
}

bool qtfs_session_stalled(const struct qtfs_session *session)
{
	const struct qtfs_chan *chan = session->chan;

	return READ_ONCE(chan->stalled) &&
	       time_before(jiffies, READ_ONCE(chan->stalled_at) + HZ);
}

bool qtfs_session_alive(const struct qtfs_session *session)
{
	return qtfs_chan_is_up(session->chan);
}

struct qtfs_session *qtfs_session_get_next(struct net *net, u32 after)
{
	struct qtfs_session *session, *found = NULL;

	mutex_lock(&sessions_lock);
	list_for_each_entry(session, &sessions, list) {
		if (session->id > after && net_eq(session->net, net)) {
			found = session;
			qtfs_session_get(found);
			break;
		}
	}
	mutex_unlock(&sessions_lock);
	return found;
}

struct qtfs_session *qtfs_session_find(struct net *net, u32 id)
{
	struct qtfs_session *session;

	if (!id)
		return NULL;
	session = qtfs_session_get_next(net, id - 1);
	if (session && session->id != id) {
		qtfs_session_put(session);
		return NULL;
	}
	return session;
}
