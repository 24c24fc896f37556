// SPDX-License-Identifier: GPL-2.0
/*
 * Several connections of one mount, to an engine that is a process for each of
 * them: joining, what is lost with one of them, what must not be overtaken.
 */
#include "fake_engine.h"

#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#define MOST 16

/* What the engine's processes and the test share. */
static struct shared {
	int nr;				/* connections so far */
	pid_t pid[MOST];		/* who serves them */
	int seen[MOST][QTFS_OP_NR];	/* requests, by connection */
	int held;			/* one waits for @go */
	int go;
	pid_t user[2];			/* who uses a connection now */
	struct evil first;		/* spoils the first connection ... */
	struct evil others;		/* ... and the others */
} *shared;

static int mine;	/* the connection that this process serves */

static void saw(unsigned int op)
{
	if (op < QTFS_OP_NR)
		__atomic_add_fetch(&shared->seen[mine][op], 1, __ATOMIC_SEQ_CST);
}

static int seen(int conn, unsigned int op)
{
	return __atomic_load_n(&shared->seen[conn][op], __ATOMIC_SEQ_CST);
}

/* A process for each connection. */
static void run_several(int fd, void *arg)
{
	int conn = shared->nr++ % MOST;
	pid_t pid = fork();

	if (pid) {
		shared->pid[conn] = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_DFL);
	mine = conn;
	fake_engine_saw = saw;
	run_fake_engine(fd, conn ? &shared->others : &shared->first);
	_exit(0);
}

static struct qtfs_wire_session_rep *session(struct reply *r)
{
	return (void *)r->bytes;
}

static void another_life(struct reply *r)
{
	((struct qtfs_wire_hello_rep *)r->bytes)->life = htole64(2);
}

static void less_io(struct reply *r)
{
	((struct qtfs_wire_hello_rep *)r->bytes)->io_max = htole32(65536);
}

static void hangs_up(struct reply *r)		{ r->cut = 4; r->close_after = true; }
static void refused(struct reply *r)		{ r->hdr.status = htole32(QTFS_EACCES); r->body = 0; }
static void full(struct reply *r)		{ r->hdr.status = htole32(QTFS_EMFILE); r->body = 0; }
static void another_session(struct reply *r)	{ session(r)->id[15] = 1; }
static void another_epoch(struct reply *r)	{ session(r)->epoch = htole16(1); }

/* Answers when it is told to. */
static void holds(struct reply *r)
{
	__atomic_store_n(&shared->held, mine + 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&shared->go, __ATOMIC_SEQ_CST))
		nap_ms(5);
}

static void grown(struct reply *r)
{
	r->attr->size = htole64(7);
	r->attr->change = htole64(2);
}

/* @spoil replies to @op, on all connections but the first. */
static pid_t start(unsigned int op, spoiler spoil, int *port)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -1;
	shared->others = (struct evil){ op, spoil, 0 };
	return listen_and(run_several, NULL, port);
}

