#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic run and exec: what the command finds, what comes back, what stays.

# complains STATUS TEXT: the last `run` failed so, and its message has this in it.
complains() {
	[[ $status -eq $1 && $(grep "^vnic: " <<<"$output") == *"$2"* ]] || { echo "status $status: $output" && return 1; }
}

bats_require_minimum_version 1.5.0

# gone PID: it ends before the deadline, as its pidfd tells.
gone() {
	python3 -c '
import os, select, sys
try:
    fd = os.pidfd_open(int(sys.argv[1]))
except ProcessLookupError:
    sys.exit(0)
sys.exit(0 if select.select([fd], [], [], 10)[0] else 1)' "$1"
}

@test "who shares the pid namespace is told what that gives up" {
	run --separate-stderr "$VNIC" run --nic none --share pid -- true
	[[ $status -eq 0 && $stderr == "vnic: warning: --share pid: "*"outlive"* ]]
}

@test "the NIC works when the command starts" {
	run "$VNIC_TOP/tests/lib/alone" "$VNIC" run -- ip -oneline address show eth0 scope global
	[[ $output == *10.0.2.100/24* && $output == *fd00::100/64* && $output != *tentative* ]]
	run "$VNIC_TOP/tests/lib/alone" "$VNIC" run -- sh -c 'ip route; ip -6 route'
	[[ $output == *"default via 10.0.2.2 dev eth0"* && $output == *"default via fd00::2 dev eth0"* ]]
	"$VNIC_TOP/tests/lib/alone" "$VNIC" run -- ping -c 1 -W 5 10.0.2.2
	"$VNIC_TOP/tests/lib/alone" "$VNIC" run -- ping -c 1 -W 5 fd00::2
	"$VNIC" run -- ping -c 1 -W 5 127.0.0.1
}

@test "a NIC is what was asked for" {
	run "$VNIC" run --nic veth,name=lan0,ip=10.9.0.1/24,ip=fd09::1/64,gw=none,mac=02:00:00:00:00:01,mtu=1400 -- \
		sh -c 'ip -oneline address show lan0; ip link show lan0'
	[[ $output == *10.9.0.1/24* && $output == *fd09::1/64* && $output == *"mtu 1400"* && $output == *02:00:00:00:00:01* ]]
	run "$VNIC" run --nic veth,ip=10.9.0.1/24,gw=none -- sh -c 'ip route; ip -6 route'
	[[ $output == *10.9.0.0/24* && $output != *default* ]]
}

@test "several NICs have names by position" {
	run "$VNIC" run --nic veth --nic veth,ip=10.8.0.1/24,gw=none --nic veth,name=x0,ip=10.7.0.1/24,gw=none -- \
		sh -c 'cd /sys/class/net; echo *'
	[[ $output == "eth0 eth1 lo x0" ]] || { echo "$output" && return 1; }
}

@test "the command sees its own processes and its own /sys" {
	[[ $("$VNIC" run -- sh -c 'echo /proc/[0-9]* | wc -w') -le 4 ]]
	[[ $("$VNIC" run -- ls /sys/class/net | sort | tr '\n' ' ') == "eth0 lo " ]]
}

@test "the command's status comes back" {
	run "$VNIC" run -- sh -c 'exit 7'
	[[ $status -eq 7 ]]
	run "$VNIC" run -- sh -c 'kill -TERM $$'
	[[ $status -eq 143 ]]
	run -127 "$VNIC" run -- no-such-command-here
	complains 127 "cannot execute no-such-command-here: No such file or directory"
	touch "$BATS_TEST_TMPDIR/plain"
	run -126 "$VNIC" run -- "$BATS_TEST_TMPDIR/plain"
	complains 126 "Permission denied"
}

@test "input, output and errors are the command's" {
	[[ $(echo in | "$VNIC" run -- cat) == in ]]
	[[ $("$VNIC" run -- sh -c 'echo err >&2' 2>&1 >/dev/null) == err ]]
	[[ $("$VNIC" run -- seq 1 100000 | head -1) == 1 ]]
}

@test "a ready descriptor gets its line when the NIC works" {
	exec 5< <("$VNIC" run --ready-fd 3 -- sleep 60 3>&1 >/dev/null & echo $!; wait)
	read -r -t 20 -u 5 pid
	read -r -t 20 -u 5 _
	kill -TERM "$pid"
	gone "$pid"
}

