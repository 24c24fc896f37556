#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Sources and options that work, and what /proc/mounts makes of them.
. "$(dirname "$0")/lib.sh"

OTHER=$TMP/other
mkdir "$OTHER"
at_end umount -f "$OTHER"

# mounted SOURCE OPTIONS REGEX: mounts, compares the line of /proc/mounts
mounted() {
	expect_ok mount -t qtfs ${2:+-o "$2"} "$1" "$OTHER" || return
	expect_match "$3" grep " $OTHER " /proc/mounts
	expect_ok umount "$OTHER"
}

begin "a path alone is one of the server that the module knows"
mounted "$SRV" "" "^$SRV $OTHER qtfs rw,"

begin "/ shows the root of the server"
expect_ok mount -t qtfs / "$OTHER"
expect_output "$(on_host ls -A /)" ls -A "$OTHER"
expect_ok umount "$OTHER"

begin "ADDRESS:/PATH, with and without the channel's name"
mounted "$QTFS_HOST_IP:$SRV" "" "^$QTFS_HOST_IP:$SRV $OTHER qtfs .*addr=$QTFS_HOST_IP"
mounted "tcp:$QTFS_HOST_IP:$SRV" "" " $OTHER qtfs .*trans=tcp"
mounted "$SRV" "server=$QTFS_HOST_IP" "addr=$QTFS_HOST_IP"

begin "what is below the mounted path is what is below it on the server"
on_host "mkdir $SRV/d && echo text >$SRV/d/f"
expect_ok mount -t qtfs "$SRV/d" "$OTHER"
expect_output text cat "$OTHER/f"
expect_eq "$(on_host stat -c %i "$SRV/d")" "$(stat -c %i "$OTHER")" "inode of the root"
expect_output "$OTHER" sh -c "cd $OTHER/.. && cd other/. && pwd -P"
expect_ok umount "$OTHER"

begin "options are shown as given"
mounted / symlinks=raw "symlinks=raw"
mounted / redirects ",redirects,"
mounted / redirects,noredirects "addr=[^,]*,rsize"
mounted / rsize=4096,wsize=8192 "rsize=4096,wsize=8192"
mounted / rsize=5000 "rsize=4096"
mounted / ra=128 "ra=128"
mounted / acregmin=3,acregmax=4,acdirmin=5,acdirmax=6 \
	"acregmin=3,acregmax=4,acdirmin=5,acdirmax=6"
mounted / actimeo=7 "acregmin=7,acregmax=7,acdirmin=7,acdirmax=7"
mounted / noac "acregmin=0,acregmax=0,acdirmin=0,acdirmax=0"
mounted / connect_timeout=3 "connect_timeout=3"

begin "flags of every filesystem work"
mounted / ro,nosuid,noexec,nodev,noatime "qtfs ro,nosuid,nodev,noexec,noatime"

begin "ro keeps this client from writing, and only it"
expect_ok mount -t qtfs -o ro "$SRV" "$OTHER"
expect_fail EROFS touch "$OTHER/new"
expect_fail EROFS mkdir "$OTHER/new"
expect_fail EROFS rm "$OTHER/d/f"
expect_fail EROFS bash -c "echo x >>$OTHER/d/f"
expect_fail EROFS chmod 600 "$OTHER/d/f"
expect_ok touch "$DIR/new"
wait_until 40 test -e "$OTHER/new" || fail "it does not see it"

begin "remount makes it writable, and back"
expect_ok mount -o remount,rw "$OTHER"
expect_ok touch "$OTHER/now"
expect_ok on_host test -e "$SRV/now"
expect_ok mount -o remount,ro "$OTHER"
expect_fail EROFS touch "$OTHER/again"
expect_ok umount "$OTHER"

begin "two mounts of one tree do not disturb each other"
expect_ok mount -t qtfs "$SRV" "$OTHER"
put "$OTHER/shared" one
expect_output one cat "$DIR/shared"
expect_output "$(stat -c %i "$DIR/shared")" stat -c %i "$OTHER/shared"
expect_ok sh -c "[ \$(stat -c %d $DIR) != \$(stat -c %d $OTHER) ]"
expect_match "$OTHER" qtinfo mounts
expect_ok umount "$OTHER"
expect_output one cat "$DIR/shared"
expect_eq 0 "$(grep -c " $OTHER" /proc/mounts)" "mounts left"
