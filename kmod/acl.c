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

struct posix_acl *qtfs_get_acl(struct mnt_idmap *idmap, struct dentry *dentry,
			       int type)
{
	struct qtfs_inode *qi = qtfs_i(d_inode(dentry));
	struct posix_acl *acl;
	ssize_t n;
	u64 clock;
	void *buf;

	/* Setting one moves ctime, and with it the change attribute. */
	if (test_bit(acl_bit(type), &qi->no_acl) && qtfs_inode_fresh(&qi->vfs))
		return NULL;
	buf = kvmalloc(ACL_BYTES_MAX, GFP_KERNEL);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	clock = qtfs_clock(qi->vfs.i_sb);
	n = qtfs_xattr_get(d_inode(dentry), acl_name(type), buf, ACL_BYTES_MAX);
	if (n > 0)
		acl = posix_acl_from_xattr(&init_user_ns, buf, n);
	else if (n == 0 || n == -ENODATA || n == -EOPNOTSUPP)
		acl = NULL;
	else
		acl = ERR_PTR(n);
	spin_lock(&qi->lock);
	if (!acl && qtfs_inode_latest(&qi->vfs, clock))
		set_bit(acl_bit(type), &qi->no_acl);
	spin_unlock(&qi->lock);
	kvfree(buf);
	return acl;
}

int qtfs_set_acl(struct mnt_idmap *idmap, struct dentry *dentry,
		 struct posix_acl *acl, int type)
{
	struct inode *inode = d_inode(dentry);
	void *buf;
	int n;

	clear_bit(acl_bit(type), &qtfs_i(inode)->no_acl);
	if (!acl)
		return qtfs_xattr_set(inode, acl_name(type), NULL, 0, 0);
	buf = kvmalloc(ACL_BYTES_MAX, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	n = posix_acl_to_xattr(&init_user_ns, acl, buf, ACL_BYTES_MAX);
	if (n > 0)
		n = qtfs_xattr_set(inode, acl_name(type), buf, n, 0);
	kvfree(buf);
	return n;
}

#endif /* QTFS_HAVE_GET_INODE_ACL */
