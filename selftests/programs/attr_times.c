// SPDX-License-Identifier: GPL-2.0
/* Attributes: what is set is what the server has, to the nanosecond. */
#include "common.h"

static const struct {
	long long sec;
	long ns;
} times[] = {
	{ 0, 0 }, { 1, 1 }, { 1234567890, 123456789 }, { -1, 999999999 },
	{ 2147483648, 5 }, { 4294967296, 999999999 },
};

TEST_F(tree, nanoseconds)
{
	char out[128], want[128];
	struct timespec ts[2];
	struct stat st;
	unsigned int i;

	close(open("f", O_CREAT | O_WRONLY, 0644));
	for (i = 0; i < ARRAY_LEN(times); i++) {
		ts[0].tv_sec = times[i].sec;
		ts[0].tv_nsec = times[i].ns;
		ts[1].tv_sec = times[ARRAY_LEN(times) - 1 - i].sec;
		ts[1].tv_nsec = times[ARRAY_LEN(times) - 1 - i].ns;
		ASSERT_EQ(0, utimensat(AT_FDCWD, "f", ts, 0)) TH_LOG("%m");
		ASSERT_EQ(0, stat("f", &st));
		EXPECT_EQ(ts[0].tv_sec, st.st_atim.tv_sec);
		EXPECT_EQ(ts[0].tv_nsec, st.st_atim.tv_nsec);
		EXPECT_EQ(ts[1].tv_sec, st.st_mtim.tv_sec);
		EXPECT_EQ(ts[1].tv_nsec, st.st_mtim.tv_nsec);
		/* stat(1) rounds times before 1970 its own way. */
		if (ts[0].tv_sec < 0 || ts[1].tv_sec < 0)
			continue;
		on_host(out, sizeof(out), "stat -c '%%.9X %%.9Y' %s/f",
			self->srv);
		snprintf(want, sizeof(want), "%ld.%09ld %ld.%09ld",
			 ts[0].tv_sec, ts[0].tv_nsec, ts[1].tv_sec,
			 ts[1].tv_nsec);
		EXPECT_STREQ(want, out);
	}
}

TEST_F(tree, omit_and_now)
{
	struct timespec ts[2] = { { 1000, 1 }, { 2000, 2 } };
	struct stat st;
	char out[64];
	long clock;

	close(open("f", O_CREAT | O_WRONLY, 0644));
	ASSERT_EQ(0, utimensat(AT_FDCWD, "f", ts, 0));
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_sec = 3000;
	ASSERT_EQ(0, utimensat(AT_FDCWD, "f", ts, 0));
	ASSERT_EQ(0, stat("f", &st));
	EXPECT_EQ(1000, st.st_atim.tv_sec);
	EXPECT_EQ(3000, st.st_mtim.tv_sec);

	/* "Now" is the server's. */
	on_host(out, sizeof(out), "date +%%s");
	clock = atol(out);
	ts[0].tv_nsec = UTIME_NOW;
	ts[1].tv_nsec = UTIME_OMIT;
	ASSERT_EQ(0, utimensat(AT_FDCWD, "f", ts, 0));
	ASSERT_EQ(0, stat("f", &st));
	EXPECT_LE(clock, st.st_atim.tv_sec);
	EXPECT_GT(clock + 60, st.st_atim.tv_sec);
	EXPECT_EQ(3000, st.st_mtim.tv_sec);
}

/* Reading is noted, or not, as the server's filesystem and the open say. */
TEST_F(tree, of_reading)
{
	static const struct {
		const char *name;
		int flags;
		bool noted;
	} files[] = {
		{ "read", O_RDONLY, true },
		{ "quietly", O_RDONLY | O_NOATIME, false },
	};
	char out[64], buf[8];
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_LEN(files); i++) {
		ASSERT_EQ(0, on_host(NULL, 0, "cd %s && echo text >%s && touch -d @1000 %s",
				     self->srv, files[i].name, files[i].name));
		fd = open(files[i].name, files[i].flags);
		ASSERT_LE(0, fd) TH_LOG("%m");
		EXPECT_EQ(5, read(fd, buf, sizeof(buf)));
		close(fd);
		on_host(out, sizeof(out), "stat -c %%X %s/%s", self->srv, files[i].name);
		EXPECT_EQ(files[i].noted, atol(out) > 1000) TH_LOG("%s: %s", files[i].name, out);
	}
}

/* A time that was set is not undone by writes of before. */
TEST_F(tree, set_after_writing)
{
	struct timespec ts[2] = { { 1000, 1 }, { 2000, 2 } };
	int fd = open("f", O_CREAT | O_RDWR, 0644);
	struct stat st;
	char out[64];

	ASSERT_EQ(4, write(fd, "data", 4));
	ASSERT_EQ(0, futimens(fd, ts));
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, stat("f", &st));
	EXPECT_EQ(2000, st.st_mtim.tv_sec);
	on_host(out, sizeof(out), "stat -c '%%Y %%s' %s/f", self->srv);
	EXPECT_STREQ("2000 4", out);
}

