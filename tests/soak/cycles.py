#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""cycles.py: sandboxes, relays, namespaces and devices come and go, one by one or four at a time; looks for what stays.

After waiting by condition, processes, namespaces, links, mounts and descriptors are what they were.  The kernel's
unreclaimable memory (SUnreclaim) and the memory of the processes of a sandbox that runs all the time (anonymous pages) must not
grow: the slope of a straight line through the samples must be within its own error, or below what one lost page a
cycle would be.  The kernel frees much of it late, and cleans up more slowly than sandboxes come and go: a sample is taken
when it has done so.  The first fifth does not count, nor the first ten seconds, for the kernel collects what it will free
(kvfree_rcu) for five.  Rate and trend are reported.  Results as TAP.
"""
import argparse
import math
import os
import re
import select
import signal
import tempfile
import time

import verbs
import world

PAGE_KB = 4
RAMP = 10.0  # seconds
QUIET, FALL_KB, DRAIN = 1.0, 256, 600.0  # not fallen by so much for so many seconds; longest wait for that


def meminfo(word):
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith(word + ":"):
                return int(line.split()[1])
    raise KeyError(word)


def drained():
    """Waits until SUnreclaim no longer falls: network namespaces and what they held are freed in the kernel's own time."""
    low, since = meminfo("SUnreclaim"), time.monotonic()
    with world.deadline(DRAIN):
        while time.monotonic() < since + QUIET:
            select.select([], [], [], QUIET / 20)
            now = meminfo("SUnreclaim")
            if now < low - FALL_KB:
                low, since = now, time.monotonic()


def memory(pids):
    """
    Anonymous pages, in KiB, which do not become more or fewer with who shares them; None where we may not look
    (processes that are not dumpable belong to root).
    """
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("Anonymous:"))
        except (OSError, StopIteration):
            return None
    return total


def namespaces(pids):
    """Distinct namespaces of processes."""
    found = set()
    for pid in pids:
        for kind in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"):
            try:
                found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
            except OSError:
                pass
    return found


def line_through(points):
    """Slope of the line through (x, y), and its standard error."""
    count = len(points)
    mean_x, mean_y = (sum(values) / count for values in zip(*points))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    rest = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in points)
    return slope, math.sqrt(rest / (count - 2) / spread)


class Resident:
    """A sandbox that runs all the time."""

    def __init__(self):
        self.stdin, self.writer = os.pipe2(os.O_CLOEXEC)
        ready, told = os.pipe2(0)
        self.pid = world.spawn([world.VNIC, "run", "--ready-fd", str(told), "--", "/bin/cat"], self.stdin)
        os.close(told)
        with world.deadline():
            assert os.read(ready, 2) == b"1\n", "the resident sandbox did not start"
        os.close(ready)
        self.pids = world.descendants()

    def end(self):
        os.close(self.writer)
        with world.deadline():
            assert os.waitpid(self.pid, 0)[1] == 0
        os.close(self.stdin)


class Cycle:
    """What is done again and again: these commands, one after the other.  %d is a number that no other worker has now."""

    def __init__(self, text, *commands):
        self.text, self.commands = text, commands

    def argv(self, step, slot):
        return [world.VNIC, *(word.replace("%d", str(slot)) for word in self.commands[step])]


def kinds(frames):
    tun = os.access("/dev/net/tun", os.R_OK | os.W_OK)
    replay = f"pcap:{frames},speed=max"
    for nic in ("veth", *(("tap",) if tun else ())):
        yield Cycle(f"sandboxes with a {nic}", ["run", "--nic", nic, "--", "/bin/true"])
    yield Cycle("namespaces", ["ns", "add", "cycle%d"], ["ns", "del", "cycle%d"])
    yield Cycle("relays of a veth", ["relay", replay, "veth:v%d,netns=cycling"])
    if tun:
        yield Cycle("relays of a tap", ["relay", replay, "tap:v%d,netns=cycling"])
    if tun and os.getuid() == 0:
        yield Cycle("devices", ["tap", "add", "cycle%d"], ["tap", "del", "cycle%d"])


