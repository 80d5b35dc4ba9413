#include "common/storage/producer_state.h"

#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/control_record.h"
#include "common/protocol/record_iter.h"

#include <stdlib.h>

enum { CONTROL_MAX_BYTES = 1 << 20 };

void producer_state_init(struct producer_state *state, int64_t end_offset)
{
    *state = (struct producer_state){.end_offset = end_offset};
    map_init(&state->producers, MAP_U64);
}

void producer_state_release(struct producer_state *state)
{
    MAP_FOR_EACH (entry, &state->producers)
        free(entry->value);
    map_release(&state->producers);
    free(state->open.items);
    free(state->undecided.items);
}

void producer_state_clear(struct producer_state *state, int64_t end_offset)
{
    MAP_FOR_EACH (entry, &state->producers)
        free(entry->value);
    map_clear(&state->producers);
    state->open.count = state->undecided.count = 0;
    state->end_offset = end_offset;
}

static void spans_insert(struct txn_spans *spans, struct txn_span span)
{
    size_t at = spans->count;
    VEC_PUSH(spans->items, spans->count, spans->capacity) = span;
    for (; at > 0 && spans->items[at - 1].first_offset > span.first_offset; at--)
        spans->items[at] = spans->items[at - 1];
    spans->items[at] = span;
}

static void spans_remove_at(struct txn_spans *spans, size_t at)
{
    spans->count--;
    memmove(spans->items + at, spans->items + at + 1, (spans->count - at) * sizeof(*spans->items));
}

static void spans_remove(struct txn_spans *spans, int64_t producer_id, int64_t first_offset)
{
    for (size_t i = 0; i < spans->count; i++) {
        if (spans->items[i].producer_id == producer_id &&
            spans->items[i].first_offset == first_offset) {
            spans_remove_at(spans, i);
            return;
        }
    }
}

const struct producer *producer_state_find(const struct producer_state *state, int64_t producer_id)
{
    return map_get(&state->producers, map_key_u64((uint64_t)producer_id));
}

static void start_from(const struct producer_state *state, int64_t producer_id,
                       struct producer_change *change)
{
    const struct producer *known = producer_state_find(state, producer_id);
    *change = (struct producer_change){
        .producer = known != NULL ? *known
                                  : (struct producer){.producer_id = producer_id,
                                                      .last_timestamp = -1,
                                                      .txn_first_offset = -1,
                                                      .coordinator_epoch = -1,
                                                      .epoch = RECORD_NO_PRODUCER_EPOCH},
    };
}

/* A newer epoch begins with no batches known. */
static void set_epoch(struct producer *producer, int16_t epoch)
{
    if (producer->epoch != epoch) {
        producer->epoch = epoch;
        producer->batch_count = 0;
    }
}

static int32_t last_sequence_of(const struct record_batch_header *h)
{
    return h->base_sequence == RECORD_NO_SEQUENCE
               ? RECORD_NO_SEQUENCE
               : record_sequence_add(h->base_sequence, h->last_offset_delta);
}

static void add_batch(struct producer *producer, const struct record_batch_header *h)
{
    set_epoch(producer, h->producer_epoch);
    if (producer->batch_count == PRODUCER_BATCHES)
        memmove(producer->batches, producer->batches + 1,
                sizeof(producer->batches[0]) * --producer->batch_count);
    producer->batches[producer->batch_count++] = (struct producer_batch){
        .last_offset = record_batch_last_offset(h),
        .timestamp = h->max_timestamp,
        .last_sequence = last_sequence_of(h),
        .offset_delta = h->last_offset_delta,
    };
    producer->last_timestamp = h->max_timestamp;
}

static int32_t sequence_before(int32_t sequence, int32_t decrement)
{
    return sequence >= decrement ? sequence - decrement
                                 : (int32_t)(INT32_MAX - ((int64_t)decrement - sequence) + 1);
}

