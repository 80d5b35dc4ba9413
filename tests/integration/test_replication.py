#!/usr/bin/python3
"""Three processes that replicate: what was acknowledged by all survives whoever dies.

usage: test_replication.py KRAFTD

One cluster lives through it all: records are written with acks=all and read back while a leader is
killed; its replica catches up when it is back; a frozen follower leaves the in-sync replicas and
joins them again; records are deleted; a leader that took records nobody else has cuts them off when
it comes back as a follower; a disk is missing at a start; replicas change their directory; a
consumer reads from the replica in its rack. At the end of each part the replicas of every partition
are equal byte for byte.
"""

import argparse
import glob
import itertools
import os
import re
import shutil
import signal
import threading
import time
import urllib.request

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness import PATIENCE_S, check, eventually, run_parts, settled, together
from test_controller_api import Connection, load_spec
from test_quorum import Cluster

PARTITIONS = 4
LAG_MS = 3000
NOT_LEADER = 6
SELECTOR = "org.apache.kafka.common.replica.RackAwareReplicaSelector"


class Replicated(Cluster):
    def __init__(self, kraftd):
        super().__init__(kraftd)
        for i, node in enumerate(self.nodes):
            with open(node.properties, encoding="utf-8") as f:
                lines = [line for line in f if not line.startswith("log.dirs=")]
            with open(node.properties, "w", encoding="utf-8") as f:
                f.writelines(lines)
                f.write(f"replica.lag.time.max.ms={LAG_MS}\nbroker.session.timeout.ms=6000\n")
                f.write(f"log.dirs={node.data},{node.data}2\nmetadata.log.dir={node.data}\n")
                f.write(f"broker.rack=rack-{i + 1}\nreplica.selector.class={SELECTOR}\n")
        self.written = {}
        self.spec = load_spec()

    def bootstrap(self):
        return ",".join(n.bootstrap for n in self.nodes if n.process.poll() is None)

    def settings(self, **more):
        return {
            "bootstrap.servers": self.bootstrap(),
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100,
            "retry.backoff.ms": 50,
            "topic.metadata.refresh.interval.ms": 1000,
            "log_level": 0,
            **more,
        }

    def create(self, name, **config):
        """With replicas everywhere, as soon as all brokers are there."""
        admin = AdminClient(self.settings())
        topic = NewTopic(name, PARTITIONS, 3, config=config)

        def created():
            try:
                admin.create_topics([topic], request_timeout=30)[name].result()
            except KafkaException as error:
                # What ended without an answer may have been done.
                return error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
            return True

        eventually(f"{name} is created", created)

    def partitions(self, topic, without=()):
        nodes = [n for n in self.nodes if n.process.poll() is None and n not in without]
        admin = AdminClient(self.settings(**{"bootstrap.servers": nodes[0].bootstrap}))
        return admin.list_topics(topic, timeout=60).topics[topic].partitions

    def wait_isr(self, topic, size, without=()):
        def reached():
            found = [len(p.isrs) for p in self.partitions(topic, without).values()]
            check(len(found) == PARTITIONS and all(n == size for n in found),
                  f"{topic}: ISRs of {found}, not {size} members")

        settled(reached)

    def produce(self, topic, count, acks="all", only=None):
        """Returns how many were acknowledged; notes them."""
        failed = []
        producer = Producer(
            self.settings(
                acks=acks,
                **{"enable.idempotence": acks == "all", "linger.ms": 2,
                   "message.timeout.ms": 120000, "batch.num.messages": 50},
            )
        )
        kept = self.written.setdefault(topic, {})

        def delivered(error, message):
            if error:
                failed.append(error)
            elif acks == "all":
                kept[(message.partition(), message.offset())] = message.value()

        for i in range(count):
            value = f"{topic}-{len(kept)}-{i}-".encode() + b"x" * 80
            producer.produce(topic, value, partition=i % PARTITIONS if only is None else only,
                             on_delivery=delivered)
            producer.poll(0)
        producer.flush(130)
        check(not failed, f"{len(failed)} records were not acknowledged: {failed[:1]}")

    def read_all(self, topic, **more):
        """Every acknowledged record is there, where it was acknowledged."""
        settings = {"group.id": "none", "enable.auto.commit": False, **more}
        consumer = Consumer(self.settings(**settings))
        parts = [TopicPartition(topic, i, 0) for i in range(PARTITIONS)]
        ends = {i: consumer.get_watermark_offsets(TopicPartition(topic, i), timeout=60)[1]
                for i in range(PARTITIONS)}
        consumer.assign(parts)
        found, at = {}, {i: 0 for i in range(PARTITIONS)}
        deadline = time.monotonic() + PATIENCE_S
        while any(at[i] < ends[i] for i in at) and time.monotonic() < deadline:
            for message in consumer.consume(500, timeout=0.2):
                if message.error():
                    check(message.error().code() == KafkaError._PARTITION_EOF,
                          f"reading: {message.error()}")
                    continue
                found[(message.partition(), message.offset())] = message.value()
                at[message.partition()] = message.offset() + 1
        consumer.close()
        lost = [key for key, value in self.written[topic].items() if found.get(key) != value]
        check(not lost, f"{topic}: {len(lost)} of {len(self.written[topic])} are lost: {lost[:5]}")

    def bytes_of(self, node, topic, partition):
        files = sorted(glob.glob(os.path.join(node.data + "*", f"{topic}-{partition}", "*.log")))
        content = b""
        for path in files:
            with open(path, "rb") as f:
                content += f.read()
        return content

    def check_equal(self, topic):
        for partition in range(PARTITIONS):
            def equal(partition=partition):
                logs = [self.bytes_of(node, topic, partition) for node in self.nodes]
                check(logs[0] == logs[1] == logs[2] and logs[0],
                      f"{topic}-{partition}: replicas of {[len(log) for log in logs]} bytes differ")

            settled(equal)

    def metric(self, node, name, missing=None):
        url = f"http://127.0.0.1:{node.admin_port}/metrics"
        with urllib.request.urlopen(url, timeout=60) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name) and not line.startswith("#"):
                    return float(line.rsplit(" ", 1)[1])
        check(missing is not None, f"no metric {name}")
        return missing


