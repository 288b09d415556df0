#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every verb of vnic as the torture chamber runs it: what it needs beside it, what it must say, what it may leave.

A verb ends by itself: a relay because what it replays is at its end, or, `loops`, by a SIGTERM at its first wait.
"""
import fcntl
import json
import os
import re
import select
import signal
import socket
import stat
import struct
import sys
import tempfile
import threading

import world

PROBE = ["/bin/sh", "-c", "ip -o address show dev eth0; ip -o route; ip -o -6 route"]
PROOF = (".100/24", "::100/64", "default via 10.", "default via fd00:")
NAMES = ("red", "blue")
PR_SET_PDEATHSIG = 1
HANDED_OVER = 900  # descriptors from here on
# One flow may fail with the call that does; the next must not.
FLOWS = ["/bin/bash", "-c", """
gateway=$(ip route) gateway=${gateway#default via } gateway=${gateway%% *}
for kind in tcp udp; do
	for try in 1 2 3; do
		(exec 3<>/dev/$kind/$gateway/$0 && echo hello >&3 && [[ $(timeout 0.7 head -c 6 <&3) == hello ]]) || continue
		echo "$kind works"
		break
	done
done"""]
# Run inside a namespace: a line for a line, the names of its links.
LINKS = "import socket, sys\nfor _ in sys.stdin: print(*sorted(n for _, n in socket.if_nameindex()), flush=True)"


class Verb:
    own_status = False  # run, exec and vm: 125 for what is vnic's own failure
    loops = False
    for_ever = False  # it ends when it is ended
    lasting = False  # something may be left that `mend` takes away
    reports = False  # status 1 is a finding, not a failure
    limits = True  # it says the truth with low limits too: its command needs no more than vnic itself

    def __init__(self, text, *argv, proofs=(), statuses=(1, 3), **more):
        self.text, self.argv, self.proofs, self.statuses = text, [world.VNIC, *map(str, argv)], proofs, statuses
        self.own_status = argv[0] in ("run", "exec", "vm")
        if self.own_status:
            self.statuses = (125,)
        vars(self).update(more)

    def prepare(self):
        pass

    def mend(self, _status=None):
        """After it was killed, or has ended with this status.  Raises AssertionError when something cannot be mended."""


class Named(Verb):
    """A file of a name may stay when it is killed, until somebody looks."""

    def mend(self, _status=None):
        status, said = world.run("list")
        assert status == 0, f"list: {status}: {said}"


class Lasting(Verb):
    """Makes (or deletes) a thing that lasts: VERB add NAME, VERB del NAME."""

    lasting = True

    def __init__(self, text, *argv, first=(), **more):
        super().__init__(text, *argv, **more)
        self.first, self.verb, self.action, self.name = first, *argv[:3]

    def prepare(self):
        for words in self.first:
            status, said = world.run(*words)
            assert status == 0, f"{words}: {status}: {said}"

    def delete(self):
        with world.deadline():
            while (result := world.run(self.verb, "del", self.name))[0] != 0:
                pass  # what was just killed may still be ending, and says so
        return result[1]

    def check_whole(self):
        """A namespace that has its name is one; it may be just ending."""
        with world.deadline():
            while self.name in world.run("ns", "list")[1] and world.run("exec", self.name, "--", "true")[0] != 0:
                pass

    def mend(self, status=None):
        if status is None:
            if self.verb == "ns":
                self.check_whole()
            status, said = world.run(self.verb, "add", self.name)
            assert status == 0 or "exists" in said or "in use" in said or "busy" in said, f"add: {status}: {said}"
            self.delete()
            return
        absent = "was not there" in self.delete()
        if self.action == "add":
            assert absent == (status != 0), f"status {status}, and it is {'not there' if absent else 'there'}"
        else:
            assert absent or status != 0, "it is still there"


class Capture(Verb):
    """Writes a file that must be readable whatever happens; only a process killed amid a write may cut the end."""

    def __init__(self, text, *argv, path, **more):
        self.path = path
        super().__init__(text, *argv, **more)

    def prepare(self):
        with open(self.path, "wb"):
            pass

    def mend(self, _status=None):
        with open(self.path, "rb") as file:
            data = file.read()
        os.unlink(self.path)
        self.blocks = at = 0
        while at + 8 <= len(data):
            kind, size = struct.unpack_from("<II", data, at)
            assert kind in (0x0A0D0D0A, 1, 5, 6) and size >= 12 and size % 4 == 0, f"no block at {at}"
            assert at + size > len(data) or data[at + size - 4:at + size] == data[at + 4:at + 8], f"block at {at}"
            at += size
            self.blocks += at <= len(data)


class Log(Capture):
    """The same of lines: each that ends is JSON."""

    def mend(self, _status=None):
        with open(self.path, "rb") as file:
            lines = file.read().split(b"\n")
        os.unlink(self.path)
        for line in lines[:-1]:
            assert json.loads(line)["event"] in ("open", "end", "denied", "failed", "full", "question", "missing"), line


class Inside:
    """A process in a named namespace that tells its links."""

    def __init__(self, name):
        self.stdin, self.asked = os.pipe2(os.O_CLOEXEC)
        self.told, output = os.pipe2(os.O_CLOEXEC)
        self.pid = world.spawn([world.VNIC, "exec", name, "--", "/usr/bin/python3", "-c", LINKS], self.stdin, output)
        os.close(output)
        self.before = self.links()

    def links(self):
        os.write(self.asked, b"\n")
        line = b""
        while not line.endswith(b"\n"):
            line += os.read(self.told, 4096) or b" has ended\n"
        return line.split()

    def settled(self):
        world.until(lambda: self.links() == self.before)

    def end(self):
        for fd in self.stdin, self.asked, self.told:
            os.close(fd)
        os.waitpid(self.pid, 0)


def handed_over(fd):
    """The same under a number that a limit of descriptors does not count; inherited by whatever is run."""
    high = fcntl.fcntl(fd, fcntl.F_DUPFD, HANDED_OVER)
    os.close(fd)
    return high


def start_echo(port):
    """A server on the host's loopback, TCP and UDP."""
    server = socket.create_server(("127.0.0.1", port), backlog=64)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", port))
    pid = os.fork()
    if pid == 0:
        world.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    while pid == 0:
        for ready in select.select([server, datagrams], [], [])[0]:
            if ready is datagrams:
                datagrams.sendto(*datagrams.recvfrom(2048))
                continue
            connection = server.accept()[0]
            threading.Thread(target=echo, args=[connection], daemon=True).start()
    server.close()
    datagrams.close()
    return pid


def echo(connection):
    try:
        while data := connection.recv(2048):
            connection.sendall(data)
    except OSError:
        pass
    connection.close()


class Place:
    """
    What verbs need beside them: a standard input that never ends, a place for output, a directory; the namespaces red
    and blue with a link each; a running sandbox and a running relay; frames to replay; sockets to speak to.
    """

    def __init__(self):
        self.stdin, self.writer = os.pipe2(os.O_CLOEXEC)
        self.output = os.memfd_create("output")
        self.dir = tempfile.mkdtemp(prefix="torture-")
        self.port = 20000 + 4 * (os.getpid() % 2500)  # and three more, as a user in the host's network
        near, self.fd_peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.fd = handed_over(near.detach())
        self.ready = handed_over(os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC))
        self.fd_peer.setblocking(False)
        self.listener = self.listening("listener", socket.SOCK_STREAM)
        self.packets_listener = self.listening("packets-listener", socket.SOCK_SEQPACKET)
        self.echo = start_echo(self.port + 2)
        self.datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.datagrams.bind(self.file("datagrams"))
        self.datagrams.setblocking(False)
        self.frames, self.packets = self.file("frames"), self.file("raw")
        self.write_frames(self.frames, 1, bytes.fromhex("02000000000202000000000188b5"))
        self.write_frames(self.packets, 101, bytes.fromhex("60000000000011400000000000000000000000000000000000000000000000000000000000000001"))
        self.front = None
        for name in NAMES:
            self.must("ns", "add", name)
            self.must("exec", name, "--", "ip", "link", "add", "d0", "type", "bridge")
            self.must("exec", name, "--", "ip", "link", "set", "d0", "up")
        self.front = self.start("run", "--name", "resident", "--ready-fd")
        self.relay = self.start("relay", "veth:w0,netns=red", "veth:w0,netns=blue", "--control", self.file("control"),
                                "--ready-fd")
        self.inside = [Inside(name) for name in NAMES]
        self.keep = frozenset(world.descendants())
        self.before = self.snapshot()
        self.held = self.descriptors()

    def listening(self, name, kind):
        sock = socket.socket(socket.AF_UNIX, kind)
        sock.bind(self.file(name))
        sock.listen(64)
        sock.setblocking(False)
        return sock

    def file(self, name):
        return os.path.join(self.dir, name)

    @staticmethod
    def must(*argv):
        status, said = world.run(*argv)
        assert status == 0, f"{argv}: {status}: {said}"

    def start(self, *argv):
        """Returns when it is ready: its last option is --ready-fd."""
        ready, told = os.pipe2(0)
        command = ["--", "/bin/cat"] if argv[0] == "run" else []
        pid = world.spawn([world.VNIC, *argv, str(told), *command], self.stdin)
        os.close(told)
        with world.deadline():
            assert os.read(ready, 2), f"{argv}: it did not start"
        os.close(ready)
        return pid

    @staticmethod
    def write_frames(path, kind, header):
        """Ten frames, as pcap."""
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, kind))
            for number in range(10):
                frame = header + bytes([number]) * (46 + 9 * number)
                file.write(struct.pack("<IIII", 1700000000, number * 1000, len(frame), len(frame)) + frame)

    def snapshot(self):
        return world.snapshot() | {"files": world.tree(self.dir), "what runs beside it": sorted(self.keep & set(world.descendants()))}

    def descriptors(self):
        """How many those have that run beside it, where we may look."""
        numbers = {}
        for pid in self.keep:
            try:
                numbers[pid] = len(os.listdir(f"/proc/{pid}/fd"))
            except OSError:
                pass
        return numbers

    def none_holds_more(self):
        """Who is ready may still have to close what he does not need, or take the sight of it from us."""
        now = self.descriptors()
        if any(count > self.held.get(pid, 0) for pid, count in now.items()):
            return False
        self.held = now
        return all(os.path.exists(f"/proc/{pid}") for pid in self.keep)

    def said(self):
        return os.pread(self.output, 1 << 18, 0).decode(errors="replace")

    def forget(self):
        os.ftruncate(self.output, 0)
        os.lseek(self.output, 0, os.SEEK_SET)

    def remove_sockets(self):
        """Those whose relay was killed: the next one does it."""
        for name in set(os.listdir(self.dir)):
            if f"/{name}" not in self.before["files"] and stat.S_ISSOCK(os.stat(self.file(name)).st_mode):
                os.unlink(self.file(name))

    def drain(self):
        """What was said to our sockets."""
        for sock in self.datagrams, self.fd_peer:
            try:
                while True:
                    sock.recv(1 << 16)
            except BlockingIOError:
                pass
        for sock in self.listener, self.packets_listener:
            try:
                while True:
                    sock.accept()[0].close()
            except BlockingIOError:
                pass

    def settled(self):
        """Waits until all is as before; what differs, "" for nothing."""
        self.drain()
        with world.Links() as events:
            world.reap_all(self.keep)
            if "links" in self.before:
                events.wait(self.before["links"])
        for inside in self.inside:
            inside.settled()
        world.until(self.none_holds_more)
        return world.difference(self.before, self.snapshot())

    def start_over(self):
        """After a failure, which is told once: what cannot be taken away belongs to the place from now on."""
        world.remove_rest(self.keep)
        self.keep &= set(world.descendants())
        try:
            self.settled()
        except world.Hang:
            pass
        for inside in self.inside:
            inside.before = inside.links()
        self.before, self.held = self.snapshot(), self.descriptors()

    def close(self):
        world.kill(self.echo)
        os.waitpid(self.echo, 0)
        for inside in self.inside:
            inside.end()
        for pid in self.relay, self.front:
            os.kill(pid, 15)
            os.waitpid(pid, 0)
        for name in NAMES:
            world.run("ns", "del", name)
        world.reap_all()
        for name in os.listdir(self.dir):
            os.unlink(self.file(name))
        os.rmdir(self.dir)


