/*
 * What the leader answers to nodes that follow the metadata log with Kafka's Fetch and
 * FetchSnapshot (KIP-595, KIP-630): decisions only, the wire form is the handler's. Answered as
 * Apache Kafka's controllers do, but that nothing above the high watermark is given out: who
 * follows never has to truncate. On the node's loop.
 *
 * A fetch that finds nothing new may wait. A wait ends once, with the next commit, a change of
 * leadership, or the node's end; its owner asks again then.
 */
#ifndef KRAFTD_RAFT_QUORUM_SERVE_H
#define KRAFTD_RAFT_QUORUM_SERVE_H

#include "common/protocol/kafka_error.h"
#include "raft/quorum_node.h"
#include "raft/quorum_replicas.h"

/* As large as one answer to Fetch gets, but for a single batch that is larger. */
#define QUORUM_SERVE_MAX_BYTES ((int32_t)8 << 20)

struct quorum_fetch {
    int32_t replica_id; /* -1: none, it is not remembered */
    struct uuid replica_directory_id;
    int32_t leader_epoch;
    int64_t offset;
    int32_t last_epoch; /* of what is below the offset */
    int32_t max_bytes;
    bool invalid; /* something else of the request is: it gets no more than who leads */
};

enum quorum_fetch_kind {
    QUORUM_FETCH_BATCHES,
    QUORUM_FETCH_DIVERGING, /* what it has is not in our log: end_epoch, end_offset */
    QUORUM_FETCH_SNAPSHOT,  /* it is behind our log: that checkpoint, end_epoch, end_offset */
};

struct quorum_fetched {
    enum kafka_error error;
    enum quorum_fetch_kind kind;
    int32_t end_epoch;
    int64_t end_offset;
    int64_t high_watermark; /* -1: not known in this epoch yet */
    int64_t log_start;
    struct log_read_result read; /* file NULL: nothing; else one reference for the caller */
    /* Who leads as far as we know: id -1, endpoint.port 0 where that is not known. */
    struct quorum_leader leader;
};

void quorum_node_fetch(struct quorum_node *node, const struct quorum_fetch *fetch,
                       struct quorum_fetched *ret_fetched);

struct quorum_fetch_snapshot {
    int32_t leader_epoch;
    struct quorum_checkpoint_id id;
};
/* NONE: the checkpoint is there, in the file *ret_path (fresh memory). */
enum kafka_error quorum_node_fetch_snapshot(struct quorum_node *node,
                                            const struct quorum_fetch_snapshot *fetch,
                                            struct quorum_leader *ret_leader, char **ret_path);

/* Who fetches from the leader, without those that are silent; valid until the next event. */
const struct quorum_replicas *quorum_node_replicas(struct quorum_node *node);

struct quorum_wait {
    struct list link;
    void (*ready)(struct quorum_wait *);
};
/* False: the node ends, nobody waits any more. */
bool quorum_node_wait(struct quorum_node *node, struct quorum_wait *wait);
void quorum_wait_end(struct quorum_wait *wait);
/* The node's own, in its turn: ends the waits where there is something to say. */
void serve_wake(struct quorum_node *node);
/* Ends all waits, and lets nobody wait from now on: the listeners are to be closed. */
void quorum_node_end_waits(struct quorum_node *node);

/* Those that fetch, on the leader; they live until the next call on the node. */
const struct quorum_replica *quorum_node_observers(struct quorum_node *node, size_t *ret_count);

#endif
