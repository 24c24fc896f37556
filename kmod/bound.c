// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets of this machine for programs of the server: see bound.h. The mirror of
 * userspace/engine/ops/socket.cc.
 *
 * Where they arrive is an open at the engine, and here a file of the agent's. The
 * agent closes it when the program's socket is closed, which poll(2) tells; then
 * nobody arrives any more.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <net/af_unix.h>
#include <net/sock.h>

#include <asm/unistd.h>

#include "agent.h"
#include "bound.h"
#include "compat/compat.h"
#include "dir.h"
#include "file.h"
#include "inode.h"
#include "log.h"
#include "poll.h"
#include "req.h"
#include "rights.h"
#include "socket.h"

/* Of one server. Each takes a thread of the agent's and an open of the engine's. */
#define BOUND_MAX 1024

/**
 * struct qtfs_bound - a program's socket
 * @sk: referenced
 * @wait: on its peers' queue, which is woken when it is closed
 * @wq: who waits for the file
 * @closed: it is
 */
struct qtfs_bound {
	struct sock *sk;
	wait_queue_entry_t wait;
	wait_queue_head_t *wq;
	bool closed;
};

/* The program's socket */

/* Under the queue's lock, interrupts off. */
static int bound_wake(wait_queue_entry_t *wait, unsigned int mode, int sync,
		      void *key)
{
	struct qtfs_bound *bound = container_of(wait, struct qtfs_bound, wait);

	if (sock_flag(bound->sk, SOCK_DEAD)) {
		WRITE_ONCE(bound->closed, true);
		wake_up_poll(bound->wq, EPOLLHUP);
	}
	return 0;
}

static struct qtfs_bound *bound_new(struct qtfs_session *session,
				    struct sock *sk, wait_queue_head_t *wq)
{
	struct qtfs_bound *bound = kzalloc(sizeof(*bound), GFP_KERNEL);

	if (!bound)
		return NULL;
	atomic_inc(&session->bound);
	sock_hold(sk);
	bound->sk = sk;
	bound->wq = wq;
	init_waitqueue_func_entry(&bound->wait, bound_wake);
	add_wait_queue(&unix_sk(sk)->peer_wait, &bound->wait);
	/* Nobody waits for the file yet. */
	if (sock_flag(sk, SOCK_DEAD))
		WRITE_ONCE(bound->closed, true);
	return bound;
}

static void bound_free(struct qtfs_session *session, struct qtfs_bound *bound)
{
	atomic_dec(&session->bound);
	remove_wait_queue(&unix_sk(bound->sk)->peer_wait, &bound->wait);
	sock_put(bound->sk);
	kfree(bound);
}

/* The agent's file */

static long bound_accept(struct file *file,
			 struct qtfs_agent_accepted __user *to)
{
	struct qtfs_open *open = qtfs_open_of(file);
	struct inode *inode = file_inode(file);
	struct qtfs_wire_accept body = {
		.open = cpu_to_le64(open->release.open),
	};
	struct qtfs_wire_accepted rep;
	struct qtfs_args args = {
		.op	 = QTFS_OP_ACCEPT,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &rep, sizeof(rep) },
		.out_min = sizeof(rep),
		.cred	 = open->cred,
		.fragile = true,
	};
	/* Until its program listens, nobody shall have arrived. */
	bool listens = READ_ONCE(open->bound->sk->sk_state) == TCP_LISTEN;
	struct qtfs_agent_accepted what = {};
	u64 clock = qtfs_clock(inode->i_sb);
	struct file *peer;
	int err;

	err = qtfs_call(open->session, &args);
	if (err)
		return err;
	if (!listens) {
		qtfs_release_now(open->session, le64_to_cpu(rep.opened.open));
		return -ECONNABORTED;
	}
	peer = qtfs_connection_file(inode, file->f_path.mnt);
	if (IS_ERR(peer)) {
		qtfs_release_now(open->session, le64_to_cpu(rep.opened.open));
		return PTR_ERR(peer);
	}
	err = qtfs_socket_attach(inode, peer, &rep.opened, clock);
	if (err < 0) {
		fput(peer);
		return err;
	}
	/* What is sent there is sent by who has the socket. */
	qtfs_open_act_as(qtfs_open_of(peer), open->cred);
	what.uid = le32_to_cpu(rep.uid);
	what.gid = le32_to_cpu(rep.gid);
	return qtfs_agent_hand_over(peer, &what, sizeof(what), &what.fd, to);
}

static long bound_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (cmd != QTFS_AGENT_ACCEPT)	/* datagrams bring some */
		return qtfs_rights_ioctl(file, cmd, arg);
	return bound_accept(file, (struct qtfs_agent_accepted __user *)arg);
}

static __poll_t bound_poll(struct file *file, poll_table *table)
{
	struct qtfs_bound *bound = qtfs_open_of(file)->bound;
	__poll_t events;

	/* Nothing that the engine could say matters any more. */
	if (READ_ONCE(bound->closed))
		return EPOLLHUP;
	events = qtfs_poll(file, table);
	return READ_ONCE(bound->closed) ? events | EPOLLHUP : events;
}

static int bound_release(struct inode *inode, struct file *file)
{
	struct qtfs_open *open = file->private_data;

	if (!open)	/* it was never attached */
		return 0;
	if (open->bound)
		bound_free(open->session, open->bound);
	open->bound = NULL;
	return qtfs_release(inode, file);
}

/* Without an owner: its mount holds the module. */
static const struct file_operations bound_operations = {
	.release	= bound_release,
	.read_iter	= qtfs_stream_read_iter,
	.poll		= bound_poll,
	.unlocked_ioctl	= bound_ioctl,
};

