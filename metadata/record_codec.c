#include "metadata/record_codec.h"

#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/record_batch_builder.h"
#include "common/protocol/wire.h"

#include <errno.h>

#define FRAME_VERSION 1

void *metadata_records_add(struct metadata_records *records, struct arena *arena, int16_t key,
                           int16_t version)
{
    const struct message_desc *desc = metadata_record_find(key);
    CHECK(desc != NULL && message_has_version(desc, version));
    if (records->count == records->capacity) {
        size_t capacity = records->capacity ? records->capacity * 2 : 16;
        struct metadata_record *items = ARENA_ARRAY(arena, struct metadata_record, capacity);
        if (records->count)
            memcpy(items, records->items, records->count * sizeof(*items));
        records->items = items;
        records->capacity = capacity;
    }
    void *data = arena_alloc(arena, desc->body->size_bytes);
    message_init(desc, data);
    records->items[records->count++] =
        (struct metadata_record){.key = key, .version = version, .data = data};
    return data;
}

int record_codec_encode(const struct metadata_record *record, struct bytebuf *out)
{
    const struct message_desc *desc = metadata_record_find(record->key);
    CHECK(desc != NULL);
    size_t before = out->len;
    struct wire_writer w;
    writer_init(&w, out);
    writer_uvarint(&w, FRAME_VERSION);
    writer_uvarint(&w, (uint32_t)record->key);
    writer_uvarint(&w, (uint32_t)record->version);
    writer_finish(&w);
    int rv = message_encode(desc, record->version, record->data, out);
    if (rv != 0)
        out->len = before;
    return rv;
}

int record_codec_decode(struct bytes value, struct arena *arena, struct metadata_record *ret_record)
{
    struct wire_reader r;
    reader_init(&r, value);
    uint32_t frame = reader_uvarint(&r);
    uint32_t key = reader_uvarint(&r);
    uint32_t version = reader_uvarint(&r);
    if (r.failed)
        return -EBADMSG;
    if (frame != FRAME_VERSION || key > INT16_MAX || version > INT16_MAX)
        return -EPROTONOSUPPORT;
    const struct message_desc *desc = metadata_record_find((int16_t)key);
    if (!desc || !message_has_version(desc, (int16_t)version))
        return -EPROTONOSUPPORT;
    void *data = arena_try_calloc(arena, 1, desc->body->size_bytes);
    if (!data)
        return -ENOMEM;
    struct bytes body = {r.at, (int32_t)reader_left(&r)};
    int rv = message_decode(desc, (int16_t)version, &body, arena, data);
    if (rv != 0)
        return rv;
    if (body.len != 0)
        return -EBADMSG;
    *ret_record =
        (struct metadata_record){.key = (int16_t)key, .version = (int16_t)version, .data = data};
    return 0;
}

int record_codec_encode_batch(const struct metadata_record *records, size_t count,
                              int64_t base_offset, int32_t leader_epoch, int64_t timestamp_ms,
                              struct bytebuf *out)
{
    CHECK(count > 0);
    struct record_batch_options options = RECORD_BATCH_OPTIONS_INIT;
    options.base_offset = base_offset;
    options.leader_epoch = leader_epoch;
    struct record_batch_builder builder;
    struct bytebuf value;
    int rv = 0;
    record_batch_builder_init(&builder);
    bytebuf_init(&value);
    record_batch_builder_start(&builder, &options);
    for (size_t i = 0; rv == 0 && i < count; i++) {
        value.len = 0;
        rv = record_codec_encode(&records[i], &value);
        if (rv == 0)
            rv = record_batch_builder_append(&builder, timestamp_ms, BYTES_NULL,
                                             (struct bytes){value.data, (int32_t)value.len}, NULL,
                                             0);
    }
    if (rv == 0)
        record_batch_builder_close(&builder, out);
    bytebuf_release(&value);
    record_batch_builder_release(&builder);
    return rv;
}
