/*
 * One request over many partitions: each item is handled on the loop that owns its partition, and
 * when all are done the request goes on, on its own loop. For ListOffsets, DeleteRecords and the
 * like.
 */
#ifndef KRAFTD_BROKER_SERVER_FAN_OUT_H
#define KRAFTD_BROKER_SERVER_FAN_OUT_H

#include "broker/replica/partition.h"
#include "broker/server/request.h"

struct fan_out;
struct fan_out_group;

struct fan_out_item {
    struct str topic; /* as the request names it; for fan_out_gather */
    struct uuid topic_id;
    int32_t partition;
    bool begins_topic, repeated; /* of fan_out_gather */
    enum kafka_error error;      /* other than NONE before the start: not handled at all */
    const void *in;              /* of the request's body */
    void *out;                   /* of the response */
    struct fan_out_group *group; /* its own */
};

struct fan_out {
    struct request *request;
    struct fan_out_item *items; /* in the request's arena */
    int32_t count;
    /* On the owner's loop; p is NULL where it holds no such partition. Sets item->error and *out;
     * must not use the request's arena. */
    void (*handle)(struct fan_out *, struct fan_out_item *, struct partition *p);
    /* On the request's loop, once. */
    void (*done)(struct fan_out *);
    void *ctx;
    int32_t outstanding; /* its own */
};

/* The fan_out lives in the request's arena. done may be called from inside. */
void fan_out_start(struct fan_out *fan);

/* From inside of handle: the item is not finished until it is let go, on its owner's loop, which is
 * returned. */
struct loop *fan_out_hold(struct fan_out_item *item);
void fan_out_let_go(struct fan_out_item *item);

/* For answers that list a topic once and a partition once, however often they are named. The items
 * have topic, partition and `in`, in the order of the request. Then there is one for each
 * partition, those of a topic stand together, and `in` is the last mention; repeated says that
 * there were several. Returns how many topics there are. */
int32_t fan_out_gather(struct fan_out *fan);

/* Names the partition of an item: sets topic_id and partition, or the error for what is unknown. */
void fan_out_resolve(struct request *request, struct str topic, int32_t partition,
                     struct fan_out_item *item);

#endif
