#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic run where there is little of everything: one clear line, and nothing left.

bats_require_minimum_version 1.5.0

setup() {
	small=$BATS_TEST_TMPDIR/small
	mkdir "$small"
}

# in_small COMMAND: a shell's, in a mount namespace of its own, with a file system of 64 KiB at $small.
in_small() {
	small=$small run unshare --user --map-root-user --mount bash -c '
		mount -t tmpfs -o size=64k small "$small" || exit 99
		'"$1"
	[[ $status -ne 99 ]] || skip "an ordinary user may mount nothing here"
}

# one_line STATUS TEXT: what the last command said beside its own output, and at most a remedy after it.  That a busy
# machine captures fewer frames is true, but not what is asked here.
one_line() {
	output=$(grep -v "frames are not in the capture: they came faster" <<<"$output")
	[[ $status -eq $1 && $(grep -c "^vnic: " <<<"$output") -eq 1 && $output == *"$2"* ]] ||
		{ echo "status $status: $output" && return 1; }
}

@test "a capture on a full disk ends with a line, and its file can be read" {
	in_small '"$VNIC" run --allow host --capture "$small/c" -- python3 -c "
import socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(400):
    udp.sendto(bytes(1400), (\"10.0.2.2\", 9))
" && exec python3 - "$small/c" <<END
import struct, sys
data, at, packets = open(sys.argv[1], "rb").read(), 0, 0
while at + 8 <= len(data):
    kind, size = struct.unpack_from("<II", data, at)
    packets += kind == 6 and at + size <= len(data)
    at += size
assert packets > 10, packets
END'
	one_line 0 "the capture has ended: No space left on device"
}

@test "a state directory on a full disk is told, and the name is free" {
	in_small 'mkdir -m 700 "$small/vnic" && { cat /dev/zero >"$small/fill"; } 2>/dev/null
		for i in $(seq 1 100); do : >"$small/inode$i" || break; done 2>/dev/null
		export XDG_RUNTIME_DIR=$small; "$VNIC" run --name full -- true; status=$?
		[[ $status -eq 0 || $status -eq 125 ]] || exit 98
		[[ ! -s $small/vnic/full && ! -e $small/vnic/full.lock ]] || exit 97
		exit $status'
	((status == 0)) || one_line 125 "No space left on device"
}

@test "a capture above the limit of file sizes ends with a line" {
	run bash -c 'ulimit -f 8; exec "$VNIC" run --allow host --capture "$0/c" -- python3 -c "
import socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(400):
    udp.sendto(bytes(1400), (\"10.0.2.2\", 9))
"' "$BATS_TEST_TMPDIR"
	one_line 0 "the capture has ended: File too large"
}

@test "a capture with too few descriptors is one line or works" {
	local worked=0
	for limit in {8..48..4}; do
		run bash -c 'ulimit -n "$0"; exec "$VNIC" run --capture /dev/null -- true' "$limit"
		((status == 0)) && worked=1 && continue
		one_line 125 "ulimit -n" # also where other processes of the user have many in flight
	done
	((worked))
}

@test "a capture with too few processes is one line or works" {
	((EUID != 0)) || skip "root is not held by the limit on processes"
	export ASAN_OPTIONS=detect_leaks=0 # who looks for leaks is a process, too
	for limit in {1..12}; do
		run bash -c 'ulimit -u "$0" || exit 0; exec "$VNIC" run --capture /dev/null -- true' "$limit"
		((status == 0)) || one_line 125 "vnic: cannot "
	done
}

@test "a capture with too little memory is one line or works" {
	for limit in 12000 16000 24000 32000; do
		run bash -c 'ulimit -v "$0"; "$VNIC" run --capture /dev/null -- true; exit $((($? == 127) ? 0 : $?))' "$limit" # 127: the loader's
		[[ $output != *Sanitizer* ]] || continue # it maps memory of its own, and much of it
		((status == 0)) || one_line 125 "vnic: cannot "
	done
}
