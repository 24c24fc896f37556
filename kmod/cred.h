/* SPDX-License-Identifier: GPL-2.0-only */
/* Credentials that the engine knows by a number. */
#ifndef QTFS_CRED_H
#define QTFS_CRED_H

#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/wait.h>

struct qtfs_session;

enum qtfs_cred_state {
	QTFS_CRED_NEW,		/* its CRED call is under way */
	QTFS_CRED_KNOWN,	/* the engine has it */
	QTFS_CRED_FAILED,	/* it has not; waiters look at @err */
};

/**
 * struct qtfs_cred - what a caller may do, as the engine sees it
 * @hash: in qtfs_creds.table while not FAILED
 * @lru: in qtfs_creds.lru, least recently used first
 * @refs: requests that use it; protected by qtfs_creds.lock
 * @owner: the session's table
 * @id: number on the wire, never 0
 * @uid: fsuid in the initial user namespace
 * @gid: fsgid likewise
 * @groups: supplementary groups, referenced
 * @caps: bits of enum qtfs_cap
 */
struct qtfs_cred {
	struct hlist_node hash;
	struct list_head lru;
	unsigned int refs;
	struct qtfs_creds *owner;
	enum qtfs_cred_state state;
	int err;
	u32 id;
	kuid_t uid;
	kgid_t gid;
	struct group_info *groups;
	u64 caps;
};

/**
 * struct qtfs_creds - a session's credentials
 * @lock: protects everything here; never held over a call
 * @wq: those that wait for a CRED call of somebody else
 */
struct qtfs_creds {
	spinlock_t lock;
	DECLARE_HASHTABLE(table, 6);
	struct list_head lru;
	unsigned int nr;
	u32 next_id;
	wait_queue_head_t wq;
};

void qtfs_creds_init(struct qtfs_creds *creds);
void qtfs_creds_destroy(struct qtfs_creds *creds);

/**
 * qtfs_cred_get - the engine's number for @cred, told to it if need be
 *
 * May take a round trip, once for each different credential; killable.
 * Return: a referenced credential or an ERR_PTR.
 */
struct qtfs_cred *qtfs_cred_get(struct qtfs_session *session,
				const struct cred *cred);
void qtfs_cred_put(struct qtfs_cred *cred);

/* The number of @cred if the engine knows it already, else 0. Never sleeps. */
u32 qtfs_cred_peek(struct qtfs_session *session, const struct cred *cred);

#endif /* QTFS_CRED_H */
