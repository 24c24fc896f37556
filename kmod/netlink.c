// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family "qtfs", beside the request path: what the module
 * shows of itself and what can be changed while it runs. The family is
 * described by docs/netlink/qtfs.yaml.
 *
 * Commands run in parallel: nothing here is shared but what has its own lock
 * (sessions) or is one word (the log level).
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <qtfs/wire.h>
#include <uapi/linux/qtfs.h>

#include "chan.h"
#include "compat/compat.h"
#include "log.h"
#include "main.h"
#include "netlink.h"
#include "session.h"
#include "stats.h"

static_assert((int)QTFS_LOG_NONE == (int)QTFS_VERBOSITY_NONE);
static_assert((int)QTFS_LOG_DEBUG == (int)QTFS_VERBOSITY_DEBUG);
static_assert((int)QTFS_LOG_NR == (int)__QTFS_VERBOSITY_MAX);

/* Room for the counters of a mount, and for one operation. */
#define QTFS_NL_TOTALS_ROOM	NLMSG_DEFAULT_SIZE
#define QTFS_NL_OP_ROOM		(128 + QTFS_STATS_BUCKETS * sizeof(u64))

/* Enough for an address of any channel as text. */
#define QTFS_NL_ADDRESS_ROOM	128

static struct genl_family qtfs_genl_family;

/* ---------------------------------------------------------------- replies */

static struct sk_buff *qtfs_nl_reply_new(struct genl_info *info, size_t room,
					 void **hdr)
{
	struct sk_buff *msg = genlmsg_new(room, GFP_KERNEL);

	if (!msg)
		return NULL;

	*hdr = genlmsg_put_reply(msg, info, &qtfs_genl_family, 0,
				 info->genlhdr->cmd);
	if (!*hdr) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/* Sends @msg if it was filled without error, else frees it. */
static int qtfs_nl_reply_end(struct genl_info *info, struct sk_buff *msg,
			     void *hdr, int err)
{
	if (err) {
		nlmsg_free(msg);
		return err;
	}
	genlmsg_end(msg, hdr);
	return genlmsg_reply(msg, info);
}

/* The session that attribute @attr names, referenced, or an ERR_PTR. */
static struct qtfs_session *qtfs_nl_session_get(struct genl_info *info,
						int attr)
{
	struct qtfs_session *session;

	if (!info->attrs[attr]) {
		GENL_SET_ERR_MSG(info, "the mount's id is missing");
		return ERR_PTR(-EINVAL);
	}

	session = qtfs_session_find(genl_info_net(info),
				    nla_get_u32(info->attrs[attr]));
	if (!session) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[attr],
				    "no mount of this network namespace has this id");
		return ERR_PTR(-ENOENT);
	}
	return session;
}

/* Dumps have no parameters; say so instead of leaving some out of account. */
static int qtfs_nl_dump_check(struct netlink_callback *cb)
{
	if (!nlmsg_attrlen(cb->nlh, GENL_HDRLEN))
		return 0;

	NL_SET_ERR_MSG(cb->extack, "a dump takes no attributes");
	return -EINVAL;
}

/* ----------------------------------------------------------------- status */

static u32 qtfs_nl_mounts(struct net *net)
{
	struct qtfs_session *session;
	u32 id = 0, nr = 0;

	while ((session = qtfs_session_get_next(net, id))) {
		id = session->id;
		qtfs_session_put(session);
		nr++;
	}
	return nr;
}

static int qtfs_nl_put_status(struct sk_buff *msg, struct net *net)
{
	const char *ip = qtfs_param_server_ip;
	struct qtfs_server def;

	qtfs_default_server(NULL, &def);
	if (nla_put_string(msg, QTFS_A_STATUS_VERSION, QTFS_VERSION) ||
	    nla_put_u32(msg, QTFS_A_STATUS_PROTOCOL, QTFS_WIRE_VERSION) ||
	    (ip && *ip &&
	     nla_put_string(msg, QTFS_A_STATUS_SERVER_IP, ip)) ||
	    nla_put_u16(msg, QTFS_A_STATUS_SERVER_PORT,
			READ_ONCE(qtfs_param_server_port)) ||
	    nla_put_u32(msg, QTFS_A_STATUS_LOG_LEVEL,
			READ_ONCE(qtfs_log_level)) ||
	    nla_put_u32(msg, QTFS_A_STATUS_MOUNTS, qtfs_nl_mounts(net)) ||
	    nla_put_string(msg, QTFS_A_STATUS_CHANNEL, def.trans->name) ||
	    nla_put_u32(msg, QTFS_A_STATUS_SERVER_VSOCK_CID,
			qtfs_param_vsock_cid) ||
	    nla_put_u32(msg, QTFS_A_STATUS_SERVER_VSOCK_PORT,
			qtfs_param_vsock_port))
		return -EMSGSIZE;
	return 0;
}