def has_tun():
    return os.access("/dev/net/tun", os.R_OK | os.W_OK)


def of_run(place):
    yield Verb("run", "run", "--", *PROBE, proofs=PROOF)
    yield Verb("run, with flows", "run", "--allow", "host", "--", *FLOWS, place.port + 2, proofs=("tcp works", "udp works"),
               limits=False)
    log = place.file("run.log")
    yield Log("run --log", "run", "--log", log, "--allow", "host", "--", *FLOWS, place.port + 2, path=log,
              proofs=("tcp works", "udp works"), limits=False)
    yield Named("run --name", "run", "--name", "faulty", "--", *PROBE, proofs=PROOF)
    path = place.file("run.pcapng")
    yield Capture("run --capture", "run", "--capture", path, "--", *PROBE, proofs=PROOF, path=path)
    yield Capture("run, capturing to files in turn", "run", "--capture", path, "--capture-size", "1", "--capture-files", "2",
                  "--snaplen", "64", "--", *PROBE, proofs=PROOF, path=path + ".0")
    yield Verb("run --publish", "run", "--publish", f"127.0.0.1:{place.port}:9/udp", "--publish",
               f"127.0.0.1:{place.port}:9", "--", *PROBE, proofs=PROOF)
    yield Verb("run --stats --hostname", "run", "--stats", "--json", "--hostname", "fault", "--", *PROBE, proofs=PROOF)
    yield Verb("run of two NICs, one by DHCP", "run", "--nic", "veth", "--nic", "veth,name=lan0,ip=dhcp", "--", *PROBE,
               proofs=PROOF)
    yield Verb("run, with rules and resolvers", "run", "--allow", "lan", "--deny", "internet", "--allow", "192.0.2.0/24:80/tcp",
               "--allow", "*.example.org:443", "--dns", "192.0.2.53", "--dns", "fd77::53", "--dns", "allowed", "--", *PROBE,
               proofs=PROOF)
    yield Verb("run --dns none", "run", "--dns", "none", "--ready-fd", place.ready, "--exit-fd", "0", "--", *PROBE, proofs=PROOF)
    yield Verb("run --nic none", "run", "--nic", "none", "--", "ip", "-o", "link", proofs=(": lo: ",))
    own = ",".join(("name=eth0", "ip=10.9.0.7/24", "ip=fd09::7/64", "gw=10.9.0.1", "mac=02:00:00:00:00:09", "mtu=1400"))
    yield Verb("run of a NIC with addresses of its own", "run", "--nic", "veth," + own, "--", *PROBE,
               proofs=("10.9.0.7/24", "fd09::7/64", "via 10.9.0.1"))
    yield Verb("run of a NIC that leads nowhere", "run", "--nic", "veth,to=none,ip=10.9.0.7/24", "--", *PROBE,
               proofs=("10.9.0.7/24",))
    yield Verb("run --unshare", "run", "--unshare", "ipc,uts,cgroup,time", "--map", "self", "--", *PROBE, proofs=PROOF)
    yield Verb("run --share", "run", "--share", "mnt,pid", "--map", "root", "--", *PROBE, proofs=PROOF)
    if has_tun():
        yield Verb("run --nic tap", "run", "--nic", "tap", "--", *PROBE, proofs=PROOF)
        yield Verb("run --nic tun", "run", "--nic", "tun,queues=2", "--", *PROBE, proofs=PROOF[:3])
        yield Log("vm --log", "vm", "--log", log, "--", "/bin/cat", "/proc/self/fdinfo/{fd}", path=log, proofs=("iff:\tnic0",))
        yield Capture("vm --capture", "vm", "--capture", path, "--capture-size", "1", "--capture-files", "2", "--snaplen",
                      "64", "--stats", "--json", "--", "/bin/echo", "it has {fd}", proofs=("it has ",), path=path + ".0")
        yield Named("vm of two NICs", "vm", "--nic", "tap,queues=2", "--nic", "tap,gw=none,ip=10.9.0.7/24", "--name", "faulty",
                    "--publish", f"127.0.0.1:{place.port}:9", "--allow", "lan", "--deny", "internet", "--dns", "192.0.2.53",
                    "--ready-fd", place.ready, "--exit-fd", "0", "--", "/bin/echo", "they have", "{fds}", "{fd1}", "{mac1}",
                    proofs=("they have ",))
        yield Verb("vm --unshare", "vm", "--unshare", "pid,net,uts", "--", "/bin/echo", "it has {fd}", proofs=("it has ",))
    if os.getuid() == 0:
        yield Verb("run, on a bridge", "run", "--nic", "veth,to=bridge:br0,ip=10.9.0.7/24", "--", *PROBE, proofs=("10.9.0.7/24",))
        for kind in "macvlan", *(["macvtap"] if has_tun() else []):
            yield Verb(f"run --nic {kind}", "run", "--nic", f"{kind},parent=br0,ip=10.9.0.7/24", "--", *PROBE,
                       proofs=("10.9.0.7/24",))
        if has_tun():
            yield Verb("run of a tap on a bridge", "run", "--nic", "tap,to=bridge:br0,ip=10.9.0.7/24", "--", *PROBE,
                       proofs=("10.9.0.7/24",))
            yield Verb("vm, on a bridge", "vm", "--nic", "tap,to=bridge:br0", "--", "/bin/echo", "it has {fd}", proofs=("it has ",))
        yield Verb("run --privileged", "run", "--privileged", "--", *PROBE, proofs=PROOF)
        yield Verb("exec --privileged", "exec", "--privileged", "red", "--", "ip", "-o", "link", proofs=(": d0: ",))
        yield Verb("exec in a file", "exec", "/run/netns/red", "--", "ip", "-o", "link", proofs=(": d0: ",))
    yield Verb("exec in a sandbox", "exec", "resident", "--", *PROBE, proofs=PROOF)
    yield Verb("exec in a namespace", "exec", "red", "--", "ip", "-o", "link", proofs=(": d0: ",))
    yield Verb("exec in a process", "exec", place.front, "--", "/bin/true")


