/*
 * Fields of a batch read and written where they lie, without decoding the whole header: for loops
 * over many batches and for the two fields that the broker assigns. `batch` points to at least
 * RECORD_BATCH_HEADER_SIZE bytes (record_batch_parse has seen them). Setters of fields behind the
 * checksum leave it wrong until record_batch_seal. Any thread.
 */
#ifndef KRAFTD_PROTOCOL_RECORD_BATCH_FIELDS_H
#define KRAFTD_PROTOCOL_RECORD_BATCH_FIELDS_H

#include "common/protocol/record_batch.h"
#include "common/protocol/endian.h"

enum record_batch_field {
    RECORD_BATCH_AT_BASE_OFFSET = 0,
    RECORD_BATCH_AT_LENGTH = 8,
    RECORD_BATCH_AT_LEADER_EPOCH = 12,
    RECORD_BATCH_AT_MAGIC = 16,
    RECORD_BATCH_AT_CRC = 17,
    RECORD_BATCH_AT_ATTRIBUTES = 21,
    RECORD_BATCH_AT_LAST_OFFSET_DELTA = 23,
    RECORD_BATCH_AT_BASE_TIMESTAMP = 27,
    RECORD_BATCH_AT_MAX_TIMESTAMP = 35,
    RECORD_BATCH_AT_PRODUCER_ID = 43,
    RECORD_BATCH_AT_PRODUCER_EPOCH = 51,
    RECORD_BATCH_AT_BASE_SEQUENCE = 53,
    RECORD_BATCH_AT_COUNT = 57,
};

#define RECORD_BATCH_FIELD(type, name, load, store, at)                                            \
    static inline type record_batch_get_##name(const uint8_t *batch)                               \
    {                                                                                              \
        return load(batch + (at));                                                                 \
    }                                                                                              \
    static inline void record_batch_set_##name(uint8_t *batch, type value)                         \
    {                                                                                              \
        store(batch + (at), value);                                                                \
    }
#define RECORD_BATCH_I16(name, at) RECORD_BATCH_FIELD(int16_t, name, get_i16, put_i16, at)
#define RECORD_BATCH_I32(name, at) RECORD_BATCH_FIELD(int32_t, name, get_i32, put_i32, at)
#define RECORD_BATCH_I64(name, at) RECORD_BATCH_FIELD(int64_t, name, get_i64, put_i64, at)

/* record_batch_get_base_offset(batch), record_batch_set_base_offset(batch, offset), and so on. */
RECORD_BATCH_I64(base_offset, RECORD_BATCH_AT_BASE_OFFSET)
RECORD_BATCH_I32(length, RECORD_BATCH_AT_LENGTH)
RECORD_BATCH_I32(leader_epoch, RECORD_BATCH_AT_LEADER_EPOCH)
RECORD_BATCH_FIELD(uint32_t, crc, get_u32, put_u32, RECORD_BATCH_AT_CRC)
RECORD_BATCH_I16(attributes, RECORD_BATCH_AT_ATTRIBUTES)
RECORD_BATCH_I32(last_offset_delta, RECORD_BATCH_AT_LAST_OFFSET_DELTA)
RECORD_BATCH_I64(base_timestamp, RECORD_BATCH_AT_BASE_TIMESTAMP)
RECORD_BATCH_I64(max_timestamp, RECORD_BATCH_AT_MAX_TIMESTAMP)
RECORD_BATCH_I64(producer_id, RECORD_BATCH_AT_PRODUCER_ID)
RECORD_BATCH_I16(producer_epoch, RECORD_BATCH_AT_PRODUCER_EPOCH)
RECORD_BATCH_I32(base_sequence, RECORD_BATCH_AT_BASE_SEQUENCE)
RECORD_BATCH_I32(count, RECORD_BATCH_AT_COUNT)

static inline int8_t record_batch_get_magic(const uint8_t *batch)
{
    return (int8_t)batch[RECORD_BATCH_AT_MAGIC];
}

static inline size_t record_batch_get_size(const uint8_t *batch)
{
    return (size_t)record_batch_get_length(batch) + RECORD_BATCH_LOG_OVERHEAD;
}

static inline int64_t record_batch_get_last_offset(const uint8_t *batch)
{
    return (int64_t)((uint64_t)record_batch_get_base_offset(batch) +
                     (uint64_t)(int64_t)record_batch_get_last_offset_delta(batch));
}

/* What a leader does to a validated batch on appending it: the checksum stays right. */
static inline void record_batch_set_offsets(uint8_t *batch, int64_t base_offset,
                                            int32_t leader_epoch)
{
    record_batch_set_base_offset(batch, base_offset);
    record_batch_set_leader_epoch(batch, leader_epoch);
}

#endif
