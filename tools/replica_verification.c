/*
 * kafka-replica-verification: reads each partition from all of its replicas and compares the
 * batches: offsets, lengths and checksums below what every replica has. Goes on until it is
 * interrupted; from time to time it says how far behind the last one is.
 */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/record_batch.h"
#include "tools/admin.h"
#include "tools/leader_call.h"
#include "tools/signals.h"
#include "tools/tool.h"
#include "tools/topic_filter.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#define ANSWER_MAX_BYTES (64 << 20)
#define EARLIEST         (-2) /* the lowest time that there is */
/* From this version on topics are named by id. */
enum { FETCH_BY_ID = 13 };
/* Any replica gives this one all that its log holds; from this version on it stands elsewhere. */
enum { DEBUGGING_REPLICA = -2, FETCH_BY_STATE = 15 };

typedef struct fetch_response_partition_data fetched;

static const struct option_spec specs[] = {
    {"broker-list", OPTION_VALUE, "hostname: port,...,hostname:port",
     "Required: the brokers to connect to first, as host:port,..."},
    {"fetch-size", OPTION_VALUE, "bytes", "Bytes that are read of a replica at a time.",
     .fallback = "1048576"},
    {"max-wait-ms", OPTION_VALUE, "ms", "How long a broker waits for records to come.",
     .fallback = "1000"},
    {"report-interval-ms", OPTION_VALUE, "ms", "The time between two reports.",
     .fallback = "30000"},
    {"time", OPTION_VALUE, "timestamp/-1(latest)/-2 (earliest)",
     "Where to begin: a time in milliseconds, -1 for the end, -2 for the start.", .fallback = "-1"},
    {"topics-include", OPTION_VALUE, "Java regex (String)", "The topics to verify.",
     .fallback = ".*"},
    TOOL_COMMON_OPTIONS,
};

/* One partition, and what its replicas said in this round. */
struct checked {
    struct str topic;
    struct uuid id;
    int32_t index;
    struct admin_ids replicas;
    int64_t offset, lag;
    const fetched **answers; /* by replica; NULL: it did not answer */
};

struct command {
    struct tool tool;
    struct client *client;
    struct client_config config;
    struct topic_filter *filter;
    struct arena arena, round;
    struct signals signals;
    struct checked *items;
    size_t count;
    int64_t time, report_interval_ms;
    int32_t fetch_size, max_wait_ms;
    uint64_t mismatches;
};

/* --- where to begin ----------------------------------------------------------------------- */

static void take_topics(struct command *command, const struct admin_topics *topics)
{
    size_t room = 0;
    for (size_t t = 0; t < topics->count; t++)
        room += (size_t)topics->items[t].partitions_count;
    command->items = ARENA_ARRAY(&command->arena, struct checked, room);
    for (size_t t = 0; t < topics->count; t++) {
        const struct admin_topic *topic = &topics->items[t];
        for (int32_t p = 0;
             topic_filter_allows(command->filter, topic->name) && p < topic->partitions_count; p++)
            command->items[command->count++] =
                (struct checked){.topic = topic->name,
                                 .id = topic->id,
                                 .index = topic->partitions[p].index,
                                 .replicas = topic->partitions[p].replicas};
    }
}

static bool find_offsets(struct command *command, struct failure *failure)
{
    if (command->count == 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "No topics found. [topics-include] if specified, is either filtering "
                           "out all topics or there is no topic.");
    if (command->time < EARLIEST)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "The target time for partition %.*s-%d is %" PRId64
                           ". The target time cannot be negative.",
                           STR_FMT(command->items[0].topic), command->items[0].index,
                           command->time);
    struct leader_item *items = ARENA_ARRAY(&command->arena, struct leader_item, command->count);
    for (size_t i = 0; i < command->count; i++)
        items[i] = (struct leader_item){.topic = command->items[i].topic,
                                        .partition = command->items[i].index,
                                        .input = command->time};
    leader_call_list_offsets(command->client, false, items, command->count);
    for (size_t i = 0; i < command->count; i++) {
        if (items[i].failure.error != KAFKA_ERROR_NONE) {
            *failure = items[i].failure;
            return false;
        }
        command->items[i].offset = MAX(items[i].output, 0);
    }
    return true;
}

