#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic ns and vnic relay: names, and frames between them.

setup() {
	red=e2e-red-$$-$EUID-$BATS_TEST_NUMBER blue=e2e-blue-$$-$EUID-$BATS_TEST_NUMBER
}

teardown() {
	# shellcheck disable=SC2086 # none, or a number
	kill -TERM ${relay-} ${many-} 2>/dev/null || true
	"$VNIC" ns del "$red" &>/dev/null || true
	"$VNIC" ns del "$blue" &>/dev/null || true
}

# start_relay PORT...: returns when its ports are open; its output is on descriptor 5.
start_relay() {
	exec 5< <(exec "$VNIC" relay --stats --json --ready-fd 3 "$@" 3>&1)
	relay=$!
	read -r -t 20 -u 5 _
}

@test "a namespace is added, listed, entered and deleted" {
	"$VNIC" ns add "$red"
	"$VNIC" ns list | grep -q "$red"
	[[ $("$VNIC" exec "$red" -- sh -c 'cat /sys/class/net/lo/operstate; ls /sys/class/net' | tr '\n' ' ') == "unknown lo " ]]
	# Without root a holder sets what ordinary processes in there need.
	((EUID == 0)) || [[ $("$VNIC" exec "$red" -- sh -c 'cd /proc/sys/net/ipv4; cat ping_group_range ip_unprivileged_port_start' | xargs) == "0 0 0" ]]
	"$VNIC" ns del "$red"
	[[ $("$VNIC" ns list) != *"$red"* ]]
}

@test "a name that is taken is refused" {
	"$VNIC" ns add "$red"
	run "$VNIC" ns add "$red"
	[[ $status -eq 1 && $output == *"$red"*"try: 'vnic ns list' "* ]] || { echo "$status: $output" && return 1; }
}

@test "deleting what is not there succeeds and says so" {
	run "$VNIC" ns del "$red"
	[[ $status -eq 0 && $output == *"$red"* ]] || { echo "$status: $output" && return 1; }
}

@test "a namespace that was made in a sandbox is nobody's outside of it" {
	exec 5< <(exec "$VNIC" run --nic none -- sh -c '"$1" ns add "$2" && "$1" exec "$2" -- true && echo made && exec sleep 1000' - "$VNIC" "$red")
	relay=$!
	read -r -t 30 -u 5 line
	[[ $line == made ]]
	"$VNIC" ns list | grep -qE "^$red +holder +- +-$"
	run "$VNIC" exec "$red" -- true
	[[ $status -eq 125 && $output == *"another pid namespace"* ]] || { echo "$status: $output" && return 1; }
	run "$VNIC" ns del "$red"
	[[ $status -eq 1 && $output == *"another pid namespace"* ]] || { echo "$status: $output" && return 1; }
}

@test "ip netns sees ours and we see its" {
	((EUID == 0)) || skip "ip netns needs root"
	"$VNIC" ns add "$red"
	ip netns list | grep -q "$red"
	ip netns add "$blue"
	"$VNIC" ns list | grep -q "$blue"
	"$VNIC" exec "$blue" -- ip link show lo >/dev/null
	ip netns del "$red"
	[[ $("$VNIC" ns list) != *"$red"* ]]
	"$VNIC" ns del "$blue"
	[[ $(ip netns list) != *"$blue"* ]]
}

@test "show puts processes side by side and says what is shared" {
	"$VNIC" ns show $$ $$ | grep -qE '^net +A [0-9]+ +A'
	run "$VNIC" ns show 4194304
	[[ $status -ne 0 && $output == *4194304* ]]
}

@test "show as JSON has of each process its namespaces and maps" {
	"$VNIC" ns show --json $$ $PPID | python3 -c '
import json, os, sys
for pid, view in zip(map(int, sys.argv[1:]), json.load(sys.stdin), strict=True):
    assert view["pid"] == view["pid_inside"] == pid or view["pid_inside"], view
    assert view["command"] == open(f"/proc/{pid}/comm").read().strip(), view
    for name in "net", "mnt", "pid", "user", "uts":
        assert view["namespaces"][name] == os.stat(f"/proc/{pid}/ns/{name}").st_ino, view
    assert view["uid_map"] and view["gid_map"] and view["hostname"] == os.uname().nodename, view
' $$ $PPID
}

@test "show has names too, of what is held by a process" {
	exec 5< <(exec "$VNIC" run --ready-fd 1 --name "$red" -- sleep 1000)
	relay=$!
	read -r -t 30 -u 5 _
	[[ $("$VNIC" ns show "$red") == *sleep* ]]
	run "$VNIC" ns show "$blue"
	[[ $status -eq 1 && $output == *"$blue"*"neither a sandbox"* ]] || { echo "$status: $output" && return 1; }
	run "$VNIC" ns show /proc/self/ns/net
	[[ $status -eq 2 && $output == *"processes are compared"* ]]
}

