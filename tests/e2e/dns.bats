#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Names: the sandbox asks the forwarder, the forwarder asks the host's resolvers.
#
# Each test has a host of its own: a network namespace with a loopback and nothing else, resolvers on it, and an /etc that
# it may change.

bats_require_minimum_version 1.5.0

is() {
	[[ $1 == "$2" ]] || { printf 'wanted: %s\ngot:    %s\n' "$1" "$2" && return 1; }
}

# The script on standard input, run on such a host; it has $vnic and the functions below.
on_a_host() {
	local map=()
	((EUID == 0)) || map=(--user --map-root-user)
	unshare "${map[@]}" --net --mount bash -euo pipefail -c "$(declare -f resolver names replace); $prelude; $(cat)"
}

prelude='
	vnic=$VNIC dir=$BATS_TEST_TMPDIR resolvers=()
	trap "[[ -z \${resolvers[*]-} ]] || kill \${resolvers[*]}" EXIT
	ip link set lo up
	mkdir "$dir/etc"
	cp -L /etc/passwd /etc/group /etc/protocols /etc/services /etc/ld.so.cache /etc/hosts "$dir/etc" 2>/dev/null || true
	echo "hosts: files dns" >"$dir/etc/nsswitch.conf"
	mount --bind "$dir/etc" /etc
	names 127.0.0.53'

# resolver ADDRESS ANSWER
resolver() {
	exec {ready}< <(exec python3 "$VNIC_TOP/tests/lib/resolver.py" "$@")
	resolvers+=($!)
	read -r _ <&"$ready"
}

# What the host's resolv.conf names, and a short patience of the C library.
names() {
	printf 'nameserver %s\n' "$@" >/etc/resolv.conf
	printf 'search example.org\noptions timeout:20 attempts:1\n' >>/etc/resolv.conf
}

replace() {
	printf 'nameserver %s\n' "$@" >/etc/new
	mv /etc/new /etc/resolv.conf
}

@test "the host's loopback resolver answers, over UDP, and over TCP what is large" {
	on_a_host <<-'END'
		resolver 127.0.0.53 192.0.2.1
		[[ $("$vnic" run -- getent hosts name.test) == 192.0.2.1*name.test ]]
		[[ $("$vnic" run -- getent ahostsv4 big | grep -c STREAM) == 100 ]]
	END
}

@test "a C library that always asks over TCP is answered, and its questions are logged" {
	on_a_host <<-'END'
		resolver 127.0.0.53 192.0.2.1
		echo 'options use-vc' >>/etc/resolv.conf
		[[ $("$vnic" run --log "$dir/log" --stats --json -- getent ahostsv4 big 2>"$dir/stats" | grep -c STREAM) == 100 ]]
		grep -q '"event":"open".*"proto":"tcp".*"remote_port":53}' "$dir/log"
		grep -q '"event":"question","proto":"dns".*"local":"10.0.2.100".*"name":"big.example.org"}' "$dir/log"
		! grep '"proto":"udp"' "$dir/log" || exit 1
		grep -q '"dns":{"queries":\([1-9]\),"open":0,"answers":\1,' "$dir/stats"
	END
}

@test "of several resolvers those that take no connection are passed over, for who asks over TCP" {
	on_a_host <<-'END'
		resolver 127.0.0.53 192.0.2.1
		ip link add silent type veth peer other
		ip link set other up
		ip link set silent up
		ip route add 192.0.2.99 dev silent
		ip neigh add 192.0.2.99 dev silent lladdr 02:00:00:00:00:99
		names 127.0.0.1 192.0.2.99 127.0.0.53
		echo 'options use-vc' >>/etc/resolv.conf
		[[ $("$vnic" run --log "$dir/log" -- getent ahostsv4 name.test) == 192.0.2.1*name.test* ]]
		! grep '"failed"' "$dir/log" || exit 1
		names 127.0.0.1 127.0.0.2
		echo 'options use-vc' >>/etc/resolv.conf
		! "$vnic" run --log "$dir/none" -- getent hosts a.test || exit 1
		grep -q '"failed".*"remote_port":53.*refused' "$dir/none"
	END
}

