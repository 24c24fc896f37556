/* SPDX-License-Identifier: GPL-2.0-only */
/* Inodes: identity is the engine's node id; attributes expire. */
#ifndef QTFS_INODE_H
#define QTFS_INODE_H

#include <linux/fs.h>

#include "codec.h"
#include "compat/compat.h"
#include "super.h"

struct qtfs_forget;

/* Bits of qtfs_inode.state. */
enum {
	QTFS_INODE_STALE_DATA,	/* the page cache is older than the file */
	QTFS_INODE_INVALIDATING, /* somebody is emptying it therefore */
	QTFS_INODE_LIST_PLUS,	/* somebody wants the children's attributes */
	QTFS_INODE_BOUND_HERE,	/* a socket of a program of this machine */
};

#define QTFS_ACCESS_SLOTS 2

/**
 * struct qtfs_inode - an inode of a mounted tree
 * @vfs: the VFS's part
 * @node: the engine's id
 * @forget: gives @node back at eviction
 * @state: bits, see above
 * @lock: protects what follows, up to @opens
 * @stamp: of the latest lookup
 * @change: the latest change attribute that was believed
 * @racy: more changes may hide behind the same @change
 * @flags: QTFS_ATTR_*
 * @attr_until: jiffies; attributes are asked again after this
 * @attr_span: how long they were last believed, in jiffies
 * @asked: qtfs_clock() of the latest question whose answer was believed
 * @attr_clock: qtfs_fs.clock at the last local change of mode, owner, links ...
 * @names_clock: likewise of a directory's entries
 * @mod_clock: qtfs_fs.clock at the last local change of data
 * @writers: buffered writes under way
 * @btime: birth, if QTFS_ATTR_BTIME
 * @blksize: for st_blksize
 * @dev: the server's device number of its filesystem
 * @no_acl: bit 0: no access ACL, bit 1: no default ACL, while attributes hold
 * @access: what single credentials may do
 * @opens: struct qtfs_open of this inode
 * @writeback: WRITE requests under way
 * @writeback_wq: wakes when that changes
 * @rdev: a disk's number; with dev=remote the inode has none, which would be
 *	one of ours
 * @target: a symbolic link's, once read
 */
struct qtfs_inode {
	struct inode vfs;
	u64 node;
	struct qtfs_forget *forget;
	unsigned long state;

	spinlock_t lock;
	u64 stamp;
	u64 change;
	bool racy;
	u32 flags;
	unsigned long attr_until;
	unsigned long attr_span;
	u64 asked;
	u64 attr_clock;
	u64 names_clock;
	u64 mod_clock;
	unsigned int writers;
	struct timespec64 btime;
	u32 blksize;
	u32 dio_mem_align;
	u32 dio_offset_align;
	dev_t dev;
	dev_t rdev;
	unsigned long no_acl;
	struct {
		u32 cred;
		u32 allowed;
		unsigned long until;
	} access[QTFS_ACCESS_SLOTS];
	unsigned int access_next;
	struct list_head opens;

	atomic_t writeback;
	wait_queue_head_t writeback_wq;
	char *target;
};

static inline struct qtfs_inode *qtfs_i(const struct inode *inode)
{
	return container_of(inode, struct qtfs_inode, vfs);
}

/* With cache=none only mappings have pages. */
static inline bool qtfs_is_uncached(const struct inode *inode)
{
	return qtfs_fs(inode->i_sb)->opts.cache == QTFS_CACHE_NONE ||
	       (READ_ONCE(qtfs_i(inode)->flags) & QTFS_ATTR_UNCACHED);
}

/* With dev=remote it is opened at the server; else not at all. */
static inline bool qtfs_is_device(const struct inode *inode)
{
	return S_ISCHR(inode->i_mode);
}

/* Never cached: procfs and the like. */
static inline bool qtfs_is_synthetic(const struct inode *inode)
{
	return READ_ONCE(qtfs_i(inode)->flags) & QTFS_ATTR_SYNTHETIC;
}

/* Whether cached pages are as new as the attributes. */
static inline bool qtfs_pages_are_good(const struct inode *inode)
{
	return !(READ_ONCE(qtfs_i(inode)->state) &
		 (BIT(QTFS_INODE_STALE_DATA) | BIT(QTFS_INODE_INVALIDATING)));
}

int qtfs_inode_cache_init(void);
void qtfs_inode_cache_exit(void);

struct inode *qtfs_alloc_inode(struct super_block *sb);
void qtfs_free_inode(struct inode *inode);
void qtfs_evict_inode(struct inode *inode);

/**
 * qtfs_iget - the inode of an entry that was just received
 * @entry: its node now belongs to the inode, also on failure (it is given back)
 * @clock: qtfs_clock() from before the request
 *
 * Return: a referenced inode or an ERR_PTR.
 */
struct inode *qtfs_iget(struct super_block *sb, const struct qtfs_entry *entry,
			u64 clock);

/* The time of a question: later than all before, and all local changes so far. */
static inline u64 qtfs_clock(const struct super_block *sb)
{
	return atomic64_inc_return(&qtfs_fs(sb)->clock);
}

