// SPDX-License-Identifier: GPL-2.0
/*
 * A signal every millisecond, with and without SA_RESTART: regular files never
 * fail with EINTR, nor read or write less than asked. On the debug kernel every
 * five: it would do little else than deliver them.
 */
#include <sys/time.h>

#include "common.h"

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	alarms++;
}

static void storm(bool restart)
{
	struct sigaction act = {
		.sa_handler = on_alarm,
		.sa_flags = restart ? SA_RESTART : 0,
	};
	int us = on_debug(2000, 1000);
	struct itimerval every = { { 0, us }, { 0, us } };

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

static void calm(void)
{
	struct itimerval never = {};

	setitimer(ITIMER_REAL, &never, NULL);
}

FIXTURE(storm)
{
	char srv[64];
};

FIXTURE_VARIANT(storm)
{
	bool restart;
};

FIXTURE_VARIANT_ADD(storm, restart) { .restart = true };
FIXTURE_VARIANT_ADD(storm, plain) { .restart = false };

FIXTURE_SETUP(storm)
{
	snprintf(self->srv, sizeof(self->srv), "/srv/storm.%d", getpid());
	ASSERT_EQ(0, on_host(NULL, 0, "mkdir %s", self->srv));
	ASSERT_EQ(0, chdir(mount_point()));
	ASSERT_EQ(0, chdir(self->srv + 1));
	alarms = 0;
}

FIXTURE_TEARDOWN(storm)
{
	calm();
	if (chdir("/"))
		TH_LOG("%m");
	on_host(NULL, 0, "rm -rf %s", self->srv);
}

#define LEN (8 << 20)

TEST_F_TIMEOUT(storm, bytes, 200)
{
	unsigned char *buf = malloc(LEN);
	char out[128], want[128];
	int fd, i;

	ASSERT_NE(NULL, buf);
	fill(buf, 1, 0, LEN);
	storm(variant->restart);
	for (i = 0; i < on_debug(2, 3); i++) {
		fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644);
		ASSERT_LE(0, fd) TH_LOG("%m");
		ASSERT_EQ(LEN, write(fd, buf, LEN)) TH_LOG("%m");
		ASSERT_EQ(0, fsync(fd)) TH_LOG("%m");
		ASSERT_EQ(0, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
		memset(buf, 0, LEN);
		ASSERT_EQ(LEN, pread(fd, buf, LEN, 0)) TH_LOG("%m");
		ASSERT_EQ(0, close(fd)) TH_LOG("%m");
		ASSERT_EQ(LEN, wrong_at(buf, 1, 0, LEN));
	}
	calm();
	EXPECT_LT(10, alarms);
	fd = open("/dev/shm/storm", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ASSERT_EQ(LEN, write(fd, buf, LEN));
	close(fd);
	shell(want, sizeof(want), "sha256sum </dev/shm/storm; rm /dev/shm/storm");
	on_host(out, sizeof(out), "sha256sum <%s/f", self->srv);
	EXPECT_STREQ(want, out);
	free(buf);
}

TEST_F_TIMEOUT(storm, direct_and_append, 200)
{
	char *buf = aligned_alloc(4096, 1 << 20);
	struct stat st;
	int fd, i, rounds = on_debug(2, 8);

	memset(buf, 'x', 1 << 20);
	storm(variant->restart);
	fd = open("f", O_RDWR | O_CREAT | O_DIRECT, 0644);
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(1 << 20, pwrite(fd, buf, 1 << 20, i << 20))
			TH_LOG("%m");
		ASSERT_EQ(1 << 20, pread(fd, buf, 1 << 20, i << 20))
			TH_LOG("%m");
	}
	ASSERT_EQ(0, close(fd));
	fd = open("f", O_WRONLY | O_APPEND);
	for (i = 0; i < 100; i++)
		ASSERT_EQ(1000, write(fd, buf, 1000)) TH_LOG("%m");
	ASSERT_EQ(0, close(fd));
	calm();
	ASSERT_EQ(0, stat("f", &st));
	EXPECT_EQ((rounds << 20) + 100000, st.st_size);
	free(buf);
}

TEST_F_TIMEOUT(storm, names_and_attributes, 200)
{
	char name[32], other[32];
	int i, rounds = on_debug(40, 150);
	struct stat st;

	storm(variant->restart);
	for (i = 0; i < rounds; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		snprintf(other, sizeof(other), "o%d", i);
		ASSERT_EQ(0, errno_of(mkdir(name, 0755))) TH_LOG("%d", i);
		ASSERT_EQ(0, errno_of(rename(name, other))) TH_LOG("%d", i);
		ASSERT_EQ(0, errno_of(stat(other, &st))) TH_LOG("%d", i);
		ASSERT_EQ(0, errno_of(chmod(other, 0700))) TH_LOG("%d", i);
		ASSERT_EQ(0, errno_of(symlink("x", name))) TH_LOG("%d", i);
		ASSERT_EQ(1, readlink(name, other + 16, 8));
		ASSERT_EQ(0, errno_of(unlink(name))) TH_LOG("%d", i);
		ASSERT_EQ(ENOENT, errno_of(stat(name, &st))) TH_LOG("%d", i);
	}
	calm();
	EXPECT_LT(10, alarms);
	EXPECT_EQ(0, on_host(NULL, 0, "test $(ls %s | wc -l) = %d",
			     self->srv, rounds));
}

/* What has no end may be interrupted, but not lose or repeat. */
TEST_F_TIMEOUT(storm, special_files, 200)
{
	char whole[8192], part[8192];
	int fd, i;
	ssize_t n;

	fd = open("../../proc/filesystems", O_RDONLY);
	ASSERT_LE(0, fd) TH_LOG("%m");
	n = read(fd, whole, sizeof(whole));
	ASSERT_LT(0, n);
	storm(variant->restart);
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(n, pread(fd, part, sizeof(part), 0)) TH_LOG("%m");
		ASSERT_EQ(0, memcmp(whole, part, n));
	}
	close(fd);
}

TEST_HARNESS_MAIN
