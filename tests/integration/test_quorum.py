#!/usr/bin/python3
"""A quorum of three processes: from nothing but the binary, through what goes wrong, to equal logs.

usage: test_quorum.py KRAFTD [--measure N]

With --measure: N times, how long three blank processes take to a committed topic, and how long
after kill -9 of the leader the next one is committed; medians and the worst of them.

One cluster lives through it all: blank nodes form it, its leader is killed, a disk is wiped; nodes
of another cluster, with a taken node id or on a copied directory are sent away. A second one forms
from the hosts of a ZooKeeper-day file.
"""

import argparse
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from harness import (PATIENCE_S, Node, check, ended, eventually, free_ports, run_parts,
                     settled)


class Member(Node):
    """A node of a quorum, and what it says."""

    def since_start(self):
        with open(self.log_path, "r", encoding="utf-8", errors="replace") as f:
            f.seek(self.log_from)
            return f.read()

    def said(self, pattern):
        """The first line since the start that matches, or None."""
        found = re.search(f".*{pattern}.*", self.since_start())
        return found.group(0) if found else None

    def wait_for(self, pattern):
        return eventually(lambda: f"{pattern!r} in the node's log:\n{self.log()}",
                          lambda: self.said(pattern))

    def leads(self):
        """The newest epoch in which it became the active controller; -1: never."""
        epochs = re.findall(r"Became the active controller epoch=(\d+)", self.log(100000))
        return int(epochs[-1]) if epochs else -1


def member(kraftd, node_id, controllers, *config):
    """`controllers` is the line that lists them."""
    node = Member(kraftd, config=[f"node.id={node_id}", *config])
    with open(node.properties, encoding="utf-8") as f:
        lines = [line for line in f if not line.startswith("controller.quorum.bootstrap.servers")]
    with open(node.properties, "w", encoding="utf-8") as f:
        f.writelines([*lines, controllers + "\n"])
    return node


class Cluster:
    def __init__(self, kraftd):
        self.kraftd = kraftd
        nodes = [Member(kraftd) for _ in range(3)]
        self.voters = "controller.quorum.voters=" + ",".join(
            f"{i + 1}@127.0.0.1:{node.controller_port}" for i, node in enumerate(nodes)
        )
        for i, node in enumerate(nodes):
            with open(node.properties, encoding="utf-8") as f:
                lines = [
                    line
                    for line in f
                    if not line.startswith(("controller.quorum.bootstrap", "node.id"))
                ]
            with open(node.properties, "w", encoding="utf-8") as f:
                f.writelines([*lines, f"node.id={i + 1}\n", self.voters + "\n"])
        self.nodes = nodes
        self.topics = 0

    def leader(self):
        alive = [node for node in self.nodes if node.process.poll() is None]
        return max(alive, key=lambda node: node.leads())

    def wait_for_any(self, pattern):
        """What any of the nodes says: who leads may change under way."""
        return eventually(lambda: f"{pattern!r} in a log:\n{self.leader().log()}", lambda: next(
            (line for node in self.nodes if (line := node.said(pattern))), None))

    def times_said(self, pattern, without=()):
        """By all nodes, each since its start."""
        return sum(len(re.findall(pattern, node.since_start()))
                   for node in self.nodes if node not in without)

    def servers(self, without=()):
        """As those list them who are no voters themselves."""
        return "controller.quorum.bootstrap.servers=" + ",".join(
            f"127.0.0.1:{node.controller_port}" for node in self.nodes if node not in without
        )

    def commit(self, through=None, seconds=PATIENCE_S, patience=2):
        """Creates a topic, as soon as somebody lets it. A client that met no broker waits for so
        long before it looks again."""
        nodes = [through] if through else [n for n in self.nodes if n.process.poll() is None]
        settings = {
            "bootstrap.servers": ",".join(node.bootstrap for node in nodes),
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 50,
            "log_level": 0,
        }
        self.topics += 1
        name = f"topic-{self.topics}"
        deadline = time.monotonic() + seconds
        client = AdminClient(settings)
        while True:
            try:
                topics = [NewTopic(name, 3, 1)]
                client.create_topics(topics, request_timeout=patience)[name].result()
                return name
            except KafkaException as error:
                if error.args[0].name() == "TOPIC_ALREADY_EXISTS":
                    return name
                check(time.monotonic() < deadline, f"no topic within {seconds} s: {error}")
                # It would go on asking a broker that died and is not fenced yet.
                if error.args[0].name() == "_TIMED_OUT":
                    client = AdminClient(settings)
                time.sleep(0.02)

    def names(self, node):
        client = AdminClient({"bootstrap.servers": node.bootstrap, "log_level": 0})
        return {name for name in client.list_topics(timeout=60).topics if name.startswith("topic-")}

    def all_agree(self):
        """Every node knows every topic."""
        expected = {f"topic-{i + 1}" for i in range(self.topics)}
        eventually("the nodes come to the same metadata",
                   lambda: all(self.names(node) == expected for node in self.nodes))


