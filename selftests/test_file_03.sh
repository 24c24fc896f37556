#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A large file goes over whole, in either direction.
. "$(dirname "$0")/lib.sh"

room=$(on_host "df --output=avail -k $SRV | tail -n 1")
[ "$room" -gt 140000 ] || skip_all "no room on the server"
head -c 64M /dev/urandom >"$TMP/data"
sum=$(sha256sum <"$TMP/data")

begin "64 MiB written here"
expect_ok cp "$TMP/data" "$DIR/data"
rm "$TMP/data"
expect_output "$sum" on_host "sha256sum <$SRV/data"

begin "64 MiB read here, none of it cached"
on_host "cp $SRV/data $SRV/data2 && rm $SRV/data"
expect_output "$sum" sh -c "sha256sum <$DIR/data2"

begin "and once more from the cache"
expect_output "$sum" sh -c "sha256sum <$DIR/data2"
