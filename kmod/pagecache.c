// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page cache: reading ahead in requests of up to a few MiB, many in flight,
 * and taking writes. Completions run in the receiver (see rx.c): they mark
 * folios and wake, nothing else. A READ's folios are locked until then.
 */
#include <linux/backing-dev.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/writeback.h>

#include "chan.h"
#include "compat/compat.h"
#include "file.h"
#include "flags.h"
#include "inode.h"
#include "req.h"

/* Reading */

/* A request for @len bytes at @pos into @bvec, which it takes over. */
static struct qtfs_req *read_req(struct qtfs_open *open, loff_t pos,
				 struct bio_vec *bvec, unsigned int nr,
				 size_t len)
{
	struct qtfs_wire_read body = {
		.open	= cpu_to_le64(open->release.open),
		.offset	= cpu_to_le64(pos),
		.count	= cpu_to_le32(len),
	};
	struct qtfs_args args = {
		.op	 = QTFS_OP_READ,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { NULL, sizeof(struct qtfs_wire_read_rep) },
		.out_min = sizeof(struct qtfs_wire_read_rep),
	};
	struct qtfs_req *req = qtfs_req_new(&args, GFP_NOFS);

	if (!req)
		return NULL;
	req->recv = (struct qtfs_pages){ bvec, nr, len };
	req->recv_max = len;
	return req;
}

/* Completion of a READ: folios become up to date, or not, and unlocked. */
static void read_done(struct qtfs_req *req)
{
	const struct qtfs_wire_read_rep *rep = req->reply;
	struct qtfs_open *open = req->priv;
	size_t left = req->err ? 0 : req->recv_len;
	unsigned int i;
	bool eof;

	if (!req->err && le32_to_cpu(rep->count) != req->recv_len)
		req->err = -EPROTO;
	eof = !req->err && (le32_to_cpu(rep->flags) & QTFS_READ_EOF);
	for (i = 0; i < req->recv.nr; i++) {
		struct folio *folio = page_folio(req->recv.bvec[i].bv_page);
		size_t got = min(left, folio_size(folio));

		left -= got;
		/*
		 * Behind the end of the file there are zeros. What is missing
		 * for another reason is read again alone, for its own error.
		 */
		if (!req->err && (eof || got == folio_size(folio))) {
			folio_zero_segment(folio, got, folio_size(folio));
			flush_dcache_folio(folio);
			folio_mark_uptodate(folio);
		}
		folio_unlock(folio);
	}
	qtfs_open_put(open);
	qtfs_req_put(req);
}

/* Sends a READ for locked folios. On failure they are unlocked. */
static int read_submit(struct qtfs_open *open, loff_t pos,
		       struct bio_vec *bvec, unsigned int nr, size_t len,
		       bool wait, struct qtfs_req **out)
{
	struct qtfs_req *req = read_req(open, pos, bvec, nr, len);
	unsigned int i;
	int err = -ENOMEM;

	if (req) {
		qtfs_open_get(open);
		req->priv = open;
		req->done = read_done;
		if (out) {
			qtfs_req_get(req);
			*out = req;
		}
		err = qtfs_submit(open->session, req, open->cred, wait);
		if (!err)
			return 0;
		qtfs_open_put(open);
	}
	for (i = 0; i < nr; i++)
		folio_unlock(page_folio(bvec[i].bv_page));
	if (!req) {
		kfree(bvec);
		return err;
	}
	if (out) {
		qtfs_req_put(req);
		*out = NULL;
	}
	qtfs_req_put(req);
	return err;
}

static struct qtfs_open *read_open(struct file *file, struct inode *inode)
{
	struct qtfs_open *open = file ? qtfs_open_of(file) : NULL;

	if (open && (open->mode & FMODE_READ)) {
		qtfs_open_get(open);
		return open;
	}
	return qtfs_open_any(inode, FMODE_READ);
}

