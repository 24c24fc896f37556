#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Two clients, and programs of the server: a second mount has a session, and caches, of its own.
. "$(dirname "$0")/lib.sh"
need python3

OTHER=$TMP/other
mkdir "$OTHER"
expect_ok mount -t qtfs "${QTFS_SOURCE:-/}" "$OTHER" || bail "no second mount"
at_end umount -l "$OTHER"
THERE=$OTHER$SRV

cat >"$DIR/each.py" <<-'END'
	"""each.py WHAT DIRECTORY WHO: what one of several does at the same time; prints what came of it."""
	import errno, fcntl, os, sys, time

	what, directory, who = sys.argv[1:]
	os.chdir(directory)

	def together():
	    """Waits until all three are here."""
	    os.close(os.open(f"here.{what}.{who}", os.O_CREAT | os.O_WRONLY))
	    while sum(name.startswith(f"here.{what}.") for name in os.listdir(".")) < 3:
	        time.sleep(0.02)

	def exclusive():
	    together()
	    won = []
	    for n in range(60):
	        try:
	            os.close(os.open(f"name{n}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
	            won.append(n)
	        except FileExistsError:
	            pass
	    print(*won)

	def directories():
	    together()
	    won = []
	    for n in range(40):
	        try:
	            os.mkdir(f"dir{n}")
	            won.append(n)
	        except FileExistsError:
	            pass
	    print(*won)

	def append():
	    fd = os.open("log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
	    together()
	    for n in range(100):
	        line = f"{who} {n} ".encode().ljust(99, b"x") + b"\n"
	        assert os.write(fd, line) == len(line)
	    os.close(fd)

	def count():
	    fd = os.open("counter", os.O_CREAT | os.O_RDWR)
	    together()
	    for n in range(30):
	        (fcntl.flock if n % 2 else fcntl.lockf)(fd, fcntl.LOCK_EX)
	        if n % 2 == 0:
	            value = int(os.pread(fd, 20, 0) or b"0")
	            os.pwrite(fd, b"%d" % (value + 1), 0)
	        (fcntl.flock if n % 2 else fcntl.lockf)(fd, fcntl.LOCK_UN)

	{"exclusive": exclusive, "directories": directories, "append": append, "count": count}[what]()
END

# each WHAT: done by both clients and by a program of the server; leaves in $TMP/one … three what they say
each() {
	local first second
	python3 -IS "$DIR/each.py" "$1" "$DIR" one >"$TMP/one" 2>&1 &
	first=$!
	python3 -IS "$DIR/each.py" "$1" "$THERE" two >"$TMP/two" 2>&1 &
	second=$!
	on_host "python3 -IS $SRV/each.py $1 $SRV three" >"$TMP/three" 2>&1 </dev/null || fail "the server's"
	wait $first || fail "the first"
	wait $second || fail "the second"
}

# once N: whether of 0 … N-1 each was won by one of them, and by no other
once() {
	expect_eq "$(seq -s ' ' 0 $(($1 - 1)))" "$(cat "$TMP/one" "$TMP/two" "$TMP/three" | xargs -n 1 | sort -n | xargs)"
}

begin "O_EXCL: each name is made once"
each exclusive
once 60

begin "so is each directory"
each directories
once 40

begin "O_APPEND: no line is lost, none is mixed with another"
each append
expect_output 300 on_host "grep -cE '^(one|two|three) [0-9]+ x{90,}\$' $SRV/log"
expect_output 30000 on_host "stat -c %s $SRV/log"
expect_eq 300 "$(sort -u "$DIR/log" | wc -l)" "lines that differ, as one client sees it"
expect_eq 300 "$(sort -u "$THERE/log" | wc -l)" "as the other does"

begin "who has the lock has read what the one before has written"
each count
expect_output 45 on_host "cat $SRV/counter"

begin "circles of clients are told of: EDEADLK"
cat >"$TMP/circle.py" <<-'END'
	import errno, fcntl, os, sys
	def lock(fd, byte):
	    fcntl.lockf(fd, fcntl.LOCK_EX, 1, byte)
	mine, theirs = os.pipe(), os.pipe()
	child = os.fork()
	fd = os.open(sys.argv[2 if child else 1] + "/circle", os.O_CREAT | os.O_RDWR)
	own, other = (0, 1) if child else (1, 0)
	lock(fd, own)
	os.write((theirs if child else mine)[1], b"x")
	os.read((mine if child else theirs)[0], 1)
	try:
	    lock(fd, other)
	    told = 0
	except OSError as e:
	    assert e.errno == errno.EDEADLK, e
	    told = 1
	os.close(fd)
	if not child:
	    os._exit(told)
	print(told + os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
END
expect_output 1 timeout 60 python3 -IS "$TMP/circle.py" "$DIR" "$THERE"

begin "closed by one, seen by the other that opens"
for text in one two three; do
	put "$DIR/f" "$text"
	expect_output "$text" cat "$THERE/f"
	put "$THERE/f" "$text back"
	expect_output "$text back" cat "$DIR/f"
done

begin "what one client has open stays, whatever the other does to its name"
exec 7<"$DIR/f"
expect_ok mv "$THERE/f" "$THERE/g"
expect_output "three back" sh -c "head -c 100 <&7"
expect_ok rm "$THERE/g"
exec 7<&-
expect_ok umount "$OTHER"
