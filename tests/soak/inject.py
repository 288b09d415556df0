#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""inject.py: every system call of every verb fails once with each errno it can have, and every limit is too low once.

For each verb of verbs.py, each process of vnic in it and each of its calls of a kind below, one run for each errno.
Either the verb works all the same, or it ends with its documented status within five seconds and says why in one line
(and a remedy); nothing is left in either case.  The same with low limits of descriptors, processes and memory.
Results as TAP, with the number of faults.

SOAK_DEADLINE gives more than five seconds, for a machine that has much else to do.
"""
import argparse
import errno
import os
import random
import re
import resource
import signal

import tracer
import verbs
import world

# What section 2 of the manual has for a call.  EINTR only where it comes without a signal that is caught; of EAGAIN, what
# a call on a blocking descriptor may say.
FAULTS = {
    name: [getattr(errno, code) for code in codes.split()]
    for names, codes in {
        "socket": "EMFILE ENFILE ENOBUFS EACCES EAFNOSUPPORT EPROTONOSUPPORT",
        "socketpair pipe2": "EMFILE ENFILE",
        "eventfd2 signalfd4 timerfd_create memfd_create": "EMFILE ENFILE ENOMEM",
        "epoll_create1": "EMFILE ENFILE ENOMEM",
        "epoll_ctl": "ENOSPC ENOMEM",
        "openat": "EMFILE ENFILE EACCES ENOENT ENOMEM EROFS ENOSPC",
        "mkdir": "EACCES ENOSPC EROFS",
        "unlink": "EPERM EROFS EBUSY",
        "read pread64": "EIO",
        "write pwrite64": "EIO ENOSPC EPERM",
        "writev": "EIO ENOSPC",
        "ftruncate": "EIO EPERM",
        "getdents64": "ENOENT ENOMEM",
        "newfstatat statx fstat": "EACCES ENOMEM",
        "readlink readlinkat": "EACCES ENOENT ENOMEM",
        "sendto sendmsg sendmmsg": "ENOBUFS ENOMEM EPERM",
        "recvmsg recvfrom recvmmsg": "ENOMEM ENOBUFS",
        "connect": "EACCES ECONNREFUSED ETIMEDOUT ENETUNREACH EADDRNOTAVAIL",
        "bind": "EADDRINUSE EACCES EADDRNOTAVAIL ENOMEM",
        "listen": "EADDRINUSE",
        "accept4": "EMFILE ENFILE ECONNABORTED ENOBUFS",
        "setsockopt": "ENOPROTOOPT EPERM ENOMEM ENOBUFS",
        "getsockopt getsockname": "EACCES ENOBUFS",
        "ioctl": "EPERM EINVAL EBUSY ENOTTY",
        "fcntl": "EMFILE",  # of F_DUPFD: see can_fail
        "dup dup2 dup3": "EMFILE",
        "clone clone3 vfork fork": "EAGAIN ENOMEM EPERM ENOSPC",
        "unshare": "ENOSPC EPERM ENOMEM",
        "setns": "EPERM ENOMEM EINVAL",
        "mount": "EPERM EBUSY ENOMEM EACCES ENODEV",
        "umount2": "EPERM EBUSY",
        "open_tree move_mount mount_setattr": "EPERM ENOMEM ENOSYS",
        "pivot_root chroot chdir fchdir": "EPERM EACCES ENOMEM",
        "sethostname setsid": "EPERM",
        "prctl": "EPERM EINVAL",
        "seccomp": "EINVAL ENOMEM EACCES",
        "landlock_create_ruleset landlock_add_rule landlock_restrict_self": "ENOSYS EOPNOTSUPP ENOMEM",
        "capset capget setgroups": "EPERM",
        "setresuid setresgid": "EPERM EAGAIN",
        "setrlimit prlimit64": "EPERM",
        "pidfd_open": "EMFILE ENFILE ENOMEM ESRCH",
        "pidfd_send_signal": "EPERM ESRCH",
        "mmap": "ENOMEM EAGAIN",
        "mremap mprotect": "ENOMEM",
        "getrandom": "ENOSYS",
        "io_uring_setup": "ENOSYS EPERM ENOMEM",
        "poll ppoll epoll_wait epoll_pwait": "EINTR",
        "execve": "EACCES ENOENT ENOMEM E2BIG",
    }.items() for name in names.split()
}  # fmt: skip
F_DUPFD, F_DUPFD_CLOEXEC = 0, 1030
HIDDEN = (errno.ENOENT, errno.ESRCH, errno.EACCES, errno.EPERM)


def can_fail(call):
    return call.name in FAULTS and (call.name != "fcntl" or call.args[1] in (F_DUPFD, F_DUPFD_CLOEXEC))


def lie(verb, status, said, fault="", code=0):
    """What is wrong with an outcome; "" for nothing.  A list shows what is there and may be seen."""
    errors = [line for line in said.splitlines() if line.startswith("vnic: ") and not line.startswith("vnic: warning: ")]
    warned = "vnic: warning: " in said
    if status == 0:
        missing = [proof for proof in verb.proofs if proof not in said]
        told = errors or warned or ("list" in verb.text and code in HIDDEN)
        return f"status 0, but without {missing}: {said}" if missing and not told else ""
    if verb.reports and status == 1 and all(proof in said for proof in verb.proofs):
        return ""
    if status not in verb.statuses and not (verb.own_status and fault == "execve" and status in (126, 127)):
        return f"status {status}: {said}"
    errors = [line for line in errors if line.startswith("vnic: cannot ")]
    if len(errors) != 1:
        return f"{len(errors)} lines, status {status}: {said}"
    return ""


class Place(verbs.Place):
    def outcome(self, verb, run, fault="", code=0):
        """Runs it with an empty place for output; what is wrong.  `fault`: of this call; None: undisturbed."""
        self.forget()
        verb.prepare()
        try:
            with world.deadline():
                status = run()
            why = lie(verb, status, self.said(), fault, code)
            if fault is None and status != 0 and not verb.reports:
                why = f"status {status}: {self.said()}"
            verb.mend(status)
            if fault == "unlink":
                self.remove_sockets()  # the next relay does it
            return why or self.settled()
        except world.Hang as hang:
            self.remove_rest()
            return f"after {world.DEADLINE} s there is still: {hang}; said: {self.said()}"
        except AssertionError as error:
            self.remove_rest()
            return f"{error}; said: {self.said()}"


# --- failing calls -----------------------------------------------------------------------


class Fault:
    """
    Visits the calls of one run, makes one of them fail, and ends a verb that would run for ever at its first wait.
    All is noted that comes after the dynamic linker's last act in the program itself.
    """

    def __init__(self, verb, wanted=None, code=0):
        self.verb, self.wanted, self.code, self.calls, self.linked = verb, wanted, code, [], False
        self.waits = verb.loops
        self.tracer = tracer.Tracer(self.visit)
        self.tracer.wants_comm = wanted is None

    def visit(self, call):
        answer = None
        if call.process == 0 and not self.linked:
            self.linked = call.name == "munmap"
        elif can_fail(call):
            self.calls.append(call)
        if self.wanted and (call.process, call.name, call.nth) == (
                self.wanted.process, self.wanted.name, self.wanted.nth) and not self.tracer.acted:  # fmt: skip
            answer = self.code
        elif self.waits and call.name in tracer.WAITS and call.process == 0:
            answer, self.waits = tracer.TERMINATE, False
        if self.wanted and not self.waits and (answer == self.code or self.tracer.acted):
            self.tracer.done = True
        return answer

    def run(self, place):
        return place.outcome(self.verb, lambda: self.tracer.run(self.verb.argv, place.stdin, place.output, self.verb.lasting),
                             self.wanted.name if self.wanted else None, self.code)


def every_call(results, place, verb, step):
    plan = Fault(verb)
    why = plan.run(place)
    if why:
        results.add(False, f"{verb.text}: undisturbed", why)
        return 0
    counts, faults, missed = {}, [], 0
    todo = [(call, code) for call in plan.calls for code in FAULTS[call.name]]
    for wanted, code in todo[random.randrange(step)::step]:
        fault = Fault(verb, wanted, code)
        why = fault.run(place)
        if fault.tracer.acted is None:
            missed += 1  # in another order this time
            continue
        counts[wanted.name] = counts.get(wanted.name, 0) + 1
        if why:
            faults.append(f"{wanted} = {errno.errorcode[code]}: {why}")
    total = sum(counts.values())
    results.add(not faults, f"{verb.text}: {total} faults, each with one clear line or none needed", "\n".join(faults))
    results.note(f"{missed} were not met again; " + " ".join(f"{name}:{count}" for name, count in sorted(counts.items())))
    return total


# --- low limits --------------------------------------------------------------------------


def limited(place, argv, limit, value):
    """Runs it below a limit; its exit status."""
    pid = os.fork()
    if pid == 0:
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.dup2(place.stdin, 0)
        os.dup2(place.output, 1)
        os.dup2(place.output, 2)
        if f"fd:{place.fd.fileno()}" not in argv:
            os.closerange(3, 1 << 10)
        resource.setrlimit(limit, (value, resource.getrlimit(limit)[1] if limit != resource.RLIMIT_NPROC else value))
        os.execv(argv[0], argv)
    return world.exit_status(os.waitpid(pid, 0)[1])


def processes_of_user():
    return sum(os.stat(f"/proc/{name}").st_uid == os.getuid() for name in os.listdir("/proc")
               if name.isdigit() and os.path.exists(f"/proc/{name}"))


def low_limits(results, place, verb, step):
    """Below what the dynamic linker and the probe need nothing can be said: from the lowest at which --version works."""
    table = [("descriptors", resource.RLIMIT_NOFILE, range(3, 40)),
             ("bytes of memory", resource.RLIMIT_AS, range(1 << 20, 24 << 20, 1 << 19))]
    total = 0
    if os.getuid() != 0:  # root has no limit of processes
        running = processes_of_user()
        table.append(("processes", resource.RLIMIT_NPROC, range(running, running + 12)))
    for what, limit, values in table:
        faults, statuses, works = [], {}, False
        for value in values[::step] if limit != resource.RLIMIT_NPROC else values:
            if not works:
                place.forget()
                works = limited(place, [world.VNIC, "--version"], limit, value) == 0
                continue
            status = []
            why = place.outcome(verb, lambda value=value: status.append(limited(place, verb.argv, limit, value)) or status[0])
            outcome = status[0] if status else "hang"
            statuses[outcome] = statuses.get(outcome, 0) + 1
            if why and not probe_failed(outcome, place.said()):
                faults.append(f"{value} {what}: {why}")
        results.add(not faults, f"{verb.text}: {sum(statuses.values())} limits of {what}", "\n".join(faults))
        results.note("status: " + ", ".join(f"{count} times {status}" for status, count in statuses.items()))
        total += sum(statuses.values())
    return total


def probe_failed(status, said):
    """Has the probe itself run into the limit?  It is a shell, and shells and ip(8) say so."""
    return status not in (125, 139, "hang") and said != "" and "vnic: " not in said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="not all faults and limits, but every Nth")
    parser.add_argument("--only", default="", help="verbs that match this regular expression")
    parser.add_argument("--no-limits", action="store_true", help="failing calls only")
    parser.add_argument("--no-calls", action="store_true", help="limits only")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    random.seed(args.seed)
    world.enter()
    results = world.Results()
    results.note(f"seed {args.seed}")
    place, calls, limits = Place(), 0, 0
    for verb in verbs.verbs(place):
        if not re.search(args.only, verb.text):
            continue
        if tracer.supported and not args.no_calls:
            calls += every_call(results, place, verb, args.every)
        if not args.no_limits and not verb.loops:
            limits += low_limits(results, place, verb, args.every)
    place.close()
    results.note(f"{calls} faults and {limits} limits in all")
    results.end()


if __name__ == "__main__":
    main()
