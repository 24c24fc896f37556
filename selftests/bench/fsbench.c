// SPDX-License-Identifier: GPL-2.0
/*
 * fsbench - times one kind of file operation in a folder
 *
 *   fsbench OPERATION FOLDER [FILES [ENTRIES [MIB [ROUND]]]]
 *
 * `prepare` fills FOLDER: small/ has FILES files of 4 KiB, list/ has ENTRIES
 * empty ones, tree/ has folders in folders, `big` has MIB MiB, new/ is for what is
 * created, `log` for what is appended. The other
 * operations print what they took as one line of JSON. Those that change
 * something have a check, to be run where the files really are. Whatever fails,
 * or reads something else than was written, ends it with status 1.
 *
 * "Cold" means that this machine's caches are dropped before the clock starts.
 * With FSBENCH_STEPS in the environment it says before and after the timed part
 * that it waits for a line, so that others may read their counters.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define PAGE_WORDS (PAGE / sizeof(uint64_t))
#define CHUNK (1 << 20)
#define HOT_PASSES 20
#define RANDOM_READS 300
#define THREADS 16
#define TREE_WIDTH 6	/* folders in a folder, two deep, and files in each */
#define APPENDS 100
#define APPEND_SIZE 128

static int files = 400;
static int entries = 5000;
static int mib = 64;
static int round_number;

static int top;			/* FOLDER */
static int *order;		/* of the small files: shuffled */
static char *small_data;	/* what was read from them */
static char *chunk;

/* Contents: a word tells which file, and where in it. */

static uint64_t word_at(uint64_t file, uint64_t offset)
{
	uint64_t x = (file << 40) + offset + 0x9e3779b97f4a7c15;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static void fill(char *data, size_t len, uint64_t file, uint64_t offset)
{
	uint64_t *words = (uint64_t *)data;
	size_t i;

	for (i = 0; i < len / sizeof(*words); i++)
		words[i] = word_at(file, offset + i * sizeof(*words));
}

/* Every @stride-th word. */
static void check(const char *data, size_t len, uint64_t file, uint64_t offset,
		  size_t stride)
{
	const uint64_t *words = (const uint64_t *)data;
	size_t i;

	for (i = 0; i < len / sizeof(*words); i += stride)
		if (words[i] != word_at(file, offset + i * sizeof(*words)))
			errx(1, "file %" PRIu64 ": wrong data at %" PRIu64,
			     file, offset + i * sizeof(*words));
}

enum { BIG_FILE = 1 << 20, WRITTEN_FILE, NEW_FILE };

/* Time */

static uint64_t started;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

static void wait_for_line(void)
{
	if (!getenv("FSBENCH_STEPS"))
		return;
	puts("waiting");
	fflush(stdout);
	if (getchar() == EOF)
		errx(1, "nobody answers");
}

static void start_clock(void)
{
	wait_for_line();
	started = now();
}

static void stop_clock(const char *operation, uint64_t count, uint64_t bytes)
{
	uint64_t ns = now() - started;

	wait_for_line();
	printf("{\"op\": \"%s\", \"count\": %" PRIu64 ", \"bytes\": %" PRIu64
	       ", \"ns\": %" PRIu64 "}\n", operation, count, bytes, ns);
}

static void make_cold(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	sync();
	if (fd < 0 || write(fd, "3", 1) != 1)
		err(1, "drop_caches");
	close(fd);
	/* What the drop makes a file system tell its server is not timed. */
	usleep(300000);
}

/* Files */

static int open_in(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, flags, 0644);

	if (fd < 0)
		err(1, "open %s", name);
	return fd;
}

static void write_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	for (; len; data += n, len -= n) {
		n = write(fd, data, len);
		if (n <= 0)
			err(1, "write");
	}
}

static void read_all(int fd, char *data, size_t len)
{
	ssize_t n;

	for (; len; data += n, len -= n) {
		n = read(fd, data, len);
		if (n < 0)
			err(1, "read");
		if (!n)
			errx(1, "%zu bytes are missing", len);
	}
}

static void close_checked(int fd)
{
	if (close(fd))
		err(1, "close");
}

