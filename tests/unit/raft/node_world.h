/*
 * A quorum node in the simulated world, with a little state machine on it: a list of numbers, each
 * proposed as a batch of records. What was acknowledged is remembered outside of the process, which
 * may die at any time.
 */
#ifndef KRAFTD_TESTS_RAFT_NODE_WORLD_H
#define KRAFTD_TESTS_RAFT_NODE_WORLD_H

#include "raft/quorum_node.h"
#include "tests/sim/sim_env.h"
#include "tests/unit/mutate.h"

#define METADATA_DIR "/data/__cluster_metadata-0"
#define NUMBERS_MAX  (1 << 16)

/* Survives the node. */
struct world {
    struct sim *sim;
    struct sim_node *node;
    /* What the program does. */
    int64_t propose_every_ms; /* 0: nothing */
    int batch_records;
    int at_once;               /* proposals of one turn; 0 is 1 */
    int64_t snapshot_every_ms; /* 0: never */
    int64_t retention_bytes;
    int32_t segment_bytes;
    bool without_voters, had_files;
    struct uuid directory_id;
    int32_t node_id;
    const char *host;                          /* of its listener */
    const struct quorum_follow_config *follow; /* then there are no voters to begin with */
    const struct quorum_transport *transport;
    quorum_guards_off guards_off;
    struct mutations mutations; /* as KRAFTD_MUTATE says */
    /* What was seen. */
    bool acked[NUMBERS_MAX];
    uint64_t next_number; /* never proposed before */
    unsigned acks, cancels, leaderships, snapshots, snapshot_errors;
    int32_t epoch;
    bool stopped;
    char failure[512];
};

/* Dies with the node. */
struct program {
    struct world *world;
    struct env *env;
    struct quorum_node *node;
    struct quorum_voters *voters;
    uint64_t *numbers; /* the state */
    size_t count, capacity;
    uint64_t *loading; /* that of a checkpoint on its way */
    size_t loading_count, loading_capacity;
    int64_t next_offset;
    int bootstrap_records, control_records;
    bool loaded;
    struct timer timer, snapshot_timer;
    struct quorum_snapshot snapshot;
    uint64_t *snapshot_numbers;
    size_t snapshot_count;
};

void world_init(struct world *world, uint64_t seed);
/* Beside others; `boot` (world_boot, or one that calls it) starts the process. */
void world_init_in(struct world *world, struct sim *sim, const char *name,
                   void *(*boot)(struct env *env, void *ctx), void *ctx);
void *world_boot(struct env *env, void *ctx);
void world_release(struct world *world);
/* What an earlier life said is forgotten. */
void world_start(struct world *world);
struct program *world_program(struct world *world);
void world_run_ms(struct world *world, int64_t ms);
/* Until it leads, at most ten seconds; false when it failed. */
bool world_run_until_active(struct world *world);
/* An orderly stop of the node, then of the process. */
void world_stop(struct world *world);
/* Everything acknowledged is in the state, once. */
void world_check_state(struct world *world);
bool world_state_is_good(struct world *world);

#endif
