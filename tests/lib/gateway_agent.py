#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Does with sockets what it is told, wherever it was started: in the sandbox, in the namespace that stands for the host,
or in the one that stands for the world outside.

A line of standard input is a verb with its arguments in JSON, a line of standard output is the answer.  When the input
ends, so does the agent.
"""
import errno
import hashlib
import json
import os
import resource
import select
import socket
import struct
import subprocess
import sys
import threading
import time

import resolver

PATIENCE = 30  # seconds until something that must happen is given up
SILENCE = 0.3  # until something that must not happen is believed not to
RESET = struct.pack("ii", 1, 0)

sockets = {}
servers = {}
programs = {}


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def code(error):
    return errno.errorcode.get(error.errno, "timeout" if isinstance(error, TimeoutError) else str(error))


def keep(sock):
    sockets[sock.fileno()] = sock
    return sock.fileno()


def pattern(size, chunk=1 << 20):
    """the same bytes everywhere, and no two blocks alike"""
    block = bytearray(hashlib.shake_128(b"vnic").digest(chunk))
    for at in range(0, size, chunk):
        block[:8] = struct.pack("!Q", at)
        yield bytes(block[: size - at])


def pattern_digest(size):
    digest = hashlib.sha256()
    for block in pattern(size):
        digest.update(block)
    return digest.hexdigest()


def digest_to_end(sock):
    digest, size = hashlib.sha256(), 0
    while data := sock.recv(1 << 18):
        digest.update(data)
        size += len(data)
    return f"{size} {digest.hexdigest()}"


def send_pattern(sock, size, write):
    for block in pattern(size):
        for at in range(0, len(block), write):
            sock.sendall(block[at : at + write])


# --- servers: a thread each, and one for each connection ---


def echo(sock):
    while data := sock.recv(65536):
        sock.sendall(data)


def sink(sock):
    """tells what it got, after the client's end"""
    sock.sendall(digest_to_end(sock).encode())


def source(sock):
    """ends first, and tells the client's goodbye by echoing it"""
    size = int(sock.makefile("rb", buffering=0).readline())
    send_pattern(sock, size, 1 << 20)
    sock.shutdown(socket.SHUT_WR)
    servers_said.append(sock.recv(100).decode())


def reset(sock):
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def hold(sock):
    """until the client ends, and remembers how it did"""
    try:
        ended = "end" if sock.recv(1) == b"" else "data"
    except OSError as error:
        ended = code(error)
    servers_said.append(ended)


def record(sock):
    """remembers what it got"""
    servers_said.append(digest_to_end(sock))


def slow(sock):
    """the same, over a slow network: 8 MiB take more than half a second"""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    digest, size = hashlib.sha256(), 0
    while data := sock.recv(65536):
        digest.update(data)
        size += len(data)
        select.select([], [], [], 0.005)
    servers_said.append(f"{size} {digest.hexdigest()}")


def deaf(sock):
    """takes nothing, for as long as it is there"""
    deaf_to.append(sock.dup())


def greet(sock):
    sock.sendall(sock.getpeername()[0].encode() + b"\n")


def port(sock):
    sock.sendall(b"%d\n" % sock.getsockname()[1])


servers_said = []
deaf_to = []
names_heard = []
KINDS = {f.__name__: f for f in (echo, sink, source, reset, hold, record, slow, deaf, greet, port)}


def serve_one(sock, kind):
    with sock:
        try:
            KINDS[kind](sock)
        except OSError as error:
            servers_said.append(code(error))


