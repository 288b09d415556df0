#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Sandboxes in sandboxes, and hosts whose own network is the one that sandboxes usually get.

bats_require_minimum_version 1.5.0

load ../lib/world

shows() { shows_of gateway_nested "$1"; }

@test "three deep, TCP and UDP reach the outside" { shows reaches_the_outside; }
@test "three deep, echo requests are answered" { shows pings_the_outside; }
@test "three deep, names are resolved by the host's resolver" { shows resolves_names; }
@test "three deep, a port published at each level leads inside" { shows is_published; }
@test "a sandbox in a sandbox has another network, and says so" { shows each_level_has_a_network; }
@test "where the host has 10.0.2.0/24 the whole plan moves, and one line says so" { shows moves; }
@test "where the host has 10.0.2.0/24 its neighbours there are reached" { shows neighbours_are_reached; }
@test "addresses that were asked for stay, and the host's are named" { shows a_choice_stands; }
@test "where only the IPv6 network moves nothing is said" { shows ipv6_moves_quietly; }
