/*
 * The producer's own memory, shared by produce_client.c (records in), produce_batch.c (batches and
 * their order) and produce_sender.c (requests out, answers in).
 *
 * A batch is open (in its partition's builder), then waits in the partition's queue, then is on its
 * way, and ends with an outcome or back in the queue. `number` keeps the order of a queue. With
 * idempotence a batch gets its sequence when it is sent first and keeps it, so that a broker that
 * has it already says so. Once a batch is given up the sequence has a hole that the broker would
 * refuse to see beyond: the partition waits until nothing of it is on its way (`draining`), then
 * goes on in the next epoch of the producer, where sequences start at 0.
 */
#ifndef KRAFTD_TOOLS_PRODUCE_INTERNAL_H
#define KRAFTD_TOOLS_PRODUCE_INTERNAL_H

#include "common/protocol/messages/produce.h"
#include "common/protocol/record_batch_builder.h"
#include "tools/links.h"
#include "tools/produce_client.h"

struct produce_batch {
    struct produce_batch *next; /* in the queue */
    struct produce_partition *partition;
    uint64_t number;
    struct bytebuf data; /* as it is sent */
    uint64_t *tags;      /* of its records */
    int32_t count;
    int32_t sequence; /* RECORD_NO_SEQUENCE: never sent */
    int attempts;
    int64_t created_ms, retry_at_ms;
    size_t memory_bytes;
    struct failure failure; /* why it was sent back */
};

struct produce_partition {
    struct produce_topic *topic;
    int32_t index, leader; /* leader -1: none known */
    bool active;           /* has something to send or on its way */
    bool draining, renumber;
    int64_t producer_id; /* RECORD_NO_PRODUCER_ID: to be asked for */
    int16_t epoch;
    int32_t next_sequence;
    int32_t in_flight;           /* batches */
    struct produce_batch *queue; /* by number */
    bool open;                   /* the builder holds a batch */
    struct record_batch_builder builder;
    uint64_t *tags;
    size_t tags_capacity;
    int64_t opened_ms;
};

struct produce_topic {
    struct str name; /* owned */
    struct uuid id;
    struct produce_partition **partitions;
    int32_t count;  /* 0: not known */
    int32_t sticky; /* where records without a key go; -1: to be picked */
    int64_t sticky_bytes;
    double ratio; /* of compressed to plain bytes, as the last batches had it */
};

/* What one request holds. */
struct produce_flight {
    int64_t sent_ms;
    size_t count;
    struct produce_batch *batches[];
};

struct produce_client {
    struct client *client;
    const struct client_config *client_config;
    const struct produce_config *config;
    produce_done_fn done;
    void *owner;
    int cancel_fd;
    struct links links;
    struct produce_topic **topics;
    size_t topics_count, topics_capacity;
    struct produce_partition **active;
    size_t active_count, active_capacity;
    struct produce_partition **eligible; /* room for produce_sender.c, as large as active */
    size_t eligible_capacity;
    uint64_t next_number;
    int64_t producer_id; /* for partitions that have none; RECORD_NO_PRODUCER_ID: ask */
    int16_t producer_epoch;
    int64_t producer_id_retry_at_ms;
    int64_t used_bytes;
    bool flushing;
    bool stale; /* leaders have to be looked up again */
    int64_t metadata_at_ms, metadata_retry_at_ms;
    struct produce_counts counts;
};

/* Asks for all topics that are in use once. False: nobody answered. */
bool produce_refresh(struct produce_client *p, struct failure *failure);
bool produce_cancelled(const struct produce_client *p);

/* Adds to the open batch. False: it is full and was closed. */
bool produce_batch_append(struct produce_client *p, struct produce_partition *partition,
                          const struct produce_record *record);
/* Closes the open batch, if there is one, into the queue. */
void produce_batch_close(struct produce_client *p, struct produce_partition *partition);
void produce_batch_enqueue(struct produce_batch *batch);
void produce_batch_free(struct produce_batch *batch);
/* Gives it its producer id and sequence, unless it has them. */
void produce_batch_stamp(struct produce_client *p, struct produce_batch *batch);
/* Two batches of half the records each into the queue, in place of one that is too large. False:
 * it cannot be split. */
bool produce_batch_split(struct produce_client *p, struct produce_batch *batch);
/* Nothing is on its way: starts over with the sequences where that is due. */
void produce_batch_drained(struct produce_client *p, struct produce_partition *partition);

/* Closes, sends, gives up and looks up what is due now. */
void produce_drive(struct produce_client *p, int64_t now_ms);
/* Takes in what has arrived. */
void produce_receive(struct produce_client *p);
/* When, after the time of the last produce_drive, something will be due without anything arriving;
 * INT64_MAX: never. */
int64_t produce_due_at(const struct produce_client *p, int64_t now_ms);

#endif
