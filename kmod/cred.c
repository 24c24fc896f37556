// SPDX-License-Identifier: GPL-2.0-only
/*
 * Credentials: each different {fsuid, fsgid, groups, capabilities} is sent
 * once and then named by a number in every request.
 */
#include <linux/capability.h>
#include <linux/jhash.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include <linux/sched.h>

#include "compat/compat.h"
#include "cred.h"
#include "req.h"
#include "session.h"

/* Unused credentials are dropped beyond this; the wire's limit is harder. */
#define CREDS_KEPT 256

static const struct {
	int here;
	int wire;
} caps[] = {
	{ CAP_CHOWN,		QTFS_CAP_CHOWN },
	{ CAP_DAC_OVERRIDE,	QTFS_CAP_DAC_OVERRIDE },
	{ CAP_DAC_READ_SEARCH,	QTFS_CAP_DAC_READ_SEARCH },
	{ CAP_FOWNER,		QTFS_CAP_FOWNER },
	{ CAP_FSETID,		QTFS_CAP_FSETID },
	{ CAP_MKNOD,		QTFS_CAP_MKNOD },
	{ CAP_LINUX_IMMUTABLE,	QTFS_CAP_LINUX_IMMUTABLE },
	{ CAP_SYS_RESOURCE,	QTFS_CAP_SYS_RESOURCE },
	{ CAP_SYS_ADMIN,	QTFS_CAP_SYS_ADMIN },
	{ CAP_SETFCAP,		QTFS_CAP_SETFCAP },
	{ CAP_LEASE,		QTFS_CAP_LEASE },
	{ CAP_SYS_PTRACE,	QTFS_CAP_SYS_PTRACE },
	{ CAP_NET_ADMIN,	QTFS_CAP_NET_ADMIN },
	{ CAP_SYSLOG,		QTFS_CAP_SYSLOG },
	{ CAP_MAC_ADMIN,	QTFS_CAP_MAC_ADMIN },
	{ CAP_MAC_OVERRIDE,	QTFS_CAP_MAC_OVERRIDE },
	{ CAP_SYS_NICE,		QTFS_CAP_SYS_NICE },
	{ CAP_KILL,		QTFS_CAP_KILL },
	{ CAP_SYS_TTY_CONFIG,	QTFS_CAP_SYS_TTY_CONFIG },
	{ CAP_IPC_LOCK,		QTFS_CAP_IPC_LOCK },
	{ CAP_SYS_RAWIO,	QTFS_CAP_SYS_RAWIO },
	{ CAP_SYS_TIME,		QTFS_CAP_SYS_TIME },
};

/* Capabilities count only where they are held in the initial namespace. */
static u64 cred_caps(const struct cred *cred)
{
	u64 mask = 0;
	size_t i;

	if (cred->user_ns != &init_user_ns)
		return 0;
	for (i = 0; i < ARRAY_SIZE(caps); i++)
		if (cap_raised(cred->cap_effective, caps[i].here))
			mask |= BIT_ULL(caps[i].wire);
	return mask;
}

static bool same_groups(const struct group_info *a, const struct group_info *b)
{
	if (a == b)
		return true;
	return a->ngroups == b->ngroups &&
	       !memcmp(a->gid, b->gid, a->ngroups * sizeof(a->gid[0]));
}

static u32 cred_hash(const struct cred *cred)
{
	return jhash_3words(__kuid_val(cred->fsuid), __kgid_val(cred->fsgid),
			    cred->group_info->ngroups, 0);
}

static struct qtfs_cred *cred_find(struct qtfs_creds *creds,
				   const struct cred *cred, u64 mask)
{
	struct qtfs_cred *c;

	lockdep_assert_held(&creds->lock);

	hash_for_each_possible(creds->table, c, hash, cred_hash(cred)) {
		if (uid_eq(c->uid, cred->fsuid) &&
		    gid_eq(c->gid, cred->fsgid) && c->caps == mask &&
		    same_groups(c->groups, cred->group_info)) {
			c->refs++;
			list_move_tail(&c->lru, &creds->lru);
			return c;
		}
	}
	return NULL;
}

static void cred_free(struct qtfs_cred *c)
{
	put_group_info(c->groups);
	kfree(c);
}

void qtfs_creds_init(struct qtfs_creds *creds)
{
	spin_lock_init(&creds->lock);
	hash_init(creds->table);
	INIT_LIST_HEAD(&creds->lru);
	init_waitqueue_head(&creds->wq);
}

void qtfs_creds_destroy(struct qtfs_creds *creds)
{
	struct qtfs_cred *c, *next;

	list_for_each_entry_safe(c, next, &creds->lru, lru) {
		WARN_ON_ONCE(c->refs);
		cred_free(c);
	}
}

/* Off the table, if it has grown long and the oldest is unused. */
static struct qtfs_cred *cred_evict(struct qtfs_creds *creds)
{
	struct qtfs_cred *c;

	lockdep_assert_held(&creds->lock);

	if (creds->nr <= CREDS_KEPT)
		return NULL;
	list_for_each_entry(c, &creds->lru, lru) {
		if (c->refs)
			continue;
		hash_del(&c->hash);
		list_del(&c->lru);
		creds->nr--;
		return c;
	}
	return NULL;
}

static struct qtfs_cred *cred_new(const struct cred *cred, u64 mask)
{
	struct qtfs_cred *c = kzalloc(sizeof(*c), GFP_NOFS);

