// SPDX-License-Identifier: GPL-2.0-only
/*
 * Step 1 of the request path for open files: open and release, reading and
 * writing, fsync.
 *
 * An open is referenced by its file and by each request that uses its id; it
 * is released at the engine when the last reference goes, or by the file's own
 * ->release where somebody could notice (a written file must not be "busy"
 * after close). Dirty pages exist only while a writable open does.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "chan.h"
#include "compat/compat.h"
#include "file.h"
#include "flags.h"
#include "inode.h"
#include "lock.h"
#include "poll.h"
#include "range.h"
#include "req.h"

static void open_free(struct qtfs_release *release)
{
	struct qtfs_open *open = container_of(release, struct qtfs_open,
					      release);

	put_cred(open->cred);
	kfree(open->poll);
	kfree(open);
}

void qtfs_open_get(struct qtfs_open *open)
{
	refcount_inc(&open->ref);
}

void qtfs_open_put(struct qtfs_open *open)
{
	if (!refcount_dec_and_test(&open->ref)) {
		smp_mb__after_atomic();	/* before looking for a waiter */
		/* Only the address is used: @open may be gone. */
		wake_up_var(&open->ref);
		return;
	}
	if (READ_ONCE(open->released))
		open_free(&open->release);
	else
		qtfs_reap_open(open->session, &open->release);
}

static void opens_put(struct list_head *opens)
{
	struct qtfs_open *open, *next;

	list_for_each_entry_safe(open, next, opens, inode_link) {
		list_del_init(&open->inode_link);
		qtfs_open_put(open);
	}
}

bool qtfs_open_takes_pages(const struct qtfs_open *open)
{
	return (open->mode & FMODE_WRITE) &&
	       !(open->flags & QTFS_OPENED_APPEND);
}

struct qtfs_open *qtfs_open_any(struct inode *inode, fmode_t mode)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	struct qtfs_open *open;

	spin_lock(&qi->lock);
	list_for_each_entry(open, &qi->opens, inode_link) {
		if ((open->mode & mode) == mode &&
		    (!(mode & FMODE_WRITE) || qtfs_open_takes_pages(open))) {
			qtfs_open_get(open);
			spin_unlock(&qi->lock);
			return open;
		}
	}
	spin_unlock(&qi->lock);
	return NULL;
}

static bool has_dirty_pages(struct inode *inode)
{
	return mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY);
}

static bool has_unwritten_pages(struct inode *inode)
{
	return has_dirty_pages(inode) ||
	       mapping_tagged(inode->i_mapping, PAGECACHE_TAG_WRITEBACK);
}

/* Whether pages have no other way to the engine than @open. */
static bool open_is_needed(struct inode *inode, struct qtfs_open *open)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	struct qtfs_open *other;

	lockdep_assert_held(&qi->lock);

	if (!qtfs_open_takes_pages(open) || !has_unwritten_pages(inode))
		return false;
	list_for_each_entry(other, &qi->opens, inode_link)
		if (other != open && qtfs_open_takes_pages(other))
			return false;
	return true;
}

/*
 * The file is closed: nobody finds the open any more. Where pages are still to
 * be written, because who closes was killed, the last one stays with the inode
 * until they are: then this returns false.
 */
static bool open_unlink(struct inode *inode, struct qtfs_open *open)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	bool stays;

	spin_lock(&qi->lock);
	stays = !list_empty(&open->inode_link) && open_is_needed(inode, open);
	if (!stays)
		list_del_init(&open->inode_link);
	open->lingers = stays;
	spin_unlock(&qi->lock);
	return !stays;
}

void qtfs_open_settle(struct inode *inode)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	struct qtfs_open *open, *next;
	LIST_HEAD(done);

	spin_lock(&qi->lock);
	if (!has_unwritten_pages(inode))
		list_for_each_entry_safe(open, next, &qi->opens, inode_link)
			if (open->lingers)
				list_move(&open->inode_link, &done);
	spin_unlock(&qi->lock);
	opens_put(&done);
}

