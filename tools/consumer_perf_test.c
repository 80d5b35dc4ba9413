/*
 * kafka-consumer-perf-test: reads many records and tells how fast that was. It reads all partitions
 * by itself, without a group, so no time goes into joining one.
 */
#include "common/base/check.h"
#include "tools/console_options.h"
#include "tools/date_format.h"
#include "tools/fetch_client.h"
#include "tools/metric_table.h"
#include "tools/signals.h"
#include "tools/topic_filter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define MEGABYTE (1024.0 * 1024.0)

static const struct option_spec specs[] = {
    {"bootstrap-server", OPTION_VALUE, "server to connect to",
     "Required: the brokers to connect to first, as host:port,..."},
    {"command-config", OPTION_VALUE, "config file", "A file of properties for the consumer."},
    {"command-property", OPTION_VALUE, "prop1=val1",
     "A property for the consumer, as key=value. May be given several times."},
    {"consumer.config", OPTION_VALUE, "config file", "The old name of --command-config."},
    {"date-format", OPTION_VALUE, "date format", "How times are printed, as in SimpleDateFormat.",
     .fallback = "yyyy-MM-dd HH:mm:ss:SSS"},
    {"fetch-size", OPTION_VALUE, "size", "Bytes that are read of a partition at a time at most.",
     .fallback = "1048576"},
    {"from-latest", OPTION_FLAG, NULL, "Begin at the end, not at the start."},
    {"group", OPTION_VALUE, "gid", "Refused: this consumer does not know consumer groups."},
    {"hide-header", OPTION_FLAG, NULL, "Leave the header out."},
    {"include", OPTION_VALUE, "Java regex (String)",
     "The topics to read, as a regular expression."},
    {"messages", OPTION_VALUE, "count", "The old name of --num-records."},
    {"num-records", OPTION_VALUE, "count", "Required: how many records to read."},
    {"print-metrics", OPTION_FLAG, NULL, "Print what the consumer counted."},
    {"reporting-interval", OPTION_VALUE, "interval_ms",
     "The milliseconds between two lines of --show-detailed-stats.", .fallback = "5000"},
    {"show-detailed-stats", OPTION_FLAG, NULL, "Print a line for each interval, none for all."},
    {"socket-buffer-size", OPTION_VALUE, "size", "Accepted; the system sizes its buffers itself.",
     .fallback = "2097152"},
    {"timeout", OPTION_MAYBE, "milliseconds", "How long to wait for the next record.",
     .fallback = "10000"},
    {"topic", OPTION_VALUE, "topic", "The topic to read."},
    TOOL_COMMON_OPTIONS,
};

struct progress {
    int64_t at_ms; /* of the wall clock */
    int64_t records, bytes;
};

struct command {
    struct tool tool;
    struct client_config config;
    struct fetch_config fetch;
    struct client *client;
    struct fetch_client *fetcher;
    struct topic_filter *filter;
    struct signals signals;
    const char *bootstrap, *topic, *include, *date_format;
    const char *count_option, *file_option; /* the old names, where they were given */
    int64_t wanted, interval_ms, timeout_ms;
    struct progress began, reported, now;
};

/* --- options ---------------------------------------------------------------------------------- */

static bool exactly_one(const struct tool *tool, const char *a, const char *b)
{
    if (options_has(&tool->options, a) != options_has(&tool->options, b))
        return true;
    tool_usage(tool, "Exactly one of the following arguments is required: [%s], [%s]", a, b);
    return false;
}

static bool check_options(struct command *command)
{
    struct tool *tool = &command->tool;
    return tool_require(tool, "bootstrap-server") && exactly_one(tool, "messages", "num-records") &&
           exactly_one(tool, "topic", "include") &&
           tool_exclude(tool, "consumer.config", "command-config");
}

static const char *name_of(const struct tool *tool, const char *name, const char *old)
{
    if (!options_has(&tool->options, old))
        return name;
    if (!tool->json)
        printf("Warning: --%s is deprecated. Use --%s instead.\n", old, name);
    return old;
}

