// SPDX-License-Identifier: GPL-2.0-only
/* Device numbers of the server's filesystems: see devs.h. */
#include <linux/fs.h>
#include <linux/slab.h>

#include "devs.h"

/* A server that invents devices uses up nothing but its own mount's. */
#define DEVS_MAX 1024

/* @taken: @here belongs to a superblock */
struct qtfs_dev {
	struct list_head link;
	dev_t server;
	dev_t here;
	bool taken;
};

void qtfs_devs_init(struct qtfs_devs *devs)
{
	mutex_init(&devs->lock);
	INIT_LIST_HEAD(&devs->list);
	devs->nr = 0;
}

void qtfs_devs_destroy(struct qtfs_devs *devs)
{
	struct qtfs_dev *d, *next;

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
	d = kzalloc(sizeof(*d), GFP_KERNEL);
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

dev_t qtfs_dev_of(struct qtfs_devs *devs, dev_t dev)
{
	struct qtfs_dev *d;
	dev_t here;

	mutex_lock(&devs->lock);
	d = dev_find(devs, dev) ?: dev_add(devs, dev);
	here = d ? d->here : 0;
	mutex_unlock(&devs->lock);
	return here;
}

int qtfs_dev_take(struct qtfs_devs *devs, dev_t dev, dev_t *here)
{
	struct qtfs_dev *d;
	int err = 0;

	mutex_lock(&devs->lock);
	d = dev_find(devs, dev) ?: dev_add(devs, dev);
	if (d && !d->taken) {
		d->taken = true;
		*here = d->here;
	} else {
		err = get_anon_bdev(here);
	}
	mutex_unlock(&devs->lock);
	return err;
}

void qtfs_dev_drop(struct qtfs_devs *devs, dev_t here)
{
	struct qtfs_dev *d;

	mutex_lock(&devs->lock);
	list_for_each_entry(d, &devs->list, link) {
		if (d->here != here)
			continue;
		list_del(&d->link);
		kfree(d);
		devs->nr--;
		break;
	}
	mutex_unlock(&devs->lock);
}
