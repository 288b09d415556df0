# SPDX-License-Identifier: GPL-2.0-or-later
"""Bars as SVG: a group a case, a bar a side, a whisker from the least to the most of its rounds."""
import math
from html import escape

from .stats import summary, written

COLOURS = {"vnic": "#1f6feb", "slirp4netns": "#d29922", "pasta": "#a371f7", "veth": "#57606a", "loopback": "#8c959f"}
OTHERS = ["#2da44e", "#cf222e", "#0598bc", "#bf8700", "#953800", "#6e7781"]
WIDTH, LEFT, RIGHT, BAR, GAP = 760, 170, 110, 13, 12
DECADES_FOR_LOG = 1.5


class Scale:
    """From a value to a length; logarithmic where the small would vanish beside the big."""

    def __init__(self, values):
        positive = [value for value in values if value > 0] or [1]
        low, high = min(positive), max(positive)
        self.is_log = math.log10(high / low) > DECADES_FOR_LOG
        self.low = math.floor(math.log10(low) - 0.3) if self.is_log else 0
        self.high = math.log10(high) if self.is_log else high

    def length(self, value):
        if value <= 0:
            return 0
        share = ((math.log10(value) if self.is_log else value) - self.low) / ((self.high - self.low) or 1)
        return max(share, 0) * (WIDTH - LEFT - RIGHT)

    def ticks(self):
        if self.is_log:
            return [10.0**power for power in range(self.low, math.floor(self.high) + 1)]
        step = 10 ** math.floor(math.log10(self.high))
        step /= 1 if self.high / step >= 4 else 2 if self.high / step >= 2 else 5
        return [step * i for i in range(int(self.high / step + 1e-9) + 1)]


def colours(sides):
    others = iter(OTHERS * (len(sides) // len(OTHERS) + 1))
    return {side: COLOURS.get(side) or next(others) for side in sides}


def text(x, y, words, anchor="start", extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{escape(words)}</text>'


def bar(scale, y, values, colour, title):
    figures = summary(values)
    end, low, high = (LEFT + scale.length(figures[key]) for key in ("median", "min", "max"))
    middle = y + BAR / 2
    return [f'<rect x="{LEFT}" y="{y:.1f}" width="{end - LEFT:.1f}" height="{BAR - 2}" fill="{colour}">'
            f"<title>{escape(title)}</title></rect>",
            f'<path d="M{low:.1f} {middle:.1f}H{high:.1f}" stroke="#24292f" stroke-width="1.5"/>',
            text(max(end, high) + 5, y + BAR - 3, written(figures["median"]))]


def of_metric(title, unit, figures, metric, cases):
    """The drawing of one metric of a subject, or None where nothing was measured."""
    rows = figures.samples.get(metric, {})
    shown = [case for case in cases if rows.get(case)]
    values = [value for case in shown for row in rows[case].values() for value in row]
    if not values or max(values) <= 0:
        return None
    scale, paint, y, body = Scale(values), colours(figures.sides(metric)), 44.0, []
    for case in shown:
        body.append(text(8, y + BAR - 3, cases[case], extra=' font-weight="bold"'))
        if len(cases[case]) > 12:
            y += BAR + 2
        for side, samples in rows[case].items():
            body.append(text(LEFT - 6, y + BAR - 3, side, "end"))
            body += bar(scale, y, samples, paint[side], f"{cases[case]}, {side}")
            y += BAR
        y += GAP
    grid = []
    for tick in scale.ticks():
        x = LEFT + scale.length(tick)
        grid.append(f'<path d="M{x:.1f} 36V{y:.1f}" stroke="#d0d7de"/>')
        grid.append(text(x, y + 12, written(tick), "middle"))
    head = f"{title}, {unit}" + (" (logarithmic)" if scale.is_log else "")
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 22:.0f}" '
                      'font-family="sans-serif" font-size="11">', '<rect width="100%" height="100%" fill="white"/>',
                      text(8, 20, head, extra=' font-size="14" font-weight="bold"'), *grid, *body, "</svg>"]) + "\n"
