# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP over a line that loses packets."""
from harness.sides import pasta, slirp4netns, veth, vnic
from harness.subject import Metric, Subject
from harness.traffic import iperf

from .weather import ROUND_TRIPS, SECONDS, line

LINES = {f"{rtt} ms, {loss} %": (rtt, loss) for rtt in ROUND_TRIPS for loss in (0.1, 1)}


def servers(world):
    world.outside()
    for rtt, loss in LINES.values():
        world.server(line(rtt, loss))


def measure(lane, case):
    server = f"server{1 + list(LINES).index(case)}"
    return {"throughput": iperf(lane, "down", seconds=1 if lane.world.quick else SECONDS, at=server)["gbits"] * 1000}


SUBJECT = Subject(
    name="loss",
    title="A line that loses packets",
    about=f"as `weather`, data to the sandbox, {SECONDS} s, and 0.1 or 1 % of the packets are lost each way; TCP's own "
    "reaction is the limit.",
    metrics=[Metric("throughput", "Mbit/s")],
    cases={case: case for case in LINES},
    sides={"vnic": vnic, "slirp4netns": slirp4netns, "pasta": pasta, "veth": veth},
    world=servers,
    measure=measure,
    rounds=3,
    quick_cases=["1 ms, 1 %"],
)
