#!/usr/bin/env python3
"""test_metadata_shell.py KRAFTD: kafka-metadata-shell, which stands beside KRAFTD, on a node that
runs: over its files and over the network, and on a terminal."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time

from harness import PATIENCE_S, check, eventually, running

EXPECTED_COMMANDS = "cat cd diff exit find help history log ls man pwd tree watch".split()


class Shell:
    """One way to open the shell."""

    def __init__(self, tool, *where):
        self.words = [tool, *where]

    def run(self, *command, code=0, stdin=None):
        result = subprocess.run(
            [*self.words, *command], input=stdin, capture_output=True, text=True, timeout=120,
            check=False,
        )
        check(
            result.returncode == code,
            f"{command} ended with {result.returncode}: {result.stdout}{result.stderr}",
        )
        return result.stdout

    def start(self, *command):
        return subprocess.Popen([*self.words, *command], stdout=subprocess.PIPE, text=True)


def topics_tool(tools, node, *words):
    words = [os.path.join(tools, "kafka-topics"), "--bootstrap-server", node.bootstrap, *words]
    subprocess.run(words, check=True, timeout=120, stdout=subprocess.DEVNULL)


def change_until(seen, change):
    """Those who watch say nothing when they begin: so there is one change after the other until
    they have all seen one."""
    def has_seen():
        change()
        until = time.monotonic() + 1
        while time.monotonic() < until and not seen():
            time.sleep(0.05)
        return seen()

    eventually("all who watch have seen a change", has_seen)


def look(shells):
    """All ways show the same, but where in the log they are."""
    trees = []
    for shell in shells:
        tree = json.loads(shell.run("--format", "json", "tree", "/image"))["/image"]
        provenance = tree.pop("provenance")
        check(provenance["offset"] > 10, f"provenance {provenance}")
        check(list(tree["topics"]["byName"]) == ["first"], f"topics {tree['topics']}")
        check(tree["configs"]["TOPIC:first"] == {"retention.ms": "5000"}, "configs")
        leader = shell.run("cat", "/metadataQuorum/leader")
        check(leader == "LeaderAndEpoch(leaderId=OptionalInt[1], epoch=1)\n", f"leader {leader}")
        trees.append(tree)
    check(all(tree == trees[0] for tree in trees), "the trees differ")


def then(shells):
    """Back in time, forth in time, and the records."""
    for shell in shells:
        begin = int(shell.run("--at-offset", "5", "cat", "/metadataQuorum/offset"))
        check(begin >= 5, f"at offset 5 is {begin}")
        diff = shell.run("diff", "5", "now", "/image/topics")
        check("+ /image/topics/byName/first/name = first\n" in diff, f"diff {diff}")
        records = [json.loads(line) for line in shell.run("log").splitlines()]
        check([r["offset"] for r in records] == list(range(len(records))), "offsets of log")
        topics = [r["data"]["name"] for r in records if r["type"] == "TOPIC_RECORD"]
        check(topics == ["first"], f"topics in the log {topics}")
        wrong = json.loads(shell.run("--format", "json", "--at-offset", "99999999", "ls", code=1))
        check("the log ends at" in wrong["error"]["message"], f"beyond the end: {wrong}")


def watch(shells, tools, node):
    """A change is told to all who wait for it."""
    waiting = [
        shell.start("--format", "json", "watch", "--count", "1", "/image/topics/byName/sec*/0")
        for shell in shells
    ]
    following = shells[0].start("log", "--follow", "--type", "topic_record", "-1")
    lines, created = [], []
    reader = threading.Thread(target=lambda: lines.extend(iter(following.stdout.readline, "")))
    reader.start()

    def create():
        created.extend([f"other-{len(created)}", f"second-{len(created)}"])
        topics_tool(tools, node, "--create", "--topic", created[-2])
        topics_tool(tools, node, "--create", "--topic", created[-1], "--partitions", "2")

    change_until(lambda: len(lines) >= 2 and all(p.poll() is not None for p in waiting), create)
    for process in waiting:
        out, _ = process.communicate()
        check(process.returncode == 0, "watch failed")
        changes = json.loads(out)["changes"]
        paths = [change["path"] for change in changes]
        check(len(paths) == 1 and re.fullmatch(r"/image/topics/byName/second-\d+/0", paths[0]),
              f"watch told {paths}")
        check(changes[0]["before"] is None and changes[0]["after"]["leader"] == 1, "the change")
    following.send_signal(signal.SIGINT)
    check(following.wait(PATIENCE_S) == 0, "log --follow did not end in order")
    reader.join()
    following.stdout.close()
    names = [json.loads(line)["data"]["name"] for line in lines]
    check(names == created[-len(names):], f"log --follow told {names} of {created}")
    return created[-1]


def watch_the_leader(tool, node):
    """What is said of a change is the place of the record that made it."""
    text, document = (
        Shell(tool, "--snapshot", node.data).start(*words, "watch", "--count", "1",
                                                   "/metadataQuorum/leader")
        for words in ((), ("--format", "json"))
    )
    def restart():
        check(node.stop() in (0, 143), "it does not stop")
        node.start()

    change_until(lambda: text.poll() is not None and document.poll() is not None, restart)
    commit = json.loads(document.communicate()[0])
    log = Shell(tool, "--snapshot", node.data).run("log", "--type", "LEADER_CHANGE")
    records = [json.loads(line) for line in log.splitlines()]
    place = {key: commit[key] for key in ("offset", "epoch", "timestamp")}
    check(any({**record, **place} == record for record in records), f"watch told {commit} of {log}")
    out = text.communicate()[0]
    check(any(out.startswith(f"offset {record['offset']}, epoch {record['epoch']}, ")
              for record in records), out)


def session(shells, tools, node, known):
    """At the prompt it is always the newest."""
    for shell in shells:
        words = shell.words
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            process.stdin.write("ls /image/topics/byName\n")
            process.stdin.flush()
            seen = ""
            while f"{known}\n" not in seen:
                line = process.stdout.readline()
                check(line, f"the session ends: {seen}")
                seen += line
            topics_tool(tools, node, "--create", "--topic", "third")
            out, _ = process.communicate("ls /image/topics/byName\nexit\n", timeout=120)
            check("third\n" in out, f"the session does not see the new topic: {out}")
            topics_tool(tools, node, "--delete", "--topic", "third")


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, words):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "vt100"
            os.execv(words[0], words)
        self.seen = ""

    def expect(self, text, seconds=PATIENCE_S):
        end = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], max(end - time.monotonic(), 0))
            check(ready, f"{text!r} does not come: {self.seen!r}")
            self.seen += os.read(self.fd, 4096).decode()
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def terminal(shell):
    t = Terminal(shell.words)
    t.expect("[ Kafka Metadata Shell ]")
    t.expect(">> ")
    t.type("ca\t/im\tfeat\tmeta\t\n")
    t.expect("Optional[4.4-IV2]")
    t.expect(">> ")
    t.type("\x1b[A\n")  # the line before
    t.expect("Optional[4.4-IV2]")
    t.expect(">> ")
    t.type("ls /image/topics/b\t\t")
    t.expect("byName")
    t.type("\x03")
    t.expect("^C")
    t.expect(">> ")
    t.type("pwd\n")
    t.expect("/")
    t.expect(">> ")
    t.type("history\n")
    t.expect("0  cat /image/features/metadataVersion")
    t.expect("1  pwd")
    t.type("exit\n")
    check(t.end() == 0, "the terminal's session failed")


def main():
    kraftd = sys.argv[1]
    tools = os.path.dirname(os.path.abspath(kraftd))
    tool = os.path.join(tools, "kafka-metadata-shell.sh")
    with running(kraftd) as node:
        topics_tool(tools, node, "--create", "--topic", "first", "--config", "retention.ms=5000")
        shells = [
            Shell(tool, "--snapshot", node.data),
            Shell(tool, "--bootstrap-server", node.bootstrap),
            Shell(tool, "--bootstrap-controller", f"127.0.0.1:{node.controller_port}"),
        ]
        look(shells)
        then(shells)
        session(shells, tools, node, watch(shells, tools, node))
        terminal(shells[0])
        said = shells[0].run(stdin='cd /image\ncd ""\npwd\ncat ""\n')
        check(">> /\n" in said and "too few arguments" in said, f"empty words: {said}")
        listed = shells[0].run(stdin="help\n")
        check("{" + ",".join(EXPECTED_COMMANDS) + "}" in listed, f"help says {listed}")
    with running(kraftd) as node:
        other = Shell(tool, "--snapshot", node.data)
        watch_the_leader(tool, node)
        data = node.data
        diff = other.run("diff", data, "now")
        check(diff == "", f"a directory differs from itself: {diff}")
    print("the metadata shell shows a node that runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
