# SPDX-License-Identifier: GPL-2.0-or-later
"""What the gateway says about datagrams that it lost; tests/e2e/gateway_udp.bats says what each function shows."""
import json
import os
import signal

from gateway_world import ip, is_equal, run, until

V4 = "9.9.9.10"  # outside, and of class internet


def figures(box):
    """after its end"""
    is_equal(box.end(), 0)
    return json.loads(box.messages().splitlines()[-1])


def nothing_lost(world):
    port = world.outside.serve_udp(V4)
    box = world.box("--stats", "--json")
    flow = box.open_udp(V4, port)
    box.send(flow, "hello")
    is_equal(box.recv(flow), "hello")
    got = figures(box)
    is_equal([got["udp_unsent"], got["udp_overrun"]], [0, 0])


def many_to_one(world):
    """so that sockets of many flows have the same address, and some are being opened while others are looked for"""
    port = world.outside.serve_udp(V4)
    box = world.box("--stats", "--json")
    is_equal(box.ask_many(V4, port, 6000), [])
    is_equal(figures(box)["failed"], 0)


def overrun(world):
    """a gateway that does not come to take them"""
    port = world.outside.serve_udp(V4)
    box = world.box("--stats", "--json")
    flow = box.open_udp(V4, port)
    box.send(flow, "hello")
    is_equal(box.recv(flow), "hello")
    gateway = box.gateway()
    os.kill(gateway, signal.SIGSTOP)
    box.send_many(flow, 5000, 1400)
    os.kill(gateway, signal.SIGCONT)
    got = figures(box)
    # What was not dropped may still lie in a queue when the sandbox ends.
    assert 0 < got["udp_overrun"] < 5000, got
    is_equal(got["udp_unsent"], 0)


def unsent(world):
    """the host does not let it out any more"""
    port = world.outside.serve_udp(V4)
    box = world.box("--stats", "--json")
    flow = box.open_udp(V4, port)
    box.send(flow, "hello")
    is_equal(box.recv(flow), "hello")
    ip(f"route add prohibit {V4}/32")
    box.send(flow, "you there?")
    until(lambda: box.recv(flow) in ("EACCES", "EHOSTUNREACH"))  # the refusal has come back
    got = figures(box)
    is_equal([got["udp_unsent"], got["udp_overrun"]], [1, 0])


if __name__ == "__main__":
    run(globals())
