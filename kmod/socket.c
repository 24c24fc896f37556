// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unix sockets of the server.
 *
 * connect(2) asks ->permission of the socket's inode, then looks for a socket
 * that is bound to this inode. So ->permission makes the connection to the
 * server's program, which is an open like others and a file of our own, and has
 * qtfs-agent bind a listener to the inode: under any name in a directory that
 * exists for this one purpose, where making a socket gives the name to the inode
 * that is there already. Whoever connects then reaches the agent, which copies
 * between both. Nothing of it has a name in the mounted tree.
 *
 * No lock is held over ->permission in connect(2) and sendto(2).
 */
#include <linux/compat.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/net.h>
#include <linux/sched/task_stack.h>
#include <linux/un.h>

#include <asm/syscall.h>

#include "agent.h"
#include "compat/compat.h"
#include "file.h"
#include "inode.h"
#include "lock.h"
#include "poll.h"
#include "req.h"
#include "rights.h"
#include "socket.h"

/* The connection's file */

static long connection_ioctl(struct file *file, unsigned int cmd,
			     unsigned long arg)
{
	struct qtfs_open *open = qtfs_open_of(file);
	struct qtfs_wire_shutdown body = {
		.open = cpu_to_le64(open->release.open),
	};
	struct qtfs_args args = {
		.op	= QTFS_OP_SHUTDOWN,
		.nr_in	= 1,
		.in[0]	= { &body, sizeof(body) },
		.cred	= open->cred,
		.fragile = true,
	};

	if (cmd != QTFS_AGENT_SHUTDOWN)
		return qtfs_rights_ioctl(file, cmd, arg);
	if (arg > SHUT_RDWR)
		return -EINVAL;
	if (arg != SHUT_WR)
		body.how |= cpu_to_le32(QTFS_SHUT_READ);
	if (arg != SHUT_RD)
		body.how |= cpu_to_le32(QTFS_SHUT_WRITE);
	return qtfs_call(open->session, &args);
}

static ssize_t connection_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct file *file = iocb->ki_filp;

	/* A part of a message would be another message. */
	if (qtfs_open_of(file)->socket != QTFS_SOCKET_STREAM &&
	    iov_iter_count(from) > qtfs_fs(file_inode(file)->i_sb)->opts.wsize)
		return -EMSGSIZE;
	return qtfs_stream_write_iter(iocb, from);
}

static int connection_release(struct inode *inode, struct file *file)
{
	/* None where the connection was not made. */
	return file->private_data ? qtfs_release(inode, file) : 0;
}

/* Without an owner: its mount holds the module. */
static const struct file_operations connection_operations = {
	.release	= connection_release,
	.read_iter	= qtfs_stream_read_iter,
	.write_iter	= connection_write_iter,
	.poll		= qtfs_poll,
	.unlocked_ioctl	= connection_ioctl,
};

struct file *qtfs_connection_file(struct inode *inode, struct vfsmount *mnt)
{
	struct file *file;

	ihold(inode);
	file = alloc_file_pseudo(inode, mnt, "connection", O_RDWR,
				 &connection_operations);
	if (IS_ERR(file))
		iput(inode);
	return file;
}

/* By QTFS_SOCKET_*. */
static const int socket_types[] = {
	[QTFS_SOCKET_STREAM]	= SOCK_STREAM,
	[QTFS_SOCKET_DGRAM]	= SOCK_DGRAM,
	[QTFS_SOCKET_SEQPACKET] = SOCK_SEQPACKET,
};

u32 qtfs_socket_kind(int type)
{
	u32 kind;

	for (kind = QTFS_SOCKET_STREAM; kind < ARRAY_SIZE(socket_types); kind++)
		if (socket_types[kind] == type)
			return kind;
	return 0;
}

int qtfs_socket_attach(struct inode *inode, struct file *file,
		       const struct qtfs_wire_opened *rep, u64 clock)
{
	u32 kind = le32_to_cpu(rep->socket);
	int err;

	if (!kind || kind >= ARRAY_SIZE(socket_types)) {
		qtfs_release_now(qtfs_session(inode->i_sb),
				 le64_to_cpu(rep->open));
		return -EPROTO;
	}
	err = qtfs_open_attach(inode, file, rep, clock);
	if (err)
		return err;
	qtfs_open_of(file)->socket = kind;
	stream_open(inode, file);
	/* It is always known what it is ready for. */
	if (!qtfs_open_of(file)->poll)
		return -EPROTO;
	qtfs_open_of(file)->poll->fragile = true;
	return socket_types[kind];
}