def leader_of(cluster, topic, partition, without=()):
    """As soon as there is one. Those of `without` are not asked."""
    def led():
        found = cluster.partitions(topic, without).get(partition)
        return found.leader if found and found.leader > 0 else None

    return cluster.nodes[eventually(f"{topic}-{partition} has a leader", led) - 1]


def test_copies(cluster):
    cluster.create("copied", **{"min.insync.replicas": "2"})
    cluster.produce("copied", 2000)
    cluster.wait_isr("copied", 3)
    cluster.read_all("copied")
    cluster.check_equal("copied")
    check(any(cluster.metric(n, "kafka_server_brokertopicmetrics_replicationbytesin_total") > 0
              for n in cluster.nodes), "no replicated bytes were counted")


def test_killed_leader(cluster):
    victim = leader_of(cluster, "copied", 0)
    cluster.produce("copied", 400)
    victim.kill()
    begin = time.monotonic()
    cluster.produce("copied", 1, only=0)
    print(f"  the next record was acknowledged {time.monotonic() - begin:.2f} s after kill -9")
    cluster.produce("copied", 1000)
    cluster.read_all("copied")
    victim.start()
    begin = time.monotonic()
    cluster.wait_isr("copied", 3)
    print(f"  in sync again {time.monotonic() - begin:.2f} s after its start")
    cluster.read_all("copied")
    cluster.check_equal("copied")


def first_batch(node, topic, partition):
    """As it stands in the log."""
    logs = glob.glob(os.path.join(node.data + "*", f"{topic}-{partition}", "*.log"))
    with open(min(logs), "rb") as f:
        head = f.read(12)
        return head + f.read(int.from_bytes(head[8:12], "big"))


