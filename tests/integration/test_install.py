#!/usr/bin/env python3
"""test_install.py KRAFTD: what `cmake --install` lays out is complete and works where it lies: the
server is started in the background with config/server.properties, takes a record, gives it back and
is stopped, all with the installed tools."""
import os
import subprocess
import sys
import tempfile

from harness import check, eventually, free_ports

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def tool_names():
    with open(os.path.join(ROOT, "tools", "tool_list.def"), encoding="utf-8") as f:
        return [line.split('"')[1] for line in f if line.startswith("TOOL(")]


class Prefix:
    def __init__(self, path):
        self.path = path

    def tool(self, name, *words, text="", rc=0):
        """What it prints; its exit code is `rc`."""
        done = subprocess.run([os.path.join(self.path, "bin", name), *words], input=text,
                              capture_output=True, text=True, timeout=120, check=False,
                              cwd=self.path)
        check(done.returncode == rc, f"{name} {words} ends with {done.returncode}: {done.stdout}"
              f"{done.stderr}")
        return done.stdout

    def wait_for(self, text):
        path = os.path.join(self.path, "logs", "kafkaServer.out")

        def said():
            with open(path, encoding="utf-8") as f:
                return f.read()

        eventually(lambda: f"{text!r} in {path}\n{said()}", lambda: text in said())


def check_layout(prefix):
    for name in ["kraftd", *tool_names(), *(name + ".sh" for name in tool_names())]:
        check(os.access(os.path.join(prefix.path, "bin", name), os.X_OK), f"no bin/{name}")
    for name in ("config/server.properties", "LICENSE", "README.md"):
        check(os.path.isfile(os.path.join(prefix.path, name)), f"no {name}")
    check(prefix.tool("kafka-topics.sh", "--version") == "4.4.0\n", "another version")
    check("ZooKeeper" in prefix.tool("zookeeper-server-start.sh", "config/zookeeper.properties"),
          "zookeeper-server-start says nothing")


def check_server(prefix):
    port, controller_port, admin_port = free_ports(3)
    server = f"localhost:{port}"
    prefix.tool("kafka-server-stop.sh", rc=1)
    prefix.tool(
        "kafka-server-start.sh", "-daemon", "config/server.properties",
        "--override", f"listeners=PLAINTEXT://:{port},CONTROLLER://:{controller_port}",
        "--override", f"advertised.listeners=PLAINTEXT://{server}",
        f"--override=controller.quorum.bootstrap.servers=localhost:{controller_port}",
        "--override", f"kraftd.admin.listener=127.0.0.1:{admin_port}",
        "--override", f"log.dirs={prefix.path}/data")
    prefix.wait_for(" INFO Ready ")
    prefix.tool("kafka-topics.sh", "--bootstrap-server", server, "--create", "--topic", "t")
    prefix.tool("kafka-console-producer.sh", "--bootstrap-server", server, "--topic", "t",
                text="one\ntwo\n")
    out = prefix.tool("kafka-console-consumer.sh", "--bootstrap-server", server, "--topic", "t",
                      "--from-beginning", "--max-messages", "2")
    check(out == "one\ntwo\n", f"consumed {out!r}")
    prefix.tool("kafka-server-stop.sh", "--node-id=2", rc=1)
    prefix.tool("kafka-server-stop.sh", "--process-role=broker")
    marker = os.path.join(prefix.path, "data", ".kafka_cleanshutdown")
    eventually("the server stops", lambda: os.path.exists(marker))
    prefix.tool("kafka-dump-log.sh", "--files", "data/t-0/00000000000000000000.log")


def main():
    build = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[1])))
    with tempfile.TemporaryDirectory(prefix="kraftd-install-") as path:
        done = subprocess.run(["cmake", "--install", build, "--prefix", path], check=False,
                              capture_output=True, text=True)
        check(done.returncode == 0, done.stdout + done.stderr)
        prefix = Prefix(path)
        check_layout(prefix)
        try:
            check_server(prefix)
        finally:
            os.environ["SIGNAL"] = "KILL"
            subprocess.run([os.path.join(path, "bin", "kafka-server-stop.sh")], check=False,
                           stdout=subprocess.DEVNULL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
