#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""inject.py: every system call of set-up fails once, and every limit is too low once.

For each process of vnic and each of its calls of a kind below, one run in which that call fails.  Either the sandbox
works all the same, or vnic ends with status 125 within five seconds and says why in one line (and a remedy); nothing
is left in either case.  The same with low limits of descriptors, processes and memory.  Results as TAP.
"""
import argparse
import errno
import os
import random
import resource
import signal

import tracer
import world

FAULTS = {
    "socket": errno.EMFILE, "socketpair": errno.EMFILE, "eventfd2": errno.EMFILE, "epoll_create1": errno.EMFILE,
    "epoll_ctl": errno.ENOSPC, "signalfd4": errno.EMFILE, "openat": errno.EMFILE, "write": errno.EIO,
    "sendto": errno.ENOBUFS, "sendmsg": errno.ENOBUFS, "recvmsg": errno.ENOMEM, "recvfrom": errno.ENOMEM,
    "clone3": errno.EAGAIN, "clone": errno.EAGAIN, "unshare": errno.ENOSPC, "setns": errno.EPERM,
    "mount": errno.EPERM, "ioctl": errno.EPERM, "bind": errno.EADDRINUSE, "setsockopt": errno.ENOPROTOOPT,
    "mmap": errno.ENOMEM, "getrandom": errno.ENOSYS, "pipe2": errno.EMFILE,
    "fcntl": errno.EMFILE, "listen": errno.EADDRINUSE, "prctl": errno.EPERM, "capset": errno.EPERM,
    "setresuid": errno.EPERM, "setresgid": errno.EPERM, "pidfd_open": errno.EMFILE, "ftruncate": errno.EIO,
    "pwrite64": errno.ENOSPC, "unlink": errno.EPERM,
}
PROBE = ["/bin/sh", "-c", "ip -o address show dev eth0; ip -o route; ip -o -6 route"]
PROOF = (".100/24", "::100/64", "default via 10.", "default via fd00:")


def commands():
    yield "run", ["run", "--", *PROBE], PROOF
    yield "run --name", ["run", "--name", "faulty", "--", *PROBE], PROOF
    yield "run --capture", ["run", "--capture", "/dev/null", "--", *PROBE], PROOF
    yield "run --publish", ["run", "--publish", f"127.0.0.1:{20000 + os.getpid() % 20000}:9/udp", "--", *PROBE], PROOF
    if os.access("/dev/net/tun", os.R_OK | os.W_OK):
        yield "run --nic tap", ["run", "--nic", "tap", "--", *PROBE], PROOF
        yield "vm", ["vm", "--", "/bin/cat", "/proc/self/fdinfo/{fd}"], ("iff:\tnic0",)


def lie(status, said, proofs):
    """What is wrong with an outcome; "" for nothing."""
    ours = [line for line in said.splitlines() if line.startswith(("vnic: ", "  try: "))]
    errors = [line for line in ours if line.startswith("vnic: ") and not line.startswith("vnic: warning: ")]
    if status == 0:
        missing = [proof for proof in proofs if proof not in said]
        return f"status 0, but without {missing}: {said}" if missing and not ours else ""
    if status != 125:
        return f"status {status}: {said}"
    if len(errors) != 1:
        return f"{len(errors)} lines: {said}"
    return ""


class Place:
    def __init__(self):
        self.stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self.output = os.memfd_create("output")
        self.before = world.snapshot()
        self.proofs = ()

    def said(self):
        return os.pread(self.output, 1 << 16, 0).decode(errors="replace")

    def outcome(self, run):
        """Runs it with an empty place for output; what is wrong."""
        os.ftruncate(self.output, 0)
        os.lseek(self.output, 0, os.SEEK_SET)
        try:
            with world.deadline():
                status = run()
            why = lie(status, self.said(), self.proofs)
            if self.before["state"] != world.listing(world.state_dir()):
                world.run("list")
            return why or world.settled(self.before)
        except world.Hang as hang:
            world.kill_all()
            return f"after {world.DEADLINE} s there is still: {hang}; said: {self.said()}"


# --- failing calls -----------------------------------------------------------------------


def plan(place, argv):
    """All calls that can be made to fail: after the dynamic linker's last act in the program itself."""
    calls, linked = [], []

    def note(call):
        if call.process == 0 and not linked:
            linked.extend([call] if call.name == "munmap" else [])
        elif call.name in FAULTS:
            calls.append(call)

    run = tracer.Tracer(note)
    run.wants_comm = True
    why = place.outcome(lambda: run.run(argv, place.stdin, place.output))
    assert not why, f"undisturbed: {why}"
    return calls


