/*
 * The record batch, version 2 ("magic 2"): the unit in which records are produced, stored,
 * replicated and fetched. All integers are big-endian.
 *
 *   offset size
 *        0    8  baseOffset            offset of the first record as it was produced
 *        8    4  batchLength           bytes after this field: the size of the batch - 12
 *       12    4  partitionLeaderEpoch  epoch of the leader that appended it
 *       16    1  magic                 2
 *       17    4  crc                   CRC32C of everything from `attributes` to the end
 *       21    2  attributes            bits 0-2 codec, 3 timestamp type, 4 transactional,
 *                                      5 control batch, 6 delete horizon
 *       23    4  lastOffsetDelta       kept by compaction even if the last record is removed
 *       27    8  baseTimestamp         record timestamps are relative to it; with bit 6 it holds
 *                                      the delete horizon (and they are relative to that)
 *       35    8  maxTimestamp          with bit 3 (LogAppendTime): the timestamp of every record
 *       43    8  producerId            -1: neither idempotent nor transactional
 *       51    2  producerEpoch
 *       53    4  baseSequence
 *       57    4  recordsCount
 *       61       records, compressed as one stream where bits 0-2 say so (record_iter.h)
 *
 * The broker assigns baseOffset and partitionLeaderEpoch; both stand before the checksum and are
 * not covered by it. An empty batch (61 bytes, count 0) is what compaction leaves behind to keep a
 * producer's last sequence. Magic 0 and 1 (message sets of Kafka before 0.11) are recognised, to be
 * refused by name.
 *
 * Bytes belong to the caller; nothing here allocates. Any thread. Errors: -EAGAIN the bytes end
 * before the batch does, -EBADMSG not a batch, -ENOTSUP magic 0 or 1, -EMSGSIZE larger than asked.
 */
#ifndef KRAFTD_PROTOCOL_RECORD_BATCH_H
#define KRAFTD_PROTOCOL_RECORD_BATCH_H

#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_BATCH_MAGIC 2
/* What batchLength does not count: baseOffset and itself. */
#define RECORD_BATCH_LOG_OVERHEAD 12
#define RECORD_BATCH_HEADER_SIZE  61
/* Enough bytes to tell the size and the magic of a batch. */
#define RECORD_BATCH_PEEK_SIZE 17

#define RECORD_NO_TIMESTAMP      (-1)
#define RECORD_NO_PRODUCER_ID    (-1)
#define RECORD_NO_PRODUCER_EPOCH (-1)
#define RECORD_NO_SEQUENCE       (-1)
#define RECORD_NO_LEADER_EPOCH   (-1)

enum record_batch_attributes {
    RECORD_BATCH_CODEC_MASK = 0x07,
    RECORD_BATCH_LOG_APPEND_TIME = 0x08,
    RECORD_BATCH_TRANSACTIONAL = 0x10,
    RECORD_BATCH_CONTROL = 0x20,
    RECORD_BATCH_DELETE_HORIZON = 0x40,
};

/* The header in the host's byte order. */
struct record_batch_header {
    int64_t base_offset;
    int32_t batch_length;
    int32_t partition_leader_epoch;
    int8_t magic;
    uint32_t crc;
    int16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp, max_timestamp;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t count;
};

/* One whole batch: its bytes and its decoded header. */
struct record_batch {
    struct bytes bytes;
    struct record_batch_header header;
};

static inline int64_t record_batch_last_offset(const struct record_batch_header *h)
{
    return (int64_t)((uint64_t)h->base_offset + (uint64_t)(int64_t)h->last_offset_delta);
}

static inline int64_t record_batch_next_offset(const struct record_batch_header *h)
{
    return (int64_t)((uint64_t)record_batch_last_offset(h) + 1);
}

static inline bool record_batch_has_producer_id(const struct record_batch_header *h)
{
    return h->producer_id > RECORD_NO_PRODUCER_ID;
}

/*
 * Size in bytes of the batch that starts at data, from its first RECORD_BATCH_PEEK_SIZE bytes; the
 * batch itself need not be there. At most max_bytes, else -EMSGSIZE.
 */
int record_batch_peek_size(const uint8_t *data, size_t len, size_t max_bytes, size_t *ret_size);
/*
 * The batch that starts at data; len may reach beyond its end. Looks at the framing only: the
 * checksum is record_batch_crc_ok's, the records are record_iter's.
 */
int record_batch_parse(const uint8_t *data, size_t len, struct record_batch *ret_batch);
/* Takes the 61 bytes at data apart, whatever they hold. */
void record_batch_header_decode(const uint8_t data[RECORD_BATCH_HEADER_SIZE],
                                struct record_batch_header *ret_header);
/* Writes all of the header; crc as given in it (record_batch_seal computes it). */
void record_batch_header_encode(const struct record_batch_header *header,
                                uint8_t data[RECORD_BATCH_HEADER_SIZE]);

/* The checksum of the batch's bytes (size: all of it). */
uint32_t record_batch_compute_crc(const uint8_t *batch, size_t size);
bool record_batch_crc_ok(const struct record_batch *batch);
/* Writes batchLength and crc over a batch of `size` bytes whose other fields are in place. */
void record_batch_seal(uint8_t *batch, size_t size);

/* Steps through batches that follow each other. */
struct record_batches {
    const uint8_t *at, *end;
};

static inline struct record_batches record_batches_of(struct bytes run)
{
    if (run.len <= 0)
        return (struct record_batches){NULL, NULL};
    return (struct record_batches){run.data, run.data + run.len};
}

/* 1 and the next batch; 0 at the end; an error, with `at` where it happened. A partial batch at the
 * end of a fetch response is not a fault: the caller takes -EAGAIN for the end there. */
int record_batches_next(struct record_batches *run, struct record_batch *ret_batch);

/* Sequence number that follows `sequence` after `increment` more records: wraps to 0 behind 2^31-1.
 */
int32_t record_sequence_add(int32_t sequence, int32_t increment);

#endif
