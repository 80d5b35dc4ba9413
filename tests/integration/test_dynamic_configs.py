#!/usr/bin/python3
"""Dynamic configuration takes effect on a running node, key by key, and goes away again.

usage: test_dynamic_configs.py KRAFTD [--only KEY]

EFFECTS has, for each key that a change reaches, a value and how it is seen. Each is set for the
topic, for the broker and as the cluster's default (the latter two under the broker's name of the
key), seen, removed, and seen to be gone. OTHERWISE names the keys of configs.tsv that are not in
the table, and why; NOTHING_YET those that have nothing to act on. A dynamic key in none of them
is an error. DescribeConfigs is asked at every step where the value comes from.
"""

import argparse
import contextlib
import glob
import os
import re
import socket
import struct
import subprocess
import sys
import time
import urllib.request

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness import PATIENCE_S, Node, check, eventually, free_ports, run
from test_controller_api import Connection, load_spec

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOPIC, BROKER = 2, 4
SET, DELETE, APPEND = 0, 1, 2
OWN, CLUSTER, FILE, DEFAULT = 1, 3, 4, 5  # sources; a broker's own is 2
OWN_BROKER = 2
DAY_MS = 86400000

OTHERWISE = {
    "leader.replication.throttled.rate": "needs several nodes: test_status.py",
    "follower.replication.throttled.rate": "the same",
    "leader.replication.throttled.replicas": "the same",
    "follower.replication.throttled.replicas": "the same",
    "replica.alter.log.dirs.io.max.bytes.per.second": "needs two log directories: test_log_dirs.py",
    "min.insync.replicas": "needs several nodes: test_status.py",
    "num.replica.fetchers": "needs several nodes: test_status.py",
    "unclean.leader.election.enable": "needs several nodes: controller/test_elections.c",
    "segment.jitter.ms": "makes segment.ms shorter at random: the log's own tests",
    "cordoned.log.dirs": "needs two log directories: test_log_dirs.py",
    "listeners": "below, in listeners()",
    "listener.security.protocol.map": "the same",
    "internal.segment.bytes": "as segment.bytes, without its lower bound",
}
# Keys that can be set, by pattern, and what they wait for.
NOTHING_YET = {
    r"group\..*|share\.coordinator\..*": "group coordinators",
    r"errors\.deadletterqueue\..*": "share groups",
    r"transaction\..*": "transactions",
    r"log\.cleaner\..*|delete\.retention\.ms|m(in|ax)\.compaction\.lag\.ms"
    r"|min\.cleanable\.dirty\.ratio": "a log cleaner",
    r"(log\.)?(remote|local)\..*|follower\.fetch\.last\.tiered\.offset\.enable": "tiered storage",
    r"ssl\..*|sasl\..*|principal\.builder\.class": "security protocols other than PLAINTEXT",
    r"background\.threads|num\.(io|network)\.threads": "threads that kraftd does not have",
    r"metric\.reporters|config\.providers": "Java classes",
}


def read_table():
    """Rows of configs.tsv, by scope and name."""
    rows = {}
    with open(os.path.join(ROOT, "metadata/config/configs.tsv"), encoding="utf-8") as f:
        lines = [line.rstrip("\n").split("\t") for line in f if not line.startswith("#")]
    for line in lines[1:]:
        row = dict(zip(lines[0], line))
        rows[row["scope"], row["name"]] = row
    return rows


