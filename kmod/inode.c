// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inodes: identity, attributes and how long they are believed, permission.
 *
 * Lock order: i_rwsem, folio lock, qtfs_inode.lock, qtfs_creds.lock,
 * qtfs_chan.lock. Nothing of ours is held over a call to the engine.
 */
#include <linux/cred.h>
#include <linux/hash.h>
#include <linux/slab.h>
#include <linux/stat.h>

#include "chan.h"
#include "file.h"
#include "flags.h"
#include "inode.h"
#include "lock.h"
#include "range.h"
#include "reap.h"
#include "req.h"
#include "socket.h"

static struct kmem_cache *inode_cache;

static void inode_init_once_qtfs(void *p)
{
	struct qtfs_inode *qi = p;

	inode_init_once(&qi->vfs);
}

int qtfs_inode_cache_init(void)
{
	inode_cache = kmem_cache_create("qtfs_inode", sizeof(struct qtfs_inode),
					0, SLAB_HWCACHE_ALIGN |
					SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT,
					inode_init_once_qtfs);
	return inode_cache ? 0 : -ENOMEM;
}

void qtfs_inode_cache_exit(void)
{
	rcu_barrier();	/* inodes are freed by RCU */
	kmem_cache_destroy(inode_cache);
}

struct inode *qtfs_alloc_inode(struct super_block *sb)
{
	struct qtfs_inode *qi = alloc_inode_sb(sb, inode_cache, GFP_KERNEL);

	if (!qi)
		return NULL;
	memset((void *)qi + offsetofend(struct qtfs_inode, vfs), 0,
	       sizeof(*qi) - offsetofend(struct qtfs_inode, vfs));
	qi->forget = kzalloc(sizeof(*qi->forget), GFP_KERNEL_ACCOUNT);
	if (!qi->forget) {
		kmem_cache_free(inode_cache, qi);
		return NULL;
	}
	spin_lock_init(&qi->lock);
	INIT_LIST_HEAD(&qi->opens);
	init_waitqueue_head(&qi->writeback_wq);
	return &qi->vfs;
}

void qtfs_free_inode(struct inode *inode)
{
	struct qtfs_inode *qi = qtfs_i(inode);

	kfree(qi->forget);
	kfree(qi->target);
	kmem_cache_free(inode_cache, qi);
}

static unsigned long inode_hash(u64 node)
{
	return hash_64(node, 32);
}

static int inode_test(struct inode *inode, void *data)
{
	const struct qtfs_entry *entry = data;

	return qtfs_i(inode)->node == entry->node;
}

/* What an entry granted, for the inode that has it already. */
struct inode_grant {
	u64 node;
	u64 stamp;
	bool taken;
};

static int inode_take_grant(struct inode *inode, unsigned long hash, void *data)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	struct inode_grant *grant = data;

	if (qi->node != grant->node)
		return 0;
	spin_lock(&inode->i_lock);
	/* One that goes has told its stamp, or is about to. */
	if (!(inode->i_state & (I_FREEING | I_WILL_FREE))) {
		spin_lock(&qi->lock);
		qi->stamp = max(qi->stamp, grant->stamp);
		spin_unlock(&qi->lock);
		grant->taken = true;
	}
	spin_unlock(&inode->i_lock);
	return -1;	/* found, no reference wanted */
}

bool qtfs_inode_keeps(struct qtfs_session *session, u64 node, u64 stamp)
{
	struct inode_grant grant = { .node = node, .stamp = stamp };
	const struct qtfs_fs *fs;

	spin_lock_bh(&session->supers_lock);
	list_for_each_entry(fs, &session->supers, link) {
		find_inode_nowait(fs->sb, inode_hash(node), inode_take_grant,
				  &grant);
		if (grant.taken)
			break;
	}
	spin_unlock_bh(&session->supers_lock);
	return grant.taken;
}

struct place_search {
	u64 node;
	unsigned int depth;
	bool found;
};

