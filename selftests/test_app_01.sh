#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Programs that rely on much of a filesystem at once: rsync, dpkg, SQLite's
# write-ahead log, a build.
. "$(dirname "$0")/lib.sh"
need rsync setfacl setfattr dpkg-deb dpkg sqlite3 make gcc

# tree DIRECTORY: some of everything that rsync keeps
tree() {
	mkdir -p "$1/dir/sub" "$1/empty"
	head -c 300000 /dev/urandom >"$1/big"
	truncate -s 1M "$1/dir/sparse"
	echo text >"$1/dir/file"
	ln "$1/dir/file" "$1/hard"
	ln -s ../hard "$1/dir/link"
	mkfifo "$1/fifo"
	mknod "$1/null" c 1 3
	printf 'odd\n' >"$1/a name with \"quotes\" and ümläuts"
	setfattr -n user.color -v blue "$1/hard"
	setfacl -m u:1000:rwx,d:u:1001:rx "$1/dir/sub"
	chmod 2750 "$1/empty"
	chown 1000:1001 "$1/dir/sub"
	touch -d '2001-02-03 04:05:06.123456789' "$1/big" "$1/dir"
}

# differences FROM TO: what rsync would still change
differences() {
	rsync -aAXH --delete --dry-run --itemize-changes "$1/" "$2/"
}

begin "rsync -aAXH there and back changes nothing"
mkfs.ext4 -q "$TMP/image" 16M && modprobe -q loop
mkdir "$TMP/local" "$TMP/fs"
mount -o loop "$TMP/image" "$TMP/fs" || bail "no ext4 of its own"
at_end umount "$TMP/fs"
mkdir "$TMP/fs/one" "$TMP/fs/two"
tree "$TMP/fs/one"
expect_ok rsync -aAXH "$TMP/fs/one/" "$DIR/copy/"
expect_output "" differences "$TMP/fs/one" "$DIR/copy"
expect_ok rsync -aAXH "$DIR/copy/" "$TMP/fs/two/"
expect_output "" differences "$TMP/fs/one" "$TMP/fs/two"
expect_ok rsync -aAXH --delete --checksum "$DIR/copy/" "$DIR/again/"
expect_output "" differences "$DIR/copy" "$DIR/again"
expect_output 2 stat -c %h "$DIR/again/hard"

begin "dpkg installs, upgrades and removes a package"
mkdir -p "$TMP/deb/DEBIAN" "$TMP/deb/etc" "$TMP/deb/usr/bin" "$DIR"/root/var/lib/dpkg/{info,updates,triggers}
: >"$DIR/root/var/lib/dpkg/status"
# package VERSION
package() {
	printf 'Package: thing\nVersion: %s\nArchitecture: all\nMaintainer: x <x@y>\nDescription: x\n' \
		"$1" >"$TMP/deb/DEBIAN/control"
	echo /etc/thing.conf >"$TMP/deb/DEBIAN/conffiles"
	echo "setting of $1" >"$TMP/deb/etc/thing.conf"
	echo "version $1" >"$TMP/deb/usr/bin/thing"
	seq 1 "${1%%.*}000" | split -l 100 - "$TMP/deb/usr/bin/part."
	dpkg-deb --root-owner-group -b "$TMP/deb" "$TMP/thing.deb" >"$TMP/said" 2>&1 || fail "$(cat "$TMP/said")"
}
in_root() {
	dpkg --root="$DIR/root" --force-not-root --force-script-chrootless --log=/dev/null "$@"
}
package 1.0
expect_ok in_root -i "$TMP/thing.deb"
expect_output "version 1.0" on_host cat "$SRV/root/usr/bin/thing"
package 2.0
expect_ok in_root --force-confnew -i "$TMP/thing.deb"
expect_output "version 2.0" cat "$DIR/root/usr/bin/thing"
expect_output "" in_root --verify thing
expect_ok in_root -P thing
expect_ok test ! -e "$DIR/root/usr/bin/thing"

begin "SQLite with a write-ahead log, three at a time"
expect_output wal sqlite3 "$DIR/db" "PRAGMA journal_mode=WAL;"
expect_ok sqlite3 "$DIR/db" "CREATE TABLE t(who, n);"
for who in 1 2 3; do
	for n in $(seq 1 20); do
		echo "INSERT INTO t VALUES($who, $n);"
	done | sqlite3 -cmd ".timeout 60000" "$DIR/db" >"$TMP/sql$who" 2>&1 &
done
wait
cat "$TMP"/sql? | grep . && fail "errors"
expect_output "60 ok" sh -c "echo \$(sqlite3 $DIR/db 'SELECT count(*) FROM t; PRAGMA integrity_check;')"
expect_ok sqlite3 "$DIR/db" "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode=DELETE;"
expect_output 60 on_host "sqlite3 $SRV/db 'SELECT count(*) FROM t'"

begin "a build, in parallel, twice"
mkdir "$DIR/build"
for i in 1 2 3 4 5 6; do
	echo "int f$i(void); int f$i(void) { return $i; }" >"$DIR/build/f$i.c"
done
cat >"$DIR/build/main.c" <<-'END'
	int f1(void), f2(void), f3(void), f4(void), f5(void), f6(void);
	int main(void) { return f1() + f2() + f3() + f4() + f5() + f6() != 21; }
END
cat >"$DIR/build/Makefile" <<-'END'
	prog: main.o f1.o f2.o f3.o libf.a ; $(CC) -o $@ main.o f1.o f2.o f3.o libf.a
	libf.a: f4.o f5.o f6.o ; $(AR) rcs $@ $^
END
expect_ok make -s -j3 -C "$DIR/build"
expect_ok "$DIR/build/prog"
expect_match "up to date" make -j3 -C "$DIR/build"
on_host touch "$SRV/build/f1.c" "$SRV/build/f5.c"
wait_until 40 sh -c "! make -q -C $DIR/build" || fail "nobody sees that they are newer"
expect_ok make -s -j3 -C "$DIR/build"
expect_ok "$DIR/build/prog"
