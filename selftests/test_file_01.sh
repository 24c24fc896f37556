#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Close-to-open: who opens a file sees what was written before, by whomever.
. "$(dirname "$0")/lib.sh"

F=$DIR/f
S=$SRV/f

begin "written here and closed, seen there"
put "$F" one
expect_output one on_host cat "$S"
put "$F" "a longer line"
expect_output "a longer line" on_host cat "$S"

begin "written there, seen here when opened again"
expect_output "a longer line" cat "$F"
on_host "echo theirs >$S"
expect_output theirs cat "$F"
on_host "echo more >>$S"
expect_output "$(printf 'theirs\nmore')" cat "$F"
on_host ": >$S"
expect_output "" cat "$F"

begin "twice within one tick of the server's clock, the same length"
for ((i = 0; i < 20; i++)); do
	on_host "echo a$((i % 10)) >$S"
	cat "$F" >/dev/null
	on_host "exec 7<>$S; echo b$((i % 10)) >&7; touch -d '2020-01-01' $S;
		echo c$((i % 10)) >$S; touch -d '2020-01-01' $S"
	expect_output "c$((i % 10))" cat "$F" || break
done

begin "back and forth"
for ((i = 0; i < 20; i++)); do
	put "$F" "here $i"
	expect_output "here $i" on_host cat "$S" || break
	on_host "echo there $i >$S"
	expect_output "there $i" cat "$F" || break
done

begin "a file that was replaced there is the new one here"
for ((i = 0; i < 10; i++)); do
	on_host "echo new $i >$S.new && mv $S.new $S"
	expect_output "new $i" cat "$F" || break
	expect_eq "$(on_host stat -c %i "$S")" "$(stat -L -c %i /dev/fd/7 7<"$F")" "inode"
done

begin "a folder in its place"
on_host "rm $S && mkdir $S && echo in >$S/x"
wait_until 40 test -d "$F" || fail "still a file"
expect_output in cat "$F/x"
on_host "rm -r $S && echo file >$S"
wait_until 40 test -f "$F" || fail "still a folder"
expect_output file cat "$F"

begin "attributes follow within their time"
on_host "chmod 640 $S; truncate -s 12345 $S"
wait_until 35 sh -c "[ \$(stat -c '%a:%s' $F) = 640:12345 ]" ||
	fail "$(stat -c '%a:%s' "$F")"

begin "a reader that has it open sees what comes, after a while"
on_host "echo first >$S"
exec 7<"$F"
read -r line <&7
expect_eq first "$line"
on_host "echo second >>$S"
grown() {
	read -r line <&7 && [ "$line" = second ]
}
wait_until 40 grown || fail "the second line does not come"
exec 7<&-

begin "both ends append in turn"
: >"$F"
for ((i = 0; i < 20; i++)); do
	echo "here $i" >>"$F"
	on_host "echo there $i >>$S"
done
expect_output 40 sh -c "grep -c . $F"
expect_eq "$(on_host sha256sum "$S" | cut -c1-64)" "$(sha256sum "$F" | cut -c1-64)" sum
