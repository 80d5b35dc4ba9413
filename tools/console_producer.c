/* kafka-console-producer: lines of standard input to records of a topic. */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "tools/console_options.h"
#include "tools/line_record.h"
#include "tools/lines.h"
#include "tools/produce_client.h"
#include "tools/signals.h"
#include "tools/tool_log.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const struct option_spec specs[] = {
    {"batch-size", OPTION_VALUE, "size",
     "How many bytes of a partition are sent at once at most, where records wait for each other.",
     .fallback = "16384"},
    {"bootstrap-server", OPTION_VALUE, "server to connect to",
     "Required: the brokers to connect to first, as host:port,..."},
    {"command-config", OPTION_VALUE, "config file", "A file of properties for the producer."},
    {"command-property", OPTION_VALUE, "producer_prop",
     "A property for the producer, as key=value. May be given several times."},
    {"compression-codec", OPTION_MAYBE, "compression-codec",
     "How batches are compressed: none, gzip, snappy, lz4 or zstd; gzip where no name follows."},
    {"line-reader", OPTION_VALUE, "reader_class", "There is one: it makes a record of every line.",
     .fallback = "org.apache.kafka.tools.LineMessageReader"},
    {"max-block-ms", OPTION_VALUE, "max block on send",
     "How long a record waits at most for its topic to be known, or for memory.",
     .fallback = "60000"},
    {"max-memory-bytes", OPTION_VALUE, "total memory in bytes",
     "How much may wait to be sent before reading pauses.", .fallback = "33554432"},
    {"max-partition-memory-bytes", OPTION_VALUE, "memory in bytes per partition",
     "The old name of --batch-size."},
    {"message-send-max-retries", OPTION_VALUE, "Integer",
     "How often a batch is sent again before its records are given up.", .fallback = "3"},
    {"metadata-expiry-ms", OPTION_VALUE, "metadata expiration interval",
     "How old what is known of leaders may become without a sign that it is wrong.",
     .fallback = "300000"},
    {"producer-property", OPTION_VALUE, "producer_prop", "The old name of --command-property."},
    {"producer.config", OPTION_VALUE, "config file", "The old name of --command-config."},
    {"property", OPTION_VALUE, "prop", "The old name of --reader-property."},
    {"reader-config", OPTION_VALUE, "config file", "A file of properties for the reader."},
    {"reader-property", OPTION_VALUE, "prop",
     "How lines are read, as key=value: parse.key=true, key.separator, parse.headers=true, "
     "headers.delimiter, headers.separator, headers.key.separator, null.marker, "
     "ignore.error=true. May be given several times."},
    {"request-required-acks", OPTION_VALUE, "request required acks",
     "Which replicas must have a record before it counts as written: all (or -1), 1 or 0.",
     .fallback = "-1"},
    {"request-timeout-ms", OPTION_VALUE, "request timeout ms",
     "How long an answer may take before the request is sent again.", .fallback = "1500"},
    {"retry-backoff-ms", OPTION_VALUE, "Long", "The pause before a batch is sent again.",
     .fallback = "100"},
    {"socket-buffer-size", OPTION_VALUE, "size", "Accepted; the system sizes its buffers itself.",
     .fallback = "102400"},
    {"sync", OPTION_FLAG, NULL, "Wait for every record before the next line is read."},
    {"timeout", OPTION_VALUE, "timeout_ms", "How long a record waits for others to go with it.",
     .fallback = "1000"},
    {"topic", OPTION_VALUE, "topic", "Required: where records go."},
    TOOL_COMMON_OPTIONS,
};

static const struct console_alias aliases[] = {{"reader-property", "property"},
                                               {"command-property", "producer-property"},
                                               {"command-config", "producer.config"}};
enum { READER_PROPERTY, COMMAND_PROPERTY, COMMAND_CONFIG };

struct command {
    struct tool tool;
    struct client_config config;
    struct properties reader_properties;
    struct produce_config produce;
    struct line_format format;
    struct str topic;
    struct client *client;
    struct produce_client *producer;
    struct signals signals;
    struct lines lines;
    int64_t line_number;
    int64_t sent, failed;
    bool prompt;
    json_t *errors; /* with --format json: [{"line", "error"}] */
};

