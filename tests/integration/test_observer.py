#!/usr/bin/python3
"""Brokers without the controller's role: they follow the metadata log of a controller.

usage: test_observer.py KRAFTD [--topics N]

N (500) is how many topics a broker has that restarts from its own checkpoint.
"""

import argparse
import glob
import itertools
import os
import shutil
import subprocess
import time
import urllib.request

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from harness import PATIENCE_S, Node, check, ended, eventually


class Cluster:
    """A controller and two brokers."""

    def __init__(self, kraftd):
        self.kraftd = kraftd
        self.controller = Node(
            kraftd,
            config=[
                "process.roles=controller",
                # Checkpoints after each few records, and none but the newest is kept.
                "metadata.log.max.record.bytes.between.snapshots=5000",
                "metadata.max.retention.bytes=1",
                "metadata.log.segment.ms=500",
            ],
        )
        self.serve_only(self.controller, "CONTROLLER", self.controller.controller_port)
        self.brokers = [self.broker(2), self.broker(3)]

    @staticmethod
    def serve_only(node, name, port):
        with open(node.properties, "a", encoding="utf-8") as f:
            f.write(f"listeners={name}://127.0.0.1:{port}\n")

    def broker(self, node_id):
        servers = f"127.0.0.1:{self.controller.controller_port}"
        node = Node(
            self.kraftd,
            config=[
                "process.roles=broker",
                f"node.id={node_id}",
                f"controller.quorum.bootstrap.servers={servers}",
            ],
        )
        self.serve_only(node, "PLAINTEXT", node.port)
        return node

    def nodes(self):
        return [*self.brokers, self.controller]


def admin(node):
    return AdminClient({"bootstrap.servers": node.bootstrap})


def create(node, names, partitions=1):
    client = admin(node)
    wanted = [NewTopic(name, partitions, 1) for name in names]
    for future in client.create_topics(wanted).values():
        future.result(PATIENCE_S)


def delete(node, names):
    client = admin(node)
    for future in client.delete_topics(list(names)).values():
        future.result(PATIENCE_S)


def topics_of(node):
    return set(admin(node).list_topics(timeout=60).topics)


def wait_same_topics(cluster):
    """Each broker hears of what was done in its own time."""
    first, second = cluster.brokers
    eventually(lambda: f"the brokers know the same topics: {topics_of(first) ^ topics_of(second)}",
               lambda: topics_of(first) == topics_of(second))


def metadata_dir(node):
    return os.path.join(node.data, "__cluster_metadata-0")


def segments(node):
    """Where the segments of its metadata log begin. One that is made from now on begins behind all
    that is there."""
    return [int(os.path.basename(path)[:20])
            for path in glob.glob(os.path.join(metadata_dir(node), "*.log"))]


def checkpoints(node):
    return sorted(glob.glob(os.path.join(metadata_dir(node), "*.checkpoint")))


def make_and_delete(node, name, begins_behind):
    """Topics come and go until the metadata logs begin behind offsets: `begins_behind` has these by
    node."""
    turns = itertools.count()

    def trimmed():
        if all(min(segments(one)) > offset for one, offset in begins_behind.items()):
            return True
        names = [f"{name}-{next(turns)}-{i}" for i in range(20)]
        create(node, names)
        delete(node, names[1:])
        time.sleep(0.6)
        return False

    eventually("the metadata logs are trimmed", trimmed)


def write_to(node, topic, count=100):
    failed = []
    producer = Producer({"bootstrap.servers": node.bootstrap})
    for i in range(count):
        producer.produce(topic, str(i), on_delivery=lambda e, m: e and failed.append(str(e)))
    check(producer.flush(PATIENCE_S) == 0 and not failed, f"writing failed: {failed[:3]}")


def a_blank_broker_stops_while_it_looks(cluster):
    alone = cluster.broker(8)
    with ended((alone,)):
        try:
            alone.start(wait_s=1)
            check(False, "ready without a controller")
        except RuntimeError:
            pass
        eventually("it says whom it asks", lambda: "asking 1 listed controllers" in alone.log())
        check(alone.stop() in (0, 143), "it does not stop")
    print("a blank broker stops while it looks: ok")


def blank_brokers_join(cluster):
    """Nothing is formatted: the controller forms a cluster, the brokers learn which one it is."""
    for node in [cluster.controller, *cluster.brokers]:
        node.start()
    first, second = cluster.brokers
    create(first, [f"t{i}" for i in range(10)], 4)
    eventually("the topics on the other broker", lambda: len(topics_of(second)) == 10)
    write_to(second, "t3")
    url = f"http://127.0.0.1:{second.admin_port}/metrics"

    def observes():
        with urllib.request.urlopen(url, timeout=60) as answer:
            return 'current_state="observer"' in answer.read().decode()

    eventually("the metric says observer", observes)

    def owners():
        return {p.leader for t in admin(first).list_topics(timeout=60).topics.values()
                for p in t.partitions.values()}

    eventually(lambda: f"both brokers lead partitions: {owners()}", lambda: owners() == {2, 3})
    ids = set()
    for node in cluster.nodes():
        with open(os.path.join(node.data, "meta.properties"), encoding="ascii") as f:
            ids |= {line for line in f if line.startswith("cluster.id=")}
    check(len(ids) == 1, f"cluster ids: {ids}")
    print("blank brokers join: ok")


