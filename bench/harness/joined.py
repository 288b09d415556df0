# SPDX-License-Identifier: GPL-2.0-or-later
"""
Ways to join two namespaces: vnic's relay, the kernel's bridge, a plain veth, VDE.  Each gives a Lane whose server is in
the other namespace; all stand at once, in namespaces of their own.
"""
import contextlib
import itertools
import json
import os
import signal
import time

from .sides import Lane
from .world import PATIENCE, Failed, ip, run, use_cubic

NEAR, FAR = "10.9.0.1", "10.9.0.2"
SLOWEST_DEVICE = 0.01


class Pair(Lane):
    """Two namespaces with an eth0 each."""

    def __init__(self, world, name):
        self.ends = (f"{name}-a", f"{name}-b")
        super().__init__(world, f"/run/netns/{self.ends[0]}")

    def other(self, at):
        return self.ends[1], FAR

    @contextlib.contextmanager
    def stopped(self):
        """Its processes take no CPU now."""
        pids = self.pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def up(self):
        for namespace, address in zip(self.ends, (NEAR, FAR)):
            ip(f"address add {address}/24 dev eth0", namespace)
            ip("link set eth0 up mtu 1500", namespace)
            use_cubic(f"/run/netns/{namespace}")
        # Neighbours are known, and a switch knows its stations, before anything is measured.
        run(self.world.command(["ping", "-q", "-c", "1", "-w", "10", FAR], self.namespace))


def free(name):
    """The name, or with a number: another build's namespaces may stand beside the first's."""
    names = itertools.chain([name], (f"{name}{number}" for number in itertools.count(2)))
    return next(it for it in names if not os.path.exists(f"/run/netns/{it}-a"))


@contextlib.contextmanager
def two_namespaces(world, name):
    pair = Pair(world, free(name))
    for namespace in pair.ends:
        ip(f"netns add {namespace}")
    try:
        yield pair
    finally:
        for namespace in pair.ends:
            ip(f"netns del {namespace}")


def relay(kind, options=(), name=None, others=0, quiet=False):
    """
    Of taps, or of veth pairs with packet sockets; `others` more ports idle in a namespace of their own.  quiet: nothing
    passes but what is sent on purpose.
    """

    @contextlib.contextmanager
    def begin(world):
        with two_namespaces(world, name or f"relay-{kind}") as pair, others_of(pair, others) as rest:
            ports = [f"{kind}:eth0,netns={namespace}" for namespace in pair.ends]
            ports += [f"{kind}:other{number},netns={rest}" for number in range(others)]
            argv = [world.vnic, "relay", *options, "--ready-fd", "1", *ports]
            with world.process(argv, pair.ends[0], "\n") as process:
                pair.roots = [(process.pid, [])]
                others_up(rest, others)
                for namespace in pair.ends if quiet else ():
                    no_ipv6(world, namespace)
                pair.up()
                for namespace in pair.ends if quiet else ():
                    keep_neighbours(namespace)
                yield pair

    return begin


def keep_neighbours(namespace):
    """So that nobody asks for them again."""
    for neighbour in json.loads(ip("-j neighbour show dev eth0", namespace)):
        ip(f"neighbour replace {neighbour['dst']} lladdr {neighbour['lladdr']} dev eth0 nud permanent", namespace)


def no_ipv6(world, namespace):
    """Whose neighbour discovery would send frames that nobody asked for."""
    run(world.command(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"],
                      namespace))


@contextlib.contextmanager
def others_of(pair, count):
    """The namespace of ports that idle."""
    if not count:
        yield None
        return
    pair.others = f"{pair.ends[0][:-2]}-o"
    ip(f"netns add {pair.others}")
    try:
        no_ipv6(pair.world, pair.others)
        yield pair.others
    finally:
        ip(f"netns del {pair.others}")


def others_up(namespace, count):
    for number in range(count):
        ip(f"link set other{number} up", namespace)


def bridge(name="bridge", others=0):
    """Veth pairs whose other ends are ports of a bridge."""

    @contextlib.contextmanager
    def begin(world):
        # The bridge is the third namespace's, and gone with it.
        middle = f"{name}-m"
        with two_namespaces(world, name) as pair, others_of(pair, others) as rest:
            ip(f"netns add {middle}")
            try:
                ip("link add br0 type bridge", middle)
                ip("link set br0 up", middle)
                ends = [(namespace, "eth0") for namespace in pair.ends] + [(rest, f"other{n}") for n in range(others)]
                for number, (namespace, link) in enumerate(ends):
                    ip(f"link add port{number} type veth peer name {link} netns {namespace}", middle)
                    ip(f"link set port{number} up master br0", middle)
                others_up(rest, others)
                pair.up()
                yield pair
            finally:
                ip(f"netns del {middle}")

    return begin


@contextlib.contextmanager
def veth(world):
    with two_namespaces(world, "veth") as pair:
        ip(f"link add eth0 netns {pair.ends[0]} type veth peer name eth0 netns {pair.ends[1]}")
        pair.up()
        yield pair


def wait_for_link(namespace, name):
    """A peer's tool says nothing when its device is there, so we have to look."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(Failed):
            return ip(f"link show {name}", namespace)
        if time.monotonic() > deadline:
            raise Failed(f"{name} did not appear")
        time.sleep(SLOWEST_DEVICE)


@contextlib.contextmanager
def vde(world):
    """vde_switch, and vde_plug2tap in each namespace."""
    control = f"{world.place}/vde"
    with two_namespaces(world, "vde") as pair, contextlib.ExitStack() as stack:
        switch = stack.enter_context(world.process(["vde_switch", "-s", control], pair.ends[0]))
        pair.roots = [(switch.pid, [])]
        wait_for_path(f"{control}/ctl")
        for namespace in pair.ends:
            plug = stack.enter_context(world.process(["vde_plug2tap", "-s", control, "eth0"], namespace))
            pair.roots.append((plug.pid, []))
            wait_for_link(namespace, "eth0")
        pair.up()
        yield pair


def wait_for_path(path):
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(path):
        if time.monotonic() > deadline:
            raise Failed(f"{path} did not appear")
        time.sleep(SLOWEST_DEVICE)
