#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""kill.py: SIGKILL any process of vnic at any moment, and nothing is left.

  --random N   N kills a verb, of a process chosen at random, at moments spread over the run's duration
  --every STEP every STEPth system call of every process of every verb, by ptrace(2)

What vnic makes for the moment (run, relay) must be gone within five seconds: processes, links, mounts, files, with a
name after the next look at it; a socket's file may stay, which the next relay takes over.  What is to last (ns add, tap
add) must be whole, or mended by the same verb or by del.  Results as TAP; the seed is printed and can be given.
"""
import argparse
import os
import random
import re
import signal
import time

import tracer
import verbs
import world


def while_it_runs(place):
    """Verbs that run until they are ended: the command is cat, or a relay goes on."""
    yield verbs.Verb("run, while the command runs", "run", "--", "/bin/cat", for_ever=True)
    yield verbs.Verb("exec, while the command runs", "exec", "red", "--", "/bin/cat", for_ever=True)
    if verbs.has_tun():
        yield verbs.Verb("run --nic tun, while the command runs", "run", "--nic", "tun", "--", "/bin/cat", for_ever=True)
        yield verbs.Verb("vm, while the VMM runs", "vm", "--", "/usr/bin/env", "tap={fd}", "/bin/cat", for_ever=True)
    path = place.file("run.pcapng")
    yield verbs.Capture("run --capture, while the command runs", "run", "--capture", path, "--snaplen", "64", "--",
                        "/bin/cat", path=path, for_ever=True)  # fmt: skip
    pair = "veth:v0,netns=blue"
    for text, *ports in (("relay of pairs", "veth:v0,netns=red,ip=10.9.0.1/24"),
                         ("relay of a stream", f"stream:@kill-{os.getpid()}"),
                         ("relay of a tunnel", f"vxlan:id=7,remote=127.0.0.1,local=127.0.0.1:{place.port}"),
                         ("relay in bad weather", "veth:v0,netns=red,delay=50ms,loss=10%,in.rate=1mbit"),
                         ("relay that captures", "veth:v0,netns=red", "--capture", "/dev/null")):
        yield verbs.Verb(text + ", while it runs", "relay", *ports, pair, for_ever=True)


class Place(verbs.Place):
    def verdict(self, verb):
        """What is wrong after a kill; "" for nothing."""
        try:
            if not verb.lasting:
                world.reap_all(self.keep)
            verb.mend()
            self.remove_sockets()
            return self.settled()
        except world.Hang as hang:
            self.remove_rest()
            return f"after {world.DEADLINE} s there is still: {hang}"
        except AssertionError as error:
            self.remove_rest()
            return str(error)


def wait_end_or(seconds):
    """Until a child ends or the time has come, whichever is first."""
    signal.sigtimedwait([signal.SIGCHLD], seconds)


def timed(place, verb):
    """How long it takes; with a command that runs for ever, until that runs."""
    verb.prepare()
    begin = time.monotonic()
    pid = world.spawn(verb.argv, place.stdin, place.output)
    if verb.for_ever:
        with world.deadline():
            while not any(world.comm(child) == "cat" for child in set(world.descendants()) - place.keep):
                if verb.argv[1] == "relay" and place.inside[1].links() != place.inside[1].before:
                    break
        seconds = time.monotonic() - begin
        world.kill(pid)
    else:
        with world.deadline():
            os.waitpid(pid, 0)
        seconds = time.monotonic() - begin
    why = place.verdict(verb)
    assert not why, f"{verb.text}, undisturbed: {why}"
    return seconds


def kill_one(place, verb, moment):
    """Returns whom it killed."""
    verb.prepare()
    while signal.sigtimedwait([signal.SIGCHLD], 0):
        pass
    pid = world.spawn(verb.argv, place.stdin, place.output)
    wait_end_or(moment)
    victims = sorted(set(world.descendants()) - place.keep)
    victim = random.choice(victims) if victims else pid
    name = world.comm(victim)
    world.kill(victim)
    if verb.for_ever and victim != pid and name in (world.comm(pid), "?", "vnic-capture"):
        # A helper without a name, which may have done its work, is not missed; nor does a sandbox end with its capture.
        os.kill(pid, signal.SIGTERM)
    return name


def random_kills(place, verb, count, results):
    duration = sorted(timed(place, verb) for _ in range(3))[1]
    whom, faults = {}, []
    for number in range(count):
        moment = duration * 1.3 * (number + random.random()) / count
        name = kill_one(place, verb, moment)
        whom[name] = whom.get(name, 0) + 1
        why = place.verdict(verb)
        if why:
            faults.append(f"{name} killed after {moment * 1e3:.2f} ms: {why}")
    results.add(not faults, f"{verb.text}: {count} kills within {duration * 1.3e3:.1f} ms leave nothing",
                "\n".join(faults[:5]))
    results.note("killed: " + ", ".join(f"{count} {name}" for name, count in sorted(whom.items())))


class Murder:
    """Visits the calls of one run, kills at one of them, and ends a verb that would run for ever at its first wait."""

    def __init__(self, verb, process, number):
        self.at, self.waits = (process, number), verb.loops
        self.tracer = tracer.Tracer(self.visit)

    def visit(self, call):
        answer = None
        if (call.process, call.number) == self.at:
            answer = tracer.KILL
        elif self.waits and call.process == 0 and call.name in tracer.WAITS:
            answer, self.waits = tracer.TERMINATE, False
        killed = answer == tracer.KILL or self.tracer.acted
        self.tracer.done = killed and (not self.waits or call.process == 0)
        return answer


def kill_at(place, verb, process, number):
    """Kills at a call; returns the call, None if it was never made, and what is wrong."""
    verb.prepare()
    place.forget()
    run = Murder(verb, process, number).tracer
    try:
        with world.deadline():
            run.run(verb.argv, place.stdin, place.output, let_go=verb.lasting)
    except world.Hang as hang:
        place.remove_rest()
        return run.acted, f"after {world.DEADLINE} s there is still: {hang}"
    return run.acted, place.verdict(verb)


def every_call(place, verb, step, results):
    faults, kills, process = [], 0, 0
    while True:
        number = 1 + random.randrange(step)
        while True:
            call, why = kill_at(place, verb, process, number)
            if why:
                faults.append(f"{call}, call {number}: {why}")
            if call is None:
                break
            kills += 1
            number += step
        if number <= step:
            if kill_at(place, verb, process, 1)[0] is None:
                break  # there is no such process
        process += 1
    results.add(not faults, f"{verb.text}: killed at {kills} system calls of {process} processes, nothing is left",
                "\n".join(faults[:5]))
    return kills


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--every", type=int, default=0)
    parser.add_argument("--only", default="", help="verbs that match this regular expression")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()

    random.seed(args.seed)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    world.enter()
    results = world.Results()
    results.note(f"seed {args.seed}")
    place, kills = Place(), 0
    for verb in [*verbs.verbs(place), *while_it_runs(place)]:
        if not re.search(args.only, verb.text):
            continue
        if args.random and not verb.loops:
            random_kills(place, verb, args.random, results)
            kills += args.random
        if args.every and tracer.supported and not verb.for_ever:
            kills += every_call(place, verb, args.every, results)
    place.close()
    results.note(f"{kills} kills in all")
    results.end()


if __name__ == "__main__":
    main()
