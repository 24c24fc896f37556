// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors in what connections to unix sockets carry: the mirror of
 * userspace/engine/ops/rights.cc.
 *
 * Programs pass them to qtfs-agent, and get them from it: it is the one at the
 * other end of their sockets. Of each that a program here passes it tells the
 * engine, which sends one with the next WRITE; of each that came with a READ it
 * asks for a file.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>

#include "agent.h"
#include "codec.h"
#include "export.h"
#include "file.h"
#include "inode.h"
#include "reap.h"
#include "req.h"
#include "rights.h"
#include "socket.h"

/* Opens that the engine has made before the file */

/**
 * struct received - an open for a file to come
 * @link: in all_received, for as long as the file is being opened
 * @task: who opens it
 * @inode: what it is of
 * @opened: as the engine gave it
 * @clock: qtfs_clock() from before the request
 * @used: the file has it
 */
struct received {
	struct list_head link;
	struct task_struct *task;
	struct inode *inode;
	const struct qtfs_wire_opened *opened;
	u64 clock;
	bool used;
};

static DEFINE_SPINLOCK(received_lock);	/* protects the list; a leaf */
static LIST_HEAD(all_received);

const struct qtfs_wire_opened *qtfs_rights_opened(struct inode *inode,
						  u64 *clock)
{
	const struct qtfs_wire_opened *found = NULL;
	struct received *one;

	/* What this task has added itself it sees. */
	if (list_empty(&all_received))
		return NULL;
	spin_lock(&received_lock);
	list_for_each_entry(one, &all_received, link) {
		if (one->task == current && one->inode == inode && !one->used) {
			one->used = true;
			*clock = one->clock;
			found = one->opened;
			break;
		}
	}
	spin_unlock(&received_lock);
	return found;
}

/* The open is the file's, or given back. */
static struct file *received_open(const struct path *path, unsigned int flags,
				  const struct cred *cred,
				  const struct qtfs_wire_opened *opened,
				  u64 clock)
{
	struct inode *inode = d_inode(path->dentry);
	struct received one = {
		.task	= current,
		.inode	= inode,
		.opened	= opened,
		.clock	= clock,
	};
	struct file *file;

	spin_lock(&received_lock);
	list_add(&one.link, &all_received);
	spin_unlock(&received_lock);
	file = dentry_open(path, flags, cred);
	spin_lock(&received_lock);
	list_del(&one.link);
	spin_unlock(&received_lock);
	if (!one.used)
		qtfs_release_now(qtfs_session(inode->i_sb),
				 le64_to_cpu(opened->open));
	return file;
}

/* From programs of the server */

/*
 * The superblock of the server's mount, with an active reference; or that of
 * the connection, which shows files of all.
 */
static struct super_block *super_for(struct super_block *sb,
				     const struct qtfs_attr *attr)
{
	struct qtfs_session *session = qtfs_session(sb);
	struct super_block *found = NULL;
	struct qtfs_fs *fs;

	spin_lock_bh(&session->supers_lock);
	list_for_each_entry(fs, &session->supers, link) {
		if (fs->mount == attr->mount && (fs->sb->s_flags & SB_BORN) &&
		    atomic_inc_not_zero(&fs->sb->s_active)) {
			found = fs->sb;
			break;
		}
	}
	spin_unlock_bh(&session->supers_lock);
	if (found || S_ISDIR(attr->mode))
		return found;
	WRITE_ONCE(session->mixed, true);
	atomic_inc(&sb->s_active);	/* the connection's mount has one */
	return sb;
}

/* Where the program finds it; nothing that it is mounted on says what is allowed. */
static int received_path(struct super_block *sb, struct inode *inode,
			 struct path *path)
{
	struct vfsmount *mnt = qtfs_private_mount(dget(sb->s_root));
	struct dentry *dentry;

	if (IS_ERR(mnt)) {
		iput(inode);
		return PTR_ERR(mnt);
	}
	mnt->mnt_flags |= MNT_NOSUID | MNT_NODEV;
	dentry = qtfs_export_dentry(mnt, inode);
	if (IS_ERR(dentry)) {
		mntput(mnt);
		return PTR_ERR(dentry);
	}
	*path = (struct path){ .mnt = mnt, .dentry = dentry };
	return 0;
}