/* --- one round ---------------------------------------------------------------------------- */

static int32_t place_of(const struct checked *item, int32_t broker)
{
    for (int32_t i = 0; i < item->replicas.count; i++) {
        if (item->replicas.items[i] == broker)
            return i;
    }
    return -1;
}

static void fill_request(struct command *command, int32_t broker, int16_t version,
                         struct fetch_request *request)
{
    struct arena *arena = &command->round;
    message_init(&fetch_request_desc, request);
    if (version >= FETCH_BY_STATE)
        request->replica_state.replica_id = DEBUGGING_REPLICA;
    else
        request->replica_id = DEBUGGING_REPLICA;
    request->max_wait_ms = command->max_wait_ms;
    request->min_bytes = 1;
    request->max_bytes = ANSWER_MAX_BYTES;
    request->session_epoch = -1;
    request->topics = MESSAGE_ARRAY(arena, fetch_request_fetch_topic, (int32_t)command->count);
    for (size_t i = 0; i < command->count; i++) {
        const struct checked *item = &command->items[i];
        struct fetch_request_fetch_topic *topic =
            request->topics_count > 0 ? &request->topics[request->topics_count - 1] : NULL;
        if (place_of(item, broker) < 0)
            continue;
        if (topic == NULL || !str_eq(topic->topic, item->topic)) {
            topic = &request->topics[request->topics_count++];
            topic->topic = item->topic;
            topic->topic_id = item->id;
            topic->partitions =
                MESSAGE_ARRAY(arena, fetch_request_fetch_partition, (int32_t)(command->count - i));
        }
        struct fetch_request_fetch_partition *partition =
            &topic->partitions[topic->partitions_count++];
        partition->partition = item->index;
        partition->fetch_offset = item->offset;
        partition->partition_max_bytes = command->fetch_size;
    }
}

/* Answers come in the order of the request: the next one is looked for behind the last. */
static struct checked *find_item(struct command *command, bool by_id, struct str topic,
                                 struct uuid id, int32_t partition, size_t *in_out_at)
{
    for (size_t i = 0; i < command->count; i++) {
        struct checked *item = &command->items[(*in_out_at + i) % command->count];
        if (item->index == partition &&
            (by_id ? uuid_eq(item->id, id) : str_eq(item->topic, topic))) {
            *in_out_at += i + 1;
            return item;
        }
    }
    return NULL;
}

static void take_answer(struct command *command, int32_t broker, bool by_id,
                        const struct fetch_response *response)
{
    size_t at = 0;
    for (int32_t t = 0; t < response->responses_count; t++) {
        const struct fetch_response_fetchable_topic_response *topic = &response->responses[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            const fetched *one = &topic->partitions[p];
            struct checked *item =
                find_item(command, by_id, topic->topic, topic->topic_id, one->partition_index, &at);
            int32_t place = item ? place_of(item, broker) : -1;
            if (place >= 0 && one->error_code == 0)
                item->answers[place] = one;
        }
    }
}

static void ask_broker(struct command *command, int32_t broker)
{
    struct client_op op;
    struct fetch_request request;
    struct fetch_response response;
    struct failure failure;
    int16_t version;
    client_op_begin(&op, command->client, "fetch", &command->round);
    failure.error = KAFKA_ERROR_NONE;
    if (!client_version(&op, broker, API_FETCH, &version, &failure))
        return;
    fill_request(command, broker, version, &request);
    if (request.topics_count > 0 &&
        client_try(&op, broker, API_FETCH, &request, &response, &failure) &&
        response.error_code == 0)
        take_answer(command, broker, version >= FETCH_BY_ID, &response);
}

static bool ask_all(struct command *command, struct failure *failure)
{
    struct client_op op;
    struct client_node *nodes;
    size_t count;
    arena_reset(&command->round);
    for (size_t i = 0; i < command->count; i++) {
        struct checked *item = &command->items[i];
        item->answers = ARENA_ARRAY(&command->round, const fetched *, item->replicas.count);
        for (int32_t r = 0; r < item->replicas.count; r++)
            item->answers[r] = NULL;
    }
    client_op_begin(&op, command->client, "listNodes", &command->round);
    if (!client_nodes(&op, &nodes, &count, failure))
        return false;
    for (size_t n = 0; n < count; n++)
        ask_broker(command, nodes[n].id);
    return true;
}

