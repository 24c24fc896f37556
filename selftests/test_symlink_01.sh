#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Symbolic links: an absolute target means the server's root, not the client's.
. "$(dirname "$0")/lib.sh"

OTHER=$TMP/other
mkdir "$OTHER"
at_end umount -f "$OTHER"
on_host "mkdir -p $SRV/a/b/c; echo there >$SRV/target
	ln -s target $SRV/rel
	ln -s ../../target $SRV/a/b/up
	ln -s $SRV/target $SRV/abs
	ln -s $SRV/target $SRV/a/b/c/abs
	ln -s / $SRV/a/root
	ln -s $SRV/a $SRV/a/b/folder
	ln -s /etc/only-on-host-$$ $SRV/etc
	ln -s $SRV/none $SRV/dangling
	ln -s //srv/../$SRV/./target $SRV/odd
	echo 'the server speaking' >/etc/only-on-host-$$"
at_end on_host "rm -f /etc/only-on-host-$$"

# The depth of $SRV below the root: /srv/NAME has two.
up=../../

begin "relative targets are as they are"
expect_output target readlink "$DIR/rel"
expect_output ../../target readlink "$DIR/a/b/up"
expect_output there cat "$DIR/a/b/up"

begin "absolute ones lead to the mount, from any depth"
expect_output "$up${SRV#/}/target" readlink "$DIR/abs"
expect_output "../../../$up${SRV#/}/target" readlink "$DIR/a/b/c/abs"
expect_output there cat "$DIR/abs"
expect_output there cat "$DIR/a/b/c/abs"
expect_output "the server speaking" cat "$DIR/etc"
expect_output there cat "$DIR/odd"
expect_output there cat "$DIR/a/b/folder/b/up"

begin "a link to / is the root of the mount"
expect_output "$(stat -c %d:%i "$MNT")" stat -L -c %d:%i "$DIR/a/root"
expect_output there cat "$DIR/a/root$SRV/target"

begin "a dangling one dangles, even where the client has such a file"
expect_fail ENOENT cat "$DIR/dangling"
# On one machine that would be the server's own.
if [ "$QTFS_HOST_IP" != "$QTFS_CLIENT_IP" ]; then
	mkdir -p "$SRV" && put "$SRV/none" "the client's own"
	expect_fail ENOENT cat "$DIR/dangling"
	rm -r "${SRV:?}"
fi

begin "lstat, rm and mv work on the link itself"
expect_output "symbolic link" stat -c %F "$DIR/abs"
expect_output "$(on_host stat -c "'%i %s'" "$SRV/rel")" stat -c '%i %s' "$DIR/rel"
expect_ok mv "$DIR/abs" "$DIR/a/moved"
expect_output "../$up${SRV#/}/target" readlink "$DIR/a/moved"
expect_output there cat "$DIR/a/moved"
expect_output "$SRV/target" on_host readlink "$SRV/a/moved"
expect_ok rm "$DIR/a/moved"
expect_output there cat "$DIR/target"

begin "a folder that moves takes its links along"
expect_ok mv "$DIR/a/b/c" "$DIR/c"
expect_output "../$up${SRV#/}/target" readlink "$DIR/c/abs"
expect_output there cat "$DIR/c/abs"

begin "what is made here is there as it was made"
expect_ok ln -s /some/where "$DIR/new"
expect_output /some/where on_host readlink "$SRV/new"
expect_output "$up"some/where readlink "$DIR/new"
long=$(printf 'x%.0s' {1..4000})
expect_ok ln -s "$long" "$DIR/long"
expect_output "$long" on_host readlink "$SRV/long"
expect_output "$long" readlink "$DIR/long"
expect_fail ENAMETOOLONG ln -s "$long$long" "$DIR/longer"

begin "symlinks=raw shows the server's text"
expect_ok mount -t qtfs -o symlinks=raw / "$OTHER"
expect_output "$SRV/target" readlink "$OTHER$SRV/c/abs"
expect_output / readlink "$OTHER$SRV/a/root"
expect_ok umount "$OTHER"

begin "a mount of a folder shows its links raw, unless told"
expect_ok mount -t qtfs "$SRV" "$OTHER"
expect_output "$SRV/target" readlink "$OTHER/c/abs"
expect_ok umount "$OTHER"
expect_ok mount -t qtfs -o symlinks=relative "$SRV" "$OTHER"
expect_output ../target readlink "$OTHER/c/abs"
expect_output there cat "$OTHER/c/abs"
expect_output /some/where readlink "$OTHER/new"
expect_output / readlink "$OTHER/a/root"
expect_ok umount "$OTHER"

begin "a target that is replaced is seen"
expect_output target readlink "$DIR/rel"
on_host "ln -sfn dangling $SRV/rel"
wait_until 40 sh -c "[ \$(readlink $DIR/rel) = dangling ]" || fail "stays the old one"

begin "links of synthetic files are read afresh"
expect_output "../../srv" sh -c "on-host 'cd /srv; sleep 100 & echo \$! >$SRV/pid'
	readlink $MNT/proc/\$(cat $DIR/pid)/cwd"
on_host "kill \$(cat $SRV/pid)"
