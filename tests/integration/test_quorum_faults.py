#!/usr/bin/python3
"""What goes wrong with a quorum of three processes, and what each node says about it.

usage: test_quorum_faults.py KRAFTD [--only NAME]...

test_quorum.py has the wiped disk, nodes of another cluster, a taken node id and a copied directory.
Here: a voter that comes back after its replacement, a majority that is gone or was wiped, damaged
metadata on one node and on a majority, a changed cluster id, a list of another cluster's
controllers, a copied directory of a broker, strangers that speak the quorum's language, a full disk
under the leader.
"""

import argparse
import concurrent.futures
import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import uuid

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness import PATIENCE_S, check, ended, eventually, settled
from test_quorum import Cluster, Member, copy_directory

CONFIG = ("controller.quorum.election.timeout.ms=1000", "broker.session.timeout.ms=4000",
          "broker.heartbeat.interval.ms=400")
# Where nobody leads anyhow: what takes many of them comes sooner.
IMPATIENT = "controller.quorum.election.timeout.ms=300"
SEGMENT = "00000000000000000000.log"
CHECKPOINTS = "metadata.log.max.record.bytes.between.snapshots=2048"


def set_config(node, *lines):
    keys = tuple(line.split("=")[0] + "=" for line in lines)
    with open(node.properties, encoding="utf-8") as f:
        kept = [line for line in f if not line.startswith(keys)]
    with open(node.properties, "w", encoding="utf-8") as f:
        f.writelines([*kept, *(line + "\n" for line in lines)])


@contextlib.contextmanager
def cluster_of(kraftd, *config, disks=()):
    """Three nodes that formed a cluster and committed a topic."""
    cluster = Cluster(kraftd)
    with ended(cluster.nodes):
        for i, node in enumerate(cluster.nodes):
            if disks:
                node.data = disks[i]
            set_config(node, *CONFIG, f"log.dirs={node.data}", *config)
            node.launch()
        cluster.commit()
        for node in cluster.nodes:
            node.wait_ready()
        yield cluster
        for node in cluster.nodes:
            check(node.stop() in (0, 1, 143, -9), f"ended badly:\n{node.log(100)}")


def leader_and_others(cluster):
    leader = cluster.leader()
    return leader, [node for node in cluster.nodes if node is not leader]


def number(cluster, node):
    return cluster.nodes.index(node) + 1


def metadata(node, *names):
    return os.path.join(node.data, "__cluster_metadata-0", *names)


def directory_id(node):
    with open(os.path.join(node.data, "meta.properties"), encoding="utf-8") as f:
        return re.search("directory.id=(.*)", f.read()).group(1)


def strays(node):
    return [name for name in os.listdir(node.data) if name.endswith("-stray")]


def damage(path, at=200):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 0xFF]))


def line_with(node, *words):
    """Waits until the node says them all in one line: what it said before it knew so much does not
    count."""
    def found():
        return next((line for line in node.since_start().splitlines()
                     if all(word in line for word in words)), None)

    return eventually(lambda: f"{words} in the node's log:\n{node.log()}", found)


def ends(node, seconds=PATIENCE_S):
    try:
        return node.process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it did not end:\n{node.log()}") from None


def beside(node, data):
    """The same node.id on another directory and other ports."""
    double = Member(node.kraftd)
    ports = {str(node.port): double.port, str(node.controller_port): double.controller_port,
             str(node.admin_port): double.admin_port}
    with open(node.properties, encoding="utf-8") as f:
        text = re.sub(rf"^log.dirs=.*$", f"log.dirs={data}", f.read(), flags=re.M)
    lines = []
    for line in text.splitlines():
        if line.startswith(("listeners=", "kraftd.admin.listener=")):
            line = re.sub(r":(\d+)\b", lambda m: f":{ports.get(m.group(1), m.group(1))}", line)
        lines.append(line + "\n")
    with open(double.properties, "w", encoding="utf-8") as f:
        f.writelines(lines)
    return double


