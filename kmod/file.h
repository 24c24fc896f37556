/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading and writing regular files, through the page cache or past it. */
#ifndef QTFS_FILE_H
#define QTFS_FILE_H

#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "open.h"

static inline bool qtfs_has_dirty_pages(struct inode *inode)
{
	return mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY);
}

static inline bool qtfs_has_unwritten_pages(struct inode *inode)
{
	return qtfs_has_dirty_pages(inode) ||
	       mapping_tagged(inode->i_mapping, PAGECACHE_TAG_WRITEBACK);
}

/*
 * A task that was killed and is closing its files: no signal ends its waits
 * any more, so it must not wait for the server.
 */
static inline bool qtfs_dying(void)
{
	return (current->flags & PF_EXITING) &&
	       (current->signal->group_exit_code & 0x7f);
}

/* special.c: of what may have to be waited for. */
ssize_t qtfs_stream_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t qtfs_stream_write_iter(struct kiocb *iocb, struct iov_iter *from);

/* FSYNC at the engine; pages must be there already. */
int qtfs_fsync_call(struct qtfs_open *open, bool datasync);

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

/* direct.c */

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

/*
 * Past the page cache, until @to is full or the file ends, or all of @from is
 * written: bytes or an error. Cached pages of what is written go. @from's
 * inode is locked.
 */
ssize_t qtfs_read_through(struct kiocb *iocb, struct iov_iter *to);
ssize_t qtfs_write_through(struct kiocb *iocb, struct iov_iter *from);

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


ssize_t qtfs_buffered_write(struct kiocb *iocb, struct iov_iter *from);
int qtfs_mmap(struct file *file, struct vm_area_struct *vma);

#endif /* QTFS_FILE_H */
