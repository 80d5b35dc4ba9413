/*
 * A flush syncs, in this order: files (.log; with checkpoint also indexes, snapshot, epochs and
 * partition.metadata), then the directory if names in it changed, then its parent if it is new.
 * Only then is what they hold durable, and only then may the end move.
 */
#include "common/storage/log_flush.h"

#include "common/base/mem.h"
#include "common/base/mutation.h"
#include "common/storage/log_dir.h"
#include "common/storage/log_internal.h"
#include "common/storage/producer_snapshot.h"
#include "common/storage/small_files.h"

#include <errno.h>
#include <stdlib.h>

struct log_flush {
    struct disk *disk;
    const char *log_path;
    struct disk_file **files;
    size_t file_count, file_capacity;
    char **paths; /* small files that are not kept open */
    size_t path_count, path_capacity;
    char *directory, *parent; /* to sync, or NULL */
    int64_t end_offset;
    int64_t first_base; /* of the segments that take part */
    int64_t newest_snapshot;
    bool checkpoint;
    struct bytebuf snapshot; /* of the producers at end_offset */
    char *snapshot_path;     /* NULL: none is due */
    char *old_snapshot_path; /* that it replaces, or NULL */
    int64_t old_snapshot;
    int snapshot_rv;
    int rv;
};

/* A start reads headers from the newest snapshot on: a few milliseconds for so many bytes. */
enum { SNAPSHOT_EVERY_BYTES = 32 << 20 };

bool log_flush_due(const struct log *log, int64_t now_ms)
{
    int64_t waiting = log->end_offset - log->flush_requested_offset;
    return waiting > 0 && (waiting >= log->config.flush_messages ||
                           now_ms - log->first_unflushed_ms >= log->config.flush_ms);
}

int64_t log_flush_due_at_ms(const struct log *log)
{
    if (log->end_offset == log->flush_requested_offset)
        return INT64_MAX;
    int64_t at;
    return __builtin_add_overflow(log->first_unflushed_ms, log->config.flush_ms, &at) ? INT64_MAX
                                                                                      : at;
}

int64_t log_unflushed_bytes(const struct log *log)
{
    return log->unflushed_bytes;
}

int64_t log_unchecked_bytes(const struct log *log)
{
    return log->unchecked_bytes;
}

bool log_checkpoint_due(const struct log *log, int64_t bytes, int64_t ms, int64_t now_ms)
{
    return log->unchecked_bytes > 0 &&
           (log->unchecked_bytes >= bytes || now_ms - log->first_unchecked_ms >= ms);
}

bool log_busy(const struct log *log)
{
    return log->jobs > 0;
}

static void add_file(struct log_flush *flush, struct disk_file *file)
{
    VEC_PUSH(flush->files, flush->file_count, flush->file_capacity) = disk_file_ref(file);
}

static void add_path(struct log_flush *flush, char *path)
{
    VEC_PUSH(flush->paths, flush->path_count, flush->path_capacity) = path;
}

static int add_index(struct log *log, struct log_flush *flush, struct index_file *index)
{
    int rv = index_file_push(index, &log->place);
    /* Entries that find no room stay in memory: recovery does without them. */
    if (rv == -ENOSPC || rv == -EDQUOT)
        rv = 0;
    if (rv != 0 || !index->dirty)
        return rv;
    rv = index_file_open(index, &log->place);
    if (rv != 0)
        return rv;
    add_file(flush, index->slot.file);
    index->dirty = false;
    return 0;
}

static int add_segment(struct log *log, struct log_flush *flush, struct segment *s)
{
    int rv = 0;
    if (s->dirty) {
        rv = segment_open(s, &log->place);
        if (rv != 0)
            return rv;
        add_file(flush, s->log_file.file);
        s->dirty = false;
    }
    if (!flush->checkpoint)
        return 0;
    rv = add_index(log, flush, &s->time_index);
    if (rv == 0)
        rv = add_index(log, flush, &s->offset_index);
    if (rv == 0 && s->txn_index.dirty) {
        rv = txn_index_open(&s->txn_index, &log->place);
        if (rv == 0) {
            add_file(flush, s->txn_index.slot.file);
            s->txn_index.dirty = false;
        }
    }
    return rv;
}

static char *path_in(const struct log *log, const char *name)
{
    return mem_printf("%s/%s", log->place.path, name);
}

