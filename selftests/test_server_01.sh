#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# qtfs_server.ko: its parameters, an engine that takes them, and qtinfo on the
# server.
. "$(dirname "$0")/lib.sh"

[ "$QTFS_HOST_IP" != 127.0.0.1 ] || skip_all "one machine is both ends"
! on_host "grep -q '^qtfs_server ' /proc/modules" ||
	skip_all "the lab's own engine uses the module"

PORT=12420
mkdir "$TMP/other"
OTHER=$TMP/other

# server FILTER: of what qtinfo says on the server
server() {
	on_host "qtinfo --json status" | jq -r ".server.$1"
}

stop() {
	on_host "pkill -KILL -f 'engine 64 2' ; sleep 0.2; ! grep -q '^qtfs_server ' /proc/modules || rmmod qtfs_server"
}
at_end stop
at_end umount -f "$OTHER"

load() {
	on_host "insmod $QTFS_SERVER_KO $*"
}

begin "wrong parameters are refused"
expect_status 1 load qtfs_server_ip=10.0.0.300
expect_status 1 load qtfs_server_ip=filer
expect_status 1 load qtfs_server_port=0
expect_status 1 load qtfs_server_vsock_port=0
expect_status 1 load qtfs_log_level=LOUD
expect_status 1 on_host "grep -q '^qtfs_server ' /proc/modules"

begin "without the module qtinfo says that there is none"
expect_says "not loaded" on_host "qtinfo status"

begin "parameters show"
expect_ok load qtfs_server_ip=0.0.0.0 qtfs_server_port=$PORT qtfs_log_level=WARN
expect_output 0.0.0.0 server server_ip
expect_output $PORT server server_port
expect_output null server server_vsock_cid
expect_output warn server log_level
expect_output null server engine

begin "an engine that is told nothing takes them, and no more rights"
expect_says "refusing to listen on 0.0.0.0:$PORT" on_host "$QTFS_BUILD/engine 64 2"
on_host "setsid $QTFS_BUILD/engine 64 2 --insecure </dev/null >/run/server-engine.log 2>&1 &"
wait_until 10 on_host "qtinfo status | grep -q 0.0.0.0:$PORT" || fail "it does not report"
expect_ok mount -t qtfs -o port=$PORT "$QTFS_HOST_IP:/srv" "$OTHER"
expect_ok ls "$OTHER"
expect_ok umount "$OTHER"
# At level warn it says that it is open to all, and nothing of what it does.
expect_match INSECURE on_host "cat /run/server-engine.log"
expect_status 1 on_host "grep info: /run/server-engine.log"

begin "it reports itself for as long as it lives"
expect_output "0.0.0.0:$PORT" server engine.listen
expect_output 2 server engine.threads
expect_match "io_uring|epoll" server engine.ring
expect_output "$(on_host "pgrep -f 'engine 64 2 --insecure'")" server engine.pid
on_host "pkill -KILL -f 'engine 64 2 --insecure'"
wait_until 5 sh -c "on-host qtinfo --json status | jq -e '.server.engine == null'" ||
	fail "the dead engine is still there"

begin "options go over the parameters"
on_host "setsid $QTFS_BUILD/engine 64 2 --listen 127.0.0.1:$((PORT + 1)) \
	</dev/null >/run/server-engine.log 2>&1 &"
wait_until 10 on_host "qtinfo status | grep -q 127.0.0.1:$((PORT + 1))" || fail "no report"
on_host "pkill -KILL -f 'engine 64 2'"

begin "the log level is set on the server too, by root"
expect_output debug sh -c "on-host qtinfo --json log-level debug | jq -r .log_level"
expect_output debug server log_level
expect_status 1 on_host "setpriv --reuid 1000 --clear-groups qtinfo log-level info"
expect_output debug server log_level
