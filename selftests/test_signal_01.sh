#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# SIGKILL at any moment: nobody stays, nothing leaks, the mount goes on.
. "$(dirname "$0")/lib.sh"

# Files below $SRV that the engine has open for reading or writing; what it
# keeps to name a node (O_PATH) does not count.
opens() {
	on_host "cd /proc/\$(cat /run/qtfs-engine.pid)
		find fd -lname '$SRV/*' -printf 'fdinfo/%f\n' |
			xargs -r grep -hs '^flags:' | grep -vc '1.......\$'"
}

no_opens() {
	[ "$(opens)" = 0 ]
}

none_stuck() {
	! pgrep -r D -f "$DIR"
}

reader() {
	while :; do cat "$DIR/big" >/dev/null; done
}

writer() {
	while :; do
		dd if=/dev/zero of="$DIR/out$1" bs=300k count=10 2>/dev/null
	done
}

maker() {
	while :; do
		touch "$DIR/m$1"
		mv "$DIR/m$1" "$DIR/n$1"
		rm "$DIR/n$1"
	done
}

lister() {
	while :; do ls -lR "$DIR" >/dev/null; done
}

syncer() {
	while :; do
		dd if=/dev/zero of="$DIR/sync$1" bs=50k count=4 oflag=direct 2>/dev/null
		dd if=/dev/zero of="$DIR/sync$1" bs=1k count=4 oflag=append conv=notrunc 2>/dev/null
	done
}

head -c 8M /dev/urandom | put "$DIR/big"
sum=$(sha256sum <"$DIR/big")
mkdir "$DIR/many" && (cd "$DIR/many" && touch f{1..100})

begin "processes killed while they read, write, create and list"
for ((round = 0; round < 8; round++)); do
	set -m
	for kind in reader writer maker lister syncer; do
		$kind $round &
	done
	set +m
	# Any moment will do: how far they get differs from round to round.
	sleep "0.$((round * 7 % 10))"
	for job in $(jobs -p); do
		kill -KILL -- "-$job"
	done
	for job in $(jobs -p); do
		wait_until 5 gone "$job" || fail "round $round: $job does not die"
	done
	wait 2>/dev/null
done

begin "none is left in uninterruptible sleep"
wait_until 5 none_stuck || fail "$(pgrep -a -r D -f "$DIR")"

begin "the mount goes on"
expect_eq "$sum" "$(sha256sum <"$DIR/big")" "sum of a file"
expect_ok touch "$DIR/after"
expect_ok test -e "$DIR/after"
expect_output 100 sh -c "ls $DIR/many | wc -l"
expect_match connected qtinfo mounts

begin "what was left open is closed at the server"
wait_until 15 no_opens || fail "$(opens) files of killed processes stay open"

begin "none of it was taken for an error of the protocol"
expect_output 0 sh -c "qtinfo --json stats $MNT | jq .protocol_errors"

begin "what a killed caller waited for at the server ends there too, and counts"
# How often the engine has interrupted a call of its own.
cancelled() {
	on_host "kill -USR1 \$(cat /run/qtfs-engine.pid); sleep 0.3
		sed -n 's/.* cancelled=\([0-9]*\).*/\1/p' /run/qtfs-engine.log | tail -n 1"
}
one_more() {
	[ "$(cancelled)" -gt "$before" ]
}
cut_short() {
	qtinfo --json stats "$MNT" | jq .cancels
}
before=$(cancelled)
before_here=$(cut_short)
cat "$MNT/proc/kmsg" >/dev/null &
reader=$!
expect_waiting $reader
kill -KILL $reader
wait_until 10 one_more || fail "it still reads /proc/kmsg"
[ "$(cut_short)" -gt "$before_here" ] || fail "$(cut_short) calls, before $before_here"

begin "nothing is under way, nothing waits to be sent"
idle() {
	[ "$(qtinfo --json mounts | jq '[.. | .in_flight?, .inflight? | numbers] | add // 0')" = 0 ]
}
wait_until 15 idle || fail "$(qtinfo mounts)"
