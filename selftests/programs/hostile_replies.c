// SPDX-License-Identifier: GPL-2.0
/*
 * An engine that sends what no engine should: each reply earns an error or a
 * dead connection, never a hang that cannot be ended nor a kernel warning.
 */
#include <dirent.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>

#include "hostile.h"

/* Spoilers: what is wrong */
static void huge(struct reply *r)
{
	r->hdr.len = htole32(0xffffffff);
	r->hdr.body = htole32(r->body);
	r->sealed = true;
}

static void tiny(struct reply *r)
{
	r->hdr.len = htole32(8);
	r->sealed = true;
}

static void body_beyond_frame(struct reply *r)
{
	r->hdr.len = htole32(sizeof(r->hdr) + r->body);
	r->hdr.body = htole32(r->body + 8);
	r->sealed = true;
}

static void body_not_aligned(struct reply *r)	{ r->body += 3; }
static void payload_large(struct reply *r)	{ r->payload = 200 << 10; }
static void wrong_op(struct reply *r)		{ r->hdr.op = htole16(QTFS_OP_RENAME); }
static void no_such_op(struct reply *r)		{ r->hdr.op = htole16(60000); }
static void wrong_tag(struct reply *r)		{ r->hdr.tag ^= htole64(1ull << 40); }
static void wrong_slot(struct reply *r)		{ r->hdr.tag ^= htole64(5); }
static void no_flags(struct reply *r)		{ r->hdr.flags = 0; }
static void push_with_tag(struct reply *r)	{ r->hdr.flags = htole16(QTFS_FRAME_PUSH); }
static void twice(struct reply *r)		{ r->times = 2; }
static void cut_header(struct reply *r)		{ r->cut = 20; r->close_after = true; }
static void cut_body(struct reply *r)		{ r->cut = sizeof(r->hdr) + 16; r->close_after = true; }
static void restart_status(struct reply *r)	{ r->hdr.status = htole32(512); r->body = r->payload = 0; }

static void no_type(struct reply *r)		{ r->attr->type = 0; }
static void mode_bits(struct reply *r)		{ r->attr->mode = htole32(0170644); }
static void negative_size(struct reply *r)	{ r->attr->size = htole64(-5ull); }
static void no_links(struct reply *r)		{ r->attr->nlink = 0; }
static void odd_ids(struct reply *r)		{ r->attr->uid = r->attr->gid = 0xffffffff; }
static void odd_device(struct reply *r)		{ r->attr->rdev_major = r->attr->rdev_minor = 0xffffffff; r->attr->type = htole32(QTFS_TYPE_CHR); }
static void odd_blksize(struct reply *r)	{ r->attr->blksize = htole32(3); }
static void read_lies(struct reply *r)		{ r->read->count = htole32(4000); }
static void read_stops(struct reply *r)		{ r->read->flags = 0; r->read->count = htole32(2); r->payload = 2; }
static void link_with_nul(struct reply *r)	{ r->bytes[r->body + 1] = 0; }
static void link_empty(struct reply *r)		{ r->payload = 0; }

static void lock_backwards(struct reply *r)
{
	struct qtfs_wire_lock *lock = (void *)r->bytes;

	lock->start = htole64(-9ull);
	lock->end = htole64(5);
}

static void flags_none(struct reply *r)
{
	memset(r->bytes, 0, r->body);
}

static struct qtfs_wire_extent *extent_of(struct reply *r, int i)
{
	return (struct qtfs_wire_extent *)(r->bytes + r->body) + i;
}

static void extents_backwards(struct reply *r)	{ extent_of(r, 0)->logical = htole64(65536); }
static void extents_empty(struct reply *r)	{ extent_of(r, 1)->length = 0; }
static void extents_beyond(struct reply *r)	{ extent_of(r, 1)->length = htole64(-5000ull); }
static void extents_again(struct reply *r)	{ extent_of(r, 1)->logical = 0; }
static void extents_reserved(struct reply *r)	{ extent_of(r, 0)->reserved = htole32(1); }
static void extents_fewer(struct reply *r)	{ r->payload -= sizeof(struct qtfs_wire_extent); }
static void extents_lie(struct reply *r)	{ ((struct qtfs_wire_extents *)r->bytes)->nr = htole32(-1u); }

static void dedupe_more(struct reply *r)
{
	((struct qtfs_wire_dedupe_rep *)r->bytes)->length = htole64(1 << 20);
}

static void dedupe_differs(struct reply *r)
{
	((struct qtfs_wire_dedupe_rep *)r->bytes)->differs = htole32(1);
}

