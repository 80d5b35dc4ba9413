/*
 * Producers and transactions of a log. Owner loop.
 */
#ifndef KRAFTD_STORAGE_LOG_TXN_H
#define KRAFTD_STORAGE_LOG_TXN_H

#include "common/storage/log.h"

/* Below it every transaction is decided: the first offset of the oldest one that is open, or is
 * decided by a marker above the high watermark; else the high watermark. */
int64_t log_last_stable_offset(const struct log *log);

struct log_aborted_txn {
    int64_t producer_id;
    int64_t first_offset;
};

/* Aborted transactions that touch [offset, end of what log_read returned): for read_committed
 * fetches. *ret_txns is fresh memory (NULL when there are none); the caller frees. */
int log_aborted_txns(struct log *log, int64_t offset, const struct log_read_result *read,
                     struct log_aborted_txn **ret_txns, size_t *ret_count);

struct log_producer {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t last_sequence; /* -1 */
    int64_t last_timestamp;
    int32_t coordinator_epoch; /* -1 */
    int64_t txn_start_offset;  /* -1: none open */
};

/* Each active producer (DescribeProducers), in no order. */
void log_producers(const struct log *log, void (*each)(void *ctx, const struct log_producer *),
                   void *ctx);
bool log_producer(const struct log *log, int64_t producer_id, struct log_producer *ret_producer);
/* Forgets producers that were idle for producer.id.expiration.ms and have no open transaction. */
int32_t log_expire_producers(struct log *log, int64_t now_ms);

#endif
