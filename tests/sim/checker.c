#include "tests/sim/checker.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/record_batch.h"
#include "tests/sim/sim_heap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static void fail(struct checker_partition *p,
                                                       const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sim_fail(p->checker->sim, "%s: %s", p->name, text);
}

void checker_init(struct checker *c, struct sim *sim)
{
    *c = (struct checker){.sim = sim};
    map_init(&c->batches, MAP_U64);
    map_init(&c->producer_ids, MAP_U64);
}

void checker_release(struct checker *c)
{
    MAP_FOR_EACH (entry, &c->batches) {
        for (struct sent_batch *b = entry->value, *next; b; b = next) {
            next = b->next;
            free(b);
        }
    }
    map_release(&c->batches);
    map_release(&c->producer_ids);
}

void checker_partition_init(struct checker_partition *p, struct checker *c, const char *name,
                            bool durable, bool may_delete)
{
    *p = (struct checker_partition){.checker = c, .durable = durable, .may_delete = may_delete};
    snprintf(p->name, sizeof(p->name), "%s", name);
}

void checker_partition_release(struct checker_partition *p)
{
    free(p->log);
}

struct sent_batch *checker_sent(struct checker_partition *p, uint32_t crc, int32_t count,
                                int64_t producer_id, int16_t producer_epoch, int32_t base_sequence)
{
    struct checker *c = p->checker;
    struct sim_heap *outer = sim_heap_enter(NULL);
    struct sent_batch *batch = mem_calloc(1, sizeof(*batch));
    *batch = (struct sent_batch){
        .partition = p,
        .crc = crc,
        .count = count,
        .producer_id = producer_id,
        .producer_epoch = producer_epoch,
        .base_sequence = base_sequence,
        .offset = -1,
        .next = map_get(&c->batches, map_key_u64(crc)),
    };
    map_put(&c->batches, map_key_u64(crc), batch);
    c->sent++;
    sim_heap_enter(outer);
    return batch;
}

void checker_producer_id(struct checker *c, int64_t producer_id, int16_t producer_epoch)
{
    struct sim_heap *outer = sim_heap_enter(NULL);
    struct map_key key = map_key_u64((uint64_t)producer_id << 16 | (uint16_t)producer_epoch);
    if (map_get(&c->producer_ids, key))
        sim_fail(c->sim, "producer id %" PRId64 " epoch %d is given out twice", producer_id,
                 producer_epoch);
    map_put(&c->producer_ids, key, c);
    sim_heap_enter(outer);
}

/* --- What is where --- */

