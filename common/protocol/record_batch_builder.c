#include "common/protocol/record_batch_builder.h"

#include "common/base/check.h"
#include "common/protocol/record_batch_fields.h"
#include "common/protocol/wire.h"

#include <errno.h>

/* A record's parts, with its headers either as given or as they lay in another batch. */
struct parts {
    int64_t timestamp_delta;
    int32_t offset_delta;
    struct bytes key, value;
    int32_t header_count;
    const struct record_header *headers; /* NULL: raw_headers */
    struct bytes raw_headers;
};

void record_batch_builder_init(struct record_batch_builder *b)
{
    *b = (struct record_batch_builder){0};
    bytebuf_init(&b->batch);
}

void record_batch_builder_release(struct record_batch_builder *b)
{
    bytebuf_release(&b->batch);
}

void record_batch_builder_start(struct record_batch_builder *b,
                                const struct record_batch_options *options)
{
    CHECK(compression_level_ok(options->codec, options->level) ||
          (options->codec == COMPRESSION_NONE));
    b->options = *options;
    if (b->options.max_bytes == 0 || b->options.max_bytes > INT32_MAX)
        b->options.max_bytes = INT32_MAX;
    b->batch.len = 0;
    bytebuf_reserve(&b->batch, RECORD_BATCH_HEADER_SIZE);
    b->batch.len = RECORD_BATCH_HEADER_SIZE;
    b->count = 0;
    b->next_offset = options->base_offset;
    b->last_offset = options->base_offset - 1;
    b->base_timestamp = options->delete_horizon_ms;
    b->max_timestamp = RECORD_NO_TIMESTAMP;
}

static size_t bytes_size(struct bytes bytes)
{
    return (size_t)varint_size(bytes.len) + (bytes.len > 0 ? (size_t)bytes.len : 0);
}

static uint8_t *store_varint(uint8_t *at, int64_t value)
{
    return at + put_uvarint(at, zigzag64(value));
}

static uint8_t *store_bytes(uint8_t *at, struct bytes bytes)
{
    at = store_varint(at, bytes.len);
    if (bytes.len > 0) {
        memcpy(at, bytes.data, (size_t)bytes.len);
        at += bytes.len;
    }
    return at;
}

static struct bytes bytes_of(struct str s)
{
    return (struct bytes){(const uint8_t *)s.data, s.len};
}

static size_t headers_size(const struct record_header *headers, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += bytes_size(bytes_of(headers[i].key)) + bytes_size(headers[i].value);
    return size;
}

static size_t body_size(const struct parts *p)
{
    size_t size = 1 + (size_t)varlong_size(p->timestamp_delta) +
                  (size_t)varint_size(p->offset_delta) + bytes_size(p->key) + bytes_size(p->value) +
                  (size_t)varint_size(p->header_count);
    if (p->headers != NULL)
        return size + headers_size(p->headers, (size_t)p->header_count);
    return size + (size_t)p->raw_headers.len;
}

static uint8_t *store_parts(uint8_t *at, size_t body, const struct parts *p)
{
    at = store_varint(at, (int64_t)body);
    *at++ = 0; /* attributes */
    at = store_varint(at, p->timestamp_delta);
    at = store_varint(at, p->offset_delta);
    at = store_bytes(at, p->key);
    at = store_bytes(at, p->value);
    at = store_varint(at, p->header_count);
    if (p->headers == NULL) {
        if (p->raw_headers.len > 0)
            memcpy(at, p->raw_headers.data, (size_t)p->raw_headers.len);
        return at + p->raw_headers.len;
    }
    for (int32_t i = 0; i < p->header_count; i++) {
        at = store_bytes(at, bytes_of(p->headers[i].key));
        at = store_bytes(at, p->headers[i].value);
    }
    return at;
}

static int append(struct record_batch_builder *b, int64_t offset, int64_t timestamp,
                  struct parts *p)
{
    int64_t base_timestamp = b->base_timestamp;
    if (b->count == 0 && b->options.delete_horizon_ms == RECORD_NO_TIMESTAMP)
        base_timestamp = timestamp;
    CHECK(offset >= b->next_offset);
    if (offset - b->options.base_offset > INT32_MAX || b->count == INT32_MAX)
        return -EMSGSIZE;
    p->offset_delta = (int32_t)(offset - b->options.base_offset);
    p->timestamp_delta = (int64_t)((uint64_t)timestamp - (uint64_t)base_timestamp);

    size_t body = body_size(p), left = b->options.max_bytes - b->batch.len;
    if (b->batch.len > b->options.max_bytes || body > left ||
        (size_t)varlong_size((int64_t)body) + body > left)
        return -EMSGSIZE;
    size_t size = (size_t)varlong_size((int64_t)body) + body;
    uint8_t *at = bytebuf_reserve(&b->batch, size);
    CHECK(store_parts(at, body, p) == at + size);
    b->batch.len += size;

