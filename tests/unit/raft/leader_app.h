/*
 * A leader for tests of observers: a real quorum node (node_world.h) whose process answers Fetch
 * and FetchSnapshot over the simulated network as a broker's handlers do, and lies on request.
 */
#ifndef KRAFTD_TESTS_RAFT_LEADER_APP_H
#define KRAFTD_TESTS_RAFT_LEADER_APP_H

#include "tests/unit/raft/node_world.h"

#define LEADER_PORT 9093

enum lie {
    LIE_NONE,
    LIE_OFFSET,          /* batches stand one offset too high */
    LIE_GAP,             /* the first batch is left out */
    LIE_BATCH_EPOCH,     /* a batch of an epoch to come */
    LIE_CRC,             /* a flipped bit */
    LIE_GARBAGE,         /* no batches at all */
    LIE_CLUSTER,         /* INCONSISTENT_CLUSTER_ID */
    LIE_OTHER_LEADER,    /* another node leads the same epoch */
    LIE_OLD_EPOCH,       /* an epoch that is over */
    LIE_TOPIC,           /* an answer for another log */
    LIE_NONSENSE,        /* a frame that is no answer */
    LIE_DIVERGING_AHEAD, /* logs differ where ours has nothing */
    LIE_SNAPSHOT_BEHIND, /* a checkpoint below what is committed */
    LIE_COUNT,
    /* Of FetchSnapshot. */
    LIE_PIECE_ENDLESS = LIE_COUNT,
    LIE_PIECE_EMPTY,
    LIE_PIECE_GROWS,
    LIE_PIECE_PLACE,
    LIE_PIECE_ID,
    LIE_PIECE_FLIPPED,
    LIE_PIECE_CUT_SHORT,
    LIE_END,
    /* It has less than what it had called committed. */
    LIE_DIVERGING,
};

struct leader_world {
    struct world world; /* first */
    enum lie lie;
    int fetches, pieces;
    bool silent; /* no answer at all */
};

void *leader_boot(struct env *env, void *ctx);

#endif
