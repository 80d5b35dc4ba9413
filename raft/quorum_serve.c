#include "raft/quorum_serve.h"

#include "common/base/mutation.h"
#include "common/storage/log_epochs.h"
#include "raft/quorum_node_internal.h"

#include <errno.h>

static void leader_of(const struct quorum_node *node, struct quorum_leader *ret_leader)
{
    if (!quorum_node_leader(node, ret_leader))
        *ret_leader = (struct quorum_leader){.id = node->leader_id, .epoch = node->epoch};
}

static enum kafka_error check_epoch(const struct quorum_node *node, int32_t leader_epoch)
{
    if (leader_epoch < node->epoch)
        return KAFKA_ERROR_FENCED_LEADER_EPOCH;
    if (leader_epoch > node->epoch)
        return KAFKA_ERROR_UNKNOWN_LEADER_EPOCH;
    if (!node_alive(node) || !node->core || node->role != QUORUM_LEADER)
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    return KAFKA_ERROR_NONE;
}

/* Where an epoch ends in our log. Before the first one that the log knows of stands the oldest
 * checkpoint. */
static struct log_epoch_end end_of_epoch(const struct quorum_node *node, int32_t epoch,
                                         const struct quorum_kept *oldest)
{
    struct log_epoch_end end = log_end_offset_for_epoch(node->log, epoch);
    if (end.end_offset < 0) {
        int32_t latest = log_latest_epoch(node->log);
        if (latest < 0)
            latest = oldest ? node->kept.items[node->kept.count - 1].id.epoch : 0;
        return (struct log_epoch_end){latest, log_end_offset(node->log)};
    }
    if (oldest && end.end_offset == oldest->id.end_offset && end.epoch == epoch)
        return (struct log_epoch_end){oldest->id.epoch, oldest->id.end_offset};
    return end;
}

/* Whether what the asker has is the beginning of what we have. */
static void compare(const struct quorum_node *node, const struct quorum_fetch *fetch,
                    struct quorum_fetched *ret)
{
    const struct quorum_kept *oldest = node->kept.count > 0 ? &node->kept.items[0] : NULL;
    const struct quorum_kept *newest = oldest ? &node->kept.items[node->kept.count - 1] : NULL;
    int64_t start = log_start_offset(node->log);
    bool has_snapshot = newest && newest->id.end_offset > 0;
    /* An empty log is filled from a checkpoint sooner than batch by batch. */
    bool behind = fetch->offset == 0 && has_snapshot;
    if (!behind && start == 0 && fetch->offset == 0 && fetch->last_epoch == 0)
        return;
    if (oldest && has_snapshot)
        behind |= fetch->offset < start || fetch->last_epoch < oldest->id.epoch ||
                  (fetch->offset == start && start > 0 && fetch->last_epoch != oldest->id.epoch);
    if (behind) {
        ret->kind = QUORUM_FETCH_SNAPSHOT;
        ret->end_epoch = newest->id.epoch;
        ret->end_offset = newest->id.end_offset;
        return;
    }
    struct log_epoch_end end = end_of_epoch(node, fetch->last_epoch, oldest);
    if (end.epoch == fetch->last_epoch && end.end_offset >= fetch->offset)
        return;
    ret->kind = QUORUM_FETCH_DIVERGING;
    ret->end_epoch = end.epoch;
    ret->end_offset = end.end_offset;
}

void quorum_node_fetch(struct quorum_node *node, const struct quorum_fetch *fetch,
                       struct quorum_fetched *ret)
{
    bool invalid = fetch->invalid || fetch->offset < 0 || fetch->last_epoch < 0 ||
                   fetch->leader_epoch < fetch->last_epoch;
    *ret = (struct quorum_fetched){
        .error = invalid ? KAFKA_ERROR_INVALID_REQUEST : check_epoch(node, fetch->leader_epoch),
        .end_epoch = -1,
        .end_offset = -1,
        .high_watermark = -1,
        .log_start = node->log ? log_start_offset(node->log) : -1,
    };
    leader_of(node, &ret->leader);
    if (ret->error != KAFKA_ERROR_NONE)
        return;
    /* What an earlier leader had committed is known to be committed with our own LeaderChange. */
    if (node->active)
        ret->high_watermark = MUTATED(node->disk, FETCH_PAST_COMMIT) ? log_end_offset(node->log)
                                                                     : node->high_watermark;
    compare(node, fetch, ret);
    if (ret->kind != QUORUM_FETCH_BATCHES)
        return;
    if (fetch->replica_id >= 0)
        quorum_replicas_note(&node->replicas, fetch->replica_id, fetch->replica_directory_id,
                             fetch->offset, node->high_watermark, env_now_ms(node->env));
    if (fetch->offset >= ret->high_watermark)
        return;
    int32_t max_bytes = MAX(MIN(fetch->max_bytes, QUORUM_SERVE_MAX_BYTES), 0);
    if (quorum_node_read_log(node, fetch->offset, ret->high_watermark, max_bytes, &ret->read) != 0)
        ret->error = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
}

enum kafka_error quorum_node_fetch_snapshot(struct quorum_node *node,
                                            const struct quorum_fetch_snapshot *fetch,
                                            struct quorum_leader *ret_leader, char **ret_path)
{
    leader_of(node, ret_leader);
    enum kafka_error error = check_epoch(node, fetch->leader_epoch);
    if (error != KAFKA_ERROR_NONE)
        return error;
    for (size_t i = 0; i < node->kept.count; i++) {
        struct quorum_checkpoint_id id = node->kept.items[i].id;
        if (id.end_offset == 0 || id.end_offset != fetch->id.end_offset ||
            id.epoch != fetch->id.epoch)
            continue;
        *ret_path = quorum_checkpoint_path(node->directory, id, "");
        return KAFKA_ERROR_NONE;
    }
    return KAFKA_ERROR_SNAPSHOT_NOT_FOUND;
}

bool quorum_node_wait(struct quorum_node *node, struct quorum_wait *wait)
{
    if (!node_alive(node) || node->waits_ended)
        return false;
    list_push_back(&node->waits, &wait->link);
    return true;
}

void quorum_wait_end(struct quorum_wait *wait)
{
    list_remove(&wait->link);
}

static void wake(struct quorum_node *node)
{
    struct list woken;
    list_init(&woken);
    while (!list_empty(&node->waits))
        list_push_back(&woken, list_pop_front(&node->waits));
    while (!list_empty(&woken)) {
        struct quorum_wait *wait = LIST_ITEM(list_pop_front(&woken), struct quorum_wait, link);
        wait->ready(wait);
    }
}

void quorum_node_end_waits(struct quorum_node *node)
{
    node->waits_ended = true;
    wake(node);
}

void serve_wake(struct quorum_node *node)
{
    int64_t high_watermark = node->active ? node->high_watermark : -1;
    if (node->served_epoch != node->epoch || node->served_leader != node->leader_id)
        quorum_replicas_clear(&node->replicas);
    else if (node->served_high_watermark == high_watermark && !node->failed)
        return;
    node->served_epoch = node->epoch;
    node->served_leader = node->leader_id;
    node->served_high_watermark = high_watermark;
    wake(node);
}

const struct quorum_replica *quorum_node_observers(struct quorum_node *node, size_t *ret_count)
{
    quorum_replicas_expire(&node->replicas, env_now_ms(node->env));
    *ret_count = node->replicas.count;
    return node->replicas.items;
}

const struct quorum_replicas *quorum_node_replicas(struct quorum_node *node)
{
    quorum_replicas_expire(&node->replicas, env_now_ms(node->env));
    return &node->replicas;
}
