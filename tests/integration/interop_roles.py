"""scripts/interop's part on roles: brokers of Apache Kafka follow kraftd controllers, and the other
way round. `kafka` runs Kafka's commands and its server (scripts/interop)."""

import glob
import os
import shutil
import subprocess
import time

from harness import Node, check, eventually

CLUSTER_ID = "5L6g3nShT-eMCtK--X86sw"
# Checkpoints after every few records.
OFTEN = ["metadata.log.max.record.bytes.between.snapshots=2000"]


def wait_for_topics(kafka, bootstrap, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = subprocess.run(
            [kafka.path("kafka-topics"), "--bootstrap-server", bootstrap, "--list"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if result.returncode == 0:
            return
        time.sleep(0.5)
    raise AssertionError(f"Apache Kafka did not serve at {bootstrap} within {seconds} s")


def consume(kafka, bootstrap, topic, count):
    out = kafka.run(
        "kafka-console-consumer",
        "--bootstrap-server",
        bootstrap,
        "--topic",
        topic,
        "--partition",
        "0",
        "--offset",
        "earliest",
        "--max-messages",
        str(count),
        "--timeout-ms",
        "30000",
    )
    return out.splitlines()


def as_broker(node, controller):
    """Makes a node's configuration that of a broker that follows this controller."""
    with open(node.properties, "a", encoding="utf-8") as f:
        f.write(
            "process.roles=broker\nnode.id=7\n"
            f"listeners=PLAINTEXT://127.0.0.1:{node.port}\n"
            f"controller.quorum.bootstrap.servers=127.0.0.1:{controller.controller_port}\n"
        )


def as_controller(node):
    with open(node.properties, "a", encoding="utf-8") as f:
        f.write(
            "process.roles=controller\n"
            f"listeners=CONTROLLER://127.0.0.1:{node.controller_port}\n"
        )


def for_kafka(node):
    """Kafka's own of the same configuration: it takes no key that kraftd added."""
    path = os.path.join(node.folder, "kafka.properties")
    keys = {}
    with open(node.properties, encoding="utf-8") as f:
        for line in f.read().splitlines():
            key, _, value = line.partition("=")
            keys[key] = value
    with open(path, "w", encoding="utf-8") as out:
        for key, value in keys.items():
            if not key.startswith("kraftd."):
                out.write(f"{key}={value}\n")
        out.write("offsets.topic.replication.factor=1\n")
    return path


def use(kafka, bootstrap, topics):
    """Topics are made, records come back, through whatever broker there is."""
    where = ["--bootstrap-server", bootstrap]
    for topic in topics:
        kafka.run("kafka-topics", *where, "--create", "--topic", topic, "--partitions", "1")
    lines = [f"record {i}" for i in range(500)]
    kafka.run(
        "kafka-console-producer", *where, "--topic", topics[0], stdin="\n".join(lines) + "\n"
    )
    check(consume(kafka, bootstrap, topics[0], 500) == lines, "other records came back")


def observers_of(kafka, controller):
    where = ["--bootstrap-controller", f"127.0.0.1:{controller.controller_port}"]
    text = kafka.run("kafka-metadata-quorum", *where, "describe", "--replication")
    return [line.split()[0] for line in text.splitlines() if line.strip().endswith("Observer")]


def kafka_broker(kafka, kraftd):
    controller, broker = Node(kraftd, config=OFTEN), Node(kraftd)
    as_controller(controller)
    as_broker(broker, controller)
    properties = for_kafka(broker)
    storage = os.path.join(os.path.dirname(kraftd), "kafka-storage")
    subprocess.run(
        [storage, "format", "--standalone", "-t", CLUSTER_ID, "-c", controller.properties],
        check=True,
        capture_output=True,
    )
    controller.start()
    kafka.run("kafka-storage", "format", "-t", CLUSTER_ID, "-c", properties)
    log = os.path.join(broker.folder, "kafka.log")
    # The second time what it missed is in a checkpoint.
    for topics in (["first", "second"], ["third"]):
        shutil.rmtree(os.path.join(broker.data, "__cluster_metadata-0"), ignore_errors=True)
        process = kafka.serve(properties, log)
        try:
            wait_for_topics(kafka, broker.bootstrap)
            use(kafka, broker.bootstrap, topics)
            eventually("Kafka is seen as an observer",
                       lambda: observers_of(kafka, controller) == ["7"])
            taken = glob.glob(os.path.join(broker.data, "__cluster_metadata-0", "*.checkpoint"))
            check(topics[0] == "first" or taken, "Kafka took no checkpoint of kraftd's")
        finally:
            process.terminate()
            process.wait(60)
    code = controller.stop()
    check(code in (0, 143), f"kraftd ended with {code}\n{controller.log()}")
    for node in (controller, broker):
        shutil.rmtree(node.folder, ignore_errors=True)


def kafka_controller(kafka, kraftd):
    controller, broker = Node(kraftd, config=OFTEN), Node(kraftd)
    as_controller(controller)
    as_broker(broker, controller)
    properties = for_kafka(controller)
    kafka.run("kafka-storage", "format", "--standalone", "-t", CLUSTER_ID, "-c", properties)
    # The broker's directories are empty: it asks the controller which cluster it is.
    process = kafka.serve(properties, os.path.join(controller.folder, "kafka.log"))
    try:
        broker.start(wait_s=90)
        use(kafka, broker.bootstrap, [f"topic-{i}" for i in range(8)])
        eventually("kraftd is seen as an observer",
                   lambda: observers_of(kafka, controller) == ["7"])
        checkpoints = os.path.join(controller.data, "__cluster_metadata-0", "*[1-9]*.checkpoint")
        eventually("Apache Kafka makes a checkpoint", lambda: glob.glob(checkpoints))
        broker.stop()
        shutil.rmtree(os.path.join(broker.data, "__cluster_metadata-0"))
        broker.start()
        took = "Took the leader's checkpoint" in broker.log(last=10000)
        check(took, "it took no checkpoint of Kafka's")
        use(kafka, broker.bootstrap, ["last"])
        code = broker.stop()
        check(code in (0, 143), f"kraftd ended with {code}\n{broker.log()}")
    finally:
        process.terminate()
        process.wait(60)
    for node in (controller, broker):
        shutil.rmtree(node.folder, ignore_errors=True)


def roles(kafka, kraftd):
    kafka_broker(kafka, kraftd)
    print("roles: a broker of Apache Kafka follows a kraftd controller", flush=True)
    kafka_controller(kafka, kraftd)
    print("roles: a kraftd broker follows a controller of Apache Kafka", flush=True)
