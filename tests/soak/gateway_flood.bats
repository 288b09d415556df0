#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A minute of malformed packets, from inside a sandbox and straight onto the slow path; the build with AddressSanitizer
# is the one to run it on.  Each prints what it measured.

bats_require_minimum_version 1.5.0

show() {
	printf '# %s\n' "${lines[@]#\# }" >&3
	[[ $status -eq 0 ]]
}

@test "a minute of malformed packets from a sandbox stops no other flow" {
	local own=()
	((EUID == 0)) || own=(--user --map-current-user --keep-caps)
	export VNIC_FLOOD_SECONDS=60 PYTHONDONTWRITEBYTECODE=1 ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
	run unshare --net "${own[@]}" python3 "$BATS_TEST_DIRNAME/../lib/gateway_flood.py" goes_on
	show
}

@test "a minute of malformed frames on the slow path leaks nothing and stops no other flow" {
	VNIC_FLOOD_SECONDS=30 run "$VNIC_PREFIX/../tests/unit/slow_flood"
	show
}
