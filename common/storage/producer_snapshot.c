#include "common/storage/producer_snapshot.h"

#include "common/base/check.h"
#include "common/protocol/crc32c.h"
#include "common/protocol/endian.h"

#include <errno.h>
#include <stdlib.h>

enum {
    VERSION = 1,
    CRC_AT = 2,
    COUNT_AT = 6,
    HEADER_BYTES = 10,
    ENTRY_BYTES = 46,
    /* More than five million producers. */
    SNAPSHOT_MAX_BYTES = 256 << 20,
};

static void decode_entry(const uint8_t *p, struct producer *ret_producer)
{
    struct producer producer = {
        .producer_id = get_i64(p),
        .epoch = get_i16(p + 8),
        .last_timestamp = get_i64(p + 26),
        .coordinator_epoch = get_i32(p + 34),
        .txn_first_offset = get_i64(p + 38),
    };
    struct producer_batch batch = {
        .last_sequence = get_i32(p + 10),
        .last_offset = get_i64(p + 14),
        .offset_delta = get_i32(p + 22),
        .timestamp = producer.last_timestamp,
    };
    if (batch.last_offset >= 0)
        producer.batches[producer.batch_count++] = batch;
    *ret_producer = producer;
}

static void encode_entry(const struct producer *producer, uint8_t *p)
{
    struct producer_batch batch = {.last_sequence = -1, .last_offset = -1};
    if (producer->batch_count > 0)
        batch = producer->batches[producer->batch_count - 1];
    put_i64(p, producer->producer_id);
    put_i16(p + 8, producer->epoch);
    put_i32(p + 10, batch.last_sequence);
    put_i64(p + 14, batch.last_offset);
    put_i32(p + 22, batch.offset_delta);
    put_i64(p + 26, producer->last_timestamp);
    put_i32(p + 34, producer->coordinator_epoch);
    put_i64(p + 38, producer->txn_first_offset);
}

int producer_snapshot_decode(struct bytes data,
                             void (*each)(void *ctx, const struct producer *producer), void *ctx)
{
    if (data.len < HEADER_BYTES || get_i16(data.data) != VERSION ||
        get_u32(data.data + CRC_AT) != crc32c(data.data + COUNT_AT, (size_t)data.len - COUNT_AT))
        return -EBADMSG;
    int32_t count = get_i32(data.data + COUNT_AT);
    if (count < 0 || (int64_t)count * ENTRY_BYTES != data.len - HEADER_BYTES)
        return -EBADMSG;
    for (int32_t i = 0; i < count; i++) {
        struct producer producer;
        decode_entry(data.data + HEADER_BYTES + (size_t)i * ENTRY_BYTES, &producer);
        each(ctx, &producer);
    }
    return 0;
}

void producer_snapshot_encode(const struct producer_state *state, struct bytebuf *out)
{
    size_t start = out->len;
    size_t bytes = HEADER_BYTES + state->producers.count * ENTRY_BYTES;
    uint8_t *p = bytebuf_reserve(out, bytes);
    put_i16(p, VERSION);
    put_i32(p + COUNT_AT, (int32_t)state->producers.count);
    uint8_t *at = p + HEADER_BYTES;
    MAP_FOR_EACH (entry, &state->producers) {
        encode_entry(entry->value, at);
        at += ENTRY_BYTES;
    }
    put_u32(p + CRC_AT, crc32c(p + COUNT_AT, bytes - COUNT_AT));
    out->len = start + bytes;
}

struct load {
    struct producer_state *state;
    int64_t now_ms, expiration_ms;
};

static void load_entry(void *ctx, const struct producer *producer)
{
    struct load *load = ctx;
    if (!producer_is_expired(producer, load->now_ms, load->expiration_ms))
        producer_state_add(load->state, producer);
}

int producer_snapshot_load(struct producer_state *state, struct disk *disk, const char *path,
                           int64_t now_ms, int64_t expiration_ms)
{
    char *data;
    size_t len;
    int rv = disk_read_file(disk, path, SNAPSHOT_MAX_BYTES, &data, &len);
    if (rv != 0)
        return rv;
    struct load load = {state, now_ms, expiration_ms};
    rv = producer_snapshot_decode((struct bytes){(const uint8_t *)data, (int32_t)len}, load_entry,
                                  &load);
    free(data);
    return rv;
}

int producer_snapshot_save(const struct producer_state *state, struct disk *disk, const char *path)
{
    struct bytebuf out;
    bytebuf_init(&out);
    producer_snapshot_encode(state, &out);
    struct disk_file *file;
    int rv = disk_open(disk, path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &file);
    if (rv == 0) {
        rv = disk_pwrite(file, out.data, out.len, 0);
        disk_file_unref(file);
    }
    bytebuf_release(&out);
    return rv;
}