def replaced_voter_returns(kraftd):
    """The old disk gets no vote again, says so, and does not keep the new one out."""
    with cluster_of(kraftd) as cluster:
        leader, (node, third) = leader_and_others(cluster)
        old_id, old, new = directory_id(node), node.data + ".old", node.data + ".new"
        node.kill()
        os.rename(node.data, old)
        node.launch()
        cluster.wait_for_any("has caught up: making it a voter")
        node.wait_ready()
        new_id = directory_id(node)
        node.kill()
        os.rename(node.data, new)
        os.rename(old, node.data)
        node.launch()
        node.wait_for("follows it as an observer from now on")
        line = node.wait_for("follows without a vote")
        check(new_id in line and old_id in line and f"Node {number(cluster, node)} votes" in line,
              line)
        # The disk that votes comes back as well: it is let in, and the quorum stands on it.
        double = beside(node, new)
        with ended((double,)):
            double.launch()
            double.wait_for("Connected to node")
            cluster.wait_for_any(f"Connected to node {number(cluster, node)} of the quorum"
                                 f" at 127.0.0.1:{double.controller_port}")
            third.kill()
            cluster.commit(leader)
            third.launch()
            third.wait_ready()


def majority_lost(kraftd):
    """Two nodes are gone: the survivor names them. Their disks were wiped: it says what is left."""
    with cluster_of(kraftd, IMPATIENT) as cluster:
        survivor, others = leader_and_others(cluster)
        for node in others:
            node.kill()
        line_with(survivor, "No leader for", "1 of the 3 voters are here and 2 are needed",
                  *(f"node {number(cluster, node)} at 127.0.0.1:{node.controller_port} "
                    "(Connection refused)" for node in others))
        before = [directory_id(node) for node in others]
        for node in others:
            os.rename(node.data, node.data + ".lost")
            node.launch()
        line_with(survivor, "The disks of 2 of the 3 voters are lost", *before, "up to offset",
                  "Put one of the lost log directories back")
        for node in others:
            node.wait_for("exists and does not know this disk")
            check("Formed a new cluster" not in node.since_start(), "a second cluster was formed")
        # As it says: one of the disks comes back, and the other one is replaced.
        others[0].kill()
        shutil.rmtree(others[0].data)
        os.rename(others[0].data + ".lost", others[0].data)
        others[0].launch()
        cluster.commit(others[0])
        for node in cluster.nodes:
            node.wait_ready()
        cluster.all_agree()


def everywhere(cluster, topic):
    """All replicas of all partitions are in sync."""
    client = AdminClient({"bootstrap.servers": cluster.leader().bootstrap, "log_level": 0})

    def in_sync():
        partitions = client.list_topics(topic, timeout=60).topics[topic].partitions
        found = {i: sorted(p.isrs) for i, p in partitions.items()}
        check(found and all(ids == [1, 2, 3] for ids in found.values()), f"in sync: {found}")

    settled(in_sync)


def write(cluster, topic, count):
    failed = []
    producer = Producer({"bootstrap.servers": cluster.leader().bootstrap, "acks": "all",
                         "log_level": 0})
    for i in range(count):
        producer.produce(topic, str(i), on_delivery=lambda e, m: e and failed.append(str(e)))
    check(producer.flush(PATIENCE_S) == 0 and not failed, f"not written: {failed[:3]}")


def damaged_log(kraftd):
    """One node's metadata log is damaged: it joins again as a new disk, the others serve on, and
    its partitions come back. Its newest checkpoint, how it voted: the same."""
    with cluster_of(kraftd, CHECKPOINTS) as cluster:
        for _ in range(4):
            cluster.commit()
        client = AdminClient({"bootstrap.servers": cluster.leader().bootstrap, "log_level": 0})
        client.create_topics([NewTopic("data", 6, 3)])["data"].result()
        write(cluster, "data", 100)
        everywhere(cluster, "data")
        leader, (node, _) = leader_and_others(cluster)
        for turn, what in enumerate((".log", ".checkpoint", "quorum-state")):
            old_id = directory_id(node)
            making = f"node {number(cluster, node)} has caught up: making it a"
            made = cluster.times_said(making, [node])
            check(node.stop() in (0, 143), "ended badly")
            files = sorted(name for name in os.listdir(metadata(node)) if name.endswith(what)
                           and not name.startswith("0" * 20 + "-"))
            check(files, f"no {what} among {os.listdir(metadata(node))}")
            for name in files if what == ".checkpoint" else files[-1:]:
                damage(metadata(node, name), 30)
            node.launch()
            line = node.wait_for("ERROR .*(damaged|behind its newest whole|no checkpoint of what)")
            node.wait_for("The damaged metadata log is kept as .*-stray")
            node.wait_for("Ready ")
            check(directory_id(node) != old_id, "it has its old directory id")
            check(len(strays(node)) == turn + 1, f"strays: {strays(node)}")
            eventually(f"node {number(cluster, node)} is made a voter",
                       lambda making=making, made=made, node=node:
                       cluster.times_said(making, [node]) > made)
            cluster.commit(node)
            cluster.all_agree()
            write(cluster, "data", 100)
            everywhere(cluster, "data")
            print(f"damaged {what.strip(chr(46))}: {line[line.index('ERROR'):][:120]} ...")


