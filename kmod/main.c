// SPDX-License-Identifier: GPL-2.0-only
/* qtfs.ko: starts the parts in order, stops them in reverse; parameters. */
#include <linux/inet.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/vm_sockets.h>

#include "agent.h"
#include "chan.h"
#include "inode.h"
#include "log.h"
#include "main.h"
#include "netlink.h"
#include "req.h"
#include "submount.h"
#include "super.h"
#include "transport/transport.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static char default_ip[] = "127.0.0.1";
static bool vsock_cid_given;

char *qtfs_param_server_ip = default_ip;
unsigned short qtfs_param_server_port = QTFS_DEFAULT_PORT;
unsigned int qtfs_param_vsock_cid = VMADDR_CID_HOST;
unsigned int qtfs_param_vsock_port = QTFS_DEFAULT_PORT;

module_param_named(qtfs_server_ip, qtfs_param_server_ip, charp, 0444);
MODULE_PARM_DESC(qtfs_server_ip,
		 "server's IP address for mounts that name none (127.0.0.1)");
module_param_named(qtfs_server_port, qtfs_param_server_port, ushort, 0444);
MODULE_PARM_DESC(qtfs_server_port,
		 "server's port for mounts that name none (12345)");

static int vsock_cid_set(const char *value, const struct kernel_param *kp)
{
	vsock_cid_given = true;
	return param_set_uint(value, kp);
}

static const struct kernel_param_ops vsock_cid_ops = {
	.set = vsock_cid_set,
	.get = param_get_uint,
};
module_param_cb(qtfs_server_vsock_cid, &vsock_cid_ops, &qtfs_param_vsock_cid,
		0444);
MODULE_PARM_DESC(qtfs_server_vsock_cid,
		 "server's CID for vsock mounts that name none (2); given without qtfs_server_ip, mounts that name neither server nor channel use vsock");
module_param_named(qtfs_server_vsock_port, qtfs_param_vsock_port, uint, 0444);
MODULE_PARM_DESC(qtfs_server_vsock_port,
		 "server's port for vsock mounts that name none (12345)");

static int check_params(void)
{
	u8 addr[16];

	if (!in4_pton(qtfs_param_server_ip, -1, addr, '\0', NULL) &&
	    !in6_pton(qtfs_param_server_ip, -1, addr, '\0', NULL)) {
		pr_err("qtfs: qtfs_server_ip=%s is not an IP address\n",
		       qtfs_param_server_ip);
		return -EINVAL;
	}
	if (!qtfs_param_server_port) {
		pr_err("qtfs: qtfs_server_port=0 is not a port\n");
		return -EINVAL;
	}
	if (qtfs_param_vsock_cid == VMADDR_CID_ANY) {
		pr_err("qtfs: qtfs_server_vsock_cid=%u is not the CID of a machine\n",
		       qtfs_param_vsock_cid);
		return -EINVAL;
	}
	if (!qtfs_param_vsock_port ||
	    qtfs_param_vsock_port == VMADDR_PORT_ANY) {
		pr_err("qtfs: qtfs_server_vsock_port=%u is not a port\n",
		       qtfs_param_vsock_port);
		return -EINVAL;
	}
	if (vsock_cid_given && !qtfs_transport_find("vsock")) {
		pr_err("qtfs: qtfs_server_vsock_cid=%u: this kernel has no vsock\n",
		       qtfs_param_vsock_cid);
		return -EINVAL;
	}
	return 0;
}

void qtfs_default_server(const struct qtfs_transport *trans,
			 struct qtfs_server *def)
{
	const struct qtfs_transport *vsock = qtfs_transport_find("vsock");
	bool prefer_vsock = vsock_cid_given &&
			    qtfs_param_server_ip == default_ip;

	def->trans = trans ?: prefer_vsock ? vsock : &qtfs_tcp_transport;
	if (def->trans == vsock) {
		snprintf(def->address, sizeof(def->address), "%u",
			 qtfs_param_vsock_cid);
		def->port = qtfs_param_vsock_port;
	} else if (def->trans != &qtfs_tcp_transport) {
		strscpy(def->address, "0", sizeof(def->address));
		def->port = 0;
	} else {
		strscpy(def->address, qtfs_param_server_ip,
			sizeof(def->address));
		def->port = qtfs_param_server_port;
	}
}

static int __init qtfs_init(void)
{
	struct qtfs_server def;
	int err;

	err = check_params();
	if (err)
		return err;
	err = qtfs_req_cache_init();
	if (err)
		return err;
	err = qtfs_chan_module_init();
	if (err)
		goto out_exit_req_cache;
	err = qtfs_inode_cache_init();
	if (err)
		goto out_exit_chan;
	err = qtfs_netlink_init();
	if (err)
		goto out_exit_inode_cache;
	err = qtfs_pcie_client_init();
	if (err)
		goto out_exit_netlink;
	err = qtfs_agent_init();
	if (err)
		goto out_exit_pcie;
	err = qtfs_super_init();	/* last: from here on users arrive */
	if (err)
		goto out_exit_agent;
	qtfs_default_server(NULL, &def);
	qtfs_info("version %s, server %s port %u over %s\n", QTFS_VERSION,
		  def.address, def.port, def.trans->name);
	return 0;

out_exit_agent:
	qtfs_agent_exit();
out_exit_pcie:
	qtfs_pcie_client_exit();
out_exit_netlink:
	qtfs_netlink_exit();
out_exit_inode_cache:
	qtfs_inode_cache_exit();
out_exit_chan:
	qtfs_chan_module_exit();
out_exit_req_cache:
	qtfs_req_cache_exit();
	return err;
}

static void __exit qtfs_exit(void)
{
	qtfs_super_exit();
	qtfs_submount_exit();
	qtfs_agent_exit();
	qtfs_pcie_client_exit();
	qtfs_netlink_exit();
	qtfs_inode_cache_exit();
	qtfs_chan_module_exit();
	qtfs_req_cache_exit();
	qtfs_info("unloaded\n");
}

module_init(qtfs_init);
module_exit(qtfs_exit);

MODULE_DESCRIPTION("qtfs: another machine's file tree as one's own");
MODULE_AUTHOR("qtfs developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(QTFS_VERSION);
