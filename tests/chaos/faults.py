"""The faults. Each does its harm, holds it, undoes it and returns; whoever calls waits then until
the cluster is whole. All keep within the promise: one node at a time, and a disk that loses what it
had only where two copies of everything are asked for.
"""

import random
import signal
import time

from common import Failure, Unhealthy, until
from network import CLIENTS
from schedule import CUTS
from wire import DUPLICATE_VOTER, NO_ERROR, VOTER_NOT_FOUND, Unanswered


class Fault:
    """A plan that is about to happen in a cluster."""

    def __init__(self, plan, cluster):
        self.plan, self.cluster = plan, cluster
        self.victim = cluster.nodes[plan.victim]

    def describe(self):
        return f"{self.plan.kind} node {self.victim.number}"

    def happen(self):
        raise NotImplementedError

    def hold(self):
        time.sleep(self.plan.hold)

    def start(self, node):
        node.start(self.cluster.target)


def role(cluster, node):
    return ", the active controller" if cluster.leader_or_none() == node.number else ""


class Kill(Fault):
    """kill -9; sometimes again while it recovers, or with others: what the kernel holds survives a
    process, so that not even the end of all of them may lose anything."""

    def variant(self):
        return self.plan.pick(("", "", "again", "other", "all"))

    def describe(self):
        says = {"": "", "again": ", and again", "other": f" with node {self.plan.other}",
                "all": " with all others"}
        return (f"kill node {self.victim.number}{role(self.cluster, self.victim)} for "
                f"{self.plan.hold} s{says[self.variant()]}")

    def victims(self):
        if self.variant() == "all":
            return list(self.cluster.nodes.values())
        if self.variant() == "other":
            return [self.victim, self.cluster.nodes[self.plan.other]]
        return [self.victim]

    def happen(self):
        victims = self.victims()
        for node in victims:
            node.kill()
        self.hold()
        for node in victims:
            self.start(node)
        if self.variant() == "again":
            time.sleep(2 * random.Random(self.plan.seed).random())
            self.victim.kill()
            self.start(self.victim)


class Pause(Fault):
    def describe(self):
        return (f"pause node {self.victim.number}{role(self.cluster, self.victim)} for "
                f"{self.plan.hold} s")

    def happen(self):
        self.victim.send(signal.SIGSTOP)
        try:
            self.hold()
        finally:
            self.victim.send(signal.SIGCONT)


class Partition(Fault):
    """Cuts all that a node hears, all that it says, or both, with everybody or one other node."""

    def cut_kind(self):
        return self.plan.pick(CUTS)

    def describe(self):
        other = f" ({self.plan.other})" if self.cut_kind().endswith("one") else ""
        return (f"partition node {self.victim.number}{role(self.cluster, self.victim)} "
                f"{self.cut_kind()}{other}, {self.plan.how}, for {self.plan.hold} s")

    def pairs(self):
        victim, kind = self.victim.number, self.cut_kind()
        others = [number for number in self.cluster.nodes if number != victim]
        if kind.endswith("one"):
            others = [self.plan.other]
        if kind == "isolated from clients too":
            others.append(CLIENTS)
        if not kind.startswith("deaf"):
            yield from ((victim, other) for other in others)
        if kind != "mute":
            yield from ((other, victim) for other in others)

    def happen(self):
        network = self.cluster.network
        try:
            for sender, receiver in self.pairs():
                network.cut(sender, receiver, self.plan.how)
            self.hold()
        finally:
            network.heal()


class Controller(Fault):
    """Whoever leads the quorum is killed, frozen or cut off."""

    def __init__(self, plan, cluster):
        super().__init__(plan, cluster)
        self.victim = cluster.nodes[cluster.controller()]
        plan.victim = self.victim.number
        plan.other = self.victim.number % len(cluster.nodes) + 1
        kinds = (Kill, Pause, Partition) if cluster.network.isolated else (Kill, Pause)
        self.inner = kinds[plan.seed % len(kinds)](plan, cluster)

    def describe(self):
        return self.inner.describe()

    def happen(self):
        self.inner.happen()


