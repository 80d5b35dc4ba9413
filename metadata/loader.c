#include "metadata/loader.h"

#include "common/protocol/codec.h"
#include "common/protocol/control_record.h"
#include "common/protocol/messages/control_records.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Records of one batch, uncompressed: as large as a segment may get. */
#define BATCH_BYTES_MAX ((size_t)1 << 30)

void loader_init(struct loader *loader, struct image_chain *chain)
{
    *loader = (struct loader){
        .chain = chain,
        .next_offset = image_chain_published(chain)->offset + 1,
        .transaction_offset = -1,
    };
    arena_init(&loader->arena, 0);
    record_scratch_init(&loader->scratch);
}

void loader_release(struct loader *loader)
{
    if (image_chain_open_draft(loader->chain))
        image_chain_abandon(loader->chain);
    record_scratch_release(&loader->scratch);
    arena_release(&loader->arena);
}

const char *loader_error(const struct loader *loader)
{
    return loader->error_text;
}

__attribute__((format(printf, 3, 4))) static int fail(struct loader *loader, int error,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(loader->error_text, sizeof(loader->error_text), format, args);
    va_end(args);
    return error;
}

static struct image_draft *draft_of(struct loader *loader)
{
    struct image_draft *draft = image_chain_open_draft(loader->chain);
    return draft ? draft : image_chain_draft(loader->chain);
}

/* What stands before `offset` becomes an image of its own, that an abort can go back to. */
static void seal_before(struct loader *loader, int64_t offset,
                        const struct record_batch_header *header)
{
    const struct image *newest = image_chain_newest(loader->chain);
    if (image_chain_open_draft(loader->chain) && offset - 1 > newest->offset)
        image_chain_seal(loader->chain, offset - 1, header->partition_leader_epoch,
                         header->max_timestamp);
}

/* True when the record frames a transaction; *ret_error says whether it may stand here. */
static bool frame_record(struct loader *loader, const struct metadata_record *record,
                         int64_t offset, const struct record_batch_header *header, int *ret_error)
{
    bool open = loader->transaction_offset >= 0;
    *ret_error = 0;
    switch (record->key) {
    case METADATA_BEGIN_TRANSACTION_RECORD:
        if (open || loader->loading_snapshot) {
            *ret_error = fail(loader, -EBADMSG,
                              "a transaction begins at offset %lld inside the one from offset %lld",
                              (long long)offset, (long long)loader->transaction_offset);
            return true;
        }
        seal_before(loader, offset, header);
        loader->transaction_offset = offset;
        return true;
    case METADATA_END_TRANSACTION_RECORD:
    case METADATA_ABORT_TRANSACTION_RECORD:
        if (!open) {
            *ret_error =
                fail(loader, -EBADMSG, "no transaction is open at offset %lld", (long long)offset);
            return true;
        }
        loader->transaction_offset = -1;
        if (record->key == METADATA_ABORT_TRANSACTION_RECORD)
            image_chain_abandon(loader->chain);
        return true;
    default:
        return false;
    }
}

static int apply_record(struct loader *loader, const struct record *log_record,
                        const struct record_batch_header *header)
{
    struct metadata_record record;
    int64_t offset = log_record->offset;
    int rv = record_codec_decode(log_record->value, &loader->arena, &record);
    if (rv != 0)
        return fail(loader, rv, "the metadata record at offset %lld %s", (long long)offset,
                    rv == -EPROTONOSUPPORT ? "is of a kind or version that this build does not know"
                                           : "is damaged");
    if (frame_record(loader, &record, offset, header, &rv)) {
        draft_of(loader);
        return rv;
    }
    struct image_draft *draft = draft_of(loader);
    rv = image_apply(draft->image, &draft->edit, &record);
    if (rv != 0)
        return fail(loader, rv, "the %s at offset %lld does not fit: %s",
                    metadata_record_find(record.key)->name, (long long)offset, draft->edit.fault);
    return 0;
}

/* Of a checkpoint: the header knows when its last record was written. */
static int read_control_record(struct loader *loader, const struct record *record)
{
    int type;
    struct snapshot_header_record header;
    if (control_record_parse_key(record->key, &type) != 0)
        return fail(loader, -EBADMSG, "the control record at offset %lld is damaged",
                    (long long)record->offset);
    if (type != CONTROL_SNAPSHOT_HEADER)
        return 0;
    struct bytes value = record->value;
    if (message_decode(&snapshot_header_record_desc, 0, &value, &loader->arena, &header) != 0)
        return fail(loader, -EBADMSG, "the snapshot header is damaged");
    loader->snapshot_timestamp_ms = header.last_contained_log_timestamp;
    return 0;
}

