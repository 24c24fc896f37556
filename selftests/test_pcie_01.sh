#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Shared memory: mounting, and either end's going away. Needs --channel pcie.
# shellcheck disable=SC2119	# engine_start without arguments
. "$(dirname "$0")/lib.sh"

case ${QTFS_CHANNEL-} in
pcie*) ;;
*) skip_all "the lab runs without --channel pcie" ;;
esac

CLIENT=/sys/bus/pci/drivers/qtfs
SERVER=/sys/bus/pci/drivers/qtfs_server
DEVICE=$(cd $CLIENT && echo 0000:*)
SERVER_DEVICE=$(on_host "cd $SERVER && echo 0000:*")
OTHER=$TMP/other
mkdir "$OTHER"

# Whatever a case leaves behind, the next test finds what the lab had made.
back_to_normal() {
	umount -f "$OTHER" 2>/dev/null
	[ -e "$CLIENT/$DEVICE" ] || echo "$DEVICE" >$CLIENT/bind
	on_host "[ -e $SERVER/$SERVER_DEVICE ] || echo $SERVER_DEVICE >$SERVER/bind"
	mountpoint -q "$MNT" || { engine_start && qtfs_mount -v; }
}
at_end back_to_normal

lost() {
	qtinfo mounts | grep -q 'state: *lost'
}

# again: what was lost is unmounted, and mounted by another engine
again() {
	umount -f "$MNT" 2>/dev/null
	umount -f "$MNT" 2>/dev/null
	wait_until 10 sh -c "! mountpoint -q $MNT" || fail "still mounted"
	engine_start
	expect_ok qtfs_mount
	expect_ok ls "$MNT/srv"
}

# transfer: something that goes on for long, process $pid
transfer() {
	dd if=/dev/zero of="$DIR/big" bs=1M count=200 2>/dev/null &
	pid=$!
	disown $pid
	sleep 1
}

begin "what is mounted says so"
expect_match "trans=pcie,addr=pcie:0," grep " $MNT qtfs " /proc/mounts
expect_match "pcie:0" qtinfo mounts

begin "wrong devices and options are named"
fails_within 3 "pcie:7: no device of this machine leads there" pcie:7:/
fails_within 3 "port=1: pcie has no ports" -o port=1 pcie:0:/
fails_within 3 "pcie takes one number" pcie:first:/
fails_within 3 "server 'first' is not the number of a device" \
	-o trans=pcie,server=first /
fails_within 3 "none-such" pcie:0:/none-such

begin "several mounts at once, and no more than there are queues"
for n in {1..40}; do
	mkdir -p "$TMP/m$n"
	said=$(mount -t qtfs pcie:0:/srv "$TMP/m$n" 2>&1) || break
done
grep -q "every queue of the device is in use" <<<"$said" || fail "$said"
[ "$n" -gt 4 ] || fail "only $n"
expect_ok ls "$TMP/m1"
expect_ok umount "$TMP/m1"
expect_ok umount "$TMP/m2"
fails_within 10 "nconnect=4, connection 3: pcie:0: every queue of the device is in use" \
	-o nconnect=4 pcie:0:/srv
expect_ok mount -t qtfs -o nconnect=2 pcie:0:/srv "$OTHER"
expect_ok ls "$OTHER"
expect_ok umount "$OTHER"
for ((i = 3; i < n; i++)); do
	expect_ok umount "$TMP/m$i"
done
expect_ok ls "$MNT/srv"

begin "one engine at a time"
expect_match "another engine serves it" \
	on_host "qtfs-engine 64 1 --listen pcie:0 2>&1 || true"

begin "the engine is killed: waiters can be, and another is mounted"
engine_stop KILL
wait_until 10 lost || fail "not lost"
stat "$MNT/srv" >/dev/null 2>&1 &
pid=$!
disown $pid
kill -KILL $pid
wait_until 5 gone $pid || fail "still there"
again

begin "the engine ends in the middle of a transfer"
transfer
engine_stop KILL
kill -KILL $pid
wait_until 10 lost || fail "not lost"
again
wait_until 10 gone $pid || fail "dd is still there"

begin "the client's device goes away in the middle of a transfer, and comes back"
transfer
echo "$DEVICE" >$CLIENT/unbind
wait_until 10 lost || fail "not lost"
kill -KILL $pid
umount -f "$MNT" 2>/dev/null
fails_within 3 "no device of this machine leads there" pcie:0:/
echo "$DEVICE" >$CLIENT/bind
engine_stop
again
wait_until 10 gone $pid || fail "dd is still there"

begin "the server's device goes away in the middle of a transfer, and comes back"
transfer
on_host "echo $SERVER_DEVICE >$SERVER/unbind"
wait_until 10 lost || fail "not lost"
kill -KILL $pid
# The engine serves others as before.
expect_ok mount -t qtfs -o "port=$QTFS_PORT" "$QTFS_HOST_IP:/srv" "$OTHER"
expect_ok ls "$OTHER"
expect_ok umount "$OTHER"
on_host "echo $SERVER_DEVICE >$SERVER/bind"
engine_stop
again
wait_until 10 gone $pid || fail "dd is still there"
rm -f "$DIR/big"
