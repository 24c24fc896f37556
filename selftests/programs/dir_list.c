// SPDX-License-Identifier: GPL-2.0
/* Listing large directories, in small pieces, from anywhere, while they change. */
#include <dirent.h>

#include "listing.h"

#define ENTRIES 2000

#define MAKE "cd %s && seq -f e%%.0f 0 1999 | xargs touch"

TEST_F_TIMEOUT(tree, complete, 200)
{
	static const size_t sizes[] = { 64, 1000, 65536, 1000 };
	unsigned int i;

	ASSERT_EQ(0, on_host(NULL, 0, MAKE, self->srv));
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		ASSERT_EQ(0, list(ENTRIES, sizes[i], NULL));
		EXPECT_EQ(0, not_once(ENTRIES, 1)) TH_LOG("by %zu bytes", sizes[i]);
		EXPECT_EQ(0, strangers);
		EXPECT_EQ(2, dots);
	}
}

static unsigned int rest_of(DIR *dir)
{
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	return n;
}

/* rewinddir(3): as it is now. */
TEST_F(tree, rewound)
{
	DIR *dir = opendir(".");

	ASSERT_NE(NULL, dir);
	EXPECT_EQ(2, rest_of(dir));
	ASSERT_EQ(0, mkdir("new", 0755));
	rewinddir(dir);
	EXPECT_EQ(3, rest_of(dir));
	ASSERT_EQ(0, on_host(NULL, 0, "mkdir %s/theirs", self->srv));
	rewinddir(dir);
	EXPECT_EQ(4, rest_of(dir));
	closedir(dir);
}

static void stir_all(unsigned int turn)
{
	stir(ENTRIES, turn);
}

/* The even ones must all be there, once. */
TEST_F_TIMEOUT(tree, while_it_changes, 250)
{
	ASSERT_EQ(0, on_host(NULL, 0, MAKE, self->srv));
	ASSERT_EQ(0, list(ENTRIES, 1000, stir_all));
	EXPECT_EQ(0, not_once(ENTRIES, 2));
	EXPECT_EQ(2, dots);
}

TEST_F_TIMEOUT(tree, telldir_seekdir, 200)
{
	char name[ENTRIES / 100 + 2][32];
	long pos[ENTRIES / 100 + 2];
	struct dirent *d;
	int i, n = 0;
	DIR *dir;

	ASSERT_EQ(0, on_host(NULL, 0, MAKE, self->srv));
	dir = opendir(".");
	ASSERT_NE(NULL, dir);
	for (i = 0; ; i++) {
		long at = telldir(dir);

		d = readdir(dir);
		if (!d)
			break;
		if (i % 100)
			continue;
		pos[n] = at;
		snprintf(name[n++], sizeof(name[0]), "%.31s", d->d_name);
	}
	EXPECT_EQ(ENTRIES + 2, i);
	while (n--) {
		seekdir(dir, pos[n]);
		d = readdir(dir);
		ASSERT_NE(NULL, d);
		EXPECT_STREQ(name[n], d->d_name);
	}
	rewinddir(dir);
	for (i = 0; readdir(dir); i++)
		;
	EXPECT_EQ(ENTRIES + 2, i);
	closedir(dir);
}

/* What one caller was about to be told of is another's current directory. */
TEST_F(tree, listing_given_up)
{
	char buf[2000] __attribute__((aligned(8)));
	struct stat st;
	int fd, file;

	ASSERT_EQ(0, on_host(NULL, 0, "cd %s && seq -f d%%.0f 1 300 | xargs mkdir && seq -f f%%.0f 1 300 | xargs touch",
			     self->srv));
	file = open("f300", O_RDWR);
	fd = open(".", O_RDONLY | O_DIRECTORY);
	ASSERT_EQ(0, chdir("d300"));
	ASSERT_LT(0, syscall(SYS_getdents64, fd, buf, sizeof(buf)));
	close(fd);
	EXPECT_EQ(0, errno_of(mkdir("here", 0755)));
	EXPECT_EQ(0, errno_of(stat("here", &st)));
	EXPECT_EQ(0, errno_of(fchmod(file, 0600)));
	EXPECT_EQ(0, errno_of(ftruncate(file, 10)));
	close(file);
}

/* Names that were read ahead and removed since are gone. */
TEST_F(tree, removed_before_its_turn)
{
	char buf[1000] __attribute__((aligned(8)));
	int fd, i, wrong = 0;
	struct stat st;
	char name[16];

	ASSERT_EQ(0, on_host(NULL, 0, "cd %s && seq -f e%%.0f 1 200 | xargs touch",
			     self->srv));
	fd = open(".", O_RDONLY | O_DIRECTORY);
	ASSERT_LT(0, syscall(SYS_getdents64, fd, buf, sizeof(buf)));
	for (i = 1; i <= 200; i++) {
		snprintf(name, sizeof(name), "e%d", i);
		ASSERT_EQ(0, unlink(name));
	}
	while (syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0)
		;
	for (i = 1; i <= 200; i++) {
		snprintf(name, sizeof(name), "e%d", i);
		wrong += errno_of(stat(name, &st)) != ENOENT;
	}
	EXPECT_EQ(0, wrong);
	close(fd);
}

TEST_F(tree, types_and_numbers)
{
	struct dirent *d;
	struct stat st;
	int n = 0;
	DIR *dir;

	ASSERT_EQ(0, on_host(NULL, 0, "cd %s && touch reg && mkdir dir && ln -s x lnk && mkfifo fifo && mknod chr c 1 3",
			     self->srv));
	dir = opendir(".");
	ASSERT_NE(NULL, dir);
	while ((d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		n++;
		ASSERT_EQ(0, lstat(d->d_name, &st)) TH_LOG("%s", d->d_name);
		EXPECT_EQ(st.st_ino, d->d_ino);
		EXPECT_EQ(IFTODT(st.st_mode), d->d_type) TH_LOG("%s", d->d_name);
	}
	EXPECT_EQ(5, n);
	closedir(dir);
}

TEST_HARNESS_MAIN
