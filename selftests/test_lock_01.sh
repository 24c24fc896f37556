#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Locks as real programs use them, from both machines; local_lock=; an engine
# that goes away while somebody waits.
. "$(dirname "$0")/lib.sh"
need python3 git flock

OTHER=$TMP/other
mkdir "$OTHER"
at_end umount -f "$OTHER"

# add.py DATABASE N: adds one to a number, N times, each in its own transaction
cat >"$DIR/add.py" <<-'END'
	import sqlite3, sys
	db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
	for i in range(int(sys.argv[2])):
	    db.execute("begin immediate")
	    n, = db.execute("select n from t").fetchone()
	    db.execute("update t set n = ?", (n + 1,))
	    db.execute("insert into log values (?, ?)", (sys.argv[3], n))
	    db.execute("commit")
END

# three_writers SCRIPT DATABASE N: two here, one on the server, each with N transactions
three_writers() {
	local pid pids=()
	on_host "python3 -IS $SRV/$1 $SRV/$2 $3 server" </dev/null >"$TMP/server" 2>&1 &
	pids+=($!)
	python3 -IS "$DIR/$1" "$DIR/$2" "$3" one >"$TMP/one" 2>&1 &
	pids+=($!)
	python3 -IS "$DIR/$1" "$DIR/$2" "$3" two >"$TMP/two" 2>&1 &
	pids+=($!)
	for pid in "${pids[@]}"; do
		expect_status 0 wait "$pid"
	done
	cat "$TMP"/{server,one,two} | while read -r line; do note "$line"; done
	python3 -IS - "$DIR/$2" $((3 * $3)) <<-'END' || fail "what was written"
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		wanted = (int(sys.argv[2]),)
		assert db.execute("pragma integrity_check").fetchone() == ("ok",)
		assert db.execute("select n from t").fetchone() == wanted
		assert db.execute("select count(distinct n) from log").fetchone() == wanted
	END
}

begin "SQLite with a rollback journal: two writers here, one on the server"
python3 -IS - "$DIR/db" <<-'END' || bail "no database"
	import sqlite3, sys
	db = sqlite3.connect(sys.argv[1])
	db.execute("create table t (n integer)")
	db.execute("create table log (who text, n integer)")
	db.execute("insert into t values (0)")
	db.commit()
END
three_writers add.py db 15
expect_output ok on_host "python3 -IS -c 'import sqlite3; print(sqlite3.connect(\"$SRV/db\").execute(\"pragma integrity_check\").fetchone()[0])'"

cat >"$DIR/wal.py" <<-'END'
	import random, sqlite3, sys, time
	def add(path, who):
	    # Two that keep what they have and wait for each other are told nothing: both let go.
	    db = sqlite3.connect(path, timeout=0, isolation_level=None)
	    try:
	        # No shared memory: two machines have none.
	        db.execute("pragma locking_mode=exclusive")
	        db.execute("pragma journal_mode=wal").fetchone()
	        db.execute("begin immediate")
	        n, = db.execute("select n from t").fetchone()
	        db.execute("update t set n = ?", (n + 1,))
	        db.execute("insert into log values (?, ?)", (who, n))
	        db.execute("commit")
	        return True
	    except sqlite3.OperationalError as e:
	        if "locked" not in str(e):
	            raise
	        return False
	    finally:
	        db.close()
	for i in range(int(sys.argv[2])):
	    while not add(sys.argv[1], sys.argv[3]):
	        time.sleep(random.random() / 10)
END

begin "SQLite with a write-ahead log: from both machines, each has it for itself"
python3 -IS -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.executescript("create table t (n integer); create table log (who text, n integer); insert into t values (0)")' "$DIR/wal"
three_writers wal.py wal 8

begin "a log that one machine's program left behind is recovered by the other"
python3 -IS - "$DIR/wal2" <<-'END'
	import os, signal, sqlite3, sys
	db = sqlite3.connect(sys.argv[1], isolation_level=None)
	db.execute("pragma journal_mode=wal")
	db.execute("create table t (n)")
	for n in range(5):
	    db.execute("insert into t values (?)", (n,))
	os.kill(os.getpid(), signal.SIGKILL)
