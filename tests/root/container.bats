#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic inside containers as engines make them: runc, the host's programs, no device node, few capabilities.

bats_require_minimum_version 1.5.0

no_ipv6="vnic: warning: no IPv6: it needs a /proc/sys that can be written"
kept_proc="vnic: warning: the kernel refused a fresh /proc: it shows the host's processes"
kept_sys="vnic: warning: the kernel refused a fresh /sys: /sys/class/net shows the host's links"

setup() {
	command -v runc >/dev/null || skip "runc is not installed"
}

contained() { "$VNIC_TOP/tests/lib/in-container" "$@"; }

# A command of the container: a TCP server and a UDP server on its loopback, and what the sandbox's client says of them.
talk() {
	cat <<-'END'
		import os, socket, subprocess, sys, threading
		tcp = socket.create_server(("127.0.0.1", 7007))
		udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		udp.bind(("127.0.0.1", 7007))
		def serve_tcp():
		    peer, _ = tcp.accept()
		    peer.sendall(peer.recv(100))
		def serve_udp():
		    udp.sendto(*udp.recvfrom(100))
		for serve in serve_tcp, serve_udp:
		    threading.Thread(target=serve, daemon=True).start()
		client = """
		import socket
		for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
		    with socket.socket(socket.AF_INET, kind) as peer:
		        peer.settimeout(10)
		        peer.connect(("10.0.2.2", 7007))
		        peer.send(b"hello")
		        assert peer.recv(100) == b"hello"
		print("it talks")
		"""
		sys.exit(subprocess.run([os.environ["VNIC"], "run", "--allow", "host", "--", sys.executable, "-c", client]).returncode)
	END
}

# talks OPTION...: in a container with these options; what the sandbox and vnic say, sorted
talks() {
	contained "$@" -- /usr/bin/python3 -c "$(talk)" 2>&1 | sort
}

is() {
	[[ $1 == "$2" ]] || { printf 'wanted: %s\ngot:    %s\n' "$1" "$2" && return 1; }
}

@test "with a /proc/sys that can be written nothing of the network is missing" {
	for uid in 0 1000; do
		is "$(printf '%s\n' "it talks" "$kept_proc" "$kept_sys" | sort)" "$(talks --sysctls --uid "$uid")"
	done
}

@test "with a read-only /proc/sys there is IPv4 alone, and it is said" {
	for uid in 0 1000; do
		is "$(printf '%s\n' "it talks" "$no_ipv6" "$kept_proc" "$kept_sys" | sort)" "$(talks --uid "$uid")"
	done
	run contained -- "$VNIC" run -- sh -c 'ip -6 -o address show dev eth0 scope global; ip -6 -o route show default'
	[[ $status -eq 0 && $output != *fd00* ]]
}

@test "with a read-only /proc/sys a client's port is used again within seconds after the server has ended" {
	run contained -- /usr/bin/python3 -c '
import os, socket, subprocess, sys, threading
listener = socket.create_server(("127.0.0.1", 7007))
def serve():
    while True:
        peer, _ = listener.accept()
        peer.shutdown(socket.SHUT_WR)
        peer.recv(1)
threading.Thread(target=serve, daemon=True).start()
client = """
import socket, time
for _ in range(3):
    start = time.monotonic()
    with socket.create_connection(("10.0.2.2", 7007), 30, ("", 40000)) as peer:
        assert peer.recv(1) == b""
    assert time.monotonic() - start < 5
print("again and again")
"""
sys.exit(subprocess.run([os.environ["VNIC"], "run", "--allow", "host", "--", sys.executable, "-c", client]).returncode)'
	[[ $status -eq 0 && $output == *"again and again"* ]] || { echo "$output" && return 1; }
}

@test "with nothing of /proc masked the sandbox has its own" {
	is "$(printf '%s\n' "it talks" "$kept_sys" | sort)" "$(talks --sysctls --unmasked --uid 1000)"
}

@test "root without CAP_SETFCAP is told what is missing, and that another user could" {
	run contained --no-caps -- "$VNIC" run -- true
	[[ $status -eq 125 && $output == *"needs CAP_SETFCAP"*"run as another user"* ]] || { echo "$output" && return 1; }
}

@test "a TAP is refused with the remedy, for there is no /dev/net/tun" {
	run contained -- "$VNIC" run --nic tap -- true
	[[ $status -eq 125 && $output == *"/dev/net/tun"*"--device /dev/net/tun"* ]] || { echo "$output" && return 1; }
}

@test "three deep in a container it works, also where /proc shows other pids than the kernel" {
	for uid in 0 1000; do
		run contained --uid "$uid" -- "$VNIC" run -- "$VNIC" run -- "$VNIC" run -- ping -q -c1 -W1 10.0.2.2
		[[ $status -eq 0 && $output == *" 1 received"* ]] || { echo "$uid: $output" && return 1; }
	done
}

# The whole files, as an ordinary user of the container, who makes the host's network of each test himself.
@test "what is published works in a container as outside of it" {
	run contained --sysctls --uid 65534 -- /usr/bin/bats --tap "$VNIC_TOP/tests/e2e/gateway_publish.bats"
	[[ $status -eq 0 && $output == *"ok 1 "* && $output != *"not ok"* ]] || { echo "$output" && return 1; }
}

@test "TCP works in a container as outside of it" {
	run contained --sysctls --uid 65534 -- /usr/bin/bats --tap --filter "a closed port refuses|2 KB in writes|at once all work" \
		"$VNIC_TOP"/tests/e2e/gateway_tcp{,_bulk}.bats
	[[ $status -eq 0 && $output == *"ok 3 "* && $output != *"not ok"* ]] || { echo "$output" && return 1; }
}
