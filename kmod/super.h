/* SPDX-License-Identifier: GPL-2.0-only */
/* What a superblock carries: its session, its options. */
#ifndef QTFS_SUPER_H
#define QTFS_SUPER_H

#include <linux/atomic.h>
#include <linux/fs.h>

#include "devs.h"
#include "export.h"
#include "session.h"

#define QTFS_SUPER_MAGIC 0x51544653	/* "QTFS" */

enum qtfs_symlinks {
	QTFS_SYMLINKS_AUTO,	/* relative where the whole / is mounted */
	QTFS_SYMLINKS_RELATIVE,
	QTFS_SYMLINKS_RAW,
};

#define QTFS_LOCAL_FLOCK	0x1u
#define QTFS_LOCAL_POSIX	0x2u

/**
 * struct qtfs_options - mount options, after defaults
 * @rsize: longest read, bytes
 * @wsize: longest write, bytes
 * @ra_kib: readahead window, KiB
 * @soft: calls fail after @timeo * @retrans
 * @timeo: in tenths of a second
 * @local_lock: QTFS_LOCAL_*: locks that exclude nobody but this mount's own
 * @nconnect: connections of the session; 0: not said
 * @ac: attribute time-outs in seconds
 */
struct qtfs_options {
	enum qtfs_symlinks symlinks;
	u32 rsize;
	u32 wsize;
	u32 ra_kib;
	u32 connect_timeout;
	u32 local_lock;
	u32 soft;
	u32 timeo;
	u32 retrans;
	u32 nconnect;
	struct {
		u32 reg_min;
		u32 reg_max;
		u32 dir_min;
		u32 dir_max;
	} ac;
};

/**
 * struct qtfs_fs - a superblock's s_fs_info
 * @devs: device numbers of the server's filesystems
 * @handles: nodes that handles name
 * @clock: counts questions and local changes; see qtfs_inode_update()
 */
struct qtfs_fs {
	struct qtfs_session *session;
	struct qtfs_options opts;
	struct qtfs_devs devs;
	struct qtfs_handles handles;
	atomic64_t clock;
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

int qtfs_super_init(void);
void qtfs_super_exit(void);

#endif /* QTFS_SUPER_H */
