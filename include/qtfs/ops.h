/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * The one list of operations. The enum, the name tables of both sides and the
 * engine's dispatch table are made from it.
 *
 * X(number, NAME, name, request body's least bytes, reply body's least bytes)
 */
#ifndef QTFS_OPS_H
#define QTFS_OPS_H

#include "wire.h"

#define QTFS_NOTHING 0

/* clang-format off */
#define QTFS_OP_LIST(X) \
	/* session */ \
	X(1,  HELLO,	    hello,	 sizeof(struct qtfs_wire_hello),     sizeof(struct qtfs_wire_hello_rep)) \
	X(2,  AUTH,	    auth,	 sizeof(struct qtfs_wire_auth),	     sizeof(struct qtfs_wire_auth)) \
	X(3,  SESSION,	    session,	 sizeof(struct qtfs_wire_session),   sizeof(struct qtfs_wire_session_rep)) \
	X(4,  ATTACH,	    attach,	 sizeof(struct qtfs_wire_attach),    sizeof(struct qtfs_wire_entry)) \
	X(5,  CRED,	    cred,	 sizeof(struct qtfs_wire_cred),	     QTFS_NOTHING) \
	X(6,  CRED_PUT,	    cred_put,	 sizeof(struct qtfs_wire_cred_put),  QTFS_NOTHING) \
	X(7,  CANCEL,	    cancel,	 sizeof(struct qtfs_wire_cancel),    sizeof(struct qtfs_wire_cancel_rep)) \
	X(8,  ABANDON,	    abandon,	 sizeof(struct qtfs_wire_abandon),   QTFS_NOTHING) \
	X(9,  FORGET,	    forget,	 sizeof(struct qtfs_wire_forget),    QTFS_NOTHING) \
	X(10, PING,	    ping,	 QTFS_NOTHING,			     QTFS_NOTHING) \
	X(11, COMPOUND,	    compound,	 sizeof(struct qtfs_wire_compound),  sizeof(struct qtfs_wire_compound)) \
	X(12, PUSH_ACK,	    push_ack,	 sizeof(struct qtfs_wire_push_ack),  QTFS_NOTHING) \
	X(13, BYE,	    bye,	 QTFS_NOTHING,			     QTFS_NOTHING) \
	/* names and attributes */ \
	X(16, LOOKUP,	    lookup,	 sizeof(struct qtfs_wire_lookup),    sizeof(struct qtfs_wire_entry)) \
	X(17, GETATTR,	    getattr,	 sizeof(struct qtfs_wire_getattr),   sizeof(struct qtfs_wire_attr)) \
	X(18, SETATTR,	    setattr,	 sizeof(struct qtfs_wire_setattr),   sizeof(struct qtfs_wire_attr)) \
	X(19, ACCESS,	    access,	 sizeof(struct qtfs_wire_access),    sizeof(struct qtfs_wire_access_rep)) \
	X(20, READLINK,	    readlink,	 sizeof(struct qtfs_wire_node),	     QTFS_NOTHING) \
	X(21, STATFS,	    statfs,	 sizeof(struct qtfs_wire_node),	     sizeof(struct qtfs_wire_statfs)) \
	X(22, MKDIR,	    mkdir,	 sizeof(struct qtfs_wire_mknod),     sizeof(struct qtfs_wire_entry)) \
	X(23, RMDIR,	    rmdir,	 sizeof(struct qtfs_wire_unlink),    QTFS_NOTHING) \
	X(24, UNLINK,	    unlink,	 sizeof(struct qtfs_wire_unlink),    QTFS_NOTHING) \
	X(25, RENAME,	    rename,	 sizeof(struct qtfs_wire_rename),    QTFS_NOTHING) \
	X(26, LINK,	    link,	 sizeof(struct qtfs_wire_link),	     sizeof(struct qtfs_wire_entry)) \
	X(27, SYMLINK,	    symlink,	 sizeof(struct qtfs_wire_symlink),   sizeof(struct qtfs_wire_entry)) \
	X(28, MKNOD,	    mknod,	 sizeof(struct qtfs_wire_mknod),     sizeof(struct qtfs_wire_entry)) \
	X(29, CREATE,	    create,	 sizeof(struct qtfs_wire_create),    sizeof(struct qtfs_wire_created)) \
	X(30, TMPFILE,	    tmpfile,	 sizeof(struct qtfs_wire_create),    sizeof(struct qtfs_wire_created)) \
	X(31, READDIR,	    readdir,	 sizeof(struct qtfs_wire_readdir),   sizeof(struct qtfs_wire_dirs)) \
	X(32, GETFLAGS,	    getflags,	 sizeof(struct qtfs_wire_getattr),   sizeof(struct qtfs_wire_flags)) \
	X(33, SETFLAGS,	    setflags,	 sizeof(struct qtfs_wire_setflags),  sizeof(struct qtfs_wire_attr)) \
	X(34, NODE,	    node,	 sizeof(struct qtfs_wire_node),	     sizeof(struct qtfs_wire_entry)) \
	X(35, PARENT,	    parent,	 sizeof(struct qtfs_wire_node),	     sizeof(struct qtfs_wire_entry)) \
	/* opens */ \
	X(40, OPEN,	    open,	 sizeof(struct qtfs_wire_open),	     sizeof(struct qtfs_wire_opened)) \
	X(41, RELEASE,	    release,	 sizeof(struct qtfs_wire_release),   QTFS_NOTHING) \
	X(42, READ,	    read,	 sizeof(struct qtfs_wire_read),	     sizeof(struct qtfs_wire_read_rep)) \
	X(43, WRITE,	    write,	 sizeof(struct qtfs_wire_write),     sizeof(struct qtfs_wire_write_rep)) \
	X(44, FSYNC,	    fsync,	 sizeof(struct qtfs_wire_fsync),     QTFS_NOTHING) \
	X(45, FALLOCATE,    fallocate,	 sizeof(struct qtfs_wire_fallocate), sizeof(struct qtfs_wire_attr)) \
	X(46, SEEK,	    seek,	 sizeof(struct qtfs_wire_seek),	     sizeof(struct qtfs_wire_seek_rep)) \
	X(47, COPY,	    copy,	 sizeof(struct qtfs_wire_copy),	     sizeof(struct qtfs_wire_write_rep)) \
	X(48, IOCTL,	    ioctl,	 sizeof(struct qtfs_wire_ioctl),     sizeof(struct qtfs_wire_ioctl_rep)) \
	X(49, FIEMAP,	    fiemap,	 sizeof(struct qtfs_wire_fiemap),    sizeof(struct qtfs_wire_extents)) \
	X(50, DEDUPE,	    dedupe,	 sizeof(struct qtfs_wire_copy),	     sizeof(struct qtfs_wire_dedupe_rep)) \
	/* extended attributes */ \
	X(56, GETXATTR,	    getxattr,	 sizeof(struct qtfs_wire_xattr),     sizeof(struct qtfs_wire_xattr_rep)) \
	X(57, SETXATTR,	    setxattr,	 sizeof(struct qtfs_wire_xattr),     QTFS_NOTHING) \
	X(58, LISTXATTR,    listxattr,	 sizeof(struct qtfs_wire_xattr),     sizeof(struct qtfs_wire_xattr_rep)) \
	X(59, REMOVEXATTR,  removexattr, sizeof(struct qtfs_wire_xattr),     QTFS_NOTHING) \
	/* locks */ \
	X(64, LOCK,	    lock,	 sizeof(struct qtfs_wire_lock),	     sizeof(struct qtfs_wire_attr)) \
	X(65, UNLOCK,	    unlock,	 sizeof(struct qtfs_wire_lock),	     QTFS_NOTHING) \
	X(66, GETLOCK,	    getlock,	 sizeof(struct qtfs_wire_lock),	     sizeof(struct qtfs_wire_lock)) \
	/* coherence, events, sockets, mounts, recovery */ \
	X(72, LEASE,	    lease,	 sizeof(struct qtfs_wire_lease),     sizeof(struct qtfs_wire_lease)) \
	X(73, LEASE_RETURN, lease_return, sizeof(struct qtfs_wire_lease),    QTFS_NOTHING) \
	X(76, WATCH,	    watch,	 sizeof(struct qtfs_wire_watch),     QTFS_NOTHING) \
	X(80, POLL,	    poll,	 sizeof(struct qtfs_wire_poll),	     sizeof(struct qtfs_wire_poll)) \
	X(84, SHUTDOWN,	    shutdown,	 sizeof(struct qtfs_wire_shutdown),  QTFS_NOTHING) \
	X(85, BIND,	    bind,	 sizeof(struct qtfs_wire_bind),	     sizeof(struct qtfs_wire_created)) \
	X(86, ACCEPT,	    accept,	 sizeof(struct qtfs_wire_accept),    sizeof(struct qtfs_wire_accepted)) \
	X(87, GIVE,	    give,	 sizeof(struct qtfs_wire_give),	     sizeof(struct qtfs_wire_opened)) \
	X(88, TAKE,	    take,	 sizeof(struct qtfs_wire_take),	     sizeof(struct qtfs_wire_taken)) \
	X(96, MOUNT,	    mount,	 sizeof(struct qtfs_wire_mount),     sizeof(struct qtfs_wire_mount_rep)) \
	X(97, UMOUNT,	    umount,	 sizeof(struct qtfs_wire_mount),     sizeof(struct qtfs_wire_mount_rep)) \
	X(100, RECLAIM,	    reclaim,	 sizeof(struct qtfs_wire_reclaim),   sizeof(struct qtfs_wire_entry))

