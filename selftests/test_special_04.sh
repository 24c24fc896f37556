#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Device nodes: not by default; with dev=remote the server's devices.
. "$(dirname "$0")/lib.sh"
need python3 stty

OTHER=$TMP/other
PORT=12441
chmod 755 "$TMP"
mkdir "$OTHER"
at_end umount "$OTHER"
on_host "cd $SRV && mknod null c 1 3 && mknod zero c 1 5 && mknod random c 1 9 && mknod none c 300 7 &&
	mknod ptmx c 5 2 && mknod disk b 1 0 && mknod kmsg c 1 11 && chmod 666 null zero random ptmx"

begin "without the option no device is opened"
expect_fail EACCES cat "$DIR/null"
expect_output "1:3" stat -c %Hr:%Lr "$DIR/null"

engine_at $PORT --export "/,dev"

begin "nor where the export does not have them, or the mount is nodev"
expect_ok mount -t qtfs -o dev=remote "${QTFS_SOURCE:-/}" "$OTHER"
expect_match "dev=remote" grep " $OTHER " /proc/mounts
expect_fail EACCES cat "$OTHER$SRV/null"
expect_ok umount "$OTHER"
expect_ok mount -t qtfs -o "port=$PORT" "$QTFS_HOST_IP:/" "$OTHER"
expect_fail EACCES cat "$OTHER$SRV/null"
expect_ok umount "$OTHER"
expect_ok mount -t qtfs -o "port=$PORT,dev=remote,nodev" "$QTFS_HOST_IP:/" "$OTHER"
expect_fail EACCES cat "$OTHER$SRV/null"
expect_ok umount "$OTHER"
expect_says "dev" mount -t qtfs -o "port=$PORT,dev=local" "$QTFS_HOST_IP:/" "$OTHER"

DEV=$OTHER$SRV
expect_ok mount -t qtfs -o "port=$PORT,dev=remote" "$QTFS_HOST_IP:/" "$OTHER"

begin "reading and writing"
expect_output "" cat "$DEV/null"
expect_ok sh -c "echo gone >$DEV/null"
expect_output 100000 sh -c "head -c 100000 $DEV/zero | tr -d '\\001-\\377' | wc -c"
expect_output 4096 sh -c "head -c 4096 $DEV/random | wc -c"
expect_fail ENXIO cat "$DEV/none"
expect_output "1:3" stat -c %Hr:%Lr "$DEV/null"
expect_output "character special file" stat -c %F "$DEV/null"

begin "permission bits are the server's"
on_host chmod 600 "$SRV/zero"
expect_fail EACCES as_user 1000 head -c 1 "$DEV/zero"
expect_output 1 sh -c "head -c 1 $DEV/zero | wc -c"

begin "the server's log, not ours"
on_host "echo 'qtfs test: hello from $SRV' >/dev/kmsg"
expect_ok timeout 60 grep -m 1 "hello from $SRV" "$DEV/kmsg"
dmesg | grep -q "hello from $SRV" && [ "$QTFS_HOST_IP" != 127.0.0.1 ] && fail "it is here, too"
expect_ok sh -c "echo 'qtfs test: hello to $SRV' >$DEV/kmsg"
expect_match "hello to $SRV" on_host dmesg

begin "a pty of the server, driven from here"
cat >"$TMP/pty.py" <<-'END'
	import fcntl, os, select, struct, sys, termios, tty
	name = sys.argv[1]
	fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
	assert os.isatty(fd)
	fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
	assert struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))[:2] == (33, 101)
	tty.setraw(fd)
	poll = select.poll()
	poll.register(fd, select.POLLIN)
	assert poll.poll(0) == []
	try:
	    os.set_blocking(fd, False)
	    os.read(fd, 1)
	    raise SystemExit("read something")
	except BlockingIOError:
	    os.set_blocking(fd, True)
	os.write(fd, b"from the client")
	assert poll.poll(60000), "nothing came"
	assert os.read(fd, 100) == b"from the server"
	try:
	    fcntl.ioctl(fd, termios.TIOCSTI, b"x")
	    raise SystemExit("TIOCSTI")
	except OSError as e:
	    assert e.errno == 25, e  # ENOTTY
	os.close(fd)
	print("finished")
