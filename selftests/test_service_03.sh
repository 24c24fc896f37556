#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The containers of the server, by the socket of Docker's interface, which podman has, too.
. "$(dirname "$0")/lib.sh"
need podman curl jq qtfs-agent

agent_start --log-level debug
on_host "podman system service --time 0 unix://$SRV/api.sock </dev/null >/dev/null 2>&1 &
	echo \$! >$SRV/pid; for i in \$(seq 300); do [ ! -S $SRV/api.sock ] || exit 0; sleep 0.1; done; exit 1" ||
	bail "no podman"
at_end on_host "kill \$(cat $SRV/pid)"

# get PATH: from the interface
get() {
	curl -sS --max-time 120 --unix-socket "$DIR/api.sock" "http://d$1"
}

begin "who is there"
expect_output OK get /_ping
expect_eq "$(on_host uname -r)" "$(get /version | jq -r .KernelVersion)" "the kernel"

begin "images: one is made there by what is sent from here"
mkdir "$TMP/image" && echo hello >"$TMP/image/greeting"
head -c 8000000 /dev/urandom >"$TMP/image/data"
tar -C "$TMP/image" -cf "$TMP/image.tar" .
expect_match "sha256" curl -sS --max-time 300 --unix-socket "$DIR/api.sock" -X POST \
	-H "Content-Type: application/x-tar" --data-binary "@$TMP/image.tar" \
	"http://d/images/create?fromSrc=-&repo=qtfs-test"
expect_match "qtfs-test" sh -c "curl -sS --unix-socket $DIR/api.sock http://d/images/json"
at_end on_host "podman rmi -f qtfs-test >/dev/null 2>&1"

begin "events come when they happen"
curl -sSN --max-time 120 --unix-socket "$DIR/api.sock" http://d/events >"$TMP/events" 2>/dev/null &
listening=$!
sleep 2
expect_ok sh -c "curl -sS --unix-socket $DIR/api.sock -X POST http://d/volumes/create \
	-H 'Content-Type: application/json' -d '{\"Name\":\"qtfs-test\"}' >/dev/null"
at_end on_host "podman volume rm -f qtfs-test >/dev/null 2>&1"
expect_match "qtfs-test" get /volumes
wait_until 20 grep -q qtfs-test "$TMP/events" || fail "none: $(cat "$TMP/events")"
kill $listening

begin "podman itself, as a client"
remote() {
	podman --remote --url "unix://$DIR/api.sock" "$@"
}
expect_match qtfs-test remote images
expect_match qtfs-test remote volume ls
expect_output "$(on_host uname -r)" remote info --format '{{.Host.Kernel}}'
