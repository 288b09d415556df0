# SPDX-License-Identifier: GPL-2.0-or-later
"""Sandboxes in sandboxes, and hosts in the usual network; tests/e2e/gateway_nested.bats says what each shows."""
import os
import subprocess
import sys

import gateway_agent
from gateway_world import VNIC_RUN, ip, is_equal, run

RESOLVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "resolver.py")
INNER = [os.environ["VNIC"], "run"]
DEFAULT_ROUTE = "ip -4 route show default"


def box_in_boxes(world, *levels):
    """the innermost sandbox; each level has its options, the outermost first"""
    words = list(levels[0])
    for options in levels[1:]:
        words += ["--", *INNER, *options]
    return world.box(*words)


def router_of(box):
    return box.sh(DEFAULT_ROUTE).split()[2]


def reaches_the_outside(world):
    port, datagrams = world.outside.serve("echo", "9.9.9.10"), world.outside.serve_udp("9.9.9.10")
    v6 = world.outside.serve("echo", "2620:fe::fe")
    with box_in_boxes(world, [], [], []) as box:
        is_equal(box.talk("9.9.9.10", port, "three deep"), "three deep")
        is_equal(box.talk("2620:fe::fe", v6, "three deep"), "three deep")
        is_equal(box.by_udp("9.9.9.10", datagrams), True)


def pings_the_outside(world):
    """each level's gateway has a ping socket of the sandbox around it"""
    with box_in_boxes(world, [], [], []) as box:
        for address in "9.9.9.10", "2620:fe::fe":
            assert " 1 received" in box.sh(f"ping -n -c1 -W5 {address} || true"), address


def resolves_names(world):
    resolver = subprocess.Popen([sys.executable, RESOLVER, "9.9.9.9", "192.0.2.1"], stdout=subprocess.PIPE)
    with resolver.stdout:
        resolver.stdout.readline()
        with box_in_boxes(world, ["--dns", "9.9.9.9", "--allow", "host"], [], []) as box:
            is_equal(box.sh("getent ahostsv4 name.test").split()[0], "192.0.2.1")
        resolver.kill()
        resolver.wait()


def is_published(world):
    """from the host through each level's published port"""
    with box_in_boxes(world, ["--publish", "7001:7002"], ["--publish", "7002:7003"], ["--publish", "7003:7004"]) as box:
        box.serve("echo", "0.0.0.0", 7004)
        is_equal(world.outside.talk("10.77.0.1", 7001, "three deep"), "three deep")
        is_equal(world.host.talk("127.0.0.1", 7001, "three deep"), "three deep")


def each_level_has_a_network(world):
    with box_in_boxes(world, [], []) as box:
        is_equal(router_of(box), "10.0.3.2")
        is_equal(box.messages().count("\n"), 1)
        assert "the host is 10.0.2.100/24 itself: eth0 is 10.0.3.100/24, and its router 10.0.3.2" in box.messages()


def moves(world):
    """the whole plan: NIC, router, forwarder, and the host's loopback behind the router's address"""
    ip("address add 10.0.2.15/24 dev out0")
    port = world.host.serve("echo", "127.0.0.1")
    with world.box("--allow", "host") as box:
        is_equal(router_of(box), "10.0.3.2")
        assert "nameserver 10.0.3.3" in box.sh("cat /etc/resolv.conf").splitlines()
        is_equal(box.talk("10.0.3.2", port, "loopback"), "loopback")
        is_equal(box.messages().count("\n"), 1)
        assert "the host is 10.0.2.15/24 itself: eth0 is 10.0.3.100/24" in box.messages()


def neighbours_are_reached(world):
    """what shares the usual network with the host is the LAN's, and reached when that is allowed"""
    ip("address add 10.0.2.15/24 dev out0")
    world.outside.sh("ip address add 10.0.2.100/24 dev in0; ip address add 10.0.2.2/24 dev in0")
    port = world.outside.serve("echo", "0.0.0.0")
    with world.box("--allow", "lan") as box:
        for address in "10.0.2.100", "10.0.2.2":
            is_equal(box.talk(address, port, "neighbour"), "neighbour")


def a_choice_stands(world):
    ip("address add 10.0.2.15/24 dev out0")
    with world.box("--nic", "veth,ip=10.0.2.100/24") as box:
        is_equal(router_of(box), "10.0.2.2")
        assert "the host is 10.0.2.15/24 itself: what is there the sandbox looks for at its own eth0" in box.messages()


def ipv6_moves_quietly(world):
    ip("address add fd00::15/64 dev out0 nodad")
    with world.box() as box:
        is_equal(router_of(box), "10.0.2.2")
        assert "default via fd00:0:0:1::2 " in box.sh("ip -6 route show default")
        is_equal(box.messages(), "")


if __name__ == "__main__":
    run(globals())
