/* kafka-producer-perf-test: writes many records to a topic and tells how fast that was. */
#include "common/base/check.h"
#include "tools/args.h"
#include "tools/perf_payload.h"
#include "tools/perf_stats.h"
#include "tools/produce_client.h"
#include "tools/signals.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PROPERTY "PROP-NAME=PROP-VALUE"

enum { PAYLOAD = 1 };

static const struct args_option options[] = {
    {"bootstrap-server", 0, true, false, 0,
     "The brokers to connect to first, as host:port,...; counts before bootstrap.servers.",
     .value = "BOOTSTRAP-SERVER"},
    {"topic", 0, true, true, 0, "Where records go.", .value = "TOPIC"},
    {"num-records", 0, true, true, 0, "How many records to write.", .value = "NUM-RECORDS"},
    {"payload-delimiter", 0, true, false, 0,
     "What stands between two payloads of --payload-file, as a regular expression (\\n).",
     .value = "PAYLOAD-DELIMITER"},
    {"throughput", 0, true, true, 0, "About how many records a second at most; -1: no limit.",
     .value = "THROUGHPUT"},
    {"producer-props", 0, true, false, 0, "The old name of --command-property.", .value = PROPERTY,
     .many = true},
    {"command-property", 0, true, false, 0,
     "Settings of the producer, which count before those of --command-config.", .value = PROPERTY,
     .many = true},
    {"producer.config", 0, true, false, 0, "The old name of --command-config.",
     .value = "CONFIG-FILE"},
    {"command-config", 0, true, false, 0, "A file of settings of the producer.",
     .value = "CONFIG-FILE"},
    {"print-metrics", 0, false, false, 0, "Print what the producer counted."},
    {"transactional-id", 0, true, false, 0, "Write in transactions, under this id.",
     .value = "TRANSACTIONAL-ID"},
    {"transaction-duration-ms", 0, true, false, 0,
     "How long a transaction lasts (3000); asks for transactions.",
     .value = "TRANSACTION-DURATION"},
    {"warmup-records", 0, true, false, 0,
     "So many of the first records do not count in a second line of results (0).",
     .value = "WARMUP-RECORDS"},
    {"reporting-interval", 0, true, false, 0,
     "The milliseconds between two lines of progress "
     "(5000).",
     .value = "INTERVAL-MS"},
    {"record-size", 0, true, true, PAYLOAD, "The bytes of a record, random letters.",
     .number = true, .value = "RECORD-SIZE"},
    {"payload-file", 0, true, true, PAYLOAD, "A file of payloads, which are picked at random.",
     .value = "PAYLOAD-FILE"},
    {"payload-monotonic", 0, false, true, PAYLOAD, "Payloads are growing numbers."},
    {NULL},
};

static const struct args_tool description = {
    .name = "kafka-producer-perf-test",
    .purpose = "Measures how fast a producer writes.",
    .globals = options,
};

struct command {
    struct args args;
    struct client_config config;
    struct produce_config produce;
    struct client *client;
    struct produce_client *producer;
    struct signals signals;
    struct perf_payload payload;
    struct perf_stats stats, steady_stats;
    struct str topic;
    int64_t records, warmup_records, interval_ms, duration_ms, record_size;
    double throughput;
    bool transactional;
    int64_t began_ms;
};

/* --- what was asked for ----------------------------------------------------------------------- */

/* False: it was said what is wrong. */
static bool read_number(const struct command *command, const char *name, int64_t *in_out_value)
{
    char sentence[256];
    const char *text = args_value(&command->args, name);
    if (text == NULL || str_to_i64(str_of(text), in_out_value) == 0)
        return true;
    snprintf(sentence, sizeof(sentence),
             "argument --%s: could not convert '%s' to Long (For input string: \"%s\")", name, text,
             text);
    args_refuse(&command->args, &description, sentence);
    return false;
}

