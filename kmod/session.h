/* SPDX-License-Identifier: GPL-2.0-only */
/* One client instance at one engine: a mount's. Owns the channels. */
#ifndef QTFS_SESSION_H
#define QTFS_SESSION_H

#include <linux/cache.h>
#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/siphash.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <qtfs/wire.h>

#include "cred.h"
#include "devs.h"
#include "export.h"
#include "stats.h"
#include "transport/transport.h"

struct net;
struct qtfs_args;
struct qtfs_chan;
struct qtfs_req;

/**
 * struct qtfs_session_params - what a mount asks for
 * @to: the engine's address
 * @net: network namespace to connect from
 * @source: as the user wrote it
 * @path: on the server
 * @psk: pre-shared key, or NULL
 * @psk_len: its bytes
 * @timeout: in jiffies, for all of connecting
 * @io_max: longest payload wanted
 * @nconnect: connections wanted
 * @why: returned: text for the user when connecting failed
 */
struct qtfs_session_params {
	struct qtfs_endpoint to;
	struct net *net;
	const char *source;
	const char *path;
	const void *psk;
	size_t psk_len;
	long timeout;
	u32 io_max;
	u32 nconnect;
	char why[200];
};

/* Connections of a session. */
#define QTFS_CHANS_MAX 16

/* Payloads from here on go over all of them in turn. */
#define QTFS_STRIPE_MIN 65536

/* What we know how to use. */
#define QTFS_SESSION_FEATURES (QTFS_FEATURE_LOCKS | QTFS_FEATURE_PARK | \
			       QTFS_FEATURE_POLL | QTFS_FEATURE_SOCKETS | \
			       QTFS_FEATURE_MOUNTS | QTFS_FEATURE_RIGHTS)

/* What eviction leaves behind for FORGET; allocated with its inode. */
struct qtfs_forget {
	struct list_head link;
	u64 node;
	u64 stamp;
};

/**
 * struct qtfs_session - see above
 * @ref: the superblocks', and netlink's while it looks
 * @users: superblocks
 * @list: in the module's list of sessions
 * @id: names the mount for qtinfo
 * @dev: st_dev of the mounted superblock, once it exists
 * @supers_lock: protects @supers; taken when receiving
 * @supers: struct qtfs_fs: the mounted superblock, and submounts
 * @mixed: one of them has, or had, inodes of another's mount
 * @devs: device numbers of the server's filesystems
 * @submounts: of struct vfsmount, which the VFS takes off under its own lock
 * @handles: nodes that file handles name
 * @wire_id: the engine's name for the session
 * @secret: proves later connections to be ours
 * @chans: the connections; all of them live or none does
 * @nr_chans: how many; does not change once the session is open
 * @spread: tasks of one CPU share connections that are so far apart: the number
 *	of CPUs where there are more connections than that, else 0
 * @strays: calls that were given up after they had been sent
 * @fenced: how many of them nothing can overtake any more
 * @lost: bit 0: the first of @chans is lost
 * @life: of the engine
 * @features: QTFS_FEATURE_* that both sides have
 * @owner_key: makes lock owners' pointers into numbers that tell nothing
 * @bound: sockets of programs here that listen at the engine
 * @orphans: requests for locks whose callers were killed, and which may still
 *	have to be given back
 * @patience: soft mounts: how long a call may take, in jiffies; 0: any time
 * @poll_lock: protects @polled and what is in it; taken when receiving
 * @polled: struct qtfs_poll of opens whose readiness was asked for, by their ids
 * @lease_ms: how long the engine remembers a silent client
 * @io_max: longest payload
 * @turn: whose turn among @chans it is to take a large payload
 * @forgets: struct qtfs_forget, protected by @reap_lock
 * @releases: struct qtfs_release, likewise
 * @abandoned: struct qtfs_req whose replies nobody took, likewise
 * @reap: sends all three
 */
struct qtfs_session {
	refcount_t ref;
	struct list_head list;
	u32 id;
	refcount_t users;
	dev_t dev;
	spinlock_t supers_lock;
	struct list_head supers;
	bool mixed;
	struct qtfs_devs devs;
	struct list_head submounts;
	struct qtfs_handles handles;
	struct net *net;
	char *source;
	char *path;
	struct qtfs_endpoint to;
	struct qtfs_chan *chans[QTFS_CHANS_MAX];
	unsigned int nr_chans;
	unsigned int spread;
	atomic_t strays;
	atomic_t fenced;
	unsigned long lost;
	struct qtfs_stats __percpu *stats;
	struct qtfs_creds creds;