/* The first place whose batch ends at or behind the offset. */
static size_t place_of(const struct checker_partition *p, int64_t offset)
{
    size_t low = 0, high = p->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (p->log[middle]->offset + p->log[middle]->count <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A power cut took the end of the log from that offset on: all that was known before it. */
static void drop_tail(struct checker_partition *p, int64_t offset, int power_cuts)
{
    size_t kept = place_of(p, offset);
    for (size_t i = kept; i < p->count; i++) {
        struct sent_batch *b = p->log[i];
        if (b->power_cuts < power_cuts) {
            b->offset = -1;
            p->checker->lost_to_power++;
        } else {
            p->log[kept++] = b;
        }
    }
    p->count = kept;
}

static bool may_be_lost(const struct sent_batch *batch, int power_cuts)
{
    return !batch->partition->durable && batch->power_cuts < power_cuts;
}

static void describe(const struct sent_batch *b, char text[128])
{
    snprintf(text, 128, "producer %" PRId64 "/%d sequence %d+%d", b->producer_id, b->producer_epoch,
             b->base_sequence, b->count);
}

/* The neighbours of one producer have the neighbouring sequences. */
static void check_order(struct checker_partition *p, size_t at)
{
    const struct sent_batch *b = p->log[at];
    char text[128];
    describe(b, text);
    if (b->producer_id < 0)
        return;
    for (size_t i = at, steps = 0; i-- > 0 && steps < 50; steps++) {
        const struct sent_batch *o = p->log[i];
        if (o->producer_id != b->producer_id)
            continue;
        if (o->producer_epoch > b->producer_epoch ||
            (o->producer_epoch == b->producer_epoch && o->base_sequence >= b->base_sequence))
            fail(p, "%s at %" PRId64 " follows sequence %d at %" PRId64, text, b->offset,
                 o->base_sequence, o->offset);
        break;
    }
}

/* It is in the log at that offset. */
static void place(struct sent_batch *b, int64_t offset, int power_cuts)
{
    struct checker_partition *p = b->partition;
    char text[128], other[128];
    describe(b, text);
    if (b->offset >= 0 && b->offset != offset) {
        if (!may_be_lost(b, power_cuts)) {
            fail(p, "%s is at %" PRId64 " and at %" PRId64, text, b->offset, offset);
            return;
        }
        drop_tail(p, MIN(b->offset, offset), power_cuts);
    }
    if (b->offset == offset) {
        /* It may have gone with the power and come again: who asked in between saw the end before
         * it. */
        if (may_be_lost(b, power_cuts))
            b->placed_at = ++p->checker->clock;
        b->power_cuts = MAX(b->power_cuts, power_cuts);
        return;
    }
    size_t at = place_of(p, offset);
    while (at < p->count && p->log[at]->offset < offset + b->count) {
        describe(p->log[at], other);
        if (!may_be_lost(p->log[at], power_cuts)) {
            fail(p, "%s is at %" PRId64 ", where %s was at %" PRId64, text, offset, other,
                 p->log[at]->offset);
            return;
        }
        drop_tail(p, offset, power_cuts);
        at = place_of(p, offset);
    }
    b->offset = offset;
    b->power_cuts = power_cuts;
    b->placed_at = ++p->checker->clock;
    (void)VEC_PUSH(p->log, p->count, p->capacity);
    memmove(p->log + at + 1, p->log + at, (p->count - 1 - at) * sizeof(struct sent_batch *));
    p->log[at] = b;
    check_order(p, at);
}

void checker_acknowledged(struct sent_batch *batch, int64_t offset, int power_cuts)
{
    struct sim_heap *outer = sim_heap_enter(NULL);
    batch->partition->checker->acknowledged++;
    if (offset < 0)
        fail(batch->partition, "acknowledged at offset %" PRId64, offset);
    else
        place(batch, offset, power_cuts);
    sim_heap_enter(outer);
}

/* NULL: nobody sent it. */
static struct sent_batch *find(struct checker_partition *p, const struct record_batch_header *h)
{
    struct sent_batch *b = map_get(&p->checker->batches, map_key_u64(h->crc));
    while (b && (b->partition != p || b->count != h->count || b->producer_id != h->producer_id ||
                 b->producer_epoch != h->producer_epoch || b->base_sequence != h->base_sequence))
        b = b->next;
    return b;
}

int64_t checker_read(struct checker_partition *p, int64_t offset, struct bytes records,
                     int power_cuts)
{
    struct sim_heap *outer = sim_heap_enter(NULL);
    struct record_batches run = record_batches_of(records);
    struct record_batch batch;
    int64_t next = offset;
    bool first = true;
    int rv;
    while ((rv = record_batches_next(&run, &batch)) == 1 && !sim_failure(p->checker->sim)) {
        const struct record_batch_header *h = &batch.header;
        struct sent_batch *sent = find(p, h);
        int64_t last = record_batch_last_offset(h);
        if (first ? h->base_offset > offset || last < offset : h->base_offset != next)
            fail(p, "batch %" PRId64 "..%" PRId64 " where %" PRId64 " was to come", h->base_offset,
                 last, next);
        else if (!record_batch_crc_ok(&batch))
            fail(p, "the batch at %" PRId64 " is broken", h->base_offset);
        else if (!sent)
            fail(p, "nobody sent the batch at %" PRId64, h->base_offset);
        else
            place(sent, h->base_offset, power_cuts);
        next = last + 1;
        first = false;
        p->checker->read++;
    }
    if (rv < 0 && rv != -EAGAIN)
        fail(p, "a fetch at %" PRId64 " gives no batches: %d", offset, rv);
    sim_heap_enter(outer);
    return next;
}

/* Where nothing was ever synced a power cut may take the names of the first files as well. */
static bool drop_head(struct checker_partition *p, int64_t start, int power_cuts)
{
    size_t count = place_of(p, start);
    for (size_t i = 0; i < count; i++)
        if (!may_be_lost(p->log[i], power_cuts))
            return false;
    for (size_t i = 0; i < count; i++)
        p->log[i]->offset = -1;
    p->count -= count;
    memmove(p->log, p->log + count, p->count * sizeof(struct sent_batch *));
    p->checker->lost_to_power += (int64_t)count;
    return true;
}

int64_t checker_clock(const struct checker *c)
{
    return c->clock;
}

void checker_read_all(struct checker_partition *p, int64_t clock, int64_t start, int64_t end,
                      int power_cuts)
{
    struct sim_heap *outer = sim_heap_enter(NULL);
    char text[128];
    if (start > p->start && !p->may_delete && !drop_head(p, start, power_cuts))
        fail(p, "starts at %" PRId64 ", nobody asked for more than %" PRId64, start, p->start);
    p->start = MAX(p->start, start);
    for (size_t at = place_of(p, end); at < p->count && !sim_failure(p->checker->sim); at++) {
        struct sent_batch *b = p->log[at];
        describe(b, text);
        if (b->placed_at > clock || b->power_cuts > power_cuts)
            continue;
        if (may_be_lost(b, power_cuts)) {
            drop_tail(p, end, power_cuts);
            break;
        }
        fail(p, "%s was at %" PRId64 ", the log ends at %" PRId64, text, b->offset, end);
    }
    sim_heap_enter(outer);
}