/* Waits, killably, until no request uses the open, nor is about to. */
static bool open_wait_unused(struct qtfs_open *open)
{
	return !___wait_var_event(&open->ref, refcount_read(&open->ref) == 1,
				  QTFS_WAIT_STATE, 0, 0, schedule());
}

void qtfs_open_evict(struct inode *inode)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	LIST_HEAD(lingering);

	spin_lock(&qi->lock);
	list_splice_init(&qi->opens, &lingering);
	spin_unlock(&qi->lock);
	opens_put(&lingering);
}

/* Believes an answer's attributes. Return: whether cached pages are concerned. */
static int data_update(struct inode *inode, const struct qtfs_wire_attr *wire,
		       u64 clock)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	struct qtfs_attr attr;
	int err;

	err = qtfs_attr_decode(wire, &attr);
	if (err)
		return err;
	/* An engine that changes what a node is gets no inode of ours. */
	if (inode_wrong_type(inode, attr.mode))
		return -ESTALE;
	if (!S_ISREG(inode->i_mode))
		return 0;
	spin_lock(&qi->lock);
	if (qi->racy && inode->i_mapping->nrpages)
		set_bit(QTFS_INODE_STALE_DATA, &qi->state);
	if (qtfs_inode_latest(inode, clock))
		qi->racy = false;
	spin_unlock(&qi->lock);
	qtfs_inode_update(inode, &attr, clock, false);
	return 1;
}

int qtfs_data_revalidate(struct inode *inode, const struct qtfs_wire_attr *wire,
			 u64 clock)
{
	int ret = data_update(inode, wire, clock);

	return ret > 0 ? qtfs_revalidate_pages(inode) : ret;
}

/*
 * Close-to-open: what the engine says about the file at the open decides
 * whether cached pages are good.
 */
static int open_revalidate(struct inode *inode, struct file *file,
			   const struct qtfs_wire_opened *opened, u64 clock)
{
	/* The VFS drops them all in a moment, dirty ones too. */
	if (file->f_flags & O_TRUNC)
		return min(data_update(inode, &opened->attr, clock), 0);
	return qtfs_data_revalidate(inode, &opened->attr, clock);
}

/* NULL when memory is short. */
static struct qtfs_open *open_new(struct inode *inode,
				  const struct qtfs_wire_opened *opened)
{
	struct qtfs_session *session = qtfs_session(inode->i_sb);
	struct qtfs_open *open = kzalloc(sizeof(*open), GFP_KERNEL);

	if (!open)
		return NULL;
	refcount_set(&open->ref, 1);
	open->release.open = le64_to_cpu(opened->open);
	open->release.free = open_free;
	open->session = session;
	open->flags = le32_to_cpu(opened->flags);
	/* What is cached never waits for anybody, whatever the engine says. */
	if ((open->flags & QTFS_OPENED_POLLABLE) &&
	    (inode->i_fop == &qtfs_direct_operations ||
	     S_ISSOCK(inode->i_mode)) &&
	    (session->features & QTFS_FEATURE_POLL)) {
		open->poll = qtfs_poll_new();
		if (!open->poll) {
			kfree(open);
			return NULL;
		}
	}
	return open;
}

int qtfs_open_attach(struct inode *inode, struct file *file,
		     const struct qtfs_wire_opened *opened, u64 clock)
{
	struct qtfs_session *session = qtfs_session(inode->i_sb);
	struct qtfs_inode *qi = qtfs_i(inode);
	struct qtfs_open *open;
	int err;

	err = open_revalidate(inode, file, opened, clock);
	open = err ? NULL : open_new(inode, opened);
	if (!open) {
		qtfs_release_now(session, le64_to_cpu(opened->open));
		return err ?: -ENOMEM;
	}
	open->cred = get_cred(file->f_cred);
	if ((file->f_flags & O_ACCMODE) != O_WRONLY)
		open->mode |= FMODE_READ;
	if ((file->f_flags & O_ACCMODE) != O_RDONLY)
		open->mode |= FMODE_WRITE;
	spin_lock(&qi->lock);
	list_add(&open->inode_link, &qi->opens);
	spin_unlock(&qi->lock);
	file->private_data = open;
	return 0;
}

