// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCIe: memory shared with the server's machine. A link is one queue of a device;
 * the bytes move in pcie/ring.c.
 *
 * There is no socket whose callbacks tell of news. Whoever waits looks for a short
 * time (spin), then asks to be rung (arm). The device's softirq is where doorbells
 * end; it holds @lock of the device while it calls a link, so that close() is sure
 * of the last call.
 *
 * A server that dies without a word is found by asking: as long as an answer is
 * due, the server's module is asked now and then whether it lives. With nothing
 * under way nothing runs.
 */
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "log.h"
#include "pcie/device.h"
#include "pcie/ring.h"
#include "transport/transport.h"

/* A server that says nothing for so long is asked, and believed dead after as long. */
#define ASK_AFTER (5 * HZ)

static unsigned int spin_us = 100;
module_param_named(qtfs_pcie_spin_us, spin_us, uint, 0644);
MODULE_PARM_DESC(qtfs_pcie_spin_us,
		 "how long at most to look for an answer before sleeping, in microseconds (100)");

/**
 * struct pcie_client - this module's part of a device
 * @lock: protects @links, the device's geometry and its ping; taken in softirq
 *	context. Outside of a channel's lock
 * @links: by queue, NULL: free
 * @conn: number of the last connection
 * @news_wq: woken by doorbells
 */
struct pcie_client {
	spinlock_t lock;
	struct pcie_link *links[QTFS_RING_QUEUES_MAX];
	u32 conn;
	wait_queue_head_t news_wq;
};

/**
 * struct pcie_link - a link's queue
 * @link: whose
 * @dev: with a reference
 * @q: number of the queue
 * @ring: its end
 * @generation: of the server when the connection was made
 * @opened: @link may be called
 * @ended: shut down on this side
 * @armed: the server was asked to ring when bytes come
 * @waiting: since when bytes have been waited for; 0: not now
 * @wait_ns: how long that took lately, on average
 * @watch: asks whether the server lives
 * @heard: when something came
 * @ping: last question, 0: none
 */
struct pcie_link {
	struct qtfs_link *link;
	struct qtfs_pcie *dev;
	unsigned int q;
	struct qtfs_ring ring;
	u64 generation;
	bool opened;
	bool ended;
	bool armed;
	u64 waiting;
	u64 wait_ns;
	struct timer_list watch;
	unsigned long heard;
	u32 ping;
};

static struct pcie_client *client_of(struct qtfs_pcie *dev)
{
	return dev->private;
}

/* Device */

static int client_prepare(struct qtfs_pcie *dev)
{
	struct pcie_client *client = kzalloc(sizeof(*client), GFP_KERNEL);

	if (!client)
		return -ENOMEM;
	spin_lock_init(&client->lock);
	init_waitqueue_head(&client->news_wq);
	client->conn = get_random_u32();
	dev->private = client;
	return 0;
}

static int client_publish(struct qtfs_pcie *dev)
{
	qtfs_pcie_set_state(dev, QTFS_RING_READY);
	return 0;
}

static bool link_fits(const struct pcie_link *pl, unsigned int vector)
{
	unsigned int vectors = pl->dev->vectors;

	return !vectors || pl->q % vectors == vector;
}

static bool client_rung(struct qtfs_pcie *dev, unsigned int vector)
{
	struct pcie_client *client = client_of(dev);
	bool sleeps = false;
	unsigned int q;

	spin_lock(&client->lock);
	for (q = 0; q < QTFS_RING_QUEUES_MAX; q++) {
		struct pcie_link *pl = client->links[q];

		if (!pl)
			continue;
		sleeps = !READ_ONCE(dev->dead);
		/* The first vector also tells of the server's coming and going. */
		if (!READ_ONCE(pl->opened) || (vector && !link_fits(pl, vector)))
			continue;
		if (qtfs_ring_readable(&pl->ring))
			pl->link->readable(pl->link);
		if (qtfs_ring_writable(&pl->ring) &&
		    test_and_clear_bit(QTFS_LINK_FULL, &pl->link->flags))
			pl->link->writable(pl->link);
	}
	spin_unlock(&client->lock);
	wake_up_all(&client->news_wq);
	return sleeps;
}

