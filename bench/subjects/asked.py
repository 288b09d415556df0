# SPDX-License-Identifier: GPL-2.0-or-later
"""Weather as it was asked for: delays, rates and shares of frames, as the other end of a relay sees them."""
import contextlib
import itertools
import json
import math
import time

from harness.joined import relay
from harness.subject import Demand, Metric, Subject
from harness.traffic import last_json
from harness.world import Failed, ip, run

CONTROL = "/run/bench-asked.ctl"
FAR_PORT = "1"
FULL = 1514
SECONDS = 2
HELD = 100000  # frames: what is sent beyond a rate waits
QUEUE = 20000  # frames of a TAP: when the relay waits for its turn, nothing is lost before it
# With the usual ones TCP keeps 32 ms of 1,000 Mbit/s in flight; who stalls for longer finds the line idle.
WINDOWS = ["net.ipv4.tcp_rmem=4096 131072 67108864", "net.ipv4.tcp_wmem=4096 65536 67108864"]
SHARES = (0.1, 1, 10)  # percent
BURST = 10  # frames, on average

MBIT = {f"rate {mbit}": mbit for mbit in (1, 10, 100, 1000)}
TCP = {f"tcp {mbit}": mbit for mbit in (10, 100, 1000)}
DELAYS = {f"delay {ms}": (ms, 1000) for ms in (1, 10, 50)} | {"delay 10, many": (10, 20000)}
LOSSES = {f"loss {share}": share / 100 for share in SHARES}
BURSTY = {f"bursts {share}": share / 100 for share in SHARES}
OTHERS = {"duplicate": 0.01, "corrupt": 0.01, "reorder": 0.01}
NAMES = ({case: f"delay {ms} ms, {rate:,} frames/s" for case, (ms, rate) in DELAYS.items()} |
         {case: f"rate {mbit:,} Mbit/s, frames" for case, mbit in MBIT.items()} |
         {case: f"rate {mbit:,} Mbit/s, TCP" for case, mbit in TCP.items()} |
         {case: f"loss {share * 100:g} %" for case, share in LOSSES.items()} |
         {case: f"loss {share * 100:g} % in bursts of {BURST}" for case, share in BURSTY.items()} |
         {case: f"{case} {share * 100:g} %" for case, share in OTHERS.items()} |
         {"seed": "the same seed twice"})


@contextlib.contextmanager
def controlled(world):
    with relay("tap", ["--control", CONTROL], "asked", quiet=True)(world) as lane:
        for namespace in lane.ends:
            ip(f"link set eth0 txqueuelen {QUEUE}", namespace)
            run(world.command(["sysctl", "-qw", *WINDOWS], namespace))
        yield lane


def command(lane, *words):
    return run([lane.world.vnic, "relay", "--at", CONTROL, *words])


def set_weather(lane, keys):
    command(lane, "clear", FAR_PORT)
    command(lane, "set", FAR_PORT, keys)


def accounts(lane):
    """How many frames came in at the near port, and how many went out at the far one."""
    near, far = json.loads(command(lane, "stats"))["ports"]
    return near["rx_frames"], far["tx_frames"]


def probe(lane, weather, count, rate, size=100, all_come_in=True):
    """
    Frames through this weather; what the other end saw of them.  Others than the relay may lose frames where somebody
    else has the CPU: its accounts tell, and then there is no figure.
    """
    world = lane.world
    set_weather(lane, weather)
    before = accounts(lane)
    with world.process([world.probe, "watch", "eth0", str(count)], lane.ends[1], "ready") as watcher:
        with lane.start([world.probe, "send", "eth0", str(size), str(count), str(rate)]) as sender:
            last_json(sender.finish(60), "probe send")
        wait_until_fair(lane)
        seen = last_json(watcher.finish(), "probe watch")
    came, went = (after - before for after, before in zip(accounts(lane), before))
    if (all_come_in and came != count) or went != seen["arrived"] + seen["corrupt"]:
        raise Failed(f"of {count} frames {came} came to the relay, which sent {went}; "
                     f"{seen['arrived'] + seen['corrupt']} were seen")
    return seen


def wait_until_fair(lane):
    """What is held has gone."""
    while json.loads(command(lane, "stats"))["held"]:
        time.sleep(0.02)


def deviation(number, count, share, spread=1.0):
    """By how many standard deviations of a binomial distribution; spread: of one whose draws depend on each other."""
    return (number - count * share) / math.sqrt(count * share * (1 - share) * spread)


def measure_delay(lane, case):
    ms, rate = DELAYS[case]
    seen = probe(lane, f"delay={ms}ms", 2 * rate if rate <= 1000 else rate, rate)
    return {"p50": seen["p50"] - ms * 1000, "p99": seen["p99"] - ms * 1000}


def measure_rate(lane, case):
    """The first frame's arrival begins the time, so its bits are not in it.  Sent is half as much again."""
    frames_a_second = MBIT[case] * 1e6 / 8 / FULL
    count = max(int(frames_a_second * SECONDS / 1.5), 100)
    seen = probe(lane, f"rate={MBIT[case]}mbit,limit={HELD}", count, int(frames_a_second * 1.5), FULL, False)
    rate = (seen["arrived"] - 1) * FULL * 8 / seen["seconds"] / 1e6
    return {"rate": 100 * (rate / MBIT[case] - 1)}


