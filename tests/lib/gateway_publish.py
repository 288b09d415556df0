# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP from the outside into the sandbox; tests/e2e/gateway_publish.bats says what each function shows."""
import socket
import subprocess

import gateway_agent
from gateway_agent import pattern_digest
from gateway_world import VNIC_RUN, is_equal, run, until

# The host as the outside sees it, and whom the sandbox sees then.
HOSTS = {"10.77.0.1": "10.77.0.2", "fd88::1": "fd88::2", "198.51.100.7": "10.77.0.2"}
ANY = {4: "0.0.0.0", 6: "::"}


def publish(world, *ports):
    return world.box(*(word for port in ports for word in ("--publish", port)))


def serve_both(box, kind, port):
    """in a namespace where "::" does not take IPv4, too"""
    for version in 4, 6:
        box.serve(kind, ANY[version], port)


def one_port(world):
    with publish(world, "8080:8080") as box:
        serve_both(box, "greet", 8080)
        for host, client in HOSTS.items():
            is_equal(world.outside.hello(host, 8080), client)


def another_port(world):
    with publish(world, "8080:80") as box:
        serve_both(box, "greet", 80)
        for host, client in HOSTS.items():
            is_equal(world.outside.hello(host, 8080), client)
            is_equal(world.outside.try_tcp(host, 80)[0], "ECONNREFUSED")


def a_range(world):
    with publish(world, "8000-8009:9000-9009") as box:
        for port in range(9000, 9010):
            box.serve("port", ANY[4], port)
            box.serve("port", ANY[6], port)
        for host in HOSTS:
            for i in range(10):
                is_equal(world.outside.hello(host, 8000 + i), str(9000 + i))
            for port in 7999, 8010:
                is_equal(world.outside.try_tcp(host, port)[0], "ECONNREFUSED")


def bound(world):
    with publish(world, "198.51.100.7:8080:80", "[fd88::1]:8081:80", "127.0.0.1:8082:80") as box:
        serve_both(box, "greet", 80)
        is_equal(world.outside.hello("198.51.100.7", 8080), "10.77.0.2")
        is_equal(world.outside.try_tcp("10.77.0.1", 8080)[0], "ECONNREFUSED")
        is_equal(world.outside.hello("fd88::1", 8081), "fd88::2")
        is_equal(world.outside.try_tcp("10.77.0.1", 8081)[0], "ECONNREFUSED")
        is_equal(world.outside.try_tcp("10.77.0.1", 8082)[0], "ECONNREFUSED")
        is_equal(world.host.hello("127.0.0.1", 8082), "10.0.2.2")


def sources(world):
    """those that cannot be a source inside become the router's"""
    with publish(world, "8080:80") as box:
        serve_both(box, "greet", 80)
        is_equal(world.host.hello("127.0.0.1", 8080), "10.0.2.2")
        is_equal(world.host.hello("::1", 8080), "fd00::2")
        # A client whose address is the sandbox's own.
        world.outside.sh("ip address add 10.0.2.100/32 dev lo")
        is_equal(world.outside.hello_from("10.0.2.100", "10.77.0.1", 8080), "10.0.2.2")
        is_equal(world.outside.hello_from("192.168.77.1", "10.77.0.1", 8080), "192.168.77.1")
        is_equal(world.outside.hello_from("2620:fe::fe", "fd88::1", 8080), "2620:fe::fe")


def localhost(world):
    """who comes in the router's name, as from ::1, reaches a server of the other family, and only he"""
    with publish(world, "8080", "8081") as box:
        box.serve("greet", ANY[4], 8080)
        box.serve("greet", ANY[6], 8081)
        for _ in range(2):
            is_equal(world.host.hello("::1", 8080), "10.0.2.2")
            is_equal(world.host.hello("127.0.0.1", 8081), "fd00::2")
        is_equal(world.outside.try_hello("fd88::1", 8080), "ECONNRESET")
        is_equal(world.outside.try_hello("10.77.0.1", 8081), "ECONNRESET")


def same_tuple(world):
    """two published ports lead to one inside; the second connection from the client's same port has another one"""
    with publish(world, "8080:80", "8081:80") as box:
        box.serve("echo", ANY[4], 80)
        clients = [world.outside.open_from("10.77.0.2", 5555, "10.77.0.1", port) for port in (8080, 8081)]
        for client in clients:
            world.outside.send(client, f"I am {client}")
        for client in clients:
            is_equal(world.outside.recv(client), f"I am {client}")


