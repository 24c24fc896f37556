// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mounting: options, the session behind a superblock, its root, its end.
 *
 * Unmounting never hangs on a dead server: what cannot be sent any more is
 * failed before the VFS waits for it (kill_sb), and umount -f fails
 * everything that is under way (umount_begin).
 */
#include <linux/backing-dev.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/seq_file.h>
#include <linux/cpumask.h>
#include <linux/slab.h>
#include <linux/statfs.h>

#include "file.h"
#include "inode.h"
#include "log.h"
#include "main.h"
#include "reap.h"
#include "req.h"
#include "super.h"

#define DEFAULT_IO (1u << 20)
#define DEFAULT_RA_KIB 4096u
#define DEFAULT_CONNECT_TIMEOUT 10u
#define DEFAULT_TIMEO 600u
#define DEFAULT_RETRANS 2u

/* Says why, to who mounts (read from the fs_context) and in the kernel log. */
#define mount_error(fc, fmt, ...)					\
	do {								\
		errorf(fc, "qtfs: " fmt, ##__VA_ARGS__);		\
		if ((fc)->log.log)	/* else errorf() printed it */	\
			qtfs_warn(fmt "\n", ##__VA_ARGS__);		\
	} while (0)

#define mount_invalid(fc, fmt, ...)					\
	({								\
		mount_error(fc, fmt, ##__VA_ARGS__);			\
		-EINVAL;						\
	})

/*
 * While a mount is being set up: fc->fs_private. A submount has the second half.
 * @above: the superblock where it was seen
 * @root: its root
 * @granted: @root's grant is to be given back
 * @below: its path
 * @dev: device number for it, or 0
 */
struct mount_ctx {
	struct qtfs_options opts;
	char *server;
	char *path;
	u32 port;
	bool has_port;
	const struct qtfs_transport *trans;
	const struct qtfs_transport *source_trans;
	void *psk;
	size_t psk_len;
	struct net *net;
	struct qtfs_session *session;

	const struct qtfs_fs *above;
	struct qtfs_entry root;
	bool granted;
	char *below;
	dev_t dev;
};

enum {
	OPT_SOURCE, OPT_SERVER, OPT_PORT, OPT_TRANS, OPT_SYMLINKS, OPT_RSIZE,
	OPT_WSIZE, OPT_RA, OPT_ACREGMIN, OPT_ACREGMAX, OPT_ACDIRMIN,
	OPT_ACDIRMAX, OPT_ACTIMEO, OPT_NOAC, OPT_CONNECT_TIMEOUT, OPT_PSK,
	OPT_ADDR, OPT_LOCAL_LOCK, OPT_NCONNECT, OPT_SOFT, OPT_HARD, OPT_TIMEO,
	OPT_RETRANS,
};

static const struct constant_table symlinks_table[] = {
	{ "relative",	QTFS_SYMLINKS_RELATIVE },
	{ "raw",	QTFS_SYMLINKS_RAW },
	{}
};

static const struct constant_table local_lock_table[] = {
	{ "none",	0 },
	{ "flock",	QTFS_LOCAL_FLOCK },
	{ "posix",	QTFS_LOCAL_POSIX },
	{ "all",	QTFS_LOCAL_FLOCK | QTFS_LOCAL_POSIX },
	{}
};

static const struct fs_parameter_spec params[] = {
	fsparam_string("source",		OPT_SOURCE),
	fsparam_string("server",		OPT_SERVER),
	fsparam_u32("port",			OPT_PORT),
	fsparam_string("trans",			OPT_TRANS),
	fsparam_enum("symlinks",		OPT_SYMLINKS, symlinks_table),
	fsparam_u32("rsize",			OPT_RSIZE),
	fsparam_u32("wsize",			OPT_WSIZE),
	fsparam_u32("ra",			OPT_RA),
	fsparam_u32("acregmin",			OPT_ACREGMIN),
	fsparam_u32("acregmax",			OPT_ACREGMAX),
	fsparam_u32("acdirmin",			OPT_ACDIRMIN),
	fsparam_u32("acdirmax",			OPT_ACDIRMAX),
	fsparam_u32("actimeo",			OPT_ACTIMEO),
	fsparam_flag("noac",			OPT_NOAC),
	fsparam_u32("connect_timeout",		OPT_CONNECT_TIMEOUT),
	__fsparam(fs_param_is_blob, "psk",	OPT_PSK, 0, NULL),
	fsparam_string("addr",			OPT_ADDR),
	fsparam_enum("local_lock",		OPT_LOCAL_LOCK, local_lock_table),
	fsparam_flag("soft",			OPT_SOFT),
	fsparam_flag("hard",			OPT_HARD),
	fsparam_u32("timeo",			OPT_TIMEO),
	fsparam_u32("retrans",			OPT_RETRANS),
	fsparam_u32("nconnect",			OPT_NCONNECT),
	{}
};

static int replace_string(char **to, const char *from, size_t len)
{
	char *s = kstrndup(from, len, GFP_KERNEL);

	if (!s)
		return -ENOMEM;
	kfree(*to);
	*to = s;
	return 0;
}

/*
 * What follows "CHANNEL:". A name before ":/" is an address, even if a channel
 * is called so.
 */
static const char *parse_source_trans(struct mount_ctx *ctx, const char *source)
{
	const char *end = strchr(source, ':');
	char name[8];

	if (!end || end[1] == '/' || end - source >= sizeof(name))
		return source;
	strscpy(name, source, end - source + 1);
	ctx->source_trans = qtfs_transport_find(name);
	return ctx->source_trans ? end + 1 : source;
}

/*
 * "PATH", "ADDRESS:PATH" or "[ADDRESS]:PATH", before the latter two a channel;
 * the path is absolute. Anything else is the mistake of a user, who is told so.
 */
static int parse_source(struct fs_context *fc, const char *source)
{
	struct mount_ctx *ctx = fc->fs_private;
	const char *addr, *path;
	size_t len;
	int err;

	if (source[0] == '/')
		return replace_string(&ctx->path, source, strlen(source));
	addr = parse_source_trans(ctx, source);
	path = strstr(addr, ":/");
	if (!path || path == addr)
		return mount_invalid(fc, "source '%s' is neither /PATH nor ADDRESS:/PATH nor CHANNEL:ADDRESS:/PATH",
			      source);
	len = path - addr;
	if (addr[0] == '[' && addr[len - 1] == ']') {
		addr++;
		len -= 2;
	}
	err = replace_string(&ctx->server, addr, len);
	return err ?: replace_string(&ctx->path, path + 1, strlen(path + 1));
}

static int parse_trans(struct fs_context *fc, const char *name)
{
	struct mount_ctx *ctx = fc->fs_private;
	char names[32];

	ctx->trans = qtfs_transport_find(name);
	if (ctx->trans)
		return 0;
	qtfs_transport_names(names, sizeof(names));
	return mount_invalid(fc, "trans=%s is not known; there is: %s", name,
			     names);
}

static int parse_io(struct fs_context *fc, const char *name, u32 value, u32 *to)
{
	if (value < PAGE_SIZE || value > QTFS_IO_MAX)
		return mount_invalid(fc, "%s=%u is not between %lu and %u", name,
			      value, PAGE_SIZE, QTFS_IO_MAX);
	*to = rounddown(value, PAGE_SIZE);
	return 0;
}

static int parse_seconds(struct fs_context *fc, const char *name, u32 value,
			 u32 *to)
{
	if (value > 86400)
		return mount_invalid(fc, "%s=%u is more than a day", name, value);
	*to = value;
	return 0;
}

static int parse_count(struct fs_context *fc, const char *name, u32 value,
		       u32 max, u32 *to)
{
	if (!value || value > max)
		return mount_invalid(fc, "%s=%u is not between 1 and %u", name,
				     value, max);
	*to = value;
	return 0;
}

static int parse_psk(struct fs_context *fc, struct fs_parameter *param)
{
	struct mount_ctx *ctx = fc->fs_private;

	if (!param->size || param->size > 4096)
		return mount_invalid(fc, "the key has %zu bytes, not 1 to 4096",
			      param->size);
	kfree_sensitive(ctx->psk);
	ctx->psk = kmemdup(param->blob, param->size, GFP_KERNEL);
	ctx->psk_len = param->size;
	return ctx->psk ? 0 : -ENOMEM;
}

static int parse_all_ac(struct fs_context *fc, u32 value)
{
	struct qtfs_options *opts = &((struct mount_ctx *)fc->fs_private)->opts;
	int err = parse_seconds(fc, "actimeo", value, &opts->ac.reg_min);

	opts->ac.reg_max = opts->ac.reg_min;
	opts->ac.dir_min = opts->ac.reg_min;
	opts->ac.dir_max = opts->ac.reg_min;
	return err;
}

static int parse_source_param(struct fs_context *fc, struct fs_parameter *param)
{
	int err;

	if (fc->source)
		return mount_invalid(fc, "more than one source");
	err = parse_source(fc, param->string);
	if (!err) {
		fc->source = param->string;
		param->string = NULL;
	}
	return err;
}

static int parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct mount_ctx *ctx = fc->fs_private;
	struct qtfs_options *opts = &ctx->opts;
	struct fs_parse_result result;
	int opt = fs_parse(fc, params, param, &result);

	if (opt < 0)
		return opt;
	switch (opt) {
	case OPT_SOURCE:
		return parse_source_param(fc, param);
	case OPT_SERVER:
		return replace_string(&ctx->server, param->string,
				      strlen(param->string));
	case OPT_PORT:
		ctx->port = result.uint_32;
		ctx->has_port = true;
		return 0;
	case OPT_TRANS:
		return parse_trans(fc, param->string);
	case OPT_SYMLINKS:
		opts->symlinks = result.uint_32;
		return 0;
	case OPT_LOCAL_LOCK:
		opts->local_lock = result.uint_32;
		return 0;
	case OPT_NCONNECT:
		if (!result.uint_32 || result.uint_32 > QTFS_CHANS_MAX)
			return mount_invalid(fc, "nconnect=%u is not between 1 and %u",
				      result.uint_32, QTFS_CHANS_MAX);
		opts->nconnect = result.uint_32;
		return 0;
	case OPT_RSIZE:
		return parse_io(fc, "rsize", result.uint_32, &opts->rsize);
	case OPT_WSIZE:
		return parse_io(fc, "wsize", result.uint_32, &opts->wsize);
	case OPT_RA:
		if (result.uint_32 > 1 << 20)
			return mount_invalid(fc, "ra=%u is more than 1 GiB",
				      result.uint_32);
		opts->ra_kib = result.uint_32;
		return 0;
	case OPT_ACREGMIN:
		return parse_seconds(fc, "acregmin", result.uint_32,
				     &opts->ac.reg_min);
	case OPT_ACREGMAX:
		return parse_seconds(fc, "acregmax", result.uint_32,
				     &opts->ac.reg_max);
	case OPT_ACDIRMIN:
		return parse_seconds(fc, "acdirmin", result.uint_32,
				     &opts->ac.dir_min);
	case OPT_ACDIRMAX:
		return parse_seconds(fc, "acdirmax", result.uint_32,
				     &opts->ac.dir_max);
	case OPT_ACTIMEO:
		return parse_all_ac(fc, result.uint_32);
	case OPT_NOAC:
		return parse_all_ac(fc, 0);
	case OPT_CONNECT_TIMEOUT:
		return parse_count(fc, "connect_timeout", result.uint_32, 3600,
				   &opts->connect_timeout);
	case OPT_SOFT:
	case OPT_HARD:
		opts->soft = opt == OPT_SOFT;
		return 0;
	case OPT_TIMEO:		/* a day */
		return parse_count(fc, "timeo", result.uint_32, 864000,
				   &opts->timeo);
	case OPT_RETRANS:
		return parse_count(fc, "retrans", result.uint_32, 100,
				   &opts->retrans);
	case OPT_PSK:
		return parse_psk(fc, param);
	case OPT_ADDR:
		return 0;	/* shown in /proc/mounts, so a remount brings it */
	}
	return -EINVAL;
}

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

static const char *local_lock_name(u32 value)
{
	const struct constant_table *entry;

	for (entry = local_lock_table; entry->name; entry++)
		if (entry->value == value)
			break;
	return entry->name;
}

static int qtfs_show_options(struct seq_file *m, struct dentry *root)
{
	const struct qtfs_fs *fs = qtfs_fs(root->d_sb);
	const struct qtfs_options *o = &fs->opts;
	char addr[64];

	fs->session->to.trans->print(&fs->session->to, addr, sizeof(addr));
	seq_printf(m, ",trans=%s,addr=%s", fs->session->to.trans->name, addr);
	if (o->symlinks != QTFS_SYMLINKS_AUTO)
		seq_printf(m, ",symlinks=%s",
			   o->symlinks == QTFS_SYMLINKS_RAW ? "raw" :
							      "relative");
	seq_printf(m, ",rsize=%u,wsize=%u,ra=%u", o->rsize, o->wsize,
		   o->ra_kib);
	seq_printf(m, ",acregmin=%u,acregmax=%u,acdirmin=%u,acdirmax=%u",
		   o->ac.reg_min, o->ac.reg_max, o->ac.dir_min, o->ac.dir_max);
	if (o->local_lock)
		seq_printf(m, ",local_lock=%s",
			   local_lock_name(o->local_lock));
	if (o->soft)
		seq_puts(m, ",soft");
	if (o->soft || o->timeo != DEFAULT_TIMEO)
		seq_printf(m, ",timeo=%u", o->timeo);
	if (o->soft || o->retrans != DEFAULT_RETRANS)
		seq_printf(m, ",retrans=%u", o->retrans);
	if (o->nconnect > 1)
		seq_printf(m, ",nconnect=%u", o->nconnect);
	if (o->connect_timeout != DEFAULT_CONNECT_TIMEOUT)
		seq_printf(m, ",connect_timeout=%u", o->connect_timeout);
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
	/* sync(2) is everybody's: a lost server must not hold it up. */
	if (!wait || sb_rdonly(sb) || !qtfs_session_alive(session))
		return 0;
	return qtfs_call(session, &args);
}

/* umount -f: whoever waits for the server gets an error. */
static void umount_begin(struct super_block *sb)
{
	qtfs_session_abort(qtfs_session(sb));
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

static int attach_error(struct fs_context *fc, const struct mount_ctx *ctx,
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
	struct mount_ctx *ctx = fc->fs_private;
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

dev_t qtfs_super_dev(struct super_block *sb, dev_t dev)
{
	struct qtfs_fs *fs = qtfs_fs(sb);

	if (dev == fs->dev)
		return fs->st_dev;
	return qtfs_dev_of(&fs->session->devs, dev) ?: sb->s_dev;
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
	sb->s_iflags |= SB_I_NODEV;
	return super_set_bdi(sb, fs);
}

/* Uses up the grant of @entry. */
static int super_set_root(struct super_block *sb, struct qtfs_fs *fs,
			  const struct qtfs_entry *entry)
{
	struct inode *root;

	fs->mount = entry->attr.mount;
	fs->dev = entry->attr.dev;
	fs->st_dev = qtfs_dev_of(&fs->session->devs, fs->dev) ?: sb->s_dev;
	root = qtfs_iget(sb, entry, qtfs_clock(sb));
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
	qtfs_handles_init(&fs->handles);
	fs->opts = *opts;
	return fs;
}

static void fs_free(struct qtfs_fs *fs)
{
	if (!fs)
		return;
	if (fs->session)
		qtfs_session_close(fs->session);
	qtfs_handles_destroy(&fs->handles);
	kfree(fs->below);
	kfree(fs);
}

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct mount_ctx *ctx = fc->fs_private;
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
	return err ?: super_set_root(sb, fs, &entry);
}

static int sub_same(struct super_block *sb, struct fs_context *fc)
{
	const struct mount_ctx *ctx = fc->fs_private;
	const struct qtfs_fs *fs = qtfs_fs(sb);

	return fs->session == ctx->above->session &&
	       fs->mount == ctx->root.attr.mount && fs->dev == ctx->root.attr.dev;
}

static int sub_set(struct super_block *sb, struct fs_context *fc)
{
	struct mount_ctx *ctx = fc->fs_private;

	sb->s_dev = ctx->dev;
	ctx->dev = 0;
	return 0;
}

/* The superblock of a submount: the one there is, or a new one. */
static int sub_get_tree(struct fs_context *fc)
{
	struct mount_ctx *ctx = fc->fs_private;
	struct qtfs_session *session = ctx->above->session;
	struct qtfs_fs *fs = fs_new(&ctx->above->opts);
	struct super_block *sb;
	int err;

	if (!fs)
		return -ENOMEM;
	fc->s_fs_info = fs;
	fs->below = ctx->below;
	ctx->below = NULL;
	fs->mount = ctx->root.attr.mount;
	fs->dev = ctx->root.attr.dev;
	qtfs_session_share(session);
	fs->session = session;
	err = qtfs_dev_take(&session->devs, ctx->root.attr.dev, &ctx->dev);
	if (err)
		return err;
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
static void sub_free(struct mount_ctx *ctx)
{
	struct qtfs_session *session = ctx->above->session;

	if (ctx->dev) {
		qtfs_dev_drop(&session->devs, ctx->dev);
		free_anon_bdev(ctx->dev);
	}
	if (ctx->granted)
		qtfs_forget_now(session, ctx->root.node, ctx->root.stamp);
	kfree(ctx->below);
}

int qtfs_super_submount(struct fs_context *fc, struct dentry *place,
			const struct qtfs_entry *entry)
{
	struct mount_ctx *ctx = fc->fs_private;
	const struct qtfs_fs *above = qtfs_fs(place->d_sb);
	char *source = above->session->source;
	size_t len = strlen(source);
	char *buf, *path;

	ctx->above = above;
	ctx->root = *entry;
	ctx->granted = true;
	fc->sb_flags |= place->d_sb->s_flags & SB_RDONLY;
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
static int ctx_endpoint(struct fs_context *fc, struct mount_ctx *ctx,
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

static int ctx_connect(struct fs_context *fc, struct mount_ctx *ctx)
{
	struct qtfs_session_params p = {
		.net	 = ctx->net,
		.source	 = fc->source,
		.path	 = ctx->path,
		.psk	 = ctx->psk,
		.psk_len = ctx->psk_len,
		.timeout = HZ * ctx->opts.connect_timeout,
		.io_max	 = max3(ctx->opts.rsize, ctx->opts.wsize, DEFAULT_IO),
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
	struct mount_ctx *ctx = fc->fs_private;
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
	const struct mount_ctx *ctx = fc->fs_private;
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
	struct mount_ctx *ctx = fc->fs_private;

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
	.parse_param	= parse_param,
	.get_tree	= get_tree,
	.reconfigure	= reconfigure,
	.free		= free_fc,
};

static int init_fs_context(struct fs_context *fc)
{
	struct mount_ctx *ctx = kzalloc(sizeof(*ctx), GFP_KERNEL);

	if (!ctx)
		return -ENOMEM;
	ctx->net = get_net(current->nsproxy->net_ns);
	ctx->opts = (struct qtfs_options){
		.rsize = DEFAULT_IO,
		.wsize = DEFAULT_IO,
		.ra_kib = DEFAULT_RA_KIB,
		.connect_timeout = DEFAULT_CONNECT_TIMEOUT,
		.timeo = DEFAULT_TIMEO,
		.retrans = DEFAULT_RETRANS,
		.ac = { .reg_min = 1, .reg_max = 30,
			.dir_min = 1, .dir_max = 30 },
	};
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
		qtfs_dev_drop(&fs->session->devs, sb->s_dev);
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
	.parameters		= params,
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
