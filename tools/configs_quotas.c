/* kafka-configs for quotas: rates of users, clients and addresses. */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/alter_client_quotas.h"
#include "common/protocol/messages/describe_client_quotas.h"
#include "metadata/config/config_value.h"
#include "tools/configs_internal.h"
#include "tools/java_order.h"

#include <errno.h>
#include <stdlib.h>

/* How a filter matches. */
enum { MATCH_EXACT = 0, MATCH_DEFAULT = 1, MATCH_ANY = 2 };

static struct str quota_type(enum configs_type type)
{
    switch (type) {
    case CONFIGS_USERS:
        return STR("user");
    case CONFIGS_CLIENTS:
        return STR("client-id");
    default:
        return STR("ip");
    }
}

static bool ask(struct configs_command *command, struct describe_client_quotas_response *response,
                struct failure *failure)
{
    struct client_op op;
    struct describe_client_quotas_request request;
    message_init(&describe_client_quotas_request_desc, &request);
    request.strict = true;
    request.components_count = (int32_t)command->types_count;
    request.components = MESSAGE_ARRAY(
        &command->arena, describe_client_quotas_request_component_data, request.components_count);
    for (size_t i = 0; i < command->types_count; i++) {
        struct describe_client_quotas_request_component_data *component = &request.components[i];
        const char *name = i < command->names_count ? command->names[i] : NULL;
        component->entity_type = quota_type(command->types[i]);
        component->match_type = name == NULL ? MATCH_ANY : name[0] ? MATCH_EXACT : MATCH_DEFAULT;
        component->match = name != NULL && name[0] ? str_of(name) : STR_NULL;
    }
    client_op_begin(&op, command->client, "describeClientQuotas", &command->arena);
    int32_t node = command->kind == CLIENT_OF_BROKERS ? CLIENT_ANY_NODE : CLIENT_CONTROLLER;
    return client_ask(&op, node, API_DESCRIBE_CLIENT_QUOTAS, &request, response,
                      &response->error_code, &response->error_message, failure);
}

typedef const struct describe_client_quotas_response_entry_data quota_entry;

/* hashCode of Java's map from type to name, and of the object around it. */
static int32_t entity_hash(quota_entry *entry)
{
    uint32_t sum = 0;
    for (int32_t i = 0; i < entry->entity_count; i++) {
        struct str name = entry->entity[i].entity_name;
        sum += (uint32_t)(java_string_hash(entry->entity[i].entity_type) ^
                          (str_is_null(name) ? 0 : java_string_hash(name)));
    }
    return (int32_t)(31 + sum);
}

static void print_entity(quota_entry *entry)
{
    static const struct {
        const char *type, *label;
    } kinds[] = {{"user", "user-principal"}, {"client-id", "client-id"}, {"ip", "ip"}};
    bool first = true;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        for (int32_t i = 0; i < entry->entity_count; i++) {
            struct str name = entry->entity[i].entity_name;
            if (!str_eq_z(entry->entity[i].entity_type, kinds[k].type))
                continue;
            fputs(first ? "" : ", ", stdout);
            first = false;
            if (str_is_null(name))
                printf("the default %s", kinds[k].label);
            else
                printf("%s '%.*s'", kinds[k].label, STR_FMT(name));
        }
}

static void print_values(quota_entry *entry, struct arena *arena)
{
    size_t count = (size_t)entry->values_count;
    struct str *keys = ARENA_ARRAY(arena, struct str, count + 1);
    size_t *order = ARENA_ARRAY(arena, size_t, count + 1);
    for (size_t i = 0; i < count; i++)
        keys[i] = entry->values[i].key;
    java_map_order(keys, count, count, order);
    for (size_t i = 0; i < count; i++) {
        struct str value = config_format_double(entry->values[order[i]].value, arena);
        printf("%s%.*s=%.*s", i ? ", " : "", STR_FMT(keys[order[i]]), STR_FMT(value));
    }
}

static json_t *json_of_quotas(quota_entry *entry)
{
    json_t *object = json_object(), *entity = json_object(), *values = json_object();
    for (int32_t i = 0; i < entry->entity_count; i++) {
        char type[32];
        snprintf(type, sizeof(type), "%.*s", STR_FMT(entry->entity[i].entity_type));
        json_object_set_new(entity, type, tool_json_str(entry->entity[i].entity_name));
    }
    for (int32_t i = 0; i < entry->values_count; i++) {
        char key[64];
        snprintf(key, sizeof(key), "%.*s", STR_FMT(entry->values[i].key));
        json_object_set_new(values, key, json_real(entry->values[i].value));
    }
    json_object_set_new(object, "entity", entity);
    json_object_set_new(object, "values", values);
    return object;
}