static void add_names(struct log *log, struct log_flush *flush)
{
    if (log->metadata_dirty)
        add_path(flush, path_in(log, FILE_PARTITION_METADATA));
    if (flush->checkpoint && log->epochs_dirty)
        add_path(flush, path_in(log, "leader-epoch-checkpoint"));
    for (size_t i = log->snapshot_count; flush->checkpoint && log->snapshot_dirty && i-- > 0;) {
        char path[PATH_MAX];
        if (log->snapshots[i] <= log->synced_snapshot)
            break;
        if (log_file_path(path, log->place.path, LOG_FILE_SNAPSHOT, log->snapshots[i],
                          LOG_FILE_LIVE))
            add_path(flush, mem_strdup(path));
    }
    flush->newest_snapshot = log_snapshot_newest(log);
    if (log->dir_dirty || log->parent_dirty || flush->snapshot_path != NULL)
        flush->directory = mem_strdup(log->place.path);
    if (log->parent_dirty) {
        const char *slash = strrchr(log->place.path, '/');
        flush->parent = slash == NULL ? mem_strdup(".")
                        : slash == log->place.path
                            ? mem_strdup("/")
                            : mem_strndup(log->place.path, (size_t)(slash - log->place.path));
    }
    log->metadata_dirty = log->dir_dirty = log->parent_dirty = false;
    if (flush->checkpoint)
        log->epochs_dirty = log->snapshot_dirty = false;
}

/* As at a roll, but within a segment. The one before it, if it was such a one, is given up: Kafka
 * keeps only the newest and those of the segments' starts. */
static void add_snapshot(struct log *log, struct log_flush *flush)
{
    char path[PATH_MAX];
    int64_t newest =
        log->snapshot_count > 0 ? log->snapshots[log->snapshot_count - 1] : log->end_offset;
    if (log->bytes_since_snapshot < SNAPSHOT_EVERY_BYTES || newest > log->end_offset ||
        !log_file_path(path, log->place.path, LOG_FILE_SNAPSHOT, log->end_offset, LOG_FILE_LIVE))
        return;
    flush->snapshot_path = mem_strdup(path);
    producer_snapshot_encode(&log->producers, &flush->snapshot);
    if (newest > log_active(log)->base_offset && newest < log->end_offset &&
        log_file_path(path, log->place.path, LOG_FILE_SNAPSHOT, newest, LOG_FILE_LIVE)) {
        flush->old_snapshot_path = mem_strdup(path);
        flush->old_snapshot = newest;
    }
}

/* Also of a segment below what is durable: it was closed or cut since. */
static bool wants_flush(const struct segment *s, bool checkpoint)
{
    return s->dirty ||
           (checkpoint && (s->offset_index.dirty || s->time_index.dirty || s->txn_index.dirty ||
                           s->time_index.tail_count > 0 || s->offset_index.tail_count > 0));
}

struct log_flush *log_flush_begin(struct log *log, bool checkpoint, int64_t now_ms)
{
    int64_t from = checkpoint ? log->recovery_point : log->durable_end;
    bool names = log->dir_dirty || log->parent_dirty;
    if (log->failed || log->flushing || (from == log->end_offset && !(checkpoint && names)))
        return NULL;
    struct log_flush *flush = mem_alloc(sizeof(*flush));
    *flush = (struct log_flush){
        .disk = log->place.disk,
        .log_path = log->place.path,
        .end_offset = log->end_offset,
        .first_base = INT64_MAX,
        .checkpoint = checkpoint,
    };
    bytebuf_init(&flush->snapshot);
    for (size_t i = log->segment_count; i-- > 0 && flush->rv == 0;) {
        if (i + 1 < log->segment_count && log_segment_end(log, i) <= from &&
            !wants_flush(log->segments[i], checkpoint))
            break;
        flush->first_base = log->segments[i]->base_offset;
        flush->rv = add_segment(log, flush, log->segments[i]);
    }
    if (checkpoint)
        add_snapshot(log, flush);
    add_names(log, flush);
    log->flushing = true;
    log->jobs++;
    log->flush_requested_offset = log->end_offset;
    if (MUTATED(log->place.disk, ACK_BEFORE_FSYNC))
        log->durable_end = log->end_offset;
    log->first_unflushed_ms = now_ms;
    log->unflushed_bytes = 0;
    if (checkpoint)
        log->unchecked_bytes = 0;
    return flush;
}

/* Once: what a failed fsync did not write may be clean by now, and lost. */
static int sync_file(struct disk *disk, struct disk_file *file)
{
    int rv = disk->ops->fsync(file);
    for (int i = 0; rv != 0 && i < 100 && MUTATED(disk, RETRY_FAILED_FSYNC); i++)
        rv = disk->ops->fsync(file);
    return rv;
}

static int sync_path(struct disk *disk, const char *path)
{
    struct disk_file *file;
    int rv = disk_open(disk, path, DISK_WRITE, &file);
    if (rv != 0)
        return rv == -ENOENT ? 0 : rv; /* it was given up meanwhile */
    rv = sync_file(disk, file);
    disk_file_unref(file);
    return rv;
}

