// SPDX-License-Identifier: GPL-2.0
/*
 * Every call while the server, or the network, has one of five faults, and each
 * of three ways out: the callers are killed, the mount is taken away by force,
 * or aborted. Nobody stays, nothing succeeds that did not happen, and what was
 * written is not lost where the server comes back.
 */
#include "fault_calls.h"
#include "frame_proxy.h"

#define ENGINE_PORT 12481
#define NR ARRAY_LEN(fault_calls)
#define DIRTY 4096

enum fault { ENGINE_KILLED, ENGINE_STOPPED, NETWORK_CUT, REPLY_DELAYED, REPLY_LOST };
enum way_out { KILL_CALLERS, UMOUNT_FORCE, ABORT };

enum state { STARTING, READY, CALLING, DONE };

/* Shared with the callers. */
struct caller {
	pid_t pid;
	int state;
	int err;		/* of the call, or of what comes before it */
	double in_d;		/* since when it is seen in D without a break, or 0 */
	double longest;
};

FIXTURE(matrix)
{
	char srv[64];		/* as the server names it */
	char mount[64];
	char here[160];
	struct proxy *proxy;
	pid_t proxy_pid;
	int go[2];		/* callers wait until its other end is closed */
	int finish[2];		/* so does the keeper */
	struct caller *callers;
	struct caller *keeper;
};

FIXTURE_VARIANT(matrix)
{
	enum fault fault;
	enum way_out out;
};

#define CELL(name, FAULT, OUT) \
	FIXTURE_VARIANT_ADD(matrix, name) { .fault = FAULT, .out = OUT }
