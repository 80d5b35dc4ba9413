/* kafka-configs: configurations, quotas and passwords of what a cluster knows by name. */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/net/resolve.h"
#include "tools/configs_internal.h"

#include <stdarg.h>
#include <stdlib.h>

static const struct option_spec specs[] = {
    {"add-config", OPTION_VALUE, "k1=v1,k2=[v2,v3]",
     "Configurations to set. Brackets go around a value with commas in it. docs/compatibility.md "
     "lists the names for topics and brokers; users and clients: producer_byte_rate, "
     "consumer_byte_rate, request_percentage, controller_mutation_rate; users also SCRAM-SHA-256 "
     "and SCRAM-SHA-512 =[iterations=8192,password=secret]; ips: connection_creation_rate; "
     "client-metrics: interval.ms, metrics, match."},
    {"add-config-file", OPTION_VALUE, "String", "A file of properties to set."},
    {"all", OPTION_FLAG, NULL, "With --describe: what was never set too."},
    {"alter", OPTION_FLAG, NULL, "Change configurations."},
    {"bootstrap-controller", OPTION_VALUE, "controller to connect to",
     "The controllers to connect to first, as host:port,..."},
    {"bootstrap-server", OPTION_VALUE, "server to connect to",
     "The brokers to connect to first, as host:port,..."},
    {"broker", OPTION_VALUE, "String", "The number of a broker."},
    {"broker-defaults", OPTION_FLAG, NULL, "What holds for all brokers."},
    {"broker-logger", OPTION_VALUE, "String", "The number of a broker, for its log levels."},
    {"client", OPTION_VALUE, "String", "The id of a client."},
    {"client-defaults", OPTION_FLAG, NULL, "What holds for all clients."},
    {"client-metrics", OPTION_VALUE, "String", "The name of a subscription to client metrics."},
    {"command-config", OPTION_VALUE, "command config property file",
     "A file of properties for the connection."},
    {"delete-config", OPTION_VALUE, "k1,k2", "Configurations to forget."},
    {"describe", OPTION_FLAG, NULL, "Show configurations."},
    {"entity-default", OPTION_FLAG, NULL, "The default of the --entity-type before it."},
    {"entity-name", OPTION_VALUE, "String", "The name that belongs to --entity-type."},
    {"entity-type", OPTION_VALUE, "String",
     "topics, clients, users, brokers, broker-loggers, ips, client-metrics or groups."},
    {"group", OPTION_VALUE, "String", "The name of a group."},
    {"ip", OPTION_VALUE, "String", "An address."},
    {"ip-defaults", OPTION_FLAG, NULL, "What holds for all addresses."},
    {"topic", OPTION_VALUE, "String", "The name of a topic."},
    {"user", OPTION_VALUE, "String", "The name of a user."},
    {"user-defaults", OPTION_FLAG, NULL, "What holds for all users."},
    TOOL_COMMON_OPTIONS,
};

const char *const configs_type_names[CONFIGS_TYPES] = {
    [CONFIGS_TOPICS] = "topics", [CONFIGS_CLIENTS] = "clients",
    [CONFIGS_USERS] = "users",   [CONFIGS_BROKERS] = "brokers",
    [CONFIGS_IPS] = "ips",       [CONFIGS_CLIENT_METRICS] = "client-metrics",
    [CONFIGS_GROUPS] = "groups", [CONFIGS_BROKER_LOGGERS] = "broker-loggers",
};

/* Options that name an entity by themselves, in the order in which they count. */
static const struct {
    const char *option;
    enum configs_type type;
    bool is_default;
} entity_options[] = {
    {"topic", CONFIGS_TOPICS, false},
    {"client", CONFIGS_CLIENTS, false},
    {"user", CONFIGS_USERS, false},
    {"broker", CONFIGS_BROKERS, false},
    {"broker-logger", CONFIGS_BROKER_LOGGERS, false},
    {"ip", CONFIGS_IPS, false},
    {"client-metrics", CONFIGS_CLIENT_METRICS, false},
    {"group", CONFIGS_GROUPS, false},
    {"client-defaults", CONFIGS_CLIENTS, true},
    {"user-defaults", CONFIGS_USERS, true},
    {"broker-defaults", CONFIGS_BROKERS, true},
    {"ip-defaults", CONFIGS_IPS, true},
};

