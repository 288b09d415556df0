#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic relay --fast-path: the kernel carries frames while nobody looks at them, and nobody notices.  as-user: --tun
# shellcheck disable=SC2154,SC2030,SC2031,SC2016,SC2034 # what ../lib/relay sets; each test is a shell of its own

load ../lib/relay

namespaces() {
	needs_tun
	"$VNIC" ns add "$red" "$blue" # as an ordinary user each has a user namespace of its own
}

# Two namespaces and a relay with a fast path between them; KEYS are the first port's.
joined_fast() {
	control=$BATS_TEST_TMPDIR/control
	namespaces
	start --fast-path --json --control "$control" "tap:eth0,netns=$red,ip=10.9.0.1/24${KEYS-}" \
		"tap:eth0,netns=$blue,ip=10.9.0.2/24"
}

tell() { "$VNIC" relay --at "$control" "$@"; }
# is STATE: of the fast path
is() { [[ $(tell stats) == *"\"fast_path\":\"$1\""* ]] || { tell stats && return 1; }; }
# soon COMMAND...: it is true, or will be
soon() { timeout 20 bash -c 'until eval "$1" &>/dev/null; do :; done' - "$(declare -f tell is links); VNIC=$VNIC control=${control-}; $*"; }
# Bytes that the relay has read of anything.
has_read() { awk '/^rchar/ { print $2 }' "/proc/$relay/io"; }
# rtt: milliseconds of the fastest of ten, whole ones
rtt() { "$VNIC" exec "$red" -- ping -n -q -c 10 -i 0.05 -W 5 10.9.0.2 | sed -n 's/^rtt [^=]*= \([0-9]*\).*/\1/p'; }

@test "frames pass, are counted, and the relay reads none of them" {
	joined_fast
	is open
	sends "$red" 10.9.0.2
	local before after
	before=$(has_read)
	carries "$red" "$blue" 10.9.0.2
	sends "$blue" 10.9.0.1
	after=$(has_read)
	((after - before < 100000)) # of 20 MB
	stop TERM
	stats 'balanced(stats) and stats["fast_path"] == "open"'
	stats 'ports[0]["rx_bytes"] > 20 << 20 and ports[1]["tx_bytes"] > 20 << 20 and ports[1]["rx_frames"] > 10'
	[[ $(links "$red") == lo && $(links "$blue") == lo ]]
}

@test "weather brings the frames to the relay, and fair weather takes them away again" {
	joined_fast
	tell set 0 delay=20ms
	is closed
	(($(rtt) >= 20))
	tell clear 0
	is open
	(($(rtt) < 20))
	tell set 1 in.filter="not icmp"
	is closed
	run sends "$red" 10.9.0.2 -W 1
	[[ $status -eq 1 ]]
	tell clear 1
	sends "$red" 10.9.0.2
	is open
	stop TERM
	stats 'balanced(stats) and ports[1]["rx_dropped"]["filtered"] > 0'
}

@test "a link that is set down loses frames, and so do two ports that are isolated" {
	joined_fast
	tell link 1 down
	is closed
	run sends "$red" 10.9.0.2 -W 1
	[[ $status -eq 1 ]]
	tell link 1 up
	sends "$red" 10.9.0.2
	tell isolate 0 on
	is open
	tell isolate 1 on
	is closed
	run sends "$red" 10.9.0.2 -W 1
	[[ $status -eq 1 ]]
	tell isolate 0 off
	is open
	sends "$red" 10.9.0.2
	stop TERM
	stats 'balanced(stats) and ports[1]["tx_dropped"]["link-down"] > 0 and ports[0]["rx_dropped"]["isolated"] > 0'
}

@test "weather that is there from the start keeps it closed until it is taken away" {
	KEYS=,delay=20ms joined_fast
	is closed
	(($(rtt) >= 20))
	tell clear 0
	is open
	(($(rtt) < 20))
	stop TERM
}

@test "a TAP's new MAC is followed" {
	joined_fast
	sends "$red" 10.9.0.2
	"$VNIC" exec "$blue" -- ip link set eth0 address 02:00:00:00:00:77
	"$VNIC" exec "$red" -- ip neighbour flush dev eth0
	sends "$red" 10.9.0.2
	is open
	[[ $("$VNIC" exec "$blue" -- ip link) == *02:00:00:00:00:77*02:00:00:00:00:77* ]]
	stop TERM
}

@test "a TAP that is down closes it, and what is sent there is counted as lost" {
	joined_fast
	"$VNIC" exec "$blue" -- ip link set eth0 down
	soon is closed
	run sends "$red" 10.9.0.2 -W 1
	[[ $status -eq 1 ]]
	"$VNIC" exec "$blue" -- ip link set eth0 up
	soon is open
	sends "$red" 10.9.0.2
	stop TERM
	stats 'balanced(stats) and ports[1]["tx_dropped"]["down"] > 0'
}

# Looks at red's TAP as tcpdump does, until it has seen a ping leave and its answer come.
looker() {
	"$VNIC" exec "$red" -- python3 -c '
import socket, struct
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 1, 1
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
link.settimeout(20)
link.bind(("eth0", 0))
all_frames = struct.pack("iHH8s", socket.if_nametoindex("eth0"), PACKET_MR_PROMISC, 0, b"")
link.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, all_frames)
lacking = {socket.PACKET_OUTGOING, socket.PACKET_HOST}
while lacking:
	frame, where = link.recvfrom(65536)
	if where[1] == 0x0800 and frame[23] == 1:
		lacking.discard(where[2])
