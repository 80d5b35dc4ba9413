/*
 * DescribeTopicPartitions: topics in order of their names, a bounded number of partitions at a time
 * (KIP-966); a cursor says where the next answer begins.
 */
#include "broker/handlers/describe_metadata.h"
#include "broker/handlers/handlers.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "broker/server/shard_topics.h"
#include "common/base/check.h"
#include "common/protocol/messages/describe_topic_partitions.h"
#include "metadata/config/server_config.h"
#include "metadata/topic_name.h"

#include <stdlib.h>

struct describe_op {
    struct request *request;
    struct describe_topic_partitions_response response;
    int32_t left; /* partitions that may still be described */
};

static int compare_names(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* The names asked for, or all, in order and from the cursor on. */
static int32_t names_to_describe(struct request *request, struct str **ret_names)
{
    const struct describe_topic_partitions_request *body = request->body;
    struct pmap topics = request->shard->image->topics.by_name;
    int32_t room = body->topics_count > 0 ? body->topics_count : (int32_t)topics.count, count = 0;
    struct str *names = ARENA_ARRAY(&request->arena, struct str, room);
    if (body->topics_count > 0) {
        for (int32_t i = 0; i < body->topics_count; i++)
            names[count++] = body->topics[i].name;
        qsort(names, (size_t)count, sizeof(*names), compare_names);
    } else {
        struct pmap_iter iter;
        const struct topic_image *topic;
        pmap_iter_first(&iter, topics);
        while ((topic = pmap_iter_next(&iter)) != NULL)
            names[count++] = topic_name(topic);
    }
    int32_t kept = 0;
    for (int32_t i = 0; i < count; i++) {
        bool again = kept > 0 && str_eq(names[kept - 1], names[i]);
        bool before = body->cursor != NULL && str_cmp(names[i], body->cursor->topic_name) < 0;
        if (!again && !before)
            names[kept++] = names[i];
    }
    *ret_names = names;
    return kept;
}

static void fill_partition(struct request *request, const struct partition_image *partition,
                           struct describe_topic_partitions_response_partition *out)
{
    struct partition_description d;
    /* Without a leader it is described as any other, without an error, as Kafka does. */
    describe_partition(request, partition, &d);
    out->partition_index = partition->id;
    out->leader_id = d.leader_id;
    out->leader_epoch = partition->leader_epoch;
    out->replica_nodes = d.replicas;
    out->replica_nodes_count = d.replica_count;
    out->isr_nodes = d.isr;
    out->isr_nodes_count = d.isr_count;
    out->eligible_leader_replicas = d.elr;
    out->eligible_leader_replicas_count = d.elr_count;
    out->last_known_elr = d.last_known_elr;
    out->last_known_elr_count = d.last_known_elr_count;
    out->offline_replicas = d.offline;
    out->offline_replicas_count = d.offline_count;
}

static void set_cursor(struct describe_op *op, struct str name, int32_t partition)
{
    op->response.next_cursor =
        MESSAGE_ARRAY(&op->request->arena, describe_topic_partitions_response_cursor, 1);
    op->response.next_cursor->topic_name = arena_str(&op->request->arena, name);
    op->response.next_cursor->partition_index = partition;
}

/* False when the limit was reached. */
static bool add_topic(struct describe_op *op, const struct topic_image *topic, int32_t first,
                      struct describe_topic_partitions_response_topic *out)
{
    out->name = arena_str(&op->request->arena, topic_name(topic));
    out->topic_id = topic->id;
    out->is_internal = topic_is_internal(topic_name(topic));
    int32_t room = MIN((int32_t)topic->partitions.count, op->left);
    out->partitions =
        MESSAGE_ARRAY(&op->request->arena, describe_topic_partitions_response_partition, room);
    struct pmap_iter iter;
    const struct partition_image *partition;
    pmap_iter_seek(&partition_image_kind, &iter, topic->partitions, pmap_key_i64(first));
    while ((partition = pmap_iter_next(&iter)) != NULL) {
        if (op->left == 0) {
            set_cursor(op, topic_name(topic), partition->id);
            return false;
        }
        fill_partition(op->request, partition, &out->partitions[out->partitions_count++]);
        op->left--;
    }
    return true;
}

static void add_unknown(struct str name, struct describe_topic_partitions_response_topic *out)
{
    out->name = name;
    out->error_code = topic_name_valid(name) ? KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION
                                             : KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
}

static void describe(struct describe_op *op)
{
    const struct describe_topic_partitions_request *body = op->request->body;
    struct str *names;
    int32_t count = names_to_describe(op->request, &names);
    op->response.topics =
        MESSAGE_ARRAY(&op->request->arena, describe_topic_partitions_response_topic, count);
    for (int32_t i = 0; i < count; i++) {
        const struct topic_image *topic =
            topics_image_find(&op->request->shard->image->topics, names[i]);
        if (topic == NULL && body->topics_count <= 0)
            continue;
        if (op->left == 0) {
            set_cursor(op, names[i], 0);
            return;
        }
        struct describe_topic_partitions_response_topic *out =
            &op->response.topics[op->response.topics_count++];
        out->topic_authorized_operations = AUTHORIZED_OPERATIONS_TOPIC;
        bool at_cursor = body->cursor != NULL && str_eq(body->cursor->topic_name, names[i]);
        if (topic == NULL)
            add_unknown(names[i], out);
        else if (!add_topic(op, topic, at_cursor ? body->cursor->partition_index : 0, out))
            return;
    }
}

void handle_describe_topic_partitions(struct request *request)
{
    const struct describe_topic_partitions_request *body = request->body;
    struct describe_op op = {.request = request};
    message_init(&describe_topic_partitions_response_desc, &op.response);
    int32_t limit = (int32_t)server_config_integer(node_config(request->shard->node),
                                                   CONFIG_BROKER_MAX_REQUEST_PARTITION_SIZE_LIMIT);
    op.left = MAX(MIN(body->response_partition_limit, limit), 1);
    if (body->cursor != NULL && body->cursor->partition_index < 0) {
        /* Kafka answers with the topics of the request, each with the error. */
        op.response.topics = MESSAGE_ARRAY(
            &request->arena, describe_topic_partitions_response_topic, body->topics_count);
        op.response.topics_count = body->topics_count;
        for (int32_t i = 0; i < body->topics_count; i++) {
            op.response.topics[i].name = body->topics[i].name;
            op.response.topics[i].error_code = KAFKA_ERROR_INVALID_REQUEST;
        }
    } else {
        describe(&op);
    }
    request_respond(request, &op.response);
}
