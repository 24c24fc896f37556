#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The channel vsock, from this machine to itself: mounting, files, and what
# goes wrong.
. "$(dirname "$0")/lib.sh"

OTHER=$TMP/other
TREE=$TMP/tree
PORT=12421
LOG=$TMP/engine.log

# Whether a connection to this machine's own CID gets as far as a refusal.
loopback() {
	python3 -IS - <<-'END'
		import errno, socket, sys
		s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
		sys.exit(s.connect_ex((1, 1)) != errno.ECONNRESET)
	END
}

modprobe -q vsock_loopback
need python3
loopback 2>/dev/null || skip_all "no vsock loopback"

mkdir "$OTHER" "$TREE"

# serve: an engine of this machine, without a key
serve() {
	"$QTFS_BUILD/engine" 256 2 --listen "vsock:any:$PORT" --export "$TREE" \
		</dev/null >>"$LOG" 2>&1 &
	engine=$!
	wait_until 20 grep -q "threads, io_uring" "$LOG" ||
		bail "no engine: $(tail -n 3 "$LOG")"
}

stop_engine() {
	kill "$engine"
}

serve
at_end stop_engine
at_end umount -f "$OTHER"

begin "addresses that are none are named"
fails_within 3 "server 'pigeon' is not a CID" "vsock:pigeon:/"
fails_within 3 "server '4294967295' is not a CID" "vsock:4294967295:/"
fails_within 3 "server '10.0.0.1' is not a CID" -o trans=vsock,server=10.0.0.1 /
fails_within 3 "the port is an option" "vsock:1:$PORT:/"
fails_within 3 "channel vsock.*trans= tcp" -o trans=tcp vsock:1:/
fails_within 3 "port=4294967295 is not between 1 and 4294967294" \
	-o port=4294967295 vsock:1:/
fails_within 3 "port=65536 is not between 1 and 65535" \
	-o port=65536,trans=tcp "$QTFS_HOST_IP:/"

begin "nobody listens: refused at once"
fails_within 3 "vsock:1:4294967294: connection refused: no engine listens there" \
	-o port=4294967294 vsock:local:/
for _ in {1..20}; do
	expect_status 32 mount -i -t qtfs -o port=4294967294 vsock:1:/ "$OTHER"
done

begin "a CID that nothing leads to"
fails_within 5 "no device of this machine leads there|cannot be reached|no answer within" \
	-o port=$PORT,connect_timeout=2 vsock:7777:/

begin "mounts by number and by name, in every way to say it"
for source in vsock:1: vsock:local:; do
	expect_ok mount -t qtfs -o port=$PORT "$source$TREE" "$OTHER"
	expect_match "^$source$TREE $OTHER qtfs .*trans=vsock,addr=vsock:1:$PORT" \
		grep " $OTHER " /proc/mounts
	expect_ok umount "$OTHER"
done
expect_ok mount -t qtfs -o trans=vsock,server=1,port=$PORT "$TREE" "$OTHER"
expect_ok umount "$OTHER"
expect_ok mount -t qtfs -o trans=vsock,port=$PORT "1:$TREE" "$OTHER"
expect_ok umount "$OTHER"

begin "the kernel understands it without the helper, too"
expect_ok mount -i -t qtfs -o port=$PORT "vsock:local:$TREE" "$OTHER"
expect_ok umount "$OTHER"
expect_status 32 mount -i -t qtfs -o trans=tcp vsock:1:/ "$OTHER"
expect_match "the source names channel vsock, the option trans= tcp" \
	sh -c "dmesg | sed '1,/$MARK/d'"

begin "qtinfo shows channel, address, and how many connections"
expect_ok mount -t qtfs -o port=$PORT,nconnect=3 "vsock:1:$TREE" "$OTHER"
expect_match "vsock:1:$PORT" qtinfo mounts
expect_output vsock sh -c "qtinfo --json mounts |
	jq -r '.[] | select(.source == \"vsock:1:$TREE\") | .channel'"
expect_output 3 sh -c "qtinfo --json mounts |
	jq '.[] | select(.source == \"vsock:1:$TREE\") | .connections'"

begin "files are listed, read and written"
echo text >"$TREE/file"
expect_output file ls "$OTHER"
expect_output text cat "$OTHER/file"
expect_ok mkdir "$OTHER/dir"
expect_ok test -d "$TREE/dir"
touch "$OTHER"/dir/{1..300}
expect_output 300 sh -c "ls -l $OTHER/dir | grep -c ^-"

begin "large files go both ways whole"
head -c 24M /dev/urandom >"$TMP/data"
expect_ok cp "$TMP/data" "$OTHER/copy"
expect_same "$TMP/data" "$TREE/copy"
cp "$TMP/data" "$TREE/there"
expect_same "$TMP/data" "$OTHER/there"
expect_ok dd if="$TMP/data" of="$OTHER/direct" bs=1M oflag=direct
expect_same "$TMP/data" "$TREE/direct"

begin "readers and writers at once do not disturb each other"
for n in 1 2 3 4; do
	cp "$TMP/data" "$OTHER/many$n" &
	copies+=($!)
	cat "$OTHER/there" >"$TMP/got$n" &
	copies+=($!)
done
for pid in "${copies[@]}"; do
	expect_exit 0 wait "$pid"
done
for n in 1 2 3 4; do
	expect_same "$TMP/data" "$TREE/many$n"
	expect_same "$TMP/data" "$TMP/got$n"
done
rm -f "$OTHER"/many*

begin "SIGKILL in the middle of reading and writing"
for ((round = 0; round < 6; round++)); do
	dd if=/dev/zero of="$OTHER/killed" bs=1M count=64 oflag=direct 2>/dev/null &
	pids=($!)
	(while :; do cat "$OTHER/there"; done >/dev/null) &
	pids+=($!)
	disown "${pids[@]}"	# no word of bash about their end
	sleep "0.$((round * 3 + 1))"
	kill -KILL "${pids[@]}"
	pkill -KILL -f "cat $OTHER/there"
	for pid in "${pids[@]}"; do
		wait_until 5 gone "$pid" || fail "round $round: $pid stays"
	done
done
expect_same "$TMP/data" "$OTHER/there"
expect_output 0 sh -c "qtinfo --json stats $OTHER | jq .protocol_errors"

begin "the engine is killed: waiters can be, and umount -f ends the others"
kill -KILL $engine
wait $engine 2>/dev/null
cat "$OTHER/copy" >/dev/null 2>&1 &
pid=$!
stat "$OTHER/dir/1" >/dev/null 2>&1 &
pid2=$!
disown $pid $pid2
wait_until 5 sh -c "qtinfo mounts | grep -q 'state: *lost'" || fail "not lost"
kill -KILL $pid
wait_until 5 gone $pid || fail "still there"
umount -f "$OTHER" 2>/dev/null	# may be busy until they are gone
wait_until 5 gone $pid2 || fail "umount -f does not end it"
umount "$OTHER" 2>/dev/null
expect_status 32 mountpoint -q "$OTHER"

begin "a new engine is mounted, and unmounted"
: >"$LOG"
serve
expect_ok mount -t qtfs -o port=$PORT "vsock:1:$TREE" "$OTHER"
expect_output text cat "$OTHER/file"
expect_ok umount "$OTHER"
expect_status 32 mountpoint -q "$OTHER"
