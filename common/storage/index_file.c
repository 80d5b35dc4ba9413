#include "common/storage/index_file.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/endian.h"

#include <errno.h>
#include <stdlib.h>

enum {
    OFFSET_ENTRY = 8,
    TIME_ENTRY = 12,
    ENTRY_MAX = TIME_ENTRY,
    /* A search ends with one read of so many entries. */
    SEARCH_BLOCK = 64,
};

int32_t index_entry_size(enum log_file_kind kind)
{
    return kind == LOG_FILE_INDEX ? OFFSET_ENTRY : TIME_ENTRY;
}

void index_entry_decode(enum log_file_kind kind, int64_t base_offset, const uint8_t *data,
                        struct index_entry *ret_entry)
{
    if (kind == LOG_FILE_INDEX)
        *ret_entry = (struct index_entry){
            .offset = base_offset + get_i32(data),
            .position = get_i32(data + 4),
            .timestamp = -1,
        };
    else
        *ret_entry = (struct index_entry){
            .offset = base_offset + get_i32(data + 8),
            .timestamp = get_i64(data),
            .position = -1,
        };
}

void index_entry_encode(enum log_file_kind kind, int64_t base_offset,
                        const struct index_entry *entry, uint8_t *data)
{
    if (kind == LOG_FILE_INDEX) {
        put_i32(data, (int32_t)(entry->offset - base_offset));
        put_i32(data + 4, entry->position);
    } else {
        put_i64(data, entry->timestamp);
        put_i32(data + 8, (int32_t)(entry->offset - base_offset));
    }
}

void index_file_init(struct index_file *index, enum log_file_kind kind, int64_t base_offset,
                     bool exists)
{
    *index = (struct index_file){
        .kind = kind,
        .exists = exists,
        .count = exists ? -1 : 0,
        .base_offset = base_offset,
    };
    file_slot_init(&index->slot);
}

void index_file_release(struct index_file *index, const struct log_place *place)
{
    file_slot_close(place->files, &index->slot);
    free(index->tail);
    index->tail = NULL;
}

int index_file_open(struct index_file *index, const struct log_place *place)
{
    char path[PATH_MAX];
    if (index->slot.file == NULL &&
        !log_file_path(path, place->path, index->kind, index->base_offset,
                       index->remade ? LOG_FILE_TEMPORARY : LOG_FILE_LIVE))
        return -ENAMETOOLONG;
    int rv = file_slot_open(place->files, &index->slot, place->disk, path,
                            index->exists ? 0 : DISK_CREATE);
    if (rv == 0)
        index->exists = true;
    return rv;
}

static void mark_dirty(struct index_file *index, const struct log_place *place)
{
    index->dirty = true;
    file_slot_pin(place->files, &index->slot);
}

static bool entry_is_zero(const uint8_t *data, int32_t size)
{
    static const uint8_t zero[ENTRY_MAX];
    return memcmp(data, zero, (size_t)size) == 0;
}

/* Reads entry `at` of the file. */
static int read_raw(struct index_file *index, int32_t at, int32_t count, uint8_t *ret_data)
{
    size_t len = (size_t)count * (size_t)index_entry_size(index->kind);
    ssize_t n =
        disk_pread(index->slot.file, ret_data, len, (int64_t)at * index_entry_size(index->kind));
    return n < 0 ? (int)n : (size_t)n < len ? -EIO : 0;
}

/* Entries before the zeros at the end. */
static int count_filled(struct index_file *index, int32_t in_file, int32_t *ret_count)
{
    uint8_t entry[ENTRY_MAX];
    int32_t size = index_entry_size(index->kind);
    /* A time index may truly begin with timestamp 0 at its base offset. */
    int32_t low = 0, high = in_file;
    if (in_file > 0) {
        int rv = read_raw(index, in_file - 1, 1, entry);
        if (rv != 0)
            return rv;
        if (!entry_is_zero(entry, size) || (in_file == 1 && index->kind == LOG_FILE_TIME_INDEX))
            low = high;
    }
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        int rv = read_raw(index, middle, 1, entry);
        if (rv != 0)
            return rv;
        if (entry_is_zero(entry, size))
            high = middle;
        else
            low = middle + 1;
    }
    *ret_count = low;
    return 0;
}

