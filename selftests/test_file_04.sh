#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Filesystems of the server that share extents: clones, deduplication, and parting again.
. "$(dirname "$0")/lib.sh"
need python3 filefrag

cat >"$TMP/share.py" <<-'END'
	import errno, fcntl, os, resource, signal, struct, sys
	FICLONE, FICLONERANGE, FIDEDUPERANGE = 0x40049409, 0x4020940d, 0xc0189436
	os.chdir(sys.argv[1])
	block = 65536
	data = os.urandom(4 * block)
	def make(name, data):
	    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
	    os.pwrite(fd, data, 0)  # only cached: it has to be there when it is shared
	    return fd
	def read(fd):
	    return os.pread(fd, 8 * block, 0)
	def dedupe(src, dst):
	    job = bytearray(struct.pack("=QQHHIqQQiI", 0, block, 1, 0, 0, dst, 0, 0, 0, 0))
	    fcntl.ioctl(src, FIDEDUPERANGE, job)
	    return struct.unpack("=QQHHIqQQiI", job)[7:9]
	a, b = make("a", data), make("b", b"old" * 1000)
	assert read(b)  # cached
	fcntl.ioctl(b, FICLONE, a)
	assert read(b) == data, "not what was cloned"
	os.pwrite(b, b"changed", 10)
	assert read(a) == data, "a write showed in the other"
	c = make("c", bytes(block))
	fcntl.ioctl(c, FICLONERANGE, struct.pack("=qQQQ", a, block, block, block))
	assert read(c) == bytes(block) + data[block:2 * block], "a range"
	d = make("d", data)
	assert dedupe(a, d) == (block, 0), "not merged"
	assert read(d) == data
	os.pwrite(d, b"x" if data[0] != ord("x") else b"y", 0)
	assert dedupe(a, d) == (0, 1), "what differs was merged"
	e = make("e", b"")
	at = 0
	while at < len(data):
	    at += os.copy_file_range(a, e, len(data) - at)
	assert read(e) == data
	f = make("f", b"")
	signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
	resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
	try:
	    fcntl.ioctl(f, FICLONE, a)
	    sys.exit("cloned beyond RLIMIT_FSIZE")
	except OSError as err:
	    assert err.errno in (errno.EFBIG, errno.EINVAL), err
END

# made KIND SIZE: a filesystem of it at $SRV/KIND
made() {
	on_host "command -v mkfs.$1 && modprobe -qa loop $1; mkdir $SRV/$1 && truncate -s $2 $SRV/$1.img &&
		mkfs.$1 -q $SRV/$1.img && mount -o loop $SRV/$1.img $SRV/$1" >/dev/null 2>&1 &&
		at_end on_host "umount -l $SRV/$1" && wait_until 10 mountpoint -q "$DIR/$1/."
}

for kind in "btrfs 128M" "xfs 320M"; do
	read -r kind size <<<"$kind"
	begin "$kind: clones and copies share, writing parts them, what differs is not merged"
	made "$kind" "$size" || {
		skip "no $kind on the server"
		continue
	}
	expect_ok python3 -IS "$TMP/share.py" "$DIR/$kind"
	expect_ok cp --reflink=always "$DIR/$kind/a" "$DIR/$kind/g"
	for name in a b c g; do
		expect_match shared on_host "filefrag -v $SRV/$kind/$name"
		expect_match shared filefrag -v "$DIR/$kind/$name"
	done
	expect_eq "$(on_host "cd $SRV/$kind && cat ? | sha256sum")" "$(cat "$DIR/$kind"/? | sha256sum)" sums
done

begin "xfs: FALLOC_FL_UNSHARE_RANGE"
if [ ! -e "$DIR/xfs/g" ] || ! command -v xfs_io >/dev/null; then
	skip "no xfs"
else
	expect_ok xfs_io -c "funshare 0 256k" "$DIR/xfs/g"
	! filefrag -v "$DIR/xfs/g" | grep shared || fail "still shared"
	expect_same "$DIR/xfs/a" "$DIR/xfs/g"
fi
