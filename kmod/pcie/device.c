// SPDX-License-Identifier: GPL-2.0-only
/*
 * Binds QEMU's ivshmem (docs/specs/ivshmem-spec.rst of QEMU): BAR 0 registers,
 * BAR 2 the shared memory, an MSI-X vector for each doorbell, or none of them
 * (ivshmem-plain): then this end looks from time to time while it sleeps.
 *
 * The first half of the memory is the window that the server writes, the second
 * the client's. Both modules know the same device: each refuses memory that is
 * neither empty nor qtfs's.
 *
 * Going away, by unplugging or unloading: @dead is set, readers (RCU) leave,
 * interrupts end, users hear of it (@gone), then the mapping goes. Users keep
 * the structure, not the mapping.
 */
#include <linux/io.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "log.h"
#include "pcie/device.h"

#define IVSHMEM_VENDOR 0x1af4
#define IVSHMEM_DEVICE 0x1110

#define IVSHMEM_POSITION 8
#define IVSHMEM_DOORBELL 12

#define BAR_REGS 0
#define BAR_MEMORY 2

#define VECTORS_MAX 32
#define RING_SIZE (1u << 20)

#define LOOK_MIN_NS (20 * NSEC_PER_USEC)
#define LOOK_MAX_NS (2 * NSEC_PER_MSEC)

static DEFINE_MUTEX(devices_lock); /* protects devices */
static LIST_HEAD(devices);
static const struct qtfs_pcie_end *this_end;

static void device_free(struct kref *ref)
{
	struct qtfs_pcie *dev = container_of(ref, struct qtfs_pcie, ref);

	if (dev->private)
		dev->end->free(dev);
	kfree(dev->vec);
	kfree(dev);
}

void qtfs_pcie_put(struct qtfs_pcie *dev)
{
	kref_put(&dev->ref, device_free);
}

struct qtfs_pcie *qtfs_pcie_get(unsigned int index)
{
	struct qtfs_pcie *dev, *found = NULL;

	mutex_lock(&devices_lock);
	list_for_each_entry(dev, &devices, list)
		if (dev->index == index) {
			kref_get(&dev->ref);
			found = dev;
		}
	mutex_unlock(&devices_lock);
	return found;
}

unsigned int qtfs_pcie_count(void)
{
	struct list_head *at;
	unsigned int count = 0;

	mutex_lock(&devices_lock);
	list_for_each(at, &devices)
		count++;
	mutex_unlock(&devices_lock);
	return count;
}

/* Numbers stay dense: a device that comes back gets its number back. */
static void device_list(struct qtfs_pcie *dev)
{
	struct list_head *at = &devices;
	struct qtfs_pcie *other;

	mutex_lock(&devices_lock);
	list_for_each_entry(other, &devices, list) {
		if (other->index != dev->index) {
			at = &other->list;
			break;
		}
		dev->index++;
	}
	list_add_tail(&dev->list, at);
	mutex_unlock(&devices_lock);
}

static void device_unlist(struct qtfs_pcie *dev)
{
	mutex_lock(&devices_lock);
	list_del(&dev->list);
	mutex_unlock(&devices_lock);
}

/* Doorbells */

static enum hrtimer_restart look_again(struct hrtimer *timer)
{
	struct qtfs_pcie *dev = container_of(timer, struct qtfs_pcie, look);

	tasklet_schedule(&dev->vec[0].tasklet);
	return HRTIMER_NORESTART;
}

static void look_on(struct qtfs_pcie *dev)
{
	u64 ns = min_t(u64, READ_ONCE(dev->look_ns) * 2, LOOK_MAX_NS);

	WRITE_ONCE(dev->look_ns, ns);
	hrtimer_start(&dev->look, ns_to_ktime(ns), HRTIMER_MODE_REL);
}

void qtfs_pcie_look_soon(struct qtfs_pcie *dev)
{
	if (dev->vectors)
		return;
	WRITE_ONCE(dev->look_ns, LOOK_MIN_NS);
	hrtimer_start(&dev->look, ns_to_ktime(LOOK_MIN_NS), HRTIMER_MODE_REL);
}

