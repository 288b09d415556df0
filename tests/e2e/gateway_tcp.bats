#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# TCP from a sandbox to a world outside that is a network namespace of the test's own (tests/lib/gateway_world.py).

bats_require_minimum_version 1.5.0

load ../lib/world

shows() { shows_of gateway_tcp "$1"; }

@test "a connection reaches the outside, IPv4 and IPv6" { shows connects; }
@test "a closed port refuses at once" { shows refused; }
@test "a host that cannot be reached is told at once" { shows unreachable; }
@test "where the host has IPv6 switched off a flow by it fails at once, and is not taken for one to the host" { shows switched_off; }
@test "a denied flow fails at once, and one line names the option that would allow it" { shows denied; }
@test "a client that ends first still gets the answer" { shows client_ends_first; }
@test "a server that ends first still gets the client's last words" { shows server_ends_first; }
@test "a client's port is used again at once after the server has ended the connection" { shows port_again; }
@test "a server's reset reaches the client" { shows server_resets; }
@test "a client's reset reaches the server" { shows client_resets; }
@test "five SYNs of one flow open one connection outside" { shows retransmitted; }
@test "data in a SYN is heard at once, IPv4 and IPv6" { shows data_in_syn; }
@test "a SYN that is a FIN too opens nothing outside" { shows syn_and_fin; }
@test "port 0 refuses at once" { shows port_zero; }
@test "a SYN cut into fragments opens nothing outside" { shows cut_syn; }
@test "a connection outside that nobody inside claims is closed" { shows unclaimed; }
@test "a killed client's connection outside is closed" { shows killed_client; }
@test "an idle gateway sleeps, with no flow and with one" { shows idle; }

@test "the gateway has as many descriptors after the flows as before" {
	((EUID == 0)) || skip "only root may look at the gateway's descriptors"
	shows descriptors
}
