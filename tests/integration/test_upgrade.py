#!/usr/bin/python3
"""A rolling upgrade: nodes of an earlier build are replaced by today's one by one, and back.

usage: test_upgrade.py KRAFTD [--from COMMIT]

tests/data/upgrade_from names the earlier commit. It is built from the git history into
.cache/upgrade, once; without the history or the commit the test is skipped. Three controllers that
are brokers too, formed by the earlier build, and one that is a broker only, live through it under
metadata load: topics come and go, configurations change, producers get ids. Checkpoints are taken
often, so that each build installs the other's. After every step all that was acknowledged stands
on every node; each build leads while the other one is there.
"""

import argparse
import os
import re
import sys
import threading
import time

import earlier_build
from harness import PATIENCE_S, check, ended, eventually
from test_membership import NO_ERROR, TOPIC_EXISTS, Cluster
from test_quorum import metadata_lines

UNKNOWN_TOPIC = 3
# A broker that does not reach the controller says REQUEST_TIMED_OUT or NOT_CONTROLLER: the outcome
# is not known.
AGAIN = {7, 41}
TOPIC = 2  # a resource type
CONFIG = ("metadata.log.max.record.bytes.between.snapshots=4096",)


class Load:
    """Changes metadata through one broker after the other and keeps what was acknowledged. What
    ended without an answer is asked for again until it has one; so does a broker whose controller
    is gone before it answered. Names are used once: what is there already was made by such a
    request."""

    def __init__(self, cluster):
        self.cluster, self.topics, self.count = cluster, {}, 0
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.failure, self.longest, self.producer_ids = None, 0, []
        self.thread = threading.Thread(target=self.run, daemon=True)

    def until_answered(self, api, version, body, pick):
        began, attempt = time.monotonic(), 0
        while True:
            nodes = [i for i, n in self.cluster.nodes.items() if n.process.poll() is None]
            attempt += 1
            try:
                code = pick(self.cluster.ask(nodes[(self.count + attempt) % len(nodes)], api,
                                             version, body))
                if code not in AGAIN:
                    self.longest = max(self.longest, time.monotonic() - began)
                    return code
            except (OSError, TypeError):  # refused, or closed instead of an answer
                pass
            check(time.monotonic() - began < PATIENCE_S, f"no answer to {api}")
            time.sleep(0.02)

    def create(self, name):
        topic = {"Name": name, "NumPartitions": 2, "ReplicationFactor": 1, "Assignments": [],
                 "Configs": []}
        body = {"Topics": [topic], "timeoutMs": 5000, "validateOnly": False}
        code = self.until_answered("CreateTopics", 7, body,
                                   lambda answer: answer["Topics"][0]["ErrorCode"])
        check(code in (NO_ERROR, TOPIC_EXISTS), f"{name}: {code}")
        self.topics[name] = None

    def configure(self, name, value):
        config = {"Name": "retention.ms", "ConfigOperation": 0, "Value": value}
        body = {"Resources": [{"ResourceType": TOPIC, "ResourceName": name, "Configs": [config]}],
                "ValidateOnly": False}
        code = self.until_answered("IncrementalAlterConfigs", 1, body,
                                   lambda answer: answer["Responses"][0]["ErrorCode"])
        check(code == NO_ERROR, f"configuration of {name}: {code}")
        self.topics[name] = value

    def delete(self, name):
        body = {"Topics": [{"Name": name, "TopicId": "AAAAAAAAAAAAAAAAAAAAAA"}],
                "TimeoutMs": 5000}
        code = self.until_answered("DeleteTopics", 6, body,
                                   lambda answer: answer["Responses"][0]["ErrorCode"])
        check(code in (NO_ERROR, UNKNOWN_TOPIC), f"{name}: {code}")
        del self.topics[name]

    def producer_id(self):
        body = {"TransactionalId": None, "TransactionTimeoutMs": 1000, "ProducerId": -1,
                "ProducerEpoch": -1}
        seen = []
        code = self.until_answered(
            "InitProducerId", 4, body,
            lambda answer: seen.append(answer["ProducerId"]) or answer["ErrorCode"])
        check(code == NO_ERROR, f"InitProducerId: {code}")
        self.producer_ids.append(seen[-1])

    def step(self):
        self.count += 1
        self.create(f"t{self.count}")
        if self.count % 2 == 0:
            self.configure(f"t{self.count - 1}", str(1000000 + self.count))
        if self.count % 3 == 0:
            self.delete(f"t{self.count - 2}")
        if self.count % 5 == 0:
            self.producer_id()

    def run(self):
        try:
            while not self.ended.is_set():
                with self.lock:
                    self.step()
                time.sleep(0.02)
        except BaseException as error:  # pylint: disable=broad-except
            self.failure = error

    def end(self):
        self.ended.set()
        self.thread.join()

    def seen_by(self, node_id):
        """Topics and their retention.ms as one broker has them."""
        asked = {"Topics": None, "AllowAutoTopicCreation": False,
                 "IncludeTopicAuthorizedOperations": False}
        names = [t["Name"] for t in self.cluster.ask(node_id, "Metadata", 12, asked)["Topics"]]
        body = {"Resources": [{"ResourceType": TOPIC, "ResourceName": name,
                               "ConfigurationKeys": ["retention.ms"]} for name in names],
                "IncludeSynonyms": False, "IncludeDocumentation": False}
        results = self.cluster.ask(node_id, "DescribeConfigs", 4, body)["Results"]
        values = {r["ResourceName"]: r["Configs"][0] for r in results if r["ErrorCode"] == 0}
        return {name: values[name]["Value"] if values[name]["ConfigSource"] == 1 else None
                for name in names if name in values}

    def stands(self):
        """All that was acknowledged, and nothing else, is on every node."""
        with self.lock:
            if self.failure:
                raise AssertionError("the load failed") from self.failure
            for node_id in self.cluster.nodes:
                eventually(f"node {node_id} has all that was acknowledged",
                           lambda node_id=node_id: self.seen_by(node_id) == self.topics)
            check(len(set(self.producer_ids)) == len(self.producer_ids), "a producer id twice")


