#include "common/protocol/record_validate.h"

#include "common/base/check.h"
#include "common/protocol/record_batch_fields.h"

#include <errno.h>
#include <inttypes.h>

/* The length field of magic 0's smallest message, which Kafka's framing asks of every batch. */
#define BATCH_LENGTH_MIN 14
/* Up to Kafka's size field; fewer bytes hold no batch at all. */
#define SIZE_FIELD_END 12
/* The first version of Produce that may carry zstd. */
#define PRODUCE_VERSION_ZSTD 7
/* A builder above this is given back after the batch that needed it. */
#define BUILDER_KEEP_BYTES ((size_t)1 << 20)
/* Kafka names this many in the text for the whole batch. */
#define ERRORS_IN_MESSAGE 3

/* One validation on its way. */
struct run {
    struct record_validator *v;
    const struct record_validate_config *config;
    int64_t now_ms;
    struct arena *arena;
    struct record_validation *result;
    struct record_batch batch;
    int source_codec, target_codec;
    bool rebuild;

    int64_t max_timestamp;
    int32_t index;      /* of the record at hand */
    int64_t bad;        /* records refused */
    bool bad_timestamp; /* one of them for its timestamp */
    size_t errors_capacity;
};

void record_validator_init(struct record_validator *v)
{
    record_scratch_init(&v->scratch);
    record_batch_builder_init(&v->builder);
}

void record_validator_release(struct record_validator *v)
{
    record_scratch_release(&v->scratch);
    record_batch_builder_release(&v->builder);
}

void record_validation_release(struct record_validation *result)
{
    bytebuf_release(&result->rebuilt);
}

static bool fail(struct run *run, enum kafka_error error, const char *reason)
{
    run->result->error = error;
    run->result->reason = reason;
    return false;
}

static bool fail_from_log(struct run *run, enum kafka_error error, const char *reason)
{
    run->result->from_log = true;
    return fail(run, error, reason);
}

/* With the reason as the client's text too: where Kafka has no answer to be equal to. */
static bool fail_saying(struct run *run, enum kafka_error error, const char *reason)
{
    run->result->message = str_of(reason);
    return fail_from_log(run, error, reason);
}

enum found { FOUND_BATCH, FOUND_NONE, FOUND_CORRUPT };

/* Whether a whole batch of any magic begins at data, by Kafka's rules for cutting bytes up. */
static enum found find_batch(struct run *run, const uint8_t *data, size_t len, bool first)
{
    struct record_validation *result = run->result;
    if (len < SIZE_FIELD_END)
        return FOUND_NONE;
    int32_t length = record_batch_get_length(data);
    if (length < BATCH_LENGTH_MIN) {
        fail(run, KAFKA_ERROR_CORRUPT_MESSAGE, "the batch length is too small");
        if (first)
            result->message = arena_printf(
                run->arena, "Record size %d is less than the minimum record overhead (%d)", length,
                BATCH_LENGTH_MIN);
        return FOUND_CORRUPT;
    }
    if (len < RECORD_BATCH_PEEK_SIZE)
        return FOUND_NONE;
    int8_t magic = record_batch_get_magic(data);
    if (magic < 0 || magic > RECORD_BATCH_MAGIC) {
        fail(run, KAFKA_ERROR_CORRUPT_MESSAGE, "the magic is not known");
        if (first)
            result->message = arena_printf(run->arena, "Invalid magic found in record: %d", magic);
        return FOUND_CORRUPT;
    }
    return record_batch_get_size(data) <= len ? FOUND_BATCH : FOUND_NONE;
}

