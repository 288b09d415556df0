#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# as-user: --tun
# What a sandbox's gateway has counted: vnic run --stats, --json, and SIGUSR1.

bats_require_minimum_version 1.5.0

# figure NAME FILE [LINE]: of JSON, as in flows.tcp; the last line, or that one
figure() {
	python3 - "$@" <<'END'
import json, sys
name, path, line = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else -1
figures = [json.loads(text) for text in open(path) if text.startswith("{")][line]
for key in name.split("."):
    figures = figures[key]
print(figures)
END
}

# hosted COMMAND ARGUMENT...: in a network namespace that stands for the host, with servers that send back what they get
hosted() {
	local map=()
	((EUID == 0)) || map=(--user --map-root-user)
	unshare "${map[@]}" --net bash -euc 'ip link set lo up; exec python3 - "$@"' - "$@" <<'END'
import os, socket, subprocess, sys, threading

def echo_tcp(server):
    while True:
        client, _ = server.accept()
        while data := client.recv(65536):
            client.sendall(data)
        client.close()

def echo_udp(server):
    while True:
        data, address = server.recvfrom(65536)
        server.sendto(data, address)

tcp = socket.create_server(("127.0.0.1", 7007))
udp = socket.socket(type=socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 7007))
for target, server in (echo_tcp, tcp), (echo_udp, udp):
    threading.Thread(target=target, args=(server,), daemon=True).start()
status = subprocess.run(sys.argv[1:]).returncode
os._exit(status)
END
}

# talk KIND BYTES: python that sends as much to the host's server and waits until it has come back
talk() {
	printf '%s\n' 'import socket' "kind, size = socket.SOCK_$1, $2" '
with socket.socket(type=kind) as peer:
    peer.settimeout(20)
    peer.connect(("10.0.2.2", 7007))
    peer.sendall(b"x" * size)
    got = 0
    while got < size:
        got += len(peer.recv(65536))'
}

@test "flows and bytes of each kind are counted" {
	errors=$BATS_TEST_TMPDIR/errors
	hosted "$VNIC" run --stats --json --allow host -- python3 -c "$(talk STREAM 100000)
$(talk STREAM 1000)
$(talk DGRAM 500)" 2>"$errors"
	cat "$errors"
	[[ $(figure flows.tcp "$errors") == 2 && $(figure flows.udp "$errors") == 1 ]]
	[[ $(figure flows.published "$errors") == 0 && $(figure denied "$errors") == 0 ]]
	[[ $(figure bytes_out "$errors") == 101500 && $(figure bytes_in "$errors") == 101500 ]]
}

@test "a denied flow is counted" {
	errors=$BATS_TEST_TMPDIR/errors
	hosted "$VNIC" run --stats --json -- bash -c '! : >/dev/tcp/10.0.2.2/7007' 2>"$errors"
	cat "$errors"
	[[ $(figure denied "$errors") == 1 && $(figure flows.tcp "$errors") == 0 ]]
}

@test "a flow that the host refuses is counted" {
	errors=$BATS_TEST_TMPDIR/errors
	hosted "$VNIC" run --stats --json --allow host -- bash -c '! : >/dev/tcp/10.0.2.2/9' 2>"$errors"
	cat "$errors"
	[[ $(figure failed "$errors") == 1 && $(figure denied "$errors") == 0 ]]
}

@test "a client whom nobody takes in the sandbox is counted as failed, not as a flow" {
	errors=$BATS_TEST_TMPDIR/errors
	hosted python3 -c '
import os, socket, subprocess
inside = """
import socket
server = socket.create_server(("0.0.0.0", 7101))
print("ready", flush=True)
server.accept()[0].sendall(b"in")
"""
publish = ["--publish", "127.0.0.1:7100:7100", "--publish", "127.0.0.1:7101:7101"]
command = [os.environ["VNIC"], "run", "--stats", "--json", *publish, "--", "python3", "-c", inside]
with subprocess.Popen(command, stdout=subprocess.PIPE) as front:
    assert front.stdout.readline() == b"ready\n"
    with socket.create_connection(("127.0.0.1", 7100)) as client:
        try:
            client.recv(1)
            raise SystemExit("it was not reset")
        except ConnectionResetError:
            pass
    with socket.create_connection(("127.0.0.1", 7101)) as client:
        assert client.recv(2) == b"in"
    assert front.wait() == 0
' 2>"$errors"
	cat "$errors"
	[[ $(figure flows.tcp "$errors") == 1 && $(figure flows.published "$errors") == 1 ]]
	[[ $(figure failed "$errors") == 1 && $(figure full "$errors") == 0 ]]
}

