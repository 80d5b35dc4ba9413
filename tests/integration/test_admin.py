#!/usr/bin/python3
"""The admin port of a running node: health, readiness, ruok, and metrics that say what clients did.

usage: test_admin.py KRAFTD
"""
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request

from harness import Node, check, eventually, running, settled


def get(node, path):
    """(status, body)"""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{node.admin_port}{path}", timeout=60) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Samples(dict):
    """One that is not there may come."""

    def __missing__(self, name):
        raise AssertionError(f"no sample {name}")


def metrics(node):
    """Samples by their name with labels. Each family stands together, behind its type."""
    status, text = get(node, "/metrics")
    check(status == 200, "metrics")
    samples, families, family = Samples(), set(), None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            family = line.split()[2]
            check(family not in families, f"{family} stands together")
            families.add(family)
            continue
        name, value = line.rsplit(" ", 1)
        check(re.fullmatch(re.escape(family) + r"(_count)?(\{.*\})?", name), f"{name} in {family}")
        check(name not in samples, f"{name} stands once")
        samples[name] = float(value)
    return samples


def wait_for(node, name, value, find=None):
    """Until the sample has that value; `find` computes it from all samples."""
    def has_value():
        seen = metrics(node)
        have = find(seen) if find else seen.get(name)
        check(have == value, f"{name} is {have} instead of {value}")

    settled(has_value)


def wait_for_connections(node, count):
    wait_for(node, "connections of clients", count, lambda seen: sum(
        value for name, value in seen.items()
        if name.startswith("kafka_server_socket_server_metrics_connection_count")
        and 'listener="PLAINTEXT"' in name))


def kcat(node, *args, data=None):
    subprocess.run(["kcat", "-b", node.bootstrap, *args], input=data, check=True,
                   stdout=subprocess.DEVNULL, timeout=120)


def test_clients_are_counted(node):
    records = b"".join(b"%d\n" % i for i in range(1000))
    kcat(node, "-P", "-t", "counted", data=records)
    kcat(node, "-C", "-t", "counted", "-e", "-q")
    settled(lambda: check_counted(node, records))


def check_counted(node, records):
    """A request is counted when its answer is out, which its client may have read by then."""
    seen = metrics(node)
    topic = "kafka_server_brokertopicmetrics_{}_total{{topic=\"counted\"}}"
    check(seen[topic.format("messagesin")] == 1000, "messages in")
    size = seen[topic.format("bytesin")]
    check(size > len(records), "bytes in")
    check(seen["kafka_server_brokertopicmetrics_bytesin_total"] == size, "bytes of all topics")
    check(seen[topic.format("bytesout")] == size, "bytes out")
    check(seen['kafka_log_log_logendoffset{topic="counted",partition="0"}'] == 1000, "log end")
    check(seen['kafka_log_log_size{topic="counted",partition="0"}'] == size, "log size")
    produced = seen['kafka_network_requestmetrics_totaltimems_count{request="Produce"}']
    check(produced >= 1, "Produce requests")
    check(seen['kafka_network_requestmetrics_errors_total{request="Produce",error="NONE"}']
          == produced, "Produce without errors")
    check(seen['kafka_network_requestmetrics_totaltimems_count{request="FetchConsumer"}'] >= 1,
          "fetches of consumers")
    check(seen["process_resident_memory_bytes"] > 1e6, "memory of the process")


def test_gauges(node):
    wait_for(node, "kafka_server_replicamanager_leadercount", 1)
    wait_for(node, "kafka_controller_kafkacontroller_globaltopiccount", 1)
    wait_for(node, "kafka_controller_kafkacontroller_activecontrollercount", 1)
    wait_for(node, "kafka_server_kafkaserver_brokerstate", 3)
    wait_for(node, "kafka_server_replicamanager_underreplicatedpartitions", 0)
    wait_for(node, "kafka_server_raftmetrics_current_leader", 1)
    wait_for(node, 'kafka_server_raftmetrics{current_state="leader"}', 1)
    seen = metrics(node)
    check(seen["kafka_server_raftmetrics_high_watermark"] > 5, "high watermark of the quorum")
    wait_for_connections(node, 0)
    with socket.create_connection(("127.0.0.1", node.port)):
        wait_for_connections(node, 1)
    wait_for_connections(node, 0)


def test_answers(node):
    eventually("it is healthy", lambda: get(node, "/healthz")[0] == 200)
    eventually("it is ready", lambda: get(node, "/readyz")[0] == 200)
    check(get(node, "/ruok") == (200, "imok"), "ruok by http")
    check(get(node, "/nothing")[0] == 404, "no such page")
    with socket.create_connection(("127.0.0.1", node.admin_port)) as s:
        s.sendall(b"ruok")
        check(s.recv(10) == b"imok", "ruok")


def test_port_in_use(kraftd, other):
    """Asked for in the configuration: refused with a sentence that says what to do."""
    node = Node(kraftd, config=[f"kraftd.admin.listener=127.0.0.1:{other.admin_port}"])
    try:
        node.start()
        check(False, "it started though its admin port is taken")
    except RuntimeError:
        pass
    check(node.process.poll() == 1, "exit code")
    check("kraftd.admin.listener" in node.log() and str(other.admin_port) in node.log(),
          "the sentence: " + node.log())
    shutil.rmtree(node.folder)


def main():
    kraftd = sys.argv[1]
    with running(kraftd) as node:
        test_answers(node)
        if shutil.which("kcat"):
            test_clients_are_counted(node)
            test_gauges(node)
        test_port_in_use(kraftd, node)
    print("the admin port answers")


if __name__ == "__main__":
    main()
