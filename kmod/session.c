// SPDX-License-Identifier: GPL-2.0-only
/*
 * A session: first exchange, identity, teardown.
 *
 * Teardown, from qtfs_session_close(): the superblocks are gone, so nobody calls
 * any more; the channels are aborted, the reaper is stopped, the channels are
 * closed (see chan.c), the credentials freed. The structure itself goes with the
 * last reference, which may be netlink's. The channels share one fate: the first
 * that is lost takes the others along.
 *
 * A session's connections are served by different threads of the engine: between
 * requests on different ones there is no order. Whoever needs one waits for the
 * reply of the first, which orders everything: nodes and opens are named after
 * the reply that gave them, credentials after CRED was answered, RELEASE, FSYNC
 * and SETATTR are sent when no WRITE is under way. For the rest:
 *  - CRED_PUT and the reaper's RELEASE are sent when no request that names the
 *    credential, or the open, is under way; neither number is used again.
 *  - FORGET carries a stamp, which orders it among the grants at the engine, not
 *    among their replies: one that comes after the FORGET of a later grant names
 *    a node that is stale, until it is looked up again.
 *  - CANCEL travels on the connection of what it cancels, POLL of an open always on
 *    the same one.
 *  - LOCK and UNLOCK of a file travel on one connection (qtfs_session_chan_of()):
 *    UNLOCK is not waited for by who exits, and the next to lock the file must
 *    find it done. What is written past the cache under a lock travels there
 *    too, before the UNLOCK of a writer that was killed.
 *  - A request that its caller gave up may still be on its way. Whatever waits
 *    for an answer first makes sure (req_fence()) that the engine has begun it,
 *    by a PING on each connection.
 *  - Which of two answers is the newer one is told by the order of the questions:
 *    see qtfs_inode_update().
 */
#include <crypto/algapi.h>
#include <linux/hash.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>
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
#include "submount.h"

/* Protects the list of sessions and the ids. */
static DEFINE_MUTEX(sessions_lock);
static LIST_HEAD(sessions);
static u32 last_id;

/*
 * What the steps of the first exchange hand on.
 * @chan: the connection that greets, not yet one of the session's
 * @joins: the session exists
 */
struct greeting {
	struct qtfs_session *session;
	struct qtfs_session_params *params;
	struct qtfs_chan *chan;
	bool joins;
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
	args->chan = g->chan;
	args->session_op = true;
	args->timeout = greeting_left(g);
	return qtfs_call(g->session, args);
}

/* It takes connections, but does not answer them. */
static int greeting_hung_up(struct greeting *g)
{
	if (g->joins)
		return greeting_fail(g, -ECONNREFUSED,
				     "the server takes no more connections");
	return greeting_fail(g, -EPROTO,
		"what listens there does not speak the qtfs protocol");
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
		return greeting_hung_up(g);
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

	io_max = min3(io_max, g->params->io_max, QTFS_IO_MAX);
	if (g->joins && (session->life != le64_to_cpu(rep->life) ||
			 session->features != le64_to_cpu(rep->features) ||
			 session->io_max != io_max))
		return greeting_fail(g, -EPROTO,
			"another server answers than a moment ago");
	session->life = le64_to_cpu(rep->life);
	session->features = le64_to_cpu(rep->features);
	session->io_max = io_max;
	g->chan->limit = inflight;
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
	g->chan->epoch = le16_to_cpu(rep.epoch);
	if (g->auth == QTFS_AUTH_PSK)
		err = qtfs_auth_proof(p->psk, p->psk_len, QTFS_LABEL_SECRET,
				      g->transcript, session->secret);
	return err;
}

/* One more connection: the session's secret proves that it is ours. */
static int greeting_join(struct greeting *g)
{
	struct qtfs_session *session = g->session;
	struct qtfs_wire_session body = {
		.action = cpu_to_le16(QTFS_SESSION_JOIN),
	};
	struct qtfs_args args = { .op = QTFS_OP_SESSION };
	struct qtfs_wire_session_rep rep;
	int err;

	memcpy(body.id, session->wire_id, sizeof(body.id));
	err = qtfs_auth_proof(session->secret, sizeof(session->secret),
			      QTFS_LABEL_RESUME, g->transcript, body.proof);
	if (err)
		return greeting_fail(g, err, "cannot compute HMAC-SHA-256");
	err = greeting_call(g, &args, &body, sizeof(body), &rep, sizeof(rep));
	switch (err) {
	case 0:
		break;
	case -EMFILE:
		return greeting_fail(g, err,
			"the server allows a client no more connections");
	case -EACCES:
		return greeting_fail(g, err,
			"the server does not let us join our session");
	default:
		return greeting_fail(g, err, "cannot join the session: error %d",
				     err);
	}
	if (memcmp(rep.id, session->wire_id, sizeof(rep.id)) ||
	    le16_to_cpu(rep.epoch) != session->chans[0]->epoch)
		return greeting_fail(g, -EPROTO,
				     "the server joined us to another session");
	g->chan->epoch = le16_to_cpu(rep.epoch);
	return 0;
}

