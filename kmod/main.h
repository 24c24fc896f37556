/* SPDX-License-Identifier: GPL-2.0-only */
/* Module parameters: defaults for mounts that name no server. */
#ifndef QTFS_MAIN_H
#define QTFS_MAIN_H

#include <linux/types.h>

#define QTFS_VERSION "0.1.0"

extern char *qtfs_param_server_ip;
extern unsigned short qtfs_param_server_port;

#endif /* QTFS_MAIN_H */
