/*
 * Batches and records as lines in the form of Kafka's dump tool, so that a test can compare them
 * with what that tool printed about the same bytes.
 */
#ifndef KRAFTD_TESTS_BATCH_TEXT_H
#define KRAFTD_TESTS_BATCH_TEXT_H

#include "common/base/buf.h"
#include "common/protocol/record_batch.h"
#include "common/protocol/record_iter.h"

#include <inttypes.h>

static inline const char *yes_no(int value)
{
    return value ? "true" : "false";
}

static inline const char *timestamp_name(int attributes)
{
    return attributes & RECORD_BATCH_LOG_APPEND_TIME ? "LogAppendTime" : "CreateTime";
}

static inline void batch_text(const struct record_batch *batch, size_t position,
                              struct bytebuf *out)
{
    const struct record_batch_header *h = &batch->header;
    int32_t last_sequence = h->base_sequence < 0
                                ? RECORD_NO_SEQUENCE
                                : record_sequence_add(h->base_sequence, h->last_offset_delta);
    bytebuf_printf(out,
                   "baseOffset: %" PRId64 " lastOffset: %" PRId64 " count: %d baseSequence: %d "
                   "lastSequence: %d producerId: %" PRId64 " producerEpoch: %d "
                   "partitionLeaderEpoch: %d isTransactional: %s isControl: %s ",
                   h->base_offset, record_batch_last_offset(h), h->count, h->base_sequence,
                   last_sequence, h->producer_id, h->producer_epoch, h->partition_leader_epoch,
                   yes_no(h->attributes & RECORD_BATCH_TRANSACTIONAL),
                   yes_no(h->attributes & RECORD_BATCH_CONTROL));
    if (h->attributes & RECORD_BATCH_DELETE_HORIZON)
        bytebuf_printf(out, "deleteHorizonMs: OptionalLong[%" PRId64 "]", h->base_timestamp);
    else
        bytebuf_printf(out, "deleteHorizonMs: OptionalLong.empty");
    bytebuf_printf(out,
                   " position: %zu %s: %" PRId64 " size: %d magic: %d compresscodec: %s crc: %u "
                   "isvalid: %s",
                   position, timestamp_name(h->attributes), h->max_timestamp, batch->bytes.len,
                   h->magic, compression_name(h->attributes & RECORD_BATCH_CODEC_MASK), h->crc,
                   yes_no(record_batch_crc_ok(batch)));
}

/* Up to the headers; with the key and the value behind them when `with_data`. */
static inline void record_text(const struct record_batch *batch, const struct record *record,
                               bool with_data, struct bytebuf *out)
{
    const struct record_batch_header *h = &batch->header;
    int32_t sequence = h->base_sequence < 0
                           ? RECORD_NO_SEQUENCE
                           : record_sequence_add(h->base_sequence, record->offset_delta);
    bytebuf_printf(out, "| offset: %" PRId64 " %s: %" PRId64 " keySize: %d valueSize: %d ",
                   record->offset, timestamp_name(h->attributes), record->timestamp,
                   record->key.len, record->value.len);
    bytebuf_printf(out, "sequence: %d headerKeys: [", sequence);
    struct record_headers headers = record->headers;
    struct record_header header;
    for (bool first = true; record_headers_next(&headers, &header); first = false) {
        bytebuf_append(out, ",", first ? 0 : 1);
        bytebuf_append(out, header.key.data, (size_t)header.key.len);
    }
    bytebuf_append(out, "]", 1);
    if (!with_data)
        return;
    if (record->key.len >= 0) {
        bytebuf_append(out, " key: ", 6);
        bytebuf_append(out, record->key.data, (size_t)record->key.len);
    }
    if (record->value.len >= 0) {
        bytebuf_append(out, " payload: ", 10);
        bytebuf_append(out, record->value.data, (size_t)record->value.len);
    }
}

#endif
