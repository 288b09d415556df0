#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""resolver.py ADDRESS ANSWER: a resolver on UDP and TCP that has one answer for every A question.

"big" has a hundred addresses, which do not fit into a datagram; of "silent" it says nothing, of "broken" SERVFAIL.
Prints "ready" when it can be asked.
"""
import socket
import struct
import sys
import threading

address, answer = sys.argv[1], socket.inet_aton(sys.argv[2])


def records(name, kind):
    if kind != 1:
        return []
    return [bytes([192, 0, 2, i]) for i in range(100)] if name == "big" else [answer]


def reply(query, most):
    end = query.index(b"\0", 12) + 5
    name = query[13 : 13 + query[12]].decode()
    if name == "silent":
        return None
    found = records(name, struct.unpack(">H", query[end - 4 : end - 2])[0])
    data = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + a for a in found)
    cut = end + len(data) > most
    flags = 0x8180 | (0x200 if cut else 0) | (2 if name == "broken" else 0)
    if cut:
        found, data = [], b""
    return query[:2] + struct.pack(">5H", flags, 1, len(found), 0, 0) + query[12:end] + data


def serve_tcp(listener):
    while True:
        connection, _ = listener.accept()
        with connection:
            size = struct.unpack(">H", connection.recv(2, socket.MSG_WAITALL))[0]
            message = reply(connection.recv(size, socket.MSG_WAITALL), 65535)
            if message:
                connection.sendall(struct.pack(">H", len(message)) + message)


family = socket.AF_INET6 if ":" in address else socket.AF_INET
listener = socket.create_server((address, 53), family=family)
datagrams = socket.socket(family, socket.SOCK_DGRAM)
datagrams.bind((address, 53))
threading.Thread(target=serve_tcp, args=(listener,), daemon=True).start()
print("ready", flush=True)
while True:
    query, asker = datagrams.recvfrom(4096)
    message = reply(query, 512)
    if message:
        datagrams.sendto(message, asker)
