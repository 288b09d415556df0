# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP in large numbers, and none at all; tests/soak/tcp_scale.bats says what each function shows."""
import os

from gateway_tcp import V4, V6, sleeps
from gateway_world import is_equal, run, until

MIB = 1024  # KiB


def tell(text):
    print(f"# {text}", flush=True)


def memory(pid, what):
    """KiB; 0 where we may not look: processes that are not dumpable belong to root"""
    if os.geteuid():
        return 0
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(what + ":"))


def pipes(pid):
    """open ones; 0 where we may not look"""
    if os.geteuid():
        return 0
    fds = f"/proc/{pid}/fd"
    return sum(os.readlink(f"{fds}/{fd}").startswith("pipe:") for fd in os.listdir(fds))


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def ours(box):
    """front, gateway, router's helper and init; init's only child is the command"""
    found, queue = [], [box.process.pid]
    while queue:
        pid = queue.pop()
        with open(f"/proc/{pid}/comm") as comm:
            if not comm.read().startswith("vnic"):
                continue
        found.append(pid)
        queue += children(pid)
    return found


def burst(world):
    count = 5000
    for address in V4, V6:
        port = world.outside.serve_crowd(address)
        with world.box() as box:
            good, seconds = box.crowd(address, port, count)
            again = box.tcp_counters()["RetransSegs"]
            tell(f"{address}: {good} connections at once in {seconds:.2f} s, {again} segments sent again")
            is_equal(good, count)
            is_equal(box.crowd_says("here"), count)
            assert again == 0 or seconds > 1, "a SYN was lost"  # after a second the sandbox sends it again


def many_open(world):
    count = 2500
    ports = {address: world.outside.serve_crowd(address) for address in (V4, V6)}
    with world.box() as box:
        gateway = box.gateway()
        before = memory(gateway, "Rss")
        for address, port in ports.items():
            is_equal(box.crowd(address, port, count)[0], count)
        is_equal(box.crowd_says("x" * 64), 2 * count)
        until(lambda: pipes(gateway) == 0)
        after = memory(gateway, "Rss")
        tell(f"{2 * count} flows are open: the gateway has {after} KiB resident; with none it had {before}")
        assert after < 100 * MIB
        is_equal(box.crowd_says("y" * 64), 2 * count)
        box.crowd_ends()


def long_row(world):
    count, part = 20000, 1000
    for address in V4, V6:
        port = world.outside.serve_crowd(address)
        with world.box() as box:
            for _ in range(count // part):
                is_equal(box.in_a_row(address, port, part), part)
            tell(f"{address}: {count} connections in a row")
        is_equal(world.outside.accepted(address, port), count)


def idle_memory(world):
    with world.box() as box:
        pids = ours(box)
        is_equal(len(pids), 4)
        total = sum(memory(pid, "Pss") for pid in pids)
        tell(f"{len(pids)} processes: {total} KiB")
        assert total < 8 * MIB


def idle(world):
    port = world.outside.serve("hold", V4)
    with world.box() as box:
        sleeps(box, 60)
        box.open_tcp(V4, port)
        sleeps(box, 60)


if __name__ == "__main__":
    run(globals(), 900)
