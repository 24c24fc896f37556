/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What stands for a bad network: a process between client and engine that
 * passes their bytes on, until it is told to do worse.
 */
#ifndef QTFS_SELFTEST_FRAME_PROXY_H
#define QTFS_SELFTEST_FRAME_PROXY_H

#include "fake_engine.h"

#include <poll.h>
#include <sys/mman.h>

enum proxy_mode {
	PROXY_PASS,
	PROXY_CUT,	/* nothing passes */
	PROXY_HOLD,	/* no replies pass; they do later */
	PROXY_LOSE,	/* replies vanish */
};

/* Shared with the process. */
struct proxy {
	int mode;
	struct sockaddr_in engine;
};

static inline int proxy_send(int fd, const unsigned char *from, size_t len)
{
	while (len) {
		ssize_t n = send(fd, from, len, MSG_NOSIGNAL);

		if (n <= 0)
			return -1;
		from += n;
		len -= n;
	}
	return 0;
}

/* Some bytes of requests. */
static inline int proxy_request(int client, int engine)
{
	static unsigned char buf[65536];
	ssize_t n = recv(client, buf, sizeof(buf), 0);

	return n <= 0 ? -1 : proxy_send(engine, buf, n);
}

/* One frame that the engine sends. */
static inline int proxy_reply(struct proxy *proxy, int client, int engine)
{
	static unsigned char buf[QTFS_BODY_MAX + QTFS_IO_MAX];
	struct qtfs_wire_rep rep;
	size_t len;

	if (read_all(engine, &rep, sizeof(rep)))
		return -1;
	len = le32toh(rep.len) - sizeof(rep);
	if (len > sizeof(buf) || read_all(engine, buf, len))
		return -1;
	if (__atomic_load_n(&proxy->mode, __ATOMIC_SEQ_CST) == PROXY_LOSE)
		return 0;
	if (proxy_send(client, (void *)&rep, sizeof(rep)))
		return -1;
	return proxy_send(client, buf, len);
}

static inline void proxy_run(int client, void *arg)
{
	struct proxy *proxy = arg;
	int engine = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(engine, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(engine, (void *)&proxy->engine, sizeof(proxy->engine)))
		goto out;
	for (;;) {
		int mode = __atomic_load_n(&proxy->mode, __ATOMIC_SEQ_CST);
		bool forth = mode != PROXY_CUT, back = forth && mode != PROXY_HOLD;
		struct pollfd fds[] = {
			{ .fd = client, .events = forth ? POLLIN : 0 },
			{ .fd = engine, .events = back ? POLLIN : 0 },
		};

		/* The mode changes without a word. */
		if (poll(fds, 2, 20) < 0)
			break;
		if (forth && fds[0].revents && proxy_request(client, engine))
			break;
		if (back && fds[1].revents && proxy_reply(proxy, client, engine))
			break;
	}
out:
	close(engine);
}

/* Listens on loopback for who wants the engine on @port of @host. */
static inline pid_t proxy_start(struct proxy **proxy, const char *host,
				int engine_port, int *port)
{
	*proxy = mmap(NULL, sizeof(**proxy), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (*proxy == MAP_FAILED)
		return -1;
	(*proxy)->engine = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(engine_port),
		.sin_addr.s_addr = inet_addr(host),
	};
	return listen_and(proxy_run, *proxy, port);
}

static inline void proxy_set(struct proxy *proxy, enum proxy_mode mode)
{
	__atomic_store_n(&proxy->mode, mode, __ATOMIC_SEQ_CST);
}

#endif /* QTFS_SELFTEST_FRAME_PROXY_H */