def start(cluster):
    """Three blank nodes form the cluster; a fourth is a broker only."""
    nodes = [cluster.add(i, *CONFIG) for i in (1, 2, 3, 4)]
    servers = ",".join(f"127.0.0.1:{node.controller_port}" for node in nodes[:3])
    for node in nodes:
        cluster.set(node, "controller.quorum.bootstrap.servers", servers)
    cluster.set(nodes[3], "process.roles", "broker")
    cluster.set(nodes[3], "listeners", f"PLAINTEXT://127.0.0.1:{nodes[3].port}")
    for node in nodes:
        node.launch()
    for node in nodes:
        node.wait_ready()


def replace(cluster, load, kraftd, order):
    """Stops the nodes one after the other, the last of them with kill -9, and starts this build.
    Returns which builds led while there were both."""
    led = set()
    for node_id in order:
        node = cluster.nodes[node_id]
        if node_id == order[-1]:
            node.kill()
        else:
            code = node.stop()
            check(code in (0, 143), f"node {node_id} ended with {code}")
        before = load.count
        node.kraftd = kraftd
        node.start()
        load.stands()
        eventually("the load goes on", lambda before=before: load.count > before + 5)
        leader = cluster.quorum(node_id)[0]
        builds = {node.kraftd for node in cluster.nodes.values()}
        if len(builds) > 1:
            led.add(cluster.nodes[leader].kraftd)
        print(f"node {node_id} replaced, node {leader} leads, {load.count} topics were created",
              flush=True)
    return led


def roll(cluster, kraftd, earlier):
    start(cluster)
    load = Load(cluster)
    load.thread.start()
    eventually("the load begins", lambda: load.count > 5)
    leader = cluster.quorum(4)[0]
    others = [i for i in (1, 2, 3) if i != leader]
    led = replace(cluster, load, kraftd, [others[0], 4, leader, others[1]])
    leader = cluster.quorum(4)[0]
    others = [i for i in (1, 2, 3) if i != leader]
    led |= replace(cluster, load, earlier, [leader, others[0], 4, others[1]])
    check(led == {kraftd, earlier}, f"among nodes of both builds only {led} led")
    load.end()
    load.stands()
    print(f"{load.count} topics, {len(load.producer_ids)} producer ids; "
          f"the longest wait was {load.longest:.1f} s")


def equal_logs(cluster, kraftd):
    """Two voters that have a batch at an offset have the same one, checksum and all."""
    logs = []
    for node_id in (1, 2, 3, 4):
        node = cluster.nodes[node_id]
        check(node.stop() in (0, 143), f"ended badly\n{node.log(100)}")
        node.kraftd = kraftd  # whose tools read it
        lines = [line for line in metadata_lines(node) if line.startswith("baseOffset: ")]
        logs.append({line.split()[1]: re.sub(" position: [0-9]+", "", line) for line in lines})
    shared = set.intersection(*map(set, logs))
    check(len(shared) > 20, f"logs of {[len(log) for log in logs]} batches share {len(shared)}")
    for log in logs[1:]:
        for offset in set(log) & set(logs[0]):
            check(log[offset] == logs[0][offset], f"{log[offset]}\n{logs[0][offset]}")


def main():
    arguments = argparse.ArgumentParser(description="A rolling upgrade and back")
    arguments.add_argument("kraftd", type=os.path.abspath)
    arguments.add_argument("--from", dest="commit")
    arguments = arguments.parse_args()
    try:
        earlier = earlier_build.built(arguments.commit or earlier_build.named())
    except earlier_build.Unbuilt as why:
        print(f"skipped: {why}")
        return 77
    cluster = Cluster(earlier)
    with ended(cluster.nodes.values()):  # those that there will be
        roll(cluster, arguments.kraftd, earlier)
        equal_logs(cluster, arguments.kraftd)
    print("upgraded and back")
    return 0


if __name__ == "__main__":
    sys.exit(main())
