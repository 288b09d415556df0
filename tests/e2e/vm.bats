#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# as-user: --tun
# vnic vm with VMMs that are shells and a few lines of Python: descriptors, processes and errors.  Real ones are in the
# ring vm.

bats_require_minimum_version 1.5.0

is() {
	[[ $1 == "$2" ]] || { printf 'wanted: %s\ngot:    %s\n' "$1" "$2" && return 1; }
}

setup() {
	[[ -r /dev/net/tun && -w /dev/net/tun ]] || skip "/dev/net/tun cannot be opened"
}

guest=$BATS_TEST_DIRNAME/../lib/vm_guest.py

# complains STATUS LINE: the last `run` failed so
complains() {
	# shellcheck disable=SC2053 # a pattern
	[[ $status -eq $1 && ${lines[0]} == $2 ]] || { echo "status $status: $output" && return 1; }
}

# A VMM that says its pid and stays; started as a coprocess its end of the pipe is open as long as anything of it lives.
start_vm() {
	exec {out}< <(exec "$VNIC" vm "$@" -- sh -c 'echo $$; exec sleep 1000' {fd})
	vnic=$!
	read -r vmm <&"$out"
}

# Until nothing is left that holds the pipe: vnic's processes close it, the VMM has it.
all_gone() {
	[[ -z $(timeout 20 cat <&"$out") ]]
	exec {out}<&-
	# Its descriptors are closed a moment before it is dead.
	while grep -q '^State:.[^ZX]' "/proc/$vmm/status" 2>/dev/null; do :; done
}

@test "the tap at {fd} leads to the router" {
	is "02:76:6e:69:63:20 1" "$("$VNIC" vm -- python3 "$guest" {mac} {fd})"
}

@test "each of several queues is at {fds}, and answers come by any of them" {
	is "02:76:6e:69:63:20 5" "$("$VNIC" vm --nic tap,queues=5 -- python3 "$guest" {mac} {fds})"
}

@test "every NIC has its own descriptors, MAC and network" {
	run "$VNIC" vm --nic tap --nic tap,queues=2 --nic tap,mac=02:00:00:00:00:07,ip=10.9.0.7/24,gw=10.9.0.1 -- sh -euc "
		python3 $guest {mac} {fd}
		python3 $guest {mac1} {fds1} 10.0.3.2
		python3 $guest {mac2} {fd2} 10.9.0.1
		echo {mac0} {mac1} {mac2}"
	is "02:76:6e:69:63:20 1" "${lines[0]}"
	is "02:76:6e:69:63:21 2" "${lines[1]}"
	is "02:76:6e:69:63:22 1" "${lines[2]}"
	is "02:76:6e:69:63:10 02:76:6e:69:63:11 02:00:00:00:00:07" "${lines[3]}"
}

@test "words are replaced wherever they stand, and other braces are left alone" {
	run "$VNIC" vm -- echo 'a={fd},b={fds}' '{"fd":"{fd}"}' '{}' '{fdx}' '{fd' '{mac}'
	[[ $output =~ ^'a='([0-9]+)',b='([0-9]+)' {"fd":"'([0-9]+)'"} {} {fdx} {fd 02:76:6e:69:63:10'$ ]]
	is "${BASH_REMATCH[1]} ${BASH_REMATCH[1]}" "${BASH_REMATCH[2]} ${BASH_REMATCH[3]}"
}

@test "the VMM stays where and who its caller is, but has the tap" {
	look='cd /proc/self/ns && readlink user mnt pid net ipc uts cgroup && id && grep Cap /proc/self/status; : {fd}'
	is "$(sh -c "$look")" "$("$VNIC" vm -- sh -c "$look")"
	fds='cd /proc/self/fd && for fd in *; do readlink $fd || true; done | grep -c -x /dev/net/tun; : {fds}'
	is 3 "$("$VNIC" vm --nic tap,queues=3 -- sh -c "$fds")"
}

@test "--unshare puts the VMM into namespaces, and it keeps its user" {
	run "$VNIC" vm --unshare pid,net,uts -- sh -c 'readlink /proc/self/ns/net; id -u; echo $$; : {fd}'
	[[ ${lines[0]} != "$(readlink /proc/self/ns/net)" ]]
	is "$EUID" "${lines[1]}"
	is 2 "${lines[2]}"
	is "02:76:6e:69:63:20 1" "$("$VNIC" vm --unshare net -- python3 "$guest" {mac} {fd})"
}

@test "the VMM's exit status is passed on" {
	run -7 "$VNIC" vm -- sh -c 'exit 7' {fd}
	run -143 "$VNIC" vm -- sh -c 'kill $$' {fd}
	run -127 "$VNIC" vm -- /no/such/vmm {fd}
}

@test "a guest and its NICs are listed, with what they have carried" {
	name=vm-$$-$EUID
	exec {out}< <(exec "$VNIC" vm --name "$name" --nic tap --nic tap,queues=2 -- \
		sh -c 'python3 "$0" {mac} {fd}; exec sleep 1000; : {fds1}' "$guest" {fd})
	vnic=$!
	read -r _ <&"$out"
	"$VNIC" list >"$BATS_TEST_TMPDIR/list"
	"$VNIC" list --json >"$BATS_TEST_TMPDIR/json"
	"$VNIC" ns list | grep -qE "^$name +sandbox"
	kill -TERM "$vnic"
	cat "$BATS_TEST_TMPDIR/list"
	grep -A2 "^$name " "$BATS_TEST_TMPDIR/list" | grep -qE '^    nic1 +(up|down) mtu 1500$'
	python3 -c '
import json, sys
box, = [s for s in json.load(sys.stdin) if s["name"] == sys.argv[1]]
assert box["vmm"] and [nic["name"] for nic in box["nics"]] == ["nic0", "nic1"], box
assert box["nics"][0]["rx_bytes"] and box["nics"][0]["tx_bytes"], box' "$name" <"$BATS_TEST_TMPDIR/json"
}

