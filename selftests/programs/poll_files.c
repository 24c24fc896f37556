// SPDX-License-Identifier: GPL-2.0
/*
 * poll, select and epoll on files of the server: as on local ones, whoever
 * makes them ready.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>

#include "common.h"

/* In the background, on the server. */
static void host_runs(const char *fmt, ...)
{
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	on_host(NULL, 0, "(%s) </dev/null >/dev/null 2>&1 &", command);
}

/* One line for each step. */
static char story[2][4096];
static int at;

static void say(const char *what, long result)
{
	char *to = story[at];
	size_t len = strlen(to);

	snprintf(to + len, sizeof(story[0]) - len, "%s %#lx\n", what,
		 result < 0 ? -errno : result);
}

#define SAY(call) say(#call, call)

enum { ALL = POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM };

/* What is ready now, or, where something must come, soon. */
static int ready(int fd, int events, int ms)
{
	struct pollfd p = { fd, events, 0 };

	return poll(&p, 1, ms) < 0 ? -1 : p.revents;
}

static int selected(int fd, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	fd_set in, out;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	if (select(fd + 1, &in, &out, NULL, &tv) < 0)
		return -1;
	return FD_ISSET(fd, &in) | FD_ISSET(fd, &out) << 1;
}

enum { SOON = 5000, NEVER = 150 };

static void tell_levels(const char *f)
{
	static char big[200000];
	int rd, wr;

	mkfifo(f, 0600);
	rd = open(f, O_RDONLY | O_NONBLOCK);
	SAY(ready(rd, ALL, NEVER));
	wr = open(f, O_WRONLY | O_NONBLOCK);
	SAY(ready(rd, ALL, NEVER));
	SAY(ready(wr, ALL, SOON));
	SAY(write(wr, "abc", 3));
	SAY(ready(rd, ALL, SOON));
	SAY(ready(rd, POLLPRI, NEVER));
	SAY(selected(rd, SOON));
	SAY(selected(wr, SOON));
	SAY(read(rd, big, 2));
	SAY(ready(rd, ALL, SOON));
	SAY(read(rd, big, 2));
	SAY(ready(rd, ALL, NEVER));
	SAY(selected(rd, NEVER));
	while (write(wr, big, 4096) > 0)
		;
	SAY(ready(wr, ALL, NEVER));
	SAY(read(rd, big, 65536) > 0);
	SAY(ready(wr, ALL, SOON));
	while (read(rd, big, sizeof(big)) > 0)
		;
	close(wr);
	SAY(ready(rd, ALL, SOON));
	SAY(read(rd, big, 10));
	SAY(ready(rd, ALL, SOON));
	wr = open(f, O_WRONLY | O_NONBLOCK);
	SAY(ready(rd, ALL, NEVER));
	close(rd);
	SAY(ready(wr, ALL, SOON));
	SAY(ready(wr, 0, SOON));
	SAY(ready(wr, 0, SOON));
	close(wr);
}

static int next(int ep, int ms)
{
	struct epoll_event ev = { };
	int n = epoll_wait(ep, &ev, 1, ms);

	return n < 0 ? -1 : n ? (int)ev.events : 0;
}

static int control(int ep, int op, int fd, unsigned int events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	return epoll_ctl(ep, op, fd, &ev);
}

static void tell_epoll(const char *f)
{
	int rd, wr, ep = epoll_create1(0), two = epoll_create1(0);
	char buf[100];

	mkfifo(f, 0600);
	rd = open(f, O_RDONLY | O_NONBLOCK);
	wr = open(f, O_WRONLY | O_NONBLOCK);
	/* by level */
	SAY(control(ep, EPOLL_CTL_ADD, rd, EPOLLIN));
	SAY(control(ep, EPOLL_CTL_ADD, rd, EPOLLIN));
	SAY(next(ep, NEVER));
	SAY(write(wr, "abcd", 4));
	SAY(next(ep, SOON));
	SAY(next(ep, SOON));
	SAY(read(rd, buf, 2));
	SAY(next(ep, SOON));
	SAY(read(rd, buf, 100));
	SAY(next(ep, NEVER));
	/* by edge */
	SAY(control(ep, EPOLL_CTL_MOD, rd, EPOLLIN | EPOLLET));
	SAY(next(ep, NEVER));
	SAY(write(wr, "abcd", 4));
	SAY(next(ep, SOON));
	SAY(next(ep, NEVER));
	SAY(read(rd, buf, 2));
	SAY(next(ep, NEVER));
	SAY(write(wr, "ef", 2));
	SAY(next(ep, SOON));
	SAY(write(wr, "gh", 2));
	SAY(next(ep, SOON));
	SAY(read(rd, buf, 100));
	SAY(read(rd, buf, 100));
	SAY(next(ep, NEVER));
	SAY(write(wr, "ij", 2));
	SAY(next(ep, SOON));
	SAY(read(rd, buf, 100));
	/* once */
	SAY(control(ep, EPOLL_CTL_MOD, rd, EPOLLIN | EPOLLONESHOT));
	SAY(write(wr, "kl", 2));
	SAY(next(ep, SOON));
	SAY(write(wr, "mn", 2));
	SAY(next(ep, NEVER));
	SAY(control(ep, EPOLL_CTL_MOD, rd, EPOLLIN | EPOLLONESHOT));
	SAY(next(ep, SOON));
	SAY(read(rd, buf, 100));
	SAY(control(ep, EPOLL_CTL_DEL, rd, 0));
	SAY(write(wr, "op", 2));
	SAY(next(ep, NEVER));
	SAY(read(rd, buf, 100));
	/* one of two */
	SAY(control(ep, EPOLL_CTL_ADD, rd, EPOLLIN | EPOLLEXCLUSIVE));
	SAY(control(two, EPOLL_CTL_ADD, rd, EPOLLIN | EPOLLEXCLUSIVE));
	SAY(write(wr, "qr", 2));
	SAY(next(ep, 700) | next(two, 700));
	SAY(read(rd, buf, 100));
	SAY(next(ep, NEVER) | next(two, NEVER));
	/* the end */
	SAY(control(ep, EPOLL_CTL_ADD, wr, EPOLLOUT));
	SAY(next(ep, SOON));
	close(wr);
	SAY(next(ep, SOON));
	close(rd);
	SAY(next(ep, NEVER));
	close(ep);
	close(two);
}