struct str configs_type_singular(enum configs_type type)
{
    struct str name = str_of(configs_type_names[type]);
    name.len--;
    return name;
}

int8_t configs_resource_type(enum configs_type type)
{
    switch (type) {
    case CONFIGS_TOPICS:
        return CONFIG_RESOURCE_TOPIC;
    case CONFIGS_BROKERS:
        return CONFIG_RESOURCE_BROKER;
    case CONFIGS_BROKER_LOGGERS:
        return CONFIG_RESOURCE_BROKER_LOGGER;
    case CONFIGS_CLIENT_METRICS:
        return CONFIG_RESOURCE_CLIENT_METRICS;
    case CONFIGS_GROUPS:
        return CONFIG_RESOURCE_GROUP;
    default:
        UNREACHABLE();
    }
}

bool configs_refuse(struct configs_command *command, struct failure *failure, const char *format,
                    ...)
{
    char text[sizeof(failure->text)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    command->refused = true;
    return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", text);
}

static bool has_type(const struct configs_command *command, enum configs_type type)
{
    for (size_t i = 0; i < command->types_count; i++)
        if (command->types[i] == type)
            return true;
    return false;
}

static bool find_type(const char *name, enum configs_type *ret_type)
{
    for (size_t i = 0; i < CONFIGS_TYPES; i++) {
        if (strcmp(configs_type_names[i], name) != 0)
            continue;
        *ret_type = (enum configs_type)i;
        return true;
    }
    return false;
}

/* Types that --entity-type names. */
static bool read_types(struct configs_command *command, struct failure *failure)
{
    const struct options *options = &command->tool.options;
    size_t given = options_count(options, "entity-type");
    command->types =
        ARENA_ARRAY(&command->arena, enum configs_type, given + ARRAY_LEN(entity_options));
    for (size_t i = 0; i < given; i++) {
        const char *name = options_value_at(options, "entity-type", i);
        if (!find_type(name, &command->types[i]))
            return configs_refuse(command, failure,
                                  "Invalid entity type %s, the entity type must be one of topics, "
                                  "clients, users, brokers, ips, client-metrics, groups, "
                                  "broker-loggers with a --bootstrap-server or "
                                  "--bootstrap-controller argument",
                                  name);
    }
    command->types_count = given;
    return true;
}

/* Names of --entity-name and --entity-default, then what other options name. */
static bool read_names(struct configs_command *command, struct failure *failure)
{
    struct options *options = &command->tool.options;
    const char *option, *value;
    size_t most = ARRAY_LEN(entity_options);
    for (size_t i = 0; options_use_at(options, i, &option, &value); i++)
        most++;
    command->names = ARENA_ARRAY(&command->arena, const char *, most);
    for (size_t i = 0; options_use_at(options, i, &option, &value); i++) {
        if (strcmp(option, "entity-name") == 0)
            command->names[command->names_count++] = value;
        else if (strcmp(option, "entity-default") == 0)
            command->names[command->names_count++] = "";
    }
    for (size_t i = 0; i < ARRAY_LEN(entity_options); i++) {
        if (!options_has(options, entity_options[i].option))
            continue;
        value = "";
        if (!entity_options[i].is_default &&
            options_value(options, entity_options[i].option, &value) != 0)
            return configs_refuse(command, failure, "%s", options->error);
        command->types[command->types_count++] = entity_options[i].type;
        command->names[command->names_count++] = value;
    }
    return true;
}

static bool check_types(struct configs_command *command, struct failure *failure)
{
    for (size_t i = 1; i < command->types_count; i++)
        for (size_t k = 0; k < i; k++)
            if (command->types[i] == command->types[k])
                return configs_refuse(command, failure, "Duplicate entity type(s) specified: %s",
                                      configs_type_names[command->types[i]]);
    const struct options *options = &command->tool.options;
    bool server = options_has(options, "bootstrap-server"),
         controller = options_has(options, "bootstrap-controller");
    if (!server && !controller)
        return configs_refuse(
            command, failure,
            "Either --bootstrap-server or --bootstrap-controller must be specified.");
    if (command->types_count == 0)
        return configs_refuse(command, failure, "At least one entity type must be specified");
    if (command->types_count > 1 &&
        !(has_type(command, CONFIGS_USERS) && has_type(command, CONFIGS_CLIENTS)))
        return configs_refuse(command, failure,
                              "Only 'users' and 'clients' entity types may be specified together");
    if (options_has(options, "entity-name") || options_has(options, "entity-type") ||
        options_has(options, "entity-default"))
        for (size_t i = 0; i < ARRAY_LEN(entity_options); i++)
            if (options_has(options, entity_options[i].option))
                return configs_refuse(command, failure,
                                      "--entity-{type,name,default} should not be used in "
                                      "conjunction with specific entity flags");
    if (server && controller)
        return configs_refuse(
            command, failure,
            "Only one of --bootstrap-server or --bootstrap-controller can be specified");
    return true;
}

static bool resolves(const char *name)
{
    struct endpoint endpoint = {.port = 0};
    struct addrinfo *list;
    snprintf(endpoint.host, sizeof(endpoint.host), "%s", name);
    if (resolve_endpoint(&endpoint, false, false, &list) != 0)
        return false;
    freeaddrinfo(list);
    return true;
}

static bool check_names(struct configs_command *command, struct failure *failure)
{
    enum configs_type type = command->types[0];
    for (size_t i = 0; i < command->names_count; i++) {
        const char *name = command->names[i];
        int32_t id;
        if (name[0] == '\0')
            continue;
        if ((type == CONFIGS_BROKERS || type == CONFIGS_BROKER_LOGGERS) &&
            str_to_i32(str_of(name), &id) != 0)
            return configs_refuse(command, failure,
                                  "The entity name for %s must be a valid integer broker id, but "
                                  "it is: %s",
                                  configs_type_names[type], name);
        if (type == CONFIGS_IPS && !resolves(name))
            return configs_refuse(command, failure,
                                  "The entity name for ips must be a valid IP or resolvable host, "
                                  "but it is: %s",
                                  name);
    }
    return true;
}

/* Whether there is a name, and whether there is a default. */
static void find_names(const struct configs_command *command, bool *ret_name, bool *ret_default)
{
    *ret_name = *ret_default = false;
    for (size_t i = 0; i < command->names_count; i++)
        *(command->names[i][0] ? ret_name : ret_default) = true;
}

static bool takes_default(enum configs_type type)
{
    return type == CONFIGS_USERS || type == CONFIGS_CLIENTS || type == CONFIGS_BROKERS ||
           type == CONFIGS_IPS;
}

static bool check_describe(struct configs_command *command, struct failure *failure)
{
    enum configs_type type = command->types[0];
    bool has_name, has_default;
    find_names(command, &has_name, &has_default);
    if (!takes_default(type) && options_has(&command->tool.options, "entity-default"))
        return configs_refuse(command, failure,
                              "--entity-default must not be specified with --describe of %s",
                              configs_type_names[type]);
    if (type == CONFIGS_BROKER_LOGGERS && !has_name)
        return configs_refuse(command, failure,
                              "An entity name must be specified with --describe of %s",
                              configs_type_names[type]);
    return true;
}

static bool check_alter(struct configs_command *command, struct failure *failure)
{
    const struct options *options = &command->tool.options;
    enum configs_type type = command->types[0];
    bool has_name, has_default;
    find_names(command, &has_name, &has_default);
    if (takes_default(type) && !has_name && !has_default)
        return configs_refuse(command, failure,
                              "An entity-name or default entity must be specified with --alter of "
                              "users, clients, brokers or ips");
    if (!takes_default(type) && !has_name)
        return configs_refuse(command, failure,
                              "An entity name must be specified with --alter of %s",
                              configs_type_names[type]);
    bool add = options_has(options, "add-config"), file = options_has(options, "add-config-file");
    if (add && file)
        return configs_refuse(command, failure,
                              "Only one of --add-config or --add-config-file must be specified");
    if (!add && !file && !options_has(options, "delete-config"))
        return configs_refuse(command, failure,
                              "At least one of --add-config, --add-config-file, or "
                              "--delete-config must be specified with --alter");
    if (command->types_count != command->names_count)
        return configs_refuse(command, failure,
                              "An entity name must be specified for every entity type");
    return true;
}

static bool check(struct configs_command *command, struct failure *failure)
{
    return read_types(command, failure) && read_names(command, failure) &&
           check_types(command, failure) && check_names(command, failure) &&
           (options_has(&command->tool.options, "alter") ? check_alter(command, failure)
                                                         : check_describe(command, failure));
}

static bool open_client(struct configs_command *command, struct failure *failure)
{
    struct options *options = &command->tool.options;
    const char *server, *controller, *path;
    if (options_value(options, "bootstrap-server", &server) != 0 ||
        options_value(options, "bootstrap-controller", &controller) != 0 ||
        options_value(options, "command-config", &path) != 0)
        return configs_refuse(command, failure, "%s", options->error);
    command->kind = server != NULL ? CLIENT_OF_BROKERS : CLIENT_OF_CONTROLLERS;
    return client_config_read(&command->config, path, failure) &&
           client_new(server != NULL ? server : controller, command->kind, &command->config,
                      &command->client, failure);
}

static json_t *empty_document(bool alter)
{
    json_t *document = json_object();
    if (alter)
        return document;
    json_object_set_new(document, "configs", json_array());
    json_object_set_new(document, "quotas", json_array());
    json_object_set_new(document, "credentials", json_array());
    return document;
}

static int fail(const struct configs_command *command, const struct failure *failure)
{
    if (!command->refused && !command->tool.json) {
        fflush(stdout);
        fputs("Error while executing config command with args '", stderr);
        for (int i = 0; i < command->argc; i++)
            fprintf(stderr, "%s%s", i ? " " : "", command->argv[i]);
        fputs("'\n", stderr);
    }
    return tool_fail(&command->tool, failure);
}

static int run_command(struct configs_command *command)
{
    const struct tool *tool = &command->tool;
    bool alter = options_has(&tool->options, "alter");
    struct failure failure;
    if (alter == options_has(&tool->options, "describe"))
        return tool_usage(tool, "Command must include exactly one action: --describe, --alter");
    if (!tool_exclude(tool, "describe", "add-config") ||
        !tool_exclude(tool, "describe", "delete-config"))
        return 1;
    if (tool->json)
        command->json = empty_document(alter);
    if (!check(command, &failure) || !open_client(command, &failure) ||
        !(alter ? configs_alter : configs_describe)(command, &failure))
        return fail(command, &failure);
    if (command->json != NULL)
        tool_print_json(json_incref(command->json));
    return 0;
}

static int run(struct tool *tool)
{
    struct configs_command *command = CONTAINER_OF(tool, struct configs_command, tool);
    arena_init(&command->arena, 0);
    client_config_init(&command->config, "adminclient-1");
    int code = run_command(command);
    json_decref(command->json);
    client_free(command->client);
    client_config_release(&command->config);
    arena_release(&command->arena);
    return code;
}

int configs_main(int argc, char **argv)
{
    struct configs_command command = {.argc = argc, .argv = argv};
    return tool_main(&command.tool,
                     "Shows and changes configurations of topics, brokers, users, clients, "
                     "addresses, groups and client metrics.",
                     specs, TOOL_NEEDS_WORDS, argc, argv, run);
}
