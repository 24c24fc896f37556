/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * The qtfs protocol, version 1: what travels between a client and an engine.
 * Read by the kernel module (C) and by the engine (C++) alike;
 * docs/protocol.md explains it.
 *
 * Rules that hold for every structure here:
 *  - little-endian, fixed width, every field at its natural alignment;
 *  - "reserved" is sent as zero and checked to be zero by the receiver;
 *  - nothing of a host's ABI: error numbers (errno.h), operations (ops.h),
 *    open flags, capabilities and file types have numbers of their own;
 *  - numbers are never reused.
 *
 * Version history:
 *  1  first version
 */
#ifndef QTFS_WIRE_H
#define QTFS_WIRE_H

#include <linux/types.h>

#ifdef __cplusplus
#define QTFS_WIRE_ASSERT(type, size) static_assert(sizeof(type) == (size), #type)
#else
#define QTFS_WIRE_ASSERT(type, size) _Static_assert(sizeof(type) == (size), #type)
#endif

#define QTFS_WIRE_MAGIC		0x53465451u	/* "QTFS" as bytes on the wire */
#define QTFS_WIRE_VERSION	1
#define QTFS_DEFAULT_PORT	12345

/* Limits that no negotiation can exceed. */
#define QTFS_NAME_MAX		255		/* bytes of one name */
#define QTFS_PATH_MAX		4095		/* bytes of a path or link target */
#define QTFS_BODY_MAX		16384u		/* bytes of a frame's body */
#define QTFS_IO_MAX		(4u << 20)	/* bytes of a frame's payload */
#define QTFS_XATTR_MAX		65536		/* bytes of one attribute's value */
#define QTFS_GROUPS_MAX		65536		/* supplementary groups */
#define QTFS_COMPOUND_MAX	8		/* sub-operations of a compound */
#define QTFS_FORGET_MAX		512		/* nodes in one FORGET */
#define QTFS_KEY_MAX		256		/* bytes of a recovery key */
#define QTFS_CREDS_MAX		4096		/* credentials of a session */
#define QTFS_INFLIGHT_MAX	1024		/* requests under way on a connection */

/* Bodies and names are padded with zeros to a multiple of this. */
#define QTFS_ALIGN		8u
#define QTFS_PAD(len)		(((len) + (QTFS_ALIGN - 1)) & ~(QTFS_ALIGN - 1))

/* ---------------------------------------------------------------- frames */

/*
 * A frame is a header, a body (structures and names, a multiple of 8 bytes)
 * and a payload (bytes, the rest of the frame), in this order.
 */

/* qtfs_wire_req.flags, qtfs_wire_rep.flags */
#define QTFS_FRAME_REPLY	0x0001	/* engine to client, answers a tag */
#define QTFS_FRAME_PUSH		0x0002	/* engine to client, answers nothing */
#define QTFS_FRAME_NOREPLY	0x0004	/* request that is not answered; tag 0 */
#define QTFS_FRAME_PARKED	0x0008	/* reply: accepted, the result follows as a push */
#define QTFS_FRAME_REPLAY	0x0010	/* request sent again; only with QTFS_FEATURE_SLOTS */

#define QTFS_NO_SLOT		0xffffu

/**
 * struct qtfs_wire_req - header of a request, client to engine
 * @len: bytes of the whole frame, this header included
 * @op: enum qtfs_op
 * @flags: QTFS_FRAME_*
 * @tag: chosen by the client, echoed by the reply; 0 with QTFS_FRAME_NOREPLY
 * @cred: credential to act with (see CRED), ENOKEY for an unknown one; 0 for operations that
 *	need none, and with an open for whoever opened it
 * @body: bytes of the body, a multiple of 8
 * @slot_seq: sequence number of @slot, for exactly-once; 0 without one
 * @slot: QTFS_NO_SLOT where the operation may run twice, and always without QTFS_FEATURE_SLOTS
 * @epoch: of the session, as SESSION gave it; 0 before
 */
struct qtfs_wire_req {
	__le32 len;
	__le16 op;
	__le16 flags;
	__le64 tag;
	__le32 cred;
	__le32 body;
	__le32 slot_seq;
	__le16 slot;
	__le16 epoch;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_req, 32);

/**
 * struct qtfs_wire_rep - header of a reply or a push, engine to client
 * @len: bytes of the whole frame, this header included
 * @op: of the request; of a push, enum qtfs_op from QTFS_OP_PUSH_FIRST on
 * @flags: QTFS_FRAME_REPLY or QTFS_FRAME_PUSH, and others
 * @tag: of the request; 0 for a push
 * @status: 0 or a number from errno.h; a failed reply has neither body nor payload
 *	unless the operation says otherwise
 * @body: bytes of the body, a multiple of 8
 * @push_seq: of the last push made before the operation read its data; of a push, its own
 * @received: when the request was complete at the engine, ns of its monotonic clock
 * @answered: when the reply was made, same clock
 */
struct qtfs_wire_rep {
	__le32 len;
	__le16 op;
	__le16 flags;
	__le64 tag;
	__le32 status;
	__le32 body;
	__le64 push_seq;
	__le64 received;
	__le64 answered;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_rep, 48);

/* --------------------------------------------------- session and security */

/* Feature bits of HELLO; none is required in version 1. */
#define QTFS_FEATURE_SLOTS	(1ull << 0)	/* replies are kept per slot */
#define QTFS_FEATURE_KEYS	(1ull << 1)	/* recovery keys and RECLAIM */
#define QTFS_FEATURE_LEASES	(1ull << 2)
#define QTFS_FEATURE_WATCH	(1ull << 3)
#define QTFS_FEATURE_POLL	(1ull << 4)
#define QTFS_FEATURE_SOCKETS	(1ull << 5)
#define QTFS_FEATURE_MOUNTS	(1ull << 6)	/* PUSH_MOUNTS */
#define QTFS_FEATURE_LOCKS	(1ull << 7)
#define QTFS_FEATURE_PARK	(1ull << 8)
#define QTFS_FEATURE_RIGHTS	(1ull << 9)	/* GIVE, TAKE, QTFS_READ_RIGHTS */

