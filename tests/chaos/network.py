"""Where the nodes of a chaos run live: each in a network namespace of its own on one bridge, or all
of them on the loopback interface where that takes rights that are not there.

A cut is one way: what A sends to B vanishes. "silent" gives A a wrong hardware address for B, so
that frames go nowhere, as with a broken switch; "refused" gives A a blackhole route, so that A is
told at once. What B sends to A still arrives, but answers to it do not.
"""

import ctypes
import os
import re
import shutil

from common import Failure, run

PREFIX = "krch"
CLIENTS = 0  # the place of the clients on the bridge, beside nodes 1, 2, ...
NOWHERE = "02:6b:ff:ff:ff:ff"
CLONE_NEWNET = 0x40000000
CLIENT_PORT, CONTROLLER_PORT, ADMIN_PORT = 9092, 9093, 9292


def can_isolate():
    """None, or why there can be no namespaces."""
    if os.geteuid() != 0:
        return "not root"
    if not shutil.which("ip"):
        return "no ip command (package iproute2)"
    name = f"{PREFIX}{os.getpid()}t"
    try:
        run("ip", "netns", "add", name)
        run("ip", "link", "add", name, "type", "bridge")
    except Failure as failure:
        return str(failure)
    finally:
        run("ip", "link", "del", name, ok=False)
        run("ip", "netns", "del", name, ok=False)
    return None


def remove_leftovers():
    """Namespaces and bridges of runs that were killed with SIGKILL, by the pid in their names."""
    for words, kind in ((("netns", "list"), "netns"), (("-o", "link", "show"), "link")):
        for name, pid in re.findall(rf"\b({PREFIX}(\d+)[bnt]\d*)\b", run("ip", *words, ok=False)):
            if not os.path.exists(f"/proc/{pid}"):
                run("ip", kind, "del", name, ok=False)


class Bridge:
    """A namespace for each node; the clients stay outside, on the bridge itself."""

    isolated = True

    def __init__(self, nodes):
        remove_leftovers()
        self.nodes = nodes
        self.cuts = set()
        self.bridge = f"{PREFIX}{os.getpid()}b"
        self.subnet = self.free_subnet()
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def free_subnet(self):
        used = run("ip", "-o", "addr", "show")
        for i in range(256):
            subnet = f"198.18.{(os.getpid() + i) % 256}"
            if f" {subnet}." not in used:
                return subnet
        raise Failure("no free network of 198.18.0.0/16 on this machine")

    def build(self):
        run("ip", "link", "add", self.bridge, "address", self.mac(CLIENTS), "type", "bridge")
        run("ip", "addr", "add", f"{self.address(CLIENTS)}/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")
        for i in range(1, self.nodes + 1):
            space, outside = self.namespace(i), f"{PREFIX}{os.getpid()}n{i}"
            run("ip", "netns", "add", space)
            run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0",
                "address", self.mac(i), "netns", space)
            run("ip", "link", "set", outside, "master", self.bridge, "up")
            run("ip", "-n", space, "addr", "add", f"{self.address(i)}/24", "dev", "eth0")
            run("ip", "-n", space, "link", "set", "lo", "up")
            run("ip", "-n", space, "link", "set", "eth0", "up")
        for i in range(self.nodes + 1):
            for j in range(self.nodes + 1):
                if i != j:
                    self.neighbour(i, j, self.mac(j))

    def namespace(self, node):
        return f"{PREFIX}{os.getpid()}n{node}"

    def address(self, place):
        return f"{self.subnet}.{place if place != CLIENTS else 254}"

    @staticmethod
    def mac(place):
        return f"02:6b:00:00:00:{place if place != CLIENTS else 254:02x}"

    def ip(self, place, *words, ok=True):
        """The ip command, in the namespace of a node or in the clients'."""
        inside = () if place == CLIENTS else ("-n", self.namespace(place))
        return run("ip", *inside, *words, ok=ok)

    def neighbour(self, place, other, mac):
        device = self.bridge if place == CLIENTS else "eth0"
        self.ip(place, "neigh", "replace", self.address(other), "lladdr", mac, "dev", device,
                "nud", "permanent")

    def ports(self, _node):
        return CLIENT_PORT, CONTROLLER_PORT, ADMIN_PORT

    def enter(self, node):
        """For preexec_fn: puts the process that is about to begin into the node's namespace."""
        libc = ctypes.CDLL(None, use_errno=True)

        def move(path=f"/run/netns/{self.namespace(node)}"):
            handle = os.open(path, os.O_RDONLY)
            if libc.setns(handle, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            os.close(handle)

        return move

    def cut(self, sender, receiver, how="silent"):
        if (sender, receiver) in self.cuts:
            return
        self.cuts.add((sender, receiver))
        if how == "refused" and sender != CLIENTS:
            self.ip(sender, "route", "add", "blackhole", f"{self.address(receiver)}/32")
        else:
            self.neighbour(sender, receiver, NOWHERE)

    def heal(self):
        for sender, receiver in sorted(self.cuts):
            if sender != CLIENTS:
                self.ip(sender, "route", "del", "blackhole", f"{self.address(receiver)}/32",
                        ok=False)
            self.neighbour(sender, receiver, self.mac(receiver))
        self.cuts.clear()

    def close(self):
        for i in range(1, self.nodes + 1):
            run("ip", "link", "del", f"{PREFIX}{os.getpid()}n{i}", ok=False)
            run("ip", "netns", "del", self.namespace(i), ok=False)
        run("ip", "link", "del", self.bridge, ok=False)


class Loopback:
    """All nodes on 127.0.0.1 with ports of their own: nothing can be cut."""

    isolated = False

    def __init__(self, nodes, free_ports):
        self.all_ports = free_ports(3 * nodes)

    def address(self, _place):
        return "127.0.0.1"

    def ports(self, node):
        return tuple(self.all_ports[3 * (node - 1):3 * node])

    def enter(self, _node):
        return lambda: None

    def heal(self):
        pass

    def close(self):
        pass
