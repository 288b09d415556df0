#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A long stream through the gateway; prints its size, its checksum and how long it took.

@test "10 GB in one TCP stream arrive as they were sent" {
	own=()
	((EUID == 0)) || own=(--user --map-current-user --keep-caps)
	run unshare --net "${own[@]}" /usr/bin/python3 -B "$VNIC_TOP/tests/soak/stream.py"
	printf '# %s\n' "${lines[@]}" >&3
	[[ $status -eq 0 ]]
}
