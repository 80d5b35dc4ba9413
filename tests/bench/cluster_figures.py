"""The figures of scripts/bench cluster: three nodes, each broker and controller, on one machine.

load      acks=all, replication 3, 12 partitions, 1 KB: rate, CPU of all three brokers, also beside
          that of the same bytes without a broker, how often their threads went to sleep, memory.
          The client is librdkafka (tests/bench/clients/bench_client.c), batches of up to 1,000.
paced     5,000 and 20,000 records of 1 KB a second over 12 partitions, linger 5 ms: from the
          producer's call to the consumer's, with memory and CPU of the brokers meanwhile.
failover  one topic of 3,000 partitions, so that each broker leads 1,000; one of them gets SIGKILL
          or SIGSTOP, as the active controller too. A client that waits for nothing
          (cluster_client.py) asks a surviving broker for the leaders every few milliseconds and
          writes one record, acks=all, to all that have a new one: the first and the last that is
          acknowledged count, from the signal on.
shutdown  SIGTERM under 12 partitions that get 100 records a second each: the longest time in which
          one of them acknowledged nothing, beside that of as long a time without SIGTERM, which
          is the machine's. librdkafka with a retry back-off of 2 ms, metadata refreshed within
          2 ms of an error.
many      10,000 partitions x 3 until each took a record by all replicas; memory per replica, and
          the CPU of the three at rest.
restart   the same with --gigabytes of data on each node, in batches of --batch records of 10 KB:
          kill -9 of one node, then of all, until they serve.
"""

import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time

from bench_process import ROOT, BenchProcess, free_ports, say
from cluster_client import Client

CLIENT = os.path.join(ROOT, "build", "bench", "bench_client")
RAW = os.path.join(ROOT, "build", "bench", "raw_limit")
NODES = 3
SESSION_TIMEOUT_MS = 9000  # broker.session.timeout.ms as shipped


class Node(BenchProcess):
    """A process that is broker and controller."""

    def __init__(self, kind, folder, number, ports):
        self.id, self.port = number + 1, ports[number]
        folder = os.path.join(folder, str(self.id))
        voters = ",".join(f"{i + 1}@127.0.0.1:{ports[NODES + i]}" for i in range(NODES))
        super().__init__(kind, folder, f"""process.roles=broker,controller
node.id={self.id}
listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{ports[NODES + number]}
controller.listener.names=CONTROLLER
controller.quorum.voters={voters}
log.dirs={folder}/data
offsets.topic.replication.factor=3
auto.create.topics.enable=false
{"" if kind.home else "kraftd.admin.listener="}
""")

    def is_ready(self):
        if not self.kind.home:
            return self.says_ready()
        client = Client(self.port)
        try:
            client.metadata()
            return True
        except OSError:
            return False
        finally:
            client.close()

    def waits(self):
        """How often its threads that live went to sleep: voluntary context switches."""
        count = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with contextlib.suppress(OSError):
                with open(f"/proc/{self.process.pid}/task/{task}/status", encoding="ascii") as f:
                    count += next(int(line.split()[1]) for line in f
                                  if line.startswith("voluntary_ctxt_switches"))
        return count

    def memory_mb(self):
        return self.memory_bytes() / (1 << 20)


def all_of(topics, partitions):
    return {(topic, index) for topic in topics for index in range(partitions)}


