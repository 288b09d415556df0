#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""startup.py: from calling the program until `true` in a network of its own has ended.

  vnic     vnic run -- true: veth, IPv4 and IPv6 addresses and routes are in place when `true` starts
  unshare  unshare -Urn true: namespaces, and nothing in them
  ip       the NIC alone with ip(8), as root: two namespaces, a pair, addresses, routes, and away again
  ip_all   and the way to the gateway too: a second pair, rules and routes; still without nft and a gateway

vnic and unshare run as an ordinary user (and vnic also as root, beside ip).  All take turns, so that what else the
machine does hits all alike; --parallel workers do the same at a time.  Prints medians and 99th percentiles, and
writes build/bench/startup.json.  The `ip` side lives in mount and network namespaces of its own.
"""
import argparse
import ctypes
import json
import os
import shutil
import statistics
import sys
import tempfile
import time

NOBODY = 65534
CLONE_NEWNS, CLONE_NEWNET, MS_REC, MS_PRIVATE = 0x20000, 0x40000000, 0x4000, 0x40000
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# The peer's end is born in its namespace and addresses need no duplicate detection: ip(8) at its best.
IP_BEGIN = """set -e
ip netns add r$1
ip netns add s$1
ip -n r$1 link add nic0 type veth peer name eth0 netns s$1
ip -n r$1 link set nic0 up
ip -n s$1 link set lo up
ip -n s$1 link set eth0 up
ip -n r$1 address add 10.0.2.2/24 dev nic0
ip -n r$1 address add fd00::2/64 dev nic0 nodad
ip -n s$1 address add 10.0.2.100/24 dev eth0
ip -n s$1 address add fd00::100/64 dev eth0 nodad
ip -n s$1 route add default via 10.0.2.2
ip -n s$1 route add default via fd00::2
"""
IP_SLOW_PATH = """ip -n r$1 link set lo up
ip -n r$1 link add slow0 type veth peer name slow1
ip -n r$1 link set slow0 up arp off
ip -n r$1 link set slow1 up
ip -n r$1 route add default dev slow0 table 10
ip -n r$1 route add local 10.0.2.2 dev nic0 table 20
ip -n r$1 route add local default dev lo table local
ip -n r$1 rule add fwmark 1 table 10 pref 10
ip -n r$1 rule add table 20 pref 100
ip -n r$1 rule add table local pref 40000
ip -n r$1 rule del pref 0
ip -n r$1 -6 route add default dev slow0 table 10
ip -n r$1 -6 route add local default dev lo table 40
ip -n r$1 -6 rule add fwmark 1 table 10 pref 10
ip -n r$1 -6 rule add table local pref 100
ip -n r$1 -6 rule add table 40 pref 40000
ip -n r$1 -6 rule del pref 0
"""
IP_END = """ip netns exec s$1 true
ip netns del s$1
ip netns del r$1
"""


def run(argv):
    """Seconds that a command took; a command that fails ends the benchmark."""
    begin = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, os.environ)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    seconds = time.perf_counter() - begin
    if status != 0:
        raise SystemExit(f"startup: {' '.join(argv[:2])} failed with status {status}")
    return seconds


def private_network():
    """For ip(8): a network namespace and a /run/netns that nobody else sees."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        raise OSError(ctypes.get_errno(), "a mount and a network namespace")
    libc.mount(b"run", b"/run", b"tmpfs", 0, None)


def worker(as_root, sides, number, rounds, pipe):
    if os.getuid() == 0 and as_root:
        private_network()
    elif os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    os.chdir("/")
    seconds = {side: [] for side in sides}
    for side in sides:  # once unmeasured: caches are warm for all
        run([part.replace("@", str(number)) for part in sides[side]])
    begin = time.perf_counter()
    for _ in range(rounds):
        for side, argv in sides.items():
            seconds[side].append(run([part.replace("@", str(number)) for part in argv]))
    os.write(pipe, json.dumps({"wall": time.perf_counter() - begin, "seconds": seconds}).encode())


def measure(as_root, sides, workers, rounds):
    """Starts the workers at once; returns every sample of every side."""
    pipes, pids = [], []
    for number in range(workers):
        receive, send = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                worker(as_root, sides, number, rounds, send)
                status = 0
            except BaseException as error:  # noqa: BLE001 - the parent only sees the status
                print(error, file=sys.stderr)
            os._exit(status)
        os.close(send)
        pipes.append(receive)
        pids.append(pid)
    answers = [b"".join(iter(lambda pipe=pipe: os.read(pipe, 65536), b"")) for pipe in pipes]
    if any([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]):
        raise SystemExit("startup: a worker failed")
    samples = {side: [] for side in sides}
    for answer in answers:
        for side, seconds in json.loads(answer)["seconds"].items():
            samples[side] += seconds
    return samples


def figures(samples):
    ordered = sorted(samples)
    return {"p50_ms": statistics.median(ordered) * 1e3, "p99_ms": ordered[int(len(ordered) * 0.99)] * 1e3,
            "min_ms": ordered[0] * 1e3, "runs": len(ordered)}


def report(title, base, samples):
    result = {side: figures(seconds) for side, seconds in samples.items()}
    print(f"{title:34} {'p50 ms':>8} {'p99 ms':>8} {'min ms':>8}   p50 is")
    for side, row in result.items():
        row["ratio"] = row["p50_ms"] / result[base]["p50_ms"]
        print(f"  {side:32} {row['p50_ms']:8.2f} {row['p99_ms']:8.2f} {row['min_ms']:8.2f}   "
              f"{row['ratio']:.2f} times {base}")
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vnic", default=os.environ.get("VNIC", f"{TOP}/build/release/vnic"))
    parser.add_argument("--also", action="append", default=[], metavar="NAME=PROGRAM", help="another build, beside it")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", "200")))
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--out", default=os.environ.get("OUT", f"{TOP}/build/bench"))
    parser.add_argument("--no-ip", action="store_true", help="leave out the side with ip(8)")
    args = parser.parse_args()
    programs = {"vnic": args.vnic} | dict(pair.split("=", 1) for pair in args.also)

    with tempfile.TemporaryDirectory(prefix="vnic-bench.") as place:
        os.chmod(place, 0o755)  # the user may not be able to reach the build
        for name, program in programs.items():
            programs[name] = shutil.copy(program, f"{place}/{name}")
        true, unshare = shutil.which("true"), shutil.which("unshare")
        user = {name: [program, "run", "--", true] for name, program in programs.items()}
        user["unshare"] = [unshare, "-Urn", true]
        root = {name: [program, "run", "--", true] for name, program in programs.items()}
        root["ip"] = ["/bin/sh", "-c", IP_BEGIN + IP_END, "ip", "@"]
        root["ip_all"] = ["/bin/sh", "-c", IP_BEGIN + IP_SLOW_PATH + IP_END, "ip", "@"]
        result = {"bench": "startup", "kernel": os.uname().release, "cpus": os.cpu_count(), "rounds": args.rounds}
        for workers in (1, args.parallel):
            key = "sequential" if workers == 1 else f"parallel_{workers}"
            name = "one after the other" if workers == 1 else f"{workers} at a time"
            result[key] = {"user": report(f"as a user, {name}", "unshare",
                                          measure(False, user, workers, args.rounds))}
            if os.getuid() == 0 and not args.no_ip:
                result[key]["root"] = report(f"as root, {name}", "vnic",
                                             measure(True, root, workers, max(args.rounds // 4, 10)))
    os.makedirs(args.out, exist_ok=True)
    with open(f"{args.out}/startup.json", "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
