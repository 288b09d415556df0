#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic relay: captures, read by who knows pcapng best.
# shellcheck disable=SC2154 # what ../lib/relay sets

load ../lib/relay

# shows FILE [OPTION]...: what tshark says of a capture, without a word of complaint.
shows() {
	tshark -n -r "$@" 2>"$BATS_TEST_TMPDIR/tshark"
	! grep -v 'Running as user' "$BATS_TEST_TMPDIR/tshark"
}

@test "a capture has the ports' names, directions, drops and their reasons" {
	command -v tshark >/dev/null || skip "tshark is not installed"
	"$VNIC" ns add "$red" && "$VNIC" ns add "$blue"
	start veth:eth0,netns="$red",ip=10.9.0.1/24,"in.filter=not udp" veth:eth0,netns="$blue",ip=10.9.0.2/24 \
		--capture "$BATS_TEST_TMPDIR/c" --capture-both --capture-drops
	"$VNIC" exec "$red" -- bash -c 'echo x >/dev/udp/10.9.0.2/9'
	sends "$red" 10.9.0.2 -c 3 -i 0.01 # behind it
	stop TERM
	[[ $(shows "$BATS_TEST_TMPDIR/c" -Y 'icmp.type == 8' -T fields -e frame.interface_name -e frame.packet_flags_direction | sort | uniq -c | tr -s ' \t' ' ') == \
		" 3 veth:eth0@$blue 0x00000002"$'\n'" 3 veth:eth0@$red 0x00000001" ]]
	[[ $(shows "$BATS_TEST_TMPDIR/c" -Y udp -T fields -e frame.comment) == "dropped: filtered" ]]
	capinfos "$BATS_TEST_TMPDIR/c" >"$BATS_TEST_TMPDIR/info"
	grep -q "Name = veth:eth0@$red" "$BATS_TEST_TMPDIR/info"
}

@test "a capture is read from a pipe while it is made, and its reader may go" {
	"$VNIC" ns add "$red" && "$VNIC" ns add "$blue"
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	python3 -c '
import struct, sys
with open(sys.argv[1], "rb") as pipe:
    kinds, packets = [], 0
    while packets < 4:
        kind, size = struct.unpack("<II", pipe.read(8))
        body = pipe.read(size - 8)
        assert struct.unpack("<I", body[-4:])[0] == size
        kinds.append(kind)
        packets += kind == 6
        assert kind != 6 or struct.unpack("<I", body[12:16])[0] <= 64
print(*sorted(set(kinds)))' "$BATS_TEST_TMPDIR/fifo" >"$BATS_TEST_TMPDIR/kinds" &
	reader=$!
	start veth:eth0,netns="$red",ip=10.9.0.1/24 veth:eth0,netns="$blue",ip=10.9.0.2/24 \
		--capture "$BATS_TEST_TMPDIR/fifo" --snaplen 64
	sends "$red" 10.9.0.2 -c 3 -i 0.01
	wait "$reader"
	[[ $(<"$BATS_TEST_TMPDIR/kinds") == "1 6 168627466" ]]
	sends "$red" 10.9.0.2 -c 3 -i 0.2 # nobody reads any more, and frames pass
	stop TERM
}

@test "a terminal that hangs up leaves a whole capture and no socket, and under nohup the relay goes on" {
	"$VNIC" ns add "$red" && "$VNIC" ns add "$blue"
	local ports=("veth:eth0,netns=$red,ip=10.9.0.1/24" "veth:eth0,netns=$blue,ip=10.9.0.2/24")
	start "${ports[@]}" --capture "$BATS_TEST_TMPDIR/c" --control "$BATS_TEST_TMPDIR/control"
	sends "$red" 10.9.0.2
	stop HUP
	[[ -s $BATS_TEST_TMPDIR/c && ! -e $BATS_TEST_TMPDIR/control ]]
	trap '' HUP
	start "${ports[@]}"
	kill -HUP "$relay"
	sends "$red" 10.9.0.2
	stop TERM
}

@test "captures of a size take turns" {
	"$VNIC" ns add "$red" && "$VNIC" ns add "$blue"
	start veth:eth0,netns="$red",ip=10.9.0.1/24 veth:eth0,netns="$blue",ip=10.9.0.2/24 \
		--capture "$BATS_TEST_TMPDIR/c" --capture-size 1 --capture-files 3
	carries "$red" "$blue" 10.9.0.2
	stop TERM
	[[ $(cd "$BATS_TEST_TMPDIR" && echo c.*) == "c.0 c.1 c.2" ]]
	for it in "$BATS_TEST_TMPDIR"/c.*; do
		(($(stat -c %s "$it") < 4 << 20)) # it may end with the turn
		[[ ! $(command -v tshark) ]] || shows "$it" -c 1 >/dev/null
	done
}
