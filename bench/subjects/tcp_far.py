# SPDX-License-Identifier: GPL-2.0-or-later
"""One TCP stream to a server beyond a link of the host: two links for the sandbox's data, one for veth's."""
from harness.sides import pasta, slirp4netns, veth, vnic
from harness.subject import Subject
from harness.traffic import iperf

from .tcp import DIRECTIONS, METRICS, measured

SUBJECT = Subject(
    name="tcp_far",
    title="One TCP stream, the server beyond a link",
    about="as `tcp`, but the server is in a namespace of its own, so what leaves the host crosses a second veth; "
    "`veth` is the host itself.",
    metrics=METRICS,
    cases=DIRECTIONS,
    sides={"vnic": vnic, "slirp4netns": slirp4netns, "pasta": pasta, "veth": veth},
    world=lambda world: world.outside(),
    measure=lambda lane, case: measured(iperf(lane, case)),
)
