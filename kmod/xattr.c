// SPDX-License-Identifier: GPL-2.0-only
/* Extended attributes, by the server's own names. */
#include <linux/slab.h>
#include <linux/xattr.h>

#include "inode.h"
#include "req.h"

/* GETXATTR and LISTXATTR: the value's size, or with @size the value too. */
static ssize_t xattr_fetch(struct inode *inode, u16 op, const char *name,
			   void *buf, size_t size)
{
	size_t name_len = name ? strlen(name) : 0;
	size_t max = min3(size, (size_t)QTFS_XATTR_MAX,
			  (size_t)qtfs_session(inode->i_sb)->io_max);
	struct qtfs_wire_xattr body = {
		.node	  = cpu_to_le64(qtfs_i(inode)->node),
		.size	  = cpu_to_le32(max),
		.name_len = cpu_to_le16(name_len),
	};
	struct qtfs_wire_xattr_rep rep;
	struct qtfs_args args = {
		.op	  = op,
		.nr_in	  = name ? 2 : 1,
		.in[0]	  = { &body, sizeof(body) },
		.in[1]	  = { (void *)name, name_len },
		.out	  = { &rep, sizeof(rep) },
		.out_min  = sizeof(rep),
		.data_max = max,
	};
	ssize_t n;
	int err;

	err = qtfs_call(qtfs_session(inode->i_sb), &args);
	n = err;
	if (!err)
		n = le32_to_cpu(rep.size);
	if (!err && max) {
		if (args.data_len != n)
			n = -EPROTO;
		else
			memcpy(buf, args.data, n);
	}
	kvfree(args.data);
	return n;
}

ssize_t qtfs_xattr_get(struct inode *inode, const char *name, void *buf,
		       size_t size)
{
	return xattr_fetch(inode, QTFS_OP_GETXATTR, name, buf, size);
}

int qtfs_xattr_set(struct inode *inode, const char *name, const void *value,
		   size_t size, int flags)
{
	struct qtfs_wire_xattr body = {
		.node	  = cpu_to_le64(qtfs_i(inode)->node),
		.size	  = cpu_to_le32(size),
		.name_len = cpu_to_le16(strlen(name)),
		.flags	  = cpu_to_le16((flags & XATTR_CREATE ?
					 QTFS_XATTR_CREATE : 0) |
					(flags & XATTR_REPLACE ?
					 QTFS_XATTR_REPLACE : 0)),
	};
	struct qtfs_args args = {
		.op	 = value ? QTFS_OP_SETXATTR : QTFS_OP_REMOVEXATTR,
		.nr_in	 = 2,
		.in[0]	 = { &body, sizeof(body) },
		.in[1]	 = { (void *)name, strlen(name) },
		.data_in = { (void *)value, value ? size : 0 },
	};
	int err;

	if (size > QTFS_XATTR_MAX || size > qtfs_session(inode->i_sb)->io_max)
		return -E2BIG;
	err = qtfs_call(qtfs_session(inode->i_sb), &args);
	if (!err || qtfs_may_be_done(err))
		qtfs_inode_expire(inode);
	return err;
}

ssize_t qtfs_listxattr(struct dentry *dentry, char *buf, size_t size)
{
	return xattr_fetch(d_inode(dentry), QTFS_OP_LISTXATTR, NULL, buf, size);
}

static int xattr_get(const struct xattr_handler *handler,
		     struct dentry *dentry, struct inode *inode,
		     const char *name, void *buf, size_t size)
{
	return qtfs_xattr_get(inode, name, buf, size);
}

static int xattr_set(const struct xattr_handler *handler,
		     struct mnt_idmap *idmap, struct dentry *dentry,
		     struct inode *inode, const char *name, const void *value,
		     size_t size, int flags)
{
	return qtfs_xattr_set(inode, name, value, size, flags);
}

/* Every name: the server knows which it has. */
static const struct xattr_handler xattr_all = {
	.prefix	= "",
	.get	= xattr_get,
	.set	= xattr_set,
};

const struct xattr_handler *qtfs_xattr_handlers[] = { &xattr_all, NULL };