static void vector_tasklet(struct tasklet_struct *tasklet)
{
	struct qtfs_pcie_vector *vec = from_tasklet(vec, tasklet, tasklet);
	struct qtfs_pcie *dev = vec->dev;
	u32 ping = le32_to_cpu(READ_ONCE(qtfs_pcie_in(dev)->ping));

	/* Answers for the whole end, whatever else was meant. */
	if (le32_to_cpu(qtfs_pcie_out(dev)->pong) != ping) {
		WRITE_ONCE(qtfs_pcie_out(dev)->pong, cpu_to_le32(ping));
		qtfs_pcie_kick(dev, 0);
	}
	if (dev->end->rung(dev, vec->number) && !dev->vectors)
		look_on(dev);
}

static irqreturn_t vector_interrupt(int irq, void *data)
{
	struct qtfs_pcie_vector *vec = data;

	tasklet_schedule(&vec->tasklet);
	return IRQ_HANDLED;
}

void qtfs_pcie_kick(struct qtfs_pcie *dev, unsigned int q)
{
	u32 peer = le32_to_cpu(READ_ONCE(qtfs_pcie_in(dev)->doorbell));
	u32 vectors = le32_to_cpu(READ_ONCE(qtfs_pcie_in(dev)->vectors));

	/* Nobody, or one that looks. A wrong number rings whoever has it. */
	if (!vectors || peer > U16_MAX)
		return;
	writel(peer << 16 | (q % min(vectors, (u32)VECTORS_MAX)),
	       dev->regs + IVSHMEM_DOORBELL);
}


static int device_alloc_vectors(struct qtfs_pcie *dev)
{
	int n = pci_alloc_irq_vectors(dev->pci, 1, VECTORS_MAX, PCI_IRQ_MSIX);
	int i;

	dev->vec = kcalloc(max(n, 1), sizeof(*dev->vec), GFP_KERNEL);
	if (!dev->vec) {
		pci_free_irq_vectors(dev->pci);
		return -ENOMEM;
	}
	dev->vectors = n > 0 ? n : 0;
	for (i = 0; i < max(n, 1); i++) {
		dev->vec[i].dev = dev;
		dev->vec[i].number = i;
		tasklet_setup(&dev->vec[i].tasklet, vector_tasklet);
	}
	return 0;
}

/* The peer may ring from here on: everything that @rung looks at is there. */
static int device_request_irqs(struct qtfs_pcie *dev)
{
	int err;

	while (dev->requested < dev->vectors) {
		err = request_irq(pci_irq_vector(dev->pci, dev->requested),
				  vector_interrupt, 0, dev->end->name,
				  &dev->vec[dev->requested]);
		if (err)
			return err;
		dev->requested++;
	}
	return 0;
}

/* @dev is dead: nothing starts again what is stopped here. */
static void device_free_vectors(struct qtfs_pcie *dev)
{
	unsigned int i;

	for (i = 0; i < dev->requested; i++)
		free_irq(pci_irq_vector(dev->pci, i), &dev->vec[i]);
	for (i = 0; i < max(dev->vectors, 1u); i++)
		tasklet_kill(&dev->vec[i].tasklet);
	/* Each may have started the other, once: @rung sees that it is dead. */
	hrtimer_cancel(&dev->look);
	tasklet_kill(&dev->vec[0].tasklet);
	pci_free_irq_vectors(dev->pci);
}

/* The windows */

static bool geometry_valid(const struct qtfs_pcie *dev, u32 queues, u64 offset,
			   u64 size)
{
	return queues && queues <= QTFS_RING_QUEUES_MAX &&
	       is_power_of_2(size) && size >= QTFS_RING_SIZE_MIN &&
	       size <= QTFS_RING_SIZE_MAX && offset % QTFS_RING_PAGE == 0 &&
	       offset >= QTFS_RING_QUEUE(queues) && offset < dev->window_size &&
	       size * queues <= dev->window_size - offset;
}

