#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The tools that look after a machine, run here and looking after the server:
# its processes, memory, processors, network, parameters, control groups.
. "$(dirname "$0")/lib.sh"
need ps top free pgrep lscpu lsblk sysctl unshare python3

on_host "sleep 1007 </dev/null >/dev/null 2>&1 & echo \$! >$SRV/pid"
PID=$(cat "$DIR/pid")
at_end on_host "kill $PID"

# there CMD...: with the server's /proc and /sys in place of our own. ps wants to find its own number:
# in a PID namespace of its own that is 1, which is always there.
there() {
	unshare -fpm sh -c "mkdir -p /local_proc && mount -t proc proc /local_proc &&
		mount --bind $MNT/proc /proc && mount --bind $MNT/sys /sys && exec \"\$@\"" \
		sh "$@"
}

begin "ps and pgrep: the server's processes, by its numbers"
expect_output "$PID sleep 1007" sh -c "$(declare -f there); MNT=$MNT
	there ps -p $PID -o pid=,args= | sed 's/^ *//'"
# User-mode Linux does not tell ps when it started.
! ps -ef >/dev/null 2>&1 || expect_match "$PID .* sleep 1007" there ps -ef
expect_output "$PID" there pgrep -f "^sleep 1007\$"

begin "top, free"
expect_match "^ *$PID .* sleep" there top -b -n 1 -w 200
expect_eq "$(on_host "awk '/MemTotal/ { print \$2 }' /proc/meminfo")" \
	"$(there free -k | awk '/^Mem:/ { print $2 }')" "free's total"

begin "lscpu, lsblk"
expect_match "^0,0" lscpu --sysroot "$MNT" -p=CPU,CORE
expect_eq "$(on_host lscpu -p=CPU,CORE | grep -v '^#')" \
	"$(lscpu --sysroot "$MNT" -p=CPU,CORE | grep -v '^#')" lscpu
on_host "modprobe -q loop; truncate -s 8M $SRV/image; losetup -f --show $SRV/image" >"$TMP/loop"
at_end on_host "losetup -d $(cat "$TMP/loop")"
want=$(on_host lsblk -rno NAME,SIZE,TYPE | sort)
expect_match "$(basename "$(cat "$TMP/loop")") 8M loop" echo "$want"
expect_eq "$want" "$(lsblk --sysroot "$MNT" -rno NAME,SIZE,TYPE | sort)" lsblk

begin "sysctl reads and writes"
old=$(on_host cat /proc/sys/vm/swappiness)
expect_output "vm.swappiness = $old" there sysctl vm.swappiness
expect_ok there sysctl -qw vm.swappiness=41
expect_output 41 on_host cat /proc/sys/vm/swappiness
on_host "echo $old >/proc/sys/vm/swappiness"
expect_output "kernel.ostype = Linux" there sysctl kernel.ostype

begin "network and mounts are the server's"
expect_same <(on_host cat /proc/1/net/dev | cut -d: -f1) <(cut -d: -f1 "$MNT/proc/net/dev")
expect_eq "$(on_host "ls /sys/class/net")" "$(there ls /sys/class/net)" "interfaces"
expect_match " /srv " there cat /proc/1/mounts

# As `ip -s link` shows them.
begin "what the server's network counts is what it has counted until now"
for counter in rx_bytes tx_packets; do
	file=/sys/class/net/lo/statistics/$counter
	before=$(on_host "cat $file; echo x >/dev/udp/127.0.0.1/9")
	now=$(cat "$MNT$file")
	after=$(on_host cat $file)
	[ "$before" -lt "$now" ] || fail "$counter: $now, expected more than $before"
	[ "$now" -le "$after" ] || fail "$counter: $now, expected $after at most"
done

begin "reading the kernel's messages waits for the next"
if ! on_host "test -r /proc/kmsg && test -w /dev/kmsg"; then
	skip "the host has no /proc/kmsg or no /dev/kmsg"