@test "what a process calls itself cannot draw on the terminal, and is JSON all the same" {
	exec 5< <(exec python3 -c '
import signal
open("/proc/self/comm", "wb").write(b"\x1b[2J\xff")
print(flush=True)
signal.pause()')
	relay=$!
	read -r -t 20 -u 5 _
	[[ $("$VNIC" ns show "$relay") == *" ?[2J? "* ]]
	"$VNIC" ns show --json "$relay" | python3 -c 'import json, sys; assert json.load(sys.stdin)[0]["command"] == "?[2J?"'
}

@test "show has pids inside of a process in many groups, and whole entries of a long map" {
	((EUID == 0)) || skip "only root may be in any group and map any id"
	exec 5< <(exec unshare --user python3 -c '
import signal
print(flush=True)
signal.pause()')
	relay=$!
	exec 6< <(exec python3 -c '
import os, signal
os.setgroups(range(1000, 3000))
print(flush=True)
signal.pause()')
	many=$!
	read -r -t 20 -u 5 _
	read -r -t 20 -u 6 _
	map=$(for ((i = 0; i < 60; i++)); do echo "$i $((100000 + i)) 1"; done)
	dd of="/proc/$relay/uid_map" bs=4096 iflag=fullblock status=none <<<"$map" # in one write
	"$VNIC" ns show --json "$many" "$relay" >"$BATS_TEST_TMPDIR/shown"
	python3 -c '
import json, sys
many, mapped = json.load(sys.stdin)
assert many["pid_inside"] == many["pid"], many
*entries, last = mapped["uid_map"].split(", ")
assert last == "..." and entries == [f"{i} {100000 + i} 1" for i in range(len(entries))], mapped' <"$BATS_TEST_TMPDIR/shown"
}

@test "after Z the letters of show go on with AA" {
	for _ in {1..28}; do
		exec {out}< <(exec unshare --user sh -c 'echo $$; exec sleep 1000')
		read -r pid <&"$out"
		many+="$pid "
	done
	# shellcheck disable=SC2086 # words
	[[ $("$VNIC" ns show $many | awk '$1 == "user" { for (i = 2; i <= NF; i += 2) printf "%s ", $i }') == "$(printf '%s ' {A..Z} AA AB)" ]]
}

@test "of several names each is tried, and the first that fails is told" {
	"$VNIC" ns add "$red"
	run "$VNIC" ns add "$red" "$blue"
	[[ $status -eq 1 && $output == *"$red"* ]]
	"$VNIC" ns list | grep -q "$blue"
}

@test "a relay joins two namespaces" {
	"$VNIC" ns add "$red"
	"$VNIC" ns add "$blue"
	start_relay "veth:eth0,netns=$red,ip=10.9.0.1/24,ip=fd09::1/64" "veth:eth0,netns=$blue,ip=10.9.0.2/24,ip=fd09::2/64"
	"$VNIC" exec "$red" -- ping -c 2 -i 0.2 -W 5 10.9.0.2
	"$VNIC" exec "$blue" -- ping -c 2 -i 0.2 -W 5 fd09::1
	kill -TERM "$relay"
	python3 -c '
import json, sys
stats = json.load(sys.stdin)
assert len(stats["ports"]) == 2, stats
assert all(port["rx_frames"] >= 4 and port["tx_frames"] >= 4 for port in stats["ports"]), stats' <&5
	# The devices ended with the relay.
	run "$VNIC" exec "$red" -- ip link show eth0
	[[ $status -ne 0 ]]
}

@test "a killed relay leaves no device" {
	"$VNIC" ns add "$red"
	"$VNIC" ns add "$blue"
	start_relay "veth:eth0,netns=$red" "veth:eth0,netns=$blue"
	kill -KILL "$relay"
	run timeout 20 "$VNIC" exec "$red" -- sh -c 'while ip link show eth0 >/dev/null 2>&1; do :; done'
	[[ $status -eq 0 ]]
}

@test "mistakes in a port are told by key and are status 2" {
	for port in tap tap: tpa:eth0 tap:eth0,ipp=1 tap:much-too-long-a-name veth:eth0,ip=10.0.0.300/24 fd:x; do
		run "$VNIC" relay "$port" veth:eth1
		[[ $status -eq 2 && ${#lines[@]} -eq 1 && $output == "vnic: cannot understand "* ]] ||
			{ echo "'$port': $status: $output" && return 1; }
	done
}

@test "one port is not enough" {
	run "$VNIC" relay veth:eth0
	[[ $status -eq 2 ]]
}

@test "a port in a namespace that is not there is told" {
	run "$VNIC" relay "veth:eth0,netns=$red" "veth:eth0,netns=$blue"
	[[ $status -eq 1 && $output == *"$red"* ]] || { echo "$status: $output" && return 1; }
}
