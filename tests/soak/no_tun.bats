#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# All end-to-end tests once more on a machine without /dev/net/tun (tests/root/no_tun.bats has a few of them, for every day).

bats_require_minimum_version 1.5.0

# Names of the tests that are about devices, or make one on the way.
about_devices='TAP|TUN|[^a-z]tap|[^a-z]tun|device|descriptor that was handed over|guest|06-own-loop|07-fd-passing|the demonstration|'
about_devices+='threads share the queues|without the privilege|deleting takes several'

@test "what wants no TAP or TUN works without /dev/net/tun" {
	local passed=0 failures=
	for file in "$VNIC_TOP"/tests/e2e/*.bats; do
		run unshare --mount --propagation private bash -euc 'mount -t tmpfs tmpfs /dev/net; exec bats --tap "$0"' "$file"
		passed=$((passed + $(grep '^ok' <<<"$output" | grep -vc '# skip' || true)))
		failures+=$(grep '^not ok' <<<"$output" | grep -vE "$about_devices" | sed "s|^|${file##*/}: |")
	done
	echo "# $passed passed" >&3
	((passed > 250)) && [[ -z $failures ]] || { echo "$failures" && return 1; }
}
