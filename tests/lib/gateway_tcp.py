# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP from the sandbox to the outside; tests/e2e/gateway_tcp.bats says what each function shows."""
import fcntl
import itertools
import os
import time

from gateway_agent import pattern_digest
from gateway_world import ip, is_equal, run, until

V4, V6 = "9.9.9.10", "2620:fe::fe"  # outside, and of class internet
AT_ONCE = 0.5  # less than the second after which a SYN is sent again


def failed_at_once(got, *wanted):
    assert got[0] in wanted and got[1] < AT_ONCE, f"wanted one of {wanted} at once, got {got}"


def status(pid, key):
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key + ":"))


def connects(world):
    with world.box() as box:
        for address in V4, V6:
            port = world.outside.serve("greet", address)
            is_equal(box.hello(address, port), "10.77.0.1" if address == V4 else "fd88::1")
        is_equal(box.messages(), "")


def refused(world):
    with world.box() as box:
        for address in V4, V6:
            failed_at_once(box.try_tcp(address, 9), "ECONNREFUSED")


def unreachable(world):
    for route in "-4 blackhole 9.9.9.11", "-4 unreachable 9.9.9.12", "-6 unreachable 2620:fe::ff":
        version, kind, address = route.split()
        ip(f"{version} route add {kind} {address}")
    ip("-4 route delete default")
    with world.box() as box:
        failed_at_once(box.try_tcp("9.9.9.13", 80), "ENETUNREACH")
        for address in "9.9.9.12", "2620:fe::ff":
            failed_at_once(box.try_tcp(address, 80), "EHOSTUNREACH", "ENETUNREACH")


