/*
 * kafka-delete-records: moves the start of partitions up to the offsets that a file names:
 * {"partitions": [{"topic": "t", "partition": 0, "offset": 10}, ...], "version": 1}
 */
#include "common/base/check.h"
#include "common/base/mem.h"
#include "tools/leader_call.h"
#include "tools/tool.h"

#include <errno.h>
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

static bool read_file(struct command *command, const char *path, struct failure *failure)
{
    json_error_t error;
    char first;
    FILE *file = fopen(path[0] ? path : ".", "re");
    /* A directory can be opened, but not read. */
    if (file == NULL || (fread(&first, 1, 1, file) == 0 && ferror(file))) {
        failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Unable to read file %s%s%s", path,
                    errno == ENOENT ? "" : "\n", errno == ENOENT ? "" : strerror(errno));
        if (file != NULL)
            fclose(file);
        return false;
    }
    rewind(file);
    /* What stands behind the document is passed over. */
    command->file = json_loadf(file, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);
    fclose(file);
    return command->file != NULL || failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                                                "The input string is not a valid JSON");
}

static bool unexpected(const char *expected, const json_t *received, struct failure *failure)
{
    char *text = json_dumps(received, JSON_ENCODE_ANY | JSON_COMPACT);
    failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Expected %s, received %s", expected,
                text ? text : "something else");
    free(text);
    return false;
}

static bool take_integer(const json_t *value, json_int_t min, json_int_t max, const char *expected,
                         json_int_t *ret_number, struct failure *failure)
{
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < min || number > max)
        return unexpected(expected, value, failure);
    *ret_number = number;
    return true;
}

static const json_t *find_field(const json_t *entry, const char *name, struct failure *failure)
{
    const json_t *field = json_object_get(entry, name);
    if (field == NULL)
        failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "No such field exists: `%s`", name);
    return field;
}

static bool take_entry(struct command *command, const json_t *entry, struct failure *failure)
{
    const json_t *topic, *partition, *offset;
    json_int_t index, up_to;
    if (!json_is_object(entry))
        return unexpected("JSON object", entry, failure);
    if ((topic = find_field(entry, "topic", failure)) == NULL)
        return false;
    if (!json_is_string(topic))
        return unexpected("`String` value", topic, failure);
    if ((partition = find_field(entry, "partition", failure)) == NULL ||
        !take_integer(partition, INT32_MIN, INT32_MAX, "`Integer` value", &index, failure) ||
        (offset = find_field(entry, "offset", failure)) == NULL ||
        !take_integer(offset, INT64_MIN, INT64_MAX, "`Long` value", &up_to, failure))
        return false;
    command->items[command->count++] = (struct leader_item){
        .topic = str_from(json_string_value(topic), json_string_length(topic)),
        .partition = (int32_t)index,
        .input = up_to,
    };
    return true;
}

static bool take_file(struct command *command, struct failure *failure)
{
    if (!json_is_object(command->file))
        return unexpected("JSON object", command->file, failure);
    const json_t *version = json_object_get(command->file, "version");
    const json_t *partitions = json_object_get(command->file, "partitions");
    json_int_t number = 1;
    if (version != NULL &&
        !take_integer(version, INT32_MIN, INT32_MAX, "`Integer` value", &number, failure))
        return false;
    if (number != 1)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Not supported version field value %d", (int)number);
    if (partitions == NULL)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Missing partitions field");
    if (!json_is_array(partitions))
        return unexpected("JSON array", partitions, failure);
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
    if (!read_file(command, path, &failure) || !take_file(command, &failure) ||
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
