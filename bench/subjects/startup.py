# SPDX-License-Identifier: GPL-2.0-or-later
"""
From calling a program until `true` in a network of its own has ended, and all is gone again.

vnic's sandbox has a veth, IPv4 and IPv6 addresses and routes, and its gateway listens, when `true` starts.  unshare and
bwrap make namespaces with nothing in them.  pasta and slirp4netns are called as their manuals say.  `ip` makes two
namespaces, a pair, addresses and routes; `ip, all` the way to the gateway too: a second pair, rules, routes, but no nft
and no gateway.  CNI's ptp and netavark's bridge give one address and one route to a namespace that ip(8) makes.
"""
import contextlib
import functools
import json
import os

from harness.subject import Demand, Failed, Metric, Subject, against_best
from harness.world import USER

AT_ONCE = 4
RUNS = {"user": 20, "user, 4 at a time": 10, "user, rested": 5, "root": 10, "root, 4 at a time": 4}
REST_MS = 100  # before each, where the kernel is to have done with the former one

# The peer's end is born in its namespace and addresses need no duplicate detection: ip(8) at its best.
IP_BEGIN = """set -e
ip netns add r$1
ip netns add s$1
ip -n r$1 link add nic0 type veth peer name eth0 netns s$1
ip -n r$1 link set nic0 up
ip -n s$1 link set lo up
ip -n s$1 link set eth0 up
ip -n r$1 address add 10.0.2.2/24 dev nic0
ip -n r$1 address add fd00::2/64 dev nic0 nodad
ip -n s$1 address add 10.0.2.100/24 dev eth0
ip -n s$1 address add fd00::100/64 dev eth0 nodad
ip -n s$1 route add default via 10.0.2.2
ip -n s$1 route add default via fd00::2
"""
IP_SLOW_PATH = """ip -n r$1 link set lo up
ip -n r$1 link add slow0 type veth peer name slow1
ip -n r$1 link set slow0 up arp off
ip -n r$1 link set slow1 up
ip -n r$1 route add default dev slow0 table 10
ip -n r$1 route add local 10.0.2.2 dev nic0 table 20
ip -n r$1 route add local default dev lo table local
ip -n r$1 rule add fwmark 1 table 10 pref 10
ip -n r$1 rule add table 20 pref 100
ip -n r$1 rule add table local pref 40000
ip -n r$1 rule del pref 0
ip -n r$1 -6 route add default dev slow0 table 10
ip -n r$1 -6 route add local default dev lo table 40
ip -n r$1 -6 rule add fwmark 1 table 10 pref 10
ip -n r$1 -6 rule add table local pref 100
ip -n r$1 -6 rule add table 40 pref 40000
ip -n r$1 -6 rule del pref 0
"""
IP_END = """ip netns exec s$1 true
ip netns del s$1
ip netns del r$1
"""
SLIRP4NETNS = """unshare -Urn sh -c 'echo $$ >"$1"; read -r _ <"$2"; exec true' sh "$2/pid.$1" "$2/go.$1" &
inside=$!
read -r pid <"$2/pid.$1"
slirp4netns -c -r 4 "$pid" tap0 4>"$2/ready.$1" >/dev/null 2>&1 &
outside=$!
read -r -n 1 _ <"$2/ready.$1"
echo go >"$2/go.$1"
wait $inside
status=$?
kill $outside
wait
exit $status
"""
CNI = """set -e
ip netns add c$1
export CNI_CONTAINERID=c$1 CNI_NETNS=/run/netns/c$1 CNI_IFNAME=eth0 CNI_PATH=/usr/lib/cni
CNI_COMMAND=ADD /usr/lib/cni/ptp <"$2/cni.json" >/dev/null
ip netns exec c$1 true
CNI_COMMAND=DEL /usr/lib/cni/ptp <"$2/cni.json"
ip netns del c$1
"""
CNI_CONFIG = {"cniVersion": "0.4.0", "name": "bench", "type": "ptp",
              "ipam": {"type": "host-local", "subnet": "10.5.0.0/16", "dataDir": "/run/cni",
                       "routes": [{"dst": "0.0.0.0/0"}]}}
NETAVARK = """set -e
ip netns add n$1
/usr/lib/podman/netavark --config /run/netavark setup /run/netns/n$1 <"$2/netavark.$1" >/dev/null
ip netns exec n$1 true
/usr/lib/podman/netavark --config /run/netavark teardown /run/netns/n$1 <"$2/netavark.$1" >/dev/null
ip netns del n$1
"""


