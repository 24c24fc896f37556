#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# As much as there may be: deep folders, long paths, many links, opens, groups.
. "$(dirname "$0")/lib.sh"

# It takes long where everything is checked.
MANY=1000
[[ ${QTFS_KERNEL-} != @(debug|um) ]] || MANY=300

begin "deep folders, step by step"
name=$(printf 'd%.0s' {1..200})
expect_ok bash -c "cd $DIR && for i in {1..30}; do mkdir $name && cd $name || exit; done; echo bottom >f"
expect_output bottom on_host "cd $SRV; for i in {1..30}; do cd $name; done; cat f"
expect_output bottom bash -c "cd $DIR; for i in {1..30}; do cd $name; done; cat f"
path=$DIR
while [ ${#path} -lt 3800 ]; do path=$path/$name; done
expect_ok ls "$path"
expect_fail ENAMETOOLONG ls "$path/$name/$name"
expect_ok rm -r "$DIR/$name"
expect_output "" on_host ls -A "$SRV"

begin "a path of 4095 bytes, not of 4096; the same of a link's target"
python3 -IS - "$DIR" <<-'END' || fail "paths"
	import errno, os, sys
	os.chdir(sys.argv[1])
	part = ("p" * 99 + "/") * 40
	os.makedirs(part)
	longest = part + "x" * 95
	assert len(longest) == 4095
	os.close(os.open(longest, os.O_CREAT | os.O_WRONLY))
	os.rename(longest, part + "y" * 95)
	assert os.stat(part + "y" * 95).st_size == 0
	def too_long(call, *args):
	    try:
	        call(*args)
	    except OSError as e:
	        assert e.errno == errno.ENAMETOOLONG, e
	    else:
	        sys.exit(f"{call}: no error")
	for call in os.stat, os.unlink, os.mkdir, os.readlink:
	    too_long(call, part + "z" * 96)
	os.symlink("t" * 4095, "longest")
	assert os.readlink("longest") == "t" * 4095
	too_long(os.symlink, "t" * 4096, "longer")
END
expect_ok rm -r "$DIR"/p* "$DIR/longest"

begin "many names of one file"
put "$DIR/f" x
expect_ok python3 -IS -c 'import os, sys
os.chdir(sys.argv[1])
for i in range(int(sys.argv[2])):
    os.link("f", f"l{i}")' "$DIR" "$MANY"
expect_output $((MANY + 1)) stat -c %h "$DIR/f"
expect_output $((MANY + 1)) on_host stat -c %h "$SRV/f"
expect_ok sh -c "rm $DIR/l*"
expect_output 1 on_host stat -c %h "$SRV/f"

begin "many open files, all closed again"
python3 -IS - "$DIR" "$MANY" <<-'END' || fail "opening"
	import os, resource, sys
	resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
	fds = [os.open(f"{sys.argv[1]}/o{i}", os.O_CREAT | os.O_RDWR) for i in range(int(sys.argv[2]))]
	for i, fd in enumerate(fds):
	    os.write(fd, b"%d" % i)
	for i, fd in enumerate(fds):
	    assert os.pread(fd, 10, 0) == b"%d" % i
	    os.close(fd)
END
expect_output $MANY on_host "ls $SRV | grep -c ^o"
expect_output "$(seq -s '' 0 $((MANY - 1)))" on_host "cd $SRV; cat \$(seq -f o%.0f 0 $((MANY - 1)))"
expect_ok sh -c "rm $DIR/o*"

begin "RLIMIT_NOFILE is the client's"
expect_fail EMFILE bash -c "ulimit -n 5; exec 3<$DIR/f 4<$DIR/f 5<$DIR/f"

begin "many groups"
on_host "echo grouped >$SRV/g; chown 0:60000 $SRV/g; chmod 640 $SRV/g"
groups=$(seq -s, 100 1000),60000
expect_output grouped setpriv --reuid 1000 --regid 1000 --groups "$groups" \
	--inh-caps=-all --bounding-set=-all cat "$DIR/g"
expect_fail EACCES setpriv --reuid 1000 --regid 1000 --groups "${groups%,*}" \
	--inh-caps=-all --bounding-set=-all cat "$DIR/g"

begin "more users than are remembered"
expect_ok chmod 644 "$DIR/g"
expect_ok python3 -IS -c 'import os, sys
for uid in range(2000, 2600):
    os.seteuid(uid)
    assert open(sys.argv[1]).read() == "grouped\n", uid
    os.seteuid(0)' "$DIR/g"
expect_output grouped as_user 2000 cat "$DIR/g"

begin "a file of many gigabytes that is mostly hole"
expect_ok truncate -s 1T "$DIR/huge"
expect_ok sh -c "printf end | dd of=$DIR/huge bs=1 seek=1099511627000 conv=notrunc 2>/dev/null"
expect_output end on_host "tail -c +1099511627001 $SRV/huge | head -c 3"
expect_output end sh -c "dd if=$DIR/huge bs=1 skip=1099511627000 count=3 2>/dev/null"
expect_fail EFBIG truncate -s 17T "$DIR/huge"
expect_ok rm "$DIR/huge"

begin "values that are too large are the server's to refuse"
expect_fail EINVAL python3 -IS -c "import os; os.truncate('$DIR/f', -1)"
expect_output x cat "$DIR/f"

# object NAME: how many bytes one of that kind takes
object() {
	awk -v name="$1" '$1 == name { print $4 }' /proc/slabinfo
}

begin "an inode takes no more memory than one of NFS"
if modprobe nfs 2>/dev/null && [ -n "$(object nfs_inode_cache)" ]; then
	[ "$(object qtfs_inode)" -le "$(object nfs_inode_cache)" ] ||
		fail "$(object qtfs_inode) bytes, NFS $(object nfs_inode_cache)"
else
	skip "no NFS here"
fi
