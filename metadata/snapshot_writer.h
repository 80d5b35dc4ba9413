/*
 * Writes an image as the batches of a checkpoint, between its header and its footer, which the
 * quorum writes because only it knows the voters (the control batches SnapshotHeader, KRaftVersion,
 * Voters and SnapshotFooter). Offsets count on from `base_offset` within the checkpoint.
 *
 * The image must be held by a reader meanwhile; any one thread, so a worker thread does it. Every
 * finished batch is handed over, and may be kept only during the call.
 */
#ifndef KRAFTD_METADATA_SNAPSHOT_WRITER_H
#define KRAFTD_METADATA_SNAPSHOT_WRITER_H

#include "metadata/image.h"

/* Bounds of one batch, as Kafka's: the reader holds a batch in memory. */
#define SNAPSHOT_BATCH_RECORDS 1024
#define SNAPSHOT_BATCH_BYTES   ((size_t)8 << 20)

struct snapshot_options {
    int64_t base_offset; /* of the first batch in the checkpoint */
    int32_t leader_epoch;
    int64_t timestamp_ms;
    /* 0, or an error that ends it. */
    int (*write)(void *ctx, struct bytes batch);
    void *ctx;
};

/* 0 and the offset behind the last record, what write returned, or -EINVAL when a record cannot be
 * encoded (a string over 32767 bytes). */
int snapshot_write(const struct image *image, const struct snapshot_options *options,
                   int64_t *ret_next_offset);

#endif
