#!/usr/bin/python3
"""Replicas that move between the log directories of one broker.

usage: test_log_dirs.py KRAFTD [PART ...]

One node with three directories lives through it all: what cannot be moved is refused as by Apache
Kafka; a partition moves while records are written and read; a throttled move is shown, cancelled,
survives kill -9 and a stop, goes with its topic; a directory fails under it; the tool with
log_dirs in its plan does all that, too.
"""

import argparse
import glob
import json
import os
import random
import re
import shutil
import subprocess
import threading
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness import PATIENCE_S, Node, check, eventually, run, run_parts
from test_controller_api import Connection, load_spec

CORDONED, NO_PLACE = 39, 38  # INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR
STORAGE_ERROR, DIR_NOT_FOUND, UNKNOWN_TOPIC, INVALID_TOPIC, NOT_LEADER = 56, 57, 3, 17, 6
RATE = "replica.alter.log.dirs.io.max.bytes.per.second"
NO_LIMIT = str(2**63 - 1)


class Moves:
    def __init__(self, kraftd):
        self.node = Node(kraftd)
        self.dirs = [self.node.data + suffix for suffix in ("", "2", "3")]
        with open(self.node.properties, encoding="utf-8") as f:
            lines = [line for line in f if not line.startswith("log.dirs=")]
        with open(self.node.properties, "w", encoding="utf-8") as f:
            f.writelines(lines)
            f.write(f"log.dirs={','.join(self.dirs)}\nmetadata.log.dir={self.dirs[0]}\n")
            f.write("log.segment.delete.delay.ms=300\n")
            f.write("replica.high.watermark.checkpoint.interval.ms=300\n")
        self.spec = load_spec()
        self.tools = os.path.join(os.path.dirname(kraftd), "kraftd-tools")

    def settings(self, **more):
        return {"bootstrap.servers": self.node.bootstrap, "log_level": 0, **more}

    def create(self, name, partitions=1, **config):
        admin = AdminClient(self.settings())
        admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result()
        for i in range(partitions):
            eventually(f"{name}-{i} is made", lambda i=i: self.where(name, i)[0])

    def delete(self, name):
        admin = AdminClient(self.settings())
        admin.delete_topics([name])[name].result()

    def fill(self, topic, count, size=1000, partition=0):
        failed = []
        producer = Producer(self.settings(acks="all", **{"linger.ms": 5}))
        for i in range(count):
            producer.produce(topic, f"{i} ".encode().ljust(size, b"x"), partition=partition,
                             on_delivery=lambda error, _: failed.append(error) if error else None)
            producer.poll(0)
        producer.flush(PATIENCE_S)
        check(not failed, f"not written: {failed[:1]}")

    def read(self, topic, partition=0):
        """The numbers that stand at the front of all records."""
        consumer = Consumer(self.settings(**{"group.id": "none", "enable.auto.commit": False}))
        at = TopicPartition(topic, partition, 0)
        _, end = consumer.get_watermark_offsets(at, timeout=60)
        consumer.assign([at])
        found, deadline = [], time.monotonic() + PATIENCE_S
        while len(found) < end and time.monotonic() < deadline:
            for message in consumer.consume(1000, timeout=0.2):
                check(message.error() is None, f"reading: {message.error()}")
                found.append(int(message.value().split()[0]))
        consumer.close()
        return found

    def ask(self, api, version, body):
        connection = Connection(self.spec, self.node.port)
        try:
            return connection.ask(api, version, body)
        finally:
            connection.close()

    def move(self, topic, path, partition=0, version=2):
        """The error."""
        body = {"Dirs": [{"Path": path, "Topics": [{"Name": topic, "Partitions": [partition]}]}]}
        answer = self.ask("AlterReplicaLogDirs", version, body)
        (result,) = answer["Results"]
        check(result["TopicName"] == topic, f"asked for {topic}: {result}")
        (found,) = result["Partitions"]
        check(found["PartitionIndex"] == partition, f"asked for {partition}: {found}")
        return found["ErrorCode"]

    def throttle(self, rate):
        """Bytes a second; None: no limit."""
        value = {"Name": RATE, "ConfigOperation": 1 if rate is None else 0,
                 "Value": None if rate is None else str(rate)}
        body = {"Resources": [{"ResourceType": 4, "ResourceName": "", "Configs": [value]}],
                "ValidateOnly": False}
        answer = self.ask("IncrementalAlterConfigs", 1, body)
        check(answer["Responses"][0]["ErrorCode"] == 0, f"throttle: {answer}")

    def cordon(self, value, port=None):
        """KIP-1066. None: none of them. The error, once the controller has heard of it."""
        config = {"Name": "cordoned.log.dirs", "ConfigOperation": 1 if value is None else 0,
                  "Value": value}
        body = {"Resources": [{"ResourceType": 4, "ResourceName": "1", "Configs": [config]}],
                "ValidateOnly": False}
        connection = Connection(self.spec, port or self.node.port)
        answer = connection.ask("IncrementalAlterConfigs", 1, body)["Responses"][0]
        connection.close()
        if answer["ErrorCode"] == 0:
            expected = self.dirs if value == "*" else value.split(",") if value else []
            self.wait_cordoned(expected)
        return answer["ErrorCode"], answer["ErrorMessage"]

    def wait_cordoned(self, expected):
        def cordoned():
            results = self.ask("DescribeLogDirs", 5, {"Topics": None})["Results"]
            return [result["LogDir"] for result in results if result["IsCordoned"]]

        eventually(lambda: f"cordoned: {cordoned()}, not {expected}",
                   lambda: cordoned() == sorted(expected))

    def where(self, topic, partition=0):
        """Directories of the log and of its copy (None: there is none), and how far that lags."""
        answer = self.ask("DescribeLogDirs", 4, {"Topics": None})
        log = copy = lag = None
        for result in answer["Results"]:
            for found in result["Topics"]:
                for p in found["Partitions"]:
                    if found["Name"] != topic or p["PartitionIndex"] != partition:
                        continue
                    if p["IsFutureKey"]:
                        check(copy is None, f"{topic} has two copies")
                        copy, lag = result["LogDir"], p["OffsetLag"]
                    else:
                        check(log is None and p["OffsetLag"] == 0, f"{topic} is there twice: {p}")
                        log = result["LogDir"]
        return log, copy, lag

    def wait_where(self, topic, log, copy=None, partition=0):
        eventually(lambda: f"{topic} is at {self.where(topic, partition)}, not {(log, copy)}",
                   lambda: self.where(topic, partition)[:2] == (log, copy))

    def others(self, topic):
        log = self.where(topic)[0]
        return log, [path for path in self.dirs if path != log]

    def on_disk(self, topic, partition=0):
        return sorted(path for folder in self.dirs
                      for path in glob.glob(os.path.join(folder, f"{topic}-{partition}*")))

    def wait_on_disk(self, topic, expected):
        eventually(lambda: f"{self.on_disk(topic)}, not {expected}",
                   lambda: self.on_disk(topic) == expected)

    def tool(self, *args):
        ran = subprocess.run([self.tools, *args], capture_output=True, text=True, timeout=120)
        return ran.returncode, ran.stdout + ran.stderr


