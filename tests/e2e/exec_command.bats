#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic exec goes where the sandbox is; names come and go with their sandboxes; vnic list shows them.

bats_require_minimum_version 1.5.0

load ../lib/terms

# start NAME [OPTION...] -- COMMAND...: a sandbox that is ready when this returns; its front is $front
start() {
	local name=$1
	shift
	exec {ready}< <(exec "$VNIC" run --ready-fd 1 --name "$name" "$@")
	front=$!
	fronts+=("$front")
	read -r -t 30 _ <&"$ready"
}

# end PID: of a front, and of everything that came with it
end() {
	kill -TERM "$1"
	wait "$1" 2>/dev/null || true
}

# pid_of NAME: its command's
pid_of() {
	"$VNIC" list --json | python3 -c 'import json,sys; print(*(s["pid"] for s in json.load(sys.stdin) if s["name"] == sys.argv[1]))' "$1"
}

setup() {
	name=e2e-$$-$BATS_TEST_NUMBER
	fronts=()
}

teardown() {
	for pid in "${fronts[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
	done
}

@test "the command is in the sandbox's namespaces, all of them" {
	start "$name" --unshare uts,ipc --hostname boxed -- sleep 1000
	pid=$(pid_of "$name")
	for kind in user mnt pid net ipc uts cgroup time; do
		is "$(readlink "/proc/$pid/ns/$kind")" "$("$VNIC" exec "$name" -- readlink "/proc/self/ns/$kind")"
	done
	is boxed "$("$VNIC" exec "$name" hostname)"
	is "eth0 lo" "$("$VNIC" exec "$name" -- sh -c 'echo $(ls /sys/class/net)')"
	"$VNIC" exec "$name" -- sh -c 'ping -q -c1 -W1 "$(ip -4 route show default | cut -d" " -f3)"'
	is "$(id -u)" "$(stat -c %u "/proc/$pid")"
	is 0 "$("$VNIC" exec "$name" -- id -u)"
}

@test "a pid is a target too" {
	start "$name" -- sleep 1000
	pid=$(pid_of "$name")
	is "$("$VNIC" exec "$name" -- readlink /proc/self/ns/net)" "$("$VNIC" exec "$pid" -- readlink /proc/self/ns/net)"
}

@test "by the path of a user's namespace root, too, is root in it" {
	local user=()
	((EUID)) || user=(setpriv --reuid=65534 --regid=65534 --clear-groups --)
	# shellcheck disable=SC2016 # the inner shell's
	exec {out}< <(exec "${user[@]}" unshare --user --map-root-user --net -- sh -c 'echo $$; exec sleep 1000')
	read -r pid <&"$out"
	fronts+=("$pid")
	is "0 0 up" "$("$VNIC" exec "/proc/$pid/ns/net" -- sh -c 'ip link set lo up && echo $(id -u) $(id -g) up')"
}

@test "exit status, signals, 126 and 127 are the command's" {
	start "$name" -- sleep 1000
	for wanted in 0 7 125 255; do
		run "$VNIC" exec "$name" -- sh -c "exit $wanted"
		is "$wanted:" "$status:$output"
	done
	run "$VNIC" exec "$name" -- sh -c 'kill -TERM $$'
	is 143 "$status"
	run -127 "$VNIC" exec "$name" -- nosuch
	is "vnic: cannot execute nosuch: No such file or directory" "$output"
	run "$VNIC" exec "$name" -- /tmp
	is 126 "$status"
	mkdir "$BATS_TEST_TMPDIR/closed" && chmod 0 "$BATS_TEST_TMPDIR/closed"
	PATH=$BATS_TEST_TMPDIR/closed:$PATH run -127 "$VNIC" exec "$name" -- nosuch
}

@test "descriptors, environment and directory are the caller's" {
	start "$name" -- sleep 1000
	cd "$BATS_TEST_TMPDIR"
	export ODD=$'two\nlines'
	is "in:$ODD:$PWD:five" "$(echo in | "$VNIC" exec "$name" -- sh -c 'echo "$(cat):$ODD:$PWD:$(echo five >&5)"' 5>&1 | tr -d '\n' | sed 's/^five\(.*\):$/\1:five/; s/twolines/two\nlines/')"
	list=(python3 -c 'import os; print(*sorted(map(int, os.listdir("/proc/self/fd"))))')
	is "$("${list[@]}" 3>&- 4>&-)" "$("$VNIC" exec "$name" -- "${list[@]}" 3>&- 4>&-)"
}