static int qtfs_nl_status_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *msg;
	void *hdr;

	msg = qtfs_nl_reply_new(info, NLMSG_DEFAULT_SIZE, &hdr);
	if (!msg)
		return -ENOMEM;
	return qtfs_nl_reply_end(info, msg, hdr,
				 qtfs_nl_put_status(msg, genl_info_net(info)));
}

/* -------------------------------------------------------------- log level */

static int qtfs_nl_log_level_get_doit(struct sk_buff *skb,
				      struct genl_info *info)
{
	struct sk_buff *msg;
	void *hdr;

	msg = qtfs_nl_reply_new(info, NLMSG_DEFAULT_SIZE, &hdr);
	if (!msg)
		return -ENOMEM;
	return qtfs_nl_reply_end(info, msg, hdr,
				 nla_put_u32(msg, QTFS_A_LOG_LEVEL,
					     READ_ONCE(qtfs_log_level)));
}

static int qtfs_nl_log_level_set_doit(struct sk_buff *skb,
				      struct genl_info *info)
{
	if (!info->attrs[QTFS_A_LOG_LEVEL]) {
		GENL_SET_ERR_MSG(info, "the log level is missing");
		return -EINVAL;
	}
	WRITE_ONCE(qtfs_log_level, nla_get_u32(info->attrs[QTFS_A_LOG_LEVEL]));
	return 0;
}

static int qtfs_nl_abort_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct qtfs_session *session;

	session = qtfs_nl_session_get(info, QTFS_A_MOUNT_ID);
	if (IS_ERR(session))
		return PTR_ERR(session);

	qtfs_session_abort(session);
	qtfs_session_put(session);
	return 0;
}

/* ----------------------------------------------------------------- mounts */

static enum qtfs_mount_state qtfs_nl_mount_state(enum qtfs_chan_state state)
{
	switch (state) {
	case QTFS_CHAN_UP:
		return QTFS_MOUNT_STATE_CONNECTED;
	case QTFS_CHAN_DEAD:
		return QTFS_MOUNT_STATE_LOST;
	case QTFS_CHAN_ABORTED:
		break;
	}
	return QTFS_MOUNT_STATE_ABORTED;
}

static int qtfs_nl_put_where(struct sk_buff *msg,
			     const struct qtfs_session *session)
{
	const struct qtfs_transport *trans = session->to.trans;
	char address[QTFS_NL_ADDRESS_ROOM];

	trans->print(&session->to, address, sizeof(address));
	if (nla_put_u32(msg, QTFS_A_MOUNT_ID, session->id) ||
	    nla_put_u32(msg, QTFS_A_MOUNT_DEV_MAJOR, MAJOR(session->dev)) ||
	    nla_put_u32(msg, QTFS_A_MOUNT_DEV_MINOR, MINOR(session->dev)) ||
	    nla_put_string(msg, QTFS_A_MOUNT_SOURCE, session->source) ||
	    nla_put_string(msg, QTFS_A_MOUNT_PATH, session->path) ||
	    nla_put_string(msg, QTFS_A_MOUNT_CHANNEL, trans->name) ||
	    nla_put_string(msg, QTFS_A_MOUNT_ADDRESS, address))
		return -EMSGSIZE;
	return 0;
}

static int qtfs_nl_put_state(struct sk_buff *msg,
			     const struct qtfs_session *session)
{
	enum qtfs_chan_state state = QTFS_CHAN_UP;
	u32 inflight = 0, waiting = 0;
	struct list_head *pos;
	unsigned int i;

	for (i = 0; i < session->nr_chans; i++) {
		struct qtfs_chan *chan = session->chans[i];

		spin_lock_bh(&chan->lock);
		state = max(state, chan->state);	/* the worst */
		inflight += chan->nr_used;
		list_for_each(pos, &chan->sendq)
			waiting++;
		spin_unlock_bh(&chan->lock);
	}

	if (nla_put_u32(msg, QTFS_A_MOUNT_STATE, qtfs_nl_mount_state(state)) ||
	    nla_put(msg, QTFS_A_MOUNT_SESSION, sizeof(session->wire_id),
		    session->wire_id) ||
	    nla_put_u32(msg, QTFS_A_MOUNT_PROTOCOL, QTFS_WIRE_VERSION) ||
	    nla_put_u32(msg, QTFS_A_MOUNT_INFLIGHT, inflight) ||
	    nla_put_u32(msg, QTFS_A_MOUNT_WAITING, waiting) ||
	    nla_put_u32(msg, QTFS_A_MOUNT_CONNECTIONS, session->nr_chans))
		return -EMSGSIZE;
	return 0;
}

