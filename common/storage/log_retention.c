#include "common/storage/log_retention.h"

#include "common/base/mem.h"
#include "common/storage/log_dir.h"
#include "common/storage/log_internal.h"

#include <errno.h>
#include <stdlib.h>

struct log_deletion {
    struct disk *disk;
    char *directory; /* where files are renamed; NULL: files are unlinked */
    char *snapshot;  /* of the producers at the new start, to be synced first; may be NULL */
    struct log_doomed *files;
    size_t file_count, file_capacity;
    int32_t segments;
    int64_t bytes;
    int rv;
};

enum kafka_error log_increment_start_offset(struct log *log, int64_t offset)
{
    if (offset > log->high_watermark)
        return KAFKA_ERROR_OFFSET_OUT_OF_RANGE;
    if (offset > log->start_offset) {
        log->start_offset = offset;
        epoch_cache_truncate_start(&log->epochs, offset);
        log_publish(log);
    }
    return KAFKA_ERROR_NONE;
}

bool log_start_offset_checkpointed(const struct log *log)
{
    return log->start_offset > log->segments[0]->base_offset;
}

void log_doom_path(struct log *log, char *path, int64_t due_ms)
{
    VEC_PUSH(log->doomed, log->doomed_count, log->doomed_capacity) =
        (struct log_doomed){path, due_ms};
}

/* The files of a segment; which of them exist is not known here. */
static const enum log_file_kind segment_kinds[] = {
    LOG_FILE_LOG,
    LOG_FILE_INDEX,
    LOG_FILE_TIME_INDEX,
    LOG_FILE_TXN_INDEX,
};

/* Renames to .deleted; *ret_path is the new name, NULL when there was no such file. */
static int rename_deleted(struct disk *disk, const char *directory, enum log_file_kind kind,
                          int64_t offset, char **ret_path)
{
    char from[PATH_MAX], to[PATH_MAX];
    if (!log_file_path(from, directory, kind, offset, LOG_FILE_LIVE) ||
        !log_file_path(to, directory, kind, offset, LOG_FILE_DELETED))
        return -ENAMETOOLONG;
    int rv = disk->ops->rename(disk, from, to);
    *ret_path = rv == 0 ? mem_strdup(to) : NULL;
    return rv == -ENOENT ? 0 : rv;
}

int log_doom_segment(struct log *log, struct segment *segment, int64_t due_ms)
{
    int64_t base = segment->base_offset;
    segment_free(segment, &log->place);
    log->dir_dirty = true;
    for (size_t i = 0; i < ARRAY_LEN(segment_kinds); i++) {
        char *path;
        int rv = rename_deleted(log->place.disk, log->place.path, segment_kinds[i], base, &path);
        if (rv != 0)
            return rv;
        if (path != NULL)
            log_doom_path(log, path, due_ms);
    }
    /* Segments go one by one: of several that went, a power cut must not bring back some. */
    return log->place.disk->ops->fsync_dir(log->place.disk, log->place.path);
}

/* The reasons to give up the first segment, Kafka's. `excess` is what the log has beyond
 * retention.bytes. */
static int first_is_due(struct log *log, size_t at, int64_t excess, int64_t now_ms, bool *ret_due)
{
    struct segment *s = log->segments[at];
    *ret_due = log_segment_end(log, at) <= log->start_offset && at + 1 < log->segment_count;
    if (*ret_due || !log->config.delete_policy)
        return 0;
    if (log->config.retention_bytes >= 0 && excess >= s->size_bytes && excess > 0) {
        *ret_due = true;
        return 0;
    }
    if (log->config.retention_ms < 0)
        return 0;
    int64_t timestamp;
    int rv = segment_retention_timestamp(s, &log->place, &timestamp);
    if (rv == 0)
        *ret_due = now_ms - timestamp > log->config.retention_ms;
    return rv;
}

/* How many segments from the first on are to go. */
static int count_due(struct log *log, int64_t now_ms, size_t *ret_count)
{
    int64_t excess = log->size_bytes - log->config.retention_bytes;
    size_t at;
    for (at = 0; at < log->segment_count; at++) {
        bool due, last = at + 1 == log->segment_count;
        if (log_segment_end(log, at) > log->high_watermark ||
            (last && log->segments[at]->size_bytes == 0))
            break;
        int rv = first_is_due(log, at, excess, now_ms, &due);
        if (rv != 0)
            return rv;
        if (!due)
            break;
        excess -= log->segments[at]->size_bytes;
    }
    *ret_count = at;
    return 0;
}

static void add_doomed(struct log *log, struct log_deletion *job, enum log_file_kind kind,
                       int64_t offset, int64_t due_ms)
{
    char path[PATH_MAX];
    CHECK(log_file_path(path, log->place.path, kind, offset, LOG_FILE_LIVE));
    VEC_PUSH(job->files, job->file_count, job->file_capacity) =
        (struct log_doomed){mem_strdup(path), due_ms};
}

