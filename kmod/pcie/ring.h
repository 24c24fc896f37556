/* SPDX-License-Identifier: GPL-2.0-only */
/* Bytes through one queue of shared memory (qtfs/ring.h), as the client does it. */
#ifndef QTFS_PCIE_RING_H
#define QTFS_PCIE_RING_H

#include <linux/types.h>
#include <linux/uio.h>
#include <qtfs/ring.h>

/**
 * struct qtfs_ring - one end of a queue
 * @out: what this end says; in the peer's memory
 * @in: what the peer says; in ours
 * @out_data: the ring that this end fills
 * @in_data: the ring that the peer fills
 * @size: of each ring
 * @conn: number of the connection
 * @head: bytes put into @out_data
 * @tail: bytes taken from @in_data
 * @sleeps: number of the last sleep, for both kinds
 * @rung_rx: the peer's last sleep for bytes that was ended by ringing
 * @rung_tx: likewise for room
 *
 * The sender's and the receiver's members have one user each at a time.
 */
struct qtfs_ring {
	struct qtfs_ring_queue *out;
	const struct qtfs_ring_queue *in;
	void *out_data;
	const void *in_data;
	size_t size;
	u32 conn;

	u64 head;
	u32 rung_rx;
	u32 tx_sleeps;

	u64 tail;
	u32 rung_tx;
	u32 rx_sleeps;
};

/* Prepares a new connection with a number of its own. The peer sees it last. */
void qtfs_ring_open(struct qtfs_ring *ring, u32 conn);
/* The peer sees the end after what was sent. */
void qtfs_ring_close(struct qtfs_ring *ring);
/* Whether the peer takes part in this connection. */
bool qtfs_ring_joined(const struct qtfs_ring *ring);

/*
 * Moves bytes, advancing the iterator, for as long as there are some and there is
 * room. Returns the number, -EAGAIN for none, -EPROTO when the peer's numbers are
 * impossible; qtfs_ring_recv() also 0 when the peer has left.
 * @ring_it: set when the peer sleeps and has to be rung
 */
ssize_t qtfs_ring_send(struct qtfs_ring *ring, struct iov_iter *from,
		       bool *ring_it);
ssize_t qtfs_ring_recv(struct qtfs_ring *ring, struct iov_iter *to,
		       bool *ring_it);

/* Whether the above would give something else than -EAGAIN. */
bool qtfs_ring_readable(const struct qtfs_ring *ring);
bool qtfs_ring_writable(const struct qtfs_ring *ring);

/*
 * Asks to be rung when that changes. Returns whether it has changed already: then
 * one may be rung, too.
 */
bool qtfs_ring_sleep_rx(struct qtfs_ring *ring);
bool qtfs_ring_sleep_tx(struct qtfs_ring *ring);
/* Need not be rung any more. */
void qtfs_ring_wake_rx(struct qtfs_ring *ring);

#endif /* QTFS_PCIE_RING_H */
