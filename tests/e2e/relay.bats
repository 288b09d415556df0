#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic relay: ports of each kind in named namespaces, switching, clean ends, and mistakes.  as-user: --tun
# shellcheck disable=SC2016 # scripts for an inner shell

setup() {
	local id=$$-$EUID-$BATS_TEST_NUMBER
	red=e2e-red-$id blue=e2e-blue-$id green=e2e-green-$id
	port=$((20000 + RANDOM)) # of loopback, which tests share
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
	out=$BATS_TEST_TMPDIR/out
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

# --- kinds of ports ------------------------------------------------------------------

@test "TAPs in two namespaces are joined, with what was asked for" {
	needs_tun
	"$VNIC" ns add "$red" "$blue"
	start --json "tap:eth0,netns=$red,ip=10.9.0.1/24,ip=fd09::1/64,mac=02:00:00:00:00:01,mtu=1400" \
		"tap:lan0,netns=$blue,ip=10.9.0.2/24,ip=fd09::2/64,queues=2"
	sends "$red" 10.9.0.2
	sends "$blue" fd09::1
	run "$VNIC" exec "$red" -- ip link show eth0
	[[ $output == *"mtu 1400"* && $output == *02:00:00:00:00:01* ]]
	stop TERM
	stats 'len(ports) == 2 and all(port["rx_frames"] >= 2 and port["tx_frames"] >= 2 for port in ports)'
	stats "ports[0]['name'] == 'tap:eth0@$red' and all(port['open'] for port in ports)"
	[[ $(links "$red") == lo && $(links "$blue") == lo ]]
}

@test "a pair of TUNs carries packets" {
	needs_tun
	"$VNIC" ns add "$red" "$blue"
	start "tun:tun0,netns=$red,ip=10.9.0.1/24" "tun:tun0,netns=$blue,ip=10.9.0.2/24"
	sends "$red" 10.9.0.2
	stop INT
}

@test "a TUN goes with a TUN only, and only in a pair" {
	needs_tun
	"$VNIC" ns add "$red"
	run "$VNIC" relay "tun:tun0,netns=$red" "tap:tap0,netns=$red"
	complains 1 "tap:tap0@$red"
	run "$VNIC" relay "tun:t0,netns=$red" "tun:t1,netns=$red" "tun:t2,netns=$red"
	complains 1 "tun:t2@$red"
	[[ $(links "$red") == lo ]]
}

@test "veths need no device node" {
	"$VNIC" ns add "$red" "$blue"
	start "veth:eth0,netns=$red,ip=10.9.0.1/24" "veth:eth0,netns=$blue,ip=10.9.0.2/24"
	sends "$red" 10.9.0.2
	stop TERM
	[[ $(links "$red") == lo && $(links "$blue") == lo ]]
}

@test "a link that exists is a port, and stays" {
	"$VNIC" ns add "$red" "$blue"
	"$VNIC" exec "$red" -- sh -ec '
		ip link add inner type veth peer name outer
		ip address add 10.9.0.1/24 dev inner
		ip link set inner up
		ip link set outer up'
	start "link:outer,netns=$red" "veth:eth0,netns=$blue,ip=10.9.0.2/24"
	sends "$red" 10.9.0.2
	stop TERM
	[[ $(links "$red") == "inner lo outer" ]]
}

@test "a descriptor that was handed over is a port" {
	needs_tun
	local user=()
	((EUID == 0)) || user=(--map-root-user)
	timeout 60 unshare "${user[@]}" --net python3 - <<-'END'
		import fcntl, os, socket, struct, subprocess
		tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
		fcntl.ioctl(tap, 0x400454ca, struct.pack("16sH22x", b"given", 0x5002))  # TAP, no PI, vnet header
		subprocess.check_call(["ip", "link", "set", "given", "up"])
		ready, tell = os.pipe()
		relay = subprocess.Popen([os.environ["VNIC"], "relay", f"fd:{tap}", "veth:made", "--ready-fd", str(tell)],
		                         pass_fds=[tap, tell])
		os.close(tell)
		assert os.read(ready, 1) == b"\n"
		sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
		sender.bind(("given", 0x88b5))
		receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5))
		receiver.bind(("made", 0x88b5))
		receiver.settimeout(20)
		frame = b"\xff" * 6 + bytes.fromhex("020000000001 88b5") + b"a frame of the experimental kind".ljust(60)
		sender.send(frame)
		assert receiver.recv(2000) == frame
		relay.terminate()
		assert relay.wait(20) == 0
	END
}