static void open_body(struct inode *inode, struct file *file,
		      struct qtfs_wire_open *body)
{
	/* The VFS takes these away after ->open only. */
	unsigned int flags = file->f_flags & ~(O_CREAT | O_EXCL);

	*body = (struct qtfs_wire_open){
		.node  = cpu_to_le64(qtfs_i(inode)->node),
		.flags = cpu_to_le32(qtfs_open_flags_encode(flags)),
	};
	if (!S_ISFIFO(inode->i_mode))
		body->flags |= cpu_to_le32(QTFS_OPEN_PLAIN);
}

static int open_call(struct inode *inode, struct file *file)
{
	struct dentry *dentry = file->f_path.dentry;
	struct name_snapshot name;
	struct qtfs_wire_opened rep;
	struct qtfs_wire_open body;
	struct qtfs_args args = {
		.op	 = QTFS_OP_OPEN,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &rep, sizeof(rep) },
		.out_min = sizeof(rep),
		.cred	 = file->f_cred,
		/* For the FIFO's other end. */
		.may_park = S_ISFIFO(inode->i_mode),
	};
	/* Somebody may have put another file in its place a moment ago. */
	bool by_name = !IS_ROOT(dentry) && S_ISREG(inode->i_mode) &&
		       !d_unlinked(dentry);
	struct dentry *parent = NULL;
	u64 clock;
	int err;

	/* What others wrote here before must not come after the truncation. */
	if ((file->f_flags & O_TRUNC) && S_ISREG(inode->i_mode)) {
		err = qtfs_flush_pages(inode, NULL);
		if (err)
			return err;
	}
	clock = qtfs_clock(inode->i_sb);
	open_body(inode, file, &body);
	if (by_name) {
		take_dentry_name_snapshot(&name, dentry);
		parent = dget_parent(dentry);
		body.dir = cpu_to_le64(qtfs_i(d_inode(parent))->node);
		body.name_len = cpu_to_le16(name.name.len);
		args.in[args.nr_in++] = (struct kvec){
			(void *)name.name.name, name.name.len
		};
	}
	err = qtfs_call(qtfs_session(inode->i_sb), &args);
	if (by_name) {
		dput(parent);
		release_dentry_name_snapshot(&name);
		if (err == -ESTALE || err == -ENOENT)
			err = -EOPENSTALE;
	}
	if (err)
		return err;
	return qtfs_open_attach(inode, file, &rep, clock);
}

int qtfs_open(struct inode *inode, struct file *file)
{
	int err = 0;

	if (!file->private_data)	/* else it was opened with its lookup */
		err = open_call(inode, file);
	if (err)
		return err;
	if (qtfs_open_of(file)->poll)
		replace_fops(file, &qtfs_stream_operations);
	if (qtfs_open_of(file)->flags & QTFS_OPENED_STREAM)
		return stream_open(inode, file);
	if (qtfs_open_of(file)->flags & QTFS_OPENED_NOSEEK)
		return nonseekable_open(inode, file);
	/* What is cached can be read without waiting for anybody. */
	if (S_ISREG(inode->i_mode) && !qtfs_is_synthetic(inode) &&
	    !qtfs_is_uncached(inode))
		file->f_mode |= FMODE_NOWAIT;
	return 0;
}

