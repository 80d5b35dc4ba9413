#include "broker/handlers/fetch_read.h"

#include "broker/replica/replica_feed.h"
#include "broker/server/shard.h"
#include "broker/server/shard_topics.h"
#include "common/base/check.h"
#include "common/protocol/messages/fetch.h"
#include "common/storage/log_epochs.h"
#include "metadata/image.h"

#include <errno.h>
#include <stdlib.h>

void fetch_entry_clear(struct fetch_entry *entry)
{
    disk_file_unref(entry->read.file);
    entry->read = (struct log_read_result){0};
    free(entry->aborted);
    entry->aborted = NULL;
    entry->aborted_count = 0;
    entry->error = KAFKA_ERROR_NONE;
    entry->high_watermark = entry->last_stable_offset = entry->log_start_offset = -1;
    entry->end_offset = -1;
    entry->diverging_epoch = -1;
    entry->diverging_end_offset = -1;
    entry->leader_id = entry->leader_epoch = entry->preferred_replica = -1;
}

void fetch_entry_fill(const struct fetch_entry *entry, const struct fetch_params *params,
                      int32_t size_bytes, struct fetch_response_partition_data *ret)
{
    ret->partition_index = entry->at.partition;
    ret->error_code = (int16_t)entry->error;
    ret->high_watermark = entry->high_watermark;
    ret->last_stable_offset = entry->last_stable_offset;
    ret->log_start_offset = entry->log_start_offset;
    bool is_known = entry->error != KAFKA_ERROR_UNKNOWN_TOPIC_ID &&
                    entry->error != KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    ret->aborted_transactions_count = is_known && !params->read_committed ? -1 : 0;
    ret->diverging_epoch.epoch = entry->diverging_epoch;
    ret->diverging_epoch.end_offset = entry->diverging_end_offset;
    if (params->version >= 16 && entry->leader_epoch >= 0) {
        ret->current_leader.leader_id = entry->leader_id;
        ret->current_leader.leader_epoch = entry->leader_epoch;
    }
    /* data NULL: the bytes come from the file, see response_file. */
    ret->records =
        size_bytes > 0 ? (struct bytes){NULL, size_bytes} : (struct bytes){(const uint8_t *)"", 0};
}

/* The reader's last epoch tells whether its log and ours have parted (KIP-595, KIP-320). True: they
 * have, or the offset is out of range. */
static bool check_divergence(struct fetch_entry *entry, const struct log *log)
{
    if (entry->at.last_fetched_epoch < 0)
        return false;
    struct log_epoch_end end = log_end_offset_for_epoch(log, entry->at.last_fetched_epoch);
    if (end.epoch < 0 || end.end_offset < 0) {
        entry->error = KAFKA_ERROR_OFFSET_OUT_OF_RANGE;
        return true;
    }
    if (end.epoch >= entry->at.last_fetched_epoch && end.end_offset >= entry->at.fetch_offset)
        return false;
    entry->diverging_epoch = end.epoch;
    entry->diverging_end_offset = end.end_offset;
    return true;
}

static struct replica_fetch replica_fetch_of(const struct fetch_entry *entry,
                                             const struct fetch_params *params)
{
    return (struct replica_fetch){.id = params->replica_id,
                                  .broker_epoch = params->replica_epoch,
                                  .offset = entry->at.fetch_offset,
                                  .log_start_offset = entry->at.log_start_offset};
}

static int64_t bound_of(const struct partition *p, const struct fetch_params *params)
{
    return params->replica_id == -1 ? partition_read_bound(p, params->read_committed)
                                    : log_end_offset(partition_log(p));
}

static void note_ends(struct fetch_entry *entry, const struct log *log)
{
    entry->high_watermark = log_high_watermark(log);
    entry->last_stable_offset = log_last_stable_offset(log);
    entry->log_start_offset = log_start_offset(log);
    entry->end_offset = log_end_offset(log);
}