static int place_visit(struct inode *inode, unsigned long hash, void *data)
{
	struct place_search *search = data;
	struct dentry *d;

	if (qtfs_i(inode)->node != search->node || !IS_AUTOMOUNT(inode))
		return 0;
	spin_lock(&inode->i_lock);
	d = hlist_entry_safe(inode->i_dentry.first, struct dentry, d_u.d_alias);
	if (d) {
		search->depth = qtfs_dentry_depth(d);
		search->found = true;
	}
	spin_unlock(&inode->i_lock);
	return -1;	/* found, no reference wanted */
}

bool qtfs_inode_place_depth(struct super_block *sb, u64 node,
			    unsigned int *depth)
{
	struct place_search search = { .node = node };

	find_inode_nowait(sb, inode_hash(node), place_visit, &search);
	*depth = search.depth;
	return search.found;
}

/*
 * Where a mount of the server begins, two superblocks may have the node; and of
 * files that programs of the server have passed: see rights.c. The one that goes
 * leaves it to the other.
 */
static bool inode_is_shared(struct inode *inode)
{
	const struct qtfs_inode *qi = qtfs_i(inode);
	struct qtfs_session *session = qtfs_session(inode->i_sb);

	return ((qi->flags & QTFS_ATTR_MOUNT_ROOT) ||
		READ_ONCE(session->mixed)) &&
	       qtfs_inode_keeps(session, qi->node, qi->stamp);
}

void qtfs_evict_inode(struct inode *inode)
{
	struct qtfs_inode *qi = qtfs_i(inode);

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	/* All pages are done: only the last touch of a completion is left. */
	wait_event(qi->writeback_wq, !atomic_read(&qi->writeback));
	qtfs_open_evict(inode);
	qtfs_alias_evict(inode);

	if (qi->node && !qtfs_handle_kept(inode) && !inode_is_shared(inode)) {
		qi->forget->node = qi->node;
		qi->forget->stamp = qi->stamp;
		qtfs_reap_forget(qtfs_session(inode->i_sb), qi->forget);
		qi->forget = NULL;
	}
}

static int inode_set(struct inode *inode, void *data)
{
	const struct qtfs_entry *entry = data;

	qtfs_i(inode)->node = entry->node;
	return 0;
}

static void inode_set_ops(struct inode *inode, const struct qtfs_attr *attr)
{
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &qtfs_file_inode_operations;
		inode->i_fop = attr->flags & QTFS_ATTR_SYNTHETIC ?
			       &qtfs_direct_operations : &qtfs_file_operations;
		inode->i_mapping->a_ops = &qtfs_aops;
		qtfs_set_folio_max(inode->i_mapping,
				   qtfs_folio_max(inode->i_sb));
		break;
	case S_IFDIR:
		if (IS_AUTOMOUNT(inode)) {	/* nothing is looked up or opened there */
			inode->i_op = &qtfs_special_inode_operations;
			break;
		}
		inode->i_op = &qtfs_dir_inode_operations;
		inode->i_fop = &qtfs_dir_operations;
		break;
	case S_IFLNK:
		inode->i_op = &qtfs_symlink_inode_operations;
		inode_nohighmem(inode);
		break;
	default:
		inode->i_op = &qtfs_special_inode_operations;
		init_special_inode(inode, inode->i_mode, attr->rdev);
		qtfs_i(inode)->rdev = attr->rdev;
		if (S_ISFIFO(inode->i_mode))
			inode->i_fop = &qtfs_direct_operations;
		if (S_ISSOCK(inode->i_mode))
			inode->i_op = &qtfs_socket_inode_operations;
		if (!qtfs_fs(inode->i_sb)->opts.remote_devices)
			break;
		/* Its number stays: the device cgroup asks for it. */
		if (S_ISCHR(inode->i_mode))
			inode->i_fop = &qtfs_direct_operations;
		/* Whoever looks for a disk finds none here: ENXIO. */
		if (S_ISBLK(inode->i_mode))
			inode->i_rdev = 0;
		break;
	}
}

