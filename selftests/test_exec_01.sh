#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Programs that are started from the mount, and what they leave there.
. "$(dirname "$0")/lib.sh"
need gcc python3

cp /bin/sleep "$DIR/sleep"
cat >"$TMP/lib.c" <<-'END'
	int seven(void) { return 7; }
END
cat >"$TMP/main.c" <<-'END'
	#include <stdio.h>
	int seven(void);
	int main(void) { printf("%d\n", seven()); return 0; }
END

begin "a program with a library of its own, linked there"
expect_ok gcc -shared -fPIC -o "$DIR/libseven.so" "$TMP/lib.c"
expect_ok gcc -o "$DIR/main" "$TMP/main.c" -L"$DIR" -lseven -Wl,-rpath,"\$ORIGIN"
expect_output 7 "$DIR/main"
on_host "chmod 711 $SRV/main"
expect_output 7 as_user 1000 "$DIR/main"

begin "scripts, and who may start what"
put "$DIR/script" <<-'END'
	#!/bin/sh
	echo "script $1"
END
expect_fail EACCES "$DIR/script"
chmod 755 "$DIR/script"
expect_output "script x" "$DIR/script" x
printf '#!%s/script\n' "$DIR" >"$DIR/nested"
chmod 755 "$DIR/nested"
expect_output "script $DIR/nested" "$DIR/nested"
cp "$DIR/script" "$DIR/private"
chmod 700 "$DIR/private"
expect_status 126 as_user 1000 sh -c "$DIR/private"

begin "what runs is not written to, what is written to is not run"
"$DIR/sleep" 1000 &
running=$!
at_end kill $running
expect_fail ETXTBSY bash -c "echo x >>$DIR/sleep"
expect_fail ETXTBSY truncate -s 0 "$DIR/sleep"
cp "$DIR/sleep" "$DIR/busy"
exec 7>>"$DIR/busy"
expect_says "busy" "$DIR/busy" 0
exec 7>&-
expect_ok "$DIR/busy" 0

begin "replaced while it runs, as a package manager does"
cp /bin/true "$DIR/new"
expect_ok mv "$DIR/new" "$DIR/sleep"
expect_ok "$DIR/sleep"
expect_ok kill -0 $running
on_host "rm $SRV/sleep"
expect_ok kill -0 $running

begin "set-uid counts, unless the mount is nosuid"
cp "$(command -v id)" "$DIR/id"
chown 1234 "$DIR/id"
chmod 4755 "$DIR/id"
expect_output 1234 as_user 1000 "$DIR/id" -u
expect_ok mount -o remount,bind,nosuid "$MNT/srv"
expect_output 1000 as_user 1000 "$DIR/id" -u
expect_ok mount -o remount,bind,suid "$MNT/srv"

begin "noexec"
expect_ok mount -o remount,bind,noexec "$MNT/srv"
expect_fail EACCES "$DIR/main"
expect_ok mount -o remount,bind,exec "$MNT/srv"

begin "a core dump"
old=$(cat /proc/sys/kernel/core_pattern)
at_end sh -c "echo '$old' >/proc/sys/kernel/core_pattern"
echo core >/proc/sys/kernel/core_pattern
mkdir "$DIR/dump"
(cd "$DIR/dump" && ulimit -c unlimited && exec sh -c 'kill -SEGV $$') 2>/dev/null
expect_match "7f 45 4c 46" sh -c "od -An -tx1 -N4 $DIR/dump/core*"
expect_match "^[1-9][0-9]{4,}" on_host "stat -c %s $SRV/dump/core*"

begin "a swap file is refused"
head -c 1M /dev/zero >"$DIR/swap"
mkswap "$DIR/swap" >/dev/null 2>&1
expect_says "invalid argument|not supported" swapon "$DIR/swap"

begin "a user's quota is told as such"
# No quota tools for one number.
cat >"$DIR/limit" <<-'END'
	import ctypes, struct, sys
	Q_SETQUOTA, QIF_BLIMITS = 0x800008, 1
	limit = struct.pack("8QI4x", 1024, 1024, 0, 0, 0, 0, 0, 0, QIF_BLIMITS)
	libc = ctypes.CDLL(None, use_errno=True)
	if libc.quotactl(Q_SETQUOTA << 8, sys.argv[1].encode(), 1000, limit):
	    sys.exit(f"quotactl: {ctypes.get_errno()}")
END
on_host "modprobe -qa loop quota_v2; cd $SRV && mkdir quota && truncate -s 16M quota.img && mkfs.ext4 -qF -O quota quota.img &&
	mount -o loop,usrquota quota.img quota && chmod 1777 quota &&
	python3 -IS limit \$(findmnt -no SOURCE $SRV/quota)" 2>"$TMP/quota"
quota=$?
at_end on_host "umount -l $SRV/quota"
if [ $quota -ne 0 ]; then
	skip "no quota on the server: $(<"$TMP/quota")"
else
	expect_fail EDQUOT as_user 1000 dd if=/dev/zero of="$DIR/quota/f" bs=64k count=64 conv=fsync
	expect_fail EDQUOT as_user 1000 dd if=/dev/zero of="$DIR/quota/g" bs=64k count=64
	expect_ok dd if=/dev/zero of="$DIR/quota/root" bs=64k count=32 conv=fsync
fi
