/*
 * Producer snapshots within a segment, written by a worker beside the loop and synced with the next
 * flush that moves the recovery point. A start after a kill believes the newest one, a start after
 * a boot the newest below the recovery point; all others in between are given up, but those where a
 * segment begins (Kafka keeps these).
 */
#include "common/storage/log_flush.h"

#include "common/base/mem.h"
#include "common/storage/log_internal.h"
#include "common/storage/producer_snapshot.h"

#include <errno.h>
#include <stdlib.h>

struct log_snapshot {
    struct disk *disk;
    struct bytebuf state;
    int64_t offset;      /* where it was taken */
    int64_t bytes;       /* appended since the one before */
    int64_t *superseded; /* offsets of those that go */
    size_t superseded_count, superseded_capacity;
    char *path;
    char **superseded_paths;
    bool no_room;
    int rv;
};

static char *snapshot_file(const struct log *log, int64_t offset)
{
    char path[PATH_MAX];
    return log_file_path(path, log->place.path, LOG_FILE_SNAPSHOT, offset, LOG_FILE_LIVE)
               ? mem_strdup(path)
               : NULL;
}

static bool begins_segment(const struct log *log, int64_t offset)
{
    return log->segments[log_segment_at(log, offset)]->base_offset == offset;
}

/* The new one takes the place of all that no start would begin with. */
static void find_superseded(const struct log *log, struct log_snapshot *job)
{
    for (size_t i = 0; i < log->snapshot_count; i++) {
        int64_t offset = log->snapshots[i];
        if (offset != log->synced_snapshot && !begins_segment(log, offset))
            VEC_PUSH(job->superseded, job->superseded_count, job->superseded_capacity) = offset;
    }
    job->superseded_paths = mem_calloc(job->superseded_count + 1, sizeof(char *));
    for (size_t i = 0; i < job->superseded_count; i++)
        job->superseded_paths[i] = snapshot_file(log, job->superseded[i]);
}

struct log_snapshot *log_snapshot_begin(struct log *log, int64_t above_bytes)
{
    /* A flush in flight is about to sync those that there are. */
    if (log->failed || log->flushing || log->bytes_since_snapshot <= above_bytes ||
        log_snapshot_newest(log) >= log->end_offset)
        return NULL;
    char *path = snapshot_file(log, log->end_offset);
    if (path == NULL)
        return NULL;
    struct log_snapshot *job = mem_calloc(1, sizeof(*job));
    job->disk = log->place.disk;
    job->path = path;
    job->offset = log->end_offset;
    job->bytes = log->bytes_since_snapshot;
    bytebuf_init(&job->state);
    producer_snapshot_encode(&log->producers, &job->state);
    find_superseded(log, job);
    log->jobs++;
    return job;
}

static int write_state(struct log_snapshot *job)
{
    struct disk_file *file;
    int rv = disk_open(job->disk, job->path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &file);
    if (rv != 0)
        return rv;
    rv = disk_pwrite(file, job->state.data, job->state.len, 0);
    disk_file_unref(file);
    return rv;
}

void log_snapshot_run(struct log_snapshot *job)
{
    job->rv = write_state(job);
    /* A disk that is full has no room for it: then the older ones serve. */
    job->no_room = job->rv == -ENOSPC || job->rv == -EDQUOT;
    if (job->no_room) {
        int rv = job->disk->ops->unlink(job->disk, job->path);
        job->rv = rv == -ENOENT ? 0 : rv;
        return;
    }
    for (size_t i = 0; i < job->superseded_count && job->rv == 0; i++) {
        int rv = job->disk->ops->unlink(job->disk, job->superseded_paths[i]);
        job->rv = rv == -ENOENT ? 0 : rv;
    }
}

int log_snapshot_end(struct log *log, struct log_snapshot *job)
{
    int rv = job->rv;
    log->jobs--;
    if (rv == 0 && !job->no_room) {
        for (size_t i = 0; i < job->superseded_count; i++)
            log_snapshot_forget(log, job->superseded[i]);
        log_snapshot_found(log, job->offset);
        log->bytes_since_snapshot = MAX(log->bytes_since_snapshot - job->bytes, 0);
        log->snapshot_dirty = log->dir_dirty = true;
    }
    for (size_t i = 0; i < job->superseded_count; i++)
        free(job->superseded_paths[i]);
    free(job->superseded_paths);
    free(job->superseded);
    free(job->path);
    bytebuf_release(&job->state);
    free(job);
    return log_fail(log, rv);
}
