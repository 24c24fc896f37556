// SPDX-License-Identifier: GPL-2.0-only
/*
 * Step 1 of the request path for names: lookup and revalidation, creating,
 * removing, renaming, linking; opening in the same round trip as the lookup.
 */
#include <linux/cred.h>
#include <linux/namei.h>
#include <linux/slab.h>

#include "bound.h"
#include "dir.h"
#include "file.h"
#include "flags.h"
#include "inode.h"
#include "reap.h"
#include "range.h"
#include "req.h"
#include "submount.h"

void qtfs_dentry_believe(struct dentry *dentry, struct inode *dir, u64 clock)
{
	const struct qtfs_options *opts = &qtfs_fs(dir->i_sb)->opts;
	const struct qtfs_inode *qi = qtfs_i(dir);
	unsigned long span = READ_ONCE(qi->attr_span);

	/* That the directory has just changed, by us, makes it no less true. */
	if (!(READ_ONCE(qi->flags) & (QTFS_ATTR_SYNTHETIC | QTFS_ATTR_UNCACHED)))
		span = max_t(unsigned long, span, HZ * opts->ac.dir_min);
	WRITE_ONCE(dentry->d_fsdata, (void *)(unsigned long)clock);
	WRITE_ONCE(dentry->d_time, jiffies + span);
}

/* Whether the name need not be asked for again. */
static bool dentry_fresh(const struct dentry *dentry, const struct inode *inode)
{
	/* A program that starts anew makes another, and connect(2) looks once. */
	if (inode && S_ISSOCK(inode->i_mode))
		return false;
	/* Something was mounted or unmounted on the server since then. */
	if (inode && S_ISDIR(inode->i_mode) &&
	    (long)((unsigned long)READ_ONCE(dentry->d_fsdata) -
		   READ_ONCE(qtfs_fs(inode->i_sb)->mounts_clock)) <= 0)
		return false;
	return time_before(jiffies, READ_ONCE(dentry->d_time));
}

struct dentry *qtfs_splice(struct inode *dir, struct dentry *dentry,
			   const struct qtfs_wire_entry *wire, u64 clock)
{
	struct dentry *alias = NULL;
	struct inode *inode = NULL;
	struct qtfs_entry entry;
	int err;

	if (wire) {
		err = qtfs_entry_decode(wire, &entry);
		if (err)
			return ERR_PTR(err);
		inode = qtfs_iget(dir->i_sb, &entry, clock);
		if (IS_ERR(inode))
			return ERR_CAST(inode);
		qtfs_access_learn(inode, current_cred(), entry.access, clock);
	}
	if (!d_in_lookup(dentry))
		d_drop(dentry);
	alias = d_splice_alias(inode, dentry);
	if (!IS_ERR(alias))
		qtfs_dentry_believe(alias ?: dentry, dir, clock);
	return alias;
}

void qtfs_name_unsure(struct inode *dir, struct dentry *dentry, int err)
{
	if (!qtfs_may_be_done(err))
		return;
	qtfs_names_changed(dir);
	WRITE_ONCE(dentry->d_time, jiffies);
	if (d_really_is_positive(dentry))
		qtfs_inode_expire(d_inode(dentry));
}

int qtfs_instantiate(struct inode *dir, struct dentry *dentry,
		     const struct qtfs_wire_entry *wire, u64 clock)
{
	struct dentry *alias;

	qtfs_names_changed(dir);
	alias = qtfs_splice(dir, dentry, wire, clock);
	if (IS_ERR(alias))
		return PTR_ERR(alias);
	dput(alias);
	return 0;
}

static int dir_lookup_call(struct inode *dir, const struct qstr *name,
			   struct qtfs_wire_entry *entry)
{
	struct qtfs_wire_lookup body = {
		.dir	  = cpu_to_le64(qtfs_i(dir)->node),
		.name_len = cpu_to_le16(name->len),
	};
	struct qtfs_args args = {
		.op	 = QTFS_OP_LOOKUP,
		.nr_in	 = 2,
		.in[0]	 = { &body, sizeof(body) },
		.in[1]	 = { (void *)name->name, name->len },
		.out	 = { entry, sizeof(*entry) },
		.out_min = sizeof(*entry),
	};

	return qtfs_call(qtfs_session(dir->i_sb), &args);
}

