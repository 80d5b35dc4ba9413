#!/usr/bin/env python3
"""test_cli.py KRAFTD [--only REGEX] [--tools REGEX] [--keep DIR] [--jobs N] [--times]

Runs the tools beside KRAFTD against kraftd and compares what they print and how they end with what
Kafka's did, byte for byte after normalising: the cases of tests/data/cli/cases.jsonl and, where it
is there, those of ../shared/kafka-data/cli. The former build on each other: with --only, those
that are not meant run too, but are not judged.

Deliberate differences, applied to what Kafka printed:
- the header of a Java exception is its sentence alone, and nothing where the sentence stands there
  already;
- tests/data/cli/differences.tsv: case (regular expression), stream, pattern, replacement, why; with
  the pattern "any" the stream is not compared; the stream "both" stands for standard output,
  changed on both sides.

kafka-server-start logs its error: the sentence must be in what was logged.

tests/data/cli/left_out.tsv names the cases that cannot pass yet and what each waits for. It may
only shrink: a case that passes or does not exist is an error. A line "fixture NAME" says that a
fixture cannot be set up, so its cases are not tried; a line "step REGEX" that a preparation step of
a fixture fails.
"""
import argparse
import concurrent.futures
import functools
import json
import os
import re
import sys
import tempfile
import time

import cli_cases

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.path.join(os.path.dirname(ROOT), "shared", "kafka-data", "cli")
DATA = os.path.join(ROOT, "tests", "data", "cli")
HEADER = re.compile(r"^(?:Exception in thread \"\w+\" |Caused by: )?"
                    r"(?:[\w.$]+\.[\w$]+(?:Exception|Error)(?:: |$))+(.*)$")
CLASS = re.compile(r"(?<![\w.])(?:[a-z]\w*\.)+[\w$]+(?:Exception|Error): ")


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


def logged(log):
    """The sentence of the last error in what Kafka logged."""
    errors = [line for line in log if line.startswith("ERROR")]
    sentence = errors[-1].split(" | ")[-1] if errors else ""
    return re.sub(r"^(?:Caused by: )?(?:[\w.$]+(?:Exception|Error)(?:: ?|$))+", "", sentence)


def squeeze(text):
    """The error behind a usage: Kafka spreads its words over the width of the line, and guesses
    what was meant."""
    usage, error, rest = text.partition(": error:") if ": error:" in text else \
        re.match(r"(?s)(.*?)(:\s+error:|\Z)(.*)", text).groups()
    rest = re.sub(r"--\n", "--", rest.split("\n\nDid you mean")[0])
    return usage + re.sub(r"\s+", " ", error + rest).rstrip() + "\n"


class Expectations:
    def __init__(self):
        self.differences = read_table("differences.tsv")
        self.used = set()
        self.left_out, self.fixtures, self.steps = {}, {}, {}
        for name, reason in read_table("left_out.tsv"):
            kind, _, rest = name.partition(" ")
            if kind == "fixture":
                self.fixtures[rest] = reason
            elif kind == "step":
                self.steps[rest] = reason
            else:
                self.left_out[name] = reason

    def differences_of(self, case, stream):
        for number, (pattern, where, old, new, _why) in enumerate(self.differences):
            if where == stream and re.fullmatch(pattern, case["id"]):
                self.used.add(number)
                yield old, new.encode().decode("unicode_escape")

    def expected(self, case, stream):
        """What ours shall print; None for anything."""
        text = case[stream]
        if stream == "stderr":
            text = plain(text, case["stdout"])
        elif stream == "stdout":
            text = CLASS.sub("", text)
        for old, new in self.differences_of(case, stream):
            if old == "any":
                return None
            if stream == "rc":
                text = int(new) if new.isdigit() else new
            else:
                text = re.sub(old, new, text)
        return text

    def both(self, case, stream, text):
        if stream == "stdout":
            for old, new in self.differences_of(case, "both"):
                text = re.sub(old, new, text)
        return cli_cases.normalise(text, case.get("normalise", []))

    def diffs(self, case, result):
        """[(stream, expected, got)] after normalising."""
        found = []
        for stream in ("rc", "stdout", "stderr"):
            want, got = self.expected(case, stream), result[stream]
            if stream in case.get("ignore", []) or want is None:
                continue
            if stream != "rc":
                if "{PURPOSE}" in want:
                    got = re.sub(r"\A[^\n]*\n\{HELP\}", "{PURPOSE}\n{HELP}", got)
                if want.startswith("usage:") and got.startswith("usage:"):
                    want, got = squeeze(want), squeeze(got)
                want, got = self.both(case, stream, want), self.both(case, stream, got)
            if want != got:
                found.append((stream, want, got))
        if case["tool"] == "kafka-server-start" and "log" in case:
            want = logged(case["log"])
            for old, new in self.differences_of(case, "log"):
                want = re.sub(old, new, want)
            got = [line for line in result["log"] if line.startswith(("FATAL", "ERROR"))]
            if want and not any(want in line for line in got):
                found.append(("log", want, got))
        return found


