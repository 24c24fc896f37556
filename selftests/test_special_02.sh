#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Files without a size are read whole, however they are read.
. "$(dirname "$0")/lib.sh"
need jq python3

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

AREAS=10000
[[ ${QTFS_KERNEL-} != @(debug|um) ]] || AREAS=300

begin "megabytes of smaps are complete, and not a round trip a page"
on_host "python3 -IS -c '
import ctypes, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
at = libc.mmap(None, ctypes.c_size_t(2 * $AREAS * 4096), 1, 0x22, -1, ctypes.c_long(0))
for i in range($AREAS):
    assert libc.mprotect(ctypes.c_void_p(at + 8192 * i), ctypes.c_size_t(4096), 3) == 0
open(\"$SRV/ready\", \"w\").close()
time.sleep(1000)' </dev/null >/dev/null 2>&1 & echo \$!" >"$TMP/pid"
PID=$(cat "$TMP/pid")
at_end on_host "kill $PID"
wait_until 60 test -e "$DIR/ready" || fail "it does not get ready"
before=$(calls_of read)
cat "$MNT/proc/$PID/smaps" >"$TMP/smaps"
took=$(($(calls_of read) - before)) size=$(stat -c %s "$TMP/smaps")
[ "$size" -gt $((AREAS * 1000)) ] || fail "only $size bytes"
[ "$took" -le $((size / 50000 + 10)) ] || fail "$took reads for $size bytes"
# The rest depends on who else has the same pages.
lasting="grep -E '^([0-9a-f]+-|Size:|Rss:|VmFlags:)'"
expect_eq "$(on_host "$lasting /proc/$PID/smaps | sha256sum")" \
	"$(eval "$lasting" "$TMP/smaps" | sha256sum)" "what is in it"
