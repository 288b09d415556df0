# SPDX-License-Identifier: GPL-2.0-or-later
"""
The ways out of a sandbox, in tables.  Each is tried where it must succeed, in a sandbox that may do anything (ANY) or,
where no sandbox can go it, on the host itself (HOST); then in a sandbox as it is by default, where it must fail.
"""
from gateway_world import OWN, ip, is_equal, run, until

ANY, HOST = "a sandbox with --allow any", "the host"

TCP, UDP, DNS = 7001, 7002, 53
TRIES = 20  # of what must get through: each waits for so short a time that a loaded machine may miss it
DSTOPTS, HOPOPTS = [(41, 59, "0000010400000000")], [(41, 54, "0000010400000000")]  # padding, and nothing else
LAN = ["192.168.77.1", "10.99.0.1", "172.16.5.1", "100.64.0.1", "10.77.0.2", "fd77:1::1", "fd88::2"]
METADATA = ["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"]
RESERVED = ["192.0.2.1", "198.18.0.1", "2001:db8:1::1"]
EMBEDDED = ["64:ff9b::c0a8:4d01", "2002:c0a8:4d01::1", "2001:0:1::3f57:b2fe"]  # all 192.168.77.1

HOST_WAYS = [
    *[(ANY, "by_tcp", a, TCP) for a in ["10.0.2.2", "fd00::2", "10.77.0.1", "fd88::1", *OWN]],
    *[(ANY, "by_mapped_tcp", a, TCP) for a in ("10.0.2.2", "198.51.100.7")],
    *[(HOST, "by_tcp", a, TCP) for a in ("127.0.0.1", "127.1.2.3", "0.0.0.0", "::1", "::")],
    *[(HOST, "by_mapped_tcp", a, TCP) for a in ("127.0.0.1", "0.0.0.0")],
    *[(ANY, "by_udp", a, UDP) for a in ("10.0.2.2", "fd00::2", "198.51.100.7", "10.77.0.1", "fd77::1")],
    (ANY, "by_udp", "10.0.2.2", UDP, 4000),  # in fragments
    (HOST, "by_udp", "127.0.0.1", UDP),
    *[(ANY, "by_ping", a) for a in ("198.51.100.7", "fd77::1")],
    (HOST, "by_abstract", "vnic-gateway-test"),
]

OUTSIDE_WAYS = [
    *[(ANY, "by_tcp", a, TCP) for a in [*LAN, *METADATA, *RESERVED, *EMBEDDED]],
    *[(ANY, "by_mapped_tcp", a, TCP) for a in ("192.168.77.1", "169.254.169.254")],
    *[(ANY, "by_udp", a, UDP) for a in ("192.168.77.1", "fd77:1::1", "169.254.169.254", *EMBEDDED)],
    *[(ANY, "by_ping", a) for a in ("192.168.77.1", "fd77:1::1", "169.254.169.254")],
    (ANY, "by_tcp", "10.99.0.1", DNS),
    (ANY, "by_udp", "10.99.0.1", DNS),
    *[(ANY, "by_udp", a, UDP, 4000) for a in ("192.168.77.1", "fd77:1::1")],
    *[(ANY, "by_udp", "fd77:1::1", UDP, 10, "", "", options) for options in (DSTOPTS, HOPOPTS)],
    (HOST, "by_udp", "fd77:1::1", UDP, 4000, "", "", DSTOPTS),
    (HOST, "by_tcp", "240.0.0.1", TCP),
]

GROUP_WAYS = [
    (HOST, "by_udp", address, UDP, 10, "", "{device}")
    for address in ("224.0.0.251", "239.1.2.3", "ff02::fb%{device}", "ff05::fb", "10.77.0.255", "255.255.255.255")
]


def attempt(agent, way, device):
    _, verb, *args = way
    return getattr(agent, verb)(*(a.format(device=device) if isinstance(a, str) else a for a in args))


def check(world, ways):
    wrong = []
    with world.box() as closed, world.box("--allow", "any") as opened:
        for way in ways:
            control, device = (opened, "eth0") if way[0] == ANY else (world.host, "out0")
            if not any(attempt(control, way, device) for _ in range(TRIES)):
                wrong.append(f"{way[1:]} does not even work in {way[0]}")
            if attempt(closed, way, "eth0"):
                wrong.append(f"{way[1:]} gets out")
        for address in "9.9.9.10", "2620:fe::fe":
            assert any(closed.by_tcp(address, TCP) for _ in range(TRIES)), "by default nothing is reached"
    print(f"# {len(ways)} ways out")
    is_equal(wrong, [])


def host(world):
    for address in "0.0.0.0", "::":
        world.host.serve("greet", address, TCP)
        world.outside.serve("greet", address, TCP)
    for address in ["127.0.0.1", "::1", "10.77.0.1", *OWN]:
        world.host.serve_udp(address, UDP)
    world.host.serve_abstract("vnic-gateway-test")
    check(world, HOST_WAYS)


