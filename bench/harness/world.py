# SPDX-License-Identifier: GPL-2.0-or-later
"""
A host and a server of the bench's own, each in a network namespace.

    server  in0 10.77.0.2 ==== out0 10.77.0.1  host  <- vnic run, slirp4netns, pasta: their sandboxes
            10.78.0.1 on lo

More servers stand behind links of their own: server1 10.78.1.1 beyond 10.77.1.2, and so on; a relay with bad weather
may be the link.  The server stands behind a link, so no side gets a short cut by way of the host's loopback; where a
subject asks for a server on the host itself, all sides reach it through a link too.

The congestion control is cubic on both ends of every connection.  A namespace may only default to an algorithm that the
machine lists as allowed, and the machine's settings are not the bench's to change; a route, however, may name any that
is loaded.  So every route of every namespace gets `congctl cubic`: also for sockets of peers that know no such option.
"""
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from .subject import Failed

USER = 47110  # nobody else is: what a user may have of pipes and processes is counted over all of his
PATIENCE = 30
HOST, GATEWAY = "10.77.0.1", "10.77.0.2"
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all", "--"]


def run(argv, **options):
    """Output of a command that ends soon; one that fails ends the case."""
    done = subprocess.run(argv, text=True, capture_output=True, timeout=options.pop("timeout", PATIENCE),
                          stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Failed(f"{' '.join(argv[-6:])}: {words[-1] if words else f'status {done.returncode}'}")
    return done.stdout


def ip(command, namespace=None):
    return run(["ip", *(["-n", namespace] if namespace else []), *command.split()])


class Process:
    """One that is told to end by the end of its input, then by a signal; never outlives its `with`."""

    def __init__(self, argv, ready=None, **options):
        self.argv = argv
        self.popen = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, **options)
        self.pid = self.popen.pid
        self.seconds = 0.0
        self.text = ""
        self.has_ended = False
        if ready:
            try:
                self.wait_for(ready)
            except Failed:
                self.__exit__()
                raise

    def wait_for(self, words):
        """Until these words have come on its standard output."""
        deadline, output, poll = time.monotonic() + PATIENCE, self.popen.stdout.fileno(), select.poll()
        poll.register(output, select.POLLIN)
        while words not in self.text:
            if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
                raise Failed(f"{' '.join(self.argv[-6:])}: not ready in {PATIENCE} s")
            part = os.read(output, 65536)
            if not part:
                raise Failed(f"{' '.join(self.argv[-6:])}: ended before it was ready")
            self.text += part.decode()

    def finish(self, timeout=PATIENCE):
        """
        Ends its input and waits; its whole output.  One that takes longer is killed.  CPU time is in .seconds then.
        """
        if not self.has_ended:
            with contextlib.suppress(BrokenPipeError):
                self.popen.stdin.close()
            killer = threading.Timer(timeout, self.kill)
            killer.start()
            self.text += self.popen.stdout.read().decode()
            _, status, usage = os.wait4(self.pid, 0)
            killer.cancel()
            self.has_ended = True
            self.popen.returncode = os.waitstatus_to_exitcode(status)
            self.seconds = usage.ru_utime + usage.ru_stime
            self.popen.stdout.close()
        return self.text

    def signal(self, number):
        """Not by subprocess, which would reap the process and lose its CPU time."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self):
        """With all below it, or whoever holds its output would keep us waiting."""
        for pid in reversed(descendants(self.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if not self.has_ended:
            self.signal(signal.SIGTERM)
            self.finish(5)


class World(contextlib.ExitStack):
    """Namespaces and processes of one subject, gone when it ends."""

    def __init__(self, programs, quick=False):
        super().__init__()
        self.copies = 0
        self.quick = quick  # measurements may be as short as they can
        self.place = self.enter_context(tempfile.TemporaryDirectory(prefix="vnic-bench.", dir="/run"))
        os.chmod(self.place, 0o755)  # the ordinary user has no way to the build
        self.vnic, self.load, self.frames, self.probe = (self.copy(program) for program in programs)
        self.home = f"{self.place}/home"
        os.makedirs(f"{self.home}/run", 0o700)
        for path in (self.home, f"{self.home}/run"):
            os.chown(path, USER, USER)
        self.environ = os.environ | {"HOME": self.home, "XDG_RUNTIME_DIR": f"{self.home}/run", "TMPDIR": self.home}
        self.next_port = 5300
        self.servers = {}

    def copy(self, program):
        """Where the ordinary user can execute it."""
        self.copies += 1
        os.mkdir(f"{self.place}/{self.copies}")
        return shutil.copy(program, f"{self.place}/{self.copies}/")

    def namespace(self, name):
        ip(f"netns add {name}")
        self.callback(ip, f"netns del {name}")
        ip("link set lo up", name)

    def outside(self):
        """The host, the server, and the link between them."""
        self.namespace("host")
        self.server()
        ip(f"route add default via {GATEWAY}", "host")
        use_cubic("/run/netns/host")

    def server(self, weather=None):
        """Another server; its name comes back.  weather: keys of the relay's ports, which then is the link."""
        number = len(self.servers)
        name, near, far = f"server{number or ''}", f"out{number}", f"in{number}"
        self.servers[name] = f"10.78.{number}.1"
        self.namespace(name)
        if weather:
            ports = [f"tap:{port},netns={namespace},{weather}" for port, namespace in ((near, "host"), (far, name))]
            self.start([self.vnic, "relay", "--ready-fd", "1", *ports], "host", "\n")
        else:
            ip(f"link add {near} netns host type veth peer name {far} netns {name}")
        ip(f"address add {self.servers[name]}/32 dev lo", name)
        for namespace, link, last in (("host", near, 1), (name, far, 2)):
            ip(f"address add 10.77.{number}.{last}/24 dev {link}", namespace)
            ip(f"link set {link} up", namespace)
        ip(f"route change 10.77.{number}.0/24 dev {far} proto kernel scope link src {self.servers[name]}", name)
        ip(f"route add {self.servers[name]} via 10.77.{number}.2", "host")
        ip(f"route add default via 10.77.{number}.1", name)
        use_cubic(f"/run/netns/{name}")
        use_cubic("/run/netns/host")
        return name

    def port(self):
        self.next_port += 1
        return self.next_port

    def command(self, argv, namespace, as_user=False):
        """argv for a network namespace: a name, or a path."""
        path = namespace if "/" in namespace else f"/run/netns/{namespace}"
        return ["nsenter", f"--net={path}", "--", *(AS_USER if as_user else []), *argv]

    def start(self, argv, namespace, ready=None, as_user=False, **options):
        return self.enter_context(self.process(argv, namespace, ready, as_user, **options))

    def process(self, argv, namespace, ready=None, as_user=False, **options):
        return Process(self.command(argv, namespace, as_user), ready,
                       **({"env": self.environ, "cwd": self.home} if as_user else {}) | options)


