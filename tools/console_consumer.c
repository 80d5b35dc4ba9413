/* kafka-console-consumer: records of topics to standard output. */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "tools/console_options.h"
#include "tools/fetch_client.h"
#include "tools/record_formatter.h"
#include "tools/signals.h"
#include "tools/tool_log.h"
#include "tools/topic_filter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

static const struct option_spec specs[] = {
    {"bootstrap-server", OPTION_VALUE, "server to connect to",
     "Required: the brokers to connect to first, as host:port,..."},
    {"command-config", OPTION_VALUE, "config file", "A file of properties for the consumer."},
    {"command-property", OPTION_VALUE, "consumer_prop",
     "A property for the consumer, as key=value. May be given several times."},
    {"consumer-property", OPTION_VALUE, "consumer_prop", "The old name of --command-property."},
    {"consumer.config", OPTION_VALUE, "config file", "The old name of --command-config."},
    {"enable-systest-events", OPTION_FLAG, NULL, "Print a line at the end, for test systems."},
    {"formatter", OPTION_VALUE, "class",
     "How records are printed: the Default-, Logging-, NoOp-, Offsets-, GroupMetadata- or "
     "TransactionLogMessageFormatter of org.apache.kafka.tools.consumer, or its "
     "group.share.ShareGroupStateMessageFormatter.",
     .fallback = "org.apache.kafka.tools.consumer.DefaultMessageFormatter"},
    {"formatter-config", OPTION_VALUE, "config file", "A file of properties for the formatter."},
    {"formatter-property", OPTION_VALUE, "prop",
     "What is printed, as key=value: print.timestamp, print.partition, print.offset, print.epoch, "
     "print.delivery, print.headers, print.key, print.value (true or false), key.separator, "
     "line.separator, headers.separator, null.literal, and key.deserializer, value.deserializer, "
     "headers.deserializer (classes of Kafka's own). May be given several times."},
    {"from-beginning", OPTION_FLAG, NULL, "Begin with the earliest record, not with the next one."},
    {"group", OPTION_VALUE, "consumer group id",
     "The consumer group to belong to. Without it all partitions are read and nothing is "
     "committed."},
    {"include", OPTION_VALUE, "Java regex (String)",
     "The topics to read: all whose whole name matches this regular expression."},
    {"isolation-level", OPTION_VALUE, "String",
     "read_committed leaves out what belongs to open or aborted transactions.",
     .fallback = "read_uncommitted"},
    {"key-deserializer", OPTION_VALUE, "deserializer for keys",
     "The same as the formatter's property key.deserializer."},
    {"max-messages", OPTION_VALUE, "Integer: num_messages", "End after so many records."},
    {"offset", OPTION_VALUE, "consume offset",
     "Where to begin in the partition: an offset, earliest or latest.", .fallback = "latest"},
    {"partition", OPTION_VALUE, "Integer: partition", "Read this partition only."},
    {"property", OPTION_VALUE, "prop", "The old name of --formatter-property."},
    {"skip-message-on-error", OPTION_FLAG, NULL,
     "Go on with the next record where one cannot be printed."},
    {"timeout-ms", OPTION_VALUE, "Long: timeout_ms", "End when no record has come for so long."},
    {"topic", OPTION_VALUE, "topic", "The topic to read."},
    {"value-deserializer", OPTION_VALUE, "deserializer for values",
     "The same as the formatter's property value.deserializer."},
    TOOL_COMMON_OPTIONS,
};

static const struct console_alias aliases[] = {{"formatter-property", "property"},
                                               {"command-property", "consumer-property"},
                                               {"command-config", "consumer.config"}};
enum { FORMATTER_PROPERTY, COMMAND_PROPERTY, COMMAND_CONFIG };

enum { OUTPUT_BUFFER_BYTES = 1 << 16 };

struct command {
    struct tool tool;
    const char *bootstrap, *topic, *include;
    int32_t partition; /* -1: all */
    int64_t offset;    /* FETCH_FROM_RESET: by the configuration */
    int64_t timeout_ms;
    int32_t max_messages; /* -1: no end */
    struct client_config config;
    struct properties formatter_properties;
    struct fetch_config fetch;
    struct record_formatter formatter;
    struct topic_filter *filter;
    struct client *client;
    struct fetch_client *fetcher;
    struct signals signals;
    int64_t processed;
};

