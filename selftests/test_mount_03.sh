#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Servers that cannot be reached, and exports that do not include the path.
. "$(dirname "$0")/lib.sh"

OTHER=$TMP/other
PORT=12411
mkdir "$OTHER"
at_end umount -f "$OTHER"

begin "nobody listens: refused at once"
fails_within 3 "connection refused: no engine listens there" \
	-o port=1 "$QTFS_HOST_IP:/"
expect_status 32 mount -i -t qtfs -o port=1 "$QTFS_HOST_IP:/" "$OTHER"
expect_match "$QTFS_HOST_IP.*connection refused" \
	sh -c "dmesg | sed '1,/$MARK/d'"
for _ in {1..20}; do
	expect_status 32 mount -i -t qtfs -o port=1 "$QTFS_HOST_IP:/" "$OTHER"
done

begin "nobody answers: given up in time, or the network says so"
fails_within 5 "no answer within the connect timeout|cannot be reached" \
	-o connect_timeout=2 10.0.0.77:/

begin "the network is down"
if [ "$QTFS_HOST_IP" = "$QTFS_CLIENT_IP" ]; then
	skip "one machine is both ends"
else
	link_down
	fails_within 5 "no answer within the connect timeout|cannot be reached" \
		-o connect_timeout=2 "$QTFS_HOST_IP:/"
	link_up
	expect_ok stat "$MNT/srv"
fi

begin "mounting can be killed while nobody answers"
mount -t qtfs -o connect_timeout=600 10.9.9.9:/ "$OTHER" 2>/dev/null &
pid=$!
# Without a route the answer comes at once, which is as good.
if ! wait_until 1 gone $pid; then
	pkill -KILL -P $pid
	kill -KILL $pid
	wait_until 2 gone $pid || fail "still there"
fi

on_host "mkdir -p $SRV/in/deep $SRV/out && ln -s ../out $SRV/in/leak &&
	ln -s $SRV/out $SRV/in/leak-abs && echo secret >$SRV/out/secret"
engine_at $PORT --export "$SRV/in"

begin "a path outside of what is exported"
fails_within 3 "does not export '/'" -o port=$PORT "$QTFS_HOST_IP:/"
fails_within 3 "does not export '$SRV/out'" \
	-o port=$PORT "$QTFS_HOST_IP:$SRV/out"
fails_within 3 "does not export|has no" \
	-o port=$PORT "$QTFS_HOST_IP:$SRV/in/../out"
fails_within 3 "does not export|has no|not a directory" \
	-o port=$PORT "$QTFS_HOST_IP:$SRV/in/leak"

begin "the export itself, and below it"
expect_ok mount -t qtfs -o port=$PORT "$QTFS_HOST_IP:$SRV/in/deep" "$OTHER"
expect_ok umount "$OTHER"
expect_ok mount -t qtfs -o port=$PORT,symlinks=raw "$QTFS_HOST_IP:$SRV/in" "$OTHER"
expect_ok ls "$OTHER/deep"

begin "no way out of the export: not by links, nor by .."
expect_status 1 test -e "$OTHER/leak/secret"
# Where one machine is both ends, the target's name means the same file.
[ "$QTFS_HOST_IP" = "$QTFS_CLIENT_IP" ] ||
	expect_status 1 test -e "$OTHER/leak-abs/secret"
expect_output "$OTHER" sh -c "cd $OTHER/deep/../ && pwd -P"
expect_ok umount "$OTHER"

begin "an export that is read-only at the server"
engine_at $((PORT + 1)) --export "$SRV/in,ro"
expect_ok mount -t qtfs -o port=$((PORT + 1)) "$QTFS_HOST_IP:$SRV/in" "$OTHER"
expect_fail EROFS touch "$OTHER/new"
expect_fail EROFS rmdir "$OTHER/deep"
expect_fail EROFS chmod 700 "$OTHER/deep"
expect_fail EROFS setfattr -n user.x -v y "$OTHER/deep"
expect_ok on_host test -d "$SRV/in/deep" -a ! -e "$SRV/in/new"
expect_ok umount "$OTHER"
