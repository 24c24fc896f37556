// SPDX-License-Identifier: GPL-2.0
/*
 * flock(2) and fcntl(2)'s locks: as on a local filesystem among processes of
 * the client, and just so between them and processes of the server.
 */
#define _GNU_SOURCE
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "common.h"

static int set_lock(int fd, int cmd, int type, off_t start, off_t len)
{
	struct flock fl = {
		.l_type = type, .l_start = start, .l_len = len,
	};

	return errno_of(fcntl(fd, cmd, &fl));
}

static int open_file(const char *name)
{
	return open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
}

/* A try on the host, with Python: 0 or errno. */
static int host_try(const char *srv, const char *call)
{
	char out[256];

	on_host(out, sizeof(out),
		"python3 -IS -c 'from fcntl import *\nf = open(\"%s/f\", \"r+\")\n"
		"try:\n %s\n print(0)\nexcept OSError as e:\n print(e.errno)'",
		srv, call);
	return atoi(out);
}

/* @how: LOCK_EX, LOCK_SH. @len 0: to the end */
static int host_range(const char *srv, const char *how, int len, int start)
{
	char call[64];

	snprintf(call, sizeof(call), "lockf(f, %s | LOCK_NB, %d, %d)", how, len,
		 start);
	return host_try(srv, call);
}

static int host_flock(const char *srv, const char *how)
{
	char call[64];

	snprintf(call, sizeof(call), "flock(f, %s | LOCK_NB)", how);
	return host_try(srv, call);
}

TEST_F(tree, exclude_the_servers_processes)
{
	int fd = open_file("f");

	ASSERT_EQ(0, set_lock(fd, F_SETLK, F_WRLCK, 10, 10));
	EXPECT_EQ(EAGAIN, host_range(self->srv, "LOCK_SH", 1, 19));
	EXPECT_EQ(0, host_range(self->srv, "LOCK_EX", 1, 20));
	ASSERT_EQ(0, set_lock(fd, F_SETLK, F_RDLCK, 10, 10));
	EXPECT_EQ(0, host_range(self->srv, "LOCK_SH", 1, 19));
	EXPECT_EQ(EAGAIN, host_range(self->srv, "LOCK_EX", 1, 19));
	/* Any descriptor of the file that is closed ends a process's locks. */
	close(open_file("f"));
	EXPECT_EQ(0, host_range(self->srv, "LOCK_EX", 0, 0));

	ASSERT_EQ(0, set_lock(fd, F_OFD_SETLK, F_WRLCK, 0, 0));
	close(open_file("f"));
	EXPECT_EQ(EAGAIN, host_range(self->srv, "LOCK_SH", 1, 19));
	ASSERT_EQ(0, set_lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0));
	EXPECT_EQ(0, host_range(self->srv, "LOCK_EX", 0, 0));

	ASSERT_EQ(0, flock(fd, LOCK_EX));
	EXPECT_EQ(EAGAIN, host_flock(self->srv, "LOCK_SH"));
	ASSERT_EQ(0, flock(fd, LOCK_SH));
	EXPECT_EQ(0, host_flock(self->srv, "LOCK_SH"));
	EXPECT_EQ(EAGAIN, host_flock(self->srv, "LOCK_EX"));
	close(fd);
	EXPECT_EQ(0, host_flock(self->srv, "LOCK_EX"));
}

