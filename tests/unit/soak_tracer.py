# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracer of the soak tests: every process that a program makes, however quickly and by whatever call, is met once.

The programs are this file again, with the name of a function.  A process tells who it is by a call with a number that no
kernel has; it is the first that it makes.
"""
import os
import select
import signal
import sys
import threading
import unittest

TOP = os.environ["VNIC_TOP"]
sys.path[:0] = [f"{TOP}/tests/lib", f"{TOP}/tests/soak"]
import tap_unittest  # noqa: E402
import tracer  # noqa: E402
import world  # noqa: E402

CLONE, CLONE_PARENT = 56, 0x8000
FIRST = 1000  # of the numbers that no kernel has
COUNT = 40  # of each kind
PATIENCE = 60  # seconds; for what hangs

# --- the programs --------------------------------------------------------------------------------------------


def here(number):
    world.libc.syscall(FIRST + number)


def child(number, flags=0):
    """Without what Python does around a fork, and without waiting."""
    if world.libc.syscall(CLONE, flags | signal.SIGCHLD, 0, 0, 0, 0) == 0:
        here(number)
        os._exit(0)


def double(number):
    """Whose maker ends at once."""
    if os.fork() == 0:
        child(number)
        os._exit(0)


MAKERS = [child, lambda number: child(number, CLONE_PARENT), double]


def crowd():
    """All kinds in turn, as quickly as it goes."""
    for number in range(COUNT * len(MAKERS)):
        MAKERS[number % len(MAKERS)](number)
        if number % len(MAKERS) == 0:
            os.posix_spawn("/bin/true", ["true"], {})  # by vfork


def threads():
    for number in range(COUNT):
        threading.Thread(target=here, args=[number]).start()


def alone():
    """Makes one and sleeps until it has ended."""
    child(0)
    os.wait()


def orphan():
    """Makes one and ends at once."""
    child(0)


def killed():
    """Processes that make others and are killed while they do; it ends when all have."""
    receive, send = os.pipe()
    for number in range(COUNT):
        began, begin = os.pipe()
        maker = os.fork()
        if maker == 0:
            os.write(begin, b"!")
            for _ in range(8):
                child(number)
            signal.pause()
        os.read(began, 1)
        for _ in range(number):
            os.sched_yield()
        os.kill(maker, signal.SIGKILL)
        os.waitpid(maker, 0)
        os.close(began)
        os.close(begin)
    os.close(send)
    os.read(receive, 1)


def lasting():
    """Leaves a process of two threads behind that goes on making others until its input ends."""
    if os.fork():
        return
    receive, send = os.pipe()
    threading.Thread(target=os.read, args=[receive, 1]).start()
    while not select.select([0], [], [], 0)[0]:
        child(0)
        os.waitpid(-1, 0)
    os._exit(0)


PROGRAMS = {program.__name__: program for program in (crowd, threads, alone, orphan, killed, lasting)}

# --- the tests -----------------------------------------------------------------------------------------------


class Met:
    """Who made a call of its own, by the number that it told, and how many calls had come from its process before."""

    def __init__(self):
        self.processes = {}

    def visit(self, call):
        if call.name.startswith("syscall_1"):
            number = int(call.name.removeprefix("syscall_")) - FIRST
            self.processes.setdefault(number, []).append((call.process, call.number))


class Deaf(tracer.Tracer):
    """As if the program had been killed before it told of the first that it made."""

    def born(self, pid, index):
        if index != "0.1":
            super().born(pid, index)


class Slow(Deaf):
    """And as if that one came to its first stop only when all the others had ended."""

    held = None

    def wait(self):
        if self.held and not self.tracees:
            event, self.held = self.held, None
            return event
        event = super().wait()
        if self.held is None and event[0] not in self.tracees:
            self.held = event
            event = super().wait()
        return event


@unittest.skipUnless(tracer.supported, "the tracer knows the registers of x86-64 only")
class Tracer(unittest.TestCase):
    def trace(self, program, visit=lambda call: None, only=None, kind=tracer.Tracer, **options):
        traced = kind(visit, only)
        argv = [sys.executable, "-B", os.path.abspath(__file__), program.__name__]
        with world.deadline(PATIENCE):
            status = traced.run(argv, **options)
        self.assertEqual((status, traced.tracees, traced.unborn, traced.crashes), (0, {}, {}, []))
        return traced

    def test_whoever_is_made_is_met_once_and_from_its_first_call_on(self):
        met = Met()
        self.trace(crowd, met.visit)
        self.check(met, COUNT * len(MAKERS))
        forked = [calls[0] for number, calls in met.processes.items() if number % len(MAKERS) < 2]
        self.assertEqual({number for _, number in forked}, {1})

    def check(self, met, count):
        self.assertEqual(sorted(met.processes), list(range(count)))
        who = [process for calls in met.processes.values() for process, _ in calls]
        self.assertEqual(len(who), len(set(who)))
        self.assertNotIn("?", who)

    def test_every_thread_is_met_once(self):
        met = Met()
        self.trace(threads, met.visit)
        self.check(met, COUNT)

    def test_the_order_of_births_makes_the_numbers(self):
        first, again = Met(), Met()
        self.trace(crowd, first.visit)
        self.trace(crowd, again.visit)
        self.assertEqual(first.processes, again.processes)

    def test_one_that_alone_is_of_interest_is_met_from_its_first_call_on(self):
        every, met = Met(), Met()
        self.trace(crowd, every.visit)
        sibling = every.processes[1][0]
        self.trace(crowd, met.visit, {sibling[0]})
        self.assertEqual(met.processes, {1: [sibling]})

    def test_of_whom_nobody_tells_is_let_go_once_the_others_have_stopped_or_sleep(self):
        met = Met()
        self.trace(alone, met.visit, kind=Deaf)
        self.assertEqual(met.processes, {0: [("?", 1)]})
        self.trace(alone, only=set(), kind=Deaf)

    def test_who_stops_for_the_first_time_when_all_others_have_ended_is_let_go(self):
        met = Met()
        self.trace(orphan, met.visit, kind=Slow)
        self.assertEqual(met.processes, {0: [("?", 1)]})

    def test_whose_maker_was_killed_before_it_could_tell_is_let_go(self):
        self.trace(killed)

    def test_who_stays_goes_on_untraced_though_it_makes_others_meanwhile(self):
        for _ in range(10):
            receive, send = os.pipe()
            try:
                self.trace(lasting, stdin=receive, let_go=True)
                os.close(send)
                send = -1
                world.reap_all()  # it hangs if one has stayed stopped or traced
            finally:
                for fd in (receive, send):
                    if fd >= 0:
                        os.close(fd)

    def setUp(self):
        self.descriptors = len(os.listdir("/proc/self/fd"))

    def tearDown(self):
        self.assertEqual(len(os.listdir("/proc/self/fd")), self.descriptors)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        PROGRAMS[sys.argv[1]]()
    else:
        signal.signal(signal.SIGALRM, world._too_late)
        world.check(world.libc.prctl(world.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "subreaper")
        tap_unittest.main("__main__")
