/* kafka-topics --describe: partitions, replicas, configurations, reassignments. */
#include "common/base/check.h"
#include "common/base/uuid.h"
#include "common/protocol/codec.h"
#include "metadata/config/config_layers.h"
#include "metadata/configs_image.h"
#include "tools/java_order.h"
#include "tools/topics_internal.h"
#include "tools/uuid_text.h"

#include <stdlib.h>

enum { PARTITIONS_AT_ONCE = 2000 };

typedef const struct describe_configs_response_describe_configs_result config_result;
typedef const struct describe_configs_response_describe_configs_resource_result config_entry;
typedef const struct list_partition_reassignments_response_ongoing_partition_reassignment
    reassignment;

struct describing {
    struct topics_command *command;
    struct admin_topics topics;
    struct describe_configs_response configs;
    struct list_partition_reassignments_response reassignments;
    struct client_node *nodes; /* that live */
    size_t nodes_count;
    bool under_replicated, unavailable, under_min_isr, at_min_isr; /* which to show only */
    bool overrides;
    json_t *json; /* of the topics; NULL: text */
};

static bool filtered(const struct describing *d)
{
    return d->under_replicated || d->unavailable || d->under_min_isr || d->at_min_isr;
}

static bool find_by_id(struct topics_command *command, const char *text,
                       struct admin_topics *ret_topics, struct failure *failure)
{
    struct uuid id;
    struct admin_topics all;
    if (!uuid_text_parse(str_of(text), &id, failure))
        return false;
    if (!admin_list_topics(command->client, "listTopics", &command->arena, &all, failure))
        return false;
    for (size_t i = 0; i < all.count; i++)
        if (uuid_eq(all.items[i].id, id))
            return admin_describe_topics_by_id(command->client, &command->arena, &id, 1, ret_topics,
                                               failure);
    if (!options_has(&command->tool.options, "if-exists"))
        return failure_set(failure, KAFKA_ERROR_UNKNOWN_TOPIC_ID,
                           "TopicId '%s' does not exist as expected", text);
    *ret_topics = (struct admin_topics){0};
    return true;
}

/* In the order of the map that Kafka keeps them in. */
static void order_topics(struct admin_topics *topics, struct arena *arena)
{
    struct str *names = ARENA_ARRAY(arena, struct str, topics->count + 1);
    size_t *order = ARENA_ARRAY(arena, size_t, topics->count + 1);
    struct admin_topic *ordered = ARENA_ARRAY(arena, struct admin_topic, topics->count + 1);
    for (size_t i = 0; i < topics->count; i++)
        names[i] = topics->items[i].name;
    java_map_order(names, topics->count, topics->count, order);
    for (size_t i = 0; i < topics->count; i++)
        ordered[i] = topics->items[order[i]];
    topics->items = ordered;
}