static int qtfs_read_folio(struct file *file, struct folio *folio)
{
	struct qtfs_open *open = read_open(file, folio->mapping->host);
	struct qtfs_req *req = NULL;
	struct bio_vec *bvec;
	int err;

	bvec = kmalloc(sizeof(*bvec), GFP_NOFS);
	err = !open ? -EBADF : !bvec ? -ENOMEM : 0;
	/* Readahead has waited for it long enough already, on a soft mount. */
	if (!err && qtfs_session_stalled(open->session))
		err = -ETIMEDOUT;
	if (err) {
		folio_unlock(folio);
		kfree(bvec);
		if (open)
			qtfs_open_put(open);
		return err;
	}
	qtfs_pages_set(bvec, folio);
	err = read_submit(open, folio_pos(folio), bvec, 1, folio_size(folio),
			  true, &req);
	if (!err) {
		/* The reply is there before read_done() has run. */
		err = qtfs_help(open->session, req) ?:
		      folio_wait_locked_killable(folio);
		if (!err)
			err = req->err;
		/* Less than there is, and no word why: no use asking again. */
		if (!err && !folio_test_uptodate(folio))
			err = -EIO;
		qtfs_req_put(req);
	}
	qtfs_open_put(open);
	return err;
}

/* Takes folios off the window, up to one request's worth. */
static unsigned int readahead_gather(struct readahead_control *rac,
				     struct bio_vec *bvec, unsigned int max,
				     size_t max_len, size_t *len)
{
	struct folio *folio;
	unsigned int nr = 0;

	*len = 0;
	while (nr < max && *len < max_len) {
		folio = readahead_folio(rac);
		if (!folio)
			break;
		qtfs_pages_set(&bvec[nr++], folio);
		*len += folio_size(folio);
	}
	return nr;
}

static void qtfs_readahead(struct readahead_control *rac)
{
	struct inode *inode = rac->mapping->host;
	struct qtfs_fs *fs = qtfs_fs(inode->i_sb);
	struct qtfs_open *open = read_open(rac->file, inode);
	/* The last folio may be a large one: leave room for it. */
	size_t max_len = fs->opts.rsize - qtfs_folio_max(inode->i_sb) + 1;

	while (open && readahead_count(rac)) {
		struct bio_vec *bvec;
		unsigned int nr;
		size_t len;

		nr = min_t(unsigned int, readahead_count(rac),
			   QTFS_BATCH_FOLIOS);
		bvec = kmalloc_array(nr, sizeof(*bvec), GFP_NOFS);
		if (!bvec)
			break;
		nr = readahead_gather(rac, bvec, nr, max_len, &len);
		if (!nr) {
			kfree(bvec);
			break;
		}
		/* Not readahead_pos(): that lags behind by a folio. */
		if (read_submit(open, folio_pos(page_folio(bvec->bv_page)),
				bvec, nr, len, true, NULL))
			break;
	}
	if (open)
		qtfs_open_put(open);
}

/* A local write since then is newer than what was read. */
static bool fill_is_old(struct inode *inode, u64 clock)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	bool old;

	spin_lock(&qi->lock);
	old = qi->mod_clock > clock || qi->writers;
	spin_unlock(&qi->lock);
	return old;
}

void qtfs_fill_first(struct inode *inode, const void *data, size_t len,
		     bool eof, u64 clock)
{
	struct address_space *mapping = inode->i_mapping;
	size_t pos, n, size = min_t(u64, len, i_size_read(inode));
	struct folio *folio;

	if (qtfs_is_synthetic(inode) || qtfs_is_uncached(inode) ||
	    (eof && size != i_size_read(inode)))
		return;
	for (pos = 0; pos < size; pos += PAGE_SIZE) {
		n = min(size - pos, PAGE_SIZE);
		if (n < PAGE_SIZE && !eof)
			return;
		folio = __filemap_get_folio(mapping, pos >> PAGE_SHIFT,
					    FGP_LOCK | FGP_CREAT | FGP_NOWAIT,
					    mapping_gfp_mask(mapping));
		if (IS_ERR_OR_NULL(folio))
			return;
		if (!folio_test_uptodate(folio) &&
		    folio_size(folio) == PAGE_SIZE &&
		    !fill_is_old(inode, clock)) {
			memcpy_to_page(&folio->page, 0, data + pos, n);
			folio_zero_segment(folio, n, PAGE_SIZE);
			folio_mark_uptodate(folio);
		}
		folio_unlock(folio);
		folio_put(folio);
	}
}

