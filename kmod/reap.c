// SPDX-License-Identifier: GPL-2.0-only
/* The reaper: see reap.h. Everything is posted: nobody waits for an answer. */
#include <linux/slab.h>

#include "chan.h"
#include "inode.h"
#include "reap.h"
#include "req.h"
#include "session.h"

static void reap_soon(struct qtfs_session *session)
{
	queue_delayed_work(system_unbound_wq, &session->reap, HZ / 50);
}

void qtfs_reap_forget(struct qtfs_session *session, struct qtfs_forget *forget)
{
	spin_lock_bh(&session->reap_lock);
	list_add_tail(&forget->link, &session->forgets);
	spin_unlock_bh(&session->reap_lock);
	reap_soon(session);
}

void qtfs_reap_open(struct qtfs_session *session, struct qtfs_release *release)
{
	spin_lock_bh(&session->reap_lock);
	list_add_tail(&release->link, &session->releases);
	spin_unlock_bh(&session->reap_lock);
	reap_soon(session);
}

void qtfs_reap_reply(struct qtfs_chan *chan, struct qtfs_req *req)
{
	struct qtfs_session *session = chan->owner;

	qtfs_count(session->stats, QTFS_COUNT_ABANDONED);
	spin_lock_bh(&session->reap_lock);
	list_add_tail(&req->link, &session->abandoned);
	spin_unlock_bh(&session->reap_lock);
	reap_soon(session);
}

void qtfs_forget_now(struct qtfs_session *session, u64 node, u64 stamp)
{
	struct {
		struct qtfs_wire_forget head;
		struct qtfs_wire_forget_item item;
	} body = {
		.head.nr = cpu_to_le32(1),
		.item = { cpu_to_le64(node), cpu_to_le64(stamp) },
	};
	struct qtfs_args args = {
		.op	= QTFS_OP_FORGET,
		.nr_in	= 1,
		.in[0]	= { &body, sizeof(body) },
	};

	if (qtfs_inode_keeps(session, node, stamp))
		return;
	qtfs_count(session->stats, QTFS_COUNT_FORGETS);
	qtfs_post(session, &args);
}

static void release_post(struct qtfs_session *session, u64 open,
			 struct qtfs_chan *chan)
{
	struct qtfs_wire_release body = { .open = cpu_to_le64(open) };
	struct qtfs_args args = {
		.op	= QTFS_OP_RELEASE,
		.nr_in	= 1,
		.in[0]	= { &body, sizeof(body) },
		.chan	= chan,
	};

	qtfs_count(session->stats, QTFS_COUNT_RELEASES);
	qtfs_post(session, &args);
}

void qtfs_release_now(struct qtfs_session *session, u64 open)
{
	release_post(session, open, NULL);
}

void qtfs_release_at_once(struct qtfs_session *session, u64 open)
{
	struct qtfs_chan *chan = qtfs_session_chan(session, 0);

	release_post(session, open, chan);
	qtfs_chan_hurry(chan);
}

/* Sends up to QTFS_FORGET_MAX of @forgets in one frame. */
static void reap_forget_batch(struct qtfs_session *session,
			      struct list_head *forgets)
{
	struct qtfs_wire_forget_item *items;
	struct qtfs_wire_forget head = {};
	struct qtfs_args args = {
		.op	= QTFS_OP_FORGET,
		.nr_in	= 2,
	};
	struct qtfs_forget *f, *next;
	unsigned int n = 0;

	items = kmalloc_array(QTFS_FORGET_MAX, sizeof(*items), GFP_KERNEL);
	list_for_each_entry_safe(f, next, forgets, link) {
		if (n == QTFS_FORGET_MAX)
			break;
		if (items)
			items[n] = (struct qtfs_wire_forget_item){
				cpu_to_le64(f->node), cpu_to_le64(f->stamp)
			};
		n++;
		list_del(&f->link);
		kfree(f);
	}
	if (!items)
		return;	/* the engine keeps them until the session ends */
	head.nr = cpu_to_le32(n);
	args.in[0] = (struct kvec){ &head, sizeof(head) };
	args.in[1] = (struct kvec){ items, n * sizeof(*items) };
	qtfs_count_add(session->stats, QTFS_COUNT_FORGETS, n);
	qtfs_post(session, &args);
	kfree(items);
}

void qtfs_forget_entry(struct qtfs_session *session,
		       const struct qtfs_wire_entry *entry)
{
	if (entry->node)
		qtfs_forget_now(session, le64_to_cpu(entry->node),
				le64_to_cpu(entry->stamp));
}

/* What one operation's reply gave. */
static void reap_result(struct qtfs_session *session, u16 op, const void *body,
			size_t len)
{
	const struct qtfs_wire_created *created = body;
	const struct qtfs_wire_opened *opened = body;
	const struct qtfs_wire_taken *taken = body;

	switch (op) {
	case QTFS_OP_LOOKUP:
	case QTFS_OP_MKDIR:
	case QTFS_OP_MKNOD:
	case QTFS_OP_SYMLINK:
	case QTFS_OP_LINK:
	case QTFS_OP_ATTACH:
	case QTFS_OP_NODE:
	case QTFS_OP_PARENT:
		if (len >= sizeof(struct qtfs_wire_entry))
			qtfs_forget_entry(session, body);
		break;
	case QTFS_OP_CREATE:
	case QTFS_OP_TMPFILE:
	case QTFS_OP_BIND:
		if (len >= sizeof(*created)) {
			qtfs_forget_entry(session, body);
			qtfs_release_now(session,
					 le64_to_cpu(created->opened.open));
		}
		break;
	case QTFS_OP_TAKE:
		if (len >= sizeof(*taken))
			qtfs_forget_entry(session, &taken->entry);
		fallthrough;
	case QTFS_OP_OPEN:
	case QTFS_OP_ACCEPT:	/* begins with it */
	case QTFS_OP_GIVE:	/* perhaps none */
		if (len >= sizeof(*opened) && opened->open)
			qtfs_release_now(session, le64_to_cpu(opened->open));
		break;
	}
}

