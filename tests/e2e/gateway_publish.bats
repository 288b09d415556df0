#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Published ports: TCP and UDP from a world outside that is a network namespace of the test's own (tests/lib/gateway_world.py).

bats_require_minimum_version 1.5.0

load ../lib/world

shows() { shows_of gateway_publish "$1"; }

@test "a port leads inside from each of the host's addresses and shows the client's own" { shows one_port; }
@test "a port may lead to another port inside" { shows another_port; }
@test "a range leads to a range, and not a port further" { shows a_range; }
@test "a port bound to an address is on no other" { shows bound; }
@test "loopback and the sandbox's own address become the router's, others stay" { shows sources; }
@test "localhost, ::1 or 127.0.0.1, reaches a server that has the other family only" { shows localhost; }
@test "a client that is there twice from one port gets in twice" { shows same_tuple; }
@test "a port in use is one clear line" { shows in_use; }
@test "ports are free again when vnic run returns, 20 times" { shows free_again; }
@test "2 KB in writes of 1, 100 and 2048 bytes arrive as they were" { shows small; }
@test "100 MB arrive as they were, either way" { shows large; }
@test "a port that nobody listens on inside resets the client" { shows nobody_listens; }
@test "a reset passes in and out" { shows resets; }
@test "500 connections at once all work, for each address" { shows at_once; }
@test "2000 connections in a row all work" { shows in_a_row; }
@test "clients who take all that they get leave the sandbox its own flows" { shows take_all; }
@test "UDP: a port leads inside, and answers come from the address that was asked" { shows udp_one_port; }
@test "UDP: a range leads to a range, and not a port further" { shows udp_a_range; }
@test "UDP: a port bound to an address is on no other" { shows udp_bound; }
@test "UDP: loopback and the sandbox's own address become the router's, others stay" { shows udp_sources; }
@test "UDP: a client at two published ports and two addresses is told apart" { shows udp_same_tuple; }
@test "UDP: 100 clients of one port each hear their own answers" { shows udp_clients; }
@test "UDP: what the sandbox sends to a client unasked leaves from the published port" { shows udp_both_begin; }
@test "UDP: a port in use is one clear line" { shows udp_in_use; }
@test "UDP: ports are free again when vnic run returns, 20 times" { shows udp_free_again; }
@test "UDP: a service that starts late is reached by a client that was there before" { shows udp_nobody_listens; }