/* Closes at the engine and waits: nobody finds the file busy afterwards. */
static void open_release_sync(struct inode *inode, struct qtfs_open *open)
{
	struct qtfs_wire_release body = {
		.open  = cpu_to_le64(open->release.open),
		.flags = cpu_to_le32(QTFS_RELEASE_ATTR),
	};
	struct qtfs_wire_attr wire;
	struct qtfs_args args = {
		.op	 = QTFS_OP_RELEASE,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &wire, sizeof(wire) },
		.cred	 = open->cred,
	};
	u64 clock = qtfs_clock(inode->i_sb);
	struct qtfs_attr attr;

	/* Not known to have arrived: releasing twice does no harm. */
	if (qtfs_call(open->session, &args))
		return;
	WRITE_ONCE(open->released, true);
	if (args.out_len >= sizeof(wire) && !qtfs_attr_decode(&wire, &attr))
		qtfs_inode_update(inode, &attr, clock, false);
}

/*
 * Who has the other end of a FIFO or socket finds this one closed as soon as close(2)
 * returns. Who exits does not wait for that: not even SIGKILL would end it.
 */
static void open_release_pipe(struct inode *inode, struct qtfs_open *open)
{
	struct qtfs_session *session = open->session;

	/* A request that outlives its caller has it still: the last one ends it. */
	if (!qtfs_session_alive(session) || refcount_read(&open->ref) != 1)
		return;
	/* The agent, which has the sockets, serves other servers' mounts too. */
	if (S_ISFIFO(inode->i_mode) &&
	    !(current->flags & (PF_EXITING | PF_KTHREAD)))
		open_release_sync(inode, open);
	if (READ_ONCE(open->released))
		return;
	qtfs_release_at_once(session, open->release.open);
	WRITE_ONCE(open->released, true);
}

int qtfs_release(struct inode *inode, struct file *file)
{
	struct qtfs_open *open = qtfs_open_of(file);
	bool write = (open->mode & FMODE_WRITE) && S_ISREG(inode->i_mode);

	file->private_data = NULL;
	if (open->poll)
		qtfs_poll_forget(open);
	if (S_ISDIR(inode->i_mode))
		qtfs_dir_close(open);
	if (write && !qtfs_dying())	/* stored through a mapping */
		qtfs_flush_pages(inode, NULL);
	if (!open_unlink(inode, open))
		return 0;
	if (write && !READ_ONCE(open->released) && !qtfs_dying() &&
	    qtfs_session_alive(open->session) &&
	    !qtfs_session_stalled(open->session) && open_wait_unused(open))
		open_release_sync(inode, open);
	if (S_ISFIFO(inode->i_mode) || S_ISSOCK(inode->i_mode))
		open_release_pipe(inode, open);
	qtfs_open_put(open);
	return 0;
}

static int qtfs_flush(struct file *file, fl_owner_t id)
{
	struct inode *inode = file_inode(file);
	struct qtfs_open *open = qtfs_open_of(file);
	bool closing;
	int err;

	if (!(file->f_mode & FMODE_WRITE))
		return 0;
	if (qtfs_dying()) {
		filemap_flush(inode->i_mapping);
		return -EINTR;
	}
	closing = file_count(file) == 1 && qtfs_open_takes_pages(open) &&
		  !qtfs_posix_locked(inode);
	err = qtfs_flush_pages(inode, closing ? open : NULL);
	if (err == -EINTR)
		return err;
	return file_check_and_advance_wb_err(file) ?: err;
}

int qtfs_fsync_call(struct qtfs_open *open, bool datasync)
{
	struct qtfs_wire_fsync body = {
		.open  = cpu_to_le64(open->release.open),
		.flags = cpu_to_le32(datasync ? QTFS_FSYNC_DATA : 0),
	};
	struct qtfs_args args = {
		.op	= QTFS_OP_FSYNC,
		.nr_in	= 1,
		.in[0]	= { &body, sizeof(body) },
		.cred	= open->cred,
	};

	return qtfs_call(open->session, &args);
}

