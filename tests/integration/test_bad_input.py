#!/usr/bin/python3
"""Bad input of every kind: each gets an error or a clear sentence; nothing crashes, memory stays
bounded, and what was acknowledged stays.

usage: test_bad_input.py KRAFTD
"""

import gzip
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness import PATIENCE_S, Node, check, ended, eventually, running

API_PRODUCE, API_METADATA, API_VERSIONS = 0, 3, 18


def connect(node):
    return socket.create_connection(("127.0.0.1", node.port), PATIENCE_S)


def closed(s):
    """The node closes; what it sends before does not matter."""
    try:
        while s.recv(65536):
            pass
    except ConnectionError:
        pass
    except socket.timeout:
        return False
    return True


def frame(body):
    return struct.pack(">i", len(body)) + body


def header(api, version, correlation=1):
    return struct.pack(">hhih", api, version, correlation, -1)


def call(s, body):
    s.sendall(frame(body))
    size = b""
    while len(size) < 4:
        more = s.recv(4 - len(size))
        if not more:
            return None
        size += more
    left, out = struct.unpack(">i", size)[0], b""
    while len(out) < left:
        more = s.recv(left - len(out))
        if not more:
            return None
        out += more
    return out


def serves(node):
    with connect(node) as s:
        answer = call(s, header(API_VERSIONS, 0))
        check(answer is not None and answer[4:6] == b"\0\0", "ApiVersions is not answered any more")


def memory_mb(node):
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def log_has(node, text):
    with open(node.log_path, encoding="utf-8", errors="replace") as f:
        return text in f.read()


def garbage(node):
    rng = random.Random(1)
    cases = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes.fromhex("16030100a5010000a10303") + rng.randbytes(160),  # a TLS hello
        struct.pack(">i", 0x7FFFFFFF),
        struct.pack(">i", -1),
        struct.pack(">i", 0),
        frame(b"\0"),
        frame(header(999, 0)),
        frame(header(API_PRODUCE, 99)),
        frame(header(API_METADATA, 12) + b"\xff" * 20),
    ]
    cases += [rng.randbytes(rng.randrange(1, 400)) for _ in range(200)]
    for data in cases:
        with connect(node) as s:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            check(closed(s), f"the connection stays open after {data[:20]!r}")
    serves(node)
    eventually("the log says that somebody spoke HTTP", lambda: log_has(node, "HTTP"))


def slow_and_many(node):
    """Connections that announce large requests and send nothing take no memory."""
    before = memory_mb(node)
    held = []
    for _ in range(200):
        s = connect(node)
        s.sendall(struct.pack(">i", 50 << 20) + header(API_PRODUCE, 9))
        held.append(s)
    time.sleep(0.5)
    grown = memory_mb(node) - before
    for s in held:
        s.close()
    check(grown < 600, f"200 idle announcements of 50 MB took {grown:.0f} MB")
    serves(node)


def bomb(node):
    """A batch of 1 MB that would be 1 GB: refused, and never held in memory."""
    admin = AdminClient({"bootstrap.servers": node.bootstrap})
    admin.create_topics([NewTopic("bomb", 1, 1, config={"compression.type": "lz4"})])[
        "bomb"
    ].result(PATIENCE_S)
    packed = gzip.compress(b"\0" * (900 << 20), 9)
    tail = struct.pack(">hiqqqhii", 1, 0, 0, 0, -1, -1, -1, 1) + packed
    batch = struct.pack(">qiibI", 0, 9 + len(tail), -1, 2, crc32c(tail)) + tail
    body = (
        header(API_PRODUCE, 3, 7)
        + struct.pack(">hhi", -1, -1, 10000)
        + struct.pack(">i", 1)
        + struct.pack(">h", 4)
        + b"bomb"
        + struct.pack(">iii", 1, 0, len(batch))
        + batch
    )
    before = memory_mb(node)
    with connect(node) as s:
        answer = call(s, body)
    check(answer is not None, "the bomb closed the connection")
    error = struct.unpack(">h", answer[4 + 4 + 2 + 4 + 4 + 4 :][:2])[0]
    check(error != 0, "the bomb was stored")
    grown = memory_mb(node) - before
    check(grown < 700, f"the bomb took {grown:.0f} MB")
    serves(node)


def crc32c(data):
    table = []
    for n in range(256):
        c = n
        for _ in range(8):
            c = (c >> 1) ^ 0x82F63B78 if c & 1 else c >> 1
        table.append(c)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def produce(node, topic, numbers, timeout_ms=120000):
    acked, failed = [], []
    producer = Producer(
        {
            "bootstrap.servers": node.bootstrap,
            "enable.idempotence": True,
            "message.timeout.ms": timeout_ms,
        }
    )
    for i in numbers:
        producer.produce(
            topic,
            os.urandom(10000),
            str(i),
            partition=0,
            on_delivery=lambda e, m: (failed if e else acked).append(int(m.key())),
        )
        producer.poll(0)
    producer.flush(150)
    return acked, failed


