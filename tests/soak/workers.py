# SPDX-License-Identifier: GPL-2.0-or-later
"""Work shared among processes, each in a place of its own (world.py); one TAP tells what came of it.

Each worker takes the next piece of work that nobody has taken: the pieces' numbers wait in a pipe.  What a worker has to
tell goes to the first process as a packet, so what belongs together stays together.
"""
import json
import os
import socket

import world

PIECES = 1000
PACKET = 150_000


class Report:
    """What became of one piece of work; numbers are summed over all of them."""

    def __init__(self):
        self.lines, self.numbers = [], {}

    def add(self, good, text, why=""):
        self.lines.append((good, text, why[:PACKET // 8]))

    def note(self, text):
        self.lines.append((None, text, ""))

    def count(self, **numbers):
        for name, number in numbers.items():
            self.numbers[name] = self.numbers.get(name, 0) + number


class Work:
    """A worker's side."""

    def __init__(self, queue, told):
        self.queue, self.told = queue, told

    def take(self, pieces):
        """Those of the pieces, which are the same for all workers, that fall to this one, each with its Report."""
        pieces = list(pieces)
        while word := os.read(self.queue, 2):
            if int.from_bytes(word, "little") < len(pieces):
                report = Report()
                yield pieces[int.from_bytes(word, "little")], report
                self.told.send(json.dumps([report.lines, report.numbers]).encode())


def start(main, queue, told):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            world.enter()
            main(Work(queue, told))
            world.leave()
            status = 0
        except BaseException:  # noqa: B902 - a worker returns to nobody
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def share(count, main, results):
    """Runs main(work) in so many workers; results get what they tell.  Returns the sums of all numbers."""
    queue, fill = os.pipe2(os.O_CLOEXEC)
    os.write(fill, b"".join(number.to_bytes(2, "little") for number in range(PIECES)))
    os.close(fill)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * PACKET)
    pids = [start(main, queue, theirs) for _ in range(count)]
    theirs.close()
    sums = {}
    while packet := ours.recv(2 * PACKET):
        lines, numbers = json.loads(packet)
        for good, text, why in lines:
            results.note(text) if good is None else results.add(good, text, why)
        for name, number in numbers.items():
            sums[name] = sums.get(name, 0) + number
    for pid in pids:
        status = os.waitpid(pid, 0)[1]
        if status != 0:
            results.add(False, "a worker did not come to its end", f"exit status {world.exit_status(status)}")
    return sums
