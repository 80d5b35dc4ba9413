#include "metadata/controller/assignments.h"

#include "metadata/controller/brokers.h"
#include "metadata/controller/replica_placer.h"

#include <stdlib.h>

static int32_t usable_brokers(const struct controller *c, struct arena *arena,
                              struct placer_broker **ret_brokers, int32_t *ret_unfenced)
{
    const struct cluster_image *cluster = &controller_image(c)->cluster;
    struct placer_broker *brokers =
        ARENA_ARRAY(arena, struct placer_broker, cluster->brokers.count);
    int32_t count = 0, unfenced = 0;
    struct pmap_iter iter;
    pmap_iter_first(&iter, cluster->brokers);
    for (const struct broker_image *b; (b = pmap_iter_next(&iter)) != NULL;) {
        if (b->in_controlled_shutdown || !broker_image_takes_replicas(b))
            continue;
        brokers[count++] = (struct placer_broker){b->id, b->rack, b->fenced};
        unfenced += !b->fenced;
    }
    *ret_brokers = brokers;
    *ret_unfenced = unfenced;
    return count;
}

struct api_error assignments_place(const struct controller *c, int32_t partition_count,
                                   int32_t replication_factor, struct arena *arena,
                                   int32_t **ret_replicas)
{
    struct placer_broker *brokers;
    int32_t unfenced;
    int32_t count = usable_brokers(c, arena, &brokers, &unfenced);
    if (unfenced == 0)
        return api_error(arena, KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
                         "Unable to replicate the partition %d time(s): All brokers are currently "
                         "fenced, or have all their log directories cordoned.",
                         replication_factor);
    if (replication_factor > count)
        return api_error(arena, KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
                         "Unable to replicate the partition %d time(s): The target replication "
                         "factor of %d cannot be reached because only %d broker(s) are registered "
                         "or some brokers have all their log directories cordoned.",
                         replication_factor, replication_factor, count);
    *ret_replicas =
        ARENA_ARRAY(arena, int32_t, (size_t)partition_count * (size_t)replication_factor);
    replica_placer_place(brokers, count, partition_count, replication_factor, &c->config.random,
                         arena, *ret_replicas);
    return API_OK;
}

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

struct api_error assignments_check(const struct controller *c, struct node_list replicas,
                                   int32_t expected_count, struct arena *arena)
{
    const enum kafka_error code = KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT;
    if (replicas.count <= 0)
        return api_error(arena, code,
                         "The manual partition assignment includes an empty replica list.");
    int32_t *sorted = ARENA_ARRAY(arena, int32_t, replicas.count);
    memcpy(sorted, replicas.ids, (size_t)replicas.count * sizeof(*sorted));
    qsort(sorted, (size_t)replicas.count, sizeof(*sorted), ascending);
    for (int32_t i = 0; i < replicas.count; i++) {
        const struct broker_image *broker =
            cluster_image_broker(&controller_image(c)->cluster, sorted[i]);
        if (!broker)
            return api_error(arena, code,
                             "The manual partition assignment includes broker %d, but no such "
                             "broker is registered.",
                             sorted[i]);
        if (!broker_image_takes_replicas(broker))
            return api_error(arena, code,
                             "The manual partition assignment includes broker %d, but all its log "
                             "directories are cordoned.",
                             sorted[i]);
        if (i > 0 && sorted[i] == sorted[i - 1])
            return api_error(arena, code,
                             "The manual partition assignment includes the broker %d more than "
                             "once.",
                             sorted[i]);
    }
    if (expected_count >= 0 && replicas.count != expected_count)
        return api_error(arena, code,
                         "The manual partition assignment includes a partition with %d "
                         "replica(s), but this is not consistent with previous partitions, which "
                         "have %d replica(s).",
                         replicas.count, expected_count);
    return API_OK;
}

struct node_list assignments_active(const struct controller *c, struct node_list replicas,
                                    struct arena *arena)
{
    int32_t *ids = ARENA_ARRAY(arena, int32_t, replicas.count), count = 0;
    for (int32_t i = 0; i < replicas.count; i++) {
        if (brokers_is_active(c, replicas.ids[i]))
            ids[count++] = replicas.ids[i];
    }
    return (struct node_list){ids, count};
}

void assignments_add_record(const struct controller *c, struct uuid topic_id, int32_t partition_id,
                            struct node_list replicas, struct node_list isr, struct arena *arena,
                            struct metadata_records *records)
{
    int16_t version = metadata_version_partition_record(controller_metadata_version(c));
    struct partition_record *record =
        METADATA_RECORD_ADD(records, arena, partition_record, PARTITION, version);
    record->partition_id = partition_id;
    record->topic_id = topic_id;
    record->replicas = (int32_t *)(uintptr_t)replicas.ids;
    record->replicas_count = replicas.count;
    record->isr = (int32_t *)(uintptr_t)isr.ids;
    record->isr_count = isr.count;
    record->leader = isr.ids[0];
    record->leader_epoch = 0;
    record->partition_epoch = 0;
    if (version >= 1) {
        record->directories = ARENA_ARRAY(arena, struct uuid, replicas.count);
        record->directories_count = replicas.count;
        for (int32_t i = 0; i < replicas.count; i++)
            record->directories[i] = brokers_default_directory(c, replicas.ids[i]);
    }
}