def test_refused(m):
    m.create("here")
    for version in (1, 2):
        check(m.move("here", "/no/such", version=version) == DIR_NOT_FOUND, "a directory of nobody")
        check(m.move("here", m.dirs[1] + "/", version=version) == DIR_NOT_FOUND, "another name")
        check(m.move("gone", m.dirs[1], version=version) == UNKNOWN_TOPIC, "no such topic")
        check(m.move("here", m.dirs[1], 1, version) == UNKNOWN_TOPIC, "no such partition")
        check(m.move("here", m.dirs[1], -1, version) == UNKNOWN_TOPIC, "no partition at all")
        check(m.move("x" * 230, m.dirs[1], version=version) == INVALID_TOPIC, "too long")
    here = m.where("here")[0]
    check(m.move("here", here) == 0, "where it is")
    check(m.on_disk("here") == [f"{here}/here-0"], "nothing to do")
    check(m.ask("AlterReplicaLogDirs", 2, {"Dirs": []})["Results"] == [], "nothing asked")
    # The last directory that is named for a partition counts.
    _, (first, second) = m.others("here")
    body = {"Dirs": [{"Path": path, "Topics": [{"Name": "here", "Partitions": [0, 0]}]}
                     for path in (first, second)]}
    answer = m.ask("AlterReplicaLogDirs", 2, body)
    check([len(r["Partitions"]) for r in answer["Results"]] == [1], f"named four times: {answer}")
    m.wait_where("here", second)