'
}

@test "who looks at a TAP sees what it receives and what it sends, and it opens when he has gone" {
	local looking
	joined_fast
	sends "$red" 10.9.0.2
	looker &
	looking=$!
	soon is closed
	sends "$red" 10.9.0.2
	wait "$looking"
	soon is open
	sends "$red" 10.9.0.2
	stop TERM
	stats 'balanced(stats) and ports[0]["rx_frames"] >= 3'
}

@test "where others have hooks at a TAP it stays closed, and the hooks are left alone" {
	local hooks="tc qdisc show dev eth0 clsact; tc filter show dev eth0 egress"
	joined_fast
	tell set 0 delay=20ms
	"$VNIC" exec "$blue" -- tc qdisc add dev eth0 clsact
	run tell clear 0
	complains 1 "File exists"
	is closed
	(($(rtt) >= 20)) # it has been cleared of nothing
	[[ $("$VNIC" exec "$blue" -- sh -c "$hooks") == "qdisc clsact ffff: parent ffff:fff1 " ]]
	[[ -z $("$VNIC" exec "$red" -- sh -c "$hooks") ]]
	"$VNIC" exec "$blue" -- tc qdisc delete dev eth0 clsact
	tell clear 0
	is open
	sends "$red" 10.9.0.2
	stop TERM
	stats 'balanced(stats)'
}

@test "that a TAP is a port of a bridge is no reason to close it, who looks there is" {
	local looking
	joined_fast
	"$VNIC" exec "$red" -- sh -ec 'ip link add br0 type bridge
		ip link set br0 up
		ip address delete 10.9.0.1/24 dev eth0
		ip link set eth0 master br0
		ip address add 10.9.0.1/24 dev br0'
	sends "$red" 10.9.0.2 -w 20 # once the bridge's port forwards
	is open
	looker &
	looking=$!
	soon is closed
	sends "$red" 10.9.0.2
	wait "$looking"
	soon is open
	stop TERM
}

@test "where what stands beside a TAP is deleted, frames go through the relay and a line says so" {
	joined_fast
	"$VNIC" exec "$red" -- sh -ec 'ip link delete "$(cd /sys/class/net && echo fast*)"'
	soon is lost
	sends "$red" 10.9.0.2
	[[ $(<"$BATS_TEST_TMPDIR/err") == "vnic: warning: the fast path is lost, frames go through the relay: cannot look up link "* ]]
	tell set 0 delay=20ms
	(($(rtt) >= 20))
	: >"$BATS_TEST_TMPDIR/err"
	stop TERM
	stats 'balanced(stats) and stats["fast_path"] == "lost"'
}

@test "a TAP that is moved to another namespace is the relay's as before, without a fast path" {
	joined_fast
	sends "$red" 10.9.0.2
	"$VNIC" exec --privileged "$red" -- sh -ec '
		unshare --net sh -c "echo \$\$; exec sleep 100" >"$1" & # it outlives this command
		until pid=$(cat "$1") && [ "$pid" ]; do :; done
		ip link set eth0 netns "$pid"
		nsenter -t "$pid" -n sh -ec "ip address add 10.9.0.1/24 dev eth0; ip link set eth0 up"
		until nsenter -t "$pid" -n ping -q -c 1 -W 1 10.9.0.2; do :; done' - "$BATS_TEST_TMPDIR/pid"
	is lost
	sandbox=$(<"$BATS_TEST_TMPDIR/pid") # for teardown
	[[ $(links "$red") == lo ]]
}

@test "killed at any moment the relay leaves nothing" {
	joined_fast
	kill -KILL "$relay"
	wait "$relay" || true
	relay=
	soon "[[ \$(links $red) == lo && \$(links $blue) == lo ]]"
}

@test "a name that is taken is an error, and nothing is left" {
	namespaces
	# The TAP will be the next link; each end of a pair is one.
	"$VNIC" exec "$red" -- sh -ec 'ip link add other type veth peer name fast4'
	run "$VNIC" relay --fast-path "tap:eth0,netns=$red" "tap:eth0,netns=$blue"
	complains 1 "fast4: File exists"
	[[ $(links "$red") == "fast4 lo other" && $(links "$blue") == lo ]]
}

@test "a persistent TAP has none" {
	namespaces
	"$VNIC" exec "$red" -- ip tuntap add eth0 mode tap vnet_hdr
	run "$VNIC" relay --fast-path "tap:eth0,netns=$red" "tap:eth0,netns=$blue"
	complains 2 "eth0: a persistent device has no fast path"
	[[ $(links "$red") == "eth0 lo" ]]
}

@test "it is for two TAPs at which nobody looks" {
	run "$VNIC" relay --fast-path tap:a tap:b tap:c
	complains 2 "--fast-path: it is between two ports of the kind tap"
	run "$VNIC" relay --fast-path tun:a tun:b
	complains 2 "--fast-path: it is between two ports of the kind tap"
	run "$VNIC" relay --fast-path tap:a fd:0
	complains 2 "--fast-path: it is between two ports of the kind tap"
	run "$VNIC" relay --fast-path --capture - tap:a tap:b
	complains 2 "--fast-path: what goes by it cannot be captured"
	run "$VNIC" relay --fast-path --threads 2 tap:a tap:b
	complains 2 "--fast-path: a relay with threads has none"
}
