// SPDX-License-Identifier: GPL-2.0
/*
 * poll, select, epoll and io_uring's polls on files of the server: as on local
 * ones, whoever makes them ready.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "common.h"

#include <linux/io_uring.h>

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
	int rd, wr, ep = epoll_create1(0);
	static char big[70000];
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
	/* room, by edge */
	SAY(control(ep, EPOLL_CTL_ADD, wr, EPOLLOUT | EPOLLET));
	SAY(next(ep, SOON));
	SAY(next(ep, NEVER));
	while (write(wr, big, 4096) > 0)
		;
	SAY(next(ep, NEVER));
	SAY(read(rd, big, 65536));
	SAY(next(ep, SOON));
	SAY(next(ep, NEVER));
	SAY(control(ep, EPOLL_CTL_DEL, wr, 0));
	while (read(rd, big, sizeof(big)) > 0)
		;
	/* the end */
	SAY(control(ep, EPOLL_CTL_ADD, rd, EPOLLIN));
	SAY(control(ep, EPOLL_CTL_ADD, wr, EPOLLOUT));
	SAY(next(ep, SOON));
	close(wr);
	SAY(next(ep, SOON));
	close(rd);
	SAY(next(ep, NEVER));
	close(ep);
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

/* Both ends of a new FIFO. */
static bool ends_of(const char *f, int *rd, int *wr)
{
	if (mkfifo(f, 0600))
		return false;
	*rd = open(f, O_RDONLY | O_NONBLOCK);
	*wr = open(f, O_WRONLY | O_NONBLOCK);
	return *rd >= 0 && *wr >= 0;
}

/* True when the child @pid, which does nothing else, is in epoll_wait(). */
static bool waits_within(pid_t pid, double seconds)
{
	double end = now() + seconds;
	char name[32], state = 0;
	FILE *file;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	do {
		nap_ms(5);
		file = fopen(name, "r");
		if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			state = 0;
		if (file)
			fclose(file);
	} while (state != 'S' && now() < end);
	return state == 'S';
}

/* Has a set of its own, to which it adds @fd. Once woken it does not read. */
static pid_t exclusive_waiter(int fd, int said)
{
	pid_t pid = fork();
	int ep, err;

	if (pid)
		return pid;
	ep = epoll_create1(0);
	err = control(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE);
	if (write(said, err ? "-" : "+", 1) != 1 || err)
		_exit(1);
	_exit(next(ep, 60000) != EPOLLIN || write(said, "w", 1) != 1);
}

/* How many say something: the first one soon, the others just then. */
static int how_many(int said)
{
	int n = 0;
	char c;

	while (ready(said, POLLIN, n ? NEVER : SOON) == POLLIN &&
	       read(said, &c, 1) == 1)
		n++;
	return n;
}

static int woken[2];

static void tell_exclusive(const char *f)
{
	int rd = -1, wr = -1, p[2], i;
	pid_t pid[2];
	char c = 0;

	SAY(ends_of(f, &rd, &wr));
	SAY(pipe(p));
	for (i = 0; i < 2; i++) {
		pid[i] = exclusive_waiter(rd, p[1]);
		SAY(read(p[0], &c, 1));
		say("added", c == '+');
		SAY(waits_within(pid[i], 20));
	}
	SAY(write(wr, "a", 1));
	woken[at] = how_many(p[0]);
	SAY(read(rd, &c, 1));
	SAY(ready(p[0], POLLIN, NEVER));
	/* Who is left was not forgotten. */
	SAY(write(wr, "b", 1));
	SAY(how_many(p[0]));
	for (i = 0; i < 2 && pid[i] > 0; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
}

/*
 * Two processes wait in epoll_wait(), each by a set of its own, for the same
 * open FIFO. epoll_ctl(2) promises that a write wakes one or more, not that it
 * is one: so as many as a write to a local FIFO wakes, and somebody; nobody
 * more when all has been read; and who was not woken is by the next write.
 */
TEST_F(tree, exclusive_waiters_are_woken_as_locally)
{
	both(tell_exclusive);
	EXPECT_LE(1, woken[1]);
	EXPECT_EQ(woken[0], woken[1]);
	EXPECT_STREQ(story[0], story[1]);
}

/* As much of an io_uring as polling takes: what it shares fits into a page. */
struct ring {
	int fd;
	struct io_uring_params p;
	char *queues;
	struct io_uring_sqe *sqes;
};

enum { RING_ENTRIES = 8, RING_BYTES = 4096 };

/* False where nobody may have one. What else goes wrong is seen by its use. */
static bool ring_open(struct ring *ring)
{
	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(__NR_io_uring_setup, RING_ENTRIES, &ring->p);
	if (ring->fd < 0)
		return errno != ENOSYS && errno != EPERM;
	ring->queues = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE,
			    MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	ring->sqes = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			  ring->fd, IORING_OFF_SQES);
	return true;
}