/**
 * qtfs_inode_update - believe attributes that were just received
 * @clock: qtfs_clock() from before the request: an answer that crossed a local
 *	change must not take size and times back, nor one that comes late what
 *	somebody who asked after it was told
 * @own: the change was made by this client: cached pages stay good
 */
void qtfs_inode_update(struct inode *inode, const struct qtfs_attr *attr,
		       u64 clock, bool own);

/* A local change of data: older answers about size are not believed. */
void qtfs_inode_modified(struct inode *inode);

/* The same under the inode's lock. Returns the change's qtfs_clock(). */
u64 qtfs_inode_touch(struct inode *inode);

/* Whether attributes need not be asked again. */
static inline bool qtfs_inode_fresh(const struct inode *inode)
{
	return time_before(jiffies,
			   READ_ONCE(container_of(inode, struct qtfs_inode,
						  vfs)->attr_until));
}

/*
 * This client changed something: attributes are asked again when next needed,
 * and answers to earlier questions are not believed. Returns the change's
 * qtfs_clock().
 */
u64 qtfs_inode_expire(struct inode *inode);

/*
 * A change of a file's data failed half-way, or who asked for it is gone: how
 * far it came is not known, and neither pages nor attributes are believed.
 */
void qtfs_data_unknown(struct inode *inode);

/*
 * A name of @dir was made or removed here: its attributes are asked again when
 * next needed. Answers that crossed it are believed, but not for long: in a
 * busy directory there may be no others.
 */
void qtfs_names_changed(struct inode *dir);

/*
 * Whether an inode has this node, which an entry granted once more; it gives
 * the grant back when it goes. Any context that may take spinlocks.
 */
bool qtfs_inode_keeps(struct qtfs_session *session, u64 node, u64 stamp);

/*
 * How deep in @sb the place lies where the submount with that root is mounted.
 * Any context that may take spinlocks; false: it is not there.
 */
bool qtfs_inode_place_depth(struct super_block *sb, u64 node,
			    unsigned int *depth);

/* How many folders are between a dentry and its superblock's root, itself too. */
static inline unsigned int qtfs_dentry_depth(const struct dentry *dentry)
{
	unsigned int depth = 0;

	rcu_read_lock();
	for (; !IS_ROOT(dentry); dentry = READ_ONCE(dentry->d_parent))
		depth++;
	rcu_read_unlock();
	return depth;
}

/*
 * Whether nothing is known that is newer than the answer to what was asked at
 * @clock. Under the inode's lock.
 */
bool qtfs_inode_latest(struct inode *inode, u64 clock);

/*
 * Remembers what an answer says about its asker.
 * @clock: qtfs_clock() from before the request
 */
void qtfs_access_learn(struct inode *inode, const struct cred *cred,
		       u32 allowed, u64 clock);

int qtfs_permission(struct mnt_idmap *idmap, struct inode *inode, int mask);
int qtfs_getattr(struct mnt_idmap *idmap, const struct path *path,
		 struct kstat *stat, u32 mask, unsigned int flags);
int qtfs_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
		 struct iattr *iattr);

/* Asks for attributes if they have expired or @force says so. */
int qtfs_inode_revalidate(struct inode *inode, bool force);

/* dir.c */
extern const struct inode_operations qtfs_dir_inode_operations;
extern const struct inode_operations qtfs_symlink_inode_operations;
extern const struct inode_operations qtfs_file_inode_operations;
extern const struct inode_operations qtfs_special_inode_operations;
extern const struct dentry_operations qtfs_dentry_operations;
extern const struct file_operations qtfs_dir_operations;
extern const struct file_operations qtfs_file_operations;
extern const struct file_operations qtfs_direct_operations;
extern const struct file_operations qtfs_stream_operations;
extern const struct address_space_operations qtfs_aops;

/* writeback.c */
int qtfs_writepages(struct address_space *mapping,
		    struct writeback_control *wbc);

/* acl.c: with these the VFS asks us, not the xattr handler (since 6.2). */
#ifdef QTFS_HAVE_GET_INODE_ACL
struct posix_acl *qtfs_get_acl(struct mnt_idmap *idmap, struct dentry *dentry,
			       int type);
int qtfs_set_acl(struct mnt_idmap *idmap, struct dentry *dentry,
		 struct posix_acl *acl, int type);
#define QTFS_ACL_OPS .get_acl = qtfs_get_acl, .set_acl = qtfs_set_acl,
#else
#define QTFS_ACL_OPS
#endif

/* xattr.c */
/* The value's size, or with @size the value too. */
ssize_t qtfs_xattr_get(struct inode *inode, const char *name, void *buf,
		       size_t size);
/* @value NULL: remove. @flags as setxattr(2)'s. */
int qtfs_xattr_set(struct inode *inode, const char *name, const void *value,
		   size_t size, int flags);
extern const struct xattr_handler *qtfs_xattr_handlers[];
ssize_t qtfs_listxattr(struct dentry *dentry, char *buf, size_t size);

#endif /* QTFS_INODE_H */
