#!/usr/bin/python3
"""Four controllers whose voters change, and brokers that forward to whoever leads.

usage: test_membership.py KRAFTD

Every admin request goes through a broker that is not the active controller. The leader is removed,
stopped and killed meanwhile; a broker-only node sees it all.
"""

import os
import re
import subprocess
import sys
import threading
import time

from harness import Node, check, ended, eventually, settled
from test_controller_api import Connection, load_spec

CLUSTER_ID = "CCCCCCCCCCCCCCCCCCCCCQ"
METADATA = {"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}
NO_ERROR, NOT_ENOUGH_TIME, DUPLICATE_VOTER, VOTER_NOT_FOUND = 0, 7, 126, 127
TOPIC_EXISTS = 36
# Whoever leads may change under way.
AGAIN = {6, NOT_ENOUGH_TIME, 41}


class Cluster:
    def __init__(self, kraftd):
        self.kraftd, self.spec = kraftd, load_spec()
        self.tools = os.path.join(os.path.dirname(kraftd), "kraftd-tools")
        self.nodes = {}
        self.all = []  # also those that are gone for good

    def add(self, node_id, *config):
        node = self.nodes[node_id] = Node(self.kraftd, config=config)
        self.all.append(node)
        self.set(node, "node.id", node_id)
        return node

    def set(self, node, key, value):
        with open(node.properties, encoding="utf-8") as f:
            lines = [line for line in f if not line.startswith(key + "=")]
        with open(node.properties, "w", encoding="utf-8") as f:
            f.writelines([*lines, f"{key}={value}\n"])

    def format(self, node, *how):
        subprocess.run(
            [self.tools, "kafka-storage", "format", "-t", CLUSTER_ID, "-c", node.properties, *how],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def ask(self, node_id, api, version, body, controller=False):
        node = self.nodes[node_id]
        connection = Connection(self.spec, node.controller_port if controller else node.port)
        try:
            return connection.ask(api, version, body)
        finally:
            connection.close()

    def quorum(self, node_id):
        """(leader, voters by id, observers by id) as one broker has them."""
        def described():
            answer = self.ask(node_id, "DescribeQuorum", 2, {"Topics": [METADATA]})
            check(answer["ErrorCode"] == 0, f"DescribeQuorum: {answer}")
            partition = answer["Topics"][0]["Partitions"][0]
            check(partition["ErrorCode"] == 0, f"DescribeQuorum: {answer}")
            return partition

        partition = settled(described)
        of = lambda states: {state["ReplicaId"]: state for state in states}  # noqa: E731
        return partition["LeaderId"], of(partition["CurrentVoters"]), of(partition["Observers"])

    def directory(self, node_id):
        with open(os.path.join(self.nodes[node_id].data, "meta.properties"), encoding="utf-8") as f:
            return re.search("directory.id=(.*)", f.read()).group(1)

    def create(self, node_id, name, timeout_ms=60000):
        topic = {"Name": name, "NumPartitions": 1, "ReplicationFactor": 1, "Assignments": [],
                 "Configs": []}
        body = {"Topics": [topic], "timeoutMs": timeout_ms, "validateOnly": False}
        return self.ask(node_id, "CreateTopics", 7, body)["Topics"][0]["ErrorCode"]

    def change(self, node_id, kind, voter, directory=None, timeout_ms=60000):
        body = {"ClusterId": CLUSTER_ID, "VoterId": voter,
                "VoterDirectoryId": directory or self.directory(voter)}
        if kind == "RemoveRaftVoter":
            return self.ask(node_id, kind, 0, body)
        port = self.nodes[voter].controller_port if voter in self.nodes else 1
        listener = {"Name": "CONTROLLER", "Host": "127.0.0.1", "Port": port}
        body |= {"TimeoutMs": timeout_ms, "Listeners": [listener], "AckWhenCommitted": True}
        return self.ask(node_id, kind, 1, body)

    def changed(self, node_id, kind, voter):
        """Asks until it is so. An answer that was lost may have been a yes."""
        done = {"AddRaftVoter": DUPLICATE_VOTER, "RemoveRaftVoter": VOTER_NOT_FOUND}[kind]
        answers = []

        def is_so():
            answers.append(self.change(node_id, kind, voter))
            code = answers[-1]["ErrorCode"]
            if code in AGAIN:
                return False
            check(code == NO_ERROR or (code == done and len(answers) > 1),
                  f"{kind} of {voter}: {answers}")
            return True

        eventually(lambda: f"{kind} of {voter}: {answers}", is_so)

    def refused(self, node_id, kind, voter, code):
        def is_told():
            answer = self.change(node_id, kind, voter)
            check(answer["ErrorCode"] in {code} | AGAIN, f"{kind} of {voter}: {answer}")
            return answer["ErrorCode"] == code

        eventually(f"{kind} of {voter} is refused with {code}", is_told)


def start(cluster):
    """Three voters, a controller without a vote, and a broker without a controller."""
    nodes = [cluster.add(i) for i in (1, 2, 3, 4)]
    nodes.append(cluster.add(5))
    servers = ",".join(f"127.0.0.1:{node.controller_port}" for node in nodes[:3])
    directories = ["QQAAAAAAAAAAAAAAAAAAEQ", "QgAAAAAAAAAAAAAAAAAAEg", "QwAAAAAAAAAAAAAAAAAAEw"]
    voters = ",".join(
        f"{i + 1}@127.0.0.1:{nodes[i].controller_port}:{directories[i]}" for i in range(3)
    )
    for node in nodes:
        cluster.set(node, "controller.quorum.bootstrap.servers", servers)
    cluster.set(nodes[4], "process.roles", "broker")
    cluster.set(nodes[4], "listeners", f"PLAINTEXT://127.0.0.1:{nodes[4].port}")
    for node in nodes[:3]:
        cluster.format(node, "--initial-controllers", voters)
    for node in nodes[3:]:
        cluster.format(node, "--no-initial-controllers")
    for node in nodes:
        node.launch()
    for node in [*nodes[:3], nodes[4]]:
        node.wait_ready()


def each_controller_knows_all(cluster):
    """One that does not lead says so and forwards nothing."""
    leader = cluster.quorum(5)[0]
    for node_id in (1, 2, 3):
        body = {"IncludeClusterAuthorizedOperations": False, "EndpointType": 2,
                "IncludeFencedBrokers": False}
        answer = cluster.ask(node_id, "DescribeCluster", 2, body, controller=True)
        check(answer["ControllerId"] == leader, f"{answer} instead of {leader}")
        check({1, 2, 3} <= {b["BrokerId"] for b in answer["Brokers"]}, f"controllers: {answer}")
        answer = cluster.ask(node_id, "UnregisterBroker", 0, {"BrokerId": 77}, controller=True)
        check(answer["ErrorCode"] == (102 if node_id == leader else 41), f"{node_id}: {answer}")
        text = f"The active controller appears to be node {leader}."
        check(node_id == leader or answer["ErrorMessage"] == text, f"{node_id}: {answer}")


def requests_are_forwarded(cluster):
    voters = cluster.quorum(5)[1]
    check(sorted(voters) == [1, 2, 3], f"voters are {voters}")
    for i, node_id in enumerate([1, 2, 3, 5]):
        # What a controller did that was lost before it answered is there when it is asked again.
        check(cluster.create(node_id, f"by-{node_id}") in (NO_ERROR, 36), f"create: {node_id}")
        check(cluster.create(node_id, f"by-{node_id}") == 36, f"create again through {node_id}")
        config = {"Name": "retention.ms", "ConfigOperation": 0, "Value": str(1000 + i)}
        resource = {"ResourceType": 2, "ResourceName": f"by-{node_id}", "Configs": [config]}
        body = {"Resources": [resource], "ValidateOnly": False}
        answer = cluster.ask(node_id, "IncrementalAlterConfigs", 1, body)
        check(answer["Responses"][0]["ErrorCode"] == NO_ERROR, f"configs: {answer}")
        answer = cluster.ask(node_id, "UnregisterBroker", 0, {"BrokerId": 77})
        check(answer["ErrorCode"] == 102, f"unregister: {answer}")
    settled(lambda: each_controller_knows_all(cluster))
    # Idempotent producers get ids of their own through any broker.
    init = {"TransactionalId": None, "TransactionTimeoutMs": 1000, "ProducerId": -1,
            "ProducerEpoch": -1}
    ids = [cluster.ask(i, "InitProducerId", 4, init)["ProducerId"] for i in (1, 2, 3, 5)]
    check(len(set(ids)) == 4 and min(ids) >= 0, f"producer ids {ids}")


def an_unknown_life_gets_no_session(cluster):
    """A follower that is not known here yet would never be fed by the session of a reader."""
    body = {"MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "IsolationLevel": 0,
            "SessionId": 0, "SessionEpoch": 0, "Topics": [], "ForgottenTopicsData": [],
            "RackId": "", "ReplicaState": {"ReplicaId": 2, "ReplicaEpoch": 1 << 40}}
    topic = {"TopicId": "AAAAAAAAAAAAAAAAAAABBQ", "Partitions": [
        {"Partition": 0, "CurrentLeaderEpoch": -1, "FetchOffset": 0, "LastFetchedEpoch": -1,
         "LogStartOffset": -1, "PartitionMaxBytes": 1 << 20}]}
    answer = cluster.ask(1, "Fetch", 17, {**body, "Topics": [topic]})
    check(answer["ErrorCode"] == NO_ERROR and answer["SessionId"] == 0, f"a session: {answer}")
    answer = cluster.ask(1, "Fetch", 17, {**body, "SessionId": 5, "SessionEpoch": 1})
    check(answer["ErrorCode"] == 70, f"a session goes on: {answer}")


def describe_is_true(cluster):
    def in_step():
        leader, voters, observers = cluster.quorum(3)
        end = voters[leader]["LogEndOffset"]
        now_ms = time.time() * 1000
        return all(
            end - state["LogEndOffset"] <= 5
            and now_ms - state["LastFetchTimestamp"] < 3000
            and now_ms - state["LastCaughtUpTimestamp"] < 3000
            for state in [*voters.values(), *observers.values()]
        ) and 5 in observers

    eventually("voters and observers are in step", in_step)


def voters_change(cluster):
    answer = cluster.change(5, "AddRaftVoter", 9, "QUFBQUFBQUFBQUFBQUFBQQ", timeout_ms=1000)
    check(answer["ErrorCode"] == NOT_ENOUGH_TIME, f"add one that is not there: {answer}")
    check("is not connected" in answer["ErrorMessage"], f"{answer}")
    cluster.changed(5, "AddRaftVoter", 4)
    cluster.refused(2, "AddRaftVoter", 4, DUPLICATE_VOTER)
    eventually("four voters", lambda: sorted(cluster.quorum(1)[1]) == [1, 2, 3, 4])
    cluster.nodes[4].wait_ready()
    # The leader goes: another one leads first, and removes it.
    leader = cluster.quorum(5)[0]
    cluster.changed(5, "RemoveRaftVoter", leader)
    cluster.refused(5, "RemoveRaftVoter", leader, VOTER_NOT_FOUND)

    def another_one_leads():
        successor, voters, _ = cluster.quorum(5)
        check(successor in voters and leader not in voters, f"{successor} leads {sorted(voters)}")

    settled(another_one_leads)
    return leader


def one_that_calls_nobody_is_called(cluster):
    """The leader reaches out to the controller that AddRaftVoter names."""
    node = cluster.add(6)
    cluster.set(node, "controller.quorum.bootstrap.servers", "127.0.0.1:1")
    cluster.set(node, "process.roles", "controller")
    cluster.set(node, "listeners", f"CONTROLLER://127.0.0.1:{node.controller_port}")
    cluster.format(node, "--no-initial-controllers")
    node.launch()
    eventually("it has its directory",
               lambda: os.path.exists(os.path.join(node.data, "meta.properties")))
    cluster.changed(5, "AddRaftVoter", 6)
    node.wait_ready()
    eventually("node 6 votes", lambda: 6 in cluster.quorum(5)[1])
    return 6


def the_removed_comes_back(cluster, removed):
    """With controller.quorum.auto.join.enable a controller asks for its vote again."""
    cluster.changed(5, "RemoveRaftVoter", removed)
    node = cluster.nodes[removed]
    eventually("it is an observer", lambda: removed in cluster.quorum(5)[2])
    check(node.stop() in (0, 143), "ended badly")
    cluster.set(node, "controller.quorum.bootstrap.servers",
                f"127.0.0.1:{cluster.nodes[2].controller_port}")
    cluster.set(node, "controller.quorum.auto.join.enable", "true")
    node.start()
    eventually("it votes again", lambda: removed in cluster.quorum(5)[1])
    cluster.changed(5, "RemoveRaftVoter", removed)
    eventually("it votes once more", lambda: removed in cluster.quorum(5)[1])
    check(node.stop() in (0, 143), "ended badly")
    cluster.changed(5, "RemoveRaftVoter", removed)
    eventually("it is gone", lambda: removed not in cluster.quorum(5)[1])
    del cluster.nodes[removed]
    # Its registration stays until somebody says that it will not come back.
    tool = os.path.join(os.path.dirname(node.kraftd), "kafka-cluster")

    def controllers():
        _, voters, _ = cluster.quorum(5)
        where = f"127.0.0.1:{cluster.nodes[min(voters)].controller_port}"
        listed = subprocess.run([tool, "list-endpoints", "--bootstrap-controller", where],
                                capture_output=True, text=True, check=True).stdout
        return {int(line.split()[0]) for line in listed.splitlines()[1:]}

    check(removed in controllers(), "it is registered no more")
    subprocess.run([tool, "unregister-controller", "--bootstrap-server", cluster.nodes[5].bootstrap,
                    "--id", str(removed)], check=True, stdout=subprocess.DEVNULL)
    eventually("it is registered no more", lambda: removed not in controllers())


def the_removed_follows(cluster, removed):
    """A controller that is no voter any more is an observer, and its broker keeps up."""
    check(cluster.create(5, "after-the-removal") == NO_ERROR, "create")
    asked = {"Topics": [{"TopicId": "AAAAAAAAAAAAAAAAAAAAAA", "Name": "after-the-removal"}],
             "AllowAutoTopicCreation": False, "IncludeTopicAuthorizedOperations": False}

    def knows():
        return cluster.ask(removed, "Metadata", 12, asked)["Topics"][0]["ErrorCode"] == NO_ERROR

    eventually("the removed controller's broker knows the topic", knows)
    eventually("it is an observer", lambda: removed in cluster.quorum(5)[2])


def times_of(node, text):
    """When a node said something."""
    return [line.partition("]")[0] for line in node.log(100000).splitlines() if text in line]


def leadership_is_handed_over(cluster):
    """A node that is stopped lets another one lead before it ends: nobody has to notice that."""
    leader, voters, _ = cluster.quorum(5)
    through = next(voter for voter in voters if voter != leader)
    others = [node for node_id, node in cluster.nodes.items() if node_id != leader]
    led = "Became the active controller"
    before = [len(times_of(node, led)) for node in others]
    stop = threading.Thread(target=cluster.nodes[leader].stop)
    stop.start()
    longest, at, count = 0, time.monotonic(), 0
    while stop.is_alive():
        # What the one that stops did and could not say any more is asked for again by the broker.
        check(cluster.create(through, f"during-{count}") in (NO_ERROR, TOPIC_EXISTS),
              "create during the hand-over")
        count += 1
        longest, at = max(longest, time.monotonic() - at), time.monotonic()
    stop.join()
    check(cluster.nodes[leader].process.returncode in (0, 143), "stopped in order")
    since = [at for node, count in zip(others, before) for at in times_of(node, led)[count:]]
    stopped = times_of(cluster.nodes[leader], "Stopped node.id=")
    check(since and stopped and min(since) <= stopped[-1], "it ended before another one led")
    print(f"handed over: the longest of {count} requests took {longest * 1000:.0f} ms")
    cluster.nodes[leader].start()


def requests_wait_for_a_controller(cluster):
    leader = cluster.quorum(5)[0]
    cluster.nodes[leader].kill()
    begin = time.monotonic()
    error = cluster.create(5, "during-the-election")
    check(error in (NO_ERROR, TOPIC_EXISTS), f"create without a leader: error {error}")
    print(f"answered {time.monotonic() - begin:.2f} s after the leader was killed")
    # Two of three voters are gone: nobody leads, and the request's own time counts.
    last = cluster.quorum(5)[0]
    cluster.nodes[last].kill()
    begin = time.monotonic()
    check(cluster.create(5, "never", timeout_ms=1500) == NOT_ENOUGH_TIME, "no controller")
    check(time.monotonic() - begin > 1, "it did not take as long as the request allowed")
    cluster.nodes[last].start()
    cluster.nodes[leader].start()
    check(cluster.create(5, "again") in (NO_ERROR, TOPIC_EXISTS), "create with all of them")


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    cluster = Cluster(sys.argv[1])
    with ended(cluster.all):
        start(cluster)
        requests_are_forwarded(cluster)
        an_unknown_life_gets_no_session(cluster)
        describe_is_true(cluster)
        the_removed_follows(cluster, voters_change(cluster))
        the_removed_comes_back(cluster, one_that_calls_nobody_is_called(cluster))
        leadership_is_handed_over(cluster)
        requests_wait_for_a_controller(cluster)
        running = [n for n in cluster.nodes.values() if n.process and n.process.poll() is None]
        for node in running:
            node.process.terminate()
        for node in running:
            check(node.wait_end() in (0, 143), f"ended badly\n{node.log(100)}")
    print("voters come and go")
    return 0


if __name__ == "__main__":
    sys.exit(main())
