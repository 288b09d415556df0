# SPDX-License-Identifier: GPL-2.0-or-later
"""What the soak tests stand on: a place of their own, and what is there before and after.

The driver is a subreaper: a process that vnic loses becomes the driver's child, so "nothing is left" is "the driver
has no child", which waitpid(2) tells, whoever the user is.  As root it also has mount and network namespaces of its
own, with an empty /run; as a user a directory of its own for what is there.  So several drivers do not disturb each other.
"""
import ctypes
import errno
import os
import select
import signal
import socket
import sys
import tempfile
import time

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_REC, MS_PRIVATE, MNT_DETACH = 0x4000, 0x40000, 2
PR_SET_CHILD_SUBREAPER = 36
RTMGRP_LINK = 1
WALL = 0x40000000  # __WALL: children with another exit signal too
DEADLINE = float(os.environ.get("SOAK_DEADLINE", "5"))  # seconds in which everything must have ended

libc = ctypes.CDLL(None, use_errno=True)
VNIC = os.environ.get("VNIC", "vnic")


class Hang(Exception):
    """Something did not happen in time."""


def check(result, what):
    if result < 0:
        raise OSError(ctypes.get_errno(), what)


def enter():
    """Makes the place; to be called once, first."""
    check(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "subreaper")
    signal.signal(signal.SIGALRM, _too_late)
    if os.getuid() != 0:
        os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="driver-", dir=os.environ["XDG_RUNTIME_DIR"])
        return
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWNET), "mount and network namespaces")
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "/")
    while libc.umount2(b"/run/netns", MNT_DETACH) == 0:
        pass  # pins of others, which may go at any time
    check(libc.mount(b"run", b"/run", b"tmpfs", 0, b"mode=755"), "/run")
    if os.system("ip link set lo up && ip link add br0 type bridge && ip link set br0 up"):
        raise SystemExit("there must be an ip(8)")


def leave():
    """At the end.  What stays in a directory of the driver's own is an error."""
    if os.getuid() != 0:
        for path in state_dir() + "/vnic", state_dir():
            if os.path.exists(path):
                os.rmdir(path)


def state_dir():
    """Names are in a directory of it."""
    return "/run" if os.getuid() == 0 else os.environ["XDG_RUNTIME_DIR"]


def _too_late(_signal, _frame):
    raise Hang(describe(descendants()))


class deadline:  # noqa: N801 - reads like a statement
    """with deadline(): ...  raises Hang when it takes longer.  Within another one it cannot make that longer."""

    def __init__(self, seconds=DEADLINE):
        self.seconds = seconds

    def __enter__(self):
        self.begin = time.monotonic()
        self.outer = signal.getitimer(signal.ITIMER_REAL)[0]
        signal.setitimer(signal.ITIMER_REAL, min(self.seconds, self.outer or self.seconds))

    def __exit__(self, *_):
        left = self.outer - (time.monotonic() - self.begin)
        signal.setitimer(signal.ITIMER_REAL, max(left, 0.001) if self.outer else 0)


# --- processes ---------------------------------------------------------------------------


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def descendants():
    found, queue = [], children(os.getpid())
    while queue:
        pid = queue.pop(0)
        found.append(pid)
        queue += children(pid)
    return found