static void one_name(struct reply *r, const char *name, size_t len)
{
	r->payload = 0;
	put_dirent(name, len, 3);
}

static void name_slash(struct reply *r)		{ one_name(r, "a/b", 3); }
static void name_nul(struct reply *r)		{ one_name(r, "a\0b", 3); }
static void name_dot(struct reply *r)		{ one_name(r, ".", 1); }
static void name_dots(struct reply *r)		{ one_name(r, "..", 2); }
static void name_empty(struct reply *r)		{ one_name(r, "", 0); }
static void name_long(struct reply *r)		{ one_name(r, (char[300]){ "long" }, 300); }
static void name_beyond(struct reply *r)	{ one_name(r, "cut", 3); r->payload -= 8; }
static void list_empty_no_end(struct reply *r)	{ r->payload = 0; memset(r->bytes, 0, 16); }

static void list_for_ever(struct reply *r)
{
	one_name(r, "file", 4);
	memset(r->bytes, 0, 16);
}

static void push(struct reply *r, unsigned int op, size_t body)
{
	struct qtfs_wire_rep hdr = {
		.len = htole32(sizeof(hdr) + body),
		.op = htole16(op),
		.flags = htole16(QTFS_FRAME_PUSH),
		.body = htole32(body),
	};

	memcpy(r->before + r->before_len, &hdr, sizeof(hdr));
	r->before_len += sizeof(hdr) + body;
}

static void pushes(struct reply *r)
{
	unsigned int i, op;

	for (i = 0; i < 100; i++) {
		op = QTFS_OP_PUSH_INVAL + i % 9;
		if (op != QTFS_OP_PUSH_UNPARK && op != QTFS_OP_PUSH_POLL &&
		    op != QTFS_OP_PUSH_MOUNTS)
			push(r, op, 8 * (i % 5));
	}
}

static void result_of_nothing(struct reply *r)	{ push(r, QTFS_OP_PUSH_UNPARK, 16); }

/* Says that the request waits, under a number. */
static void park(struct reply *r, unsigned long long number, size_t body)
{
	struct qtfs_wire_rep hdr = r->hdr;
	struct qtfs_wire_parked parked = { htole64(number) };

	hdr.flags = htole16(QTFS_FRAME_REPLY | QTFS_FRAME_PARKED);
	hdr.len = htole32(sizeof(hdr) + body);
	hdr.body = htole32(body);
	memcpy(r->before + r->before_len, &hdr, sizeof(hdr));
	memcpy(r->before + r->before_len + sizeof(hdr), &parked, sizeof(parked));
	r->before_len += sizeof(hdr) + body;
}

/* The reply becomes the result of the request that waits. */
static void unpark(struct reply *r, unsigned long long number, unsigned int op)
{
	struct qtfs_wire_push_unpark head = {
		.park = htole64(number),
		.op = htole16(op),
	};

	memmove(r->bytes + sizeof(head), r->bytes, r->body + r->payload);
	memcpy(r->bytes, &head, sizeof(head));
	r->body += sizeof(head);
	r->hdr.op = htole16(QTFS_OP_PUSH_UNPARK);
	r->hdr.flags = htole16(QTFS_FRAME_PUSH);
	r->hdr.tag = 0;
}

static void parked(struct reply *r)
{
	park(r, 5, 8);
	unpark(r, 5, QTFS_OP_LOCK);
}

static void parked_long(struct reply *r)	{ park(r, 5, 16); unpark(r, 5, QTFS_OP_LOCK); }
static void parked_twice(struct reply *r)	{ park(r, 5, 8); park(r, 6, 8); unpark(r, 6, QTFS_OP_LOCK); }
static void result_twice(struct reply *r)	{ parked(r); r->times = 2; }
static void result_of_another(struct reply *r)	{ park(r, 5, 8); unpark(r, 6, QTFS_OP_LOCK); }
static void result_of_another_op(struct reply *r) { park(r, 5, 8); unpark(r, 5, QTFS_OP_STATFS); }
static void result_short(struct reply *r)	{ parked(r); r->body -= 8; }
static void result_long(struct reply *r)	{ parked(r); r->body += 416; }
static void result_with_tag(struct reply *r)	{ park(r, 5, 8); unpark(r, 5, QTFS_OP_LOCK); r->hdr.tag = htole64(7); }

