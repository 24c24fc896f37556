#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Rules of the engine: what is denied, hidden, not cached, or shown as something else, seen from here;
# qtinfo on the server.
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
expect_says "needs a \"path\"" rules add content --content text
expect_says "only files" rules add content --path /srv --type fifo
expect_says "target \"srv\"" rules add redirect --path /srv --target srv
expect_says "has no \"target\"" rules add deny --path /srv --target /srv
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

begin "content: another text, for who may read the file"
on_host "echo real >$SRV/public/text; chown 1000:1000 $SRV/public/text; chmod 640 $SRV/public/text"
expect_output real cat "$DIR/public/text"
add content --path "$SRV/public/text" --content "'line one'"
expect_output "line one" cat "$DIR/public/text"
expect_output "line one" as_user 1000 cat "$DIR/public/text"
expect_fail EACCES as_user 1001 cat "$DIR/public/text"
expect_output "line one" grep line "$DIR/public/text"
expect_output one tail -c +6 "$DIR/public/text"
expect_output "0 640 1000" stat -c "%s %a %u" "$DIR/public/text"
expect_match "rw-r----- .* text" sh -c "cd $DIR/public && ls -l text"
expect_ok cp "$DIR/public/text" "$TMP/copy"
expect_output "line one" cat "$TMP/copy"
expect_ok cp "$DIR/public/text" "$DIR/public/copy"
expect_output "line one" on_host cat "$SRV/public/copy"

begin "content: not written, changed, moved or locked"
expect_fail EACCES sh -c "echo more >>$DIR/public/text"
expect_fail EACCES as_user 1000 sh -c "echo more >>$DIR/public/text"
expect_fail EACCES truncate -s 0 "$DIR/public/text"
expect_fail EACCES chmod 666 "$DIR/public/text"
expect_fail EACCES chown 0 "$DIR/public/text"
expect_fail EACCES touch "$DIR/public/text"
expect_fail EACCES setfattr -n user.x -v y "$DIR/public/text"
expect_fail EACCES ln "$DIR/public/text" "$DIR/public/other"
expect_fail EACCES mv "$DIR/public/text" "$DIR/public/other"
expect_fail EACCES mv "$DIR/public/copy" "$DIR/public/text"
expect_fail EACCES rm -f "$DIR/public/text"
expect_fail EBUSY mv "$DIR/public" "$DIR/elsewhere"
expect_says "No locks available" flock -n "$DIR/public/text" true
expect_output real on_host cat "$SRV/public/text"

begin "content: a rule that goes, and comes again"
exec 9<"$DIR/public/text"
rules del "$number" >/dev/null
expect_output real cat "$DIR/public/text"
expect_output "line one" sh -c "cat <&9"
exec 9<&-
add content --path "'$SRV/public/t*'" --content "'#!/bin/sh
echo run'"
expect_match "echo run" cat "$DIR/public/text"
on_host "chmod 755 $SRV/public/text"
expect_output run "$DIR/public/text"
rules del "$number" >/dev/null

begin "redirect: a link that nobody follows unless the mount says so"
on_host "echo the server >$SRV/public/here; mkdir $SRV/public/d; echo below >$SRV/public/d/f"
put "$TMP/here" "the client"
mkdir "$TMP/d"
put "$TMP/d/f" "of the client"
expect_output "the server" cat "$DIR/public/here"
add redirect --path "$SRV/public/here" --target "$TMP/here"
expect_fail EACCES cat "$DIR/public/here"
add redirect --path "$SRV/public/d" --target "$TMP/d"
echo 2 >/proc/sys/vm/drop_caches
expect_output "symbolic link 777" stat -c "%F %a" "$DIR/public/here"
expect_output "d here link" sh -c "find $DIR/public -type l -printf '%f\n' | sort | xargs"
expect_fail EACCES readlink -v "$DIR/public/here"
expect_fail EACCES cat "$DIR/public/d/f"
expect_fail EACCES sh -c "echo more >>$DIR/public/here"
expect_output "the client" cat "$TMP/here"

begin "redirect: followed with the option"
expect_ok mount -t qtfs -o redirects "$SRV" "$OTHER"
at_end umount -f "$OTHER"
expect_match ",redirects," grep " $OTHER " /proc/mounts
expect_output "the client" cat "$OTHER/public/here"
expect_output "of the client" cat "$OTHER/public/d/f"
expect_output "$TMP/here" readlink "$OTHER/public/here"
echo 2 >/proc/sys/vm/drop_caches
expect_ok sh -c "echo more >>$OTHER/public/here"
expect_output "the client
more" cat "$TMP/here"
expect_fail EACCES rm "$OTHER/public/here"
expect_fail EACCES mv "$OTHER/public/here" "$OTHER/public/there"
expect_fail EACCES rm -r "$OTHER/public/d"
expect_fail EACCES chown -h 1000 "$OTHER/public/here"
expect_fail EBUSY mv "$OTHER/public" "$OTHER/elsewhere"
expect_output "the server" on_host cat "$SRV/public/here"

begin "redirect: elsewhere from now on"
rules del "$number" >/dev/null
add redirect --path "$SRV/public/d" --target "$TMP"
expect_output "$TMP" readlink "$OTHER/public/d"
expect_output "$(cat "$TMP/here")" cat "$OTHER/public/d/here"
expect_says "does not export" mount -t qtfs "$SRV/public/d" "$TMP/d"
expect_ok umount "$OTHER"

begin "configured"
on_host "cat >/run/rules.toml" <<-END
	control = "/run/rules.sock"
	[[special]]
	path = "$SRV/public/*"
	type = "file"
	action = "deny"
	[[special]]
	path = "$SRV/private/sub/f"
	action = "content"
	content = "configured\n"
END
engine_at $PORT -c /run/rules.toml
expect_ok mount -t qtfs -o port=$PORT "$QTFS_HOST_IP:$SRV" "$OTHER"
at_end umount -f "$OTHER"
expect_fail EACCES cat "$OTHER/public/f"
expect_output secret cat "$OTHER/private/key"
expect_output configured cat "$OTHER/private/sub/f"
expect_match "deny +$SRV/public/\\* +- +file" rules list --control /run/rules.sock
expect_ok umount "$OTHER"
