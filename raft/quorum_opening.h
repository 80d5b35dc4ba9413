/*
 * Opening a quorum's directory: filled in on the loop, run on a worker, taken over by the loop
 * (quorum_open.c). The recovery point of the log is kept in a file of Kafka's form: a mark, below
 * which all is durable.
 */
#ifndef KRAFTD_RAFT_QUORUM_OPENING_H
#define KRAFTD_RAFT_QUORUM_OPENING_H

#include "raft/quorum_node.h"

/* The mark (quorum_open.c) is written when so much was appended, or after so long. */
#define QUORUM_MARK_BYTES ((int64_t)1 << 20)
#define QUORUM_MARK_MS    1000

#define QUORUM_SENTENCE_MAX 512

struct quorum_kept {
    struct quorum_checkpoint_id id;
    int64_t size_bytes, last_contained_ms;
};

struct quorum_kept_list {
    struct quorum_kept *items; /* ascending */
    size_t count, capacity;
};

/* Voters as they stand in the log, or (offset -1) in the newest checkpoint. */
struct quorum_named_voters {
    int64_t offset;
    struct quorum_voters *voters;
};

struct quorum_opening {
    struct work work;
    struct quorum_node *node; /* the loop's; the worker looks at its config only */
    struct env *env;
    const struct quorum_node_config *config;
    unsigned seed;
    int64_t wall_ms;
    int rv;
    char sentence[QUORUM_SENTENCE_MAX];
    struct quorum_core *core;
    struct log *log;
    struct quorum_kept_list kept;
    struct quorum_voters *bootstrap_voters, *snapshot_voters;
    int bootstrap_kraft_version;
    struct bytebuf bootstrap; /* metadata batches of the bootstrap checkpoint */
    bool has_snapshot, has_log_files;
    int64_t voters_offset; /* of the first VotersRecord in log or checkpoint; INT64_MAX: none */
    int32_t last_epoch;
    int64_t mark;
    /* The node follows the quorum from outside; then there is no core. */
    bool observes;
    struct quorum_named_voters *named;
    size_t named_count, named_capacity;
    int32_t state_epoch; /* of quorum-state; -1: none */
    int32_t known_epoch; /* what it followed as an observer until now; -1: it did not */
};

void kept_push(struct quorum_kept_list *list, const struct quorum_kept *kept);

struct quorum_opening *opening_new(struct quorum_node *node); /* of a node's config */
void opening_run(struct work *work);                          /* on a worker */
/* On a worker: makes a core again from checkpoints and log; the log is open, and set. */
void opening_reload(struct quorum_opening *opening);
/* quorum_open_observer.c: says whether the node observes, from its checkpoints and log; then
 * settles the log for that. */
int opening_look(struct quorum_opening *opening);
/* Fills in `named` from checkpoint and log. */
int opening_name_voters(struct quorum_opening *opening);
int opening_observe(struct quorum_opening *opening);
/* With core and log, where they were not taken over. NULL is fine. */
void opening_free(struct quorum_opening *opening);
int quorum_mark_read(struct disk *disk, const char *directory, int64_t *ret_offset);
int quorum_mark_write(struct disk *disk, const char *directory, int64_t offset);

#endif
