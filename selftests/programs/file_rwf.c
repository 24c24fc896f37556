// SPDX-License-Identifier: GPL-2.0
/*
 * What a single read or write can ask for beyond its bytes: not to wait, to be
 * durable, to be at the end; and what a process may not do however it asks.
 */
#define _GNU_SOURCE
#include <linux/fs.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "common.h"

#define SIZE (1 << 20)

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20	/* Linux 6.9 */
#endif

static unsigned char buf[SIZE];

static ssize_t read_with(int fd, size_t len, off_t at, int flags)
{
	struct iovec iov = { buf, len };

	return preadv2(fd, &iov, 1, at, flags);
}

static ssize_t write_with(int fd, const char *text, off_t at, int flags)
{
	struct iovec iov = { (void *)text, strlen(text) };

	return pwritev2(fd, &iov, 1, at, flags);
}

/* How often the server was asked to make something durable. */
static long fsyncs(void)
{
	char count[32];

	if (shell(count, sizeof(count),
		  "qtinfo stats %s | awk '$1 == \"fsync\" { print $2 }'",
		  mount_point()))
		return -1;
	return atol(count);
}

/* Whether @name contains just @text on the server. */
static bool server_has(const char *srv, const char *name, const char *text)
{
	char there[256];

	return !on_host(there, sizeof(there), "cat %s/%s", srv, name) &&
	       !strcmp(there, text);
}

/* A file of SIZE bytes that the server wrote; nothing of it is cached. */
static int cold_file(const char *srv)
{
	on_host(NULL, 0, "head -c %d /dev/urandom >%s/cold", SIZE, srv);
	return open("cold", O_RDWR);
}

/* Cached pages are there for who does not want to wait, in @seconds. */
static bool comes_in(int fd, off_t at, double seconds)
{
	double end = now() + seconds;
	struct stat st;

	while (read_with(fd, 4096, at, RWF_NOWAIT) != 4096) {
		if (errno != EAGAIN || now() > end)
			return false;
		fstat(fd, &st);		/* attributes are believed again */
		nap_ms(10);
	}
	return true;
}

TEST_F(tree, reads_that_must_not_wait)
{
	int fd = cold_file(self->srv), direct;
	off_t at = SIZE / 2;	/* the first bytes come with the open */
	struct stat st;

	ASSERT_LE(0, fd);
	ASSERT_EQ(EAGAIN, errno_of(read_with(fd, 4096, at, RWF_NOWAIT)))
		TH_LOG("%m");
	ASSERT_EQ(EAGAIN, errno_of(read_with(fd, 4096, at, RWF_NOWAIT)))
		TH_LOG("it was asked for nevertheless");
	ASSERT_EQ(SIZE, read_with(fd, SIZE, 0, 0));
	EXPECT_TRUE(comes_in(fd, at, 10));
	EXPECT_TRUE(comes_in(fd, SIZE - 4096, 10));
	/* The end is known, too, as long as attributes are believed. */
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(0, read_with(fd, 4096, SIZE, RWF_NOWAIT)) TH_LOG("%m");
	ASSERT_EQ(0, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	EXPECT_EQ(EAGAIN, errno_of(read_with(fd, 4096, at, RWF_NOWAIT)));
	ASSERT_EQ(0, posix_fadvise(fd, at, 65536, POSIX_FADV_WILLNEED));
	EXPECT_TRUE(comes_in(fd, at, 10));
	ASSERT_EQ(0, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	ASSERT_EQ(0, readahead(fd, at, 65536));
	EXPECT_TRUE(comes_in(fd, at, 10));
	EXPECT_EQ(EINVAL, posix_fadvise(fd, 0, 0, 77));
	/* What this client wrote and the server has not yet seen. */
	ASSERT_EQ(4, pwrite(fd, "mine", 4, at));
	EXPECT_EQ(4, read_with(fd, 4, at, RWF_NOWAIT)) TH_LOG("%m");
	EXPECT_EQ(0, memcmp(buf, "mine", 4));
	direct = open("cold", O_RDONLY | O_DIRECT);
	EXPECT_EQ(EAGAIN, errno_of(read_with(direct, 4096, 0, RWF_NOWAIT)));
	close(direct);
	close(fd);
}

TEST_F(tree, what_the_server_changed_is_not_given_out)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	struct stat st;

	ASSERT_EQ(5, write(fd, "first", 5));
	ASSERT_EQ(0, fsync(fd));
	ASSERT_EQ(5, read_with(fd, 10, 0, 0));
	ASSERT_EQ(0, on_host(NULL, 0, "printf second >%s/f", self->srv));
	ASSERT_EQ(0, utimensat(AT_FDCWD, "f", NULL, 0));
	ASSERT_EQ(0, fstat(fd, &st));	/* so that it is known here */
	EXPECT_EQ(EAGAIN, errno_of(read_with(fd, 10, 0, RWF_NOWAIT)))
		TH_LOG("%.5s", buf);
	EXPECT_EQ(6, read_with(fd, 10, 0, 0));
	EXPECT_EQ(0, memcmp(buf, "second", 6));
	close(fd);
}

TEST_F(tree, what_is_not_known_is_not_given_out)
{
	char dir[] = "/tmp/rwf.XXXXXX", path[256];
	int fd;

	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, shell(NULL, 0, "mount -t qtfs -o actimeo=0 ${QTFS_SOURCE:-/} %s",
			   dir));
	snprintf(path, sizeof(path), "%s%s/f", dir, self->srv);
	fd = open(path, O_RDWR | O_CREAT, 0644);
	ASSERT_EQ(5, write(fd, "first", 5));
	EXPECT_EQ(5, read_with(fd, 10, 0, RWF_NOWAIT)) TH_LOG("%m");
	ASSERT_EQ(0, fsync(fd));
	ASSERT_EQ(5, read_with(fd, 10, 0, 0));
	/* It is cached; but whether it is the file's, only the server knows. */
	EXPECT_EQ(EAGAIN, errno_of(read_with(fd, 10, 0, RWF_NOWAIT)));
	close(fd);
	EXPECT_EQ(0, shell(NULL, 0, "umount %s && rmdir %s", dir, dir));
}

