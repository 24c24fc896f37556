#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Files without a size are read whole, however they are read.
. "$(dirname "$0")/lib.sh"

begin "programs that trust sizes read them whole"
want=$(on_host cat /proc/version)
for program in "cat $MNT/proc/version" "cat <$MNT/proc/version" \
	"dd if=$MNT/proc/version bs=3 2>/dev/null" \
	"dd if=$MNT/proc/version bs=1M 2>/dev/null" \
	"head -n 1 $MNT/proc/version" "tail -n 1 $MNT/proc/version" \
	"grep . $MNT/proc/version" "sed -n 1p $MNT/proc/version" \
	"cp $MNT/proc/version $TMP/copy && cat $TMP/copy" \
	"tail -c +1 $MNT/proc/version" "sort $MNT/proc/version" \
	"cp $MNT/proc/version $DIR/copy && cat $DIR/copy" \
	"while read -r line; do echo \"\$line\"; done <$MNT/proc/version"; do
	expect_output "$want" sh -c "$program"
done

begin "files of many pages are complete"
for file in zoneinfo slabinfo vmstat; do
	on_host "test -r /proc/$file" || continue
	expect_eq "$(on_host "cut -d' ' -f2,3 /proc/$file | tr -dc 'a-zA-Z\n' | sha256sum")" \
		"$(cut -d' ' -f2,3 "$MNT/proc/$file" | tr -dc 'a-zA-Z\n' | sha256sum)" $file
done

begin "a walk through a part of /sys/module ends and agrees"
expect_output "$(on_host "find /sys/module/[a-d]* -mindepth 1 | sort | sha256sum")" \
	sh -c "cd $MNT; find sys/module/[a-d]* -mindepth 1 | sed 's|^|/|' | sort | sha256sum"