def test_moves_under_load(m):
    m.create("busy", **{"segment.bytes": "1048576"})
    m.fill("busy", 5000)
    stop, written = threading.Event(), []

    def write():
        producer = Producer(m.settings(acks="all", **{"enable.idempotence": True, "linger.ms": 1}))
        number = 5000
        while not stop.is_set():
            producer.produce("busy", f"{number} ".encode().ljust(300, b"y"), partition=0,
                             on_delivery=lambda error, _: written.append(error))
            number += 1
            producer.poll(0.01 if number % 50 == 0 else 0)
        producer.flush(PATIENCE_S)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(4):
            log, (to, _) = m.others("busy")
            check(m.move("busy", to) == 0, "a move")
            m.wait_where("busy", to)
    finally:
        stop.set()
        writer.join()
    check(written and not any(written), f"{len(written)} written, {[e for e in written if e][:1]}")
    numbers = m.read("busy")
    check(numbers == list(range(5000 + len(written))), f"{len(numbers)} of {len(written)} + 5000")
    m.wait_on_disk("busy", [f"{m.where('busy')[0]}/busy-0"])
    print(f"  {len(written)} records written meanwhile")


def begin_slow_move(m, topic):
    """A move that takes a while; where from and where to."""
    m.throttle(1)
    log, (to, _) = m.others(topic)
    check(m.move(topic, to) == 0, "a move")
    m.wait_where(topic, log, to)
    check(m.where(topic)[2] > 0, "the copy has no lag")
    name = re.compile(rf"{to}/{topic}-0\.[0-9a-f]{{32}}-future$")
    check(len([path for path in m.on_disk(topic) if name.match(path)]) == 1, "no copy on the disk")
    return log, to


def test_cancelled(m):
    m.create("held")
    m.fill("held", 8000)
    log, to = begin_slow_move(m, "held")
    check(m.move("held", to) == 0, "the same again")
    other = next(path for path in m.dirs if path not in (log, to))
    check(m.move("held", other) == 0, "elsewhere")
    m.wait_where("held", log, other)
    check(m.move("held", log) == 0, "back")
    m.wait_where("held", log)
    m.wait_on_disk("held", [f"{log}/held-0"])
    m.throttle(None)


def test_restarts(m):
    log, to = begin_slow_move(m, "held")
    copied = m.where("held")[2]
    m.node.kill()
    m.node.start()
    m.wait_where("held", log, to)
    check(m.where("held")[2] <= copied, "what was copied is gone")
    check(m.node.stop() in (0, 143), "it did not stop in order")
    m.node.start()
    m.wait_where("held", log, to)
    m.throttle(None)
    m.wait_where("held", to)
    check(m.read("held") == list(range(8000)), "records are missing")
    m.node.kill()
    m.node.start()
    m.wait_where("held", to)
    check(m.read("held") == list(range(8000)), "records are missing")


def test_killed(m):
    """kill -9 at any moment of a move."""
    m.create("killed", **{"segment.bytes": "1048576"})
    random.seed(7)
    moves = 0
    for life in range(8):
        m.fill("killed", 300)
        log, others = m.others("killed")
        check(m.move("killed", random.choice(others)) == 0, "a move")
        time.sleep(random.uniform(0, 0.08))
        m.node.kill()
        m.node.start()
        moves += m.where("killed")[0] != log
        check(m.read("killed") == list(range(300)) * (life + 1), "records are missing")
    print(f"  {moves} of 8 had come to their end")


