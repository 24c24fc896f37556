// SPDX-License-Identifier: GPL-2.0
/* Bytes written at one end are the bytes read at the other. */
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "common.h"

#define SIZE 3000017
#define LOCAL "/dev/shm/file_data.ref"

static unsigned char buf[1 << 20];

/* Whether the host's file @name has the sum of the local reference. */
static bool sums_agree(const char *srv, const char *name)
{
	char here[128] = "h", there[128] = "t";

	shell(here, sizeof(here), "sha256sum <" LOCAL);
	on_host(there, sizeof(there), "sha256sum <%s/%s", srv, name);
	if (strcmp(here, there))
		printf("# %s: %s, expected %s\n", name, there, here);
	return !strcmp(here, there);
}

static int write_reference(unsigned int seed, size_t size)
{
	int fd = open(LOCAL, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	size_t at, n;

	for (at = 0; at < size; at += n) {
		n = size - at < sizeof(buf) ? size - at : sizeof(buf);
		fill(buf, seed, at, n);
		if (write(fd, buf, n) != (ssize_t)n)
			return -1;
	}
	return close(fd);
}

TEST_F_TIMEOUT(tree, odd_pieces, 120)
{
	static const size_t pieces[] = { 1, 4095, 4097, 7, 65537, 13, 300007 };
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	size_t at, n, bad;
	unsigned int i;

	ASSERT_LE(0, fd);
	for (at = i = 0; at < SIZE; at += n, i++) {
		n = pieces[i % ARRAY_LEN(pieces)];
		n = n < SIZE - at ? n : SIZE - at;
		fill(buf, 1, at, n);
		ASSERT_EQ(n, pwrite(fd, buf, n, at)) TH_LOG("%m");
	}
	/* Some of it once more, backwards, with other contents and back. */
	for (at = SIZE - 70001; at > 70001; at -= 70001) {
		fill(buf, 9, at, 5003);
		ASSERT_EQ(5003, pwrite(fd, buf, 5003, at));
		fill(buf, 1, at, 5003);
		ASSERT_EQ(5003, pwrite(fd, buf, 5003, at));
	}
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, write_reference(1, SIZE));
	EXPECT_TRUE(sums_agree(self->srv, "f"));

	ASSERT_EQ(0, on_host(NULL, 0, "cp %s/f %s/g", self->srv, self->srv));
	fd = open("g", O_RDONLY);
	for (at = i = 0; at < SIZE; at += n, i++) {
		ssize_t got = read(fd, buf, pieces[i % ARRAY_LEN(pieces)]);

		ASSERT_LT(0, got);
		n = got;
		bad = wrong_at(buf, 1, at, n);
		ASSERT_EQ(n, bad)
			TH_LOG("%zu: %02x %02x %02x, expected %02x", at + bad,
			       buf[bad], buf[bad + 1], buf[bad + 2],
			       pattern(1, at + bad));
	}
	EXPECT_EQ(0, read(fd, buf, 1));
	close(fd);
}

TEST_F(tree, sparse)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	char out[64];
	size_t i;

	ASSERT_EQ(1, pwrite(fd, "x", 1, 3 << 20));
	ASSERT_EQ(1, pwrite(fd, "y", 1, 1234567));
	memset(buf, 1, sizeof(buf));
	ASSERT_EQ(sizeof(buf), pread(fd, buf, sizeof(buf), 0));
	for (i = 0; i < sizeof(buf) && !buf[i]; i++)
		;
	EXPECT_EQ(sizeof(buf), i);
	ASSERT_EQ(0, close(fd));
	EXPECT_EQ(0, on_host(out, sizeof(out),
			     "cd %s; stat -c %%s f; tr -d '\\0' <f; test $(stat -c %%b f) -lt 64",
			     self->srv));
	EXPECT_STREQ("3145729\nyx", out);
}

TEST_F(tree, truncate_up_and_down)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	char out[64];

	ASSERT_EQ(6, write(fd, "abcdef", 6));
	ASSERT_EQ(0, ftruncate(fd, 3));
	ASSERT_EQ(0, ftruncate(fd, 8));
	memset(buf, 1, 8);
	EXPECT_EQ(8, pread(fd, buf, 16, 0));
	EXPECT_EQ(0, memcmp(buf, "abc\0\0\0\0\0", 8));
	ASSERT_EQ(1, pwrite(fd, "z", 1, 5000));
	ASSERT_EQ(0, ftruncate(fd, 4097));
	ASSERT_EQ(0, ftruncate(fd, 6000));
	EXPECT_EQ(1, pread(fd, buf, 1, 5000));
	EXPECT_EQ(0, buf[0]);
	EXPECT_EQ(EINVAL, errno_of(ftruncate(fd, -1)));
	ASSERT_EQ(0, close(fd));
	EXPECT_EQ(0, on_host(out, sizeof(out),
			     "stat -c %%s %s/f; tr -d '\\0' <%s/f", self->srv,
			     self->srv));
	EXPECT_STREQ("6000\nabc", out);
	EXPECT_EQ(0, truncate("f", 2));
	EXPECT_EQ(0, on_host(NULL, 0, "test \"$(cat %s/f)\" = ab", self->srv));
}

