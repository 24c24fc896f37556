#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Programs of the client connect to unix sockets of the server, as if they were local.
. "$(dirname "$0")/lib.sh"
need python3

US=$PROGRAMS/unix-socket

# serve TYPE NAME [WHAT]: a program of the server's, until the test ends
serve() {
	on_host "ulimit -n 4096; setsid $US serve $1 $SRV/$2 ${3-} </dev/null & echo \$!
		until [ -S $SRV/$2 ]; do [ -d /proc/\$! ] || exit 1; sleep 0.05; done" \
		>"$TMP/pid" || bail "no server for $2"
	at_end on_host "kill $(cat "$TMP/pid")"
}

serve stream stream
serve seqpacket seqpacket
serve stream who who

begin "without an agent nobody listens"
expect_fail ECONNREFUSED "$US" talk stream "$DIR/stream" hello
agent_start --log-level debug

begin "one agent at a time"
expect_says "another agent" qtfs-agent

begin "a stream, both directions, one ended before the other"
expect_output "hellobye" sh -c "$US talk stream $DIR/stream hello | tr -d '\n'"
expect_output same "$US" big "$DIR/stream" 8388608

begin "messages keep their boundaries"
expect_output "one
two and more
bye" "$US" talk seqpacket "$DIR/seqpacket" one "two and more"

begin "the wrong type is told as locally"
expect_fail EPROTOTYPE "$US" talk stream "$DIR/seqpacket" x
expect_fail EPROTOTYPE "$US" talk seqpacket "$DIR/stream" x

begin "datagrams"
serve dgram dgram sink
expect_ok "$US" send "$DIR/dgram" first second
got() {
	[ "$(sort "$DIR/dgram.got" | tr '\n' ' ')" = "first last second " ]
}
wait_until 5 got || fail "$(cat "$DIR/dgram.got")"

begin "the server's program sees who it is"
expect_output "1000 1001" as_user 1000:1001 "$US" talk stream "$DIR/who"
expect_output "0 0" "$US" talk stream "$DIR/who"

begin "the server's permissions hold"
on_host chmod 600 "$SRV/who"
wait_until 5 sh -c "stat -c %a $DIR/who | grep -q 600"
expect_fail EACCES as_user 1000 "$US" talk stream "$DIR/who"
expect_output "0 0" "$US" talk stream "$DIR/who"

begin "a socket that nobody has any more"
on_host "python3 -IS -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"$SRV/dead\")'"
expect_fail ECONNREFUSED "$US" talk stream "$DIR/dead"
expect_fail ENOENT "$US" talk stream "$DIR/none"

begin "a program that starts anew is found at once"
mkdir "$TMP/long"
expect_ok mount -t qtfs -o actimeo=60 "$QTFS_HOST_IP:$SRV" "$TMP/long"
serve stream again
expect_output "hellobye" sh -c "$US talk stream $TMP/long/again hello | tr -d '\n'"
on_host "kill $(cat "$TMP/pid"); rm $SRV/again"
serve stream again
expect_output "hellobye" sh -c "$US talk stream $TMP/long/again hello | tr -d '\n'"
expect_ok umount "$TMP/long"

begin "names are those that were used"
expect_output "$DIR/stream" "$US" names "$DIR/stream"
expect_output "./stream" sh -c "cd $DIR && $US names ./stream"
ln -s "$DIR" "$TMP/link"
expect_output "$TMP/link/stream" "$US" names "$TMP/link/stream"
expect_output "stream" sh -c "cd $DIR && $US names stream"

begin "the socket itself stays what it is"
before=$(stat -c '%i %a %h %F' "$DIR/stream")
expect_output "hellobye" sh -c "$US talk stream $DIR/stream hello | tr -d '\n'"
expect_eq "$before" "$(stat -c '%i %a %h %F' "$DIR/stream")"
expect_output "$(ls -A "$DIR")" on_host ls -A "$SRV"

begin "a bind mount, a chroot"
mkdir "$TMP/bound" && mount --bind "$DIR" "$TMP/bound"
at_end umount "$TMP/bound"
expect_output "hellobye" sh -c "$US talk stream $TMP/bound/stream hello | tr -d '\n'"

# Thousands are in test_large_01.sh.
begin "many at a time"
serve stream crowd
expect_output 400 "$US" many "$DIR/crowd" 400

begin "the other end is gone"
serve stream drop drop
expect_output "ended
broken pipe" "$US" late "$DIR/drop"

