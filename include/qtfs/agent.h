/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Between qtfs.ko and qtfs-agent, which joins the unix sockets of this machine and
 * of the server: read(2) and write(2) on /dev/qtfs-agent.
 *
 * connect(2) finds a listener by the socket's inode. So for each connection to a
 * program of the server the agent gets a directory in which whatever name it binds
 * becomes that inode, listens there, and answers; then connect(2) goes on, and
 * finds it.
 *
 * Of each socket that a program of this machine binds the agent gets what the
 * server's programs send there.
 */
#ifndef QTFS_AGENT_H
#define QTFS_AGENT_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define QTFS_AGENT_DEVICE "qtfs-agent"

/* As sockaddr_un.sun_path. */
#define QTFS_AGENT_PATH_LEN 108

/* qtfs_agent_event.kind */
#define QTFS_AGENT_CONNECT	1	/* a program connects to one of the server */
#define QTFS_AGENT_BOUND	2	/* a program has bound a socket: no answer */

/**
 * struct qtfs_agent_event - what one read(2) gives
 * @id: for the answer
 * @mount: which one; a number of the module's
 * @node: which socket of it
 * @kind: QTFS_AGENT_CONNECT or QTFS_AGENT_BOUND
 * @peer: a descriptor: the connection to the server's program, to read, to
 *	write, and QTFS_AGENT_SHUTDOWN; or where the server's programs arrive: to
 *	read, if it is for datagrams, else to QTFS_AGENT_ACCEPT. poll(2) says
 *	POLLHUP when the program's socket is closed
 * @dir: a descriptor (O_PATH): where to bind; or the socket, to connect to
 * @type: SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM
 * @pid: the process that connects, as SO_PEERCRED tells it; 0 with BOUND, like
 *	what follows
 * @uid: of it, likewise; with SOCK_DGRAM as SCM_CREDENTIALS does
 * @gid: likewise
 * @path_len: of @path; 0 if it is not known
 * @path: what it called the socket; not terminated
 */
struct qtfs_agent_event {
	__u64 id;
	__u64 mount;
	__u64 node;
	__u32 kind;
	__s32 peer;
	__s32 dir;
	__u32 type;
	__u32 pid;
	__u32 uid;
	__u32 gid;
	__u32 path_len;
	char path[QTFS_AGENT_PATH_LEN];
	__u32 reserved;
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

/**
 * struct qtfs_agent_accepted - what QTFS_AGENT_ACCEPT gives
 * @fd: the connection; as &qtfs_agent_event.peer of QTFS_AGENT_CONNECT
 * @uid: of who connected, at the server
 * @gid: likewise
 */
struct qtfs_agent_accepted {
	__s32 fd;
	__u32 uid;
	__u32 gid;
	__u32 reserved;
};

/* Where programs arrive: who has waited longest; EAGAIN if nobody does. */
#define QTFS_AGENT_ACCEPT _IOR('q', 2, struct qtfs_agent_accepted)

/**
 * struct qtfs_agent_right - a descriptor that goes along with what is written to
 * a connection, or that came along with what was read
 * @fd: the file that is given; returned by GIVE of others: the other end of what
 *	the program gets; by TAKE: the file, the pipe's or the socket's connection
 * @kind: QTFS_RIGHT_*, of qtfs/wire.h
 * @type: SOCK_*, of QTFS_RIGHT_SOCKET
 * @at: returned by TAKE: it came with this byte of what was read
 */
struct qtfs_agent_right {
	__s32 fd;
	__u32 kind;
	__s32 type;
	__u32 at;
};

/*
 * On a connection: give one for the next write(2). EOPNOTSUPP where a
 * QTFS_RIGHT_FILE is none of this server's, or it cannot pass descriptors at all.
 * QTFS_RIGHT_NONE takes back all that was given since the last write(2).
 */
#define QTFS_AGENT_GIVE _IOWR('q', 3, struct qtfs_agent_right)

/* On a connection: the next that came with what was read last; EAGAIN: no more. */
#define QTFS_AGENT_TAKE _IOR('q', 4, struct qtfs_agent_right)

#endif /* QTFS_AGENT_H */
