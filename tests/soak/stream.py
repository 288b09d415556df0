#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
stream.py [GIGABYTES]: so much in one TCP stream from a sandbox to its host, by the checksum of what was sent and of what
came; 10 is the default.  Runs in a network namespace of its own, which stands for the host.
"""
import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time

BLOCK = 1 << 20


def send(port, size):
    """in the sandbox: no two blocks are alike"""
    digest, block = hashlib.sha256(), bytearray(os.urandom(BLOCK))
    with socket.create_connection(("10.0.2.2", port)) as sock:
        for at in range(0, size, BLOCK):
            block[:8] = struct.pack("!Q", at)
            digest.update(block)
            sock.sendall(block)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == digest.digest(), "the host got something else"
    print(digest.hexdigest())


def take(listener, result):
    """on the host"""
    sock, _ = listener.accept()
    digest, size, space = hashlib.sha256(), 0, memoryview(bytearray(BLOCK))
    while n := sock.recv_into(space):
        digest.update(space[:n])
        size += n
    sock.sendall(digest.digest())
    sock.close()
    result += [size, digest.hexdigest()]


def main(gigabytes):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    size, result = gigabytes * 10**9 // BLOCK * BLOCK, []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=take, args=(listener, result), daemon=True)
        server.start()
        begin = time.monotonic()
        # The privilege over the namespace is the test's, not vnic's.
        ordinary = [] if os.geteuid() == 0 else ["setpriv", "--ambient-caps=-all", "--inh-caps=-all",
                                                 "--bounding-set=-all"]  # fmt: skip
        sent = subprocess.run([*ordinary, os.environ["VNIC"], "run", "--allow", "host", "--", sys.executable,
                               os.path.abspath(__file__), "send", str(listener.getsockname()[1]), str(size)],
                              check=True, capture_output=True, text=True).stdout.strip()  # fmt: skip
        server.join(60)
    took = time.monotonic() - begin
    assert result == [size, sent], f"sent {size} {sent}, got {result}"
    print(f"{size} bytes, sha256 {sent}, {took:.1f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        send(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 10)