class Disk(Fault):
    """Full, broken (what was not synced is gone), or replaced by an empty one."""

    def __init__(self, plan, cluster):
        super().__init__(plan, cluster)
        kinds = ["full", "fail", "wipe"] if self.victim.disk.can_fail else ["wipe"]
        if cluster.options.min_isr < 2:
            kinds = ["full"]
        self.variant = plan.pick(kinds)

    def describe(self):
        says = {"full": f"full for {self.plan.hold} s", "fail": f"failing for {self.plan.hold} s",
                "wipe": f"lost, an empty one after {self.plan.hold} s"}
        return (f"disk of node {self.victim.number}{role(self.cluster, self.victim)} "
                f"{says[self.variant]}")

    def happen(self):
        getattr(self, self.variant)()

    def restart(self):
        """A disk that failed is not used again before its node begins anew: Kafka's rule."""
        self.victim.stop(20)
        self.start(self.victim)

    def full(self):
        self.victim.disk.fill()
        try:
            self.hold()
        finally:
            self.victim.disk.drain()
        self.restart()

    def fail(self):
        self.victim.disk.fail()
        self.hold()
        self.victim.stop(20)
        self.victim.disk.repair()
        self.start(self.victim)

    def wipe(self):
        node, cluster = self.victim, self.cluster
        old, cluster_id = node.directory_id(), node.cluster_id()
        had_bytes = node.log_bytes(cluster.topics)
        node.kill()
        node.disk.wipe()
        cluster.target.prepare_blank(node)
        self.hold()
        self.start(node)
        if not cluster.target.replaces_voters:
            change_voter(cluster, node, cluster_id, old, add=False)
            change_voter(cluster, node, cluster_id, node.directory_id(), add=True)
        # Until its session is over the cluster believes that it has what it had: look at the disk.
        until(lambda: f"node {node.number} has {had_bytes} bytes again (it has "
              f"{node.log_bytes(cluster.topics)})", cluster.options.recover_seconds,
              lambda: node.log_bytes(cluster.topics) >= had_bytes)


def change_voter(cluster, node, cluster_id, directory, add):
    """Tries again while the quorum is in motion, as an operator would, at whoever leads: brokers of
    Apache Kafka may go on sending this to a controller that was deposed."""
    last = ["nothing"]
    # An answer that was lost may have been a yes.
    done = (NO_ERROR, DUPLICATE_VOTER) if add else (NO_ERROR, VOTER_NOT_FOUND)

    def accepted():
        leader = cluster.leader_or_none()
        if leader is None:
            return False
        try:
            listener = [cluster.nodes[leader].controller_address]
            if add:
                last[0] = cluster.admin.add_voter(listener, cluster_id, node.number, directory,
                                                  node.host, node.controller_port)
            else:
                last[0] = cluster.admin.remove_voter(listener, cluster_id, node.number, directory)
        except Unanswered as unanswered:
            last[0] = str(unanswered)
        return last[0] in done

    until(lambda: f"voter {node.number} {'added' if add else 'removed'} (last answer: {last[0]})",
          cluster.target.start_seconds, accepted, step=0.5)


class Reassign(Fault):
    """Partitions change places. First all their replicas go to the other log directory of their
    brokers, where the build they run can do that, and a node may be killed, frozen, cut off or lose
    its disk meanwhile. Then, or without waiting for that, to other nodes where there are more than
    replicas, else by going down to the fewest replicas allowed and up again. Their preferred
    leaders lead in the end."""

    def __init__(self, plan, cluster):
        super().__init__(plan, cluster)
        kinds = [None, Kill, Pause]
        if cluster.network.isolated:
            kinds.append(Partition)
        if "disk" in cluster.options.faults:
            kinds.append(Disk)
        kind = kinds[plan.seed % len(kinds)]
        self.inner = kind(plan, cluster) if kind else None
        self.waits = plan.seed // len(kinds) % 2 == 0

    def describe(self):
        meanwhile = f" during: {self.inner.describe()}" if self.inner else ""
        return (f"reassign {self.amount()} partitions, their directories "
                f"{'before' if self.waits else 'at the same time'}{meanwhile}")

    def amount(self):
        return 1 + int(self.plan.choice * 4)

    def happen(self):
        cluster = self.cluster
        rng = random.Random(self.plan.seed)
        places = cluster.places()
        chosen = rng.sample(sorted(places), min(self.amount(), len(places)))
        moves = self.begin_moves({partition: places[partition] for partition in chosen})
        if self.inner:
            time.sleep(rng.random())
            self.inner.happen()
        if isinstance(self.inner, Disk):  # which may forget what was not synced, or all
            del moves[self.victim.number]
        if self.waits:
            self.wait_moved(moves)
        self.reassign(chosen, rng)
        self.wait_moved({})

    def begin_moves(self, places):
        """{node: {partition: directory}}"""
        moves, admin = {}, self.cluster.admin
        for number, node in self.cluster.nodes.items():
            moves[number] = {}
            # The earlier build of an upgrade may not know it.
            if not self.cluster.answered("what a node serves", admin.serves, [node.address],
                                         "AlterReplicaLogDirs"):
                continue
            here, _ = self.cluster.answered("where copies are", admin.directories, node.address)
            moves[number] = {partition: next(d for d in node.directories if d != here[partition])
                             for partition, place in places.items()
                             if number in place["ReplicaNodes"]}
            for partition, path in moves[number].items():
                code = self.cluster.answered("a copy is moved", admin.move_replica, node.address,
                                             partition, path)
                if code != NO_ERROR:
                    raise Unhealthy(f"{partition[0]}-{partition[1]} of node {number} cannot move "
                                    f"to {path}: error {code}")
        return moves

    def wait_moved(self, moves):
        """These have arrived, and none is on its way."""
        cluster, last = self.cluster, [""]

        def arrived():
            for number, node in cluster.nodes.items():
                try:
                    here, coming = cluster.admin.directories(node.address)
                except Unanswered as unanswered:
                    last[0] = str(unanswered)
                    return False
                wrong = {partition: here.get(partition)
                         for partition, path in moves.get(number, {}).items()
                         if here.get(partition) != path}
                last[0] = f"node {number} has {coming} on the way, and elsewhere {wrong}"
                if coming or wrong:
                    return False
            return True

        until(lambda: f"replicas moved to other directories ({last[0]})",
              cluster.options.recover_seconds, arrived, step=0.2)

    def reassign(self, chosen, rng):
        cluster = self.cluster
        size = cluster.options.replication
        targets = {partition: rng.sample(sorted(cluster.nodes), size) for partition in chosen}
        if size == len(cluster.nodes):
            # The copy that is left out is thrown away and made again.
            self.move({partition: targets[partition][:max(1, cluster.options.min_isr)]
                       for partition in chosen})
        self.move(targets)
        for partition in chosen:
            cluster.answered("a leader is elected", cluster.admin.elect_preferred,
                             cluster.addresses, partition)

    def move(self, targets):
        admin, cluster = self.cluster.admin, self.cluster
        for partition, replicas in targets.items():
            code = cluster.answered(f"a reassignment to {replicas}", admin.reassign,
                                    cluster.addresses, partition, replicas)
            if code != NO_ERROR:
                raise Unhealthy(f"{partition[0]}-{partition[1]} cannot move to {replicas}: "
                                f"error {code}")
        last = [""]

        def arrived():
            try:
                places, _ = admin.metadata(cluster.addresses[0], list(cluster.topics))
            except Unanswered:
                return False
            for partition, replicas in targets.items():
                found = places.get(partition, {})
                last[0] = (f"{partition[0]}-{partition[1]} goes to {replicas}, has "
                           f"{found.get('ReplicaNodes')}, in sync {found.get('IsrNodes')}")
                if found.get("ReplicaNodes") != replicas or set(found["IsrNodes"]) != set(replicas):
                    return False
            return True

        until(lambda: f"partitions moved ({last[0]})", cluster.options.recover_seconds, arrived,
              step=0.2)


