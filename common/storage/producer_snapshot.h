/*
 * Producer snapshot: the producer state of a log up to the offset in its name.
 *
 *   <end offset>.snapshot, big-endian:
 *      0  2  version  1
 *      2  4  crc      CRC32C of all that follows
 *      6  4  count, then for each producer 46 bytes:
 *         0  8  producerId          22  4  offsetDelta (last batch: last - first offset)
 *         8  2  producerEpoch       26  8  timestamp (last)
 *        10  4  lastSequence   -1   34  4  coordinatorEpoch           -1
 *        14  8  lastOffset     -1   38  8  currentTxnFirstOffset      -1: none open
 *
 * Only the last batch of each producer is kept. Blocks on the disk.
 */
#ifndef KRAFTD_STORAGE_PRODUCER_SNAPSHOT_H
#define KRAFTD_STORAGE_PRODUCER_SNAPSHOT_H

#include "common/base/buf.h"
#include "common/storage/producer_state.h"

/* Over an empty state whose end_offset is that of the name; expired producers are left out.
 * -EBADMSG: not a snapshot, or its checksum is wrong. */
int producer_snapshot_load(struct producer_state *state, struct disk *disk, const char *path,
                           int64_t now_ms, int64_t expiration_ms);
/* Writes the file without syncing it. */
int producer_snapshot_save(const struct producer_state *state, struct disk *disk, const char *path);

/* Calls `each` for every producer in the bytes of a snapshot. -EBADMSG as above. */
int producer_snapshot_decode(struct bytes data,
                             void (*each)(void *ctx, const struct producer *producer), void *ctx);
void producer_snapshot_encode(const struct producer_state *state, struct bytebuf *out);

#endif