static bool find_topics(struct describing *d, struct failure *failure)
{
    struct topics_command *command = d->command;
    struct options *options = &command->tool.options;
    struct admin_topics found;
    const char *id;
    int32_t limit = PARTITIONS_AT_ONCE;
    if (options_value(options, "topic-id", &id) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", options->error);
    /* The id of no topic stands for none, as in Kafka. */
    if (id != NULL && strcmp(id, "AAAAAAAAAAAAAAAAAAAAAA") != 0)
        return find_by_id(command, id, &d->topics, failure);
    if (!topics_find(command, !options_has(options, "if-exists"), &found, failure))
        return false;
    if (options_int(options, "partition-size-limit-per-response", &limit) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", options->error);
    if (found.count == 0) {
        d->topics = found;
        return true;
    }
    struct str *names = ARENA_ARRAY(&command->arena, struct str, found.count);
    for (size_t i = 0; i < found.count; i++)
        names[i] = found.items[i].name;
    if (!admin_describe_topics(command->client, &command->arena, names, found.count, limit,
                               &d->topics, failure))
        return false;
    order_topics(&d->topics, &command->arena);
    return true;
}

static bool find_configs(struct describing *d, struct failure *failure)
{
    struct arena *arena = &d->command->arena;
    struct describe_configs_request request;
    message_init(&describe_configs_request_desc, &request);
    request.resources_count = (int32_t)d->topics.count;
    request.resources = MESSAGE_ARRAY(arena, describe_configs_request_describe_configs_resource,
                                      request.resources_count);
    for (size_t i = 0; i < d->topics.count; i++) {
        request.resources[i].resource_type = CONFIG_RESOURCE_TOPIC;
        request.resources[i].resource_name = d->topics.items[i].name;
        request.resources[i].configuration_keys_count = -1;
    }
    return admin_describe_configs(d->command->client, arena, CLIENT_ANY_NODE, &request, &d->configs,
                                  failure);
}

static bool find_all(struct describing *d, struct failure *failure)
{
    struct client_op op;
    if (!find_topics(d, failure))
        return false;
    if (d->topics.count == 0)
        return true;
    if (!find_configs(d, failure))
        return false;
    client_op_begin(&op, d->command->client, "listNodes", &d->command->arena);
    if (!client_nodes(&op, &d->nodes, &d->nodes_count, failure))
        return false;
    struct failure ignored;
    message_init(&list_partition_reassignments_response_desc, &d->reassignments);
    if (admin_reassignments(d->command->client, &d->command->arena, &d->reassignments, &ignored))
        return true;
    /* Who may not ask, or asks an old broker, sees none. */
    message_init(&list_partition_reassignments_response_desc, &d->reassignments);
    if (ignored.error == KAFKA_ERROR_UNSUPPORTED_VERSION ||
        ignored.error == KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED)
        return true;
    *failure = ignored;
    return false;
}

static bool config_of(const struct describing *d, const struct admin_topic *topic,
                      config_result **ret_result, struct failure *failure)
{
    for (int32_t i = 0; i < d->configs.results_count; i++) {
        config_result *result = &d->configs.results[i];
        if (!str_eq(result->resource_name, topic->name))
            continue;
        if (result->error_code != 0)
            return failure_set_error(failure, result->error_code, result->error_message);
        *ret_result = result;
        return true;
    }
    return failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                       "The broker did not say how topic %.*s is configured", STR_FMT(topic->name));
}

static reassignment *reassignment_of(const struct describing *d, struct str topic,
                                     int32_t partition)
{
    for (int32_t i = 0; i < d->reassignments.topics_count; i++) {
        if (!str_eq(d->reassignments.topics[i].name, topic))
            continue;
        for (int32_t j = 0; j < d->reassignments.topics[i].partitions_count; j++)
            if (d->reassignments.topics[i].partitions[j].partition_index == partition)
                return &d->reassignments.topics[i].partitions[j];
    }
    return NULL;
}

static bool has(const struct admin_ids *ids, int32_t id)
{
    for (int32_t i = 0; i < ids->count; i++)
        if (ids->items[i] == id)
            return true;
    return false;
}

/* Where it is being moved, what it will be. */
static int32_t replication_factor(const struct admin_partition *partition, reassignment *moving)
{
    if (moving == NULL)
        return partition->replicas.count;
    /* What was to be added may be there and gone from the list already. */
    for (int32_t i = 0; i < moving->adding_replicas_count; i++)
        if (has(&partition->replicas, moving->adding_replicas[i]))
            return partition->replicas.count - moving->adding_replicas_count;
    return partition->replicas.count;
}

static config_entry *find_entry(config_result *result, const char *name)
{
    for (int32_t i = 0; i < result->configs_count; i++)
        if (str_eq_z(result->configs[i].name, name))
            return &result->configs[i];
    return NULL;
}

static bool lives(const struct describing *d, int32_t id)
{
    for (size_t i = 0; i < d->nodes_count; i++)
        if (d->nodes[i].id == id)
            return true;
    return false;
}

static bool wanted(const struct describing *d, const struct admin_partition *partition,
                   reassignment *moving, config_result *result)
{
    int32_t min_isr = 0;
    config_entry *entry = find_entry(result, "min.insync.replicas");
    if (entry != NULL)
        (void)str_to_i32(entry->value, &min_isr);
    return !filtered(d) ||
           (d->under_replicated && replication_factor(partition, moving) > partition->isr.count) ||
           (d->unavailable && (partition->leader < 0 || !lives(d, partition->leader))) ||
           (d->under_min_isr && partition->isr.count < min_isr) ||
           (d->at_min_isr && partition->isr.count == min_isr);
}

/* What shares a bucket of Kafka's map with other names and comes before them there, in order. */
static const char *const first_names[] = {"flush.messages", "max.compaction.lag.ms",
                                          "retention.bytes", "segment.bytes", "retention.ms"};

static bool comes_first(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(first_names); i++)
        if (str_eq_z(name, first_names[i]))
            return true;
    return false;
}

