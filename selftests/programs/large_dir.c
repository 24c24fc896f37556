// SPDX-License-Identifier: GPL-2.0
/*
 * A directory of a million names: all of them, once each, however they are asked
 * for and whatever else is done to it. LARGE_ENTRIES=N: so many.
 */
#include <dirent.h>

#include "listing.h"

#define MOST 1000000
#define STEP 10000		/* between positions to come back to */
#define HOURS (2 * 3600)

static unsigned int entries;

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
		ASSERT_EQ(0, list(entries, sizes[i], NULL));
		EXPECT_EQ(0, not_once(entries, 1)) TH_LOG("by %zu bytes", sizes[i]);
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

static void stir_all(unsigned int turn)
{
	stir(entries, turn);
}

/* The even ones must all be there, once. */
TEST_F_TIMEOUT(large, while_it_changes, HOURS)
{
	ASSERT_EQ(0, list(entries, 32768, stir_all));
	EXPECT_EQ(0, not_once(entries, 2));
}

TEST_HARNESS_MAIN
