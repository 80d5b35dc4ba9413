/*
 * What the handler gets: the newest checkpoint at the start, then committed batches from the log.
 * They are read from the page cache, where what was just appended is; what is not in it is warmed
 * by a worker first. A turn of the loop gives out a bounded part.
 */
#include "raft/quorum_node_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define CHUNK_BYTES ((int32_t)1 << 20)
#define TURN_BYTES  (4 * CHUNK_BYTES)
/* An idle node keeps no more. */
#define KEPT_CHUNK_BYTES ((size_t)64 << 10)

static void load_step(struct quorum_node *node);

static void load_run(struct work *work)
{
    struct quorum_node *node = CONTAINER_OF(work, struct quorum_node, load_work);
    node->load_rv = node->reader ? 0
                                 : quorum_checkpoint_open(node->disk, node->directory,
                                                          node->load_id, &node->reader);
    if (node->load_rv == 0)
        node->load_rv = quorum_checkpoint_next(node->reader, &node->load_run);
}

static void load_end(struct quorum_node *node)
{
    quorum_checkpoint_close(node->reader);
    node->reader = NULL;
    node->loading = false;
}

static void load_done(struct work *work)
{
    struct quorum_node *node = CONTAINER_OF(work, struct quorum_node, load_work);
    node->load_work.run = NULL;
    int rv = node->load_rv;
    if (!node_alive(node)) {
        load_end(node);
        node_close_if_idle(node);
        return;
    }
    if (rv == 1)
        rv = node->handler->snapshot_batches(node->ctx, node->load_run);
    if (rv == 0 && node->load_rv == 1) {
        load_step(node);
        return;
    }
    load_end(node);
    if (rv == 0)
        rv = node->handler->snapshot_end(node->ctx, node->load_id);
    if (rv != 0)
        node_fail(node, "cannot load the checkpoint at offset %" PRId64 " in %s: %s",
                  node->load_id.end_offset, node->directory, strerror(-rv));
    node_schedule(node);
}

static void load_step(struct quorum_node *node)
{
    node->load_work = (struct work){.run = load_run, .done = load_done, .loop = node->loop};
    work_submit(&node->load_work, WORK_DISK);
}

void give_checkpoint(struct quorum_node *node, struct quorum_checkpoint_id id)
{
    node->load_id = id;
    node->given_out = node->high_watermark = id.end_offset;
    node->bytes_since_snapshot = 0;
    log_set_high_watermark(node->log, node->high_watermark);
    node->loading = true;
    int rv = node->handler->snapshot_begin(node->ctx);
    if (rv == 0)
        load_step(node);
    else
        node_fail(node, "cannot load the metadata in %s: %s", node->directory, strerror(-rv));
}

void give_start(struct quorum_node *node, struct quorum_opening *opening)
{
    int rv = 0;

    node->given_out = node->high_watermark = 0;
    if (opening->has_snapshot) {
        give_checkpoint(node, node->kept.items[node->kept.count - 1].id);
    } else if (opening->bootstrap.len > 0) {
        struct bytes batches = {opening->bootstrap.data, (int32_t)opening->bootstrap.len};
        rv = node->handler->bootstrap(node->ctx, batches);
    }
    if (rv != 0)
        node_fail(node, "cannot load the metadata in %s: %s", node->directory, strerror(-rv));
}

static void warm_run(struct work *work)
{
    struct quorum_node *node = CONTAINER_OF(work, struct quorum_node, warm_work);
    log_warm_run(node->warm);
}

static void warm_done(struct work *work)
{
    struct quorum_node *node = CONTAINER_OF(work, struct quorum_node, warm_work);
    log_warm_end(node->log, node->warm);
    node->warm = NULL;
    node_schedule(node);
    node_close_if_idle(node);
}

