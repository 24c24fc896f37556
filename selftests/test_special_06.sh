#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Other filesystems that the server's kernel makes up: debugfs, tracefs, configfs, bpf, mqueue. A trace and
# a log that are followed, and a watchdog.
. "$(dirname "$0")/lib.sh"
need python3

OTHER=$TMP/other
PORT=12446
mkdir "$OTHER"
on_host "cd $SRV && mkdir debugfs tracefs configfs bpf mqueue" || bail "no folders"
mounted=

arrived() {
	[ "$(stat -c %d "$here/.")" != "$(stat -c %d "$DIR/.")" ]
}

# has TYPE: the host has that filesystem, mounted on $there, which is $here; or the case is skipped
has() {
	there=$SRV/$1 here=$DIR/$1
	[[ " $mounted " != *" $1 "* ]] || return 0
	on_host "grep -qw $1 /proc/filesystems || modprobe -q $1" || {
		skip "the host's kernel has no $1"
		return 1
	}
	on_host "mount -t $1 none $there" || {
		fail "the host cannot mount $1"
		return 1
	}
	at_end on_host "umount -l $there"
	wait_until 10 arrived || {
		fail "the host's mount is not seen"
		return 1
	}
	mounted+=" $1"
}

# lists FOLDER NAME: whether it is among what the folder shows now
lists() {
	local names=("$here/$1"/*)
	[[ " ${names[*]##*/} " == *" $2 "* ]]
}

# follows FILE VALUE...: what the host sets is what is read here next, without any waiting
follows() {
	local file=$1 value
	shift
	for value; do
		on_host "echo '$value' >$there/$file" || fail "the host cannot set $file"
		expect_eq "$value" "$(<"$here/$file")" "$file"
	done
}

# sets FILE VALUE: what is written here is what the host has
sets() {
	put "$here/$1" "$2" || fail "cannot set $1"
	expect_output "$2" on_host cat "$there/$1"
}

# alike COMMAND: it fails at both ends, for the same reason; @ is the folder
alike() {
	local theirs ours
	if theirs=$(on_host "${1//@/$there}" 2>&1 </dev/null); then
		fail "the host can: $1"
	elif ours=$(eval "${1//@/$here}" 2>&1 </dev/null); then
		fail "done here: $1"
	else
		expect_eq "${theirs##*: }" "${ours##*: }" "$1"
	fi
}

begin "debugfs: set there and read here, set here and read there"
if has debugfs; then
	# Neither does anything unless something else is set, too.
	knob=$(on_host "cd $there && ls sched/latency_warn_ms failslab/verbose 2>/dev/null")
	knob=${knob%%$'\n'*}
	if [ -z "$knob" ]; then
		skip "the host has nothing known to set there"
	else
		old=$(<"$here/$knob")
		follows "$knob" 3 4
		sets "$knob" 2
		alike "echo word >@/$knob"
		on_host "echo $old >$there/$knob"
	fi
fi

begin "debugfs: refused as there"
if has debugfs; then
	alike "cat @/clear_warn_once"
	alike "touch @/new"
	alike "mkdir @/new"
	alike "cat @/none"
fi

begin "debugfs: what comes is listed at once, what goes is not"
if has debugfs; then
	# Each loop device has a folder there.
	loop="python3 -IS -c 'import fcntl, sys; fcntl.ioctl(open(\"/dev/loop-control\"), int(sys.argv[1], 0), 77)'"
	if ! on_host "modprobe -q loop; test -e /dev/loop-control"; then
		skip "the host has no loop devices"
	elif lists bdi 7:77; then
		fail "it is there before"
	else
		at_end on_host "$loop 0x4C81"
		on_host "$loop 0x4C80" || fail "cannot make a loop device"
		lists bdi 7:77 || fail "not listed"
		expect_match "^BdiWriteback" cat "$here/bdi/7:77/stats"
		on_host "$loop 0x4C81" || fail "cannot take it away"
		! lists bdi 7:77 || fail "still listed"
		expect_fail ENOENT cat "$here/bdi/7:77/stats"
	fi
