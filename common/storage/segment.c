#include "common/storage/segment.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>

/* One read of it finds most batches: index entries are this far apart by default. */
enum { FIND_BYTES = 8192 };
/* Index entries of large batches do not wait for as many more. */
enum { TAIL_MAX_BYTES = 1 << 20 };

struct segment *segment_new(int64_t base_offset, int64_t size_bytes, struct segment_files files,
                            int64_t now_ms)
{
    struct segment *segment = mem_alloc(sizeof(*segment));
    *segment = (struct segment){
        .base_offset = base_offset,
        .size_bytes = size_bytes,
        .created_ms = now_ms,
        .modified_ms = now_ms,
        .first_timestamp = -1,
        .max_timestamp = -1,
        .max_timestamp_offset = base_offset,
        .times_known = size_bytes == 0,
    };
    file_slot_init(&segment->log_file);
    index_file_init(&segment->offset_index, LOG_FILE_INDEX, base_offset, files.offset_index);
    index_file_init(&segment->time_index, LOG_FILE_TIME_INDEX, base_offset, files.time_index);
    txn_index_init(&segment->txn_index, base_offset, files.txn_index);
    return segment;
}

void segment_free(struct segment *segment, const struct log_place *place)
{
    if (segment == NULL)
        return;
    file_slot_close(place->files, &segment->log_file);
    index_file_release(&segment->offset_index, place);
    index_file_release(&segment->time_index, place);
    txn_index_release(&segment->txn_index, place);
    free(segment);
}

static int open_with(struct segment *segment, const struct log_place *place, int flags)
{
    char path[PATH_MAX];
    if (segment->log_file.file == NULL &&
        !log_file_path(path, place->path, LOG_FILE_LOG, segment->base_offset, LOG_FILE_LIVE))
        return -ENAMETOOLONG;
    return file_slot_open(place->files, &segment->log_file, place->disk, path, flags);
}

void segment_close_files(struct segment *segment, const struct log_place *place)
{
    file_slot_close(place->files, &segment->log_file);
    file_slot_close(place->files, &segment->offset_index.slot);
    file_slot_close(place->files, &segment->time_index.slot);
    file_slot_close(place->files, &segment->txn_index.slot);
}

int segment_open(struct segment *segment, const struct log_place *place)
{
    return open_with(segment, place, 0);
}

int segment_create(struct segment *segment, const struct log_place *place,
                   const struct log_config *config)
{
    int rv = open_with(segment, place, DISK_CREATE | DISK_TRUNCATE);
    if (rv != 0)
        return rv;
    segment->dirty = true;
    file_slot_pin(place->files, &segment->log_file);
    if (!config->preallocate)
        return 0;
    segment->preallocated = true;
    return place->disk->ops->preallocate(segment->log_file.file, config->segment_bytes);
}

int segment_write(struct segment *segment, const struct log_place *place, const struct iovec *iov,
                  int count, size_t bytes, bool *ret_torn)
{
    int rv = segment_open(segment, place);
    if (rv != 0)
        return rv;
    struct disk_file *file = segment->log_file.file;
    segment->dirty = true;
    file_slot_pin(place->files, &segment->log_file);
    rv = place->disk->ops->pwritev(file, iov, count, segment->size_bytes);
    if (rv != 0) {
        *ret_torn = place->disk->ops->truncate(file, segment->size_bytes) != 0;
        segment->preallocated = false;
        return rv;
    }
    segment->size_bytes += (int64_t)bytes;
    return 0;
}

static int add_time_entry(struct segment *segment, const struct log_place *place)
{
    struct index_file *index = &segment->time_index;
    int rv = segment_load_times(segment, place);
    if (rv != 0 || segment->max_timestamp < 0)
        return rv;
    struct index_entry last = {.timestamp = -1};
    rv = index_file_load(index, place);
    if (rv == 0 && index->count > 0)
        rv = index_file_get(index, place, index->count - 1, &last);
    if (rv != 0 || segment->max_timestamp <= last.timestamp)
        return rv;
    struct index_entry entry = {
        .timestamp = segment->max_timestamp,
        .offset = segment->max_timestamp_offset,
    };
    return index_file_append(index, place, &entry);
}

