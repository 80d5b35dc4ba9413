#!/usr/bin/env python3
"""test_cli.py KRAFTD [--only REGEX] [--tools REGEX] [--base PORT] [--path DIR] [--keep DIR]

Replays what Kafka's command-line tools printed against ours, which stand beside KRAFTD: the cases
of ../shared/kafka-data/cli, byte for byte after normalising. Without that folder: skipped.

Deliberate differences, applied to what Kafka printed:
- the header of a Java exception is its sentence alone, and nothing where the sentence stands there
  already;
- tests/data/cli/differences.tsv: case (regular expression), stream, pattern, replacement, why; with
  the pattern "any" the stream is not compared.

tests/data/cli/left_out.tsv names the cases that cannot pass yet and what each waits for. It may
only shrink: one that passes is an error, so is one that does not exist. A line "fixture NAME"
leaves out all cases of a fixture that cannot be set up yet, without trying.

--path DIR is searched for programs behind ours (such as another server's).
"""
import argparse
import importlib.util
import json
import os
import random
import re
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.path.join(os.path.dirname(ROOT), "shared", "kafka-data", "cli")
DATA = os.path.join(ROOT, "tests", "data", "cli")
SKIPPED = 77
HEADER = re.compile(r"^(?:Exception in thread \"\w+\" |Caused by: )?"
                    r"(?:[\w.$]+\.[\w$]+(?:Exception|Error)(?:: |$))+(.*)$")
CLASS = re.compile(r"(?<![\w.])(?:[a-z]\w*\.)+[\w$]+(?:Exception|Error): ")


def load_replay():
    """The recorder's own module, which starts fixtures and normalises."""
    path = os.path.join(SHARED, "replay.py")
    spec = importlib.util.spec_from_file_location("replay", path)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


def read_table(name):
    with open(os.path.join(DATA, name), encoding="utf-8") as f:
        lines = [line.rstrip("\n").split("\t") for line in f]
    return [line for line in lines if line[0] and not line[0].startswith("#")]


def plain(stderr, stdout):
    """What Kafka printed on standard error, without Java."""
    out, headers = [], 0
    for line in stderr.split("\n"):
        header = HEADER.match(line)
        sentence = CLASS.sub("", header[1] if header else line)
        if header:
            headers += 1
            if not sentence or any(sentence in before for before in out) or sentence in stdout:
                continue
        out.append(sentence)
    text = "\n".join(out)
    return re.sub(r"\n+\Z", "\n", text).lstrip("\n") if headers else text


def squeeze(text):
    """The error behind a usage: Kafka spreads its words over the width of the line, and guesses
    what was meant."""
    usage, error, rest = text.partition(": error:") if ": error:" in text else \
        re.match(r"(?s)(.*?)(:\s+error:|\Z)(.*)", text).groups()
    rest = re.sub(r"--\n", "--", rest.split("\n\nDid you mean")[0])
    return usage + re.sub(r"\s+", " ", error + rest).rstrip() + "\n"


class Expectations:
    def __init__(self, replay):
        self.replay = replay
        self.differences = read_table("differences.tsv")
        rows = read_table("left_out.tsv")
        self.fixtures = {row[0].split()[1]: row[1] for row in rows if row[0].startswith("fixture ")}
        self.left_out = {row[0]: row[1] for row in rows if not row[0].startswith("fixture ")}

    def expected(self, case, stream):
        text = case[stream]
        if stream == "stderr":
            text = plain(text, case["stdout"])
        elif stream == "stdout":
            text = CLASS.sub("", text)
        for pattern, where, old, new, _why in self.differences:
            if where == stream and re.fullmatch(pattern, case["id"]):
                if stream == "rc":
                    text = int(new) if str(text) == old else text
                else:
                    text = re.sub(old, new.encode().decode("unicode_escape"), text)
        return text

    def is_any(self, case, stream):
        return any(where == stream and old == "any" and re.fullmatch(pattern, case["id"])
                   for pattern, where, old, _new, _why in self.differences)

    def diffs(self, case, result):
        """[(stream, expected, got)] after normalising."""
        found = []
        for stream in ("rc", "stdout", "stderr"):
            if stream in case.get("ignore", []) or self.is_any(case, stream):
                continue
            want, got = self.expected(case, stream), result[stream]
            if stream != "rc":
                if "{PURPOSE}" in want:
                    got = re.sub(r"\A[^\n]*\n\{HELP\}", "{PURPOSE}\n{HELP}", got)
                if want.startswith("usage:") and got.startswith("usage:"):
                    want, got = squeeze(want), squeeze(got)
                want = self.replay.normalise(want, case["normalise"])
                got = self.replay.normalise(got, case["normalise"])
            if want != got:
                found.append((stream, want, got))
        return found


