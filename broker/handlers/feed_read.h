/*
 * Reading for followers' fetch sessions: the part that runs on the loops that own the partitions
 * (replica_feed.h keeps what they have of a session).
 */
#ifndef KRAFTD_BROKER_HANDLERS_FEED_READ_H
#define KRAFTD_BROKER_HANDLERS_FEED_READ_H

#include "broker/handlers/fetch_read.h"

struct replica_op;

/* What one loop does for a request. Between a send and its answer it belongs to that loop. */
struct feed_part {
    struct shard_call call;
    struct shard *shard;   /* the owner */
    struct replica_op *op; /* the asker's */
    const struct fetch_params *params;
    int32_t session_id, request; /* request: its epoch in the session */
    int asker;                   /* its loop */
    int32_t max_bytes;           /* of this part */
    int32_t min_bytes;           /* of the request */
    struct fetch_partition **named, **forgotten;
    int32_t named_count, forgotten_count; /* 0 from the second read on */

    bool continues;              /* not the request's first read */
    bool collected;              /* by a run that had to wait for the disk */
    struct fetch_entry *entries; /* malloc'd: what the answer will hold */
    size_t count, capacity;
    size_t read_count; /* of them, the first ones, are read */
    size_t warm_count; /* likewise: need not wait for the disk */
    int64_t bytes;
    bool urgent;    /* there is an error in it: no reason to wait for more */
    bool take_news; /* the asker's: also what is no more than a new high watermark */
    bool has_news;  /* such was left for later */
};

/* Takes in what the request names, then reads that and what has stirred since the last read, until
 * max_bytes; where nothing came of it, the feed wakes the session's op. A shard_call's run. */
void feed_part_read(struct shard_call *call);
/* Drops what it holds. Any loop. */
void feed_part_release(struct feed_part *part);

/* On the session's loop, some time after a feed woke it: something may be there for it. */
void replica_op_wake(struct shard *shard, int32_t session_id);

#endif
