// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family "qtfs_server": the engine asks for the module's
 * parameters and reports itself, qtinfo shows both. docs/netlink/qtfs_server.yaml
 * describes it.
 *
 * What an engine reported holds until its socket is closed, however it ends.
 */
#include <linux/mutex.h>
#include <linux/netlink.h>
#include <linux/notifier.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <uapi/linux/qtfs_server.h>

#include "log.h"
#include "main.h"
#include "pcie/device.h"
#include "server/netlink.h"
#include "server/params.h"

#define TEXT_MAX 1024

static struct genl_family server_family;

/* The engine that reported last; without one, @portid is 0. */
static DEFINE_MUTEX(engine_lock); /* protects engine */
static struct {
	struct net *net;	/* compared, not used */
	u32 portid;
	u32 pid;
	u32 threads;
	char *listen;
	char *ring;
} engine;

static void engine_forget(void)
{
	lockdep_assert_held(&engine_lock);
	kfree(engine.listen);
	kfree(engine.ring);
	memset(&engine, 0, sizeof(engine));
}

static int server_socket_closed(struct notifier_block *nb, unsigned long event,
				void *data)
{
	struct netlink_notify *notify = data;

	if (event != NETLINK_URELEASE || notify->protocol != NETLINK_GENERIC)
		return NOTIFY_DONE;
	mutex_lock(&engine_lock);
	if (engine.portid == notify->portid && engine.net == notify->net)
		engine_forget();
	mutex_unlock(&engine_lock);
	return NOTIFY_DONE;
}

static struct notifier_block server_notifier = {
	.notifier_call = server_socket_closed,
};

static int put_engine(struct sk_buff *msg)
{
	lockdep_assert_held(&engine_lock);
	if (!engine.portid)
		return 0;
	if (nla_put_u32(msg, QTFS_SERVER_A_STATUS_ENGINE_PID, engine.pid) ||
	    nla_put_string(msg, QTFS_SERVER_A_STATUS_ENGINE_LISTEN,
			   engine.listen) ||
	    nla_put_u32(msg, QTFS_SERVER_A_STATUS_ENGINE_THREADS,
			engine.threads) ||
	    nla_put_string(msg, QTFS_SERVER_A_STATUS_ENGINE_RING, engine.ring))
		return -EMSGSIZE;
	return 0;
}

static int put_params(struct sk_buff *msg)
{
	if (nla_put_string(msg, QTFS_SERVER_A_STATUS_VERSION, QTFS_VERSION) ||
	    nla_put_u32(msg, QTFS_SERVER_A_STATUS_LOG_LEVEL,
			READ_ONCE(qtfs_log_level)) ||
	    (qtfs_server_param_ip &&
	     nla_put_string(msg, QTFS_SERVER_A_STATUS_SERVER_IP,
			    qtfs_server_param_ip)) ||
	    nla_put_u16(msg, QTFS_SERVER_A_STATUS_SERVER_PORT,
			qtfs_server_param_port) ||
	    (qtfs_server_param_vsock &&
	     nla_put_u32(msg, QTFS_SERVER_A_STATUS_SERVER_VSOCK_CID,
			 qtfs_server_param_vsock_cid)) ||
	    nla_put_u32(msg, QTFS_SERVER_A_STATUS_SERVER_VSOCK_PORT,
			qtfs_server_param_vsock_port) ||
	    nla_put_u32(msg, QTFS_SERVER_A_STATUS_DEVICES, qtfs_pcie_count()))
		return -EMSGSIZE;
	return 0;
}

static int status_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *msg = genlmsg_new(4 * TEXT_MAX, GFP_KERNEL);
	void *hdr;
	int err;

	if (!msg)
		return -ENOMEM;
	hdr = genlmsg_put_reply(msg, info, &server_family, 0,
				info->genlhdr->cmd);
	if (!hdr) {
		nlmsg_free(msg);
		return -EMSGSIZE;
	}
	err = put_params(msg);
	mutex_lock(&engine_lock);
	err = err ?: put_engine(msg);
	mutex_unlock(&engine_lock);
	if (err) {
		nlmsg_free(msg);
		return err;
	}
	genlmsg_end(msg, hdr);
	return genlmsg_reply(msg, info);
}