static struct file *file_in(struct super_block *sb, struct qtfs_open *connection,
			    const struct qtfs_wire_taken *taken,
			    const struct qtfs_entry *entry, u64 clock)
{
	unsigned int flags = qtfs_open_flags_opened(le32_to_cpu(taken->flags));
	struct inode *inode = qtfs_iget(sb, entry, clock);
	struct file *file;
	struct path path;
	int err;

	err = IS_ERR(inode) ? PTR_ERR(inode) : received_path(sb, inode, &path);
	if (err) {
		qtfs_release_now(connection->session,
				 le64_to_cpu(taken->opened.open));
		return ERR_PTR(err);
	}
	file = received_open(&path, flags, connection->cred, &taken->opened,
			     clock);
	/* Whether it crossed a change of ours nobody knows. */
	if (!clock)
		qtfs_data_unknown(d_inode(path.dentry));
	if (!IS_ERR(file)) {
		if (le32_to_cpu(taken->opened.flags) & QTFS_OPENED_SHARED)
			WRITE_ONCE(qtfs_open_of(file)->shared, true);
		if (le64_to_cpu(taken->offset) <= MAX_LFS_FILESIZE)
			file->f_pos = le64_to_cpu(taken->offset);
	}
	path_put(&path);
	return file;
}

/* A file of the tree. */
static struct file *take_file(struct file *connection,
			      const struct qtfs_wire_taken *taken, u64 clock)
{
	struct qtfs_open *open = qtfs_open_of(connection);
	struct super_block *own = file_inode(connection)->i_sb, *sb = NULL;
	struct qtfs_entry entry;
	struct file *file;
	int err;

	err = qtfs_entry_decode(&taken->entry, &entry);
	if (!err && !S_ISREG(entry.attr.mode) && !S_ISDIR(entry.attr.mode))
		err = -EPROTO;
	if (!err) {
		sb = super_for(own, &entry.attr);
		err = sb ? 0 : -EXDEV;
	}
	if (err) {
		qtfs_forget_entry(open->session, &taken->entry);
		qtfs_release_now(open->session,
				 le64_to_cpu(taken->opened.open));
		return ERR_PTR(err);
	}
	/* Questions about others' inodes have other times. */
	file = file_in(sb, open, taken, &entry, sb == own ? clock : 0);
	deactivate_super(sb);
	return file;
}

/* What the agent reads and writes for a program: a pipe, a socket. */
static struct file *relay_file(struct file *connection,
			       const struct qtfs_wire_opened *opened,
			       u64 clock, int *type)
{
	struct inode *inode = file_inode(connection);
	struct qtfs_wire_opened as = *opened;
	struct file *file;
	int err;

	/* A pipe is bytes, like a stream. */
	if (!as.socket)
		as.socket = cpu_to_le32(QTFS_SOCKET_STREAM);
	file = qtfs_connection_file(inode, connection->f_path.mnt);
	if (IS_ERR(file)) {
		qtfs_release_now(qtfs_session(inode->i_sb),
				 le64_to_cpu(opened->open));
		return file;
	}
	err = qtfs_socket_attach(inode, file, &as, clock);
	if (err < 0) {
		fput(file);
		return ERR_PTR(err);
	}
	*type = err;
	qtfs_open_act_as(qtfs_open_of(file), qtfs_open_of(connection)->cred);
	return file;
}

static int rights_take(struct file *file, struct qtfs_agent_right __user *to)
{
	struct qtfs_open *open = qtfs_open_of(file);
	struct qtfs_wire_take body = {
		.open = cpu_to_le64(open->release.open),
	};
	struct qtfs_wire_taken taken;
	struct qtfs_args args = {
		.op	 = QTFS_OP_TAKE,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &taken, sizeof(taken) },
		.out_min = sizeof(taken),
		.cred	 = open->cred,
		.fragile = true,
	};
	u64 clock = qtfs_clock(file_inode(file)->i_sb);
	struct qtfs_agent_right what = {};
	struct file *came;
	int type = 0, err;

	if (!READ_ONCE(open->takes))
		return -EAGAIN;
	err = qtfs_call(open->session, &args);
	if (err == -EAGAIN)
		WRITE_ONCE(open->takes, false);
	if (err)
		return err;
	what.kind = le32_to_cpu(taken.kind);
	switch (what.kind) {
	case QTFS_RIGHT_FILE:
		came = take_file(file, &taken, clock);
		break;
	case QTFS_RIGHT_PIPE_READ:
	case QTFS_RIGHT_PIPE_WRITE:
	case QTFS_RIGHT_SOCKET:
		came = relay_file(file, &taken.opened, clock, &type);
		break;
	default:
		came = ERR_PTR(-EPROTO);
		qtfs_release_now(open->session, le64_to_cpu(taken.opened.open));
	}
	if (IS_ERR(came))
		return PTR_ERR(came);
	what.type = type;
	what.at = le32_to_cpu(taken.at);
	return qtfs_agent_hand_over(came, &what, sizeof(what), &what.fd, to);
}