def netavark_config(number):
    network = {"name": "bench", "id": "b" * 64, "driver": "bridge", "network_interface": "nvbr0", "internal": True,
               "subnets": [{"subnet": "10.6.0.0/16", "gateway": "10.6.0.1"}], "ipv6_enabled": False,
               "dns_enabled": False, "ipam_options": {"driver": "host-local"}}
    return {"container_id": f"{number:064}", "container_name": f"n{number}",
            "networks": {"bench": {"static_ips": [f"10.6.0.{number + 10}"], "interface_name": "eth0"}},
            "network_info": {"bench": network}}


def write(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file)


def prepare(world):
    """A host for who wants one, and files that the scripts read."""
    world.outside()
    write(f"{world.place}/cni.json", CNI_CONFIG)
    os.makedirs("/run/netavark", exist_ok=True)
    for number in range(AT_ONCE):
        write(f"{world.place}/netavark.{number}", netavark_config(number))
        for kind in ("pid", "ready", "go"):
            path = f"{world.home}/{kind}.{number}"
            os.mkfifo(path)
            os.chown(path, USER, USER)


AS_USER, AS_ROOT = list(RUNS)[:3], list(RUNS)[3:]


def side(argv, cases):
    """argv: a function of a World, a build of vnic and the number of a worker, gives what to run."""

    @contextlib.contextmanager
    def begin(world):
        yield world, functools.partial(argv, world, world.vnic), cases

    return begin


def script(text):
    return lambda world, vnic, number: ["sh", "-c", text, "sh", str(number), world.place]


def user_script(text):
    return lambda world, vnic, number: ["bash", "-c", text, "bash", str(number), world.home]


def measure(lane, case):
    world, argv, cases = lane
    who, _, how = case.partition(", ")
    if case not in cases:
        return None
    times = []
    count, rest = str(3 if world.quick else RUNS[case]), str(REST_MS if how == "rested" else 0)
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(world.process([world.load, "repeat", count, rest, *argv(number)], "host",
                                                     as_user=who == "user"))
                   for number in range(AT_ONCE if how == "4 at a time" else 1)]
        for worker in workers:
            text = worker.finish()
            if not text.endswith("]\n"):
                raise Failed("a command failed")
            times += [value / 1000 for value in json.loads(text)]
    return {"time": times}


SUBJECT = Subject(
    name="startup",
    title="From `run` to the end of `true`",
    about="the program is called, makes a network, runs `true` in it, and is gone. vnic's sandbox has working IPv4 and "
    "IPv6 then; `unshare -Urn` and `bwrap` only make namespaces; `ip` is the NIC alone with ip(8), `ip, all` the way to the "
    "gateway too; CNI's ptp and netavark's bridge give a namespace one address. One after the other each starts while the "
    "kernel takes back the former; `rested`: 0.1 s later.",
    metrics=[Metric("time", "ms", more_is_better=False),
             Metric("p99", "ms", more_is_better=False, plot=False, percent_of=("time", 99))],
    cases={case: case for case in RUNS},
    sides={"vnic": side(lambda world, vnic, number: [vnic, "run", "--", "true"], AS_USER + AS_ROOT),
           "unshare": side(lambda world, vnic, number: ["unshare", "-Urn", "true"], AS_USER),
           "bwrap": side(lambda world, vnic, number: ["bwrap", "--unshare-net", "--bind", "/", "/", "true"], AS_USER),
           "slirp4netns": side(user_script(SLIRP4NETNS), AS_USER),
           "pasta": side(lambda world, vnic, number: ["pasta", "-q", "-4", "--config-net", "--", "true"], AS_USER),
           "ip": side(script(IP_BEGIN + IP_END), AS_ROOT),
           "ip, all": side(script(IP_BEGIN + IP_SLOW_PATH + IP_END), AS_ROOT),
           "CNI ptp": side(script(CNI), AS_ROOT),
           "netavark": side(script(NETAVARK), AS_ROOT[:1])},  # who calls it has to lock: podman does
    world=prepare,
    measure=measure,
    demands=[Demand("as a user: vnic / unshare -Urn", against_best("time", "user", ["unshare"]), at_most=3),
             Demand("the same, rested", against_best("time", "user, rested", ["unshare"]), at_most=3),
             Demand("as a user: pasta / vnic", against_best("time", "user", ["vnic"], side="pasta"), at_least=10)],
    rounds=8,
    quick_cases=["user", "root"],
)