def fail_one(place, argv, wanted):
    """Makes one call fail; what is wrong."""
    run = tracer.Tracer(lambda call: FAULTS[wanted.name]
                        if (call.process, call.name, call.nth) == (wanted.process, wanted.name, wanted.nth) else None)
    return run, place.outcome(lambda: run.run(argv, place.stdin, place.output))


def every_call(results, place, text, argv, step):
    counts, faults = {}, []
    for wanted in plan(place, argv)[random.randrange(step)::step]:
        run, why = fail_one(place, argv, wanted)
        if run.acted is None:
            continue  # in another order this time
        counts[wanted.name] = counts.get(wanted.name, 0) + 1
        if why:
            faults.append(f"{wanted} = {errno.errorcode[FAULTS[wanted.name]]}: {why}")
    results.add(not faults, f"{text}: {sum(counts.values())} calls that fail, each with one clear line or none needed",
                "\n".join(faults))
    results.note(" ".join(f"{name}:{count}" for name, count in sorted(counts.items())))


# --- low limits --------------------------------------------------------------------------


def limited(place, argv, limit, value):
    """Runs it below a limit; its exit status."""
    pid = os.fork()
    if pid == 0:
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.dup2(place.stdin, 0)
        os.dup2(place.output, 1)
        os.dup2(place.output, 2)
        os.closerange(3, 1 << 10)
        resource.setrlimit(limit, (value, resource.getrlimit(limit)[1] if limit != resource.RLIMIT_NPROC else value))
        os.execv(argv[0], argv)
    return world.exit_status(os.waitpid(pid, 0)[1])


def processes_of_user():
    return sum(os.stat(f"/proc/{name}").st_uid == os.getuid() for name in os.listdir("/proc")
               if name.isdigit() and os.path.exists(f"/proc/{name}"))


def low_limits(results, place, text, argv, step):
    """Below what the dynamic linker and the probe need nothing can be said: from the lowest at which --version works."""
    table = [("descriptors", resource.RLIMIT_NOFILE, range(3, 40)),
             ("bytes of memory", resource.RLIMIT_AS, range(1 << 20, 24 << 20, 1 << 19))]
    if os.getuid() != 0:  # root has no limit of processes
        running = processes_of_user()
        table.append(("processes", resource.RLIMIT_NPROC, range(running, running + 12)))
    for what, limit, values in table:
        faults, statuses, works = [], {}, False
        for value in values[::step] if limit != resource.RLIMIT_NPROC else values:
            if not works:
                os.ftruncate(place.output, 0)
                works = limited(place, [world.VNIC, "--version"], limit, value) == 0
                continue
            status = []
            why = place.outcome(lambda value=value: status.append(limited(place, argv, limit, value)) or status[0])
            outcome = status[0] if status else "hang"
            statuses[outcome] = statuses.get(outcome, 0) + 1
            if why and not probe_failed(outcome, place.said()):
                faults.append(f"{value} {what}: {why}")
        results.add(not faults, f"{text}: {sum(statuses.values())} limits of {what}", "\n".join(faults))
        results.note("status: " + ", ".join(f"{count} times {status}" for status, count in statuses.items()))


def probe_failed(status, said):
    """Has the probe itself run into the limit?  It is a shell, and shells and ip(8) say so."""
    return status not in (125, 139, "hang") and said != "" and "vnic: " not in said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="not all calls and limits, but every Nth")
    parser.add_argument("--only", default="", help="commands with this text in them")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    random.seed(args.seed)
    world.enter()
    results = world.Results()
    results.note(f"seed {args.seed}")
    place = Place()
    for text, argv, place.proofs in commands():
        argv = [world.VNIC, *argv]
        if args.only not in text:
            continue
        if tracer.supported:
            every_call(results, place, text, argv, args.every)
        low_limits(results, place, text, argv, args.every)
    results.end()


if __name__ == "__main__":
    main()
