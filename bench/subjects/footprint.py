# SPDX-License-Identifier: GPL-2.0-or-later
"""What a network takes while it stands: memory with many flows, and whether it sleeps."""
import time

from harness.sides import INSIDE_PORT, fresh, pasta, slirp4netns, vnic
from harness.subject import Demand, Failed, Metric, Subject
from harness.traffic import last_json
from harness.world import pss_kib, switches

FLOWS = {"idle": 0, "1": 1, "100": 100, "5000": 5000}
IDLE_SECONDS = 5


def asleep(lane):
    """How often its processes woke up by themselves, and what they took, a second."""
    pids = lane.pids()
    woken, busy, begin = switches(pids), lane.cpu(), time.monotonic()
    time.sleep(IDLE_SECONDS)  # what is measured is that nothing happens
    took = time.monotonic() - begin
    if missing := set(pids) - set(lane.pids()):
        raise Failed(f"{len(missing)} of its {len(pids)} processes ended meanwhile")
    return {"wake-ups": (switches(pids) - woken) / took, "idle CPU": (lane.cpu() - busy) / took * 1000}


def measure(make, case):
    """Each with a side of its own, for nobody gives back all that flows took when they end."""
    with make() as lane:
        return measure_one(lane, FLOWS[case])


def measure_one(lane, count):
    if not count:
        return {"memory": pss_kib(lane.pids()) / 1024} | asleep(lane)
    other, address = lane.other(at="host")
    with lane.world.process([lane.world.load, "echo", str(INSIDE_PORT)], other, "ready"), \
            lane.start([lane.world.load, "hold", address, str(INSIDE_PORT), str(count)], "ready") as client:
        held = last_json(client.text.split("ready")[0], "hold")
        if held["failed"]:
            raise Failed(f"{held['failed']} of {count} connections failed")
        return {"memory": pss_kib(lane.pids()) / 1024} | (asleep(lane) if count == 1 else {})


SUBJECT = Subject(
    name="footprint",
    title="Memory, and sleep",
    about="proportional set size of all processes that belong to the network (of vnic: the front, the gateway, the "
    "helper, init), new ones for each figure, with open TCP connections, each used once; wake-ups (voluntary context switches) "
    f"and CPU of the same while nothing happens for {IDLE_SECONDS} s, with no connection and with an idle one.",
    metrics=[Metric("memory", "MiB", more_is_better=False), Metric("wake-ups", "a second", False, plot=False),
             Metric("idle CPU", "ms a second", False, plot=False)],
    cases={"idle": "no flow", "1": "1 flow", "100": "100 flows", "5000": "5,000 flows"},
    sides={"vnic": fresh(vnic), "slirp4netns": fresh(slirp4netns), "pasta": fresh(pasta)},
    world=lambda world: world.outside(),
    measure=measure,
    demands=[Demand("no flow: MiB of vnic", lambda figures: figures.median("memory", "idle", "vnic"), at_most=8),
             Demand("5,000 flows: MiB of vnic", lambda figures: figures.median("memory", "5000", "vnic"), at_most=100),
             Demand("no flow: wake-ups of vnic", lambda figures: figures.median("wake-ups", "idle", "vnic"), at_most=0),
             Demand("an idle flow: wake-ups of vnic", lambda figures: figures.median("wake-ups", "1", "vnic"),
                    at_most=0)],
    rounds=2,
    quick_cases=["100"],
)
