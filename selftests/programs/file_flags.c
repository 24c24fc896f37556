// SPDX-License-Identifier: GPL-2.0
/*
 * What ioctl(2) and statx(2) tell of a file and set: inode flags, project ids,
 * the generation, extents, alignments. The program describes a file in words,
 * here and, run on the host with QTFS_SHOW, there: both have to say the same.
 */
#define _GNU_SOURCE
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>

#include "common.h"

#define EXTENTS 300

static char here_says[65536], there_says[65536];

static int get_flags(int fd)
{
	int flags = 0;

	return ioctl(fd, FS_IOC_GETFLAGS, &flags) ? -1 : flags;
}

static int set_flags(int fd, int flags)
{
	return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* On which ioctl is used, by path: 0 or the error number. */
static int change_flags(const char *path, int set, int clear)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK), flags, err;

	if (fd < 0)
		return errno;
	flags = get_flags(fd);
	err = flags < 0 ? errno :
	      errno_of(set_flags(fd, (flags | set) & ~clear));
	close(fd);
	return err;
}

static struct fiemap *extents_of(int fd, unsigned int room, unsigned int flags)
{
	struct fiemap *map = calloc(1, sizeof(*map) +
				    room * sizeof(map->fm_extents[0]));

	map->fm_length = FIEMAP_MAX_OFFSET;
	map->fm_flags = flags;
	map->fm_extent_count = room;
	if (!ioctl(fd, FS_IOC_FIEMAP, map))
		return map;
	free(map);
	return NULL;
}

static int describe(const char *path, FILE *out)
{
	const unsigned long long vfs = STATX_ATTR_AUTOMOUNT | STATX_ATTR_DAX |
				       STATX_ATTR_MOUNT_ROOT | 0x00400000;
	int fd = open(path, O_RDONLY | O_NONBLOCK), generation = 0;
	struct fsxattr x = {};
	struct fiemap *map;
	struct statx st;
	unsigned int i;

	if (fd < 0)
		return -1;
	fprintf(out, "flags %x\n", get_flags(fd));
	if (!ioctl(fd, FS_IOC_FSGETXATTR, &x))
		fprintf(out, "xflags %x extsize %u nextents %u projid %u cow %u\n",
			x.fsx_xflags, x.fsx_extsize, x.fsx_nextents,
			x.fsx_projid, x.fsx_cowextsize);
	if (!ioctl(fd, FS_IOC_GETVERSION, &generation))
		fprintf(out, "generation %d\n", generation);
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC,
		  STATX_BASIC_STATS | STATX_BTIME | STATX_DIOALIGN, &st))
		return -1;
	fprintf(out, "attributes %llx of %llx, mask %x\n",
		(unsigned long long)st.stx_attributes & ~vfs,
		(unsigned long long)st.stx_attributes_mask & ~vfs,
		st.stx_mask & (STATX_BASIC_STATS | STATX_BTIME | STATX_DIOALIGN));
	fprintf(out, "born %lld.%09u, direct I/O %u %u\n",
		(long long)st.stx_btime.tv_sec, st.stx_btime.tv_nsec,
		st.stx_dio_mem_align, st.stx_dio_offset_align);
	map = extents_of(fd, EXTENTS + 10, 0);
	for (i = 0; map && i < map->fm_mapped_extents; i++)
		fprintf(out, "extent %llx %llx %llx %x\n",
			map->fm_extents[i].fe_logical,
			map->fm_extents[i].fe_physical,
			map->fm_extents[i].fe_length,
			map->fm_extents[i].fe_flags);
	free(map);
	close(fd);
	return 0;
}

/* Before main(), which is the harness's. */
static void __attribute__((constructor)) show(void)
{
	const char *path = getenv("QTFS_SHOW");

	if (path)
		exit(describe(path, stdout) ? 1 : 0);
}

/* Whether both ends describe the file @name alike. */
static bool same_there(const char *srv, const char *name)
{
	FILE *out = fmemopen(here_says, sizeof(here_says) - 1, "w");
	char exe[256] = {};
	size_t len;

	if (describe(name, out))
		fprintf(out, "%m\n");
	fclose(out);
	len = strlen(here_says);
	while (len && here_says[len - 1] == '\n')
		here_says[--len] = 0;
	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0)
		return false;
	on_host(there_says, sizeof(there_says), "QTFS_SHOW=%s/%s %s", srv, name,
		exe);
	return *here_says && !strcmp(here_says, there_says);
}