int index_file_load(struct index_file *index, const struct log_place *place)
{
    if (index->count >= 0)
        return 0;
    int rv = index_file_open(index, place);
    if (rv != 0)
        return rv;
    int64_t bytes = place->disk->ops->size(index->slot.file);
    if (bytes < 0)
        return (int)bytes;
    int32_t size = index_entry_size(index->kind), count;
    int64_t in_file = MIN(bytes / size, INT32_MAX / size);
    rv = count_filled(index, (int32_t)in_file, &count);
    if (rv != 0)
        return rv;
    if (bytes != (int64_t)count * size && !index->read_only) {
        rv = place->disk->ops->truncate(index->slot.file, (int64_t)count * size);
        if (rv != 0)
            return rv;
        mark_dirty(index, place);
    }
    index->count = count;
    return 0;
}

int index_file_push(struct index_file *index, const struct log_place *place)
{
    if (index->tail_count == 0)
        return 0;
    int rv = index_file_open(index, place);
    if (rv != 0)
        return rv;
    int32_t size = index_entry_size(index->kind);
    rv = disk_pwrite(index->slot.file, index->tail, (size_t)index->tail_count * (size_t)size,
                     (int64_t)(index->count - index->tail_count) * size);
    mark_dirty(index, place); /* a part may be written in any case */
    if (rv == 0)
        index->tail_count = 0;
    return rv;
}

int index_file_append(struct index_file *index, const struct log_place *place,
                      const struct index_entry *entry)
{
    int rv = index_file_load(index, place);
    if (rv == 0 && index->tail_count == INDEX_TAIL_ENTRIES)
        rv = index_file_push(index, place);
    if (rv != 0)
        return rv;
    size_t size = (size_t)index_entry_size(index->kind);
    if (index->tail == NULL)
        index->tail = mem_alloc(INDEX_TAIL_ENTRIES * size);
    index_entry_encode(index->kind, index->base_offset, entry,
                       index->tail + index->tail_count * size);
    index->tail_count++;
    index->count++;
    return 0;
}

int index_file_get(struct index_file *index, const struct log_place *place, int32_t at,
                   struct index_entry *ret_entry)
{
    int rv = index_file_load(index, place);
    if (rv != 0)
        return rv;
    CHECK(at >= 0 && at < index->count);
    uint8_t raw[ENTRY_MAX];
    const uint8_t *data = raw;
    int32_t in_file = index->count - index->tail_count;
    if (at >= in_file) {
        data = index->tail + (at - in_file) * index_entry_size(index->kind);
    } else {
        rv = index_file_open(index, place);
        if (rv == 0)
            rv = read_raw(index, at, 1, raw);
        if (rv != 0)
            return rv;
    }
    index_entry_decode(index->kind, index->base_offset, data, ret_entry);
    return 0;
}

static int64_t entry_key(const struct index_entry *entry, enum index_key by)
{
    return by == INDEX_BY_OFFSET     ? entry->offset
           : by == INDEX_BY_POSITION ? entry->position
                                     : entry->timestamp;
}

