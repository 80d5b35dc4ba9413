/*
 * kafka-leader-election: preferred or unclean elections of one partition, of those that a file
 * names, or of all. The file: {"partitions": [{"topic": "t", "partition": 0}, ...]}
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/elect_leaders.h"
#include "tools/client.h"
#include "tools/json_input.h"
#include "tools/tool.h"

#include <stdlib.h>
#include <strings.h>

typedef struct elect_leaders_response_partition_result result;

static const struct option_spec specs[] = {
    {"admin.config", OPTION_VALUE, "config file", "The old name of --command-config."},
    {"all-topic-partitions", OPTION_FLAG, NULL, "Elect the leaders of all partitions."},
    {"bootstrap-server", OPTION_VALUE, "host:port",
     "Required: the brokers to connect to first, as host:port,..."},
    {"command-config", OPTION_VALUE, "Config file", "A file of properties for the connection."},
    {"election-type", OPTION_VALUE, "election type",
     "Required: preferred (the first replica, where it is in sync) or unclean (for partitions "
     "without a leader; records may be lost)."},
    {"partition", OPTION_VALUE, "partition id", "The partition of --topic."},
    {"path-to-json-file", OPTION_VALUE, "Path to JSON file",
     "A file that names partitions: {\"partitions\": [{\"topic\": \"t\", \"partition\": 0}]}"},
    {"topic", OPTION_VALUE, "topic name", "The topic of the partition."},
    TOOL_COMMON_OPTIONS,
};

struct named {
    struct str topic;
    int32_t partition;
};

struct command {
    struct tool tool;
    struct arena arena;
    const char *kind; /* "PREFERRED" or "UNCLEAN" */
    bool unclean, all;
    json_t *file;
    struct named *partitions;
    size_t count;
};

/* --- what is asked for -------------------------------------------------------------------- */

static int refuse(const struct tool *tool, const char *what, const char *which)
{
    struct failure failure;
    failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST, "%s%s", what, which);
    return tool_fail(tool, &failure);
}

static int check_options(const struct tool *tool)
{
    static const char *const needed[] = {"bootstrap-server", "election-type"};
    static const char *const targets[] = {"topic", "all-topic-partitions", "path-to-json-file"};
    const struct options *options = &tool->options;
    struct bytebuf missing;
    bytebuf_init(&missing);
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (!options_has(options, needed[i]))
            bytebuf_printf(&missing, "%s%s", missing.len ? ", " : "", needed[i]);
    if (options_has(options, "topic") && !options_has(options, "partition"))
        bytebuf_printf(&missing, "%spartition", missing.len ? ", " : "");
    int code = 0, given = 0;
    for (size_t i = 0; i < ARRAY_LEN(targets); i++)
        given += options_has(options, targets[i]);
    bytebuf_printf(&missing, "%c", '\0');
    if (missing.len > 1)
        code = refuse(tool, "Missing required option(s): ", (const char *)missing.data);
    else if (given != 1)
        code = refuse(tool, "One and only one of the following options is required: ",
                      "topic, all-topic-partitions, path-to-json-file");
    else if (options_has(options, "partition") && !options_has(options, "topic"))
        code = refuse(tool, "Option partition is only allowed if topic is used", "");
    bytebuf_release(&missing);
    return code;
}

static int take_kind(struct command *command, const char *kind)
{
    static const char *const kinds[] = {"PREFERRED", "UNCLEAN"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcasecmp(kind, kinds[i]) == 0)
            command->kind = kinds[i];
    }
    command->unclean = command->kind == kinds[1];
    if (command->kind != NULL)
        return 0;
    struct failure failure;
    failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST,
                "Cannot parse argument '%s' of option election-type\n"
                "Value [%s] is not one of [[PREFERRED,UNCLEAN]]",
                kind, kind);
    return tool_fail(&command->tool, &failure);
}

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = str_cmp(x->topic, y->topic);
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

/* The partitions are in order; those that are named several times are named once. */
static bool check_repeats(const struct command *command, struct failure *failure)
{
    const struct named *all = command->partitions;
    struct bytebuf names;
    bytebuf_init(&names);
    for (size_t i = 1; i < command->count; i++) {
        if (by_name(&all[i - 1], &all[i]) == 0 && (i < 2 || by_name(&all[i - 2], &all[i]) != 0))
            bytebuf_printf(&names, "%s%.*s-%d", names.len ? ", " : "", STR_FMT(all[i].topic),
                           all[i].partition);
    }
    bool none = names.len == 0;
    if (!none)
        failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                    "Replica election data contains duplicate partitions: [%.*s]", (int)names.len,
                    (const char *)names.data);
    bytebuf_release(&names);
    return none;
}

