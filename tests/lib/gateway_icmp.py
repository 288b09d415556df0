# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP from the sandbox to the outside and back; tests/e2e/gateway_icmp.bats says what each function shows."""
from gateway_egress import DSTOPTS, HOPOPTS
from gateway_world import Agent, ip, is_equal, run, until

V4, V6 = "9.9.9.10", "2620:fe::fe"  # outside, and of class internet
FAR = {"9.9.9.20": "9.9.9.21", "2620:fe::20": "2620:fe::21"}  # beyond a link of MTU 1400, two of a kind
REFUSED = [("unreachable", ["EHOSTUNREACH", 3, 1, 0], ["ENETUNREACH", 1, 0, 0]),
           ("prohibit", ["EHOSTUNREACH", 3, 13, 0], ["EACCES", 1, 1, 0])]


def pings(box, address, *options):
    """
    how many of three were answered; the data too is as it was.  One by one: after its first answer ping waits for others
    no longer than twice that one's time, and its own buffer holds two of 60,000 bytes
    """
    said = box.sh(f"for i in 1 2 3; do ping -n -c1 -W10 {' '.join(options)} {address} || true; done")
    assert "wrong data" not in said, said
    return sum(int(line.split()[3]) for line in said.splitlines() if "transmitted" in line)


def large(world):
    with world.box("--stats") as box:
        for address in V4, V6:
            until(lambda: pings(world.host, address) == 3)  # the kernel is done with the world's own addresses
            for size in 0, 1452, 1472, 1473, 4000, 60000, 65507:
                is_equal([size, pings(box, address, "-s", str(size))], [size, 3])
            said = box.sh(f"ping -n -c5 -i0.01 -w10 {address} || true")
            assert said.count("bytes from") >= 5, said
            is_equal(pings(box, "10.0.2.2" if address == V4 else "fd00::2", "-s", "60000"), 3)
        box.end()
        assert " 0 malformed, 0 ignored, 0 fragments" in box.messages(), box.messages()


def forward(world):
    """the outside is a router, and tells every error"""
    world.outside.sh("""echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
        echo 0 >/proc/sys/net/ipv4/icmp_ratelimit; echo 0 >/proc/sys/net/ipv6/icmp/ratelimit""")


def narrow(world):
    """gives the outside a link of MTU 1400, with FAR behind it"""
    far = Agent(["unshare", "--net"])
    far.sh("ip link set lo up")
    near_mac, far_mac = "02:00:00:00:78:01", "02:00:00:00:78:02"
    world.outside.sh(f"""ip link add narrow mtu 1400 address {near_mac} type veth \\
            peer name wide mtu 1400 address {far_mac} netns {far.process.pid}
        ip link set narrow up; ip address add 10.78.0.1/24 dev narrow; ip address add fd89::1/64 dev narrow nodad
        ip neighbour add 10.78.0.2 lladdr {far_mac} dev narrow; ip neighbour add fd89::2 lladdr {far_mac} dev narrow""")
    far.sh(f"""ip link set wide up
        ip address add 10.78.0.2/24 dev wide; ip address add fd89::2/64 dev wide nodad
        ip neighbour add 10.78.0.1 lladdr {near_mac} dev wide; ip neighbour add fd89::1 lladdr {near_mac} dev wide
        ip route add default via 10.78.0.1; ip -6 route add default via fd89::1""")
    forward(world)
    for address in [*FAR, *FAR.values()]:
        v6 = ":" in address
        far.sh(f"ip address add {address} dev lo" + (" nodad" if v6 else ""))
        world.outside.sh(f"ip route add {address} via {'fd89::2' if v6 else '10.78.0.2'}")
    return far