int qtfs_pcie_peer(struct qtfs_pcie *dev, u64 *generation)
{
	const struct qtfs_ring_window *in = qtfs_pcie_in(dev);
	u64 offset, size;
	u32 queues;

	if (READ_ONCE(in->magic) != cpu_to_le64(QTFS_RING_MAGIC) ||
	    READ_ONCE(in->state) != cpu_to_le32(QTFS_RING_READY))
		return -ENOTCONN;
	rmb();	/* the rest was written before the state */
	if (READ_ONCE(in->version) != cpu_to_le32(QTFS_RING_VERSION))
		return -EPROTONOSUPPORT;
	*generation = le64_to_cpu(READ_ONCE(in->generation));
	if (dev->end->server)
		return 0;

	queues = le32_to_cpu(READ_ONCE(in->queues));
	offset = le64_to_cpu(READ_ONCE(in->ring_offset));
	size = le64_to_cpu(READ_ONCE(in->ring_size));
	if (!geometry_valid(dev, queues, offset, size))
		return -EPROTO;
	if (!dev->queues) {
		dev->queues = queues;
		dev->ring_offset = offset;
		dev->ring_size = size;
	}
	/* It cannot change under those that use it. */
	return dev->queues == queues && dev->ring_offset == offset &&
	       dev->ring_size == size ? 0 : -EPROTO;
}

/* As many queues as find room for a ring in each window. */
static void device_lay_out(struct qtfs_pcie *dev)
{
	size_t room;

	dev->ring_offset = QTFS_RING_QUEUE(QTFS_RING_QUEUES_MAX);
	dev->ring_offset = ALIGN(dev->ring_offset, QTFS_RING_PAGE);
	dev->ring_size = RING_SIZE;
	room = dev->window_size - dev->ring_offset;
	while (dev->ring_size > QTFS_RING_SIZE_MIN && room / dev->ring_size < 4)
		dev->ring_size /= 2;
	dev->queues = min_t(size_t, room / dev->ring_size,
			    QTFS_RING_QUEUES_MAX);
}

void qtfs_pcie_set_state(struct qtfs_pcie *dev, u32 state)
{
	wmb();	/* after what the state promises */
	WRITE_ONCE(qtfs_pcie_out(dev)->state, cpu_to_le32(state));
	wmb();	/* and before what follows from it */
}

void qtfs_pcie_announce(struct qtfs_pcie *dev)
{
	struct qtfs_ring_window *out = dev->out;
	unsigned int q;

	qtfs_pcie_set_state(dev, QTFS_RING_DOWN);
	do {
		dev->generation = get_random_u64();
	} while (!dev->generation);
	for (q = 0; q < QTFS_RING_QUEUES_MAX; q++)
		memset(dev->out + QTFS_RING_QUEUE(q), 0,
		       sizeof(struct qtfs_ring_queue));
	out->magic = cpu_to_le64(QTFS_RING_MAGIC);
	out->version = cpu_to_le32(QTFS_RING_VERSION);
	out->generation = cpu_to_le64(dev->generation);
	out->queues = cpu_to_le32(dev->queues);
	out->ring_offset = cpu_to_le64(dev->ring_offset);
	out->ring_size = cpu_to_le64(dev->ring_size);
	out->doorbell = cpu_to_le32(readl(dev->regs + IVSHMEM_POSITION));
	out->vectors = cpu_to_le32(dev->vectors);
	out->ping = 0;
	out->pong = READ_ONCE(qtfs_pcie_in(dev)->ping);
}

/* Memory that somebody else uses otherwise is not ours to write. */
static bool window_is_foreign(const struct qtfs_ring_window *window)
{
	return window->magic && window->magic != cpu_to_le64(QTFS_RING_MAGIC);
}

