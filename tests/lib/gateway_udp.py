# SPDX-License-Identifier: GPL-2.0-or-later
"""What the gateway says about datagrams that it lost; tests/e2e/gateway_udp.bats says what each function shows."""
import json
import os
import signal
import subprocess

from gateway_world import ip, is_equal, run, until

V4, V6 = "9.9.9.10", "2620:fe::fe"  # outside, and of class internet
RING = 2048  # KiB


def figures(box):
    """after its end"""
    is_equal(box.end(), 0)
    return json.loads(box.messages().splitlines()[-1])


def nothing_lost(world):
    port = world.outside.serve_udp(V4)
    box = world.box("--stats", "--json")
    flow = box.open_udp(V4, port)
    box.send(flow, "hello")
    is_equal(box.recv(flow), "hello")
    got = figures(box)
    is_equal([got["udp_unsent"], got["udp_overrun"]], [0, 0])


def many_to_one(world):
    """so that sockets of many flows have the same address, and some are being opened while others are looked for"""
    port = world.outside.serve_udp(V4)
    box = world.box("--stats", "--json")
    is_equal(box.ask_many(V4, port, 6000), [])
    is_equal(figures(box)["failed"], 0)


def overrun(world):
    """a gateway that does not come to take them"""
    port = world.outside.serve_udp(V4)
    box = world.box("--stats", "--json")
    flow = box.open_udp(V4, port)
    box.send(flow, "hello")
    is_equal(box.recv(flow), "hello")
    gateway = box.gateway()
    os.kill(gateway, signal.SIGSTOP)
    box.send_many(flow, 5000, 1400)
    os.kill(gateway, signal.SIGCONT)
    got = figures(box)
    # What was not dropped may still lie in a queue when the sandbox ends.
    assert 0 < got["udp_overrun"] < 5000, got
    is_equal(got["udp_unsent"], 0)


def mapped(pid):
    """its address space, in KiB"""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmSize"))


class Flood:
    """numbered datagrams of one flow, the first few hundred faster than they are taken"""

    def __init__(self, world, address, without=None):
        self.outside = world.outside
        self.box = world.box("--stats", "--json", "--allow", "any", without=without)
        self.flow = self.box.open_udp(address, self.outside.serve_numbered(address))
        self.sent = 0
        self.send(1)
        until(lambda: self.outside.heard_numbered()[0] == 1)

    def send(self, count):
        self.box.send_numbered(self.flow, self.sent, count)
        self.sent += count

    def rise(self):
        gateway = self.box.gateway()
        os.kill(gateway, signal.SIGSTOP)
        self.send(200)
        os.kill(gateway, signal.SIGCONT)

    def rises_until(self, condition):
        def rise():
            self.rise()
            return condition()

        until(rise)

    def comes_through(self):
        burst = self.sent

        def another_comes():
            self.send(1)
            return self.outside.heard_numbered()[1] >= burst

        until(another_comes)


def by_a_ring(world):
    """from which the flow goes back to its socket"""
    for address in (V4, V6):
        flood = Flood(world, address)
        gateway = flood.box.gateway()
        quiet = mapped(gateway)
        for _ in range(2):
            flood.rises_until(lambda: mapped(gateway) >= quiet + RING)
            flood.send(5000)
            until(lambda: mapped(gateway) < quiet + RING)
            flood.send(1)
            until(lambda: world.outside.heard_numbered()[1] == flood.sent - 1)
        heard, _, wrong = world.outside.heard_numbered()
        is_equal(wrong, [])
        got = figures(flood.box)
        is_equal([got["udp_unsent"], got["ignored"]], [0, 0])
        assert heard + got["udp_overrun"] <= flood.sent  # and some the receiver has lost
        world.outside.forget_numbered()


def without_rings(world):
    """which Linux has since 6.4: then the flow keeps to its socket"""
    for address in (V4, V6):
        flood = Flood(world, address, without="rings")
        gateway = flood.box.gateway()
        quiet = mapped(gateway)
        for _ in range(5):
            flood.rise()
            flood.comes_through()
            assert mapped(gateway) < quiet + RING
        flood.send(5000)
        flood.comes_through()
        heard, _, wrong = world.outside.heard_numbered()
        is_equal(wrong, [])
        got = figures(flood.box)
        is_equal([got["udp_unsent"], got["ignored"]], [0, 0])
        assert heard + got["udp_overrun"] <= flood.sent
        world.outside.forget_numbered()


def limit_descriptors(pid, limit):
    """as who it is: root may lack the capability"""
    with open(f"/proc/{pid}/status") as lines:
        ids = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith(("Uid:", "Gid:"))}
    who = {"user": ids["Uid:"], "group": ids["Gid:"], "extra_groups": []} if os.geteuid() == 0 else {}
    subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={limit}:"], check=True, **who)


def without_descriptors(world):
    """neither the ring nor the question for figures can reach the gateway, which goes on"""
    flood = Flood(world, V4)
    gateway = flood.box.gateway()
    limit_descriptors(gateway, 0)
    for _ in range(3):
        flood.rise()
        flood.comes_through()
    os.kill(flood.box.process.pid, signal.SIGUSR1)
    until(lambda: "no figures" in flood.box.messages())
    flood.comes_through()
    limit_descriptors(gateway, 1024)
    is_equal(world.outside.heard_numbered()[2], [])
    is_equal(figures(flood.box)["flows"]["udp"], 1)


def killed_in_a_flood(world):
    """every process of the sandbox ends, and so does the ring"""
    flood = Flood(world, V4)
    gateway = flood.box.gateway()
    quiet = mapped(gateway)
    flood.rises_until(lambda: mapped(gateway) >= quiet + RING)
    os.kill(gateway, signal.SIGKILL)
    assert flood.box.end() != 0


def unsent(world):
    """the host does not let it out any more"""
    port = world.outside.serve_udp(V4)
    box = world.box("--stats", "--json")
    flow = box.open_udp(V4, port)
    box.send(flow, "hello")
    is_equal(box.recv(flow), "hello")
    ip(f"route add prohibit {V4}/32")
    box.send(flow, "you there?")
    until(lambda: box.recv(flow) in ("EACCES", "EHOSTUNREACH"))  # the refusal has come back
    got = figures(box)
    is_equal([got["udp_unsent"], got["udp_overrun"]], [1, 0])


if __name__ == "__main__":
    run(globals())