TEST_F(tree, symlinks_own)
{
	struct timespec ts[2] = { { 1000, 1 }, { 2000, 2 } };
	struct stat st;

	ASSERT_EQ(0, symlink("none", "l"));
	EXPECT_EQ(ENOENT, errno_of(utimensat(AT_FDCWD, "l", ts, 0)));
	ASSERT_EQ(0, utimensat(AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW));
	ASSERT_EQ(0, lstat("l", &st));
	EXPECT_EQ(2000, st.st_mtim.tv_sec);
	ASSERT_EQ(0, lchown("l", 5, 6));
	EXPECT_EQ(0, on_host(NULL, 0, "test $(stat -c %%u:%%g:%%Y %s/l) = 5:6:2000",
			     self->srv));
}

TEST_F(tree, statx_as_on_the_server)
{
	char want[256], got[256];
	struct statx st;
	int fd;

	fd = open("f", O_CREAT | O_WRONLY, 0640);
	ASSERT_EQ(5, write(fd, "12345", 5));
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, link("f", "g"));
	ASSERT_EQ(0, chown("f", 1000, 2000));
	ASSERT_EQ(0, statx(AT_FDCWD, "f", 0, STATX_ALL, &st));
	EXPECT_TRUE(st.stx_mask & STATX_BTIME);
	snprintf(got, sizeof(got), "%llu %o %u %u %u %llu %llu %lld %lld.%09u %lld.%09u",
		 (unsigned long long)st.stx_ino, st.stx_mode, st.stx_nlink,
		 st.stx_uid, st.stx_gid, (unsigned long long)st.stx_size,
		 (unsigned long long)st.stx_blocks,
		 (long long)st.stx_btime.tv_sec,
		 (long long)st.stx_mtime.tv_sec, st.stx_mtime.tv_nsec,
		 (long long)st.stx_ctime.tv_sec, st.stx_ctime.tv_nsec);
	on_host(want, sizeof(want),
		"cd %s; echo $(stat -c %%i f) $(printf %%o 0x$(stat -c %%f f)) $(stat -c '%%h %%u %%g %%s %%b %%W %%.9Y %%.9Z' f)",
		self->srv);
	EXPECT_STREQ(want, got);
}

/* stat after write sees the length and a time at once, flushed or not. */
TEST_F(tree, own_writes_show)
{
	struct timespec ts[2] = { { 1000, 0 }, { 1000, 0 } };
	int fd = open("f", O_CREAT | O_RDWR, 0644), i;
	char buf[100] = "x";
	struct stat st;

	for (i = 1; i < 20; i++) {
		ASSERT_EQ(0, futimens(fd, ts));
		ASSERT_EQ(100, pwrite(fd, buf, 100, i * 1000));
		ASSERT_EQ(0, stat("f", &st));
		EXPECT_EQ(i * 1000 + 100, st.st_size);
		EXPECT_LT(1000, st.st_mtim.tv_sec);
	}
	close(fd);
}

/* What is done to one name shows under the other. */
TEST_F(tree, two_names_one_inode)
{
	struct stat a, b;

	close(open("a", O_CREAT | O_WRONLY, 0644));
	ASSERT_EQ(0, link("a", "b"));
	ASSERT_EQ(0, chmod("a", 0600));
	ASSERT_EQ(0, stat("a", &a));
	ASSERT_EQ(0, stat("b", &b));
	EXPECT_EQ(a.st_ino, b.st_ino);
	EXPECT_EQ(2, b.st_nlink);
	EXPECT_EQ(0100600, b.st_mode);
	ASSERT_EQ(0, unlink("a"));
	ASSERT_EQ(0, stat("b", &b));
	EXPECT_EQ(1, b.st_nlink);
	EXPECT_EQ(EEXIST, errno_of(link("b", "b")));
	ASSERT_EQ(0, mkdir("d", 0755));
	EXPECT_EQ(EPERM, errno_of(link("d", "e")));
	ASSERT_EQ(0, stat(".", &a));
	EXPECT_EQ(3, a.st_nlink);
}

TEST_F(tree, mount_id)
{
	int fd = open("f", O_CREAT | O_WRONLY, 0644);
	unsigned long long id = 0;
	char name[64], line[256];
	struct statx st;
	FILE *info;

	ASSERT_LE(0, fd) TH_LOG("%m");
	ASSERT_EQ(0, statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st));
	EXPECT_TRUE(st.stx_mask & STATX_MNT_ID);
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	info = fopen(name, "r");
	ASSERT_NE(NULL, info);
	while (fgets(line, sizeof(line), info) && sscanf(line, "mnt_id: %llu", &id) != 1)
		;
	fclose(info);
	EXPECT_EQ(id, st.stx_mnt_id);
	close(fd);
}

TEST_HARNESS_MAIN
