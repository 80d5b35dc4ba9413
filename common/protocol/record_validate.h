/*
 * What a leader does to the records of one partition in a Produce request before it appends them:
 * checks them, gives them LogAppendTime where the topic asks for it, and compresses them anew where
 * the topic has a codec of its own. Offsets and leader epoch come later, by the partition
 * (record_batch_set_offsets), outside of the checksum.
 *
 * In this order, with the answers of Apache Kafka 4.4:
 *
 *   no whole batch, no bytes, null            INVALID_RECORD (Kafka never answers to null)
 *   batch length below 14, magic not 0 to 2   CORRUPT_MESSAGE, with a message for the first batch
 *   magic 0 or 1, a second batch              INVALID_RECORD (a cut second batch is dropped)
 *   zstd before Produce version 7             UNSUPPORTED_COMPRESSION_TYPE
 *   base offset not 0                         INVALID_RECORD
 *   larger than max.message.bytes             MESSAGE_TOO_LARGE
 *   wrong checksum                            CORRUPT_MESSAGE
 *   count below 1 or not lastOffsetDelta + 1,
 *   control batch, producer id without a
 *   sequence, records that do not parse or
 *   are not as many as the count              INVALID_RECORD
 *   no key in a compacted topic               INVALID_RECORD, with the list of records
 *   timestamp out of bounds, or the batch
 *   already says LogAppendTime                INVALID_TIMESTAMP, with the list of records
 *   larger after compression                  MESSAGE_TOO_LARGE
 *
 * Left as they are, as in Kafka: offset deltas of an uncompressed batch, unused attribute bits, and
 * a delete horizon. maxTimestamp is corrected. Where Kafka fails with UNKNOWN_SERVER_ERROR, we say
 * what is wrong: codec 5 to 7 UNSUPPORTED_COMPRESSION_TYPE; a stream that does not decompress, or
 * offset deltas of a compressed batch that do not count up from 0, INVALID_RECORD; more than
 * max_uncompressed_bytes in it (Kafka has no limit) MESSAGE_TOO_LARGE.
 *
 * Pure; a validator belongs to one thread. One pass over the records and no allocation, unless the
 * batch is compressed or refused.
 */
#ifndef KRAFTD_PROTOCOL_RECORD_VALIDATE_H
#define KRAFTD_PROTOCOL_RECORD_VALIDATE_H

#include "common/base/arena.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/record_batch_builder.h"
#include "common/protocol/record_iter.h"

/* compression.type=producer: as it came. */
#define RECORD_CODEC_PRODUCER (-1)
/* Records that an answer lists; the client fails the others of the batch without a text. */
#define RECORD_ERRORS_MAX 1000
/* Uncompressed records in one batch, unless the configuration says otherwise. */
#define RECORD_UNCOMPRESSED_MAX_BYTES ((size_t)256 << 20)

/* The topic's part in it; plain values of the topic's configuration. */
struct record_validate_config {
    struct str topic;
    int32_t partition;
    int32_t max_message_bytes;
    int64_t timestamp_before_max_ms, timestamp_after_max_ms;
    bool log_append_time;          /* message.timestamp.type */
    bool compacted;                /* cleanup.policy has compact */
    int codec;                     /* compression.type, or RECORD_CODEC_PRODUCER */
    int level;                     /* for a codec of the topic's own */
    size_t max_uncompressed_bytes; /* 0: RECORD_UNCOMPRESSED_MAX_BYTES */
};

struct record_error {
    int32_t batch_index;
    struct str message;
};

struct record_validation {
    enum kafka_error error;
    struct str message; /* for the client; null where Kafka gives none */
    /* What is wrong, for the log; never NULL when error is not NONE. */
    const char *reason;
    struct record_error *record_errors; /* in the arena, as the messages are */
    int32_t record_error_count;
    /* The error is one for the partition's leader to tell: who does not lead, or may not take
     * records now, says that instead. Not so where no batch can be made out. */
    bool by_leader;
    /* Kafka answers with the log's start offset when the error came from the log, -1 otherwise. */
    bool from_log;

    /* When error is NONE: the batch to append, in the request's bytes or in `rebuilt`. */
    uint8_t *batch;
    struct record_batch_header header;
    int64_t log_append_time_ms; /* RECORD_NO_TIMESTAMP: the records keep their own */
    struct bytebuf rebuilt;
};

/* Reusable memory for compressed batches; one per loop. */
struct record_validator {
    struct record_scratch scratch;
    struct record_batch_builder builder;
};

void record_validator_init(struct record_validator *v);
void record_validator_release(struct record_validator *v);
/*
 * Validates the len bytes at data (-1: null records), which it changes only when all is well. The
 * result's texts are in the arena; what it holds otherwise is released by the caller, whatever the
 * error. now_ms is the wall clock.
 */
void record_validate(struct record_validator *v, const struct record_validate_config *config,
                     int16_t produce_version, int64_t now_ms, uint8_t *data, int32_t len,
                     struct arena *arena, struct record_validation *ret_result);
void record_validation_release(struct record_validation *result);

#endif
