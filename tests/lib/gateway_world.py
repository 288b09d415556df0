# SPDX-License-Identifier: GPL-2.0-or-later
"""
A host of the tests' own, in a network namespace, and the world outside it in another; sandboxes run on the host.

  outside  in0 10.77.0.2 fd88::2 ====== out0 10.77.0.1 fd88::1  host  <- vnic run -> sandbox
           and OUTSIDE on its lo                                and OWN on its lo

A test program is a module of functions that take a World; `python3 PROGRAM NAME` runs one of them in a new world, made
with the arguments that the function's attribute `world` holds, if it has one.
"""
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time

AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gateway_agent.py")
PATIENCE = 60
MACS = {1: "02:00:00:00:77:01", 2: "02:00:00:00:77:02"}

OWN = ["198.51.100.7", "203.0.113.9", "9.9.9.9", "192.168.50.1", "2001:db8::7", "fd77::1", "2620:fe::9"]
OUTSIDE = [
    "9.9.9.10", "2620:fe::fe",  # the Internet
    "192.168.77.1", "10.99.0.1", "172.16.5.1", "100.64.0.1", "fd77:1::1",
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254",
    "192.0.2.1", "198.18.0.1", "240.0.0.1", "2001:db8:1::1",
    "64:ff9b::c0a8:4d01", "2002:c0a8:4d01::1", "2001:0:1::3f57:b2fe",  # NAT64, 6to4, Teredo of 192.168.77.1
]  # fmt: skip

# In an ordinary user's world the privilege over it is the test's, not vnic's.
ORDINARY = ["setpriv", "--ambient-caps=-all", "--inh-caps=-all", "--bounding-set=-all"]
VNIC_RUN = [*([] if os.geteuid() == 0 else ORDINARY), os.environ["VNIC"], "run"]
FORBID = os.path.join(os.path.dirname(AGENT), "forbid")


def ip(command):
    subprocess.run(["ip", *command.split()], check=True)


def is_equal(got, wanted):
    assert got == wanted, f"wanted {wanted!r}, got {got!r}"


def until(condition, patience=30):
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not become so"
        select.select([], [], [], 0.01)


class Agent:
    def __init__(self, command, stderr=None):
        self.process = subprocess.Popen([*command, sys.executable, AGENT], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=stderr)

    def begin(self, verb, *args):
        self.process.stdin.write(json.dumps([verb, *args]).encode() + b"\n")
        self.process.stdin.flush()

    def finish(self):
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            raise TimeoutError("an agent does not answer")
        answer = json.loads(self.process.stdout.readline() or '{"error": "the agent has ended"}')
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def __getattr__(self, verb):
        def call(*args):
            self.begin(verb, *args)
            return self.finish()

        return call

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Box(Agent):
    """a sandbox with an agent for its command; `without` is what tests/lib/forbid knows"""

    def __init__(self, *options, without=None):
        self.stderr = tempfile.TemporaryFile("w+")
        super().__init__([*([FORBID, without] if without else []), *VNIC_RUN, "--map", "root", *options, "--"], self.stderr)
        self.sh("true")  # it runs

    def gateway(self):
        """its pid"""
        for pid in subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True,
                                  text=True, check=True).stdout.split():
            with open(f"/proc/{pid}/comm") as comm:
                if comm.read() == "vnic-gateway\n":
                    return int(pid)
        raise LookupError("no gateway")

    def messages(self):
        self.stderr.seek(0)
        return self.stderr.read()


class World:
    def __init__(self, ping_sockets=True):
        for own in ["127.0.0.1", *OWN]:
            if own != "127.0.0.1":
                ip(f"address add {own} dev lo nodad" if ":" in own else f"address add {own} dev lo")
        ip("link set lo up")
        self.outside = Agent(["unshare", "--net"])
        self.outside.sh("ip link set lo up")
        peer = f"name in0 address {MACS[2]} netns {self.outside.process.pid}"
        ip(f"link add out0 address {MACS[1]} type veth peer {peer}")
        ip("link set out0 up")
        self.outside.sh("ip link set in0 up")
        for network, how in ("10.77.0.{}", "/24 broadcast +"), ("fd88::{}", "/64 nodad"):
            ip(f"address add {network.format(1)}{how} dev out0")
            self.outside.sh(f"ip address add {network.format(2)}{how} dev in0")
            # Both know each other from the start: no test waits a second for a neighbour.
            ip(f"neighbour add {network.format(2)} lladdr {MACS[2]} dev out0")
            self.outside.sh(f"ip neighbour add {network.format(1)} lladdr {MACS[1]} dev in0")
        self.outside.sh("ip route add default via 10.77.0.1; ip -6 route add default via fd88::1")
        self.outside.sh(" && ".join(f"ip address add {a} dev lo" + (" nodad" if ":" in a else "") for a in OUTSIDE))
        ip("route add default via 10.77.0.2")
        ip("-6 route add default via fd88::2")
        if ping_sockets:  # a new network namespace has none, and an ordinary user cannot take them back: the range is "1 0"
            with open("/proc/sys/net/ipv4/ping_group_range", "w") as groups:
                groups.write("65534 65534")  # nobody's: the gateway's
        self.host = Agent([])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.host.end()
        self.outside.end()

    def box(self, *options, without=None):
        return Box(*options, without=without)


def run(tests, seconds=110):
    """runs the test that the command line names, in a world that the caller has made a namespace for"""
    signal.alarm(seconds)
    fds = len(os.listdir("/proc/self/fd"))
    test = tests[sys.argv[1]]
    with World(**getattr(test, "world", {})) as world:
        test(world)
    del world
    is_equal(len(os.listdir("/proc/self/fd")), fds)