class Subject:
    """A topic of its own on the node, and what can be seen of it."""

    def __init__(self, node, spec, external_port):
        self.node, self.spec, self.external_port = node, spec, external_port
        self.count = 0
        self.name = ""
        self.patience = 0  # seconds for an effect to show

    def ask(self, api, version, body):
        """Again where the number of connections is limited and those of before still count."""
        def answer():
            try:
                connection = Connection(self.spec, self.node.port)
                found = connection.ask(api, version, body)
                connection.close()
                return found
            except ConnectionError:
                return None

        return eventually(f"an answer to {api}", answer)

    def new_topic(self):
        """In place of the last one: what is there is flushed in the background now and then."""
        admin = AdminClient({"bootstrap.servers": self.node.bootstrap})
        if self.name:
            admin.delete_topics([self.name])[self.name].result()
        self.count += 1
        self.name = f"topic-{self.count}"
        admin.create_topics([NewTopic(self.name, 1, 1)])[self.name].result()
        eventually("the topic has a log", lambda: self.segments() == 1)

    def alter(self, kind, name, operation, configs, validate_only=False):
        entries = [{"Name": key, "ConfigOperation": operation, "Value": value}
                   for key, value in configs.items()]
        body = {"Resources": [{"ResourceType": kind, "ResourceName": name, "Configs": entries}],
                "ValidateOnly": validate_only}
        answer = self.ask("IncrementalAlterConfigs", 1, body)["Responses"][0]
        return answer["ErrorCode"], answer["ErrorMessage"]

    def describe(self, kind, name, key):
        body = {"Resources": [{"ResourceType": kind, "ResourceName": name,
                               "ConfigurationKeys": [key]}],
                "IncludeSynonyms": True, "IncludeDocumentation": False}
        entry = self.ask("DescribeConfigs", 4, body)["Results"][0]["Configs"][0]
        return entry["ConfigSource"], entry["Value"], [s["Source"] for s in entry["Synonyms"]]

    def produce(self, value=b"x", key=b"k", timestamp=None, producer=None):
        """The error's name, or None."""
        producer = producer or self.producer()
        errors = []
        producer.produce(self.name, value, key, timestamp=timestamp or int(time.time() * 1000),
                         on_delivery=lambda error, _: errors.append(error))
        check(producer.flush(PATIENCE_S) == 0, "no answer to a record")
        return errors[0].name() if errors[0] else None

    def producer(self, **settings):
        return Producer({"bootstrap.servers": self.node.bootstrap, "acks": "all", "linger.ms": 0,
                         "retries": 0, "log_level": 0, "message.max.bytes": 10000000, **settings})

    def console(self, text, *words):
        """By our own producer, which is idempotent; what it says is wrong."""
        tool = os.path.join(os.path.dirname(self.node.kraftd), "kraftd-tools")
        return subprocess.run(
            [tool, "kafka-console-producer", "--bootstrap-server", self.node.bootstrap, "--topic",
             self.name, *words],
            input=text, capture_output=True, text=True, check=True, timeout=120,
        ).stderr

    def files(self, pattern):
        return sorted(glob.glob(os.path.join(self.node.data, self.name + "-0*", pattern)))

    def segments(self):
        return len(self.files("*.log"))

    def rolls(self, produce):
        """Whether there is a new segment; older ones may go meanwhile."""
        before = set(self.files("*.log"))
        produce()
        return bool(set(self.files("*.log")) - before)

    def last_batch(self):
        """Attributes and length of the last batch."""
        with open(self.files("*.log")[-1], "rb") as f:
            data = f.read()
        at, found = 0, None
        while at + 61 <= len(data):
            length = struct.unpack_from(">i", data, at + 8)[0]
            if length <= 0:
                break  # made larger than what is in it
            found = struct.unpack_from(">h", data, at + 21)[0], length + 12
            at += length + 12
        return found

    def metric(self, name):
        port = self.node.admin_port
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        return sum(float(v) for v in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))

    def soon(self, holds, seconds):
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def threads(self, name):
        names = glob.glob(f"/proc/{self.node.process.pid}/task/*/comm")
        count = 0
        for path in names:
            with contextlib.suppress(OSError), open(path, encoding="utf-8") as f:
                count += f.read().strip() == name
        return count

    # How effects are seen; each says whether the value of its row counts.

    def compresses(self):
        self.produce(b"a" * 1000)
        return self.last_batch()[0] & 7 != 0

    def stamps(self):
        self.produce()
        return self.last_batch()[0] & 8 != 0

    def refuses(self, **record):
        return self.produce(**record) is not None

    def rolls_by_size(self):
        before = self.segments()
        for _ in range(4):
            self.produce(os.urandom(400000))
        return self.segments() > before

    def rolls_by_time(self):
        def produce():
            self.produce(timestamp=int(time.time() * 1000) - 5000)
            self.produce()
        return self.rolls(produce)

    def rolls_by_index(self):
        def produce():
            for _ in range(6):
                self.produce(b"x" * 5000)
        return self.rolls(produce)

    def indexes(self):
        """Each batch behind the first of a new segment has an entry."""
        check(self.rolls_by_force(), "the segment is not rolled")
        for _ in range(5):
            self.produce()
        check(self.rolls_by_force(), "the segment is not rolled")
        return sum(os.path.getsize(path) for path in self.files("*.index")[:-1]) > 0

    def deletes(self):
        """Closed segments go."""
        check(self.rolls_by_force(), "the segment is not rolled")
        return self.soon(lambda: self.segments() == 1, self.patience)

    def rolls_by_force(self):
        self.produce()
        self.alter(TOPIC, self.name, SET, {"segment.ms": "1"})
        rolled = self.soon(self.rolls_by_time, PATIENCE_S)
        self.alter(TOPIC, self.name, DELETE, {"segment.ms": None})
        return rolled

    def removes_at_once(self):
        """What was deleted is not kept."""
        before = set(self.files("*.deleted"))
        check(self.rolls_by_force(), "the segment is not rolled")
        self.alter(TOPIC, self.name, SET, {"retention.bytes": "1"})
        gone = self.soon(lambda: self.segments() == 1, PATIENCE_S)
        check(gone, "retention.bytes does nothing")
        self.alter(TOPIC, self.name, DELETE, {"retention.bytes": None})
        return self.soon(lambda: set(self.files("*.deleted")) <= before, self.patience)

    def flushes(self):
        """Each time: the background flusher does it now and then."""
        name = "kafka_log_logflushstats_logflushrateandtimems_count"
        for _ in range(3):
            before = self.metric(name)
            self.produce()
            if not self.soon(lambda: self.metric(name) > before, self.patience):
                return False
        return True

    def makes_room(self):
        check(self.rolls_by_force(), "the segment is not rolled")
        return os.path.getsize(self.files("*.log")[-1]) > 1000000

    def refuses_when_unpacked(self):
        return "Error when sending" in self.console("a" * 5000, "--compression-codec", "gzip")

    def refuses_without_key(self):
        return self.refuses(key=None)

    def forgets_producers(self):
        self.console("x")
        body = {"Topics": [{"Name": self.name, "PartitionIndexes": [0]}]}

        def known():
            topic = self.ask("DescribeProducers", 0, body)["Topics"][0]
            return topic["Partitions"][0]["ActiveProducers"]
        return self.soon(lambda: not known(), self.patience)

    def best_level(self, codec):
        """The batch is as small as the best level makes it."""
        words = b"".join(b"%d and %d, " % (i * i % 997, i % 31) for i in range(6000))
        self.alter(TOPIC, self.name, SET, {"compression.type": codec})
        self.produce(words)
        size = self.last_batch()[1]
        self.alter(TOPIC, self.name, DELETE, {"compression.type": None})
        self.sizes.setdefault(codec, size)  # at first the default is seen
        return size != self.sizes[codec]

    sizes = {}

    def connections(self, count):
        """So many are served at the same time."""
        sockets = []
        timeout = 0.5 if self.patience > 1 else PATIENCE_S
        try:
            for _ in range(count):
                one = socket.create_connection(("127.0.0.1", self.external_port), timeout)
                sockets.append(one)
                one.sendall(bytes.fromhex("0000000a0012000000000001ffff"))
                if one.recv(1) == b"":
                    return False
            return True
        except (OSError, socket.timeout):
            return False
        finally:
            for one in sockets:
                one.close()