static void take_out(struct log *log, struct log_deletion *job, size_t count, int64_t due_ms)
{
    for (size_t i = 0; i < count; i++) {
        struct segment *s = log->segments[i];
        for (size_t k = 0; k < ARRAY_LEN(segment_kinds); k++)
            add_doomed(log, job, segment_kinds[k], s->base_offset, due_ms);
        job->segments++;
        job->bytes += s->size_bytes;
        log->size_bytes -= s->size_bytes;
        segment_free(s, &log->place);
    }
    log->segment_count -= count;
    memmove(log->segments, log->segments + count, log->segment_count * sizeof(*log->segments));
    /* Snapshots of what is gone are of no use. */
    int64_t first = log->segments[0]->base_offset;
    size_t kept = 0;
    for (size_t i = 0; i < log->snapshot_count; i++) {
        if (log->snapshots[i] >= first)
            log->snapshots[kept++] = log->snapshots[i];
        else
            add_doomed(log, job, LOG_FILE_SNAPSHOT, log->snapshots[i], due_ms);
    }
    log->snapshot_count = kept;
    if (first > log->recovery_point && kept > 0 && log->snapshots[0] == first) {
        char path[PATH_MAX];
        CHECK(log_file_path(path, log->place.path, LOG_FILE_SNAPSHOT, first, LOG_FILE_LIVE));
        job->snapshot = mem_strdup(path);
    }
    log->start_offset = MAX(log->start_offset, first);
    log->durable_end = MAX(log->durable_end, first);
    log->recovery_point = MAX(log->recovery_point, first);
    log->flush_requested_offset = MAX(log->flush_requested_offset, first);
    epoch_cache_truncate_start(&log->epochs, log->start_offset);
    log_publish(log);
}

static struct log_deletion *new_job(struct log *log)
{
    struct log_deletion *job = mem_calloc(1, sizeof(*job));
    job->disk = log->place.disk;
    log->jobs++;
    return job;
}

struct log_deletion *log_retention_begin(struct log *log, int64_t now_ms)
{
    size_t count;
    if (log->failed || log->flushing)
        return NULL;
    int rv = count_due(log, now_ms, &count);
    if (rv == 0 && count == log->segment_count)
        rv = log_roll_to(log, now_ms);
    if (rv != 0) {
        (void)log_fail(log, rv);
        return NULL;
    }
    if (count == 0)
        return NULL;
    struct log_deletion *job = new_job(log);
    job->directory = mem_strdup(log->place.path);
    take_out(log, job, count, now_ms + log->config.file_delete_delay_ms);
    return job;
}

struct log_deletion *log_unlink_begin(struct log *log, int64_t now_ms)
{
    if (log_unlink_due_at_ms(log) > now_ms)
        return NULL;
    struct log_deletion *job = new_job(log);
    size_t kept = 0;
    for (size_t i = 0; i < log->doomed_count; i++) {
        if (log->doomed[i].due_ms <= now_ms)
            VEC_PUSH(job->files, job->file_count, job->file_capacity) = log->doomed[i];
        else
            log->doomed[kept++] = log->doomed[i];
    }
    log->doomed_count = kept;
    return job;
}

int64_t log_unlink_due_at_ms(const struct log *log)
{
    int64_t due = INT64_MAX;
    for (size_t i = 0; i < log->doomed_count; i++)
        due = MIN(due, log->doomed[i].due_ms);
    return due;
}

int32_t log_deletion_segments(const struct log_deletion *job)
{
    return job->segments;
}

int64_t log_deletion_bytes(const struct log_deletion *job)
{
    return job->bytes;
}

/* What the producers last wrote is known from nowhere else once the segments are gone. */
static int sync_snapshot(struct disk *disk, const char *path)
{
    struct disk_file *file;
    int rv = disk->ops->open(disk, path, 0, &file);
    if (rv != 0)
        return rv == -ENOENT ? 0 : rv;
    rv = disk->ops->fsync(file);
    disk_file_unref(file);
    return rv;
}

void log_deletion_run(struct log_deletion *job)
{
    if (job->snapshot != NULL)
        job->rv = sync_snapshot(job->disk, job->snapshot);
    for (size_t i = 0; i < job->file_count && job->rv == 0; i++) {
        char *path = job->files[i].path;
        if (job->directory == NULL) {
            int rv = job->disk->ops->unlink(job->disk, path);
            job->rv = rv == -ENOENT ? 0 : rv;
            continue;
        }
        char *to = mem_printf("%s.deleted", path);
        int rv = job->disk->ops->rename(job->disk, path, to);
        free(path);
        if (rv != 0)
            free(to);
        job->files[i].path = rv == 0 ? to : NULL;
        job->rv = rv == -ENOENT ? 0 : rv;
        /* As in log_doom_segment. */
        if (job->rv == 0 && (i + 1) % ARRAY_LEN(segment_kinds) == 0)
            job->rv = job->disk->ops->fsync_dir(job->disk, job->directory);
    }
    if (job->rv != 0 && job->directory != NULL)
        log_dir_distrust_of(job->disk, job->directory);
}

int log_deletion_end(struct log *log, struct log_deletion *job)
{
    int rv = job->rv;
    for (size_t i = 0; i < job->file_count; i++) {
        if (job->directory != NULL && job->files[i].path != NULL && rv == 0)
            log_doom_path(log, job->files[i].path, job->files[i].due_ms);
        else
            free(job->files[i].path);
    }
    log->jobs--;
    free(job->files);
    free(job->snapshot);
    free(job->directory);
    free(job);
    return log_fail(log, rv);
}
