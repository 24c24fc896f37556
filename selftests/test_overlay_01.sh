#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Under overlayfs: as the lower directory, as the upper one, as both; bind mounts;
# and in user namespaces, as containers use it.
. "$(dirname "$0")/lib.sh"

MERGED=$TMP/merged
LOCAL=$TMP/local
mkdir "$MERGED" "$LOCAL"
# The test machine's own / is an overlay: none goes over it.
mount -t tmpfs tmpfs "$LOCAL" || bail "no tmpfs"
at_end umount "$LOCAL"
mkdir "$LOCAL/upper" "$LOCAL/work" "$LOCAL/lower"
chmod 755 "$TMP" "$LOCAL"/*
on_host "cd $SRV && mkdir -p lower/dir/sub upper work && cd lower && echo one >one && echo two >dir/two &&
	echo three >dir/sub/three && ln -s dir/two link && setfattr -n user.color -v red one &&
	mkfifo fifo && chmod 4755 dir/two"

# merge LOWER UPPER WORK
merge() {
	expect_ok mount -t overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" overlay "$MERGED"
}

# What every kind of it must do. Its upper directory is empty before.
use() {
	expect_output two cat "$MERGED/link"
	expect_ok sh -c "echo more >>$MERGED/one"
	expect_output "$(printf 'one\nmore')" cat "$MERGED/one"
	expect_match 'user.color="red"' getfattr -n user.color "$MERGED/one"
	expect_ok rm "$MERGED/dir/two"
	expect_fail ENOENT cat "$MERGED/dir/two"
	expect_output sub ls "$MERGED/dir"
	expect_ok rm -r "$MERGED/dir/sub"
	expect_ok mkdir "$MERGED/dir/sub"
	expect_output "" ls "$MERGED/dir/sub"
	expect_ok sh -c "echo new >$MERGED/dir/sub/new && mv $MERGED/dir/sub $MERGED/moved"
	expect_output new cat "$MERGED/moved/new"
	expect_ok chmod 600 "$MERGED/fifo"
	expect_ok umount "$MERGED"
	# Nothing of it happened below.
	expect_output one cat "$1/one"
	expect_output two cat "$1/dir/two"
	expect_output three cat "$1/dir/sub/three"
}

begin "the lower directory"
merge "$DIR/lower" "$LOCAL/upper" "$LOCAL/work"
use "$DIR/lower"

begin "the upper directory, over a local one"
cp -a "$DIR/lower/." "$LOCAL/lower"
merge "$LOCAL/lower" "$DIR/upper" "$DIR/work"
use "$LOCAL/lower"

begin "what it leaves is on the server: whiteouts and marks of its own"
expect_output "character special file 0:0" on_host "stat -c '%F %Hr:%Lr' $SRV/upper/dir/two"
expect_output y on_host "getfattr --only-values -n trusted.overlay.opaque $SRV/upper/moved"
expect_output "$(printf 'one\nmore')" on_host "cat $SRV/upper/one"
merge "$LOCAL/lower" "$DIR/upper" "$DIR/work"
expect_output new cat "$MERGED/moved/new"
expect_fail ENOENT stat "$MERGED/dir/two"
expect_ok umount "$MERGED"

begin "both of them"
expect_ok rm -r "$DIR/upper" "$DIR/work"
expect_ok mkdir "$DIR/upper" "$DIR/work"
merge "$DIR/lower" "$DIR/upper" "$DIR/work"
use "$DIR/lower"

begin "a bind mount, also read-only"
mkdir "$TMP/bound"
expect_ok mount --bind "$DIR/lower" "$TMP/bound"
expect_output two cat "$TMP/bound/link"
expect_ok sh -c "echo x >$TMP/bound/x"
expect_ok mount -o remount,bind,ro "$TMP/bound"
expect_fail EROFS sh -c "echo x >$TMP/bound/x"
expect_ok sh -c "echo y >$DIR/lower/x"
expect_output y cat "$TMP/bound/x"
expect_ok umount "$TMP/bound"

begin "in a user namespace its root is the user who made it"
on_host "mkdir -m 777 $SRV/volume"
as_user 1000 unshare --user --map-root-user --mount sh -c "
	mount --bind $DIR/volume /mnt && cd /mnt && id -u >who && mkdir dir && ls -ln who &&
	! chown 1:1 who 2>/dev/null && ! mknod null c 1 3 2>/dev/null " \
	>"$TMP/said" 2>&1 || fail "$(cat "$TMP/said")"
expect_output 0 cat "$DIR/volume/who"
expect_output "1000 1000" stat -c "%u %g" "$DIR/volume/who"

begin "an idmapped mount is refused, rather than half right"
expect_output EINVAL python3 -IS -c '
import ctypes, errno, os, signal, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
asking, telling = os.pipe()
child = os.fork()
if not child:
    libc.unshare(0x10000000)  # CLONE_NEWUSER
    os.write(telling, b"x")
    signal.pause()
os.read(asking, 1)
for name in ("uid_map", "gid_map"):
    with open(f"/proc/{child}/{name}", "w") as f:
        f.write("0 100000 1000")
space = os.open(f"/proc/{child}/ns/user", os.O_RDONLY)
tree = libc.syscall(428, -100, sys.argv[1].encode(), 1)  # open_tree, OPEN_TREE_CLONE
assert tree >= 0, os.strerror(ctypes.get_errno())
attr = struct.pack("4Q", 0x100000, 0, 0, space)  # MOUNT_ATTR_IDMAP
result = libc.syscall(442, tree, b"", 0x1000, attr, len(attr))  # mount_setattr
print(errno.errorcode[ctypes.get_errno()] if result < 0 else "mapped")
os.kill(child, signal.SIGKILL)' "$DIR"

begin "no place to swap to"
expect_ok sh -c "head -c 1M /dev/zero >$DIR/swap && chmod 600 $DIR/swap && mkswap -q $DIR/swap"
expect_fail EINVAL swapon "$DIR/swap"
