// SPDX-License-Identifier: GPL-2.0
/*
 * Both ends of unix sockets, for tests; what two machines tell each other
 * about theirs is in socket-stories. Without arguments says how it is used.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG (256 << 10)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static const char usage[] =
	"unix-socket serve TYPE PATH [WHAT]	until killed, when the socket listens:\n"
	"	echo	everything back, then \"bye\" when the other direction ends (default)\n"
	"	who	the other end's uid and gid\n"
	"	creds	uid, gid and process name of who sent the first message, as that\n"
	"		tells; of datagrams to PATH.got, one a line\n"
	"	drop	ends each connection at once\n"
	"	deaf	does not accept\n"
	"	fds	descriptors with a byte\n"
	"	sink	writes datagrams to PATH.got, one a line\n"
	"unix-socket talk TYPE PATH [TEXT...]	sends each TEXT, ends that direction, prints\n"
	"	what comes, one message a line\n"
	"unix-socket send PATH TEXT...	datagrams\n"
	"unix-socket names PATH	getpeername(2)'s, after connecting\n"
	"unix-socket big PATH BYTES	echoes so much; prints whether it came back\n"
	"unix-socket many PATH NUMBER	so many connections at a time, each echoes its number\n"
	"unix-socket pass PATH	passes descriptors; prints what happens to the connection\n"
	"unix-socket hold PATH	says that it is connected, and when that has ended\n"
	"unix-socket late PATH	to drop: reads, then writes until it is told; prints both\n"
	"Errors are printed as their names, status 1.\n";

static void die(void)
{
	puts(strerrorname_np(errno));
	fflush(stdout);
	_exit(1);
}

static void complain(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	_exit(1);
}

/* What a call returned; the end where that is an error. */
static long sure(long result)
{
	if (result < 0)
		die();
	return result;
}

static void say(const char *text)
{
	puts(text);
	fflush(stdout);
}

static int type_of(const char *name)
{
	return !strcmp(name, "stream") ? SOCK_STREAM :
	       !strcmp(name, "seqpacket") ? SOCK_SEQPACKET : SOCK_DGRAM;
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(addr.sun_path))
		complain("%s: too long", path);
	strcpy(addr.sun_path, path);
	return addr;
}

static int connected(const char *path, int type)
{
	struct sockaddr_un addr = address(path);
	int fd = sure(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));

	sure(connect(fd, (void *)&addr, sizeof(addr)));
	return fd;
}

static bool put(int fd, const char *data, size_t len)
{
	ssize_t n;

	for (; len; data += n, len -= n) {
		n = send(fd, data, len, MSG_NOSIGNAL);
		if (n < 0)
			return false;
	}
	return true;
}

static bool put_text(int fd, const char *text)
{
	return put(fd, text, strlen(text));
}

/* What serves a connection, up to its end; closing it is the caller's */

static void echo(int fd)
{
	char *buf = malloc(LONG);
	ssize_t n;

	while ((n = recv(fd, buf, LONG, 0)) > 0 && put(fd, buf, n))
		;
	if (!n)
		put_text(fd, "bye");
	free(buf);
}

static void who(int fd)
{
	struct ucred cred = {};
	socklen_t len = sizeof(cred);
	char text[64];

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	snprintf(text, sizeof(text), "%d %d", cred.uid, cred.gid);
	put_text(fd, text);
}

/* The name of a process, in @text. */
static void comm_of(pid_t pid, char *text, size_t size)
{
	char name[64];
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/comm", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, size - 1);
	text[n > 0 ? n - 1 : 0] = 0;
	close(fd);
}

/* Receives one message; in @text, who sent it. */
static ssize_t hear(int fd, char *text, size_t size)
{
	char data[4096], control[CMSG_SPACE(sizeof(struct ucred))], comm[32];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct ucred cred;
	struct cmsghdr *c;
	ssize_t n;

	n = recvmsg(fd, &msg, 0);
	c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);
	snprintf(text, size, "nobody is named");
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
		return n;
	memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	comm_of(cred.pid, comm, sizeof(comm));
	snprintf(text, size, "%d %d %s", cred.uid, cred.gid, comm);
	return n;
}

