# SPDX-License-Identifier: GPL-2.0-or-later
"""Every verb of vnic as the torture chamber runs it: what it needs beside it, what it must say, what it may leave.

A verb ends by itself: a relay because what it replays is at its end, or, `loops`, by a SIGTERM at its first wait.
"""
import os
import socket
import struct
import tempfile

import world

PROBE = ["/bin/sh", "-c", "ip -o address show dev eth0; ip -o route; ip -o -6 route"]
PROOF = (".100/24", "::100/64", "default via 10.", "default via fd00:")
NAMES = ("red", "blue")
# Run inside a namespace: a line for a line, the names of its links.
LINKS = "import socket, sys\nfor _ in sys.stdin: print(*sorted(n for _, n in socket.if_nameindex()), flush=True)"


class Verb:
    own_status = False  # run, exec and vm: 125 for what is vnic's own failure
    loops = False
    for_ever = False  # it ends when it is ended
    lasting = False  # something may be left that `mend` takes away
    reports = False  # status 1 is a finding, not a failure

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

    def mend(self, status=None):
        if status is None:
            status, said = world.run(self.verb, "add", self.name)
            assert status in (0, 1, 3), f"add: {status}: {said}"
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
        at = 0
        while at + 8 <= len(data):
            kind, size = struct.unpack_from("<II", data, at)
            assert kind in (0x0A0D0D0A, 1, 5, 6) and size >= 12 and size % 4 == 0, f"no block at {at}"
            assert at + size > len(data) or data[at + size - 4:at + size] == data[at + 4:at + 8], f"block at {at}"
            at += size


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
        return os.read(self.told, 4096).split()

    def settled(self):
        with world.deadline():
            while self.links() != self.before:
                pass

    def end(self):
        for fd in self.stdin, self.asked, self.told:
            os.close(fd)
        os.waitpid(self.pid, 0)


class Place:
    """
    What verbs need beside them: a standard input that never ends, a place for output, a directory; the namespaces red
    and blue with a link each; a running sandbox and a running relay; frames to replay; sockets to speak to.
    """

    def __init__(self):
        self.stdin, self.writer = os.pipe2(os.O_CLOEXEC)
        self.output = os.memfd_create("output")
        self.dir = tempfile.mkdtemp(prefix="torture-")
        self.port = 20000 + os.getpid() % 20000
        self.fd, self.fd_peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.fd.set_inheritable(True)
        self.fd_peer.setblocking(False)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.file("listener"))
        self.listener.listen(64)
        self.listener.setblocking(False)
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
        return world.snapshot() | {"files": world.listing(self.dir)}

    def said(self):
        return os.pread(self.output, 1 << 18, 0).decode(errors="replace")

    def forget(self):
        os.ftruncate(self.output, 0)
        os.lseek(self.output, 0, os.SEEK_SET)

    def remove_sockets(self):
        for name in set(world.listing(self.dir)) - set(self.before["files"]):
            os.unlink(self.file(name))

    def drain(self):
        """What was said to our sockets."""
        for sock in self.datagrams, self.fd_peer:
            try:
                while True:
                    sock.recv(1 << 16)
            except BlockingIOError:
                pass
        try:
            while True:
                self.listener.accept()[0].close()
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
        return world.difference(self.before, self.snapshot())

    def remove_rest(self):
        while pids := set(world.descendants()) - self.keep:
            for pid in pids:
                world.kill(pid)
            os.waitpid(-1, world.WALL)

    def close(self):
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
    yield Named("run --name", "run", "--name", "faulty", "--", *PROBE, proofs=PROOF)
    path = place.file("run.pcapng")
    yield Capture("run --capture", "run", "--capture", path, "--", *PROBE, proofs=PROOF, path=path)
    yield Verb("run --publish", "run", "--publish", f"127.0.0.1:{place.port}:9/udp", "--publish",
               f"127.0.0.1:{place.port}:9", "--", *PROBE, proofs=PROOF)
    yield Verb("run --stats --hostname", "run", "--stats", "--json", "--hostname", "fault", "--", *PROBE, proofs=PROOF)
    yield Verb("run of two NICs, one by DHCP", "run", "--nic", "veth", "--nic", "veth,name=lan0,ip=dhcp", "--", *PROBE,
               proofs=PROOF)
    if has_tun():
        yield Verb("run --nic tap", "run", "--nic", "tap", "--", *PROBE, proofs=PROOF)
        yield Verb("run --nic tun", "run", "--nic", "tun", "--", *PROBE, proofs=PROOF[:3])
        yield Verb("vm", "vm", "--", "/bin/cat", "/proc/self/fdinfo/{fd}", proofs=("iff:\tnic0",))
    if os.getuid() == 0:
        yield Verb("run, on a bridge", "run", "--nic", "veth,to=bridge:br0,ip=10.9.0.7/24", "--", *PROBE, proofs=("10.9.0.7/24",))
        yield Verb("run --nic macvlan", "run", "--nic", "macvlan,parent=br0,ip=10.9.0.7/24", "--", *PROBE, proofs=("10.9.0.7/24",))
    yield Verb("exec in a sandbox", "exec", "resident", "--", *PROBE, proofs=PROOF)
    yield Verb("exec in a namespace", "exec", "red", "--", "ip", "-o", "link", proofs=(": d0: ",))
    yield Verb("exec in a process", "exec", place.front, "--", "/bin/true")


