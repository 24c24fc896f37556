/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * The memory that two machines share over PCIe, version 1: byte rings that carry
 * the frames of wire.h. Read by the kernel modules (C) and by the engine (C++);
 * docs/protocol.md ("Shared memory") explains the order of accesses.
 *
 * There are two windows. Each is written by one end and read by the other, in
 * whose memory it lies: writes are posted, reads are local. The one exception is
 * the read by which an end that goes to sleep flushes posted writes both ways.
 *
 * A window: struct qtfs_ring_window in the first page, struct qtfs_ring_queue of
 * each queue from the second page on, then the rings. All numbers are
 * little-endian. Nothing in a window is to be trusted by its reader: each number
 * is fetched once and compared with what can be.
 *
 * Version history:
 *  1  first version
 */
#ifndef QTFS_RING_H
#define QTFS_RING_H

#include <linux/types.h>

#include "wire.h"

#define QTFS_RING_MAGIC		0x474e495253465451ull	/* "QTFSRING" */
#define QTFS_RING_VERSION	1

#define QTFS_RING_PAGE		4096u
#define QTFS_RING_LINE		128u	/* two cache lines: they are fetched in pairs */
#define QTFS_RING_QUEUES_MAX	32u
#define QTFS_RING_SIZE_MIN	(64u << 10)
#define QTFS_RING_SIZE_MAX	(64u << 20)

/* qtfs_ring_window.state */
#define QTFS_RING_DOWN		0	/* nothing else in the window counts */
#define QTFS_RING_READY		1	/* client: opens queues; server: has an engine */

/**
 * struct qtfs_ring_window - what one end says of itself
 * @magic: QTFS_RING_MAGIC
 * @version: QTFS_RING_VERSION
 * @state: written last, and first when the end goes away
 * @generation: not 0, and another one each time the end starts: a change means that
 *	it has forgotten everything
 * @queues: number of queues; the server's word counts
 * @doorbell: where the writer is rung, in the device's terms (ivshmem: its peer id)
 * @vectors: how many doorbells it has: queue q rings q % @vectors; with 0 it looks
 *	from time to time
 * @ring_offset: from the window's start to the ring of queue 0, a multiple of pages;
 *	the server's word counts
 * @ring_size: bytes of each ring, a power of two; the server's word counts
 * @ping: raised, with doorbell 0, to ask whether the other end lives
 * @pong: the last @ping that was seen in the other window
 */
struct qtfs_ring_window {
	__le64 magic;
	__le32 version;
	__le32 state;
	__le64 generation;
	__le32 queues;
	__le32 doorbell;
	__le32 vectors;
	__le32 reserved;
	__le64 ring_offset;
	__le64 ring_size;
	__u8 pad0[QTFS_RING_LINE - 56];
	__le32 ping;
	__le32 pong;
	__u8 pad1[QTFS_RING_LINE - 8];
};
QTFS_WIRE_ASSERT(struct qtfs_ring_window, 2 * QTFS_RING_LINE);

/**
 * struct qtfs_ring_queue - what one end says of a queue
 * @head: bytes that the writer has put into this window's ring since the queue was
 *	opened; byte n is at n % ring_size
 * @tail: bytes that it has taken from the other window's ring
 * @conn: the connection that uses the queue, 0: none. The client opens with a number
 *	that differs from the last, the server answers with the same; whoever sets
 *	another closes. @head and @tail are 0 before @conn is set
 * @rx_sleep: not 0: the writer sleeps until bytes come: ring it. Differs from sleep to
 *	sleep, so that each is rung once
 * @tx_sleep: likewise, until there is room in this window's ring
 *
 * Lines that are written on different occasions are apart.
 */
struct qtfs_ring_queue {
	__le64 head;
	__u8 pad0[QTFS_RING_LINE - 8];
	__le64 tail;
	__u8 pad1[QTFS_RING_LINE - 8];
	__le32 conn;
	__u8 pad2[QTFS_RING_LINE - 4];
	__le32 rx_sleep;
	__le32 tx_sleep;
	__u8 pad3[QTFS_RING_LINE - 8];
};
QTFS_WIRE_ASSERT(struct qtfs_ring_queue, 4 * QTFS_RING_LINE);

/* Bytes from a window's start to what it says of queue @q. */
#define QTFS_RING_QUEUE(q)	(QTFS_RING_PAGE + (q) * (unsigned int)sizeof(struct qtfs_ring_queue))

#endif /* QTFS_RING_H */
