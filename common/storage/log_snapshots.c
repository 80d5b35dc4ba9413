#include "common/storage/log_internal.h"

#include "common/base/mem.h"
#include "common/base/mutation.h"
#include "common/storage/producer_snapshot.h"

#include <errno.h>

static int snapshot_path(const struct log *log, int64_t offset, char path[PATH_MAX])
{
    return log_file_path(path, log->place.path, LOG_FILE_SNAPSHOT, offset, LOG_FILE_LIVE)
               ? 0
               : -ENAMETOOLONG;
}

void log_snapshot_found(struct log *log, int64_t offset)
{
    size_t at = log->snapshot_count;
    VEC_PUSH(log->snapshots, log->snapshot_count, log->snapshot_capacity) = offset;
    for (; at > 0 && log->snapshots[at - 1] > offset; at--)
        log->snapshots[at] = log->snapshots[at - 1];
    log->snapshots[at] = offset;
}

void log_snapshot_forget(struct log *log, int64_t offset)
{
    size_t kept = 0;
    for (size_t i = 0; i < log->snapshot_count; i++)
        if (log->snapshots[i] != offset)
            log->snapshots[kept++] = log->snapshots[i];
    log->snapshot_count = kept;
}

bool log_snapshot_is_there(const struct log *log, int64_t offset)
{
    for (size_t i = log->snapshot_count; i-- > 0;)
        if (log->snapshots[i] == offset)
            return true;
    return false;
}

int64_t log_snapshot_newest(const struct log *log)
{
    return log->snapshot_count > 0 ? log->snapshots[log->snapshot_count - 1] : -1;
}

void log_snapshot_replaced(struct log *log, int64_t old, int64_t offset)
{
    log_snapshot_forget(log, old);
    log_snapshot_forget(log, offset);
    log_snapshot_found(log, offset);
}

int log_snapshot_take(struct log *log)
{
    int64_t offset = log->producers.end_offset;
    if (log->snapshot_count > 0 && log->snapshots[log->snapshot_count - 1] >= offset)
        return 0;
    char path[PATH_MAX];
    int rv = snapshot_path(log, offset, path);
    if (rv == 0)
        rv = producer_snapshot_save(&log->producers, log->place.disk, path);
    if (rv != 0)
        return rv;
    log_snapshot_found(log, offset);
    log->bytes_since_snapshot = 0;
    log->snapshot_dirty = true;
    log->dir_dirty = true;
    return 0;
}

void log_exchange_producers(struct log *log, struct log *other)
{
    struct producer_state own = log->producers;
    CHECK(log->end_offset == other->end_offset && own.end_offset == other->producers.end_offset);
    log->producers = other->producers;
    other->producers = own;
}

int log_snapshot_retake(struct log *log)
{
    if (log->end_offset == 0)
        return 0;
    int rv = log_snapshots_drop(log, log->end_offset - 1, 0);
    return rv == 0 ? log_snapshot_take(log) : rv;
}

static int remove_snapshot(struct log *log, size_t at)
{
    char path[PATH_MAX];
    int rv = snapshot_path(log, log->snapshots[at], path);
    if (rv == 0)
        rv = log->place.disk->ops->unlink(log->place.disk, path);
    if (rv != 0 && rv != -ENOENT)
        return rv;
    log->snapshot_count--;
    memmove(log->snapshots + at, log->snapshots + at + 1,
            (log->snapshot_count - at) * sizeof(*log->snapshots));
    log->dir_dirty = true;
    return 0;
}

int log_snapshots_drop(struct log *log, int64_t above, int64_t below)
{
    log->synced_snapshot = MIN(log->synced_snapshot, above);
    for (size_t i = log->snapshot_count; i-- > 0;) {
        if (log->snapshots[i] <= above && log->snapshots[i] >= below)
            continue;
        int rv = remove_snapshot(log, i);
        if (rv != 0)
            return rv;
    }
    return 0;
}

