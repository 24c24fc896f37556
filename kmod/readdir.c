// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listing: READDIR gives names, cookies and, where somebody will want them,
 * attributes that go straight into the caches. A file's position is the
 * server's own cookie.
 */
#include <linux/slab.h>

#include "dir.h"
#include "file.h"
#include "flags.h"
#include "inode.h"
#include "lock.h"
#include "reap.h"
#include "req.h"

#define READDIR_BYTES (128u << 10)

/* Positions 0 and 1 are "." and "..", then the server's cookies follow. */
#define DIR_FIRST 2

static loff_t dir_pos(u64 cookie)
{
	return cookie > DIR_FIRST ? cookie : DIR_FIRST;
}

/* An entry of the reply, with its parts found and checked. */
struct dirent_view {
	const struct qtfs_wire_dirent *wire;
	const struct qtfs_wire_entry *entry;	/* or NULL */
	const char *name;
	size_t name_len;
	size_t len;				/* of all of it */
};

static int dirent_view(const void *at, size_t left, struct dirent_view *v)
{
	size_t len = sizeof(*v->wire);

	v->wire = at;
	if (left < len)
		return -EPROTO;
	v->entry = NULL;
	if (v->wire->flags & QTFS_DIRENT_ENTRY) {
		v->entry = at + len;
		len += sizeof(*v->entry);
	}
	v->name = at + len;
	v->name_len = le16_to_cpu(v->wire->name_len);
	len += QTFS_PAD(v->name_len);
	v->len = len;
	if (left < len || !v->name_len || v->name_len > QTFS_NAME_MAX ||
	    v->wire->reserved || le64_to_cpu(v->wire->cookie) > LLONG_MAX ||
	    memchr(v->name, '/', v->name_len) ||
	    memchr(v->name, 0, v->name_len))
		return -EPROTO;
	/* "." and ".." are ours to make. */
	if (v->name[0] == '.' && (v->name_len == 1 ||
				  (v->name_len == 2 && v->name[1] == '.')))
		return -EPROTO;
	return 0;
}

/* Entries that nobody looked at hold nodes at the engine. */
static void dir_drop_rest(struct qtfs_open *open)
{
	struct dirent_view v;

	while (open->dirents_at < open->dirents_len) {
		if (dirent_view(open->dirents + open->dirents_at,
				open->dirents_len - open->dirents_at, &v))
			break;
		if (v.entry)
			qtfs_forget_entry(open->session, v.entry);
		open->dirents_at += v.len;
	}
	kvfree(open->dirents);
	open->dirents = NULL;
	open->dirents_len = 0;
	open->dirents_at = 0;
}

void qtfs_dir_close(struct qtfs_open *open)
{
	dir_drop_rest(open);
}

/* Puts the entry's name and node into the caches. */
static void dir_prime(struct dentry *parent, const struct dirent_view *v,
		      u64 clock)
{
	struct qstr name = QSTR_INIT(v->name, v->name_len);
	DECLARE_WAIT_QUEUE_HEAD_ONSTACK(wq);
	struct inode *dir = d_inode(parent);
	struct dentry *dentry, *alias;

	name.hash = full_name_hash(parent, name.name, name.len);
	dentry = d_lookup(parent, &name);
	if (dentry && d_really_is_positive(dentry) &&
	    qtfs_i(d_inode(dentry))->node == le64_to_cpu(v->entry->node)) {
		/* Known: the attributes are news, and that the name holds. */
		struct qtfs_entry entry;
		struct inode *inode;

		if (!qtfs_entry_decode(v->entry, &entry)) {
			inode = qtfs_iget(dir->i_sb, &entry, clock);
			if (!IS_ERR(inode)) {
				qtfs_dentry_believe(dentry, dir, clock);
				iput(inode);
			}
		}
		goto out;
	}
	if (dentry) {
		d_invalidate(dentry);
		dput(dentry);
	}
	dentry = d_alloc_parallel(parent, &name, &wq);
	if (IS_ERR(dentry))
		goto forget;
	if (!d_in_lookup(dentry)) {
		dput(dentry);
		goto forget;
	}
	alias = qtfs_splice(dir, dentry, v->entry, clock);
	d_lookup_done(dentry);
	if (!IS_ERR_OR_NULL(alias))
		dput(alias);
out:
	dput(dentry);
	return;
forget:
	qtfs_forget_entry(qtfs_session(dir->i_sb), v->entry);
}