# Of topic keys: the value, and how it is seen.
EFFECTS = {
    "compression.type": ("gzip", Subject.compresses),
    "compression.gzip.level": ("1", lambda s: s.best_level("gzip")),
    "compression.lz4.level": ("1", lambda s: s.best_level("lz4")),
    "compression.zstd.level": ("19", lambda s: s.best_level("zstd")),
    "message.timestamp.type": ("LogAppendTime", Subject.stamps),
    "message.timestamp.before.max.ms": (
        "1000", lambda s: s.refuses(timestamp=int(time.time() * 1000) - DAY_MS)),
    "message.timestamp.after.max.ms": (
        str(10 * DAY_MS), lambda s: not s.refuses(timestamp=int(time.time() * 1000) + DAY_MS)),
    "max.message.bytes": ("500", lambda s: s.refuses(value=os.urandom(1000))),
    "max.decompressed.message.bytes": ("1000", Subject.refuses_when_unpacked),
    "segment.bytes": ("1048576", Subject.rolls_by_size),
    "segment.ms": ("1", Subject.rolls_by_time),
    "segment.index.bytes": ("16", Subject.rolls_by_index),
    "index.interval.bytes": ("1", Subject.indexes),
    "retention.bytes": ("1", Subject.deletes),
    "retention.ms": ("1", Subject.deletes),
    "file.delete.delay.ms": ("0", Subject.removes_at_once),
    "flush.messages": ("1", Subject.flushes),
    "flush.ms": ("10", Subject.flushes),
    "preallocate": ("true", Subject.makes_room),
    "cleanup.policy": ("compact", Subject.refuses_without_key),
}
# Of the broker alone.
BROKER_EFFECTS = {
    "producer.id.expiration.ms": ("1", Subject.forgets_producers),
    "max.connections": ("2", lambda s: not s.connections(4)),
    "max.connections.per.ip": ("2", lambda s: not s.connections(4)),
    "max.connections.per.ip.overrides": ("127.0.0.1:2", lambda s: not s.connections(4)),
    "max.connection.creation.rate": ("1", lambda s: not s.connections(4)),
    "num.recovery.threads.per.data.dir": ("32", lambda s: s.soon(lambda: s.threads("disk") == 32,
                                                                 s.patience)),
}
# Of one listener, under its prefix.
LISTENER_EFFECTS = {
    "listener.name.external.max.connections": ("2", lambda s: not s.connections(4)),
    "listener.name.external.max.connection.creation.rate": ("1", lambda s: not s.connections(4)),
}


