#include "tests/sim/log_model.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/storage/log_epochs.h"
#include "common/storage/log_offsets.h"
#include "common/storage/log_scan.h"
#include "common/storage/log_txn.h"
#include "tests/sim/sim_heap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static void fail(struct log_model *m, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sim_fail(m->sim, "%s: %s", m->name, text);
}

void log_model_init(struct log_model *m, struct sim *sim, const char *name, uint64_t seed)
{
    *m = (struct log_model){.sim = sim, .leader_epoch = -1};
    snprintf(m->name, sizeof(m->name), "%s", name);
    sim_random_init(&m->random, seed);
    for (int i = 0; i < LOG_MODEL_PRODUCERS; i++)
        m->producers[i].id = 1000 + i;
}

void log_model_release(struct log_model *m)
{
    for (int i = 0; i < LOG_MODEL_PRODUCERS; i++)
        buf_unref(m->producers[i].last_batch);
    free(m->batches);
}

/* Producers as the batches that are left have them. */
static void refit_producers(struct log_model *m)
{
    for (int i = 0; i < LOG_MODEL_PRODUCERS; i++) {
        struct model_producer *p = &m->producers[i];
        const struct model_batch *last = NULL;
        for (size_t at = m->count; !last && at-- > 0;)
            if (m->batches[at].producer == i)
                last = &m->batches[at];
        p->next_sequence = last ? record_sequence_add(last->last_sequence, 1) : 0;
        if (p->last_batch && (!last || last->first != p->last_batch_offset)) {
            buf_unref(p->last_batch);
            p->last_batch = NULL;
        }
    }
}

static void drop_from(struct log_model *m, int64_t offset)
{
    while (m->count > 0 && m->batches[m->count - 1].last >= offset)
        m->end = m->batches[--m->count].first;
    m->end = MIN(m->end, MAX(offset, m->count > 0 ? m->batches[m->count - 1].last + 1 : 0));
    m->confirmed_end = MIN(m->confirmed_end, m->end);
    refit_producers(m);
}

void log_model_attempt(struct log_model *m, const struct record_batch_header *batch, int producer,
                       const void *bytes, size_t len)
{
    struct sim_heap *outer = sim_heap_enter(NULL);
    VEC_PUSH(m->batches, m->count, m->capacity) = (struct model_batch){
        .first = m->end,
        .last = m->end + batch->last_offset_delta,
        .base_timestamp = batch->base_timestamp,
        .crc = batch->crc,
        .leader_epoch = m->leader_epoch,
        .producer = producer,
        .last_sequence = record_sequence_add(batch->base_sequence, batch->last_offset_delta),
    };
    if (producer >= 0) {
        struct model_producer *p = &m->producers[producer];
        buf_unref(p->last_batch);
        p->last_batch = buf_copy(bytes, len);
        p->last_batch_offset = m->end;
        p->next_sequence = record_sequence_add(batch->base_sequence, batch->count);
    }
    m->end += batch->last_offset_delta + 1;
    sim_heap_enter(outer);
}

void log_model_confirm(struct log_model *m)
{
    m->confirmed_end = m->end;
}

void log_model_retract(struct log_model *m)
{
    drop_from(m, m->batches[m->count - 1].first);
}

void log_model_durable(struct log_model *m, int64_t offset)
{
    if (offset > m->end)
        fail(m, "durable up to %" PRId64 ", beyond the end %" PRId64, offset, m->end);
    m->durable_end = MAX(m->durable_end, offset);
}

void log_model_truncating(struct log_model *m, int64_t offset)
{
    const struct model_batch *batch = log_model_find(m, offset);
    int64_t end = batch ? batch->first : offset;
    m->durable_end = MIN(m->durable_end, end);
    m->confirmed_end = MIN(m->confirmed_end, end);
    m->durable_start = MIN(m->durable_start, end);
    m->truncating = true;
}

void log_model_truncated(struct log_model *m, int64_t offset)
{
    drop_from(m, offset);
    m->confirmed_end = m->end;
    m->start = MIN(m->start, m->end);
    m->truncating = false;
}

void log_model_start_set(struct log_model *m, int64_t offset)
{
    m->start = MAX(m->start, offset);
    m->highest_start = MAX(m->highest_start, offset);
}

void log_model_start_durable(struct log_model *m, int64_t offset)
{
    m->durable_start = MAX(m->durable_start, offset);
}

