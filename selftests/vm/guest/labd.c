// SPDX-License-Identifier: GPL-2.0
/*
 * The agent of a test VM: PID 1 there, runs commands for others.
 *
 *   labd serve SETUP		run SETUP, then serve as PID 1
 *   on-host COMMAND...		(another name of labd) run COMMAND on the host
 *
 * A link is a serial port (of virtio, or of user-mode Linux) to the machine that
 * runs the VM, or a TCP connection of another VM. It carries frames: struct head
 * and its bytes. The caller sends START, then STDIN (of no bytes at the end of
 * input); the server answers STDOUT and STDERR, at last EXIT. A serial link then
 * takes the next command; a TCP link is for one. A caller that goes away takes
 * its command with it.
 *
 * On a port that is a terminal the server first says READY, once it is in raw
 * mode; the caller waits for that.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define PORT		7
#define HOST_FILE	"/run/lab/host"	/* address of the host's agent */
#define CHUNK		65536
#define WORDS_MAX	1024

enum frame { START = 1, STDIN, WINSIZE, STDOUT, STDERR, EXIT, READY };

struct head {
	uint32_t type;
	uint32_t len;
};

/* A command, as START states it. */
struct start {
	bool tty;
	struct winsize size;
	char *cwd;
	char *env[WORDS_MAX];
	char *argv[WORDS_MAX];
};

/* A running command and the link of its caller. */
struct job {
	int link;
	pid_t pid;
	int pidfd;
	int in, out, err;	/* our ends; -1 when closed */
	bool tty;
	char input[CHUNK];	/* not yet taken by the command */
	size_t input_at, input_len;
};

static void die(const char *what)
{
	perror(what);
	exit(255);
}

static bool read_all(int fd, void *to, size_t len)
{
	char *at = to;

	while (len) {
		ssize_t n = read(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= n;
	}
	return true;
}

static bool write_all(int fd, const void *from, size_t len)
{
	const char *at = from;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		at += n;
		len -= n;
	}
	return true;
}

