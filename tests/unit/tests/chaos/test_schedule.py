#!/usr/bin/env python3
"""The sequence of faults comes from the seed alone, and the report says what was found."""

import itertools
import os
import sys
import tempfile
import unittest
import xml.etree.ElementTree as tree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))))
sys.path.insert(0, os.path.join(ROOT, "tests", "chaos"))
import report  # noqa: E402
import schedule  # noqa: E402


def first(count, seed, nodes=3, kinds=schedule.KINDS):
    return list(itertools.islice(schedule.plans(seed, nodes, kinds), count))


class Schedule(unittest.TestCase):
    def test_same_seed_same_sequence(self):
        self.assertEqual([plan.key() for plan in first(100, 7)],
                         [plan.key() for plan in first(100, 7)])
        self.assertNotEqual([plan.key() for plan in first(100, 7)],
                            [plan.key() for plan in first(100, 8)])

    def test_order_in_which_faults_are_named_does_not_count(self):
        self.assertEqual([plan.key() for plan in first(20, 7, kinds=("kill", "pause"))],
                         [plan.key() for plan in first(20, 7, kinds=("pause", "kill"))])

    def test_every_kind_comes(self):
        for start in (0, 8, 16):
            kinds = {plan.kind for plan in first(24, 3)[start:start + 8]}
            self.assertEqual(kinds, set(schedule.KINDS))

    def test_victims(self):
        for nodes in (2, 3, 5):
            for plan in first(200, 11, nodes):
                self.assertIn(plan.victim, range(1, nodes + 1))
                self.assertIn(plan.other, range(1, nodes + 1))
                self.assertNotEqual(plan.victim, plan.other)
                self.assertIn(plan.pick(schedule.CUTS), schedule.CUTS)
                self.assertLessEqual(plan.hold, 12)


def result(lost):
    anomalies = {name: {"count": 0, "examples": []} for name in report.ANOMALIES}
    anomalies["lost"] = {"count": lost, "examples": ["chaos-0-0: record 3 <gone>"] * lost}
    verdict = {"attempted": 40, "acknowledged": 33, "given_up": 7, "read_following": 40,
               "read_at_the_end": 40, "replicas": {"partitions": 1, "batches": 2, "bytes": 3},
               "anomalies": anomalies,
               "timeline": {"max_produce_gap_ms": 1500, "p99_produce_gap_ms": 1400,
                            "seconds": [[10, 9, 8], [30, 24, 32]],
                            "faults": [{"fault": 1, "begin_ms": 500, "end_ms": -1, "gap_ms": 1500,
                                        "text": "kill <node> 1", "outcome": None}]}}
    out = {"command": "scripts/chaos", "left_out": {"disk": "not root"}, "problems": [],
           "faults": {"1": {"kind": "kill", "text": "kill <node> 1"}},
           "anomalies": report.counts(verdict), "verdict": verdict}
    out["summary"] = report.summary_line(out)
    return out


class Report(unittest.TestCase):
    def test_summary(self):
        self.assertTrue(result(2)["summary"].startswith(
            "acked=33 lost=2 dup=0 reordered=0 diverged=0 faults=1 max_produce_gap_ms=1500 "
            "p99_produce_gap_ms=1400 "))

    def test_text(self):
        text = report.text_report(result(1))
        for words in ("lost: chaos-0-0: record 3 <gone>", "left out: disk: not root", "never"):
            self.assertIn(words, text)

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            report.write(folder, result(0))
            svg = tree.parse(os.path.join(folder, "timeline.svg")).getroot()
            lines = [part for part in svg if part.tag.endswith("polyline")]
            self.assertEqual(len(lines), 3)
            titles = [part.text for part in svg.iter() if part.tag.endswith("title")]
            self.assertEqual(titles, ["kill <node> 1; gap 1500 ms; never whole"])
            self.assertEqual(sorted(os.listdir(folder)),
                             ["report.json", "report.txt", "timeline.svg"])


if __name__ == "__main__":
    unittest.main()