/* fsync and O_SYNC: the server has it before the file is closed. */
TEST_F(tree, on_the_server_after_sync)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);

	ASSERT_EQ(5, write(fd, "fsync", 5));
	ASSERT_EQ(0, fsync(fd)) TH_LOG("%m");
	EXPECT_EQ(0, on_host(NULL, 0, "test \"$(cat %s/f)\" = fsync", self->srv));
	ASSERT_EQ(5, pwrite(fd, "fdata", 5, 0));
	ASSERT_EQ(0, fdatasync(fd)) TH_LOG("%m");
	EXPECT_EQ(0, on_host(NULL, 0, "test \"$(cat %s/f)\" = fdata", self->srv));
	close(fd);
	fd = open("f", O_RDWR | O_SYNC);
	ASSERT_EQ(5, write(fd, "osync", 5));
	EXPECT_EQ(0, on_host(NULL, 0, "test \"$(cat %s/f)\" = osync", self->srv));
	close(fd);
}

TEST_F(tree, direct)
{
	unsigned char *page = aligned_alloc(4096, 1 << 16);
	int fd, cached;

	fd = open("f", O_RDWR | O_CREAT | O_DIRECT, 0644);
	ASSERT_LE(0, fd) TH_LOG("%m");
	cached = open("f", O_RDWR);
	fill(page, 3, 0, 1 << 16);
	ASSERT_EQ(1 << 16, pwrite(fd, page, 1 << 16, 0)) TH_LOG("%m");
	EXPECT_EQ(0, on_host(NULL, 0, "test $(stat -c %%s %s/f) = 65536",
			     self->srv));
	/* The cache holds nothing older than what went past it, nor newer. */
	ASSERT_EQ(4096, pread(cached, buf, 4096, 8192));
	EXPECT_EQ(4096, wrong_at(buf, 3, 8192, 4096));
	fill(page, 4, 8192, 4096);
	ASSERT_EQ(4096, pwrite(fd, page, 4096, 8192));
	ASSERT_EQ(4096, pread(cached, buf, 4096, 8192));
	EXPECT_EQ(4096, wrong_at(buf, 4, 8192, 4096));
	fill(buf, 5, 8192, 4096);
	ASSERT_EQ(4096, pwrite(cached, buf, 4096, 8192));
	memset(page, 0, 4096);
	ASSERT_EQ(4096, pread(fd, page, 4096, 8192));
	EXPECT_EQ(4096, wrong_at(page, 5, 8192, 4096));
	EXPECT_EQ(0, pread(fd, page, 4096, 65536));
	close(cached);
	close(fd);
	free(page);
}

/* Neither two processes here nor one on the server lose each other's lines. */
TEST_F_TIMEOUT(tree, append, 120)
{
	char out[64], line[32];
	int fd, i, p, status;
	pid_t pid[3];

	for (p = 0; p < 2; p++) {
		pid[p] = fork();
		if (pid[p])
			continue;
		fd = open("f", O_WRONLY | O_CREAT | O_APPEND, 0644);
		for (i = 0; i < 200; i++) {
			snprintf(line, sizeof(line), "client%d %06d\n", p, i);
			if (write(fd, line, strlen(line)) != 15)
				_exit(1);
		}
		_exit(close(fd));
	}
	pid[2] = fork();
	if (!pid[2])
		_exit(on_host(NULL, 0, "for i in $(seq 200); do echo server0 $(printf %%06d $i) >>%s/f; done",
			      self->srv));
	for (p = 0; p < 3; p++) {
		ASSERT_EQ(pid[p], waitpid(pid[p], &status, 0));
		EXPECT_EQ(0, status);
	}
	EXPECT_EQ(0, on_host(out, sizeof(out), "cd %s; wc -l <f; sort -u f | grep -Ecx '(client|server)[01] [0-9]{6}'",
			     self->srv));
	EXPECT_STREQ("600\n600", out);
}

