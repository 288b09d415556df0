#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic relay: ports that are sockets, and relays joined by them.
# shellcheck disable=SC2154 # what ../lib/relay sets

load ../lib/relay

@test "two relays are joined by a stream, for which super-frames are cut and merged again behind it" {
	joined stream:"$BATS_TEST_TMPDIR/s",connect stream:"$BATS_TEST_TMPDIR/s" --json
	sends "$red" 10.9.0.2
	sends "$blue" 10.9.0.1 -s 1400
	carries "$red" "$blue" 10.9.0.2
	stop TERM
	kill -TERM "$other"
	wait "$other"
	stats 'stats["made"]["segment"] > 1000 and balanced(stats)'
	# shellcheck disable=SC2034 # stats reads it
	out=$other_out
	stats 'stats["merged"] > 1000 and balanced(stats)'
	[[ ! -e $BATS_TEST_TMPDIR/s ]] # the listener took its file away
}

@test "two relays are joined by TCP, and again after one was killed" {
	joined stream:"$loopback:20001",reconnect=1 stream:"$loopback:20001"
	sends "$red" 10.9.0.2
	kill -KILL "$other"
	wait "$other" || true
	"$VNIC" ns del "$blue" && "$VNIC" ns add "$blue"
	left=$relay
	start veth:eth0,netns="$blue",mac=02:00:00:00:00:02,ip=10.9.0.2/24 stream:"$loopback:20001"
	# shellcheck disable=SC2034 # teardown ends it
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
	joined udp:"$loopback:20001",local="$loopback:20002" udp:"$loopback:20002",local="$loopback:20001"
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

@test "descriptors that peers send along are refused, whoever called whom, and at the control socket" {
	cat >"$BATS_TEST_TMPDIR/peer" <<-'PY'
		import array, errno, os, socket, subprocess, sys
		vnic, one = sys.argv[1], os.open("/dev/null", os.O_RDONLY)

		def refused(peer, name):
		    try:
		        peer.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [one]))])
		        sys.exit(name + ": taken")
		    except OSError as error:
		        assert error.errno == errno.EPERM, (name, error)

		try:
		    socket.socket(socket.AF_UNIX).getsockopt(socket.SOL_SOCKET, 83)  # SO_PASSRIGHTS
		except OSError:
		    sys.exit(77)
		kinds = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET, "dgram": socket.SOCK_DGRAM}
		server = socket.socket(socket.AF_UNIX)
		server.bind("server")
		server.listen()
		ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		relay = subprocess.Popen([vnic, "relay", "--control", "control", "--ready-fd", "1", "stream:server,connect",
		    "fd:%d" % theirs.fileno()] + [kind + ":" + kind for kind in kinds], stdout=subprocess.PIPE,
		    pass_fds=[theirs.fileno()])
		assert relay.stdout.readline()
		peers = {kind: socket.socket(socket.AF_UNIX, kinds[kind]) for kind in kinds}
		peers["control"] = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		for name in peers:
		    peers[name].connect(name)
		for name, peer in [*peers.items(), ("called", server.accept()[0]), ("given", ours)]:
		    refused(peer, name)
		relay.terminate()
		assert relay.wait() == 0
	PY
	cd "$BATS_TEST_TMPDIR"
	run python3 peer "$VNIC"
	((status != 77)) || skip "this kernel (before 6.16) cannot refuse them"
	echo "$output"
	((status == 0))
}