# --- what runs below a process -----------------------------------------------------------------------------------


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def descendants(pid):
    """Of a process, itself first."""
    found, queue = [], [pid]
    while queue:
        found.append(queue.pop(0))
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{found[-1]}/task"):
                queue += [int(child) for child in read(f"/proc/{found[-1]}/task/{task}/children").split()]
    return found


def net_of(pid):
    return os.stat(f"/proc/{pid}/ns/net").st_ino


def who_stays(pid):
    """The process below `pid` that executes `load stay`: it stands in the sandbox."""
    for child in descendants(pid):
        with contextlib.suppress(OSError):
            if read(f"/proc/{child}/cmdline").split("\0")[:2][-1] == "stay":
                return child
    raise Failed("nobody stands in the sandbox")


def cpu_seconds(pids):
    """Of all their threads, to the nanosecond."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                total += int(read(f"/proc/{pid}/task/{task}/schedstat").split()[0])
    return total / 1e9


def has_ended(pid):
    try:
        return read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return True


def pss_kib(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total


def switches(pids):
    """Voluntary context switches of all their threads, ever."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                for line in read(f"/proc/{pid}/task/{task}/status").splitlines():
                    if line.startswith("voluntary_ctxt_switches:"):
                        total += int(line.split()[1])
    return total


def use_cubic(path):
    """For every connection of the namespace, whoever opens it; see the top."""
    prefix = ["nsenter", f"--net={path}", "--", "ip"]
    for family in ("-4", "-6"):
        for route in json.loads(run([*prefix, "-j", family, "route", "show", "table", "all"]) or "[]"):
            if route.get("type", "unicast") not in ("unicast", "local"):
                continue
            if family == "-6" and (route["dst"] == "::1" or route["dst"].startswith(("ff", "fe80"))):
                continue
            words = [route["type"]] if "type" in route else []
            words.append(route["dst"])
            for key, word in (("gateway", "via"), ("dev", "dev"), ("protocol", "proto"), ("scope", "scope"),
                              ("prefsrc", "src"), ("metric", "metric"), ("table", "table")):
                if key in route and not (family == "-6" and key == "scope"):
                    words += [word, str(route[key])]
            run([*prefix, family, "route", "replace", *words, "congctl", "cubic"])


def use_cubic_below(pid):
    """In all network namespaces of a process and its descendants."""
    done = set()
    for child in descendants(pid):
        with contextlib.suppress(OSError):
            if net_of(child) not in done:
                done.add(net_of(child))
                use_cubic(f"/proc/{child}/ns/net")
