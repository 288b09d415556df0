#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests that configure themselves: Debian's clients, and the kernel's own, in a sandbox with ip=dhcp.  as-user: --tun
#
# Each test has a host of its own, a network namespace with a loopback: so the sandbox's networks are the usual ones.

bats_require_minimum_version 1.5.0

# The script on standard input, run on such a host, with $vnic, $dir and the functions below.
on_a_host() {
	local map=()
	((EUID == 0)) || map=(--user --map-root-user)
	unshare "${map[@]}" --net --mount bash -euo pipefail -c "$(declare -f is guest resolver); $prelude; $(cat)"
}

is() {
	[[ $1 == "$2" ]] || { printf 'wanted: %s\ngot:    %s\n' "$1" "$2" && return 1; }
}

# guest OPTION... -- SCRIPT: the sandbox's shell; udhcpc and dhclient ask, and note in $dir/learnt what they are told
# shellcheck disable=SC2154 # it has them
guest() {
	local options=() script
	while [[ $1 != -- ]]; do options+=("$1") && shift; done
	script=$2
	: >"$dir/learnt"
	dir=$dir "$vnic" run --map root "${options[@]}" -- bash -euc "
		udhcpc() { busybox udhcpc -f -q -n -t 5 -i eth0 -s \$dir/udhcpc \"\$@\" 2>>\$dir/log; }
		dhclient6() { dhclient -6 -1 -sf \$dir/dhclient -lf \$dir/leases -pf \$dir/pid \"\$@\" eth0 2>>\$dir/log; }
		route6() { until ip -6 route show default | grep -q 'via fe80::1 dev eth0 proto ra'; do :; done; }
		$script"
}

# resolver ADDRESS ANSWER
resolver() {
	exec {ready}< <(exec python3 "$VNIC_TOP/tests/lib/resolver.py" "$@")
	background+=($!)
	read -r _ <&"$ready"
}

prelude='
	vnic=$VNIC dir=$BATS_TEST_TMPDIR background=()
	trap "[[ -z \${background[*]-} ]] || kill \${background[*]}" EXIT
	ip link set lo up
	touch "$dir/resolv.conf" "$dir/leases"
	mount --bind "$dir/resolv.conf" "$(readlink -f /etc/resolv.conf)"
	cat >"$dir/udhcpc" <<-"SCRIPT"
		#!/bin/sh
		[ "$1" = bound ] || exit 0
		ip address replace "$ip/$mask" dev "$interface"
		ip route replace default via "$router"
		echo "$ip/$mask $router $dns $lease ${mtu:--} ${hostname:--} ${domain:--} ${search:--}" >>"$dir/learnt"
	SCRIPT
	cat >"$dir/dhclient" <<-"SCRIPT"
		#!/bin/sh
		case $reason in
		BOUND6) ip -6 address add "$new_ip6_address/$new_ip6_prefixlen" dev "$interface" nodad ;;
		RENEW6) ;; # what an information-request brings
		*) exit 0 ;;
		esac
		echo "$reason ${new_ip6_address:--} $new_dhcp6_name_servers" >>"${0%/*}/learnt"
	SCRIPT
	chmod +x "$dir/udhcpc" "$dir/dhclient"'

@test "a NIC with ip=dhcp has no address and no default route" {
	on_a_host <<-'END'
		is "" "$(guest --nic veth,ip=dhcp -- 'ip -4 address show dev eth0; ip -4 route; ip -6 route show default')"
	END
}

@test "udhcpc gets the address, the router and the resolver, and sees that nobody else has the address" {
	on_a_host <<-'END'
		guest --nic veth,ip=dhcp -- 'udhcpc -a'
		is "10.0.2.100/24 10.0.2.2 10.0.2.3 86400 - - - -" "$(cat "$dir/learnt")"
	END
}

@test "udhcpc learns the MTU, the host name and the domains" {
	on_a_host <<-'END'
		echo "search example.org lan" >"$dir/resolv.conf"
		guest --nic veth,ip=dhcp,mtu=9000 --hostname box -- 'udhcpc -O mtu -O hostname -O search'
		is "10.0.2.100/24 10.0.2.2 10.0.2.3 86400 9000 box example.org example.org lan" "$(cat "$dir/learnt")"
	END
}

@test "udhcpc gets the address that was planned" {
	on_a_host <<-'END'
		guest --nic veth,ip=dhcp,ip=10.9.0.7/20,gw=10.9.0.1 -- udhcpc
		is "10.9.0.7/20 10.9.0.1 10.9.0.3 86400 - - - -" "$(cat "$dir/learnt")"
	END
}

@test "udhcpc gets the address on a TAP too" {
	{ : <>/dev/net/tun; } 2>/dev/null || skip "/dev/net/tun cannot be opened"
	on_a_host <<-'END'
		guest --nic tap,ip=dhcp -- udhcpc
		is "10.0.2.100/24 10.0.2.2 10.0.2.3 86400 - - - -" "$(cat "$dir/learnt")"
	END
}