static int session_push(struct qtfs_chan *chan,
			const struct qtfs_wire_rep *hdr, const void *body,
			size_t len)
{
	struct qtfs_session *session = chan->owner;

	if (le16_to_cpu(hdr->op) == QTFS_OP_PUSH_POLL &&
	    (session->features & QTFS_FEATURE_POLL))
		return qtfs_poll_push(session, body, len);
	if (le16_to_cpu(hdr->op) == QTFS_OP_PUSH_MOUNTS &&
	    (session->features & QTFS_FEATURE_MOUNTS))
		return qtfs_mounts_push(session, body, len);
	/* No other feature that pushes was asked for in the greeting. */
	qtfs_debug("ignored push %u\n", le16_to_cpu(hdr->op));
	return 0;
}

static void session_expired(struct qtfs_chan *chan, u64 tag)
{
	qtfs_req_cancel(chan->owner, chan, tag);
	qtfs_session_stray(chan->owner);
}

/* One connection is lost: so are the others. */
static void session_lost(struct qtfs_chan *chan, int err)
{
	struct qtfs_session *session = chan->owner;
	unsigned int i;

	if (test_and_set_bit(0, &session->lost))
		return;
	qtfs_err("connection to the server lost: error %d\n", err);
	for (i = 0; i < session->nr_chans; i++)
		qtfs_chan_fail(session->chans[i], -ECONNRESET);
	/* What programs are connected by does not come back. */
	qtfs_poll_abort(session, false);
}

static const struct qtfs_chan_ops session_chan_ops = {
	.push		= session_push,
	.abandoned	= qtfs_reap_reply,
	.expired	= session_expired,
	.lost		= session_lost,
};

static int greeting_connect(struct greeting *g)
{
	struct qtfs_session *session = g->session;
	struct qtfs_chan *chan;
	int err;

	chan = qtfs_chan_open(session, &session_chan_ops, session->stats,
			      session->net, &session->to, greeting_left(g));
	if (!IS_ERR(chan)) {
		g->chan = chan;
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
		return greeting_hung_up(g);
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		return greeting_fail(g, err, "cannot be reached");
	default:
		return greeting_fail(g, err, "cannot connect: error %d", err);
	}
}

/* One connection, from its beginning to being one of the session's. */
static int greeting_run(struct greeting *g)
{
	struct qtfs_session *session = g->session;
	int err;

	err = greeting_connect(g) ?: greeting_hello(g) ?: greeting_auth(g) ?:
	      (g->joins ? greeting_join(g) : greeting_session(g));
	memzero_explicit(g->transcript, sizeof(g->transcript));
	if (!err)
		session->chans[session->nr_chans++] = g->chan;
	else if (g->chan)
		qtfs_chan_close(g->chan);
	g->chan = NULL;
	return err;
}

static int greeting_more(struct greeting *g)
{
	struct qtfs_session_params *p = g->params;
	struct qtfs_session *session = g->session;
	char why[150];
	int err = 0;

	g->joins = true;
	while (!err && session->nr_chans < p->nconnect)
		err = greeting_run(g);
	if (err && p->why[0]) {
		strscpy(why, p->why, sizeof(why));
		snprintf(p->why, sizeof(p->why), "nconnect=%u, connection %u: %s",
			 p->nconnect, session->nr_chans + 1, why);
	}
	return err;
}

static int session_greet(struct qtfs_session *session,
			 struct qtfs_session_params *params)
{
	struct greeting g = {
		.session = session,
		.params = params,
		.deadline = jiffies + params->timeout,
	};
	unsigned int i, cpus = num_online_cpus();
	bool up = true;
	int err;

	params->to.trans->print(&params->to, g.addr, sizeof(g.addr));
	err = greeting_run(&g) ?: greeting_more(&g);
	if (err)
		return err;
	session->spread = session->nr_chans > cpus ? cpus : 0;
	for (i = 0; i < session->nr_chans; i++)
		up &= qtfs_chan_settle(session->chans[i]);
	return up ? 0 : greeting_fail(&g, -ECONNRESET, "connection lost");
}

