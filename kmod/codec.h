/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the wire's structures and the kernel's. What a peer says about
 * attributes and entries is believed only after it passed here.
 */
#ifndef QTFS_CODEC_H
#define QTFS_CODEC_H

#include <linux/time64.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <qtfs/ops.h>

#include "req.h"

struct iattr;
struct kstatfs;

/* A node's attributes, checked. Times in the kernel's form, mode with type. */
struct qtfs_attr {
	u64 ino;
	u64 size;
	u64 blocks;
	u64 change;
	struct timespec64 atime;
	struct timespec64 mtime;
	struct timespec64 ctime;
	struct timespec64 btime;
	umode_t mode;
	u32 nlink;
	kuid_t uid;
	kgid_t gid;
	u32 blksize;
	dev_t rdev;
	dev_t dev;		/* the server's filesystem */
	u64 mount;		/* the server's mount */
	u32 flags;		/* QTFS_ATTR_* */
	u32 dio_mem_align;
	u32 dio_offset_align;
};

/* A name's node, checked. */
struct qtfs_entry {
	u64 node;
	u64 stamp;
	u32 access;		/* QTFS_MAY_* */
	struct qtfs_attr attr;
};

/* All return 0 or -EPROTO. */
int qtfs_attr_decode(const struct qtfs_wire_attr *wire, struct qtfs_attr *attr);
int qtfs_entry_decode(const struct qtfs_wire_entry *wire,
		      struct qtfs_entry *entry);

void qtfs_statfs_decode(const struct qtfs_wire_statfs *wire,
			struct kstatfs *st);

/* Which of @iattr's changes the engine makes, in its words. */
void qtfs_setattr_encode(const struct iattr *iattr,
			 struct qtfs_wire_setattr *wire);

u32 qtfs_type_encode(umode_t mode);
unsigned char qtfs_type_to_dt(u8 type);

/* The wire's open flags for a file's f_flags. */
u32 qtfs_open_flags_encode(unsigned int flags);

/* What a file is opened with that the server has opened with @wire already. */
unsigned int qtfs_open_flags_opened(u32 wire);

/* MAY_READ, MAY_WRITE, MAY_EXEC in the wire's words. */
u32 qtfs_may_encode(int mask);

/* Reads a compound's results one by one. */
struct qtfs_results {
	const void *at;
	size_t left;
};

/* Starts on the reply's body. -EPROTO when it is none. */
int qtfs_results_start(struct qtfs_results *r, const void *body, size_t len);

/**
 * qtfs_results_next - the next sub-operation's result
 * @op: what it must be
 * @min: least bytes of a successful one's body
 * @body: returned
 *
 * Return: 0, the sub-operation's own error, -ENODATA when it did not run, or
 * -EPROTO.
 */
int qtfs_results_next(struct qtfs_results *r, u16 op, size_t min,
		      const void **body);

#endif /* QTFS_CODEC_H */