int log_snapshots_prune(struct log *log)
{
    for (size_t i = log->snapshot_count; i-- > 0;) {
        int64_t offset = log->snapshots[i];
        const struct segment *s = log->segments[log_segment_at(log, offset)];
        bool newest = i + 1 == log->snapshot_count;
        if (s->base_offset == offset || (newest && offset >= log->segments[0]->base_offset))
            continue;
        int rv = remove_snapshot(log, i);
        if (rv != 0)
            return rv;
    }
    return 0;
}

int log_producers_load(struct log *log, int64_t limit, int64_t now_ms)
{
    int64_t first = log->segments[0]->base_offset;
    for (size_t i = log->snapshot_count; i-- > 0;) {
        int64_t offset = log->snapshots[i];
        if (offset > limit || offset < first)
            continue;
        if (MUTATED(log->place.disk, FORGET_PRODUCER_SNAPSHOT)) {
            producer_state_clear(&log->producers, offset);
            return 0;
        }
        char path[PATH_MAX];
        int rv = snapshot_path(log, offset, path);
        if (rv != 0)
            return rv;
        producer_state_clear(&log->producers, offset);
        rv = producer_snapshot_load(&log->producers, log->place.disk, path, now_ms,
                                    log->config.producer_id_expiration_ms);
        if (rv == 0)
            return 0;
        if (rv == -EBADMSG || rv == -ENOENT || rv == -EFBIG)
            rv = remove_snapshot(log, i);
        if (rv != 0)
            return rv;
    }
    producer_state_clear(&log->producers, first);
    return 0;
}

static int apply_segment(struct log *log, struct segment *s, struct batch_reader *reader,
                         int64_t offset)
{
    struct segment_found found;
    int rv = segment_find(s, &log->place, log->producers.end_offset, &found);
    if (rv == 0)
        rv = segment_open(s, &log->place);
    if (rv != 0)
        return rv;
    struct disk_file *file = disk_file_ref(s->log_file.file);
    batch_reader_reset(reader, file, found.position, s->size_bytes);
    struct batch_view view;
    while ((rv = batch_reader_next(reader, &view)) == 1 && view.header.base_offset < offset) {
        if (view.header.attributes & RECORD_BATCH_CONTROL)
            rv = batch_reader_fetch(reader, &view);
        if (rv < 0)
            break;
        struct record_batch batch = {view.bytes, view.header};
        struct producer_change change;
        if (producer_state_apply(&log->producers, &batch, &change))
            producer_state_commit(&log->producers, &change);
    }
    disk_file_unref(file);
    return rv < 0 ? rv : 0;
}

static int apply_segments(struct log *log, int64_t offset)
{
    struct batch_reader reader;
    batch_reader_init(&reader, NULL, 0, 0, false);
    int rv = 0;
    for (size_t at = log_segment_at(log, log->producers.end_offset);
         rv == 0 && at < log->segment_count && log->producers.end_offset < offset; at++) {
        if (log->segments[at]->base_offset >= offset)
            break;
        if (log->segments[at]->size_bytes > 0)
            rv = apply_segment(log, log->segments[at], &reader, offset);
    }
    batch_reader_release(&reader);
    return rv;
}

int log_producers_advance(struct log *log, int64_t offset)
{
    int rv = apply_segments(log, offset);
    /* Records below the log start need not be readable: nobody syncs them for their own sake. Those
     * from there on count all the same. */
    if (rv == -EBADMSG && log->producers.end_offset < log->start_offset) {
        producer_state_clear(&log->producers, MIN(log->start_offset, offset));
        rv = apply_segments(log, offset);
    }
    if (rv == 0)
        log->producers.end_offset = offset;
    return rv;
}

int log_producers_rebuild(struct log *log, int64_t offset, int64_t now_ms)
{
    int rv = log_producers_load(log, offset, now_ms);
    if (rv == 0)
        rv = log_producers_advance(log, offset);
    if (rv == 0)
        producer_state_high_watermark(&log->producers, log->high_watermark);
    return rv;
}
