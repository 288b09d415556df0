#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic relay: filters, delays, rates, losses.
# shellcheck disable=SC2154 # what ../lib/relay sets

load ../lib/relay

@test "a filter passes what it says and counts the rest" {
	"$VNIC" ns add "$red" && "$VNIC" ns add "$blue"
	start veth:eth0,netns="$red",ip=10.9.0.1/24,"in.filter=arp or icmp" veth:eth0,netns="$blue",ip=10.9.0.2/24 --json
	"$VNIC" exec "$red" -- bash -c 'echo x >/dev/udp/10.9.0.2/9'
	sends "$red" 10.9.0.2 # behind it
	stop TERM
	stats 'ports[0]["rx_dropped"]["filtered"] >= 1 and ports[1]["rx_dropped"]["filtered"] == 0'
	run "$VNIC" relay "stream:@$red,filter=arp and and" "stream:@$blue"
	complains 1 "arp and and: "
}

@test "a delay is as long as asked for, and a rate as low" {
	"$VNIC" ns add "$red" && "$VNIC" ns add "$blue"
	start veth:eth0,netns="$red",ip=10.9.0.1/24,delay=20ms veth:eth0,netns="$blue",ip=10.9.0.2/24,in.delay=10ms,out.rate=1mbit
	sends "$red" 10.9.0.2
	rtt=$("$VNIC" exec "$red" -- ping -n -q -c 20 -i 0.05 -s 1208 10.9.0.2 | sed -n 's/^rtt [^=]*= \([0-9]*\).*/\1/p')
	((rtt >= 40 && rtt < 60)) # 20 and 10 for the delays, 10 for 1,250 bytes at 1 Mbit/s
	stop TERM
}

@test "loss, duplicates and corruption are counted, and TCP lives through them" {
	"$VNIC" ns add "$red" && "$VNIC" ns add "$blue"
	start veth:eth0,netns="$red",ip=10.9.0.1/24,loss=1%,seed=7 --json \
		veth:eth0,netns="$blue",ip=10.9.0.2/24,loss=1%,duplicate=1%,corrupt=1%,reorder=1%,delay=1ms,seed=8
	carries "$red" "$blue" 10.9.0.2
	stop TERM
	stats 'ports[1]["tx_dropped"]["lost"] > 50 and ports[0]["tx_dropped"]["lost"] > 0'
	stats 'balanced(stats)'
	stats 'stats["made"]["duplicate"] > 50 and stats["made"]["segment"] > 1000'
}