	if (!c)
		return NULL;
	c->refs = 2;	/* the table's until KNOWN or FAILED, and the caller's */
	c->uid = cred->fsuid;
	c->gid = cred->fsgid;
	c->caps = mask;
	c->groups = get_group_info(cred->group_info);
	return c;
}

static int cred_tell(struct qtfs_session *session, struct qtfs_cred *c)
{
	unsigned int i, n = min(c->groups->ngroups, QTFS_GROUPS_MAX);
	struct qtfs_wire_cred body = {
		.id	 = cpu_to_le32(c->id),
		.uid	 = cpu_to_le32(from_kuid(&init_user_ns, c->uid)),
		.gid	 = cpu_to_le32(from_kgid(&init_user_ns, c->gid)),
		.ngroups = cpu_to_le32(n),
		.caps	 = cpu_to_le64(c->caps),
	};
	struct qtfs_args args = {
		.op		= QTFS_OP_CRED,
		.nr_in		= 1,
		.in[0]		= { &body, sizeof(body) },
		.session_op	= true,
	};
	__le32 *groups;
	int err;

	if (n * sizeof(*groups) > session->io_max)
		return -EOVERFLOW;
	groups = kvmalloc_array(n ?: 1, sizeof(*groups), GFP_NOFS);
	if (!groups)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		groups[i] = cpu_to_le32(from_kgid(&init_user_ns,
						  c->groups->gid[i]));
	args.data_in = (struct kvec){ groups, n * sizeof(*groups) };
	err = qtfs_call(session, &args);
	kvfree(groups);
	return err;
}

static void cred_forget(struct qtfs_session *session, struct qtfs_cred *c)
{
	struct qtfs_wire_cred_put body = { .id = cpu_to_le32(c->id) };
	struct qtfs_args args = {
		.op	= QTFS_OP_CRED_PUT,
		.nr_in	= 1,
		.in[0]	= { &body, sizeof(body) },
	};

	qtfs_post(session, &args);
	cred_free(c);
}

void qtfs_cred_put(struct qtfs_cred *c)
{
	struct qtfs_creds *creds = c->owner;
	bool gone;

	spin_lock(&creds->lock);
	gone = !--c->refs && c->state == QTFS_CRED_FAILED;
	spin_unlock(&creds->lock);
	if (gone)
		cred_free(c);
}

static void cred_settle(struct qtfs_creds *creds, struct qtfs_cred *c, int err)
{
	spin_lock(&creds->lock);
	c->err = err;
	c->state = err ? QTFS_CRED_FAILED : QTFS_CRED_KNOWN;
	c->refs--;	/* the table's: somebody else's is still there */
	if (err) {
		hash_del(&c->hash);
		list_del(&c->lru);
		creds->nr--;
	}
	spin_unlock(&creds->lock);
	wake_up_all(&creds->wq);
}

/* Somebody else is telling it to the engine. */
static struct qtfs_cred *cred_await(struct qtfs_creds *creds,
				    struct qtfs_cred *c)
{
	int err = wait_event_state(creds->wq,
				   READ_ONCE(c->state) != QTFS_CRED_NEW,
				   QTFS_WAIT_STATE);

	if (!err && c->state == QTFS_CRED_KNOWN)
		return c;
	/* Who told it was killed: that is not our end. */
	err = err ? -EINTR : c->err == -EINTR ? -EAGAIN : c->err;
	qtfs_cred_put(c);
	return ERR_PTR(err);
}

static struct qtfs_cred *cred_get(struct qtfs_session *session,
				  const struct cred *cred)
{
	struct qtfs_creds *creds = &session->creds;
	struct qtfs_cred *c, *new, *old = NULL;
	u64 mask = cred_caps(cred);
	int err;

	spin_lock(&creds->lock);
	c = cred_find(creds, cred, mask);
	spin_unlock(&creds->lock);
	if (c)
		return cred_await(creds, c);

	new = cred_new(cred, mask);
	if (!new)
		return ERR_PTR(-ENOMEM);
	spin_lock(&creds->lock);
	c = cred_find(creds, cred, mask);
	if (!c) {
		new->owner = creds;
		new->id = ++creds->next_id ?: ++creds->next_id;
		hash_add(creds->table, &new->hash, cred_hash(cred));
		list_add_tail(&new->lru, &creds->lru);
		creds->nr++;
		old = cred_evict(creds);
	}
	spin_unlock(&creds->lock);
	if (c) {
		cred_free(new);
		return cred_await(creds, c);
	}
	if (old)
		cred_forget(session, old);

	err = cred_tell(session, new);
	cred_settle(creds, new, err);
	if (!err)
		return new;
	qtfs_cred_put(new);
	return ERR_PTR(err);
}

struct qtfs_cred *qtfs_cred_get(struct qtfs_session *session,
				const struct cred *cred)
{
	struct qtfs_cred *c;

	do {
		c = cred_get(session, cred);
	} while (c == ERR_PTR(-EAGAIN));
	return c;
}

u32 qtfs_cred_peek(struct qtfs_session *session, const struct cred *cred)
{
	struct qtfs_creds *creds = &session->creds;
	u64 mask = cred_caps(cred);
	struct qtfs_cred *c;
	u32 id = 0;

	spin_lock(&creds->lock);
	c = cred_find(creds, cred, mask);
	if (c) {
		c->refs--;
		if (c->state == QTFS_CRED_KNOWN)
			id = c->id;
	}
	spin_unlock(&creds->lock);
	return id;
}
