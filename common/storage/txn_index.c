#include "common/storage/txn_index.h"

#include "common/base/check.h"
#include "common/protocol/endian.h"

#include <errno.h>

enum { TXN_INDEX_VERSION = 0, READ_ENTRIES = 64 };

bool aborted_txn_decode(const uint8_t data[TXN_INDEX_ENTRY_SIZE], struct aborted_txn *ret_txn)
{
    if (get_i16(data) != TXN_INDEX_VERSION)
        return false;
    *ret_txn = (struct aborted_txn){
        .producer_id = get_i64(data + 2),
        .first_offset = get_i64(data + 10),
        .last_offset = get_i64(data + 18),
        .last_stable_offset = get_i64(data + 26),
    };
    return true;
}

void aborted_txn_encode(const struct aborted_txn *txn, uint8_t data[TXN_INDEX_ENTRY_SIZE])
{
    put_i16(data, TXN_INDEX_VERSION);
    put_i64(data + 2, txn->producer_id);
    put_i64(data + 10, txn->first_offset);
    put_i64(data + 18, txn->last_offset);
    put_i64(data + 26, txn->last_stable_offset);
}

void txn_index_init(struct txn_index *index, int64_t base_offset, bool exists)
{
    *index = (struct txn_index){
        .exists = exists,
        .count = exists ? -1 : 0,
        .base_offset = base_offset,
    };
    file_slot_init(&index->slot);
}

void txn_index_release(struct txn_index *index, const struct log_place *place)
{
    file_slot_close(place->files, &index->slot);
}

int txn_index_open(struct txn_index *index, const struct log_place *place)
{
    char path[PATH_MAX];
    if (index->slot.file == NULL &&
        !log_file_path(path, place->path, LOG_FILE_TXN_INDEX, index->base_offset, LOG_FILE_LIVE))
        return -ENAMETOOLONG;
    int rv = file_slot_open(place->files, &index->slot, place->disk, path,
                            index->exists ? 0 : DISK_CREATE);
    if (rv == 0)
        index->exists = true;
    return rv;
}

static int txn_load(struct txn_index *index, const struct log_place *place)
{
    if (index->count >= 0)
        return 0;
    int rv = txn_index_open(index, place);
    if (rv != 0)
        return rv;
    int64_t bytes = place->disk->ops->size(index->slot.file);
    if (bytes < 0)
        return (int)bytes;
    if (bytes % TXN_INDEX_ENTRY_SIZE != 0 || bytes / TXN_INDEX_ENTRY_SIZE > INT32_MAX)
        return -EBADMSG;
    index->count = (int32_t)(bytes / TXN_INDEX_ENTRY_SIZE);
    return 0;
}

int txn_index_append(struct txn_index *index, const struct log_place *place,
                     const struct aborted_txn *txn)
{
    int rv = txn_load(index, place);
    if (rv == 0)
        rv = txn_index_open(index, place);
    if (rv != 0)
        return rv;
    uint8_t data[TXN_INDEX_ENTRY_SIZE];
    aborted_txn_encode(txn, data);
    rv = disk_pwrite(index->slot.file, data, sizeof(data),
                     (int64_t)index->count * TXN_INDEX_ENTRY_SIZE);
    if (rv != 0)
        return rv;
    index->count++;
    index->dirty = true;
    file_slot_pin(place->files, &index->slot);
    return 0;
}

int txn_index_scan(struct txn_index *index, const struct log_place *place,
                   int (*each)(void *ctx, const struct aborted_txn *txn), void *ctx)
{
    int rv = txn_load(index, place);
    if (rv != 0 || index->count == 0)
        return rv;
    rv = txn_index_open(index, place);
    uint8_t raw[READ_ENTRIES * TXN_INDEX_ENTRY_SIZE];
    for (int32_t at = 0; rv == 0 && at < index->count; at += READ_ENTRIES) {
        int32_t count = MIN(READ_ENTRIES, index->count - at);
        size_t len = (size_t)count * TXN_INDEX_ENTRY_SIZE;
        ssize_t n = disk_pread(index->slot.file, raw, len, (int64_t)at * TXN_INDEX_ENTRY_SIZE);
        if (n < 0 || (size_t)n < len)
            return n < 0 ? (int)n : -EIO;
        for (int32_t i = 0; rv == 0 && i < count; i++) {
            struct aborted_txn txn;
            rv = aborted_txn_decode(raw + i * TXN_INDEX_ENTRY_SIZE, &txn) ? each(ctx, &txn)
                                                                          : -EBADMSG;
        }
    }
    return rv;
}

struct cut {
    int64_t offset;
    int32_t keep;
};

static int find_cut(void *ctx, const struct aborted_txn *txn)
{
    struct cut *cut = ctx;
    if (txn->last_offset >= cut->offset)
        return 1;
    cut->keep++;
    return 0;
}

static int txn_resize(struct txn_index *index, const struct log_place *place, int32_t count)
{
    int rv = txn_index_open(index, place);
    if (rv == 0)
        rv = place->disk->ops->truncate(index->slot.file, (int64_t)count * TXN_INDEX_ENTRY_SIZE);
    if (rv != 0)
        return rv;
    index->count = count;
    index->dirty = true;
    file_slot_pin(place->files, &index->slot);
    return 0;
}

int txn_index_truncate(struct txn_index *index, const struct log_place *place, int64_t offset)
{
    struct cut cut = {.offset = offset};
    int rv = txn_index_scan(index, place, find_cut, &cut);
    return rv > 0 ? txn_resize(index, place, cut.keep) : rv;
}

int txn_index_clear(struct txn_index *index, const struct log_place *place)
{
    return index->count != 0 ? txn_resize(index, place, 0) : 0;
}

struct verify {
    int64_t at, end;
};

static int verify_entry(void *ctx, const struct aborted_txn *txn)
{
    struct verify *verify = ctx;
    if (txn->last_offset < verify->at || txn->last_offset >= verify->end || txn->first_offset < 0 ||
        txn->first_offset > txn->last_offset)
        return -EBADMSG;
    verify->at = txn->last_offset;
    return 0;
}

int txn_index_verify(struct txn_index *index, const struct log_place *place, int64_t end_offset)
{
    struct verify verify = {index->base_offset, end_offset};
    return txn_index_scan(index, place, verify_entry, &verify);
}