static void out_of_range(struct fetch_entry *entry)
{
    entry->error = KAFKA_ERROR_OFFSET_OUT_OF_RANGE;
    entry->high_watermark = entry->last_stable_offset = entry->log_start_offset = -1;
}

static void read_log(struct fetch_entry *entry, struct shard *shard, struct partition *p,
                     const struct fetch_params *params)
{
    struct log *log = partition_log(p);
    note_ends(entry, log);
    if (check_divergence(entry, log)) {
        if (entry->error != KAFKA_ERROR_NONE)
            out_of_range(entry);
        return;
    }
    if (entry->at.fetch_offset < entry->log_start_offset ||
        entry->at.fetch_offset > entry->end_offset) {
        out_of_range(entry);
        return;
    }
    if (fetch_is_by_replica(params)) {
        /* What it has may be just what others wait for. */
        struct replica_fetch fetch = replica_fetch_of(entry, params);
        partition_replica_fetched(p, &fetch);
        log = partition_log(p);
        if (log == NULL) {
            entry->error = KAFKA_ERROR_KAFKA_STORAGE_ERROR;
            return;
        }
        note_ends(entry, log);
    }
    int64_t bound = bound_of(p, params);
    struct log_read_args args = {.offset = entry->at.fetch_offset,
                                 .upper_offset = bound,
                                 .max_bytes = MIN(entry->at.max_bytes, params->max_bytes),
                                 .min_one = true};
    int rv = entry->at.fetch_offset < bound ? log_read(log, &args, &entry->read) : 0;
    if (rv == 0 && params->read_committed && entry->read.file != NULL)
        rv = log_aborted_txns(log, entry->at.fetch_offset, &entry->read, &entry->aborted,
                              &entry->aborted_count);
    if (rv != 0) {
        out_of_range(entry);
        if (rv != -ERANGE)
            entry->error = shard_unreadable(shard, p, entry->at.fetch_offset, rv);
    }
}

static enum kafka_error check_reader(const struct fetch_entry *entry, const struct partition *p,
                                     const struct fetch_params *params)
{
    return params->any_replica ? partition_check_reader(p, entry->at.current_leader_epoch)
                               : partition_check_leader(p, entry->at.current_leader_epoch);
}

/* Whom a reader's rack is compared with. */
struct rack_search {
    const struct shard *shard;
    const struct fetch_params *params;
};

static bool same_rack(void *ctx, int32_t id)
{
    const struct rack_search *search = ctx;
    const struct broker_image *broker = cluster_image_broker(&search->shard->image->cluster, id);
    return broker != NULL && !broker->fenced && str_eq(broker->rack, search->params->rack) &&
           broker_image_endpoint(broker, search->params->listener) != NULL;
}

/* The leader sends a reader to the closest replica that has what it wants (KIP-392). */
static bool send_elsewhere(struct fetch_entry *entry, const struct partition *p,
                           struct shard *shard, const struct fetch_params *params)
{
    struct rack_search search = {shard, params};
    if (params->rack.len <= 0 ||
        partition_check_leader(p, entry->at.current_leader_epoch) != KAFKA_ERROR_NONE ||
        same_rack(&search, shard->host.node_id))
        return false;
    entry->preferred_replica =
        partition_closest_follower(p, entry->at.fetch_offset, same_rack, &search);
    if (entry->preferred_replica < 0)
        return false;
    note_ends(entry, partition_log(p));
    return true;
}