static struct dentry *qtfs_lookup(struct inode *dir, struct dentry *dentry,
				  unsigned int flags)
{
	u64 clock = qtfs_clock(dir->i_sb);
	struct qtfs_wire_entry entry;
	int err;

	if (dentry->d_name.len > QTFS_NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	/*
	 * What must not exist, or will be no more: the operation that follows
	 * will find out, if there is one.
	 */
	if (((flags & (LOOKUP_CREATE | LOOKUP_EXCL)) == (LOOKUP_CREATE | LOOKUP_EXCL) ||
	     (flags & LOOKUP_RENAME_TARGET)) && !sb_rdonly(dir->i_sb))
		return NULL;

	set_bit(QTFS_INODE_LIST_PLUS, &qtfs_i(dir)->state);
	err = dir_lookup_call(dir, &dentry->d_name, &entry);
	if (err && err != -ENOENT)
		return ERR_PTR(err);
	return qtfs_splice(dir, dentry, err ? NULL : &entry, clock);
}

/* 1: the name still is this inode, 0: it is not, or an error. */
static int dentry_ask(struct inode *dir, struct dentry *dentry,
		      const struct qstr *name)
{
	struct inode *inode = d_inode(dentry);
	u64 clock = qtfs_clock(dir->i_sb);
	struct qtfs_wire_entry wire;
	struct qtfs_entry entry;
	int err;

	err = dir_lookup_call(dir, name, &wire);
	if (err == -ENOENT || err == -ESTALE || err == -ENOTDIR)
		return 0;
	if (!err)
		err = qtfs_entry_decode(&wire, &entry);
	if (err)
		return err;
	if (entry.node != qtfs_i(inode)->node ||
	    inode_wrong_type(inode, entry.attr.mode)) {
		qtfs_forget_now(qtfs_session(dir->i_sb), entry.node,
				entry.stamp);
		return 0;
	}
	inode = qtfs_iget(dir->i_sb, &entry, clock);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	qtfs_access_learn(inode, current_cred(), entry.access, clock);
	iput(inode);
	qtfs_dentry_believe(dentry, dir, clock);
	return 1;
}

/* Whether it is known under another name than that. */
static bool dentry_moved(struct dentry *dentry, const struct dentry *parent,
			 const struct qstr *name)
{
	bool moved;

	spin_lock(&dentry->d_lock);
	moved = !d_unhashed(dentry) &&
		(dentry->d_parent != parent ||
		 dentry->d_name.len != name->len ||
		 memcmp(dentry->d_name.name, name->name, name->len));
	spin_unlock(&dentry->d_lock);
	return moved;
}

static int qtfs_d_revalidate(struct dentry *dentry, unsigned int flags)
{
	struct inode *inode = d_inode_rcu(dentry);
	struct name_snapshot name;
	struct dentry *parent;
	int ret;

	if (!inode && (flags & (LOOKUP_CREATE | LOOKUP_RENAME_TARGET)))
		return flags & LOOKUP_RCU ? -ECHILD : 0;
	if (dentry_fresh(dentry, inode) && !(flags & LOOKUP_REVAL))
		return 1;
	if (flags & LOOKUP_RCU)
		return -ECHILD;
	if (!inode)
		return 0;
	/* What is mounted there can be unmounted though the server is lost. */
	if (d_mountpoint(dentry) &&
	    !qtfs_session_alive(qtfs_session(dentry->d_sb)))
		return 1;
	/* ->open asks for the name and the file in one round trip. */
	if ((flags & LOOKUP_OPEN) && !(flags & (LOOKUP_REVAL | LOOKUP_EXCL)) &&
	    S_ISREG(inode->i_mode))
		return 1;

	take_dentry_name_snapshot(&name, dentry);
	parent = dget_parent(dentry);
	ret = dentry_ask(d_inode(parent), dentry, &name.name);
	/* A rename of ours was faster than the question. */
	if (!ret && dentry_moved(dentry, parent, &name.name))
		ret = 1;
	dput(parent);
	release_dentry_name_snapshot(&name);
	return ret;
}

const struct dentry_operations qtfs_dentry_operations = {
	.d_revalidate	= qtfs_d_revalidate,
	.d_automount	= qtfs_d_automount,
};

static int dir_mknod(struct inode *dir, struct dentry *dentry, umode_t mode,
		     dev_t rdev, u16 op)
{
	struct qtfs_wire_mknod body = {
		.dir	    = cpu_to_le64(qtfs_i(dir)->node),
		.mode	    = cpu_to_le32(mode & 07777),
		.umask	    = cpu_to_le32(current_umask()),
		.type	    = cpu_to_le32(qtfs_type_encode(mode)),
		.rdev_major = cpu_to_le32(MAJOR(rdev)),
		.rdev_minor = cpu_to_le32(MINOR(rdev)),
		.name_len   = cpu_to_le16(dentry->d_name.len),
	};
	struct qtfs_wire_entry entry;
	struct qtfs_args args = {
		.op	 = op,
		.nr_in	 = 2,
		.in[0]	 = { &body, sizeof(body) },
		.in[1]	 = { (void *)dentry->d_name.name, dentry->d_name.len },
		.out	 = { &entry, sizeof(entry) },
		.out_min = sizeof(entry),
	};
	u64 clock = qtfs_clock(dir->i_sb);
	int err;

	err = qtfs_call(qtfs_session(dir->i_sb), &args);
	qtfs_name_unsure(dir, dentry, err);
	if (err)
		return err;
	return qtfs_instantiate(dir, dentry, &entry, clock);
}

static int qtfs_mkdir(struct mnt_idmap *idmap, struct inode *dir,
		      struct dentry *dentry, umode_t mode)
{
	return dir_mknod(dir, dentry, mode | S_IFDIR, 0, QTFS_OP_MKDIR);
}

static int qtfs_mknod(struct mnt_idmap *idmap, struct inode *dir,
		      struct dentry *dentry, umode_t mode, dev_t rdev)
{
	int err = S_ISSOCK(mode) ? qtfs_bind(dir, dentry, mode) : -EOPNOTSUPP;

	if (err == -EOPNOTSUPP)
		err = dir_mknod(dir, dentry, mode, rdev, QTFS_OP_MKNOD);
	if (err)
		return err;
	/* What another entry moved elsewhere, or is something else, is not it. */
	if (!d_inode(dentry) || inode_wrong_type(d_inode(dentry), mode))
		return -EPROTO;
	if (S_ISSOCK(mode))
		set_bit(QTFS_INODE_BOUND_HERE, &qtfs_i(d_inode(dentry))->state);
	return 0;
}

/* What O_CREAT does where the VFS does not open at the same time (nfsd). */
static int qtfs_create(struct mnt_idmap *idmap, struct inode *dir,
		       struct dentry *dentry, umode_t mode, bool excl)
{
	return dir_mknod(dir, dentry, (mode & 07777) | S_IFREG, 0,
			 QTFS_OP_MKNOD);
}

static int dir_remove(struct inode *dir, struct dentry *dentry, u16 op)
{
	struct qtfs_wire_unlink body = {
		.dir	  = cpu_to_le64(qtfs_i(dir)->node),
		.name_len = cpu_to_le16(dentry->d_name.len),
	};
	struct qtfs_args args = {
		.op	= op,
		.nr_in	= 2,
		.in[0]	= { &body, sizeof(body) },
		.in[1]	= { (void *)dentry->d_name.name, dentry->d_name.len },
	};
	int err;

	err = qtfs_call(qtfs_session(dir->i_sb), &args);
	qtfs_name_unsure(dir, dentry, err);
	if (err == -ENOENT)
		d_drop(dentry);	/* somebody else was faster */
	if (!err)
		qtfs_names_changed(dir);
	return err;
}

/* One name less: at zero the inode, and with it the engine's node, goes. */
static void inode_lost_name(struct inode *inode)
{
	struct qtfs_inode *qi = qtfs_i(inode);

	qtfs_inode_expire(inode);
	spin_lock(&qi->lock);
	if (S_ISDIR(inode->i_mode))
		clear_nlink(inode);
	else if (inode->i_nlink)
		drop_nlink(inode);
	spin_unlock(&qi->lock);
}

static int qtfs_unlink(struct inode *dir, struct dentry *dentry)
{
	int err = dir_remove(dir, dentry, QTFS_OP_UNLINK);

	if (!err)
		inode_lost_name(d_inode(dentry));
	return err;
}

static int qtfs_rmdir(struct inode *dir, struct dentry *dentry)
{
	int err = dir_remove(dir, dentry, QTFS_OP_RMDIR);

	if (!err)
		inode_lost_name(d_inode(dentry));
	return err;
}

static int qtfs_rename(struct mnt_idmap *idmap, struct inode *old_dir,
		       struct dentry *old_dentry, struct inode *new_dir,
		       struct dentry *new_dentry, unsigned int flags)
{
	struct qtfs_wire_rename body = {
		.old_dir = cpu_to_le64(qtfs_i(old_dir)->node),
		.new_dir = cpu_to_le64(qtfs_i(new_dir)->node),
		.old_len = cpu_to_le16(old_dentry->d_name.len),
		.new_len = cpu_to_le16(new_dentry->d_name.len),
	};
	struct qtfs_args args = {
		.op	= QTFS_OP_RENAME,
		.nr_in	= 3,
		.in[0]	= { &body, sizeof(body) },
		.in[1]	= { (void *)old_dentry->d_name.name,
			    old_dentry->d_name.len },
		.in[2]	= { (void *)new_dentry->d_name.name,
			    new_dentry->d_name.len },
	};
	u32 wire = 0;
	u64 clock = qtfs_clock(old_dir->i_sb);
	int err;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if (flags & RENAME_NOREPLACE)
		wire |= QTFS_RENAME_NOREPLACE;
	if (flags & RENAME_EXCHANGE)
		wire |= QTFS_RENAME_EXCHANGE;
	if (flags & RENAME_WHITEOUT)
		wire |= QTFS_RENAME_WHITEOUT;
	body.flags = cpu_to_le32(wire);

	err = qtfs_call(qtfs_session(old_dir->i_sb), &args);
	qtfs_name_unsure(old_dir, old_dentry, err);
	qtfs_name_unsure(new_dir, new_dentry, err);
	if (err)
		return err;
	qtfs_names_changed(old_dir);
	qtfs_names_changed(new_dir);
	qtfs_inode_expire(d_inode(old_dentry));
	qtfs_dentry_believe(old_dentry, new_dir, clock);
	if (d_really_is_negative(new_dentry))
		return 0;
	if (flags & RENAME_EXCHANGE) {
		qtfs_inode_expire(d_inode(new_dentry));
		qtfs_dentry_believe(new_dentry, old_dir, clock);
	} else {
		inode_lost_name(d_inode(new_dentry));
	}
	return 0;
}

static int qtfs_link(struct dentry *old, struct inode *dir,
		     struct dentry *dentry)
{
	struct qtfs_wire_link body = {
		.node	  = cpu_to_le64(qtfs_i(d_inode(old))->node),
		.dir	  = cpu_to_le64(qtfs_i(dir)->node),
		.name_len = cpu_to_le16(dentry->d_name.len),
	};
	struct qtfs_wire_entry entry;
	struct qtfs_args args = {
		.op	 = QTFS_OP_LINK,
		.nr_in	 = 2,
		.in[0]	 = { &body, sizeof(body) },
		.in[1]	 = { (void *)dentry->d_name.name, dentry->d_name.len },
		.out	 = { &entry, sizeof(entry) },
		.out_min = sizeof(entry),
	};
	u64 clock = qtfs_clock(dir->i_sb);
	int err;

	err = qtfs_call(qtfs_session(dir->i_sb), &args);
	qtfs_name_unsure(dir, dentry, err);
	if (err) {
		qtfs_name_unsure(dir, old, err);
		return err;
	}
	/* One name more: no earlier answer may take it back. */
	clock = qtfs_inode_expire(d_inode(old));
	return qtfs_instantiate(dir, dentry, &entry, clock);
}

static int qtfs_symlink(struct mnt_idmap *idmap, struct inode *dir,
			struct dentry *dentry, const char *target)
{
	size_t len = strlen(target);
	struct qtfs_wire_symlink body = {
		.dir	    = cpu_to_le64(qtfs_i(dir)->node),
		.name_len   = cpu_to_le16(dentry->d_name.len),
		.target_len = cpu_to_le16(len),
	};
	struct qtfs_wire_entry entry;
	struct qtfs_args args = {
		.op	 = QTFS_OP_SYMLINK,
		.nr_in	 = 3,
		.in[0]	 = { &body, sizeof(body) },
		.in[1]	 = { (void *)dentry->d_name.name, dentry->d_name.len },
		.in[2]	 = { (void *)target, len },
		.out	 = { &entry, sizeof(entry) },
		.out_min = sizeof(entry),
	};
	u64 clock = qtfs_clock(dir->i_sb);
	int err;

	if (len > QTFS_PATH_MAX)
		return -ENAMETOOLONG;
	err = qtfs_call(qtfs_session(dir->i_sb), &args);
	qtfs_name_unsure(dir, dentry, err);
	if (err)
		return err;
	return qtfs_instantiate(dir, dentry, &entry, clock);
}

/* Opening a name that the cache does not know: one round trip. */

/* As the VFS would after ->lookup: @dentry may not be a regular file. */
static int open_found(struct inode *dir, struct dentry *dentry,
		      struct file *file, const struct qtfs_wire_entry *entry,
		      const struct qtfs_wire_opened *opened, u64 clock)
{
	struct dentry *alias = qtfs_splice(dir, dentry, entry, clock);
	int err;

	/* What is mounted there, or will be, has to be opened instead. */
	if (opened && (IS_ERR(alias) || d_managed(alias ?: dentry))) {
		qtfs_release_now(qtfs_session(dir->i_sb),
				 le64_to_cpu(opened->open));
		opened = NULL;
	}
	if (IS_ERR(alias))
		return PTR_ERR(alias);
	if (!opened)
		return finish_no_open(file, alias);

	err = qtfs_open_attach(d_inode(alias ?: dentry), file, opened, clock);
	if (!err) {
		err = finish_open(file, alias ?: dentry, NULL);
		/* Refused by a security module: ->release will not be called. */
		if (err && !(file->f_mode & FMODE_OPENED))
			qtfs_release(d_inode(alias ?: dentry), file);
	}
	dput(alias);
	return err;
}

static int open_create(struct inode *dir, struct dentry *dentry,
		       struct file *file, unsigned int flags, umode_t mode)
{
	struct qtfs_wire_create body = {
		.dir	  = cpu_to_le64(qtfs_i(dir)->node),
		.mode	  = cpu_to_le32(mode & 07777),
		.umask	  = cpu_to_le32(current_umask()),
		.flags	  = cpu_to_le32(qtfs_open_flags_encode(flags) |
					QTFS_OPEN_PLAIN),
		.name_len = cpu_to_le16(dentry->d_name.len),
	};
	struct qtfs_wire_created rep;
	struct qtfs_args args = {
		.op	 = QTFS_OP_CREATE,
		.nr_in	 = 2,
		.in[0]	 = { &body, sizeof(body) },
		.in[1]	 = { (void *)dentry->d_name.name, dentry->d_name.len },
		.out	 = { &rep, sizeof(rep) },
		.out_min = sizeof(rep),
	};
	u64 clock = qtfs_clock(dir->i_sb);
	int err;

	err = qtfs_call(qtfs_session(dir->i_sb), &args);
	qtfs_name_unsure(dir, dentry, err);
	if (err)
		return err;
	if (le32_to_cpu(rep.opened.flags) & QTFS_OPENED_CREATED) {
		file->f_mode |= FMODE_CREATED;
		qtfs_names_changed(dir);
	}
	return open_found(dir, dentry, file, &rep.entry, &rep.opened, clock);
}

/* A file without a name; linkat(2) may give it one. */
static int qtfs_tmpfile(struct mnt_idmap *idmap, struct inode *dir,
			struct file *file, umode_t mode)
{
	struct qtfs_wire_create body = {
		.dir   = cpu_to_le64(qtfs_i(dir)->node),
		.mode  = cpu_to_le32(mode & 07777),
		.umask = cpu_to_le32(current_umask()),
		/* Without O_EXCL it may be given a name. */
		.flags = cpu_to_le32(qtfs_open_flags_encode(file->f_flags &
							    ~O_DIRECTORY)),
	};
	struct qtfs_session *session = qtfs_session(dir->i_sb);
	struct qtfs_wire_created rep;
	struct qtfs_args args = {
		.op	 = QTFS_OP_TMPFILE,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &rep, sizeof(rep) },
		.out_min = sizeof(rep),
	};
	u64 clock = qtfs_clock(dir->i_sb);
	struct qtfs_entry entry;
	struct inode *inode;
	int err;

	err = qtfs_call(session, &args);
	if (err)
		return err;
	err = qtfs_entry_decode(&rep.entry, &entry);
	if (!err && !S_ISREG(entry.attr.mode))
		err = -EPROTO;
	if (err)
		qtfs_forget_entry(session, &rep.entry);
	inode = err ? ERR_PTR(err) : qtfs_iget(dir->i_sb, &entry, clock);
	if (IS_ERR(inode)) {
		qtfs_release_now(session, le64_to_cpu(rep.opened.open));
		return PTR_ERR(inode);
	}
	d_instantiate(file->f_path.dentry, inode);
	err = qtfs_open_attach(inode, file, &rep.opened, clock);
	if (err)
		return err;
	err = finish_open_simple(file, 0);
	/* Refused by a security module: ->release will not be called. */
	if (err && !(file->f_mode & FMODE_OPENED))
		qtfs_release(inode, file);
	return err;
}

