/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * /dev/qtfs_pcieN: the server's end of shared memory, for one engine at a time.
 * The windows are those of qtfs/ring.h. While the file is open the engine alone
 * writes the queues of the server's window; when it is closed every connection
 * ends.
 */
#ifndef _UAPI_LINUX_QTFS_PCIE_H
#define _UAPI_LINUX_QTFS_PCIE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Offsets for mmap(2), of windows of qtfs_pcie_info.window_size bytes. */
#define QTFS_PCIE_MAP_IN	0			/* the client's, PROT_READ */
#define QTFS_PCIE_MAP_OUT	(1ull << 40)		/* the server's */

/**
 * struct qtfs_pcie_info - what the memory is like
 * @window_size: bytes of a window
 * @ring_offset: of the ring of queue 0, in both windows
 * @ring_size: bytes of each ring
 * @queues: number of queues
 * @doorbells: 0: the client cannot be rung, or this end
 */
struct qtfs_pcie_info {
	__u64 window_size;
	__u64 ring_offset;
	__u64 ring_size;
	__u32 queues;
	__u32 doorbells;
};

/**
 * struct qtfs_pcie_bind - where news of a queue go
 * @queue: which
 * @eventfd: gets 1 when the client rings for this queue, when it comes or goes, and
 *	when the device is gone
 */
struct qtfs_pcie_bind {
	__u32 queue;
	__s32 eventfd;
};

/* EINVAL: no such queue; ENODEV: the device is gone. */
#define QTFS_PCIE_INFO	_IOR('q', 1, struct qtfs_pcie_info)
#define QTFS_PCIE_BIND	_IOW('q', 2, struct qtfs_pcie_bind)
#define QTFS_PCIE_KICK	_IO('q', 3)	/* its argument is the queue to ring for */
/* The engine serves; connections may come. */
#define QTFS_PCIE_READY	_IO('q', 4)

#endif /* _UAPI_LINUX_QTFS_PCIE_H */