/* Takes over emptying the cache, if that is to be done and nobody does. */
static bool invalidation_begin(struct inode *inode)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	bool begun;

	spin_lock(&qi->lock);
	begun = test_bit(QTFS_INODE_STALE_DATA, &qi->state) &&
		!test_bit(QTFS_INODE_INVALIDATING, &qi->state);
	if (begun) {
		set_bit(QTFS_INODE_INVALIDATING, &qi->state);
		clear_bit(QTFS_INODE_STALE_DATA, &qi->state);
	}
	spin_unlock(&qi->lock);
	return begun;
}

/* As nfs_revalidate_mapping(): who comes second waits for the first. */
int qtfs_revalidate_pages(struct inode *inode)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	int err = 0;

	do {
		if (qtfs_pages_are_good(inode))
			return 0;
		if (wait_on_bit(&qi->state, QTFS_INODE_INVALIDATING,
				QTFS_WAIT_STATE))
			return -EINTR;
	} while (!invalidation_begin(inode));

	if (inode->i_mapping->nrpages) {
		err = qtfs_flush_pages(inode, NULL) ?:
		      invalidate_inode_pages2(inode->i_mapping);
		qtfs_count(qtfs_session(inode->i_sb)->stats,
			   QTFS_COUNT_INVALIDATIONS);
	}
	if (err)	/* some are still there, busy or dirty again */
		set_bit(QTFS_INODE_STALE_DATA, &qi->state);
	clear_and_wake_up_bit(QTFS_INODE_INVALIDATING, &qi->state);
	return err == -EINTR ? err : 0;
}

/* Writing into the cache */

/*
 * Makes a locked folio ready to take @len bytes at @offset: what is around
 * them must be right.
 */
static int write_prepare(struct kiocb *iocb, struct folio *folio,
			 size_t offset, size_t len)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t pos = folio_pos(folio);

	if (folio_test_uptodate(folio) || len == folio_size(folio))
		return 0;
	/* Nothing of it is on the server yet. */
	if (pos >= i_size_read(inode) ||
	    (!offset && pos + len >= i_size_read(inode))) {
		folio_zero_segments(folio, 0, offset, offset + len,
				    folio_size(folio));
		return 0;
	}
	return -EAGAIN;	/* must be read first */
}

/* The part goes straight to the server: the file cannot be read. */
static ssize_t write_around(struct kiocb *iocb, struct iov_iter *from,
			    size_t len)
{
	struct iov_iter part = *from;
	ssize_t n;

	iov_iter_truncate(&part, len);
	n = qtfs_write_through(iocb, &part);
	if (n > 0)
		iov_iter_advance(from, n);
	return n;
}

static void write_extend(struct inode *inode, loff_t end)
{
	struct qtfs_inode *qi = qtfs_i(inode);

	spin_lock(&qi->lock);
	if (end > i_size_read(inode))
		i_size_write(inode, end);
	spin_unlock(&qi->lock);
}

/* One folio's worth. Bytes written, 0 to try again, or an error. */
static ssize_t write_folio(struct kiocb *iocb, struct iov_iter *from,
			   size_t count)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct qtfs_open *open = qtfs_open_of(iocb->ki_filp);
	loff_t pos = iocb->ki_pos;
	struct folio *folio;
	size_t offset, len, copied;
	int err;

	folio = qtfs_get_write_folio(inode->i_mapping, pos, count);
	if (!folio)
		return -ENOMEM;
	offset = offset_in_folio(folio, pos);
	len = min(count, folio_size(folio) - offset);

	err = write_prepare(iocb, folio, offset, len);
	if (err) {
		if (open->mode & FMODE_READ) {
			/* comes back unlocked, to be tried again */
			err = qtfs_read_folio(iocb->ki_filp, folio);
			folio_put(folio);
			return err;
		}
		folio_unlock(folio);
		folio_put(folio);
		return write_around(iocb, from, len);
	}
	copied = copy_page_from_iter_atomic(&folio->page, offset,
					    len, from);
	flush_dcache_folio(folio);
	if (!folio_test_uptodate(folio)) {
		/* A short copy leaves a hole that nobody must see. */
		if (copied < len) {
			iov_iter_revert(from, copied);
			copied = 0;
		} else {
			folio_mark_uptodate(folio);
		}
	}
	if (copied) {
		folio_mark_dirty(folio);
		write_extend(inode, pos + copied);
		iocb->ki_pos += copied;
	}
	folio_unlock(folio);
	folio_put(folio);
	return copied;
}

