#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic relay: VXLAN, between relays and with the kernel's own device.
# shellcheck disable=SC2154 # what ../lib/relay sets

load ../lib/relay

@test "two relays are joined by a VXLAN" {
	local left=$loopback:20001 right=$loopback:20002
	joined vxlan:id=7,remote="$right",local="$left" vxlan:id=7,remote="$left",local="$right"
	sends "$red" 10.9.0.2
	sends "$blue" 10.9.0.1 -s 1400
	carries "$red" "$blue" 10.9.0.2
	stop TERM
}

# vxlan_device NAME ADDRESS: the kernel's, in that namespace, over the link underlay0, with inner address ADDRESS.
vxlan_device() {
	"$VNIC" exec "$1" -- ip link add vxlan0 type vxlan id 7 dstport 4789 dev underlay0 local "$2" remote "$3" 2>"$BATS_TEST_TMPDIR/ip" ||
		skip "the kernel has no vxlan device here: $(<"$BATS_TEST_TMPDIR/ip")"
}

@test "a VXLAN reaches the kernel's own device, by IPv4 and by IPv6" {
	for it in 10.8.0. fd08::; do
		"$VNIC" ns add "$red" && "$VNIC" ns add "$blue" && "$VNIC" ns add "$green"
		local prefix=24
		[[ $it == 10* ]] || prefix=64
		# the underlay: red has the relay's VXLAN, blue the kernel's
		start veth:underlay0,netns="$red",ip="${it}1/$prefix" veth:underlay0,netns="$blue",ip="${it}2/$prefix"
		sandbox=$relay
		exec 7<&5
		vxlan_device "$blue" "${it}2" "${it}1"
		"$VNIC" exec "$blue" -- ip addr add 10.9.0.2/24 dev vxlan0
		"$VNIC" exec "$blue" -- ip link set vxlan0 up
		start veth:eth0,netns="$green",ip=10.9.0.1/24,mtu=1430 vxlan:id=7,remote="${it}2",netns="$red" --json
		sends "$green" 10.9.0.2 -c 3 -i 0.01
		sends "$blue" 10.9.0.1 -s 1300
		stop TERM
		stats 'ports[1]["rx_dropped"]["tunnel"] == ports[1]["rx_dropped"]["stranger"] == 0'
		kill -TERM "$sandbox" && wait "$sandbox"
		"$VNIC" ns del "$red" && "$VNIC" ns del "$blue" && "$VNIC" ns del "$green"
	done
}

@test "TCP of the kernel's own device arrives whole, whose checksums and segmentation a veth leaves undone" {
	((EUID == 0)) || skip "a link between named namespaces needs root"
	for it in 10.8.0. fd08::; do
		"$VNIC" ns add "$red" "$blue" "$green"
		ip link add underlay0 netns "$red" type veth peer name underlay0 netns "$blue"
		local prefix=24 nodad=()
		[[ $it == 10* ]] || { prefix=64 && nodad=(nodad); }
		ip -n "$red" addr add "${it}1/$prefix" dev underlay0 "${nodad[@]}"
		ip -n "$blue" addr add "${it}2/$prefix" dev underlay0 "${nodad[@]}"
		ip -n "$red" link set underlay0 up
		ip -n "$blue" link set underlay0 up
		vxlan_device "$blue" "${it}2" "${it}1"
		ip -n "$blue" addr add 10.9.0.2/24 dev vxlan0
		ip -n "$blue" link set vxlan0 up
		start veth:eth0,netns="$green",ip=10.9.0.1/24,mtu=1430 vxlan:id=7,remote="${it}2",netns="$red" --json
		carries "$blue" "$green" 10.9.0.1
		carries "$green" "$blue" 10.9.0.2
		stop TERM
		stats 'balanced(stats) and ports[1]["rx_bytes"] / ports[1]["rx_frames"] > 1500' # super-frames were among them
		"$VNIC" ns del "$red" "$blue" "$green"
	done
}
