#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What `./dev run` shows: on TAPs where /dev/net/tun can be opened, else on veths.

@test "the demonstration runs to its end and leaves nothing" {
	run "$VNIC_TOP/examples/demo.sh" "$VNIC"
	echo "$output"
	[[ $status -eq 0 && $output == *"nothing of it is left"* ]]
	[[ $output != *$'\e'* ]] # for a terminal only
	names=$(grep -oE 'demo-(red|blue)-[0-9]+' <<<"$output" | sort -u)
	[[ $(wc -l <<<"$names") -eq 2 ]]
	run grep -F "$names" <("$VNIC" ns list)
	[[ $status -eq 1 ]]
}
