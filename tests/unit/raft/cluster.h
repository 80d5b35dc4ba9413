/*
 * A cluster of quorum cores in virtual time: disks that lose what was not synced, a network that
 * delays, drops and reorders, crashes between any two actions, snapshots, wiped disks. Everything
 * follows from the seed. Invariants are checked after each action; the first broken one ends a run.
 */
#ifndef KRAFTD_TESTS_RAFT_CLUSTER_H
#define KRAFTD_TESTS_RAFT_CLUSTER_H

#include "raft/quorum_core.h"

#include <stdbool.h>
#include <stdint.h>

struct cluster_options {
    uint64_t seed;
    int servers;
    int64_t faulty_ms; /* faults until then; afterwards the cluster has to come together */
    bool reorder;      /* messages may overtake each other */
    bool wipe;         /* disks are wiped and replaced */
    bool huge_batches; /* up to 300 records, so that libraft stops inside of batches */
    quorum_guards_off guards_off;
    bool persisted_before_sync; /* mutation: the disk lies */
    bool vote_after_send;       /* mutation: term and vote become durable later */
    bool wiped_keeps_id;        /* mutation: a wiped disk has its old directory id */
};

struct cluster_result {
    char broken[200]; /* empty: all went well */
    int64_t broken_ms;
    unsigned elections, commits, crashes, snapshots, installs, wipes, changes;
    uint64_t guarded[QUORUM_GUARDS]; /* how often each guard made a difference */
    uint64_t malformed;
    uint64_t digest; /* of the whole run: equal seeds give equal digests */
};

void cluster_run(const struct cluster_options *options, struct cluster_result *ret);

#endif
