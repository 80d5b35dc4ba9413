"""The nodes of a chaos run as processes: started, killed, frozen, and asked whether all is well."""

import base64
import glob
import os
import re
import shutil
import signal
import subprocess
import time

from common import Unhealthy, die_with_parent, run, until
from wire import NOT_CONTROLLER, REQUEST_TIMED_OUT, Unanswered

STOP_SECONDS = 60
MOVE_RATE = "replica.alter.log.dirs.io.max.bytes.per.second"
MOVE_BYTES_PER_SECOND = 4 << 20


def short_id(text):
    """16 bytes as Kafka writes ids."""
    return base64.urlsafe_b64encode(text).decode("ascii").rstrip("=")


CLUSTER_ID = short_id(b"chaos-cluster-id")


class Kraftd:
    """Builds of kraftd: [0] as given, [1] the other one of an upgrade."""

    name = "kraftd"
    start_seconds = 90
    # A blank disk joins by itself, and its voter is replaced.
    replaces_voters = True

    def __init__(self, builds):
        self.builds = builds

    def command(self, node):
        return [self.builds[node.build % len(self.builds)], node.properties]

    def environment(self):
        return dict(os.environ)

    def keys(self, node):
        return {"kraftd.admin.listener": f"127.0.0.1:{node.admin_port}"}

    def prepare(self, nodes):
        """Blank nodes find each other."""

    def prepare_blank(self, node):
        pass


class Kafka:
    """Apache Kafka as scripts/interop fetches it, or as it is released: DIR/bin/*.sh."""

    name = "kafka"
    start_seconds = 150
    replaces_voters = False

    def __init__(self, builds):
        self.builds = builds

    def tool(self, node, name):
        return os.path.join(self.builds[node.build % len(self.builds)], "bin", name)

    def command(self, node):
        return [self.tool(node, "kafka-server-start.sh"), node.properties]

    def environment(self):
        heap = "-Xms256M -Xmx512M -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dkafka.level=INFO"
        return dict(os.environ, KAFKA_OPTS=heap, KAFKA_HEAP_OPTS="-Xmx512M")

    def keys(self, _node):
        return {}

    def format(self, node, *how):
        log = run(self.tool(node, "kafka-storage.sh"), "format", "-t", CLUSTER_ID, "-c",
                  node.properties, *how)
        node.write_log(log)

    def prepare(self, nodes):
        directories = {node.number: short_id(b"chaos-directory" + bytes([node.number]))
                       for node in nodes}
        voters = ",".join(f"{node.number}@{node.host}:{node.controller_port}:"
                          f"{directories[node.number]}" for node in nodes)
        for node in nodes:
            self.format(node, "--initial-controllers", voters)

    def prepare_blank(self, node):
        self.format(node, "--no-initial-controllers")


