/*
 * Builds one record batch (record_batch.h, record_iter.h): producers, the metadata log, control
 * batches, recompression and the cleaner. Give the options, append records in the order of their
 * offsets, close.
 *
 * A builder is embedded in its user, may be started again after close (it keeps its memory), and is
 * not thread-safe. Slices given to it are copied. Errors: -EMSGSIZE when a record no longer fits
 * into a batch of max_bytes; the batch is then as before and can be closed.
 */
#ifndef KRAFTD_PROTOCOL_RECORD_BATCH_BUILDER_H
#define KRAFTD_PROTOCOL_RECORD_BATCH_BUILDER_H

#include "common/base/buf.h"
#include "common/protocol/compression.h"
#include "common/protocol/control_record.h"
#include "common/protocol/record_batch.h"
#include "common/protocol/record_iter.h"

struct record_batch_options {
    int64_t base_offset;
    int32_t leader_epoch;
    enum compression_codec codec;
    int level;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    bool transactional;
    bool control;
    /* Every record gets this timestamp; RECORD_NO_TIMESTAMP: its own (CreateTime). */
    int64_t log_append_time_ms;
    /* When the cleaner may drop the batch's tombstones; RECORD_NO_TIMESTAMP: not set. */
    int64_t delete_horizon_ms;
    /* Largest uncompressed size; 0: what the format can hold. */
    size_t max_bytes;
};

/* An uncompressed batch at offset 0, of no producer id and no leader epoch. */
#define RECORD_BATCH_OPTIONS_INIT                                                                  \
    {                                                                                              \
        .leader_epoch = RECORD_NO_LEADER_EPOCH, .producer_id = RECORD_NO_PRODUCER_ID,              \
        .producer_epoch = RECORD_NO_PRODUCER_EPOCH, .base_sequence = RECORD_NO_SEQUENCE,           \
        .log_append_time_ms = RECORD_NO_TIMESTAMP, .delete_horizon_ms = RECORD_NO_TIMESTAMP,       \
    }

struct record_batch_builder {
    struct record_batch_options options;
    struct bytebuf batch; /* room for the header, then the records, uncompressed */
    int32_t count;
    int64_t next_offset, last_offset;
    int64_t base_timestamp, max_timestamp;
};

void record_batch_builder_init(struct record_batch_builder *b);
void record_batch_builder_release(struct record_batch_builder *b);
/* Begins a batch, forgetting one that was not closed. The codec's level must be ok. */
void record_batch_builder_start(struct record_batch_builder *b,
                                const struct record_batch_options *options);

/* A record at the next offset. */
int record_batch_builder_append(struct record_batch_builder *b, int64_t timestamp, struct bytes key,
                                struct bytes value, const struct record_header *headers,
                                size_t header_count);
/* A copy of a record that was read, at the given offset, which must not be below the next one. */
int record_batch_builder_copy(struct record_batch_builder *b, int64_t offset,
                              const struct record *record);
/* A control record (control_record.h), in a batch whose options say control. */
int record_batch_builder_append_control(struct record_batch_builder *b, int64_t timestamp,
                                        enum control_record_type type, struct bytes value);
/* Lets the batch end at a later offset than its last record's, as compaction needs it. A batch
 * without records can only be closed after this. */
void record_batch_builder_set_last_offset(struct record_batch_builder *b, int64_t offset);
/* Lets the batch's maxTimestamp be later than its records'. */
void record_batch_builder_raise_max_timestamp(struct record_batch_builder *b, int64_t timestamp);

static inline int32_t record_batch_builder_count(const struct record_batch_builder *b)
{
    return b->count;
}

/* Bytes of the batch so far, uncompressed, with its header. */
static inline size_t record_batch_builder_size(const struct record_batch_builder *b)
{
    return b->batch.len;
}

/* Bytes that a record would add, at most. */
size_t record_batch_builder_record_size(struct bytes key, struct bytes value,
                                        const struct record_header *headers, size_t header_count);

/* Compresses, computes the checksum and appends the finished batch to out. */
void record_batch_builder_close(struct record_batch_builder *b, struct bytebuf *out);

#endif
