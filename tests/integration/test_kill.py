#!/usr/bin/python3
"""kill -9 under idempotent acks=all load: nothing that was acknowledged may be lost, doubled or
moved.

usage: test_kill.py KRAFTD [--times N] [--seed S] [--compression CODEC]

Producers write numbered records to several partitions all the time; the node is killed at
random moments and started again. At the end everything is read back from the start and
compared with what was acknowledged: each partition must hold each number at most once and in
order, and all acknowledged ones.
"""

import argparse
import random
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness import PATIENCE_S, check, running

TOPIC = "kill"
PARTITIONS = 4


class Load(threading.Thread):
    """Writes 0, 1, 2, ... to each partition and remembers which were acknowledged, and where."""

    def __init__(self, bootstrap, codec):
        super().__init__(daemon=True)
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": codec,
                "linger.ms": 1,
                "message.timeout.ms": 120000,
                "reconnect.backoff.max.ms": 200,
                "retry.backoff.ms": 20,
                "queue.buffering.max.messages": 20000,
            }
        )
        self.next = [0] * PARTITIONS
        self.acked = [{} for _ in range(PARTITIONS)]
        self.failed = []
        self.stopping = False

    def delivered(self, error, message):
        number = int(message.key())
        if error is not None:
            self.failed.append((message.partition(), number, str(error)))
            return
        self.acked[message.partition()][number] = message.offset()

    def run(self):
        value = bytes(range(256)) * 2
        while not self.stopping:
            for p in range(PARTITIONS):
                try:
                    self.producer.produce(
                        TOPIC, value, str(self.next[p]), partition=p, on_delivery=self.delivered
                    )
                    self.next[p] += 1
                except BufferError:
                    self.producer.poll(0.05)
            self.producer.poll(0)
            if self.next[0] % 50 == 0:
                time.sleep(0.002)

    def finish(self):
        self.stopping = True
        self.join()
        check(self.producer.flush(120) == 0, "records were still waiting after two minutes")
        check(not self.failed, f"the producer gave up: {self.failed[:5]}")

    def total(self):
        return sum(len(a) for a in self.acked)


def read_all(bootstrap):
    """[(offset, number)] of each partition, in the order they were read."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "none",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.assign([TopicPartition(TOPIC, p, 0) for p in range(PARTITIONS)])
    found = [[] for _ in range(PARTITIONS)]
    ended = set()
    deadline = time.monotonic() + 60
    while len(ended) < PARTITIONS:
        check(time.monotonic() < deadline, "reading everything back stands still for a minute")
        message = consumer.poll(1)
        if message is None:
            continue
        deadline = time.monotonic() + 60
        if message.error() is None:
            found[message.partition()].append((message.offset(), int(message.key())))
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition())
        else:
            raise AssertionError(f"reading failed: {message.error()}")
    consumer.close()
    return found


def verify(load, found):
    for p in range(PARTITIONS):
        numbers = [n for _, n in found[p]]
        check(
            numbers == list(range(len(numbers))),
            f"partition {p} is not 0, 1, 2, ...: lost, doubled or moved near "
            f"{next((i for i, n in enumerate(numbers) if i != n), len(numbers))}",
        )
        by_number = {n: o for o, n in found[p]}
        for number, offset in load.acked[p].items():
            check(
                number in by_number, f"partition {p}: record {number} was acknowledged and is lost"
            )
            check(
                offset < 0 or by_number[number] == offset,
                f"partition {p}: record {number} was acknowledged at {offset}, read at"
                f" {by_number[number]}",
            )


def main():
    args = argparse.ArgumentParser(description="kill -9 under load")
    args.add_argument("kraftd")
    args.add_argument("--times", type=int, default=20)
    args.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    args.add_argument("--compression", default="lz4")
    args = args.parse_args()
    print(f"seed {args.seed}", flush=True)
    rng = random.Random(args.seed)
    config = ["log.segment.bytes=1048576", "num.partitions=4", "kraftd.flush.interval.ms=500"]
    with running(args.kraftd, config) as node:
        admin = AdminClient({"bootstrap.servers": node.bootstrap})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(PATIENCE_S)
        load = Load(node.bootstrap, args.compression)
        load.start()
        slowest = 0.0
        for i in range(args.times):
            time.sleep(rng.uniform(0.05, 1.0))
            node.kill()
            begin = time.monotonic()
            node.start()
            slowest = max(slowest, time.monotonic() - begin)
            print(f"killed {i + 1} of {args.times}, acknowledged {load.total()}", flush=True)
        time.sleep(1)
        load.finish()
        found = read_all(node.bootstrap)
        verify(load, found)
        check(
            load.total() > args.times * 10,
            "hardly anything was acknowledged: the test tested nothing",
        )
    print(
        f"kills={args.times} acked={load.total()} lost=0 dup=0 reordered=0 slowest_restart_ms="
        f"{slowest * 1000:.0f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