/* What a program gave to a pipe by reference is what was there when it was written. */
TEST_F(tree, what_comes_by_vmsplice)
{
	static const int flags[] = { 0, O_DIRECT };
	size_t len = 64 << 10;
	unsigned char *gift, *back = malloc(len);
	int fds[2], out;
	unsigned int i;
	ssize_t n;

	gift = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, gift);
	ASSERT_EQ(0, pipe(fds));
	for (i = 0; i < ARRAY_LEN(flags); i++) {
		struct iovec iov = { gift, len };
		size_t left = len;

		out = open("f", O_CREAT | O_TRUNC | O_RDWR | flags[i], 0644);
		ASSERT_LE(0, out);
		fill(gift, i, 0, len);
		ASSERT_EQ(len, vmsplice(fds[1], &iov, 1, 0));
		while (left && (n = splice(fds[0], NULL, out, NULL, left, 0)) > 0)
			left -= n;
		EXPECT_EQ(0, left) TH_LOG("%m");
		memset(gift, 0xee, len);
		close(out);
		out = open("f", O_RDONLY);
		EXPECT_EQ(len, read(out, back, len));
		EXPECT_EQ(len, wrong_at(back, i, 0, len));
		close(out);
	}
	close(fds[0]);
	close(fds[1]);
	munmap(gift, len);
	free(back);
}

TEST_F(tree, sendfile_and_splice)
{
	int in, out, fds[2];
	loff_t off = 0;
	ssize_t n;

	ASSERT_EQ(0, write_reference(6, 200001));
	in = open(LOCAL, O_RDONLY);
	out = open("f", O_RDWR | O_CREAT, 0644);
	while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
		;
	ASSERT_EQ(0, n) TH_LOG("%m");
	close(in);
	ASSERT_EQ(0, close(out));
	EXPECT_TRUE(sums_agree(self->srv, "f"));

	in = open("f", O_RDONLY);
	out = open("g", O_RDWR | O_CREAT, 0644);
	ASSERT_EQ(0, pipe(fds));
	while ((n = splice(in, &off, fds[1], NULL, 65536, 0)) > 0)
		while (n > 0)
			n -= splice(fds[0], NULL, out, NULL, n, 0);
	ASSERT_EQ(0, n) TH_LOG("%m");
	close(in);
	ASSERT_EQ(0, close(out));
	EXPECT_TRUE(sums_agree(self->srv, "g"));
}

/* Whoever keeps a file open sees what the server makes of it, by any call. */
TEST_F(tree, followed_while_it_grows)
{
	int fd, fds[2], other;
	struct stat st;

	ASSERT_EQ(0, on_host(NULL, 0, "printf %%0100d 7 >%s/f", self->srv));
	fd = open("f", O_RDONLY);
	ASSERT_EQ(100, pread(fd, buf, 1000, 0));
	ASSERT_EQ(0, on_host(NULL, 0, "printf %%050d 8 >>%s/f", self->srv));
	/* Our own change of something else must not hide theirs. */
	ASSERT_EQ(0, chmod("f", 0640));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(150, st.st_size);
	ASSERT_EQ(150, pread(fd, buf, 1000, 0));
	EXPECT_EQ(NULL, memchr(buf, 0, 150));

	/* Nor our own line theirs before it. */
	other = open("f", O_WRONLY | O_APPEND);
	ASSERT_EQ(0, on_host(NULL, 0, "printf %%050d 9 >>%s/f", self->srv));
	ASSERT_EQ(1, write(other, "z", 1));
	ASSERT_EQ(201, pread(fd, buf, 1000, 0));
	EXPECT_EQ(NULL, memchr(buf, 0, 201));
	close(other);

	ASSERT_EQ(0, on_host(NULL, 0, "printf %%0201d 5 >%s/f", self->srv));
	sleep(2);	/* believed for a second */
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(201, splice(fd, &(loff_t){ 0 }, fds[1], NULL, 1000, 0));
	ASSERT_EQ(201, read(fds[0], buf, 1000));
	EXPECT_EQ('5', buf[200]);
	close(fd);
}

TEST_F(tree, copy_within)
{
	int in, out;
	ssize_t n;

	ASSERT_EQ(0, write_reference(7, 200001));
	ASSERT_EQ(0, shell(NULL, 0, "cp " LOCAL " f"));
	in = open("f", O_RDONLY);
	out = open("g", O_RDWR | O_CREAT, 0644);
	while ((n = copy_file_range(in, NULL, out, NULL, 1 << 20, 0)) > 0)
		;
	ASSERT_EQ(0, n) TH_LOG("%m");
	close(in);
	ASSERT_EQ(0, close(out));
	EXPECT_TRUE(sums_agree(self->srv, "g"));
}

TEST_F(tree, open_but_unlinked)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	struct stat st;

	ASSERT_EQ(5, write(fd, "hello", 5));
	ASSERT_EQ(0, unlink("f"));
	EXPECT_EQ(0, on_host(NULL, 0, "test ! -e %s/f", self->srv));
	EXPECT_EQ(5, pread(fd, buf, 10, 0));
	ASSERT_EQ(5, pwrite(fd, "there", 5, 5));
	ASSERT_EQ(0, fsync(fd)) TH_LOG("%m");
	EXPECT_EQ(10, pread(fd, buf, 20, 0));
	EXPECT_EQ(0, memcmp(buf, "hellothere", 10));
	ASSERT_EQ(0, ftruncate(fd, 7)) TH_LOG("%m");
	ASSERT_EQ(0, fstat(fd, &st)) TH_LOG("%m");
	EXPECT_EQ(7, st.st_size);
	EXPECT_EQ(0, st.st_nlink);
	EXPECT_EQ(0, fchmod(fd, 0600)) TH_LOG("%m");
	EXPECT_EQ(0, close(fd));
}