def cycle(cycles, workers, kind):
    """Does it so many times, `workers` at a time."""
    started = ended = 0
    free, running = list(range(workers)), {}
    while ended < cycles:
        while started < cycles and free:
            slot = free.pop()
            running[world.spawn(kind.argv(0, slot))] = (slot, 0)
            started += 1
        with world.deadline(10 * workers):
            pid, status = os.waitpid(-1, 0)
        if pid not in running:
            continue
        slot, step = running.pop(pid)
        assert status == 0, f"cycle {ended}: {kind.argv(step, slot)}: exit status {world.exit_status(status)}"
        if step + 1 < len(kind.commands):
            running[world.spawn(kind.argv(step + 1, slot))] = (slot, step + 1)
            continue
        free.append(slot)
        ended += 1


def judge(results, what, samples, cycles):
    if samples[0][2] is None:
        results.note(f"{what}: may not be read here")
        return
    points = [(number, value) for number, seconds, value in samples if number >= cycles / 5 and seconds >= RAMP]
    if len(points) < 10:
        results.note(f"{what}: too short to be judged")
        return
    slope, error = line_through(points)
    results.add(slope <= max(3 * error, PAGE_KB), f"{what} does not grow")
    results.note(f"{what}: {slope:+.3f} KiB a cycle, standard error {error:.3f}, "
                 f"{points[0][1]} -> {points[-1][1]} KiB")


def series(results, kind, workers, cycles, seconds):
    step = max(10, cycles // 100 // workers) * workers
    held = frozenset(world.descendants())  # an ordinary user's namespace
    cycle(step, workers, kind)  # slab caches and modules are there
    world.reap_all(held)  # relays, which nobody waits for: a TAP takes 20 ms to close
    resident = Resident()
    keep = frozenset(resident.pids)
    before, names = world.snapshot(), namespaces(resident.pids)
    kernel, own, marks = [], [], [(0, 0.0)]
    text = f"{kind.text}, {workers} at a time,"
    done, begin = 0, time.monotonic()
    try:
        while done < cycles or marks[-1][1] < seconds:
            cycle(step, workers, kind)
            done += step
            world.kernel_settled()
            drained()
            now = time.monotonic() - begin
            kernel.append((done, now, meminfo("SUnreclaim")))
            own.append((done, now, memory(resident.pids)))
            marks.append((done, now))
        why = world.settled(before, keep)
        if os.getuid() == 0 and namespaces(world.descendants()) != names:
            why += "; namespaces"
    except (world.Hang, AssertionError) as error:
        why = str(error)
    text = f"{done} {text}"
    results.add(not why, f"{text} leave nothing", why)
    judge(results, f"SUnreclaim during {text}", kernel, cycles)
    judge(results, f"memory of a running sandbox during {text}", own, cycles)
    marks = marks[::max(len(marks) // 10, 1)]
    rates = [(b[0] - a[0]) / (b[1] - a[1]) for a, b in zip(marks, marks[1:])]
    results.note(f"{text} a second, with the kernel's own clean-up: " + " ".join(f"{rate:.0f}" for rate in rates))
    resident.end()
    world.reap_all(held)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30, help="run each series for so long at least")
    parser.add_argument("--workers", default="1,4", help="how many at a time, one series for each number")
    parser.add_argument("--only", default="", help="kinds that match this regular expression")
    args = parser.parse_args()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    world.enter()
    results = world.Results()
    with tempfile.NamedTemporaryFile() as frames:
        verbs.Place.write_frames(frames.name, 1, bytes.fromhex("02000000000202000000000188b5"))
        verbs.Place.must("ns", "add", "cycling")
        for kind in kinds(frames.name):
            for workers in map(int, args.workers.split(",")):
                if re.search(args.only, kind.text):
                    series(results, kind, workers, args.cycles, args.seconds)
        verbs.Place.must("ns", "del", "cycling")
        world.reap_all()
    world.leave()
    results.end()


if __name__ == "__main__":
    main()