@test "closing the exit descriptor ends the sandbox" {
	exec 6> >(exec "$VNIC" run --exit-fd 0 -- sleep 60)
	pid=$!
	exec 6>&-
	gone "$pid"
}

@test "killing the front ends the command" {
	exec 5< <(exec "$VNIC" run -- sh -c 'echo; exec sleep 60')
	front=$!
	read -r -t 20 -u 5 _
	kill -KILL $front
	# The last writer of the pipe was the command.
	run timeout 20 cat <&5
	[[ $status -eq 0 ]]
}

@test "a name can be used while its sandbox runs, once" {
	name=e2e-$$-$BATS_TEST_NUMBER
	exec 5< <(exec "$VNIC" run --ready-fd 1 --name "$name" -- sleep 60)
	front=$!
	read -r -t 20 -u 5 _
	run "$VNIC" exec "$name" -- sh -c 'ip -oneline address show eth0; exit 9'
	[[ $status -eq 9 && $output == *".100/24 "* ]]
	"$VNIC" list | grep -q "$name"
	"$VNIC" list --json | python3 -c 'import json,sys; json.load(sys.stdin)'
	run "$VNIC" run --name "$name" -- true
	complains 125 "$name"
	run "$VNIC" ns del "$name"
	[[ $status -eq 1 ]]
	kill -TERM $front
	gone $front
	run "$VNIC" exec "$name" -- true
	complains 125 "$name"
	"$VNIC" run --name "$name" -- true
}

@test "names that are none are refused" {
	for name in "" 7 7up a/b .hidden 'with space' "$(printf 'x%.0s' {1..65})"; do
		run "$VNIC" run --name "$name" -- true
		complains 2 "cannot understand"
	done
}

@test "targets that are not there are told by kind" {
	run "$VNIC" exec no-such-name-here -- true
	complains 125 "no-such-name-here"
	run "$VNIC" exec 4194304 -- true
	complains 125 "4194304"
	run "$VNIC" exec /no/such/path -- true
	complains 125 "/no/such/path"
	run "$VNIC" exec /etc/passwd -- true
	complains 125 "/etc/passwd"
}

@test "a NIC that needs what is not here says what to do" {
	{ : <>/dev/net/tun; } 2>/dev/null && skip "/dev/net/tun can be opened"
	run "$VNIC" run --nic tap -- true
	complains 125 "cannot open /dev/net/tun"
	[[ ${lines[1]} == "  try: "*veth* ]]
}

@test "a bridge that is not there is told" {
	run "$VNIC" run --nic veth,to=bridge:no-such-br -- true
	[[ $status -eq 125 && ${#lines[@]} -le 2 ]] || { echo "$status: $output" && return 1; }
}

@test "a macvlan on a link that is not there is told" {
	run "$VNIC" run --nic macvlan,parent=no-such-link -- true
	[[ $status -eq 125 && ${#lines[@]} -le 2 ]] || { echo "$status: $output" && return 1; }
}

@test "two NICs cannot have one name" {
	run "$VNIC" run --nic veth,name=x0 --nic veth,name=x0 -- true
	[[ $status -eq 2 || $status -eq 125 ]]
	[[ $output == *x0* ]] || { echo "$output" && return 1; }
}

@test "an address given twice is told" {
	run "$VNIC" run --nic veth,ip=10.9.0.1/24,ip=10.9.0.1/24,gw=none -- true
	[[ $status -eq 2 || $status -eq 125 ]] || { echo "$status: $output" && return 1; }
	[[ $output == *10.9.0.1/24* ]] || { echo "$output" && return 1; }
}

@test "descriptors that are not open are refused" {
	run "$VNIC" run --ready-fd 99 -- true
	[[ $status -eq 2 || $status -eq 125 ]] || { echo "$status: $output" && return 1; }
	[[ $output == *99* ]] || { echo "$output" && return 1; }
}

@test "as many sandboxes at once as the hard limit of descriptors allows, not the soft one" {
	run bash -c 'ulimit -Sn 60
		pids=() started=0
		for ((i = 0; i < 32; i++)); do
			exec {ready}< <(exec "$VNIC" run --ready-fd 1 -- sleep 1000)
			pids+=($!)
			read -r -t 30 _ <&"$ready" || break
			exec {ready}<&-
			started=$((started + 1))
		done
		kill "${pids[@]}" 2>&-
		wait
		((started == 32))'
	echo "$output"
	[[ $status -eq 0 ]]
}