const struct model_batch *log_model_find(const struct log_model *m, int64_t offset)
{
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (m->batches[middle].last < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->count && m->batches[low].first <= offset ? &m->batches[low] : NULL;
}

/* --- Checks --- */

static bool same_batch(struct log_model *m, const struct record_batch_header *h, const char *where)
{
    const struct model_batch *batch = log_model_find(m, h->base_offset);
    if (batch && batch->first == h->base_offset && batch->last == record_batch_last_offset(h) &&
        batch->crc == h->crc && batch->leader_epoch == h->partition_leader_epoch)
        return true;
    fail(m,
         "%s: batch %" PRId64 "..%" PRId64 " crc %08x epoch %d, expected %" PRId64 "..%" PRId64
         " crc %08x epoch %d",
         where, h->base_offset, record_batch_last_offset(h), h->crc, h->partition_leader_epoch,
         batch ? batch->first : -1, batch ? batch->last : -1, batch ? batch->crc : 0,
         batch ? batch->leader_epoch : -1);
    return false;
}

struct walk {
    struct log_model *m;
    int64_t next; /* -1: before the first */
};

static int check_batch(void *ctx, const struct log_scan_batch *scanned)
{
    struct walk *walk = ctx;
    struct log_model *m = walk->m;
    struct record_batch batch;
    if (record_batch_parse(scanned->bytes.data, (size_t)scanned->bytes.len, &batch) != 0 ||
        !record_batch_crc_ok(&batch))
        fail(m, "broken batch at %" PRId64, scanned->header->base_offset);
    else if (walk->next >= 0 && batch.header.base_offset != walk->next)
        fail(m, "a gap: %" PRId64 " follows %" PRId64, batch.header.base_offset, walk->next);
    else if (same_batch(m, &batch.header, "recovered"))
        walk->next = record_batch_next_offset(&batch.header);
    return sim_failure(m->sim) ? -1 : 0;
}

static void check_producers(struct log_model *m, struct log *log)
{
    for (int i = 0; i < LOG_MODEL_PRODUCERS; i++) {
        struct model_producer *p = &m->producers[i];
        const struct model_batch *last = NULL;
        for (size_t at = m->count; !last && at-- > 0;)
            if (m->batches[at].producer == i)
                last = &m->batches[at];
        struct log_producer state;
        bool known = log_producer(log, p->id, &state);
        if (known && !last && m->start == 0)
            fail(m, "producer %d is known, but no batch of it is there", i);
        else if (!known && last && last->first >= log_start_offset(log))
            fail(m, "producer %d is not known, its last sequence is %d", i, last->last_sequence);
        else if (known && last && state.last_sequence != last->last_sequence)
            fail(m, "producer %d is at sequence %d, its last batch ends with %d", i,
                 state.last_sequence, last->last_sequence);
    }
}

/* The first offset whose record is not older; the end where there is none. */
static int64_t first_offset_at(const struct log_model *m, int64_t start, int64_t timestamp)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct model_batch *b = &m->batches[i];
        int64_t offset = MAX(b->first + MAX(timestamp - b->base_timestamp, 0), start);
        if (offset <= b->last)
            return offset;
    }
    return m->end;
}

/* Of several records with that very time Kafka's indexes may lead to a later one. */
static void check_timestamp(struct log_model *m, struct log *log)
{
    const struct model_batch *b = &m->batches[sim_random_below(&m->random, (int64_t)m->count)];
    int64_t timestamp = b->base_timestamp + sim_random_range(&m->random, -3, 5);
    int64_t start = log_start_offset(log);
    int64_t least = first_offset_at(m, start, timestamp);
    int64_t most = first_offset_at(m, start, timestamp + 1);
    struct log_offset_found found = {.offset = -1};
    int rv = log_offset_for_timestamp(log, timestamp, &found);
    if (rv == -EBADMSG)
        fail(m, "offset for time %" PRId64 ": a batch cannot be read", timestamp);
    else if (rv == 0 &&
             (found.offset < 0 ? least != m->end : found.offset < least || found.offset > most))
        fail(m, "offset for time %" PRId64 " is %" PRId64 ", expected %" PRId64 " to %" PRId64,
             timestamp, found.offset, least, most);
}

