#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Of datagrams none is lost without need, and what the gateway loses is counted.

bats_require_minimum_version 1.5.0

load ../lib/world

shows() { shows_of gateway_udp "$1"; }

@test "where nothing is lost, nothing is counted as lost" { shows nothing_lost; }
@test "of thousands of questions to one server none is refused, lost or answered by another's answer" { shows many_to_one; }
@test "datagrams that come faster than they are taken are counted" { shows overrun; }
has_rings() { [[ $(printf '%s\n' 6.4 "$(uname -r)" | sort -V | head -n 1) == 6.4 ]] || skip "rings need Linux 6.4"; }
@test "a flood comes by a ring, whole, in order and counted, and when it has ended by its socket" { has_rings; shows by_a_ring; }
@test "a flood comes by its socket where the kernel has no rings for it, in order and counted" { shows without_rings; }
@test "a gateway that has no descriptor for a ring does without it" { has_rings; shows without_descriptors; }
@test "a gateway that is killed in a flood takes the sandbox with it" { has_rings; shows killed_in_a_flood; }
@test "a datagram that the host refuses to send is counted" { shows unsent; }
