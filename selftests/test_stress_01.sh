#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Whole trees of files: unpacked, copied, compared and removed by several at
# once, while the server changes others of the same folder.
. "$(dirname "$0")/lib.sh"

# plant FOLDER: files of many sizes, the same for everybody
plant() {
	local d i
	for d in a a/b a/b/c d e; do
		mkdir -p "$1/$d"
		for ((i = 0; i < 6; i++)); do
			head -c $((i * i * 997)) "$TMP/seed" >"$1/$d/f$i"
		done
		ln -s f3 "$1/$d/link"
	done
}

# sums FOLDER: of everything in it
SUMS='find . \( -type f -exec sha256sum {} + \) -o -printf "%P %y %l\n" | sort | sha256sum'

head -c 200k /dev/urandom >"$TMP/seed"
plant "$TMP/tree"
want=$(cd "$TMP/tree" && sh -c "$SUMS")
tar cf "$TMP/tree.tar" -C "$TMP/tree" .

begin "unpacked by four at once, with the server busy beside them"
on_host "cd $SRV; for i in \$(seq 20); do mkdir server\$i && cp /bin/true server\$i/x; done" &
server=$!
pids=()
for w in 1 2 3 4; do
	(mkdir "$DIR/w$w" && tar xf "$TMP/tree.tar" -C "$DIR/w$w") &
	pids+=($!)
done
for pid in "${pids[@]}" $server; do
	expect_exit 0 wait "$pid"
done
for w in 1 2 3 4; do
	expect_output "$want" on_host "cd $SRV/w$w && $SUMS"
done
expect_output 20 sh -c "ls -d $DIR/server* | wc -l"

begin "copied and compared by four at once"
pids=()
for w in 1 2 3 4; do
	(cp -a "$DIR/w$w" "$DIR/copy$w" && diff -r --no-dereference "$DIR/w$w" "$DIR/copy$w") &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	expect_exit 0 wait "$pid"
done
expect_output "$want" on_host "cd $SRV/copy3 && $SUMS"

begin "one tree removed by four at once, and by the server"
for w in 1 2 3 4; do
	rm -rf "$DIR/w1" &
done
on_host "rm -rf $SRV/w1"
wait
expect_ok on_host test ! -e "$SRV/w1"
wait_until 40 test ! -e "$DIR/w1" || fail "still there"

begin "each its own, at once"
pids=()
for w in 2 3 4; do
	rm -r "$DIR/w$w" "$DIR/copy$w" &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	expect_exit 0 wait "$pid"
done
expect_output "copy1" on_host "ls $SRV | grep -v server"

begin "one file written by six, each its own part"
pids=()
for w in 0 1 2 3 4 5; do
	(
		for ((i = w; i < 36; i += 6)); do
			head -c 3001 "$TMP/seed" | dd of="$DIR/parts" bs=3001 \
				seek="$i" conv=notrunc 2>/dev/null || exit
		done
	) &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	expect_exit 0 wait "$pid"
done
for ((i = 0; i < 36; i++)); do head -c 3001 "$TMP/seed"; done >"$TMP/parts"
expect_eq "$(sha256sum <"$TMP/parts")" "$(on_host "sha256sum <$SRV/parts")" sum
