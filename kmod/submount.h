/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Submounts: where a mount of the server begins, another superblock of the same
 * session is mounted by itself, as NFS does it: with a line in mountinfo,
 * statfs and st_dev of its own, until nobody has used it for a while.
 */
#ifndef QTFS_SUBMOUNT_H
#define QTFS_SUBMOUNT_H

#include <linux/types.h>

struct path;
struct qtfs_session;
struct vfsmount;

/* ->d_automount: somebody walks over the place. */
struct vfsmount *qtfs_d_automount(struct path *path);

/*
 * The server has other mounts than before: names are looked up again. Does not
 * sleep.
 */
void qtfs_mounts_changed(struct qtfs_session *session);

/* PUSH_MOUNTS. Does not sleep. An error when it breaks the protocol. */
int qtfs_mounts_push(struct qtfs_session *session, const void *body,
		     size_t len);

void qtfs_submount_exit(void);

#endif /* QTFS_SUBMOUNT_H */
