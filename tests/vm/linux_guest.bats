#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# as-user: --tun
# A real guest: Debian's cloud kernel and busybox in QEMU, without KVM.  Its host is a network namespace of the test's own,
# with servers and a resolver on its loopback; vnic has no privilege there when the test has none.

bats_require_minimum_version 1.5.0

setup_file() {
	export GUEST=$VNIC_TOP/build/guest
	[[ -r $GUEST/vmlinuz ]] || skip "there is no kernel for a guest: './dev test vm' fetches it"
	"$VNIC_TOP/tests/lib/make-guest" "$GUEST" "$BATS_FILE_TMPDIR/initrd"
	head -c 8000000 /dev/urandom >"$BATS_FILE_TMPDIR/file"
}

is() {
	[[ $1 == "$2" ]] || { printf 'wanted: %s\ngot:    %s\n' "$1" "$2" && return 1; }
}

# on_a_host: the script on standard input, run there
on_a_host() {
	local own=()
	((EUID == 0)) || own=(--user --map-current-user --keep-caps)
	unshare "${own[@]}" --net --mount bash -euo pipefail -c "$(declare -f is serve boot says); $prelude; $(cat)"
}

prelude='
	servers=() vnic= plain=()
	((EUID == 0)) || plain=(setpriv --inh-caps=-all --ambient-caps=-all)
	trap "kill \${vnic:-} \${servers[*]-} 2>/dev/null || true" EXIT
	ip link set lo up
	sum=$(sha256sum <"$BATS_FILE_TMPDIR/file")
	serve python3 "$VNIC_TOP/tests/lib/resolver.py" 127.0.0.53 192.0.2.7
	for address in 127.0.0.1 ::1; do
		serve python3 -u -m http.server 8000 --bind "$address" --directory "$BATS_FILE_TMPDIR" 2>/dev/null
	done
	echo "nameserver 127.0.0.53" >"$BATS_TEST_TMPDIR/resolv.conf"
	mount --bind "$BATS_TEST_TMPDIR/resolv.conf" /etc/resolv.conf'

# A server that says a line when it can be asked.
serve() {
	local ready
	exec {ready}< <(exec "$@")
	servers+=($!)
	read -r -t 30 _ <&"$ready"
}

# boot OPTION... -- QEMU-OPTION... -- WORD...: of vnic, of QEMU, for the guest
boot() {
	local options=() qemu=()
	while [[ $1 != -- ]]; do options+=("$1") && shift; done
	shift
	while [[ $1 != -- ]]; do qemu+=("$1") && shift; done
	shift
	exec {console}< <(exec "${plain[@]}" timeout --foreground 90 "$VNIC" vm "${options[@]}" -- \
		qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 192 -nodefaults -no-user-config -no-reboot -display none \
		-serial stdio -kernel "$GUEST/vmlinuz" -initrd "$BATS_FILE_TMPDIR/initrd" \
		-append "console=ttyS0 quiet panic=-1 no_timer_check $*" "${qemu[@]}" 2>&1)
	# shellcheck disable=SC2034 # tests wait for it
	vnic=$!
}

# Waits for the guest to say this, and prints the rest of the line.
says() {
	local line
	while IFS= read -r -t 90 line <&"$console"; do
		line=${line%$'\r'}
		echo "# $line" >&2
		[[ $line != "guest: $1"* ]] || { echo "${line#"guest: $1 "}" && return; }
	done
	return 1
}

@test "a guest gets a lease, resolves a name, fetches a file and serves one" {
	on_a_host <<-'END'
		boot --allow host --publish 127.0.0.1:8080:80 -- -netdev 'tap,id=n,fd={fd}' \
			-device 'virtio-net-pci,netdev=n,mac={mac},romfile=' -- name=name.test url=http://10.0.2.2:8000/file \
			'url6=http://[fd00::2]:8000/file' serve=80
		is 02:76:6e:69:63:10 "$(says mac)"
		is "10.0.2.100/24 10.0.2.2 10.0.2.3" "$(says lease)"
		is 192.0.2.7 "$(says name)"
		is "$sum" "$(says sum)"
		is "$sum" "$(says sum6)"
		says serves
		# It says so a moment before it listens.
		until page=$(exec 3<>/dev/tcp/127.0.0.1/8080 && cat <&3) 2>/dev/null && [[ $page ]]; do :; done
		is "from the guest" "$page"
		says done
		wait "$vnic"
	END
}

@test "a guest with two CPUs fetches by two queues" {
	on_a_host <<-'END'
		boot --allow host --nic tap,queues=2 -- -smp 2 -netdev 'tap,id=n,fds={fds},vhost=off' \
			-device 'virtio-net-pci,netdev=n,mac={mac},mq=on,vectors=6,romfile=' -- url=http://10.0.2.2:8000/file
		is 2 "$(says queues)"
		is "10.0.2.100/24 10.0.2.2 10.0.2.3" "$(says lease)"
		is "$sum" "$(says sum)"
		says done
		wait "$vnic"
	END
}

@test "the policy holds for a guest" {
	on_a_host <<-'END'
		boot -- -netdev 'tap,id=n,fd={fd}' -device 'virtio-net-pci,netdev=n,mac={mac},romfile=' -- \
			url=http://10.0.2.2:8000/file
		says lease
		is "$(sha256sum </dev/null)" "$(says sum)"
		says done
		wait "$vnic"
	END
}
