// SPDX-License-Identifier: GPL-2.0
/*
 * What the server does with ranges of a file by itself: fallocate(2) in all its
 * modes, copy_file_range(2), reflinks, SEEK_DATA and SEEK_HOLE, O_TMPFILE. The
 * page cache here, through read and through a mapping, has to agree with it.
 */
#define _GNU_SOURCE
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "common.h"

#define MAX (256 << 10)
#define BLOCK 4096

/* What the file should be. */
struct model {
	unsigned char bytes[2 * MAX];
	size_t size;
};

static struct model model;
static unsigned char buf[2 * MAX];

/* The file as read here, as mapped here, and on the server. */
static bool is_model(int fd, const char *srv)
{
	char sum[2][65] = {}, *map;
	bool same;

	memset(buf, 0xee, sizeof(buf));
	if (pread(fd, buf, sizeof(buf), 0) != (ssize_t)model.size ||
	    memcmp(buf, model.bytes, model.size))
		return false;
	map = mmap(NULL, MAX, PROT_READ, MAP_SHARED, fd, 0);
	same = !memcmp(map, model.bytes, model.size);
	munmap(map, MAX);
	if (!srv || !same)
		return same;
	on_host(sum[0], sizeof(sum[0]), "sha256sum <%s/f", srv);
	shell(sum[1], sizeof(sum[1]), "sha256sum <f");
	return !strcmp(sum[0], sum[1]);
}

static void model_grow(size_t size)
{
	if (size > model.size)
		model.size = size;
}

static void model_collapse(size_t at, size_t len)
{
	memmove(model.bytes + at, model.bytes + at + len,
		model.size - at - len);
	model.size -= len;
	memset(model.bytes + model.size, 0, len);
}

static void model_insert(size_t at, size_t len)
{
	memmove(model.bytes + at + len, model.bytes + at, model.size - at);
	memset(model.bytes + at, 0, len);
	model.size += len;
}

/* One random change to both; what fallocate() said, 0 for others. */
static int change(int fd, unsigned int *seed, char *what, size_t n)
{
	size_t at = rand_r(seed) % MAX, len = 1 + rand_r(seed) % (MAX / 4);
	int op = rand_r(seed) % 9, mode = 0;
	char *map;

	if (at + len > MAX)
		len = MAX - at;
	snprintf(what, n, "op %d at %zu for %zu, size %zu", op, at, len,
		 model.size);
	switch (op) {
	case 0:
	case 1:
		fill(buf, rand_r(seed), at, len);
		memcpy(model.bytes + at, buf, len);
		model_grow(at + len);
		return pwrite(fd, buf, len, at) == (ssize_t)len ? 0 : -1;
	case 2:
		if (at + len > model.size)
			return 0;
		map = mmap(NULL, MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		fill((void *)(map + at), at, len, len);
		memcpy(model.bytes + at, map + at, len);
		return munmap(map, MAX);
	case 3:
		model.size = at;
		memset(model.bytes + at, 0, sizeof(model.bytes) - at);
		return ftruncate(fd, at);
	case 4:
		mode = rand_r(seed) % 2 ? FALLOC_FL_KEEP_SIZE : 0;
		if (!mode)
			model_grow(at + len);
		break;
	case 5:
	case 6:
		mode = op == 5 ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE :
				 FALLOC_FL_ZERO_RANGE;
		memset(model.bytes + at, 0, len);
		if (op == 6)
			model_grow(at + len);
		break;
	case 7:
		at -= at % BLOCK;
		len += BLOCK - len % BLOCK;
		if (at + len >= model.size)
			return 0;
		mode = FALLOC_FL_COLLAPSE_RANGE;
		model_collapse(at, len);
		break;
	case 8:
		at -= at % BLOCK;
		len += BLOCK - len % BLOCK;
		if (at >= model.size || model.size + len > MAX)
			return 0;
		mode = FALLOC_FL_INSERT_RANGE;
		model_insert(at, len);
		break;
	}
	return fallocate(fd, mode, at, len);
}

TEST_F_TIMEOUT(tree, every_mode_of_fallocate, 250)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644), i, steps = on_debug(120, 400);
	unsigned int seed = time(NULL);
	char what[128];

	TH_LOG("seed %u", seed);
	for (i = 0; i < steps; i++) {
		ASSERT_EQ(0, change(fd, &seed, what, sizeof(what)))
			TH_LOG("step %d, %s: %m", i, what);
		if (rand_r(&seed) % 3)
			continue;
		ASSERT_TRUE(is_model(fd, i % 20 ? NULL : self->srv))
			TH_LOG("step %d, %s", i, what);
	}
	close(fd);
	fd = open("f", O_RDWR);
	EXPECT_TRUE(is_model(fd, self->srv));
	close(fd);
}

