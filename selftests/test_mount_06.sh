#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Ends of a mount: busy, lazy, forced.
. "$(dirname "$0")/lib.sh"

OTHER=$TMP/other
mkdir "$OTHER"
at_end umount -f "$OTHER"

again() {
	mountpoint -q "$OTHER" && umount -f "$OTHER"
	mount -t qtfs "$SRV" "$OTHER" || bail "cannot mount"
}

# Opens the engine holds of files below $SRV.
opens() {
	on_host "ls -l /proc/\$(cat /run/qtfs-engine.pid)/fd 2>/dev/null |
		grep -c -- '-> $SRV/'"
}

begin "umount refuses while a file is open"
again
exec 7>"$OTHER/open"
expect_says busy umount "$OTHER"
echo still works >&7
exec 7>&-
expect_ok umount "$OTHER"
expect_output "still works" on_host cat "$SRV/open"

begin "what was written but not closed is there after umount"
again
dd if=/dev/urandom of="$OTHER/data" bs=100k count=20 2>/dev/null
sum=$(sha256sum <"$OTHER/data")
expect_ok umount "$OTHER"
expect_eq "$sum" "$(on_host "sha256sum <$SRV/data")" "sum"

begin "umount -l: who has a file open goes on, then it ends by itself"
again
exec 7>"$OTHER/lazy"
echo one >&7
expect_ok umount -l "$OTHER"
mountpoint -q "$OTHER" && fail "still mounted"
expect_ok sh -c "echo two >&7"
exec 7>&-
expect_output "$(printf 'one\ntwo')" on_host cat "$SRV/lazy"
wait_until 10 sh -c "[ \$(qtinfo --json mounts | jq length) = 1 ]" ||
	fail "its session stays: $(qtinfo mounts)"

begin "umount -f of a busy mount fails what is under way, then it can go"
again
exec 7>"$OTHER/forced"
umount -f "$OTHER" 2>/dev/null
expect_fail EIO cat "$OTHER/data"
expect_fail EIO bash -c "echo more >>$OTHER/data"
expect_match "aborted" qtinfo mounts
exec 7>&-
umount "$OTHER" 2>/dev/null || umount -f "$OTHER"
mountpoint -q "$OTHER" && fail "still mounted"
ls "$DIR" >/dev/null || fail "the other mount suffers"

begin "qtinfo abort does as umount -f"
again
expect_ok qtinfo abort "$OTHER"
expect_fail EIO cat "$OTHER/data"
expect_fail EIO touch "$OTHER/new"
expect_ok umount "$OTHER"

begin "nothing of it stays open at the server"
wait_until 10 sh -c "[ \"\$(on-host \"ls -l /proc/\\\$(cat /run/qtfs-engine.pid)/fd | grep -c -- '-> $SRV/'\")\" = 0 ]" ||
	fail "$(opens) files are open"

begin "many times mounted and unmounted"
for ((i = 0; i < 40; i++)); do
	mount -t qtfs "$SRV" "$OTHER" || break
	umount "$OTHER" || break
done
expect_eq 40 $i rounds
expect_match '^1$' sh -c "qtinfo --json mounts | jq length"
