/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs share: a fresh folder on the server to work in, commands
 * on the host, contents that tell where they belong.
 */
#ifndef QTFS_SELFTEST_COMMON_H
#define QTFS_SELFTEST_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include <kselftest_harness.h>

/* An emulated kernel with all its checks, on a busy machine, takes its time. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline const char *mount_point(void)
{
	return getenv("MNT") ?: "/mnt/host";
}

/* Runs argv[], its output into @out where that is given; its exit status. */
static inline int run_argv(char *const argv[], char *out, size_t size)
{
	int fds[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(0);
		open("/dev/null", O_RDONLY);
		if (out) {
			dup2(fds[1], 1);
			dup2(fds[1], 2);
		}
		execvp(argv[0], argv);
		_exit(127);
	}
	close(fds[1]);
	while (out && len < size - 1 &&
	       (n = read(fds[0], out + len, size - 1 - len)) > 0)
		len += n;
	close(fds[0]);
	if (out) {
		while (len && out[len - 1] == '\n')
			len--;
		out[len] = 0;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}

/* A shell command here, or on the host. */
static inline int shell(char *out, size_t size, const char *fmt, ...)
{
	char *argv[] = { "sh", "-c", NULL, NULL };
	char command[4096];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	argv[2] = command;
	return run_argv(argv, out, size);
}

static inline int on_host(char *out, size_t size, const char *fmt, ...)
{
	char *argv[] = { "on-host", NULL, NULL };
	char command[4096];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	argv[1] = command;
	return run_argv(argv, out, size);
}

/* The same in the background. */
static inline void host_runs(const char *fmt, ...)
{
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	on_host(NULL, 0, "(%s) </dev/null >/dev/null 2>&1 &", command);
}

/* What the engine has used, in hundredths of a second. */
static inline long engine_ticks(void)
{
	long user = 0, system = 0;
	char out[64];

	on_host(out, sizeof(out), "cut -d' ' -f14,15 /proc/$(cat /run/qtfs-engine.pid)/stat");
	sscanf(out, "%ld %ld", &user, &system);
	return user + system;
}

/* How much of something: kernels that look for faults are some five times as slow. */
static inline int on_debug(int there, int elsewhere)
{
	const char *kernel = getenv("QTFS_KERNEL") ?: "";

	return !strcmp(kernel, "debug") || !strcmp(kernel, "um") ? there :
								    elsewhere;
}

static inline double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static inline void nap_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* True when the child @pid has ended within @seconds; reaps it. */
static inline bool ends_within(pid_t pid, double seconds, int *status)
{
	double end = now() + seconds;

	do {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		nap_ms(20);
	} while (now() < end);
	return false;
}

/* The byte that belongs at @at of the file number @seed. */
static inline unsigned char pattern(unsigned int seed, unsigned long at)
{
	return (at * 131 + (at >> 8) * 7 + (at >> 16) + seed * 29) ^ 0x5a;
}

static inline void fill(unsigned char *buf, unsigned int seed,
			unsigned long at, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = pattern(seed, at + i);
}

/* Where @buf stops being what belongs there; @len if it is right. */
static inline size_t wrong_at(const unsigned char *buf, unsigned int seed,
			      unsigned long at, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (buf[i] != pattern(seed, at + i))
			break;
	return i;
}

/* 0, or the error number. */
#define errno_of(call) ((call) < 0 ? errno : 0)

static inline int remove_entry(const char *path, const struct stat *st, int type,
			       struct FTW *ftw)
{
	remove(path);
	return 0;
}

/* What there is of it; without a process, each of which takes a debug kernel long. */
static inline void remove_all(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* A folder on the server's ext4, which is the current directory. */
FIXTURE(tree)
{
	char srv[64];	/* its path on the server */
	char here[160];	/* its path on the client */
};

FIXTURE_SETUP(tree)
{
	snprintf(self->srv, sizeof(self->srv), "/srv/%s.%d",
		 program_invocation_short_name, getpid());
	snprintf(self->here, sizeof(self->here), "%s%s", mount_point(),
		 self->srv);
	ASSERT_EQ(0, mkdir(self->here, 0755)) TH_LOG("%m");
	ASSERT_EQ(0, chdir(self->here)) TH_LOG("%m");
}

FIXTURE_TEARDOWN(tree)
{
	if (chdir("/"))
		TH_LOG("%m");
	remove_all(self->here);
}

#endif /* QTFS_SELFTEST_COMMON_H */
