// SPDX-License-Identifier: GPL-2.0
/*
 * What no engine should say of sockets, nor of descriptors that are passed
 * along: to who makes, binds or connects one, and to the agent.
 */
#include <sys/ioctl.h>
#include <sys/un.h>

#include "hostile.h"

#include <qtfs/agent.h>

/* Spoilers: what is wrong */
static struct qtfs_wire_opened *opened(struct reply *r)
{
	return (void *)r->bytes;
}

/* The one that has another name already. */
static void the_folder(struct reply *r)
{
	r->entry->node = htole64(3);
	put_attr(r->attr, 3);
}

static void no_socket(struct reply *r)		{ opened(r)->socket = 0; }
static void odd_socket(struct reply *r)		{ opened(r)->socket = htole32(9); }
static void not_pollable(struct reply *r)	{ opened(r)->flags = 0; }

/* Of BIND's reply, the second half. */
static struct qtfs_wire_opened *bound(struct reply *r)
{
	return (void *)(r->bytes + sizeof(struct qtfs_wire_entry));
}

static void bound_no_socket(struct reply *r)	{ bound(r)->socket = 0; }
static void bound_odd_socket(struct reply *r)	{ bound(r)->socket = htole32(9); }
static void bound_another(struct reply *r)	{ bound(r)->socket = htole32(QTFS_SOCKET_DGRAM); }
static void bound_not_pollable(struct reply *r)	{ bound(r)->flags = 0; }
static void bound_a_file(struct reply *r)	{ bound(r)->attr.type = htole32(QTFS_TYPE_REG); }
static void bound_nanoseconds(struct reply *r)	{ bound(r)->attr.mtime_ns = htole32(1000000000); }

static void no_open(struct reply *r)		{ opened(r)->open = 0; }
static void same_open(struct reply *r)		{ opened(r)->open = htole64(77); }
static void all_flags(struct reply *r)		{ opened(r)->flags = htole32(-1u); }
static void opened_a_dir(struct reply *r)	{ opened(r)->attr.type = htole32(QTFS_TYPE_DIR); }
static void opened_late(struct reply *r)	{ opened(r)->attr.mtime_ns = htole32(1000000000); }

static void who_knows(struct reply *r)
{
	struct qtfs_wire_accepted *rep = (void *)r->bytes;

	rep->uid = rep->gid = htole32(-1u);
}

static struct qtfs_wire_taken *taken(struct reply *r)
{
	return (void *)r->bytes;
}

static void now_a_fifo(struct reply *r)		{ r->attr->type = htole32(QTFS_TYPE_FIFO); }
static void far_away(struct reply *r)		{ taken(r)->offset = htole64(-1ull); }
static void any_access(struct reply *r)		{ taken(r)->flags = htole32(-1u); }

/* What is copied, instead of a file. */
static void a_socket(struct reply *r)
{
	memset(&taken(r)->entry, 0, sizeof(taken(r)->entry));
	taken(r)->kind = htole32(QTFS_RIGHT_SOCKET);
	opened(r)->socket = htole32(QTFS_SOCKET_STREAM);
	opened(r)->flags = htole32(QTFS_OPENED_POLLABLE | QTFS_OPENED_STREAM |
				   QTFS_OPENED_NOSEEK);
	put_attr(&opened(r)->attr, 6);
}

static void socket_of_a_file(struct reply *r)	{ a_socket(r); put_attr(&opened(r)->attr, 2); }
static void odd_kind_of_socket(struct reply *r)	{ a_socket(r); odd_socket(r); }
static void socket_not_pollable(struct reply *r) { a_socket(r); not_pollable(r); }
static void odd_right(struct reply *r)		{ a_socket(r); taken(r)->kind = htole32(99); }
static void no_right(struct reply *r)		{ a_socket(r); taken(r)->kind = 0; }

/* What is done meanwhile; an error number or 0. */

/* As the agent, who is asked nothing: there is no connection. */
static int do_connect(void)
{
	struct sockaddr_un address = { AF_UNIX, "sock" };
	int agent = open("/dev/qtfs-agent", O_RDWR);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int err = 0;

	if (agent < 0 || fd < 0)
		return errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err = errno;
	close(fd);
	close(agent);
	return err;
}

