#!/usr/bin/python3
"""A quorum on a network of its own: IPv6, names, end points that change, a cable that is pulled.

usage: test_networks.py KRAFTD [--only NAME]...

Three nodes in network namespaces that a bridge in a fourth one joins; names stand in
/etc/netns/NAME/hosts. Skipped where namespaces cannot be made (it needs root and ip).
"""

import argparse
import os
import shutil
import subprocess
import sys
import time

from harness import check, eventually
from test_quorum import Member

CONFIG = ("controller.quorum.election.timeout.ms=500", "broker.session.timeout.ms=3000",
          "broker.heartbeat.interval.ms=300")
CLIENT, CONTROLLER = 9092, 9093


def ip(*words, ok=False):
    result = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if result.returncode != 0 and not ok:
        raise OSError(f"ip {' '.join(words)}: {result.stderr.strip()}")


class Network:
    """Namespaces 1 to `count` on one bridge; node N has 10.77.0.N and fd77::N."""

    def __init__(self, count):
        self.prefix = f"kraftd-{os.getpid()}-"
        self.count = count
        self.hosts = {}

    def name(self, number):
        return f"{self.prefix}{number}"

    def __enter__(self):
        try:
            ip("netns", "add", self.name(0))
            ip("-n", self.name(0), "link", "add", "bridge", "type", "bridge")
            ip("-n", self.name(0), "link", "set", "bridge", "up")
            for number in range(1, self.count + 1):
                self.add(number)
        except OSError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for number in range(self.count + 1):
            ip("netns", "delete", self.name(number), ok=True)
            shutil.rmtree(os.path.join("/etc/netns", self.name(number)), ignore_errors=True)

    def add(self, number):
        name, port = self.name(number), f"port{number}"
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "add", "net", "type", "veth", "peer", "name", port, "netns",
           self.name(0))
        ip("-n", self.name(0), "link", "set", port, "master", "bridge", "up")
        ip("-n", name, "link", "set", "net", "up")
        self.give_address(number, f"10.77.0.{number}/24")
        self.give_address(number, f"fd77::{number}/64")

    def give_address(self, number, address):
        more = ["nodad"] if ":" in address else []
        ip("-n", self.name(number), "address", "add", address, "dev", "net", *more)

    def take_address(self, number, address):
        ip("-n", self.name(number), "address", "delete", address, "dev", "net")

    def cable(self, number, state):
        ip("-n", self.name(0), "link", "set", f"port{number}", state)

    def call(self, host, address):
        """Everybody finds the host there from now on."""
        self.hosts[host] = address
        lines = ["127.0.0.1 localhost\n", *(f"{a} {h}\n" for h, a in self.hosts.items())]
        for number in range(1, self.count + 1):
            folder = os.path.join("/etc/netns", self.name(number))
            os.makedirs(folder, exist_ok=True)
            # In place: a namespace that is in use has this file bound over /etc/hosts.
            with open(os.path.join(folder, "hosts"), "w", encoding="utf-8") as f:
                f.writelines(lines)


class Remote(Member):
    """A node in a namespace, which listens on `host`."""

    def __init__(self, network, kraftd, number, host, servers):
        super().__init__(kraftd)
        self.network, self.number = network, number
        self.configure(host, servers)

    def configure(self, host, servers, controller=CONTROLLER):
        self.host = host
        with open(self.properties, "w", encoding="utf-8") as f:
            f.write(f"process.roles=broker,controller\nnode.id={self.number}\n"
                    f"listeners=PLAINTEXT://{host}:{CLIENT},CONTROLLER://{host}:{controller}\n"
                    "controller.listener.names=CONTROLLER\n"
                    f"controller.quorum.bootstrap.servers={servers}\n"
                    f"log.dirs={self.data}\n" + "".join(line + "\n" for line in CONFIG))

    def inside(self, *words):
        return ["ip", "netns", "exec", self.network.name(self.number), *words]

    def command(self):
        return self.inside(self.kraftd, self.properties)

    def tool(self, *words):
        tools = os.path.join(os.path.dirname(self.kraftd), "kraftd-tools")
        result = subprocess.run(
            self.inside("timeout", "60", tools, words[0], "--bootstrap-server",
                        f"{self.host}:{CLIENT}", *words[1:]),
            capture_output=True, text=True, check=False)
        return result.stdout if result.returncode == 0 else None


class Quorum:
    def __init__(self, network, kraftd, hosts):
        self.servers = ",".join(f"{host}:{CONTROLLER}" for host in hosts)
        self.nodes = [Remote(network, kraftd, i + 1, host, self.servers)
                      for i, host in enumerate(hosts)]
        self.topics = 0

    def __enter__(self):
        for node in self.nodes:
            node.launch()
        return self

    def __exit__(self, kind, *_):
        for node in self.nodes:
            if kind:
                print(f"--- node {node.number}\n{node.log()}", file=sys.stderr)
            if node.process.poll() is None:
                node.kill()
            shutil.rmtree(node.folder, ignore_errors=True)

    def ready(self):
        for node in self.nodes:
            node.wait_ready()

    def create(self, node):
        """A topic, whose leaders clients of every node can reach."""
        self.topics += 1
        name = f"topic-{self.topics}"
        eventually(f"{name} is created", lambda: node.tool(
            "kafka-topics", "--create", "--topic", name, "--partitions", "3", "--if-not-exists")
            is not None)
        for other in self.nodes:
            if other.process.poll() is None and other is not node:
                eventually(f"node {other.number} knows {name}", lambda other=other: name in (
                    other.tool("kafka-topics", "--list") or ""))

    def status(self, node):
        return node.tool("kafka-metadata-quorum", "describe", "--status") or ""

    def wait_status(self, node, *words):
        eventually(lambda: f"{words} in {self.status(node)}",
                   lambda: all(word in self.status(node) for word in words))

    def leader(self):
        alive = [node for node in self.nodes if node.process.poll() is None]
        return max(alive, key=lambda node: node.leads())


