#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# How many requests an operation takes: no more than docs/performance.md says,
# "Requests of one operation".
. "$(dirname "$0")/lib.sh"
need python3 setfattr

OTHER=$TMP/other
mkdir "$OTHER"
at_end umount -l "$OTHER"
on_host "cd $SRV && mkdir list dir && for i in 1 2 3 4 5 6 7 8 9; do echo \$i >file\$i; : >list/\$i; done &&
	ln -s file1 link && setfattr -n user.x -v 1 file1 && head -c 3M /dev/urandom >big"
# Long enough that nothing is asked again for its age.
expect_ok mount -t qtfs -o actimeo=600 "${QTFS_SOURCE:-/}" "$OTHER"

begin "each operation, cold and warm"
cat >"$TMP/calls.py" <<-'END'
	import collections, json, os, subprocess, sys, time

	def calls():
	    text = subprocess.run(["qtinfo", "--json", "stats"], check=True, stdout=subprocess.PIPE).stdout
	    mounts = json.loads(text)
	    counts = collections.Counter()
	    for mount in mounts if isinstance(mounts, list) else mounts.values():
	        for each in mount["operations"] if isinstance(mount, dict) else []:
	            counts[each["operation"]] += each["calls"]
	    return counts

	def drop():
	    os.sync()
	    with open("/proc/sys/vm/drop_caches", "w") as f:
	        f.write("3")

	def read(name, size=4096):
	    fd = os.open(name, os.O_RDONLY, dir_fd=top)
	    while os.read(fd, size):
	        pass
	    os.close(fd)

	def create(name):
	    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=top)
	    os.write(fd, bytes(4096))
	    os.close(fd)

	def append():
	    os.write(log, b"x" * 128)
	    os.fsync(log)

	def listing():
	    with os.scandir(f"{where}/list") as entries:
	        for entry in entries:
	            entry.stat()

	def stat(name):
	    os.stat(name, dir_fd=top)

	where, symbols = sys.argv[1:]
	top = os.open(where, os.O_RDONLY | os.O_DIRECTORY)
	log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, dir_fd=top)
	cold, wrong = True, 0
	# What is done, whether nothing is known of it before, and what it takes at most.
	table = [
	    ("stat", cold, lambda: stat("file1"), {"lookup": 1}),
	    ("stat", False, lambda: stat("file1"), {}),
	    ("of what is not there", cold, lambda: os.path.exists(f"{where}/none"), {"lookup": 1}),
	    ("of what is not there", False, lambda: os.path.exists(f"{where}/none"), {}),
	    ("open, read, close", cold, lambda: read("file2"), {"compound": 1, "release": 1}),
	    ("open, read, close", False, lambda: read("file2"), {"open": 1, "release": 1}),
	    # Not together if the kernel writes the page in the background just then.
	    ("create, write, close", False, lambda: create("new"),
	     {"create": 1, "compound": 1}, {"create": 1, "write": 1, "release": 1}),
	    ("rename", False, lambda: os.rename("new", "newer", src_dir_fd=top, dst_dir_fd=top),
	     {"rename": 1}),
	    ("link", False, lambda: os.link("newer", "hard", src_dir_fd=top, dst_dir_fd=top), {"link": 1}),
	    ("unlink", False, lambda: os.unlink("newer", dir_fd=top), {"unlink": 1}),
	    ("unlink", cold, lambda: os.unlink("hard", dir_fd=top),
	     {"lookup": 1, "unlink": 1, "forget": 1}),
	    ("symlink", False, lambda: os.symlink("x", "soft", dir_fd=top), {"symlink": 1}),
	    ("readlink", cold, lambda: os.readlink("link", dir_fd=top), {"lookup": 1, "readlink": 1}),
	    ("readlink", False, lambda: os.readlink("link", dir_fd=top), {}),
	    ("mkdir", False, lambda: os.mkdir("made", dir_fd=top), {"mkdir": 1}),
	    ("rmdir", False, lambda: os.rmdir("made", dir_fd=top), {"rmdir": 1, "forget": 1}),
	    ("stat", False, lambda: stat("file1"), {"lookup": 1}),
	    ("chmod", False, lambda: os.chmod("file1", 0o600, dir_fd=top), {"setattr": 1}),
	    ("getxattr", False, lambda: os.getxattr(f"{where}/file1", "user.x"), {"access": 1, "getxattr": 1}),
	    ("statfs", False, lambda: os.statvfs(top), {"statfs": 1}),
	    ("append and fsync", False, append, {"write": 1, "fsync": 1}),
	    ("list with attributes", cold, listing, {"compound": 1, "access": 1, "readdir": 1, "release": 1}),
	    ("list with attributes", False, listing, {"open": 1, "readdir": 1, "release": 1}),
	    ("read 3 MiB", cold, lambda: read("big", 1 << 20),
	     {"compound": 1, "read": 5, "release": 1}),
	    ("read 3 MiB", False, lambda: read("big", 1 << 20), {"open": 1, "release": 1}),
	    # By itself it gives less than a page to each read(2).
	    ("a long file of procfs", False, lambda: read(symbols, 1 << 16),
	     {"lookup": 1, "access": 1, "node": 1, "compound": 1, "release": 1, "read": os.stat("symbols", dir_fd=top).st_size // 50000 + 2}),
	]
	for words, from_nothing, run, *most in table:
	    if from_nothing:
	        drop()
	        os.stat(where)
	    time.sleep(0.1)  # for what nobody waits for
	    before = calls()
	    run()
	    time.sleep(0.1)
	    took = dict(calls() - before)
	    how = "cold" if from_nothing else "warm"
	    print(f"{words}, {how}: {took}")
	    if not any(all(n <= each.get(name, 0) for name, n in took.items()) for each in most):
	        wrong += 1
	        print(f"more than {most}")
	sys.exit(wrong)
END
on_host "cat /proc/kallsyms >$SRV/symbols"
python3 -IS "$TMP/calls.py" "$OTHER$SRV" "$OTHER/proc/kallsyms" >"$TMP/said" || fail "$(cat "$TMP/said")"
note "$(cat "$TMP/said")"
expect_ok umount "$OTHER"
