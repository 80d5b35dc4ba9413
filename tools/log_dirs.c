/* kafka-log-dirs: which partitions lie in which log directories of which brokers, as JSON. */
#include "common/base/check.h"
#include "tools/broker_log_dirs.h"
#include "tools/java_order.h"
#include "tools/tool.h"

#include <stdlib.h>

typedef struct describe_log_dirs_response_describe_log_dirs_result log_dir;

static const struct option_spec specs[] = {
    {"bootstrap-server", OPTION_VALUE, "The server(s) to use for bootstrapping",
     "Required: the brokers to connect to first, as host:port,..."},
    {"broker-list", OPTION_VALUE, "Broker list",
     "The brokers to ask, as 0,1,2; all of them unless given."},
    {"command-config", OPTION_VALUE, "Admin client property file",
     "A file of properties for the connection."},
    {"describe", OPTION_FLAG, NULL, "Required: describe the log directories."},
    {"topic-list", OPTION_VALUE, "Topic list",
     "The topics to look for, as topic1,topic2; all of them unless given."},
    TOOL_COMMON_OPTIONS,
};

struct command {
    struct tool tool;
    struct client *client;
    struct arena arena;
    int32_t *brokers;
    size_t broker_count;
    const char *topics; /* NULL: all */
};

static bool is_listed(const char *list, struct str word)
{
    struct str rest = str_of(list), one;
    bool found = list == NULL;
    while (!found && !str_is_null(rest)) {
        str_split(&rest, ',', &one);
        found = str_eq(one, word);
    }
    return found;
}

static bool has_id(const int32_t *ids, size_t count, int32_t id)
{
    bool found = false;
    for (size_t i = 0; !found && i < count; i++)
        found = ids[i] == id;
    return found;
}

static void add_id(struct bytebuf *text, int32_t id)
{
    bytebuf_printf(text, "%s%d", text->len ? "," : "", id);
}

/* Keeps those of the list; all of them have to be there. */
static bool choose_brokers(struct command *command, const char *list, struct failure *failure)
{
    struct bytebuf missing, there;
    struct str rest = str_of(list), one;
    int32_t *chosen = ARENA_ARRAY(&command->arena, int32_t, command->broker_count);
    size_t count = 0;
    bool ok = true;
    bytebuf_init(&missing);
    bytebuf_init(&there);
    while (ok && !str_is_null(rest)) {
        str_split(&rest, ',', &one);
        int32_t id;
        if (one.len == 0)
            continue;
        ok = str_to_i32(one, &id) == 0;
        if (!ok)
            failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "For input string: \"%.*s\"",
                        STR_FMT(one));
        else if (!has_id(command->brokers, command->broker_count, id))
            add_id(&missing, id);
        else if (!has_id(chosen, count, id))
            chosen[count++] = id;
    }
    if (ok && missing.len > 0) {
        for (size_t i = 0; i < command->broker_count; i++)
            add_id(&there, command->brokers[i]);
        ok = failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                         "ERROR: The given brokers do not exist from --broker-list: %.*s. Current "
                         "existent brokers: %.*s",
                         (int)missing.len, (const char *)missing.data, (int)there.len,
                         (const char *)there.data);
    }
    if (ok && list[0] != '\0') {
        command->brokers = chosen;
        command->broker_count = count;
    }
    bytebuf_release(&missing);
    bytebuf_release(&there);
    return ok;
}

typedef const struct describe_log_dirs_response_describe_log_dirs_partition dir_partition;

static json_t *json_of_partition(struct arena *arena, struct str topic, dir_partition *one)
{
    json_t *entry = json_object();
    struct str name = arena_printf(arena, "%.*s-%d", STR_FMT(topic), one->partition_index);
    json_object_set_new(entry, "partition", tool_json_str(name));
    json_object_set_new(entry, "size", json_integer(one->partition_size));
    json_object_set_new(entry, "offsetLag", json_integer(one->offset_lag));
    json_object_set_new(entry, "isFuture", json_boolean(one->is_future_key));
    return entry;
}

