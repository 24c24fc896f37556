// SPDX-License-Identifier: GPL-2.0-only
/* Step 1 of the request path for poll, select and epoll; see poll.h. */
#include <linux/slab.h>

#include "file.h"
#include "poll.h"
#include "req.h"
#include "session.h"

/* Some files tell of these only to the first who asks. */
#define POLL_ONCE (QTFS_POLL_PRI | QTFS_POLL_ERR)

static const struct {
	u32 wire;
	__poll_t events;
} poll_bits[] = {
	{ QTFS_POLL_IN, EPOLLIN | EPOLLRDNORM },
	{ QTFS_POLL_OUT, EPOLLOUT | EPOLLWRNORM },
	{ QTFS_POLL_PRI, EPOLLPRI },
	{ QTFS_POLL_ERR, EPOLLERR },
	{ QTFS_POLL_HUP, EPOLLHUP },
	{ QTFS_POLL_RDHUP, EPOLLRDHUP },
};

static __poll_t poll_events(u32 mask)
{
	__poll_t events = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(poll_bits); i++)
		if (mask & poll_bits[i].wire)
			events |= poll_bits[i].events;
	return events;
}

/* What a caller would be told of. */
static u32 poll_wanted(__poll_t events)
{
	u32 mask = QTFS_POLL_ERR | QTFS_POLL_HUP;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(poll_bits); i++)
		if (events & poll_bits[i].events)
			mask |= poll_bits[i].wire;
	return mask;
}

struct qtfs_poll *qtfs_poll_new(void)
{
	struct qtfs_poll *poll = kzalloc(sizeof(*poll), GFP_KERNEL);

	if (!poll)
		return NULL;
	init_waitqueue_head(&poll->wq);
	INIT_HLIST_NODE(&poll->link);
	return poll;
}

static void poll_heard(struct qtfs_poll *poll, u64 generation, u32 mask)
{
	poll->generation = max(poll->generation, generation);
	poll->once |= mask & POLL_ONCE;
	poll->told = false;
}

/* The whole of it, unless something newer was heard. */
static void poll_learn(struct qtfs_poll *poll, u64 generation, u32 mask,
		       bool drained)
{
	u32 before = poll->level | poll->once;
	u32 news = mask & ~before;

	if (drained)
		news |= mask & QTFS_POLL_IN;
	if (generation > poll->generation)
		poll->level = mask;
	else
		poll->level |= mask;
	poll_heard(poll, generation, mask);
	if (news)
		wake_up_poll(&poll->wq, poll_events(news));
}

void qtfs_poll_level(struct qtfs_open *open,
		     const struct qtfs_wire_level *level, bool drained)
{
	spin_lock_bh(&open->session->poll_lock);
	poll_learn(open->poll, le64_to_cpu(level->generation),
		   le32_to_cpu(level->mask) & QTFS_POLL_ALL, drained);
	spin_unlock_bh(&open->session->poll_lock);
}

static struct qtfs_poll *poll_find(struct qtfs_session *session, u64 id)
{
	struct qtfs_poll *poll;

	lockdep_assert_held(&session->poll_lock);

	hash_for_each_possible(session->polled, poll, link, id)
		if (poll->id == id)
			return poll;
	return NULL;
}

int qtfs_poll_push(struct qtfs_session *session, const void *body, size_t len)
{
	const struct qtfs_wire_push_poll *push = body;
	struct qtfs_poll *poll;
	u64 generation;
	u32 mask;

	if (len != sizeof(*push) || push->reserved)
		return -EPROTO;
	mask = le32_to_cpu(push->mask);
	if (!mask || (mask & ~QTFS_POLL_ALL))
		return -EPROTO;
	generation = le64_to_cpu(push->generation);
	spin_lock_bh(&session->poll_lock);
	poll = poll_find(session, le64_to_cpu(push->open));
	if (poll) {	/* else it was closed meanwhile */
		/* What was heard later has it, or it was taken since. */
		if (generation > poll->generation)
			poll->level |= mask;
		poll_heard(poll, generation, mask);
		wake_up_poll(&poll->wq, poll_events(mask));
	}
	spin_unlock_bh(&session->poll_lock);
	return 0;
}

