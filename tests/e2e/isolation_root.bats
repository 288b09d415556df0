#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# as-user: --tun
# Root of a sandbox with a user namespace of its own can do nothing to the processes and namespaces around it.
# Every attempt is also made on a process of the sandbox, where it must succeed, or it would prove nothing.

bats_require_minimum_version 1.5.0

setup() {
	box=("$VNIC" run --map root --nic veth)
	[[ ! -w /dev/net/tun ]] || box+=(--nic "tap,ip=10.9.0.7/24") # and with it a relay
	cat >"$BATS_TEST_TMPDIR/probe.py" <<'END'
import ctypes, fcntl, os, signal, socket, struct, subprocess, sys

libc = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE, PTRACE_DETACH, CLONE_NEWUSER, CLONE_NEWNET = 0x4206, 17, 0x10000000, 0x40000000
SYS_pidfd_getfd = 438


def call(function, *args):
    if function(*args) == -1:
        raise OSError(ctypes.get_errno(), function.__name__)


def seize(pid):
    call(libc.ptrace, PTRACE_SEIZE, pid, None, None)
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED | 0x40000000)
    call(libc.ptrace, PTRACE_DETACH, pid, None, None)
    os.kill(pid, signal.SIGCONT)


def memory(pid):
    os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))


def join(pid, kind):
    fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
    os.close(fd)


def steal(pid):
    pidfd = os.pidfd_open(pid)
    fd = libc.syscall(SYS_pidfd_getfd, pidfd, 0, 0)
    os.close(pidfd)
    if fd == -1:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    os.close(fd)


def join_all(pid):
    """setns to the network by a pidfd, in a child that can be thrown away"""
    child = os.fork()
    if child == 0:
        try:
            call(libc.setns, os.pidfd_open(pid), CLONE_NEWNET)
            os._exit(0)
        except OSError:
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        raise OSError("setns")


def missing():
    raise OSError("no descriptor")


attempts = {
    "ptrace": seize,
    "mem": memory,
    "root": lambda pid: os.listdir(f"/proc/{pid}/root/"),
    "cwd": lambda pid: os.listdir(f"/proc/{pid}/cwd/"),
    "fd": lambda pid: [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")] or missing(),
    "environ": lambda pid: open(f"/proc/{pid}/environ").read(),
    "maps": lambda pid: open(f"/proc/{pid}/maps").read(),
    "ns/net": lambda pid: join(pid, "net"),
    "ns/user": lambda pid: join(pid, "user"),
    "pidfd_getfd": steal,
    "setns": join_all,
}


def succeed(pid):
    done = []
    for name, attempt in attempts.items():
        try:
            attempt(pid)
            done.append(name)
        except (OSError, ChildProcessError):
            pass
    return done


def parent(pid):
    return int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])


def children(pid):
    return [int(p) for p in os.listdir("/proc") if p.isdigit() and alive_parent(p) == pid]


def alive_parent(pid):
    try:
        return parent(pid)
    except OSError:
        return -1


def control():
    """a sibling in the sandbox: everything succeeds"""
    sibling = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    sibling.stdin.write(b"up\n")
    sibling.stdin.flush()
    assert sibling.stdout.readline() == b"up\n"  # its descriptors are what they will be
    done = succeed(sibling.pid)
    sibling.kill()
    missing = set(attempts) - set(done)
    assert not missing, f"even a process of the sandbox is safe from {missing}"


def refused(what, pid):
    done = succeed(pid)
    assert not done, f"{what} (pid {pid}): the sandbox's root gets through with {done}"
    print("safe:", what)
END
}

@test "init is safe from the sandbox's root" {
	"${box[@]}" -- python3 -c '
import sys; sys.path.insert(0, sys.argv[1])
from probe import *
control()
refused("init", 1)
for number in signal.SIGKILL, signal.SIGSTOP:
    os.kill(1, number)
assert open("/proc/1/stat").read().rpartition(")")[2].split()[0] in "SR"
' "$BATS_TEST_TMPDIR"
}

@test "with the host's pids in view too, nothing but signals gets through" {
	# The router, the relay and the front have the user's own uid, so kill(2) is allowed: --share pid gives that up.
	run "${box[@]}" --share pid -- python3 -c '
import sys; sys.path.insert(0, sys.argv[1])
from probe import *
control()
init = os.getppid()
front = parent(init)
refused("init", init)
refused("front", front)
ours = [p for p in children(front) if p != init]
for pid in ours:
    ours += children(pid)
    refused(open(f"/proc/{pid}/comm").read().strip(), pid)
' "$BATS_TEST_TMPDIR"
	echo "$output"
	[[ $status -eq 0 && $output == *"safe: init"*"safe: front"*"safe: vnic-router"* ]]
	[[ ! -w /dev/net/tun || $output == *"safe: vnic-relay"* ]]
}

