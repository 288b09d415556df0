#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The demonstration works, and so does every example whose first comment says how to run it and what it prints.

@test "the demonstration runs to its end and leaves nothing" {
	run "$VNIC_TOP/examples/demo.sh" "$VNIC"
	echo "$output"
	[[ $status -eq 0 && $output == *"nothing of it is left"* ]]
	names=$(grep -oE 'demo-(red|blue)-[0-9]+' <<<"$output" | sort -u)
	[[ $(wc -l <<<"$names") -eq 2 ]]
	run grep -F "$names" <("$VNIC" ns list)
	[[ $status -eq 1 ]]
}