static struct qtfs_wire_poll poll_body(struct qtfs_open *open)
{
	return (struct qtfs_wire_poll){
		.open = cpu_to_le64(open->release.open),
		.mask = cpu_to_le32(QTFS_POLL_ALL),
	};
}

/* Questions about an open do not overtake each other, nor do their answers. */
static struct qtfs_chan *poll_chan(struct qtfs_open *open)
{
	return qtfs_session_chan_of(open->session, open->release.open);
}

/* Whether nobody tells any more: qtfs_poll_abort() may have been here already. */
static bool poll_is_over(const struct qtfs_open *open)
{
	return qtfs_session_aborted(open->session) ||
	       (open->poll->fragile && !qtfs_session_alive(open->session));
}

/* From here on the engine tells. */
static int poll_ask(struct qtfs_open *open)
{
	struct qtfs_wire_poll body = poll_body(open), rep;
	struct qtfs_args args = {
		.op	    = QTFS_OP_POLL,
		.nr_in	    = 1,
		.in[0]	    = { &body, sizeof(body) },
		.out	    = { &rep, sizeof(rep) },
		.out_min    = sizeof(rep),
		.session_op = true,
		.fragile    = open->socket,
		.chan	    = poll_chan(open),
	};
	struct qtfs_session *session = open->session;
	int err;

	spin_lock_bh(&session->poll_lock);
	if (hlist_unhashed(&open->poll->link)) {
		open->poll->id = open->release.open;
		hash_add(session->polled, &open->poll->link, open->poll->id);
	}
	spin_unlock_bh(&session->poll_lock);
	err = qtfs_call(session, &args);
	if (err)
		return err;
	spin_lock_bh(&session->poll_lock);
	open->poll->asked = !poll_is_over(open);
	poll_learn(open->poll, le64_to_cpu(rep.generation),
		   le32_to_cpu(rep.mask) & QTFS_POLL_ALL, false);
	spin_unlock_bh(&session->poll_lock);
	return 0;
}

/* Says that somebody looked, so that the engine tells of what comes next. */
static void poll_post(struct qtfs_open *open)
{
	struct qtfs_wire_poll body = poll_body(open);
	struct qtfs_args args = {
		.op	= QTFS_OP_POLL,
		.nr_in	= 1,
		.in[0]	= { &body, sizeof(body) },
		.chan	= poll_chan(open),
	};

	qtfs_post(open->session, &args);
}

/* What of @wanted it is ready for; who is told so has been told. */
static u32 poll_take(struct qtfs_open *open, u32 wanted)
{
	struct qtfs_poll *poll = open->poll;
	u32 ready;

	spin_lock_bh(&open->session->poll_lock);
	ready = (poll->level | poll->once) & wanted;
	poll->once &= ~ready;
	if (ready)
		poll->told = true;
	spin_unlock_bh(&open->session->poll_lock);
	return ready;
}

static bool poll_is_known(struct qtfs_open *open)
{
	bool known;

	spin_lock_bh(&open->session->poll_lock);
	known = open->poll->asked && !open->poll->told;
	spin_unlock_bh(&open->session->poll_lock);
	return known;
}

__poll_t qtfs_poll(struct file *file, poll_table *table)
{
	struct qtfs_open *open = qtfs_open_of(file);
	__poll_t events = poll_requested_events(table);
	u32 ready;

	poll_wait(file, &open->poll->wq, table);
	if (!poll_is_known(open) && poll_ask(open))
		return EPOLLERR;
	ready = poll_take(open, poll_wanted(events));
	/* Others look again when they are back, and ask. */
	if (ready && (events & EPOLLET))
		poll_post(open);
	return poll_events(ready);
}

void qtfs_poll_forget(struct qtfs_open *open)
{
	spin_lock_bh(&open->session->poll_lock);
	hash_del(&open->poll->link);
	spin_unlock_bh(&open->session->poll_lock);
}

void qtfs_poll_abort(struct qtfs_session *session, bool all)
{
	struct qtfs_poll *poll;
	int bucket;

	spin_lock_bh(&session->poll_lock);
	hash_for_each(session->polled, bucket, poll, link) {
		if (!all && !poll->fragile)
			continue;
		poll->asked = false;
		wake_up_poll(&poll->wq, EPOLLERR | EPOLLHUP | EPOLLIN |
					EPOLLOUT);
	}
	spin_unlock_bh(&session->poll_lock);
}
