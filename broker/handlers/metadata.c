/*
 * Metadata: brokers, and topics with their leaders, for the listener that the client came through.
 * A missing topic may be created on the way (auto.create.topics.enable); the answer does not wait
 * for it.
 */
#include "broker/handlers/auto_create.h"
#include "broker/handlers/describe_metadata.h"
#include "broker/handlers/handlers.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "broker/server/shard_topics.h"
#include "common/base/map.h"
#include "common/protocol/messages/metadata.h"
#include "metadata/config/server_config.h"
#include "metadata/topic_name.h"

typedef struct metadata_response_topic answered_topic;

static void add_brokers(struct request *request, struct metadata_response *response)
{
    struct pmap brokers = request->shard->image->cluster.brokers;
    response->brokers =
        MESSAGE_ARRAY(&request->arena, metadata_response_broker, (int32_t)brokers.count);
    struct pmap_iter iter;
    const struct broker_image *broker;
    pmap_iter_first(&iter, brokers);
    while ((broker = pmap_iter_next(&iter)) != NULL) {
        const struct endpoint_image *endpoint = describe_endpoint(request, broker);
        if (endpoint == NULL)
            continue;
        struct metadata_response_broker *out = &response->brokers[response->brokers_count++];
        out->node_id = broker->id;
        out->host = arena_str(&request->arena, endpoint->host);
        out->port = endpoint->port;
        out->rack = arena_str(&request->arena, broker->rack);
    }
}

static void fill_partition(struct request *request, const struct partition_image *partition,
                           struct metadata_response_partition *out)
{
    struct partition_description d;
    describe_partition(request, partition, &d);
    /* LISTENER_NOT_FOUND is known from version 6 on. */
    if (d.error == KAFKA_ERROR_LISTENER_NOT_FOUND && request->header.request_api_version < 6)
        d.error = KAFKA_ERROR_LEADER_NOT_AVAILABLE;
    out->error_code = (int16_t)d.error;
    out->partition_index = partition->id;
    out->leader_id = d.leader_id;
    out->leader_epoch = partition->leader_epoch;
    out->replica_nodes = d.replicas;
    out->replica_nodes_count = d.replica_count;
    out->isr_nodes = d.isr;
    out->isr_nodes_count = d.isr_count;
    out->offline_replicas = d.offline;
    out->offline_replicas_count = d.offline_count;
}

static void fill_topic(struct request *request, const struct topic_image *topic,
                       answered_topic *out)
{
    const struct metadata_request *body = request->body;
    out->name = arena_str(&request->arena, topic_name(topic));
    out->topic_id = topic->id;
    out->is_internal = topic_is_internal(topic_name(topic));
    out->partitions = MESSAGE_ARRAY(&request->arena, metadata_response_partition,
                                    (int32_t)topic->partitions.count);
    if (body->include_topic_authorized_operations)
        out->topic_authorized_operations = AUTHORIZED_OPERATIONS_TOPIC;
    struct pmap_iter iter;
    const struct partition_image *partition;
    pmap_iter_first(&iter, topic->partitions);
    while ((partition = pmap_iter_next(&iter)) != NULL)
        fill_partition(request, partition, &out->partitions[out->partitions_count++]);
}

static void fill_unknown_name(struct request *request, struct str name, answered_topic *out)
{
    const struct metadata_request *body = request->body;
    out->name = arena_utf8(&request->arena, name);
    out->is_internal = topic_is_internal(name);
    if (body->include_topic_authorized_operations)
        out->topic_authorized_operations = AUTHORIZED_OPERATIONS_TOPIC;
    if (!topic_name_valid(name)) {
        out->error_code = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
        return;
    }
    out->error_code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (body->allow_auto_topic_creation &&
        server_config_boolean(node_config(request->shard->node),
                              CONFIG_BROKER_AUTO_CREATE_TOPICS_ENABLE))
        auto_create_topic(request->shard, name);
}

static void fill_asked(struct request *request, const struct metadata_request_topic *asked,
                       answered_topic *out)
{
    const struct topics_image *topics = &request->shard->image->topics;
    const struct topic_image *topic;
    if (!uuid_is_zero(asked->topic_id)) {
        topic = topics_image_find_id(topics, asked->topic_id);
        if (topic == NULL) {
            out->error_code = KAFKA_ERROR_UNKNOWN_TOPIC_ID;
            out->topic_id = asked->topic_id;
            out->name = STR_NULL;
            return;
        }
        fill_topic(request, topic, out);
        return;
    }
    if (str_is_null(asked->name)) {
        out->error_code = KAFKA_ERROR_INVALID_REQUEST;
        out->name = STR_EMPTY;
        return;
    }
    topic = topics_image_find(topics, asked->name);
    if (topic != NULL)
        fill_topic(request, topic, out);
    else
        fill_unknown_name(request, asked->name, out);
}

static void add_asked(struct request *request, struct metadata_response *response)
{
    const struct metadata_request *body = request->body;
    response->topics = MESSAGE_ARRAY(&request->arena, metadata_response_topic, body->topics_count);
    struct map names, ids;
    map_init(&names, MAP_STR_BORROWED);
    map_init(&ids, MAP_UUID);
    for (int32_t i = 0; i < body->topics_count; i++) {
        const struct metadata_request_topic *asked = &body->topics[i];
        bool by_id = !uuid_is_zero(asked->topic_id);
        answered_topic *out = &response->topics[response->topics_count];
        if (by_id ? map_put(&ids, map_key_uuid(asked->topic_id), out) != NULL
                  : asked->name.len >= 0 && map_put(&names, map_key_str(asked->name), out) != NULL)
            continue; /* named twice, answered once */
        fill_asked(request, asked, out);
        response->topics_count++;
    }
    map_release(&names);
    map_release(&ids);
}

static void add_all(struct request *request, struct metadata_response *response)
{
    struct pmap topics = request->shard->image->topics.by_name;
    response->topics =
        MESSAGE_ARRAY(&request->arena, metadata_response_topic, (int32_t)topics.count);
    struct pmap_iter iter;
    const struct topic_image *topic;
    pmap_iter_first(&iter, topics);
    while ((topic = pmap_iter_next(&iter)) != NULL)
        fill_topic(request, topic, &response->topics[response->topics_count++]);
}

void handle_metadata(struct request *request)
{
    const struct metadata_request *body = request->body;
    struct metadata_response response;
    message_init(&metadata_response_desc, &response);
    add_brokers(request, &response);
    response.cluster_id = node_cluster_id(request->shard->node);
    response.controller_id = describe_controller_id(request);
    if (body->include_cluster_authorized_operations)
        response.cluster_authorized_operations = AUTHORIZED_OPERATIONS_CLUSTER;
    bool all = body->topics_count < 0 ||
               (body->topics_count == 0 && request->header.request_api_version == 0);
    if (all)
        add_all(request, &response);
    else
        add_asked(request, &response);
    request_respond(request, &response);
}
