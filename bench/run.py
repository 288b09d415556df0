#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""run.py: the benchmarks of vnic and its peers.  bench/README.md says what they mean; `./dev bench` calls this."""
import argparse
import importlib
import os
import pkgutil
import resource
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
sys.path.insert(0, HERE)

import subjects as folder  # noqa: E402
from harness import report, runner, table  # noqa: E402
from harness.subject import Figures, is_own  # noqa: E402

INSIDE = "VNIC_BENCH_INSIDE"


def all_subjects():
    names = [module.name for module in pkgutil.iter_modules(folder.__path__)]
    found = [importlib.import_module(f"subjects.{name}").SUBJECT for name in names]
    return {subject.name: subject for subject in sorted(found, key=lambda subject: folder.ORDER.index(subject.name))}


def go_private():
    """All over again in namespaces that nobody else sees: what is left in them, however this ends, is the kernel's."""
    if os.geteuid() != 0:
        raise SystemExit("bench: needs root, for namespaces that stand for a host and for a server: sudo ./dev bench")
    inside = subprocess.Popen(["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--",
                               sys.executable, *sys.argv], env=os.environ | {INSIDE: "1"})
    signal.signal(signal.SIGTERM, lambda *_: inside.kill())
    signal.signal(signal.SIGINT, lambda *_: inside.kill())
    sys.exit(inside.wait())


def private_mounts():
    """Names of namespaces are ours alone, and an ordinary user may open /dev/net/tun: slirp4netns and pasta must."""
    commands = ["mount -t tmpfs run /run", "mount -t sysfs sys /sys", "mount -t tmpfs -o mode=0755 tmpfs /mnt"]
    if os.path.exists("/dev/net/tun"):
        commands += ["mknod -m 0666 /mnt/tun c 10 200", "mount --bind /mnt/tun /dev/net/tun"]
    for command in commands:
        subprocess.run(command.split(), check=True)
    os.makedirs("/run/netns")


def show(subject, result, quick):
    """On standard output, as soon as a subject is done."""
    figures = Figures(result["samples"], result["failures"])
    print(f"\n{subject.title}  ({result['rounds']} rounds, {result['seconds']} s, load {result['load'][0]})")
    for metric in subject.metrics:
        head, rows = table.of_metric(figures, metric.name, subject.cases)
        if rows:
            print(table.columns([f"{metric.name}, {metric.unit}", *head[1:]], rows))
    if subject.demands and not quick:
        print(table.columns(*table.of_demands(figures, subject.demands)))
    for what, words in figures.failures.items():
        print(f"failed: {what}: {words[0]} ({len(words)} times)")
    sys.stdout.flush()


def main():
    subjects = all_subjects()
    parser = argparse.ArgumentParser(prog="bench", description="Measures vnic and its peers, in turn.",
                                     epilog="subjects: " + " ".join(subjects))
    parser.add_argument("names", nargs="*", metavar="NAME", help="subjects; without, all")
    parser.add_argument("--quick", action="store_true", help="one round of a few cases: does it work at all?")
    parser.add_argument("--rounds", type=int, help="instead of what each subject asks for")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=PROGRAM",
                        help="another build of vnic beside the first, in every subject")
    parser.add_argument("--out", default=os.environ.get("OUT", f"{TOP}/build/bench"))
    parser.add_argument("--docs", action="store_true", help="write docs/benchmarks.md too, from all that OUT holds")
    parser.add_argument("--report", action="store_true", help="measure nothing, write the report again")
    args = parser.parse_args()
    if unknown := set(args.names) - set(subjects):
        parser.error(f"there is no subject {', '.join(sorted(unknown))}; there are: {' '.join(subjects)}")
    names = [name for name in subjects if name in args.names or not args.names]
    if not args.report:
        if INSIDE not in os.environ:
            go_private()
        private_mounts()
    build = os.environ.get("BUILD", f"{TOP}/build/release")
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    programs = [os.environ.get("VNIC", f"{build}/vnic")]
    programs += [f"{build}/bench/{name}" for name in ("load", "frames", "probe")]
    out = args.out + ("/quick" if args.quick else "")
    failed = 0
    for name in names if not args.report else []:
        result = runner.run(subjects[name], programs, out, args.rounds, args.quick,
                            dict(pair.split("=", 1) for pair in args.also))
        failed += any(map(is_own, result["failures"]))
        show(subjects[name], result, args.quick)
    report.write(subjects, out, f"{HERE}/notes", f"{TOP}/docs" if args.docs else None)
    print(f"report: {out}/report.md", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
