#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Random sequences of calls: each call, and what is there in the end, as on ext4
# itself. A sequence that shows a difference is printed, shortened; SEED=,
# ROUNDS= and COUNT= choose others.
. "$(dirname "$0")/lib.sh"
need mkfs.ext4 losetup

LOCAL=$TMP/ext4
mkdir "$LOCAL"
modprobe -q loop
truncate -s 256M "$TMP/image"
mkfs.ext4 -q -b 4096 -I 256 "$TMP/image"
mount -o loop "$TMP/image" "$LOCAL" || skip_all "no ext4 of its own"
at_end umount "$LOCAL"

begin "what works on ext4 works here, and the same"
"$QTFS_BUILD/random_ops" "$DIR" "$LOCAL" --seed "${SEED:-1}" --rounds "${ROUNDS:-3}" \
	--count "${COUNT:-400}" || fail "a difference"

begin "and longer"
"$QTFS_BUILD/random_ops" "$DIR" "$LOCAL" --seed "${SEED:-1000}" --count "$((${COUNT:-400} * 3))" ||
	fail "a difference"

begin "the same without caching"
mkdir "$TMP/other"
at_end umount "$TMP/other"
expect_ok mount -t qtfs -o noac "${QTFS_SOURCE:-/}" "$TMP/other"
"$QTFS_BUILD/random_ops" "$TMP/other$SRV" "$LOCAL" --seed "${SEED:-2000}" \
	--rounds "${ROUNDS:-1}" --count "${COUNT:-400}" || fail "a difference"
expect_ok umount "$TMP/other"
