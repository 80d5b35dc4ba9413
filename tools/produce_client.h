/*
 * A producer for tools: batches records per partition, sends batches to the leaders, several at
 * once, tries again what may pass, and tells what became of each record. Idempotent unless it is
 * told otherwise: then nothing is written twice or out of order. Settings, their names and their
 * defaults are those of Kafka's producer.
 *
 * One thread, and no work but inside of its calls: who waits for something else (standard input)
 * waits in produce_client_wait, so that batches go out when their time has come.
 */
#ifndef KRAFTD_TOOLS_PRODUCE_CLIENT_H
#define KRAFTD_TOOLS_PRODUCE_CLIENT_H

#include "common/protocol/compression.h"
#include "common/protocol/record_iter.h"
#include "tools/client.h"
#include "tools/produce_counts.h"

struct produce_config {
    int16_t acks; /* -1: all */
    enum compression_codec codec;
    int level;
    bool idempotent;
    int32_t batch_bytes, max_request_bytes;
    int32_t in_flight; /* requests per connection */
    int32_t retries;
    int64_t memory_bytes;
    int64_t linger_ms, max_block_ms, metadata_max_age_ms;
    int32_t delivery_timeout_ms;
};

/* From the properties that the client's config holds. */
bool produce_config_read(const struct client_config *from, struct produce_config *ret_config,
                         struct failure *failure);

struct produce_record {
    struct str topic;
    int32_t partition; /* -1: by the key; without one, any */
    int64_t timestamp_ms;
    struct bytes key, value;
    const struct record_header *headers;
    size_t header_count;
    uint64_t tag; /* the caller's, comes back with the outcome */
};

struct produce_outcome {
    struct str topic;
    int32_t partition;
    int64_t offset; /* -1: not known */
    uint64_t tag;
    const struct failure *failure; /* NULL: the record is in the log */
};

typedef void (*produce_done_fn)(void *owner, const struct produce_outcome *outcome);

struct produce_client;

/* Connects to nobody yet. Client and config outlive it. `done` is called for every record that
 * produce_client_send took, in the calls below, and may not call back. */
struct produce_client *produce_client_new(struct client *client,
                                          const struct client_config *client_config,
                                          const struct produce_config *config, produce_done_fn done,
                                          void *owner);
/* Drops what has not been sent; NULL is fine. */
void produce_client_free(struct produce_client *p);
/* A descriptor that ends waiting in produce_client_send when it becomes readable; -1: none. */
void produce_client_set_cancel(struct produce_client *p, int fd);

/*
 * Takes a copy of the record. Waits where the topic is not known yet or memory is used up, at most
 * max_block_ms. False: it was not taken, and `done` is not called for it.
 */
bool produce_client_send(struct produce_client *p, const struct produce_record *record,
                         struct failure *failure);
/* Sends what is due and takes answers in, until fd (-1: none) is readable or the time is up. True:
 * it is readable. */
bool produce_client_wait(struct produce_client *p, int fd, int64_t timeout_ms);
/* Returns when every record has its outcome. */
void produce_client_flush(struct produce_client *p);

/* What it has done so far; as of now, until the next call. */
const struct produce_counts *produce_client_counts(struct produce_client *p);

/* The partition that Kafka's producer picks for a key. */
int32_t produce_partition_of_key(struct bytes key, int32_t partition_count);

#endif