@test "the sandbox's root sees no process of ours but init" {
	exec {out}< <(exec "${box[@]}" -- sh -c 'echo up; exec sleep 1000')
	front=$!
	read -r _ <&"$out"
	run "${box[@]}" -- sh -c 'cat /proc/[0-9]*/comm | sort | uniq -c'
	echo "$output"
	[[ $(grep -c vnic <<<"$output") -eq 1 && $output == *" 1 vnic-init"* ]]
	run "${box[@]}" -- sh -c 'for pid in "$@"; do kill -0 "$pid" && echo "reached $pid"; done; true' _ "$front" "$PPID" $$
	[[ $output != *reached* ]]
	kill "$front"
}

@test "the namespaces above cannot be had from the sandbox's own" {
	"${box[@]}" -- python3 -c '
import sys; sys.path.insert(0, sys.argv[1])
from probe import *
NS_GET_USERNS, NS_GET_PARENT = 0xb701, 0xb702
def ask(kind, request):
    fd = os.open(f"/proc/self/ns/{kind}", os.O_RDONLY)
    try:
        return os.readlink(f"/proc/self/fd/{fcntl.ioctl(fd, request)}")
    except OSError as error:
        return type(error).__name__
    finally:
        os.close(fd)
assert ask("net", NS_GET_USERNS) == os.readlink("/proc/self/ns/user")
assert ask("user", NS_GET_PARENT) == "PermissionError"
assert ask("pid", NS_GET_PARENT) == "PermissionError"
' "$BATS_TEST_TMPDIR"
}

@test "the router cannot be asked over netlink by the peer's namespace id" {
	"${box[@]}" -- python3 -c '
import sys; sys.path.insert(0, sys.argv[1])
from probe import *
RTM_GETLINK, NLM_F_REQUEST, IFLA_TARGET_NETNSID, NLMSG_ERROR = 18, 1, 46, 2
def links_of(nsid):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    body = struct.pack("=BxHiII", 0, 0, 1, 0, 0) + struct.pack("=HHi", 8, IFLA_TARGET_NETNSID, nsid)
    s.send(struct.pack("=IHHII", 16 + len(body), RTM_GETLINK, NLM_F_REQUEST, 1, 0) + body)
    answer = s.recv(65536)
    kind = struct.unpack_from("=H", answer, 4)[0]
    return -struct.unpack_from("=i", answer, 16)[0] if kind == NLMSG_ERROR else 0
peer = int(subprocess.run(["ip", "-o", "link", "show", "eth0"], capture_output=True, text=True).stdout.split("link-netnsid ")[1].split()[0])
import errno
assert links_of(peer) in (errno.EPERM, errno.EACCES), links_of(peer)
' "$BATS_TEST_TMPDIR"
	# The same question about a namespace of one's own is answered.
	"${box[@]}" -- sh -c 'ip netns list-id >/dev/null; ip link show eth0 >/dev/null'
}

@test "descriptors that would lead out are not left to the command" {
	run "${box[@]}" -- sh -c 'ls -l /proc/self/fd'
	[[ $output != *net:* && $output != *user:* && $output != *packet* && $output != */dev/net/tun* && $output != *eventfd* ]]
}

@test "a command that joins is a copy of its caller until it executes, and safe from the sandbox's root" {
	cat >"$BATS_TEST_TMPDIR/watch.py" <<'END'
import sys; sys.path.insert(0, sys.argv[1])
from probe import *
def name(pid): return open(f"/proc/{pid}/comm").read()
control()
print("up", flush=True)
met = set()
while len(met) < 5:
    for pid in (int(p) for p in os.listdir("/proc") if p.isdigit() and p != "1"):
        try:
            if name(pid) != "vnic\n":
                continue
            try:
                fd = os.open(f"/proc/{pid}/mem", os.O_RDWR)
            except PermissionError:
                met.add(pid)
                continue
            if name(pid) == "vnic\n":  # else it has executed meanwhile
                sys.exit(f"the memory of {pid} is open")
            os.close(fd)
        except (FileNotFoundError, ProcessLookupError):
            pass
END
	exec {out}< <(exec "$VNIC" run --name watched --nic none --map root -- python3 -B "$BATS_TEST_TMPDIR/watch.py" "$BATS_TEST_TMPDIR" 2>&1)
	front=$!
	read -r line <&"$out"
	[[ $line == up ]]
	while kill -0 "$front" 2>/dev/null; do
		"$VNIC" exec watched -- true || true # it ends meanwhile
	done
	wait "$front"
	[[ -z $(cat <&"$out") ]]
}
