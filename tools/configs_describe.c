/* kafka-configs --describe, for what has configurations of its own. */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/list_config_resources.h"
#include "common/protocol/messages/list_groups.h"
#include "metadata/topic_name.h"
#include "tools/configs_internal.h"
#include "tools/java_order.h"

#include <stdlib.h>

typedef struct describe_configs_response_describe_configs_result config_result;
typedef const struct describe_configs_response_describe_configs_resource_result config_entry;

struct names {
    struct str *items;
    size_t count;
};

bool configs_find_node(struct configs_command *command, enum configs_type type, const char *name,
                       int32_t *ret_node, struct failure *failure)
{
    bool of_broker = type == CONFIGS_BROKERS || type == CONFIGS_BROKER_LOGGERS;
    if (!of_broker || name[0] == '\0') {
        *ret_node = command->kind == CLIENT_OF_CONTROLLERS ? CLIENT_CONTROLLER : CLIENT_ANY_NODE;
        return true;
    }
    return str_to_i32(str_of(name), ret_node) == 0 ||
           configs_refuse(command, failure,
                          "The entity name for %s must be a valid integer broker id, found: %s",
                          configs_type_names[type], name);
}

static int compare_entries(const void *a, const void *b)
{
    config_entry *x = a, *y = b;
    return str_cmp(x->name, y->name);
}

bool configs_ask(struct configs_command *command, enum configs_type type, const char *name,
                 config_result *ret_result, struct failure *failure)
{
    struct describe_configs_request request;
    struct describe_configs_response response;
    int32_t node;
    if (!configs_find_node(command, type, name, &node, failure))
        return false;
    message_init(&describe_configs_request_desc, &request);
    request.include_synonyms = true;
    request.resources =
        MESSAGE_ARRAY(&command->arena, describe_configs_request_describe_configs_resource, 1);
    request.resources_count = 1;
    request.resources[0].resource_type = configs_resource_type(type);
    request.resources[0].resource_name = str_of(name);
    request.resources[0].configuration_keys_count = -1;
    if (!admin_describe_configs(command->client, &command->arena, node, &request, &response,
                                failure))
        return false;
    if (response.results_count < 1)
        return failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                           "The answer to DescribeConfigs says nothing about %s", name);
    *ret_result = response.results[0];
    if (ret_result->error_code != 0)
        return failure_set_error(failure, ret_result->error_code, ret_result->error_message);
    if (ret_result->configs_count > 0)
        qsort(ret_result->configs, (size_t)ret_result->configs_count, sizeof(*ret_result->configs),
              compare_entries);
    return true;
}

static const char *source_name(int8_t source)
{
    static const char *const names[] = {"UNKNOWN",
                                        "DYNAMIC_TOPIC_CONFIG",
                                        "DYNAMIC_BROKER_CONFIG",
                                        "DYNAMIC_DEFAULT_BROKER_CONFIG",
                                        "STATIC_BROKER_CONFIG",
                                        "DEFAULT_CONFIG",
                                        "DYNAMIC_BROKER_LOGGER_CONFIG",
                                        "DYNAMIC_CLIENT_METRICS_CONFIG",
                                        "DYNAMIC_GROUP_CONFIG"};
    return names[source >= 0 && source < (int8_t)ARRAY_LEN(names) ? source : 0];
}

/* Which source is shown without --all; -1: every one. */
static int own_source(enum configs_type type, const char *name)
{
    switch (type) {
    case CONFIGS_TOPICS:
        return CONFIG_LEVEL_TOPIC;
    case CONFIGS_BROKERS:
        return name[0] ? CONFIG_LEVEL_BROKER : CONFIG_LEVEL_CLUSTER;
    case CONFIGS_CLIENT_METRICS:
        return CONFIG_LEVEL_CLIENT_METRICS;
    case CONFIGS_GROUPS:
        return CONFIG_LEVEL_GROUP;
    default:
        return -1;
    }
}

static void print_value(struct str value)
{
    if (str_is_null(value))
        fputs("null", stdout);
    else
        fwrite(value.data, 1, (size_t)value.len, stdout);
}

static void print_entry(config_entry *entry)
{
    printf("  %.*s=", STR_FMT(entry->name));
    print_value(entry->value);
    printf(" sensitive=%s synonyms={", entry->is_sensitive ? "true" : "false");
    for (int32_t i = 0; i < entry->synonyms_count; i++) {
        const struct describe_configs_response_describe_configs_synonym *s = &entry->synonyms[i];
        printf("%s%s:%.*s=", i ? ", " : "", source_name(s->source), STR_FMT(s->name));
        print_value(s->value);
    }
    puts("}");
}