def read_keys(node, topic):
    consumer = Consumer(
        {
            "bootstrap.servers": node.bootstrap,
            "group.id": "x",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    keys = []
    while True:
        m = consumer.poll(PATIENCE_S)
        check(m is not None, "reading stalled")
        if m.error():
            break
        keys.append(int(m.key()))
    consumer.close()
    return keys


def on_full_disk(node, folder):
    node.start()
    admin = AdminClient({"bootstrap.servers": node.bootstrap})
    admin.create_topics([NewTopic("full", 1, 1)])["full"].result(PATIENCE_S)
    acked, failed = produce(node, "full", range(50))
    check(len(acked) == 50, f"with room {len(failed)} of 50 records are refused")
    more, failed = produce(node, "full", range(50, 1500), 5000)
    check(failed, f"{len(more)} records of 10 KB were written on 8 MB")
    acked += more
    serves(node)
    subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
    node.stop()
    node.start()
    more, failed = produce(node, "full", range(100))
    check(len(more) == 100, f"with room again {len(failed)} of 100 records are refused")
    keys = read_keys(node, "full")
    check(set(acked) <= set(keys), "acknowledged records are gone after the disk was full")
    node.stop()


def full_disk(kraftd):
    """A small file system that fills up: errors, then service again when there is room."""
    folder = tempfile.mkdtemp(prefix="kraftd-full-")
    if (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "none", folder],
            check=False,
            capture_output=True,
        ).returncode
        != 0
    ):
        print("full disk: skipped, mounting needs root", flush=True)
        os.rmdir(folder)
        return
    node = Node(kraftd, config=["log.segment.bytes=1048576", "log.index.size.max.bytes=4096"])
    with open(node.properties, "a", encoding="utf-8") as f:
        f.write(f"log.dirs={folder}\nmetadata.log.dir={node.data}\n")
    try:
        with ended((node,)):
            on_full_disk(node, folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=False)
        os.rmdir(folder)


def refused(kraftd, words, folder, lines, *expected):
    """It does not start, and says why."""
    path = os.path.join(folder, "bad.properties")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    result = subprocess.run(
        [kraftd, path, *words], capture_output=True, text=True, timeout=120, check=False
    )
    text = result.stdout + result.stderr
    check(result.returncode not in (0, -6, -11), f"{lines} started or crashed: {text[-500:]}")
    for word in expected:
        check(word in text, f"{lines}: the message does not name {word!r}: {text[-700:]}")


def bad_starts(kraftd):
    folder = tempfile.mkdtemp(prefix="kraftd-bad-")
    good = [f"log.dirs={folder}/data", "kraftd.admin.listener="]
    refused(kraftd, [], folder, [*good, "num.partitions=many"], "num.partitions", "many")
    refused(kraftd, [], folder, [*good, "listeners=PLAINTEXT://127.0.0.1:99999999"], "99999999")
    refused(kraftd, ["--override", "log.retention.ms=x"], folder, good, "log.retention.ms")
    refused(kraftd, [], folder, [*good, "authorizer.class.name=x.Y"], "authorizer.class.name")
    result = subprocess.run(
        [kraftd, os.path.join(folder, "none.properties")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    check(
        result.returncode != 0 and "none.properties" in result.stdout + result.stderr,
        "a missing file is not named",
    )
    old = os.path.join(folder, "zk")
    os.makedirs(old)
    with open(os.path.join(old, "meta.properties"), "w", encoding="utf-8") as f:
        f.write("version=0\nbroker.id=1\ncluster.id=abc\n")
    refused(kraftd, [], folder, [f"log.dirs={old}", "kraftd.admin.listener="], "ZooKeeper", old)
    check(os.listdir(old) == ["meta.properties"], "the directory of ZooKeeper days was touched")
    shutil.rmtree(folder, ignore_errors=True)


def second_process(kraftd, node):
    result = subprocess.run(
        [kraftd, node.properties, "--override", "kraftd.admin.listener="],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    text = result.stdout + result.stderr
    check(result.returncode not in (0, -6, -11), "a second process started on the same directory")
    check(
        node.data in text or str(node.port) in text,
        f"it does not say what is in use: {text[-500:]}",
    )
    serves(node)


def main():
    kraftd = sys.argv[1]
    with running(kraftd) as node:
        for part in (garbage, slow_and_many, bomb):
            part(node)
            print(part.__name__, "passed", flush=True)
        second_process(kraftd, node)
        print("second_process passed", flush=True)
    for part in (full_disk, bad_starts):
        part(kraftd)
        print(part.__name__, "passed", flush=True)
    print("6 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