/* --- comparing ---------------------------------------------------------------------------- */

/* The batch that holds `offset`, or the first behind it. */
static bool batch_at(const fetched *answer, int64_t offset, struct record_batch *ret_batch)
{
    const uint8_t *at = answer->records.data;
    size_t left = (size_t)MAX(answer->records.len, 0);
    while (left > 0 && record_batch_parse(at, left, ret_batch) == 0) {
        if (record_batch_last_offset(&ret_batch->header) >= offset)
            return true;
        at += ret_batch->bytes.len;
        left -= (size_t)ret_batch->bytes.len;
    }
    return false;
}

static void say_time(void)
{
    struct timespec now;
    struct tm tm;
    char text[32];
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    printf("%s,%03ld: ", text, now.tv_nsec / 1000000);
}

/* What one replica has where the first one has `first`. */
struct mismatch {
    const char *what; /* "offsets" or "checksum" */
    int32_t replica;
    const struct record_batch *first, *other;
};

static void say_mismatch(struct command *command, const struct checked *item,
                         const struct mismatch *m)
{
    int64_t first = record_batch_last_offset(&m->first->header),
            other = record_batch_last_offset(&m->other->header);
    command->mismatches++;
    if (command->tool.json) {
        json_t *document = json_object();
        json_object_set_new(document, "topic", tool_json_str(item->topic));
        json_object_set_new(document, "partition", json_integer(item->index));
        json_object_set_new(document, "replica", json_integer(m->replica));
        json_object_set_new(document, "mismatch", json_string(m->what));
        json_object_set_new(document, "offset", json_integer(first));
        tool_print_json(document);
        return;
    }
    say_time();
    printf("partition %.*s-%d", STR_FMT(item->topic), item->index);
    if (strcmp(m->what, "offsets") == 0)
        printf(": replica %d's offset %" PRId64 " doesn't match replica %d's offset %" PRId64 "\n",
               item->replicas.items[0], first, m->replica, other);
    else
        printf(" has unmatched checksum at offset %" PRId64 "; replica %d's checksum %" PRIu32
               "; replica %d's checksum %" PRIu32 "\n",
               first, item->replicas.items[0], m->first->header.crc, m->replica,
               m->other->header.crc);
    fflush(stdout);
}

/* Compares the batch of all replicas at item->offset. False: somebody has none yet. */
static bool compare_next(struct command *command, struct checked *item, int64_t limit)
{
    struct record_batch first, other;
    if (item->offset >= limit || !batch_at(item->answers[0], item->offset, &first) ||
        record_batch_last_offset(&first.header) >= limit)
        return false;
    int64_t next = record_batch_next_offset(&first.header);
    for (int32_t r = 1; r < item->replicas.count; r++) {
        if (!batch_at(item->answers[r], item->offset, &other))
            return false;
    }
    for (int32_t r = 0; r < item->replicas.count; r++) {
        struct mismatch m = {NULL, item->replicas.items[r], &first, &other};
        batch_at(item->answers[r], item->offset, &other);
        if (other.header.base_offset != first.header.base_offset ||
            other.header.last_offset_delta != first.header.last_offset_delta)
            m.what = "offsets";
        else if (other.bytes.len != first.bytes.len || other.header.crc != first.header.crc ||
                 !record_batch_crc_ok(&other))
            m.what = "checksum";
        if (m.what != NULL)
            say_mismatch(command, item, &m);
    }
    item->offset = next;
    return true;
}

/* Below the lowest high watermark, as far as all have answered. */
static void compare(struct command *command, struct checked *item)
{
    int64_t lowest = INT64_MAX, highest = -1;
    bool all = item->replicas.count > 0;
    for (int32_t r = 0; r < item->replicas.count; r++) {
        all = all && item->answers[r] != NULL;
        if (item->answers[r] != NULL) {
            lowest = MIN(lowest, item->answers[r]->high_watermark);
            highest = MAX(highest, item->answers[r]->high_watermark);
        }
    }
    while (all && compare_next(command, item, lowest))
        continue;
    item->lag = MAX(highest - item->offset, 0);
}

