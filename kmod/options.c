// SPDX-License-Identifier: GPL-2.0-only
/* Mount options: see options.h, and mount.qtfs(8) for what they mean. */
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "options.h"

#define AC_MAX 86400	/* seconds that attributes may be believed: a day */
#define DEFAULT_RA_KIB 4096u
#define DEFAULT_CONNECT_TIMEOUT 10u
#define DEFAULT_TIMEO 600u
#define DEFAULT_RETRANS 2u

static const struct qtfs_ac default_ac = {
	.reg_min = 1, .reg_max = 30,
	.dir_min = 1, .dir_max = 30,
};

void qtfs_options_default(struct qtfs_options *opts)
{
	*opts = (struct qtfs_options){
		.rsize = QTFS_DEFAULT_IO,
		.wsize = QTFS_DEFAULT_IO,
		.ra_kib = DEFAULT_RA_KIB,
		.connect_timeout = DEFAULT_CONNECT_TIMEOUT,
		.timeo = DEFAULT_TIMEO,
		.retrans = DEFAULT_RETRANS,
		.ac = default_ac,
	};
}

enum {
	OPT_SOURCE, OPT_SERVER, OPT_PORT, OPT_TRANS, OPT_SYMLINKS, OPT_RSIZE,
	OPT_WSIZE, OPT_RA, OPT_ACREGMIN, OPT_ACREGMAX, OPT_ACDIRMIN,
	OPT_ACDIRMAX, OPT_ACTIMEO, OPT_NOAC, OPT_CONNECT_TIMEOUT, OPT_PSK,
	OPT_ADDR, OPT_LOCAL_LOCK, OPT_NCONNECT, OPT_SOFT, OPT_HARD, OPT_TIMEO,
	OPT_RETRANS, OPT_CACHE, OPT_DEV, OPT_REDIRECTS,
};

static const struct constant_table symlinks_table[] = {
	{ "relative",	QTFS_SYMLINKS_RELATIVE },
	{ "raw",	QTFS_SYMLINKS_RAW },
	{}
};

static const struct constant_table cache_table[] = {
	{ "strict",	QTFS_CACHE_STRICT },
	{ "none",	QTFS_CACHE_NONE },
	{ "loose",	QTFS_CACHE_LOOSE },
	{}
};

static const struct constant_table local_lock_table[] = {
	{ "none",	0 },
	{ "flock",	QTFS_LOCAL_FLOCK },
	{ "posix",	QTFS_LOCAL_POSIX },
	{ "all",	QTFS_LOCAL_FLOCK | QTFS_LOCAL_POSIX },
	{}
};

static const struct constant_table dev_table[] = {
	{ "remote",	1 },
	{}
};

const struct fs_parameter_spec qtfs_parameters[] = {
	fsparam_string("source",		OPT_SOURCE),
	fsparam_string("server",		OPT_SERVER),
	fsparam_u32("port",			OPT_PORT),
	fsparam_string("trans",			OPT_TRANS),
	fsparam_enum("symlinks",		OPT_SYMLINKS, symlinks_table),
	fsparam_flag_no("redirects",		OPT_REDIRECTS),
	fsparam_u32("rsize",			OPT_RSIZE),
	fsparam_u32("wsize",			OPT_WSIZE),
	fsparam_u32("ra",			OPT_RA),
	fsparam_enum("cache",			OPT_CACHE, cache_table),
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
	fsparam_enum("dev",			OPT_DEV, dev_table),
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
static const char *parse_source_trans(struct qtfs_mount_ctx *ctx,
				      const char *source)
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
	struct qtfs_mount_ctx *ctx = fc->fs_private;
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
	struct qtfs_mount_ctx *ctx = fc->fs_private;
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
	if (value > AC_MAX)
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
	struct qtfs_mount_ctx *ctx = fc->fs_private;

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
	struct qtfs_options *opts = &((struct qtfs_mount_ctx *)fc->fs_private)->opts;
	int err = parse_seconds(fc, "actimeo", value, &opts->ac.reg_min);

	opts->ac.reg_max = opts->ac.reg_min;
	opts->ac.dir_min = opts->ac.reg_min;
	opts->ac.dir_max = opts->ac.reg_min;
	return err;
}

/* Time-outs that are given later count. */
static int parse_cache(struct fs_context *fc, enum qtfs_cache cache)
{
	struct qtfs_options *opts = &((struct qtfs_mount_ctx *)fc->fs_private)->opts;

	if (cache == QTFS_CACHE_STRICT && opts->cache != cache)
		opts->ac = default_ac;
	opts->cache = cache;
	if (cache == QTFS_CACHE_STRICT)
		return 0;
	return parse_all_ac(fc, cache == QTFS_CACHE_NONE ? 0 : AC_MAX);
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

int qtfs_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct qtfs_mount_ctx *ctx = fc->fs_private;
	struct qtfs_options *opts = &ctx->opts;
	struct fs_parse_result result;
	int opt = fs_parse(fc, qtfs_parameters, param, &result);

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
	case OPT_REDIRECTS:
		opts->redirects = !result.negated;
		return 0;
	case OPT_LOCAL_LOCK:
		opts->local_lock = result.uint_32;
		return 0;
	case OPT_DEV:
		opts->remote_devices = result.uint_32;
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
	case OPT_CACHE:
		return parse_cache(fc, result.uint_32);
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

static const char *value_name(const struct constant_table *entry, u32 value)
{
	while (entry->name && entry->value != value)
		entry++;
	return entry->name;
}

int qtfs_show_options(struct seq_file *m, struct dentry *root)
{
	const struct qtfs_fs *fs = qtfs_fs(root->d_sb);
	const struct qtfs_options *o = &fs->opts;
	char addr[64];

	fs->session->to.trans->print(&fs->session->to, addr, sizeof(addr));
	seq_printf(m, ",trans=%s,addr=%s", fs->session->to.trans->name, addr);
	if (o->symlinks != QTFS_SYMLINKS_AUTO)
		seq_printf(m, ",symlinks=%s",
			   value_name(symlinks_table, o->symlinks));
	if (o->redirects)
		seq_puts(m, ",redirects");
	seq_printf(m, ",rsize=%u,wsize=%u,ra=%u", o->rsize, o->wsize,
		   o->ra_kib);
	if (o->cache != QTFS_CACHE_STRICT)
		seq_printf(m, ",cache=%s",
			   value_name(cache_table, o->cache));
	seq_printf(m, ",acregmin=%u,acregmax=%u,acdirmin=%u,acdirmax=%u",
		   o->ac.reg_min, o->ac.reg_max, o->ac.dir_min, o->ac.dir_max);
	if (o->local_lock)
		seq_printf(m, ",local_lock=%s",
			   value_name(local_lock_table, o->local_lock));
	if (o->soft)
		seq_puts(m, ",soft");
	if (o->soft || o->timeo != DEFAULT_TIMEO)
		seq_printf(m, ",timeo=%u", o->timeo);
	if (o->soft || o->retrans != DEFAULT_RETRANS)
		seq_printf(m, ",retrans=%u", o->retrans);
	if (o->remote_devices)
		seq_puts(m, ",dev=remote");
	if (o->nconnect > 1)
		seq_printf(m, ",nconnect=%u", o->nconnect);
	if (o->connect_timeout != DEFAULT_CONNECT_TIMEOUT)
		seq_printf(m, ",connect_timeout=%u", o->connect_timeout);
	return 0;
}