@test "signal mask and ignored signals are the caller's" {
	start "$name" -- sleep 1000
	python3 - "$VNIC" "$name" <<'END'
import signal, subprocess, sys
show = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]
signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR1])
signal.signal(signal.SIGHUP, signal.SIG_IGN)
plain = subprocess.Popen(show, stdout=subprocess.PIPE, restore_signals=False).stdout.read()
vnic = subprocess.Popen([sys.argv[1], "exec", sys.argv[2], "--"] + show, stdout=subprocess.PIPE, restore_signals=False)
inside = vnic.stdout.read()
assert inside == plain, (plain, inside)
END
}

@test "a SIGTERM to vnic exec reaches the command once" {
	start "$name" -- sleep 1000
	hears_terms_once "$VNIC" exec "$name" --
}

@test "SIGKILL of vnic exec takes the command with it, and leaves the sandbox" {
	start "$name" -- sleep 1000
	exec {out}< <(exec "$VNIC" exec "$name" -- sh -c 'echo up; exec sleep 1000')
	read -r line <&"$out" && is up "$line"
	kill -KILL $!
	run ! read -r -t 30 line <&"$out"
	((status == 1))
	"$VNIC" exec "$name" -- true
}

@test "a keeper that somebody has stopped holds nothing up" {
	start "$name" -- sleep 1000
	mkfifo "$BATS_TEST_TMPDIR/end"
	# shellcheck disable=SC2016 # the inner shell's
	exec {out}< <(exec "$VNIC" exec "$name" -- sh -c 'echo up; exec cat "$1"' - "$BATS_TEST_TMPDIR/end")
	fronts+=("$!")
	read -r line <&"$out" && is up "$line"
	kill -STOP "$(pgrep -P "$!" -x vnic-keeper)"
	: >"$BATS_TEST_TMPDIR/end"
	"$VNIC_TOP/tests/lib/await-end" "${fronts[-1]}"
}

@test "the end of the sandbox ends what was started in it" {
	start "$name" -- sleep 1000
	exec {out}< <("$VNIC" exec "$name" -- sh -c 'echo up; exec sleep 1000' || echo "status $?")
	read -r line <&"$out" && is up "$line"
	end "$front"
	read -r -t 30 line <&"$out"
	is "status 137" "$line"
}

@test "a name is taken while its sandbox runs, and free afterwards" {
	start "$name" -- sleep 1000
	run "$VNIC" run --name "$name" -- true
	is 125 "$status"
	[[ ${lines[0]} == "vnic: cannot take the name $name: "* ]] || { echo "$output" && return 1; }
	end "$front"
	start "$name" -- sleep 1000
	"$VNIC" exec "$name" -- true
}

@test "a name whose sandbox was killed is free at once" {
	start "$name" -- sleep 1000
	init=$(ps -o ppid= -p "$(pid_of "$name")")
	kill -KILL "$front"
	"$VNIC_TOP/tests/lib/await-end" "$front" "${init// /}" # who has the name open
	"$VNIC" run --name "$name" -- true
}

@test "a name that nobody has is said so" {
	run "$VNIC" exec "$name" -- true
	is 125 "$status"
	is "vnic: cannot find namespace $name: No such file or directory (neither a sandbox of this user nor a network namespace has this name: 'vnic ns list' shows those there are)" "${lines[0]}"
	run "$VNIC" exec 4194305 -- true
	is 125 "$status"
	[[ ${lines[0]} == "vnic: cannot find namespace 4194305: "* ]]
	run "$VNIC" exec /etc/passwd -- true
	is 125 "$status"
	[[ ${lines[0]} == "vnic: cannot find namespace /etc/passwd: "* ]]
}

