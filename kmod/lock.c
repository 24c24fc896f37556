// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks are taken at the engine, where they exclude the server's processes and
 * other clients, and noted here, so that the VFS knows what ends with a file or
 * a process, and tests among its own without asking.
 *
 * Taking: first there, then here. Giving back: first here, then there. So what
 * is noted here was had there, and a note never meets another's.
 *
 * A lock is also where caches meet: what is dirty is written before one is
 * taken or given back, and what is cached is compared with the file that the
 * engine saw while it was locked.
 */
#include <linux/siphash.h>

#include "chan.h"
#include "compat/compat.h"
#include "file.h"
#include "inode.h"
#include "lock.h"
#include "req.h"
#include "session.h"
#include "super.h"

static u32 lock_type(const struct file_lock *fl)
{
	return qtfs_fl(fl, type) == F_RDLCK ? QTFS_LOCK_READ : QTFS_LOCK_WRITE;
}

static u32 lock_kind(const struct file *file, const struct file_lock *fl)
{
	if (qtfs_fl(fl, flags) & FL_FLOCK)
		return QTFS_LOCK_FLOCK;
	/* At the last close the VFS names the owner only. */
	if ((qtfs_fl(fl, flags) & FL_OFDLCK) ||
	    qtfs_fl(fl, owner) == (fl_owner_t)file)
		return QTFS_LOCK_OFD;
	return 0;
}

static struct qtfs_wire_lock lock_body(struct file *file,
				       const struct file_lock *fl)
{
	struct qtfs_open *open = qtfs_open_of(file);
	u64 owner = (unsigned long)qtfs_fl(fl, owner);
	struct qtfs_wire_lock body = {
		.open  = cpu_to_le64(open->release.open),
		.start = cpu_to_le64(fl->fl_start),
		.end   = cpu_to_le64(fl->fl_end == OFFSET_MAX ? U64_MAX :
								fl->fl_end),
		.type  = cpu_to_le32(lock_type(fl)),
		.flags = cpu_to_le32(lock_kind(file, fl)),
	};

	/* Of an open: the engine knows whose that is. */
	if (!body.flags)
		body.owner = cpu_to_le64(siphash_1u64(owner,
						      &open->session->owner_key));
	return body;
}

/* LOCK and UNLOCK of a file do not overtake each other; see session.c. */
static struct qtfs_chan *lock_chan(struct file *file)
{
	return qtfs_session_chan_of(qtfs_open_of(file)->session,
				    qtfs_i(file_inode(file))->node);
}

/*
 * Who exits does not wait for the server: not even SIGKILL would end that. Nor
 * does a kernel thread, which closes files of the whole machine.
 */
static bool may_not_wait(struct qtfs_session *session)
{
	return (current->flags & (PF_EXITING | PF_KTHREAD)) ||
	       !qtfs_session_alive(session);
}

/* At the engine only. A caller that is killed still gives it back. */
static int unlock_call(struct file *file, const struct file_lock *fl)
{
	struct qtfs_session *session = qtfs_open_of(file)->session;
	struct qtfs_wire_lock body = lock_body(file, fl);
	struct qtfs_open *other = NULL;
	struct qtfs_args args = {
		.op	    = QTFS_OP_UNLOCK,
		.nr_in	    = 1,
		.in[0]	    = { &body, sizeof(body) },
		.session_op = true,
		.chan	    = lock_chan(file),
	};
	int err = -EINTR;

	/* Locked by another thread while this one was closing. */
	if (!body.flags && READ_ONCE(qtfs_open_of(file)->released))
		other = qtfs_open_any(file_inode(file), 0);
	if (other)
		body.open = cpu_to_le64(other->release.open);
	if (!may_not_wait(session))
		err = qtfs_call(session, &args);
	if (err == -EINTR || err == -ETIMEDOUT) {
		err = qtfs_post(session, &args);
		qtfs_chan_hurry(args.chan);
	}
	if (other)
		qtfs_open_put(other);
	return err;
}

/*
 * The engine did not say in time whether it has been locked. So that it is
 * known what is had, nothing of the range is, not even what was before. If the
 * lock is given yet, reap.c gives it back.
 */
static void lock_resign(struct file *file, const struct file_lock *fl)
{
	struct qtfs_session *session = qtfs_open_of(file)->session;
	struct qtfs_wire_lock body = lock_body(file, fl);
	struct qtfs_args args = {
		.op	    = QTFS_OP_UNLOCK,
		.nr_in	    = 1,
		.in[0]	    = { &body, sizeof(body) },
		.session_op = true,
		.chan	    = lock_chan(file),
	};
	struct file_lock gone;

	locks_init_lock(&gone);
	qtfs_fl(&gone, flags) = qtfs_fl(fl, flags) & ~FL_SLEEP;
	qtfs_fl(&gone, type) = F_UNLCK;
	qtfs_fl(&gone, owner) = qtfs_fl(fl, owner);
	qtfs_fl(&gone, pid) = qtfs_fl(fl, pid);
	qtfs_fl(&gone, file) = file;
	gone.fl_start = fl->fl_start;
	gone.fl_end = fl->fl_end;
	locks_lock_file_wait(file, &gone);
	qtfs_post(session, &args);
}

