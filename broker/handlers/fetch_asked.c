#include "broker/handlers/fetch_asked.h"

static struct fetch_partition from_request(const struct fetch_request_fetch_topic *topic,
                                           const struct fetch_request_fetch_partition *in,
                                           bool ids_only)
{
    return (struct fetch_partition){
        .topic = ids_only ? STR_NULL : topic->topic,
        .topic_id = topic->topic_id,
        .partition = in->partition,
        .max_bytes = in->partition_max_bytes,
        .fetch_offset = in->fetch_offset,
        .log_start_offset = in->log_start_offset,
        .current_leader_epoch = MAX(in->current_leader_epoch, -1),
        .last_fetched_epoch = in->last_fetched_epoch,
        .replica_directory_id = in->replica_directory_id,
        .follower_high_watermark = in->high_watermark,
    };
}

int32_t fetch_asked_partitions(const struct fetch_request *body, bool ids_only, struct arena *arena,
                               struct fetch_partition **ret)
{
    int32_t count = 0, at = 0;
    for (int32_t t = 0; t < body->topics_count; t++)
        count += MAX(body->topics[t].partitions_count, 0);
    *ret = ARENA_ARRAY(arena, struct fetch_partition, count);
    for (int32_t t = 0; t < body->topics_count; t++) {
        const struct fetch_request_fetch_topic *topic = &body->topics[t];
        for (int32_t i = 0; i < topic->partitions_count; i++)
            (*ret)[at++] = from_request(topic, &topic->partitions[i], ids_only);
    }
    return count;
}

int32_t fetch_asked_forgotten(const struct fetch_request *body, bool ids_only, struct arena *arena,
                              struct fetch_partition **ret)
{
    int32_t count = 0, at = 0;
    for (int32_t t = 0; t < body->forgotten_topics_data_count; t++)
        count += MAX(body->forgotten_topics_data[t].partitions_count, 0);
    *ret = ARENA_ARRAY(arena, struct fetch_partition, count);
    for (int32_t t = 0; t < body->forgotten_topics_data_count; t++) {
        const struct fetch_request_forgotten_topic *topic = &body->forgotten_topics_data[t];
        for (int32_t i = 0; i < topic->partitions_count; i++)
            (*ret)[at++] = (struct fetch_partition){.topic = ids_only ? STR_NULL : topic->topic,
                                                    .topic_id = topic->topic_id,
                                                    .partition = topic->partitions[i]};
    }
    return count;
}