#define EXPECT_SAME(name)						\
	EXPECT_TRUE(same_there(self->srv, name))			\
		TH_LOG("here:\n%s\nthere:\n%s", here_says, there_says)

/* Like `tree`, whose folder would not go with immutable files in it. */
FIXTURE(flags)
{
	char srv[64];
};

FIXTURE_SETUP(flags)
{
	char here[160];

	snprintf(self->srv, sizeof(self->srv), "/srv/file_flags.%d", getpid());
	ASSERT_EQ(0, on_host(NULL, 0, "mkdir -m 755 %s", self->srv))
		TH_LOG("no host to talk to");
	snprintf(here, sizeof(here), "%s%s", mount_point(), self->srv);
	ASSERT_EQ(0, chdir(here)) TH_LOG("%m");
}

FIXTURE_TEARDOWN(flags)
{
	if (chdir("/"))
		TH_LOG("%m");
	on_host(NULL, 0, "chattr -R -f -i -a %s; rm -rf %s", self->srv,
		self->srv);
}

static int make(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -1;
	return fd;
}

TEST_F(flags, both_ends_tell_the_same)
{
	int fd = make("f", "contents");

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fsync(fd));
	EXPECT_SAME("f");
	EXPECT_EQ(0, change_flags("f", FS_NODUMP_FL | FS_NOATIME_FL, 0));
	EXPECT_SAME("f");
	EXPECT_EQ(0, on_host(NULL, 0, "lsattr %s/f | grep -q '^[^ ]*d.*A'",
			     self->srv));
	EXPECT_EQ(0, on_host(NULL, 0, "chattr -A %s/f", self->srv));
	EXPECT_SAME("f");
	EXPECT_EQ(FS_NODUMP_FL, get_flags(fd) & (FS_NODUMP_FL | FS_NOATIME_FL));
	/* Nothing else changed, and what makes no sense is not done. */
	EXPECT_EQ(EOPNOTSUPP, change_flags("f", FS_NOCOW_FL, 0));
	ASSERT_EQ(0, mkdir("d", 0755));
	EXPECT_EQ(0, change_flags("d", FS_DIRSYNC_FL | FS_NODUMP_FL, 0));
	EXPECT_SAME("d");
	close(fd);
}

TEST_F(flags, extended_ones)
{
	int fd = make("f", "contents"), err;
	struct fsxattr x = {};
	char said[512];

	ASSERT_EQ(0, ioctl(fd, FS_IOC_FSGETXATTR, &x)) TH_LOG("%m");
	x.fsx_xflags |= FS_XFLAG_NODUMP;
	ASSERT_EQ(0, ioctl(fd, FS_IOC_FSSETXATTR, &x)) TH_LOG("%m");
	EXPECT_SAME("f");
	/* A project, where the filesystem has such. */
	x.fsx_projid = 4711;
	err = errno_of(ioctl(fd, FS_IOC_FSSETXATTR, &x));
	on_host(said, sizeof(said), "chattr -p 4711 %s/f && lsattr -p %s/f",
		self->srv, self->srv);
	EXPECT_EQ(!err, strstr(said, "4711 ") != NULL) TH_LOG("%s", said);
	if (err)
		EXPECT_EQ(EOPNOTSUPP, err);
	EXPECT_SAME("f");
	close(fd);
}

