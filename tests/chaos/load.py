"""kraftd-chaos-load as a child: what it has done so far, and its end."""

import subprocess
import threading
import time

from common import Failure, die_with_parent


class Load:
    """Producers and readers, in a process of their own."""

    def __init__(self, binary, bootstrap, topics, history, origin_ms, options):
        words = [binary, "--bootstrap", bootstrap, "--history", history,
                 "--topics", ",".join(f"{name}:{count}" for name, count in topics.items()),
                 "--origin-ms", str(origin_ms), "--rate", str(options.rate),
                 "--producers", str(options.producers),
                 "--record-bytes", str(options.record_bytes)]
        for key, value in options.client:
            words += ["-X", f"{key}={value}"]
        with open(history + ".log", "ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=log, text=True, preexec_fn=die_with_parent)
        self.numbers = [0] * 6  # at, attempted, acknowledged, given up, read, stalled
        self.slowest, self.heard_at = "", time.monotonic()
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        for line in self.process.stdout:
            words = line.split()
            if len(words) == 8 and words[0] == "progress":
                self.numbers = [int(word) for word in words[1:7]]
                self.slowest, self.heard_at = words[7], time.monotonic()

    def check(self):
        code = self.process.poll()
        if code is not None:
            raise Failure(f"the load ended by itself with exit code {code}")

    @property
    def acknowledged(self):
        return self.numbers[2]

    def stalled(self):
        """How long the slowest partition has had no acknowledgement, and which one that is."""
        since = int((time.monotonic() - self.heard_at) * 1000)
        return self.numbers[5] + since, self.slowest

    def finish(self, seconds):
        """Producers stop, readers read to the end: True when all was read."""
        self.process.stdin.write("stop\n")
        self.process.stdin.flush()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"the last reading took longer than {seconds} s") from None
        self.thread.join()
        if code not in (0, 1):
            raise Failure(f"the load ended with exit code {code}")
        return code == 0

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
