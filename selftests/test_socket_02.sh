#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Programs of both machines pass each other descriptors over unix sockets.
. "$(dirname "$0")/lib.sh"
need python3

FD=$LIB_DIR/fd-passing

# started HOW NAME ARG...: a program until the test ends; HOW is there or here
started() {
	local how=$1 name=$2 command
	shift 2
	command="setsid $FD $* </dev/null & echo \$!
		until [ -S $name ]; do [ -d /proc/\$! ] || exit 1; sleep 0.05; done"
	if [ "$how" = there ]; then
		on_host "$command" >"$TMP/pid" || bail "no server for $name"
		at_end on_host "kill $(cat "$TMP/pid")"
	else
		sh -c "$command" >"$TMP/pid" || bail "no server for $name"
		at_end kill "$(cat "$TMP/pid")"
	fi
}

agent_idle() {
	[ "$(find "/proc/$agent/task" -mindepth 1 -maxdepth 1 | wc -l)" -le "$1" ]
}

# case CASE TEXT: both ways
both() {
	begin "$1, from the client"
	expect_output "$2" timeout 60 "$FD" "$1" "$DIR/there" "$DIR"
	clean
	begin "$1, from the server"
	expect_output "$2" on_host "timeout 60 $FD $1 $SRV/here $SRV"
	clean
}

clean() {
	find "$DIR" -mindepth 1 ! -type s -delete
}

agent_start --log-level debug
started there "$SRV/there" serve "$SRV/there" "$SRV"
started here "$DIR/here" serve "$DIR/here" "$DIR"

both file "tent
same
CONTENT
0
!ONTENT"
both nameless "without a name"
both modes "EBADF
0
firstsecond"
both locks "EAGAIN
kept
EAGAIN
dropped
0"
both several "one|pipe|two|three
240
in"
both pipes "120000
0
back
1
broken pipe"
both sockets "question
answer
ended"
both take-file "content
same
CONTENT"
both take-nameless "0 without a name"
both take-folder "file
inside
True ['down']"
both take-pipes "through
and back"
both round-trip "same
content
0
without a name"
both take-socket "hello
good bye"
both memory ended
both take-memory ended

begin "a file on another of the server's filesystems"
expect_output root "$FD" take-elsewhere "$DIR/there" "$DIR"

begin "datagrams bring some, too"
started there "$SRV/datagrams" datagrams "$SRV/datagrams"
expect_ok "$FD" datagram "$DIR/datagrams" "$DIR"
wait_until 5 grep -q written "$DIR/mark" || fail "nothing is written"
started here "$DIR/letters" datagrams "$DIR/letters"
expect_ok on_host "$FD datagram $SRV/letters $SRV"
wait_until 5 on_host "grep -q written $SRV/mark" || fail "nothing is written here"

begin "what cannot be passed is told"
grep -q "passes a descriptor that cannot be passed on" "$TMP/agent.log" ||
	fail "$(cat "$TMP/agent.log")"

begin "no threads stay but those for the sockets"
wait_until 15 agent_idle 4 || fail "$(ls "/proc/$agent/task")"
