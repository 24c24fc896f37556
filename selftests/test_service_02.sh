#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# D-Bus by a unix socket in the tree: a bus on either machine, its users on both.
. "$(dirname "$0")/lib.sh"
need dbus-daemon dbus-send dbus-monitor busctl qtfs-agent

# Scripts for a shell of their own, with the bus's path as $1; a bus, its number in $1.pid.
# shellcheck disable=SC2016
START='dbus-daemon --session --nopidfile --fork --print-pid --address="unix:path=$1" </dev/null >"$1.pid" &&
	[ -S "$1" ]'
# shellcheck disable=SC2016
SIGNAL='dbus-send --bus="unix:path=$1" --type=signal / net.qtfs.Test.Happened string:from-afar'
# shellcheck disable=SC2016
LIST='dbus-send --bus="unix:path=$1" --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.ListNames'

# hears PATH: a monitor of that bus, here
hears() {
	stdbuf -oL dbus-monitor --address "unix:path=$1" "type='signal',interface='net.qtfs.Test'" \
		</dev/null >"$TMP/heard" 2>&1 &
	at_end kill $!
	wait_until 20 grep -q NameAcquired "$TMP/heard" || fail "no monitor: $(cat "$TMP/heard")"
}

agent_start --log-level debug
on_host "set -- $SRV/bus; $START" || bail "no bus"
at_end on_host "kill \$(cat $SRV/bus.pid)"

begin "the server's bus, from here"
expect_match "org.freedesktop.DBus" sh -c "set -- $DIR/bus; $LIST"
expect_match "org.freedesktop.DBus" busctl --address="unix:path=$DIR/bus" list
expect_says "denied|not authorized|did not receive a reply" \
	as_user 1000 sh -c "set -- $DIR/bus; $LIST"

begin "what is said there is heard here"
hears "$DIR/bus"
expect_ok on_host "set -- $SRV/bus; $SIGNAL"
wait_until 20 grep -q from-afar "$TMP/heard" || fail "$(cat "$TMP/heard")"

begin "a bus here, from the server"
sh -c "set -- $DIR/own; $START" || fail "no bus here"
at_end kill "$(cat "$DIR/own.pid")"
expect_match "org.freedesktop.DBus" on_host "set -- $SRV/own; $LIST"
hears "$DIR/own"
expect_ok on_host "set -- $SRV/own; $SIGNAL"
wait_until 20 grep -q from-afar "$TMP/heard" || fail "$(cat "$TMP/heard")"