static bool find_duplicate(const struct producer *producer, const struct record_batch_header *h,
                           struct producer_change *change)
{
    if (producer->epoch != h->producer_epoch)
        return false;
    for (int i = 0; i < producer->batch_count; i++) {
        const struct producer_batch *b = &producer->batches[i];
        if (b->last_sequence != last_sequence_of(h) ||
            sequence_before(b->last_sequence, b->offset_delta) != h->base_sequence)
            continue;
        change->duplicate = true;
        change->duplicate_first_offset = b->last_offset - b->offset_delta;
        change->duplicate_last_offset = b->last_offset;
        change->duplicate_timestamp = b->timestamp;
        return true;
    }
    return false;
}

static bool sequence_fits(const struct producer *producer, const struct record_batch_header *h)
{
    /* Nothing is known of the producer, perhaps because its records are gone: any may come. */
    if (producer->epoch == RECORD_NO_PRODUCER_EPOCH)
        return true;
    if (producer->epoch != h->producer_epoch)
        return h->base_sequence == 0;
    int32_t last = producer->batch_count > 0
                       ? producer->batches[producer->batch_count - 1].last_sequence
                       : RECORD_NO_SEQUENCE;
    return h->base_sequence == (int64_t)last + 1 || (h->base_sequence == 0 && last == INT32_MAX);
}

/* The marker in a control batch: its type and coordinator epoch. False when it holds none. */
static bool parse_marker(const struct record_batch *batch, int *ret_type,
                         int32_t *ret_coordinator_epoch)
{
    struct record_iter it;
    if (batch->bytes.data == NULL || record_iter_init(&it, batch, CONTROL_MAX_BYTES, NULL) != 0)
        return false;
    struct record record;
    bool ok = record_iter_next(&it, &record) == 1 &&
              control_record_parse_key(record.key, ret_type) == 0 &&
              (*ret_type == CONTROL_ABORT || *ret_type == CONTROL_COMMIT) &&
              control_end_txn_parse(record.value, ret_coordinator_epoch) == 0;
    record_iter_release(&it);
    return ok;
}

static void apply_marker(struct producer_change *change, const struct record_batch_header *h,
                         int type, int32_t coordinator_epoch)
{
    struct producer *p = &change->producer;
    if (p->txn_first_offset >= 0) {
        change->completes = true;
        change->aborts = type == CONTROL_ABORT;
        change->txn =
            (struct txn_span){h->producer_id, p->txn_first_offset, record_batch_last_offset(h)};
    }
    set_epoch(p, h->producer_epoch);
    p->coordinator_epoch = coordinator_epoch;
    p->last_timestamp = h->max_timestamp;
    p->txn_first_offset = -1;
}

static void apply_data(struct producer_change *change, const struct record_batch_header *h)
{
    struct producer *p = &change->producer;
    add_batch(p, h);
    if ((h->attributes & RECORD_BATCH_TRANSACTIONAL) && p->txn_first_offset < 0)
        p->txn_first_offset = h->base_offset;
}

enum kafka_error producer_state_check(const struct producer_state *state,
                                      const struct record_batch *batch, bool from_client,
                                      struct producer_change *ret_change)
{
    const struct record_batch_header *h = &batch->header;
    start_from(state, h->producer_id, ret_change);
    struct producer *p = &ret_change->producer;
    if (from_client && find_duplicate(p, h, ret_change))
        return KAFKA_ERROR_NONE;
    int type;
    int32_t coordinator_epoch;
    bool control = h->attributes & RECORD_BATCH_CONTROL;
    if (control && !parse_marker(batch, &type, &coordinator_epoch))
        return KAFKA_ERROR_INVALID_RECORD;
    if (h->producer_epoch < p->epoch)
        return KAFKA_ERROR_INVALID_PRODUCER_EPOCH;
    if (control) {
        if (coordinator_epoch < p->coordinator_epoch)
            return KAFKA_ERROR_TRANSACTION_COORDINATOR_FENCED;
        apply_marker(ret_change, h, type, coordinator_epoch);
        return KAFKA_ERROR_NONE;
    }
    if (from_client && !sequence_fits(p, h))
        return KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    if (p->txn_first_offset >= 0 && !(h->attributes & RECORD_BATCH_TRANSACTIONAL))
        return KAFKA_ERROR_INVALID_TXN_STATE;
    apply_data(ret_change, h);
    return KAFKA_ERROR_NONE;
}

