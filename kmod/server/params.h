/* SPDX-License-Identifier: GPL-2.0-only */
/* Module parameters: what an engine listens on that is told nothing else. */
#ifndef QTFS_SERVER_PARAMS_H
#define QTFS_SERVER_PARAMS_H

#include <linux/types.h>

extern char *qtfs_server_param_ip;	/* NULL: not given */
extern unsigned short qtfs_server_param_port;
extern bool qtfs_server_param_vsock;	/* the CID was given */
extern unsigned int qtfs_server_param_vsock_cid;
extern unsigned int qtfs_server_param_vsock_port;

#endif /* QTFS_SERVER_PARAMS_H */