def bytes_at(lane):
    """When, and how many have come to the server's link, with their link headers."""
    links = json.loads(ip("-j -s link show eth0", lane.ends[1]))
    return time.monotonic(), links[0]["stats64"]["rx"]["bytes"]


def measure_tcp(lane, case):
    """Of a second and a half in the midst of it, with a queue of 120 ms."""
    set_weather(lane, f"rate={TCP[case]}mbit,limit={10 * TCP[case]}")
    with lane.world.process(["iperf3", "-s", "-1", "--forceflush"], lane.ends[1], "listening") as server:
        address = lane.other("server")[1]
        with lane.start(["iperf3", "-c", address, "-t", "3"]) as client:
            time.sleep(1)
            begin, before = bytes_at(lane)
            time.sleep(1.5)
            end, after = bytes_at(lane)
            client.finish(20)
        server.finish(10)
    wait_until_fair(lane)
    return {"rate": 100 * ((after - before) * 8e-6 / (end - begin) / TCP[case] - 1)}


def measure_loss(lane, case):
    count = 100000 if LOSSES[case] < 0.01 else 50000
    seen = probe(lane, f"loss={LOSSES[case]}", count, 50000)
    return {"share": deviation(count - seen["distinct"], count, LOSSES[case])}


def measure_bursts(lane, case):
    """Gilbert-Elliott, all lost in the bad state: its share of the time is asked for, and its mean length."""
    share, to_good, count = BURSTY[case], 1 / BURST, 200000
    to_bad = share * to_good / (1 - share)
    seen = probe(lane, f"to-bad={to_bad:.9f},to-good={to_good},bad-loss=1", count, 100000)
    lost, stays = count - seen["distinct"], 1 - to_bad - to_good
    length_deviation = math.sqrt(1 - to_good) / to_good / math.sqrt(max(seen["bursts"], 1))
    return {"share": deviation(lost, count, share, (1 + stays) / (1 - stays)),
            "length": (lost / max(seen["bursts"], 1) - BURST) / length_deviation}


def measure_other(lane, case):
    share, count = OTHERS[case], 50000
    weather = f"{case}={share}" + (",delay=5ms" if case == "reorder" else "")
    seen = probe(lane, weather, count, 50000)
    twice = seen["arrived"] - seen["distinct"]
    number = {"duplicate": twice, "corrupt": seen["corrupt"], "reorder": seen["jumped"]}[case]
    if case == "reorder":
        share *= 1 - share  # of two that jump one after the other the second is not seen to
    if seen["distinct"] + seen["corrupt"] != count:
        raise Failed(f"{count - seen['distinct'] - seen['corrupt']} frames did not come")
    return {"share": deviation(number, count, share)}


def measure_seed(lane, case):
    weather = "seed=7,loss=0.1,to-bad=0.01,to-good=0.1,bad-loss=1,duplicate=0.05,corrupt=0.01,delay=1ms,jitter=500us"
    first, second = (probe(lane, weather, 20000, 20000) for _ in range(2))
    return {"others": int(first["fates"] != second["fates"])}


def measure(lane, case):
    for cases, how in ((DELAYS, measure_delay), (MBIT, measure_rate), (TCP, measure_tcp), (LOSSES, measure_loss),
                       (BURSTY, measure_bursts), (OTHERS, measure_other), (["seed"], measure_seed)):
        if case in cases:
            return how(lane, case)
    raise Failed("nobody knows this case")


def farthest(metric, *cases):
    """From what was asked for, over all these cases; None if one of them was not measured."""

    def find(figures):
        medians = [figures.median(metric, case, "relay tap") for case in itertools.chain(*cases)]
        return None if None in medians else max(map(abs, medians))

    return find


SUBJECT = Subject(
    name="asked",
    title="Weather as asked for",
    about="numbered frames through a relay of two TAPs whose weather is set anew for each case: by how much what "
    "comes out differs from what was asked for. Shares are in standard deviations of the distribution asked for: "
    "within 3 are 99.7 % of all runs of a perfect one.",
    metrics=[Metric(name, unit, more_is_better=False, plot=name == "p50")
             for name, unit in (("p50", "us"), ("p99", "us"), ("rate", "%"), ("share", "sigma"), ("length", "sigma"),
                                ("others", "runs"))],
    cases=NAMES,
    sides={"relay tap": controlled},
    measure=measure,
    demands=[Demand("delay, p50, off by, us", farthest("p50", DELAYS), at_most=200, unit="us"),
             Demand("rate, off by, %", farthest("rate", MBIT, TCP), at_most=2, unit="%"),
             Demand("loss, duplicates, corruption, reordering, off by, sigma", farthest("share", LOSSES, BURSTY, OTHERS),
                    at_most=3, unit="sigma"),
             Demand("mean length of bursts, off by, sigma", farthest("length", BURSTY), at_most=3, unit="sigma"),
             Demand("the same seed, another fate", farthest("others", ["seed"]), at_most=0, unit="runs")],
    rounds=3,
    quick_cases=["delay 1", "loss 10"],
)