def of_relay(place):
    replay = f"pcap:{place.frames},speed=max"
    pair = "veth:v0,netns=blue,ip=10.9.0.2/24"
    here = f"127.0.0.1:{place.port}"

    def relay(text, *argv, kind=Verb, **more):
        return kind("relay " + text, "relay", "--json", *argv, proofs=('"ports"',), **more)

    copy = place.file("copy.pcapng")
    yield relay("of a pair", replay, pair)
    yield relay("of a pair with settings", replay, "veth:v0,netns=blue,ip=fd09::2/64,mac=02:00:00:00:00:09,mtu=1400")
    yield relay("of a link", replay, "link:d0,netns=red")
    yield relay("that writes a file", replay, f"pcap:{copy},write", kind=Capture, path=copy)
    yield relay("of a stream that listens", replay, f"stream:{place.file('stream')}")
    yield relay("of a stream that connects", replay, f"stream:{place.file('listener')},connect")
    yield relay("of a stream that connects again", replay, f"stream:{place.file('listener')},reconnect=1")
    yield relay("of a stream over TCP", replay, f"stream:{here}")
    yield relay("of a stream in a namespace", replay, f"stream:{here},netns=red")
    yield relay("of packets of a stream", replay, f"seqpacket:{place.file('packets')}")
    yield relay("of packets of a stream that connects", replay, f"seqpacket:{place.file('packets-listener')},connect")
    yield relay("of datagrams", replay, f"dgram:{place.file('dgram')},peer={place.file('datagrams')}")
    yield relay("of UDP", replay, f"udp:{here},local=127.0.0.1:{place.port + 1}")
    yield relay("of UDP in a namespace", replay, f"udp:{here},local=127.0.0.1:{place.port + 1},netns=red")
    yield relay("of a tunnel", replay, f"vxlan:id=7,remote={here},local=127.0.0.1:{place.port + 1}")
    yield relay("of a tunnel with two remotes", replay,
                f"vxlan:id=7,remote={here},remote=127.0.0.1:{place.port + 3},local=127.0.0.1:{place.port + 1},netns=red")
    yield relay("of a descriptor", replay, f"fd:{place.fd}")
    yield relay("in bad weather", replay + ",in.delay=2ms,in.loss=10%", pair + ",delay=5ms,rate=10mbit,duplicate=10%")
    yield relay("with filters", replay + ",in.filter=ether proto 0x88b5", pair + ",filter=not tcp")
    yield relay("that is a switch", "--macs", "16", "--stats", replay, replay + ",isolated", pair + ",isolated")
    yield relay("that is a hub", "--hub", "--busy-poll", "--interval", "1", "--ready-fd", place.ready, replay, replay, pair)
    yield Verb("relay --stats", "relay", "--stats", replay, pair, proofs=("RX FRAMES",))
    path = place.file("relay.pcapng")
    yield relay("that captures", "--capture", path, "--capture-both", "--capture-drops", replay, pair, kind=Capture,
                path=path)
    yield relay("that captures to files in turn", "--capture", path, "--capture-size", "1", "--capture-files", "2", "--snaplen",
                "64", replay, pair, kind=Capture, path=path + ".0")
    yield Verb("relay that captures to its output", "relay", "--capture", "-", replay, pair, proofs=("vnic",))
    yield relay("that takes commands", "--control", place.file("commands"), replay, pair)
    if has_tun():
        yield relay("of a tap", replay, "tap:t0,netns=red,ip=10.9.0.1/24,queues=2")
        yield relay("of a tun", f"pcap:{place.packets},speed=max", "tun:t0,netns=red,ip=10.9.0.1/24")
        yield relay("with a fast path", "--fast-path", "tap:t0,netns=red,ip=10.9.0.1/24", "tap:t0,netns=blue", loops=True)
        yield relay("with threads", "--threads", "2", "tap:t0,netns=red", "tap:t0,netns=blue", loops=True)
    for command in ("stats",), ("set", "0", "delay=1ms,loss=1%"), ("clear", "0"), ("link", "1", "up"), ("isolate", "1", "off"):
        yield Verb("relay --at " + command[0], "relay", "--at", place.file("control"), *command,
                   proofs=('"ports"',) if command[0] == "stats" else ())


