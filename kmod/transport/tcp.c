// SPDX-License-Identifier: GPL-2.0-only
/* TCP: addresses, socket options, connect. */
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/inet.h>
#include <linux/net.h>
#include <linux/tcp.h>
#include <net/tcp.h>

#include "compat/compat.h"
#include "stream.h"

/* Enough for a large read and for the writes behind it. */
#define TCP_BUFFER (4 << 20)

static int tcp_parse(struct qtfs_endpoint *to, const char *addr, u32 port)
{
	char text[16];
	int err;

	snprintf(text, sizeof(text), "%u", port);
	err = inet_pton_with_scope(&init_net, AF_UNSPEC, addr, text, &to->addr);
	if (err)
		return -EINVAL;
	to->addr_len = to->addr.ss_family == AF_INET ?
		sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	return 0;
}

static int tcp_print(const struct qtfs_endpoint *to, char *buf, size_t size)
{
	return snprintf(buf, size, "%pISpc", &to->addr);
}

static void tcp_configure(struct sock *sk)
{
	tcp_sock_set_nodelay(sk);
	sock_set_keepalive(sk);
	tcp_sock_set_keepidle(sk, 20);
	tcp_sock_set_keepintvl(sk, 10);
	tcp_sock_set_keepcnt(sk, 3);
	sock_set_rcvbuf(sk, TCP_BUFFER);
	lock_sock(sk);
	WRITE_ONCE(sk->sk_sndbuf, TCP_BUFFER);
	sk->sk_userlocks |= SOCK_SNDBUF_LOCK;
	release_sock(sk);
}

static bool tcp_room(struct qtfs_link *link)
{
	return sk_stream_is_writeable(link->sock->sk);
}

static bool tcp_peer_is_self(const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		return ipv6_addr_equal(&sk->sk_v6_daddr, &sk->sk_v6_rcv_saddr);
#endif
	return sk->sk_daddr == sk->sk_rcv_saddr;
}

static int tcp_open(struct qtfs_link *link, struct net *net,
		    const struct qtfs_endpoint *to, long timeout)
{
	struct socket *sock;
	int err;

	err = sock_create_kern(net, to->addr.ss_family, SOCK_STREAM,
			       IPPROTO_TCP, &sock);
	if (err)
		return err;
	qtfs_sk_hold_net(sock->sk);
	tcp_configure(sock->sk);
	link->splice = true;
	link->room = tcp_room;

	err = qtfs_stream_connect(link, sock, to, timeout);
	if (err) {
		qtfs_stream_close(link);
		return err;
	}
	link->local = tcp_peer_is_self(sock->sk);
	return 0;
}

const struct qtfs_transport qtfs_tcp_transport = {
	.name		= "tcp",
	.address	= "an IP address",
	.port_max	= U16_MAX,
	.parse		= tcp_parse,
	.print		= tcp_print,
	.open		= tcp_open,
	.send		= qtfs_stream_send,
	.recv		= qtfs_stream_recv,
	.pending	= qtfs_stream_pending,
	.shutdown	= qtfs_stream_shutdown,
	.close		= qtfs_stream_close,
};
