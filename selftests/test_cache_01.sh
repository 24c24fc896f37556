#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# cache=: how much of what others do is seen, and when.
. "$(dirname "$0")/lib.sh"
need python3

OTHER=$TMP/other
mkdir "$OTHER"
at_end umount -l "$OTHER"

# with OPTIONS: the server's tree at $OTHER
with() {
	expect_ok mount -t qtfs -o "$1" "${QTFS_SOURCE:-/}" "$OTHER" || bail "cannot mount"
	WORK=$OTHER$SRV
}

begin "what is not known is refused by name"
expect_says "cache" mount -t qtfs -o cache=some "${QTFS_SOURCE:-/}" "$OTHER"

begin "none: what is open is read and written at the server, at once"
with cache=none
expect_match "cache=none,acregmin=0,acregmax=0" grep " $OTHER " /proc/mounts
on_host "echo first >$SRV/f"
exec 7<"$WORK/f"
exec 8<>"$WORK/f"
read -r line <&7
expect_eq first "$line"
on_host "printf FIRST >$SRV/f; echo '+second' >>$SRV/f"
expect_output "FIRST+second" cat "$WORK/f"
read -r line <&7
expect_eq second "$line" "behind what was read before"
echo other >&8
expect_output "other second" on_host "xargs <$SRV/f"
exec 7<&- 8>&-
expect_output 644 stat -c %a "$WORK/f"
on_host chmod 600 "$SRV/f"
expect_output 600 stat -c %a "$WORK/f"
on_host mv "$SRV/f" "$SRV/g"
expect_fail ENOENT stat "$WORK/f"

begin "none: mappings, programs, copies"
python3 -IS - "$WORK/map" <<-'END' || fail "a mapping"
	import mmap, os, sys
	fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
	os.write(fd, b"a" * 10000)
	with mmap.mmap(fd, 10000) as m:
	    assert m[9999:] == b"a"
	    m[5000:5003] = b"xyz"
	    assert os.pread(fd, 3, 5000) == b"xyz"
	    os.pwrite(fd, b"123", 6000)
	    assert m[6000:6003] == b"123"
END
python3 -IS - "$WORK/map2" <<-'END' || fail "a store was lost beside a write"
	import mmap, os, sys, threading
	fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
	os.write(fd, bytes(4096))
	m = mmap.mmap(fd, 4096)
	done = False
	def store():
	    n = 0
	    while not done:
	        n = n + 1
	        m[0] = n & 255
	        assert m[0] == n & 255, "undone"
	    m[1] = 77
	writer = threading.Thread(target=store)
	writer.start()
	for i in range(300):
	    os.pwrite(fd, bytes([i & 255]), 100 + i)
	    assert os.pread(fd, 1, 100 + i) == bytes([i & 255]), i
	done = True
	writer.join()
	m.flush()
	there = os.pread(fd, 4096, 0)
	assert there[1] == 77 and there[0] == m[0], there[:2]
	for i in range(300):
	    assert there[100 + i] == i & 255, i
END
expect_output xyz on_host "head -c 5003 $SRV/map | tail -c 3"
on_host "cp /bin/echo $SRV/echo"
expect_output "it runs" "$WORK/echo" it runs
expect_ok cp "$WORK/echo" "$WORK/copy"
expect_same "$WORK/echo" "$WORK/copy"
expect_output 3 sh -c "head -c 3 $WORK/map | cat | wc -c"
expect_ok umount "$OTHER"

begin "none, with time-outs that were asked for"
with cache=none,actimeo=3
expect_match "cache=none,acregmin=3,acregmax=3" grep " $OTHER " /proc/mounts
expect_ok mount -o remount,ro "$OTHER"
expect_ok umount "$OTHER"

begin "loose: names and attributes are believed, data are compared at open"
on_host "echo one >$SRV/loose"
with cache=loose
expect_match "cache=loose,acregmin=86400" grep " $OTHER " /proc/mounts
expect_output one cat "$WORK/loose"
on_host "chmod 600 $SRV/loose; mkdir $SRV/new"
sleep 2
expect_output 644 stat -c %a "$WORK/loose"
on_host "echo three >$SRV/loose"
expect_output three cat "$WORK/loose"
expect_output 600 stat -c %a "$WORK/loose"
expect_ok umount "$OTHER"
