# SPDX-License-Identifier: GPL-2.0-or-later
"""Medians and their spread."""
import statistics


def percentile(values, percent):
    """The smallest value that at least `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)]


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "runs": len(values)}


def ratio(value, other):
    """None where there is nothing to divide, or to divide by."""
    return value / other if value is not None and other else None


def written(value):
    """A figure with three digits that count."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 0.095 else f"{value:.3g}"
