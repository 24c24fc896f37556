/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Device numbers. One mount shows all of the server's filesystems, whose inode
 * numbers repeat: each gets an anonymous device number of its own for st_dev,
 * as btrfs gives its subvolumes. The root's filesystem has the superblock's.
 */
#ifndef QTFS_DEVS_H
#define QTFS_DEVS_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct super_block;

/**
 * struct qtfs_devs - a superblock's device numbers
 * @lock: protects @list and @nr
 * @list: of struct qtfs_dev (devs.c)
 * @nr: how many
 * @root: the server's device number of the mounted directory
 */
struct qtfs_devs {
	struct mutex lock;
	struct list_head list;
	unsigned int nr;
	dev_t root;
};

void qtfs_devs_init(struct qtfs_devs *devs);
void qtfs_devs_destroy(struct qtfs_devs *devs);

/* The st_dev for the server's @dev; the superblock's when there is none left. */
dev_t qtfs_dev_of(struct super_block *sb, dev_t dev);

#endif /* QTFS_DEVS_H */