fi

# A ring of its own, so that nobody else's trace is touched.
instance=instances/qtfs-test

# tracing: whether there is that, at $there/$instance; or the case is skipped
tracing() {
	has tracefs || return
	[ -d "$here/$instance" ] || {
		skip "the host's tracefs has no instances"
		return 1
	}
}

begin "tracefs: an instance that is made there is listed at once"
if has tracefs; then
	if [ ! -d "$here/instances" ]; then
		skip "the host's tracefs has no instances"
	else
		! lists instances qtfs-test || fail "it is there before"
		at_end on_host "rmdir $there/$instance"
		on_host "mkdir $there/$instance" || fail "the host cannot make it"
		lists instances qtfs-test || fail "not listed"
	fi
fi

begin "tracefs: set there and read here, set here and read there"
if tracing; then
	follows $instance/tracing_on 0 1
	put "$here/$instance/buffer_size_kb" 64	# to be rounded up
	expect_match "^6[0-9]\$" on_host cat "$there/$instance/buffer_size_kb"
	expect_eq "$(on_host cat "$there/$instance/buffer_size_kb")" "$(<"$here/$instance/buffer_size_kb")"
	on_host "echo 'a word from there' >$there/$instance/trace_marker"
	expect_match "a word from there" cat "$here/$instance/trace"
	put "$here/$instance/trace_marker" "a word from here"
	expect_match "a word from here" on_host cat "$there/$instance/trace"
	: >"$here/$instance/trace"
	expect_status 1 on_host "grep 'a word' $there/$instance/trace"
fi

begin "tracefs: refused as there"
if tracing; then
	alike "echo word >@/$instance/tracing_on"
	alike "echo 0 >@/$instance/buffer_size_kb"
	alike "echo no:such >@/$instance/set_event"
	alike "touch @/$instance/new"
fi

begin "tracefs: files that share one inode number are told apart"
event=$instance/events/sched/sched_switch
if tracing; then
	if [ ! -d "$here/$event" ]; then
		skip "the host's kernel traces no events"
	else
		# The number is for perf, which not every kernel has.
		id=$([ ! -e "$here/$event/id" ] || echo id)
		look="ls; cat $id filter enable format; stat -c %a $id filter enable format"
		expect_output "$(on_host "cd $there/$event; $look")" sh -c "cd $here/$event; $look"
		sets $event/filter "prev_pid == 1"
		alike "echo 'nobody == 1' >@/$event/filter"
		[ -z "$id" ] ||
			expect_output "$(on_host "cat $there/$event/id")" cat "$here/$event/id"
	fi
fi

begin "trace_pipe: a reader waits, hears of what happens there, and ends at a signal"
if tracing; then
	on_host ": >$there/$instance/trace"
	for signal in INT TERM; do
		# The shell has what it starts in the background ignore SIGINT.
		env --default-signal=INT cat "$here/$instance/trace_pipe" >"$TMP/pipe" &
		reader=$!
		expect_waiting $reader
		on_host "echo 'before SIG$signal' >$there/$instance/trace_marker"
		wait_until 20 grep -q "before SIG$signal" "$TMP/pipe" || fail "it hears nothing"
		kill -$signal $reader
		wait_until 2 gone $reader || fail "SIG$signal does not end it"
		kill -KILL $reader 2>/dev/null
		wait $reader 2>/dev/null
		# Newer kernels have one reader at a time.
		wait_until 10 on_host "exec <$there/$instance/trace_pipe" || fail "it stays open there"
	done
fi

begin "tracefs: an instance that goes by rmdir here is gone there"
if tracing; then
	# Not while one of its files is open: what has been closed here may not be there yet.
	wait_until 10 rmdir "$here/$instance" || fail "it stays"
	expect_status 1 on_host test -e "$there/$instance"
	! lists instances qtfs-test || fail "still listed"
fi

begin "configfs: what is there, and what cannot be made"
if has configfs; then
	expect_output "$(on_host ls "$there")" ls "$here"
	alike "mkdir @/none"
	alike "touch @/none"
