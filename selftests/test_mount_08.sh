#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The server's mounts: seen as mounts, followed as they come and go, never kept busy.
. "$(dirname "$0")/lib.sh"

need blockdev findmnt mkfs.ext4

# An ext4 of its own on the host, mounted on $SRV/disk.
on_host "mkdir $SRV/disk $SRV/other $SRV/bound $SRV/shared $SRV/peer
	modprobe loop
	truncate -s 64M $SRV/image && mkfs.ext4 -q -N 16384 $SRV/image
	losetup -P -f --show $SRV/image >$SRV/device" || bail "no loop device"
DEV=$(on_host cat "$SRV/device")
at_end on_host "umount -l $SRV/disk $SRV/other $SRV/bound $SRV/moved $SRV/shared $SRV/peer 2>/dev/null; losetup -d $DEV"

mount_disk() {
	on_host mount "$DEV" "$SRV/disk"
}

# Who has a filesystem mounted anywhere cannot open its device for himself.
nobody_uses() {
	on_host "python3 -IS -c 'import os; os.open(\"$1\", os.O_RDONLY | os.O_EXCL)' 2>/dev/null"
}

type_of() {
	findmnt -n -o FSTYPE -M "$1"
}

begin "a mount of the server is one of the client: st_dev, statfs, mountinfo"
on_host "mount $DEV $SRV/disk && echo inside >$SRV/disk/file" || bail "cannot mount"
# The first that is done there may be this.
expect_match "^file" ls "$DIR/disk"
expect_output inside cat "$DIR/disk/file"
expect_output qtfs type_of "$DIR/disk"
expect_match "$SRV/disk\$" findmnt -n -o SOURCE -M "$DIR/disk"
expect_eq "$(findmnt -n -o MAJ:MIN -M "$DIR/disk" | tr -d ' ')" \
	"$(stat -c %Hd:%Ld "$DIR/disk/file")" "st_dev"
expect_eq "$(stat -c %d "$DIR/disk")" "$(stat -c %d "$DIR/disk/file")" "st_dev of the root"
expect_eq "$(on_host stat -f -c %b:%c "$SRV/disk")" "$(stat -f -c %b:%c "$DIR/disk")" "statfs"
expect_eq "$(on_host stat -f -c %b:%c "$SRV")" "$(stat -f -c %b:%c "$DIR")" "statfs above"
expect_fail EXDEV python3 -IS -c "import os; os.link('$DIR/disk/file', '$DIR/link')"

begin "qtinfo takes it for the mount that it is part of"
expect_match "bytes sent" qtinfo stats "$DIR/disk"

begin "find -xdev stays out, find goes in, rm -r does not"
expect_output "" find "$DIR" -xdev -name file
expect_output "$DIR/disk/file" find "$DIR" -name file
expect_says busy rmdir "$DIR/disk"

MANY=10000
[[ ${QTFS_KERNEL-} != @(debug|um) ]] || MANY=300 # it takes minutes there

begin "what clients know does not keep the server from unmounting"
on_host "mkdir $SRV/disk/many && cd $SRV/disk/many && python3 -IS -c 'import os
for n in range($MANY): os.mknod(str(n))'" || fail "cannot make them"
expect_eq $MANY "$(find "$DIR/disk/many" -type f -size 0 | wc -l)" "files"
expect_ok on_host umount "$SRV/disk"
wait_until 10 nobody_uses "$DEV" || fail "the device is still in use"
expect_ok on_host blockdev --rereadpt "$DEV"
expect_output "" ls "$DIR/disk"

begin "and what was unmounted is not there any more"
expect_output "" ls "$DIR/disk"
type_of "$DIR/disk" && fail "still a mount"
expect_eq "$(stat -c %d "$DIR")" "$(stat -c %d "$DIR/disk/")" "st_dev"
expect_fail ENOENT cat "$DIR/disk/file"

