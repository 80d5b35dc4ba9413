/*
 * Reading. Followers and consumers at the tail ask for offsets where an append began, and those are
 * remembered; any other offset is found by the offset index and a look at a few headers.
 */
#include "common/storage/log_internal.h"

#include "common/base/mem.h"
#include "common/storage/log_flush.h"
#include "common/storage/log_scan.h"

#include <errno.h>
#include <stdlib.h>

static const struct log_hint *find_hint(const struct log *log, int64_t offset)
{
    for (int i = 0; i < LOG_HINTS; i++)
        if (log->hints[i].offset == offset)
            return &log->hints[i];
    return NULL;
}

static int find_in(struct log *log, size_t at, int64_t offset, struct segment_found *ret_found)
{
    struct segment *s = log->segments[at];
    if (s == log_active(log)) {
        const struct log_hint *hint = find_hint(log, offset);
        if (hint != NULL) {
            *ret_found = (struct segment_found){.position = hint->position};
            return 0;
        }
        if (offset >= log->end_offset) {
            *ret_found = (struct segment_found){.position = s->size_bytes};
            return 0;
        }
    }
    return segment_find(s, &log->place, offset, ret_found);
}

/* Where reading up to `upper_offset` ends within segment `at`. */
static int find_end(struct log *log, size_t at, int64_t upper_offset, int64_t *ret_position)
{
    struct segment *s = log->segments[at];
    if (upper_offset >= log_segment_end(log, at)) {
        *ret_position = s->size_bytes;
        return 0;
    }
    struct segment_found found;
    int rv = find_in(log, at, upper_offset, &found);
    if (rv == 0)
        *ret_position = found.position;
    return rv;
}

static int first_batch_size(struct segment *s, struct segment_found *found)
{
    if (found->size_bytes > 0)
        return 0;
    uint8_t peek[RECORD_BATCH_PEEK_SIZE];
    size_t size;
    ssize_t n = disk_pread(s->log_file.file, peek, sizeof(peek), found->position);
    if (n < (ssize_t)sizeof(peek))
        return n < 0 ? (int)n : -EIO;
    int rv = record_batch_peek_size(peek, sizeof(peek), INT32_MAX, &size);
    if (rv != 0)
        return -EBADMSG;
    found->size_bytes = (int32_t)size;
    return 0;
}

int log_read(struct log *log, const struct log_read_args *args, struct log_read_result *ret)
{
    if (args->offset < log->start_offset || args->offset > log->end_offset)
        return -ERANGE;
    struct log_read_result result = {0};
    int64_t upper = MIN(args->upper_offset, log->end_offset);
    /* After compaction the batch may be in a later segment than the offset. */
    for (size_t at = log_segment_at(log, args->offset); at < log->segment_count; at++) {
        struct segment *s = log->segments[at];
        struct segment_found found;
        int64_t end = 0;
        if (args->offset >= upper || s->base_offset >= upper)
            break;
        int rv = find_in(log, at, args->offset, &found);
        if (rv == 0 && found.position < s->size_bytes)
            rv = find_end(log, at, upper, &end);
        if (rv != 0)
            return rv;
        if (found.position >= s->size_bytes)
            continue;
        int64_t available = end - found.position;
        if (available <= 0)
            break;
        rv = segment_open(s, &log->place);
        if (rv == 0 && args->min_one && available > args->max_bytes)
            rv = first_batch_size(s, &found);
        if (rv != 0)
            return rv;
        int64_t wanted = args->min_one ? MAX(args->max_bytes, found.size_bytes) : args->max_bytes;
        result = (struct log_read_result){
            .position = found.position,
            .size_bytes = (int32_t)MAX(MIN(available, wanted), 0),
            .first_batch_bytes = found.size_bytes,
            .segment_base_offset = s->base_offset,
        };
        if (result.size_bytes > 0)
            result.file = disk_file_ref(s->log_file.file);
        break;
    }
    *ret = result;
    return 0;
}

/* The kernel reads ahead at least so much at once. */
enum { WARM_WINDOW_BYTES = 128 << 10 };

bool log_is_warm(struct log *log, int64_t offset, int32_t max_bytes)
{
    if (offset < log->start_offset || offset >= log->end_offset)
        return true; /* nothing is read then */
    size_t at = log_segment_at(log, offset);
    struct segment *s = log->segments[at];
    if (s == log_active(log) && find_hint(log, offset) != NULL && s->log_file.file != NULL)
        return true; /* it was just written */
    struct index_file *index = &s->offset_index;
    if (s->log_file.file == NULL)
        return false;
    /* The start of a segment is found without its index, also by who warms it. */
    if (offset > s->base_offset &&
        (index->count < 0 || (index->slot.file == NULL && index->count > index->tail_count)))
        return false;
    struct segment_found found;
    if (find_in(log, at, offset, &found) != 0)
        return true; /* let the read itself meet the error */
    int64_t end = MIN(s->size_bytes, found.position + max_bytes);
    for (int64_t p = found.position; p < end; p += WARM_WINDOW_BYTES)
        if (!log->place.disk->ops->cached(s->log_file.file, p))
            return false;
    return true;
}

