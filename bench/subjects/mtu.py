# SPDX-License-Identifier: GPL-2.0-or-later
"""One TCP stream with frames of 1,500, 9,000 and 65,520 bytes."""
import contextlib

from harness.sides import pasta, slirp4netns, vnic
from harness.subject import Metric, Subject
from harness.traffic import iperf

MTUS = (1500, 9000, 65520)
CASES = {f"{direction} {mtu}": (direction, mtu) for direction in ("out", "down") for mtu in MTUS}


def with_every_mtu(side):
    @contextlib.contextmanager
    def begin(world):
        with contextlib.ExitStack() as stack:
            yield {mtu: stack.enter_context(side(world, mtu=mtu)) for mtu in MTUS}

    return begin


def measure(lanes, case):
    direction, mtu = CASES[case]
    return {"throughput": iperf(lanes[mtu], direction, at="host")["gbits"]}


SUBJECT = Subject(
    name="mtu",
    title="The MTU",
    about="as `tcp`, with each network at each MTU.",
    metrics=[Metric("throughput", "Gbit/s")],
    cases={case: case for case in CASES},
    sides={side.__name__: with_every_mtu(side) for side in (vnic, slirp4netns, pasta)},
    world=lambda world: world.outside(),
    measure=measure,
    rounds=3,
    quick_cases=["out 9000"],
)
