#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# ICMP between a sandbox and a world outside that is a network namespace of the test's own (tests/lib/gateway_world.py).

bats_require_minimum_version 1.5.0

load ../lib/world

shows() { shows_of gateway_icmp "$1"; }

@test "echo requests of every size are answered, IPv4 and IPv6" { shows large; }
@test "a path's MTU is learnt by the sandbox, and what is too long is told" { shows too_big; }
@test "what the host itself cannot send whole is told" { shows too_big_for_the_host; }
@test "where the host forbids ping sockets, that is told once" { shows forbidden; }
@test "an unreachable or prohibited destination is told as it was said" { shows unreachable; }
@test "a closed UDP port is told" { shows closed; }
@test "other protocols than TCP, UDP and ICMP are refused at once" { shows protocols; }
@test "IPv6 options, and fragments that are whole, do not stop a flow" { shows options; }
@test "one hop leads to the router, two lead everywhere" { shows hops; }
