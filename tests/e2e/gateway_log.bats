#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The log of flows, of a sandbox and a world outside that is a network namespace of the test's own
# (tests/lib/gateway_world.py).

bats_require_minimum_version 1.5.0

load ../lib/world

shows() { shows_of gateway_log "$1"; }

@test "a connection has a line when it begins and one when it ends" { shows tcp; }
@test "flows of UDP and ICMP end with the sandbox at the latest" { shows datagrams; }
@test "what is denied or fails has a line that says so" { shows outcomes; }
@test "a client of a published port is the remote" { shows published; }
@test "questions and the names of flows are in it" { shows names; }
@test "a pipe that is not read holds nothing up, and what is missing is told" { shows slow_reader; }
@test "neither does a reader who has gone, nor a full disk" { shows no_reader; }
@test "a line that a full disk cut is made whole when there is room" { shows cut; }

@test "a log is appended to, and a usage error makes none" {
	cd "$BATS_TEST_TMPDIR"
	echo before >log
	"$VNIC" run --log log -- true
	[[ $(<log) == before ]]
	run -2 "$VNIC" run --log new --nic none -- true
	[[ $output == *"--log"*"needs a NIC on the gateway"* && ! -e new ]]
	run -2 "$VNIC" run --log - --capture new -- true
	[[ $output == *"cannot understand --log -: the standard output is the command's; "*"--log >(jq .)"* ]]
	[[ ! -e - && ! -e new ]]
	run -2 "$VNIC" run --log log --capture ./log -- true
	[[ $output == *"cannot understand log: --capture and --log have this file"* && $(<log) == before ]]
	run -125 "$VNIC" run --log nowhere/log -- true
	[[ $output == *"nowhere/log: No such file or directory"* ]]
}
