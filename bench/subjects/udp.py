# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams a second through each network, and what is lost on the way."""
from harness.sides import pasta, slirp4netns, veth, vnic
from harness.subject import Demand, Metric, Subject, against_best
from harness.traffic import datagrams

PEERS = ["slirp4netns", "pasta"]
SLOW = 20000
CASES = {f"{size} {direction}": {"size": size, "direction": direction}
         for direction in ("out", "down", "in") for size in (64, 1400)}
CASES["64 out, slow"] = {"size": 64, "rate": SLOW}


def measure(lane, case):
    figures = datagrams(lane, at="host", **CASES[case])
    return {"arrived": figures["rate"] / 1000, "throughput": figures["gbits"], "loss": figures["loss"]}


SUBJECT = Subject(
    name="udp",
    title="UDP",
    about="half a second of datagrams of 64 and 1,400 bytes between a sandbox and the host, out, as answers (down) and "
    "in by a published port: one socket, sendmmsg without segmentation offload, as fast as it goes; loss is then whatever "
    f"the network cannot carry. `slow`: {SLOW:,} a second, which all can.",
    metrics=[Metric("arrived", "thousands a second"), Metric("throughput", "Gbit/s", plot=False),
             Metric("loss", "%", more_is_better=False, plot=False)],
    cases={case: case for case in CASES},
    sides={"vnic": vnic, "slirp4netns": slirp4netns, "pasta": pasta, "veth": veth},
    world=lambda world: world.outside(),
    measure=measure,
    demands=[Demand(f"{case}: vnic / the better peer", against_best("arrived", case, PEERS), at_least=1.5)
             for case in CASES if "slow" not in case]
    + [Demand(f"{case}: loss of vnic / the peer that loses least",
              against_best("loss", case, PEERS, more_is_better=False), at_most=1) for case in ("64 out", "1400 out")]
    + [Demand(f"64 out, {SLOW:,} a second: loss of vnic, %",
              lambda figures: figures.median("loss", "64 out, slow", "vnic"), at_most=0.1)],
)