/* Authentication methods, as bits of what is offered. */
#define QTFS_AUTH_NONE		0x1u
#define QTFS_AUTH_PSK		0x2u	/* mutual challenge-response, HMAC-SHA-256 */
#define QTFS_AUTH_TLS		0x4u	/* TLS handshake follows this exchange */

#define QTFS_NONCE_LEN		32
#define QTFS_PROOF_LEN		32
#define QTFS_SESSION_ID_LEN	16
#define QTFS_SECRET_LEN		32

/*
 * The connection's transcript is the SHA-256 of the HELLO request's body and
 * the HELLO reply's body, in this order: changing an offer changes every proof.
 * A proof is HMAC-SHA-256(key, label | transcript), the label without its NUL.
 */
#define QTFS_LABEL_CLIENT	"qtfs-1 client"	/* key: pre-shared key */
#define QTFS_LABEL_SERVER	"qtfs-1 server"	/* key: pre-shared key */
#define QTFS_LABEL_SECRET	"qtfs-1 secret"	/* key: pre-shared key; gives the resume secret */
#define QTFS_LABEL_RESUME	"qtfs-1 resume"	/* key: resume secret */

/**
 * struct qtfs_wire_hello - first frame of every connection
 * @magic: QTFS_WIRE_MAGIC
 * @version_min: oldest version the client speaks
 * @version_max: newest version the client speaks
 * @features: QTFS_FEATURE_* it can use
 * @required: those of them that it cannot do without
 * @io_max: longest payload it takes
 * @inflight: requests it wants to have under way on this connection
 * @slots: slots it wants
 * @auth: QTFS_AUTH_* it accepts
 * @nonce: fresh random bytes
 * @name_len: of the client's name (for logs), which follows
 *
 * Layout and operation number are the same in all versions.
 */
struct qtfs_wire_hello {
	__le32 magic;
	__le16 version_min;
	__le16 version_max;
	__le64 features;
	__le64 required;
	__le32 io_max;
	__le32 inflight;
	__le16 slots;
	__le16 name_len;
	__le32 auth;
	__u8 nonce[QTFS_NONCE_LEN];
};
QTFS_WIRE_ASSERT(struct qtfs_wire_hello, 72);

/**
 * struct qtfs_wire_hello_rep - answer to HELLO
 * @magic: QTFS_WIRE_MAGIC
 * @version: the one to use; with status EPROTONOSUPPORT the newest the engine speaks
 * @features: those of the client's that the engine has
 * @life: number of this engine's life, part of every node id
 * @auth: the one method to go on with (one bit)
 * @io_max: longest payload in either direction
 * @inflight: requests allowed under way on this connection
 * @slots: slots granted
 * @nonce: fresh random bytes
 *
 * This body is sent with status EPROTONOSUPPORT (version) and EACCES (no
 * common authentication method; @auth then says what the engine wants) too.
 */
struct qtfs_wire_hello_rep {
	__le32 magic;
	__le16 version;
	__le16 slots;
	__le64 features;
	__le64 life;
	__le32 io_max;
	__le32 inflight;
	__le32 auth;
	__le32 reserved;
	__u8 nonce[QTFS_NONCE_LEN];
};
QTFS_WIRE_ASSERT(struct qtfs_wire_hello_rep, 72);

/* AUTH: the client's proof; the reply carries the engine's. */
struct qtfs_wire_auth {
	__u8 proof[QTFS_PROOF_LEN];
};
QTFS_WIRE_ASSERT(struct qtfs_wire_auth, 32);

/* qtfs_wire_session.action */
#define QTFS_SESSION_NEW	1	/* @id and @proof are zero */
#define QTFS_SESSION_JOIN	2	/* a further connection of a living session */
#define QTFS_SESSION_RESUME	3	/* after all connections were lost */

struct qtfs_wire_session {
	__le16 action;
	__le16 conn;			/* which of the session's connections this is */
	__le32 reserved;
	__u8 id[QTFS_SESSION_ID_LEN];
	__u8 proof[QTFS_PROOF_LEN];	/* JOIN, RESUME: with QTFS_LABEL_RESUME */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_session, 56);

struct qtfs_wire_session_rep {
	__u8 id[QTFS_SESSION_ID_LEN];
	__u8 secret[QTFS_SECRET_LEN];	/* zero where QTFS_LABEL_SECRET derives it */
	__le16 epoch;			/* goes up with each RESUME */
	__le16 reserved;
	__le32 lease_ms;		/* a client without connections may lose its session after this */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_session_rep, 56);

/* ATTACH: a path of the server, absolute, follows; answered by an entry. */
struct qtfs_wire_attach {
	__le32 flags;			/* QTFS_ATTACH_* */
	__le16 path_len;
	__le16 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_attach, 8);
#define QTFS_ATTACH_RDONLY	0x1u

/* Capabilities that a caller can lend, own numbering. */
enum qtfs_cap {
	QTFS_CAP_CHOWN			= 0,
	QTFS_CAP_DAC_OVERRIDE		= 1,
	QTFS_CAP_DAC_READ_SEARCH	= 2,
	QTFS_CAP_FOWNER			= 3,
	QTFS_CAP_FSETID			= 4,
	QTFS_CAP_MKNOD			= 5,
	QTFS_CAP_LINUX_IMMUTABLE	= 6,
	QTFS_CAP_SYS_RESOURCE		= 7,
	QTFS_CAP_SYS_ADMIN		= 8,
	QTFS_CAP_SETFCAP		= 9,
	QTFS_CAP_LEASE			= 10,
	QTFS_CAP_SYS_PTRACE		= 11,
	QTFS_CAP_NET_ADMIN		= 12,
	QTFS_CAP_SYSLOG			= 13,
	QTFS_CAP_MAC_ADMIN		= 14,
	QTFS_CAP_MAC_OVERRIDE		= 15,
	QTFS_CAP_SYS_NICE		= 16,
	QTFS_CAP_KILL			= 17,
	QTFS_CAP_SYS_TTY_CONFIG		= 18,
	QTFS_CAP_IPC_LOCK		= 19,
	QTFS_CAP_SYS_RAWIO		= 20,
	QTFS_CAP_SYS_TIME		= 21,
	QTFS_CAP_NR
};