/* Whole batches from node->given_out on, at most to the high watermark. */
static int read_chunk(struct quorum_node *node, struct bytes *ret_batches)
{
    struct log_read_args args = {
        .offset = node->given_out,
        .upper_offset = node->high_watermark,
        .max_bytes = CHUNK_BYTES,
        .min_one = true,
    };
    struct log_read_result found;
    int rv = log_read(node->log, &args, &found);
    if (rv != 0)
        return rv;
    if (!found.file)
        return -EIO;
    if (node->chunk_capacity < (size_t)found.size_bytes) {
        node->chunk = mem_realloc(node->chunk, (size_t)found.size_bytes);
        node->chunk_capacity = (size_t)found.size_bytes;
    }
    ssize_t got = disk_pread(found.file, node->chunk, (size_t)found.size_bytes, found.position);
    disk_file_unref(found.file);
    if (got != found.size_bytes)
        return got < 0 ? (int)got : -EIO;
    struct record_batches run = {node->chunk, node->chunk + got};
    struct record_batch batch;
    int64_t next = node->given_out;
    const uint8_t *end = node->chunk;
    while (record_batches_next(&run, &batch) == 1) {
        if (batch.header.base_offset != next)
            return -EBADMSG;
        next = record_batch_next_offset(&batch.header);
        end = batch.bytes.data + batch.bytes.len;
    }
    if (end == node->chunk)
        return -EBADMSG;
    *ret_batches = (struct bytes){node->chunk, (int32_t)(end - node->chunk)};
    node->given_out = next;
    return 0;
}

/* Kafka's observers and snapshots find the voters in the log: the first leader writes them there
 * when only the bootstrap checkpoint, or the configuration, knows them. */
static void record_voters(struct quorum_node *node)
{
    struct quorum_voters *voters = quorum_core_voters(node->core);
    int64_t offset = quorum_node_next_offset(node);
    struct quorum_control_place place = {offset, node->epoch, env_wall_ms(node->env)};
    struct bytebuf batch;
    bytebuf_init(&batch);
    uint32_t count = quorum_control_voters(&place, true, voters, &batch);
    struct buf *buf = bytebuf_to_buf(&batch);
    uint64_t base;
    int rv = quorum_core_change(node->core, voters, count,
                                (struct quorum_bytes){buf, 0, buf->size_bytes},
                                env_now_ms(node->env), &base);
    buf_unref(buf);
    if (rv == 0)
        node->voters_offset = offset;
    node_schedule(node);
}

static void announce(struct quorum_node *node)
{
    if (!node->loaded_told && node->settled && !node->loading &&
        node->given_out == node->high_watermark) {
        node->loaded_told = true;
        node->handler->loaded(node->ctx);
    }
    bool leads = node->role == QUORUM_LEADER && node->barrier_epoch == node->epoch &&
                 node->given_out > node->barrier_offset;
    if (leads && node->voters_offset == INT64_MAX && node_alive(node))
        record_voters(node);
    if (leads && !node->active && node_alive(node)) {
        node->active = true;
        node->handler->on_leader(node->ctx, node->epoch);
    }
}

void give_out(struct quorum_node *node)
{
    int64_t turn = 0;
    while (node_alive(node) && !node->loading && !node->warm &&
           node->given_out < node->high_watermark) {
        if (node_log_is_taken(node))
            return;
        if (turn >= TURN_BYTES) {
            node_schedule(node);
            return;
        }
        if (!log_is_warm(node->log, node->given_out, CHUNK_BYTES)) {
            node->warm = log_warm_begin(node->log, node->given_out, CHUNK_BYTES);
            node->warm_work = (struct work){.run = warm_run, .done = warm_done, .loop = node->loop};
            work_submit(&node->warm_work, WORK_DISK);
            return;
        }
        struct bytes batches;
        int rv = read_chunk(node, &batches);
        if (rv == 0)
            rv = node->handler->committed(node->ctx, batches);
        if (rv != 0) {
            node_fail(node, "cannot read the metadata at offset %" PRId64 " in %s: %s",
                      node->given_out, node->directory, strerror(-rv));
            return;
        }
        turn += batches.len;
        node->bytes_since_snapshot += batches.len;
        node_end_proposals(node, node->given_out, 0);
    }
    if (node->chunk_capacity > KEPT_CHUNK_BYTES) {
        free(node->chunk);
        node->chunk = NULL;
        node->chunk_capacity = 0;
    }
    if (node_alive(node))
        announce(node);
}

void quorum_node_rewind(struct quorum_node *node, int64_t offset)
{
    CHECK(offset <= node->given_out && offset >= log_start_offset(node->log));
    node->given_out = offset;
    node_schedule(node);
}