/* --- reports ------------------------------------------------------------------------------ */

static void report(const struct command *command)
{
    const struct checked *worst = NULL;
    for (size_t i = 0; i < command->count; i++) {
        if (worst == NULL || command->items[i].lag > worst->lag)
            worst = &command->items[i];
    }
    if (command->tool.json) {
        json_t *document = json_object();
        json_object_set_new(document, "partitions", json_integer((json_int_t)command->count));
        json_object_set_new(document, "maxLag", json_integer(worst ? worst->lag : 0));
        json_object_set_new(document, "mismatches", json_integer((json_int_t)command->mismatches));
        tool_print_json(document);
    } else if (worst != NULL) {
        say_time();
        printf("max lag is %" PRId64 " for partition %.*s-%d at offset %" PRId64
               " among %zu partitions\n",
               worst->lag, STR_FMT(worst->topic), worst->index, worst->offset, command->count);
    }
    fflush(stdout);
}

static int verify(struct command *command)
{
    struct failure failure;
    struct admin_topics topics;
    if (!admin_list_topics(command->client, "listTopics", &command->arena, &topics, &failure))
        return tool_fail(&command->tool, &failure);
    take_topics(command, &topics);
    if (!find_offsets(command, &failure))
        return tool_fail(&command->tool, &failure);
    if (!command->tool.json) {
        say_time();
        puts("verification process is started");
        fflush(stdout);
    }
    /* From here on there is something to tell at the end. */
    signals_open(&command->signals);
    int64_t report_ms = client_now_ms() + command->report_interval_ms;
    while (signals_take(&command->signals) == 0) {
        int64_t began_ms = client_now_ms();
        if (!ask_all(command, &failure))
            return tool_fail(&command->tool, &failure);
        for (size_t i = 0; i < command->count; i++)
            compare(command, &command->items[i]);
        if (client_now_ms() >= report_ms) {
            report(command);
            report_ms = client_now_ms() + command->report_interval_ms;
        }
        /* Nobody may have anything to wait for: no partitions, no brokers. */
        struct pollfd signal = {.fd = command->signals.fd, .events = POLLIN};
        if (client_now_ms() - began_ms < 10)
            poll(&signal, 1, 10);
    }
    report(command);
    return command->mismatches > 0 ? 1 : 128 + signals_take(&command->signals);
}

static int run(struct tool *tool)
{
    struct command *command = CONTAINER_OF(tool, struct command, tool);
    struct options *options = &tool->options;
    struct failure failure;
    const char *brokers, *include;
    if (!tool_require(tool, "broker-list"))
        return 1;
    if (options_value(options, "broker-list", &brokers) != 0 ||
        options_value(options, "topics-include", &include) != 0 ||
        options_int(options, "fetch-size", &command->fetch_size) != 0 ||
        options_int(options, "max-wait-ms", &command->max_wait_ms) != 0 ||
        options_long(options, "report-interval-ms", &command->report_interval_ms) != 0 ||
        options_long(options, "time", &command->time) != 0)
        return tool_fail_options(tool);
    if (!tool_check_bootstrap(tool, brokers))
        return 1;
    if (!topic_filter_of_regex(include, &command->filter, &failure)) {
        failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST, "%s is an invalid regex", include);
        return tool_fail(tool, &failure);
    }
    client_config_init(&command->config, "replica-verification-tool");
    arena_init(&command->arena, 0);
    arena_init(&command->round, 0);
    int code = client_new(brokers, CLIENT_OF_BROKERS, &command->config, &command->client, &failure)
                   ? verify(command)
                   : tool_fail(tool, &failure);
    signals_close(&command->signals);
    client_free(command->client);
    client_config_release(&command->config);
    topic_filter_free(command->filter);
    arena_release(&command->round);
    arena_release(&command->arena);
    return code;
}

int replica_verification_main(int argc, char **argv)
{
    struct command command = {.signals = {.fd = -1}};
    return tool_main(&command.tool,
                     "Validate that all replicas for a set of topics have the same data.", specs,
                     TOOL_NEEDS_WORDS, argc, argv, run);
}
