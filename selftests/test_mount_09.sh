#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# mount -o remote: mounts that a client makes on the server, and takes away.
. "$(dirname "$0")/lib.sh"
need findmnt mkfs.ext4 ss

OTHER=$TMP/other
PORT=12431
chmod 755 "$TMP"
mkdir "$OTHER"
at_end umount -R "$OTHER"
on_host "mkdir $SRV/m $SRV/disk $SRV/own
	modprobe loop
	truncate -s 32M $SRV/image && mkfs.ext4 -q $SRV/image
	losetup -f --show $SRV/image >$SRV/device" || bail "no loop device"
DEV=$(on_host cat "$SRV/device")
at_end on_host "umount -l $SRV/m $SRV/moved $SRV/disk $SRV/own 2>/dev/null; losetup -d $DEV"

remote() {
	local options=$1
	shift
	mount -t qtfs -o "remote,$options" "$@"
}

# What the server has there
there() {
	on_host findmnt -n -o "${2:-FSTYPE}" -M "$SRV/$1"
}

begin "an export that does not allow it refuses, and says so"
expect_says "allow-mount" remote fstype=tmpfs none "$DIR/m"
expect_status 1 there m

engine_at $PORT --export "$SRV,allow-mount"
expect_ok mount -t qtfs -o "port=$PORT" "$QTFS_HOST_IP:$SRV" "$OTHER"
ls "$OTHER/m" >/dev/null

begin "a tmpfs on the server: there and here at once"
expect_ok remote fstype=tmpfs,size=1m,mode=751,nosuid none "$OTHER/m"
expect_output tmpfs there m
expect_match "nosuid.*size=1024k,mode=751" there m OPTIONS
expect_output 256 stat -f -c %b "$OTHER/m"
expect_output qtfs findmnt -n -o FSTYPE -M "$OTHER/m"
put "$OTHER/m/file" hello
expect_output hello on_host cat "$SRV/m/file"
expect_fail ENOSPC dd if=/dev/zero of="$OTHER/m/big" bs=1M count=2

begin "unmounting here is of here"
expect_ok umount "$OTHER/m"
expect_output tmpfs there m
expect_output hello cat "$OTHER/m/file"
expect_ok umount -R "$OTHER"
expect_output tmpfs there m

begin "nor does a client that goes without a word unmount anything"
expect_ok mount -t qtfs -o "port=$PORT" "$QTFS_HOST_IP:$SRV" "$OTHER"
expect_output hello cat "$OTHER/m/file"
expect_ok qtinfo abort "$OTHER"
expect_ok umount -R "$OTHER"
wait_until 10 on_host "! ss -Htn state established 'sport = :$PORT' | grep -q ." ||
	fail "the engine still has it"
expect_output tmpfs there m

begin "what another mount of qtfs made is not its own to take away"
expect_ok mount -t qtfs -o "port=$PORT" "$QTFS_HOST_IP:$SRV" "$OTHER"
expect_says "only what was mounted by this" mount.qtfs -u "$OTHER/m"
expect_output tmpfs there m
on_host umount "$SRV/m"
on_host mount -t tmpfs none "$SRV/own"
wait_until 10 mountpoint -q "$OTHER/own/." || fail "not seen"
expect_says "only what was mounted by this" mount.qtfs -u "$OTHER/own"
expect_output tmpfs there own

begin "a disk of the server, and unmounted there again"
expect_ok remote fstype=ext4,ro,noexec "$DEV" "$OTHER/disk"
expect_match "^ro,.*noexec" there disk OPTIONS
expect_output "$DEV" there disk SOURCE
expect_ok ls "$OTHER/disk/lost+found"
expect_fail EROFS touch "$OTHER/disk/file"
expect_ok mount.qtfs -u "$OTHER/disk"
expect_status 1 there disk
expect_output "" ls "$OTHER/disk"
wait_until 10 on_host "python3 -IS -c 'import os; os.open(\"$DEV\", os.O_RDONLY | os.O_EXCL)'" ||
	fail "the disk is still in use"

begin "one on the other"
expect_ok remote fstype=tmpfs one "$OTHER/m"
expect_ok remote fstype=tmpfs two "$OTHER/m"
expect_eq 2 "$(there m | wc -l)" "mounts"
expect_ok mount.qtfs -u "$OTHER/m"
expect_output one there m SOURCE
expect_ok mount.qtfs -u "$OTHER/m"
expect_status 1 there m
expect_says "only what was mounted by this" mount.qtfs -u "$OTHER/m"

begin "while the server uses it, it stays"
expect_ok remote fstype=tmpfs none "$OTHER/m"
on_host "cd $SRV/m && exec sleep 60" </dev/null >/dev/null 2>&1 &
wait_until 10 on_host "pgrep -f '^sleep 60' | xargs -I% readlink /proc/%/cwd | grep -q $SRV/m" ||
	fail "nobody is there"
expect_says "$SRV/m on the server: .*busy" mount.qtfs -u "$OTHER/m"
expect_output tmpfs there m
on_host "pkill -f '^sleep 60'"
wait_until 10 mount.qtfs -u "$OTHER/m" || fail "not unmounted"

begin "what is wrong is said by the server's kernel"
expect_says "nonsense" remote fstype=tmpfs,nonsense=1 none "$OTHER/m"
expect_says "no filesystem \"nosuchfs\"" remote fstype=nosuchfs none "$OTHER/m"
expect_says "lookup|No such file|open blockdev" remote fstype=ext4 /dev/nosuchdisk "$OTHER/m"
expect_says "size" remote "fstype=tmpfs,size=all" none "$OTHER/m"
expect_says "fstype" remote "size=1m" none "$OTHER/m"
expect_says "too long|list" remote "fstype=tmpfs,x=$(printf 'x%.0s' {1..5000})" none "$OTHER/m"
expect_status 1 there m

begin "what is no request is refused here, and harms nobody"
cat >"$TMP/raw.py" <<-'END'
	import ctypes, fcntl, os, struct, sys
	text = ctypes.create_string_buffer(b"tmpfs\0none", 10)
	how = struct.pack("QQII", ctypes.addressof(text), 0, 10, 0)
	fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 1 << 30 | 24 << 16 | ord("q") << 8 | 0x10, how)
END
expect_fail EINVAL python3 -IS "$TMP/raw.py" "$OTHER/m"
expect_ok ls "$OTHER"

begin "nor over the root of it all"
expect_says "busy" remote fstype=tmpfs none "$OTHER"
expect_says "busy" mount.qtfs -u "$OTHER"

begin "only directories of a mount of qtfs, and only root"
expect_says "not a directory of a mount of qtfs" remote fstype=tmpfs none "$TMP"
expect_says "not a directory" remote fstype=tmpfs none "$OTHER/image"
expect_says "only root" as_user 1000 mount.qtfs none "$OTHER/m" -o remote,fstype=tmpfs
expect_says "only root" setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin \
	mount.qtfs none "$OTHER/m" -o remote,fstype=tmpfs
expect_status 1 there m

begin "the name leads elsewhere meanwhile: nothing is mounted there"
exec 7<"$OTHER/m"
on_host "mv $SRV/m $SRV/moved && mkdir $SRV/m"
expect_ok remote fstype=tmpfs none /proc/self/fd/7
expect_status 1 there m
expect_output tmpfs there moved
exec 7<&-
expect_ok mount.qtfs -u "$OTHER/moved"