static int device_map(struct qtfs_pcie *dev)
{
	struct pci_dev *pci = dev->pci;
	phys_addr_t start = pci_resource_start(pci, BAR_MEMORY);
	size_t size = pci_resource_len(pci, BAR_MEMORY);
	void *memory;

	dev->window_size = rounddown(size / 2, QTFS_RING_PAGE);
	if (dev->window_size < QTFS_RING_QUEUE(QTFS_RING_QUEUES_MAX) +
			       QTFS_RING_PAGE + QTFS_RING_SIZE_MIN) {
		qtfs_err("%s: %zu bytes of shared memory are too few\n",
			 pci_name(pci), size);
		return -ENOSPC;
	}
	dev->regs = pci_iomap(pci, BAR_REGS, 0);
	if (!dev->regs)
		return -ENOMEM;
	/* The memory of ivshmem is RAM. */
	memory = memremap(start, dev->window_size * 2, MEMREMAP_WB);
	if (!memory) {
		pci_iounmap(pci, dev->regs);
		return -ENOMEM;
	}
	dev->in = memory + (dev->end->server ? dev->window_size : 0);
	dev->out = memory + (dev->end->server ? 0 : dev->window_size);
	dev->in_phys = start + (dev->in - memory);
	dev->out_phys = start + (dev->out - memory);
	if (window_is_foreign(dev->in) || window_is_foreign(dev->out)) {
		qtfs_err("%s: its memory is in other use\n", pci_name(pci));
		memunmap(memory);
		pci_iounmap(pci, dev->regs);
		return -EBUSY;
	}
	return 0;
}

static void device_unmap(struct qtfs_pcie *dev)
{
	memunmap(min(dev->in, dev->out));
	pci_iounmap(dev->pci, dev->regs);
}

static struct qtfs_pcie *device_new(struct pci_dev *pci)
{
	struct qtfs_pcie *dev = kzalloc(sizeof(*dev), GFP_KERNEL);

	if (!dev)
		return NULL;
	kref_init(&dev->ref);
	dev->pci = pci;
	dev->end = this_end;
	qtfs_hrtimer_setup(&dev->look, look_again, CLOCK_MONOTONIC,
			   HRTIMER_MODE_REL);
	return dev;
}

static int device_probe(struct pci_dev *pci, const struct pci_device_id *id)
{
	struct qtfs_pcie *dev = device_new(pci);
	int err;

	if (!dev)
		return -ENOMEM;
	err = pci_enable_device(pci);
	if (err)
		goto out_put;
	err = pci_request_regions(pci, "qtfs");
	if (err)
		goto out_disable;
	pci_set_master(pci);
	err = device_map(dev);
	if (err)
		goto out_release;
	err = dev->end->prepare(dev);
	if (err)
		goto out_unmap;
	err = device_alloc_vectors(dev);
	if (err)
		goto out_unmap;
	if (dev->end->server)
		device_lay_out(dev);
	qtfs_pcie_announce(dev);
	err = device_request_irqs(dev);
	if (err)
		goto out_free_vectors;
	device_list(dev);
	pci_set_drvdata(pci, dev);
	err = dev->end->publish(dev);
	if (err)
		goto out_unlist;
	qtfs_info("%s: shared memory %u, windows of %zu KiB, %u doorbells\n",
		  pci_name(pci), dev->index, dev->window_size >> 10,
		  dev->vectors);
	return 0;

out_unlist:
	device_unlist(dev);
out_free_vectors:
	WRITE_ONCE(dev->dead, true);
	synchronize_rcu();
	device_free_vectors(dev);
	dev->end->gone(dev);
out_unmap:
	device_unmap(dev);
out_release:
	pci_release_regions(pci);
out_disable:
	pci_disable_device(pci);
out_put:
	qtfs_pcie_put(dev);
	return err;
}

static void device_remove(struct pci_dev *pci)
{
	struct qtfs_pcie *dev = pci_get_drvdata(pci);

	device_unlist(dev);
	qtfs_pcie_announce(dev);	/* no connections, and nobody there */
	qtfs_pcie_kick(dev, 0);
	WRITE_ONCE(dev->dead, true);
	synchronize_rcu();
	device_free_vectors(dev);
	dev->end->gone(dev);
	device_unmap(dev);
	pci_release_regions(pci);
	pci_disable_device(pci);
	qtfs_pcie_put(dev);
}

static const struct pci_device_id device_ids[] = {
	{ PCI_DEVICE(IVSHMEM_VENDOR, IVSHMEM_DEVICE) },
	{}
};

static struct pci_driver device_driver = {
	.id_table = device_ids,
	.probe = device_probe,
	.remove = device_remove,
};

int qtfs_pcie_register(const struct qtfs_pcie_end *end)
{
	this_end = end;
	device_driver.name = end->name;
	return pci_register_driver(&device_driver);
}

void qtfs_pcie_unregister(void)
{
	pci_unregister_driver(&device_driver);
}
