// SPDX-License-Identifier: GPL-2.0
/* The server's /proc and /sys: made while they are read, of no known length. */
#include "common.h"

#define MAX (16 << 20)

static char *one, *other;

/* The whole of @path by reads of @chunk; its length, -1 on error. */
static ssize_t slurp(const char *path, size_t chunk, char *to)
{
	int fd = open(path, O_RDONLY);
	ssize_t n, len = 0;

	if (fd < 0)
		return -1;
	while ((n = read(fd, to + len, chunk)) > 0)
		len += n;
	close(fd);
	return n < 0 ? -1 : len;
}

FIXTURE(special)
{
};

FIXTURE_SETUP(special)
{
	ASSERT_EQ(0, chdir(mount_point()));
	one = malloc(MAX);
	other = malloc(MAX);
}

FIXTURE_TEARDOWN(special)
{
	free(one);
	free(other);
}

FIXTURE_VARIANT(special)
{
	size_t chunk;
};

FIXTURE_VARIANT_ADD(special, by_1) { .chunk = 1 };
FIXTURE_VARIANT_ADD(special, by_7) { .chunk = 7 };
FIXTURE_VARIANT_ADD(special, by_4095) { .chunk = 4095 };
FIXTURE_VARIANT_ADD(special, by_70000) { .chunk = 70000 };

/* As the server's kernel has it: sysfs says yes, procfs does not know it. */
TEST_F(special, fsync)
{
	int sys = open("sys/kernel/uevent_seqnum", O_RDONLY);
	int proc = open("proc/version", O_RDONLY);

	ASSERT_TRUE(sys >= 0 && proc >= 0);
	EXPECT_EQ(0, errno_of(fsync(sys)));
	EXPECT_EQ(EINVAL, errno_of(fsync(proc)));
	close(sys);
	close(proc);
}

/* Each write(2) is one: of a sysctl what follows at another place is ignored. */
TEST_F(special, writes_are_not_joined)
{
	int fd = open("proc/sys/vm/swappiness", O_RDWR);
	char now[32], old[32];

	ASSERT_LE(0, fd);
	on_host(old, sizeof(old), "cat /proc/sys/vm/swappiness");
	ASSERT_EQ(1, write(fd, "4", 1));
	ASSERT_EQ(2, write(fd, "1\n", 2));
	on_host(now, sizeof(now), "cat /proc/sys/vm/swappiness");
	EXPECT_STREQ("4", now);
	close(fd);
	on_host(NULL, 0, "echo %s >/proc/sys/vm/swappiness", old);
}

TEST_F_TIMEOUT(special, as_in_one_read, 120)
{
	static const char *const files[] = {
		"proc/version", "proc/filesystems", "proc/devices",
		"proc/1/cmdline", "proc/sys/kernel/ostype", "proc/cmdline",
		"sys/devices/system/cpu/possible",
		"sys/devices/system/cpu/online",
	};
	unsigned int i;
	ssize_t n;

	for (i = 0; i < ARRAY_LEN(files); i++) {
		n = slurp(files[i], MAX, one);
		ASSERT_LT(0, n) TH_LOG("%s: %m", files[i]);
		EXPECT_EQ(n, slurp(files[i], variant->chunk, other))
			TH_LOG("%s", files[i]);
		EXPECT_EQ(0, memcmp(one, other, n)) TH_LOG("%s", files[i]);
	}
}

TEST_F_TIMEOUT(special, large_and_complete, 250)
{
	char here[128], there[128];
	ssize_t n;
	int fd;

	if (variant->chunk != on_debug(70000, 4095))
		SKIP(return, "takes long, once is enough");
	n = slurp("proc/kallsyms", variant->chunk, one);
	ASSERT_LT(100000, n);
	fd = open("/dev/shm/kallsyms", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ASSERT_EQ(n, write(fd, one, n));
	close(fd);
	shell(here, sizeof(here), "sha256sum </dev/shm/kallsyms; rm /dev/shm/kallsyms");
	on_host(there, sizeof(there), "sha256sum </proc/kallsyms");
	EXPECT_STREQ(there, here);
}

/* pread from a place, and lseek there, give what is at that place. */
TEST_F(special, positions)
{
	ssize_t n = slurp("proc/filesystems", MAX, one);
	int fd = open("proc/filesystems", O_RDONLY);

	ASSERT_LT(20, n);
	EXPECT_EQ(10, pread(fd, other, 10, n - 10));
	EXPECT_EQ(0, memcmp(one + n - 10, other, 10));
	EXPECT_EQ(5, lseek(fd, 5, SEEK_SET));
	EXPECT_EQ(10, read(fd, other, 10));
	EXPECT_EQ(0, memcmp(one + 5, other, 10));
	EXPECT_EQ(15, lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(0, pread(fd, other, 10, n + 100));
	EXPECT_EQ(EINVAL, errno_of(lseek(fd, 0, SEEK_END)));
	close(fd);
}

/* The C library asks for as much at once as the file says it likes. */
TEST_F(special, not_by_the_kilobyte)
{
	struct stat st;

	ASSERT_EQ(0, stat("proc/kallsyms", &st));
	EXPECT_LE(8192, st.st_blksize);
}

/* A file of sysfs has an end, a page further on. */
TEST_F(special, end)
{
	int fd = open("sys/kernel/uevent_seqnum", O_RDONLY);
	char there[32];

	ASSERT_LE(0, fd);
	on_host(there, sizeof(there), "stat -c %%s /sys/kernel/uevent_seqnum");
	EXPECT_EQ(atoi(there) - 2, lseek(fd, -2, SEEK_END));
	EXPECT_EQ(atoi(there) - 2, lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(0, pread(fd, other, 10, atoi(there)));
	EXPECT_EQ(EINVAL, errno_of(lseek(fd, -atoi(there) - 1, SEEK_END)));
	close(fd);
}

/* A file that was opened before shows what is so now, not what was cached. */
TEST_F(special, never_stale)
{
	int fd = open("proc/sys/kernel/domainname", O_RDONLY), i;
	char want[32], old[64];

	ASSERT_LE(0, fd);
	on_host(old, sizeof(old), "cat /proc/sys/kernel/domainname");
	for (i = 0; i < 5; i++) {
		snprintf(want, sizeof(want), "value%d\n", i);
		ASSERT_EQ(0, on_host(NULL, 0, "echo value%d >/proc/sys/kernel/domainname", i));
		EXPECT_EQ(7, pread(fd, other, 64, 0));
		EXPECT_EQ(0, memcmp(want, other, 7));
	}
	close(fd);
	on_host(NULL, 0, "echo '%s' >/proc/sys/kernel/domainname", old);
}

TEST_HARNESS_MAIN
