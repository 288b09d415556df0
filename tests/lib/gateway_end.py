# SPDX-License-Identifier: GPL-2.0-or-later
"""What has been sent when a sandbox ends; tests/e2e/gateway_end.bats says what each function shows."""
import ctypes
import os
import pty
import select
import signal
import subprocess
import sys

from gateway_agent import pattern_digest
from gateway_world import VNIC_RUN, is_equal, run

V4, V6 = "9.9.9.10", "2620:fe::fe"
LARGE = 8 << 20
WHOLE = f"{LARGE} {pattern_digest(LARGE)}"
PRELUDE = f"""
import socket, sys
sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
import gateway_agent as agent
"""


class Sandbox:
    """runs Python in one, and nothing waits for what it has sent; stdout is the command's"""

    def __init__(self, program, *options, on_ready=None):
        with subprocess.Popen([*VNIC_RUN, "--map", "root", *options, "--", sys.executable, "-c", PRELUDE + program],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as front:
            if on_ready:
                is_equal(front.stdout.readline(), "ready\n")
                on_ready(front)
            _, self.messages = front.communicate()
            self.status = front.returncode

    def went_well(self):
        is_equal(self.messages, "")
        is_equal(self.status, 0)


def sends(address, port, size=LARGE):
    return f"agent.send_pattern(socket.create_connection(({address!r}, {port})), {size}, 1 << 20)"


def stream(world):
    for address in V4, V6:
        port = world.outside.serve("record", address)
        for _ in range(5):
            Sandbox(sends(address, port)).went_well()
            is_equal(world.outside.wait_said(), [WHOLE])


def slow(world):
    for options in [], ["--nic", "veth", "--log", os.devnull]:
        port = world.outside.serve("slow", V4)
        Sandbox(sends(V4, port), *options).went_well()
        is_equal(world.outside.wait_said(), [WHOLE])


def lossy(world):
    """all that is sent in a tenth of a second is lost; TCP sends it again after two"""
    port = world.outside.serve("record", V4)
    Sandbox(f"""
import os
sock = socket.create_connection(({V4!r}, {port}))
lost = "add set ip lossy ports {{ type inet_service; timeout 100ms; }}; add element ip lossy ports {{ {port} }};"
chain = "add chain ip lossy out {{ type filter hook output priority 0; }}; add rule ip lossy out tcp dport @ports drop"
assert os.system(f"nft 'add table ip lossy; {{lost}} {{chain}}'") == 0
agent.send_pattern(sock, 1000, 1000)
""").went_well()
    is_equal(world.outside.wait_said(), [f"1000 {pattern_digest(1000)}"])


def answer(world):
    """of a server that has served once"""
    for host in "10.77.0.1", "fd88::1":
        serves_once = f"""
listener = socket.create_server((":" in {host!r} and "::" or "0.0.0.0", 80), family=agent.family_of({host!r}))
print("ready", flush=True)
agent.send_pattern(listener.accept()[0], {LARGE}, 1 << 20)
"""
        sandbox = Sandbox(serves_once, "--publish", "8080:80",
                          on_ready=lambda _, host=host: world.outside.begin("fetch", host, 8080))
        is_equal(world.outside.finish(), WHOLE)
        sandbox.went_well()


def datagrams(world):
    for address in V4, V6:
        port = world.outside.serve_numbered(address)
        for first in range(0, 100, 10):
            program = f"agent.send_numbered(agent.open_udp({address!r}, {port}), {first}, 10)"
            Sandbox(program).went_well()
        world.outside.sh("true")
        is_equal(world.outside.wait_numbered(100)[0], 100)
        world.outside.forget_numbered()


def sends_to_nobody(world):
    """a remote takes nothing, and the gateway has more for it than the host keeps"""
    with open("/proc/sys/net/ipv4/tcp_wmem", "w") as wmem:
        wmem.write("4096 16384 65536")
    port = world.outside.serve("deaf", V4)
    return f"""
sock = socket.create_connection(({V4!r}, {port}))
sock.settimeout(0.5)
try:
    agent.send_pattern(sock, {LARGE}, 65536)
except TimeoutError:
    print("ready", flush=True)
"""


def deaf(world):
    sandbox = Sandbox(sends_to_nobody(world))
    is_equal(sandbox.status, 0)
    is_equal(sandbox.messages, "vnic: warning: not all that the sandbox sent has gone out: 1 remote takes no more of it\n")


def replaced(world):
    is_equal(ctypes.CDLL(None).unshare(0x20000), 0)  # CLONE_NEWNS
    subprocess.run("mount --make-rprivate / && mount -t tmpfs tmpfs /mnt && cp /etc/ld.so.cache /mnt && "
                   "touch /mnt/resolv.conf /mnt/new && mount --bind /mnt /etc", shell=True, check=True)

    def replace(front):
        command_has_ended(front.pid)
        os.rename("/etc/new", "/etc/resolv.conf")

    sandbox = Sandbox(sends_to_nobody(world), on_ready=replace)
    is_equal(sandbox.messages, "vnic: warning: not all that the sandbox sent has gone out: 1 remote takes no more of it\n")


def helper_of(front, name):
    for pid in subprocess.run(["ps", "-o", "pid=", "--ppid", str(front.pid)], capture_output=True, text=True,
                              check=True).stdout.split():
        with open(f"/proc/{pid}/comm") as comm:
            if comm.read() == name + "\n":
                return int(pid)
    raise LookupError(name)


def command_has_ended(pid):
    """its end of the pipe is closed, and init's"""
    children = f"/proc/{pid}/task/{pid}/children"
    while True:
        with open(children) as pids:
            states = [open(f"/proc/{child}/stat").read().rpartition(")")[2].split()[0] for child in pids.read().split()]
        if "Z" in states:
            return


def impatient(world):
    def interrupt(front):
        command_has_ended(front.pid)
        while front.poll() is None:  # the first one may still be for the command
            front.send_signal(signal.SIGINT)
            select.select([], [], [], 0.2)  # one that comes as it ends would be its own end

    sandbox = Sandbox(sends_to_nobody(world), on_ready=interrupt)
    sandbox.went_well()  # it was not told that the remote takes nothing: that takes two seconds


def typed(world):
    """at a terminal, which in the second case a shell had for itself"""

    program = [sys.executable, "-c", PRELUDE + sends_to_nobody(world)]
    for command in program, ["bash", "--norc", "-ic", '"$@"; exit', "-", *program]:
        front, terminal = pty.fork()
        if front == 0:
            os.execvp(VNIC_RUN[0], [*VNIC_RUN, "--map", "root", "--", *command])
        shown = b""
        while b"ready" not in shown:
            shown += os.read(terminal, 4096)
        command_has_ended(front)
        while not os.waitid(os.P_PID, front, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            os.write(terminal, b"\x03")
            select.select([], [], [], 0.2)
        is_equal(os.waitstatus_to_exitcode(os.waitpid(front, 0)[1]), 0)
        while select.select([terminal], [], [], 0)[0]:
            try:
                shown += os.read(terminal, 4096)
            except OSError:  # that was all
                break
        os.close(terminal)
        assert b"warning" not in shown, shown


def killed(world):
    def kill(front, helper):
        command_has_ended(front.pid)
        os.kill(helper_of(front, helper), signal.SIGKILL)

    lost = "vnic: warning: {} has ended; what the sandbox had sent last may be lost\n"
    sandbox = Sandbox(sends_to_nobody(world), on_ready=lambda front: kill(front, "vnic-gateway"))
    is_equal(sandbox.status, 0)
    is_equal(sandbox.messages, lost.format("vnic-gateway"))
    # With the router the gateway ends, while the capture writes what is left; either may be seen first.
    sandbox = Sandbox(sends_to_nobody(world), "--capture", os.devnull, on_ready=lambda front: kill(front, "vnic-router"))
    is_equal(sandbox.status, 0)
    is_equal(sandbox.messages in [lost.format("vnic-router"), lost.format("vnic-gateway")], True)


def silent(world):
    """a gateway that never says that it has done"""

    def stop_gateway(front):
        command_has_ended(front.pid)
        os.kill(helper_of(front, "vnic-gateway"), signal.SIGSTOP)

    sandbox = Sandbox(sends_to_nobody(world), on_ready=stop_gateway)
    is_equal(sandbox.status, 0)
    is_equal(sandbox.messages, "vnic: warning: not all that the sandbox sent has gone out: it took too long\n")


def idle(world):
    """connections that the other side keeps open, and a link that is gone, hold nobody up"""
    port = world.outside.serve("hold", V4)
    Sandbox(f"""
import os
kept = socket.create_connection(({V4!r}, {port}))
os.system("ip link set eth0 down")
""").went_well()
    is_equal(len(world.outside.wait_said()), 1)


if __name__ == "__main__":
    run(globals())
