#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# TCP in large numbers, and none at all.  Each prints what it measured.

# in_world NAME [COMMAND...]: that function of tests/lib/gateway_scale.py, in a new world
in_world() {
	PYTHONDONTWRITEBYTECODE=1 run "${@:2}" python3 "$VNIC_TOP/tests/lib/gateway_scale.py" "$1"
	printf '# %s\n' "${lines[@]#\# }" >&3
	[[ $status -eq 0 ]]
}

as_user() {
	in_world "$1" "$VNIC_TOP/tests/lib/as-user" -- unshare --net --user --map-current-user --keep-caps
}

as_root() {
	((EUID == 0)) || skip "only root may look at the gateway's memory"
	in_world "$1" unshare --net
}

@test "5000 connections that begin at once all come about, and no SYN is lost" { as_user burst; }
@test "5000 open flows take less than 100 MiB, and no pipe" { as_root many_open; }
@test "20000 connections in a row all work, IPv4 and IPv6" { as_user long_row; }
@test "an idle sandbox takes less than 8 MiB" { as_root idle_memory; }
@test "an idle gateway sleeps for a minute, with no flow and with one" { as_user idle; }
