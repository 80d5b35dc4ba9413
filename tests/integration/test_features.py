#!/usr/bin/python3
"""Feature levels and metadata.version, up and down, as Apache Kafka's controller lets them.

usage: test_features.py KRAFTD

tests/data/controller/features.jsonl holds what Apache Kafka 4.4 answered to a sequence of
UpdateFeatures on clusters formatted with an older --release-version: each changes, or with
`validate` would change, what the next one finds. `type` is 1 upgrade, 2 safe and 3 unsafe
downgrade.
"""

import itertools
import json
import os
import subprocess
import sys

from harness import Node, check
from test_controller_api import Connection, load_spec

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "controller",
                     "features.jsonl")


def replay(kraftd, spec, release, cases):
    node = Node(kraftd)
    tools = os.path.join(os.path.dirname(kraftd), "kraftd-tools")
    subprocess.run([tools, "kafka-storage", "format", "--standalone", "-t",
                    "AAAAAAAAAAAAAAAAAAAAAQ", "-c", node.properties, "--release-version", release],
                   check=True, stdout=subprocess.DEVNULL)
    node.start()
    try:
        connection = Connection(spec, node.port)
        for case in cases:
            updates = [{"Feature": name, "MaxVersionLevel": level, "UpgradeType": case["type"],
                        "AllowDowngrade": False} for name, level in case["updates"]]
            body = {"timeoutMs": 60000, "FeatureUpdates": updates, "ValidateOnly": case["validate"]}
            answer = connection.ask("UpdateFeatures", 2, body)
            want, got = (case["error"], case["message"]), (answer["ErrorCode"],
                                                           answer["ErrorMessage"])
            check(want == got, f"{release} {case['updates']}:\nwant {want}\ngot  {got}")
        connection.close()
    except BaseException:
        print(node.log(), file=sys.stderr)
        raise
    finally:
        code = node.stop()
    check(code in (0, 143), f"kraftd ended with {code}")


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    with open(CASES, encoding="utf-8") as f:
        cases = [json.loads(line) for line in f]
    spec = load_spec()
    for release, group in itertools.groupby(cases, lambda case: case["release"]):
        replay(os.path.abspath(sys.argv[1]), spec, release, group)
    print(f"{len(cases)} changes of features are answered as Kafka does")
    return 0


if __name__ == "__main__":
    sys.exit(main())
