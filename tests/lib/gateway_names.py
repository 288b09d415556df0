# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules with names: what a sandbox reaches by them, and what it does not."""
from gateway_world import is_equal, run

PORT, OTHER = 443, 80
FORWARDER = "10.0.2.3"
# The resolver in the world outside, and what lets it be asked.
RESOLVER = ("--dns", "192.168.77.1", "--allow", "192.168.77.1:53")
SITE, SITE6, NEIGHBOUR = "9.9.9.10", "2620:fe::fe", "9.9.9.12"
BIG = [f"9.9.8.{i}" for i in range(1, 101)]
NAMES = {
    "site.example": (60, SITE, SITE6),
    "alias.example": (60, "=site.example"),
    "www.site.example": (60, NEIGHBOUR),
    "other.example": (60, NEIGHBOUR),
    "both.example": (60, SITE),
    "hinted.example": (60, "+" + SITE, "+" + SITE6, "+10.99.0.1"),
    "big.example": (60, *BIG),
    # What their owner has no business to name.
    "lan.example": (60, "10.99.0.1", "fd77:1::1"),
    "metadata.example": (60, "169.254.169.254"),
    "host.example": (60, "203.0.113.9", "9.9.9.9", "2620:fe::9"),
    "router.example": (60, "10.0.2.2", "127.0.0.1"),
    "embeds.example": (60, "64:ff9b::c0a8:4d01", "2002:c0a8:4d01::1"),
}


def serve(world):
    world.outside.sh(f"ip address add {NEIGHBOUR} dev lo; ip address add {BIG[-1]} dev lo")
    world.outside.serve_names("192.168.77.1", NAMES)
    for port in PORT, OTHER:
        for address in "0.0.0.0", "::":
            world.outside.serve("greet", address, port)
            world.host.serve("greet", address, port)
        world.outside.serve_udp(SITE, port)


def confined(world, *options):
    serve(world)
    return world.box("--deny", "any", *RESOLVER, *options)


def told(box, name):
    """both families"""
    return sum(box.ask_name(FORWARDER, name, kind) for kind in (1, 28))


def told_first(world):
    """an address is open once the sandbox was told it, for the ports and protocols of the rule"""
    with confined(world, "--allow", f"Site.Example.:{PORT}") as box:
        assert not box.by_tcp(SITE, PORT)
        is_equal(box.ask_name(FORWARDER, "site.example"), 1)
        assert box.by_tcp(SITE, PORT)
        assert box.by_udp(SITE, PORT)
        assert not box.by_tcp(SITE, OTHER)
        assert not box.by_udp(SITE, OTHER)
        assert not box.by_ping(SITE)
        assert not box.by_tcp(SITE6, PORT)  # nobody asked for it yet
        is_equal(box.ask_name(FORWARDER, "SITE.example", 28), 1)
        assert box.by_tcp(SITE6, PORT)
        assert not box.by_tcp(NEIGHBOUR, PORT)


def kinds(world):
    """a protocol of its own, ping too; an alias leads where it leads"""
    with confined(world, "--allow", "alias.example/tcp", "--allow", "alias.example/icmp") as box:
        is_equal(box.ask_name(FORWARDER, "alias.example"), 2)
        assert box.by_tcp(SITE, OTHER)
        assert box.by_ping(SITE)
        assert not box.by_udp(SITE, PORT)


def hints(world):
    """browsers connect to the addresses in an HTTPS record before they have asked for others"""
    with confined(world, "--allow", "*.example") as box:
        is_equal(box.ask_name(FORWARDER, "hinted.example", 65), 3)
        assert box.by_tcp(SITE, PORT) and box.by_tcp(SITE6, PORT)
        assert not box.by_tcp("10.99.0.1", PORT)
        assert not box.by_tcp(NEIGHBOUR, PORT)


def below(world):
    """a wildcard has the names below, and not the name itself, nor one that merely ends alike"""
    with confined(world, "--allow", "*.site.example") as box:
        told(box, "site.example"), told(box, "both.example")
        assert not box.by_tcp(SITE, PORT)
        is_equal(told(box, "other.example"), 1)
        assert not box.by_tcp(NEIGHBOUR, PORT)  # the same address, by a name that is in no rule
        is_equal(told(box, "www.site.example"), 1)
        assert box.by_tcp(NEIGHBOUR, PORT)
        told(box, "other.example")
        assert box.by_tcp(NEIGHBOUR, PORT)  # which does not take it away again


def rebinding(world):
    """a name opens neither the LAN nor metadata services nor the host, whatever its addresses are"""
    reached = {
        "lan": ["10.99.0.1", "fd77:1::1"], "metadata": ["169.254.169.254"],
        "host": ["203.0.113.9", "9.9.9.9", "2620:fe::9"], "router": ["10.0.2.2"],
        "embeds": ["64:ff9b::c0a8:4d01", "2002:c0a8:4d01::1"],
    }  # fmt: skip
    with confined(world, "--allow", "*.example") as box, world.box("--allow", "any") as opened:
        for name, addresses in reached.items():
            assert told(box, f"{name}.example") >= len(addresses), name
            for address in addresses:
                assert opened.by_tcp(address, PORT), address
                assert not box.by_tcp(address, PORT), address


def denied_network(world):
    """a rule about a network is above one about a name"""
    with confined(world, "--allow", "site.example", "--deny", "9.9.9.0/24") as box:
        is_equal(told(box, "site.example"), 2)
        assert not box.by_tcp(SITE, PORT)
        assert box.by_tcp(SITE6, PORT)


