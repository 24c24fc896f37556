#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# For test_*.sh, which start with:  . "$(dirname "$0")/lib.sh"
#
# A test runs on the client, as root, with the tree mounted. It is a story of
# cases: `begin "what must hold"` opens one and closes the one before; any
# expect_* that fails, or `fail`, makes it `not ok`. Results are TAP. The end of
# the script closes the last case, checks both kernels' logs since the start,
# undoes what at_end was told, last first, and cleans up.
#
# Places
#   $MNT	the mount point; the host's / as the client sees it
#   $DIR	a fresh folder on the server's ext4, as the client sees it
#   $SRV	the same folder, as the server names it
#   $TMP	a fresh folder on the client itself
#   $PROGRAMS	where what the Makefile here builds is, on both
#
# Cases
#   begin WHAT			open a case
#   fail [WHY]			the case fails; the script goes on
#   skip [WHY]			the case is skipped
#   skip_all WHY		nothing here can be tested; ends the script
#   bail WHY			no use going on; ends the script as failed
#   note TEXT			for the reader of a failure
#   need PROGRAM...		skip_all unless they are installed
#
# Expectations: each prints what it saw when it was not met, and returns 1
#   expect_ok CMD...		exits 0
#   expect_fail ERRNO CMD...	fails and names the error: expect_fail ENOENT cat x
#   expect_says REGEX CMD...	fails and says something that matches, in any case
#   expect_status N CMD...	exits with N
#   expect_output TEXT CMD...	exits 0 and prints exactly TEXT
#   expect_match REGEX CMD...	exits 0 and prints something that matches
#   expect_eq WANT GOT [WHAT]	two strings are the same
#   expect_same FILE FILE	two files have the same contents
#   expect_waiting PID		a process is there and stays for half a second
#   expect_exit N wait PID	(same as expect_status)
#
# Doing things
#   on_host CMD...		a shell command on the host; stdin, stdout, stderr and
#				status as with ssh
#   put FILE [TEXT]		write TEXT, or stdin, to FILE
#   wait_until SECONDS CMD...	until CMD succeeds; 1 when it never does
#   as_user UID[:GID] CMD...	with no groups and no capabilities
#   at_end CMD...		when the script ends, however it ends
#   qtfs_mount [ARG...]		mount the host's / at $MNT, as the lab does
#   qtfs_umount [ARG...]	umount ARG... $MNT
#   fails_within SECONDS REGEX ARG...	mount -t qtfs ARG... $OTHER fails in that
#				time and says something that matches
#   engine_start [ARG...]	start the engine on the host, wait until it listens
#   engine_stop [SIGNAL]	end it (SIGTERM) and wait until it is gone
#   engine_at PORT [ARG...]	start one more on another port, which ends with the
#				test; its log is /run/qtfs-engine-PORT.log
#   agent_start [ARG...]	start qtfs-agent, wait until it listens; its number is in
#				$agent, what it says in $TMP/agent.log; it ends with the test
#   agent_stop [SIGNAL]	end it (SIGTERM) and wait until it is gone
#   agent_idle			whether it keeps no connection: one descriptor and one thread
#				at most, for datagrams
#   calls_of OPERATION		how often the client has asked the server for that, on $MNT
#   link_down, link_up		the network between the two; on_host has its own

MNT=${MNT:-/mnt/host}
TEST=$(basename "$0" .sh)
LIB_DIR=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck disable=SC2034
PROGRAMS=${QTFS_SELFTESTS:-$LIB_DIR/../build/selftests}
BAD_MESSAGES=$LIB_DIR/vm/bad-messages
ENGINE_PORT=${QTFS_PORT:-12345}
MARK="start of $TEST, process $$"

case_number=0
case_name=
case_state=
failed=0
finished=
end_commands=()

# Cases

note() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

begin() {
	close_case
	case_name=$*
	case_state=ok
}

close_case() {
	local name=$case_name
	case_name=
	[ -n "$name" ] || return 0
	case_number=$((case_number + 1))
	case $case_state in
	ok) echo "ok $case_number $name" ;;
	skip*) echo "ok $case_number $name # SKIP ${case_state#skip }" ;;
	*)
		echo "not ok $case_number $name"
		failed=$((failed + 1))
		;;
	esac
}

