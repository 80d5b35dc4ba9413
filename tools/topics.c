/* kafka-topics: list, create, change and delete topics; describe is in topics_describe.c. */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/create_partitions.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/delete_topics.h"
#include "metadata/config/config_value.h"
#include "tools/topic_filter.h"
#include "tools/topics_internal.h"

#include <stdlib.h>

static const struct option_spec specs[] = {
    {"alter", OPTION_FLAG, NULL, "Add partitions, or say where new ones shall be."},
    {"at-min-isr-partitions", OPTION_FLAG, NULL,
     "With --describe: only partitions with exactly min.insync.replicas replicas in sync."},
    {"bootstrap-server", OPTION_VALUE, "server to connect to",
     "Required: the brokers to connect to first, as host:port,..."},
    {"command-config", OPTION_VALUE, "command config property file",
     "A file of properties for the connection."},
    {"config", OPTION_VALUE, "name=value",
     "With --create: a configuration of the new topic. May be given several times. "
     "kafka-configs changes it later."},
    {"create", OPTION_FLAG, NULL, "Create a topic."},
    {"delete", OPTION_FLAG, NULL, "Delete topics."},
    {"delete-config", OPTION_VALUE, "name", "No longer of use: kafka-configs does this."},
    {"describe", OPTION_FLAG, NULL, "Show topics with their partitions and replicas."},
    {"exclude-internal", OPTION_FLAG, NULL,
     "With --list and --describe: leave out the topics that Kafka keeps for itself."},
    {"if-exists", OPTION_FLAG, NULL, "Do nothing where the topic does not exist."},
    {"if-not-exists", OPTION_FLAG, NULL, "With --create: do nothing where the topic exists."},
    {"list", OPTION_FLAG, NULL, "Show the names of all topics."},
    {"partition-size-limit-per-response", OPTION_VALUE, "maximum number of partitions per response",
     "How many partitions to ask for at once when describing."},
    {"partitions", OPTION_VALUE, "# of partitions",
     "How many partitions the topic shall have. Without it the broker's default."},
    {"replica-assignment", OPTION_VALUE,
     "broker_id_for_part1_replica1 : broker_id_for_part1_replica2 , "
     "broker_id_for_part2_replica1 : broker_id_for_part2_replica2 , ...",
     "Which brokers hold each partition; the first of each is the preferred leader."},
    {"replication-factor", OPTION_VALUE, "replication factor",
     "How many replicas each partition shall have. Without it the broker's default."},
    {"topic", OPTION_VALUE, "topic",
     "The topic to create; otherwise a regular expression for the topics that are meant."},
    {"topic-id", OPTION_VALUE, "topic-id", "With --describe: the topic with this id."},
    {"topics-with-overrides", OPTION_FLAG, NULL,
     "With --describe: only topics that have configurations of their own."},
    {"unavailable-partitions", OPTION_FLAG, NULL,
     "With --describe: only partitions without a leader."},
    {"under-min-isr-partitions", OPTION_FLAG, NULL,
     "With --describe: only partitions with fewer than min.insync.replicas replicas in sync."},
    {"under-replicated-partitions", OPTION_FLAG, NULL,
     "With --describe: only partitions whose replicas are not all in sync."},
    TOOL_COMMON_OPTIONS,
};

static const char *const actions[] = {"list", "describe", "create", "alter", "delete"};

