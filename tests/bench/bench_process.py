"""A process whose figures are taken: kraftd, or Apache Kafka where its kind has a home."""

import os
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KRAFTD = os.path.join(ROOT, "build", "bin", "kraftd")
CLUSTER_ID = "5L6g3nShT-eMCtK--X86sw"

sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
from harness import free_ports  # noqa: E402, F401


def say(text):
    print(text, file=sys.stderr, flush=True)


class BenchProcess:
    """`properties` is what server.properties holds. `is_ready` is the subclass's."""

    def __init__(self, kind, folder, properties):
        self.kind, self.folder = kind, folder
        self.properties = os.path.join(folder, "server.properties")
        self.log_path = os.path.join(folder, "log")
        self.process, self.log_from = None, 0
        os.makedirs(folder)
        with open(self.properties, "w", encoding="utf-8") as f:
            f.write(properties)

    def prepare(self):
        if self.kind.home:
            subprocess.run([os.path.join(self.kind.home, "bin", "kafka-storage.sh"), "format", "-t",
                            CLUSTER_ID, "-c", self.properties], check=True, capture_output=True)

    def start(self):
        command = [KRAFTD, self.properties]
        if self.kind.home:
            command[0] = os.path.join(self.kind.home, "bin", "kafka-server-start.sh")
        with open(self.log_path, "ab") as log:
            self.log_from = log.tell()
            self.process = subprocess.Popen(command, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, start_new_session=True)

    def says_ready(self):
        """Of kraftd: whether Apache Kafka says so depends on its logging."""
        with open(self.log_path, "rb") as log:
            log.seek(self.log_from)
            return b" INFO Ready " in log.read()

    def wait_ready(self, seconds=240):
        end = time.monotonic() + seconds
        while not self.is_ready():
            if time.monotonic() > end:
                raise RuntimeError(f"{self.folder} is not ready after {seconds} s")
            time.sleep(0.005)

    def end(self, how=signal.SIGKILL):
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def cpu(self):
        """CPU seconds of all its threads so far: Linux names the clock of a process like this."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def memory_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))
