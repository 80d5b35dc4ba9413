#include "common/storage/epoch_cache.h"

#include "common/base/mem.h"
#include "common/storage/checkpoint_file.h"

#include <errno.h>
#include <stdlib.h>

void epoch_cache_init(struct epoch_cache *cache)
{
    *cache = (struct epoch_cache){0};
}

void epoch_cache_release(struct epoch_cache *cache)
{
    free(cache->entries);
}

void epoch_cache_assign(struct epoch_cache *cache, int32_t epoch, int64_t start_offset)
{
    const struct epoch_entry *last = cache->count > 0 ? &cache->entries[cache->count - 1] : NULL;
    if (last != NULL && last->epoch == epoch && last->start_offset <= start_offset)
        return;
    while (cache->count > 0 && (cache->entries[cache->count - 1].epoch >= epoch ||
                                cache->entries[cache->count - 1].start_offset >= start_offset))
        cache->count--;
    VEC_PUSH(cache->entries, cache->count, cache->capacity) =
        (struct epoch_entry){epoch, start_offset};
    cache->changed = true;
}

void epoch_cache_truncate_end(struct epoch_cache *cache, int64_t offset)
{
    while (cache->count > 0 && cache->entries[cache->count - 1].start_offset >= offset) {
        cache->count--;
        cache->changed = true;
    }
}

/* Index of the last entry that starts at or before `offset`, or -1. */
static ptrdiff_t floor_by_offset(const struct epoch_cache *cache, int64_t offset)
{
    ptrdiff_t low = 0, high = (ptrdiff_t)cache->count;
    while (low < high) {
        ptrdiff_t middle = low + (high - low) / 2;
        if (cache->entries[middle].start_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

void epoch_cache_truncate_start(struct epoch_cache *cache, int64_t offset)
{
    ptrdiff_t at = floor_by_offset(cache, offset);
    if (at < 0 || (at == 0 && cache->entries[0].start_offset == offset))
        return;
    cache->count -= (size_t)at;
    memmove(cache->entries, cache->entries + at, cache->count * sizeof(*cache->entries));
    cache->entries[0].start_offset = offset;
    cache->changed = true;
}

void epoch_cache_clear(struct epoch_cache *cache)
{
    cache->changed |= cache->count > 0;
    cache->count = 0;
}

int32_t epoch_cache_latest(const struct epoch_cache *cache)
{
    return cache->count > 0 ? cache->entries[cache->count - 1].epoch : -1;
}

int32_t epoch_cache_of(const struct epoch_cache *cache, int64_t offset)
{
    ptrdiff_t at = floor_by_offset(cache, offset);
    return at >= 0 ? cache->entries[at].epoch : -1;
}

void epoch_cache_end_of(const struct epoch_cache *cache, int32_t epoch, int64_t log_end_offset,
                        int32_t *ret_epoch, int64_t *ret_end_offset)
{
    int32_t latest = epoch_cache_latest(cache);
    if (epoch < 0 || latest < epoch) {
        /* Nothing is known about an epoch that has not begun here. */
        *ret_epoch = -1;
        *ret_end_offset = -1;
        return;
    }
    if (epoch == latest) {
        *ret_epoch = epoch;
        *ret_end_offset = log_end_offset;
        return;
    }
    size_t above = 0;
    while (cache->entries[above].epoch <= epoch)
        above++;
    *ret_epoch = above > 0 ? cache->entries[above - 1].epoch : epoch;
    *ret_end_offset = cache->entries[above].start_offset;
}

static int epoch_line(void *ctx, struct str line)
{
    struct epoch_cache *cache = ctx;
    struct str epoch_text;
    struct epoch_entry entry;
    if (!str_split(&line, ' ', &epoch_text) || str_to_i32(epoch_text, &entry.epoch) != 0 ||
        str_to_i64(line, &entry.start_offset) != 0 || entry.epoch < 0 || entry.start_offset < 0)
        return -EBADMSG;
    VEC_PUSH(cache->entries, cache->count, cache->capacity) = entry;
    return 0;
}

static int by_epoch(const void *a, const void *b)
{
    const struct epoch_entry *x = a, *y = b;
    return x->epoch < y->epoch ? -1 : x->epoch > y->epoch;
}

int epoch_cache_load(struct epoch_cache *cache, struct disk *disk, const char *path)
{
    char *text;
    int rv = checkpoint_read(disk, path, &text, epoch_line, cache);
    if (rv != 0) {
        cache->count = 0;
        return rv;
    }
    free(text);
    if (cache->count > 1)
        qsort(cache->entries, cache->count, sizeof(*cache->entries), by_epoch);
    for (size_t i = 1; i < cache->count; i++) {
        if (cache->entries[i].epoch == cache->entries[i - 1].epoch ||
            cache->entries[i].start_offset <= cache->entries[i - 1].start_offset) {
            cache->count = 0;
            return -EBADMSG;
        }
    }
    cache->changed = false;
    return 0;
}

int epoch_cache_save(struct epoch_cache *cache, struct disk *disk, const char *path)
{
    struct checkpoint_writer writer;
    checkpoint_writer_init(&writer);
    for (size_t i = 0; i < cache->count; i++)
        checkpoint_writer_add_epoch(&writer, cache->entries[i].epoch,
                                    cache->entries[i].start_offset);
    int rv = checkpoint_writer_save(&writer, disk, path, false);
    checkpoint_writer_release(&writer);
    if (rv == 0)
        cache->changed = false;
    return rv;
}