static bool send_frame(int fd, enum frame type, const void *from, size_t len)
{
	static char buf[sizeof(struct head) + CHUNK];
	struct head head = { type, len };

	memcpy(buf, &head, sizeof(head));
	memcpy(buf + sizeof(head), from, len);
	return write_all(fd, buf, sizeof(head) + len);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Words end in NUL: tty size, directory, NAME=VALUE..., "", ARGUMENT... */
static bool parse_start(struct start *start, char *buf, size_t len)
{
	char *at = buf, *end = buf + len;
	char **list = start->env;
	int n = 0;

	memset(start, 0, sizeof(*start));
	if (!len || end[-1])
		return false;
	start->tty = sscanf(at, "%hux%hu", &start->size.ws_row,
			    &start->size.ws_col) == 2;
	at += strlen(at) + 1;
	start->cwd = at;
	for (at += strlen(at) + 1; at < end; at += strlen(at) + 1) {
		if (!*at && list == start->env) {
			list = start->argv;
			n = 0;
		} else if (n < WORDS_MAX - 1) {
			list[n++] = at;
		} else {
			return false;
		}
	}
	return start->argv[0];
}

static void exec_command(struct start *start)
{
	sigset_t none;
	int i;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	for (i = 0; start->env[i]; i++)
		putenv(start->env[i]);
	if (chdir(start->cwd))
		fprintf(stderr, "labd: %s: %s\n", start->cwd, strerror(errno));
	execvp(start->argv[0], start->argv);
	fprintf(stderr, "labd: %s: %s\n", start->argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static void spawn_on_tty(struct job *job, struct start *start)
{
	job->pid = forkpty(&job->in, NULL, NULL, &start->size);
	if (job->pid == 0)
		exec_command(start);
	job->out = fcntl(job->in, F_DUPFD_CLOEXEC, 0);
	job->err = -1;
}

static void spawn_on_pipes(struct job *job, struct start *start)
{
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) ||
	    pipe2(err, O_CLOEXEC))
		die("labd: pipe");

	job->pid = fork();
	if (job->pid == 0) {
		setsid();
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		exec_command(start);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	job->in = in[1];
	job->out = out[0];
	job->err = err[0];
}

static void spawn(struct job *job, struct start *start)
{
	job->tty = start->tty;
	if (start->tty)
		spawn_on_tty(job, start);
	else
		spawn_on_pipes(job, start);
	if (job->pid < 0)
		die("labd: fork");
	job->pidfd = syscall(SYS_pidfd_open, job->pid, 0);
	fcntl(job->in, F_SETFL, O_NONBLOCK);
	fcntl(job->out, F_SETFL, O_NONBLOCK);
	if (job->err >= 0)
		fcntl(job->err, F_SETFL, O_NONBLOCK);
}

/* Passes on what the command has written; closes *fd at its end. */
static void forward_output(struct job *job, int *fd, enum frame type)
{
	static char buf[CHUNK];
	ssize_t n = read(*fd, buf, sizeof(buf));

	if (n > 0)
		send_frame(job->link, type, buf, n);
	else if (n == 0 || errno != EAGAIN)
		close_fd(fd);
}

static void feed_input(struct job *job)
{
	ssize_t n = write(job->in, job->input + job->input_at, job->input_len);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0) {
		close_fd(&job->in);
		job->input_len = 0;
		return;
	}
	job->input_at += n;
	job->input_len -= n;
}

/* False when the caller is gone or talks nonsense. */
static bool take_frame(struct job *job)
{
	struct head head;

	if (!read_all(job->link, &head, sizeof(head)) || head.len > CHUNK ||
	    !read_all(job->link, job->input, head.len))
		return false;

	if (head.type == WINSIZE && head.len == sizeof(struct winsize)) {
		ioctl(job->out, TIOCSWINSZ, job->input);
	} else if (head.type == STDIN && head.len) {
		job->input_at = 0;
		job->input_len = job->in >= 0 ? head.len : 0;
	} else if (head.type == STDIN) {
		if (job->tty && job->in >= 0)
			write_all(job->in, "\004", 1);
		close_fd(&job->in);
	}
	return true;
}

/* One turn of the loop; false when the command has ended or must. */
static bool job_step(struct job *job)
{
	/* Input waits in the link until the command has taken the last of it. */
	struct pollfd fds[] = {
		{ .fd = job->pidfd, .events = POLLIN },
		{ .fd = job->input_len ? -1 : job->link, .events = POLLIN },
		{ .fd = job->input_len ? job->in : -1, .events = POLLOUT },
		{ .fd = job->out, .events = POLLIN },
		{ .fd = job->err, .events = POLLIN },
	};

	if (poll(fds, 5, -1) < 0)
		return errno == EINTR;
	if (fds[2].revents)
		feed_input(job);
	if (fds[3].revents)
		forward_output(job, &job->out, STDOUT);
	if (fds[4].revents)
		forward_output(job, &job->err, STDERR);
	if (fds[0].revents)
		return false;
	return !fds[1].revents || take_frame(job);
}

/*
 * A program left in the background may keep the pipes open for ever, so what
 * is in them now is all there is.
 */
static void drain(struct job *job)
{
	struct pollfd fds[2];

	for (;;) {
		fds[0] = (struct pollfd){ .fd = job->out, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = job->err, .events = POLLIN };
		if (poll(fds, 2, 0) <= 0)
			return;
		if (fds[0].revents)
			forward_output(job, &job->out, STDOUT);
		if (fds[1].revents)
			forward_output(job, &job->err, STDERR);
	}
}

static bool job_finish(struct job *job)
{
	uint32_t status;
	bool ended;
	int raw;

	ended = waitpid(job->pid, &raw, WNOHANG) == job->pid;
	if (ended) {
		drain(job);
		status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) :
					    WEXITSTATUS(raw);
		send_frame(job->link, EXIT, &status, sizeof(status));
	} else {
		kill(-job->pid, SIGKILL);
	}
	close_fd(&job->in);
	close_fd(&job->out);
	close_fd(&job->err);
	close_fd(&job->pidfd);
	return ended;
}

/* Runs the next command of a link; false when there are no more. */
static bool serve_command(int link)
{
	static struct start start;
	static struct job job;
	static char buf[1 << 20];
	struct head head;

	if (!read_all(link, &head, sizeof(head)))
		return false;
	/* Leftover input of a command that has ended. */
	if (head.type != START && head.len <= CHUNK)
		return read_all(link, buf, head.len);
	if (head.type != START || head.len > sizeof(buf) ||
	    !read_all(link, buf, head.len) || !parse_start(&start, buf, head.len))
		return false;

	job = (struct job){ .link = link };
	spawn(&job, &start);
	while (job_step(&job))
		;
	return job_finish(&job);
}

static void serve_serial(const char *name)
{
	struct termios mode;
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		die(path);
	if (tcgetattr(fd, &mode) == 0) {
		cfmakeraw(&mode);
		tcsetattr(fd, TCSANOW, &mode);
		send_frame(fd, READY, NULL, 0);
	}
	for (;;) {
		/* The port reads as ended while nobody has opened its far end. */
		if (!serve_command(fd))
			usleep(20000);
	}
}

static void fork_serial(const char *name)
{
	if (fork() == 0) {
		serve_serial(name);
		_exit(1);
	}
}

