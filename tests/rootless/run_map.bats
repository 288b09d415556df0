#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Who the caller is in a sandbox that an ordinary user made.  as-user: --subids

@test "--map root makes the caller root inside" {
	run "$VNIC" run -- sh -c 'id -u; cat /proc/self/setgroups'
	[[ $status -eq 0 && ${lines[*]} == "0 deny" ]]
}

@test "--map self leaves the caller who he is" {
	run "$VNIC" run --map self -- id -u
	[[ $status -eq 0 && $output == "$(id -u)" ]]
}

@test "--map auto gives the sandbox the subordinate ids too" {
	run "$VNIC" run --map auto -- sh -c 'tr -s " " </proc/self/uid_map'
	[[ $status -eq 0 && ${lines[*]} == " 0 0 1  1 1 65536" ]]
}
