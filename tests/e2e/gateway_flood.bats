#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A sandbox that floods its gateway with malformed packets; tests/soak/gateway_flood.bats takes a minute for it.

bats_require_minimum_version 1.5.0

@test "three seconds of malformed packets stop no other flow" {
	local own=()
	((EUID == 0)) || own=(--user --map-current-user --keep-caps)
	# A sanitizer's search for leaks wants /proc, processes and memory: it is left to the tests that have them.
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 PYTHONDONTWRITEBYTECODE=1 \
		unshare --net "${own[@]}" python3 "$BATS_TEST_DIRNAME/../lib/gateway_flood.py" goes_on
}