static bool take_file(struct command *command, const char *path, struct failure *failure)
{
    const json_t *list, *entry, *field;
    size_t i;
    const char *empty = "Replica election data is empty";
    if (!json_input_read_or(path, empty, empty, &command->file, failure) ||
        !json_input_object(command->file, failure) ||
        !json_input_list_if_any(command->file, "partitions", &list, failure))
        return false;
    if (list == NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Replica election data is missing \"partitions\" field");
    command->count = json_array_size(list);
    command->partitions = ARENA_ARRAY(&command->arena, struct named, command->count);
    json_array_foreach(list, i, entry)
    {
        if (!json_input_object(entry, failure) ||
            (field = json_input_field(entry, "topic", failure)) == NULL ||
            !json_input_str(field, &command->partitions[i].topic, failure) ||
            (field = json_input_field(entry, "partition", failure)) == NULL ||
            !json_input_int32(field, &command->partitions[i].partition, failure))
            return false;
    }
    if (command->count > 1)
        qsort(command->partitions, command->count, sizeof(*command->partitions), by_name);
    return check_repeats(command, failure);
}

/* --- the request -------------------------------------------------------------------------- */

static void fill_request(struct command *command, struct elect_leaders_request *request)
{
    message_init(&elect_leaders_request_desc, request);
    request->election_type = command->unclean;
    request->topic_partitions_count = -1;
    if (command->all)
        return;
    request->topic_partitions = MESSAGE_ARRAY(
        &command->arena, elect_leaders_request_topic_partitions, (int32_t)command->count);
    request->topic_partitions_count = 0;
    for (size_t i = 0; i < command->count;) {
        struct elect_leaders_request_topic_partitions *topic =
            &request->topic_partitions[request->topic_partitions_count++];
        topic->topic = command->partitions[i].topic;
        topic->partitions = ARENA_ARRAY(&command->arena, int32_t, command->count - i);
        for (; i < command->count && str_eq(command->partitions[i].topic, topic->topic); i++)
            topic->partitions[topic->partitions_count++] = command->partitions[i].partition;
    }
}

static bool ask(struct command *command, struct client *client,
                struct elect_leaders_response *ret_response, struct failure *failure)
{
    struct client_op op;
    struct elect_leaders_request request;
    fill_request(command, &request);
    client_op_begin(&op, client, "electLeaders", &command->arena);
    for (;;) {
        request.timeout_ms = client_time_left(&op, INT32_MAX);
        if (!client_call(&op, CLIENT_CONTROLLER, API_ELECT_LEADERS, &request, ret_response,
                         failure))
            return false;
        if (ret_response->error_code == 0)
            return true;
        if (!client_retry(&op, ret_response->error_code, STR_NULL, failure))
            return false;
    }
}

/* --- the answer --------------------------------------------------------------------------- */

static struct str message_of(const result *r)
{
    return r->error_message.len > 0 ? r->error_message : str_of(kafka_error_message(r->error_code));
}

/* "t-0, t-1" of those with this error; nothing where there are none. */
static void say_names(const struct elect_leaders_response *response, int16_t error,
                      const char *what)
{
    bool first = true;
    for (int32_t t = 0; t < response->replica_election_results_count; t++) {
        const struct elect_leaders_response_replica_election_result *topic =
            &response->replica_election_results[t];
        for (int32_t p = 0; p < topic->partition_result_count; p++) {
            if (topic->partition_result[p].error_code != error)
                continue;
            if (first)
                fputs(what, stdout);
            printf("%s%.*s-%d", first ? " " : ", ", STR_FMT(topic->topic),
                   topic->partition_result[p].partition_id);
            first = false;
        }
    }
    if (!first)
        putchar('\n');
}

static bool is_failed(int16_t error)
{
    return error != 0 && error != KAFKA_ERROR_ELECTION_NOT_NEEDED;
}

/* The failed ones on standard output; then how many, and why, on standard error. */
static int say_failed(const struct command *command, const struct elect_leaders_response *response)
{
    int count = 0;
    struct bytebuf reasons;
    bytebuf_init(&reasons);
    for (int32_t t = 0; t < response->replica_election_results_count; t++) {
        const struct elect_leaders_response_replica_election_result *topic =
            &response->replica_election_results[t];
        for (int32_t p = 0; p < topic->partition_result_count; p++) {
            const result *r = &topic->partition_result[p];
            if (!is_failed(r->error_code))
                continue;
            printf("Error completing leader election (%s) for partition: %.*s-%d: %.*s\n",
                   command->kind, STR_FMT(topic->topic), r->partition_id, STR_FMT(message_of(r)));
            bytebuf_printf(&reasons, "\tSuppressed: %.*s\n", STR_FMT(message_of(r)));
            count++;
        }
    }
    fflush(stdout);
    if (count > 0)
        fprintf(stderr, "%d replica(s) could not be elected\n%.*s", count, (int)reasons.len,
                (const char *)reasons.data);
    bytebuf_release(&reasons);
    return count > 0;
}