	u8 wire_id[QTFS_SESSION_ID_LEN];
	u8 secret[QTFS_SECRET_LEN];
	u64 life;
	u64 features;
	siphash_key_t owner_key;
	atomic_t bound;
	atomic_t orphans;
	long patience;
	spinlock_t poll_lock;
	DECLARE_HASHTABLE(polled, 8);
	u32 lease_ms;
	u32 io_max;

	/* Written often: away from what every request reads. */
	atomic_t turn ____cacheline_aligned_in_smp;
	spinlock_t reap_lock;
	struct list_head forgets;
	struct list_head releases;
	struct list_head abandoned;
	struct delayed_work reap;
};

/**
 * qtfs_session_open - connect, greet, authenticate
 *
 * Return: a session with one reference, or an ERR_PTR and @params->why.
 * Killable; takes no longer than @params->timeout.
 */
struct qtfs_session *qtfs_session_open(struct qtfs_session_params *params);

/* One more superblock, which has another's to start from. */
void qtfs_session_share(struct qtfs_session *session);

/*
 * One superblock less, for which no call is under way and none comes. Ends the
 * session with the last, and drops its reference.
 */
void qtfs_session_close(struct qtfs_session *session);

/* Fails what is under way and all that comes, with -EIO. */
void qtfs_session_abort(struct qtfs_session *session);

void qtfs_session_get(struct qtfs_session *session);
void qtfs_session_put(struct qtfs_session *session);

/* A referenced session of @net with the smallest id above @after, or NULL. */
struct qtfs_session *qtfs_session_get_next(struct net *net, u32 after);

/* Calls @visit for the sessions of all namespaces; none begins or ends meanwhile. */
void qtfs_session_each(void (*visit)(struct qtfs_session *session, void *data),
		       void *data);
struct qtfs_session *qtfs_session_find(struct net *net, u32 id);

/* The engine runs on this very machine. */
bool qtfs_session_is_local(const struct qtfs_session *session);

/*
 * A READ or WRITE of a soft mount took too long a moment ago, and nothing has
 * come since: no use waiting as long once more in the same call.
 */
bool qtfs_session_stalled(const struct qtfs_session *session);

/* Whether calls fail for good: by umount -f, or qtinfo abort. */
bool qtfs_session_aborted(const struct qtfs_session *session);

/* Whether calls can succeed: the links are up. */
bool qtfs_session_alive(const struct qtfs_session *session);

/* Whether both sides have all of @features, QTFS_FEATURE_*. */
static inline bool qtfs_session_has(const struct qtfs_session *session,
				    u64 features)
{
	return (session->features & features) == features;
}

/* Waits, killably, until they are. -EINTR, or -EIO after an abort. */
int qtfs_session_wait_up(struct qtfs_session *session);

/* The connection for a request of this task with that much of payload. */
struct qtfs_chan *qtfs_session_chan(struct qtfs_session *session,
				    size_t payload);

/* The connection for requests about @node that must not overtake each other. */
struct qtfs_chan *qtfs_session_chan_of(struct qtfs_session *session, u64 node);

/*
 * A call was given up: what follows must not overtake its request. Until
 * qtfs_session_fenced() has heard of the number that qtfs_session_strayed() gave,
 * it gives that or a later one; 0: there is nothing to wait for.
 */
void qtfs_session_stray(struct qtfs_session *session);
int qtfs_session_strayed(struct qtfs_session *session);
void qtfs_session_fenced(struct qtfs_session *session, int strayed);

/* One of @orphans less. Any context. */
void qtfs_session_orphan_gone(struct qtfs_session *session);

/* From here on no call takes longer, in jiffies. Before the first of others. */
void qtfs_session_set_patience(struct qtfs_session *session, long patience);

/* Waits, killably, until there is none: 0, -EINTR or -ETIMEDOUT. */
int qtfs_session_wait_orphans(struct qtfs_session *session);

#endif /* QTFS_SESSION_H */