def read_cases(tools):
    """({fixture: spec}, [case]) of the tools that there are."""
    specs, cases = {}, []
    paths = [os.path.join(DATA, "cases.jsonl")]
    for folder in (DATA, SHARED):
        path = os.path.join(folder, "fixtures.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                specs = {**json.load(f), **specs}
    if os.path.exists(SHARED):
        folder = os.path.join(SHARED, "cases")
        paths += [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    for path in paths:
        with open(path, encoding="utf-8") as f:
            cases += [case for case in map(json.loads, f)
                      if os.path.exists(os.path.join(tools, case["tool"] + ".sh"))]
    return specs, cases


class Run:
    def __init__(self, expectations):
        self.expectations = expectations
        self.passed, self.left_out, self.failed = 0, 0, []
        self.seconds = []

    def fail(self, name, *lines):
        self.failed.append(name)
        print("\n".join([name, *lines]), flush=True)

    def timeout(self, case):
        """A server that shall go on is ended when it had time to fail."""
        waits = self.expectations.expected(case, "rc") == "timeout"
        return 5 if waits else 2 * case.get("timeout", 60)

    def judge(self, case, result):
        diffs = self.expectations.diffs(case, result)
        if case["id"] in self.expectations.left_out:
            if diffs:
                self.left_out += 1
            else:
                self.fail(f"PASSES {case['id']}: take it off left_out.tsv")
        elif diffs:
            self.fail(f"DIFFERENT {case['id']}",
                      *(f"  {stream}\n    want {want!r}\n    got  {got!r}"
                        for stream, want, got in diffs))
        else:
            self.passed += 1

    def came_too_late(self, case, result):
        """It differs, and waited for less than Kafka's did: it is run again as it stands."""
        return (case["meant"] and case["id"] not in self.expectations.left_out
                and cli_cases.shortened(case["cmd"]) != case["cmd"]
                and self.expectations.diffs(case, result))

    def judge_step(self, name, step, rc):
        known = any(re.search(pattern, step) for pattern in self.expectations.steps)
        if rc and not known:
            self.fail(f"STEP of fixture {name} ends with {rc}: {step}")
        elif known and not rc:
            self.fail(f"STEP of fixture {name} works: take it off left_out.tsv: {step}")

    def fixture(self, name, make, cases):
        """Runs the cases of one tool in one fixture."""
        fixture, steps = cli_cases.start(make)
        try:
            for step, rc in steps:
                self.judge_step(name, step, rc)
            for case in sorted(cases, key=lambda c: c["order"]):
                began = time.monotonic()
                result = fixture.run(case, self.timeout(case))
                if self.came_too_late(case, result):
                    result = fixture.run(case, self.timeout(case), shorten=False)
                self.seconds.append((time.monotonic() - began, case["id"]))
                if case["meant"]:
                    self.judge(case, result)
        finally:
            for node, code, log in fixture.stop():
                self.fail(f"NODE {node} of fixture {name} ended with {code}", log)

    def check_lists(self, known):
        """Both lists speak of cases that there are."""
        for name in sorted(set(self.expectations.left_out) - known):
            self.fail(f"UNKNOWN {name}: no such case, take it off left_out.tsv")
        for number, row in enumerate(self.expectations.differences):
            if number not in self.expectations.used and not any(
                    re.fullmatch(row[0], name) for name in self.expectations.left_out):
                self.fail(f"UNUSED {row[0]} {row[1]}: take it off differences.tsv")


def wait_s(group):
    """What waits long begins first: where Kafka's tool took half a minute, and many cases."""
    return sum(case["seconds"] for case in group[1] if case.get("seconds", 0) > 30), len(group[1])


def run_all(run, groups, specs, args, scratch):
    tools = os.path.dirname(os.path.abspath(args.kraftd))
    environment = dict(os.environ, LC_ALL="C.UTF-8", TZ="UTC",
                       PATH=tools + ":" + os.environ["PATH"])
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        futures = []
        for (name, tool), cases in groups:
            make = functools.partial(
                cli_cases.Fixture, specs[name], os.path.join(args.keep or scratch, tool, name),
                environment=environment, server=os.path.abspath(args.kraftd))
            futures.append(pool.submit(run.fixture, name, make, cases))
        for future in futures:
            future.result()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kraftd")
    parser.add_argument("--only", default="")
    parser.add_argument("--tools", default="")
    parser.add_argument("--keep")
    parser.add_argument("--jobs", type=int, default=6)
    parser.add_argument("--times", action="store_true")
    args = parser.parse_args()
    run = Run(Expectations())
    specs, cases = read_cases(os.path.dirname(os.path.abspath(args.kraftd)))
    groups = {}
    for case in cases:
        case["meant"] = bool(re.search(args.only, case["id"]))
        if not (case["meant"] or case["fixture"] == "own") or \
                not re.search(args.tools, case["tool"]):
            continue
        if case["fixture"] not in run.expectations.fixtures:
            groups.setdefault((case["fixture"], case["tool"]), []).append(case)
        elif case["id"] in run.expectations.left_out:
            run.left_out += 1
        else:
            run.fail(f"NOT TRIED {case['id']}: its fixture cannot be set up, name it in "
                     "left_out.tsv")
    groups = {key: group for key, group in groups.items() if any(case["meant"] for case in group)}
    with tempfile.TemporaryDirectory(prefix="kraftd-cli-") as scratch:
        run_all(run, sorted(groups.items(), key=wait_s, reverse=True), specs, args, scratch)
    if not args.only and not args.tools and os.path.exists(SHARED):
        run.check_lists({case["id"] for case in cases})
    for seconds, name in sorted(run.seconds, reverse=True)[:40 if args.times else 0]:
        print(f"{seconds:6.1f} {name}")
    print(f"{run.passed} cases as Kafka, {run.left_out} left out, {len(run.failed)} different")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
