"""Tests of scripts/cluster with a server of a few lines in kraftd's place."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
from harness import free_ports, reserve_port  # noqa: E402

FAKE = """#!/usr/bin/env python3
import http.server, os, re, signal, sys
text = open(sys.argv[1]).read()
if os.path.exists(sys.argv[1] + ".broken"):
    sys.exit("a line that says why")
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
    def log_message(self, *words):
        pass
signal.signal(signal.SIGTERM, lambda *words: os._exit(143))
port = int(re.search(r"admin.listener=.*:(\\d+)", text).group(1))
http.server.HTTPServer(("127.0.0.1", port), Ready).serve_forever()
"""

FAKE_TOOLS = """#!/bin/sh
case "$*" in
*json*) echo '{"brokers": []}' ;;
*) echo "$@" ;;
esac
"""


def free_base_port():
    """A base port whose three ports nobody uses."""
    while True:
        base, = free_ports(1)
        if reserve_port(base + 100) and reserve_port(base + 200):
            return base


class Cluster(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = os.path.join(folder.name, "c")
        self.kraftd = os.path.join(folder.name, "kraftd")
        self.tools = os.path.join(folder.name, "kraftd-tools")
        for path, text in ((self.kraftd, FAKE), (self.tools, FAKE_TOOLS)):
            with open(path, "w", encoding="ascii") as out:
                out.write(text)
            os.chmod(path, 0o755)
        self.port = free_base_port()
        self.addCleanup(self.run_cluster, "wipe")

    def run_cluster(self, command, *words, kraftd=None):
        done = subprocess.run([os.path.join(ROOT, "scripts/cluster"), command, "--dir", self.folder,
                               *words], capture_output=True, text=True, check=False, timeout=120,
                              env=dict(os.environ, KRAFTD=kraftd or self.kraftd))
        return done.returncode, done.stdout, done.stderr

    def start(self):
        rc, out, err = self.run_cluster("start", "--base-port", str(self.port))
        self.assertEqual((rc, err), (0, ""))
        return int(out.split("pid ")[1].split(",")[0])

    def refused(self, rc_out_err, sentence):
        rc, _, err = rc_out_err
        self.assertEqual((rc, err.count("\n")), (1, 1), err)
        self.assertIn(sentence, err)

    def test_life_of_a_node(self):
        pid = self.start()
        self.assertEqual(self.start(), pid)
        with open(os.path.join(self.folder, "node-1/server.properties"), encoding="ascii") as file:
            text = file.read()
        self.assertIn(f"listeners=PLAINTEXT://127.0.0.1:{self.port},"
                      f"CONTROLLER://127.0.0.1:{self.port + 100}\n", text)
        self.assertIn(f"kraftd.admin.listener=127.0.0.1:{self.port + 200}\n", text)
        self.assertEqual(self.run_cluster("status")[0], 0)
        self.assertEqual(self.run_cluster("kill", "1")[0], 0)
        self.assertIn("stopped", self.run_cluster("status")[1])
        self.refused(self.run_cluster("kill", "1"), "not running")
        self.assertEqual(self.run_cluster("restart", "1")[0], 0)
        self.assertNotEqual(self.start(), pid)
        self.assertIn("node 1: stopped", self.run_cluster("stop")[1])
        self.assertIn("was not running", self.run_cluster("stop")[1])
        self.assertEqual(self.run_cluster("wipe")[0], 0)
        self.assertFalse(os.path.exists(self.folder))

    def test_status_asks_those_that_run(self):
        self.start()
        rc, out, _ = self.run_cluster("status", "--all", "--color", "never")
        self.assertEqual((rc, out.splitlines()[1:]), (0, [
            f"kraftd-status --bootstrap-server 127.0.0.1:{self.port} --color never --all"]))
        rc, out, _ = self.run_cluster("status", "--format", "json")
        told = json.loads(out)
        self.assertEqual((rc, told["nodes"][0]["state"], told["cluster"]),
                         (0, "ready", {"brokers": []}))
        os.unlink(self.tools)
        self.refused(self.run_cluster("status"), "kraftd-tools is not there")
        self.run_cluster("stop")
        rc, out, _ = self.run_cluster("status", "--format", "json")
        told = json.loads(out)
        self.assertEqual((rc, told["nodes"][0]["state"], told["cluster"]), (1, "stopped", None))

    def test_a_reused_pid_is_not_killed(self):
        self.start()
        self.run_cluster("kill", "1")
        other = subprocess.Popen(["sleep", "60"])
        with open(os.path.join(self.folder, "node-1/pid"), "w", encoding="ascii") as out:
            out.write(f"{other.pid}\n")
        self.run_cluster("stop")
        time.sleep(0.1)
        self.assertIsNone(other.poll())
        other.send_signal(signal.SIGKILL)
        other.wait()

    def test_refusals_are_one_sentence(self):
        start = ("start", "--base-port", str(self.port))
        self.refused(self.run_cluster("status"), "there is no cluster in")
        self.refused(self.run_cluster(*start, kraftd="/nonexistent"), "scripts/quickstart")
        self.refused(self.run_cluster(*start, "--nodes", "0"), "--nodes 0")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", self.port + 100))
            taken.listen()
            self.refused(self.run_cluster(*start), f"port {self.port + 100} is in use")
            self.assertFalse(os.path.exists(self.folder))
        self.start()
        self.refused(self.run_cluster("start", "--base-port", str(self.port + 1)), "wipe it first")
        self.refused(self.run_cluster("restart", "7"), "no node 7")

    def test_a_node_that_dies_says_why(self):
        self.start()
        self.run_cluster("stop")
        open(os.path.join(self.folder, "node-1/server.properties.broken"), "w",
             encoding="ascii").close()
        self.refused(self.run_cluster("start"), "ended at once (a line that says why)")


if __name__ == "__main__":
    unittest.main()