/* What was written under it may travel together with the close. */
TEST_F(tree, end_with_a_close_that_writes)
{
	int fd = open_file("f"), other;

	ASSERT_EQ(0, set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	ASSERT_EQ(4, write(fd, "text", 4));
	ASSERT_EQ(0, close(fd));
	EXPECT_EQ(0, host_range(self->srv, "LOCK_EX", 0, 0));

	/* Of a descriptor that did not lock, and by the end of a process. */
	fd = open_file("f");
	other = open_file("f");
	ASSERT_EQ(0, set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	ASSERT_EQ(4, write(other, "TEXT", 4));
	ASSERT_EQ(0, close(other));
	EXPECT_EQ(0, host_range(self->srv, "LOCK_EX", 0, 0));
	close(fd);
	if (!fork()) {
		fd = open_file("f");
		if (set_lock(fd, F_SETLK, F_WRLCK, 0, 0) ||
		    write(fd, "last", 4) != 4)
			_exit(1);
		_exit(0);
	}
	ASSERT_LT(0, wait(&other));
	EXPECT_EQ(0, other);
	EXPECT_EQ(0, host_range(self->srv, "LOCK_EX", 0, 0));
}

/* A process of the server has the file's bytes 100 to 149 until "go" exists. */
static int host_holds(const char *srv)
{
	return on_host(NULL, 0,
		"python3 -IS -c 'import fcntl, os, time\nf = open(\"%s/f\", \"r+\")\n"
		"fcntl.lockf(f, fcntl.LOCK_EX, 50, 100)\n"
		"fcntl.flock(f, fcntl.LOCK_EX)\nopen(\"%s/ready\", \"w\")\n"
		"while not os.path.exists(\"%s/go\"): time.sleep(0.05)' "
		"</dev/null >/dev/null 2>&1 & "
		"while [ ! -e %s/ready ]; do sleep 0.1; done",
		srv, srv, srv, srv);
}

static void on_alarm(int number)
{
}

TEST_F(tree, wait_for_the_servers_processes)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct flock fl = { .l_type = F_RDLCK, .l_start = 149 };
	int fd = open_file("f");

	ASSERT_EQ(0, host_holds(self->srv));
	EXPECT_EQ(EAGAIN, set_lock(fd, F_SETLK, F_RDLCK, 0, 0));
	EXPECT_EQ(0, set_lock(fd, F_SETLK, F_WRLCK, 0, 100));
	EXPECT_EQ(EWOULDBLOCK, errno_of(flock(fd, LOCK_SH | LOCK_NB)));
	ASSERT_EQ(0, fcntl(fd, F_GETLK, &fl));
	EXPECT_EQ(F_WRLCK, fl.l_type);
	EXPECT_EQ(100, fl.l_start);
	EXPECT_EQ(50, fl.l_len);
	EXPECT_GT(0, fl.l_pid);		/* of another machine */

	sigaction(SIGALRM, &sa, NULL);
	alarm(1);
	EXPECT_EQ(EINTR, set_lock(fd, F_SETLKW, F_WRLCK, 100, 1));
	alarm(1);
	EXPECT_EQ(EINTR, errno_of(flock(fd, LOCK_EX)));
	/* With SA_RESTART it goes on waiting. */
	sa.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &sa, NULL);
	alarm(1);
	on_host(NULL, 0, "(sleep 3; touch %s/go) </dev/null >/dev/null 2>&1 &",
		self->srv);
	EXPECT_EQ(0, set_lock(fd, F_SETLKW, F_WRLCK, 100, 1));
	EXPECT_EQ(0, errno_of(flock(fd, LOCK_EX)));
	EXPECT_EQ(EAGAIN, host_range(self->srv, "LOCK_SH", 1, 100));
	EXPECT_EQ(0, host_range(self->srv, "LOCK_EX", 1, 101));
	close(fd);
}

/* Forks a child that waits for a lock; it exits with the errno, or stays. */
static pid_t waiter(const char *name, int type, off_t start, off_t len)
{
	pid_t pid = fork();
	int fd, err;

	if (pid)
		return pid;
	fd = open_file(name);
	err = set_lock(fd, F_SETLKW, type, start, len);
	_exit(err);
}

/* Killed before, while and just as they get it: nobody who is dead has it. */
TEST_F(tree, those_who_wait_can_be_killed)
{
	static const unsigned int ms[] = { 10, 50, 100, 500 };
	int fd = open_file("f"), status, round, i;
	pid_t pid;

	for (round = 0; round < 12; round++) {
		ASSERT_EQ(0, set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
		for (i = 0; i < 3; i++) {
			pid = waiter("f", F_WRLCK, 0, 0);
			nap_ms(ms[(round + i) % ARRAY_LEN(ms)]);
			kill(pid, SIGKILL);
			ASSERT_TRUE(ends_within(pid, 5, &status));
			ASSERT_EQ(SIGKILL, status);
		}
		ASSERT_EQ(0, set_lock(fd, F_SETLK, F_UNLCK, 0, 0));
		for (i = 0; i < 50 && set_lock(fd, F_SETLK, F_WRLCK, 0, 0); i++)
			nap_ms(100);
	}
	ASSERT_EQ(0, set_lock(fd, F_SETLK, F_UNLCK, 0, 0));
	EXPECT_EQ(0, host_range(self->srv, "LOCK_EX", 0, 0));
	close(fd);
}

TEST_F(tree, end_with_their_process)
{
	int fd = open_file("f"), status;
	pid_t pid = fork();

	if (!pid) {
		set_lock(open_file("f"), F_SETLKW, F_WRLCK, 0, 0);
		flock(open_file("f"), LOCK_EX);
		pause();
	}
	while (!set_lock(fd, F_SETLK, F_RDLCK, 0, 0)) {
		set_lock(fd, F_SETLK, F_UNLCK, 0, 0);
		nap_ms(20);
	}
	while (!flock(fd, LOCK_EX | LOCK_NB)) {
		flock(fd, LOCK_UN);
		nap_ms(20);
	}
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, set_lock(fd, F_SETLKW, F_WRLCK, 0, 0));
	EXPECT_EQ(0, errno_of(flock(fd, LOCK_EX)));
	close(fd);
	EXPECT_EQ(0, host_range(self->srv, "LOCK_EX", 0, 0));
	EXPECT_EQ(0, host_flock(self->srv, "LOCK_EX"));
}