/* Those of the topics that are asked for, in the order of Java's map. */
static json_t *json_of_partitions(struct command *command, const log_dir *dir)
{
    struct arena *arena = &command->arena;
    size_t room = 0, count = 0;
    for (int32_t t = 0; t < dir->topics_count; t++)
        room += (size_t)dir->topics[t].partitions_count;
    int32_t *hashes = ARENA_ARRAY(arena, int32_t, room);
    size_t *order = ARENA_ARRAY(arena, size_t, room);
    bool *listed = ARENA_ARRAY(arena, bool, room);
    json_t **entries = ARENA_ARRAY(arena, json_t *, room), *out = json_array();
    for (int32_t t = 0; t < dir->topics_count; t++) {
        struct str topic = dir->topics[t].name;
        for (int32_t p = 0; p < dir->topics[t].partitions_count; p++, count++) {
            dir_partition *one = &dir->topics[t].partitions[p];
            hashes[count] = java_partition_hash(topic, one->partition_index);
            listed[count] = is_listed(command->topics, topic);
            entries[count] = json_of_partition(arena, topic, one);
        }
    }
    java_map_order_of_hashes(hashes, count, 0, order);
    for (size_t i = 0; i < count; i++) {
        if (listed[order[i]])
            json_array_append(out, entries[order[i]]);
        json_decref(entries[order[i]]);
    }
    return out;
}

static json_t *json_of_dir(struct command *command, const log_dir *dir)
{
    json_t *out = json_object();
    json_object_set_new(out, "partitions", json_of_partitions(command, dir));
    json_object_set_new(out, "error",
                        dir->error_code == 0 ? json_null()
                                             : json_string(kafka_error_message(dir->error_code)));
    json_object_set_new(out, "logDir", tool_json_str(dir->log_dir));
    return out;
}

static void say_brokers(const struct command *command)
{
    puts("Querying brokers for log directories information");
    printf("Received log directory information from brokers ");
    for (size_t i = 0; i < command->broker_count; i++)
        printf("%s%d", i ? "," : "", command->brokers[i]);
    putchar('\n');
}

static bool describe(struct command *command, const char *list, struct failure *failure)
{
    if (!broker_log_dirs_brokers(command->client, &command->arena, &command->brokers,
                                 &command->broker_count, failure) ||
        (list != NULL && !choose_brokers(command, list, failure)))
        return false;
    json_t *brokers = json_array(), *document = json_object();
    bool ok = true;
    for (size_t i = 0; ok && i < command->broker_count; i++) {
        struct describe_log_dirs_response response;
        ok = broker_log_dirs_ask(command->client, command->brokers[i], &command->arena, &response,
                                 failure);
        json_t *dirs = json_array(), *broker = json_object();
        for (int32_t d = 0; ok && d < response.results_count; d++)
            json_array_append_new(dirs, json_of_dir(command, &response.results[d]));
        json_object_set_new(broker, "broker", json_integer(command->brokers[i]));
        json_object_set_new(broker, "logDirs", dirs);
        json_array_append_new(brokers, broker);
    }
    json_object_set_new(document, "brokers", brokers);
    json_object_set_new(document, "version", json_integer(1));
    if (!ok) {
        json_decref(document);
        return false;
    }
    if (!command->tool.json)
        say_brokers(command);
    tool_print_json(document);
    return true;
}

static int run(struct tool *tool)
{
    struct command *command = CONTAINER_OF(tool, struct command, tool);
    struct options *options = &tool->options;
    const char *bootstrap, *list, *config_path;
    struct client_config config;
    struct failure failure;
    if (!tool_require(tool, "bootstrap-server") || !tool_require(tool, "describe"))
        return 1;
    if (options_value(options, "bootstrap-server", &bootstrap) != 0 ||
        options_value(options, "broker-list", &list) != 0 ||
        options_value(options, "topic-list", &command->topics) != 0 ||
        options_value(options, "command-config", &config_path) != 0)
        return tool_fail_options(tool);
    if (command->topics != NULL && command->topics[0] == '\0')
        command->topics = NULL;
    client_config_init(&config, "log-dirs-tool");
    arena_init(&command->arena, 0);
    bool ok = client_config_read(&config, config_path, &failure) &&
              client_new(bootstrap, CLIENT_OF_BROKERS, &config, &command->client, &failure) &&
              describe(command, list, &failure);
    int code = ok ? 0 : tool_fail(tool, &failure);
    client_free(command->client);
    arena_release(&command->arena);
    client_config_release(&config);
    return code;
}

int log_dirs_main(int argc, char **argv)
{
    struct command command = {0};
    return tool_main(&command.tool, "Describes the log directories of brokers.", specs,
                     TOOL_NEEDS_WORDS, argc, argv, run);
}
