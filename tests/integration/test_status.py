#!/usr/bin/python3
"""kraftd-status, and kafka-replica-verification where a replica has other records than its leader.

usage: test_status.py KRAFTD

Three nodes: all is in order; one is frozen and does not say how far it is; it is killed; it comes
back with a batch that was changed on its disk. In between dynamic configurations of replication are
changed: num.replica.fetchers, min.insync.replicas, throttles.
"""

import argparse
import glob
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
import urllib.request

from confluent_kafka import Producer
from kafka.record.util import calc_crc32c

from harness import PATIENCE_S, check, eventually, settled, together, wait_said
from test_partitions import Partitions


class Observed(Partitions):
    def status(self, *words):
        def asked():
            alive = [node.bootstrap for node in self.nodes if node.process.poll() is None]
            done = subprocess.run(
                [self.tools, "kraftd-status", "--bootstrap-server", ",".join(alive), *words],
                capture_output=True, text=True, check=False, timeout=120,
            )
            check(done.returncode == 0, f"kraftd-status: {done.stdout}{done.stderr}")
            return done.stdout

        return settled(asked)

    def partitions(self):
        """By name, as --format json has them."""
        told = json.loads(self.status("--format", "json"))
        return told["summary"], {f"{p['topic']}-{p['partition']}": p for p in told["partitions"]}

    def tools_delete(self, topic):
        subprocess.run([self.tools, "kafka-topics", "--bootstrap-server", self.nodes[0].bootstrap,
                        "--delete", "--topic", topic], check=True, timeout=120)
        eventually("it is gone", lambda: f"{topic}-0" not in self.partitions()[1])

    def produce(self, topic, count, acks, value=b"aaaa", partitions=1):
        alive = [node.bootstrap for node in self.nodes[:2]]
        producer = Producer({"bootstrap.servers": ",".join(alive), "acks": acks})
        for i in range(count):
            producer.produce(topic, value, partition=i % partitions)
        check(producer.flush(PATIENCE_S) == 0, "records were not acknowledged")

    def caught_up(self):
        """Whether all replicas are known to have all there is."""
        summary = self.partitions()[0]
        return summary["maxLag"] == 0 and summary["unknownLags"] == 0


def in_order(cluster):
    cluster.create("all", [[1, 2, 3], [2, 3, 1]], [("min.insync.replicas", "3")])
    cluster.create("two", [[1, 3]])
    cluster.create("one", [[3]])
    for _ in range(3):
        cluster.produce("all", 50, "all")

    def all_told():
        summary, partitions = cluster.partitions()
        check(summary["ok"] == summary["partitions"] == 4 and summary["maxLag"] == 0
              and summary["unknownLags"] == 0, summary)
        ends = [replica["endOffset"] for replica in partitions["all-0"]["replicas"]]
        check(ends == [150] * 3, partitions["all-0"])
        text = cluster.status()
        check(re.search(r"^all-0 +1 +1,2,3 +1,2,3 +0 +ok$", text, re.MULTILINE), text)
        return text

    text = settled(all_told)
    check("\x1b" not in text and "\x1b[32mok\x1b[0m" in cluster.status("--color", "always"), text)
    print(text.split("\n")[1])


def connections(node):
    url = f"http://127.0.0.1:{node.admin_port}/metrics"
    with urllib.request.urlopen(url, timeout=60) as answer:
        text = answer.read().decode()
    name = 'kafka_server_socket_server_metrics_connection_count{listener="PLAINTEXT"'
    return sum(float(n) for n in re.findall(rf"^{name}.*}} (\S+)$", text, re.MULTILINE))


def set_fetchers(cluster, count):
    """It is judged beside what there was before, of which who judges may not have heard yet."""
    def is_set():
        try:
            alter(cluster, "--entity-type", "brokers", "--entity-default", "--add-config",
                  f"num.replica.fetchers={count}")
            return True
        except subprocess.CalledProcessError:
            return False

    eventually(f"{count} fetchers are allowed", is_set)


def more_fetchers(cluster):
    """num.replica.fetchers: others connect to the leaders, and replication goes on; then back."""
    cluster.create("many", [[1, 2, 3]] * 24)
    # Each follower of each partition has fetched then: all that fetch now are connected.
    cluster.produce("many", 24, "all", partitions=24)
    before = connections(cluster.nodes[0])
    for count in (2, 4, 8, 16):  # at most twice as many at a time, as in Kafka
        set_fetchers(cluster, count)
    eventually("more fetchers come", lambda: connections(cluster.nodes[0]) >= before + 4)
    cluster.produce("many", 96, "all", partitions=24)
    for count in (8, 4, 2, 1):
        set_fetchers(cluster, count)
    eventually("they go", lambda: connections(cluster.nodes[0]) <= before)
    cluster.produce("many", 96, "all", partitions=24)
    eventually("nothing lags", cluster.caught_up)
    check(cluster.partitions()[0]["under-replicated"] == 0, "followers left the in-sync replicas")
    alter(cluster, "--entity-type", "brokers", "--entity-default", "--delete-config",
          "num.replica.fetchers")
    cluster.tools_delete("many")


