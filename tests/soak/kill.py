#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""kill.py: SIGKILL any process of vnic at any moment, and nothing is left.

  --random N   N kills a scenario, of a process chosen at random, at moments spread over the run's duration
  --every STEP every STEPth system call of every process of every scenario, by ptrace(2)

What vnic makes for the moment (run, relay) must be gone within five seconds: processes, links, mounts, files, with a
name after the next look at it.  What is to last (ns add, tap add) must be whole, or mended by the same verb or by del.
Results as TAP; the seed is printed and can be given.
"""
import argparse
import os
import random
import signal
import struct
import tempfile
import time

import tracer
import world


class Scenario:
    """One way to run vnic.  `lasting`: something may be left that `mend` has to take away."""

    lasting = False

    def __init__(self, text, *argv):
        self.text, self.argv = text, [world.VNIC, *argv]

    def prepare(self):
        pass

    def mend(self):
        """Raises AssertionError when something cannot be mended."""


class Named(Scenario):
    def mend(self):
        status, said = world.run("list")
        assert status == 0, f"list: {status}: {said}"


class Lasting(Scenario):
    """Makes (or deletes) a thing that lasts: VERB add NAME, VERB del NAME."""

    lasting = True

    def __init__(self, text, *argv, first=()):
        super().__init__(text, *argv)
        self.first, self.verb, self.name = first, argv[0], argv[2]

    def prepare(self):
        for words in self.first:
            status, said = world.run(*words)
            assert status == 0, f"{words}: {status}: {said}"

    def mend(self):
        # What was just killed may still be ending, and says so.
        with world.deadline():
            status, said = world.run(self.verb, "add", self.name)
            assert status in (0, 1, 3), f"add: {status}: {said}"
            while True:
                status, said = world.run(self.verb, "del", self.name)
                if status == 0:
                    return


class Relay(Scenario):
    """Between the namespaces red and blue, which stay."""

    def mend(self):
        with world.deadline():
            for name in ("red", "blue"):
                while True:
                    status, said = world.run("exec", name, "--", "ip", "-o", "link")
                    assert status == 0, f"exec {name}: {status}: {said}"
                    if said.count("\n") == 1:
                        break


class Capture(Scenario):
    """Writes a file that whoever is killed must leave readable; only a process killed amid a write may cut the end."""

    def __init__(self, text, *argv):
        self.path = os.path.join(tempfile.gettempdir(), f"kill-{os.getpid()}.pcapng")
        super().__init__(text, *(self.path if word == "FILE" else word for word in argv))

    def prepare(self):
        with open(self.path, "wb"):
            pass

    def mend(self):
        with open(self.path, "rb") as file:
            data = file.read()
        os.unlink(self.path)
        at = 0
        while at + 8 <= len(data):
            kind, size = struct.unpack_from("<II", data, at)
            assert kind in (0x0A0D0D0A, 1, 5, 6) and size >= 12 and size % 4 == 0, f"no block at {at}"
            assert at + size > len(data) or data[at + size - 4:at + size] == data[at + 4:at + 8], f"block at {at}"
            at += size


def scenarios():
    root = os.getuid() == 0
    tun = os.access("/dev/net/tun", os.R_OK | os.W_OK)
    yield Scenario("run", "run", "--", "/bin/true")
    yield Scenario("run, while the command runs", "run", "--", "/bin/cat")
    yield Named("run --name", "run", "--name", "red1", "--", "/bin/true")
    if tun:
        yield Scenario("run --nic tap", "run", "--nic", "tap", "--", "/bin/true")
        yield Scenario("run --nic tun, while the command runs", "run", "--nic", "tun", "--", "/bin/cat")
        yield Scenario("vm", "vm", "--", "/bin/true", "{fd}")
        yield Scenario("vm, while the VMM runs", "vm", "--", "/usr/bin/env", "tap={fd}", "/bin/cat")
    yield Scenario("run --publish, of datagrams", "run", "--publish", f"127.0.0.1:{20000 + os.getpid() % 20000}:9/udp", "--", "/bin/true")
    yield Capture("run --capture", "run", "--capture", "FILE", "--", "/bin/true")
    yield Capture("run --capture, while the command runs", "run", "--capture", "FILE", "--snaplen", "64", "--", "/bin/cat")
    if root:
        yield Scenario("run, on a bridge", "run", "--nic", "veth,to=bridge:br0", "--", "/bin/true")
        if tun:
            yield Scenario("run --nic tap, on a bridge", "run", "--nic", "tap,to=bridge:br0", "--", "/bin/true")
            yield Lasting("tap add", "tap", "add", "lasting0")
            yield Lasting("tap del", "tap", "del", "lasting0", first=[("tap", "add", "lasting0")])
    yield Lasting("ns add", "ns", "add", "lasting")
    yield Lasting("ns del", "ns", "del", "lasting", first=[("ns", "add", "lasting")])
    yield Relay("relay of pairs", "relay", "veth:v0,netns=red,ip=10.9.0.1/24", "veth:v0,netns=blue")
    pair = "veth:v0,netns=blue"
    yield Relay("relay of a stream", "relay", f"stream:@kill-{os.getpid()}", pair)
    yield Relay("relay of a tunnel", "relay", f"vxlan:id=7,remote=127.0.0.1,local=127.0.0.1:{20000 + os.getpid() % 20000}", pair)
    yield Relay("relay in bad weather", "relay", "veth:v0,netns=red,ip=10.9.0.1/24,delay=50ms,loss=10%,in.rate=1mbit", pair)
    yield Relay("relay that captures", "relay", "veth:v0,netns=red,ip=10.9.0.1/24", pair, "--capture", "/dev/null")
    if tun:
        yield Relay("relay of taps", "relay", "tap:t0,netns=red,ip=10.9.0.1/24", "tap:t0,netns=blue")
    yield Scenario("exec", "exec", "red", "--", "/bin/true")
    yield Scenario("exec, while the command runs", "exec", "red", "--", "/bin/cat")


class Place:
    """Standard input that never ends, a place for output, and the namespaces red and blue."""

    def __init__(self):
        self.stdin, self.writer = os.pipe2(os.O_CLOEXEC)
        self.output = os.memfd_create("output")
        for name in ("red", "blue"):
            status, said = world.run("ns", "add", name)
            assert status == 0, said
        self.keep = frozenset(world.descendants())
        self.before = world.snapshot()

    def verdict(self, scenario):
        """What is wrong after a kill; "" for nothing."""
        try:
            if not scenario.lasting:
                world.reap_all(self.keep)
            scenario.mend()
            return world.settled(self.before, self.keep)
        except world.Hang as hang:
            self.remove_rest()
            return f"after {world.DEADLINE} s there is still: {hang}"
        except AssertionError as error:
            self.remove_rest()
            return str(error)

    def remove_rest(self):
        while pids := set(world.descendants()) - self.keep:
            for pid in pids:
                world.kill(pid)
            os.waitpid(-1, world.WALL)

    def close(self):
        for name in ("red", "blue"):
            world.run("ns", "del", name)
        world.reap_all()


def runs_for_ever(scenario):
    return scenario.argv[-1] == "/bin/cat" or scenario.argv[1] == "relay"


def wait_end_or(seconds):
    """Until a child ends or the time has come, whichever is first."""
    signal.sigtimedwait([signal.SIGCHLD], seconds)


def timed(place, scenario):
    """How long it takes; with a command that runs for ever, until that runs."""
    scenario.prepare()
    begin = time.monotonic()
    pid = world.spawn(scenario.argv, place.stdin, place.output)
    if runs_for_ever(scenario):
        with world.deadline():
            while not any(world.comm(child) == "cat" for child in world.descendants()):
                if scenario.argv[1] == "relay" and world.run("exec", "blue", "--", "ip", "-o", "link")[1].count("\n") > 1:
                    break
        seconds = time.monotonic() - begin
        world.kill(pid)
    else:
        with world.deadline():
            os.waitpid(pid, 0)
        seconds = time.monotonic() - begin
    why = place.verdict(scenario)
    assert not why, f"{scenario.text}, undisturbed: {why}"
    return seconds


def kill_one(place, scenario, moment):
    """Returns whom it killed."""
    scenario.prepare()
    while signal.sigtimedwait([signal.SIGCHLD], 0):
        pass
    pid = world.spawn(scenario.argv, place.stdin, place.output)
    wait_end_or(moment)
    victims = sorted(set(world.descendants()) - place.keep)
    victim = random.choice(victims) if victims else pid
    name = world.comm(victim)
    world.kill(victim)
    if runs_for_ever(scenario) and victim != pid and name in (world.comm(pid), "?", "vnic-capture"):
        # A helper without a name, which may have done its work, is not missed; nor does a sandbox end with its capture.
        os.kill(pid, signal.SIGTERM)
    return name


def random_kills(place, scenario, count, results):
    duration = sorted(timed(place, scenario) for _ in range(3))[1]
    whom, faults = {}, []
    for number in range(count):
        moment = duration * 1.3 * (number + random.random()) / count
        name = kill_one(place, scenario, moment)
        whom[name] = whom.get(name, 0) + 1
        why = place.verdict(scenario)
        if why:
            faults.append(f"{name} killed after {moment * 1e3:.2f} ms: {why}")
    results.add(not faults, f"{scenario.text}: {count} kills within {duration * 1.3e3:.1f} ms leave nothing",
                "\n".join(faults[:5]))
    results.note("killed: " + ", ".join(f"{count} {name}" for name, count in sorted(whom.items())))


def kill_at(place, scenario, process, number):
    """Kills at a call; returns the call, None if it was never made, and what is wrong."""
    scenario.prepare()
    run = tracer.Tracer(lambda call: tracer.KILL if (call.process, call.number) == (process, number) else None)
    try:
        with world.deadline():
            run.run(scenario.argv, place.stdin, place.output, let_go=scenario.lasting)
    except world.Hang as hang:
        place.remove_rest()
        return run.acted, f"after {world.DEADLINE} s there is still: {hang}"
    return run.acted, place.verdict(scenario)


def every_call(place, scenario, step, results):
    if runs_for_ever(scenario):
        return
    faults, kills, process = [], 0, 0
    while True:
        number = 1 + random.randrange(step)
        while True:
            call, why = kill_at(place, scenario, process, number)
            if why:
                faults.append(f"{call}, call {number}: {why}")
            if call is None:
                break
            kills += 1
            number += step
        if number <= step:
            if kill_at(place, scenario, process, 1)[0] is None:
                break  # there is no such process
        process += 1
    results.add(not faults, f"{scenario.text}: killed at {kills} system calls of {process} processes, nothing is left",
                "\n".join(faults[:5]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--every", type=int, default=0)
    parser.add_argument("--only", default="", help="scenarios with this text in them")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()

    random.seed(args.seed)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    world.enter()
    results = world.Results()
    results.note(f"seed {args.seed}")
    place = Place()
    for scenario in scenarios():
        if args.only not in scenario.text:
            continue
        if args.random:
            random_kills(place, scenario, args.random, results)
        if args.every and tracer.supported:
            every_call(place, scenario, args.every, results)
    place.close()
    results.end()


if __name__ == "__main__":
    main()
