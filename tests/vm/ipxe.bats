#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# as-user: --tun
# QEMU's own boot ROM as the guest: iPXE configures its NIC by DHCP, an advertisement and DHCPv6, finds nothing to boot, and stays.

bats_require_minimum_version 1.5.0

setup() {
	command -v qemu-system-x86_64 >/dev/null || skip "there is no QEMU: './dev test vm' installs it"
}

# boot DEVICE [OPTION...]: its console is at $console
boot() {
	exec {console}< <(exec timeout --foreground 60 "$VNIC" vm "${@:2}" -- \
		qemu-system-x86_64 -M q35,graphics=off -accel tcg -m 64 -nodefaults -no-user-config -display none \
		-serial stdio -boot n -netdev 'tap,id=n,fd={fd}' -device "$1,netdev=n,mac={mac}" 2>&1)
	vnic=$!
}

# Waits for a line of the console in which this is found.
says() {
	local line
	while IFS= read -r -t 60 line <&"$console"; do
		echo "# $line"
		[[ ! $line =~ $1 ]] || return 0
	done
	return 1
}

# Until nothing has the console open: QEMU has.
all_gone() {
	timeout 20 cat <&"$console" >/dev/null
	exec {console}<&-
}

@test "iPXE gets a lease on a virtio NIC, and an address by DHCPv6" {
	boot virtio-net-pci --nic tap,ip=10.0.2.100/24,ip=fd00::100/64
	says 'net0: 02:76:6e:69:63:10 '
	says 'net0: 10.0.2.100/255.255.255.0 gw 10.0.2.2'
	says 'net0: fd00::100/64 gw fe80::1'
	kill "$vnic"
	all_gone
}

@test "iPXE gets the lease that was planned on an e1000, which knows no offloads" {
	boot e1000 --nic tap,ip=10.9.0.7/20,gw=10.9.0.1,mac=02:00:00:00:00:07
	says 'net0: 02:00:00:00:00:07 '
	says 'net0: 10.9.0.7/255.255.240.0 gw 10.9.0.1'
	kill "$vnic"
	all_gone
}

@test "a killed QEMU ends vnic, and a killed vnic ends QEMU" {
	for victim in qemu-system-x86 vnic; do
		boot virtio-net-pci
		says 'Configuring'
		# timeout's child is vnic, whose children are its helpers and init, whose child is QEMU.
		pid=$(<"/proc/$vnic/task/$vnic/children")
		[[ $victim == vnic ]] || for child in $(<"/proc/${pid% }/task/${pid% }/children"); do
			[[ $(<"/proc/$child/comm") != vnic-init ]] || pid=$(<"/proc/$child/task/$child/children")
		done
		[[ $(<"/proc/${pid% }/comm") == "$victim" ]]
		kill -KILL "$pid"
		all_gone
		status=0
		wait "$vnic" || status=$?
		((status == 137))
	done
}