bool topics_find(struct topics_command *command, bool must_exist, struct admin_topics *ret_topics,
                 struct failure *failure)
{
    struct options *options = &command->tool.options;
    const char *pattern;
    struct topic_filter *filter;
    if (options_value(options, "topic", &pattern) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", options->error);
    if (!topic_filter_new(pattern, &filter, failure))
        return false;
    bool exclude_internal = options_has(options, "exclude-internal");
    struct admin_topics all;
    bool ok = admin_list_topics(command->client, "listTopics", &command->arena, &all, failure);
    if (ok) {
        size_t count = 0;
        for (size_t i = 0; i < all.count; i++)
            if (topic_filter_allows(filter, all.items[i].name) &&
                !(exclude_internal && topic_is_internal(all.items[i].name)))
                all.items[count++] = all.items[i];
        *ret_topics = (struct admin_topics){all.items, count};
        if (count == 0 && must_exist && pattern != NULL && pattern[0] != '\0')
            ok = failure_set(failure, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                             "Topic '%s' does not exist as expected", pattern);
    }
    topic_filter_free(filter);
    return ok;
}

/* {"<key>": [names]} */
static void print_names_json(const char *key, const struct admin_topics *topics)
{
    json_t *names = json_array();
    for (size_t i = 0; i < topics->count; i++)
        json_array_append_new(names, tool_json_str(topics->items[i].name));
    json_t *document = json_object();
    json_object_set_new(document, key, names);
    tool_print_json(document);
}

static bool list(struct topics_command *command, struct failure *failure)
{
    struct admin_topics topics;
    if (!topics_find(command, false, &topics, failure))
        return false;
    if (command->tool.json) {
        print_names_json("topics", &topics);
        return true;
    }
    for (size_t i = 0; i < topics.count; i++)
        printf("%.*s\n", STR_FMT(topics.items[i].name));
    if (topics.count == 0)
        putchar('\n');
    return true;
}

struct assignment {
    struct admin_ids *partitions;
    int32_t count; /* -1: none was given */
};

static bool read_replicas(struct str text, struct arena *arena, struct admin_ids *ret_replicas,
                          struct failure *failure)
{
    struct admin_ids replicas = {ARENA_ARRAY(arena, int32_t, text.len + 1), 0};
    struct str one;
    while (!str_is_null(text)) {
        str_split(&text, ':', &one);
        if (str_to_i32(str_trim(one), &replicas.items[replicas.count]) != 0)
            return failure_set(failure, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                               "For input string: \"%.*s\"", STR_FMT(one));
        for (int32_t i = 0; i < replicas.count; i++)
            if (replicas.items[i] == replicas.items[replicas.count])
                return failure_set(failure, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                                   "Partition replica lists may not contain duplicate entries: %d",
                                   replicas.items[i]);
        replicas.count++;
    }
    *ret_replicas = replicas;
    return true;
}

static bool refuse_factor(int32_t partition, const struct admin_ids *replicas,
                          struct failure *failure)
{
    struct bytebuf list;
    bytebuf_init(&list);
    for (int32_t i = 0; i < replicas->count; i++)
        bytebuf_printf(&list, "%s%d", i ? ", " : "", replicas->items[i]);
    failure_set(failure, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                "Partition %d has different replication factor: [%.*s]", partition, (int)list.len,
                (const char *)list.data);
    bytebuf_release(&list);
    return false;
}

/* "1:2,2:3" */
static bool read_assignment(struct topics_command *command, struct assignment *ret_assignment,
                            struct failure *failure)
{
    struct options *options = &command->tool.options;
    const char *value;
    if (options_value(options, "replica-assignment", &value) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", options->error);
    struct assignment assignment = {NULL, -1};
    struct str text = str_of(value), one;
    /* Nothing stands for no assignment, and a comma at the end for nothing. */
    while (text.len > 0 && text.data[text.len - 1] == ',')
        text.len--;
    if (text.len == 0)
        text = STR_NULL;
    if (!str_is_null(text)) {
        assignment.partitions = ARENA_ARRAY(&command->arena, struct admin_ids, text.len + 1);
        assignment.count = 0;
    }
    while (!str_is_null(text)) {
        str_split(&text, ',', &one);
        struct admin_ids *replicas = &assignment.partitions[assignment.count];
        if (!read_replicas(one, &command->arena, replicas, failure))
            return false;
        if (replicas->count != assignment.partitions[0].count)
            return refuse_factor(assignment.count, replicas, failure);
        assignment.count++;
    }
    *ret_assignment = assignment;
    return true;
}

/* One "name=value", split at equals signs with white space around them. */
static bool read_config(const char *text, struct arena *arena,
                        struct create_topics_request_creatable_topic_config *ret_config,
                        struct failure *failure)
{
    struct str rest = str_of(text), name, value = STR_NULL;
    bool good = str_split(&rest, '=', &name);
    if (good)
        value = rest;
    name = str_trim(name);
    value = good ? str_trim(value) : STR_EMPTY;
    if (value.len == 0 || memchr(value.data, '=', (size_t)value.len) != NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "requirement failed: Invalid topic config: all configs to be added "
                           "must be in the format \"key=val\".");
    const struct config_def *def = config_find(CONFIG_SCOPE_TOPIC, name);
    struct config_value parsed;
    struct str error;
    if (def == NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG, "Unknown topic config name: %.*s",
                           STR_FMT(name));
    if (config_value_parse(def, value, arena, &parsed, &error) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG, "%.*s", STR_FMT(error));
    ret_config->name = name;
    ret_config->value = value;
    return true;
}

static bool read_number(struct topics_command *command, const char *name, int32_t *in_out_value,
                        struct failure *failure)
{
    return options_int(&command->tool.options, name, in_out_value) == 0 ||
           failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", command->tool.options.error);
}

/* Fills the topic to create from the options, with Kafka's checks in Kafka's order. */
static bool read_new_topic(struct topics_command *command,
                           struct create_topics_request_creatable_topic *topic,
                           struct failure *failure)
{
    struct options *options = &command->tool.options;
    struct assignment assignment;
    const char *name;
    int32_t partitions = -1, replicas = -1;
    if (options_value(options, "topic", &name) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", options->error);
    if (!read_number(command, "partitions", &partitions, failure) ||
        !read_number(command, "replication-factor", &replicas, failure) ||
        !read_assignment(command, &assignment, failure))
        return false;
    int32_t config_count = (int32_t)options_count(options, "config");
    topic->name = str_of(name);
    topic->configs =
        MESSAGE_ARRAY(&command->arena, create_topics_request_creatable_topic_config, config_count);
    topic->configs_count = config_count;
    for (int32_t i = 0; i < config_count; i++)
        if (!read_config(options_value_at(options, "config", (size_t)i), &command->arena,
                         &topic->configs[i], failure))
            return false;
    if (!command->tool.json && strpbrk(name, "._") != NULL)
        puts("WARNING: Due to limitations in metric names, topics with a period ('.') or "
             "underscore ('_') could collide. To avoid issues it is best to use either, but not "
             "both.");
    if (options_has(options, "replication-factor") && (replicas < 1 || replicas > INT16_MAX))
        return failure_set(failure, KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
                           "The replication factor must be between 1 and 32767 inclusive");
    if (options_has(options, "partitions") && partitions < 1)
        return failure_set(failure, KAFKA_ERROR_INVALID_PARTITIONS,
                           "The partitions must be greater than 0");
    topic->num_partitions = partitions;
    topic->replication_factor = (int16_t)replicas;
    if (assignment.count < 0)
        return true;
    topic->assignments = MESSAGE_ARRAY(
        &command->arena, create_topics_request_creatable_replica_assignment, assignment.count);
    topic->assignments_count = assignment.count;
    for (int32_t i = 0; i < assignment.count; i++) {
        topic->assignments[i].partition_index = i;
        topic->assignments[i].broker_ids = assignment.partitions[i].items;
        topic->assignments[i].broker_ids_count = assignment.partitions[i].count;
    }
    return true;
}

static bool create(struct topics_command *command, struct failure *failure)
{
    struct client_op op;
    struct create_topics_request request;
    struct create_topics_response response;
    message_init(&create_topics_request_desc, &request);
    request.topics = MESSAGE_ARRAY(&command->arena, create_topics_request_creatable_topic, 1);
    request.topics_count = 1;
    if (!read_new_topic(command, &request.topics[0], failure))
        return false;
    struct str name = request.topics[0].name;
    if (name.len == 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION,
                           "The given topic name '' cannot be represented in a request.");
    client_op_begin(&op, command->client, "createTopics", &command->arena);
    for (;;) {
        request.timeout_ms = client_time_left(&op, INT32_MAX);
        if (!client_call(&op, CLIENT_CONTROLLER, API_CREATE_TOPICS, &request, &response, failure))
            return false;
        if (response.topics_count != 1)
            return failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                               "The controller response did not contain a result for topic %.*s",
                               STR_FMT(name));
        int16_t error = response.topics[0].error_code;
        if (error == 0)
            break;
        if (error == KAFKA_ERROR_TOPIC_ALREADY_EXISTS &&
            options_has(&command->tool.options, "if-not-exists")) {
            if (command->tool.json)
                print_names_json("created", &(struct admin_topics){0});
            return true;
        }
        if (error != KAFKA_ERROR_NOT_CONTROLLER)
            return failure_set_error(failure, error, response.topics[0].error_message);
        if (!client_retry(&op, error, STR_NULL, failure))
            return false;
    }
    if (command->tool.json)
        print_names_json("created", &(struct admin_topics){&(struct admin_topic){.name = name}, 1});
    else
        printf("Created topic %.*s.\n", STR_FMT(name));
    return true;
}

/* Fills what one topic shall grow to. Assignments are for all its partitions; those that are there
 * keep theirs. */
static void fill_increase(struct create_partitions_request_create_partitions_topic *to,
                          const struct admin_topic *topic, int32_t partitions,
                          const struct assignment *assignment, struct arena *arena)
{
    to->name = topic->name;
    to->count = partitions;
    to->assignments_count = -1;
    if (assignment->count < 0)
        return;
    int32_t first = MIN(topic->partitions_count, assignment->count);
    to->assignments_count = assignment->count - first;
    to->assignments = MESSAGE_ARRAY(arena, create_partitions_request_create_partitions_assignment,
                                    to->assignments_count);
    for (int32_t i = 0; i < to->assignments_count; i++) {
        to->assignments[i].broker_ids = assignment->partitions[first + i].items;
        to->assignments[i].broker_ids_count = assignment->partitions[first + i].count;
    }
}

static bool alter(struct topics_command *command, struct failure *failure)
{
    struct client_op op;
    struct create_partitions_request request;
    struct create_partitions_response response;
    struct admin_topics topics;
    struct assignment assignment;
    int32_t partitions = 0;
    if (!read_number(command, "partitions", &partitions, failure) ||
        !read_assignment(command, &assignment, failure) ||
        !topics_find(command, !options_has(&command->tool.options, "if-exists"), &topics, failure))
        return false;
    message_init(&create_partitions_request_desc, &request);
    request.topics_count = (int32_t)topics.count;
    request.topics = MESSAGE_ARRAY(
        &command->arena, create_partitions_request_create_partitions_topic, request.topics_count);
    for (size_t i = 0; i < topics.count; i++)
        fill_increase(&request.topics[i], &topics.items[i], partitions, &assignment,
                      &command->arena);
    client_op_begin(&op, command->client, "createPartitions", &command->arena);
    for (bool done = topics.count == 0; !done;) {
        request.timeout_ms = client_time_left(&op, INT32_MAX);
        if (!client_call(&op, CLIENT_CONTROLLER, API_CREATE_PARTITIONS, &request, &response,
                         failure))
            return false;
        done = true;
        for (int32_t i = 0; i < response.results_count && done; i++) {
            int16_t error = response.results[i].error_code;
            if (error == 0)
                continue;
            if (error != KAFKA_ERROR_NOT_CONTROLLER)
                return failure_set_error(failure, error, response.results[i].error_message);
            if (!client_retry(&op, error, STR_NULL, failure))
                return false;
            done = false;
        }
    }
    if (command->tool.json)
        print_names_json("altered", &topics);
    return true;
}

/* From version 6 on topics are named one struct each, before it in a plain list. */
static bool fill_deletion(struct client_op *op, const struct admin_topics *topics,
                          struct delete_topics_request *request, struct failure *failure)
{
    int16_t version;
    message_init(&delete_topics_request_desc, request);
    if (!client_version(op, CLIENT_CONTROLLER, API_DELETE_TOPICS, &version, failure))
        return false;
    if (version >= 6) {
        request->topics_count = (int32_t)topics->count;
        request->topics =
            MESSAGE_ARRAY(op->arena, delete_topics_request_delete_topic_state, topics->count);
        for (size_t i = 0; i < topics->count; i++)
            request->topics[i].name = topics->items[i].name;
    } else {
        request->topic_names_count = (int32_t)topics->count;
        request->topic_names = ARENA_ARRAY(op->arena, struct str, topics->count + 1);
        for (size_t i = 0; i < topics->count; i++)
            request->topic_names[i] = topics->items[i].name;
    }
    request->timeout_ms = client_time_left(op, INT32_MAX);
    return true;
}

static bool delete (struct topics_command *command, struct failure *failure)
{
    struct client_op op;
    struct delete_topics_request request;
    struct delete_topics_response response;
    struct admin_topics topics;
    if (!topics_find(command, !options_has(&command->tool.options, "if-exists"), &topics, failure))
        return false;
    client_op_begin(&op, command->client, "deleteTopics", &command->arena);
    for (bool done = topics.count == 0; !done;) {
        if (!fill_deletion(&op, &topics, &request, failure) ||
            !client_call(&op, CLIENT_CONTROLLER, API_DELETE_TOPICS, &request, &response, failure))
            return false;
        done = true;
        for (int32_t i = 0; i < response.responses_count && done; i++) {
            int16_t error = response.responses[i].error_code;
            if (error == 0)
                continue;
            if (error != KAFKA_ERROR_NOT_CONTROLLER)
                return failure_set_error(failure, error, response.responses[i].error_message);
            if (!client_retry(&op, error, STR_NULL, failure))
                return false;
            done = false;
        }
    }
    if (command->tool.json)
        print_names_json("deleted", &topics);
    return true;
}

/* Which options go with which action: 0 list, 1 describe, 2 create, 3 alter, 4 delete. */
static bool check_combinations(const struct tool *tool)
{
    static const struct {
        const char *option, *with; /* digits of the actions that take it */
    } rules[] = {
        {"config", "2"},
        {"partitions", "23"},
        {"replication-factor", "2"},
        {"replica-assignment", "23"},
        {"under-replicated-partitions", "1"},
        {"under-min-isr-partitions", "1"},
        {"at-min-isr-partitions", "1"},
        {"unavailable-partitions", "1"},
        {"topics-with-overrides", "1"},
        {"if-exists", "341"},
        {"if-not-exists", "2"},
        {"exclude-internal", "01"},
    };
    static const char *const reports[] = {"under-replicated-partitions", "under-min-isr-partitions",
                                          "at-min-isr-partitions", "unavailable-partitions"};
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        for (size_t a = 0; a < ARRAY_LEN(actions); a++)
            if (strchr(rules[i].with, '0' + (int)a) == NULL &&
                !tool_exclude(tool, rules[i].option, actions[a]))
                return false;
    if (options_has(&tool->options, "create") &&
        (!tool_exclude(tool, "replica-assignment", "partitions") ||
         !tool_exclude(tool, "replica-assignment", "replication-factor")))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(reports); i++)
        if (!tool_exclude(tool, reports[i], "topics-with-overrides"))
            return false;
    return true;
}

/* The exit code, or -1 to go on. */
static int check_options(struct tool *tool)
{
    const struct options *options = &tool->options;
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        count += options_has(options, actions[i]);
    if (count != 1)
        return tool_usage(tool, "Command must include exactly one action: --list, --describe, "
                                "--create, --alter or --delete");
    if (!options_has(options, "bootstrap-server")) {
        struct failure failure;
        failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST, "--bootstrap-server must be specified");
        return tool_fail(tool, &failure);
    }
    if (options_has(options, "delete-config"))
        fputs("delete-config option is no longer supported and deprecated since version 4.0. The "
              "config will be fully removed in future releases.\n",
              stderr);
    if (!options_has(options, "list") && !options_has(options, "describe") &&
        !tool_require(tool, "topic"))
        return 1;
    if (options_has(options, "alter")) {
        if (options_has(options, "config"))
            return tool_usage(tool, "Option combination \"[[bootstrap-server], [config]]\" can't "
                                    "be used with option \"[alter]\" (To alter topic "
                                    "configurations, the kafka-configs tool can be used.)");
        if (!tool_require(tool, "partitions"))
            return 1;
    }
    return check_combinations(tool) ? -1 : 1;
}

