"""Recorded runs of command-line tools: fixtures that are set up on kraftd, cases that are run in
them, and when two outputs are equal. Used by test_cli.py. Python 3 standard library only.

A case is a JSON object: `id` (tool/name), `tool`, `fixture`, `order` (inside the fixture), `prep`
and `after` (shell commands; "& cmd" runs until the case ends), `cmd`, `stdin`, `stdout`, `stderr`,
`rc`, `normalise`, `ignore` (streams that are not compared), `timeout`, `log` (what Kafka logged).
A fixture is `nodes`, `properties`, `format`, `files`, `prep`. In both, {BOOTSTRAP}, {CONTROLLER},
{DEAD}, {DIR} and {PORT1} stand for what a run makes of them; so does {HELP} for a table of options
and {PURPOSE} for the sentence above it.
"""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time

from harness import PATIENCE_S, eventually, reserve_port

SETTLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cli_settle.py")

LOG_LINE = re.compile(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] "
                      r"(?=(?:DEBUG|INFO|WARN|ERROR|FATAL) )")
OPTION_TABLE = re.compile(r"^Option( \(\* = required\))? +Description")
NAMED = {
    "uuid": (r"(?<![A-Za-z0-9_+/-])[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])", "<uuid>"),
    "uuid36": (r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", "<uuid36>"),
    "ansi": (r"\x1b\[[0-9;?]*[A-Za-z]", ""),
    "ms": (r"(?<!\d)1[5-9]\d{11}(?!\d)", "<ms>"),
    "num": (r"(?<![\w.])-?\d+(\.\d+)?(E-?\d+)?(?![\w])", "<n>"),
    "ws": (r" {2,}", " "),
    "date": (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([:.,]\d{3})?(\+\d{4}|Z)?", "<date>"),
    "epochms": (r"epoch: \d+", "epoch: <n>"),
    "pid": (r'(?i)(producer_?id[:=]? ?"?)\d+', r"\1<pid>"),
    "size": (r'("size"|"offsetLag"|"usableBytes"|"totalBytes"):-?\d+', r"\1:<n>"),
    "crc": (r"crc: \d+", "crc: <n>"),
    "id8": (r"(?<=[-_])[A-Za-z0-9]{8}(?![A-Za-z0-9])", "<id8>"),
    "metaoff": (r"(?i)((?:LeaderEpoch|HighWatermark|MaxFollowerLag\w*|LogEndOffset|Lag|offset"
                r"|epoch)[:=]\s*)-?\d+", r"\1<n>"),
    "bsize": (r"\b(size|position): \d+", r"\1: <n>"),
    "tmp": (r"/tmp/[\w./-]*", "<path>"),
}
# Kafka's tools need that long to start; these do not.
WAITS = [(re.compile(r"--timeout-ms [3-8]000\b"), "--timeout-ms 1500"),
         (re.compile(r"\bsleep(\(?) ?(?:[3-9]|1[0-9])\b"), r"sleep\1 2")]


def in_order(value):
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return sorted((in_order(element) for element in value), key=repr)
    return value


def json_line(line):
    try:
        return json.dumps(in_order(json.loads(line))) if line.startswith("{") else line
    except ValueError:
        return line


def sorted_list(separator, group=0):
    return lambda m: m[0].replace(m[group], separator.join(sorted(m[group].split(separator))))


def normalise(text, names):
    """`names`: of NAMED, json, sort, sortwords, or [regular expression, replacement]."""
    # Java's sets have another order in each run.
    text = re.sub(r"\[[\w.-]+\](?:, \[[\w.-]+\])+", sorted_list(", "), text)
    text = re.sub(r"\[([A-Z_]+(?:, [A-Z_]+)+)\]", sorted_list(", ", 1), text)
    text = re.sub(r"Valid \w+ are: ([\w, ]+)", sorted_list(", ", 1), text)
    for name in names:
        if name == "json":
            text = "\n".join(json_line(line) for line in text.split("\n"))
        elif name == "sort":
            text = "\n".join(sorted(text.split("\n")))
        elif name == "sortwords":
            text = "\n".join(" ".join(sorted(re.split(r"[,\s]+", line)))
                             for line in text.split("\n"))
        else:
            text = re.sub(*(name if isinstance(name, list) else NAMED[name]), text)
    return text


def without_table(text):
    """A table of options becomes {HELP}."""
    out, inside = [], False
    for line in text.split("\n"):
        if OPTION_TABLE.match(line):
            inside = True
            out.append("{HELP}")
        elif not inside or (line and not line.startswith(("-", " ", "* -"))):
            inside = False
            out.append(line)
        elif not line:
            inside = False
    return "\n".join(out)


def split_log(text):
    lines = text.split("\n")
    log = [LOG_LINE.sub("", line) for line in lines if LOG_LINE.match(line)]
    return "\n".join(line for line in lines if not LOG_LINE.match(line)), log


def free_base():
    """The first of 60 ports that nobody uses."""
    bases = list(range(20000, 31940, 60))
    random.shuffle(bases)
    for base in bases:
        if all(reserve_port(base + i) for i in (1, 2, 3, 11, 12, 13, 21, 49, 51, 52, 53)):
            return base
    raise RuntimeError("no 60 free ports")


def shortened(command):
    for pattern, shorter in WAITS:
        command = pattern.sub(shorter, command)
    return command


class Fixture:
    """Servers in a folder of their own. `environment` finds the tools, `server` is kraftd."""

    def __init__(self, spec, folder, base, environment, server):
        self.spec, self.folder, self.environment, self.server = spec, folder, environment, server
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self.nodes, self.background = [], []
        self.words = {"{DIR}": folder, "{DEAD}": f"127.0.0.1:{base + 49}",
                      "{BOOTSTRAP}": f"127.0.0.1:{base + 1}",
                      "{CONTROLLER}": f"127.0.0.1:{base + 11}", "{SASL}": f"127.0.0.1:{base + 21}"}
        for i in range(1, 10):
            for name, first in (("PORT", 0), ("CPORT", 10), ("SPORT", 20), ("APORT", 50)):
                self.words["{%s%d}" % (name, i)] = str(base + first + i)

    def fill(self, text):
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text

    def unfill(self, text):
        for word, value in self.words.items():
            if "PORT" in word:
                text = re.sub(rf"(?<!\d){value}(?!\d)", word, text)
            else:
                text = text.replace(value, word)
        return text

    def shell(self, command, stdin="", timeout=60):
        """(stdout, stderr, exit code or "timeout")"""
        if self.spec["nodes"] > 1:  # the next tool may ask a broker that has not heard of it yet
            command = re.sub(r" (&&|;) (?=kafka-)", rf" \1 {self.settle()} \1 ", command)
        process = subprocess.Popen(["bash", "-c", self.fill(command)], cwd=self.folder,
                                   env=self.environment, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   start_new_session=True)
        try:
            out, err = process.communicate(
                self.fill(stdin).encode("utf-8", "surrogateescape"), timeout)
            rc = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            rc = "timeout"
        return out.decode("utf-8", "backslashreplace"), err.decode("utf-8", "backslashreplace"), rc

    def settle(self):
        ports = " ".join("{PORT%d}/{APORT%d}" % (i, i) for i in range(1, self.spec["nodes"] + 1))
        return f"/usr/bin/python3 {SETTLE} {ports}"

    def prepare(self, step):
        """The exit code of a step; 0 for one that goes on in the background."""
        if not step.startswith("& "):
            return self.shell(shortened(step))[2]
        self.background.append(subprocess.Popen(
            ["bash", "-c", "exec " + self.fill(step[2:])], cwd=self.folder, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True))
        for word in re.findall(r"\{C?PORT\d\}", step):
            self.wait_listening(int(self.words[word]))
        return 0

    @staticmethod
    def wait_listening(port, wait_s=60):
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                return
            except OSError:
                time.sleep(0.05)

    def node_path(self, i, name):
        return os.path.join(self.folder, f"node{i}.{name}")

    def write_files(self):
        for name, text in self.spec.get("files", {}).items():
            if "process.roles=" in text:
                text += "kraftd.admin.listener=127.0.0.1:{APORT1}\n"
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
                f.write(self.fill(text))
        for i in range(1, self.spec["nodes"] + 1):
            text = self.spec["properties"].replace("{ID}", str(i))
            for name in ("PORT", "CPORT", "SPORT"):
                text = text.replace("{%s}" % name, "{%s%d}" % (name, i))
            with open(self.node_path(i, "properties"), "w", encoding="utf-8") as f:
                f.write(self.fill(text + "kraftd.admin.listener=127.0.0.1:{APORT%d}\n" % i))

    def start(self):
        """Starts the nodes and makes all preparation steps; [(step, exit code)] of these."""
        self.write_files()
        nodes = range(1, self.spec["nodes"] + 1)
        for i in nodes:
            command = self.spec["format"].replace("{CONF}", self.node_path(i, "properties"))
            _out, err, rc = self.shell(command)
            if rc != 0:
                raise RuntimeError(f"{command}: {err}")
        for i in nodes:
            with open(self.node_path(i, "log"), "wb") as log:
                self.nodes.append(subprocess.Popen(
                    [self.server, self.node_path(i, "properties")], cwd=self.folder,
                    env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
            with open(self.node_path(i, "pid"), "w", encoding="utf-8") as f:
                f.write(str(self.nodes[-1].pid))
        for i in nodes:
            self.wait_ready(i)
        if self.spec["nodes"] > 1:
            self.wait_all_known()
        return [(step, self.prepare(step)) for step in self.spec.get("prep") or []]

    def wait_all_known(self):
        """Every node has heard of every broker."""
        for i in range(1, self.spec["nodes"] + 1):
            command = "kafka-broker-api-versions.sh --bootstrap-server 127.0.0.1:{PORT%d}" % i
            eventually(f"node {i} hears of all brokers", lambda command=command: self.shell(
                command)[0].count("(id: ") >= self.spec["nodes"])

    def wait_ready(self, i):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with open(self.node_path(i, "log"), "rb") as log:
                text = log.read()
            if b" INFO Ready " in text:
                return
            if self.nodes[i - 1].poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"node {i} did not start\n{text.decode(errors='replace')}")

    def run(self, case, timeout, shorten=True):
        """{stdout, stderr, rc, log} of a case."""
        for step in case.get("prep", []):
            self.prepare(step)
        if case["tool"] == "kafka-log-dirs" and self.spec["nodes"] > 1:
            self.shell(self.settle())  # the other nodes make the replicas a moment later
        command = shortened(case["cmd"]) if shorten else case["cmd"]
        out, err, rc = self.shell(command, case.get("stdin", ""), timeout)
        self.end_background()
        for step in case.get("after", []):
            self.prepare(step)
        err, log = split_log(err)
        out, more = split_log(out)
        return {"stdout": self.unfill(without_table(out)), "rc": rc,
                "stderr": self.unfill(without_table(err)),
                "log": [self.unfill(line) for line in log + more]}

    def end_background(self):
        for process in self.background:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        self.background = []

    def stop(self):
        """Ends the nodes; [(node, exit code, log)] of those that did not end in order."""
        self.end_background()
        bad = []
        for process in self.nodes:
            process.terminate()
        for i, process in enumerate(self.nodes, 1):
            try:
                code = process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
            if code not in (0, 143):
                with open(self.node_path(i, "log"), encoding="utf-8", errors="replace") as log:
                    bad.append((i, code, log.read()[-4000:]))
        return bad


def start(make):
    """A fixture that is up and what its preparation gave. `make` takes the ports' base; somebody
    else may have taken a port in between, so this is tried three times."""
    for attempt in (1, 2, 3):
        fixture = make(base=free_base())
        try:
            return fixture, fixture.start()
        except RuntimeError:
            fixture.stop()
            if attempt == 3:
                raise
    raise AssertionError("not reached")
