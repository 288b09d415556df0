#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Rules with names, between a sandbox and a world outside that is a network namespace of the test's own
# (tests/lib/gateway_world.py).

bats_require_minimum_version 1.5.0

load ../lib/world

shows() { shows_of gateway_names "$1"; }

@test "an address of a name is open once it was told, for the rule's ports and protocols" { shows told_first; }
@test "a rule with a name may be for one protocol, and covers aliases" { shows kinds; }
@test "hints in HTTPS records open what addresses do" { shows hints; }
@test "a wildcard covers the names below, and no others" { shows below; }
@test "a name opens neither the LAN nor the host nor metadata services" { shows rebinding; }
@test "a network that is denied stays denied whatever its names" { shows denied_network; }
@test "addresses in an answer that does not fit into a datagram are learnt" { shows large; }
@test "addresses that are asked for over TCP are learnt as well" { shows by_tcp; }
@test "a denial says which name to allow, each once" { shows said; }
@test "of the names that were denied the first 32 are told" { shows said_enough; }
@test "a denial names the longest name whole" { shows said_whole; }
@test "with --dns allowed only names in rules are resolved, whoever is asked, and by TCP too" { shows only_allowed; }
@test "with --dns allowed an answer that is too large is had over TCP" { shows only_allowed_large; }
@test "what --dns allowed denies is not proposed as a rule that cannot be" { shows no_remedy; }

refuses() {
	run "$VNIC" run "${@:2}" -- true
	[[ $status == 2 && $output == *"$1"* ]] || { echo "$status $output" && return 1; }
}

@test "names that would not confine are refused, with what to do" {
	refuses "all of the Internet is allowed: add --deny any" --allow example.org
	refuses "all of the Internet is allowed: leave out --allow internet" --deny any --allow internet --allow example.org
	refuses "leave out --dns none" --deny any --allow example.org --dns none
	refuses "no --allow has a name" --deny any --dns allowed
	refuses "a rule has no scheme and no path: example.org:443" --deny any --allow https://example.org/
	refuses "a name cannot be denied" --deny any --deny example.org
	refuses "has room for the name server" --deny any --allow example.org --nic veth,ip=10.1.0.1/30
	refuses "a name with a dot" --deny any --allow exampleorg
}
