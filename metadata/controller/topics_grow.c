/* CreatePartitions (KIP-195). */
#include "common/protocol/codec.h"
#include "metadata/controller/assignments.h"
#include "metadata/controller/controller_api.h"
#include "metadata/controller/topics.h"

typedef struct create_partitions_request_create_partitions_topic grown_topic;
typedef struct create_partitions_response_create_partitions_topic_result topic_result;

static struct api_error check_count(const struct topic_image *topic, const grown_topic *wanted,
                                    struct arena *arena)
{
    int32_t now = (int32_t)topic->partitions.count;
    if (wanted->count == now)
        return api_error(arena, KAFKA_ERROR_INVALID_PARTITIONS,
                         "Topic already has %d partition(s).", now);
    if (wanted->count < now)
        return api_error(arena, KAFKA_ERROR_INVALID_PARTITIONS,
                         "The topic %.*s currently has %d partition(s); %d would not be an "
                         "increase.",
                         STR_FMT(wanted->name), now, wanted->count);
    if (wanted->count - now > CONTROLLER_BATCH_RECORDS)
        return api_error(arena, KAFKA_ERROR_POLICY_VIOLATION,
                         "Excessively large number of additional partitions per request.");
    if (wanted->assignments_count >= 0 && wanted->assignments_count != wanted->count - now)
        return api_error(arena, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                         "Attempted to add %d additional partition(s), but only %d assignment(s) "
                         "were specified.",
                         wanted->count - now, wanted->assignments_count);
    return API_OK;
}

static struct api_error grow_by_given(struct controller *c, const struct topic_image *topic,
                                      const grown_topic *wanted, int32_t factor,
                                      struct arena *arena, struct metadata_records *records)
{
    int32_t first = (int32_t)topic->partitions.count;
    for (int32_t i = 0; i < wanted->assignments_count; i++) {
        struct node_list replicas = {wanted->assignments[i].broker_ids,
                                     wanted->assignments[i].broker_ids_count};
        struct api_error error = assignments_check(c, replicas, factor, arena);
        if (api_failed(error))
            return error;
        struct node_list isr = assignments_active(c, replicas, arena);
        if (isr.count == 0)
            return api_error(arena, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                             "All brokers specified in the manual partition assignment for "
                             "partition %d are fenced or in controlled shutdown.",
                             first + i);
        assignments_add_record(c, topic->id, first + i, replicas, isr, arena, records);
    }
    return API_OK;
}

static struct api_error grow_by_placing(struct controller *c, const struct topic_image *topic,
                                        const grown_topic *wanted, int32_t factor,
                                        struct arena *arena, struct metadata_records *records)
{
    int32_t first = (int32_t)topic->partitions.count, count = wanted->count - first;
    int32_t *ids;
    struct api_error error = assignments_place(c, count, factor, arena, &ids);
    if (api_failed(error))
        return error;
    for (int32_t i = 0; i < count; i++) {
        struct node_list replicas = {ids + (size_t)i * (size_t)factor, factor};
        struct node_list isr = assignments_active(c, replicas, arena);
        if (isr.count == 0)
            return api_error(arena, KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
                             "Unable to replicate the partition %d time(s): All brokers are "
                             "currently fenced or in controlled shutdown.",
                             factor);
        assignments_add_record(c, topic->id, first + i, replicas, isr, arena, records);
    }
    return API_OK;
}

static struct api_error grow_one(struct controller *c, const grown_topic *wanted,
                                 struct arena *arena, struct metadata_records *records)
{
    const struct topic_image *topic = topics_image_find(&controller_image(c)->topics, wanted->name);
    if (!topic)
        return (struct api_error){KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION, STR_NULL};
    struct api_error error = check_count(topic, wanted, arena);
    if (api_failed(error))
        return error;
    const struct partition_image *like = topic_image_partition(topic, 0);
    if (!like || (uint32_t)wanted->count <= topic->partitions.count)
        return api_error_plain(KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
    size_t kept = records->count;
    error = wanted->assignments_count >= 0
                ? grow_by_given(c, topic, wanted, like->replica_count, arena, records)
                : grow_by_placing(c, topic, wanted, like->replica_count, arena, records);
    if (api_failed(error))
        records->count = kept;
    return error;
}

CONTROLLER_API(create_partitions)
{
    struct name_counts names;
    *ret_result = (struct controller_result){.atomic = true};
    message_init(&create_partitions_response_desc, ret_response);
    ret_response->results = MESSAGE_ARRAY(
        arena, create_partitions_response_create_partitions_topic_result, request->topics_count);
    name_counts_init(&names);
    for (int32_t i = 0; i < request->topics_count; i++)
        name_counts_add(&names, request->topics[i].name);
    for (int32_t i = 0; i < request->topics_count; i++) {
        const grown_topic *wanted = &request->topics[i];
        int32_t times = name_counts_take(&names, wanted->name);
        if (times == 0)
            continue;
        struct api_error error = API_OK;
        if (times > 1)
            error = api_error(arena, KAFKA_ERROR_INVALID_REQUEST, "Duplicate topic name.");
        else if (request->timeout_ms <= 0)
            error.code = KAFKA_ERROR_REQUEST_TIMED_OUT;
        else
            error = grow_one(controller, wanted, arena, &ret_result->records);
        topic_result *result = &ret_response->results[ret_response->results_count++];
        result->name = wanted->name;
        result->error_code = (int16_t)error.code;
        result->error_message = error.message;
    }
    name_counts_release(&names);
    if (request->validate_only)
        ret_result->records.count = 0;
}