    b->base_timestamp = base_timestamp;
    b->max_timestamp = MAX(b->max_timestamp, timestamp);
    b->count++;
    b->last_offset = offset;
    b->next_offset = offset + 1;
    return 0;
}

int record_batch_builder_append(struct record_batch_builder *b, int64_t timestamp, struct bytes key,
                                struct bytes value, const struct record_header *headers,
                                size_t header_count)
{
    if (header_count > INT32_MAX)
        return -EMSGSIZE;
    struct parts p = {.key = key, .value = value, .header_count = (int32_t)header_count};
    if (header_count > 0)
        p.headers = headers;
    return append(b, b->next_offset, timestamp, &p);
}

int record_batch_builder_copy(struct record_batch_builder *b, int64_t offset,
                              const struct record *record)
{
    struct parts p = {
        .key = record->key,
        .value = record->value,
        .header_count = record->headers.count,
        .raw_headers = {record->headers.at, (int32_t)(record->headers.end - record->headers.at)},
    };
    return append(b, offset, record->timestamp, &p);
}

int record_batch_builder_append_control(struct record_batch_builder *b, int64_t timestamp,
                                        enum control_record_type type, struct bytes value)
{
    CHECK(b->options.control);
    uint8_t key[CONTROL_RECORD_KEY_SIZE];
    control_record_key(type, key);
    return record_batch_builder_append(b, timestamp, (struct bytes){key, sizeof(key)}, value, NULL,
                                       0);
}

void record_batch_builder_set_last_offset(struct record_batch_builder *b, int64_t offset)
{
    CHECK(offset >= b->last_offset && offset >= b->options.base_offset);
    CHECK(offset - b->options.base_offset <= INT32_MAX);
    b->last_offset = offset;
    b->next_offset = offset + 1;
}

void record_batch_builder_raise_max_timestamp(struct record_batch_builder *b, int64_t timestamp)
{
    b->max_timestamp = MAX(b->max_timestamp, timestamp);
}

size_t record_batch_builder_record_size(struct bytes key, struct bytes value,
                                        const struct record_header *headers, size_t header_count)
{
    return UVARINT_MAX_BYTES + 1 + VARLONG_MAX_BYTES + UVARINT_MAX_BYTES + bytes_size(key) +
           bytes_size(value) + UVARINT_MAX_BYTES + headers_size(headers, header_count);
}

static int16_t attributes_of(const struct record_batch_options *o, enum compression_codec codec)
{
    int attributes = (int)codec;
    if (o->log_append_time_ms != RECORD_NO_TIMESTAMP)
        attributes |= RECORD_BATCH_LOG_APPEND_TIME;
    if (o->transactional)
        attributes |= RECORD_BATCH_TRANSACTIONAL;
    if (o->control)
        attributes |= RECORD_BATCH_CONTROL;
    if (o->delete_horizon_ms != RECORD_NO_TIMESTAMP)
        attributes |= RECORD_BATCH_DELETE_HORIZON;
    return (int16_t)attributes;
}

void record_batch_builder_close(struct record_batch_builder *b, struct bytebuf *out)
{
    const struct record_batch_options *o = &b->options;
    CHECK(b->last_offset >= o->base_offset);
    /* An empty batch has no stream to compress. */
    enum compression_codec codec = b->count > 0 ? o->codec : COMPRESSION_NONE;
    struct record_batch_header header = {
        .base_offset = o->base_offset,
        .partition_leader_epoch = o->leader_epoch,
        .magic = RECORD_BATCH_MAGIC,
        .attributes = attributes_of(o, codec),
        .last_offset_delta = (int32_t)(b->last_offset - o->base_offset),
        .base_timestamp = b->base_timestamp,
        .max_timestamp =
            o->log_append_time_ms != RECORD_NO_TIMESTAMP ? o->log_append_time_ms : b->max_timestamp,
        .producer_id = o->producer_id,
        .producer_epoch = o->producer_epoch,
        .base_sequence = o->base_sequence,
        .count = b->count,
    };
    record_batch_header_encode(&header, b->batch.data);

    size_t at = out->len;
    if (codec == COMPRESSION_NONE) {
        bytebuf_append(out, b->batch.data, b->batch.len);
    } else {
        struct bytes records = {b->batch.data + RECORD_BATCH_HEADER_SIZE,
                                (int32_t)(b->batch.len - RECORD_BATCH_HEADER_SIZE)};
        bytebuf_append(out, b->batch.data, RECORD_BATCH_HEADER_SIZE);
        compression_compress(codec, o->level, &records, 1, out);
    }
    record_batch_seal(out->data + at, out->len - at);
    b->batch.len = 0;
}
