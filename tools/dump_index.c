/* Offset and time indexes, compared with the log beside them. */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/storage/index_file.h"
#include "tools/dump_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

struct index_view {
    enum log_file_kind kind;
    const char *path;
    int64_t base_offset;
    struct bytes data;
    int32_t count;
};

static struct index_entry entry_at(const struct index_view *index, int32_t at)
{
    struct index_entry entry;
    index_entry_decode(index->kind, index->base_offset,
                       index->data.data + (size_t)at * (size_t)index_entry_size(index->kind),
                       &entry);
    return entry;
}

static bool load(enum log_file_kind kind, const char *path, struct index_view *ret_index,
                 struct failure *failure)
{
    struct index_view index = {.kind = kind, .path = path};
    if (!dump_base_offset(path, &index.base_offset, failure) ||
        !dump_read_all(path, &index.data, failure))
        return false;
    index.count = index.data.len / index_entry_size(kind);
    *ret_index = index;
    return true;
}

static void release(struct index_view *index)
{
    free((void *)(uintptr_t)index->data.data);
}

/* The file of the same segment with another ending, in fresh memory. */
static char *sibling(const char *path, const char *suffix)
{
    const char *slash = strrchr(path, '/');
    size_t dir = slash ? (size_t)(slash - path) + 1 : 0;
    return mem_printf("%.*s%s", (int)(dir + strcspn(path + dir, ".")), path, suffix);
}

/* Absolute, as Kafka says it. */
static bool corrupt(const struct index_view *index, const char *format, int64_t a, int64_t b,
                    struct failure *failure)
{
    char *full = realpath(index->path, NULL);
    char *text;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    text = mem_printf(format, full ? full : index->path, (long long)a, (long long)b);
#pragma GCC diagnostic pop
    failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE, "%s", text);
    free(text);
    free(full);
    return false;
}

/* What a broker checks when it starts. */
static bool check(const struct index_view *index, struct failure *failure)
{
    int32_t size = index_entry_size(index->kind);
    bool time = index->kind == LOG_FILE_TIME_INDEX;
    if (index->count > 0) {
        struct index_entry first = entry_at(index, 0), last = entry_at(index, index->count - 1);
        if (time && last.timestamp < first.timestamp)
            return corrupt(index,
                           "Corrupt time index found, time index file (%s) has non-zero size but "
                           "the last timestamp is %lld which is less than the first timestamp %lld",
                           last.timestamp, first.timestamp, failure);
        if (last.offset < index->base_offset)
            return corrupt(index,
                           time ? "Corrupt time index found, time index file (%s) has non-zero "
                                  "size but the last offset is %lld which is less than the first "
                                  "offset %lld"
                                : "Corrupt index found, index file (%s) has non-zero size but the "
                                  "last offset is %lld which is less than the base offset %lld",
                           last.offset, index->base_offset, failure);
    }
    if (index->data.len % size != 0)
        return corrupt(index,
                       time ? "Time index file %s is corrupt, found %lld bytes which is neither "
                              "positive nor a multiple of %lld"
                            : "Index file %s is corrupt, found %lld bytes which is neither "
                              "positive nor a multiple of %lld",
                       index->data.len, size, failure);
    return true;
}

static void report(struct dump *dump, const char *path, const char *key, const char *sentence)
{
    if (dump->tool.json)
        dump_print_json(dump, path, json_pack("{s:b}", key, 1));
    else
        printf("%s %s\n", path, sentence);
}

/* A file that a killed broker left: preallocated with zeros, nothing in it. */
static bool only_zeros(const struct index_view *index)
{
    for (int32_t i = 0; i < index->data.len; i++)
        if (index->data.data[i] != 0)
            return false;
    return true;
}

/* The first batch at a position, for its last offset. */
static bool batch_at(struct dump *dump, const struct index_view *index, int32_t at,
                     const struct dump_file *log, int64_t *ret_last_offset, struct failure *failure)
{
    struct index_entry entry = entry_at(index, at);
    struct dump_batches batches;
    struct record_batch batch;
    int64_t end = MIN(log->size_bytes, (int64_t)entry.position + dump->max_message_size);
    dump_batches_init(&batches, log, entry.position, end);
    batches.ended = true;
    bool ok = entry.position < 0 || entry.position > log->size_bytes ||
              dump_batches_next(&batches, &batch, failure);
    if (ok && batches.ended)
        ok = failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                         "%s: entry %d (offset: %" PRId64 " position: %d) points to no batch in %s",
                         index->path, at, entry.offset, entry.position, log->path);
    else if (ok)
        *ret_last_offset = record_batch_last_offset(&batch.header);
    dump_batches_release(&batches);
    return ok;
}

static bool show_index(struct dump *dump, const struct index_view *index,
                       const struct dump_file *log, struct failure *failure)
{
    size_t first_note = dump->notes_count;
    for (int32_t i = 0; i < index->count; i++) {
        struct index_entry entry = entry_at(index, i);
        int64_t last_offset = -1;
        if (entry.offset <= index->base_offset && i > 0)
            break;
        if (!batch_at(dump, index, i, log, &last_offset, failure))
            return false;
        if (last_offset != entry.offset)
            dump_note(dump, DUMP_INDEX_MISMATCH, index->path, entry.offset, last_offset);
        if (dump->verify_only)
            continue;
        if (dump->tool.json)
            dump_print_json(dump, index->path,
                            json_pack("{s:I,s:i}", "offset", (json_int_t)entry.offset, "position",
                                      (int)entry.position));
        else
            printf("offset: %" PRId64 " position: %d\n", entry.offset, entry.position);
    }
    /* Of one index, the last mismatch comes first. */
    for (size_t a = first_note, b = dump->notes_count; a + 1 < b; a++, b--) {
        struct dump_note note = dump->notes[a];
        dump->notes[a] = dump->notes[b - 1];
        dump->notes[b - 1] = note;
    }
    return true;
}

