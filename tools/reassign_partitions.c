/* kafka-reassign-partitions: moves replicas between brokers and directories (KIP-455). */
#include "common/base/check.h"
#include "tools/reassign_internal.h"

#include <string.h>

static const struct option_spec specs[] = {
    {"additional", OPTION_FLAG, NULL,
     "Execute beside reassignments that are under way; this also changes their throttle."},
    {"bootstrap-controller", OPTION_VALUE, "bootstrap controller to connect to",
     "The controllers to connect to first, as host:port,..., instead of --bootstrap-server."},
    {"bootstrap-server", OPTION_VALUE, "Server(s) to use for bootstrapping",
     "The brokers to connect to first, as host:port,..."},
    {"broker-list", OPTION_VALUE, "brokerlist",
     "With --generate: the brokers that replicas may go to, as 0,1,2."},
    {"cancel", OPTION_FLAG, NULL, "Give up the reassignments of --reassignment-json-file."},
    {"command-config", OPTION_VALUE, "Admin client property file",
     "A file of properties for the connection."},
    {"disable-rack-aware", OPTION_FLAG, NULL, "With --generate: pay no heed to racks."},
    {"disallow-replication-factor-change", OPTION_FLAG, NULL,
     "With --execute: refuse other numbers of replicas than there are."},
    {"execute", OPTION_FLAG, NULL, "Begin what --reassignment-json-file says."},
    {"generate", OPTION_FLAG, NULL,
     "Propose where the replicas of topics could go; nothing is done."},
    {"list", OPTION_FLAG, NULL, "List the reassignments that are under way."},
    {"preserve-throttles", OPTION_FLAG, NULL, "With --verify and --cancel: keep throttles."},
    {"reassignment-json-file", OPTION_VALUE, "manual assignment json file path",
     "The wanted replicas: {\"version\": 1, \"partitions\": [{\"topic\": \"t\", \"partition\": 0, "
     "\"replicas\": [1, 2], \"log_dirs\": [\"any\", \"any\"]}]}"},
    {"replica-alter-log-dirs-throttle", OPTION_VALUE, "replicaAlterLogDirsThrottle",
     "With --execute: bytes a second between directories of one broker.", .fallback = "-1"},
    {"throttle", OPTION_VALUE, "throttle",
     "With --execute: bytes a second between brokers; --verify takes it away.", .fallback = "-1"},
    {"timeout", OPTION_VALUE, "timeout",
     "With --execute: milliseconds to wait for replicas that are to move between directories.",
     .fallback = "10000"},
    {"topics-to-move-json-file", OPTION_VALUE, "topics to reassign json file path",
     "With --generate: {\"topics\": [{\"topic\": \"t\"}], \"version\": 1}"},
    {"verify", OPTION_FLAG, NULL,
     "Tell whether what --reassignment-json-file says is done; then throttles are taken away."},
    TOOL_COMMON_OPTIONS,
};

/* What an action needs and what else it takes; commas at both ends. */
struct action {
    const char *name;
    const char *needs[2];
    const char *takes;
};

static const struct action actions[] = {
    {"generate",
     {"topics-to-move-json-file", "broker-list"},
     ",topics-to-move-json-file,broker-list,disable-rack-aware,"},
    {"execute",
     {"reassignment-json-file"},
     ",reassignment-json-file,additional,throttle,replica-alter-log-dirs-throttle,timeout,"
     "disallow-replication-factor-change,"},
    {"verify", {"reassignment-json-file"}, ",reassignment-json-file,preserve-throttles,"},
    {"cancel",
     {"reassignment-json-file"},
     ",reassignment-json-file,preserve-throttles,timeout,bootstrap-controller,"},
    {"list", {NULL}, ",bootstrap-controller,"},
};

static const char everywhere[] = ",bootstrap-server,command-config,format,";

int reassign_fail(const struct reassign_command *command, const struct failure *failure)
{
    if (command->tool.json)
        return tool_fail(&command->tool, failure);
    printf("Error: %s\n", failure->text);
    return 1;
}

static bool is_listed(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at++) {
        if (at[-1] == ',' && at[len] == ',')
            return true;
    }
    return false;
}

/* NULL: the command line was refused. */
static const struct action *find_action(const struct tool *tool)
{
    const struct options *options = &tool->options;
    const struct action *found = NULL;
    int count = 0;
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (options_has(options, actions[i].name)) {
            found = &actions[i];
            count++;
        }
    }
    if (count != 1) {
        tool_usage(tool, "Command must include exactly one action: --generate, --execute, "
                         "--verify, --cancel, --list");
        return NULL;
    }
    bool brokers = options_has(options, "bootstrap-server");
    if (brokers == options_has(options, "bootstrap-controller")) {
        tool_usage(tool,
                   brokers ? "Please don't specify both --bootstrap-server and "
                             "--bootstrap-controller"
                           : "Please specify either --bootstrap-server or --bootstrap-controller");
        return NULL;
    }
    const char *name, *value;
    for (size_t i = 0; options_use_at(options, i, &name, &value); i++) {
        if (strcmp(name, found->name) != 0 && !is_listed(found->takes, name) &&
            !is_listed(everywhere, name)) {
            tool_usage(tool, "Option \"[%s]\" can't be used with action \"[%s]\"", name,
                       found->name);
            return NULL;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(found->needs); i++) {
        if (found->needs[i] != NULL && !tool_require(tool, found->needs[i]))
            return NULL;
    }
    return found;
}

