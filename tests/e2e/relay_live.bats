#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic relay while it runs: changed over its control socket, watched on a terminal or by a script.
# shellcheck disable=SC2154,SC2030,SC2031 # what ../lib/relay sets; each test is a shell of its own

load ../lib/relay

# Two namespaces and a relay between them that takes commands.
commanded() {
	control=$BATS_TEST_TMPDIR/control
	"$VNIC" ns add "$red" && "$VNIC" ns add "$blue"
	start --control "$control" --json veth:eth0,netns="$red",ip=10.9.0.1/24 veth:eth0,netns="$blue",ip=10.9.0.2/24
}

tell() { "$VNIC" relay --at "$control" "$@"; }

# rtt: milliseconds of the fastest of ten, whole ones
rtt() { "$VNIC" exec "$red" -- ping -n -q -c 10 -i 0.05 -W 5 10.9.0.2 | sed -n 's/^rtt [^=]*= \([0-9]*\).*/\1/p'; }

@test "a delay is set, added to, and taken away while frames fly" {
	commanded
	[[ $(stat -c %a "$control") == 600 ]]
	run tell set 0 delay=30ms
	[[ $status -eq 0 && ! $output ]]
	(($(rtt) >= 30))
	tell set "veth:eth0@$red" in.delay=30ms
	(($(rtt) >= 60))
	tell clear 0
	(($(rtt) < 30))
	stop TERM
	[[ ! -e $control ]]
}

@test "a link goes down and comes up, and ports are isolated" {
	commanded
	sends "$red" 10.9.0.2
	tell link 1 down
	run sends "$red" 10.9.0.2 -W 1
	[[ $status -eq 1 ]]
	tell link 1 up
	sends "$red" 10.9.0.2
	tell isolate 0 on && tell isolate 1 on
	run sends "$red" 10.9.0.2 -W 1
	[[ $status -eq 1 ]]
	tell isolate 0 off
	sends "$red" 10.9.0.2
	tell stats | python3 -c '
import json, sys
ports = json.load(sys.stdin)["ports"]
assert ports[1]["tx_dropped"]["link-down"] > 0 and ports[0]["rx_dropped"]["isolated"] > 0, ports'
	stop TERM
}

@test "where no descriptor is left who comes is turned away at once, and the relay goes on" {
	commanded
	# Three clients fill the gaps among the relay's descriptors; then there is room for no other.
	timeout 20 python3 -c '
import os, resource, socket, sys
path, relay = sys.argv[1], int(sys.argv[2])
def client():
    it = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    it.connect(path)
    return it
def asks(it):
    it.send(b"stats")
    return it.recv(1 << 20)
clients = [client() for _ in range(3)]
assert all(asks(it)[:1] == b"+" for it in clients)
used = {int(fd) for fd in os.listdir(f"/proc/{relay}/fd")}
limit = min(set(range(1024)) - used)
before = resource.prlimit(relay, resource.RLIMIT_NOFILE)
resource.prlimit(relay, resource.RLIMIT_NOFILE, (limit, before[1]))
for _ in range(3):
    assert client().recv(1) == b""
resource.prlimit(relay, resource.RLIMIT_NOFILE, before)
assert asks(client())[:1] == b"+"
' "$control" "$relay"
	stop TERM
}

@test "commands go with no other option" {
	run "$VNIC" relay --at /no/such --stats stats
	complains 2 "--at: it goes with no other option"
	run "$VNIC" relay --at /no/such stats
	complains 1 "/no/such: No such file or directory (no relay runs with --control there)"
}

@test "a bad command changes nothing and says why" {
	commanded
	run tell set 0 delay=30ms,loss=200%
	complains 2 "200%: "
	run tell set 0 "delay=30ms,filter=arp and and"
	complains 1 "arp and and: "
	run tell set 0 mac=02:00:00:00:00:01
	complains 2 "mac: only filters and weather can be changed"
	run tell set 2 delay=1ms
	complains 2 "2: the relay has no such port"
	run tell link 0 sideways
	complains 2 "sideways: it is up or down"
	run tell link 0
	complains 2 "link: it is written link PORT up|down"
	run tell fly
	complains 2 "fly: a relay is told set, clear, link, isolate or stats"
	(($(rtt) < 30))
	run "$VNIC" relay --at "$BATS_TEST_TMPDIR/nobody" stats
	complains 1 "nobody: No such file or directory"
	stop TERM
}

@test "a running relay keeps its control socket, and the next one takes over what a killed one left" {
	commanded
	run "$VNIC" relay --control "$control" "stream:@$red" "stream:@$blue"
	complains 1 "$control: Address already in use"
	tell stats
	kill -KILL "$relay"
	wait "$relay" || true
	[[ -S $control ]]
	start --control "$control" "stream:@$red" "stream:@$blue"
	tell stats
	stop TERM
	[[ ! -e $control ]]
}

@test "more clients than it takes do not keep the relay from its work" {
	commanded
	run python3 -c '
import socket, sys
clients = []
for _ in range(20):
    it = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    it.settimeout(10)
    it.connect(sys.argv[1])
    clients.append(it)
    it.send(b"x" * 5000)
    assert it.recv(10) == b""
' "$control"
	echo "$output"
	[[ $status -eq 0 ]]
	sends "$red" 10.9.0.2
	tell stats
	stop TERM
}

@test "the fifth client at a time is told that it is one too many" {
	commanded
	exec 7< <(exec python3 -c '
import socket, sys
clients = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(4)]
for it in clients:
    it.settimeout(60)
    it.connect(sys.argv[1])
    it.send(b"stats")
    assert it.recv(100)[:1] == b"+"
print("here", flush=True)
assert clients[0].recv(1) == b""  # the end of the relay' "$control")
	read -r -t 20 -u 7
	for _ in 1 2 3; do
		run tell stats
		echo "$output"
		[[ $status -eq 1 && $output == *"no more than 4 clients at a time"* ]]
	done
	stop TERM
}

