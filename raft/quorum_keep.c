/*
 * New checkpoints, and what they make superfluous. A checkpoint is written by a worker. When it is
 * durable, old checkpoints go from the oldest on, but never the newest one, while all files
 * together are larger than metadata.max.retention.bytes or the oldest is older than
 * metadata.max.retention.ms; the log then begins where the oldest one left ends. Only then does
 * libraft hear of the checkpoint, and trims its own books to the same start.
 */
#include "raft/quorum_node_internal.h"

#include "common/storage/log_epochs.h"

#include <errno.h>
#include <stdlib.h>

void kept_push(struct quorum_kept_list *list, const struct quorum_kept *kept)
{
    VEC_PUSH(list->items, list->count, list->capacity) = *kept;
}

static void clean_run(struct work *work)
{
    struct quorum_node *node = CONTAINER_OF(work, struct quorum_node, clean_work);
    for (size_t i = 0; i < node->doomed.count; i++) {
        /* One that stays is found again at the next start, and goes with the next cleaning. */
        (void)quorum_checkpoint_delete(node->disk, node->directory, node->doomed.items[i].id);
    }
    if (node->deletion)
        log_deletion_run(node->deletion);
}

static void clean_done(struct work *work)
{
    struct quorum_node *node = CONTAINER_OF(work, struct quorum_node, clean_work);
    int rv = node->deletion ? log_deletion_end(node->log, node->deletion) : 0;
    node->deletion = NULL;
    node->doomed.count = 0;
    node->cleaning = false;
    if (rv != 0)
        node_fail(node, "cannot remove old segments in %s: %s", node->directory, strerror(-rv));
    node_schedule(node);
    node_close_if_idle(node);
}

static void clean_submit(struct quorum_node *node)
{
    node->cleaning = true;
    node->clean_work = (struct work){.run = clean_run, .done = clean_done, .loop = node->loop};
    work_submit(&node->clean_work, WORK_DISK);
}

/* Takes the checkpoints out of the list that need not be kept. */
static void choose_doomed(struct quorum_node *node)
{
    int64_t now_ms = env_wall_ms(node->env), total = log_size_bytes(node->log);
    size_t gone = 0;
    for (size_t i = 0; i < node->kept.count; i++)
        total += node->kept.items[i].size_bytes;
    while (gone + 1 < node->kept.count) {
        const struct quorum_kept *oldest = &node->kept.items[gone];
        bool large = node->config.retention_bytes >= 0 && total > node->config.retention_bytes;
        bool old = node->config.retention_ms >= 0 &&
                   now_ms - oldest->last_contained_ms > node->config.retention_ms;
        if (!large && !old)
            break;
        total -= oldest->size_bytes;
        kept_push(&node->doomed, oldest);
        gone++;
    }
    node->kept.count -= gone;
    if (gone > 0)
        memmove(node->kept.items, node->kept.items + gone,
                node->kept.count * sizeof(node->kept.items[0]));
}

void keep_only(struct quorum_node *node, const struct quorum_kept *kept)
{
    CHECK(!node->cleaning);
    for (size_t i = 0; i < node->kept.count; i++) {
        const struct quorum_checkpoint_id id = node->kept.items[i].id;
        if (id.end_offset != kept->id.end_offset || id.epoch != kept->id.epoch)
            kept_push(&node->doomed, &node->kept.items[i]);
    }
    node->kept.count = 0;
    kept_push(&node->kept, kept);
    if (node->doomed.count > 0)
        clean_submit(node);
}

/* The first index that is kept. */
static uint64_t trim(struct quorum_node *node)
{
    if (!node->cleaning)
        choose_doomed(node);
    /* What is to be given out once more stays: the next checkpoint takes it along. */
    int64_t start = MIN(node->kept.items[0].id.end_offset, node->given_out);
    if (start > log_start_offset(node->log))
        (void)log_increment_start_offset(node->log, start);
    if (!node->cleaning) {
        node->deletion = log_retention_begin(node->log, env_wall_ms(node->env));
        if (!node->deletion)
            node->deletion = log_unlink_begin(node->log, env_wall_ms(node->env));
        if (node->deletion || node->doomed.count > 0)
            clean_submit(node);
    }
    start = log_start_offset(node->log);
    return start == 0 ? QUORUM_INDEX_BOOTSTRAP : quorum_index_of(start);
}

