/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Inode flags, those of chattr(1) and of struct fsxattr in one set, with
 * numbers of their own. Both sides make their tables of the list; whoever does
 * includes <linux/fs.h>.
 *
 * X(bit, NAME, FS_*_FL or 0, FS_XFLAG_* or 0)
 */
#ifndef QTFS_FLAGS_H
#define QTFS_FLAGS_H

/* clang-format off */
#define QTFS_FLAG_LIST(X) \
	X(0,  SYNC,	    FS_SYNC_FL,		FS_XFLAG_SYNC) \
	X(1,  IMMUTABLE,    FS_IMMUTABLE_FL,	FS_XFLAG_IMMUTABLE) \
	X(2,  APPEND,	    FS_APPEND_FL,	FS_XFLAG_APPEND) \
	X(3,  NODUMP,	    FS_NODUMP_FL,	FS_XFLAG_NODUMP) \
	X(4,  NOATIME,	    FS_NOATIME_FL,	FS_XFLAG_NOATIME) \
	X(5,  DAX,	    FS_DAX_FL,		FS_XFLAG_DAX) \
	X(6,  PROJINHERIT,  FS_PROJINHERIT_FL,	FS_XFLAG_PROJINHERIT) \
	X(7,  SECRM,	    FS_SECRM_FL,	0) \
	X(8,  UNRM,	    FS_UNRM_FL,		0) \
	X(9,  COMPR,	    FS_COMPR_FL,	0) \
	X(10, DIRTY,	    FS_DIRTY_FL,	0) \
	X(11, COMPRBLK,	    FS_COMPRBLK_FL,	0) \
	X(12, NOCOMP,	    FS_NOCOMP_FL,	0) \
	X(13, ENCRYPT,	    FS_ENCRYPT_FL,	0) \
	X(14, INDEX,	    FS_INDEX_FL,	0) \
	X(15, IMAGIC,	    FS_IMAGIC_FL,	0) \
	X(16, JOURNAL_DATA, FS_JOURNAL_DATA_FL, 0) \
	X(17, NOTAIL,	    FS_NOTAIL_FL,	0) \
	X(18, DIRSYNC,	    FS_DIRSYNC_FL,	0) \
	X(19, TOPDIR,	    FS_TOPDIR_FL,	0) \
	X(20, HUGE_FILE,    FS_HUGE_FILE_FL,	0) \
	X(21, EXTENT,	    FS_EXTENT_FL,	0) \
	X(22, VERITY,	    FS_VERITY_FL,	0) \
	X(23, EA_INODE,	    FS_EA_INODE_FL,	0) \
	X(24, EOFBLOCKS,    FS_EOFBLOCKS_FL,	0) \
	X(25, NOCOW,	    FS_NOCOW_FL,	0) \
	X(26, INLINE_DATA,  FS_INLINE_DATA_FL,	0) \
	X(27, CASEFOLD,	    FS_CASEFOLD_FL,	0) \
	X(32, REALTIME,	    0,			FS_XFLAG_REALTIME) \
	X(33, PREALLOC,	    0,			FS_XFLAG_PREALLOC) \
	X(34, RTINHERIT,    0,			FS_XFLAG_RTINHERIT) \
	X(35, NOSYMLINKS,   0,			FS_XFLAG_NOSYMLINKS) \
	X(36, EXTSIZE,	    0,			FS_XFLAG_EXTSIZE) \
	X(37, EXTSZINHERIT, 0,			FS_XFLAG_EXTSZINHERIT) \
	X(38, NODEFRAG,	    0,			FS_XFLAG_NODEFRAG) \
	X(39, FILESTREAM,   0,			FS_XFLAG_FILESTREAM) \
	X(40, COWEXTSIZE,   0,			FS_XFLAG_COWEXTSIZE) \
	X(41, HASATTR,	    0,			FS_XFLAG_HASATTR)
/* clang-format on */

#endif /* QTFS_FLAGS_H */