def test_named_leader(cluster):
    """Who is asked in vain names the leader and where it listens (KIP-951)."""
    settled(lambda: check_named_leader(cluster))  # a node hears of a new leader in its own time


def check_named_leader(cluster):
    leader = leader_of(cluster, "copied", 0)
    other = next(n for n in cluster.nodes if n is not leader)
    number = cluster.nodes.index(leader) + 1
    connection = Connection(cluster.spec, other.port)
    topics = connection.ask("Metadata", 12, {"Topics": [{"TopicId": bytes(16), "Name": "copied"}]})
    topic_id = topics["Topics"][0]["TopicId"]
    batch = {"Index": 0, "Records": first_batch(leader, "copied", 0)}
    produced = connection.ask("Produce", 12, {
        "Acks": -1, "TimeoutMs": 1000,
        "TopicData": [{"Name": "copied", "PartitionData": [batch, {**batch, "Index": 9}]}]})
    fetched = {epoch: connection.ask("Fetch", 16, {
        "MaxWaitMs": 0, "MinBytes": 1, "MaxBytes": 1, "SessionEpoch": -1,
        "Topics": [{"TopicId": topic_id, "Partitions": [
            {"Partition": 0, "CurrentLeaderEpoch": epoch, "LastFetchedEpoch": -1,
             "FetchOffset": 0, "PartitionMaxBytes": 1}]}]}) for epoch in (0, 1000)}
    connection.close()
    expected = [{"NodeId": number, "Host": "127.0.0.1", "Port": leader.port,
                 "Rack": f"rack-{number}"}]
    for answer, part, error in (
            (produced, produced["Responses"][0]["PartitionResponses"][0], 6),
            (fetched[0], fetched[0]["Responses"][0]["Partitions"][0], 74)):
        check(part["ErrorCode"] == error and part["CurrentLeader"]["LeaderId"] == number,
              f"error {part['ErrorCode']}, not {error}, or the leader is not named: {part}")
        check(answer["NodeEndpoints"] == expected, f"{answer['NodeEndpoints']}")
    check(not fetched[1000].get("NodeEndpoints"), "an epoch nobody knows is no other leader")


def test_frozen_follower(cluster):
    leaders = {p.leader for p in cluster.partitions("copied").values()}
    active = cluster.nodes.index(cluster.leader()) + 1
    # Neither the controller nor, where that can be, a leader.
    order = sorted((i for i in (1, 2, 3) if i != active), key=lambda i: i in leaders)
    frozen = cluster.nodes[order[0] - 1]
    frozen.process.send_signal(signal.SIGSTOP)
    try:
        cluster.produce("copied", 200)
        cluster.wait_isr("copied", 2, without=(frozen,))
    finally:
        frozen.process.send_signal(signal.SIGCONT)
    cluster.produce("copied", 200)
    cluster.wait_isr("copied", 3)
    cluster.read_all("copied")
    cluster.check_equal("copied")


def delete_records(cluster, topic, offset, timeout_ms, without=()):
    """Error and low watermark of the leader's answer. Whoever refuses is asked again, or who leads
    then, as clients do: a node that was frozen or had no time does not lead until its heartbeats
    were answered again."""
    body = {"TimeoutMs": timeout_ms,
            "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": 0, "Offset": offset}]}]}

    def asked():
        connection = Connection(cluster.spec, leader_of(cluster, topic, 0, without).port)
        answer = connection.ask("DeleteRecords", 2, body)
        connection.close()
        found = answer["Topics"][0]["Partitions"][0]
        code = found["ErrorCode"]
        return None if code == NOT_LEADER else (code, found["LowWatermark"])

    return eventually(f"the leader of {topic}-0 answers", asked)


