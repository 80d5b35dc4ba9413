/* The metadata log from files: a snapshot, a segment, the directory of a node. */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/storage/log_names.h"
#include "raft/quorum_control.h"
#include "tools/batch_file.h"
#include "tools/metadata_source.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define METADATA_DIRECTORY "__cluster_metadata-0"

enum {
    POLL_MS = 50, /* between looks at files that grow */
    ATTEMPTS = 5, /* a running node may delete what was just listed */
};

struct entry {
    int64_t offset;
    int32_t epoch; /* of a snapshot */
};

struct entries {
    struct entry *items;
    size_t count, capacity;
};

struct files_source {
    struct metadata_source source;
    char *directory; /* NULL: a lone snapshot */
    char *snapshot;  /* path of the lone snapshot */
    char *segment;   /* path of a lone segment from the log's beginning, whatever its name */
    int64_t only;    /* base offset of the only segment; -1: all of them */
    bool with_snapshots;
    struct entries segments, snapshots; /* ascending */
    size_t at;                          /* the segment that is open */
    bool is_open;
    struct batch_file file;
    int64_t next_offset; /* of the batch at the file's position */
    char warning[512];
};

/* --- what there is ---------------------------------------------------------------------------- */

static int by_offset(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->epoch > y->epoch) - (x->epoch < y->epoch);
}

static bool scan(struct files_source *f, struct failure *failure)
{
    if (f->segment != NULL)
        return true;
    DIR *dir = opendir(f->directory);
    if (dir == NULL)
        return failure_set(failure, KAFKA_ERROR_KAFKA_STORAGE_ERROR, "Cannot read %s: %s",
                           f->directory, strerror(errno));
    int64_t open_base = f->is_open ? f->segments.items[f->at].offset : -1;
    f->segments.count = f->snapshots.count = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct log_file_name name = log_file_parse(e->d_name);
        struct entry entry = {name.offset, name.epoch};
        if (name.state != LOG_FILE_LIVE)
            continue;
        if (name.kind == LOG_FILE_LOG && (f->only < 0 || f->only >= name.offset))
            VEC_PUSH(f->segments.items, f->segments.count, f->segments.capacity) = entry;
        else if (name.kind == LOG_FILE_CHECKPOINT && f->with_snapshots &&
                 (f->only < 0 || f->only >= name.offset))
            VEC_PUSH(f->snapshots.items, f->snapshots.count, f->snapshots.capacity) = entry;
    }
    closedir(dir);
    if (f->segments.count > 1)
        qsort(f->segments.items, f->segments.count, sizeof(struct entry), by_offset);
    if (f->snapshots.count > 1)
        qsort(f->snapshots.items, f->snapshots.count, sizeof(struct entry), by_offset);
    for (f->at = 0; f->is_open && f->at < f->segments.count; f->at++) {
        if (f->segments.items[f->at].offset == open_base)
            return true;
    }
    /* What was open is gone: it is opened by offset again. */
    if (f->is_open)
        batch_file_close(&f->file);
    f->is_open = false;
    f->at = 0;
    return true;
}

static char *segment_path(const struct files_source *f, size_t at)
{
    if (f->segment != NULL)
        return mem_strdup(f->segment);
    return mem_printf("%s/%020lld.log", f->directory, (long long)f->segments.items[at].offset);
}

/* --- snapshots -------------------------------------------------------------------------------- */

struct shape {
    bool header, footer;
};

/* A snapshot begins with a header and ends with a footer; nothing may be missing. */
static bool look(struct shape *shape, struct bytes run, const char *path, struct failure *failure)
{
    struct record_batches batches = record_batches_of(run);
    struct record_batch batch;
    while (record_batches_next(&batches, &batch) == 1) {
        struct quorum_control control = {.kind = QUORUM_COMMAND};
        bool is_control = (batch.header.attributes & RECORD_BATCH_CONTROL) != 0;
        if (is_control && quorum_control_parse(&batch, &control) != 0)
            return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                               "%s is damaged: the control batch at offset %lld cannot be read",
                               path, (long long)batch.header.base_offset);
        quorum_voters_unref(control.voters);
        if (!shape->header && !control.header)
            return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                               "%s is no snapshot: it has no snapshot header", path);
        if (shape->footer)
            return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                               "%s is damaged: something follows the snapshot's footer", path);
        shape->header = true;
        shape->footer = control.footer;
    }
    return true;
}