class Node:
    """One process with its files; only the process that it started itself is ever signalled."""

    def __init__(self, number, folder, network, disk):
        self.number, self.network, self.disk = number, network, disk
        self.folder = os.path.join(folder, f"node-{number}")
        os.makedirs(self.folder, exist_ok=True)
        self.host = network.address(number)
        self.client_port, self.controller_port, self.admin_port = network.ports(number)
        self.properties = os.path.join(self.folder, "server.properties")
        self.log_path = os.path.join(self.folder, "log")
        # The metadata lie in the first.
        self.directories = [os.path.join(disk.folder, name) for name in ("data", "data2")]
        self.process, self.build = None, 0
        self.starts = 0

    @property
    def address(self):
        return self.host, self.client_port

    @property
    def controller_address(self):
        return self.host, self.controller_port

    def write_log(self, text):
        with open(self.log_path, "a", encoding="utf-8") as log:
            log.write(text)

    def configure(self, target, servers, overrides):
        keys = {
            "process.roles": "broker,controller",
            "node.id": self.number,
            "controller.quorum.bootstrap.servers": servers,
            "listeners": f"PLAINTEXT://{self.host}:{self.client_port},"
                         f"CONTROLLER://{self.host}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.host}:{self.client_port},"
                                    f"CONTROLLER://{self.host}:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": ",".join(self.directories),
            "metadata.log.dir": self.directories[0],
            "auto.create.topics.enable": "false",
            "unclean.leader.election.enable": "false",
            "log.segment.bytes": 16 << 20,
            "broker.heartbeat.interval.ms": 500,
            "broker.session.timeout.ms": 3000,
            "replica.lag.time.max.ms": 3000,
            "replica.socket.timeout.ms": 5000,
            "num.network.threads": 2,
            "num.io.threads": 2,
            **target.keys(self),
            **overrides,
        }
        with open(self.properties, "w", encoding="utf-8") as out:
            out.writelines(f"{key}={value}\n" for key, value in keys.items())

    def start(self, target):
        enter = self.network.enter(self.number)

        def before():
            die_with_parent()
            enter()

        self.starts += 1
        self.write_log(f"--- start {self.starts} at {time.strftime('%H:%M:%S')}\n")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                target.command(self), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env=target.environment(), start_new_session=True,
                preexec_fn=before)

    def ended(self):
        """Its exit code when it is not running."""
        return None if self.process is None else self.process.poll()

    def send(self, number):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self):
        if self.process is not None:
            self.send(signal.SIGKILL)
            self.process.wait()

    def stop(self, seconds=STOP_SECONDS):
        """In order; False when it had to be killed."""
        self.send(signal.SIGTERM)
        return self.wait_end(seconds)

    def wait_end(self, seconds=STOP_SECONDS):
        """Of a node that was told to stop. Told again, it would end at once."""
        if self.process is None:
            return True
        try:
            self.process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            self.kill()
            return False

    def replicas(self, topic, index):
        """Where its copy of a partition is: one directory, or none."""
        places = [os.path.join(folder, f"{topic}-{index}") for folder in self.directories]
        return [place for place in places if os.path.isdir(place)]

    def log_bytes(self, topics):
        """What its disk holds of these topics; not what waits to be deleted or is astray."""
        names = [name for topic, partitions in topics.items() for index in range(partitions)
                 for folder in self.replicas(topic, index)
                 for name in glob.glob(os.path.join(folder, "*.log"))]
        total = 0
        for name in names:
            try:
                total += os.path.getsize(name)
            except OSError:
                pass
        return total

    def directory_id(self):
        return self.meta_property("directory.id")

    def cluster_id(self):
        return self.meta_property("cluster.id")

    def meta_property(self, key):
        """Empty as long as a blank disk has none."""
        try:
            with open(os.path.join(self.directories[0], "meta.properties"),
                      encoding="utf-8") as file:
                found = re.search(rf"^{re.escape(key)}=(.*)$", file.read(), re.MULTILINE)
        except OSError:
            return ""
        return found.group(1).strip() if found else ""


