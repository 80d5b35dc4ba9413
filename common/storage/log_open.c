/*
 * Opening a log: one listing of the directory says which files there are; leftovers of a cleaner
 * or of deletions are put in order; then segments are recovered as far as they cannot be believed.
 * Files are closed again by the cache as others need the room.
 *
 * Leftovers, as Kafka treats them:
 *   .deleted  unlinked, once the log is open (log_unlink_begin)
 *   .cleaned  the cleaner was not done: unlinked
 *   .swap     the cleaner was done: the segments it was made from (all that begin within it) go,
 *             then it takes its place. Not if a .cleaned begins at or below it: then it is
 *             half of a split, and goes too
 *   index without .log: unlinked
 */
#include "common/storage/log_internal.h"

#include "common/base/mem.h"
#include "common/base/mutation.h"
#include "common/storage/log_flush.h"
#include "common/storage/log_truncate.h"
#include "common/storage/small_files.h"

#include <errno.h>
#include <stdlib.h>

enum { OWN_FILES = 64 };

#define EPOCHS_FILE "leader-epoch-checkpoint"

struct listing {
    struct log_file_name *files;
    char **names;
    size_t count, files_capacity, names_capacity;
    bool has_epochs, has_metadata;
};

static int list_file(void *ctx, const char *name)
{
    struct listing *listing = ctx;
    struct log_file_name file = log_file_parse(name);
    if (file.state == LOG_FILE_LIVE) {
        listing->has_epochs |= file.kind == LOG_FILE_LEADER_EPOCHS;
        listing->has_metadata |= file.kind == LOG_FILE_PARTITION_METADATA;
    }
    if (file.kind > LOG_FILE_SNAPSHOT && file.state == LOG_FILE_LIVE)
        return 0;
    size_t count = listing->count;
    VEC_PUSH(listing->files, count, listing->files_capacity) = file;
    VEC_PUSH(listing->names, listing->count, listing->names_capacity) = mem_strdup(name);
    return 0;
}

static void listing_release(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        free(listing->names[i]);
    free(listing->names);
    free(listing->files);
}

static int unlink_listed(struct log *log, struct listing *listing, size_t at)
{
    char *path = mem_printf("%s/%s", log->place.path, listing->names[at]);
    int rv = log->place.disk->ops->unlink(log->place.disk, path);
    free(path);
    listing->files[at].kind = LOG_FILE_OTHER;
    log->dir_dirty = true;
    return rv == -ENOENT ? 0 : rv;
}

/* The end offset of the batches in a finished .swap file. */
static int swap_end(struct log *log, const char *name, int64_t base, int64_t *ret_end)
{
    char *path = mem_printf("%s/%s", log->place.path, name);
    struct disk_file *file;
    struct batch_reader reader;
    struct batch_view view;
    int rv = disk_open(log->place.disk, path, DISK_READ, &file);
    free(path);
    if (rv != 0)
        return rv;
    int64_t size = log->place.disk->ops->size(file);
    batch_reader_init(&reader, file, 0, MAX(size, 0), false);
    *ret_end = base;
    while (size > 0 && (rv = batch_reader_next(&reader, &view)) == 1)
        *ret_end = record_batch_next_offset(&view.header);
    batch_reader_release(&reader);
    disk_file_unref(file);
    return size < 0 ? (int)size : rv;
}

static bool is_segment_file(const struct log_file_name *file, enum log_file_state state)
{
    return file->kind <= LOG_FILE_TXN_INDEX && file->state == state;
}

/* A finished .swap replaces what begins within it. */
static int adopt_swaps(struct log *log, struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        const struct log_file_name *swap = &listing->files[i];
        if (swap->kind != LOG_FILE_LOG || swap->state != LOG_FILE_SWAP)
            continue;
        int64_t end;
        int rv = swap_end(log, listing->names[i], swap->offset, &end);
        if (rv != 0)
            return rv;
        for (size_t j = 0; j < listing->count; j++) {
            const struct log_file_name *old = &listing->files[j];
            if (is_segment_file(old, LOG_FILE_LIVE) && old->offset >= swap->offset &&
                old->offset < MAX(end, swap->offset + 1))
                rv = unlink_listed(log, listing, j);
            if (rv != 0)
                return rv;
        }
    }
    for (size_t i = 0; i < listing->count; i++) {
        struct log_file_name *swap = &listing->files[i];
        if (!is_segment_file(swap, LOG_FILE_SWAP))
            continue;
        char to[PATH_MAX];
        char *from = mem_printf("%s/%s", log->place.path, listing->names[i]);
        int rv = log_file_path(to, log->place.path, swap->kind, swap->offset, LOG_FILE_LIVE)
                     ? log->place.disk->ops->rename(log->place.disk, from, to)
                     : -ENAMETOOLONG;
        free(from);
        if (rv != 0)
            return rv;
        swap->state = LOG_FILE_LIVE;
        log->dir_dirty = true;
    }
    return 0;
}

