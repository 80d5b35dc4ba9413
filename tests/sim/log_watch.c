#include "tests/sim/log_watch.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/record_batch.h"
#include "common/storage/log_internal.h"
#include "common/storage/small_files.h"
#include "common/base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define fail(l, format, ...)                                                                       \
    sim_fail((l)->sim, "%s: " format, sim_node_name((l)->node), __VA_ARGS__)

const char *const watched_dirs[WATCHED_DIRS] = {"/data", "/data2"};

void watched_log_release(struct watched_log *l)
{
    free(l->batches);
    l->batches = NULL;
    l->count = l->capacity = 0;
}

/* Reads the batch that stands at that place; false: there is none. */
static bool read_batch_in(const struct watched_log *l, const char *directory, int64_t segment,
                          int64_t position, struct watched_batch *ret_batch)
{
    char path[128];
    uint8_t header[RECORD_BATCH_HEADER_SIZE];
    struct record_batch_header h;
    size_t size;
    snprintf(path, sizeof(path), "%s/%020" PRId64 ".log", directory, segment);
    struct sim_disk *disk = sim_node_disk(l->node);
    if (sim_disk_peek(disk, path, header, sizeof(header), position) != sizeof(header) ||
        record_batch_peek_size(header, sizeof(header), INT32_MAX, &size) != 0)
        return false;
    uint8_t *bytes = mem_alloc(size);
    bool whole = sim_disk_peek(disk, path, bytes, size, position) == (ssize_t)size;
    record_batch_header_decode(header, &h);
    *ret_batch = (struct watched_batch){
        .base = h.base_offset,
        .end = record_batch_next_offset(&h),
        .epoch = h.partition_leader_epoch,
        .crc = h.crc,
        .hash = whole ? hash_bytes(bytes, size) : 0,
        .segment = segment,
        .next_position = position + (int64_t)size,
        .producer_id = h.producer_id,
        .sequence = h.base_sequence,
        .producer_epoch = h.producer_epoch,
    };
    free(bytes);
    return whole;
}

static bool read_batch(const struct watched_log *l, int64_t segment, int64_t position,
                       struct watched_batch *ret_batch)
{
    return read_batch_in(l, l->path, segment, position, ret_batch);
}

bool watched_batch_same(const struct watched_batch *a, const struct watched_batch *b)
{
    return a->base == b->base && a->end == b->end && a->epoch == b->epoch && a->hash == b->hash;
}

struct watched_batch *watched_batch_find(struct watched_batch *batches, size_t count,
                                         int64_t offset)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (batches[middle].end <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && batches[low].base <= offset ? &batches[low] : NULL;
}

static struct map_key key_of(int64_t base, int32_t epoch)
{
    return map_key_u64((uint64_t)base << 24 | (uint32_t)epoch);
}

const struct watched_batch *watched_batch_seen(const struct map *seen, int64_t base, int32_t epoch)
{
    return map_get(seen, key_of(base, epoch));
}

void watched_batch_note(struct map *seen, const struct watched_log *l,
                        const struct watched_batch *b)
{
    struct watched_batch *known = map_get(seen, key_of(b->base, b->epoch));
    if (!known) {
        known = mem_alloc(sizeof(*known));
        *known = *b;
        map_put(seen, key_of(b->base, b->epoch), known);
    } else if (!watched_batch_same(known, b)) {
        fail(l, "the batch at %" PRId64 " of epoch %d in %s is not the one that was there before",
             b->base, b->epoch, l->path);
    }
}

void watched_log_follow(struct watched_log *l, const struct log *log, size_t first,
                        void (*found)(void *ctx, const struct watched_batch *b), void *ctx)
{
    int64_t end = log_end_offset(log), start = log->segments[0]->base_offset;
    snprintf(l->path, sizeof(l->path), "%s", log_path(log));
    while (l->count > 0 && l->batches[l->count - 1].end > end)
        l->count--;
    /* Segments that went, or a checkpoint that took the place of all that was there. */
    size_t gone = 0;
    while (gone < l->count && l->batches[gone].base < start)
        gone++;
    l->count -= gone;
    if (gone > 0)
        memmove(l->batches, l->batches + gone, l->count * sizeof(l->batches[0]));
    int64_t offset =
        l->count > 0 ? l->batches[l->count - 1].end : log->segments[first]->base_offset;
    /* It may begin within a batch for which there was no room. */
    if (l->count == 0 && first + 1 == log->segment_count && log->segments[first]->size_bytes == 0)
        offset = end;
    while (offset < end && !sim_failure(l->sim)) {
        struct watched_batch b;
        const struct watched_batch *last = l->count > 0 ? &l->batches[l->count - 1] : NULL;
        int64_t segment = log->segments[log_segment_at(log, offset)]->base_offset;
        int64_t position = last && last->segment == segment ? last->next_position : 0;
        if (!read_batch(l, segment, position, &b)) {
            fail(l, "no whole batch at %" PRId64 " of %s, segment %" PRId64, position, l->path,
                 segment);
            return;
        }
        if (b.base != offset)
            fail(l, "the batch at %" PRId64 " of %s stands where %" PRId64 " is due", b.base,
                 l->path, offset);
        found(ctx, &b);
        VEC_PUSH(l->batches, l->count, l->capacity) = b;
        offset = b.end;
    }
}

