/* SPDX-License-Identifier: GPL-2.0-only */
/* Mount options, from what mount(8) gives to what /proc/mounts shows. */
#ifndef QTFS_OPTIONS_H
#define QTFS_OPTIONS_H

#include <linux/fs_context.h>
#include <linux/fs_parser.h>

#include "codec.h"
#include "log.h"
#include "super.h"

struct net;
struct qtfs_transport;
struct seq_file;

/* Longest request unless rsize= or wsize= say otherwise, bytes. */
#define QTFS_DEFAULT_IO (1u << 20)

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
 */
struct qtfs_mount_ctx {
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
};

/* What holds when nothing is said. */
void qtfs_options_default(struct qtfs_options *opts);

extern const struct fs_parameter_spec qtfs_parameters[];

/* ->parse_param of a context whose fs_private is a struct qtfs_mount_ctx. */
int qtfs_parse_param(struct fs_context *fc, struct fs_parameter *param);

int qtfs_show_options(struct seq_file *m, struct dentry *root);

#endif /* QTFS_OPTIONS_H */
