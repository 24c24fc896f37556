// SPDX-License-Identifier: GPL-2.0-only
/*
 * Step 1 of the request path for opens: open, release and what lies between.
 *
 * An open is referenced by its file and by each request that uses its id; it
 * is released at the engine when the last reference goes, or by the file's own
 * ->release where somebody could notice (a written file must not be "busy"
 * after close). Dirty pages exist only while a writable open does.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "chan.h"
#include "compat/compat.h"
#include "file.h"
#include "flags.h"
#include "inode.h"
#include "poll.h"
#include "req.h"
#include "rights.h"

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

bool qtfs_open_is_privileged(const struct qtfs_open *open)
{
	return cap_raised(open->cred->cap_effective, CAP_SYS_RESOURCE);
}

struct qtfs_open *qtfs_open_any(struct inode *inode, fmode_t mode)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	struct qtfs_open *open, *found = NULL;

	spin_lock(&qi->lock);
	list_for_each_entry(open, &qi->opens, inode_link) {
		if ((open->mode & mode) != mode ||
		    ((mode & FMODE_WRITE) && !qtfs_open_takes_pages(open)))
			continue;
		found = open;
		if (!(mode & FMODE_WRITE) || !qtfs_open_is_privileged(open))
			break;
	}
	if (found)
		qtfs_open_get(found);
	spin_unlock(&qi->lock);
	return found;
}

/* Whether pages have no other way to the engine than @open. */
static bool open_is_needed(struct inode *inode, struct qtfs_open *open)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	struct qtfs_open *other;

	lockdep_assert_held(&qi->lock);

	if (!qtfs_open_takes_pages(open) || !qtfs_has_unwritten_pages(inode))
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
	if (!qtfs_has_unwritten_pages(inode))
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
	if (!S_ISFIFO(inode->i_mode) && !qtfs_is_device(inode))
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
		/* For the FIFO's other end, or a terminal's line. */
		.may_park = S_ISFIFO(inode->i_mode) || qtfs_is_device(inode),
	};
	/* Somebody may have put another file in its place a moment ago. */
	bool by_name = !IS_ROOT(dentry) && !d_unlinked(dentry) &&
		       (S_ISREG(inode->i_mode) || qtfs_is_device(inode));
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
	if ((file->f_flags & O_TRUNC) && qtfs_may_be_done(err))
		qtfs_data_unknown(inode);
	if (by_name) {
		dput(parent);
		release_dentry_name_snapshot(&name);
		/* Else it is the device's own. */
		if (err == -ESTALE || (err == -ENOENT && S_ISREG(inode->i_mode)))
			err = -EOPENSTALE;
	}
	if (err)
		return err;
	return qtfs_open_attach(inode, file, &rep, clock);
}

int qtfs_open(struct inode *inode, struct file *file)
{
	const struct qtfs_wire_opened *opened;
	int err = 0;
	u64 clock;

	if (!file->private_data) {	/* else it was opened with its lookup */
		opened = qtfs_rights_opened(inode, &clock);
		err = opened ? qtfs_open_attach(inode, file, opened, clock) :
			       open_call(inode, file);
	}
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
 * Who has the other end of a FIFO, terminal or socket finds this one closed as
 * soon as close(2) returns; and its locks are gone with a file that programs of
 * the server had as well. Who exits does not wait for that: not even SIGKILL
 * would end it. Nor does the agent, which has the sockets: it serves other
 * servers' mounts too.
 */
static void open_release_pipe(struct inode *inode, struct qtfs_open *open)
{
	struct qtfs_session *session = open->session;
	bool waits = !S_ISSOCK(inode->i_mode) &&
		     !(current->flags & (PF_EXITING | PF_KTHREAD));

	if (!qtfs_session_alive(session))
		return;
	/* Who received a reply has it a moment longer than who waited for it. */
	if (waits && !open_wait_unused(open))
		return;
	/* A request that outlives its caller has it still: the last one ends it. */
	if (refcount_read(&open->ref) != 1)
		return;
	if (waits)
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
	if (S_ISFIFO(inode->i_mode) || S_ISSOCK(inode->i_mode) ||
	    qtfs_is_device(inode) || READ_ONCE(open->shared))
		open_release_pipe(inode, open);
	qtfs_open_put(open);
	return 0;
}
