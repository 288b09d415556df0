# SPDX-License-Identifier: GPL-2.0-or-later
"""stations.py LINK COUNT TO: a frame from each of COUNT MAC addresses, to one that is known, so that a switch learns them."""
import socket
import sys

ETHERTYPE = b"\x88\xb5"  # for experiments


def main(link, count, to):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((link, 0))
        destination = bytes.fromhex(to.replace(":", ""))
        for number in range(count):
            out.send(destination + b"\x02\x10" + number.to_bytes(4, "big") + ETHERTYPE + bytes(46))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
