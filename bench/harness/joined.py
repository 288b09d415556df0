# SPDX-License-Identifier: GPL-2.0-or-later
"""
Ways to join two namespaces: vnic's relay, the kernel's bridge, a plain veth, VDE.  Each gives a Lane whose server is in
the other namespace; all stand at once, in namespaces of their own.
"""
import contextlib
import os
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

    def up(self):
        for namespace, address in zip(self.ends, (NEAR, FAR)):
            ip(f"address add {address}/24 dev eth0", namespace)
            ip("link set eth0 up mtu 1500", namespace)
            use_cubic(f"/run/netns/{namespace}")
        # Neighbours are known, and a switch knows its stations, before anything is measured.
        run(self.world.command(["ping", "-q", "-c", "1", "-w", "10", FAR], self.namespace))


@contextlib.contextmanager
def two_namespaces(world, name):
    pair = Pair(world, name)
    for namespace in pair.ends:
        ip(f"netns add {namespace}")
    try:
        yield pair
    finally:
        for namespace in pair.ends:
            ip(f"netns del {namespace}")


def relay(kind, options=(), name=None):
    """Of taps, or of veth pairs with packet sockets."""

    @contextlib.contextmanager
    def begin(world):
        with two_namespaces(world, name or f"relay-{kind}") as pair:
            argv = [world.vnic, "relay", *options, "--ready-fd", "1",
                    *(f"{kind}:eth0,netns={namespace}" for namespace in pair.ends)]
            with world.process(argv, pair.ends[0], "\n") as process:
                pair.roots = [(process.pid, [])]
                pair.up()
                yield pair

    return begin


@contextlib.contextmanager
def bridge(world):
    """Two veth pairs whose other ends are ports of a bridge."""
    with two_namespaces(world, "bridge") as pair:
        ip("link add vbr0 type bridge")
        try:
            ip("link set vbr0 up")
            for number, namespace in enumerate(pair.ends):
                ip(f"link add vbp{number} type veth peer name eth0 netns {namespace}")
                ip(f"link set vbp{number} up master vbr0")
            pair.up()
            yield pair
        finally:
            ip("link del vbr0")


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
