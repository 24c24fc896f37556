// SPDX-License-Identifier: GPL-2.0
/*
 * More dirty pages than the machine has memory, while the engine lives on the
 * same machine: must finish, and every byte must be there.
 */
#include "common.h"

#define WRITERS 3
#define CHUNK (1 << 20)

static unsigned char buf[CHUNK];

static long memory_mib(void)
{
	return sysconf(_SC_PHYS_PAGES) / 256;
}

/*
 * Overwrites a window that the server's disk can hold again and again, so that
 * more is written than fits into memory.
 */
static int write_and_check(int w, int passes, int mib)
{
	char name[16];
	int fd, pass, i;

	snprintf(name, sizeof(name), "f%d", w);
	fd = open(name, O_RDWR | O_CREAT, 0644);
	if (fd < 0)
		return 1;
	for (pass = 0; pass < passes; pass++) {
		for (i = 0; i < mib; i++) {
			fill(buf, w + pass * 7, (long)i * CHUNK, CHUNK);
			if (pwrite(fd, buf, CHUNK, (long)i * CHUNK) != CHUNK)
				return 2;
		}
	}
	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		return 3;
	for (i = 0; i < mib; i++) {
		if (pread(fd, buf, CHUNK, (long)i * CHUNK) != CHUNK)
			return 4;
		if (wrong_at(buf, w + (passes - 1) * 7, (long)i * CHUNK,
			     CHUNK) != CHUNK)
			return 5;
	}
	return close(fd) ? 6 : 0;
}

static int map_and_check(int w, int mib)
{
	unsigned char *map;
	size_t len = (size_t)mib << 20, at;
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "m%d", w);
	fd = open(name, O_RDWR | O_CREAT, 0644);
	if (fd < 0 || ftruncate(fd, len))
		return 1;
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 2;
	for (at = 0; at < len; at += 4096)
		fill(map + at, w, at, 4096);
	if (msync(map, len, MS_SYNC))
		return 3;
	munmap(map, len);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (at = 0; at < len; at += CHUNK)
		if (pread(fd, buf, CHUNK, at) != CHUNK ||
		    wrong_at(buf, w, at, CHUNK) != CHUNK)
			return 5;
	return close(fd) ? 6 : 0;
}

FIXTURE(storm)
{
	char srv[64];
};

FIXTURE_SETUP(storm)
{
	snprintf(self->srv, sizeof(self->srv), "/srv/pressure.%d", getpid());
	ASSERT_EQ(0, on_host(NULL, 0, "mkdir %s", self->srv));
	ASSERT_EQ(0, chdir(mount_point()));
	ASSERT_EQ(0, chdir(self->srv + 1));
}

FIXTURE_TEARDOWN(storm)
{
	if (chdir("/"))
		TH_LOG("%m");
	on_host(NULL, 0, "rm -rf %s", self->srv);
}

TEST_F_TIMEOUT(storm, writes, 280)
{
	int mib = memory_mib() / 16, passes = 8, w, status;
	pid_t pid[WRITERS];

	for (w = 0; w < WRITERS; w++) {
		pid[w] = fork();
		if (!pid[w])
			_exit(write_and_check(w, passes, mib));
	}
	for (w = 0; w < WRITERS; w++) {
		ASSERT_EQ(pid[w], waitpid(pid[w], &status, 0));
		EXPECT_EQ(0, status) TH_LOG("writer %d", w);
	}
}

TEST_F_TIMEOUT(storm, mappings, 280)
{
	int mib = memory_mib() / 16, w, status;
	pid_t pid[2];

	for (w = 0; w < 2; w++) {
		pid[w] = fork();
		if (!pid[w])
			_exit(map_and_check(w, mib));
	}
	for (w = 0; w < 2; w++) {
		ASSERT_EQ(pid[w], waitpid(pid[w], &status, 0));
		EXPECT_EQ(0, status) TH_LOG("mapper %d", w);
	}
}

TEST_HARNESS_MAIN
