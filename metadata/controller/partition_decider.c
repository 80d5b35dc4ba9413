#include "metadata/controller/partition_decider.h"

#include "metadata/controller/brokers.h"
#include "metadata/controller/controller_internal.h"
#include "metadata/controller/effective_configs.h"

void partition_decider_init(struct partition_decider *decider, const struct controller *c)
{
    *decider =
        (struct partition_decider){.controller = c, .leaving = -1, .coming = -1, .lost_broker = -1};
}

static bool is_lost(const struct partition_decider *decider, int32_t node, struct uuid directory)
{
    bool lost = false;
    for (int32_t i = 0; node == decider->lost_broker && !lost && i < decider->lost_count; i++)
        lost = uuid_eq(decider->lost[i], directory);
    return lost;
}

static bool may_lead(void *ctx, int32_t node)
{
    const struct partition_decider *decider = ctx;
    const struct partition_change *change = decider->change;
    const struct broker_image *broker =
        cluster_image_broker(&controller_image(decider->controller)->cluster, node);
    struct uuid directory = node == change->moved_node
                                ? change->moved_directory
                                : partition_directory_of(change->partition, node);
    if (!broker || node == decider->leaving || !broker_image_has_directory(broker, directory) ||
        is_lost(decider, node, directory))
        return false;
    return node == decider->coming || (!broker->fenced && !broker->in_controlled_shutdown);
}

static struct uuid default_directory(void *ctx, int32_t node)
{
    const struct partition_decider *decider = ctx;
    return brokers_default_directory(decider->controller, node);
}

static void enter_topic(struct partition_decider *decider, const struct topic_image *topic)
{
    const struct controller *c = decider->controller;
    struct str name = topic_name(topic);
    if (decider->topic == topic)
        return;
    decider->topic = topic;
    decider->min_isr =
        (int32_t)MIN(effective_topic_number(c, name, CONFIG_TOPIC_MIN_INSYNC_REPLICAS), INT32_MAX);
    decider->unclean_allowed =
        effective_topic_bool(c, name, CONFIG_TOPIC_UNCLEAN_LEADER_ELECTION_ENABLE);
}

void partition_decider_begin(struct partition_decider *decider, const struct topic_image *topic,
                             const struct partition_image *p, struct partition_change *ret_change)
{
    const struct controller *c = decider->controller;
    enter_topic(decider, topic);
    decider->change = ret_change;
    partition_change_init(ret_change, topic->id, p);
    ret_change->election = decider->unclean_allowed ? ELECTION_UNCLEAN : ELECTION_ONLINE;
    ret_change->may_lead = may_lead;
    ret_change->default_directory = default_directory;
    ret_change->ctx = decider;
    ret_change->min_isr = MIN(decider->min_isr, p->replica_count);
    ret_change->elr_enabled = controller_elr_enabled(c);
    ret_change->metadata_version = controller_metadata_version(c);
}

const struct partition_change_record *partition_decider_finish(struct partition_decider *decider,
                                                               struct partition_change *change,
                                                               struct arena *arena,
                                                               struct metadata_records *records)
{
    struct partition_change_record record;
    if (!partition_change_make(change, arena, &record))
        return NULL;
    int16_t version = metadata_version_partition_record(change->metadata_version);
    struct partition_change_record *added =
        METADATA_RECORD_ADD(records, arena, partition_change_record, PARTITION_CHANGE, version);
    *added = record;
    return added;
}
