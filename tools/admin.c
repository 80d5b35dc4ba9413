#include "tools/admin.h"

#include "common/protocol/codec.h"
#include "common/protocol/messages/describe_topic_partitions.h"
#include "common/protocol/messages/metadata.h"

#include <stdlib.h>

static int compare_partitions(const void *a, const void *b)
{
    const struct admin_partition *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int compare_topics(const void *a, const void *b)
{
    const struct admin_topic *x = a, *y = b;
    return str_cmp(x->name, y->name);
}

static struct admin_topic topic_of_metadata(const struct metadata_response_topic *from,
                                            struct arena *arena)
{
    struct admin_topic topic = {.name = from->name,
                                .id = from->topic_id,
                                .internal = from->is_internal,
                                .error = from->error_code,
                                .partitions_count = from->partitions_count};
    topic.partitions = ARENA_ARRAY(arena, struct admin_partition, from->partitions_count + 1);
    for (int32_t i = 0; i < from->partitions_count; i++) {
        const struct metadata_response_partition *p = &from->partitions[i];
        topic.partitions[i] = (struct admin_partition){
            .index = p->partition_index,
            .leader = p->leader_id,
            .leader_epoch = p->leader_epoch,
            .error = p->error_code,
            .replicas = {p->replica_nodes, p->replica_nodes_count},
            .isr = {p->isr_nodes, p->isr_nodes_count},
            .elr = {.count = -1},
            .last_known_elr = {.count = -1},
        };
    }
    qsort(topic.partitions, (size_t)topic.partitions_count, sizeof(*topic.partitions),
          compare_partitions);
    return topic;
}

static void take_metadata(const struct metadata_response *response, struct arena *arena,
                          struct admin_topics *ret_topics)
{
    struct admin_topics topics = {
        ARENA_ARRAY(arena, struct admin_topic, response->topics_count + 1), 0};
    for (int32_t i = 0; i < response->topics_count; i++)
        topics.items[topics.count++] = topic_of_metadata(&response->topics[i], arena);
    qsort(topics.items, topics.count, sizeof(*topics.items), compare_topics);
    *ret_topics = topics;
}

/* Asks for what `request` names. Topics with an error are kept. */
static bool ask_metadata(struct client_op *op, struct metadata_request *request,
                         struct admin_topics *ret_topics, struct failure *failure)
{
    struct metadata_response response = {0};
    if (!client_ask(op, CLIENT_ANY_NODE, API_METADATA, request, &response, &response.error_code,
                    NULL, failure))
        return false;
    take_metadata(&response, op->arena, ret_topics);
    return true;
}

bool admin_try_topics(struct client_op *op, const struct str *names, int32_t count, bool create,
                      struct admin_topics *ret_topics, struct failure *failure)
{
    struct metadata_request request;
    struct metadata_response response;
    message_init(&metadata_request_desc, &request);
    request.allow_auto_topic_creation = create;
    request.topics_count = count;
    if (count >= 0)
        request.topics = MESSAGE_ARRAY(op->arena, metadata_request_topic, count);
    for (int32_t i = 0; i < count; i++)
        request.topics[i].name = names[i];
    if (!client_try(op, CLIENT_ANY_NODE, API_METADATA, &request, &response, failure))
        return false;
    if (response.error_code != 0)
        return kafka_error_retriable(response.error_code)
                   ? false
                   : failure_set_error(failure, response.error_code, STR_NULL);
    take_metadata(&response, op->arena, ret_topics);
    return true;
}

static bool check_topics(const struct admin_topics *topics, struct failure *failure)
{
    for (size_t i = 0; i < topics->count; i++)
        if (topics->items[i].error != 0)
            return failure_set_error(failure, topics->items[i].error, STR_NULL);
    return true;
}

bool admin_list_topics(struct client *client, const char *call, struct arena *arena,
                       struct admin_topics *ret_topics, struct failure *failure)
{
    struct client_op op;
    struct metadata_request request;
    struct admin_topics all;
    client_op_begin(&op, client, call, arena);
    message_init(&metadata_request_desc, &request);
    request.topics_count = -1;
    request.allow_auto_topic_creation = false;
    if (!ask_metadata(&op, &request, &all, failure))
        return false;
    size_t count = 0;
    for (size_t i = 0; i < all.count; i++)
        if (all.items[i].error == 0)
            all.items[count++] = all.items[i];
    *ret_topics = (struct admin_topics){all.items, count};
    return true;
}

bool admin_describe_topics_by_id(struct client *client, struct arena *arena, const struct uuid *ids,
                                 size_t count, struct admin_topics *ret_topics,
                                 struct failure *failure)
{
    struct client_op op;
    struct metadata_request request;
    struct admin_topics topics;
    client_op_begin(&op, client, "describeTopics", arena);
    message_init(&metadata_request_desc, &request);
    request.allow_auto_topic_creation = false;
    request.topics = MESSAGE_ARRAY(arena, metadata_request_topic, (int32_t)count);
    request.topics_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        request.topics[i].topic_id = ids[i];
        request.topics[i].name = STR_NULL;
    }
    if (!ask_metadata(&op, &request, &topics, failure) || !check_topics(&topics, failure))
        return false;
    *ret_topics = topics;
    return true;
}

/* For brokers that do not know DescribeTopicPartitions. */
static bool describe_by_metadata(struct client_op *op, const struct str *names, size_t count,
                                 struct admin_topics *ret_topics, struct failure *failure)
{
    struct metadata_request request;
    struct admin_topics topics;
    message_init(&metadata_request_desc, &request);
    request.allow_auto_topic_creation = false;
    request.topics = MESSAGE_ARRAY(op->arena, metadata_request_topic, (int32_t)count);
    request.topics_count = (int32_t)count;
    for (size_t i = 0; i < count; i++)
        request.topics[i].name = names[i];
    if (!ask_metadata(op, &request, &topics, failure) || !check_topics(&topics, failure))
        return false;
    *ret_topics = topics;
    return true;
}

