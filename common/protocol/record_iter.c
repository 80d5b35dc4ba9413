#include "common/protocol/record_iter.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/wire.h"

#include <errno.h>
#include <stdlib.h>

/* A window above this is given back with the iterator that needed it. */
#define WINDOW_KEEP_BYTES  ((size_t)1 << 20)
#define WINDOW_FIRST_BYTES ((size_t)64 << 10)

void record_scratch_init(struct record_scratch *scratch)
{
    decompressor_init(&scratch->decompressor);
    scratch->window = NULL;
    scratch->capacity = 0;
}

void record_scratch_release(struct record_scratch *scratch)
{
    decompressor_release(&scratch->decompressor);
    free(scratch->window);
    scratch->window = NULL;
    scratch->capacity = 0;
}

/* A varint length and that many bytes; a negative length is null. */
static struct bytes read_bytes(struct wire_reader *reader)
{
    int32_t len = reader_varint(reader);
    if (len < 0)
        return BYTES_NULL;
    return (struct bytes){reader_take(reader, (size_t)len), len};
}

static void read_header(struct wire_reader *reader, struct record_header *ret_header)
{
    struct bytes key = read_bytes(reader);
    if (key.len < 0)
        reader_fail(reader);
    ret_header->key = (struct str){(const char *)key.data, key.len};
    ret_header->value = read_bytes(reader);
}

bool record_headers_next(struct record_headers *headers, struct record_header *ret_header)
{
    if (headers->count == 0)
        return false;
    struct wire_reader reader = {headers->at, headers->end, false};
    read_header(&reader, ret_header);
    /* They were walked through when the record was read. */
    CHECK(!reader.failed);
    headers->at = reader.at;
    headers->count--;
    return true;
}

/*
 * Varints of the hot path: where the number ends, or NULL. One and two bytes are nearly all there
 * is, so they are taken without a call; the rest is the wire reader's.
 */
static const uint8_t *load_slow(const uint8_t *at, const uint8_t *end, bool wide,
                                uint64_t *ret_zigzag)
{
    struct wire_reader reader = {at, end, false};
    *ret_zigzag = wide ? zigzag64(reader_varlong(&reader)) : reader_uvarint(&reader);
    return reader.failed ? NULL : reader.at;
}

static inline const uint8_t *load_zigzag(const uint8_t *at, const uint8_t *end, bool wide,
                                         uint64_t *ret_zigzag)
{
    if (end - at >= 2) {
        uint64_t low = at[0], high = at[1];
        if (low < 0x80) {
            *ret_zigzag = low;
            return at + 1;
        }
        if (high < 0x80) {
            *ret_zigzag = (low & 0x7f) | high << 7;
            return at + 2;
        }
    }
    return load_slow(at, end, wide, ret_zigzag);
}

static inline const uint8_t *load_varint(const uint8_t *at, const uint8_t *end, int32_t *ret_value)
{
    uint64_t v;
    at = load_zigzag(at, end, false, &v);
    *ret_value = (int32_t)((uint32_t)(v >> 1) ^ (0 - (uint32_t)(v & 1)));
    return at;
}

static inline const uint8_t *load_varlong(const uint8_t *at, const uint8_t *end, int64_t *ret_value)
{
    uint64_t v;
    at = load_zigzag(at, end, true, &v);
    *ret_value = (int64_t)((v >> 1) ^ (0 - (v & 1)));
    return at;
}

static inline const uint8_t *load_bytes(const uint8_t *at, const uint8_t *end,
                                        struct bytes *ret_bytes)
{
    int32_t len;
    at = load_varint(at, end, &len);
    if (at == NULL || len > end - at)
        return NULL;
    *ret_bytes = len < 0 ? BYTES_NULL : (struct bytes){at, len};
    return len < 0 ? at : at + len;
}

static bool headers_fill(const uint8_t *at, const uint8_t *end, int32_t count)
{
    struct wire_reader reader = {at, end, false};
    struct record_header header;
    for (int32_t i = 0; i < count && !reader.failed; i++)
        read_header(&reader, &header);
    return !reader.failed && reader_left(&reader) == 0;
}

/* Reads the record of `size` bytes whose bytes behind the length field are [at, end). */
static int parse_record(const struct record_iter *it, const uint8_t *at, const uint8_t *end,
                        size_t size, struct record *ret_record)
{
    int64_t timestamp_delta;
    int32_t offset_delta, header_count;
    struct bytes key, value;
    if (at == end)
        return -EBADMSG;
    at++; /* attributes */
    if ((at = load_varlong(at, end, &timestamp_delta)) == NULL ||
        (at = load_varint(at, end, &offset_delta)) == NULL ||
        (at = load_bytes(at, end, &key)) == NULL || (at = load_bytes(at, end, &value)) == NULL)
        return -EBADMSG;
    /* The usual last byte: no headers. */
    if (end - at == 1 && *at == 0) {
        header_count = 0;
        at = end;
    } else if ((at = load_varint(at, end, &header_count)) == NULL || header_count < 0 ||
               header_count > end - at || !headers_fill(at, end, header_count)) {
        return -EBADMSG;
    }
    /* Unsigned, because a hostile sum may wrap. */
    uint64_t timestamp = (uint64_t)it->base_timestamp + (uint64_t)timestamp_delta;
    *ret_record = (struct record){
        .offset = (int64_t)((uint64_t)it->base_offset + (uint64_t)(int64_t)offset_delta),
        .timestamp = it->log_append_time ? it->log_append_timestamp : (int64_t)timestamp,
        .offset_delta = offset_delta,
        .size_bytes = (uint32_t)size,
        .key = key,
        .value = value,
        .headers = {at, end, header_count},
    };
    return 0;
}

