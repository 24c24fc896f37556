/* SPDX-License-Identifier: GPL-2.0-only */
/* Locks: flock(2), and fcntl(2)'s of processes and of open files. */
#ifndef QTFS_LOCK_H
#define QTFS_LOCK_H

#include <linux/fs.h>

struct file_lock;
struct qtfs_chan;

/* ->lock and ->flock of every file. */
int qtfs_lock(struct file *file, int cmd, struct file_lock *fl);
int qtfs_flock(struct file *file, int cmd, struct file_lock *fl);

/*
 * Where what changes the file past the cache has to travel, so that an UNLOCK
 * cannot overtake it; NULL: nobody here has locked it.
 */
struct qtfs_chan *qtfs_locked_chan(struct file *file);

/* Whether a process here has a lock on it, which close(2) gives back after ->flush. */
bool qtfs_posix_locked(struct inode *inode);

/*
 * Whether somebody here has locked a part of the file: others may change what
 * is beside it, on the same page.
 */
bool qtfs_partly_locked(struct inode *inode);

#endif /* QTFS_LOCK_H */
