/* SPDX-License-Identifier: GPL-2.0-only */
/* Module parameters: defaults for mounts that name no server. */
#ifndef QTFS_MAIN_H
#define QTFS_MAIN_H

#include <linux/types.h>

#define QTFS_VERSION "0.1.0"

struct qtfs_transport;

extern char *qtfs_param_server_ip;
extern unsigned short qtfs_param_server_port;
extern unsigned int qtfs_param_vsock_cid;
extern unsigned int qtfs_param_vsock_port;

/**
 * struct qtfs_server - whom a mount goes to that does not say it
 * @trans: the channel
 * @address: as text
 */
struct qtfs_server {
	const struct qtfs_transport *trans;
	char address[64];
	u32 port;
};

/* For the channel @trans; NULL: for the one that the parameters stand for. */
void qtfs_default_server(const struct qtfs_transport *trans,
			 struct qtfs_server *def);

#endif /* QTFS_MAIN_H */