/* X(number, NAME, name, body's least bytes) */
#define QTFS_PUSH_LIST(X) \
	X(0x8001, PUSH_INVAL,	push_inval,	sizeof(struct qtfs_wire_push_inval)) \
	X(0x8002, PUSH_EVENT,	push_event,	sizeof(struct qtfs_wire_push_event)) \
	X(0x8003, PUSH_RECALL,	push_recall,	sizeof(struct qtfs_wire_push_recall)) \
	X(0x8004, PUSH_POLL,	push_poll,	sizeof(struct qtfs_wire_push_poll)) \
	X(0x8005, PUSH_MOUNTS,	push_mounts,	sizeof(struct qtfs_wire_push_mounts)) \
	X(0x8006, PUSH_UNPARK,	push_unpark,	sizeof(struct qtfs_wire_push_unpark))
/* clang-format on */

enum qtfs_op {
#define X(number, NAME, name, req, rep) QTFS_OP_##NAME = (number),
	QTFS_OP_LIST(X)
#undef X
	QTFS_OP_NR = 101,
#define X(number, NAME, name, req) QTFS_OP_##NAME = (number),
	QTFS_PUSH_LIST(X)
#undef X
	QTFS_OP_PUSH_FIRST = 0x8000,
};

#endif /* QTFS_OPS_H */
