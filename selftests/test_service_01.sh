#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# PostgreSQL by a unix socket in the tree: its server on either machine, psql on the other.
. "$(dirname "$0")/lib.sh"
BIN=$(echo /usr/lib/postgresql/*/bin)
[ -x "$BIN/initdb" ] || skip_all "no PostgreSQL"
need psql pgbench qtfs-agent

# What the one who runs a server does first; arguments: where it is, where its socket is
START="set -e; cd /
	install -d -o postgres \$1 \$2
	runuser -u postgres -- $BIN/initdb -D \$1 -A peer >/dev/null
	runuser -u postgres -- $BIN/pg_ctl -D \$1 -s -w -t 300 -l \$1/log -o \"-k \$2 -c fsync=off \\
		-c listen_addresses= -c unix_socket_permissions=0777\" start </dev/null"

# ask DIRECTORY SQL [ARG...]: as the user of the database
ask() {
	runuser -u postgres -- psql -h "$1" -tA "${@:3}" -c "$2"
}

cd / && chmod 755 "$DIR"
agent_start --log-level debug
on_host "set -- $SRV/data $SRV/run; $START" || bail "no server"
at_end on_host "runuser -u postgres -- $BIN/pg_ctl -D $SRV/data -s -m immediate stop"

begin "the server's program, asked from here"
expect_output 42 ask "$DIR/run" "select 6 * 7"
expect_output postgres ask "$DIR/run" "select current_user"
expect_output ok ask "$DIR/run" "select case when inet_client_addr() is null then 'ok' end"

begin "it knows who asks"
expect_says "peer authentication failed" psql -h "$DIR/run" -U postgres -c "select 1"

# Rows of 8000 bytes.
head -c 75000000 /dev/urandom | base64 -w 8000 >"$TMP/rows"

begin "100 MB there and back"
expect_ok ask "$DIR/run" "create table t (row text); alter table t alter row set storage external"
expect_ok sh -c "runuser -u postgres -- psql -q -h $DIR/run -c 'copy t from stdin' <$TMP/rows"
expect_output "$(wc -l <"$TMP/rows")" ask "$DIR/run" "select count(*) from t"
runuser -u postgres -- psql -h "$DIR/run" -c "copy t to stdout" >"$TMP/back"
expect_same "$TMP/rows" "$TMP/back"

begin "several at a time"
expect_ok runuser -u postgres -- pgbench -h "$DIR/run" -i -q postgres
expect_match "transactions actually processed: 80/80" \
	runuser -u postgres -- pgbench -h "$DIR/run" -n -c 8 -t 10 postgres

begin "an answer that somebody does not wait for"
ask "$DIR/run" "select pg_sleep(600)" &
sleeper=$!
sleeping() {
	[ "$(ask "$DIR/run" "select count(*) from pg_stat_activity where query = 'select pg_sleep(600)'")" = "$1" ]
}
wait_until 30 sleeping 1 || fail "it does not sleep"
pkill -INT -f "psql.*pg_sleep"
wait_until 30 sleeping 0 || fail "it goes on"
wait $sleeper 2>/dev/null

begin "the server's program ends its connections"
ask "$DIR/run" "select pg_sleep(600)" >"$TMP/said" 2>&1 &
sleeper=$!
wait_until 30 sleeping 1 || fail "it does not sleep"
expect_ok on_host "runuser -u postgres -- $BIN/pg_ctl -D $SRV/data -s -w -t 300 -m fast restart </dev/null"
wait_until 30 gone $sleeper || fail "it waits on"
expect_match "terminat|closed the connection" cat "$TMP/said"
expect_output "$(wc -l <"$TMP/rows")" ask "$DIR/run" "select count(*) from t"

begin "a server here, asked from there"
mkdir "$TMP/here" && chmod 755 "$TMP" "$TMP/here"
sh -c "set -- $TMP/here/data $DIR/here; $START" || fail "no server here: $(cat "$TMP/here/data/log")"
at_end runuser -u postgres -- "$BIN/pg_ctl" -D "$TMP/here/data" -s -m immediate stop
expect_output 42 on_host "runuser -u postgres -- psql -h $SRV/here -tAc 'select 6 * 7'"
expect_says "peer authentication failed" on_host "psql -h $SRV/here -U postgres -c 'select 1'"
expect_output 1000000 on_host "runuser -u postgres -- psql -h $SRV/here -tAc \
	\"select repeat('x', 1000000)\" | tr -d '\n' | wc -c"
expect_output 42 ask "$DIR/here" "select 6 * 7"
