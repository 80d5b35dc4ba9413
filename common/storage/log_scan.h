/*
 * Walking over the batches of a log: what the quorum needs at start, and tools. Reads ahead in
 * large pieces; blocks on the disk where it is cold.
 */
#ifndef KRAFTD_STORAGE_LOG_SCAN_H
#define KRAFTD_STORAGE_LOG_SCAN_H

#include "common/protocol/record_batch.h"
#include "common/storage/log.h"

struct log_scan_batch {
    const struct record_batch_header *header;
    int64_t segment_base_offset;
    int64_t position;
    int32_t size_bytes;
    struct bytes bytes; /* the whole batch, when `whole` was asked for; else null */
};

/*
 * Calls `each` for every batch from the one that holds `offset` up to the end offset, in order;
 * stops when it returns non-zero and returns that. Without `whole` only headers are read. The log
 * must not change meanwhile. -ERANGE as log_read; -EBADMSG: a batch cannot be read.
 */
int log_scan(struct log *log, int64_t offset, bool whole,
             int (*each)(void *ctx, const struct log_scan_batch *batch), void *ctx);

#endif
