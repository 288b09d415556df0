#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""kill.py: SIGKILL any process of vnic at any moment, and nothing is left.

  --random N   N kills a verb, of a process chosen at random, at moments spread over the run's duration
  --every STEP every STEPth system call of every process of every verb, by ptrace(2)

What vnic makes for the moment (run, relay) must be gone within five seconds: processes, links, mounts, files, with a
name after the next look at it; a socket's file may stay, which the next relay takes over.  What is to last (ns add, tap
add) must be whole, or mended by the same verb or by del.  Nobody else dies of it but by an end in order.  Results as TAP;
the seed is printed and can be given.
"""
import argparse
import os
import random
import re
import signal
import time

import tracer
import verbs
import workers
import world


def while_it_runs(place):
    """Verbs that run until they are ended: the command is cat, or a relay goes on."""
    yield verbs.Verb("run, while the command runs", "run", "--", "/bin/cat", for_ever=True)
    yield verbs.Verb("exec, while the command runs", "exec", "red", "--", "/bin/cat", for_ever=True)
    if verbs.has_tun():
        yield verbs.Verb("run --nic tun, while the command runs", "run", "--nic", "tun", "--", "/bin/cat", for_ever=True)
        yield verbs.Verb("vm, while the VMM runs", "vm", "--", "/usr/bin/env", "tap={fd}", "/bin/cat", for_ever=True)
        yield verbs.Verb("relay with a fast path, while it runs", "relay", "--fast-path", "tap:v0,netns=red",
                         "tap:v0,netns=blue", for_ever=True)  # fmt: skip
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
    def verdict(self, verb, murder=lambda: None):
        """Kills, and says what is wrong after it; "" for nothing."""
        try:
            with world.deadline():
                why = murder() or ""
                if not verb.lasting:
                    world.reap_all(self.keep)
                verb.mend()
                self.remove_sockets()
                why = why or self.settled()
        except world.Hang as hang:
            why = f"after {world.DEADLINE} s there is still: {hang}"
        except AssertionError as error:
            why = str(error)
        if why:
            self.start_over()
        return why


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


def random_kills(place, verb, count, report):
    duration = sorted(timed(place, verb) for _ in range(3))[1]
    whom, faults = {}, []
    for number in range(count):
        moment = duration * 1.3 * (number + random.random()) / count
        name = kill_one(place, verb, moment)
        whom[name] = whom.get(name, 0) + 1
        why = place.verdict(verb)
        if why:
            faults.append(f"{name} killed after {moment * 1e3:.2f} ms: {why}")
    report.add(not faults, f"{verb.text}: {count} kills within {duration * 1.3e3:.1f} ms leave nothing",
               "\n".join(faults[:5]))
    report.note("killed: " + ", ".join(f"{count} {name}" for name, count in sorted(whom.items())))
    report.count(kills=count)


class Murder:
    """Visits the calls of one run, kills at one of them, and ends a verb that would run for ever at its first wait."""

    def __init__(self, verb, process, number):
        self.verb, self.at, self.waits = verb, (process, number), verb.loops
        self.tracer = tracer.Tracer(self.visit, {process} | ({tracer.PROGRAM} if verb.loops else set()))

    def visit(self, call):
        answer = None
        if (call.process, call.number) == self.at:
            answer = tracer.KILL
        elif self.waits and call.process == tracer.PROGRAM and call.name in tracer.WAITS:
            answer, self.waits = tracer.TERMINATE, False
        killed = answer == tracer.KILL or self.tracer.acted
        self.tracer.done = killed and (not self.waits or self.at[0] == tracer.PROGRAM)
        return answer

    def run(self, place):
        self.tracer.run(self.verb.argv, place.stdin, place.output, let_go=self.verb.lasting)
        return "; ".join(self.tracer.crashes)


class Undisturbed:
    """Counts the calls of each process."""

    def __init__(self, verb):
        self.verb, self.waits, self.calls = verb, verb.loops, {}
        self.tracer = tracer.Tracer(self.visit)

    def visit(self, call):
        self.calls[call.process] = call.number
        if self.waits and call.process == tracer.PROGRAM and call.name in tracer.WAITS:
            self.waits = False
            return tracer.TERMINATE
        return None

    def run(self, place):
        """What is wrong: it does not do what it is killed for."""
        status = self.tracer.run(self.verb.argv, place.stdin, place.output, let_go=self.verb.lasting)
        works = status == 0 or (self.verb.reports and status == 1)
        if works and all(proof in place.said() for proof in self.verb.proofs):
            return "; ".join(self.tracer.crashes)
        return f"status {status}: {place.said()}"


def kill_at(place, verb, process, number):
    """Kills at a call; returns the call, None if it was never made, and what is wrong."""
    verb.prepare()
    place.forget()
    murder = Murder(verb, process, number)
    why = place.verdict(verb, lambda: murder.run(place))
    return murder.tracer.acted, why


def every_call(place, verb, step, report):
    """Those that were made when nobody was killed, and whatever a process comes to beyond them."""
    plan, faults, kills = Undisturbed(verb), [], 0
    verb.prepare()
    place.forget()
    why = place.verdict(verb, lambda: plan.run(place))
    report.add(not why and plan.calls, f"{verb.text}: works when nobody is killed", why)
    for process, calls in sorted(plan.calls.items()):
        number, call = 1 + random.randrange(step), True
        while number <= calls or (call and number <= 2 * calls + 100):
            call, why = kill_at(place, verb, process, number)
            kills += call is not None
            if why:
                faults.append(f"{call}, call {number} of process {process}: {why}")
            number += step
    report.add(not faults, f"{verb.text}: killed at {kills} system calls of {len(plan.calls)} processes, nothing is left",
               "\n".join(faults))
    report.count(kills=kills)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--every", type=int, default=0)
    parser.add_argument("--only", default="", help="verbs that match this regular expression")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="so many at a time, each in a place of its own")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    results = world.Results()
    results.note(f"seed {args.seed}")

    def torture(work):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        place = Place()
        chosen = [verb for verb in [*verbs.verbs(place), *while_it_runs(place)] if re.search(args.only, verb.text)]
        for verb, report in work.take(chosen):
            random.seed(f"{args.seed} {verb.text}")
            report.count(verbs=1)
            if args.random and not verb.loops:
                random_kills(place, verb, args.random, report)
            if args.every and tracer.supported and not verb.for_ever:
                every_call(place, verb, args.every, report)
        place.close()

    sums = workers.share(args.workers, torture, results)
    results.note(f"{sums.get('kills', 0)} kills of {sums.get('verbs', 0)} verbs in all")
    results.end()


if __name__ == "__main__":
    main()
