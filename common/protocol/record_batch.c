#include "common/protocol/record_batch.h"

#include "common/base/check.h"
#include "common/protocol/crc32c.h"
#include "common/protocol/record_batch_fields.h"

#include <errno.h>

/* The smallest batchLength of magic 0, whose message header has 14 bytes. */
#define LENGTH_MIN_V0 14

int record_batch_peek_size(const uint8_t *data, size_t len, size_t max_bytes, size_t *ret_size)
{
    if (len < RECORD_BATCH_PEEK_SIZE)
        return -EAGAIN;
    int32_t length = record_batch_get_length(data);
    int8_t magic = record_batch_get_magic(data);
    if (length < LENGTH_MIN_V0 || magic < 0 || magic > RECORD_BATCH_MAGIC)
        return -EBADMSG;
    if (magic < RECORD_BATCH_MAGIC)
        return -ENOTSUP;
    if (length < RECORD_BATCH_HEADER_SIZE - RECORD_BATCH_LOG_OVERHEAD ||
        length > INT32_MAX - RECORD_BATCH_LOG_OVERHEAD)
        return -EBADMSG;
    size_t size = (size_t)length + RECORD_BATCH_LOG_OVERHEAD;
    if (size > max_bytes)
        return -EMSGSIZE;
    *ret_size = size;
    return 0;
}

int record_batch_parse(const uint8_t *data, size_t len, struct record_batch *ret_batch)
{
    size_t size;
    int rv = record_batch_peek_size(data, len, SIZE_MAX, &size);
    if (rv < 0)
        return rv;
    if (size > len)
        return -EAGAIN;
    ret_batch->bytes = (struct bytes){data, (int32_t)size};
    record_batch_header_decode(data, &ret_batch->header);
    return 0;
}

void record_batch_header_decode(const uint8_t data[RECORD_BATCH_HEADER_SIZE],
                                struct record_batch_header *ret_header)
{
    *ret_header = (struct record_batch_header){
        .base_offset = record_batch_get_base_offset(data),
        .batch_length = record_batch_get_length(data),
        .partition_leader_epoch = record_batch_get_leader_epoch(data),
        .magic = record_batch_get_magic(data),
        .crc = record_batch_get_crc(data),
        .attributes = record_batch_get_attributes(data),
        .last_offset_delta = record_batch_get_last_offset_delta(data),
        .base_timestamp = record_batch_get_base_timestamp(data),
        .max_timestamp = record_batch_get_max_timestamp(data),
        .producer_id = record_batch_get_producer_id(data),
        .producer_epoch = record_batch_get_producer_epoch(data),
        .base_sequence = record_batch_get_base_sequence(data),
        .count = record_batch_get_count(data),
    };
}

void record_batch_header_encode(const struct record_batch_header *header,
                                uint8_t data[RECORD_BATCH_HEADER_SIZE])
{
    record_batch_set_base_offset(data, header->base_offset);
    record_batch_set_length(data, header->batch_length);
    record_batch_set_leader_epoch(data, header->partition_leader_epoch);
    data[RECORD_BATCH_AT_MAGIC] = (uint8_t)header->magic;
    record_batch_set_crc(data, header->crc);
    record_batch_set_attributes(data, header->attributes);
    record_batch_set_last_offset_delta(data, header->last_offset_delta);
    record_batch_set_base_timestamp(data, header->base_timestamp);
    record_batch_set_max_timestamp(data, header->max_timestamp);
    record_batch_set_producer_id(data, header->producer_id);
    record_batch_set_producer_epoch(data, header->producer_epoch);
    record_batch_set_base_sequence(data, header->base_sequence);
    record_batch_set_count(data, header->count);
}

uint32_t record_batch_compute_crc(const uint8_t *batch, size_t size)
{
    CHECK(size >= RECORD_BATCH_HEADER_SIZE);
    return crc32c(batch + RECORD_BATCH_AT_ATTRIBUTES, size - RECORD_BATCH_AT_ATTRIBUTES);
}

bool record_batch_crc_ok(const struct record_batch *batch)
{
    return record_batch_compute_crc(batch->bytes.data, (size_t)batch->bytes.len) ==
           batch->header.crc;
}

void record_batch_seal(uint8_t *batch, size_t size)
{
    CHECK(size >= RECORD_BATCH_HEADER_SIZE && size <= INT32_MAX);
    record_batch_set_length(batch, (int32_t)(size - RECORD_BATCH_LOG_OVERHEAD));
    record_batch_set_crc(batch, record_batch_compute_crc(batch, size));
}

int record_batches_next(struct record_batches *run, struct record_batch *ret_batch)
{
    if (run->at == run->end)
        return 0;
    int rv = record_batch_parse(run->at, (size_t)(run->end - run->at), ret_batch);
    if (rv < 0)
        return rv;
    run->at += ret_batch->bytes.len;
    return 1;
}

int32_t record_sequence_add(int32_t sequence, int32_t increment)
{
    int64_t sum = (int64_t)sequence + increment;
    return (int32_t)(sum > INT32_MAX ? sum - INT32_MAX - 1 : sum);
}
