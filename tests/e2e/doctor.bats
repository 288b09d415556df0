#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic doctor in places where something is missing: it finds it, and says how it is had.  as-user: --subids

bats_require_minimum_version 1.5.0

# examine SCRIPT: what the doctor finds where the script has been run, as root of a user namespace
examine() {
	run unshare --user --map-root-user --net --mount bash -euc "$1"'; exec "$VNIC" doctor --json'
	[[ $output != *"vnic doctor"* ]] # no remedy leads back here
}

# finds NAME STATE [TEXT]: the text is in what is said of it, or in the remedy
finds() {
	python3 -c '
import json, sys
name, state, text = (sys.argv[1:] + [""])[:3]
check, = (check for check in json.load(sys.stdin)["checks"] if check["name"] == name)
assert check["state"] == state and text in check["text"] + "; " + check.get("remedy", ""), check' "$@" <<<"$output"
}

@test "no more user namespaces: vnic run does not work, and the sysctl is named" {
	examine 'echo 0 >/proc/sys/user/max_user_namespaces'
	[[ $status -eq 1 ]]
	finds "user namespaces" missing max_user_namespaces
	finds "nf_tables, tproxy" missing max_user_namespaces
	run unshare --user --map-root-user bash -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$VNIC" run -- true'
	((status == 125))
}

@test "no IPv6, or none switched on" {
	examine 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6'
	((status == 0))
	finds IPv6 limited net.ipv6.conf.all.disable_ipv6=0
	examine 'mount -t tmpfs none /proc/sys/net'
	finds IPv6 limited "the kernel has no IPv6"
}

@test "where a command's remedy sends to the doctor, its own says the rest" {
	run "$BATS_TEST_DIRNAME/../lib/forbid" user-namespaces "$VNIC" doctor --json
	[[ $status -eq 1 && $output != *"vnic doctor"* ]]
	finds "user namespaces" missing "seccomp profile"
	run "$BATS_TEST_DIRNAME/../lib/forbid" netfilter "$VNIC" doctor --json
	[[ $status -eq 1 && $output != *"vnic doctor"* ]]
	finds "nf_tables, tproxy" missing "modprobe nf_tables"
}

@test "ping sockets are this group's or not" {
	examine 'echo 0 0 >/proc/sys/net/ipv4/ping_group_range'
	finds "ping sockets" ok
	examine : # a new network namespace allows nobody
	finds "ping sockets" limited ping_group_range
}

@test "a /proc/sys that is read-only" {
	examine 'mount --rbind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys'
	finds sysctls limited "writable /proc/sys"
	[[ $output == *"read-only: sandboxes have no IPv6"* ]]
}

@test "no /proc at all" {
	! grep -qaE '__[at]san_init' "$VNIC" || skip "vnic is built with a sanitizer" # which misses /proc itself
	examine 'mount -t tmpfs none /proc'
	[[ $status -eq 1 ]]
	finds sysctls limited "mount /proc"
}

@test "no device node for TAPs" {
	examine 'mount -t tmpfs none /dev && : >/dev/null'
	((status == 0))
	finds /dev/net/tun limited "No such file"
}

@test "the fast path of a relay is tried" {
	examine :
	finds "relay --fast-path" ok
	examine 'echo 0 >/proc/sys/user/max_net_namespaces'
	finds "relay --fast-path" limited "the limit on namespaces"
}

@test "a user with subordinate ids can have them mapped" {
	((EUID != 0)) || skip "root of the machine may have none"
	run "$VNIC" doctor --json
	finds "subordinate ids" ok
}

@test "a user without subordinate ids reads how he gets some, by his name" {
	run unshare --user --map-current-user --keep-caps --mount bash -euc '
		mount --bind /dev/null /etc/subuid
		exec "$VNIC" doctor --json'
	finds "subordinate ids" limited "--add-subgids 100000-165535 $(id -un)' gives ranges"
}