def test_deleted_records(cluster):
    """DeleteRecords is answered when every live replica begins where it was told to."""
    cluster.create("shortened", **{"min.insync.replicas": "1"})
    cluster.produce("shortened", 100, only=0)
    cluster.wait_isr("shortened", 3)
    leader = leader_of(cluster, "shortened", 0)
    active = cluster.leader()
    follower = next(n for n in cluster.nodes if n is not leader and n is not active)
    begin = time.monotonic()
    found = delete_records(cluster, "shortened", 10, 60000)
    check(found == (0, 10), f"all three are there: {found}")
    print(f"  answered after {time.monotonic() - begin:.3f} s")
    check(delete_records(cluster, "shortened", 5, 60000) == (0, 10), "an earlier offset")
    check(delete_records(cluster, "shortened", 101, 60000) == (1, -1), "above the end")
    follower.process.send_signal(signal.SIGSTOP)
    try:
        begin = time.monotonic()
        found = delete_records(cluster, "shortened", 20, 700, without=(follower,))
        check(found == (7, 10), f"one follower sleeps: {found}")
        check(time.monotonic() - begin >= 0.7, "answered before its time was over")
    finally:
        follower.process.send_signal(signal.SIGCONT)
    found = delete_records(cluster, "shortened", 20, 60000)
    check(found == (0, 20), f"it is awake: {found}")
    follower.kill()
    found = delete_records(cluster, "shortened", 30, 60000)
    check(found == (0, 30), f"it is fenced: {found}")
    # A replica that is made anew begins within a batch.
    for folder in glob.glob(os.path.join(follower.data + "*", "shortened-0")):
        shutil.rmtree(folder)
    follower.start()
    cluster.wait_isr("shortened", 3)
    found = delete_records(cluster, "shortened", -1, 60000)
    check(found == (0, 100), f"it is back: {found}")


def dies_alone(cluster, topic):
    """The leader takes records while its followers sleep, and dies with them. None when that took
    so long that it may have asked to be the only one in sync: it goes on then."""
    cluster.create(topic, **{"min.insync.replicas": "1"})
    cluster.produce(topic, 400)
    cluster.wait_isr(topic, 3)
    old = leader_of(cluster, topic, 0)
    others = [node for node in cluster.nodes if node is not old]
    settings = cluster.settings(acks="1", **{"bootstrap.servers": old.bootstrap})
    began = time.monotonic()
    try:
        for node in others:
            node.process.send_signal(signal.SIGSTOP)
        producer = Producer(settings)
        # What the followers asked for before they fell asleep still reaches them.
        for i in range(5):
            producer.produce(topic, f"lost {i}".encode() * 10, partition=0)
            check(producer.flush(PATIENCE_S) == 0, "the leader did not take a record alone")
        if time.monotonic() - began > LAG_MS / 2000:
            return None
        old.kill()
        return old
    finally:
        for node in others:
            node.process.send_signal(signal.SIGCONT)


def test_diverged(cluster):
    names = (f"parted-{i}" for i in itertools.count())

    def died():
        name = next(names)
        node = dies_alone(cluster, name)
        return node and (node, name)

    old, topic = eventually("a leader dies with what nobody else has", died)
    cluster.produce(topic, 300)
    old.start()
    cluster.wait_isr(topic, 3)
    cluster.read_all(topic)
    cluster.check_equal(topic)
    check("to agree with its leader" in old.log(100000), "nothing was cut")