def frozen(cluster):
    """Its lag is not known, since it does not answer; those that answer are shown soon."""
    cluster.nodes[2].process.send_signal(signal.SIGSTOP)
    try:
        cluster.produce("all", 70, "1")
        began = time.monotonic()
        partitions = cluster.partitions()[1]
        print(f"status beside a frozen broker: {time.monotonic() - began:.1f} s")

        def shown():
            known = [(r["id"], r["lag"]) for r in cluster.partitions()[1]["all-0"]["replicas"]]
            check(known == [(1, 0), (2, 0), (3, None)], known)
        settled(shown)
    finally:
        cluster.nodes[2].process.send_signal(signal.SIGCONT)


def killed(cluster):
    cluster.nodes[2].kill()
    states = {"all-0": "under-min-isr", "all-1": "under-min-isr", "two-0": "under-replicated",
              "one-0": "no-leader"}
    eventually("the dead broker shows",
               lambda: {n: p["state"] for n, p in cluster.partitions()[1].items()} == states)
    text = cluster.status()
    names = re.findall(r"^(\w+-\d)  ", text, re.MULTILINE)
    check(names == ["one-0", "all-0", "all-1", "two-0"], text)
    check(re.search(r"^two-0 +1 +1,3 +1 +3:down +under-replicated$", text, re.MULTILINE), text)
    print(text.split("\n")[1])


def alter(cluster, *words):
    servers = ",".join(node.bootstrap for node in cluster.nodes if node.process.poll() is None)
    subprocess.run(
        [cluster.tools, "kafka-configs", "--bootstrap-server", servers, "--alter", *words],
        check=True, stdout=subprocess.DEVNULL, timeout=120,
    )


def fewer_in_sync(cluster):
    """min.insync.replicas counts as soon as it is changed."""
    alter(cluster, "--topic", "all", "--add-config", "min.insync.replicas=2")
    eventually("two of three are enough",
               lambda: cluster.partitions()[1]["all-0"]["state"] == "under-replicated")
    cluster.produce("all", 10, "all")


def throttled(cluster):
    """A node that comes back is held to the rate set meanwhile, until that is taken away."""
    cluster.produce("two", 4000, "all", os.urandom(1000))
    rates = ("leader.replication.throttled.rate", "follower.replication.throttled.rate")
    replicas = ("leader.replication.throttled.replicas", "follower.replication.throttled.replicas")
    everywhere = ("--entity-type", "brokers", "--entity-default")
    alter(cluster, *everywhere, "--add-config", ",".join(f"{key}=5000" for key in rates))
    alter(cluster, "--topic", "two", "--add-config", ",".join(f"{key}=*" for key in replicas))
    diverge(cluster)

    def lag():
        return cluster.partitions()[1]["two-0"]["replicas"][1]["lag"]
    eventually("others are in sync", lambda: cluster.partitions()[1]["all-0"]["state"] == "ok")
    told = eventually("it says how far it is", lambda: (lag(),) if lag() is not None else None)
    check(told[0] > 0, "it is not throttled")
    print(next(line for line in cluster.status().split("\n") if line.startswith("two-0")))
    alter(cluster, *everywhere, "--delete-config", ",".join(rates))
    alter(cluster, "--topic", "two", "--delete-config", ",".join(replicas))
    eventually("it catches up", lambda: lag() == 0)


def change_batch(path, number):
    """Other bytes in the n-th batch of a log, and the checksum that fits them."""
    with open(path, "rb") as f:
        data = bytearray(f.read())
    at = 0
    for _ in range(number):
        at += 12 + struct.unpack_from(">i", data, at + 8)[0]
    end = at + 12 + struct.unpack_from(">i", data, at + 8)[0]
    body = bytes(data[at + 21 : end]).replace(b"aaaa", b"bbbb")
    check(body != data[at + 21 : end], "nothing was changed")
    data[at + 21 : end] = body
    struct.pack_into(">I", data, at + 17, calc_crc32c(body))
    with open(path, "wb") as f:
        f.write(data)
    last = struct.unpack_from(">q", data, at)[0] + struct.unpack_from(">i", data, at + 23)[0]
    return last


def diverge(cluster):
    """Other bytes in a batch of the dead node, which is started then."""
    path, = glob.glob(os.path.join(cluster.nodes[2].data + "*", "all-0", "*.log"))
    cluster.last_diverged = change_batch(path, 1)
    cluster.nodes[2].launch()
    cluster.nodes[2].wait_ready()


def diverged(cluster):
    with subprocess.Popen(
        [cluster.tools, "kafka-replica-verification", "--broker-list", cluster.nodes[0].bootstrap,
         "--time", "-2", "--topics-include", "all", "--max-wait-ms", "100"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as tool:
        text = wait_said(tool, "has unmatched checksum")
        tool.send_signal(signal.SIGINT)
        text += tool.communicate(timeout=60)[0]
    said = re.findall(r"partition (\S+) has unmatched checksum at offset (\d+); "
                      r"replica 1's checksum \d+; replica (\d)'s checksum \d+\n", text)
    check(said == [("all-0", str(cluster.last_diverged), "3")] and tool.returncode == 1, text)
    print(f"kafka-replica-verification: {said[0]}")


def main():
    parser = argparse.ArgumentParser(description="kraftd-status and kafka-replica-verification")
    parser.add_argument("kraftd")
    arguments = parser.parse_args()
    cluster = Observed(arguments.kraftd)
    with together(cluster.nodes):
        for part in (in_order, more_fetchers, frozen, killed, fewer_in_sync, throttled, diverged):
            part(cluster)
    return 0


if __name__ == "__main__":
    sys.exit(main())
