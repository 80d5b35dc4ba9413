#!/usr/bin/python3
"""How partitions change in a cluster of three processes: what the controller answers, who leads
after a broker died, was frozen or came back.

usage: test_partitions.py KRAFTD [--case TEXT] [--measure N]

The requests of partitions.jsonl, replicas.jsonl and requests.jsonl in tests/data/controller are
sent to kraftd and its answers compared with Apache Kafka's. DIFFERS names those that are answered
otherwise on purpose; one that does not differ must go. Those of replicas.jsonl come from brokers
that are not what they say (of another life, no replica, no leader): they change nothing.

With --measure: N times each, how long after kill -9 of a broker that leads 1,000 partitions others
lead all of them; medians and the worst, for the active controller and for another broker.
"""

import argparse
import json
import os
import re
import signal
import statistics
import struct
import subprocess
import sys
import time

from confluent_kafka import Producer

from harness import PATIENCE_S, check, eventually, together, wait_said
from test_bad_input import crc32c
from test_controller_api import DATA, Connection, load_spec
from test_quorum import Cluster

SESSION_MS = 6000
NOT_LEADER, TOPIC_EXISTS = 6, 36
REFUSED = re.compile(rf'"ErrorCode": {NOT_LEADER}\b')
UNASSIGNED = "AAAAAAAAAAAAAAAAAAAAAA"  # no directory yet
VOLATILE = ("PartitionEpoch",)
SHOWN = {"SessionId": lambda item: "S" if item else 0,
         "Records": lambda item: "none" if item in (None, "", "none") else "some",
         "Id": lambda item: "D",
         "Port": lambda item: "P"}
DIFFERS = {
    "e-all": "topics without a result are left out",
    **{name + session: "a replica says exactly which life of its broker it is of"
       for name in ("f-epoch-future", "f-epoch-none") for session in ("", "-session")},
    "f-v12": "the same: Fetch 12 cannot say",
    "f-v14": "the same",
    **{f"f-{name}-session": "whoever is no live broker gets no session of a replica"
       for name in ("epoch-stale", "unregistered", "unregistered-none")},
    "o-epoch-low": "no epoch is below 0",
}


class Partitions(Cluster):
    """Three nodes with two log directories each, and what is asked of them on the wire."""

    def __init__(self, kraftd):
        super().__init__(kraftd)
        self.spec = load_spec()
        self.tools = os.path.join(os.path.dirname(kraftd), "kraftd-tools")
        self.ids = {}
        for node in self.nodes:
            with open(node.properties, encoding="utf-8") as f:
                lines = [line for line in f if not line.startswith("log.dirs")]
            lines += [
                f"log.dirs={node.data},{node.data}2\n",
                f"broker.session.timeout.ms={SESSION_MS}\n",
                "broker.heartbeat.interval.ms=500\n",
                "leader.imbalance.check.interval.seconds=2\n",
            ]
            with open(node.properties, "w", encoding="utf-8") as f:
                f.writelines(lines)

    def ask(self, api, version, body, port=None):
        alive = [node for node in self.nodes if node.process.poll() is None]
        connection = Connection(self.spec, port or alive[0].port)
        try:
            return connection.ask(api, version, body)
        finally:
            connection.close()

    def create(self, name, replicas, configs=()):
        assignments = [
            {"PartitionIndex": i, "BrokerIds": ids} for i, ids in enumerate(replicas)
        ]
        topic = {
            "Name": name,
            "NumPartitions": -1,
            "ReplicationFactor": -1,
            "Assignments": assignments,
            "Configs": [{"Name": key, "Value": value} for key, value in configs],
        }
        body = {"Topics": [topic], "timeoutMs": 60000, "validateOnly": False}
        answer = self.ask("CreateTopics", 7, body)["Topics"][0]
        # What a controller did before it lost its place is asked for again by the broker.
        check(answer["ErrorCode"] in (0, TOPIC_EXISTS), f"{name} is not created: {answer}")
        self.ids[name] = eventually(f"{name} has an id", lambda: self.id_of(name))

    def id_of(self, name):
        """None where the broker that is asked has not heard of it."""
        body = {"Topics": [{"Name": name}], "ResponsePartitionLimit": 1, "Cursor": None}
        topic = self.ask("DescribeTopicPartitions", 0, body)["Topics"][0]
        return str(topic["TopicId"]) if topic["ErrorCode"] == 0 else None

    def write(self, name, count):
        """To its first partition; its followers know the high watermark then."""
        producer = Producer({"bootstrap.servers": self.nodes[0].bootstrap, "acks": "all"})
        for i in range(count):
            producer.produce(name, f"value {i}".encode(), partition=0)
            check(producer.flush(PATIENCE_S) == 0, "a record was not acknowledged")

    def cluster_id(self):
        with open(os.path.join(self.nodes[0].data, "meta.properties"), encoding="utf-8") as f:
            return re.search("^cluster.id=(.*)$", f.read(), re.MULTILINE).group(1)

    def describe(self, name, node=None):
        body = {"Topics": [{"Name": name}], "ResponsePartitionLimit": 1000, "Cursor": None}
        answer = self.ask("DescribeTopicPartitions", 0, body, node.port if node else None)
        return answer["Topics"][0]["Partitions"]

    def leaders(self, name, node=None):
        return [partition["LeaderId"] for partition in self.describe(name, node)]

    def directories(self, name):
        """Where the replicas of its partitions lie, as the metadata log has it."""
        found = {}
        for record in self.records():
            data = record["data"]
            if data.get("topicId") == self.ids[name] and data.get("directories"):
                found[data["partitionId"]] = data["directories"]
        return found

    def wait_placed(self, name, count):
        """Until the brokers have told in which directories its `count` partitions lie."""
        def placed():
            found = self.directories(name)
            return len(found) == count and not any(UNASSIGNED in ids for ids in found.values())

        eventually(lambda: f"{name} lies in {self.directories(name)}", placed)

    def records(self):
        """All that is in the metadata log of the leader's disk."""
        folder = os.path.join(self.leader().data, "__cluster_metadata-0")
        logs = sorted(os.path.join(folder, f) for f in os.listdir(folder) if f.endswith(".log"))
        args = [self.tools, "kafka-dump-log", "--cluster-metadata-decoder", "--files"]
        text = subprocess.run(
            [*args, ",".join(logs)], capture_output=True, text=True, check=True
        ).stdout
        return [json.loads(record) for record in re.findall(r"payload: (\{.*\})", text)]