static void client_gone(struct qtfs_pcie *dev)
{
	struct pcie_client *client = client_of(dev);
	unsigned int q;

	spin_lock_bh(&client->lock);
	for (q = 0; q < QTFS_RING_QUEUES_MAX; q++) {
		struct pcie_link *pl = client->links[q];

		if (!pl || !pl->opened)
			continue;
		pl->link->readable(pl->link);
		pl->link->writable(pl->link);
	}
	spin_unlock_bh(&client->lock);
	wake_up_all(&client->news_wq);
}

static void client_free(struct qtfs_pcie *dev)
{
	kfree(client_of(dev));
}

static const struct qtfs_pcie_end client_end = {
	.name	= "qtfs",
	.prepare = client_prepare,
	.publish = client_publish,
	.rung	= client_rung,
	.gone	= client_gone,
	.free	= client_free,
};

int qtfs_pcie_client_init(void)
{
	return qtfs_pcie_register(&client_end);
}

void qtfs_pcie_client_exit(void)
{
	qtfs_pcie_unregister();
}

/* Is the server alive? */

static void pcie_ask(struct pcie_link *pl)
{
	struct qtfs_ring_window *out = qtfs_pcie_out(pl->dev);
	struct pcie_client *client = client_of(pl->dev);

	spin_lock(&client->lock);
	pl->ping = le32_to_cpu(READ_ONCE(out->ping)) + 1 ?: 1;
	WRITE_ONCE(out->ping, cpu_to_le32(pl->ping));
	spin_unlock(&client->lock);
	wmb();	/* before the doorbell */
	qtfs_pcie_kick(pl->dev, 0);
}

/* Several links may ask: an answer to a later question is one to ours. */
static bool pcie_answered(const struct pcie_link *pl)
{
	u32 pong = le32_to_cpu(READ_ONCE(qtfs_pcie_in(pl->dev)->pong));

	return (s32)(pong - pl->ping) >= 0;
}

static void pcie_watch(struct timer_list *timer)
{
	struct pcie_link *pl = container_of(timer, struct pcie_link, watch);
	bool quiet = time_before(READ_ONCE(pl->heard), jiffies - ASK_AFTER);

	if (READ_ONCE(pl->ended) || !pl->link->busy(pl->link) ||
	    !qtfs_pcie_begin(pl->dev))
		return;
	if (quiet && pl->ping && !pcie_answered(pl))
		WRITE_ONCE(pl->ended, true);
	else if (quiet)
		pcie_ask(pl);
	else
		pl->ping = 0;
	qtfs_pcie_end();
	if (!READ_ONCE(pl->ended)) {
		mod_timer(&pl->watch, jiffies + ASK_AFTER);
		return;
	}
	qtfs_err("pcie:%u: the server does not answer\n", pl->dev->index);
	pl->link->readable(pl->link);
	pl->link->writable(pl->link);
}

/* Transport */

static int pcie_parse(struct qtfs_endpoint *to, const char *addr, u32 port)
{
	unsigned int index;

	if (kstrtouint(addr, 10, &index))
		return -EINVAL;
	*(unsigned int *)&to->addr = index;
	to->addr_len = sizeof(index);
	return 0;
}

static unsigned int endpoint_index(const struct qtfs_endpoint *to)
{
	return *(const unsigned int *)&to->addr;
}

static int pcie_print(const struct qtfs_endpoint *to, char *buf, size_t size)
{
	return snprintf(buf, size, "pcie:%u", endpoint_index(to));
}

static struct pcie_link *link_new(struct qtfs_link *link, struct qtfs_pcie *dev)
{
	struct pcie_link *pl = kzalloc(sizeof(*pl), GFP_KERNEL);

	if (!pl)
		return NULL;
	pl->link = link;
	pl->dev = dev;
	timer_setup(&pl->watch, pcie_watch, 0);
	link->pcie = pl;
	return pl;
}