TEST_F(tree, flock_goes_with_the_open_file)
{
	int fd = open_file("f"), other = open_file("f"), status;
	int twin = dup(fd);
	pid_t pid;

	ASSERT_EQ(0, flock(fd, LOCK_EX));
	EXPECT_EQ(0, flock(twin, LOCK_EX | LOCK_NB));
	EXPECT_EQ(EWOULDBLOCK, errno_of(flock(other, LOCK_SH | LOCK_NB)));
	pid = fork();
	if (!pid) {
		close(twin);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	close(fd);
	EXPECT_EQ(EWOULDBLOCK, errno_of(flock(other, LOCK_SH | LOCK_NB)));
	close(twin);
	EXPECT_EQ(0, flock(other, LOCK_SH | LOCK_NB));
	close(other);

	mkdir("d", 0755);
	fd = open("d", O_RDONLY | O_DIRECTORY);
	ASSERT_EQ(0, flock(fd, LOCK_EX));
	EXPECT_NE(0, on_host(NULL, 0, "flock -n %s/d true", self->srv));
	close(fd);
	EXPECT_EQ(0, on_host(NULL, 0, "flock -n %s/d true", self->srv));
}

/* As flock(2) says: converting is not one step, and may lose. */
TEST_F(tree, a_failed_conversion_loses_the_lock)
{
	int one = open_file("f"), two = open_file("f"), three = open_file("f");

	ASSERT_EQ(0, flock(one, LOCK_SH));
	ASSERT_EQ(0, flock(two, LOCK_SH));
	EXPECT_EQ(EWOULDBLOCK, errno_of(flock(one, LOCK_EX | LOCK_NB)));
	ASSERT_EQ(0, flock(two, LOCK_UN));
	EXPECT_EQ(0, flock(three, LOCK_EX | LOCK_NB));
	close(one);
	close(two);
	close(three);
}

TEST_F(tree, circles_are_told_of)
{
	int fd = open_file("f"), status;
	pid_t pid;

	ASSERT_EQ(0, set_lock(fd, F_SETLK, F_WRLCK, 0, 1));
	pid = fork();
	if (!pid) {
		fd = open_file("f");
		set_lock(fd, F_SETLKW, F_WRLCK, 1, 1);
		_exit(set_lock(fd, F_SETLKW, F_WRLCK, 0, 1));
	}
	while (!set_lock(fd, F_SETLK, F_RDLCK, 1, 1))
		set_lock(fd, F_SETLK, F_UNLCK, 1, 1), nap_ms(20);
	/* Once the child waits. */
	nap_ms(1500);
	EXPECT_EQ(EDEADLK, set_lock(fd, F_SETLKW, F_WRLCK, 1, 1));
	EXPECT_EQ(0, set_lock(fd, F_SETLK, F_UNLCK, 0, 0));
	EXPECT_TRUE(ends_within(pid, 10, &status));
	EXPECT_EQ(0, status);
	close(fd);
}

/* More than there may be requests under way: nobody else is held up. */
#define WAITERS 300

TEST_F_TIMEOUT(tree, many_wait_and_the_rest_goes_on, 250)
{
	static pid_t pid[WAITERS];
	int fd = open_file("f"), i, status;

	ASSERT_EQ(0, set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	for (i = 0; i < WAITERS; i++)
		pid[i] = waiter("f", i % 3 ? F_WRLCK : F_RDLCK, 0, 100);
	nap_ms(3000);
	for (i = 0; i < 20; i++)
		EXPECT_EQ(0, mkdir("d", 0755) ?: rmdir("d"));
	for (i = 0; i < WAITERS; i++)
		EXPECT_EQ(0, waitpid(pid[i], &status, WNOHANG));
	ASSERT_EQ(0, set_lock(fd, F_SETLK, F_UNLCK, 0, 0));
	for (i = 0; i < WAITERS; i++) {
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	EXPECT_EQ(0, set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	close(fd);
}

/* A signal at any moment of the request's way there and back. */
TEST_F(tree, interrupted_at_any_moment)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	int fd = open_file("f"), other = open_file("f"), i, err;
	struct itimerval timer = {};

	sigaction(SIGALRM, &sa, NULL);
	ASSERT_EQ(0, set_lock(fd, F_OFD_SETLK, F_WRLCK, 0, 0));
	ASSERT_EQ(0, flock(fd, LOCK_EX));
	for (i = 0; i < 60; i++) {
		timer.it_value.tv_usec = 100 + i * 150;
		/* It may come before the wait: then again. */
		timer.it_interval.tv_usec = 20000;
		setitimer(ITIMER_REAL, &timer, NULL);
		err = i % 2 ? errno_of(flock(other, LOCK_SH)) :
			      set_lock(other, F_OFD_SETLKW, F_RDLCK, 0, 0);
		ASSERT_EQ(EINTR, err);
	}
	setitimer(ITIMER_REAL, &(struct itimerval){}, NULL);
	close(fd);
	EXPECT_EQ(0, set_lock(other, F_OFD_SETLKW, F_WRLCK, 0, 0));
	EXPECT_EQ(0, errno_of(flock(other, LOCK_EX)));
	close(other);
}

/* The last close gives back what is the open file's, at once. */
TEST_F(tree, closed_is_free)
{
	int fd = open_file("f"), other, i;

	for (i = 0; i < 20; i++) {
		other = open("f", O_RDONLY);
		ASSERT_EQ(0, set_lock(other, F_OFD_SETLK, F_RDLCK, 0, 0));
		ASSERT_EQ(0, flock(other, LOCK_EX));
		close(other);
		ASSERT_EQ(0, set_lock(fd, F_OFD_SETLK, F_WRLCK, 0, 0));
		ASSERT_EQ(0, flock(fd, LOCK_EX | LOCK_NB));
		ASSERT_EQ(0, set_lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0));
		ASSERT_EQ(0, flock(fd, LOCK_UN));
	}
	close(fd);
}

/* Two who share it both want it for themselves: first one, then the other. */
TEST_F(tree, both_convert)
{
	int i, j, fd, status, ready[2], go[2];
	pid_t pid[2];
	char c;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, pipe(ready));
		ASSERT_EQ(0, pipe(go));
		for (j = 0; j < 2; j++) {
			pid[j] = fork();
			if (pid[j])
				continue;
			fd = open_file("f");
			flock(fd, LOCK_SH);
			if (write(ready[1], "x", 1) != 1 ||
			    read(go[0], &c, 1) != 1)
				_exit(100);
			_exit(errno_of(flock(fd, LOCK_EX)));
		}
		for (j = 0; j < 2; j++)
			ASSERT_EQ(1, read(ready[0], &c, 1));
		ASSERT_EQ(2, write(go[1], "xx", 2));
		for (j = 0; j < 2; j++) {
			EXPECT_TRUE(ends_within(pid[j], 20, &status))
				kill(pid[j], SIGKILL);
			EXPECT_EQ(0, status);
		}
		for (j = 0; j < 2; j++) {
			close(ready[j]);
			close(go[j]);
		}
	}
}

