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
#include "export.h"
#include "inode.h"
#include "reap.h"
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

static void session_has_any(struct qtfs_session *session, void *any)
{
	*(bool *)any |= !list_empty(&session->submounts);
}

static bool submounts_any(void)
{
	bool any = false;

	qtfs_session_each(session_has_any, &any);
	return any;
}

/* Nothing is written any more where the server is lost: that is umount's to end. */
static void session_expire(struct qtfs_session *session, void *unused)
{
	if (qtfs_session_alive(session))
		mark_mounts_for_expiry(&session->submounts);
}

static void submounts_expire(struct work_struct *work)
{
	qtfs_session_each(session_expire, NULL);
	if (submounts_any())
		expire_later();
}

static int timeout_set(const char *value, const struct kernel_param *kp)
{
	int err = param_set_uint(value, kp);

	if (!err && submounts_any()) {
		cancel_delayed_work(&expiry);
		expire_later();
	}
	return err;
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
	int err = qtfs_node_call(place->i_sb, QTFS_OP_NODE, qtfs_i(place)->node,
				 entry);

	if (err || qtfs_is_submount(place->i_sb, &entry->attr))
		return err;
	qtfs_forget_now(qtfs_session(place->i_sb), entry->node, entry->stamp);
	return -ESTALE;
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

void qtfs_mounts_changed(struct qtfs_session *session)
{
	struct qtfs_fs *fs;

	spin_lock_bh(&session->supers_lock);
	list_for_each_entry(fs, &session->supers, link)
		WRITE_ONCE(fs->mounts_clock,
			   (unsigned long)atomic64_read(&fs->clock));
	spin_unlock_bh(&session->supers_lock);
}

int qtfs_mounts_push(struct qtfs_session *session, const void *body, size_t len)
{
	if (len != sizeof(struct qtfs_wire_push_mounts))
		return -EPROTO;
	qtfs_mounts_changed(session);
	return 0;
}

void qtfs_submount_exit(void)
{
	cancel_delayed_work_sync(&expiry);
}