begin "what is mounted later is there at once"
mount_disk
wait_until 10 test -e "$DIR/disk/file" || fail "not seen"
expect_output qtfs type_of "$DIR/disk"
on_host "mount -t tmpfs none $SRV/disk && echo above >$SRV/disk/file"
wait_until 10 grep -q above "$DIR/disk/file" || fail "the one on top is not seen"
on_host umount "$SRV/disk"
wait_until 10 grep -q inside "$DIR/disk/file" || fail "the one below is not seen"

begin "a bind mount has the same files"
on_host mount --bind "$SRV/disk" "$SRV/bound"
wait_until 10 grep -q inside "$DIR/bound/file" || fail "not seen"
expect_eq "$(stat -c %d:%i "$DIR/disk/file")" "$(stat -c %d:%i "$DIR/bound/file")" "the file"
expect_ok on_host umount "$SRV/bound"

begin "a move on the server is one on the client"
on_host "mkdir $SRV/moved; mount --make-private \$(findmnt -n -o TARGET -T $SRV) 2>/dev/null
	mount --move $SRV/disk $SRV/moved" || fail "cannot move"
wait_until 10 grep -q inside "$DIR/moved/file" || fail "not seen"
expect_output "" ls "$DIR/disk"
expect_ok on_host "mount --move $SRV/moved $SRV/disk"
wait_until 10 grep -q inside "$DIR/disk/file" || fail "not back"

begin "what changes is told, not found out by time"
mkdir "$TMP/long"
expect_ok mount -t qtfs -o actimeo=600 "$SRV" "$TMP/long"
at_end umount -l "$TMP/long"
ls "$TMP/long/other" "$TMP/long/moved" >/dev/null
on_host "mount -t tmpfs none $SRV/other && echo x >$SRV/other/told"
wait_until 5 test -e "$TMP/long/other/told" || fail "not told of a mount"
on_host "mount --move $SRV/other $SRV/moved"
wait_until 5 test -e "$TMP/long/moved/told" || fail "not told of a move"
wait_until 5 test ! -e "$TMP/long/other/told" || fail "still at the old place"
on_host "umount $SRV/moved"
wait_until 5 test ! -e "$TMP/long/moved/told" || fail "not told of an unmount"
expect_ok umount "$TMP/long"

begin "whoever walks in mounts it: an ordinary user, and one in a user namespace"
umount "$DIR/disk"
expect_output inside as_user 1000 cat "$DIR/disk/file"
expect_output qtfs type_of "$DIR/disk"
umount "$DIR/disk"
expect_output inside as_user 1000 unshare -Urm cat "$DIR/disk/file"

begin "a file that is a mount point"
on_host "echo below >$SRV/one; mount --bind $SRV/disk/file $SRV/one"
wait_until 40 grep -q inside "$DIR/one" || fail "not seen"
on_host "umount $SRV/one"
wait_until 40 grep -q below "$DIR/one" || fail "still seen"

begin "one after the other, and their numbers may be the same"
for n in {1..10}; do
	place=$([ $((n % 3)) -eq 0 ] && echo bound || echo other)
	on_host "mount -t tmpfs none $SRV/$place && echo $n >$SRV/$place/file"
	wait_until 10 grep -qx "$n" "$DIR/$place/file" || fail "not seen: $n"
	expect_output file ls "$DIR/$place"
	on_host umount "$SRV/$place"
	expect_output "" ls "$DIR/$place"
done

begin "read-only is followed"
expect_ok touch "$DIR/disk/writable"
on_host mount -o remount,ro "$SRV/disk"
expect_fail EROFS touch "$DIR/disk/not"
on_host mount -o remount,rw "$SRV/disk"
on_host mount -o remount,bind,ro "$SRV/disk"
wait_until 10 sh -c "! touch $DIR/disk/not-\$\$ 2>/dev/null" || fail "still writable"
on_host mount -o remount,bind,rw "$SRV/disk"
wait_until 10 touch "$DIR/disk/again" || fail "still read-only"

begin "an absolute symbolic link below a mount leads into the tree"
on_host "ln -s $SRV/other $SRV/disk/absolute; mkdir $SRV/disk/deep; echo o >$SRV/other/o
	ln -s $SRV/disk/file $SRV/disk/deep/file"