def switched_off(world):
    """IPv6, on the host; its address is not one of the host's own because of that"""
    for link in "all", "default", "lo", "out0":
        with open(f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6", "w") as switch:
            switch.write("1")
    with world.box() as box:
        failed_at_once(box.try_tcp(V6, 80), "ENETUNREACH")
        is_equal(box.messages(), "")


def denied(world):
    with world.box("--deny", V4 + ":7777") as box:
        for address, option in ("192.168.77.1", "--allow lan"), ("fd77:1::1", "--allow lan"), \
                ("10.0.2.2", "--allow host"), ("fd00::2", "--allow host"), ("198.51.100.7", "--allow host"), \
                ("169.254.169.254", "--allow 169.254.169.254"):
            got = box.try_tcp(address, 80)
            failed_at_once(got, "EHOSTUNREACH", "ENETUNREACH", "EACCES", "ECONNREFUSED")
            until(lambda: option in box.messages(), 5)
        failed_at_once(box.try_tcp(V4, 7777), "EHOSTUNREACH", "EACCES")
        until(lambda: len(box.messages().splitlines()) >= 4, 5)
        assert len(box.messages().splitlines()) == 4, box.messages()  # one for a kind: lan, host, special, internet


def client_ends_first(world):
    for address in V4, V6:
        port = world.outside.serve("sink", address)
        with world.box() as box:
            is_equal(box.talk(address, port, "all of it").split()[0], "9")


def server_ends_first(world):
    for address in V4, V6:
        port = world.outside.serve("source", address)
        with world.box() as box:
            is_equal(box.download(address, port, 2048), f"2048 {pattern_digest(2048)}")
        is_equal(world.outside.wait_said(), ["goodbye"])


def port_again(world):
    """the router's end of each connection waits in TIME-WAIT when the next one comes"""
    with world.box() as box:
        for address in V4, V6:
            port = world.outside.serve("source", address)
            for _ in range(5):
                start = time.monotonic()
                is_equal(box.download(address, port, 2048, "", 40000), f"2048 {pattern_digest(2048)}")
                assert time.monotonic() - start < AT_ONCE, "the SYN was lost"


def server_resets(world):
    port = world.outside.serve("reset", V4)
    with world.box() as box:
        client = box.open_tcp(V4, port)
        box.send(client, "x")
        is_equal(box.recv(client), "ECONNRESET")


def client_resets(world):
    port = world.outside.serve("hold", V4)
    with world.box() as box:
        box.abort(box.open_tcp(V4, port))
        is_equal(world.outside.wait_said(), ["ECONNRESET"])


def transfer(world, size, writes):
    wanted = f"{size} {pattern_digest(size)}"
    with world.box() as box:
        for address in V4, V6:
            sink, source = world.outside.serve("sink", address), world.outside.serve("source", address)
            for write in writes:
                is_equal(box.upload(address, sink, size, write), wanted)
            is_equal(box.download(address, source, size), wanted)


def small(world):
    transfer(world, 2048, [1, 100, 2048])


def large(world):
    transfer(world, 100 << 20, [1 << 20])


def odd_writes(world):
    transfer(world, 10 << 20, [1400, 65537])


def both_ways(world):
    """100 MB in each direction of two connections at the same time"""
    size = 100 << 20
    sink, source = world.outside.serve("sink", V4), world.outside.serve("source", V6)
    with world.box() as up:
        up.begin("upload", V4, sink, size, 1 << 20)
        with world.box() as down:
            is_equal(down.download(V6, source, size), f"{size} {pattern_digest(size)}")
        is_equal(up.finish(), f"{size} {pattern_digest(size)}")


def in_a_row(world):
    port = world.outside.serve("echo", V4)
    with world.box() as box:
        is_equal(box.in_a_row(V4, port, 2000), 2000)
    is_equal(world.outside.accepted(V4, port), 2000)


def at_once(world):
    for address in V4, V6:
        port = world.outside.serve("echo", address)
        with world.box() as box:
            is_equal(box.at_once(address, port, 500), 500)
        is_equal(world.outside.accepted(address, port), 500)


def retransmitted(world):
    port = world.outside.serve("hold", V4)
    with world.box() as box:
        box.send_syns(V4, port, 4001, 5)
        # What comes after them on the same way has arrived when this one has.
        box.open_tcp(V4, port)
        until(lambda: world.outside.accepted(V4, port) >= 2, 5)
        is_equal(world.outside.accepted(V4, port), 2)


def data_in_syn(world):
    for address in V4, V6:
        port = world.outside.serve("echo", address)
        with world.box() as box:
            for size in 10, 1000:
                got, seconds = box.talk_fast(address, port, "x" * size)
                is_equal(got, "x" * size + "!")
                assert seconds < AT_ONCE, f"{size} bytes took {seconds} s"
            is_equal(box.tcp_counters()["ActiveOpens"], 2)
        is_equal(world.outside.accepted(address, port), 2)


def opens_nothing(world, send):
    port = world.outside.serve("echo", V4)
    with world.box() as box:
        send(box, port)
        is_equal(box.talk(V4, port, "me"), "me")  # what came before it on the same way was looked at before it
        is_equal(world.outside.accepted(V4, port), 1)


def syn_and_fin(world):
    opens_nothing(world, lambda box, port: box.send_odd_syn(V4, port, 4003, 2 | 1))


def port_zero(world):
    with world.box() as box:
        for address in V4, V6:
            failed_at_once(box.try_tcp(address, 0), "ECONNREFUSED")


def cut_syn(world):
    opens_nothing(world, lambda box, port: box.send_cut_syn("10.0.2.100", V4, port, 4004))


def unclaimed(world):
    port = world.outside.serve("hold", V4)
    with world.box() as box:
        box.send_syns(V4, port, 4002)
        until(lambda: world.outside.accepted(V4, port) == 1, 5)
        assert world.outside.wait_said()[0] in ("end", "ECONNRESET")


def killed_client(world):
    """a flow in the middle of a transfer"""
    port = world.outside.serve("source", V4)
    with world.box() as box:
        box.kill_while_reading(V4, port)
        assert world.outside.wait_said()[0] in ("ECONNRESET", "EPIPE")


def sleeps(box, seconds=5):
    """no voluntary context switch in so many seconds, once what was begun before is over, however long that takes here"""
    gateway = box.gateway()
    last = [-1, time.monotonic()]

    def is_quiet():
        now = status(gateway, "voluntary_ctxt_switches")
        if now != last[0]:
            last[:] = now, time.monotonic()
        return time.monotonic() - last[1] > seconds

    until(is_quiet, 45)


def idle(world):
    port = world.outside.serve("hold", V4)
    with world.box() as box:
        sleeps(box)
        box.open_tcp(V4, port)
        sleeps(box)


def without_pipes(world):
    """pages of pipes are limited by user, and we are the gateway's"""
    hoard = [os.pipe() for _ in range(80)]
    refused = 0
    for _, end in hoard:
        try:
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 1 << 20)
        except PermissionError:
            refused += 1
    assert refused, "there is no limit"
    large(world)
    for end in itertools.chain(*hoard):
        os.close(end)


def turns(world):
    source = world.outside.serve("source", V4)
    with world.box() as box:
        gateway = box.gateway()
        is_equal(os.sched_getscheduler(gateway), os.SCHED_OTHER)
        box.begin("download", V4, source, 300 << 20)
        until(lambda: os.sched_getscheduler(gateway) == os.SCHED_BATCH)
        box.finish()
        until(lambda: os.sched_getscheduler(gateway) == os.SCHED_OTHER)


def descriptors(world):
    echo, source = world.outside.serve("echo", V4), world.outside.serve("source", V4)
    with world.box() as box:
        gateway = box.gateway()
        count = lambda: len(os.listdir(f"/proc/{gateway}/fd"))
        before = count()
        is_equal(box.at_once(V4, echo, 200), 200)
        box.download(V4, source, 10 << 20)
        box.try_tcp(V4, 9)
        until(lambda: count() == before)


if __name__ == "__main__":
    run(globals())
