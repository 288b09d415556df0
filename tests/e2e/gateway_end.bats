#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What a sandbox has sent goes out although it has ended (tests/lib/gateway_end.py).

bats_require_minimum_version 1.5.0

load ../lib/world

shows() { shows_of gateway_end "$1"; }

@test "who sends 8 MiB and ends has sent them" { shows stream; }
@test "the same to a slow remote" { shows slow; }
@test "what is lost on the way is sent again" { shows lossy; }
@test "a server that ends after its first answer has given all of it" { shows answer; }
@test "who sends datagrams and ends has sent them" { shows datagrams; }
@test "a remote that takes nothing is given up, and told" { shows deaf; }
@test "nobody reads the resolv.conf of the host that is replaced meanwhile" { shows replaced; }
@test "who interrupts does not wait for it" { shows impatient; }
@test "nor who types Ctrl-C, though a shell had the terminal" { shows typed; }
@test "a helper that is killed meanwhile is told once" { shows killed; }
@test "a gateway that never comes to an end is ended" { shows silent; }
@test "connections that nobody uses hold up nobody" { shows idle; }
