#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Exports that take callers for somebody else: root squashed, ids mapped. Who
# somebody here is there, and what he is shown.
. "$(dirname "$0")/lib.sh"
need setfacl getfacl setfattr setpriv

US=$PROGRAMS/unix-socket
PORT=12461
SQUASHED=$TMP/squashed
MAPPED=$TMP/mapped
S=$SRV/squashed
M=$SRV/mapped
GROUPS50="setpriv --reuid 1000 --regid 1000 --groups 50,0 --inh-caps=-all --bounding-set=-all"
chmod 755 "$TMP" # other users go through it
mkdir "$SQUASHED" "$MAPPED"
at_end umount -f "$SQUASHED" "$MAPPED"

# owner_there FILE: as the server has it
owner_there() {
	on_host "stat -c %u:%g $1"
}

owner() {
	stat -c %u:%g "$1"
}

on_host "mkdir $S $M && chmod 777 $S $M
	cd $S
	echo secret >private; chmod 600 private
	echo staff >staff; chown 0:50 staff; chmod 640 staff
	echo wheel >wheel; chmod 640 wheel
	cd $M
	echo secret >foreign; chmod 600 foreign
	echo user >users; chown 101000:201000 users; chmod 600 users"
on_host "cat >/run/ids.toml" <<-END
	[[export]]
	path = "$S"
	squash = "root"

	[[export]]
	path = "$M"
	uid-map = [{ client = 0, server = 100000, count = 65536 }]
	gid-map = [{ client = 0, server = 200000, count = 65536 }]
END
engine_at $PORT -c /run/ids.toml
for part in squashed mapped; do
	mount -t qtfs -o port=$PORT "$QTFS_HOST_IP:$SRV/$part" "$TMP/$part" || bail "no $part"
done

# squash = "root"

begin "root is nobody where he is squashed, and owners are shown as they are"
expect_fail EACCES cat "$SQUASHED/private"
expect_ok touch "$SQUASHED/made"
expect_output 65534:65534 owner_there "$S/made"
expect_output 65534:65534 owner "$SQUASHED/made"
expect_output 0:0 owner "$SQUASHED/private"

begin "he has no capabilities there"
expect_fail EPERM chown 1000 "$SQUASHED/made"
expect_fail EPERM chmod 666 "$SQUASHED/private"
expect_fail EPERM mknod "$SQUASHED/null" c 1 3
expect_fail EPERM setfattr -n trusted.x -v 1 "$SQUASHED/made"

begin "others are themselves, but for group 0"
expect_ok as_user 1000:1001 touch "$SQUASHED/mine"
expect_output 1000:1001 owner_there "$S/mine"
# shellcheck disable=SC2086
expect_output staff $GROUPS50 cat "$SQUASHED/staff"
# shellcheck disable=SC2086
expect_fail EACCES $GROUPS50 cat "$SQUASHED/wheel"

# uid-map, gid-map

begin "owners are shown by the map, 65534 where it has none"
expect_ok touch "$MAPPED/made"
expect_output 100000:200000 owner_there "$M/made"
expect_output 0:0 owner "$MAPPED/made"
expect_ok as_user 1000:1001 touch "$MAPPED/mine"
expect_output 101000:201001 owner_there "$M/mine"
expect_output 1000:1001 owner "$MAPPED/mine"
expect_output 65534:65534 owner "$MAPPED/foreign"
expect_match "^-rw------- +1 +65534 +65534 .* foreign$" ls -n "$MAPPED"
expect_match "^-rw------- +1 +1000 +1000 .* users$" ls -n "$MAPPED"

begin "who may goes by it, and root has no capabilities"
expect_output user as_user 1000 cat "$MAPPED/users"
expect_fail EACCES cat "$MAPPED/users"
expect_fail EACCES cat "$MAPPED/foreign"
expect_fail EPERM chmod 666 "$MAPPED/foreign"
expect_fail EPERM mknod "$MAPPED/null" c 1 3

begin "owners are set by it"
# shellcheck disable=SC2086
expect_ok $GROUPS50 chgrp 50 "$MAPPED/mine"
expect_output 101000:200050 owner_there "$M/mine"
expect_output 1000:50 owner "$MAPPED/mine"
expect_fail EPERM chown 1000 "$MAPPED/made"
expect_fail EINVAL chown 70000 "$MAPPED/made"
expect_fail EINVAL chgrp 70000 "$MAPPED/made"

begin "ACLs are shown and set by it"
expect_ok setfacl -m u:1000:rw,g:60:r "$MAPPED/made"
expect_match "^user:101000:rw-$" on_host "getfacl -n $M/made 2>/dev/null"
expect_match "^group:200060:r--$" on_host "getfacl -n $M/made 2>/dev/null"
expect_match "^user:1000:rw-$" getfacl -n "$MAPPED/made"
expect_match "^group:60:r--$" getfacl -n "$MAPPED/made"
expect_ok as_user 1000 sh -c "echo x >>$MAPPED/made"
expect_fail EINVAL setfacl -m u:70000:r "$MAPPED/made"
on_host "setfacl -m u:1000:r $M/foreign"
expect_match "^user:65534:r--$" getfacl -n "$MAPPED/foreign"

# Unix sockets

agent_start --log-level info
on_host "setsid $US serve stream $M/who who </dev/null & echo \$!
	until [ -S $M/who ]; do [ -d /proc/\$! ] || exit 1; sleep 0.05; done" >"$TMP/pid" ||
	bail "no server"
at_end on_host "kill $(cat "$TMP/pid")"

begin "programs of the server see who connects by their own ids"
expect_output "100000 200000" "$US" talk stream "$MAPPED/who"
expect_output "101000 201001" as_user 1000:1001 "$US" talk stream "$MAPPED/who"

begin "programs here see theirs by ours"
"$US" serve stream "$MAPPED/here" who </dev/null >/dev/null 2>&1 &
at_end kill $!
wait_until 10 test -S "$MAPPED/here" || bail "no program here"
expect_output "1000 1001" \
	on_host "setpriv --reuid 101000 --regid 201001 --clear-groups $US talk stream $M/here"
expect_output "65534 65534" on_host "$US talk stream $M/here"
