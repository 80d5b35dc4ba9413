/*
 * Records of the metadata log, to and from the value of a log record:
 *
 *   uvarint frame version (1) | uvarint record key | uvarint record version | message
 *
 * The log record's own key is null. What a decoded record points to lives in the arena and in the
 * bytes it was decoded from. No state; any thread. Errors: -EBADMSG malformed, -EPROTONOSUPPORT a
 * frame version, record key or record version that this build does not know, -ENOMEM.
 */
#ifndef KRAFTD_METADATA_RECORD_CODEC_H
#define KRAFTD_METADATA_RECORD_CODEC_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/protocol/messages/metadata_records.h"

#include <stddef.h>

struct record_batch;

struct metadata_record {
    int16_t key;      /* enum metadata_record_key */
    int16_t version;  /* of the message */
    const void *data; /* the record's struct */
};

/* A growing list in an arena. */
struct metadata_records {
    struct metadata_record *items;
    size_t count, capacity;
};

/* A record struct with defaults, added to the list, to be filled in by the caller:
 * struct topic_record *r = METADATA_RECORD_ADD(records, arena, topic_record, TOPIC, 0); */
void *metadata_records_add(struct metadata_records *records, struct arena *arena, int16_t key,
                           int16_t version);
#define METADATA_RECORD_ADD(records, arena, name, key_name, version)                               \
    ((struct name *)metadata_records_add((records), (arena), METADATA_##key_name##_RECORD,         \
                                         (version)))

/* Appends the framed record. Errors of message_encode. */
int record_codec_encode(const struct metadata_record *record, struct bytebuf *out);
int record_codec_decode(struct bytes value, struct arena *arena,
                        struct metadata_record *ret_record);

/* One batch of `count` records, at least one, appended to `out`. Errors of message_encode. */
int record_codec_encode_batch(const struct metadata_record *records, size_t count,
                              int64_t base_offset, int32_t leader_epoch, int64_t timestamp_ms,
                              struct bytebuf *out);

#endif