static void snapshot_run(struct work *work)
{
    struct quorum_node *node = CONTAINER_OF(work, struct quorum_node, snapshot_work);
    struct quorum_checkpoint_header header = {
        .last_contained_ms = node->snapshot->last_contained_ms,
        .timestamp_ms = node->snapshot_wall_ms,
        .with_kraft_version = node->snapshot_kraft_version,
        .voters = node->snapshot_kraft_version ? node->snapshot_voters : NULL,
    };
    struct quorum_checkpoint_writer *writer;
    int rv =
        quorum_checkpoint_create(node->disk, node->directory, node->snapshot_id, &header, &writer);
    if (rv == 0) {
        rv = node->snapshot->fill(node->snapshot, writer);
        if (rv != 0)
            quorum_checkpoint_abort(writer);
        else
            rv = quorum_checkpoint_finish(writer);
    }
    if (rv == 0) {
        struct disk_stat stat;
        char *path = quorum_checkpoint_path(node->directory, node->snapshot_id, "");
        rv = node->disk->ops->stat(node->disk, path, &stat);
        node->snapshot_size = rv == 0 ? stat.size_bytes : 0;
        free(path);
    }
    node->snapshot_rv = rv;
}

/* That of the newest checkpoint. */
static uint64_t newest_index(const struct quorum_node *node)
{
    if (node->core)
        return quorum_core_snapshot_index(node->core);
    struct quorum_checkpoint_id id;
    return quorum_node_newest_snapshot(node, &id) ? quorum_index_of(id.end_offset - 1) : 0;
}

/* Epoch and voters as of a batch's end. */
static void snapshot_at(struct quorum_node *node, int64_t end_offset)
{
    uint64_t index = quorum_index_of(end_offset - 1);
    struct quorum_voters *voters;
    int32_t epoch;
    if (node->core) {
        struct quorum_extent batch;
        bool found = quorum_core_find_batch(node->core, index, &batch);
        CHECK(found && batch.end == index);
        epoch = quorum_epoch_of(batch.term);
        voters = quorum_core_voters_at(node->core, index);
    } else {
        epoch = log_epoch_of(node->log, end_offset - 1);
        voters = observer_voters_at(node->observer, end_offset);
    }
    node->snapshot_id = (struct quorum_checkpoint_id){end_offset, epoch};
    node->snapshot_voters = voters ? quorum_voters_copy(voters) : NULL;
}

/* Who ceased to vote while it was written, took a checkpoint of the leader and votes again has a
 * log that begins elsewhere: it need not have come as far yet. */
static bool still_has(const struct quorum_node *node, uint64_t index)
{
    struct quorum_extent batch;
    return !node->core || (index <= quorum_core_commit_index(node->core) &&
                           quorum_core_find_batch(node->core, index, &batch) && batch.end == index);
}

static void snapshot_done(struct work *work)
{
    struct quorum_node *node = CONTAINER_OF(work, struct quorum_node, snapshot_work);
    struct quorum_snapshot *snapshot = node->snapshot;
    uint64_t index = quorum_index_of(node->snapshot_id.end_offset - 1);
    int rv = node->snapshot_rv;
    node->snapshot = NULL;
    quorum_voters_unref(node->snapshot_voters);
    node->snapshot_voters = NULL;
    if (rv == 0 && (newest_index(node) >= index || !still_has(node, index)))
        rv = -ESTALE;
    if (rv == 0 && node_alive(node)) {
        struct quorum_kept kept = {node->snapshot_id, node->snapshot_size,
                                   snapshot->last_contained_ms};
        kept_push(&node->kept, &kept);
        uint64_t first = trim(node);
        if (node->core)
            rv = quorum_core_snapshot_taken(node->core, index, first, env_now_ms(node->env));
    }
    snapshot->done(snapshot, rv);
    node_schedule(node);
    node_close_if_idle(node);
}

int quorum_node_snapshot(struct quorum_node *node, struct quorum_snapshot *snapshot,
                         int64_t end_offset)
{
    if (!node_alive(node))
        return -EPERM;
    if (node->snapshot)
        return -EBUSY;
    if (node->promoting)
        return -ESTALE;
    uint64_t index = quorum_index_of(end_offset - 1);
    if (end_offset <= 0 || index <= newest_index(node))
        return -ESTALE;
    CHECK(end_offset <= node->given_out);
    node->snapshot = snapshot;
    snapshot_at(node, end_offset);
    /* As of that offset: before the voters stood in the log, a checkpoint must not name them. */
    node->snapshot_kraft_version = node->voters_offset < end_offset;
    node->snapshot_wall_ms = env_wall_ms(node->env);
    node->bytes_since_snapshot = 0;
    node->snapshot_work =
        (struct work){.run = snapshot_run, .done = snapshot_done, .loop = node->loop};
    work_submit(&node->snapshot_work, WORK_DISK);
    return 0;
}