bool dump_index(struct dump *dump, const char *path, struct failure *failure)
{
    struct index_view index;
    struct dump_file log = {.fd = -1};
    char *log_path = sibling(path, ".log");
    bool ok = load(LOG_FILE_INDEX, path, &index, failure);
    if (ok) {
        ok = dump_open(log_path, &log, failure);
        if (ok && (index.count == 0 || (log.size_bytes == 0 && only_zeros(&index))))
            report(dump, path, "empty", "is empty.");
        else if (ok && dump->sanity_only && (ok = check(&index, failure)))
            report(dump, path, "sane", "passed sanity check.");
        else if (ok && !dump->sanity_only)
            ok = show_index(dump, &index, &log, failure);
        if (log.fd >= 0)
            dump_close(&log);
        release(&index);
    }
    free(log_path);
    return ok;
}

/* Where in the log an offset is, or something before it. */
static int32_t lookup(const struct index_view *index, int64_t offset)
{
    int32_t position = 0;
    int64_t before = index->base_offset - 1;
    for (int32_t i = 0; i < index->count; i++) {
        struct index_entry entry = entry_at(index, i);
        if (entry.offset > offset || entry.offset <= before)
            break;
        before = entry.offset;
        position = entry.position;
    }
    return position;
}

static bool max_timestamp(struct dump *dump, const struct record_batch *batch, int64_t *ret_max,
                          struct failure *failure)
{
    struct record_iter it;
    struct record record;
    int64_t max = RECORD_NO_TIMESTAMP;
    int rv = record_iter_init(&it, batch, INT32_MAX, &dump->scratch);
    if (rv == 0) {
        while ((rv = record_iter_next(&it, &record)) == 1)
            max = MAX(max, record.timestamp);
        record_iter_release(&it);
    }
    if (rv != 0)
        return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                           "The records of the batch at offset %" PRId64 " cannot be read",
                           batch->header.base_offset);
    *ret_max = max;
    return true;
}

/* Compares an entry with the batch that it names. */
static bool compare_time(struct dump *dump, const struct index_view *index,
                         const struct index_entry *entry, int64_t before,
                         struct dump_batches *batches, struct failure *failure)
{
    struct record_batch batch;
    do {
        if (!dump_batches_next(batches, &batch, failure))
            return false;
    } while (!batches->ended && record_batch_last_offset(&batch.header) < entry->offset);
    if (batches->ended || record_batch_last_offset(&batch.header) != entry->offset) {
        dump_note(dump, DUMP_OFFSET_NOT_FOUND, index->path, entry->offset,
                  batches->ended ? -1 : record_batch_last_offset(&batch.header));
        return true;
    }
    int64_t max = -1;
    if (!max_timestamp(dump, &batch, &max, failure))
        return false;
    if (max != entry->timestamp)
        dump_note(dump, DUMP_TIME_MISMATCH, index->path, entry->timestamp, max);
    if (before >= entry->timestamp)
        dump_note(dump, DUMP_TIME_ORDER, index->path, entry->timestamp, before);
    return true;
}

static bool show_time_index(struct dump *dump, const struct index_view *index,
                            const struct index_view *offsets, const struct dump_file *log,
                            struct failure *failure)
{
    int64_t before = RECORD_NO_TIMESTAMP;
    bool ok = true;
    for (int32_t i = 0; i < index->count && ok; i++) {
        struct index_entry entry = entry_at(index, i);
        if (entry.offset == index->base_offset && i > 0)
            break;
        struct dump_batches batches;
        dump_batches_init(&batches, log, lookup(offsets, entry.offset), log->size_bytes);
        ok = compare_time(dump, index, &entry, before, &batches, failure);
        dump_batches_release(&batches);
        before = entry.timestamp;
        if (dump->verify_only || !ok)
            continue;
        if (dump->tool.json)
            dump_print_json(dump, index->path,
                            json_pack("{s:I,s:I}", "timestamp", (json_int_t)entry.timestamp,
                                      "offset", (json_int_t)entry.offset));
        else
            printf("timestamp: %" PRId64 " offset: %" PRId64 "\n", entry.timestamp, entry.offset);
    }
    return ok;
}

bool dump_time_index(struct dump *dump, const char *path, struct failure *failure)
{
    struct index_view index, offsets = {.kind = LOG_FILE_INDEX};
    struct dump_file log = {.fd = -1};
    struct stat info;
    char *log_path = sibling(path, ".log"), *offsets_path = sibling(path, ".index");
    bool ok = load(LOG_FILE_TIME_INDEX, path, &index, failure);
    if (ok) {
        ok = dump_open(log_path, &log, failure);
        /* Without it every look-up starts at the front. */
        if (ok && stat(offsets_path, &info) == 0)
            ok = load(LOG_FILE_INDEX, offsets_path, &offsets, failure);
        if (ok && dump->sanity_only && (ok = check(&index, failure)))
            report(dump, path, "sane", "passed sanity check.");
        else if (ok && !dump->sanity_only)
            ok = show_time_index(dump, &index, &offsets, &log, failure);
        if (log.fd >= 0)
            dump_close(&log);
        release(&offsets);
        release(&index);
    }
    free(offsets_path);
    free(log_path);
    return ok;
}