@test "the forwarder can be asked by IPv6 too" {
	on_a_host <<-'END'
		resolver 127.0.0.53 192.0.2.1
		"$vnic" run -- python3 - <<-'PYTHON'
			import socket
			s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
			s.settimeout(10)
			s.sendto(b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\x04name\x00\x00\x01\x00\x01", ("fd00::3", 53))
			answer, whom = s.recvfrom(512)
			assert answer[:2] == b"\x12\x34" and answer[-4:] == bytes([192, 0, 2, 1]) and whom[0] == "fd00::3"
		PYTHON
	END
}

@test "the sandbox's resolv.conf names the forwarder and keeps the host's search and options" {
	on_a_host <<-'END'
		"$vnic" run -- grep -v '^#' /etc/resolv.conf >"$dir/got"
		diff "$dir/got" - <<-'TEXT'
			nameserver 10.0.2.3
			search example.org
			options timeout:20 attempts:1
		TEXT
		grep -q '^nameserver 127.0.0.53$' /etc/resolv.conf
	END
}

@test "a link that leads nowhere is covered, and an absent file is warned about" {
	on_a_host <<-'END'
		ln -sf ../run/nowhere/stub-resolv.conf /etc/resolv.conf
		"$vnic" run -- grep -q '^nameserver 10.0.2.3$' /etc/resolv.conf
		rm /etc/resolv.conf
		"$vnic" run -- true 2>"$dir/warning"
		grep -q "/etc/resolv.conf is absent: .*'sudo touch /etc/resolv.conf'" "$dir/warning"
		touch /etc/resolv.conf
		"$vnic" run -- grep -q '^nameserver 10.0.2.3$' /etc/resolv.conf
	END
}

@test "when the host replaces its resolv.conf the sandbox keeps its own, and the forwarder asks the new resolver" {
	on_a_host <<-'END'
		resolver 127.0.0.53 192.0.2.1
		resolver 127.0.0.54 192.0.2.2
		mkfifo "$dir/go" "$dir/done"
		"$vnic" run -- sh -c '
			getent hosts name.test >"$1/first"
			echo >"$1/done"
			read -r _ <"$1/go"
			until grep -q "nameserver 10.0.2.3" /etc/resolv.conf && getent hosts name.test | grep -q 192.0.2.2; do :; done
		' sh "$dir" &
		read -r _ <"$dir/done"
		[[ $(cat "$dir/first") == 192.0.2.1* ]]
		replace 127.0.0.54
		echo >"$dir/go"
		timeout 20 tail --pid=$! -f /dev/null
		wait $!
	END
}

@test "the first question after the host replaced its resolv.conf goes to the new resolver" {
	on_a_host <<-'END'
		resolver 127.0.0.53 192.0.2.1
		resolver 127.0.0.54 192.0.2.2
		mkfifo "$dir/go" "$dir/ready"
		"$vnic" run -- sh -c '
			echo >"$1/ready"
			read -r _ <"$1/go"
			until grep -q "nameserver 10.0.2.3" /etc/resolv.conf; do :; done
			getent hosts name.test >"$1/got"
		' sh "$dir" &
		read -r _ <"$dir/ready"
		replace 127.0.0.54
		echo >"$dir/go"
		timeout 20 tail --pid=$! -f /dev/null
		wait $!
		[[ $(cat "$dir/got") == 192.0.2.2* ]]
	END
}

@test "the next resolver is asked when the first one is dead or cannot" {
	on_a_host <<-'END'
		names 127.0.0.52 127.0.0.53
		resolver 127.0.0.53 192.0.2.1
		[[ $("$vnic" run -- getent hosts name.test) == 192.0.2.1* ]]
	END
}

@test "a resolver that is dead is a failure that is told at once" {
	on_a_host <<-'END'
		status=0
		timeout 10 "$vnic" run -- getent hosts name.test || status=$?
		[[ $status == 2 ]]
	END
}

@test "--dns names the resolver, and the policy decides about it" {
	on_a_host <<-'END'
		names 127.0.0.52
		resolver 127.0.0.53 192.0.2.1
		! "$vnic" run --dns 127.0.0.53 -- getent hosts name.test 2>"$dir/denied" || exit 1
		grep -q "denied: UDP to 127.0.0.53 port 53" "$dir/denied"
		[[ $("$vnic" run --dns 127.0.0.53 --allow 127.0.0.53:53 -- getent hosts name.test) == 192.0.2.1* ]]
	END
}

@test "--dns none leaves the host's resolv.conf and has no forwarder" {
	on_a_host <<-'END'
		resolver 127.0.0.53 192.0.2.1
		"$vnic" run --dns none -- cmp /etc/resolv.conf "$dir/etc/resolv.conf"
	END
}

@test "--dns says what is wrong" {
	run "$VNIC" run --dns 1.1.1.1 --dns none -- true
	is "2:vnic: cannot understand --dns none: there is another --dns" "$status:${lines[0]}"
	for wrong in one allow 1.1.1.1:53 1.1.1.1/32; do
		run "$VNIC" run --dns "$wrong" -- true
		is "2:vnic: cannot understand $wrong: --dns takes the address of a resolver, without a port, or allowed or none" \
			"$status:${lines[0]}"
	done
	run "$VNIC_TOP/tests/lib/alone" "$VNIC" run --dns 10.0.2.3 -- true
	is "2:vnic: cannot understand --dns: this is the forwarder's own address: it would ask itself" "$status:${lines[0]}"
	run "$VNIC" run --dns 1.1.1.1 --dns 1.1.1.2 --dns 1.1.1.3 --dns 1.1.1.4 -- true
	is 2 "$status"
}

@test "without a mount namespace loopback resolvers are warned about and others are answered for" {
	on_a_host <<-'END'
		"$vnic" run --share mnt -- true 2>"$dir/warning"
		grep -q "names will not resolve" "$dir/warning"
		ip address add 10.9.9.9/32 dev lo
		names 10.9.9.9
		resolver 10.9.9.9 192.0.2.1
		[[ $("$vnic" run --share mnt -- getent hosts name.test 2>"$dir/warning") == 192.0.2.1* ]]
		[[ ! -s $dir/warning ]]
	END
}

@test "the sockets of the host's name services are hidden" {
	on_a_host <<-'END'
		mount -t tmpfs tmpfs /run
		mkdir -p /run/systemd/resolve /run/nscd /run/avahi-daemon
		touch /run/systemd/resolve/io.systemd.Resolve /run/nscd/socket /run/avahi-daemon/socket
		"$vnic" run -- sh -c '! ls /run/systemd/resolve/* /run/nscd/* /run/avahi-daemon/* 2>/dev/null'
		ls /run/systemd/resolve/io.systemd.Resolve /run/nscd/socket /run/avahi-daemon/socket
	END
}