static void inode_init_new(struct inode *inode, const struct qtfs_entry *entry,
			   u64 clock)
{
	struct qtfs_inode *qi = qtfs_i(inode);

	inode->i_ino = entry->attr.ino;
	inode->i_mode = entry->attr.mode;
	inode->i_flags |= S_NOATIME | S_NOCMTIME;
	inode->i_acl = ACL_DONT_CACHE;
	inode->i_default_acl = ACL_DONT_CACHE;
	spin_lock(&qi->lock);
	qi->stamp = max(qi->stamp, entry->stamp);
	spin_unlock(&qi->lock);
	qi->flags = entry->attr.flags;
	if (qtfs_is_submount(inode->i_sb, &entry->attr))
		inode->i_flags |= S_AUTOMOUNT;
	inode_set_ops(inode, &entry->attr);
	qtfs_inode_update(inode, &entry->attr, clock, true);
}

struct inode *qtfs_iget(struct super_block *sb, const struct qtfs_entry *entry,
			u64 clock)
{
	struct qtfs_inode *qi;
	struct inode *inode;

	inode = iget5_locked(sb, inode_hash(entry->node), inode_test,
			     inode_set, (void *)entry);
	if (!inode) {
		qtfs_forget_now(qtfs_session(sb), entry->node, entry->stamp);
		return ERR_PTR(-ENOMEM);
	}
	if (inode->i_state & I_NEW) {
		inode_init_new(inode, entry, clock);
		unlock_new_inode(inode);
		return inode;
	}

	qi = qtfs_i(inode);
	spin_lock(&qi->lock);
	qi->stamp = max(qi->stamp, entry->stamp);
	spin_unlock(&qi->lock);
	if (inode_wrong_type(inode, entry->attr.mode)) {
		iput(inode);
		return ERR_PTR(-ESTALE);
	}
	qtfs_inode_update(inode, &entry->attr, clock, false);
	return inode;
}

/* How long what was just learnt is believed: longer the longer it held. */
static void inode_set_span(struct inode *inode, bool changed)
{
	const struct qtfs_options *opts = &qtfs_fs(inode->i_sb)->opts;
	struct qtfs_inode *qi = qtfs_i(inode);
	bool dir = S_ISDIR(inode->i_mode);
	unsigned long min = HZ * (dir ? opts->ac.dir_min : opts->ac.reg_min);
	unsigned long max = HZ * (dir ? opts->ac.dir_max : opts->ac.reg_max);

	lockdep_assert_held(&qi->lock);

	if (qi->flags & (QTFS_ATTR_SYNTHETIC | QTFS_ATTR_UNCACHED))
		qi->attr_span = 0;
	else if (changed || !qi->attr_span)
		qi->attr_span = min;
	else if (time_after_eq(jiffies, qi->attr_until))
		qi->attr_span = clamp(qi->attr_span * 2, min, max);
	qi->attr_until = jiffies + qi->attr_span;
}

/* Whether this client knows the file's length and times better. */
static bool inode_ahead(struct inode *inode, u64 clock)
{
	struct qtfs_inode *qi = qtfs_i(inode);

	return S_ISREG(inode->i_mode) &&
	       (qi->writers || qi->mod_clock > clock ||
		mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY) ||
		mapping_tagged(inode->i_mapping, PAGECACHE_TAG_WRITEBACK));
}

/* What was allowed may not be any more. */
static void access_forget(struct qtfs_inode *qi)
{
	lockdep_assert_held(&qi->lock);
	memset(qi->access, 0, sizeof(qi->access));
	qi->no_acl = 0;
}