static void check_read(struct log_model *m, struct log *log, int64_t offset)
{
    struct log_read_args args = {
        .offset = offset,
        .upper_offset = log_end_offset(log),
        .max_bytes = (int32_t)sim_random_range(&m->random, 1, 20000),
        .min_one = true,
    };
    struct log_read_result read = {.file = NULL};
    int rv = log_read(log, &args, &read);
    if (rv == -EIO)
        return;
    if (rv != 0 || !read.file) {
        fail(m, "reading at %" PRId64 " of %" PRId64 "..%" PRId64 ": %d", offset,
             log_start_offset(log), log_end_offset(log), rv);
        return;
    }
    uint8_t *bytes = mem_alloc((size_t)read.size_bytes);
    ssize_t len = disk_pread(read.file, bytes, (size_t)read.size_bytes, read.position);
    struct record_batches run = {bytes, bytes + MAX(len, 0)};
    struct record_batch batch;
    bool first = true;
    if (len >= 0 && len != read.size_bytes)
        fail(m, "reading at %" PRId64 ": %zd of %d bytes", offset, len, read.size_bytes);
    while (len >= 0 && (rv = record_batches_next(&run, &batch)) == 1) {
        if (first &&
            (batch.header.base_offset > offset || record_batch_last_offset(&batch.header) < offset))
            fail(m, "reading at %" PRId64 " gives the batch at %" PRId64, offset,
                 batch.header.base_offset);
        first = false;
        if (!record_batch_crc_ok(&batch) || !same_batch(m, &batch.header, "read"))
            break;
    }
    if (len >= 0 && first)
        fail(m, "reading at %" PRId64 " gives no whole batch", offset);
    free(bytes);
    disk_file_unref(read.file);
}

static void check_epoch(struct log_model *m, struct log *log, int64_t offset)
{
    const struct model_batch *b = log_model_find(m, offset);
    int32_t epoch = log_epoch_of(log, offset);
    /* The epoch cache may have forgotten what the log start was moved over, though that came back.
     */
    if (epoch != b->leader_epoch && (epoch != -1 || offset >= m->highest_start))
        fail(m, "offset %" PRId64 " has epoch %d, expected %d", offset, epoch, b->leader_epoch);
}

void log_model_check_sample(struct log_model *m, struct log *log)
{
    m->checks++;
    if (log_end_offset(log) != m->end)
        fail(m, "ends at %" PRId64 ", expected %" PRId64, log_end_offset(log), m->end);
    int64_t start = log_start_offset(log);
    if (start > m->start || log_durable_end_offset(log) > m->end ||
        log_recovery_point(log) > log_durable_end_offset(log))
        fail(m,
             "start %" PRId64 " (at most %" PRId64 "), recovery point %" PRId64
             ", durable end %" PRId64 ", end %" PRId64,
             start, m->start, log_recovery_point(log), log_durable_end_offset(log), m->end);
    if (m->count == 0 || start >= m->end || sim_failure(m->sim))
        return;
    int64_t offset = sim_random_range(&m->random, start, m->end - 1);
    check_read(m, log, offset);
    check_epoch(m, log, offset);
    check_timestamp(m, log);
    check_producers(m, log);
}

void log_model_check_recovered(struct log_model *m, struct log *log, int power_cuts)
{
    struct walk walk = {.m = m, .next = -1};
    int64_t start = log_start_offset(log), end = log_end_offset(log);
    int64_t least = power_cuts == m->power_cuts ? m->confirmed_end : m->durable_end;
    sim_log(m->sim, m->name,
            "came back with %" PRId64 "..%" PRId64 ", recovery point %" PRId64 "; expected %" PRId64
            "..%" PRId64 " at least up to %" PRId64,
            start, end, log_recovery_point(log), m->start, m->end, least);
    m->power_cuts = power_cuts;
    /* Names of its first files may be lost where nothing of it was durable. */
    if (end < least || end > m->end)
        fail(m, "came back up to %" PRId64 ", expected %" PRId64 " to %" PRId64, end, least,
             m->end);
    else if (start < m->durable_start || (start > m->start && m->durable_end > m->start))
        fail(m, "came back from %" PRId64 ", expected %" PRId64 " to %" PRId64, start,
             m->durable_start, m->start);
    if (sim_failure(m->sim))
        return;
    int rv = log_scan(log, start, true, check_batch, &walk);
    if (sim_failure(m->sim))
        return;
    if (rv != 0 && rv != -EIO)
        fail(m, "a scan of what came back ends with %d", rv);
    else if (rv == 0 && walk.next != end && start != end)
        fail(m, "its batches end at %" PRId64 ", it says %" PRId64, walk.next, end);
    drop_from(m, end);
    m->end = m->confirmed_end = end;
    m->truncating = false;
    m->start = start;
    log_model_durable(m, log_durable_end_offset(log));
    for (int i = 0; i < 10 && !sim_failure(m->sim); i++)
        log_model_check_sample(m, log);
}
