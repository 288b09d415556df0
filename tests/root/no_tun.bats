#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The end-to-end tests of the network once more, on a machine without /dev/net/tun.

bats_require_minimum_version 1.5.0

# works FILE [FILTER]: tests that want the device skip themselves, and there are others
works() {
	run unshare --mount --propagation private bash -euc 'mount -t tmpfs tmpfs /dev/net; exec bats --tap --filter "$1" "$0"' \
		"$VNIC_TOP/tests/e2e/$1.bats" "${2-.}"
	[[ $status -eq 0 && $output != *"not ok"* ]] || { echo "$output" && return 1; }
	(($(grep -c '^ok' <<<"$output") > $(grep -c '# skip' <<<"$output") + 3))
}

@test "sandboxes and their NICs work without /dev/net/tun" { works run_network "one veth|are as asked|several NICs|--map says"; }
@test "names work without /dev/net/tun" { works dns; }
@test "what is published works without /dev/net/tun" { works gateway_publish; }
