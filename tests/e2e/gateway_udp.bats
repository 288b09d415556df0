#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Datagrams that the gateway loses are counted.

bats_require_minimum_version 1.5.0

# shows NAME: the function of that name in tests/lib/gateway_udp.py, in a new world
shows() {
	local own=()
	((EUID == 0)) || own=(--user --map-current-user --keep-caps)
	# A sanitizer's search for leaks wants /proc, processes and memory: it is left to the tests that have them.
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 PYTHONDONTWRITEBYTECODE=1 \
		unshare --net "${own[@]}" python3 "$BATS_TEST_DIRNAME/../lib/gateway_udp.py" "$1"
}

@test "where nothing is lost, nothing is counted as lost" { shows nothing_lost; }
@test "datagrams that come faster than they are taken are counted" { shows overrun; }
@test "a datagram that the host refuses to send is counted" { shows unsent; }