static int qtfs_fsync(struct file *file, loff_t start, loff_t end,
		      int datasync)
{
	struct inode *inode = file_inode(file);
	int err, wb;

	err = qtfs_flush_pages(inode, NULL);
	/* That took long enough already. */
	if (!err && qtfs_session_stalled(qtfs_open_of(file)->session))
		err = -ETIMEDOUT;
	if (!err)
		err = qtfs_fsync_call(qtfs_open_of(file), datasync);
	wb = file_check_and_advance_wb_err(file);
	return wb ?: err;
}

ssize_t qtfs_read_once(struct qtfs_open *open, loff_t pos, size_t count,
		       struct iov_iter *to, u32 flags)
{
	struct qtfs_wire_read body = {
		.open	= cpu_to_le64(open->release.open),
		.offset	= cpu_to_le64(pos),
		.count	= cpu_to_le32(count),
		.flags	= cpu_to_le32(flags),
	};
	struct {
		struct qtfs_wire_read_rep rep;
		struct qtfs_wire_level level;
	} out;
	struct qtfs_args args = {
		.op	  = QTFS_OP_READ,
		.nr_in	  = 1,
		.in[0]	  = { &body, sizeof(body) },
		.out	  = { &out, sizeof(out) },
		.out_min  = sizeof(out.rep),
		.data_max = count,
		.cred	  = open->cred,
		.open	  = open->poll ? open : NULL,
		.may_park = open->poll,
	};
	ssize_t n;
	int err;

	err = qtfs_call(open->session, &args);
	if (!err && le32_to_cpu(out.rep.count) != args.data_len)
		err = -EPROTO;
	if (!err && open->poll && args.out_len >= sizeof(out))
		qtfs_poll_level(open, &out.level, args.data_len < count);
	n = err;
	if (!err && args.data_len) {
		n = copy_to_iter(args.data, args.data_len, to);
		if (!n)
			n = -EFAULT;
	}
	kvfree(args.data);
	return n;
}

/* Reads past the page cache until @to is full or the file ends. */
static ssize_t direct_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct qtfs_open *open = qtfs_open_of(iocb->ki_filp);
	u32 max = qtfs_fs(file_inode(iocb->ki_filp)->i_sb)->opts.rsize;
	ssize_t done = 0, n = 0;

	while (iov_iter_count(to)) {
		size_t count = min_t(size_t, iov_iter_count(to), max);

		n = qtfs_read_once(open, iocb->ki_pos, count, to, 0);
		if (n <= 0)
			break;
		iocb->ki_pos += n;
		done += n;
		if (n < count)
			break;
	}
	return done ?: n;
}

/*
 * A reader that keeps the file open sees what others append, in time. While
 * there is dirty data, ours is what counts.
 */
static int read_revalidate(struct inode *inode)
{
	int err = has_dirty_pages(inode) ? 0 :
		  qtfs_inode_revalidate(inode, false);

	return err ?: qtfs_revalidate_pages(inode);
}

/*
 * Only what is in the cache, and known to be what the file has. Not even
 * readahead is begun: that could have to wait for a tag.
 */
static ssize_t read_nowait(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	int before = iocb->ki_flags & IOCB_NOIO;
	ssize_t n;

	if ((iocb->ki_flags & IOCB_DIRECT) || !qtfs_pages_are_good(inode) ||
	    !(qtfs_inode_fresh(inode) || has_dirty_pages(inode)))
		return -EAGAIN;
	iocb->ki_flags |= IOCB_NOIO;
	n = generic_file_read_iter(iocb, to);
	iocb->ki_flags = (iocb->ki_flags & ~IOCB_NOIO) | before;
	return n;
}

static ssize_t qtfs_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	int err;

	if (iocb->ki_flags & IOCB_NOWAIT)
		return qtfs_is_uncached(inode) ? -EAGAIN : read_nowait(iocb, to);
	if ((iocb->ki_flags & IOCB_DIRECT) || qtfs_is_uncached(inode)) {
		err = qtfs_flush_pages(inode, NULL);
		return err ?: direct_read(iocb, to);
	}
	err = read_revalidate(inode);
	return err ?: generic_file_read_iter(iocb, to);
}