fi

begin "configfs: groups that either end makes, and their attributes"
if has configfs; then
	if ! on_host "modprobe -q netconsole && test -d $there/netconsole"; then
		skip "the host's kernel has no netconsole to be configured"
	else
		at_end on_host "modprobe -qr netconsole"
		at_end on_host "cd $there/netconsole && rmdir here there"
		lists . netconsole || fail "netconsole is not listed"
		on_host mkdir "$there/netconsole/there"
		lists netconsole there || fail "not listed"
		expect_ok mkdir "$here/netconsole/here"
		follows netconsole/there/remote_port 7001 7002
		sets netconsole/here/remote_port 7003
		alike "echo word >@/netconsole/here/remote_port"
		alike "echo 99999 >@/netconsole/here/remote_port"
		alike "mkdir @/netconsole/here"
		expect_ok rmdir "$here/netconsole/there"
		expect_status 1 on_host test -e "$there/netconsole/there"
		on_host rmdir "$there/netconsole/here"
		! lists netconsole here || fail "still listed"
	fi
fi

begin "bpf: folders and links"
if has bpf; then
	expect_ok mkdir "$here/here"
	expect_ok on_host test -d "$there/here"
	on_host "mkdir $there/there && ln -s one $there/link"
	lists . there || fail "not listed"
	expect_output one readlink "$here/link"
	on_host ln -sfn two "$there/link"
	expect_output two readlink "$here/link"
	expect_ok ln -s here "$here/own"
	expect_output here on_host readlink "$there/own"
	alike "touch @/file"
	alike "mkdir @/with.dot"
	alike "mkdir @/here"
	expect_ok rmdir "$here/there"
	expect_status 1 on_host test -e "$there/there"
fi

begin "bpf: what is pinned there is listed, not read, and unpinned by rm here"
if has bpf; then
	on_host "python3 -IS - $there/map" <<-'END' || fail "the host cannot pin a map"
		import ctypes, os, struct, sys
		libc = ctypes.CDLL(None, use_errno=True)
		number = 321 if os.uname().machine == "x86_64" else 280
		def bpf(command, attr):
		    fd = libc.syscall(number, command, attr, len(attr))
		    if fd < 0:
		        sys.exit(os.strerror(ctypes.get_errno()))
		    return fd
		# BPF_MAP_CREATE of an array of one, BPF_OBJ_PIN
		fd = bpf(0, struct.pack("5I", 2, 4, 4, 1, 0))
		path = ctypes.create_string_buffer(sys.argv[1].encode())
		bpf(6, struct.pack("QII", ctypes.addressof(path), fd, 0))
	END
	lists . map || fail "not listed"
	expect_output "regular empty file" stat -c %F "$here/map"
	alike "cat @/map"
	alike "echo >@/map"
	expect_ok rm -f "$here/map"
	expect_status 1 on_host test -e "$there/map"
fi

begin "mqueue: queues that either end makes"
if has mqueue; then
	expect_ok touch "$here/qtfs-here"
	at_end on_host "rm -f $there/qtfs-here $there/qtfs-there"
	expect_ok on_host test -e "$there/qtfs-here"
	on_host "touch $there/qtfs-there"
	lists . qtfs-there || fail "not listed"
	alike "echo word >@/qtfs-here"
	alike "mkdir @/folder"
	expect_ok rm -f "$here/qtfs-here"
	expect_status 1 on_host test -e "$there/qtfs-here"
	! lists . qtfs-here || fail "still listed"
fi

begin "mqueue: reading about an empty queue does not wait for a message"
if has mqueue; then
	expect_match "^QSIZE:0 " timeout 5 cat "$here/qtfs-there"
fi

