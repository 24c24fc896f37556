#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Unix sockets of two machines: what programs can tell from local ones, who may connect, nonsense
# that is asked of the agent's device, and what is left where somebody is killed.
. "$(dirname "$0")/lib.sh"
need python3 jq setpriv

US=$PROGRAMS/unix-socket
STORIES=$LIB_DIR/socket-stories
PORT=12451
LOST_PORT=12452
OTHER=$TMP/other
mkdir "$OTHER"
at_end umount -f "$OTHER"

# serve TYPE NAME [WHAT]: a program of the server's, until the test ends
serve() {
	on_host "setsid $US serve $1 $SRV/$2 ${3-} </dev/null & echo \$!
		until [ -S $SRV/$2 ]; do [ -d /proc/\$! ] || exit 1; sleep 0.05; done" \
		>"$TMP/pid" || bail "no server for $2"
	at_end on_host "kill $(cat "$TMP/pid")"
}

# serve_at TYPE PATH [WHAT]: a program of this machine, number in $here
serve_at() {
	"$US" serve "$1" "$2" "${3:-echo}" </dev/null >/dev/null 2>&1 &
	here=$!
	at_end "kill $here 2>/dev/null"
	wait_until 10 test -S "$2" || bail "no $2 here"
}

# end_here: the last one
end_here() {
	kill "$here"
	wait "$here" 2>/dev/null
}

# What arrives at a time may be any part of a stream.
joined() {
	local said code=0
	said=$("$@") || code=$?
	echo "${said//$'\n'/}"
	return $code
}

# talks PATH [HOW...]: a program that connects there is answered
talks() {
	expect_output hellobye joined "${@:2}" "$US" talk stream "$1" hello
}

# The same of one of the server's.
talks_there() {
	expect_output hellobye joined on_host "${*:2} $US talk stream $1 hello"
}

# refused ERRNO PATH [HOW...]
refused() {
	expect_fail "$1" "${@:3}" "$US" talk stream "$2" hello
}

refused_there() {
	expect_fail "$1" on_host "${*:3} $US talk stream $2 hello"
}

wait_idle() {
	wait_until 15 agent_idle ||
		fail "the agent keeps $(ls -l "/proc/$agent/fd") $(ls "/proc/$agent/task")"
}

GROUP50="setpriv --reuid 1000 --regid 1000 --groups 50 --inh-caps=-all --bounding-set=-all"
NOBODY="setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all"

agent_start --log-level debug
serve stream echo

# As locally

begin "who connects to a program of the server: both ends have the names that were used"
expect_ok "$STORIES" told "$DIR" "$SRV"
mapfile -t said <"$TMP/.out"
expect_eq "['', '$DIR/told-to-stream']" "${said[0]}" "who connects"
expect_eq "['$SRV/told-to-stream', '']" "${said[1]}" "who accepts"

begin "who accepts a program of the server has the name that he bound"
expect_eq "['$DIR/told-from-stream', '']" "${said[3]}"

begin "a program of the server that connects here is told a name of the engine's"
[[ ${said[2]} == "['', '"+([0-9])"/told-from-stream']" ]] || fail "${said[2]}"

begin "one direction ends, whoever ends it, and the other goes on"
expect_output compared "$STORIES" halves "$DIR" "$SRV" "$TMP"

begin "who writes where nobody reads is stopped, and goes on when somebody does"
expect_output compared "$STORIES" crowd "$DIR" "$SRV" "$TMP"

begin "SCM_CREDENTIALS tells the server's program who connected"
serve stream creds creds
expect_output "1000 1001 engine" as_user 1000:1001 "$US" talk stream "$DIR/creds" x
expect_output "0 0 engine" "$US" talk stream "$DIR/creds" x

begin "and a program here, of one of the server's"
serve_at stream "$DIR/creds-here" creds
expect_output "1000 1001 qtfs-agent" \
	on_host "setpriv --reuid 1000 --regid 1001 --clear-groups $US talk stream $SRV/creds-here x"
