/* Batches and records of logs and snapshots. */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/compression.h"
#include "common/protocol/endian.h"
#include "tools/dump_internal.h"
#include "tools/java_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    MIN_RECORD_SIZE = 14, /* what the oldest format took at least */
    RECORDS_MAX_BYTES = INT32_MAX,
};

void dump_batches_init(struct dump_batches *batches, const struct dump_file *file, int64_t position,
                       int64_t end)
{
    *batches = (struct dump_batches){.file = file, .position = position, .end = end};
}

void dump_batches_release(struct dump_batches *batches)
{
    free(batches->buffer);
}

static bool read_at(const struct dump_batches *batches, void *data, size_t len,
                    struct failure *failure)
{
    ssize_t n = pread(batches->file->fd, data, len, batches->position);
    if (n == (ssize_t)len)
        return true;
    return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE, "Cannot read %s: %s",
                       batches->file->path, n < 0 ? strerror(errno) : "it was cut meanwhile");
}

bool dump_batches_next(struct dump_batches *batches, struct record_batch *ret_batch,
                       struct failure *failure)
{
    uint8_t head[RECORD_BATCH_PEEK_SIZE];
    batches->ended = true;
    if (batches->position >= batches->end - (int64_t)sizeof(head))
        return true;
    if (!read_at(batches, head, sizeof(head), failure))
        return false;
    int32_t size = get_i32(head + 8);
    if (size < MIN_RECORD_SIZE)
        return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                           "Found record size %d smaller than minimum record overhead (%d) in "
                           "file %s.",
                           size, MIN_RECORD_SIZE, batches->file->path);
    int64_t whole = (int64_t)size + RECORD_BATCH_LOG_OVERHEAD;
    if (batches->position > batches->end - whole)
        return true;
    if ((size_t)whole > batches->capacity) {
        free(batches->buffer);
        batches->buffer = mem_try_alloc((size_t)whole);
        batches->capacity = batches->buffer ? (size_t)whole : 0;
        if (batches->buffer == NULL)
            return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                               "There is no memory for a batch of %lld bytes at %lld of %s",
                               (long long)whole, (long long)batches->position, batches->file->path);
    }
    if (!read_at(batches, batches->buffer, (size_t)whole, failure))
        return false;
    int rv = record_batch_parse(batches->buffer, (size_t)whole, ret_batch);
    if (rv == -ENOTSUP)
        return failure_set(failure, KAFKA_ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
                           "The batch at %lld of %s has message format %d, which Kafka 4 does not "
                           "write and this tool does not read",
                           (long long)batches->position, batches->file->path, head[16]);
    if (rv != 0)
        return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                           "There is no record batch at %lld of %s", (long long)batches->position,
                           batches->file->path);
    batches->position += whole;
    batches->ended = false;
    return true;
}

static const char *timestamp_name(const struct record_batch_header *h)
{
    return h->attributes & RECORD_BATCH_LOG_APPEND_TIME ? "LogAppendTime" : "CreateTime";
}

static const char *bool_name(bool value)
{
    return value ? "true" : "false";
}

static const char *codec_name(const struct record_batch_header *h)
{
    const char *name = compression_name(h->attributes & RECORD_BATCH_CODEC_MASK);
    return name ? name : "unknown";
}

static int32_t last_sequence(const struct record_batch_header *h)
{
    return h->base_sequence == RECORD_NO_SEQUENCE
               ? RECORD_NO_SEQUENCE
               : record_sequence_add(h->base_sequence, h->last_offset_delta);
}

static void print_batch(const struct record_batch *batch, int64_t position)
{
    const struct record_batch_header *h = &batch->header;
    printf("baseOffset: %" PRId64 " lastOffset: %" PRId64 " count: %d baseSequence: %d "
           "lastSequence: %d producerId: %" PRId64 " producerEpoch: %d partitionLeaderEpoch: %d "
           "isTransactional: %s isControl: %s deleteHorizonMs: ",
           h->base_offset, record_batch_last_offset(h), h->count, h->base_sequence,
           last_sequence(h), h->producer_id, h->producer_epoch, h->partition_leader_epoch,
           bool_name(h->attributes & RECORD_BATCH_TRANSACTIONAL),
           bool_name(h->attributes & RECORD_BATCH_CONTROL));
    if (h->attributes & RECORD_BATCH_DELETE_HORIZON)
        printf("OptionalLong[%" PRId64 "]", h->base_timestamp);
    else
        fputs("OptionalLong.empty", stdout);
    printf(" position: %" PRId64 " %s: %" PRId64
           " size: %d magic: %d compresscodec: %s crc: %" PRIu32 " isvalid: %s\n",
           position, timestamp_name(h), h->max_timestamp, batch->bytes.len, h->magic, codec_name(h),
           h->crc, bool_name(record_batch_crc_ok(batch)));
}

