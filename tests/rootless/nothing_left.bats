#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The short forms of tests/soak/*.py: what is killed, refused or simply ends leaves nothing.  as-user: --tun

# soak PROGRAM ARGUMENTS...: says what failed.
soak() {
	run /usr/bin/python3 -B "$VNIC_TOP/tests/soak/$1" "${@:2}"
	grep -vE '^ok' <<<"$output" || true
	[[ $status -eq 0 ]]
}

# ptrace(2) is in the way of a leak check, and a sanitizer's own calls and memory of limits and faults.
not_with_a_sanitizer() {
	! grep -qaE '__[at]san_init' "$VNIC" || skip "vnic is built with a sanitizer"
}

@test "twenty sandboxes, relays, namespaces and devices leave nothing" {
	soak cycles.py --cycles 20 --seconds 0 --workers 4
}

@test "two random kills of each command leave nothing" {
	# LeakSanitizer's own process would be killed too, and the one that waits for it spins.
	export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
	soak kill.py --random 2
}

@test "a kill at every 400th system call leaves nothing" {
	not_with_a_sanitizer
	soak kill.py --every 400
}

@test "a system call of set-up that fails is told in one line, and leaves nothing" {
	not_with_a_sanitizer
	soak inject.py --every 600 --no-limits
}

@test "a namespace is added whole and said to be, or is not there and an error said, whichever system call fails" {
	not_with_a_sanitizer
	soak inject.py --only '^ns add$' --no-limits
}