begin "mqueue: who waits here is woken by a message there, and sees its size"
if has mqueue; then
	python3 -IS - "$here/qtfs-there" <<-'END' >"$TMP/woken" &
		import os, select, sys
		fd = os.open(sys.argv[1], os.O_RDONLY)
		poll = select.epoll()
		poll.register(fd, select.EPOLLIN)
		assert poll.poll(0.3) == [], "woken too early"
		print("waits", flush=True)
		events = poll.poll(60)
		assert events and events[0][1] & select.EPOLLIN, events
		print(os.pread(fd, 100, 0).decode().split()[0])
	END
	waiter=$!
	wait_until 30 grep -q waits "$TMP/woken" || fail "it never waited"
	on_host "python3 -IS -" <<-'END' || fail "the host cannot send"
		import ctypes, os, sys
		libc = ctypes.CDLL(None, use_errno=True)
		queue = libc.mq_open(b"/qtfs-there", os.O_WRONLY)
		if queue < 0 or libc.mq_send(queue, b"hello", ctypes.c_size_t(5), 0) < 0:
		    sys.exit(os.strerror(ctypes.get_errno()))
	END
	expect_exit 0 wait $waiter
	expect_output "waits QSIZE:5" xargs -a "$TMP/woken"
	expect_match "^QSIZE:5 " timeout 5 cat "$here/qtfs-there"
fi

begin "tail -f shows what is appended there"
on_host "echo first >$SRV/growing"
tail -s 0.2 -n +1 -f "$DIR/growing" >"$TMP/tail" 2>/dev/null &
follower=$!
wait_until 10 grep -q first "$TMP/tail" || fail "nothing"
for line in second third; do
	on_host "echo $line >>$SRV/growing"
	wait_until 30 grep -q $line "$TMP/tail" || fail "no $line line"
done
kill $follower
wait $follower 2>/dev/null
expect_output "first second third" xargs -a "$TMP/tail"

begin "a watchdog of the server, fed from here"
dog=$(on_host "modprobe -q softdog soft_noboot=1
	grep -lx 'Software Watchdog' /sys/class/watchdog/*/identity 2>/dev/null")
dog=${dog%%/identity*}

# dog_is STATE: as the host's sysfs says
dog_is() {
	on_host "grep -qx $1 $dog/state"
}

if [ -z "$dog" ]; then
	skip "the host's kernel has no softdog"
else
	DEV=/dev/${dog##*/}
	at_end on_host "printf V >$DEV; modprobe -qr softdog"
	engine_at $PORT --export "/,dev"
	expect_ok mount -t qtfs -o "port=$PORT,dev=remote" "$QTFS_HOST_IP:/" "$OTHER"
	at_end umount -l "$OTHER"
	expect_ok dog_is inactive
	exec 9>"$OTHER$DEV"
	expect_ok dog_is active
	expect_fail EBUSY sh -c ": >$OTHER$DEV"
	python3 -IS - <<-'END' || fail "its ioctls"
		import errno, fcntl, struct
		def ask(command, value=0):
		    return struct.unpack("i", fcntl.ioctl(9, command, struct.pack("i", value)))[0]
		def refused(command, value=0):
		    try:
		        return ask(command, value)
		    except OSError as e:
		        return errno.errorcode[e.errno]
		support = fcntl.ioctl(9, 0x80285700, bytes(40))  # WDIOC_GETSUPPORT
		assert support[8:].rstrip(b"\0") == b"Software Watchdog", support
		assert ask(0xC0045706, 300) == 300  # WDIOC_SETTIMEOUT
		assert ask(0x80045707) == 300  # WDIOC_GETTIMEOUT
		assert refused(0xC0045706, 10**6) == "EINVAL"
		ask(0x80045705)  # WDIOC_KEEPALIVE
		assert refused(0x80045703) == "ENOTTY"  # WDIOC_GETTEMP, which is not among ours
	END
	expect_output 300 on_host cat "$dog/timeout"
	printf x >&9
	exec 9>&-
	wait_until 10 on_host "dmesg | grep -q 'watchdog did not stop'" || fail "it is not missed there"
	expect_ok dog_is active
	exec 9>"$OTHER$DEV"
	printf V >&9
	exec 9>&-
	wait_until 10 dog_is inactive || fail "the magic close does not stop it"
	expect_ok umount "$OTHER"
fi