/* CRED: registers a credential; the payload is ngroups times __le32. */
struct qtfs_wire_cred {
	__le32 id;			/* chosen by the client, not 0 */
	__le32 uid;
	__le32 gid;
	__le32 ngroups;
	__le64 caps;			/* bits of enum qtfs_cap */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_cred, 24);

struct qtfs_wire_cred_put {
	__le32 id;
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_cred_put, 8);

/*
 * CANCEL: stop a request (by tag) or a parked operation (by its durable id). The request itself is
 * answered too, with EINTR if it was cancelled. May be sent with QTFS_FRAME_NOREPLY.
 */
struct qtfs_wire_cancel {
	__le64 tag;
	__le64 park;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_cancel, 16);

#define QTFS_CANCEL_CANCELLED	1	/* it will have no effect */
#define QTFS_CANCEL_COMPLETED	2	/* too late: its reply stands */
struct qtfs_wire_cancel_rep {
	__le32 outcome;
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_cancel_rep, 8);

/* Body of a reply with QTFS_FRAME_PARKED; PUSH_UNPARK brings the result. */
struct qtfs_wire_parked {
	__le64 park;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_parked, 8);

/*
 * ABANDON: nobody waits for what this reply gave. Names the thing rather than
 * the request: undoing twice is harmless.
 */
#define QTFS_ABANDON_OPEN	1	/* @id is an open: RELEASE */
#define QTFS_ABANDON_NODE	2	/* @id is a node, @arg its stamp: FORGET */
#define QTFS_ABANDON_LOCK	3	/* @id is a lock: UNLOCK */
#define QTFS_ABANDON_BYTES	4	/* @id is a parked read: give its bytes back */
#define QTFS_ABANDON_REPLY	5	/* @id is a parked operation: drop the kept reply */
struct qtfs_wire_abandon {
	__le32 action;
	__le32 reserved;
	__le64 id;
	__le64 arg;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_abandon, 24);

/* FORGET: @nr items follow. A node stays when a later stamp was given out. */
struct qtfs_wire_forget {
	__le32 nr;
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_forget, 8);

struct qtfs_wire_forget_item {
	__le64 node;
	__le64 stamp;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_forget_item, 16);

/* -------------------------------------------------------------- compounds */

/*
 * COMPOUND: @nr sub-operations, each a qtfs_wire_sub and its body. They run in
 * order and stop after the first that fails. At most one takes or gives a
 * payload: the frame's. Where a sub-operation names a node or an open,
 * QTFS_PREV stands for the latest node or open that one before it gave. The
 * reply's status is 0 once any of them ran: what failed is in its result. It has
 * a qtfs_wire_result and its body for each that ran.
 */
#define QTFS_PREV		(~0ull)

struct qtfs_wire_compound {
	__le16 nr;
	__le16 reserved[3];
};
QTFS_WIRE_ASSERT(struct qtfs_wire_compound, 8);

struct qtfs_wire_sub {
	__le16 op;
	__le16 reserved;
	__le32 body;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_sub, 8);

struct qtfs_wire_result {
	__le16 op;
	__le16 reserved;
	__le32 status;
	__le32 body;
	__le32 reserved2;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_result, 16);

/* -------------------------------------------------------------- attributes */

/* File types, own numbering. */
enum qtfs_type {
	QTFS_TYPE_REG	= 1,
	QTFS_TYPE_DIR	= 2,
	QTFS_TYPE_LNK	= 3,
	QTFS_TYPE_CHR	= 4,
	QTFS_TYPE_BLK	= 5,
	QTFS_TYPE_FIFO	= 6,
	QTFS_TYPE_SOCK	= 7,
};

/* qtfs_wire_attr.flags */
#define QTFS_ATTR_RACY		0x0001u	/* ctime is within two ticks of the server's now */
#define QTFS_ATTR_SYNTHETIC	0x0002u	/* procfs and the like: never cached, size means nothing */
#define QTFS_ATTR_MOUNT_ROOT	0x0004u	/* root of a mount of the server */
#define QTFS_ATTR_IMMUTABLE	0x0008u
#define QTFS_ATTR_APPEND	0x0010u
#define QTFS_ATTR_BTIME		0x0020u	/* btime is known */
#define QTFS_ATTR_DIOALIGN	0x0040u	/* dio_* are known */
#define QTFS_ATTR_POLLABLE	0x0080u
#define QTFS_ATTR_AUTOMOUNT	0x0100u
#define QTFS_ATTR_NODUMP	0x0200u
#define QTFS_ATTR_COMPRESSED	0x0400u
#define QTFS_ATTR_ENCRYPTED	0x0800u
#define QTFS_ATTR_VERITY	0x1000u
#define QTFS_ATTR_UNCACHED	0x4000u	/* clients keep neither its data nor its attributes */
#define QTFS_ATTR_LOCAL		0x2000u	/* a link to what the client itself has */
/* Says of IMMUTABLE, APPEND and NODUMP to VERITY whether the filesystem has such a thing. */
#define QTFS_ATTR_HAS(flag)	((flag) << 16)

/**
 * struct qtfs_wire_attr - attributes of a node
 * @ino: the server's inode number
 * @change: made from ctime (and, once there are events, their counter); differs when the file
 *	may differ
 * @mode: permission bits, 07777
 * @type: enum qtfs_type
 * @dev_major: of the filesystem that holds it, with @dev_minor
 * @mnt_id: of the server's mount, unique in its life
 */
