"""Runs a cluster of real processes under load and faults, and judges what clients saw.

Needs root for network namespaces and disks of their own; without it nodes share the loopback
interface, and partitions and failing disks are left out. docs/chaos.md says what is tested and how
to read the reports. Exit code: 0 nothing found, 1 anomalies or a cluster that did not recover, 2
the run itself failed, 130 interrupted.
"""

import argparse
import glob
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import disk
import faults
import network
import report
import schedule
import wire
import earlier_build  # of tests/integration: wire.py put that into the path
from cluster import Cluster, Kafka, Kraftd, Node
from common import ROOT, Failure, Interrupted, Unhealthy, monotonic_ms, run
from load import Load

ROOM_MB = 300
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def kinds_of(text):
    kinds = text.split(",")
    for kind in kinds:
        if kind not in schedule.KINDS:
            raise argparse.ArgumentTypeError(f"{kind}: choose from {','.join(schedule.KINDS)}")
    return sorted(set(kinds))


def pair_of(text):
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text}: write KEY=VALUE")
    return key, value


def parse(words):
    parser = argparse.ArgumentParser(prog="scripts/chaos", allow_abbrev=False,
                                     description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--nodes", type=int, default=3, help="how many (3); all are brokers and voters")
    add("--minutes", type=float, default=3, help="how long faults go on (3)")
    add("--max-faults", type=int, default=10**9, help="stop after so many")
    add("--seed", type=int, default=None, help="of the sequence of faults (drawn, and printed)")
    add("--faults", type=kinds_of, default=list(schedule.KINDS),
        help=f"some of {','.join(schedule.KINDS)} (all)")
    add("--target", choices=("kraftd", "kafka"), default="kraftd", help="what is tested (kraftd)")
    add("--kafka", metavar="DIR", help="where Apache Kafka is, for --target kafka")
    add("--kraftd", metavar="PATH", help="the build that is tested (built when not given)")
    add("--other-build", metavar="PATH",
        help="upgrade swaps to this build (kraftd, or a Kafka DIR) and back; by default to the "
             "earlier kraftd that scripts/upgrade built, if it did; `same`: to none")
    add("--bin", metavar="DIR", help="where kraftd-chaos-load and kraftd-chaos-check are")
    add("--dir", help="where everything is kept, made when missing (a new one in TMPDIR)")
    add("--keep", action="store_true", help="keep data, logs and history of a clean run too")
    add("--no-isolation", action="store_true", help="loopback and plain directories even as root")
    add("--replication", type=int, default=3, help="replicas of a partition (3)")
    add("--min-isr", type=int, default=2, help="min.insync.replicas (2)")
    add("--topics", type=int, default=3, help="topics (3)")
    add("--partitions", type=int, default=4, help="partitions of each (4)")
    add("--rate", type=int, default=2000, help="records a second (2000)")
    add("--producers", type=int, default=3, help="idempotent producers (3)")
    add("--record-bytes", type=int, default=300, help="largest record (300)")
    add("--recover-seconds", type=float, default=90,
        help="how long the cluster may take to be whole after a fault (90)")
    add("--override", type=pair_of, action="append", default=[], metavar="KEY=VALUE",
        help="into every server.properties")
    add("--client", type=pair_of, action="append", default=[], metavar="KEY=VALUE",
        help="into the configuration of librdkafka; its log is kept with the history")
    add("--plan", action="store_true", help="print the first 30 faults of the seed and end")
    options = parser.parse_args(words)
    if not 1 <= options.nodes <= 9:
        parser.error("--nodes: 1 to 9")
    if not 1 <= options.min_isr <= options.replication <= options.nodes:
        parser.error("it takes 1 <= --min-isr <= --replication <= --nodes")
    if options.target == "kafka" and not options.kafka:
        parser.error("--target kafka needs --kafka DIR (scripts/interop fetches one into "
                     ".cache/kafka)")
    options.overrides = dict(options.override)
    options.seed = int(time.time()) % 1000000 if options.seed is None else options.seed
    return options


def find_binaries(options):
    """The load and the checker, and kraftd: built where they are not named."""
    own = options.bin or os.path.join(ROOT, "build-simopt", "bin")
    needed = ["kraftd-chaos-load", "kraftd-chaos-check"]
    if options.target == "kraftd" and not options.kraftd:
        options.kraftd = os.path.join(own, "kraftd")
        needed.append("kraftd")
    if not options.bin:
        print("chaos: building", ", ".join(needed), flush=True)
        run("cmake", "--preset", "simopt", "-S", ROOT)
        run("cmake", "--build", os.path.join(ROOT, "build-simopt"), "--target", *needed)
    binaries = [os.path.join(own, name) for name in needed[:2]]
    builds = [options.kafka if options.target == "kafka" else options.kraftd]
    if options.other_build is None and options.target == "kraftd" and "upgrade" in options.faults:
        options.other_build = earlier_build.at_hand()
    if options.other_build not in (None, "same"):
        builds.append(options.other_build)
    for path in binaries + builds:
        if not os.access(path, os.X_OK):
            raise Failure(f"{path} is not there")
    builds = [os.path.abspath(path) for path in builds]
    return binaries, Kafka(builds) if options.target == "kafka" else Kraftd(builds)


class Screen:
    """One line that is written over on a terminal; elsewhere a line every ten seconds."""

    def __init__(self):
        self.terminal = sys.stdout.isatty()
        self.shown_at = 0.0

    def line(self, text):
        print(("\r\033[K" if self.terminal else "") + text, flush=True)

    def status(self, text):
        if self.terminal:
            columns = shutil.get_terminal_size().columns
            print(f"\r\033[K{text[:columns - 1]}", end="", flush=True)
        elif time.monotonic() - self.shown_at >= 10:
            self.shown_at = time.monotonic()
            print(text, flush=True)


class Run:
    """One run, from nothing to its report."""

    def __init__(self, options):
        self.options = options
        self.screen = Screen()
        self.network = self.cluster = self.load = None
        self.disks = []
        self.folder = os.path.abspath(options.dir or tempfile.mkdtemp(prefix="kraftd-chaos-"))
        os.makedirs(self.folder, exist_ok=True)
        if os.listdir(self.folder):
            raise Failure(f"{self.folder} is not empty: name another --dir")
        with open(os.path.join(self.folder, disk.OWNER), "w", encoding="ascii") as out:
            out.write(f"{os.getpid()}\n")
        self.histories = [os.path.join(self.folder, name)
                          for name in ("faults.history", "clients.history")]
        self.origin_ms = monotonic_ms()
        self.left_out, self.problems, self.done = {}, [], {}
        self.acked_before = (0.0, 0)

    def now_ms(self):
        return monotonic_ms() - self.origin_ms

    def record(self, kind, number, text):
        with open(self.histories[0], "a", encoding="utf-8") as out:
            out.write(f"{kind} {self.now_ms()} {number} {text}\n")

    def build_nodes(self):
        options = self.options
        why = "not wanted" if options.no_isolation else network.can_isolate()
        if why is None:
            self.network = network.Bridge(options.nodes)
        else:
            self.screen.line(f"chaos: no network namespaces ({why}): nodes share the loopback "
                             "interface and cannot be cut off")
            from harness import free_ports
            self.network = network.Loopback(options.nodes, free_ports)
        disk.remove_leftovers()
        why = ("not among the faults" if "disk" not in options.faults else
               "not wanted" if options.no_isolation else disk.can_mount(self.folder))
        if why and why != "not among the faults":
            self.screen.line(f"chaos: no file systems of their own ({why}): disks can be wiped, "
                             "and neither be full nor fail")
        # What the whole run writes to each node, and as much again.
        megabytes = 1024 + int(options.rate * options.record_bytes * options.minutes * 120 / 1e6)
        for number in range(1, options.nodes + 1):
            place = os.path.join(self.folder, f"node-{number}")
            os.makedirs(place)
            self.disks.append(disk.PlainDisk(place) if why else disk.LoopDisk(place, megabytes))
            self.disks[-1].create()
        return [Node(i + 1, self.folder, self.network, self.disks[i])
                for i in range(options.nodes)]

    def start(self, binaries, target):
        options = self.options
        self.cluster = Cluster(target, self.build_nodes(), self.network, wire.Admin(), options)
        self.screen.line(f"chaos: {options.nodes} nodes of {target.name}, seed {options.seed}, "
                         f"{options.minutes:g} minutes, files in {self.folder}")
        if len(target.builds) > 1:
            self.screen.line(f"chaos: upgrade goes to {target.builds[1]} and back")
        self.cluster.start()
        for kind in options.faults:
            why = faults.left_out(kind, self.cluster)
            if why:
                self.left_out[kind] = why
                self.screen.line(f"chaos: without {kind}: {why}")
        topics = {f"chaos-{i}": options.partitions for i in range(options.topics)}
        self.cluster.create_topics(topics)
        bootstrap = ",".join(f"{host}:{port}" for host, port in self.cluster.addresses)
        self.load = self.cluster.load = Load(binaries[0], bootstrap, topics, self.histories[1],
                                             self.origin_ms, options)
        self.cluster.wait_whole(target.start_seconds)

    def show(self, what):
        now, acked = time.monotonic(), self.load.acknowledged
        before, acked_before = self.acked_before
        rate = (acked - acked_before) / max(0.001, now - before)
        self.acked_before = now, acked
        stalled_ms, partition = self.load.stalled()
        stalled = f", {partition} waits for {stalled_ms / 1000:.1f} s" if stalled_ms > 1000 else ""
        self.screen.status(f"{self.now_ms() / 1000:7.1f} s  {acked:9} acked  {rate:7.0f}/s  "
                           f"{len(self.done):3} faults  {what}{stalled}")

    def one_fault(self, plan):
        fault = faults.make(plan, self.cluster)
        text = fault.describe()
        self.done[plan.number] = {"kind": plan.kind, "text": text}
        self.record("f", plan.number, text)
        began = time.monotonic()
        fault.happen()
        self.show(f"after: {text}")
        self.cluster.wait_whole(self.options.recover_seconds)
        took = time.monotonic() - began
        self.record("h", plan.number, f"whole after {took:.1f} s")
        self.screen.line(f"{self.now_ms() / 1000:7.1f} s  {plan.number:3}  {text}: whole after "
                         f"{took:.1f} s")

    def go_on(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(0.5, max(0.0, end - time.monotonic())))
            self.show("")

    def faults(self):
        """Until the time is over, or the cluster does not recover."""
        options = self.options
        end = time.monotonic() + 60 * options.minutes
        self.go_on(2)
        for plan in schedule.plans(options.seed, options.nodes, options.faults):
            if time.monotonic() >= end or len(self.done) >= options.max_faults:
                break
            if len(self.left_out) == len(options.faults):
                self.go_on(max(0, end - time.monotonic()))
                break
            if plan.kind in self.left_out:
                continue
            self.one_fault(plan)
            if min(one.room_mb() for one in self.disks) < ROOM_MB:
                self.screen.line(f"chaos: less than {ROOM_MB} MB left on a disk: ending here")
                break
            self.go_on(plan.calm)

    def finish(self):
        """All is read, nodes end in order, and the list of replicas to compare is written."""
        self.screen.line("chaos: reading everything once more")
        if not self.load.finish(3600):
            self.problems.append("not everything could be read at the end")
        # Who is in sync is compared below: a node that hears late of who is not would mislead.
        self.cluster.load = None
        try:
            self.cluster.wait_whole(self.options.recover_seconds)
        except Unhealthy as unhealthy:
            self.problems.append(str(unhealthy))
        places = self.cluster.places()
        for number in self.cluster.end():
            self.problems.append(f"node {number} did not stop in time")
        lines = []
        for (topic, index), partition in sorted(places.items()):
            folders = []
            for number in partition["IsrNodes"]:
                found = self.cluster.nodes[number].replicas(topic, index)
                if len(found) != 1:
                    self.problems.append(f"node {number} has {topic}-{index} in {found}")
                folders += found[:1]
            if folders:
                lines.append(f"{topic}-{index} - {' '.join(folders)}\n")
        path = os.path.join(self.folder, "replicas")
        with open(path, "w", encoding="utf-8") as out:
            out.writelines(lines)
        return path

    def judge(self, checker, replicas):
        words = [checker, *(["--replicas", replicas] if replicas else []),
                 *[path for path in self.histories[::-1] if os.path.exists(path)]]
        result = subprocess.run(words, capture_output=True, text=True, check=False)
        if result.returncode not in (0, 1):
            raise Failure(f"the checker could not judge: {result.stderr.strip()}")
        return json.loads(result.stdout)

    def main(self):
        binaries, target = find_binaries(self.options)
        replicas = None
        try:
            self.start(binaries, target)
            self.faults()
            replicas = self.finish()
        except Unhealthy as unhealthy:
            if self.load is None:
                raise Failure(f"the cluster did not begin: {unhealthy}") from unhealthy
            self.problems.append(str(unhealthy))
            self.screen.line(f"chaos: {unhealthy}")
            self.last_words()
        result = self.result(binaries[1], replicas)
        report.write(self.folder, result)
        found = sum(result["anomalies"].values())
        bad = found + len(self.problems) > 0
        self.close(keep=bad or self.options.keep)
        print(report.text_report(result) if bad else "", end="")
        print(f"chaos: report.txt, report.json and timeline.svg are in {self.folder}"
              + (", with logs, data and history" if bad or self.options.keep else ""))
        print(result["summary"], flush=True)
        return 1 if bad else 0

    def last_words(self):
        """The cluster is not whole. What was acknowledged must be there even so, when it can be
        read."""
        try:
            if not self.load.finish(120):
                self.screen.line("chaos: not everything could be read")
        except Failure as failure:
            self.screen.line(f"chaos: {failure}")

    def result(self, checker, replicas):
        verdict = self.judge(checker, replicas)
        result = {
            "command": "scripts/chaos " + " ".join(shlex.quote(word) for word in sys.argv[1:])
                       + ("" if "--seed" in sys.argv else f" --seed {self.options.seed}"),
            "seed": self.options.seed,
            "target": self.options.target,
            "nodes": self.options.nodes,
            "left_out": self.left_out,
            "problems": self.problems,
            "faults": {str(number): fault for number, fault in self.done.items()},
            "anomalies": report.counts(verdict),
            "verdict": verdict,
        }
        result["summary"] = report.summary_line(result)
        return result

    def close(self, keep):
        """Ends what was started and removes what was made: always all processes, networks and
        mounts, and the files where they need not be kept."""
        if self.load is not None:
            self.load.kill()
        if self.cluster is not None:
            self.cluster.kill()
        if self.network is not None:
            self.network.close()
        for one in self.disks:
            if keep:
                one.keep()
            one.close()
        self.load = self.cluster = self.network = None
        self.disks = []
        if not keep:
            for path in [*self.histories, self.histories[1] + ".log",
                         os.path.join(self.folder, disk.OWNER),
                         *glob.glob(os.path.join(self.folder, "replicas")),
                         *glob.glob(os.path.join(self.folder, "node-*"))]:
                if os.path.isdir(path):
                    shutil.rmtree(path, ignore_errors=True)
                elif os.path.exists(path):
                    os.unlink(path)
            if not os.listdir(self.folder):
                os.rmdir(self.folder)


def interrupt(number, _frame):
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise Interrupted(signal.Signals(number).name)


def print_plan(options):
    for plan in schedule.plans(options.seed, options.nodes, options.faults):
        if plan.number > 30:
            return
        print(f"{plan.number:3} {plan.kind:10} node {plan.victim}, other {plan.other}, "
              f"choice {plan.choice:.3f}, {plan.how}, hold {plan.hold} s, calm {plan.calm} s")


def main():
    options = parse(sys.argv[1:])
    if options.plan:
        print_plan(options)
        return 0
    for number in SIGNALS:
        signal.signal(number, interrupt)
    this = None
    try:
        this = Run(options)
        return this.main()
    except Failure as failure:
        print(f"chaos: {failure}", file=sys.stderr)
        if this is not None:
            this.close(keep=True)
            print(f"chaos: files are in {this.folder}", file=sys.stderr)
        return 2
    except Interrupted as interrupted:
        print(f"\nchaos: ended by {interrupted}; removing everything", file=sys.stderr)
        if this is not None:
            this.close(keep=options.keep)
        return 130
    except BaseException:
        if this is not None:
            this.close(keep=True)
        raise


if __name__ == "__main__":
    sys.exit(main())