@test "two NICs get an address each" {
	on_a_host <<-'END'
		guest --nic veth,ip=dhcp --nic veth,ip=dhcp,name=lan0 -- 'udhcpc; udhcpc -i lan0'
		is "10.0.2.100/24 10.0.2.2 10.0.2.3 86400 - - - -
		10.0.3.100/24 10.0.3.2 10.0.2.3 86400 - - - -" "$(cat "$dir/learnt")"
	END
}

@test "udhcpc that wants another address is refused, and then takes ours" {
	on_a_host <<-'END'
		guest --stats --json --nic veth,ip=dhcp -- 'udhcpc -r 10.0.2.77' 2>"$dir/stats"
		[[ $(cat "$dir/learnt") == 10.0.2.100/24* ]]
		grep -q '"leases":{"given":1,' "$dir/stats"
	END
}

@test "a guest that asked by DHCP resolves a name, fetches from the host, and is reached by a published port" {
	on_a_host <<-'END'
		echo "nameserver 127.0.0.53" >"$dir/resolv.conf"
		resolver 127.0.0.53 10.0.2.2
		head -c 1000000 /dev/urandom >"$dir/file"
		exec {ready}< <(exec python3 -u -m http.server --bind 127.0.0.1 --directory "$dir" 8000 2>/dev/null)
		background+=($!)
		read -r _ <&"$ready"
		mkfifo "$dir/end"
		guest --nic veth,ip=dhcp --allow host --publish 8080:80 -- '
			udhcpc
			busybox wget -q -O "$dir/fetched" http://name.test:8000/file
			for i in 1 2; do busybox nc -l -p 80 -e /bin/echo hello; done &
			read -r _ <"$dir/end"' &
		until [[ $(timeout 5 busybox nc 127.0.0.1 8080 </dev/null) == hello ]]; do kill -0 $!; done
		# The guest has no IPv6: who comes by it gets there all the same.
		until [[ $(timeout 5 busybox nc ::1 8080 </dev/null) == hello ]]; do kill -0 $!; done
		echo >"$dir/end"
		wait $!
		cmp "$dir/file" "$dir/fetched"
	END
}

@test "the kernel makes an address and a default route of an advertisement, and reaches the host with them" {
	on_a_host <<-'END'
		echo "search example.org" >"$dir/resolv.conf"
		exec {ready}< <(exec python3 -u -m http.server --bind ::1 --directory "$dir" 8000 2>/dev/null)
		background+=($!)
		read -r _ <&"$ready"
		guest --nic veth,ip=dhcp,mtu=1400 --allow host -- '
			route6
			until ip -6 address show dev eth0 scope global -tentative | grep -q "inet6 fd00::.*/64"; do :; done
			! ip -6 address | grep -q fd00::100 || exit 1
			ip -6 route show dev eth0 | grep -q "mtu 1400" || [ "$(cat /proc/sys/net/ipv6/conf/eth0/mtu)" = 1400 ]
			busybox wget -q -O "$dir/fetched" "http://[fd00::2]:8000/learnt"
			rdisc6 -1 eth0' >"$dir/said"
		[[ -e $dir/fetched ]]
		grep -q 'Prefix  *: fd00::/64' "$dir/said"
		grep -q 'Recursive DNS server  *: fd00::3' "$dir/said"
		grep -q 'DNS search list  *: example.org' "$dir/said"
	END
}

@test "a NIC whose address is set hears no advertisement" {
	on_a_host <<-'END'
		guest --nic veth,ip=dhcp --nic veth,name=set0 -- '
			route6
			! rdisc6 -1 -r 2 -w 500 set0 >/dev/null 2>&1 || exit 1
			! ip -6 route show default dev set0 | grep "proto ra"'
	END
}

@test "dhclient gets the address by DHCPv6, gives it back, and asks for settings alone" {
	on_a_host <<-'END'
		guest --stats --json --nic veth,ip=dhcp -- '
			route6
			dhclient6
			ip -6 address show dev eth0 | grep -q "inet6 fd00::100/128"
			dhclient6 -r
			dhclient6 -S
			dhclient6 -x' 2>"$dir/stats"
		is "BOUND6 fd00::100 fd00::3
		RENEW6 - fd00::3" "$(cat "$dir/learnt")"
		grep -q '"leases":{"given":1,"refused":0,"returned":1,"told":1,' "$dir/stats"
	END
}

@test "--dns none leaves resolvers out" {
	on_a_host <<-'END'
		guest --nic veth,ip=dhcp --dns none -- 'udhcpc; route6; rdisc6 -1 eth0' >"$dir/said"
		is "10.0.2.100/24 10.0.2.2  86400 - - - -" "$(cat "$dir/learnt")"
		! grep -q DNS "$dir/said"
	END
}

@test "without IPv6 there is DHCP all the same" {
	on_a_host <<-'END'
		guest --nic veth,ip=dhcp,ip=10.9.0.7/24 -- '
			udhcpc
			! rdisc6 -1 -r 1 -w 500 eth0 >/dev/null 2>&1'
		[[ $(cat "$dir/learnt") == 10.9.0.7/24* ]]
	END
}
