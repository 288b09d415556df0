#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# TCP from a sandbox to a world outside: many bytes, and many connections.

bats_require_minimum_version 1.5.0

load ../lib/world

shows() { shows_of gateway_tcp "$1"; }

@test "2 KB in writes of 1, 100 and 2048 bytes arrive as they were" { shows small; }
@test "100 MB arrive as they were, either way" { shows large; }
@test "10 MB in writes of odd sizes arrive as they were" { shows odd_writes; }
@test "100 MB each way at the same time arrive as they were" { shows both_ways; }
@test "where the user has used up his pages of pipes 100 MB arrive as they were, either way" {
	((EUID != 0)) || skip "root's gateway is another user"
	shows without_pipes
}

@test "while much is carried the gateway does not interrupt others, and afterwards it does" { shows turns; }
@test "2000 connections in a row all work, and are no more than that outside" { shows in_a_row; }
@test "500 connections at once all work" { shows at_once; }
