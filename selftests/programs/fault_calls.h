/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One of each call that a filesystem gets, to be made where things go wrong.
 * Each has files of its own in the current directory.
 */
#ifndef QTFS_SELFTEST_FAULT_CALLS_H
#define QTFS_SELFTEST_FAULT_CALLS_H

#include "common.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#define CALL_FILE_SIZE 262144	/* more than an open brings along */

/* What a call works on. */
struct place {
	char file[16];		/* of CALL_FILE_SIZE bytes */
	char dir[16];		/* empty */
	char link[16];		/* to nowhere */
	char fifo[16];
	char new[16];		/* not there */
	char root[200];		/* of the mount, which is the server's / */
	int fd;
	int pipe[2];
	unsigned char *map;	/* of @fd */
	unsigned char *buf;	/* of a page, aligned */
	struct file_handle *handle;
};

/* Before: what is open when the call is made. */

static inline int before_none(struct place *p)
{
	return 0;
}

static inline int opened(struct place *p, const char *name, int flags)
{
	p->fd = open(name, flags | O_CLOEXEC, 0644);
	return p->fd < 0 ? -1 : 0;
}

static inline int before_read(struct place *p)	 { return opened(p, p->file, O_RDONLY); }
static inline int before_write(struct place *p)	 { return opened(p, p->file, O_RDWR); }
static inline int before_append(struct place *p) { return opened(p, p->file, O_WRONLY | O_APPEND); }
static inline int before_direct(struct place *p) { return opened(p, p->file, O_RDWR | O_DIRECT); }
static inline int before_dir(struct place *p)	 { return opened(p, p->dir, O_RDONLY | O_DIRECTORY); }
static inline int before_fifo(struct place *p)	 { return opened(p, p->fifo, O_RDWR); }

static inline int before_dirty(struct place *p)
{
	return before_write(p) ||
	       pwrite(p->fd, p->buf, 4096, 0) != 4096 ? -1 : 0;
}

static inline int before_map(struct place *p)
{
	if (before_write(p))
		return -1;
	p->map = mmap(NULL, CALL_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	return p->map == MAP_FAILED ? -1 : 0;
}

static inline int before_locked(struct place *p)
{
	return before_write(p) || flock(p->fd, LOCK_EX) ? -1 : 0;
}

static inline int before_full(struct place *p)
{
	if (before_fifo(p) || fcntl(p->fd, F_SETFL, O_NONBLOCK))
		return -1;
	while (write(p->fd, p->buf, 4096) > 0)
		;
	return fcntl(p->fd, F_SETFL, 0);
}

static inline int call_handle(struct place *p)
{
	int mount;

	p->handle = calloc(1, sizeof(*p->handle) + MAX_HANDLE_SZ);
	p->handle->handle_bytes = MAX_HANDLE_SZ;
	return name_to_handle_at(AT_FDCWD, p->file, p->handle, &mount, 0);
}

static inline int before_handle(struct place *p)
{
	return opened(p, p->root, O_RDONLY | O_DIRECTORY) || call_handle(p);
}

static inline int before_proc(struct place *p)
{
	char name[256];

	snprintf(name, sizeof(name), "%s/proc/loadavg", p->root);
	return opened(p, name, O_RDONLY);
}

/* Calls that are more than one line. */

static inline int call_getdents(struct place *p)
{
	long n;

	/* The first has "." and "..", at least. */
	do
		n = syscall(SYS_getdents64, p->fd, p->buf, 4096);
	while (n > 0);
	return n;
}

static inline int call_lock(struct place *p, int how)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };

	return fcntl(p->fd, how, &lock);
}

static inline int call_fiemap(struct place *p)
{
	struct fiemap map = { .fm_length = ~0ull, .fm_flags = FIEMAP_FLAG_SYNC };

	return ioctl(p->fd, FS_IOC_FIEMAP, &map);
}

static inline int call_getflags(struct place *p)
{
	int flags;

	return ioctl(p->fd, FS_IOC_GETFLAGS, &flags);
}

static inline int call_poll(struct place *p)
{
	struct pollfd pfd = { .fd = p->fd, .events = POLLIN };

	if (poll(&pfd, 1, -1) < 0)
		return -1;
	errno = EIO;
	return pfd.revents & POLLERR ? -1 : 0;
}

static inline int call_map_read(struct place *p)
{
	*(volatile unsigned char *)&p->buf[0] = p->map[CALL_FILE_SIZE - 1];
	return 0;
}

static inline int call_map_write(struct place *p)
{
	p->map[CALL_FILE_SIZE - 1] = 1;
	return msync(p->map, CALL_FILE_SIZE, MS_SYNC);
}

static inline int call_copy(struct place *p)
{
	loff_t from = 0, to = 32768;

	return copy_file_range(p->fd, &from, p->fd, &to, 4096, 0);
}

static inline int call_statx(struct place *p)
{
	struct statx stx;

	return statx(AT_FDCWD, p->file, AT_STATX_FORCE_SYNC, STATX_ALL, &stx);
}

static inline int call_exec(struct place *p)
{
	char *argv[] = { p->file, NULL };

	return execv(p->file, argv);	/* it is no program */
}

static inline int call_write_close(struct place *p)
{
	return pwrite(p->fd, p->buf, 4096, 8192) < 0 ? -1 : close(p->fd);
}

