# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154,SC2034 # bats and setup set what stands here, and tests read it
# For tests of vnic relay: named namespaces, a relay that runs beside the test, and what passes through it.

setup() {
	local id=$$-$EUID-$BATS_TEST_NUMBER
	red=e2e-red-$id blue=e2e-blue-$id green=e2e-green-$id
	# Tests that run at the same time share the loopback: each has an address of its own there, as its pid has 22 bits.
	loopback=127.$((64 + ($$ >> 16))).$(($$ >> 8 & 255)).$(($$ & 255))
}

teardown() {
	local it
	for it in ${relay-} ${sandbox-}; do
		kill -KILL "$it" 2>/dev/null || true
	done
	for it in "$red" "$blue" "$green"; do
		"$VNIC" ns del "$it" &>/dev/null || true # one of them may be a sandbox
	done
}

needs_tun() {
	{ : <>/dev/net/tun; } 2>/dev/null || skip "/dev/net/tun cannot be opened"
}

# start ARGUMENT...: returns when the relay's ports are open; its output goes to $out.
start() {
	out=$(mktemp "$BATS_TEST_TMPDIR/out-XXXX")
	exec 5< <(exec "$VNIC" relay --ready-fd 3 "$@" 3>&1 >"$out" 2>"$BATS_TEST_TMPDIR/err")
	relay=$!
	read -r -t 20 -u 5 _ || { cat "$BATS_TEST_TMPDIR/err" && return 1; }
}

# stop SIGNAL: the relay ends by it, with status 0 and without a word of complaint.
stop() {
	local status=0
	kill -"$1" "$relay"
	wait "$relay" || status=$?
	relay=
	[[ $status -eq 0 && ! -s $BATS_TEST_TMPDIR/err ]] || { echo "status $status" && cat "$BATS_TEST_TMPDIR/err" && return 1; }
}

# stats EXPRESSION: true of the counters, by port in the order given.
stats() {
	python3 -c '
import json, sys
stats = json.load(open(sys.argv[1]))
ports = stats["ports"]
def balanced(stats): # what came in and what was made of it is what went out, was dropped, merged, or is held
    total = lambda key: sum(p[key] if isinstance(p[key], int) else sum(p[key].values()) for p in stats["ports"])
    return total("rx_frames") + sum(stats["made"].values()) == stats["held"] + stats["merged"] + sum(
        map(total, ["tx_frames", "rx_dropped", "tx_dropped"]))
assert eval(sys.argv[2]), stats' "$out" "$1"
}

# complains STATUS TEXT: the last `run` failed so, with this in its first line, and at most a remedy after it.
complains() {
	[[ $status -eq $1 && ${lines[0]} == "vnic: cannot "*"$2"* && ${#lines[@]} -le 2 ]] ||
		{ echo "status $status: $output" && return 1; }
}

# links NAME: those of a named namespace.
links() { "$VNIC" exec "$1" -- sh -c 'cd /sys/class/net && echo *'; }
# sends FROM ADDRESS [OPTION]...
sends() { "$VNIC" exec "$1" -- ping -n -q -c 1 -W 5 "${@:3}" "$2"; }

# Two namespaces, each with a relay of its own; what joins the relays is given, RIGHT is started first:
# joined LEFT RIGHT [OPTION]...
joined() {
	"$VNIC" ns add "$red" && "$VNIC" ns add "$blue"
	start "${@:3}" veth:eth0,netns="$blue",mac=02:00:00:00:00:02,ip=10.9.0.2/24 "$2"
	other=$relay other_out=$out
	exec 7<&5
	start "${@:3}" veth:eth0,netns="$red",ip=10.9.0.1/24 "$1"
	sandbox=$other
}

# carries FROM TO ADDRESS: 20 MB over TCP, by super-frames where the way has them, arrive as they were sent.
carries() {
	local port=5001 status=0
	"$VNIC" exec "$2" -- python3 -c '
import hashlib, socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listens", flush=True)
peer, hash = server.accept()[0], hashlib.sha256()
while (data := peer.recv(1 << 20)):
    hash.update(data)
print(hash.hexdigest())' "$3" $port >"$BATS_TEST_TMPDIR/server" &
	local server=$!
	until grep -q listens "$BATS_TEST_TMPDIR/server"; do kill -0 $server; done
	"$VNIC" exec "$1" -- python3 -c '
import hashlib, random, socket, sys
data = random.Random(1).randbytes(20 << 20)
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as peer:
    peer.settimeout(100) # for all of it: in bad weather and on a loaded machine it takes long
    peer.sendall(data)
print(hashlib.sha256(data).hexdigest())' "$3" $port >"$BATS_TEST_TMPDIR/client" || status=$?
	((status == 0)) || kill $server # or it waits for what never comes
	wait $server || status=$?
	((status == 0)) || { echo "the relay: $(ps -o stat= "$relay" || echo gone)" && return 1; }
	[[ $(tail -1 "$BATS_TEST_TMPDIR/server") == $(<"$BATS_TEST_TMPDIR/client") ]]
}
