// SPDX-License-Identifier: GPL-2.0-only
/* Device numbers of the server's filesystems: see devs.h. */
#include <linux/fs.h>
#include <linux/slab.h>

#include "devs.h"

/* A server that invents devices uses up nothing but its own mount's. */
#define DEVS_MAX 1024

/* @taken: @here is a superblock's */
struct qtfs_dev {
	struct list_head link;
	dev_t server;
	dev_t here;
	bool taken;
};

void qtfs_devs_init(struct qtfs_devs *devs)
{
	spin_lock_init(&devs->lock);
	INIT_LIST_HEAD(&devs->list);
	devs->nr = 0;
}

/* No superblock is left. */
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

	lockdep_assert_held(&devs->lock);

	list_for_each_entry(d, &devs->list, link)
		if (d->server == server)
			return d;
	return NULL;
}

/* Somebody else may have been faster; then it is his. */
static struct qtfs_dev *dev_insert(struct qtfs_devs *devs, struct qtfs_dev *made)
{
	struct qtfs_dev *d;

	spin_lock(&devs->lock);
	d = dev_find(devs, made->server);
	if (!d && devs->nr < DEVS_MAX) {
		list_add(&made->link, &devs->list);
		devs->nr++;
		d = made;
	}
	spin_unlock(&devs->lock);
	return d;
}

dev_t qtfs_dev_of(struct qtfs_devs *devs, dev_t dev)
{
	struct qtfs_dev *d, *made;

	spin_lock(&devs->lock);
	d = dev_find(devs, dev);
	spin_unlock(&devs->lock);
	if (d)
		return d->here;
	made = kzalloc(sizeof(*made), GFP_KERNEL);
	if (!made || get_anon_bdev(&made->here)) {
		kfree(made);
		return 0;
	}
	made->server = dev;
	d = dev_insert(devs, made);
	if (d != made) {
		free_anon_bdev(made->here);
		kfree(made);
	}
	return d ? d->here : 0;
}

int qtfs_dev_enter(struct qtfs_devs *devs, dev_t dev, dev_t here)
{
	struct qtfs_dev *made = kzalloc(sizeof(*made), GFP_KERNEL);

	if (!made)
		return -ENOMEM;
	made->server = dev;
	made->here = here;
	made->taken = true;
	if (dev_insert(devs, made) == made)
		return 0;
	kfree(made);
	return -EEXIST;
}

dev_t qtfs_dev_take(struct qtfs_devs *devs, dev_t dev)
{
	struct qtfs_dev *d;
	dev_t here = 0;

	spin_lock(&devs->lock);
	d = dev_find(devs, dev);
	if (d && !d->taken) {
		d->taken = true;
		here = d->here;
	}
	spin_unlock(&devs->lock);
	return here;
}

bool qtfs_dev_give_back(struct qtfs_devs *devs, dev_t here)
{
	struct qtfs_dev *d;
	bool found = false;

	spin_lock(&devs->lock);
	list_for_each_entry(d, &devs->list, link)
		if (d->here == here && d->taken) {
			d->taken = false;
			found = true;
		}
	spin_unlock(&devs->lock);
	return found;
}
