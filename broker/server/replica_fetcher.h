/*
 * A fetcher: one connection of one loop to one broker, over which partitions that this loop owns
 * are replicated with an incremental fetch session (KIP-227). A request names only what changed
 * since the one before; what waits for its disk or for a pause to end is taken out of the session
 * meanwhile.
 *
 *   IDLE -> CONNECTING -> CONNECTED (fetching as long as there is something to fetch)
 *     ^--- PAUSED <-- any failure
 *
 * One fetch is under way, waiting at the leader for records. What becomes ready meanwhile does not
 * wait for its end: a second one goes out behind it, which makes the leader answer the first.
 */
#ifndef KRAFTD_BROKER_SERVER_REPLICA_FETCHER_H
#define KRAFTD_BROKER_SERVER_REPLICA_FETCHER_H

#include "broker/replica/partition_follow.h"
#include "broker/server/shard.h"
#include "common/base/list.h"
#include "common/net/client.h"

#define FETCHER_IN_FLIGHT_MAX 2

/* What all brokers of this protocol's days speak: topic ids and the replica's epoch (KIP-903). */
#define REPLICA_FETCH_VERSION        17
#define REPLICA_LIST_OFFSETS_VERSION 8

struct replica_fetcher;
struct replication;

/* A partition as its fetcher knows it. */
struct followed {
    struct partition *partition;
    struct replica_fetcher *fetcher; /* NULL: not placed yet */
    struct list member;              /* of fetcher->members */
    struct list changed; /* of fetcher->changed: to be looked at before the next fetch */
    struct list pending; /* of replication->pending: to be placed */
    bool in_session;     /* the leader knows it, at `sent` */
    struct follow_at sent;
    uint64_t named_in;      /* the fetch that told the leader so */
    bool again;             /* to be named again, wherever it is: the leader said an error */
    bool said_out_of_range; /* since it last took something */
    bool out_of_range;      /* the leader is asked what its log spans */
    int64_t leader_end;
    struct timer pause; /* running: leave it alone */
    unsigned errors;    /* in a row */
    int32_t taken_in;   /* the leader's epoch that records were taken in last; -1 */
    int64_t lag;        /* behind the leader's high watermark at the last answer */
};

/* A partition that left while it was in the session. */
struct forgotten {
    struct uuid topic_id;
    int32_t index;
};

enum fetcher_state { FETCHER_IDLE, FETCHER_CONNECTING, FETCHER_CONNECTED, FETCHER_PAUSED };

struct fetcher_request {
    struct client_request request;
    struct replica_fetcher *fetcher;
    bool used;
    uint32_t generation;
    uint64_t number; /* of a fetch: 1, 2, ... */
};

struct replica_fetcher {
    struct replication *replication;
    struct shard *shard;
    int32_t source; /* the broker */
    int index;      /* among the fetchers of that broker */
    enum fetcher_state state;
    struct client *client;
    struct list members, changed;
    int member_count, session_count, out_of_range_count; /* of them in that state */
    struct forgotten *forgotten;
    size_t forgotten_count, forgotten_capacity;
    int32_t session_id, session_epoch; /* of the next request; epoch 0: a full one */
    uint32_t generation;               /* of the session */
    struct fetcher_request fetches[FETCHER_IN_FLIGHT_MAX];
    uint64_t last_number; /* of the fetches that were made */
    int fetching;
    struct fetcher_request listing; /* ListOffsets */
    bool listing_start;             /* its second half */
    struct timer timer;
    unsigned attempts; /* that led nowhere, in a row */
    bool answering;    /* an answer is being taken in */
    bool closed;
    int closing; /* connections on their way out */
};

struct replica_fetcher *replica_fetcher_new(struct replication *replication, struct shard *shard,
                                            int32_t source, int index);
/* It has no members; frees itself and tells replication_fetcher_closed. */
void replica_fetcher_close(struct replica_fetcher *fetcher);
void replica_fetcher_add(struct replica_fetcher *fetcher, struct followed *followed);
void replica_fetcher_remove(struct replica_fetcher *fetcher, struct followed *followed);
/* Something of it changed. */
void replica_fetcher_touch(struct replica_fetcher *fetcher, struct followed *followed);
/* Goes on with what is there to do. */
void replica_fetcher_kick(struct replica_fetcher *fetcher);
/* The broker may be reachable now, or elsewhere. */
void replica_fetcher_retry(struct replica_fetcher *fetcher);

/* replica_fetcher_request.c: the next Fetch, or NULL when there is nothing to say; with
 * `only_news` also when it would only wait. Marks what it names. */
struct fetch_request *replica_fetcher_build(struct replica_fetcher *fetcher, bool only_news,
                                            struct arena *arena);
/* Forgets what the leader was told. */
void replica_fetcher_reset_session(struct replica_fetcher *fetcher);
/* replica_fetcher_answer.c */
void replica_fetcher_answered(struct replica_fetcher *fetcher, struct fetcher_request *request,
                              struct buf *frame);
/* The ListOffsets request for all that are out of range, or NULL when there are none. */
struct list_offsets_request *replica_fetcher_build_listing(struct replica_fetcher *fetcher,
                                                           int64_t timestamp, struct arena *arena);
void replica_fetcher_listed(struct replica_fetcher *fetcher, struct buf *frame);
/* The leader is to be asked what its log spans; or was. */
void replica_fetcher_set_out_of_range(struct followed *followed, bool out_of_range);
/* Leave it alone for a while. */
void replica_fetcher_pause(struct followed *followed);

/* replication.c: it is about to be freed. */
void replication_fetcher_closed(struct replication *replication);

#endif
