// SPDX-License-Identifier: GPL-2.0
/*
 * rawlink - what the link itself takes, without any filesystem
 *
 *   rawlink serve PORT			answers until it is killed; PORT may be the
 *					path of a unix socket, HOST is none then
 *   rawlink ping HOST PORT OUT IN COUNT	OUT bytes there, IN bytes back, and
 *					again, COUNT times
 *   rawlink stream HOST PORT OUT IN	once, as fast as it goes
 *
 * Both ends are one blocking thread. A request begins with two numbers: the bytes
 * that follow, and those of the answer. Prints seconds for each round trip.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (1 << 20)

struct request {
	uint64_t out;	/* with these 16 bytes */
	uint64_t in;
};

static char chunk[CHUNK];

static bool move_in(int fd, uint64_t len)
{
	while (len) {
		size_t n = len < CHUNK ? len : CHUNK;
		ssize_t got = recv(fd, chunk, n, 0);

		if (got <= 0)
			return false;
		len -= got;
	}
	return true;
}

static bool move_out(int fd, uint64_t len)
{
	while (len) {
		size_t n = len < CHUNK ? len : CHUNK;
		ssize_t put = send(fd, chunk, n, MSG_NOSIGNAL);

		if (put <= 0)
			return false;
		len -= put;
	}
	return true;
}

static void no_delay(int fd, const char *port)
{
	int one = 1;

	if (*port != '/' && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		err(1, "TCP_NODELAY");
}

static void serve_one(int fd, const char *port)
{
	struct request r;

	no_delay(fd, port);
	while (recv(fd, &r, sizeof(r), MSG_WAITALL) == sizeof(r) &&
	       move_in(fd, r.out - sizeof(r)) && move_out(fd, r.in))
		;
	close(fd);
}

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_un un;
};

static socklen_t address_of(union address *to, const char *host, const char *port)
{
	memset(to, 0, sizeof(*to));
	if (*port == '/') {
		to->un.sun_family = AF_UNIX;
		snprintf(to->un.sun_path, sizeof(to->un.sun_path), "%s", port);
		return sizeof(to->un);
	}
	to->in.sin_family = AF_INET;
	to->in.sin_port = htons(atoi(port));
	if (inet_pton(AF_INET, host, &to->in.sin_addr) != 1)
		errx(1, "%s: not an address", host);
	return sizeof(to->in);
}

static int serve(const char *port)
{
	union address any;
	socklen_t len = address_of(&any, "0.0.0.0", port);
	int fd = socket(any.any.sa_family, SOCK_STREAM, 0), one = 1;

	signal(SIGCHLD, SIG_IGN);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, &any.any, len) || listen(fd, 8))
		err(1, "%s", port);
	for (;;) {
		int conn = accept(fd, NULL, NULL);

		if (conn < 0)
			err(1, "accept");
		if (fork() == 0) {
			serve_one(conn, port);
			return 0;
		}
		close(conn);
	}
}

static int reach(const char *host, const char *port)
{
	union address to;
	socklen_t len = address_of(&to, host, port);
	int fd = socket(to.any.sa_family, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, &to.any, len))
		err(1, "%s %s", host, port);
	no_delay(fd, port);
	return fd;
}

static void round_trip(int fd, const struct request *r)
{
	memcpy(chunk, r, sizeof(*r));
	if (!move_out(fd, r->out) || !move_in(fd, r->in))
		errx(1, "the other end went away");
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int ask(int argc, char **argv)
{
	bool stream = !strcmp(argv[1], "stream");
	int count = stream ? 1 : atoi(argv[argc - 1]);
	struct request r = { strtoull(argv[4], NULL, 0), strtoull(argv[5], NULL, 0) };
	struct request first = { sizeof(r), 1 };
	int fd = reach(argv[2], argv[3]);
	double begin;
	int i;

	if (r.out < sizeof(r) || !r.in || count < 1)
		errx(1, "%zu bytes there, 1 back, once at least", sizeof(r));
	round_trip(fd, &first);
	begin = now();
	for (i = 0; i < count; i++)
		round_trip(fd, &r);
	printf("%.9f\n", (now() - begin) / count);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(argv[2]);
	if ((argc == 7 && !strcmp(argv[1], "ping")) || (argc == 6 && !strcmp(argv[1], "stream")))
		return ask(argc, argv);
	errx(1, "see the comment at the head of rawlink.c");
}