/* Number of the entries among `count` raw ones whose key is at most `key`; *entry is the last. */
static int32_t floor_in_block(const struct index_file *index, const uint8_t *raw, int32_t count,
                              enum index_key by, int64_t key, struct index_entry *entry)
{
    int32_t low = 0, high = count, size = index_entry_size(index->kind);
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        struct index_entry candidate;
        index_entry_decode(index->kind, index->base_offset, raw + middle * size, &candidate);
        if (entry_key(&candidate, by) <= key) {
            *entry = candidate;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int index_file_floor(struct index_file *index, const struct log_place *place, enum index_key by,
                     int64_t key, int32_t *ret_at, struct index_entry *ret_entry)
{
    int rv = index_file_load(index, place);
    if (rv != 0)
        return rv;
    struct index_entry entry = {0};
    int32_t low = 0, high = index->count - index->tail_count;
    int32_t in_tail = floor_in_block(index, index->tail, index->tail_count, by, key, &entry);
    if (in_tail > 0 || high == 0) {
        *ret_at = high + in_tail - 1;
        *ret_entry = entry;
        return 0;
    }
    rv = index_file_open(index, place);
    /* Entries before `low` have keys of at most `key`, those from `high` on larger ones. */
    while (rv == 0 && high - low > SEARCH_BLOCK) {
        int32_t middle = low + (high - low) / 2;
        struct index_entry candidate;
        rv = index_file_get(index, place, middle, &candidate);
        if (rv == 0 && entry_key(&candidate, by) <= key)
            low = middle;
        else
            high = middle;
    }
    uint8_t raw[SEARCH_BLOCK * ENTRY_MAX];
    if (rv == 0)
        rv = read_raw(index, low, high - low, raw);
    if (rv != 0)
        return rv;
    int32_t in_block = floor_in_block(index, raw, high - low, by, key, &entry);
    *ret_at = in_block > 0 ? low + in_block - 1 : INDEX_NONE;
    *ret_entry = entry;
    return 0;
}

int index_file_truncate(struct index_file *index, const struct log_place *place, int32_t count)
{
    int rv = index_file_load(index, place);
    if (rv != 0)
        return rv;
    CHECK(count >= 0);
    if (count >= index->count)
        return 0;
    int32_t in_file = index->count - index->tail_count;
    if (count >= in_file) {
        index->tail_count = (uint8_t)(count - in_file);
        index->count = count;
        return 0;
    }
    rv = index_file_open(index, place);
    if (rv == 0)
        rv = place->disk->ops->truncate(index->slot.file,
                                        (int64_t)count * index_entry_size(index->kind));
    if (rv != 0)
        return rv;
    index->tail_count = 0;
    index->count = count;
    mark_dirty(index, place);
    return 0;
}

/* Entries that grow strictly and stay below the segment's size, in *ret_count. */
static int count_growing(struct index_file *index, int64_t size_bytes, int32_t *ret_count)
{
    uint8_t raw[SEARCH_BLOCK * ENTRY_MAX];
    struct index_entry entry, last = {.offset = index->base_offset - 1, .timestamp = -1};
    last.position = -1;
    int32_t size = index_entry_size(index->kind), in_file = index->count - index->tail_count;
    bool by_time = index->kind == LOG_FILE_TIME_INDEX;
    for (int32_t at = 0; at < in_file; at += SEARCH_BLOCK) {
        int32_t count = MIN(SEARCH_BLOCK, in_file - at);
        int rv = read_raw(index, at, count, raw);
        if (rv != 0)
            return rv;
        for (int32_t i = 0; i < count; i++, last = entry) {
            index_entry_decode(index->kind, index->base_offset, raw + i * size, &entry);
            bool grows = by_time ? entry.timestamp > last.timestamp && entry.offset >= last.offset
                                 : entry.position > last.position && entry.offset > last.offset;
            if (!grows || entry.offset < index->base_offset || entry.position >= size_bytes) {
                *ret_count = at + i;
                return 0;
            }
        }
    }
    *ret_count = in_file;
    return 0;
}

int index_file_repair(struct index_file *index, const struct log_place *place, int64_t size_bytes)
{
    CHECK(index->tail_count == 0);
    int32_t count;
    int rv = index_file_load(index, place);
    if (rv != 0 || index->count == 0)
        return rv;
    rv = index_file_open(index, place);
    if (rv == 0)
        rv = count_growing(index, size_bytes, &count);
    return rv == 0 ? index_file_truncate(index, place, count) : rv;
}

int index_file_finish(struct index_file *index, const struct log_place *place)
{
    int rv = index_file_load(index, place);
    if (rv == 0)
        rv = index_file_push(index, place);
    if (rv == 0 && !index->exists)
        rv = index_file_open(index, place);
    if (rv != 0)
        return rv;
    free(index->tail);
    index->tail = NULL;
    return 0;
}

int index_file_remake(struct index_file *index, const struct log_place *place)
{
    file_slot_close(place->files, &index->slot);
    index->remade = true;
    index->exists = index->dirty = false;
    index->tail_count = 0;
    index->count = 0;
    int rv = index_file_open(index, place);
    return rv == 0 ? place->disk->ops->truncate(index->slot.file, 0) : rv;
}

int index_file_replace(struct index_file *index, const struct log_place *place)
{
    char from[PATH_MAX], to[PATH_MAX];
    CHECK(index->remade);
    if (!log_file_path(from, place->path, index->kind, index->base_offset, LOG_FILE_TEMPORARY) ||
        !log_file_path(to, place->path, index->kind, index->base_offset, LOG_FILE_LIVE))
        return -ENAMETOOLONG;
    int rv = index_file_finish(index, place);
    if (rv == 0)
        rv = index_file_open(index, place);
    if (rv == 0)
        rv = place->disk->ops->fsync(index->slot.file);
    if (rv == 0)
        rv = place->disk->ops->rename(place->disk, from, to);
    if (rv == 0)
        index->remade = index->dirty = false;
    return rv;
}