def test_lost_directory(cluster):
    """What lay on a disk that cannot be opened is not made anew, empty, on another."""
    cluster.wait_isr("copied", 3)
    node = next(n for n in cluster.nodes if n is not cluster.leader())
    lost = [i for i in range(PARTITIONS) if os.path.isdir(f"{node.data}2/copied-{i}")]
    check(lost, "the second directory has no partition")
    node.stop()
    os.rename(f"{node.data}2", f"{node.data}2-away")
    with open(f"{node.data}2", "w", encoding="utf-8"):
        pass
    node.start()
    cluster.produce("copied", 400)
    me = cluster.nodes.index(node) + 1

    def others_in_sync():
        found = cluster.partitions("copied")
        check(all((me in p.isrs) == (i not in lost) for i, p in found.items()),
              f"ISRs {[p.isrs for p in found.values()]}, {lost} lost on {me}")

    settled(others_in_sync)
    check(not [i for i in lost if os.path.isdir(f"{node.data}/copied-{i}")], "made anew")
    node.stop()
    os.remove(f"{node.data}2")
    os.rename(f"{node.data}2-away", f"{node.data}2")
    node.start()
    cluster.wait_isr("copied", 3)
    cluster.read_all("copied")
    cluster.check_equal("copied")


def ask_to_move(cluster, node, topic, partition):
    """To the directory where it does not lie."""
    def places():
        return [path for path in (node.data, f"{node.data}2")
                if os.path.isdir(f"{path}/{topic}-{partition}")]

    (now,) = eventually("it is in one place", lambda: places() if len(places()) == 1 else None)
    path = f"{node.data}2" if now == node.data else node.data
    body = {"Dirs": [{"Path": path, "Topics": [{"Name": topic, "Partitions": [partition]}]}]}
    connection = Connection(cluster.spec, node.port)
    answer = connection.ask("AlterReplicaLogDirs", 2, body)
    connection.close()
    check(answer["Results"][0]["Partitions"][0]["ErrorCode"] == 0, f"{answer}")
    return f"{path}/{topic}-{partition}"


def wait_moved(paths):
    def left():
        return [path for path in paths if not os.path.isdir(path)]

    eventually(lambda: f"moved: {left()}", lambda: not left())


def test_moved_directories(cluster):
    """All replicas, those that lead and those that follow, change their directory under load."""
    cluster.create("moved", **{"min.insync.replicas": "2"})
    cluster.produce("moved", 2000)
    cluster.wait_isr("moved", 3)
    stop, wrong = threading.Event(), []

    def write():
        try:
            while not stop.is_set():
                cluster.produce("moved", 200)
        except AssertionError as error:
            wrong.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(2):
            wait_moved([ask_to_move(cluster, node, "moved", i)
                        for i in range(PARTITIONS) for node in cluster.nodes])
    finally:
        stop.set()
        writer.join()
    check(not wrong, f"{wrong}")
    cluster.wait_isr("moved", 3)
    # A leader dies on the way: another one leads, and its replicas move on when it is back.
    victim = leader_of(cluster, "moved", 0)
    wanted = [ask_to_move(cluster, victim, "moved", i) for i in range(PARTITIONS)]
    victim.kill()
    cluster.produce("moved", 400)
    victim.start()
    wait_moved(wanted)
    cluster.wait_isr("moved", 3)
    cluster.read_all("moved")
    cluster.check_equal("moved")
    print(f"  {len(cluster.written['moved'])} records acknowledged")


def test_closest_replica(cluster):
    """A consumer that says its rack reads from there, whoever leads."""
    cluster.create("near", **{"min.insync.replicas": "2"})
    cluster.produce("near", 800)
    cluster.wait_isr("near", 3)
    sent = "kafka_server_brokertopicmetrics_bytesout_total{topic=\"near\""
    for i in range(len(cluster.nodes)):
        def read_nearby(i=i):
            before = [cluster.metric(other, sent, 0) for other in cluster.nodes]
            cluster.read_all("near", **{"client.rack": f"rack-{i + 1}"})
            gained = [cluster.metric(other, sent, 0) - b for other, b in zip(cluster.nodes, before)]
            check(gained[i] > 0.9 * sum(gained) > 0, f"rack {i + 1} read {gained} bytes")

        settled(read_nearby)  # a leader sends nobody to a replica that lags just then