static void parked_read(struct reply *r)	{ park(r, 5, 8); unpark(r, 5, QTFS_OP_READ); }
static void result_with_payload(struct reply *r) { parked(r); r->payload += 64; }
static void result_payload_large(struct reply *r) { parked_read(r); r->payload = 200 << 10; }
static void failed_with_payload(struct reply *r)
{
	parked_read(r);
	((struct qtfs_wire_push_unpark *)r->bytes)->status = htole32(5);
	r->body = sizeof(struct qtfs_wire_push_unpark);
}

/* That an open is ready. */
static void push_poll(struct reply *r, unsigned int open, unsigned int mask, size_t len)
{
	struct qtfs_wire_push_poll body = {
		.open = htole64(open),
		.generation = htole64(-1ull),
		.mask = htole32(mask),
	};
	size_t at = r->before_len + sizeof(struct qtfs_wire_rep);

	push(r, QTFS_OP_PUSH_POLL, len);
	memcpy(r->before + at, &body, len < sizeof(body) ? len : sizeof(body));
}

static void ready_nothing(struct reply *r)	{ push_poll(r, 99, QTFS_POLL_IN, 24); }
static void ready_early(struct reply *r)	{ push_poll(r, 77, QTFS_POLL_ALL, 24); }
static void ready_for_nothing(struct reply *r)	{ push_poll(r, 77, 0, 24); }
static void ready_odd(struct reply *r)		{ push_poll(r, 77, 0x40, 24); }
static void ready_short(struct reply *r)	{ push_poll(r, 77, QTFS_POLL_IN, 16); }
static void ready_long(struct reply *r)		{ push_poll(r, 77, QTFS_POLL_IN, 32); }
static void push_with_payload(struct reply *r)	{ ready_nothing(r); ((struct qtfs_wire_rep *)r->before)->len = htole32(48 + 24 + 8); r->before_len += 8; }

static void ready_flood(struct reply *r)
{
	int i;

	for (i = 0; i < 200; i++)
		push_poll(r, 70 + i % 10, QTFS_POLL_ALL, 24);
}

static void level_odd(struct reply *r)
{
	((struct qtfs_wire_poll *)r->bytes)->mask = htole32(0xffffffff);
}

static void mounts_flood(struct reply *r)
{
	int i;

	for (i = 0; i < 100; i++)
		push(r, QTFS_OP_PUSH_MOUNTS, 8);
}

static void mounts_short(struct reply *r)	{ push(r, QTFS_OP_PUSH_MOUNTS, 0); }
static void mounts_long(struct reply *r)	{ push(r, QTFS_OP_PUSH_MOUNTS, 16); }
static void begins_a_mount(struct reply *r)	{ r->attr->flags = htole32(QTFS_ATTR_MOUNT_ROOT); r->attr->mnt_id = htole64(7); }
static void begins_none(struct reply *r)	{ r->attr->flags = 0; r->attr->mnt_id = 0; }
static void push_large(struct reply *r)		{ push(r, QTFS_OP_PUSH_EVENT, 16384); }
static void push_beyond(struct reply *r)	{ push(r, QTFS_OP_PUSH_EVENT, 16392); }
static void garbage(struct reply *r)		{ memset(r->before, 0xa5, r->before_len = 200); }
static void zeros(struct reply *r)		{ r->before_len = 4096; }

/* What is done meanwhile; an error number or 0. */
static int do_stat(void)
{
	struct stat st;

	return errno_of(stat("file", &st));
}

static int do_lstat_link(void)
{
	struct stat st;

	return errno_of(lstat("link", &st));
}

static int do_cat(void)
{
	char buf[100];
	int fd = open("file", O_RDONLY), err;

	if (fd < 0)
		return errno;
	err = errno_of(read(fd, buf, sizeof(buf)));
	close(fd);
	return err;
}

/* Inside of a page that has to be read for it. */
static int do_patch(void)
{
	int fd = open("file", O_RDWR), err;

	if (fd < 0)
		return errno;
	err = errno_of(pwrite(fd, "x", 1, 1));
	close(fd);
	return err;
}

static int do_direct(void)
{
	static char buf[4096] __attribute__((aligned(4096)));
	int fd = open("file", O_RDONLY | O_DIRECT), err;

	if (fd < 0)
		return errno;
	err = errno_of(read(fd, buf, sizeof(buf)));
	close(fd);
	return err;
}

static int do_list(void)
{
	DIR *dir = opendir(".");
	int err;

	if (!dir)
		return errno;
	do {
		errno = 0;
	} while (readdir(dir));
	err = errno;
	closedir(dir);
	return err;
}

