// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mounting: the session behind a superblock, its root, submounts, its end.
 *
 * Unmounting never hangs on a dead server: what cannot be sent any more is
 * failed before the VFS waits for it (kill_sb), and umount -f fails
 * everything that is under way (umount_begin).
 */
#include <linux/backing-dev.h>
#include <linux/fs_context.h>
#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/cpumask.h>
#include <linux/slab.h>
#include <linux/statfs.h>

#include "file.h"
#include "inode.h"
#include "main.h"
#include "options.h"
#include "reap.h"
#include "req.h"
#include "super.h"

/* Submounts below each other, as far as they are counted. */
#define QTFS_SUPERS_DEEP 256

static int qtfs_statfs(struct dentry *dentry, struct kstatfs *st)
{
	struct qtfs_wire_node body = {
		.node = cpu_to_le64(qtfs_i(d_inode(dentry))->node),
	};
	struct qtfs_wire_statfs wire;
	struct qtfs_args args = {
		.op	 = QTFS_OP_STATFS,
		.nr_in	 = 1,
		.in[0]	 = { &body, sizeof(body) },
		.out	 = { &wire, sizeof(wire) },
		.out_min = sizeof(wire),
	};
	int err;

	/* umount(8) asks before it unmounts: a lost server must not hold it up. */
	if (!qtfs_session_alive(qtfs_session(dentry->d_sb)))
		return -ENOTCONN;
	err = qtfs_call(qtfs_session(dentry->d_sb), &args);
	if (err)
		return err;
	qtfs_statfs_decode(&wire, st);
	st->f_type = QTFS_SUPER_MAGIC;
	return 0;
}

/* The VFS has written what was dirty: to the server, where it is to stay. */
static int qtfs_sync_fs(struct super_block *sb, int wait)
{
	struct qtfs_session *session = qtfs_session(sb);
	struct qtfs_wire_fsync body = { .flags = cpu_to_le32(QTFS_FSYNC_ALL) };
	struct qtfs_args args = {
		.op	    = QTFS_OP_FSYNC,
		.nr_in	    = 1,
		.in[0]	    = { &body, sizeof(body) },
		.session_op = true,
		.fragile    = true,
	};

	/* Not even SIGKILL would end it. */
	if (current->flags & (PF_EXITING | PF_KTHREAD))
		args.timeout = 60 * HZ;
	if (!wait || sb_rdonly(sb))
		return 0;
	/* sync(2) is everybody's: a lost server must not hold it up. */
	if (!qtfs_session_alive(session))
		return -EIO;
	return qtfs_call(session, &args);
}

/*
 * umount -f: whoever waits for the server gets an error. One of a submount does
 * not end the others that it shares the session with, unless they wait as well.
 */
static void umount_begin(struct super_block *sb)
{
	struct qtfs_session *session = qtfs_session(sb);

	if (!qtfs_fs(sb)->below || !qtfs_session_alive(session))
		qtfs_session_abort(session);
}

static const struct super_operations super_ops = {
	.alloc_inode	= qtfs_alloc_inode,
	.free_inode	= qtfs_free_inode,
	.evict_inode	= qtfs_evict_inode,
	.sync_fs	= qtfs_sync_fs,
	.statfs		= qtfs_statfs,
	.show_options	= qtfs_show_options,
	.umount_begin	= umount_begin,
};

static int attach_error(struct fs_context *fc, const struct qtfs_mount_ctx *ctx,
			int err)
{
	switch (err) {
	case -ENOENT:
		mount_error(fc, "the server has no '%s'", ctx->path);
		break;
	case -EACCES:
		mount_error(fc, "the server does not export '%s' to us",
		       ctx->path);
		break;
	case -ENOTDIR:
		mount_error(fc, "'%s' is not a directory on the server",
		       ctx->path);
		break;
	case -EINTR:
		break;
	default:
		mount_error(fc, "cannot attach to '%s': error %d", ctx->path,
		       err);
	}
	return err;
}

