# SPDX-License-Identifier: GPL-2.0-or-later
"""Two namespaces joined by vnic's relay, the kernel's bridge, a veth, VDE."""
import contextlib

from harness.joined import bridge, relay, vde, veth
from harness.subject import Demand, Failed, Metric, Subject, against_best
from harness.traffic import datagrams, iperf, load

PINGS = 10000
FAST = "relay tap, fast path"
CAPTURE = ["--capture", "/run/bench.pcapng", "--snaplen", "128"]


def sleepless(begin):
    """A side that takes a whole CPU also when nobody asks it: it is stopped while the others are measured."""

    @contextlib.contextmanager
    def begin_stopped(world):
        with begin(world) as lane, contextlib.ExitStack() as lane.rest:
            lane.rest.enter_context(lane.stopped())
            yield lane

    return begin_stopped


def measure(lane, case):
    if not hasattr(lane, "rest"):
        return measure_awake(lane, case)
    lane.rest.close()
    try:
        return measure_awake(lane, case)
    finally:
        lane.rest.enter_context(lane.stopped())


def measure_awake(lane, case):
    if case == "tcp":
        figures = iperf(lane)
        return {"throughput": figures["gbits"], "CPU": figures["cpu_per_gigabit"]}
    if case == "small":
        figures = datagrams(lane, 64)
        return {"frames": figures["rate"] / 1000, "loss": figures["loss"]}
    figures = load(lane, ["ask", "icmp"], PINGS)
    if figures["failed"] > PINGS // 100:
        raise Failed(f"{figures['failed']} of {PINGS} pings were lost")
    return {"round trip": figures.get("p50_us"), "round trip, p99": figures.get("p99_us")}


def relay_against(metric, case, other, side="relay tap"):
    return against_best(metric, case, [other], side)


def added(side):
    def ask(figures):
        own, kernel = (figures.median("round trip", "ping", it) for it in (side, "bridge"))
        return own - kernel if own and kernel else None

    return ask


SUBJECT = Subject(
    name="relay",
    title="The relay",
    about="two namespaces, MTU 1500: one TCP stream; UDP datagrams of 64 bytes as fast as they go; 10,000 pings, one "
    "after the other. `capture` writes 128 bytes of each frame to a file in memory; `fast "
    "path` leaves them to the kernel; `busy` polls busily, and is stopped while others are measured.",
    metrics=[Metric("throughput", "Gbit/s"), Metric("CPU", "s a gigabit", more_is_better=False, plot=False),
             Metric("frames", "thousands a second"), Metric("loss", "%", more_is_better=False, plot=False),
             Metric("round trip", "us", more_is_better=False),
             Metric("round trip, p99", "us", more_is_better=False, plot=False)],
    cases={"tcp": "TCP", "small": "small frames", "ping": "ping"},
    sides={"relay tap": relay("tap"), "relay veth": relay("veth"),
           FAST: relay("tap", ["--fast-path"], "relay-fast"), "relay tap, capture": relay("tap", CAPTURE, "relay-capture"),
           "relay tap, busy": sleepless(relay("tap", ["--busy-poll"], "relay-busy")), "bridge": bridge(), "veth": veth,
           "vde_switch": vde},
    measure=measure,
    demands=[Demand("TCP: relay of taps with a fast path / bridge", relay_against("throughput", "tcp", "bridge", FAST), 0.9),
             Demand("TCP: relay of taps with a fast path / vde_switch",
                    relay_against("throughput", "tcp", "vde_switch", FAST), 25),
             Demand("TCP: relay of taps, in user space / bridge", relay_against("throughput", "tcp", "bridge"), 0.9),
             Demand("TCP: relay of taps, in user space / vde_switch", relay_against("throughput", "tcp", "vde_switch"), 25),
             Demand("TCP: relay of taps that captures headers / one that does not",
                    against_best("throughput", "tcp", ["relay tap"], "relay tap, capture"), 0.7),
             Demand("small frames: relay of taps with a fast path / bridge",
                    relay_against("frames", "small", "bridge", FAST), 0.95),
             Demand("small frames: relay of taps / bridge", relay_against("frames", "small", "bridge"), 0.95),
             Demand("small frames: relay of taps / vde_switch", relay_against("frames", "small", "vde_switch"), 2.5),
             Demand("round trip, p50: relay of taps beyond bridge, us", added("relay tap"), at_most=60),
             Demand("the same of one that polls busily", added("relay tap, busy"), at_most=8)],
    rounds=7,
)