/* The request: LOOKUP, OPEN of what it gives, READ of what that gives. */
struct open_compound {
	struct qtfs_wire_compound head;
	struct {
		struct qtfs_wire_sub sub;
		struct qtfs_wire_lookup body;
	} lookup;
	struct {
		struct qtfs_wire_sub sub;
		struct qtfs_wire_open body;
	} open;
	struct {
		struct qtfs_wire_sub sub;
		struct qtfs_wire_read body;
	} read;
};

static void open_compound_fill(struct open_compound *c, struct inode *dir,
			       const struct qstr *name, unsigned int flags,
			       bool read)
{
	*c = (struct open_compound){
		.head.nr = cpu_to_le16(read ? 3 : 2),
		.lookup = {
			.sub.op = cpu_to_le16(QTFS_OP_LOOKUP),
			.sub.body = cpu_to_le32(sizeof(c->lookup.body) +
						QTFS_PAD(name->len)),
			.body.dir = cpu_to_le64(qtfs_i(dir)->node),
			.body.name_len = cpu_to_le16(name->len),
		},
		.open = {
			.sub.op = cpu_to_le16(QTFS_OP_OPEN),
			.sub.body = cpu_to_le32(sizeof(c->open.body)),
			.body.node = cpu_to_le64(QTFS_PREV),
			.body.flags = cpu_to_le32(qtfs_open_flags_encode(flags) |
						  QTFS_OPEN_PLAIN),
		},
		.read = {
			.sub.op = cpu_to_le16(QTFS_OP_READ),
			.sub.body = cpu_to_le32(sizeof(c->read.body)),
			.body.open = cpu_to_le64(QTFS_PREV),
			.body.count = cpu_to_le32(QTFS_FIRST_BYTES),
			.body.flags = cpu_to_le32(QTFS_READ_CACHED),
		},
	};
}

