"""Starts, stops and kills kraftd for tests. Python 3 standard library only.

Every node has a directory and ports of its own; its log is printed when a test fails.

Tests run beside others on a machine that may be slow: a process may get a tenth of a core, and is
held up for a second now and then. So no test waits for a fixed time for what must come, looks once
at what comes in its own time (what another node has heard, the in-sync replicas, who leads), or
fails because something took long: it waits with `eventually` or `settled`.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

# What must come may take so long. It costs nothing where it comes.
PATIENCE_S = 90

RESERVATIONS = []  # sockets; they go with this process


def reserve_port(port):
    """False when somebody uses it, or another test may: its reservation is a name in the abstract
    namespace, which the kernel gives to one process and takes back when that ends."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0kraftd-test-port-{port}")
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        return False
    RESERVATIONS.append(claim)
    return True


def free_ports(count):
    """Ports for this test alone, below the range that the kernel gives out itself."""
    first = random.randrange(20000, 30000)
    ports = []
    for port in list(range(first, 32000)) + list(range(20000, first)):
        if reserve_port(port):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise RuntimeError("no free ports")


def eventually(what, holds, seconds=PATIENCE_S):
    """Waits until holds() gives something true, and returns that. `what` may be a function that
    says what is still missing."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.02)


def settled(assertions, seconds=PATIENCE_S):
    """Calls it until it fails no more, and returns what it gives: for what is true soon, and not
    at once."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return assertions()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def wait_said(process, pattern, seconds=PATIENCE_S):
    """Reads what a process prints (on a pipe, as text) until a line matches; all of it so far."""
    overdue = threading.Timer(seconds, process.kill)
    overdue.start()
    text = ""
    try:
        for line in process.stdout:
            text += line
            if re.search(pattern, line):
                return text
    finally:
        overdue.cancel()
    raise AssertionError(f"no {pattern!r} within {seconds} s: {text}")


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

    def command(self):
        return [self.kraftd, self.properties]

    def launch(self):
        """Starts it and does not wait."""
        with open(self.log_path, "ab") as log:
            self.log_from = log.tell()
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def start(self, wait_s=PATIENCE_S):
        self.launch()
        self.wait_ready(wait_s)
        return self

    def wait_ready(self, wait_s=PATIENCE_S):
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

    def stop(self, wait_s=120):
        """Ends it in order and returns its exit code."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait_end(wait_s)

    def wait_end(self, wait_s=120):
        """Of a node that was told to stop. Told again, it would end at once."""
        if self.process is None:
            return None
        try:
            return self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"kraftd did not stop within {wait_s} s\n{self.log()}") from None

    def log(self, last=60):
        if not os.path.exists(self.log_path):
            return "it was not started\n"
        with open(self.log_path, "r", encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-last:])


@contextlib.contextmanager
def ended(nodes):
    """No process of these is left, nor what they kept, where the test did not fail. One that fails
    shows their logs."""
    try:
        yield
    except BaseException:
        for node in nodes:
            print(f"--- node at {node.bootstrap}, {node.folder}\n{node.log(80)}", file=sys.stderr)
        raise
    finally:
        for node in nodes:
            if node.process is not None and node.process.poll() is None:
                node.process.send_signal(signal.SIGCONT)
                node.kill()
    for node in nodes:
        shutil.rmtree(node.folder, ignore_errors=True)


@contextlib.contextmanager
def together(nodes):
    """Starts nodes that need each other, and stops them in order afterwards."""
    with ended(nodes):
        for node in nodes:
            node.launch()
        for node in nodes:
            node.wait_ready()
        yield
        codes = [node.stop() for node in nodes if node.process is not None]
        check(all(code in (0, 143) for code in codes), f"kraftd ended with {codes}")


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


def run_parts(parts, *arguments):
    """The parts of a test, one after the other, and how long each took."""
    for part in parts:
        begin = time.monotonic()
        part(*arguments)
        print(f"{part.__name__}: ok, {time.monotonic() - begin:.1f} s", flush=True)


def check(condition, message):
    """An assertion that says what was wrong."""
    if not condition:
        raise AssertionError(message)
