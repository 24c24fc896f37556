// SPDX-License-Identifier: GPL-2.0-only
/*
 * Steps 4 and 10 of the request path over shared memory.
 *
 * The order of accesses is what docs/protocol.md ("Shared memory") says and
 * userspace/tests/model/ring.pml checks:
 *  - bytes, wmb(), index, mb(), the peer's sleep flag: a producer that sees no
 *    flag is seen by the consumer;
 *  - own sleep flag, mb(), the flushing read of it, mb(), the peer's index;
 *  - the peer's index, rmb(), bytes.
 * wmb() and mb() also order write-combining memory, which the dma_ and smp_
 * barriers do not.
 *
 * The peer may write anything at any time: every number of its is fetched once
 * and then checked; the bytes are the channel's affair.
 */
#include <linux/compiler.h>
#include <linux/minmax.h>

#include "pcie/ring.h"

/* Longer copies would keep a processor from what waits for RCU. */
#define COPY_MAX (256u << 10)

void qtfs_ring_open(struct qtfs_ring *ring, u32 conn)
{
	ring->conn = conn;
	ring->head = 0;
	ring->tail = 0;
	WRITE_ONCE(ring->out->head, 0);
	WRITE_ONCE(ring->out->tail, 0);
	WRITE_ONCE(ring->out->rx_sleep, 0);
	WRITE_ONCE(ring->out->tx_sleep, 0);
	wmb();	/* a connection begins at 0 */
	WRITE_ONCE(ring->out->conn, cpu_to_le32(conn));
	mb();	/* before anything is asked of the peer */
}

void qtfs_ring_close(struct qtfs_ring *ring)
{
	wmb();	/* what was sent still counts */
	WRITE_ONCE(ring->out->conn, 0);
	mb();	/* before the doorbell */
}

bool qtfs_ring_joined(const struct qtfs_ring *ring)
{
	return le32_to_cpu(READ_ONCE(ring->in->conn)) == ring->conn;
}

/* Bytes to take: no more than @ring->size unless the peer lies. */
static u64 ring_used(const struct qtfs_ring *ring)
{
	return le64_to_cpu(READ_ONCE(ring->in->head)) - ring->tail;
}

/* Bytes that the peer has not taken. */
static u64 ring_unread(const struct qtfs_ring *ring)
{
	return ring->head - le64_to_cpu(READ_ONCE(ring->in->tail));
}

/* Whether a sleep of the peer's has to be ended, which is done once. */
static bool ring_asleep(const __le32 *flag, u32 *rung)
{
	u32 sleep = le32_to_cpu(READ_ONCE(*flag));

	if (!sleep || sleep == *rung)
		return false;
	*rung = sleep;
	return true;
}

ssize_t qtfs_ring_send(struct qtfs_ring *ring, struct iov_iter *from,
		       bool *ring_it)
{
	u64 unread = ring_unread(ring);
	size_t at = ring->head & (ring->size - 1);
	size_t n;

	if (!qtfs_ring_joined(ring))
		return -EPIPE;
	if (unread > ring->size)
		return -EPROTO;
	n = min3(iov_iter_count(from), (size_t)(ring->size - unread),
		 ring->size - at);
	n = min_t(size_t, n, COPY_MAX);
	if (!n)
		return -EAGAIN;

	mb();	/* the peer has read what is overwritten */
	if (copy_from_iter(ring->out_data + at, n, from) != n)
		return -EFAULT;
	wmb();	/* bytes before the index */
	ring->head += n;
	WRITE_ONCE(ring->out->head, cpu_to_le64(ring->head));
	mb();	/* the index before the flag is looked at */
	*ring_it = ring_asleep(&ring->in->rx_sleep, &ring->rung_rx);
	return n;
}

ssize_t qtfs_ring_recv(struct qtfs_ring *ring, struct iov_iter *to,
		       bool *ring_it)
{
	/* In this order: what was sent before the end is still read. */
	u32 peer = le32_to_cpu(READ_ONCE(ring->in->conn));
	size_t at = ring->tail & (ring->size - 1);
	u64 used;
	size_t n;

	if (peer && peer != ring->conn)
		return 0;
	rmb();	/* the index of this connection, not of the one before */
	used = ring_used(ring);
	if (used > ring->size)
		return peer ? -EPROTO : 0;
	n = min3(iov_iter_count(to), (size_t)used, ring->size - at);
	n = min_t(size_t, n, COPY_MAX);
	if (!n)
		return peer ? -EAGAIN : 0;

	rmb();	/* the index before the bytes */
	if (copy_to_iter(ring->in_data + at, n, to) != n)
		return -EFAULT;
	mb();	/* the bytes are read before they may be overwritten */
	ring->tail += n;
	WRITE_ONCE(ring->out->tail, cpu_to_le64(ring->tail));
	mb();	/* the index before the flag is looked at */
	*ring_it = ring_asleep(&ring->in->tx_sleep, &ring->rung_tx);
	return n;
}

bool qtfs_ring_readable(const struct qtfs_ring *ring)
{
	return ring_used(ring) || !qtfs_ring_joined(ring);
}

bool qtfs_ring_writable(const struct qtfs_ring *ring)
{
	return ring_unread(ring) != ring->size || !qtfs_ring_joined(ring);
}

/* Posts the flag, and waits until it and what the peer posted before are there. */
static void ring_sleep(__le32 *flag, u32 *sleeps)
{
	if (!++*sleeps)
		++*sleeps;
	WRITE_ONCE(*flag, cpu_to_le32(*sleeps));
	mb();	/* the flag is on its way ... */
	(void)READ_ONCE(*flag);	/* ... and has arrived */
	mb();	/* before the index is looked at */
}

bool qtfs_ring_sleep_rx(struct qtfs_ring *ring)
{
	ring_sleep(&ring->out->rx_sleep, &ring->rx_sleeps);
	return qtfs_ring_readable(ring);
}

bool qtfs_ring_sleep_tx(struct qtfs_ring *ring)
{
	ring_sleep(&ring->out->tx_sleep, &ring->tx_sleeps);
	return qtfs_ring_writable(ring);
}

void qtfs_ring_wake_rx(struct qtfs_ring *ring)
{
	WRITE_ONCE(ring->out->rx_sleep, 0);
}