TEST_F(tree, leases_are_refused)
{
	int fd = open_file("f");

	EXPECT_EQ(EINVAL, errno_of(fcntl(fd, F_SETLEASE, F_WRLCK)));
	close(fd);
}

/* ------------------------------------- the same as on a local filesystem */

struct step {
	int who, cmd, type;
	off_t start, len;
};

struct outcome {
	int err, type;
	off_t start, len;
};

static struct outcome take(int fd, const struct step *s)
{
	struct flock fl = {
		.l_type = s->type, .l_start = s->start, .l_len = s->len,
	};
	struct outcome o = { .err = errno_of(fcntl(fd, s->cmd, &fl)) };

	if (s->cmd == F_GETLK || s->cmd == F_OFD_GETLK) {
		o.type = fl.l_type;
		/* Which of several is not said. */
		if (fl.l_type == F_UNLCK)
			o.start = o.len = 0;
	}
	return o;
}

static struct step random_step(unsigned int *seed, bool ofd)
{
	static const int types[] = { F_RDLCK, F_WRLCK, F_UNLCK };
	struct step s = {
		.who = rand_r(seed) % 3,
		.type = types[rand_r(seed) % 3],
		.start = rand_r(seed) % 40,
		.len = rand_r(seed) % 12,	/* 0: to the end */
	};

