# SPDX-License-Identifier: GPL-2.0-or-later
"""What a switch of many ports, or with many stations learnt, costs two of them."""
import contextlib
import json
import os
import sys

from harness import stations
from harness.joined import bridge, relay
from harness.subject import Metric, Subject
from harness.traffic import iperf
from harness.world import ip, run

PORTS, MACS = (3, 8, 64, 256), (1000, 100000)
QUICK = "8 ports"
CASES = {f"{ports} ports": (ports, 0) for ports in PORTS} | {f"{macs:,} MACs": (PORTS[0], macs) for macs in MACS}


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
    lane = lanes[CASES[case]]
    learn(lane, CASES[case][1])
    figures = iperf(lane)
    return {"throughput": figures["gbits"], "CPU": figures["cpu_per_gigabit"]}


SUBJECT = Subject(
    name="switch",
    title="A switch that grows",
    about="one TCP stream between two ports of a switch with 3 to 256 ports, of which the others idle; and one with 3 "
    "ports that has heard of so many MAC addresses.",
    metrics=[Metric("throughput", "Gbit/s"), Metric("CPU", "s a gigabit", more_is_better=False)],
    cases={case: case for case in CASES},
    sides={"relay tap": of_every_size(lambda number, others: relay("tap", name=f"rt{number}", others=others)),
           "bridge": of_every_size(lambda number, others: bridge(f"br{number}", others=others))},
    measure=measure,
    rounds=5,
    quick_cases=[QUICK],
)
