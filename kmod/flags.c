// SPDX-License-Identifier: GPL-2.0-only
/*
 * Step 1 of the request path for inode flags: those of chattr(1), project ids,
 * the inode's generation. The server's kernel says who may change which.
 */
#include <linux/fs.h>
#include <linux/uaccess.h>
#include <qtfs/flags.h>

#include "codec.h"
#include "file.h"
#include "flags.h"
#include "inode.h"
#include "remote.h"
#include "req.h"
#include "super.h"

static const struct {
	u64 wire;
	u32 basic;
	u32 extended;
} flag_table[] = {
#define X(bit, NAME, basic, extended) { BIT_ULL(bit), basic, extended },
	QTFS_FLAG_LIST(X)
#undef X
};

static u32 basic_decode(u64 wire)
{
	u32 native = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flag_table); i++)
		if (wire & flag_table[i].wire)
			native |= flag_table[i].basic;
	return native;
}

static u32 extended_decode(u64 wire)
{
	u32 native = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flag_table); i++)
		if (wire & flag_table[i].wire)
			native |= flag_table[i].extended;
	return native;
}

/* 0 and @wire, or -EOPNOTSUPP for what has no number. */
static int basic_encode(u32 native, u64 *wire)
{
	size_t i;

	for (i = 0, *wire = 0; i < ARRAY_SIZE(flag_table); i++)
		if (native & flag_table[i].basic) {
			*wire |= flag_table[i].wire;
			native &= ~flag_table[i].basic;
		}
	return native ? -EOPNOTSUPP : 0;
}

static int extended_encode(u32 native, u64 *wire)
{
	size_t i;

	for (i = 0, *wire = 0; i < ARRAY_SIZE(flag_table); i++)
		if (native & flag_table[i].extended) {
			*wire |= flag_table[i].wire;
			native &= ~flag_table[i].extended;
		}
	return native ? -EOPNOTSUPP : 0;
}

/* An engine that knows nothing of flags has none, as many filesystems. */
static int flags_error(int err)
{
	return err == -EOPNOTSUPP ? -ENOTTY : err;
}

static int getflags_call(struct inode *inode, struct qtfs_wire_flags *rep)
{
	struct qtfs_open *open = qtfs_open_any(inode, 0);
	struct qtfs_wire_getattr body = {
		.node = cpu_to_le64(qtfs_i(inode)->node),
		.open = cpu_to_le64(open ? open->release.open : 0),
	};
	struct qtfs_args args = {
		.op	 = QTFS_OP_GETFLAGS,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { rep, sizeof(*rep) },
		.out_min = sizeof(*rep),
	};
	int err = qtfs_call(qtfs_session(inode->i_sb), &args);

	if (open)
		qtfs_open_put(open);
	return err;
}

int qtfs_fileattr_get(struct dentry *dentry, struct file_kattr *fa)
{
	struct qtfs_wire_flags rep;
	u32 valid;
	u64 flags;
	int err;

	err = getflags_call(d_inode(dentry), &rep);
	if (err)
		return flags_error(err);
	valid = le32_to_cpu(rep.valid);
	flags = le64_to_cpu(rep.flags);
	if (!(valid & (QTFS_FLAGS_BASIC | QTFS_FLAGS_EXTENDED)))
		return -ENOTTY;
	/* Each makes the part of the other that both have. */
	if (valid & QTFS_FLAGS_EXTENDED)
		fileattr_fill_xflags(fa, extended_decode(flags));
	else
		fileattr_fill_flags(fa, basic_decode(flags));
	if (valid & QTFS_FLAGS_BASIC)
		fa->flags |= basic_decode(flags);
	fa->fsx_extsize = le32_to_cpu(rep.extsize);
	fa->fsx_nextents = le32_to_cpu(rep.nextents);
	fa->fsx_projid = le32_to_cpu(rep.projid);
	fa->fsx_cowextsize = le32_to_cpu(rep.cowextsize);
	return 0;
}

