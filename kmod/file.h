/* SPDX-License-Identifier: GPL-2.0-only */
/* Open files: what the engine has open for one of ours. */
#ifndef QTFS_FILE_H
#define QTFS_FILE_H

#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/refcount.h>
#include <linux/sched/signal.h>

#include "codec.h"
#include "reap.h"

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
 * @socket: QTFS_SOCKET_*, of a connection
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

/*
 * An open of @inode for what @mode says (0: whatever), referenced; NULL if
 * there is none. Any context.
 */
struct qtfs_open *qtfs_open_any(struct inode *inode, fmode_t mode);

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

/*
 * A task that was killed and is closing its files: no signal ends its waits
 * any more, so it must not wait for the server.
 */
static inline bool qtfs_dying(void)
{
	return (current->flags & PF_EXITING) &&
	       (current->signal->group_exit_code & 0x7f);
}

/* ->open and ->release of files and directories. */
int qtfs_open(struct inode *inode, struct file *file);
int qtfs_release(struct inode *inode, struct file *file);

/*
 * One READ of up to @count bytes, into @to, and one WRITE of up to @count bytes
 * of @from at iocb's position, which moves: bytes or an error. @flags:
 * QTFS_READ_*, QTFS_WRITE_*. Where the file can be waited for, a signal ends
 * the wait.
 */
ssize_t qtfs_read_once(struct qtfs_open *open, loff_t pos, size_t count,
		       struct iov_iter *to, u32 flags);
ssize_t qtfs_write_once(struct kiocb *iocb, size_t count,
			struct iov_iter *from, u32 flags);

/* special.c: of what may have to be waited for. */
ssize_t qtfs_stream_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t qtfs_stream_write_iter(struct kiocb *iocb, struct iov_iter *from);

/* FSYNC at the engine; pages must be there already. */
int qtfs_fsync_call(struct qtfs_open *open, bool datasync);

/* readdir.c: gives back what READDIR brought and nobody took. */
void qtfs_dir_close(struct qtfs_open *open);

/* How much of a file comes along with its open. */
#define QTFS_FIRST_BYTES 32768u

/* Most folios of one READ or WRITE. */
#define QTFS_BATCH_FOLIOS 256u

static inline void qtfs_pages_set(struct bio_vec *bvec, struct folio *folio)
{
	*bvec = (struct bio_vec){
		.bv_page = &folio->page,
		.bv_len	 = folio_size(folio),
	};
}

/* writeback.c */

/**
 * qtfs_flush_pages - write dirty pages and wait, killably
 * @closing: the last open is being closed: if one WRITE will do, RELEASE
 *	travels with it. May be NULL
 *
 * Return: 0, -EINTR, -EIO after an abort. Errors of writing are in the
 * mapping's wb_err.
 */
int qtfs_flush_pages(struct inode *inode, struct qtfs_open *closing);

/* pagecache.c */

/* Drops cached pages if the file changed on the server. May sleep. */
int qtfs_revalidate_pages(struct inode *inode);

/*
 * Puts the file's first @len bytes, just read, into its page cache. @eof: the
 * file ends there. @clock: qtfs_clock() from before the request.
 */
void qtfs_fill_first(struct inode *inode, const void *data, size_t len,
		     bool eof, u64 clock);

/*
 * Before a file grows: what was stored behind its end through a mapping must
 * not become part of it. Takes the last folio's lock.
 */
void qtfs_zero_tail(struct inode *inode);

/* file.c: one write past the page cache, for the part that cannot be cached. */
ssize_t qtfs_write_through(struct kiocb *iocb, struct iov_iter *from);

ssize_t qtfs_buffered_write(struct kiocb *iocb, struct iov_iter *from);
int qtfs_mmap(struct file *file, struct vm_area_struct *vma);

#endif /* QTFS_FILE_H */
