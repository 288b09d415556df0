# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP from the sandbox to the outside and back; tests/e2e/gateway_icmp.bats says what each function shows."""
from gateway_world import is_equal, run

V4, V6 = "9.9.9.10", "2620:fe::fe"  # outside, and of class internet


def pings(box, address, *options):
    """how many of three were answered; the data too is as it was"""
    said = box.sh(f"ping -n -c3 -i0.01 -W5 {' '.join(options)} {address} || true")
    assert "wrong data" not in said, said
    return int(next(line for line in said.splitlines() if "transmitted" in line).split()[3])


def large(world):
    with world.box("--stats") as box:
        for address in V4, V6:
            for size in 0, 1452, 1472, 1473, 4000, 60000, 65507:
                is_equal([size, pings(box, address, "-s", str(size))], [size, 3])
            is_equal(pings(box, "10.0.2.2" if address == V4 else "fd00::2", "-s", "60000"), 3)
        box.end()
        assert " 0 malformed, 0 ignored, 0 fragments" in box.messages(), box.messages()


if __name__ == "__main__":
    run(globals())