def large(world):
    """what does not fit into a datagram is learnt all the same"""
    with confined(world, "--allow", "big.example") as box:
        is_equal(box.ask_name(FORWARDER, "big.example"), "truncated")
        assert box.by_tcp(BIG[-1], PORT)
        is_equal(box.ask_name_by_tcp(FORWARDER, "big.example"), len(BIG))
    with confined_again(world, "--allow", "big.example") as box:
        is_equal(box.ask_name(FORWARDER, "big.example", 1, 4096), len(BIG))
        assert box.by_tcp(BIG[-1], PORT)


def confined_again(world, *options):
    return world.box("--deny", "any", *RESOLVER, *options)


def said(world):
    """a denial says which name to allow, each once, and where a name cannot help which address or class"""
    with confined(world) as box:  # no rule has a name yet
        assert not box.by_tcp("9.9.8.1", PORT)
        told(box, "other.example"), told(box, "both.example"), told(box, "lan.example")
        for _ in range(2):
            for address in NEIGHBOUR, SITE, "10.99.0.1", "9.9.8.2":
                assert not box.by_tcp(address, PORT)
    is_equal(
        box.messages(),
        f"vnic: warning: denied: TCP to 9.9.8.1 port {PORT}; '--allow 9.9.8.1' would allow it\n"
        f"vnic: warning: denied: TCP to {NEIGHBOUR} port {PORT}; '--allow other.example' would allow it\n"
        f"vnic: warning: denied: TCP to {SITE} port {PORT}; '--allow both.example' would allow it\n"
        f"vnic: warning: denied: TCP to 10.99.0.1 port {PORT}; '--allow lan' would allow it\n",
    )


def said_enough(world):
    """the sandbox chooses the names that it asks for, so there is an end to telling them"""
    with confined(world, "--allow", "site.example", "--dns", "allowed") as box:
        for _ in range(2):
            for i in range(40):
                is_equal(box.ask_name(FORWARDER, f"secret{i}.example"), "REFUSED")
    is_equal(
        box.messages(),
        "".join(
            f"vnic: warning: denied: the question for secret{i}.example; '--allow secret{i}.example' would allow it\n"
            for i in range(32)
        ),
    )


def by_tcp(world):
    """what is told over TCP is learnt, of every question of a connection, however it is cut"""
    with confined(world, "--allow", "*.example") as box:
        is_equal(box.ask_name_by_tcp(FORWARDER, "site.example"), 1)
        assert box.by_tcp(SITE, PORT)
        assert not box.by_tcp(NEIGHBOUR, PORT)
        names = ["nowhere.example", "big.example", "lan.example", "other.example"]
        is_equal(box.ask_names_by_tcp(FORWARDER, names, 1, 7), [0, len(BIG), 1, 1])
        assert box.by_tcp(NEIGHBOUR, PORT) and box.by_tcp(BIG[-1], PORT)
        assert not box.by_tcp("10.99.0.1", PORT)
        is_equal(box.ask_name_by_tcp("fd00::3", "site.example", 28), 1)
        assert box.by_tcp(SITE6, PORT)


def only_allowed(world):
    """with --dns allowed no question about other names leaves, whether by UDP or by TCP"""
    with confined(world, "--allow", "*.site.example", "--dns", "allowed") as box:
        # Nor by the resolver that the policy opens for the forwarder.
        for server in FORWARDER, "192.168.77.1":
            is_equal(box.ask_name(server, "www.site.example"), 1)
            is_equal(box.ask_name(server, "secret.other.example"), "REFUSED")
            is_equal(box.ask_name_by_tcp(server, "www.site.example"), 1)
            is_equal(box.ask_name_by_tcp(server, "secret.by-tcp.example"), "REFUSED")
            names = ["www.site.example", "secret.other.example", "www.site.example", "site.example"]
            is_equal(box.ask_names_by_tcp(server, names), [1, "REFUSED", 1, "REFUSED"])
        assert box.by_tcp(NEIGHBOUR, PORT)
    secrets = "secret.other.example", "secret.by-tcp.example", "site.example"
    is_equal(
        box.messages(),
        "".join(f"vnic: warning: denied: the question for {s}; '--allow {s}' would allow it\n" for s in secrets),
    )
    asked = world.outside.names_asked()
    assert "www.site.example" in asked and not set(asked) & set(secrets), asked


def only_allowed_large(world):
    """the same as without: what does not fit is asked for over TCP"""
    with confined(world, "--allow", "big.example", "--dns", "allowed") as box:
        is_equal(box.ask_name(FORWARDER, "big.example"), "truncated")
        is_equal(box.ask_name_by_tcp(FORWARDER, "big.example"), len(BIG))
        is_equal(box.ask_name(FORWARDER, "big.example", 1, 4096), len(BIG))
        assert box.by_tcp(BIG[-1], PORT)


def said_whole(world):
    """the longest name there is stands twice in a line"""
    name = ".".join(["n" * 63] * 3 + ["m" * 61])
    is_equal(len(name), 253)
    with confined(world, "--allow", "site.example", "--dns", "allowed") as box:
        is_equal(box.ask_name(FORWARDER, name), "REFUSED")
    is_equal(
        box.messages(),
        f"vnic: warning: denied: the question for {name}; '--allow {name}' would allow it\n",
    )


def no_remedy(world):
    """a name that no rule can have is not proposed as one"""
    with confined(world, "--allow", "site.example", "--dns", "allowed") as box:
        is_equal(box.ask_name(FORWARDER, "printer"), "REFUSED")
    is_equal(box.messages(), "vnic: warning: denied: the question for printer, as '--dns allowed' says\n")


if __name__ == "__main__":
    run(globals())
