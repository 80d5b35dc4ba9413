#define LOG_MODULE "metadata_snapshot"

#include "broker/server/metadata_loop_internal.h"
#include "broker/server/node.h"
#include "common/base/logger.h"
#include "common/protocol/codec.h"
#include "common/protocol/record_iter.h"
#include "metadata/config/server_config.h"
#include "metadata/snapshot_writer.h"

#include <errno.h>

#define RECORDS_MAX_BYTES ((size_t)256 << 20)

static int write_batch(void *ctx, struct bytes batch)
{
    return quorum_checkpoint_write(ctx, batch);
}

/* On a worker; the reader keeps the image alive. */
static int fill(struct quorum_snapshot *snapshot, struct quorum_checkpoint_writer *writer)
{
    struct metadata_loop *ml = CONTAINER_OF(snapshot, struct metadata_loop, snapshot);
    struct snapshot_options options = {
        .base_offset = quorum_checkpoint_next_offset(writer),
        .leader_epoch = quorum_checkpoint_id(writer).epoch,
        .timestamp_ms = snapshot->last_contained_ms,
        .write = write_batch,
        .ctx = writer,
    };
    int64_t next_offset;
    return snapshot_write(ml->snapshot_image, &options, &next_offset);
}

static void done(struct quorum_snapshot *snapshot, int status)
{
    struct metadata_loop *ml = CONTAINER_OF(snapshot, struct metadata_loop, snapshot);
    struct logger *logger = node_env(ml->node)->logger;
    long long end = (long long)ml->snapshot_image->offset + 1;
    image_reader_remove(ml->chain, &ml->snapshot_reader);
    ml->snapshotting = false;
    if (status == 0)
        log_info(logger, "Wrote a metadata checkpoint end_offset=%lld", end);
    else if (status != -ESTALE)
        log_warn(logger,
                 "The metadata checkpoint of end_offset=%lld could not be written (%s): the log is "
                 "kept, and it is tried again later",
                 end, strerror(-status));
}

void metadata_snapshot_if_due(struct metadata_loop *ml)
{
    const struct server_config *config = node_config(ml->node);
    int64_t bytes = quorum_node_bytes_since_snapshot(ml->quorum);
    int64_t now_ms = env_now_ms(node_env(ml->node));
    if (ml->snapshot_ms == 0)
        ml->snapshot_ms = now_ms;
    int64_t interval_ms =
        server_config_integer(config, CONFIG_BROKER_METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS);
    bool by_size =
        bytes >= server_config_integer(
                     config, CONFIG_BROKER_METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS);
    bool by_time = interval_ms > 0 && bytes > 0 && now_ms - ml->snapshot_ms >= interval_ms;
    const struct image *image = image_chain_published(ml->chain);
    /* Inside of a transaction of records the image is behind the log. */
    if (ml->snapshotting || ml->stopping || !(by_size || by_time) ||
        image->offset + 1 != ml->loader.next_offset)
        return;
    ml->snapshot = (struct quorum_snapshot){
        .fill = fill, .done = done, .last_contained_ms = image->timestamp_ms};
    ml->snapshot_image = image_reader_add(ml->chain, &ml->snapshot_reader);
    ml->snapshotting = true;
    ml->snapshot_ms = now_ms;
    int rv = quorum_node_snapshot(ml->quorum, &ml->snapshot, image->offset + 1);
    if (rv != 0)
        done(&ml->snapshot, rv);
}

static int collect_batch(const struct record_batch *batch, struct record_scratch *scratch,
                         struct arena *arena, struct metadata_records *records)
{
    struct record_iter iter;
    int rv = record_iter_init(&iter, batch, RECORDS_MAX_BYTES, scratch);
    if (rv != 0)
        return rv;
    struct record record;
    while ((rv = record_iter_next(&iter, &record)) == 1) {
        struct metadata_record decoded;
        /* The message points into the bytes it came from: those have to stay. */
        struct bytes value = arena_bytes(arena, record.value);
        rv = record_codec_decode(value, arena, &decoded);
        if (rv != 0)
            break;
        void *copy = metadata_records_add(records, arena, decoded.key, decoded.version);
        memcpy(copy, decoded.data, metadata_record_find(decoded.key)->body->size_bytes);
    }
    record_iter_release(&iter);
    return rv;
}

int metadata_records_collect(struct bytes batches, struct arena *arena,
                             struct metadata_records *records)
{
    struct record_scratch scratch;
    record_scratch_init(&scratch);
    struct record_batches run = record_batches_of(batches);
    struct record_batch batch;
    int rv;
    while ((rv = record_batches_next(&run, &batch)) == 1) {
        if (batch.header.attributes & RECORD_BATCH_CONTROL)
            continue;
        rv = collect_batch(&batch, &scratch, arena, records);
        if (rv != 0)
            break;
    }
    record_scratch_release(&scratch);
    return rv;
}
