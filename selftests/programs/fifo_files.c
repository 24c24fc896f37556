// SPDX-License-Identifier: GPL-2.0
/*
 * FIFOs: as on a local filesystem among processes of the client, and just so
 * between them and processes of the server. Other files that block, too.
 */
#define _GNU_SOURCE
#include <liburing.h>
#include <limits.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "common.h"

static volatile int alarms, pipes;

static void on_signal(int number)
{
	if (number == SIGPIPE)
		pipes++;
	else
		alarms++;
}

static void handle(int number, int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	sigaction(number, &sa, NULL);
}

/* Reads until the end; bytes or -errno. */
static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size && (n = read(fd, buf + len, size - len)) != 0) {
		if (n < 0)
			return -errno;
		len += n;
	}
	return len;
}

static ssize_t write_all(int fd, const void *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = write(fd, (const char *)buf + done, len - done);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += n;
	}
	return done;
}

TEST_F(tree, meets_the_servers_processes)
{
	char buf[100], got[100];
	int fd, i;

	ASSERT_EQ(0, mkfifo("f", 0600));
	/* It waits there, or will. */
	host_runs("cat %s/f >%s/got", self->srv, self->srv);
	fd = open("f", O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(9, write(fd, "from here", 9));
	EXPECT_EQ(0, close(fd));
	for (i = 0; i < 100; i++) {
		on_host(got, sizeof(got), "cat %s/got", self->srv);
		if (!strcmp(got, "from here"))
			break;
		nap_ms(50);
	}
	EXPECT_STREQ("from here", got);

	host_runs("sleep 1; echo from there >%s/f", self->srv);
	fd = open("f", O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(11, read_all(fd, buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, "from there\n", 11));
	EXPECT_EQ(0, read(fd, buf, sizeof(buf)));	/* nobody writes */
	close(fd);
}

/* What one read by the ring gives, within two seconds; -ETIME: it waits. */
static int ring_read(struct io_uring *ring, int fd, char *to, size_t len, bool begin)
{
	struct __kernel_timespec two = { .tv_sec = 2 };
	struct io_uring_cqe *cqe;
	int res;

	if (begin) {
		io_uring_prep_read(io_uring_get_sqe(ring), fd, to, len, 0);
		io_uring_submit(ring);
	}
	res = io_uring_wait_cqe_timeout(ring, &cqe, &two);
	if (res)
		return res;
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

TEST_F(tree, by_io_uring)
{
	struct io_uring ring;
	char buf[8];
	int fd;

	if (io_uring_queue_init(4, &ring, 0))
		SKIP(return, "no io_uring");
	ASSERT_EQ(0, mkfifo("f", 0600));
	fd = open("f", O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ETIME, ring_read(&ring, fd, buf, sizeof(buf), true));
	ASSERT_EQ(3, write(fd, "abc", 3));
	EXPECT_EQ(3, ring_read(&ring, fd, buf, sizeof(buf), false));
	ASSERT_EQ(2, write(fd, "de", 2));
	EXPECT_EQ(2, ring_read(&ring, fd, buf, sizeof(buf), true));
	EXPECT_EQ(0, memcmp(buf, "dec", 3));
	ASSERT_EQ(0, fcntl(fd, F_SETFL, 0));
	EXPECT_EQ(-ETIME, ring_read(&ring, fd, buf, sizeof(buf), true));
	ASSERT_EQ(1, write(fd, "f", 1));
	EXPECT_EQ(1, ring_read(&ring, fd, buf, sizeof(buf), false));
	EXPECT_EQ('f', buf[0]);
	io_uring_queue_exit(&ring);
	close(fd);
}

TEST_F(tree, two_processes_of_the_client)
{
	unsigned char *buf = malloc(300000);
	int fd, status;
	pid_t pid;

	ASSERT_EQ(0, mkfifo("f", 0600));
	pid = fork();
	if (!pid) {
		fd = open("f", O_WRONLY);
		fill(buf, 1, 0, 300000);
		_exit(fd < 0 || write(fd, buf, 300000) != 300000);
	}
	fd = open("f", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(300000, read_all(fd, (char *)buf, 300000));
	EXPECT_EQ(300000, wrong_at(buf, 1, 0, 300000));
	EXPECT_EQ(0, read(fd, buf, 1));
	ASSERT_TRUE(ends_within(pid, 10, &status));
	EXPECT_EQ(0, status);
	close(fd);
}

/* One line for each step: the result, or the error. */
static char story[2][4096];
static int at;

static void say(const char *what, long result)
{
	char *to = story[at];
	size_t len = strlen(to);

	snprintf(to + len, sizeof(story[0]) - len, "%s %ld\n", what,
		 result < 0 ? -errno : result);
}

#define SAY(call) say(#call, call)

static void tell(const char *f)
{
	static char big[300000];
	int rd, wr, both, n = 0, p[2];

	SAY(mkfifo(f, 0600));
	SAY(open(f, O_WRONLY | O_NONBLOCK));
	SAY(open(f, O_WRONLY | O_DIRECTORY));
	rd = open(f, O_RDONLY | O_NONBLOCK);
	SAY(read(rd, big, 10));
	wr = open(f, O_WRONLY);
	SAY(read(rd, big, 10));
	SAY(write(rd, "x", 1));
	SAY(read(wr, big, 1));
	SAY(write(wr, "hello", 5));
	SAY(write(wr, "", 0));
	SAY(ioctl(rd, FIONREAD, &n));
	say("bytes", n);
	SAY(ioctl(rd, TCGETS, big));
	SAY(lseek(rd, 0, SEEK_SET));
	SAY(lseek(wr, 1, SEEK_CUR));
	SAY(pread(rd, big, 1, 0));
	SAY(pwrite(wr, "x", 1, 0));
	SAY(ftruncate(wr, 0));
	SAY(read(rd, big, 2));
	SAY(read(rd, big, 100));
	SAY(read(rd, big, 100));
	SAY(fcntl(wr, F_SETFL, O_NONBLOCK));
	SAY(write(wr, big, 4000));
	SAY(write(wr, big, 61000));
	while (write(wr, big, 4096) > 0)
		;
	SAY(write(wr, big, 4096));
	SAY(ioctl(wr, FIONREAD, &n) || n < 60000);
	while (read(rd, big, sizeof(big)) > 0)
		;
	SAY(read(rd, big, 10));
	pipes = 0;
	close(rd);
	SAY(write(wr, "x", 1));
	SAY(pipes);
	close(wr);
	both = open(f, O_RDWR);
	SAY(write(both, "both", 4));
	SAY(read(both, big, 10));
	SAY(pipe(p));
	SAY(write(both, "spliced", 7));
	SAY(splice(both, NULL, p[1], NULL, 7, 0));
	SAY(read(p[0], big, 100));
	SAY(write(p[1], "back", 4));
	SAY(splice(p[0], NULL, both, NULL, 4, 0));
	SAY(read(both, big, 100));
	close(p[0]);
	close(p[1]);
	close(both);
}

TEST_F(tree, as_locally)
{
	char local[] = "/tmp/fifo.XXXXXX", name[64];

	handle(SIGPIPE, 0);
	ASSERT_NE(NULL, mkdtemp(local));
	snprintf(name, sizeof(name), "%s/f", local);
	at = 0;
	tell(name);
	unlink(name);
	rmdir(local);
	at = 1;
	tell("f");
	EXPECT_STREQ(story[0], story[1]);
}

/* What has no hook for a filesystem is refused. */
TEST_F(tree, what_only_a_pipe_can)
{
	off_t off = 0;
	int fd, file, p[2];
	char buf[4];

	ASSERT_EQ(0, mkfifo("f", 0600));
	ASSERT_EQ(0, pipe(p));
	fd = open("f", O_RDWR);
	EXPECT_EQ(4, write(fd, "text", 4));
	EXPECT_EQ(EBADF, errno_of(fcntl(fd, F_SETPIPE_SZ, 1 << 20)));
	EXPECT_EQ(EINVAL, errno_of(tee(fd, p[1], 4, 0)));
	EXPECT_EQ(EINVAL, errno_of(splice(fd, &off, p[1], NULL, 4, 0)));
	/* Of two files one has to be a pipe, which this is not here: by way of one it goes. */
	file = memfd_create("file", 0);
	EXPECT_EQ(EINVAL, errno_of(splice(fd, NULL, file, NULL, 4, 0)));
	EXPECT_EQ(4, splice(fd, NULL, p[1], NULL, 4, 0));
	EXPECT_EQ(4, splice(p[0], NULL, file, NULL, 4, 0));
	EXPECT_EQ(4, pread(file, buf, 4, 0));
	EXPECT_EQ(0, memcmp(buf, "text", 4));
	close(file);
	close(fd);
}

/* Until a signal comes; then EINTR, at once. */
static int interrupted_open(int flags)
{
	double start = now();
	int err;

	alarm(1);
	err = errno_of(open("f", flags));
	return now() - start < 10 ? err : ETIMEDOUT;
}

TEST_F(tree, a_signal_ends_the_wait)
{
	static char big[1 << 20];
	char buf[100];
	int fd;

	ASSERT_EQ(0, mkfifo("f", 0600));
	handle(SIGALRM, 0);
	EXPECT_EQ(EINTR, interrupted_open(O_RDONLY));
	EXPECT_EQ(EINTR, interrupted_open(O_WRONLY));
	/* Nobody is left behind. */
	EXPECT_EQ(ENXIO, errno_of(open("f", O_WRONLY | O_NONBLOCK)));
	fd = open("f", O_RDWR);
	alarm(1);
	EXPECT_EQ(EINTR, errno_of(read(fd, buf, sizeof(buf))));
	alarm(1);
	EXPECT_LT(60000, write(fd, big, sizeof(big)));
	EXPECT_LT(60000, read(fd, big, sizeof(big)));
	/* With SA_RESTART it goes on. */
	handle(SIGALRM, SA_RESTART);
	host_runs("sleep 3; echo later >%s/f", self->srv);
	alarm(1);
	EXPECT_EQ(6, read(fd, buf, sizeof(buf)));
	close(fd);
	host_runs("sleep 3; exec 3>%s/f; sleep 3", self->srv);
	alarm(1);
	fd = open("f", O_RDONLY);
	EXPECT_LE(0, fd);
	close(fd);
}

TEST_F(tree, killed_while_it_waits)
{
	int i, status, fd;
	pid_t pid;

	ASSERT_EQ(0, mkfifo("f", 0600));
	for (i = 0; i < 3; i++) {
		pid = fork();
		if (!pid) {
			fd = open("f", i == 0 ? O_RDONLY : i == 1 ? O_WRONLY :
								    O_RDWR);
			_exit(read(fd, &fd, 1));
		}
		nap_ms(300);
		kill(pid, SIGKILL);
		ASSERT_TRUE(ends_within(pid, 5, &status));
		EXPECT_EQ(SIGKILL, status);
	}
	for (i = 0; i < 50; i++) {
		fd = open("f", O_WRONLY | O_NONBLOCK);
		if (fd < 0)
			break;
		close(fd);
		nap_ms(50);
	}
	EXPECT_EQ(-1, fd);	/* no reader is left */
}

/* Signals all the time: every byte comes, and in order. */
TEST_F(tree, interrupted_at_any_moment)
{
	struct itimerval often = { { 0, 3000 }, { 0, 3000 } }, never = { };
	const int total = on_debug(20000, 40000);
	unsigned char buf[64];
	int fd, n, len = 0, bad = 0, status;
	pid_t pid;

	ASSERT_EQ(0, mkfifo("f", 0600));
	pid = fork();
	if (!pid) {
		fd = open("f", O_WRONLY);
		for (len = 0; len < total; len += n) {
			fill(buf, 2, len, 50);
			n = write_all(fd, buf, total - len < 50 ? total - len :
								  50);
			if (len % 1000 == 0)
				nap_ms(5);
		}
		_exit(0);
	}
	handle(SIGALRM, 0);
	fd = open("f", O_RDONLY);
	ASSERT_LE(0, fd);
	setitimer(ITIMER_REAL, &often, NULL);
	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		bad += wrong_at(buf, 2, len, n) != n;
		len += n;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	EXPECT_EQ(0, n);
	EXPECT_EQ(total, len);
	EXPECT_EQ(0, bad);
	EXPECT_LT(0, alarms);
	ASSERT_TRUE(ends_within(pid, 10, &status));
}

/* Not more than PIPE_BUF at once is never mixed with others'. */
TEST_F(tree, writes_are_atomic)
{
	enum { LEN = PIPE_BUF, TIMES = 30 };
	static char buf[LEN];
	char first;
	int fd, n, i, j, seen[3] = { }, mixed = 0;
	pid_t pid[2];

	ASSERT_EQ(0, mkfifo("f", 0600));
	fd = open("f", O_RDWR);
	for (i = 0; i < 2; i++) {
		pid[i] = fork();
		if (pid[i])
			continue;
		close(fd);
		fd = open("f", O_WRONLY);
		memset(buf, 'a' + i, LEN);
		for (j = 0; j < TIMES; j++)
			if (write(fd, buf, LEN) != LEN)
				_exit(1);
		_exit(0);
	}
	host_runs("python3 -IS -c 'import os\nf = os.open(\"%s/f\", os.O_WRONLY)\n"
		  "for i in range(%d): os.write(f, b\"c\" * %d)'",
		  self->srv, TIMES, LEN);
	for (i = 0; i < 3 * TIMES; i++) {
		for (n = 0; n < LEN; ) {
			ssize_t got = read(fd, buf + n, LEN - n);

			ASSERT_LT(0, got);
			n += got;
		}
		first = buf[0];
		for (n = 0; n < LEN; n++)
			mixed += buf[n] != first;
		if (first >= 'a' && first <= 'c')
			seen[first - 'a']++;
	}
	EXPECT_EQ(0, mixed);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(TIMES, seen[i]);
	close(fd);
}

TEST_F(tree, closing_is_seen_at_once)
{
	int rd, wr, i;
	char c;

	handle(SIGPIPE, 0);
	ASSERT_EQ(0, mkfifo("f", 0600));
	for (i = 0; i < 10; i++) {
		rd = open("f", O_RDONLY | O_NONBLOCK);
		wr = open("f", O_WRONLY);
		close(rd);
		EXPECT_EQ(EPIPE, errno_of(write(wr, "x", 1)));
		rd = open("f", O_RDONLY | O_NONBLOCK);
		close(wr);
		EXPECT_EQ(0, read(rd, &c, 1));
		close(rd);
		EXPECT_EQ(ENXIO, errno_of(open("f", O_WRONLY | O_NONBLOCK)));
	}
}

/* A signal that comes before the call is lost: another follows. */
static bool interrupted_within(pid_t pid, double seconds, int *status)
{
	double end = now() + seconds;

	do {
		kill(pid, SIGUSR1);
		if (ends_within(pid, 0.3, status))
			return true;
	} while (now() < end);
	return false;
}

TEST_F_TIMEOUT(tree, many_wait_and_the_rest_goes_on, 250)
{
	enum { MANY = 100 };
	pid_t pid[MANY];
	char name[16];
	struct stat st;
	int i, fd, status;
	double start;

	handle(SIGUSR1, 0);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		ASSERT_EQ(0, mkfifo(name, 0600));
		pid[i] = fork();
		if (!pid[i]) {
			fd = open(name, i % 2 ? O_RDONLY : O_WRONLY);
			_exit(fd < 0 ? errno : 0);
		}
	}
	nap_ms(1000);
	start = now();
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "file%d", i);
		fd = open(name, O_CREAT | O_RDWR, 0600);
		ASSERT_LE(0, fd);
		ASSERT_EQ(4, write(fd, "text", 4));
		ASSERT_EQ(0, fsync(fd));
		close(fd);
		ASSERT_EQ(0, stat(name, &st));
	}
	EXPECT_GT(20, now() - start) TH_LOG("%f s", now() - start);
	/* Some meet, the others are interrupted. */
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		fd = open(name, i % 2 ? O_WRONLY : O_RDONLY);
		ASSERT_LE(0, fd);
		ASSERT_TRUE(ends_within(pid[i], 20, &status));
		EXPECT_EQ(0, status);
		close(fd);
	}
	for (i = 20; i < MANY; i++)
		kill(pid[i], SIGUSR1);
	for (i = 20; i < MANY; i++) {
		ASSERT_TRUE(interrupted_within(pid[i], 30, &status))
			TH_LOG("%d", i);
		EXPECT_EQ(EINTR, WEXITSTATUS(status));
	}
}

