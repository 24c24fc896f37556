#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Thousands of connections to unix sockets at a time, in both directions.
. "$(dirname "$0")/lib.sh"
need qtfs-agent

US=$PROGRAMS/unix-socket
MANY=3000
ulimit -n 16384
agent_start --log-level info

# idle: what the agent keeps of connections
idle() {
	[ "$(find "/proc/$agent/fd" -lname 'socket:*' | wc -l)" -le 1 ]
}

begin "10,000 FIFOs to which nothing happens"
expect_ok env QTFS_IDLE=10000 "$PROGRAMS/poll_files" -t an_idle_set_costs_nothing

begin "to a program of the server"
on_host "ulimit -n 16384; setsid $US serve stream $SRV/crowd </dev/null >/dev/null 2>&1 & echo \$!" >"$TMP/pid"
at_end on_host "kill $(cat "$TMP/pid")"
wait_until 20 test -S "$DIR/crowd" || bail "no server"
expect_output $MANY "$US" many "$DIR/crowd" $MANY
wait_until 60 idle || fail "the agent keeps some"

begin "to a program of this machine"
"$US" serve stream "$DIR/here" </dev/null >/dev/null 2>&1 &
at_end kill $!
wait_until 20 test -S "$DIR/here" || bail "no server here"
expect_output $MANY on_host "ulimit -n 16384; $US many $SRV/here $MANY"