def of_lasting(place):
    yield Lasting("ns add", "ns", "add", "lasting")
    yield Lasting("ns del", "ns", "del", "lasting", first=[("ns", "add", "lasting")])
    yield Verb("ns del of what is not there", "ns", "del", "nothing", proofs=("was not there",))
    if os.getuid() == 0 and has_tun():
        yield Lasting("tap add", "tap", "add", "lasting0", "--owner", "65534", "--mtu", "1400", "--mac", "02:00:00:00:00:07",
                      "--up")
        yield Lasting("tap add --tun", "tap", "add", "lasting0", "--tun", "--group", "65534", "--queues", "2")
        yield Lasting("tap del", "tap", "del", "lasting0", first=[("tap", "add", "lasting0")])
        yield Verb("tap del of what is not there", "tap", "del", "nothing0", proofs=("was not there",))
    for form in (), ("--json",):
        yield Verb(" ".join(("ns list", *form)), "ns", "list", *form, proofs=("red", "blue"))
        yield Verb(" ".join(("ns show", *form)), "ns", "show", *form, os.getpid(), place.front, proofs=(str(place.front),))
        yield Verb(" ".join(("tap list", *form)), "tap", "list", *form)
        yield Verb(" ".join(("list", *form)), "list", *form, proofs=("resident", ".100/24", "::100/64"))
        yield Verb(" ".join(("doctor", *form)), "doctor", *form, proofs=("kernel",), statuses=(1, 3), reports=True)
    yield Verb("doctor --report", "doctor", "--report", proofs=("kernel",), statuses=(1, 3), reports=True)
    yield Verb("--version", "--version", proofs=("vnic ",))
    yield Verb("relay --help", "relay", "--help", proofs=("--busy-poll",))


