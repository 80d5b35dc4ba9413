#!/usr/bin/python3
"""Sends what a controller is asked to kraftd, and compares with what Apache Kafka answered.

usage: test_controller_api.py KRAFTD [--case TEXT]

The cases stand in tests/data/controller/answers.jsonl, in the order in which they have to be sent.
DIFFERS names those that are answered otherwise on purpose; one that does not differ must go.
"""

import argparse
import base64
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile

import message_json
from harness import Node, check

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(os.path.dirname(HERE), "data")
sys.path.insert(0, os.path.join(DATA, "behaviour"))
import kcodec  # noqa: E402

CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAQ"
VOLATILE = (
    "TopicId HighWatermark LogEndOffset LastFetchTimestamp LastCaughtUpTimestamp LeaderEpoch "
    "Configs ReplicaDirectoryId ProducerIdStart ProducerIdLen"
).split()
OWN_KEY = re.compile(r"ReplicaKey\(id=1, directoryId=[A-Za-z0-9_-]{22}\)(?=\])")
DIFFERS = {
    "Barv-unreach": "says what to do",
    "Carv-unreach": "says what to do",
    "env-arv": "says what to do",
    "dc-after": "in order of the ids",
}


def load_spec():
    with tempfile.TemporaryDirectory() as folder:
        message_json.write(os.path.join(folder, "spec"))
        return kcodec.Spec(os.path.join(folder, "spec", "messages"))


class Connection:
    def __init__(self, spec, port):
        self.spec = spec
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)

    def close(self):
        self.socket.close()

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                return None
            data += more
        return data

    def send(self, api, version, body):
        frame = self.spec.enc_req(self.spec.byname[api], version, body, 7)
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def receive(self, api, version):
        """The decoded answer; None when the connection was closed instead."""
        size = self.read(4)
        if size is None:
            return None
        answer = self.read(struct.unpack(">i", size)[0])
        return self.spec.dec_res(answer, self.spec.byname[api], version)[1]

    def ask(self, api, version, body):
        self.send(api, version, body)
        return self.receive(api, version)


class Replay:
    def __init__(self, node, spec):
        self.node, self.spec = node, spec

    def normal(self, value):
        if isinstance(value, dict):
            return {
                name: "N" if name == "BrokerEpoch" and item >= 0 else self.normal(item)
                for name, item in value.items()
                if name not in VOLATILE
            }
        if isinstance(value, (list, tuple)):
            return [self.normal(item) for item in value]
        if isinstance(value, str):
            own = "ReplicaKey(id=1, directoryId=DIRECTORY)"
            return OWN_KEY.sub(own, value.replace(CLUSTER_ID, "CLUSTER"))
        if value in (self.node.port, self.node.controller_port):
            return "BPORT" if value == self.node.port else "CPORT"
        return value

    def envelope(self, case):
        inner = case["inner"]
        principal = b"\0\0\5User\x0aANONYMOUS\0\0"
        return {
            "RequestData": self.spec.enc_req(
                self.spec.byname[inner["api"]], inner["version"], inner["body"], 555
            ),
            "RequestPrincipal": principal if case["principal"] else None,
            "ClientHostAddress": bytes.fromhex(case["host"]),
        }

    def opened(self, case, answer):
        """The answer inside of an envelope's."""
        data = answer["ResponseData"]
        if data is None:
            return answer
        if isinstance(data, str):
            is_hex = re.fullmatch("([0-9a-f]{2})*", data)
            data = bytes.fromhex(data) if is_hex else base64.b64decode(data)
        inner = case["inner"]
        message = self.spec.byname[inner["api"]]
        answer["ResponseData"] = self.spec.dec_res(data, message, inner["version"])[1]
        return answer

    def send(self, case):
        text = json.dumps(case.get("body")).replace("CLUSTER", CLUSTER_ID)
        body = self.envelope(case) if "inner" in case else json.loads(text)
        port = self.node.port if case["on"] == "broker" else self.node.controller_port
        connection = Connection(self.spec, port)
        try:
            answer = connection.ask(case["api"], case["version"], body)
        finally:
            connection.close()
        if "inner" in case:
            answer = self.opened(case, answer)
        return json.loads(json.dumps(self.normal(answer), default=str))


def start(kraftd):
    """A node of the cluster that the answers are from."""
    node = Node(kraftd)
    tools = os.path.join(os.path.dirname(kraftd), "kraftd-tools")
    subprocess.run(
        [tools, "kafka-storage", "format", "--standalone", "-t", CLUSTER_ID, "-c", node.properties],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return node.start()


def main():
    args = argparse.ArgumentParser(description="what a controller is asked")
    args.add_argument("kraftd")
    args.add_argument("--case")
    args = args.parse_args()
    with open(os.path.join(DATA, "controller", "answers.jsonl"), encoding="utf-8") as f:
        cases = [json.loads(line) for line in f]
    wrong = []
    node = start(args.kraftd)
    try:
        replay = Replay(node, load_spec())
        for case in cases:
            if args.case and args.case not in case["case"]:
                continue
            got = replay.send(case)
            if (got == case["answer"]) == (case["case"] in DIFFERS):
                wrong.append(f"{case['case']} {case['api']} v{case['version']}\n"
                             f"   want {json.dumps(case['answer'])[:700]}\n"
                             f"   got  {json.dumps(got)[:700]}")
    finally:
        code = node.stop()
    check(code in (0, 143), f"kraftd ended with {code}\n{node.log(100)}")
    for text in wrong:
        print(text)
    print(f"{len(cases)} requests sent, {len(wrong)} wrong, {len(DIFFERS)} differ on purpose")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