void qtfs_inode_update(struct inode *inode, const struct qtfs_attr *attr,
		       u64 clock, bool own)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	bool changed;

	spin_lock(&qi->lock);
	/*
	 * Somebody who asked later has his answer. Which of them the engine took
	 * first nobody knows; the one is as new as the later question.
	 */
	if (qi->asked > clock) {
		spin_unlock(&qi->lock);
		return;
	}
	/* It crossed a change of ours: ask again. */
	if (qi->attr_clock > clock) {
		qi->attr_until = jiffies;
		spin_unlock(&qi->lock);
		return;
	}
	qi->asked = clock;
	/* Within one tick of the server's clock no time tells of it. */
	if (inode->i_mode != attr->mode || !uid_eq(inode->i_uid, attr->uid) ||
	    !gid_eq(inode->i_gid, attr->gid))
		access_forget(qi);
	inode->i_mode = attr->mode;
	inode->i_uid = attr->uid;
	inode->i_gid = attr->gid;
	set_nlink(inode, attr->nlink);
	inode_set_atime_to_ts(inode, attr->atime);
	inode_set_ctime_to_ts(inode, attr->ctime);
	qi->btime = attr->btime;
	qi->blksize = attr->blksize;
	qi->dio_mem_align = attr->dio_mem_align;
	qi->dio_offset_align = attr->dio_offset_align;
	qi->flags = attr->flags;
	qi->dev = attr->dev;
	inode->i_blkbits = PAGE_SHIFT;
	changed = attr->change != qi->change;

	if (inode_ahead(inode, clock)) {
		/* Ask again when the dust has settled. */
		qi->attr_until = jiffies;
		spin_unlock(&qi->lock);
		return;
	}
	inode_set_mtime_to_ts(inode, attr->mtime);
	inode->i_blocks = attr->blocks;
	/* A length that is news is somebody else's, whoever changed the rest. */
	if ((changed && !own) || (inode->i_mapping->nrpages &&
				  attr->size != i_size_read(inode)))
		set_bit(QTFS_INODE_STALE_DATA, &qi->state);
	i_size_write(inode, attr->size);
	if (changed) {
		access_forget(qi);
		qi->racy = false;
	}
	qi->change = attr->change;
	if (attr->flags & QTFS_ATTR_RACY)
		qi->racy = true;
	inode_set_span(inode, changed);
	if (qi->names_clock > clock)	/* true, but not the latest */
		qi->attr_until = jiffies;
	spin_unlock(&qi->lock);
}

bool qtfs_inode_latest(struct inode *inode, u64 clock)
{
	const struct qtfs_inode *qi = qtfs_i(inode);

	lockdep_assert_held(&qi->lock);

	return qi->asked <= clock && qi->attr_clock <= clock;
}

/* This client changes something: a new time, and attributes to be asked again. */
static u64 inode_tick(struct inode *inode)
{
	struct qtfs_inode *qi = qtfs_i(inode);

	lockdep_assert_held(&qi->lock);
	qi->attr_until = jiffies;
	return atomic64_inc_return(&qtfs_fs(inode->i_sb)->clock);
}

u64 qtfs_inode_touch(struct inode *inode)
{
	return qtfs_i(inode)->mod_clock = inode_tick(inode);
}

void qtfs_inode_modified(struct inode *inode)
{
	spin_lock(&qtfs_i(inode)->lock);
	qtfs_inode_touch(inode);
	spin_unlock(&qtfs_i(inode)->lock);
}

u64 qtfs_inode_expire(struct inode *inode)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	u64 now;

	spin_lock(&qi->lock);
	now = qi->attr_clock = inode_tick(inode);
	qi->attr_span = 0;
	access_forget(qi);
	spin_unlock(&qi->lock);
	return now;
}

void qtfs_data_unknown(struct inode *inode)
{
	qtfs_inode_expire(inode);
	set_bit(QTFS_INODE_STALE_DATA, &qtfs_i(inode)->state);
}

void qtfs_names_changed(struct inode *dir)
{
	struct qtfs_inode *qi = qtfs_i(dir);

	spin_lock(&qi->lock);
	qi->names_clock = inode_tick(dir);
	qi->attr_span = 0;
	spin_unlock(&qi->lock);
}

/* Believes an answer's attributes, unless they are of something else. */
static int attr_take(struct inode *inode, const struct qtfs_wire_attr *wire,
		     u64 clock)
{
	struct qtfs_attr attr;
	int err = qtfs_attr_decode(wire, &attr);

	if (err)
		return err;
	if (inode_wrong_type(inode, attr.mode))
		return -ESTALE;
	qtfs_inode_update(inode, &attr, clock, false);
	return 0;
}