static int do_readlink(void)
{
	char buf[100];

	return errno_of(readlink("link", buf, sizeof(buf)));
}

static int do_fstat(void)
{
	struct stat st;
	int fd = open("dir", O_RDONLY | O_DIRECTORY), err;

	if (fd < 0)
		return errno;
	err = errno_of(statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC,
			     STATX_ALL, (void *)&(char[512]){}));
	close(fd);
	return err ?: errno_of(stat("dir", &st));
}

static int do_lock(void)
{
	struct flock fl = { .l_type = F_RDLCK };
	int fd = open("file", O_RDONLY);

	return fd < 0 ? errno : errno_of(fcntl(fd, F_SETLKW, &fl));
}

static int do_test_lock(void)
{
	struct flock fl = { .l_type = F_RDLCK };
	int fd = open("file", O_RDONLY);

	return fd < 0 ? errno : errno_of(fcntl(fd, F_GETLK, &fl));
}

static int fifo(void)
{
	return open("fifo", O_RDONLY | O_NONBLOCK);
}

static int do_poll(void)
{
	struct pollfd p = { fifo(), POLLPRI, 0 };

	if (p.fd < 0 || poll(&p, 1, 200) < 0)
		return errno;
	return p.revents & POLLERR ? EIO : 0;
}

/* Asks, reads, and asks again. */
static int do_poll_read(void)
{
	struct pollfd p = { fifo(), POLLIN, 0 };
	char buf[100];

	if (p.fd < 0 || poll(&p, 1, 200) < 0 || read(p.fd, buf, sizeof(buf)) < 0)
		return errno;
	return poll(&p, 1, 200) < 0 ? errno : 0;
}

static int do_read_fifo(void)
{
	char buf[100];
	int fd = fifo(), n;

	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
	return n < 0 ? errno : n == 5 && !memcmp(buf, "hello", 5) ? 0 : EBADMSG;
}

static int do_write_fifo(void)
{
	int fd = open("fifo", O_RDWR | O_NONBLOCK);

	return fd < 0 ? errno : errno_of(write(fd, "hello", 5));
}

/* Into what says that it is a mount, and down a name below it. */
static int do_enter(void)
{
	int fd = open("mount", O_RDONLY | O_DIRECTORY);
	struct stat st;

	if (fd < 0)
		return errno;
	return errno_of(fstatat(fd, "file", &st, 0));
}

static int do_enter_dir(void)
{
	return errno_of(open("dir/.", O_RDONLY | O_DIRECTORY));
}

static int do_statfs(void)
{
	struct statfs st;

	return errno_of(statfs(".", &st));
}

/* Sets a project and flags of both kinds, and asks for them. */
static int do_flags(void)
{
	int fd = open("file", O_RDONLY), basic = 0;
	struct fsxattr x = {
		.fsx_xflags = FS_XFLAG_PROJINHERIT | FS_XFLAG_NODEFRAG,
		.fsx_projid = 4711,
	};

	if (fd < 0 || ioctl(fd, FS_IOC_FSSETXATTR, &x))
		return errno;
	memset(&x, 0, sizeof(x));
	if (ioctl(fd, FS_IOC_FSGETXATTR, &x) ||
	    ioctl(fd, FS_IOC_GETFLAGS, &basic))
		return errno;
	return x.fsx_projid == 4711 && basic == FS_PROJINHERIT_FL &&
	       x.fsx_xflags == (FS_XFLAG_PROJINHERIT | FS_XFLAG_NODEFRAG) ?
	       0 : 201;
}

static int do_fiemap(void)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extents[8];
	} job = { .map.fm_length = FIEMAP_MAX_OFFSET, .map.fm_extent_count = 8 };
	int fd = open("file", O_RDONLY);

	if (fd < 0 || ioctl(fd, FS_IOC_FIEMAP, &job))
		return errno;
	return job.map.fm_mapped_extents == 2 &&
	       job.extents[1].fe_physical == 65536 &&
	       job.extents[1].fe_flags == FIEMAP_EXTENT_LAST ? 0 : 201;
}

/* 0: it is shared, 202: it differs. */
static int do_dedupe(void)
{
	struct {
		struct file_dedupe_range range;
		struct file_dedupe_range_info to;
	} job = {
		.range = { .src_length = 2, .dest_count = 1 },
		.to = { .dest_fd = open("file", O_RDWR), .dest_offset = 3 },
	};
	int fd = open("file", O_RDONLY);

	if (fd < 0 || ioctl(fd, FIDEDUPERANGE, &job))
		return errno;
	if (job.to.status == FILE_DEDUPE_RANGE_DIFFERS)
		return 202;
	return job.to.status < 0 ? -job.to.status :
	       job.to.bytes_deduped == 2 ? 0 : 201;
}

