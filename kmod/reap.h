/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Giving back: nodes of evicted inodes, opens whose last user is gone, and
 * what replies gave to callers that did not live to take it.
 */
#ifndef QTFS_REAP_H
#define QTFS_REAP_H

#include <linux/list.h>
#include <linux/types.h>

struct qtfs_chan;
struct qtfs_forget;
struct qtfs_req;
struct qtfs_session;
struct qtfs_wire_entry;

/* Part of what ends with a RELEASE; freed by the reaper through @free. */
struct qtfs_release {
	struct list_head link;
	u64 open;
	void (*free)(struct qtfs_release *release);
};

void qtfs_reap_init(struct qtfs_session *session);

/* After the channel's abort: frees what was not sent. */
void qtfs_reap_stop(struct qtfs_session *session);

/* These three take over what they get; any context, never sleep. */
void qtfs_reap_forget(struct qtfs_session *session, struct qtfs_forget *forget);
void qtfs_reap_open(struct qtfs_session *session, struct qtfs_release *release);
void qtfs_reap_reply(struct qtfs_chan *chan, struct qtfs_req *req);

/*
 * Gives a node that an entry granted, or an open, back at once; may sleep for
 * memory only. A node that an inode here uses stays.
 */
void qtfs_forget_now(struct qtfs_session *session, u64 node, u64 stamp);
void qtfs_forget_entry(struct qtfs_session *session,
		       const struct qtfs_wire_entry *entry);
void qtfs_release_now(struct qtfs_session *session, u64 open);

/* The same, not waiting for other requests to travel with. */
void qtfs_release_at_once(struct qtfs_session *session, u64 open);

#endif /* QTFS_REAP_H */