/* What is not the default, in the order of Kafka's map of configurations. */
static size_t overridden(config_result *result, struct arena *arena, config_entry ***ret_entries)
{
    size_t all = (size_t)result->configs_count, count = 0, put = 0;
    struct str *names = ARENA_ARRAY(arena, struct str, all + 1);
    config_entry **entries = ARENA_ARRAY(arena, config_entry *, all + 1);
    size_t *order = ARENA_ARRAY(arena, size_t, all + 1);
    *ret_entries = ARENA_ARRAY(arena, config_entry *, all + 1);
    for (size_t n = 0; n < ARRAY_LEN(first_names); n++)
        for (size_t i = 0; i < all; i++)
            if (str_eq_z(result->configs[i].name, first_names[n]))
                entries[put++] = &result->configs[i];
    for (size_t i = 0; i < all; i++)
        if (!comes_first(result->configs[i].name))
            entries[put++] = &result->configs[i];
    for (size_t i = 0; i < all; i++)
        names[i] = entries[i]->name;
    java_map_order(names, all, 0, order);
    for (size_t i = 0; i < all; i++)
        if (entries[order[i]]->config_source != CONFIG_LEVEL_DEFAULT)
            (*ret_entries)[count++] = entries[order[i]];
    return count;
}

static void print_ids(const char *label, const struct admin_ids *ids)
{
    printf("\t%s: ", label);
    for (int32_t i = 0; i < ids->count; i++)
        printf(i ? ",%d" : "%d", ids->items[i]);
    if (ids->count < 0)
        fputs("N/A", stdout);
}

static void print_topic(const struct admin_topic *topic, int32_t replicas, config_entry **entries,
                        size_t count)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(topic->id, id);
    printf("Topic: %.*s\tTopicId: %s\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: ",
           STR_FMT(topic->name), id, topic->partitions_count, replicas);
    for (size_t i = 0; i < count; i++)
        printf("%s%.*s=%.*s", i ? "," : "", STR_FMT(entries[i]->name), STR_FMT(entries[i]->value));
    putchar('\n');
}

static void print_partition(struct str topic, const struct admin_partition *partition,
                            reassignment *moving)
{
    printf("\tTopic: %.*s\tPartition: %d\tLeader: ", STR_FMT(topic), partition->index);
    if (partition->leader < 0)
        fputs("none", stdout);
    else
        printf("%d", partition->leader);
    print_ids("Replicas", &partition->replicas);
    print_ids("Isr", &partition->isr);
    if (moving != NULL) {
        print_ids("Adding Replicas",
                  &(struct admin_ids){moving->adding_replicas, moving->adding_replicas_count});
        print_ids("Removing Replicas",
                  &(struct admin_ids){moving->removing_replicas, moving->removing_replicas_count});
    }
    print_ids("Elr", &partition->elr);
    print_ids("LastKnownElr", &partition->last_known_elr);
    putchar('\n');
}

static json_t *json_of_ids(const struct admin_ids *ids)
{
    if (ids->count < 0)
        return json_null();
    json_t *array = json_array();
    for (int32_t i = 0; i < ids->count; i++)
        json_array_append_new(array, json_integer(ids->items[i]));
    return array;
}