def read_cases(tools, only, names):
    """{(fixture, tool): cases} of the tools that there are."""
    by = {}
    for name in sorted(os.listdir(os.path.join(SHARED, "cases"))):
        tool = name.rsplit(".", 1)[0]
        if not os.path.exists(os.path.join(tools, tool + ".sh")) or not re.search(names, tool):
            continue
        with open(os.path.join(SHARED, "cases", name), encoding="utf-8") as f:
            for case in map(json.loads, f):
                if re.search(only, case["id"]):
                    by.setdefault((case["fixture"], case["tool"]), []).append(case)
    return by


class Run:
    def __init__(self, expectations):
        self.expectations = expectations
        self.passed, self.left_out, self.failed = 0, 0, []

    def judge(self, case, result):
        diffs = self.expectations.diffs(case, result)
        waits_for = self.expectations.left_out.get(case["id"])
        if diffs and waits_for:
            self.left_out += 1
        elif diffs:
            self.failed.append(case["id"])
            print("DIFFERENT", case["id"])
            for stream, want, got in diffs:
                print(f"  {stream}\n    want {want!r}\n    got  {got!r}", flush=True)
        elif waits_for:
            self.failed.append(case["id"])
            print(f"PASSES {case['id']}: take it off left_out.tsv", flush=True)
        else:
            self.passed += 1

    def fixture(self, fixture, cases):
        try:
            fixture.start()
            for case in sorted(cases, key=lambda c: c["order"]):
                self.judge(case, fixture.run(case))
        finally:
            fixture.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kraftd")
    parser.add_argument("--only", default="")
    parser.add_argument("--tools", default="")
    parser.add_argument("--base", type=int, default=random.randrange(20000, 30000, 60))
    parser.add_argument("--path")
    parser.add_argument("--keep")
    args = parser.parse_args()
    if not os.path.exists(os.path.join(SHARED, "replay.py")):
        print("skipped: no recorded cases beside the project")
        return SKIPPED
    tools = os.path.dirname(os.path.abspath(args.kraftd))
    replay = load_replay()
    expectations = Expectations(replay)
    by = read_cases(tools, args.only, args.tools)
    known = {case["id"] for cases in by.values() for case in cases}
    run = Run(expectations)
    if not args.only and not args.tools:
        gone = sorted(set(expectations.left_out) - known)
        run.failed += gone
        for name in gone:
            print(f"UNKNOWN {name}: no such case, take it off left_out.tsv")
    environment = replay.environment(tools)
    if args.path:
        environment["PATH"] = environment["PATH"].replace(":", f":{args.path}:", 1)
    with open(os.path.join(SHARED, "fixtures.json"), encoding="utf-8") as f:
        specs = json.load(f)
    with tempfile.TemporaryDirectory(prefix="kraftd-cli-") as scratch:
        for (name, tool), cases in by.items():
            if name in expectations.fixtures and not args.only:
                run.left_out += len(cases)
                continue
            folder = os.path.join(args.keep or scratch, tool)
            run.fixture(replay.Fixture(name, specs[name], folder, args.base, environment), cases)
    print(f"{run.passed} cases as Kafka, {run.left_out} left out, {len(run.failed)} different")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