static json_t *json_of_batch(const struct record_batch *batch, int64_t position)
{
    const struct record_batch_header *h = &batch->header;
    json_t *object = json_object();
    json_object_set_new(object, "baseOffset", json_integer(h->base_offset));
    json_object_set_new(object, "lastOffset", json_integer(record_batch_last_offset(h)));
    json_object_set_new(object, "count", json_integer(h->count));
    json_object_set_new(object, "baseSequence", json_integer(h->base_sequence));
    json_object_set_new(object, "lastSequence", json_integer(last_sequence(h)));
    json_object_set_new(object, "producerId", json_integer(h->producer_id));
    json_object_set_new(object, "producerEpoch", json_integer(h->producer_epoch));
    json_object_set_new(object, "partitionLeaderEpoch", json_integer(h->partition_leader_epoch));
    json_object_set_new(object, "isTransactional",
                        json_boolean(h->attributes & RECORD_BATCH_TRANSACTIONAL));
    json_object_set_new(object, "isControl", json_boolean(h->attributes & RECORD_BATCH_CONTROL));
    json_object_set_new(object, "deleteHorizonMs",
                        h->attributes & RECORD_BATCH_DELETE_HORIZON
                            ? json_integer(h->base_timestamp)
                            : json_null());
    json_object_set_new(object, "position", json_integer(position));
    json_object_set_new(object, "timestampType", json_string(timestamp_name(h)));
    json_object_set_new(object, "maxTimestamp", json_integer(h->max_timestamp));
    json_object_set_new(object, "size", json_integer(batch->bytes.len));
    json_object_set_new(object, "magic", json_integer(h->magic));
    json_object_set_new(object, "compressCodec", json_string(codec_name(h)));
    json_object_set_new(object, "crc", json_integer(h->crc));
    json_object_set_new(object, "isValid", json_boolean(record_batch_crc_ok(batch)));
    return object;
}

static int32_t sequence_of(const struct record_batch_header *h, const struct record *record)
{
    return h->base_sequence == RECORD_NO_SEQUENCE
               ? RECORD_NO_SEQUENCE
               : record_sequence_add(h->base_sequence, record->offset_delta);
}

/* What is known of the record but its key and value. */
static void write_metadata(struct dump *dump, const struct record_batch_header *h,
                           const struct record *record)
{
    struct bytebuf *out = &dump->line;
    bytebuf_printf(out,
                   "| offset: %" PRId64 " %s: %" PRId64
                   " keySize: %d valueSize: %d sequence: %d headerKeys: [",
                   record->offset, timestamp_name(h), record->timestamp, record->key.len,
                   record->value.len, sequence_of(h, record));
    struct record_headers headers = record->headers;
    struct record_header header;
    for (bool first = true; record_headers_next(&headers, &header); first = false) {
        if (!first)
            bytebuf_append(out, ",", 1);
        java_text_append(out, (struct bytes){(const uint8_t *)header.key.data, header.key.len});
    }
    bytebuf_append(out, "]", 1);
    if (h->attributes & RECORD_BATCH_CONTROL)
        dump_control(dump, record, out);
}

static void write_part(struct dump *dump, const char *label, struct str text)
{
    if (str_is_null(text))
        return;
    bytebuf_printf(&dump->line, dump->line.len ? " %s: " : "| %s: ", label);
    bytebuf_append(&dump->line, text.data, (size_t)text.len);
}

static json_t *json_of_record(struct dump *dump, const struct record_batch_header *h,
                              const struct record *record, struct str key, struct str value)
{
    json_t *object = json_object(), *keys = json_array();
    json_object_set_new(object, "offset", json_integer(record->offset));
    json_object_set_new(object, "timestamp", json_integer(record->timestamp));
    json_object_set_new(object, "keySize", json_integer(record->key.len));
    json_object_set_new(object, "valueSize", json_integer(record->value.len));
    json_object_set_new(object, "sequence", json_integer(sequence_of(h, record)));
    struct record_headers headers = record->headers;
    struct record_header header;
    while (record_headers_next(&headers, &header))
        json_array_append_new(keys, tool_json_str(header.key));
    json_object_set_new(object, "headerKeys", keys);
    if (h->attributes & RECORD_BATCH_CONTROL) {
        dump_control(dump, record, &dump->line);
        struct str text = str_from((const char *)dump->line.data, dump->line.len);
        json_object_set_new(object, "control", tool_json_str(str_trim(text)));
        dump->line.len = 0;
    } else if (dump->print_data) {
        json_object_set_new(object, "key", tool_json_str(key));
        json_object_set_new(object, "payload", tool_json_str(value));
    }
    return object;
}