static json_t *json_of_entry(config_entry *entry)
{
    json_t *object = json_object(), *synonyms = json_array();
    for (int32_t i = 0; i < entry->synonyms_count; i++) {
        const struct describe_configs_response_describe_configs_synonym *s = &entry->synonyms[i];
        json_t *synonym = json_object();
        json_object_set_new(synonym, "source", json_string(source_name(s->source)));
        json_object_set_new(synonym, "name", tool_json_str(s->name));
        json_object_set_new(synonym, "value", tool_json_str(s->value));
        json_array_append_new(synonyms, synonym);
    }
    json_object_set_new(object, "name", tool_json_str(entry->name));
    json_object_set_new(object, "value", tool_json_str(entry->value));
    json_object_set_new(object, "source", json_string(source_name(entry->config_source)));
    json_object_set_new(object, "sensitive", json_boolean(entry->is_sensitive));
    json_object_set_new(object, "readOnly", json_boolean(entry->read_only));
    json_object_set_new(object, "synonyms", synonyms);
    return object;
}

static void print_title(enum configs_type type, const char *name, bool all)
{
    if (name[0] == '\0')
        printf("Default configs for %s in the cluster are:\n", configs_type_names[type]);
    else
        printf("%s configs for %.*s %s are:\n", all ? "All" : "Dynamic",
               STR_FMT(configs_type_singular(type)), name);
}

static bool describe_one(struct configs_command *command, enum configs_type type, const char *name,
                         bool all, struct failure *failure)
{
    config_result result;
    int source = all ? -1 : own_source(type, name);
    if (command->json == NULL)
        print_title(type, name, all);
    if (!configs_ask(command, type, name, &result, failure))
        return false;
    json_t *entries = json_array();
    for (int32_t i = 0; i < result.configs_count; i++) {
        if (source >= 0 && result.configs[i].config_source != source)
            continue;
        if (command->json != NULL)
            json_array_append_new(entries, json_of_entry(&result.configs[i]));
        else
            print_entry(&result.configs[i]);
    }
    json_t *object = json_object();
    json_object_set_new(object, "type", tool_json_str(configs_type_singular(type)));
    json_object_set_new(object, "name", json_string(name));
    json_object_set_new(object, "default", json_boolean(name[0] == '\0'));
    json_object_set_new(object, "entries", entries);
    if (command->json != NULL)
        json_array_append_new(json_object_get(command->json, "configs"), object);
    else
        json_decref(object);
    return true;
}

static bool list_topics(struct configs_command *command, struct names *ret_names,
                        struct failure *failure)
{
    struct admin_topics topics;
    if (!admin_list_topics(command->client, "listTopics", &command->arena, &topics, failure))
        return false;
    struct str *names = ARENA_ARRAY(&command->arena, struct str, topics.count + 1);
    size_t *order = ARENA_ARRAY(&command->arena, size_t, topics.count + 1);
    for (size_t i = 0; i < topics.count; i++)
        names[i] = topics.items[i].name;
    java_map_order(names, topics.count, 0, order);
    ret_names->items = ARENA_ARRAY(&command->arena, struct str, topics.count + 1);
    ret_names->count = topics.count;
    for (size_t i = 0; i < topics.count; i++)
        ret_names->items[i] = names[order[i]];
    return true;
}

