// SPDX-License-Identifier: GPL-2.0-only
/* See codec.h: the only bounds checks of what replies contain. */
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/statfs.h>
#include <linux/user_namespace.h>

#include "codec.h"

static const struct {
	u32 wire;
	umode_t mode;
} types[] = {
	{ QTFS_TYPE_REG,  S_IFREG },
	{ QTFS_TYPE_DIR,  S_IFDIR },
	{ QTFS_TYPE_LNK,  S_IFLNK },
	{ QTFS_TYPE_CHR,  S_IFCHR },
	{ QTFS_TYPE_BLK,  S_IFBLK },
	{ QTFS_TYPE_FIFO, S_IFIFO },
	{ QTFS_TYPE_SOCK, S_IFSOCK },
};

static umode_t type_decode(u32 wire)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].wire == wire)
			return types[i].mode;
	return 0;
}

u32 qtfs_type_encode(umode_t mode)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].mode == (mode & S_IFMT))
			return types[i].wire;
	return QTFS_TYPE_REG;
}

unsigned char qtfs_type_to_dt(u8 type)
{
	umode_t mode = type_decode(type);

	return mode ? fs_umode_to_dtype(mode) : DT_UNKNOWN;
}

static int time_decode(__le64 sec, __le32 ns, struct timespec64 *ts)
{
	ts->tv_sec = le64_to_cpu(sec);
	ts->tv_nsec = le32_to_cpu(ns);
	return le32_to_cpu(ns) < NSEC_PER_SEC ? 0 : -EPROTO;
}

int qtfs_attr_decode(const struct qtfs_wire_attr *wire, struct qtfs_attr *attr)
{
	umode_t type = type_decode(le32_to_cpu(wire->type));
	u32 mode = le32_to_cpu(wire->mode);

	if (!type || (mode & ~07777u) || wire->reserved ||
	    time_decode(wire->atime, wire->atime_ns, &attr->atime) ||
	    time_decode(wire->mtime, wire->mtime_ns, &attr->mtime) ||
	    time_decode(wire->ctime, wire->ctime_ns, &attr->ctime) ||
	    time_decode(wire->btime, wire->btime_ns, &attr->btime))
		return -EPROTO;

	attr->ino = le64_to_cpu(wire->ino);
	attr->size = le64_to_cpu(wire->size);
	attr->blocks = le64_to_cpu(wire->blocks);
	attr->change = le64_to_cpu(wire->change);
	attr->mode = type | mode;
	attr->nlink = le32_to_cpu(wire->nlink);
	attr->uid = make_kuid(&init_user_ns, le32_to_cpu(wire->uid));
	attr->gid = make_kgid(&init_user_ns, le32_to_cpu(wire->gid));
	attr->blksize = le32_to_cpu(wire->blksize);
	attr->rdev = MKDEV(le32_to_cpu(wire->rdev_major),
			   le32_to_cpu(wire->rdev_minor));
	attr->mount = le64_to_cpu(wire->mnt_id);
	attr->dev = MKDEV(le32_to_cpu(wire->dev_major),
			  le32_to_cpu(wire->dev_minor));
	attr->flags = le32_to_cpu(wire->flags);
	attr->dio_mem_align = le32_to_cpu(wire->dio_mem_align);
	attr->dio_offset_align = le32_to_cpu(wire->dio_offset_align);

	if (attr->size > MAX_LFS_FILESIZE)
		return -EPROTO;
	return 0;
}

int qtfs_entry_decode(const struct qtfs_wire_entry *wire,
		      struct qtfs_entry *entry)
{
	entry->node = le64_to_cpu(wire->node);
	entry->stamp = le64_to_cpu(wire->stamp);
	entry->access = le32_to_cpu(wire->access);
	if (!entry->node || entry->node == QTFS_PREV || wire->reserved)
		return -EPROTO;
	return qtfs_attr_decode(&wire->attr, &entry->attr);
}

void qtfs_statfs_decode(const struct qtfs_wire_statfs *wire,
			struct kstatfs *st)
{
	u64 fsid = le64_to_cpu(wire->fsid);

	st->f_bsize = le32_to_cpu(wire->bsize);
	st->f_frsize = le32_to_cpu(wire->frsize);
	st->f_blocks = le64_to_cpu(wire->blocks);
	st->f_bfree = le64_to_cpu(wire->bfree);
	st->f_bavail = le64_to_cpu(wire->bavail);
	st->f_files = le64_to_cpu(wire->files);
	st->f_ffree = le64_to_cpu(wire->ffree);
	st->f_namelen = le32_to_cpu(wire->namelen);
	st->f_fsid.val[0] = (u32)fsid;
	st->f_fsid.val[1] = (u32)(fsid >> 32);
}

void qtfs_setattr_encode(const struct iattr *iattr,
			 struct qtfs_wire_setattr *wire)
{
	unsigned int ia = iattr->ia_valid;
	u32 valid = 0;

