#!/usr/bin/python3
"""Much at once on several event loops: producers and consumers of shared topics, topics that come
and go, configs that change, scrapes of the admin port, and a stop in the middle of it.

usage: test_load.py KRAFTD [--seconds N] [--clients N]

Whatever was acknowledged is read back after a restart. The test is most useful with a kraftd that
was built with ThreadSanitizer: a race ends the process with another exit code.
"""

import argparse
import contextlib
import sys
import threading
import time
import urllib.request

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from harness import PATIENCE_S, Node, check, ended, eventually

TOPICS, PARTITIONS = 3, 6
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
CONFIG = ["kraftd.event.loops=4", "log.segment.bytes=1048576", "log.initial.task.delay.ms=200"]


class Load:
    """The threads, what they were told, and what went wrong in them."""

    def __init__(self, node):
        self.node = node
        self.stopping = threading.Event()
        self.ending = False  # the node stops: errors are to be expected
        self.lock = threading.Lock()
        self.acked = {}  # (topic, partition) -> set of offsets
        self.faults = []
        self.consumed = 0

    def delivered(self, error, message):
        if error is None:
            with self.lock:
                place = (message.topic(), message.partition())
                self.acked.setdefault(place, set()).add(message.offset())

    def produce(self, number):
        producer = Producer(
            {
                "bootstrap.servers": self.node.bootstrap,
                "enable.idempotence": number % 2 == 0,
                "acks": "all" if number % 2 == 0 else "1",
                "compression.type": CODECS[number % len(CODECS)],
                "linger.ms": number % 4,
                "message.timeout.ms": 5000,
            }
        )
        value = bytes(range(256)) * (1 + number)
        sent = 0
        while not self.stopping.is_set():
            try:
                producer.produce(f"load-{sent % TOPICS}", value, on_delivery=self.delivered)
            except BufferError:
                producer.poll(0.05)
            sent += 1
            if sent % 20 == 0:
                producer.poll(0.005)
        producer.flush(10)

    def consume(self, number):
        consumer = Consumer(
            {
                "bootstrap.servers": self.node.bootstrap,
                "group.id": "none",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 50,
                "isolation.level": ["read_committed", "read_uncommitted"][number % 2],
            }
        )
        consumer.assign(
            [TopicPartition(f"load-{t}", p, 0) for t in range(TOPICS) for p in range(PARTITIONS)]
        )
        while not self.stopping.is_set():
            messages = consumer.consume(500, 0.1)
            with self.lock:
                self.consumed += len(messages)
        consumer.close()

    def wait(self, futures):
        for future in futures.values():
            # Topics come and go under the hands of the others.
            with contextlib.suppress(Exception):
                future.result(1 if self.ending else 20)

    def administer(self, number):
        admin = AdminClient(
            {"bootstrap.servers": self.node.bootstrap, "socket.timeout.ms": 3000}
        )
        producer = Producer({"bootstrap.servers": self.node.bootstrap, "message.timeout.ms": 2000})
        turn = 0
        while not self.stopping.is_set():
            name = f"gone-{number}-{turn % 3}"
            self.wait(admin.create_topics([NewTopic(name, 8, 1)]))
            with contextlib.suppress(KafkaException):
                for p in range(8):
                    producer.produce(name, b"x", partition=p)
            producer.poll(0.01)
            resource = ConfigResource(
                ConfigResource.Type.TOPIC,
                f"load-{turn % TOPICS}",
                set_config={"flush.messages": "1" if turn % 2 else "1000"},
            )
            self.wait(admin.alter_configs([resource]))
            self.wait(admin.create_partitions([NewPartitions(name, 12)]))
            with contextlib.suppress(KafkaException):
                admin.list_topics(timeout=3)
            self.wait(admin.delete_topics([name]))
            turn += 1

    def scrape(self, _):
        while not self.stopping.is_set():
            for path in ["metrics", "healthz", "readyz"]:
                url = f"http://127.0.0.1:{self.node.admin_port}/{path}"
                with contextlib.suppress(OSError):
                    with urllib.request.urlopen(url, timeout=10) as answer:
                        answer.read()
            time.sleep(0.05)

    def guard(self, work, number):
        try:
            work(number)
        except Exception as fault:  # pylint: disable=broad-except
            if not self.ending:
                self.faults.append(f"{work.__name__}: {fault!r}")

    def run(self, seconds, clients):
        jobs = [(self.produce, i) for i in range(clients)]
        jobs += [(self.consume, i) for i in range(clients)]
        jobs += [(self.administer, i) for i in range(2)] + [(self.scrape, 0)]
        threads = [threading.Thread(target=self.guard, args=job, daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        eventually("something goes through", lambda: self.acked and self.consumed)
        self.ending = True
        code = self.node.stop()  # while everything still runs
        self.stopping.set()
        deadline = time.monotonic() + 12  # a client may go on about a broker that is gone
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
        check(code in (0, 143), f"kraftd ended with exit code {code}\n{self.node.log(400)}")
        check(not self.faults, f"clients failed: {self.faults}")


def read_back(node, acked):
    """The acknowledged offsets that cannot be read any more."""
    consumer = Consumer(
        {"bootstrap.servers": node.bootstrap, "group.id": "none", "enable.auto.commit": False,
         "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition(topic, p, 0) for topic, p in acked])
    missing = {place: set(offsets) for place, offsets in acked.items()}
    left, deadline = set(acked), time.monotonic() + 120
    while left and time.monotonic() < deadline:
        for message in consumer.consume(1000, 0.5):
            place = (message.topic(), message.partition())
            if message.error() is None:
                missing[place].discard(message.offset())
            elif message.error().code() == KafkaError._PARTITION_EOF:
                left.discard(place)
            else:
                raise AssertionError(f"reading failed: {message.error()}")
    consumer.close()
    check(not left, f"reading back did not end: {left}")
    return {place: len(offsets) for place, offsets in missing.items() if offsets}


def under_load(node, args):
    node.start()
    admin = AdminClient({"bootstrap.servers": node.bootstrap})
    for future in admin.create_topics(
        [NewTopic(f"load-{t}", PARTITIONS, 1) for t in range(TOPICS)]
    ).values():
        future.result(PATIENCE_S)
    load = Load(node)
    load.run(args.seconds, args.clients)
    total = sum(len(offsets) for offsets in load.acked.values())
    node.start()
    missing = read_back(node, load.acked)
    check(not missing, f"acknowledged and lost: {missing}")
    code = node.stop()
    check(code in (0, 143), f"kraftd ended with exit code {code}\n{node.log(400)}")
    print(f"{total} records acknowledged, {load.consumed} consumed, none lost")


def main():
    args = argparse.ArgumentParser(description="much at once")
    args.add_argument("kraftd")
    args.add_argument("--seconds", type=float, default=6)
    args.add_argument("--clients", type=int, default=6)
    args = args.parse_args()
    node = Node(args.kraftd, config=CONFIG)
    with ended((node,)):
        under_load(node, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
