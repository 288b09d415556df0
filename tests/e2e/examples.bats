#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Every example builds by the line in its first comment, and does what is said there.  as-user: --tun

# builds LINE: a line that somebody is told to type, against the installed library.
builds() {
	local pc libdir sanitize=
	case $VNIC_PREFIX in
	*/asan/*) sanitize='-fsanitize=address,undefined' ;;
	*/tsan/*) sanitize='-fsanitize=thread' ;;
	esac
	pc=$(find "$VNIC_PREFIX" -name vnic.pc)
	export PKG_CONFIG_PATH=${pc%/*}
	libdir=$(pkg-config --variable=libdir vnic)
	export LD_LIBRARY_PATH=$libdir
	bash -c "$1 -Wall -Wextra -Werror $sanitize"
}

# example NAME: built by the line that its first comment gives.
example() {
	local source=$VNIC_TOP/examples/$1.c line
	line=$(sed -n 's/^ \*.* \(g\?cc .*pkg-config.*\)/\1/p' "$source" | head -1)
	[[ $line ]] || { echo "$1 does not say how to build it" && return 1; }
	cd "$BATS_TEST_TMPDIR" || return
	cp "$source" .
	builds "$line"
}

# Also of a test that failed: an example that goes on would keep bats waiting.
teardown() {
	[[ $red ]] || return 0
	[[ ! $relay ]] || kill "$relay" 2>/dev/null || true
	"$VNIC" ns del "$red"
	"$VNIC" ns del "$blue"
}

# With a network namespace of its own, as root of a user namespace where it is not root.
alone() {
	if ((EUID == 0)); then
		timeout 60 unshare --net "$@"
	else
		timeout 60 unshare --map-root-user --net "$@"
	fi
}

needs_tun() {
	{ : <>/dev/net/tun; } 2>/dev/null || skip "/dev/net/tun cannot be opened"
}

@test "every example has a test here" {
	cd "$VNIC_TOP/examples" || return
	for source in *.c; do
		grep -q "example ${source%.c}\$" "$BATS_TEST_FILENAME" || { echo "$source" && return 1; }
		grep -q "^| \[${source%.c}\]($source) | " README.md || { echo "README.md lacks $source" && return 1; }
		(($(wc -l <"$source") <= 150)) || { echo "$source is longer than 150 lines" && return 1; }
	done
}

@test "every example builds by the line in README.md, too" {
	local line
	line=$(sed -n 's|^#include <vnic/vnic.h> */\* \(cc file.c .*\) \*/$|\1|p' "$VNIC_TOP/README.md")
	[[ $line ]]
	cd "$BATS_TEST_TMPDIR" || return
	cp "$VNIC_TOP"/examples/*.c .
	for source in *.c; do
		builds "${line/file.c/$source}" || { echo "$source" && return 1; }
	done
}

@test "01-netns-run gives a command namespaces and an address" {
	example 01-netns-run
	run timeout 60 ./01-netns-run sh -c 'hostname; ip -brief address; echo /proc/[0-9]*; exit 7'
	echo "$output"
	[[ $status -eq 0 && ${lines[0]} =~ ^process\ [0-9]+\ waits\ in\ .*mnt,pid,net,uts$ ]]
	[[ ${lines[1]} == guest && ${lines[2]} == lo*10.6.0.1/32* && ${lines[3]} == "/proc/1 /proc/2" ]]
	[[ ${lines[4]} == "it ended with 7" ]]
	run timeout 60 ./01-netns-run no-such-command-here
	[[ $status -eq 1 && $output == *"cannot execute no-such-command-here: No such file or directory"* ]]
}

@test "02-tap-echo answers ping" {
	example 02-tap-echo
	needs_tun
	run alone ./02-tap-echo ping -c 2 -i 0.2 10.7.0.2
	echo "$output"
	[[ $status -eq 0 && $output == *"2 received, 0% packet loss"* ]]
}

@test "03-veth-pair sends a datagram across" {
	example 03-veth-pair
	run timeout 60 ./03-veth-pair
	echo "$output"
	[[ $status -eq 0 && $output == *'right heard "hello" from 10.0.0.1'* ]]
}

@test "04-tun-packets sees what a command sends" {
	example 04-tun-packets
	needs_tun
	run alone ./04-tun-packets ping -c 1 -W 1 192.0.2.1
	echo "$output"
	[[ $output == *"IPv4 10.7.0.1 > 192.0.2.1 ICMP 84 bytes"* ]]
}

@test "05-relay-two-taps is a cable between two namespaces" {
	example 05-relay-two-taps
	needs_tun
	((EUID == 0)) || skip "the example finds names of /run/netns only"
	red=ex-red-$$ blue=ex-blue-$$
	"$VNIC" ns add $red
	"$VNIC" ns add $blue
	exec 5< <(exec ./05-relay-two-taps $red 10.8.0.1/24 $blue 10.8.0.2/24)
	relay=$!
	read -r -t 20 -u 5 line
	[[ $line == ready ]]
	"$VNIC" exec $red -- ping -c 1 -W 5 10.8.0.2
	kill -INT $relay
	cat <&5 >rest
	cat rest
	grep -q "frames in" rest
}

@test "06-own-loop counts frames in its own loop" {
	example 06-own-loop
	needs_tun
	run alone ./06-own-loop 1
	echo "$output"
	[[ $status -eq 0 && $output =~ after\ 1\ s:\ [0-9]+\ frames ]]
}

@test "07-fd-passing gets a device over a socket" {
	example 07-fd-passing
	needs_tun
	run alone ./07-fd-passing
	echo "$output"
	[[ $status -eq 0 && $output == *"got lan0 with 2 queues over a socket"* ]]
}

# between ARGUMENT...: an inspecting example between two namespaces; what it says is in `said`.
between() {
	((EUID == 0)) || skip "the example finds names of /run/netns only"
	red=ex-red-$$ blue=ex-blue-$$
	"$VNIC" ns add $red
	"$VNIC" ns add $blue
	exec 5< <(exec timeout 60 "$@" veth:eth0,netns=$red,ip=10.8.0.1/24 veth:eth0,netns=$blue,ip=10.8.0.2/24)
	relay=$!
	read -r -t 20 -u 5 line
	[[ $line == ready ]]
}

# done_with: what it said is in `said`.
done_with() {
	kill -INT $relay
	cat <&5 >said
	cat said
}

# serve COMMAND...: in blue, and says "ready" once it serves.
serve() {
	exec 6< <(exec timeout 60 "$VNIC" exec $blue -- "$@")
	read -r -t 20 -u 6 line
}

@test "08-http-hosts names the host of a request, and nothing that a terminal obeys" {
	example 08-http-hosts
	between ./08-http-hosts
	serve python3 -uc 'import http.server as h
with h.HTTPServer(("10.8.0.2", 80), h.BaseHTTPRequestHandler) as s:
    print("ready", flush=True); s.handle_request()'
	"$VNIC" exec $red -- python3 -c 'import http.client as c
it = c.HTTPConnection("10.8.0.2", timeout=10)
it.putrequest("GET", "/", skip_host=True)
it._validate_header_part = it._is_legal_header_value = lambda *_: True
it.putheader("Host", "example.org\x1b[31m"); it.endheaders(); it.getresponse()'
	done_with
	grep -qxF "10.8.0.1 example.org?[31m" said
}

@test "09-arp-guard drops a claim to another's address" {
	example 09-arp-guard
	between ./09-arp-guard
	"$VNIC" exec $red -- ping -q -c 1 -W 5 10.8.0.2
	"$VNIC" exec $blue -- python3 -c 'import socket
it = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
it.bind(("eth0", 0))
me, ip = it.getsockname()[4], bytes([10, 8, 0, 1])
it.send(b"\xff" * 6 + me + bytes.fromhex("0806" "0001080006040001") + me + ip + bytes(6) + ip)'
	read -r -t 20 -u 5 line
	[[ $line == "port 1 claims 10.8.0.1, which port 0 has" ]]
	done_with
}

@test "10-dns-block answers that there is no such name, and names it plainly" {
	example 10-dns-block
	between ./10-dns-block example.org
	run "$VNIC" exec $red -- python3 -c 'import socket
it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
it.settimeout(10)
it.connect(("10.8.0.2", 53))
question = b"\x04w\x1bww\x07example\x03ORG\0\0\1\0\1"
it.send(b"\x12\x34\1\0\0\1" + bytes(6) + question)
assert it.recv(512) == b"\x12\x34\x81\x83\0\1" + bytes(6) + question'
	echo "$output"
	[[ $status -eq 0 ]]
	done_with
	grep -qxF "no w?ww.example.ORG" said
}

@test "11-tcp-reset refuses connections to a port" {
	example 11-tcp-reset
	between ./11-tcp-reset 80
	serve python3 -uc 'import socket
it, other = socket.create_server(("10.8.0.2", 80)), socket.create_server(("10.8.0.2", 81))
print("ready", flush=True); other.accept()'
	run "$VNIC" exec $red -- bash -c ': >/dev/tcp/10.8.0.2/80'
	[[ $status -eq 1 && $output == *"Connection refused"* ]]
	"$VNIC" exec $red -- bash -c ': >/dev/tcp/10.8.0.2/81'
	done_with
	grep -qx "reset 10.8.0.1" said
}
