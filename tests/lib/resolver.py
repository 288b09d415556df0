#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""resolver.py ADDRESS ANSWER: a resolver on UDP and TCP that has one answer for every A question.

Names that begin with "big" have a hundred addresses, which do not fit into a datagram; of "silent" it says nothing, of
"broken" SERVFAIL.  Prints "ready" when it can be asked.
"""
import socket
import struct
import sys
import threading

A, CNAME, AAAA, HTTPS = 1, 5, 28, 65


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def name_in(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels)


def reply(query, most, find):
    end = query.index(b"\0", 12) + 5
    name = name_in(query)
    if name.split(".")[0] == "silent":
        return None
    found = find(name.lower(), struct.unpack(">H", query[end - 4 : end - 2])[0])
    data = b"".join(owner + struct.pack(">HHIH", kind, 1, ttl, len(value)) + value for owner, kind, ttl, value in found)
    cut = end + len(data) > most
    flags = 0x8180 | (0x200 if cut else 0) | (2 if name.split(".")[0] == "broken" else 0)
    if cut:
        found, data = [], b""
    return query[:2] + struct.pack(">5H", flags, 1, len(found), 0, 0) + query[12:end] + data


def serve(address, find, port=53):
    """`find` gives what it knows of a name and a kind: (owner, kind, TTL, value), ...  Answers from threads of its own."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family)
    datagrams = socket.socket(family, socket.SOCK_DGRAM)
    datagrams.bind((address, port))

    def by_connection(connection):
        with connection:
            while length := connection.recv(2, socket.MSG_WAITALL):
                message = reply(connection.recv(struct.unpack(">H", length)[0], socket.MSG_WAITALL), 65535, find)
                if message:
                    connection.sendall(struct.pack(">H", len(message)) + message)

    def by_tcp():
        while True:
            threading.Thread(target=by_connection, args=listener.accept()[:1], daemon=True).start()

    def by_datagrams():
        while True:
            query, asker = datagrams.recvfrom(4096)
            message = reply(query, 512, find)
            if message:
                datagrams.sendto(message, asker)

    threads = [threading.Thread(target=by, daemon=True) for by in (by_tcp, by_datagrams)]
    for thread in threads:
        thread.start()
    return threads


def main(address, answer):
    def find(name, kind):
        if kind != A:
            return []
        big = [bytes([192, 0, 2, i]) for i in range(100)]
        found = big if name.split(".")[0] == "big" else [socket.inet_aton(answer)]
        return [(b"\xc0\x0c", A, 60, value) for value in found]

    threads = serve(address, find)
    print("ready", flush=True)
    threads[0].join()


if __name__ == "__main__":
    main(*sys.argv[1:])