/* With a folder known that an answer might move. */
static int do_mksock(void)
{
	struct stat st;

	if (stat("dir", &st))
		return errno;
	return errno_of(mknod("other", S_IFSOCK | 0600, 0));
}

/* As agent and as a program that binds a socket: where others arrive, or -1. */
static int arrivals(void)
{
	struct sockaddr_un address = { AF_UNIX, "other" };
	int agent = open("/dev/qtfs-agent", O_RDWR | O_NONBLOCK);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct qtfs_agent_event what;

	if (agent < 0 || fd < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, 5) || read(agent, &what, sizeof(what)) < 0)
		return -1;
	return what.peer;
}

static int do_bind(void)
{
	return errno_of(arrivals());
}

/* Who has arrived, or -1. */
static int accepted(void)
{
	struct qtfs_agent_accepted what;
	int fd = arrivals();

	return fd < 0 || ioctl(fd, QTFS_AGENT_ACCEPT, &what) ? -1 : what.fd;
}

static int do_accept(void)
{
	return errno_of(accepted());
}

static int do_shutdown(void)
{
	int fd = accepted();

	return fd < 0 ? errno : errno_of(ioctl(fd, QTFS_AGENT_SHUTDOWN, SHUT_WR));
}

static int give(int right, unsigned int kind, int type)
{
	struct qtfs_agent_right what = { right, kind, type, 0 };
	int fd = accepted();

	return fd < 0 ? errno : errno_of(ioctl(fd, QTFS_AGENT_GIVE, &what));
}

static int do_give(void)
{
	return give(-1, QTFS_RIGHT_SOCKET, SOCK_STREAM);
}

/* And closes it, which the answer may have changed. */
static int do_give_file(void)
{
	int fd = open("file", O_RDONLY), err;

	if (fd < 0)
		return errno;
	err = give(fd, QTFS_RIGHT_FILE, 0);
	close(fd);
	return err;
}

/* What came with "hello"; if that is a file, what is in it. */
static int do_take(void)
{
	struct qtfs_agent_right what;
	int fd = accepted();
	char buf[100];

	if (fd < 0 || read(fd, buf, sizeof(buf)) < 0 ||
	    ioctl(fd, QTFS_AGENT_TAKE, &what))
		return errno;
	if (what.kind != QTFS_RIGHT_FILE)
		return 0;
	return read(what.fd, buf, sizeof(buf)) == 5 ? 0 : EBADMSG;
}

EVIL(no_socket, OPEN, do_connect, EPROTO);
EVIL(odd_socket, OPEN, do_connect, EPROTO);
EVIL(not_pollable, OPEN, do_connect, EPROTO);
EVIL(nothing, MKNOD, do_mksock, 0);
EVIL(the_folder, MKNOD, do_mksock, EPROTO);
EVIL(now_a_file, MKNOD, do_mksock, EPROTO);

EVIL(nothing, BIND, do_bind, 0);
EVIL(body_short, BIND, do_bind, DEAD);
EVIL(body_long, BIND, do_bind, DEAD);
EVIL(payload_unasked, BIND, do_bind, DEAD);
EVIL(parked_only, BIND, do_bind, DEAD);
EVIL(odd_status, BIND, do_bind, EIO);
EVIL(the_folder, BIND, do_bind, EPROTO);
EVIL(now_a_file, BIND, do_bind, EPROTO);
EVIL(nanoseconds, BIND, do_bind, EPROTO);
EVIL(no_node, BIND, do_bind, EPROTO);
EVIL(root_again, BIND, do_bind, ESTALE);
/* It has its name; the agent is told of nothing. */
EVIL(bound_no_socket, BIND, do_bind, EAGAIN);
EVIL(bound_odd_socket, BIND, do_bind, EAGAIN);
EVIL(bound_another, BIND, do_bind, EAGAIN);
EVIL(bound_not_pollable, BIND, do_bind, EAGAIN);
EVIL(bound_a_file, BIND, do_bind, EAGAIN);
EVIL(bound_nanoseconds, BIND, do_bind, EAGAIN);