def damaged_majority(kraftd):
    """Nobody leads: what is damaged is left as it is, and the node says what to do."""
    with cluster_of(kraftd, IMPATIENT) as cluster:
        for node in cluster.nodes:
            check(node.stop() in (0, 143), "ended badly")
        healthy, *others = cluster.nodes
        for node in others:
            damage(metadata(node, SEGMENT), 300)
        healthy.launch()
        for node in others:
            node.launch()
        for node in others:
            node.wait_for("FATAL No other controller knows a leader")
            check(ends(node) == 1, "it did not end with 1")
            check(not strays(node), f"it moved {strays(node)}")
        line = healthy.wait_for("No leader for .*2 are needed")
        # One of them is mended: the other one joins again by itself.
        damage(metadata(others[0], SEGMENT), 300)
        for node in others:
            node.launch()
        for node in cluster.nodes:
            node.wait_for("Ready ")
        cluster.commit()
        cluster.all_agree()
        check("Start them with the log directories they had" in line, line)


def changed_cluster_id(kraftd):
    with cluster_of(kraftd) as cluster:
        _, (node, _) = leader_and_others(cluster)
        node.kill()
        path = os.path.join(node.data, "meta.properties")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        old = re.search("cluster.id=(.*)", text).group(1)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace(old, "AnotherClusterAAAAAAAA"))
        node.launch()
        line = node.wait_for("FATAL")
        check(old in line and "AnotherClusterAAAAAAAA" in line, line)
        check(ends(node) == 1, "it did not end with 1")
        # Also without what the formation left: no voter talks to it.
        os.unlink(os.path.join(node.data, "kraftd.formation"))
        node.launch()
        line = node.wait_for("refuses to talk to this one")
        check(old in line and "AnotherClusterAAAAAAAA" in line, line)
        node.kill()
        cluster.commit()
        # A directory of another node.id.
        with open(path, "w", encoding="utf-8") as f:
            f.write(re.sub("node.id=.*", "node.id=77", text))
        node.launch()
        line = node.wait_for("FATAL .*belongs to node.id 77, but this node is")
        check(ends(node) == 1, "it did not end with 1")


def wrong_list(kraftd):
    """A voter that is started with the controllers of another cluster: it says so, changes nothing
    of its disk and stays with its own cluster, whose voters it knows from its log."""
    with cluster_of(kraftd) as cluster, cluster_of(kraftd) as other:
        _, (node, _) = leader_and_others(cluster)
        own = directory_id(node)
        check(node.stop() in (0, 143), "it does not stop")
        number_of = cluster.nodes.index(node)
        listed = [n if i != number_of else node for i, n in enumerate(other.nodes)]
        set_config(node, "controller.quorum.voters=" + ",".join(
            f"{i + 1}@127.0.0.1:{n.controller_port}" for i, n in enumerate(listed)))
        node.launch()
        node.wait_for("a wrong address, or two clusters that share a list")
        node.wait_ready()
        cluster.commit()
        cluster.all_agree()
        check(directory_id(node) == own, "it has a new directory id")


def wrong_listener(kraftd):
    """A broker's listener is named as a controller's: the ports are easily confused."""
    broker, controller = Member(kraftd), Member(kraftd)
    with cluster_of(kraftd) as cluster, ended((broker, controller)):
        wrong = f"controller.quorum.bootstrap.servers={cluster.nodes[0].bootstrap}"
        set_config(broker, "process.roles=broker", "node.id=8", wrong,
                   f"listeners=PLAINTEXT://127.0.0.1:{broker.port}")
        set_config(controller, "node.id=9", f"{wrong},127.0.0.1:{controller.controller_port}")
        for node in (broker, controller):
            node.launch()
        broker.wait_for(f"{cluster.nodes[0].bootstrap} does not say which cluster .*broker's lis")
        controller.wait_for(f"{cluster.nodes[0].bootstrap} closes the connection")