expect_output o cat "$DIR/disk/absolute/o"
expect_output inside cat "$DIR/disk/deep/file"

begin "nor does it lead out of the tree when a folder above has moved"
on_host "mkdir -p $SRV/up/up && mkdir $SRV/up/up/bound && mount --bind $SRV/disk $SRV/up/up/bound"
wait_until 10 test -e "$DIR/up/up/bound/absolute/o" || fail "not seen"
expect_ok mv "$DIR/up/up" "$DIR/lower"
expect_output o cat "$DIR/lower/bound/absolute/o"
expect_ok on_host umount "$SRV/lower/bound"

begin "mounts below mounts"
on_host "mkdir -p $SRV/disk/sub && mount -t tmpfs none $SRV/disk/sub &&
	mkdir $SRV/disk/sub/sub && mount -t tmpfs none $SRV/disk/sub/sub &&
	echo deepest >$SRV/disk/sub/sub/file"
wait_until 10 grep -q deepest "$DIR/disk/sub/sub/file" || fail "not seen"
expect_eq 3 "$(grep -c " $DIR/disk" /proc/self/mounts)" "mounts"
expect_ok on_host "umount $SRV/disk/sub/sub $SRV/disk/sub"
wait_until 10 sh -c "! ls $DIR/disk/sub/sub 2>/dev/null" || fail "still there"
expect_output "" ls "$DIR/disk/sub"

begin "what is mounted below a shared mount is at each of its places, and goes from each"
on_host "mkdir -p $SRV/base/sub
	mount --bind $SRV/base $SRV/shared && mount --make-shared $SRV/shared &&
	mount --bind $SRV/shared $SRV/peer && mount -t tmpfs none $SRV/shared/sub &&
	echo everywhere >$SRV/peer/sub/file" || fail "cannot mount"
for place in shared peer; do
	wait_until 10 grep -q everywhere "$DIR/$place/sub/file" || fail "not seen at $place"
	expect_output qtfs type_of "$DIR/$place/sub"
done
expect_output "" ls "$DIR/base/sub"
mkdir "$TMP/again"
expect_ok mount --bind "$DIR/peer" "$TMP/again"
at_end umount -l "$TMP/again"
expect_output everywhere cat "$TMP/again/sub/file"
expect_output everywhere unshare -m --propagation slave \
	chroot "$MNT" /bin/sh -c "read -r line <$SRV/shared/sub/file; echo \$line"
expect_ok on_host umount "$SRV/peer/sub"
for place in "$DIR/shared" "$DIR/peer" "$TMP/again"; do
	wait_until 10 test ! -e "$place/sub/file" || fail "still at $place"
	expect_output "" ls "$place/sub"
done
expect_ok umount "$TMP/again"
expect_ok on_host "umount $SRV/peer $SRV/shared"

begin "a program with a file open there keeps it, and loses nothing"
exec 7<>"$DIR/disk/held"
echo first >&7
expect_ok on_host umount "$SRV/disk"
echo second >&7
exec 7>&-
wait_until 10 nobody_uses "$DEV" || fail "the device is still in use"
mount_disk
expect_output "$(printf 'first\nsecond')" on_host cat "$SRV/disk/held"

begin "umount takes the submounts along, and nothing on the server"
OTHER=$TMP/other
mkdir "$OTHER"
expect_ok mount -t qtfs "$SRV" "$OTHER"
at_end umount -l "$OTHER"
expect_output inside cat "$OTHER/disk/file"
expect_output qtfs type_of "$OTHER/disk"
expect_ok umount "$OTHER"
mount -t qtfs "$SRV" "$OTHER"
cat "$OTHER/disk/file" >/dev/null
expect_ok umount -R "$OTHER"
expect_output inside on_host cat "$SRV/disk/file"
wait_until 10 sh -c "[ \$(qtinfo --json mounts | jq length) = 1 ]" ||
	fail "its session stays: $(qtinfo mounts)"

