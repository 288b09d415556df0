# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a program under ptrace(2) and lets a visitor intervene at each system call of each of its processes.

The program itself is process "0", its second child "0.2", and so on: an order that does not depend on who is faster.  A
process that executes something else is no longer of interest.  The visitor is called at the entry of a call with a Call
and answers None (go on), KILL, TERMINATE (it gets a SIGTERM), or an errno with which the call shall fail without being
made.

Calls of processes that are not in `only` (None: all are) are not stopped at, nor any call when the visitor has set
`done`: then births and deaths alone are seen, at hardly any cost.  Whoever dies of a fault of its own is in `crashes`.

A newborn may stop for the first time before its maker has told of it, and is kept there, for until then it has no
number.  The kernel lets nothing come between a birth and its telling but SIGKILL, after which nobody tells.  So a
newborn whom nobody can have made any more, since all others have stopped for something else, fallen asleep or ended
meanwhile, is let go as "?".  (Its parent is not asked for: with CLONE_PARENT that is not who made it, and when that one
has ended it is another.)  On a busy machine all the others may have ended before it comes to its first stop, so who has
us for its tracer is looked for in /proc then.
"""
import ctypes
import os
import platform
import resource
import signal
import struct
import threading

import world

TRACEME, CONT, SYSCALL, GETREGS, SETREGS = 0, 7, 24, 12, 13
DETACH, SETOPTIONS, GETEVENTMSG, GET_SYSCALL_INFO = 17, 0x4200, 0x4201, 0x420E
SYSGOOD, FORK, VFORK, CLONE, EXEC, EXITKILL = 1, 2, 4, 8, 16, 1 << 20
EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC = 1, 2, 3, 4
ENTRY, EXIT = 1, 2
REGS, RAX, ORIG_RAX = 27, 10, 15  # struct user_regs_struct of x86-64, in longs
KILL, TERMINATE = "kill", "terminate"

NAMES = {0: "read", 1: "write", 2: "open", 3: "close", 4: "stat", 5: "fstat", 6: "lstat", 7: "poll", 8: "lseek",
         9: "mmap", 10: "mprotect", 11: "munmap", 12: "brk", 13: "rt_sigaction", 14: "rt_sigprocmask",
         15: "rt_sigreturn", 16: "ioctl", 17: "pread64", 18: "pwrite64", 19: "readv", 20: "writev", 21: "access",
         24: "sched_yield", 25: "mremap", 28: "madvise", 32: "dup", 33: "dup2", 35: "nanosleep", 37: "alarm",
         39: "getpid", 40: "sendfile", 41: "socket", 42: "connect", 43: "accept", 44: "sendto", 45: "recvfrom",
         46: "sendmsg", 47: "recvmsg", 48: "shutdown", 49: "bind", 50: "listen", 51: "getsockname",
         52: "getpeername", 53: "socketpair", 54: "setsockopt", 55: "getsockopt", 56: "clone", 57: "fork",
         58: "vfork", 59: "execve", 60: "exit", 61: "wait4", 62: "kill", 63: "uname", 72: "fcntl", 73: "flock",
         74: "fsync", 77: "ftruncate", 79: "getcwd", 80: "chdir", 81: "fchdir", 82: "rename", 83: "mkdir", 86: "link",
         87: "unlink", 88: "symlink", 89: "readlink", 90: "chmod", 91: "fchmod", 92: "chown", 93: "fchown",
         95: "umask", 97: "getrlimit", 99: "sysinfo", 102: "getuid", 104: "getgid", 107: "geteuid", 108: "getegid",
         109: "setpgid", 110: "getppid", 111: "getpgrp", 112: "setsid", 115: "getgroups", 116: "setgroups",
         117: "setresuid", 118: "getresuid", 119: "setresgid", 120: "getresgid", 121: "getpgid", 124: "getsid",
         125: "capget", 126: "capset", 127: "rt_sigpending", 128: "rt_sigtimedwait", 130: "rt_sigsuspend",
         131: "sigaltstack", 137: "statfs", 138: "fstatfs", 155: "pivot_root", 157: "prctl", 158: "arch_prctl",
         160: "setrlimit", 161: "chroot", 165: "mount", 166: "umount2", 170: "sethostname", 186: "gettid",
         202: "futex", 203: "sched_setaffinity", 204: "sched_getaffinity", 217: "getdents64", 218: "set_tid_address",
         219: "restart_syscall", 228: "clock_gettime", 230: "clock_nanosleep", 231: "exit_group", 232: "epoll_wait",
         233: "epoll_ctl", 234: "tgkill", 247: "waitid", 257: "openat", 258: "mkdirat", 259: "mknodat",
         262: "newfstatat", 263: "unlinkat", 264: "renameat", 266: "symlinkat", 267: "readlinkat", 268: "fchmodat",
         269: "faccessat", 271: "ppoll", 272: "unshare", 273: "set_robust_list", 275: "splice", 281: "epoll_pwait",
         282: "signalfd", 283: "timerfd_create", 285: "fallocate", 286: "timerfd_settime", 287: "timerfd_gettime",
         288: "accept4", 289: "signalfd4", 290: "eventfd2", 291: "epoll_create1", 292: "dup3", 293: "pipe2",
         299: "recvmmsg", 302: "prlimit64", 307: "sendmmsg", 308: "setns", 314: "sched_setattr",
         315: "sched_getattr", 317: "seccomp", 318: "getrandom", 319: "memfd_create", 332: "statx", 334: "rseq",
         424: "pidfd_send_signal", 425: "io_uring_setup", 426: "io_uring_enter", 427: "io_uring_register",
         428: "open_tree", 429: "move_mount", 430: "fsopen", 431: "fsconfig", 432: "fsmount", 434: "pidfd_open",
         435: "clone3", 436: "close_range", 437: "openat2", 438: "pidfd_getfd", 439: "faccessat2",
         441: "epoll_pwait2", 442: "mount_setattr", 444: "landlock_create_ruleset", 445: "landlock_add_rule",
         446: "landlock_restrict_self", 452: "fchmodat2"}  # of x86-64
PROGRAM = "0"
WAITS = ("epoll_wait", "epoll_pwait")  # of what has begun
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS)
supported = platform.machine() == "x86_64"


def ptrace(request, pid, address=0, data=0):
    libc = world.libc
    libc.ptrace.restype = ctypes.c_long
    result = libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(address), ctypes.c_void_p(data))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")
    return result


class Call:
    """A system call: in which `process`, `number` of the call in its process, `name`, `nth` call of that name, `args`."""

    def __init__(self, process, comm, number, name, nth, args):
        self.process, self.comm, self.number, self.name, self.nth, self.args = process, comm, number, name, nth, args

    def __str__(self):
        return f"{self.comm}[{self.process}] {self.name} #{self.nth}"


class Tracee:
    def __init__(self, index):
        self.index, self.births, self.started, self.foreign = index, 0, False, False
        self.calls, self.by_name, self.fail = 0, {}, None


class Tracer:
    wants_comm = done = False

    def __init__(self, visit, only=None):
        self.visit, self.only = visit, only
        self.tracees, self.gone, self.acted, self.crashes = {}, set(), None, []
        self.unborn = {}  # who stopped before its maker told: who may still tell
        self.letting_go = False

    def run(self, argv, stdin=None, output=None, let_go=False, limit=None):
        """
        Until the program and all its processes have ended; with let_go, until the program has ended and the others
        run untraced.  `limit`: a resource and its soft and hard value.  Returns the program's exit status.
        """
        pid = os.fork()
        if pid == 0:
            for fd in ([0] if stdin is not None else []):
                os.dup2(stdin, fd)
            for fd in ([1, 2] if output is not None else []):
                os.dup2(output, fd)
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            ptrace(TRACEME, 0)
            try:
                if limit:
                    resource.setrlimit(*limit)
                os.execv(argv[0], argv)
            finally:
                os._exit(255)
        status = os.waitpid(pid, 0)[1]
        if not os.WIFSTOPPED(status):
            return world.exit_status(status)  # a limit keeps it from being executed
        ptrace(SETOPTIONS, pid, 0, SYSGOOD | FORK | VFORK | CLONE | EXEC | EXITKILL)
        self.tracees[pid] = Tracee(PROGRAM)
        self.tracees[pid].started = True
        self.resume(pid, self.tracees[pid])
        result = None
        while self.tracees or self.unborn or self.has_unseen():
            try:
                stopped, status = self.wait()
            except ChildProcessError:
                break  # one was killed before we saw it
            if os.WIFSTOPPED(status):
                self.go_on(stopped, status)
            else:
                self.unborn.pop(stopped, None)
                self.gone.add(stopped)
                self.ended(self.tracees.pop(stopped, None), status)
            self.cannot_tell(stopped)
            if stopped == pid and not os.WIFSTOPPED(status):
                result, self.letting_go = world.exit_status(status), let_go
                self.stop_all()
        return result

    def wait(self):
        """For the next that stops or ends.  While there is a newborn of nobody we ask, for who falls asleep does not tell."""
        while self.unborn:
            found = os.waitpid(-1, world.WALL | os.WNOHANG)
            if found[0]:
                return found
            for pid in set().union(*self.unborn.values()):
                if world.state(pid) not in "Rt":
                    self.cannot_tell(pid)
            os.sched_yield()
        return os.waitpid(-1, world.WALL)

    def cannot_tell(self, pid):
        """It has made none of those who are unborn."""
        for child, makers in tuple(self.unborn.items()):
            makers.discard(pid)
            if not makers:
                self.born(child, "?")

    @staticmethod
    def has_unseen():
        """Is there a newborn of whom nobody told and who has not stopped yet?"""
        us = f"\nTracerPid:\t{threading.get_native_id()}\n"
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
                    if us in file.read():
                        return True
            except OSError:
                pass  # it has ended
        return False

    def stop_all(self):
        """To be let go.  Who has not started yet will stop without it."""
        for pid, tracee in self.tracees.items() if self.letting_go else ():
            if tracee.started:
                world.libc.tgkill(world.process_of(pid), pid, signal.SIGSTOP)

    def ended(self, tracee, status):
        if tracee and not tracee.foreign and os.WIFSIGNALED(status) and os.WTERMSIG(status) in CRASHES:
            self.crashes.append(f"process {tracee.index} died of {signal.Signals(os.WTERMSIG(status)).name}")

    def resume(self, pid, tracee, deliver=0):
        follow = not self.done and (self.only is None or tracee.index in self.only)
        ptrace(SYSCALL if follow or tracee.fail else CONT, pid, 0, deliver)

    def go_on(self, pid, status):
        tracee = self.tracees.get(pid)
        stop, event, deliver = os.WSTOPSIG(status), status >> 16, 0
        if not tracee:
            self.unborn[pid] = {maker for maker, other in self.tracees.items() if not other.foreign}
            if self.done:
                self.born(pid, "?")
            return
        try:
            if self.letting_go and stop == signal.SIGSTOP and not event:
                self.let_go(pid)
                return
            if stop == signal.SIGTRAP | 0x80:
                self.at_call(pid, tracee)
            elif event == EVENT_EXEC:
                ptrace(DETACH, pid)
                tracee.foreign = True
                if tracee.index != PROGRAM:  # whose end is waited for, whatever it is by then
                    self.tracees.pop(pid)
                    self.gone.add(pid)
                return
            elif event in (EVENT_FORK, EVENT_VFORK, EVENT_CLONE):
                child = ctypes.c_ulong()
                ptrace(GETEVENTMSG, pid, 0, ctypes.addressof(child))
                tracee.births += 1
                self.born(child.value, f"{tracee.index}.{tracee.births}")
            elif event:
                pass
            elif stop == signal.SIGSTOP and not tracee.started:
                tracee.started = True
            else:
                deliver = stop
            self.resume(pid, tracee, deliver)
        except ProcessLookupError:
            pass  # killed meanwhile

    def born(self, pid, index):
        if pid in self.gone:
            return
        if pid in self.tracees:
            self.tracees[pid].index = index
            return
        tracee = self.tracees[pid] = Tracee(index)
        if pid not in self.unborn:
            return
        del self.unborn[pid]
        tracee.started = True
        try:
            if self.letting_go:
                self.let_go(pid)
            else:
                self.resume(pid, tracee)
        except ProcessLookupError:
            pass  # killed meanwhile

    def let_go(self, pid):
        ptrace(DETACH, pid)
        self.tracees.pop(pid)

    def at_call(self, pid, tracee):
        info = ctypes.create_string_buffer(88)
        ptrace(GET_SYSCALL_INFO, pid, len(info), ctypes.addressof(info))
        if info.raw[0] == EXIT:
            if tracee.fail:
                self.set_register(pid, RAX, -tracee.fail)
                tracee.fail = None
            return
        if info.raw[0] != ENTRY:
            return
        number = struct.unpack_from("<Q", info.raw, 24)[0]
        name = NAMES.get(number, f"syscall_{number}")
        tracee.calls += 1
        tracee.by_name[name] = tracee.by_name.get(name, 0) + 1
        call = Call(tracee.index, world.comm(pid) if self.wants_comm else "", tracee.calls, name, tracee.by_name[name],
                    struct.unpack_from("<6Q", info.raw, 32))  # fmt: skip
        answer = self.visit(call)
        if answer is None:
            return
        self.acted = self.acted if answer == TERMINATE else call
        call.comm = world.comm(pid)
        if answer == KILL:
            world.kill(pid)
        elif answer == TERMINATE:
            os.kill(pid, signal.SIGTERM)
        else:
            tracee.fail = answer
            self.set_register(pid, ORIG_RAX, -1)

    @staticmethod
    def set_register(pid, which, value):
        regs = (ctypes.c_long * REGS)()
        ptrace(GETREGS, pid, 0, ctypes.addressof(regs))
        regs[which] = value
        ptrace(SETREGS, pid, 0, ctypes.addressof(regs))