bool configs_describe_quotas(struct configs_command *command, struct failure *failure)
{
    struct describe_client_quotas_response response;
    if (!ask(command, &response, failure))
        return false;
    size_t count = response.entries_count > 0 ? (size_t)response.entries_count : 0;
    int32_t *hashes = ARENA_ARRAY(&command->arena, int32_t, count + 1);
    size_t *order = ARENA_ARRAY(&command->arena, size_t, count + 1);
    for (size_t i = 0; i < count; i++)
        hashes[i] = entity_hash(&response.entries[i]);
    java_map_order_of_hashes(hashes, count, count, order);
    for (size_t i = 0; i < count; i++) {
        quota_entry *entry = &response.entries[order[i]];
        if (command->json != NULL) {
            json_array_append_new(json_object_get(command->json, "quotas"), json_of_quotas(entry));
            continue;
        }
        fputs("Quota configs for ", stdout);
        print_entity(entry);
        fputs(" are ", stdout);
        print_values(entry, &command->arena);
        putchar('\n');
    }
    return true;
}

static bool is_there(const struct describe_client_quotas_response *response, struct str key)
{
    for (int32_t i = 0; i < response->entries_count; i++)
        for (int32_t k = 0; k < response->entries[i].values_count; k++)
            if (str_eq(response->entries[i].values[k].key, key))
                return true;
    return false;
}

/* What is to go must be there. */
static bool check_deleted(struct configs_command *command, const struct configs_changes *changes,
                          struct failure *failure)
{
    struct describe_client_quotas_response response;
    struct str missing = STR_EMPTY;
    if (changes->deleted == 0)
        return true;
    if (!ask(command, &response, failure))
        return false;
    for (size_t i = 0; i < changes->deleted; i++) {
        struct str key = changes->items[changes->added + i].key;
        if (!is_there(&response, key))
            missing = arena_printf(&command->arena, "%.*s%s%.*s", STR_FMT(missing),
                                   missing.len ? "," : "", STR_FMT(key));
    }
    return missing.len == 0 ||
           configs_refuse(command, failure, "Invalid config(s): %.*s", STR_FMT(missing));
}

static bool parse_number(struct str text, struct arena *arena, double *ret_number)
{
    char *copy = arena_str_z(arena, text), *end;
    errno = 0;
    *ret_number = strtod(copy, &end);
    return end != copy && *end == '\0';
}

static bool fill_operations(struct configs_command *command, const struct configs_changes *changes,
                            struct alter_client_quotas_request_entry_data *entry,
                            struct failure *failure)
{
    size_t count = changes->added + changes->deleted;
    entry->ops =
        MESSAGE_ARRAY(&command->arena, alter_client_quotas_request_op_data, (int32_t)count);
    entry->ops_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        const struct configs_change *change = &changes->items[i];
        entry->ops[i].key = change->key;
        entry->ops[i].remove = i >= changes->added;
        if (i < changes->added &&
            !parse_number(change->value, &command->arena, &entry->ops[i].value))
            return configs_refuse(command, failure,
                                  "Cannot parse quota configuration value for %.*s: %.*s",
                                  STR_FMT(change->key), STR_FMT(change->value));
    }
    return true;
}

bool configs_alter_quotas(struct configs_command *command, const struct configs_changes *changes,
                          struct failure *failure)
{
    struct client_op op;
    struct alter_client_quotas_request request;
    struct alter_client_quotas_response response;
    if (!check_deleted(command, changes, failure))
        return false;
    message_init(&alter_client_quotas_request_desc, &request);
    request.entries = MESSAGE_ARRAY(&command->arena, alter_client_quotas_request_entry_data, 1);
    request.entries_count = 1;
    int32_t count = (int32_t)command->types_count;
    request.entries[0].entity =
        MESSAGE_ARRAY(&command->arena, alter_client_quotas_request_entity_data, count);
    request.entries[0].entity_count = count;
    for (int32_t i = 0; i < count; i++) {
        const char *name = command->names[i];
        request.entries[0].entity[i].entity_type = quota_type(command->types[i]);
        request.entries[0].entity[i].entity_name = name[0] ? str_of(name) : STR_NULL;
    }
    if (!fill_operations(command, changes, &request.entries[0], failure))
        return false;
    client_op_begin(&op, command->client, "alterClientQuotas", &command->arena);
    for (;;) {
        if (!client_call(&op, CLIENT_CONTROLLER, API_ALTER_CLIENT_QUOTAS, &request, &response,
                         failure))
            return false;
        if (response.entries_count < 1 || response.entries[0].error_code == 0)
            return true;
        if (!client_retry(&op, response.entries[0].error_code, response.entries[0].error_message,
                          failure))
            return false;
    }
}