TEST_F(tree, impossible_ranges)
{
	struct rlimit few = { 1 << 20, 1 << 20 };
	int fd = open("f", O_RDWR | O_CREAT, 0644), ro = open("f", O_RDONLY);
	char what[32], there[32];
	struct stat st;

	EXPECT_EQ(EBADF, errno_of(fallocate(ro, 0, 0, 1)));
	EXPECT_EQ(EINVAL, errno_of(fallocate(fd, 0, 0, 0)));
	EXPECT_EQ(EINVAL, errno_of(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 1, 4096)));
	EXPECT_EQ(EINVAL, errno_of(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 4096)));
	EXPECT_EQ(EOPNOTSUPP, errno_of(fallocate(fd, 0x4000, 0, 4096)));
	/* ext4 keeps what it got. */
	EXPECT_EQ(ENOSPC, errno_of(fallocate(fd, 0, 0, 1ll << 40)));
	shell(what, sizeof(what), "stat -c %%s f");
	on_host(there, sizeof(there), "stat -c %%s %s/f", self->srv);
	EXPECT_STREQ(there, what);
	ASSERT_EQ(0, ftruncate(fd, 0));
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &few);
	EXPECT_EQ(EFBIG, errno_of(fallocate(fd, 0, 0, 2 << 20)));
	ASSERT_EQ(0, fallocate(fd, 0, 0, 1 << 20));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(1 << 20, st.st_size);
	EXPECT_LE(2048, st.st_blocks);
	close(fd);
	close(ro);
}

TEST_F(tree, holes_are_found)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);

	fill(buf, 1, 0, 65536);
	ASSERT_EQ(65536, pwrite(fd, buf, 65536, 0));
	ASSERT_EQ(4096, pwrite(fd, buf, 4096, 1 << 20));	/* not flushed */
	EXPECT_EQ(0, lseek(fd, 0, SEEK_DATA));
	EXPECT_EQ(65536, lseek(fd, 0, SEEK_HOLE));
	EXPECT_EQ(1 << 20, lseek(fd, 65536, SEEK_DATA));
	EXPECT_EQ((1 << 20) + 4096, lseek(fd, 1 << 20, SEEK_HOLE));
	EXPECT_EQ((1 << 20) + 4096, lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(ENXIO, errno_of(lseek(fd, (1 << 20) + 4096, SEEK_DATA)));
	EXPECT_EQ(ENXIO, errno_of(lseek(fd, -1, SEEK_HOLE)));
	EXPECT_EQ(0, shell(NULL, 0, "cp --sparse=auto f g && cmp f g"));
	EXPECT_EQ(0, on_host(NULL, 0, "[ $(stat -c %%b %s/g) -lt 1000 ]",
			     self->srv));
	close(fd);
}

/* How often the server was asked for that. */
static long asked(const char *what)
{
	char n[32];

	return shell(n, sizeof(n),
		     "qtinfo stats %s | awk '$1 == \"%s\" { n = $2 } END { print n + 0 }'",
		     mount_point(), what) ? -1 : atol(n);
}

