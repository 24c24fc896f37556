#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kill -9 at any moment, of programs, of the agent and of an engine, while others connect, bind, pass
# descriptors and wait for FIFOs: nothing of it stays, at either end.
. "$(dirname "$0")/lib.sh"
need python3 jq

US=$PROGRAMS/unix-socket
FD=$LIB_DIR/fd-passing
PORT=12454
OTHER=$TMP/other
ROUNDS=3
[[ ${QTFS_KERNEL-} != @(debug|um) ]] || ROUNDS=2
mkdir "$OTHER"
at_end umount -f "$OTHER"
on_host "mkfifo $SRV/fifo; chmod 666 $SRV/fifo"

mount_other() {
	engine_at $PORT --export "$SRV"
	mount -t qtfs -o port=$PORT "$QTFS_HOST_IP:$SRV" "$OTHER" || bail "cannot mount"
}

# served COMMAND NAME: a program of the server's, until the test ends
served() {
	on_host "setsid $1 </dev/null >/dev/null 2>&1 & echo \$!
		until [ -S $SRV/$2 ]; do sleep 0.05; done" >"$TMP/pid" || bail "no $2"
	at_end on_host "kill $(cat "$TMP/pid")"
}

# storm N: uses all of it, until it is killed
storm() {
	while :; do
		timeout 5 "$US" many "$OTHER/echo" 5
		timeout 5 "$FD" pipes "$OTHER/there" "$OTHER"
		timeout 1 "$US" serve stream "$OTHER/own$1"
		rm -f "$OTHER/own$1"
		timeout 1 cat "$OTHER/fifo"
	done >/dev/null 2>&1 </dev/null
}

# storm_there N: connects to what storm N binds
storm_there() {
	while :; do
		on_host "timeout 2 $US talk stream $SRV/own$1 x"
	done >/dev/null 2>&1 </dev/null
}

# Programs of either machine that listen by one of those names
nobody_listens() {
	! { cat /proc/net/unix && on_host cat /proc/net/unix; } |
		grep -qE ' 00010000 .*/own[0-9]+(\.new)?$'
}

no_reader() {
	python3 -IS -c 'import errno, os, sys
try:
    os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
except OSError as e:
    sys.exit(e.errno != errno.ENXIO)
sys.exit(1)' "$DIR/fifo"
}

# stormy COMMAND...: which kills somebody, after any time; $pids are the programs by then
stormy() {
	local n pid
	set -m
	pids=()
	for n in 1 2 3; do
		storm $n &
		pids+=($!)
		storm_there $n &
		pids+=($!)
	done
	set +m
	sleep "1.$((RANDOM % 10))"
	"$@"
	for pid in "${pids[@]}"; do
		kill -KILL -- "-$pid" 2>/dev/null
	done
	for pid in "${pids[@]}"; do
		wait_until 10 gone "$pid" || fail "$pid stays: $(cat "/proc/$pid/wchan")"
		wait "$pid" 2>/dev/null
	done
}

nothing_left() {
	wait_until 20 nobody_listens ||
		fail "$({ cat /proc/net/unix && on_host cat /proc/net/unix; } | grep /own)"
	wait_until 20 agent_idle || fail "the agent keeps $(ls -l "/proc/$agent/fd")"
	wait_until 20 no_reader || fail "somebody has the FIFO open"
}

mount_other
served "$US serve stream $SRV/echo" echo
served "$FD serve $SRV/there $SRV" there
agent_start --log-level info

begin "programs"
for ((i = 0; i < ROUNDS; i++)); do
	stormy :
done
nothing_left

begin "the agent"
for ((i = 0; i < ROUNDS; i++)); do
	stormy agent_stop KILL
	agent_start --log-level info
done
nothing_left
expect_ok umount "$OTHER"

begin "the engine"
for ((i = 0; i < ROUNDS; i++)); do
	[ "$i" -eq 0 ] || on_host "rm -f $SRV/own*"
	mount_other
	stormy on_host "kill -KILL \$(cat /run/qtfs-engine-$PORT.pid)"
	umount -f "$OTHER" 2>/dev/null
	! mountpoint -q "$OTHER" || wait_until 10 umount "$OTHER" || fail "cannot unmount"
done
nothing_left

begin "everything goes on"
mount_other
expect_output 5 "$US" many "$OTHER/echo" 5
expect_ok umount "$OTHER"
wait_until 10 sh -c "[ \$(qtinfo --json mounts | jq length) = 1 ]" || fail "$(qtinfo mounts)"