static json_t *json_of_topic(const struct admin_topic *topic, int32_t replicas,
                             config_entry **entries, size_t count)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(topic->id, id);
    json_t *object = json_object(), *configs = json_object();
    json_object_set_new(object, "name", tool_json_str(topic->name));
    json_object_set_new(object, "topicId", json_string(id));
    json_object_set_new(object, "partitionCount", json_integer(topic->partitions_count));
    json_object_set_new(object, "replicationFactor", json_integer(replicas));
    for (size_t i = 0; i < count; i++)
        json_object_setn_new(configs, entries[i]->name.data, (size_t)entries[i]->name.len,
                             tool_json_str(entries[i]->value));
    json_object_set_new(object, "configs", configs);
    return object;
}

static json_t *json_of_partition(const struct admin_partition *partition, reassignment *moving)
{
    json_t *object = json_object();
    json_object_set_new(object, "partition", json_integer(partition->index));
    json_object_set_new(object, "leader",
                        partition->leader < 0 ? json_null() : json_integer(partition->leader));
    json_object_set_new(object, "replicas", json_of_ids(&partition->replicas));
    json_object_set_new(object, "isr", json_of_ids(&partition->isr));
    if (moving != NULL) {
        struct admin_ids adding = {moving->adding_replicas, moving->adding_replicas_count};
        struct admin_ids removing = {moving->removing_replicas, moving->removing_replicas_count};
        json_object_set_new(object, "addingReplicas", json_of_ids(&adding));
        json_object_set_new(object, "removingReplicas", json_of_ids(&removing));
    }
    json_object_set_new(object, "elr", json_of_ids(&partition->elr));
    json_object_set_new(object, "lastKnownElr", json_of_ids(&partition->last_known_elr));
    return object;
}

static bool show_topic(struct describing *d, const struct admin_topic *topic,
                       struct failure *failure)
{
    config_result *result = NULL;
    config_entry **entries;
    if (!config_of(d, topic, &result, failure))
        return false;
    size_t count = overridden(result, &d->command->arena, &entries);
    if (d->overrides && count == 0)
        return true;
    int32_t replicas = 0;
    if (topic->partitions_count > 0)
        replicas = replication_factor(&topic->partitions[0],
                                      reassignment_of(d, topic->name, topic->partitions[0].index));
    json_t *object = NULL, *partitions = NULL;
    if (d->json != NULL) {
        object = json_of_topic(topic, replicas, entries, count);
        partitions = json_array();
        json_object_set_new(object, "partitions", partitions);
    } else if (!filtered(d)) {
        print_topic(topic, replicas, entries, count);
    }
    for (int32_t i = 0; i < topic->partitions_count && !d->overrides; i++) {
        const struct admin_partition *partition = &topic->partitions[i];
        reassignment *moving = reassignment_of(d, topic->name, partition->index);
        if (!wanted(d, partition, moving, result))
            continue;
        if (partitions != NULL)
            json_array_append_new(partitions, json_of_partition(partition, moving));
        else
            print_partition(topic->name, partition, moving);
    }
    if (object != NULL && filtered(d) && json_array_size(partitions) == 0)
        json_decref(object);
    else if (object != NULL)
        json_array_append_new(d->json, object);
    return true;
}

bool topics_describe(struct topics_command *command, struct failure *failure)
{
    const struct options *options = &command->tool.options;
    struct describing d = {
        .command = command,
        .under_replicated = options_has(options, "under-replicated-partitions"),
        .unavailable = options_has(options, "unavailable-partitions"),
        .under_min_isr = options_has(options, "under-min-isr-partitions"),
        .at_min_isr = options_has(options, "at-min-isr-partitions"),
        .overrides = options_has(options, "topics-with-overrides"),
        .json = command->tool.json ? json_array() : NULL,
    };
    bool ok = find_all(&d, failure);
    for (size_t i = 0; i < d.topics.count && ok; i++)
        ok = show_topic(&d, &d.topics.items[i], failure);
    if (d.json == NULL)
        return ok;
    json_t *document = json_object();
    json_object_set_new(document, "topics", d.json);
    if (ok)
        tool_print_json(document);
    else
        json_decref(document);
    return ok;
}