/* A queue that nobody uses and the server has left. */
static int link_take_queue(struct pcie_link *pl)
{
	struct qtfs_pcie *dev = pl->dev;
	struct pcie_client *client = client_of(dev);
	unsigned int q;

	lockdep_assert_held(&client->lock);
	for (q = 0; q < dev->queues; q++)
		if (!client->links[q])
			break;
	if (q == dev->queues)
		return -EBUSY;
	client->links[q] = pl;
	pl->q = q;
	pl->ring.out = dev->out + QTFS_RING_QUEUE(q);
	pl->ring.in = dev->in + QTFS_RING_QUEUE(q);
	pl->ring.out_data = dev->out + dev->ring_offset + q * dev->ring_size;
	pl->ring.in_data = dev->in + dev->ring_offset + q * dev->ring_size;
	pl->ring.size = dev->ring_size;
	return 0;
}

static int link_begin(struct pcie_link *pl)
{
	struct pcie_client *client = client_of(pl->dev);
	int err;

	spin_lock_bh(&client->lock);
	err = qtfs_pcie_peer(pl->dev, &pl->generation) ?: link_take_queue(pl);
	if (!err) {
		if (!++client->conn)
			++client->conn;
		qtfs_ring_open(&pl->ring, client->conn);
	}
	spin_unlock_bh(&client->lock);
	if (!err) {
		qtfs_pcie_kick(pl->dev, pl->q);
		qtfs_pcie_look_soon(pl->dev);
	}
	return err == -ENOTCONN ? -ECONNREFUSED : err;
}

static bool link_connected(struct pcie_link *pl)
{
	bool yes = true;

	if (qtfs_pcie_begin(pl->dev)) {
		yes = qtfs_ring_joined(&pl->ring);
		qtfs_pcie_end();
	}
	return yes;
}

static int link_wait_connected(struct pcie_link *pl, long timeout)
{
	long left = wait_event_killable_timeout(client_of(pl->dev)->news_wq,
						link_connected(pl), timeout);

	if (left < 0)
		return -EINTR;
	if (!left)
		return -ETIMEDOUT;
	return READ_ONCE(pl->dev->dead) ? -ENODEV : 0;
}

/* The server hears of the end, if the device is still there. */
static void link_leave(struct pcie_link *pl)
{
	if (!qtfs_pcie_begin(pl->dev))
		return;
	qtfs_ring_close(&pl->ring);
	qtfs_pcie_kick(pl->dev, pl->q);
	qtfs_pcie_end();
}

static void pcie_close(struct qtfs_link *link)
{
	struct pcie_link *pl = link->pcie;
	struct pcie_client *client = client_of(pl->dev);

	if (pl->ring.out)
		link_leave(pl);
	spin_lock_bh(&client->lock);
	WRITE_ONCE(pl->ended, true);
	if (client->links[pl->q] == pl)
		client->links[pl->q] = NULL;
	spin_unlock_bh(&client->lock);
	timer_delete_sync(&pl->watch);
	qtfs_pcie_put(pl->dev);
	link->pcie = NULL;
	kfree(pl);
}

static int pcie_open(struct qtfs_link *link, struct net *net,
		     const struct qtfs_endpoint *to, long timeout)
{
	struct qtfs_pcie *dev = qtfs_pcie_get(endpoint_index(to));
	struct pcie_link *pl;
	int err = -ENODEV;

	if (!dev)
		return -ENODEV;
	pl = link_new(link, dev);
	if (!pl) {
		qtfs_pcie_put(dev);
		return -ENOMEM;
	}
	if (qtfs_pcie_begin(dev)) {
		err = link_begin(pl);
		qtfs_pcie_end();
	}
	if (!err)
		err = link_wait_connected(pl, timeout);
	if (err) {
		pcie_close(link);
		return err;
	}
	pl->heard = jiffies;
	WRITE_ONCE(pl->opened, true);
	return 0;
}

/* The server has started anew: what it said before is void. */
static bool link_lost(const struct pcie_link *pl)
{
	const struct qtfs_ring_window *in = qtfs_pcie_in(pl->dev);

	return READ_ONCE(pl->ended) ||
	       le64_to_cpu(READ_ONCE(in->generation)) != pl->generation;
}

static u64 spin_bound(void)
{
	return min(READ_ONCE(spin_us), 10000u) * NSEC_PER_USEC;
}

/*
 * Looking is worth it while what one waits for mostly comes within the bound. One
 * long wait says little: the peer may just have had nothing to do.
 */
