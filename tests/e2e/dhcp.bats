#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests that configure themselves: Debian's clients, and the kernel's own, in a sandbox with ip=dhcp.

bats_require_minimum_version 1.5.0

setup() {
	# What udhcpc calls with what it has learnt.
	cat >"$BATS_TEST_TMPDIR/learn" <<-'END'
		#!/bin/sh
		case $1 in
		bound | renew)
			ip address replace "$ip/$mask" dev "$interface"
			ip route replace default via "$router"
			echo "$1 $ip/$mask $router $dns $mtu $hostname $lease" >>"$0.said"
			;;
		esac
	END
	chmod +x "$BATS_TEST_TMPDIR/learn"
	export LEARN=$BATS_TEST_TMPDIR/learn
}

# guest OPTION... -- COMMAND...: its NIC is eth0; what it says goes to $BATS_TEST_TMPDIR/errors too
guest() {
	"$VNIC" run --map root "$@"
}

# shellcheck disable=SC2016 # for the sandbox's shell
ask='busybox udhcpc -f -q -n -t 5 -i eth0 -s "$LEARN"'

@test "a NIC with ip=dhcp has no address and no default route" {
	run guest --nic veth,ip=dhcp -- sh -c 'ip -4 address show dev eth0; ip -4 route'
	[[ $status -eq 0 && -z $output ]]
}

@test "udhcpc gets the address, the router and the resolver" {
	guest --nic veth,ip=dhcp -- sh -c "$ask"
	[[ $(cat "$LEARN.said") == "bound 10.0.2.100/24 10.0.2.2 10.0.2.3   86400" ]]
}

@test "udhcpc learns the MTU and the host name" {
	guest --nic veth,ip=dhcp,mtu=9000 --hostname box -- sh -c "$ask -O mtu -O hostname"
	[[ $(cat "$LEARN.said") == "bound 10.0.2.100/24 10.0.2.2 10.0.2.3 9000 box 86400" ]]
}

@test "udhcpc gets the address that was planned" {
	guest --nic veth,ip=dhcp,ip=10.9.0.7/20,gw=10.9.0.1 -- sh -c "$ask"
	[[ $(cat "$LEARN.said") == "bound 10.9.0.7/20 10.9.0.1 "* ]]
}

@test "the kernel gets a prefix, a default route and a resolver from an advertisement" {
	guest --nic veth,ip=dhcp -- sh -c '
		until ip -6 route show default | grep -q "via fe80::1 dev eth0 proto ra"; do :; done
		until ip -6 address show dev eth0 scope global -tentative | grep -q "inet6 fd00::.*/64"; do :; done
		rdisc6 -1 eth0' >"$BATS_TEST_TMPDIR/said"
	grep -q 'Prefix  *: fd00::/64' "$BATS_TEST_TMPDIR/said"
	grep -q 'Recursive DNS server  *: fd00::3' "$BATS_TEST_TMPDIR/said"
}
