// SPDX-License-Identifier: GPL-2.0-only
/*
 * qtfs_server.ko: the server's end of shared memory, and parameters for an engine
 * that is told nothing else. The files are served by the engine, a program; over
 * TCP and vsock it needs no module.
 */
#include <linux/inet.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/vm_sockets.h>
#include <qtfs/wire.h>

#include "log.h"
#include "main.h"
#include "server/endpoint.h"
#include "server/netlink.h"
#include "server/params.h"

char *qtfs_server_param_ip;
unsigned short qtfs_server_param_port = QTFS_DEFAULT_PORT;
bool qtfs_server_param_vsock;
unsigned int qtfs_server_param_vsock_cid = VMADDR_CID_ANY;
unsigned int qtfs_server_param_vsock_port = QTFS_DEFAULT_PORT;

module_param_named(qtfs_server_ip, qtfs_server_param_ip, charp, 0444);
MODULE_PARM_DESC(qtfs_server_ip,
		 "IP address that an engine listens on that is told none");
module_param_named(qtfs_server_port, qtfs_server_param_port, ushort, 0444);
MODULE_PARM_DESC(qtfs_server_port, "its port (12345)");

static int vsock_cid_set(const char *value, const struct kernel_param *kp)
{
	qtfs_server_param_vsock = true;
	return param_set_uint(value, kp);
}

static const struct kernel_param_ops vsock_cid_ops = {
	.set = vsock_cid_set,
	.get = param_get_uint,
};
module_param_cb(qtfs_server_vsock_cid, &vsock_cid_ops,
		&qtfs_server_param_vsock_cid, 0444);
MODULE_PARM_DESC(qtfs_server_vsock_cid,
		 "CID that an engine listens on over vsock that is told none; 4294967295: any");
module_param_named(qtfs_server_vsock_port, qtfs_server_param_vsock_port, uint,
		   0444);
MODULE_PARM_DESC(qtfs_server_vsock_port, "its port over vsock (12345)");

static int check_params(void)
{
	u8 addr[16];

	if (qtfs_server_param_ip &&
	    !in4_pton(qtfs_server_param_ip, -1, addr, '\0', NULL) &&
	    !in6_pton(qtfs_server_param_ip, -1, addr, '\0', NULL)) {
		pr_err("qtfs: qtfs_server_ip=%s is not an IP address\n",
		       qtfs_server_param_ip);
		return -EINVAL;
	}
	if (!qtfs_server_param_port) {
		pr_err("qtfs: qtfs_server_port=0 is not a port\n");
		return -EINVAL;
	}
	if (!qtfs_server_param_vsock_port ||
	    qtfs_server_param_vsock_port == VMADDR_PORT_ANY) {
		pr_err("qtfs: qtfs_server_vsock_port=%u is not a port\n",
		       qtfs_server_param_vsock_port);
		return -EINVAL;
	}
	return 0;
}

static int __init qtfs_server_init(void)
{
	int err = check_params();

	if (err)
		return err;
	err = qtfs_server_netlink_init();
	if (err)
		return err;
	err = qtfs_endpoint_init();
	if (err) {
		qtfs_server_netlink_exit();
		return err;
	}
	qtfs_info("server version %s\n", QTFS_VERSION);
	return 0;
}

static void __exit qtfs_server_exit(void)
{
	qtfs_endpoint_exit();
	qtfs_server_netlink_exit();
	qtfs_info("server unloaded\n");
}

module_init(qtfs_server_init);
module_exit(qtfs_server_exit);

MODULE_DESCRIPTION("qtfs: the server's end of memory shared over PCIe");
MODULE_AUTHOR("qtfs developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(QTFS_VERSION);
