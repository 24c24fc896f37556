/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Device numbers. The server's filesystems have inode numbers that repeat: each
 * gets an anonymous device number of its own for st_dev, as btrfs gives its
 * subvolumes, for as long as the session lasts. A superblock has the number of
 * the filesystem that it shows, if no other has it.
 */
#ifndef QTFS_DEVS_H
#define QTFS_DEVS_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/**
 * struct qtfs_devs - a session's device numbers
 * @lock: protects the rest
 * @list: of struct qtfs_dev (devs.c)
 * @nr: how many
 */
struct qtfs_devs {
	spinlock_t lock;
	struct list_head list;
	unsigned int nr;
};

void qtfs_devs_init(struct qtfs_devs *devs);
void qtfs_devs_destroy(struct qtfs_devs *devs);

/* The number for the server's @dev, or 0 when there is none left. */
dev_t qtfs_dev_of(struct qtfs_devs *devs, dev_t dev);

/* A superblock's own number @here is to be that for the server's @dev. */
int qtfs_dev_enter(struct qtfs_devs *devs, dev_t dev, dev_t here);

/*
 * The number for the server's @dev, which qtfs_dev_of() gave, becomes a
 * superblock's, until it gives it back. 0: another has it. Does not sleep.
 */
dev_t qtfs_dev_take(struct qtfs_devs *devs, dev_t dev);

/* Whether @here was one of these. */
bool qtfs_dev_give_back(struct qtfs_devs *devs, dev_t here);

#endif /* QTFS_DEVS_H */