/*
 * X(name, what is open, the call). "leave" is killed with what it wrote before
 * still in the cache.
 */
#define FAULT_CALLS(X)								\
	X(access,	none,	access(p->file, W_OK))				\
	X(append,	append,	write(p->fd, p->buf, 100))			\
	X(by_handle,	handle,	open_by_handle_at(p->fd, p->handle, O_RDONLY))	\
	X(chdir,	none,	chdir(p->dir))					\
	X(chmod,	none,	chmod(p->file, 0600))				\
	X(chown,	none,	lchown(p->file, 0, 0))				\
	X(clone,	write,	ioctl(p->fd, FICLONE, p->fd))			\
	X(close,	write,	call_write_close(p))				\
	X(copy,		write,	call_copy(p))					\
	X(create,	none,	open(p->new, O_CREAT | O_EXCL | O_RDWR, 0644))	\
	X(direct_read,	direct,	pread(p->fd, p->buf, 4096, 4096))		\
	X(direct_write,	direct,	pwrite(p->fd, p->buf, 4096, 4096))		\
	X(exchange,	none,	renameat2(AT_FDCWD, p->file, AT_FDCWD, p->dir, RENAME_EXCHANGE)) \
	X(exec,		none,	call_exec(p))					\
	X(fallocate,	write,	fallocate(p->fd, 0, 0, 2 * CALL_FILE_SIZE))	\
	X(fiemap,	read,	call_fiemap(p))					\
	X(fifo_close,	fifo,	close(p->fd))					\
	X(fifo_open,	none,	open(p->fifo, O_RDONLY))			\
	X(fifo_poll,	fifo,	call_poll(p))					\
	X(fifo_read,	fifo,	read(p->fd, p->buf, 1))				\
	X(fifo_write,	full,	write(p->fd, p->buf, 4096))			\
	X(flock,	write,	flock(p->fd, LOCK_EX))				\
	X(fsync,	dirty,	fsync(p->fd))					\
	X(ftruncate,	write,	ftruncate(p->fd, 100))				\
	X(getflags,	read,	call_getflags(p))				\
	X(getlock,	write,	call_lock(p, F_GETLK))				\
	X(getxattr,	none,	getxattr(p->file, "user.a", p->buf, 100))	\
	X(handle,	none,	call_handle(p))					\
	X(leave,	dirty,	pause())					\
	X(link,		none,	link(p->file, p->new))				\
	X(list,		dir,	call_getdents(p))				\
	X(listxattr,	none,	listxattr(p->file, (char *)p->buf, 100))	\
	X(lock,		write,	call_lock(p, F_SETLKW))				\
	X(map_read,	map,	call_map_read(p))				\
	X(map_write,	map,	call_map_write(p))				\
	X(mkdir,	none,	mkdir(p->new, 0755))				\
	X(mknod,	none,	mkfifo(p->new, 0644))				\
	X(ofd_lock,	write,	call_lock(p, F_OFD_SETLKW))			\
	X(open,		none,	open(p->file, O_RDONLY))			\
	X(open_trunc,	none,	open(p->file, O_WRONLY | O_TRUNC))		\
	X(proc_read,	proc,	read(p->fd, p->buf, 100))			\
	X(punch,	write,	fallocate(p->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096)) \
	X(read,		read,	pread(p->fd, p->buf, 4096, CALL_FILE_SIZE / 2))		\
	X(readlink,	none,	readlink(p->link, (char *)p->buf, 100))		\
	X(removexattr,	none,	removexattr(p->file, "user.a"))			\
	X(rename,	none,	rename(p->file, p->new))			\
	X(rmdir,	none,	rmdir(p->dir))					\
	X(seek,		read,	lseek(p->fd, 0, SEEK_HOLE))			\
	X(sendfile,	read,	sendfile(p->pipe[1], p->fd, NULL, 4096))	\
	X(setxattr,	none,	setxattr(p->file, "user.b", "x", 1, 0))		\
	X(splice,	read,	splice(p->fd, NULL, p->pipe[1], NULL, 4096, 0))	\
	X(stat,		none,	call_statx(p))					\
	X(statfs,	none,	statfs(".", (struct statfs *)p->buf))		\
	X(symlink,	none,	symlink("x", p->new))				\
	X(syncfs,	dirty,	syncfs(p->fd))					\
	X(tmpfile,	none,	open(".", O_TMPFILE | O_RDWR, 0644))		\
	X(truncate,	none,	truncate(p->file, 100))				\
	X(unlink,	none,	unlink(p->file))				\
	X(unlock,	locked,	flock(p->fd, LOCK_UN))				\
	X(utimens,	none,	utimensat(AT_FDCWD, p->file, NULL, 0))		\
	X(write,	write,	pwrite(p->fd, p->buf, 4096, 8192) < 0 ? -1 : fsync(p->fd))

struct fault_call {
	char name[16];
	int (*before)(struct place *p);
	int (*call)(struct place *p);
};

#define X(name, before, expr) \
	static int fault_##name(struct place *p) { return (expr) < 0 ? -1 : 0; }
FAULT_CALLS(X)
#undef X

static const struct fault_call fault_calls[] = {
#define X(name, before, expr) { #name, before_##before, fault_##name },
	FAULT_CALLS(X)
#undef X
};

#endif /* QTFS_SELFTEST_FAULT_CALLS_H */