TEST_F(tree, renamed_while_open)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);

	ASSERT_EQ(3, write(fd, "one", 3));
	ASSERT_EQ(0, rename("f", "g"));
	ASSERT_EQ(3, write(fd, "two", 3));
	ASSERT_EQ(0, on_host(NULL, 0, "mv %s/g %s/h", self->srv, self->srv));
	ASSERT_EQ(5, write(fd, "three", 5));
	ASSERT_EQ(0, close(fd));
	EXPECT_EQ(0, on_host(NULL, 0, "test \"$(cat %s/h)\" = onetwothree",
			     self->srv));
}

TEST_F(tree, rlimit_fsize)
{
	struct rlimit limit = { 10000, 10000 };
	int fd = open("f", O_RDWR | O_CREAT, 0644);

	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
	EXPECT_EQ(10000, pwrite(fd, buf, 20000, 0));
	EXPECT_EQ(EFBIG, errno_of(pwrite(fd, buf, 1, 10000)));
	EXPECT_EQ(EFBIG, errno_of(ftruncate(fd, 10001)));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, on_host(NULL, 0, "test $(stat -c %%s %s/f) = 10000",
			     self->srv));
}

#define PART 3001
#define PARTS 60

/* Every second part from the @w-th on, each flushed. */
static int write_parts(int w)
{
	int fd = open("f", O_WRONLY | O_CREAT, 0644), i;
	unsigned char part[PART];

	for (i = w; i < PARTS; i += 2) {
		fill(part, 9, i * PART, PART);
		if (pwrite(fd, part, PART, i * PART) != PART || fsync(fd)) {
			printf("# part %d: %m\n", i);
			return 1;
		}
	}
	return close(fd);
}

static int open_and_close(void)
{
	struct statx stx;
	int fd;

	for (;;) {
		fd = open("f", O_WRONLY | O_CREAT, 0644);
		if (fd < 0 || statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC,
				    STATX_BASIC_STATS, &stx) || close(fd)) {
			printf("# opened and closed: %m\n");
			return 1;
		}
	}
}

/*
 * An open that its owner closes others may be using: to write back bytes, to
 * ask for attributes.
 */
TEST_F_TIMEOUT(tree, closed_beside_others, 200)
{
	pid_t pid[2], closer[3];
	int w, status, round;

	for (round = 0; round < 4; round++) {
		for (w = 0; w < 3; w++) {
			closer[w] = fork();
			if (!closer[w])
				_exit(open_and_close());
		}
		for (w = 0; w < 2; w++) {
			pid[w] = fork();
			if (!pid[w])
				_exit(write_parts(w));
		}
		for (w = 0; w < 2; w++) {
			ASSERT_EQ(pid[w], waitpid(pid[w], &status, 0));
			EXPECT_EQ(0, status);
		}
		for (w = 0; w < 3; w++) {
			kill(closer[w], SIGTERM);
			ASSERT_EQ(closer[w], waitpid(closer[w], &status, 0));
			EXPECT_EQ(SIGTERM, status);
		}
		on_host(NULL, 0, "cat %s/f >%s/copy", self->srv, self->srv);
		w = open("copy", O_RDONLY);
		ASSERT_EQ(PART * PARTS, read(w, buf, sizeof(buf)));
		EXPECT_EQ(PART * PARTS, wrong_at(buf, 9, 0, PART * PARTS));
		close(w);
		unlink("f");
	}
}

/* The source of a write is a mapping of the very page that is written. */
TEST_F(tree, written_from_its_own_mapping)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	char *map, *volatile nowhere = (char *)8;

	fill(buf, 8, 0, 8192);
	ASSERT_EQ(8192, pwrite(fd, buf, 8192, 0));
	ASSERT_EQ(0, close(fd));
	fd = open("f", O_RDWR);
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(4096, pwrite(fd, map + 100, 4096, 50)) TH_LOG("%m");
	ASSERT_EQ(4096, pread(fd, buf, 4096, 50));
	EXPECT_EQ(4000, wrong_at(buf, 8, 100, 4000));
	EXPECT_EQ(EFAULT, errno_of(pwrite(fd, nowhere, 10, 0)));
	EXPECT_EQ(EFAULT, errno_of(pread(fd, nowhere, 10, 0)));
	close(fd);
}

TEST_HARNESS_MAIN
