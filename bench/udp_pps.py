#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
udp_pps.py: datagrams a second between a sandbox and its host, by vnic, slirp4netns and pasta, each as an ordinary user
at MTU 1500, in one network namespace that stands for the host.

All sides take turns, ROUNDS times.  A sender sends batches of sendmmsg(2), without segmentation offload, as fast as it
can or at a rate; the receiver counts.  Delivered datagrams a second, and the share that was lost, as medians; JSON on
standard output.  Sender and receiver share the machine with what is measured: trust the ratios.

  bench/udp_pps.py [--rounds N] [--seconds S] [--sizes 64,1400] [--directions out,in] [--sides vnic,pasta,slirp4netns]
                   [--rates 0,100000]    datagrams a second; 0: as fast as it goes
"""
import argparse
import ctypes
import json
import os
import select
import shutil
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.abspath(__file__)
TOP = os.path.dirname(os.path.dirname(HERE))
VNIC = os.environ.get("VNIC", TOP + "/build/release/vnic")
SERVER = ("198.51.100.7", 7007)  # an address of the host's that is on no link, so that no side takes it for its own
PYTHON = shutil.which("python3", path="/usr/bin:/bin") or sys.executable  # one that an ordinary user may run
BATCH = 32
PATIENCE = 20
# The privilege over the world is the bench's own.
ORDINARY = ["setpriv", "--ambient-caps=-all", "--inh-caps=-all", "--bounding-set=-all"]

libc = ctypes.CDLL(None, use_errno=True)


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Header(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32), ("iov", ctypes.POINTER(Iovec)),
                ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]  # fmt: skip


class Message(ctypes.Structure):
    _fields_ = [("header", Header), ("len", ctypes.c_uint32)]


class Batch:
    """datagrams of one size that are sent or received in one call"""

    def __init__(self, size):
        self.space = ctypes.create_string_buffer(BATCH * size)
        base = ctypes.addressof(self.space)
        self.iovs = (Iovec * BATCH)(*[Iovec(base + i * size, size) for i in range(BATCH)])
        self.messages = (Message * BATCH)()
        for message, iov in zip(self.messages, self.iovs):
            message.header.iov, message.header.iovlen = ctypes.pointer(iov), 1

    def send(self, sock, count=BATCH):
        return libc.sendmmsg(sock.fileno(), self.messages, count, 0)

    def recv(self, sock):
        return libc.recvmmsg(sock.fileno(), self.messages, BATCH, socket.MSG_DONTWAIT, None)


def blast(sock, size, seconds, rate):
    """how many were sent"""
    batch, sent = Batch(size), 0
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        due = BATCH if not rate else int(passed * rate) - sent
        if due < BATCH and rate:
            time.sleep(0.0002)
            continue
        n = batch.send(sock, BATCH)
        sent += max(n, 0)
    return sent


def count(sock, size, end):
    """how many came, until `end` becomes readable; and for how long they came"""
    batch, got, first, last = Batch(size), 0, None, None
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    poll.register(end, select.POLLIN)
    while True:
        ready = dict(poll.poll(PATIENCE * 1000))
        if sock.fileno() in ready:
            while (n := batch.recv(sock)) > 0:
                got += n
                last = time.monotonic()
                first = first or last
        elif ready:
            return got, (last - first) if got > BATCH else 0
        else:
            raise TimeoutError("no end of it")


# --- the sandbox's end ---


def report(**figures):
    print(json.dumps(figures), flush=True)


def send_out(size, seconds, rate):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(SERVER)
        report(sent=blast(sock, size, seconds, rate))


def take_in(size, seconds, rate):
    """asks for it, and counts until standard input ends"""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.connect(SERVER)
        sock.send(b"go")
        got, took = count(sock, size, 0)
        report(got=got, took=took)


# --- the host's end ---


def start(side, command):
    """the sandbox of a side with that command in it"""
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if side == "vnic":
        return [subprocess.Popen([*ORDINARY, VNIC, "run", "--allow", "host", "--", *command], **pipes)]
    if side == "pasta":
        return [subprocess.Popen([*ORDINARY, "pasta", "--config-net", "--mtu", "1500", "--quiet", "--", *command], **pipes)]
    # The command waits for its NIC.
    wait = "read -r _ && exec \"$@\""
    inner = subprocess.Popen([*ORDINARY, "unshare", "--user", "--map-root-user", "--net", "bash", "-c",
                              "echo; " + wait, "-", *command], **pipes)
    inner.stdout.readline()
    ready, told = os.pipe()
    outer = subprocess.Popen([*ORDINARY, "slirp4netns", "--configure", "--mtu=1500", f"--ready-fd={told}",
                              str(inner.pid), "tap0"], pass_fds=[told], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(told)
    if not os.read(ready, 1):
        raise RuntimeError("slirp4netns does not start")
    os.close(ready)
    inner.stdin.write(b"\n")
    inner.stdin.flush()
    return [inner, outer]


def finish(processes):
    processes[0].stdin.close()
    processes[0].wait(PATIENCE)
    for process in processes[1:]:
        process.terminate()
        process.wait(PATIENCE)
    processes[0].stdout.close()


def measure(side, direction, size, seconds, rate):
    """delivered a second, and the share that was lost"""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.bind(SERVER)
        processes = start(side, [PYTHON, HERE, "--inside", direction, str(size), str(seconds), str(rate)])
        box = processes[0]
        if direction == "out":
            got, took = count(sock, size, box.stdout)
            sent = json.loads(box.stdout.readline())["sent"]
        else:
            sock.settimeout(PATIENCE)
            sock.connect(sock.recvfrom(100)[1])
            sent = blast(sock, size, seconds, rate)
            select.select([], [], [], 0.3)  # what is under way still counts
            box.stdin.close()
            figures = json.loads(box.stdout.readline())
            got, took = figures["got"], figures["took"]
        finish(processes)
    return {"delivered": got / took if took else 0, "lost": 1 - got / sent if sent else 0}


def make_world():
    for command in ("link set lo up", "address add 198.51.100.7/32 dev lo", "link add out0 type veth peer name in0",
                    "address add 10.77.0.1/24 dev out0", "link set out0 up", "link set in0 up",
                    "route add default via 10.77.0.2"):
        subprocess.run(["ip", *command.split()], check=True)


def run(options):
    make_world()
    results = {}
    cases = [(d, s, r) for d in options.directions.split(",") for s in map(int, options.sizes.split(","))
             for r in map(int, options.rates.split(","))]
    for turn in range(options.rounds):
        for case in cases:
            for side in options.sides.split(","):
                figures = measure(side, case[0], case[1], options.seconds, case[2])
                results.setdefault(case, {}).setdefault(side, []).append(figures)
                print(f"{turn + 1}/{options.rounds} {side:12} {case[0]:3} {case[1]:5} bytes"
                      f" {case[2] or 'flat out':>8}: {figures['delivered']:8.0f}/s, {figures['lost']:6.1%} lost",
                      file=sys.stderr)
    report(what="UDP datagrams a second", load=os.getloadavg(), cases=[summary(c, r) for c, r in results.items()])


def summary(case, sides):
    medians = {side: {key: statistics.median(f[key] for f in figures) for key in ("delivered", "lost")}
               for side, figures in sides.items()}
    best = max((m["delivered"] for side, m in medians.items() if side != "vnic"), default=0)
    ratio = medians["vnic"]["delivered"] / best if best and "vnic" in medians else None
    return {"direction": case[0], "size": case[1], "rate": case[2], "sides": medians, "vnic_to_best_peer": ratio}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--sizes", default="64,1400")
    parser.add_argument("--directions", default="out,in")
    parser.add_argument("--sides", default="vnic,pasta,slirp4netns")
    parser.add_argument("--rates", default="0")
    parser.add_argument("--inside", nargs=4)
    options = parser.parse_args()
    if options.inside:
        direction, size, seconds, rate = options.inside
        {"out": send_out, "in": take_in}[direction](int(size), float(seconds), int(rate))
        return
    if not os.environ.get("UDP_PPS_WORLD"):
        user = [TOP + "/tests/lib/as-user", "--tun", "--"] if os.geteuid() == 0 else []
        own = ["unshare", "--user", "--map-current-user", "--keep-caps", "--net"]
        os.environ["UDP_PPS_WORLD"] = "1"
        os.execvp((user + own)[0], [*user, *own, PYTHON, HERE, *sys.argv[1:]])
    run(options)


if __name__ == "__main__":
    main()
