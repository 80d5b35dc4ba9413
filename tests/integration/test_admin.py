#!/usr/bin/python3
"""The admin port of a running node: health, readiness, metrics, ruok; what happens when the port is
taken; and starts that are refused.

usage: test_admin.py KRAFTD
"""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time

from harness import Node, check, free_ports, running


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def four_letters(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"ruok")
        return connection.recv(100)


def answers(kraftd):
    with running(kraftd) as node:
        check(get(node.admin_port, "/healthz") == (200, "ok\n"), "not healthy")
        check(get(node.admin_port, "/readyz") == (200, "ready\n"), "not ready")
        status, text = get(node.admin_port, "/metrics")
        check(status == 200 and "\nprocess_resident_memory_bytes " in text, text)
        check(get(node.admin_port, "/nothing")[0] == 404, "an unknown path is served")
        check(four_letters(node.admin_port) == b"imok", "ruok is not answered")


def refused(command, folder, sentence):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False)
    text = done.stdout + done.stderr
    check(done.returncode == 1, f"exit code {done.returncode}: {text}")
    check(sentence in text, f'"{sentence}" is not in: {text}')
    check("Sanitizer" not in text, text)


def taken_port(kraftd):
    with socket.socket() as taken, tempfile.TemporaryDirectory() as folder:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        node = Node(kraftd, folder)
        port = taken.getsockname()[1]
        refused([kraftd, node.properties, "--override", f"kraftd.admin.listener=127.0.0.1:{port}"],
                folder, f"Cannot serve kraftd.admin.listener=127.0.0.1:{port}: Address already in "
                "use")
        check(not os.path.exists(node.data), "a node that did not start left data")


def bad_starts(kraftd):
    with tempfile.TemporaryDirectory() as folder:
        node = Node(kraftd, folder)
        with open(node.properties, "a", encoding="ascii") as out:
            out.write("num.partitions=abc\n")
        refused([kraftd, node.properties], folder,
                f"{node.properties}, line 8: Invalid value abc for configuration num.partitions: "
                "Not a number of type INT (allowed: a whole number from 1 on)")
        refused([kraftd, os.path.join(folder, "none.properties")], folder, "none.properties")
        refused([kraftd, "--override", "authorizer.class.name=x.Y"], folder,
                "authorizer.class.name is not supported yet")
        refused([kraftd, "--frob"], folder, "the argument --frob is not understood")


def no_configuration(kraftd):
    """Two commands' worth of typing: kraftd alone serves loopback and keeps ./kraftd-data."""
    client, controller, admin = free_ports(3)
    with tempfile.TemporaryDirectory() as folder, open(os.path.join(folder, "log"), "w+b") as log:
        process = subprocess.Popen(
            [kraftd, "--override", f"listeners=PLAINTEXT://127.0.0.1:{client},"
             f"CONTROLLER://127.0.0.1:{controller}", "--override",
             f"kraftd.admin.listener=127.0.0.1:{admin}"], cwd=folder, stdout=log, stderr=log)
        try:
            for _ in range(600):
                try:
                    if get(admin, "/readyz")[0] == 200:
                        break
                except OSError:
                    time.sleep(0.05)
                check(process.poll() is None, "kraftd ended")
            check(os.path.isdir(os.path.join(folder, "kraftd-data")), "no ./kraftd-data")
        finally:
            process.terminate()
            check(process.wait(60) == 143, "it did not end in order")


def main():
    kraftd = os.path.abspath(sys.argv[1])
    for test in (answers, taken_port, bad_starts, no_configuration):
        test(kraftd)
        print(f"{test.__name__}: ok", flush=True)


if __name__ == "__main__":
    main()
