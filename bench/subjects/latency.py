# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a connection and a question take."""
from harness.sides import loopback, pasta, slirp4netns, veth, vnic
from harness.subject import Demand, Metric, Subject, against_best
from harness.traffic import load

PEERS = ["slirp4netns", "pasta"]
CASES = {"connect": (["connect"], 1000), "tcp": (["ask", "tcp"], 3000), "udp": (["ask", "udp"], 3000)}


def measure(lane, case):
    verb, count = CASES[case]
    figures = load(lane, verb, count, at="host")
    return {"p50": figures.get("p50_us"), "p99": figures.get("p99_us"), "rate": figures["count"] / figures["seconds"],
            "failed": figures["failed"]}


def faster(case):
    return against_best("p50", case, PEERS, more_is_better=False)


SUBJECT = Subject(
    name="latency",
    title="Connections and questions",
    about="one after the other, to a server on the host: TCP connect, 64 bytes there and back, close; 64 bytes there "
    "and back on an open TCP connection; the same in datagrams.",
    metrics=[Metric("p50", "us", more_is_better=False), Metric("p99", "us", more_is_better=False, plot=False),
             Metric("rate", "a second", plot=False), Metric("failed", "of a round", more_is_better=False, plot=False)],
    cases={"connect": "connect, ask, close", "tcp": "ask over TCP", "udp": "ask over UDP"},
    sides={"vnic": vnic, "slirp4netns": slirp4netns, "pasta": pasta, "veth": veth, "loopback": loopback},
    world=lambda world: world.outside(),
    measure=measure,
    rounds=15,
    demands=[Demand("connect, ask, close, p50: vnic / the faster peer", faster("connect"), at_most=1.15),
             Demand("ask over TCP, p50: vnic / the faster peer", faster("tcp"), at_most=1),
             Demand("connections of vnic that failed, the worst round",
                    lambda figures: max(figures.values("failed", "connect", "vnic"), default=None), at_most=0)],
)
