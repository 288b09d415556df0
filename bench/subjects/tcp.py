# SPDX-License-Identifier: GPL-2.0-or-later
"""One TCP stream between a sandbox and its host: one link for the network, as for two namespaces on a veth."""
from harness.sides import loopback, pasta, slirp4netns, veth, vnic, with_mtu
from harness.subject import Demand, Metric, Subject, against_best
from harness.traffic import iperf

SMALL, LARGE = ["slirp4netns", "pasta"], ["slirp4netns 65520", "pasta 65520"]
DIRECTIONS = {"out": "out", "down": "down", "in": "in by a published port"}
METRICS = [Metric("throughput", "Gbit/s"), Metric("CPU", "s a gigabit", more_is_better=False),
           Metric("CPU of the side", "s a gigabit", more_is_better=False, plot=False)]


def measured(figures):
    return {"throughput": figures["gbits"], "CPU": figures["cpu_per_gigabit"],
            "CPU of the side": figures["side_cpu_per_gigabit"] or None}


def demands():
    for case, times in (("out", 20), ("down", 8), ("in", 8)):
        title = DIRECTIONS[case]
        yield Demand(f"{title}: vnic / the better peer at MTU 1500", against_best("throughput", case, SMALL), times)
        yield Demand(f"{title}: vnic / two namespaces on a veth", against_best("throughput", case, ["veth"]), 0.7)
        yield Demand(f"{title}: vnic / the better peer at MTU 65520", against_best("throughput", case, LARGE), 1)


SUBJECT = Subject(
    name="tcp",
    title="One TCP stream",
    about="iperf3, one second a measurement, between a sandbox and a server on the host. `down` is a connection from "
    "the sandbox by which data comes. vnic, veth and peers at MTU 1500, peers also at 65520. CPU: of both iperf3 and "
    "of the network's own processes, without threads of the kernel.",
    metrics=METRICS,
    cases=DIRECTIONS,
    sides={"vnic": vnic, "slirp4netns": slirp4netns, "pasta": pasta, "slirp4netns 65520": with_mtu(slirp4netns, 65520),
           "pasta 65520": with_mtu(pasta, 65520), "veth": veth, "loopback": loopback},
    world=lambda world: world.outside(),
    measure=lambda lane, case: measured(iperf(lane, case, at="host")),
    demands=list(demands()),
)
