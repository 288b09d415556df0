#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# as-user: --tun --subids
# What a sandbox's network looks like from inside, for every kind of NIC and every key.

bats_require_minimum_version 1.5.0

# is WANTED GOT
is() {
	[[ $1 == "$2" ]] || { printf 'wanted: %s\ngot:    %s\n' "$1" "$2" && return 1; }
}

# inside NIC... -- COMMAND: in a sandbox with these NICs, on a host without an address
inside() {
	local nics=()
	while [[ $1 != -- ]]; do
		nics+=(--nic "$1")
		shift
	done
	"$VNIC_TOP/tests/lib/alone" "$VNIC" run "${nics[@]}" "$@"
}

# addresses NIC...: NAME ADDRESS... of every link but lo, without link-local ones
addresses() {
	inside "$@" -- ip -json address show | python3 -c '
import json, sys
for link in json.load(sys.stdin):
    if link["ifname"] != "lo":
        print(link["ifname"], *("{local}/{prefixlen}".format(**a) for a in link["addr_info"] if a["scope"] == "global"))
'
}

# hosted COMMAND: in a network namespace that stands for the host
hosted() {
	unshare --net bash -euc "ip link set lo up; $1"
}

@test "one veth and the default plan where nothing is said" {
	is "eth0 10.0.2.100/24 fd00::100/64" "$(addresses)"
	run inside -- ip -4 route show default
	[[ $output == "default via 10.0.2.2 dev eth0 "* ]]
	run inside -- ip -6 route show default
	[[ $output == "default via fd00::2 dev eth0 "* ]]
	is "lo:up" "$(inside -- sh -c 'ip -br link show lo | grep -q UP && echo lo:up')"
}

@test "the command's own addresses work from its start, 50 times" {
	for ((i = 0; i < 50; i++)); do
		inside veth,ip=10.9.0.7/24,ip=fd09::7/64 -- python3 -c '
import socket
for family, address in (socket.AF_INET, "10.9.0.7"), (socket.AF_INET6, "fd09::7"):
    server = socket.create_server((address, 0), family=family)
    client = socket.create_connection(server.getsockname()[:2], timeout=0.5)
'
	done
}

@test "the first packet gets an answer, 50 times" {
	for ((i = 0; i < 50; i++)); do
		inside -- sh -c 'ping -q -c1 -W1 10.0.2.2 && ping -q -c1 -W1 fd00::2' >"$BATS_TEST_TMPDIR/out" || {
			echo "sandbox $i" && cat "$BATS_TEST_TMPDIR/out" && return 1
		}
	done
}

@test "the first packet gets an answer through taps and tuns" {
	[[ -w /dev/net/tun ]] || skip "/dev/net/tun cannot be opened here"
	for kind in tap tun tap,queues=2; do
		for ((i = 0; i < 10; i++)); do
			inside "$kind" -- sh -c 'ping -q -c1 -W1 10.0.2.2 && ping -q -c1 -W1 fd00::2' >"$BATS_TEST_TMPDIR/out" || {
				echo "$kind, sandbox $i" && cat "$BATS_TEST_TMPDIR/out" && return 1
			}
		done
	done
}

@test "addresses, gateway, MAC, MTU and name are as asked" {
	is "lan0 10.9.0.7/24 fd09::7/64" "$(addresses veth,name=lan0,ip=10.9.0.7/24,ip=fd09::7/64)"
	run inside veth,ip=10.9.0.7/24,gw=10.9.0.9 -- sh -c 'ip -4 route show default; ping -q -c1 -W1 10.9.0.9 >/dev/null && echo pong'
	[[ $output == $'default via 10.9.0.9 dev eth0 '*$'\npong' ]]
	is "" "$(inside veth,ip=10.9.0.7/24,gw=none -- ip -4 route show default)"
	is "02:00:00:00:00:07 9000" "$(inside veth,mac=02:00:00:00:00:07,mtu=9000 -- sh -c 'echo $(cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu)')"
}

# longest NIC [OPTION...]: the longest frame of TCP that it gives to the kernel's other half
longest() {
	"$VNIC" run --nic "$1" "${@:2}" -- ip -d link show eth0 | grep -o 'gso_max_size [0-9]*'
}

