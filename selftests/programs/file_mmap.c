// SPDX-License-Identifier: GPL-2.0
/* Mappings: coherent with read and write, and their stores reach the server. */
#include <sched.h>
#include <setjmp.h>

#include "common.h"

#define PAGES 20
#define SIZE (PAGES * 4096 - 1000)

static unsigned char buf[PAGES * 4096];

static int make(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	fill(buf, 1, 0, SIZE);
	if (fd < 0 || write(fd, buf, SIZE) != SIZE || close(fd))
		return -1;
	return open(name, O_RDWR);
}

static bool server_has(const char *srv, int at, const char *text)
{
	char out[64];

	on_host(out, sizeof(out), "tail -c +%d %s/f | head -c %zu", at + 1,
		srv, strlen(text));
	if (strcmp(out, text))
		printf("# at %d the server has '%s'\n", at, out);
	return !strcmp(out, text);
}

TEST_F(tree, shared_reads_and_stores)
{
	int fd = make("f");
	unsigned char *map;

	ASSERT_LE(0, fd);
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(SIZE, wrong_at(map, 1, 0, SIZE));
	/* Behind the end, zeros up to the page's. */
	EXPECT_EQ(0, map[SIZE]);
	EXPECT_EQ(0, map[PAGES * 4096 - 1]);

	memcpy(map + 5000, "mapped", 6);
	EXPECT_EQ(6, pread(fd, buf, 6, 5000));
	EXPECT_EQ(0, memcmp(buf, "mapped", 6));
	ASSERT_EQ(7, pwrite(fd, "written", 7, 9000));
	EXPECT_EQ(0, memcmp(map + 9000, "written", 7));
	ASSERT_EQ(0, msync(map, SIZE, MS_SYNC)) TH_LOG("%m");
	EXPECT_TRUE(server_has(self->srv, 5000, "mapped"));
	EXPECT_TRUE(server_has(self->srv, 9000, "written"));
	/* Once clean, a page is noticed when it is stored to again. */
	memcpy(map + 5000, "MAPPED", 6);
	ASSERT_EQ(0, fsync(fd)) TH_LOG("%m");
	EXPECT_TRUE(server_has(self->srv, 5000, "MAPPED"));
	munmap(map, SIZE);
	close(fd);
}

TEST_F(tree, stores_after_close_without_msync)
{
	int fd = make("f");
	unsigned char *map;

	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	close(fd);
	memcpy(map + 70000, "after close", 11);
	EXPECT_EQ(0, munmap(map, SIZE));
	EXPECT_TRUE(server_has(self->srv, 70000, "after close"));
}

TEST_F(tree, stores_of_a_process_that_exits)
{
	int fd = make("f"), status;
	pid_t pid = fork();

	if (!pid) {
		char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, 0);

		memcpy(map + 30000, "and gone", 8);
		_exit(0);
	}
	close(fd);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(server_has(self->srv, 30000, "and gone"));
}

TEST_F(tree, private_stays_private)
{
	int fd = make("f");
	unsigned char *map;

	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	memset(map + 100, 'p', 1000);
	EXPECT_EQ(1000, pread(fd, buf, 1000, 100));
	EXPECT_EQ(1000, wrong_at(buf, 1, 100, 1000));
	EXPECT_EQ(0, fsync(fd));
	EXPECT_EQ('p', map[100]);
	munmap(map, SIZE);
	close(fd);
	fd = open("f", O_RDONLY);
	EXPECT_EQ(SIZE, read(fd, buf, sizeof(buf)));
	EXPECT_EQ(SIZE, wrong_at(buf, 1, 0, SIZE));
	close(fd);
}

TEST_F(tree, protection)
{
	int fd = make("f"), ro = open("f", O_RDONLY), wo = open("f", O_WRONLY);

	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, ro, 0));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, wo, 0));
	EXPECT_EQ(EACCES, errno);
	close(ro);
	close(wo);
	close(fd);
}

static sigjmp_buf escape;

static void on_bus(int sig)
{
	siglongjmp(escape, 1);
}

static bool bus_error(volatile unsigned char *at)
{
	struct sigaction act = { .sa_handler = on_bus };
	bool hit = true;

	sigaction(SIGBUS, &act, NULL);
	if (!sigsetjmp(escape, 1)) {
		*at;
		hit = false;
	}
	signal(SIGBUS, SIG_DFL);
	return hit;
}