struct qtfs_wire_attr {
	__le64 ino;
	__le64 size;
	__le64 blocks;			/* of 512 bytes */
	__le64 change;
	__le64 atime;			/* seconds, signed */
	__le64 mtime;
	__le64 ctime;
	__le64 btime;
	__le32 atime_ns;
	__le32 mtime_ns;
	__le32 ctime_ns;
	__le32 btime_ns;
	__le32 mode;
	__le32 type;
	__le32 nlink;
	__le32 uid;
	__le32 gid;
	__le32 blksize;
	__le32 rdev_major;
	__le32 rdev_minor;
	__le32 dev_major;
	__le32 dev_minor;
	__le32 flags;
	__le32 dio_mem_align;
	__le32 dio_offset_align;
	__le32 reserved;
	__le64 mnt_id;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_attr, 144);

/* What the caller may do; qtfs_wire_entry.access, ACCESS. */
#define QTFS_MAY_EXEC		0x1u
#define QTFS_MAY_WRITE		0x2u
#define QTFS_MAY_READ		0x4u
#define QTFS_MAY_KNOWN		0x8u	/* the other bits were determined */
#define QTFS_MAY_READONLY	0x10u	/* nobody writes: the filesystem, mount or export is read-only */

/**
 * struct qtfs_wire_entry - a name's node
 * @node: id, {engine life, index}; opaque to the client
 * @stamp: lookup stamp, monotonic in the session
 * @access: QTFS_MAY_* of the asking credential
 * @key_len: bytes of the recovery key that follows (0: none)
 * @attr: attributes
 */
struct qtfs_wire_entry {
	__le64 node;
	__le64 stamp;
	__le32 access;
	__le32 key_len;
	__le64 reserved;
	struct qtfs_wire_attr attr;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_entry, 176);

/*
 * Recovery key: opaque to the client, offered again by RECLAIM to an engine
 * that does not know the node id. @hmac is HMAC-SHA-256 over the rest, with a
 * secret of the export that outlives the engine.
 */
struct qtfs_wire_key {
	__le16 version;			/* 1 */
	__le16 handle_len;		/* of what follows: a file handle or a path */
	__le16 handle_type;		/* 0: path and identity; else the handle's type */
	__le16 reserved;
	__le32 export_id;
	__le32 dev_major;
	__le32 dev_minor;
	__le32 generation;
	__le64 ino;
	__le64 fsid;
	__le64 issued;			/* seconds */
	__u8 hmac[32];
};
QTFS_WIRE_ASSERT(struct qtfs_wire_key, 80);

/* -------------------------------------------------------- names and nodes */

/* LOOKUP: a name follows; answered by an entry. */
struct qtfs_wire_lookup {
	__le64 dir;
	__le16 name_len;
	__le16 flags;			/* QTFS_LOOKUP_* */
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_lookup, 16);
#define QTFS_LOOKUP_KEY		0x1	/* send a recovery key too */

/* GETATTR: answered by a qtfs_wire_attr. */
struct qtfs_wire_getattr {
	__le64 node;
	__le64 open;			/* or 0 */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_getattr, 16);

/* qtfs_wire_setattr.valid */
#define QTFS_SET_MODE		0x001u
#define QTFS_SET_UID		0x002u
#define QTFS_SET_GID		0x004u
#define QTFS_SET_SIZE		0x008u
#define QTFS_SET_ATIME		0x010u
#define QTFS_SET_MTIME		0x020u
#define QTFS_SET_ATIME_NOW	0x040u
#define QTFS_SET_MTIME_NOW	0x080u
#define QTFS_SET_ALL		0x0ffu

/* SETATTR: answered by a qtfs_wire_attr. All or as much as the server's calls allow. */
struct qtfs_wire_setattr {
	__le64 node;
	__le64 open;			/* or 0: size through this open, as ftruncate */
	__le32 valid;
	__le32 mode;
	__le32 uid;
	__le32 gid;
	__le64 size;
	__le64 atime;
	__le64 mtime;
	__le32 atime_ns;
	__le32 mtime_ns;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_setattr, 64);

/*
 * GETFLAGS takes what GETATTR takes: a node and perhaps an open of it. The reply's @valid says
 * what the filesystem has; ENOTTY: nothing of it.
 */
#define QTFS_FLAGS_BASIC	0x1u	/* @flags, as chattr(1) has them */
#define QTFS_FLAGS_EXTENDED	0x2u	/* @flags, as struct fsxattr has them; @projid to @nextents */
#define QTFS_FLAGS_GENERATION	0x4u	/* @generation */
struct qtfs_wire_flags {
	__le64 flags;			/* 1 << bit, of flags.h */
	__le32 valid;			/* QTFS_FLAGS_* */
	__le32 projid;
	__le32 extsize;
	__le32 cowextsize;
	__le32 nextents;
	__le32 generation;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_flags, 32);

/*
 * SETFLAGS: all that belongs to the one bit of @set.valid becomes what is said, BASIC or EXTENDED;
 * @nextents and @generation are not looked at. Answered by a qtfs_wire_attr.
 */
struct qtfs_wire_setflags {
	__le64 node;
	__le64 open;			/* or 0 */
	struct qtfs_wire_flags set;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_setflags, 48);

/* ACCESS: which of @mask the caller may; by access(2)'s rules, server side. */
struct qtfs_wire_access {
	__le64 node;
	__le32 mask;
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_access, 16);

struct qtfs_wire_access_rep {
	__le32 allowed;			/* with QTFS_MAY_KNOWN */
	__le32 reserved;
	struct qtfs_wire_attr attr;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_access_rep, 152);

/*
 * READLINK, STATFS, NODE, PARENT: just a node. READLINK answers with a payload; NODE with an entry
 * of that node, PARENT with one of the directory above it.
 */
struct qtfs_wire_node {
	__le64 node;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_node, 8);

struct qtfs_wire_statfs {
	__le64 type;			/* filesystem magic number of the server */
	__le64 blocks;
	__le64 bfree;
	__le64 bavail;
	__le64 files;
	__le64 ffree;
	__le64 fsid;
	__le32 bsize;
	__le32 frsize;
	__le32 namelen;
	__le32 flags;			/* QTFS_STATFS_* */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_statfs, 72);
#define QTFS_STATFS_RDONLY	0x1u
#define QTFS_STATFS_NOSUID	0x2u
#define QTFS_STATFS_NODEV	0x4u
#define QTFS_STATFS_NOEXEC	0x8u

