#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The module: its parameters, its log level, when it may go.
. "$(dirname "$0")/lib.sh"

PARAMS=/sys/module/qtfs/parameters

load() {
	insmod "$QTFS_KO" qtfs_server_ip="$QTFS_HOST_IP" \
		qtfs_server_port="$QTFS_PORT" "$@"
}

back_to_normal() {
	mountpoint -q "$MNT" && return
	grep -q '^qtfs ' /proc/modules || load qtfs_log_level=WARN
	qtfs_mount -v
}
at_end back_to_normal

# log: what the module has said since the test began
log() {
	dmesg | sed "1,/$MARK/d" | grep qtfs
}

begin "does not unload while mounted"
expect_status 1 rmmod qtfs
expect_ok ls "$MNT/srv"

begin "parameters show"
expect_output "$QTFS_HOST_IP" cat $PARAMS/qtfs_server_ip
expect_output "$QTFS_PORT" cat $PARAMS/qtfs_server_port
expect_output WARN cat $PARAMS/qtfs_log_level

begin "only the log level can be changed"
expect_output 444 stat -c %a $PARAMS/qtfs_server_ip
expect_output 444 stat -c %a $PARAMS/qtfs_server_port
expect_output 644 stat -c %a $PARAMS/qtfs_log_level
for level in NONE ERROR WARN INFO DEBUG; do
	put $PARAMS/qtfs_log_level $level
	expect_output $level cat $PARAMS/qtfs_log_level
done
put $PARAMS/qtfs_log_level 1
expect_output ERROR cat $PARAMS/qtfs_log_level
expect_fail EINVAL bash -c "echo LOUD >$PARAMS/qtfs_log_level"
expect_fail EINVAL bash -c "echo 5 >$PARAMS/qtfs_log_level"
expect_output ERROR cat $PARAMS/qtfs_log_level

begin "qtinfo shows and sets the log level"
expect_ok qtinfo log-level info
expect_output INFO cat $PARAMS/qtfs_log_level
expect_match '[iI][nN][fF][oO]' qtinfo log-level
expect_says "loud|level|invalid" qtinfo log-level loud
expect_status 1 as_user 1000 qtinfo log-level debug
expect_output INFO cat $PARAMS/qtfs_log_level

begin "debug tells of calls, warn does not"
before=$(log | wc -l)
expect_ok qtinfo log-level debug
ls "$MNT/srv" >/dev/null
stat "$MNT/srv/none-such" >/dev/null 2>&1
expect_ok qtinfo log-level warn
after=$(log | wc -l)
[ "$after" -gt "$before" ] || fail "debug says nothing"
ls "$MNT/srv" >/dev/null
stat "$MNT/srv/none-such-either" >/dev/null 2>&1
expect_eq "$after" "$(log | wc -l)" "lines in the log"

begin "unloads when nothing is mounted"
expect_ok qtfs_umount
expect_ok rmmod qtfs
expect_status 1 grep -q qtfs /proc/filesystems

begin "does not load with a level that is none, and names it"
expect_says invalid load qtfs_log_level=LOUD
log | grep -q "LOUD" || fail "not named: $(log)"

begin "nor with an address that is none"
expect_status 1 insmod "$QTFS_KO" qtfs_server_ip=10.0.0.300
log | grep -q "10.0.0.300" || fail "not named: $(log)"
expect_status 1 insmod "$QTFS_KO" qtfs_server_ip=filer

begin "nor with a CID or a vsock port that is none"
expect_status 1 insmod "$QTFS_KO" qtfs_server_vsock_cid=4294967295
log | grep -q "qtfs_server_vsock_cid=4294967295" || fail "not named: $(log)"
expect_status 1 insmod "$QTFS_KO" qtfs_server_vsock_cid=host
expect_status 1 insmod "$QTFS_KO" qtfs_server_vsock_port=0
log | grep -q "qtfs_server_vsock_port=0" || fail "not named: $(log)"
expect_status 1 insmod "$QTFS_KO" qtfs_server_vsock_port=4294967296

begin "nor with a port that is none"
expect_status 1 insmod "$QTFS_KO" qtfs_server_port=0
log | grep -q "qtfs_server_port=0" || fail "not named: $(log)"
expect_status 1 insmod "$QTFS_KO" qtfs_server_port=70000
expect_status 1 grep -q '^qtfs ' /proc/modules

begin "a CID stands for vsock, unless there is an address too"
expect_ok insmod "$QTFS_KO"
expect_match "^channel: +tcp" qtinfo status
expect_match "^server vsock cid: +2" qtinfo status
expect_output 12345 cat $PARAMS/qtfs_server_vsock_port
expect_ok rmmod qtfs
expect_ok insmod "$QTFS_KO" qtfs_server_vsock_cid=5 qtfs_server_vsock_port=99999
expect_match "^channel: +vsock" qtinfo status
expect_match "^server vsock cid: +5" qtinfo status
expect_output 444 stat -c %a $PARAMS/qtfs_server_vsock_cid
expect_output 99999 cat $PARAMS/qtfs_server_vsock_port
expect_ok rmmod qtfs
expect_ok insmod "$QTFS_KO" qtfs_server_vsock_cid=5 qtfs_server_ip=10.0.0.1
expect_match "^channel: +tcp" qtinfo status
expect_ok rmmod qtfs

begin "loads again, with an address of the other family too"
expect_ok insmod "$QTFS_KO" qtfs_server_ip=::1
expect_output ::1 cat $PARAMS/qtfs_server_ip
expect_ok rmmod qtfs
expect_ok load qtfs_log_level=debug
expect_output DEBUG cat $PARAMS/qtfs_log_level
expect_ok qtfs_mount
put $PARAMS/qtfs_log_level WARN
expect_ok ls "$MNT/srv"
