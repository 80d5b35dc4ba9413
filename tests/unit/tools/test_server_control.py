#!/usr/bin/env python3
"""kafka-server-start and -stop find kraftd beside themselves, start it in the background, stop the
right one and say what is wrong. Here kraftd is a shell that takes its server.properties for a
script: what is no command it passes over, the last line makes it wait.

KRAFTD_BIN is the folder of kraftd-tools.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

BIN = os.environ.get("KRAFTD_BIN", "")


class ServerControl(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kraftd-control-")
        self.bin = os.path.join(self.folder, "bin")
        os.mkdir(self.bin)
        shutil.copy(os.path.join(BIN, "kraftd-tools"), self.bin)
        for name in ("kafka-server-start.sh", "kafka-server-stop.sh", "zookeeper-server-start.sh"):
            os.symlink("kraftd-tools", os.path.join(self.bin, name))
        self.processes = []

    def tearDown(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdin.close()
        shutil.rmtree(self.folder)

    def run_tool(self, name, *words, **environment):
        return subprocess.run([os.path.join(self.bin, name), *words], capture_output=True,
                              text=True, timeout=120, cwd=self.folder,
                              env={**os.environ, **environment})

    def install_server(self):
        shutil.copy("/bin/bash", os.path.join(self.bin, "kraftd"))

    def start_server(self, node, role):
        path = os.path.join(self.folder, f"node{node}.properties")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"node.id={node}\nprocess.roles={role}\n"
                    "controller.quorum.bootstrap.servers=127.0.0.1:1\n"
                    "controller.listener.names=CONTROLLER\n"
                    f"listeners={role.upper()}://127.0.0.1:{2 + node}\n"
                    "listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
                    + ("inter.broker.listener.name=BROKER\n" if role == "broker" else "")
                    + "read line\n")
        process = subprocess.Popen([os.path.join(self.bin, "kafka-server-start.sh"),
                                    os.path.basename(path)], cwd=self.folder,
                                   stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        deadline = time.monotonic() + 90
        while os.path.basename(os.readlink(f"/proc/{process.pid}/exe")) != "kraftd":
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        return process

    def wait_output(self, path, text):
        deadline = time.monotonic() + 90
        while os.path.getsize(path) == 0:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        with open(path, encoding="utf-8") as f:
            self.assertEqual(f.read(), text)

    def test_usage(self):
        result = self.run_tool("kafka-server-start.sh")
        self.assertEqual(result.returncode, 1)
        self.assertIn("USAGE: ", result.stderr)
        self.assertEqual(self.run_tool("kafka-server-start.sh", "--version").stdout, "4.4.0\n")

    def test_no_server(self):
        result = self.run_tool("kafka-server-start.sh", "server.properties")
        self.assertEqual(result.returncode, 1)
        self.assertIn("bin/kraftd: No such file or directory", result.stderr)
        result = self.run_tool("kafka-server-start.sh", "-daemon", "server.properties")
        self.assertEqual(result.returncode, 1)
        self.assertIn("bin/kraftd: No such file or directory", result.stderr)
        result = self.run_tool("kafka-server-stop.sh")
        self.assertEqual((result.returncode, result.stdout), (1, "No kafka server to stop\n"))

    def test_daemon(self):
        self.install_server()
        with open(os.path.join(self.folder, "echo.properties"), "w", encoding="utf-8") as f:
            f.write('echo "started $*"\n')
        result = self.run_tool("kafka-server-start.sh", "-daemon", "echo.properties",
                               "--override", "a=b")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        result = self.run_tool("kafka-server-start.sh", "-daemon", "echo.properties",
                               "--format", "json", "--override=a=b", LOG_DIR=self.folder)
        self.assertGreater(json.loads(result.stdout)["pid"], 1)
        path = os.path.join(self.folder, "kafkaServer.out")
        self.wait_output(path, "started --override=a=b\n")
        result = self.run_tool("kafka-server-start.sh", "echo.properties", "--format=xml")
        self.assertEqual(result.returncode, 1)
        self.assertIn("text or json", result.stderr)
        path = os.path.join(self.folder, "logs", "kafkaServer.out")
        self.wait_output(path, "started --override a=b\n")
        result = self.run_tool("kafka-server-start.sh", "-daemon", "echo.properties",
                               LOG_DIR="/proc/nowhere")
        self.assertEqual(result.returncode, 1)
        self.assertIn("/proc/nowhere/kafkaServer.out", result.stderr)

    def test_stop(self):
        self.install_server()
        broker = self.start_server(1, "broker")
        controller = self.start_server(2, "controller")
        result = self.run_tool("kafka-server-stop.sh", "--node-id", "3")
        self.assertEqual(result.returncode, 1)
        result = self.run_tool("kafka-server-stop.sh", "--process-role=controller", "--format=json")
        self.assertEqual(json.loads(result.stdout), {"stopped": [controller.pid]})
        self.assertEqual(controller.wait(90), -signal.SIGTERM)
        self.assertIsNone(broker.poll())
        result = self.run_tool("kafka-server-stop.sh", SIGNAL="KILL")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        self.assertEqual(broker.wait(90), -signal.SIGKILL)
        result = self.run_tool("kafka-server-stop.sh", SIGNAL="NONE")
        self.assertEqual(result.returncode, 1)

    def test_zookeeper(self):
        result = self.run_tool("zookeeper-server-start.sh", "config/zookeeper.properties")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("No ZooKeeper is needed", result.stdout)


if __name__ == "__main__":
    if not BIN:
        sys.exit("KRAFTD_BIN is not set")
    unittest.main()