/* There may be very many, and nobody waits for them to go. */
static void unlink_later(struct log *log, struct listing *listing, size_t at, int64_t now_ms)
{
    log_doom_path(log, mem_printf("%s/%s", log->place.path, listing->names[at]), now_ms);
    listing->files[at].kind = LOG_FILE_OTHER;
}

static int clear_leftovers(struct log *log, struct listing *listing, int64_t now_ms)
{
    int64_t cleaned = INT64_MAX;
    bool swaps = false;
    int rv = 0;
    for (size_t i = 0; i < listing->count; i++)
        if (is_segment_file(&listing->files[i], LOG_FILE_CLEANED))
            cleaned = MIN(cleaned, listing->files[i].offset);
    for (size_t i = 0; rv == 0 && i < listing->count; i++) {
        const struct log_file_name *file = &listing->files[i];
        if (file->state == LOG_FILE_LIVE || file->kind == LOG_FILE_OTHER)
            continue;
        /* Half-written snapshots of the metadata log are its owner's. */
        if (file->kind == LOG_FILE_CHECKPOINT && file->state != LOG_FILE_DELETED)
            continue;
        if (file->state == LOG_FILE_SWAP && file->kind <= LOG_FILE_TXN_INDEX &&
            file->offset < cleaned)
            swaps = true;
        else if (file->state == LOG_FILE_DELETED)
            unlink_later(log, listing, i, now_ms);
        else
            rv = unlink_listed(log, listing, i);
    }
    return rv == 0 && swaps ? adopt_swaps(log, listing) : rv;
}

static int by_offset(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static struct segment *find_segment(struct log *log, int64_t base_offset)
{
    size_t low = 0, high = log->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->segments[middle]->base_offset < base_offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < log->segment_count && log->segments[low]->base_offset == base_offset
               ? log->segments[low]
               : NULL;
}

static int add_segments(struct log *log, const struct listing *listing, int64_t now_ms)
{
    int64_t *bases = NULL;
    size_t count = 0, capacity = 0;
    int rv = 0;
    for (size_t i = 0; i < listing->count; i++)
        if (listing->files[i].kind == LOG_FILE_LOG)
            VEC_PUSH(bases, count, capacity) = listing->files[i].offset;
    if (count > 1)
        qsort(bases, count, sizeof(*bases), by_offset);
    for (size_t i = 0; rv == 0 && i < count; i++) {
        char path[PATH_MAX];
        struct disk_stat st;
        rv = log_file_path(path, log->place.path, LOG_FILE_LOG, bases[i], LOG_FILE_LIVE)
                 ? log->place.disk->ops->stat(log->place.disk, path, &st)
                 : -ENAMETOOLONG;
        if (rv != 0)
            break;
        struct segment *s = segment_new(bases[i], st.size_bytes, (struct segment_files){0}, now_ms);
        s->modified_ms = st.modified_ms;
        log_add_segment(log, s);
    }
    free(bases);
    return rv;
}

/* Tells the segments which indexes they have; indexes of no segment go. */
static int add_indexes(struct log *log, struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        const struct log_file_name *file = &listing->files[i];
        if (file->kind == LOG_FILE_SNAPSHOT)
            log_snapshot_found(log, file->offset);
        if (file->kind == LOG_FILE_LOG || file->kind > LOG_FILE_TXN_INDEX)
            continue;
        struct segment *s = find_segment(log, file->offset);
        if (s == NULL) {
            int rv = unlink_listed(log, listing, i);
            if (rv != 0)
                return rv;
        } else if (file->kind == LOG_FILE_INDEX) {
            index_file_init(&s->offset_index, file->kind, file->offset, true);
        } else if (file->kind == LOG_FILE_TIME_INDEX) {
            index_file_init(&s->time_index, file->kind, file->offset, true);
        } else {
            txn_index_init(&s->txn_index, file->offset, true);
        }
    }
    return 0;
}

static char *file_in(const struct log *log, const char *name)
{
    return mem_printf("%s/%s", log->place.path, name);
}

int log_save_epochs(struct log *log)
{
    if (!log->epochs.changed)
        return 0;
    char *path = file_in(log, EPOCHS_FILE);
    int rv = epoch_cache_save(&log->epochs, log->place.disk, path);
    free(path);
    log->dir_dirty = true;
    log->epochs_dirty = true;
    return rv;
}

