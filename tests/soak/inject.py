#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""inject.py: every system call of every verb fails once with each errno it can have, and every limit is too low once.

For each verb of verbs.py, each process of vnic in it and each of its calls of a kind below, one run for each errno.
Either the verb works all the same, or it ends with its documented status within five seconds and says why in one line
(and a remedy); nothing is left in either case, and no process dies of a fault of its own.  The same with low limits of
descriptors, processes and memory.  Results as TAP, with the number of faults.

SOAK_DEADLINE gives more than five seconds, for a machine that has much else to do.
"""
import argparse
import errno
import os
import random
import re
import resource

import tracer
import verbs
import workers
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
        "read pread64 readv": "EIO",
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
        "flock": "ENOLCK",
        "access faccessat2": "EACCES ENOENT ENOMEM",
        "statfs fstatfs": "EIO ENOMEM",
        "mkdirat fchmod fchmodat fchmodat2": "EACCES EPERM ENOSPC",
        "splice sendfile": "ENOMEM EINVAL",
        "sched_getaffinity": "EINVAL",
        "getpeername": "ENOTCONN ENOBUFS",
        "dup dup2 dup3": "EMFILE",
        "clone clone3 vfork fork": "EAGAIN ENOMEM EPERM ENOSPC",
        "unshare": "ENOSPC EPERM ENOMEM",
        "setns": "EPERM ENOMEM EINVAL",
        "mount": "EPERM EBUSY ENOMEM EACCES ENODEV",
        "umount2": "EPERM EBUSY",
        "open_tree move_mount mount_setattr fsopen fsconfig fsmount": "EPERM ENOMEM ENOSYS",
        "pivot_root chroot chdir fchdir": "EPERM EACCES ENOMEM",
        "sethostname setsid": "EPERM",
        "prctl": "EPERM EINVAL",
        "seccomp": "EINVAL ENOMEM EACCES",
        "landlock_create_ruleset landlock_add_rule landlock_restrict_self": "ENOSYS EOPNOTSUPP ENOMEM",
        "capset capget setgroups": "EPERM",
        "setresuid setresgid": "EPERM EAGAIN",
        "setrlimit prlimit64": "EPERM",
        "pidfd_open": "EMFILE ENFILE ENOMEM ESRCH",
        "getcwd": "EACCES ENOENT ENOMEM",
        "pidfd_getfd": "EMFILE ENFILE EPERM ESRCH EBADF",
        "pidfd_send_signal": "EPERM",  # ESRCH of a process that lives the kernel does not say
        "mmap": "ENOMEM EAGAIN",
        "mremap mprotect": "ENOMEM",
        "getcwd": "ENOENT ENOMEM",
        "getrandom": "ENOSYS",
        "io_uring_setup": "ENOSYS EPERM ENOMEM",
        "poll ppoll epoll_wait epoll_pwait": "EINTR",
        "execve": "EACCES ENOENT ENOMEM E2BIG",
    }.items() for name in names.split()
}  # fmt: skip
F_DUPFD, F_SETLK, F_SETLKW, F_DUPFD_CLOEXEC, F_SETPIPE_SZ = 0, 6, 7, 1030, 1031
F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW = 36, 37, 38
FCNTL = dict.fromkeys((F_DUPFD, F_DUPFD_CLOEXEC), [errno.EMFILE])
FCNTL |= dict.fromkeys((F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW), [errno.ENOLCK, errno.ENOMEM])
FCNTL |= {F_SETPIPE_SZ: [errno.EPERM, errno.ENOMEM]}
# Those that cannot fail, or only by a mistake of the caller's, or fail after they have done their work (close); and brk,
# which has no errno.  What is in neither table the test does not know.
CERTAIN = set("""
    alarm arch_prctl brk clock_gettime clock_nanosleep close close_range exit exit_group futex getegid geteuid getgid getgroups
    getpgid getpgrp getpid getppid getresgid getresuid getrlimit getsid gettid getuid io_uring_enter io_uring_register kill
    lseek madvise munmap nanosleep restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn
    rt_sigsuspend rt_sigtimedwait sched_getattr sched_setaffinity sched_setattr sched_yield set_robust_list set_tid_address setpgid shutdown sigaltstack
    sysinfo tgkill timerfd_gettime timerfd_settime umask uname wait4 waitid
    """.split())
HIDDEN = (errno.ENOENT, errno.ESRCH, errno.EACCES, errno.EPERM)


def faults_of(verb, call):
    if call.name == "fcntl":
        return FCNTL.get(call.args[1], [])
    if call.name == "write" and call.args[2] == 8:
        return []  # an eventfd, which can only be full
    if verb.lasting and call.name in ("access", "openat"):
        # Who is told that a directory or a name is not there rightly takes another or has nothing to do.
        return [code for code in FAULTS[call.name] if code not in HIDDEN]
    return FAULTS.get(call.name, [])


def lie(verb, status, said, fault="", code=0):
    """What is wrong with an outcome; "" for nothing.  A list shows what is there and may be seen."""
    errors = re.findall(r"vnic: (?!warning: )[^\n]*", said)  # perhaps behind what is no text
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
    def outcome(self, verb, run, fault="", code=0, excuse=None):
        """
        Runs it by a Tracer with an empty place for output; what is wrong.  `fault`: of this call; None: undisturbed.
        `excuse`: whether status and words are not vnic's.  All must have happened in time, what comes after the end too.
        """
        self.forget()
        self.status, why = "hang", []
        try:
            verb.prepare()
            with world.deadline():
                self.status = run.run(verb.argv, self.stdin, self.output, verb.lasting)
                why += run.crashes
                if not (excuse and excuse(self.status, self.said())):
                    why.append(lie(verb, self.status, self.said(), fault, code))
                if fault is None and self.status != 0 and not verb.reports:
                    why.append(f"status {self.status}: {self.said()}")
                verb.mend(self.status)
                if fault is None and getattr(verb, "blocks", 2) < 2:
                    why.append("the capture is empty")
                if fault == "unlink":
                    self.remove_sockets()  # the next relay does it
                why.append(self.settled())
        except world.Hang as hang:
            why.append(f"after {world.DEADLINE} s there is still: {hang}; said: {self.said()}")
        except AssertionError as error:
            why.append(f"{error}; said: {self.said()}")
        if any(why):
            self.start_over()
        return "; ".join(filter(None, why))


class Log:
    """What was said after each fault, for readers: does it help who reads only that?"""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644) if path else -1

    def write(self, verb, wanted, code, place):
        said = " | ".join(re.findall(r"vnic: [^\n]*(?:\n  [^\n]*)*", place.said())).replace("\n", " | ")
        if self.fd >= 0 and (said or place.status != 0):
            os.write(self.fd, f"{verb.text}: {wanted} = {errno.errorcode[code]}: {place.status}: {said}\n".encode())


# --- failing calls -----------------------------------------------------------------------


class Fault:
    """
    Visits the calls of one run, makes one of them fail, and ends a verb that would run for ever at its first wait.
    All is noted that comes after the dynamic linker's last act in the program itself.
    """

    def __init__(self, verb, wanted=None, code=0):
        self.verb, self.wanted, self.code, self.calls, self.linked = verb, wanted, code, [], False
        self.waits, self.unknown = verb.loops, set()
        ends = {tracer.PROGRAM} if verb.loops else set()
        self.tracer = tracer.Tracer(self.visit, {wanted.process} | ends if wanted else None)
        self.tracer.wants_comm = wanted is None

    def visit(self, call):
        answer = None
        if not self.wanted:
            self.note(call)
        elif not self.tracer.acted and (call.process, call.name, call.nth) == (
                self.wanted.process, self.wanted.name, self.wanted.nth):  # fmt: skip
            answer = self.code
        if answer is None and self.waits and call.name in tracer.WAITS and call.process == tracer.PROGRAM:
            answer, self.waits = tracer.TERMINATE, False
        if self.wanted and not self.waits and (answer == self.code or self.tracer.acted):
            self.tracer.done = True
        return answer

    def note(self, call):
        if call.process == tracer.PROGRAM and not self.linked:
            self.linked = call.name == "munmap"
        elif faults_of(self.verb, call):
            self.calls.append(call)
        elif call.name not in FAULTS and call.name not in CERTAIN and call.name != "fcntl":
            self.unknown.add(call.name)

    def run(self, place):
        return place.outcome(self.verb, self.tracer, self.wanted.name if self.wanted else None, self.code)


def every_call(report, place, verb, step, log):
    plan = Fault(verb)
    why = plan.run(place)
    report.add(plan.calls and not why, f"{verb.text}: undisturbed", why)
    if plan.unknown:  # elsewhere a C library may make other calls
        report.note(f"calls that the test does not know: {' '.join(sorted(plan.unknown))}")
    if why:
        return
    counts, faults, missed = {}, [], 0
    todo = [(call, code) for call in plan.calls for code in faults_of(verb, call)]
    for wanted, code in todo[random.randrange(step)::step]:
        fault = Fault(verb, wanted, code)
        why = fault.run(place)
        if fault.tracer.acted is None:
            missed += 1  # in another order this time
            if why:
                faults.append(f"without {wanted}: {why}")
            continue
        counts[wanted.name] = counts.get(wanted.name, 0) + 1
        log.write(verb, wanted, code, place)
        if why:
            faults.append(f"{wanted} = {errno.errorcode[code]}: {why}")
    total = sum(counts.values())
    report.add(not faults, f"{verb.text}: {total} faults, each with one clear line or none needed", "\n".join(faults))
    report.note(f"{missed} were not met again; " + " ".join(f"{name}:{count}" for name, count in sorted(counts.items())))
    report.count(faults=total, missed=missed)


# --- low limits --------------------------------------------------------------------------


class Limited:
    """Runs a verb below a limit."""

    def __init__(self, limit, value):
        hard = value if limit == resource.RLIMIT_NPROC else resource.getrlimit(limit)[1]
        self.limit, self.tracer = (limit, (value, hard)), tracer.Tracer(None)
        self.tracer.done = True

    def run(self, argv, stdin, output, let_go=False):
        return self.tracer.run(argv, stdin, output, let_go, self.limit)

    @property
    def crashes(self):
        return self.tracer.crashes


def processes_of_user():
    count = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            count += os.stat(f"/proc/{name}").st_uid == os.getuid()
        except FileNotFoundError:
            pass
    return count


def low_limits(report, place, verb, step):
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
                place.forget()
                works = Limited(limit, value).run([world.VNIC, "--version"], place.stdin, place.output) == 0
                continue
            why = place.outcome(verb, Limited(limit, value), excuse=probe_failed)
            statuses[place.status] = statuses.get(place.status, 0) + 1
            if why:
                faults.append(f"{value} {what}: {why}")
        total = sum(statuses.values())
        report.add(not faults, f"{verb.text}: {total} limits of {what}", "\n".join(faults))
        report.note("status: " + ", ".join(f"{count} times {status}" for status, count in statuses.items()))
        report.count(limits=total)


def probe_failed(status, said):
    """Has the probe itself run into the limit?  It is a shell, and shells and ip(8) say so."""
    return status != 125 and status < 128 and said != "" and not re.search("vnic: (?!warning: )", said)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="not all faults and limits, but every Nth")
    parser.add_argument("--only", default="", help="verbs that match this regular expression")
    parser.add_argument("--no-limits", action="store_true", help="failing calls only")
    parser.add_argument("--no-calls", action="store_true", help="limits only")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="so many at a time, each in a place of its own")
    parser.add_argument("--log", metavar="FILE", help="append what vnic said after each fault")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    results = world.Results()
    results.note(f"seed {args.seed}")

    def torture(work):
        log, place = Log(args.log), Place()
        chosen = [verb for verb in verbs.verbs(place) if re.search(args.only, verb.text)]
        for verb, report in work.take(chosen):
            random.seed(f"{args.seed} {verb.text}")
            report.count(verbs=1)
            if tracer.supported and not args.no_calls:
                every_call(report, place, verb, args.every, log)
            if not args.no_limits and not verb.loops and verb.limits:
                low_limits(report, place, verb, args.every)
        place.close()

    sums = workers.share(args.workers, torture, results)
    results.note(f"{sums.get('faults', 0)} faults, {sums.get('missed', 0)} more that were not met again, and "
                 f"{sums.get('limits', 0)} limits of {sums.get('verbs', 0)} verbs in all")
    results.end()


if __name__ == "__main__":
    main()