/* What came back, up to the sub-operation that failed. */
struct open_reply {
	struct qtfs_wire_compound head;
	struct {
		struct qtfs_wire_result result;
		struct qtfs_wire_entry entry;
	} lookup;
	struct {
		struct qtfs_wire_result result;
		struct qtfs_wire_opened opened;
	} open;
	struct {
		struct qtfs_wire_result result;
		struct qtfs_wire_read_rep rep;
	} read;
};

/* The first bytes came along: keep them, if nothing has changed since. */
static void open_fill_first(struct file *file, struct qtfs_results *r,
			    const struct qtfs_args *args, u64 clock)
{
	const struct qtfs_wire_read_rep *rep;
	const void *body;

	if (qtfs_results_next(r, QTFS_OP_READ, sizeof(*rep), &body))
		return;
	rep = body;
	if (le32_to_cpu(rep->count) == args->data_len)
		qtfs_fill_first(file_inode(file), args->data, args->data_len,
				le32_to_cpu(rep->flags) & QTFS_READ_EOF, clock);
}

/* Looks at each result in turn. Which errors end it is the VFS's convention. */
static int open_results(struct inode *dir, struct dentry *dentry,
			struct file *file, struct qtfs_args *args, u64 clock)
{
	const struct qtfs_wire_entry *entry;
	struct qtfs_results r;
	const void *body;
	int err;