/* What the caller may do with it, and its attributes. */
static int access_ask(struct inode *inode, u32 *allowed)
{
	struct qtfs_wire_access body = {
		.node = cpu_to_le64(qtfs_i(inode)->node),
		.mask = cpu_to_le32(QTFS_MAY_READ | QTFS_MAY_WRITE |
				    QTFS_MAY_EXEC),
	};
	struct qtfs_wire_access_rep rep;
	struct qtfs_args args = {
		.op	 = QTFS_OP_ACCESS,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &rep, sizeof(rep) },
		.out_min = sizeof(rep),
	};
	u64 clock = qtfs_clock(inode->i_sb);
	int err;

	err = qtfs_call(qtfs_session(inode->i_sb), &args) ?:
	      attr_take(inode, &rep.attr, clock);
	if (err)
		return err;
	*allowed = le32_to_cpu(rep.allowed);
	qtfs_access_learn(inode, current_cred(), *allowed, clock);
	return 0;
}

int qtfs_inode_revalidate(struct inode *inode, bool force)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	struct qtfs_wire_getattr body = {
		.node = cpu_to_le64(qi->node),
	};
	struct qtfs_wire_attr wire;
	struct qtfs_args args = {
		.op	 = QTFS_OP_GETATTR,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &wire, sizeof(wire) },
		.out_min = sizeof(wire),
	};
	struct qtfs_open *open = NULL;
	u32 allowed;
	u64 clock;
	int err;

	if (!force && qtfs_inode_fresh(inode))
		return 0;
	/* umount(8) looks at the mount point first; a lost server cannot tell. */
	if (inode == d_inode(inode->i_sb->s_root) &&
	    !qtfs_session_alive(qtfs_session(inode->i_sb)))
		return 0;

	/* Whether it may be searched is the next question, as a rule. */
	if (S_ISDIR(inode->i_mode))
		return access_ask(inode, &allowed);
	clock = qtfs_clock(inode->i_sb);
	if (S_ISREG(inode->i_mode))
		open = qtfs_open_any(inode, 0);
	if (open)
		body.open = cpu_to_le64(open->release.open);
	err = qtfs_call(qtfs_session(inode->i_sb), &args);
	if (open)
		qtfs_open_put(open);
	return err ?: attr_take(inode, &wire, clock);
}

/*
 * What the C library reads and writes at a time. Each read of a synthetic file
 * is a round trip: by those of procfs, 1024, it would be one for each KiB.
 */
#define SYNTHETIC_BLKSIZE 65536

static void getattr_attributes(u32 flags, struct kstat *stat)
{
	static const struct {
		u32 wire;
		u32 native;
	} map[] = {
		{ QTFS_ATTR_IMMUTABLE,	STATX_ATTR_IMMUTABLE },
		{ QTFS_ATTR_APPEND,	STATX_ATTR_APPEND },
		{ QTFS_ATTR_NODUMP,	STATX_ATTR_NODUMP },
		{ QTFS_ATTR_COMPRESSED,	STATX_ATTR_COMPRESSED },
		{ QTFS_ATTR_ENCRYPTED,	STATX_ATTR_ENCRYPTED },
		{ QTFS_ATTR_VERITY,	STATX_ATTR_VERITY },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(map); i++) {
		if (flags & map[i].wire)
			stat->attributes |= map[i].native;
		if (flags & (map[i].wire | QTFS_ATTR_HAS(map[i].wire)))
			stat->attributes_mask |= map[i].native;
	}
}

