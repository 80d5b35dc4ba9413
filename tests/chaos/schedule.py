"""What happens when: the faults of a run, from its seed and nothing else.

Every plan draws the same amount of randomness whatever it is used for, so that the sequence of one
seed does not depend on what a machine allows or on how long things took.
"""

import random

KINDS = ("kill", "pause", "partition", "disk", "controller", "reassign", "membership", "upgrade")
CUTS = ("isolated", "isolated from clients too", "deaf", "mute", "apart from one",
        "deaf towards one")


class Plan:
    """One fault. `victim` counts from 1; `other` is another node; `hold` is in seconds."""

    def __init__(self, number, kind, rng, nodes):
        self.number, self.kind = number, kind
        self.victim = rng.randrange(1, nodes + 1)
        self.other = (self.victim + rng.randrange(1, max(2, nodes)) - 1) % nodes + 1
        self.choice = rng.random()
        self.how = rng.choice(("silent", "refused"))
        self.hold = round(rng.choice((rng.uniform(0.2, 2), rng.uniform(2, 6), rng.uniform(6, 12))),
                          1)
        self.calm = round(rng.uniform(0.2, 3), 1)
        self.seed = rng.getrandbits(32)

    def pick(self, items):
        return items[int(self.choice * len(items))]

    def key(self):
        return tuple(sorted(vars(self).items()))


def plans(seed, nodes, kinds):
    """Without end; every kind comes once before any comes again."""
    rng = random.Random(f"chaos {seed} {nodes} {' '.join(sorted(kinds))}")
    number = 0
    while True:
        bag = sorted(kinds)
        rng.shuffle(bag)
        for kind in bag:
            number += 1
            yield Plan(number, kind, rng, nodes)
