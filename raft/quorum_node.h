/*
 * The quorum node: the consensus core (quorum_core.h) on a disk, a clock and a transport. It owns
 * the metadata log `<metadata.log.dir>/__cluster_metadata-0/` with its checkpoints and
 * quorum-state.
 *
 * One loop. Nothing here waits for the disk: the log is opened, synced and snapshotted on worker
 * threads, appends go to the page cache. Batches proposed while a sync is in flight share the next
 * one. Callbacks of the handler run on the loop and may call back into the node, except stop.
 *
 * Any error of a write or a sync, and any damage found, ends the node (W13): failed() comes once
 * with a sentence for people, proposals end with -ECANCELED, and only stop may still be called.
 *
 * Order of what is given out: a checkpoint if there is one, then every committed batch, in order
 * and without gaps, control batches included. After the batches of a proposal comes its `done`;
 * after our LeaderChange comes on_leader.
 */
#ifndef KRAFTD_RAFT_QUORUM_NODE_H
#define KRAFTD_RAFT_QUORUM_NODE_H

#include "common/base/env.h"
#include "common/base/list.h"
#include "common/storage/log.h"
#include "raft/quorum_checkpoint.h"
#include "raft/quorum_core.h"

/* How messages leave. send may keep what the message refers to only during the call; an append's
 * batches are read with quorum_node_read_log. It drops what cannot go out now. */
struct quorum_transport {
    void (*send)(void *ctx, const struct quorum_message *message);
    /* Asks a peer for the bytes of a checkpoint from `position` on; `fetched` comes once, on a
     * later turn: 0, the checkpoint's size and a piece that lies in `frame`, or a negative errno.
     * -ENOTCONN, -EBUSY: not asked. May be NULL. */
    int (*fetch)(void *ctx, uint64_t raft_id, struct quorum_checkpoint_id id, int64_t position,
                 void (*fetched)(void *fetch_ctx, int status, int64_t size, struct bytes data,
                                 struct buf *frame),
                 void *fetch_ctx);
    void *ctx;
};

struct quorum_handler {
    /* The log is open. Comes before everything else. */
    void (*opened)(void *ctx);
    /* Metadata records of the bootstrap checkpoint; only while there is no other checkpoint. */
    int (*bootstrap)(void *ctx, struct bytes batches);
    /* A checkpoint replaces all state: begin, its metadata batches in runs, end. An error stops the
     * node. */
    int (*snapshot_begin)(void *ctx);
    int (*snapshot_batches)(void *ctx, struct bytes batches);
    int (*snapshot_end)(void *ctx, struct quorum_checkpoint_id id);
    /* Whole committed batches. An error stops the node. */
    int (*committed)(void *ctx, struct bytes batches);
    /* All that was in the log at the start has been given out as far as it is known as committed.
     */
    void (*loaded)(void *ctx);
    /* We lead, and all before our LeaderChange has been given out: proposals are welcome. */
    void (*on_leader)(void *ctx, int32_t epoch);
    /* We do not lead (any more); leader_id -1: unknown. Also whenever the leader changes. */
    void (*on_follower)(void *ctx, int32_t epoch, int32_t leader_id);
    void (*failed)(void *ctx, const char *sentence);
};

/* How a node that is no voter follows the quorum (quorum_observer.h). All of it is copied. */
struct quorum_follow_config {
    const char *cluster_id;
    /* Controllers to ask first; their node ids where they are known, else NULL. */
    const struct endpoint *bootstrap;
    const int32_t *bootstrap_ids;
    size_t bootstrap_count;
    int64_t fetch_timeout_ms, retry_backoff_ms;
    int32_t fetch_max_bytes, snapshot_max_bytes;
    bool never_votes; /* a broker: what its disk loses is fetched again */
};

