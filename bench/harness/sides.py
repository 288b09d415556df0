# SPDX-License-Identifier: GPL-2.0-or-later
"""
Ways for a sandbox to talk to the world: each a function of a World that gives a Lane.  All stand at once and idle while
another is measured.  vnic, slirp4netns and pasta run as an ordinary user (as root Debian's pasta spins).
"""
import contextlib
import functools
import json
import os
import socket

from .world import GATEWAY, HOST, Failed, cpu_seconds, descendants, has_ended, use_cubic, use_cubic_below, who_stays

INSIDE_PORT = 5201


class Lane:
    """A namespace that sees the host at .host, and whose INSIDE_PORT others see at .published."""

    def __init__(self, world, namespace, host=None, published=(HOST, INSIDE_PORT), roots=()):
        self.world, self.namespace, self.published = world, namespace, published
        self.host = host  # None: there is nothing between the two
        self.roots = roots  # (process, those below it that belong to the sandbox and not to the side)

    def pids(self):
        """
        The processes that the side needs, without what runs in the sandbox.  One that has ended takes neither memory nor
        CPU time: that is no figure.
        """
        for root, _ in self.roots:
            if has_ended(root):
                raise Failed("a process of the side has ended")
        return [pid for root, stays in self.roots for pid in descendants(root) if pid not in stays]

    def cpu(self):
        return cpu_seconds(self.pids())

    def other(self, at):
        """Namespace and address of who is talked to: "host", or the name of a server."""
        if at == "host" and self.host:
            return at, self.host
        name = "server" if at == "host" else at
        return name, self.world.servers[name]

    def start(self, argv, ready=None):
        return self.world.process(argv, self.namespace, ready)


@contextlib.contextmanager
def veth(world):
    """Two namespaces and the link between them: what a sandbox costs nothing over."""
    yield Lane(world, "/run/netns/host")


@contextlib.contextmanager
def loopback(world):
    yield Lane(world, "/run/netns/server", published=(world.servers["server"], INSIDE_PORT))


@contextlib.contextmanager
def vnic(world, mtu=1500, options=()):
    port = world.port()
    argv = [world.vnic, "run", "--allow", "any", "--publish", f"{port}:{INSIDE_PORT}", "--publish",
            f"{port}:{INSIDE_PORT}/udp", *options]
    if mtu != 1500:
        argv += ["--nic", f"veth,mtu={mtu}"]
    with world.process([*argv, "--", world.load, "stay"], "host", "ready", as_user=True) as process:
        inside = who_stays(process.pid)
        use_cubic_below(process.pid)
        yield Lane(world, f"/proc/{inside}/ns/net", host="10.0.2.2", published=(HOST, port),
                   roots=[(process.pid, [inside])])


@contextlib.contextmanager
def slirp4netns(world, mtu=1500):
    port = world.port()
    api = f"{world.home}/slirp-{port}.sock"
    with contextlib.ExitStack() as stack:
        holder = stack.enter_context(world.process(["unshare", "-Urn", world.load, "stay"], "host", "ready",
                                                   as_user=True))
        receive, send = os.pipe()
        stack.callback(os.close, receive)
        argv = ["slirp4netns", "-c", "-m", str(mtu), "-r", str(send), "--api-socket", api, str(holder.pid), "tap0"]
        process = world.process(argv, "host", as_user=True, pass_fds=[send], stderr=-3)
        stack.enter_context(process)
        os.close(send)
        if os.read(receive, 1) != b"1":
            raise Failed("slirp4netns is not ready")
        for protocol in ("tcp", "udp"):
            forward(api, port, protocol)
        use_cubic_below(holder.pid)
        yield Lane(world, f"/proc/{holder.pid}/ns/net", host="10.0.2.2", published=(HOST, port),
                   roots=[(process.pid, [])])


def forward(api, port, protocol):
    """A published port of slirp4netns."""
    request = {"execute": "add_hostfwd", "arguments": {"proto": protocol, "host_addr": HOST,
                                                       "host_port": port, "guest_addr": "10.0.2.100",
                                                       "guest_port": INSIDE_PORT}}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(api)
        connection.sendall(json.dumps(request).encode())
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(4096).decode()
    if "error" in answer:
        raise Failed(f"slirp4netns: {answer}")


@contextlib.contextmanager
def pasta(world, mtu=1500):
    port = world.port()
    argv = ["pasta", "-q", "-f", "-4", "--config-net", "--mtu", str(mtu), "-t", f"{port}:{INSIDE_PORT}",
            "-u", f"{port}:{INSIDE_PORT}", "-T", "none", "-U", "none", "--", world.load, "stay"]
    with world.process(argv, "host", "ready", as_user=True) as process:
        inside = who_stays(process.pid)
        use_cubic(f"/proc/{inside}/ns/net")
        # It stands for the host where the host's own gateway would be.
        yield Lane(world, f"/proc/{inside}/ns/net", host=GATEWAY, published=(HOST, port),
                   roots=[(process.pid, [inside])])


@contextlib.contextmanager
def made_by(program, begin, world):
    """A side by another build of vnic than the world's."""
    own, world.vnic = world.vnic, program
    try:
        with begin(world) as lane:
            world.vnic = own
            yield lane
    finally:
        world.vnic = own


def fresh(begin):
    """In place of its Lane the side gives a function, whose context manager begins it anew."""

    @contextlib.contextmanager
    def begin_later(world):
        yield functools.partial(made_by, world.vnic, begin, world)

    return begin_later


def with_mtu(side, mtu):
    return functools.partial(side, mtu=mtu)
