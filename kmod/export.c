// SPDX-License-Identifier: GPL-2.0-only
/*
 * File handles, for name_to_handle_at(2), fanotify and an NFS server on top: a
 * session and a node of it. The engine keeps a node that a handle names until
 * the mount ends, or until so many have been named that it is one of the oldest.
 */
#include <linux/dcache.h>
#include <linux/exportfs.h>
#include <linux/xarray.h>

#include "codec.h"
#include "export.h"
#include "inode.h"
#include "reap.h"
#include "req.h"
#include "super.h"

/* More than these are not kept; a handle costs the engine a node each. */
#define HANDLES_MAX 65536

/* Handle types: our own numbers, told by nobody else's filesystem. */
enum {
	HANDLE_NODE	= 0x71,
	HANDLE_PARENT	= 0x72,	/* with the directory's node */
};

struct handle {
	__le64 session;
	__le64 node;
	__le64 parent;
} __packed __aligned(4);

static const int handle_words[2] = {
	offsetof(struct handle, parent) / sizeof(u32),
	sizeof(struct handle) / sizeof(u32),
};

static __le64 handle_session(const struct super_block *sb)
{
	__le64 id;

	memcpy(&id, qtfs_session(sb)->wire_id, sizeof(id));
	return id;
}

void qtfs_handles_init(struct qtfs_handles *handles)
{
	xa_init(&handles->nodes);
	atomic_set(&handles->nr, 0);
	handles->hand = 0;
}

void qtfs_handles_destroy(struct qtfs_handles *handles)
{
	xa_destroy(&handles->nodes);
}

/* Makes room: some handle becomes stale, unless its inode is in use. */
static void handles_trim(struct super_block *sb)
{
	struct qtfs_handles *handles = &qtfs_session(sb)->handles;
	unsigned long index = READ_ONCE(handles->hand);
	void *stamp;

	if (atomic_read(&handles->nr) < HANDLES_MAX)
		return;
	/* In turn: one that is named again and again is not the next again. */
	stamp = xa_find(&handles->nodes, &index, ULONG_MAX, XA_PRESENT);
	if (!stamp) {
		index = 0;
		stamp = xa_find(&handles->nodes, &index, ULONG_MAX, XA_PRESENT);
	}
	WRITE_ONCE(handles->hand, index + 1);
	if (!stamp || xa_cmpxchg(&handles->nodes, index, stamp, NULL, 0) != stamp)
		return;
	atomic_dec(&handles->nr);
	if (xa_to_value(stamp))	/* the inode has gone before */
		qtfs_forget_now(qtfs_session(sb), index, xa_to_value(stamp));
}

/* The engine is to keep the inode's node. */
static int handle_keep(struct inode *inode)
{
	struct qtfs_handles *handles = &qtfs_session(inode->i_sb)->handles;
	u64 node = qtfs_i(inode)->node;
	int err;

	if (qtfs_is_synthetic(inode) || node != (unsigned long)node)
		return -EOPNOTSUPP;
	if (xa_load(&handles->nodes, node))
		return 0;
	handles_trim(inode->i_sb);
	err = xa_insert(&handles->nodes, node, xa_mk_value(0), GFP_NOFS);
	if (!err)
		atomic_inc(&handles->nr);
	return err == -EBUSY ? 0 : err;
}

bool qtfs_handle_kept(struct inode *inode)
{
	struct qtfs_handles *handles = &qtfs_session(inode->i_sb)->handles;
	struct qtfs_inode *qi = qtfs_i(inode);
	void *old = xa_load(&handles->nodes, qi->node);

	if (!old)
		return false;
	/* Its handles are stale, and the server wants its space back. */
	if (!inode->i_nlink) {
		if (xa_erase(&handles->nodes, qi->node))
			atomic_dec(&handles->nr);
		return false;
	}
	/* The stamp is what forgets it later; an engine may say any number. */
	return qi->stamp <= LONG_MAX &&
	       xa_cmpxchg(&handles->nodes, qi->node, old,
			  xa_mk_value(qi->stamp), 0) == old;
}

static int qtfs_encode_fh(struct inode *inode, u32 *fh, int *max_len,
			  struct inode *parent)
{
	struct handle *handle = (struct handle *)fh;
	int len = handle_words[parent ? 1 : 0];

	if (*max_len < len) {
		*max_len = len;
		return FILEID_INVALID;
	}
	if (handle_keep(inode) || (parent && handle_keep(parent)))
		return FILEID_INVALID;
	*max_len = len;
	handle->session = handle_session(inode->i_sb);
	handle->node = cpu_to_le64(qtfs_i(inode)->node);
	if (!parent)
		return HANDLE_NODE;
	handle->parent = cpu_to_le64(qtfs_i(parent)->node);
	return HANDLE_PARENT;
}