static int compare_nodes(const void *a, const void *b)
{
    const struct client_node *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool list_brokers(struct configs_command *command, struct names *ret_names,
                         struct failure *failure)
{
    struct client_op op;
    struct client_node *nodes;
    size_t count;
    client_op_begin(&op, command->client, "listNodes", &command->arena);
    if (!client_nodes(&op, &nodes, &count, failure))
        return false;
    qsort(nodes, count, sizeof(*nodes), compare_nodes);
    ret_names->items = ARENA_ARRAY(&command->arena, struct str, count + 1);
    ret_names->count = count;
    for (size_t i = 0; i < count; i++)
        ret_names->items[i] = arena_printf(&command->arena, "%d", nodes[i].id);
    return true;
}

/* Names that have a configuration. */
static bool list_resources(struct configs_command *command, enum configs_type type,
                           struct names *ret_names, struct failure *failure)
{
    struct client_op op;
    struct list_config_resources_request request;
    struct list_config_resources_response response;
    int8_t resource_type = configs_resource_type(type);
    client_op_begin(&op, command->client, "listConfigResources", &command->arena);
    message_init(&list_config_resources_request_desc, &request);
    request.resource_types = &resource_type;
    request.resource_types_count = 1;
    if (!client_ask(&op, CLIENT_ANY_NODE, API_LIST_CONFIG_RESOURCES, &request, &response,
                    &response.error_code, NULL, failure))
        return false;
    size_t count = (size_t)response.config_resources_count;
    ret_names->items = ARENA_ARRAY(&command->arena, struct str, count + 1);
    ret_names->count = count;
    for (size_t i = 0; i < count; i++)
        ret_names->items[i] = response.config_resources[i].resource_name;
    return true;
}

static void add_name(struct names *names, struct str name)
{
    for (size_t i = 0; i < names->count; i++)
        if (str_eq(names->items[i], name))
            return;
    names->items[names->count++] = name;
}

/* Groups that one broker coordinates. A broker that knows no groups has none. */
static bool add_groups_of(struct configs_command *command, int32_t node, struct names *names,
                          struct failure *failure)
{
    struct client_op op;
    struct list_groups_request request;
    struct list_groups_response response;
    client_op_begin(&op, command->client, "listGroups", &command->arena);
    message_init(&list_groups_request_desc, &request);
    do {
        if (!client_call(&op, node, API_LIST_GROUPS, &request, &response, failure))
            return failure->error == KAFKA_ERROR_UNSUPPORTED_VERSION;
    } while (response.error_code != 0 && client_retry(&op, response.error_code, STR_NULL, failure));
    if (response.error_code != 0)
        return false;
    struct str *items =
        ARENA_ARRAY(&command->arena, struct str, names->count + (size_t)response.groups_count + 1);
    memcpy(items, names->items, names->count * sizeof(*items));
    names->items = items;
    for (int32_t i = 0; i < response.groups_count; i++)
        add_name(names, response.groups[i].group_id);
    return true;
}

/* Those that exist and those that are configured. */
static bool list_groups(struct configs_command *command, struct names *ret_names,
                        struct failure *failure)
{
    struct names brokers, configured = {0};
    if (!list_brokers(command, &brokers, failure) ||
        !list_resources(command, CONFIGS_GROUPS, &configured, failure))
        return false;
    struct names all = configured;
    for (size_t i = 0; i < brokers.count; i++) {
        int32_t node;
        if (str_to_i32(brokers.items[i], &node) == 0 &&
            !add_groups_of(command, node, &all, failure))
            return false;
    }
    *ret_names = all;
    return true;
}

static bool list_names(struct configs_command *command, enum configs_type type,
                       struct names *ret_names, struct failure *failure)
{
    switch (type) {
    case CONFIGS_TOPICS:
        return list_topics(command, ret_names, failure);
    case CONFIGS_BROKERS:
    case CONFIGS_BROKER_LOGGERS:
        return list_brokers(command, ret_names, failure);
    case CONFIGS_GROUPS:
        return list_groups(command, ret_names, failure);
    default:
        return list_resources(command, type, ret_names, failure);
    }
}

/* Where names cannot be listed: what has an entry of its own exists. */
static bool is_configured(struct configs_command *command, enum configs_type type, const char *name,
                          bool *ret_exists, struct failure *failure)
{
    config_result result;
    if (!configs_ask(command, type, name, &result, failure))
        return false;
    *ret_exists = false;
    for (int32_t i = 0; i < result.configs_count; i++)
        *ret_exists = *ret_exists || result.configs[i].config_source == own_source(type, name);
    return true;
}

static bool exists(struct configs_command *command, enum configs_type type, const char *name,
                   bool *ret_exists, struct failure *failure)
{
    struct names names;
    if (type == CONFIGS_TOPICS) {
        struct str fault = topic_name_fault(str_of(name), &command->arena);
        if (!str_is_null(fault))
            return configs_refuse(command, failure, "%.*s", STR_FMT(fault));
    }
    if (!list_names(command, type, &names, failure))
        return failure->error == KAFKA_ERROR_UNSUPPORTED_VERSION &&
               (type == CONFIGS_GROUPS || type == CONFIGS_CLIENT_METRICS) &&
               is_configured(command, type, name, ret_exists, failure);
    *ret_exists = false;
    for (size_t i = 0; i < names.count; i++)
        *ret_exists = *ret_exists || str_eq_z(names.items[i], name);
    return true;
}

static bool describe_named(struct configs_command *command, enum configs_type type,
                           const char *name, bool all, struct failure *failure)
{
    bool there = true, of_broker = type == CONFIGS_BROKERS || type == CONFIGS_BROKER_LOGGERS;
    bool is_default = of_broker && name[0] == '\0';
    /* Nobody could be asked about a broker that does not exist. */
    if ((!all || of_broker) && !is_default && !exists(command, type, name, &there, failure))
        return false;
    if (there)
        return describe_one(command, type, name, all, failure);
    if (command->json == NULL)
        printf("The %.*s '%s' doesn't exist and doesn't have dynamic config.\n",
               STR_FMT(configs_type_singular(type)), name);
    return true;
}

static bool describe_resources(struct configs_command *command, struct failure *failure)
{
    enum configs_type type = command->types[0];
    bool all = options_has(&command->tool.options, "all");
    struct names names;
    if (command->names_count > 0)
        return describe_named(command, type, command->names[0], all, failure);
    if (!list_names(command, type, &names, failure))
        return false;
    for (size_t i = 0; i < names.count; i++)
        if (!describe_one(command, type, arena_str_z(&command->arena, names.items[i]), all,
                          failure))
            return false;
    return type != CONFIGS_BROKERS || describe_one(command, type, "", all, failure);
}

bool configs_describe(struct configs_command *command, struct failure *failure)
{
    switch (command->types[0]) {
    case CONFIGS_IPS:
        return configs_describe_quotas(command, failure);
    case CONFIGS_USERS:
    case CONFIGS_CLIENTS:
        return configs_describe_quotas(command, failure) &&
               configs_describe_scram(command, failure);
    default:
        return describe_resources(command, failure);
    }
}
