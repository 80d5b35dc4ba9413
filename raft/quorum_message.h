/*
 * What quorum nodes say to each other: libraft's six messages with Kafka's batches in them. Plain
 * values; the wire form (a private, versioned API) and the connection belong to the transport,
 * which carries them one ordered stream per peer, opened by a hello that proves cluster, node and
 * directory id. Indexes and terms are raft's: index = offset + 2, term = epoch + 1.
 *
 * An append is sent as a range: the transport loads the batches (prev_index, end_index] from the
 * log when it sends, after the appends that were ordered before it. It may cut a long range between
 * batches into several messages; each further part takes the end of the one before it as prev_index
 * and as echo. A received append holds its batches.
 */
#ifndef KRAFTD_RAFT_QUORUM_MESSAGE_H
#define KRAFTD_RAFT_QUORUM_MESSAGE_H

#include "common/base/buf.h"
#include "raft/quorum_map.h"
#include "raft/quorum_voters.h"

enum quorum_batch_kind {
    QUORUM_COMMAND = 1, /* metadata records, and control records that change no voters */
    QUORUM_BARRIER,     /* LeaderChange: the first batch of an epoch */
    QUORUM_CHANGE,      /* holds a VotersRecord, or is the bootstrap entry at index 1 */
};

/* A part of a buf. The bootstrap entry has none: it is the voters alone. */
struct quorum_bytes {
    struct buf *buf;
    size_t offset, len;
};

struct quorum_batch {
    uint64_t base;
    uint32_t count; /* records, so entries: base to base + count - 1 */
    uint64_t term;
    enum quorum_batch_kind kind;
    struct quorum_voters *voters; /* of a CHANGE */
    struct quorum_bytes bytes;
};

static inline uint64_t quorum_batch_end(const struct quorum_batch *batch)
{
    return batch->base + batch->count - 1;
}

struct quorum_peer_id {
    int32_t node_id;
    struct uuid directory_id;
    uint64_t raft_id;
};

enum quorum_message_type {
    QUORUM_APPEND = 1,
    QUORUM_APPEND_RESULT,
    QUORUM_VOTE,
    QUORUM_VOTE_RESULT,
    QUORUM_INSTALL,
    QUORUM_TIMEOUT_NOW,
};

struct quorum_append {
    uint64_t prev_index, prev_term;
    uint64_t commit_index;
    uint64_t echo;      /* what a rejection names: the index the leader's library asked about */
    uint64_t end_index; /* prev_index for a heartbeat */
    struct quorum_batch *batches; /* received only */
    size_t batch_count;
};

struct quorum_append_result {
    uint64_t rejected; /* echo of the append that did not fit; 0: all fits */
    uint64_t last_index;
};

struct quorum_vote {
    uint64_t last_index, last_term;
    bool disrupt_leader; /* the leader itself asked for this election */
    bool pre_vote;
};

struct quorum_vote_result {
    bool granted;
    bool pre_vote;
};

/* The receiver fetches the checkpoint of this name out of band (FetchSnapshot). */
struct quorum_install {
    uint64_t last_index, last_term;
    struct quorum_voters *voters; /* as of last_index */
};

struct quorum_timeout_now {
    uint64_t last_index, last_term;
};

struct quorum_message {
    enum quorum_message_type type;
    struct quorum_peer_id peer; /* sent: to whom; received: from whom */
    uint64_t term;
    union {
        struct quorum_append append;
        struct quorum_append_result append_result;
        struct quorum_vote vote;
        struct quorum_vote_result vote_result;
        struct quorum_install install;
        struct quorum_timeout_now timeout_now;
    };
};

#endif