/* It is gone only with its mappings. */
static void ring_close(struct ring *ring)
{
	munmap(ring->sqes, RING_BYTES);
	munmap(ring->queues, RING_BYTES);
	close(ring->fd);
}

static unsigned int *ring_word(const struct ring *ring, unsigned int offset)
{
	return (unsigned int *)(ring->queues + offset);
}

/* 1 when it was taken. Each operation's number is its name, too. */
static int ring_ask(struct ring *ring, const struct io_uring_sqe *sqe)
{
	const struct io_sqring_offsets *off = &ring->p.sq_off;
	unsigned int *tail = ring_word(ring, off->tail), slot;

	if (ring->fd < 0 || ring->queues == MAP_FAILED ||
	    ring->sqes == MAP_FAILED)
		return -1;
	slot = *tail & *ring_word(ring, off->ring_mask);
	ring->sqes[slot] = *sqe;
	ring->sqes[slot].user_data = sqe->opcode;
	ring_word(ring, off->array)[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	return syscall(__NR_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0);
}

/* @flags: IORING_POLL_* */
static int ring_poll(struct ring *ring, int fd, unsigned int flags)
{
	return ring_ask(ring, &(struct io_uring_sqe){
		.opcode = IORING_OP_POLL_ADD, .fd = fd,
		.poll32_events = POLLIN, .len = flags });
}

static int ring_remove(struct ring *ring)
{
	return ring_ask(ring, &(struct io_uring_sqe){
		.opcode = IORING_OP_POLL_REMOVE, .fd = -1,
		.addr = IORING_OP_POLL_ADD });
}

/* Set in what ring_told() gives when the poll goes on. */
#define RING_MORE 0x10000

/* The result of what completes soon, or within @ms. ETIME: nothing does. */
static int ring_told(struct ring *ring, int ms)
{
	const struct io_cqring_offsets *off = &ring->p.cq_off;
	unsigned int *head = ring_word(ring, off->head);
	struct io_uring_cqe cqe = { .res = -ETIME };

	/* The ring itself can be polled. */
	if (ready(ring->fd, POLLIN, ms) == POLLIN &&
	    *head != __atomic_load_n(ring_word(ring, off->tail),
				     __ATOMIC_ACQUIRE)) {
		cqe = ((struct io_uring_cqe *)ring_word(ring, off->cqes))
			[*head & *ring_word(ring, off->ring_mask)];
		__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	}
	if (cqe.res < 0) {
		errno = -cqe.res;
		return -1;
	}
	return cqe.res | (cqe.flags & IORING_CQE_F_MORE ? RING_MORE : 0);
}

/* ETIME: it waits. EINVAL: this kernel has none that goes on. */
static int ring_poll_on(struct ring *ring, int fd)
{
	if (ring_poll(ring, fd, IORING_POLL_ADD_MULTI) != 1)
		return EIO;
	return errno_of(ring_told(ring, NEVER));
}

TEST_F(tree, a_poll_by_io_uring_is_told_once)
{
	struct ring ring;
	char buf[100];
	int rd, wr;

	if (!ring_open(&ring))
		SKIP(return, "no io_uring");
	ASSERT_TRUE(ends_of("f", &rd, &wr));
	ASSERT_EQ(1, ring_poll(&ring, rd, 0));
	EXPECT_EQ(ETIME, errno_of(ring_told(&ring, NEVER)));
	ASSERT_EQ(2, write(wr, "ab", 2));
	EXPECT_EQ(POLLIN, ring_told(&ring, SOON));
	ASSERT_EQ(2, write(wr, "cd", 2));
	EXPECT_EQ(ETIME, errno_of(ring_told(&ring, NEVER)));
	/* Who asks again finds what is there, and not what was. */
	ASSERT_EQ(1, ring_poll(&ring, rd, 0));
	EXPECT_EQ(POLLIN, ring_told(&ring, SOON));
	EXPECT_EQ(4, read(rd, buf, sizeof(buf)));
	ASSERT_EQ(1, ring_poll(&ring, rd, 0));
	EXPECT_EQ(ETIME, errno_of(ring_told(&ring, NEVER)));
}

/* Each is read before the next. */
TEST_F(tree, a_multishot_poll_is_told_of_each_write)
{
	struct ring ring;
	int rd, wr, err, i;
	char buf[100];

	if (!ring_open(&ring))
		SKIP(return, "no io_uring");
	ASSERT_TRUE(ends_of("f", &rd, &wr));
	err = ring_poll_on(&ring, rd);
	if (err == EINVAL)
		SKIP(return, "no multishot polls");
	ASSERT_EQ(ETIME, err);
	for (i = 0; i < 6; i++) {
		/* Now by this machine, now by the other one. */
		if (i % 2) {
			EXPECT_EQ(0, on_host(NULL, 0, "printf x >%s/f",
					     self->srv));
		} else {
			EXPECT_EQ(1, write(wr, "x", 1));
		}
		EXPECT_EQ(POLLIN | RING_MORE, ring_told(&ring, SOON));
		EXPECT_EQ(1, read(rd, buf, sizeof(buf)));
		EXPECT_EQ(ETIME, errno_of(ring_told(&ring, NEVER)));
	}
}

/* True when nobody has @f open for reading any more, soon. */
static bool has_no_reader(const char *f)
{
	double end = now() + 20;
	int fd;

	while ((fd = open(f, O_WRONLY | O_NONBLOCK)) >= 0) {
		close(fd);
		if (now() > end)
			return false;
		nap_ms(20);
	}
	return errno == ENXIO;
}

TEST_F(tree, a_removed_poll_leaves_nothing)
{
	int rd, wr, i, err, removed = 0, cancelled = 0;
	struct ring ring;

	if (!ring_open(&ring))
		SKIP(return, "no io_uring");
	ASSERT_TRUE(ends_of("f", &rd, &wr));
	err = ring_poll_on(&ring, rd);
	if (err == EINVAL)
		SKIP(return, "no multishot polls");
	ASSERT_EQ(ETIME, err);
	ASSERT_EQ(1, ring_remove(&ring));
	for (i = 0; i < 2; i++) {
		err = errno_of(ring_told(&ring, SOON));
		removed += err == 0;
		cancelled += err == ECANCELED;
	}
	EXPECT_EQ(1, removed);
	EXPECT_EQ(1, cancelled);
	ASSERT_EQ(1, write(wr, "x", 1));
	EXPECT_EQ(ETIME, errno_of(ring_told(&ring, NEVER)));
	/* Nor does the ring have the file any more. */
	EXPECT_EQ(0, close(rd));
	EXPECT_TRUE(has_no_reader("f"));
}

TEST_F(tree, a_closed_ring_leaves_nothing)
{
	struct ring ring;
	int rd, wr, fd;

	if (!ring_open(&ring))
		SKIP(return, "no io_uring");
	ASSERT_TRUE(ends_of("f", &rd, &wr));
	ASSERT_EQ(1, ring_poll(&ring, rd, 0));
	EXPECT_EQ(ETIME, errno_of(ring_told(&ring, NEVER)));
	/* Until then it keeps the file open. */
	EXPECT_EQ(0, close(rd));
	fd = open("f", O_WRONLY | O_NONBLOCK);
	EXPECT_LE(0, fd);
	close(fd);
	ring_close(&ring);
	EXPECT_TRUE(has_no_reader("f"));
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

/* What the mount has counted. */
struct counts {
	long sent, received, pushed;
};

static long count_of(const char *stats, const char *key)
{
	const char *found = strstr(stats, key);

	return found ? atol(found + strlen(key)) : -1;
}

static struct counts counts(void)
{
	char *argv[] = { "qtinfo", "--json", "stats", (char *)mount_point(),
			 NULL };
	struct counts c = { -1, -1, -1 };
	char out[65536];

	if (run_argv(argv, out, sizeof(out)))	/* a shell would look at "." */
		return c;
	c.sent = count_of(out, "\"frames_sent\":");
	c.received = count_of(out, "\"frames_received\":");
	c.pushed = count_of(out, "\"pushes\":");
	return c;
}

/* Takes into @least what was counted since @before, where that is less. */
static void least_since(struct counts *least, struct counts before)
{
	struct counts c = counts();

	least->sent = MIN(least->sent, c.sent - before.sent);
	least->received = MIN(least->received, c.received - before.received);
	least->pushed = MIN(least->pushed, c.pushed - before.pushed);
}

/*
 * Who is woken asks nobody, and reading tells all there is to know. The least
 * of some rounds counts: somebody else may look at something meanwhile.
 */
TEST_F(tree, one_wake_is_one_push)
{
	struct counts wake = { LONG_MAX, LONG_MAX, LONG_MAX }, look = wake;
	int ep = epoll_create1(0), fd, i, status;
	struct counts before;
	pid_t pid;
	char c;

	ASSERT_EQ(0, mkfifo("f", 0600));
	fd = open("f", O_RDWR | O_NONBLOCK);
	ASSERT_EQ(0, control(ep, EPOLL_CTL_ADD, fd, EPOLLIN));
	EXPECT_EQ(0, next(ep, 300));	/* what was posted is gone */
	for (i = 0; i < 5; i++) {
		pid = fork();
		if (!pid)
			_exit(next(ep, 60000) != EPOLLIN);
		ASSERT_TRUE(waits_within(pid, 20));
		before = counts();
		EXPECT_EQ(0, on_host(NULL, 0, "printf x >%s/f", self->srv));
		ASSERT_TRUE(ends_within(pid, 20, &status));
		EXPECT_EQ(0, status);
		least_since(&wake, before);

		before = counts();
		EXPECT_EQ(1, read(fd, &c, 1));
		EXPECT_EQ(0, next(ep, 0));
		least_since(&look, before);
	}
	EXPECT_EQ(0, wake.sent);
	EXPECT_EQ(1, wake.received);
	EXPECT_EQ(1, wake.pushed);
	EXPECT_EQ(1, look.sent);
	EXPECT_EQ(1, look.received);
	EXPECT_EQ(0, look.pushed);
}

static double seconds_of(const struct rusage *usage)
{
	return usage->ru_utime.tv_sec + usage->ru_stime.tv_sec +
	       (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

/* Many that nothing happens to: not a frame, and nobody wakes who waits. */
TEST_F(tree, an_idle_set_costs_nothing)
{
	const char *asked = getenv("QTFS_IDLE");
	const int fifos = asked ? atoi(asked) : on_debug(100, 1000);
	int ep = epoll_create1(0), fd, i;
	struct rusage idle, over;
	struct rlimit files;
	struct counts before, after;
	char name[16];
	long ticks;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &files));
	files.rlim_cur = files.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	for (i = 0; i < fifos; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		ASSERT_EQ(0, mkfifo(name, 0600));
		fd = open(name, O_RDWR | O_NONBLOCK);
		ASSERT_EQ(0, control(ep, EPOLL_CTL_ADD, fd, EPOLLIN));
	}
	EXPECT_EQ(0, next(ep, 300));	/* what was posted is gone */
	before = counts();
	ticks = engine_ticks();
	getrusage(RUSAGE_SELF, &idle);
	EXPECT_EQ(0, next(ep, 3000));
	getrusage(RUSAGE_SELF, &over);
	ticks = engine_ticks() - ticks;
	after = counts();
	TH_LOG("%d FIFOs, 3 s: %llu frames, %ld.%02ld s of the engine's, %f s of the waiter's",
	       fifos, (unsigned long long)(after.sent - before.sent + after.received - before.received),
	       ticks / 100, ticks % 100, seconds_of(&over) - seconds_of(&idle));
	EXPECT_GE(3, ticks);
	EXPECT_LT(0, before.sent);
	/* Somebody else may look at something. */
	EXPECT_GE(4, after.sent - before.sent + after.received -
			     before.received);
	EXPECT_EQ(before.pushed, after.pushed);
	/* It went to sleep once; woken each second it would be four times. */
	EXPECT_GE(3, over.ru_nvcsw - idle.ru_nvcsw);
	EXPECT_GT(0.1, seconds_of(&over) - seconds_of(&idle));
}

TEST_F(tree, what_cannot_be_polled)
{
	int ep = epoll_create1(0), fd = open("file", O_CREAT | O_RDWR, 0600);

	EXPECT_EQ(EPERM, errno_of(control(ep, EPOLL_CTL_ADD, fd, EPOLLIN)));
	EXPECT_EQ(POLLIN | POLLOUT, ready(fd, POLLIN | POLLOUT, 0));
	fd = open(".", O_RDONLY);
	EXPECT_EQ(EPERM, errno_of(control(ep, EPOLL_CTL_ADD, fd, EPOLLIN)));
}

TEST_F(tree, sysctls_of_the_server)
{
	char name[200], old[64];
	int fd;

	snprintf(name, sizeof(name), "%s/proc/sys/kernel/domainname", mount_point());
	ASSERT_EQ(0, on_host(old, sizeof(old), "cat /proc/sys/kernel/domainname"));
	fd = open(name, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, ready(fd, POLLPRI, NEVER));
	host_runs("sleep 1; echo changed >/proc/sys/kernel/domainname");
	EXPECT_EQ(POLLPRI | POLLERR, ready(fd, POLLPRI, 20000));
	EXPECT_EQ(0, ready(fd, POLLPRI, NEVER));
	on_host(NULL, 0, "echo '%s' >/proc/sys/kernel/domainname", old);
	close(fd);
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