static ssize_t write_folios(struct kiocb *iocb, struct iov_iter *from)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;
	ssize_t done = 0, n = 0;
	size_t count = 0;	/* bytes of the caller's that are in memory */

	while (iov_iter_count(from)) {
		if (fatal_signal_pending(current)) {
			n = -EINTR;
			break;
		}
		/* The folio lock and the caller's page might be the same. */
		if (!count) {
			count = min_t(size_t, iov_iter_count(from), SZ_1M);
			count -= fault_in_iov_iter_readable(from, count);
		}
		if (!count) {
			n = -EFAULT;
			break;
		}
		n = write_folio(iocb, from, count);
		if (n < 0)
			break;
		done += n;
		/* Nothing: its pages may have gone again. */
		count = n ? count - n : 0;
		cond_resched();
		balance_dirty_pages_ratelimited(mapping);
	}
	return done ?: n;
}

void qtfs_zero_tail(struct inode *inode)
{
	loff_t size = i_size_read(inode);
	struct folio *folio;

	if (!offset_in_page(size))
		return;
	folio = filemap_lock_folio(inode->i_mapping, size >> PAGE_SHIFT);
	if (IS_ERR_OR_NULL(folio))
		return;
	if (folio_test_uptodate(folio))
		folio_zero_segment(folio, offset_in_folio(folio, size),
				   folio_size(folio));
	folio_unlock(folio);
	folio_put(folio);
}

static void write_count(struct inode *inode, int n)
{
	struct qtfs_inode *qi = qtfs_i(inode);

	spin_lock(&qi->lock);
	qi->writers += n;
	spin_unlock(&qi->lock);
}

ssize_t qtfs_buffered_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t n;

	n = qtfs_revalidate_pages(inode);
	if (n)
		return n;
	if (iocb->ki_pos > i_size_read(inode))
		qtfs_zero_tail(inode);
	write_count(inode, 1);
	n = write_folios(iocb, from);
	write_count(inode, -1);
	qtfs_inode_modified(inode);
	return n;
}

/* Mapping */

static vm_fault_t qtfs_page_mkwrite(struct vm_fault *vmf)
{
	struct folio *folio = page_folio(vmf->page);
	struct inode *inode = file_inode(vmf->vma->vm_file);
	vm_fault_t ret = VM_FAULT_LOCKED;

	if (qtfs_may_modify(inode))
		return VM_FAULT_SIGBUS;
	sb_start_pagefault(inode->i_sb);
	if (folio_wait_writeback_killable(folio) ||
	    folio_lock_killable(folio)) {
		ret = VM_FAULT_NOPAGE;	/* the signal is taken first */
		goto out;
	}
	if (folio->mapping != inode->i_mapping ||
	    folio_pos(folio) >= i_size_read(inode)) {
		folio_unlock(folio);
		ret = VM_FAULT_NOPAGE;
		goto out;
	}
	folio_wait_stable(folio);
	folio_mark_dirty(folio);
	qtfs_inode_modified(inode);
out:
	sb_end_pagefault(inode->i_sb);
	return ret;
}

static const struct vm_operations_struct qtfs_vm_ops = {
	.fault		= filemap_fault,
	.map_pages	= filemap_map_pages,
	.page_mkwrite	= qtfs_page_mkwrite,
};

int qtfs_mmap(struct file *file, struct vm_area_struct *vma)
{
	int err;

	/* As for an inode that only takes what is appended. */
	if ((vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE) &&
	    !qtfs_open_takes_pages(qtfs_open_of(file)))
		return -EACCES;
	if (qtfs_is_uncached(file_inode(file)))
		set_bit(QTFS_INODE_STALE_DATA, &qtfs_i(file_inode(file))->state);
	err = qtfs_revalidate_pages(file_inode(file));
	if (err)
		return err;
	vma->vm_ops = &qtfs_vm_ops;
	return 0;
}

const struct address_space_operations qtfs_aops = {
	.read_folio	= qtfs_read_folio,
	.readahead	= qtfs_readahead,
	.writepages	= qtfs_writepages,
	.dirty_folio	= filemap_dirty_folio,
	.migrate_folio	= filemap_migrate_folio,
	.direct_IO	= noop_direct_IO,	/* lets O_DIRECT opens pass */
};