@test "frames of TCP to the gateway are longer than 64 KiB, but where they are captured" {
	is "gso_max_size 65536" "$(longest veth,to=none)"
	is "gso_max_size 65536" "$(longest veth --capture "$BATS_TEST_TMPDIR/frames.pcapng")"
	is "gso_max_size 196608" "$(longest veth)"
}

@test "a TAP or a TUN is as asked" {
	[[ -w /dev/net/tun ]] || skip "/dev/net/tun cannot be opened here"
	is "lan0 10.9.0.7/24" "$(addresses tap,name=lan0,ip=10.9.0.7/24)"
	is "eth0 10.9.0.7/24" "$(addresses tun,ip=10.9.0.7/24)"
	is "02:00:00:00:00:07 1400" "$(inside tap,mac=02:00:00:00:00:07,mtu=1400 -- sh -c 'echo $(cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu)')"
	is 2 "$(inside tap,queues=2 -- sh -c 'ls -d /sys/class/net/eth0/queues/rx-* | wc -l')"
	is "tun type tap persist on" "$(inside tap,to=none -- sh -c 'ip -d link show eth0 | grep -o "tun type tap.*persist on" | sed "s/ pi.* persist/ persist/"')"
}

@test "several NICs have names by position, and the first has the default route" {
	run addresses veth veth,ip=10.9.0.7/24 veth,name=third,ip=10.9.1.7/24
	is $'eth0 10.0.2.100/24 fd00::100/64\neth1 10.9.0.7/24\nthird 10.9.1.7/24' "$output"
	run inside veth veth,ip=10.9.0.7/24 -- ip -4 route get 8.8.8.8
	[[ $output == "8.8.8.8 via 10.0.2.2 dev eth0 "* ]]
	run inside veth veth,ip=10.9.0.7/24 -- sh -c 'ping -q -c1 -W1 10.9.0.1 || ping -q -c1 -W1 10.9.0.2'
	is 0 "$status"
}

@test "an MTU that is too small for IPv6 leaves IPv4" {
	is "eth0 10.0.2.100/24" "$(addresses veth,mtu=576)"
	inside veth,mtu=68 -- ping -q -c1 -W1 10.0.2.2
	inside veth,mtu=576,ip=dhcp -- true
	run inside veth,mtu=576,ip=fd09::7/64 -- true
	is "2:vnic: cannot understand fd09::7/64: IPv6 needs an MTU of 1280 at least, and mtu= says 576" "$status:$output"
}

@test "sixteen NICs work, seventeen are refused" {
	nics=()
	for ((i = 0; i < 16; i++)); do nics+=("veth,ip=10.9.$i.7/24"); done
	is 16 "$(addresses "${nics[@]}" | wc -l)"
	run inside "${nics[@]}" veth,ip=10.9.16.7/24 -- true
	is "2:vnic: cannot understand --nic: a sandbox takes 16 NICs at most" "$status:$output"
}

@test "no NIC, lo is up" {
	is "lo" "$(inside none -- ls /sys/class/net)"
	inside none -- ping -q -c1 -W1 127.0.0.1
}

@test "/sys/class/net shows the sandbox's links, /sys/fs/cgroup is still there" {
	is "eth0 lo" "$(inside -- sh -c 'echo $(ls /sys/class/net)')"
	is "$(ls /sys/fs/cgroup)" "$(inside -- ls /sys/fs/cgroup)"
}

@test "/proc shows the sandbox's processes" {
	is $'sh\nvnic-init' "$(inside -- sh -c 'cat /proc/[0-9]*/comm; true' | sort)"
}

@test "the host has no more links than before while a sandbox runs, and after it" {
	before=$(ls /sys/class/net)
	exec {out}< <(exec "$VNIC" run -- sh -c 'echo up; exec sleep 1000')
	read -r _ <&"$out"
	is "$before" "$(ls /sys/class/net)"
	kill $! && cat <&"$out"
	is "$before" "$(ls /sys/class/net)"
}

@test "every file of the sandbox's /proc/sys that it needs is set" {
	is "0" "$(inside -- cat /proc/sys/net/ipv4/ip_unprivileged_port_start)"
	read -r low high < <(inside -- cat /proc/sys/net/ipv4/ping_group_range)
	((low == 0 && high >= 0))
}

