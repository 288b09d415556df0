#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The ways out of a sandbox: each works where it may, in the same run, and fails by default.  The tables are in
# tests/lib/gateway_egress.py, the host and the world outside are network namespaces of the test's own.

bats_require_minimum_version 1.5.0

# closed TABLE
closed() {
	local own=()
	((EUID == 0)) || own=(--user --map-current-user --keep-caps)
	# A sanitizer's search for leaks wants /proc, processes and memory: it is left to the tests that have them.
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 PYTHONDONTWRITEBYTECODE=1 \
		unshare --net "${own[@]}" python3 "$BATS_TEST_DIRNAME/../lib/gateway_egress.py" "$1"
}

@test "the host: its loopback, its addresses, all-zeros, IPv4-mapped ones, ping, abstract sockets" { closed host; }
@test "private, metadata, reserved and embedded addresses; resolvers, fragments, extension headers" { closed outside; }
@test "multicast and broadcast" { closed groups; }
@test "other protocols than TCP, UDP and ICMP, from a raw socket" { closed protocols; }
@test "packets from a packet socket" { closed packets; }
@test "packets with another source than the sandbox's" { closed spoofed; }
@test "a SYN cut into fragments" { closed cut_syns; }