	s.cmd = ofd ? F_OFD_SETLK : F_SETLK;
	if (s.type != F_UNLCK && !(rand_r(seed) % 3))
		s.cmd = ofd ? F_OFD_GETLK : F_GETLK;
	return s;
}

/* Takes steps that come through @sock, on both files, until killed. */
static void actor(int sock, const char *here, const char *local)
{
	int fds[2] = { open(here, O_RDWR), open(local, O_RDWR) }, i;
	struct outcome o[2];
	struct step s;

	while (read(sock, &s, sizeof(s)) == sizeof(s)) {
		for (i = 0; i < 2; i++)
			o[i] = take(fds[i], &s);
		if (write(sock, o, sizeof(o)) != sizeof(o))
			break;
	}
	_exit(0);
}

static bool same(const struct outcome *o, const struct step *s, int n)
{
	if (o[0].err == o[1].err && o[0].type == o[1].type)
		return true;
	printf("# step %d: %d does %d type %d, %ld+%ld: here %d type %d, locally %d type %d\n",
	       n, s->who, s->cmd, s->type, (long)s->start, (long)s->len,
	       o[0].err, o[0].type, o[1].err, o[1].type);
	return false;
}

TEST_F_TIMEOUT(tree, of_processes_as_locally, 250)
{
	char local[] = "/dev/shm/lock_files.XXXXXX";
	unsigned int seed = time(NULL), steps = on_debug(300, 600), n, wrong = 0;
	int sock[3][2], i, fd = mkstemp(local);
	struct outcome o[2];
	struct step s;
	pid_t pid[3];

	TH_LOG("seed %u", seed);
	close(open_file("f"));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
					sock[i]));
		pid[i] = fork();
		if (!pid[i])
			actor(sock[i][1], "f", local);
	}
	for (n = 0; n < steps && wrong < 5; n++) {
		s = random_step(&seed, false);
		ASSERT_EQ(sizeof(s), write(sock[s.who][0], &s, sizeof(s)));
		ASSERT_EQ(sizeof(o), read(sock[s.who][0], o, sizeof(o)));
		wrong += !same(o, &s, n);
	}
	EXPECT_EQ(0, wrong);
	for (i = 0; i < 3; i++) {
		kill(pid[i], SIGTERM);
		waitpid(pid[i], NULL, 0);
	}
	close(fd);
	unlink(local);
}

TEST_F_TIMEOUT(tree, of_open_files_as_locally, 250)
{
	char local[] = "/dev/shm/lock_files.XXXXXX";
	unsigned int seed = time(NULL), steps = on_debug(300, 600), n, wrong = 0;
	int fds[3][2], i, j, fd = mkstemp(local);
	struct outcome o[2];
	struct step s;

	TH_LOG("seed %u", seed);
	for (i = 0; i < 3; i++) {
		fds[i][0] = open_file("f");
		fds[i][1] = open(local, O_RDWR);
	}
	for (n = 0; n < steps && wrong < 5; n++) {
		s = random_step(&seed, true);
		for (j = 0; j < 2; j++)
			o[j] = take(fds[s.who][j], &s);
		wrong += !same(o, &s, n);
	}
	EXPECT_EQ(0, wrong);
	for (i = 0; i < 3; i++) {
		close(fds[i][0]);
		close(fds[i][1]);
	}
	close(fd);
	unlink(local);
}

/* ---------------------------------------------------------- and the data */

#define ROUNDS 40

/* Adds one to the number at %d, ROUNDS times, with a lock of just that. */
static const char adder[] =
	"from fcntl import *\nimport os, time\n"
	"fd = os.open(\"%s/f\", os.O_RDWR)\n"
	"for i in range(%d):\n"
	" lockf(fd, LOCK_EX, 8, %d)\n"
	" n = int(os.pread(fd, 8, %d))\n"
	" os.pwrite(fd, b\"%%08d\" %% (n + 1), %d)\n"
	" lockf(fd, LOCK_UN, 8, %d)\n"
	" time.sleep(0.02)\n";

