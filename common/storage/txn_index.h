/*
 * Transaction index: the aborted transactions of a segment, in the order of their markers.
 *
 *   .txnindex, 34 bytes an entry, big-endian:
 *      0  2  version           0
 *      2  8  producerId
 *     10  8  firstOffset       of the transaction, perhaps in an earlier segment
 *     18  8  lastOffset        of its marker, in this segment
 *     26  8  lastStableOffset  when the marker was appended
 *
 * The file exists only where there are entries. Belongs to a segment and has its thread.
 */
#ifndef KRAFTD_STORAGE_TXN_INDEX_H
#define KRAFTD_STORAGE_TXN_INDEX_H

#include "common/storage/index_file.h"

#define TXN_INDEX_ENTRY_SIZE 34

struct aborted_txn {
    int64_t producer_id;
    int64_t first_offset, last_offset;
    int64_t last_stable_offset;
};

struct txn_index {
    struct file_slot slot;
    bool exists;
    bool dirty;
    int32_t count; /* -1: not looked at */
    int64_t base_offset;
};

void txn_index_init(struct txn_index *index, int64_t base_offset, bool exists);
void txn_index_release(struct txn_index *index, const struct log_place *place);
/* Makes the file if it is not there. */
int txn_index_open(struct txn_index *index, const struct log_place *place);
int txn_index_append(struct txn_index *index, const struct log_place *place,
                     const struct aborted_txn *txn);
/* Calls `each` from the first entry on until it returns non-zero, and returns that. -EBADMSG: an
 * entry of another version, or a file that is no whole number of entries. */
int txn_index_scan(struct txn_index *index, const struct log_place *place,
                   int (*each)(void *ctx, const struct aborted_txn *txn), void *ctx);
/* Removes the transactions whose markers are at `offset` or behind it. */
int txn_index_truncate(struct txn_index *index, const struct log_place *place, int64_t offset);
/* -EBADMSG when entries do not belong to this segment, as txn_index_scan, or not in order. */
int txn_index_verify(struct txn_index *index, const struct log_place *place, int64_t end_offset);
/* Removes all entries, whatever they are. */
int txn_index_clear(struct txn_index *index, const struct log_place *place);

/* False: another version. */
bool aborted_txn_decode(const uint8_t data[TXN_INDEX_ENTRY_SIZE], struct aborted_txn *ret_txn);
void aborted_txn_encode(const struct aborted_txn *txn, uint8_t data[TXN_INDEX_ENTRY_SIZE]);

#endif
