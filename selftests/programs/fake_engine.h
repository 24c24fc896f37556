/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An engine of one connection and a made-up tree: a root (node 1) with "file"
 * (2, five bytes), "dir" (3), "link" (4) and "fifo" (5). Before a frame leaves, a
 * test may spoil it.
 */
#ifndef QTFS_SELFTEST_FAKE_ENGINE_H
#define QTFS_SELFTEST_FAKE_ENGINE_H

#include "common.h"

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <qtfs/errno.h>
#include <qtfs/ops.h>
#include <qtfs/wire.h>

/* A reply under construction. @body and @payload are what the header will say. */
struct reply {
	struct qtfs_wire_rep hdr;
	size_t body;
	size_t payload;
	unsigned char bytes[QTFS_BODY_MAX + (256 << 10)];
	struct qtfs_wire_entry *entry;	/* in @bytes, or NULL */
	struct qtfs_wire_attr *attr;
	struct qtfs_wire_read_rep *read;
	bool sealed;			/* the header is ready as it is */
	bool close_after;
	size_t cut;			/* send only so much, where not 0 */
	int times;			/* send it so often */
	unsigned char before[20480];	/* sent before it */
	size_t before_len;
};

typedef void (*spoiler)(struct reply *r);

/* What to spoil: replies to @op, inside of compounds too. */
struct evil {
	unsigned int op;
	spoiler spoil;
	int skip;			/* let so many pass first */
};

static struct reply reply;

/* Told of each request, before it is looked at; NULL: nobody wants to know. */
static void (*fake_engine_saw)(unsigned int op);

static void *add(size_t len)
{
	void *at = reply.bytes + reply.body;

	memset(at, 0, len);
	reply.body += len;
	return at;
}

static void put_attr(struct qtfs_wire_attr *attr, unsigned int node)
{
	static const unsigned int types[] = {
		0, QTFS_TYPE_DIR, QTFS_TYPE_REG, QTFS_TYPE_DIR, QTFS_TYPE_LNK,
		QTFS_TYPE_FIFO, QTFS_TYPE_SOCK, QTFS_TYPE_DIR,
	};

	memset(attr, 0, sizeof(*attr));
	attr->ino = htole64(node);
	attr->size = htole64(node == 2 ? 5 : node == 4 ? 4 : 4096);
	attr->change = htole64(1);
	attr->mode = htole32(node == 2 ? 0644 : 0755);
	attr->type = htole32(types[node]);
	attr->nlink = htole32(1);
	attr->blksize = htole32(4096);
	if (node == 7) {
		attr->flags = htole32(QTFS_ATTR_MOUNT_ROOT);
		attr->mnt_id = htole64(2);
	}
	reply.attr = attr;
}

static int node_of(const char *name, size_t len)
{
	static const char *const names[] = { "file", "dir", "link", "fifo", "sock", "mount" };
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(names); i++)
		if (len == strlen(names[i]) && !memcmp(name, names[i], len))
			return i + 2;
	return 0;
}

static void put_entry(unsigned int node)
{
	struct qtfs_wire_entry *entry = add(sizeof(*entry));
	static unsigned long long stamp;

	entry->node = htole64(node);
	entry->stamp = htole64(++stamp);
	entry->access = htole32(15);
	put_attr(&entry->attr, node);
	reply.entry = entry;
}

static void put_dirent(const char *name, size_t len, unsigned int cookie)
{
	struct qtfs_wire_dirent d = {
		.ino = htole64(2),
		.cookie = htole64(cookie),
		.name_len = htole16(len),
		.type = QTFS_TYPE_REG,
	};
	unsigned char *at = reply.bytes + reply.body + reply.payload;

	memcpy(at, &d, sizeof(d));
	memset(at + sizeof(d), 0, QTFS_PAD(len));
	memcpy(at + sizeof(d), name, len);
	reply.payload += sizeof(d) + QTFS_PAD(len);
}

static int answer_hello(void)
{
	struct qtfs_wire_hello_rep *rep = add(sizeof(*rep));

	rep->magic = htole32(QTFS_WIRE_MAGIC);
	rep->version = htole16(QTFS_WIRE_VERSION);
	rep->life = htole64(1);
	rep->io_max = htole32(1 << 20);
	rep->inflight = htole32(64);
	rep->auth = htole32(QTFS_AUTH_NONE);
	rep->features = htole64(QTFS_FEATURE_LOCKS | QTFS_FEATURE_PARK |
				QTFS_FEATURE_POLL | QTFS_FEATURE_SOCKETS |
				QTFS_FEATURE_MOUNTS);
	return 0;
}

static int answer_read(unsigned long long offset)
{
	struct qtfs_wire_read_rep *rep = add(sizeof(*rep));

	reply.read = rep;
	rep->flags = htole32(QTFS_READ_EOF);
	if (offset >= 5)
		return 0;
	rep->count = htole32(5 - offset);
	reply.payload = 5 - offset;
	memcpy(reply.bytes + reply.body, "hello" + offset, 5 - offset);
	return 0;
}