fail() {
	[ -n "$case_name" ] || begin "$TEST"
	case_state=failed
	[ $# -eq 0 ] || note "$(caller_line): $*"
	return 1
}

# The line of the test, not of this file.
caller_line() {
	local i
	for i in "${!BASH_SOURCE[@]}"; do
		case ${BASH_SOURCE[i]} in
		*/lib.sh | lib.sh) ;;
		*)
			echo "line ${BASH_LINENO[i - 1]}"
			return
			;;
		esac
	done
}

skip() {
	[ -n "$case_name" ] || begin "$TEST"
	[ "$case_state" = failed ] || case_state="skip $*"
}

skip_all() {
	case_name=
	finished=yes
	echo "1..0 # SKIP $*"
	exit 4
}

bail() {
	fail "$@"
	exit 1
}

need() {
	local program
	for program; do
		command -v "$program" >/dev/null || skip_all "no $program"
	done
}

# Expectations

# Runs a command, keeps what it says.
run() {
	status=0
	"$@" >"$TMP/.out" 2>"$TMP/.err" </dev/null || status=$?
}

complain() {
	fail "$1"
	note "  command: $2"
	head -n 20 "$TMP/.out" | sed 's/^/#   stdout: /'
	head -n 20 "$TMP/.err" | sed 's/^/#   stderr: /'
	return 1
}

# has_line REGEX FILE...: as grep -qE. Starting a program is what takes long in an emulated machine.
has_line() {
	local want=$1 file line lines
	shift
	for file; do
		mapfile -t -n 200 lines <"$file"
		if [ ${#lines[@]} -eq 200 ]; then
			grep -qE -- "$want" "$file" && return
			continue
		fi
		for line in "${lines[@]}"; do
			[[ $line =~ $want ]] && return
		done
	done
	return 1
}

expect_status() {
	local want=$1
	shift
	run "$@"
	[ "$status" -eq "$want" ] ||
		complain "status $status, expected $want" "$*"
}

expect_ok() {
	expect_status 0 "$@"
}

expect_exit() {
	local want=$1
	shift
	status=0
	"$@" || status=$?
	[ "$status" -eq "$want" ] ||
		fail "$*: status $status, expected $want"
}

# Leaves in $text how the C library of the client words it.
error_text() {
	case $1 in
	E2BIG) text="Argument list too long" ;;
	EACCES) text="Permission denied" ;;
	EAGAIN) text="Resource temporarily unavailable" ;;
	EBADF) text="Bad file descriptor" ;;
	EBUSY) text="Device or resource busy" ;;
	ECONNREFUSED) text="Connection refused" ;;
	EDEADLK) text="Resource deadlock avoided" ;;
	EDQUOT) text="Disk quota exceeded" ;;
	EEXIST) text="File exists" ;;
	EFBIG) text="File too large" ;;
	EHOSTDOWN) text="Host is down" ;;
	EINTR) text="Interrupted system call" ;;
	EINVAL) text="Invalid argument" ;;
	EIO) text="Input/output error" ;;
	EISDIR) text="Is a directory" ;;
	ELOOP) text="Too many levels of symbolic links" ;;
	EMFILE) text="Too many open files" ;;
	EMLINK) text="Too many links" ;;
	ENAMETOOLONG) text="File name too long" ;;
	ENODATA) text="No data available|No such attribute" ;;
	ENODEV) text="No such device" ;;
	ENOENT) text="No such file or directory" ;;
	ENOSPC) text="No space left on device" ;;
	ENOTCONN) text="Transport endpoint is not connected" ;;
	ENOTDIR) text="Not a directory" ;;
	ENOTEMPTY) text="Directory not empty" ;;
	ENOTTY) text="Inappropriate ioctl for device" ;;
	ENXIO) text="No such device or address" ;;
	EOPNOTSUPP) text="Operation not supported" ;;
	EOVERFLOW) text="Value too large for defined data type" ;;
	EPERM) text="Operation not permitted" ;;
	EPIPE) text="Broken pipe" ;;
	EPROTO) text="Protocol error" ;;
	ERANGE) text="Numerical result out of range" ;;
	EROFS) text="Read-only file system" ;;
	ESTALE) text="Stale file handle" ;;
	ETIMEDOUT) text="Connection timed out" ;;
	ETXTBSY) text="Text file busy" ;;
	EXDEV) text="Invalid cross-device link" ;;
	*) text="no text known for $1" ;;
	esac
}

