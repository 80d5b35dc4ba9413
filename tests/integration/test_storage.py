#!/usr/bin/python3
"""What a node does with its directories: several of them, strays, deleted topics, retention.

usage: test_storage.py KRAFTD
"""

import glob
import os
import shutil
import sys
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness import PATIENCE_S, Node, check, ended, eventually, running


def admin(node):
    return AdminClient({"bootstrap.servers": node.bootstrap})


def create(node, name, partitions=1, **config):
    client = admin(node)
    wanted = NewTopic(
        name, partitions, 1, config={k.replace("_", "."): v for k, v in config.items()}
    )
    client.create_topics([wanted])[name].result(PATIENCE_S)


def fill(node, name, count, size=1000, partition=0):
    failed = []
    producer = Producer({"bootstrap.servers": node.bootstrap, "batch.num.messages": 100})
    for i in range(count):
        producer.produce(
            name,
            bytes(size),
            str(i),
            partition=partition,
            on_delivery=lambda e, m: failed.append(str(e)) if e else None,
        )
        producer.poll(0)
    check(producer.flush(PATIENCE_S) == 0 and not failed, f"writing failed: {failed[:3]}")


def several_directories(kraftd):
    node = Node(kraftd)
    dirs = [os.path.join(node.folder, name) for name in ("d1", "d2", "d3")]
    with open(node.properties, "a", encoding="utf-8") as f:
        f.write(f"log.dirs={','.join(dirs)}\n")
    with ended((node,)):
        spread(node, dirs)


def spread(node, dirs):
    node.start()
    create(node, "spread", 9)
    eventually(
        "nine directories",
        lambda: sum(len(glob.glob(os.path.join(d, "spread-*"))) for d in dirs) == 9,
    )
    counts = [len(glob.glob(os.path.join(d, "spread-*"))) for d in dirs]
    check(counts == [3, 3, 3], f"nine partitions are spread as {counts}")
    for p in range(9):
        fill(node, "spread", 10, partition=p)
    check(node.stop() in (0, 143), "it did not stop in order")
    node.start()
    for p in range(9):
        fill(node, "spread", 10, partition=p)
    check(node.stop() in (0, 143), "it did not stop in order")


def strays(node):
    create(node, "kept", 1)
    fill(node, "kept", 10)
    node.stop()
    ghost = os.path.join(node.data, "ghost-0")
    shutil.copytree(os.path.join(node.data, "kept-0"), ghost)
    os.unlink(os.path.join(ghost, "partition.metadata"))
    node.start()
    eventually("the stray is renamed", lambda: not os.path.exists(ghost))
    renamed = glob.glob(os.path.join(node.data, "ghost-0.*-stray"))
    check(len(renamed) == 1, f"the unknown directory became {renamed}")
    check(os.path.exists(os.path.join(renamed[0], "00000000000000000000.log")), "its log is gone")
    eventually("the log names the stray", lambda: "ghost" in node.log(200))
    check(os.path.exists(os.path.join(node.data, "kept-0")), "a known partition was set aside")


def deleted_topics(node):
    create(node, "gone", 3)
    fill(node, "gone", 10)
    client = admin(node)
    client.delete_topics(["gone"])["gone"].result(PATIENCE_S)
    eventually(
        "the directories are renamed",
        lambda: not [
            d for d in glob.glob(os.path.join(node.data, "gone-*")) if not d.endswith("-delete")
        ],
    )
    create(node, "gone", 1)
    fill(node, "gone", 5)
    check(os.path.exists(os.path.join(node.data, "gone-0")), "the topic cannot be made again")


def retention(node):
    create(
        node,
        "short",
        1,
        segment_bytes="1048576",
        retention_bytes="2097152",
        file_delete_delay_ms="500",
    )
    fill(node, "short", 8000)
    segments = os.path.join(node.data, "short-0", "*.log")
    eventually("old segments are deleted", lambda: len(glob.glob(segments)) <= 4)
    eventually("their files are gone", lambda: not glob.glob(segments + ".deleted"))
    create(
        node, "compacted", 1, cleanup_policy="compact", segment_bytes="1048576", retention_ms="1"
    )
    fill(node, "compacted", 3000)
    before = len(glob.glob(os.path.join(node.data, "compacted-0", "*.log")))
    time.sleep(2)
    after = len(glob.glob(os.path.join(node.data, "compacted-0", "*.log")))
    check(before == after > 1, f"a compacted topic lost segments by time: {before} became {after}")


def main():
    kraftd = sys.argv[1]
    several_directories(kraftd)
    print("several_directories passed", flush=True)
    config = ["log.retention.check.interval.ms=300", "log.initial.task.delay.ms=300"]
    with running(kraftd, config) as node:
        for part in (strays, deleted_topics, retention):
            part(node)
            print(part.__name__, "passed", flush=True)
    print("4 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