static void both(void (*tell)(const char *f))
{
	char local[] = "/tmp/poll.XXXXXX", name[64];

	if (!mkdtemp(local))
		return;
	snprintf(name, sizeof(name), "%s/f", local);
	at = 0;
	tell(name);
	unlink(name);
	rmdir(local);
	at = 1;
	tell("f");
}

TEST_F(tree, levels_as_locally)
{
	both(tell_levels);
	EXPECT_STREQ(story[0], story[1]);
}

TEST_F(tree, epoll_as_locally)
{
	both(tell_epoll);
	EXPECT_STREQ(story[0], story[1]);
}

TEST_F(tree, the_servers_processes_make_ready)
{
	char buf[100];
	double start;
	int fd, i;

	ASSERT_EQ(0, mkfifo("f", 0600));
	fd = open("f", O_RDONLY | O_NONBLOCK);
	host_runs("exec 3>%s/f; sleep 1; echo x >&3; sleep 2", self->srv);
	start = now();
	EXPECT_EQ(POLLIN, ready(fd, POLLIN, 20000));
	EXPECT_LT(0.2, now() - start);
	/* Taken by somebody there: it is not ready any more. */
	EXPECT_EQ(0, on_host(buf, sizeof(buf), "head -n 1 <%s/f", self->srv));
	EXPECT_STREQ("x", buf);
	EXPECT_EQ(0, ready(fd, POLLIN, 0));
	EXPECT_EQ(POLLHUP, ready(fd, POLLIN, 20000));
	close(fd);

	fd = open("f", O_RDWR | O_NONBLOCK);
	while (write(fd, buf, sizeof(buf)) > 0)
		;
	for (i = 0; i < 4; i++)
		if (write(fd, buf, 1) < 0)
			break;
	EXPECT_EQ(0, ready(fd, POLLOUT, NEVER));
	host_runs("sleep 1; head -c 60000 %s/f", self->srv);
	EXPECT_EQ(POLLOUT, ready(fd, POLLOUT, 20000));
	close(fd);
}

/* Local and remote ones in one set, and waiting by several. */
TEST_F(tree, mixed_sets)
{
	enum { FIFOS = 20 };
	int fifo[FIFOS], ep = epoll_create1(0), event, p[2], i, n, status;
	struct epoll_event ev[FIFOS + 2];
	unsigned long long one = 1;
	char name[16], c;
	pid_t pid[3];

	event = eventfd(0, 0);
	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, control(ep, EPOLL_CTL_ADD, event, EPOLLIN));
	ASSERT_EQ(0, control(ep, EPOLL_CTL_ADD, p[0], EPOLLIN));
	for (i = 0; i < FIFOS; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		ASSERT_EQ(0, mkfifo(name, 0600));
		fifo[i] = open(name, O_RDWR | O_NONBLOCK);
		ASSERT_EQ(0, control(ep, EPOLL_CTL_ADD, fifo[i], EPOLLIN));
	}
	EXPECT_EQ(0, epoll_wait(ep, ev, ARRAY_LEN(ev), NEVER));
	EXPECT_EQ(1, write(fifo[7], "x", 1));
	EXPECT_EQ(1, epoll_wait(ep, ev, ARRAY_LEN(ev), SOON));
	EXPECT_EQ(fifo[7], ev[0].data.fd);
	EXPECT_EQ(8, write(event, &one, 8));
	EXPECT_EQ(1, write(p[1], "x", 1));
	EXPECT_EQ(1, write(fifo[9], "x", 1));
	for (n = 0, i = 0; n < 4 && i < 100; i++)
		n = epoll_wait(ep, ev, ARRAY_LEN(ev), 100);
	EXPECT_EQ(4, n);
	EXPECT_EQ(1, read(fifo[7], &c, 1));
	EXPECT_EQ(1, read(fifo[9], &c, 1));
	EXPECT_EQ(8, read(event, &one, 8));
	EXPECT_EQ(1, read(p[0], &c, 1));
	EXPECT_EQ(0, epoll_wait(ep, ev, ARRAY_LEN(ev), NEVER));
	/* All who wait for the same are told. */
	for (i = 0; i < 3; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(ready(fifo[3], POLLIN, 20000) != POLLIN);
	}
	nap_ms(500);
	EXPECT_EQ(1, write(fifo[3], "x", 1));
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(ends_within(pid[i], 10, &status));
		EXPECT_EQ(0, status);
	}
	close(fifo[3]);
	EXPECT_EQ(0, epoll_wait(ep, ev, ARRAY_LEN(ev), NEVER));
}