begin "a submount that is in use holds the mount"
mount -t qtfs "$SRV" "$OTHER"
exec 7<"$OTHER/disk/file"
expect_says busy umount "$OTHER"
expect_ok umount -l "$OTHER"
expect_eq inside "$(cat <&7)"
exec 7<&-
wait_until 10 sh -c "[ \$(qtinfo --json mounts | jq length) = 1 ]" ||
	fail "its session stays: $(qtinfo mounts)"

begin "a submount can be mounted elsewhere, and outlives the mount"
mount -t qtfs "$SRV" "$OTHER"
mkdir "$TMP/bind"
expect_ok mount --bind "$OTHER/disk" "$TMP/bind"
expect_ok umount "$OTHER"
expect_output inside cat "$TMP/bind/file"
expect_ok touch "$TMP/bind/outlived"
expect_ok on_host test -e "$SRV/disk/outlived"
expect_ok umount "$TMP/bind"

begin "what nobody uses goes by itself, what is in use does not"
TIMEOUT=/sys/module/qtfs/parameters/qtfs_submount_timeout
at_end sh -c "echo $(cat $TIMEOUT) >$TIMEOUT"
on_host mount --bind "$SRV/disk" "$SRV/bound"
wait_until 10 test -e "$DIR/bound/file"
exec 7<"$DIR/bound/file"
echo 2 >$TIMEOUT
cat "$DIR/disk/file" >/dev/null
# findmnt would use it.
wait_until 20 sh -c "! grep -q ' $DIR/disk ' /proc/self/mountinfo" || fail "still mounted"
expect_output qtfs type_of "$DIR/bound"
exec 7<&-
wait_until 20 sh -c "! grep -q ' $DIR/bound ' /proc/self/mountinfo" || fail "still mounted"
expect_output inside cat "$DIR/disk/file"
on_host umount "$SRV/bound"

begin "what is mounted there cannot be got round"
umount "$DIR/disk" 2>/dev/null
expect_says "no such|not a directory|not permitted" python3 -IS -c "
import os
place = os.open('$DIR/disk', os.O_PATH)
os.open('file', os.O_RDONLY, dir_fd=place)"
expect_output inside cat "$DIR/disk/file"

begin "numbers of devices stay"
device=$(stat -c %d "$DIR/disk/")
umount "$DIR/disk"
expect_eq "$device" "$(stat -c %d "$DIR/disk")" "not mounted here"
expect_eq "$device" "$(stat -c %d "$DIR/disk/")" "and mounted again"
expect_eq "$(findmnt -n -o MAJ:MIN -M "$MNT" | tr -d ' ')" "$(stat -c %Hd:%Ld "$MNT/etc")" \
	"st_dev of what is mounted"

begin "in a mount namespace and a chroot of its own"
expect_output inside unshare -m sh -c "mount --make-rprivate /; umount $DIR/disk; cat $DIR/disk/file"
expect_match "inside" unshare -m sh -c \
	"chroot $MNT /bin/sh -c 'read line <$SRV/disk/file; echo \$line'"

begin "many at once come to one mount each"
on_host "umount $SRV/disk; mount $DEV $SRV/disk"
wait_until 10 test -e "$DIR/disk/file"
for _ in 1 2 3; do
	umount "$DIR/disk" 2>/dev/null
	seq 8 | xargs -P 8 -I{} cat "$DIR/disk/file" >/dev/null
	expect_eq 1 "$(grep -c " $DIR/disk " /proc/self/mounts)" "mounts"
done

begin "mounts that come and go while files are opened below"
(
	for _ in $(seq 8); do
		on_host "mount -t tmpfs none $SRV/other && echo x >$SRV/other/x; umount $SRV/other"
	done
) &
while kill -0 $! 2>/dev/null; do
	cat "$DIR/other/x" "$DIR/other/o" >/dev/null 2>&1
	ls -l "$DIR/other" >/dev/null 2>&1
done
wait $!
expect_output o cat "$DIR/other/o"
