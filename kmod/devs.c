// SPDX-License-Identifier: GPL-2.0-only
/* Device numbers of the server's filesystems: see devs.h. */
#include <linux/fs.h>
#include <linux/slab.h>

#include "devs.h"
#include "super.h"

/* A server that invents devices uses up nothing but its own mount's. */
#define DEVS_MAX 1024

struct qtfs_dev {
	struct list_head link;
	dev_t server;
	dev_t here;
};

void qtfs_devs_init(struct qtfs_devs *devs)
{
	mutex_init(&devs->lock);
	INIT_LIST_HEAD(&devs->list);
}

void qtfs_devs_destroy(struct qtfs_devs *devs)
{
	struct qtfs_dev *d, *next;

	if (!devs->list.next)	/* the superblock was never filled */
		return;
	list_for_each_entry_safe(d, next, &devs->list, link) {
		free_anon_bdev(d->here);
		kfree(d);
	}
}

static struct qtfs_dev *dev_find(struct qtfs_devs *devs, dev_t server)
{
	struct qtfs_dev *d;

	list_for_each_entry(d, &devs->list, link)
		if (d->server == server)
			return d;
	return NULL;
}

static struct qtfs_dev *dev_add(struct qtfs_devs *devs, dev_t server)
{
	struct qtfs_dev *d;

	if (devs->nr >= DEVS_MAX)
		return NULL;
	d = kmalloc(sizeof(*d), GFP_KERNEL);
	if (!d)
		return NULL;
	if (get_anon_bdev(&d->here)) {
		kfree(d);
		return NULL;
	}
	d->server = server;
	list_add(&d->link, &devs->list);
	devs->nr++;
	return d;
}

dev_t qtfs_dev_of(struct super_block *sb, dev_t dev)
{
	struct qtfs_devs *devs = &qtfs_fs(sb)->devs;
	struct qtfs_dev *d;
	dev_t here;

	if (dev == devs->root)
		return sb->s_dev;
	mutex_lock(&devs->lock);
	d = dev_find(devs, dev) ?: dev_add(devs, dev);
	here = d ? d->here : sb->s_dev;
	mutex_unlock(&devs->lock);
	return here;
}