static void spin_learn(struct pcie_link *pl)
{
	u64 waited = min(ktime_get_ns() - pl->waiting, 2 * spin_bound());

	pl->wait_ns = (pl->wait_ns * 7 + waited) / 8;
	pl->waiting = 0;
}

static ssize_t pcie_send(struct qtfs_link *link, struct iov_iter *from,
			 bool more)
{
	struct pcie_link *pl = link->pcie;
	bool ring_it = false;
	ssize_t n;

	if (!qtfs_pcie_begin(pl->dev))
		return -ENODEV;
	if (link_lost(pl)) {
		n = -ECONNRESET;
		goto out;
	}
	n = qtfs_ring_send(&pl->ring, from, &ring_it);
	if (n == -EAGAIN) {
		set_bit(QTFS_LINK_FULL, &link->flags);
		qtfs_pcie_look_soon(pl->dev);
		if (qtfs_ring_sleep_tx(&pl->ring))
			n = qtfs_ring_send(&pl->ring, from, &ring_it);
	}
	if (n > 0 && !timer_pending(&pl->watch))
		mod_timer(&pl->watch, jiffies + ASK_AFTER);
	if (ring_it)
		qtfs_pcie_kick(pl->dev, pl->q);
out:
	qtfs_pcie_end();
	return n;
}

static ssize_t pcie_recv(struct qtfs_link *link, struct iov_iter *to)
{
	struct pcie_link *pl = link->pcie;
	bool ring_it = false;
	ssize_t n;

	if (!qtfs_pcie_begin(pl->dev))
		return -ENODEV;
	if (link_lost(pl))
		n = -ECONNRESET;
	else
		n = qtfs_ring_recv(&pl->ring, to, &ring_it);
	if (n > 0)
		WRITE_ONCE(pl->heard, jiffies);
	if (n > 0 && pl->waiting)
		spin_learn(pl);
	if (ring_it)
		qtfs_pcie_kick(pl->dev, pl->q);
	qtfs_pcie_end();
	return n;
}

static bool pcie_pending(struct qtfs_link *link)
{
	struct pcie_link *pl = link->pcie;
	bool yes = true;

	if (qtfs_pcie_begin(pl->dev)) {
		yes = qtfs_ring_readable(&pl->ring) || link_lost(pl);
		qtfs_pcie_end();
	}
	return yes;
}

static bool pcie_arm(struct qtfs_link *link)
{
	struct pcie_link *pl = link->pcie;
	bool yes = true;

	if (qtfs_pcie_begin(pl->dev)) {
		pl->armed = true;
		qtfs_pcie_look_soon(pl->dev);
		yes = qtfs_ring_sleep_rx(&pl->ring) || link_lost(pl);
		qtfs_pcie_end();
	}
	return yes;
}

static bool pcie_spin(struct qtfs_link *link)
{
	struct pcie_link *pl = link->pcie;
	u64 bound = spin_bound();
	u64 now = ktime_get_ns();
	u64 end = now + bound;

	if (!pl->waiting)
		pl->waiting = now;
	if (pl->wait_ns > bound)
		return pcie_pending(link);
	if (pl->armed && qtfs_pcie_begin(pl->dev)) {
		pl->armed = false;
		qtfs_ring_wake_rx(&pl->ring);
		qtfs_pcie_end();
	}
	while (!pcie_pending(link)) {
		if (need_resched() || signal_pending(current) ||
		    ktime_get_ns() >= end)
			return false;
		cpu_relax();
	}
	return true;
}

static void pcie_shutdown(struct qtfs_link *link)
{
	struct pcie_link *pl = link->pcie;

	WRITE_ONCE(pl->ended, true);
	link_leave(pl);
	link->readable(link);
	link->writable(link);
}

const struct qtfs_transport qtfs_pcie_transport = {
	.name		= "pcie",
	.address	= "the number of a device",
	.parse		= pcie_parse,
	.print		= pcie_print,
	.open		= pcie_open,
	.send		= pcie_send,
	.recv		= pcie_recv,
	.pending	= pcie_pending,
	.arm		= pcie_arm,
	.spin		= pcie_spin,
	.shutdown	= pcie_shutdown,
	.close		= pcie_close,
};
