#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# TCP in large numbers.  Each prints what it measured.

# shows NAME: the function of that name in tests/lib/gateway_scale.py, in a new world, for root and for a user
shows() {
	local in_world=(python3 "$BATS_TEST_DIRNAME/../lib/gateway_scale.py" "$1")
	export PYTHONDONTWRITEBYTECODE=1
	run "$VNIC_TOP/tests/lib/as-user" -- unshare --net --user --map-current-user --keep-caps "${in_world[@]}"
	printf '# as a user: %s\n' "${lines[@]#\# }" >&3
	[[ $status -eq 0 ]]
	((EUID == 0)) || return 0
	run unshare --net "${in_world[@]}"
	printf '# as root: %s\n' "${lines[@]#\# }" >&3
	[[ $status -eq 0 ]]
}

@test "5000 connections that begin at once all come about, and no SYN is sent twice" { shows burst; }