@test "a descriptor that is no port is refused" {
	run "$VNIC" relay fd:0 fd:1 </dev/null
	complains 2 "fd:0: this descriptor is neither a TAP or TUN device nor a socket"
	run "$VNIC" relay fd:99 fd:98
	complains 2 "fd:99: there is no such open descriptor"
	run bash -c 'python3 -c "import socket, os
it = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM)
os.set_inheritable(it.fileno(), True)
os.execv(os.environ[\"VNIC\"], [\"vnic\", \"relay\", f\"fd:{it.fileno()}\", \"fd:0\"])"'
	complains 2 "a socket of this type cannot be a port"
}

@test "a sandbox is a place for a port" {
	exec 6< <(exec "$VNIC" run --nic none --name "$red" --ready-fd 3 -- sleep 60 3>&1 >/dev/null)
	sandbox=$!
	read -r -t 20 -u 6 _
	"$VNIC" ns add "$blue"
	start "veth:eth0,netns=$red,ip=10.9.0.1/24" "veth:eth0,netns=$blue,ip=10.9.0.2/24"
	sends "$red" 10.9.0.2
	stop TERM
	[[ $(links "$red") == lo ]]
}

@test "when a port's namespace ends, a relay with one port left says so and ends" {
	exec 6< <(exec "$VNIC" run --nic none --name "$red" --ready-fd 3 -- sleep 60 3>&1 >/dev/null)
	sandbox=$!
	read -r -t 20 -u 6 _
	"$VNIC" ns add "$blue"
	start "veth:eth0,netns=$red,ip=10.9.0.1/24" "veth:eth0,netns=$blue,ip=10.9.0.2/24"
	kill -KILL "$sandbox"
	run timeout 20 tail --pid="$relay" -f /dev/null
	run wait "$relay"
	run cat "$BATS_TEST_TMPDIR/err"
	[[ ${#lines[@]} -eq 1 && $output == "vnic: cannot relay frames: "* ]] || { echo "$output" && return 1; }
	relay=
	[[ $(links "$blue") == lo ]]
}

# --- three ports ---------------------------------------------------------------------

three_ports() {
	"$VNIC" ns add "$red" "$blue" "$green"
	start --json "$@" "veth:eth0,netns=$red,ip=10.9.0.1/24${isolated-}" "veth:eth0,netns=$blue,ip=10.9.0.2/24${isolated-}" \
		"veth:eth0,netns=$green,ip=10.9.0.3/24"
}

@test "three ports are a switch that learns" {
	three_ports
	sends "$red" 10.9.0.2 -c 10 -i 0.002 -s 1000
	sends "$red" 10.9.0.3
	stop TERM
	# Ten pings and their answers between the first two: the third saw none of them.
	stats 'ports[0]["tx_bytes"] > 10000 and ports[1]["tx_bytes"] > 10000 and ports[2]["tx_bytes"] < 10000'
	stats 'stats["macs"] == 3'
}

@test "a hub sends everything everywhere and learns nothing" {
	three_ports --hub
	sends "$red" 10.9.0.2 -c 10 -i 0.002 -s 1000
	stop TERM
	stats 'ports[2]["tx_bytes"] > 20000 and stats["macs"] == 0'
}

@test "isolated ports do not see each other" {
	isolated=,isolated three_ports
	sends "$red" 10.9.0.3
	sends "$blue" 10.9.0.3
	run "$VNIC" exec "$red" -- ping -n -q -c 1 -W 1 10.9.0.2
	[[ $status -eq 1 && $output == *"0 received"* ]]
	stop TERM
}

# --- output and ends -----------------------------------------------------------------

@test "counters are printed as a table too" {
	"$VNIC" ns add "$red" "$blue"
	start --stats "veth:eth0,netns=$red,ip=10.9.0.1/24" "veth:eth0,netns=$blue,ip=10.9.0.2/24"
	sends "$red" 10.9.0.2
	stop INT
	grep -qE "^PORT +RX FRAMES +RX BYTES +TX FRAMES +TX BYTES$" "$out"
	[[ $(grep -cE "^veth:eth0@e2e-(red|blue)[-0-9]+ +[1-9][0-9]* +[1-9][0-9]* +[1-9][0-9]* +[1-9][0-9]*$" "$out") -eq 2 ]] ||
		{ cat "$out" && return 1; }
}

@test "without --stats and --json it is silent" {
	"$VNIC" ns add "$red"
	start "veth:eth0,netns=$red" "veth:eth1,netns=$red"
	stop INT
	[[ ! -s $out ]]
}

@test "a failure leaves no port behind" {
	"$VNIC" ns add "$red"
	run "$VNIC" relay "veth:eth0,netns=$red" "veth:eth1,netns=$red" "veth:eth0,netns=$blue"
	complains 1 "find namespace $blue"
	[[ $(links "$red") == lo ]]
	run "$VNIC" relay "veth:eth0,netns=$red" "veth:lo,netns=$red"
	complains 1 "lo: File exists"
	run "$VNIC" relay "veth:eth0,netns=$red" "link:nothing,netns=$red"
	complains 1 "nothing: No such device"
	run "$VNIC" relay "veth:eth0,netns=$red,ip=10.9.0.1/24,ip=10.9.0.1/24" "veth:eth1,netns=$red"
	complains 1 "10.9.0.1/24"
	run "$VNIC" relay "veth:eth0,netns=$red" "veth:eth1,netns=4194304"
	complains 1 "4194304"
	run "$VNIC" relay "veth:eth0,netns=$red" "veth:eth1,netns=/etc/passwd"
	complains 1 "/etc/passwd"
	[[ $(links "$red") == lo ]]
}

@test "a ready descriptor that is not open is refused before anything is made" {
	run "$VNIC" relay --ready-fd 99 veth:eth0 veth:eth1
	complains 2 "99: --ready-fd: there is no such open descriptor"
	run "$VNIC" relay --ready-fd three veth:eth0 veth:eth1
	complains 2 "three: --ready-fd takes a number"
}

@test "without the privilege it says which" {
	local without=()
	((EUID != 0)) || without=(setpriv --bounding-set=-all --inh-caps=-all --)
	run "${without[@]}" "$VNIC" relay link:lo link:lo
	complains 3 "lo: Operation not permitted"
	[[ ${lines[1]} == "  try: "*CAP_NET_RAW* ]]
}

# --- mistakes ------------------------------------------------------------------------

@test "mistakes in a locator are told by key and are status 2" {
	local port many
	for port in "" tap : tap: :eth0 tpa:eth0 tap:eth0,ipp=1 tap:eth0,ip= tap:eth0,ip tap:much-too-long-a-name tap:a/b tap:. \
		veth:eth0,ip=10.0.0.300/24 veth:eth0,ip=10.0.0.1 veth:eth0,ip=10.0.0.1/33 veth:eth0,mac=01:00:00:00:00:00 \
		veth:eth0,mtu=67 veth:eth0,mtu=70000 veth:eth0,queues=2 tap:eth0,queues=0 tap:eth0,queues=257 \
		tun:tun0,mac=02:00:00:00:00:01 link:eth0,ip=10.0.0.1/24 link:eth0,mtu=1400 fd:x fd: fd:-1 fd:3,netns=red \
		tap:eth0,,mtu=1500 tap:eth0, tap:mtu=1500 tap:eth0,isolated=yes tap:eth0,netns=; do
		run "$VNIC" relay "$port" veth:eth1
		[[ $status -eq 2 && ${#lines[@]} -eq 1 && $output == "vnic: cannot understand "* ]] ||
			{ echo "'$port': $status: $output" && return 1; }
	done
	mapfile -t many < <(printf 'veth:e%s\n' {1..1025})
	run "$VNIC" relay "${many[@]}"
	complains 2 "one argument too many"
	run "$VNIC" relay veth:eth0
	complains 2 "it needs PORT PORT..."
	run "$VNIC" relay veth:eth0 veth:eth1 --hubb
	complains 2 "did you mean --hub?"
}

# Two namespaces, each with a relay of its own; what joins the relays is given: joined LEFT RIGHT, RIGHT is started first.
joined() {
	"$VNIC" ns add "$red" && "$VNIC" ns add "$blue"
	start veth:eth0,netns="$blue",mac=02:00:00:00:00:02,ip=10.9.0.2/24 "$2"
	other=$relay
	exec 7<&5
	start veth:eth0,netns="$red",ip=10.9.0.1/24 "$1"
	sandbox=$other
}

# carries FROM TO ADDRESS: 20 MB over TCP, by super-frames where the way has them, arrive as they were sent.
carries() {
	local port=5001
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
    peer.sendall(data)
print(hashlib.sha256(data).hexdigest())' "$3" $port >"$BATS_TEST_TMPDIR/client"
	wait $server
	[[ $(tail -1 "$BATS_TEST_TMPDIR/server") == $(<"$BATS_TEST_TMPDIR/client") ]]
}

@test "two relays are joined by a stream, for which super-frames are cut" {
	joined stream:"$BATS_TEST_TMPDIR/s",connect stream:"$BATS_TEST_TMPDIR/s"
	sends "$red" 10.9.0.2
	sends "$blue" 10.9.0.1 -s 1400
	carries "$red" "$blue" 10.9.0.2
	stop TERM
	kill -TERM "$other"
	wait "$other"
	[[ ! -e $BATS_TEST_TMPDIR/s ]] # the listener took its file away
}

@test "two relays are joined by TCP, and again after one was killed" {
	joined stream:127.0.0.1:"$port",reconnect=1 stream:127.0.0.1:"$port"
	sends "$red" 10.9.0.2
	kill -KILL "$other"
	wait "$other" || true
	"$VNIC" ns del "$blue" && "$VNIC" ns add "$blue"
	left=$relay
	start veth:eth0,netns="$blue",mac=02:00:00:00:00:02,ip=10.9.0.2/24 stream:127.0.0.1:"$port"
	sandbox=$left
	sends "$red" 10.9.0.2 -w 20 # the first ones may come too early
	stop TERM
}

@test "two relays are joined by datagrams, by sequenced packets and by UDP" {
	joined dgram:"$BATS_TEST_TMPDIR/a",peer="$BATS_TEST_TMPDIR/b" dgram:"$BATS_TEST_TMPDIR/b"
	sends "$red" 10.9.0.2
	stop TERM
	kill -TERM "$other" && wait "$other"
	"$VNIC" ns del "$red" && "$VNIC" ns del "$blue"
	joined seqpacket:"@$red",connect seqpacket:"@$red"
	sends "$blue" 10.9.0.1
	stop TERM
	kill -TERM "$other" && wait "$other"
	"$VNIC" ns del "$red" && "$VNIC" ns del "$blue"
	joined udp:127.0.0.1:"$port",local=127.0.0.1:"$((port + 1))" udp:127.0.0.1:"$((port + 1))",local=127.0.0.1:"$port"
	sends "$red" 10.9.0.2
	stop TERM
}

@test "a socket's path that is taken, absent, or left behind by the dead" {
	touch "$BATS_TEST_TMPDIR/file"
	run "$VNIC" relay stream:"$BATS_TEST_TMPDIR/file" stream:"@$red"
	complains 1 "stream:$BATS_TEST_TMPDIR/file: "
	run "$VNIC" relay stream:"$BATS_TEST_TMPDIR/none",connect stream:"@$red"
	complains 1 "stream:$BATS_TEST_TMPDIR/none: "
	start stream:"$BATS_TEST_TMPDIR/s" stream:"$BATS_TEST_TMPDIR/t"
	run "$VNIC" relay stream:"$BATS_TEST_TMPDIR/s" stream:"@$red"
	complains 1 "stream:$BATS_TEST_TMPDIR/s: "
	kill -KILL "$relay"
	wait "$relay" || true
	start stream:"$BATS_TEST_TMPDIR/s" stream:"$BATS_TEST_TMPDIR/t"
	stop TERM
	[[ ! -e $BATS_TEST_TMPDIR/s && ! -e $BATS_TEST_TMPDIR/t ]]
}

@test "a filter passes what it says and counts the rest" {
	"$VNIC" ns add "$red" && "$VNIC" ns add "$blue"
	start veth:eth0,netns="$red",ip=10.9.0.1/24,"in.filter=arp or icmp" veth:eth0,netns="$blue",ip=10.9.0.2/24 --json
	sends "$red" 10.9.0.2
	run "$VNIC" exec "$red" -- timeout 1 bash -c ': >/dev/tcp/10.9.0.2/80'
	[[ $status -eq 124 ]] # neither refused nor connected
	stop TERM
	stats 'ports[0]["rx_dropped"]["filtered"] >= 1 and ports[1]["rx_dropped"]["filtered"] == 0'
	run "$VNIC" relay "stream:@$red,filter=arp and and" stream:@$blue
	complains 1 "arp and and: "
}

@test "a delay is as long as asked for, and a rate as low" {
	"$VNIC" ns add "$red" && "$VNIC" ns add "$blue"
	start veth:eth0,netns="$red",ip=10.9.0.1/24,delay=20ms veth:eth0,netns="$blue",ip=10.9.0.2/24,in.delay=10ms,out.rate=1mbit
	sends "$red" 10.9.0.2
	rtt=$("$VNIC" exec "$red" -- ping -n -q -c 5 -i 0.05 -s 1208 10.9.0.2 | sed -n 's/^rtt [^=]*= \([0-9]*\).*/\1/p')
	((rtt >= 40 && rtt < 60)) # 20 and 10 for the delays, 10 for 1,250 bytes at 1 Mbit/s
	stop TERM
}

@test "loss, duplicates and corruption are counted, and TCP lives through them" {
	"$VNIC" ns add "$red" && "$VNIC" ns add "$blue"
	start veth:eth0,netns="$red",ip=10.9.0.1/24,loss=1%,seed=7 --json \
		veth:eth0,netns="$blue",ip=10.9.0.2/24,loss=1%,duplicate=1%,corrupt=1%,reorder=1%,delay=1ms,seed=8
	carries "$red" "$blue" 10.9.0.2
	stop TERM
	stats 'ports[1]["tx_dropped"]["lost"] > 50 and ports[0]["tx_dropped"]["lost"] > 0'
	stats 'sum(p["rx_frames"] for p in ports) + sum(stats["made"].values()) == stats["held"] + sum(p["tx_frames"] + sum(p["rx_dropped"].values()) + sum(p["tx_dropped"].values()) for p in ports)'
	stats 'stats["made"]["duplicate"] > 50 and stats["made"]["segment"] > 1000'
}