TEST_F(tree, writes_that_must_not_wait)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);

	EXPECT_EQ(EAGAIN, errno_of(write_with(fd, "x", 0, RWF_NOWAIT)));
	EXPECT_EQ(EAGAIN, errno_of(write_with(fd, "x", 0,
					      RWF_NOWAIT | RWF_APPEND)));
	EXPECT_EQ(EOPNOTSUPP, errno_of(write_with(fd, "x", 0, 0x4000000)));
	close(fd);
	EXPECT_TRUE(server_has(self->srv, "f", ""));
}

TEST_F(tree, a_server_that_stands_still)
{
	const char *pid = "$(cat /run/qtfs-engine.pid)";
	int fd = cold_file(self->srv);
	struct statx st;

	ASSERT_EQ(4096, read_with(fd, 4096, 0, 0));
	ASSERT_EQ(0, on_host(NULL, 0, "kill -STOP %s", pid));
	/* Nobody would come back from waiting. */
	EXPECT_EQ(EAGAIN, errno_of(read_with(fd, 4096, SIZE / 2, RWF_NOWAIT)));
	EXPECT_EQ(EAGAIN, errno_of(write_with(fd, "x", 0, RWF_NOWAIT)));
	EXPECT_EQ(0, statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
			   STATX_BASIC_STATS, &st));
	EXPECT_EQ(SIZE, st.stx_size);
	ASSERT_EQ(0, on_host(NULL, 0, "kill -CONT %s", pid));
	EXPECT_EQ(4096, read_with(fd, 4096, SIZE / 2, 0));
	close(fd);
}

TEST_F(tree, durable_writes)
{
	static const int flags[] = { RWF_DSYNC, RWF_SYNC };
	static const int opens[] = { O_DSYNC, O_SYNC };
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	unsigned int i;
	long before;

	ASSERT_LE(0, before = fsyncs());
	ASSERT_EQ(1, write_with(fd, "0", 0, 0));
	EXPECT_EQ(before, fsyncs());
	for (i = 0; i < 2; i++) {
		before = fsyncs();
		EXPECT_EQ(2 - i, write_with(fd, &"12"[i], 1 + i, flags[i]));
		EXPECT_LT(before, fsyncs());
	}
	/* "12" and "2": the second overwrites the first's end. */
	EXPECT_TRUE(server_has(self->srv, "f", "012"));
	close(fd);
	for (i = 0; i < 2; i++) {
		fd = open("f", O_WRONLY | O_TRUNC | opens[i]);
		before = fsyncs();
		ASSERT_EQ(4, write(fd, "open", 4));
		EXPECT_LT(before, fsyncs());
		EXPECT_TRUE(server_has(self->srv, "f", "open"));
		close(fd);
		/* At the end it is one WRITE that says so itself. */
		fd = open("f", O_WRONLY | O_APPEND | opens[i]);
		ASSERT_EQ(4, write(fd, "more", 4));
		EXPECT_TRUE(server_has(self->srv, "f", "openmore"));
		close(fd);
	}
}

