#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic relay: files of captured frames are replayed and written.
# shellcheck disable=SC2154,SC2034 # what ../lib/relay sets and reads

load ../lib/relay

# frames FILE: what is in there, in hexadecimal.
frames() { tshark -n -r "$1" -x 2>"$BATS_TEST_TMPDIR/tshark"; }

# ten FILE: ten frames, 10 ms from each other.
ten() {
	python3 -c '
import struct, sys
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
    for i in range(10):
        frame = bytes.fromhex("02000000000202000000000188b5") + bytes([i]) * (46 + 9 * i)
        file.write(struct.pack("<IIII", 1700000000, i * 10000, len(frame), len(frame)) + frame)' "$1"
}

@test "a capture is replayed into a copy that has the same frames, whatever its format" {
	command -v editcap >/dev/null || skip "editcap is not installed"
	cd "$BATS_TEST_TMPDIR"
	ten ten
	frames ten >wanted
	[[ $(wc -l <wanted) -gt 40 ]]
	for format in pcap nsecpcap pcapng; do
		editcap -F "$format" ten "ten.$format"
		"$VNIC" relay pcap:"ten.$format",speed=max pcap:"copy.$format",write
		frames "copy.$format" | cmp - wanted
		capinfos "copy.$format" >info
		grep -q "Name = pcap:copy.$format" info
	done
	"$VNIC" relay pcap:copy.pcapng pcap:again,write # what we wrote ourselves
	frames again | cmp - wanted
}

@test "a capture is replayed into a namespace, and the relay ends when it is done" {
	"$VNIC" ns add "$red"
	ten "$BATS_TEST_TMPDIR/ten"
	"$VNIC" relay pcap:"$BATS_TEST_TMPDIR/ten",speed=2 veth:eth0,netns="$red",delay=20ms --json >"$BATS_TEST_TMPDIR/out"
	out=$BATS_TEST_TMPDIR/out
	stats 'ports[0]["rx_frames"] == ports[1]["tx_frames"] == 10 and not ports[0]["open"]'
}

@test "files that are no captures, or end too soon, are told of" {
	cd "$BATS_TEST_TMPDIR"
	ten ten
	run "$VNIC" relay pcap:none pcap:copy,write
	complains 1 "none: No such file"
	run "$VNIC" relay pcap:/dev/null pcap:copy,write
	complains 1 "/dev/null: "
	echo "this is text" >text
	run "$VNIC" relay pcap:text pcap:copy,write
	complains 1 "text: "
	[[ $output == *"neither pcap nor pcapng, at byte 0"* ]]
	head -c 200 ten >short
	run "$VNIC" relay pcap:short,speed=max pcap:copy,write
	complains 1 "pcap:short: "
	[[ $output == *"at byte 185"* ]]
}

@test "a disk that is full fails the run, and a capture that is not whole is warned about" {
	cd "$BATS_TEST_TMPDIR"
	ten ten
	run "$VNIC" relay pcap:ten,speed=max pcap:/dev/full,write
	complains 1 "pcap:/dev/full: No space left"
	run "$VNIC" relay pcap:ten,speed=max pcap:copy,write --capture /dev/full
	((status == 0))
	[[ $output == *"not all was captured: /dev/full: No space left"* ]]
}

@test "so does a file that must not grow" {
	! grep -qa __tsan_init "$VNIC" || skip "thread sanitizer writes a file when it starts"
	cd "$BATS_TEST_TMPDIR"
	ten ten
	run bash -c 'ulimit -f 0; exec "$VNIC" relay pcap:ten,speed=max pcap:copy,write'
	complains 1 "pcap:copy: File too large"
}

@test "a capture that is replayed is not written to by the same relay" {
	cd "$BATS_TEST_TMPDIR"
	ten ten
	cp ten kept
	for ports in "pcap:ten pcap:./ten,write" "pcap:ten pcap:copy,write --capture ten"; do
		# shellcheck disable=SC2086 # words on purpose
		run "$VNIC" relay $ports
		[[ $status -eq 2 && $output == *"choose another one"* ]]
	done
	cmp ten kept
}
