/* SPDX-License-Identifier: GPL-2.0 */
/* Listing a directory of files "e0", "e1" ... and counting what was seen. */
#ifndef QTFS_SELFTEST_LISTING_H
#define QTFS_SELFTEST_LISTING_H

#include <sys/syscall.h>

#include "common.h"

struct dent {
	unsigned long long ino;
	long long off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

/* How often each was seen; there are @nr. */
static unsigned char seen[1000001];
static unsigned int strangers, dots;

static inline void count_name(const char *name, unsigned int nr)
{
	unsigned int n;
	char end;

	if (sscanf(name, "e%u%c", &n, &end) == 1 && n < nr)
		seen[n]++;
	else if (!strcmp(name, ".") || !strcmp(name, ".."))
		dots++;
	else
		strangers++;
}

/* Lists the current directory by @size bytes; calls @between after each. */
static inline int list(unsigned int nr, size_t size, void (*between)(unsigned int))
{
	int fd = open(".", O_RDONLY | O_DIRECTORY);
	char buf[65536] __attribute__((aligned(8)));
	unsigned int turn = 0;
	long n, at;

	memset(seen, 0, nr);
	strangers = dots = 0;
	while ((n = syscall(SYS_getdents64, fd, buf, size)) > 0) {
		for (at = 0; at < n; at += ((struct dent *)(buf + at))->reclen)
			count_name(((struct dent *)(buf + at))->name, nr);
		if (between)
			between(turn++);
	}
	close(fd);
	return n < 0 ? errno : 0;
}

/* Of every @step-th, those that were not seen just once. */
static inline unsigned int not_once(unsigned int nr, unsigned int step)
{
	unsigned int n, bad = 0;

	for (n = 0; n < nr; n += step)
		bad += seen[n] != 1;
	return bad;
}

/* Odd ones vanish, others come. */
static inline void stir(unsigned int nr, unsigned int turn)
{
	char name[32];
	int i;

	for (i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "e%u", (turn * 8 + i * 2 + 1) % nr);
		unlink(name);
	}
	snprintf(name, sizeof(name), "new%u", turn);
	close(open(name, O_CREAT | O_WRONLY, 0644));
}

#endif /* QTFS_SELFTEST_LISTING_H */
