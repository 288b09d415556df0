# SPDX-License-Identifier: GPL-2.0-or-later
"""One measurement between a Lane's namespace and the server."""
import json
import os

from . import sides
from .world import Failed, read

SECONDS = 1
"""
Bytes in a call of iperf3.  With its default, 128 KiB, source and destination of the kernel's copy keep their distance
within their pages for a whole connection, and where the destination is 1 to 31 bytes further, Zen 3 and Zen 4 move 2 GB
a second instead of 35 (`rep movsb`): a few bytes sent before would decide over a side's figure.  This length changes
the distance with every call.
"""
LENGTH = 131000


def iperf_json(text):
    try:
        answer = json.loads(text)
    except ValueError:
        raise Failed("iperf3 gave no figures") from None
    if "error" in answer:
        raise Failed(f"iperf3: {answer['error']}")
    return answer["end"]


def iperf(lane, direction="out", streams=1, seconds=SECONDS, at="server", options=()):
    """
    out: from the sandbox to the server.  down: the same connection, but data to the sandbox.  in: a connection of the
    server to a published port, data to the sandbox.  both: out, and data both ways.
    """
    world = lane.world
    inwards = direction == "in"
    other, address = lane.other(at)
    server_at, client_at = (lane.namespace, other) if inwards else (other, lane.namespace)
    address, port = lane.published if inwards else (address, sides.INSIDE_PORT)
    more = {"down": ["-R"], "both": ["--bidir"]}.get(direction, [])
    with world.process(["iperf3", "-s", "-1", "--forceflush", "-p", str(sides.INSIDE_PORT)], server_at,
                       "listening") as server:
        before = lane.cpu()
        argv = ["iperf3", "-c", address, "-p", str(port), "-t", str(seconds), "-l", str(LENGTH), "-P",
                str(streams), "-J", *more, *options]
        with world.process(argv, client_at) as client:
            end = iperf_json(client.finish(seconds + 20))
        side_seconds = lane.cpu() - before
        server.finish(5)
    sums = ["sum_received"] + (["sum_received_bidir_reverse"] if direction == "both" else [])
    if client.popen.returncode != 0:
        raise Failed(f"iperf3 ended with status {client.popen.returncode}")
    if others := {end[key] for key in end if key.endswith("_tcp_congestion")} - {"cubic"}:
        raise Failed(f"the congestion control was {', '.join(others)}")
    if missing := [key for key in sums if not end.get(key, {}).get("bytes")]:
        raise Failed(f"iperf3 moved nothing: {', '.join(missing)}")
    bits = sum(end[key]["bits_per_second"] for key in sums)
    moved = sum(end[key]["bytes"] for key in sums) * 8
    cpu = server.seconds + client.seconds + side_seconds
    return {"gbits": bits / 1e9, "cpu_per_gigabit": cpu / (moved / 1e9),
            "side_cpu_per_gigabit": side_seconds / (moved / 1e9)}


def load(lane, verb, count, at="server", timeout=60):
    """What a verb of bench/load.c measured from inside, asking an echo server COUNT times."""
    world = lane.world
    other, address = lane.other(at)
    with world.process([world.load, "echo", str(sides.INSIDE_PORT)], other, "ready"), \
            lane.start([world.load, *verb, address, str(sides.INSIDE_PORT), str(count)]) as client:
        text = client.finish(timeout)
    if client.popen.returncode != 0 or not text:
        raise Failed(f"load {' '.join(verb)}: no figures")
    figures = json.loads(text)
    if not figures["count"]:
        raise Failed(f"load {' '.join(verb)}: all {figures['failed']} failed")
    return figures


def last_json(text, what):
    """The figures are the last line that a verb of load prints."""
    try:
        return json.loads(text.splitlines()[-1])
    except (ValueError, IndexError):
        raise Failed(f"{what} gave no figures") from None


def datagrams(lane, size, direction="out", milliseconds=500, rate=0, at="server"):
    """
    A flood of UDP, as fast as the sender can or RATE a second: out of the sandbox; down, as answers to a datagram of
    the sandbox; in by a published port.  What arrived a second, the share that did not, and the CPU time of all for one
    that did.
    """
    world, before = lane.world, lane.cpu()
    other, address = lane.other(at)
    port = str(sides.INSIDE_PORT)
    amount = [str(size), str(milliseconds), str(rate)]
    if direction == "down":
        with world.process([world.load, "flood-back", port, *amount], other, "ready") as sender, \
                lane.start([world.load, "draw", address, port], "ready") as receiver:
            sent, got = last_json(sender.finish(), "flood-back"), last_json(receiver.finish(), "draw")
    else:
        to, whence, where = (lane.published, other, lane.namespace) if direction == "in" else \
            ((address, port), lane.namespace, other)
        with world.process([world.load, "sink", port], where, "ready") as receiver, \
                world.process([world.load, "flood", *map(str, to), *amount], whence) as sender:
            sent, got = last_json(sender.finish(), "flood"), last_json(receiver.finish(), "sink")
    if not sent["packets"] or not got["seconds"]:
        raise Failed("no datagram came")
    seconds = max(got["seconds"], sent["seconds"])
    cpu = sender.seconds + receiver.seconds + lane.cpu() - before
    return {"rate": got["packets"] / seconds, "gbits": got["bytes"] * 8 / 1e9 / seconds,
            "cpu_per_packet": cpu / max(got["packets"], 1),
            "loss": 100 * (1 - min(got["packets"] / sent["packets"], 1))}


def machine():
    """What the figures depend on."""
    model = next((line.split(":", 1)[1].strip() for line in read("/proc/cpuinfo").splitlines()
                  if line.startswith("model name")), "unknown")
    return {"kernel": os.uname().release, "cpus": os.cpu_count(), "model": model,
            "memory_mib": int(read("/proc/meminfo").split()[1]) // 1024}
