/* SPDX-License-Identifier: GPL-2.0-only */
/* What a superblock carries: its session, its options. */
#ifndef QTFS_SUPER_H
#define QTFS_SUPER_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/list.h>

#include "codec.h"
#include "session.h"

#define QTFS_SUPER_MAGIC 0x51544653	/* "QTFS" */

enum qtfs_symlinks {
	QTFS_SYMLINKS_AUTO,	/* relative where the whole / is mounted */
	QTFS_SYMLINKS_RELATIVE,
	QTFS_SYMLINKS_RAW,
};

enum qtfs_cache {
	QTFS_CACHE_STRICT,	/* close-to-open */
	QTFS_CACHE_NONE,	/* only mappings have pages */
	QTFS_CACHE_LOOSE,	/* names and attributes are believed for a day */
};

#define QTFS_LOCAL_FLOCK	0x1u
#define QTFS_LOCAL_POSIX	0x2u

/**
 * struct qtfs_options - mount options, after defaults
 * @cache: what is believed for how long, and whether data is kept
 * @rsize: longest read, bytes
 * @wsize: longest write, bytes
 * @ra_kib: readahead window, KiB
 * @soft: calls fail after @timeo * @retrans
 * @timeo: in tenths of a second
 * @local_lock: QTFS_LOCAL_*: locks that exclude nobody but this mount's own
 * @nconnect: connections of the session; 0: not said
 * @redirects: rules of the server may lead to files of this machine
 * @ac: attribute time-outs in seconds
 */
struct qtfs_options {
	enum qtfs_symlinks symlinks;
	enum qtfs_cache cache;
	u32 rsize;
	u32 wsize;
	u32 ra_kib;
	u32 connect_timeout;
	u32 local_lock;
	u32 soft;
	u32 timeo;
	u32 retrans;
	u32 nconnect;
	u32 remote_devices;
	u32 redirects;
	struct qtfs_ac {
		u32 reg_min;
		u32 reg_max;
		u32 dir_min;
		u32 dir_max;
	} ac;
};

/**
 * struct qtfs_fs - a superblock's s_fs_info
 * @sb: the superblock
 * @spare_dev: a device number for it to go with, when it gives back its own
 * @link: among the session's superblocks
 * @root: the node of its root
 * @mount: the server's mount that it shows
 * @dev: device number of that mount's filesystem there
 * @st_dev: the same here
 * @below: a submount's: path to it when it was made, "/..."
 * @clock: counts questions and local changes; see qtfs_inode_update()
 * @mounts_clock: when the server's mounts last changed: what directories names
 *	led to before that is asked again
 */
struct qtfs_fs {
	struct super_block *sb;
	dev_t spare_dev;
	struct list_head link;
	struct qtfs_session *session;
	struct qtfs_options opts;
	u64 root;
	u64 mount;
	dev_t dev;
	dev_t st_dev;
	char *below;
	atomic64_t clock;
	unsigned long mounts_clock;
};

static inline struct qtfs_fs *qtfs_fs(const struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct qtfs_session *qtfs_session(const struct super_block *sb)
{
	return qtfs_fs(sb)->session;
}

/* A folio must fit into one read and one write with others beside it. */
static inline size_t qtfs_folio_max(const struct super_block *sb)
{
	const struct qtfs_options *opts = &qtfs_fs(sb)->opts;

	return max_t(size_t, min(opts->rsize, opts->wsize) / 4, PAGE_SIZE);
}

/* How many folders its root is below what was mounted. */
unsigned int qtfs_super_depth(struct super_block *sb);

/* The st_dev of a file on the server's filesystem @dev. */
dev_t qtfs_super_dev(struct super_block *sb, dev_t dev);

/* Whether another mount of the server begins there: see submount.c. */
static inline bool qtfs_is_submount(const struct super_block *sb,
				    const struct qtfs_attr *attr)
{
	return S_ISDIR(attr->mode) && (attr->flags & QTFS_ATTR_MOUNT_ROOT) &&
	       attr->mount != qtfs_fs(sb)->mount;
}

/**
 * qtfs_super_submount - have a context make the superblock of a submount
 * @fc: for the place, from fs_context_for_submount()
 * @place: where it is seen
 * @entry: the root, whose grant is used up, also on failure
 */
int qtfs_super_submount(struct fs_context *fc, struct dentry *place,
			const struct qtfs_entry *entry);

int qtfs_super_init(void);
void qtfs_super_exit(void);

#endif /* QTFS_SUPER_H */
