#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Rules of the engine: what is denied, hidden, or not cached, seen from here; qtinfo on the server.
. "$(dirname "$0")/lib.sh"
need jq

PORT=12425
OTHER=$TMP/other
mkdir "$OTHER"

# rules ARG...: qtinfo rules on the server
rules() {
	on_host "qtinfo rules $*"
}

# add ARG...: a rule that ends with the test; leaves its number in $number
add() {
	number=$(on_host "qtinfo --json rules add $*" | jq .number)
	at_end on_host "qtinfo rules del $number >/dev/null 2>&1"
}

on_host "mkdir -p $SRV/private/sub $SRV/bound $SRV/public
	echo secret >$SRV/private/key; echo below >$SRV/private/sub/f
	echo for all >$SRV/public/f; mkfifo $SRV/public/fifo"

begin "what is built in is listed"
expect_match "deny +/kcore +proc" rules list
expect_output local on_host "qtinfo --json rules list | jq -r '.rules[] | select(.path == \"/self\").action'"

begin "nonsense is refused by name"
expect_says "action" rules add forbid --path /srv
expect_says "needs a" rules add deny
expect_says "not absolute" rules add deny --path srv
expect_says "is no name" rules add deny --path /srv/../etc
expect_says "type \"door\"" rules add deny --type door
expect_says "no rule 999" rules del 999
expect_says "no engine answers" rules list --control /run/none
expect_says "no engine answers|denied" on_host "setpriv --reuid 1000 --clear-groups qtinfo rules list"

begin "denied: seen, not opened, not changed"
expect_output secret cat "$DIR/private/key"
exec 7<"$DIR/private/key"
add deny --path "'$SRV/private/*'"
expect_fail EACCES cat "$DIR/private/key"
expect_output 7 stat -c %s "$DIR/private/key"
expect_output "key" sh -c "ls $DIR/private | grep key"
expect_fail EACCES cat "$DIR/private/sub/f"
expect_fail EACCES chmod 666 "$DIR/private/key"
expect_fail EACCES truncate -s 0 "$DIR/private/key"
expect_fail EACCES rm -f "$DIR/private/key"
expect_fail EACCES touch "$DIR/private/new"
expect_fail EACCES setfattr -n user.x -v y "$DIR/private/key"
expect_output secret sh -c "cat <&7"
exec 7<&-
expect_output secret on_host "cat $SRV/private/key"

begin "there is no way round it"
expect_fail EACCES ln "$DIR/private/key" "$DIR/key"
expect_fail EACCES mv "$DIR/private/key" "$DIR/key"
expect_fail EBUSY mv "$DIR/private" "$DIR/elsewhere"
expect_fail EACCES cat "$DIR/public/../private/key"
on_host "mount --bind $SRV/private $SRV/bound"
at_end on_host "umount -l $SRV/bound"
expect_fail EACCES cat "$DIR/bound/key"
on_host "ln -s ../private/key $SRV/public/link"
expect_fail EACCES cat "$DIR/public/link"

begin "an exception that comes first, and a rule that goes"
expect_output "for all" cat "$DIR/public/f"
rules del "$number" >/dev/null
expect_output secret cat "$DIR/private/key"
add serve --path "$SRV/private/key"
add hide --path "'$SRV/private/**'"
echo 2 >/proc/sys/vm/drop_caches
expect_output secret cat "$DIR/private/key"
expect_fail ENOENT cat "$DIR/private/sub/f"
rules del "$number" >/dev/null

begin "hidden: neither listed nor found"
add hide --path "$SRV/public/f"
wait_until 40 test ! -e "$DIR/public/f" || fail "still there"
expect_output "fifo link" sh -c "ls $DIR/public | xargs"
expect_fail EACCES touch "$DIR/public/f"
rules del "$number" >/dev/null
wait_until 40 test -e "$DIR/public/f" || fail "not there again"

begin "by type, by filesystem"
add deny --type fifo
expect_fail EACCES cat "$DIR/public/fifo"
expect_fail EACCES mkfifo "$DIR/public/other"
rules del "$number" >/dev/null
add hide --fstype proc --path "/[0-9]*/environ"
expect_fail ENOENT cat "$MNT/proc/1/environ"
expect_ok grep -q . "$MNT/proc/1/stat"
rules del "$number" >/dev/null

begin "not cached: each read is the server's"
add uncached --path "$SRV/live"
on_host "echo 1 >$SRV/live"
exec 8<"$DIR/live"
expect_output 1 sh -c "head -c 1 <&8"
on_host "printf 12 >$SRV/live"
expect_output 2 sh -c "head -c 1 <&8"
exec 8<&-

begin "configured"
on_host "cat >/run/rules.toml" <<-END
	control = "/run/rules.sock"
	[[special]]
	path = "$SRV/public/*"
	type = "file"
	action = "deny"
END
engine_at $PORT -c /run/rules.toml
expect_ok mount -t qtfs -o port=$PORT "$QTFS_HOST_IP:$SRV" "$OTHER"
at_end umount -f "$OTHER"
expect_fail EACCES cat "$OTHER/public/f"
expect_output secret cat "$OTHER/private/key"
expect_match "deny +$SRV/public/\\* +- +file" rules list --control /run/rules.sock
expect_ok umount "$OTHER"
