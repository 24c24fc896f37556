/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Device numbers. The server's filesystems have inode numbers that repeat: each
 * gets an anonymous device number of its own for st_dev, as btrfs gives its
 * subvolumes. It is the superblock's where a submount has begun with it.
 */
#ifndef QTFS_DEVS_H
#define QTFS_DEVS_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

/**
 * struct qtfs_devs - a session's device numbers
 * @lock: protects @list and @nr
 * @list: of struct qtfs_dev (devs.c)
 * @nr: how many
 */
struct qtfs_devs {
	struct mutex lock;
	struct list_head list;
	unsigned int nr;
};

void qtfs_devs_init(struct qtfs_devs *devs);
void qtfs_devs_destroy(struct qtfs_devs *devs);

/* The number for the server's @dev, or 0 when there is none left. */
dev_t qtfs_dev_of(struct qtfs_devs *devs, dev_t dev);

/**
 * qtfs_dev_take - a number for the superblock of a filesystem of the server
 * @here: returned: that of the server's @dev, or another if a superblock has it
 *
 * It belongs to the superblock, which drops it with qtfs_dev_drop() and frees
 * it. 0, -ENOMEM or what get_anon_bdev() gives.
 */
int qtfs_dev_take(struct qtfs_devs *devs, dev_t dev, dev_t *here);

/* The superblock with that number is about to go. */
void qtfs_dev_drop(struct qtfs_devs *devs, dev_t here);

#endif /* QTFS_DEVS_H */
