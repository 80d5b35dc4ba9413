#include "common/storage/log_internal.h"

#include "common/base/mem.h"
#include "common/storage/log_truncate.h"

#include <errno.h>

/* So that the logs of a topic do not all roll in one moment. The same for the same seed. */
static int64_t jitter(const struct log *log, int64_t base_offset)
{
    int64_t range = MIN(log->config.segment_jitter_ms, log->config.segment_ms);
    return range > 0 ? (int64_t)(hash_u64(log->seed ^ (uint64_t)base_offset) % (uint64_t)range) : 0;
}

void log_add_segment(struct log *log, struct segment *segment)
{
    segment->jitter_ms = jitter(log, segment->base_offset);
    VEC_PUSH(log->segments, log->segment_count, log->segment_capacity) = segment;
    log_forget_hints(log);
}

int log_new_segment(struct log *log, int64_t base_offset, int64_t now_ms)
{
    struct segment *segment = segment_new(base_offset, 0, (struct segment_files){0}, now_ms);
    int rv = segment_create(segment, &log->place, &log->config);
    if (rv != 0) {
        /* Left behind it would be taken for a segment that was begun. */
        char path[PATH_MAX];
        if (log_file_path(path, log->place.path, LOG_FILE_LOG, base_offset, LOG_FILE_LIVE)) {
            int error = log->place.disk->ops->unlink(log->place.disk, path);
            log->failed |= error != 0 && error != -ENOENT;
        }
        segment_free(segment, &log->place);
        return rv;
    }
    log->dir_dirty = true;
    log_add_segment(log, segment);
    return 0;
}

bool log_takes_earlier(const struct log *log)
{
    return log->segment_count == 1 && log_active(log)->size_bytes == 0 &&
           log->start_offset == log->end_offset;
}

/* The files of the empty segment are worth nothing: a start that finds them again, after a power
 * cut, finds nothing behind them that was durable. */
int log_begin_earlier(struct log *log, int64_t base_offset, int64_t now_ms)
{
    static const enum log_file_kind kinds[] = {LOG_FILE_LOG, LOG_FILE_INDEX, LOG_FILE_TIME_INDEX,
                                               LOG_FILE_TXN_INDEX};
    struct segment *old = log->segments[0];
    int64_t old_base = old->base_offset;
    if (base_offset == old_base)
        return 0;
    CHECK(log_takes_earlier(log) && base_offset < old_base);
    int rv = log_new_segment(log, base_offset, now_ms);
    if (rv != 0)
        return rv;
    log->segments[0] = log->segments[1];
    log->segment_count = 1;
    segment_free(old, &log->place);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char path[PATH_MAX];
        if (!log_file_path(path, log->place.path, kinds[i], old_base, LOG_FILE_LIVE))
            return -ENAMETOOLONG;
        rv = log->place.disk->ops->unlink(log->place.disk, path);
        if (rv != 0 && rv != -ENOENT)
            return rv;
    }
    return 0;
}

int log_roll_to(struct log *log, int64_t now_ms)
{
    CHECK(log_active(log)->size_bytes > 0);
    int rv = segment_finish(log_active(log), &log->place);
    if (rv == 0)
        rv = log_snapshot_take(log);
    return rv == 0 ? log_new_segment(log, log->end_offset, now_ms) : rv;
}

int log_roll(struct log *log, int64_t now_ms)
{
    if (log->failed)
        return -EIO;
    return log_active(log)->size_bytes > 0 ? log_fail(log, log_roll_to(log, now_ms)) : 0;
}

void log_forget_hints(struct log *log)
{
    for (int i = 0; i < LOG_HINTS; i++)
        log->hints[i].offset = -1;
}
