// SPDX-License-Identifier: GPL-2.0-only
/*
 * qtfs_server.ko: the server's end of shared memory. The files are served by the
 * engine, a program; over TCP and vsock it needs no module.
 */
#include <linux/init.h>
#include <linux/module.h>

#include "log.h"
#include "main.h"
#include "server/endpoint.h"

static int __init qtfs_server_init(void)
{
	int err = qtfs_endpoint_init();

	if (!err)
		qtfs_info("server version %s\n", QTFS_VERSION);
	return err;
}

static void __exit qtfs_server_exit(void)
{
	qtfs_endpoint_exit();
	qtfs_info("server unloaded\n");
}

module_init(qtfs_server_init);
module_exit(qtfs_server_exit);

MODULE_DESCRIPTION("qtfs: the server's end of memory shared over PCIe");
MODULE_AUTHOR("qtfs developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(QTFS_VERSION);