static const char *small_name(int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "file%05d", i);
	return name;
}

static const char *new_name(int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "new%03d-%05d", round_number, i);
	return name;
}

static void write_big(int fd, uint64_t file)
{
	uint64_t offset;

	for (offset = 0; offset < (uint64_t)mib * CHUNK; offset += CHUNK) {
		fill(chunk, CHUNK, file, offset);
		write_all(fd, chunk, CHUNK);
	}
}

static void read_big(int fd, uint64_t file, size_t stride)
{
	uint64_t offset;

	for (offset = 0; offset < (uint64_t)mib * CHUNK; offset += CHUNK) {
		read_all(fd, chunk, CHUNK);
		check(chunk, CHUNK, file, offset, stride);
	}
}

static void make_dir_in(int dir, const char *name)
{
	if (mkdirat(dir, name, 0755))
		err(1, "mkdir %s", name);
}

static void make_dir(const char *name)
{
	make_dir_in(top, name);
}

static void make_tree(int dir, int depth)
{
	int i, child;

	for (i = 0; i < TREE_WIDTH; i++)
		close_checked(open_in(dir, small_name(i),
				      O_CREAT | O_EXCL | O_WRONLY));
	for (i = 0; depth && i < TREE_WIDTH; i++) {
		make_dir_in(dir, new_name(i));
		child = open_in(dir, new_name(i), O_DIRECTORY);
		make_tree(child, depth - 1);
		close(child);
	}
}

static void prepare(void)
{
	int i, fd, dir;

	make_dir("new");
	make_dir("small");
	dir = open_in(top, "small", O_DIRECTORY);
	for (i = 0; i < files; i++) {
		fd = open_in(dir, small_name(i), O_CREAT | O_EXCL | O_WRONLY);
		fill(chunk, PAGE, i, 0);
		write_all(fd, chunk, PAGE);
		close_checked(fd);
	}
	make_dir("list");
	dir = open_in(top, "list", O_DIRECTORY);
	for (i = 0; i < entries; i++)
		close_checked(open_in(dir, small_name(i),
				      O_CREAT | O_EXCL | O_WRONLY));
	make_dir("tree");
	make_tree(open_in(top, "tree", O_DIRECTORY), 2);
	close_checked(open_in(top, "log", O_CREAT | O_EXCL | O_WRONLY));
	fd = open_in(top, "big", O_CREAT | O_EXCL | O_WRONLY);
	write_big(fd, BIG_FILE);
	close_checked(fd);
	sync();
}

/* Operations */

static void stat_pass(int dir)
{
	struct stat st;
	int i;

	for (i = 0; i < files; i++) {
		if (fstatat(dir, small_name(order[i]), &st, 0))
			err(1, "stat");
		if (st.st_size != PAGE)
			errx(1, "size %lld", (long long)st.st_size);
	}
}

static void stat_cold(void)
{
	int dir = open_in(top, "small", O_DIRECTORY);

	make_cold();
	start_clock();
	stat_pass(dir);
	stop_clock("stat_cold", files, 0);
}

static void stat_hot(void)
{
	int i, dir = open_in(top, "small", O_DIRECTORY);

	stat_pass(dir);
	start_clock();
	for (i = 0; i < HOT_PASSES; i++)
		stat_pass(dir);
	stop_clock("stat_hot", (uint64_t)files * HOT_PASSES, 0);
}

static void open_read_close(int dir)
{
	int i, fd;

	for (i = 0; i < files; i++) {
		fd = open_in(dir, small_name(order[i]), O_RDONLY);
		read_all(fd, small_data + (size_t)i * PAGE, PAGE);
		close_checked(fd);
	}
}

static void check_small(void)
{
	int i;

	for (i = 0; i < files; i++)
		check(small_data + (size_t)i * PAGE, PAGE, order[i], 0, 1);
}

static void open_cold(void)
{
	int dir = open_in(top, "small", O_DIRECTORY);

	make_cold();
	start_clock();
	open_read_close(dir);
	stop_clock("open_cold", files, 0);
	check_small();
}