class Membership(Fault):
    """A voter is removed and added again; sometimes the one that leads."""

    def __init__(self, plan, cluster):
        super().__init__(plan, cluster)
        if plan.choice > 0.5:
            self.victim = cluster.nodes[cluster.controller()]

    def describe(self):
        return f"voter {self.victim.number}{role(self.cluster, self.victim)} leaves and comes back"

    def happen(self):
        node, cluster = self.victim, self.cluster
        directory, cluster_id = node.directory_id(), node.cluster_id()
        change_voter(cluster, node, cluster_id, directory, add=False)
        until("the voter is gone", 30, self.is_gone)
        self.hold()
        change_voter(cluster, node, cluster_id, directory, add=True)

    def is_gone(self):
        try:
            leader, voters, _ = self.cluster.admin.quorum(
                self.cluster.addresses_but(self.victim.number))
            return self.victim.number not in voters and leader in voters
        except Unanswered:
            return False


class Upgrade(Fault):
    """One node after the other is stopped in order and started again, by the other build where
    there is one."""

    def describe(self):
        builds = len(self.cluster.target.builds)
        return "rolling restart" + (" with the other build" if builds > 1 else "")

    def happen(self):
        cluster = self.cluster
        numbers = sorted(cluster.nodes)
        first = self.victim.number - 1
        for number in numbers[first:] + numbers[:first]:
            node = cluster.nodes[number]
            if not node.stop():
                raise Unhealthy(f"node {number} did not stop in time: {node.log_path}")
            node.build += 1
            self.start(node)
            cluster.wait_whole(cluster.options.recover_seconds)


FAULTS = {"kill": Kill, "pause": Pause, "partition": Partition, "disk": Disk,
          "controller": Controller, "reassign": Reassign, "membership": Membership,
          "upgrade": Upgrade}
NEEDS = {"reassign": "AlterPartitionReassignments", "membership": "AddRaftVoter"}


def left_out(kind, cluster):
    """None, or why a fault cannot be done here."""
    options = cluster.options
    if kind == "partition" and not cluster.network.isolated:
        return "nodes share one network"
    can_fail = next(iter(cluster.nodes.values())).disk.can_fail
    if kind == "disk" and options.min_isr < 2 and not can_fail:
        return "nothing may be lost with one copy, and disks cannot be filled"
    if kind == "membership" and options.nodes < 3:
        return "it takes three nodes"
    if kind in NEEDS and not cluster.admin.serves(cluster.addresses, NEEDS[kind]):
        return f"{cluster.target.name} does not serve {NEEDS[kind]}"
    return None


def make(plan, cluster):
    if plan.kind not in FAULTS:
        raise Failure(f"there is no fault {plan.kind}")
    return FAULTS[plan.kind](plan, cluster)
