/*
 * The quorum node's state and what its files share. quorum_node.c: life and proposals;
 * quorum_open.c: the log from the disk, on a worker; quorum_run.c: carrying out the core's actions;
 * quorum_give.c: checkpoints and committed batches to the handler; quorum_keep.c: new checkpoints
 * and what goes with them; quorum_serve.c: what followers by Fetch get.
 */
#ifndef KRAFTD_RAFT_QUORUM_NODE_INTERNAL_H
#define KRAFTD_RAFT_QUORUM_NODE_INTERNAL_H

#include "common/base/check.h"
#include "common/base/logger.h"
#include "common/base/mem.h"
#include "common/storage/log_flush.h"
#include "common/storage/log_retention.h"
#include "raft/quorum_job.h"
#include "raft/quorum_install.h"
#include "raft/quorum_node.h"
#include "raft/quorum_observer.h"
#include "raft/quorum_opening.h"
#include "raft/quorum_replicas.h"
#include "raft/quorum_state.h"

enum quorum_phase { QUORUM_NEW, QUORUM_OPENING, QUORUM_RUNNING, QUORUM_STOPPING, QUORUM_STOPPED };

struct quorum_node {
    struct loop *loop;
    struct env *env;
    struct disk *disk;
    struct quorum_node_config config;
    char *directory;
    const struct quorum_handler *handler;
    void *ctx;
    enum quorum_phase phase;
    bool failed, damaged;
    char failure[QUORUM_SENTENCE_MAX];
    struct quorum_opening *opening;
    struct quorum_core *core;         /* or */
    struct quorum_observer *observer; /* in its place, where we are no voter */
    bool promoting;                   /* a core is to take the observer's place */
    struct quorum_observer *scout;    /* beside a core that has known no leader since then: */
    int64_t leaderless_ms;            /* -1: it knows one (quorum_step_back.c) */
    struct quorum_follow_config follow;
    struct quorum_installation *install; /* a checkpoint that is on its way; NULL */
    struct log *log;
    int64_t voters_offset; /* where the log, or a checkpoint, first names voters; INT64_MAX */

    struct task pump;
    bool pump_posted;
    struct timer timer;
    struct quorum_action action; /* taken, not carried out yet */
    bool has_action;
    struct quorum_job job;

    struct work flush_work;
    bool flushing;
    struct log_flush *flush; /* NULL: only the mark is written */
    uint64_t flush_write_id, written_id, durable_id;
    int64_t mark, new_mark; /* new_mark: what is being written; -1: none */
    int64_t bytes_since_mark;
    struct timer mark_timer; /* runs while the log is longer than the mark says */
    bool mark_due;
    int mark_rv;

    bool loading; /* the newest checkpoint is being given out */
    bool loaded_told;
    struct quorum_checkpoint_reader *reader;
    struct work load_work;
    struct bytes load_run;
    int load_rv;
    struct quorum_checkpoint_id load_id;
    int64_t given_out, high_watermark;
    bool settled; /* what the start led to has been carried out: all that is known as committed */
    struct work warm_work;
    struct log_warm *warm;
    uint8_t *chunk;
    size_t chunk_capacity;
    int64_t bytes_since_snapshot;

    enum quorum_role role;
    int32_t epoch, leader_id;
    int64_t barrier_offset; /* of our LeaderChange */
    int32_t barrier_epoch;
    bool active;
    struct list proposals;

    struct quorum_kept_list kept;
    struct quorum_snapshot *snapshot;
    struct work snapshot_work;
    struct quorum_checkpoint_id snapshot_id;
    struct quorum_voters *snapshot_voters; /* the worker's own copy */
    bool snapshot_kraft_version;
    int64_t snapshot_wall_ms, snapshot_size;
    int snapshot_rv;
    struct work clean_work;
    struct log_deletion *deletion;
    struct quorum_kept_list doomed;
    bool cleaning;

    /* Who follows by Fetch, and what they last heard of us (quorum_serve.h). */
    struct quorum_replicas replicas;
    struct list waits;
    bool waits_ended;
    int32_t served_epoch, served_leader;
    int64_t served_high_watermark;

    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

/* quorum_node.c */
__attribute__((format(printf, 2, 3))) void node_fail(struct quorum_node *node, const char *format,
                                                     ...);
void node_schedule(struct quorum_node *node);
void node_end_proposals(struct quorum_node *node, int64_t up_to, int status);
bool node_in_flight(const struct quorum_node *node);
void node_close_if_idle(struct quorum_node *node);
/* It may still act: neither failed nor stopping. */
static inline bool node_alive(const struct quorum_node *node)
{
    return node->phase == QUORUM_RUNNING && !node->failed;
}

/* quorum_run.c */
void run_actions(struct quorum_node *node);
void run_flush(struct quorum_node *node);
void job_init(struct quorum_node *node);
/* job.kind and what it needs are set; it ends with a turn of the node. */
void job_submit(struct quorum_node *node, enum quorum_job_kind kind);
/* It has ended; true once. */
bool job_was_done(struct quorum_node *node);
/* A worker has the log. */
static inline bool node_log_is_taken(const struct quorum_node *node)
{
    return install_reloads(node->install) || (node->promoting && node->opening) ||
           (node->job.in_flight &&
            (node->job.kind == QUORUM_JOB_TRUNCATE || node->job.kind == QUORUM_JOB_INSTALL));
}
void mark_is_due(struct timer *timer);

/* quorum_give.c */
void give_start(struct quorum_node *node, struct quorum_opening *opening);
void give_out(struct quorum_node *node);
/* A checkpoint that takes the place of all that was given out before. */
void give_checkpoint(struct quorum_node *node, struct quorum_checkpoint_id id);

/* quorum_keep.c: all other checkpoints go. Nothing is being cleaned. */
void keep_only(struct quorum_node *node, const struct quorum_kept *kept);

#endif