else
	timeout 60 grep -m 1 -a "a word from $PID" "$MNT/proc/kmsg" >"$TMP/kmsg" &
	reader=$!
	expect_waiting $reader
	on_host "echo '<6>a word from $PID' >/dev/kmsg"
	expect_ok wait $reader
	expect_match "a word from $PID" cat "$TMP/kmsg"
fi

CGROUP=$MNT/sys/fs/cgroup
begin "control groups: made, filled, limited, seen"
if ! on_host "grep -q memory /sys/fs/cgroup/cgroup.controllers"; then
	skip "no memory controller"
else
	group=$CGROUP/qtfs-test
	at_end on_host "echo $PID >/sys/fs/cgroup/cgroup.procs; rmdir /sys/fs/cgroup/qtfs-test"
	put "$CGROUP/cgroup.subtree_control" +memory
	expect_ok mkdir "$group"
	expect_output 1 on_host "ls -d /sys/fs/cgroup/qtfs-test | wc -l"
	expect_match "^populated 0" cat "$group/cgroup.events"
	put "$group/cgroup.procs" "$PID"
	expect_output "$PID" cat "$group/cgroup.procs"
	expect_match "^0::/qtfs-test" cat "$MNT/proc/$PID/cgroup"
	put "$group/memory.max" 64M
	expect_output 67108864 on_host cat /sys/fs/cgroup/qtfs-test/memory.max
	expect_output 67108864 cat "$group/memory.max"
	expect_fail EINVAL bash -c "echo much >$group/memory.max"
	expect_fail EBUSY rmdir "$group"
fi

begin "systemd-cgls shows them"
if ! command -v systemd-cgls >/dev/null; then
	skip "no systemd-cgls"
elif [ ! -d "$CGROUP/qtfs-test" ]; then
	skip "no memory controller"
else
	expect_match "qtfs-test" there systemd-cgls --no-pager /sys/fs/cgroup
fi

cat >"$TMP/wait.py" <<-'END'
	import os, select, sys
	fd = os.open(sys.argv[1], os.O_RDONLY)
	os.read(fd, 4096)
	poll = select.epoll()
	poll.register(fd, select.EPOLLPRI | select.EPOLLERR)
	assert poll.poll(0.3) == [], "woken too early"
	print("waits", flush=True)
	events = poll.poll(60)
	assert events and events[0][1] & select.EPOLLPRI, events
	print(os.pread(fd, 4096, 0).decode(), end="")
END

# wait_here FILE: $waiter waits for a change of it, and leaves in $TMP/woken what it says then
wait_here() {
	python3 -IS "$TMP/wait.py" "$1" >"$TMP/woken" &
	waiter=$!
	wait_until 60 grep -q waits "$TMP/woken" || fail "it never waited"
}

begin "who waits for a control group's memory to run short is woken"
if [ ! -d "$CGROUP/qtfs-test" ]; then
	skip "no memory controller"
else
	put "$CGROUP/qtfs-test/memory.max" 8M
	expect_match "^max 0\$" cat "$CGROUP/qtfs-test/memory.events"
	truncate -s 32M "$DIR/hole"
	wait_here "$CGROUP/qtfs-test/memory.events"
	# Pages of a file, which make room for the next: nothing is killed.
	expect_ok on_host "echo \$\$ >/sys/fs/cgroup/qtfs-test/cgroup.procs && cat $SRV/hole >/dev/null"
	expect_exit 0 wait $waiter
	expect_match "^max [1-9]" cat "$TMP/woken"
	expect_match "^oom_kill 0\$" cat "$CGROUP/qtfs-test/memory.events"
fi

begin "who waits for a change of a control group is woken"
if [ ! -d "$CGROUP/qtfs-test" ]; then
	skip "no memory controller"
else
	expect_match "^populated 1" cat "$CGROUP/qtfs-test/cgroup.events"
	wait_here "$CGROUP/qtfs-test/cgroup.events"
	on_host "echo $PID >/sys/fs/cgroup/cgroup.procs"
	expect_exit 0 wait $waiter
	expect_match "^populated 0" cat "$TMP/woken"
	expect_ok rmdir "$CGROUP/qtfs-test"
	expect_status 1 on_host "test -e /sys/fs/cgroup/qtfs-test"
fi
