#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tcp_latency.py: short connections and single questions, from a sandbox to a server on the host's loopback.

  connect   connect, send 64 bytes, read 64 bytes, close: the whole of it
  request   send 64 bytes, read 64 bytes, over a connection that stays

Sides: vnic and its peers slirp4netns and pasta, each as an ordinary user at its default MTU, and the loopback without
any sandbox as the limit.  All sandboxes stand from the begin to the end; the sides take turns in rounds of changing
order, so that what else the machine does hits all alike.  Prints the median over rounds of each round's median, and
writes build/bench/tcp_latency.json.  As root it becomes an ordinary user first (tests/lib/as-user).
"""
import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SIZE = 64
PYTHON = "/usr/bin/python3"  # everybody's; another may lie where an ordinary user cannot read
CONTROLS = (b"cubic", b"reno")  # an ordinary user may not be allowed all
WARM_UP = 50


def choose_control(sock):
    for name in CONTROLS:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name)
            return name.decode()
        except OSError:
            continue
    raise SystemExit("tcp_latency: neither cubic nor reno may be used")


# --- the server --------------------------------------------------------------------------


def serve():
    """One connection after the other; returns its pid, the port and the congestion control."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    control = choose_control(listener)
    pid = os.fork()
    if pid == 0:
        while True:
            sock = listener.accept()[0]
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                while data := sock.recv(SIZE):
                    sock.sendall(data)
            except ConnectionError:
                pass
            sock.close()
    return pid, listener.getsockname()[1], control


# --- the client, which runs inside -------------------------------------------------------


def connect_to(address, port):
    sock = socket.socket()
    choose_control(sock)
    sock.connect((address, port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def ask(sock):
    sock.sendall(bytes(SIZE))
    if len(sock.recv(SIZE, socket.MSG_WAITALL)) != SIZE:
        raise ConnectionError("an answer that is too short")


def connect(address, port, count):
    for _ in range(count):
        begin = time.perf_counter()
        with connect_to(address, port) as sock:
            ask(sock)
        yield time.perf_counter() - begin


def request(address, port, count):
    with connect_to(address, port) as sock:
        for _ in range(count):
            begin = time.perf_counter()
            ask(sock)
            yield time.perf_counter() - begin


SUBJECTS = {"connect": connect, "request": request}


def be_client():
    for line in sys.stdin:
        subject, *args = json.loads(line)
        print(json.dumps([seconds * 1e6 for seconds in SUBJECTS[subject](*args)]), flush=True)


# --- the sides ---------------------------------------------------------------------------


class Side:
    def __init__(self, name, address, launcher, after=None):
        self.name, self.address = name, address
        self.client = subprocess.Popen([*launcher, PYTHON, os.path.abspath(__file__), "--client"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.helper = after(self.client.pid) if after else None
        self.rounds = {subject: [] for subject in SUBJECTS}

    def measure(self, subject, port, count):
        self.client.stdin.write(json.dumps([subject, self.address, port, WARM_UP + count]) + "\n")
        self.client.stdin.flush()
        line = self.client.stdout.readline()
        if not line:
            raise SystemExit(f"tcp_latency: {self.name} failed")
        self.rounds[subject].append(json.loads(line)[WARM_UP:])

    def end(self):
        self.client.stdin.close()
        self.client.wait()
        if self.helper:
            self.helper.terminate()
            self.helper.wait()

    def figures(self, subject):
        samples = sorted(sum(self.rounds[subject], []))
        medians = [statistics.median(one) for one in self.rounds[subject]]
        return {"p50_us": statistics.median(medians), "p90_us": samples[len(samples) * 9 // 10],
                "p99_us": samples[len(samples) * 99 // 100], "round_medians_us": medians}


def slirp(pid):
    """Once the client stands in its namespaces."""
    receive, send = os.pipe()
    while os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        time.sleep(0.001)
    helper = subprocess.Popen(["slirp4netns", "--configure", f"--ready-fd={send}", str(pid), "tap0"], pass_fds=[send],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(send)
    if not os.read(receive, 1):
        raise SystemExit("tcp_latency: slirp4netns does not start; may this user open /dev/net/tun?")
    os.close(receive)
    return helper


def host_gateway():
    """What pasta takes for the host's loopback: the default gateway."""
    with open("/proc/net/route", encoding="ascii") as routes:
        for line in routes:
            fields = line.split()
            if fields[1] == "00000000":
                return socket.inet_ntoa(int(fields[2], 16).to_bytes(4, "little"))
    raise SystemExit("tcp_latency: pasta needs a default route")


def start_sides(args):
    sides = []
    for pair in [f"vnic={args.vnic}", *args.also]:
        name, program = pair.split("=", 1)
        sides.append(Side(name, "10.0.2.2", [program, "run", "--allow", "host", "--"]))
    if not args.no_peers:
        sides.append(Side("slirp4netns", "10.0.2.2", ["unshare", "--user", "--map-root-user", "--net"], slirp))
        sides.append(Side("pasta", host_gateway(), ["pasta", "--config-net", "--quiet", "--"]))
    sides.append(Side("loopback", "127.0.0.1", []))
    return sides


# --- the report --------------------------------------------------------------------------


def report(sides, subject):
    rows = {side.name: side.figures(subject) for side in sides}
    peers = [rows[name]["p50_us"] for name in ("slirp4netns", "pasta") if name in rows]
    base = min(peers) if peers else rows["loopback"]["p50_us"]
    print(f"{subject:14} {'p50 us':>8} {'p90 us':>8} {'p99 us':>8}   p50 to the {'better peer' if peers else 'loopback'}")
    for name, row in rows.items():
        row["ratio"] = row["p50_us"] / base
        print(f"  {name:12} {row['p50_us']:8.1f} {row['p90_us']:8.1f} {row['p99_us']:8.1f}   {row['ratio']:.2f}")
    return rows


def as_user(argv):
    """As root: again, as an ordinary user who can reach the program and may open /dev/net/tun."""
    os.execv(f"{TOP}/tests/lib/as-user", ["as-user", "--tun", "--", PYTHON, *argv])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vnic", default=os.environ.get("VNIC", f"{TOP}/build/release/vnic"))
    parser.add_argument("--also", action="append", default=[], metavar="NAME=PROGRAM", help="another build, beside it")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", "11")))
    parser.add_argument("--connections", type=int, default=300, help="in a round")
    parser.add_argument("--requests", type=int, default=1500, help="in a round")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--out", default=os.environ.get("OUT", f"{TOP}/build/bench"))
    parser.add_argument("--client", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.client:
        return be_client()
    out = f"{args.out}/tcp_latency.json"
    if os.getuid() == 0:
        os.makedirs(args.out, exist_ok=True)
        open(out, "a", encoding="utf-8").close()
        os.chmod(out, 0o666)
        as_user([os.path.abspath(__file__), *sys.argv[1:]])
    server, port, control = serve()
    sides = start_sides(args)
    for number in range(args.rounds):
        for step in range(len(sides)):
            side = sides[(number + step) % len(sides)]
            side.measure("connect", port, args.connections)
            side.measure("request", port, args.requests)
    result = {"bench": "tcp_latency", "kernel": os.uname().release, "cpus": os.cpu_count(), "rounds": args.rounds,
              "congestion_control": control, "load": os.getloadavg()[0]}
    for subject in SUBJECTS:
        result[subject] = report(sides, subject)
    print(f"{control}, load {result['load']:.1f}")
    for side in sides:
        side.end()
    os.kill(server, signal.SIGKILL)
    with open(out, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