/* Connects as the caller. Return: SOCK_*, or an error. */
static int connection_open(struct inode *inode, struct file *file)
{
	struct qtfs_wire_open body = {
		.node  = cpu_to_le64(qtfs_i(inode)->node),
		.flags = cpu_to_le32(QTFS_OPEN_CONNECT | QTFS_OPEN_READ |
				     QTFS_OPEN_WRITE),
	};
	struct qtfs_wire_opened rep;
	struct qtfs_args args = {
		.op	  = QTFS_OP_OPEN,
		.nr_in	  = 1,
		.in[0]	  = { &body, sizeof(body) },
		.out	  = { &rep, sizeof(rep) },
		.out_min  = sizeof(rep),
		.cred	  = file->f_cred,
		/* For the listener's queue. */
		.may_park = true,
	};
	u64 clock = qtfs_clock(inode->i_sb);
	int err;

	err = qtfs_call(qtfs_session(inode->i_sb), &args);
	return err ?: qtfs_socket_attach(inode, file, &rep, clock);
}

/* The directory to bind in */

static const struct inode_operations alias_inode_operations;

/* A directory in which every socket that is made is @socket. */
static struct inode *alias_dir(struct inode *socket)
{
	struct inode *inode = new_inode(socket->i_sb);

	if (!inode)
		return NULL;
	lockdep_annotate_inode_mutex_key(inode);
	inode->i_ino = get_next_ino();
	inode->i_mode = S_IFDIR | 0700;
	inode->i_op = &alias_inode_operations;
	inode->i_fop = &simple_dir_operations;
	inode->i_flags |= S_NOATIME;
	set_nlink(inode, 2);
	ihold(socket);
	inode->i_private = socket;
	return inode;
}

void qtfs_alias_evict(struct inode *inode)
{
	if (inode->i_op == &alias_inode_operations)
		iput(inode->i_private);
}

/*
 * The folders of the name that a program called the socket by; the last part,
 * which is about to be made, does not exist. None is found again.
 */
static struct dentry *alias_lookup(struct inode *dir, struct dentry *dentry,
				   unsigned int flags)
{
	struct inode *inode;

	if (flags & LOOKUP_CREATE)
		return NULL;
	inode = alias_dir(dir->i_private);
	if (!inode)
		return ERR_PTR(-ENOMEM);
	d_add(dentry, inode);
	d_drop(dentry);
	return NULL;
}

static int alias_mknod(struct mnt_idmap *idmap, struct inode *dir,
		       struct dentry *dentry, umode_t mode, dev_t rdev)
{
	struct inode *socket = dir->i_private;

	if (!S_ISSOCK(mode))
		return -EPERM;
	ihold(socket);
	d_instantiate(dentry, socket);
	d_drop(dentry);
	return 0;
}

static const struct inode_operations alias_inode_operations = {
	.lookup	= alias_lookup,
	.mknod	= alias_mknod,
};

struct vfsmount *qtfs_private_mount(struct dentry *root)
{
	struct super_block *sb = root->d_sb;
	struct fs_context *fc = fs_context_for_mount(sb->s_type, SB_KERNMOUNT);
	struct vfsmount *mnt;

	if (IS_ERR(fc)) {
		dput(root);
		return ERR_CAST(fc);
	}
	atomic_inc(&sb->s_active);	/* with @fc, as its root */
	fc->root = root;
	mnt = vfs_create_mount(fc);
	put_fs_context(fc);
	return mnt;
}

/* Where to bind so that @socket is bound; the path is the caller's. */
static int alias_path(struct inode *socket, struct path *path)
{
	struct inode *dir = alias_dir(socket);
	struct dentry *root = d_make_root(dir);	/* NULL for NULL */
	struct vfsmount *mnt;

	if (!root)
		return -ENOMEM;
	mnt = qtfs_private_mount(root);
	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	*path = (struct path){ .mnt = mnt, .dentry = dget(mnt->mnt_root) };
	return 0;
}

/* Who connects */

int qtfs_syscall(unsigned long args[6])
{
	struct pt_regs *regs = task_pt_regs(current);

	if ((current->flags & (PF_KTHREAD | PF_IO_WORKER)) ||
	    in_compat_syscall())
		return -1;
	syscall_get_arguments(current, regs, args);
	return syscall_get_nr(current, regs);
}

/*
 * MAY_WRITE alone is connect(2) and sendto(2); and utimes(2) and setxattr(2) of
 * somebody who is not the owner, which hold the inode's lock.
 */
static bool caller_connects(struct inode *inode)
{
	if (current->flags & PF_KTHREAD)
		return false;
	return !qtfs_rwsem_is_mine(&inode->i_rwsem);
}