static bool read_throughput(struct command *command)
{
    char sentence[256], *end;
    const char *text = args_value(&command->args, "throughput");
    command->throughput = strtod(text, &end);
    if (end > text && *end == '\0' && !isnan(command->throughput))
        return true;
    snprintf(sentence, sizeof(sentence),
             "argument --throughput: could not convert '%s' to Double (For input string: \"%s\")",
             text, text);
    args_refuse(&command->args, &description, sentence);
    return false;
}

/* What is wrong with the options together; NULL: nothing. */
static const char *find_fault(const struct command *command)
{
    static const char *const sources[] = {"bootstrap-server", "command-property", "producer-props",
                                          "producer.config", "command-config"};
    const struct args *args = &command->args;
    bool sourced = false;
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        sourced = sourced || args_has(args, sources[i]);
    if (!sourced)
        return "At least one of --bootstrap-server, --command-property, --producer-props, "
               "--producer.config or --command-config must be specified.";
    if (args_has(args, "command-property") && args_has(args, "producer-props"))
        return "--command-property and --producer-props cannot be specified together.";
    if (args_has(args, "command-config") && args_has(args, "producer.config"))
        return "--command-config and --producer.config cannot be specified together.";
    if (args_has(args, "transaction-duration-ms") && command->duration_ms <= 0)
        return "--transaction-duration-ms should be greater than zero.";
    if (command->records <= 0)
        return "--num-records should be greater than zero.";
    if (args_has(args, "record-size") && command->record_size <= 0)
        return "--record-size should be greater than zero.";
    if (command->warmup_records >= command->records)
        return "The value for --warmup-records must be strictly fewer than the number of records "
               "in the test, --num-records.";
    return command->interval_ms > 0 ? NULL : "--reporting-interval should be greater than zero.";
}

static bool read_options(struct command *command)
{
    command->interval_ms = 5000;
    if (!read_number(command, "num-records", &command->records) || !read_throughput(command) ||
        !read_number(command, "transaction-duration-ms", &command->duration_ms) ||
        !read_number(command, "warmup-records", &command->warmup_records) ||
        !read_number(command, "reporting-interval", &command->interval_ms) ||
        !read_number(command, "record-size", &command->record_size))
        return false;
    command->topic = str_of(args_value(&command->args, "topic"));
    const char *fault = find_fault(command);
    if (fault != NULL)
        args_refuse(&command->args, &description, fault);
    return fault == NULL;
}

static const char *name_of(const struct args *args, const char *name, const char *old)
{
    if (!args_has(args, old))
        return name;
    if (!args->json)
        printf("Option --%s has been deprecated and will be removed in a future version. Use --%s "
               "instead.\n",
               old, name);
    return old;
}

static bool set_properties(struct command *command, const char *option, struct failure *failure)
{
    const char *pair;
    for (size_t i = 0; (pair = args_value_at(&command->args, option, i)) != NULL; i++) {
        struct str rest = str_of(pair), key;
        bool split = str_split(&rest, '=', &key);
        if (!split || rest.len == 0 || memchr(rest.data, '=', (size_t)rest.len) != NULL)
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Invalid property: %s", pair);
        if (!client_config_set(&command->config, key, rest, failure))
            return false;
    }
    return true;
}

static bool configure(struct command *command, struct failure *failure)
{
    const struct args *args = &command->args;
    struct client_config *config = &command->config;
    const char *properties = name_of(args, "command-property", "producer-props");
    const char *file = name_of(args, "command-config", "producer.config");
    const char *bootstrap = args_value(args, "bootstrap-server");
    const char *id = args_value(args, "transactional-id");
    if (!client_config_read(config, args_value(args, file), failure) ||
        !set_properties(command, properties, failure) ||
        (bootstrap != NULL &&
         !client_config_set(config, STR("bootstrap.servers"), str_of(bootstrap), failure)) ||
        (id != NULL && !client_config_set(config, STR("transactional.id"), str_of(id), failure)))
        return false;
    command->transactional = args_has(args, "transaction-duration-ms") ||
                             properties_get(&config->properties, STR("transactional.id")).len > 0;
    return produce_config_read(config, &command->produce, failure);
}

