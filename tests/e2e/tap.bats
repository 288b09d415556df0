#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic tap: persistent devices are made, listed and deleted, and mistakes are told.  as-user: --tun

needs_tun() {
	{ : <>/dev/net/tun; } 2>/dev/null || skip "/dev/net/tun cannot be opened"
}

# alone SCRIPT: in a network namespace of its own, with a /sys that shows another; as root of a user namespace where
# it is not root.
alone() {
	local user=()
	((EUID == 0)) || user=(--map-root-user)
	run timeout 60 unshare "${user[@]}" --net bash -euo pipefail -c "$1"
}

# complains STATUS TEXT: the last command failed so, with this in its first line, and at most a remedy after it.
complains() {
	[[ $status -eq $1 && ${lines[0]} == "vnic: cannot "*"$2"* && ${#lines[@]} -le 2 ]] ||
		{ echo "status $status: $output" && return 1; }
}

@test "a device is what was asked for, wherever the options stand" {
	needs_tun
	alone '
		"$VNIC" tap add one --owner root --group 0 --mac 02:00:00:00:00:07 --mtu 1400 --queues 4
		"$VNIC" tap add --mtu 1300 --tun --up two
		ip -brief link show one
		"$VNIC" tap list
		echo ===
		"$VNIC" tap list --json'
	[[ $status -eq 0 ]] || { echo "$output" && return 1; }
	[[ ${lines[0]} == one*02:00:00:00:00:07* ]]
	grep -qE '^one +tap +several +0 +0 +1400 down$' <<<"$output"
	grep -qE '^two +tun +one +- +- +1300 up$' <<<"$output"
	python3 -c '
import json, sys
one, two = json.load(sys.stdin)
assert one == {"name": "one", "kind": "tap", "multi_queue": True, "owner": 0, "group": 0, "mtu": 1400, "up": False}, one
assert two == {"name": "two", "kind": "tun", "multi_queue": False, "owner": None, "group": None, "mtu": 1300, "up": True}, two
' <<<"${output##*===}"
}

@test "a name that somebody else gave a device does nothing to the terminal" {
	needs_tun
	alone '
		python3 -c "
import fcntl, os, struct
fd = os.open(\"/dev/net/tun\", os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack(\"16sH22x\", b\"a\x1b[31mred\", 0x1002))
fcntl.ioctl(fd, 0x400454cb, 1)
"
		"$VNIC" tap list'
	[[ $status -eq 0 && $output == *"a?[31mred "* && $output != *$'\e'* ]] || { echo "$output" && return 1; }
}

@test "without devices the list is empty" {
	needs_tun
	alone '"$VNIC" tap list; "$VNIC" tap list --json'
	[[ $status -eq 0 && ${#lines[@]} -eq 2 && ${lines[0]} == NAME* && ${lines[1]} == "[]" ]] ||
		{ echo "$output" && return 1; }
}

@test "a device that ends with its program is not listed" {
	needs_tun
	alone '
		python3 -c "
import fcntl, os, struct, subprocess
fd = os.open(\"/dev/net/tun\", os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack(\"16sH22x\", b\"brief\", 0x1002))
print(subprocess.check_output([os.environ[\"VNIC\"], \"tap\", \"list\"], text=True), end=\"\")
"'
	[[ $status -eq 0 && ${#lines[@]} -eq 1 && $output == NAME* ]] || { echo "$output" && return 1; }
}

@test "adding a device that is there sets it up anew" {
	needs_tun
	alone '
		"$VNIC" tap add one
		"$VNIC" tap add one --mtu 1300
		"$VNIC" tap list'
	[[ $status -eq 0 && ${#lines[@]} -eq 2 && ${lines[1]} == one*1300* ]] || { echo "$output" && return 1; }
}

@test "deleting takes several, and says what was not there" {
	needs_tun
	alone '
		"$VNIC" tap add one
		"$VNIC" tap add --tun two
		"$VNIC" tap del one nobody two
		"$VNIC" tap del one
		"$VNIC" tap list'
	[[ $status -eq 0 && $output == $'nobody was not there\none was not there\n'NAME* ]] || { echo "$output" && return 1; }
}

@test "only devices of this kind are deleted" {
	needs_tun
	alone 'ip link add v0 type veth peer name v1; "$VNIC" tap del v0 || { echo "status $?"; ip -brief link show v0; }'
	[[ ${lines[0]} == "vnic: cannot delete link v0: "*"not a TAP or TUN device"* && ${lines[1]} == "status 1" &&
		${lines[2]} == v0@* ]] || { echo "$output" && return 1; }
}

@test "a device that another program has open is busy" {
	needs_tun
	alone '
		"$VNIC" tap add one
		python3 -c "
import fcntl, os, struct, subprocess
fd = os.open(\"/dev/net/tun\", os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack(\"16sH22x\", b\"one\", 0x1002))
for verb in \"add\", \"del\":
    print(subprocess.call([os.environ[\"VNIC\"], \"tap\", verb, \"one\"]), flush=True)
"'
	[[ $(grep -c 'one: Device or resource busy' <<<"$output") -eq 2 && $(grep -cx 1 <<<"$output") -eq 2 ]] ||
		{ echo "$output" && return 1; }
}

@test "a device of another kind is not taken over" {
	needs_tun
	alone '"$VNIC" tap add one; "$VNIC" tap add one --tun'
	complains 1 "one"
	alone 'ip link add one type veth peer name two; "$VNIC" tap add one'
	complains 1 "one"
}

@test "mistakes are told by argument and are status 2" {
	local args
	for args in "add" "add much-too-long-a-name" "add a/b" "add ." "add t%d" "add x --owner no-such-user" "add x --group no-such-group" \
		"add x --owner 4294967295" "add x --queues 0" "add x --queues 257" "add x --mtu 67" "add x --mtu big" \
		"add x --mac 01:00:00:00:00:00" "add x --mac 02:00" "add x y" "add x --qeues 2" "add x --tun=yes" \
		"add x --mtu" "del" "del much-too-long-a-name" "del x --json" "list x" "lst"; do
		# shellcheck disable=SC2086 # words
		run "$VNIC" tap $args
		[[ $status -eq 2 && ${#lines[@]} -eq 1 && $output == "vnic: cannot understand "* ]] ||
			{ echo "'$args': status $status: $output" && return 1; }
	done
	run "$VNIC" tap add ""
	[[ $status -eq 2 && ${#lines[@]} -eq 1 ]]
}

@test "a MAC for a TUN is refused before anything is made" {
	run "$VNIC" tap add x --tun --mac 02:00:00:00:00:07
	complains 2 "mac"
}

@test "without the privilege it says which" {
	needs_tun
	local without=()
	((EUID != 0)) || without=(setpriv --bounding-set=-net_admin --inh-caps=-net_admin --)
	run "${without[@]}" "$VNIC" tap add "e2e-$$"
	complains 3 "e2e-$$: Operation not permitted"
	[[ ${lines[1]} == "  try: "*CAP_NET_ADMIN*--owner* ]]
}

@test "what its owner may not do is told, and with the remedy it works" {
	needs_tun
	alone '
		owner() {
			exec 5< <(exec setpriv --bounding-set=-net_admin --inh-caps=-net_admin -- \
				"$VNIC" relay --ready-fd 3 "$@" "dgram:@e2e-$$" 3>&1 >&2)
			! read -r -t 20 -u 5 || kill "$!"
			wait "$!" || echo "status $?"
		}
		owner tap:one
		"$VNIC" tap add one --owner 0
		owner tap:one
		"$VNIC" tap add one --up
		owner tap:one,ip=10.9.0.1/24
		owner tap:one,mtu=1400
		echo "now it works"
		owner tap:one'
	[[ ${lines[0]} == "vnic: cannot create device one: Operation not permitted"* ]] || { echo "$output" && return 1; }
	[[ ${lines[1]} == "  try: "*"tap add NAME --owner root --up"* && ${lines[2]} == "status 3" ]]
	[[ ${lines[3]} == "vnic: cannot change link one: Operation not permitted" ]]
	[[ ${lines[4]} == "  try: "*"ip link set NAME up"* && ${lines[5]} == "status 3" ]]
	[[ ${lines[6]} == "vnic: cannot set address 10.9.0.1/24: Operation not permitted (of one)" ]]
	[[ ${lines[7]} == "  try: "*"no ip= here" && ${lines[8]} == "status 3" ]]
	[[ ${lines[9]} == "vnic: cannot set up device one: Operation not permitted (MTU 1400)" ]]
	[[ ${lines[10]} == "  try: "* && ${lines[11]} == "status 3" && ${lines[12]} == "now it works" && ${#lines[@]} -eq 13 ]]
}

@test "without /dev/net/tun it says how to get one" {
	local user=()
	((EUID == 0)) || user=(--map-root-user)
	run unshare "${user[@]}" --net --mount bash -c 'mount -t tmpfs tmpfs /dev; exec "$VNIC" tap add one'
	complains 3 "/dev/net/tun: No such file or directory"
	[[ ${lines[1]} == "  try: "*modprobe* ]]
}
