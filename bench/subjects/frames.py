# SPDX-License-Identifier: GPL-2.0-or-later
"""What the relay does with one frame: bench/frames.c, shown with the rest."""
import contextlib
import re

from harness.subject import Failed, Metric, Subject
from harness.world import run

WORK = ["look at a frame of 1514 bytes", "checksum of 1514 bytes", "copy 1514 bytes", "cut, checksums finished",
        "cut, checksums left to the port", "merge 44, checksums verified", "merge 44, checksums known to be right",
        "write to a TAP, 1514 bytes", "write to a TAP, super-frame of 44"]


def programs_figures(world):
    """The program measures all of its work in turn, and seven times; it is run once."""
    if not hasattr(world, "frame_costs"):
        lines = run([world.frames]).splitlines()
        found = [re.match(r"(.*\S) +([0-9.]+) ns a frame \(([0-9.]+) to ([0-9.]+)\)", line) for line in lines]
        world.frame_costs = {match[1]: [float(match[i]) for i in (3, 2, 4)] for match in found if match}
    return world.frame_costs


def work(name):
    @contextlib.contextmanager
    def begin(world):
        yield world, name

    return begin


def measure(lane, case):
    world, name = lane
    if name not in programs_figures(world):
        raise Failed("the program does not tell of it")
    return {"cost": programs_figures(world)[name]}


SUBJECT = Subject(
    name="frames",
    title="The relay's work on a frame",
    about="CPU time of one thread for TCP frames of 1,514 bytes, 44 of which make a super-frame; for each of the 44.",
    metrics=[Metric("cost", "ns", more_is_better=False)],
    cases={"each": "each"},
    sides={name: work(name) for name in WORK},
    measure=measure,
    rounds=1,
)
