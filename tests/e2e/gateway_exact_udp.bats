#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Bytes arrive as they were sent; tests/lib/gateway_exact.py says over which ways.

bats_require_minimum_version 1.5.0

load ../lib/world

shows() { shows_of gateway_exact "$1"; }

@test "UDP, out: 2 KB and 4 MB in small and large datagrams come back as they were" { shows udp_out; }
@test "UDP, published: 2 KB and 4 MB in small and large datagrams come back as they were" { shows udp_published; }