@test "a killed VMM ends vnic, and nothing is left" {
	start_vm
	kill -KILL "$vmm"
	all_gone
}

@test "a killed vnic ends the VMM, and nothing is left" {
	start_vm
	kill -KILL "$vnic"
	all_gone
}

@test "each of vnic's other processes, killed, ends the VMM" {
	for name in vnic-init vnic-router vnic-gateway; do
		start_vm
		for pid in $(<"/proc/$vnic/task/$vnic/children"); do
			[[ $(<"/proc/$pid/comm") != "$name" ]] || break
		done
		kill -KILL "$pid"
		all_gone 2>"$BATS_TEST_TMPDIR/said"
	done
}

@test "what the VMM leaves behind ends with it" {
	exec {out}< <(exec "$VNIC" vm -- sh -c 'setsid sh -c "sleep 1000 & sleep 1000" & echo $!' {fd})
	read -r vmm <&"$out"
	all_gone
}

@test "what the VMM leaves behind ends with it where /proc has the numbers of another pid namespace" {
	local own=()
	((EUID == 0)) || own=(--user --map-current-user)
	run timeout 20 unshare "${own[@]}" --pid --fork -- "$VNIC" vm --nic none -- sh -c 'setsid sleep 1000 3>&- & exit 7'
	((status == 7))
}

@test "a command line that takes no descriptor is refused" {
	run "$VNIC" vm -- true
	complains 2 'vnic: cannot understand true: nothing in its command line takes NIC 0: *{fd}*'
	run "$VNIC" vm --nic tap --nic tap -- true {fd}
	complains 2 'vnic: cannot understand true: nothing in its command line takes NIC 1: *{fd1}*'
	run "$VNIC" vm -- true {fd} {fd1}
	complains 2 'vnic: cannot understand {fd1}: there is no NIC of this number: *'
	run "$VNIC" vm --nic tap,queues=2 -- true {fd}
	complains 2 'vnic: cannot understand {fd}: this NIC has 2 queues*'
}

@test "NICs that no VMM can have are refused" {
	run "$VNIC" vm --nic veth -- true {fd}
	complains 2 'vnic: cannot understand veth: *'
	run "$VNIC" vm --nic tap,to=none -- true {fd}
	complains 2 'vnic: cannot understand to=none: *'
	run "$VNIC" vm --nic tap,name=eth0 -- true {fd}
	complains 2 'vnic: cannot understand eth0: *'
	run "$VNIC" vm --nic tap,queues=254 -- true {fds}
	complains 2 'vnic: cannot understand queues=: *253*'
	run "$VNIC" vm --nic tap,queues=257 -- true {fds}
	complains 2 'vnic: cannot understand *257*'
}

@test "without /dev/net/tun the remedy is told" {
	map=()
	((EUID == 0)) || map=(--user --map-root-user)
	run unshare "${map[@]}" --mount sh -c 'mount -t tmpfs tmpfs /dev/net && exec "$0" vm -- true {fd}' "$VNIC"
	complains 125 'vnic: cannot open /dev/net/tun: No such file or directory'
	[[ ${lines[1]} == "  try: "* ]]
}

@test "as root a guest can be on a bridge of the host" {
	((EUID == 0)) || skip "a NIC on a bridge of the host needs root"
	run unshare --net bash -euc "ip link add br0 type bridge && ip address add 10.7.0.1/24 dev br0 && ip link set br0 up
		$VNIC vm --nic tap,to=bridge:br0 -- sh -euc 'echo {mac}; exec python3 $guest {mac} {fd} 10.7.0.1'"
	# Not the MAC that guests on a link of their own have: there are others on a bridge.
	[[ $status -eq 0 && ${lines[0]} != 02:76:6e:69:63:* && ${lines[1]} =~ ^[0-9a-f:]{17}\ 1$ ]] || { echo "$status: $output" && return 1; }
}

@test "a guest that keeps its tap, or hands it on, leaves nothing on the host's bridge" {
	((EUID == 0)) || skip "a NIC on a bridge of the host needs root"
	cat >"$BATS_TEST_TMPDIR/vmm" <<-'PY'
		import array, fcntl, os, socket, sys
		fd = int(sys.argv[1])
		fcntl.ioctl(fd, 0x400454CB, 1)  # TUNSETPERSIST
		fcntl.ioctl(fd, 0x400454CC, 65534)  # TUNSETOWNER
		with socket.socket(socket.AF_UNIX) as outside:
		    outside.connect(sys.argv[2])
		    outside.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
		print(len(os.listdir("/sys/class/net/br0/brif")))
	PY
	cat >"$BATS_TEST_TMPDIR/outside" <<-'PY'
		import array, os, socket, subprocess, sys
		os.chdir(sys.argv[1])
		server = socket.socket(socket.AF_UNIX)
		server.bind("s")
		server.listen()
		subprocess.run([sys.argv[2], "vm", "--nic", "tap,to=bridge:br0", "--", "python3", "vmm", "{fd}", "s"], check=True)
		peer, _ = server.accept()
		assert len(peer.recvmsg(1, socket.CMSG_SPACE(4))[1]) == 1  # the descriptor is open
		print(len(os.listdir("/sys/class/net/br0/brif")), sorted(os.listdir("/sys/class/net")))
	PY
	run unshare --net --mount bash -euc "mount -t sysfs sysfs /sys && ip link add br0 type bridge
		python3 $BATS_TEST_TMPDIR/outside $BATS_TEST_TMPDIR $VNIC"
	is 1 "${lines[0]}"
	is "0 ['br0', 'lo']" "${lines[1]}"
}