static int dir_fill(struct file *file, bool plus)
{
	struct inode *dir = file_inode(file);
	struct qtfs_open *open = qtfs_open_of(file);
	struct qtfs_wire_readdir body = {
		.open	  = cpu_to_le64(open->release.open),
		.cookie	  = cpu_to_le64(open->cookie),
		.verifier = cpu_to_le64(open->verifier),
		.count	  = cpu_to_le32(READDIR_BYTES),
	};
	struct qtfs_wire_dirs rep;
	struct qtfs_args args = {
		.op	  = QTFS_OP_READDIR,
		.nr_in	  = 1,
		.in[0]	  = { &body, sizeof(body) },
		.out	  = { &rep, sizeof(rep) },
		.out_min  = sizeof(rep),
		.data_max = READDIR_BYTES,
		.cred	  = open->cred,
	};
	int err;

	if (plus && !qtfs_is_synthetic(dir))
		body.flags = cpu_to_le32(QTFS_READDIR_PLUS);
	dir_drop_rest(open);
	open->dir_clock = qtfs_clock(dir->i_sb);
	err = qtfs_call(qtfs_session(dir->i_sb), &args);
	if (err) {
		kvfree(args.data);
		return err;
	}
	open->dirents = args.data;
	open->dirents_len = args.data_len;
	open->dirents_at = 0;
	open->verifier = le64_to_cpu(rep.verifier);
	open->dir_eof = le32_to_cpu(rep.flags) & QTFS_READDIR_EOF;
	/* Neither entries nor the end: it would never end. */
	if (!args.data_len && !open->dir_eof)
		return -EPROTO;
	return 0;
}

/* Hands on what is buffered; true when the caller's buffer is full. */
static int dir_emit_buffered(struct file *file, struct dir_context *ctx,
			     bool *full)
{
	const struct qtfs_inode *dir = qtfs_i(file_inode(file));
	struct qtfs_open *open = qtfs_open_of(file);
	struct dirent_view v;
	int err;

	while (open->dirents_at < open->dirents_len) {
		err = dirent_view(open->dirents + open->dirents_at,
				  open->dirents_len - open->dirents_at, &v);
		if (err)
			return err;
		if (!dir_emit(ctx, v.name, v.name_len,
			      le64_to_cpu(v.wire->ino),
			      qtfs_type_to_dt(v.wire->type))) {
			*full = true;
			return 0;
		}
		open->dirents_at += v.len;
		open->cookie = le64_to_cpu(v.wire->cookie);
		ctx->pos = open->dir_pos = dir_pos(open->cookie);
		if (!v.entry)
			continue;
		/* We changed the directory since it was read: who knows. */
		if (READ_ONCE(dir->names_clock) > open->dir_clock)
			qtfs_forget_entry(open->session, v.entry);
		else
			dir_prime(file->f_path.dentry, &v, open->dir_clock);
	}
	return 0;
}

static int qtfs_iterate(struct file *file, struct dir_context *ctx)
{
	struct qtfs_open *open = qtfs_open_of(file);
	bool full = false, plus;
	int err;

	/*
	 * With attributes at first, and then as long as somebody looks at
	 * them. Who reads many names at once has had no occasion before the
	 * call is over.
	 */
	plus = test_and_clear_bit(QTFS_INODE_LIST_PLUS,
				  &qtfs_i(file_inode(file))->state) ||
	       ctx->pos <= DIR_FIRST;
	if (!dir_emit_dots(file, ctx))
		return 0;
	if (ctx->pos != open->dir_pos) {	/* rewinddir, seekdir */
		dir_drop_rest(open);
		open->dir_pos = ctx->pos;
		open->cookie = ctx->pos == DIR_FIRST ? 0 : ctx->pos;
		open->dir_eof = false;
		if (!open->cookie)
			open->verifier = 0;
	}
	for (;;) {
		err = dir_emit_buffered(file, ctx, &full);
		if (err || full)
			return err;
		if (open->dir_eof)
			return 0;
		err = dir_fill(file, plus);
		if (err)
			return err;
	}
}

static int qtfs_dir_fsync(struct file *file, loff_t start, loff_t end,
			  int datasync)
{
	struct qtfs_open *open = qtfs_open_of(file);

	return qtfs_fsync_call(open, datasync);
}

static loff_t qtfs_dir_llseek(struct file *file, loff_t offset, int whence)
{
	if (whence == SEEK_CUR)
		offset += file->f_pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (offset < 0)
		return -EINVAL;
	/* rewinddir(3) has the directory read again, even from where it is. */
	if (whence == SEEK_SET)
		qtfs_open_of(file)->dir_pos = -1;
	return file->f_pos = offset;
}

const struct file_operations qtfs_dir_operations = {
	.open		= qtfs_open,
	.release	= qtfs_release,
	.iterate_shared	= qtfs_iterate,
	.llseek		= qtfs_dir_llseek,
	.read		= generic_read_dir,
	.fsync		= qtfs_dir_fsync,
	.unlocked_ioctl	= qtfs_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.lock		= qtfs_lock,
	.flock		= qtfs_flock,
	.setlease	= simple_nosetlease,
};