void watched_log_moved(struct watched_log *l, const struct log *log, size_t first,
                       void (*found)(void *ctx, const struct watched_batch *b), void *ctx)
{
    struct watched_batch *before = l->batches;
    size_t count = l->count;
    l->batches = NULL;
    l->count = l->capacity = 0;
    watched_log_follow(l, log, first, found, ctx);
    for (size_t i = 0; i < count && !sim_failure(l->sim); i++) {
        const struct watched_batch *own =
            watched_batch_find(l->batches, l->count, before[i].end - 1);
        if (before[i].base >= log_start_offset(log) &&
            !(own && watched_batch_same(own, &before[i])))
            fail(l, "the batch at %" PRId64 " was not moved to %s", before[i].base, l->path);
    }
    free(before);
}

/* Whose it is stands in a file that is synced before anything else counts as synced. What has none
 * belongs to nobody (log_open.c). */
static bool says_whose_it_is(const struct watched_log *l, const char *directory)
{
    char path[128], text[PARTITION_METADATA_BYTES];
    snprintf(path, sizeof(path), "%s/%s", directory, FILE_PARTITION_METADATA);
    return sim_disk_peek(sim_node_disk(l->node), path, text, sizeof(text), 0) == sizeof(text);
}

/* How many batches still stand where they stood. */
static size_t count_standing(const struct watched_log *l)
{
    int64_t segment = -1, position = 0;
    if (l->count > 0 && !says_whose_it_is(l, l->path))
        return 0;
    for (size_t i = 0; i < l->count; i++) {
        struct watched_batch b;
        if (l->batches[i].segment != segment)
            position = 0;
        segment = l->batches[i].segment;
        if (!read_batch(l, segment, position, &b) || !watched_batch_same(&b, &l->batches[i]))
            return i;
        position = b.next_position;
    }
    return l->count;
}

/* The same batches as they stand in another directory, whose segments are not known: they begin
 * with a batch, the first one also where the log starts. Returns how many end at or before the last
 * one that is there. */
static size_t find_elsewhere(const struct watched_log *l, const char *directory, int64_t start,
                             struct watched_batch *ret_batches, size_t *ret_count)
{
    int64_t segment = -1, position = 0;
    size_t reached = 0, count = 0;
    if (!says_whose_it_is(l, directory))
        return 0;
    for (size_t i = 0; i < l->count; i++) {
        struct watched_batch *b = &ret_batches[count];
        bool found = segment >= 0 && read_batch_in(l, directory, segment, position, b) &&
                     watched_batch_same(b, &l->batches[i]);
        int64_t begins[] = {l->batches[i].base, start};
        for (size_t k = 0; !found && k < ARRAY_LEN(begins); k++) {
            found = read_batch_in(l, directory, begins[k], 0, b) &&
                    watched_batch_same(b, &l->batches[i]);
            segment = found ? begins[k] : segment;
        }
        if (!found && count > 0)
            break;
        if (!found)
            continue;
        position = b->next_position;
        reached = i + 1;
        count++;
    }
    *ret_count = count;
    return reached;
}

void watched_log_verify(struct watched_log *l, int64_t start)
{
    size_t standing = count_standing(l);
    const char *name = strrchr(l->path, '/');
    for (int i = 0; i < WATCHED_DIRS && name && standing < l->count; i++) {
        char directory[sizeof(l->path)];
        size_t count = 0;
        snprintf(directory, sizeof(directory), "%s%s", watched_dirs[i], name);
        if (strcmp(directory, l->path) == 0)
            continue;
        struct watched_batch *batches = mem_calloc(l->count, sizeof(*batches));
        if (find_elsewhere(l, directory, start, batches, &count) > standing) {
            snprintf(l->path, sizeof(l->path), "%s", directory);
            memcpy(l->batches, batches, count * sizeof(*batches));
            l->count = standing = count;
        }
        free(batches);
    }
    l->count = standing;
}