void fetch_entry_read(struct fetch_entry *entry, struct shard *shard,
                      const struct fetch_params *params)
{
    struct partition *p = shard_partition(shard, entry->at.topic_id, entry->at.partition);
    if (p == NULL) {
        struct partition_elsewhere elsewhere =
            shard_elsewhere(shard, entry->at.topic_id, entry->at.partition);
        entry->error = elsewhere.error;
        entry->leader_id = elsewhere.leader_id;
        entry->leader_epoch = elsewhere.leader_epoch;
        return;
    }
    entry->error = check_reader(entry, p, params);
    if (entry->error == KAFKA_ERROR_NONE && fetch_is_by_replica(params)) {
        struct replica_fetch fetch = replica_fetch_of(entry, params);
        entry->error = partition_check_replica(p, &fetch, entry->at.current_leader_epoch >= 0);
    }
    if (entry->error == KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER ||
        entry->error == KAFKA_ERROR_FENCED_LEADER_EPOCH) {
        entry->leader_id = partition_get_role(p)->leader_id;
        entry->leader_epoch = partition_get_role(p)->leader_epoch;
    }
    if (entry->error == KAFKA_ERROR_NONE && !send_elsewhere(entry, p, shard, params))
        read_log(entry, shard, p, params);
}

/* Everything that may have to wait comes first: after it the reads happen in one go. */
static bool ready_to_read(struct fetch_group *group)
{
    for (int32_t i = 0; i < group->count; i++) {
        struct fetch_entry *entry = group->entries[i];
        struct partition *p =
            shard_partition(group->shard, entry->at.topic_id, entry->at.partition);
        if (p == NULL)
            continue;
        if (!partition_wait_open(p, &group->call))
            return false;
        if (entry->warmed)
            continue;
        entry->warmed = true;
        if (!partition_warm(p, entry->at.fetch_offset, entry->at.max_bytes, &group->call))
            return false;
    }
    return true;
}

/* A replica's fetch outside of its session (one that came late, or from who is not that replica)
 * may have said another place than the session, which would not speak of this partition again. */
static void stir_session(const struct fetch_entry *entry, struct shard *shard)
{
    struct partition *p = shard_partition(shard, entry->at.topic_id, entry->at.partition);
    if (p != NULL && entry->error == KAFKA_ERROR_NONE)
        replica_feeds_stir(partition_feed_members(p));
}

void fetch_group_read(struct shard_call *call)
{
    struct fetch_group *group = CONTAINER_OF(call, struct fetch_group, call);
    for (int32_t i = 0; i < group->count; i++)
        list_remove(&group->entries[i]->wait.link);
    if (!ready_to_read(group))
        return;
    for (int32_t i = 0; i < group->count; i++) {
        fetch_entry_clear(group->entries[i]);
        group->entries[i]->warmed = false;
        fetch_entry_read(group->entries[i], group->shard, group->params);
        if (fetch_is_by_replica(group->params))
            stir_session(group->entries[i], group->shard);
    }
    group->woken = false;
    shard_call_answer(call);
}

static void entry_woken(struct data_wait *wait)
{
    struct fetch_group *group = CONTAINER_OF(wait, struct fetch_entry, wait)->group;
    if (group->woken || group->wake_queued)
        return;
    group->woken = true;
    group->wake_queued = group->asker == group->shard->loop;
    loop_post(group->asker, &group->wake);
}

/* Something came between the read and now: nobody would wake us for that. */
static bool moved_since_read(const struct fetch_entry *entry, const struct partition *p,
                             const struct fetch_params *params)
{
    if (check_reader(entry, p, params) != KAFKA_ERROR_NONE)
        return true;
    if (params->replica_id != -1 && log_end_offset(partition_log(p)) > entry->end_offset)
        return true;
    return partition_read_bound(p, params->read_committed) >
           (params->read_committed ? entry->last_stable_offset : entry->high_watermark);
}

void fetch_group_wait(struct shard_call *call)
{
    struct fetch_group *group = CONTAINER_OF(call, struct fetch_group, call);
    for (int32_t i = 0; i < group->count; i++) {
        struct fetch_entry *entry = group->entries[i];
        struct partition *p =
            shard_partition(group->shard, entry->at.topic_id, entry->at.partition);
        if (p == NULL || moved_since_read(entry, p, group->params)) {
            entry_woken(&entry->wait);
            continue;
        }
        entry->wait.wake = entry_woken;
        partition_wait_data(p, &entry->wait, group->params->replica_id != -1);
    }
    shard_call_answer(call);
}
