#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# TCP from a sandbox to a world outside that is a network namespace of the test's own (tests/lib/gateway_world.py).

bats_require_minimum_version 1.5.0

# shows NAME: the function of that name in tests/lib/gateway_tcp.py, in a new world
shows() {
	local own=()
	((EUID == 0)) || own=(--user --map-current-user --keep-caps)
	# A sanitizer's search for leaks wants /proc, processes and memory: it is left to the tests that have them.
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 PYTHONDONTWRITEBYTECODE=1 \
		unshare --net "${own[@]}" python3 "$BATS_TEST_DIRNAME/../lib/gateway_tcp.py" "$1"
}

@test "a connection reaches the outside, IPv4 and IPv6" { shows connects; }
@test "a closed port refuses at once" { shows refused; }
@test "a host that cannot be reached is told at once" { shows unreachable; }
@test "a denied flow fails at once, and one line names the option that would allow it" { shows denied; }
@test "a client that ends first still gets the answer" { shows client_ends_first; }
@test "a server that ends first still gets the client's last words" { shows server_ends_first; }
@test "a server's reset reaches the client" { shows server_resets; }
@test "a client's reset reaches the server" { shows client_resets; }
@test "2 KB in writes of 1, 100 and 2048 bytes arrive as they were" { shows small; }
@test "100 MB arrive as they were, either way" { shows large; }
@test "10 MB in writes of odd sizes arrive as they were" { shows odd_writes; }
@test "100 MB each way at the same time arrive as they were" { shows both_ways; }
@test "2000 connections in a row all work, and are no more than that outside" { shows in_a_row; }
@test "500 connections at once all work" { shows at_once; }
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
