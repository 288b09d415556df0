#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# relay_tcp.sh: one TCP connection between two network namespaces at MTU 1500, joined by
#   relay-tap    vnic relay, a TAP in each namespace
#   relay-veth   vnic relay, a veth pair to each namespace and packet sockets
#   bridge       the kernel's bridge and two veth pairs
#   vde          vde_switch with vde_plug2tap on each side
# All take turns, ROUNDS times, SECONDS each; medians, and ratios to relay-tap, as a table and as JSON in
# build/bench/relay_tcp.json.  TCP is cubic on both sides (iperf3 -C): this machine's default may be another, and BBR
# distorts what is measured across virtual links.  Needs root; happens in namespaces of its own.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
vnic=${VNIC:-$top/build/release/vnic} rounds=${ROUNDS:-5} seconds=${SECONDS_EACH:-3}
out=${OUT:-$top/build/bench} sides=${SIDES:-relay-tap relay-veth bridge vde}

if [[ ${1:-} != inside ]]; then
	mkdir -p "$out"
	VNIC=$vnic OUT=$out exec unshare --net --mount --pid --fork --mount-proc "$0" inside
fi

# Names of namespaces are ours alone, and everything ends with this pid namespace.
mount -t tmpfs run /run
mount -t sysfs sys /sys
work=$(mktemp -d -p /run)
in_ns() { ip netns exec "$@"; }
pids=()

finish() {
	local pid
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	pids=()
	ip netns list | while read -r name _; do ip netns del "$name"; done
	ip link del br0 2>/dev/null || true
	rm -rf "${work:?}"/*
}

up() { # NAMESPACE ADDRESS
	ip -n "$1" link set lo up
	ip -n "$1" address replace "$2/24" dev eth0
	ip -n "$1" link set eth0 up mtu 1500
}

relay() { # KIND
	exec 5< <(exec "$vnic" relay --ready-fd 3 "$1:eth0,netns=red" "$1:eth0,netns=blue" 3>&1 >"$work/relay" 2>&1)
	pids+=($!)
	read -r -t 10 -u 5
}

bridge() {
	local side
	ip link add br0 type bridge
	ip link set br0 up
	for side in red blue; do
		ip link add "$side" type veth peer name eth0 netns "$side"
		ip link set "$side" up master br0
	done
}

has_eth0() { ip -n "$1" link show eth0 &>/dev/null; }

vde() {
	local side
	vde_switch -s "$work/ctl" -p "$work/pid" -d
	until [[ -s $work/pid ]]; do :; done
	pids+=("$(<"$work/pid")")
	for side in red blue; do
		in_ns "$side" vde_plug2tap -s "$work/ctl" eth0 &
		pids+=($!)
		until has_eth0 "$side"; do :; done
	done
}

# Gbit/s and retransmissions of one connection from red to blue.
measure() {
	local server
	in_ns red ping -q -c 1 -w 10 10.9.0.2 >/dev/null
	coproc SERVER { in_ns blue iperf3 -s -1 --forceflush; }
	server=$SERVER_PID
	until read -r line <&"${SERVER[0]}" && [[ $line == *listening* ]]; do :; done
	in_ns red iperf3 -c 10.9.0.2 -C cubic -t "$seconds" -J >"$work/json"
	wait "$server" || true
	python3 -c 'import json, sys
end = json.load(open(sys.argv[1]))["end"]
print(end["sum_received"]["bits_per_second"] / 1e9, end["sum_sent"]["retransmits"])' "$work/json"
}

run_side() {
	ip netns add red
	ip netns add blue
	case $1 in
	relay-tap) relay tap ;;
	relay-veth) relay veth ;;
	*) "$1" ;;
	esac
	up red 10.9.0.1
	up blue 10.9.0.2
	measure
	finish
}

trap finish EXIT
results=$(mktemp)
for ((round = 1; round <= rounds; round++)); do
	for side in $sides; do
		run_side "$side" | sed "s/^/$side /" | tee -a "$results" >&2
	done
done
python3 - "$results" "$out/relay_tcp.json" "$seconds" <<'PYTHON'
import json, os, statistics, sys

sides = {}
for line in open(sys.argv[1]):
    side, gbits, retransmits = line.split()
    sides.setdefault(side, []).append((float(gbits), int(retransmits)))
report = {"bench": "relay_tcp", "mtu": 1500, "congestion": "cubic", "seconds": float(sys.argv[3]),
          "cpus": os.cpu_count(), "kernel": os.uname().release, "sides": {}}
own = statistics.median(g for g, _ in sides["relay-tap"]) if "relay-tap" in sides else None
print(f"{'':12} {'Gbit/s':>8} {'min':>7} {'max':>7} {'retrans':>8}  relay-tap is")
for side, runs in sides.items():
    speeds = [g for g, _ in runs]
    median = statistics.median(speeds)
    ratio = own / median if own else None
    report["sides"][side] = {"gbits": speeds, "median": median, "ratio_of_relay_tap": ratio,
                             "retransmits": [r for _, r in runs]}
    print(f"{side:12} {median:8.2f} {min(speeds):7.2f} {max(speeds):7.2f} "
          f"{statistics.median(r for _, r in runs):8.0f}  " + (f"{ratio:.2f} times" if ratio else ""))
json.dump(report, open(sys.argv[2], "w"), indent=1)
PYTHON
