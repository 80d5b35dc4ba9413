/*
 * Offsets by time: what ListOffsets asks. Owner loop; reads indexes and, within one index interval,
 * batches, so it may wait for the disk where these are cold.
 */
#ifndef KRAFTD_STORAGE_LOG_OFFSETS_H
#define KRAFTD_STORAGE_LOG_OFFSETS_H

#include "common/storage/log.h"

enum log_timestamp_special {
    LOG_TIMESTAMP_LATEST = -1,
    LOG_TIMESTAMP_EARLIEST = -2,
    LOG_TIMESTAMP_MAX = -3,
    LOG_TIMESTAMP_EARLIEST_LOCAL = -4,
    LOG_TIMESTAMP_LATEST_TIERED = -5,
    LOG_TIMESTAMP_EARLIEST_PENDING_UPLOAD = -6,
};

struct log_offset_found {
    int64_t offset; /* -1: there is none */
    int64_t timestamp;
    int32_t leader_epoch;
};

/* The first record at or after `timestamp`, or a special one. LATEST is the end offset: bounding it
 * by the isolation level is the caller's. -EBADMSG: a batch on the way cannot be read. */
int log_offset_for_timestamp(struct log *log, int64_t timestamp, struct log_offset_found *ret);

#endif