/*
 * MKDIR, MKNOD: a name follows. The mode is raw: only the server knows whether a default ACL
 * overrides the umask. Answered by an entry. (TMPFILE takes what CREATE takes, without a name.)
 */
struct qtfs_wire_mknod {
	__le64 dir;
	__le32 mode;			/* permission bits */
	__le32 umask;
	__le32 type;			/* enum qtfs_type */
	__le32 rdev_major;
	__le32 rdev_minor;
	__le16 name_len;
	__le16 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_mknod, 32);

/* UNLINK, RMDIR: a name follows; no body in the reply. */
struct qtfs_wire_unlink {
	__le64 dir;
	__le16 name_len;
	__le16 reserved[3];
};
QTFS_WIRE_ASSERT(struct qtfs_wire_unlink, 16);

/* RENAME: old name, then new name follow, each padded; no body in the reply. */
struct qtfs_wire_rename {
	__le64 old_dir;
	__le64 new_dir;
	__le16 old_len;
	__le16 new_len;
	__le32 flags;			/* QTFS_RENAME_* */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_rename, 24);
#define QTFS_RENAME_NOREPLACE	0x1u
#define QTFS_RENAME_EXCHANGE	0x2u
#define QTFS_RENAME_WHITEOUT	0x4u

/* LINK: the new name follows; answered by an entry of @node. */
struct qtfs_wire_link {
	__le64 node;
	__le64 dir;
	__le16 name_len;
	__le16 reserved[3];
};
QTFS_WIRE_ASSERT(struct qtfs_wire_link, 24);

/* SYMLINK: the name, then the target follow, each padded; answered by an entry. */
struct qtfs_wire_symlink {
	__le64 dir;
	__le16 name_len;
	__le16 target_len;
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_symlink, 16);

/* ------------------------------------------------------------------ opens */

/* Open flags, own numbering. */
#define QTFS_OPEN_READ		0x0001u
#define QTFS_OPEN_WRITE		0x0002u
#define QTFS_OPEN_APPEND	0x0004u
#define QTFS_OPEN_TRUNC		0x0008u
#define QTFS_OPEN_CREATE	0x0010u	/* CREATE only */
#define QTFS_OPEN_EXCL		0x0020u	/* CREATE only */
#define QTFS_OPEN_DIRECT	0x0040u
#define QTFS_OPEN_SYNC		0x0080u
#define QTFS_OPEN_DSYNC		0x0100u
#define QTFS_OPEN_NONBLOCK	0x0200u
#define QTFS_OPEN_DIRECTORY	0x0400u
#define QTFS_OPEN_NOATIME	0x0800u
#define QTFS_OPEN_EXEC		0x1000u	/* check for execution, not for reading */
#define QTFS_OPEN_PLAIN		0x2000u	/* EOPNOTSUPP unless a regular file or a directory:
					 * opening a FIFO or a device has side effects */
#define QTFS_OPEN_CONNECT	0x4000u	/* a unix socket: connect to who listens there */
#define QTFS_OPEN_ALL		0x7fffu

/* qtfs_wire_opened.flags */
#define QTFS_OPENED_POLLABLE	0x0001u
#define QTFS_OPENED_STREAM	0x0002u	/* no offsets: FIFO, tty */
#define QTFS_OPENED_NOSEEK	0x0004u
#define QTFS_OPENED_DIRECT	0x0008u	/* do not cache: synthetic files */
#define QTFS_OPENED_APPEND	0x0010u	/* the inode takes only what is appended */
#define QTFS_OPENED_BACKING	0x0020u	/* a backing file is offered */
#define QTFS_OPENED_CREATED	0x0040u	/* CREATE made the file */
#define QTFS_OPENED_SHARED	0x0080u	/* programs of the server have it, too, and its locks */

/* qtfs_wire_opened.socket: what a connection carries; 0 if it is none. */
#define QTFS_SOCKET_STREAM	1u
#define QTFS_SOCKET_DGRAM	2u	/* messages: a READ or WRITE is one of them */
#define QTFS_SOCKET_SEQPACKET	3u

/*
 * OPEN: by node; where @dir is not 0 a name follows, and the open fails with
 * ESTALE unless @dir/name still is @node: open and revalidation in one round trip.
 */
struct qtfs_wire_open {
	__le64 node;
	__le64 dir;
	__le32 flags;			/* QTFS_OPEN_* */
	__le16 name_len;
	__le16 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_open, 24);

struct qtfs_wire_opened {
	__le64 open;
	__le32 flags;			/* QTFS_OPENED_* */
	__le32 socket;			/* QTFS_SOCKET_* */
	struct qtfs_wire_attr attr;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_opened, 160);

/* CREATE: open with O_CREAT; a name follows. Answered by an entry and an open. */
struct qtfs_wire_create {
	__le64 dir;
	__le32 mode;
	__le32 umask;
	__le32 flags;			/* QTFS_OPEN_* */
	__le16 name_len;
	__le16 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_create, 24);

struct qtfs_wire_created {
	struct qtfs_wire_entry entry;
	struct qtfs_wire_opened opened;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_created, 336);

/* RELEASE: the last use of an open. @owner: whose POSIX locks end with it, or 0. */
struct qtfs_wire_release {
	__le64 open;
	__le64 owner;
	__le32 flags;			/* QTFS_RELEASE_* */
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_release, 24);
#define QTFS_RELEASE_ATTR	0x1u	/* answer with a qtfs_wire_attr, taken after closing */

struct qtfs_wire_read {
	__le64 open;
	__le64 offset;			/* not used by streams: the stream's own count */
	__le32 count;			/* a short reply is the end of the file or of what there is */
	__le32 flags;			/* QTFS_READ_* */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_read, 24);
#define QTFS_READ_NOWAIT	0x1u
#define QTFS_READ_CACHED	0x2u	/* for a page cache: EOPNOTSUPP unless a regular file that
					 * is not synthetic (reading others has side effects) */