def a_restart_goes_on(cluster):
    first, second = cluster.brokers
    second.stop()
    create(first, ["while-away"])
    second.start()
    eventually("the new topic", lambda: "while-away" in topics_of(second))
    second.kill()
    second.start()
    eventually("the topic again", lambda: "while-away" in topics_of(second))
    cluster.controller.kill()
    cluster.controller.start()
    create(first, ["after-the-controller"])
    eventually("the last topic", lambda: "after-the-controller" in topics_of(second))
    print("a restart goes on: ok")


def who_lags_takes_a_checkpoint(cluster):
    first, second = cluster.brokers
    second.stop()
    make_and_delete(first, "short", {cluster.controller: max(segments(cluster.controller))})
    second.start()
    took = "Took the leader's checkpoint" in second.log(last=10000)
    check(took, "no checkpoint was taken\n" + second.log())
    wait_same_topics(cluster)
    check(checkpoints(second), "the checkpoint is not in the broker's directory")
    # From its own files.
    second.stop()
    second.start()
    wait_same_topics(cluster)
    write_to(second, "t5")
    print("who lags takes a checkpoint: ok")


def a_damaged_log_is_fetched_again(cluster):
    _, second = cluster.brokers
    second.stop()
    newest = max(glob.glob(os.path.join(metadata_dir(second), "*.log")))
    with open(newest, "r+b") as f:
        f.seek(0, os.SEEK_END)
        f.seek(max(f.tell() // 2, 0))
        f.write(b"\xff" * 40)
    second.start()
    wait_same_topics(cluster)
    second.stop()
    shutil.rmtree(metadata_dir(second))
    second.start()
    wait_same_topics(cluster)
    print("a damaged log is fetched again: ok")


def restarts_from_its_own_checkpoint(cluster, count):
    """Its log and the leader's begin behind the topics: these come from what it wrote itself."""
    leader = cluster.brokers[0]
    broker = cluster.broker(4)
    with open(broker.properties, "a", encoding="utf-8") as f:
        f.write("metadata.log.max.record.bytes.between.snapshots=10000\n"
                "metadata.max.retention.bytes=1\nmetadata.log.segment.ms=500\n")
    with ended((broker,)):
        broker.start()
        client = admin(leader)
        for begin in range(0, count, 500):
            wanted = [NewTopic(f"many-{i}", 1, replica_assignment=[[2]])
                      for i in range(begin, min(begin + 500, count))]
            for future in client.create_topics(wanted).values():
                future.result(PATIENCE_S)
        eventually("all topics", lambda: len(topics_of(broker)) == len(topics_of(leader)))
        make_and_delete(leader, "more",
                        {node: max(segments(node)) for node in (broker, cluster.controller)})
        eventually("both know the same", lambda: topics_of(broker) == topics_of(leader))
        took = eventually("it restarts before the leader's log is trimmed again",
                          lambda: restart(broker, cluster.controller))
        print(f"{len(topics_of(broker))} topics from its own checkpoint, ready after {took:.2f} s: "
              "ok")
        check(broker.stop() in (0, 143), "it does not stop")


def restart(broker, controller):
    """How long it took; None where the controller made a checkpoint meanwhile, so that its log may
    begin behind what the broker has."""
    topics, before = topics_of(broker), checkpoints(controller)
    check(broker.stop() in (0, 143), "it does not stop")
    began = time.monotonic()
    broker.start()
    took = time.monotonic() - began
    with open(broker.log_path, encoding="utf-8") as f:
        f.seek(broker.log_from)
        own = "Took the leader's checkpoint" not in f.read()
    check(topics_of(broker) == topics, "it does not have all topics")
    if checkpoints(controller) != before:
        return None
    check(own, "it took the leader's checkpoint")
    return took


def another_cluster_is_refused(cluster):
    """Directories of one cluster, controllers of another."""
    stranger = cluster.broker(9)
    tool = os.path.join(os.path.dirname(cluster.kraftd), "kafka-storage")
    subprocess.run(
        [tool, "format", "-t", "5L6g3nShT-eMCtK--X86sw", "-c", stranger.properties],
        check=True,
        capture_output=True,
    )
    with open(os.path.join(cluster.controller.data, "meta.properties"), encoding="ascii") as f:
        theirs = next(line[11:].strip() for line in f if line.startswith("cluster.id="))
    said = (
        f"is of another cluster, {theirs}, than this node, whose cluster.id is "
        "5L6g3nShT-eMCtK--X86sw"
    )
    with ended((stranger,)):
        try:
            stranger.start(wait_s=4)
            check(False, "a broker of another cluster became ready")
        except RuntimeError:
            pass
        eventually(lambda: f"it says so\n{stranger.log()}", lambda: said in stranger.log())
        check(stranger.stop() in (0, 143), "it does not stop")
    print("another cluster is refused: ok")


def main():
    arguments = argparse.ArgumentParser(description="Brokers without the controller's role")
    arguments.add_argument("kraftd", type=os.path.abspath)
    arguments.add_argument("--topics", type=int, default=500)
    arguments = arguments.parse_args()
    cluster = Cluster(arguments.kraftd)
    with ended(cluster.nodes()):
        a_blank_broker_stops_while_it_looks(cluster)
        blank_brokers_join(cluster)
        a_restart_goes_on(cluster)
        who_lags_takes_a_checkpoint(cluster)
        a_damaged_log_is_fetched_again(cluster)
        another_cluster_is_refused(cluster)
        restarts_from_its_own_checkpoint(cluster, arguments.topics)
        for node in cluster.nodes():
            code = node.stop()
            check(code in (0, 143), f"kraftd ended with {code}\n{node.log(200)}")


if __name__ == "__main__":
    main()