#define ROW(name, FAULT) \
	CELL(name##_kill, FAULT, KILL_CALLERS); \
	CELL(name##_force, FAULT, UMOUNT_FORCE); \
	CELL(name##_abort, FAULT, ABORT)

ROW(killed, ENGINE_KILLED);
ROW(stopped, ENGINE_STOPPED);
ROW(cut, NETWORK_CUT);
ROW(delayed, REPLY_DELAYED);
ROW(lost, REPLY_LOST);

static bool is_call(unsigned int nr, const char *name)
{
	return !strcmp(fault_calls[nr].name, name);
}

static int engine_start(void)
{
	return on_host(NULL, 0,
		"setsid %s/engine 256 2 --insecure --listen 0.0.0.0:%d --export / "
		"</dev/null >/run/qtfs-engine-%d.log 2>&1 & echo $! >/run/qtfs-engine-%d.pid; "
		"until grep -qs ':%04X 0\\+:0000 0A' /proc/net/tcp /proc/net/tcp6; do "
		"[ -d /proc/$! ] || exit 1; sleep 0.05; done",
		getenv("QTFS_BUILD"), ENGINE_PORT, ENGINE_PORT, ENGINE_PORT, ENGINE_PORT);
}

static int engine_signal(const char *name)
{
	return on_host(NULL, 0, "kill -%s $(cat /run/qtfs-engine-%d.pid)", name, ENGINE_PORT);
}

/* What the calls work on, and "dirty". */
static int make_tree(const char *srv)
{
	return on_host(NULL, 0,
		"python3 -IS -c 'import os\n"
		"os.mkdir(\"%s\"); os.chdir(\"%s\"); data = os.urandom(%d)\n"
		"for i in range(%zu):\n"
		"  with open(f\"f{i}\", \"wb\") as f: f.write(data)\n"
		"  os.chmod(f\"f{i}\", 0o755); os.setxattr(f\"f{i}\", \"user.a\", b\"x\")\n"
		"  os.mkdir(f\"d{i}\"); os.symlink(\"nowhere\", f\"l{i}\"); os.mkfifo(f\"p{i}\")\n"
		"open(\"dirty\", \"w\").close()'", srv, srv, CALL_FILE_SIZE, NR);
}

FIXTURE_SETUP(matrix)
{
	int port;

	signal(SIGPIPE, SIG_IGN);
	snprintf(self->srv, sizeof(self->srv), "/srv/fault.%d", getpid());
	snprintf(self->mount, sizeof(self->mount), "/tmp/fault.%d", getpid());
	snprintf(self->here, sizeof(self->here), "%s%s", self->mount, self->srv);
	self->callers = mmap(NULL, (NR + 1) * sizeof(*self->callers), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->callers);
	self->keeper = &self->callers[NR];
	ASSERT_EQ(0, make_tree(self->srv));
	ASSERT_EQ(0, engine_start());
	self->proxy_pid = proxy_start(&self->proxy, getenv("QTFS_HOST_IP"), ENGINE_PORT, &port);
	ASSERT_LT(0, self->proxy_pid);
	ASSERT_EQ(0, mkdir(self->mount, 0755));
	ASSERT_EQ(0, shell(NULL, 0, "mount -t qtfs -o port=%d,actimeo=0 127.0.0.1:/ %s",
			   port, self->mount));
	ASSERT_EQ(0, pipe2(self->go, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(self->finish, O_CLOEXEC));
}

FIXTURE_TEARDOWN(matrix)
{
	unsigned int i;

	for (i = 0; i <= NR; i++)
		if (self->callers[i].pid)
			kill(self->callers[i].pid, SIGKILL);
	umount2(self->mount, MNT_FORCE);
	if (umount2(self->mount, MNT_DETACH) && errno != EINVAL)
		TH_LOG("%m");
	rmdir(self->mount);
	kill(self->proxy_pid, SIGKILL);
	waitpid(self->proxy_pid, NULL, 0);
	engine_signal("CONT");
	engine_signal("KILL");
	on_host(NULL, 0, "rm -rf %s", self->srv);
}

static void be_caller(struct caller *me, unsigned int nr, const char *mount, int go)
{
	struct place place = { .fd = -1 };
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(place.file, sizeof(place.file), "f%u", nr);
	snprintf(place.dir, sizeof(place.dir), "d%u", nr);
	snprintf(place.link, sizeof(place.link), "l%u", nr);
	snprintf(place.fifo, sizeof(place.fifo), "p%u", nr);
	snprintf(place.new, sizeof(place.new), "n%u", nr);
	snprintf(place.root, sizeof(place.root), "%s", mount);
	place.buf = aligned_alloc(4096, 4096);
	memset(place.buf, 'q', 4096);
	if (pipe(place.pipe) || fault_calls[nr].before(&place)) {
		me->err = errno;
		_exit(1);
	}
	__atomic_store_n(&me->state, READY, __ATOMIC_SEQ_CST);
	if (read(go, &byte, 1))
		_exit(1);
	__atomic_store_n(&me->state, CALLING, __ATOMIC_SEQ_CST);
	me->err = errno_of(fault_calls[nr].call(&place));
	__atomic_store_n(&me->state, DONE, __ATOMIC_SEQ_CST);
	_exit(0);
}

/*
 * Survives with "dirty" open and a page of it not written. Nobody else has that
 * file open: even a program that is executed closes its copy, and writes.
 */
static void be_keeper(struct caller *me, int finish)
{
	int fd = open("dirty", O_WRONLY);
	char page[DIRTY];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memset(page, 'q', sizeof(page));
	if (pwrite(fd, page, DIRTY, 0) != DIRTY)
		_exit(1);
	__atomic_store_n(&me->state, READY, __ATOMIC_SEQ_CST);
	if (read(finish, page, 1))
		_exit(1);
	me->err = errno_of(fsync(fd));
	__atomic_store_n(&me->state, DONE, __ATOMIC_SEQ_CST);
	_exit(0);
}

static unsigned int how_many(const struct caller *callers, enum state state)
{
	unsigned int i, n = 0;

	for (i = 0; i < NR; i++)
		n += __atomic_load_n(&callers[i].state, __ATOMIC_SEQ_CST) >= state;
	return n;
}

static bool all_are(const struct caller *callers, enum state state)
{
	double end = now() + 60;

	while (how_many(callers, state) < NR && now() < end)
		nap_ms(20);
	return how_many(callers, state) == NR;
}

/* The letter of its state in /proc; 0 when it is no more. */
static char state_of(pid_t pid)
{
	char name[32], text[512], *end;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = 0;
	end = strrchr(text, ')');
	return end ? end[2] : 0;
}

static void watch_d(struct caller *caller)
{
	double t = now();

	if (state_of(caller->pid) != 'D') {
		caller->in_d = 0;
		return;
	}
	if (!caller->in_d)
		caller->in_d = t;
	if (t - caller->in_d > caller->longest)
		caller->longest = t - caller->in_d;
}

/*
 * The kernel's own wait for all that is under way cannot be killed, only ended
 * by umount -f, abort, or the server.
 */
static bool waits_in_kernel(unsigned int nr)
{
	return is_call(nr, "syncfs");
}

/* Waits until all have ended, @kernel: those as well; how many have not. */
static unsigned int reap_all(struct caller *callers, bool kernel)
{
	double end = now() + 30;
	unsigned int i, left;

	do {
		for (i = left = 0; i < NR; i++) {
			if (!callers[i].pid || (!kernel && waits_in_kernel(i)))
				continue;
			if (waitpid(callers[i].pid, NULL, WNOHANG) == callers[i].pid) {
				callers[i].pid = 0;
				continue;
			}
			watch_d(&callers[i]);
			left++;
		}
		nap_ms(20);
	} while (left && now() < end);
	return left;
}

static void set_fault(struct proxy *proxy, enum fault fault, bool on)
{
	switch (fault) {
	case ENGINE_KILLED:
		if (on)
			engine_signal("KILL");
		break;
	case ENGINE_STOPPED:
		engine_signal(on ? "STOP" : "CONT");
		break;
	case NETWORK_CUT:
		proxy_set(proxy, on ? PROXY_CUT : PROXY_PASS);
		break;
	case REPLY_DELAYED:
		proxy_set(proxy, on ? PROXY_HOLD : PROXY_PASS);
		break;
	case REPLY_LOST:
		proxy_set(proxy, on ? PROXY_LOSE : PROXY_PASS);
		break;
	}
}

static void take_way_out(struct caller *callers, const char *mount, enum way_out out)
{
	unsigned int i;

	if (out == UMOUNT_FORCE)
		umount2(mount, MNT_FORCE);	/* EBUSY: it is in use */
	if (out == ABORT)
		shell(NULL, 0, "qtinfo abort %s", mount);
	/* One waits for nothing else. */
	for (i = 0; i < NR; i++)
		if (out == KILL_CALLERS || is_call(i, "leave"))
			kill(callers[i].pid, SIGKILL);
}

/* What may succeed whatever becomes of the server: it only gives something back. */
static bool closes(unsigned int nr)
{
	return is_call(nr, "fifo_close") || is_call(nr, "unlock");
}

/*
 * What does not wait for a server that is gone: it has no locks and open files
 * any more; statfs is umount(8)'s first question, syncfs a part of sync(2).
 */
static bool ends_with_server(unsigned int nr)
{
	return closes(nr) || is_call(nr, "statfs") || is_call(nr, "syncfs");
}

/* Whether the host has a page of 'q' at the start of the file. */
static bool page_is_there(const char *srv, const char *name)
{
	return !on_host(NULL, 0, "cd %s && [ $(head -c %d %s | tr -d q | wc -c) = 0 ] && "
			"[ $(stat -c %%s %s) -ge %d ]", srv, DIRTY, name, name, DIRTY);
}

static unsigned int number_of(const char *name)
{
	unsigned int i;

	for (i = 0; i < NR && !is_call(i, name); i++)
		;
	return i;
}

static bool unmounted_within(const char *mount, double seconds)
{
	double end = now() + seconds;

	while (umount2(mount, 0)) {
		if (now() > end)
			return false;
		nap_ms(50);
	}
	return true;
}

TEST_F(matrix, every_call)
{
	bool comes_back = variant->fault != ENGINE_KILLED && variant->fault != REPLY_LOST;
	bool killed = variant->out == KILL_CALLERS;
	unsigned int i;
	char name[16];
	int status;
	pid_t pid;

	/* Callers are where their files are. */
	ASSERT_EQ(0, chdir(self->here)) TH_LOG("%m");
	for (i = 0; i < NR; i++) {
		pid = fork();
		if (!pid) {
			close(self->go[1]);
			close(self->finish[1]);
			be_caller(&self->callers[i], i, self->mount, self->go[0]);
		}
		ASSERT_LT(0, pid);
		self->callers[i].pid = pid;
	}
	pid = fork();
	if (!pid) {
		close(self->go[1]);
		close(self->finish[1]);
		be_keeper(self->keeper, self->finish[0]);
	}
	ASSERT_LT(0, pid);
	self->keeper->pid = pid;
	ASSERT_EQ(0, chdir("/"));
	EXPECT_TRUE(all_are(self->callers, READY));
	for (i = 0; i < NR; i++)
		ASSERT_EQ(READY, self->callers[i].state)
			TH_LOG("%s: %s", fault_calls[i].name, strerror(self->callers[i].err));
	for (i = 0; i < 500 && self->keeper->state != READY; i++)
		nap_ms(20);
	ASSERT_EQ(READY, self->keeper->state);

	set_fault(self->proxy, variant->fault, true);
	close(self->go[1]);
	ASSERT_TRUE(all_are(self->callers, CALLING));
	nap_ms(200);
	for (i = 0; i < NR; i++) {
		if (variant->fault == ENGINE_KILLED && ends_with_server(i))
			continue;
		EXPECT_EQ(CALLING, self->callers[i].state)
			TH_LOG("%s came back: %s", fault_calls[i].name,
			       strerror(self->callers[i].err));
	}

	take_way_out(self->callers, self->mount, variant->out);
	EXPECT_EQ(0, reap_all(self->callers, !killed));
	for (i = 0; i < NR; i++) {
		if (killed && waits_in_kernel(i))
			continue;
		EXPECT_EQ(0, self->callers[i].pid)
			TH_LOG("%s hangs", fault_calls[i].name);
		EXPECT_GE(1.0, self->callers[i].longest)
			TH_LOG("%s could not be killed", fault_calls[i].name);
		if (self->callers[i].state == DONE && !closes(i)) {
			EXPECT_NE(0, self->callers[i].err)
				TH_LOG("%s succeeded", fault_calls[i].name);
		}
	}

	set_fault(self->proxy, variant->fault, false);
	if (killed && !comes_back)
		umount2(self->mount, MNT_FORCE);
	close(self->finish[1]);
	EXPECT_TRUE(ends_within(self->keeper->pid, 20, &status));
	self->keeper->pid = 0;
	EXPECT_EQ(killed && comes_back ? 0 : EIO, self->keeper->err);
	if (killed && comes_back) {
		EXPECT_TRUE(page_is_there(self->srv, "dirty"));
		snprintf(name, sizeof(name), "f%u", number_of("leave"));
		EXPECT_TRUE(page_is_there(self->srv, name));
	}
	EXPECT_EQ(0, reap_all(self->callers, true));
	EXPECT_TRUE(unmounted_within(self->mount, 10)) TH_LOG("%m");
}

TEST_HARNESS_MAIN