#define QTFS_READ_RIGHTS	0x4u	/* of a connection: descriptors may come with it, for TAKE;
					 * else a message that brings some is lost: EOPNOTSUPP */

struct qtfs_wire_read_rep {
	__le32 count;			/* bytes of payload */
	__le32 flags;			/* QTFS_READ_EOF, QTFS_READ_TAKE */
	__le64 offset;			/* of the stream or file after the read */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_read_rep, 16);
#define QTFS_READ_EOF		0x1u
#define QTFS_READ_TAKE		0x2u	/* descriptors came with it; until they are taken there is
					 * no other READ: EBUSY */

/*
 * What an open is ready for. Follows in the bodies of the replies to READ and WRITE, once POLL has
 * asked about that open.
 */
struct qtfs_wire_level {
	__le64 generation;		/* later ones are greater: of all that is said of this open */
	__le32 mask;			/* QTFS_POLL_*, after the operation */
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_level, 16);

/* WRITE: the bytes are the payload. */
struct qtfs_wire_write {
	__le64 open;
	__le64 offset;
	__le32 count;			/* bytes of payload */
	__le32 flags;			/* QTFS_WRITE_* */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_write, 24);
#define QTFS_WRITE_APPEND	0x1u	/* at the end, wherever it is */
#define QTFS_WRITE_SYNC		0x2u
#define QTFS_WRITE_DSYNC	0x4u
#define QTFS_WRITE_CACHED	0x8u	/* from the client's page cache: keep offset, ignore O_APPEND;
					 * all of it or an error, no short count */
#define QTFS_WRITE_NOWAIT	0x10u	/* what there is room for, or EAGAIN; not for regular files */

struct qtfs_wire_write_rep {
	__le32 count;
	__le32 reserved;
	__le64 offset;			/* of the first byte after what was written */
	__le64 change;			/* after the write */
	__le64 size;			/* after the write */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_write_rep, 32);

/* FSYNC: of one open file; with QTFS_FSYNC_ALL of every filesystem that the session has seen. */
struct qtfs_wire_fsync {
	__le64 open;			/* 0 with ALL */
	__le32 flags;			/* QTFS_FSYNC_* */
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_fsync, 16);
#define QTFS_FSYNC_DATA		0x1u	/* fdatasync(2) */
#define QTFS_FSYNC_ALL		0x2u	/* syncfs(2) */

struct qtfs_wire_fallocate {
	__le64 open;
	__le64 offset;
	__le64 length;
	__le32 mode;			/* QTFS_FALLOC_* */
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_fallocate, 32);
#define QTFS_FALLOC_KEEP_SIZE	0x01u
#define QTFS_FALLOC_PUNCH_HOLE	0x02u
#define QTFS_FALLOC_COLLAPSE	0x04u
#define QTFS_FALLOC_ZERO	0x08u
#define QTFS_FALLOC_INSERT	0x10u
#define QTFS_FALLOC_UNSHARE	0x20u

/* SEEK: SEEK_DATA and SEEK_HOLE; SEEK_END where the client knows no size, DIRECT. */
#define QTFS_SEEK_DATA		1u
#define QTFS_SEEK_HOLE		2u
#define QTFS_SEEK_END		3u
struct qtfs_wire_seek {
	__le64 open;
	__le64 offset;
	__le32 whence;
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_seek, 24);

struct qtfs_wire_seek_rep {
	__le64 offset;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_seek_rep, 8);

/* COPY: copy_file_range on the server; CLONE with QTFS_COPY_CLONE. */
struct qtfs_wire_copy {
	__le64 from_open;
	__le64 to_open;
	__le64 from;
	__le64 to;
	__le64 length;
	__le32 flags;
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_copy, 48);
#define QTFS_COPY_CLONE		0x1u

/* DEDUPE: as COPY, where both ranges have the same contents. @flags is 0. */
struct qtfs_wire_dedupe_rep {
	__le64 length;			/* bytes that are shared now */
	__le32 differs;			/* 1: contents differ, nothing was done */
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_dedupe_rep, 16);

/* FIEMAP: answered by qtfs_wire_extents and a payload of that many qtfs_wire_extent. */
struct qtfs_wire_fiemap {
	__le64 node;
	__le64 open;			/* or 0 */
	__le64 start;
	__le64 length;
	__le32 count;			/* extents at most: 1 to QTFS_EXTENTS_MAX */
	__le32 flags;			/* QTFS_FIEMAP_* */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_fiemap, 40);
#define QTFS_EXTENTS_MAX	1024u
#define QTFS_FIEMAP_XATTR	0x1u	/* of the attributes, not of the contents */
#define QTFS_FIEMAP_SYNC	0x2u	/* written first, so that all have a place */

struct qtfs_wire_extents {
	__le32 nr;
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_extents, 8);

/* In order of @logical, none empty, without overlap. */
struct qtfs_wire_extent {
	__le64 logical;
	__le64 physical;
	__le64 length;
	__le32 flags;			/* QTFS_EXTENT_* */
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_extent, 32);
#define QTFS_EXTENT_LAST	0x001u	/* of the file */
#define QTFS_EXTENT_UNKNOWN	0x002u
#define QTFS_EXTENT_DELALLOC	0x004u
#define QTFS_EXTENT_ENCODED	0x008u
#define QTFS_EXTENT_ENCRYPTED	0x010u
#define QTFS_EXTENT_NOT_ALIGNED	0x020u
#define QTFS_EXTENT_INLINE	0x040u
#define QTFS_EXTENT_TAIL	0x080u
#define QTFS_EXTENT_UNWRITTEN	0x100u
#define QTFS_EXTENT_MERGED	0x200u
#define QTFS_EXTENT_SHARED	0x400u

/* READDIR: answered by qtfs_wire_dirs and a payload of qtfs_wire_dirent. */
struct qtfs_wire_readdir {
	__le64 open;
	__le64 cookie;			/* 0: from the start; else the last entry's */
	__le64 verifier;		/* of the last reply; 0 at the start */
	__le32 count;			/* bytes of payload at most */
	__le32 flags;			/* QTFS_READDIR_* */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_readdir, 32);