/* What can be said without looking at values. False: a usage error was printed. */
static bool check_options(const struct tool *tool)
{
    const struct options *options = &tool->options;
    if (options_has(options, "topic") == options_has(options, "include")) {
        tool_usage(tool, "Exactly one of the following arguments is required: [topic], [include]");
        return false;
    }
    if (options_has(options, "partition")) {
        if (!options_has(options, "topic")) {
            tool_usage(tool, "The topic is required when partition is specified.");
            return false;
        }
        if (options_has(options, "group")) {
            tool_usage(tool, "Options group and partition cannot be specified together.");
            return false;
        }
        if (options_has(options, "from-beginning") && options_has(options, "offset")) {
            tool_usage(tool, "Options from-beginning and offset cannot be specified together.");
            return false;
        }
    } else if (options_has(options, "offset")) {
        tool_usage(tool, "The partition is required when offset is specified.");
        return false;
    }
    if (!tool_require(tool, "bootstrap-server"))
        return false;
    return console_check_together(tool, "property", "formatter-property") &&
           console_check_together(tool, "consumer-property", "command-property") &&
           console_check_together(tool, "consumer.config", "command-config");
}

static bool bad_option(const struct command *command, struct failure *failure)
{
    return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", command->tool.options.error);
}

static bool read_numbers(struct command *command, struct failure *failure)
{
    struct options *options = &command->tool.options;
    command->partition = -1;
    command->max_messages = -1;
    command->timeout_ms = INT64_MAX;
    bool ok = (options_value(options, "bootstrap-server", &command->bootstrap) == 0 &&
               options_value(options, "topic", &command->topic) == 0 &&
               options_value(options, "include", &command->include) == 0 &&
               options_int(options, "partition", &command->partition) == 0 &&
               options_int(options, "max-messages", &command->max_messages) == 0 &&
               options_long(options, "timeout-ms", &command->timeout_ms) == 0);
    /* Less than nothing is no limit. */
    if (ok && command->timeout_ms < 0)
        command->timeout_ms = INT64_MAX;
    return ok || bad_option(command, failure);
}

/* -1: refused with the usage; 0: read; 1: the failure. */
static int read_offset(struct command *command, struct failure *failure)
{
    struct tool *tool = &command->tool;
    const char *text;
    command->offset = FETCH_FROM_RESET;
    if (options_value(&tool->options, "offset", &text) != 0) {
        bad_option(command, failure);
        return 1;
    }
    if (!options_has(&tool->options, "offset"))
        return 0;
    struct client_config *config = &command->config;
    if (strcasecmp(text, "earliest") == 0 || strcasecmp(text, "latest") == 0) {
        bool earliest = strcasecmp(text, "earliest") == 0;
        return client_config_set(config, STR("auto.offset.reset"),
                                 earliest ? STR("earliest") : STR("latest"), failure)
                   ? 0
                   : 1;
    }
    if (str_to_i64(str_of(text), &command->offset) == 0 && command->offset >= 0)
        return 0;
    tool_usage(tool,
               "The provided offset value '%s' is incorrect. Valid values are 'earliest', "
               "'latest', or a non-negative long.",
               text);
    return -1;
}

static bool set_reset(struct command *command, struct failure *failure)
{
    struct str given = properties_get(&command->config.properties, STR("auto.offset.reset"));
    if (!options_has(&command->tool.options, "from-beginning"))
        return true;
    if (!str_is_null(given) && !str_eq_z(given, "earliest"))
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "Can't simultaneously specify --from-beginning and "
                           "'auto.offset.reset=%.*s', please remove one option",
                           STR_FMT(given));
    return client_config_set(&command->config, STR("auto.offset.reset"), STR("earliest"), failure);
}

/* As read_offset. */
static int check_group(struct command *command, struct failure *failure)
{
    struct tool *tool = &command->tool;
    const char *group;
    struct str configured = properties_get(&command->config.properties, STR("group.id"));
    if (options_value(&tool->options, "group", &group) != 0) {
        bad_option(command, failure);
        return 1;
    }
    if (group != NULL && !str_is_null(configured) && !str_eq_z(configured, group)) {
        tool_usage(tool,
                   "The group ids provided in different places (directly using '--group', via "
                   "'--consumer-property', or via '--consumer.config') do not match. Detected "
                   "group ids: '%s', '%.*s'",
                   group, STR_FMT(configured));
        return -1;
    }
    if (command->partition >= 0 || (group == NULL && str_is_null(configured)))
        return 0;
    struct str name = group != NULL ? str_of(group) : configured;
    failure_set(failure, KAFKA_ERROR_UNSUPPORTED_VERSION,
                "Group %.*s cannot be joined: this consumer does not know consumer groups. Without "
                "a group it reads all partitions.",
                STR_FMT(name));
    return 1;
}

