# SPDX-License-Identifier: GPL-2.0-or-later
"""The log of a sandbox's flows: what its lines say, and that it holds nothing up."""
import ctypes
import json
import os
import subprocess
import tempfile

from gateway_world import is_equal, run, until

PORT, CLOSED, PUBLISHED, CLIENT = 7001, 7002, 7003, 7004
SITE, NAME = "9.9.9.10", "site.example"
FORWARDER = "10.0.2.3"
CLONE_NEWNS = 0x20000


def sh(*command):
    subprocess.run(command, check=True)


def lines_of(path, **wanted):
    """those that have all of these"""
    with open(path) as log:
        lines = [json.loads(line) for line in log]
    return [line for line in lines if wanted.items() <= line.items()]


def one(path, **wanted):
    (line,) = lines_of(path, **wanted)
    return line


def logged(test):
    """with a path for a log, in a directory that goes with it"""

    def with_log(world):
        with tempfile.TemporaryDirectory() as directory:
            test(world, os.path.join(directory, "log"))

    return with_log


def check_pair(path, opened, ended, bytes_out, bytes_in):
    """both lines have the whole flow, and the times are right"""
    for key in "flow", "proto", "direction", "local", "local_port", "remote", "remote_port", "name":
        is_equal(ended.get(key), opened.get(key))
    is_equal((ended["bytes_out"], ended["bytes_in"]), (bytes_out, bytes_in))
    assert 0 <= ended["seconds"] <= ended["time"] - opened["time"] + 0.01, (opened, ended)
    is_equal(len(lines_of(path, flow=opened["flow"])), 2)


@logged
def tcp(world, path):
    """a connection has a line when it begins, and one with its bytes when it ends"""
    world.outside.serve("echo", SITE, PORT)
    with world.box("--log", path) as box:
        is_equal(box.talk(SITE, PORT, "hello"), "hello")
        until(lambda: lines_of(path, event="end"))
        opened = one(path, event="open")
        is_equal((opened["proto"], opened["direction"]), ("tcp", "out"))
        is_equal((opened["local"], opened["remote"], opened["remote_port"]), ("10.0.2.100", SITE, PORT))
        check_pair(path, opened, one(path, event="end"), 5, 5)


@logged
def datagrams(world, path):
    """flows of UDP and ICMP; they end with the sandbox at the latest"""
    port = world.outside.serve_udp(SITE)
    with world.box("--log", path) as box:
        is_equal(box.ask_udp(SITE, port, "four"), "four")
        assert box.by_ping(SITE)
        is_equal(len(lines_of(path, event="open")), 2)
        is_equal(lines_of(path, event="end"), [])
    udp, ping = one(path, event="open", proto="udp"), one(path, event="open", proto="icmp")
    check_pair(path, udp, one(path, event="end", proto="udp"), 4, 4)
    is_equal("remote_port" in ping, False)
    ended = one(path, event="end", proto="icmp")
    is_equal(ended["bytes_out"], ended["bytes_in"])


@logged
def outcomes(world, path):
    """what is denied or fails has one line, which says why"""
    with world.box("--log", path) as box:
        assert not box.by_tcp("10.99.0.1", PORT)
        assert not box.by_udp("10.99.0.1", PORT)
        assert not box.by_ping("10.99.0.1")
        for proto in "tcp", "udp", "icmp":
            is_equal(one(path, proto=proto)["event"], "denied")
        assert not box.by_tcp(SITE, CLOSED)
        line = one(path, remote=SITE)
        is_equal((line["event"], line["error"]), ("failed", "Connection refused"))
        is_equal("flow" in line, False)


