// SPDX-License-Identifier: GPL-2.0
/*
 * name_to_handle_at(2) and open_by_handle_at(2): a handle finds its object after
 * the caches have gone and wherever it was moved, until it is deleted.
 */
#define _GNU_SOURCE
#include "common.h"

struct a_handle {
	struct file_handle head;
	unsigned char bytes[MAX_HANDLE_SZ];
};

static char where[4096];	/* on the mount that the handle belongs to */

static int handle_of(const char *name, struct a_handle *handle)
{
	int mount;

	if (!getcwd(where, sizeof(where)))
		return -1;
	memset(handle, 0, sizeof(*handle));
	handle->head.handle_bytes = MAX_HANDLE_SZ;
	return name_to_handle_at(AT_FDCWD, name, &handle->head, &mount, 0);
}

static int open_handle(struct a_handle *handle, int flags)
{
	int mount = open(where, O_RDONLY | O_DIRECTORY);
	int fd = open_by_handle_at(mount, &handle->head, flags), err = errno;

	close(mount);
	errno = err;
	return fd;
}

/* What the handle's file contains; NULL and errno. */
static const char *text_of(struct a_handle *handle)
{
	static char text[64];
	int fd = open_handle(handle, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return text;
}

static void forget_all(void)
{
	sync();
	shell(NULL, 0, "echo 3 >/proc/sys/vm/drop_caches");
}

static int make(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	return close(fd) || !ok ? -1 : 0;
}

TEST_F(tree, files)
{
	struct a_handle f, same;
	int fd;

	ASSERT_EQ(0, make("f", "contents"));
	ASSERT_EQ(0, handle_of("f", &f)) TH_LOG("%m");
	EXPECT_STREQ("contents", text_of(&f)) TH_LOG("%m");
	forget_all();
	EXPECT_STREQ("contents", text_of(&f)) TH_LOG("%m");
	ASSERT_EQ(0, handle_of("f", &same));
	EXPECT_EQ(0, memcmp(&f, &same, sizeof(f)));
	/* Moved here, moved there, written by its handle. */
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, rename("f", "d/g"));
	forget_all();
	EXPECT_STREQ("contents", text_of(&f)) TH_LOG("%m");
	ASSERT_EQ(0, on_host(NULL, 0, "mv %s/d/g %s/h", self->srv, self->srv));
	forget_all();
	fd = open_handle(&f, O_RDWR);
	ASSERT_LE(0, fd) TH_LOG("%m");
	EXPECT_EQ(3, pwrite(fd, "CON", 3, 0));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, on_host(NULL, 0, "grep -q ^CONtents %s/h", self->srv));
	ASSERT_EQ(0, shell(NULL, 0, "cat h >/dev/null"));
	EXPECT_STREQ("CONtents", text_of(&f)) TH_LOG("%m");
}

TEST_F(tree, directories)
{
	struct a_handle d;
	char path[256] = {}, proc[64];
	int fd, here = open(".", O_RDONLY | O_DIRECTORY);

	ASSERT_EQ(0, mkdir("a", 0755));
	ASSERT_EQ(0, mkdir("a/b", 0755));
	ASSERT_EQ(0, mkdir("a/b/c", 0755));
	ASSERT_EQ(0, make("a/b/c/f", "text"));
	ASSERT_EQ(0, handle_of("a/b/c", &d)) TH_LOG("%m");
	ASSERT_EQ(0, chdir("/"));
	forget_all();	/* a and b, but not where they are */
	fd = open_handle(&d, O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, fd) TH_LOG("%m");
	EXPECT_EQ(0, faccessat(fd, "f", F_OK, 0)) TH_LOG("%m");
	/* It is where it belongs. */
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	ASSERT_LT(0, readlink(proc, path, sizeof(path) - 1));
	EXPECT_NE(NULL, strstr(path, self->here)) TH_LOG("%s", path);
	EXPECT_NE(NULL, strstr(path, "/a/b/c")) TH_LOG("%s", path);
	close(fd);
	ASSERT_EQ(0, chdir(self->here));
	ASSERT_EQ(0, rename("a/b/c", "c"));
	fd = open_handle(&d, O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, fd) TH_LOG("%m");
	EXPECT_EQ(0, faccessat(fd, "f", F_OK, 0)) TH_LOG("%m");
	close(fd);
	close(here);
}

TEST_F(tree, handles_of_nothing)
{
	struct a_handle f, g;
	char path[256], opts[256], here[sizeof(where)];

	ASSERT_EQ(0, make("f", "contents"));
	ASSERT_EQ(0, make("g", "contents"));
	ASSERT_EQ(0, handle_of("f", &f));
	ASSERT_EQ(0, handle_of("g", &g));
	ASSERT_EQ(0, unlink("f"));
	EXPECT_EQ(NULL, text_of(&f));
	EXPECT_EQ(ESTALE, errno) TH_LOG("%m");
	/* The server has its space back. */
	forget_all();
	while (!on_host(NULL, 0, "ls -l /proc/$(cat /run/qtfs-engine.pid)/fd | grep -q ' %s/f (deleted)'",
			self->srv))
		nap_ms(50);
	ASSERT_EQ(0, on_host(NULL, 0, "rm %s/g", self->srv));
	EXPECT_EQ(NULL, text_of(&g));
	EXPECT_EQ(ESTALE, errno) TH_LOG("%m");
	/* Of a file that takes the name, the handle is not. */
	ASSERT_EQ(0, make("f", "another"));
	EXPECT_EQ(NULL, text_of(&f));
	EXPECT_EQ(ESTALE, errno) TH_LOG("%m");
	/* Made up: another node, another session, another length, another type. */
	ASSERT_EQ(0, handle_of("f", &f));
	g = f;
	g.bytes[8] ^= 0xff;
	EXPECT_EQ(ESTALE, errno_of(open_handle(&g, O_RDONLY)));
	g = f;
	g.bytes[0] ^= 0xff;
	EXPECT_EQ(ESTALE, errno_of(open_handle(&g, O_RDONLY)));
	g = f;
	g.head.handle_bytes -= 4;
	EXPECT_EQ(ESTALE, errno_of(open_handle(&g, O_RDONLY)));
	g = f;
	g.head.handle_type ^= 1;
	EXPECT_EQ(ESTALE, errno_of(open_handle(&g, O_RDONLY)));
	/* What procfs shows has no handles. */
	snprintf(path, sizeof(path), "%s/proc/version", mount_point());
	memset(&g, 0, sizeof(g));
	EXPECT_NE(0, handle_of(path, &g));
	/* Nor does another mount of the same tree know this one's. */
	snprintf(opts, sizeof(opts),
		 "mkdir -p /run/handles && mount -t qtfs ${QTFS_SOURCE:-/} /run/handles");
	ASSERT_EQ(0, shell(NULL, 0, "%s", opts));
	memcpy(here, where, sizeof(here));
	snprintf(where, sizeof(where), "/run/handles");
	EXPECT_EQ(ESTALE, errno_of(open_handle(&f, O_RDONLY)));
	/* Nor another mount of the server. */
	snprintf(where, sizeof(where), "%s", mount_point());
	EXPECT_EQ(ESTALE, errno_of(open_handle(&f, O_RDONLY)));
	memcpy(where, here, sizeof(where));
	EXPECT_EQ(0, shell(NULL, 0, "umount /run/handles"));
	EXPECT_STREQ("another", text_of(&f)) TH_LOG("%m");
}

TEST_HARNESS_MAIN