static bool read_snapshot(const char *path, metadata_take_fn take, void *ctx,
                          struct failure *failure)
{
    struct shape shape = {0};
    struct batch_file file;
    struct bytes run;
    if (!batch_file_open(&file, path, failure))
        return false;
    bool ok;
    do {
        ok = batch_file_next(&file, &run, failure) && look(&shape, run, path, failure) &&
             (run.len == 0 || take(ctx, run, failure));
    } while (ok && run.len > 0);
    if (ok && file.torn)
        ok = failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                         "%s is truncated: the batch at position %lld is not whole", path,
                         (long long)file.position);
    else if (ok && !shape.footer)
        ok = failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                         shape.header ? "%s is truncated: it has no snapshot footer"
                                      : "%s is empty: no snapshot",
                         path);
    batch_file_close(&file);
    return ok;
}

/* The place of the newest snapshot that ends at or before limit; count: none. */
static size_t newest_snapshot(const struct files_source *f, int64_t limit)
{
    for (size_t i = f->snapshots.count; i-- > 0;) {
        if (f->snapshots.items[i].offset <= limit)
            return i;
    }
    return f->snapshots.count;
}

static bool nothing_before(const struct files_source *f, int64_t limit, struct failure *failure)
{
    if (f->snapshots.count > 0)
        return failure_set(failure, KAFKA_ERROR_OFFSET_OUT_OF_RANGE,
                           "Offset %lld is no longer there: the log in %s begins at offset %lld "
                           "and the oldest snapshot ends at offset %lld",
                           (long long)limit - 1, f->directory,
                           f->segments.count ? (long long)f->segments.items[0].offset : -1LL,
                           (long long)f->snapshots.items[0].offset);
    return failure_set(failure, KAFKA_ERROR_OFFSET_OUT_OF_RANGE,
                       "The log in %s begins at offset %lld and there is no snapshot of what was "
                       "before: the metadata cannot be put together",
                       f->directory,
                       f->segments.count ? (long long)f->segments.items[0].offset : -1LL);
}

static bool files_snapshot(struct metadata_source *source, int64_t limit, metadata_take_fn take,
                           void *ctx, struct metadata_snapshot *ret_snapshot,
                           struct failure *failure)
{
    struct files_source *f = (struct files_source *)source;
    *ret_snapshot = (struct metadata_snapshot){0};
    if (f->snapshot != NULL) {
        ret_snapshot->alone = true;
        return read_snapshot(f->snapshot, take, ctx, failure);
    }
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        size_t at = newest_snapshot(f, limit);
        bool from_zero = f->segments.count > 0 && f->segments.items[0].offset == 0;
        /* The bootstrap checkpoint ends at 0 and holds what the log says again, or will say. */
        if (at == f->snapshots.count || (f->snapshots.items[at].offset == 0 && from_zero))
            return from_zero ? true : nothing_before(f, limit, failure);
        *ret_snapshot = (struct metadata_snapshot){.end_offset = f->snapshots.items[at].offset,
                                                   .epoch = f->snapshots.items[at].epoch};
        char *path = mem_printf("%s/%020lld-%010d.checkpoint", f->directory,
                                (long long)ret_snapshot->end_offset, ret_snapshot->epoch);
        bool ok = read_snapshot(path, take, ctx, failure);
        free(path);
        if (ok || failure->error != KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION)
            return ok;
        if (!scan(f, failure))
            return false;
    }
    return false;
}

/* --- the log ---------------------------------------------------------------------------------- */

static void close_segment(struct files_source *f)
{
    if (f->is_open)
        batch_file_close(&f->file);
    f->is_open = false;
}

static bool open_segment(struct files_source *f, size_t at, struct failure *failure)
{
    close_segment(f);
    char *path = segment_path(f, at);
    bool ok = batch_file_open(&f->file, path, failure);
    free(path);
    f->is_open = ok;
    f->at = at;
    f->next_offset = f->segments.items[at].offset;
    return ok;
}

/* Opens the segment that holds the offset, or would, as far as the last look tells. */
static bool try_segment(struct files_source *f, int64_t offset, struct failure *failure)
{
    size_t at = f->segments.count;
    while (at > 0 && f->segments.items[at - 1].offset > offset)
        at--;
    if (at == 0)
        return failure_set(failure, KAFKA_ERROR_OFFSET_OUT_OF_RANGE,
                           "Offset %lld is no longer there: the log in %s begins at offset %lld",
                           (long long)offset, f->directory,
                           f->segments.count ? (long long)f->segments.items[0].offset : -1LL);
    return open_segment(f, at - 1, failure);
}