static int qtfs_nl_put_mount(struct sk_buff *msg, struct qtfs_session *session)
{
	int err = qtfs_nl_put_where(msg, session);

	return err ?: qtfs_nl_put_state(msg, session);
}

/* A mount's message is at most two paths and some numbers. */
#define QTFS_NL_MOUNT_ROOM	(NLMSG_DEFAULT_SIZE + 2 * PATH_MAX)

static int qtfs_nl_mount_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct qtfs_session *session;
	struct sk_buff *msg;
	void *hdr;
	int err = -ENOMEM;

	session = qtfs_nl_session_get(info, QTFS_A_MOUNT_ID);
	if (IS_ERR(session))
		return PTR_ERR(session);

	msg = qtfs_nl_reply_new(info, QTFS_NL_MOUNT_ROOM, &hdr);
	if (msg)
		err = qtfs_nl_reply_end(info, msg, hdr,
					qtfs_nl_put_mount(msg, session));
	qtfs_session_put(session);
	return err;
}

/* cb->args[0]: id of the last mount that is in the dump. */
static int qtfs_nl_mount_get_dumpit(struct sk_buff *skb,
				    struct netlink_callback *cb)
{
	struct net *net = sock_net(cb->skb->sk);
	struct qtfs_session *session;
	void *hdr;
	int err;

	err = qtfs_nl_dump_check(cb);
	if (err)
		return err;

	while ((session = qtfs_session_get_next(net, cb->args[0]))) {
		hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				  cb->nlh->nlmsg_seq, &qtfs_genl_family,
				  NLM_F_MULTI, QTFS_CMD_MOUNT_GET);
		err = hdr ? qtfs_nl_put_mount(skb, session) : -EMSGSIZE;
		if (err) {
			genlmsg_cancel(skb, hdr);
			qtfs_session_put(session);
			break;
		}
		genlmsg_end(skb, hdr);
		cb->args[0] = session->id;
		qtfs_session_put(session);
	}
	return skb->len ?: err;
}

/* --------------------------------------------------------------- counters */

static const u8 qtfs_nl_counter_attrs[QTFS_COUNT_NR] = {
	[QTFS_COUNT_BYTES_OUT]		= QTFS_A_STATS_BYTES_SENT,
	[QTFS_COUNT_BYTES_IN]		= QTFS_A_STATS_BYTES_RECEIVED,
	[QTFS_COUNT_FRAMES_OUT]		= QTFS_A_STATS_FRAMES_SENT,
	[QTFS_COUNT_FRAMES_IN]		= QTFS_A_STATS_FRAMES_RECEIVED,
	[QTFS_COUNT_PUSHES]		= QTFS_A_STATS_PUSHES,
	[QTFS_COUNT_PROTOCOL_ERRORS]	= QTFS_A_STATS_PROTOCOL_ERRORS,
	[QTFS_COUNT_CANCELS]		= QTFS_A_STATS_CANCELS,
	[QTFS_COUNT_ABANDONED]		= QTFS_A_STATS_ABANDONS,
	[QTFS_COUNT_FORGETS]		= QTFS_A_STATS_FORGETS,
	[QTFS_COUNT_RELEASES]		= QTFS_A_STATS_RELEASES,
	[QTFS_COUNT_INVALIDATIONS]	= QTFS_A_STATS_INVALIDATIONS,
};

static int qtfs_nl_put_totals(struct sk_buff *msg, const struct qtfs_stats *sum)
{
	int i;

	for (i = 0; i < QTFS_COUNT_NR; i++)
		if (qtfs_nl_counter_attrs[i] &&
		    nla_put_u64_64bit(msg, qtfs_nl_counter_attrs[i],
				      sum->counters[i], QTFS_A_STATS_PAD))
			return -EMSGSIZE;
	return 0;
}

