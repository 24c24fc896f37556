/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An engine that sends what no engine should. A row is what is wrong, with the
 * reply to what, who asks meanwhile, and what becomes of that.
 */
#ifndef QTFS_SELFTEST_HOSTILE_H
#define QTFS_SELFTEST_HOSTILE_H

#include "fake_engine.h"

#include <sys/mman.h>

/* Spoilers: what is wrong, with more than one kind of reply */
static void nothing(struct reply *r)		{ }
static void body_short(struct reply *r)		{ r->body -= 8; }
static void body_long(struct reply *r)		{ r->body += 512; }
static void payload_unasked(struct reply *r)	{ r->payload += 64; }
static void odd_status(struct reply *r)		{ r->hdr.status = htole32(9999); r->body = r->payload = 0; }
static void parked_only(struct reply *r)	{ r->hdr.flags |= htole16(QTFS_FRAME_PARKED); r->body = 8; }
static void odd_type(struct reply *r)		{ r->attr->type = htole32(99); }
static struct qtfs_wire_write_rep *wrote(struct reply *r) { return (void *)r->bytes; }
static void wrote_more(struct reply *r)		{ wrote(r)->count = htole32(1 << 20); }
static void wrote_nowhere(struct reply *r)	{ wrote(r)->offset = htole64(-1ull); }
static void wrote_beyond(struct reply *r)	{ wrote(r)->size = htole64(-1ull); }
static void brings_unasked(struct reply *r)	{ r->read->flags |= htole32(QTFS_READ_TAKE); }

/* But for the root, where everything begins. */
static void now_a_file(struct reply *r)
{
	if (le64toh(r->attr->ino) != 1)
		r->attr->type = htole32(QTFS_TYPE_REG);
}

static void now_a_dir(struct reply *r)		{ r->attr->type = htole32(QTFS_TYPE_DIR); }
static void nanoseconds(struct reply *r)	{ r->attr->mtime_ns = htole32(1000000000); }
static void no_node(struct reply *r)		{ r->entry->node = 0; }
static void all_ones_node(struct reply *r)	{ r->entry->node = htole64(QTFS_PREV); }
static void root_again(struct reply *r)		{ r->entry->node = htole64(1); }
static void begins_another(struct reply *r)	{ r->attr->mnt_id = htole64(9); }

/* Sockets and descriptors: what the made-up tree's engine says of them. */
static void put_opened(unsigned int open, unsigned int node)
{
	struct qtfs_wire_opened *rep = add(sizeof(*rep));

	reply.hdr.status = 0;
	rep->open = htole64(open);
	if (node == 6) {
		rep->socket = htole32(QTFS_SOCKET_STREAM);
		rep->flags = htole32(QTFS_OPENED_POLLABLE |
				     QTFS_OPENED_STREAM |
				     QTFS_OPENED_NOSEEK);
	}
	put_attr(&rep->attr, node);
}

static void answer_rights(struct reply *r)
{
	((struct qtfs_wire_hello_rep *)r->bytes)->features |= htole64(QTFS_FEATURE_RIGHTS);
}

static void answer_bind(struct reply *r)
{
	put_entry(6);
	put_opened(77, 6);
	r->attr = &r->entry->attr;
}

static void answer_accept(struct reply *r)
{
	put_opened(78, 6);
	add(sizeof(struct qtfs_wire_accepted) - sizeof(struct qtfs_wire_opened));
}

static void answer_shutdown(struct reply *r)	{ r->hdr.status = 0; }
static void answer_give(struct reply *r)	{ put_opened(79, 6); }

static void answer_take(struct reply *r)
{
	struct qtfs_wire_taken *rep = (void *)r->bytes;

	put_opened(80, 2);
	put_entry(2);
	add(sizeof(*rep) - r->body);
	rep->kind = htole32(QTFS_RIGHT_FILE);
	rep->flags = htole32(QTFS_OPEN_READ);
}

static struct evil *wanted;

/* In memory that is shared with the engine: how many connections have ended. */
static int *ended;

/* Something came along. */
static void answer_brings(struct reply *r)
{
	if (wanted->op == QTFS_OP_TAKE)
		r->read->flags |= htole32(QTFS_READ_TAKE);
}

static const struct {
	unsigned int op;
	spoiler answer;
} answers[] = {
	{ QTFS_OP_HELLO, answer_rights },
	{ QTFS_OP_READ, answer_brings },
	{ QTFS_OP_BIND, answer_bind },
	{ QTFS_OP_ACCEPT, answer_accept },
	{ QTFS_OP_SHUTDOWN, answer_shutdown },
	{ QTFS_OP_GIVE, answer_give },
	{ QTFS_OP_TAKE, answer_take },
};

static spoiler right_answer;

static void answered(struct reply *r)
{
	right_answer(r);
	if (r->hdr.op == htole16(wanted->op))
		wanted->spoil(r);
}