def copied_broker(kraftd):
    """A broker's directory was copied and the copy runs beside it: where that listens at another
    place it is refused until the first one has lost its place; where it advertises the same one,
    it takes that. The broker that was there stops."""
    first, copy = Member(kraftd), Member(kraftd)
    with cluster_of(kraftd) as cluster, ended((first, copy)):
        for node in (first, copy):
            set_config(node, *CONFIG, "process.roles=broker", "node.id=9", cluster.servers(),
                       f"listeners=PLAINTEXT://127.0.0.1:{node.port}")
        first.launch()
        first.wait_ready()
        copy_directory(first.data, copy.data)
        copy.launch()
        copy.wait_for("refused the registration of broker 9.*This broker ID is already in use")
        check(first.process.poll() is None, "the first one ended")
        # The first one is frozen until its session is over: the copy has its place then.
        first.process.send_signal(signal.SIGSTOP)
        copy.wait_ready()
        first.process.send_signal(signal.SIGCONT)
        first.wait_for("FATAL .*Another process registered as broker 9, at 127.0.0.1")
        check(ends(first) == 1, "it did not end with 1")
        copy.kill()
        first.launch()
        first.wait_ready()
        set_config(copy, f"advertised.listeners=PLAINTEXT://127.0.0.1:{first.port}")
        copy.launch()
        first.wait_for("FATAL .*Another process registered as broker 9, at 127.0.0.1")
        check(ends(first) == 1, "it did not end with 1")


def compact(text):
    return bytes([len(text) + 1]) + text.encode()


class Stranger:
    """Speaks the messages of raft/quorum_wire.h."""

    HELLO, APPEND_RESULT, VOTE, TIMEOUT_NOW = 30000, 30003, 30004, 30007

    def __init__(self, node):
        self.socket = socket.create_connection(("127.0.0.1", node.controller_port), timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, key, body, times=1):
        """The answer's body behind its header; None when the connection is closed instead."""
        frame = struct.pack(">hhih", key, 0, 7, 1) + b"x\0" + body + b"\0"
        try:
            self.socket.sendall((struct.pack(">i", len(frame)) + frame) * times)
            size = self.socket.recv(4, socket.MSG_WAITALL)
            answer = self.socket.recv(struct.unpack(">i", size)[0], socket.MSG_WAITALL)
            return answer[5:]
        except (OSError, struct.error):
            return None

    def hello(self, cluster_id, node_id, directory, incarnation=None):
        """(error code, message)"""
        answer = self.ask(self.HELLO, compact(cluster_id) + struct.pack(">i", node_id) + directory
                          + (incarnation or uuid.uuid4().bytes) + struct.pack(">i", -1) + bytes(16)
                          + struct.pack(">h?", 0, True) + bytes([2]) + compact("CONTROLLER")
                          + compact("127.0.0.1") + struct.pack(">H", 9) + b"\0")
        code = struct.unpack(">h", answer[:2])[0]
        return code, answer[2:].decode(errors="replace")

    def error(self, key, body):
        answer = self.ask(key, body)
        return None if answer is None else struct.unpack(">h", answer[:2])[0]


