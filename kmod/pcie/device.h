/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One end of memory that is shared over PCIe (qtfs/ring.h): its windows, and how
 * to ring the other end. Used by the client (transport/pcie.c) and by the server
 * (server/endpoint.c).
 *
 * The device is QEMU's ivshmem. What else offers two windows and doorbells needs
 * its own probe and kick, nothing more; docs/porting.md has the contract.
 */
#ifndef QTFS_PCIE_DEVICE_H
#define QTFS_PCIE_DEVICE_H

#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/pci.h>
#include <linux/types.h>
#include <qtfs/ring.h>

struct qtfs_pcie;

/**
 * struct qtfs_pcie_end - which end of the memory a module is
 * @name: of the interrupts
 * @server: the server's end, which lays the memory out
 * @prepare: sets @private, before anything else of the end is called
 * @publish: the device works; an error undoes it
 * @rung: a doorbell rang, or may have rung, for the queues of @vector; in softirq
 *	context. Returns whether somebody sleeps and would be rung: false once @dead
 * @gone: the device is dead, and @rung is called no more; also if @publish failed
 * @free: the last reference is put
 */
struct qtfs_pcie_end {
	const char *name;
	bool server;
	int (*prepare)(struct qtfs_pcie *dev);
	int (*publish)(struct qtfs_pcie *dev);
	bool (*rung)(struct qtfs_pcie *dev, unsigned int vector);
	void (*gone)(struct qtfs_pcie *dev);
	void (*free)(struct qtfs_pcie *dev);
};

/**
 * struct qtfs_pcie - a bound device
 * @end: which end this is
 * @pci: the device; not to be used once @dead
 * @index: its number among those of this end, in the order they were found
 * @ref: of this structure; the mapping ends when the device does
 * @dead: the device is gone; see qtfs_pcie_begin()
 * @in: what the peer writes
 * @out: what this end writes
 * @in_phys: where @in is, for who maps it elsewhere; @out_phys likewise
 * @window_size: bytes of a window
 * @generation: of this end
 * @queues: as the server said, 0: not known yet; @ring_size, @ring_offset likewise
 * @regs: doorbell registers
 * @vectors: doorbells of this end; 0: it looks
 * @requested: of them, whose interrupts are ours
 * @look: where there are no doorbells: looks again
 * @look_ns: after so long
 * @vec: of each vector
 * @private: of the end
 */
struct qtfs_pcie {
	const struct qtfs_pcie_end *end;
	struct pci_dev *pci;
	unsigned int index;
	struct list_head list;
	struct kref ref;
	bool dead;

	void *in;
	void *out;
	phys_addr_t in_phys;
	phys_addr_t out_phys;
	size_t window_size;
	u64 generation;

	unsigned int queues;
	size_t ring_size;
	size_t ring_offset;

	void __iomem *regs;
	unsigned int vectors;
	unsigned int requested;
	struct hrtimer look;
	u64 look_ns;
	struct qtfs_pcie_vector {
		struct qtfs_pcie *dev;
		unsigned int number;
		struct tasklet_struct tasklet;
	} *vec;
	void *private;
};

/* Binds devices from now on; the counterpart unbinds all. */
int qtfs_pcie_register(const struct qtfs_pcie_end *end);
void qtfs_pcie_unregister(void);

/* The device of that number, with a reference, or NULL. Sleeps. */
struct qtfs_pcie *qtfs_pcie_get(unsigned int index);
void qtfs_pcie_put(struct qtfs_pcie *dev);
/* How many there are; their numbers are below that, unless some went away. */
unsigned int qtfs_pcie_count(void);

/*
 * Accesses to the windows are between the two, if the first returned true. They
 * do not sleep.
 */
static inline bool qtfs_pcie_begin(const struct qtfs_pcie *dev)
{
	rcu_read_lock();
	if (!READ_ONCE(dev->dead))
		return true;
	rcu_read_unlock();
	return false;
}

static inline void qtfs_pcie_end(void)
{
	rcu_read_unlock();
}

/*
 * Reads the other end's window, one caller at a time: 0 when it is there and what it says makes sense,
 * -ENOTCONN when there is nobody, -EPROTONOSUPPORT for another version, -EPROTO.
 * The caller holds what keeps the device, as for all of the following.
 */
int qtfs_pcie_peer(struct qtfs_pcie *dev, u64 *generation);

/*
 * This end starts anew: another generation, no connections, and nobody to talk to
 * until its state says so.
 */
void qtfs_pcie_announce(struct qtfs_pcie *dev);

/* Says that this end may be talked to, or no more. */
void qtfs_pcie_set_state(struct qtfs_pcie *dev, u32 state);

/* Rings the other end for queue @q. Any context. */
void qtfs_pcie_kick(struct qtfs_pcie *dev, unsigned int q);
/* Where this end has no doorbell, whoever goes to sleep says so. */
void qtfs_pcie_look_soon(struct qtfs_pcie *dev);

static inline struct qtfs_ring_window *qtfs_pcie_out(struct qtfs_pcie *dev)
{
	return dev->out;
}

static inline const struct qtfs_ring_window *
qtfs_pcie_in(const struct qtfs_pcie *dev)
{
	return dev->in;
}

#endif /* QTFS_PCIE_DEVICE_H */