END
cat >"$DIR/host.py" <<-'END'
	import fcntl, os, struct, sys, termios
	master, slave = os.openpty()
	with open(sys.argv[1] + "/name.new", "w") as f:
	    f.write(os.ttyname(slave))
	os.rename(sys.argv[1] + "/name.new", sys.argv[1] + "/name")
	text = b""
	while not text.endswith(b"from the client"):
	    text += os.read(master, 100)
	size = struct.unpack("HHHH", fcntl.ioctl(master, termios.TIOCGWINSZ, b"\0" * 8))
	os.write(master, b"from the server")
	os.close(slave)
	try:
	    while os.read(master, 100):
	        pass
	except OSError:
	    pass  # nobody has the other end open any more
	print(*size[:2])
END
on_host "mountpoint -q /dev/pts || { mkdir -p /dev/pts; mount -t devpts -o ptmxmode=666 devpts /dev/pts; }
	[ -e /dev/ptmx ] || ln -s pts/ptmx /dev/ptmx"
on_host "python3 -IS $SRV/host.py $SRV" </dev/null >"$TMP/host" 2>&1 &
host=$!
if wait_until 30 test -s "$DIR/name"; then
	tty=$OTHER$(cat "$DIR/name")
	expect_ok stty -F "$tty" rows 24
	expect_output finished timeout 60 python3 -IS "$TMP/pty.py" "$tty"
	expect_exit 0 wait $host
	expect_output "33 101" cat "$TMP/host"
else
	fail "no pty: $(cat "$TMP/host")"
fi

begin "what waits for a device ends at a signal"
on_host "mkfifo $SRV/hold
	python3 -IS -c \"
import os
master, slave = os.openpty()
open('$SRV/second.new', 'w').write(os.ttyname(slave))
os.rename('$SRV/second.new', '$SRV/second')
open('$SRV/hold').read()\"" </dev/null >/dev/null 2>&1 &
wait_until 30 test -s "$DIR/second" || fail "no pty"
cat "$OTHER$(cat "$DIR/second")" >/dev/null &
reader=$!
expect_waiting $reader
kill -TERM $reader
expect_exit 143 wait $reader
on_host "echo >$SRV/hold"
wait

begin "a terminal's own waiting: VMIN and VTIME, and O_NONBLOCK set later"
cat >"$TMP/modes.py" <<-'END'
	import fcntl, os, sys, termios, tty
	fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
	tty.setraw(fd)
	modes = termios.tcgetattr(fd)
	for vtime in (0, 3):
	    modes[6][termios.VMIN], modes[6][termios.VTIME] = 0, vtime
	    termios.tcsetattr(fd, termios.TCSANOW, modes)
	    assert os.read(fd, 10) == b"", vtime
	os.set_blocking(fd, False)
	try:
	    while os.write(fd, b"x" * 4096):
	        pass
	except BlockingIOError:
	    print("full")
END
cat >"$DIR/keep.py" <<-'END'
	import os, sys, time
	master, slave = os.openpty()
	with open(sys.argv[1] + "/third.new", "w") as f:
	    f.write(os.ttyname(slave))
	os.rename(sys.argv[1] + "/third.new", sys.argv[1] + "/third")
	open(sys.argv[1] + "/hold").read()
END
on_host "python3 -IS $SRV/keep.py $SRV" </dev/null >/dev/null 2>&1 &
wait_until 30 test -s "$DIR/third" || fail "no pty"
expect_output full timeout 60 python3 -IS "$TMP/modes.py" "$OTHER$(cat "$DIR/third")"
on_host "echo >$SRV/hold"
wait

begin "the engine's own terminal is nobody's"
on_host "mknod $SRV/tty c 5 0; chmod 666 $SRV/tty"
expect_fail ENXIO cat "$DEV/tty"

begin "a disk is not opened, here or there"
expect_fail ENXIO head -c 1 "$DEV/disk"
expect_status 32 mount -o ro "$DEV/disk" "$TMP"
expect_output "1:0" stat -c %Hr:%Lr "$DEV/disk"
expect_ok umount "$OTHER"