/* Writes what was written under a lock that is no longer noted. */
static int flush_for_others(struct inode *inode)
{
	int err;

	/* Who has looked at the notes before is through with it then. */
	err = down_write_killable(&inode->i_rwsem);
	if (err)
		return err;
	inode_unlock(inode);
	return qtfs_flush_pages(inode, NULL);
}

static int lock_give_back(struct file *file, struct file_lock *fl)
{
	unsigned int flags = qtfs_fl(fl, flags);
	int flushed = 0, err;

	qtfs_fl(fl, flags) |= FL_EXISTS;
	err = locks_lock_file_wait(file, fl);
	qtfs_fl(fl, flags) = flags;
	/* An open file's may be there unnoted: somebody who shared it was killed. */
	if (err == -ENOENT && ((flags & FL_CLOSE) || !lock_kind(file, fl)))
		return 0;
	if (err && err != -ENOENT)
		return err;
	/* Others read the file as soon as they have it. */
	if (!qtfs_dying() && !(current->flags & PF_KTHREAD) &&
	    qtfs_session_alive(qtfs_open_of(file)->session))
		flushed = flush_for_others(file_inode(file));
	/* A program of the server that has the open, too, has its locks. */
	if ((flags & FL_CLOSE) && lock_kind(file, fl) &&
	    READ_ONCE(qtfs_open_of(file)->shared))
		return flushed;
	return unlock_call(file, fl) ?: flushed;
}

/* Believes the file's attributes as the lock was had, and drops older pages. */
static int lock_revalidate(struct inode *inode,
			   const struct qtfs_wire_attr *attr, u64 clock)
{
	struct qtfs_inode *qi = qtfs_i(inode);

	/* Even where this client has written since and knows better otherwise. */
	spin_lock(&qi->lock);
	if (le64_to_cpu(attr->change) != qi->change)
		set_bit(QTFS_INODE_STALE_DATA, &qi->state);
	spin_unlock(&qi->lock);
	return qtfs_data_revalidate(inode, attr, clock);
}

static int lock_call(struct file *file, struct file_lock *fl)
{
	struct qtfs_wire_lock body = lock_body(file, fl);
	bool wait = qtfs_fl(fl, flags) & FL_SLEEP;
	struct inode *inode = file_inode(file);
	struct qtfs_wire_attr attr;
	struct qtfs_args args = {
		.op	  = QTFS_OP_LOCK,
		.nr_in	  = 1,
		.in[0]	  = { &body, sizeof(body) },
		.out	  = { &attr, sizeof(attr) },
		.out_min  = sizeof(attr),
		.open	  = qtfs_open_of(file),
		.owned	  = !body.flags,
		.may_park = wait,
		.chan	  = lock_chan(file),
	};
	u64 clock = qtfs_clock(inode->i_sb);
	int err;

	/*
	 * An owner's number may have been that of somebody who was killed; on a
	 * soft mount a lock may still be on its way to be given back.
	 */
	err = body.flags && !args.open->session->patience ? 0 :
	      qtfs_session_wait_orphans(args.open->session);
	if (err)
		return err;
	if (wait)
		body.flags |= cpu_to_le32(QTFS_LOCK_WAIT);
	err = qtfs_call(args.open->session, &args);
	if (err)
		return err;
	err = lock_revalidate(inode, &attr, clock);
	if (err)
		unlock_call(file, fl);
	return err;
}

/*
 * Notes what the engine gave. Another's note may be in the way for a moment:
 * what it stands for has been given back already, or made less.
 */
static int lock_note(struct file *file, struct file_lock *fl)
{
	bool patient = qtfs_fl(fl, flags) & FL_SLEEP;
	unsigned long end = jiffies + HZ;
	int err;

	for (;;) {
		err = locks_lock_file_wait(file, fl);
		if (err != -ERESTARTSYS && (err != -EAGAIN || patient ||
					    time_after(jiffies, end)))
			return err;
		if (fatal_signal_pending(current))
			return err;
		schedule_timeout_killable(1);
	}
}

static int lock_take(struct file *file, struct file_lock *fl)
{
	int err = qtfs_flush_pages(file_inode(file), NULL);

	if (!err)
		err = lock_call(file, fl);
	if (err == -ETIMEDOUT)
		lock_resign(file, fl);
	if (err)
		return err;
	err = lock_note(file, fl);
	if (err)
		unlock_call(file, fl);
	return err;
}

static bool engine_has_locks(struct file *file)
{
	return qtfs_open_of(file)->session->features & QTFS_FEATURE_LOCKS;
}