static void serve_serial_ports(void)
{
	DIR *dir = opendir("/sys/class/virtio-ports");
	struct dirent *entry;
	int ports = 0;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		fork_serial(entry->d_name);
		ports++;
	}
	if (dir)
		closedir(dir);
	if (!ports) {
		/* User-mode Linux, which has its console elsewhere. */
		fork_serial("ttyS0");
		fork_serial("ttyS1");
	}
}

static int listen_tcp(void)
{
	struct sockaddr_in6 addr = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(PORT),
	};
	int one = 1;
	int fd;

	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 128))
		die("labd: listen");
	return fd;
}

/* SIGCHLD only has to interrupt accept(). */
static void reap(int sig)
{
	int saved = errno;

	(void)sig;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = saved;
}

/* Unread input would make close() a reset, which destroys EXIT on its way. */
static void linger(int link)
{
	char buf[4096];

	shutdown(link, SHUT_WR);
	while (read(link, buf, sizeof(buf)) > 0)
		;
}

static void serve_tcp(void)
{
	struct sigaction reaper = { .sa_handler = reap, .sa_flags = SA_RESTART };
	int one = 1, listener = listen_tcp(), link;

	sigaction(SIGCHLD, &reaper, NULL);
	for (;;) {
		link = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (link < 0)
			continue;
		setsockopt(link, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (fork() == 0) {
			signal(SIGCHLD, SIG_DFL);
			serve_command(link);
			linger(link);
			_exit(0);
		}
		close(link);
	}
}

static void set_limits(void)
{
	/* What a login session gets. */
	struct rlimit files = { 1024, 524288 };
	struct rlimit core = { 0, RLIM_INFINITY };

	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_CORE, &core);
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1);
	/* Any other makes each program read a dozen files first. */
	setenv("LC_ALL", "C", 1);
	setenv("TERM", "dumb", 1);
}

static int serve(char *setup)
{
	pid_t pid;

	signal(SIGPIPE, SIG_IGN);
	set_limits();
	pid = fork();
	if (pid == 0) {
		execl(setup, setup, NULL);
		die(setup);
	}
	waitpid(pid, NULL, 0);
	serve_serial_ports();
	serve_tcp();
	return 1;
}

static int connect_host(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT),
	};
	char name[64] = "";
	FILE *file = fopen(HOST_FILE, "re");
	int one = 1, fd;

	if (!file || fscanf(file, "%63s", name) != 1 ||
	    inet_pton(AF_INET, name, &addr.sin_addr) != 1)
		die("on-host: " HOST_FILE);
	fclose(file);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("on-host: connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void send_start(int link, int argc, char **argv)
{
	static const char head[] = "-\0/root\0\0bash\0-c";
	size_t len = sizeof(head);
	struct head frame = { .type = START };
	char *buf;
	int i;

	for (i = 1; i < argc; i++)
		len += strlen(argv[i]) + 1;
	buf = malloc(len + 1);
	memcpy(buf, head, sizeof(head));
	len = sizeof(head);
	for (i = 1; i < argc; i++)
		len += sprintf(buf + len, "%s%s", i > 1 ? " " : "", argv[i]);
	buf[len++] = 0;
	frame.len = len;
	if (!write_all(link, &frame, sizeof(frame)) ||
	    !write_all(link, buf, len))
		die("on-host: send");
	free(buf);
}

/* A process of its own, so that neither direction can hold up the other. */
static pid_t pump_input(int link)
{
	static char buf[CHUNK];
	pid_t pid = fork();
	ssize_t n;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	do {
		n = read(0, buf, sizeof(buf));
	} while (send_frame(link, STDIN, buf, n > 0 ? n : 0) && n > 0);
	_exit(0);
}

static int run_on_host(int argc, char **argv)
{
	static char buf[CHUNK];
	struct head head;
	uint32_t status;
	pid_t pump;
	int link;

	link = connect_host();
	send_start(link, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	pump = pump_input(link);
	while (read_all(link, &head, sizeof(head)) && head.len <= CHUNK &&
	       read_all(link, buf, head.len)) {
		if (head.type == EXIT) {
			kill(pump, SIGKILL);
			memcpy(&status, buf, sizeof(status));
			return status;
		}
		write_all(head.type == STDERR ? 2 : 1, buf, head.len);
	}
	kill(pump, SIGKILL);
	fprintf(stderr, "on-host: connection lost\n");
	return 255;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');

	name = name ? name + 1 : argv[0];
	if (!strcmp(name, "on-host") && argc > 1)
		return run_on_host(argc, argv);
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(argv[2]);
	fprintf(stderr, "usage: on-host COMMAND...\n");
	return 255;
}