static bool read_options(struct command *command, struct failure *failure)
{
    struct options *options = &command->tool.options;
    int64_t ignored;
    if (options_long(options, command->count_option, &command->wanted) != 0 ||
        options_long(options, "reporting-interval", &command->interval_ms) != 0 ||
        options_long(options, "timeout", &command->timeout_ms) != 0 ||
        options_long(options, "socket-buffer-size", &ignored) != 0 ||
        options_value(options, "date-format", &command->date_format) != 0 ||
        options_value(options, "bootstrap-server", &command->bootstrap) != 0 ||
        options_value(options, "topic", &command->topic) != 0 ||
        options_value(options, "include", &command->include) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", options->error);
    if (command->interval_ms <= 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Reporting interval must be greater than 0.");
    return date_format_check(command->date_format, failure);
}

static bool configure(struct command *command, struct failure *failure)
{
    struct tool *tool = &command->tool;
    struct client_config *config = &command->config;
    if (!read_options(command, failure))
        return false;
    struct str reset = options_has(&tool->options, "from-latest") ? STR("latest") : STR("earliest");
    if (!console_read_config(tool, command->file_option, "command-property", config, failure) ||
        !console_merge(tool, "fetch-size", "max.partition.fetch.bytes", config, failure) ||
        !client_config_set(config, STR("auto.offset.reset"), reset, failure) ||
        !client_config_set(config, STR("check.crcs"), STR("false"), failure) ||
        !fetch_config_read(config, &command->fetch, failure))
        return false;
    if (options_has(&tool->options, "group") ||
        !str_is_null(properties_get(&config->properties, STR("group.id"))))
        return failure_set(failure, KAFKA_ERROR_UNSUPPORTED_VERSION,
                           "This consumer does not know consumer groups. Without a group it reads "
                           "all partitions.");
    return command->include == NULL ||
           topic_filter_of_regex(command->include, &command->filter, failure);
}

/* --- what is printed -------------------------------------------------------------------------- */

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void print_header(const struct command *command)
{
    if (options_has(&command->tool.options, "hide-header") || command->tool.json)
        return;
    printf("%s, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, "
           "fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n",
           options_has(&command->tool.options, "show-detailed-stats") ? "time, threadId"
                                                                      : "start.time, end.time");
    fflush(stdout);
}

static double per_second(double amount, int64_t elapsed_ms)
{
    return elapsed_ms > 0 ? 1000.0 * amount / (double)elapsed_ms : 0;
}

/* What stands behind the times: `from` until now, the amounts since the beginning. */
static void append_amounts(const struct command *command, const struct progress *from,
                           struct bytebuf *text)
{
    const struct progress *now = &command->now;
    int64_t elapsed_ms = now->at_ms - from->at_ms;
    double bytes = per_second((double)(now->bytes - from->bytes) / MEGABYTE, elapsed_ms),
           records = per_second((double)(now->records - from->records), elapsed_ms);
    bytebuf_printf(text, ", %.4f, %.4f, %" PRId64 ", %.4f, 0, %" PRId64 ", %.4f, %.4f\n",
                   (double)now->bytes / MEGABYTE, bytes, now->records, records, elapsed_ms, bytes,
                   records);
}

static void print_line(const struct command *command, const struct progress *from, bool total)
{
    struct bytebuf text;
    bytebuf_init(&text);
    if (total) {
        date_format_append(command->date_format, from->at_ms, &text);
        bytebuf_append(&text, ", ", 2);
    }
    date_format_append(command->date_format, command->now.at_ms, &text);
    if (!total)
        bytebuf_append(&text, ", 0", 3);
    append_amounts(command, from, &text);
    fwrite(text.data, 1, text.len, stdout);
    fflush(stdout);
    bytebuf_release(&text);
}

static void report(struct command *command)
{
    if (command->now.at_ms - command->reported.at_ms < command->interval_ms)
        return;
    if (options_has(&command->tool.options, "show-detailed-stats") && !command->tool.json)
        print_line(command, &command->reported, false);
    command->reported = command->now;
}

static void print_results(const struct command *command)
{
    int64_t elapsed_ms = command->now.at_ms - command->began.at_ms;
    const struct metric metrics[] = {
        {"bytes-consumed-rate", per_second((double)command->now.bytes, elapsed_ms)},
        {"bytes-consumed-total", (double)command->now.bytes},
        {"records-consumed-rate", per_second((double)command->now.records, elapsed_ms)},
        {"records-consumed-total", (double)command->now.records},
    };
    if (command->tool.json) {
        json_t *out = metric_table_json(metrics, ARRAY_LEN(metrics));
        json_object_set_new(out, "elapsed-ms", json_integer(elapsed_ms));
        tool_print_json(out);
        return;
    }
    if (command->now.records < command->wanted)
        printf("WARNING: Exiting before consuming the expected number of records: timeout (%" PRId64
               " ms) exceeded. You can use the --timeout option to increase the timeout.\n",
               command->timeout_ms);
    if (!options_has(&command->tool.options, "show-detailed-stats"))
        print_line(command, &command->began, true);
    if (options_has(&command->tool.options, "print-metrics"))
        metric_table_print("consumer-fetch-manager-metrics", command->config.client_id, metrics,
                           ARRAY_LEN(metrics));
}

/* --- the test --------------------------------------------------------------------------------- */

static bool consume(struct command *command, struct failure *failure)
{
    struct fetched_record record;
    int rv = 1;
    command->began.at_ms = wall_ms();
    command->reported = command->now = command->began;
    while (rv == 1 && command->now.records < command->wanted) {
        rv = fetch_client_next(command->fetcher, MIN(command->timeout_ms, INT32_MAX), &record,
                               failure);
        command->now.at_ms = wall_ms();
        if (rv != 1)
            break;
        command->now.records++;
        command->now.bytes += MAX(record.record.key.len, 0) + MAX(record.record.value.len, 0);
        report(command);
    }
    command->now.at_ms = wall_ms();
    return rv >= 0;
}

static bool run_test(struct command *command, struct failure *failure)
{
    command->count_option = name_of(&command->tool, "num-records", "messages");
    command->file_option = name_of(&command->tool, "command-config", "consumer.config");
    print_header(command);
    if (!configure(command, failure) || !client_new(command->bootstrap, CLIENT_OF_BROKERS,
                                                    &command->config, &command->client, failure))
        return false;
    command->fetcher = fetch_client_new(command->client, &command->config, &command->fetch);
    if (command->filter != NULL)
        fetch_client_add_filter(command->fetcher, command->filter);
    else
        fetch_client_add_topic(command->fetcher, str_of(command->topic));
    fetch_client_set_cancel(command->fetcher, command->signals.fd);
    if (!consume(command, failure))
        return false;
    print_results(command);
    return true;
}

static int run(struct tool *tool)
{
    struct command *command = CONTAINER_OF(tool, struct command, tool);
    struct failure failure;
    if (!check_options(command))
        return 1;
    client_config_init(&command->config, "perf-consumer-client");
    command->config.is_admin = false;
    command->config.failed_to_create = "Failed to construct kafka consumer\n";
    signals_open(&command->signals);
    int code = run_test(command, &failure) ? 0 : tool_fail(tool, &failure);
    int stopped_by = signals_take(&command->signals);
    signals_close(&command->signals);
    fetch_client_free(command->fetcher);
    client_free(command->client);
    topic_filter_free(command->filter);
    client_config_release(&command->config);
    return stopped_by ? 128 + stopped_by : code;
}

int consumer_perf_test_main(int argc, char **argv)
{
    struct command command = {0};
    return tool_main(&command.tool, "This tool is used to verify the consumer performance.", specs,
                     TOOL_NEEDS_WORDS | TOOL_REFUSES_AT_LENGTH, argc, argv, run);
}
