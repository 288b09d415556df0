# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures as Markdown, and as columns on a terminal."""
from .stats import summary, written


def markdown(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def columns(head, rows):
    """The first to the left, the others to the right."""
    every = [head, *rows]
    widths = [max(len(row[i]) for row in every) for i in range(len(head))]
    return "\n".join("  ".join(text.ljust(width) if i == 0 else text.rjust(width)
                               for i, (text, width) in enumerate(zip(row, widths))).rstrip() for row in every) + "\n"


def cell(values, most=0):
    """Median, and from where to where; and of how many, where others have more."""
    if not values:
        return "–"
    figures = summary(values)
    of = f", {len(values)} of {most}" if len(values) < most else ""
    if len(values) == 1 or figures["min"] == figures["max"]:
        return written(figures["median"]) + of
    return f"{written(figures['median'])} ({written(figures['min'])}–{written(figures['max'])}){of}"


def of_metric(figures, metric, cases):
    """A row a side, a column a case."""
    shown = {case: title for case, title in cases.items() if figures.samples.get(metric, {}).get(case)}
    head = ["", *shown.values()]
    most = {case: max(map(len, figures.samples[metric][case].values())) for case in shown}
    return head, [[side, *(cell(figures.values(metric, case, side), most[case]) for case in shown)]
                  for side in figures.sides(metric)]


def of_demands(figures, demands):
    rows = []
    for demand in demands:
        value = demand.of(figures)
        if value is None:
            rows.append([demand.text, demand.required(), "not measured", "**no**"])
        else:
            rows.append([demand.text, demand.required(), written(value), "yes" if demand.is_met(value) else "**no**"])
    return ["demand", "required", "measured", "met"], rows
