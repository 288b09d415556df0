# SPDX-License-Identifier: GPL-2.0-or-later
"""What a switch of many ports, or with many stations learnt, costs two of them."""
import contextlib
import json
import os
import sys

from harness import stations
from harness.joined import bridge, relay
from harness.subject import Demand, Metric, Subject, between_cases
from harness.traffic import datagrams, iperf
from harness.world import ip, run

PORTS, MACS = (2, 8, 64, 256), (1, 1000, 100000)
QUICK = "8 ports"
CASES = {f"{ports} ports": (ports, 0) for ports in PORTS} | {f"{macs:,} MACs": (3, macs) for macs in MACS}
TABLE = ["--macs", str(1 << 17)]


def of_every_size(make):
    """Lanes by number of ports and of stations."""

    @contextlib.contextmanager
    def begin(world):
        with contextlib.ExitStack() as stack:
            lanes = {}
            for number, (ports, macs) in enumerate([CASES[QUICK]] if world.quick else CASES.values()):
                lanes[ports, macs] = stack.enter_context(make(number, ports - 2)(world))
            yield lanes

    return begin


def learn(lane, count):
    """Before each measurement, so that none is forgotten: the third port sends from as many addresses."""
    far = json.loads(ip("-j link show eth0", lane.ends[1]))[0]["address"]
    program = [sys.executable, os.path.abspath(stations.__file__), "other0", str(count), far]
    run(lane.world.command(program, lane.others))


def measure(lanes, case):
    lane, macs = lanes[CASES[case]], CASES[case][1]
    if macs:
        learn(lane, macs)
    stream, small = iperf(lane), datagrams(lane, 64)
    return {"throughput": stream["gbits"], "CPU": stream["cpu_per_gigabit"],
            "CPU a frame": small["cpu_per_packet"] * 1e6, "frames": small["rate"] / 1000}


def growth(metric, most, least):
    return between_cases(metric, most, least, "relay tap")


SUBJECT = Subject(
    name="switch",
    title="A switch that grows",
    about="between two ports of a switch with 2 to 256 ports, of which the others idle, and of one with 3 "
    "ports that has heard of so many MAC addresses: one TCP stream, and UDP datagrams of 64 bytes as fast as they go. "
    "CPU is that of sender, receiver and relay together, for each frame that arrived.",
    metrics=[Metric("throughput", "Gbit/s"), Metric("CPU", "s a gigabit", more_is_better=False),
             Metric("frames", "thousands a second", plot=False), Metric("CPU a frame", "us", more_is_better=False)],
    cases={case: case for case in CASES},
    sides={"relay tap": of_every_size(lambda number, others: relay("tap", TABLE, f"rt{number}", others)),
           "bridge": of_every_size(lambda number, others: bridge(f"br{number}", others=others))},
    measure=measure,
    demands=[Demand("CPU a frame: 256 ports / 2", growth("CPU a frame", "256 ports", "2 ports"), at_most=1.2),
             Demand("CPU a gigabit: 256 ports / 2", growth("CPU", "256 ports", "2 ports"), at_most=1.2),
             Demand("CPU a frame: 100,000 MACs / 1", growth("CPU a frame", "100,000 MACs", "1 MACs"), at_most=1.2),
             Demand("CPU a gigabit: 100,000 MACs / 1", growth("CPU", "100,000 MACs", "1 MACs"), at_most=1.2)],
    rounds=3,
    quick_cases=[QUICK],
)