expect_fail() {
	local errno=$1 text
	shift
	run "$@"
	[ "$status" -ne 0 ] || {
		complain "succeeded, expected $errno" "$*"
		return
	}
	error_text "$errno"
	has_line "$text|\\b$errno\\b" "$TMP/.err" "$TMP/.out" ||
		complain "another error, expected $errno" "$*"
}

expect_says() {
	local want=$1
	shift
	run "$@"
	[ "$status" -ne 0 ] || {
		complain "succeeded, expected: $want" "$*"
		return
	}
	shopt -s nocasematch
	has_line "$want" "$TMP/.err" "$TMP/.out" ||
		complain "says nothing like: $want" "$*"
	shopt -u nocasematch
}

expect_output() {
	local want=$1
	shift
	expect_ok "$@" || return
	[ "$(<"$TMP/.out")" = "$want" ] || {
		complain "another output" "$*"
		printf '%s\n' "$want" | head -n 20 | sed 's/^/#   expected: /'
		return 1
	}
}

expect_match() {
	local want=$1
	shift
	expect_ok "$@" || return
	has_line "$want" "$TMP/.out" || complain "no match of: $want" "$*"
}

expect_eq() {
	[ "$1" = "$2" ] || fail "${3:-value}: '$2', expected '$1'"
}

expect_same() {
	run cmp "$1" "$2"
	[ "$status" -eq 0 ] || complain "files differ" "cmp $1 $2"
}

expect_waiting() {
	if wait_until 0.5 gone "$1"; then
		fail "process $1 has ended, expected it to wait"
	fi
}