begin "descriptors end a connection, on either side"
serve stream fds fds
expect_output ended "$US" pass "$DIR/stream"
expect_output "" "$US" talk stream "$DIR/fds"

begin "who waits for a full queue can be interrupted"
serve stream deaf deaf
"$US" names "$DIR/deaf" >/dev/null 2>&1
"$US" names "$DIR/deaf" >/dev/null 2>&1 &
waiting=$!
expect_waiting $waiting
expect_output "hellobye" sh -c "$US talk stream $DIR/stream hello | tr -d '\n'"
kill -TERM $waiting
wait_until 5 gone $waiting || fail "it goes on waiting"
wait $waiting 2>/dev/null

begin "a socket of a program of this machine is its own"
"$US" serve stream "$DIR/own" </dev/null >/dev/null 2>&1 &
own=$!
wait_until 10 test -S "$DIR/own"
expect_output "hellobye" sh -c "$US talk stream $DIR/own hello | tr -d '\n'"
expect_ok on_host test -S "$SRV/own"
kill $own
wait $own 2>/dev/null
expect_fail ECONNREFUSED "$US" talk stream "$DIR/own"
rm "$DIR/own"

# serve_here TYPE NAME [WHAT]: a program of this machine, number in $here
serve_here() {
	"$US" serve "$1" "$DIR/$2" "${3:-echo}" </dev/null >/dev/null 2>&1 &
	here=$!
	at_end "kill $here 2>/dev/null"
	wait_until 10 test -S "$DIR/$2" || bail "no $2 here"
}

begin "programs of the server connect to a socket that is bound here"
serve_here stream here
expect_output "hellobye" on_host "$US talk stream $SRV/here hello | tr -d '\n'"
expect_output "hellobye" sh -c "$US talk stream $DIR/here hello | tr -d '\n'"
expect_output same on_host "$US big $SRV/here 2097152"
expect_output 50 on_host "$US many $SRV/here 50"
expect_fail EPROTOTYPE on_host "$US talk seqpacket $SRV/here x"
expect_eq "$(stat -c '%a %u %F' "$DIR/here")" "$(on_host "stat -c '%a %u %F' $SRV/here")"

begin "messages and datagrams, too"
serve_here seqpacket packets
expect_output "one
two and more
bye" on_host "$US talk seqpacket $SRV/packets one \"two and more\""
serve_here dgram datagrams sink
expect_ok on_host "$US send $SRV/datagrams first second"
arrived() {
	[ "$(sort "$DIR/datagrams.got" | tr '\n' ' ')" = "first last second " ]
}
wait_until 5 arrived || fail "$(cat "$DIR/datagrams.got")"

begin "the program here sees who it is, the server's permissions hold"
serve_here stream whom who
expect_output "1000 1001" on_host "setpriv --reuid 1000 --regid 1001 --clear-groups \
	$US talk stream $SRV/whom"
expect_output "0 0" on_host "$US talk stream $SRV/whom"
chmod 600 "$DIR/whom"
expect_fail EACCES on_host "setpriv --reuid 1000 --clear-groups $US talk stream $SRV/whom"

begin "the program here ends a connection, closes its socket, has another"
serve_here stream dropping drop
expect_output "connected
ended" on_host "$US hold $SRV/dropping"
refused() {
	[ "$(on_host "$US talk stream $SRV/dropping")" = ECONNREFUSED ]
}
kill "$here"
wait_until 5 refused || fail "somebody still listens"
rm "$DIR/dropping"
serve_here stream dropping
expect_output "hellobye" on_host "$US talk stream $SRV/dropping hello | tr -d '\n'"
kill "$here"

begin "nothing stays"
on_host "$US talk stream $SRV/here" >/dev/null
pkill -f "unix-socket serve.*$DIR/"
wait_until 15 agent_idle ||
	fail "$(ls -l "/proc/$agent/fd") $(ls "/proc/$agent/task")"

begin "connections end with the agent, which can be replaced"
"$US" hold "$DIR/stream" >"$TMP/said" &
holder=$!
wait_until 10 grep -q connected "$TMP/said" || fail "not connected"
agent_stop KILL
wait_until 5 grep -q ended "$TMP/said" || fail "it goes on"
wait $holder
expect_fail ECONNREFUSED "$US" talk stream "$DIR/stream"
agent_start --log-level debug
expect_output "hellobye" sh -c "$US talk stream $DIR/stream hello | tr -d '\n'"
