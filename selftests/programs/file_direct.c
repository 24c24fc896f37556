// SPDX-License-Identifier: GPL-2.0
/*
 * Reading and writing past the page cache, in transfers longer than one
 * request: from any memory, to any end, with what goes wrong on the way.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "common.h"

/* More requests than are under way at a time. */
#define SIZE (9u << 20)
#define PAGE 4096u

/* Memory of its own, @skew bytes behind the begin of a page. */
static unsigned char *memory(size_t len, size_t skew)
{
	unsigned char *p = mmap(NULL, len + PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p + skew;
}

static int direct_file(const char *name, int flags)
{
	return open(name, O_RDWR | O_CREAT | O_DIRECT | flags, 0644);
}

/* Whether the server has @len bytes of the pattern of @seed in @name. */
static bool server_has(const char *srv, const char *name, unsigned int seed,
		       size_t len)
{
	unsigned char *bytes = memory(len, 0);
	char here[96], there[96];
	int fd = open("/tmp/direct.ref", O_RDWR | O_CREAT | O_TRUNC, 0600);
	bool same;

	fill(bytes, seed, 0, len);
	same = fd >= 0 && write(fd, bytes, len) == (ssize_t)len &&
	       !shell(here, sizeof(here), "sha256sum </tmp/direct.ref") &&
	       !on_host(there, sizeof(there), "sha256sum <%s/%s", srv, name) &&
	       !strcmp(here, there);
	close(fd);
	unlink("/tmp/direct.ref");
	munmap(bytes, len);
	return same;
}

TEST_F_TIMEOUT(tree, long_transfers, 120)
{
	unsigned char *from = memory(SIZE, 512), *to = memory(SIZE, 1536);
	int fd = direct_file("f", 0);

	ASSERT_LE(0, fd) TH_LOG("%m");
	fill(from, 1, 0, SIZE);
	ASSERT_EQ((ssize_t)SIZE, write(fd, from, SIZE)) TH_LOG("%m");
	EXPECT_EQ((off_t)SIZE, lseek(fd, 0, SEEK_CUR));
	EXPECT_TRUE(server_has(self->srv, "f", 1, SIZE));
	ASSERT_EQ((ssize_t)SIZE, pread(fd, to, SIZE, 0)) TH_LOG("%m");
	EXPECT_EQ(SIZE, wrong_at(to, 1, 0, SIZE));
	close(fd);
}

/* The end comes in the middle of a request, and of several. */
TEST_F_TIMEOUT(tree, short_at_the_end, 120)
{
	unsigned char *to = memory(SIZE, 0);
	const size_t len = (2u << 20) + 3 * 512 + 7;
	int fd = open("f", O_RDWR | O_CREAT, 0644);

	fill(to, 2, 0, len);
	ASSERT_EQ((ssize_t)len, write(fd, to, len));
	ASSERT_EQ(0, close(fd));
	fd = direct_file("f", 0);
	memset(to, 0xee, SIZE);
	ASSERT_EQ((ssize_t)len, read(fd, to, SIZE)) TH_LOG("%m");
	EXPECT_EQ((off_t)len, lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(len, wrong_at(to, 2, 0, len));
	EXPECT_EQ(0xee, to[len]);
	EXPECT_EQ(0, read(fd, to, SIZE));
	EXPECT_EQ(0, pread(fd, to, PAGE, 16u << 20));
	close(fd);
}

TEST_F_TIMEOUT(tree, many_pieces_of_memory, 120)
{
	unsigned char *a = memory(SIZE, 0), *b = memory(SIZE, 0);
	struct iovec iov[3] = {
		{ a, 3u << 20 }, { b + PAGE, PAGE }, { a + (4u << 20), 5u << 20 },
	};
	const size_t len = (8u << 20) + PAGE;
	int fd = direct_file("f", 0);

	fill(a, 3, 0, 3u << 20);
	fill(b + PAGE, 3, 3u << 20, PAGE);
	fill(a + (4u << 20), 3, (3u << 20) + PAGE, 5u << 20);
	ASSERT_EQ((ssize_t)len, pwritev(fd, iov, 3, 0)) TH_LOG("%m");
	EXPECT_TRUE(server_has(self->srv, "f", 3, len));
	memset(a, 0, SIZE);
	memset(b, 0, SIZE);
	ASSERT_EQ((ssize_t)len, preadv(fd, iov, 3, 0)) TH_LOG("%m");
	EXPECT_EQ(3u << 20, wrong_at(a, 3, 0, 3u << 20));
	EXPECT_EQ(PAGE, wrong_at(b + PAGE, 3, 3u << 20, PAGE));
	EXPECT_EQ(5u << 20,
		  wrong_at(a + (4u << 20), 3, (3u << 20) + PAGE, 5u << 20));
	close(fd);
}

/* Memory that is not there in the middle; the file is no worse for it. */
TEST_F_TIMEOUT(tree, memory_that_ends, 120)
{
	unsigned char *p = memory(SIZE, 0);
	int fd = direct_file("f", 0);
	ssize_t n;

	fill(p, 4, 0, SIZE);
	ASSERT_EQ((ssize_t)SIZE, write(fd, p, SIZE));
	ASSERT_EQ(0, munmap(p + PAGE, SIZE - PAGE));
	n = pread(fd, p, 1u << 20, 0);
	EXPECT_TRUE(n == (ssize_t)PAGE || (n < 0 && errno == EFAULT));
	EXPECT_EQ(EFAULT, errno_of(pwrite(fd, p, 1u << 20, 0)));
	EXPECT_EQ((ssize_t)PAGE, pread(fd, p, PAGE, 2u << 20));
	EXPECT_EQ(PAGE, wrong_at(p, 4, 2u << 20, PAGE));
	close(fd);
	EXPECT_TRUE(server_has(self->srv, "f", 4, SIZE));
}

/* More is asked for than there is room, or data: the data fits. */
TEST_F(tree, memory_for_less_than_is_asked_for)
{
	unsigned char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd;

	ASSERT_EQ(0, munmap(p + PAGE, PAGE));
	ASSERT_EQ(0, on_host(NULL, 0, "printf %%0100d 7 >%s/f", self->srv));
	fd = direct_file("f", 0);
	EXPECT_EQ(100, read(fd, p, 4 * PAGE)) TH_LOG("%m");
	EXPECT_EQ(0, read(fd, p, 4 * PAGE)) TH_LOG("%m");
	close(fd);
}

/* Where read-only memory is to be read into, and where it is written from. */
TEST_F(tree, memory_that_may_not_be_written)
{
	unsigned char *p = memory(2u << 20, 0);
	int fd = direct_file("f", 0);

	fill(p, 5, 0, 2u << 20);
	ASSERT_EQ(0, mprotect(p, 2u << 20, PROT_READ));
	EXPECT_EQ(2 << 20, pwrite(fd, p, 2u << 20, 0)) TH_LOG("%m");
	EXPECT_EQ(EFAULT, errno_of(pread(fd, p, 2u << 20, 0)));
	close(fd);
}

/* Its own pages are the memory: of another file, and of the same. */
TEST_F_TIMEOUT(tree, memory_of_files, 120)
{
	int fd = direct_file("f", 0), other = open("g", O_RDWR | O_CREAT, 0644);
	unsigned char *f, *g, *p = memory(SIZE, 0);

	fill(p, 6, 0, SIZE);
	ASSERT_EQ((ssize_t)SIZE, write(fd, p, SIZE));
	ASSERT_EQ(0, ftruncate(other, SIZE));
	g = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	ASSERT_NE(MAP_FAILED, g);
	ASSERT_EQ((ssize_t)SIZE, pread(fd, g, SIZE, 0)) TH_LOG("%m");
	ASSERT_EQ(0, munmap(g, SIZE));
	ASSERT_EQ(0, close(other));
	EXPECT_TRUE(server_has(self->srv, "g", 6, SIZE));

	f = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, f);
	ASSERT_EQ(4 << 20, pwrite(fd, f + (4u << 20), 4u << 20, 0)) TH_LOG("%m");
	EXPECT_EQ(1u << 20, wrong_at(f, 6, 4u << 20, 1u << 20));
	ASSERT_EQ(1 << 20, pread(fd, f, 2u << 20, 8u << 20)) TH_LOG("%m");
	ASSERT_EQ(0, munmap(f, SIZE));
	ASSERT_EQ(0, fsync(fd));
	ASSERT_EQ((ssize_t)PAGE, pread(fd, p, PAGE, PAGE));
	EXPECT_EQ(PAGE, wrong_at(p, 6, (8u << 20) + PAGE, PAGE));
	close(fd);
}

/* The disk is full half-way: what is told is there. */
TEST_F_TIMEOUT(tree, no_space, 120)
{
	unsigned char *p = memory(SIZE, 0);
	struct stat st;
	ssize_t n;
	int fd;

	ASSERT_EQ(0, on_host(NULL, 0, "mkdir %s/small && mount -t tmpfs -o size=5m tmpfs %s/small",
			     self->srv, self->srv));
	fill(p, 7, 0, SIZE);
	fd = open("small/f", O_RDWR | O_CREAT | O_APPEND, 0644);
	ASSERT_LE(0, fd) TH_LOG("%m");
	n = write(fd, p, SIZE);
	EXPECT_LT(1 << 20, n);
	EXPECT_GT((ssize_t)SIZE, n);
	EXPECT_EQ(n, lseek(fd, 0, SEEK_CUR));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(n, st.st_size);
	EXPECT_EQ(ENOSPC, errno_of(write(fd, p, SIZE)));
	EXPECT_TRUE(server_has(self->srv, "small/f", 7, n));
	close(fd);
	EXPECT_EQ(0, on_host(NULL, 0, "umount %s/small", self->srv));
}

/* Nobody waits for one that was killed; its memory is given back at the end. */
TEST_F_TIMEOUT(tree, killed_meanwhile, 120)
{
	const char *pid = "$(cat /run/qtfs-engine.pid)";
	unsigned char *p = memory(SIZE, 0);
	int fd = direct_file("f", 0), status, write_too;
	pid_t child;

	fill(p, 8, 0, SIZE);
	ASSERT_EQ((ssize_t)SIZE, write(fd, p, SIZE));
	for (write_too = 0; write_too < 2; write_too++) {
		ASSERT_EQ(0, on_host(NULL, 0, "kill -STOP %s", pid));
		child = fork();
		if (!child)
			_exit(write_too ? pwrite(fd, p, SIZE, 0) < 0 :
					  pread(fd, p, SIZE, 0) < 0);
		nap_ms(300);
		EXPECT_EQ(0, kill(child, SIGKILL));
		EXPECT_TRUE(ends_within(child, on_debug(20, 5), &status));
		EXPECT_TRUE(WIFSIGNALED(status));
		ASSERT_EQ(0, on_host(NULL, 0, "kill -CONT %s", pid));
		memset(p, 0, SIZE);
		ASSERT_EQ((ssize_t)SIZE, pread(fd, p, SIZE, 0)) TH_LOG("%m");
		EXPECT_EQ(SIZE, wrong_at(p, 8, 0, SIZE));
	}
	close(fd);
}

TEST_HARNESS_MAIN