static char *report_text(struct genl_info *info, int attr)
{
	const struct nlattr *nla = info->attrs[attr];

	return kstrndup(nla ? nla_data(nla) : "", TEXT_MAX, GFP_KERNEL);
}

static int engine_report_doit(struct sk_buff *skb, struct genl_info *info)
{
	char *listen = report_text(info, QTFS_SERVER_A_STATUS_ENGINE_LISTEN);
	char *ring = report_text(info, QTFS_SERVER_A_STATUS_ENGINE_RING);
	struct nlattr *threads = info->attrs[QTFS_SERVER_A_STATUS_ENGINE_THREADS];

	if (!listen || !ring) {
		kfree(listen);
		kfree(ring);
		return -ENOMEM;
	}
	mutex_lock(&engine_lock);
	engine_forget();
	engine.net = genl_info_net(info);
	engine.portid = info->snd_portid;
	engine.pid = task_tgid_nr(current);
	engine.threads = threads ? nla_get_u32(threads) : 0;
	engine.listen = listen;
	engine.ring = ring;
	mutex_unlock(&engine_lock);
	return 0;
}

static int log_level_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *level = info->attrs[QTFS_SERVER_A_STATUS_LOG_LEVEL];

	if (!level) {
		GENL_SET_ERR_MSG(info, "the log level is missing");
		return -EINVAL;
	}
	if (nla_get_u32(level) >= QTFS_LOG_NR) {
		NL_SET_ERR_MSG_ATTR(info->extack, level,
				    "log levels are 0 (none) to 4 (debug)");
		return -EINVAL;
	}
	WRITE_ONCE(qtfs_log_level, nla_get_u32(level));
	return 0;
}

static const struct nla_policy report_policy[] = {
	[QTFS_SERVER_A_STATUS_ENGINE_LISTEN] = { .type = NLA_NUL_STRING },
	[QTFS_SERVER_A_STATUS_ENGINE_THREADS] = { .type = NLA_U32 },
	[QTFS_SERVER_A_STATUS_ENGINE_RING] = { .type = NLA_NUL_STRING },
};

static const struct nla_policy log_policy[] = {
	[QTFS_SERVER_A_STATUS_LOG_LEVEL] = { .type = NLA_U32 },
};

/* Without any policy, some kernels ignore what they do not know. */
static const struct nla_policy no_policy[] = {
	[1] = {
		.type = NLA_REJECT,
		.reject_message = "this command takes no attributes",
	},
};

static const struct genl_ops server_ops[] = {
	{
		.cmd = QTFS_SERVER_CMD_STATUS_GET,
		.policy = no_policy,
		.maxattr = 1,
		.doit = status_get_doit,
	},
	{
		.cmd = QTFS_SERVER_CMD_ENGINE_REPORT,
		.flags = GENL_ADMIN_PERM,
		.policy = report_policy,
		.maxattr = QTFS_SERVER_A_STATUS_ENGINE_RING,
		.doit = engine_report_doit,
	},
	{
		.cmd = QTFS_SERVER_CMD_LOG_LEVEL_SET,
		.flags = GENL_ADMIN_PERM,
		.policy = log_policy,
		.maxattr = QTFS_SERVER_A_STATUS_LOG_LEVEL,
		.doit = log_level_set_doit,
	},
};

static struct genl_family server_family __ro_after_init = {
	.name = QTFS_SERVER_FAMILY_NAME,
	.version = QTFS_SERVER_FAMILY_VERSION,
	.parallel_ops = true,
	.module = THIS_MODULE,
	.ops = server_ops,
	.n_ops = ARRAY_SIZE(server_ops),
};

int qtfs_server_netlink_init(void)
{
	int err = netlink_register_notifier(&server_notifier);

	if (err)
		return err;
	err = genl_register_family(&server_family);
	if (err)
		netlink_unregister_notifier(&server_notifier);
	return err;
}

void qtfs_server_netlink_exit(void)
{
	genl_unregister_family(&server_family);
	netlink_unregister_notifier(&server_notifier);
	mutex_lock(&engine_lock);
	engine_forget();
	mutex_unlock(&engine_lock);
}
