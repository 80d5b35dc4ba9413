/* kafka-get-offsets: the offsets of partitions at their ends or at a time. */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "tools/admin.h"
#include "tools/leader_call.h"
#include "tools/partition_filter.h"
#include "tools/tool.h"
#include "tools/topic_filter.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct option_spec specs[] = {
    {"bootstrap-server", OPTION_VALUE, "HOST1:PORT1,...,HOST3:PORT3",
     "Required: the brokers to connect to first."},
    {"command-config", OPTION_VALUE, "config file", "A file of properties for the connection."},
    {"exclude-internal-topics", OPTION_FLAG, NULL,
     "Leave out the topics that Kafka keeps for itself."},
    {"partitions", OPTION_VALUE, "partition ids",
     "The partitions to ask for, as numbers with commas between them; all unless given."},
    {"time", OPTION_VALUE, "<timestamp> / -1 or latest / -2 or earliest / ...",
     "Which offset: latest (-1), earliest (-2), max-timestamp (-3), earliest-local (-4), "
     "latest-tiered (-5), earliest-pending-upload (-6), or that of the first record not before a "
     "time in ms.",
     .fallback = "latest"},
    {"topic", OPTION_VALUE, "topic",
     "The topics to ask for, as a regular expression; all unless given."},
    {"topic-partitions", OPTION_VALUE, "topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3",
     "Topics and partitions to ask for: regular expressions, each with one number or a range whose "
     "end is not in it."},
    TOOL_COMMON_OPTIONS,
};

static bool parse_time(const char *text, int64_t *ret_time, struct failure *failure)
{
    static const char *const names[] = {"latest",        "earliest",
                                        "max-timestamp", "earliest-local",
                                        "latest-tiered", "earliest-pending-upload"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i]) != 0)
            continue;
        *ret_time = -1 - (int64_t)i;
        return true;
    }
    return str_to_i64(str_of(text), ret_time) == 0 ||
           failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                       "Malformed time argument %s. Please use -1 or latest / -2 or earliest / -3 "
                       "or max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or "
                       "earliest-pending-upload, or a specified long format timestamp",
                       text);
}

static bool make_filter(struct options *options, struct partition_filter **ret_filter,
                        struct failure *failure)
{
    const char *topic, *partitions, *rules;
    if (options_value(options, "topic", &topic) != 0 ||
        options_value(options, "partitions", &partitions) != 0 ||
        options_value(options, "topic-partitions", &rules) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", options->error);
    if (rules == NULL)
        return partition_filter_of_topic(topic, partitions, ret_filter, failure);
    if (topic != NULL || partitions != NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "--topic-partitions cannot be used with --topic or --partitions");
    return partition_filter_of_rules(rules, ret_filter, failure);
}

struct wanted {
    struct leader_item *items;
    size_t count, capacity;
};

static void collect(const struct admin_topics *topics, const struct partition_filter *filter,
                    bool exclude_internal, int64_t time, struct wanted *wanted)
{
    for (size_t i = 0; i < topics->count; i++) {
        const struct admin_topic *topic = &topics->items[i];
        if (exclude_internal && topic_is_internal(topic->name))
            continue;
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            int32_t index = topic->partitions[k].index;
            if (partition_filter_allows(filter, topic->name, index))
                VEC_PUSH(wanted->items, wanted->count, wanted->capacity) =
                    (struct leader_item){.topic = topic->name, .partition = index, .input = time};
        }
    }
}

/* Topics by name, partitions by their digits: 0, 1, 10, 2. */
static int compare_items(const void *a, const void *b)
{
    const struct leader_item *x = a, *y = b;
    char left[16], right[16];
    int order = str_cmp(x->topic, y->topic);
    if (order != 0)
        return order;
    snprintf(left, sizeof(left), "%d", x->partition);
    snprintf(right, sizeof(right), "%d", y->partition);
    return strcmp(left, right);
}