#define QTFS_READDIR_PLUS	0x1u	/* with entries */

struct qtfs_wire_dirs {
	__le64 verifier;
	__le32 nr;
	__le32 flags;			/* QTFS_READDIR_EOF */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_dirs, 16);
#define QTFS_READDIR_EOF	0x1u

/* One name: this, a qtfs_wire_entry if QTFS_DIRENT_ENTRY, the padded name. */
struct qtfs_wire_dirent {
	__le64 ino;
	__le64 cookie;			/* where the next one starts */
	__le16 name_len;
	__u8 type;			/* enum qtfs_type, 0 unknown */
	__u8 flags;			/* QTFS_DIRENT_* */
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_dirent, 24);
#define QTFS_DIRENT_ENTRY	0x1u

/*
 * GETXATTR, SETXATTR, LISTXATTR, REMOVEXATTR: a name follows (not for LIST).
 * GET and LIST answer with qtfs_wire_xattr_rep and, where @size is not 0, a payload;
 * SET takes the value as payload. The names are the server's, full ("user.x").
 */
struct qtfs_wire_xattr {
	__le64 node;
	__le32 size;			/* room for the value or list; 0 asks for its size */
	__le16 name_len;
	__le16 flags;			/* QTFS_XATTR_* */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_xattr, 16);
#define QTFS_XATTR_CREATE	0x1
#define QTFS_XATTR_REPLACE	0x2

struct qtfs_wire_xattr_rep {
	__le32 size;
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_xattr_rep, 8);

/*
 * IOCTL: an allow-listed command, own numbering; in and out are payload. Others
 * than this one are listed in device.h.
 */
#define QTFS_IOCTL_READABLE	1u	/* FIONREAD of a FIFO: @result is the number of bytes */
struct qtfs_wire_ioctl {
	__le64 open;
	__le32 cmd;
	__le32 out_max;
	__le64 arg;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_ioctl, 24);

struct qtfs_wire_ioctl_rep {
	__le64 result;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_ioctl_rep, 8);

/* ------------------------------------------------------------------ locks */

#define QTFS_LOCK_READ		1u
#define QTFS_LOCK_WRITE		2u
#define QTFS_LOCK_NONE		3u

#define QTFS_LOCK_WAIT		0x1u	/* may be parked */
#define QTFS_LOCK_FLOCK		0x2u	/* flock(2): of the open, and of the whole file */
#define QTFS_LOCK_OFD		0x4u	/* fcntl(2), F_OFD_SETLK: of the open */

/**
 * struct qtfs_wire_lock - body of LOCK, UNLOCK and GETLOCK, reply's body of GETLOCK
 * @open: through which; with neither FLOCK nor OFD any open of the file will do
 * @owner: with neither FLOCK nor OFD whose it is: a process, by a number of the client's choice
 * @start: first byte
 * @end: last byte; ~0: whatever the file's length
 * @type: QTFS_LOCK_READ or QTFS_LOCK_WRITE, not looked at by UNLOCK; GETLOCK's reply:
 *	QTFS_LOCK_NONE where nothing is in the way
 * @flags: WAIT (LOCK only), FLOCK (not GETLOCK), OFD
 * @pid: GETLOCK's reply: the server's process that holds it; 0 for another client's or unknown
 *
 * LOCK is answered with a qtfs_wire_attr: what the file is like now that it is locked.
 */
struct qtfs_wire_lock {
	__le64 open;
	__le64 owner;
	__le64 start;
	__le64 end;
	__le32 type;
	__le32 flags;
	__le32 pid;
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_lock, 48);

/* --------------------------------------------- leases, events and the rest */

#define QTFS_LEASE_ATTR		0x1u
#define QTFS_LEASE_NAME		0x2u	/* names of a directory, absent ones too */
#define QTFS_LEASE_READ		0x4u
#define QTFS_LEASE_WRITE	0x8u

/* LEASE: asks for kinds; the reply says which were granted. LEASE_RETURN gives back. */
struct qtfs_wire_lease {
	__le64 node;
	__le32 kinds;
	__le32 duration_ms;
	__le64 start;			/* READ, WRITE: the range */
	__le64 end;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_lease, 32);

#define QTFS_WATCH_CHILDREN	0x1u
#define QTFS_WATCH_EXPORT	0x2u	/* the whole tree below node */
struct qtfs_wire_watch {
	__le64 node;
	__le32 mask;			/* QTFS_EVENT_*; 0 ends the watch */
	__le32 flags;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_watch, 16);

#define QTFS_EVENT_ACCESS	0x0001u
#define QTFS_EVENT_MODIFY	0x0002u
#define QTFS_EVENT_ATTRIB	0x0004u
#define QTFS_EVENT_CLOSE_WRITE	0x0008u
#define QTFS_EVENT_CLOSE_NOWRITE 0x0010u
#define QTFS_EVENT_OPEN		0x0020u
#define QTFS_EVENT_MOVED	0x0040u
#define QTFS_EVENT_CREATE	0x0080u
#define QTFS_EVENT_DELETE	0x0100u
#define QTFS_EVENT_DELETE_SELF	0x0200u
#define QTFS_EVENT_MOVE_SELF	0x0400u
#define QTFS_EVENT_OVERFLOW	0x0800u

/*
 * POLL: what is an open ready for? From then on PUSH_POLL tells of each of the bits in @mask when
 * it comes up, once until the client asks, reads or writes again. Mask 0 ends that. @generation is
 * 0 in the request; the reply has the whole level in @mask.
 */
#define QTFS_POLL_IN		0x01u
#define QTFS_POLL_OUT		0x02u
#define QTFS_POLL_PRI		0x04u
#define QTFS_POLL_ERR		0x08u
#define QTFS_POLL_HUP		0x10u
#define QTFS_POLL_RDHUP		0x20u
#define QTFS_POLL_ALL		0x3fu
struct qtfs_wire_poll {
	__le64 open;
	__le64 generation;
	__le32 mask;
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_poll, 24);