/* From programs of this machine */

/* Whether the engine at the other end of @connection has it open as a file. */
static bool is_ours(const struct file *file,
		    const struct super_block *connection)
{
	const struct inode *inode = file_inode(file);

	return inode->i_sb->s_type == connection->s_type &&
	       qtfs_session(inode->i_sb) == qtfs_session(connection) &&
	       !(file->f_mode & FMODE_PATH) &&
	       file->f_op->release == qtfs_release;
}

static int give_call(struct qtfs_open *open, struct qtfs_open *right,
		     const struct qtfs_wire_give *body,
		     struct qtfs_wire_opened *opened)
{
	struct qtfs_args args = {
		.op	 = QTFS_OP_GIVE,
		.nr_in	 = 1,
		.in[0]	 = { (void *)body, sizeof(*body) },
		.out	 = { opened, sizeof(*opened) },
		.out_min = sizeof(*opened),
		.cred	 = open->cred,
		.open	 = right,
		.fragile = true,
	};

	return qtfs_call(open->session, &args);
}

static int give_file(struct file *file, int fd)
{
	struct qtfs_open *open = qtfs_open_of(file);
	struct qtfs_wire_give body = {
		.open = cpu_to_le64(open->release.open),
		.kind = cpu_to_le32(QTFS_RIGHT_FILE),
	};
	struct file *right = fget(fd);
	struct qtfs_wire_opened given;
	int err = 0;

	if (!right)
		return -EBADF;
	if (!is_ours(right, file_inode(file)->i_sb)) {
		fput(right);
		return -EOPNOTSUPP;
	}
	/* Who gets it sees what was written before. */
	if (S_ISREG(file_inode(right)->i_mode))
		err = qtfs_flush_pages(file_inode(right), NULL);
	body.right = cpu_to_le64(qtfs_open_of(right)->release.open);
	body.offset = cpu_to_le64(READ_ONCE(right->f_pos));
	if (!err)
		err = give_call(open, qtfs_open_of(right), &body, &given);
	if (!err && (le32_to_cpu(given.flags) & QTFS_OPENED_SHARED))
		WRITE_ONCE(qtfs_open_of(right)->shared, true);
	fput(right);
	return err;
}

/* A pipe or a socket: the other end of what the server's program gets. */
static int give_other(struct file *file, struct qtfs_agent_right *what,
		      struct qtfs_agent_right __user *to)
{
	struct qtfs_open *open = qtfs_open_of(file);
	struct qtfs_wire_give body = {
		.open	= cpu_to_le64(open->release.open),
		.kind	= cpu_to_le32(what->kind),
		.socket = cpu_to_le32(qtfs_socket_kind(what->type)),
	};
	u64 clock = qtfs_clock(file_inode(file)->i_sb);
	struct qtfs_wire_opened opened;
	struct file *other;
	int type, err;

	err = give_call(open, NULL, &body, &opened);
	if (err || what->kind == QTFS_RIGHT_NONE)
		return err;
	if (!opened.open)
		return -EPROTO;
	other = relay_file(file, &opened, clock, &type);
	if (IS_ERR(other))
		return PTR_ERR(other);
	return qtfs_agent_hand_over(other, what, sizeof(*what), &what->fd, to);
}

static int rights_give(struct file *file, struct qtfs_agent_right __user *arg)
{
	struct qtfs_open *open = qtfs_open_of(file);
	struct qtfs_agent_right what;

	if (!qtfs_session_has(open->session, QTFS_FEATURE_RIGHTS))
		return -EOPNOTSUPP;
	if (copy_from_user(&what, arg, sizeof(what)))
		return -EFAULT;
	if (what.at)
		return -EINVAL;
	if (what.kind == QTFS_RIGHT_FILE)
		return give_file(file, what.fd);
	return give_other(file, &what, arg);
}

long qtfs_rights_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct qtfs_agent_right __user *right = (void __user *)arg;

	switch (cmd) {
	case QTFS_AGENT_GIVE:
		return rights_give(file, right);
	case QTFS_AGENT_TAKE:
		return rights_take(file, right);
	default:
		return -ENOTTY;
	}
}