EVIL(huge, STATFS, do_statfs, DEAD);
EVIL(tiny, STATFS, do_statfs, DEAD);
EVIL(body_beyond_frame, STATFS, do_statfs, DEAD);
EVIL(body_not_aligned, STATFS, do_statfs, DEAD);
EVIL(body_short, STATFS, do_statfs, DEAD);
EVIL(body_long, STATFS, do_statfs, DEAD);
EVIL(payload_unasked, STATFS, do_statfs, DEAD);
EVIL(payload_large, READ, do_direct, DEAD);
EVIL(payload_large, READDIR, do_list, DEAD);
EVIL(wrong_op, STATFS, do_statfs, DEAD);
EVIL(no_such_op, STATFS, do_statfs, DEAD);
EVIL(wrong_tag, STATFS, do_statfs, DEAD);
EVIL(wrong_slot, STATFS, do_statfs, DEAD);
EVIL(no_flags, STATFS, do_statfs, DEAD);
EVIL(push_with_tag, STATFS, do_statfs, DEAD);
EVIL(cut_header, STATFS, do_statfs, LOST);
EVIL(cut_body, STATFS, do_statfs, LOST);
EVIL(twice, STATFS, do_statfs, DEAD);
EVIL(garbage, STATFS, do_statfs, DEAD);
EVIL(zeros, STATFS, do_statfs, DEAD);
EVIL(push_beyond, STATFS, do_statfs, DEAD);
EVIL(push_large, STATFS, do_statfs, DEAD);
EVIL(pushes, STATFS, do_statfs, CALM);
EVIL(odd_status, STATFS, do_statfs, EIO);

EVIL(nothing, LOCK, do_lock, 0);
EVIL(parked, LOCK, do_lock, 0);
EVIL(parked_only, STATFS, do_statfs, DEAD);
EVIL(parked_long, LOCK, do_lock, DEAD);
EVIL(parked_twice, LOCK, do_lock, DEAD);
EVIL(result_of_nothing, STATFS, do_statfs, DEAD);
EVIL(result_of_another, LOCK, do_lock, DEAD);
EVIL(result_of_another_op, LOCK, do_lock, DEAD);
EVIL(result_twice, LOCK, do_lock, DEAD);
EVIL(result_short, LOCK, do_lock, DEAD);
EVIL(result_long, LOCK, do_lock, DEAD);
EVIL(result_with_tag, LOCK, do_lock, DEAD);
EVIL(nanoseconds, LOCK, do_lock, EPROTO);
EVIL(now_a_dir, LOCK, do_lock, ESTALE);
EVIL(lock_backwards, GETLOCK, do_test_lock, EPROTO);
EVIL(nothing, READ, do_read_fifo, 0);
EVIL(parked_read, READ, do_read_fifo, 0);
EVIL(result_with_payload, LOCK, do_lock, DEAD);
EVIL(result_payload_large, READ, do_read_fifo, DEAD);
EVIL(failed_with_payload, READ, do_read_fifo, DEAD);
EVIL(push_with_payload, STATFS, do_statfs, DEAD);
EVIL(brings_unasked, READ, do_read_fifo, 0);
EVIL(brings_unasked, READ, do_direct, 0);
EVIL(nothing, WRITE, do_write_fifo, 0);
EVIL(wrote_more, WRITE, do_write_fifo, EPROTO);
EVIL(wrote_nowhere, WRITE, do_write_fifo, EPROTO);
EVIL(wrote_beyond, WRITE, do_write_fifo, 0);
EVIL(body_short, WRITE, do_write_fifo, DEAD);
EVIL(payload_unasked, WRITE, do_write_fifo, DEAD);
EVIL(nothing, POLL, do_poll, 0);
EVIL(ready_nothing, STATFS, do_statfs, 0);
EVIL(ready_early, POLL, do_poll_read, 0);
EVIL(ready_flood, POLL, do_poll_read, 0);
EVIL(ready_for_nothing, POLL, do_poll, DEAD);
EVIL(ready_odd, POLL, do_poll, DEAD);
EVIL(ready_short, POLL, do_poll, DEAD);
EVIL(ready_long, POLL, do_poll, DEAD);
EVIL(level_odd, POLL, do_poll_read, 0);
EVIL(body_short, POLL, do_poll, DEAD);
EVIL(restart_status, STATFS, do_statfs, EIO);
EVIL(odd_type, LOOKUP, do_stat, EPROTO);
EVIL(no_type, LOOKUP, do_stat, EPROTO);
EVIL(mode_bits, LOOKUP, do_stat, EPROTO);
EVIL(nanoseconds, LOOKUP, do_stat, EPROTO);
EVIL(negative_size, LOOKUP, do_stat, EPROTO);
EVIL(no_node, LOOKUP, do_stat, EPROTO);
EVIL(all_ones_node, LOOKUP, do_stat, EPROTO);
EVIL(root_again, LOOKUP, do_stat, ESTALE);
EVIL(root_again, LOOKUP, do_fstat, CALM);
EVIL(no_links, LOOKUP, do_stat, CALM);
EVIL(odd_ids, LOOKUP, do_stat, CALM);
EVIL(odd_device, LOOKUP, do_stat, CALM);
EVIL(odd_blksize, LOOKUP, do_stat, CALM);
EVIL(now_a_file, ACCESS, do_fstat, ESTALE);
EVIL(now_a_file, OPEN, do_fstat, ESTALE);
EVIL(now_a_dir, OPEN, do_cat, ESTALE);
EVIL(nanoseconds, OPEN, do_cat, EPROTO);
EVIL(read_lies, READ, do_direct, EPROTO);
EVIL(read_lies, READ, do_cat, CALM);
EVIL(read_stops, READ, do_cat, EIO);	/* not zeros for the rest */
EVIL(read_stops, READ, do_patch, EIO);
EVIL(link_with_nul, READLINK, do_readlink, CALM);
EVIL(link_empty, READLINK, do_readlink, EPROTO);
EVIL(mode_bits, LOOKUP, do_lstat_link, EPROTO);

