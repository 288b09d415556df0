# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP to a server that is 1, 10 and 50 ms away.  vnic's own relay is the line, for all sides."""
from harness.sides import pasta, slirp4netns, veth, vnic
from harness.subject import Metric, Subject
from harness.traffic import iperf

SECONDS = 2
HELD = 200000  # frames: no queue on the way overflows
ROUND_TRIPS = (1, 10, 50)


def line(milliseconds, loss=0):
    """Of both ports of the relay: half of the round trip each way, and loss each way."""
    keys = f"delay={milliseconds * 500}us,limit={HELD}"
    return f"{keys},loss={loss}%,seed=7" if loss else keys


CASES = {f"{direction} {rtt} ms": (direction, rtt) for direction in ("out", "down") for rtt in ROUND_TRIPS}


def servers(world):
    """server1, server2, ...: one for each round trip."""
    world.outside()
    for rtt in ROUND_TRIPS:
        world.server(line(rtt))


def measure(lane, case):
    direction, rtt = CASES[case]
    server = f"server{1 + ROUND_TRIPS.index(rtt)}"
    return {"throughput": iperf(lane, direction, seconds=1 if lane.world.quick else SECONDS, at=server)["gbits"] * 1000}


SUBJECT = Subject(
    name="weather",
    title="A server far away",
    about=f"one TCP stream, {SECONDS} s, the server beyond a line of 1, 10 and 50 ms round trip, which for all sides is "
    "a relay of vnic's with a delay; it cuts super-frames, so `veth` (the host itself) shows what it can carry.",
    metrics=[Metric("throughput", "Mbit/s")],
    cases={case: case for case in CASES},
    sides={"vnic": vnic, "slirp4netns": slirp4netns, "pasta": pasta, "veth": veth},
    world=servers,
    measure=measure,
    rounds=3,
    quick_cases=["down 10 ms"],
)
