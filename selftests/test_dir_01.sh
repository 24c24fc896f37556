#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Commands on names give the errors and the results that a local filesystem
# gives; the server has what was made.
. "$(dirname "$0")/lib.sh"

LOCAL=$TMP/local
mkdir "$LOCAL"

# same WORDS: a shell command does the same in both folders
same() {
	local here there
	there=$(cd "$LOCAL" && sh -c "$*" 2>&1; echo "status $?")
	here=$(cd "$DIR" && sh -c "$*" 2>&1; echo "status $?")
	expect_eq "$there" "$here" "$*"
}

# same_tree: both folders and the server's look the same
same_tree() {
	local list='find . -mindepth 1 -printf "%P %y %#m %n %l %s\n" | grep -v " d .* [0-9]*$" | sort
		find . -mindepth 1 -type d -printf "%P %y %#m\n" | sort
		find . -type f -print0 | sort -z | xargs -0 sha256sum'
	local there here
	there=$(cd "$LOCAL" && sh -c "$list")
	here=$(cd "$DIR" && sh -c "$list")
	expect_eq "$there" "$here" "the client's view"
	expect_eq "$there" "$(on_host "cd $SRV && $list")" "the server's view"
}

begin "making"
same 'mkdir d d/e d/e/f'
same 'mkdir d'
same 'mkdir none/d'
same 'touch f && touch f'
same 'touch none/f'
same 'mkdir f/d'
same 'mkdir -p a/b/c/d/e/f/g/h'
same 'ln -s f l && ln -s d ld && ln -s none dangling && ln -s loop loop'
same 'ln f h && ln none hh'
same 'ln d hd'
same 'ln f h'
same 'mkfifo p; mkfifo p'
same 'cat loop'
same 'cat dangling'
same 'cd f'
same 'ls f/'
same 'cat d'
same_tree

begin "writing"
same 'echo one >f; cat f h l'
same 'echo two >>l; cat f'
same 'echo new >dangling; ls; cat none'
same 'echo x >d'
same 'echo x >ld'
same 'echo x >ld/inside; cat d/inside'
same 'set -C; echo x >f'
same 'printf "" >f; cat h'
same_tree

begin "moving"
same 'mv f g; ls; cat f'
same 'mv d d2 && ls d2 d2/e && ls d'
same 'mkdir full full/x; mv -T d2 full'
same 'mv -T d2 full/x && ls -R full'
same 'mv full full/x/y'
same 'mv g full/x/e; ls -R full'
same 'mv none2 x'
same 'mv -n h l; ls'
same_tree

begin "removing"
same 'rmdir full'
same 'rm full'
same 'rmdir h'
same 'rm none2'
same 'rmdir none2'
same 'unlink full'
same 'rm l ld h p loop dangling; ls'
same 'rmdir a/b/c/d/e/f/g/h && rm -r a && ls'
same 'rmdir .'
same 'rmdir full/..'
same_tree

begin "working in a folder that is gone"
same 'mkdir gone && cd gone && rmdir ../gone && touch x'
same 'mkdir gone && cd gone && rmdir ../gone && mkdir x'
same 'mkdir gone && cd gone && rmdir ../gone && ls -A'

begin "a tree copied and archived is the same"
same 'cp -a full copy && diff -r full copy && rm -r full'
same 'tar cf - copy | (mkdir out && tar xf - -C out)'
same_tree

begin "slashes at the end"
same 'mkdir m/ && ln -s m lm && ln -s nowhere ln && touch x'
for command in 'rmdir lm/' 'unlink lm/' 'stat -c %F lm lm/' 'stat x/' 'mkdir ln/' 'mkfifo q/' 'ln x y/' \
	'ln -s t s/' 'mv x y/' 'mv m/ m2/ && mv m2/ m' 'mv -T x m/' ': >none/' ': >lm/' 'truncate -s 0 x/' 'rm -r lm/'; do
	same "$command"
done
same 'rmdir m/; rm -f lm ln x; ls'
same_tree

begin "what the server does shows"
on_host "mkdir $SRV/theirs && echo text >$SRV/theirs/f"
expect_output text cat "$DIR/theirs/f"
on_host "mv $SRV/theirs $SRV/moved"
wait_until 40 test ! -e "$DIR/theirs" || fail "the old name stays"
expect_output text cat "$DIR/moved/f"

begin "a listing brings the attributes of many along"
on_host "mkdir $SRV/many; cd $SRV/many; seq 1500 | xargs touch"
before=$(calls_of lookup)
expect_output 1500 sh -c "find '$DIR/many' -type f -size 0 | wc -l"
after=$(calls_of lookup)
[ $((after - before)) -lt 150 ] || fail "$((after - before)) lookups"

begin "names that were just made here are not asked for"
mkdir "$DIR/fresh"
before=$(calls_of lookup)
for n in {1..10}; do
	: >"$DIR/fresh/$n" && mv "$DIR/fresh/$n" "$DIR/fresh/new$n" && rm "$DIR/fresh/new$n"
done
after=$(calls_of lookup)
# One now and then, for what has been believed for a second.
[ $((after - before)) -lt 15 ] || fail "$((after - before)) lookups"
