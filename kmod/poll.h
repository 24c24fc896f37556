/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an open is ready for. The engine tells when something comes up, and with
 * each READ and WRITE; nobody asks again and again.
 */
#ifndef QTFS_POLL_H
#define QTFS_POLL_H

#include <linux/list.h>
#include <linux/poll.h>
#include <linux/types.h>
#include <linux/wait.h>

struct qtfs_open;
struct qtfs_session;
struct qtfs_wire_level;

/**
 * struct qtfs_poll - what is known of an open; under qtfs_session.poll_lock
 * @wq: who waits; until the file is closed
 * @link: in qtfs_session.polled, from the first question on
 * @id: of the open
 * @generation: of the latest that was heard
 * @level: QTFS_POLL_*, what it is ready for
 * @once: of PRI and ERR, what nobody was told yet
 * @asked: @level is the engine's word
 * @told: somebody was told: who looks again asks the engine. What is ready may
 *	have been taken by others, of which the engine does not tell
 * @fragile: ends with the connection to the server
 */
struct qtfs_poll {
	wait_queue_head_t wq;
	struct hlist_node link;
	u64 id;
	u64 generation;
	u32 level;
	u32 once;
	bool asked;
	bool told;
	bool fragile;
};

/* NULL when memory is short. Freed by kfree(). */
struct qtfs_poll *qtfs_poll_new(void);

/* ->poll. */
__poll_t qtfs_poll(struct file *file, poll_table *table);

/*
 * What a reply says of the open. @drained: everything was read before, so that
 * what is there now has come since.
 */
void qtfs_poll_level(struct qtfs_open *open,
		     const struct qtfs_wire_level *level, bool drained);

/* PUSH_POLL, when receiving. -EPROTO where it makes no sense. */
int qtfs_poll_push(struct qtfs_session *session, const void *body, size_t len);

/* The file is closed: nobody waits any more. */
void qtfs_poll_forget(struct qtfs_open *open);

/*
 * All who wait look again, and find an error. Unless @all, only those of what
 * ends with the connection to the server.
 */
void qtfs_poll_abort(struct qtfs_session *session, bool all);

#endif /* QTFS_POLL_H */