static void open_hot(void)
{
	int dir = open_in(top, "small", O_DIRECTORY);

	open_read_close(dir);
	memset(small_data, 0, (size_t)files * PAGE);
	start_clock();
	open_read_close(dir);
	stop_clock("open_hot", files, 0);
	check_small();
}

static void create(void)
{
	int i, fd, dir = open_in(top, "new", O_DIRECTORY);

	for (i = 0; i < files; i++)
		fill(small_data + (size_t)i * PAGE, PAGE, NEW_FILE + i,
		     round_number);
	start_clock();
	for (i = 0; i < files; i++) {
		fd = open_in(dir, new_name(i), O_CREAT | O_TRUNC | O_WRONLY);
		write_all(fd, small_data + (size_t)i * PAGE, PAGE);
		close_checked(fd);
	}
	stop_clock("create", files, 0);
}

/* Half of them, there and back: what is checked later has its old names. */
static void rename_half(void)
{
	int i, dir = open_in(top, "new", O_DIRECTORY);
	char other[40];

	start_clock();
	for (i = 0; i < files / 2; i++) {
		snprintf(other, sizeof(other), "%s-other", new_name(i));
		if (renameat(dir, new_name(i), dir, other) ||
		    renameat(dir, other, dir, new_name(i)))
			err(1, "rename");
	}
	stop_clock("rename", files / 2 * 2, 0);
}

static const char *new_dir_name(int i)
{
	static char name[40];

	snprintf(name, sizeof(name), "%s-dir", new_name(i));
	return name;
}

static void mkdir_many(void)
{
	int i, dir = open_in(top, "new", O_DIRECTORY);

	start_clock();
	for (i = 0; i < files; i++)
		make_dir_in(dir, new_dir_name(i));
	stop_clock("mkdir", files, 0);
}

static void rmdir_many(void)
{
	int i, dir = open_in(top, "new", O_DIRECTORY);

	start_clock();
	for (i = 0; i < files; i++)
		if (unlinkat(dir, new_dir_name(i), AT_REMOVEDIR))
			err(1, "rmdir");
	stop_clock("rmdir", files, 0);
}

/* Half of them: the server checks the others. */
static void unlink_half(void)
{
	int i, dir = open_in(top, "new", O_DIRECTORY);

	start_clock();
	for (i = 0; i < files / 2; i++)
		if (unlinkat(dir, new_name(i), 0))
			err(1, "unlink");
	stop_clock("unlink", files / 2, 0);
}

static void check_created(void)
{
	int i, fd, dir = open_in(top, "new", O_DIRECTORY);

	for (i = 0; i < files / 2; i++)
		if (!faccessat(dir, new_name(i), F_OK, 0) || errno != ENOENT)
			errx(1, "%s is still there", new_name(i));
	for (; i < files; i++) {
		fd = open_in(dir, new_name(i), O_RDONLY);
		read_all(fd, chunk, PAGE);
		check(chunk, PAGE, NEW_FILE + i, round_number, 1);
		if (lseek(fd, 0, SEEK_END) != PAGE)
			errx(1, "%s has another size", new_name(i));
		close_checked(fd);
		if (unlinkat(dir, new_name(i), 0))
			err(1, "unlink");
	}
}

/* All entries of list/; with @attributes, of each. */
static void list(const char *operation, int attributes)
{
	int seen = 0, fd = open_in(top, "list", O_DIRECTORY);
	struct dirent *entry;
	struct stat st;
	DIR *dir = fdopendir(fd);

	if (!dir)
		err(1, "opendir");
	make_cold();
	start_clock();
	while ((errno = 0, entry = readdir(dir))) {
		if (!attributes) {
			seen += entry->d_name[0] != '.';
			continue;
		}
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			err(1, "stat %s", entry->d_name);
		seen += S_ISREG(st.st_mode);
	}
	if (errno)
		err(1, "readdir");
	stop_clock(operation, 1, 0);
	if (seen != entries)
		errx(1, "%d entries, expected %d", seen, entries);
}

static void readdir_cold(void)
{
	list("readdir_cold", 0);
}