	/*
	 * The server clears set-id bits itself, as its caller may: a writer
	 * or truncater that is not the owner could not by chmod.
	 */
	if (ia & (ATTR_KILL_SUID | ATTR_KILL_SGID))
		ia &= ~ATTR_MODE;
	if (ia & ATTR_MODE) {
		valid |= QTFS_SET_MODE;
		wire->mode = cpu_to_le32(iattr->ia_mode & 07777);
	}
	if (ia & ATTR_UID) {
		valid |= QTFS_SET_UID;
		wire->uid = cpu_to_le32(from_kuid(&init_user_ns,
						  iattr->ia_uid));
	}
	if (ia & ATTR_GID) {
		valid |= QTFS_SET_GID;
		wire->gid = cpu_to_le32(from_kgid(&init_user_ns,
						  iattr->ia_gid));
	}
	if (ia & ATTR_SIZE) {
		valid |= QTFS_SET_SIZE;
		wire->size = cpu_to_le64(iattr->ia_size);
	}
	if (ia & ATTR_ATIME) {
		valid |= ia & ATTR_ATIME_SET ? QTFS_SET_ATIME :
					       QTFS_SET_ATIME_NOW;
		wire->atime = cpu_to_le64(iattr->ia_atime.tv_sec);
		wire->atime_ns = cpu_to_le32(iattr->ia_atime.tv_nsec);
	}
	/* A truncation sets mtime by itself. */
	if ((ia & ATTR_MTIME) && (!(ia & ATTR_SIZE) || (ia & ATTR_MTIME_SET))) {
		valid |= ia & ATTR_MTIME_SET ? QTFS_SET_MTIME :
					       QTFS_SET_MTIME_NOW;
		wire->mtime = cpu_to_le64(iattr->ia_mtime.tv_sec);
		wire->mtime_ns = cpu_to_le32(iattr->ia_mtime.tv_nsec);
	}
	/* chown(2) that names nobody clears set-id bits all the same, and moves ctime. */
	if ((iattr->ia_valid & (ATTR_KILL_SUID | ATTR_KILL_SGID)) &&
	    !(ia & (ATTR_UID | ATTR_GID | ATTR_SIZE))) {
		valid |= QTFS_SET_UID;
		wire->uid = cpu_to_le32(U32_MAX);
	}
	wire->valid = cpu_to_le32(valid);
}

static const struct {
	unsigned int here;
	u32 wire;
} open_flags[] = {
	{ O_APPEND,	QTFS_OPEN_APPEND },
	{ O_TRUNC,	QTFS_OPEN_TRUNC },
	{ O_CREAT,	QTFS_OPEN_CREATE },
	{ O_EXCL,	QTFS_OPEN_EXCL },
	{ O_DSYNC,	QTFS_OPEN_DSYNC },
	{ __O_SYNC,	QTFS_OPEN_SYNC },
	{ O_NONBLOCK,	QTFS_OPEN_NONBLOCK },
	{ O_DIRECTORY,	QTFS_OPEN_DIRECTORY },
	{ O_NOATIME,	QTFS_OPEN_NOATIME },
	{ __FMODE_EXEC,	QTFS_OPEN_EXEC },
};

u32 qtfs_open_flags_encode(unsigned int flags)
{
	u32 wire = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(open_flags); i++)
		if (flags & open_flags[i].here)
			wire |= open_flags[i].wire;
	if ((flags & O_ACCMODE) != O_WRONLY)
		wire |= QTFS_OPEN_READ;
	if ((flags & O_ACCMODE) != O_RDONLY)
		wire |= QTFS_OPEN_WRITE;
	return wire;
}

unsigned int qtfs_open_flags_opened(u32 wire)
{
	const u32 lasting = QTFS_OPEN_APPEND | QTFS_OPEN_DSYNC | QTFS_OPEN_SYNC;
	unsigned int flags = O_LARGEFILE;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(open_flags); i++)
		if (wire & lasting & open_flags[i].wire)
			flags |= open_flags[i].here;
	if (!(wire & QTFS_OPEN_WRITE))
		return flags | O_RDONLY;
	return flags | (wire & QTFS_OPEN_READ ? O_RDWR : O_WRONLY);
}

u32 qtfs_may_encode(int mask)
{
	u32 wire = 0;

	if (mask & MAY_READ)
		wire |= QTFS_MAY_READ;
	if (mask & (MAY_WRITE | MAY_APPEND))
		wire |= QTFS_MAY_WRITE;
	if (mask & (MAY_EXEC | MAY_CHDIR))
		wire |= QTFS_MAY_EXEC;
	return wire;
}

int qtfs_results_start(struct qtfs_results *r, const void *body, size_t len)
{
	if (len < sizeof(struct qtfs_wire_compound))
		return -EPROTO;
	r->at = body + sizeof(struct qtfs_wire_compound);
	r->left = len - sizeof(struct qtfs_wire_compound);
	return 0;
}

int qtfs_results_next(struct qtfs_results *r, u16 op, size_t min,
		      const void **body)
{
	const struct qtfs_wire_result *result = r->at;
	size_t len;

	if (!r->left)
		return -ENODATA;
	if (r->left < sizeof(*result))
		return -EPROTO;
	len = le32_to_cpu(result->body);
	if (len > r->left - sizeof(*result) || len % QTFS_ALIGN ||
	    le16_to_cpu(result->op) != op)
		return -EPROTO;
	r->at += sizeof(*result) + len;
	r->left -= sizeof(*result) + len;
	if (result->status)
		return -qtfs_wire_status(result->status);
	if (len < min)
		return -EPROTO;
	*body = result + 1;
	return 0;
}