static int qtfs_nl_put_latency(struct sk_buff *msg,
			       const struct qtfs_op_stats *op)
{
	u64 buckets[QTFS_STATS_BUCKETS];
	int i;

	for (i = 0; i < QTFS_STATS_BUCKETS; i++)
		buckets[i] = op->buckets[i];
	return nla_put_64bit(msg, QTFS_A_OP_STATS_LATENCY, sizeof(buckets),
			     buckets, QTFS_A_OP_STATS_PAD);
}

static int qtfs_nl_put_op(struct sk_buff *msg, int nr,
			  const struct qtfs_op_stats *op)
{
	const int pad = QTFS_A_OP_STATS_PAD;
	struct nlattr *nest;

	nest = nla_nest_start(msg, QTFS_A_STATS_OP);
	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u32(msg, QTFS_A_OP_STATS_OP, nr) ||
	    nla_put_string(msg, QTFS_A_OP_STATS_NAME,
			   qtfs_op_name(nr) ?: "unknown") ||
	    nla_put_u64_64bit(msg, QTFS_A_OP_STATS_CALLS, op->calls, pad) ||
	    nla_put_u64_64bit(msg, QTFS_A_OP_STATS_ERRORS, op->errors, pad) ||
	    nla_put_u64_64bit(msg, QTFS_A_OP_STATS_TOTAL_NS, op->ns, pad) ||
	    qtfs_nl_put_latency(msg, op)) {
		nla_nest_cancel(msg, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, nest);
	return 0;
}

/* Adds operations from *@next on, and moves *@next past what was added. */
static int qtfs_nl_put_ops(struct sk_buff *msg, const struct qtfs_stats *sum,
			   long *next)
{
	int err;

	for (; *next < QTFS_OP_NR; (*next)++) {
		if (!sum->ops[*next].calls)
			continue;
		err = qtfs_nl_put_op(msg, *next, &sum->ops[*next]);
		if (err)
			return err;
	}
	return 0;
}

static struct qtfs_stats *qtfs_nl_stats_sum(struct qtfs_session *session)
{
	struct qtfs_stats *sum = kvzalloc(sizeof(*sum), GFP_KERNEL);

	if (sum)
		qtfs_stats_sum(session->stats, sum);
	return sum;
}

static int qtfs_nl_put_stats(struct sk_buff *msg, u32 id,
			     const struct qtfs_stats *sum)
{
	long next = 0;

	if (nla_put_u32(msg, QTFS_A_STATS_MOUNT, id) ||
	    qtfs_nl_put_totals(msg, sum))
		return -EMSGSIZE;
	return qtfs_nl_put_ops(msg, sum, &next);
}

static size_t qtfs_nl_stats_room(const struct qtfs_stats *sum)
{
	size_t room = QTFS_NL_TOTALS_ROOM;
	int i;

	for (i = 0; i < QTFS_OP_NR; i++)
		if (sum->ops[i].calls)
			room += QTFS_NL_OP_ROOM;
	return room;
}

static int qtfs_nl_stats_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct qtfs_session *session;
	struct qtfs_stats *sum;
	struct sk_buff *msg;
	int err = -ENOMEM;
	void *hdr;
	u32 id;

	session = qtfs_nl_session_get(info, QTFS_A_STATS_MOUNT);
	if (IS_ERR(session))
		return PTR_ERR(session);
	id = session->id;
	sum = qtfs_nl_stats_sum(session);
	qtfs_session_put(session);
	if (!sum)
		return -ENOMEM;

	msg = qtfs_nl_reply_new(info, qtfs_nl_stats_room(sum), &hdr);
	if (msg)
		err = qtfs_nl_reply_end(info, msg, hdr,
					qtfs_nl_put_stats(msg, id, sum));
	kvfree(sum);
	return err;
}

/*
 * One message with counters of @id: the totals where it is the first one, and
 * the operations that find room.
 *
 * Return: 0 when the mount is complete, -EMSGSIZE when another message has to
 * follow; the message is left out where it would say nothing.
 */
static int qtfs_nl_dump_stats(struct sk_buff *skb, struct netlink_callback *cb,
			      u32 id, const struct qtfs_stats *sum)
{
	const long first = cb->args[1];
	void *hdr;
	int err;

	hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &qtfs_genl_family, NLM_F_MULTI, QTFS_CMD_STATS_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, QTFS_A_STATS_MOUNT, id) ||
	    (!first && qtfs_nl_put_totals(skb, sum))) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}

	err = qtfs_nl_put_ops(skb, sum, &cb->args[1]);
	if (err && cb->args[1] == first)
		genlmsg_cancel(skb, hdr);
	else
		genlmsg_end(skb, hdr);
	return err;
}

