"""The few requests that scripts/bench cluster makes itself, without a client library's own waits.

One connection to one broker; a call that fails closes it, and the next one connects again.
"""

import socket
import struct
import time

PRODUCE, METADATA, CREATE_TOPICS, ELECT_LEADERS, DESCRIBE_QUORUM = 0, 3, 19, 43, 55
METADATA_LOG = b"__cluster_metadata"


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def one_record():
    """A record batch of one record."""
    record = b"\0\0\0\1\2x\0"
    record = bytes([len(record) * 2]) + record
    # Of now: one of 1970 would be due for retention at once.
    now_ms = int(time.time() * 1000)
    tail = struct.pack(">hiqqqhii", 0, 0, now_ms, now_ms, -1, -1, -1, 1) + record
    return struct.pack(">qiibI", 0, 9 + len(tail), -1, 2, crc32c(tail)) + tail


BATCH = one_record()


class Reader:
    """Walks through an answer."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values[0] if len(values) == 1 else values

    def text(self):
        length = self.take(">h")
        self.at += max(length, 0)
        return self.data[self.at - max(length, 0):self.at].decode()

    def integers(self):
        count = self.take(">i")
        return self.take(f">{count}i") if count > 1 else (self.take(">i"),) if count else ()


class Client:
    """Raises OSError where the broker does not answer in time."""

    def __init__(self, port, patience=5.0):
        self.port, self.patience, self.socket = port, patience, None

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def call(self, key, version, body, flexible=False):
        try:
            if self.socket is None:
                self.socket = socket.create_connection(("127.0.0.1", self.port), self.patience)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            frame = struct.pack(">hhih", key, version, 1, -1) + (b"\0" if flexible else b"") + body
            self.socket.sendall(struct.pack(">i", len(frame)) + frame)
            return self.exactly(struct.unpack(">i", self.exactly(4))[0])
        except OSError:
            self.close()
            raise

    def exactly(self, count):
        out = bytearray()
        while len(out) < count:
            more = self.socket.recv(count - len(out))
            if not more:
                raise ConnectionError("the broker closed the connection")
            out += more
        return bytes(out)

    def metadata(self, topics=None):
        """{(topic, partition): (leader, replicas, isr)} of these topics, or of all."""
        body = struct.pack(">i", -1 if topics is None else len(topics))
        for topic in topics or ():
            body += struct.pack(">h", len(topic)) + topic.encode()
        reader = Reader(self.call(METADATA, 1, body), 4)
        for _ in range(reader.take(">i")):
            reader.take(">i")
            reader.text()
            reader.take(">i")
            reader.text()
        reader.take(">i")
        found = {}
        for _ in range(reader.take(">i")):
            reader.take(">h")
            name = reader.text()
            reader.take(">b")
            for _ in range(reader.take(">i")):
                _, index, leader = reader.take(">hii")
                found[name, index] = leader, reader.integers(), reader.integers()
        return found

    def produce(self, partitions, timeout_ms=10000):
        """One record, acks=all, to each of {topic: [partition]}; those that took it."""
        body = [struct.pack(">hhii", -1, -1, timeout_ms, len(partitions))]
        for topic, indexes in partitions.items():
            body.append(struct.pack(">h", len(topic)) + topic.encode()
                        + struct.pack(">i", len(indexes)))
            body += [struct.pack(">ii", index, len(BATCH)) + BATCH for index in indexes]
        reader = Reader(self.call(PRODUCE, 3, b"".join(body)), 4)
        took = set()
        for _ in range(reader.take(">i")):
            name = reader.text()
            for _ in range(reader.take(">i")):
                index, error, _, _ = reader.take(">ihqq")
                if error == 0:
                    took.add((name, index))
        return took

    def create(self, topics, partitions, replicas=3):
        """Makes them; those that exist already are fine."""
        body = [struct.pack(">i", len(topics))]
        for topic in topics:
            body.append(struct.pack(">h", len(topic)) + topic.encode()
                        + struct.pack(">ihii", partitions, replicas, 0, 0))
        body.append(struct.pack(">i?", 60000, False))
        reader = Reader(self.call(CREATE_TOPICS, 4, b"".join(body)), 4)
        reader.take(">i")
        for _ in range(reader.take(">i")):
            name = reader.text()
            error = reader.take(">h")
            message = reader.text()
            if error not in (0, 36):
                raise RuntimeError(f"{name} could not be created: error {error} {message}")

    def elect_preferred(self):
        """The preferred replicas of all partitions lead, where they can."""
        self.call(ELECT_LEADERS, 1, struct.pack(">bii", 0, -1, 30000))

    def active_controller(self):
        """The node id of the metadata log's leader."""
        body = (b"\2" + bytes([len(METADATA_LOG) + 1]) + METADATA_LOG + b"\2" + struct.pack(">i", 0)
                + b"\0\0\0")
        reader = Reader(self.call(DESCRIBE_QUORUM, 0, body, flexible=True), 5)
        error, leader = reader.take(">h"), -1
        if error == 0:
            reader.at += 1 + 1 + len(METADATA_LOG) + 1
            _, error, leader = reader.take(">ihi")
        if error != 0 or leader < 0:
            raise RuntimeError(f"nobody is known to lead the quorum: error {error}")
        return leader