@test "the text names the same figures" {
	run --separate-stderr hosted "$VNIC" run --stats --allow host -- python3 -c "$(talk STREAM 1000)"
	[[ $status -eq 0 && -z $output ]]
	[[ $stderr == *"flows   tcp 1 ("* && $stderr == *"bytes   1000 out, 1000 in"* ]]
	[[ $stderr == *"not started: 0 denied, 0 failed, 0 beyond a limit"* ]]
	[[ $stderr == *"0 malformed"* && $stderr == *"0 questions (0 open), 0 answers"* ]]
	[[ $stderr =~ "nic     eth0 dropped "[0-9]+" in, 0 out; 0 by their source" ]]
}

@test "without --stats nothing is printed" {
	run --separate-stderr "$VNIC" run -- true
	[[ $status -eq 0 && -z $stderr ]]
}

@test "frames that a NIC's device dropped are counted" {
	[[ -r /dev/net/tun && -w /dev/net/tun ]] || skip "/dev/net/tun cannot be opened"
	errors=$BATS_TEST_TMPDIR/errors
	# A guest that is known and then reads no more: what is sent to it fills the queue.
	# shellcheck disable=SC2094 # it reads what vnic writes
	hosted "$VNIC" vm --stats --json --publish 127.0.0.1:7100:7100/udp -- python3 -c '
import json, os, signal, socket, subprocess, sys
guest, mac, fd, errors = sys.argv[1:]
subprocess.run(["python3", guest, mac, fd], pass_fds=[int(fd)], check=True)
front = int(open(f"/proc/{os.getppid()}/stat").read().split()[3])
answers = 0
with socket.socket(type=socket.SOCK_DGRAM) as peer:
    while True:
        for _ in range(2000):
            peer.sendto(b"x" * 100, ("127.0.0.1", 7100))
        os.kill(front, signal.SIGUSR1)
        while open(errors).read().count("\n") == answers:
            pass
        answers += 1
        if "\"name\":\"eth0\",\"dropped_in\":0," not in open(errors).read().splitlines()[-1]:
            break
boxes = json.loads(subprocess.run([os.environ["VNIC"], "list", "--json"], capture_output=True, check=True).stdout)
nic, = [nic for box in boxes if box["pid"] == os.getpid() for nic in box["nics"]]
assert nic["rx_dropped"] > 0 and nic["tx_dropped"] == 0, nic
' "$BATS_TEST_DIRNAME/../lib/vm_guest.py" {mac} {fd} "$errors" 2>"$errors"
	tail -2 "$errors"
	[[ $(figure nics "$errors" -2) =~ ^"[{'name': 'eth0', 'dropped_in': "[1-9] ]]
}

@test "frames that a TAP in the sandbox dropped are counted" {
	[[ -r /dev/net/tun && -w /dev/net/tun ]] || skip "/dev/net/tun cannot be opened"
	errors=$BATS_TEST_TMPDIR/errors
	hosted "$VNIC" run --stats --json --nic tap --allow host -- python3 -c '
import socket
dropped = lambda: int(open("/sys/class/net/eth0/statistics/tx_dropped").read())
with socket.socket(type=socket.SOCK_DGRAM) as peer:
    while not dropped():
        for _ in range(5000):
            peer.sendto(b"x", ("10.0.2.2", 9))
' 2>"$errors"
	cat "$errors"
	[[ $(figure nics "$errors") == *"'dropped_out': "[1-9]* ]]
}

@test "packets from a foreign source, and from more of IPv6 than a NIC may have, are counted" {
	errors=$BATS_TEST_TMPDIR/errors
	hosted "$VNIC" run --stats --json -- python3 -c '
import socket
IPV6_FREEBIND = 78

def say(source):
    """to a place that is denied, which is heard of after all that was said before it"""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as peer:
        peer.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        peer.settimeout(20)
        peer.bind((source, 0))
        peer.connect(("fd00::2", 9))
        peer.send(b"x")
        if source == "fd00::100":
            try:
                peer.recv(1)
            except PermissionError:
                return
            raise SystemExit("it was not denied")

say("fd00::100")
for i in range(1, 67):
    say(f"fd00::1:{i:x}")
say("fd01::1")
say("fd00::100")' 2>"$errors"
	cat "$errors"
	[[ $(figure nics "$errors") == *"'dropped_source': 3}"* ]]
}