static void list_cold(void)
{
	list("list_cold", 1);
}

/* As find(1) with a test of attributes; takes @fd. Returns how many entries. */
static int walk(int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	struct stat st;
	int seen = 0;

	if (!dir)
		err(1, "opendir");
	while ((errno = 0, entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			err(1, "stat %s", entry->d_name);
		seen++;
		if (S_ISDIR(st.st_mode))
			seen += walk(open_in(fd, entry->d_name, O_DIRECTORY));
	}
	if (errno)
		err(1, "readdir");
	closedir(dir);
	return seen;
}

static void walk_cold(void)
{
	const int w = TREE_WIDTH, all = 2 * w + 2 * w * w + w * w * w;
	int seen, fd = open_in(top, "tree", O_DIRECTORY);

	make_cold();
	start_clock();
	seen = walk(fd);
	stop_clock("walk_cold", all, 0);
	if (seen != all)
		errx(1, "%d entries, expected %d", seen, all);
}

static void read_cold(void)
{
	int fd = open_in(top, "big", O_RDONLY);

	make_cold();
	start_clock();
	read_big(fd, BIG_FILE, PAGE_WORDS);
	stop_clock("read_cold", 1, (uint64_t)mib * CHUNK);
	/* The rest of each page, from the cache. */
	lseek(fd, 0, SEEK_SET);
	read_big(fd, BIG_FILE, 1);
}

static void write_fsync(void)
{
	char *data = malloc((size_t)mib * CHUNK);
	uint64_t offset;
	int fd;

	if (!data)
		err(1, "memory");
	fill(data, (size_t)mib * CHUNK, WRITTEN_FILE, round_number);
	if (unlinkat(top, "written", 0) && errno != ENOENT)
		err(1, "unlink");
	make_cold();
	start_clock();
	fd = open_in(top, "written", O_CREAT | O_TRUNC | O_WRONLY);
	for (offset = 0; offset < (uint64_t)mib * CHUNK; offset += CHUNK)
		write_all(fd, data + offset, CHUNK);
	if (fsync(fd))
		err(1, "fsync");
	close_checked(fd);
	stop_clock("write_fsync", 1, (uint64_t)mib * CHUNK);
	free(data);
}

static void check_written(void)
{
	int fd = open_in(top, "written", O_RDONLY);
	uint64_t offset;

	for (offset = 0; offset < (uint64_t)mib * CHUNK; offset += CHUNK) {
		read_all(fd, chunk, CHUNK);
		check(chunk, CHUNK, WRITTEN_FILE, offset + round_number, 1);
	}
	if (lseek(fd, 0, SEEK_END) != (off_t)mib * CHUNK)
		errx(1, "the written file has another size");
}

static void append_fsync(void)
{
	int i, fd = open_in(top, "log", O_WRONLY | O_APPEND);
	off_t before = lseek(fd, 0, SEEK_END);

	fill(chunk, APPEND_SIZE, WRITTEN_FILE, 0);
	start_clock();
	for (i = 0; i < APPENDS; i++) {
		write_all(fd, chunk, APPEND_SIZE);
		if (fsync(fd))
			err(1, "fsync");
	}
	stop_clock("append_fsync", APPENDS, 0);
	if (lseek(fd, 0, SEEK_END) != before + APPENDS * APPEND_SIZE)
		errx(1, "the log has another size");
	close_checked(fd);
}

static uint64_t random_page(void)
{
	return random() % ((uint64_t)mib * CHUNK / PAGE) * PAGE;
}

static void direct_random(void)
{
	int i, fd = open_in(top, "big", O_RDONLY | O_DIRECT);
	uint64_t offset;

	make_cold();
	start_clock();
	for (i = 0; i < RANDOM_READS; i++) {
		offset = random_page();
		if (pread(fd, chunk, PAGE, offset) != PAGE)
			err(1, "direct read");
		check(chunk, PAGE, BIG_FILE, offset, 64);
	}
	stop_clock("direct_random", RANDOM_READS, 0);
}

/* One of THREADS: pages far from each other, from another beginning each. */
static void *read_direct(void *number)
{
	uint64_t pages = (uint64_t)mib * CHUNK / PAGE;
	uint64_t page = (uint64_t)(uintptr_t)number * (pages / THREADS);
	char *data = aligned_alloc(PAGE, PAGE);
	int i, fd = open_in(top, "big", O_RDONLY | O_DIRECT);

	if (!data)
		err(1, "memory");
	for (i = 0; i < RANDOM_READS / THREADS; i++) {
		page = (page + 4099) % pages;
		if (pread(fd, data, PAGE, page * PAGE) != PAGE)
			err(1, "direct read");
		check(data, PAGE, BIG_FILE, page * PAGE, 64);
	}
	close_checked(fd);
	free(data);
	return NULL;
}

static void direct_threads(void)
{
	pthread_t threads[THREADS];
	uintptr_t i;

	make_cold();
	start_clock();
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, read_direct, (void *)i))
			errx(1, "no thread");
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	stop_clock("direct_threads", RANDOM_READS / THREADS * THREADS, 0);
}