END
expect_ok test -s "$DIR/wal2-wal"
expect_output "5 ok" on_host "python3 -IS -c 'import sqlite3
db = sqlite3.connect(\"$SRV/wal2\")
print(*db.execute(\"select count(*) from t\").fetchone(), *db.execute(\"pragma integrity_check\").fetchone())'"

begin "git: commit, gc, clone and fsck on the mount"
git_here() {
	git -c user.name=n -c user.email=n@example.org "$@" 2>&1
}
expect_ok git_here init -q "$DIR/repo"
for i in 1 2 3; do
	seq $((i * 1000)) >"$DIR/repo/file"
	mkdir -p "$DIR/repo/d$i" && seq $i >"$DIR/repo/d$i/x"
	(cd "$DIR/repo" && git_here add -A && git_here commit -qm "$i") >"$TMP/git" ||
		fail "$(cat "$TMP/git")"
done
expect_ok git_here -C "$DIR/repo" gc -q --prune=now
expect_ok git_here clone -q "$DIR/repo" "$DIR/clone"
expect_ok git_here -C "$DIR/clone" fsck --full --strict
expect_output "" git_here -C "$DIR/clone" status --porcelain
expect_ok on_host "git -c safe.directory='*' -C $SRV/clone fsck --full --strict"

begin "flock(1): one at a time, whoever it is"
put "$DIR/lockfile" ""
flock "$DIR/lockfile" sleep 3 &
wait_until 10 sh -c "! flock -n $DIR/lockfile true" || fail "never locked"
expect_status 1 on_host "flock -n $SRV/lockfile true"
expect_ok on_host "flock -w 60 $SRV/lockfile true"
expect_ok flock -n "$DIR/lockfile" true
wait

begin "local_lock=all: nobody else's affair"
expect_ok mount -t qtfs -o local_lock=all "${QTFS_SOURCE:-/}" "$OTHER"
expect_match 'local_lock=all' grep " $OTHER " /proc/mounts
flock "$OTHER$SRV/lockfile" sleep 3 &
wait_until 10 sh -c "! flock -n $OTHER$SRV/lockfile true" || fail "never locked"
expect_ok on_host "flock -n $SRV/lockfile true"
expect_ok flock -n "$DIR/lockfile" true
wait
expect_ok umount "$OTHER"

begin "local_lock=flock, local_lock=posix: only locks of that kind"
put "$DIR/f" ""
cat >"$TMP/both.py" <<-'END'
	import fcntl, sys
	with open(sys.argv[1] + "/lockfile") as one, open(sys.argv[1] + "/f", "r+") as other:
	    fcntl.flock(one, fcntl.LOCK_EX)
	    fcntl.lockf(other, fcntl.LOCK_EX)
	    print("both", flush=True)
	    sys.stdin.read()
END
try_f='python3 -IS -c "import fcntl; fcntl.lockf(open(\"'$SRV'/f\", \"r+\"), fcntl.LOCK_EX | fcntl.LOCK_NB)"'
for kinds in "flock 0 1" "posix 1 0" "none 1 1"; do
	read -r kind flocked posix <<<"$kinds"
	expect_ok mount -t qtfs -o "local_lock=$kind" "${QTFS_SOURCE:-/}" "$OTHER"
	coproc python3 -IS "$TMP/both.py" "$OTHER$SRV"
	read -r said <&"${COPROC[0]}"
	expect_eq both "$said" "$kind"
	expect_status "$flocked" on_host "flock -n $SRV/lockfile true"
	expect_status "$posix" on_host "$try_f"
	eval "exec ${COPROC[1]}>&-"
	wait
	expect_ok umount "$OTHER"
done
expect_says local_lock mount -t qtfs -o local_lock=some "${QTFS_SOURCE:-/}" "$OTHER"

begin "an aborted mount: who waits is told, what was locked is free again"
put "$DIR/f" ""
# What is believed would let flock(1) open the file once more, for writing, and fail in that.
expect_ok mount -t qtfs -o noac "${QTFS_SOURCE:-/}" "$OTHER"
on_host "flock $SRV/lockfile sleep 60" </dev/null >/dev/null 2>&1 &
wait_until 10 sh -c "! flock -n $DIR/lockfile true" || fail "never locked"
flock "$OTHER$SRV/lockfile" true 2>"$TMP/waited" &
waiter=$!
python3 -IS -c "
import fcntl, sys, time
f = open('$OTHER$SRV/f', 'r+')
fcntl.lockf(f, fcntl.LOCK_EX)
print('locked', flush=True)
time.sleep(60)" >"$TMP/holder" 2>&1 &
holder=$!
wait_until 20 grep -q locked "$TMP/holder" || fail "$(cat "$TMP/holder")"
expect_waiting $waiter
expect_status 1 on_host "$try_f" 2>/dev/null
expect_ok qtinfo abort "$OTHER"
expect_status 65 wait "$waiter"
expect_match 'error' cat "$TMP/waited"
wait_until 20 on_host "$try_f 2>/dev/null" || fail "still locked on the server"
kill $holder
wait $holder
on_host "pkill -f 'flock $SRV/lockfile'"
wait