TEST_F(tree, beyond_the_end_and_truncated)
{
	int fd = make("f");
	unsigned char *map;

	map = mmap(NULL, SIZE + 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_TRUE(bus_error(map + PAGES * 4096));
	EXPECT_FALSE(bus_error(map + SIZE - 1));
	map[8192] = 'd';
	ASSERT_EQ(0, ftruncate(fd, 4096));
	EXPECT_TRUE(bus_error(map + 8192));
	EXPECT_FALSE(bus_error(map + 4095));
	ASSERT_EQ(0, ftruncate(fd, 12288));
	EXPECT_FALSE(bus_error(map + 8192));
	EXPECT_EQ(0, map[8192]);
	munmap(map, SIZE + 8192);
	close(fd);
}

/* What is stored behind the end of a file is not part of it when it grows. */
TEST_F(tree, stored_behind_the_end)
{
	unsigned char byte = 1;
	int fd = open("tail", O_RDWR | O_CREAT | O_TRUNC, 0644), grow;
	char *map;

	for (grow = 0; grow < 2; grow++) {
		ASSERT_EQ(0, ftruncate(fd, 0));
		ASSERT_EQ(4, pwrite(fd, "abcd", 4, 0));
		map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ASSERT_NE(MAP_FAILED, map);
		map[200] = 'x';
		if (grow) {
			ASSERT_EQ(1, pwrite(fd, "y", 1, 5000));
		} else {
			ASSERT_EQ(0, ftruncate(fd, 5000));
		}
		munmap(map, 4096);
		ASSERT_EQ(1, pread(fd, &byte, 1, 200));
		EXPECT_EQ(0, byte);
		ASSERT_EQ(0, fsync(fd));
		EXPECT_EQ(0, on_host(NULL, 0, "test $(head -c 4096 %s/tail | tr -d '\\0') = abcd",
				     self->srv));
	}
	close(fd);
}

/* Both ends of each page, as long as they are there, until it is told to stop. */
static void store_until(unsigned char *map, const int *stop)
{
	struct sigaction act = { .sa_handler = on_bus };
	static volatile int page;

	sigaction(SIGBUS, &act, NULL);
	while (!__atomic_load_n(stop, __ATOMIC_SEQ_CST)) {
		for (page = 0; page < PAGES; page++) {
			if (sigsetjmp(escape, 1))
				continue;
			map[page * 4096] = page + 1;
			map[page * 4096 + 4095] = page + 1;
		}
	}
}

/* How many of @len bytes nobody has stored. */
static int odd_bytes(const unsigned char *at, int len)
{
	int i, odd = 0;

	for (i = 0; i < len; i++)
		odd += at[i] && ((i % 4096 && i % 4096 != 4095) || at[i] != i / 4096 + 1);
	return odd;
}

/* Whatever is first: nothing from before comes back, and the server has what is here. */
TEST_F(tree, truncated_while_it_is_stored_to)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644), i, status;
	char here[128], there[128];
	unsigned char *map;
	int *stop;
	pid_t pid;

	ASSERT_EQ(0, ftruncate(fd, PAGES * 4096));
	map = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, stop);
	pid = fork();
	if (!pid) {
		store_until(map, stop);
		_exit(0);
	}
	for (i = 0; i < on_debug(40, 200); i++) {
		ASSERT_EQ(0, ftruncate(fd, i * 1234 % (PAGES * 4096)));
		if (i % 3 == 0) {
			ASSERT_EQ(0, fdatasync(fd));
		}
		ASSERT_EQ(0, ftruncate(fd, PAGES * 4096));
		ASSERT_EQ(PAGES * 4096, pread(fd, buf, PAGES * 4096, 0));
		ASSERT_EQ(0, odd_bytes(buf, PAGES * 4096)) TH_LOG("round %d", i);
	}
	__atomic_store_n(stop, 1, __ATOMIC_SEQ_CST);
	EXPECT_TRUE(ends_within(pid, 60, &status));
	EXPECT_TRUE(WIFEXITED(status));

	/* The last stores are gone for good behind an end that was there after them. */
	ASSERT_EQ(0, ftruncate(fd, 5 * 4096 + 100));
	ASSERT_EQ(0, ftruncate(fd, PAGES * 4096));
	ASSERT_EQ(PAGES * 4096, pread(fd, buf, PAGES * 4096, 0));
	for (i = 5 * 4096 + 100; i < PAGES * 4096 && !buf[i]; i++)
		;
	EXPECT_EQ(PAGES * 4096, i);
	ASSERT_EQ(0, fsync(fd));
	EXPECT_EQ(0, shell(here, sizeof(here), "sha256sum <f"));
	EXPECT_EQ(0, on_host(there, sizeof(there), "sha256sum <%s/f", self->srv));
	EXPECT_EQ(0, strcmp(here, there)) TH_LOG("'%s', there '%s'", here, there);
	munmap(map, PAGES * 4096);
	close(fd);
}

/* Two processes, two descriptors, one file: stores are seen at once. */
TEST_F(tree, shared_between_processes)
{
	int fd = make("f"), status, i;
	volatile unsigned int *map;
	pid_t pid;

	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	map[0] = 0;
	pid = fork();
	if (!pid) {
		int other = open("f", O_RDWR);

		map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
			   other, 0);
		for (i = 1; i < 100; i += 2) {
			while (__atomic_load_n(&map[0], __ATOMIC_ACQUIRE) != i)
				sched_yield();
			__atomic_store_n(&map[0], i + 1, __ATOMIC_RELEASE);
		}
		_exit(0);
	}
	for (i = 0; i < 100; i += 2) {
		while (__atomic_load_n(&map[0], __ATOMIC_ACQUIRE) != i)
			sched_yield();
		__atomic_store_n(&map[0], i + 1, __ATOMIC_RELEASE);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(100, map[0]);
	close(fd);
}

TEST_HARNESS_MAIN
