// SPDX-License-Identifier: GPL-2.0
/*
 * open(2) with every combination of flags on every kind of name, compared with
 * what a local filesystem does: the error, and what is left behind.
 */
#include "common.h"

static const struct {
	const char *name;
	const char *target;
} objects[] = {
	{ "file", NULL },	{ "dir", NULL },	{ "none", NULL },
	{ "to-file", "file" },	{ "to-dir", "dir" },	{ "to-none", "none" },
	{ "loop", "loop" },	{ "file/x", NULL },	{ "none/x", NULL },
	{ "dir/x", NULL },	{ "file/", NULL },	{ "dir/", NULL },
	{ "none/", NULL },	{ "to-file/", NULL },	{ "to-dir/", NULL },
	{ "to-none/", NULL },
};

static const int bits[] = {
	O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW, O_PATH,
};

static int put_content(int dir)
{
	int fd = openat(dir, "file", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	int ret = write(fd, "content", 7);

	close(fd);
	return ret == 7 ? 0 : -1;
}

static int lay_out(int dir)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(objects); i++)
		if (objects[i].target &&
		    symlinkat(objects[i].target, dir, objects[i].name))
			return -1;
	return mkdirat(dir, "dir", 0755) ?: put_content(dir);
}

/* What came of one open, as text. */
static void attempt(int dir, const char *name, int flags, char *out, size_t n)
{
	int fd = openat(dir, name, flags, 0640), wrote = 0, got = 0;
	int err = fd < 0 ? errno : 0;
	struct stat st = {}, file = {};
	char c = 0;

	if (fd >= 0) {
		wrote = write(fd, "ab", 2) < 0 ? -errno : 2;
		got = pread(fd, &c, 1, 0) < 0 ? -errno : c;
		fstat(fd, &st);
		close(fd);
	}
	fstatat(dir, "file", &file, 0);
	snprintf(out, n, "err %d wrote %d got %d type %o size %ld file %ld none %d",
		 err, wrote, got, st.st_mode & S_IFMT,
		 S_ISREG(st.st_mode) ? (long)st.st_size : 0L,
		 (long)file.st_size, faccessat(dir, "none", F_OK, 0));
	if (file.st_size != 7 || wrote > 0)
		put_content(dir);
	unlinkat(dir, "none", 0);
	unlinkat(dir, "dir/x", 0);
}

TEST_F_TIMEOUT(tree, as_locally, 250)
{
	char local[] = "/dev/shm/file_open.XXXXXX", want[256], got[256];
	unsigned int o, set, i, wrong = 0;
	int here, there, flags, acc;

	ASSERT_NE(NULL, mkdtemp(local));
	there = open(local, O_PATH | O_DIRECTORY);
	here = open(".", O_PATH | O_DIRECTORY);
	ASSERT_EQ(0, lay_out(there));
	ASSERT_EQ(0, lay_out(here)) TH_LOG("%m");

	for (o = 0; o < ARRAY_LEN(objects); o++) {
		for (set = 0; set < 1u << ARRAY_LEN(bits); set++) {
			for (acc = O_RDONLY; acc <= O_RDWR; acc++) {
				flags = acc;
				for (i = 0; i < ARRAY_LEN(bits); i++)
					if (set & (1u << i))
						flags |= bits[i];
				/* Kernels disagree among themselves. */
				if ((flags & O_CREAT) && (flags & O_DIRECTORY))
					continue;
				if ((flags & O_PATH) && acc != O_RDONLY)
					continue;
				attempt(there, objects[o].name, flags, want,
					sizeof(want));
				attempt(here, objects[o].name, flags, got,
					sizeof(got));
				if (!strcmp(want, got) || wrong++ > 10)
					continue;
				TH_LOG("%s flags %#x:", objects[o].name, flags);
				TH_LOG("  local %s", want);
				TH_LOG("  mount %s", got);
			}
		}
	}
	EXPECT_EQ(0, wrong);
	close(here);
	close(there);
	shell(NULL, 0, "rm -rf %s", local);
}

TEST_F(tree, modes_reach_the_server)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	char out[64], want[64];
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(masks); i++) {
		mode_t old = umask(masks[i]);

		close(open("f", O_CREAT | O_EXCL | O_WRONLY, 06777));
		mkdir("d", 01777);
		mknod("p", S_IFIFO | 0666, 0);
		umask(old);
		EXPECT_EQ(0, on_host(out, sizeof(out),
				     "cd %s; stat -c %%a f d p | xargs",
				     self->srv));
		snprintf(want, sizeof(want), "%o %o %o", 06777 & ~masks[i],
			 01777 & ~masks[i], 0666 & ~masks[i]);
		EXPECT_STREQ(want, out);
		unlink("f");
		rmdir("d");
		unlink("p");
	}
}

/* The mode of a new file does not bind the descriptor that made it. */
TEST_F(tree, created_unwritable_yet_open)
{
	int fd = open("f", O_CREAT | O_EXCL | O_RDWR, 0);
	char c = 0;

	ASSERT_LE(0, fd) TH_LOG("%m");
	EXPECT_EQ(1, write(fd, "x", 1));
	EXPECT_EQ(1, pread(fd, &c, 1, 0));
	EXPECT_EQ('x', c);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, on_host(NULL, 0, "test \"$(cat %s/f)\" = x", self->srv));
}

TEST_F(tree, running_programs)
{
	char out[64];

	/* Another in its place, which nobody has looked at. */
	ASSERT_EQ(0, on_host(NULL, 0, "cd %s; echo no program >prog; chmod 644 prog", self->srv));
	EXPECT_EQ(EACCES, errno_of(access("prog", X_OK)));
	ASSERT_EQ(0, on_host(NULL, 0, "cd %s; rm prog; cp /bin/echo prog; chmod 755 prog; cp prog plain; chmod 644 plain",
			     self->srv));
	EXPECT_EQ(0, shell(out, sizeof(out), "./prog it runs"));
	EXPECT_STREQ("it runs", out);
	EXPECT_EQ(126, shell(out, sizeof(out), "./plain it runs"));
}

TEST_HARNESS_MAIN