static long frames(const char *key)
{
	char out[65536], *found;
	char dir[200], word[40];

	snprintf(dir, sizeof(dir), "%s", mount_point());
	snprintf(word, sizeof(word), "\"%s\":", key);
	if (run_argv((char *[]){ "qtinfo", "--json", "stats", dir, NULL }, out,
		     sizeof(out)))
		return -1;
	found = strstr(out, word);
	return found ? atol(found + strlen(word)) : -1;
}

/* Many that nothing happens to: not a frame. */
TEST_F(tree, an_idle_set_costs_nothing)
{
	enum { FIFOS = 100 };
	int ep = epoll_create1(0), fd, i;
	long before, after;
	char name[16];

	for (i = 0; i < FIFOS; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		ASSERT_EQ(0, mkfifo(name, 0600));
		fd = open(name, O_RDWR | O_NONBLOCK);
		ASSERT_EQ(0, control(ep, EPOLL_CTL_ADD, fd, EPOLLIN));
	}
	EXPECT_EQ(0, next(ep, 300));	/* what was posted is gone */
	before = frames("frames_sent") + frames("frames_received");
	EXPECT_EQ(0, next(ep, 3000));
	after = frames("frames_sent") + frames("frames_received");
	EXPECT_LT(0, before);
	EXPECT_GE(4, after - before);	/* somebody else may look at something */
}

TEST_F(tree, what_cannot_be_polled)
{
	int ep = epoll_create1(0), fd = open("file", O_CREAT | O_RDWR, 0600);

	EXPECT_EQ(EPERM, errno_of(control(ep, EPOLL_CTL_ADD, fd, EPOLLIN)));
	EXPECT_EQ(POLLIN | POLLOUT, ready(fd, POLLIN | POLLOUT, 0));
	fd = open(".", O_RDONLY);
	EXPECT_EQ(EPERM, errno_of(control(ep, EPOLL_CTL_ADD, fd, EPOLLIN)));
}

/* The server tells of this only once; it is kept until somebody is told. */
TEST_F(tree, mounts_of_the_server)
{
	char name[200], pid[32], buf[4096];
	int fd, ep = epoll_create1(0);

	ASSERT_EQ(0, on_host(pid, sizeof(pid), "mkdir %s/m; echo 1", self->srv));
	snprintf(name, sizeof(name), "%s/proc/%s/mounts", mount_point(), pid);
	fd = open(name, O_RDONLY);
	ASSERT_LE(0, fd) TH_LOG("%m");
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	EXPECT_EQ(0, ready(fd, POLLPRI, NEVER));
	host_runs("sleep 1; mount -t tmpfs none %s/m", self->srv);
	EXPECT_EQ(POLLPRI | POLLERR, ready(fd, POLLPRI, 20000));
	EXPECT_EQ(0, ready(fd, POLLPRI, NEVER));
	ASSERT_EQ(0, control(ep, EPOLL_CTL_ADD, fd, EPOLLPRI | EPOLLET));
	host_runs("sleep 1; umount %s/m", self->srv);
	EXPECT_EQ(EPOLLPRI | EPOLLERR, next(ep, 20000));
	EXPECT_EQ(0, next(ep, NEVER));
	/* While nobody looks. */
	EXPECT_EQ(0, on_host(NULL, 0, "mount -t tmpfs none %s/m", self->srv));
	nap_ms(200);
	EXPECT_EQ(POLLPRI | POLLERR, ready(fd, POLLPRI, 20000));
	EXPECT_EQ(0, on_host(NULL, 0, "umount %s/m", self->srv));
	close(fd);
}

TEST_HARNESS_MAIN