static bool read_formatter(struct command *command, const char *property_option,
                           struct failure *failure)
{
    static const struct {
        const char *option, *key;
    } deserializers[] = {{"key-deserializer", "key.deserializer"},
                         {"value-deserializer", "value.deserializer"}};
    struct tool *tool = &command->tool;
    if (!console_add_file(tool, "formatter-config", &command->formatter_properties, failure) ||
        !console_add_properties(tool, property_option, &command->formatter_properties, failure))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(deserializers); i++) {
        const char *class_name;
        if (options_value(&tool->options, deserializers[i].option, &class_name) != 0)
            return bad_option(command, failure);
        if (class_name != NULL)
            properties_set(&command->formatter_properties, str_of(deserializers[i].key),
                           str_of(class_name), 0);
    }
    return true;
}

static bool find_topics(struct command *command, struct failure *failure)
{
    if (command->include == NULL)
        return command->topic[0] != '\0' ||
               failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Topic collection to subscribe to cannot contain null or empty topic");
    if (command->include[0] == '\0')
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Topic pattern to subscribe to cannot be empty");
    return topic_filter_of_regex(command->include, &command->filter, failure);
}

/* What Kafka's consumer says where it would join a group in the old way. */
static void print_hint(const struct command *command)
{
    struct str protocol = properties_get(&command->config.properties, STR("group.protocol"));
    if (options_has(&command->tool.options, "partition") || str_eq_z(protocol, "consumer") ||
        command->tool.json)
        return;
    fputs("The consumer rebalance protocol (KIP-848) is production-ready! Set "
          "group.protocol=consumer to try it out. See "
          "https://kafka.apache.org/documentation/#consumer_rebalance_protocol\n",
          stderr);
}

/* The exit code, or -1 to go on. */
static int configure(struct command *command)
{
    struct tool *tool = &command->tool;
    const char *names[ARRAY_LEN(aliases)], *class_name;
    struct failure failure;
    enum record_formatter_kind kind;
    if (!read_numbers(command, &failure) || options_value(&tool->options, "formatter", &class_name))
        return tool_fail(tool, &failure);
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
        names[i] = console_name(tool, &aliases[i], "Option");
    if (!record_formatter_find(str_of(class_name), &kind))
        return tool_usage(tool, "%s", class_name);
    if (!console_read_config(tool, names[COMMAND_CONFIG], names[COMMAND_PROPERTY], &command->config,
                             &failure))
        return tool_fail(tool, &failure);
    int rv = read_offset(command, &failure);
    if (rv != 0)
        return rv < 0 ? 1 : tool_fail(tool, &failure);
    if (!set_reset(command, &failure))
        return tool_fail(tool, &failure);
    rv = check_group(command, &failure);
    if (rv != 0)
        return rv < 0 ? 1 : tool_fail(tool, &failure);
    if (!console_merge(tool, "isolation-level", "isolation.level", &command->config, &failure) ||
        !fetch_config_read(&command->config, &command->fetch, &failure))
        return tool_fail(tool, &failure);
    if (!read_formatter(command, names[FORMATTER_PROPERTY], &failure))
        return tool->json ? tool_fail(tool, &failure) : tool_usage(tool, "%s", failure.text);
    if (!client_new(command->bootstrap, CLIENT_OF_BROKERS, &command->config, &command->client,
                    &failure))
        return tool_fail(tool, &failure);
    print_hint(command);
    record_formatter_init(&command->formatter, kind, &command->formatter_properties);
    return find_topics(command, &failure) ? -1 : tool_fail(tool, &failure);
}

static json_t *json_of_data(enum deserializer deserializer, struct bytes data)
{
    struct bytebuf text;
    struct failure failure;
    if (data.len < 0)
        return json_null();
    bytebuf_init(&text);
    json_t *json = deserializer_append(deserializer, data, &text, &failure)
                       ? tool_json_str(str_from((const char *)text.data, text.len))
                       : tool_json_str(str_from((const char *)data.data, (size_t)data.len));
    bytebuf_release(&text);
    return json;
}

