#include "common/storage/log_txn.h"

#include "common/base/mem.h"
#include "common/storage/log_internal.h"

#include <stdlib.h>

int64_t log_last_stable_offset(const struct log *log)
{
    int64_t unstable = producer_state_first_unstable(&log->producers);
    if (unstable < 0 || unstable >= log->high_watermark)
        return log->high_watermark;
    return MAX(unstable, log->start_offset);
}

struct collect {
    struct log_aborted_txn *txns;
    size_t count, capacity;
    int64_t offset, upper;
};

static int collect_txn(void *ctx, const struct aborted_txn *txn)
{
    struct collect *c = ctx;
    if (txn->last_offset >= c->offset && txn->first_offset < c->upper)
        VEC_PUSH(c->txns, c->count, c->capacity) =
            (struct log_aborted_txn){txn->producer_id, txn->first_offset};
    return txn->last_stable_offset >= c->upper;
}

/* An offset that is not below the end of the bytes that were read: that of the next index entry, or
 * the end of the segment. */
static int upper_of_read(struct log *log, size_t at, const struct log_read_result *read,
                         int64_t *ret_upper)
{
    struct segment *s = log->segments[at];
    struct index_entry entry;
    int32_t floor;
    int64_t end = read->position + read->size_bytes;
    *ret_upper = log_segment_end(log, at);
    int rv =
        index_file_floor(&s->offset_index, &log->place, INDEX_BY_POSITION, end - 1, &floor, &entry);
    if (rv == 0 && floor + 1 < s->offset_index.count) {
        rv = index_file_get(&s->offset_index, &log->place, floor + 1, &entry);
        if (rv == 0)
            *ret_upper = entry.offset;
    }
    return rv;
}

int log_aborted_txns(struct log *log, int64_t offset, const struct log_read_result *read,
                     struct log_aborted_txn **ret_txns, size_t *ret_count)
{
    struct collect c = {.offset = offset};
    int rv = 0;
    if (read->size_bytes > 0) {
        size_t at = log_segment_at(log, read->segment_base_offset);
        rv = upper_of_read(log, at, read, &c.upper);
        /* Markers of what was read may be in any later segment. */
        for (; rv == 0 && at < log->segment_count; at++)
            rv = txn_index_scan(&log->segments[at]->txn_index, &log->place, collect_txn, &c);
    }
    if (rv < 0) {
        free(c.txns);
        return rv;
    }
    *ret_txns = c.txns;
    *ret_count = c.count;
    return 0;
}

static struct log_producer describe(const struct producer *p)
{
    const struct producer_batch *last = p->batch_count > 0 ? &p->batches[p->batch_count - 1] : NULL;
    return (struct log_producer){
        .producer_id = p->producer_id,
        .producer_epoch = p->epoch,
        .last_sequence = last != NULL ? last->last_sequence : -1,
        .last_timestamp = p->last_timestamp,
        .coordinator_epoch = p->coordinator_epoch,
        .txn_start_offset = p->txn_first_offset,
    };
}

void log_producers(const struct log *log, void (*each)(void *ctx, const struct log_producer *),
                   void *ctx)
{
    MAP_FOR_EACH (entry, &log->producers.producers) {
        struct log_producer described = describe(entry->value);
        each(ctx, &described);
    }
}

bool log_producer(const struct log *log, int64_t producer_id, struct log_producer *ret_producer)
{
    const struct producer *p = producer_state_find(&log->producers, producer_id);
    if (p != NULL)
        *ret_producer = describe(p);
    return p != NULL;
}

int32_t log_expire_producers(struct log *log, int64_t now_ms)
{
    return producer_state_expire(&log->producers, now_ms, log->config.producer_id_expiration_ms);
}
