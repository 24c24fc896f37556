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

static u32 lock_kind(const struct file_lock *fl)
{
	if (qtfs_fl(fl, flags) & FL_FLOCK)
		return QTFS_LOCK_FLOCK;
	return qtfs_fl(fl, flags) & FL_OFDLCK ? QTFS_LOCK_OFD : 0;
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
		.flags = cpu_to_le32(lock_kind(fl)),
	};

	/* Of an open: the engine knows whose that is. */
	if (!body.flags)
		body.owner = cpu_to_le64(siphash_1u64(owner,
						      &open->session->owner_key));
	return body;
}

/*
 * At the engine only. A caller that is killed still gives it back. One that
 * exits does not wait for the answer: not even SIGKILL would end that.
 */
static int unlock_call(struct file *file, const struct file_lock *fl)
{
	struct qtfs_session *session = qtfs_open_of(file)->session;
	struct qtfs_wire_lock body = lock_body(file, fl);
	struct qtfs_args args = {
		.op	    = QTFS_OP_UNLOCK,
		.nr_in	    = 1,
		.in[0]	    = { &body, sizeof(body) },
		.session_op = true,
	};
	int err = -EINTR;

	if (!(current->flags & PF_EXITING))
		err = qtfs_call(session, &args);
	if (err != -EINTR)
		return err;
	err = qtfs_post(session, &args);
	qtfs_chan_hurry(session->chan);
	return err;
}

static int lock_give_back(struct file *file, struct file_lock *fl)
{
	unsigned int flags = qtfs_fl(fl, flags);
	int flushed = 0, err;

	/* Others read the file as soon as they have it. */
	if (!qtfs_dying())
		flushed = qtfs_flush_pages(file_inode(file), NULL);

	qtfs_fl(fl, flags) |= FL_EXISTS;
	err = locks_lock_file_wait(file, fl);
	qtfs_fl(fl, flags) = flags;
	if (err == -ENOENT)
		return 0;
	return err ?: unlock_call(file, fl) ?: flushed;
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
		.may_park = wait,
	};
	u64 clock = qtfs_clock(inode->i_sb);
	int err;

	if (wait)
		body.flags |= cpu_to_le32(QTFS_LOCK_WAIT);
	err = qtfs_call(qtfs_open_of(file)->session, &args);
	if (err)
		return err;
	err = qtfs_data_revalidate(inode, &attr, clock);
	if (err)
		unlock_call(file, fl);
	return err;
}

static int lock_take(struct file *file, struct file_lock *fl)
{
	int err = qtfs_flush_pages(file_inode(file), NULL);

	if (!err)
		err = lock_call(file, fl);
	if (err)
		return err;
	err = locks_lock_file_wait(file, fl);
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
	};
	u64 end;
	int err;

	posix_test_lock(file, fl);
	if (qtfs_fl(fl, type) != F_UNLCK)
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

/* What the failed attempt of another kind took away, as flock(2) has it. */
static void flock_lost(struct file *file, const struct file_lock *fl)
{
	struct file_lock gone;

	locks_init_lock(&gone);
	qtfs_fl(&gone, flags) = FL_FLOCK;
	qtfs_fl(&gone, type) = F_UNLCK;
	qtfs_fl(&gone, owner) = qtfs_fl(fl, owner);
	qtfs_fl(&gone, pid) = qtfs_fl(fl, pid);
	qtfs_fl(&gone, file) = file;
	gone.fl_end = OFFSET_MAX;
	lock_give_back(file, &gone);
}

int qtfs_flock(struct file *file, int cmd, struct file_lock *fl)
{
	bool local = qtfs_fs(file_inode(file)->i_sb)->opts.local_lock &
		     QTFS_LOCAL_FLOCK;
	int err;

	if (!(qtfs_fl(fl, flags) & FL_FLOCK))
		return -ENOLCK;
	if (local)
		return locks_lock_file_wait(file, fl);
	if (!engine_has_locks(file))
		return -ENOLCK;
	if (qtfs_fl(fl, type) == F_UNLCK)
		return lock_give_back(file, fl);
	err = lock_take(file, fl);
	if (err)
		flock_lost(file, fl);
	return err;
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