static int setflags_encode(const struct file_kattr *fa,
			   struct qtfs_wire_flags *set)
{
	u64 flags;
	int err;

	if (fa->flags_valid) {
		err = basic_encode(fa->flags, &flags);
		set->valid = cpu_to_le32(QTFS_FLAGS_BASIC);
	} else {
		err = extended_encode(fa->fsx_xflags, &flags);
		set->valid = cpu_to_le32(QTFS_FLAGS_EXTENDED);
		set->projid = cpu_to_le32(fa->fsx_projid);
		set->extsize = cpu_to_le32(fa->fsx_extsize);
		set->cowextsize = cpu_to_le32(fa->fsx_cowextsize);
	}
	set->flags = cpu_to_le64(flags);
	return err;
}

static int setflags_call(struct inode *inode, struct qtfs_wire_setflags *body)
{
	struct qtfs_open *open = qtfs_open_any(inode, 0);
	struct qtfs_inode *qi = qtfs_i(inode);
	struct qtfs_wire_attr wire;
	struct qtfs_args args = {
		.op	 = QTFS_OP_SETFLAGS,
		.nr_in	 = 1,
		.in[0]	 = { body, sizeof(*body) },
		.out	 = { &wire, sizeof(wire) },
		.out_min = sizeof(wire),
	};
	struct qtfs_attr attr;
	u64 clock;
	int err;

	body->node = cpu_to_le64(qi->node);
	body->open = cpu_to_le64(open ? open->release.open : 0);
	err = qtfs_call(qtfs_session(inode->i_sb), &args);
	if (open)
		qtfs_open_put(open);
	clock = qtfs_inode_expire(inode);
	if (err)
		return err;
	err = qtfs_attr_decode(&wire, &attr);
	if (err)
		return err;
	if (inode_wrong_type(inode, attr.mode))
		return -ESTALE;
	qtfs_inode_update(inode, &attr, clock, true);
	/* Somebody else's change may hide behind ours: look again at open. */
	spin_lock(&qi->lock);
	qi->racy = true;
	spin_unlock(&qi->lock);
	return 0;
}

int qtfs_fileattr_set(struct mnt_idmap *idmap, struct dentry *dentry,
		      struct file_kattr *fa)
{
	struct inode *inode = d_inode(dentry);
	struct qtfs_wire_setflags body = {};
	int err;

	err = setflags_encode(fa, &body.set);
	if (err)
		return err;
	/* What was written before it became immutable is to arrive. */
	if (S_ISREG(inode->i_mode)) {
		err = qtfs_flush_pages(inode, NULL);
		if (err == -EINTR)
			return err;
	}
	return setflags_call(inode, &body);
}

static long ioctl_getversion(struct inode *inode, int __user *to)
{
	struct qtfs_wire_flags rep;
	int err;

	err = getflags_call(inode, &rep);
	if (err)
		return flags_error(err);
	if (!(le32_to_cpu(rep.valid) & QTFS_FLAGS_GENERATION))
		return -ENOTTY;
	return put_user(le32_to_cpu(rep.generation), to);
}

long qtfs_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	/* With the size of a long in its number, but an int. */
	if (cmd == FS_IOC_GETVERSION || cmd == FS_IOC32_GETVERSION)
		return ioctl_getversion(file_inode(file), (int __user *)arg);
	return qtfs_remote_ioctl(file, cmd, (void __user *)arg);
}

int qtfs_may_modify(struct inode *inode)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	int err;

	if (likely(!(READ_ONCE(qi->flags) & QTFS_ATTR_IMMUTABLE)))
		return 0;
	/* It may have been taken away on the server. */
	err = qtfs_inode_revalidate(inode, true);
	if (err)
		return err;
	return READ_ONCE(qi->flags) & QTFS_ATTR_IMMUTABLE ? -EPERM : 0;
}