def verbs(place):
    yield from of_run(place)
    yield from of_relay(place)
    yield from of_lasting(place)


# --- is it every one? --------------------------------------------------------------------

LEFT_OUT = {
    "relay --top": "wants a terminal",
    "run --map auto": "newuidmap(1) has no privilege under a tracer",
}
COMMANDS = ("run", "exec", "vm", "ns add", "ns del", "ns list", "ns show", "tap add", "tap del", "tap list", "relay", "list",
            "doctor")  # fmt: skip


def known():
    """Every word that the program itself says it knows: "COMMAND --option", "--nic kind", "relay kind:"."""
    for command in COMMANDS:
        text = world.run(*command.split(), "--help")[1]
        yield command
        yield from (f"{command} {option}" for option in re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", text, re.M) if option != "--help")
    top = world.run("--help")[1]
    yield from (name for name in re.findall(r"^  ([a-z]+) ", top, re.M) if name not in ("ns", "tap"))
    yield from (f"--nic {kind}" for kind in re.findall(r"[a-z]+", world.run("run", "--nic", "x", "--", "true")[1].split("is a ")[1])
                if kind not in ("or", "a"))  # fmt: skip
    yield from (f"relay {kind}:" for kind in re.findall(r"(?:is|,|or) ([a-z]+):", world.run("relay", "x:y", "x:y")[1]))


def tortured(argv):
    """The same words, of one verb."""
    own = argv[:argv.index("--")] if "--" in argv else argv
    command = " ".join(own[:2 if own[0] in ("ns", "tap") else 1])
    yield command
    yield from (f"{command} {word}" for word in own if word.startswith("--"))
    yield from (f"--nic {value.split(',')[0]}" for word, value in zip(own, own[1:]) if word == "--nic")
    yield from (f"relay {word.split(':')[0]}:" for word in own if command == "relay" and ":" in word)


def main():
    """Says what the program knows and no verb has."""
    world.enter()
    place, results = Place(), world.Results()
    words, used = set(known()), {word for verb in verbs(place) for word in tortured(verb.argv[1:])}
    place.close()
    world.leave()
    missing = sorted(words - used - set(LEFT_OUT))
    results.add(len(words) > 80 and not missing, f"{len(words)} commands, options and kinds are tortured", "\n".join(missing))
    for word, why in LEFT_OUT.items():
        results.note(f"{word}: {why}")
    results.end()


if __name__ == "__main__":
    main()
