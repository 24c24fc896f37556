#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Whoever calls here is who acts there: each command gives the result that it
# gives on the server itself.
. "$(dirname "$0")/lib.sh"

# Runs each line of the input; @ in it is $1.
# shellcheck disable=SC2016
RUN='while IFS= read -r line; do
	echo "# $line"
	(eval "${line//@/$1}") </dev/null 2>&1
	echo "status $?"
done'

# both COMMAND...: gives the same output and status here and there, for each of
# "${hows[@]}". @ in COMMAND is the root of the server's tree.
both() {
	local how
	for how in "${hows[@]}"; do
		printf '%s\n' "$@" | on_host "$how bash -c '$RUN' sh /" |
			tidy >"$TMP/there"
		printf '%s\n' "$@" | $how bash -c "$RUN" sh "$MNT/" |
			tidy >"$TMP/here"
		cmp -s "$TMP/there" "$TMP/here" && continue
		fail "as ${how:-root}: there (-) and here (+)"
		note "$(diff -U 2 "$TMP/there" "$TMP/here" | tail -n +3)"
	done
}

# each FORMAT WORD...: FORMAT with each WORD for its FILE, into $commands
each() {
	local format=$1 word
	shift
	for word; do
		commands+=("${format//FILE/@$at/$word}")
	done
}

tidy() {
	sed "s|$MNT||g; s|//*|/|g; s|^[a-z]*: line [0-9]*: ||"
}

USER1000="setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all"
GROUP50="setpriv --reuid 1000 --regid 1000 --groups 50,60 --inh-caps=-all --bounding-set=-all"
BARE_ROOT="setpriv --inh-caps=-all --bounding-set=-all"
NO_DAC="setpriv --inh-caps=-dac_override,-dac_read_search --bounding-set=-dac_override,-dac_read_search"
at=${SRV#/}

on_host "cd $SRV
	echo own >own; chown 1000:1000 own; chmod 600 own
	echo other >other; chown 1001:1001 other; chmod 600 other
	echo group >group; chown 0:50 group; chmod 640 group
	echo none >none; chown 1001:1001 none; chmod 0 none
	echo world >world; chmod 644 world
	mkdir closed; echo in >closed/in; chmod 700 closed; chown 1001 closed
	mkdir sticky; chmod 1777 sticky; touch sticky/roots sticky/theirs
	chown 1001 sticky/theirs
	mkdir shared; chown 0:60 shared; chmod 2770 shared
	cp /bin/true prog; chmod 700 prog"

begin "another user's files"
hows=("$USER1000" "$GROUP50" "$BARE_ROOT" "$NO_DAC" "")
commands=()
each "cat FILE" own other group none world closed/in
each "test -r FILE" own other group none world closed/in
each "test -w FILE" own other group none world closed/in
each "stat -c %s FILE" own other group none world closed/in
both "${commands[@]}"

begin "writing them"
commands=()
each ": >>FILE" own other group none world
both "${commands[@]}"

begin "folders"
hows=("$USER1000" "$GROUP50" "$BARE_ROOT" "$NO_DAC")
both "ls @$at/closed" "cd @$at/closed" \
	"touch @$at/closed/new && rm @$at/closed/new" \
	"touch @$at/shared/new && stat -c %u:%g @$at/shared/new; rm -f @$at/shared/new"

begin "the sticky bit"
both "mv @$at/sticky/theirs @$at/sticky/mine && mv @$at/sticky/mine @$at/sticky/theirs" \
	"touch @$at/sticky/new && mv @$at/sticky/new @$at/sticky/new2 && rm @$at/sticky/new2"
hows=("$USER1000")
both "rm -f @$at/sticky/roots"
expect_ok test -e "$DIR/sticky/roots"

begin "running programs"
hows=("$USER1000" "$BARE_ROOT" "")
both "@$at/prog"

begin "the server's /proc of others"
hows=("$USER1000" "$GROUP50" "$BARE_ROOT" "")
both "cat @proc/1/maps | wc -l" "cat @proc/1/environ | wc -c" \
	"readlink @proc/1/exe | wc -l" "ls @proc/1/fd >/dev/null" \
	"cat @proc/1/comm"

begin "sysctls and what only some may see"
hows=("$USER1000" "$BARE_ROOT" "")
both "cat @proc/sys/vm/swappiness >@proc/sys/vm/swappiness" \
	"cat @proc/sys/kernel/hostname >@proc/sys/kernel/hostname" \
	"head -c 20 @proc/kallsyms"

begin "changing what belongs to others"
hows=("$USER1000" "$BARE_ROOT" "$NO_DAC")
both "chmod 600 @$at/other" "chown 1000 @$at/other" \
	"setfattr -n trusted.x -v 1 @$at/world" \
	"setfattr -n user.x -v 1 @$at/other" \
	"touch -d 2001-01-01 @$at/world" \
	"ln @$at/other @$at/sticky/hard && rm -f @$at/sticky/hard" \
	"mknod @$at/sticky/dev c 1 3 && rm -f @$at/sticky/dev"

on_host "chown 1001:1001 $SRV/other; chmod 600 $SRV/other"

begin "user namespaces lend no power"
if unshare -Ur true 2>/dev/null; then
	expect_fail EACCES setpriv --reuid 1000 --regid 1000 --clear-groups \
		unshare -Ur cat "$DIR/other"
	expect_fail EACCES setpriv --reuid 1000 --regid 1000 --clear-groups \
		unshare -Ur sh -c "echo 1 >$MNT/proc/sys/vm/swappiness"
else
	skip "no user namespaces here"
fi

begin "an answer for one user is not another's"
for ((i = 0; i < 5; i++)); do
	expect_output other setpriv --reuid 1001 cat "$DIR/other"
	expect_fail EACCES as_user 1000 cat "$DIR/other"
	expect_output group setpriv --reuid 1000 --regid 1000 --groups 50 \
		--inh-caps=-all --bounding-set=-all cat "$DIR/group"
	expect_fail EACCES as_user 1000 cat "$DIR/group"
done

begin "a right that is taken away is gone"
expect_output world as_user 1000 cat "$DIR/world"
on_host "chmod 600 $SRV/world"
expect_fail EACCES as_user 1000 cat "$DIR/world"