def serve(kind, address, port=0):
    """a TCP server; gives its port"""
    listener = socket.create_server((address, port), family=family_of(address), backlog=4096)
    port = listener.getsockname()[1]
    counter = servers[f"{address} {port}"] = {"accepted": 0, "listener": listener}

    def accept():
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            counter["accepted"] += 1
            threading.Thread(target=serve_one, args=(sock, kind), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return port


def serve_crowd(address):
    """an echo server for thousands of connections, in one thread; gives its port"""
    raise_limits()
    listener = socket.create_server((address, 0), family=family_of(address), backlog=4096)
    listener.setblocking(False)
    port = listener.getsockname()[1]
    counter = servers[f"{address} {port}"] = {"accepted": 0, "listener": listener}
    ready = select.epoll()
    ready.register(listener, select.EPOLLIN)
    clients = {}

    def accept():
        try:
            while True:
                sock = listener.accept()[0]
                clients[sock.fileno()] = sock
                ready.register(sock, select.EPOLLIN)
                counter["accepted"] += 1
        except BlockingIOError:
            pass

    def answer(fd):
        try:
            data = clients[fd].recv(65536)
            clients[fd].sendall(data)
        except OSError:
            data = b""
        if not data:
            clients.pop(fd).close()

    def loop():
        while True:
            for fd, _ in ready.poll():
                accept() if fd == listener.fileno() else answer(fd)

    threading.Thread(target=loop, daemon=True).start()
    return port


def serve_udp(address, port=0, groups=(), device=""):
    """sends every datagram back; gives the port"""
    sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((address, port))
    for group in groups:
        index = socket.if_nametoindex(device)
        if family_of(group) == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                            socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", index))
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                            socket.inet_aton(group) + socket.inet_aton("0.0.0.0") + struct.pack("@I", index))

    def answer():
        while True:
            data, peer = sock.recvfrom(65536)
            servers_said.append(f"udp {peer[0]} {len(data)}")
            try:
                sock.sendto(data, peer)
            except OSError:
                pass

    threading.Thread(target=answer, daemon=True).start()
    return sock.getsockname()[1]


def greet_udp(address, port=0):
    """answers with whom it came from, and to which port"""
    sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((address, port))
    port = sock.getsockname()[1]

    def answer():
        while True:
            peer = sock.recvfrom(65536)[1]
            sock.sendto(f"{peer[0]} {port}".encode(), peer)

    threading.Thread(target=answer, daemon=True).start()
    return port


def serve_names(address, names):
    """a resolver; after a TTL a name has addresses of both families, aliases with "=" in front, and hints of HTTPS with "+" """

    def find(name, kind):
        names_heard.append(name)
        ttl, *values = names.get(name, [0])
        found = []
        for value in values:
            if value[0] == "=":
                owner = resolver.wire(value[1:])
                found.append((b"\xc0\x0c", resolver.CNAME, ttl, owner))
                found += [(owner, *record[1:]) for record in find(value[1:], kind)]
            elif value[0] == "+":
                hint = struct.pack(">HBHH", 1, 0, 6 if ":" in value else 4, 16 if ":" in value else 4)
                hint += socket.inet_pton(family_of(value[1:]), value[1:])
                found += [(b"\xc0\x0c", kind, ttl, hint)] if kind == resolver.HTTPS else []
            elif kind == (resolver.AAAA if ":" in value else resolver.A):
                found.append((b"\xc0\x0c", kind, ttl, socket.inet_pton(family_of(value), value)))
        return found

    resolver.serve(address, find)


def names_asked():
    """by whoever asked serve_names"""
    return names_heard


def question(name, kind=resolver.A, room=0, number=7):
    edns = b"\0" + struct.pack(">HHIH", 41, room, 0, 0) if room else b""
    head = struct.pack(">6H", number, 0x100, 1, 0, 0, bool(room))
    return head + resolver.wire(name) + struct.pack(">HH", kind, 1) + edns


def answered(message):
    _, flags, _, count = struct.unpack(">4H", message[:8])
    return {2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}.get(flags & 15, "truncated" if flags & 0x200 else count)


def ask_name(server, name, kind=resolver.A, room=0):
    """what it answers by UDP: the RCODE, or how many records there are; with EDNS if it may send more than 512 bytes"""
    with socket.socket(family_of(server), socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((server, 53))
        sock.send(question(name, kind, room))
        return answered(sock.recv(4096))


def ask_name_by_tcp(server, name, kind=resolver.A):
    """the same by TCP, or how that failed"""
    try:
        return ask_names_by_tcp(server, [name], kind)[0]
    except OSError as error:
        return code(error)


def ask_names_by_tcp(server, names, kind=resolver.A, part=65536):
    """all of them over one connection before the first answer is read, so many bytes a segment; answers may overtake"""
    messages = [question(name, kind, 0, number) for number, name in enumerate(names)]
    data = b"".join(struct.pack(">H", len(message)) + message for message in messages)
    answers = {}
    with socket.create_connection((server, 53), timeout=PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), part):
            sock.sendall(data[at : at + part])
        while len(answers) < len(names):
            size = struct.unpack(">H", sock.recv(2, socket.MSG_WAITALL))[0]
            message = sock.recv(size, socket.MSG_WAITALL)
            answers[message[1]] = answered(message)
    return [answers[number] for number in range(len(names))]


def serve_abstract(name):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\0" + name)
    listener.listen()
    keep(listener)


