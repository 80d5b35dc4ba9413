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

/* Reads the record whose bytes behind the length field are [at, end). */
static int parse_record(const struct record_iter *it, const uint8_t *at, const uint8_t *end,
                        struct record *r)
{
    struct wire_reader reader = {at, end, false};
    reader_i8(&reader); /* attributes */
    int64_t timestamp_delta = reader_varlong(&reader);
    r->offset_delta = reader_varint(&reader);
    r->key = read_bytes(&reader);
    r->value = read_bytes(&reader);
    int32_t count = reader_varint(&reader);
    if (reader.failed || count < 0 || (size_t)count > reader_left(&reader))
        return -EBADMSG;
    r->headers = (struct record_headers){reader.at, end, count};
    struct record_header header;
    for (int32_t i = 0; i < count; i++)
        read_header(&reader, &header);
    if (reader.failed || reader_left(&reader) > 0)
        return -EBADMSG;
    /* Unsigned, because a hostile sum may wrap. */
    r->offset = (int64_t)((uint64_t)it->base_offset + (uint64_t)(int64_t)r->offset_delta);
    r->timestamp = (int64_t)((uint64_t)it->base_timestamp + (uint64_t)timestamp_delta);
    if (it->log_append_time)
        r->timestamp = it->log_append_timestamp;
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

/* Has `need` bytes at hand, or all that there are. */
static int fill(struct record_iter *it, size_t need)
{
    while ((size_t)(it->end - it->at) < need && it->scratch != NULL && !it->stream_ended) {
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

static int next_record(struct record_iter *it, struct record *r)
{
    int rv = fill(it, UVARINT_MAX_BYTES);
    if (rv < 0)
        return rv;
    struct wire_reader reader = {it->at, it->end, false};
    int32_t len = reader_varint(&reader);
    if (reader.failed || len < 0)
        return -EBADMSG;
    size_t prefix = (size_t)(reader.at - it->at), size = prefix + (size_t)len;
    rv = fill(it, size);
    if (rv < 0)
        return rv;
    if ((size_t)(it->end - it->at) < size)
        return -EBADMSG;
    r->size_bytes = (uint32_t)size;
    rv = parse_record(it, it->at + prefix, it->at + size, r);
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
        struct record r;
        rv = next_record(it, &r);
        if (rv == 0) {
            it->left--;
            *ret_record = r;
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
