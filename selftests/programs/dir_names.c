// SPDX-License-Identifier: GPL-2.0
/* Names: any bytes but '/' and NUL, up to 255 of them. */
#include <dirent.h>

#include "common.h"

#define LIST "find . -mindepth 1 -printf '%%f\\0' | LC_ALL=C sort -z | sha256sum"

TEST_F(tree, longest)
{
	char name[257];

	memset(name, 'n', 256);
	name[255] = 0;
	EXPECT_EQ(0, errno_of(mkdir(name, 0755)));
	EXPECT_EQ(0, on_host(NULL, 0, "test -d %s/%s", self->srv, name));
	EXPECT_EQ(0, errno_of(rmdir(name)));
	EXPECT_EQ(0, errno_of(symlink("x", name)));
	EXPECT_EQ(0, errno_of(unlink(name)));
}

TEST_F(tree, too_long)
{
	char name[258];
	struct stat st;

	ASSERT_EQ(0, mkdir("d", 0755));
	memset(name, 'n', 256);
	name[256] = 0;
	EXPECT_EQ(ENAMETOOLONG, errno_of(stat(name, &st)));
	EXPECT_EQ(ENAMETOOLONG, errno_of(open(name, O_RDONLY)));
	EXPECT_EQ(ENAMETOOLONG, errno_of(open(name, O_CREAT | O_RDWR, 0644)));
	EXPECT_EQ(ENAMETOOLONG, errno_of(open(name, O_CREAT | O_EXCL, 0644)));
	EXPECT_EQ(ENAMETOOLONG, errno_of(mkdir(name, 0755)));
	EXPECT_EQ(ENAMETOOLONG, errno_of(rmdir(name)));
	EXPECT_EQ(ENAMETOOLONG, errno_of(unlink(name)));
	EXPECT_EQ(ENAMETOOLONG, errno_of(symlink("x", name)));
	EXPECT_EQ(ENAMETOOLONG, errno_of(mknod(name, S_IFIFO | 0644, 0)));
	EXPECT_EQ(ENAMETOOLONG, errno_of(rename("d", name)));
	EXPECT_EQ(0, on_host(NULL, 0, "test \"$(ls -A %s)\" = d", self->srv));
}

/* Each byte alone, and invalid UTF-8 together. */
TEST_F_TIMEOUT(tree, any_bytes, 120)
{
	char here[256], there[256], name[4];
	unsigned int c;
	int fd;

	for (c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		snprintf(name, sizeof(name), "%c%s", c, c == '.' ? "x" : "");
		fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
		ASSERT_LE(0, fd) TH_LOG("byte %u: %m", c);
		close(fd);
	}
	ASSERT_EQ(0, mkdir("\xff\xfe\x80\xc0 \n\\\"'*", 0755));
	EXPECT_EQ(0, shell(here, sizeof(here), LIST));
	EXPECT_EQ(0, on_host(there, sizeof(there), "cd %s; " LIST, self->srv));
	EXPECT_STREQ(there, here);
	for (c = 1; c < 256; c++) {
		snprintf(name, sizeof(name), "%c%s", c, c == '.' ? "x" : "");
		if (c != '/')
			EXPECT_EQ(0, unlink(name)) TH_LOG("byte %u: %m", c);
	}
	EXPECT_EQ(0, rmdir("\xff\xfe\x80\xc0 \n\\\"'*"));
}

TEST_F(tree, case_matters)
{
	ASSERT_EQ(0, mkdir("name", 0755));
	EXPECT_EQ(ENOENT, errno_of(access("NAME", F_OK)));
	EXPECT_EQ(0, errno_of(mkdir("Name", 0755)));
	EXPECT_EQ(EEXIST, errno_of(mkdir("name", 0755)));
}

/* A name that was absent, and known to be, appears on the server. */
TEST_F(tree, absent_name_appears)
{
	double end = now() + 40;

	EXPECT_EQ(ENOENT, errno_of(access("late", F_OK)));
	ASSERT_EQ(0, on_host(NULL, 0, "touch %s/late", self->srv));
	/* Creating it asks the server, whatever is cached. */
	EXPECT_EQ(EEXIST, errno_of(open("late", O_CREAT | O_EXCL, 0644)));
	EXPECT_EQ(0, errno_of(access("late", F_OK)));
	ASSERT_EQ(0, on_host(NULL, 0, "rm %s/late", self->srv));
	/* Looking it up notices within the attributes' time at most. */
	while (!access("late", F_OK) && now() < end)
		nap_ms(100);
	EXPECT_EQ(ENOENT, errno_of(access("late", F_OK)));
}

TEST_HARNESS_MAIN