def strangers(kraftd):
    """Whoever is no member changes nothing, whatever it says; nobody gets another's place."""
    # No election but for a stranger.
    with cluster_of(kraftd, "controller.quorum.election.timeout.ms=5000") as cluster:
        leader, (node, _) = leader_and_others(cluster)
        epoch = leader.leads()
        vote = struct.pack(">qqq??", 1000, 1 << 40, 999, True, False)
        now = struct.pack(">qqq", 1000, 1 << 40, 999)
        result = struct.pack(">qqq", 1000, 0, 1 << 40)
        own = uuid.uuid4().bytes
        cluster_id = re.search(r"cluster.id=(\S+)",
                               leader.wait_for("Formed a new cluster")).group(1)
        for target in (leader, node):
            for other in cluster.nodes:  # whom it has not heard yet is not known to live
                if other is not target:
                    other.wait_for(f"Connected to node {number(cluster, target)} of the quorum")
            with Stranger(target) as stranger:
                for key, body in ((Stranger.VOTE, vote), (Stranger.TIMEOUT_NOW, now)):
                    check(stranger.error(key, body) != 0, "it was heard without a hello")
            with Stranger(target) as stranger:
                code, text = stranger.hello("AnotherClusterAAAAAAAA", 9, own)
                check(code == 104 and "AnotherClusterAAAAAAAA" in text and cluster_id in text,
                      f"another cluster: {code} {text}")
                check(stranger.error(Stranger.VOTE, vote) != 0, "it was heard though refused")
            for number_of in (1, 2, 3):
                with Stranger(target) as stranger:
                    code, text = stranger.hello(cluster_id, number_of, own)
                    check(code == 126 and "live node" in text and f"node.id {number_of}" in text,
                          f"a taken node id: {code} {text}")
            with Stranger(target) as stranger:
                code, text = stranger.hello(cluster_id, 9, own)
                check(code == 0, f"a new node: {code} {text}")
                for key, body in ((Stranger.VOTE, vote), (Stranger.TIMEOUT_NOW, now),
                                  (Stranger.APPEND_RESULT, result)):
                    check(stranger.error(key, body) in (0, None), "not even acknowledged")
                stranger.error(Stranger.VOTE, vote[:5])
            life, replaced = uuid.uuid4().bytes, "its session is over: the node connected again"
            directory = uuid.uuid4().bytes
            with Stranger(target) as stranger, Stranger(target) as later:
                for one in (stranger, later):
                    code, text = one.hello(cluster_id, 10, directory, life)
                    check(code == 0, f"a node that connects again: {code} {text}")
                check(stranger.ask(Stranger.VOTE, vote, times=9) is None, "two connections")
                check(later.error(Stranger.VOTE, vote) == 0, "the later one is not heard")
            check(target.log(100000).count(replaced) == 1, "not said once what took it")
        cluster.commit()
        cluster.all_agree()
        check(leader.leads() == epoch, "a stranger unseated the leader")


@contextlib.contextmanager
def small_disks(folder, count):
    """Paths of mounted file systems; none where that is not allowed."""
    paths = []
    try:
        for i in range(count):
            path = os.path.join(folder, f"disk-{i}")
            os.mkdir(path)
            mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "kraftd-test", path]
            if os.geteuid() != 0 or subprocess.run(mount, capture_output=True,
                                                   check=False).returncode != 0:
                break
            paths.append(path)
        yield paths if len(paths) == count else []
    finally:
        for path in paths:
            subprocess.run(["umount", "-l", path], check=False)


def fill(path):
    with open(path, "wb", buffering=0) as f:
        for size in (65536, 1):
            with contextlib.suppress(OSError):
                while True:
                    f.write(bytes(size))


def full_disk(kraftd):
    """The leader's disk is full: it stops, another one leads; with room it comes back."""
    with tempfile.TemporaryDirectory() as folder, small_disks(folder, 3) as disks:
        if not disks:
            print("full_disk: left out, file systems cannot be mounted here")
            return
        with cluster_of(kraftd, disks=disks) as cluster:
            leader = cluster.leader()
            epoch = leader.leads()
            filler = os.path.join(leader.data, "filler")
            fill(filler)
            eventually("it stops without room",
                       lambda: leader.process.poll() is not None or not cluster.commit())
            line = leader.wait_for("FATAL")
            check("No space left on device" in line, line)
            ends(leader)
            cluster.commit()
            check(cluster.leader().leads() > epoch, "nobody took over")
            os.unlink(filler)
            leader.launch()
            leader.wait_ready()
            cluster.all_agree()


PARTS = {part.__name__: part for part in (
    damaged_majority, majority_lost, damaged_log, strangers, replaced_voter_returns, full_disk,
    changed_cluster_id, wrong_list, wrong_listener, copied_broker)}


def run(kraftd, name):
    begin = time.monotonic()
    PARTS[name](kraftd)
    print(f"{name}: {time.monotonic() - begin:.1f} s", flush=True)


def main():
    arguments = argparse.ArgumentParser(description="Faults of a quorum")
    arguments.add_argument("kraftd", type=os.path.abspath)
    arguments.add_argument("--only", action="append", choices=list(PARTS))
    arguments = arguments.parse_args()
    # They wait more than they work.
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        parts = [pool.submit(run, arguments.kraftd, name) for name in arguments.only or PARTS]
    for part in parts:
        part.result()


if __name__ == "__main__":
    main()