/* SHUTDOWN: one direction of a connection, or both; as shutdown(2). */
#define QTFS_SHUT_READ		0x1u
#define QTFS_SHUT_WRITE		0x2u
struct qtfs_wire_shutdown {
	__le64 open;
	__le32 how;			/* QTFS_SHUT_* */
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_shutdown, 16);

/*
 * BIND: makes a socket with the name that follows, and listens there. Answered by
 * an entry and an open: READ gives the datagrams of programs of the server,
 * ACCEPT their connections, POLL tells of both, RELEASE ends it.
 */
struct qtfs_wire_bind {
	__le64 dir;
	__le32 mode;			/* permission bits */
	__le32 umask;
	__le32 socket;			/* QTFS_SOCKET_* */
	__le16 name_len;
	__le16 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_bind, 24);

/* ACCEPT: who has waited longest; EAGAIN where nobody does. */
struct qtfs_wire_accept {
	__le64 open;
	__le64 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_accept, 16);

struct qtfs_wire_accepted {
	struct qtfs_wire_opened opened;
	__le32 uid;			/* of who connected, as SO_PEERCRED tells */
	__le32 gid;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_accepted, 168);

/* What a descriptor is that goes along with what a connection carries (SCM_RIGHTS). */
#define QTFS_RIGHT_NONE		0u	/* GIVE: what was given is not to go, after all */
#define QTFS_RIGHT_FILE		1u	/* an open file or directory of the tree */
#define QTFS_RIGHT_PIPE_READ	2u	/* a pipe to read from */
#define QTFS_RIGHT_PIPE_WRITE	3u
#define QTFS_RIGHT_SOCKET	4u	/* what it carries, in both directions */

/* Most of one message, as SCM_MAX_FD. */
#define QTFS_RIGHTS_MAX		253u

/*
 * GIVE: with the next WRITE to the connection a descriptor goes along. Of a FILE
 * it is @right's own, so that locks are common to both ends, but for directories
 * and what only appends, as SHARED in the reply tells; its offset is @offset then,
 * if it goes for the first time. Of the others the server makes a new one: the
 * other end of it is what the reply opens.
 */
struct qtfs_wire_give {
	__le64 open;			/* the connection */
	__le64 right;			/* an open, of a FILE; else 0 */
	__le64 offset;			/* of a FILE */
	__le32 kind;			/* QTFS_RIGHT_* */
	__le32 socket;			/* QTFS_SOCKET_*, of a SOCKET; else 0 */
};
QTFS_WIRE_ASSERT(struct qtfs_wire_give, 32);

/* TAKE: the first of the descriptors that came; EAGAIN where there are no more. */
struct qtfs_wire_take {
	__le64 open;
	__le64 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_take, 16);

/* Of what is not a FILE, @entry.node is 0, and READ and WRITE lead to the descriptor. */
struct qtfs_wire_taken {
	struct qtfs_wire_opened opened;
	struct qtfs_wire_entry entry;
	__le64 offset;			/* the file's, now */
	__le32 kind;			/* QTFS_RIGHT_* */
	__le32 flags;			/* QTFS_OPEN_*: what it is open for */
	__le32 at;			/* it came with this byte of what was read, which the
					 * program may have sent by itself */
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_taken, 360);

/*
 * MOUNT on the server, on the directory @node: payload is
 * "fstype\0source\0options\0". UMOUNT of what has the root @node: none.
 */
#define QTFS_MOUNT_TEXT_MAX	4096u	/* of the payload */
struct qtfs_wire_mount {
	__le64 node;
	__le32 flags;			/* 0 */
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_mount, 16);

/*
 * What became of it: the payload is text for the user, UTF-8, not terminated,
 * of QTFS_MOUNT_SAID_MAX bytes at most; what the server's kernel said, as a rule.
 */
#define QTFS_MOUNT_SAID_MAX	1024u
struct qtfs_wire_mount_rep {
	__le32 error;			/* as a reply's status */
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_mount_rep, 8);

/* RECLAIM: a recovery key follows; answered by an entry. */
struct qtfs_wire_reclaim {
	__le32 key_len;
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_reclaim, 8);

/* PUSH_ACK: everything up to and including @seq was taken. */
struct qtfs_wire_push_ack {
	__le64 seq;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_push_ack, 8);

/* ----------------------------------------------------------------- pushes */

#define QTFS_INVAL_ATTR		0x1u
#define QTFS_INVAL_DATA		0x2u
#define QTFS_INVAL_NAMES	0x4u	/* of a directory */
#define QTFS_INVAL_ALL		0x8u	/* everything of the session; @node is 0 */

/* PUSH_INVAL */
struct qtfs_wire_push_inval {
	__le64 node;
	__le64 start;
	__le64 end;
	__le32 what;
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_push_inval, 32);

/* PUSH_EVENT: for inotify; the old, then the new name follow, padded. */
struct qtfs_wire_push_event {
	__le64 dir;
	__le64 new_dir;
	__le64 node;
	__le32 mask;
	__le16 name_len;
	__le16 new_len;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_push_event, 32);

/* PUSH_RECALL: give the lease back; answered by LEASE_RETURN. */
struct qtfs_wire_push_recall {
	__le64 node;
	__le32 kinds;
	__le32 deadline_ms;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_push_recall, 16);

/* PUSH_POLL: what came up, among what else the open is ready for. */
struct qtfs_wire_push_poll {
	__le64 open;
	__le64 generation;
	__le32 mask;
	__le32 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_push_poll, 24);

/* PUSH_MOUNTS: the server's mounts changed: below @node, or anywhere if it is 0. */
struct qtfs_wire_push_mounts {
	__le64 node;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_push_mounts, 8);

/* PUSH_UNPARK: result of a parked operation; its own reply's body and payload follow. */
struct qtfs_wire_push_unpark {
	__le64 park;
	__le32 status;
	__le16 op;
	__le16 reserved;
};
QTFS_WIRE_ASSERT(struct qtfs_wire_push_unpark, 16);

#endif /* QTFS_WIRE_H */
