// SPDX-License-Identifier: GPL-2.0-only
/*
 * Submounts: see submount.h. The dentry in the superblock above is a place to
 * mount on; its inode has the node of the mount's root, as has the root of the
 * superblock mounted there. When the server's mount goes, or another comes, the
 * name leads to another node: revalidation finds out, and the VFS detaches what
 * is mounted on a dentry that is no longer right.
 */
#include <linux/fs_context.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/workqueue.h>

#include "compat/compat.h"
#include "inode.h"
#include "reap.h"
#include "req.h"
#include "submount.h"
#include "super.h"

static void submounts_expire(struct work_struct *work);

static DECLARE_DELAYED_WORK(expiry, submounts_expire);

static unsigned int timeout = 300;	/* seconds; 0: for ever */

/* What the first time finds unused, the second takes away. */
static void expire_later(void)
{
	unsigned int seconds = READ_ONCE(timeout);

	if (seconds)
		queue_delayed_work(system_unbound_wq, &expiry,
				   max(seconds / 2, 1u) * (unsigned long)HZ);
}

/* Nothing is written any more where the server is lost: that is umount's to end. */
static void session_expire(struct qtfs_session *session, void *left)
{
	if (qtfs_session_alive(session))
		mark_mounts_for_expiry(&session->submounts);
	*(bool *)left |= !list_empty(&session->submounts);
}

static void submounts_expire(struct work_struct *work)
{
	bool left = false;

	qtfs_session_each(session_expire, &left);
	if (left)
		expire_later();
}

static void session_has_any(struct qtfs_session *session, void *any)
{
	*(bool *)any |= !list_empty(&session->submounts);
}

static int timeout_set(const char *value, const struct kernel_param *kp)
{
	int err = param_set_uint(value, kp);
	bool any = false;

	if (err)
		return err;
	qtfs_session_each(session_has_any, &any);
	if (any) {
		cancel_delayed_work(&expiry);
		expire_later();
	}
	return 0;
}

static const struct kernel_param_ops timeout_ops = {
	.set = timeout_set,
	.get = param_get_uint,
};
module_param_cb(qtfs_submount_timeout, &timeout_ops, &timeout, 0644);
MODULE_PARM_DESC(qtfs_submount_timeout,
		 "seconds after which what is mounted for one of the server's mounts goes when nobody uses it; 0: never (300)");

/* A grant of the root's node for the superblock to come; -ESTALE: look again. */
static int root_call(struct inode *place, struct qtfs_entry *entry)
{
	struct qtfs_wire_node body = {
		.node = cpu_to_le64(qtfs_i(place)->node),
	};
	struct qtfs_wire_entry wire;
	struct qtfs_args args = {
		.op	 = QTFS_OP_NODE,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &wire, sizeof(wire) },
		.out_min = sizeof(wire),
	};
	int err;

	err = qtfs_call(qtfs_session(place->i_sb), &args) ?:
	      qtfs_entry_decode(&wire, entry);
	if (err)
		return err;
	if (wire.node != body.node)
		err = -EPROTO;
	else if (!qtfs_is_submount(place->i_sb, &entry->attr))
		err = -ESTALE;
	if (err)
		qtfs_forget_now(qtfs_session(place->i_sb), entry->node,
				entry->stamp);
	return err;
}

struct vfsmount *qtfs_d_automount(struct path *path)
{
	struct qtfs_entry root;
	struct fs_context *fc;
	struct vfsmount *mnt;
	int err;

	err = root_call(d_inode(path->dentry), &root);
	if (err)
		return ERR_PTR(err);
	fc = fs_context_for_submount(path->mnt->mnt_sb->s_type, path->dentry);
	if (IS_ERR(fc)) {
		qtfs_forget_now(qtfs_session(path->mnt->mnt_sb), root.node,
				root.stamp);
		return ERR_CAST(fc);
	}
	err = qtfs_super_submount(fc, path->dentry, &root);
	mnt = err ? ERR_PTR(err) : fc_mount(fc);
	put_fs_context(fc);
	if (IS_ERR(mnt))
		return mnt;
	mnt_set_expiry(mnt, &qtfs_session(mnt->mnt_sb)->submounts);
	expire_later();
	return qtfs_automounted(mnt);
}

int qtfs_mounts_push(struct qtfs_session *session, const void *body, size_t len)
{
	struct qtfs_fs *fs;

	if (len != sizeof(struct qtfs_wire_push_mounts))
		return -EPROTO;
	spin_lock_bh(&session->supers_lock);
	list_for_each_entry(fs, &session->supers, link)
		WRITE_ONCE(fs->mounts_clock,
			   (unsigned long)atomic64_read(&fs->clock));
	spin_unlock_bh(&session->supers_lock);
	return 0;
}

void qtfs_submount_exit(void)
{
	cancel_delayed_work_sync(&expiry);
}

const struct inode_operations qtfs_place_inode_operations = {
	.getattr	= qtfs_getattr,
	.setattr	= qtfs_setattr,
	.permission	= qtfs_permission,
	.listxattr	= qtfs_listxattr,
	QTFS_ACL_OPS
};