static void creds(int fd)
{
	char text[128];

	if (hear(fd, text, sizeof(text)) >= 0)
		put_text(fd, text);
}

static void drop(int fd)
{
}

static void pass_descriptors(int fd)
{
	char control[CMSG_SPACE(3 * sizeof(int))] = {};
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int null = sure(open("/dev/null", O_RDONLY | O_CLOEXEC));

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(3 * sizeof(int));
	memcpy(CMSG_DATA(c), (int[]){ null, null, null }, 3 * sizeof(int));
	sendmsg(fd, &msg, MSG_NOSIGNAL);
	close(null);
}

static void passing(int fd)
{
	char byte;

	pass_descriptors(fd);
	recv(fd, &byte, 1, 0);
}

static const struct serving {
	const char *name;
	void (*serve)(int fd);
} servings[] = {
	{ "echo", echo }, { "who", who }, { "creds", creds }, { "drop", drop },
	{ "fds", passing },
};

struct guest {
	int fd;
	void (*serve)(int fd);
};

static void *entertain(void *arg)
{
	struct guest guest = *(struct guest *)arg;

	free(arg);
	guest.serve(guest.fd);
	close(guest.fd);
	return NULL;
}

static void accept_all(int listener, const char *what)
{
	struct guest *guest;
	pthread_attr_t attr;
	pthread_t thread;
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(servings) && strcmp(servings[i].name, what); i++)
		;
	if (i == ARRAY_LEN(servings))
		_exit(2);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 64 << 10);	/* there may be thousands */
	for (;;) {
		guest = malloc(sizeof(*guest));
		guest->fd = sure(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
		guest->serve = servings[i].serve;
		if (pthread_create(&thread, &attr, entertain, guest))
			_exit(1);
	}
}

static void sink(int fd, const char *path, bool named)
{
	char name[200], *buf = malloc(LONG);
	ssize_t n;
	int out;

	snprintf(name, sizeof(name), "%s.got", path);
	out = sure(open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
	for (;;) {
		if (named) {
			hear(fd, buf, LONG - 1);
			n = strlen(buf);
		} else {
			n = sure(recv(fd, buf, LONG - 1, 0));
		}
		buf[n] = '\n';
		sure(write(out, buf, n + 1));
	}
}

/* Commands */

static void serve(char **argv)
{
	const char *path = argv[1], *what = argv[2] ?: "echo";
	int type = type_of(argv[0]);
	struct sockaddr_un addr;
	int fd, one = 1;
	char name[200];

	snprintf(name, sizeof(name), "%s.new", path);
	addr = address(name);
	fd = sure(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
	sure(bind(fd, (void *)&addr, sizeof(addr)));
	sure(chmod(name, 0666));
	if (!strcmp(what, "creds"))	/* connections inherit it, so that none is too late */
		sure(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)));
	if (type != SOCK_DGRAM)
		sure(listen(fd, strcmp(what, "deaf") ? 1024 : 0));
	sure(rename(name, path));	/* who sees it can connect */
	close(1);			/* whoever waits for us goes on */
	close(2);
	if (!strcmp(what, "deaf"))
		pause();
	if (type == SOCK_DGRAM)
		sink(fd, path, !strcmp(what, "creds"));
	accept_all(fd, what);
}

static void talk(char **argv)
{
	char *buf = malloc(LONG);
	int fd = connected(argv[1], type_of(argv[0]));
	ssize_t n;

	for (argv += 2; *argv; argv++)
		if (!put_text(fd, *argv))
			die();
	sure(shutdown(fd, SHUT_WR));
	while ((n = sure(recv(fd, buf, LONG, 0))) > 0)
		printf("%.*s\n", (int)n, buf);
}

