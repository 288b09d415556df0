# SPDX-License-Identifier: GPL-2.0-or-later
"""
That bytes arrive as they were sent: {TCP, UDP} x {IPv4, IPv6} x {out, published} x {one port, a range, another port
inside} x {address-bound, any}; tests/e2e/gateway_exact.bats has a test for each protocol and direction.

Outwards "another port" is a client that has chosen its source port, and "address-bound" one that has chosen its
address.  TCP ends first now on the client's side (upload), now on the server's (download).
"""
import itertools

from gateway_agent import pattern_digest
from gateway_world import is_equal, run

SMALL, LARGE, MANY = 2048, 100 << 20, 4 << 20
ANY = {4: "0.0.0.0", 6: "::"}
SERVER = {4: "9.9.9.10", 6: "2620:fe::fe"}  # outside
HOST = {4: "198.51.100.7", 6: "fd77::1"}  # the host, as the outside sees it
SANDBOX = {4: "10.0.2.100", 6: "fd00::100"}
VERSIONS = 4, 6


def same(size, got):
    is_equal(got, f"{size} {pattern_digest(size)}")


# --- what is done over each way ---


def over_tcp(client, address, sink, source, own, large):
    """`own` gives the client's end for each connection; 100 MB go "up", "down", or not at all"""
    for write in 1, 100, SMALL:
        same(SMALL, client.upload(address, sink, SMALL, write, *own()))
    same(SMALL, client.download(address, source, SMALL, *own()))
    if large == "down":
        same(LARGE, client.download(address, source, LARGE, *own()))
    elif large == "up":
        same(LARGE, client.upload(address, sink, LARGE, 1 << 20, *own()))


def over_udp(client, address, port, own):
    for size, write in (SMALL, 16), (SMALL, SMALL), (MANY, 1400), (MANY, 60000):
        same(size, client.there_and_back(address, port, size, write, *own()))


# --- out ---


def ends(version):
    """(bound, another, own): the kinds of a client's end"""
    numbers = itertools.count(20000 + 1000 * version)
    for bound, another in itertools.product((False, True), repeat=2):
        yield bound, another, lambda bound=bound, another=another: (
            SANDBOX[version] if bound else "", next(numbers) if another else 0)


def tcp_out(world):
    with world.box() as box:
        for version in VERSIONS:
            ways = [[world.outside.serve(kind, SERVER[version]) for kind in ("sink", "source")] for _ in range(3)]
            for bound, another, own in ends(version):
                for i, (sink, source) in enumerate(ways[: 1 if another else 3]):
                    large = "" if i else "down" if bound else "up"
                    over_tcp(box, SERVER[version], sink, source, own, large)


def udp_out(world):
    with world.box() as box:
        for version in VERSIONS:
            ports = [world.outside.serve_udp(SERVER[version]) for _ in range(3)]
            for _, another, own in ends(version):
                for port in ports[: 1 if another else 3]:
                    over_udp(box, SERVER[version], port, own)


# --- published ---

# host's port: port inside; the range is one option, and TCP wants two ports of each
RANGES = {"one": (8080, 8080, 2), "range": (8000, 8000, 6), "another": (8090, 90, 2)}


def published(world, protocol):
    """the sandbox, and for each way (version, whether bound, first host port, first port inside, how many)"""
    options, ways = [], []
    for first, inside, count in RANGES.values():
        ports = f"{first}-{first + count - 1}:{inside}-{inside + count - 1}/{protocol}"
        # An address-bound port beside one of any address: 1000 higher on the host.
        bound = f"{first + 1000}-{first + 1000 + count - 1}:{inside}-{inside + count - 1}/{protocol}"
        for spec in ports, f"{HOST[4]}:{bound}", f"[{HOST[6]}]:{bound}":
            options += ["--publish", spec]
        for version in VERSIONS:
            ways += [(version, False, first, inside, count), (version, True, first + 1000, inside, count)]
    return world.box(*options), ways


def nowhere():
    return "", 0


def tcp_published(world):
    box, ways = published(world, "tcp")
    with box:
        for _, inside, count in RANGES.values():
            for version in VERSIONS:
                for i in range(count):
                    box.serve(("sink", "source")[i % 2], ANY[version], inside + i)
        for version, bound, port, _, count in ways:
            over_tcp(world.outside, HOST[version], port + count - 2, port + count - 1, nowhere, "down" if bound else "up")


def udp_published(world):
    box, ways = published(world, "udp")
    with box:
        for _, inside, count in RANGES.values():
            for version in VERSIONS:
                for i in range(count):
                    box.serve_udp(ANY[version], inside + i)
        for version, _, port, _, count in ways:
            over_udp(world.outside, HOST[version], port + count - 1, nowhere)


if __name__ == "__main__":
    run(globals())