expect_output "0 0 qtfs-agent" on_host "$US talk stream $SRV/creds-here x"
end_here

begin "it tells who sent a datagram to the server, and that nobody knows who sent one here"
serve dgram letters creds
expect_ok as_user 1000:1001 "$US" send "$DIR/letters" first
told() {
	[ "$(<"$1.got")" = "$2" ]
}
wait_until 10 told "$DIR/letters" "1000 1001 engine
1000 1001 engine" || fail "there: $(cat "$DIR/letters.got")"
serve_at dgram "$DIR/letters-here" creds
expect_ok on_host "$NOBODY $US send $SRV/letters-here first"
wait_until 10 told "$DIR/letters-here" "65534 65534 qtfs-agent
65534 65534 qtfs-agent" || fail "here: $(cat "$DIR/letters-here.got")"
end_here

begin "datagrams that nobody takes stop who sends, and none is lost, there"
# all PATH: whether what sink() wrote is everything
all() {
	[ "$(cat "$1.got")" = "$(seq 1000)
last" ]
}
serve dgram slow sink
slow=$(cat "$TMP/pid")
on_host "kill -STOP $slow"
# shellcheck disable=SC2046
"$US" send "$DIR/slow" $(seq 1000) &
sender=$!
expect_waiting $sender
on_host "kill -CONT $slow"
expect_exit 0 wait $sender
wait_until 30 all "$DIR/slow" || fail "$(wc -l <"$DIR/slow.got")"

begin "nor here"
serve_at dgram "$DIR/slow-here" sink
kill -STOP "$here"
on_host "$US send $SRV/slow-here \$(seq 1000)" &
sender=$!
expect_waiting $sender
kill -CONT "$here"
expect_exit 0 wait $sender
wait_until 30 all "$DIR/slow-here" || fail "$(wc -l <"$DIR/slow-here.got")"
end_here

# What arrived is kept for a while, should there be more.
agent_stop TERM
agent_start --log-level debug

# Who may

begin "permission bits: the owner's, the groups', those of the folders above"
serve stream roots
on_host "chmod 600 $SRV/roots"
refused EACCES "$DIR/roots" as_user 1000
talks "$DIR/roots"
serve stream groups
on_host "chown 0:50 $SRV/groups; chmod 660 $SRV/groups"
refused EACCES "$DIR/groups" as_user 1000
# shellcheck disable=SC2086
talks "$DIR/groups" $GROUP50
on_host "mkdir -m 700 $SRV/closed"
serve stream closed/echo
refused EACCES "$DIR/closed/echo" as_user 1000
talks "$DIR/closed/echo"

begin "the same for programs of the server that connect here"
serve_at stream "$DIR/groups-here"
chown 0:50 "$DIR/groups-here" && chmod 660 "$DIR/groups-here"
refused_there EACCES "$SRV/groups-here" "$NOBODY"
talks_there "$SRV/groups-here" "$GROUP50"
chmod 600 "$DIR/groups-here"
refused_there EACCES "$SRV/groups-here" "$GROUP50"
talks_there "$SRV/groups-here"
end_here

begin "a rule keeps everybody from one, and nobody from others"
serve stream forbidden
talks "$DIR/forbidden"
number=$(on_host "qtinfo --json rules add deny --type socket --path '$SRV/forbidden*'" |
	jq .number)
at_end on_host "qtinfo rules del $number"
refused EACCES "$DIR/forbidden"
expect_ok test -S "$DIR/forbidden"
talks "$DIR/echo"
talks_there "$SRV/forbidden"
expect_fail EACCES timeout 10 "$US" serve stream "$DIR/forbidden-too"
on_host "qtinfo rules del $number"
served_again() {
	[ "$("$US" talk stream "$DIR/forbidden")" = bye ]
}
wait_until 40 served_again || fail "still forbidden"

begin "an export without sockets: they are seen, and nobody gets through, in either direction"
on_host "cat >/run/nosock.toml" <<-END
	[[export]]
	path = "$SRV"
	sockets = false
END
engine_at $PORT -c /run/nosock.toml
expect_ok mount -t qtfs -o port=$PORT "$QTFS_HOST_IP:$SRV" "$OTHER"
expect_ok test -S "$OTHER/echo"
refused EACCES "$OTHER/echo"
expect_fail EACCES "$US" send "$OTHER/letters" x
talks "$DIR/echo"
serve_at stream "$OTHER/own"
talks "$OTHER/own"
refused_there ECONNREFUSED "$SRV/own"
end_here
rm "$OTHER/own"
expect_ok umount "$OTHER"
on_host "kill \$(cat /run/qtfs-engine-$PORT.pid)"

# The agent's device

begin "the agent's device is root's, and one process's at a time"
expect_fail EACCES as_user 1000 sh -c ": <>/dev/qtfs-agent"
expect_fail EBUSY sh -c ": <>/dev/qtfs-agent"
expect_fail EBUSY sh -c ": </dev/qtfs-agent"
talks "$DIR/echo"
wait_idle
agent_stop TERM

# In the agent's place; arguments: a socket of the server's, a name for one here, as both call it,
# and who connects to it there.
cat >"$TMP/abuse" <<'END'
import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import threading

served, own, own_there, program = sys.argv[1:]
DEVICE = "/dev/qtfs-agent"
EVENT = struct.Struct("QQQIiiIIIII108sI")
ANSWER = struct.Struct("QII")
RIGHT = struct.Struct("iIiI")
SHUTDOWN, ACCEPT, GIVE, TAKE = 0x7101, 0x80107102, 0xc0107103, 0x80107104
# Nobody's; those above with another size; FIONREAD.
OTHERS = (0, 0x7105, 0x80187102, 0xc0187103, 0x80087104, 0x541b, 0xffffffff)
NONE, FILE, SOCKET = 0, 1, 4
NOWHERE = 8  # an address
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p


# One number has two names.
def name_of(error):
    name = errno.errorcode.get(error.errno, str(error))
    return "EOPNOTSUPP" if name == "ENOTSUP" else name


def fails(want, what, call, *arguments):
    got = "it works"
    try:
        call(*arguments)
    except OSError as e:
        got = name_of(e)
    if got != want:
        print(f"{what}: {got}, expected {want}")


def equals(want, what, got):
    if got != want:
        print(f"{what}: {got}, expected {want}")


def raw(function, fd, *arguments):
    if function(fd, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")


def ioctl(fd, command, argument):
    raw(libc.ioctl, fd, ctypes.c_ulong(command), ctypes.c_void_p(argument))


def give(fd, *right):
    """RIGHT's fields."""
    buffer = ctypes.create_string_buffer(RIGHT.pack(*right), RIGHT.size)
    ioctl(fd, GIVE, ctypes.addressof(buffer))


def read_to_nowhere(fd, size):
    raw(libc.read, fd, ctypes.c_void_p(NOWHERE), ctypes.c_size_t(size))


def write_from_nowhere(fd, size):
    raw(libc.write, fd, ctypes.c_void_p(NOWHERE), ctypes.c_size_t(size))


def wait(fd):
    if not select.select([fd], [], [], 20)[0]:
        sys.exit("nothing comes")


def event(device):
    wait(device)
    return EVENT.unpack(os.read(device, EVENT.size))


def opened():
    return os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK)


class Connecting(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.result = "it works"
        self.start()

    def run(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(served)
        except OSError as e:
            self.result = name_of(e)

    def ends(self, want, what):
        self.join(30)
        equals(want, what, "it waits" if self.is_alive() else self.result)


def device_alone(device):
    fails("EBUSY", "a second open", opened)
    fails("EAGAIN", "nothing to read", os.read, device, EVENT.size)
    for size in (0, 1, EVENT.size - 1):
        fails("EINVAL", f"reading {size}", os.read, device, size)
    for size in (1, ANSWER.size - 1, ANSWER.size + 1, 4096):
        fails("EINVAL", f"writing {size}", os.write, device, bytes(size))
    fails("EFAULT", "writing from nowhere", write_from_nowhere, device, ANSWER.size)
    for number in (0, 1, 1 << 63, (1 << 64) - 1):
        fails("ENOENT", f"answering {number}", os.write, device, ANSWER.pack(number, 0, 0))
    for command in (SHUTDOWN, ACCEPT, GIVE, TAKE, *OTHERS):
        fails("ENOTTY", f"ioctl {command:#x}", ioctl, device, command, NOWHERE)


def answers(device):
    """What is left of one that was answered: the connection and the directory."""
    one = Connecting()
    wait(device)
    fails("EFAULT", "reading to nowhere", read_to_nowhere, device, EVENT.size)
    one.ends("ECONNREFUSED", "whose event is lost")
    one = Connecting()
    number, _, _, kind, peer, folder = event(device)[:6]
    equals(1, "kind", kind)
    fails("EINVAL", "no such error", os.write, device, ANSWER.pack(number, 4096, 0))
    fails("EINVAL", "reserved", os.write, device, ANSWER.pack(number, 0, 1))
    fails("ENOENT", "another's", os.write, device, ANSWER.pack(number + 1, 0, 0))
    os.write(device, ANSWER.pack(number, errno.EHOSTDOWN, 0))
    one.ends("EHOSTDOWN", "the agent's error")
    fails("ENOENT", "answering twice", os.write, device, ANSWER.pack(number, 0, 0))
    one = Connecting()
    number, _, _, _, *files = event(device)[:6]
    os.write(device, ANSWER.pack(number, 0, 0))
    one.ends("ECONNREFUSED", "nobody listens, after all")
    for fd in files:
        os.close(fd)
    return peer, folder


def gives(peer):
    """The process's own descriptors, and what is no answer to anything."""
    page = os.memfd_create("page")
    os.write(page, RIGHT.pack(-1, SOCKET, socket.SOCK_STREAM, 0).ljust(4096, b"\0"))
    readable = libc.mmap(None, ctypes.c_size_t(4096), 1, 2, page, ctypes.c_long(0))
    if readable in (None, ctypes.c_void_p(-1).value):
        sys.exit("no page")
    null = os.open("/dev/null", os.O_RDWR)
    fails("EFAULT", "giving from nowhere", ioctl, peer, GIVE, NOWHERE)
    fails("EINVAL", "giving at", give, peer, -1, NONE, 0, 1)
    for fd in (-1, 100000, folder_fd):
        fails("EBADF", f"giving descriptor {fd}", give, peer, fd, FILE, 0, 0)
    for fd in (null, page, peer):
        fails("EOPNOTSUPP", f"giving descriptor {fd}", give, peer, fd, FILE, 0, 0)
    for kind, kind_of_socket in ((5, 0), (0xffffffff, 0), (SOCKET, 0), (SOCKET, socket.SOCK_DGRAM),
                                 (SOCKET, 77), (SOCKET, -1)):
        fails("EINVAL", f"giving {kind} {kind_of_socket}", give, peer, -1, kind, kind_of_socket, 0)
    fails("EFAULT", "giving what cannot be told", ioctl, peer, GIVE, readable)
    give(peer, -1, NONE, 0, 0)
    os.close(null)
    os.close(page)


def connection(peer):
    fcntl.fcntl(peer, fcntl.F_SETFL, os.O_NONBLOCK)
    for command in (ACCEPT, *OTHERS):
        fails("ENOTTY", f"ioctl {command:#x} of a connection", ioctl, peer, command, NOWHERE)
    for how in (3, 1000, (1 << 64) - 1):
        fails("EINVAL", f"shutting down {how}", ioctl, peer, SHUTDOWN, how)
    gives(peer)
    fails("EAGAIN", "nothing to take", ioctl, peer, TAKE, NOWHERE)
    fails("EAGAIN", "nothing to read from the server", os.read, peer, 10)
    fails("EFAULT", "reading from the server to nowhere", read_to_nowhere, peer, 10)
    fails("EFAULT", "writing to the server from nowhere", write_from_nowhere, peer, 10)
    fails("ESPIPE", "reading at a place", os.pread, peer, 10, 0)
    # It is none the worse for it.
    os.write(peer, b"still here")
    wait(peer)
    equals(b"still here", "the echo", os.read(peer, 100))
    ioctl(peer, SHUTDOWN, socket.SHUT_WR)
    wait(peer)
    equals(b"bye", "the end", os.read(peer, 100))
    os.close(peer)


def directory(folder):
    def make():
        os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=folder)

    fails("EACCES", "making a file", make)
    for what, call in (("folder", lambda: os.mkdir("folder", dir_fd=folder)),
                       ("FIFO", lambda: os.mkfifo("fifo", dir_fd=folder)),
                       ("link", lambda: os.symlink("x", "link", dir_fd=folder))):
        fails("EPERM", f"making a {what}", call)
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    equals([], "what is in it", os.listdir(fd))
    os.close(fd)
    os.close(folder)


def program_there():
    return subprocess.Popen(["on-host", f"{program} hold {own_there}"], stdout=subprocess.PIPE)


def arrivals(fd):
    """Two programs of the server's, of whom the first is lost on the way."""
    one = program_there()
    wait(fd)
    fails("EFAULT", "accepting to nowhere", ioctl, fd, ACCEPT, NOWHERE)
    equals(b"connected\nended\n", "who was lost", one.communicate(timeout=30)[0])
    one = program_there()
    wait(fd)
    buffer = ctypes.create_string_buffer(16)
    ioctl(fd, ACCEPT, ctypes.addressof(buffer))
    peer, *who = struct.unpack("iIII", buffer.raw)
    equals([0, 0, 0], "who was accepted", who)
    fails("ENOTTY", "accepting from a connection", ioctl, peer, ACCEPT, NOWHERE)
    os.close(peer)
    equals(b"connected\nended\n", "who was accepted", one.communicate(timeout=30)[0])


def bound(device):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(own)
        number, _, _, kind, fd, place, _, *nobody, _, _ = event(device)
        equals((2, [0, 0, 0, 0]), "what is told of a bound socket", (kind, nobody))
        fails("ENOENT", "answering what asks nothing", os.write, device, ANSWER.pack(number, 0, 0))
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)
        for command in (SHUTDOWN, *OTHERS):
            fails("ENOTTY", f"ioctl {command:#x} of arrivals", ioctl, fd, command, NOWHERE)
        fails("EAGAIN", "nobody to accept", ioctl, fd, ACCEPT, NOWHERE)
        fails("EAGAIN", "nothing to take of arrivals", ioctl, fd, TAKE, NOWHERE)
        fails("EFAULT", "giving arrivals from nowhere", ioctl, fd, GIVE, NOWHERE)
        fails("EINVAL", "writing to arrivals", os.write, fd, b"x")
        fails("EINVAL", "reading from arrivals", os.read, fd, 10)
        s.listen(5)
        arrivals(fd)
    hung = select.poll()
    hung.register(fd, 0)
    equals([(fd, select.POLLHUP)], "when the socket is closed", hung.poll(10000))
    os.close(fd)
    os.close(place)
    os.unlink(own)


def ends(device):
    one = Connecting()
    files = event(device)[4:6]
    os.close(device)
    one.ends("ECONNREFUSED", "who waits when the agent ends")
    for fd in files:
        os.close(fd)
    device = opened()
    one = Connecting()
    wait(device)
    os.close(device)
    one.ends("ECONNREFUSED", "whom the agent has not heard of when it ends")


agent = opened()
device_alone(agent)
peer_fd, folder_fd = answers(agent)
connection(peer_fd)
directory(folder_fd)
bound(agent)
ends(agent)
print("all as expected")
END

begin "nonsense that is asked of it is refused, and changes nothing"
expect_output "all as expected" timeout 120 python3 -IS "$TMP/abuse" \
	"$DIR/echo" "$DIR/abused" "$SRV/abused" "$US"
agent_start --log-level debug
talks "$DIR/echo"
wait_idle

# Whoever is killed

begin "the agent is killed: programs of both machines see the end, and nobody listens for them"
serve_at stream "$DIR/kept"
talks_there "$SRV/kept"
expect_output "1
over over over over 0" "$STORIES" lose "$DIR" "$SRV" "kill -KILL $agent"
wait "$agent" 2>/dev/null
refused ECONNREFUSED "$DIR/echo"
refused_there ECONNREFUSED "$SRV/kept"
talks "$DIR/kept"

begin "the next one serves what comes, not what was"
agent_start --log-level debug
talks "$DIR/echo"
refused_there ECONNREFUSED "$SRV/kept"
end_here
rm "$DIR/kept"
serve_at stream "$DIR/kept"
talks_there "$SRV/kept"
end_here
wait_idle

# What the engine has open for clients; that it has connections at all shows that this counts.
sockets_there() {
	on_host "find /proc/\$(cat /run/qtfs-engine.pid)/fd -lname 'socket:*' | wc -l"
}

# Leaves in $before what it has when nothing changes any more.
settled() {
	local last=$before
	before=$(sockets_there)
	[ "$before" = "$last" ]
}

as_before() {
	[ "$(sockets_there)" -le "$before" ]
}

nothing_waits() {
	[ "$(qtinfo --json mounts | jq '[.[] | .inflight + .waiting] | add')" = 0 ]
}

begin "a program is killed with descriptors under way: all of it arrives, then the end"
before=
wait_until 10 settled
[ "$before" -gt 1 ] || fail "the engine has $before sockets"
expect_output everything "$STORIES" die "$DIR" "$SRV"

begin "and nothing of it stays, at either end"
wait_until 15 as_before || fail "the engine has $(sockets_there) sockets, before $before"
wait_idle
wait_until 15 nothing_waits || fail "$(qtinfo --json mounts)"

# A mount of its own, for its engine to be killed; programs tell how each end fares: of a connection
# from here, then of one from there; and how many listen there. In the end it is unmounted by force.
on_host "mkdir $SRV/lost"
engine_at $LOST_PORT --export "$SRV"
expect_ok mount -t qtfs -o port=$LOST_PORT "$QTFS_HOST_IP:$SRV/lost" "$OTHER"

begin "the engine is killed: programs of the server see the end, and nobody listens"
expect_ok "$STORIES" lose "$OTHER" "$SRV/lost" \
	"on-host 'kill -KILL \$(cat /run/qtfs-engine-$LOST_PORT.pid)'" "umount -f $OTHER 2>/dev/null"
mapfile -t said <"$TMP/.out"
expect_eq 1 "${said[0]-}" "who listens before"
read -r -a after_kill <<<"${said[1]-}"
read -r -a after_umount <<<"${said[2]-}"
expect_eq "over over" "${after_kill[1]-} ${after_kill[2]-}" "the server's ends"
expect_eq 0 "${after_kill[4]-}" "who listens after"
refused_there ECONNREFUSED "$SRV/lost/lose-from-stream"

begin "those here see it, too, without being told by hand"
expect_eq "over over" "${after_kill[0]-} ${after_kill[3]-}" "the ends here"

begin "at the latest when the mount is given up"
expect_eq "over over over over 0" "${after_umount[*]}"

begin "it can be mounted again, and everything works"
given_up() {
	! mountpoint -q "$OTHER" || umount "$OTHER"
}
wait_until 10 given_up || fail "$(umount "$OTHER" 2>&1)"
wait_idle
engine_at $LOST_PORT --export "$SRV"
expect_ok mount -t qtfs -o port=$LOST_PORT "$QTFS_HOST_IP:$SRV/lost" "$OTHER"
serve stream lost/echo
talks "$OTHER/echo"
serve_at stream "$OTHER/own"
talks_there "$SRV/lost/own"
end_here
wait_idle
expect_ok umount "$OTHER"
