// SPDX-License-Identifier: GPL-2.0-only
/*
 * Symbolic links. An absolute target means the server's root; left as it is it
 * would lead out of the mount, to the client's own files. With
 * symlinks=relative it is rewritten to "../" form from the link's depth below
 * the mount.
 */
#include <linux/magic.h>
#include <linux/namei.h>
#include <linux/slab.h>

#include "inode.h"
#include "req.h"

/* The target as the server has it; the caller's to kfree(). */
static char *link_read(struct inode *inode)
{
	struct qtfs_wire_node body = {
		.node = cpu_to_le64(qtfs_i(inode)->node),
	};
	struct qtfs_args args = {
		.op	  = QTFS_OP_READLINK,
		.nr_in	  = 1,
		.in[0]	  = { &body, sizeof(body) },
		.data_max = QTFS_PATH_MAX,
	};
	char *target;
	int err;

	err = qtfs_call(qtfs_session(inode->i_sb), &args);
	if (!err && !args.data_len)
		err = -EPROTO;
	if (err) {
		kvfree(args.data);
		return ERR_PTR(err);
	}
	target = kmemdup_nul(args.data, args.data_len, GFP_KERNEL);
	kvfree(args.data);
	return target ?: ERR_PTR(-ENOMEM);
}

/* How many folders a link is below what was mounted, submounts' own included. */
static unsigned int link_depth(struct dentry *dentry)
{
	return qtfs_super_depth(dentry->d_sb) +
	       max(qtfs_dentry_depth(dentry), 1u) - 1;
}

/* What follows the mounted path in @target, or NULL if it leads elsewhere. */
static const char *link_below(const struct qtfs_session *session,
			      const char *target)
{
	size_t len = strlen(session->path);

	while (len && session->path[len - 1] == '/')
		len--;
	if (strncmp(target, session->path, len))
		return NULL;
	target += len;
	if (*target && *target != '/')
		return NULL;
	while (*target == '/')
		target++;
	return target;
}

static char *link_rewrite(struct dentry *dentry, const char *target)
{
	const char *below = link_below(qtfs_session(dentry->d_sb), target);
	unsigned int i, depth;
	char *buf;

	if (!below)
		return kstrdup(target, GFP_KERNEL) ?: ERR_PTR(-ENOMEM);
	depth = link_depth(dentry);
	buf = kmalloc(3 * depth + strlen(below) + 2, GFP_KERNEL);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < depth; i++)
		memcpy(buf + 3 * i, "../", 3);
	strcpy(buf + 3 * depth, *below || depth ? below : ".");
	return buf;
}

static bool link_is_relative_mount(const struct super_block *sb)
{
	const struct qtfs_fs *fs = qtfs_fs(sb);

	if (fs->opts.symlinks != QTFS_SYMLINKS_AUTO)
		return fs->opts.symlinks == QTFS_SYMLINKS_RELATIVE;
	return !strcmp(fs->session->path, "/");
}

/* The raw target, kept with the inode where it cannot change. */
static const char *link_target(struct dentry *dentry, struct inode *inode,
			       struct delayed_call *done)
{
	struct qtfs_inode *qi = qtfs_i(inode);
	char *target = smp_load_acquire(&qi->target);

	if (target)
		return target;
	if (!dentry)
		return ERR_PTR(-ECHILD);
	target = link_read(inode);
	if (IS_ERR(target))
		return target;
	/* A rule's, too, may be another one the next time. */
	if (READ_ONCE(qi->flags) & (QTFS_ATTR_SYNTHETIC | QTFS_ATTR_LOCAL)) {
		set_delayed_call(done, kfree_link, target);
		return target;
	}
	if (cmpxchg(&qi->target, NULL, target)) {
		kfree(target);
		target = qi->target;
	}
	return target;
}

/* Whether @path is this machine's procfs. Links are not followed: they may lead here again. */
static int is_local_proc(const char *path)
{
	struct path proc;
	bool found;
	int err;

	err = kern_path(path, LOOKUP_DIRECTORY | LOOKUP_NO_SYMLINKS, &proc);
	if (err)
		return err == -EINTR || err == -ENOMEM ? err : 0;
	found = proc.dentry->d_sb->s_magic == PROC_SUPER_MAGIC;
	path_put(&proc);
	return found;
}

/*
 * What stands for the caller's own process. Only what procfs has. ENOENT where
 * this machine, or the caller's root, has no such filesystem.
 */
static char *link_self(const char *target)
{
	/* The second is for who has the server's at /proc. */
	static const char *const places[] = { "/proc", "/local_proc" };
	const char *name = target + strlen("/proc");
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		ret = is_local_proc(places[i]);
		if (ret < 0)
			return ERR_PTR(ret);
		if (ret)
			return kasprintf(GFP_KERNEL, "%s%s", places[i], name) ?:
			       ERR_PTR(-ENOMEM);
	}
	return ERR_PTR(-ENOENT);
}

/*
 * Where a link to what this machine has itself leads. A rule of the server may
 * name any path here: nobody is led there unless who mounted has agreed.
 */
static char *link_local(struct inode *inode, const char *target)
{
	if (!strcmp(target, "/proc/self") || !strcmp(target, "/proc/thread-self"))
		return link_self(target);
	if (!qtfs_fs(inode->i_sb)->opts.redirects)
		return ERR_PTR(-EACCES);
	return kstrdup(target, GFP_KERNEL) ?: ERR_PTR(-ENOMEM);
}

static const char *qtfs_get_link(struct dentry *dentry, struct inode *inode,
				 struct delayed_call *done)
{
	const char *target = link_target(dentry, inode, done);
	char *rewritten;
	bool local;

	if (IS_ERR(target) || target[0] != '/')
		return target;
	local = READ_ONCE(qtfs_i(inode)->flags) & QTFS_ATTR_LOCAL;
	if (!local && !link_is_relative_mount(inode->i_sb))
		return target;
	if (!dentry)
		return ERR_PTR(-ECHILD);

	rewritten = local ? link_local(inode, target) :
			    link_rewrite(dentry, target);
	do_delayed_call(done);
	clear_delayed_call(done);
	if (IS_ERR(rewritten))
		return rewritten;
	set_delayed_call(done, kfree_link, rewritten);
	return rewritten;
}

const struct inode_operations qtfs_symlink_inode_operations = {
	.get_link	= qtfs_get_link,
	.getattr	= qtfs_getattr,
	.setattr	= qtfs_setattr,
	.permission	= qtfs_permission,
	.listxattr	= qtfs_listxattr,
};