static bool show_record(struct dump *dump, const struct record_batch_header *h,
                        const struct record *record, json_t *list, struct failure *failure)
{
    struct str key = STR_NULL, value = STR_NULL;
    bool control = h->attributes & RECORD_BATCH_CONTROL;
    if (list == NULL && !dump->skip_metadata)
        write_metadata(dump, h, record);
    if (dump->print_data && !control && !dump_decode(dump, record, &key, &value, failure)) {
        /* What was known of it is shown nevertheless. */
        dump_print_text(dump);
        return false;
    }
    if (list != NULL) {
        json_array_append_new(list, json_of_record(dump, h, record, key, value));
        return true;
    }
    write_part(dump, "key", key);
    write_part(dump, "payload", value);
    dump_print_text(dump);
    putchar('\n');
    return true;
}

/* *last_offset: of the record before, -1 at first. */
static bool show_records(struct dump *dump, const char *path, const struct record_batch *batch,
                         int64_t *last_offset, json_t *list, struct failure *failure)
{
    struct record_iter it;
    struct record record;
    int rv = record_iter_init(&it, batch, RECORDS_MAX_BYTES, &dump->scratch);
    if (rv == 0) {
        bool ok = true;
        while (ok && (rv = record_iter_next(&it, &record)) == 1) {
            if (*last_offset >= 0 && record.offset != *last_offset + 1)
                dump_note(dump, DUMP_NOT_CONSECUTIVE, path, *last_offset, record.offset);
            *last_offset = record.offset;
            ok = show_record(dump, &batch->header, &record, list, failure);
        }
        record_iter_release(&it);
        if (!ok)
            return false;
    }
    arena_reset(&dump->arena);
    if (rv == 0)
        return true;
    return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                       "The records of the batch at offset %" PRId64 " cannot be read: %s",
                       batch->header.base_offset,
                       rv == -EBADMSG   ? "they are broken"
                       : rv == -ENOTSUP ? "their codec is unknown"
                                        : strerror(-rv));
}

static bool show_batch(struct dump *dump, const struct dump_batches *batches,
                       const struct record_batch *batch, int64_t *last_offset,
                       struct failure *failure)
{
    const char *path = batches->file->path;
    int64_t position = batches->position - batch->bytes.len;
    if (!dump->tool.json) {
        print_batch(batch, position);
        return !dump->deep || show_records(dump, path, batch, last_offset, NULL, failure);
    }
    json_t *object = json_of_batch(batch, position);
    json_t *list = dump->deep ? json_array() : NULL;
    bool ok = list == NULL || show_records(dump, path, batch, last_offset, list, failure);
    if (list != NULL)
        json_object_set_new(object, "records", list);
    dump_print_json(dump, path, object);
    return ok;
}

/* What the name says of the file. */
static bool show_name(struct dump *dump, const char *path, struct failure *failure)
{
    const char *slash = strrchr(path, '/');
    struct str name = str_of(slash ? slash + 1 : path), number;
    int64_t offset, epoch;
    if (str_ends_with(name, STR(".log"))) {
        if (!dump_base_offset(path, &offset, failure))
            return false;
        if (!dump->tool.json)
            printf("Log starting offset: %" PRId64 "\n", offset);
        return true;
    }
    if (str_eq_z(name, "bootstrap.checkpoint")) {
        if (!dump->tool.json)
            puts("KRaft bootstrap snapshot");
        return true;
    }
    str_split(&name, '-', &number);
    struct str rest = name;
    str_split(&rest, '.', &name);
    if (str_to_i64(number, &offset) != 0 || str_to_i64(name, &epoch) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "%s: the name of a snapshot is OFFSET-EPOCH.checkpoint", path);
    if (!dump->tool.json)
        printf("Snapshot end offset: %" PRId64 ", epoch: %" PRId64 "\n", offset, epoch);
    return true;
}

bool dump_log(struct dump *dump, const char *path, struct failure *failure)
{
    struct dump_file file;
    struct dump_batches batches;
    struct record_batch batch;
    int64_t last_offset = -1;
    if (!show_name(dump, path, failure) || !dump_open(path, &file, failure))
        return false;
    dump_batches_init(&batches, &file, 0, MIN(file.size_bytes, dump->max_bytes));
    bool ok;
    while ((ok = dump_batches_next(&batches, &batch, failure)) && !batches.ended)
        if (!(ok = show_batch(dump, &batches, &batch, &last_offset, failure)))
            break;
    int64_t trailing = batches.end - batches.position;
    if (ok && trailing > 0 && dump->max_bytes == INT32_MAX) {
        const char *slash = strrchr(path, '/');
        if (dump->tool.json)
            dump_print_json(dump, path, json_pack("{s:I}", "invalidBytes", (json_int_t)trailing));
        else
            printf("Found %" PRId64 " invalid bytes at the end of %s\n", trailing,
                   slash ? slash + 1 : path);
    }
    dump_batches_release(&batches);
    dump_close(&file);
    return ok;
}
