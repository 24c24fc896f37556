// SPDX-License-Identifier: GPL-2.0
/*
 * A directory of a million names: all of them, once each, however they are asked
 * for and whatever else is done to it. LARGE_ENTRIES=N: so many.
 */
#include <dirent.h>
#include <sys/syscall.h>

#include "common.h"

#define MOST 1000000
#define STEP 10000		/* between positions to come back to */
#define HOURS (2 * 3600)

struct dent {
	unsigned long long ino;
	long long off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

static unsigned int entries;
static unsigned char seen[MOST];
static unsigned int strangers;

static void count(const char *name)
{
	unsigned int n;

	if (sscanf(name, "e%u", &n) == 1 && n < entries)
		seen[n]++;
	else if (strcmp(name, ".") && strcmp(name, ".."))
		strangers++;
}

/* Lists the current directory by @size bytes; calls @between after each. */
static int list(size_t size, void (*between)(unsigned int))
{
	int fd = open(".", O_RDONLY | O_DIRECTORY);
	char buf[32768] __attribute__((aligned(8)));
	unsigned int turn = 0;
	long n, at;

	memset(seen, 0, sizeof(seen));
	strangers = 0;
	while ((n = syscall(SYS_getdents64, fd, buf, size)) > 0) {
		for (at = 0; at < n; at += ((struct dent *)(buf + at))->reclen)
			count(((struct dent *)(buf + at))->name);
		if (between)
			between(turn++);
	}
	close(fd);
	return n < 0 ? errno : 0;
}

static unsigned int not_once(unsigned int step)
{
	unsigned int n, bad = 0;

	for (n = 0; n < entries; n += step)
		bad += seen[n] != 1;
	return bad;
}

/* Names of one file, so that it is about names and not about memory. */
static int make(const char *srv)
{
	return on_host(NULL, 0,
		"mount -t tmpfs -o nr_inodes=0,size=90%% none %s && cd %s && touch e0 && "
		"python3 -ISc 'import os\nfor i in range(1, %u): os.link(\"e0\", f\"e{i}\")'",
		srv, srv, entries);
}

FIXTURE(large)
{
	char srv[64];
};

FIXTURE_SETUP(large)
{
	char here[160];

	entries = atoi(getenv("LARGE_ENTRIES") ?: "1000000");
	ASSERT_TRUE(entries > STEP && entries <= MOST);
	snprintf(self->srv, sizeof(self->srv), "/srv/large.%d", getpid());
	ASSERT_EQ(0, on_host(NULL, 0, "mkdir %s", self->srv));
	ASSERT_EQ(0, make(self->srv));
	snprintf(here, sizeof(here), "%s%s", mount_point(), self->srv);
	ASSERT_EQ(0, chdir(here));
}

FIXTURE_TEARDOWN(large)
{
	ASSERT_EQ(0, chdir("/"));
	on_host(NULL, 0, "umount -l %s; rmdir %s", self->srv, self->srv);
}

TEST_F_TIMEOUT(large, complete, HOURS)
{
	static const size_t sizes[] = { 32768, 48, 1000 };
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		ASSERT_EQ(0, list(sizes[i], NULL));
		EXPECT_EQ(0, not_once(1)) TH_LOG("by %zu bytes", sizes[i]);
		EXPECT_EQ(0, strangers);
	}
}

TEST_F_TIMEOUT(large, telldir_seekdir, HOURS)
{
	static char name[MOST / STEP + 1][32];
	static long pos[MOST / STEP + 1];
	struct dirent *d;
	unsigned int i;
	int n = 0;
	DIR *dir;

	dir = opendir(".");
	ASSERT_NE(NULL, dir);
	for (i = 0; ; i++) {
		long at = i % STEP ? 0 : telldir(dir);

		d = readdir(dir);
		if (!d)
			break;
		if (i % STEP)
			continue;
		pos[n] = at;
		snprintf(name[n++], sizeof(name[0]), "%.31s", d->d_name);
	}
	EXPECT_EQ(entries + 2, i);
	while (n--) {
		seekdir(dir, pos[n]);
		d = readdir(dir);
		ASSERT_NE(NULL, d);
		EXPECT_STREQ(name[n], d->d_name);
	}
	closedir(dir);
}

/* Odd ones vanish, others come; the even ones must all be there, once. */
static void stir(unsigned int turn)
{
	char name[32];
	int i;

	for (i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "e%u", (turn * 8 + i * 2 + 1) % entries);
		unlink(name);
	}
	snprintf(name, sizeof(name), "new%u", turn);
	close(open(name, O_CREAT | O_WRONLY, 0644));
}

TEST_F_TIMEOUT(large, while_it_changes, HOURS)
{
	ASSERT_EQ(0, list(32768, stir));
	EXPECT_EQ(0, not_once(2));
}

TEST_HARNESS_MAIN
