#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""
day.py: a day's worth of flows through one gateway, in half an hour; needs root, which may look at the gateway's memory.

Web pages, keep-alive, uploads, downloads, resets, refusals, denials, published ports, bursts, connections that stay,
datagrams alone and many, names over UDP and TCP, echo requests; IPv4 and IPv6.  Each flow checks what it gets.  In the
end the gateway's figures are those of both sides, byte by byte; nothing is open; its memory and its descriptors have
not grown.  The host is a network namespace of its own.  Results as TAP.

  --flows N, --seconds S   so many flows evenly over so long; what is not begun by then is left out, and said
"""
import argparse
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import cycles
import world

WORKERS, SERVERS, STAYING = 48, 64, 100
PATIENCE = 60  # seconds that a single step may take on a busy machine
TCP, UDP, CLOSED, INSIDE, NAMESERVER = 7001, 7002, 7009, 7010, "198.51.100.53"
HOST = {4: "198.51.100.7", 6: "fd77::7"}  # the host's own addresses: "host" in the policy
PRIVATE = {4: "192.168.99.1", 6: "fd99::1"}  # denied
RESET = struct.pack("ii", 1, 0)
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
SAMPLE_EVERY, PROGRESS_EVERY = 5.0, 120.0

counts, lock = {}, threading.Lock()


def count(**numbers):
    with lock:
        for name, number in numbers.items():
            counts[name] = counts.get(name, 0) + number


def must(condition, text):
    if not condition:
        raise AssertionError(text)


# --- what both sides speak: a line that says what the server shall do, any number of them -----


class Talk:
    """A connection whose bytes are counted."""

    def __init__(self, sock, side, patience=PATIENCE):
        self.sock, self.side, self.buffer = sock, side, b""
        sock.settimeout(patience)

    def send(self, data):
        self.sock.sendall(data)
        count(**{self.side + "_sent": len(data)})

    def some(self):
        data = self.sock.recv(1 << 16)
        count(**{self.side + "_got": len(data)})
        return data

    def take(self, size):
        while len(self.buffer) < size:
            data = self.some()
            must(data, f"end after {len(self.buffer)} of {size}")
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def line(self):
        while b"\n" not in self.buffer:
            data = self.some()
            if not data:
                return ""
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode()

    def to_end(self):
        size = len(self.buffer)
        while data := self.some():
            size += len(data)
        return size


def serve_one(sock, side):
    with sock:
        talk = Talk(sock, side, None)
        while words := talk.line().split():
            if words[0] == "get":
                talk.send(bytes(int(words[1])))
            elif words[0] == "bye":
                talk.send(bytes(int(words[1])))
                return
            elif words[0] == "put":
                talk.send(b"%d\n" % talk.to_end())
                return
            elif words[0] == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return


def serve(listener, side, threads):
    def work():
        while True:
            sock, _ = listener.accept()
            try:
                serve_one(sock, side)
            except ConnectionResetError:
                count(**{side + "_resets": 1})

    for _ in range(threads):
        threading.Thread(target=work, daemon=True).start()


def serve_datagrams(sock):
    """echoes"""
    def work():
        while True:
            data, peer = sock.recvfrom(1 << 16)
            count(host_got=len(data), host_sent=len(data))
            sock.sendto(data, peer)

    threading.Thread(target=work, daemon=True).start()


# --- flows, each a function of the address family -----------------------------------------------


def dial(family, port=TCP, address=None):
    sock = socket.create_connection((address or HOST[family], port), PATIENCE)
    count(tcp=1)
    return sock, Talk(sock, "box")


def page(family):
    sock, talk = dial(family)
    with sock:
        size = random.choice((500, 5000, 50000))
        talk.send(b"bye %d\n" % size)
        must(talk.to_end() == size, "a page is cut")


def keep_alive(family):
    sock, talk = dial(family)
    with sock:
        for _ in range(5):
            talk.send(b"get 2000\n")
            talk.take(2000)


def upload(family):
    sock, talk = dial(family)
    with sock:
        size = random.choice((1000, 200000))
        talk.send(b"put\n" + bytes(size))
        sock.shutdown(socket.SHUT_WR)
        must(int(talk.line()) == size, "an upload is cut")
        must(talk.to_end() == 0, "no end")


def download(family):
    sock, talk = dial(family)
    with sock:
        talk.send(b"bye 1000000\n")
        must(talk.to_end() == 1000000, "a download is cut")


def hang_up(family):
    dial(family)[0].close()


def reset_by_server(family):
    sock, talk = dial(family)
    with sock:
        talk.send(b"reset\n")
        try:
            must(False, f"{talk.to_end()} bytes instead of a reset")
        except ConnectionResetError:
            pass


def reset_by_client(family):
    sock, talk = dial(family)
    with sock:
        talk.send(b"get 100\n")
        talk.take(100)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def refused(family):
    count(refused=1)
    try:
        socket.create_connection((HOST[family], CLOSED), PATIENCE).close()
        must(False, "a closed port is open")
    except ConnectionRefusedError:
        pass


def denied(family):
    count(denied=1)
    try:
        with socket.create_connection((PRIVATE[family], 80), PATIENCE) as sock:
            sock.getpeername()  # the kernel may not have the error yet that it reported: decision 9
        must(False, "a denied address answers")
    except OSError as error:
        must(not isinstance(error, TimeoutError), "a denied flow hears nothing")


def burst(family):
    """a page with fifty parts, asked for at once"""
    socks = [socket.socket(FAMILIES[family], socket.SOCK_STREAM | socket.SOCK_NONBLOCK) for _ in range(50)]
    for sock in socks:
        sock.connect_ex((HOST[family], TCP))
    for sock in socks:
        must(select.select([], [sock], [], PATIENCE)[1], "one of a burst hangs")
        must(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0, "one of a burst fails")
        count(tcp=1)
        Talk(sock, "box").send(b"bye 300\n")
    for sock in socks:
        with sock:
            must(Talk(sock, "box").to_end() == 300, "a part is cut")


class Ports:
    """No source port comes again before its flow has been forgotten, so that each socket is a flow of its own."""

    next = 0

    @classmethod
    def bind(cls, sock, family):
        while True:
            with lock:
                port = 1024 + cls.next % 64000
                cls.next += 1
            try:
                sock.bind(("::" if family == 6 else "0.0.0.0", port))
                return sock
            except OSError:
                continue


def datagrams(family, port, sizes):
    with Ports.bind(socket.socket(FAMILIES[family], socket.SOCK_DGRAM), family) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((HOST[family], port))
        count(udp=1)
        for size in sizes:
            data = os.urandom(size)
            sock.send(data)
            count(box_sent=size)
            try:
                must(sock.recv(1 << 16) == data, "another datagram")
                count(box_got=size)
            except TimeoutError:
                count(datagrams_lost=1)


def question(family):
    datagrams(family, 53, [random.randrange(20, 400)])


def one_datagram(family):
    datagrams(family, UDP, [random.randrange(1, 1400)])


def conversation(family):
    datagrams(family, UDP, [1200] * 20)


def large_datagram(family):
    datagrams(family, UDP, [9000])


def closed_datagram(family):
    with Ports.bind(socket.socket(FAMILIES[family], socket.SOCK_DGRAM), family) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((HOST[family], CLOSED))
        count(udp=1, unheard=100)
        sock.send(bytes(100))
        try:
            must(False, f"{sock.recv(100)} from a closed port")
        except ConnectionRefusedError:
            pass


def ask(name, kind):
    text = struct.pack(">6H", random.randrange(1 << 16), 0x100, 1, 0, 0, 0)
    text += b"".join(bytes([len(label)]) + label for label in name.split(b".")) + b"\0" + struct.pack(">2H", 1, 1)
    count(queries=1)
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(("10.0.2.3", 53))
        if kind == socket.SOCK_STREAM:
            sock.sendall(struct.pack(">H", len(text)) + text)
            size, = struct.unpack(">H", sock.recv(2, socket.MSG_WAITALL))
            answer = sock.recv(size, socket.MSG_WAITALL)
            # For the gateway this is a flow as any other.
            count(tcp=1, box_sent=len(text) + 2, host_got=len(text) + 2, box_got=size + 2, host_sent=size + 2)
        else:
            sock.send(text)
            answer = sock.recv(1 << 16)
    must(answer[:2] == text[:2] and answer[2] & 0x80, "no answer to the question")
    return answer


def name(_family):
    must(struct.unpack(">H", ask(b"www.test", socket.SOCK_DGRAM)[6:8])[0] == 1, "no address")


def broken_name(_family):
    count(broken=1)
    must(ask(b"broken", socket.SOCK_DGRAM)[3] & 15 == 2, "no failure")


def large_name(_family):
    must(ask(b"big", socket.SOCK_DGRAM)[2] & 2, "not cut")
    answer = ask(b"big", socket.SOCK_STREAM)
    must(struct.unpack(">H", answer[6:8])[0] == 100, "not a hundred addresses")


def echo_request(family):
    kind = socket.IPPROTO_ICMP if family == 4 else socket.getprotobyname("ipv6-icmp")
    with socket.socket(FAMILIES[family], socket.SOCK_DGRAM, kind) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((HOST[family], 0))
        count(icmp=1, box_sent=56, box_got=56, host_got=56, host_sent=56)
        sock.send(struct.pack(">BBHHH", 8 if family == 4 else 128, 0, 0, 0, 1) + bytes(56))
        must(len(sock.recv(1 << 16)) == 64, "another echo")


def published(_family):
    """the other way: the driver comes in by a port of the host, and tells what it counted"""
    count(tcp=1, published=1)
    sock = socket.create_connection(("127.0.0.1", INSIDE), PATIENCE)
    with sock:
        talk = Talk(sock, "host")
        talk.send(b"bye 3000\n")
        must(talk.to_end() == 3000, "a published page is cut")


# How many of a thousand; a burst is fifty.
MIX = {page: 300, keep_alive: 60, upload: 40, download: 3, hang_up: 40, reset_by_server: 30, reset_by_client: 30,
       refused: 30, denied: 20, burst: 2, question: 100, one_datagram: 15, conversation: 15, large_datagram: 5,
       closed_datagram: 10, name: 160, broken_name: 20, large_name: 10, echo_request: 20}  # fmt: skip
FROM_OUTSIDE = {published: 90}


def spread(mix, flows, seconds):
    """Runs flows of a mix evenly over the time; what went wrong, by kind."""
    kinds, weights = list(mix), list(mix.values())
    begin, begun, faults = time.monotonic(), 0, []
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])

    def work():
        nonlocal begun
        while True:
            with lock:
                number, begun = begun, begun + 1
            wait = begin + number * seconds / flows - time.monotonic()
            if number >= flows or wait < -seconds or time.monotonic() - begin > seconds:
                return
            if wait > 0:
                select.select([], [], [], wait)
            kind = random.choices(kinds, weights)[0]
            try:
                kind(random.choice((4, 6)))
                count(flows=50 if kind is burst else 1)
            except (OSError, AssertionError) as error:
                faults.append(f"{kind.__name__} at {time.monotonic() - begin:.0f} s: {error!r}")

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def inside(flows, seconds):
    """In the sandbox: the clients, and the server that is published; prints what it counted."""
    serve(socket.create_server(("10.0.2.100", 80), backlog=1024), "box", 16)
    staying = [dial(4 + 2 * (number % 2)) for number in range(STAYING)]
    for _, talk in staying:
        talk.send(b"get 10\n")
        talk.take(10)
    print("ready", flush=True)
    faults = spread(MIX, flows, seconds)
    print("done", flush=True)
    sys.stdin.readline()  # until the driver has done, too
    for sock, talk in staying:
        with sock:
            talk.send(b"bye 10\n")
            must(talk.to_end() == 10, "one that stayed is cut")
    print(json.dumps({"counts": counts, "faults": faults[:20], "faulty": len(faults)}), flush=True)
    sys.stdin.readline()


# --- the driver: the host ---------------------------------------------------------------------


class Box:
    """The sandbox and its gateway."""

    def __init__(self, flows, seconds):
        self.process = subprocess.Popen(
            [world.VNIC, "run", "--stats", "--json", "--allow", "host", "--dns", NAMESERVER, "--publish",
             f"127.0.0.1:{INSIDE}:80", "--", sys.executable, "-B", os.path.abspath(__file__), "inside", str(flows),
             str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        must(self.hear() == "ready", "the sandbox does not start")
        self.gateway = next(pid for pid in world.children(self.process.pid) if world.comm(pid) == "vnic-gateway")

    def hear(self):
        return self.process.stdout.readline().strip()

    def say(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def figures(self):
        line = "no figures"
        while not line.startswith("{"):
            if "no figures" in line:  # not within a second
                self.process.send_signal(signal.SIGUSR1)
            line = self.process.stderr.readline()
            must(line, "there are no figures")
        return json.loads(line)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.gateway}/fd"))


def become_host():
    for family, address in [*HOST.items(), (4, NAMESERVER)]:
        subprocess.run(["ip", "address", "add", address, "dev", "lo", *(["nodad"] if family == 6 else [])], check=True)
    with open("/proc/sys/net/ipv4/ping_group_range", "w", encoding="ascii") as groups:
        groups.write("0 65534")
    for family, kind in FAMILIES.items():
        serve(socket.create_server((HOST[family], TCP), family=kind, backlog=4096), "host", SERVERS + STAYING)
        for port in (53, UDP):
            sock = socket.socket(kind, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            sock.bind((HOST[family], port))
            serve_datagrams(sock)
    library = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib/resolver.py")
    resolver = subprocess.Popen([sys.executable, library, NAMESERVER, "192.0.2.1"], stdout=subprocess.PIPE, text=True)
    must(resolver.stdout.readline() == "ready\n", "there is no resolver")
    return resolver


def watch(box, samples, ended, results):
    """Memory, descriptors and open flows of the gateway, every so often."""
    begin = told = time.monotonic()
    while not ended.wait(SAMPLE_EVERY):
        figures, now = box.figures(), time.monotonic()
        samples.append((now - begin, cycles.memory([box.gateway]), box.descriptors(), figures["open"]))
        if now - told > PROGRESS_EVERY:
            told = now
            results.note(f"after {now - begin:.0f} s: {json.dumps(figures['flows'])} {samples[-1][1]} KiB")


def compare(results, figures, totals, flows):
    """The gateway's figures beside those of both sides."""
    slack = totals.get("datagrams_lost", 0) * 9000
    sent, got = totals["box_sent"] + totals.get("unheard", 0), totals["box_got"]
    pairs = [
        ("TCP flows", figures["flows"]["tcp"], totals["tcp"], 0),
        ("UDP flows", figures["flows"]["udp"], totals["udp"], 0),
        ("echo flows", figures["flows"]["icmp"], totals["icmp"], 0),
        ("published flows", figures["flows"]["published"], totals["published"], 0),
        ("bytes that left", figures["bytes_out"], sent, slack),
        ("bytes that the host got", totals["host_got"] + totals.get("unheard", 0), sent, slack),
        ("bytes that came", figures["bytes_in"], got, slack),
        ("bytes that the host sent", totals["host_sent"], got, slack),
        # A SYN that is sent again, because the machine was slow to answer it, is denied or refused again.
        ("denied", figures["denied"], totals["denied"], totals["denied"] // 100),
        ("refused", figures["failed"], totals["refused"], totals["refused"] // 100),
        ("beyond a limit", figures["full"], 0, 0),
        ("malformed or ignored", figures["malformed"], 0, 0),
        ("questions", figures["dns"]["queries"], totals["queries"], 0),
        ("datagrams lost", figures["udp_unsent"] + figures["udp_overrun"], totals.get("datagrams_lost", 0), 0),
    ]
    wrong = [f"{what}: the gateway says {ours}, the others {theirs}" for what, ours, theirs, most in pairs
             if abs(ours - theirs) > most]
    results.add(not wrong, f"the gateway's figures for {flows} flows are those of both sides", "\n".join(wrong))
    results.note("; ".join(f"{what} {ours}" for what, ours, _, _ in pairs))


def flat(results, samples, seconds):
    """Memory against time in the second half of the run: flat within its error, or below 1 KiB a minute."""
    late = [(when, memory) for when, memory, _, _ in samples if when > seconds / 2]
    most = max(memory for _, memory, _, _ in samples)
    if len(late) < 10:
        results.note("too short for a slope")
    else:
        slope, error = cycles.line_through(late)
        results.add(slope * seconds <= max(3 * error * seconds, 256), "the gateway's memory is flat")
        results.note(f"slope {slope * 60:+.2f} KiB a minute, standard error {error * 60:.2f}")
    results.note("KiB over the run: " + " ".join(str(memory) for _, memory, _, _ in samples[::max(len(samples) // 12, 1)]))
    results.note(f"at most {most} KiB, {max(fds for _, _, fds, _ in samples)} descriptors, and open flows: "
                 + ", ".join(f"{max(sample[3][kind] for sample in samples)} {kind}" for kind in samples[0][3]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=500000)
    parser.add_argument("--seconds", type=float, default=1800)
    args = parser.parse_args()
    world.enter()
    results = world.Results()
    resolver = become_host()
    share = sum(FROM_OUTSIDE.values()) / (sum(FROM_OUTSIDE.values()) + sum(MIX.values()) + 49 * MIX[burst])
    units = args.flows * (1 - share) / (1 + 49 * MIX[burst] / sum(MIX.values()))
    box = Box(int(units), args.seconds)
    before, quiet = box.descriptors(), cycles.memory([box.gateway])
    samples, ended = [], threading.Event()
    watcher = threading.Thread(target=watch, args=(box, samples, ended, results))
    watcher.start()
    begin = time.monotonic()
    faults = spread(FROM_OUTSIDE, int(args.flows * share), args.seconds)
    must(box.hear() == "done", "the clients have died")
    took = time.monotonic() - begin
    box.say()
    told = json.loads(box.hear())
    ended.set()
    watcher.join()

    begin = time.monotonic()
    while any((figures := box.figures())["open"].values()):  # datagrams: until they are forgotten
        if time.monotonic() - begin > 400:
            break
        select.select([], [], [], 1)
    forgotten = time.monotonic() - begin
    totals = {name: counts.get(name, 0) + told["counts"].get(name, 0) for name in {*counts, *told["counts"]}}
    faults += told["faults"]
    flows = totals["flows"] + STAYING
    results.add(not faults, f"{flows} flows in {took:.0f} s, and each got what it should",
                "\n".join(faults[:10]) + (f"\nfaulty: {told['faulty']}" if faults else ""))
    results.add(not any(figures["open"].values()), "no flow is left", json.dumps(figures["open"]))
    results.note(f"{forgotten:.0f} s after the last")
    compare(results, figures, totals, flows)
    results.add(box.descriptors() <= before - STAYING, "no descriptor is left", f"{before} -> {box.descriptors()}")
    flat(results, samples, took)
    results.note(f"memory before {quiet} KiB, after {cycles.memory([box.gateway])} KiB; load {os.getloadavg()}")
    box.say()
    must(box.process.wait() == 0, "the sandbox fails")
    resolver.terminate()
    resolver.wait()
    results.end()


if __name__ == "__main__":
    if sys.argv[1:2] == ["inside"]:
        inside(int(sys.argv[2]), float(sys.argv[3]))
    else:
        main()