static bool find_segment(struct files_source *f, int64_t offset, struct failure *failure)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (try_segment(f, offset, failure))
            return true;
        /* A running node may have deleted what the last look saw. */
        if (failure->error != KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION || !scan(f, failure))
            return false;
    }
    return false;
}

/* From the batch that holds the offset on. */
static struct bytes cut(struct files_source *f, struct bytes run, int64_t offset)
{
    struct record_batches batches = record_batches_of(run);
    const uint8_t *start = run.data + run.len;
    struct record_batch batch;
    while (record_batches_next(&batches, &batch) == 1) {
        f->next_offset = record_batch_next_offset(&batch.header);
        if (f->next_offset > offset && start == run.data + run.len)
            start = batch.bytes.data;
    }
    return (struct bytes){start, (int32_t)(run.data + run.len - start)};
}

/* One look, without waiting. */
static bool read_now(struct files_source *f, int64_t offset, struct bytes *ret_batches,
                     struct failure *failure)
{
    *ret_batches = (struct bytes){NULL, 0};
    if (!f->is_open || offset < f->next_offset) {
        if (!find_segment(f, offset, failure))
            return false;
    }
    for (;;) {
        struct bytes run;
        if (!batch_file_next(&f->file, &run, failure))
            return false;
        *ret_batches = cut(f, run, offset);
        if (ret_batches->len > 0)
            return true;
        if (run.len > 0)
            continue;
        if (f->at + 1 >= f->segments.count && !scan(f, failure))
            return false;
        if (!f->is_open) {
            if (!find_segment(f, offset, failure))
                return false;
            continue;
        }
        if (f->at + 1 >= f->segments.count)
            return true;
        if (f->segments.items[f->at + 1].offset != f->next_offset)
            return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                               "%s ends before offset %lld, where the next segment begins%s",
                               f->file.path, (long long)f->segments.items[f->at + 1].offset,
                               f->file.torn ? ": its end is damaged" : "");
        if (!open_segment(f, f->at + 1, failure))
            return false;
    }
}

static bool files_read(struct metadata_source *source, int64_t offset, int wait_ms,
                       struct bytes *ret_batches, struct failure *failure)
{
    struct files_source *f = (struct files_source *)source;
    *ret_batches = (struct bytes){NULL, 0};
    if (f->directory == NULL)
        return true;
    for (int64_t deadline_ms = client_now_ms() + wait_ms;;) {
        if (!read_now(f, offset, ret_batches, failure))
            return false;
        if (ret_batches->len > 0 || client_now_ms() >= deadline_ms)
            return true;
        poll(NULL, 0, (int)MIN(POLL_MS, deadline_ms - client_now_ms()));
    }
}

/* The node's own file says who leads; a log that begins with a snapshot may not. */
static bool files_leader(const struct metadata_source *source, int32_t *ret_id, int32_t *ret_epoch)
{
    const struct files_source *f = (const struct files_source *)source;
    json_int_t id = -1, epoch = -1;
    if (f->directory == NULL || !source->live)
        return false;
    char *path = mem_printf("%s/quorum-state", f->directory);
    json_t *state = json_load_file(path, 0, NULL);
    bool found = state != NULL &&
                 json_unpack(state, "{s:I,s:I}", "leaderId", &id, "leaderEpoch", &epoch) == 0;
    json_decref(state);
    free(path);
    if (!found || id < 0 || id > INT32_MAX || epoch < 0 || epoch > INT32_MAX)
        return false;
    *ret_id = (int32_t)id;
    *ret_epoch = (int32_t)epoch;
    return true;
}

static const char *files_warning(const struct metadata_source *source)
{
    struct files_source *f = (struct files_source *)(uintptr_t)source;
    if (!f->is_open || !f->file.torn)
        return NULL;
    snprintf(f->warning, sizeof(f->warning),
             "%s: what stands behind offset %lld (position %lld) is no whole batch and is left out",
             f->file.path, (long long)f->next_offset - 1, (long long)f->file.position);
    return f->warning;
}

static void files_free(struct metadata_source *source)
{
    struct files_source *f = (struct files_source *)source;
    close_segment(f);
    free(f->segments.items);
    free(f->snapshots.items);
    free(f->directory);
    free(f->snapshot);
    free(f->segment);
    free(f);
}

