/*
 * Fetch sessions (KIP-227): what a consumer or follower fetches is remembered between its requests,
 * so that an incremental request names only what changed and an incremental answer holds only what
 * is new.
 *
 * Sans-I/O; one cache per loop, touched on that loop only. A session id names its loop
 * (id % loop_count), so an id that reaches another loop is simply not found and the client starts
 * over, as after an eviction. Sessions own copies of the topic names.
 *
 * Invariants: epoch is the next one the client must send; a session with no partition does not
 * exist; a privileged session (a follower's) is evicted only by another privileged one.
 */
#ifndef KRAFTD_BROKER_REPLICA_FETCH_SESSION_H
#define KRAFTD_BROKER_REPLICA_FETCH_SESSION_H

#include "common/base/list.h"
#include "common/base/uuid.h"
#include "common/protocol/kafka_error.h"

#define FETCH_SESSION_FINAL_EPOCH   (-1)
#define FETCH_SESSION_INITIAL_EPOCH 0

/* One partition of a request or of a session. Offsets -1: not known. */
struct fetch_partition {
    struct str topic; /* may be null where only the id is known */
    struct uuid topic_id;
    int32_t partition;
    int32_t max_bytes;
    int64_t fetch_offset;
    int64_t log_start_offset;
    int32_t current_leader_epoch;
    int32_t last_fetched_epoch;
    struct uuid replica_directory_id;
    int64_t follower_high_watermark;
    /* What the last answer said; INT64_MIN before the first. */
    int64_t sent_high_watermark, sent_log_start_offset;
    bool sent_error;
};

struct fetch_session_cache;
struct fetch_session;

struct fetch_session_cache *fetch_session_cache_new(int max_slots, int64_t min_eviction_ms,
                                                    int loop_index, int loop_count);
/* Called when a privileged session is gone, with its owners (fetch_session_owners). */
void fetch_session_cache_on_end(struct fetch_session_cache *cache,
                                void (*ended)(void *ctx, int32_t session_id, uint64_t owners),
                                void *ctx);
void fetch_session_cache_free(struct fetch_session_cache *cache);
int fetch_session_cache_count(const struct fetch_session_cache *cache);
int64_t fetch_session_cache_partitions(const struct fetch_session_cache *cache);

/* One Fetch request as the session sees it. */
struct fetch_session_request {
    int32_t session_id, epoch;
    bool uses_topic_ids, privileged;
    const struct fetch_partition *partitions;
    int32_t partition_count;
    const struct fetch_partition *forgotten; /* topic, topic_id and partition only */
    int32_t forgotten_count;
    int64_t now_ms;
    uint32_t random; /* for a new id */
    void *op;        /* who asks; known to the session until fetch_session_ended */
    /* Whose it is: nobody else goes on with it. Not 0: has one privileged session at a time, a new
     * one ends the one before. */
    uint64_t peer;
    /* The peer's registration, -1: none. What it said in one it has to say again in the next, as a
     * partition that is not named may stand for a replica that the controller has put out. */
    int64_t peer_epoch;
};

/* What to fetch and how to answer. */
struct fetch_session_plan {
    struct fetch_session *session; /* NULL: sessionless, or nothing is remembered */
    bool incremental;              /* answer only what changed */
    int32_t answer_session_id;
    void *earlier; /* the op of the session's last request, if that has not ended; else NULL */
    /* Partitions in fetch order: the session's own (changed only by fetch_session calls on this
     * loop before the next call of fetch_session_begin for it) or the request's. */
    int32_t count;
};

/*
 * Applies a request to the cache. KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND,
 * _INVALID_FETCH_SESSION_EPOCH or _FETCH_SESSION_TOPIC_ID_ERROR answer the whole request; then
 * nothing was changed.
 */
enum kafka_error fetch_session_begin(struct fetch_session_cache *cache,
                                     const struct fetch_session_request *request,
                                     struct fetch_session_plan *ret_plan);

/* The op of a privileged session's last request; NULL: none, or no such session. */
void *fetch_session_op(const struct fetch_session_cache *cache, int32_t session_id);
/* The session's own set of bits, for its user: loops that have something of it. */
uint64_t *fetch_session_owners(struct fetch_session *session);
/* The op is about to go. */
void fetch_session_ended(struct fetch_session_cache *cache, int32_t session_id, const void *op);

/* Copies the session's partitions, in order, into out[plan->count]. */
void fetch_session_partitions(const struct fetch_session *session, struct fetch_partition *out);

/* One partition's outcome on its way into the answer. */
struct fetch_session_outcome {
    struct str topic;
    struct uuid topic_id;
    int32_t partition;
    bool has_error, has_records, must_send; /* must_send: diverging epoch, preferred read replica */
    int64_t high_watermark, log_start_offset;
};

/*
 * True when an incremental answer must hold this partition. With `commit` the session takes note of
 * what was sent and moves a partition that had records to the end (fairness); without, it only
 * looks. The session may be gone meanwhile (evicted): id not found is fine and answers true.
 */
bool fetch_session_includes(struct fetch_session_cache *cache, int32_t session_id,
                            const struct fetch_session_outcome *outcome, bool commit);

#endif
