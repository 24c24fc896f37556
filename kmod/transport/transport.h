/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract between a channel and what moves its bytes. A transport is an
 * ordered, reliable byte stream; frames are the channel's affair.
 */
#ifndef QTFS_TRANSPORT_H
#define QTFS_TRANSPORT_H

#include <linux/socket.h>
#include <linux/timer.h>
#include <linux/types.h>
#include <linux/uio.h>
#include <linux/wait.h>

struct net;
struct socket;
struct pcie_link;
struct qtfs_link;
struct qtfs_transport;

/**
 * struct qtfs_endpoint - where an engine listens
 * @trans: how to get there
 * @addr: as @trans parsed it
 * @addr_len: used bytes of @addr
 */
struct qtfs_endpoint {
	const struct qtfs_transport *trans;
	struct sockaddr_storage addr;
	int addr_len;
};

/* Bits of qtfs_link.flags. */
enum {
	QTFS_LINK_FULL,
};

/**
 * struct qtfs_link - one connection, owned by a channel
 * @trans: whose link this is; set by the channel
 * @readable: bytes (or the end) may be read; any context, does not sleep
 * @writable: bytes may be written again after -EAGAIN; likewise
 * @busy: whether the peer owes an answer; likewise
 * @local: the peer is this very machine
 * @state_wq: stream transports: woken by changes of the socket's state (its own
 *	queue wakes interruptible waiters only)
 * @connected: stream transports: the connection was made, if only for a moment
 * @splice: stream transports: the socket takes references to folios
 * @room: stream transports: whether the socket's news of free space are some
 * @flags: QTFS_LINK_FULL: a send found no room
 * @retry: vsock: sends again what found no memory
 * @sock: stream transports: the socket
 * @saved: stream transports: the socket's own callbacks
 * @pcie: PCIe: the queue
 */
struct qtfs_link {
	const struct qtfs_transport *trans;
	void (*readable)(struct qtfs_link *link);
	void (*writable)(struct qtfs_link *link);
	bool (*busy)(struct qtfs_link *link);
	bool local;
	wait_queue_head_t state_wq;
	bool connected;
	bool splice;
	bool (*room)(struct qtfs_link *link);
	unsigned long flags;
	struct timer_list retry;
	struct socket *sock;
	struct {
		void (*data_ready)(struct sock *sk);
		void (*write_space)(struct sock *sk);
		void (*state_change)(struct sock *sk);
	} saved;
	struct pcie_link *pcie;
};

/**
 * struct qtfs_transport - how bytes travel to an engine
 * @name: as written in the mount option "trans=" and before a source
 * @address: what an address has to be, for who wrote another thing
 * @port_max: ports are from 1 to this one; 0: there are none
 * @parse: fill @to from an address as text and a port in that range; -EINVAL if
 *	the text is no address
 * @print: write the address as text; returns as snprintf() does
 * @open: connect; sleeps, killably, @timeout jiffies at most; undone by @close.
 *	When it fails, nothing is left and neither callback runs any more
 * @send: take bytes off @from, advancing it; the number taken, -EAGAIN when
 *	@writable will tell, or the link's error. Never sleeps for the peer.
 *	@more: other bytes follow at once
 * @recv: put bytes into @to, advancing it; the number put, 0 when the peer
 *	closed, -EAGAIN when @readable will tell, or the link's error. Never
 *	sleeps for the peer.
 * @pending: whether @recv would give bytes now
 * @spin: or NULL: look for bytes for a short time, given up for signals and for
 *	other tasks; whether @recv would give some
 * @arm: or NULL: @readable is only called for what comes after this; whether @recv
 *	would give bytes now
 * @shutdown: make the peer and all callers see the end; any number of times
 * @close: free; neither callback runs any more when it returns
 *
 * The channel serialises @send calls, and @recv calls; one of each may run at
 * once.
 */
struct qtfs_transport {
	const char *name;
	const char *address;
	u32 port_max;

	int (*parse)(struct qtfs_endpoint *to, const char *addr, u32 port);
	int (*print)(const struct qtfs_endpoint *to, char *buf, size_t size);
	int (*open)(struct qtfs_link *link, struct net *net,
		    const struct qtfs_endpoint *to, long timeout);
	ssize_t (*send)(struct qtfs_link *link, struct iov_iter *from,
			bool more);
	ssize_t (*recv)(struct qtfs_link *link, struct iov_iter *to);
	bool (*pending)(struct qtfs_link *link);
	bool (*spin)(struct qtfs_link *link);
	bool (*arm)(struct qtfs_link *link);
	void (*shutdown)(struct qtfs_link *link);
	void (*close)(struct qtfs_link *link);
};

extern const struct qtfs_transport qtfs_tcp_transport;
extern const struct qtfs_transport qtfs_vsock_transport;
extern const struct qtfs_transport qtfs_pcie_transport;

/* Binds shared memory, and lets it go when no link is left. */
#if IS_ENABLED(CONFIG_PCI)
int qtfs_pcie_client_init(void);
void qtfs_pcie_client_exit(void);
#else
static inline int qtfs_pcie_client_init(void) { return 0; }
static inline void qtfs_pcie_client_exit(void) {}
#endif

/* The built-in transport of that name, or NULL. */
const struct qtfs_transport *qtfs_transport_find(const char *name);

/* Their names, for a message; @size is enough for all. */
void qtfs_transport_names(char *buf, size_t size);

#endif /* QTFS_TRANSPORT_H */