int qtfs_node_call(struct super_block *sb, u16 op, u64 node,
		   struct qtfs_entry *entry)
{
	struct qtfs_wire_node body = { .node = cpu_to_le64(node) };
	struct qtfs_wire_entry wire;
	struct qtfs_args args = {
		.op	 = op,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &wire, sizeof(wire) },
		.out_min = sizeof(wire),
	};
	int err;

	err = qtfs_call(qtfs_session(sb), &args) ?:
	      qtfs_entry_decode(&wire, entry);
	if (!err && op == QTFS_OP_NODE && entry->node != node) {
		qtfs_forget_now(qtfs_session(sb), entry->node, entry->stamp);
		err = -EPROTO;
	}
	return err;
}

/* What the engine answers becomes a dentry, perhaps unconnected. */
static struct dentry *node_dentry(struct super_block *sb, u16 op, u64 node)
{
	u64 clock = qtfs_clock(sb);
	struct qtfs_entry entry;
	struct inode *inode;
	int err;

	err = qtfs_node_call(sb, op, node, &entry);
	if (err)
		return ERR_PTR(err == -EOPNOTSUPP ? -ESTALE : err);
	/* Other mounts of the server are other superblocks'. */
	if (entry.attr.mount != qtfs_fs(sb)->mount &&
	    (S_ISDIR(entry.attr.mode) ||
	     !(entry.attr.flags & QTFS_ATTR_MOUNT_ROOT))) {
		qtfs_forget_now(qtfs_session(sb), entry.node, entry.stamp);
		return ERR_PTR(-ESTALE);
	}
	inode = qtfs_iget(sb, &entry, clock);
	if (IS_ERR(inode))
		return ERR_CAST(inode);
	qtfs_access_learn(inode, current_cred(), entry.access, clock);
	return d_obtain_alias(inode);
}

static struct dentry *fh_dentry(struct super_block *sb, struct fid *fid,
				int len, int type, bool parent)
{
	struct handle handle = {};
	bool has_parent = type == HANDLE_PARENT;

	if ((type != HANDLE_NODE && !has_parent) || (parent && !has_parent) ||
	    len < handle_words[has_parent])
		return NULL;
	memcpy(&handle, fid->raw, handle_words[has_parent] * sizeof(u32));
	if (handle.session != handle_session(sb))
		return ERR_PTR(-ESTALE);
	return node_dentry(sb, QTFS_OP_NODE,
			   le64_to_cpu(parent ? handle.parent : handle.node));
}

static struct dentry *qtfs_fh_to_dentry(struct super_block *sb,
					struct fid *fid, int len, int type)
{
	return fh_dentry(sb, fid, len, type, false);
}

static struct dentry *qtfs_fh_to_parent(struct super_block *sb,
					struct fid *fid, int len, int type)
{
	return fh_dentry(sb, fid, len, type, true);
}

static struct dentry *qtfs_get_parent(struct dentry *child)
{
	struct dentry *parent = node_dentry(child->d_sb, QTFS_OP_PARENT,
					    qtfs_i(d_inode(child))->node);

	/*
	 * The name is looked up next. That there is none, or that it is
	 * another's, may still be believed from before.
	 */
	if (!IS_ERR(parent))
		shrink_dcache_parent(parent);
	return parent;
}

static int accept_any(void *context, struct dentry *dentry)
{
	return 1;
}

struct dentry *qtfs_export_dentry(struct vfsmount *mnt, struct inode *inode)
{
	struct handle handle = {
		.session = handle_session(inode->i_sb),
		.node	 = cpu_to_le64(qtfs_i(inode)->node),
	};
	struct dentry *alias = d_obtain_alias(inode), *found;

	if (IS_ERR(alias) || !d_is_dir(alias) ||
	    !(alias->d_flags & DCACHE_DISCONNECTED))
		return alias;
	found = exportfs_decode_fh(mnt, (struct fid *)&handle, handle_words[0],
				   HANDLE_NODE, accept_any, NULL);
	dput(alias);
	return found;
}

const struct export_operations qtfs_export_operations = {
	.encode_fh	= qtfs_encode_fh,
	.fh_to_dentry	= qtfs_fh_to_dentry,
	.fh_to_parent	= qtfs_fh_to_parent,
	.get_parent	= qtfs_get_parent,
	.flags		= EXPORT_OP_REMOTE_FS | EXPORT_OP_NOATOMIC_ATTR |
			  EXPORT_OP_FLUSH_ON_CLOSE,
};
