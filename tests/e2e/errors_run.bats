#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What goes wrong is told in one clear line, with the documented exit status, and leaves nothing.

bats_require_minimum_version 1.5.0

# A sanitizer's search for leaks wants /proc, processes and memory: it is left to the tests that have them.
setup() {
	export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
}

# complains STATUS LINE: the last `run` failed so; its first line matches this pattern, and beside a remedy there is no other
complains() {
	# shellcheck disable=SC2053 # a pattern
	[[ $status -eq $1 && ${lines[0]} == $2 ]] || { echo "status $status: $output" && return 1; }
	((${#lines[@]} == 1)) || [[ ${#lines[@]} -eq 2 && ${lines[1]} == "  try: "* ]] || { echo "$output" && return 1; }
}

# with NIC... : vnic run with these NICs
with() {
	local nics=()
	for nic; do nics+=(--nic "$nic"); done
	run "$VNIC" run "${nics[@]}" -- true
}

# out_of_descriptors: the last `run` has said so; where other processes of the user have many in flight, that
out_of_descriptors() {
	[[ $status -eq 125 && ${#lines[@]} -eq 2 && $output == "vnic: cannot "*"ulimit -n"* ]] &&
		[[ $output == *"Too many open files"* || $output == *"Too many references: cannot splice"* ]]
}

hosted() {
	run unshare --net bash -euc "ip link set lo up; $1"
}

@test "a NIC's mistakes are named by key" {
	with veht && complains 2 'vnic: cannot understand veht: *'
	with veth,colour=red && complains 2 'vnic: cannot understand colour: *'
	with veth,ip=10.0.0.300/24 && complains 2 'vnic: cannot understand 10.0.0.300/24: *'
	with veth,ip=10.0.0.1/33 && complains 2 'vnic: cannot understand 33: *'
	with veth,ip=fd00::1/129 && complains 2 'vnic: cannot understand 129: *'
	with veth,ip=10.0.0.1/ && complains 2 'vnic: cannot understand*prefix length*'
	with veth,ip= && complains 2 'vnic: cannot understand *'
	with veth,mtu=67 && complains 2 'vnic: cannot understand *67*: *'
	with veth,mtu=-1 && complains 2 'vnic: cannot understand *-1*: *'
	with veth,mac=01:00:00:00:00:01 && complains 2 'vnic: cannot understand 01:00:00:00:00:01: *'
	with veth,name=sixteen-letters. && complains 2 'vnic: cannot understand *sixteen-letters.*: *'
	with veth,name=a/b && complains 2 'vnic: cannot understand *a/b*: *'
	with veth,name=.. && complains 2 'vnic: cannot understand *..*: *'
	with veth,queues=0 && complains 2 'vnic: cannot understand *'
	with veth,to=bridge: && complains 2 'vnic: cannot understand *'
	with macvlan && complains 2 'vnic: cannot understand *'
	with veth,parent=eth0 && complains 2 'vnic: cannot understand *'
}

@test "names and addresses that collide are told" {
	with veth,name=lan0 veth,name=lan0,ip=10.9.0.7/24
	[[ $status -ne 0 && $output == *lan0* && ${#lines[@]} -le 2 ]]
	with veth,name=lo
	[[ $status -ne 0 && $output == *lo* && ${#lines[@]} -le 2 ]]
	with veth,ip=10.9.0.7/24,ip=10.9.0.7/24
	[[ $status -ne 0 && $output == *10.9.0.7* && ${#lines[@]} -le 2 ]]
	with veth,mac=02:00:00:00:00:01 veth,mac=02:00:00:00:00:01,ip=10.9.0.7/24
	((status == 0)) # two links of one MAC are not ours to forbid
	with veth,ip=10.9.0.7/24,gw=10.8.0.1
	[[ $status -ne 0 && ${#lines[@]} -le 2 ]]
}

@test "options that do not go together are told" {
	run "$VNIC" run --share net --nic veth -- true
	complains 2 'vnic: cannot understand --nic: *'
	run "$VNIC" run --map somebody -- true
	complains 2 'vnic: cannot understand somebody: --map takes *'
	run "$VNIC" run --unshare net,moon -- true
	complains 2 'vnic: cannot understand moon: *'
	run "$VNIC" run --name 0ops -- true
	complains 2 'vnic: cannot understand 0ops: *'
	run "$VNIC" run --name "$(printf 'a%.0s' {1..65})" -- true
	complains 2 'vnic: cannot understand a*: *'
	run "$VNIC" run --hostname "$(printf 'a%.0s' {1..65})" -- true
	complains 125 'vnic: cannot set the host name a*: *'
	run "$VNIC" run --share uts --hostname a -- true
	complains 2 'vnic: cannot understand --hostname: *leave out --share uts'
	run "$VNIC" run --ready-fd 77 -- true
	complains 2 'vnic: cannot understand 77: --ready-fd: *'
	run "$VNIC" run --exit-fd x -- true
	complains 2 'vnic: cannot understand *'
	run "$VNIC" run --ready-fd 9 --exit-fd 9 -- true 9>&1
	complains 2 'vnic: cannot understand --exit-fd: --ready-fd has this descriptor: *'
	run "$VNIC" run --nic none --nic veth -- true
	complains 2 'vnic: cannot understand --nic none: there is another --nic'
	run "$VNIC" run --map root --share user -- true
	complains 2 'vnic: cannot understand --map: it needs a user namespace*'
	run "$VNIC" run --publish 20000-20005:80-85 --publish 20003:90 -- true
	complains 2 'vnic: cannot understand 20003: this port is published twice'
	run "$VNIC" run --publish 127.0.0.1:20003:80 --publish 20003:90 -- true
	complains 2 'vnic: cannot understand 20003: this port is published twice'
	run "$VNIC" run --publish 0.0.0.0:20003:80/udp --publish 127.0.0.1:20003:90/udp -- true
	complains 2 'vnic: cannot understand 20003/udp: this port is published twice'
	run "$VNIC" run --publish 20003:80/udp --publish 127.0.0.1:20003:80 --publish '[::1]:20003:90' -- true
	((status == 0)) || { echo "$output" && return 1; }
	run "$VNIC" run --publish '[fe80::1%eth0]:20003:80' -- true
	complains 2 'vnic: cannot understand fe80::1%eth0: a link-local address cannot be published: leave it out*'
	run "$VNIC" run --publish '[fe80::1]:20003:80' -- true
	complains 125 'vnic: cannot publish \[fe80::1\]:20003: Invalid argument'
	[[ ${lines[1]} == "  try: a link-local address cannot be published: leave it out"* ]]
	((EUID == 0)) || { run "$VNIC" run --share user -- true && complains 2 'vnic: cannot understand --share user: *'; }
}

@test "what only the gateway does is refused where no NIC is on it" {
	for nic in "--nic none" "--nic veth,to=none" "--share net"; do
		for option in "--allow lan" "--deny internet" "--dns 192.0.2.1"; do
			# shellcheck disable=SC2086 # words
			run "$VNIC" run $nic $option -- true
			complains 2 "vnic: cannot understand *${option%% *}: it needs a NIC on the gateway *" || { echo "$nic $option" && return 1; }
		done
	done
	run "$VNIC" run --nic veth,to=none --nic veth --deny internet --dns none -- true
	((status == 0))
}

@test "what is empty is told as such" {
	run "$VNIC" run --dns "" -- true
	complains 2 'vnic: cannot understand "": --dns takes *'
	for file in log capture; do
		run "$VNIC" run --$file "" -- true
		complains 125 'vnic: cannot write "": No such file or directory'
	done
	run "$VNIC" run -- ""
	complains 127 'vnic: cannot execute "": No such file or directory'
}

@test "bridges and parents that are not there, or are not such, are told" {
	((EUID == 0)) || skip "NICs on the host's links need root"
	hosted '"$VNIC" run --nic veth,to=bridge:br9 -- true'
	complains 125 'vnic: cannot * br9: *'
	hosted '"$VNIC" run --nic veth,to=bridge:lo -- true'
	complains 125 'vnic: cannot * lo*'
	hosted '"$VNIC" run --nic macvlan,parent=gone0 -- true'
	complains 125 'vnic: cannot * gone0: *'
	hosted '"$VNIC" run --nic macvlan,parent=lo -- true'
	complains 125 'vnic: cannot *'
}

@test "an ordinary user's wish for the host's links is refused with a reason" {
	((EUID != 0)) || skip "root may"
	with veth,to=bridge:br0 && complains 125 'vnic: cannot set up the sandbox veth: Operation not permitted (a NIC on a bridge or link of the host needs root)'
	with macvlan,parent=eth0 && complains 125 'vnic: cannot set up the sandbox macvlan: *'
}

@test "what captures, names and ports ask for must be there" {
	cd "$BATS_TEST_TMPDIR" || return
	for wrong in "--snaplen 100" "--capture-size 1" "--capture x --capture-files 2" "--capture - --capture-size 1" \
		"--hostname=" "--share net --capture x" "--nic veth,to=none --publish 8080:80" \
		"--publish 20000-21023:20000-21023 --publish 30000:30000"; do
		# shellcheck disable=SC2086 # words
		run "$VNIC" run $wrong -- true
		complains 2 'vnic: cannot understand*' || { echo "$wrong" && return 1; }
	done
}

@test "targets that are not there are told" {
	run "$VNIC" exec nosuch-name -- true
	complains 125 'vnic: cannot find namespace nosuch-name: *'
	run "$VNIC" exec 4194305 -- true
	complains 125 'vnic: cannot find namespace 4194305: *'
	run "$VNIC" exec 99999999999999999999 -- true
	((status == 125 || status == 2)) && ((${#lines[@]} == 1))
	run "$VNIC" exec 0 -- true
	((status == 125 || status == 2)) && ((${#lines[@]} == 1))
	run "$VNIC" exec /nosuch/path -- true
	complains 125 'vnic: cannot find namespace /nosuch/path: *'
	run "$VNIC" exec /proc/self/ns/mnt -- true
	complains 125 'vnic: cannot find namespace /proc/self/ns/mnt: *'
	run "$VNIC" exec "" -- true
	((status == 125 || status == 2)) && ((${#lines[@]} == 1))
}

@test "a process that has ended is told, also while it is a zombie" {
	python3 - "$VNIC" <<'END'
import os, subprocess, sys
child = subprocess.Popen(["true"])
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
ran = subprocess.run([sys.argv[1], "exec", str(child.pid), "--", "true"], capture_output=True, text=True)
assert ran.returncode == 125 and len(ran.stderr.splitlines()) == 1, ran
child.wait()
END
}

@test "a process of another user is not joined" {
	((EUID != 0)) || skip "root may join everybody's"
	run "$VNIC" exec 1 -- true
	[[ $status -eq 125 && ${lines[0]} == 'vnic: cannot '*': Permission denied'* || ${lines[0]} == *'Operation not permitted'* ]] || { echo "$output" && return 1; }
}

@test "without /dev/net/tun a TAP is refused with the remedy, and a veth works" {
	run unshare --user --map-root-user --mount bash -c '
		mount -t tmpfs tmpfs /dev && touch /dev/null && exec "$VNIC" run --nic tap -- true'
	[[ $status -eq 125 && $output == *"/dev/net/tun"*"No such file"*"try: "*"veth"* ]] || { echo "$status: $output" && return 1; }
	run unshare --user --map-root-user --mount bash -c '
		mount -t tmpfs tmpfs /dev && touch /dev/null && exec "$VNIC" run -- true'
	[[ $status -eq 0 ]] || { echo "$status: $output" && return 1; }
	# Root's front may notice by itself that the router is no more.
	for ((i = 0; i < 12 && EUID == 0; i++)); do
		run unshare --mount bash -c 'mount -t tmpfs tmpfs /dev/net && exec "$VNIC" run --nic tap -- true'
		[[ $status -eq 125 && $output == *"/dev/net/tun"*"No such file"* ]] || { echo "$status: $output" && return 1; }
	done
}

@test "a closed /dev/net/tun is refused with the remedy" {
	((EUID != 0)) || skip "root may open everything"
	[[ ! -w /dev/net/tun ]] || skip "/dev/net/tun is open to this user"
	run "$VNIC" run --nic tap -- true
	[[ $status -eq 125 && $output == *"/dev/net/tun: Permission denied"*"try: "* ]] || { echo "$status: $output" && return 1; }
}

@test "where no more namespaces are allowed it is told with the remedy" {
	for limit in user net mnt pid; do
		run unshare --user --map-root-user bash -c '
			echo 0 >/proc/sys/user/max_'"$limit"'_namespaces && exec "$VNIC" run --map root -- true'
		[[ $status -eq 125 && ${lines[0]} == "vnic: cannot "* && $output == *"max_"*"_namespaces"* && ${#lines[@]} -le 2 ]] ||
			{ echo "$limit: $status: $output" && return 1; }
	done
}

@test "without /proc it says that this is what is missing" {
	run unshare --user --map-root-user --mount bash -c 'mount -t tmpfs tmpfs /proc && exec "$VNIC" run -- true'
	mapfile -t lines < <(grep -v ^== <<<"$output") # a sanitizer misses /proc too, and reads its options there
	[[ $output != *LeakSanitizer* ]] || status=125
	[[ $status -eq 125 && ${#lines[@]} -eq 1 && $output == *"/proc is not mounted here"* ]] || { echo "$status: $output" && return 1; }
}

@test "root of a user namespace can run sandboxes, with or without a network namespace of its own" {
	for options in "" --net "--net --mount-proc --pid --fork"; do
		# shellcheck disable=SC2086 # words
		run unshare --user --map-root-user $options "$VNIC" run -- ping -q -c1 -W1 10.0.2.2
		[[ $status -eq 0 && $output == *" 1 received"* ]] || { echo "$options: $status: $output" && return 1; }
	done
	run "$VNIC" run --map root -- "$VNIC" run -- "$VNIC" run -- sh -c 'ping -q -c1 -W1 "$(ip -4 route show default | cut -d" " -f3)"'
	[[ $status -eq 0 && $output == *" 1 received"* ]] || { echo "nested: $status: $output" && return 1; }
}

@test "out of descriptors, at any limit, is one line or works" {
	local worked=0
	for nic in "" "--nic veth" "--nic veth --nic veth,ip=10.9.0.7/24" "--share user"; do
		for limit in {8..40}; do
			# shellcheck disable=SC2016,SC2086
			run bash -c 'ulimit -n "$0"; exec "$VNIC" run "$@" -- true' "$limit" $nic
			((status == 0)) && worked=1 && continue
			[[ $nic != "--share user" || $EUID -eq 0 ]] || continue 2
			out_of_descriptors || { echo "$limit $nic: $status: $output" && return 1; }
		done
	done
	((worked))
}

@test "out of descriptors in exec is one line or works" {
	name=errors-$$
	exec {ready}< <(exec "$VNIC" run --ready-fd 1 --name "$name" -- sleep 1000)
	front=$!
	read -r _ <&"$ready"
	for limit in {8..32}; do
		run bash -c 'ulimit -n "$0"; exec "$VNIC" exec "$1" -- true' "$limit" "$name"
		((status == 0)) && continue
		out_of_descriptors || break
	done
	kill "$front"
	((status == 0)) || { echo "$limit: $status: $output" && return 1; }
}

@test "out of processes is one line" {
	((EUID != 0)) || skip "root is not held by the limit on processes"
	for limit in {1..12}; do
		run bash -c 'ulimit -u "$0" || exit 0; exec "$VNIC" run -- true' "$limit"
		((status == 0)) && continue
		[[ $status -eq 125 && ${lines[0]} == "vnic: cannot "* && ${#lines[@]} -le 2 ]] || { echo "$limit: $status: $output" && return 1; }
	done
}

@test "out of memory is one line or works" {
	for limit in 8000 12000 16000 24000 32000 64000; do
		run bash -c 'ulimit -v "$0"; "$VNIC" run -- true; exit $((($? == 127) ? 0 : $?))' "$limit" # 127: the loader's
		[[ $output != *Sanitizer* ]] || continue # it maps memory of its own, and much of it
		((status == 0 || status == 125)) || { echo "$limit: $status: $output" && return 1; }
	done
}

@test "lists that cannot be written are errors" {
	for command in list "list --json" "ns list" "tap list" "exec --help" "run --help" "doctor --json"; do
		# shellcheck disable=SC2016,SC2086
		run bash -c '"$VNIC" "$@" >/dev/full' _ $command
		complains 1 'vnic: cannot write output: No space left on device'
	done
}

@test "the command's own trouble with its output is its own" {
	run bash -c '"$VNIC" run -- echo hello >/dev/full'
	[[ $status -eq 1 && $output == *"No space left on device"* && $output != *vnic:* ]]
}

# Among its own processes and links alone: other tests come and go beside it.
@test "what failed left nothing" {
	local own=()
	((EUID == 0)) || own=(--user --map-current-user)
	run unshare "${own[@]}" --net --pid --fork --mount-proc bash -c '
		seen() { ip -o link; lsns -n -t net -o NS; }
		before=$(seen)
		"$VNIC" run --nic veth,name=lo -- true
		"$VNIC" run --nic veth,ip=10.9.0.7/24,gw=10.8.0.1 -- true
		"$VNIC" run -- /nosuch
		(($? == 127)) || exit 1
		for ((i = 0; i < 1000; i++)); do
			[[ $(seen) != "$before" ]] || exit 0
		done
		seen
		exit 1'
	((status == 0)) || { echo "$output" && return 1; }
}
