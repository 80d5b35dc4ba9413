/*
 * kafka-delete-records: moves the start of partitions up to the offsets that a file names:
 * {"partitions": [{"topic": "t", "partition": 0, "offset": 10}, ...], "version": 1}
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "tools/json_input.h"
#include "tools/leader_call.h"
#include "tools/tool.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct option_spec specs[] = {
    {"bootstrap-server", OPTION_VALUE, "server(s) to use for bootstrapping",
     "Required: the brokers to connect to first, as host:port,..."},
    {"command-config", OPTION_VALUE, "command config property file path",
     "A file of properties for the connection."},
    {"offset-json-file", OPTION_VALUE, "Offset json file path",
     "Required: the file that says up to where records are deleted, as {\"partitions\": "
     "[{\"topic\": \"t\", \"partition\": 0, \"offset\": 10}], \"version\": 1}. Offset -1 stands "
     "for "
     "the end."},
    TOOL_COMMON_OPTIONS,
};

struct command {
    struct tool tool;
    json_t *file; /* topic names point into it */
    struct leader_item *items;
    size_t count;
};

static bool take_entry(struct command *command, const json_t *entry, struct failure *failure)
{
    struct leader_item *item = &command->items[command->count];
    const json_t *topic, *partition, *offset;
    if (!json_input_object(entry, failure) ||
        (topic = json_input_field(entry, "topic", failure)) == NULL ||
        !json_input_str(topic, &item->topic, failure) ||
        (partition = json_input_field(entry, "partition", failure)) == NULL ||
        !json_input_int32(partition, &item->partition, failure) ||
        (offset = json_input_field(entry, "offset", failure)) == NULL ||
        !json_input_int64(offset, &item->input, failure))
        return false;
    command->count++;
    return true;
}

static bool take_file(struct command *command, struct failure *failure)
{
    const json_t *partitions;
    if (!json_input_version(command->file, failure) ||
        !json_input_list(command->file, "partitions", &partitions, failure))
        return false;
    command->items = mem_calloc(json_array_size(partitions) + 1, sizeof(*command->items));
    size_t i;
    const json_t *entry;
    json_array_foreach(partitions, i, entry) if (!take_entry(command, entry, failure)) return false;
    return true;
}

static int compare_items(const void *a, const void *b)
{
    const struct leader_item *x = a, *y = b;
    int order = str_cmp(x->topic, y->topic);
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

/* Sorts and looks for what is there twice. */
static bool check_duplicates(struct command *command, struct failure *failure)
{
    struct bytebuf twice;
    bytebuf_init(&twice);
    qsort(command->items, command->count, sizeof(*command->items), compare_items);
    for (size_t i = 1; i < command->count; i++) {
        const struct leader_item *item = &command->items[i];
        bool same = compare_items(item, item - 1) == 0;
        if (same && (i == 1 || compare_items(item, item - 2) != 0 || i < 2))
            bytebuf_printf(&twice, "%s%.*s-%d", twice.len ? "," : "", STR_FMT(item->topic),
                           item->partition);
    }
    bool ok = twice.len == 0;
    if (!ok)
        failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                    "Offset json file contains duplicate topic partitions: %.*s", (int)twice.len,
                    (const char *)twice.data);
    bytebuf_release(&twice);
    return ok;
}

static void print_json(const struct command *command)
{
    json_t *list = json_array();
    for (size_t i = 0; i < command->count; i++) {
        const struct leader_item *item = &command->items[i];
        json_t *entry;
        if (item->failure.error == KAFKA_ERROR_NONE) {
            entry = json_object();
            json_object_set_new(entry, "lowWatermark", json_integer(item->output));
        } else {
            entry = tool_json_of_failure(&item->failure);
        }
        json_object_set_new(entry, "topic", tool_json_str(item->topic));
        json_object_set_new(entry, "partition", json_integer(item->partition));
        json_array_append_new(list, entry);
    }
    json_t *document = json_object();
    json_object_set_new(document, "partitions", list);
    tool_print_json(document);
}

static void print_text(const struct command *command)
{
    puts("Records delete operation completed:");
    for (size_t i = 0; i < command->count; i++) {
        const struct leader_item *item = &command->items[i];
        if (item->failure.error == KAFKA_ERROR_NONE)
            printf("partition: %.*s-%d\tlow_watermark: %" PRId64 "\n", STR_FMT(item->topic),
                   item->partition, item->output);
        else
            printf("partition: %.*s-%d\terror: %s\n", STR_FMT(item->topic), item->partition,
                   item->failure.text);
    }
}

static bool delete_records(struct command *command, const char *bootstrap, const char *config_path,
                           struct failure *failure)
{
    struct client_config config;
    struct client *client = NULL;
    client_config_init(&config, "adminclient-1");
    bool ok = client_config_read(&config, config_path, failure) &&
              client_new(bootstrap, CLIENT_OF_BROKERS, &config, &client, failure);
    if (ok) {
        if (!command->tool.json) {
            puts("Executing records delete operation");
            fflush(stdout);
        }
        leader_call_delete_records(client, command->items, command->count);
        if (command->tool.json)
            print_json(command);
        else
            print_text(command);
    }
    client_free(client);
    client_config_release(&config);
    return ok;
}

static int run(struct tool *tool)
{
    struct command *command = CONTAINER_OF(tool, struct command, tool);
    struct options *options = &command->tool.options;
    const char *bootstrap, *path, *config_path;
    struct failure failure;
    if (!tool_require(&command->tool, "bootstrap-server") ||
        !tool_require(&command->tool, "offset-json-file"))
        return 1;
    if (options_value(options, "bootstrap-server", &bootstrap) != 0 ||
        options_value(options, "offset-json-file", &path) != 0 ||
        options_value(options, "command-config", &config_path) != 0)
        return tool_fail_options(&command->tool);
    int code = 0;
    if (!json_input_read(path, &command->file, &failure) || !take_file(command, &failure) ||
        !check_duplicates(command, &failure) ||
        !delete_records(command, bootstrap, config_path, &failure))
        code = tool_fail(&command->tool, &failure);
    json_decref(command->file);
    free(command->items);
    return code;
}

int delete_records_main(int argc, char **argv)
{
    struct command command = {0};
    return tool_main(&command.tool, "Deletes records of partitions up to given offsets.", specs,
                     TOOL_NEEDS_WORDS, argc, argv, run);
}
