#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# An NFS server of this machine on top of the mount: by file handles, which outlive what is cached.
. "$(dirname "$0")/lib.sh"
need exportfs rpc.nfsd rpc.mountd rpcbind mount.nfs python3
modprobe -q nfsd || skip_all "the kernel has no NFS server"

NFS=$TMP/nfs
mkdir "$NFS"
on_host "mkdir -p $SRV/dir/sub && echo first >$SRV/file && echo below >$SRV/dir/sub/f && chmod 777 $SRV $SRV/dir"

mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd
mkdir -p /var/lib/nfs/v4recovery /run/rpc_pipefs
rpcbind </dev/null >/dev/null 2>&1
at_end sh -c "umount -f $NFS; exportfs -ua; rpc.nfsd 0; pkill rpc.mountd; pkill rpcbind"
exportfs -o rw,sync,no_subtree_check,no_root_squash,fsid=0 "127.0.0.1:$DIR" || bail "not exported"
rpc.nfsd --host 127.0.0.1 --grace-time 10 2 || bail "no NFS server"
echo Y >/proc/fs/nfsd/v4_end_grace
rpc.mountd --port 20049 </dev/null >/dev/null 2>&1

# forget: nothing of it stays cached, neither for NFS nor for qtfs
forget() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

begin "read and written through both"
expect_ok mount -t nfs -o vers=4.2,noac 127.0.0.1:/ "$NFS"
expect_output first cat "$NFS/file"
expect_output below cat "$NFS/dir/sub/f"
expect_ok sh -c "head -c 3M /dev/urandom >$NFS/big"
expect_eq "$(md5sum <"$NFS/big")" "$(on_host "md5sum <$SRV/big")" "what arrived"
expect_ok mkdir "$NFS/dir/new"
expect_ok mv "$NFS/dir/sub/f" "$NFS/dir/new/g"
expect_output below on_host cat "$SRV/dir/new/g"
expect_ok ln "$NFS/file" "$NFS/dir/link"
expect_output 2 on_host stat -c %h "$SRV/file"

begin "what is open goes on after all caches are dropped"
exec 7<>"$NFS/file"
cd "$NFS/dir/new" || fail "no directory"
forget
expect_output first sh -c "cat <&7"
expect_output below cat g
expect_ok sh -c "echo made >h"
cd / || exit
expect_output made on_host cat "$SRV/dir/new/h"

begin "and when the server's own programs move it"
on_host "mv $SRV/file $SRV/moved && mv $SRV/dir/new $SRV/dir/newer"
forget
echo second >&7
expect_output "first second" on_host "xargs <$SRV/moved"
exec 7>&-
expect_output below cat "$NFS/dir/newer/g"

begin "a lock excludes the server's programs"
cat >"$TMP/lock.py" <<-'END'
	import fcntl, sys
	with open(sys.argv[1], "r+") as f:
	    try:
	        fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
	        print("locked", flush=True)
	    except OSError:
	        print("refused", flush=True)
	    sys.stdin.read()
END
cp "$TMP/lock.py" "$DIR/lock.py"
coproc python3 -IS "$TMP/lock.py" "$NFS/big"
read -r said <&"${COPROC[0]}"
expect_eq locked "$said" "by NFS"
expect_output refused on_host "python3 -IS $SRV/lock.py $SRV/big </dev/null"
eval "exec ${COPROC[1]}>&-"
wait
expect_output locked on_host "python3 -IS $SRV/lock.py $SRV/big </dev/null"
expect_ok umount "$NFS"
