"""Admin requests to a cluster, encoded by the project's own schemas. Any node may be asked."""

import os
import socket
import struct
import sys
import tempfile

from common import ROOT, Failure

sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
sys.path.insert(0, os.path.join(ROOT, "tests", "data", "behaviour"))
import kcodec  # noqa: E402
import message_json  # noqa: E402

METADATA = {"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}
# The version that both kraftd and Apache Kafka serve.
VERSIONS = {"ApiVersions": 0, "Metadata": 12, "DescribeQuorum": 2, "CreateTopics": 7,
            "AlterPartitionReassignments": 0, "ListPartitionReassignments": 0, "ElectLeaders": 2,
            "AddRaftVoter": 0, "RemoveRaftVoter": 0, "DescribeCluster": 0,
            "UpdateFeatures": 1, "AlterReplicaLogDirs": 2, "DescribeLogDirs": 4,
            "IncrementalAlterConfigs": 1}
NO_ERROR, DUPLICATE_VOTER, VOTER_NOT_FOUND = 0, 126, 127
REQUEST_TIMED_OUT, NOT_CONTROLLER = 7, 41
BROKER = 4  # a type of resources
ELECTION_NOT_NEEDED, NO_REASSIGNMENT = 84, 85
KEYS = {"AlterPartitionReassignments": 45, "ElectLeaders": 43, "AddRaftVoter": 80,
        "RemoveRaftVoter": 81, "DescribeQuorum": 55, "AlterReplicaLogDirs": 34}


class Unanswered(Exception):
    """No answer: nobody listens, the connection broke, or it took too long."""


def load_spec():
    with tempfile.TemporaryDirectory() as folder:
        message_json.write(os.path.join(folder, "spec"))
        return kcodec.Spec(os.path.join(folder, "spec", "messages"))


def receive(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise Unanswered("the connection was closed")
        data += more
    return data


class Admin:
    """Asks one node at a time."""

    def __init__(self):
        self.spec = load_spec()

    def ask(self, address, api, body, seconds=5):
        message, version = self.spec.byname[api], VERSIONS[api]
        frame = self.spec.enc_req(message, version, body, 7)
        try:
            with socket.create_connection(address, timeout=seconds) as connection:
                connection.sendall(struct.pack(">i", len(frame)) + frame)
                size = struct.unpack(">i", receive(connection, 4))[0]
                return self.spec.dec_res(receive(connection, size), message, version)[1]
        except (OSError, kcodec.Short) as error:
            raise Unanswered(f"{address[0]}:{address[1]}: {error}") from error

    def ask_any(self, addresses, api, body, seconds=5):
        """The first answer; every node is asked once."""
        last = None
        for address in addresses:
            try:
                return self.ask(address, api, body, seconds)
            except Unanswered as unanswered:
                last = unanswered
        raise last

    def serves(self, addresses, api):
        answer = self.ask_any(addresses, "ApiVersions", {})
        keys = {key["ApiKey"] for key in answer["ApiKeys"]}
        return KEYS[api] in keys

    def metadata(self, address, topics=None, seconds=3):
        """{(topic, index): partition} and the ids of the brokers, as one node has them."""
        wanted = None if topics is None else [
            {"TopicId": "AAAAAAAAAAAAAAAAAAAAAA", "Name": name} for name in topics]
        answer = self.ask(address, "Metadata", {"Topics": wanted, "AllowAutoTopicCreation": False},
                          seconds)
        partitions = {(topic["Name"], partition["PartitionIndex"]): partition
                      for topic in answer["Topics"] for partition in topic["Partitions"]}
        return partitions, {broker["NodeId"] for broker in answer["Brokers"]}

    def quorum(self, addresses, seconds=3):
        """(leader, {voter: state}, {observer: state})"""
        answer = self.ask_any(addresses, "DescribeQuorum", {"Topics": [METADATA]}, seconds)
        if answer["ErrorCode"] != NO_ERROR:
            raise Unanswered(f"DescribeQuorum: error {answer['ErrorCode']}")
        partition = answer["Topics"][0]["Partitions"][0]
        if partition["ErrorCode"] != NO_ERROR:
            raise Unanswered(f"DescribeQuorum: error {partition['ErrorCode']}")
        states = [{state["ReplicaId"]: state for state in partition[which]}
                  for which in ("CurrentVoters", "Observers")]
        return partition["LeaderId"], *states

    def create_topic(self, addresses, name, partitions, replication, configs):
        topic = {"Name": name, "NumPartitions": partitions, "ReplicationFactor": replication,
                 "Assignments": [],
                 "Configs": [{"Name": key, "Value": str(value)} for key, value in configs.items()]}
        body = {"Topics": [topic], "timeoutMs": 30000, "validateOnly": False}
        answer = self.ask_any(addresses, "CreateTopics", body, 40)["Topics"][0]
        if answer["ErrorCode"] not in (NO_ERROR, 36):
            raise Failure(f"the topic {name} cannot be created: error {answer['ErrorCode']}, "
                          f"{answer['ErrorMessage']}")

    def reassign(self, addresses, partition, replicas):
        """Error code; `replicas` None cancels."""
        topic, index = partition
        body = {"TimeoutMs": 10000, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": index, "Replicas": replicas}]}]}
        answer = self.ask_any(addresses, "AlterPartitionReassignments", body, 15)
        if answer["ErrorCode"] != NO_ERROR:
            return answer["ErrorCode"]
        return answer["Responses"][0]["Partitions"][0]["ErrorCode"]

    def elect_preferred(self, addresses, partition):
        topic, index = partition
        body = {"ElectionType": 0, "TimeoutMs": 10000,
                "TopicPartitions": [{"Topic": topic, "Partitions": [index]}]}
        answer = self.ask_any(addresses, "ElectLeaders", body, 15)
        if answer["ErrorCode"] != NO_ERROR or not answer["ReplicaElectionResults"]:
            return answer["ErrorCode"]
        return answer["ReplicaElectionResults"][0]["PartitionResult"][0]["ErrorCode"]

    def move_replica(self, address, partition, path):
        """The error code of one broker that shall have its replica in another directory."""
        topic, index = partition
        body = {"Dirs": [{"Path": path, "Topics": [{"Name": topic, "Partitions": [index]}]}]}
        answer = self.ask(address, "AlterReplicaLogDirs", body, 15)
        return answer["Results"][0]["Partitions"][0]["ErrorCode"]

    def directories(self, address):
        """Where the replicas of one broker lie, by (topic, index), and where the copies grow that
        shall take their place."""
        here, coming = {}, {}
        for found in self.ask(address, "DescribeLogDirs", {"Topics": None})["Results"]:
            for topic in found["Topics"]:
                for partition in topic["Partitions"]:
                    places = coming if partition["IsFutureKey"] else here
                    places[topic["Name"], partition["PartitionIndex"]] = found["LogDir"]
        return here, coming

    def configure_brokers(self, addresses, key, value):
        """The cluster's default."""
        config = {"Name": key, "ConfigOperation": 0, "Value": str(value)}
        body = {"Resources": [{"ResourceType": BROKER, "ResourceName": "", "Configs": [config]}],
                "ValidateOnly": False}
        answer = self.ask_any(addresses, "IncrementalAlterConfigs", body, 40)["Responses"][0]
        if answer["ErrorCode"] != NO_ERROR:
            raise Failure(f"{key}={value} is refused: error {answer['ErrorCode']}, "
                          f"{answer['ErrorMessage']}")

    def remove_voter(self, addresses, cluster_id, node, directory):
        body = {"ClusterId": cluster_id, "VoterId": node, "VoterDirectoryId": directory}
        return self.ask_any(addresses, "RemoveRaftVoter", body, 15)["ErrorCode"]

    def add_voter(self, addresses, cluster_id, node, directory, host, port):
        body = {"ClusterId": cluster_id, "TimeoutMs": 10000, "VoterId": node,
                "VoterDirectoryId": directory,
                "Listeners": [{"Name": "CONTROLLER", "Host": host, "Port": port}]}
        return self.ask_any(addresses, "AddRaftVoter", body, 20)["ErrorCode"]
