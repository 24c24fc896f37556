// SPDX-License-Identifier: GPL-2.0-only
/*
 * vsock: between a virtual machine and its host, or within one machine.
 *
 * What differs from TCP: a refused connection is reset; credit stands for free
 * space, and news of it come with every packet; received bytes are not in
 * sk_receive_queue; packets are allocated in one piece on older kernels.
 */
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/timer.h>
#include <linux/vm_sockets.h>
#include <net/af_vsock.h>

#include "compat/compat.h"
#include "stream.h"

/* Enough for a large read and for the writes behind it. */
#define VSOCK_BUFFER (4 << 20)
/* Where no larger packet finds memory. */
#define VSOCK_SMALL_PACKET 2048

static int vsock_parse(struct qtfs_endpoint *to, const char *addr, u32 port)
{
	struct sockaddr_vm *vm = (struct sockaddr_vm *)&to->addr;

	*vm = (struct sockaddr_vm){
		.svm_family = AF_VSOCK,
		.svm_port = port,
	};
	to->addr_len = sizeof(*vm);
	if (!strcmp(addr, "hypervisor"))
		vm->svm_cid = VMADDR_CID_HYPERVISOR;
	else if (!strcmp(addr, "local"))
		vm->svm_cid = VMADDR_CID_LOCAL;
	else if (!strcmp(addr, "host"))
		vm->svm_cid = VMADDR_CID_HOST;
	else if (kstrtouint(addr, 10, &vm->svm_cid) ||
		 vm->svm_cid == VMADDR_CID_ANY)
		return -EINVAL;
	return 0;
}

static int vsock_print(const struct qtfs_endpoint *to, char *buf, size_t size)
{
	const struct sockaddr_vm *vm = (const struct sockaddr_vm *)&to->addr;

	return snprintf(buf, size, "vsock:%u:%u", vm->svm_cid, vm->svm_port);
}

static int vsock_set(struct socket *sock, int option, void *value, size_t size)
{
	return sock->ops->setsockopt(sock, AF_VSOCK, option,
				     KERNEL_SOCKPTR(value), size);
}

static int vsock_configure(struct socket *sock, long timeout)
{
	/* Later than ours, which has the last word. */
	struct __kernel_sock_timeval connect = { .tv_sec = timeout / HZ + 2 };
	u64 buffer = VSOCK_BUFFER;

	return vsock_set(sock, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &buffer,
			 sizeof(buffer)) ?:
	       vsock_set(sock, SO_VM_SOCKETS_BUFFER_SIZE, &buffer,
			 sizeof(buffer)) ?:
	       vsock_set(sock, SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW, &connect,
			 sizeof(connect));
}

/* Its own timeout's work would keep the socket for as long as that lasts. */
static void vsock_forget_timeout(struct sock *sk)
{
	if (cancel_delayed_work(&vsock_sk(sk)->connect_work))
		sock_put(sk);
}

/*
 * The loopback device also carries what goes to this machine's other CIDs; a
 * device that leads out knows its own.
 */
static bool vsock_peer_is_self(struct sock *sk, const struct qtfs_endpoint *to)
{
	const struct sockaddr_vm *vm = (const struct sockaddr_vm *)&to->addr;
	const struct vsock_transport *device;
	u32 cid = VMADDR_CID_ANY;

	lock_sock(sk);
	device = vsock_sk(sk)->transport;
	if (device)
		cid = device->get_local_cid();
	release_sock(sk);
	return cid == VMADDR_CID_LOCAL || cid == vm->svm_cid;
}

static bool vsock_room(struct qtfs_link *link)
{
	return test_and_clear_bit(QTFS_LINK_FULL, &link->flags);
}

static void vsock_retry(struct timer_list *timer)
{
	struct qtfs_link *link = container_of(timer, struct qtfs_link, retry);

	link->writable(link);
}

static int vsock_open(struct qtfs_link *link, struct net *net,
		      const struct qtfs_endpoint *to, long timeout)
{
	struct socket *sock;
	int err;

	err = sock_create_kern(net, AF_VSOCK, SOCK_STREAM, 0, &sock);
	if (err)
		return err;
	qtfs_sk_hold_net(sock->sk);
	err = vsock_configure(sock, timeout);
	if (err) {
		sock_release(sock);
		return err;
	}
	link->room = vsock_room;
	timer_setup(&link->retry, vsock_retry, 0);

	err = qtfs_stream_connect(link, sock, to, timeout);
	vsock_forget_timeout(sock->sk);
	if (err) {
		qtfs_stream_close(link);
		return err == -ECONNRESET ? -ECONNREFUSED : err;
	}
	link->local = vsock_peer_is_self(sock->sk, to);
	return 0;
}

static ssize_t vsock_send_small(struct qtfs_link *link, struct iov_iter *from)
{
	struct iov_iter part = *from;
	ssize_t n;

	iov_iter_truncate(&part, VSOCK_SMALL_PACKET);
	n = qtfs_stream_send(link, &part, true);
	if (n > 0)
		iov_iter_advance(from, n);
	return n;
}

static ssize_t vsock_send(struct qtfs_link *link, struct iov_iter *from,
			  bool more)
{
	ssize_t n = qtfs_stream_send(link, from, more);

	if (n == -EAGAIN) {
		/* Room that came before it was asked for is found here. */
		set_bit(QTFS_LINK_FULL, &link->flags);
		n = qtfs_stream_send(link, from, more);
	}
	if (n == -ENOMEM)
		n = vsock_send_small(link, from);
	if (n == -ENOMEM) {
		mod_timer(&link->retry, jiffies + HZ / 50);
		n = -EAGAIN;
	}
	return n;
}

static bool vsock_pending(struct qtfs_link *link)
{
	struct socket *sock = link->sock;

	return sock->ops->poll(NULL, sock, NULL) &
	       (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
}

static void vsock_close(struct qtfs_link *link)
{
	qtfs_stream_close(link);
	timer_delete_sync(&link->retry);
}

const struct qtfs_transport qtfs_vsock_transport = {
	.name		= "vsock",
	.address	= "a CID: a number, local, host or hypervisor",
	.port_max	= VMADDR_PORT_ANY - 1,
	.parse		= vsock_parse,
	.print		= vsock_print,
	.open		= vsock_open,
	.send		= vsock_send,
	.recv		= qtfs_stream_recv,
	.pending	= vsock_pending,
	.shutdown	= qtfs_stream_shutdown,
	.close		= vsock_close,
};
