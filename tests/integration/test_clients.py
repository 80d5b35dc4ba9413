#!/usr/bin/python3
"""Unmodified clients write and read: kcat, kafka-python and confluent-kafka, with every codec,
keys, headers, timestamps, tombstones and records of 1 MB. What comes back must be equal, byte
for byte.

usage: test_clients.py KRAFTD [--megabytes N]

--megabytes N also sends a stream of that size through a topic and compares digests (1024 by
hand).
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import time

import confluent_kafka
import kafka
from confluent_kafka.admin import AdminClient, NewTopic

from harness import PATIENCE_S, check, running

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
BASE_MS = 1700000000000


def records(rng):
    """(key, value, headers, timestamp): the awkward cases first."""
    yield b"k", None, [], BASE_MS
    yield None, b"", [], BASE_MS + 1
    yield b"", b"v", [("h", b""), ("h", b"twice"), ("\u00e9", bytes(range(256)))], BASE_MS + 2
    yield b"\x00\xff", rng.randbytes(1000000), [], BASE_MS + 3
    for i in range(200):
        yield (
            str(i).encode(),
            rng.randbytes(rng.randrange(0, 3000)),
            [("n", str(i).encode())] if i % 3 else [],
            BASE_MS + 10 + i,
        )


def confluent_write(bootstrap, topic, codec, items):
    failed = []
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": codec,
            "acks": "all",
            "message.max.bytes": 2000000,
            "linger.ms": 5,
        }
    )
    for key, value, headers, timestamp in items:
        producer.produce(
            topic,
            value,
            key,
            partition=0,
            timestamp=timestamp,
            headers=headers,
            on_delivery=lambda e, m: failed.append(str(e)) if e else None,
        )
        producer.poll(0)
    left = producer.flush(PATIENCE_S)
    check(left == 0 and not failed, f"confluent-kafka could not write: {failed[:3]}")


def confluent_read(bootstrap, topic, count):
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "none",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "check.crcs": True,
        }
    )
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    out = []
    deadline = time.monotonic() + PATIENCE_S
    while len(out) < count and time.monotonic() < deadline:
        m = consumer.poll(1)
        if m is None:
            continue
        check(m.error() is None, f"confluent-kafka could not read: {m.error()}")
        out.append((m.key(), m.value(), m.headers() or [], m.timestamp()[1]))
    consumer.close()
    return out


def python_write(bootstrap, topic, codec, items):
    producer = kafka.KafkaProducer(
        bootstrap_servers=bootstrap,
        api_version_auto_timeout_ms=60000,
        acks="all",
        max_request_size=2000000,
        compression_type=None if codec == "none" else codec,
    )
    sent = [
        producer.send(topic, value, key, headers=headers, partition=0, timestamp_ms=timestamp)
        for key, value, headers, timestamp in items
    ]
    for future in sent:
        future.get(PATIENCE_S)
    producer.close()


def python_read(bootstrap, topic, count):
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=bootstrap,
        api_version_auto_timeout_ms=60000,
        consumer_timeout_ms=60000,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        check_crcs=True,
    )
    consumer.assign([kafka.TopicPartition(topic, 0)])
    out = []
    for m in consumer:
        out.append((m.key, m.value, list(m.headers), m.timestamp))
        if len(out) == count:
            break
    consumer.close()
    return out


def kcat(bootstrap, *words, stdin=None):
    result = subprocess.run(
        ["kcat", "-b", bootstrap, "-X", "message.max.bytes=2000000", *words],
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )
    check(result.returncode == 0, f"kcat {' '.join(words)} failed: {result.stderr.decode()[:500]}")
    return result.stdout


def kcat_round_trip(bootstrap, topic, codec):
    lines = b"".join(b"%d\tvalue %d\n" % (i, i) for i in range(500))
    kcat(bootstrap, "-P", "-t", topic, "-p", "0", "-K", "\t", "-z", codec, "-H", "a=b", stdin=lines)
    back = kcat(bootstrap, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-K", "\t")
    check(back == lines, f"kcat read back something else with {codec}")
    headers = kcat(bootstrap, "-C", "-t", topic, "-p", "0", "-o", "-1", "-e", "-q", "-f", "%h")
    check(headers == b"a=b", f"kcat read back headers {headers!r}")


def same(name, want, got):
    check(len(want) == len(got), f"{name}: {len(got)} of {len(want)} records came back")
    for i, (a, b) in enumerate(zip(want, got)):
        check(a == b, f"{name}: record {i} differs: {str(a)[:200]} became {str(b)[:200]}")


def streams(bootstrap, megabytes):
    """A long stream through a topic of one partition, with equal digests."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic("stream", 1, 1)])["stream"].result(PATIENCE_S)
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 5,
            "enable.idempotence": True,
            "compression.type": "lz4",
        }
    )
    blob, wrote, count = os.urandom(1 << 20), hashlib.sha256(), megabytes * 16
    for i in range(count):
        begin = (i * 7919) % (len(blob) - 65536)
        chunk = blob[begin : begin + 65536]
        wrote.update(chunk)
        while True:
            try:
                producer.produce("stream", chunk, partition=0)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    check(producer.flush(300) == 0, "the stream was not written within five minutes")
    read = hashlib.sha256()
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False}
    )
    consumer.assign([confluent_kafka.TopicPartition("stream", 0, 0)])
    left, deadline = count, time.monotonic() + 600
    while left > 0:
        check(time.monotonic() < deadline, "the stream was not read within ten minutes")
        for m in consumer.consume(500, 1):
            check(m.error() is None, f"reading the stream failed: {m.error()}")
            read.update(m.value())
            left -= 1
    consumer.close()
    check(wrote.hexdigest() == read.hexdigest(), "the stream came back with another digest")
    print(f"{megabytes} MB went in and came out with equal digests", flush=True)