/* The usage errors. False: one was printed. */
static bool check_options(struct tool *tool)
{
    if (!tool_require(tool, "topic"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
        if (!console_check_together(tool, aliases[i].name, aliases[i].old))
            return false;
    const char *bootstrap;
    if (options_value(&tool->options, "bootstrap-server", &bootstrap) != 0) {
        tool_fail_options(tool);
        return false;
    }
    if (bootstrap == NULL) {
        tool_usage(tool, "Error while validating the bootstrap address\n");
        return false;
    }
    return tool_check_bootstrap(tool, bootstrap);
}

static bool merge_batch_size(struct command *command, struct failure *failure)
{
    struct tool *tool = &command->tool;
    if (options_has(&tool->options, "max-partition-memory-bytes") &&
        !options_has(&tool->options, "batch-size")) {
        if (!tool->json)
            puts("Warning: --max-partition-memory-bytes is deprecated and will be removed in "
                 "Apache Kafka 5.0. Use --batch-size instead.");
        return console_merge(tool, "max-partition-memory-bytes", "batch.size", &command->config,
                             failure);
    }
    return console_merge(tool, "batch-size", "batch.size", &command->config, failure);
}

/* Options count where the properties say nothing else, or where they were given. */
static bool merge_options(struct command *command, struct failure *failure)
{
    static const struct {
        const char *option, *key;
    } merged[] = {
        {"timeout", "linger.ms"},
        {"request-required-acks", "acks"},
        {"request-timeout-ms", "request.timeout.ms"},
        {"message-send-max-retries", "retries"},
        {"retry-backoff-ms", "retry.backoff.ms"},
        {"max-memory-bytes", "buffer.memory"},
        {"metadata-expiry-ms", "metadata.max.age.ms"},
        {"max-block-ms", "max.block.ms"},
    };
    struct options *options = &command->tool.options;
    for (size_t i = 0; i < ARRAY_LEN(merged); i++)
        if (!console_merge(&command->tool, merged[i].option, merged[i].key, &command->config,
                           failure))
            return false;
    const char *codec = "none";
    if (options_count(options, "compression-codec") > 0) {
        if (options_value(options, "compression-codec", &codec) != 0)
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", options->error);
    } else if (options_has(options, "compression-codec")) {
        codec = "gzip";
    }
    return merge_batch_size(command, failure) &&
           client_config_set(&command->config, STR("compression.type"), str_of(codec), failure);
}

/* Numbers are checked before anything else happens. */
static int check_numbers(struct options *options)
{
    static const char *const names[] = {"batch-size",
                                        "max-block-ms",
                                        "max-memory-bytes",
                                        "max-partition-memory-bytes",
                                        "message-send-max-retries",
                                        "metadata-expiry-ms",
                                        "request-timeout-ms",
                                        "retry-backoff-ms",
                                        "socket-buffer-size",
                                        "timeout"};
    int64_t number;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (options_long(options, names[i], &number) != 0)
            return -EINVAL;
    return 0;
}

static bool configure(struct command *command, struct failure *failure)
{
    struct tool *tool = &command->tool;
    const char *names[ARRAY_LEN(aliases)], *reader, *topic;
    if (check_numbers(&tool->options) != 0 ||
        options_value(&tool->options, "line-reader", &reader) != 0 ||
        options_value(&tool->options, "topic", &topic) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", tool->options.error);
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
        names[i] = console_name(tool, &aliases[i], "Warning:");
    command->topic = str_of(topic);
    if (strcmp(reader, "org.apache.kafka.tools.LineMessageReader") != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", reader);
    return console_add_file(tool, "reader-config", &command->reader_properties, failure) &&
           console_add_properties(tool, names[READER_PROPERTY], &command->reader_properties,
                                  failure) &&
           console_read_config(tool, names[COMMAND_CONFIG], names[COMMAND_PROPERTY],
                               &command->config, failure) &&
           merge_options(command, failure) &&
           produce_config_read(&command->config, &command->produce, failure) &&
           line_format_read(&command->reader_properties, &command->format, failure);
}

/* Lengths of key and value, which the message about a failed record names; -1: null. */
static uint64_t tag_of(const struct line_record *record)
{
    return (uint64_t)(uint32_t)record->key.len << 32 | (uint32_t)record->value.len;
}

static void describe(int32_t len, char text[24])
{
    if (len < 0)
        memcpy(text, "null", 5);
    else
        snprintf(text, 24, "%d bytes", len);
}

static void report(struct command *command, uint64_t tag, const struct failure *failure)
{
    char key[24], value[24];
    command->failed++;
    if (command->tool.json) {
        json_t *document = tool_json_of_failure(failure), *error;
        error = json_incref(json_object_get(document, "error"));
        json_array_append_new(command->errors, error);
        json_decref(document);
        return;
    }
    describe((int32_t)(tag >> 32), key);
    describe((int32_t)(uint32_t)tag, value);
    tool_log(LOG_ERROR, "producer",
             "Error when sending message to topic %.*s with key: %s, value: %s with error:",
             STR_FMT(command->topic), key, value);
    fprintf(stderr, "%s\n", failure->text);
}

static void on_done(void *owner, const struct produce_outcome *outcome)
{
    struct command *command = owner;
    if (outcome->failure == NULL)
        command->sent++;
    else
        report(command, outcome->tag, outcome->failure);
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool send_line(struct command *command, struct str line, struct arena *arena,
                      struct failure *failure)
{
    struct line_record record;
    if (!line_record_parse(&command->format, line, ++command->line_number, arena, &record, failure))
        return false;
    struct produce_record out = {
        .topic = command->topic,
        .partition = -1,
        .timestamp_ms = wall_ms(),
        .key = record.key,
        .value = record.value,
        .headers = record.headers,
        .header_count = record.header_count,
        .tag = tag_of(&record),
    };
    if (!str_is_null(properties_get(&command->config.properties, STR("transactional.id"))))
        return failure_set(failure, KAFKA_ERROR_INVALID_TXN_STATE,
                           "Cannot add partition %.*s-0 to transaction before completing a call to "
                           "initTransactions",
                           STR_FMT(command->topic));
    struct failure problem;
    if (!produce_client_send(command->producer, &out, &problem))
        report(command, out.tag, &problem);
    else if (options_has(&command->tool.options, "sync"))
        produce_client_flush(command->producer);
    return true;
}

/* 1 and a line; 0 at the end of the input, or where a signal asks to stop. */
static int next_line(struct command *command, struct str *ret_line, struct failure *failure)
{
    for (;;) {
        int rv = lines_next(&command->lines, ret_line);
        if (rv != -EAGAIN)
            return rv;
        while (!produce_client_wait(command->producer, command->lines.fd, INT32_MAX))
            if (signals_take(&command->signals) != 0)
                return 0;
        rv = lines_fill(&command->lines);
        if (rv == 0)
            continue;
        failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR, "Cannot read the input: %s",
                    strerror(-rv));
        return rv;
    }
}

static bool produce(struct command *command, struct failure *failure)
{
    struct arena arena;
    arena_init(&arena, 0);
    int rv;
    do {
        struct str line;
        if (command->prompt) {
            putchar('>');
            fflush(stdout);
        }
        rv = next_line(command, &line, failure);
        arena_reset(&arena);
        if (rv == 1 && !send_line(command, line, &arena, failure))
            rv = -EINVAL;
    } while (rv == 1 && signals_take(&command->signals) == 0);
    arena_release(&arena);
    produce_client_flush(command->producer);
    return rv >= 0;
}

static void print_json(struct command *command)
{
    json_t *document = json_object();
    json_object_set_new(document, "topic", tool_json_str(command->topic));
    json_object_set_new(document, "sent", json_integer(command->sent));
    json_object_set_new(document, "failed", json_integer(command->failed));
    json_object_set(document, "errors", command->errors);
    tool_print_json(document);
}

static int run_producer(struct command *command, const char *bootstrap)
{
    struct failure failure;
    if (!configure(command, &failure) ||
        !client_new(bootstrap, CLIENT_OF_BROKERS, &command->config, &command->client, &failure))
        return tool_fail(&command->tool, &failure);
    command->producer =
        produce_client_new(command->client, &command->config, &command->produce, on_done, command);
    command->prompt = !command->tool.json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    signals_open(&command->signals);
    produce_client_set_cancel(command->producer, command->signals.fd);
    lines_init(&command->lines, STDIN_FILENO);
    int code = 0;
    if (!produce(command, &failure))
        code = tool_fail(&command->tool, &failure);
    else if (command->tool.json)
        print_json(command);
    int stopped_by = signals_take(&command->signals);
    lines_release(&command->lines);
    signals_close(&command->signals);
    return stopped_by ? 128 + stopped_by : code;
}

static int run(struct tool *tool)
{
    struct command *command = CONTAINER_OF(tool, struct command, tool);
    const char *bootstrap;
    if (!check_options(&command->tool) ||
        options_value(&command->tool.options, "bootstrap-server", &bootstrap) != 0)
        return 1;
    client_config_init(&command->config, "console-producer");
    command->config.is_admin = false;
    command->config.failed_to_create = "Failed to construct kafka producer\n";
    properties_init(&command->reader_properties);
    command->errors = json_array();
    int code = run_producer(command, bootstrap);
    json_decref(command->errors);
    produce_client_free(command->producer);
    client_free(command->client);
    properties_release(&command->reader_properties);
    client_config_release(&command->config);
    return code;
}

int console_producer_main(int argc, char **argv)
{
    struct command command = {0};
    return tool_main(&command.tool,
                     "Reads lines from standard input and writes them to a topic of Kafka.", specs,
                     TOOL_NEEDS_WORDS | TOOL_REFUSES_AT_LENGTH, argc, argv, run);
}