/* ret_rebuild: there is no file that can be used, although there may be epochs. */
static int load_epochs(struct log *log, const struct listing *listing, bool *ret_rebuild)
{
    *ret_rebuild = true;
    if (!listing->has_epochs)
        return 0;
    char *path = file_in(log, EPOCHS_FILE);
    int rv = epoch_cache_load(&log->epochs, log->place.disk, path);
    free(path);
    *ret_rebuild = rv != 0 || log->epochs.count == 0;
    return rv == -EBADMSG || rv == -ENOENT ? 0 : rv;
}

static int write_topic_id(struct log *log, struct uuid topic_id)
{
    if (uuid_is_zero(topic_id))
        return 0;
    char *path = file_in(log, FILE_PARTITION_METADATA);
    int rv = partition_metadata_write(log->place.disk, path, topic_id);
    free(path);
    if (rv != 0)
        return rv;
    log->topic_id = topic_id;
    log->metadata_dirty = true;
    log->dir_dirty = true;
    return 0;
}

/*
 * Nothing says whose log this is. The file is made with the directory, and whoever syncs anything
 * there syncs it first; so where a power cut took it none of these records was ever promised to
 * outlive that, and a topic that had the name before may have written them; what the checkpoints
 * say may be of that one, too. A recovery point proves nothing: it goes along when segments are
 * deleted.
 */
static int take_unnamed(struct log *log, const struct log_open_args *args)
{
    bool empty =
        args->recovery_point <= 0 && args->high_watermark <= 0 && args->log_start_offset <= 0;
    for (size_t i = 0; i < log->segment_count; i++)
        empty &= log->segments[i]->size_bytes == 0;
    return args->name_is_free && args->trust == LOG_TRUST_NONE && !empty
               ? -ESTALE
               : write_topic_id(log, args->topic_id);
}

static int load_topic_id(struct log *log, const struct listing *listing,
                         const struct log_open_args *args)
{
    struct uuid topic_id = args->topic_id;
    if (!listing->has_metadata)
        return take_unnamed(log, args);
    char *path = file_in(log, FILE_PARTITION_METADATA);
    struct disk_stat st;
    int rv = partition_metadata_read(log->place.disk, path, &log->topic_id);
    /* A part of it is what a power cut leaves of one that was new; it was never synced then. */
    if (rv == -EBADMSG && log->place.disk->ops->stat(log->place.disk, path, &st) == 0)
        rv = st.size_bytes < PARTITION_METADATA_BYTES ? take_unnamed(log, args) : -EUCLEAN;
    free(path);
    if (rv == 0 && !uuid_is_zero(topic_id) && !uuid_eq(topic_id, log->topic_id) &&
        !MUTATED(log->place.disk, ADOPT_DIRECTORY))
        rv = -ESTALE;
    return rv;
}

/* A process before us may have written what nobody has synced. */
static void distrust(struct log *log, struct segment *s)
{
    log->unchecked_bytes += s->size_bytes;
    s->dirty = true;
    s->offset_index.dirty = s->offset_index.exists;
    s->time_index.dirty = s->time_index.exists;
    s->txn_index.dirty = s->txn_index.exists;
    log->dir_dirty = log->parent_dirty = true;
    log->epochs_dirty = log->metadata_dirty = log->snapshot_dirty = true;
}

/* What an fsync that failed has left in memory alone. A full disk is no harm: nothing grows. */
static int write_again(struct log *log)
{
    int rv = log_write_again(log, log->recovery_point);
    if (rv == 0)
        rv = write_topic_id(log, log->topic_id);
    log->epochs.changed = true;
    if (rv == 0)
        rv = log_save_epochs(log);
    return rv == -ENOSPC || rv == -EDQUOT ? 0 : rv;
}

