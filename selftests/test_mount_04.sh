#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Pre-shared keys: who has none, or another, stays out; the key shows nowhere.
. "$(dirname "$0")/lib.sh"

OTHER=$TMP/other
PORT=12421
mkdir "$OTHER"
at_end umount -f "$OTHER"
KEY=correct-horse-battery-$$
(
	umask 077
	put "$TMP/right" "$KEY"
	put "$TMP/wrong" "wrong-$KEY"
	: >"$TMP/empty"
	head -c 5000 /dev/zero | tr '\0' k >"$TMP/long"
)
on_host "umask 077; cat >$SRV/key" <"$TMP/right"
engine_at $PORT --psk-file "$SRV/key" --export /

# refused REGEX OPTIONS
refused() {
	local said
	if said=$(mount -t qtfs -o "port=$PORT${2:+,$2}" "$QTFS_HOST_IP:/" \
			"$OTHER" 2>&1); then
		umount "$OTHER"
		fail "${2-}: mounted"
		return
	fi
	grep -qE -- "$1" <<<"$said" || fail "${2-}: '$said', expected $1"
	grep -q "$KEY" <<<"$said" && fail "the key is in the message"
}

begin "the right key opens"
expect_ok mount -t qtfs -o "port=$PORT,psk=$TMP/right" "$QTFS_HOST_IP:/" "$OTHER"
expect_ok ls "$OTHER$SRV"

begin "the key shows neither among the mounts nor in logs and processes"
grep -rqs "$KEY" /proc/mounts /proc/self/mountinfo && fail "/proc/mounts"
qtinfo --json mounts | grep -q "$KEY" && fail "qtinfo"
dmesg | grep -q "$KEY" && fail "kernel log"
on_host "grep -q $KEY /run/qtfs-engine-$PORT.log" && fail "engine's log"
expect_ok umount "$OTHER"

begin "the name psk-file works too"
expect_ok mount -t qtfs -o "port=$PORT,psk-file=$TMP/right" "$QTFS_HOST_IP:/" "$OTHER"
expect_ok umount "$OTHER"

begin "another key does not"
refused "wrong pre-shared key" "psk=$TMP/wrong"

begin "nor does none"
refused "requires a pre-shared key" ""

begin "a key that the server does not ask for is no reason to trust it"
if said=$(mount -t qtfs -o "psk=$TMP/right" "$QTFS_HOST_IP:/" "$OTHER" 2>&1); then
	umount "$OTHER"
	fail "mounted without the server's proof"
fi
grep -qE "does not ask for the key|pre-shared|key" <<<"$said" || fail "$said"

begin "files that are no key"
refused "none|No such file" "psk=$TMP/none"
refused "empty|bytes|key" "psk=$TMP/empty"
refused "long|4096|bytes" "psk=$TMP/long"
refused "directory|regular" "psk=$TMP"

begin "a key that others may read is not used"
cp "$TMP/right" "$TMP/open"
chmod 644 "$TMP/open"
refused "permission|mode|others|0644|644" "psk=$TMP/open"

begin "the engine too wants its key to be private"
on_host "cp $SRV/key $SRV/open && chmod 644 $SRV/open"
expect_status 1 on_host "timeout 5 $QTFS_BUILD/engine 64 1 \
	--listen 127.0.0.1:12429 --psk-file $SRV/open </dev/null; [ \$? = 124 ]"

begin "after the refused ones the right key still opens"
expect_ok mount -t qtfs -o "port=$PORT,psk=$TMP/right" "$QTFS_HOST_IP:/" "$OTHER"
expect_ok umount "$OTHER"
