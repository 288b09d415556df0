# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a program under ptrace(2) and lets a visitor intervene at each system call of each of its processes.

Processes are numbered in the order of their birth: 0 is the program itself.  A process that executes something else
is no longer of interest.  The visitor is called at the entry of a call with a Call and answers None (go on), KILL, or
an errno with which the call shall fail without being made.
"""
import ctypes
import os
import platform
import signal
import struct

import world

TRACEME, SYSCALL, GETREGS, SETREGS = 0, 24, 12, 13
DETACH, SETOPTIONS, GETEVENTMSG, GET_SYSCALL_INFO = 17, 0x4200, 0x4201, 0x420E
SYSGOOD, FORK, VFORK, CLONE, EXEC, EXITKILL = 1, 2, 4, 8, 16, 1 << 20
EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC = 1, 2, 3, 4
ENTRY, EXIT = 1, 2
REGS, RAX, ORIG_RAX = 27, 10, 15  # struct user_regs_struct of x86-64, in longs
KILL = "kill"

NAMES = {0: "read", 1: "write", 2: "open", 3: "close", 7: "poll", 9: "mmap", 16: "ioctl", 21: "access", 41: "socket",
         42: "connect", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 49: "bind", 51: "getsockname",
         53: "socketpair", 54: "setsockopt", 56: "clone", 57: "fork", 58: "vfork", 59: "execve", 61: "wait4",
         72: "fcntl", 77: "ftruncate", 83: "mkdir", 87: "unlink", 112: "setsid", 117: "setresuid", 119: "setresgid",
         116: "setgroups", 157: "prctl", 165: "mount", 18: "pwrite64", 125: "capget", 126: "capset", 232: "epoll_wait",
         233: "epoll_ctl", 247: "waitid", 257: "openat", 262: "newfstatat", 271: "ppoll", 272: "unshare",
         282: "signalfd", 288: "accept4", 289: "signalfd4", 290: "eventfd2", 291: "epoll_create1", 293: "pipe2",
         299: "recvmmsg", 307: "sendmmsg", 308: "setns", 318: "getrandom", 424: "pidfd_send_signal", 428: "open_tree",
         429: "move_mount", 434: "pidfd_open", 435: "clone3", 436: "close_range", 166: "umount2", 14: "rt_sigprocmask",
         13: "rt_sigaction", 302: "prlimit64", 11: "munmap", 10: "mprotect", 12: "brk", 231: "exit_group", 35: "nanosleep"}
supported = platform.machine() == "x86_64"


def ptrace(request, pid, address=0, data=0):
    libc = world.libc
    libc.ptrace.restype = ctypes.c_long
    result = libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(address), ctypes.c_void_p(data))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")
    return result


class Call:
    """A system call: `process` by birth, `number` of the call in its process, `name`, `nth` call of that name."""

    def __init__(self, process, comm, number, name, nth):
        self.process, self.comm, self.number, self.name, self.nth = process, comm, number, name, nth

    def __str__(self):
        return f"{self.comm}[{self.process}] {self.name} #{self.nth}"


class Tracee:
    def __init__(self, index):
        self.index, self.started, self.foreign = index, False, False
        self.calls, self.by_name, self.fail = 0, {}, None


class Tracer:
    def __init__(self, visit):
        self.visit, self.tracees, self.births, self.acted = visit, {}, 0, None

    def run(self, argv, stdin=None, output=None, let_go=False):
        """
        Until the program and all its processes have ended; with let_go, until the program has ended and the others
        run untraced.  Returns the program's exit status.
        """
        pid = os.fork()
        if pid == 0:
            for fd in ([0] if stdin is not None else []):
                os.dup2(stdin, fd)
            for fd in ([1, 2] if output is not None else []):
                os.dup2(output, fd)
            signal.setitimer(signal.ITIMER_REAL, 0)
            ptrace(TRACEME, 0)
            try:
                os.execv(argv[0], argv)
            finally:
                os._exit(255)
        os.waitpid(pid, 0)
        ptrace(SETOPTIONS, pid, 0, SYSGOOD | FORK | VFORK | CLONE | EXEC | EXITKILL)
        self.tracees[pid] = Tracee(0)
        self.tracees[pid].started = True
        ptrace(SYSCALL, pid)
        result = None
        while self.tracees:
            try:
                stopped, status = os.waitpid(-1, world.WALL)
            except ChildProcessError:
                break  # one was killed before we saw it
            if os.WIFSTOPPED(status):
                self.go_on(stopped, status, result is not None and let_go)
                continue
            self.tracees.pop(stopped, None)
            if stopped == pid:
                result = world.exit_status(status)
                for other in self.tracees if let_go else ():
                    os.kill(other, signal.SIGSTOP)
        return result

    def go_on(self, pid, status, detach):
        tracee = self.tracees.get(pid) or self.born(pid)
        stop, event, deliver = os.WSTOPSIG(status), status >> 16, 0
        try:
            if detach and stop == signal.SIGSTOP and not event:
                ptrace(DETACH, pid)
                os.kill(pid, signal.SIGCONT)  # there may be a second SIGSTOP on its way
                self.tracees.pop(pid)
                return
            if stop == signal.SIGTRAP | 0x80:
                self.at_call(pid, tracee)
            elif event == EVENT_EXEC:
                tracee.foreign = True
            elif event in (EVENT_FORK, EVENT_VFORK, EVENT_CLONE):
                child = ctypes.c_ulong()
                ptrace(GETEVENTMSG, pid, 0, ctypes.addressof(child))
                if child.value not in self.tracees:
                    self.born(child.value)
            elif event:
                pass
            elif stop == signal.SIGSTOP and not tracee.started:
                tracee.started = True
            else:
                deliver = stop
            ptrace(SYSCALL, pid, 0, deliver)
        except ProcessLookupError:
            pass  # killed meanwhile

    def born(self, pid):
        self.births += 1
        self.tracees[pid] = Tracee(self.births)
        return self.tracees[pid]

    def at_call(self, pid, tracee):
        if tracee.foreign:
            return
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
        call = Call(tracee.index, world.comm(pid) if self.wants_comm else "", tracee.calls, name, tracee.by_name[name])
        answer = self.visit(call)
        if answer is None:
            return
        self.acted = call
        call.comm = world.comm(pid)
        if answer == KILL:
            world.kill(pid)
        else:
            tracee.fail = answer
            self.set_register(pid, ORIG_RAX, -1)

    wants_comm = False

    @staticmethod
    def set_register(pid, which, value):
        regs = (ctypes.c_long * REGS)()
        ptrace(GETREGS, pid, 0, ctypes.addressof(regs))
        regs[which] = value
        ptrace(SETREGS, pid, 0, ctypes.addressof(regs))
