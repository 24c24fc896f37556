#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# An engine that stands still, or is gone: callers wait, can be killed, and the
# mount can be removed. A mount of its own, so that $MNT stays.
. "$(dirname "$0")/lib.sh"

PORT=12431
OTHER=$TMP/other
mkdir "$OTHER"
at_end umount -f "$OTHER"

# signal NAME: to the engine
signal() {
	on_host "kill -$1 \$(cat /run/qtfs-engine-$PORT.pid)"
}

start() {
	engine_at $PORT --export /srv
	mount -t qtfs -o port=$PORT,actimeo=0 "$QTFS_HOST_IP:$SRV" "$OTHER" ||
		bail "cannot mount"
}

# killed PID: it dies within a second of SIGKILL
killed() {
	kill -KILL "$1"
	wait_until 1 gone "$1" || fail "$(cat /proc/"$1"/comm /proc/"$1"/wchan) does not die"
}

lost() {
	qtinfo mounts | grep -q lost
}

# Waiting is quick: what takes long is what went wrong.
seconds() {
	local start=$SECONDS
	"$@" || fail "$*: status $?"
	[ $((SECONDS - start)) -le 5 ] || fail "$*: took $((SECONDS - start)) s"
}

put "$DIR/file" content
head -c 4M /dev/zero | put "$DIR/big"
start

begin "callers of an engine that stands still wait, and die by SIGKILL"
holders=()
for what in "echo text >&7" ":"; do
	sh -c "exec 7>$OTHER/held${#holders[@]}; $what; exec sleep 1000" &
	holders+=($!)
done
wait_until 10 test -e "$OTHER/held1" || fail "no file"
signal STOP
pids=()
cat "$OTHER/file" & pids+=($!)
ls "$OTHER" & pids+=($!)
stat "$OTHER/big" & pids+=($!)
touch "$OTHER/new" & pids+=($!)
dd if=/dev/zero of="$OTHER/big" bs=1M count=2 conv=notrunc,fsync & pids+=($!)
df "$OTHER" & pids+=($!)
getfattr -n user.x "$OTHER/file" & pids+=($!)
mkdir "$OTHER/dir" & pids+=($!)
readlink -f "$OTHER/link" & pids+=($!)
for pid in "${pids[@]}"; do
	expect_waiting "$pid"
done
for pid in "${pids[@]}"; do
	killed "$pid"
done

begin "so do those who would only close a file that they have written"
for pid in "${holders[@]}"; do
	killed "$pid"
done

begin "it goes on: those who still wait are answered"
cat "$OTHER/file" >"$TMP/out" &
expect_waiting $!
signal CONT
expect_exit 0 wait $!
expect_output content cat "$TMP/out"
wait_until 10 ls "$OTHER" || fail "the mount does not go on"
wait_until 40 on_host "grep -q text $SRV/held0" || fail "what was written is lost"

begin "umount -f while it stands still"
signal STOP
cat "$OTHER/file" 2>"$TMP/err" &
pid=$!
expect_waiting $pid
seconds sh -c "umount -f $OTHER 2>/dev/null || { sleep 1; umount $OTHER; }"
wait_until 2 gone $pid || fail "the caller still waits"
error_text EIO
grep -q "$text" "$TMP/err" || fail "the caller's error: $(cat "$TMP/err")"
mountpoint -q "$OTHER" && fail "still mounted"
signal CONT
signal TERM

begin "a killed engine makes callers wait, killably"
start
expect_output content cat "$OTHER/file"
exec 7>"$OTHER/open"
echo before >&7
signal KILL
wait_until 10 lost || fail "not noticed: $(qtinfo mounts)"
cat "$OTHER/big" >/dev/null &
pid=$!
ls "$OTHER" >/dev/null &
pid2=$!
sh -c "echo x >$OTHER/y" &
pid3=$!
for p in $pid $pid2 $pid3; do
	expect_waiting "$p"
	killed "$p"
done

begin "umount -f then lets everybody go"
cat "$OTHER/file" 2>/dev/null &
pid=$!
expect_waiting $pid
umount -f "$OTHER" 2>/dev/null
wait_until 2 gone $pid || fail "still waits"
expect_fail EIO python3 -IS -c 'import os; os.write(7, b"after"); os.fsync(7)'
exec 7>&-
mountpoint -q "$OTHER" && seconds umount "$OTHER"

begin "an idle mount of a dead engine unmounts plainly"
start
expect_output content cat "$OTHER/file"
signal KILL
wait_until 10 lost || fail "not noticed"
seconds umount "$OTHER"

begin "with data that was not written it unmounts too, by force"
start
exec 7>"$OTHER/unwritten"
head -c 2M /dev/zero >&7
signal KILL
wait_until 10 lost || fail "not noticed"
# close() would wait for the server: it is killed in a process of its own.
umount -f "$OTHER" 2>/dev/null
exec 7>&-
mountpoint -q "$OTHER" && seconds umount "$OTHER"

begin "a new engine can be mounted, the first mount never noticed"
start
expect_output content cat "$OTHER/file"
seconds umount "$OTHER"
signal TERM
expect_output content cat "$DIR/file"
