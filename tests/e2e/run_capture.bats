#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic run --capture: what a NIC carries is in the file, whatever ends first.

bats_require_minimum_version 1.5.0

setup() {
	file=$BATS_TEST_TMPDIR/c
}

# complains STATUS TEXT: the last `run` failed so, in one line with this in it.
complains() {
	[[ $status -eq $1 && ${#lines[@]} -eq 1 && $output == "vnic: cannot "*"$2"* ]] || { echo "status $status: $output" && return 1; }
}

# packets FILE [FIELD]...: of each packet in a capture its interface, whether it comes in, and the bytes wanted.
# A file that is not whole blocks, or a block that is not what its length says, fails.
packets() {
	python3 - "$1" <<'END'
import struct, sys

data = open(sys.argv[1], "rb").read()
at, names = 0, []
while at < len(data):
    kind, size = struct.unpack_from("<II", data, at)
    assert size % 4 == 0 and struct.unpack_from("<I", data, at + size - 4)[0] == size, at
    body = data[at + 8:at + size - 4]
    at += size
    if kind == 1:
        options = body[8:]
        code, length = struct.unpack_from("<HH", options)
        assert code == 2
        names.append(options[4:4 + length].decode())
    elif kind == 5:
        print("statistics", names[struct.unpack_from("<I", body)[0]])
    elif kind == 6:
        nic, _, _, captured, whole = struct.unpack_from("<IIIII", body)
        options = body[20 + (captured + 3 & ~3):]
        code, length, flags = struct.unpack_from("<HHI", options)
        assert (code, length) == (2, 4)
        print("packet", names[nic], {1: "in", 2: "out"}[flags & 3], captured, whole, body[20:20 + captured].hex())
END
}

# no_complaint FILE: nor has tshark one.
no_complaint() {
	command -v tshark >/dev/null || return 0
	tshark -n -r "$1" 2>&1 >/dev/null | { ! grep -v 'Running as user'; }
	capinfos "$1" >/dev/null
}

@test "a capture has what the NIC carried, both ways, and its counters" {
	"$VNIC" run --capture "$file" -- ping -c 3 -i 0.01 -q -W 5 -p c0ffee 10.0.2.2
	packets "$file" >"$BATS_TEST_TMPDIR/packets"
	[[ $(grep -c "packet eth0 out .*c0ffeec0ffee" "$BATS_TEST_TMPDIR/packets") -eq 3 ]]
	[[ $(grep -c "packet eth0 in .*c0ffeec0ffee" "$BATS_TEST_TMPDIR/packets") -eq 3 ]]
	[[ $(tail -1 "$BATS_TEST_TMPDIR/packets") == "statistics eth0" ]]
	no_complaint "$file"
}

@test "the last frame before the end is there" {
	for _ in 1 2 3 4 5; do
		"$VNIC" run --capture "$file" -- bash -c 'echo 0123456789 >/dev/udp/10.0.2.2/9'
		packets "$file" | grep >/dev/null "packet eth0 out .*30313233343536373839" || return 1
	done
}

@test "every NIC is an interface of the file, and what is denied is in it" {
	"$VNIC" run --nic veth --nic veth,name=lan0,to=none,ip=10.7.0.1/24 --deny internet --capture "$file" -- \
		bash -c 'ping -c 1 -W 5 -q -p a1a1a1 10.0.2.2; ping -c 1 -W 0.1 -q -p b2b2b2 10.7.0.9; ! ping -c 1 -W 5 -q -p c3c3c3 192.0.2.1'
	packets "$file" >"$BATS_TEST_TMPDIR/packets"
	grep -q "packet eth0 out .*a1a1a1a1" "$BATS_TEST_TMPDIR/packets"
	grep -q "packet eth0 out .*c3c3c3c3" "$BATS_TEST_TMPDIR/packets"
	grep -q "packet lan0 out .*ffffffffffff" "$BATS_TEST_TMPDIR/packets"
	no_complaint "$file"
}

@test "a tag that the sandbox puts on a frame is in the capture" {
	"$VNIC" run --capture "$file" -- python3 -c '
import socket
nic = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
nic.bind(("eth0", 0))
nic.send(bytes.fromhex("ffffffffffff" "020000000009" "81000007" "88b5") + bytes(50))'
	packets "$file" | grep >/dev/null "packet eth0 out 68 68 ffffffffffff0200000000098100000788b500"
}

@test "a guest's NIC is captured too" {
	{ : <>/dev/net/tun; } 2>/dev/null || skip "/dev/net/tun cannot be opened"
	"$VNIC" vm --capture "$file" -- python3 -c '
import os, sys
os.write(int(sys.argv[1]), bytes(10) + bytes.fromhex("ffffffffffff" "020000000009" "88b5") + b"guest" * 20)' '{fd}'
	packets "$file" | grep >/dev/null "packet eth0 out 114 114 ffffffffffff02000000000988b56775657374" # guest
	no_complaint "$file"
}

@test "a snap length cuts what is written, and says how long it was" {
	"$VNIC" run --capture "$file" --snaplen 64 -- ping -c 1 -q -W 5 -s 1000 10.0.2.2
	packets "$file" | grep >/dev/null "packet eth0 out 64 1042 "
	packets "$file" | { ! awk '$1 == "packet" && $4 > 64' | grep .; }
}

@test "captures of a size take turns" {
	"$VNIC" run --capture "$file" --capture-size 1 --capture-files 2 -- python3 -c '
import socket, threading
server = socket.create_server(("10.0.2.100", 0))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    for i in range(4000):
        udp.sendto(bytes(1400), ("10.0.2.2", 9))'
	[[ $(basename -a "$file".*|xargs) == "c.0 c.1" ]]
	for it in "$file".*; do
		packets "$it" >/dev/null
		no_complaint "$it"
	done
}

@test "a file that cannot be written ends the capture and not the command" {
	run "$VNIC" run --capture /dev/full -- sh -c 'ping -c 1 -q -W 5 10.0.2.2 >&2; exit 7'
	[[ $status -eq 7 && $output == *"the capture has ended: No space left on device"* ]]
}

@test "whoever is killed, the file can be read, and nothing stays" {
	for victim in front capture init; do
		coproc "$VNIC" run --capture "$file" -- sh -c 'ping -c 2 -i 0.01 -q -W 5 -p c0ffee 10.0.2.2 >&2; echo on; exec sleep 60' 2>/dev/null
		read -r -t 20 -u "${COPROC[0]}" _
		front=$COPROC_PID
		capture=$(pgrep -P "$front" -x vnic-capture)
		case $victim in
		front) kill -KILL "$front" ;;
		capture) kill -KILL "$capture"; "$VNIC_TOP/tests/lib/await-end" "$capture"; kill -TERM "$front" ;;
		init) kill -KILL "$(pgrep -P "$front" -x vnic-init)" ;;
		esac
		wait "$front" || true
		"$VNIC_TOP/tests/lib/await-end" "$capture"
		[[ $victim == capture ]] || packets "$file" | grep "packet eth0 out .*c0ffeec0ffee" >/dev/null || return 1
		packets "$file" >/dev/null
	done
}

@test "what cannot be captured is refused in a line" {
	run -2 "$VNIC" run --nic none --capture "$file" -- true
	complains 2 "there is no NIC to capture"
	run -2 "$VNIC" run --nic tap,to=none --capture "$file" -- true
	complains 2 "not a tap with to=none"
	run -2 "$VNIC" run --capture - -- true
	complains 2 "the standard output is the command's"
	run -2 "$VNIC" run --snaplen 64 -- true
	complains 2 "this option needs --capture"
	run -125 "$VNIC" run --capture "$BATS_TEST_TMPDIR/none/c" -- true
	complains 125 "No such file or directory"
}

@test "what is refused leaves a file as it was" {
	echo mine >"$file"
	for options in "--share net" "--nic none" "--nic veth,name=a --nic veth,name=a"; do
		# shellcheck disable=SC2086 # words
		run "$VNIC" run $options --capture "$file" -- true
		[[ $status -eq 2 && $(<"$file") == mine ]] || { echo "$options: $status: $output" && return 1; }
		# shellcheck disable=SC2086
		run "$VNIC" run $options --capture "$file.new" -- true
		[[ $status -eq 2 && ! -e $file.new ]]
	done
}
