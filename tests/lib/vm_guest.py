#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vm_guest.py MAC FD[:FD...] [ADDRESS]: a VMM with the smallest of guests: it asks who has ADDRESS (10.0.2.2).

Prints the MAC of the answer and the number of queues that it listened to.
"""
import os
import select
import socket
import struct
import sys

HEADER = 10  # struct virtio_net_hdr: nothing is offloaded
mac = bytes.fromhex(sys.argv[1].replace(":", ""))
queues = [int(fd) for fd in sys.argv[2].split(":")]
asked = socket.inet_aton(sys.argv[3] if len(sys.argv) > 3 else "10.0.2.2")
mine = asked[:3] + b"\x64"

arp = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + mac + mine + bytes(6) + asked
os.write(queues[0], bytes(HEADER) + b"\xff" * 6 + mac + b"\x08\x06" + arp)
while True:
    ready, _, _ = select.select(queues, [], [], 10)
    if not ready:
        sys.exit("nobody answers")
    frame = os.read(ready[0], 65536)[HEADER:]
    if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2" and frame[28:32] == asked:
        print(frame[22:28].hex(":"), len(queues), flush=True)
        break
