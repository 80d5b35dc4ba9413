"""Starts, stops and kills kraftd for tests. Python 3 standard library only.

Every node has a directory and ports of its own; its log is printed when a test fails.
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time


def free_ports(count):
    """Ports that nobody uses now, below the range that the kernel gives out itself."""
    first = random.randrange(20000, 30000)
    ports = []
    for port in list(range(first, 32000)) + list(range(20000, first)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            with contextlib.suppress(OSError):
                s.bind(("127.0.0.1", port))
                ports.append(port)
        if len(ports) == count:
            return ports
    raise RuntimeError("no free ports")


class Node:
    """One kraftd process and what it keeps."""

    def __init__(self, kraftd, folder=None, config=()):
        self.kraftd = kraftd
        self.folder = folder or tempfile.mkdtemp(prefix="kraftd-test-")
        self.port, self.controller_port, self.admin_port = free_ports(3)
        self.process = None
        self.log_path = os.path.join(self.folder, "kraftd.log")
        self.data = os.path.join(self.folder, "data")
        self.properties = os.path.join(self.folder, "server.properties")
        lines = [
            "process.roles=broker,controller",
            "node.id=1",
            f"listeners=PLAINTEXT://127.0.0.1:{self.port},"
            f"CONTROLLER://127.0.0.1:{self.controller_port}",
            "controller.listener.names=CONTROLLER",
            f"controller.quorum.bootstrap.servers=127.0.0.1:{self.controller_port}",
            f"log.dirs={self.data}",
            f"kraftd.admin.listener=127.0.0.1:{self.admin_port}",
            *config,
        ]
        with open(self.properties, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def start(self, wait_s=30):
        with open(self.log_path, "ab") as log:
            self.log_from = log.tell()
            self.process = subprocess.Popen(
                [self.kraftd, self.properties], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self.wait_ready(wait_s)
        return self

    def wait_ready(self, wait_s=30):
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"kraftd ended with {self.process.returncode}\n{self.log()}")
            with open(self.log_path, "rb") as log:
                log.seek(self.log_from)
                if b" INFO Ready " in log.read():
                    return
            time.sleep(0.01)
        raise RuntimeError(f"kraftd was not ready within {wait_s} s\n{self.log()}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, wait_s=60):
        """Ends it in order and returns its exit code."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"kraftd did not stop within {wait_s} s\n{self.log()}") from None

    def log(self, last=60):
        with open(self.log_path, "r", encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-last:])


@contextlib.contextmanager
def running(kraftd, config=(), folder=None):
    """A node that is up; see run."""
    with run(Node(kraftd, folder, config)) as node:
        yield node


@contextlib.contextmanager
def run(node):
    """Starts it, and stops it afterwards. A test that fails shows its log; so does a node that did
    not end in order (a sanitizer's report, a crash)."""
    try:
        node.start()
        yield node
    except BaseException:
        print(node.log(), file=sys.stderr)
        if node.process is not None and node.process.poll() is None:
            node.kill()
        raise
    code = node.stop()
    if code not in (0, 143):
        print(node.log(200), file=sys.stderr)
        raise AssertionError(f"kraftd ended with exit code {code}")


def check(condition, message):
    """An assertion that says what was wrong."""
    if not condition:
        raise AssertionError(message)
