#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh VNIC: what vnic does, in five steps, each with the command that does it.  Needs no root and leaves nothing.
set -euo pipefail
vnic=$1 relay=''
red=demo-red-$$ blue=demo-blue-$$

bold='' plain=''
[[ ! -t 1 ]] || bold=$'\e[1m' plain=$'\e[0m'

show() { printf '\n%s$ %s%s\n' "$bold" "${*//"$vnic"/vnic}" "$plain"; }
step() { show "$@" && "$@"; }

finish() {
	local status=$?
	[[ ! $relay ]] || { kill "$relay" && wait "$relay"; } 2>/dev/null || true
	"$vnic" ns del "$red" &>/dev/null || true
	"$vnic" ns del "$blue" &>/dev/null || true
	((status == 0)) || echo "demo.sh: it did not work here; 'vnic doctor' may know why" >&2
	exit $status
}
trap finish EXIT

echo "A sandbox with a NIC: its addresses, and its router by IPv4 and IPv6."
step "$vnic" run -- ip -brief address
step "$vnic" run --nic veth,ip=10.9.0.7/24,ip=fd09::7/64 -- ping -c 2 -i 0.2 10.9.0.2
step "$vnic" run --nic veth,ip=10.9.0.7/24,ip=fd09::7/64 -- ping -c 2 -i 0.2 fd09::2

# A TAP is what a virtual machine would have; a veth does the same where /dev/net/tun is closed.
port=veth
{ : <>/dev/net/tun; } 2>/dev/null && port=tap

printf '\n%s\n' "Two namespaces, joined by a relay that moves the frames in user space ($port)."
step "$vnic" ns add "$red"
step "$vnic" ns add "$blue"
show "$vnic" relay "$port:eth0,netns=$red,ip=10.9.0.1/24" "$port:eth0,netns=$blue,ip=10.9.0.2/24" "&"
exec 5< <(exec "$vnic" relay --ready-fd 3 "$port:eth0,netns=$red,ip=10.9.0.1/24" \
	"$port:eth0,netns=$blue,ip=10.9.0.2/24" 3>&1 >&2)
relay=$!
read -r -t 20 -u 5 # the relay writes a line when its ports are open
step "$vnic" exec "$red" -- ping -c 3 -i 0.2 10.9.0.2

printf '\n%s\n' "Done; nothing of it is left."
