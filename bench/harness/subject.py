# SPDX-License-Identifier: GPL-2.0-or-later
"""
What a subject of the bench declares, and what came out of it.

A subject has cases (what is done), sides (who does it) and metrics (what is read off).  Every round does each case with
each side in turn, so whatever else the machine does hits all alike; a cell of a table is the median of its rounds.
"""
from collections.abc import Callable
from dataclasses import dataclass, field

from . import stats


@dataclass(frozen=True)
class Metric:
    name: str
    unit: str
    more_is_better: bool = True
    plot: bool = True
    percent_of: tuple = ()  # (metric, percent): read off its samples when all are there


@dataclass(frozen=True)
class Demand:
    """A ratio that vnic has to reach: of(figures) gives it, or None where it was not measured."""
    text: str
    of: Callable
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "times"

    def is_met(self, value):
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def required(self):
        return f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"


@dataclass(frozen=True)
class Subject:
    """
    sides: name -> function of a World that gives a context manager, whose value measure() gets as its first argument.
    measure(lane, case): metric -> value; None for a metric, or for all, where the side has no such case.
    """
    name: str
    title: str
    about: str
    metrics: list
    cases: dict
    sides: dict
    measure: Callable
    demands: list = field(default_factory=list)
    rounds: int = 5
    quick_cases: list = field(default_factory=list)
    world: Callable = lambda world: None


def is_own(side):
    """Is it vnic's?  Also of a failure's name, which begins with the side."""
    return side.startswith(("vnic", "relay"))


class Failed(Exception):
    """A side could not do a case; the report says so and the bench goes on."""


class Figures:
    """The samples of a subject: metric -> case -> side -> values; and what failed."""

    def __init__(self, samples=None, failures=None):
        self.samples = samples or {}
        self.failures = failures or {}

    def add(self, metric, case, side, value):
        """A value, or a list of them."""
        values = self.samples.setdefault(metric, {}).setdefault(case, {}).setdefault(side, [])
        values += value if isinstance(value, list) else [value]

    def add_percentiles(self, metrics):
        for metric in metrics:
            if metric.percent_of:
                source, percent = metric.percent_of
                for case, row in self.samples.get(source, {}).items():
                    for side, values in row.items():
                        self.add(metric.name, case, side, stats.percentile(values, percent))

    def fail(self, case, side, why):
        self.failures.setdefault(f"{side}, {case}", []).append(why)

    def values(self, metric, case, side):
        return self.samples.get(metric, {}).get(case, {}).get(side, [])

    def median(self, metric, case, side):
        values = self.values(metric, case, side)
        return stats.summary(values)["median"] if values else None

    def best(self, metric, case, sides, more_is_better=True):
        medians = [m for m in (self.median(metric, case, side) for side in sides) if m is not None]
        return (max if more_is_better else min)(medians) if medians else None

    def sides(self, metric):
        """In the order in which they were measured."""
        return list(dict.fromkeys(side for row in self.samples.get(metric, {}).values() for side in row))


def against_best(metric, case, peers, side="vnic", more_is_better=True, other_case=None):
    """For a Demand: `side` in units of the best of `peers`."""
    return lambda figures: stats.ratio(figures.median(metric, case, side),
                                       figures.best(metric, other_case or case, peers, more_is_better))


def between_cases(metric, case, other_case, side="vnic"):
    """For a Demand: one case of a side in units of another case of the same side."""
    return lambda figures: stats.ratio(figures.median(metric, case, side), figures.median(metric, other_case, side))
