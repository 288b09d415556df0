# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP in large numbers; tests/soak/tcp_scale.bats says what each function shows."""
from gateway_world import is_equal, run

V4, V6 = "9.9.9.10", "2620:fe::fe"  # outside, and of class internet


def burst(world):
    """prints how long it took"""
    count = 5000
    for address in V4, V6:
        port = world.outside.serve_crowd(address)
        with world.box() as box:
            before = box.tcp_counters()["RetransSegs"]
            good, seconds = box.crowd(address, port, count)
            is_equal(good, count)
            again = box.tcp_counters()["RetransSegs"] - before
            print(f"# {address}: {count} connections at once in {seconds:.2f} s, {again} segments sent again", flush=True)
            is_equal(box.crowd_says("here"), count)
            is_equal(again, 0)


if __name__ == "__main__":
    run(globals(), 600)