int qtfs_getattr(struct mnt_idmap *idmap, const struct path *path,
		 struct kstat *stat, u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct qtfs_inode *qi = qtfs_i(inode);
	bool force = flags & AT_STATX_FORCE_SYNC;
	int err = 0;

	if (S_ISREG(inode->i_mode) &&
	    (mask & (STATX_MTIME | STATX_CTIME | STATX_BLOCKS)) &&
	    !(flags & AT_STATX_DONT_SYNC))
		err = qtfs_flush_pages(inode, NULL);
	/* An error of writing is fsync's and close's to report. */
	if (err == -EINTR)
		return err;
	if (!(flags & AT_STATX_DONT_SYNC)) {
		struct dentry *parent = dget_parent(path->dentry);

		set_bit(QTFS_INODE_LIST_PLUS, &qtfs_i(d_inode(parent))->state);
		dput(parent);
		err = qtfs_inode_revalidate(inode, force);
		if (err)
			return err;
	}

	qtfs_fillattr(idmap, mask, inode, stat);
	if (IS_AUTOMOUNT(inode))
		stat->attributes |= STATX_ATTR_AUTOMOUNT;
	stat->dev = qtfs_super_dev(inode->i_sb, READ_ONCE(qi->dev));
	if (S_ISBLK(inode->i_mode))
		stat->rdev = qi->rdev;
	spin_lock(&qi->lock);
	stat->blksize = is_power_of_2(qi->blksize) ? qi->blksize : PAGE_SIZE;
	if (qi->flags & QTFS_ATTR_SYNTHETIC)
		stat->blksize = SYNTHETIC_BLKSIZE;
	if (qi->flags & QTFS_ATTR_BTIME) {
		stat->result_mask |= STATX_BTIME;
		stat->btime = qi->btime;
	}
	if ((mask & STATX_DIOALIGN) && (qi->flags & QTFS_ATTR_DIOALIGN)) {
		stat->result_mask |= STATX_DIOALIGN;
		stat->dio_mem_align = qi->dio_mem_align;
		stat->dio_offset_align = qi->dio_offset_align;
	}
	getattr_attributes(qi->flags, stat);
	spin_unlock(&qi->lock);
	return 0;
}

/* Answers from before count no more, neither while pages go nor afterwards. */
static u64 inode_resize(struct inode *inode, loff_t size)
{
	qtfs_inode_modified(inode);
	if (size > i_size_read(inode))
		qtfs_zero_tail(inode);
	truncate_setsize(inode, size);
	qtfs_inode_modified(inode);
	return qtfs_clock(inode->i_sb);
}

static int setattr_call(struct inode *inode, struct iattr *iattr)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	struct qtfs_wire_setattr body = { .node = cpu_to_le64(qi->node) };
	struct qtfs_wire_attr wire;
	struct qtfs_args args = {
		.op	 = QTFS_OP_SETATTR,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &wire, sizeof(wire) },
		.out_min = sizeof(wire),
	};
	struct qtfs_attr attr;
	u64 clock;
	int err;

	qtfs_setattr_encode(iattr, &body);
	if ((iattr->ia_valid & ATTR_FILE) && S_ISREG(inode->i_mode) &&
	    (qtfs_open_of(iattr->ia_file)->mode & FMODE_WRITE)) {
		body.open = cpu_to_le64(qtfs_open_of(iattr->ia_file)->release.open);
		args.chan = qtfs_locked_chan(iattr->ia_file);
	}
	err = qtfs_call(qtfs_session(inode->i_sb), &args) ?:
	      qtfs_attr_decode(&wire, &attr);
	clock = qtfs_inode_expire(inode);
	if (err) {
		if ((iattr->ia_valid & ATTR_SIZE) && qtfs_may_be_done(err))
			set_bit(QTFS_INODE_STALE_DATA, &qi->state);
		return err;
	}
	if (iattr->ia_valid & ATTR_SIZE)
		clock = inode_resize(inode, iattr->ia_size);
	qtfs_inode_update(inode, &attr, clock, true);
	/* Somebody else's change may hide behind ours: look again at open. */
	spin_lock(&qi->lock);
	qi->racy = true;
	spin_unlock(&qi->lock);
	return 0;
}

/* The server decides who may: it alone knows ACLs, squash and security modules. */
int qtfs_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
		 struct iattr *iattr)
{
	struct inode *inode = d_inode(dentry);
	int err;