def test_deleted_records(m):
    """The copy begins where the log does."""
    log, to = begin_slow_move(m, "held")
    body = {"TimeoutMs": 60000, "Topics": [
        {"Name": "held", "Partitions": [{"PartitionIndex": 0, "Offset": 7000}]}]}

    def deleted():
        found = m.ask("DeleteRecords", 2, body)["Topics"][0]["Partitions"][0]
        code = found["ErrorCode"]  # a node that had no time refuses for a while
        check((code, found["LowWatermark"]) == (0, 7000) or code == NOT_LEADER, f"deleted: {found}")
        return code == 0

    eventually("it is deleted", deleted)
    m.throttle(None)
    m.wait_where("held", to)
    body = {"ReplicaId": -1, "IsolationLevel": 0, "Topics": [
        {"Name": "held", "Partitions": [
            {"PartitionIndex": 0, "CurrentLeaderEpoch": -1, "Timestamp": -2}]}]}
    found = m.ask("ListOffsets", 7, body)["Topics"][0]["Partitions"][0]
    check(found["Offset"] == 7000, f"begins at {found}")


def test_deleted_topic(m):
    m.create("doomed")
    m.fill("doomed", 8000)
    begin_slow_move(m, "doomed")
    m.delete("doomed")
    m.wait_on_disk("doomed", [])
    m.throttle(None)


def test_cordoned(m):
    """A cordoned directory gets no new replicas, wherever they would come from."""
    first, second, third = m.dirs
    for value, error in ((f"{first},/no", "All entries in cordoned.log.dirs must be present"),
                         (f"{first},*", "it must not contain other values"),
                         (f"{first},{first}", "must not be duplicated")):
        code, message = m.cordon(value)
        check(code == 42 and error in message, f"{value}: {code} {message}")
    check(m.cordon(f"{first},{second}") == (0, None), "not cordoned")
    m.create("outside", 4)
    for partition in range(4):
        m.wait_where("outside", third, partition=partition)
    check(m.move("outside", first) == CORDONED, "moved to a cordoned directory")
    check(m.move("gone", first) == CORDONED, "meant for a cordoned directory")
    # Over a controller's listener they only become fewer; so they are after a restart.
    code, message = m.cordon(f"{second},{third}", m.node.controller_port)
    check(code == 40 and "must be a subset" in message, f"more of them: {code} {message}")
    check(m.cordon(second, m.node.controller_port) == (0, None), "not fewer")
    check(m.node.stop() in (0, 143), "does not stop")
    m.node.start()
    m.wait_cordoned([second])
    check(m.move("outside", second) == CORDONED, "forgotten at the restart")
    check(m.move("outside", first) == 0, "not open again")
    m.wait_where("outside", first)
    check(m.cordon("*") == (0, None), "not all of them")
    try:
        m.create("nowhere")
        raise AssertionError("a topic without a place")
    except KafkaException as error:
        check(error.args[0].code() == NO_PLACE, f"{error}")
    check(m.cordon(None) == (0, None), "not removed")
    m.create("nowhere")


def test_preferred(m):
    """Where a topic's replica is made is said before there is one."""
    for i, path in enumerate(m.dirs):
        check(m.move(f"early-{i}", path) == UNKNOWN_TOPIC, "no such topic yet")
    for i, path in enumerate(m.dirs):
        m.create(f"early-{i}")
        m.wait_where(f"early-{i}", path)