static int attach(struct super_block *sb, struct fs_context *fc,
		  struct qtfs_entry *entry)
{
	struct qtfs_mount_ctx *ctx = fc->fs_private;
	size_t len = strlen(ctx->path);
	struct qtfs_wire_attach body = {
		.path_len = cpu_to_le16(len),
	};
	struct qtfs_wire_entry wire;
	struct qtfs_args args = {
		.op	 = QTFS_OP_ATTACH,
		.nr_in	 = 2,
		.in[0]	 = { &body, sizeof(body) },
		.in[1]	 = { ctx->path, len },
		.out	 = { &wire, sizeof(wire) },
		.out_min = sizeof(wire),
		.timeout = HZ * ctx->opts.connect_timeout,
	};
	int err;

	if (len > QTFS_PATH_MAX)
		return -ENAMETOOLONG;
	err = qtfs_call(ctx->session, &args);
	if (err)
		return attach_error(fc, ctx, err);
	err = qtfs_entry_decode(&wire, entry);
	if (!err && !S_ISDIR(entry->attr.mode))
		err = -ENOTDIR;
	return err ? attach_error(fc, ctx, err) : 0;
}

static int super_set_bdi(struct super_block *sb, const struct qtfs_fs *fs)
{
	int err = super_setup_bdi(sb);

	if (err)
		return err;
	sb->s_bdi->ra_pages = (fs->opts.ra_kib << 10) >> PAGE_SHIFT;
	sb->s_bdi->io_pages = fs->opts.rsize >> PAGE_SHIFT;
	/*
	 * Client and engine in one kernel: our dirty pages must not be what
	 * keeps the engine from getting memory to write them.
	 */
	if (qtfs_session_is_local(fs->session))
		sb->s_bdi->capabilities |= BDI_CAP_STRICTLIMIT;
	return 0;
}

static long patience(const struct qtfs_options *opts)
{
	u64 tenths = opts->soft ? (u64)opts->timeo * opts->retrans : 0;

	return min_t(u64, tenths * HZ / 10, MAX_JIFFY_OFFSET);
}

/* The superblock that has the place where @fs is mounted, and how deep it is. */
static const struct qtfs_fs *super_above(const struct qtfs_fs *fs,
					 unsigned int *depth)
{
	u64 root = qtfs_i(d_inode(fs->sb->s_root))->node;
	const struct qtfs_fs *above;

	lockdep_assert_held(&fs->session->supers_lock);

	list_for_each_entry(above, &fs->session->supers, link)
		if (above != fs &&
		    qtfs_inode_place_depth(above->sb, root, depth))
			return above;
	return NULL;
}

static unsigned int path_depth(const char *path)
{
	unsigned int depth = 0;

	for (; *path; path++)
		depth += *path == '/';
	return depth;
}

unsigned int qtfs_super_depth(struct super_block *sb)
{
	const struct qtfs_fs *fs = qtfs_fs(sb), *above;
	struct qtfs_session *session = fs->session;
	unsigned int depth = 0, more, steps = 0;

	if (!fs->below)
		return 0;
	spin_lock_bh(&session->supers_lock);
	while (fs->below && steps++ < QTFS_SUPERS_DEEP) {
		above = super_above(fs, &more);
		if (!above) {	/* only bound elsewhere by now */
			depth += path_depth(fs->below);
			break;
		}
		depth += more;
		fs = above;
	}
	spin_unlock_bh(&session->supers_lock);
	return depth;
}

dev_t qtfs_super_dev(struct super_block *sb, dev_t dev)
{
	struct qtfs_fs *fs = qtfs_fs(sb);

	dev_t here = dev == fs->dev ? fs->st_dev :
				      qtfs_dev_of(&fs->session->devs, dev);

	return here ?: sb->s_dev;
}

/* Which of the server's mounts, from its root. */
static void super_shows(struct qtfs_fs *fs, const struct qtfs_entry *root)
{
	fs->root = root->node;
	fs->mount = root->attr.mount;
	fs->dev = root->attr.dev;
	fs->st_dev = qtfs_dev_of(&fs->session->devs, root->attr.dev);
}

static int super_prepare(struct super_block *sb, struct qtfs_fs *fs)
{
	fs->sb = sb;
	sb->s_magic = QTFS_SUPER_MAGIC;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_time_gran = 1;
	sb->s_op = &super_ops;
	sb->s_d_op = &qtfs_dentry_operations;
	sb->s_export_op = &qtfs_export_operations;
	sb->s_xattr = qtfs_xattr_handlers;
	/* The server applies the umask: it knows the default ACLs. */
	sb->s_flags |= SB_POSIXACL;
	if (!fs->opts.remote_devices)
		sb->s_iflags |= SB_I_NODEV;
	return super_set_bdi(sb, fs);
}