def metadata_lines(node):
    """The metadata log as kafka-dump-log prints it."""
    tools = os.path.join(os.path.dirname(node.kraftd), "kraftd-tools")
    folder = os.path.join(node.data, "__cluster_metadata-0")
    files = sorted(name for name in os.listdir(folder) if name.endswith(".log"))
    lines = []
    for name in files:
        out = subprocess.run(
            [tools, "kafka-dump-log", "--cluster-metadata-decoder", "--files",
             os.path.join(folder, name)], check=True, capture_output=True, text=True).stdout
        lines += [line for line in out.splitlines() if line.startswith(("|", "baseOffset"))]
    return lines


def form(cluster):
    begin = time.monotonic()
    for node in cluster.nodes:
        node.launch()
    cluster.commit()
    print(f"three blank processes to a committed topic: {time.monotonic() - begin:.2f} s")
    for node in cluster.nodes:
        node.wait_ready()
    ids = {re.search(r"cluster\.id=(\S+)", n.wait_for("Formed a new cluster")).group(1)
           for n in cluster.nodes}
    check(len(ids) == 1, f"three nodes formed {ids}")


def kill_the_leader(cluster):
    leader = cluster.leader()
    leader.kill()
    begin = time.monotonic()
    cluster.commit()
    print(f"the leader killed, the next topic committed: {time.monotonic() - begin:.2f} s")
    leader.launch()
    leader.wait_ready()
    cluster.all_agree()


def wipe(cluster):
    leader = cluster.leader()
    victim = next(node for node in cluster.nodes if node is not leader)
    victim.kill()
    shutil.rmtree(victim.data)
    begin = time.monotonic()
    victim.launch()
    cluster.wait_for_any("has caught up: making it a voter")
    print(f"a wiped disk, replaced: {time.monotonic() - begin:.2f} s")
    # The quorum stands on it now: without the third one it still commits.
    third = next(node for node in cluster.nodes if node not in (leader, victim))
    third.kill()
    cluster.commit(leader)
    third.launch()
    for node in cluster.nodes:
        node.wait_ready()
    cluster.all_agree()


@contextlib.contextmanager
def intruder(node):
    """Runs beside the cluster, is killed and leaves nothing behind."""
    node.launch()
    try:
        yield node
    finally:
        node.kill()
        shutil.rmtree(node.folder)


def configs_through_controllers(cluster):
    """kafka-configs --bootstrap-controller: changes go to the leader, what a node has is asked of
    that node."""
    tool = os.path.join(os.path.dirname(cluster.kraftd), "kafka-configs")

    def configs(node, *words):
        done = subprocess.run([tool, "--bootstrap-controller", f"127.0.0.1:{node.controller_port}",
                               "--entity-type", "brokers", *words], capture_output=True, text=True,
                              check=False)
        check(done.returncode == 0, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    for i, node in enumerate(cluster.nodes):
        configs(node, "--alter", "--entity-name", f"{3 - i}", "--add-config",
                f"max.connections={900 + 3 - i}")
    def all_known():
        for node in cluster.nodes:
            said = configs(node, "--describe")
            for i in (1, 2, 3):
                check(f"broker {i} are:\n  max.connections={900 + i} " in said, said)

    settled(all_known)


def another_cluster(cluster):
    node = member(cluster.kraftd, 7, cluster.servers())
    tools = os.path.join(os.path.dirname(cluster.kraftd), "kraftd-tools")
    subprocess.run([tools, "kafka-storage", "format", "--no-initial-controllers", "-t",
                    "AnotherClusterAAAAAAAA", "-c", node.properties], check=True,
                   capture_output=True)
    with intruder(node):
        line = node.wait_for("refuses to talk to this one")
        check("AnotherClusterAAAAAAAA" in line and "node 7" in line, line)
        cluster.wait_for_any("node 7 at .* belongs to cluster AnotherCluster")
    cluster.commit()


def taken_node_id(cluster):
    with intruder(member(cluster.kraftd, 2, cluster.servers())) as node:
        line = node.wait_for("refuses to talk to this one: (two|another) live node")
        check("node.id 2" in line, line)
        cluster.wait_for_any("Refused .* live node.* node.id 2")
    cluster.commit()


def copy_directory(source, target):
    """Of a node that runs: files come and go meanwhile."""
    def copy(name, to):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(name, to)

    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".lock"), copy_function=copy)


def copied_directory(cluster):
    leader = cluster.leader()
    original = next(node for node in cluster.nodes if node is not leader)
    number = cluster.nodes.index(original) + 1
    node = member(cluster.kraftd, number, cluster.servers())
    copy_directory(original.data, node.data)
    with intruder(node):
        line = node.wait_for("refuses to talk to this one: .*copy")
        check(f"node {number}" in line, line)
    cluster.commit()
    cluster.all_agree()