def fetch_once(cluster, topic_id, offset, leader, **more):
    """The answer about partition 0 of a fetch without a session."""
    connection = Connection(cluster.spec, leader.port)
    answer = connection.ask("Fetch", 17, {
        "MaxWaitMs": 0, "MinBytes": 1, "MaxBytes": 1, "SessionEpoch": -1, **more,
        "Topics": [{"TopicId": topic_id, "Partitions": [
            {"Partition": 0, "CurrentLeaderEpoch": -1, "LastFetchedEpoch": -1,
             "FetchOffset": offset, "PartitionMaxBytes": 1}]}]})
    connection.close()
    return answer["Responses"][0]["Partitions"][0]


def test_fetch_beside_session(cluster):
    """A replica's fetch that says an old place, outside of its session: the session corrects that,
    also where nothing is written any more."""
    leader = leader_of(cluster, "near", 0)
    number, follower = next((i, n) for i, n in enumerate(cluster.nodes, 1) if n is not leader)
    connection = Connection(cluster.spec, leader.port)
    named = connection.ask("Metadata", 12, {"Topics": [{"TopicId": bytes(16), "Name": "near"}]})
    connection.close()
    topic_id = named["Topics"][0]["TopicId"]
    epoch = int(re.findall(rf"Registered broker={number} epoch=(\d+)", follower.log(100000))[-1])
    replica = {"ReplicaId": number, "ReplicaEpoch": epoch}
    forged = fetch_once(cluster, topic_id, 0, leader, ReplicaState=replica)
    check(forged["ErrorCode"] == 0, f"{forged}")
    end = forged["HighWatermark"]
    eventually("the leader knows that it has all", lambda: fetch_once(
        cluster, topic_id, end, leader, RackId=f"rack-{number}")["PreferredReadReplica"] == number)
    debugging = {"ReplicaId": -2, "ReplicaEpoch": -1}  # a consumer, too: its rack counts as well
    eventually("who debugs is sent there", lambda: fetch_once(
        cluster, topic_id, end, leader, RackId=f"rack-{number}",
        ReplicaState=debugging)["PreferredReadReplica"] == number)


def test_damaged_leader(cluster):
    """A batch damaged on the leader's disk goes no further; once it is right it is taken."""
    cluster.wait_isr("copied", 3)
    leader = leader_of(cluster, "copied", 0)
    follower = next(n for n in cluster.nodes if n is not leader and n is not cluster.leader())
    follower.stop()
    for folder in glob.glob(os.path.join(follower.data + "*", "copied-0")):
        shutil.rmtree(folder)
    path = sorted(glob.glob(os.path.join(leader.data + "*", "copied-0", "*.log")))[0]
    with open(path, "r+b") as f:
        f.seek(200)
        right = f.read(1)
        f.seek(200)
        f.write(bytes([right[0] ^ 1]))
    follower.start()
    bad_crc = "kafka_server_brokertopicmetrics_invalidmessagecrcrecords_total"
    eventually("the damaged batch is noticed", lambda: cluster.metric(follower, bad_crc, 0) > 0)
    me = cluster.nodes.index(follower) + 1
    eventually("the replica without records is not in sync",
               lambda: me not in cluster.partitions("copied")[0].isrs)
    with open(path, "r+b") as f:
        f.seek(200)
        f.write(right)
    cluster.wait_isr("copied", 3)
    cluster.read_all("copied")
    cluster.check_equal("copied")


PARTS = (
    test_copies,
    test_killed_leader,
    test_named_leader,
    test_frozen_follower,
    test_deleted_records,
    test_diverged,
    test_lost_directory,
    test_moved_directories,
    test_closest_replica,
    test_fetch_beside_session,
    test_damaged_leader,
)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kraftd")
    parser.add_argument("only", nargs="*")
    args = parser.parse_args()
    cluster = Replicated(os.path.abspath(args.kraftd))
    with together(cluster.nodes):
        run_parts([part for part in PARTS if not args.only or part.__name__ in args.only], cluster)


if __name__ == "__main__":
    main()
