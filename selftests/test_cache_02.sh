#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# How long attributes and names are believed, and changes that no time stamp tells.
. "$(dirname "$0")/lib.sh"
need mkfs.ext4

OTHER=$TMP/other
WORK=$OTHER$SRV
mkdir "$OTHER"
at_end umount -l "$OTHER"
on_host "echo x >$SRV/f; mkdir $SRV/d"

with() {
	expect_ok mount -t qtfs -o "$1" "${QTFS_SOURCE:-/}" "$OTHER" || bail "cannot mount"
}

begin "noac: each question is asked, of names that are not there as well"
with noac
for mode in 600 640 700; do
	on_host "chmod $mode $SRV/f $SRV/d"
	expect_output "$mode $mode" sh -c "echo \$(stat -c %a $WORK/f $WORK/d)"
done
for _ in 1 2; do
	expect_fail ENOENT stat "$WORK/late"
	on_host "touch $SRV/late"
	expect_ok stat "$WORK/late"
	on_host "rm $SRV/late"
done
expect_ok umount "$OTHER"

begin "actimeo=: believed, unless the server is to be asked"
with actimeo=600
expect_output 700 stat -c %a "$WORK/f"
expect_fail ENOENT stat "$WORK/late"
on_host "chmod 644 $SRV/f; touch $SRV/late"
sleep 3
expect_output 700 stat -c %a "$WORK/f"
expect_fail ENOENT stat "$WORK/late"
expect_output 644 stat --cached=never -c %a "$WORK/f"
expect_ok umount "$OTHER"

begin "acregmin, acregmax are for files, acdirmin, acdirmax for directories"
with acregmin=0,acregmax=0,acdirmin=600,acdirmax=600
expect_output "644 700" sh -c "echo \$(stat -c %a $WORK/f $WORK/d)"
on_host "chmod 600 $SRV/f $SRV/d"
expect_output "600 700" sh -c "echo \$(stat -c %a $WORK/f $WORK/d)"
expect_ok umount "$OTHER"

begin "acregmin: no longer than that after a change"
with acregmin=2,acregmax=600,acdirmin=600,acdirmax=600
on_host "touch $SRV/f"
expect_output 600 stat -c %a "$WORK/f"
on_host "chmod 644 $SRV/f"
wait_until 6 sh -c "[ \$(stat -c %a $WORK/f) = 644 ]" || fail "not seen"
expect_ok umount "$OTHER"

# Inodes of 128 bytes have whole seconds.
on_host "modprobe -q loop; mkdir $SRV/seconds; truncate -s 8M $SRV/img &&
	mkfs.ext4 -qF -I 128 -O ^has_journal,^extra_isize,^metadata_csum,^64bit $SRV/img 2>/dev/null &&
	mount -o loop $SRV/img $SRV/seconds" || bail "no such ext4"
at_end on_host "umount -l $SRV/seconds"

begin "two changes with the same time stamp, and a reader between them"
wait_until 10 mountpoint -q "$DIR/seconds/." || fail "not seen"
same=0
for ((i = 10; i < 40 && same < 3; i++)); do
	first=$(on_host "printf a$i >$SRV/seconds/f; stat -c %.9Z $SRV/seconds/f")
	expect_output a$i cat "$DIR/seconds/f"
	second=$(on_host "printf b$i >$SRV/seconds/f; stat -c %.9Z $SRV/seconds/f")
	expect_output b$i cat "$DIR/seconds/f" || break
	[ "$first" != "$second" ] || same=$((same + 1))
done
[ $same -ge 3 ] || fail "never within one second: nothing was tested"
