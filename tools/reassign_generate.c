/* Where the replicas of topics could go on a set of brokers, as the controller places them. */
#include "common/base/check.h"
#include "metadata/controller/replica_placer.h"
#include "tools/reassign_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void fill_random(void *ctx, void *ret_bytes, size_t len)
{
    memset(ret_bytes, 0, len);
    for (uint8_t *at = ret_bytes, *end = at + len; at < end;) {
        ssize_t got = getrandom(at, (size_t)(end - at), 0);
        at += got > 0 ? got : 0;
    }
}

static bool parse_brokers(struct reassign_command *command, const char *list, int32_t **ret_ids,
                          int32_t *ret_count, struct failure *failure)
{
    struct str rest = str_of(list), one;
    int32_t *ids = ARENA_ARRAY(&command->arena, int32_t, strlen(list) + 1), count = 0;
    /* As Java splits: nothing behind the last comma is nothing. */
    while (rest.len > 1 && rest.data[rest.len - 1] == ',')
        rest.len--;
    while (!str_is_null(rest)) {
        int32_t id;
        str_split(&rest, ',', &one);
        if (str_to_i32(one, &id) != 0)
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "For input string: \"%.*s\"",
                               STR_FMT(one));
        if (reassign_has(ids, count, id))
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                               "Broker list contains duplicate entries: [%d]", id);
        ids[count++] = id;
    }
    *ret_ids = ids;
    *ret_count = count;
    return true;
}

static bool find_brokers(struct reassign_command *command, const int32_t *ids, int32_t count,
                         struct placer_broker *ret_brokers, int32_t *ret_count,
                         struct failure *failure)
{
    struct client_op op;
    struct client_node *nodes;
    size_t node_count;
    int32_t found = 0, racked = 0;
    client_op_begin(&op, command->client, "listNodes", &command->arena);
    if (!client_nodes(&op, &nodes, &node_count, failure))
        return false;
    for (size_t i = 0; i < node_count; i++) {
        if (!reassign_has(ids, count, nodes[i].id))
            continue;
        racked += nodes[i].rack.len > 0;
        ret_brokers[found++] = (struct placer_broker){
            .id = nodes[i].id, .rack = command->disable_rack_aware ? STR_NULL : nodes[i].rack};
    }
    if (!command->disable_rack_aware && racked > 0 && racked < found)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Not all brokers have rack information. Add --disable-rack-aware in "
                           "command line to make replica assignment without rack information.");
    *ret_count = found;
    return true;
}

static bool read_topics(struct reassign_command *command, const char *path, struct str **ret_names,
                        size_t *ret_count, struct failure *failure)
{
    const json_t *list, *entry, *field;
    size_t i;
    if (!json_input_read(path, &command->file, failure) ||
        !json_input_version(command->file, failure) ||
        !json_input_list_if_any(command->file, "topics", &list, failure))
        return false;
    struct str *names = ARENA_ARRAY(&command->arena, struct str, json_array_size(list));
    json_array_foreach(list, i, entry)
    {
        if (!json_input_object(entry, failure) ||
            (field = json_input_field(entry, "topic", failure)) == NULL ||
            !reassign_topic_name(field, &names[i], failure))
            return false;
        for (size_t k = 0; k < i; k++) {
            if (str_eq(names[k], names[i]))
                return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                                   "List of topics to reassign contains duplicate entries: [%.*s]",
                                   STR_FMT(names[i]));
        }
    }
    *ret_names = names;
    *ret_count = json_array_size(list);
    return true;
}

/* The partitions of one topic: as many replicas each as its first one has. */
static bool propose_topic(struct reassign_command *command, struct placer_broker *brokers,
                          int32_t broker_count, struct reassign_move *moves, int32_t count,
                          struct failure *failure)
{
    int32_t factor = moves[0].count;
    struct random_source random = {fill_random, NULL};
    if (broker_count == 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
                           "All brokers are currently fenced, or have all their log directories "
                           "cordoned.");
    if (factor > broker_count)
        return failure_set(failure, KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
                           "The target replication factor of %d cannot be reached because only %d "
                           "broker(s) are registered or some brokers have all their log "
                           "directories cordoned.",
                           factor, broker_count);
    int32_t *ids = ARENA_ARRAY(&command->arena, int32_t, (size_t)count * (size_t)factor);
    replica_placer_place(brokers, broker_count, count, factor, &random, &command->arena, ids);
    for (int32_t i = 0; i < count; i++) {
        moves[i].replicas = ids + (size_t)i * (size_t)factor;
        moves[i].dirs = NULL;
        moves[i].count = factor;
    }
    return true;
}

static bool propose(struct reassign_command *command, struct placer_broker *brokers,
                    int32_t broker_count, const struct reassign_moves *current,
                    struct reassign_moves *ret_proposed, struct failure *failure)
{
    struct reassign_moves proposed = {0};
    proposed.items = ARENA_ARRAY(&command->arena, struct reassign_move, current->count);
    proposed.count = current->count;
    if (current->count > 0)
        memcpy(proposed.items, current->items, current->count * sizeof(*proposed.items));
    for (size_t i = 0, end; i < proposed.count; i = end) {
        for (end = i;
             end < proposed.count && str_eq(proposed.items[end].topic, proposed.items[i].topic);
             end++)
            continue;
        if (!propose_topic(command, brokers, broker_count, &proposed.items[i], (int32_t)(end - i),
                           failure))
            return false;
    }
    *ret_proposed = proposed;
    return true;
}

static void say(const struct reassign_command *command, const struct reassign_moves *current,
                const struct reassign_moves *proposed)
{
    if (command->tool.json) {
        json_t *document = json_object();
        json_object_set_new(document, "current", reassign_to_json(current));
        json_object_set_new(document, "proposed", reassign_to_json(proposed));
        tool_print_json(document);
        return;
    }
    puts("Current partition replica assignment");
    tool_print_json(reassign_to_json(current));
    puts("\nProposed partition reassignment configuration");
    tool_print_json(reassign_to_json(proposed));
}

int reassign_generate(struct reassign_command *command, const char *path, const char *list)
{
    struct failure failure;
    struct reassign_moves current, proposed;
    struct str *names = NULL;
    size_t name_count = 0;
    int32_t *ids = NULL, id_count = 0, broker_count = 0;
    if (!parse_brokers(command, list, &ids, &id_count, &failure) ||
        !read_topics(command, path, &names, &name_count, &failure) ||
        !reassign_topics_of(command, names, name_count, &current, &failure))
        return reassign_fail(command, &failure);
    struct placer_broker *brokers = ARENA_ARRAY(&command->arena, struct placer_broker, id_count);
    if (!find_brokers(command, ids, id_count, brokers, &broker_count, &failure) ||
        !propose(command, brokers, broker_count, &current, &proposed, &failure))
        return reassign_fail(command, &failure);
    say(command, &current, &proposed);
    return 0;
}