TEST_F(tree, copied_by_the_server)
{
	long copies, reads;
	int from = open("f", O_RDWR | O_CREAT, 0644);
	int to = open("g", O_RDWR | O_CREAT, 0644), local;
	loff_t in = 100, out = 5000;
	unsigned int i;

	fill(buf, 1, 0, MAX);
	ASSERT_EQ(MAX, pwrite(from, buf, MAX, 0));
	ASSERT_EQ(10000, pwrite(to, buf, 10000, 0));
	ASSERT_EQ(10000, pread(to, buf, 10000, 0));	/* cached */
	copies = asked("copy");
	reads = asked("read");
	ASSERT_EQ(100000, copy_file_range(from, &in, to, &out, 100000, 0));
	EXPECT_EQ(copies + 1, asked("copy"));
	EXPECT_EQ(reads, asked("read"));
	EXPECT_EQ(100100, in);
	EXPECT_EQ(105000, out);
	ASSERT_EQ(105000, pread(to, buf, MAX, 0));
	EXPECT_EQ(5000, wrong_at(buf, 1, 0, 5000));
	EXPECT_EQ(100000, wrong_at(buf + 5000, 1, 100, 100000));
	in = MAX;
	EXPECT_EQ(0, copy_file_range(from, &in, to, &out, 100, 0));
	/* Within one file, and not over itself. */
	in = 0;
	out = MAX;
	ASSERT_EQ(5000, copy_file_range(from, &in, from, &out, 5000, 0));
	in = 0;
	out = 10;
	EXPECT_EQ(EINVAL, errno_of(copy_file_range(from, &in, from, &out, 100, 0)));
	ASSERT_EQ(5000, pread(from, buf, sizeof(buf), MAX));
	EXPECT_EQ(5000, wrong_at(buf, 1, 0, 5000));
	/* To another filesystem the bytes have to travel. */
	local = open("/dev/shm", O_RDWR | O_TMPFILE, 0600);
	for (in = 0, i = 0; i < 100 && in < MAX; i++)
		if (copy_file_range(from, &in, local, NULL, MAX - in, 0) <= 0)
			break;
	if (in == MAX) {
		ASSERT_EQ(MAX, pread(local, buf, MAX, 0));
		EXPECT_EQ(MAX, wrong_at(buf, 1, 0, MAX));
	} else {
		EXPECT_EQ(EXDEV, errno);
	}
	/* ext4 has no reflinks: a plain refusal, not a copy. */
	EXPECT_EQ(EOPNOTSUPP, errno_of(ioctl(to, FICLONE, from)));
	EXPECT_EQ(0, shell(NULL, 0, "cp --reflink=auto f h && cmp f h"));
	close(local);
	close(from);
	close(to);
}

TEST_F(tree, without_a_name)
{
	char path[64], text[16] = {};
	int fd = open(".", O_RDWR | O_TMPFILE, 0640);
	struct stat st;

	ASSERT_LE(0, fd) TH_LOG("%m");
	ASSERT_EQ(5, write(fd, "hello", 5));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(0, st.st_nlink);
	EXPECT_EQ(0640, st.st_mode & 07777);
	EXPECT_EQ(5, st.st_size);
	EXPECT_EQ(0, on_host(NULL, 0, "[ -z \"$(ls -A %s)\" ]", self->srv));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ASSERT_EQ(0, linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW))
		TH_LOG("%m");
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(1, st.st_nlink);
	close(fd);
	EXPECT_EQ(0, on_host(text, sizeof(text), "cat %s/named", self->srv));
	EXPECT_STREQ("hello", text);

	fd = open(".", O_WRONLY | O_TMPFILE | O_EXCL, 0600);
	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT_EQ(ENOENT, errno_of(linkat(AT_FDCWD, path, AT_FDCWD, "never",
					  AT_SYMLINK_FOLLOW)));
	close(fd);
	EXPECT_EQ(EINVAL, errno_of(open(".", O_RDONLY | O_TMPFILE, 0600)));
}

TEST_HARNESS_MAIN
