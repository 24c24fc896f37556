#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A full disk and a read-only one at the server: the writer is told, always.
. "$(dirname "$0")/lib.sh"

on_host "mkdir $SRV/small $SRV/ro $SRV/below && echo old >$SRV/below/f &&
	mount -t tmpfs -o size=1m tmpfs $SRV/small &&
	mount --bind $SRV/below $SRV/ro && mount -o remount,bind,ro $SRV/ro"
at_end on_host "umount -l $SRV/small; umount -l $SRV/ro"

used() {
	on_host "stat -c %s $SRV/small/$1"
}

begin "more than there is room for: write, fsync or close says so"
expect_fail ENOSPC dd if=/dev/zero of="$DIR/small/a" bs=64k count=64
expect_fail ENOSPC dd if=/dev/zero of="$DIR/small/b" bs=64k count=64 conv=fsync
rm "$DIR/small/a" "$DIR/small/b"

begin "in one write"
expect_fail ENOSPC dd if=/dev/zero of="$DIR/small/a" bs=4M count=1
rm "$DIR/small/a"

begin "past the cache"
expect_fail ENOSPC dd if=/dev/zero of="$DIR/small/a" bs=64k count=64 oflag=direct
expect_fail ENOSPC sh -c "head -c 100k /dev/zero >>$DIR/small/a"
rm "$DIR/small/a"

begin "through a mapping: msync or close says so"
python3 -IS - "$DIR/small/m" <<-'END' || fail "no error"
	import errno, mmap, os, sys
	fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
	os.ftruncate(fd, 4 << 20)
	m = mmap.mmap(fd, 4 << 20)
	for at in range(0, 4 << 20, 4096):
	    m[at] = 1
	try:
	    m.flush()
	    os.fsync(fd)
	except OSError as e:
	    assert e.errno == errno.ENOSPC, e
	    sys.exit(0)
	sys.exit("msync and fsync say that all is well")
END
rm -f "$DIR/small/m"

begin "each who has it open is told by fsync, once"
python3 -IS - "$DIR/small/t" <<-'END' || fail "who was told what"
	import errno, os, sys
	one = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
	two = os.open(sys.argv[1], os.O_RDWR)
	def error(call, *args):
	    try:
	        call(*args)
	    except OSError as e:
	        return errno.errorcode[e.errno]
	os.pwrite(one, bytes(600 << 10), 0)
	assert error(os.fsync, one) is None
	first = error(os.pwrite, one, bytes(2 << 20), 0) or error(os.fsync, one)
	assert first == "ENOSPC", first
	assert error(os.fsync, two) == "ENOSPC"
	os.ftruncate(one, 1000)
	assert error(os.fsync, one) is None, "told twice"
	assert error(os.fsync, two) is None, "told twice"
END
rm -f "$DIR/small/t"

begin "and by close, who has not asked"
python3 -IS - "$DIR/small/t" <<-'END' || fail "who was told what"
	import errno, os, sys
	one, two = (os.open(sys.argv[1], os.O_RDWR | os.O_CREAT) for _ in range(2))
	def error(call, *args):
	    try:
	        call(*args)
	    except OSError as e:
	        return errno.errorcode[e.errno]
	first = error(os.pwrite, one, bytes(2 << 20), 0) or error(os.fsync, one)
	assert first == "ENOSPC", first
	assert error(os.close, two) == "ENOSPC", "close says that all is well"
	assert error(os.close, one) is None, "told twice"
END
rm -f "$DIR/small/t"

begin "what could not be written is not copied on the server"
python3 -IS - "$DIR/small/t" <<-'END' || fail "it was"
	import os, sys
	full = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
	copy = os.open(sys.argv[1] + ".copy", os.O_RDWR | os.O_CREAT)
	try:
	    os.pwrite(full, bytes(4096), 8 << 20)
	    os.pwrite(full, b"x" * (2 << 20), 0)
	    os.copy_file_range(full, copy, 100, 1 << 20, 0)
	except OSError:
	    sys.exit(0)
	sys.exit("copied")
END
rm -f "$DIR/small/t" "$DIR/small/t.copy"

begin "nor what could not be written earlier, when nobody was told"
python3 -IS - "$DIR/small/t" <<-'END' || fail "it was"
	import errno, os, sys
	full = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
	copy = os.open(sys.argv[1] + ".copy", os.O_RDWR | os.O_CREAT)
	os.pwrite(full, b"x" * (4 << 20), 0)
	os.sync()
	try:
	    os.copy_file_range(full, copy, 100, 0, 0)
	except OSError as e:
	    assert e.errno == errno.ENOSPC, e
	    sys.exit(0)
	sys.exit("copied")
END
rm -f "$DIR/small/t" "$DIR/small/t.copy"

begin "what did fit is there, and room made is used"
dd if=/dev/zero of="$DIR/small/a" bs=64k count=64 2>/dev/null
expect_ok sh -c "[ $(used a) -gt 500000 ]"
rm "$DIR/small/a"
head -c 500k /dev/urandom >"$DIR/small/b" || fail "no room"
expect_eq "$(on_host "sha256sum <$SRV/small/b")" "$(sha256sum <"$DIR/small/b")" sum
expect_ok dd if=/dev/zero of="$DIR/small/b" bs=100k count=5 conv=notrunc,fsync

begin "no inodes left"
on_host "mount -o remount,nr_inodes=4 $SRV/small"
for i in 1 2 3 4 5; do : >"$DIR/small/i$i"; done 2>/dev/null
expect_fail ENOSPC touch "$DIR/small/last"
expect_fail ENOSPC mkdir "$DIR/small/last"

begin "a read-only filesystem of the server"
expect_output old cat "$DIR/ro/f"
expect_fail EROFS touch "$DIR/ro/new"
expect_fail EROFS mkdir "$DIR/ro/new"
expect_says "Read-only" python3 -IS -c "import ctypes, os, sys
c = ctypes.CDLL(None, use_errno=True)
c.access(b'$DIR/ro/f', os.W_OK) and sys.exit(os.strerror(ctypes.get_errno()))"
expect_fail EROFS rm "$DIR/ro/f"
expect_fail EROFS mv "$DIR/ro/f" "$DIR/ro/g"
expect_fail EROFS chmod 600 "$DIR/ro/f"
expect_fail EROFS bash -c "echo x >>$DIR/ro/f"
expect_fail EROFS bash -c "echo x >$DIR/ro/f"
expect_fail EROFS truncate -s 0 "$DIR/ro/f"
expect_fail EROFS ln -s x "$DIR/ro/l"
expect_fail EROFS setfattr -n user.x -v 1 "$DIR/ro/f"
expect_output old on_host cat "$SRV/below/f"

begin "two filesystems of the server are two"
put "$DIR/x" text
expect_fail EXDEV ln "$DIR/x" "$DIR/small/x"
on_host "mount -o remount,nr_inodes=100 $SRV/small"
expect_ok mv "$DIR/x" "$DIR/small/x"
expect_output text on_host cat "$SRV/small/x"

begin "a mount point of the server is busy"
expect_fail EBUSY rmdir "$DIR/small"
expect_fail EBUSY mv "$DIR/small" "$DIR/moved"