def main():
    args = argparse.ArgumentParser(description="unmodified clients against kraftd")
    args.add_argument("kraftd")
    args.add_argument("--megabytes", type=int, default=32)
    args = args.parse_args()
    # Some records are older than any retention.
    with running(args.kraftd, ["auto.create.topics.enable=true", "log.retention.ms=-1"]) as node:
        admin = AdminClient({"bootstrap.servers": node.bootstrap})
        done = 0
        for codec in CODECS:
            names = [f"{who}-{codec}" for who in ("confluent", "python", "kcat")]
            for future in admin.create_topics([NewTopic(n, 1, 1) for n in names]).values():
                future.result(PATIENCE_S)
            items = list(records(random.Random(codec)))
            confluent_write(node.bootstrap, names[0], codec, items)
            same(
                f"{names[0]} read by confluent-kafka",
                items,
                confluent_read(node.bootstrap, names[0], len(items)),
            )
            if codec == "none" or getattr(kafka.codec, f"has_{codec}")():
                same(
                    f"{names[0]} read by kafka-python",
                    items,
                    python_read(node.bootstrap, names[0], len(items)),
                )
                python_write(node.bootstrap, names[1], codec, items)
                same(
                    f"{names[1]} read by confluent-kafka",
                    items,
                    confluent_read(node.bootstrap, names[1], len(items)),
                )
            kcat_round_trip(node.bootstrap, names[2], codec)
            done += 1
            print(f"{codec}: all clients agree", flush=True)
        if args.megabytes > 0:
            streams(node.bootstrap, args.megabytes)
        # A topic that nobody created: the first write makes it.
        kcat(node.bootstrap, "-P", "-t", "made-by-writing", stdin=b"x\n")
        check(
            kcat(node.bootstrap, "-C", "-t", "made-by-writing", "-o", "beginning", "-e", "-q")
            == b"x\n",
            "an automatically created topic does not hold what was written",
        )
    print(f"{done} codecs passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
