#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Options and sources that cannot work: refused with the reason, nothing mounted.
. "$(dirname "$0")/lib.sh"

OTHER=$TMP/other
mkdir "$OTHER"
at_end umount -f "$OTHER"

# refused REGEX SOURCE [OPTIONS]: mount fails and says something like REGEX
refused() {
	local said
	if said=$(mount -t qtfs ${3:+-o "$3"} "$2" "$OTHER" 2>&1); then
		umount "$OTHER"
		fail "$2 ${3-}: mounted"
		return
	fi
	grep -qE -- "$1" <<<"$said" ||
		fail "${2:0:80} ${3-}: '${said: -200}', expected $1"
	! mountpoint -q "$OTHER" || fail "$2 ${3-}: something is mounted"
}

begin "unknown options are named"
refused "nonsense" / nonsense
refused "nonsense" / nonsense=1
refused "rsizes" / rsizes=4096

begin "values out of range are named"
refused "port=0|port.*0" / port=0
refused "65536" / port=65536
refused "port" / port=-1
refused "port" / port=abc
refused "port" / port=
refused "rsize=4095" / rsize=4095
refused "wsize=4194305" / wsize=4194305
refused "ra=1048577" / ra=1048577
refused "acregmin=86401" / acregmin=86401
refused "acregmax" / acregmax=x
refused "actimeo=86401" / actimeo=86401
refused "connect_timeout=0" / connect_timeout=0
refused "connect_timeout=3601" / connect_timeout=3601

begin "values that are not among the words are named"
refused "symlinks" / symlinks=maybe
refused "redirects" / redirects=yes
refused "trans=pigeon|pigeon" / trans=pigeon
refused "trans=|pigeon" "pigeon:$QTFS_HOST_IP:/"
refused "channel tcp.*trans= vsock" "tcp:$QTFS_HOST_IP:/" trans=vsock

begin "sources that are none"
refused "source|nowhere" nowhere
refused "source|relative" relative/path
refused "source|:/" :/srv
refused "." ""
refused "300.300|not an IP|not known|resolve" 300.300.300.300:/
refused "no-such-host|not known|resolve" no-such-host.invalid:/
refused "255|too long" "/$(printf 'x%.0s' {1..4200})"

begin "a mount point that is none"
expect_fail ENOENT mount.qtfs / "$TMP/none"
put "$TMP/file" ""
expect_says "not a directory" mount.qtfs / "$TMP/file"

begin "paths that the server does not have, or that are no directory"
refused "has no '$SRV/none'" "$SRV/none"
put "$DIR/file" ""
refused "not a directory" "$SRV/file"
refused "not a directory|Not a directory" "$SRV/file/below"
ln -s none "$DIR/dangling"
refused "has no|not a directory" "$SRV/dangling"

begin "without the helper the kernel's log has the reason"
expect_status 32 mount -i -t qtfs "$SRV/none" "$OTHER"
expect_match "has no '$SRV/none'" sh -c "dmesg | sed '1,/$MARK/d'"

begin "what the mounter may not do"
expect_status 1 as_user 1000 mount.qtfs / /mnt
mountpoint -q /mnt && fail "mounted by uid 1000"

begin "sloppy mounting leaves out what is not known"
expect_ok mount.qtfs / "$OTHER" -s -o nonsense=1
expect_ok umount "$OTHER"

begin "a fake mount checks everything, and mounts nothing"
expect_ok mount.qtfs / "$OTHER" -f
expect_status 32 mountpoint -q "$OTHER"
