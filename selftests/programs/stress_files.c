// SPDX-License-Identifier: GPL-2.0
/*
 * Several processes create, write, map, rename, link, truncate and remove
 * files of one directory at once; each knows what its own files must hold.
 */
#include "common.h"

#define WORKERS 6
#define ROUNDS 120
#define FILES 8
#define SIZE_MAX_ 200000

struct model {
	bool exists;
	unsigned int gen;	/* which name */
	size_t size;
	unsigned char data[SIZE_MAX_];
};

static struct model files[FILES];
static unsigned int seed_;

static unsigned int rnd(unsigned int below)
{
	seed_ = seed_ * 1103515245 + 12345;
	return (seed_ >> 8) % below;
}

static char *name_of(int worker, int f)
{
	static char name[2][64];
	static int turn;

	turn = !turn;
	snprintf(name[turn], sizeof(name[0]), "w%d-f%d-g%u", worker, f,
		 files[f].gen);
	return name[turn];
}

#define MUST(cond)							\
	do {								\
		if (!(cond)) {						\
			printf("# worker %d round %d: %s: %m\n", w,	\
			       round, #cond);				\
			return 1;					\
		}							\
	} while (0)

static int step(int w, int round)
{
	static unsigned char buf[SIZE_MAX_];
	int f = rnd(FILES), what = rnd(10), fd;
	struct model *m = &files[f];
	char *old, *map;
	size_t at, len;

	if (!m->exists) {
		fd = open(name_of(w, f), O_RDWR | O_CREAT | O_EXCL, 0644);
		MUST(fd >= 0);
		MUST(!close(fd));
		m->exists = true;
		m->size = 0;
		return 0;
	}
	at = rnd(SIZE_MAX_ - 40000);
	len = 1 + rnd(40000);
	switch (what) {
	case 0:
		MUST(!unlink(name_of(w, f)));
		m->exists = false;
		m->gen++;
		return 0;
	case 1:
		old = name_of(w, f);
		m->gen++;
		MUST(!rename(old, name_of(w, f)));
		return 0;
	case 2:
		len = rnd(SIZE_MAX_);
		MUST(!truncate(name_of(w, f), len));
		if (len > m->size)
			memset(m->data + m->size, 0, len - m->size);
		m->size = len;
		return 0;
	case 3:
		old = name_of(w, f);
		m->gen++;
		MUST(!link(old, name_of(w, f)));
		MUST(!unlink(old));
		return 0;
	}
	fd = open(name_of(w, f), what == 4 ? O_RDWR | O_APPEND : O_RDWR);
	MUST(fd >= 0);
	if (what == 4) {
		at = m->size;
		if (at + len > SIZE_MAX_) {
			MUST(!close(fd));
			return 0;
		}
	}
	if (what <= 6) {
		fill(buf, rnd(1000), at, len);
		MUST(write(fd, buf, 0) == 0);
		MUST(what == 4 ? write(fd, buf, len) == len :
				 pwrite(fd, buf, len, at) == len);
		if (at > m->size)
			memset(m->data + m->size, 0, at - m->size);
		memcpy(m->data + at, buf, len);
		if (at + len > m->size)
			m->size = at + len;
	} else if (what == 7 && m->size) {
		map = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			   fd, 0);
		MUST(map != MAP_FAILED);
		at = rnd(m->size);
		map[at] ^= 0x55;
		m->data[at] ^= 0x55;
		MUST(!memcmp(map, m->data, m->size));
		MUST(!munmap(map, m->size));
	} else {
		MUST(pread(fd, buf, sizeof(buf), 0) == m->size);
		MUST(!memcmp(buf, m->data, m->size));
	}
	MUST(!close(fd));
	return 0;
}

static int work(int w)
{
	int round, f, err = 0, fd;
	char name[64];

	seed_ = w * 7919 + 1;
	for (round = 0; round < ROUNDS && !err; round++)
		err = step(w, round);
	if (err)
		return err;
	/* What must be there, for the host to compare. */
	for (f = 0; f < FILES; f++) {
		if (!files[f].exists)
			continue;
		snprintf(name, sizeof(name), "/dev/shm/stress/%s",
			 name_of(w, f));
		fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		MUST(write(fd, files[f].data, files[f].size) == files[f].size);
		close(fd);
	}
	return 0;
}

#define SUMS "LC_ALL=C; ls | wc -l; sha256sum w* | sha256sum"

TEST_F_TIMEOUT(tree, own_files_of_a_shared_directory, 280)
{
	char here[128], there[128];
	pid_t pid[WORKERS];
	int w, status;

	ASSERT_EQ(0, shell(NULL, 0, "rm -rf /dev/shm/stress; mkdir /dev/shm/stress"));
	for (w = 0; w < WORKERS; w++) {
		pid[w] = fork();
		if (!pid[w])
			_exit(work(w));
	}
	for (w = 0; w < WORKERS; w++) {
		ASSERT_EQ(pid[w], waitpid(pid[w], &status, 0));
		EXPECT_EQ(0, status) TH_LOG("worker %d", w);
	}
	shell(here, sizeof(here), "cd /dev/shm/stress; " SUMS);
	on_host(there, sizeof(there), "cd %s; " SUMS, self->srv);
	EXPECT_STREQ(here, there);
	shell(NULL, 0, "rm -rf /dev/shm/stress");
}

TEST_HARNESS_MAIN
