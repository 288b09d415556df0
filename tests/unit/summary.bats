#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/lib/summary decides whether './dev test' has passed.

# told LINE...: what the summary says of a log of these lines
told() {
	local dir=$BATS_TEST_TMPDIR/release/tests/results/unit
	mkdir -p "$dir"
	printf '%s\n' "$@" >"$dir/it.tap"
	run "$VNIC_TOP/tests/lib/summary" "${expected[@]}" "$dir/it.tap"
}

is() {
	[[ $status -eq $1 && $output == "$2" ]] || { echo "$status: $output" && return 1; }
}

@test "what passed is counted" {
	told 1..2 'ok 1 - one' 'ok 2 - two' '# exit status 0'
	is 0 "2 passed, 0 failed, 0 skipped"
}

@test "what failed is named and counted once" {
	told 1..2 'ok 1 - one' 'not ok 2 - two' '# exit status 1'
	is 1 $'FAILED: release unit/it : two\n1 passed, 1 failed, 0 skipped'
}

@test "a program that was killed has failed, with every test told or with none" {
	told 1..2 'ok 1 - one'
	is 1 $'FAILED: release unit/it : 1 of 2 tests ran, then it was killed\n1 passed, 1 failed, 0 skipped'
	told 1..1 'ok 1 - one'
	is 1 $'FAILED: release unit/it : 1 of 1 tests ran, then it was killed\n1 passed, 1 failed, 0 skipped'
	told '# unit/it'
	is 1 $'FAILED: release unit/it : 0 of 0 tests ran, then it was killed\n0 passed, 1 failed, 0 skipped'
}

@test "a program that ends early, though with status 0, has failed" {
	told 1..2 'ok 1 - one' '# exit status 0'
	is 1 $'FAILED: release unit/it : 1 of 2 tests ran\n1 passed, 1 failed, 0 skipped'
}

@test "a program that ends with another status has failed, whatever it told" {
	told 1..1 'ok 1 - one' '# exit status 139'
	is 1 $'FAILED: release unit/it : ended with 139\n1 passed, 1 failed, 0 skipped'
}

@test "a skip has its reason, and must be expected where there is a list" {
	told 1..2 'ok 1 - one # skip no tun' '# skip: no root' 'not ok 2 - two # SKIP' '# exit status 0'
	is 0 $'skipped: release unit/it : one : no tun\nskipped: release unit/it : two : no root\n0 passed, 0 failed, 2 skipped'
	echo '^release unit/it : one : no tun    # why' >"$BATS_TEST_TMPDIR/list"
	expected=(-v "expected=$BATS_TEST_TMPDIR/list")
	told 1..2 'ok 1 - one # skip no tun' 'ok 2 - two # skip whim' '# exit status 0'
	is 1 $'skipped: release unit/it : one : no tun\nFAILED: unexpected skip: release unit/it : two : whim\n0 passed, 1 failed, 2 skipped'
}
