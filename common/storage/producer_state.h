/*
 * What a log knows of its idempotent and transactional producers, Kafka's rules:
 *
 *   - the last five batches of each producer, to recognise repeats and check sequence numbers;
 *   - which transactions are open, and which were decided by a marker that is not yet below the
 *     high watermark: they bound the last stable offset.
 *
 * Pure: no disk and no clock (producer_snapshot.h stores it). It has the thread of its log.
 */
#ifndef KRAFTD_STORAGE_PRODUCER_STATE_H
#define KRAFTD_STORAGE_PRODUCER_STATE_H

#include "common/base/map.h"
#include "common/protocol/kafka_error.h"
#include "common/protocol/record_batch.h"
#include "common/storage/txn_index.h"

#define PRODUCER_BATCHES 5

struct producer_batch {
    int64_t last_offset, timestamp;
    int32_t last_sequence, offset_delta;
};

struct producer {
    int64_t producer_id;
    int64_t last_timestamp;
    int64_t txn_first_offset;  /* -1: none open */
    int32_t coordinator_epoch; /* -1 */
    int16_t epoch;             /* -1: not known */
    uint8_t batch_count;
    struct producer_batch batches[PRODUCER_BATCHES]; /* oldest first */
};

struct txn_span {
    int64_t producer_id;
    int64_t first_offset, last_offset;
};

struct txn_spans { /* ordered by first offset */
    struct txn_span *items;
    size_t count, capacity;
};

struct producer_state {
    struct map producers;             /* id -> struct producer */
    struct txn_spans open, undecided; /* undecided: their markers are above the high watermark */
    int64_t end_offset;               /* all batches below have been applied */
};

/* What one batch would change. */
struct producer_change {
    struct producer producer; /* afterwards */
    bool duplicate;
    int64_t duplicate_first_offset, duplicate_last_offset, duplicate_timestamp;
    bool completes; /* a marker that ends a transaction with data: */
    bool aborts;
    struct txn_span txn;
};

void producer_state_init(struct producer_state *state, int64_t end_offset);
void producer_state_release(struct producer_state *state);
void producer_state_clear(struct producer_state *state, int64_t end_offset);

/*
 * Judges a batch that a client (from_client: its sequence is checked) or a coordinator wants to
 * append; `batch` has the offsets it will get. NONE, OUT_OF_ORDER_SEQUENCE_NUMBER,
 * INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, TRANSACTION_COORDINATOR_FENCED, or INVALID_RECORD for
 * a control batch that is no marker. Only for batches with a producer id; changes nothing.
 */
enum kafka_error producer_state_check(const struct producer_state *state,
                                      const struct record_batch *batch, bool from_client,
                                      struct producer_change *ret_change);
/* The batch was appended. */
void producer_state_commit(struct producer_state *state, const struct producer_change *change);
/* Check and commit without judging, for what a log holds already. False: no producer in it. A
 * control batch needs its bytes, of others the header is enough. */
bool producer_state_apply(struct producer_state *state, const struct record_batch *batch,
                          struct producer_change *ret_change);
/* The entry of the transaction index that a change with `aborts` calls for; before it is
 * committed. */
struct aborted_txn producer_state_aborted(const struct producer_state *state,
                                          const struct producer_change *change);

/* The first offset of the oldest transaction that is open or undecided; -1: none. */
int64_t producer_state_first_unstable(const struct producer_state *state);
/* Markers below it are replicated. */
void producer_state_high_watermark(struct producer_state *state, int64_t offset);

const struct producer *producer_state_find(const struct producer_state *state, int64_t producer_id);
/* Takes a copy: from a snapshot. */
void producer_state_add(struct producer_state *state, const struct producer *producer);
bool producer_is_expired(const struct producer *producer, int64_t now_ms, int64_t expiration_ms);
int32_t producer_state_expire(struct producer_state *state, int64_t now_ms, int64_t expiration_ms);

#endif
