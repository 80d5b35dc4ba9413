#!/usr/bin/env python3
"""What kafka-console-producer makes of a broker that fails: a scripted broker answers each Produce
with an error, with nothing, or by hanging up, and keeps what it was sent.

It speaks four requests in old versions, which are short to write by hand: ApiVersions 0,
Metadata 4, InitProducerId 0, Produce 3. KRAFTD_BIN is the folder of the tools.
"""
import collections
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import unittest

BIN = os.environ.get("KRAFTD_BIN", "")
PRODUCE, METADATA, API_VERSIONS, INIT_PRODUCER_ID = 0, 3, 18, 22
NONE, UNKNOWN_TOPIC, NOT_LEADER, MESSAGE_TOO_LARGE = 0, 3, 6, 10
COORDINATOR_LOAD_IN_PROGRESS, CLUSTER_AUTHORIZATION_FAILED = 14, 31
OUT_OF_ORDER, DUPLICATE, INVALID_RECORD = 45, 46, 87
HANG_UP, SILENCE = "hang up", "silence"

Batch = collections.namedtuple("Batch", "producer_id epoch sequence count")


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def batch_of(records):
    """The fields of a record batch that say who sent it: KIP-98."""
    producer_id, epoch, sequence, count = struct.unpack_from(">qhii", records, 43)
    return Batch(producer_id, epoch, sequence, count)


class Broker:
    """Leads partition 0 of topic t. `script` has what it does with each Produce, then it takes all;
    `inits` has the errors of InitProducerId."""

    def __init__(self, script=(), inits=(), topic_error=NONE):
        self.script, self.inits = list(script), list(inits)
        self.topic_error = topic_error
        self.batches, self.next_id = [], 100
        self.lock = threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            while len(head := stream.read(4)) == 4:
                body = stream.read(struct.unpack(">i", head)[0])
                key, _version, correlation = struct.unpack_from(">hhi", body)
                at = 10 + max(0, struct.unpack_from(">h", body, 8)[0])
                with self.lock:
                    answer = self.answer(key, body[at:])
                if answer is HANG_UP:
                    return
                if answer is SILENCE:
                    continue
                answer = struct.pack(">i", correlation) + answer
                connection.sendall(struct.pack(">i", len(answer)) + answer)

    def answer(self, key, body):
        if key == API_VERSIONS:
            ranges = [(PRODUCE, 3), (METADATA, 4), (API_VERSIONS, 0), (INIT_PRODUCER_ID, 0)]
            # UNSUPPORTED_VERSION: the next one comes in version 0.
            error = 35 if body[:1] else 0
            return struct.pack(">hi", error, len(ranges)) + b"".join(
                struct.pack(">hhh", api, version, version) for api, version in ranges)
        if key == METADATA:
            partition = struct.pack(">hiiiiii", 0, 0, 1, 1, 1, 1, 1)
            count = 0 if self.topic_error else 1
            return (struct.pack(">ii", 0, 1) + struct.pack(">i", 1) + string("127.0.0.1")
                    + struct.pack(">ih", self.port, -1) + string("cluster")
                    + struct.pack(">iih", 1, 1, self.topic_error) + string("t") + b"\0"
                    + struct.pack(">i", count) + partition * count)
        if key == INIT_PRODUCER_ID:
            error = self.inits.pop(0) if self.inits else NONE
            self.next_id += 1
            return struct.pack(">ihqh", 0, error, -1 if error else self.next_id, 0)
        return self.take(body)

    def take(self, body):
        # transactional id (null), acks, time-out, one topic "t", one partition
        (length,) = struct.unpack_from(">i", body, 2 + 2 + 4 + 4 + 3 + 4 + 4)
        batch = batch_of(body[27:27 + length])
        self.batches.append(batch)
        error = self.script.pop(0) if self.script else NONE
        if error in (HANG_UP, SILENCE):
            return error
        return (struct.pack(">i", 1) + string("t") + struct.pack(">iihqqi", 1, 0, error,
                                                                 -1 if error else 0, -1, 0))

    def close(self):
        self.server.close()