static int say_text(const struct command *command, const struct elect_leaders_response *response)
{
    char what[96];
    snprintf(what, sizeof(what), "Successfully completed leader election (%s) for partitions",
             command->kind);
    say_names(response, 0, what);
    say_names(response, KAFKA_ERROR_ELECTION_NOT_NEEDED,
              "Valid replica already elected for partitions");
    return say_failed(command, response);
}

static int say_json(const struct elect_leaders_response *response)
{
    json_t *list = json_array(), *document = json_object();
    int code = 0;
    for (int32_t t = 0; t < response->replica_election_results_count; t++) {
        const struct elect_leaders_response_replica_election_result *topic =
            &response->replica_election_results[t];
        for (int32_t p = 0; p < topic->partition_result_count; p++) {
            const result *r = &topic->partition_result[p];
            struct failure failure;
            json_t *entry = json_object();
            if (is_failed(r->error_code)) {
                json_decref(entry);
                failure_set_error(&failure, r->error_code, r->error_message);
                entry = tool_json_of_failure(&failure);
                code = 1;
            }
            json_object_set_new(entry, "topic", tool_json_str(topic->topic));
            json_object_set_new(entry, "partition", json_integer(r->partition_id));
            json_object_set_new(entry, "elected", json_boolean(r->error_code == 0));
            json_array_append_new(list, entry);
        }
    }
    json_object_set_new(document, "partitions", list);
    tool_print_json(document);
    return code;
}

static int fail(const struct command *command, const struct failure *failure)
{
    if (failure->error != KAFKA_ERROR_REQUEST_TIMED_OUT)
        return tool_fail(&command->tool, failure);
    struct failure waited;
    const char *what = "Timeout waiting for election results";
    failure_set(&waited, KAFKA_ERROR_REQUEST_TIMED_OUT, "%s\n%s", what, failure->text);
    if (!command->tool.json) {
        puts(what);
        fflush(stdout);
    }
    return tool_fail(&command->tool, &waited);
}

static int elect(struct command *command, const char *bootstrap, const char *config_path)
{
    struct client_config config;
    struct client *client = NULL;
    struct elect_leaders_response response;
    struct failure failure;
    client_config_init(&config, "adminclient-1");
    int code;
    if (!client_config_read(&config, config_path, &failure) ||
        !client_new(bootstrap, CLIENT_OF_BROKERS, &config, &client, &failure) ||
        !ask(command, client, &response, &failure))
        code = fail(command, &failure);
    else
        code = command->tool.json ? say_json(&response) : say_text(command, &response);
    client_free(client);
    client_config_release(&config);
    return code;
}

static int take_targets(struct command *command)
{
    struct options *options = &command->tool.options;
    const char *topic, *path;
    struct failure failure;
    int32_t partition = 0;
    command->all = options_has(options, "all-topic-partitions");
    if (options_value(options, "topic", &topic) != 0 ||
        options_value(options, "path-to-json-file", &path) != 0 ||
        (topic != NULL && options_int(options, "partition", &partition) != 0))
        return tool_fail_options(&command->tool);
    if (path != NULL)
        return take_file(command, path, &failure) ? 0 : tool_fail(&command->tool, &failure);
    if (topic == NULL)
        return 0;
    command->partitions = ARENA_NEW(&command->arena, struct named);
    command->partitions[0] = (struct named){str_of(topic), partition};
    command->count = 1;
    return 0;
}

static int run(struct tool *tool)
{
    struct command *command = CONTAINER_OF(tool, struct command, tool);
    struct options *options = &tool->options;
    const char *bootstrap, *config_path, *old_config, *kind;
    int code = check_options(tool);
    if (code != 0)
        return code;
    if (options_value(options, "bootstrap-server", &bootstrap) != 0 ||
        options_value(options, "command-config", &config_path) != 0 ||
        options_value(options, "admin.config", &old_config) != 0 ||
        options_value(options, "election-type", &kind) != 0)
        return tool_fail_options(tool);
    if (old_config != NULL && !tool->json) {
        puts("Option --admin.config has been deprecated and will be removed in a future version. "
             "Use --command-config instead.");
        fflush(stdout);
    }
    arena_init(&command->arena, 0);
    code = take_kind(command, kind);
    if (code == 0)
        code = take_targets(command);
    if (code == 0)
        code = elect(command, bootstrap, config_path ? config_path : old_config);
    json_decref(command->file);
    arena_release(&command->arena);
    return code;
}

int leader_election_main(int argc, char **argv)
{
    struct command command = {0};
    return tool_main(&command.tool, "Elects leaders of partitions.", specs, TOOL_NEEDS_WORDS, argc,
                     argv, run);
}