/* What waits covers so much of the log that a start would read far back. */
static int covers_much(struct segment *segment, const struct log_place *place, int64_t position,
                       bool *ret_much)
{
    struct index_file *index = &segment->offset_index;
    struct index_entry first;
    *ret_much = false;
    if (index->tail_count == 0)
        return 0;
    int rv = index_file_get(index, place, index->count - index->tail_count, &first);
    *ret_much = rv == 0 && position - first.position >= TAIL_MAX_BYTES;
    return rv;
}

/* Both tails go to their files together, the time index first: so whatever the offset index names
 * is covered by the time index too, and opening need only look at what is behind its last entry. */
static int push_full_tails(struct segment *segment, const struct log_place *place, int64_t position)
{
    bool much;
    int rv = covers_much(segment, place, position, &much);
    if (rv != 0 || (segment->offset_index.tail_count < INDEX_TAIL_ENTRIES &&
                    segment->time_index.tail_count < INDEX_TAIL_ENTRIES && !much))
        return rv;
    rv = index_file_push(&segment->time_index, place);
    return rv != 0 ? rv : index_file_push(&segment->offset_index, place);
}

int segment_note(struct segment *segment, const struct log_place *place, int64_t last_offset,
                 int64_t max_timestamp, int64_t position, int64_t size_bytes,
                 int32_t index_interval_bytes)
{
    int rv = segment_load_times(segment, place);
    if (position == 0)
        segment->first_timestamp = max_timestamp;
    if (max_timestamp > segment->max_timestamp) {
        segment->max_timestamp = max_timestamp;
        segment->max_timestamp_offset = last_offset;
    }
    int64_t since = segment->bytes_since_index;
    if (rv == 0 && since > index_interval_bytes) {
        struct index_entry entry = {.offset = last_offset, .position = (int32_t)position};
        rv = push_full_tails(segment, place, position);
        if (rv == 0)
            rv = add_time_entry(segment, place);
        if (rv == 0)
            rv = index_file_append(&segment->offset_index, place, &entry);
        if (rv == 0)
            since = 0;
    }
    segment->bytes_since_index = (int32_t)MIN(since + size_bytes, INT32_MAX);
    return rv;
}

int segment_finish(struct segment *segment, const struct log_place *place)
{
    int rv = add_time_entry(segment, place);
    if (rv == 0)
        rv = index_file_finish(&segment->time_index, place);
    if (rv == 0)
        rv = index_file_finish(&segment->offset_index, place);
    if (rv != 0 || !segment->preallocated)
        return rv;
    rv = segment_open(segment, place);
    if (rv == 0)
        rv = place->disk->ops->truncate(segment->log_file.file, segment->size_bytes);
    if (rv != 0)
        return rv;
    /* Were the zeros to come back, recovery would take them for the end of the log. */
    segment->preallocated = false;
    segment->dirty = true;
    file_slot_pin(place->files, &segment->log_file);
    return 0;
}

/* Reads headers from `position` on until a batch reaches `offset`. */
static int find_from(struct segment *segment, int64_t position, int64_t offset,
                     struct segment_found *ret_found)
{
    uint8_t buffer[FIND_BYTES];
    int64_t buffer_at = 0;
    ssize_t filled = 0;
    while (position < segment->size_bytes) {
        if (position < buffer_at || position + RECORD_BATCH_HEADER_SIZE > buffer_at + filled) {
            int64_t left = segment->size_bytes - position;
            if (left < RECORD_BATCH_HEADER_SIZE)
                return -EBADMSG;
            filled = disk_pread(segment->log_file.file, buffer,
                                (size_t)MIN((int64_t)sizeof(buffer), left), position);
            if (filled < RECORD_BATCH_HEADER_SIZE)
                return filled < 0 ? (int)filled : -EIO;
            buffer_at = position;
        }
        struct record_batch_header h;
        size_t size;
        const uint8_t *data = buffer + (position - buffer_at);
        if (record_batch_peek_size(data, RECORD_BATCH_HEADER_SIZE, INT32_MAX, &size) != 0 ||
            (int64_t)size > segment->size_bytes - position)
            return -EBADMSG;
        record_batch_header_decode(data, &h);
        if (record_batch_last_offset(&h) >= offset) {
            *ret_found = (struct segment_found){
                .position = position,
                .base_offset = h.base_offset,
                .last_offset = record_batch_last_offset(&h),
                .size_bytes = (int32_t)size,
            };
            return 0;
        }
        position += (int64_t)size;
    }
    *ret_found = (struct segment_found){.position = segment->size_bytes};
    return 0;
}

