"""scripts/interop's part on replication: brokers of Apache Kafka and kraftd follow each other."""

import glob
import os
import shutil
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness import PATIENCE_S, Node, check, eventually, settled
from interop_roles import as_broker, for_kafka

TOPIC = "shared"


def partitions(admin):
    return admin.list_topics(TOPIC, timeout=60).topics[TOPIC].partitions


def wait_in_sync(admin, size):
    def in_sync():
        isrs = [p.isrs for p in partitions(admin).values()]
        check(isrs and all(len(isr) == size for isr in isrs),
              f"the ISRs are {isrs}, not of {size} members")

    settled(in_sync)


def produce(bootstrap, count):
    failed = []
    producer = Producer(
        {"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "log_level": 0}
    )
    for i in range(count):
        producer.produce(
            TOPIC,
            f"record {i}".encode() * 5,
            partition=i % 2,
            on_delivery=lambda error, _: failed.append(error) if error else None,
        )
        producer.poll(0)
    check(producer.flush(PATIENCE_S) == 0 and not failed, f"not acknowledged: {failed[:1]}")


def log_bytes(node, partition):
    content = b""
    for path in sorted(glob.glob(os.path.join(node.data, f"{TOPIC}-{partition}", "*.log"))):
        with open(path, "rb") as f:
            content += f.read()
    return content


def check_equal(nodes):
    for partition in (0, 1):
        def equal(partition=partition):
            logs = [log_bytes(node, partition) for node in nodes]
            check(logs[0] and logs[0] == logs[1],
                  f"replicas of {[len(log) for log in logs]} bytes of partition {partition} differ")

        settled(equal)


def replication(kafka, kraftd):
    lag = ["replica.lag.time.max.ms=3000"]
    ours, theirs = Node(kraftd, config=lag), Node(kraftd, config=lag)
    as_broker(theirs, ours)
    properties = for_kafka(theirs)
    ours.start()
    with open(os.path.join(ours.data, "meta.properties"), encoding="utf-8") as f:
        keys = dict(line.strip().split("=", 1) for line in f if "=" in line)
    kafka.run("kafka-storage", "format", "-t", keys["cluster.id"], "-c", properties)
    log = os.path.join(theirs.folder, "kafka.log")
    admin = AdminClient({"bootstrap.servers": ours.bootstrap, "log_level": 0})
    process = kafka.serve(properties, log)
    try:
        eventually("Apache Kafka's broker registers",
                   lambda: len(admin.list_topics(timeout=60).brokers) == 2)
        topic = NewTopic(
            TOPIC,
            num_partitions=2,
            replica_assignment=[[1, 7], [7, 1]],
            config={"min.insync.replicas": "2"},
        )
        admin.create_topics([topic])[TOPIC].result(30)
        both = f"{ours.bootstrap},{theirs.bootstrap}"
        produce(both, 2000)
        check_equal((ours, theirs))
        print("replication: each leads a partition and follows the other's", flush=True)
        ours.kill()
        ours.start()
        wait_in_sync(admin, 2)
        produce(both, 500)
        # The leader may have counted the life before as in sync until now.
        wait_in_sync(admin, 2)
        time.sleep(1)
        wait_in_sync(admin, 2)
        process.terminate()
        process.wait(60)
        wait_in_sync(admin, 1)
        process = kafka.serve(properties, log)
        wait_in_sync(admin, 2)
        produce(both, 500)
        check_equal((ours, theirs))
        print("replication: both catch up after they were away", flush=True)
    finally:
        process.terminate()
        process.wait(60)
    code = ours.stop()
    check(code in (0, 143), f"kraftd ended with {code}\n{ours.log()}")
    for node in (ours, theirs):
        shutil.rmtree(node.folder, ignore_errors=True)
