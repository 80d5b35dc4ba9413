"""The figures of the quorum, for scripts/bench quorum: three controllers on this machine, brokers
that are simulated in one process (bench_brokers) where three are too few, clients in C
(bench_quorum). Each part returns figures by name, with one value for each time that it was taken.

formation: three blank processes to a committed topic and kill -9 of their leader to the next,
--runs times. image: 10 requests of 1,000 topics with 10 partitions of 3 replicas each, memory, and
CPU of a change on each node. commits: latency at 1,000 a second beside that of fsync and of a round
trip, --rounds times. failover: kill -9 of the active controller to the next commit with 10,000 and
100,000 partitions on 3 and on --brokers simulated brokers, the largest --runs times, and the CPU
that it costs the others.
"""

import contextlib
import os
import re
import socket
import statistics
import subprocess
import tempfile
import time

from bench_process import ROOT, BenchProcess, free_ports, say

BENCH = os.path.join(ROOT, "build-simopt", "bin", "bench")
PARTITIONS = 10  # of each topic


def bench(*words, timeout=300):
    """A program of tests/bench; what it printed, in words."""
    command = [os.path.join(BENCH, words[0]), *map(str, words[1:])]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {result.stderr[-2000:]}")
    return result.stdout.split()


class Controller(BenchProcess):
    """A process that is a controller, and a broker too where it gets a port for that."""

    def __init__(self, kind, folder, number, ports, broker_port=None):
        self.port = ports[number]
        folder = os.path.join(folder, str(number))
        self.data = os.path.join(folder, "data")
        voters = ",".join(f"{i + 1}@127.0.0.1:{port}" for i, port in enumerate(ports))
        roles, listeners = "controller", f"CONTROLLER://127.0.0.1:{self.port}"
        if broker_port:
            roles = "broker,controller"
            listeners = f"PLAINTEXT://127.0.0.1:{broker_port},{listeners}"
        super().__init__(
            kind, folder,
            f"process.roles={roles}\nnode.id={number + 1}\nlisteners={listeners}\n"
            f"controller.listener.names=CONTROLLER\ncontroller.quorum.voters={voters}\n"
            f"log.dirs={self.data}\n" + ("" if kind.home else "kraftd.admin.listener=\n"))

    def is_ready(self):
        """It has loaded what it had and follows; Kafka: its port is open."""
        if not self.kind.home:
            return self.says_ready()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False


class Quorum:
    """Three controllers and the brokers that are registered with them."""

    def __init__(self, kind, folder, combined=False):
        self.kind, self.folder = kind, tempfile.mkdtemp(prefix="quorum-", dir=folder)
        ports = free_ports(6)
        brokers = ports[3:] if combined else [None] * 3
        ports = ports[:3]
        self.nodes = [Controller(kind, self.folder, i, ports, brokers[i]) for i in range(3)]
        self.addresses = ",".join(f"127.0.0.1:{port}" for port in ports)
        self.brokers = []
        self.broker_count = 0

    def prepare(self):
        for node in self.nodes:
            node.prepare()

    def start(self):
        for node in self.nodes:
            node.start()

    def wait_ready(self):
        for node in self.nodes:
            node.wait_ready()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.brokers:
            process.stdin.close()
            process.wait()
        for node in self.nodes:
            node.end()

    def cluster_id(self):
        with open(os.path.join(self.nodes[0].data, "meta.properties"), encoding="ascii") as f:
            return re.search(r"cluster\.id=(\S+)", f.read()).group(1)

    def add_brokers(self, count):
        command = [os.path.join(BENCH, "bench_brokers"), self.addresses, self.cluster_id(),
                   str(1000 + self.broker_count), str(count)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.brokers.append(process)
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"{count} brokers could not be registered")
        self.broker_count += count

    def command(self, line):
        """Has the first brokers do it; the seconds."""
        process = self.brokers[0]
        process.stdin.write(f"{line}\n".encode())
        process.stdin.flush()
        return float(process.stdout.readline())

    def create(self, prefix, requests, topics, partitions=PARTITIONS, replicas=3):
        """Milliseconds of each request."""
        return [float(word) for word in bench("bench_quorum", "create", self.addresses, prefix,
                                              requests, topics, partitions, replicas)]

    def commit(self, topic):
        """When it was committed, in seconds, and by whom."""
        when_us, index = bench("bench_quorum", "commit", self.addresses, topic)
        return int(when_us) / 1e6, self.nodes[int(index)]

    def cpu(self, but=()):
        return sum(node.cpu() for node in self.nodes if node not in but)

    def fail_over(self, topic, settle_s):
        """Seconds from kill -9 of the active controller to the next commit, and the CPU seconds
        that it costs the others beyond what they need anyway; then all are there again."""
        _, leader = self.commit(topic)
        before = self.cpu(but=[leader])
        time.sleep(settle_s)
        idle = self.cpu(but=[leader]) - before
        begin, before = time.monotonic(), self.cpu(but=[leader])
        leader.end()
        when, _ = self.commit(topic)
        time.sleep(max(0.0, begin + 2 * settle_s - time.monotonic()))
        took = time.monotonic() - begin
        spent = self.cpu(but=[leader]) - before - idle * took / settle_s
        leader.start()
        leader.wait_ready()
        time.sleep(0.5)
        return when - begin, spent