def check_complete(rows):
    """Each dynamic key is in one of the tables, and those without effect have none."""
    topic_names = {row["synonyms"].split(" ")[0].split("*")[0]: name
                   for (scope, name), row in rows.items() if scope == "topic"}
    known = set(EFFECTS) | set(BROKER_EFFECTS) | set(OTHERWISE)
    wrong, patterns = [], set(NOTHING_YET)
    for (scope, name), row in rows.items():
        if scope != "topic" and (scope != "broker" or row["update"] == "-"):
            continue
        waits = [pattern for pattern in NOTHING_YET if re.fullmatch(pattern, name)]
        patterns -= set(waits)
        seen = name in known or topic_names.get(name, name) in known
        if seen == bool(waits) or (row["effect"] == "used") != seen:
            wrong.append(name)
    check(not wrong, f"not in one table, or not in the right one: {sorted(wrong)}")
    check(not patterns, f"no key is meant: {patterns}")


def broker_key(rows, key):
    """What the broker calls a topic's key: the synonym that counts first."""
    synonyms = rows["topic", key]["synonyms"]
    return None if synonyms == "-" else re.split(r"[ ,*]", synonyms)[0]


def expect(subject, kind, name, key, source, what):
    found = subject.describe(kind, name, key)
    check(found[0] == source and (not found[2] or found[2][0] == source),
          f"{what}: {key} comes from {found}, not from {source}")
    check(found[2] == sorted(found[2]), f"{what}: {key} has its synonyms in the order {found[2]}")


def is_seen(subject, seen, expected):
    """What is expected may take long on a busy machine; what is not would come at once."""
    subject.patience = PATIENCE_S if expected else 0.6
    return seen(subject)


def try_key(subject, places, seen, what):
    """`places`: (kind, name, key, value, source there), from the furthest to the nearest."""
    subject.new_topic()
    check(not is_seen(subject, seen, False), f"{what}: seen without being set")
    for kind, name, key, value, source in places:
        error = subject.alter(kind, name, SET, {key: value})
        check(error[0] == 0, f"{what}: {key}={value} is refused: {error}")
        expect(subject, kind, name or "1", key, source, what)
        check(is_seen(subject, seen, True), f"{what}: {key}={value} at level {source} does nothing")
        error = subject.alter(kind, name, DELETE, {key: None})
        check(error[0] == 0, f"{what}: {key} is not removed: {error}")
        subject.new_topic()
        check(not is_seen(subject, seen, False), f"{what}: still there after {key} was removed")


def try_topic_key(subject, rows, key):
    value, seen = EFFECTS[key]
    name = broker_key(rows, key)
    places = []
    if name is not None:
        places = [(BROKER, "", name, value, CLUSTER), (BROKER, "1", name, value, OWN_BROKER)]
    try_key(subject, places, seen, key)
    subject.new_topic()
    error = subject.alter(TOPIC, subject.name, SET, {key: value})
    check(error[0] == 0, f"{key}={value} is refused: {error}")
    expect(subject, TOPIC, subject.name, key, OWN, key)
    check(is_seen(subject, seen, True), f"{key}={value} of the topic does nothing")
    subject.alter(TOPIC, subject.name, DELETE, {key: None})