/* Where a log with these segments starts and what is known to be durable. */
static int settle(struct log *log, const struct log_open_args *args)
{
    log->start_offset = MAX(args->log_start_offset, log->segments[0]->base_offset);
    if (log->start_offset > log->end_offset) {
        /* All that was left has been deleted; records from there on are gone with the tail. */
        while (log->segment_count > 0) {
            struct segment *last = log->segments[--log->segment_count];
            int rv = log_doom_segment(log, last, args->now_ms + log->config.file_delete_delay_ms);
            if (rv != 0)
                return rv;
        }
        int rv = log_snapshots_drop(log, -1, 0);
        if (rv == 0)
            rv = log_new_segment(log, log->start_offset, args->now_ms);
        if (rv != 0)
            return rv;
        log->end_offset = log->start_offset;
        producer_state_clear(&log->producers, log->end_offset);
    }
    epoch_cache_truncate_end(&log->epochs, log->end_offset);
    epoch_cache_truncate_start(&log->epochs, log->start_offset);
    log->high_watermark = MIN(MAX(args->high_watermark, log->start_offset), log->end_offset);
    producer_state_high_watermark(&log->producers, log->high_watermark);
    int64_t durable = args->trust == LOG_TRUST_CLEAN ? log->end_offset : args->recovery_point;
    /* Not the log start itself: what is before it in its segment has to be readable, too. */
    int64_t first = log->segments[log_segment_at(log, log->start_offset)]->base_offset;
    log->recovery_point = MIN(MAX(durable, first), log->end_offset);
    log->durable_end = log->recovery_point;
    log->flush_requested_offset = log->recovery_point;
    log->first_unflushed_ms = args->now_ms;
    for (size_t i = 0; i < log->segment_count; i++) {
        log->size_bytes += log->segments[i]->size_bytes;
        /* Also one that ends there: it may have been closed after that was synced. */
        if (args->trust != LOG_TRUST_CLEAN && log_segment_end(log, i) >= log->recovery_point)
            distrust(log, log->segments[i]);
    }
    log->unflushed_bytes = log->unchecked_bytes;
    log->first_unchecked_ms = args->now_ms;
    log->bytes_since_snapshot = log_active(log)->size_bytes;
    log->synced_snapshot = -1;
    for (size_t i = 0; i < log->snapshot_count; i++)
        if (log->snapshots[i] <= log->recovery_point)
            log->synced_snapshot = log->snapshots[i];
    log_publish(log);
    return args->rewrite ? write_again(log) : 0;
}

static int load(struct log *log, const struct log_open_args *args, struct log_recovery *report)
{
    struct listing listing = {0};
    bool rebuild_epochs;
    int rv = args->disk->ops->list(args->disk, args->path, list_file, &listing);
    if (rv == 0)
        rv = clear_leftovers(log, &listing, args->now_ms);
    if (rv == 0)
        rv = add_segments(log, &listing, args->now_ms);
    if (rv == 0)
        rv = add_indexes(log, &listing);
    if (rv == 0)
        rv = load_topic_id(log, &listing, args);
    if (rv == 0 && log->segment_count == 0)
        rv = log_new_segment(log, args->log_start_offset, args->now_ms);
    if (rv == 0)
        rv = load_epochs(log, &listing, &rebuild_epochs);
    log->start_offset = args->log_start_offset;
    if (rv == 0)
        rv = log_recover(log, args, report);
    if (rv == 0 && rebuild_epochs)
        rv = log_rebuild_epochs(log);
    listing_release(&listing);
    return rv != 0 ? rv : settle(log, args);
}

static int create(struct log *log, const struct log_open_args *args)
{
    int rv = args->disk->ops->mkdir(args->disk, args->path);
    if (rv != 0)
        return rv;
    log->parent_dirty = true;
    rv = log_new_segment(log, args->log_start_offset, args->now_ms);
    if (rv == 0)
        rv = write_topic_id(log, args->topic_id);
    if (rv != 0)
        return rv;
    struct log_open_args fresh = *args;
    fresh.recovery_point = args->log_start_offset;
    log->end_offset = args->log_start_offset;
    producer_state_clear(&log->producers, log->end_offset);
    rv = settle(log, &fresh);
    if (rv != 0 || !args->leads)
        return rv;
    /* Here, so that the first append, which runs on a loop, need not make the file. */
    epoch_cache_assign(&log->epochs, args->leader_epoch, log->end_offset);
    return log_save_epochs(log);
}

static int open_once(const struct log_open_args *args, struct log **ret_log,
                     struct log_recovery *ret_recovery)
{
    struct log_recovery report = {0};
    struct log *log = mem_calloc(1, sizeof(*log));
    file_cache_init(&log->own_files, OWN_FILES);
    log->place = (struct log_place){args->disk, &log->own_files, mem_strdup(args->path)};
    log->config = *args->config;
    log->seed = args->seed;
    epoch_cache_init(&log->epochs);
    producer_state_init(&log->producers, 0);
    log_forget_hints(log);
    int rv = load(log, args, &report);
    if (rv == -ENOENT && args->create && log->segment_count == 0)
        rv = create(log, args);
    if (ret_recovery != NULL && (rv == 0 || rv == -EBADMSG))
        *ret_recovery = report;
    if (rv != 0) {
        (void)log_close(log, false);
        return rv;
    }
    log_detach(log);
    if (args->files != NULL)
        log->place.files = args->files;
    *ret_log = log;
    return 0;
}

int log_open(const struct log_open_args *args, struct log **ret_log,
             struct log_recovery *ret_recovery)
{
    int rv = open_once(args, ret_log, ret_recovery);
    if (rv != -EBADMSG || args->strict || args->trust == LOG_TRUST_NONE)
        return rv;
    /* What was believed contradicts itself: the files alone speak. */
    struct log_open_args unsafe = *args;
    unsafe.trust = LOG_TRUST_NONE;
    return open_once(&unsafe, ret_log, ret_recovery);
}
