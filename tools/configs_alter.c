/* kafka-configs --alter: what may be changed where, and the change of resources. */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/incremental_alter_configs.h"
#include "tools/configs_internal.h"

#include <stdlib.h>

enum { OPERATION_SET = 0, OPERATION_DELETE = 1 };

/* A broker that the cluster does not know would be waited for until the time is up. */
static bool check_broker(struct configs_command *command, const char *name, struct failure *failure)
{
    struct client_op op;
    struct client_node *nodes;
    size_t count;
    int32_t id;
    if (command->kind == CLIENT_OF_CONTROLLERS || name[0] == '\0' ||
        str_to_i32(str_of(name), &id) != 0)
        return true;
    client_op_begin(&op, command->client, "listNodes", &command->arena);
    if (!client_nodes(&op, &nodes, &count, failure))
        return false;
    for (size_t i = 0; i < count; i++)
        if (nodes[i].id == id)
            return true;
    return failure_set(failure, KAFKA_ERROR_BROKER_NOT_AVAILABLE,
                       "There is no broker %d in the cluster now", id);
}

static void fill_resource(struct configs_command *command, const struct configs_changes *changes,
                          struct incremental_alter_configs_request *request)
{
    size_t count = changes->added + changes->deleted;
    message_init(&incremental_alter_configs_request_desc, request);
    request->resources =
        MESSAGE_ARRAY(&command->arena, incremental_alter_configs_request_alter_configs_resource, 1);
    request->resources_count = 1;
    request->resources[0].resource_type = configs_resource_type(command->types[0]);
    request->resources[0].resource_name = str_of(command->names[0]);
    request->resources[0].configs = MESSAGE_ARRAY(
        &command->arena, incremental_alter_configs_request_alterable_config, (int32_t)count);
    request->resources[0].configs_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct incremental_alter_configs_request_alterable_config *config =
            &request->resources[0].configs[i];
        bool set = i < changes->added;
        config->name = changes->items[i].key;
        config->config_operation = set ? OPERATION_SET : OPERATION_DELETE;
        config->value = set ? changes->items[i].value : STR_EMPTY;
    }
}

static bool alter_resource(struct configs_command *command, const struct configs_changes *changes,
                           struct failure *failure)
{
    struct client_op op;
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_response response;
    int32_t node;
    if (!configs_find_node(command, command->types[0], command->names[0], &node, failure))
        return false;
    if (node >= 0 && !check_broker(command, command->names[0], failure))
        return false;
    /* Controllers change what a node is told; only its loggers are its own. */
    if (node == CLIENT_ANY_NODE ||
        (command->kind == CLIENT_OF_CONTROLLERS && command->types[0] != CONFIGS_BROKER_LOGGERS))
        node = CLIENT_CONTROLLER;
    fill_resource(command, changes, &request);
    client_op_begin(&op, command->client, "incrementalAlterConfigs", &command->arena);
    for (;;) {
        if (!client_call(&op, node, API_INCREMENTAL_ALTER_CONFIGS, &request, &response, failure))
            return false;
        if (response.responses_count < 1)
            return failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                               "The answer to IncrementalAlterConfigs is empty");
        int16_t error = response.responses[0].error_code;
        if (error == 0)
            return true;
        struct str message = response.responses[0].error_message;
        /* What the broker says of a topic that is not there is final. */
        if (error != KAFKA_ERROR_NOT_CONTROLLER)
            return failure_set_error(failure, error, message);
        if (!client_retry(&op, error, message, failure))
            return false;
    }
}

static bool alter_loggers(struct configs_command *command, const struct configs_changes *changes,
                          struct failure *failure)
{
    struct describe_configs_response_describe_configs_result result;
    struct bytebuf unknown;
    if (!check_broker(command, command->names[0], failure) ||
        !configs_ask(command, command->types[0], command->names[0], &result, failure))
        return false;
    bytebuf_init(&unknown);
    for (size_t i = 0; i < changes->added + changes->deleted; i++) {
        /* What goes is named first. */
        size_t at = (i + changes->added) % (changes->added + changes->deleted);
        bool known = false;
        for (int32_t k = 0; k < result.configs_count; k++)
            known = known || str_eq(result.configs[k].name, changes->items[at].key);
        if (!known)
            bytebuf_printf(&unknown, "%s%.*s", unknown.len ? "," : "",
                           STR_FMT(changes->items[at].key));
    }
    bool ok = unknown.len == 0;
    if (!ok)
        configs_refuse(command, failure, "Invalid broker logger(s): %.*s", (int)unknown.len,
                       (const char *)unknown.data);
    bytebuf_release(&unknown);
    return ok && alter_resource(command, changes, failure);
}

static bool is_quota(struct str key)
{
    return str_eq_z(key, "producer_byte_rate") || str_eq_z(key, "consumer_byte_rate") ||
           str_eq_z(key, "request_percentage") || str_eq_z(key, "controller_mutation_rate");
}

