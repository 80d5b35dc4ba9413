#include "common/storage/log_internal.h"

#include "common/base/mem.h"
#include "common/storage/log_flush.h"
#include "common/storage/log_truncate.h"

#include <errno.h>
#include <stdlib.h>

const char *log_path(const struct log *log)
{
    return log->place.path;
}

struct uuid log_topic_id(const struct log *log)
{
    return log->topic_id;
}

bool log_failed(const struct log *log)
{
    return log->failed;
}

void log_set_config(struct log *log, const struct log_config *config)
{
    log->config = *config;
}

const struct log_config *log_get_config(const struct log *log)
{
    return &log->config;
}

int64_t log_start_offset(const struct log *log)
{
    return log->start_offset;
}

int64_t log_end_offset(const struct log *log)
{
    return log->end_offset;
}

int64_t log_durable_end_offset(const struct log *log)
{
    return log->durable_end;
}

int64_t log_recovery_point(const struct log *log)
{
    return log->recovery_point;
}

int64_t log_high_watermark(const struct log *log)
{
    return log->high_watermark;
}

int64_t log_size_bytes(const struct log *log)
{
    return log->size_bytes;
}

int64_t log_segment_count(const struct log *log)
{
    return (int64_t)log->segment_count;
}

void log_set_high_watermark(struct log *log, int64_t offset)
{
    offset = MIN(offset, log->end_offset);
    if (offset <= log->high_watermark)
        return;
    log->high_watermark = offset;
    if (log->producers.undecided.count > 0)
        producer_state_high_watermark(&log->producers, offset);
    log_publish(log);
}

size_t log_segment_at(const struct log *log, int64_t offset)
{
    size_t low = 0, high = log->segment_count;
    if (offset >= log_active(log)->base_offset)
        return high - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->segments[middle]->base_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? low - 1 : 0;
}

int log_fail(struct log *log, int rv)
{
    if (rv < 0 && rv != -ENOSPC && rv != -EDQUOT)
        log->failed = true;
    return rv;
}

void log_detach(struct log *log)
{
    for (size_t i = 0; i < log->segment_count; i++)
        segment_close_files(log->segments[i], &log->place);
    log->place.files = &log->own_files;
}

void log_attach(struct log *log, struct file_cache *files)
{
    log_detach(log);
    log->place.files = files;
}

/* Files that were given up move along. */
static char *in_directory(const char *directory, const char *path)
{
    const char *slash = strrchr(path, '/');
    return mem_printf("%s/%s", directory, slash != NULL ? slash + 1 : path);
}

void log_moved(struct log *log, const char *path)
{
    CHECK(log->place.files == &log->own_files && log->jobs == 0);
    for (size_t i = 0; i < log->doomed_count; i++) {
        char *moved = in_directory(path, log->doomed[i].path);
        free(log->doomed[i].path);
        log->doomed[i].path = moved;
    }
    free(log->place.path);
    log->place.path = mem_strdup(path);
}

static void free_log(struct log *log)
{
    for (size_t i = 0; i < log->segment_count; i++)
        segment_free(log->segments[i], &log->place);
    for (size_t i = 0; i < log->doomed_count; i++)
        free(log->doomed[i].path);
    free(log->doomed);
    free(log->segments);
    free(log->snapshots);
    epoch_cache_release(&log->epochs);
    producer_state_release(&log->producers);
    file_cache_release(&log->own_files);
    free(log->place.path);
    free(log);
}

void log_publish(struct log *log)
{
    struct log_published *p = &log->published;
    int64_t start = log->start_offset > log->segments[0]->base_offset ? log->start_offset : -1;
    atomic_store_explicit(&p->recovery_point, log->recovery_point, memory_order_relaxed);
    atomic_store_explicit(&p->high_watermark, log->high_watermark, memory_order_relaxed);
    atomic_store_explicit(&p->size_bytes, log->size_bytes, memory_order_relaxed);
    atomic_store_explicit(&p->first_offset, log->start_offset, memory_order_relaxed);
    atomic_store_explicit(&p->end_offset, log->end_offset, memory_order_relaxed);
    atomic_store_explicit(&p->segment_count, (int64_t)log->segment_count, memory_order_relaxed);
    atomic_store_explicit(&p->start_offset, start, memory_order_relaxed);
}

int log_finish_unsynced(struct log *log)
{
    if (log->failed)
        return -EIO;
    int rv = segment_finish(log_active(log), &log->place);
    if (rv == 0 && log->end_offset > 0)
        rv = log_snapshot_take(log);
    if (rv == 0)
        rv = log_save_epochs(log);
    return log_fail(log, rv);
}

int log_finish(struct log *log)
{
    int rv = log_finish_unsynced(log);
    return rv != 0 ? rv : log_flush_now(log, true, 0);
}

int log_close(struct log *log, bool clean)
{
    if (log == NULL)
        return 0;
    CHECK(log->jobs == 0);
    int rv = 0;
    if (clean)
        rv = log_finish(log);
    free_log(log);
    return rv;
}
