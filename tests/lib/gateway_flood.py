# SPDX-License-Identifier: GPL-2.0-or-later
"""
A sandbox floods its gateway with malformed packets, and its other flows go on; tests/e2e/gateway_flood.bats and
tests/soak/gateway_flood.bats say for how long.

`gateway_flood.py flood ADDRESS4 ADDRESS6` is the flood, inside the sandbox: a packet socket on eth0, until the input
ends.  Its seed is fixed.
"""
import itertools
import os
import random
import select
import socket
import struct
import sys
import time

from gateway_agent import checksum, ipv4, ipv6, pattern_digest, router_mac, syn
from gateway_world import is_equal, run

V4, V6 = "9.9.9.10", "2620:fe::fe"  # outside, and of class internet
SIZE = 4 << 20
VARIANTS = 50000


def udp(port, data):
    return struct.pack("!HHHH", 4000, port, 8 + len(data), 0) + data


def good_packets(address4, address6):
    """what begins a flow, and pieces of it"""
    echo4, echo6 = (kind + bytes.fromhex("000000 1234 0001") + bytes(40) for kind in (b"\x08", b"\x80"))
    begin = syn("10.0.2.100", address4, 9, 4000)
    question = bytes.fromhex("1234 0100 0001 0000 0000 0000 0131 00 0001 0001")
    for proto, payload, fragment in ((6, begin, 0), (1, echo4, 0), (1, echo4, 0x2000), (1, echo4, 6),
                                     (17, udp(9, b"x" * 99), 0)):
        yield ipv4("10.0.2.100", address4, proto, payload, fragment)
    for proto, payload in ((6, begin), (58, echo6), (44, bytes.fromhex("3a000001 00000001") + echo6),
                           (60, bytes.fromhex("06000104 00000000") + begin), (0, bytes.fromhex("3a000502 00000000") + echo6),
                           (17, udp(9, b"x" * 99))):
        yield ipv6("fd00::100", address6, proto, payload)
    yield ipv4("10.0.2.100", "10.0.2.3", 17, udp(53, question))
    yield ipv6("fd00::100", "fd00::3", 17, udp(53, question))


def mangled(good, chance):
    """cut, a few bytes changed, options of every length, or random behind the IP header"""
    packet, header = bytearray(good), 40 if good[0] >> 4 == 6 else 20
    kind = chance.randrange(4)
    if kind == 0:
        del packet[chance.randrange(header, len(packet)) :]
    elif kind == 1:
        for _ in range(chance.randrange(1, 8)):
            packet[chance.randrange(len(packet))] = chance.randrange(256)
        return bytes(packet)
    elif kind == 2:
        options = chance.randbytes(4 * chance.randrange(11))
        if header == 40 or packet[9] == 6:  # TCP's, behind a length that may be wrong
            packet[header + 12] = chance.randrange(16) << 4
            packet += options
        else:
            packet[header:header] = options
            packet[0] = 0x45 + len(options) // 4
    else:
        packet[header:] = chance.randbytes(chance.randrange(200))
    # The router's kernel drops what is wrong here: it shall get further.
    if header == 40:
        packet[4:6] = struct.pack("!H", len(packet) - 40)
    else:
        packet[2:4] = struct.pack("!H", len(packet))
        packet[10:12] = bytes(2)
        packet[10:12] = struct.pack("!H", checksum(packet[: 4 * (packet[0] & 15)]))
    return bytes(packet)


def flood(address4, address6):
    chance, router, count = random.Random(1), router_mac(), 0
    good = itertools.cycle(good_packets(address4, address6))
    packets = [mangled(next(good), chance) for _ in range(VARIANTS)]
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as sock:
        for packet in itertools.cycle(packets):
            sock.sendto(packet, ("eth0", 0x86DD if packet[0] >> 4 == 6 else 0x0800, 0, 1, router))
            count += 1
            if count % 500 == 0 and select.select([0], [], [], 0)[0]:
                return count


def memory(pid):
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def goes_on(world):
    end = time.monotonic() + int(os.environ.get("VNIC_FLOOD_SECONDS", "3"))
    sink, echo = world.outside.serve("sink", V4), {V4: world.outside.serve_udp(V4), V6: world.outside.serve_udp(V6)}
    transfers, sent, got = 0, 0, 0
    with world.box("--stats") as box:
        gateway = box.gateway()
        before = memory(gateway)
        pid = box.start(sys.executable, os.path.abspath(__file__), "flood", V4, V6)
        while time.monotonic() < end:
            is_equal(box.upload(V4, sink, SIZE, 1 << 16), f"{SIZE} {pattern_digest(SIZE)}")
            transfers += 1
            for address, port in echo.items():
                result = box.ping_pong(address, port, 0.2)
                sent, got = sent + result[0], got + result[1]
        count = int(box.stop(pid))
        is_equal(box.gateway(), gateway)
        print(f"# {count} packets; beside them {transfers} transfers of {SIZE >> 20} MiB, {got} of {sent} datagrams back; "
              f"the gateway had {before} KiB and has {memory(gateway)}")
        assert got > 0.9 * sent, (sent, got)
        box.end()
        for line in box.messages().splitlines():
            if line.startswith("vnic: "):
                print("#", line)


if __name__ == "__main__":
    if sys.argv[1] == "flood":
        print(flood(*sys.argv[2:]))
    else:
        run(globals())
