#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Containers of this machine whose volumes, and whose root, are the server's.
. "$(dirname "$0")/lib.sh"
need podman busybox qtfs-agent

# make_root DIR: what a container has for its /, with this machine's programs below /usr
make_root() {
	mkdir -p "$1"/{bin,dev,etc,proc,run,sys,tmp,usr,v}
	cp "$(command -v busybox)" "$1/bin/busybox"
	ln -s busybox "$1/bin/sh"
	ln -s usr/lib "$1/lib"
	ln -s usr/lib64 "$1/lib64"
}

# contain ARG...: runs a container, which is gone afterwards
contain() {
	timeout 300 podman --log-level error --storage-driver vfs --root "$TMP/storage" \
		--runroot "$TMP/run" run --rm --network none -v /usr:/usr:ro "$@"
}

make_root "$TMP/root"
mkdir "$DIR/volume"
chmod 777 "$DIR/volume"
in_volume=(-v "$DIR/volume:/v" --rootfs "$TMP/root")

begin "a container starts"
expect_output here contain --rootfs "$TMP/root" /bin/sh -c "echo here" ||
	bail "podman does not work here"

begin "its volume is a folder of the server"
expect_output inside contain "${in_volume[@]}" /bin/sh -c "echo inside >/v/file; cat /v/file"
expect_output inside on_host cat "$SRV/volume/file"
on_host "echo outside >$SRV/volume/file"
expect_output outside contain "${in_volume[@]}" /bin/busybox cat /v/file
expect_output "qtfs $MNT" contain "${in_volume[@]}" /bin/sh -c \
	"grep -q ' /v .* - qtfs ' /proc/self/mountinfo && echo qtfs $MNT"

begin "what the server mounts below it is in the container, too"
mkdir "$DIR/volume/disk"
on_host "mount -t tmpfs none $SRV/volume/disk && echo mounted >$SRV/volume/disk/file"
at_end on_host "umount -l $SRV/volume/disk"
wait_until 10 test -e "$DIR/volume/disk/file"
expect_output mounted contain "${in_volume[@]}" /bin/busybox cat /v/disk/file
# Nobody has walked in here before.
on_host "umount $SRV/volume/disk; mount -t tmpfs none $SRV/volume/disk; echo again >$SRV/volume/disk/file"
expect_output again contain "${in_volume[@]}" /bin/sh -c \
	"for i in 1 2 3 4 5 6 7 8 9; do [ ! -e /v/disk/file ] || break; sleep 1; done; cat /v/disk/file"

begin "its users are the server's"
expect_ok contain --user 1000:1001 "${in_volume[@]}" /bin/busybox touch /v/users
expect_output 1000:1001 on_host stat -c %u:%g "$SRV/volume/users"
on_host "echo secret >$SRV/volume/secret; chmod 600 $SRV/volume/secret"
expect_says "Permission denied" contain --user 1000:1001 "${in_volume[@]}" /bin/busybox cat /v/secret

begin "a read-only one is"
expect_says "Read-only" contain -v "$DIR/volume:/v:ro" --rootfs "$TMP/root" /bin/busybox touch /v/new

begin "locks and FIFOs are for programs of both machines"
on_host "mkfifo $SRV/volume/fifo; (echo met >$SRV/volume/fifo) </dev/null >/dev/null 2>&1 &"
expect_output met contain "${in_volume[@]}" /bin/busybox cat /v/fifo
on_host "(flock 9; echo >$SRV/volume/fifo; sleep 60) 9>$SRV/volume/lock </dev/null >/dev/null 2>&1 &
	echo \$! >$SRV/holder; cat $SRV/volume/fifo >/dev/null"
expect_status 1 contain "${in_volume[@]}" /usr/bin/flock -n /v/lock /bin/busybox true
on_host "kill \$(cat $SRV/holder)"

begin "a unix socket of the server, too"
agent_start --log-level info
on_host "setsid $PROGRAMS/unix-socket serve stream $SRV/volume/socket </dev/null & echo \$!
	until [ -S $SRV/volume/socket ]; do sleep 0.05; done" >"$TMP/pid" || bail "no server"
at_end on_host "kill $(cat "$TMP/pid")"
cp "$PROGRAMS/unix-socket" "$TMP/root/bin"
expect_output hellobye sh -c "$(declare -f contain); TMP=$TMP
	contain -v $DIR/volume:/v --rootfs $TMP/root /bin/unix-socket talk stream /v/socket hello |
		tr -d '\n'"

begin "its root is the server's"
make_root "$DIR/root"
expect_output made contain --rootfs "$DIR/root" /bin/sh -c "echo made >/made; cat /made"
expect_output made on_host cat "$SRV/root/made"