static void stop(pid_t pid)
{
	int i;

	/* Its children first: nobody else reaps them. */
	for (i = 0; i < MOST; i++)
		if (shared->pid[i])
			kill(shared->pid[i], SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(shared, sizeof(*shared));
}

FIXTURE(join)
{
	char dir[64];
	pid_t pid;
	int port;
};

FIXTURE_VARIANT(join)
{
	unsigned int op;
	spoiler spoil;
	const char *says;
};

#define JOIN(OP, name, message)						\
	FIXTURE_VARIANT_ADD(join, OP##_##name) {			\
		.op = QTFS_OP_##OP, .spoil = name, .says = message,	\
	}

JOIN(HELLO, another_life, "another server answers");
JOIN(HELLO, less_io, "another server answers");
JOIN(HELLO, hangs_up, "takes no more connections");
JOIN(SESSION, refused, "does not let us join");
JOIN(SESSION, full, "allows a client no more connections");
JOIN(SESSION, another_session, "joined us to another session");
JOIN(SESSION, another_epoch, "joined us to another session");

FIXTURE_SETUP(join)
{
	self->pid = start(variant->op, variant->spoil, &self->port);
	ASSERT_LT(0, self->pid);
	snprintf(self->dir, sizeof(self->dir), "/tmp/join.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
}

FIXTURE_TEARDOWN(join)
{
	umount2(self->dir, MNT_FORCE);
	rmdir(self->dir);
	stop(self->pid);
}

TEST_F(join, fails_and_says_which)
{
	char out[4096];

	EXPECT_EQ(32, shell(out, sizeof(out),
			    "mount -t qtfs -o port=%d,connect_timeout=5,nconnect=3 127.0.0.1:/ %s",
			    self->port, self->dir));
	EXPECT_NE(NULL, strstr(out, variant->says)) TH_LOG("%s", out);
	EXPECT_NE(NULL, strstr(out, "nconnect=3, connection 2")) TH_LOG("%s", out);
	/* One of them is no trouble. */
	shared->nr = 0;
	EXPECT_EQ(0, shell(out, sizeof(out),
			   "mount -t qtfs -o port=%d,connect_timeout=5,nconnect=1 127.0.0.1:/ %s",
			   self->port, self->dir)) TH_LOG("%s", out);
}

/* Tasks on different connections of a mount with two of them. */
static void use_connection(int conn)
{
	cpu_set_t cpus;
	pid_t pid;
	int status;

	if (sysconf(_SC_NPROCESSORS_ONLN) > 1) {
		CPU_ZERO(&cpus);
		CPU_SET(conn, &cpus);
		sched_setaffinity(0, sizeof(cpus), &cpus);
		return;
	}
	/* One processor: tasks share it by their ids. */
	while (getpid() % 2 != conn) {
		pid = fork();
		if (!pid)
			continue;
		while (waitpid(pid, &status, 0) < 0)
			;
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
	}
}

FIXTURE(pair)
{
	char dir[64];
	char file[80];
	pid_t pid;
};

FIXTURE_SETUP(pair)
{
	char opts[80];
	int port;

	self->pid = start(QTFS_OP_GETXATTR, holds, &port);
	ASSERT_LT(0, self->pid);
	snprintf(self->dir, sizeof(self->dir), "/tmp/pair.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->file, sizeof(self->file), "%s/file", self->dir);
	snprintf(opts, sizeof(opts), "port=%d,nconnect=2,actimeo=0", port);
	ASSERT_EQ(0, mount("127.0.0.1:/", self->dir, "qtfs", 0, opts)) TH_LOG("%m");
	ASSERT_EQ(2, shared->nr);
}

FIXTURE_TEARDOWN(pair)
{
	shared->go = 1;
	umount2(self->dir, MNT_FORCE);
	EXPECT_EQ(0, rmdir(self->dir)) TH_LOG("%m");
	stop(self->pid);
}

/* A child that does one thing on one of the connections. */
static pid_t on_connection(int conn, const char *file, bool xattr)
{
	struct stat st;
	char value[8];
	pid_t pid = fork();

	if (pid)
		return pid;
	use_connection(conn);
	shared->user[conn] = getpid();
	if (xattr)
		_exit(getxattr(file, "user.x", value, sizeof(value)) < 0 ? errno : 0);
	_exit(stat(file, &st) ? errno : 0);
}

/* Kills who uses the connection; @pid is on_connection()'s. */
static bool killed_within(pid_t pid, int conn, double seconds)
{
	int status;

	kill(shared->user[conn], SIGKILL);
	return ends_within(pid, seconds, &status);
}

static bool held(void)
{
	return __atomic_load_n(&shared->held, __ATOMIC_SEQ_CST);
}

/*
 * The second connection is slow. Who uses the first does not notice, until
 * somebody who waited on the second is killed: his request may still be on its
 * way, and must not come after what others begin now.
 */
TEST_F(pair, what_was_given_up_is_not_overtaken)
{
	pid_t killed, other;
	int status;
	double end = now() + 60;

	killed = on_connection(1, self->file, true);
	while (!held() && now() < end)
		nap_ms(10);
	ASSERT_EQ(2, shared->held);
	other = on_connection(0, self->file, false);
	ASSERT_TRUE(ends_within(other, 60, &status));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, seen(0, QTFS_OP_PING));

	ASSERT_TRUE(killed_within(killed, 1, 60));
	other = on_connection(0, self->file, false);
	while (!seen(0, QTFS_OP_PING) && now() < end)
		nap_ms(10);
	EXPECT_EQ(1, seen(0, QTFS_OP_PING));
	EXPECT_FALSE(ends_within(other, 1, &status));
	__atomic_store_n(&shared->go, 1, __ATOMIC_SEQ_CST);
	ASSERT_TRUE(ends_within(other, 60, &status));
	EXPECT_EQ(0, status);
	EXPECT_LE(1, seen(1, QTFS_OP_PING));
	/* The engine heard of it, where it had been asked. */
	EXPECT_EQ(1, seen(1, QTFS_OP_CANCEL));
	EXPECT_EQ(0, seen(0, QTFS_OP_CANCEL));

	/* Once is enough. */
	status = seen(0, QTFS_OP_PING);
	other = on_connection(0, self->file, false);
	ASSERT_TRUE(ends_within(other, 60, NULL));
	EXPECT_EQ(status, seen(0, QTFS_OP_PING));
}

/* Large transfers take turns; who gives one up says so where it is. */
TEST_F(pair, large_ones_are_cancelled_where_they_are)
{
	double end = now() + 60;
	void *buf;
	pid_t pid;
	int fd, i;

	shared->others.op = QTFS_OP_READ;
	ASSERT_EQ(0, posix_memalign(&buf, 4096, 65536));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		use_connection(0);
		shared->user[0] = getpid();
		fd = open(self->file, O_RDONLY | O_DIRECT);
		for (i = 0; i < 2 && fd >= 0; i++)
			pread(fd, buf, 65536, 0);
		_exit(0);
	}
	while (!held() && now() < end)
		nap_ms(10);
	ASSERT_EQ(2, shared->held);
	EXPECT_TRUE(killed_within(pid, 0, 60));
	/* It is read when the one before is answered. */
	shared->go = 1;
	while (!seen(1, QTFS_OP_CANCEL) && now() < end)
		nap_ms(10);
	EXPECT_EQ(1, seen(1, QTFS_OP_CANCEL));
	EXPECT_EQ(0, seen(0, QTFS_OP_CANCEL));
	free(buf);
}

/*
 * An answer that comes late says what the file was, to who asked before somebody
 * who knows better.
 */
TEST_F(pair, the_later_question_has_the_newer_answer)
{
	double end = now() + 60;
	struct statx stx;
	pid_t early, late;
	int fd, status;

	fd = open(self->file, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, fd);
	shared->others = (struct evil){ QTFS_OP_GETATTR, holds, 0 };
	shared->first = (struct evil){ QTFS_OP_GETATTR, grown, 0 };
	early = on_connection(1, self->file, false);
	while (!held() && now() < end)
		nap_ms(10);
	ASSERT_EQ(2, shared->held);
	late = on_connection(0, self->file, false);
	ASSERT_TRUE(ends_within(late, 60, &status));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &stx));
	ASSERT_EQ(7, stx.stx_size);

	__atomic_store_n(&shared->go, 1, __ATOMIC_SEQ_CST);
	ASSERT_TRUE(ends_within(early, 60, &status));
	ASSERT_EQ(0, statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &stx));
	EXPECT_EQ(7, stx.stx_size);
	close(fd);
}