int segment_find(struct segment *segment, const struct log_place *place, int64_t offset,
                 struct segment_found *ret_found)
{
    int64_t position = 0;
    if (offset > segment->base_offset) {
        struct index_entry entry;
        int32_t at;
        int rv =
            index_file_floor(&segment->offset_index, place, INDEX_BY_OFFSET, offset, &at, &entry);
        if (rv != 0)
            return rv;
        if (at != INDEX_NONE && entry.position > 0 && entry.position < segment->size_bytes)
            position = entry.position;
    }
    int rv = segment_open(segment, place);
    return rv != 0 ? rv : find_from(segment, position, offset, ret_found);
}

int segment_load_times(struct segment *segment, const struct log_place *place)
{
    if (segment->times_known)
        return 0;
    struct index_file *index = &segment->time_index;
    struct index_entry last = {.timestamp = -1, .offset = segment->base_offset};
    int rv = index_file_load(index, place);
    if (rv == 0 && index->count > 0)
        rv = index_file_get(index, place, index->count - 1, &last);
    if (rv != 0)
        return rv;
    if (last.timestamp > segment->max_timestamp) {
        segment->max_timestamp = last.timestamp;
        segment->max_timestamp_offset = last.offset;
    }
    segment->times_known = true;
    return 0;
}

int segment_first_timestamp(struct segment *segment, const struct log_place *place,
                            int64_t *ret_timestamp)
{
    if (segment->first_timestamp < 0 && segment->size_bytes >= RECORD_BATCH_HEADER_SIZE) {
        uint8_t data[RECORD_BATCH_HEADER_SIZE];
        struct record_batch_header h;
        int rv = segment_open(segment, place);
        if (rv != 0)
            return rv;
        ssize_t n = disk_pread(segment->log_file.file, data, sizeof(data), 0);
        if (n < (ssize_t)sizeof(data))
            return n < 0 ? (int)n : -EIO;
        record_batch_header_decode(data, &h);
        segment->first_timestamp = h.max_timestamp;
    }
    *ret_timestamp = segment->first_timestamp;
    return 0;
}

int segment_retention_timestamp(struct segment *segment, const struct log_place *place,
                                int64_t *ret_timestamp)
{
    int rv = segment_load_times(segment, place);
    if (rv == 0)
        *ret_timestamp =
            segment->max_timestamp >= 0 ? segment->max_timestamp : segment->modified_ms;
    return rv;
}

int segment_truncate(struct segment *segment, const struct log_place *place, int64_t size_bytes,
                     int64_t offset)
{
    struct index_entry entry;
    int32_t at;
    int rv = txn_index_truncate(&segment->txn_index, place, offset);
    if (rv == 0)
        rv = index_file_floor(&segment->offset_index, place, INDEX_BY_OFFSET, offset - 1, &at,
                              &entry);
    if (rv == 0)
        rv = index_file_truncate(&segment->offset_index, place, at + 1);
    if (rv == 0)
        rv =
            index_file_floor(&segment->time_index, place, INDEX_BY_OFFSET, offset - 1, &at, &entry);
    if (rv == 0)
        rv = index_file_truncate(&segment->time_index, place, at + 1);
    if (rv == 0)
        rv = segment_open(segment, place);
    if (rv == 0)
        rv = place->disk->ops->truncate(segment->log_file.file, size_bytes);
    if (rv != 0)
        return rv;
    segment->preallocated = false;
    segment->dirty = true;
    file_slot_pin(place->files, &segment->log_file);
    segment->size_bytes = size_bytes;
    segment->bytes_since_index = 0;
    segment->max_timestamp = -1;
    segment->max_timestamp_offset = segment->base_offset;
    segment->times_known = false;
    if (size_bytes == 0)
        segment->first_timestamp = -1;
    return 0;
}