def ipv6(network, kraftd):
    """Nothing but IPv6; the record has the addresses, clients reach every broker by them."""
    with Quorum(network, kraftd, [f"[fd77::{n}]" for n in (1, 2, 3)]) as quorum:
        quorum.ready()
        quorum.create(quorum.nodes[0])
        quorum.wait_status(quorum.nodes[1], *(f"CONTROLLER://[fd77::{n}]:{CONTROLLER}"
                                              for n in (1, 2, 3)))
        leader = quorum.leader()
        leader.kill()
        quorum.create(next(node for node in quorum.nodes if node is not leader))


def names(network, kraftd):
    """Hosts are found by name, at every attempt anew: one moves to another address."""
    for n in (1, 2, 3):
        network.call(f"kraft{n}", f"10.77.0.{n}")
    with Quorum(network, kraftd, [f"kraft{n}" for n in (1, 2, 3)]) as quorum:
        quorum.ready()
        quorum.create(quorum.nodes[0])
        quorum.wait_status(quorum.nodes[0], f"CONTROLLER://kraft2:{CONTROLLER}")
        leader = quorum.leader()
        moved = next(node for node in quorum.nodes if node is not leader)
        third = next(node for node in quorum.nodes if node not in (leader, moved))
        check(moved.stop() in (0, 143), "ended badly")
        network.take_address(moved.number, f"10.77.0.{moved.number}/24")
        network.give_address(moved.number, "10.77.0.99/24")
        network.call(f"kraft{moved.number}", "10.77.0.99")
        moved.launch()
        moved.wait_ready()
        # The quorum stands on it: the third one is not needed.
        third.kill()
        quorum.create(leader)
        network.take_address(moved.number, "10.77.0.99/24")
        network.give_address(moved.number, f"10.77.0.{moved.number}/24")


def moved_listeners(network, kraftd):
    """Two controllers come back elsewhere, one of them as the other is away: the voters in the log
    follow, and a node that knew only the old places finds them."""
    with Quorum(network, kraftd, [f"10.77.0.{n}" for n in (1, 2, 3)]) as quorum:
        quorum.ready()
        for number, host, port in ((1, "10.77.0.1", 9193), (2, "[fd77::2]", 9293)):
            node = quorum.nodes[number - 1]
            check(node.stop() in (0, 143), "ended badly")
            node.configure(host, quorum.servers, port)
            node.launch()
            node.wait_ready()
            quorum.wait_status(quorum.nodes[2], f"CONTROLLER://{host}:{port}")
        quorum.create(quorum.nodes[2])
        for node in quorum.nodes:
            check(node.stop() in (0, 143), "ended badly")
        for node in quorum.nodes:
            node.launch()
        quorum.ready()
        quorum.create(quorum.nodes[1])


def pulled_cable(network, kraftd):
    """The leader is cut off and does not notice at once: another one leads; it comes back."""
    with Quorum(network, kraftd, [f"10.77.0.{n}" for n in (1, 2, 3)]) as quorum:
        quorum.ready()
        leader = quorum.leader()
        epoch = leader.leads()
        others = [node for node in quorum.nodes if node is not leader]
        network.cable(leader.number, "down")
        leader.wait_for("No longer the active controller")
        eventually("another one leads", lambda: max(n.leads() for n in others) > epoch)
        eventually("the others serve", lambda: others[0].tool(
            "kafka-topics", "--create", "--topic", "meanwhile", "--partitions", "1",
            "--if-not-exists") is not None)
        network.cable(leader.number, "up")
        eventually("it knows what happened", lambda: "meanwhile" in (
            leader.tool("kafka-topics", "--list") or ""))
        quorum.create(leader)


PARTS = {part.__name__: part for part in (ipv6, names, moved_listeners, pulled_cable)}


def main():
    arguments = argparse.ArgumentParser(description="A quorum on a network of its own")
    arguments.add_argument("kraftd", type=os.path.abspath)
    arguments.add_argument("--only", action="append", choices=list(PARTS))
    arguments = arguments.parse_args()
    try:
        network = Network(3).__enter__()
    except OSError as error:
        print(f"skipped: network namespaces cannot be made here: {error}")
        return 77
    try:
        for name in arguments.only or PARTS:
            begin = time.monotonic()
            PARTS[name](network, arguments.kraftd)
            print(f"{name}: {time.monotonic() - begin:.1f} s", flush=True)
    finally:
        network.__exit__()
    return 0


if __name__ == "__main__":
    sys.exit(main())
