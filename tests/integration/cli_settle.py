#!/usr/bin/python3
"""cli_settle.py PORT/ADMIN_PORT...: waits until the nodes that listen there have heard of all that
was committed before, and have made the logs of their partitions. Nodes that do not answer are left
out. Ends in order even when it takes too long: what is compared then shows it."""
import re
import subprocess
import sys
import time
import urllib.request

PATIENCE_S = 30
APPLIED = "kafka_server_brokermetadatametrics_last_applied_record_offset"
PARTITIONS = "kafka_server_replicamanager_partitioncount"


def committed(ports):
    """The last offset that is."""
    servers = ",".join(f"127.0.0.1:{port}" for port in ports)
    done = subprocess.run(["kafka-metadata-quorum.sh", "--bootstrap-server", servers, "describe",
                           "--status"], capture_output=True, text=True, check=False)
    found = re.search(r"^HighWatermark: +(\d+)$", done.stdout, re.MULTILINE)
    return int(found.group(1)) - 1 if found else 0


def samples(port):
    """Of a node, or None."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return None


def value(text, name):
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(found.group(1)) if found else 0


def main():
    ports = [word.split("/") for word in sys.argv[1:]]
    offset = committed([port for port, _ in ports])
    deadline = time.monotonic() + PATIENCE_S
    for _, admin_port in ports:
        while time.monotonic() < deadline:
            text = samples(admin_port)
            if text is None or (
                    value(text, APPLIED) >= offset and value(text, PARTITIONS)
                    <= len(re.findall(r"^kafka_log_log_size\{", text, re.MULTILINE))):
                break
            time.sleep(0.05)
    return 0


if __name__ == "__main__":
    sys.exit(main())