def serve_outside(world):
    for port in TCP, DNS:
        for address in "0.0.0.0", "::":
            world.outside.serve("greet", address, port)
    for address in ["9.9.9.10", *LAN, *METADATA, *EMBEDDED]:
        world.outside.serve_udp(address, UDP)
    world.outside.serve_udp("10.99.0.1", DNS)


def outside(world):
    serve_outside(world)
    check(world, OUTSIDE_WAYS)


def groups(world):
    for address in "0.0.0.0", "::":
        world.outside.serve("greet", address, TCP)
    world.outside.serve_udp("0.0.0.0", UDP, ["224.0.0.251", "239.1.2.3"], "in0")
    world.outside.serve_udp("::", UDP, ["ff02::fb", "ff05::fb"], "in0")
    ip("-6 route add multicast ff05::/16 dev out0 table local")
    check(world, GROUP_WAYS)


# Packets made by hand get no answer: what came of them is asked outside, after one that always arrives.


def came(world, agent):
    agent.by_udp("9.9.9.10", UDP, 77)
    lines = []
    while not lines or not lines[-1].endswith(" 77"):
        lines += world.outside.wait_said()
    return lines[:-1]


def protocols(world):
    """neither TCP, UDP nor ICMP"""
    serve_outside(world)
    addresses = ["192.168.77.1", "9.9.9.10", "fd77:1::1", "2620:fe::fe"]
    ways = [(address, proto) for address in addresses for proto in (4, 47, 132)]
    for way in ways:
        world.outside.serve_raw(*way)
    with world.box("--allow", "any") as box:
        for address, proto in ways:
            world.host.by_raw(address, proto)
            is_equal(world.outside.wait_said(), [f"raw {proto} {'fd88::1' if ':' in address else '10.77.0.1'}"])
            box.by_raw(address, proto)
            is_equal(came(world, box), [])
    print(f"# {len(ways)} ways out")


def packets(world):
    """from a packet socket, past the sandbox's own kernel"""
    serve_outside(world)
    ways = ["192.168.77.1", "169.254.169.254", "10.77.0.2"]
    with world.box() as closed, world.box("--allow", "any") as opened:
        for address in ways:
            opened.send_datagram("10.0.2.100", address, UDP)
            is_equal(world.outside.wait_said(), ["udp 10.77.0.1 10"])
            closed.send_datagram("10.0.2.100", address, UDP)
            is_equal(came(world, closed), [])
        world.host.serve_udp("127.0.0.1", UDP)
        assert world.host.by_udp("127.0.0.1", UDP)
        world.host.said()
        for box in closed, opened:
            for address in "127.0.0.1", "0.0.0.0", "10.0.2.255", "255.255.255.255":
                box.send_datagram("10.0.2.100", address, UDP)
                is_equal(came(world, box), [])
        is_equal(world.host.said(), [])
    print(f"# {len(ways) + 4} ways out")


def spoofed(world):
    """no source but the sandbox's own, not even to where it may go"""
    serve_outside(world)
    syns = lambda: world.outside.accepted("0.0.0.0", TCP)
    sources = ["192.168.77.9", "127.0.0.1", "10.77.0.1", "9.9.9.10", "198.51.100.7", "224.0.0.1", "255.255.255.255"]
    with world.box("--allow", "any") as box:
        box.send_datagram("10.0.2.100", "9.9.9.10", UDP)
        is_equal(world.outside.wait_said(), ["udp 10.77.0.1 10"])
        box.send_syns("9.9.9.10", TCP, 4000)
        until(lambda: syns() == 1)
        for source in sources:
            box.send_datagram(source, "9.9.9.10", UDP)
            box.send_syns("9.9.9.10", TCP, 4001, 1, source)
            is_equal(came(world, box), [])
        assert box.by_tcp("9.9.9.10", TCP)
        until(lambda: syns() >= 2)
        is_equal(syns(), 2)
    print(f"# {2 * len(sources)} ways out")


def cut_syns(world):
    """of which each fragment alone says too little"""
    serve_outside(world)
    world.outside.serve_raw("192.168.77.1", 6)
    world.host.send_cut_syn("10.77.0.1", "192.168.77.1", TCP, 4000)
    is_equal(set(world.outside.wait_said(2)), {"raw 6 10.77.0.1"})  # and the kernel's reset
    with world.box() as box:
        box.send_cut_syn("10.0.2.100", "192.168.77.1", TCP, 4000)
        assert box.by_tcp("9.9.9.10", TCP)
        is_equal(came(world, box), [])
    print("# 1 way out")


if __name__ == "__main__":
    run(globals())