def test_tool(m):
    """kafka-reassign-partitions says what Apache Kafka's says, to the byte."""
    m.create("planned", 2)
    m.fill("planned", 4000)
    log, (to, other) = m.others("planned")
    path = os.path.join(m.node.folder, "plan.json")
    throttles = ("Clearing broker-level throttles on broker 1\n"
                 "Clearing topic-level throttles on topic planned\n")
    done = ("Reassignment of partition planned-0 is completed.\n"
            "Reassignment of partition planned-1 is completed.\n")
    status = "Status of partition reassignment:\n" + done

    def plan(*dirs):
        parts = [{"topic": "planned", "partition": i, "replicas": [1], "log_dirs": [to]}
                 for i, to in enumerate(dirs)]
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"version": 1, "partitions": parts}, f)

    def run(expected, *args, code=0):
        ran = m.tool("kafka-reassign-partitions", "--bootstrap-server", m.node.bootstrap,
                     "--reassignment-json-file", path, *args)
        check(ran[0] == code and ran[1].endswith(expected), f"{args}: {ran}, not {expected!r}")

    def moving(to, partition=0):
        return (f"Successfully started moving log directory to {to} for replica "
                f"planned-{partition} with broker 1 \n")

    started = "Successfully started partition reassignments for planned-0,planned-1\n"
    plan(to, "any")
    run("The replica-alter-dir throttle limit was set to 1000 B/s\n" + started + moving(to),
        "--execute", "--replica-alter-log-dirs-throttle", "1000")
    run(status + "Reassignment of replica planned-0-1 is still in progress.\n", "--verify")
    code, text = m.tool("kafka-log-dirs", "--bootstrap-server", m.node.bootstrap, "--describe",
                        "--topic-list", "planned")
    check(code == 0 and '"isFuture":true' in text, text)
    plan(other, "any")
    run(f"Partition planned-0 on broker 1 is being moved to log dir {to} instead of {other}.\n",
        "--verify")
    none = "None of the specified partition reassignments are active.\n"
    run(none + moving(log), "--cancel", "--preserve-throttles")
    m.wait_where("planned", log)
    run(f"Partition planned-0 on broker 1 is not being moved from log dir {log} to {other}.\n",
        "--verify", "--preserve-throttles")
    run(none + "None of the specified partition moves are active." + throttles, "--cancel")
    plan("/no/such", "any")
    run("Error: Failed to alter dir for planned-0-1: The user-specified log directory is not found "
        "in the broker config.\n", "--execute", code=1)
    plan(to, to)
    run(started + moving(to) + moving(to, 1), "--execute")
    m.wait_where("planned", to)
    m.wait_where("planned", to, partition=1)
    run(status + "Reassignment of replica planned-0-1 completed successfully.\n"
        "Reassignment of replica planned-1-1 completed successfully.\n" + throttles, "--verify")


def test_failed_target(m):
    """A directory that cannot be written takes no copy; the log serves on."""
    m.create("safe")
    m.fill("safe", 3000)
    if m.where("safe")[0] == m.dirs[2]:
        check(m.move("safe", m.dirs[1]) == 0, "away from the disk that is to fail")
        m.wait_where("safe", m.dirs[1])
    begin = m.where("safe")[0]
    m.throttle(1)
    check(m.move("safe", m.dirs[2]) == 0, "a move")
    m.wait_where("safe", begin, m.dirs[2])
    os.rename(m.dirs[2], m.dirs[2] + "-away")
    with open(m.dirs[2], "w", encoding="utf-8"):
        pass
    admin = AdminClient(m.settings())
    admin.create_topics([NewTopic("lost", 9, 1)])["lost"].result()  # some of it would be made there
    m.wait_where("safe", begin)
    check(m.move("safe", m.dirs[2]) == STORAGE_ERROR, "to a directory that failed")
    m.throttle(None)
    m.fill("safe", 10)
    check(len(m.read("safe")) == 3010, "records are missing")
    check(m.node.stop() in (0, 143), "it did not stop in order")
    os.remove(m.dirs[2])
    os.rename(m.dirs[2] + "-away", m.dirs[2])
    m.node.start()
    m.wait_where("safe", m.dirs[2])
    check(len(m.read("safe")) == 3010, "records are missing")


PARTS = (
    test_refused,
    test_moves_under_load,
    test_cancelled,
    test_restarts,
    test_killed,
    test_deleted_records,
    test_deleted_topic,
    test_cordoned,
    test_preferred,
    test_tool,
    test_failed_target,
)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kraftd")
    parser.add_argument("only", nargs="*")
    args = parser.parse_args()
    m = Moves(os.path.abspath(args.kraftd))
    with run(m.node):
        run_parts([part for part in PARTS if not args.only or part.__name__ in args.only], m)
    shutil.rmtree(m.node.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