/* There must be one batch of magic 2; fills run->batch. */
static bool check_framing(struct run *run, const uint8_t *data, int32_t len, int16_t version)
{
    if (len < 0)
        return fail(run, KAFKA_ERROR_INVALID_RECORD, "the records are null");
    size_t left = (size_t)len;
    enum found found = find_batch(run, data, left, true);
    if (found == FOUND_NONE)
        return fail(run, KAFKA_ERROR_INVALID_RECORD, "there is no whole batch");
    if (found == FOUND_CORRUPT)
        return false;
    size_t size = record_batch_get_size(data);
    found = find_batch(run, data + size, left - size, false);
    if (found == FOUND_CORRUPT)
        return false;
    if (record_batch_get_magic(data) != RECORD_BATCH_MAGIC)
        return fail(run, KAFKA_ERROR_INVALID_RECORD, "the magic is 0 or 1");
    if (size < RECORD_BATCH_HEADER_SIZE)
        return fail(run, KAFKA_ERROR_CORRUPT_MESSAGE, "the batch is shorter than its header");
    if (found == FOUND_BATCH)
        return fail(run, KAFKA_ERROR_INVALID_RECORD, "there is more than one batch");

    run->batch.bytes = (struct bytes){data, (int32_t)size};
    record_batch_header_decode(data, &run->batch.header);
    run->source_codec = run->batch.header.attributes & RECORD_BATCH_CODEC_MASK;
    if (run->source_codec == COMPRESSION_ZSTD && version < PRODUCE_VERSION_ZSTD)
        return fail(run, KAFKA_ERROR_UNSUPPORTED_COMPRESSION_TYPE,
                    "zstd in a Produce version before 7");
    return true;
}

static bool check_header(struct run *run)
{
    const struct record_batch_header *h = &run->batch.header;
    if (h->base_offset != 0)
        return fail_from_log(run, KAFKA_ERROR_INVALID_RECORD, "the base offset is not 0");
    if (run->batch.bytes.len > run->config->max_message_bytes)
        return fail(run, KAFKA_ERROR_MESSAGE_TOO_LARGE,
                    "the batch is larger than max.message.bytes");
    if (!record_batch_crc_ok(&run->batch))
        return fail(run, KAFKA_ERROR_CORRUPT_MESSAGE, "the checksum is wrong");
    if (compression_name(run->source_codec) == NULL)
        return fail_saying(run, KAFKA_ERROR_UNSUPPORTED_COMPRESSION_TYPE,
                           "The batch's compression type is not known");
    if (h->last_offset_delta < 0)
        return fail_from_log(run, KAFKA_ERROR_INVALID_RECORD, "the last offset delta is negative");
    if (h->count <= 0)
        return fail_from_log(run, KAFKA_ERROR_INVALID_RECORD, "the count is not positive");
    if (h->last_offset_delta != h->count - 1)
        return fail_from_log(run, KAFKA_ERROR_INVALID_RECORD,
                             "the last offset delta is not the count less 1");
    if (h->attributes & RECORD_BATCH_CONTROL)
        return fail_from_log(run, KAFKA_ERROR_INVALID_RECORD,
                             "clients may not write control records");
    if (record_batch_has_producer_id(h) && h->base_sequence < 0)
        return fail_from_log(run, KAFKA_ERROR_INVALID_RECORD,
                             "there is a producer id but no sequence");
    return true;
}

/* Counts the record at hand as refused; where its message goes, or NULL when enough are listed. */
static struct str *refuse_record(struct run *run)
{
    struct record_validation *result = run->result;
    run->bad++;
    if (run->bad > RECORD_ERRORS_MAX)
        return NULL;
    size_t count = (size_t)result->record_error_count;
    if (count == run->errors_capacity) {
        size_t capacity = MAX(4, count * 2);
        struct record_error *errors = ARENA_ARRAY(run->arena, struct record_error, capacity);
        if (count > 0)
            memcpy(errors, result->record_errors, count * sizeof(*errors));
        result->record_errors = errors;
        run->errors_capacity = capacity;
    }
    struct record_error *error = &result->record_errors[result->record_error_count++];
    error->batch_index = run->index;
    return &error->message;
}