static int apply_batch(struct loader *loader, const struct record_batch *batch)
{
    const struct record_batch_header *header = &batch->header;
    bool control = (header->attributes & RECORD_BATCH_CONTROL) != 0;
    if (!record_batch_crc_ok(batch))
        return fail(loader, -EBADMSG, "the batch at offset %lld has a wrong checksum",
                    (long long)header->base_offset);
    if (control && !loader->loading_snapshot) {
        draft_of(loader);
        return 0;
    }
    struct record_iter iter;
    struct record record;
    int rv = record_iter_init(&iter, batch, BATCH_BYTES_MAX, &loader->scratch);
    if (rv != 0)
        return fail(loader, rv, "the batch at offset %lld cannot be read",
                    (long long)header->base_offset);
    int more;
    while (rv == 0 && (more = record_iter_next(&iter, &record)) != 0) {
        if (more < 0)
            rv = fail(loader, more, "the batch at offset %lld cannot be read",
                      (long long)header->base_offset);
        else if (control)
            rv = read_control_record(loader, &record);
        else
            rv = apply_record(loader, &record, header);
        arena_reset(&loader->arena);
    }
    record_iter_release(&iter);
    return rv;
}

static int give_up(struct loader *loader, int error)
{
    if (image_chain_open_draft(loader->chain))
        image_chain_abandon(loader->chain);
    loader->error = error;
    return error;
}

static int commit_batch(struct loader *loader, const struct record_batch *batch)
{
    const struct record_batch_header *header = &batch->header;
    int64_t next = record_batch_next_offset(header);
    if (header->base_offset != loader->next_offset)
        return fail(loader, -EBADMSG, "a batch at offset %lld where %lld was expected",
                    (long long)header->base_offset, (long long)loader->next_offset);
    loader->next_offset = next;
    if (next - 1 <= image_chain_newest(loader->chain)->offset)
        return 0;
    int rv = apply_batch(loader, batch);
    if (rv == 0 && loader->transaction_offset < 0)
        seal_before(loader, next, header);
    return rv;
}

int loader_commit(struct loader *loader, struct bytes batches, const struct image_delta **ret_delta)
{
    struct record_batches run = record_batches_of(batches);
    struct record_batch batch;
    CHECK(!loader->loading_snapshot);
    if (loader->error != 0)
        return loader->error;
    int more;
    while ((more = record_batches_next(&run, &batch)) != 0) {
        int rv = more < 0 ? fail(loader, more, "no batch follows offset %lld",
                                 (long long)loader->next_offset - 1)
                          : commit_batch(loader, &batch);
        if (rv != 0)
            return give_up(loader, rv);
    }
    *ret_delta = image_chain_publish(loader->chain, loader->next_offset - 1);
    return 0;
}

bool loader_drop_transaction(struct loader *loader)
{
    if (loader->transaction_offset < 0)
        return false;
    loader->transaction_offset = -1;
    image_chain_abandon(loader->chain);
    return true;
}

void loader_resume(struct loader *loader)
{
    if (image_chain_open_draft(loader->chain))
        image_chain_abandon(loader->chain);
    loader->transaction_offset = -1;
    loader->next_offset = image_chain_published(loader->chain)->offset + 1;
}

/* --- checkpoints -------------------------------------------------------------------------- */

int loader_snapshot_begin(struct loader *loader)
{
    CHECK(!loader->loading_snapshot);
    if (loader->error != 0)
        return loader->error;
    image_chain_rollback(loader->chain);
    struct image_draft *draft = image_chain_draft(loader->chain);
    image_clear(draft->image, &draft->edit.pmap);
    loader->loading_snapshot = true;
    loader->snapshot_timestamp_ms = -1;
    return 0;
}

int loader_snapshot_add(struct loader *loader, struct bytes batches)
{
    struct record_batches run = record_batches_of(batches);
    struct record_batch batch;
    CHECK(loader->loading_snapshot);
    int more, rv = 0;
    while (rv == 0 && (more = record_batches_next(&run, &batch)) != 0)
        rv = more < 0 ? fail(loader, more, "the snapshot holds what is no batch")
                      : apply_batch(loader, &batch);
    return rv;
}

int loader_snapshot_end(struct loader *loader, int64_t end_offset, int32_t epoch,
                        const struct image_delta **ret_delta)
{
    CHECK(loader->loading_snapshot);
    loader->loading_snapshot = false;
    loader->transaction_offset = -1;
    loader->next_offset = end_offset;
    image_chain_seal(loader->chain, end_offset - 1, epoch, loader->snapshot_timestamp_ms);
    *ret_delta = image_chain_publish(loader->chain, end_offset - 1);
    return 0;
}

void loader_snapshot_abort(struct loader *loader)
{
    CHECK(loader->loading_snapshot);
    loader->loading_snapshot = false;
    image_chain_abandon(loader->chain);
}