/* A disk that is full has no room for it: then the older one serves. */
static int write_snapshot(struct log_flush *flush)
{
    struct disk *disk = flush->disk;
    struct disk_file *file;
    int rv = disk_open(disk, flush->snapshot_path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &file);
    if (rv == 0) {
        rv = disk_pwrite(file, flush->snapshot.data, flush->snapshot.len, 0);
        if (rv == 0)
            rv = disk->ops->fsync(file);
        disk_file_unref(file);
    }
    flush->snapshot_rv = rv;
    if (rv != -ENOSPC && rv != -EDQUOT)
        return rv;
    rv = disk->ops->unlink(disk, flush->snapshot_path);
    return rv == -ENOENT ? 0 : rv;
}

void log_flush_run(struct log_flush *flush)
{
    struct disk *disk = flush->disk;
    /* Oldest data first: a crash in between then leaves no later segment without an earlier one. */
    for (size_t i = flush->file_count; i-- > 0 && flush->rv == 0;)
        flush->rv = sync_file(disk, flush->files[i]);
    for (size_t i = 0; i < flush->path_count && flush->rv == 0; i++)
        flush->rv = sync_path(disk, flush->paths[i]);
    if (flush->rv == 0 && flush->snapshot_path != NULL)
        flush->rv = write_snapshot(flush);
    if (flush->rv == 0 && flush->directory != NULL)
        flush->rv = disk->ops->fsync_dir(disk, flush->directory);
    if (flush->rv == 0 && flush->parent != NULL)
        flush->rv = disk->ops->fsync_dir(disk, flush->parent);
    if (flush->rv == 0 && flush->old_snapshot_path != NULL && flush->snapshot_rv == 0) {
        int rv = disk->ops->unlink(disk, flush->old_snapshot_path);
        flush->rv = rv == -ENOENT ? 0 : rv;
    }
    /* At once: whoever dies now must not leave a page cache behind that is believed. */
    if (flush->rv != 0)
        log_dir_distrust_of(disk, flush->log_path);
}

static void unpin_clean(struct log *log, const struct log_flush *flush)
{
    struct file_cache *files = log->place.files;
    for (size_t i = log->segment_count; i-- > 0;) {
        struct segment *s = log->segments[i];
        if (s->base_offset < flush->first_base)
            break;
        if (!s->dirty)
            file_slot_unpin(files, &s->log_file);
        if (!s->offset_index.dirty)
            file_slot_unpin(files, &s->offset_index.slot);
        if (!s->time_index.dirty)
            file_slot_unpin(files, &s->time_index.slot);
        if (!s->txn_index.dirty)
            file_slot_unpin(files, &s->txn_index.slot);
    }
}

static void free_flush(struct log_flush *flush)
{
    for (size_t i = 0; i < flush->file_count; i++)
        disk_file_unref(flush->files[i]);
    for (size_t i = 0; i < flush->path_count; i++)
        free(flush->paths[i]);
    free(flush->files);
    free(flush->paths);
    free(flush->directory);
    free(flush->parent);
    free(flush->snapshot_path);
    free(flush->old_snapshot_path);
    bytebuf_release(&flush->snapshot);
    free(flush);
}

int log_flush_end(struct log *log, struct log_flush *flush)
{
    int rv = flush->rv;
    log->flushing = false;
    log->jobs--;
    if (rv == 0) {
        log->durable_end = MAX(log->durable_end, flush->end_offset);
        if (flush->checkpoint)
            log->recovery_point = MAX(log->recovery_point, flush->end_offset);
        if (flush->snapshot_path != NULL && flush->snapshot_rv == 0) {
            log_snapshot_replaced(log, flush->old_snapshot_path != NULL ? flush->old_snapshot : -1,
                                  flush->end_offset);
            log->bytes_since_snapshot = 0;
            flush->newest_snapshot = flush->end_offset;
        }
        /* Not when it was superseded meanwhile: then the one before is still what a start after a
         * boot begins with. */
        if (flush->checkpoint && log_snapshot_is_there(log, flush->newest_snapshot))
            log->synced_snapshot = flush->newest_snapshot;
        unpin_clean(log, flush);
        log_publish(log);
    } else {
        log->failed = true; /* after a failed sync the pages may be clean and lost: no retry */
    }
    free_flush(flush);
    return rv;
}

int log_flush_now(struct log *log, bool checkpoint, int64_t now_ms)
{
    struct log_flush *flush = log_flush_begin(log, checkpoint, now_ms);
    if (flush == NULL)
        return log->failed ? -EIO : 0;
    log_flush_run(flush);
    return log_flush_end(log, flush);
}
