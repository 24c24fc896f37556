// SPDX-License-Identifier: GPL-2.0-only
/*
 * POSIX ACLs. The server keeps and applies them; here they only change their
 * form on the way from and to the extended attributes that carry them.
 */
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/slab.h>

#include "inode.h"

#ifdef QTFS_HAVE_GET_INODE_ACL

#define ACL_BYTES_MAX QTFS_XATTR_MAX
/* Most have less: some 500 entries. */
#define ACL_BYTES_USUAL 4096

/* In qtfs_inode.no_acl. */
static int acl_bit(int type)
{
	return type == ACL_TYPE_ACCESS ? 0 : 1;
}

static const char *acl_name(int type)
{
	return type == ACL_TYPE_ACCESS ? XATTR_NAME_POSIX_ACL_ACCESS :
					 XATTR_NAME_POSIX_ACL_DEFAULT;
}

/* Up to @size bytes of it; NULL: there is none; or an error. */
static struct posix_acl *acl_fetch(struct inode *inode, int type, size_t size)
{
	struct posix_acl *acl = NULL;
	void *buf = kvmalloc(size, GFP_KERNEL);
	ssize_t n;

	if (!buf)
		return ERR_PTR(-ENOMEM);
	n = qtfs_xattr_get(inode, acl_name(type), buf, size);
	if (n > 0)
		acl = posix_acl_from_xattr(&init_user_ns, buf, n);
	else if (n && n != -ENODATA && n != -EOPNOTSUPP)
		acl = ERR_PTR(n);
	kvfree(buf);
	return acl;
}

struct posix_acl *qtfs_get_acl(struct mnt_idmap *idmap, struct dentry *dentry,
			       int type)
{
	struct inode *inode = d_inode(dentry);
	struct qtfs_inode *qi = qtfs_i(inode);
	struct posix_acl *acl;
	u64 clock;

	/* Setting one moves ctime, and with it the change attribute. */
	if (test_bit(acl_bit(type), &qi->no_acl) && qtfs_inode_fresh(inode))
		return NULL;
	clock = qtfs_clock(inode->i_sb);
	acl = acl_fetch(inode, type, ACL_BYTES_USUAL);
	if (acl == ERR_PTR(-ERANGE))
		acl = acl_fetch(inode, type, ACL_BYTES_MAX);
	spin_lock(&qi->lock);
	if (!acl && qtfs_inode_latest(inode, clock))
		set_bit(acl_bit(type), &qi->no_acl);
	spin_unlock(&qi->lock);
	return acl;
}

int qtfs_set_acl(struct mnt_idmap *idmap, struct dentry *dentry,
		 struct posix_acl *acl, int type)
{
	struct inode *inode = d_inode(dentry);
	size_t size;
	void *buf;
	int n;

	clear_bit(acl_bit(type), &qtfs_i(inode)->no_acl);
	if (!acl)
		return qtfs_xattr_set(inode, acl_name(type), NULL, 0, 0);
	size = posix_acl_xattr_size(acl->a_count);
	if (size > ACL_BYTES_MAX)
		return -E2BIG;
	buf = kvmalloc(size, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	n = posix_acl_to_xattr(&init_user_ns, acl, buf, size);
	if (n > 0)
		n = qtfs_xattr_set(inode, acl_name(type), buf, n, 0);
	kvfree(buf);
	return n;
}

#endif /* QTFS_HAVE_GET_INODE_ACL */