static bool says(const char *what)
{
	char out[8192];

	shell(out, sizeof(out), "qtinfo mounts");
	return strstr(out, what);
}

/* All connections end with one; whoever waits then can be killed. */
TEST_F(pair, one_that_is_cut_takes_the_other_along)
{
	double end = now() + 60;
	pid_t pid[2];
	int conn, status;

	kill(shared->pid[1], SIGKILL);
	while (!says("lost") && now() < end)
		nap_ms(50);
	EXPECT_TRUE(says("lost"));
	for (conn = 0; conn < 2; conn++)
		pid[conn] = on_connection(conn, self->file, false);
	for (conn = 0; conn < 2; conn++) {
		EXPECT_FALSE(ends_within(pid[conn], 1, &status));
		EXPECT_TRUE(killed_within(pid[conn], conn, 60));
	}
	/* What umount -f ends is under way on both. */
	for (conn = 0; conn < 2; conn++)
		pid[conn] = on_connection(conn, self->file, false);
	EXPECT_FALSE(ends_within(pid[0], 0.5, &status));
	umount2(self->dir, MNT_FORCE);
	for (conn = 0; conn < 2; conn++) {
		EXPECT_TRUE(ends_within(pid[conn], 60, &status));
		EXPECT_EQ(EIO, WEXITSTATUS(status));
	}
}

/* LOCK and UNLOCK of one file are on one connection, whoever asks. */
TEST_F(pair, locks_of_a_file_do_not_overtake_each_other)
{
	int conn, fd, status, used = 0;
	pid_t pid;

	for (conn = 0; conn < 2; conn++) {
		pid = fork();
		if (!pid) {
			use_connection(conn);
			fd = open(self->file, O_RDONLY);
			_exit(flock(fd, LOCK_SH) || flock(fd, LOCK_UN));
		}
		ASSERT_TRUE(ends_within(pid, 60, &status));
		EXPECT_EQ(0, status);
	}
	for (conn = 0; conn < 2; conn++)
		used += seen(conn, QTFS_OP_LOCK) || seen(conn, QTFS_OP_UNLOCK);
	EXPECT_EQ(1, used);
	EXPECT_EQ(2, seen(0, QTFS_OP_LOCK) + seen(1, QTFS_OP_LOCK));
	EXPECT_EQ(2, seen(0, QTFS_OP_UNLOCK) + seen(1, QTFS_OP_UNLOCK));
}

TEST_HARNESS_MAIN