static void send_all(char **argv)
{
	struct sockaddr_un addr = address(argv[0]);
	int fd = connected(argv[0], SOCK_DGRAM);
	char **text;

	for (text = argv + 1; *text; text++)
		sure(send(fd, *text, strlen(*text), MSG_NOSIGNAL));
	close(fd);
	/* Without a connection, too. */
	fd = sure(socket(AF_UNIX, SOCK_DGRAM, 0));
	sure(sendto(fd, "last", 4, 0, (void *)&addr, sizeof(addr)));
}

static void names(char **argv)
{
	struct sockaddr_un addr = {};
	socklen_t len = sizeof(addr);

	sure(getpeername(connected(argv[0], SOCK_STREAM), (void *)&addr, &len));
	say(addr.sun_path);
}

static void big(char **argv)
{
	size_t size = atol(argv[1]), at = 0, i;
	char *data = malloc(size + 4), *back = malloc(size + 4);
	int fd = connected(argv[0], SOCK_STREAM);
	ssize_t n;

	for (i = 0; i < size; i += n)
		n = sure(getrandom(data + i, size - i, 0));
	memcpy(data + size, "bye", 3);
	if (!sure(fork())) {
		put(fd, data, size);
		shutdown(fd, SHUT_WR);
		_exit(0);
	}
	while (at < size + 4 && (n = sure(recv(fd, back + at, size + 4 - at, 0))) > 0)
		at += n;
	say(at == size + 3 && !memcmp(data, back, at) ? "same" : "different");
}

/* Whether that is what comes next. */
static bool comes(int fd, const char *text)
{
	char buf[100];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	return n == (ssize_t)strlen(text) && !memcmp(buf, text, n);
}

static void many(char **argv)
{
	int i, number = atoi(argv[1]), *fds = calloc(number, sizeof(*fds));
	char text[16];

	for (i = 0; i < number; i++)
		fds[i] = connected(argv[0], SOCK_STREAM);
	for (i = 0; i < number; i++) {
		snprintf(text, sizeof(text), "%d", i);
		if (!put_text(fds[i], text))
			die();
	}
	for (i = 0; i < number; i++) {
		snprintf(text, sizeof(text), "%d", i);
		if (!comes(fds[i], text))
			complain("connection %d gives another's bytes", i);
	}
	for (i = 0; i < number; i++) {
		sure(shutdown(fds[i], SHUT_WR));
		if (!comes(fds[i], "bye"))
			complain("no end");
	}
	printf("%d\n", number);
}

static void pass(char **argv)
{
	int fd = connected(argv[0], SOCK_STREAM);

	pass_descriptors(fd);
	say(comes(fd, "") ? "ended" : "goes on");
}

static void hold(char **argv)
{
	int fd = connected(argv[0], SOCK_STREAM);
	char byte;

	say("connected");
	sure(recv(fd, &byte, 1, 0));
	say("ended");
}

static void late(char **argv)
{
	int fd = connected(argv[0], SOCK_STREAM);
	char data[1000] = {};

	say(comes(fd, "") ? "ended" : "goes on");
	while (put(fd, data, sizeof(data)))
		;
	if (errno != EPIPE)
		die();
	say("broken pipe");
}

static const struct command {
	const char *name;
	void (*run)(char **argv);
	int arguments;		/* at least */
} commands[] = {
	{ "serve", serve, 2 }, { "talk", talk, 2 }, { "send", send_all, 1 },
	{ "names", names, 1 }, { "big", big, 2 }, { "many", many, 2 },
	{ "pass", pass, 1 }, { "hold", hold, 1 }, { "late", late, 1 },
};

int main(int argc, char **argv)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(commands); i++) {
		if (argc < 2 || strcmp(argv[1], commands[i].name) ||
		    argc - 2 < commands[i].arguments)
			continue;
		commands[i].run(argv + 2);
		return 0;
	}
	fputs(usage, stderr);
	return 2;
}