static int lock_test(struct file *file, struct file_lock *fl)
{
	struct qtfs_wire_lock body = lock_body(file, fl), rep;
	struct qtfs_args args = {
		.op	 = QTFS_OP_GETLOCK,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &rep, sizeof(rep) },
		.out_min = sizeof(rep),
		.chan	 = lock_chan(file),
	};
	bool own = qtfs_fl(fl, type) == F_UNLCK;	/* asks for its own */
	u64 end;
	int err;

	posix_test_lock(file, fl);
	if (own || qtfs_fl(fl, type) != F_UNLCK)
		return 0;
	err = qtfs_call(qtfs_open_of(file)->session, &args);
	if (err || rep.type == cpu_to_le32(QTFS_LOCK_NONE))
		return err;
	end = le64_to_cpu(rep.end);
	if (le64_to_cpu(rep.start) > min_t(u64, end, OFFSET_MAX))
		return -EPROTO;
	fl->fl_start = le64_to_cpu(rep.start);
	fl->fl_end = min_t(u64, end, OFFSET_MAX);
	qtfs_fl(fl, type) = rep.type == cpu_to_le32(QTFS_LOCK_READ) ? F_RDLCK :
								      F_WRLCK;
	/* Of another machine; see locks_translate_pid(). */
	qtfs_fl(fl, pid) = -(pid_t)(le32_to_cpu(rep.pid) & S32_MAX);
	return 0;
}

int qtfs_lock(struct file *file, int cmd, struct file_lock *fl)
{
	bool local = qtfs_fs(file_inode(file)->i_sb)->opts.local_lock &
		     QTFS_LOCAL_POSIX;

	if (!(qtfs_fl(fl, flags) & FL_POSIX))
		return -ENOLCK;
	if (!local && !engine_has_locks(file))
		return -ENOLCK;
	if (cmd == F_GETLK && !local)
		return lock_test(file, fl);
	if (cmd == F_GETLK) {
		posix_test_lock(file, fl);
		return 0;
	}
	if (local)
		return locks_lock_file_wait(file, fl);
	if (qtfs_fl(fl, type) == F_UNLCK)
		return lock_give_back(file, fl);
	return lock_take(file, fl);
}

/*
 * Takes the note of a lock away, if there is one: the engine gives up the lock
 * first when it converts it, as flock(2) has it.
 */
static bool flock_forget(struct file *file, const struct file_lock *fl)
{
	struct file_lock gone;

	locks_init_lock(&gone);
	qtfs_fl(&gone, flags) = FL_FLOCK | FL_EXISTS;
	qtfs_fl(&gone, type) = F_UNLCK;
	qtfs_fl(&gone, owner) = qtfs_fl(fl, owner);
	qtfs_fl(&gone, pid) = qtfs_fl(fl, pid);
	qtfs_fl(&gone, file) = file;
	gone.fl_end = OFFSET_MAX;
	return !locks_lock_file_wait(file, &gone);
}

int qtfs_flock(struct file *file, int cmd, struct file_lock *fl)
{
	bool local = qtfs_fs(file_inode(file)->i_sb)->opts.local_lock &
		     QTFS_LOCAL_FLOCK;
	bool had;
	int err;

	if (!(qtfs_fl(fl, flags) & FL_FLOCK))
		return -ENOLCK;
	if (local)
		return locks_lock_file_wait(file, fl);
	if (!engine_has_locks(file))
		return -ENOLCK;
	if (qtfs_fl(fl, type) == F_UNLCK)
		return lock_give_back(file, fl);
	had = flock_forget(file, fl);
	err = lock_take(file, fl);
	/* EAGAIN is the engine's: it has given up the old one already. */
	if (err && err != -EAGAIN && err != -ETIMEDOUT && had)
		unlock_call(file, fl);
	return err;
}

struct qtfs_chan *qtfs_locked_chan(struct file *file)
{
	struct file_lock_context *ctx = locks_inode_context(file_inode(file));

	if (!ctx || (list_empty_careful(&ctx->flc_posix) &&
		     list_empty_careful(&ctx->flc_flock)))
		return NULL;
	return lock_chan(file);
}

bool qtfs_posix_locked(struct inode *inode)
{
	struct file_lock_context *ctx = locks_inode_context(inode);

	return ctx && !list_empty_careful(&ctx->flc_posix);
}

bool qtfs_partly_locked(struct inode *inode)
{
	struct file_lock_context *ctx = locks_inode_context(inode);
	struct file_lock *fl;
	bool partly = false;

	if (!ctx || list_empty_careful(&ctx->flc_posix))
		return false;
	spin_lock(&ctx->flc_lock);
	qtfs_for_each_lock(fl, &ctx->flc_posix) {
		partly = true;
		if (qtfs_fl(fl, type) == F_WRLCK && !fl->fl_start &&
		    fl->fl_end == OFFSET_MAX) {
			partly = false;	/* nobody else writes */
			break;
		}
	}
	spin_unlock(&ctx->flc_lock);
	return partly;
}