static ssize_t qtfs_splice_read(struct file *file, loff_t *pos,
				struct pipe_inode_info *pipe, size_t len,
				unsigned int flags)
{
	int err;

	if (qtfs_is_uncached(file_inode(file)))
		return copy_splice_read(file, pos, pipe, len, flags);
	err = read_revalidate(file_inode(file));
	return err ?: filemap_splice_read(file, pos, pipe, len, flags);
}

static u32 write_flags(const struct kiocb *iocb)
{
	const struct inode *inode = file_inode(iocb->ki_filp);
	u32 flags = 0;

	if (iocb->ki_flags & IOCB_APPEND)
		flags |= QTFS_WRITE_APPEND;
	if (iocb->ki_flags & IOCB_SYNC)
		flags |= QTFS_WRITE_SYNC;
	else if ((iocb->ki_flags & IOCB_DSYNC) ||
		 (S_ISREG(inode->i_mode) && IS_SYNC(inode)))
		flags |= QTFS_WRITE_DSYNC;
	return flags;
}

/* @n bytes in front of iocb's position are at the server, past the cache. */
static void write_done(struct kiocb *iocb, size_t n,
		       const struct qtfs_wire_write_rep *rep)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t end = iocb->ki_pos, start = end - n;
	struct qtfs_inode *qi = qtfs_i(inode);

	qtfs_inode_modified(inode);
	/* Old pages go first: none may be seen together with the new length. */
	invalidate_inode_pages2_range(inode->i_mapping, start >> PAGE_SHIFT,
				      (end - 1) >> PAGE_SHIFT);
	spin_lock(&qi->lock);
	/* What others appended meanwhile is not in the cache. */
	if (((iocb->ki_flags & IOCB_APPEND) && start != i_size_read(inode)) ||
	    le64_to_cpu(rep->size) > max(end, i_size_read(inode)))
		set_bit(QTFS_INODE_STALE_DATA, &qi->state);
	qi->change = le64_to_cpu(rep->change);
	qi->racy = true;
	if (end > i_size_read(inode))
		i_size_write(inode, end);
	spin_unlock(&qi->lock);
}

ssize_t qtfs_write_once(struct kiocb *iocb, size_t count,
			struct iov_iter *from, u32 flags)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct qtfs_open *open = qtfs_open_of(iocb->ki_filp);
	struct qtfs_wire_write body = {
		.open	= cpu_to_le64(open->release.open),
		.offset	= cpu_to_le64(iocb->ki_pos),
		.count	= cpu_to_le32(count),
		.flags	= cpu_to_le32(write_flags(iocb) | flags),
	};
	struct {
		struct qtfs_wire_write_rep rep;
		struct qtfs_wire_level level;
	} out;
	struct qtfs_args args = {
		.op	  = QTFS_OP_WRITE,
		.nr_in	  = 1,
		.in[0]	  = { &body, sizeof(body) },
		.out	  = { &out, sizeof(out) },
		.out_min  = sizeof(out.rep),
		.cred	  = open->cred,
		.open	  = open->poll ? open : NULL,
		.may_park = open->poll,
		.chan	  = qtfs_locked_chan(iocb->ki_filp),
	};
	void *copy = kvmalloc(count, GFP_KERNEL);
	ssize_t n;
	u64 end;
	int err;

	if (!copy)
		return -ENOMEM;
	if (!copy_from_iter_full(copy, count, from)) {
		kvfree(copy);
		return -EFAULT;
	}
	args.data_in = (struct kvec){ copy, count };
	err = qtfs_call(open->session, &args);
	kvfree(copy);
	if (qtfs_may_be_done(err))
		set_bit(QTFS_INODE_STALE_DATA, &qtfs_i(inode)->state);
	if (err)
		return err;
	if (open->poll && args.out_len >= sizeof(out))
		qtfs_poll_level(open, &out.level, false);
	n = le32_to_cpu(out.rep.count);
	end = le64_to_cpu(out.rep.offset);
	if (n > count || end < n || end > MAX_LFS_FILESIZE)
		return -EPROTO;
	iov_iter_revert(from, count - n);
	iocb->ki_pos = iocb->ki_flags & IOCB_APPEND ? end : iocb->ki_pos + n;
	if (n && S_ISREG(inode->i_mode) && !qtfs_is_synthetic(inode))
		write_done(iocb, n, &out.rep);
	return n;
}