static void mmap_random(void)
{
	int i, fd = open_in(top, "big", O_RDONLY);
	size_t len = (size_t)mib * CHUNK;
	uint64_t offset;
	char *map;

	map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED || madvise(map, len, MADV_RANDOM))
		err(1, "mmap");
	make_cold();
	start_clock();
	for (i = 0; i < RANDOM_READS; i++) {
		offset = random_page();
		check(map + offset, PAGE, BIG_FILE, offset, 64);
	}
	stop_clock("mmap_random", RANDOM_READS, 0);
	munmap(map, len);
}

static const struct {
	const char *name;
	void (*run)(void);
} operations[] = {
	{ "prepare", prepare },
	{ "stat_cold", stat_cold },
	{ "stat_hot", stat_hot },
	{ "open_cold", open_cold },
	{ "open_hot", open_hot },
	{ "create", create },
	{ "rename", rename_half },
	{ "unlink", unlink_half },
	{ "check_created", check_created },
	{ "mkdir", mkdir_many },
	{ "rmdir", rmdir_many },
	{ "readdir_cold", readdir_cold },
	{ "list_cold", list_cold },
	{ "walk_cold", walk_cold },
	{ "read_cold", read_cold },
	{ "write_fsync", write_fsync },
	{ "check_written", check_written },
	{ "append_fsync", append_fsync },
	{ "direct_random", direct_random },
	{ "direct_threads", direct_threads },
	{ "mmap_random", mmap_random },
};

static void shuffle(void)
{
	int i, j, swap;

	for (i = 0; i < files; i++)
		order[i] = i;
	for (i = files - 1; i > 0; i--) {
		j = random() % (i + 1);
		swap = order[i];
		order[i] = order[j];
		order[j] = swap;
	}
}

static void set_up(const char *folder)
{
	top = open_in(AT_FDCWD, folder, O_DIRECTORY);
	order = calloc(files, sizeof(*order));
	small_data = calloc(files, PAGE);
	chunk = aligned_alloc(PAGE, CHUNK);
	if (!order || !small_data || !chunk)
		err(1, "memory");
	memset(small_data, 0, (size_t)files * PAGE);
	memset(chunk, 0, CHUNK);
	srandom(round_number + 1);
	shuffle();
	/* Dropping caches must not take this program's pages. */
	if (mlockall(MCL_CURRENT))
		warn("mlockall");
}

static int number(int argc, char **argv, int i, int otherwise)
{
	return argc > i ? atoi(argv[i]) : otherwise;
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc < 3)
		errx(2, "usage: fsbench OPERATION FOLDER [FILES [ENTRIES [MIB [ROUND]]]]");
	files = number(argc, argv, 3, files);
	entries = number(argc, argv, 4, entries);
	mib = number(argc, argv, 5, mib);
	round_number = number(argc, argv, 6, 0);
	set_up(argv[2]);
	for (i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
		if (strcmp(argv[1], operations[i].name))
			continue;
		operations[i].run();
		return 0;
	}
	errx(2, "no operation %s", argv[1]);
}