/* Each may fail the others until it is aborted: so all are, before one goes. */
static void session_abort(struct qtfs_session *session, int err)
{
	unsigned int i;

	for (i = 0; i < session->nr_chans; i++)
		qtfs_chan_abort(session->chans[i], err);
}

static void session_free(struct qtfs_session *session)
{
	unsigned int i;

	session_abort(session, -ESHUTDOWN);
	/* An abort by netlink may have brought more since. */
	qtfs_reap_stop(session);
	for (i = 0; i < session->nr_chans; i++)
		qtfs_chan_close(session->chans[i]);
	qtfs_creds_destroy(&session->creds);
	qtfs_devs_destroy(&session->devs);
	qtfs_handles_destroy(&session->handles);
	free_percpu(session->stats);
	put_net(session->net);
	kfree(session->source);
	kfree(session->path);
	kfree_sensitive(session);
}

struct qtfs_chan *qtfs_session_chan(struct qtfs_session *session, size_t payload)
{
	unsigned int nr = session->nr_chans, first, i;
	struct qtfs_chan *chan;

	if (nr == 1)
		return session->chans[0];
	if (payload >= QTFS_STRIPE_MIN)
		first = atomic_inc_return(&session->turn);
	else
		first = raw_smp_processor_id() + current->pid * session->spread;
	for (i = 0; i < nr; i++) {
		chan = session->chans[(first + i) % nr];
		if (qtfs_chan_has_room(chan))
			return chan;
	}
	return session->chans[first % nr];
}

struct qtfs_chan *qtfs_session_chan_of(struct qtfs_session *session, u64 node)
{
	return session->chans[hash_64(node, 32) % session->nr_chans];
}

void qtfs_session_stray(struct qtfs_session *session)
{
	if (session->nr_chans > 1)
		atomic_inc(&session->strays);
}

int qtfs_session_strayed(struct qtfs_session *session)
{
	int strays = atomic_read(&session->strays);

	return strays - atomic_read(&session->fenced) > 0 ? strays : 0;
}

void qtfs_session_fenced(struct qtfs_session *session, int strayed)
{
	int old = atomic_read(&session->fenced);

	while (strayed - old > 0 &&
	       !atomic_try_cmpxchg(&session->fenced, &old, strayed))
		;
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
	unsigned int i;

	session->patience = patience;
	for (i = 0; i < session->nr_chans; i++)
		session->chans[i]->patience = patience;
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
	refcount_set(&session->users, 1);
	spin_lock_init(&session->supers_lock);
	INIT_LIST_HEAD(&session->supers);
	qtfs_devs_init(&session->devs);
	qtfs_handles_init(&session->handles);
	INIT_LIST_HEAD(&session->submounts);
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

void qtfs_session_each(void (*visit)(struct qtfs_session *session, void *data),
		       void *data)
{
	struct qtfs_session *session;

	mutex_lock(&sessions_lock);
	list_for_each_entry(session, &sessions, list)
		visit(session, data);
	mutex_unlock(&sessions_lock);
}

void qtfs_session_share(struct qtfs_session *session)
{
	refcount_inc(&session->users);
}

void qtfs_session_close(struct qtfs_session *session)
{
	if (!refcount_dec_and_test(&session->users))
		return;
	mutex_lock(&sessions_lock);
	list_del_init(&session->list);
	mutex_unlock(&sessions_lock);

	session_abort(session, -ESHUTDOWN);
	qtfs_reap_stop(session);
	qtfs_session_put(session);
}

void qtfs_session_abort(struct qtfs_session *session)
{
	session_abort(session, -EIO);
	qtfs_poll_abort(session, true);
}

bool qtfs_session_is_local(const struct qtfs_session *session)
{
	return session->chans[0]->link.local;
}

bool qtfs_session_stalled(const struct qtfs_session *session)
{
	const struct qtfs_chan *chan;
	unsigned int i;

	for (i = 0; i < session->nr_chans; i++) {
		chan = session->chans[i];
		if (READ_ONCE(chan->stalled) &&
		    time_before(jiffies, READ_ONCE(chan->stalled_at) + HZ))
			return true;
	}
	return false;
}

bool qtfs_session_aborted(const struct qtfs_session *session)
{
	return READ_ONCE(session->chans[0]->state) == QTFS_CHAN_ABORTED;
}

bool qtfs_session_alive(const struct qtfs_session *session)
{
	return qtfs_chan_is_up(session->chans[0]);
}

int qtfs_session_wait_up(struct qtfs_session *session)
{
	return qtfs_chan_wait_up(session->chans[0]);
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
