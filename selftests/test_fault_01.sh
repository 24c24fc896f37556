#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Memory that is refused at any place costs that call, and nothing else: the
# kernel's fault injection, on kernels that have it. Nothing is executed under
# it: the file systems below the test machine's own / do not survive that.
. "$(dirname "$0")/lib.sh"

KNOBS="/sys/kernel/debug/failslab /sys/kernel/debug/fail_page_alloc"
ROUNDS=${FAULT_ROUNDS:-12}

for knob in $KNOBS; do
	[ -d "$knob" ] || skip_all "a kernel without fault injection"
done

set_knobs() {
	local knob
	for knob in $KNOBS; do
		echo "$1" >"$knob/probability"
		echo -1 >"$knob/times"
		echo Y >"$knob/task-filter"
		echo 0 >"$knob/verbose"
		echo N >"$knob/ignore-gfp-wait"
	done
	echo 0 >/sys/kernel/debug/fail_page_alloc/min-order
}

# Runs a command of the shell itself where allocations fail: starting another
# program would mostly fail before it gets anywhere.
faulty() {
	(
		exec >/dev/null 2>&1 </dev/null
		echo 1 >/proc/self/make-it-fail
		"$@"
	)
}

# Each is one or two system calls on the mount.
touch_all() {
	[ -e "$DIR/file" ]
	[ -r "$DIR/dir/below" ]
	[ -L "$DIR/link" ]
	: "$DIR"/dir/*
	read -r _ <"$DIR/file"
	read -r _ <"$MNT/proc/loadavg"
	echo "$1" >"$DIR/new"
	echo "$1" >>"$DIR/log"
	echo "$1" >"$DIR/dir/sub$1"
	[ "$DIR/file" -nt "$DIR/new" ]
	cd "$DIR/dir" && cd .. && cd "$MNT" || return
}

on_host "cd $SRV; mkdir dir; echo text >file; echo below >dir/below; ln -s file link
	chmod 777 ."
at_end set_knobs 0

begin "calls that get no memory fail, and come back"
for probability in 3 15 60; do
	set_knobs $probability
	for ((i = 0; i < ROUNDS; i++)); do
		echo 2 >/proc/sys/vm/drop_caches
		faulty touch_all "$i"
	done
done
set_knobs 0

begin "afterwards everything works, and nothing is damaged"
expect_output text cat "$DIR/file"
expect_output below cat "$DIR/dir/below"
expect_ok sh -c "echo whole >$DIR/new"
expect_output whole on_host "cat $SRV/new"
expect_output "" on_host "grep -vxE '[0-9]*' $SRV/log || :"
expect_ok rm -r "$DIR/dir" "$DIR/log"