static bool open_payload(struct command *command, struct failure *failure)
{
    const struct args *args = &command->args;
    const char *path = args_value(args, "payload-file"),
               *delimiter = args_value(args, "payload-delimiter");
    if (args_has(args, "payload-monotonic")) {
        perf_payload_init_monotonic(&command->payload);
        return true;
    }
    if (path == NULL) {
        perf_payload_init_random(&command->payload, (size_t)command->record_size);
        return true;
    }
    if (!args->json) {
        char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
        printf("Reading payloads from: %s%s%s\n", here ? here : "", here ? "/" : "", path);
        free(here);
    }
    if (!perf_payload_init_file(&command->payload, path, delimiter ? delimiter : "\n", failure))
        return false;
    if (!args->json)
        printf("Number of records read: %zu\n", command->payload.piece_count);
    return command->payload.piece_count > 0 ||
           failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                       "No payload file, record size or payload-monotonic option provided.");
}

/* --- the test --------------------------------------------------------------------------------- */

/* When the record was sent, how long it is, whether it came after the warm-up. */
static uint64_t tag_of(const struct command *command, int64_t now_ms, int32_t size, bool steady)
{
    return (uint64_t)steady << 63 | (uint64_t)(uint32_t)size << 32 |
           (uint32_t)(now_ms - command->began_ms);
}