@contextlib.contextmanager
def controllers(kind, options):
    with Quorum(kind, options.dir) as quorum:
        quorum.prepare()
        quorum.start()
        quorum.wait_ready()
        yield quorum


def p99(values):
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * 99 // 100) - 1)]


def p99_by_time(values):
    """Of what was under way at a random moment, when one followed right after the other. Commits
    come at a steady rate: a stall that is one call of many meets all that come meanwhile."""
    ordered, left = sorted(values, reverse=True), sum(values) / 100
    for value in ordered:
        left -= value
        if left <= 0:
            return value
    return ordered[-1]


def formation(kind, options):
    """Three blank processes, each controller and broker, to a topic that is committed; then
    kill -9 of the leader to the next commit. Kafka's are formatted before."""
    figures = {}
    runs = options.rounds if kind.home else options.runs
    for turn in range(runs):
        with Quorum(kind, options.dir, combined=True) as quorum:
            quorum.prepare()
            begin = time.monotonic()
            quorum.start()
            quorum.create("t", 1, 1, partitions=3, replicas=1)
            formed = time.monotonic() - begin
            quorum.wait_ready()
            _, leader = quorum.commit("t0")
            begin = time.monotonic()
            leader.end()
            when, _ = quorum.commit("t0")
        figures.setdefault("formation s", []).append(formed)
        figures.setdefault("combined failover s", []).append(when - begin)
        say(f"formation {turn + 1} of {runs}: {formed:.2f} s, failover {when - begin:.2f} s")
    return figures


def topics_at_once(kind):
    """In one request; Kafka refuses more than 10,000 records."""
    return 900 if kind.home else 1000


def fill(quorum, prefix, requests):
    topics = topics_at_once(quorum.kind)
    begin = time.monotonic()
    took = quorum.create(prefix, requests, topics)
    seconds = time.monotonic() - begin
    say(f"{requests} requests of {topics} topics x {PARTITIONS} x 3: "
        + ", ".join(f"{ms:.0f}" for ms in took) + " ms")
    return took, requests * topics * (PARTITIONS + 1) / seconds


def image_alone():
    """The image in one process, without log and quorum."""
    text = " ".join(bench("bench_image"))
    return {
        "image's bytes per partition": [float(re.search(r"memory: (\d+)", text).group(1))],
        "change in the image us": [float(re.search(r"one partition: ([\d.]+) us", text).group(1))],
    }


def image(kind, options):
    """Creation in batches, memory and the CPU of single changes."""
    figures = {} if kind.home else image_alone()
    with controllers(kind, options) as quorum:
        quorum.add_brokers(3)
        memory = [node.memory_bytes() for node in quorum.nodes]
        took, rate = fill(quorum, "t", 10)
        figures["thousand topics created ms"] = took
        figures["records/s in batches"] = [rate]
        time.sleep(1)
        figures["node's bytes per partition"] = [
            (node.memory_bytes() - before) / (10000 * PARTITIONS)
            for node, before in zip(quorum.nodes, memory)]
        changes = 10000
        quorum.command(f"make led- {changes // 50}")
        before = [node.cpu() for node in quorum.nodes]
        seconds = quorum.command(f"alter {changes}")
        spent = [node.cpu() - cpu for node, cpu in zip(quorum.nodes, before)]
        _, leader = quorum.commit("t0")
        for node, cpu in zip(quorum.nodes, spent):
            role = "leader" if node is leader else "follower"
            figures.setdefault(f"ISR change us, {role}", []).append(cpu * 1e6 / changes)
        figures["ISR changes/s"] = [changes / seconds]
    return figures


