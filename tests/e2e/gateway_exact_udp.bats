#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Bytes arrive as they were sent; tests/lib/gateway_exact.py says over which ways.

bats_require_minimum_version 1.5.0

# shows NAME: the function of that name in tests/lib/gateway_exact.py, in a new world
shows() {
	local own=()
	((EUID == 0)) || own=(--user --map-current-user --keep-caps)
	# A sanitizer's search for leaks wants /proc, processes and memory: it is left to the tests that have them.
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 PYTHONDONTWRITEBYTECODE=1 \
		unshare --net "${own[@]}" python3 "$BATS_TEST_DIRNAME/../lib/gateway_exact.py" "$1"
}

@test "UDP, out: 2 KB and 4 MB in small and large datagrams come back as they were" { shows udp_out; }
@test "UDP, published: 2 KB and 4 MB in small and large datagrams come back as they were" { shows udp_published; }