static int answer_write(const struct qtfs_wire_write *req)
{
	struct qtfs_wire_write_rep *rep = add(sizeof(*rep));

	rep->count = req->count;
	rep->offset = htole64(le64toh(req->offset) + le32toh(req->count));
	rep->size = rep->offset;
	return 0;
}

static int answer_readdir(const struct qtfs_wire_readdir *req)
{
	struct qtfs_wire_dirs *rep = add(sizeof(*rep));

	rep->flags = htole32(QTFS_READDIR_EOF);
	if (req->cookie)
		return 0;
	put_dirent("file", 4, 3);
	put_dirent("dir", 3, 4);
	rep->nr = htole32(2);
	return 0;
}

/* What SETFLAGS set last. */
static struct qtfs_wire_flags flags;

/* Two extents with a hole between them, whatever is asked for. */
static int answer_fiemap(void)
{
	struct qtfs_wire_extents *rep = add(sizeof(*rep));
	struct qtfs_wire_extent *extent = (void *)(reply.bytes + reply.body);

	rep->nr = htole32(2);
	extent[0] = (struct qtfs_wire_extent){
		.physical = htole64(8192), .length = htole64(4096),
	};
	extent[1] = (struct qtfs_wire_extent){
		.logical = htole64(8192), .physical = htole64(65536),
		.length = htole64(4096), .flags = htole32(QTFS_EXTENT_LAST),
	};
	reply.payload = 2 * sizeof(*extent);
	return 0;
}

static unsigned int last;	/* node that was looked up */

static int answer_open(const struct qtfs_wire_open *open)
{
	unsigned long long id = le64toh(open->node);
	struct qtfs_wire_opened *rep;

	if (id == QTFS_PREV)
		id = last;
	if (id == 5 && (le32toh(open->flags) & QTFS_OPEN_PLAIN))
		return QTFS_EOPNOTSUPP;
	rep = add(sizeof(*rep));
	rep->open = htole64(77);
	if (id == 6)
		rep->socket = htole32(QTFS_SOCKET_STREAM);
	if (id == 5 || id == 6)
		rep->flags = htole32(QTFS_OPENED_POLLABLE |
				     QTFS_OPENED_STREAM |
				     QTFS_OPENED_NOSEEK);
	put_attr(&rep->attr, id);
	return 0;
}

static int answer_poll(void)
{
	struct qtfs_wire_poll *rep = add(sizeof(*rep));

	rep->open = htole64(77);
	rep->generation = htole64(1);
	rep->mask = htole32(QTFS_POLL_IN);
	return 0;
}

static int answer(unsigned int op, const void *body)
{
	const struct qtfs_wire_lookup *lookup = body;
	const struct qtfs_wire_node *node = body;
	unsigned int n;

	switch (op) {
	case QTFS_OP_HELLO:
		return answer_hello();
	case QTFS_OP_AUTH:
		add(sizeof(struct qtfs_wire_auth));	/* proves nothing */
		return 0;
	case QTFS_OP_SESSION:
		add(sizeof(struct qtfs_wire_session_rep));
		return 0;
	case QTFS_OP_ATTACH:
	case QTFS_OP_MKNOD:
		put_entry(op == QTFS_OP_ATTACH ? 1 : 6);
		return 0;
	case QTFS_OP_NODE:
		put_entry(le64toh(node->node));
		return 0;
	case QTFS_OP_LOOKUP:
		n = node_of((const char *)(lookup + 1), le16toh(lookup->name_len));
		if (!n)
			return QTFS_ENOENT;
		put_entry(n);
		last = n;
		return 0;
	case QTFS_OP_GETATTR:
	case QTFS_OP_SETATTR:
		put_attr(add(sizeof(struct qtfs_wire_attr)),
			 le64toh(node->node));
		return 0;
	case QTFS_OP_ACCESS: {
		struct qtfs_wire_access_rep *rep = add(sizeof(*rep));

		rep->allowed = htole32(15);
		put_attr(&rep->attr, le64toh(node->node));
		return 0;
	}
	case QTFS_OP_OPEN:
		return answer_open(body);
	case QTFS_OP_GETFLAGS:
		flags.valid = htole32(QTFS_FLAGS_BASIC | QTFS_FLAGS_EXTENDED);
		*(struct qtfs_wire_flags *)add(sizeof(flags)) = flags;
		return 0;
	case QTFS_OP_SETFLAGS:
		flags = ((const struct qtfs_wire_setflags *)body)->set;
		put_attr(add(sizeof(struct qtfs_wire_attr)),
			 le64toh(node->node));
		return 0;
	case QTFS_OP_FIEMAP:
		return answer_fiemap();
	case QTFS_OP_DEDUPE: {
		struct qtfs_wire_dedupe_rep *rep = add(sizeof(*rep));

		rep->length = ((const struct qtfs_wire_copy *)body)->length;
		return 0;
	}
	case QTFS_OP_POLL:
		return answer_poll();
	case QTFS_OP_IOCTL:
		add(sizeof(struct qtfs_wire_ioctl_rep));
		return 0;
	case QTFS_OP_READ:
		return answer_read(le64toh(((struct qtfs_wire_read *)body)->offset));
	case QTFS_OP_WRITE:
		return answer_write(body);
	case QTFS_OP_READDIR:
		return answer_readdir(body);
	case QTFS_OP_READLINK:
		memcpy(reply.bytes, "file", 4);
		reply.payload = 4;
		return 0;
	case QTFS_OP_STATFS:
		add(sizeof(struct qtfs_wire_statfs));
		return 0;
	case QTFS_OP_GETXATTR:
	case QTFS_OP_LISTXATTR:
		add(sizeof(struct qtfs_wire_xattr_rep));
		return 0;
	case QTFS_OP_LOCK:
		put_attr(add(sizeof(struct qtfs_wire_attr)), 2);
		return 0;
	case QTFS_OP_GETLOCK:
		*(struct qtfs_wire_lock *)add(sizeof(struct qtfs_wire_lock)) =
			*(const struct qtfs_wire_lock *)body;
		return 0;
	case QTFS_OP_PING:
	case QTFS_OP_UNLOCK:
	case QTFS_OP_CRED:
	case QTFS_OP_RELEASE:
	case QTFS_OP_FSYNC:
		return 0;
	default:
		return QTFS_EOPNOTSUPP;
	}
}

