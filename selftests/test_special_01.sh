#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The server's /proc and /sys, read and written through the mount.
. "$(dirname "$0")/lib.sh"

on_host "sleep 1000 </dev/null >/dev/null 2>&1 & echo \$! >$SRV/pid"
PID=$(cat "$DIR/pid")
at_end on_host "kill $PID"

begin "/proc/meminfo is the server's"
expect_eq "$(on_host grep MemTotal /proc/meminfo)" \
	"$(grep MemTotal "$MNT/proc/meminfo")" MemTotal
expect_match "^SwapTotal" cat "$MNT/proc/meminfo"

begin "its boot id, not ours"
expect_output "$(on_host cat /proc/sys/kernel/random/boot_id)" \
	cat "$MNT/proc/sys/kernel/random/boot_id"

begin "a process of the server"
expect_output sleep cat "$MNT/proc/$PID/comm"
expect_output "sleep 1000 " sh -c "tr '\0' ' ' <$MNT/proc/$PID/cmdline"
expect_match "^Pid:	$PID\$" cat "$MNT/proc/$PID/status"
expect_output "$(on_host readlink /proc/"$PID"/exe | sed "s|^/|../../|")" \
	readlink "$MNT/proc/$PID/exe"
expect_output "$(on_host ls /proc/"$PID"/fd)" ls "$MNT/proc/$PID/fd"
expect_output "$(on_host grep -c . /proc/"$PID"/maps)" \
	grep -c . "$MNT/proc/$PID/maps"

begin "every process of the server, as ps would"
passing='cat|bash|kworker|labd|on-host|sh|grep|cut|sort'
on_host "cat /proc/[0-9]*/stat 2>/dev/null | grep -vE '\(($passing)[^)]*\)' | cut -d' ' -f1,2 | sort -n" >"$TMP/there"
cat "$MNT"/proc/[0-9]*/stat 2>/dev/null |
	grep -vE "\\(($passing)[^)]*\\)" | cut -d' ' -f1,2 | sort -n >"$TMP/here"
expect_same "$TMP/there" "$TMP/here"

begin "a process that ends vanishes"
on_host "sleep 1000 </dev/null >/dev/null 2>&1 & echo \$! >$SRV/short"
short=$(cat "$DIR/short")
expect_output sleep cat "$MNT/proc/$short/comm"
on_host "kill $short; while [ -e /proc/$short ]; do sleep 0.05; done"
[ ! -e "$MNT/proc/$short" ] || fail "still listed"
expect_status 1 cat "$MNT/proc/$short/comm"

begin "/proc/self is who asks, here; net and mounts are the server's"
expect_output /proc/self readlink "$MNT/proc/self"
expect_output "Name:	grep" grep "^Name:" "$MNT/proc/self/status"
expect_output "Name:	grep" grep "^Name:" "$MNT/proc/thread-self/status"
expect_same <(on_host cat /proc/1/net/route) "$MNT/proc/net/route"
expect_same <(on_host cat /proc/1/mounts) "$MNT/proc/mounts"
expect_fail ENOENT chroot "$MNT" "$(command -v cat)" /proc/self/comm

begin "the machine's memory is nobody's to read"
for name in kcore kpagecount kpageflags; do
	[ ! -e "$MNT/proc/$name" ] || expect_fail EACCES head -c 1 "$MNT/proc/$name"
done
[ ! -e /proc/kcore ] || expect_ok ls -l "$MNT/proc/kcore"

begin "a sysctl written here is set there"
old=$(on_host cat /proc/sys/vm/swappiness)
put "$MNT/proc/sys/vm/swappiness" 37
expect_output 37 on_host cat /proc/sys/vm/swappiness
expect_output 37 cat "$MNT/proc/sys/vm/swappiness"
expect_ok sh -c "printf 38 >$MNT/proc/sys/vm/swappiness"
expect_output 38 on_host cat /proc/sys/vm/swappiness

begin "what the server refuses is refused here"
expect_fail EINVAL bash -c "echo 9999 >$MNT/proc/sys/vm/swappiness"
expect_fail EINVAL bash -c "echo word >$MNT/proc/sys/vm/swappiness"
expect_output 38 on_host cat /proc/sys/vm/swappiness
on_host "echo $old >/proc/sys/vm/swappiness"
expect_says "denied|input/output|permitted" bash -c "echo x >$MNT/proc/version"
expect_fail ENOENT cat "$MNT/proc/none"
expect_status 1 mkdir "$MNT/proc/new"
expect_status 1 touch "$MNT/proc/new"
expect_status 1 rm "$MNT/proc/version"

begin "an attribute of sysfs"
knob=/sys/module/printk/parameters/time
[ -w "$MNT$knob" ] || skip "no $knob"
old=$(on_host cat $knob)
expect_output "$old" cat "$MNT$knob"
put "$MNT$knob" N
expect_output N on_host cat $knob
put "$MNT$knob" Y
expect_output Y on_host cat $knob
expect_output Y cat "$MNT$knob"
expect_fail EINVAL bash -c "echo perhaps >$MNT$knob"
for value in N Y N Y; do
	on_host "echo $value >$knob"
	expect_output $value cat "$MNT$knob"
done
on_host "echo $old >$knob"
