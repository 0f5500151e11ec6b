#!/bin/bash
# demo.sh [SLIRPGATE]: what slirpgate does, step by step, in under a minute; stops at the first step that fails.
#
# Three places, none of them the machine's own network: "internet" (a namespace with a web server, a name server and bulk
# services), "host" (a namespace where slirpgate runs, joined to it by a veth pair), and the guest that slirpgate makes.
# The script runs itself once in each of the latter two. Everything it starts ends with it.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
stage=${DEMO_STAGE:-outside}
web4=203.0.113.1 web6=2001:db8:1::1
gib=$((1 << 30))

pass() { printf 'PASS %s\n' "$*"; }
fail() {
	printf 'FAIL %s\n' "$*"
	exit 1
}

# Until the command succeeds, at most 10 s.
await() {
	local i
	for ((i = 0; i < 100; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	return 1
}

outside() {
	slirpgate=${1:-${SLIRPGATE:-}}
	[ -x "$slirpgate" ] || fail "find slirpgate (give its path: tests/demo.sh build/slirpgate)"
	SLIRPGATE=$(readlink -f "$slirpgate")
	export SLIRPGATE DEMO_STAGE=host
	local report
	report=$("$SLIRPGATE" doctor) || {
		printf '%s\n' "$report"
		fail "this machine has what slirpgate needs (the remedies stand above)"
	}
	pass "this machine has what slirpgate needs ($("$SLIRPGATE" --version))"
	local map=()
	[ "$(id -u)" = 0 ] || map=(--user --map-root-user)
	exec unshare "${map[@]}" --net --mount -- "${BASH_SOURCE[0]}"
}

# ---- the host's namespace ----

pids=()
cleanup() {
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$work"
}

# Starts a command in the namespace "internet"; its pid is remembered.
internet() {
	nsenter --target "$net" --net -- "$@" >>"$work/servers.log" 2>&1 &
	pids+=($!)
}

wires() {
	ip link set lo up
	unshare --net -- sleep 600 &
	net=$!
	pids+=("$net")
	await different_namespace || return 1
	ip link add gw0 type veth peer name ext0 netns "$net" || return 1
	ip address add 203.0.113.2/24 dev gw0
	ip address add 2001:db8:1::2/64 dev gw0 nodad
	ip link set gw0 up
	nsenter --target "$net" --net -- sh -ec "
		ip link set lo up
		ip address add $web4/24 dev ext0
		ip address add $web6/64 dev ext0 nodad
		ip link set ext0 up"
	ip route add default via $web4 && ip -6 route add default via $web6
}

different_namespace() {
	[ "$(readlink "/proc/$net/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

servers() {
	mkdir "$work/www"
	echo "hello from the web server" >"$work/www/index.html"
	internet python3 -m http.server --bind :: --directory "$work/www" 80
	internet python3 "$here/demo_server.py" $web4 $web6
	await curl -fsS -m 1 http://$web4/ && await curl -fsS -m 1 "http://[$web6]/" && await bash -c ": </dev/tcp/$web4/5002"
}

host() {
	work=$(mktemp -d)
	trap cleanup EXIT
	trap 'exit 1' INT TERM HUP
	wires || fail "lay the wires of the demo's own network"
	servers || fail "start the servers of the demo ($(tail -n 1 "$work/servers.log"))"
	pass "a network of our own: web server, name server and bulk services at $web4 and $web6"
	export DEMO_STAGE=guest
	"$SLIRPGATE" run --dns $web4 --stats=json --log-level error -- "${BASH_SOURCE[0]}" 2>"$work/stats"
	local rc=$?
	if [ $rc != 0 ]; then
		cat "$work/stats"
		[ $rc = 1 ] || fail "run a command in the namespace (exit status $rc)"
		exit 1
	fi
	counters
	published
	echo "the demo is over: every step passed"
}

# A page of the guest, read from the internet.
guest_page() {
	nsenter --target "$net" --net -- curl -fsS -m 10 "http://$1/" | grep -q "hello from the guest"
}

published() {
	local ctl=("$SLIRPGATE" ctl -s "$work/control")
	unset DEMO_STAGE
	mkdir "$work/guest"
	echo "hello from the guest" >"$work/guest/index.html"
	"$SLIRPGATE" run --root -t 8080:80 --control "$work/control" --log-level error -- \
		python3 -m http.server --bind :: --directory "$work/guest" 80 >>"$work/servers.log" 2>&1 &
	pids+=($!)
	await guest_page 203.0.113.2:8080 || fail "a page of the guest's through a published port ($(tail -n 1 "$work/servers.log"))"
	pass "a page of the guest's through a published port, from the internet"
	"${ctl[@]}" publish add 8081:80 >/dev/null && guest_page "[2001:db8:1::2]:8081" || fail "a port that is published later"
	pass "a port that is published while it runs, over IPv6"
	"${ctl[@]}" --json publish list | python3 -c 'import json, sys
for r in json.load(sys.stdin): print("     {rule}: {let_in} clients".format(**r))'
	"${ctl[@]}" publish remove 1 && ! guest_page 203.0.113.2:8080 2>/dev/null || fail "a port that is closed again"
	"${ctl[@]}" shutdown
	pass "a port that is closed again, and the end of that guest"
}

counters() {
	python3 - "$work/stats" <<'PY' || fail "the counters (they do not add up)"
import json, sys
stats = json.loads(open(sys.argv[1]).read().strip().split("\n")[-1])
for key in ("flows_opened", "to_host_bytes", "to_guest_bytes", "link_rx_frames", "link_tx_frames", "dns_queries", "turns"):
    print(f"     {stats[key]:>14} {key}")
for key, n in {**stats["drops"], **stats["closes"]}.items():
    print(f"     {n:>14} {key}")
sys.exit(not (stats["to_host_bytes"] >= 1 << 30 <= stats["to_guest_bytes"] and stats["flows_now"] == 0))
PY
	pass "the counters: what came in went out, no flow is left"
}

# ---- the guest ----

guest() {
	unset DEMO_STAGE
	guest_addresses
	guest_pages
	guest_bulk
	guest_refused
	guest_half_closed
}

guest_addresses() {
	local list
	list=$(ip -brief address)
	printf '%s\n' "$list" | sed 's/^/     /'
	[ "$(printf '%s\n' "$list" | wc -l)" = 2 ] || fail "a namespace with nothing but lo and the tap"
	case $list in
	*10.0.2.15/24*fd00::*/64*) pass "a namespace with nothing but slirpgate's tap: 10.0.2.15/24, fd00::/64" ;;
	*) fail "the guest's addresses" ;;
	esac
}

# page WHAT CURL-ARGUMENTS...
page() {
	local what=$1 text
	shift
	text=$(curl -fsS -m 10 "$@" 2>&1) || fail "$what ($text)"
	[ "$text" = "hello from the web server" ] || fail "$what (another page: $text)"
	pass "$what"
}

guest_pages() {
	page "a page by name over IPv4" -4 http://www.demo.test/
	page "a page by name over IPv6" -6 http://www.demo.test/
	page "a page by address over IPv4" http://$web4/
	page "a page by address over IPv6" "http://[$web6]/"
	local text
	text=$(curl -fsS -m 10 http://nowhere.demo.test/ 2>&1) && fail "a name that does not exist is not found"
	case $text in
	*"Could not resolve host"*) pass "a name that does not exist is not found" ;;
	*) fail "a name that does not exist is not found ($text)" ;;
	esac
}

guest_bulk() {
	local speed
	speed=$(timeout 20 python3 "$here/demo_server.py" up $web4 $gib 2>&1) || fail "an upload of 1 GiB ($speed)"
	pass "an upload of 1 GiB: $speed"
	speed=$(timeout 20 python3 "$here/demo_server.py" down $web4 $gib 2>&1) || fail "a download of 1 GiB ($speed)"
	pass "a download of 1 GiB: $speed"
}

guest_refused() {
	local text
	text=$(curl -sv -m 10 -w 'after %{time_total} s' http://$web4:81/ 2>&1) && fail "a closed port is refused (it answers)"
	case $text in
	*"Connection refused"*) pass "a closed port is refused at once: ${text##*after }" ;;
	*) fail "a closed port is refused at once (${text##*$'\n'})" ;;
	esac
}

# The client says all it has and closes its half; the server, who answers only after that, is still heard.
guest_half_closed() {
	local text
	text=$(timeout 10 python3 - $web4 <<'PY' 2>&1
import socket, sys
conn = socket.create_connection((sys.argv[1], 5001), 5)
conn.sendall(b"half a conversation")
conn.shutdown(socket.SHUT_WR)
print(conn.makefile("r").read().strip(), end="")
PY
	)
	[ "$text" = "19 bytes" ] || fail "a half-closed exchange (the answer was: $text)"
	pass "a half-closed exchange: the answer came after our end of file"
}

$stage "$@"