static void add_ids(json_t *entry, const char *name, const int32_t *ids, int32_t count)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer(ids[i]));
    json_object_set_new(entry, name, list);
}

static int list_json(const struct list_partition_reassignments_response *ongoing)
{
    json_t *list = json_array(), *document = json_object();
    for (int32_t t = 0; t < ongoing->topics_count; t++) {
        for (int32_t p = 0; p < ongoing->topics[t].partitions_count; p++) {
            const reassign_ongoing *one = &ongoing->topics[t].partitions[p];
            json_t *entry = json_object();
            json_object_set_new(entry, "topic", tool_json_str(ongoing->topics[t].name));
            json_object_set_new(entry, "partition", json_integer(one->partition_index));
            add_ids(entry, "replicas", one->replicas, one->replicas_count);
            add_ids(entry, "adding", one->adding_replicas, one->adding_replicas_count);
            add_ids(entry, "removing", one->removing_replicas, one->removing_replicas_count);
            json_array_append_new(list, entry);
        }
    }
    json_object_set_new(document, "reassignments", list);
    tool_print_json(document);
    return 0;
}

static void say_ids(struct reassign_command *command, const char *what, const int32_t *ids,
                    int32_t count)
{
    struct str text = reassign_ids_text(&command->arena, ids, count, ",");
    if (count > 0)
        printf(" %s: %.*s.", what, STR_FMT(text));
}

static int list_ongoing(struct reassign_command *command)
{
    struct failure failure;
    struct list_partition_reassignments_response ongoing;
    if (!admin_reassignments(command->client, &command->arena, &ongoing, &failure))
        return reassign_fail(command, &failure);
    if (command->tool.json)
        return list_json(&ongoing);
    puts(ongoing.topics_count == 0 ? "No partition reassignments found."
                                   : "Current partition reassignments:");
    for (int32_t t = 0; t < ongoing.topics_count; t++) {
        for (int32_t p = 0; p < ongoing.topics[t].partitions_count; p++) {
            const reassign_ongoing *one = &ongoing.topics[t].partitions[p];
            printf("%.*s-%d:", STR_FMT(ongoing.topics[t].name), one->partition_index);
            say_ids(command, "replicas", one->replicas, one->replicas_count);
            say_ids(command, "adding", one->adding_replicas, one->adding_replicas_count);
            say_ids(command, "removing", one->removing_replicas, one->removing_replicas_count);
            putchar('\n');
        }
    }
    return 0;
}

static int act(struct reassign_command *command, const struct action *action)
{
    struct options *options = &command->tool.options;
    const char *file, *topics, *brokers;
    if (options_value(options, "reassignment-json-file", &file) != 0 ||
        options_value(options, "topics-to-move-json-file", &topics) != 0 ||
        options_value(options, "broker-list", &brokers) != 0)
        return tool_fail_options(&command->tool);
    if (strcmp(action->name, "generate") == 0)
        return reassign_generate(command, topics, brokers);
    if (strcmp(action->name, "execute") == 0)
        return reassign_execute(command, file);
    if (strcmp(action->name, "verify") == 0)
        return reassign_verify(command, file);
    return strcmp(action->name, "cancel") == 0 ? reassign_cancel(command, file)
                                               : list_ongoing(command);
}

/* Numbers that cannot be read are an error of the action, said where it says its own. */
static bool take_options(struct reassign_command *command, struct failure *failure)
{
    struct options *options = &command->tool.options;
    command->additional = options_has(options, "additional");
    command->preserve_throttles = options_has(options, "preserve-throttles");
    command->disable_rack_aware = options_has(options, "disable-rack-aware");
    command->keep_factor = options_has(options, "disallow-replication-factor-change");
    return (options_long(options, "throttle", &command->throttle) == 0 &&
            options_long(options, "replica-alter-log-dirs-throttle", &command->dir_throttle) == 0 &&
            options_long(options, "timeout", &command->timeout_ms) == 0) ||
           failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", options->error);
}

static int run(struct tool *tool)
{
    struct reassign_command *command = CONTAINER_OF(tool, struct reassign_command, tool);
    struct options *options = &tool->options;
    const char *brokers, *controllers, *config_path;
    struct client_config config;
    struct failure failure;
    const struct action *action = find_action(tool);
    if (action == NULL)
        return 1;
    if (options_value(options, "bootstrap-server", &brokers) != 0 ||
        options_value(options, "bootstrap-controller", &controllers) != 0 ||
        options_value(options, "command-config", &config_path) != 0)
        return tool_fail_options(tool);
    client_config_init(&config, "reassign-partitions-tool");
    arena_init(&command->arena, 0);
    int code;
    if (!client_config_read(&config, config_path, &failure) ||
        !client_new(brokers ? brokers : controllers,
                    brokers ? CLIENT_OF_BROKERS : CLIENT_OF_CONTROLLERS, &config, &command->client,
                    &failure) ||
        !take_options(command, &failure))
        code = reassign_fail(command, &failure);
    else
        code = act(command, action);
    client_free(command->client);
    json_decref(command->file);
    arena_release(&command->arena);
    client_config_release(&config);
    return code;
}

int reassign_partitions_main(int argc, char **argv)
{
    struct reassign_command command = {0};
    return tool_main(&command.tool, "Moves replicas of partitions between brokers.", specs,
                     TOOL_NEEDS_WORDS, argc, argv, run);
}