def in_use(world):
    for address, text in ("0.0.0.0", "0.0.0.0:8080"), ("::", "[::]:8080"):
        world.host.serve("greet", address, 8080)
        ran = subprocess.run([*VNIC_RUN, "--publish", text + ":80", "--", "true"], capture_output=True, text=True)
        is_equal(ran.returncode, 125)
        lines = ran.stderr.splitlines()
        assert len([line for line in lines if not line.startswith("  try: ")]) == 1 and text in lines[0] and \
            "Address already in use" in lines[0], ran.stderr


def free_again(world):
    for _ in range(20):
        subprocess.run([*VNIC_RUN, "--publish", "8000-8009:80-89", "--", "true"], check=True)
        gateway_agent.bound_port("0.0.0.0", 8000, 10)


def udp_one_port(world):
    """wildcard-bound: the answer comes from the address that was asked, and the client's own address is seen"""
    with publish(world, "8080:53/udp") as box:
        for version in 4, 6:
            box.greet_udp(ANY[version], 53)
        for host, client in HOSTS.items():
            is_equal(world.outside.ask_udp(host, 8080), f"{client} 53")
        is_equal(world.outside.ask_udp("fd77::1", 8080), "fd88::2 53")


def udp_a_range(world):
    with publish(world, "8000-8009:9000-9009/udp") as box:
        for port in range(9000, 9010):
            for version in 4, 6:
                box.greet_udp(ANY[version], port)
        for host, client in HOSTS.items():
            for i in range(10):
                is_equal(world.outside.ask_udp(host, 8000 + i), f"{client} {9000 + i}")
            for port in 7999, 8010:
                is_equal(world.outside.ask_udp(host, port), "ECONNREFUSED")


def udp_bound(world):
    with publish(world, "198.51.100.7:8080:80/udp", "[fd88::1]:8081:80/udp", "127.0.0.1:8082:80/udp") as box:
        for version in 4, 6:
            box.greet_udp(ANY[version], 80)
        is_equal(world.outside.ask_udp("198.51.100.7", 8080), "10.77.0.2 80")
        is_equal(world.outside.ask_udp("10.77.0.1", 8080), "ECONNREFUSED")
        is_equal(world.outside.ask_udp("fd88::1", 8081), "fd88::2 80")
        is_equal(world.outside.ask_udp("fd77::1", 8081), "ECONNREFUSED")
        is_equal(world.outside.ask_udp("10.77.0.1", 8082), "ECONNREFUSED")
        is_equal(world.host.ask_udp("127.0.0.1", 8082), "10.0.2.2 80")


def udp_sources(world):
    """those that cannot be a source inside become the router's, and answers find each"""
    with publish(world, "8080:80/udp") as box:
        for version in 4, 6:
            box.greet_udp(ANY[version], 80)
        is_equal(world.host.ask_udp("127.0.0.1", 8080), "10.0.2.2 80")
        is_equal(world.host.ask_udp("::1", 8080), "fd00::2 80")
        world.outside.sh("ip address add 10.0.2.100/32 dev lo")
        is_equal(world.outside.ask_udp("10.77.0.1", 8080, "x", "10.0.2.100"), "10.0.2.2 80")
        is_equal(world.outside.ask_udp("10.77.0.1", 8080, "x", "192.168.77.1"), "192.168.77.1 80")
        is_equal(world.outside.ask_udp("fd88::1", 8080, "x", "2620:fe::fe"), "2620:fe::fe 80")


def udp_same_tuple(world):
    """one client port at two published ports, and at two of the host's addresses: three flows inside"""
    with publish(world, "8080:80/udp", "8081:80/udp") as box:
        box.serve_udp(ANY[4], 80)
        ways = ("10.77.0.1", 8080), ("10.77.0.1", 8081), ("198.51.100.7", 8080)
        for turn in range(2):
            for host, port in ways:
                is_equal(world.outside.ask_udp(host, port, f"{turn} {host} {port}", "10.77.0.2", 5555),
                         f"{turn} {host} {port}")


def udp_clients(world):
    """many at one port, each with a flow of its own for as long as it is there"""
    with publish(world, "8080:80/udp") as box:
        for version in 4, 6:
            box.serve_udp(ANY[version], 80)
        for host in HOSTS:
            clients = [world.outside.open_udp(host, 8080) for _ in range(100)]
            for turn in range(3):
                for client in clients:
                    world.outside.send(client, f"{turn} {client}")
                for client in clients:
                    is_equal(world.outside.recv(client), f"{turn} {client}")
            for client in clients:
                world.outside.close(client)