/* Uses up the grant of @entry. */
static int super_set_root(struct super_block *sb, struct qtfs_fs *fs,
			  const struct qtfs_entry *entry)
{
	struct inode *root = qtfs_iget(sb, entry, qtfs_clock(sb));

	if (IS_ERR(root))
		return PTR_ERR(root);
	sb->s_root = d_make_root(root);
	if (!sb->s_root)
		return -ENOMEM;
	spin_lock_bh(&fs->session->supers_lock);
	list_add_tail(&fs->link, &fs->session->supers);
	spin_unlock_bh(&fs->session->supers_lock);
	return 0;
}

static struct qtfs_fs *fs_new(const struct qtfs_options *opts)
{
	struct qtfs_fs *fs = kzalloc(sizeof(*fs), GFP_KERNEL);

	if (!fs)
		return NULL;
	INIT_LIST_HEAD(&fs->link);
	if (get_anon_bdev(&fs->spare_dev)) {
		kfree(fs);
		return NULL;
	}
	fs->opts = *opts;
	return fs;
}

static void fs_free(struct qtfs_fs *fs)
{
	if (!fs)
		return;
	if (fs->session)
		qtfs_session_close(fs->session);
	if (fs->spare_dev)
		free_anon_bdev(fs->spare_dev);
	kfree(fs->below);
	kfree(fs);
}

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct qtfs_mount_ctx *ctx = fc->fs_private;
	struct qtfs_fs *fs = qtfs_fs(sb);
	struct qtfs_entry entry;
	int err;

	fs->session = ctx->session;
	ctx->session = NULL;
	fs->opts.nconnect = fs->session->nr_chans;
	fs->opts.rsize = min(fs->opts.rsize,
			     rounddown(fs->session->io_max, (u32)PAGE_SIZE));
	fs->opts.wsize = min(fs->opts.wsize,
			     rounddown(fs->session->io_max, (u32)PAGE_SIZE));
	qtfs_session_set_patience(fs->session, patience(&fs->opts));
	fs->session->dev = sb->s_dev;
	err = super_prepare(sb, fs);
	if (err)
		return err;
	ctx->session = fs->session;	/* lent to attach() */
	err = attach(sb, fc, &entry);
	ctx->session = NULL;
	if (err)
		return err;
	err = qtfs_dev_enter(&fs->session->devs, entry.attr.dev, sb->s_dev);
	if (err) {
		qtfs_forget_now(fs->session, entry.node, entry.stamp);
		return err;
	}
	super_shows(fs, &entry);
	return super_set_root(sb, fs, &entry);
}

/* Old servers' kernels use numbers of mounts again: the node tells them apart. */
static int sub_same(struct super_block *sb, struct fs_context *fc)
{
	const struct qtfs_mount_ctx *ctx = fc->fs_private;
	const struct qtfs_fs *fs = qtfs_fs(sb);

	return fs->session == ctx->above->session &&
	       fs->root == ctx->root.node &&
	       fs->mount == ctx->root.attr.mount && fs->dev == ctx->root.attr.dev;
}

static int sub_set(struct super_block *sb, struct fs_context *fc)
{
	struct qtfs_fs *fs = qtfs_fs(sb);

	sb->s_dev = qtfs_dev_take(&fs->session->devs, fs->dev);
	if (!sb->s_dev)
		swap(sb->s_dev, fs->spare_dev);
	return 0;
}

/* The superblock of a submount: the one there is, or a new one. */
static int sub_get_tree(struct fs_context *fc)
{
	struct qtfs_mount_ctx *ctx = fc->fs_private;
	struct qtfs_session *session = ctx->above->session;
	struct qtfs_fs *fs = fs_new(&ctx->above->opts);
	struct super_block *sb;
	int err;

	if (!fs)
		return -ENOMEM;
	fc->s_fs_info = fs;
	fs->below = ctx->below;
	ctx->below = NULL;
	qtfs_session_share(session);
	fs->session = session;
	super_shows(fs, &ctx->root);
	sb = sget_fc(fc, sub_same, sub_set);
	if (IS_ERR(sb))
		return PTR_ERR(sb);
	if (!sb->s_root) {
		err = super_prepare(sb, fs);
		if (!err) {
			ctx->granted = false;
			err = super_set_root(sb, fs, &ctx->root);
		}
		if (err) {
			deactivate_locked_super(sb);
			return err;
		}
		sb->s_flags |= SB_ACTIVE;
	}
	fc->root = dget(sb->s_root);
	return 0;
}