def precedence(subject):
    """Topic before broker before cluster before file."""
    subject.new_topic()
    key, broker = "max.message.bytes", "message.max.bytes"

    def largest(size):
        return not subject.refuses(value=os.urandom(size - 200)) and \
            subject.refuses(value=os.urandom(size + 200))

    check(largest(500000), "server.properties does not count")
    subject.alter(BROKER, "", SET, {broker: "5000"})
    check(largest(5000), "the cluster's default does not count before server.properties")
    subject.alter(BROKER, "1", SET, {broker: "7000"})
    check(largest(7000), "the broker's value does not count before the cluster's")
    subject.alter(TOPIC, subject.name, SET, {key: "9000"})
    check(largest(9000), "the topic's value does not count first")
    source, value, sources = subject.describe(TOPIC, subject.name, key)
    check((source, value, sources) == (OWN, "9000", [OWN, OWN_BROKER, CLUSTER, FILE, DEFAULT]),
          f"{key}: {source}, {value}, {sources}")
    subject.alter(TOPIC, subject.name, DELETE, {key: None})
    check(largest(7000), "the topic's value stays")
    subject.alter(BROKER, "1", DELETE, {broker: None})
    check(largest(5000), "the broker's value stays")
    subject.alter(BROKER, "", DELETE, {broker: None})
    check(largest(500000), "the cluster's value stays")


class Listeners:
    """Those that server.properties has, and others that come and go."""

    def __init__(self, subject):
        self.subject = subject
        self.known = dict(re.findall(r"([A-Z]+)://[0-9.]+:([0-9]+)", subject.describe(
            BROKER, "1", "listeners")[1]))

    def set(self, extra, validate_only=False, **changed):
        every = {**self.known, **changed, **extra}
        return self.subject.alter(BROKER, "1", SET, {
            "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in every.items()),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in every),
        }, validate_only)

    def remove(self):
        error = self.subject.alter(BROKER, "1", DELETE, {
            "listeners": None, "listener.security.protocol.map": None})
        check(error == (0, None), f"not as it was: {error}")

    def connect(self, port):
        """A connection that was served, or None."""
        try:
            connection = Connection(self.subject.spec, port)
        except OSError:
            return None
        connection.socket.settimeout(0.5)
        with contextlib.suppress(OSError):
            if connection.ask("ApiVersions", 0, {}) is not None:
                connection.socket.settimeout(10)
                return connection
        connection.close()
        return None

    def serves(self, port):
        """A connection; a busy machine may take its time."""
        return eventually(f"port {port} serves", lambda: self.connect(port))

    def opens(self, port):
        self.serves(port).close()
        return True

    def closes(self, port):
        return self.subject.soon(lambda: self.connect(port) is None, PATIENCE_S)