static void print_json(const struct wanted *wanted)
{
    json_t *list = json_array();
    for (size_t i = 0; i < wanted->count; i++) {
        const struct leader_item *item = &wanted->items[i];
        bool ok = item->failure.error == KAFKA_ERROR_NONE;
        json_t *entry = ok ? json_object() : tool_json_of_failure(&item->failure);
        json_object_set_new(entry, "topic", tool_json_str(item->topic));
        json_object_set_new(entry, "partition", json_integer(item->partition));
        if (ok)
            json_object_set_new(entry, "offset",
                                item->output < 0 ? json_null() : json_integer(item->output));
        json_array_append_new(list, entry);
    }
    json_t *document = json_object();
    json_object_set_new(document, "offsets", list);
    tool_print_json(document);
}

static void print_text(const struct wanted *wanted)
{
    for (size_t i = 0; i < wanted->count; i++) {
        const struct leader_item *item = &wanted->items[i];
        if (item->failure.error != KAFKA_ERROR_NONE)
            fprintf(stderr, "Skip getting offsets for topic-partition %.*s-%d due to error: %s\n",
                    STR_FMT(item->topic), item->partition, item->failure.text);
        else if (item->output >= 0)
            printf("%.*s:%d:%" PRId64 "\n", STR_FMT(item->topic), item->partition, item->output);
    }
}

static bool get_offsets(struct tool *tool, struct client *client, struct arena *arena,
                        struct failure *failure)
{
    struct partition_filter *filter;
    struct admin_topics topics;
    struct wanted wanted = {0};
    const char *time_text;
    int64_t time;
    if (options_value(&tool->options, "time", &time_text) != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "%s", tool->options.error);
    if (!make_filter(&tool->options, &filter, failure))
        return false;
    bool ok = parse_time(time_text, &time, failure) &&
              admin_list_topics(client, "listTopics", arena, &topics, failure);
    if (ok) {
        bool exclude_internal = options_has(&tool->options, "exclude-internal-topics");
        collect(&topics, filter, exclude_internal, time, &wanted);
        if (wanted.count == 0)
            ok = failure_set(failure, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                             "Could not match any topic-partitions with the specified filters");
    }
    if (ok) {
        qsort(wanted.items, wanted.count, sizeof(*wanted.items), compare_items);
        leader_call_list_offsets(client, false, wanted.items, wanted.count);
        if (tool->json)
            print_json(&wanted);
        else
            print_text(&wanted);
    }
    free(wanted.items);
    partition_filter_free(filter);
    return ok;
}

static int fail(const struct tool *tool, const struct failure *failure)
{
    if (tool->json)
        return tool_fail(tool, failure);
    fprintf(stderr, "Error occurred: %s\n", failure->text);
    return 1;
}

static int run(struct tool *tool)
{
    const char *bootstrap, *config_path;
    struct client_config config;
    struct client *client = NULL;
    struct failure failure;
    struct arena arena;
    if (!tool_require(tool, "bootstrap-server"))
        return 1;
    if (options_value(&tool->options, "bootstrap-server", &bootstrap) != 0 ||
        options_value(&tool->options, "command-config", &config_path) != 0) {
        failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST, "%s", tool->options.error);
        return fail(tool, &failure);
    }
    if (!tool_check_bootstrap(tool, bootstrap))
        return 1;
    int code = 0;
    arena_init(&arena, 0);
    client_config_init(&config, "GetOffsetShell");
    if (!client_config_read(&config, config_path, &failure) ||
        !client_new(bootstrap, CLIENT_OF_BROKERS, &config, &client, &failure) ||
        !get_offsets(tool, client, &arena, &failure))
        code = fail(tool, &failure);
    client_free(client);
    client_config_release(&config);
    arena_release(&arena);
    return code;
}

int get_offsets_main(int argc, char **argv)
{
    struct tool tool;
    struct failure failure;
    int code = 0;
    switch (tool_begin(&tool, "Shows the offsets of partitions.", specs, argc, argv)) {
    case TOOL_GO_ON:
        code = argc == 0 ? tool_usage(&tool, "%s", tool.purpose) : run(&tool);
        break;
    case TOOL_REFUSED:
        failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST, "%s", tool.options.error);
        code = fail(&tool, &failure);
        break;
    case TOOL_DONE:
        break;
    }
    tool_release(&tool);
    return code;
}
