#!/usr/bin/python3
"""What replicas do with bytes that are wrong: each ends in a safe state, with a clear sentence.

usage: test_replica_faults.py KRAFTD [PART...]

Three processes that replicate through proxies, which damage what a leader answers: batches and
frames. Then logs of another topic, of another cluster and with epochs that never were, and a
segment that is damaged on the disk of the broker that leads. Nothing that was acknowledged is lost,
and the replicas are equal in the end.
"""

import argparse
import glob
import os
import re
import shutil
import socket
import struct
import threading
import time

from confluent_kafka import Consumer, KafkaError, TopicPartition

from harness import PATIENCE_S, check, eventually, free_ports, run_parts, together
from test_bad_input import crc32c
from test_quorum_faults import damage, ends
from test_replication import Replicated, leader_of

FETCH_BACKOFF_MS = 100
BAD_CRC = "kafka_server_brokertopicmetrics_invalidmessagecrcrecords_total"


class Proxy:
    """Stands before a node's listener for brokers. What the node answers goes frame by frame to
    `damage`, which returns the bytes to send instead, or None where there is nothing to damage."""

    def __init__(self, target):
        self.target, self.port = target, free_ports(1)[0]
        self.damage, self.damaged, self.lock = None, 0, threading.Lock()
        self.open()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def close(self):
        """So that the port refuses, as that of a process that is gone."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self, listener):
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            for work in (self.requests, self.answers):
                threading.Thread(target=work, args=(client, server), daemon=True).start()

    def requests(self, client, server):
        try:
            while data := client.recv(65536):
                server.sendall(data)
        except OSError:
            pass
        self.end(client, server)

    def answers(self, client, server):
        try:
            while size := server.recv(4, socket.MSG_WAITALL):
                frame = size + server.recv(struct.unpack(">i", size)[0], socket.MSG_WAITALL)
                with self.lock:
                    other = self.damage(frame) if self.damage else None
                    self.damaged += other is not None
                client.sendall(frame if other is None else other)
        except (OSError, struct.error):
            pass
        self.end(client, server)

    def end(self, *sockets):
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Proxied(Replicated):
    def __init__(self, kraftd):
        super().__init__(kraftd)
        self.proxies = {}
        for node in self.nodes:
            port = free_ports(1)[0]
            proxy = self.proxies[node] = Proxy(port)
            with open(node.properties, "a", encoding="utf-8") as f:
                f.write(
                    f"listeners=PLAINTEXT://127.0.0.1:{node.port},BROKERS://127.0.0.1:{port},"
                    f"CONTROLLER://127.0.0.1:{node.controller_port}\n"
                    f"advertised.listeners=PLAINTEXT://127.0.0.1:{node.port},"
                    f"BROKERS://127.0.0.1:{proxy.port}\n"
                    "inter.broker.listener.name=BROKERS\n"
                    "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,BROKERS:PLAINTEXT,"
                    "CONTROLLER:PLAINTEXT\n"
                    f"replica.fetch.backoff.ms={FETCH_BACKOFF_MS}\n"
                )

    def kill(self, node):
        self.proxies[node].close()
        node.kill()

    def stop(self, node):
        check(node.stop() in (0, 143), f"it ended badly\n{node.log(100)}")
        self.proxies[node].close()

    def start(self, node):
        self.proxies[node].open()
        node.launch()
        node.wait_ready()

    def number(self, node):
        return self.nodes.index(node) + 1

    def followers(self, topic, partition):
        leader = leader_of(self, topic, partition)
        return [node for node in self.nodes if node is not leader]

    def folder_of(self, node, topic, partition):
        return glob.glob(os.path.join(node.data + "*", f"{topic}-{partition}"))[0]

    def segment(self, node, topic, partition):
        return sorted(glob.glob(os.path.join(self.folder_of(node, topic, partition), "*.log")))[-1]

    def whole(self, *topics):
        for topic in topics:
            self.wait_isr(topic, 3)
            self.read_all(topic)
            self.check_equal(topic)


# --- on the way ---------------------------------------------------------------------------------


def batches_in(frame):
    """Where whole and right batches begin."""
    at, found = 8, []
    while at + 61 <= len(frame):
        size = struct.unpack_from(">i", frame, at + 8)[0]
        end = at + 12 + size
        if (frame[at + 16] == 2 and 49 <= size and end <= len(frame)
                and crc32c(frame[at + 21:end]) == struct.unpack_from(">I", frame, at + 17)[0]):
            found.append((at, end))
            at = end
        else:
            at += 1
    return found


def flipped(frame, at, bit=0x10):
    return frame[:at] + bytes([frame[at] ^ bit]) + frame[at + 1:]


# Of the last batch of an answer: what a follower takes before it is good.
IN_BATCH = {
    "a record": lambda frame, at, end: flipped(frame, end - 4),
    "its checksum": lambda frame, at, end: flipped(frame, at + 17),
    "its attributes": lambda frame, at, end: flipped(frame, at + 22),
    "its magic byte": lambda frame, at, end: flipped(frame, at + 16),
    "its length, to more": lambda frame, at, end: flipped(frame, at + 9),
    "its length, to less": lambda frame, at, end: frame[:at + 8] + struct.pack(">i", 50)
    + frame[at + 12:],
    "its epoch, to one to come": lambda frame, at, end: flipped(frame, at + 13),
    "its base offset, to an earlier one": lambda frame, at, end: frame[:at] + bytes(8)
    + frame[at + 8:],
}
# Of an answer with records: the connection is of no use any more.
IN_FRAME = {
    "its correlation id": lambda frame: flipped(frame, 7),
    "a size without end": lambda frame: b"\x7f\xff\xff\xff" + frame[4:],
    "a size below zero": lambda frame: b"\xff" + frame[1:],
    "its counts": lambda frame: frame[:8] + b"\xff" * 40 + frame[48:],
    "its end": lambda frame: struct.pack(">i", len(frame) - 34) + frame[4:-30],
}


def damaged_answers(cluster, partition, kinds, times):
    """Each kind reaches a follower so often; the producer waits that long for its followers."""
    proxy = cluster.proxies[leader_of(cluster, "wire", partition)]
    for name, change in kinds.items():
        left = [times]

        def once(frame, change=change, left=left):
            found = batches_in(frame) if left[0] else []
            if not found:
                return None
            left[0] -= 1
            return change(frame, found)

        proxy.damage = once
        cluster.produce("wire", 3, only=partition)
        eventually(f"{name} is damaged {times} times", lambda left=left: left[0] == 0)
        proxy.damage = None
    cluster.whole("wire")


def corrupt_batches(cluster):
    """A batch that is not as the leader has it is refused, counted and fetched again."""
    cluster.create("wire", **{"min.insync.replicas": "2"})
    cluster.wait_isr("wire", 3)
    cluster.produce("wire", 400)
    followers = cluster.followers("wire", 0)
    before = sum(cluster.metric(node, BAD_CRC, 0) for node in followers)
    kinds = {name: lambda frame, found, change=change: change(frame, *found[-1])
             for name, change in IN_BATCH.items()}
    damaged_answers(cluster, 0, kinds, times=2)
    counted = sum(cluster.metric(node, BAD_CRC, 0) for node in followers) - before
    # The last three are no matter of a checksum: left alone, and asked for again.
    check(counted >= 8, f"{counted} batches were counted as corrupt")
    number = cluster.number(leader_of(cluster, "wire", 0))
    said = f"Broker {number} sent a corrupt batch of wire-0 at or after offset="
    check(any(said in node.log(100000) for node in followers), "no follower says so")


def broken_frames(cluster):
    """An answer that cannot be read costs the connection and nothing else."""
    kinds = {name: lambda frame, found, change=change: change(frame)
             for name, change in IN_FRAME.items()}
    damaged_answers(cluster, 1, kinds, times=2)


# --- on the disk of a follower ------------------------------------------------------------------


def idle_follower(cluster, topic, partition):
    """Not the active controller, so that nothing else begins when it is stopped."""
    active = cluster.leader()
    return next(node for node in cluster.followers(topic, partition) if node is not active)


def rewrite_epochs(path, epoch, from_batch=0):
    """Stands before the checksum: the batch stays right. Returns how many there are."""
    with open(path, "r+b") as f:
        content = bytearray(f.read())
        found = batches_in(b"\0" * 8 + bytes(content))
        for at, _ in found[from_batch:]:
            struct.pack_into(">i", content, at - 8 + 12, epoch)
        f.seek(0)
        f.write(content)
    return len(found)


def set_epochs(folder, lines):
    path = os.path.join(folder, "leader-epoch-checkpoint")
    with open(path, "w", encoding="ascii") as f:
        f.write(f"0\n{len(lines)}\n" + "".join(f"{epoch} {at}\n" for epoch, at in lines))


def another_topic(cluster):
    """A directory with the topic id of another one is not this partition's: it is kept aside, and
    the partition is made anew from its leader."""
    node = idle_follower(cluster, "wire", 0)
    cluster.stop(node)
    folder = cluster.folder_of(node, "wire", 0)
    path = os.path.join(folder, "partition.metadata")
    with open(path, encoding="ascii") as f:
        text = f.read()
    with open(path, "w", encoding="ascii") as f:
        f.write(re.sub("topic_id: .*", "topic_id: AnotherTopicAAAAAAAAAA", text))
    before = cluster.bytes_of(node, "wire", 0)
    cluster.start(node)
    cluster.whole("wire")
    strays = glob.glob(os.path.join(node.data + "*", "wire-0.*-stray"))
    check(len(strays) == 1, f"set aside: {strays}")
    with open(glob.glob(os.path.join(strays[0], "*.log"))[0], "rb") as f:
        check(f.read().rstrip(b"\0") == before.rstrip(b"\0"), "what was set aside has changed")
    check(re.search("wire-0.*-stray", node.since_start()), "nothing is said of it")


def unreadable_topic_id(cluster):
    """Nobody knows whose records these are: that replica is offline, all others serve."""
    node = idle_follower(cluster, "wire", 0)
    cluster.stop(node)
    path = os.path.join(cluster.folder_of(node, "wire", 0), "partition.metadata")
    with open(path, encoding="ascii") as f:
        text = f.read()
    with open(path, "w", encoding="ascii") as f:
        f.write("version: 0\ntopic_id: %%%%%%%%%%%%%%%%%%%%%%\n")
    cluster.start(node)
    node.wait_for("partition.metadata of wire-0 cannot be read.*Put the file back")
    number = cluster.number(node)
    eventually("the others are in sync", lambda: all(
        (number in p.isrs) == (i != 0) for i, p in cluster.partitions("wire").items()))
    cluster.stop(node)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    cluster.start(node)
    cluster.whole("wire")


def another_cluster(cluster):
    """A log directory that was brought from another cluster stops the node before it serves."""
    node = idle_follower(cluster, "wire", 0)
    cluster.stop(node)
    path = os.path.join(node.data + "2", "meta.properties")
    with open(path, encoding="ascii") as f:
        text = f.read()
    own = re.search("cluster.id=(.*)", text).group(1)
    with open(path, "w", encoding="ascii") as f:
        f.write(text.replace(own, "AnotherClusterAAAAAAAA"))
    node.launch()
    line = node.wait_for("FATAL")
    check(own in line and "AnotherClusterAAAAAAAA" in line and node.data + "2" in line, line)
    check(ends(node) == 1, "it did not end with 1")
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    cluster.start(node)
    cluster.whole("wire")


def epochs_that_never_were(cluster):
    """A follower's log with epochs that its leader knows nothing of: cut where they part, and
    fetched again. Those that are still to come are not cut: nobody knows what they are."""
    for _ in range(2):  # nobody writes in the first epoch after the one that there is
        leader = leader_of(cluster, "wire", 2)
        cluster.kill(leader)
        eventually("another one leads",
                   lambda leader=leader: leader_of(cluster, "wire", 2) is not leader)
        cluster.start(leader)
        cluster.wait_isr("wire", 3)
    cluster.produce("wire", 20, only=2)
    node = idle_follower(cluster, "wire", 2)
    cluster.stop(node)
    folder, path = cluster.folder_of(node, "wire", 2), cluster.segment(node, "wire", 2)
    count = rewrite_epochs(path, 1, from_batch=1)
    check(count > 2, f"{count} batches")
    os.unlink(os.path.join(folder, "leader-epoch-checkpoint"))
    cluster.start(node)
    cluster.whole("wire")
    check(re.search("wire-2 was cut from offset=", node.since_start()), "nothing was cut")


def epochs_to_come(cluster):
    node = idle_follower(cluster, "wire", 3)
    cluster.stop(node)
    folder, path = cluster.folder_of(node, "wire", 3), cluster.segment(node, "wire", 3)
    with open(path, "rb") as f:
        right = f.read()
    with open(os.path.join(folder, "leader-epoch-checkpoint"), encoding="ascii") as f:
        epochs = f.read()
    rewrite_epochs(path, 77)
    set_epochs(folder, [(77, 0)])
    cluster.start(node)
    line = node.wait_for("wire-3.*epoch")
    print(f"  {line[line.index('wire-3'):]}")
    time.sleep(2)
    lines = [line for line in node.since_start().splitlines() if "wire-3" in line]
    check(len(lines) < 8, "it says so again and again:\n" + "\n".join(lines[:10]))
    check(cluster.number(node) not in cluster.partitions("wire")[3].isrs, "it is in sync")
    cluster.stop(node)
    with open(path, "rb") as f:
        check(f.read()[21:200] == right[21:200], "the log was changed")
    with open(path, "r+b") as f:
        f.write(right)
    with open(os.path.join(folder, "leader-epoch-checkpoint"), "w", encoding="ascii") as f:
        f.write(epochs)
    cluster.start(node)
    cluster.whole("wire")


# --- on the disk of the leader ------------------------------------------------------------------


def read_from(cluster, topic, partition, offset=0, seconds=PATIENCE_S):
    """What a consumer that checks gets until the first error: values, and that."""
    consumer = Consumer(cluster.settings(**{"group.id": "none", "enable.auto.commit": False,
                                            "check.crcs": True, "fetch.wait.max.ms": 50}))
    consumer.assign([TopicPartition(topic, partition, offset)])
    values, error, deadline = [], None, time.monotonic() + seconds
    while error is None and time.monotonic() < deadline:
        for message in consumer.consume(100, timeout=0.2):
            if message.error():
                error = error or message.error()
            else:
                values.append(message.value())
    consumer.close()
    return values, error


def damaged_leader(cluster):
    """Consumers see an error, never the damaged records; writes and other partitions go on. With
    another leader all is there; the damaged replica is made right from it."""
    leader = leader_of(cluster, "wire", 1)
    path = cluster.segment(leader, "wire", 1)
    with open(path, "rb") as f:
        content = f.read()
    found = batches_in(b"\0" * 8 + content)
    at = found[len(found) // 2][1] - 8 - 3  # in the last record of that batch
    damage(path, at)
    values, error = read_from(cluster, "wire", 1)
    check(error is not None and error.code() == KafkaError._BAD_MSG, f"a consumer got {error}")
    written = {value for (p, _), value in cluster.written["wire"].items() if p == 1}
    check(0 < len(values) < len(written) and set(values) <= written, "it got something else")
    # Where the broker looks for a batch itself and finds none, it says so.
    at = found[1][0] - 8
    damage(path, at + 8)
    inside = struct.unpack_from(">q", content, at)[0] + 1
    values, error = read_from(cluster, "wire", 1, offset=inside)
    check(not values and error is not None and error.code() == KafkaError.INVALID_MSG,
          f"a consumer got {len(values)} records and {error}")
    eventually("the leader says so",
               lambda: "wire-1 cannot be read at offset=" in leader.log(1000))
    cluster.produce("wire", 40)  # acks=all: to the followers goes only what is new
    cluster.kill(leader)
    eventually("another one leads", lambda: leader_of(cluster, "wire", 1) is not leader)
    cluster.read_all("wire")
    # What an operator does: the replica goes, and comes again from the leader.
    shutil.rmtree(os.path.dirname(path))
    cluster.start(leader)
    cluster.whole("wire")


def damaged_at_the_start(cluster):
    """The end of a leader's log is damaged when it comes back after kill -9: cut, and fetched from
    who leads now."""
    leader = leader_of(cluster, "wire", 3)
    cluster.produce("wire", 40, only=3)
    cluster.kill(leader)
    path = cluster.segment(leader, "wire", 3)
    with open(path, "rb") as f:
        found = batches_in(b"\0" * 8 + f.read())
    damage(path, found[-1][1] - 8 - 3)
    eventually("another one leads", lambda: leader_of(cluster, "wire", 3) is not leader)
    cluster.produce("wire", 40, only=3)
    cluster.start(leader)
    cluster.whole("wire")
    check(re.search("Recovery cut .* wire-3.*checksum", leader.since_start()), "nothing was cut")


def a_segment_that_lost_its_end(cluster):
    """A file of the running leader is cut short by somebody: whoever reads there gets an error or
    loses the connection, and the node lives on."""
    leader = leader_of(cluster, "wire", 0)
    path = cluster.segment(leader, "wire", 0)
    with open(path, "rb") as f:
        content = f.read()
    found = batches_in(b"\0" * 8 + content)
    os.truncate(path, found[len(found) // 2][0] - 8 + 30)
    values, _ = read_from(cluster, "wire", 0, seconds=2)
    written = {value for (p, _), value in cluster.written["wire"].items() if p == 0}
    check(set(values) < written, "it got something else")
    check(leader.process.poll() is None, f"the leader ended\n{leader.log()}")
    cluster.kill(leader)
    eventually("another one leads", lambda: leader_of(cluster, "wire", 0) is not leader)
    cluster.start(leader)
    cluster.whole("wire")


PARTS = (
    corrupt_batches,
    broken_frames,
    another_topic,
    unreadable_topic_id,
    another_cluster,
    epochs_that_never_were,
    epochs_to_come,
    damaged_leader,
    damaged_at_the_start,
    a_segment_that_lost_its_end,
)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kraftd", type=os.path.abspath)
    parser.add_argument("only", nargs="*")
    args = parser.parse_args()
    cluster = Proxied(args.kraftd)
    with together(cluster.nodes):
        run_parts([part for part in PARTS if not args.only or part is corrupt_batches
                   or part.__name__ in args.only], cluster)


if __name__ == "__main__":
    main()