class Cluster:
    def __init__(self, kind, options):
        self.folder = tempfile.mkdtemp(prefix="cluster-", dir=options.dir)
        ports = free_ports(2 * NODES)
        self.nodes = [Node(kind, self.folder, i, ports) for i in range(NODES)]
        self.clients = {node.id: Client(node.port) for node in self.nodes}

    bootstrap = property(lambda self: ",".join(f"127.0.0.1:{node.port}" for node in self.nodes))

    def __enter__(self):
        try:
            for node in self.nodes:
                node.prepare()
            for node in self.nodes:
                node.start()
            for node in self.nodes:
                node.wait_ready()
            self.retry(lambda: self.client().create(["warm"], 1))
            self.write_all(all_of(["warm"], 1))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for client in self.clients.values():
            client.close()
        for node in self.nodes:
            node.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self, but=()):
        return next(self.clients[node.id] for node in self.nodes if node not in but)

    def retry(self, what, seconds=60):
        """Until it succeeds."""
        end = time.monotonic() + seconds
        while True:
            try:
                return what()
            except (OSError, RuntimeError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def create(self, topics, partitions):
        for first in range(0, len(topics), 200):
            self.client().create(topics[first:first + 200], partitions)

    def write_all(self, partitions, seconds=300, but=(), pause=0.003):
        """One record, acks=all, to each {(topic, index)}; when the first and the last was
        acknowledged."""
        end = time.monotonic() + seconds
        topics = sorted({topic for topic, _ in partitions})
        left, first = set(partitions), None
        while left:
            if time.monotonic() > end:
                raise RuntimeError(f"{len(left)} partitions took no record in {seconds} s")
            with contextlib.suppress(OSError):
                leaders = self.client(but).metadata(topics)
                for node in self.nodes:
                    if node in but:
                        continue
                    ours = {}
                    for topic, index in left:
                        if leaders.get((topic, index), (-1,))[0] == node.id:
                            ours.setdefault(topic, []).append(index)
                    took = self.clients[node.id].produce(ours, 2000) if ours else set()
                    if took and first is None:
                        first = time.monotonic()
                    left = left - took
            time.sleep(pause if left else 0)
        return first, time.monotonic()

    def wait_in_sync(self, topics=None, seconds=300):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.retry(lambda: self.client().metadata(topics))
            if found and all(len(isr) == NODES for _, _, isr in found.values()):
                return
            time.sleep(0.1)
        raise RuntimeError(f"not all replicas were in sync within {seconds} s")

    def cpu(self):
        return sum(node.cpu() for node in self.nodes)

    def waits(self):
        return sum(node.waits() for node in self.nodes)

    def memory_mb(self):
        """Of the largest."""
        return max(node.memory_mb() for node in self.nodes)

    def prefer(self, topic, partitions):
        """Makes a topic whose leaders are spread evenly."""
        self.client().create([topic], partitions)
        self.write_all(all_of([topic], partitions))


def client_run(*words, timeout=900):
    result = subprocess.run([CLIENT, *map(str, words)], capture_output=True, text=True,
                            check=False, timeout=timeout)
    if result.returncode != 0:
        raise RuntimeError(f"bench_client {words[0]} failed: {result.stderr[-2000:]}")
    return [float(word) for word in result.stdout.split()]


def raw_limit(folder, size_bytes):
    """CPU seconds for the same bytes without a broker: received and written three times, sent
    twice; tests/bench/clients/raw_limit.c."""
    path = os.path.join(folder, "raw-limit")
    words = ("receive", path, str(size_bytes), str(1 << 20)), ("send", path)
    received, sent = (float(subprocess.run([RAW, *each], check=True, capture_output=True,
                                           text=True).stdout.split()[0]) for each in words)
    os.unlink(path)
    return 3 * received + 2 * sent


def load(kind, options):
    """acks=all at full speed"""
    records = 200000 if options.quick else 1000000
    with Cluster(kind, options) as cluster:
        cluster.prefer("load", 12)
        client_run("produce", cluster.bootstrap, "load", 1024, records // 10, 12, 1000, 5, -1)
        cpu, waits = cluster.cpu(), cluster.waits()
        seconds, _, size_bytes = client_run("produce", cluster.bootstrap, "load", 1024, records, 12,
                                            1000, 5, -1)
        cpu, waits = cluster.cpu() - cpu, cluster.waits() - waits
        return {
            "acks=all 1 KB x 12 MB/s": size_bytes / 1e6 / seconds,
            "acks=all CPU s/GB of three": cpu / (size_bytes / 1e9),
            "acks=all CPU of three / without a broker":
                cpu / raw_limit(cluster.folder, int(size_bytes)),
            "acks=all waits of all threads a MB": waits / (size_bytes / 1e6),
            "acks=all memory of a node MB": cluster.memory_mb(),
        }


def paced(kind, options):
    """end to end at fixed rates"""
    figures = {}
    with Cluster(kind, options) as cluster:
        for rate in (5000, 20000):
            topic = f"paced-{rate}"
            cluster.prefer(topic, 12)
            cpu, seconds = cluster.cpu(), 5 if options.quick else 20
            p50, p99, worst = client_run("paced", cluster.bootstrap, topic, 1024, rate, 12, 5,
                                         seconds)
            figures[f"{rate}/s end to end p50 ms"] = p50
            figures[f"{rate}/s end to end p99 ms"] = p99
            figures[f"{rate}/s end to end worst ms"] = worst
            figures[f"{rate}/s CPU of three, cores"] = (cluster.cpu() - cpu) / (seconds + 2)
            figures[f"{rate}/s memory of a node MB"] = cluster.memory_mb()
    return figures


def led_by(cluster, topic, node):
    found = cluster.retry(lambda: cluster.client(but=[node]).metadata([topic]))
    return {key for key, (leader, _, _) in found.items() if leader == node.id}


def strike(cluster, topic, how, as_controller):
    """Milliseconds to the first and to the last partition of the victim that is written again."""
    active = cluster.retry(lambda: cluster.client().active_controller())
    victim = next(node for node in cluster.nodes if (node.id == active) == as_controller)
    partitions = led_by(cluster, topic, victim)
    begin = time.monotonic()
    victim.process.send_signal(how)
    try:
        first, last = cluster.write_all(partitions, but=[victim])
    finally:
        victim.process.send_signal(signal.SIGCONT)
    say(f"  {signal.Signals(how).name} of a node that leads {len(partitions)}"
        f"{', the active controller,' if as_controller else ''}: first write after "
        f"{(first - begin) * 1000:.0f} ms, last {(last - begin) * 1000:.0f} ms")
    return victim, (first - begin) * 1000, (last - begin) * 1000


def balance(cluster, topic, seconds=300):
    """Until all are in sync and the preferred replicas lead again, as every node knows."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            views = [client.metadata([topic]) for client in cluster.clients.values()]
            if all(view and all(leader == replicas[0] and len(isr) == NODES
                                for leader, replicas, isr in view.values()) for view in views):
                cluster.write_all(set(views[0]))
                return
            cluster.client().elect_preferred()
        time.sleep(0.3)
    raise RuntimeError(f"the preferred replicas did not all lead again within {seconds} s")


def failover(kind, options):
    """kill -9 and SIGSTOP of a broker that leads 1,000 partitions"""
    figures = {}
    with Cluster(kind, options) as cluster:
        cluster.prefer("over", 300 if options.quick else 3000)
        for name, how, as_controller in (
            ("kill -9", signal.SIGKILL, False),
            ("kill -9 of the controller", signal.SIGKILL, True),
            ("freeze less session timeout", signal.SIGSTOP, False),
        ):
            for _ in range(1 if kind.home or options.quick else 3):
                victim, first, last = strike(cluster, "over", how, as_controller)
                over = SESSION_TIMEOUT_MS if how == signal.SIGSTOP else 0
                figures.setdefault(f"{name}: first ack ms", []).append(first - over)
                figures.setdefault(f"{name}: all acked ms", []).append(last - over)
                if how == signal.SIGKILL:
                    victim.end()
                    victim.start()
                    victim.wait_ready()
                balance(cluster, "over")
    return {name: statistics.median(values) for name, values in figures.items()}


def shutdown(kind, options):
    """SIGTERM under load"""
    with Cluster(kind, options) as cluster:
        cluster.prefer("calm", 12)
        gaps = []
        still = client_run("gaps", cluster.bootstrap, "calm", 12, 1200, 8)[0]
        say(f"  nobody stops: longest gap {still:.0f} ms")
        for node in cluster.nodes[:1 if kind.home else NODES]:
            found = []
            watcher = threading.Thread(target=lambda: found.extend(
                client_run("gaps", cluster.bootstrap, "calm", 12, 1200, 8)))
            watcher.start()
            time.sleep(3)
            node.end(signal.SIGTERM)
            watcher.join()
            node.start()
            node.wait_ready()
            balance(cluster, "calm")
            if not found:
                raise RuntimeError("the client failed")
            gaps.append(found[0])
            say(f"  SIGTERM of node {node.id}: longest gap {found[0]:.0f} ms")
        return {"controlled shutdown: longest gap ms": statistics.median(gaps),
                "longest gap while nobody stops ms": still}


def make_many(cluster, count):
    topics = [f"m{i}" for i in range(count // 10)]
    cluster.create(topics, 10)
    return topics


def many(kind, options):
    """10,000 partitions x 3"""
    count = 1000 if options.quick else 10000
    with Cluster(kind, options) as cluster:
        before = [node.memory_mb() for node in cluster.nodes]
        begin = time.monotonic()
        topics = make_many(cluster, count)
        created = time.monotonic() - begin
        cluster.write_all(all_of(topics, 10))
        wrote = time.monotonic() - begin
        cluster.wait_in_sync(topics)
        ready = time.monotonic() - begin
        say(f"  created in {created:.2f} s, all written after {wrote:.2f} s, in sync {ready:.2f} s")
        time.sleep(5)
        memory = [(node.memory_mb() - mb) * 1024 / count
                  for node, mb in zip(cluster.nodes, before)]
        cpu = cluster.cpu()
        time.sleep(10)
        return {
            f"{count} x 3 written and in sync s": ready,
            "memory per replica KB": max(memory),
            "idle CPU of three, % of a core": (cluster.cpu() - cpu) * 10,
        }


def dirty_gb():
    """What the kernel has not written to any disk yet."""
    with open("/proc/meminfo", encoding="ascii") as f:
        fields = dict(line.split(":") for line in f)
    return sum(int(fields[name].split()[0]) for name in ("Dirty", "Writeback")) / 1e6


def restart(kind, options):
    """kill -9 with data"""
    count, gigabytes = (1000, 1) if options.quick else (10000, options.gigabytes)
    with Cluster(kind, options) as cluster:
        topics = make_many(cluster, count)
        cluster.write_all(all_of(topics, 10))
        cluster.prefer("data", 100)
        client_run("produce", cluster.bootstrap, "data", 10000, int(gigabytes * 1e5), 100,
                   options.batch, 5, -1, timeout=3600)
        victim = cluster.nodes[0]
        say(f"  {gigabytes:g} GB on each node; {dirty_gb():.1f} GB of all three are not written")
        victim.end()
        time.sleep(1)
        begin = time.monotonic()
        victim.start()
        cluster.retry(lambda: cluster.clients[victim.id].metadata(["m0"]))
        victim.wait_ready()
        one, cpu = time.monotonic() - begin, victim.cpu()
        cluster.wait_in_sync()
        say(f"  one node serves after {one:.2f} s and {cpu:.2f} s of CPU, is in sync after "
            f"{time.monotonic() - begin:.2f} s")
        for node in cluster.nodes:
            node.end()
        begin = time.monotonic()
        for node in cluster.nodes:
            node.start()
        first, _ = cluster.write_all(all_of(topics[:1], 1))
        _, last = cluster.write_all(all_of(topics, 10))
        return {
            "restart of one after kill -9 s": one,
            "CPU of it until then s": cpu,
            "of all: first ack s": first - begin,
            "of all: every partition acked s": last - begin,
        }


PARTS = {"load": load, "paced": paced, "failover": failover, "shutdown": shutdown, "many": many,
         "restart": restart}
AIMS = {
    "acks=all 1 KB x 12 MB/s": ">= 2 x Kafka",
    "acks=all CPU s/GB of three": "<= 0.15 x Kafka",
    "acks=all memory of a node MB": "<= 0.1 x Kafka",
    "5000/s end to end p99 ms": "<= 20",
    "20000/s end to end p99 ms": "<= 20",
    "kill -9: first ack ms": "<= 500",
    "kill -9: all acked ms": "",
    "kill -9 of the controller: first ack ms": "<= 2 election timeouts",
    "freeze less session timeout: first ack ms": "<= 100",
    "controlled shutdown: longest gap ms": "<= 100",
    "10000 x 3 written and in sync s": "<= 10",
    "memory per replica KB": "<= 10",
    "idle CPU of three, % of a core": "<= 5",
    "restart of one after kill -9 s": "<= 2",
    "of all: first ack s": "<= 2",
}


class Kind:
    def __init__(self, name, home=None):
        self.name, self.home = name, home


def print_figures(figures):
    print(f"{'':42}{'kraftd':>12}{'Kafka':>12}{'/ Kafka':>10}   aim")
    for name, values in figures.items():
        middle = {who: statistics.median(all_of) for who, all_of in values.items()}
        cells = "".join(f"{middle[who]:12.2f}" if who in middle else f"{'-':>12}"
                        for who in ("kraftd", "Kafka"))
        ratio = f"{'-':>10}"
        if middle.get("Kafka") and "kraftd" in middle:
            ratio = f"{middle['kraftd'] / middle['Kafka']:10.3f}"
        print(f"{name:42}{cells}{ratio}   {AIMS.get(name, '')}".rstrip())


def run(options, kafka_home):
    """0, or 1 where a part failed."""
    kinds = [Kind("kraftd")] + ([Kind("Kafka", kafka_home)] if kafka_home else [])
    figures, failed = {}, 0
    for name, part in PARTS.items():
        if options.only and name not in options.only:
            continue
        for turn in range(options.rounds):
            for kind in kinds:
                begin = time.monotonic()
                try:
                    found = part(kind, options)
                except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                    say(f"{name}: {kind.name}, round {turn + 1}: FAILED: {error}")
                    failed = 1
                    continue
                shown = ", ".join(f"{figure} {value:.2f}" for figure, value in found.items())
                say(f"{name}: {kind.name}, round {turn + 1} of {options.rounds}, "
                    f"{time.monotonic() - begin:.0f} s: {shown}")
                for figure, value in found.items():
                    figures.setdefault(figure, {}).setdefault(kind.name, []).append(value)
    print_figures(figures)
    return failed
