#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Soft mounts: a server that does not answer makes calls fail with ETIMEDOUT,
# and nothing that they may have been given is left behind.
. "$(dirname "$0")/lib.sh"

PORT=12471
OTHER=$TMP/other
mkdir "$OTHER"
at_end umount -f "$OTHER"

# signal NAME: to the engine
signal() {
	on_host "kill -$1 \$(cat /run/qtfs-engine-$PORT.pid)"
}

start() {
	engine_at $PORT --export /srv
	mount -t qtfs -o "port=$PORT,actimeo=0,$1" "$QTFS_HOST_IP:$SRV" "$OTHER" ||
		bail "cannot mount"
}

# timed_out CMD...: run at once, to be asked by all_timed_out
timed_out() {
	"$@" >"$TMP/said.${#calls[@]}" 2>&1 &
	calls+=("$!:$*")
}

all_timed_out() {
	local i=0 call
	for call in "${calls[@]}"; do
		wait "${call%%:*}" && fail "${call#*:}: succeeded"
		error_text ETIMEDOUT
		grep -q "$text" "$TMP/said.$i" ||
			fail "${call#*:}: $(cat "$TMP/said.$i")"
		i=$((i + 1))
	done
	calls=()
}

# Whether the engine holds no file of that name open; nodes' descriptors, which
# are O_PATH, do not count.
closed_there() {
	! on_host "
		cd /proc/\$(cat /run/qtfs-engine-$PORT.pid)/fd || exit
		for fd in *; do
			[ \"\$(readlink \$fd)\" = $SRV/$1 ] || continue
			flags=\$(sed -n 's/^flags:\t*//p' ../fdinfo/\$fd)
			[ \$((flags & 010000000)) = 0 ] && echo open
		done" | grep -q open
}

begin "the options are checked and shown"
start soft,timeo=10,retrans=1
expect_match ',soft,timeo=10,retrans=1' grep " $OTHER " /proc/mounts
expect_ok mount -o remount,ro "$OTHER"
expect_ok mount -o remount,rw "$OTHER"
expect_says "remount cannot change" mount -o remount,timeo=20 "$OTHER"
mkdir "$TMP/more"
for bad in timeo=0 timeo=864001 retrans=0 retrans=101; do
	expect_says "${bad%=*}" mount -t qtfs -o "port=$PORT,$bad" "$QTFS_HOST_IP:$SRV" "$TMP/more"
done
grep " $MNT " /proc/mounts | grep -qE 'soft|timeo' && fail "hard mounts are shown as soft"

begin "who waits for a lock waits, as long as the server answers"
put "$DIR/lock" ""
on_host "exec flock $SRV/lock sleep 1000" &
holder=$!
wait_until 10 sh -c "! flock -n $DIR/lock true" || fail "nobody holds the lock"
flock "$OTHER/lock" true &
waiter=$!
for _ in 1 2 3 4 5 6; do
	expect_waiting $waiter	# half a second each; its time is one second
done
on_host "pkill -f '^sleep 1000\$'"
expect_exit 0 wait $waiter
wait $holder

begin "a server that stands still: calls fail"
put "$DIR/file" content
put "$DIR/once" content
head -c 4M /dev/urandom >"$DIR/big"
sync -f "$DIR"
expect_output content cat "$OTHER/once"
calls=()
signal STOP
timed_out cat "$OTHER/file"
timed_out ls "$OTHER"
timed_out stat "$OTHER/big"
timed_out touch "$OTHER/new"
timed_out mkdir "$OTHER/dir"
timed_out df "$OTHER"
timed_out getfattr -n user.x "$OTHER/file"
all_timed_out

begin "and go on when it goes on; what they opened is closed"
signal CONT
wait_until 20 ls "$OTHER" || fail "the mount does not go on"
expect_output content cat "$OTHER/file"
for name in file new; do
	wait_until 20 closed_there $name || fail "$name stays open at the server"
done
wait_until 20 sh -c "[ \$(qtinfo --json mounts | jq '[.[].inflight] | add') = 0 ]" ||
	fail "requests are left: $(qtinfo mounts)"

begin "files that are open: reads and writes fail, and say so once"
exec 6<"$OTHER/big" 7<>"$OTHER/file" 8<"$OTHER/lock"
signal STOP
timed_out sh -c "dd of=/dev/null bs=1M skip=2 <&6"
timed_out flock 8
timed_out sh -c "dd if=/dev/zero bs=64k count=2 conv=notrunc,fsync >&7"
all_timed_out
signal CONT
wait_until 20 ls "$OTHER" || fail "the mount does not go on"
expect_ok sync "$OTHER/file"
expect_same "$OTHER/big" "$DIR/big"
# What was in the cache and could not be written is gone from it.
expect_eq "$(sha256sum <"$DIR/file")" "$(sha256sum <"$OTHER/file")" "the file's contents"
echo again >&7 || fail "cannot write any more"
exec 6<&- 7>&-

begin "a lock that could not be had in time is nobody's"
wait_until 20 on_host flock -n "$SRV/lock" true || fail "it is held"
expect_ok flock -n 8
exec 8<&-

begin "unmounting a server that stands still ends"
echo text >"$OTHER/file"
exec 7<>"$OTHER/file"
echo dirty >&7
signal STOP
exec 7>&-
umount "$OTHER" || fail "cannot unmount"
signal KILL

begin "a lost connection is one that does not answer"
start soft,timeo=5,retrans=2
exec 7<>"$OTHER/file"
signal KILL
wait_until 10 sh -c "qtinfo mounts | grep -q lost" || fail "nobody notices"
timed_out cat "$OTHER/big"
timed_out mkdir "$OTHER/dir2"
all_timed_out
echo dirty >&7
timed_out sh -c "dd if=/dev/null conv=notrunc,fsync >&7"
all_timed_out
exec 7>&-
umount "$OTHER" || fail "cannot unmount"

begin "a network that is cut"
if [ "$QTFS_HOST_IP" = "$QTFS_CLIENT_IP" ]; then
	skip "one machine is both ends"
else
	start soft,timeo=10,retrans=1
	exec 6<"$OTHER/big"
	link_down
	timed_out ls "$OTHER"
	timed_out sh -c "dd of=/dev/null bs=1M skip=3 <&6"
	all_timed_out
	link_up
	wait_until 60 ls "$OTHER" || fail "the mount does not go on"
	expect_same "$OTHER/big" "$DIR/big"
	exec 6<&-
fi