class Replay:
    def __init__(self, cluster):
        self.cluster = cluster
        self.brokers = {}
        for record in cluster.records():
            if record["type"] == "REGISTER_BROKER_RECORD":
                self.brokers[record["data"]["brokerId"]] = record["data"]

    def partition_epoch(self, name):
        return sum(
            record["type"] == "PARTITION_CHANGE_RECORD"
            and record["data"]["topicId"] == self.cluster.ids[name]
            and record["data"]["partitionId"] == 0
            for record in self.cluster.records()
        )

    def filled(self, value):
        if isinstance(value, dict):
            return {name: self.filled(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if not isinstance(value, str):
            return value
        epoch = re.fullmatch(r"EPOCH(\d)([+-]\d)?", value)
        if epoch:
            broker = self.brokers.get(int(epoch.group(1)))
            return (broker["brokerEpoch"] if broker else 7) + int(epoch.group(2) or 0)
        if value == "CLUSTER":
            return self.cluster.cluster_id()
        if value.startswith("TOPIC-"):
            return self.cluster.ids[value[6:]]
        if value.startswith("PEPOCH-"):
            return self.partition_epoch(value[7:])
        if re.fullmatch(r"DIR\d", value):
            return self.brokers[1]["logDirs"][int(value[3:]) - 1]
        return value

    def normal(self, value):
        if isinstance(value, dict):
            return {
                name: self.normal(SHOWN.get(name, lambda item: item)(item))
                for name, item in value.items()
                if name not in VOLATILE
            }
        if isinstance(value, list):
            return [self.normal(item) for item in value]
        names = {f"ID-{name}": topic for name, topic in self.cluster.ids.items()}
        return names.get(value, value)

    def send(self, case):
        """(what Kafka answered, what kraftd answers)"""
        if "topic" in case:
            return case["partitions"], [
                {name: item for name, item in partition.items() if name != "ErrorCode"}
                for partition in self.cluster.describe(case["topic"])
            ]
        port = None
        if case["on"] == "controller":
            port = self.cluster.leader().controller_port
        elif case["on"] != "broker":
            port = self.cluster.nodes[case["on"] - 1].port
        body = self.filled(case["body"])
        answer = self.cluster.ask(case["api"], case["version"], body, port)
        return case["answer"], json.loads(json.dumps(answer, default=str))

    def answered(self, case):
        """The same, normal. Asked again where it may come otherwise in a moment: a broker hears of
        changes in its own time, and one that had no time refuses what only leaders do."""
        deadline = time.monotonic() + 20
        while True:
            want, got = (self.normal(answer) for answer in self.send(case))
            again = "topic" in case or (REFUSED.search(json.dumps(got))
                                        and not REFUSED.search(json.dumps(want)))
            if want == got or not again or time.monotonic() > deadline:
                return want, got
            time.sleep(0.05)


def as_recorded(cluster, only):
    cases = []
    for name in ("partitions.jsonl", "replicas.jsonl", "requests.jsonl"):
        with open(os.path.join(DATA, "controller", name), encoding="utf-8") as f:
            cases += [json.loads(line) for line in f]
    replay = Replay(cluster)
    sent, wrong = 0, []
    for case in cases:
        if "create" in case:
            cluster.create(case["create"], case["replicas"], case["configs"])
            cluster.wait_placed(case["create"], len(case["replicas"]))
            continue
        if "write" in case:
            cluster.write(case["write"], case["count"])
            continue
        if only and only not in case["case"]:
            continue
        want, got = replay.answered(case)
        sent += 1
        if (want == got) == (case["case"] in DIFFERS):
            wrong.append(
                f"{case['case']}\n   want {json.dumps(want)[:900]}\n   got  {json.dumps(got)[:900]}"
            )
    check(not wrong, "\n".join(wrong))
    print(f"{sent} requests answered as recorded, {len(DIFFERS)} of them otherwise on purpose")


def in_sync(cluster, name, count, node=None):
    def holds():
        partitions = cluster.describe(name, node)
        return partitions and all(len(p["IsrNodes"]) == count for p in partitions)

    return holds


def was_refused(cluster, number):
    """The controller fenced this broker because nobody listens where it did."""
    cluster.wait_for_any(f"Fenced broker={number} .*its process is gone")


def a_killed_broker(cluster):
    """Its port refuses: that is why it is out, not that its session ended; when it is back and in
    sync, it leads again by itself."""
    leader = cluster.leader()
    victim = next(node for node in cluster.nodes if node is not leader)
    number = cluster.nodes.index(victim) + 1
    others = [i for i in (1, 2, 3) if i != number]
    cluster.create("killed", [[number, *others]] * 20)
    eventually("all replicas are in sync", in_sync(cluster, "killed", 3, leader))
    began = time.monotonic()
    victim.kill()
    eventually("another one leads", lambda: number not in cluster.leaders("killed", leader))
    took = time.monotonic() - began
    was_refused(cluster, number)
    began = time.monotonic()
    victim.launch()
    eventually("it leads again", lambda: set(cluster.leaders("killed", leader)) == {number})
    back = time.monotonic() - began
    print(f"kill -9 of a broker: {took * 1000:.0f} ms to other leaders, {back:.1f} s to lead again")


def the_killed_controller(cluster):
    """The next controller finds out by itself that the last one's broker is gone."""
    victim = cluster.leader()
    number = cluster.nodes.index(victim) + 1
    others = [i for i in (1, 2, 3) if i != number]
    cluster.create("led", [[number, *others]] * 20)
    survivor = next(node for node in cluster.nodes if node is not victim)
    eventually("all replicas are in sync", in_sync(cluster, "led", 3, survivor))
    began = time.monotonic()
    victim.kill()
    eventually("another one leads", lambda: number not in cluster.leaders("led", survivor))
    took = time.monotonic() - began
    was_refused(cluster, number)
    victim.launch()
    victim.wait_ready()
    print(f"kill -9 of the active controller: {took * 1000:.0f} ms to other leaders")


def sequenced(cluster, name, node, sequence, connection=None, timeout_ms=60000):
    """Sends one record of an idempotent producer; the connection on which its answer comes."""
    record = b"\x10\0\0\0\1\x04ab\0"
    tail = struct.pack(">hiqqqhii", 0, 0, 0, 0, 4711, 0, sequence, 1) + record
    batch = struct.pack(">qiibI", 0, 9 + len(tail), -1, 2, crc32c(tail)) + tail
    body = {"TransactionalId": None, "Acks": -1, "TimeoutMs": timeout_ms, "TopicData": [
        {"Name": name, "PartitionData": [{"Index": 0, "Records": batch}]}]}
    connection = connection or Connection(cluster.spec, node.port)
    connection.send("Produce", 9, body)
    return connection


def answer_of(connection):
    """Error, base offset and log start offset."""
    answer = connection.receive("Produce", 9)["Responses"][0]["PartitionResponses"][0]
    return answer["ErrorCode"], answer["BaseOffset"], answer["LogStartOffset"]


def error_of(connection):
    return answer_of(connection)[0]


def answer_of_leader(cluster, name, node, sequence, timeout_ms=60000):
    """Asked again, as clients do, while the node refuses: one that had no time does not lead until
    its heartbeats were answered again."""
    def asked():
        answer = answer_of(sequenced(cluster, name, node, sequence, timeout_ms=timeout_ms))
        return None if answer[0] == NOT_LEADER else answer

    return eventually(f"{name} is led", asked)


def an_idle_follower(cluster):
    """What it did not fetch in time is in the log all the same, and the answer says where, as
    Kafka's does."""
    cluster.create("late", [[1, 2]])
    eventually("all replicas are in sync", in_sync(cluster, "late", 2))
    follower = cluster.nodes[1].process
    follower.send_signal(signal.SIGSTOP)
    try:
        late = answer_of_leader(cluster, "late", cluster.nodes[0], 0, timeout_ms=300)
    finally:
        follower.send_signal(signal.SIGCONT)
    check(late == (7, 0, 0), f"a record that was not replicated in time: {late}")
    wrong = answer_of_leader(cluster, "late", cluster.nodes[0], 7)
    check(wrong == (45, -1, 0), f"a record out of sequence: {wrong}")


def taken(cluster, name, node, sequence):
    """Sends it until it is acknowledged: a node may not have heard yet that it leads."""
    def accepted():
        connection = sequenced(cluster, name, node, sequence)
        error = error_of(connection)
        check(error in (0, NOT_LEADER), f"{name}: error {error}")
        return connection if error == 0 else None

    return eventually("a record is taken", accepted)


def a_frozen_node(cluster, controller):
    """Silence says nothing: it keeps its session, and is let in again when it goes on. What a
    producer sent to the next leader meanwhile does not make it one that is out of order."""
    leader = cluster.leader()
    victim = leader if controller else next(n for n in cluster.nodes if n is not leader)
    survivor = next(node for node in cluster.nodes if node is not victim)
    number = cluster.nodes.index(victim) + 1
    others = [i for i in (1, 2, 3) if i != number]
    name = "frozen-controller" if controller else "frozen"
    cluster.create(name, [[number, *others]])
    eventually("all replicas are in sync", in_sync(cluster, name, 3, survivor))
    eventually("it knows the topic", in_sync(cluster, name, 3, victim))
    connection = taken(cluster, name, victim, 0)
    victim.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        while time.monotonic() - began < SESSION_MS / 3000:  # its last sign was a while before
            check(cluster.leaders(name, survivor) == [number], "it was fenced too early")
            time.sleep(0.1)
        leader = eventually("another one leads", lambda: next(
            (i for i in cluster.leaders(name, survivor) if i in others), None))
        took = time.monotonic() - began
        taken(cluster, name, cluster.nodes[leader - 1], 1)
        sequenced(cluster, name, victim, 2, connection)
    finally:
        victim.process.send_signal(signal.SIGCONT)
    error = error_of(connection)
    check(error == NOT_LEADER, f"the former leader says error {error}")
    eventually("it is in sync again", in_sync(cluster, name, 3, survivor))
    print(f"a frozen {'controller' if controller else 'broker'}: {took:.2f} s to other leaders, "
          f"with a session of {SESSION_MS} ms")


def verification(cluster):
    """kafka-replica-verification reads all there is, on whichever broker it lies."""
    cluster.create("alone", [[1], [2], [3]])
    bootstrap = ",".join(node.bootstrap for node in cluster.nodes)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for i in range(2000):
        producer.produce("alone", b"%d" % i, partition=i % 3)
    check(producer.flush(PATIENCE_S) == 0, "records were not acknowledged")
    with subprocess.Popen(
        [cluster.tools, "kafka-replica-verification", "--broker-list", bootstrap, "--time", "-2",
         "--topics-include", "alone", "--max-wait-ms", "100", "--report-interval-ms", "400"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as tool:
        text = wait_said(tool, r"max lag is 0 for partition alone-\d at offset 66[67] among 3 part")
        last = text.rstrip().split("\n")[-1]
        tool.send_signal(signal.SIGINT)
        text += tool.communicate(timeout=60)[0]
    check(tool.returncode == 130 and "unmatched" not in text, text)
    with subprocess.Popen(  # nobody listens there: it tries for a minute, unless it is stopped
        [cluster.tools, "kafka-replica-verification", "--broker-list", "127.0.0.1:1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as tool:
        time.sleep(0.5)
        tool.send_signal(signal.SIGINT)
        check(tool.wait(30) == -signal.SIGINT, f"it ended with {tool.returncode}")
    print(f"kafka-replica-verification: {last}")


def throttled(cluster):
    """What goes on stays throttled when --additional adds to it, and --verify says that it goes on
    whatever it is asked for."""
    cluster.create("slow", [[1], [2]])
    producer = Producer({"bootstrap.servers": cluster.nodes[0].bootstrap, "acks": "all"})
    for _ in range(4):
        producer.produce("slow", bytes(900000), partition=0)
        check(producer.flush(60) == 0, "records were not acknowledged")
    path = os.path.join(cluster.nodes[0].folder, "moves.json")

    def reassign(partition, replicas, *options):
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"version": 1, "partitions": [
                {"topic": "slow", "partition": partition, "replicas": replicas}]}, f)
        return subprocess.run(
            [cluster.tools, "kafka-reassign-partitions", "--bootstrap-server",
             cluster.nodes[0].bootstrap, "--reassignment-json-file", path, *options],
            capture_output=True, text=True, check=True).stdout

    reassign(0, [2], "--execute", "--throttle", "1")
    said = reassign(0, [3], "--verify")
    check("slow-0 is still in progress." in said, said)
    reassign(1, [2, 3], "--execute", "--additional", "--throttle", "1")
    body = {"Resources": [{"ResourceType": 2, "ResourceName": "slow", "ConfigurationKeys": None}]}
    configs = {c["Name"]: c["Value"] for c in cluster.ask("DescribeConfigs", 4, body)[
        "Results"][0]["Configs"]}
    for kind, pairs in ("leader", "0:1,1:2"), ("follower", "0:2,1:3"):
        value = configs[f"{kind}.replication.throttled.replicas"]
        check(value == pairs, f"throttled {kind}s: {value}")
    reassign(0, [2], "--cancel")


def measure(cluster, times):
    took = {"the active controller": [], "another broker": []}
    for i in range(2 * times):
        victim = cluster.leader()
        kind = "the active controller"
        if i % 2:
            victim = next(node for node in cluster.nodes if node is not victim)
            kind = "another broker"
        survivor = next(node for node in cluster.nodes if node is not victim)
        number = cluster.nodes.index(victim) + 1
        others = [n for n in (1, 2, 3) if n != number]
        name = f"measured-{i}"
        cluster.create(name, [[number, *others]] * 1000)
        eventually("all replicas are in sync", in_sync(cluster, name, 3))
        began = time.monotonic()
        victim.kill()
        eventually("others lead", lambda: number not in cluster.leaders(name, survivor))
        took[kind].append((time.monotonic() - began) * 1000)
        victim.launch()
        victim.wait_ready()
    for kind, values in took.items():
        print(f"kill -9 of {kind}: others lead 1,000 partitions after a median of "
              f"{statistics.median(values):.0f} ms, {max(values):.0f} at worst")


def main():
    args = argparse.ArgumentParser(description="how partitions change")
    args.add_argument("kraftd")
    args.add_argument("--case")
    args.add_argument("--measure", type=int)
    args = args.parse_args()
    cluster = Partitions(args.kraftd)
    with together(cluster.nodes):
        if args.measure:
            measure(cluster, args.measure)
        else:
            as_recorded(cluster, args.case)
            an_idle_follower(cluster)
            a_killed_broker(cluster)
            the_killed_controller(cluster)
            a_frozen_node(cluster, controller=False)
            a_frozen_node(cluster, controller=True)
            verification(cluster)
            throttled(cluster)
    return 0


if __name__ == "__main__":
    sys.exit(main())