TEST_F(flags, immutable_means_immutable)
{
	int fd = make("f", "before"), status;
	char text[32];
	pid_t pid;
	char *map;

	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* What was written before arrives. */
	ASSERT_EQ(5, pwrite(fd, "after", 5, 1));
	ASSERT_EQ(0, change_flags("f", FS_IMMUTABLE_FL, 0));
	ASSERT_EQ(0, on_host(text, sizeof(text), "cat %s/f", self->srv));
	EXPECT_STREQ("bafter", text);
	EXPECT_SAME("f");
	EXPECT_EQ(EPERM, errno_of(pwrite(fd, "x", 1, 0)));
	EXPECT_EQ(EPERM, errno_of(open("f", O_WRONLY)));
	EXPECT_EQ(EPERM, errno_of(unlink("f")));
	EXPECT_EQ(EPERM, errno_of(rename("f", "g")));
	EXPECT_EQ(EPERM, errno_of(link("f", "g")));
	EXPECT_EQ(EPERM, errno_of(chmod("f", 0600)));
	EXPECT_EQ(EPERM, errno_of(ftruncate(fd, 0)));
	EXPECT_NE(0, on_host(NULL, 0, "echo x >%s/f", self->srv));
	pid = fork();
	if (!pid) {
		prctl(PR_SET_DUMPABLE, 0);
		*map = 'x';
		_exit(0);
	}
	waitpid(pid, &status, 0);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS)
		TH_LOG("status %x", status);
	/* And no longer, at once, when the server says so. */
	ASSERT_EQ(0, on_host(NULL, 0, "chattr -i %s/f", self->srv));
	EXPECT_EQ(1, pwrite(fd, "x", 1, 0)) TH_LOG("%m");
	*map = 'y';
	munmap(map, 4096);
	EXPECT_EQ(0, close(fd)) TH_LOG("%m");
	ASSERT_EQ(0, on_host(text, sizeof(text), "cat %s/f", self->srv));
	EXPECT_STREQ("yafter", text);
}

TEST_F(flags, append_only)
{
	int fd = make("f", "one");
	char text[32];

	close(fd);
	ASSERT_EQ(0, on_host(NULL, 0, "chattr +a %s/f", self->srv));
	EXPECT_EQ(EPERM, errno_of(open("f", O_WRONLY)));
	EXPECT_EQ(EPERM, errno_of(open("f", O_WRONLY | O_APPEND | O_TRUNC)));
	fd = open("f", O_WRONLY | O_APPEND);
	ASSERT_LE(0, fd) TH_LOG("%m");
	EXPECT_EQ(3, write(fd, "two", 3)) TH_LOG("%m");
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(EPERM, errno_of(truncate("f", 0)));
	EXPECT_EQ(EPERM, errno_of(unlink("f")));
	ASSERT_EQ(0, on_host(text, sizeof(text), "cat %s/f", self->srv));
	EXPECT_STREQ("onetwo", text);

	/* Not elsewhere than at the end by any other way. */
	fd = open("f", O_RDWR | O_APPEND);
	ASSERT_LE(0, fd) TH_LOG("%m");
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 6, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	EXPECT_EQ(EACCES, errno);
	if (!fcntl(fd, F_SETFL, 0)) {
		EXPECT_EQ(EPERM, errno_of(pwrite(fd, "x", 1, 0)));
	}
	EXPECT_EQ(0, close(fd));
	ASSERT_EQ(0, on_host(text, sizeof(text), "cat %s/f", self->srv));
	EXPECT_STREQ("onetwo", text);
	EXPECT_EQ(0, change_flags("f", 0, FS_APPEND_FL));
	EXPECT_EQ(0, unlink("f"));
}

/* Who had it open before may write anywhere; who opens it now does not get in between. */
TEST_F(flags, append_only_from_now_on)
{
	int before = make("f", "one"), after;
	char text[32];

	ASSERT_EQ(1, pwrite(before, "O", 1, 0));
	ASSERT_EQ(0, on_host(NULL, 0, "chattr +a %s/f", self->srv));
	after = open("f", O_WRONLY | O_APPEND);
	ASSERT_LE(0, after) TH_LOG("%m");
	ASSERT_EQ(1, pwrite(before, "N", 1, 1)) TH_LOG("%m");
	EXPECT_EQ(0, errno_of(fsync(after)));
	EXPECT_EQ(0, close(after));
	ASSERT_EQ(1, pwrite(before, "E", 1, 2)) TH_LOG("%m");
	EXPECT_EQ(0, close(before));
	ASSERT_EQ(0, on_host(text, sizeof(text), "cat %s/f", self->srv));
	EXPECT_STREQ("ONE", text);
	EXPECT_EQ(0, change_flags("f", 0, FS_APPEND_FL));
}