	err = qtfs_results_start(&r, args->out.iov_base, args->out_len) ?:
	      qtfs_results_next(&r, QTFS_OP_LOOKUP, sizeof(*entry), &body);
	if (err == -ENOENT)
		return open_found(dir, dentry, file, NULL, NULL, clock);
	if (err)
		return err;
	entry = body;

	err = qtfs_results_next(&r, QTFS_OP_OPEN,
				sizeof(struct qtfs_wire_opened), &body);
	/* A link to follow, or nothing that is opened at the server. */
	if (err == -ELOOP || err == -EOPNOTSUPP)
		return open_found(dir, dentry, file, entry, NULL, clock);
	if (err) {
		if (err != -EPROTO)
			qtfs_forget_entry(qtfs_session(dir->i_sb), entry);
		return err;
	}
	err = open_found(dir, dentry, file, entry, body, clock);
	if (!err && (file->f_mode & FMODE_OPENED))
		open_fill_first(file, &r, args, clock);
	return err;
}

static int open_existing(struct inode *dir, struct dentry *dentry,
			 struct file *file, unsigned int flags)
{
	bool read = (flags & O_ACCMODE) != O_WRONLY &&
		    !(flags & (O_TRUNC | O_DIRECT | O_DIRECTORY)) &&
		    !qtfs_is_uncached(dir);
	const struct qstr *name = &dentry->d_name;
	u64 clock = qtfs_clock(dir->i_sb);
	struct open_compound c;
	struct open_reply rep;
	struct qtfs_args args = {
		.op	 = QTFS_OP_COMPOUND,
		.nr_in	 = 4,
		.in[0]	 = { &c, offsetofend(struct open_compound, lookup) },
		.in[1]	 = { (void *)name->name, name->len },
		.in[2]	 = { &c.open, sizeof(c.open) },
		.in[3]	 = { &c.read, sizeof(c.read) },
		.out	 = { &rep, sizeof(rep) },
		.out_min = sizeof(rep.head),
	};
	int err;