def commits(kind, options):
    """Latency of commits beside that of the disk and of a round trip. They are taken in turn and
    for short, so that what else the machine does meets all of them."""
    taken = {}
    with controllers(kind, options) as quorum:
        quorum.add_brokers(3)
        quorum.create("t", 1, 10)
        for _ in range(options.rounds * 5):
            for name, words in (
                ("fsync", ("sync", quorum.folder, 1, 1, 200)),
                ("fsync of three at once", ("sync", quorum.folder, 3, 1, 200)),
                ("round trip", ("turns", quorum.addresses, 1000, 1)),
                ("commit", ("commits", quorum.addresses, "t0", 1000, 1)),
            ):
                taken.setdefault(name, []).extend(map(int, bench("bench_quorum", *words)))
    high = {name: p99(values) / 1000 for name, values in taken.items()}
    for name, values in taken.items():
        say(f"{name}: {len(values)} times, median {statistics.median(values) / 1000:.2f} ms, "
            f"p99 {high[name]:.2f} ms")
    figures = {f"{name} ms": [us / 1000 for us in values] for name, values in taken.items()}
    name = "fsync of three at once"
    figures["2 fsync + round trip ms, of their p99"] = [2 * high[name] + high["round trip"]]
    figures["the same, fsync by time"] = [
        2 * p99_by_time(taken[name]) / 1000 + high["round trip"]]
    return figures


def failover(kind, options):
    """kill -9 of the active controller, with images of several sizes."""
    figures = {}
    sizes = (1,) if kind.home else (1, 10)
    for brokers in (3,) if kind.home else (3, options.brokers):
        with controllers(kind, options) as quorum:
            quorum.add_brokers(brokers)
            filled = 0
            for size in sizes:
                fill(quorum, f"t{size}-", size - filled)
                filled = size
                time.sleep(1)
                largest = brokers == options.brokers and size == sizes[-1]
                runs = options.runs if largest else max(2, options.runs // 4)
                runs = options.rounds if kind.home else runs
                for turn in range(runs):
                    seconds, cpu = quorum.fail_over("t1-0", 2)
                    partitions = size * topics_at_once(kind) * PARTITIONS
                    name = f"{partitions:,} x 3 on {brokers}"
                    figures.setdefault(f"failover s, {name}", []).append(seconds)
                    figures.setdefault(f"failover CPU ms, {name}", []).append(cpu * 1000)
                    say(f"{name}, failover {turn + 1} of {runs}: {seconds:.2f} s, "
                        f"CPU {cpu * 1000:.0f} ms")
    return figures


PARTS = {"formation": formation, "image": image, "commits": commits, "failover": failover}
AIMS = {
    "formation s": "median <= 2, p99 <= 3",
    "combined failover s": "median <= 2, p99 <= 3",
    "thousand topics created ms": "<= 1000",
    "records/s in batches": ">= 50000",
    "image's bytes per partition": "<= 300",
    "ISR change us, leader": "<= 20",
    "ISR change us, follower": "<= 20",
    "commit ms": "p99 <= the last lines",
}


def print_figures(kind, figures):
    print(f"{kind.name:40}{'times':>7}{'median':>12}{'p99':>12}{'worst':>12}   aim")
    for name, values in figures.items():
        aim = AIMS.get(name, "median <= 2, p99 <= 3" if name.startswith("failover s") else "")
        print(f"{name:40}{len(values):7}{statistics.median(values):12.2f}{p99(values):12.2f}"
              f"{max(values):12.2f}   {aim}".rstrip())


class Kind:
    def __init__(self, name, home=None):
        self.name, self.home = name, home


def run(options, kafka_home):
    """0, or 1 where a part failed."""
    kinds = [Kind("kraftd")] + ([Kind("Kafka", kafka_home)] if kafka_home else [])
    failed = 0
    for kind in kinds:
        figures = {}
        for name, part in PARTS.items():
            if options.only and name not in options.only:
                continue
            try:
                figures.update(part(kind, options))
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                say(f"{name}: {kind.name}: FAILED: {error}")
                failed = 1
        print_figures(kind, figures)
        print(flush=True)
    return failed
