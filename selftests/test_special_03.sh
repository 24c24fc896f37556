#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Devices, FIFOs and sockets: kept as they are, and not opened.
. "$(dirname "$0")/lib.sh"

begin "devices of the server are not ours to open"
expect_output "character special file 1:3" stat -c '%F %t:%T' "$MNT/dev/null"
expect_fail EACCES cat "$MNT/dev/null"
expect_ok mknod "$DIR/null" c 1 3
expect_output "1:3" on_host stat -c %t:%T "$SRV/null"
expect_fail EACCES sh -c ": >$DIR/null"
expect_ok mknod "$DIR/block" b 7 200
expect_output "block special file 7:c8" on_host "stat -c '%F %t:%T' $SRV/block"
expect_ok chmod 777 "$DIR"
expect_fail EPERM as_user 1000 mknod "$DIR/theirs" c 1 3

begin "FIFOs and sockets are made, and keep their type"
expect_ok mkfifo "$DIR/fifo"
expect_output fifo on_host stat -c %F "$SRV/fifo"
python3 -IS -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' \
	"$DIR/sock" || fail "bind"
expect_output socket on_host stat -c %F "$SRV/sock"
