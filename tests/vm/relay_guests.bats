#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Three guests and a namespace on one relay: by QEMU's stream, by its datagrams, by the descriptor of a TAP.

bats_require_minimum_version 1.5.0
load ../lib/relay

setup_file() {
	export GUEST=$VNIC_TOP/build/guest
	((EUID != 0)) || [[ ! -r $GUEST/vmlinuz ]] || "$VNIC_TOP/tests/lib/make-guest" "$GUEST" "$BATS_FILE_TMPDIR/initrd" iperf3
}

# A TAP as descriptor 9 of a program: with_tap NAME PROGRAM...
with_tap='import fcntl, os, struct, sys
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, TUNSETIFF = 0x2, 0x1000, 0x4000, 0x400454ca
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", sys.argv[1].encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
os.dup2(tap, 9)
os.execvp(sys.argv[2], sys.argv[2:])'

# boot NETDEV MAC WORD...: its console is at $console, its process is $guest
boot() {
	exec {console}< <(exec timeout --foreground 110 setpriv --pdeathsig TERM "$VNIC" exec "$red" -- "${opens[@]}" \
		qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 160 -nodefaults -no-user-config -no-reboot -display none \
		-serial stdio -kernel "$GUEST/vmlinuz" -initrd "$BATS_FILE_TMPDIR/initrd" -netdev "$1" \
		-device "virtio-net-pci,netdev=n,mac=$2,romfile=" \
		-append "console=ttyS0 quiet panic=-1 no_timer_check ${*:3}" 2>&1)
	guest=$!
	sandbox+=" $guest"
}

# says CONSOLE TEXT: waits for the guest to say this, and prints the rest of the line.
says() {
	local line
	while IFS= read -r -t 110 line <&"$1"; do
		line=${line%$'\r'}
		echo "# $line" >&2
		[[ $line != "guest: $2"* ]] || { echo "${line#"guest: $2 "}" && return; }
	done
	return 1
}

@test "guests on a stream, on datagrams and on a TAP reach each other and a namespace, fetch 4 MB and run iperf3" {
	[[ -r $GUEST/vmlinuz ]] || skip "there is no kernel for a guest: './dev test vm' fetches it"
	((EUID == 0)) || skip "links of named namespaces want root"
	local dir=$BATS_TEST_TMPDIR stream dgram tap given sent arrived opens=()
	needs_tun
	"$VNIC" ns add "$red"
	"$VNIC" ns add "$blue"
	"$VNIC" exec "$red" -- ip tuntap add tap0 mode tap vnet_hdr
	"$VNIC" exec "$red" -- ip link set tap0 up
	start --json "stream:$dir/stream" "dgram:$dir/relay,peer=$dir/guest" link:tap0,netns="$red" \
		veth:eth0,netns="$blue",ip=10.9.0.4/24
	boot "stream,id=n,server=off,addr.type=unix,addr.path=$dir/stream" 02:00:00:00:00:01 \
		static=10.9.0.1/24 ping=10.9.0.2,10.9.0.3,10.9.0.4 iperf=server give=4000000
	stream=$console
	boot "dgram,id=n,local.type=unix,local.path=$dir/guest,remote.type=unix,remote.path=$dir/relay" 02:00:00:00:00:02 \
		static=10.9.0.2/24 ping=10.9.0.1,10.9.0.3,10.9.0.4 fetch=http://10.9.0.1/file give=1
	dgram=$console
	opens=(python3 -c "$with_tap" tap0)
	boot tap,id=n,fd=9,vhost=off 02:00:00:00:00:03 \
		static=10.9.0.3/24 ping=10.9.0.1,10.9.0.2,10.9.0.4 iperf=10.9.0.1 give=1
	tap=$console
	for guest in "$stream" "$dgram" "$tap"; do
		says "$guest" "reaches 10.9.0.4"
	done
	given=$(says "$stream" gives)
	[[ $given == "4000000 "* && $given == "$(says "$dgram" fetched)" ]]
	read -r sent arrived < <(says "$tap" measures)
	((sent >= 2000000 && arrived > 0 && arrived <= sent))
	says "$tap" gives
	for number in 1 2 3; do
		sends "$blue" 10.9.0.$number
	done
	stop TERM
	stats 'balanced(stats) and all(p["rx_frames"] > 0 and p["tx_frames"] > 0 for p in ports)'
}