/*
 * cb->args[0]: id of the last mount that is completely in the dump;
 * cb->args[1]: of the next one, the first operation that is not, 0: nothing is.
 */
static int qtfs_nl_stats_get_dumpit(struct sk_buff *skb,
				    struct netlink_callback *cb)
{
	struct net *net = sock_net(cb->skb->sk);
	struct qtfs_session *session;
	struct qtfs_stats *sum;
	u32 id;
	int err;

	err = qtfs_nl_dump_check(cb);
	if (err)
		return err;

	while ((session = qtfs_session_get_next(net, cb->args[0]))) {
		id = session->id;
		sum = qtfs_nl_stats_sum(session);
		qtfs_session_put(session);
		if (!sum)
			return -ENOMEM;

		err = qtfs_nl_dump_stats(skb, cb, id, sum);
		kvfree(sum);
		if (err)
			break;
		cb->args[0] = id;
		cb->args[1] = 0;
	}
	return skb->len ?: err;
}

/* ----------------------------------------------------------------- family */

static const struct nla_policy qtfs_nl_mount_policy[] = {
	[QTFS_A_MOUNT_ID] = NLA_POLICY_MIN(NLA_U32, 1),
};

static const struct nla_policy qtfs_nl_stats_policy[] = {
	[QTFS_A_STATS_MOUNT] = NLA_POLICY_MIN(NLA_U32, 1),
};

static const struct nla_policy qtfs_nl_log_policy[] = {
	[QTFS_A_LOG_LEVEL] = NLA_POLICY_MAX(NLA_U32, QTFS_VERBOSITY_MAX),
};

/* For commands without parameters; without any policy, some kernels ignore. */
static const struct nla_policy qtfs_nl_no_policy[] = {
	[1] = {
		.type = NLA_REJECT,
		.reject_message = "this command takes no attributes",
	},
};

static const struct genl_ops qtfs_genl_ops[] = {
	{
		.cmd = QTFS_CMD_STATUS_GET,
		.policy = qtfs_nl_no_policy,
		.maxattr = 1,
		.doit = qtfs_nl_status_get_doit,
	},
	{
		.cmd = QTFS_CMD_MOUNT_GET,
		.policy = qtfs_nl_mount_policy,
		.maxattr = QTFS_A_MOUNT_ID,
		.doit = qtfs_nl_mount_get_doit,
		.dumpit = qtfs_nl_mount_get_dumpit,
	},
	{
		.cmd = QTFS_CMD_STATS_GET,
		.policy = qtfs_nl_stats_policy,
		.maxattr = QTFS_A_STATS_MOUNT,
		.doit = qtfs_nl_stats_get_doit,
		.dumpit = qtfs_nl_stats_get_dumpit,
	},
	{
		.cmd = QTFS_CMD_LOG_LEVEL_GET,
		.policy = qtfs_nl_no_policy,
		.maxattr = 1,
		.doit = qtfs_nl_log_level_get_doit,
	},
	{
		.cmd = QTFS_CMD_LOG_LEVEL_SET,
		.flags = GENL_ADMIN_PERM,
		.policy = qtfs_nl_log_policy,
		.maxattr = QTFS_A_LOG_LEVEL,
		.doit = qtfs_nl_log_level_set_doit,
	},
	{
		.cmd = QTFS_CMD_ABORT,
		.flags = GENL_ADMIN_PERM,
		.policy = qtfs_nl_mount_policy,
		.maxattr = QTFS_A_MOUNT_ID,
		.doit = qtfs_nl_abort_doit,
	},
};

/* resv_start_op is 0, where there is one: strict from the first command on. */
static struct genl_family qtfs_genl_family __ro_after_init = {
	.name = QTFS_FAMILY_NAME,
	.version = QTFS_FAMILY_VERSION,
	.netnsok = true,
	.parallel_ops = true,
	.module = THIS_MODULE,
	.ops = qtfs_genl_ops,
	.n_ops = ARRAY_SIZE(qtfs_genl_ops),
};

int qtfs_netlink_init(void)
{
	return genl_register_family(&qtfs_genl_family);
}

void qtfs_netlink_exit(void)
{
	genl_unregister_family(&qtfs_genl_family);
}
