#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Whoever calls here is who acts there: each command gives the result that it
# gives on the server itself.
. "$(dirname "$0")/lib.sh"

# both HOW COMMAND: the same output and status here and there. @ in COMMAND is
# the root of the server's tree, % the test's folder in it.
both() {
	local how=$1 command=$2 here there
	there=$(on_host "$how bash -c '${command//@//}' 2>&1; echo \"status \$?\"" | tidy)
	here=$($how bash -c "${command//@/$MNT/}" 2>&1; echo "status $?")
	expect_eq "$there" "$(tidy <<<"$here")" "$how: $command"
}

tidy() {
	sed "s|$MNT||g; s|//*|/|g; s|bash: line [0-9]*: ||"
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
for how in "$USER1000" "$GROUP50" "$BARE_ROOT" "$NO_DAC" ""; do
	for file in own other group none world closed/in; do
		both "$how" "cat @$at/$file"
		both "$how" "test -r @$at/$file; echo \$?; test -w @$at/$file; echo \$?"
		both "$how" "stat -c %s @$at/$file"
	done
done

begin "writing them"
for how in "$USER1000" "$GROUP50" "$BARE_ROOT" "$NO_DAC" ""; do
	for file in own other group none world; do
		both "$how" ": >>@$at/$file"
	done
done

begin "folders"
for how in "$USER1000" "$GROUP50" "$BARE_ROOT" "$NO_DAC"; do
	both "$how" "ls @$at/closed"
	both "$how" "cd @$at/closed"
	both "$how" "touch @$at/closed/new && rm @$at/closed/new"
	both "$how" "touch @$at/shared/new && stat -c %u:%g @$at/shared/new; rm -f @$at/shared/new"
done

begin "the sticky bit"
for how in "$USER1000" "$GROUP50" "$NO_DAC"; do
	both "$how" "mv @$at/sticky/theirs @$at/sticky/mine && mv @$at/sticky/mine @$at/sticky/theirs"
	both "$how" "rm -f @$at/sticky/new; touch @$at/sticky/new && mv @$at/sticky/new @$at/sticky/new2 && rm @$at/sticky/new2"
done
both "$USER1000" "rm -f @$at/sticky/roots"
expect_ok test -e "$DIR/sticky/roots"

begin "running programs"
for how in "$USER1000" "$BARE_ROOT" ""; do
	both "$how" "@$at/prog"
done

begin "the server's /proc of others"
for how in "$USER1000" "$GROUP50" "$BARE_ROOT" ""; do
	both "$how" "cat @proc/1/maps | wc -l"
	both "$how" "cat @proc/1/environ | wc -c"
	both "$how" "readlink @proc/1/exe | wc -l"
	both "$how" "ls @proc/1/fd >/dev/null"
	both "$how" "cat @proc/1/comm"
done

begin "sysctls"
for how in "$USER1000" "$BARE_ROOT" ""; do
	both "$how" "cat @proc/sys/vm/swappiness >@proc/sys/vm/swappiness"
	both "$how" "cat @proc/sys/kernel/hostname >@proc/sys/kernel/hostname"
	both "$how" "head -c 20 @proc/kallsyms"
done

begin "changing what belongs to others"
for how in "$USER1000" "$BARE_ROOT" "$NO_DAC"; do
	both "$how" "chmod 600 @$at/other"
	both "$how" "chown 1000 @$at/other"
	both "$how" "setfattr -n trusted.x -v 1 @$at/world"
	both "$how" "setfattr -n user.x -v 1 @$at/other"
	both "$how" "touch -d 2001-01-01 @$at/world"
	both "$how" "ln @$at/other @$at/sticky/hard && rm -f @$at/sticky/hard"
	both "$how" "mknod @$at/sticky/dev c 1 3 && rm -f @$at/sticky/dev"
done

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