/* The same as uid 1000: the error number of adding @flag to @name. */
static int change_as_user(const char *name, int flag)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (setgid(1000) || setuid(1000))
			_exit(255);
		_exit(change_flags(name, flag, 0));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(flags, who_may)
{
	close(make("roots", ""));
	close(make("users", ""));
	ASSERT_EQ(0, chown("users", 1000, 1000));
	EXPECT_EQ(EPERM, change_as_user("roots", FS_NODUMP_FL));
	EXPECT_EQ(0, change_as_user("users", FS_NODUMP_FL));
	EXPECT_EQ(EPERM, change_as_user("users", FS_IMMUTABLE_FL));
	EXPECT_SAME("roots");
	EXPECT_SAME("users");
}

TEST_F(flags, there_are_none)
{
	char path[256];
	int fd, flags;

	snprintf(path, sizeof(path), "%s/proc/version", mount_point());
	fd = open(path, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(ENOTTY, errno_of(ioctl(fd, FS_IOC_GETFLAGS, &flags)));
	EXPECT_EQ(ENOTTY, errno_of(ioctl(fd, FS_IOC_GETVERSION, &flags)));
	close(fd);
	fd = make("f", "");
	EXPECT_EQ(ENOTTY, errno_of(ioctl(fd, 0x12345678, &flags)));
	close(fd);
}

TEST_F(flags, extents)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644), i;
	struct fiemap *map;
	char block[4096];

	memset(block, 'x', sizeof(block));
	for (i = 0; i < EXTENTS; i++)
		ASSERT_EQ(4096, pwrite(fd, block, 4096, i * 8192ll));
	/* More than one request's worth; written before it is told of. */
	map = extents_of(fd, EXTENTS + 10, FIEMAP_FLAG_SYNC);
	ASSERT_NE(NULL, map) TH_LOG("%m");
	ASSERT_EQ(EXTENTS, map->fm_mapped_extents);
	for (i = 0; i < EXTENTS; i++) {
		ASSERT_EQ(i * 8192ull, map->fm_extents[i].fe_logical);
		ASSERT_EQ(i == EXTENTS - 1 ? FIEMAP_EXTENT_LAST : 0,
			  map->fm_extents[i].fe_flags &
			  (FIEMAP_EXTENT_LAST | FIEMAP_EXTENT_DELALLOC));
	}
	free(map);
	EXPECT_SAME("f");
	map = extents_of(fd, 0, 0);	/* counted only */
	EXPECT_EQ(EXTENTS, map->fm_mapped_extents);
	free(map);
	map = extents_of(fd, 130, 0);
	EXPECT_EQ(130, map->fm_mapped_extents);
	EXPECT_EQ(129 * 8192ull, map->fm_extents[129].fe_logical);
	free(map);
	map = calloc(1, sizeof(*map) + 4 * sizeof(map->fm_extents[0]));
	map->fm_extent_count = 4;
	map->fm_start = 100 * 8192 + 4096;	/* in a hole */
	map->fm_length = 8192;
	ASSERT_EQ(0, ioctl(fd, FS_IOC_FIEMAP, map));
	EXPECT_EQ(1, map->fm_mapped_extents);
	EXPECT_EQ(101 * 8192ull, map->fm_extents[0].fe_logical);
	map->fm_length = 0;
	EXPECT_EQ(EINVAL, errno_of(ioctl(fd, FS_IOC_FIEMAP, map)));
	map->fm_length = 1;
	map->fm_flags = 0x40;
	EXPECT_EQ(EBADR, errno_of(ioctl(fd, FS_IOC_FIEMAP, map)));
	EXPECT_EQ(0x40, map->fm_flags);
	free(map);
	close(fd);
}

TEST_F(flags, ext4_shares_nothing)
{
	struct {
		struct file_dedupe_range range;
		struct file_dedupe_range_info to;
	} job = {
		.range = { .src_length = 4096, .dest_count = 1 },
		.to.dest_fd = make("g", "same"),
	};
	int fd = make("f", "same");

	ASSERT_EQ(0, ftruncate(fd, 4096));
	ASSERT_EQ(0, ftruncate(job.to.dest_fd, 4096));
	ASSERT_EQ(0, ioctl(fd, FIDEDUPERANGE, &job));
	EXPECT_EQ(-EOPNOTSUPP, job.to.status);
	close(job.to.dest_fd);
	close(fd);
}

TEST_HARNESS_MAIN
