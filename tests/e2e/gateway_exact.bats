#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Bytes arrive as they were sent; tests/lib/gateway_exact.py says over which ways.

bats_require_minimum_version 1.5.0

load ../lib/world

shows() { shows_of gateway_exact "$1"; }

@test "TCP, out: 2 KB in small and large writes, and 100 MB, are the same at the other end" { shows tcp_out; }
@test "TCP, published: 2 KB in small and large writes, and 100 MB, are the same at the other end" { shows tcp_published; }