@test "a bridge of the host carries a sandbox's veth" {
	((EUID == 0)) || skip "a NIC on a bridge of the host needs root"
	for kind in veth tap; do
		[[ $kind == veth || -w /dev/net/tun ]] || continue
		hosted 'ip link add br0 type bridge; ip addr add 10.9.0.1/24 dev br0; ip link set br0 up
			"$VNIC" run --nic '$kind',to=bridge:br0,ip=10.9.0.7/24,gw=10.9.0.1 -- ping -q -c1 -W1 10.9.0.1
			# The kernel takes the links of a namespace away in its own time.
			for ((i = 0; i < 1000; i++)); do
				[[ $(ip -o link show master br0) ]] || exit 0
			done; exit 1'
	done
}

@test "two sandboxes on a bridge reach each other" {
	((EUID == 0)) || skip "a NIC on a bridge of the host needs root"
	hosted 'ip link add br0 type bridge; ip link set br0 up
		exec {ready}< <(exec "$VNIC" run --ready-fd 1 --nic veth,to=bridge:br0,ip=10.9.0.7/24 -- sleep 1000)
		read -r _ <&$ready
		"$VNIC" run --nic veth,to=bridge:br0,ip=10.9.0.8/24 -- ping -q -c1 -W1 10.9.0.7
		kill $!'
}

@test "macvlan and macvtap stand on a link of the host" {
	((EUID == 0)) || skip "a macvlan NIC needs root"
	hosted 'ip link add lower type ifb; ip link set lower up
		"$VNIC" run --nic macvlan,parent=lower,ip=10.9.0.7/24,mac=02:00:00:00:00:07 -- sh -ec "
			ip -d link show eth0 | grep -q macvlan
			ip -br addr show eth0 | grep -q 10.9.0.7/24
			grep -q 02:00:00:00:00:07 /sys/class/net/eth0/address"
		"$VNIC" run --nic macvtap,parent=lower,name=mt0 -- sh -ec "ip -d link show mt0 | grep -q macvtap"'
}

@test "host names and namespaces are as asked" {
	is boxed "$("$VNIC" run --hostname boxed -- hostname)"
	for kind in user mnt pid net ipc uts cgroup time; do
		[[ $kind != user || $EUID -eq 0 ]] || continue # rootless it is made anyway
		[[ $(readlink "/proc/self/ns/$kind") != "$("$VNIC" run --unshare "$kind" -- readlink "/proc/self/ns/$kind")" ]] ||
			{ echo "$kind is not new" && return 1; }
	done
	for kind in mnt pid; do
		is "$(readlink "/proc/self/ns/$kind")" "$("$VNIC" run --share "$kind" -- readlink "/proc/self/ns/$kind" 2>/dev/null)"
	done
	is "$(readlink /proc/self/ns/net)" "$("$VNIC" run --share net -- readlink /proc/self/ns/net)"
}

@test "--map says who the caller is inside" {
	for wanted in "root 0 0" "self $(id -u) $(id -g)"; do
		read -r map uid gid <<<"$wanted"
		is "$uid $gid" "$("$VNIC" run --map "$map" -- sh -c 'echo $(id -u) $(id -g)')"
		"$VNIC_TOP/tests/lib/alone" "$VNIC" run --map "$map" -- ping -q -c1 -W1 10.0.2.2
	done
}

@test "--map auto gives the user's subordinate ids" {
	grep -q "^$(id -un):" /etc/subuid || skip "the user has no subordinate ids"
	is "0 0" "$("$VNIC" run --map auto -- sh -c 'echo $(id -u) $(id -g)')"
	is "7 7" "$("$VNIC" run --map auto -- setpriv --reuid=7 --regid=7 --clear-groups sh -c 'echo $(id -u) $(id -g)')"
	is 2 "$("$VNIC" run --map auto -- sh -c 'wc -l </proc/self/uid_map')"
}

@test "when vnic returns there is no process of it left, not even to be reaped" {
	for nic in veth tap tun; do
		[[ $nic == veth || -w /dev/net/tun ]] || continue
		python3 - "$VNIC" run --nic "$nic,ip=10.9.0.7/24" -- true <<-'END'
			import ctypes, os, sys
			PR_SET_CHILD_SUBREAPER = 36
			ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
			for _ in range(5):
			    vnic = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
			    assert os.waitpid(vnic, 0)[1] == 0
			    try:
			        raise SystemExit(f"an orphan was left: {os.waitpid(-1, 0)}")
			    except ChildProcessError:
			        pass
		END
	done
}
