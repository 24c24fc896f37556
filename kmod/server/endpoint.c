// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/qtfs_pcieN (uapi/linux/qtfs_pcie.h): maps the windows into an engine and
 * passes doorbells on, from the client to eventfds, from the engine to the device.
 * The rings' bytes and indices are between the engine and the client; this module
 * looks at them only where there are no doorbells.
 *
 * When the device goes away under an engine, its mappings change to memory that
 * says so: nobody there, and room for what is still written.
 */
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/qtfs_pcie.h>

#include "compat/compat.h"
#include "log.h"
#include "pcie/device.h"
#include "server/endpoint.h"

/**
 * struct endpoint - this module's part of a device
 * @dev: the device
 * @misc: the file
 * @registered: @misc can be opened
 * @name: its name
 * @lock: protects @used and @mapping
 * @used: an engine has the file open
 * @mapping: of that open file
 * @news_lock: protects @news and @seen; taken in softirq context
 * @news: of each queue: whom to tell
 * @seen: of each queue: what was last told of
 * @scratch: takes the place of the server's window when the device is gone
 */
struct endpoint {
	struct qtfs_pcie *dev;
	struct miscdevice misc;
	bool registered;
	char name[24];

	struct mutex lock;
	bool used;
	struct address_space *mapping;

	spinlock_t news_lock;
	struct eventfd_ctx *news[QTFS_RING_QUEUES_MAX];
	struct {
		__le64 head;
		__le64 tail;
		__le32 conn;
	} seen[QTFS_RING_QUEUES_MAX];
	struct page *scratch;
};

/* Doorbells */

static const struct qtfs_ring_queue *endpoint_in(struct endpoint *ep,
						 unsigned int q)
{
	return ep->dev->in + QTFS_RING_QUEUE(q);
}

/* Without doorbells: whether the client did something. */
static bool endpoint_stirred(struct endpoint *ep, unsigned int q)
{
	const struct qtfs_ring_queue *in = endpoint_in(ep, q);
	__le64 head = READ_ONCE(in->head), tail = READ_ONCE(in->tail);
	__le32 conn = READ_ONCE(in->conn);
	bool news = head != ep->seen[q].head || tail != ep->seen[q].tail ||
		    conn != ep->seen[q].conn;

	ep->seen[q].head = head;
	ep->seen[q].tail = tail;
	ep->seen[q].conn = conn;
	return news;
}

static bool endpoint_rung(struct qtfs_pcie *dev, unsigned int vector)
{
	struct endpoint *ep = dev->private;
	bool stirred = false, bound = false;
	unsigned int q;

	spin_lock(&ep->news_lock);
	for (q = 0; q < dev->queues; q++) {
		if (!ep->news[q])
			continue;
		bound = true;
		/* The first vector also tells of the client's coming and going. */
		if (dev->vectors ? vector && q % dev->vectors != vector :
				   !endpoint_stirred(ep, q))
			continue;
		stirred = true;
		qtfs_eventfd_signal(ep->news[q]);
	}
	spin_unlock(&ep->news_lock);
	if (stirred && !dev->vectors && !READ_ONCE(dev->dead))
		qtfs_pcie_look_soon(dev);
	return bound && !READ_ONCE(dev->dead);
}

static void endpoint_tell_all(struct endpoint *ep)
{
	unsigned int q;

	spin_lock_bh(&ep->news_lock);
	for (q = 0; q < QTFS_RING_QUEUES_MAX; q++)
		if (ep->news[q])
			qtfs_eventfd_signal(ep->news[q]);
	spin_unlock_bh(&ep->news_lock);
}

static void endpoint_unbind(struct endpoint *ep)
{
	struct eventfd_ctx *ctx;
	unsigned int q;

	for (q = 0; q < QTFS_RING_QUEUES_MAX; q++) {
		spin_lock_bh(&ep->news_lock);
		ctx = ep->news[q];
		ep->news[q] = NULL;
		spin_unlock_bh(&ep->news_lock);
		if (ctx)
			eventfd_ctx_put(ctx);
	}
}

/* The file */

static int endpoint_open(struct inode *inode, struct file *file)
{
	struct endpoint *ep = container_of(file->private_data, struct endpoint,
					   misc);
	int err = -EBUSY;

	mutex_lock(&ep->lock);
	if (ep->used)
		goto out;
	err = -ENODEV;
	if (!qtfs_pcie_begin(ep->dev))
		goto out;
	qtfs_pcie_announce(ep->dev);
	qtfs_pcie_end();
	ep->used = true;
	ep->mapping = file->f_mapping;
	kref_get(&ep->dev->ref);
	err = 0;
out:
	mutex_unlock(&ep->lock);
	return err;
}

static int endpoint_release(struct inode *inode, struct file *file)
{
	struct endpoint *ep = container_of(file->private_data, struct endpoint,
					   misc);

	endpoint_unbind(ep);
	mutex_lock(&ep->lock);
	if (qtfs_pcie_begin(ep->dev)) {
		qtfs_pcie_announce(ep->dev);
		qtfs_pcie_kick(ep->dev, 0);
		qtfs_pcie_end();
	}
	ep->used = false;
	ep->mapping = NULL;
	mutex_unlock(&ep->lock);
	qtfs_pcie_put(ep->dev);
	return 0;
}

static bool maps_out(const struct vm_area_struct *vma)
{
	return vma->vm_pgoff >= QTFS_PCIE_MAP_OUT >> PAGE_SHIFT;
}

/*
 * Pages are mapped as they are touched: a mapping that is just being made when the
 * device goes is then known to unmap_mapping_range().
 */
