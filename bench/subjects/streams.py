# SPDX-License-Identifier: GPL-2.0-or-later
"""One, four and sixty-four TCP streams at once, and one with data both ways."""
from harness.sides import pasta, slirp4netns, veth, vnic
from harness.subject import Demand, Subject, between_cases
from harness.traffic import iperf

from .tcp import METRICS, measured

CASES = {f"{direction} {streams}": (direction, streams) for direction in ("out", "down") for streams in (1, 4, 64)}
CASES["both 1"] = ("both", 1)


def measure(lane, case):
    direction, streams = CASES[case]
    return measured(iperf(lane, direction, streams, at="host"))


def demands():
    for direction in ("out", "down"):
        for streams in (4, 64):
            yield Demand(f"{direction}: {streams} streams of vnic together / one",
                         between_cases("throughput", f"{direction} {streams}", f"{direction} 1"), at_least=0.9)


SUBJECT = Subject(
    name="streams",
    title="Many TCP streams",
    about="the sum of 1, 4 and 64 streams of one iperf3 between a sandbox and the host, MTU 1500; `both` has data both "
    "ways at once, and is their sum. CPU: as for `tcp`.",
    metrics=METRICS,
    cases={case: case for case in CASES},
    sides={"vnic": vnic, "slirp4netns": slirp4netns, "pasta": pasta, "veth": veth},
    world=lambda world: world.outside(),
    measure=measure,
    demands=list(demands()),
    rounds=3,
    quick_cases=["out 4"],
)
