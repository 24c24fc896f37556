#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Modes, owners, set-id bits, umask and default ACLs: as the server does it.
. "$(dirname "$0")/lib.sh"

# agrees FORMAT FILE: stat says the same at both ends
agrees() {
	expect_output "$(on_host stat -c "'$1'" "$SRV/$2")" stat -c "$1" "$DIR/$2"
}

begin "modes"
put "$DIR/f" x
for mode in 0 1 600 644 755 7777 4711 2755 1777 000; do
	expect_ok chmod $mode "$DIR/f"
	expect_output $((8#$mode)) on_host "echo \$((8#\$(stat -c %a $SRV/f)))"
	agrees %a f
done

begin "owners"
expect_ok chown 1000:2000 "$DIR/f"
expect_output 1000:2000 on_host stat -c %u:%g "$SRV/f"
expect_ok chown 3000 "$DIR/f"
expect_ok chgrp 4000 "$DIR/f"
expect_output 3000:4000 on_host stat -c %u:%g "$SRV/f"
expect_ok chown 4294967294:4294967294 "$DIR/f"
agrees %u:%g f
agrees %u:%g f

begin "new files belong to who makes them"
expect_ok chmod 777 "$DIR"
expect_ok as_user 1234:5678 touch "$DIR/theirs"
expect_output 1234:5678 on_host stat -c %u:%g "$SRV/theirs"
expect_ok chmod 2777 "$DIR"
expect_ok chgrp 99 "$DIR"
expect_ok as_user 1234:5678 mkdir "$DIR/sgid"
expect_output "1234:99 2755" on_host "stat -c '%u:%g %a' $SRV/sgid"
expect_ok chmod g-s "$DIR"

begin "only the owner changes modes, only root owners"
expect_fail EPERM as_user 1000 chmod 600 "$DIR/theirs"
expect_ok as_user 1234 chmod 600 "$DIR/theirs"
expect_fail EPERM as_user 1234 chown 1000 "$DIR/theirs"
expect_fail EPERM as_user 1234:5678 chgrp 1 "$DIR/theirs"
expect_fail EPERM as_user 1000 \
	python3 -IS -c 'import os, sys; os.utime(sys.argv[1], (1, 1))' "$DIR/theirs"
expect_output "1234:5678 600" on_host "stat -c '%u:%g %a' $SRV/theirs"

begin "writing takes set-id bits away, as on the server"
for mode in 6777 2777 2767 4711; do
	for folder in "$SRV" "$DIR"; do
		run=
		[ "$folder" = "$SRV" ] && run=on_host
		rm -f "$DIR/s"
		put "$DIR/s" x
		chmod $mode "$DIR/s"
		chmod o+rw "$DIR/s"
		if [ -z "$run" ]; then
			as_user 1000 sh -c "echo more >>$folder/s"
			mine=$(on_host stat -c %a "$SRV/s")
		else
			on_host "setpriv --reuid 1000 --regid 1000 --clear-groups \
				--inh-caps=-all --bounding-set=-all \
				sh -c 'echo more >>$folder/s'"
			theirs=$(on_host stat -c %a "$SRV/s")
		fi
	done
	expect_eq "$theirs" "$mine" "mode $mode, written by another user"
	agrees %a s
done

begin "so do truncating and changing the owner"
for what in "truncate -s 1" "chown 1000" "chgrp 1000"; do
	put "$DIR/s" xyz
	chown 0:0 "$DIR/s"
	chmod 6777 "$DIR/s"
	$what "$DIR/s"
	mine=$(on_host stat -c %a "$SRV/s")
	agrees %a s
	chown 0:0 "$DIR/s"
	chmod 6777 "$DIR/s"
	on_host "$what $SRV/s"
	expect_eq "$(on_host stat -c %a "$SRV/s")" "$mine" "$what"
done

begin "the umask counts where there is no default ACL"
expect_ok sh -c "umask 027; mkdir $DIR/u; touch $DIR/u/f; mkfifo $DIR/u/p"
expect_output "750 640 640" on_host "stat -c %a $SRV/u $SRV/u/f $SRV/u/p | xargs"

begin "a default ACL of the server counts instead of the umask"
on_host "mkdir $SRV/acl && setfacl -d -m u::rwx,g::rwx,o::rx,u:1000:rwx $SRV/acl" ||
	skip "no ACLs on the server"
expect_ok sh -c "umask 077; mkdir $DIR/acl/d; touch $DIR/acl/f; mkfifo $DIR/acl/p"
on_host "umask 077; mkdir $SRV/acl/d2; touch $SRV/acl/f2; mkfifo $SRV/acl/p2"
for kind in d f p; do
	expect_eq "$(on_host "getfacl -c $SRV/acl/${kind}2" 2>/dev/null)" \
		"$(on_host "getfacl -c $SRV/acl/$kind" 2>/dev/null)" "ACL of $kind"
done

begin "an ACL of the server lets in and keeps out"
on_host "echo secret >$SRV/a && chmod 600 $SRV/a && setfacl -m u:1000:r $SRV/a"
expect_output secret as_user 1000 cat "$DIR/a"
expect_fail EACCES as_user 1001 cat "$DIR/a"
expect_fail EACCES as_user 1000 sh -c "echo x >>$DIR/a"

begin "ACLs are shown and set through the mount"
expect_eq "$(on_host "getfacl -nc $SRV/a" 2>/dev/null)" \
	"$(getfacl -nc "$DIR/a" 2>/dev/null)" "ACL"
expect_ok setfacl -m u:1001:rw "$DIR/a"
expect_match '^user:1001:rw-$' on_host "getfacl -n $SRV/a 2>/dev/null"
expect_output secret as_user 1001 cat "$DIR/a"

begin "statfs is the server's"
expect_output "$(on_host "stat -f -c '%b %S %l %c' $SRV")" \
	stat -f -c '%b %S %l %c' "$DIR"
on_host "mkdir $SRV/small && mount -t tmpfs -o size=1m,nr_inodes=77 tmpfs $SRV/small"
at_end on_host "umount -l $SRV/small"
expect_output "$(on_host "stat -f -c '%b %f %S %l %c %d' $SRV/small")" \
	stat -f -c '%b %f %S %l %c %d' "$DIR/small"
expect_match '^1048576$' sh -c "df --output=size -B1 $DIR/small | tail -n 1 | tr -d ' '"

cat >"$DIR/writer.py" <<-'END'
	import os, sys
	fd = os.open(sys.argv[1], os.O_WRONLY)
	print("open", flush=True)
	sys.stdin.readline()
	os.pwrite(fd, b"y", 0)
	os.fsync(fd)
	print("written", flush=True)
	sys.stdin.readline()
END

begin "writing takes set-id bits away, whoever else has the file open"
for mode in 4777 6777 2777; do
	put "$DIR/s" x
	chown 0:0 "$DIR/s"
	chmod $mode "$DIR/s"
	exec 7<>"$DIR/s" # root, who might keep them
	coproc as_user 1000 python3 -IS "$DIR/writer.py" "$DIR/s"
	read -r said <&"${COPROC[0]}"
	exec 8<>"$DIR/s"
	echo >&"${COPROC[1]}"
	read -r said <&"${COPROC[0]}"
	expect_eq written "$said" "mode $mode"
	expect_output 777 stat -c %a "$DIR/s"
	expect_output 777 on_host "stat -c %a $SRV/s"
	exec 7>&- 8>&-
	eval "exec ${COPROC[1]}>&-"
	wait
done

begin "chown(2) that names no owner takes them away, too, and moves ctime"
put "$DIR/none.py" 'import os, sys; os.chown(sys.argv[1], -1, -1)'
for mode in 6777 2767 4711; do
	put "$DIR/s" x
	chmod $mode "$DIR/s"
	before=$(stat -c %.9Z "$DIR/s")
	expect_ok python3 -IS "$DIR/none.py" "$DIR/s"
	mine=$(on_host "stat -c %a $SRV/s")
	[ "$before" != "$(stat -c %.9Z "$DIR/s")" ] || fail "ctime stays"
	chmod $mode "$DIR/s"
	on_host "python3 -IS $SRV/none.py $SRV/s"
	expect_eq "$(on_host "stat -c %a $SRV/s")" "$mine" "mode $mode"
done

begin "what may be done follows at once, within one tick of the clock, too"
expect_output "" python3 -IS - "$DIR" <<-'END'
	import os, sys
	os.chdir(sys.argv[1])
	for i in range(100):
	    name = f"x{i}"
	    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o644))
	    for mode in (0o111, 0o644, 0o500, 0o600):
	        os.chmod(name, mode)
	        if os.access(name, os.X_OK) != bool(mode & 0o111):
	            print(f"{name}: mode {mode:o}, X_OK: {os.access(name, os.X_OK)}")
END