gone() {
	[ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

# Doing things

on_host() {
	on-host "$@"
}

put() {
	if [ $# -gt 1 ]; then
		printf '%s\n' "$2" >"$1"
	else
		cat >"$1"
	fi
}

wait_until() {
	local part=${1#*.}000000 end
	[[ $1 == *.* ]] || part=000000
	end=$((${EPOCHREALTIME/./} + ${1%%.*} * 1000000 + 10#${part:0:6}))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
		sleep 0.05
	done
}

as_user() {
	local uid=${1%%:*} gid=${1##*:}
	shift
	setpriv --reuid "$uid" --regid "$gid" --clear-groups \
		--inh-caps=-all --bounding-set=-all "$@"
}

at_end() {
	end_commands=("$(printf '%q ' "$@")" "${end_commands[@]}")
}

qtfs_mount() {
	mount -t qtfs "${QTFS_SOURCE:-/}" "$MNT" "$@"
}

qtfs_umount() {
	umount "$@" "$MNT"
}

# What the engine of the lab listens on beside TCP.
engine_channel() {
	[ -z "${QTFS_LISTEN-}" ] || echo "--listen $QTFS_LISTEN"
}

fails_within() {
	local limit=$1 want=$2 said start=$SECONDS
	shift 2
	if said=$(mount -t qtfs "$@" "$OTHER" 2>&1); then
		umount "$OTHER"
		fail "$*: mounted"
		return
	fi
	[ $((SECONDS - start)) -le "$limit" ] ||
		fail "$*: took $((SECONDS - start)) s, expected $limit at most"
	grep -qE -- "$want" <<<"$said" || fail "$*: '$said', expected $want"
}

engine_start() {
	on_host "
		ulimit -n 524288
		log=/run/qtfs-engine.log
		touch \$log
		before=\$(wc -l <\$log)
		setsid $QTFS_BUILD/engine 4096 16 --log-level info --insecure $(engine_channel) \
			--listen 0.0.0.0:$ENGINE_PORT $* </dev/null >>\$log 2>&1 &
		echo \$! >/run/qtfs-engine.pid
		until tail -n +\$((before + 1)) \$log | grep -q ' threads, '; do
			[ -d /proc/\$! ] || exit 1
			sleep 0.05
		done"
}

engine_stop() {
	on_host "
		pid=\$(cat /run/qtfs-engine.pid)
		kill -${1:-TERM} \$pid
		while [ -d /proc/\$pid ]; do sleep 0.05; done"
}

agent_start() {
	qtfs-agent "$@" </dev/null >"$TMP/agent.log" 2>&1 &
	agent=$!
	at_end agent_stop
	wait_until 10 grep -q listening "$TMP/agent.log" || bail "$(cat "$TMP/agent.log")"
}

agent_stop() {
	kill "-${1:-TERM}" "$agent" 2>/dev/null
	wait "$agent" 2>/dev/null
}

agent_idle() {
	[ "$(find "/proc/$agent/task" -mindepth 1 -maxdepth 1 | wc -l)" -le 2 ] &&
		[ "$(find "/proc/$agent/fd" -lname 'socket:*' | wc -l)" -le 1 ]
}

calls_of() {
	qtinfo --json stats "$MNT" |
		jq --arg op "$1" '[.operations[] | select(.operation == $op).calls] | add // 0'
}

engine_at() {
	local port=$1 hex key=--insecure
	shift
	[[ " $* " == *" --psk-file "* ]] && key=
	hex=$(printf %04X "$port")
	on_host "
		setsid $QTFS_BUILD/engine 256 2 $key --listen 0.0.0.0:$port $* \
			</dev/null >/run/qtfs-engine-$port.log 2>&1 &
		echo \$! >/run/qtfs-engine-$port.pid
		until grep -qs ':$hex 0\\+:0000 0A' /proc/net/tcp /proc/net/tcp6; do
			[ -d /proc/\$! ] || exit 1
			sleep 0.05
		done" || bail "no engine on port $port"
	at_end on_host "kill \$(cat /run/qtfs-engine-$port.pid)"
}

link_down() {
	ip link set eth0 down
}

link_up() {
	ip link set eth0 up
}

# Set-up and end

mark_log() {
	echo "$MARK" >/dev/kmsg
}

# What a kernel said since the mark; runs at either end, on stdin.
complaints() {
	sed "1,/$MARK/d" | grep -nE -A 25 -f "$BAD_MESSAGES"
}

check_logs() {
	local found
	begin "neither kernel complains"
	found=$(dmesg | complaints)
	[ -z "$found" ] || {
		fail "the client's does"
		note "$found"
	}
	found=$(on_host dmesg 2>/dev/null | complaints)
	[ -z "$found" ] || {
		fail "the host's does"
		note "$found"
	}
	close_case
}

finish() {
	local command
	trap - EXIT
	set +e
	[ -n "$finished" ] || {
		close_case
		check_logs
		echo "1..$case_number"
	}
	for command in "${end_commands[@]}"; do
		eval "$command"
	done >/dev/null 2>&1
	rm -rf "$TMP"
	on_host "rm -rf '$SRV'" </dev/null
}

at_exit() {
	local status=$?
	finish
	[ "$status" -ne 4 ] || exit 4
	[ "$failed" -eq 0 ] || exit 1
	exit "$status"
}

# The script's own last command does not decide: cases do.
start() {
	[ "$(id -u)" -eq 0 ] || {
		echo "1..0 # SKIP needs root"
		exit 4
	}
	TMP=$(mktemp -d "/tmp/$TEST.XXXXXX")
	SRV=/srv/$TEST.$$
	export DIR=$MNT$SRV
	mark_log
	on_host "mkdir -p '$SRV' && chmod 755 '$SRV' &&
		echo '$MARK' >/dev/kmsg" </dev/null || {
		echo "1..0 # SKIP no host to talk to"
		exit 4
	}
	trap at_exit EXIT
	trap 'exit 1' INT TERM HUP
}

export MNT TEST
start
