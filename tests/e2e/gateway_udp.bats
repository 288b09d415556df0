#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Of datagrams none is lost without need, and what the gateway loses is counted.

bats_require_minimum_version 1.5.0

load ../lib/world

shows() { shows_of gateway_udp "$1"; }

@test "where nothing is lost, nothing is counted as lost" { shows nothing_lost; }
@test "of thousands of questions to one server none is refused, lost or answered by another's answer" { shows many_to_one; }
@test "datagrams that come faster than they are taken are counted" { shows overrun; }
@test "a datagram that the host refuses to send is counted" { shows unsent; }
