#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Several connections of one mount: nconnect=. What is lost and what must not be
# overtaken is in programs/mount_connections.c.
. "$(dirname "$0")/lib.sh"

OTHER=$TMP/other
PORT=12411
mkdir "$OTHER"
at_end umount -f "$OTHER"
engine_at $PORT

# How many this client has to the engine at $PORT, as ss sees them
connections() {
	ss -Htn state established "dport = :$PORT" | wc -l
}

# The same, as qtinfo does; of one mount.
told() {
	qtinfo --json mounts | jq ".[] | select(.server | endswith(\":$PORT\")) | .connections"
}

mounted() {
	expect_ok mount -t qtfs -o "port=$PORT${1:+,$1}" "$QTFS_HOST_IP:${2:-$SRV}" "$OTHER"
}

none_left() {
	[ "$(connections)" = 0 ]
}

begin "as many as are asked for, in ss, qtinfo and /proc/mounts"
for n in 1 4 16; do
	mounted nconnect=$n || continue
	expect_eq $n "$(connections)" "sockets"
	expect_eq $n "$(told)" "connections as qtinfo has them"
	if [ $n = 1 ]; then
		grep " $OTHER .*nconnect" /proc/mounts && fail "nconnect=1 is shown"
	else
		expect_match ",nconnect=${n}[, ]" grep " $OTHER " /proc/mounts
	fi
	expect_ok umount "$OTHER"
	wait_until 10 none_left || fail "$(connections) sockets stay"
done

begin "without the option: one"
mounted ""
expect_eq 1 "$(told)" "connections"
expect_ok umount "$OTHER"

begin "what makes no sense is refused"
for n in 0 17 -1 many; do
	fails_within 10 nconnect -o "port=$PORT,nconnect=$n" "$QTFS_HOST_IP:/"
done

begin "a remount keeps them, and cannot change them"
mounted nconnect=3
expect_ok mount -o remount,ro "$OTHER"
expect_ok mount -o remount,rw "$OTHER"
expect_eq 3 "$(told)" "connections"
expect_says "cannot change" mount -o remount,nconnect=2 "$OTHER"
expect_ok umount "$OTHER"

begin "with a key each of them proves it"
on_host "umask 077; echo secret >$SRV/key"
(umask 077 && echo secret >"$TMP/key")
engine_at $((PORT + 1)) --psk-file "$SRV/key"
expect_ok mount -t qtfs -o "port=$((PORT + 1)),psk=$TMP/key,nconnect=4" "$QTFS_HOST_IP:$SRV" "$OTHER"
expect_ok ls "$OTHER"
expect_ok umount "$OTHER"

begin "an engine that allows fewer says so, to who insists"
on_host "printf '[limits]\nsession-connections-max = 2\n' >$SRV/engine.toml"
engine_at $((PORT + 2)) --config "$SRV/engine.toml"
fails_within 10 "nconnect=4, connection 3: .*no more" \
	-o "port=$((PORT + 2)),nconnect=4" "$QTFS_HOST_IP:$SRV"
expect_ok mount -t qtfs -o "port=$((PORT + 2)),nconnect=2" "$QTFS_HOST_IP:$SRV" "$OTHER"
expect_ok umount "$OTHER"
expect_ok mount -t qtfs -o "port=$((PORT + 2))" "$QTFS_HOST_IP:$SRV" "$OTHER"
expect_ok umount "$OTHER"

begin "readers and writers on all of them at once, and nothing is mixed up"
mounted nconnect=4
worker() {
	local i sum
	for i in 1 2; do
		dd if=/dev/urandom of="$TMP/in$1" bs=300k count=4 2>/dev/null
		sum=$(sha256sum <"$TMP/in$1")
		mkdir "$OTHER/d$1" &&
			dd if="$TMP/in$1" of="$OTHER/d$1/f" bs=1M oflag="${2:-sync}" 2>/dev/null &&
			mv "$OTHER/d$1/f" "$OTHER/f$1" && rmdir "$OTHER/d$1" || return
		[ "$sum" = "$(sha256sum <"$OTHER/f$1")" ] || return
		[ "$sum" = "$(dd if="$OTHER/f$1" iflag=direct bs=1M 2>/dev/null | sha256sum)" ] || return
		setfattr -n user.round -v $i "$OTHER/f$1" || return
		[ "$(getfattr --only-values -n user.round "$OTHER/f$1" 2>/dev/null)" = $i ] || return
		flock "$OTHER/shared" sh -c "n=\$(cat $OTHER/shared) && echo \$((n + 1)) >$OTHER/shared" || return
	done
}
echo 0 >"$OTHER/shared"
pids=()
for w in 1 2 3 4 5; do
	worker $w "$([ $((w % 2)) = 0 ] && echo direct)" &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	expect_exit 0 wait "$pid"
done
expect_output 10 cat "$OTHER/shared"
expect_eq "$(cat "$TMP"/in* | sha256sum)" "$(on_host "cat $SRV/f? | sha256sum")" "sum at the server"

begin "large transfers take turns on all of them"
# What each socket has sent, one after the other.
bytes() {
	ss -Htni state established "dport = :$PORT" | sed -n 's/.*bytes_sent:\([0-9]*\).*/\1/p'
}
mapfile -t before < <(bytes)
expect_ok dd if=/dev/zero of="$OTHER/big" bs=1M count=8 oflag=direct
mapfile -t after < <(bytes)
expect_eq 4 ${#after[@]} "sockets that tell"
for i in "${!after[@]}"; do
	[ $((after[i] - before[i])) -gt 2000000 ] || fail "${before[*]}, then ${after[*]}"
done

begin "umount -f ends what all of them have under way"
exec 7>"$OTHER/busy"
umount -f "$OTHER" 2>/dev/null
expect_fail EIO ls "$OTHER/."
exec 7>&-
umount "$OTHER" 2>/dev/null || umount -f "$OTHER"
mountpoint -q "$OTHER" && fail "still mounted"
wait_until 10 none_left || fail "$(connections) sockets stay"

begin "the engine dies: who waits can be killed, and it can be unmounted"
mounted nconnect=4
on_host "kill -9 \$(cat /run/qtfs-engine-$PORT.pid)"
lost() {
	qtinfo --json mounts | jq -e ".[] | select(.server | endswith(\":$PORT\")) | .state == \"lost\""
}
wait_until 20 lost || fail "$(qtinfo mounts)"
pids=()
for ((i = 0; i < 5; i++)); do
	cat "$OTHER/f1" >/dev/null &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	expect_waiting "$pid"
	kill -KILL "$pid"
	expect_exit 137 wait "$pid"
done
expect_ok umount "$OTHER"
