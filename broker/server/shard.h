/*
 * What one loop has of the node: the partitions it owns, its view of the metadata, its fetch
 * sessions and the requests of its connections. Touched on its loop only.
 *
 * A partition belongs to the loop that its topic id and index hash to, for ever; every loop can
 * compute that. Metadata arrives as deltas, in order; a loop first applies one to the partitions it
 * owns and then to its view, so that a view never shows a partition that its owner does not know.
 */
#ifndef KRAFTD_BROKER_SERVER_SHARD_H
#define KRAFTD_BROKER_SERVER_SHARD_H

#include "broker/replica/partition.h"
#include "broker/replica/partition_move.h"
#include "broker/replica/replica_host.h"
#include "broker/server/partition_census.h"
#include "broker/server/producer_ids.h"
#include "broker/server/shard_call.h"
#include "common/base/map.h"
#include "common/protocol/record_validate.h"
#include "metadata/image_chain.h"

struct fetch_session_cache;
struct image_delta;
struct image;
struct node;
struct replication;
struct request;
struct shard_metrics;

struct shard {
    struct node *node;
    struct loop *loop;
    int index;
    struct replica_host host;
    struct partition_moves moves;
    struct map partitions;     /* topic id and index -> struct partition */
    struct map topic_settings; /* topic id -> struct topic_settings, made when first asked for */
    struct map auto_creating;  /* names of topics that are on their way */
    struct producer_ids producer_ids;
    struct fetch_session_cache *sessions;
    struct map feeds; /* session id -> struct replica_feed */
    struct replication *replication;
    struct record_validator validator;
    struct image_reader reader;
    const struct image *image; /* what this loop sees; never NULL once started */
    bool registered;           /* the image knows this process, and not only an earlier one */
    struct list requests, free_requests;
    int request_count, free_request_count;
    struct list fetches; /* struct shard_hurry */
    bool hurry;          /* nobody waits any more */
    struct task wake_task;
    struct timer tick;
    struct shard_metrics *metrics;
    struct partition_census census; /* on loop 0 */
    uint64_t gauges_version;        /* of the image when the gauges were set */
    int64_t gauges_due_ms;
    int64_t waiting_produces, waiting_fetches;
    int64_t busy_since_us, busy_before_us; /* the loop's CPU time, at that time */
    double busy_share;                     /* about the last minute */
    int64_t retention_due_ms, checkpoint_due_ms, expiry_due_ms, lag_due_ms;
    int64_t unreadable_due_ms; /* when a log that cannot be read is named again */
    int closing_partitions;
    bool stopping;
    void (*stopped)(struct shard *);
};

/* Before the loops run. `image` is the reader's first image. */
void shard_init(struct shard *shard, struct node *node, struct loop *loop,
                const struct image *image);
/* After partitions and requests are gone. */
void shard_release(struct shard *shard);

/* A published image on its way to a shard. */
struct shard_image {
    struct task task;
    struct shard *shard;
    struct image_reader reader;
    const struct image *image;
    const struct image_delta *delta;
};
/* Metadata loop: hands it over; frees the message when the shard has it. */
void shard_send_image(struct shard *shard, const struct image *image,
                      const struct image_delta *delta);

/* A request that may wait long for data, and how to end its waiting. */
struct shard_hurry {
    struct list link; /* of shard->fetches */
    void (*hurry)(struct shard_hurry *);
};
/* Loop 0, when the node stops: whoever waits for data is answered with what there is, from now on.
 */
void shard_hurry_fetches(struct shard *shard);

/* Loop 0: a log directory is offline. */
void shard_dir_failed(struct shard *shard, size_t dir, int status);

/* Begins to close all partitions; calls stopped on the shard's loop when none is left. */
void shard_stop(struct shard *shard, bool clean, void (*stopped)(struct shard *));

/* NULL when this shard does not have it. Only for partitions this shard owns. */
struct partition *shard_partition(const struct shard *shard, struct uuid topic_id, int32_t index);
/* The shard that owns it. Any loop. */
struct shard *shard_of(const struct node *node, struct uuid topic_id, int32_t index);

#endif