class Cluster:
    def __init__(self, target, nodes, network, admin, options):
        self.target, self.network, self.admin, self.options = target, network, admin, options
        self.nodes = {node.number: node for node in nodes}
        self.load = None
        self.topics = {}

    @property
    def addresses(self):
        return [node.address for node in self.nodes.values()]

    def addresses_but(self, *numbers):
        return [node.address for node in self.nodes.values() if node.number not in numbers]

    def start(self):
        servers = ",".join(f"{node.host}:{node.controller_port}" for node in self.nodes.values())
        for node in self.nodes.values():
            node.configure(self.target, servers, self.options.overrides)
        self.target.prepare(list(self.nodes.values()))
        for node in self.nodes.values():
            node.start(self.target)
        self.wait_whole(self.target.start_seconds)

    def create_topics(self, topics):
        options = self.options
        for name, partitions in topics.items():
            self.admin.create_topic(self.addresses, name, partitions, options.replication,
                                    {"min.insync.replicas": options.min_isr})
        self.topics = topics
        # So slowly that a fault can meet a replica on its way.
        self.admin.configure_brokers(self.addresses, MOVE_RATE, MOVE_BYTES_PER_SECOND)
        self.wait_whole(self.target.start_seconds)

    def what_is_missing(self):
        """None when the cluster is whole, else what it lacks."""
        for node in self.nodes.values():
            code = node.ended()
            if code is not None:
                raise Unhealthy(f"node {node.number} ended by itself with exit code {code}: "
                                f"{node.log_path}")
        everyone = set(self.nodes)
        for node in self.nodes.values():
            try:
                partitions, brokers = self.admin.metadata(node.address, list(self.topics))
            except Unanswered as unanswered:
                return f"node {node.number} does not answer ({unanswered})"
            if brokers != everyone:
                return f"node {node.number} knows the brokers {sorted(brokers)}"
            missing = self.missing_in(partitions)
            if missing:
                return f"node {node.number} says: {missing}"
        return self.missing_in_quorum() or self.missing_in_load()

    def missing_in(self, partitions):
        if len(partitions) != sum(self.topics.values()):
            return f"{len(partitions)} partitions"
        for (topic, index), partition in sorted(partitions.items()):
            replicas, isr = set(partition["ReplicaNodes"]), set(partition["IsrNodes"])
            if partition["LeaderId"] < 0 or partition["ErrorCode"] != 0:
                return f"{topic}-{index} has no leader"
            if len(replicas) != self.options.replication:
                return f"{topic}-{index} has the replicas {sorted(replicas)}"
            if isr != replicas and self.options.replication > 1:
                return f"{topic}-{index} has {sorted(isr)} of {sorted(replicas)} in sync"
        return None

    def missing_in_quorum(self):
        try:
            leader, voters, _ = self.admin.quorum(self.addresses)
        except Unanswered as unanswered:
            return str(unanswered)
        if set(voters) != set(self.nodes) or leader not in voters:
            return f"the quorum has the voters {sorted(voters)}, led by {leader}"
        for number, state in voters.items():
            if state["ReplicaDirectoryId"] != self.nodes[number].directory_id():
                return f"voter {number} is still its former disk"
            if state["LogEndOffset"] < voters[leader]["LogEndOffset"] - 1000:
                return f"voter {number} is far behind"
        return None

    def missing_in_load(self):
        if self.load is None:
            return None
        self.load.check()
        stalled_ms, partition = self.load.stalled()
        if stalled_ms > 2000:
            return f"{partition} has had no acknowledgement for {stalled_ms} ms"
        return None

    def wait_whole(self, seconds):
        """What held it up last is named."""
        last = ["nothing was asked yet"]

        def is_whole():
            last[0] = self.what_is_missing()
            return last[0] is None

        until(lambda: f"the cluster is whole ({last[0]})", seconds, is_whole)

    def answered(self, what, ask, *arguments):
        """What `ask` returns, as soon as it is answered: nodes may be on their way back."""
        last = [""]

        def tried():
            try:
                found = ask(*arguments)
            except Unanswered as unanswered:
                last[0] = str(unanswered)
                return None
            last[0] = f"error {found}"
            return None if found in (REQUEST_TIMED_OUT, NOT_CONTROLLER) else (found,)

        return until(lambda: f"{what} ({last[0]})", self.target.start_seconds, tried, step=0.5)[0]

    def places(self):
        """{(topic, index): partition} of all that the load writes to."""
        return self.answered("where partitions are", self.admin.metadata, self.addresses[0],
                             list(self.topics), 10)[0]

    def controller(self):
        return until("somebody leads the quorum", 30, self.leader_or_none)

    def leader_or_none(self):
        try:
            leader = self.admin.quorum(self.addresses)[0]
        except Unanswered:
            return None
        return leader if leader in self.nodes else None

    def end(self):
        """Stops all at once, in order; the numbers of those that had to be killed."""
        running = [node for node in self.nodes.values() if node.ended() is None and node.process]
        for node in running:
            node.send(signal.SIGCONT)
            node.send(signal.SIGTERM)
        return [node.number for node in running if not node.wait_end()]

    def kill(self):
        for node in self.nodes.values():
            node.kill()

    def remove_data(self):
        for node in self.nodes.values():
            node.disk.close()
            shutil.rmtree(node.folder, ignore_errors=True)