@test "the command's status and output are its own" {
	run --separate-stderr "$VNIC" run --stats -- sh -c 'echo mine; exit 7'
	[[ $status -eq 7 && $output == mine && $stderr == *bytes* ]]
	run --separate-stderr "$VNIC" run --stats -- sh -c 'kill -TERM $$'
	[[ $status -eq 143 && $stderr == *bytes* ]]
}

# asked OPTION...: runs a command that SIGUSR1 ends with status 1, and the pipe "end" with 0; then the front gets SIGUSR1
asked() {
	local command='
import signal, sys
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(1))
open(sys.argv[1] + "/ready", "w").close()
open(sys.argv[1] + "/end").read()'
	mkfifo "$BATS_TEST_TMPDIR/ready" "$BATS_TEST_TMPDIR/end"
	"$VNIC" run "$@" -- python3 -c "$command" "$BATS_TEST_TMPDIR" 2>"$BATS_TEST_TMPDIR/errors" 3>&- &
	front=$!
	read -r _ <"$BATS_TEST_TMPDIR/ready" || true # an end of file
	kill -USR1 "$front"
}

@test "SIGUSR1 prints at once, and the command does not get it" {
	asked --stats --json
	until grep -q '^{' "$BATS_TEST_TMPDIR/errors"; do kill -0 "$front"; done
	[[ $(figure flows.tcp "$BATS_TEST_TMPDIR/errors" 0) == 0 ]]
	: >"$BATS_TEST_TMPDIR/end"
	wait "$front"
	[[ $(grep -c '^{' "$BATS_TEST_TMPDIR/errors") == 2 ]]
}

@test "the figures of a command that is over at once have its NIC" {
	for _ in {1..20}; do
		run -0 --separate-stderr "$VNIC" run --stats --json -- true
		[[ $stderr == *'"nics":[{"name":"eth0"'* ]]
	done
}

@test "SIGUSR1 until the very end changes no status" {
	asked --stats --json
	: >"$BATS_TEST_TMPDIR/end"
	while kill -USR1 "$front" 2>/dev/null; do :; done
	wait "$front"
}

@test "a helper that somebody has stopped holds nothing up" {
	asked --stats --json
	until grep -q '^{' "$BATS_TEST_TMPDIR/errors"; do kill -0 "$front"; done
	kill -STOP "$(pgrep -P "$front" -x vnic-router)"
	: >"$BATS_TEST_TMPDIR/end"
	timeout 20 tail --pid="$front" -f /dev/null
	wait "$front"
	grep -q "no figures: .*vnic-router: Connection timed out" "$BATS_TEST_TMPDIR/errors"
}

@test "without --stats SIGUSR1 is the command's" {
	asked
	result=0
	wait "$front" || result=$?
	[[ $result -eq 1 ]]
}

@test "a sandbox without a gateway has no figures, and says so" {
	run --separate-stderr "$VNIC" run --nic none --stats -- sh -c 'exit 4'
	[[ $status -eq 4 && $stderr == *"no figures: "*"no gateway"* ]]
}

@test "--json without --stats is refused" {
	run "$VNIC" run --json -- true
	[[ $status -eq 2 && $output == *"--json: only --stats"* ]]
}

@test "the gateway is confined when the command starts" {
	mkfifo "$BATS_TEST_TMPDIR/ready" "$BATS_TEST_TMPDIR/end"
	"$VNIC" run -- bash -c 'echo >"$0/ready"; read -r _ <"$0/end"' "$BATS_TEST_TMPDIR" 3>&- &
	front=$!
	read -r _ <"$BATS_TEST_TMPDIR/ready"
	gateway=$(pgrep -P "$front" vnic-gateway)
	status=$(cat "/proc/$gateway/status")
	echo >"$BATS_TEST_TMPDIR/end"
	wait "$front"
	[[ $status == *$'\nSeccomp:\t2\n'* && $status == *$'\nNoNewPrivs:\t1\n'* ]]
	[[ $status == *$'\nCapEff:\t0000000000000000\n'* ]]
}
