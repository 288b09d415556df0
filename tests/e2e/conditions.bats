#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Hosts on which something that vnic would like is forbidden, missing or full: what still works does, the rest is one line.

bats_require_minimum_version 1.5.0

setup() {
	export forbid=$VNIC_TOP/tests/lib/forbid
	# A sanitizer's search for leaks wants /proc, processes and memory: it is left to the tests that have them.
	export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
}

# complains STATUS TEXT...: the last `run` failed with this status and one line that has these texts, and a remedy.
complains() {
	[[ $status -eq $1 && ${lines[0]} == "vnic: cannot "* && ${lines[1]-} == "  try: "* && ${#lines[@]} -eq 2 ]] ||
		{ echo "status $status: $output" && return 1; }
	for text in "${@:2}"; do [[ $output == *"$text"* ]] || { echo "no '$text' in: $output" && return 1; }; done
}

# frames FILE COUNT: of 1000 bytes each, as pcap.
frames() {
	python3 -c '
import struct, sys
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
    frame = bytes.fromhex("02000000000202000000000188b5") + bytes(986)
    for i in range(int(sys.argv[2])):
        file.write(struct.pack("<IIII", 1700000000, i, len(frame), len(frame)) + frame)' "$@"
}

# in_small COMMAND: a shell's, in a mount namespace of its own, with a file system of 64 KiB at $small.
in_small() {
	mkdir -p "$BATS_TEST_TMPDIR/small"
	small=$BATS_TEST_TMPDIR/small run unshare --user --map-root-user --mount bash -c '
		mount -t tmpfs -o size=64k small "$small" || exit 99
		'"$1"
	[[ $status -ne 99 ]] || skip "an ordinary user may mount nothing here"
}

@test "where user namespaces are forbidden run, vm and a user's ns say so, with the remedy" {
	run "$forbid" user-namespaces "$VNIC" run -- true
	complains 125 "Operation not permitted (wanted: user" "user namespaces are forbidden here"
	if { : <>/dev/net/tun; } 2>/dev/null; then
		run "$forbid" user-namespaces "$VNIC" vm -- true "{fd}"
		complains 125 "Operation not permitted (wanted: user" "user namespaces are forbidden here"
	fi
	((EUID == 0)) && return
	run "$forbid" user-namespaces "$VNIC" ns add "conditions-$$"
	complains 3 "Operation not permitted (wanted: user,net)" "user namespaces are forbidden here"
}

@test "where user namespaces are forbidden what needs none works" {
	((EUID != 0)) || { run "$forbid" user-namespaces "$VNIC" run --nic none -- echo works && [[ $output == works ]]; }
	for command in "list" "ns list" "tap list"; do
		# shellcheck disable=SC2086 # words
		run "$forbid" user-namespaces "$VNIC" $command
		[[ $status -eq 0 && $output != *vnic:* ]] || { echo "$command: $output" && return 1; }
	done
	run "$forbid" user-namespaces "$VNIC" doctor
	[[ $status -eq 1 && $output == *"missing  user namespaces: "*"forbidden"* && $output == *"'vnic run' does not work here"* ]]
}

@test "without nf_tables a NIC on the router is refused with the remedy, and other sandboxes work" {
	run "$forbid" netfilter "$VNIC" run -- true
	complains 125 "cannot set up nf_tables" "modprobe nf_tables"
	run "$forbid" netfilter "$VNIC" run --nic none -- echo works
	[[ $status -eq 0 && $output == works ]]
	run "$forbid" netfilter "$VNIC" doctor
	[[ $status -eq 1 && $output == *"missing  nf_tables, tproxy: "* ]]
}

@test "a kernel without IPv6 costs IPv6, and it is said in one line" {
	run "$forbid" ipv6 "$VNIC" run -- sh -c 'ip -o address show dev eth0 scope global; ping -q -c1 -W2 10.0.2.2'
	[[ $status -eq 0 && $output == *"vnic: warning: no IPv6: the kernel has none"* ]] || { echo "$output" && return 1; }
	[[ $output == *" 10.0.2.100/24 "* && $output != *fd00* && $output == *" 1 received"* ]] || { echo "$output" && return 1; }
	[[ $(grep -c "^vnic: " <<<"$output") -eq 1 ]]
}

@test "a host that has IPv6 switched off has sandboxes with both families inside" {
	run unshare --user --map-root-user --net bash -c '
		echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 && echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 &&
		ip link set lo up && exec "$VNIC" run --allow host -- sh -c "ip -o address show dev eth0; ping -q -c1 -W2 10.0.2.2"'
	[[ $status -eq 0 && $output == *" 10.0.2.100/24 "* && $output == *" 1 received"* ]] || { echo "$output" && return 1; }
	[[ $output == *" fd00::100/64 "* || $output == *"no IPv6"* ]] || { echo "$output" && return 1; }
}

@test "a relay's capture on a full disk ends with a line, and the relay goes on" {
	frames "$BATS_TEST_TMPDIR/frames" 400
	in_small '"$VNIC" relay --json --capture "$small/c" pcap:"$BATS_TEST_TMPDIR/frames",speed=max pcap:/dev/null,write'
	[[ $status -eq 0 && $output == *"No space left on device"* && $output == *'"tx_frames": 400'* ]] ||
		{ echo "$status: $output" && return 1; }
	[[ $(grep -c "^vnic: " <<<"$output") -eq 1 ]]
}

@test "a relay that writes a file to a full disk ends with status 1 and a line" {
	frames "$BATS_TEST_TMPDIR/frames" 400
	in_small '"$VNIC" relay pcap:"$BATS_TEST_TMPDIR/frames",speed=max pcap:"$small/copy",write'
	[[ $status -eq 1 && $output == *"No space left on device"* && $output == *copy* ]] || { echo "$status: $output" && return 1; }
	[[ $(grep -c "^vnic: " <<<"$output") -eq 1 ]]
}

@test "a relay's output to a full device is an error" {
	frames "$BATS_TEST_TMPDIR/frames" 4
	run bash -c '"$VNIC" relay --json pcap:"$0",speed=max pcap:/dev/null,write >/dev/full' "$BATS_TEST_TMPDIR/frames"
	[[ $status -eq 1 && $output == "vnic: cannot write output: No space left on device" ]] || { echo "$output" && return 1; }
}

@test "a read-only /proc/sys costs IPv6 of run, and nothing of namespaces, exec and the relay" {
	frames "$BATS_TEST_TMPDIR/frames" 4
	run unshare --user --map-root-user --mount --net bash -ec '
		ip link set lo up
		mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys
		export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR
		"$VNIC" run -- ping -q -c1 -W2 10.0.2.2
		"$VNIC" ns add inner
		"$VNIC" exec inner -- true
		"$VNIC" relay pcap:"$BATS_TEST_TMPDIR/frames",speed=max veth:v0,netns=inner,ip=10.9.0.1/24
		"$VNIC" ns del inner'
	[[ $status -eq 0 && $output == *"vnic: warning: no IPv6: it needs a /proc/sys that can be written"* && $output == *" 1 received"* ]] ||
		{ echo "$status: $output" && return 1; }
}