struct log_warm {
    struct disk *disk;
    int64_t base_offset, size_bytes, offset;
    int32_t max_bytes;
    char *path;
    int rv;
    struct disk_file *log_file, *index_file;
    bool has_index;
};

struct log_warm *log_warm_begin(struct log *log, int64_t offset, int32_t max_bytes)
{
    struct segment *s = log->segments[log_segment_at(log, offset)];
    struct log_warm *warm = mem_alloc(sizeof(*warm));
    *warm = (struct log_warm){
        .disk = log->place.disk,
        .base_offset = s->base_offset,
        .size_bytes = s->size_bytes,
        .offset = offset,
        .max_bytes = max_bytes,
        .path = mem_strdup(log->place.path),
        .has_index = s->offset_index.exists,
    };
    log->jobs++;
    return warm;
}

/* Where to begin is found as the reader will: with a segment of our own over the same files. */
void log_warm_run(struct log_warm *warm)
{
    struct file_cache files;
    file_cache_init(&files, 8);
    struct log_place place = {warm->disk, &files, warm->path};
    struct segment_files exist = {.offset_index = warm->has_index};
    struct segment *s = segment_new(warm->base_offset, warm->size_bytes, exist, 0);
    s->offset_index.read_only = true; /* the loop may be appending to it */
    struct segment_found found;
    warm->rv = segment_open(s, &place);
    if (warm->rv == 0)
        warm->rv = segment_find(s, &place, warm->offset, &found);
    if (warm->rv == 0) {
        int64_t end = MIN(s->size_bytes, found.position + warm->max_bytes);
        char byte;
        for (int64_t p = found.position; p < end && warm->rv == 0; p += WARM_WINDOW_BYTES)
            warm->rv = (int)MIN(disk_pread(s->log_file.file, &byte, 1, p), 0);
        warm->log_file = disk_file_ref(s->log_file.file);
        if (s->offset_index.slot.file != NULL)
            warm->index_file = disk_file_ref(s->offset_index.slot.file);
    }
    segment_free(s, &place);
    file_cache_release(&files);
}

int log_warm_end(struct log *log, struct log_warm *warm)
{
    struct segment *s = log->segments[log_segment_at(log, warm->offset)];
    bool same = s->base_offset == warm->base_offset;
    if (warm->log_file != NULL && same)
        file_slot_adopt(log->place.files, &s->log_file, warm->log_file);
    else
        disk_file_unref(warm->log_file);
    if (warm->index_file != NULL && same) {
        file_slot_adopt(log->place.files, &s->offset_index.slot, warm->index_file);
        (void)index_file_load(&s->offset_index, &log->place); /* the read meets its error */
    } else {
        disk_file_unref(warm->index_file);
    }
    int rv = warm->rv;
    free(warm->path);
    free(warm);
    log->jobs--;
    return rv;
}

int log_scan(struct log *log, int64_t offset, bool whole,
             int (*each)(void *ctx, const struct log_scan_batch *batch), void *ctx)
{
    if (offset < log->start_offset || offset > log->end_offset)
        return -ERANGE;
    struct batch_reader reader;
    batch_reader_init(&reader, NULL, 0, 0, whole);
    int rv = 0;
    for (size_t at = log_segment_at(log, offset); rv == 0 && at < log->segment_count; at++) {
        struct segment *s = log->segments[at];
        struct segment_found found;
        rv = find_in(log, at, offset, &found);
        if (rv == 0)
            rv = segment_open(s, &log->place);
        if (rv != 0)
            break;
        struct disk_file *file = disk_file_ref(s->log_file.file);
        batch_reader_reset(&reader, file, found.position, s->size_bytes);
        struct batch_view view;
        while (rv == 0 && (rv = batch_reader_next(&reader, &view)) == 1) {
            struct log_scan_batch batch = {
                .header = &view.header,
                .segment_base_offset = s->base_offset,
                .position = view.position,
                .size_bytes = view.size_bytes,
                .bytes = view.bytes,
            };
            rv = each(ctx, &batch);
        }
        disk_file_unref(file);
    }
    batch_reader_release(&reader);
    return rv;
}