@test "list shows the sandbox and its NICs, as text and as JSON" {
	start "$name" --nic veth,mac=02:00:00:00:00:07,ip=10.9.1.7/24,ip=fd09::7/64 --nic veth,name=lan0,ip=10.9.0.7/24 -- sleep 1000
	"$VNIC" list | grep -A2 "^$name " >"$BATS_TEST_TMPDIR/list"
	grep -qE "^$name +[0-9]+ +$(id -u)  sleep 1000$" "$BATS_TEST_TMPDIR/list"
	grep -qE "^    eth0 +up 02:00:00:00:00:07 mtu 1500 10.9.1.7/24 fd09::7/64" "$BATS_TEST_TMPDIR/list"
	grep -qE "^    lan0 +up .* mtu 1500 10.9.0.7/24" "$BATS_TEST_TMPDIR/list"
	"$VNIC" list --json | python3 -c '
import json, sys
name, uid = sys.argv[1], int(sys.argv[2])
box, = [s for s in json.load(sys.stdin) if s["name"] == name]
assert box["uid"] == uid and box["command"] == "sleep 1000", box
eth0, lan0 = box["nics"]
assert eth0["name"] == "eth0" and eth0["kind"] == "veth" and eth0["up"] and eth0["mac"] == "02:00:00:00:00:07", eth0
assert "10.9.1.7/24" in eth0["addresses"] and "fd09::7/64" in eth0["addresses"], eth0
assert lan0["name"] == "lan0" and "10.9.0.7/24" in lan0["addresses"], lan0
' "$name" "$(id -u)"
	end "$front"
	run "$VNIC" list
	[[ $output != *"$name"* ]]
}

@test "what a sandbox calls its links cannot draw on the terminal, and is JSON all the same" {
	start "$name" -- sh -c "ip link add \"\$(printf 'up\\033[2J')\" type veth peer name \"\$(printf 'x\\377')\" && >'$BATS_TEST_TMPDIR/made'; exec sleep 1000"
	until [[ -e $BATS_TEST_TMPDIR/made ]]; do kill -0 "$front"; done
	"$VNIC" list >"$BATS_TEST_TMPDIR/list"
	grep -qF '    up?[2J ' "$BATS_TEST_TMPDIR/list"
	grep -qF '    x? ' "$BATS_TEST_TMPDIR/list"
	run ! grep -q $'[\033\377]' "$BATS_TEST_TMPDIR/list"
	"$VNIC" list --json | python3 -c '
import json, sys
box, = [s for s in json.load(sys.stdin) if s["name"] == sys.argv[1]]
assert {"up\x1b[2J", "x?"} < {nic["name"] for nic in box["nics"]}, box' "$name"
}

@test "list survives sandboxes that come and go" {
	for ((i = 0; i < 30; i++)); do
		"$VNIC" run --name "$name" -- true &
		"$VNIC" list --json | python3 -m json.tool >/dev/null
		wait $!
	done
}

# The order of linux/capability.h: dac_read_search linux_immutable sys_module sys_rawio sys_ptrace sys_pacct sys_admin sys_boot
# sys_time mknod audit_control mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore
@test "as root the command has no capability over the machine, in none of its sets" {
	((EUID == 0)) || skip "only root has capabilities to lose"
	local machine=0 number set value out in
	for number in 2 9 16 17 19 20 21 22 25 27 30 32 33 34 35 36 37 38 39 40; do ((machine |= 1 << number)); done
	with_all() { setpriv --inh-caps +sys_admin,+syslog,+net_admin --ambient-caps +sys_admin,+syslog,+net_admin -- "$@" cat /proc/self/status | grep ^Cap; }
	in=$(with_all "$VNIC" run --nic none --)
	out=$(with_all)
	while read -r set value; do
		is "$(printf '%s %016x' "$set" $((0x$value & ~machine)))" "$(grep "^$set" <<<"$in" | tr '\t' ' ')"
	done <<<"$out"
	[[ $in != "$out" ]]
}

@test "as root the command has the capabilities that run leaves, and all with --privileged" {
	((EUID == 0)) || skip "only root has capabilities to lose"
	caps() { grep -E '^Cap(Prm|Eff|Bnd|Amb)'; }
	start "$name" -- sleep 1000
	left=$("$VNIC" run --nic none -- cat /proc/self/status | caps)
	is "$left" "$("$VNIC" exec "$name" -- cat /proc/self/status | caps)"
	is "$(caps </proc/self/status)" "$("$VNIC" exec --privileged "$name" -- cat /proc/self/status | caps)"
	[[ $left != "$(caps </proc/self/status)" ]]
}