def listeners(subject):
    one = Listeners(subject)
    first, second = free_ports(2)
    code, message = subject.alter(BROKER, "1", SET, {"listeners": f"NEW://127.0.0.1:{first}"})
    check(code == 42 and message.endswith("No security protocol defined for listener NEW"),
          f"without a protocol: {message}")
    code, message = subject.alter(BROKER, "1", APPEND, {
        "listeners": f"NEW://127.0.0.1:{first}", "listener.security.protocol.map": "NEW:PLAINTEXT"})
    check(code == 40 and "append is not allowed" in message, f"to what is no list: {message}")
    told = {name: port for name, port in one.known.items() if name != "EXTERNAL"}
    code, message = subject.alter(BROKER, "1", SET, {"listeners": ",".join(
        f"{name}://127.0.0.1:{port}" for name, port in told.items())})
    check(code == 42 and "Found PLAINTEXT,EXTERNAL" in message, f"an advertised one: {message}")
    check(one.set({"NEW": first}, validate_only=True) == (0, None), "would not be taken")
    check(one.connect(first) is None, "opened while it was only asked about")
    check(one.set({"NEW": first}) == (0, None) and one.opens(first), "does not open")
    on_new, on_old = one.serves(first), one.serves(subject.node.port)
    body = {"Topics": [], "AllowAutoTopicCreation": False,
            "IncludeClusterAuthorizedOperations": False,
            "IncludeTopicAuthorizedOperations": False}
    check(on_new.ask("Metadata", 9, body)["Brokers"] == [], "it is not told to anybody")
    limit = "listener.name.new.max.connections"
    subject.alter(BROKER, "1", SET, {limit: "1"})
    check(one.closes(first), "more connections than the listener may have")
    check(one.opens(subject.node.port), "that is the limit of another listener")
    subject.alter(BROKER, "1", DELETE, {limit: None})
    check(one.opens(first), "still limited")
    # Elsewhere: it stays where it is, in Kafka, too.
    check(one.set({"NEW": second}) == (0, None), "not taken")
    check(one.opens(first) and one.connect(second) is None, "it moved")
    check(one.set({"OTHER": second}) == (0, None) and one.opens(second), "no other one opens")
    check(on_new.read(1) is None, "a connection outlives its listener")
    check(one.closes(first) and on_old.ask("ApiVersions", 0, {}) is not None, "others are hurt")
    with socket.create_server(("127.0.0.1", first)):
        check(one.set({"OTHER": second, "NEW": first}) == (0, None), "not taken")
        eventually("it is said", lambda: "Cannot listen on NEW" in subject.node.log())
        check(one.opens(second), "others are hurt")
    check(one.set({"OTHER": second, "NEW": first}) == (0, None) and one.opens(first),
          "not tried again")
    every = {**one.known, "OTHER": second, "NEW": first}
    hosts = ",".join(f"{name}://{'localhost' if name == 'NEW' else '127.0.0.1'}:{port}"
                     for name, port in every.items())
    check(one.set({"OTHER": second}) == (0, None) and one.closes(first), "not gone")
    error = subject.alter(BROKER, "1", SET, {
        "listeners": hosts,
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in every)})
    check(error == (0, None) and one.opens(first), f"not at the address of a name: {error}")
    # After a restart they are there; what server.properties has is where that says.
    check(one.set({"NEW": first}, EXTERNAL=second) == (0, None), "not taken")
    check(subject.node.stop() in (0, 143), "does not stop")
    subject.node.start()
    check(one.opens(first) and one.opens(subject.external_port), "not open after a restart")
    check(one.connect(second) is None, "not where it is advertised")
    one.remove()
    check(one.closes(first), "still open")


def main():
    args = argparse.ArgumentParser(description="dynamic configuration")
    args.add_argument("kraftd")
    args.add_argument("--only")
    args = args.parse_args()
    rows = read_table()
    check_complete(rows)
    config = ["log.retention.check.interval.ms=200", "log.initial.task.delay.ms=100",
              "producer.id.expiration.check.interval.ms=100", "message.max.bytes=500000",
              "log.segment.bytes=2097152", "num.recovery.threads.per.data.dir=16"]
    node = Node(args.kraftd, config=config)
    # What limits connections spares those between brokers: these are for clients alone.
    port, = free_ports(1)
    with open(node.properties, "a", encoding="utf-8") as f:
        f.write(f"listeners=PLAINTEXT://127.0.0.1:{node.port},EXTERNAL://127.0.0.1:{port},"
                f"CONTROLLER://127.0.0.1:{node.controller_port}\n"
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,EXTERNAL:PLAINTEXT,"
                "CONTROLLER:PLAINTEXT\ninter.broker.listener.name=PLAINTEXT\n"
                f"advertised.listeners=PLAINTEXT://127.0.0.1:{node.port},"
                f"EXTERNAL://127.0.0.1:{port}\n")
    with run(node):
        subject = Subject(node, load_spec(), port)
        for key in EFFECTS:
            if args.only in (None, key):
                began = time.monotonic()
                try_topic_key(subject, rows, key)
                print(f"{key}: {time.monotonic() - began:.1f} s")
        for key, (value, seen) in (BROKER_EFFECTS | LISTENER_EFFECTS).items():
            if args.only in (None, key):
                began = time.monotonic()
                per_broker = [(BROKER, "1", key, value, OWN_BROKER)]
                try_key(subject, [(BROKER, "", key, value, CLUSTER), *per_broker], seen, key)
                print(f"{key}: {time.monotonic() - began:.1f} s")
        if args.only is None:
            precedence(subject)
        if args.only in (None, "listeners"):
            began = time.monotonic()
            listeners(subject)
            print(f"listeners: {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