def serve_raw(address, proto):
    """remembers what comes in of an IP protocol"""
    sock = socket.socket(family_of(address), socket.SOCK_RAW, proto)
    sock.bind((address, 0))

    def listen():
        while True:
            servers_said.append(f"raw {proto} {sock.recvfrom(65536)[1][0]}")

    threading.Thread(target=listen, daemon=True).start()


def accepted(address, port):
    return servers[f"{address} {port}"]["accepted"]


def said():
    """what servers noticed since it was asked last"""
    lines = servers_said[:]
    del servers_said[: len(lines)]
    return lines


def wait_said(count=1):
    """waits until servers noticed so much"""
    deadline = time.monotonic() + PATIENCE
    while len(servers_said) < count and time.monotonic() < deadline:
        select.select([], [], [], 0.005)
    return said()


# --- clients ---


def open_tcp(address, port, timeout=PATIENCE):
    return keep(socket.create_connection((address, port), timeout=timeout))


def try_tcp(address, port, timeout=PATIENCE):
    """ "connected" or the name of the error, and how long it took"""
    begin = time.monotonic()
    try:
        socket.create_connection((address, port), timeout=timeout).close()
        result = "connected"
    except OSError as error:
        result = code(error)
    return [result, time.monotonic() - begin]


def kill_while_reading(address, port):
    """a process of its own reads from a source, and is killed meanwhile"""
    code = f"""
import signal, socket
client = socket.create_connection(("{address}", {port}))
client.sendall(b"10000000000\\n")
client.recv(1)
print("going", flush=True)
signal.pause()"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as reader:
        reader.stdout.readline()
        reader.kill()


def bound_port(address, start, count):
    """can they be bound at once?"""
    for port in range(start, start + count):
        with socket.socket(family_of(address)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address, port))
            sock.listen()


def send(handle, text):
    sockets[handle].sendall(text.encode())


def recv(handle, size=65536):
    """text, "" at the end, or the name of the error"""
    try:
        return sockets[handle].recv(size).decode()
    except OSError as error:
        return code(error)


def shut(handle):
    sockets[handle].shutdown(socket.SHUT_WR)


def close(handle):
    sockets.pop(handle).close()


def abort(handle):
    sockets[handle].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    close(handle)


def connect_from(source, source_port, address, port):
    """from that end, where one is given"""
    source = source or ("::" if family_of(address) == socket.AF_INET6 else "")
    return socket.create_connection((address, port), timeout=PATIENCE, source_address=(source, source_port))


def upload(address, port, size, write, source="", source_port=0):
    """to a sink: what it says it got"""
    with connect_from(source, source_port, address, port) as sock:
        send_pattern(sock, size, write)
        sock.shutdown(socket.SHUT_WR)
        return sock.makefile().read()


def fetch(address, port):
    """what a server says of itself"""
    with socket.create_connection((address, port), timeout=PATIENCE) as sock:
        return digest_to_end(sock)


def download(address, port, size, source="", source_port=0):
    """from a source: what came"""
    with connect_from(source, source_port, address, port) as sock:
        sock.sendall(f"{size}\n".encode())
        got = digest_to_end(sock)
        sock.sendall(b"goodbye")
        return got


def talk(address, port, text):
    """sends, ends, reads to the end"""
    with socket.create_connection((address, port), timeout=PATIENCE) as sock:
        sock.sendall(text.encode())
        sock.shutdown(socket.SHUT_WR)
        return sock.makefile().read()


def hello(address, port):
    with socket.create_connection((address, port), timeout=PATIENCE) as sock:
        return sock.makefile().readline().strip()


def try_hello(address, port):
    """the greeting or the name of the error, wherever it comes"""
    try:
        return hello(address, port)
    except OSError as error:
        return code(error)


def hello_from(source, address, port):
    with socket.create_connection((address, port), timeout=PATIENCE, source_address=(source, 0)) as sock:
        return sock.makefile().readline().strip()


def open_from(source, source_port, address, port):
    """also where another connection has this end already"""
    sock = socket.socket(family_of(address))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.settimeout(PATIENCE)
    sock.bind((source, source_port))
    sock.connect((address, port))
    return keep(sock)


def open_udp(address, port, source="", source_port=0):
    """only what comes from there is heard"""
    sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE)
    if source or source_port:
        sock.bind((source, source_port))
    sock.connect((address, port))
    return keep(sock)


def ask_udp(address, port, text="x", source="", source_port=0):
    """the answer, or the name of the error"""
    handle = open_udp(address, port, source, source_port)
    try:
        sockets[handle].send(text.encode())
        return recv(handle)
    finally:
        close(handle)


def there_and_back(address, port, size, write, source="", source_port=0):
    """
    The pattern in datagrams, some of them under way at a time, and what came back.  It comes in its order, but for once: a
    sender that the kernel moves to another CPU may be overtaken by itself.
    """
    window = max(1, min(8, 100000 // write))  # what every buffer on the way has room for
    handle = open_udp(address, port, source, source_port)
    sock, digest, got, waiting, strays = sockets[handle], hashlib.sha256(), 0, [], 0

    def take():
        nonlocal got, strays
        data = sock.recv(65536)
        if data not in waiting:
            raise ValueError(f"after {got} bytes came {len(data)} that were not sent, or came before")
        strays += data != waiting[0]
        waiting.remove(data)
        got += len(data)

    for block in pattern(size):
        for at in range(0, len(block), write):
            waiting.append(block[at : at + write])
            digest.update(waiting[-1])
            sock.send(waiting[-1])
            if len(waiting) == window:
                take()
    while waiting:
        take()
    close(handle)
    if strays > window:
        raise ValueError(f"{strays} datagrams came before their turn")
    return f"{got} {digest.hexdigest()}"


def send_many(handle, count, size):
    for _ in range(count):
        sockets[handle].send(b"x" * size)


def numbered(number):
    """a datagram that no other one is like"""
    return struct.pack("!I", number) + hashlib.shake_128(b"%d" % number).digest(60 + number % 400)


numbers = []  # of those that came, as they were sent
strange = []


def serve_numbered(address):
    sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
    sock.bind((address, 0))

    def take():
        while True:
            data = sock.recv(65536)
            number = struct.unpack_from("!I", data)[0]
            (numbers if data == numbered(number) else strange).append(number)

    threading.Thread(target=take, daemon=True).start()
    return sock.getsockname()[1]


def heard_numbered():
    """how many, the last, and what was damaged or came behind a later one"""
    heard = numbers[:]
    late = [b for a, b in zip(heard, heard[1:]) if b <= a]
    return [len(heard), heard[-1] if heard else -1, strange + late]


def wait_numbered(count):
    """waits until so many were heard"""
    deadline = time.monotonic() + PATIENCE
    while len(numbers) < count and time.monotonic() < deadline:
        select.select([], [], [], 0.005)
    return heard_numbered()


def forget_numbered():
    numbers.clear()


def send_numbered(handle, first, count):
    for number in range(first, first + count):
        sockets[handle].send(numbered(number))


def ask_many(address, port, count, threads=24):
    """questions, each from a port of its own and at the same time as others: what is not its own echo"""
    wrong, numbers = [], iter(range(count))

    def ask(lock):
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            answer = ask_udp(address, port, f"question {number}")
            if answer != f"question {number}":
                wrong.append([number, answer])

    lock = threading.Lock()
    workers = [threading.Thread(target=ask, args=[lock]) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return wrong


def in_a_row(address, port, count):
    """short connections: how many of them echoed"""
    return sum(talk(address, port, f"number {i}") == f"number {i}" for i in range(count))


def raise_limits():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def tcp_counters():
    """of this network namespace: the Tcp line of /proc/net/snmp"""
    with open("/proc/net/snmp") as lines:
        names, values = [line.split()[1:] for line in lines if line.startswith("Tcp:")]
    return dict(zip(names, map(int, values)))


def crowd(address, port, count):
    """begins so many connections at once and keeps them: how many came about, and how long it took"""
    raise_limits()
    ready = select.epoll()
    begin = time.monotonic()
    good = 0
    for _ in range(count):
        sock = socket.socket(family_of(address))
        sock.setblocking(False)
        sock.connect_ex((address, port))
        ready.register(keep(sock), select.EPOLLOUT | select.EPOLLONESHOT)
    for _ in range(count):
        events = ready.poll(PATIENCE, 1)
        if not events:
            break
        good += sockets[events[0][0]].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    return [good, time.monotonic() - begin]


def crowd_says(text):
    """each of them says something: how many of them echoed"""
    for sock in sockets.values():
        sock.settimeout(PATIENCE)
        sock.sendall(text.encode())
    return sum(sock.recv(100).decode() == text for sock in sockets.values())


def crowd_ends():
    while sockets:
        sockets.popitem()[1].close()


def at_once(address, port, count):
    """all connections begin before the first is waited for; then each has its say: how many of them echoed"""
    raise_limits()
    begun = [socket.socket(family_of(address)) for _ in range(count)]
    for sock in begun:
        sock.setblocking(False)
        sock.connect_ex((address, port))
    for i, sock in enumerate(begun):
        sock.settimeout(PATIENCE)
        wait = select.poll()
        wait.register(sock, select.POLLOUT)
        if not wait.poll(PATIENCE * 1000) or sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return i
        sock.sendall(b"%8d" % i)
    good = sum(sock.recv(8) == b"%8d" % i for i, sock in enumerate(begun))
    for sock in begun:
        sock.close()
    return good


# --- one attempt of each kind to get out: True where it got an answer ---


def by_tcp(address, port):
    return try_tcp(address, port, timeout=2)[0] == "connected"


def by_mapped_tcp(address, port):
    """an IPv6 socket, and an IPv4 address in it"""
    with socket.socket(socket.AF_INET6) as sock:
        sock.settimeout(2)
        return sock.connect_ex(("::ffff:" + address, port)) == 0


def by_udp(address, port, size=10, source="", device="", options=()):
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
        sock.settimeout(SILENCE)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        try:
            for level, name, value in options:
                sock.setsockopt(level, name, bytes.fromhex(value))
            if device:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            if source:
                sock.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
                sock.bind((source, 0))
            sock.sendto(b"x" * size, (address, port))
            return len(sock.recv(65536)) == size
        except OSError:
            return False


def by_ping(address):
    v6 = family_of(address) == socket.AF_INET6
    return subprocess.run(["ping", "-q", "-c1", "-W1", "-6" if v6 else "-4", address],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def fate(kind, proto, address, port, size, options):
    """what a connected socket is told about a packet: errno, ICMP type, code and MTU"""
    v4 = family_of(address) == socket.AF_INET
    level, recverr = (socket.IPPROTO_IP, 11) if v4 else (socket.IPPROTO_IPV6, 25)
    with socket.socket(family_of(address), kind, proto) as sock:
        sock.setsockopt(level, recverr, 1)
        for name, value in options:
            sock.setsockopt(level, name, value)
        sock.connect((address, port))
        sock.send(b"x" * size)
        wait = select.poll()
        wait.register(sock, 0)
        if not wait.poll(SILENCE * 5000):
            return ["silence", 0, 0, 0]
        told = sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)[1][0][2]
        number, _, kind, what, _, info = struct.unpack_from("=IBBBBI", told)
        return [errno.errorcode[number], kind, what, info]


def udp_fate(address, port, size, uncut=False):
    discover = 10 if family_of(address) == socket.AF_INET else 23  # IP_MTU_DISCOVER, IPV6_MTU_DISCOVER
    return fate(socket.SOCK_DGRAM, 0, address, port, size, [(discover, 2)] if uncut else [])


def raw_fate(address, proto):
    return fate(socket.SOCK_RAW, proto, address, 0, 32, [])


def speaks(what, address, port, options=()):
    """with IPv6 options in each packet: does an answer come by TCP, UDP or echo?"""
    kinds = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0), "echo": (socket.SOCK_RAW, 58)}
    with socket.socket(socket.AF_INET6, *kinds[what]) as sock:
        sock.settimeout(2)
        if what == "echo":
            sock.setsockopt(58, 1, struct.pack("=8I", *[0xFFFFFFFF] * 4, 0xFFFFFFFD, *[0xFFFFFFFF] * 3))  # replies only
        for level, name, value in options:
            sock.setsockopt(level, name, bytes.fromhex(value))
        try:
            sock.connect((address, port))
            sock.send(bytes.fromhex("8000 0000 1234 0001"))
            return len(sock.recv(8)) == 8
        except TimeoutError:
            return False


def send_bulk(address, port, part, count):
    """so many datagrams in one call"""
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
        sock.connect((address, port))
        sock.send(b"x" * part)  # the flow has begun
        sock.recv(part)
        sock.setsockopt(socket.IPPROTO_UDP, 103, part)  # UDP_SEGMENT
        sock.send(b"x" * part * count)


def ping_pong(address, port, seconds):
    """of UDP: how many were sent, and how many came back in time"""
    sent = got = 0
    end = time.monotonic() + seconds
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
        sock.settimeout(SILENCE)
        sock.connect((address, port))
        while time.monotonic() < end:
            sock.send(b"%d" % sent)
            try:
                while sock.recv(100) != b"%d" % sent:
                    pass
                got += 1
            except TimeoutError:
                pass
            sent += 1
    return [sent, got]


def by_abstract(name):
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex("\0" + name) == 0


def by_raw(address, proto):
    """a packet of another protocol than TCP, UDP and ICMP; whether it came, the other end knows"""
    with socket.socket(family_of(address), socket.SOCK_RAW, proto) as sock:
        try:
            sock.sendto(b"\0" * 32, (address, 0))
        except OSError:
            pass


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def ipv6(source, address, proto, payload):
    return struct.pack("!IHBB16s16s", 0x60000000, len(payload), proto, 64, socket.inet_pton(socket.AF_INET6, source),
                       socket.inet_pton(socket.AF_INET6, address)) + payload


def ipv4(source, address, proto, payload, fragment=0, number=7):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), number, fragment, 64, proto, 0,
                       socket.inet_aton(source), socket.inet_aton(address))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def syn(source, address, port, source_port, flags=2):
    tcp = struct.pack("!HHIIBBHHH", source_port, port, 1000, 0, 0x50, flags, 65535, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(address) + struct.pack("!HH", 6, 20)
    return tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]


def router_mac():
    subprocess.run(["ping", "-q", "-c1", "-W1", "10.0.2.2"], stdout=subprocess.DEVNULL)
    mac = [line.split()[3] for line in open("/proc/net/arp") if line.startswith("10.0.2.2 ")][0]
    return bytes.fromhex(mac.replace(":", ""))


def send_packets(packets):
    """whole packets: from a sandbox straight onto eth0, to the router, else, IPv4, by the kernel's routes"""
    if "eth0" not in [name for _, name in socket.if_nameindex()]:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
            for packet in packets:
                sock.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
        return
    router = router_mac()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as sock:
        for packet in packets:
            sock.sendto(packet, ("eth0", 0x86DD if packet[0] >> 4 == 6 else 0x0800, 0, 1, router))