/* The rest only the agent asks for. */
EVIL(nothing, ACCEPT, do_accept, 0);
EVIL(body_short, ACCEPT, do_accept, DEAD);
EVIL(body_long, ACCEPT, do_accept, DEAD);
EVIL(payload_unasked, ACCEPT, do_accept, DEAD);
EVIL(parked_only, ACCEPT, do_accept, DEAD);
EVIL(odd_status, ACCEPT, do_accept, EIO);
EVIL(no_socket, ACCEPT, do_accept, EPROTO);
EVIL(odd_socket, ACCEPT, do_accept, EPROTO);
EVIL(not_pollable, ACCEPT, do_accept, EPROTO);
EVIL(opened_a_dir, ACCEPT, do_accept, ESTALE);
EVIL(opened_late, ACCEPT, do_accept, EPROTO);
EVIL(same_open, ACCEPT, do_accept, CALM);
EVIL(who_knows, ACCEPT, do_accept, CALM);
EVIL(nothing, SHUTDOWN, do_shutdown, 0);
EVIL(body_long, SHUTDOWN, do_shutdown, DEAD);
EVIL(payload_unasked, SHUTDOWN, do_shutdown, DEAD);
EVIL(parked_only, SHUTDOWN, do_shutdown, DEAD);
EVIL(odd_status, SHUTDOWN, do_shutdown, EIO);
EVIL(nothing, GIVE, do_give, 0);
EVIL(nothing, GIVE, do_give_file, 0);
EVIL(body_short, GIVE, do_give, DEAD);
EVIL(body_short, GIVE, do_give_file, DEAD);
EVIL(body_long, GIVE, do_give, DEAD);
EVIL(payload_unasked, GIVE, do_give, DEAD);
EVIL(parked_only, GIVE, do_give, DEAD);
EVIL(odd_status, GIVE, do_give, EIO);
EVIL(no_open, GIVE, do_give, EPROTO);
EVIL(same_open, GIVE, do_give, CALM);
EVIL(odd_socket, GIVE, do_give, EPROTO);
EVIL(not_pollable, GIVE, do_give, EPROTO);
EVIL(opened_a_dir, GIVE, do_give, ESTALE);
EVIL(opened_late, GIVE, do_give, EPROTO);
EVIL(all_flags, GIVE, do_give_file, CALM);
EVIL(nothing, TAKE, do_take, 0);
EVIL(body_short, TAKE, do_take, DEAD);
EVIL(body_long, TAKE, do_take, DEAD);
EVIL(payload_unasked, TAKE, do_take, DEAD);
EVIL(parked_only, TAKE, do_take, DEAD);
EVIL(odd_status, TAKE, do_take, EIO);
EVIL(no_node, TAKE, do_take, EPROTO);
EVIL(all_ones_node, TAKE, do_take, EPROTO);
EVIL(root_again, TAKE, do_take, ESTALE);
EVIL(odd_type, TAKE, do_take, EPROTO);
EVIL(now_a_fifo, TAKE, do_take, EPROTO);
EVIL(now_a_dir, TAKE, do_take, CALM);
EVIL(nanoseconds, TAKE, do_take, EPROTO);
EVIL(begins_another, TAKE, do_take, CALM);
EVIL(opened_a_dir, TAKE, do_take, ESTALE);
EVIL(opened_late, TAKE, do_take, EPROTO);
EVIL(all_flags, TAKE, do_take, CALM);
EVIL(any_access, TAKE, do_take, CALM);
EVIL(far_away, TAKE, do_take, 0);
EVIL(a_socket, TAKE, do_take, 0);
EVIL(socket_of_a_file, TAKE, do_take, ESTALE);
EVIL(odd_kind_of_socket, TAKE, do_take, EPROTO);
EVIL(socket_not_pollable, TAKE, do_take, EPROTO);
EVIL(odd_right, TAKE, do_take, CALM);
EVIL(no_right, TAKE, do_take, CALM);

TEST_HARNESS_MAIN
