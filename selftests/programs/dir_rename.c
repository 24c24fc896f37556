// SPDX-License-Identifier: GPL-2.0
/* rename(2) and renameat2(2): what they do, and what they refuse. */
#include "common.h"

static int rename2(const char *from, const char *to, unsigned int flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static int put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	int err = fd < 0 || write(fd, text, strlen(text)) < 0;

	return close(fd) || err ? -1 : 0;
}

TEST_F(tree, moves)
{
	char out[256];

	ASSERT_EQ(0, put("a", "one"));
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, rename("a", "d/b")) TH_LOG("%m");
	EXPECT_EQ(ENOENT, errno_of(access("a", F_OK)));
	EXPECT_EQ(0, on_host(out, sizeof(out), "cd %s; ls -A; cat d/b",
			     self->srv));
	EXPECT_STREQ("d\none", out);
}

TEST_F(tree, replaces_a_file_that_is_open)
{
	struct stat st;
	char buf[8] = "";
	int fd;

	ASSERT_EQ(0, put("old", "old"));
	ASSERT_EQ(0, put("new", "new"));
	fd = open("old", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rename("new", "old")) TH_LOG("%m");
	EXPECT_EQ(3, read(fd, buf, sizeof(buf)));
	EXPECT_STREQ("old", buf);
	ASSERT_EQ(0, fstat(fd, &st)) TH_LOG("%m");
	EXPECT_EQ(0, st.st_nlink);
	close(fd);
	fd = open("old", O_RDONLY);
	EXPECT_EQ(3, read(fd, buf, sizeof(buf)));
	EXPECT_STREQ("new", buf);
	close(fd);
}

TEST_F(tree, noreplace)
{
	char out[256];

	ASSERT_EQ(0, put("a", "a"));
	ASSERT_EQ(0, put("b", "b"));
	EXPECT_EQ(EEXIST, errno_of(rename2("a", "b", RENAME_NOREPLACE)));
	EXPECT_EQ(0, on_host(out, sizeof(out), "cd %s; cat a b", self->srv));
	EXPECT_STREQ("ab", out);
	EXPECT_EQ(0, errno_of(rename2("a", "c", RENAME_NOREPLACE)));
	/* The server made this one, unknown to the client. */
	EXPECT_EQ(0, on_host(NULL, 0, "touch %s/theirs", self->srv));
	EXPECT_EQ(EEXIST, errno_of(rename2("c", "theirs", RENAME_NOREPLACE)));
}

TEST_F(tree, exchange)
{
	struct stat st;
	char out[256];

	ASSERT_EQ(0, put("a", "a"));
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, put("d/in", "in"));
	EXPECT_EQ(ENOENT, errno_of(rename2("a", "none", RENAME_EXCHANGE)));
	EXPECT_EQ(EINVAL, errno_of(rename2("a", "d", RENAME_EXCHANGE |
					   RENAME_NOREPLACE)));
	ASSERT_EQ(0, rename2("a", "d", RENAME_EXCHANGE)) TH_LOG("%m");
	EXPECT_EQ(0, stat("d", &st));
	EXPECT_TRUE(S_ISREG(st.st_mode));
	EXPECT_EQ(0, access("a/in", F_OK));
	EXPECT_EQ(0, on_host(out, sizeof(out), "cd %s; cat d a/in", self->srv));
	EXPECT_STREQ("ain", out);
}

TEST_F(tree, whiteout)
{
	char out[256];

	ASSERT_EQ(0, put("a", "a"));
	ASSERT_EQ(0, rename2("a", "b", RENAME_WHITEOUT)) TH_LOG("%m");
	EXPECT_EQ(0, on_host(out, sizeof(out), "stat -c '%%F %%t:%%T' %s/a",
			     self->srv));
	EXPECT_STREQ("character special file 0:0", out);
}

TEST_F(tree, refusals)
{
	char name[257];

	memset(name, 'n', 256);
	name[256] = 0;
	ASSERT_EQ(0, put("file", ""));
	ASSERT_EQ(0, mkdir("dir", 0755));
	ASSERT_EQ(0, mkdir("dir/sub", 0755));
	ASSERT_EQ(0, mkdir("full", 0755));
	ASSERT_EQ(0, put("full/in", ""));
	EXPECT_EQ(EINVAL, errno_of(rename("dir", "dir/sub/x")));
	EXPECT_EQ(ENOTEMPTY, errno_of(rename("dir", "full")));
	EXPECT_EQ(ENOTEMPTY, errno_of(rename("full/in", "full")));
	EXPECT_EQ(EISDIR, errno_of(rename("file", "dir")));
	EXPECT_EQ(ENOTDIR, errno_of(rename("dir", "file")));
	EXPECT_EQ(ENOTDIR, errno_of(rename("file/x", "y")));
	EXPECT_EQ(ENOENT, errno_of(rename("none", "y")));
	EXPECT_EQ(ENOENT, errno_of(rename("file", "none/y")));
	EXPECT_EQ(ENAMETOOLONG, errno_of(rename("file", name)));
	EXPECT_EQ(EXDEV, errno_of(rename("file", "/tmp/file")));
	EXPECT_EQ(0, access("file", F_OK));
}

TEST_F(tree, directory_onto_empty_one)
{
	char cwd[512];

	ASSERT_EQ(0, mkdir("a", 0755));
	ASSERT_EQ(0, mkdir("a/in", 0755));
	ASSERT_EQ(0, mkdir("b", 0755));
	ASSERT_EQ(0, chdir("a/in"));
	EXPECT_EQ(0, rename("../../a", "../../b")) TH_LOG("%m");
	/* Whoever is inside has moved with it. */
	ASSERT_NE(NULL, getcwd(cwd, sizeof(cwd)));
	EXPECT_NE(NULL, strstr(cwd, "/b/in")) TH_LOG("%s", cwd);
	EXPECT_EQ(0, on_host(NULL, 0, "test -d %s/b/in -a ! -e %s/a",
			     self->srv, self->srv));
}

TEST_F(tree, same_file_twice_stays)
{
	ASSERT_EQ(0, put("a", "a"));
	ASSERT_EQ(0, link("a", "b"));
	EXPECT_EQ(0, rename("a", "b"));
	EXPECT_EQ(0, on_host(NULL, 0, "test -e %s/a -a -e %s/b", self->srv,
			     self->srv));
	EXPECT_EQ(0, access("a", F_OK));
}

TEST_HARNESS_MAIN