/* Java's wrapping difference and sum, so that odd timestamps get Kafka's answer. */
static int64_t wrapping_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t wrapping_sub(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static void check_timestamp(struct run *run, const struct record *r)
{
    int64_t before = run->config->timestamp_before_max_ms;
    int64_t after = run->config->timestamp_after_max_ms;
    struct str *message;
    if (!run->config->log_append_time && r->timestamp != RECORD_NO_TIMESTAMP) {
        int64_t age = wrapping_sub(run->now_ms, r->timestamp);
        if (age <= before && wrapping_sub(0, age) <= after)
            return;
        message = refuse_record(run);
        if (message != NULL)
            *message = arena_printf(run->arena,
                                    "Timestamp %" PRId64 " of message with offset %" PRId64
                                    " is out of range. The timestamp should be within [%" PRId64
                                    ", %" PRId64 "]",
                                    r->timestamp, r->offset, wrapping_sub(run->now_ms, before),
                                    wrapping_add(run->now_ms, after));
    } else if (run->batch.header.attributes & RECORD_BATCH_LOG_APPEND_TIME) {
        message = refuse_record(run);
        if (message != NULL)
            *message = arena_printf(run->arena,
                                    "Invalid timestamp type in message with offset %" PRId64
                                    ". Producer should not set timestamp type to LogAppendTime.",
                                    r->offset);
    } else {
        return;
    }
    run->bad_timestamp = true;
}

static void check_record(struct run *run, const struct record *r)
{
    if (!run->config->compacted || r->key.len >= 0) {
        check_timestamp(run, r);
        return;
    }
    struct str *message = refuse_record(run);
    if (message != NULL)
        *message = arena_printf(run->arena,
                                "Compacted topic cannot accept message without key in topic "
                                "partition %.*s-%d",
                                STR_FMT(run->config->topic), run->config->partition);
}

static bool fail_records(struct run *run)
{
    struct record_validation *result = run->result;
    if (run->bad_timestamp) {
        result->message = STR("One or more records have been rejected due to invalid timestamp");
        return fail_from_log(run, KAFKA_ERROR_INVALID_TIMESTAMP, "records with bad timestamps");
    }
    struct bytebuf text;
    bytebuf_init(&text);
    bytebuf_printf(&text,
                   "One or more records have been rejected due to %" PRId64
                   " record errors in total, and only showing the first three errors at most: [",
                   run->bad);
    for (int32_t i = 0; i < MIN(result->record_error_count, ERRORS_IN_MESSAGE); i++) {
        const struct record_error *error = &result->record_errors[i];
        bytebuf_printf(&text, "%sRecordError(batchIndex=%d, message='%.*s')", i > 0 ? ", " : "",
                       error->batch_index, STR_FMT(error->message));
    }
    bytebuf_printf(&text, "]");
    result->message = arena_str(run->arena, str_from((const char *)text.data, text.len));
    bytebuf_release(&text);
    return fail_from_log(run, KAFKA_ERROR_INVALID_RECORD, "records without a key");
}

/* The errno of the iterator or the builder as an answer. */
static bool fail_errno(struct run *run, int rv)
{
    /* Records refused before say nothing about a batch that cannot be read to its end. */
    run->result->record_errors = NULL;
    run->result->record_error_count = 0;
    if (rv == -EMSGSIZE)
        return fail_saying(run, KAFKA_ERROR_MESSAGE_TOO_LARGE,
                           "The batch's uncompressed records are too large");
    if (rv == -ENOMEM)
        return fail_saying(run, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                           "There is not enough memory to uncompress the batch");
    CHECK(rv == -EBADMSG);
    return fail_from_log(run, KAFKA_ERROR_INVALID_RECORD, "the records cannot be read");
}

static void start_rebuild(struct run *run, size_t max_bytes)
{
    const struct record_batch_header *h = &run->batch.header;
    struct record_batch_options options = {
        .leader_epoch = h->partition_leader_epoch,
        .codec = (enum compression_codec)run->target_codec,
        .level = run->config->level,
        .producer_id = h->producer_id,
        .producer_epoch = h->producer_epoch,
        .base_sequence = h->base_sequence,
        .transactional = (h->attributes & RECORD_BATCH_TRANSACTIONAL) != 0,
        .log_append_time_ms = run->config->log_append_time ? run->now_ms : RECORD_NO_TIMESTAMP,
        .delete_horizon_ms = RECORD_NO_TIMESTAMP,
        .max_bytes =
            MIN(max_bytes, INT32_MAX - RECORD_BATCH_HEADER_SIZE) + RECORD_BATCH_HEADER_SIZE,
    };
    record_batch_builder_start(&run->v->builder, &options);
}

/* One pass over the records; where they are to be compressed anew, they are gathered by the way. */
static bool check_records(struct run *run)
{
    size_t max_bytes = run->config->max_uncompressed_bytes;
    if (max_bytes == 0)
        max_bytes = RECORD_UNCOMPRESSED_MAX_BYTES;
    if (run->rebuild)
        start_rebuild(run, max_bytes);

    struct record_iter it;
    int rv = record_iter_init(&it, &run->batch, max_bytes, &run->v->scratch);
    if (rv < 0)
        return fail_errno(run, rv);
    bool consecutive = true;
    struct record r;
    while ((rv = record_iter_next(&it, &r)) == 1) {
        check_record(run, &r);
        run->max_timestamp = MAX(run->max_timestamp, r.timestamp);
        consecutive &= r.offset_delta == run->index;
        if (run->rebuild && run->bad == 0) {
            rv = record_batch_builder_copy(&run->v->builder, run->index, &r);
            if (rv < 0)
                break;
        }
        run->index++;
    }
    record_iter_release(&it);
    if (rv < 0)
        return fail_errno(run, rv);
    if (run->bad > 0)
        return fail_records(run);
    if (!consecutive && !run->rebuild && run->source_codec != COMPRESSION_NONE)
        return fail_saying(run, KAFKA_ERROR_INVALID_RECORD,
                           "The offset deltas in a compressed batch must count up from 0");
    return true;
}

static bool finish_rebuild(struct run *run)
{
    struct record_validation *result = run->result;
    record_batch_builder_close(&run->v->builder, &result->rebuilt);
    if (result->rebuilt.len > (size_t)run->config->max_message_bytes)
        return fail(run, KAFKA_ERROR_MESSAGE_TOO_LARGE,
                    "the batch is larger than max.message.bytes when compressed anew");
    result->batch = result->rebuilt.data;
    return true;
}

/* Kafka's own correction: maxTimestamp is what the records say, or the time of the append.
 * Rewriting it clears the attribute bits that have no meaning; otherwise they stay. */
static void finish_in_place(struct run *run, uint8_t *data)
{
    const struct record_batch_header *h = &run->batch.header;
    const int kept = RECORD_BATCH_CODEC_MASK | RECORD_BATCH_TRANSACTIONAL | RECORD_BATCH_CONTROL |
                     RECORD_BATCH_DELETE_HORIZON;
    int type = 0;
    int64_t max_timestamp = run->max_timestamp;
    if (run->config->log_append_time) {
        type = RECORD_BATCH_LOG_APPEND_TIME;
        max_timestamp = run->now_ms;
    }
    if (type != (h->attributes & RECORD_BATCH_LOG_APPEND_TIME) ||
        max_timestamp != h->max_timestamp) {
        record_batch_set_attributes(data, (int16_t)((h->attributes & kept) | type));
        record_batch_set_max_timestamp(data, max_timestamp);
        record_batch_seal(data, (size_t)run->batch.bytes.len);
    }
    run->result->batch = data;
}

void record_validate(struct record_validator *v, const struct record_validate_config *config,
                     int16_t produce_version, int64_t now_ms, uint8_t *data, int32_t len,
                     struct arena *arena, struct record_validation *ret_result)
{
    *ret_result =
        (struct record_validation){.message = STR_NULL, .log_append_time_ms = RECORD_NO_TIMESTAMP};
    struct run run = {
        .v = v,
        .config = config,
        .now_ms = now_ms,
        .arena = arena,
        .result = ret_result,
        .max_timestamp = RECORD_NO_TIMESTAMP,
    };
    if (!check_framing(&run, data, len, produce_version))
        return;
    ret_result->by_leader = true;
    if (!check_header(&run))
        return;
    run.target_codec = config->codec == RECORD_CODEC_PRODUCER ? run.source_codec : config->codec;
    run.rebuild = run.target_codec != run.source_codec;
    bool ok = check_records(&run);
    if (ok && run.rebuild)
        ok = finish_rebuild(&run);
    else if (ok)
        finish_in_place(&run, data);
    if (run.rebuild && v->builder.batch.capacity > BUILDER_KEEP_BYTES)
        bytebuf_release(&v->builder.batch);
    if (!ok)
        return;
    if (config->log_append_time)
        ret_result->log_append_time_ms = now_ms;
    record_batch_header_decode(ret_result->batch, &ret_result->header);
}