struct quorum_node_config {
    int32_t node_id;
    struct uuid directory_id;
    const char *directory; /* .../__cluster_metadata-0 */
    unsigned election_timeout_ms, heartbeat_ms;
    struct log_config log;                 /* metadata.log.segment.bytes and .ms */
    int64_t retention_bytes, retention_ms; /* metadata.max.retention.* */
    /* Where neither log nor checkpoints name voters (kraft.version 0); may be NULL. Copied. */
    struct quorum_voters *voters;
    /* Where the voters do not name this disk, it follows them; NULL: it waits to be named. */
    const struct quorum_follow_config *follow;
    const struct quorum_transport *transport; /* NULL with one voter */
    bool had_files;                           /* an empty directory has lost what it acknowledged */
    quorum_guards_off guards_off;             /* tests */
};

struct quorum_node;

struct quorum_node *quorum_node_new(struct loop *loop, const struct quorum_node_config *config,
                                    const struct quorum_handler *handler, void *ctx);
/* Stopped, or never started. NULL is fine. */
void quorum_node_free(struct quorum_node *node);
/* Opens the log on a worker, loads, then takes part in elections. */
void quorum_node_start(struct quorum_node *node);
/* Ends proposals, waits for what is in flight, closes the log. Once. */
void quorum_node_stop(struct quorum_node *node, void (*stopped)(void *ctx), void *ctx);

/* A batch on its way. Embedded in the caller's struct; it must live until done. */
struct quorum_proposal {
    /* 0: committed and given out. -ECANCELED: leadership was lost; the outcome is unknown. */
    void (*done)(struct quorum_proposal *proposal, int status);
    int64_t first_offset, last_offset;
    struct list link;
};

/*
 * Appends one record batch. Takes over `batch`, whose only reference the caller had: offset and
 * epoch are written into it. The offsets are known at once and hold if it commits. proposal may be
 * NULL. -EPERM: we do not lead (then the batch is dropped too).
 */
int quorum_node_propose(struct quorum_node *node, struct buf *batch,
                        struct quorum_proposal *proposal);
/* One change of the voters, as quorum_core_change: its errors, -EPERM too where on_leader has not
 * come, -EAGAIN where the log names no voters yet, or repeats them first. `voters` is shared. */
int quorum_node_change(struct quorum_node *node, struct quorum_voters *voters);
/* Begins to bring a standby up to date. */
int quorum_node_catch_up(struct quorum_node *node, uint64_t raft_id);
/* Hands leadership over, to any voter that is up to date. -EPERM: we do not lead. */
int quorum_node_transfer(struct quorum_node *node);
/* Offset that the next record proposed gets. */
int64_t quorum_node_next_offset(const struct quorum_node *node);

/* Gives committed batches out again from this offset on, a batch's base that was given out before
 * and is still in the log. */
void quorum_node_rewind(struct quorum_node *node, int64_t offset);
void quorum_node_peer_gone(struct quorum_node *node, uint64_t raft_id); /* its port refuses */
/* A message from a peer whose connection proved who it is. */
void quorum_node_receive(struct quorum_node *node, const struct quorum_message *message);

/*
 * A checkpoint of the state after `end_offset`, which committed() has just reached. `fill` runs on
 * a worker and hands its metadata batches to quorum_checkpoint_write, with offsets from
 * quorum_checkpoint_next_offset on. Then `done` on the loop: 0, -ESTALE (a newer one came), what
 * fill returned, or an error of the disk, which is no reason to stop. Old checkpoints and the log
 * before them go as metadata.max.retention says. One at a time: -EBUSY.
 */
struct quorum_snapshot {
    int (*fill)(struct quorum_snapshot *snapshot, struct quorum_checkpoint_writer *writer);
    void (*done)(struct quorum_snapshot *snapshot, int status);
    int64_t last_contained_ms; /* time of the last record in it */
};
int quorum_node_snapshot(struct quorum_node *node, struct quorum_snapshot *snapshot,
                         int64_t end_offset);

#include "raft/quorum_node_view.h"

#endif