	if (read)
		args.data_max = QTFS_FIRST_BYTES;
	else
		args.nr_in = 3;
	open_compound_fill(&c, dir, name, flags, read);
	err = qtfs_call(qtfs_session(dir->i_sb), &args);
	if (!err)
		err = open_results(dir, dentry, file, &args, clock);
	kvfree(args.data);
	return err;
}

/* Leaves the opening to ->open: what is there is no plain file. */
static int open_elsewhere(struct inode *dir, struct dentry *dentry,
			  struct file *file)
{
	u64 clock = qtfs_clock(dir->i_sb);
	struct qtfs_wire_entry entry;
	int err;

	err = dir_lookup_call(dir, &dentry->d_name, &entry);
	if (err)
		return err;
	return open_found(dir, dentry, file, &entry, NULL, clock);
}

static int qtfs_atomic_open(struct inode *dir, struct dentry *dentry,
			    struct file *file, unsigned int flags, umode_t mode)
{
	int err;

	if (dentry->d_name.len > QTFS_NAME_MAX)
		return -ENAMETOOLONG;

	if (flags & O_CREAT) {
		err = open_create(dir, dentry, file, flags, mode);
		if (err == -ELOOP || err == -EOPNOTSUPP)
			err = open_elsewhere(dir, dentry, file);
		return err;
	}
	if (!d_in_lookup(dentry))	/* known not to exist */
		return finish_no_open(file, NULL);
	return open_existing(dir, dentry, file, flags);
}

const struct inode_operations qtfs_dir_inode_operations = {
	.lookup		= qtfs_lookup,
	.atomic_open	= qtfs_atomic_open,
	.tmpfile	= qtfs_tmpfile,
	.create		= qtfs_create,
	.mkdir		= qtfs_mkdir,
	.mknod		= qtfs_mknod,
	.unlink		= qtfs_unlink,
	.rmdir		= qtfs_rmdir,
	.rename		= qtfs_rename,
	.link		= qtfs_link,
	.symlink	= qtfs_symlink,
	.getattr	= qtfs_getattr,
	.setattr	= qtfs_setattr,
	.permission	= qtfs_permission,
	.listxattr	= qtfs_listxattr,
	.fileattr_get	= qtfs_fileattr_get,
	.fileattr_set	= qtfs_fileattr_set,
	.fiemap		= qtfs_fiemap,
	QTFS_ACL_OPS
};