struct waiter {
	pthread_t thread;
	char name[16];
	int flags;
	int err;
	bool done;
};

static void *wait_in_open(void *arg)
{
	struct waiter *w = arg;
	int fd = open(w->name, w->flags);

	w->err = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	__atomic_store_n(&w->done, true, __ATOMIC_SEQ_CST);
	return NULL;
}

/* How long some other work takes. */
static double work(const char *prefix)
{
	double start = now();
	char name[32];
	struct stat st;
	int i, fd;

	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "%s%d", prefix, i);
		fd = open(name, O_CREAT | O_RDWR, 0600);
		if (fd < 0 || write(fd, "text", 4) != 4 || fsync(fd) ||
		    close(fd) || stat(name, &st))
			return 1000;
	}
	return now() - start;
}

/* As threads: so many processes take long to start. */
TEST_F_TIMEOUT(tree, a_thousand_wait_and_nothing_is_slower, 250)
{
	const int many = on_debug(200, 1000);
	struct waiter *all = calloc(many, sizeof(*all));
	double alone, beside, start, longest = 0;
	pthread_attr_t attr;
	int i;

	ASSERT_NE(NULL, all);
	handle(SIGUSR1, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	work("warm");
	alone = work("alone");
	for (i = 0; i < many; i++) {
		snprintf(all[i].name, sizeof(all[i].name), "f%d", i);
		all[i].flags = i % 2 ? O_RDONLY : O_WRONLY;
		ASSERT_EQ(0, mkfifo(all[i].name, 0600));
		ASSERT_EQ(0, pthread_create(&all[i].thread, &attr, wait_in_open,
					    &all[i]));
	}
	nap_ms(2000);
	for (i = 0; i < many; i++)
		ASSERT_FALSE(__atomic_load_n(&all[i].done, __ATOMIC_SEQ_CST))
			TH_LOG("%d", i);
	beside = work("beside");
	EXPECT_GT(3 * alone + 1, beside) TH_LOG("%f s, alone %f s", beside, alone);
	/* A signal, and it has ended: what does not costs the test its time. */
	for (i = 0; i < many; i++) {
		start = now();
		pthread_kill(all[i].thread, SIGUSR1);
		pthread_join(all[i].thread, NULL);
		EXPECT_EQ(EINTR, all[i].err);
		if (now() - start > longest)
			longest = now() - start;
	}
	EXPECT_GT(2, longest) TH_LOG("%f s", longest);
	free(all);
}

/* Who waits for room is told when there will never be any. */
TEST_F(tree, the_last_reader_goes_while_a_writer_waits)
{
	static char big[1 << 20];
	int rd, status;
	pid_t pid;

	ASSERT_EQ(0, mkfifo("f", 0600));
	rd = open("f", O_RDONLY | O_NONBLOCK);
	pid = fork();
	if (!pid) {
		int wr = open("f", O_WRONLY);

		close(rd);
		handle(SIGPIPE, 0);
		if (write(wr, big, sizeof(big)) < 60000)
			_exit(100);
		if (pipes)	/* none yet: some of it was written */
			_exit(101);
		_exit(write(wr, big, 1) < 0 && pipes ? errno : 102);
	}
	nap_ms(1000);
	EXPECT_FALSE(ends_within(pid, 0.2, &status));
	close(rd);
	ASSERT_TRUE(ends_within(pid, 10, &status));
	EXPECT_EQ(EPIPE, WEXITSTATUS(status));
}

/* Not a FIFO, but nothing to read either, until the server's kernel speaks. */
TEST_F(tree, other_files_that_block)
{
	char name[200], buf[8192];
	bool found = false;
	double end;
	int fd, n;

	snprintf(name, sizeof(name), "%s/proc/kmsg", mount_point());
	fd = open(name, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		SKIP(return, "cannot open %s", name);
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	EXPECT_EQ(EAGAIN, errno);
	close(fd);
	fd = open(name, O_RDONLY);
	handle(SIGALRM, 0);
	for (n = 0; n < 20; n++) {	/* others' messages may come */
		alarm(1);
		if (read(fd, buf, sizeof(buf)) < 0)
			break;
	}
	EXPECT_EQ(EINTR, errno);
	EXPECT_GT(20, n);
	host_runs("sleep 1; echo the server speaks >/dev/kmsg");
	for (end = now() + 20; !found && now() < end; ) {
		alarm(20);
		n = read(fd, buf, sizeof(buf) - 1);
		buf[n > 0 ? n : 0] = 0;
		found = strstr(buf, "the server speaks");
	}
	alarm(0);
	EXPECT_TRUE(found);
	close(fd);
}

TEST_HARNESS_MAIN