/* O_APPEND and O_DIRECT: written through, the range's cached pages dropped. */
ssize_t qtfs_write_through(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	u32 max = qtfs_fs(inode->i_sb)->opts.wsize;
	ssize_t done = 0, n = 0;
	int err;

	err = qtfs_flush_pages(inode, NULL);
	if (err)
		return err;
	while (iov_iter_count(from)) {
		size_t count = min_t(size_t, iov_iter_count(from), max);

		n = qtfs_write_once(iocb, count, from, 0);
		if (n <= 0)
			break;
		done += n;
		if (n < count)
			break;
	}
	return done ?: n;
}

static ssize_t qtfs_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	bool through;
	ssize_t n;
	int err;

	if (iocb->ki_flags & IOCB_NOWAIT)
		return -EAGAIN;
	err = down_write_killable(&inode->i_rwsem);
	if (err)
		return err;
	/* Notes of locks shrink before who unlocks passes i_rwsem. */
	through = (iocb->ki_flags & (IOCB_APPEND | IOCB_DIRECT)) ||
		  qtfs_is_uncached(inode) || qtfs_partly_locked(inode);
	n = generic_write_checks(iocb, from);
	err = n > 0 ? qtfs_may_modify(inode) : 0;
	/* RWF_NOAPPEND, or O_APPEND taken away: the VFS would have refused it. */
	if (!err && n > 0 && !(iocb->ki_flags & IOCB_APPEND) &&
	    !qtfs_open_takes_pages(qtfs_open_of(iocb->ki_filp)))
		err = -EPERM;
	if (err)
		n = err;
	if (n > 0)
		n = through ? qtfs_write_through(iocb, from) :
			      qtfs_buffered_write(iocb, from);
	inode_unlock(inode);
	if (n > 0 && !through)
		n = generic_write_sync(iocb, n);
	return n;
}

static loff_t qtfs_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);
	int err;

	if (whence == SEEK_DATA || whence == SEEK_HOLE) {
		offset = qtfs_seek_call(file, offset, whence);
		if (offset < 0)
			return offset;
		return vfs_setpos(file, offset, inode->i_sb->s_maxbytes);
	}
	if (whence == SEEK_END) {
		err = qtfs_inode_revalidate(inode, false);
		if (err)
			return err;
	}
	return generic_file_llseek(file, offset, whence);
}

const struct file_operations qtfs_file_operations = {
	.open		= qtfs_open,
	.release	= qtfs_release,
	.flush		= qtfs_flush,
	.fsync		= qtfs_fsync,
	.llseek		= qtfs_llseek,
	.read_iter	= qtfs_read_iter,
	.write_iter	= qtfs_write_iter,
	.mmap		= qtfs_mmap,
	.fallocate	= qtfs_fallocate,
	.copy_file_range = qtfs_copy_file_range,
	.remap_file_range = qtfs_remap_file_range,
	.unlocked_ioctl	= qtfs_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.lock		= qtfs_lock,
	.flock		= qtfs_flock,
	.setlease	= simple_nosetlease,
	.splice_read	= qtfs_splice_read,
	.splice_write	= iter_file_splice_write,
};
