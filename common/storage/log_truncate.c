#include "common/storage/log_truncate.h"

#include "common/storage/log_dir.h"
#include "common/storage/log_internal.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>

enum { COPY_BYTES = 256 * 1024 };

/* What was cut must not come back after a power cut: data that is appended from here on would be
 * joined with it. */
static int sync_cut(struct log *log)
{
    struct disk *disk = log->place.disk;
    struct segment *s = log_active(log);
    int rv = segment_open(s, &log->place);
    if (rv == 0)
        rv = disk->ops->fsync(s->log_file.file);
    if (rv == 0)
        rv = disk->ops->fsync_dir(disk, log->place.path);
    return rv;
}

/* Some of the cut may be in the page cache only. */
static void give_up(struct log *log)
{
    log->failed = true;
    log_dir_distrust_of(log->place.disk, log->place.path);
}

static void clamp(struct log *log, int64_t end)
{
    log->end_offset = end;
    log->durable_end = MIN(log->durable_end, end);
    log->recovery_point = MIN(log->recovery_point, end);
    log->high_watermark = MIN(log->high_watermark, end);
    log->flush_requested_offset = MIN(log->flush_requested_offset, end);
    log_forget_hints(log);
}

static int drop_segments(struct log *log, size_t keep, int64_t now_ms)
{
    while (log->segment_count > keep) {
        struct segment *last = log->segments[--log->segment_count];
        log->size_bytes -= last->size_bytes;
        int rv = log_doom_segment(log, last, now_ms + log->config.file_delete_delay_ms);
        if (rv != 0)
            return rv;
    }
    return 0;
}

/* Cuts within one segment; *ret_end is where the log ends then. */
static int cut_segment(struct log *log, struct segment *s, int64_t offset, int64_t *ret_end)
{
    struct segment_found found;
    int rv = segment_find(s, &log->place, offset, &found);
    if (rv != 0)
        return rv;
    int64_t end = found.position < s->size_bytes ? MIN(found.base_offset, offset) : offset;
    if (found.position < s->size_bytes) {
        log->size_bytes -= s->size_bytes - found.position;
        rv = segment_truncate(s, &log->place, found.position, found.base_offset);
        if (rv == 0 && found.position > 0)
            rv = log_scan_tail(log, s, &end);
    }
    *ret_end = end;
    return rv;
}

static int truncate_to(struct log *log, int64_t offset, int64_t now_ms)
{
    size_t at = log_segment_at(log, offset);
    int64_t end;
    /* Later segments go first: until all is synced, what is left is a prefix at any time. */
    int rv = drop_segments(log, at + 1, now_ms);
    if (rv == 0)
        rv = cut_segment(log, log->segments[at], offset, &end);
    if (rv != 0)
        return rv;
    clamp(log, end);
    epoch_cache_truncate_end(&log->epochs, end);
    rv = log_snapshots_drop(log, end, 0);
    if (rv == 0)
        rv = log_save_epochs(log);
    if (rv == 0)
        rv = sync_cut(log);
    return rv == 0 ? log_producers_rebuild(log, end, now_ms) : rv;
}

int log_truncate_to(struct log *log, int64_t offset, int64_t now_ms)
{
    CHECK(offset >= 0);
    if (log->failed)
        return -EIO;
    if (offset >= log->end_offset)
        return 0;
    if (offset < log->segments[0]->base_offset)
        return log_truncate_fully(log, offset, -1, now_ms);
    CHECK(log->jobs == 0);
    int rv = truncate_to(log, offset, now_ms);
    if (rv != 0)
        give_up(log);
    else
        log->start_offset = MIN(log->start_offset, log->end_offset);
    if (rv == 0)
        log_publish(log);
    return rv;
}

static int truncate_fully(struct log *log, int64_t offset, int64_t start_offset, int64_t now_ms)
{
    int rv = drop_segments(log, 0, now_ms);
    if (rv == 0)
        rv = log_snapshots_drop(log, -1, 0);
    if (rv == 0)
        rv = log_new_segment(log, offset, now_ms);
    if (rv != 0)
        return rv;
    clamp(log, offset);
    log->start_offset = start_offset >= 0 ? MIN(start_offset, offset) : offset;
    log->durable_end = log->recovery_point = log->end_offset;
    log->high_watermark = log->end_offset;
    log->unflushed_bytes = log->unchecked_bytes = 0;
    log->flush_requested_offset = offset;
    epoch_cache_clear(&log->epochs);
    producer_state_clear(&log->producers, offset);
    rv = log_save_epochs(log);
    return rv == 0 ? sync_cut(log) : rv;
}

int log_truncate_fully(struct log *log, int64_t offset, int64_t start_offset, int64_t now_ms)
{
    CHECK(offset >= 0 && log->jobs == 0);
    if (log->failed)
        return -EIO;
    int rv = truncate_fully(log, offset, start_offset, now_ms);
    if (rv != 0)
        give_up(log);
    else
        log_publish(log);
    return rv;
}

static int write_segment_again(struct log *log, struct segment *s, int64_t position, void *buffer)
{
    const struct disk_ops *ops = log->place.disk->ops;
    int rv = segment_open(s, &log->place);
    if (rv != 0)
        return rv;
    struct disk_file *file = s->log_file.file;
    int64_t size = ops->size(file);
    if (size < 0)
        return (int)size;
    while (rv == 0 && position < s->size_bytes) {
        int64_t len = MIN(s->size_bytes - position, COPY_BYTES);
        ssize_t n = disk_pread(file, buffer, (size_t)len, position);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        rv = disk_pwrite(file, buffer, (size_t)n, position);
        position += n;
    }
    /* A cut may be among what was lost. */
    if (rv == 0)
        rv = ops->truncate(file, size + 1);
    if (rv == 0)
        rv = ops->truncate(file, size);
    if (rv == -ENOSPC || rv == -EDQUOT)
        rv = 0;
    s->dirty = true;
    file_slot_pin(log->place.files, &s->log_file);
    return rv;
}

int log_write_again(struct log *log, int64_t offset)
{
    size_t first = log_segment_at(log, offset);
    struct segment_found found;
    int rv = segment_find(log->segments[first], &log->place, offset, &found);
    void *buffer = mem_alloc(COPY_BYTES);
    for (size_t i = first; i < log->segment_count && rv == 0; i++)
        rv = write_segment_again(log, log->segments[i], i == first ? found.position : 0, buffer);
    free(buffer);
    return rv;
}
