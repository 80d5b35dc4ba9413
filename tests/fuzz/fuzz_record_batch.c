/*
 * First byte: bit 0 set: the rest is a run of batches as a log or a fetch response holds them.
 * Otherwise it is what a Produce request brings for one partition: bits 1 to 3 the topic's codec (5
 * and above: the producer's), bit 4 compacted, bit 5 LogAppendTime, bit 6 an old Produce version,
 * bit 7 that the checksum is made right first. What validation lets pass must read as it says.
 */
#include "common/base/check.h"
#include "common/protocol/record_batch_fields.h"
#include "common/protocol/record_validate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT_BYTES ((size_t)1 << 20)

static uint64_t touch(const struct record *r)
{
    uint64_t sum = (uint64_t)r->offset + (uint64_t)r->timestamp;
    if (r->key.len > 0)
        sum += hash_bytes(r->key.data, (size_t)r->key.len);
    if (r->value.len > 0)
        sum += hash_bytes(r->value.data, (size_t)r->value.len);
    struct record_headers headers = r->headers;
    struct record_header h;
    while (record_headers_next(&headers, &h)) {
        sum += str_hash(h.key);
        if (h.value.len > 0)
            sum += hash_bytes(h.value.data, (size_t)h.value.len);
    }
    return sum;
}

/* Reads all records; the count, or an error. Good ones are written again and read back. */
static int read_batch(const struct record_batch *batch, struct record_validator *v, uint64_t *sum)
{
    struct record_iter it;
    struct record r;
    int rv = record_iter_init(&it, batch, LIMIT_BYTES, &v->scratch), count = 0;
    if (rv < 0)
        return rv;
    while ((rv = record_iter_next(&it, &r)) == 1) {
        *sum += touch(&r);
        count++;
    }
    record_iter_release(&it);
    CHECK(rv == 0 || rv == -EBADMSG || rv == -EMSGSIZE);
    return rv < 0 ? rv : count;
}

static void walk(const uint8_t *data, size_t size, struct record_validator *v)
{
    struct record_batches run = record_batches_of((struct bytes){data, (int32_t)size});
    struct record_batch batch;
    uint64_t sum = 0;
    int rv;
    while ((rv = record_batches_next(&run, &batch)) == 1) {
        uint8_t header[RECORD_BATCH_HEADER_SIZE];
        record_batch_header_encode(&batch.header, header);
        CHECK(memcmp(header, batch.bytes.data, sizeof(header)) == 0);
        sum += record_batch_crc_ok(&batch);
        int count = read_batch(&batch, v, &sum);
        CHECK(count < 0 || count == batch.header.count);
    }
    CHECK(rv == 0 || rv == -EAGAIN || rv == -EBADMSG || rv == -ENOTSUP);
    CHECK(run.at <= run.end);
}

static void produce(uint8_t mode, const uint8_t *data, size_t size, struct record_validator *v)
{
    int codec = (mode >> 1) & 7;
    struct record_validate_config config = {
        .topic = STR("t"),
        .max_message_bytes = 1 << 20,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = 3600000,
        .compacted = (mode & 0x10) != 0,
        .log_append_time = (mode & 0x20) != 0,
        .codec = codec < COMPRESSION_CODECS ? codec : RECORD_CODEC_PRODUCER,
        .max_uncompressed_bytes = LIMIT_BYTES,
    };
    if (config.codec != RECORD_CODEC_PRODUCER)
        config.level = compression_level_default((enum compression_codec)codec);
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (size > 0)
        memcpy(copy, data, size);
    size_t batch_size;
    if ((mode & 0x80) != 0 && record_batch_peek_size(copy, size, size, &batch_size) == 0)
        record_batch_seal(copy, batch_size);

    struct arena arena;
    arena_init(&arena, 0);
    struct record_validation result;
    int64_t now = 1700000000000;
    record_validate(v, &config, (mode & 0x40) != 0 ? 3 : 9, now, copy, (int32_t)size, &arena,
                    &result);
    CHECK(result.record_error_count <= RECORD_ERRORS_MAX);
    if (result.error != KAFKA_ERROR_NONE) {
        CHECK(result.reason != NULL);
    } else {
        struct record_batch batch;
        uint64_t sum = 0;
        record_batch_set_offsets(result.batch, 1LL << 40, 7);
        size_t left = result.rebuilt.len > 0 ? result.rebuilt.len : size;
        CHECK(record_batch_parse(result.batch, left, &batch) == 0);
        CHECK(record_batch_crc_ok(&batch));
        CHECK(read_batch(&batch, v, &sum) == batch.header.count);
        CHECK(batch.header.count == result.header.count && batch.header.count > 0);
        CHECK(!config.log_append_time || batch.header.max_timestamp == now);
        if (config.codec != RECORD_CODEC_PRODUCER)
            CHECK((batch.header.attributes & RECORD_BATCH_CODEC_MASK) == config.codec);
    }
    record_validation_release(&result);
    arena_release(&arena);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct record_validator v;
    record_validator_init(&v);
    if (data[0] & 1)
        walk(data + 1, size - 1, &v);
    else
        produce(data[0], data + 1, size - 1, &v);
    record_validator_release(&v);
    return 0;
}