/* What becomes of the reply to this one, whether or not it is to be spoiled. */
static struct evil turn;

static void take_turn(unsigned int op)
{
	unsigned int i;

	turn = *wanted;
	for (i = 0; i < ARRAY_LEN(answers); i++) {
		if (answers[i].op == op) {
			right_answer = answers[i].answer;
			turn = (struct evil){ op, answered, 0 };
		}
	}
}

static void run_engine(int fd, void *evil)
{
	wanted = evil;
	fake_engine_saw = take_turn;
	run_fake_engine(fd, &turn);
	__atomic_add_fetch(ended, 1, __ATOMIC_SEQ_CST);
}

/*
 * DEAD: a protocol error ends the connection. LOST: it ends without one.
 * CALM: whatever comes, but no harm. ENDLESS: goes on until it is killed.
 */
enum { DEAD = -1, CALM = -2, LOST = -3, ENDLESS = -4 };

FIXTURE(engine)
{
	struct evil evil;
	char dir[64];
	pid_t pid;
};

FIXTURE_VARIANT(engine)
{
	unsigned int op;
	spoiler spoil;
	int (*act)(void);
	int want;
};

#define EVIL(spoiler, OP, action, wanted)				\
	FIXTURE_VARIANT_ADD(engine, OP##_##spoiler##_##action) {	\
		.op = QTFS_OP_##OP, .spoil = spoiler, .act = action,	\
		.want = wanted,						\
	}

FIXTURE_SETUP(engine)
{
	char opts[64];
	int port;

	self->evil = (struct evil){ variant->op, variant->spoil, 0 };
	ended = mmap(NULL, sizeof(*ended), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ended);
	self->pid = listen_and(run_engine, &self->evil, &port);
	ASSERT_LT(0, self->pid);
	snprintf(self->dir, sizeof(self->dir), "/tmp/hostile.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(opts, sizeof(opts), "port=%d,connect_timeout=10,nconnect=1", port);
	ASSERT_EQ(0, mount("127.0.0.1:/", self->dir, "qtfs", 0, opts))
		TH_LOG("%m");
}

FIXTURE_TEARDOWN(engine)
{
	double start = now();

	kill(self->pid, SIGKILL);
	waitpid(self->pid, NULL, 0);
	EXPECT_EQ(0, umount2(self->dir, MNT_FORCE)) TH_LOG("%m");
	/* A lookup may still have been under way in the one that was killed. */
	EXPECT_GT(60, now() - start) TH_LOG("slow to unmount");
	rmdir(self->dir);
}

#define QTINFO(out, ...) \
	run_argv((char *[]){ "qtinfo", "--json", __VA_ARGS__, NULL }, out, sizeof(out))

static int protocol_errors(char *dir)
{
	static const char key[] = "\"protocol_errors\":";
	char out[16384], *at;

	if (QTINFO(out, "stats", dir))
		return -1;
	at = strstr(out, key);
	return at ? atoi(at + strlen(key)) : -1;
}

/* The lab's own mount is not. */
static bool says_lost(void)
{
	char out[4096];

	return !QTINFO(out, "mounts") && strstr(out, "\"lost\"");
}

static bool lost(void)
{
	return __atomic_load_n(ended, __ATOMIC_SEQ_CST);
}

TEST_F(engine, reply)
{
	int status = -1;
	double end;
	pid_t pid;

	pid = fork();
	if (!pid)
		_exit(chdir(self->dir) ? 200 : variant->act());

	if (variant->want == DEAD || variant->want == LOST) {
		end = now() + 60;
		while (!lost() && now() < end)
			nap_ms(50);
		EXPECT_TRUE(lost()) TH_LOG("connection goes on");
		while (variant->want == LOST && !says_lost() && now() < end)
			nap_ms(50);
		EXPECT_LT(now(), end) TH_LOG("it is not told that it is lost");
		EXPECT_EQ(variant->want == DEAD, protocol_errors(self->dir));
		kill(pid, SIGKILL);
		EXPECT_TRUE(ends_within(pid, 60, &status)) TH_LOG("unkillable");
		return;
	}
	if (!ends_within(pid, variant->want == ENDLESS ? 2 : 90, &status)) {
		EXPECT_EQ(ENDLESS, variant->want) TH_LOG("no end");
		kill(pid, SIGKILL);
		EXPECT_TRUE(ends_within(pid, 60, &status)) TH_LOG("unkillable");
		return;
	}
	EXPECT_TRUE(WIFEXITED(status));
	if (variant->want == CALM || variant->want == ENDLESS) {
		EXPECT_NE(200, WEXITSTATUS(status));
	} else {
		EXPECT_EQ(variant->want, WEXITSTATUS(status));
	}
	EXPECT_FALSE(lost());
}

#endif /* QTFS_SELFTEST_HOSTILE_H */
