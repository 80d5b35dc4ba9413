#!/usr/bin/python3
"""Sends the recorded bad and odd requests and compares the answers with those of Apache Kafka.

usage: test_behaviour.py KRAFTD [--area AREA]... [--list]

The requests and the tables of what Kafka answered are in tests/data/behaviour. Error codes, error
messages and what happens to the connection must be the same. behaviour_exceptions.tsv names each
case that differs on purpose, and why; a case that is listed there and does not differ is an error,
so that the list only shrinks. Cases of APIs that are not served yet are left out.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

import message_json
from harness import running

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(os.path.dirname(HERE), "data", "behaviour")
AREAS = ["framing", "metadata", "produce", "fetch", "topics", "configs", "more"]
SERVED = set(
    """Produce Fetch ListOffsets Metadata ApiVersions CreateTopics DeleteTopics DeleteRecords
InitProducerId OffsetForLeaderEpoch DescribeConfigs AlterConfigs DescribeLogDirs CreatePartitions
IncrementalAlterConfigs DescribeQuorum UpdateFeatures DescribeCluster DescribeProducers
DescribeTopicPartitions UnregisterBroker UnregisterController ListConfigResources -""".split()
)
CONFIG = [
    "num.partitions=1",
    "offsets.topic.replication.factor=1",
    "offsets.topic.num.partitions=4",
    "group.initial.rebalance.delay.ms=0",
    "socket.request.max.bytes=4194304",
]
PATIENCE = 8
# Texts that differ in every run: topic ids, times and the like.
VOLATILE = [(re.compile(r"\b1[5-9]\d{11}\b"), "<ms>"), (re.compile(r"[A-Za-z0-9_-]{22}"), "<uuid>")]


def table(path):
    """The rows of a table by their number."""
    with open(path, encoding="utf-8", newline="\n") as f:
        lines = [x for x in f.read().split("\n") if x]
    head = lines[0].split("\t")
    return [dict(zip(head, line.split("\t"))) for line in lines[1:]]


def connection(text):
    if text.startswith("closed"):
        return "closed"
    return "silent" if text.startswith("open") else "kept"


def plain(text):
    for pattern, word in VOLATILE:
        text = pattern.sub(word, text)
    return text


def exceptions():
    with open(os.path.join(HERE, "behaviour_exceptions.tsv"), encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f if line.strip() and line[0] != "#"]
    return {(row[0], row[1]): row[2] for row in rows}


def probed(kraftd, area, patience):
    """What a node answers, by the number of the case, and what was said of it. An answer that takes
    longer than some seconds times `patience` counts as none."""
    with tempfile.TemporaryDirectory() as out:
        message_json.write(os.path.join(out, "spec"))
        dirs = f"log.dirs={out}/d1,{out}/d2"
        with running(kraftd, [*CONFIG, dirs]) as node:
            node_env = {
                **os.environ,
                "KSPEC": os.path.join(out, "spec"),
                "PORT": str(node.port),
                "CTRLPORT": str(node.controller_port),
                "SASLPORT": "1",
                "PATIENCE": str(patience),
            }
            probe = subprocess.run(
                [sys.executable, os.path.join(DATA, "probe.py"), out, area],
                env=node_env,
                capture_output=True,
                text=True,
                timeout=900,
                check=False,
            )
        path = os.path.join(out, area + ".tsv")
        return dict(enumerate(table(path), 1)) if os.path.exists(path) else {}, probe.stderr


def run_area(kraftd, area, allowed, patience=1):
    """(compared, unexpected differences, exceptions that were not needed)"""
    wanted = {int(row["n"]): row for row in table(os.path.join(DATA, area + ".tsv"))}
    got, said = probed(kraftd, area, patience)
    compared, bad, needless = 0, [], []
    for n, want in sorted(wanted.items()):
        if want["api"] not in SERVED:
            continue
        compared += 1
        have = got.get(n)
        same = (
            have is not None
            and have["case"] == want["case"]
            and plain(have["response_errors"]) == plain(want["response_errors"])
            and connection(have["connection"]) == connection(want["connection"])
        )
        key = (area, want["case"])
        if not same and key not in allowed:
            bad.append(
                f"{area} {n} {want['case']}: {want['input'][:100]}\n"
                f"   want {want['response_errors'][:300]} | {want['connection'][:40]}\n   got  "
                + (
                    f"{have['response_errors'][:300]} | {have['connection'][:40]}"
                    if have
                    else f"nothing ({said[-300:]})"
                )
            )
        if same and key in allowed:
            needless.append(f"{area} {want['case']} does not differ: take it off the list")
    return compared, bad, needless


def main():
    args = argparse.ArgumentParser(description="recorded bad input")
    args.add_argument("kraftd")
    args.add_argument("--area", action="append")
    args = args.parse_args()
    allowed, compared, failed = exceptions(), 0, 0
    for area in args.area or AREAS:
        count, bad, needless = run_area(args.kraftd, area, allowed)
        if bad or needless:  # an answer may have come too late
            count, bad, needless = run_area(args.kraftd, area, allowed, PATIENCE)
        compared += count
        failed += len(bad) + len(needless)
        print(f"{area}: {count} compared, {len(bad)} different", flush=True)
        for text in bad + needless:
            print(text, flush=True)
    print(f"{compared} cases compared, {failed} wrong, {len(allowed)} differ on purpose")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