class ProducerFailures(unittest.TestCase):
    def produce(self, lines, *words, settings=(), **broker):
        """({sent, failed, errors}, [Batch]); also what was said on standard error."""
        fake = Broker(**broker)
        self.addCleanup(fake.close)
        properties = []
        # All lines are in one batch, however slowly they come: it goes out at their end.
        for setting in ("retry.backoff.ms=20", "linger.ms=5000", *settings):
            properties += ["--command-property", setting]
        done = subprocess.run(
            [os.path.join(BIN, "kafka-console-producer.sh"), "--bootstrap-server",
             f"127.0.0.1:{fake.port}", "--topic", "t", "--format", "json", *properties, *words],
            input="".join(line + "\n" for line in lines), capture_output=True, text=True,
            timeout=120, check=False)
        self.said = done.stderr
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout), fake.batches

    def assert_outcome(self, outcome, sent, failed=0, message=None):
        self.assertEqual((outcome["sent"], outcome["failed"]), (sent, failed), outcome)
        if message:
            self.assertIn(message, outcome["errors"][0]["message"])

    def test_error_that_passes(self):
        outcome, batches = self.produce("ab", script=[NOT_LEADER, UNKNOWN_TOPIC])
        self.assert_outcome(outcome, 2)
        self.assertEqual(batches, [Batch(101, 0, 0, 2)] * 3)
        self.assertIn("trying again", self.said)

    def test_broker_hangs_up(self):
        outcome, batches = self.produce("a", script=[HANG_UP, HANG_UP])
        self.assert_outcome(outcome, 1)
        self.assertEqual(batches, [Batch(101, 0, 0, 1)] * 3)

    def test_broker_is_silent(self):
        outcome, batches = self.produce("a", "--request-timeout-ms", "3000", script=[SILENCE])
        self.assert_outcome(outcome, 1)
        self.assertEqual(batches, [Batch(101, 0, 0, 1)] * 2)

    def test_error_for_good(self):
        outcome, batches = self.produce("ab", script=[INVALID_RECORD])
        self.assert_outcome(outcome, 0, 2, "This record has failed the validation")
        self.assertEqual(len(batches), 1)

    def test_retries_run_out(self):
        outcome, batches = self.produce("a", "--message-send-max-retries", "2",
                                        script=[NOT_LEADER] * 9)
        self.assert_outcome(outcome, 0, 1, "is not the current leader")
        self.assertEqual(len(batches), 3)

    def test_time_runs_out(self):
        outcome, _batches = self.produce(
            "a", script=[SILENCE] * 99,
            settings=["linger.ms=50", "request.timeout.ms=200", "delivery.timeout.ms=700"])
        self.assertEqual((outcome["sent"], outcome["failed"]), (0, 1))

    def test_written_before(self):
        outcome, batches = self.produce("a", script=[HANG_UP, DUPLICATE])
        self.assert_outcome(outcome, 1)
        self.assertEqual(len(batches), 2)

    def test_batch_is_split(self):
        outcome, batches = self.produce("abcd", script=[MESSAGE_TOO_LARGE])
        self.assert_outcome(outcome, 4)
        self.assertEqual(batches[0].count, 4)
        self.assertGreater(len(batches), 2)
        self.assertEqual(sum(batch.count for batch in batches[1:]), 4)

    def test_record_is_too_large(self):
        outcome, batches = self.produce("a", script=[MESSAGE_TOO_LARGE] * 9)
        self.assert_outcome(outcome, 0, 1, "larger than the max message size")
        self.assertEqual(len(batches), 1)

    def test_broker_forgot_the_producer(self):
        outcome, batches = self.produce("a", script=[OUT_OF_ORDER])
        self.assert_outcome(outcome, 1)
        before, after = batches
        self.assertNotEqual((before.producer_id, before.epoch), (after.producer_id, after.epoch))
        self.assertEqual(after.sequence, 0)

    def test_no_producer_id_yet(self):
        outcome, batches = self.produce("a", inits=[COORDINATOR_LOAD_IN_PROGRESS])
        self.assert_outcome(outcome, 1)
        self.assertEqual(batches, [Batch(102, 0, 0, 1)])

    def test_no_producer_id_ever(self):
        outcome, batches = self.produce("a", inits=[CLUSTER_AUTHORIZATION_FAILED] * 9)
        self.assert_outcome(outcome, 0, 1, "Cluster authorization failed")
        self.assertEqual(batches, [])

    def test_not_idempotent(self):
        outcome, batches = self.produce("a", "--request-required-acks", "1",
                                        script=[HANG_UP, NOT_LEADER])
        self.assert_outcome(outcome, 1)
        self.assertEqual(batches, [Batch(-1, -1, -1, 1)] * 3)

    def test_topic_is_not_there(self):
        outcome, batches = self.produce("a", "--max-block-ms", "300", topic_error=UNKNOWN_TOPIC)
        self.assert_outcome(outcome, 0, 1, "Topic t not present in metadata after 300 ms.")
        self.assertEqual(batches, [])


if __name__ == "__main__":
    if not BIN:
        sys.exit("KRAFTD_BIN is not set")
    unittest.main()