def comm(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"


def process_of(pid):
    """Of a thread; itself if there is none."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Tgid:"))
    except OSError:
        return pid


def state(pid):
    """The letter that ps(1) shows."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def describe(pids):
    return ", ".join(f"{comm(pid)}({pid},{state(pid)})" for pid in pids)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def until(condition):
    """
    Waits until it is so; asks again and again, for what happens to processes and links that are not ours nobody tells.
    What has ended is reaped meanwhile.
    """
    with deadline():
        while not condition():
            try:
                reaped = os.waitpid(-1, WALL | os.WNOHANG)[0]
            except ChildProcessError:
                reaped = 0
            if not reaped:
                select.select([], [], [], 0.001)


def reap_all(keep=frozenset()):
    """Waits until the driver has no descendants but those to keep."""
    until(lambda: not set(descendants()) - keep)


def remove_rest(keep=frozenset()):
    """After a failure, so that the next test starts as the first did."""

    def removed():
        pids = set(descendants()) - keep
        for pid in pids:
            kill(pid)
        return not pids

    until(removed)


def spawn(argv, stdin=None, output=None):
    """Starts a program; `output` gets its standard output and error."""
    actions = [(os.POSIX_SPAWN_DUP2, stdin, 0)] if stdin is not None else []
    if output is not None:
        actions += [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    return os.posix_spawn(argv[0], argv, os.environ, file_actions=actions, setsigmask=[])


def exit_status(status):
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def run(*argv):
    """Runs vnic to its end; returns its exit status and what it said."""
    fd = os.memfd_create("output")
    try:
        pid = spawn([VNIC, *argv], output=fd)
        with deadline():
            status = os.waitpid(pid, 0)[1]
        return exit_status(status), os.pread(fd, 1 << 16, 0).decode(errors="replace")
    finally:
        os.close(fd)


# --- what there is -----------------------------------------------------------------------


def tree(path):
    """What is below a directory; what vanishes meanwhile is not there."""
    return sorted(os.path.join(above, name)[len(path):] for above, dirs, files in os.walk(path) for name in dirs + files)


def links():
    return sorted(name for _, name in socket.if_nameindex())


def snapshot():
    """Everything that could be left behind.  An ordinary user shares links and mounts with others, and can leave none."""
    here = {"descriptors": len(os.listdir("/proc/self/fd")), "state": tree(state_dir())}
    if os.getuid() != 0:
        return here
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = sorted(file.read().splitlines())
    return here | {"links": links(), "mounts": mounts}


def difference(before, after):
    return "; ".join(f"{what}: {set(map(str, before[what])) ^ set(map(str, after[what]))}"
                     if isinstance(before[what], list) else f"{what}: {before[what]} -> {after[what]}"
                     for what in before if before[what] != after[what])


class Links:
    """Waits until the links of the driver's network namespace are those again: the kernel removes them later."""

    def __enter__(self):
        self.events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self.events.bind((0, RTMGRP_LINK))
        return self

    def wait(self, expected):
        with deadline():
            while links() != expected:
                self.events.recv(65536)

    def __exit__(self, *_):
        self.events.close()


def settled(before, keep=frozenset()):
    """Waits until everything has ended and links are gone; returns what differs from before, "" for nothing."""
    with Links() as events:
        reap_all(keep)
        if "links" in before:
            events.wait(before["links"])
    return difference(before, snapshot())


def kernel_settled():
    """
    Waits until the kernel has freed every network namespace that was given up before.  It does so in order, in one
    worker, and counts them per user namespace until then: in a new one with room for two, a third can be made only
    after the first, which was left, is gone.
    """
    pid = os.fork()
    if pid == 0:
        if libc.unshare(CLONE_NEWUSER) == 0:
            with open("/proc/sys/user/max_net_namespaces", "w", encoding="ascii") as file:
                file.write("2")
            libc.unshare(CLONE_NEWNET)
            libc.unshare(CLONE_NEWNET)
            while libc.unshare(CLONE_NEWNET) != 0 and ctypes.get_errno() == errno.ENOSPC:
                os.sched_yield()
        os._exit(0)
    with deadline(30):
        os.waitpid(pid, 0)


# --- results, as TAP ---------------------------------------------------------------------


class Results:
    def __init__(self):
        self.count = self.failures = 0

    def add(self, good, text, why=""):
        self.count += 1
        self.failures += not good
        print(f"{'ok' if good else 'not ok'} {self.count} {text}", flush=True)
        for line in why.splitlines():
            print(f"# {line}", flush=True)

    def note(self, text):
        print(f"# {text}", flush=True)

    def end(self):
        print(f"1..{self.count}")
        sys.exit(self.failures > 0)
