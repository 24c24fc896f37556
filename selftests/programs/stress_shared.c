// SPDX-License-Identifier: GPL-2.0
/*
 * Two mounts of one tree and processes of the server work on the same names:
 * only errors that such races explain, and no file with mixed contents.
 */
#include "common.h"

#define ROUNDS 60
#define NAMES 6
#define SIZE 9000

static char second[64];

static bool explained(int err)
{
	return !err || err == ENOENT || err == EEXIST || err == ENOTEMPTY ||
	       err == ESTALE || err == EISDIR || err == ENOTDIR;
}

/* A whole file appears by rename, so that whoever opens it finds it whole. */
static int publish(int w, int round, const char *name)
{
	unsigned char buf[SIZE];
	char tmp[32];
	int fd, err;

	snprintf(tmp, sizeof(tmp), "tmp%d", w);
	memset(buf, 'a' + (w + round) % 26, SIZE);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		return errno;
	err = write(fd, buf, SIZE) == SIZE ? 0 : errno;
	return close(fd) ? errno : err ?: errno_of(rename(tmp, name));
}

static int check(const char *name)
{
	unsigned char buf[SIZE + 1];
	int fd = open(name, O_RDONLY), i, err;
	ssize_t n;

	if (fd < 0)
		return errno;
	n = read(fd, buf, sizeof(buf));
	err = n < 0 ? errno : 0;
	close(fd);
	if (err)
		return err;
	for (i = 1; i < n && buf[i] == buf[0]; i++)
		;
	if (n == SIZE && i == n)
		return 0;
	printf("# %s: %zd bytes, the same up to %d\n", name, n, i);
	return EUCLEAN;
}

static int work(int w, const char *srv)
{
	unsigned int seed = w;
	int round, err = 0;
	char a[32], b[32];

	if (chdir(w % 2 ? second : mount_point()) || chdir(srv + 1))
		return 1;
	for (round = 0; round < ROUNDS; round++) {
		snprintf(a, sizeof(a), "n%d", rand_r(&seed) % NAMES);
		snprintf(b, sizeof(b), "n%d", rand_r(&seed) % NAMES);
		switch (rand_r(&seed) % 6) {
		case 0:
			err = publish(w, round, a);
			break;
		case 1:
			err = errno_of(unlink(a));
			break;
		case 2:
			err = errno_of(rename(a, b));
			break;
		case 3:
			err = errno_of(link(a, b));
			break;
		default:
			err = check(a);
		}
		if (!explained(err)) {
			errno = err;
			printf("# worker %d round %d: %m\n", w, round);
			return 1;
		}
	}
	return 0;
}

#define SERVER "cd %s; for i in $(seq 30); do head -c 9000 /dev/zero | tr '\\0' z >tmps; mv tmps n$((i %% 6)); rm -f n$(((i + 3) %% 6)); mv -f n$(((i + 1) %% 6)) n$(((i + 2) %% 6)) 2>/dev/null; done; true"

TEST_F_TIMEOUT(tree, two_mounts_and_the_server, 280)
{
	char here[256], there[256];
	int w, status, bad = 0;
	pid_t pid[5];

	strcpy(second, "/tmp/second.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(second));
	ASSERT_EQ(0, shell(here, sizeof(here), "mount -t qtfs / %s", second))
		TH_LOG("%s", here);
	for (w = 0; w < 4; w++) {
		pid[w] = fork();
		if (!pid[w])
			_exit(work(w, self->srv));
	}
	pid[4] = fork();
	if (!pid[4])
		_exit(on_host(NULL, 0, SERVER, self->srv));
	for (w = 0; w < 5; w++) {
		ASSERT_EQ(pid[w], waitpid(pid[w], &status, 0));
		bad += status != 0;
	}
	EXPECT_EQ(0, bad);

	/* When all is quiet, each mount shows what the server has. */
	on_host(there, sizeof(there), "cd %s; sha256sum n* | sha256sum", self->srv);
	for (w = 0; w < 2; w++) {
		double end = now() + 40;

		do {
			shell(here, sizeof(here), "cd %s%s; sha256sum n* | sha256sum",
			      w ? second : mount_point(), self->srv);
		} while (strcmp(here, there) && now() < end);
		EXPECT_STREQ(there, here);
	}
	EXPECT_EQ(0, shell(NULL, 0, "umount %s", second));
	rmdir(second);
}

TEST_HARNESS_MAIN