TEST_F(tree, at_the_end)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	char *map;

	ASSERT_EQ(3, write(fd, "one", 3));
	EXPECT_EQ(3, write_with(fd, "two", 0, RWF_APPEND)) TH_LOG("%m");
	EXPECT_EQ(3, lseek(fd, 0, SEEK_CUR));
	/* The server's end, wherever this client believes it to be. */
	ASSERT_EQ(0, on_host(NULL, 0, "printf three >>%s/f", self->srv));
	EXPECT_EQ(4, write_with(fd, "four", 1, RWF_APPEND | RWF_DSYNC));
	EXPECT_TRUE(server_has(self->srv, "f", "onetwothreefour"));
	EXPECT_EQ(15, pread(fd, buf, 100, 0));
	EXPECT_EQ(0, memcmp(buf, "onetwothreefour", 15));
	close(fd);
	fd = open("f", O_RDWR | O_APPEND);
	/* Not appended is what is stored. */
	map = mmap(NULL, 15, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map) TH_LOG("%m");
	map[14] = 'R';
	EXPECT_EQ(0, msync(map, 15, MS_SYNC)) TH_LOG("%m");
	EXPECT_TRUE(server_has(self->srv, "f", "onetwothreefouR"));
	map[14] = 'r';
	munmap(map, 15);
	EXPECT_EQ(0, fsync(fd));
	if (write_with(fd, "ONE", 0, RWF_NOAPPEND) < 0) {
		EXPECT_EQ(EOPNOTSUPP, errno);
	} else {
		EXPECT_EQ(3, pread(fd, buf, 3, 0));
		EXPECT_EQ(0, memcmp(buf, "ONE", 3));
		EXPECT_EQ(0, close(fd));
		EXPECT_TRUE(server_has(self->srv, "f", "ONEtwothreefour"));
	}
}

static int xfsz;

static void count_signal(int number)
{
	xfsz++;
}

TEST_F(tree, files_that_grow_too_long)
{
	struct rlimit limit = { 10, 100 };
	int fd = open("f", O_RDWR | O_CREAT, 0644), append;

	append = open("f", O_WRONLY | O_APPEND);
	ASSERT_EQ(5, write(fd, "12345", 5));
	signal(SIGXFSZ, count_signal);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
	EXPECT_EQ(5, write(fd, "67890abc", 8));	/* as much as may be */
	EXPECT_EQ(0, xfsz);
	EXPECT_EQ(EFBIG, errno_of(write(fd, "x", 1)));
	EXPECT_EQ(1, xfsz);
	EXPECT_EQ(EFBIG, errno_of(write(append, "x", 1)));
	EXPECT_EQ(EFBIG, errno_of(write_with(fd, "x", 0, RWF_APPEND)));
	EXPECT_EQ(EFBIG, errno_of(ftruncate(fd, 11)));
	EXPECT_EQ(EFBIG, errno_of(truncate("f", 11)));
	EXPECT_EQ(5, xfsz);
	EXPECT_EQ(1, pwrite(fd, "X", 1, 0));
	limit.rlim_cur = 100;
	setrlimit(RLIMIT_FSIZE, &limit);
	close(append);
	EXPECT_EQ(0, close(fd));
	EXPECT_TRUE(server_has(self->srv, "f", "X234567890"));
}

TEST_F(tree, no_place_to_swap_to)
{
	ASSERT_EQ(0, shell(NULL, 0, "head -c 1M /dev/zero >swap && mkswap swap"));
	ASSERT_EQ(0, chmod("swap", 0600));
	EXPECT_NE(0, swapon("swap", 0));
	EXPECT_TRUE(errno == EINVAL || errno == ENOSYS) TH_LOG("%m");
	EXPECT_EQ(0, unlink("swap"));
}

TEST_HARNESS_MAIN