def of_relay(place):
    replay = f"pcap:{place.frames},speed=max"
    pair = "veth:v0,netns=blue,ip=10.9.0.2/24"

    def relay(text, *argv, kind=Verb, **more):
        return kind("relay " + text, "relay", "--json", *argv, proofs=('"ports"',), **more)

    copy = place.file("copy.pcapng")
    yield relay("of a pair", replay, pair)
    yield relay("of a link", replay, "link:d0,netns=red")
    yield relay("that writes a file", replay, f"pcap:{copy},write", kind=Capture, path=copy)
    yield relay("of a stream that listens", replay, f"stream:{place.file('stream')}")
    yield relay("of a stream that connects", replay, f"stream:{place.file('listener')},connect")
    yield relay("of a stream over TCP", replay, f"stream:127.0.0.1:{place.port}")
    yield relay("of packets of a stream", replay, f"seqpacket:{place.file('packets')}")
    yield relay("of datagrams", replay, f"dgram:{place.file('dgram')},peer={place.file('datagrams')}")
    yield relay("of UDP", replay, f"udp:127.0.0.1:{place.port},local=127.0.0.1:{place.port + 1}")
    yield relay("of a tunnel", replay, f"vxlan:id=7,remote=127.0.0.1:{place.port},local=127.0.0.1:{place.port + 1}")
    yield relay("of a descriptor", replay, f"fd:{place.fd.fileno()}")
    yield relay("in bad weather", replay + ",in.delay=2ms,in.loss=10%", pair + ",delay=5ms,rate=10mbit,duplicate=10%")
    yield relay("with filters", replay + ",in.filter=ether proto 0x88b5", pair + ",filter=not tcp")
    path = place.file("relay.pcapng")
    yield relay("that captures", "--capture", path, "--capture-both", "--capture-drops", replay, pair, kind=Capture,
                path=path)
    yield relay("that takes commands", "--control", place.file("commands"), replay, pair)
    if has_tun():
        yield relay("of a tap", replay, "tap:t0,netns=red,ip=10.9.0.1/24,queues=2")
        yield relay("of a tun", f"pcap:{place.packets},speed=max", "tun:t0,netns=red,ip=10.9.0.1/24")
        yield relay("with threads", "--threads", "2", "tap:t0,netns=red", "tap:t0,netns=blue", loops=True)
    for command in ("stats",), ("set", "0", "delay=1ms,loss=1%"), ("clear", "0"), ("isolate", "1", "off"):
        yield Verb("relay --at " + command[0], "relay", "--at", place.file("control"), *command,
                   proofs=('"ports"',) if command[0] == "stats" else ())


def of_lasting(place):
    yield Lasting("ns add", "ns", "add", "lasting")
    yield Lasting("ns del", "ns", "del", "lasting", first=[("ns", "add", "lasting")])
    if os.getuid() == 0 and has_tun():
        yield Lasting("tap add", "tap", "add", "lasting0", "--owner", "65534", "--mtu", "1400", "--mac", "02:00:00:00:00:07")
        yield Lasting("tap del", "tap", "del", "lasting0", first=[("tap", "add", "lasting0")])
    for form in (), ("--json",):
        yield Verb(" ".join(("ns list", *form)), "ns", "list", *form, proofs=("red", "blue"))
        yield Verb(" ".join(("ns show", *form)), "ns", "show", *form, os.getpid(), place.front, proofs=(str(place.front),))
        yield Verb(" ".join(("tap list", *form)), "tap", "list", *form)
        yield Verb(" ".join(("list", *form)), "list", *form, proofs=("resident", ".100/24", "::100/64"))
    yield Verb("doctor", "doctor", proofs=("kernel",), statuses=(1, 3), reports=True)
    yield Verb("doctor --report", "doctor", "--report", proofs=("kernel",), statuses=(1, 3), reports=True)


def verbs(place):
    yield from of_run(place)
    yield from of_relay(place)
    yield from of_lasting(place)