/* What goes wrong once the client is there is said on standard output. */
static int run_action(struct topics_command *command)
{
    static bool (*const runs[])(struct topics_command *,
                                struct failure *) = {list, topics_describe, create, alter, delete};
    struct failure failure;
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (!options_has(&command->tool.options, actions[i]) || runs[i](command, &failure))
            continue;
        if (command->tool.json)
            return tool_fail(&command->tool, &failure);
        printf("Error while executing topic command : %s\n", failure.text);
        return 1;
    }
    return 0;
}

static int run(struct tool *tool)
{
    struct topics_command *command = CONTAINER_OF(tool, struct topics_command, tool);
    struct options *options = &command->tool.options;
    const char *bootstrap, *config_path;
    struct failure failure;
    int code = check_options(&command->tool);
    if (code >= 0)
        return code;
    if (options_value(options, "bootstrap-server", &bootstrap) != 0 ||
        options_value(options, "command-config", &config_path) != 0)
        return tool_fail_options(&command->tool);
    arena_init(&command->arena, 0);
    client_config_init(&command->config, "adminclient-1");
    if (!client_config_read(&command->config, config_path, &failure) ||
        !client_new(bootstrap, CLIENT_OF_BROKERS, &command->config, &command->client, &failure))
        code = tool_fail(&command->tool, &failure);
    else
        code = run_action(command);
    client_free(command->client);
    client_config_release(&command->config);
    arena_release(&command->arena);
    return code;
}

int topics_main(int argc, char **argv)
{
    struct topics_command command = {0};
    return tool_main(&command.tool, "Creates, deletes, describes and changes topics.", specs,
                     TOOL_NEEDS_WORDS, argc, argv, run);
}