static void reap_compound(struct qtfs_session *session, const void *body,
			  size_t len)
{
	const struct qtfs_wire_result *result;
	size_t at = sizeof(struct qtfs_wire_compound), n;

	while (at + sizeof(*result) <= len) {
		result = body + at;
		at += sizeof(*result);
		n = le32_to_cpu(result->body);
		if (n > len - at)
			return;
		if (!result->status)
			reap_result(session, le16_to_cpu(result->op),
				    body + at, n);
		at += n;
	}
}

/* Entries of a READDIR with attributes are nodes too. */
static void reap_dirents(struct qtfs_session *session, const void *data,
			 size_t len)
{
	const struct qtfs_wire_dirent *d;
	size_t at = 0;

	while (at + sizeof(*d) <= len) {
		d = data + at;
		at += sizeof(*d);
		if (d->flags & QTFS_DIRENT_ENTRY) {
			if (len - at < sizeof(struct qtfs_wire_entry))
				return;
			qtfs_forget_entry(session, data + at);
			at += sizeof(struct qtfs_wire_entry);
		}
		at += QTFS_PAD(le16_to_cpu(d->name_len));
	}
}

/*
 * Taken for somebody who was killed while waiting. What is an open's ends with
 * it; and may have been had before, by others who have it open as well. Who
 * still lives, on a soft mount, has given up all of that range.
 */
static void reap_lock(struct qtfs_session *session, const struct qtfs_req *req)
{
	struct qtfs_wire_lock body;
	struct qtfs_args args = {
		.op	= QTFS_OP_UNLOCK,
		.nr_in	= 1,
		.in[0]	= { &body, sizeof(body) },
		.chan	= req->chan,
	};

	memcpy(&body, req->head + sizeof(struct qtfs_wire_req), sizeof(body));
	body.flags &= ~cpu_to_le32(QTFS_LOCK_WAIT);
	/* Who only lost patience has told so already: see lock.c. */
	if (!body.flags || req->late)
		qtfs_post(session, &args);
}

/* Told to the engine for somebody who did not wait until it was known. */
static void reap_cred(struct qtfs_session *session, const struct qtfs_req *req)
{
	const struct qtfs_wire_cred *told = req->head +
					    sizeof(struct qtfs_wire_req);
	struct qtfs_wire_cred_put body = { .id = told->id };
	struct qtfs_args args = {
		.op	= QTFS_OP_CRED_PUT,
		.nr_in	= 1,
		.in[0]	= { &body, sizeof(body) },
	};

	qtfs_post(session, &args);
}

static void reap_reply(struct qtfs_session *session, struct qtfs_req *req)
{
	if (req->err)
		return;
	if (req->op == QTFS_OP_LOCK) {
		reap_lock(session, req);
		return;
	}
	if (req->op == QTFS_OP_CRED) {
		reap_cred(session, req);
		return;
	}
	if (req->op == QTFS_OP_COMPOUND)
		reap_compound(session, req->reply, req->reply_len);
	else if (req->op == QTFS_OP_READDIR)
		reap_dirents(session, req->recv_copy, req->recv_len);
	else
		reap_result(session, req->op, req->reply, req->reply_len);
}

static void reap_all(struct qtfs_session *session, bool send)
{
	LIST_HEAD(forgets);
	LIST_HEAD(releases);
	LIST_HEAD(abandoned);
	struct qtfs_release *release, *next_release;
	struct qtfs_req *req, *next_req;

	spin_lock_bh(&session->reap_lock);
	list_splice_init(&session->forgets, &forgets);
	list_splice_init(&session->releases, &releases);
	list_splice_init(&session->abandoned, &abandoned);
	spin_unlock_bh(&session->reap_lock);

	while (!list_empty(&forgets))
		reap_forget_batch(session, &forgets);
	list_for_each_entry_safe(release, next_release, &releases, link) {
		if (send)
			qtfs_release_now(session, release->open);
		release->free(release);
	}
	list_for_each_entry_safe(req, next_req, &abandoned, link) {
		list_del_init(&req->link);
		if (send)
			reap_reply(session, req);
		qtfs_req_put(req);
	}
}

static void reap_work(struct work_struct *work)
{
	reap_all(container_of(to_delayed_work(work), struct qtfs_session, reap),
		 true);
}

void qtfs_reap_init(struct qtfs_session *session)
{
	spin_lock_init(&session->reap_lock);
	INIT_LIST_HEAD(&session->forgets);
	INIT_LIST_HEAD(&session->releases);
	INIT_LIST_HEAD(&session->abandoned);
	INIT_DELAYED_WORK(&session->reap, reap_work);
}

void qtfs_reap_stop(struct qtfs_session *session)
{
	cancel_delayed_work_sync(&session->reap);
	reap_all(session, false);
}