/* Room behind `end` for at least one byte more, keeping what is at hand. */
static int window_make_room(struct record_iter *it)
{
    struct record_scratch *s = it->scratch;
    size_t len = (size_t)(it->end - it->at);
    if (len < s->capacity) {
        if (len > 0)
            memmove(s->window, it->at, len);
    } else {
        /* Doubles with what has arrived, never by what a length field promises. */
        size_t capacity = MAX(s->capacity * 2, WINDOW_FIRST_BYTES);
        uint8_t *window = mem_try_alloc(capacity);
        if (window == NULL)
            return -ENOMEM;
        if (len > 0)
            memcpy(window, it->at, len);
        free(s->window);
        s->window = window;
        s->capacity = capacity;
    }
    it->at = s->window;
    it->end = s->window + len;
    return 0;
}

static int fill_slow(struct record_iter *it, size_t need)
{
    while ((size_t)(it->end - it->at) < need && !it->stream_ended) {
        struct record_scratch *s = it->scratch;
        if (s->capacity == 0 || it->end == s->window + s->capacity) {
            int rv = window_make_room(it);
            if (rv < 0)
                return rv;
        }
        size_t at = (size_t)(it->end - s->window);
        ssize_t made = decompressor_read(&s->decompressor, s->window + at, s->capacity - at);
        if (made < 0)
            return (int)made;
        it->end += made;
        it->stream_ended = made == 0;
    }
    return 0;
}

/* Has `need` bytes at hand, or all that there are. */
static inline int fill(struct record_iter *it, size_t need)
{
    if ((size_t)(it->end - it->at) >= need || it->scratch == NULL)
        return 0;
    return fill_slow(it, need);
}

int record_iter_init(struct record_iter *it, const struct record_batch *batch, size_t max_bytes,
                     struct record_scratch *scratch)
{
    const struct record_batch_header *h = &batch->header;
    if (h->count < 0)
        return -EBADMSG;
    struct bytes records = {batch->bytes.data + RECORD_BATCH_HEADER_SIZE,
                            batch->bytes.len - RECORD_BATCH_HEADER_SIZE};
    *it = (struct record_iter){
        .at = records.data,
        .end = records.data + records.len,
        .base_offset = h->base_offset,
        .base_timestamp = h->base_timestamp,
        .log_append_timestamp = h->max_timestamp,
        .log_append_time = (h->attributes & RECORD_BATCH_LOG_APPEND_TIME) != 0,
        .left = h->count,
    };
    int codec = h->attributes & RECORD_BATCH_CODEC_MASK;
    if (h->count == 0) {
        it->end = it->at;
        return 0;
    }
    if (codec == COMPRESSION_NONE)
        return 0;

    if (scratch == NULL) {
        scratch = it->own_scratch = mem_alloc(sizeof(*scratch));
        record_scratch_init(scratch);
    }
    it->scratch = scratch;
    it->at = it->end = scratch->window;
    int rv = decompressor_start(&scratch->decompressor, codec, records, max_bytes);
    if (rv < 0)
        record_iter_release(it);
    return rv;
}

void record_iter_release(struct record_iter *it)
{
    struct record_scratch *s = it->scratch;
    if (it->own_scratch != NULL) {
        record_scratch_release(it->own_scratch);
        free(it->own_scratch);
    } else if (s != NULL && s->capacity > WINDOW_KEEP_BYTES) {
        free(s->window);
        s->window = NULL;
        s->capacity = 0;
    }
    *it = (struct record_iter){.error = -EINVAL};
}

static inline int next_record(struct record_iter *it, struct record *ret_record)
{
    int rv = fill(it, UVARINT_MAX_BYTES);
    if (rv < 0)
        return rv;
    int32_t len;
    const uint8_t *body = load_varint(it->at, it->end, &len);
    if (body == NULL || len < 0)
        return -EBADMSG;
    size_t prefix = (size_t)(body - it->at), size = prefix + (size_t)len;
    rv = fill(it, size);
    if (rv < 0)
        return rv;
    if ((size_t)(it->end - it->at) < size)
        return -EBADMSG;
    rv = parse_record(it, it->at + prefix, it->at + size, size, ret_record);
    if (rv < 0)
        return rv;
    it->at += size;
    return 0;
}

int record_iter_next(struct record_iter *it, struct record *ret_record)
{
    if (it->error < 0)
        return it->error;
    int rv;
    if (it->left > 0) {
        rv = next_record(it, ret_record);
        if (rv == 0) {
            it->left--;
            return 1;
        }
    } else {
        rv = fill(it, 1);
        if (rv == 0 && it->at < it->end)
            rv = -EBADMSG;
        if (rv == 0)
            return 0;
    }
    it->error = rv;
    return rv;
}