/* Return: SOCK_*, or an error. */
static int bound_attach(struct inode *inode, struct file *file, struct sock *sk,
			const struct qtfs_wire_opened *opened, u64 clock)
{
	int type = qtfs_socket_attach(inode, file, opened, clock);
	struct qtfs_open *open = qtfs_open_of(file);

	if (type < 0)
		return type;
	if (type != sk->sk_type)
		return -EPROTO;
	open->bound = bound_new(open->session, sk, &open->poll->wq);
	return open->bound ? type : -ENOMEM;
}

/* Return: 0, or an error with nothing left of it. */
static int bound_serve(const struct path *place, struct sock *sk,
		       const struct qtfs_wire_opened *opened, u64 clock)
{
	struct inode *inode = d_inode(place->dentry);
	struct qtfs_agent_event what = {
		.kind  = QTFS_AGENT_BOUND,
		.mount = qtfs_session(inode->i_sb)->id,
		.node  = qtfs_i(inode)->node,
	};
	struct file *file, *peer;
	int type;

	ihold(inode);
	peer = alloc_file_pseudo(inode, place->mnt, "bound", O_RDWR,
				 &bound_operations);
	if (IS_ERR(peer)) {
		iput(inode);
		qtfs_release_now(qtfs_session(inode->i_sb),
				 le64_to_cpu(opened->open));
		return PTR_ERR(peer);
	}
	type = bound_attach(inode, peer, sk, opened, clock);
	file = type < 0 ? ERR_PTR(type) :
			  dentry_open(place, O_PATH, current_cred());
	if (IS_ERR(file)) {
		fput(peer);
		return PTR_ERR(file);
	}
	what.type = type;
	return qtfs_agent_tell(&what, peer, file);
}

/* The name is made: whether others can be let in changes nothing of that. */
static void bound_start(struct dentry *dentry, struct sock *sk,
			const struct qtfs_wire_opened *opened, u64 clock)
{
	struct vfsmount *mnt = qtfs_private_mount(dget(dentry));
	struct path place = { .mnt = mnt, .dentry = dentry };
	int err;

	/* The agent's connections, too, find this one. */
	set_bit(QTFS_INODE_BOUND_HERE, &qtfs_i(d_inode(dentry))->state);

	if (IS_ERR(mnt)) {
		err = PTR_ERR(mnt);
		qtfs_release_now(qtfs_session(dentry->d_sb),
				 le64_to_cpu(opened->open));
	} else {
		err = bound_serve(&place, sk, opened, clock);
		mntput(mnt);
	}
	if (err)
		qtfs_warn("programs of the server cannot connect to %pd: error %d\n",
			  dentry, err);
}

/* Making the name */

/*
 * What is being named by bind(2), which the caller is in, referenced; NULL if that
 * cannot be told.
 */
static struct sock *bind_caller(void)
{
	struct socket *socket;
	struct sock *sk = NULL;
	unsigned long args[6];
	int err;

	if (qtfs_syscall(args) != __NR_bind)
		return NULL;
	socket = sockfd_lookup(args[0], &err);
	if (!socket)
		return NULL;
	/* What has a name already gets no other, and bind(2) says so later. */
	if (socket->sk && socket->sk->sk_family == AF_UNIX &&
	    !READ_ONCE(unix_sk(socket->sk)->addr)) {
		sk = socket->sk;
		sock_hold(sk);
	}
	sockfd_put(socket);
	return sk;
}

static int bind_call(struct inode *dir, struct dentry *dentry, umode_t mode,
		     u32 kind, struct qtfs_wire_created *rep)
{
	struct qtfs_wire_bind body = {
		.dir	  = cpu_to_le64(qtfs_i(dir)->node),
		.mode	  = cpu_to_le32(mode & 07777),
		.umask	  = cpu_to_le32(current_umask()),
		.socket	  = cpu_to_le32(kind),
		.name_len = cpu_to_le16(dentry->d_name.len),
	};
	struct qtfs_args args = {
		.op	 = QTFS_OP_BIND,
		.nr_in	 = 2,
		.in[0]	 = { &body, sizeof(body) },
		.in[1]	 = { (void *)dentry->d_name.name, dentry->d_name.len },
		.out	 = { rep, sizeof(*rep) },
		.out_min = sizeof(*rep),
	};

	return qtfs_call(qtfs_session(dir->i_sb), &args);
}

int qtfs_bind(struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct qtfs_session *session = qtfs_session(dir->i_sb);
	struct qtfs_wire_created rep;
	struct sock *sk;
	u64 clock;
	int err;

	if (!qtfs_agent_present() ||
	    !qtfs_session_has(session, QTFS_SOCKET_FEATURES))
		return -EOPNOTSUPP;
	sk = bind_caller();
	if (!sk)
		return -EOPNOTSUPP;
	if (atomic_read(&session->bound) >= BOUND_MAX) {
		qtfs_warn("too many sockets: programs of the server cannot connect to %pd\n",
			  dentry);
		sock_put(sk);
		return -EOPNOTSUPP;
	}
	clock = qtfs_clock(dir->i_sb);
	err = bind_call(dir, dentry, mode, qtfs_socket_kind(sk->sk_type), &rep);
	if (err) {
		qtfs_name_unsure(dir, dentry, err);
		goto out;
	}
	err = qtfs_instantiate(dir, dentry, &rep.entry, clock);
	/* The caller will say so of what is something else. */
	if (err || !d_inode(dentry) || !S_ISSOCK(d_inode(dentry)->i_mode))
		qtfs_release_now(session, le64_to_cpu(rep.opened.open));
	else
		bound_start(dentry, sk, &rep.opened, clock);
out:
	sock_put(sk);
	return err;
}
