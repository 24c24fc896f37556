/* SPDX-License-Identifier: GPL-2.0-only */
/* Opens: what the engine has open for a file of ours. */
#ifndef QTFS_OPEN_H
#define QTFS_OPEN_H

#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/refcount.h>

#include "codec.h"
#include "reap.h"

struct qtfs_bound;
struct qtfs_poll;
struct qtfs_session;

/**
 * struct qtfs_open - an open file at the engine
 * @release: its id, and its way to the reaper
 * @ref: the file's, and each request's that uses it
 * @session: whose id it is
 * @cred: the opener's; reads and writes act as this one
 * @mode: FMODE_READ, FMODE_WRITE
 * @flags: QTFS_OPENED_*
 * @socket: QTFS_SOCKET_*, of a connection or of a bound socket
 * @shared: programs of the server have it as well, or had it
 * @takes: descriptors came with what was read, and may not all be taken yet
 * @bound: the socket of a program of this machine that it is for, or NULL; see
 *	bound.c
 * @poll: whether it is ready, where that can be asked; see poll.h. Or NULL
 * @inode_link: in qtfs_inode.opens, under its lock
 * @released: the engine has closed it already
 * @lingers: its file is closed; it stays until the pages are written
 * @dirents: directories: what the last READDIR gave
 * @dirents_len: its bytes
 * @dirents_at: first byte not handed on yet
 * @cookie: where the entry at @dirents_at starts
 * @dir_pos: the file's position that belongs to @cookie
 * @verifier: of the last READDIR
 * @dir_eof: nothing follows @dirents
 * @dir_clock: qtfs_clock() before the last READDIR
 */
struct qtfs_open {
	struct qtfs_release release;
	refcount_t ref;
	struct qtfs_session *session;
	const struct cred *cred;
	fmode_t mode;
	u32 flags;
	u32 socket;
	bool shared;
	bool takes;
	struct qtfs_bound *bound;
	struct qtfs_poll *poll;
	struct list_head inode_link;
	bool released;
	bool lingers;

	void *dirents;
	size_t dirents_len;
	size_t dirents_at;
	u64 cookie;
	loff_t dir_pos;
	u64 verifier;
	bool dir_eof;
	u64 dir_clock;
};

static inline struct qtfs_open *qtfs_open_of(const struct file *file)
{
	return file->private_data;
}

/* Reads and writes act as @cred from now on; nobody may be using it yet. */
static inline void qtfs_open_act_as(struct qtfs_open *open,
				    const struct cred *cred)
{
	const struct cred *before = open->cred;

	open->cred = get_cred(cred);
	put_cred(before);
}

/*
 * An open of @inode for what @mode says (0: whatever), referenced; NULL if
 * there is none. To write, one that quotas hold for, if there is one: pages do
 * not tell whose they are. Any context.
 */
struct qtfs_open *qtfs_open_any(struct inode *inode, fmode_t mode);

/* Whether no quota holds for what is written by it. */
bool qtfs_open_is_privileged(const struct qtfs_open *open);

/* Whether pages can be written by it: what only appends puts them elsewhere. */
bool qtfs_open_takes_pages(const struct qtfs_open *open);
void qtfs_open_get(struct qtfs_open *open);
void qtfs_open_put(struct qtfs_open *open);

/**
 * qtfs_open_attach - make @file's open of what the engine answered
 * @clock: qtfs_clock() from before the request
 *
 * Cached pages that are older than the file are dropped. On failure the
 * engine's open is given back.
 */
int qtfs_open_attach(struct inode *inode, struct file *file,
		     const struct qtfs_wire_opened *opened, u64 clock);

/**
 * qtfs_data_revalidate - believe what the engine says of a file's data
 * @wire: attributes as of an open or a lock
 * @clock: qtfs_clock() from before the request
 *
 * Where more changes can hide behind the same change attribute, cached pages
 * are no good either.
 */
int qtfs_data_revalidate(struct inode *inode, const struct qtfs_wire_attr *wire,
			 u64 clock);

/* The inode goes: opens that lingered for its pages are released. */
void qtfs_open_evict(struct inode *inode);

/* The same as soon as no page is left to write. Any context. */
void qtfs_open_settle(struct inode *inode);

/* ->open and ->release of files and directories. */
int qtfs_open(struct inode *inode, struct file *file);
int qtfs_release(struct inode *inode, struct file *file);

/* readdir.c: gives back what READDIR brought and nobody took. */
void qtfs_dir_close(struct qtfs_open *open);

#endif /* QTFS_OPEN_H */
