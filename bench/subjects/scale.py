# SPDX-License-Identifier: GPL-2.0-or-later
"""Many sandboxes at once: how fast they come and go, and what each takes."""
import contextlib
import subprocess
import time

from harness.sides import INSIDE_PORT
from harness.subject import Demand, Failed, Metric, Subject
from harness.world import PATIENCE, Process, descendants, pss_kib, read, run, who_stays

from .startup import AT_ONCE, IP_BEGIN

COUNTS = {"1": 1, "10": 10, "100": 100, "1000": 1000}
IP_REMOVE = "ip netns del s$1\nip netns del r$1\n"
REST, NOISE_KIB = 1, 256  # seconds in which no more than that was given back
KERNEL = ("SUnreclaim", "KernelStack", "PageTables", "Percpu")


def kernel_kib():
    lines = (line.split() for line in read("/proc/meminfo").splitlines())
    return sum(int(words[1]) for words in lines if words[0].rstrip(":") in KERNEL)


def vnic_sandbox(world, vnic):
    return world.command([vnic, "run", "--allow", "host", "--", world.load, "stay"], "host", as_user=True)


def unshare_sandbox(world, vnic):
    return world.command(["unshare", "-Urn", world.load, "stay"], "host", as_user=True)


def pasta_sandbox(world, vnic):
    none = [word for option in ("-t", "-u", "-T", "-U") for word in (option, "none")]
    return world.command(["pasta", "-q", "-f", "-4", "--config-net", *none, "--", world.load, "stay"], "host",
                         as_user=True)


def kernel_kib_at_rest():
    """The kernel takes back what has ended in its own time: what it still gives back is not there for the next."""
    least, since = kernel_kib(), time.monotonic()
    deadline = since + PATIENCE
    while time.monotonic() < min(since + REST, deadline):
        time.sleep(REST / 10)
        if (now := kernel_kib()) < least - NOISE_KIB:
            least, since = now, time.monotonic()
    return kernel_kib()


class Running:
    """Sandboxes that are processes."""

    most = 1000

    def __init__(self, world, argv):
        self.world, self.processes = world, []
        self.argv = argv(world, world.vnic)

    def begin(self, count):
        options = {"env": self.world.environ, "cwd": self.world.home}
        for number in range(count):
            if number >= AT_ONCE:
                self.processes[number - AT_ONCE].wait_for("ready")
            self.processes.append(Process(self.argv, **options))
        for process in self.processes:
            process.wait_for("ready")

    def user_kib(self):
        """Without what runs in the sandbox."""
        pids = []
        for process in self.processes:
            inside = who_stays(process.pid)
            pids += [pid for pid in descendants(process.pid) if pid != inside]
        return pss_kib(pids)

    def end(self):
        for process in self.processes:
            process.popen.stdin.close()
        for process in self.processes:
            process.finish()
        self.processes = []


class Vnic(Running):
    def failed(self):
        """How many do not reach the host: all are asked, one after the other."""
        with self.world.process([self.world.load, "echo", str(INSIDE_PORT)], "host", "ready"):
            return sum('"failed": 0' not in self.ask(process) for process in self.processes)

    def ask(self, process):
        argv = [self.world.load, "connect", "10.0.2.2", str(INSIDE_PORT), "1"]
        return run(self.world.command(argv, f"/proc/{who_stays(process.pid)}/ns/net"))


class Pasta(Running):
    most = 100  # it takes 20 MiB and 0.2 s each


class Ip:
    """Two namespaces, a pair, addresses and routes by ip(8); no process stays."""

    most = 1000

    def __init__(self, world):
        self.count = 0

    def script(self, text):
        done = subprocess.run(["sh", "-c", f"for n in $(seq {self.count}); do set -- $n\n{text}done"], check=False)
        if done.returncode:
            raise Failed("ip netns failed")

    def begin(self, count):
        self.count = count
        self.script(IP_BEGIN)

    def user_kib(self):
        return 0

    def end(self):
        self.script(IP_REMOVE)
        self.count = 0


def measure(side, case):
    count = COUNTS[case]
    if count > side.most:
        return None
    before = kernel_kib_at_rest() if count >= 100 else 0
    begin = time.monotonic()
    try:
        side.begin(count)
        made = time.monotonic()
        memory = {"memory": side.user_kib() / count / 1024}
        if count >= 100:
            memory["kernel memory"] = (kernel_kib() - before) / count / 1024
        if hasattr(side, "failed") and count >= 10:
            memory["failed"] = side.failed()
        end = time.monotonic()
    finally:
        side.end()
    return {"made": count / (made - begin), "removed": count / (time.monotonic() - end)} | memory


def kept(make):
    @contextlib.contextmanager
    def begin(world):
        yield make(world)

    return begin


SUBJECT = Subject(
    name="scale",
    title="Many sandboxes at once",
    about="1 to 1,000 sandboxes that stand at the same time. Those of vnic, unshare and pasta are started four at a "
    "time, as an ordinary user; ip(8) makes two namespaces and a pair, one after the other. Memory is the proportional "
    "set size of the network's own processes, and the growth of the kernel's, of each. `failed`: sandboxes of vnic from "
    "which a server on the host could not be reached.",
    metrics=[Metric("made", "a second"), Metric("removed", "a second"),
             Metric("memory", "MiB each", more_is_better=False, plot=False),
             Metric("kernel memory", "MiB each", more_is_better=False, plot=False),
             Metric("failed", "sandboxes", more_is_better=False, plot=False)],
    cases={case: f"{count:,}" for case, count in COUNTS.items()},
    sides={"vnic": kept(lambda world: Vnic(world, vnic_sandbox)),
           "unshare": kept(lambda world: Running(world, unshare_sandbox)),
           "pasta": kept(lambda world: Pasta(world, pasta_sandbox)), "ip": kept(Ip)},
    world=lambda world: world.outside(),
    measure=measure,
    demands=[Demand("1,000 at once: sandboxes of vnic without a working NIC",
                    lambda figures: figures.median("failed", "1000", "vnic"), at_most=0)],
    rounds=1,
    quick_cases=["10"],
)
