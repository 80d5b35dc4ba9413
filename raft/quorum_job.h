/*
 * A piece of work on the quorum's disk that everything behind it waits for; a node has one at a
 * time (quorum_run.c). Filled in on the loop, run on a worker.
 */
#ifndef KRAFTD_RAFT_QUORUM_JOB_H
#define KRAFTD_RAFT_QUORUM_JOB_H

#include "common/base/env.h"
#include "raft/quorum_state.h"

enum quorum_job_kind {
    QUORUM_JOB_STATE,
    QUORUM_JOB_BOOTSTRAP,
    QUORUM_JOB_TRUNCATE,
    QUORUM_JOB_INSTALL, /* a checkpoint takes the log's place */
    QUORUM_JOB_CLOSE,
};

struct quorum_job {
    struct work work;
    enum quorum_job_kind kind;
    bool in_flight, done;
    int rv;
    struct quorum_state state;
    const struct quorum_voters *voters; /* of the bootstrap; the action holds them */
    int64_t offset, mark, wall_ms;
    bool clean;
};

#endif