def send_syns(address, port, source_port, count=1, source="10.0.2.100"):
    """the same SYN so many times, from no socket"""
    send_packets([ipv4(source, address, 6, syn(source, address, port, source_port))] * count)


def send_odd_syn(address, port, source_port, flags):
    """from no socket"""
    source = "10.0.2.100"
    send_packets([ipv4(source, address, 6, syn(source, address, port, source_port, flags))])


def talk_fast(address, port, text):
    """TCP Fast Open with no cookie: the text is in the SYN; what is answered, and how long it took"""
    begin = time.monotonic()
    with socket.socket(family_of(address)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, 34, 1)  # TCP_FASTOPEN_NO_COOKIE
        sock.settimeout(PATIENCE)
        sock.sendto(text.encode(), socket.MSG_FASTOPEN, (address, port))
        sock.send(b"!")  # waits for the connection
        sock.shutdown(socket.SHUT_WR)
        return [sock.makefile().read(), time.monotonic() - begin]


def send_cut_syn(source, address, port, source_port):
    """a SYN whose flags are in the second fragment"""
    tcp = syn(source, address, port, source_port)
    send_packets([ipv4(source, address, 6, tcp[:8], 0x2000), ipv4(source, address, 6, tcp[8:], 1)])


def send_datagram(source, address, port, size=10):
    """UDP that says it comes from there"""
    send_packets([ipv4(source, address, 17, struct.pack("!HHHH", 4000, port, 8 + size, 0) + b"x" * size)])


def send_atomic(source, address, port):
    """UDP over IPv6 in a fragment that is the whole packet"""
    pseudo = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, address)
    datagram = struct.pack("!HHHH", 4000, port, 18, 0) + b"x" * 10
    check = struct.pack("!H", checksum(pseudo + struct.pack("!II", 18, 17) + datagram))
    send_packets([ipv6(source, address, 44, bytes.fromhex("1100 0000 0000 0001") + datagram[:6] + check + datagram[8:])])


# --- about where it is ---


def sh(command):
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout.strip()


def start(*command):
    """a program that works until its input ends"""
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    programs[program.pid] = program
    return program.pid


def stop(pid):
    """what it said"""
    program = programs.pop(pid)
    said = program.communicate()[0]
    return said if program.returncode == 0 else f"status {program.returncode}"


def open_fds():
    return len(os.listdir("/proc/self/fd"))


def main():
    for line in sys.stdin:
        verb, *args = json.loads(line)
        try:
            answer = {"value": globals()[verb](*args)}
        except Exception as error:  # it is the caller who fails
            answer = {"error": f"{verb}{tuple(args)}: {error!r}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
