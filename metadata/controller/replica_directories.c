/* AssignReplicasToDirs: a broker says in which directory its replicas lie (KIP-858). */
#include "common/base/map.h"
#include "common/protocol/codec.h"
#include "metadata/controller/controller_api.h"
#include "metadata/controller/controller_internal.h"
#include "metadata/controller/partition_decider.h"

struct directory_assignment {
    const struct broker_image *broker;
    struct arena *arena;
    struct metadata_records *records;
    struct partition_decider decider;
    struct map seen; /* partitions that the request named already */
};

/* Where the metadata has it is no directory that this broker has now: of a directory that is
 * offline a broker makes no replica anew, so that one is gone. */
static bool is_gone(const struct directory_assignment *a, const struct partition_image *p)
{
    return !broker_image_has_directory(a->broker, partition_directory_of(p, a->broker->id));
}

/* A replica that is moved into a directory which is not online any more cannot be in sync; one that
 * comes out of such a directory may lead again. */
static enum kafka_error assign_one(struct directory_assignment *a, const struct topic_image *topic,
                                   struct uuid directory, int32_t partition)
{
    struct partition_change change;
    int32_t broker = a->broker->id;
    if (!topic)
        return KAFKA_ERROR_UNKNOWN_TOPIC_ID;
    const struct partition_image *p = topic_image_partition(topic, partition);
    if (!p)
        return KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!node_list_contains(partition_replicas(p), broker))
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    if (map_put(&a->seen, map_key_uuid_int(topic->id, p->id), a))
        return KAFKA_ERROR_INVALID_REQUEST;
    partition_decider_begin(&a->decider, topic, p, &change);
    change.moved_node = broker;
    change.moved_directory = directory;
    change.began_anew = is_gone(a, p);
    if (!broker_image_has_directory(a->broker, directory))
        change.isr = node_list_without(change.isr, broker, a->arena);
    partition_decider_finish(&a->decider, &change, a->arena, a->records);
    return KAFKA_ERROR_NONE;
}

static void assign_topic(struct directory_assignment *a, struct uuid directory,
                         const struct assign_replicas_to_dirs_request_topic_data *wanted,
                         struct assign_replicas_to_dirs_response_topic_data *result)
{
    const struct topic_image *topic =
        topics_image_find_id(&controller_image(a->decider.controller)->topics, wanted->topic_id);
    result->topic_id = wanted->topic_id;
    result->partitions = MESSAGE_ARRAY(a->arena, assign_replicas_to_dirs_response_partition_data,
                                       wanted->partitions_count);
    result->partitions_count = wanted->partitions_count;
    for (int32_t i = 0; i < wanted->partitions_count; i++) {
        int32_t partition = wanted->partitions[i].partition_index;
        result->partitions[i].partition_index = partition;
        result->partitions[i].error_code = (int16_t)assign_one(a, topic, directory, partition);
    }
}

static enum kafka_error check_request(const struct controller *c, const struct broker_image *broker,
                                      const struct assign_replicas_to_dirs_request *request)
{
    if (controller_metadata_version(c) < METADATA_VERSION_DIRECTORIES)
        return KAFKA_ERROR_UNSUPPORTED_VERSION;
    if (!broker || broker->epoch != request->broker_epoch)
        return KAFKA_ERROR_STALE_BROKER_EPOCH;
    return KAFKA_ERROR_NONE;
}

CONTROLLER_API(assign_replicas_to_dirs)
{
    struct directory_assignment a = {
        .broker = cluster_image_broker(&controller_image(controller)->cluster, request->broker_id),
        .arena = arena,
        .records = &ret_result->records,
    };
    *ret_result = (struct controller_result){0};
    message_init(&assign_replicas_to_dirs_response_desc, ret_response);
    enum kafka_error error = check_request(controller, a.broker, request);
    ret_response->error_code = (int16_t)error;
    if (error != KAFKA_ERROR_NONE)
        return;
    partition_decider_init(&a.decider, controller);
    map_init(&a.seen, MAP_UUID);
    ret_response->directories = MESSAGE_ARRAY(
        arena, assign_replicas_to_dirs_response_directory_data, request->directories_count);
    ret_response->directories_count = request->directories_count;
    for (int32_t i = 0; i < request->directories_count; i++) {
        const struct assign_replicas_to_dirs_request_directory_data *wanted =
            &request->directories[i];
        struct assign_replicas_to_dirs_response_directory_data *result =
            &ret_response->directories[i];
        result->id = wanted->id;
        result->topics =
            MESSAGE_ARRAY(arena, assign_replicas_to_dirs_response_topic_data, wanted->topics_count);
        result->topics_count = wanted->topics_count;
        for (int32_t k = 0; k < wanted->topics_count; k++)
            assign_topic(&a, wanted->id, &wanted->topics[k], &result->topics[k]);
    }
    map_release(&a.seen);
}
