#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic relay: ports of each kind in named namespaces, switching, clean ends, and mistakes.  as-user: --tun

load ../lib/relay

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

@test "a link is one port of a relay only" {
	"$VNIC" ns add "$red"
	run "$VNIC" relay "veth:eth0,netns=$red" "link:eth0,netns=$red"
	complains 2 "link:eth0@$red: another port is on this link"
	[[ $(links "$red") == lo ]]
}

@test "a descriptor that was handed over is a port" {
	needs_tun
	local user=()
	((EUID == 0)) || user=(--map-root-user)
	timeout 60 unshare "${user[@]}" --net python3 - <<-'END'
		import fcntl, json, os, signal, socket, struct, subprocess
		tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
		fcntl.ioctl(tap, 0x400454ca, struct.pack("16sH22x", b"given", 0x5002))  # TAP, no PI, vnet header
		subprocess.check_call(["ip", "link", "set", "given", "up"])
		ready, tell = os.pipe()
		relay = subprocess.Popen([os.environ["VNIC"], "relay", f"fd:{tap}", "veth:made", "--json",
		                          "--ready-fd", str(tell)], pass_fds=[tap, tell], stdout=subprocess.PIPE)
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
		relay.send_signal(signal.SIGSTOP)
		os.waitid(os.P_PID, relay.pid, os.WSTOPPED)
		for _ in range(1500): # of which the queue holds 1000
		    sender.send(frame)
		relay.send_signal(signal.SIGCONT)
		relay.terminate()
		told = relay.communicate(timeout=20)[0]
		assert relay.returncode == 0 and json.loads(told)["ports"][0]["rx_dropped"]["overrun"] >= 500, told
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

@test "no more MAC addresses are learnt than are asked for, and the others are reached all the same" {
	three_ports --macs 1
	sends "$red" 10.9.0.2
	sends "$blue" 10.9.0.3
	stop TERM
	stats 'stats["macs"] == 1'
	run "$VNIC" relay --macs 2000000 veth:eth0 veth:eth1
	complains 2 "1048576"
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

@test "what a TAP had no room for while the relay did not read is counted" {
	needs_tun
	"$VNIC" ns add "$red" "$blue"
	start --json "tap:eth0,netns=$red,ip=10.9.0.1/24" "tap:eth0,netns=$blue,ip=10.9.0.2/24"
	sends "$red" 10.9.0.2
	kill -STOP "$relay"
	until [[ $(ps -o stat= "$relay") == T* ]]; do :; done
	"$VNIC" exec "$red" -- python3 -c '
import socket
speaker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(2000): # of which the queue holds 1000
    speaker.sendto(b"x", ("10.9.0.2", 9))'
	kill -CONT "$relay"
	sends "$red" 10.9.0.2 -w 20 # the queue may still be full when the first ones come
	stop TERM
	stats 'balanced(stats) and ports[0]["rx_dropped"]["overrun"] >= 1000 and ports[0]["rx_frames"] > 2000'
}

@test "without --stats and --json it is silent" {
	"$VNIC" ns add "$red"
	start "veth:eth0,netns=$red" "veth:eth1,netns=$red"
	stop INT
	[[ ! -s $out ]]
}

@test "there may be more ports than the soft limit has descriptors for" {
	local before ports=()
	"$VNIC" ns add "$red"
	for it in {1..45}; do ports+=("veth:eth$it,netns=$red"); done
	before=$(ulimit -Sn)
	ulimit -Sn 80
	start "${ports[@]}"
	ulimit -Sn "$before"
	stop TERM
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
	run "${without[@]}" "$VNIC" relay link:lo veth:eth0
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
		tap:eth0,,mtu=1500 "tap:eth0," tap:mtu=1500 tap:eth0,isolated=yes tap:eth0,netns=; do
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

# --- threads -------------------------------------------------------------------------

@test "threads share the queues, and flows pass whole" {
	needs_tun
	"$VNIC" ns add "$red" "$blue"
	start --threads 2 --json tap:eth0,netns="$red",ip=10.9.0.1/24 tap:eth0,netns="$blue",ip=10.9.0.2/24,queues=4
	for ((i = 0; i < 3; i++)); do
		sends "$red" 10.9.0.2
		carries "$red" "$blue" 10.9.0.2
		carries "$blue" "$red" 10.9.0.1
	done
	stop TERM
	stats 'balanced(stats) and all(p["rx_bytes"] > 60 << 20 for p in ports)'
	run "$VNIC" relay --threads 2 tap:a,netns="$red",queues=3 tap:b,netns="$blue"
	complains 1 "tap:a@$red: Invalid argument (it has 3 queues, which 2 threads cannot share evenly: give it queues=2)"
	run "$VNIC" relay --threads 2 veth:a,netns="$red" tap:b,netns="$blue"
	complains 2 "--threads: a relay with threads has TAP and TUN ports only"
	echo kept >"$BATS_TEST_TMPDIR/kept"
	run "$VNIC" relay --threads 2 --capture "$BATS_TEST_TMPDIR/kept" tap:a,netns="$red" tap:b,netns="$blue"
	complains 2 "--threads: a relay with threads has no capture"
	[[ $(<"$BATS_TEST_TMPDIR/kept") == kept ]]
	run "$VNIC" relay --threads 2 tap:a,netns="$red",in.filter=arp tap:b,netns="$blue"
	complains 2 "--threads: a relay with threads has no filters and no weather"
}

@test "a relay that polls busily passes frames and ends cleanly" {
	"$VNIC" ns add "$red" "$blue"
	start --busy-poll veth:eth0,netns="$red",ip=10.9.0.1/24 veth:eth0,netns="$blue",ip=10.9.0.2/24
	sends "$red" 10.9.0.2 -c 20 -i 0.01
	stop INT
}