EVIL(nothing, NODE, do_enter, 0);
EVIL(now_a_file, NODE, do_enter, ESTALE);
EVIL(begins_none, NODE, do_enter, ESTALE);
EVIL(begins_another, NODE, do_enter, CALM);
EVIL(root_again, NODE, do_enter, EPROTO);
EVIL(no_node, NODE, do_enter, EPROTO);
EVIL(nanoseconds, NODE, do_enter, EPROTO);
EVIL(begins_a_mount, LOOKUP, do_enter_dir, ESTALE);
EVIL(begins_a_mount, LOOKUP, do_enter, CALM);
EVIL(mounts_flood, STATFS, do_statfs, 0);
EVIL(mounts_short, STATFS, do_statfs, DEAD);
EVIL(mounts_long, STATFS, do_statfs, DEAD);

EVIL(nothing, GETFLAGS, do_flags, 0);
EVIL(flags_none, GETFLAGS, do_flags, ENOTTY);
EVIL(nanoseconds, SETFLAGS, do_flags, EPROTO);
EVIL(now_a_dir, SETFLAGS, do_flags, ESTALE);
EVIL(nothing, FIEMAP, do_fiemap, 0);
EVIL(extents_backwards, FIEMAP, do_fiemap, EPROTO);
EVIL(extents_empty, FIEMAP, do_fiemap, EPROTO);
EVIL(extents_beyond, FIEMAP, do_fiemap, EPROTO);
EVIL(extents_again, FIEMAP, do_fiemap, EPROTO);
EVIL(extents_reserved, FIEMAP, do_fiemap, EPROTO);
EVIL(extents_fewer, FIEMAP, do_fiemap, EPROTO);
EVIL(extents_lie, FIEMAP, do_fiemap, EPROTO);
EVIL(nothing, DEDUPE, do_dedupe, 0);
EVIL(dedupe_differs, DEDUPE, do_dedupe, 202);
EVIL(dedupe_more, DEDUPE, do_dedupe, EPROTO);

EVIL(name_slash, READDIR, do_list, EPROTO);
EVIL(name_nul, READDIR, do_list, EPROTO);
EVIL(name_dot, READDIR, do_list, EPROTO);
EVIL(name_dots, READDIR, do_list, EPROTO);
EVIL(name_empty, READDIR, do_list, EPROTO);
EVIL(name_long, READDIR, do_list, EPROTO);
EVIL(name_beyond, READDIR, do_list, EPROTO);
EVIL(list_empty_no_end, READDIR, do_list, EPROTO);
EVIL(list_for_ever, READDIR, do_list, ENDLESS);

TEST_HARNESS_MAIN