static void spoil(struct evil *evil, unsigned int op)
{
	if (!evil || evil->op != op || !evil->spoil)
		return;
	if (evil->skip-- <= 0)
		evil->spoil(&reply);
}

static int answer_compound(const struct qtfs_wire_compound *c,
			   struct evil *evil)
{
	const struct qtfs_wire_sub *sub = (void *)(c + 1);
	unsigned int i;

	*(struct qtfs_wire_compound *)add(sizeof(*c)) = *c;
	for (i = 0; i < le16toh(c->nr); i++) {
		struct qtfs_wire_result *r = add(sizeof(*r));
		size_t before = reply.body;

		r->op = sub->op;
		r->status = htole32(answer(le16toh(sub->op), sub + 1));
		spoil(evil, le16toh(sub->op));
		r->body = htole32(reply.body - before);
		if (r->status)
			break;
		sub = (void *)((char *)(sub + 1) + le32toh(sub->body));
	}
	return 0;
}

static int read_all(int fd, void *to, size_t len)
{
	/* TCP waits for a byte even if none is wanted. */
	return !len || recv(fd, to, len, MSG_WAITALL) == (ssize_t)len ? 0 : -1;
}

/* One request; false when the connection is over. */
static bool serve(int fd, struct evil *evil)
{
	static unsigned char in[QTFS_BODY_MAX + QTFS_IO_MAX];
	struct qtfs_wire_req req;
	size_t len;

	if (read_all(fd, &req, sizeof(req)) ||
	    read_all(fd, in, le32toh(req.len) - sizeof(req)))
		return false;
	if (fake_engine_saw)
		fake_engine_saw(le16toh(req.op));
	if (le16toh(req.flags) & QTFS_FRAME_NOREPLY)
		return true;
	memset(&reply, 0, sizeof(reply));
	reply.hdr.op = req.op;
	reply.hdr.tag = req.tag;
	reply.hdr.flags = htole16(QTFS_FRAME_REPLY);
	reply.hdr.status = htole32(le16toh(req.op) == QTFS_OP_COMPOUND ?
				   answer_compound((void *)in, evil) :
				   answer(le16toh(req.op), in));
	spoil(evil, le16toh(req.op));
	if (!reply.sealed) {
		reply.hdr.body = htole32(reply.body);
		reply.hdr.len = htole32(sizeof(reply.hdr) + reply.body +
					reply.payload);
	}
	len = reply.cut ?: sizeof(reply.hdr) + reply.body + reply.payload;
	memmove(reply.bytes + sizeof(reply.hdr), reply.bytes,
		reply.body + reply.payload);
	memcpy(reply.bytes, &reply.hdr, sizeof(reply.hdr));
	if (send(fd, reply.before, reply.before_len, MSG_NOSIGNAL) < 0)
		return false;
	do {
		if (send(fd, reply.bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
			return false;
	} while (--reply.times > 0);
	return !reply.close_after;
}

/* A process that listens on @port of loopback; @run has the connection. */
static inline pid_t listen_and(void (*run)(int fd, void *arg), void *arg,
			       int *port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(addr);
	pid_t pid;
	int fd;

	if (bind(listener, (void *)&addr, len) || listen(listener, 5) ||
	    getsockname(listener, (void *)&addr, &len))
		return -1;
	*port = ntohs(addr.sin_port);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while ((fd = accept(listener, NULL, NULL)) >= 0) {
			run(fd, arg);
			close(fd);
		}
		_exit(1);
	}
	close(listener);
	return pid;
}

static inline void run_fake_engine(int fd, void *evil)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (serve(fd, evil))
		;
	/* Reset on purpose only: nothing unread is left. */
	shutdown(fd, SHUT_WR);
}

#endif /* QTFS_SELFTEST_FAKE_ENGINE_H */
