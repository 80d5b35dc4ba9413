/*
 * The records of one batch. Behind the batch's header follow, `count` times (compressed as one
 * stream, where the attributes name a codec):
 *
 *   length          varint   bytes of the record after this field
 *   attributes      int8     no bit is in use
 *   timestampDelta  varlong  to baseTimestamp; with LogAppendTime every record has maxTimestamp
 *   offsetDelta     varint   to baseOffset
 *   key             varint length (negative: null), bytes
 *   value           varint length (negative: null), bytes
 *   headers         varint count, then each: varint length, key; varint length (negative: null),
 *                   value
 *
 * Varints are zigzag (wire.h). A record must fill its length exactly, and the records must
 * fill the batch exactly. A batch that says count 0 is not looked into.
 *
 * Uncompressed records are read where they lie and nothing is allocated; a compressed batch is
 * taken apart in a record_scratch, which grows with the largest record, as its bytes arrive, up to
 * the limit. Owned by the caller; not thread-safe. Errors: -EBADMSG broken records or stream,
 * -EMSGSIZE more than max_bytes of records in a compressed batch, -ENOTSUP unknown codec, -ENOMEM.
 * The checksum is not looked at here.
 */
#ifndef KRAFTD_PROTOCOL_RECORD_ITER_H
#define KRAFTD_PROTOCOL_RECORD_ITER_H

#include "common/protocol/decompressor.h"
#include "common/protocol/record_batch.h"

/* Room for compressed batches; one per loop or thread, used by one iterator at a time. */
struct record_scratch {
    struct decompressor decompressor;
    uint8_t *window;
    size_t capacity;
};

void record_scratch_init(struct record_scratch *scratch);
void record_scratch_release(struct record_scratch *scratch);

/* Headers of a record that was read, not stepped through yet: a plain value, may be copied. */
struct record_headers {
    const uint8_t *at, *end;
    int32_t count; /* left */
};

struct record_header {
    struct str key;
    struct bytes value;
};

struct record {
    int64_t offset, timestamp;
    int32_t offset_delta;
    uint32_t size_bytes; /* uncompressed, with the length field */
    struct bytes key, value;
    struct record_headers headers;
};

/* The next header; false behind the last. */
bool record_headers_next(struct record_headers *headers, struct record_header *ret_header);

struct record_iter {
    const uint8_t *at, *end; /* bytes at hand */
    int64_t base_offset, base_timestamp, log_append_timestamp;
    bool log_append_time;
    bool stream_ended;
    int32_t left; /* records */
    int error;
    struct record_scratch *scratch; /* NULL: not compressed */
    struct record_scratch *own_scratch;
};

/*
 * Starts at the first record of a batch, which must stay in place. max_bytes limits the records of
 * a compressed batch. scratch may be NULL: then the iterator makes one of its own when the batch is
 * compressed. On an error there is nothing to release.
 */
int record_iter_init(struct record_iter *it, const struct record_batch *batch, size_t max_bytes,
                     struct record_scratch *scratch);
void record_iter_release(struct record_iter *it);
/*
 * 1 and the next record, whose slices live as long as the batch or, when it is compressed, until
 * the next call; 0 behind the last, once it is certain that nothing follows; or an error.
 */
int record_iter_next(struct record_iter *it, struct record *ret_record);

#endif