def equal_logs(cluster):
    for node in cluster.nodes:
        node.process.terminate()
    for node in cluster.nodes:
        code = node.wait_end()
        check(code in (0, 143), f"kraftd ended with {code}\n{node.log(200)}")
    logs = [metadata_lines(node) for node in cluster.nodes]
    shortest = min(len(log) for log in logs)
    check(shortest > 20, f"a metadata log of {shortest} lines")
    for log in logs[1:]:
        for mine, other in zip(logs[0][:shortest], log):
            check(mine == other, f"the logs differ:\n{mine}\n{other}")


def static_quorum(kraftd, directories=None, topics=()):
    """Nodes formatted by hand, with controller.quorum.voters alone; or what Apache Kafka left."""
    cluster = Cluster(kraftd)
    tools = os.path.join(os.path.dirname(kraftd), "kraftd-tools")
    with ended(cluster.nodes):
        for i, node in enumerate(cluster.nodes):
            if directories:
                shutil.copytree(os.path.join(directories, f"node-{i + 1}"), node.data)
            else:
                subprocess.run([tools, "kafka-storage", "format", "-t", "StaticClusterAAAAAAAAA",
                                "-c", node.properties], check=True, capture_output=True)
            node.launch()
        for node in cluster.nodes:
            node.wait_for("taking over the static quorum")
            node.wait_ready()
        cluster.commit()
        cluster.all_agree()
        client = AdminClient({"bootstrap.servers": cluster.nodes[0].bootstrap, "log_level": 0})
        found = set(client.list_topics(timeout=60).topics)
        check(set(topics) <= found, f"of {topics} there are only {found}")
        # The voters stand in the log now: a majority is enough.
        for node in cluster.nodes:
            node.kill()
        for node in cluster.nodes[:2]:
            node.launch()
        cluster.commit(cluster.nodes[0])


def zookeeper_file(kraftd):
    """Three hosts in zookeeper.connect, told apart by nothing but their address and broker.id."""
    folder = tempfile.mkdtemp(prefix="kraftd-test-")
    client, controller, *admin = free_ports(5)
    hosts = [f"127.0.0.{i + 1}" for i in range(3)]
    processes = []
    for i, host in enumerate(hosts):
        properties = os.path.join(folder, f"{i}.properties")
        with open(properties, "w", encoding="utf-8") as f:
            f.write(
                f"broker.id={i}\nlisteners=PLAINTEXT://{host}:{client},"
                f"CONTROLLER://{host}:{controller}\n"
                "controller.listener.names=CONTROLLER\n"
                f"log.dirs={folder}/data-{i}\n"
                f"zookeeper.connect={','.join(h + ':2181' for h in hosts)}/kafka\n"
                f"kraftd.admin.listener=127.0.0.1:{admin[i]}\n")
        with open(os.path.join(folder, f"{i}.log"), "wb") as log:
            processes.append(subprocess.Popen([kraftd, properties], stdout=log, stderr=log,
                                              stdin=subprocess.DEVNULL))

    def log_of(i):
        with open(os.path.join(folder, f"{i}.log"), encoding="utf-8") as f:
            return f.read()

    try:
        eventually(lambda: "a cluster:\n" + "\n".join(map(log_of, range(3))),
                   lambda: all(" INFO Ready " in log_of(i) for i in range(3)))
        ids = {re.search(r"Formed a new cluster cluster\.id=(\S+)", log_of(i)).group(1)
               for i in range(3)}
        check(len(ids) == 1, f"three hosts formed {ids}")
    finally:
        for process in processes:
            process.kill()
            process.wait()
    shutil.rmtree(folder)


def measure(kraftd, times):
    formed, failed_over = [], []
    for _ in range(times):
        cluster = Cluster(kraftd)
        try:
            begin = time.monotonic()
            for node in cluster.nodes:
                node.launch()
            cluster.commit(patience=0.2)
            formed.append(time.monotonic() - begin)
            for node in cluster.nodes:
                node.wait_ready()
            cluster.leader().kill()
            begin = time.monotonic()
            cluster.commit(patience=0.2)
            failed_over.append(time.monotonic() - begin)
        finally:
            for node in cluster.nodes:
                node.kill()
                shutil.rmtree(node.folder)
    for what, seconds in (("formation", formed), ("failover", failed_over)):
        print(f"{what}: median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s, "
              f"{times} times")


def main():
    arguments = argparse.ArgumentParser(description="A quorum of three processes")
    arguments.add_argument("kraftd", type=os.path.abspath)
    arguments.add_argument("--measure", type=int, metavar="N")
    arguments = arguments.parse_args()
    kraftd = arguments.kraftd
    if arguments.measure:
        measure(kraftd, arguments.measure)
        return
    cluster = Cluster(kraftd)
    with ended(cluster.nodes):
        run_parts((form, kill_the_leader, configs_through_controllers, another_cluster,
                   taken_node_id, copied_directory, wipe, equal_logs), cluster)
    zookeeper_file(kraftd)
    static_quorum(kraftd)
    recorded = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared",
                            "kafka-data/log-dirs/three-static")
    if os.path.isdir(recorded):
        static_quorum(kraftd, recorded, ("rf3", "rf3-compact", "move-me"))


if __name__ == "__main__":
    main()