/* One document a line. */
static void print_json(const struct record_formatter *f, const struct fetched_record *from)
{
    json_t *document = json_object(), *headers = json_array();
    struct record_headers left = from->record.headers;
    struct record_header header;
    while (record_headers_next(&left, &header)) {
        json_t *entry = json_object();
        json_object_set_new(entry, "key", tool_json_str(header.key));
        json_object_set_new(entry, "value", json_of_data(f->headers_deserializer, header.value));
        json_array_append_new(headers, entry);
    }
    json_object_set_new(document, "topic", tool_json_str(from->topic));
    json_object_set_new(document, "partition", json_integer(from->partition));
    json_object_set_new(document, "offset", json_integer(from->record.offset));
    json_object_set_new(document, "timestamp", json_integer(from->record.timestamp));
    json_object_set_new(document, "timestampType",
                        json_string(from->log_append_time ? "LogAppendTime" : "CreateTime"));
    json_object_set_new(document, "headers", headers);
    json_object_set_new(document, "key", json_of_data(f->key_deserializer, from->record.key));
    json_object_set_new(document, "value", json_of_data(f->value_deserializer, from->record.value));
    tool_print_json(document);
}

static bool print_record(struct command *command, const struct fetched_record *record,
                         struct bytebuf *text, struct failure *failure)
{
    if (command->tool.json) {
        print_json(&command->formatter, record);
        return true;
    }
    text->len = 0;
    if (!record_formatter_append(&command->formatter, record, text, failure))
        return false;
    if (text->len > 0)
        fwrite(text->data, 1, text->len, stdout);
    return true;
}

/* As fetch_client_next, and what was printed is shown before this waits. */
static int next_record(struct command *command, struct fetched_record *ret_record,
                       struct failure *failure)
{
    int rv = fetch_client_next(command->fetcher, 0, ret_record, failure);
    if (rv != 0)
        return rv;
    fflush(stdout);
    return fetch_client_next(command->fetcher, MIN(command->timeout_ms, INT32_MAX), ret_record,
                             failure);
}

/* The exit code. */
static int consume(struct command *command)
{
    struct bytebuf text;
    struct fetched_record record;
    struct failure failure;
    int code = 0;
    bytebuf_init(&text);
    while (command->max_messages < 0 || command->processed < command->max_messages) {
        int rv = next_record(command, &record, &failure);
        if (rv < 0)
            tool_log(LOG_ERROR, "consumer", "%s", failure.text);
        if (rv == 0 && command->timeout_ms == INT64_MAX && !signals_take(&command->signals))
            continue;
        if (rv != 1)
            break;
        command->processed++;
        if (print_record(command, &record, &text, &failure))
            continue;
        tool_log(LOG_ERROR, "consumer", "%s-%d at offset %" PRId64 ": %s",
                 command->topic ? command->topic : "", record.partition, record.record.offset,
                 failure.text);
        if (options_has(&command->tool.options, "skip-message-on-error"))
            continue;
        code = 1;
        break;
    }
    bytebuf_release(&text);
    return code;
}

static int run_consumer(struct command *command)
{
    int code = configure(command);
    if (code >= 0)
        return code;
    setvbuf(stdout, NULL, _IOFBF, OUTPUT_BUFFER_BYTES);
    command->fetcher = fetch_client_new(command->client, &command->config, &command->fetch);
    if (command->filter != NULL)
        fetch_client_add_filter(command->fetcher, command->filter);
    else if (command->partition >= 0)
        fetch_client_add_partition(command->fetcher, str_of(command->topic), command->partition,
                                   command->offset);
    else
        fetch_client_add_topic(command->fetcher, str_of(command->topic));
    signals_open(&command->signals);
    fetch_client_set_cancel(command->fetcher, command->signals.fd);
    code = consume(command);
    fflush(stdout);
    fprintf(stderr, "Processed a total of %" PRId64 " messages\n", command->processed);
    if (options_has(&command->tool.options, "enable-systest-events"))
        puts("shutdown_complete");
    int stopped_by = signals_take(&command->signals);
    signals_close(&command->signals);
    return stopped_by ? 128 + stopped_by : code;
}

static int run(struct tool *tool)
{
    struct command *command = CONTAINER_OF(tool, struct command, tool);
    if (!check_options(&command->tool))
        return 1;
    client_config_init(&command->config, "console-consumer");
    command->config.is_admin = false;
    command->config.failed_to_create = "Failed to construct kafka consumer\n";
    properties_init(&command->formatter_properties);
    int code = run_consumer(command);
    fetch_client_free(command->fetcher);
    client_free(command->client);
    topic_filter_free(command->filter);
    properties_release(&command->formatter_properties);
    client_config_release(&command->config);
    return code;
}

int console_consumer_main(int argc, char **argv)
{
    struct command command = {0};
    return tool_main(&command.tool, "Reads records of topics of Kafka and prints them.", specs,
                     TOOL_NEEDS_WORDS | TOOL_REFUSES_AT_LENGTH, argc, argv, run);
}