static void on_done(void *owner, const struct produce_outcome *outcome)
{
    struct command *command = owner;
    if (outcome->failure != NULL) {
        fprintf(stderr, "%s\n", outcome->failure->text);
        return;
    }
    int64_t now_ms = client_now_ms(), bytes = outcome->tag >> 32 & INT32_MAX;
    int64_t latency_ms = now_ms - command->began_ms - (int64_t)(uint32_t)outcome->tag;
    perf_stats_record(&command->stats, latency_ms, bytes, now_ms);
    if (outcome->tag >> 63)
        perf_stats_record(&command->steady_stats, latency_ms, bytes, now_ms);
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until it is time for the next of `sent` records. With a throughput of 0 it never is. */
static void hold_back(struct command *command, int64_t sent)
{
    while (command->throughput >= 0 && signals_take(&command->signals) == 0) {
        double due_ms =
            command->throughput > 0 ? 1000.0 * (double)sent / command->throughput : INFINITY;
        double left_ms = due_ms - (double)(client_now_ms() - command->began_ms);
        if (left_ms < 1)
            return;
        (void)produce_client_wait(command->producer, command->signals.fd,
                                  (int64_t)fmin(left_ms, 1000));
    }
}

static bool begin_transactions(struct command *command, struct failure *failure)
{
    struct arena arena;
    struct client_op op;
    int16_t version;
    bool ok;
    arena_init(&arena, 0);
    client_op_begin(&op, command->client, "findCoordinator", &arena);
    do {
        failure->error = KAFKA_ERROR_NONE;
        ok = client_version(&op, CLIENT_ANY_NODE, API_FIND_COORDINATOR, &version, failure);
    } while (!ok && failure->error == KAFKA_ERROR_NONE && client_try_later(&op, failure));
    arena_release(&arena);
    return ok ? failure_set(failure, KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE,
                            "This tool cannot write in transactions")
              : false;
}

static void send_record(struct command *command, int64_t number)
{
    struct failure failure;
    int64_t now_ms = client_now_ms();
    struct produce_record record = {.topic = command->topic,
                                    .partition = -1,
                                    .timestamp_ms = wall_ms(),
                                    .key = BYTES_NULL,
                                    .value = perf_payload_next(&command->payload, number)};
    bool warm = command->warmup_records > 0 && number >= command->warmup_records;
    if (warm && number == command->warmup_records) {
        perf_stats_init(&command->steady_stats, now_ms, command->interval_ms, true);
        command->steady_stats.quiet = command->args.json;
        command->stats.quiet = true;
    }
    record.tag = tag_of(command, now_ms, record.value.len, warm);
    if (!produce_client_send(command->producer, &record, &failure))
        fprintf(stderr, "%s\n", failure.text);
}

static void say_results(struct command *command)
{
    int64_t now_ms = client_now_ms();
    bool steady = command->steady_stats.steady;
    const struct produce_counts *counts = produce_client_counts(command->producer);
    bool metrics = args_has(&command->args, "print-metrics");
    if (!command->args.json) {
        perf_stats_print_total(&command->stats, now_ms);
        if (steady)
            perf_stats_print_total(&command->steady_stats, now_ms);
        if (metrics)
            produce_counts_print(counts, command->config.client_id, now_ms - command->began_ms);
        return;
    }
    json_t *out = json_object();
    json_object_set_new(out, "total", perf_stats_json(&command->stats, now_ms));
    if (steady)
        json_object_set_new(out, "steadyState", perf_stats_json(&command->steady_stats, now_ms));
    if (metrics)
        json_object_set_new(out, "metrics",
                            produce_counts_json(counts, now_ms - command->began_ms));
    tool_print_json(out);
}

static bool run_test(struct command *command, struct failure *failure)
{
    if (command->transactional && !begin_transactions(command, failure))
        return false;
    if (command->warmup_records > 0 && !command->args.json)
        printf("Warmup first %" PRId64 " records. Steady state results will print after the "
               "complete test summary.\n",
               command->warmup_records);
    fflush(stdout);
    command->began_ms = client_now_ms();
    perf_stats_init(&command->stats, command->began_ms, command->interval_ms, false);
    command->stats.quiet = command->args.json;
    for (int64_t i = 0; i < command->records && signals_take(&command->signals) == 0; i++) {
        hold_back(command, i);
        send_record(command, i);
    }
    produce_client_flush(command->producer);
    say_results(command);
    return true;
}

static bool run(struct command *command, struct failure *failure)
{
    if (!configure(command, failure) || !open_payload(command, failure))
        return false;
    struct str bootstrap = properties_get(&command->config.properties, STR("bootstrap.servers"));
    if (bootstrap.len <= 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_CONFIG,
                           "No resolvable bootstrap urls given in bootstrap.servers");
    char *servers = str_dup_z(bootstrap);
    bool ok = client_new(servers, CLIENT_OF_BROKERS, &command->config, &command->client, failure);
    free(servers);
    if (!ok)
        return false;
    command->producer =
        produce_client_new(command->client, &command->config, &command->produce, on_done, command);
    signals_open(&command->signals);
    produce_client_set_cancel(command->producer, command->signals.fd);
    return run_test(command, failure);
}

static int run_tool(struct command *command)
{
    struct tool tool = {.json = command->args.json};
    struct failure failure;
    if (!read_options(command))
        return 1;
    client_config_init(&command->config, "perf-producer-client");
    command->config.is_admin = false;
    command->config.failed_to_create = "Failed to construct kafka producer\n";
    int code = run(command, &failure) ? 0 : tool_fail(&tool, &failure);
    if (command->producer != NULL) {
        int stopped_by = signals_take(&command->signals);
        signals_close(&command->signals);
        code = stopped_by ? 128 + stopped_by : code;
    }
    perf_stats_release(&command->stats);
    perf_stats_release(&command->steady_stats);
    perf_payload_release(&command->payload);
    produce_client_free(command->producer);
    client_free(command->client);
    client_config_release(&command->config);
    return code;
}

int producer_perf_test_main(int argc, char **argv)
{
    struct command command = {0};
    enum tool_begin begin = args_parse_tool(&command.args, &description, argc, argv);
    int code = begin == TOOL_GO_ON ? run_tool(&command) : begin == TOOL_REFUSED;
    args_release(&command.args);
    return code;
}
