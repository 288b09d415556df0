# SPDX-License-Identifier: GPL-2.0-or-later
"""From the JSON of the subjects to one Markdown page with plots; notes/SUBJECT.md, written by hand, says why."""
import json
import os
import shutil

from . import plot, table
from .subject import Figures, is_own

TOP = """# Benchmarks

Compare ratios: all sides take turns, within the same minutes and on the same machine, with cubic on both ends of every
connection. A figure is the median of its rounds, with their minimum and maximum. `./dev bench --docs` makes this page, with
its plots, from what it measured; the explanations are written by hand, in `bench/notes/`. [bench/README.md]({bench}/README.md)
says how to run the bench and how to read this.
"""


def load_results(out, names):
    results = {}
    for name in names:
        if os.path.exists(path := f"{out}/{name}.json"):
            with open(path, encoding="utf-8") as file:
                results[name] = json.load(file)
    return results


def machine_table(results):
    """One row for each different machine or day on which the subjects were measured."""
    rows = {}
    for name, result in results.items():
        machine = result["machine"]
        key = (machine["model"], str(machine["cpus"]), machine["kernel"], result["versions"]["vnic"],
               result["begun"][:10])
        rows.setdefault(key, []).append(name)
    return table.markdown(["CPU", "CPUs", "Linux", "vnic", "day", "subjects"],
                          [[*key, ", ".join(names)] for key, names in rows.items()])


def versions_line(results):
    versions = {}
    for result in results.values():
        versions |= result["versions"]
    del versions["vnic"]
    return "Peers: " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) + ".\n"


def busy_line(results):
    """A warning where others had the CPUs too: what needs several processes at once then suffers most."""
    busy = [name for name, result in results.items() if min(result["load"]) > result["machine"]["cpus"]]
    if not busy:
        return ""
    most = max(max(results[name]["load"]) for name in busy)
    return (f"**The machine was busy** (load average up to {most:.0f}) while these were measured: {', '.join(busy)}. What needs "
            "three processes at once, like a gateway between two others, then loses more than what needs two. These figures "
            "hold for a busy machine only; CPU time depends on the load less.\n")


def lost_rows(subjects, results):
    """
    Every demand that is not met, over all subjects, and what vnic failed at: what the rounds that worked meet is not met.
    One that could not be measured is not met either.
    """
    rows = []
    for name, result in results.items():
        figures = Figures(result["samples"])
        rows += [[f"[{subjects[name].title}](#{anchor(subjects[name].title)})", *row[:3]]
                 for row in table.of_demands(figures, subjects[name].demands)[1] if row[3] != "yes"]
        rows += [[f"[{subjects[name].title}](#{anchor(subjects[name].title)})", what, "no failure",
                  f"{words[0]} ({len(words)} times)"] for what, words in result["failures"].items() if is_own(what)]
    return rows


def anchor(title):
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c == "-")


def section(subject, result, plots, notes):
    """plots: prefix of the paths of the drawings."""
    figures = Figures(result["samples"], result["failures"])
    parts = [f"## {subject.title}\n", f"`./dev bench {subject.name}`: {subject.about}\n",
             f"{result['rounds']} rounds in {result['seconds']:.0f} s; load average {result['load'][0]:.1f} before, "
             f"{result['load'][1]:.1f} after.\n"]
    for metric in subject.metrics:
        head, rows = table.of_metric(figures, metric.name, subject.cases)
        if not rows:
            continue
        sense = "" if metric.more_is_better else ", less is better"
        head[0] = f"{metric.name}, {metric.unit}{sense}"
        parts.append(table.markdown(head, rows))
        if metric.plot and len(rows) > 1:
            parts.append(f"![{metric.name}]({plots}{plot_name(subject, metric)})\n")
    if subject.demands:
        parts.append(table.markdown(*table.of_demands(figures, subject.demands)))
    for what, words in figures.failures.items():
        parts.append(f"Failed: {what}: {words[0]} ({len(words)} times)\n")
    if os.path.exists(path := f"{notes}/{subject.name}.md"):
        with open(path, encoding="utf-8") as file:
            parts.append(file.read())
    return "\n".join(parts)


def plot_name(subject, metric):
    return f"{subject.name}-{metric.name.replace(' ', '-')}.svg"


def write_plots(subject, result, out):
    figures = Figures(result["samples"])
    for metric in subject.metrics:
        drawing = plot.of_metric(f"{subject.title}: {metric.name}", metric.unit, figures, metric.name, subject.cases)
        if metric.plot and drawing:
            with open(f"{out}/{plot_name(subject, metric)}", "w", encoding="utf-8") as file:
                file.write(drawing)


def page(subjects, results, notes, plots="", bench="../../bench"):
    lost = lost_rows(subjects, results)
    parts = [TOP.format(bench=bench), machine_table(results), versions_line(results), busy_line(results)]
    if lost:
        parts += ["## Where vnic falls short\n", table.markdown(["", "demand", "required", "measured"], lost)]
    parts += [section(subjects[name], result, plots, notes) for name, result in results.items()]
    if os.path.exists(path := f"{notes}/end.md"):
        with open(path, encoding="utf-8") as file:
            parts.append(file.read())
    return "\n".join(parts)


def write(subjects, out, notes, docs=None):
    """report.md in `out`; with docs, benchmarks.md and benchmarks/ there too."""
    results = load_results(out, subjects)
    for name, result in results.items():
        write_plots(subjects[name], result, out)
    with open(f"{out}/report.md", "w", encoding="utf-8") as file:
        file.write(page(subjects, results, notes))
    if docs:
        os.makedirs(f"{docs}/benchmarks", exist_ok=True)
        for name, result in results.items():
            shutil.copy(f"{out}/{name}.json", f"{docs}/benchmarks/")
            write_plots(subjects[name], result, f"{docs}/benchmarks")
        with open(f"{docs}/benchmarks.md", "w", encoding="utf-8") as file:
            file.write(page(subjects, results, notes, "benchmarks/", "../bench"))
