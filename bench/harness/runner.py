# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures one subject: every round, every case, every side in turn."""
import contextlib
import datetime
import json
import os
import re
import subprocess
import sys
import time

from . import stats
from .sides import made_by
from .subject import Failed, Figures, is_own
from .traffic import machine
from .world import World

VERSIONS = {"slirp4netns": ["slirp4netns", "--version"], "pasta": ["dpkg-query", "-Wf", "${Version}", "passt"],
            "vde2": ["dpkg-query", "-Wf", "${Version}", "vde2"], "iproute2": ["ip", "-V"],
            "iperf3": ["iperf3", "--version"], "bubblewrap": ["bwrap", "--version"],
            "CNI plugins": ["dpkg-query", "-Wf", "${Version}", "containernetworking-plugins"],
            "netavark": ["dpkg-query", "-Wf", "${Version}", "netavark"]}


ERRORS = (Failed, OSError, subprocess.SubprocessError)


def version_of(argv):
    try:
        text = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    found = re.search(r"\d\S*\.\S*\d", text)
    return found.group(0).rstrip(",") if found else None


def versions(vnic):
    found = {name: version_of(argv) for name, argv in VERSIONS.items()}
    return {"vnic": version_of([vnic, "--version"]) or "unknown"} | {k: v for k, v in found.items() if v}


class Progress:
    """A line on standard error: what is measured now, how much is done, how long the rest may take."""

    def __init__(self, name, steps):
        self.name, self.steps, self.done, self.begin = name, steps, 0, time.monotonic()
        self.is_terminal = sys.stderr.isatty()
        self.said = self.begin

    def step(self, what):
        elapsed = time.monotonic() - self.begin
        left = elapsed / self.done * (self.steps - self.done) if self.done else 0
        line = f"{self.name}: {self.done * 100 // self.steps:3}%, {elapsed:3.0f} s, {left:3.0f} s left: {what}"
        if self.is_terminal:
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        elif self.done == 0 or time.monotonic() - self.said > 10:
            print(line, file=sys.stderr, flush=True)
            self.said = time.monotonic()
        self.done += 1

    def end(self):
        if self.is_terminal:
            print("\r\033[K", end="", file=sys.stderr)


def turn(items, by):
    """Every round begins with another one."""
    by %= len(items) or 1
    return items[by:] + items[:by]


def of_program(begin, program):
    """The same side, made by another build of vnic."""

    @contextlib.contextmanager
    def begin_other(world):
        with made_by(world.copy(program), begin, world) as lane:
            yield lane

    return begin_other


def with_builds(sides, builds):
    """All sides, and beside those that vnic makes the same by each of the other builds."""
    every = {}
    for side, begin in sides.items():
        every[side] = begin
        if is_own(side):
            every |= {f"{side} {name}": of_program(begin, program) for name, program in builds.items()}
    return every


def set_up(figures, lanes, side, begin, world):
    try:
        lanes[side] = world.enter_context(begin(world))
    except ERRORS as error:
        figures.fail("set-up", side, str(error))


def measure_one(subject, figures, lane, case, side):
    try:
        values = subject.measure(lane, case) or {}
    except ERRORS as error:
        figures.fail(case, side, str(error))
        return
    for metric, value in values.items():
        if value is not None:
            figures.add(metric, case, side, value)


def measure(subject, programs, rounds, quick, builds):
    """The figures of a subject, in a World of its own."""
    figures = Figures()
    cases = (subject.quick_cases or list(subject.cases)[:1]) if quick else list(subject.cases)
    with World(programs, quick) as world:
        lanes = {}
        try:
            subject.world(world)
            for side, begin in with_builds(subject.sides, builds).items():
                set_up(figures, lanes, side, begin, world)
        except ERRORS as error:
            figures.fail("set-up", "vnic and all others", str(error))
        progress = Progress(subject.name, rounds * len(cases) * max(len(lanes), 1))
        for number in range(rounds):
            for case in cases:
                for side, lane in turn(list(lanes.items()), number):
                    progress.step(f"{subject.cases[case]}, {side}")
                    measure_one(subject, figures, lane, case, side)
        progress.end()
    figures.add_percentiles(subject.metrics)
    return figures


def run(subject, programs, out, rounds=None, quick=False, builds=None):
    """Measures and writes OUT/NAME.json; the result comes back.  builds: name -> another vnic, beside the first."""
    rounds = rounds or (1 if quick else subject.rounds)
    load, begun, begin = os.getloadavg()[0], datetime.datetime.now(datetime.timezone.utc), time.monotonic()
    figures = measure(subject, programs, rounds, quick, builds or {})
    result = {"bench": subject.name, "begun": begun.isoformat(timespec="seconds"), "rounds": rounds,
              "seconds": round(time.monotonic() - begin, 1), "load": [round(load, 2), round(os.getloadavg()[0], 2)],
              "congestion": "cubic", "machine": machine(), "versions": versions(programs[0]),
              "medians": {metric: {case: {side: stats.summary(values) for side, values in row.items()}
                                   for case, row in cases.items()} for metric, cases in figures.samples.items()},
              "samples": figures.samples, "failures": figures.failures}
    with contextlib.suppress(FileExistsError):
        os.makedirs(out)
    with open(f"{out}/{subject.name}.json", "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    return result