static vm_fault_t endpoint_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct endpoint *ep = vma->vm_private_data;
	bool out = maps_out(vma);
	unsigned long pfn;
	vm_fault_t ret;

	mutex_lock(&ep->lock);	/* endpoint_gone() zaps before or after */
	if (READ_ONCE(ep->dev->dead))
		pfn = page_to_pfn(out ? ep->scratch : ZERO_PAGE(0));
	else
		pfn = PHYS_PFN(out ? ep->dev->out_phys : ep->dev->in_phys) +
		      vmf->pgoff - (out ? QTFS_PCIE_MAP_OUT >> PAGE_SHIFT : 0);
	ret = vmf_insert_pfn(vma, vmf->address, pfn);
	mutex_unlock(&ep->lock);
	return ret;
}

static const struct vm_operations_struct endpoint_vm_ops = {
	.fault = endpoint_fault,
};

static int endpoint_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct endpoint *ep = container_of(file->private_data, struct endpoint,
					   misc);
	size_t len = vma->vm_end - vma->vm_start;
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;

	if (maps_out(vma))
		offset -= QTFS_PCIE_MAP_OUT;
	if (offset > ep->dev->window_size ||
	    len > ep->dev->window_size - offset ||
	    !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (!maps_out(vma) && (vma->vm_flags & VM_WRITE))
		return -EACCES;
	if (!maps_out(vma))
		vm_flags_clear(vma, VM_MAYWRITE);
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = ep;
	vma->vm_ops = &endpoint_vm_ops;
	return 0;
}

static long endpoint_info(struct endpoint *ep, void __user *arg)
{
	struct qtfs_pcie_info info = {
		.window_size = ep->dev->window_size,
		.ring_offset = ep->dev->ring_offset,
		.ring_size = ep->dev->ring_size,
		.queues = ep->dev->queues,
		.doorbells = ep->dev->vectors,
	};

	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static long endpoint_bind(struct endpoint *ep, void __user *arg)
{
	struct qtfs_pcie_bind bind;
	struct eventfd_ctx *ctx;

	if (copy_from_user(&bind, arg, sizeof(bind)))
		return -EFAULT;
	if (bind.queue >= ep->dev->queues)
		return -EINVAL;
	ctx = eventfd_ctx_fdget(bind.eventfd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	spin_lock_bh(&ep->news_lock);
	swap(ep->news[bind.queue], ctx);
	spin_unlock_bh(&ep->news_lock);
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}

static long endpoint_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg)
{
	struct endpoint *ep = container_of(file->private_data, struct endpoint,
					   misc);
	long err = 0;

	switch (cmd) {
	case QTFS_PCIE_INFO:
		return endpoint_info(ep, (void __user *)arg);
	case QTFS_PCIE_BIND:
		return endpoint_bind(ep, (void __user *)arg);
	}
	if (!qtfs_pcie_begin(ep->dev))
		return -ENODEV;
	switch (cmd) {
	case QTFS_PCIE_KICK:
		if (arg < ep->dev->queues)
			qtfs_pcie_kick(ep->dev, arg);
		else
			err = -EINVAL;
		break;
	case QTFS_PCIE_READY:
		qtfs_pcie_set_state(ep->dev, QTFS_RING_READY);
		qtfs_pcie_kick(ep->dev, 0);
		qtfs_pcie_look_soon(ep->dev);
		break;
	default:
		err = -ENOTTY;
	}
	qtfs_pcie_end();
	return err;
}

static const struct file_operations endpoint_fops = {
	.owner		= THIS_MODULE,
	.open		= endpoint_open,
	.release	= endpoint_release,
	.mmap		= endpoint_mmap,
	.unlocked_ioctl	= endpoint_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

/* The device */

static int endpoint_prepare(struct qtfs_pcie *dev)
{
	struct endpoint *ep = kzalloc(sizeof(*ep), GFP_KERNEL);

	if (!ep)
		return -ENOMEM;
	ep->scratch = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!ep->scratch) {
		kfree(ep);
		return -ENOMEM;
	}
	ep->dev = dev;
	mutex_init(&ep->lock);
	spin_lock_init(&ep->news_lock);
	dev->private = ep;
	return 0;
}

static int endpoint_publish(struct qtfs_pcie *dev)
{
	struct endpoint *ep = dev->private;
	int err;

	snprintf(ep->name, sizeof(ep->name), "qtfs_pcie%u", dev->index);
	ep->misc = (struct miscdevice){
		.minor	= MISC_DYNAMIC_MINOR,
		.name	= ep->name,
		.fops	= &endpoint_fops,
		.mode	= 0600,
	};
	err = misc_register(&ep->misc);
	ep->registered = !err;
	return err;
}

static void endpoint_gone(struct qtfs_pcie *dev)
{
	struct endpoint *ep = dev->private;

	if (ep->registered)
		misc_deregister(&ep->misc);
	mutex_lock(&ep->lock);
	if (ep->mapping)
		unmap_mapping_range(ep->mapping, 0, 0, 1);
	mutex_unlock(&ep->lock);
	endpoint_tell_all(ep);
}

static void endpoint_free(struct qtfs_pcie *dev)
{
	struct endpoint *ep = dev->private;

	__free_page(ep->scratch);
	kfree(ep);
}

static const struct qtfs_pcie_end server_end = {
	.name	= "qtfs_server",
	.server	= true,
	.prepare = endpoint_prepare,
	.publish = endpoint_publish,
	.rung	= endpoint_rung,
	.gone	= endpoint_gone,
	.free	= endpoint_free,
};

int qtfs_endpoint_init(void)
{
	return qtfs_pcie_register(&server_end);
}

void qtfs_endpoint_exit(void)
{
	qtfs_pcie_unregister();
}
