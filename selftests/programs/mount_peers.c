// SPDX-License-Identifier: GPL-2.0
/*
 * Mounting from what is not an engine, or not one that we can use: fails in
 * time, can be killed, and says why.
 */
#include "fake_engine.h"

static struct qtfs_wire_hello_rep *hello(struct reply *r)
{
	return (void *)r->bytes;
}

static void silent(int fd, void *arg)
{
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

static void ssh_banner(int fd, void *arg)
{
	send(fd, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", 32, MSG_NOSIGNAL);
	silent(fd, arg);
}

static void http_error(int fd, void *arg)
{
	static const char text[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n400 Bad Request";
	char buf[200];

	recv(fd, buf, sizeof(buf), 0);
	send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL);
}

static void hangs_up(int fd, void *arg)
{
}

static void slow_bytes(int fd, void *arg)
{
	while (send(fd, "\x30", 1, MSG_NOSIGNAL) == 1)
		nap_ms(300);
}

static void version_2(struct reply *r)
{
	hello(r)->version = htole16(2);
	r->hdr.status = htole32(QTFS_EPROTONOSUPPORT);
}

static void wants_key(struct reply *r)
{
	hello(r)->auth = htole32(QTFS_AUTH_PSK);
	r->hdr.status = htole32(QTFS_EACCES);
}

static void asks_for_proof(struct reply *r)	{ hello(r)->auth = htole32(QTFS_AUTH_PSK); }
static void bad_magic(struct reply *r)		{ hello(r)->magic = 0; }
static void chose_version_7(struct reply *r)	{ hello(r)->version = htole16(7); }
static void unasked_features(struct reply *r)	{ hello(r)->features = htole64(1); }
static void no_inflight(struct reply *r)	{ hello(r)->inflight = 0; }
static void huge_inflight(struct reply *r)	{ hello(r)->inflight = htole32(1 << 30); }
static void tiny_io(struct reply *r)		{ hello(r)->io_max = htole32(100); }
static void two_auths(struct reply *r)		{ hello(r)->auth = htole32(3); }
static void reserved_set(struct reply *r)	{ hello(r)->reserved = htole32(1); }
static void refused(struct reply *r)		{ r->hdr.status = htole32(QTFS_EUSERS); r->body = 0; }
static void no_entry(struct reply *r)		{ r->entry->node = 0; }
static void a_file(struct reply *r)		{ r->attr->type = htole32(QTFS_TYPE_REG); }
static void enoent(struct reply *r)		{ r->hdr.status = htole32(QTFS_ENOENT); r->body = 0; }
static void mute(struct reply *r)		{ sleep(30); }

FIXTURE(peer)
{
	struct evil evil;
	char dir[64];
	char key[80];		/* a file; "" without */
	char options[160];
	pid_t pid;
	int port;
};

FIXTURE_VARIANT(peer)
{
	void (*run)(int fd, void *arg);
	unsigned int op;
	spoiler spoil;
	int seconds;		/* how long it may take */
	const char *says;
	bool key;		/* whoever mounts has one */
};

#define PEER(name, message, s) \
	FIXTURE_VARIANT_ADD(peer, name) { .run = name, .says = message, .seconds = s }
#define GREETING(OP, name, message) \
	FIXTURE_VARIANT_ADD(peer, OP##_##name) {			\
		.run = run_fake_engine, .op = QTFS_OP_##OP,		\
		.spoil = name, .says = message, .seconds = 2,		\
	}

#define KEYED(name, spoiler, message)					\
	FIXTURE_VARIANT_ADD(peer, name) {				\
		.run = run_fake_engine, .op = QTFS_OP_HELLO,		\
		.spoil = spoiler, .says = message, .seconds = 2,	\
		.key = true,						\
	}

PEER(silent, "nothing answers the greeting", 3);
PEER(slow_bytes, "", 3);
PEER(ssh_banner, "does not speak the qtfs protocol", 2);
PEER(http_error, "does not speak the qtfs protocol", 2);
PEER(hangs_up, "does not speak the qtfs protocol", 2);
GREETING(HELLO, version_2, "protocol version mismatch: the server speaks 2, this module 1");
GREETING(HELLO, wants_key, "requires a pre-shared key");
GREETING(HELLO, bad_magic, "makes no sense");
GREETING(HELLO, chose_version_7, "makes no sense");
GREETING(HELLO, unasked_features, "makes no sense");
GREETING(HELLO, no_inflight, "makes no sense");
GREETING(HELLO, huge_inflight, "makes no sense");
GREETING(HELLO, tiny_io, "makes no sense");
GREETING(HELLO, two_auths, "makes no sense");
GREETING(HELLO, reserved_set, "makes no sense");
KEYED(does_without_the_key, NULL, "does not ask for the key");
KEYED(does_not_know_the_key, asks_for_proof, "does not know the pre-shared key");
GREETING(SESSION, refused, "no session");
GREETING(ATTACH, no_entry, "cannot attach");
GREETING(ATTACH, a_file, "is not a directory");
GREETING(ATTACH, enoent, "the server has no '/a/path'");

FIXTURE_VARIANT_ADD(peer, ATTACH_mute) {
	.run = run_fake_engine, .op = QTFS_OP_ATTACH, .spoil = mute,
	.says = "", .seconds = 4,
};

FIXTURE_SETUP(peer)
{
	int fd;

	self->evil = (struct evil){ variant->op, variant->spoil, 0 };
	self->pid = listen_and(variant->run, &self->evil, &self->port);
	ASSERT_LT(0, self->pid);
	snprintf(self->dir, sizeof(self->dir), "/tmp/peer.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->options, sizeof(self->options),
		 "port=%d,connect_timeout=2,nconnect=1", self->port);
	if (!variant->key)
		return;
	snprintf(self->key, sizeof(self->key), "%s.key", self->dir);
	fd = open(self->key, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ASSERT_LT(0, fd);
	ASSERT_EQ(7, write(fd, "secret\n", 7));
	close(fd);
	strcat(strcat(self->options, ",psk="), self->key);
}

FIXTURE_TEARDOWN(peer)
{
	unlink(self->key);
	kill(self->pid, SIGKILL);
	waitpid(self->pid, NULL, 0);
	umount2(self->dir, MNT_FORCE);
	rmdir(self->dir);
}

static bool is_mounted(const char *dir)
{
	struct stat here, above;

	return stat(dir, &here) || stat("/tmp", &above) || here.st_dev != above.st_dev;
}

/* What qtfs has logged, up to now, from where @log is. */
static void read_log(int log, char *text, size_t size)
{
	char record[8192];
	ssize_t n;

	*text = 0;
	while ((n = read(log, record, sizeof(record) - 1)) > 0) {
		record[n] = 0;
		if (strstr(record, "qtfs") && strlen(text) + n < size)
			strcat(text, record);
	}
}

TEST_F(peer, fails_in_time_and_says_why)
{
	char out[4096], said[32768];
	double start = now();
	int status, log;

	status = shell(out, sizeof(out),
		       "mount -t qtfs -o %s 127.0.0.1:/a/path %s",
		       self->options, self->dir);
	/* The time that a loaded machine needs to start mount comes on top. */
	EXPECT_GT(variant->seconds + 30, now() - start);
	EXPECT_EQ(32, status);
	EXPECT_NE(NULL, strstr(out, variant->says)) TH_LOG("%s", out);
	EXPECT_NE(NULL, strstr(out, "qtfs")) TH_LOG("%s", out);
	EXPECT_FALSE(is_mounted(self->dir));

	/* Without the helper, which reads keys, the kernel's log has it. */
	if (variant->key)
		return;
	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LT(0, log);
	lseek(log, 0, SEEK_END);
	EXPECT_NE(0, mount("127.0.0.1:/a/path", self->dir, "qtfs", 0, self->options));
	EXPECT_FALSE(is_mounted(self->dir));
	read_log(log, said, sizeof(said));
	close(log);
	EXPECT_NE(NULL, strstr(said, variant->says)) TH_LOG("log: %s", said);
}

/* Whoever waits for one that never answers can be killed at once. */
TEST(waits_killably)
{
	char opts[64], dir[] = "/tmp/peer.XXXXXX";
	pid_t pid, server;
	int status, port;

	server = listen_and(silent, NULL, &port);
	ASSERT_LT(0, server);
	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(opts, sizeof(opts), "port=%d,connect_timeout=600", port);
	pid = fork();
	if (!pid)
		_exit(mount("127.0.0.1:/", dir, "qtfs", 0, opts) ? errno : 0);
	EXPECT_FALSE(ends_within(pid, 1, &status));
	kill(pid, SIGKILL);
	EXPECT_TRUE(ends_within(pid, 60, &status));
	EXPECT_TRUE(WIFSIGNALED(status));
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	rmdir(dir);
}

TEST_HARNESS_MAIN