/* How many keys are of a kind, and those of no allowed one as "a, b". */
struct kinds {
    size_t quotas, scram, unknown;
    struct str unknown_keys;
};

static struct kinds count_kinds(const struct configs_change *items, size_t count,
                                bool scram_allowed, struct arena *arena)
{
    struct kinds kinds = {.unknown_keys = STR_EMPTY};
    for (size_t i = 0; i < count; i++) {
        bool scram = configs_is_scram(items[i].key);
        kinds.quotas += is_quota(items[i].key);
        kinds.scram += scram;
        if (is_quota(items[i].key) || (scram && scram_allowed))
            continue;
        kinds.unknown++;
        kinds.unknown_keys =
            arena_printf(arena, "%.*s%s%.*s", STR_FMT(kinds.unknown_keys),
                         kinds.unknown_keys.len ? ", " : "", STR_FMT(items[i].key));
    }
    return kinds;
}

static bool alter_user_or_client(struct configs_command *command,
                                 const struct configs_changes *changes, struct failure *failure)
{
    bool client = command->types[0] == CONFIGS_CLIENTS || command->types_count == 2;
    struct kinds added = count_kinds(changes->items, changes->added, !client, &command->arena),
                 deleted = count_kinds(changes->items + changes->added, changes->deleted, !client,
                                       &command->arena);
    const char *allowed = client ? "quota configs" : "quota and SCRAM credential configs";
    const char *type = client ? "clients" : "users";
    if (added.unknown > 0)
        return configs_refuse(command, failure,
                              "Only %s can be added for '%s' using --bootstrap-server. Unexpected "
                              "config names: Set(%.*s)",
                              allowed, type, STR_FMT(added.unknown_keys));
    if (deleted.unknown > 0)
        return configs_refuse(command, failure,
                              "Only %s can be deleted for '%s' using --bootstrap-server. "
                              "Unexpected config names: ArrayBuffer(%.*s)",
                              allowed, type, STR_FMT(deleted.unknown_keys));
    if (added.scram + deleted.scram == 0)
        return configs_alter_quotas(command, changes, failure);
    for (size_t i = 0; i < command->names_count; i++)
        if (command->names[i][0] == '\0')
            return configs_refuse(command, failure,
                                  "The use of --entity-default or --user-defaults is not allowed "
                                  "with User SCRAM Credentials using --bootstrap-server.");
    if (added.quotas + deleted.quotas > 0)
        return configs_refuse(command, failure,
                              "Cannot alter both quota and SCRAM credential configs simultaneously "
                              "for 'users' using --bootstrap-server.");
    return configs_alter_scram(command, changes, failure);
}

static bool alter_ip(struct configs_command *command, const struct configs_changes *changes,
                     struct failure *failure)
{
    struct str unknown = STR_EMPTY;
    for (size_t i = 0; i < changes->added + changes->deleted; i++)
        if (!str_eq_z(changes->items[i].key, "connection_creation_rate"))
            unknown = arena_printf(&command->arena, "%.*s%s%.*s", STR_FMT(unknown),
                                   unknown.len ? "," : "", STR_FMT(changes->items[i].key));
    if (unknown.len > 0)
        return configs_refuse(command, failure,
                              "Only connection quota configs can be added for 'ips' using "
                              "--bootstrap-server. Unexpected config names: %.*s",
                              STR_FMT(unknown));
    return configs_alter_quotas(command, changes, failure);
}

static void report(struct configs_command *command)
{
    struct str type = configs_type_singular(command->types[0]);
    const char *name = command->names[0];
    if (command->json != NULL) {
        json_t *updated = json_object();
        json_object_set_new(updated, "type", tool_json_str(type));
        json_object_set_new(updated, "name", name[0] ? json_string(name) : json_null());
        json_object_set_new(command->json, "updated", updated);
    } else if (name[0] != '\0') {
        printf("Completed updating config for %.*s %s.\n", STR_FMT(type), name);
    } else {
        printf("Completed updating default config for %s in the cluster.\n",
               configs_type_names[command->types[0]]);
    }
}

bool configs_alter(struct configs_command *command, struct failure *failure)
{
    struct configs_changes changes;
    if (!configs_read_changes(command, &changes, failure))
        return false;
    bool ok;
    switch (command->types[0]) {
    case CONFIGS_USERS:
    case CONFIGS_CLIENTS:
        ok = alter_user_or_client(command, &changes, failure);
        break;
    case CONFIGS_IPS:
        ok = alter_ip(command, &changes, failure);
        break;
    case CONFIGS_BROKER_LOGGERS:
        ok = alter_loggers(command, &changes, failure);
        break;
    default:
        ok = alter_resource(command, &changes, failure);
    }
    if (ok)
        report(command);
    return ok;
}
