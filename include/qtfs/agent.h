/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Between qtfs.ko and qtfs-agent, which makes connections to the server's unix
 * sockets usable: read(2) and write(2) on /dev/qtfs-agent.
 *
 * connect(2) finds a listener by the socket's inode. So for each connection the
 * agent gets a directory in which whatever name it binds becomes that inode,
 * listens there, and answers; then connect(2) goes on, and finds it.
 */
#ifndef QTFS_AGENT_H
#define QTFS_AGENT_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/ioctl.h>
#else
#include <cstdint>
#include <sys/ioctl.h>
using __u32 = uint32_t;
using __u64 = uint64_t;
using __s32 = int32_t;
#endif

#define QTFS_AGENT_DEVICE "qtfs-agent"

/* As sockaddr_un.sun_path. */
#define QTFS_AGENT_PATH_LEN 108

/**
 * struct qtfs_agent_connect - what one read(2) gives: somebody connects
 * @id: for the answer
 * @mount: which one; a number of the module's
 * @node: which socket of it
 * @peer: a descriptor: the connection to the server's program, to read, to
 *	write, and QTFS_AGENT_SHUTDOWN
 * @dir: a descriptor (O_PATH): where to bind
 * @type: SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM
 * @pid: the process that connects, as SO_PEERCRED tells it
 * @uid: of it, likewise; with SOCK_DGRAM as SCM_CREDENTIALS does
 * @gid: likewise
 * @path_len: of @path; 0 if it is not known
 * @path: what it called the socket; not terminated
 */
struct qtfs_agent_connect {
	__u64 id;
	__u64 mount;
	__u64 node;
	__s32 peer;
	__s32 dir;
	__u32 type;
	__u32 pid;
	__u32 uid;
	__u32 gid;
	__u32 path_len;
	char path[QTFS_AGENT_PATH_LEN];
};

/**
 * struct qtfs_agent_answer - what one write(2) takes
 * @id: of the connection
 * @error: 0: there is a listener; or connect(2) fails with this
 *
 * write(2) gives ENOENT if nobody waits for the answer any more.
 */
struct qtfs_agent_answer {
	__u64 id;
	__u32 error;
	__u32 reserved;
};

/* On a connection: as shutdown(2); SHUT_RD, SHUT_WR or SHUT_RDWR. */
#define QTFS_AGENT_SHUTDOWN _IO('q', 1)

#endif /* QTFS_AGENT_H */
