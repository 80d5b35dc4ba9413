/* Transaction indexes and producer snapshots. */
#include "common/protocol/crc32c.h"
#include "common/protocol/endian.h"
#include "common/storage/producer_snapshot.h"
#include "tools/dump_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { SNAPSHOT_CRC_AT = 2, SNAPSHOT_CRC_FROM = 6 };

bool dump_txn_index(struct dump *dump, const char *path, struct failure *failure)
{
    struct bytes data;
    int64_t base_offset;
    if (!dump_base_offset(path, &base_offset, failure))
        return false;
    /* A segment without aborted transactions has no such file. */
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return true;
    if (!dump_read_all(path, &data, failure))
        return false;
    bool ok = true;
    int32_t at = 0;
    for (; ok && at + TXN_INDEX_ENTRY_SIZE <= data.len; at += TXN_INDEX_ENTRY_SIZE) {
        struct aborted_txn txn;
        ok = aborted_txn_decode(data.data + at, &txn);
        if (!ok)
            failure_set(failure, KAFKA_ERROR_CORRUPT_MESSAGE,
                        "Unexpected aborted transaction version %d in %s", get_i16(data.data + at),
                        path);
        else if (dump->tool.json)
            dump_print_json(dump, path,
                            json_pack("{s:i,s:I,s:I,s:I,s:I}", "version", 0, "producerId",
                                      (json_int_t)txn.producer_id, "firstOffset",
                                      (json_int_t)txn.first_offset, "lastOffset",
                                      (json_int_t)txn.last_offset, "lastStableOffset",
                                      (json_int_t)txn.last_stable_offset));
        else
            printf("version: 0 producerId: %" PRId64 " firstOffset: %" PRId64
                   " lastOffset: %" PRId64 " lastStableOffset: %" PRId64 "\n",
                   txn.producer_id, txn.first_offset, txn.last_offset, txn.last_stable_offset);
    }
    if (ok && at < data.len)
        fprintf(stderr, "Found %d invalid bytes at the end of %s\n", data.len - at, path);
    free((void *)(uintptr_t)data.data);
    return ok;
}

struct snapshot_view {
    struct dump *dump;
    const char *path;
};

/* The sequence of the first record; numbers wrap to 0 behind the largest. */
static int32_t first_sequence(const struct producer_batch *batch)
{
    int64_t first = (int64_t)batch->last_sequence - batch->offset_delta;
    return (int32_t)(first < 0 ? first + INT32_MAX + 1 : first);
}

static json_t *json_of_producer(const struct producer *p)
{
    json_t *object =
        json_pack("{s:I,s:i,s:i,s:I}", "producerId", (json_int_t)p->producer_id, "producerEpoch",
                  (int)p->epoch, "coordinatorEpoch", (int)p->coordinator_epoch, "lastTimestamp",
                  (json_int_t)p->last_timestamp);
    json_object_set_new(object, "currentTxnFirstOffset",
                        p->txn_first_offset < 0 ? json_null() : json_integer(p->txn_first_offset));
    if (p->batch_count == 0)
        return object;
    const struct producer_batch *batch = &p->batches[0];
    json_object_set_new(object, "firstSequence", json_integer(first_sequence(batch)));
    json_object_set_new(object, "lastSequence", json_integer(batch->last_sequence));
    json_object_set_new(object, "lastOffset", json_integer(batch->last_offset));
    json_object_set_new(object, "offsetDelta", json_integer(batch->offset_delta));
    json_object_set_new(object, "timestamp", json_integer(batch->timestamp));
    return object;
}

static void show_producer(void *ctx, const struct producer *p)
{
    const struct snapshot_view *view = ctx;
    if (view->dump->tool.json) {
        dump_print_json(view->dump, view->path, json_of_producer(p));
        return;
    }
    printf("producerId: %" PRId64 " producerEpoch: %d coordinatorEpoch: %d currentTxnFirstOffset: ",
           p->producer_id, p->epoch, p->coordinator_epoch);
    if (p->txn_first_offset < 0)
        fputs("OptionalLong.empty", stdout);
    else
        printf("OptionalLong[%" PRId64 "]", p->txn_first_offset);
    printf(" lastTimestamp: %" PRId64, p->last_timestamp);
    if (p->batch_count > 0) {
        const struct producer_batch *batch = &p->batches[0];
        printf(" firstSequence: %d lastSequence: %d lastOffset: %" PRId64 " offsetDelta: %d "
               "timestamp: %" PRId64,
               first_sequence(batch), batch->last_sequence, batch->last_offset, batch->offset_delta,
               batch->timestamp);
    }
    putchar('\n');
}

/* A snapshot that is damaged is said to be, and the next file follows. */
bool dump_producer_snapshot(struct dump *dump, const char *path, struct failure *failure)
{
    struct bytes data;
    if (!dump_read_all(path, &data, failure))
        return false;
    struct snapshot_view view = {dump, path};
    uint32_t stored = 0, computed = 0;
    if (data.len >= SNAPSHOT_CRC_FROM) {
        stored = get_u32(data.data + SNAPSHOT_CRC_AT);
        computed = crc32c(data.data + SNAPSHOT_CRC_FROM, (size_t)(data.len - SNAPSHOT_CRC_FROM));
    }
    if (data.len >= SNAPSHOT_CRC_FROM && stored != computed)
        fprintf(stderr,
                "Snapshot is corrupt (CRC is no longer valid). Stored crc: %" PRIu32
                ". Computed crc: %" PRIu32 "\n",
                stored, computed);
    else if (producer_snapshot_decode(data, show_producer, &view) != 0)
        fprintf(stderr, "%s is no snapshot of producers that can be read\n", path);
    free((void *)(uintptr_t)data.data);
    return true;
}