def too_big(world):
    with narrow(world) as far, world.box() as box:
        for first, second in FAR.items():
            v6 = ":" in first
            told = ["EMSGSIZE", 2, 0, 1400] if v6 else ["EMSGSIZE", 3, 4, 1400]
            port = far.serve_udp(first)
            is_equal(box.udp_fate(first, port, 1452, True), told)
            assert box.by_udp(first, port, 1452) and box.by_udp(first, port, 8000), "the sandbox cuts by itself"
            said = box.sh(f"ping -n -c1 -W5 -M do -s 1452 {second} || true")
            assert "mtu" in said and "1400" in said, said
            is_equal(pings(box, second, "-s", "1452"), 3)
            is_equal(pings(box, second, "-M", "do", "-s", "1352"), 3)


def too_big_for_the_host(world):
    """whose own kernel knows it before anything leaves"""
    ip("route add 9.9.9.11 via 10.77.0.2 mtu 1300")
    ip("-6 route add 2620:fe::fd via fd88::2 mtu 1300")
    world.outside.sh("ip address add 9.9.9.11 dev lo; ip address add 2620:fe::fd dev lo nodad")
    with world.box() as box:
        for address in "9.9.9.11", "2620:fe::fd":
            box.send_bulk(address, world.outside.serve_udp(address), 1452, 20)
            said = world.outside.wait_said(21)
            is_equal([line.split()[2] for line in said], ["1452"] * 21)
            said = box.sh(f"ping -n -c1 -W5 -M do -s 1452 {address} || true")
            assert "mtu" in said and "1300" in said, said
            is_equal(pings(box, address, "-s", "1452"), 3)
            is_equal(pings(box, address, "-s", "4000"), 3)


def unreachable(world):
    forward(world)
    for kind, told4, told6 in REFUSED:
        world.outside.sh(f"ip route replace {kind} 9.9.9.11; ip -6 route replace {kind} 2620:fe::fd")
        with world.box() as box:
            is_equal(box.udp_fate("9.9.9.11", 7, 10), told4)
            is_equal(box.udp_fate("2620:fe::fd", 7, 10), told6)
            for address in "9.9.9.11", "2620:fe::fd":
                said = box.sh(f"ping -n -c1 -W5 {address} || true")
                assert "nreachable" in said or "filtered" in said or "rohibited" in said, said


def forbidden(world):
    with world.box() as box:
        for address in V4, V6, V4:
            is_equal(pings(box, address), 0)
        is_equal(box.messages().count("the host forbids ping sockets"), 1)


forbidden.world = {"ping_sockets": False}


def closed(world):
    with world.box() as box:
        is_equal(box.udp_fate(V4, 9, 10), ["ECONNREFUSED", 3, 3, 0])
        is_equal(box.udp_fate(V6, 9, 10), ["ECONNREFUSED", 1, 4, 0])


def protocols(world):
    """which the router's kernel answers itself, six at once and then one a second"""
    with world.box() as box:
        for proto in 47, 50, 132:
            is_equal(box.raw_fate(V4, proto), ["ENOPROTOOPT", 3, 2, 0])
            is_equal(box.raw_fate(V6, proto), ["EPROTO", 4, 1, 6])


def options(world):
    """of IPv6, in front of what is carried"""
    servers = {"tcp": world.outside.serve("echo", V6), "udp": world.outside.serve_udp(V6), "echo": 0}
    with world.box() as box:
        for headers in [], DSTOPTS, HOPOPTS, HOPOPTS + DSTOPTS:
            for what, port in servers.items():
                assert box.speaks(what, V6, port, headers), (what, headers)
        world.outside.said()
        box.send_atomic("fd00::100", V6, servers["udp"])
        is_equal(world.outside.wait_said(), ["udp fd88::1 10"])


def hops(world):
    with world.box() as box:
        for address, router in (V4, "10.0.2.2"), (V6, "fd00::"):
            until(lambda: pings(world.host, address) == 3)  # the kernel is done with the world's own addresses
            said = box.sh(f"ping -n -c1 -W5 -t1 {address} || true")
            assert f"From {router}" in said and "exceeded" in said, said
            is_equal(pings(box, address, "-t2"), 3)


if __name__ == "__main__":
    run(globals())