@test "a line of JSON comes each second" {
	exec 6< <(exec "$VNIC" relay --json --interval 1 "stream:@$red" "stream:@$blue" 2>&1)
	relay=$!
	read -r -t 20 -u 6 one && read -r -t 20 -u 6 two
	kill -TERM "$relay"
	python3 -c '
import json, sys
for line in sys.argv[1:]:
    assert len(json.loads(line)["ports"]) == 2' "$one" "$two"
	relay=
	run "$VNIC" relay --interval 1 "stream:@$red" "stream:@$blue"
	complains 2 "--interval: it needs --json"
	run "$VNIC" relay --top "stream:@$red" "stream:@$blue"
	complains 2 "--top: the standard output is no terminal"
}

@test "a relay whose lines of JSON nobody reads any more ends" {
	run timeout 30 bash -c '"$VNIC" relay --json --interval 1 "stream:@$0" "stream:@$1" | head -n 1; exit "${PIPESTATUS[0]}"' "$red" "$blue"
	[[ $status -eq 1 && ${lines[1]} == "vnic: cannot write output: Broken pipe" ]] || { echo "$status: $output" && return 1; }
}

@test "the view on a terminal ends by q and leaves the terminal as it was" {
	run timeout 30 python3 -c '
import os, pty, select, sys, termios
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
def read_until(text):
    seen = b""
    while text not in seen:
        seen += os.read(fd, 4096)
    return seen
seen = read_until(b"q ends")
assert b"\x1b[?1049h" in seen and b"RX BIT/S" in seen, seen
cooked = termios.ICANON | termios.ECHO
assert not termios.tcgetattr(fd)[3] & cooked
os.write(fd, b"q")
read_until(b"\x1b[?1049l")
assert termios.tcgetattr(fd)[3] & cooked == cooked
_, status = os.waitpid(pid, 0)
assert status == 0, status' "$VNIC" relay --top "stream:@$red" "stream:@$blue"
	echo "$output"
	[[ $status -eq 0 ]]
}

@test "the view has as many lines as the terminal, whatever the ports, and moves through them" {
	run timeout 30 python3 -c '
import fcntl, os, pty, re, struct, sys, termios
ROWS, COLUMNS, PORTS = 10, 80, 30
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:] + [f"stream:@{os.getpid()}-{i:02}" for i in range(PORTS)])
seen = b""
def screen(text):
    # the next one that has this in its last line, as lines
    global seen
    while True:
        whole = re.match(rb"(?s).*?\x1b\[H(.*?q ends[^\n]*\.)", seen)
        if whole:
            seen = seen[whole.end():]
            lines = re.sub(rb"\x1b\[[KJ]", b"", whole[1]).decode().split("\r\n")
            assert len(lines) <= ROWS and all(len(line) <= COLUMNS for line in lines), lines
            assert lines[0].startswith("PORT") and lines[0].endswith("DROPPED"), lines
            if text in lines[-1]:
                return lines
        seen += os.read(fd, 4096)
def ports(lines):
    return [int(re.match(r"stream:@\d+-(\d\d) ", line)[1]) for line in lines[1:-1]]
assert ports(screen("lines 1-8 of 30")) == list(range(8))
os.write(fd, b"j\x1b[B")
assert ports(screen("lines 3-10 of 30")) == list(range(2, 10))
os.write(fd, b"\x1b[6~")
assert ports(screen("lines 11-18 of 30")) == list(range(10, 18))
os.write(fd, b"    k")
assert ports(screen("lines 22-29 of 30")) == list(range(21, 29))
os.write(fd, b"\x1b[5~\x1b[5~\x1b[5~\x1b[5~\x1b[A")
screen("lines 1-8 of 30")
os.write(fd, b"q")
while b"\x1b[?1049l" not in seen:
    seen += os.read(fd, 4096)
_, status = os.waitpid(pid, 0)
assert status == 0, status' "$VNIC" relay --top
	echo "$output"
	[[ $status -eq 0 ]]
}

@test "a link port with addresses is warned about, once" {
	"$VNIC" ns add "$red"
	"$VNIC" exec "$red" -- sh -c 'ip link add left type veth peer name right && ip addr add 10.9.0.1/24 dev left && ip link set left up && ip link set right up'
	start link:left,netns="$red" link:right,netns="$red"
	[[ $(<"$BATS_TEST_TMPDIR/err") == "vnic: warning: link:left@$red has addresses: "* ]]
	[[ $(wc -l <"$BATS_TEST_TMPDIR/err") -eq 1 ]]
	kill -TERM "$relay" && wait "$relay"
	relay=
}

@test "what a stranger at the control socket answers does nothing to the terminal" {
	exec {out}< <(exec python3 -c '
import socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1])
listener.listen()
print("up", flush=True)
for answer in b"-3\n2\n\x1b]0;title\x07\n\x1b[31mred", b"+\x1b]0;title\x07\xc2\x9b31m":
    client, _ = listener.accept()
    client.recv(1000)
    client.send(answer)
    client.close()
' "$BATS_TEST_TMPDIR/stranger")
	read -r _ <&"$out"
	for _ in error answer; do
		run "$VNIC" relay --at "$BATS_TEST_TMPDIR/stranger" stats
		[[ $output == *"?]0;title?"* && $output != *$'\e'* && $output != *$'\a'* && $output != *$'\xc2\x9b'* ]]
	done
}