/**
 * struct connector - what can be seen of the system call
 * @type: SOCK_* of the socket that is to be connected; 0: not known
 * @path_len: of @path; 0: not known
 * @path: what it calls the other socket
 */
struct connector {
	int type;
	size_t path_len;
	char path[QTFS_AGENT_PATH_LEN];
};

static void connector_socket(struct connector *to, int fd)
{
	struct socket *socket;
	int err;

	socket = sockfd_lookup(fd, &err);
	if (!socket)
		return;
	to->type = socket->type;
	sockfd_put(socket);
}

static void connector_path(struct connector *to, unsigned long at, size_t len)
{
	struct sockaddr_un address;
	size_t start = offsetof(struct sockaddr_un, sun_path);

	if (len <= start || len > sizeof(address) ||
	    copy_from_user(&address, (void __user *)at, len))
		return;
	to->path_len = strnlen(address.sun_path, len - start);
	memcpy(to->path, address.sun_path, to->path_len);
}

static void connector_look(struct connector *to)
{
	unsigned long args[6];

	memset(to, 0, sizeof(*to));
	switch (qtfs_syscall(args)) {
	case __NR_connect:
		connector_socket(to, args[0]);
		connector_path(to, args[1], args[2]);
		break;
	case __NR_sendto:
		connector_socket(to, args[0]);
		connector_path(to, args[4], args[5]);
		break;
	case __NR_sendmsg:
	case __NR_sendmmsg:
		connector_socket(to, args[0]);
		break;
	}
}

/* As SO_PEERCRED and SCM_CREDENTIALS tell the agent. */
static void connect_who(struct qtfs_agent_event *what)
{
	const struct cred *cred = current_cred();
	bool real = what->type == SOCK_DGRAM;

	what->pid = task_tgid_nr(current);
	what->uid = from_kuid_munged(&init_user_ns,
				     real ? cred->uid : cred->euid);
	what->gid = from_kgid_munged(&init_user_ns,
				     real ? cred->gid : cred->egid);
}

/* Hands both files on. */
static int socket_announce(struct inode *inode, int type, struct file *peer,
			   struct file *dir, const struct connector *by)
{
	struct qtfs_agent_event what = {
		.kind	  = QTFS_AGENT_CONNECT,
		.mount	  = qtfs_session(inode->i_sb)->id,
		.node	  = qtfs_i(inode)->node,
		.type	  = type,
		.path_len = by->path_len,
	};

	memcpy(what.path, by->path, by->path_len);
	connect_who(&what);
	return qtfs_agent_ask(&what, peer, dir);
}

static int socket_connect(struct inode *inode)
{
	struct file *peer, *dir;
	struct connector by;
	struct path path;
	int ret;

	ret = alias_path(inode, &path);
	if (ret)
		return ret;
	dir = dentry_open(&path, O_PATH | O_DIRECTORY, current_cred());
	peer = qtfs_connection_file(inode, path.mnt);
	path_put(&path);
	ret = PTR_ERR_OR_ZERO(dir) ?: PTR_ERR_OR_ZERO(peer);
	if (!ret)
		ret = connection_open(inode, peer);
	connector_look(&by);
	/* The agent would wait for somebody who finds no socket of his type. */
	if (ret > 0 && by.type && by.type != ret)
		ret = -EPROTOTYPE;
	if (ret > 0)
		return socket_announce(inode, ret, peer, dir, &by);
	if (!IS_ERR(dir))
		fput(dir);
	if (!IS_ERR(peer))
		fput(peer);
	return ret;
}

static int socket_permission(struct mnt_idmap *idmap, struct inode *inode,
			     int mask)
{
	struct qtfs_session *session = qtfs_session(inode->i_sb);
	int err = qtfs_permission(idmap, inode, mask);

	if (err || mask != MAY_WRITE || !caller_connects(inode))
		return err;
	/* A program of this machine has bound it: the kernel finds that one. */
	if (test_bit(QTFS_INODE_BOUND_HERE, &qtfs_i(inode)->state))
		return 0;
	/* Nobody would listen: connect(2) gives ECONNREFUSED. */
	if (!qtfs_agent_present() || !qtfs_session_has(session, QTFS_SOCKET_FEATURES))
		return 0;
	/* Nor could anybody be made to. */
	if (sb_rdonly(inode->i_sb))
		return -EROFS;
	return socket_connect(inode);
}

const struct inode_operations qtfs_socket_inode_operations = {
	.getattr	= qtfs_getattr,
	.setattr	= qtfs_setattr,
	.permission	= socket_permission,
	.listxattr	= qtfs_listxattr,
	QTFS_ACL_OPS
};