@logged
def published(world, path):
    """whoever comes from outside is the remote"""
    with world.box("--log", path, "--publish", str(PUBLISHED), "--publish", f"{PUBLISHED}/udp") as box:
        box.serve("echo", "0.0.0.0", PUBLISHED)
        box.serve_udp("0.0.0.0", PUBLISHED)
        is_equal(world.outside.talk("10.77.0.1", PUBLISHED, "knock"), "knock")
        is_equal(world.outside.ask_udp("10.77.0.1", PUBLISHED, "knock", "10.77.0.2", CLIENT), "knock")
        until(lambda: lines_of(path, event="end", proto="tcp"))
    for proto in "tcp", "udp":
        opened = one(path, event="open", proto=proto)
        is_equal((opened["direction"], opened["local"], opened["local_port"]), ("in", "10.0.2.100", PUBLISHED))
        is_equal(opened["remote"], "10.77.0.2")
        check_pair(path, opened, one(path, event="end", proto=proto), 5, 5)
    is_equal(one(path, event="open", proto="udp")["remote_port"], CLIENT)


@logged
def names(world, path):
    """questions are there, and flows have the name that was asked for"""
    world.outside.serve("echo", SITE, PORT)
    world.outside.serve_names("192.168.77.1", {NAME: (60, SITE)})
    resolver = ("--dns", "192.168.77.1", "--allow", "192.168.77.1:53")
    with world.box("--log", path, *resolver, "--deny", "any", "--allow", f"{NAME}:{PORT}", "--dns", "allowed") as box:
        is_equal(box.ask_name(FORWARDER, "Site.Example"), 1)
        is_equal(box.talk(SITE, PORT, "hello"), "hello")
        is_equal(box.ask_name(FORWARDER, "other.example"), "REFUSED")
        assert not box.by_tcp(SITE, CLOSED)
        is_equal(one(path, event="question")["name"], NAME)
        is_equal(one(path, event="open")["name"], NAME)
        is_equal(one(path, event="denied", proto="dns")["name"], "other.example")
        is_equal(one(path, event="denied", proto="tcp")["name"], NAME)


@logged
def slow_reader(world, path):
    """a pipe that is full holds nothing up; later a line says how many are missing"""
    os.mkfifo(path)
    world.outside.serve("echo", SITE, PORT)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with world.box("--log", path) as box:
        for _ in range(500):
            is_equal(box.talk(SITE, PORT, "x"), "x")
        whole = read_all(reader)
        is_equal(box.talk(SITE, PORT, "x"), "x")
    lines = [json.loads(line) for line in (whole + read_all(reader)).splitlines()]
    missing = [line["lines"] for line in lines if line["event"] == "missing"]
    os.close(reader)
    assert 0 < sum(missing) < 1002, missing
    is_equal(len(lines) - len(missing) + sum(missing), 1002)


def read_all(reader):
    text = b""
    while True:
        try:
            part = os.read(reader, 1 << 20)
        except BlockingIOError:
            return text
        if not part:
            return text
        text += part


@logged
def no_reader(world, path):
    """nor one whose reader has gone, nor a full disk"""
    os.mkfifo(path)
    world.outside.serve("echo", SITE, PORT)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    for log in path, "/dev/full":
        with world.box("--log", log, "--stats", "--json") as box:
            if log == path:
                os.close(reader)
            is_equal(box.talk(SITE, PORT, "x"), "x")
            box.end()
            *warnings, figures = box.messages().splitlines()
            is_equal(json.loads(figures)["unlogged"], 2)
            full = "vnic: warning: lines are missing in the log: No space left on device"
            is_equal(warnings, [] if log == path else [full])


@logged
def cut(world, path):
    """a line that a full disk cuts is made whole when there is room, and a line says how many are missing"""
    disk = os.path.dirname(path)
    ctypes.CDLL(None).unshare(CLONE_NEWNS)
    sh("mount", "--make-rprivate", "/")
    sh("mount", "-t", "tmpfs", "-o", "size=4k", "disk", disk)
    try:
        with world.box("--log", path) as box:
            for _ in range(40):
                assert not box.by_udp("10.99.0.1", PORT)
            is_equal(os.path.getsize(path), 4096)
            sh("mount", "-o", "remount,size=64k", disk)
            assert not box.by_udp("10.99.0.1", PORT)
        missing = one(path, event="missing")["lines"]
        is_equal(len(lines_of(path, event="denied")) + missing, 41)
    finally:
        sh("umount", disk)


if __name__ == "__main__":
    run(globals())
