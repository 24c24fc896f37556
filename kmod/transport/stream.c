// SPDX-License-Identifier: GPL-2.0-only
/*
 * Steps 4 and 10 of the request path: bytes through a struct socket.
 *
 * Every call is MSG_DONTWAIT: tcp_recvmsg() returns on any pending signal and
 * a signalled send leaves half a frame, so the waiting is the channel's. The
 * socket's callbacks tell it when to go on.
 *
 * Writeback sends and receives, so reclaim must not come back to us: what TCP
 * allocates follows sk_allocation, what vsock does follows the task alone.
 */
#include <linux/net.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <net/sock.h>
#include <net/tcp_states.h>

#include "compat/compat.h"
#include "stream.h"

static void stream_data_ready(struct sock *sk)
{
	struct qtfs_link *link;

	read_lock_bh(&sk->sk_callback_lock);
	link = sk->sk_user_data;
	if (link)
		link->readable(link);
	read_unlock_bh(&sk->sk_callback_lock);
}

static void stream_write_space(struct sock *sk)
{
	struct qtfs_link *link;

	read_lock_bh(&sk->sk_callback_lock);
	link = sk->sk_user_data;
	if (link) {
		link->saved.write_space(sk);
		if (link->room(link))
			link->writable(link);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

/* An end or an error is found by the next read or write. */
static void stream_state_change(struct sock *sk)
{
	struct qtfs_link *link;

	read_lock_bh(&sk->sk_callback_lock);
	link = sk->sk_user_data;
	if (link) {
		if (sk->sk_state == TCP_ESTABLISHED)
			WRITE_ONCE(link->connected, true);
		link->saved.state_change(sk);
		wake_up_all(&link->state_wq);
		link->readable(link);
		link->writable(link);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

static void stream_hook(struct qtfs_link *link)
{
	struct sock *sk = link->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	link->saved.data_ready = sk->sk_data_ready;
	link->saved.write_space = sk->sk_write_space;
	link->saved.state_change = sk->sk_state_change;
	sk->sk_user_data = link;
	sk->sk_data_ready = stream_data_ready;
	sk->sk_write_space = stream_write_space;
	sk->sk_state_change = stream_state_change;
	sk->sk_error_report = stream_state_change;
	write_unlock_bh(&sk->sk_callback_lock);
}

static void stream_unhook(struct qtfs_link *link)
{
	struct sock *sk = link->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	if (sk->sk_user_data == link) {
		sk->sk_user_data = NULL;
		sk->sk_data_ready = link->saved.data_ready;
		sk->sk_write_space = link->saved.write_space;
		sk->sk_state_change = link->saved.state_change;
		sk->sk_error_report = link->saved.state_change;
	}
	write_unlock_bh(&sk->sk_callback_lock);
}

static bool stream_connecting(const struct sock *sk)
{
	int state = READ_ONCE(sk->sk_state);

	return state == TCP_SYN_SENT && !READ_ONCE(sk->sk_err);
}

static int stream_wait_connected(struct qtfs_link *link, long timeout)
{
	struct sock *sk = link->sock->sk;
	long left;

	left = wait_event_killable_timeout(link->state_wq,
					   !stream_connecting(sk), timeout);
	if (left < 0)
		return -EINTR;
	if (stream_connecting(sk))
		return -ETIMEDOUT;
	/* Closed again at once, by whichever side: it was connected. */
	if (READ_ONCE(link->connected) || READ_ONCE(sk->sk_state) != TCP_CLOSE)
		return 0;
	return sock_error(sk) ?: -ECONNREFUSED;
}

int qtfs_stream_connect(struct qtfs_link *link, struct socket *sock,
			const struct qtfs_endpoint *to, long timeout)
{
	struct sockaddr_storage addr = to->addr;
	int err;

	link->sock = sock;
	init_waitqueue_head(&link->state_wq);
	sock->sk->sk_allocation = GFP_NOFS;
	qtfs_sk_own_frag(sock->sk);
	stream_hook(link);

	err = sock->ops->connect(sock, (struct sockaddr *)&addr, to->addr_len,
				 O_NONBLOCK);
	if (err == -EINPROGRESS)
		err = stream_wait_connected(link, timeout);
	return err;
}

ssize_t qtfs_stream_send(struct qtfs_link *link, struct iov_iter *from,
			 bool more)
{
	struct msghdr msg = {
		.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL,
		.msg_iter = *from,
	};
	unsigned int nofs;
	ssize_t n;

	if (more)
		msg.msg_flags |= MSG_MORE;
	/* Folios, held by their request until the socket let them go too. */
	if (link->splice && iov_iter_is_bvec(from))
		msg.msg_flags |= QTFS_MSG_SPLICE_PAGES;
	nofs = memalloc_nofs_save();
	n = sock_sendmsg(link->sock, &msg);
	memalloc_nofs_restore(nofs);
	if (n > 0)
		*from = msg.msg_iter;
	return n;
}

ssize_t qtfs_stream_recv(struct qtfs_link *link, struct iov_iter *to)
{
	struct msghdr msg = { .msg_iter = *to };
	unsigned int nofs;
	ssize_t n;

	nofs = memalloc_nofs_save();
	n = sock_recvmsg(link->sock, &msg, MSG_DONTWAIT);
	memalloc_nofs_restore(nofs);
	/* A pending signal of the reading task is not the link's affair. */
	if (n == -ERESTARTSYS || n == -EINTR)
		return -EAGAIN;
	if (n > 0)
		*to = msg.msg_iter;
	return n;
}

bool qtfs_stream_pending(struct qtfs_link *link)
{
	const struct sock *sk = link->sock->sk;

	return !skb_queue_empty_lockless(&sk->sk_receive_queue) ||
	       READ_ONCE(sk->sk_err) ||
	       (READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN);
}

void qtfs_stream_shutdown(struct qtfs_link *link)
{
	unsigned int nofs = memalloc_nofs_save();

	kernel_sock_shutdown(link->sock, SHUT_RDWR);
	memalloc_nofs_restore(nofs);
}

void qtfs_stream_close(struct qtfs_link *link)
{
	if (!link->sock)
		return;
	stream_unhook(link);
	sock_release(link->sock);
	link->sock = NULL;
}
