# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams a second through each network, and what is lost on the way."""
from harness.sides import pasta, slirp4netns, veth, vnic
from harness.subject import Demand, Metric, Subject, against_best
from harness.traffic import datagrams

PEERS = ["slirp4netns", "pasta"]
CASES = {"64 out": {"size": 64}, "1400 out": {"size": 1400}, "64 down": {"size": 64, "back": True},
         "1400 down": {"size": 1400, "back": True}, "64 out, 20,000 a second": {"size": 64, "rate": 20000}}


def measure(lane, case):
    figures = datagrams(lane, near=True, **CASES[case])
    return {"arrived": figures["rate"] / 1000, "throughput": figures["gbits"], "loss": figures["loss"]}


SUBJECT = Subject(
    name="udp",
    title="UDP",
    about="half a second of datagrams of 64 and 1,400 bytes between a sandbox and the host: one socket, sendmmsg without "
    "segmentation offload, as fast as it goes; loss is then whatever the network cannot carry. Once at a rate that all can.",
    metrics=[Metric("arrived", "thousands a second"), Metric("throughput", "Gbit/s", plot=False),
             Metric("loss", "%", more_is_better=False, plot=False)],
    cases={case: case for case in CASES},
    sides={"vnic": vnic, "slirp4netns": slirp4netns, "pasta": pasta, "veth": veth},
    world=lambda world: world.outside(),
    measure=measure,
    demands=[Demand(f"{case}: vnic / the better peer", against_best("arrived", case, PEERS), at_least=1.5)
             for case in ("64 out", "1400 out", "64 down", "1400 down")]
    + [Demand("64 out, 20,000 a second: loss of vnic, %",
              lambda figures: figures.median("loss", "64 out, 20,000 a second", "vnic"), at_most=0.1)],
)
