#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Extended attributes are the server's: names, values, sizes, errors.
. "$(dirname "$0")/lib.sh"
need setfattr getfattr

F=$DIR/f
S=$SRV/f
put "$F" x

# there NAME: the value at the server
there() {
	on_host "getfattr --only-values --absolute-names -n '$1' $S"
}

begin "set here, seen there"
for name in user.one trusted.two security.three user.with.dots "user.odd ü"; do
	expect_ok setfattr -n "$name" -v "value of $name" "$F"
	expect_output "value of $name" there "$name"
	expect_output "value of $name" getfattr --only-values --absolute-names -n "$name" "$F"
done

begin "set there, seen here"
on_host "setfattr -n user.one -v changed $S"
expect_output changed getfattr --only-values --absolute-names -n user.one "$F"

begin "lists are the same"
expect_output "$(on_host "getfattr -m - --absolute-names $S | grep -v '^#' | sort")" \
	sh -c "getfattr -m - --absolute-names $F | grep -v '^#' | sort"

begin "with too little room, and with just enough"
cat >"$DIR/room.py" <<-'END'
	import ctypes, errno, os, sys
	libc = ctypes.CDLL(None, use_errno=True)
	os.chdir(sys.argv[1])
	fd = os.open("room", os.O_CREAT | os.O_RDWR)
	os.setxattr(fd, "user.room", b"value")
	buf = ctypes.create_string_buffer(100)
	def said(n):
	    return errno.errorcode[ctypes.get_errno()] if n < 0 else n
	for size in (0, 1, 4, 5, 9, 10, 100):
	    room = ctypes.c_size_t(size)
	    print(size, said(libc.flistxattr(fd, buf, room)),
	          said(libc.fgetxattr(fd, b"user.room", buf, room)))
	print(said(libc.listxattr(b"none", buf, 100)), said(libc.fgetxattr(fd, b"user.no", buf, 100)))
END
expect_eq "$(on_host "python3 -IS $SRV/room.py $SRV; rm $SRV/room")" \
	"$(python3 -IS "$DIR/room.py" "$DIR")" "what is said"

begin "removing"
expect_ok setfattr -x user.one "$F"
expect_status 1 on_host "getfattr -n user.one $S"
expect_fail ENODATA getfattr -n user.one "$F"
expect_fail ENODATA setfattr -x user.one "$F"

begin "empty and binary values"
expect_ok setfattr -n user.empty "$F"
expect_output "" there user.empty
expect_output "" getfattr --only-values --absolute-names -n user.empty "$F"
expect_ok setfattr -n user.bin -v 0x00ff000aff "$F"
expect_output 00ff000aff on_host "getfattr -e hex --only-values --absolute-names -n user.bin $S | od -An -tx1 | tr -d ' \n'"
expect_output 00ff000aff sh -c "getfattr --only-values --absolute-names -n user.bin $F | od -An -tx1 | tr -d ' \n'"

begin "large values: as much as the server takes, its error beyond"
value=$(head -c 3000 /dev/zero | tr '\0' v)
expect_ok setfattr -n user.large -v "$value" "$F"
expect_output "$value" there user.large
expect_output "$value" getfattr --only-values --absolute-names -n user.large "$F"
expect_ok setfattr -x user.large "$F"
value=$(head -c 30000 /dev/zero | tr '\0' v)
expect_fail ENOSPC setfattr -n user.large -v "$value" "$F"
on_host "mkdir $SRV/big && mount -t tmpfs tmpfs $SRV/big && touch $SRV/big/f"
at_end on_host "umount -l $SRV/big"
value=$(head -c 65536 /dev/zero | tr '\0' v)
python3 -IS - "$DIR/big/f" <<-'END' || fail "64 KiB"
	import os, sys
	value = bytes(65536)
	os.setxattr(sys.argv[1], "trusted.large", value)
	assert os.getxattr(sys.argv[1], "trusted.large") == value
	try:
	    os.setxattr(sys.argv[1], "trusted.larger", value + b"x")
	    sys.exit("one byte more was taken")
	except OSError as e:
	    assert e.errno == 7, e
END

begin "names that cannot be"
expect_fail EOPNOTSUPP setfattr -n nonsense.x -v 1 "$F"
expect_fail EOPNOTSUPP setfattr -n x -v 1 "$F"
expect_fail ERANGE setfattr -n "user.$(printf 'n%.0s' {1..300})" -v 1 "$F"
python3 -IS - "$F" <<-'END' || fail "create and replace"
	import errno, os, sys
	def error(*args):
	    try:
	        os.setxattr(*args)
	    except OSError as e:
	        return errno.errorcode[e.errno]
	f = sys.argv[1]
	assert error(f, "user.new", b"1", os.XATTR_REPLACE) == "ENODATA"
	assert error(f, "user.new", b"1", os.XATTR_CREATE) is None
	assert error(f, "user.new", b"2", os.XATTR_CREATE) == "EEXIST"
	assert error(f, "user.new", b"3", os.XATTR_REPLACE) is None
	assert os.getxattr(f, "user.new") == b"3"
END

begin "who may not"
expect_ok chmod 644 "$F"
expect_fail EACCES as_user 1000 setfattr -n user.x -v 1 "$F"
expect_ok as_user 1000 getfattr -n user.new "$F"
expect_ok chmod 600 "$F"
expect_fail EACCES as_user 1000 getfattr -n user.new "$F"
expect_ok chown 1000 "$F"
expect_ok as_user 1000 setfattr -n user.x -v 1 "$F"
expect_fail EPERM as_user 1000 setfattr -n trusted.x -v 1 "$F"
# Some kernels with the BPF security module let any owner: then so do we.
on_host "touch $SRV/own && chown 1000 $SRV/own"
if on_host "setpriv --reuid 1000 --regid 1000 --clear-groups \
		setfattr -n security.x -v 1 $SRV/own" 2>/dev/null; then
	expect_ok as_user 1000 setfattr -n security.x -v 1 "$F"
else
	expect_fail EPERM as_user 1000 setfattr -n security.x -v 1 "$F"
fi
expect_status 1 as_user 1000 getfattr -n trusted.two "$F"
expect_eq 0 "$(as_user 1000 getfattr -m - "$F" 2>/dev/null | grep -c trusted)" \
	"trusted names listed"

begin "links and folders have them too, special files no user's"
ln -s f "$DIR/l"
expect_ok setfattr -h -n trusted.l -v link "$DIR/l"
expect_output link on_host "getfattr -h --only-values --absolute-names -n trusted.l $SRV/l"
expect_fail EPERM setfattr -h -n user.l -v link "$DIR/l"
expect_ok setfattr -n user.d -v folder "$DIR"
expect_output folder on_host "getfattr --only-values --absolute-names -n user.d $SRV"

begin "file capabilities are kept, and lost by writing"
cp /bin/true "$DIR/prog"
if expect_ok setcap cap_net_raw+ep "$DIR/prog"; then
	expect_match cap_net_raw on_host "PATH=\$PATH:/sbin:/usr/sbin getcap $SRV/prog"
	expect_match cap_net_raw getcap "$DIR/prog"
	echo x >>"$DIR/prog"
	expect_output "" on_host "PATH=\$PATH:/sbin:/usr/sbin getcap $SRV/prog"
	expect_output "" getcap "$DIR/prog"
fi
