#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# ICMP between a sandbox and a world outside that is a network namespace of the test's own (tests/lib/gateway_world.py).

bats_require_minimum_version 1.5.0

# shows NAME: the function of that name in tests/lib/gateway_icmp.py, in a new world
shows() {
	local own=()
	((EUID == 0)) || own=(--user --map-current-user --keep-caps)
	# A sanitizer's search for leaks wants /proc, processes and memory: it is left to the tests that have them.
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 PYTHONDONTWRITEBYTECODE=1 \
		unshare --net "${own[@]}" python3 "$BATS_TEST_DIRNAME/../lib/gateway_icmp.py" "$1"
}

@test "echo requests of every size are answered, IPv4 and IPv6" { shows large; }
@test "a path's MTU is learnt by the sandbox, and what is too long is told" { shows too_big; }
@test "what the host itself cannot send whole is told" { shows too_big_for_the_host; }
@test "an unreachable or prohibited destination is told as it was said" { shows unreachable; }
@test "a closed UDP port is told" { shows closed; }
@test "other protocols than TCP, UDP and ICMP are refused at once" { shows protocols; }
@test "IPv6 options, and fragments that are whole, do not stop a flow" { shows options; }
@test "one hop leads to the router, two lead everywhere" { shows hops; }