	if (iattr->ia_valid & ATTR_SIZE) {
		err = inode_newsize_ok(inode, iattr->ia_size);
		if (err)
			return err;
		/*
		 * open(O_TRUNC): the server truncated at its own open. What was
		 * on its way then may have come after it.
		 */
		if ((iattr->ia_valid & ATTR_OPEN) &&
		    !qtfs_has_unwritten_pages(inode)) {
			inode_resize(inode, iattr->ia_size);
			return 0;
		}
	}
	if (S_ISREG(inode->i_mode)) {
		/* Writes of before must not undo what is set now. */
		err = qtfs_flush_pages(inode, NULL);
		if (err == -EINTR)
			return err;
	}
	return setattr_call(inode, iattr);
}

void qtfs_access_learn(struct inode *inode, const struct cred *cred,
		       u32 allowed, u64 clock)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	u32 id = qtfs_cred_peek(qtfs_session(inode->i_sb), cred);
	unsigned int i;

	if (!id || !(allowed & QTFS_MAY_KNOWN))
		return;

	spin_lock(&qi->lock);
	if (!qtfs_inode_latest(inode, clock)) {
		spin_unlock(&qi->lock);
		return;
	}
	for (i = 0; i < QTFS_ACCESS_SLOTS; i++)
		if (qi->access[i].cred == id)
			break;
	if (i == QTFS_ACCESS_SLOTS)
		i = qi->access_next++ % QTFS_ACCESS_SLOTS;
	qi->access[i].cred = id;
	qi->access[i].allowed = allowed;
	qi->access[i].until = jiffies + max(qi->attr_span, 1ul);
	spin_unlock(&qi->lock);
}

/* 0 or why not. */
static int access_verdict(u32 allowed, u32 want)
{
	u32 missing = want & ~allowed;

	if (!missing)
		return 0;
	return (missing & QTFS_MAY_WRITE) && (allowed & QTFS_MAY_READONLY) ?
	       -EROFS : -EACCES;
}

/* -ENODATA: not known. */
static int access_cached(struct inode *inode, u32 want)
{
	u32 id = qtfs_cred_peek(qtfs_session(inode->i_sb), current_cred());
	struct qtfs_inode *qi = qtfs_i(inode);
	int ret = -ENODATA, i;

	spin_lock(&qi->lock);
	for (i = 0; i < QTFS_ACCESS_SLOTS; i++)
		if (id && qi->access[i].cred == id &&
		    time_before(jiffies, qi->access[i].until))
			ret = access_verdict(qi->access[i].allowed, want);
	spin_unlock(&qi->lock);
	return ret;
}

int qtfs_permission(struct mnt_idmap *idmap, struct inode *inode, int mask)
{
	u32 want = qtfs_may_encode(mask), allowed;
	int ret;

	if (!want || S_ISLNK(inode->i_mode))
		return 0;
	/* The operation itself will be checked, with the same credentials. */
	if (!(mask & (MAY_ACCESS | MAY_CHDIR))) {
		if ((mask & MAY_OPEN) &&
		    (S_ISREG(inode->i_mode) || S_ISDIR(inode->i_mode)))
			return 0;
		if ((mask & MAY_WRITE) &&
		    (S_ISREG(inode->i_mode) || S_ISDIR(inode->i_mode)))
			return 0;
	}
	ret = access_cached(inode, want);
	if (ret != -ENODATA)
		return ret;
	if (mask & MAY_NOT_BLOCK)
		return -ECHILD;
	ret = access_ask(inode, &allowed);
	return ret ?: access_verdict(allowed, want);
}

const struct inode_operations qtfs_file_inode_operations = {
	.getattr	= qtfs_getattr,
	.setattr	= qtfs_setattr,
	.permission	= qtfs_permission,
	.listxattr	= qtfs_listxattr,
	.fileattr_get	= qtfs_fileattr_get,
	.fileattr_set	= qtfs_fileattr_set,
	.fiemap		= qtfs_fiemap,
	QTFS_ACL_OPS
};

const struct inode_operations qtfs_special_inode_operations = {
	.getattr	= qtfs_getattr,
	.setattr	= qtfs_setattr,
	.permission	= qtfs_permission,
	.listxattr	= qtfs_listxattr,
	QTFS_ACL_OPS
};