static bool files_start(struct metadata_source *source, int64_t *ret_offset, bool *ret_alone,
                        struct failure *failure)
{
    struct files_source *f = (struct files_source *)source;
    *ret_alone = f->directory == NULL;
    if (f->directory != NULL && !scan(f, failure))
        return false;
    *ret_offset = f->segments.count > 0 ? f->segments.items[0].offset : 0;
    return true;
}

static const struct metadata_source_ops files_ops = {
    .start = files_start,
    .snapshot = files_snapshot,
    .read = files_read,
    .leader = files_leader,
    .warning = files_warning,
    .free = files_free,
};

/* --- opening ---------------------------------------------------------------------------------- */

/* A file by its contents: snapshots begin with a control batch that holds a snapshot header. */
static bool is_snapshot(const char *path, bool *ret_is, int64_t *ret_base, struct failure *failure)
{
    struct batch_file file;
    struct record_batch batch;
    struct quorum_control control;
    struct bytes run;
    if (!batch_file_open(&file, path, failure))
        return false;
    bool ok = batch_file_next(&file, &run, failure);
    *ret_is = false;
    if (ok && run.len == 0)
        ok = failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                         file.torn ? "%s is truncated: not even its first batch is whole"
                                   : "%s is empty: neither a snapshot nor a segment of the "
                                     "metadata log",
                         path);
    struct record_batches batches = record_batches_of(run);
    if (ok && record_batches_next(&batches, &batch) == 1)
        *ret_base = batch.header.base_offset;
    if (ok && run.len > 0 && (batch.header.attributes & RECORD_BATCH_CONTROL) != 0 &&
        quorum_control_parse(&batch, &control) == 0) {
        *ret_is = control.header;
        quorum_voters_unref(control.voters);
    }
    batch_file_close(&file);
    return ok;
}

static bool open_file(struct files_source *f, const char *path, struct failure *failure)
{
    const char *slash = strrchr(path, '/');
    struct log_file_name name = log_file_parse(slash ? slash + 1 : path);
    bool snapshot;
    int64_t base = 0;
    if (!is_snapshot(path, &snapshot, &base, failure))
        return false;
    if (snapshot) {
        f->snapshot = mem_strdup(path);
        return true;
    }
    f->directory =
        slash ? mem_strndup(path, (size_t)(slash - path) + (slash == path)) : mem_strdup(".");
    if (base == 0) {
        f->segment = mem_strdup(path);
        VEC_PUSH(f->segments.items, f->segments.count, f->segments.capacity) = (struct entry){0};
        return true;
    }
    if (name.kind != LOG_FILE_LOG || name.state != LOG_FILE_LIVE)
        return failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                           "%s begins at offset %lld of the log, and what was before cannot be "
                           "found: it is not named as a segment of a directory",
                           path, (long long)base);
    /* A segment from the middle needs what was before it. */
    f->only = name.offset;
    f->with_snapshots = true;
    return scan(f, failure);
}

static bool open_directory(struct files_source *f, const char *path, struct failure *failure)
{
    char *inside = mem_printf("%s/" METADATA_DIRECTORY, path);
    struct stat st;
    if (stat(inside, &st) == 0 && S_ISDIR(st.st_mode)) {
        f->directory = inside;
    } else {
        free(inside);
        f->directory = mem_strdup(path);
    }
    f->with_snapshots = true;
    f->source.live = true;
    if (!scan(f, failure))
        return false;
    if (f->segments.count == 0 && f->snapshots.count == 0)
        return failure_set(failure, KAFKA_ERROR_KAFKA_STORAGE_ERROR,
                           "%s holds no metadata log: neither segments, snapshots nor a "
                           "directory " METADATA_DIRECTORY,
                           path);
    return true;
}

bool metadata_files_open(const char *path, struct metadata_source **ret_source,
                         struct failure *failure)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return failure_set(failure, KAFKA_ERROR_KAFKA_STORAGE_ERROR, "Cannot read %s: %s", path,
                           strerror(errno));
    struct files_source *f = mem_calloc(1, sizeof(*f));
    f->source.ops = &files_ops;
    f->only = -1;
    if (!(S_ISDIR(st.st_mode) ? open_directory(f, path, failure) : open_file(f, path, failure))) {
        files_free(&f->source);
        return false;
    }
    *ret_source = &f->source;
    return true;
}

void metadata_source_free(struct metadata_source *source)
{
    if (source != NULL)
        source->ops->free(source);
}
