// SPDX-License-Identifier: GPL-2.0-only
/*
 * Step 1 of the request path for mounts on the server. What they are is between
 * mount.qtfs and the server's kernel.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <qtfs/remote.h>

#include "inode.h"
#include "remote.h"
#include "req.h"
#include "session.h"
#include "submount.h"
#include "super.h"

/* What the server says to the user. */
static int said_copy(const struct qtfs_args *args,
		     const struct qtfs_remote_mount *how)
{
	char __user *to = u64_to_user_ptr(how->said);
	size_t len;

	if (!how->said_len)
		return 0;
	len = min_t(size_t, args->data_len, how->said_len - 1);
	if (copy_to_user(to, args->data, len) || put_user('\0', to + len))
		return -EFAULT;
	return 0;
}

static int remote_call(struct inode *dir, u16 op, void *what,
		       const struct qtfs_remote_mount *how)
{
	struct qtfs_session *session = qtfs_session(dir->i_sb);
	struct qtfs_wire_mount body = {
		.node = cpu_to_le64(qtfs_i(dir)->node),
	};
	struct qtfs_wire_mount_rep rep;
	struct qtfs_args args = {
		.op	  = op,
		.nr_in	  = 1,
		.in[0]	  = { &body, sizeof(body) },
		.data_in  = { what, what ? how->what_len : 0 },
		.out	  = { &rep, sizeof(rep) },
		.out_min  = sizeof(rep),
		.data_max = QTFS_MOUNT_SAID_MAX,
	};
	int err, copied;

	err = qtfs_call(session, &args);
	if (!err) {
		err = -qtfs_wire_status(rep.error);
		copied = said_copy(&args, how);
		if (!err)
			err = copied;
		qtfs_mounts_changed(session);
	}
	kvfree(args.data);
	return err;
}

/* Three strings. The engine takes anything else for a broken client. */
static bool what_valid(const char *what, size_t len)
{
	unsigned int ends = 0;
	size_t i;

	for (i = 0; i < len; i++)
		ends += !what[i];
	return ends == 3 && !what[len - 1];
}

long qtfs_remote_ioctl(struct file *dir, unsigned int cmd, void __user *arg)
{
	struct inode *inode = file_inode(dir);
	struct qtfs_remote_mount how;
	void *what = NULL;
	int err;

	if (cmd != QTFS_REMOTE_MOUNT && cmd != QTFS_REMOTE_UMOUNT)
		return -ENOTTY;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!S_ISDIR(inode->i_mode))
		return -ENOTDIR;
	/* Nobody would come to see what is mounted there. */
	if (IS_ROOT(dir->f_path.dentry) && !qtfs_fs(inode->i_sb)->below)
		return -EBUSY;
	if (copy_from_user(&how, arg, sizeof(how)))
		return -EFAULT;
	if (cmd == QTFS_REMOTE_UMOUNT)
		return remote_call(inode, QTFS_OP_UMOUNT, NULL, &how);
	if (!how.what_len)
		return -EINVAL;
	if (how.what_len > min(QTFS_MOUNT_TEXT_MAX,
			       qtfs_session(inode->i_sb)->io_max))
		return -E2BIG;
	what = memdup_user(u64_to_user_ptr(how.what), how.what_len);
	if (IS_ERR(what))
		return PTR_ERR(what);
	err = -EINVAL;
	if (what_valid(what, how.what_len))
		err = remote_call(inode, QTFS_OP_MOUNT, what, &how);
	kfree(what);
	return err;
}