/* Frees what sub_get_tree() has not used. */
static void sub_free(struct qtfs_mount_ctx *ctx)
{
	struct qtfs_session *session = ctx->above->session;

	if (ctx->granted)
		qtfs_forget_now(session, ctx->root.node, ctx->root.stamp);
	kfree(ctx->below);
}

int qtfs_super_submount(struct fs_context *fc, struct dentry *place,
			const struct qtfs_entry *entry)
{
	struct qtfs_mount_ctx *ctx = fc->fs_private;
	const struct qtfs_fs *above = qtfs_fs(place->d_sb);
	char *source = above->session->source;
	size_t len = strlen(source);
	char *buf, *path;

	ctx->above = above;
	ctx->root = *entry;
	ctx->granted = true;
	fc->sb_flags |= place->d_sb->s_flags & (SB_RDONLY | SB_SYNCHRONOUS |
						SB_DIRSYNC | SB_LAZYTIME);
	buf = (char *)__get_free_page(GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	path = dentry_path_raw(place, buf, PAGE_SIZE);
	if (!IS_ERR(path)) {
		while (len && source[len - 1] == '/')
			len--;
		ctx->below = kasprintf(GFP_KERNEL, "%s%s", above->below ?: "",
				       path);
		fc->source = kasprintf(GFP_KERNEL, "%.*s%s", (int)len, source,
				       ctx->below ?: "");
	}
	free_page((unsigned long)buf);
	if (IS_ERR(path))
		return PTR_ERR(path);
	return ctx->below && fc->source ? 0 : -ENOMEM;
}

/* The channel and the address, from the source, the options, the module. */
static int ctx_endpoint(struct fs_context *fc, struct qtfs_mount_ctx *ctx,
			struct qtfs_endpoint *to)
{
	const struct qtfs_transport *trans = ctx->source_trans ?: ctx->trans;
	struct qtfs_server def;
	const char *server;
	u32 port;

	if (ctx->trans && trans != ctx->trans)
		return mount_invalid(fc, "the source names channel %s, the option trans= %s",
				     trans->name, ctx->trans->name);
	if (!trans && ctx->server)
		trans = &qtfs_tcp_transport;
	qtfs_default_server(trans, &def);
	server = ctx->server ?: def.address;
	port = ctx->has_port ? ctx->port : def.port;

	to->trans = def.trans;
	if (!to->trans->port_max && ctx->has_port)
		return mount_invalid(fc, "port=%u: %s has no ports", port,
				     to->trans->name);
	if (to->trans->port_max && (!port || port > to->trans->port_max))
		return mount_invalid(fc, "port=%u is not between 1 and %u",
				     port, to->trans->port_max);
	if (to->trans->parse(to, server, port))
		return mount_invalid(fc, "server '%s' is not %s", server,
				     to->trans->address);
	return 0;
}

static int ctx_connect(struct fs_context *fc, struct qtfs_mount_ctx *ctx)
{
	struct qtfs_session_params p = {
		.net	 = ctx->net,
		.source	 = fc->source,
		.path	 = ctx->path,
		.psk	 = ctx->psk,
		.psk_len = ctx->psk_len,
		.timeout = HZ * ctx->opts.connect_timeout,
		.io_max	 = max3(ctx->opts.rsize, ctx->opts.wsize, QTFS_DEFAULT_IO),
		.nconnect = ctx->opts.nconnect ?: 1,
	};
	int err;

	err = ctx_endpoint(fc, ctx, &p.to);
	if (err)
		return err;
	ctx->session = qtfs_session_open(&p);
	if (IS_ERR(ctx->session)) {
		err = PTR_ERR(ctx->session);
		ctx->session = NULL;
		if (p.why[0])
			mount_error(fc, "%s", p.why);
		return err;
	}
	return 0;
}

static int get_tree(struct fs_context *fc)
{
	struct qtfs_mount_ctx *ctx = fc->fs_private;
	struct qtfs_fs *fs;
	int err;

	if (ctx->above)
		return sub_get_tree(fc);
	if (!fc->source || !ctx->path)
		return mount_invalid(fc, "no source given");
	fs = fs_new(&ctx->opts);
	if (!fs)
		return -ENOMEM;
	err = ctx_connect(fc, ctx);
	if (err) {
		fs_free(fs);
		return err;
	}
	fc->s_fs_info = fs;	/* get_tree_nodev() gives it to the superblock */
	return get_tree_nodev(fc, fill_super);
}

/*
 * Options of a mounted tree stay as they are; only the VFS's flags change. A
 * remount repeats what /proc/mounts shows; anything else is refused.
 */
static int reconfigure(struct fs_context *fc)
{
	const struct qtfs_mount_ctx *ctx = fc->fs_private;
	const struct qtfs_fs *fs = qtfs_fs(fc->root->d_sb);
	struct qtfs_options now = fs->opts, asked = ctx->opts;

	/* What the server allowed may be less than what was asked. */
	asked.rsize = min(asked.rsize, now.rsize);
	asked.wsize = min(asked.wsize, now.wsize);
	if (memcmp(&now, &asked, sizeof(now)))
		return mount_invalid(fc, "a remount cannot change options of qtfs, only ro, nosuid and the like");
	sync_filesystem(fc->root->d_sb);
	return 0;
}

static void free_fc(struct fs_context *fc)
{
	struct qtfs_mount_ctx *ctx = fc->fs_private;

	if (!ctx)
		return;
	if (ctx->above)
		sub_free(ctx);
	fs_free(fc->s_fs_info);
	if (ctx->session)
		qtfs_session_close(ctx->session);
	kfree_sensitive(ctx->psk);
	put_net(ctx->net);
	kfree(ctx->server);
	kfree(ctx->path);
	kfree(ctx);
}

static const struct fs_context_operations context_ops = {
	.parse_param	= qtfs_parse_param,
	.get_tree	= get_tree,
	.reconfigure	= reconfigure,
	.free		= free_fc,
};

static int init_fs_context(struct fs_context *fc)
{
	struct qtfs_mount_ctx *ctx = kzalloc(sizeof(*ctx), GFP_KERNEL);

	if (!ctx)
		return -ENOMEM;
	ctx->net = get_net(current->nsproxy->net_ns);
	qtfs_options_default(&ctx->opts);
	/* A remount changes what it names: it starts from what there is. */
	if (fc->purpose == FS_CONTEXT_FOR_RECONFIGURE)
		ctx->opts = qtfs_fs(fc->root->d_sb)->opts;
	fc->fs_private = ctx;
	fc->ops = &context_ops;
	return 0;
}

static void kill_sb(struct super_block *sb)
{
	struct qtfs_fs *fs = qtfs_fs(sb);

	/* Nothing can be written any more, and nothing shall wait for it. */
	if (fs->session && !qtfs_session_alive(fs->session))
		qtfs_session_abort(fs->session);
	if (fs->session) {
		/* Its number stays the filesystem's while the session lasts. */
		if (qtfs_dev_give_back(&fs->session->devs, sb->s_dev)) {
			sb->s_dev = fs->spare_dev;
			fs->spare_dev = 0;
		}
		spin_lock_bh(&fs->session->supers_lock);
		list_del_init(&fs->link);
		spin_unlock_bh(&fs->session->supers_lock);
	}
	kill_anon_super(sb);
	synchronize_rcu();	/* path walks that began before */
	fs_free(fs);
}

static struct file_system_type fs_type = {
	.owner			= THIS_MODULE,
	.name			= "qtfs",
	.init_fs_context	= init_fs_context,
	.parameters		= qtfs_parameters,
	.kill_sb		= kill_sb,
};
MODULE_ALIAS_FS("qtfs");

int qtfs_super_init(void)
{
	return register_filesystem(&fs_type);
}

void qtfs_super_exit(void)
{
	unregister_filesystem(&fs_type);
}