static int host_adds(const char *srv, int at)
{
	char script[512];
	int fd = open("add.py", O_WRONLY | O_CREAT, 0644);
	int len = snprintf(script, sizeof(script), adder, srv, ROUNDS, at, at,
			   at, at);
	int ret = write(fd, script, len);

	close(fd);
	if (ret != len)
		return -1;
	return on_host(NULL, 0, "(python3 -IS %s/add.py; echo $? >%s/ended) </dev/null >/dev/null 2>&1 &",
		       srv, srv);
}

/* The same here; the number that it became. */
static int add(int fd)
{
	char text[16] = {};
	int n;

	if (set_lock(fd, F_SETLKW, F_WRLCK, 0, 8) ||
	    pread(fd, text, 8, 0) != 8)
		return -1;
	n = atoi(text) + 1;
	nap_ms(5);	/* for the other to come */
	snprintf(text, sizeof(text), "%08d", n);
	if (pwrite(fd, text, 8, 0) != 8 ||
	    set_lock(fd, F_SETLK, F_UNLCK, 0, 8))
		return -1;
	return n;
}

/* What the file is at the end, for the server; NULL if its process failed. */
static const char *result(const char *srv)
{
	static char text[64];

	on_host(text, sizeof(text),
		"while [ ! -e %s/ended ]; do sleep 0.1; done; cat %s/ended",
		srv, srv);
	if (strcmp(text, "0"))
		return NULL;
	on_host(text, sizeof(text), "cat %s/f", srv);
	return text;
}

/* However long this client would otherwise believe what it has cached. */
TEST_F(tree, locked_is_fresh)
{
	char dir[] = "/tmp/lock_files.XXXXXX", path[160], text[8] = {};
	int fd, other;

	ASSERT_NE(NULL, mkdtemp(dir));
	close(open_file("f"));
	ASSERT_EQ(0, on_host(NULL, 0, "printf old >%s/f", self->srv));
	ASSERT_EQ(0, shell(NULL, 0, "mount -t qtfs -o actimeo=600 ${QTFS_SOURCE:-/} %s",
			   dir));
	snprintf(path, sizeof(path), "%s%s/f", dir, self->srv);
	fd = open(path, O_RDWR);
	ASSERT_EQ(3, pread(fd, text, 8, 0));
	ASSERT_EQ(0, on_host(NULL, 0, "printf new >%s/f", self->srv));
	ASSERT_EQ(3, pread(fd, text, 8, 0));
	EXPECT_STREQ("old", text);
	EXPECT_EQ(0, set_lock(fd, F_SETLK, F_RDLCK, 0, 1));
	ASSERT_EQ(3, pread(fd, text, 8, 0));
	EXPECT_STREQ("new", text);
	other = open_file("f");
	/* With all of it locked writes are cached, until the lock goes. */
	ASSERT_EQ(0, set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	ASSERT_EQ(3, pwrite(fd, "own", 3, 0));
	ASSERT_EQ(0, set_lock(fd, F_SETLK, F_UNLCK, 0, 0));
	/* A process that is forked would write it when it closes the file. */
	EXPECT_EQ(0, set_lock(other, F_SETLK, F_RDLCK, 0, 0));
	ASSERT_EQ(3, pread(other, text, 8, 0));
	EXPECT_STREQ("own", text);
	close(other);
	close(fd);
	EXPECT_EQ(0, umount(dir));
	rmdir(dir);
}

/* Who has the lock sees what the one before wrote, and loses none of it. */
TEST_F_TIMEOUT(tree, the_same_bytes_on_both_sides, 250)
{
	int fd = open_file("f"), i;

	ASSERT_EQ(8, write(fd, "00000000", 8));
	ASSERT_EQ(0, fsync(fd));
	ASSERT_EQ(0, host_adds(self->srv, 0));
	for (i = 0; i < 2 * ROUNDS; i++)
		ASSERT_LT(0, add(fd));
	ASSERT_STREQ("00000120", result(self->srv));
	close(fd);
}

/* Bytes beside each other, each with a lock of its own: none undoes another. */
TEST_F_TIMEOUT(tree, neighbours_on_both_sides, 250)
{
	int fd = open_file("f"), i;

	ASSERT_EQ(16, write(fd, "0000000000000000", 16));
	ASSERT_EQ(0, fsync(fd));
	ASSERT_EQ(0, host_adds(self->srv, 8));
	for (i = 0; i < 4 * ROUNDS; i++)
		ASSERT_EQ(i + 1, add(fd));
	ASSERT_STREQ("0000016000000040", result(self->srv));
	close(fd);
}

TEST_HARNESS_MAIN