def udp_both_begin(world):
    """what the sandbox sends to a client first goes out by the same flow"""
    with publish(world, "8080:8080/udp") as box:
        inner = box.open_udp("10.77.0.2", 5555, "0.0.0.0", 8080)
        client = world.outside.open_udp("10.77.0.1", 8080, "10.77.0.2", 5555)
        world.outside.send(client, "knock")
        is_equal(box.recv(inner), "knock")
        for i in range(5):
            box.send(inner, f"unasked {i}")
            is_equal(world.outside.recv(client), f"unasked {i}")


def udp_in_use(world):
    for address, text in ("0.0.0.0", "0.0.0.0:8080"), ("::", "[::]:8080"):
        world.host.serve_udp(address, 8080)
        ran = subprocess.run([*VNIC_RUN, "--publish", text + ":80/udp", "--", "true"], capture_output=True, text=True)
        is_equal(ran.returncode, 125)
        lines = ran.stderr.splitlines()
        assert len([line for line in lines if not line.startswith("  try: ")]) == 1 and \
            text + "/udp" in lines[0] and "Address already in use" in lines[0], ran.stderr


def udp_free_again(world):
    for _ in range(20):
        subprocess.run([*VNIC_RUN, "--publish", "8000-8009:80-89/udp", "--", "true"], check=True)
        for port in range(8000, 8010):
            with socket.socket(type=socket.SOCK_DGRAM) as sock:
                sock.bind(("0.0.0.0", port))


def udp_nobody_listens(world):
    """and then somebody does"""
    with publish(world, "8080:80/udp") as box:
        client = world.outside.open_udp("10.77.0.1", 8080)
        world.outside.send(client, "anybody?")
        until(lambda: int(box.sh("awk '/^Udp: [0-9]/ { print $3 }' /proc/net/snmp")) == 1)  # NoPorts
        box.serve_udp(ANY[4], 80)
        world.outside.send(client, "now?")
        is_equal(world.outside.recv(client), "now?")


def transfer(world, size, writes):
    wanted = f"{size} {pattern_digest(size)}"
    with publish(world, "8001:81", "198.51.100.7:8100-8101:91-92", "[fd77::1]:8100-8101:91-92") as box:
        for sink, source in (81, 0), (91, 92):
            serve_both(box, "sink", sink)
            if source:
                serve_both(box, "source", source)
        for host, port in ("10.77.0.1", 8001), ("fd88::1", 8001), ("198.51.100.7", 8100), ("fd77::1", 8100):
            for write in writes:
                is_equal(world.outside.upload(host, port, size, write), wanted)
        for host in "198.51.100.7", "fd77::1":
            is_equal(world.outside.download(host, 8101, size), wanted)
        is_equal(box.wait_said(2), ["goodbye"] * 2)


def small(world):
    transfer(world, 2048, [1, 100, 2048])


def large(world):
    transfer(world, 100 << 20, [1 << 20])


def nobody_listens(world):
    with publish(world, "8080:80"):
        for host in HOSTS:
            is_equal(world.outside.try_hello(host, 8080), "ECONNRESET")
        for host in "127.0.0.1", "::1":
            is_equal(world.host.try_hello(host, 8080), "ECONNRESET")


def resets(world):
    with publish(world, "8080-8081:80-81") as box:
        serve_both(box, "reset", 80)
        serve_both(box, "hold", 81)
        for host in HOSTS:
            client = world.outside.open_tcp(host, 8080)
            world.outside.send(client, "x")
            is_equal(world.outside.recv(client), "ECONNRESET")
            client = world.outside.open_tcp(host, 8081)
            world.outside.send(client, "")
            world.outside.abort(client)
            is_equal(box.wait_said(), ["ECONNRESET"])


def at_once(world):
    with publish(world, "8080:80") as box:
        serve_both(box, "echo", 80)
        for host in HOSTS:
            is_equal(world.outside.at_once(host, 8080, 500), 500)


def in_a_row(world):
    with publish(world, "8080:80") as box:
        serve_both(box, "echo", 80)
        is_equal(world.outside.in_a_row("10.77.0.1", 8080, 2000), 2000)


def take_all(world):
    """with 400 descriptors the gateway has room for 40 strangers, and 300 come"""
    VNIC_RUN[:0] = ["prlimit", "--nofile=400:400"]
    address = "9.9.9.10"
    tcp, udp = world.outside.serve("greet", address), world.outside.serve_udp(address)
    with publish(world, "8080:80") as box:
        box.serve("hold", ANY[4], 80)
        for _ in range(300):
            try:
                world.outside.open_tcp("10.77.0.1", 8080)
            except RuntimeError as error:
                assert "ConnectionResetError" in str(error), error  # turned away at once
        is_equal(box.hello(address, tcp), "10.77.0.1")
        is_equal(box.ask_udp(address, udp), "x")


if __name__ == "__main__":
    run(globals())