bool producer_state_apply(struct producer_state *state, const struct record_batch *batch,
                          struct producer_change *ret_change)
{
    const struct record_batch_header *h = &batch->header;
    state->end_offset = record_batch_next_offset(h);
    if (!record_batch_has_producer_id(h))
        return false;
    start_from(state, h->producer_id, ret_change);
    if (h->attributes & RECORD_BATCH_CONTROL) {
        int type;
        int32_t coordinator_epoch;
        /* An empty control batch is what compaction left of a transaction that is gone. */
        if (!parse_marker(batch, &type, &coordinator_epoch))
            return false;
        apply_marker(ret_change, h, type, coordinator_epoch);
    } else {
        apply_data(ret_change, h);
    }
    return true;
}

void producer_state_commit(struct producer_state *state, const struct producer_change *change)
{
    const struct producer *after = &change->producer;
    struct map_key key = map_key_u64((uint64_t)after->producer_id);
    struct producer *p = map_get(&state->producers, key);
    int64_t open_before = p != NULL ? p->txn_first_offset : -1;
    if (p == NULL) {
        p = mem_alloc(sizeof(*p));
        map_put(&state->producers, key, p);
    }
    *p = *after;
    if (open_before >= 0 && after->txn_first_offset != open_before)
        spans_remove(&state->open, after->producer_id, open_before);
    if (after->txn_first_offset >= 0 && after->txn_first_offset != open_before)
        spans_insert(&state->open,
                     (struct txn_span){after->producer_id, after->txn_first_offset, -1});
    if (change->completes)
        spans_insert(&state->undecided, change->txn);
}

struct aborted_txn producer_state_aborted(const struct producer_state *state,
                                          const struct producer_change *change)
{
    int64_t stable = change->txn.last_offset + 1;
    for (size_t i = 0; i < state->open.count; i++) {
        if (state->open.items[i].producer_id != change->txn.producer_id) {
            stable = state->open.items[i].first_offset;
            break;
        }
    }
    return (struct aborted_txn){
        .producer_id = change->txn.producer_id,
        .first_offset = change->txn.first_offset,
        .last_offset = change->txn.last_offset,
        .last_stable_offset = stable,
    };
}

int64_t producer_state_first_unstable(const struct producer_state *state)
{
    int64_t open = state->open.count > 0 ? state->open.items[0].first_offset : -1;
    int64_t undecided = state->undecided.count > 0 ? state->undecided.items[0].first_offset : -1;
    return open < 0 ? undecided : undecided < 0 ? open : MIN(open, undecided);
}

void producer_state_high_watermark(struct producer_state *state, int64_t offset)
{
    struct txn_spans *spans = &state->undecided;
    size_t kept = 0;
    for (size_t i = 0; i < spans->count; i++)
        if (spans->items[i].last_offset >= offset)
            spans->items[kept++] = spans->items[i];
    spans->count = kept;
}

void producer_state_add(struct producer_state *state, const struct producer *producer)
{
    struct producer_change change = {.producer = *producer};
    producer_state_commit(state, &change);
}

bool producer_is_expired(const struct producer *producer, int64_t now_ms, int64_t expiration_ms)
{
    return producer->txn_first_offset < 0 && now_ms - producer->last_timestamp >= expiration_ms;
}

int32_t producer_state_expire(struct producer_state *state, int64_t now_ms, int64_t expiration_ms)
{
    int32_t expired = 0;
    MAP_FOR_EACH (entry, &state->producers) {
        struct producer *p = entry->value;
        if (!producer_is_expired(p, now_ms, expiration_ms))
            continue;
        map_remove(&state->producers, map_key_u64((uint64_t)p->producer_id));
        free(p);
        expired++;
    }
    return expired;
}
