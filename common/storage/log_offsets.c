#include "common/storage/log_offsets.h"

#include "common/protocol/record_iter.h"
#include "common/storage/log_internal.h"

#include <errno.h>

/* A compressed batch holds at most so much; no topic takes larger messages. */
enum { BATCH_RECORDS_MAX_BYTES = 1 << 30 };

static const struct log_offset_found nothing = {-1, -1, -1};

/* The first record of a batch at or after `timestamp` and `offset`: 1 and it, 0, or an error. */
static int find_in_batch(const struct record_batch *batch, int64_t timestamp, int64_t offset,
                         struct log_offset_found *ret)
{
    struct record_iter it;
    struct record record;
    int rv = record_iter_init(&it, batch, BATCH_RECORDS_MAX_BYTES, NULL);
    if (rv != 0)
        return rv;
    while ((rv = record_iter_next(&it, &record)) == 1) {
        if (record.timestamp < timestamp || record.offset < offset)
            continue;
        *ret = (struct log_offset_found){
            .offset = record.offset,
            .timestamp = record.timestamp,
            .leader_epoch = batch->header.partition_leader_epoch,
        };
        break;
    }
    record_iter_release(&it);
    return rv;
}

/* From `position` of a segment on: 1 and the first record that fits, 0 for none. */
static int find_in_segment(struct log *log, struct segment *s, int64_t position, int64_t timestamp,
                           int64_t offset, struct log_offset_found *ret)
{
    int rv = segment_open(s, &log->place);
    if (rv != 0)
        return rv;
    struct disk_file *file = disk_file_ref(s->log_file.file);
    struct batch_reader reader;
    struct batch_view view;
    batch_reader_init(&reader, file, position, s->size_bytes, false);
    while ((rv = batch_reader_next(&reader, &view)) == 1) {
        if (view.header.max_timestamp < timestamp ||
            record_batch_last_offset(&view.header) < offset || view.header.count <= 0)
            continue;
        rv = batch_reader_fetch(&reader, &view);
        if (rv != 0)
            break;
        struct record_batch batch = {view.bytes, view.header};
        rv = find_in_batch(&batch, timestamp, offset, ret);
        if (rv != 0)
            break;
    }
    batch_reader_release(&reader);
    disk_file_unref(file);
    return rv;
}

/* Where in the segment a batch with `timestamp` or later may first stand. */
static int start_position(struct log *log, struct segment *s, int64_t timestamp,
                          int64_t *ret_position)
{
    struct index_entry entry;
    struct segment_found found;
    int32_t at;
    int64_t offset = MAX(s->base_offset, log->start_offset);
    int rv =
        index_file_floor(&s->time_index, &log->place, INDEX_BY_TIMESTAMP, timestamp, &at, &entry);
    /* Batches before the one that an entry names have earlier timestamps than it. */
    if (rv == 0 && at != INDEX_NONE)
        offset = MAX(offset, entry.offset);
    if (rv == 0)
        rv = segment_find(s, &log->place, offset, &found);
    if (rv == 0)
        *ret_position = found.position;
    return rv;
}

static int by_timestamp(struct log *log, int64_t timestamp, struct log_offset_found *ret)
{
    for (size_t i = 0; i < log->segment_count; i++) {
        struct segment *s = log->segments[i];
        int64_t position;
        if (log_segment_end(log, i) <= log->start_offset && i + 1 < log->segment_count)
            continue;
        int rv = segment_load_times(s, &log->place);
        if (rv != 0)
            return rv;
        if (s->max_timestamp < timestamp)
            continue;
        rv = start_position(log, s, timestamp, &position);
        if (rv == 0)
            rv = find_in_segment(log, s, position, timestamp, log->start_offset, ret);
        if (rv != 0)
            return MIN(rv, 0);
    }
    *ret = nothing;
    return 0;
}

/* The record with the largest timestamp, the first one of several; as in Kafka also below the start
 * offset, while its segment is there. */
static int by_max_timestamp(struct log *log, struct log_offset_found *ret)
{
    struct segment *best = NULL;
    for (size_t i = 0; i < log->segment_count; i++) {
        struct segment *s = log->segments[i];
        int rv = segment_load_times(s, &log->place);
        if (rv != 0)
            return rv;
        if (s->max_timestamp >= 0 && (best == NULL || s->max_timestamp > best->max_timestamp))
            best = s;
    }
    struct segment_found found;
    *ret = nothing;
    if (best == NULL)
        return 0;
    int rv = segment_find(best, &log->place, best->max_timestamp_offset, &found);
    if (rv == 0)
        rv = find_in_segment(log, best, found.position, best->max_timestamp, 0, ret);
    return MIN(rv, 0);
}

int log_offset_for_timestamp(struct log *log, int64_t timestamp, struct log_offset_found *ret)
{
    struct log_offset_found found = nothing;
    int rv = 0;
    switch (timestamp) {
    case LOG_TIMESTAMP_LATEST:
        found.offset = log->end_offset;
        found.leader_epoch = epoch_cache_latest(&log->epochs);
        break;
    case LOG_TIMESTAMP_EARLIEST:
    case LOG_TIMESTAMP_EARLIEST_LOCAL:
        found.offset = log->start_offset;
        found.leader_epoch = epoch_cache_of(&log->epochs, log->start_offset);
        break;
    case LOG_TIMESTAMP_MAX:
        rv = by_max_timestamp(log, &found);
        break;
    case LOG_TIMESTAMP_LATEST_TIERED:
    case LOG_TIMESTAMP_EARLIEST_PENDING_UPLOAD:
        break; /* there is no tiered storage */
    default:
        rv = by_timestamp(log, timestamp, &found);
    }
    if (rv == 0)
        *ret = found;
    return rv;
}