typedef const struct describe_topic_partitions_response_topic described_topic;
typedef const struct describe_topic_partitions_response_partition described_partition;

/* Adds the partitions of one answer behind those of the answers before it. */
static void add_described(struct admin_topics *topics, described_topic *from, struct arena *arena)
{
    struct admin_topic *topic = topics->count ? &topics->items[topics->count - 1] : NULL;
    if (topic == NULL || !str_eq(topic->name, from->name)) {
        topic = &topics->items[topics->count++];
        *topic = (struct admin_topic){
            .name = from->name, .id = from->topic_id, .internal = from->is_internal};
    }
    topic->error = from->error_code;
    int32_t before = topic->partitions_count;
    struct admin_partition *partitions =
        ARENA_ARRAY(arena, struct admin_partition, before + from->partitions_count + 1);
    if (before > 0)
        memcpy(partitions, topic->partitions, (size_t)before * sizeof(*partitions));
    for (int32_t i = 0; i < from->partitions_count; i++) {
        described_partition *p = &from->partitions[i];
        partitions[before + i] = (struct admin_partition){
            .index = p->partition_index,
            .leader = p->leader_id,
            .leader_epoch = p->leader_epoch,
            .error = p->error_code,
            .replicas = {p->replica_nodes, p->replica_nodes_count},
            .isr = {p->isr_nodes, p->isr_nodes_count},
            .elr = {p->eligible_leader_replicas, p->eligible_leader_replicas_count},
            .last_known_elr = {p->last_known_elr, p->last_known_elr_count},
        };
    }
    topic->partitions = partitions;
    topic->partitions_count = before + from->partitions_count;
}

/* What one question after the other has brought. */
struct describing {
    const struct str *names; /* sorted, as the broker sorts them */
    size_t count, first;     /* those before `first` are done */
    struct describe_topic_partitions_request request;
    struct describe_topic_partitions_request_cursor cursor;
    struct admin_topics topics;
};

static void fill_request(struct describing *d, struct arena *arena)
{
    int32_t left = (int32_t)(d->count - d->first);
    d->request.topics = MESSAGE_ARRAY(arena, describe_topic_partitions_request_topic_request, left);
    d->request.topics_count = left;
    for (int32_t i = 0; i < left; i++)
        d->request.topics[i].name = d->names[d->first + (size_t)i];
}

/* Takes an answer in; false where it was the last. */
static bool take_described(struct describing *d,
                           const struct describe_topic_partitions_response *response,
                           struct arena *arena)
{
    for (int32_t i = 0; i < response->topics_count; i++) {
        const struct admin_topic *last = &d->topics.items[d->count - 1];
        if (d->topics.count < d->count || str_eq(last->name, response->topics[i].name))
            add_described(&d->topics, &response->topics[i], arena);
    }
    if (response->next_cursor == NULL)
        return false;
    struct str next = response->next_cursor->topic_name;
    while (d->first < d->count && str_cmp(d->names[d->first], next) < 0)
        d->first++;
    message_struct_init(&describe_topic_partitions_request_cursor_struct, &d->cursor, 1);
    d->cursor.topic_name = next;
    d->cursor.partition_index = response->next_cursor->partition_index;
    d->request.cursor = &d->cursor;
    return d->first < d->count;
}

static int compare_names(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

bool admin_describe_topics(struct client *client, struct arena *arena, const struct str *names,
                           size_t count, int32_t limit, struct admin_topics *ret_topics,
                           struct failure *failure)
{
    struct client_op op;
    struct describe_topic_partitions_response response;
    struct str *sorted = ARENA_ARRAY(arena, struct str, count + 1);
    memcpy(sorted, names, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_names);
    struct describing d = {.names = sorted, .count = count};
    d.topics.items = ARENA_ARRAY(arena, struct admin_topic, count + 1);
    message_init(&describe_topic_partitions_request_desc, &d.request);
    d.request.response_partition_limit = limit;
    client_op_begin(&op, client, "describeTopics", arena);
    do {
        fill_request(&d, arena);
        if (client_call(&op, CLIENT_ANY_NODE, API_DESCRIBE_TOPIC_PARTITIONS, &d.request, &response,
                        failure))
            continue;
        if (failure->error == KAFKA_ERROR_UNSUPPORTED_VERSION)
            return describe_by_metadata(&op, sorted, count, ret_topics, failure);
        return false;
    } while (take_described(&d, &response, arena));
    if (!check_topics(&d.topics, failure))
        return false;
    *ret_topics = d.topics;
    return true;
}

bool admin_describe_configs(struct client *client, struct arena *arena, int32_t node,
                            const struct describe_configs_request *request,
                            struct describe_configs_response *ret_response, struct failure *failure)
{
    struct client_op op;
    client_op_begin(&op, client, "describeConfigs", arena);
    return client_call(&op, node, API_DESCRIBE_CONFIGS, request, ret_response, failure);
}

bool admin_reassignments(struct client *client, struct arena *arena,
                         struct list_partition_reassignments_response *ret_response,
                         struct failure *failure)
{
    struct client_op op;
    struct list_partition_reassignments_request request;
    client_op_begin(&op, client, "listPartitionReassignments", arena);
    message_init(&list_partition_reassignments_request_desc, &request);
    request.timeout_ms = client_time_left(&op, INT32_MAX);
    return client_ask(&op, CLIENT_CONTROLLER, API_LIST_PARTITION_REASSIGNMENTS, &request,
                      ret_response, &ret_response->error_code, &ret_response->error_message,
                      failure);
}
