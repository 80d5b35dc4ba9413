#include "common/base/check.h"
#include "tools/broker_log_dirs.h"
#include "tools/reassign_internal.h"

#include <stdlib.h>
#include <unistd.h>

#define ANY_DIR      "any"
#define DIR_TRIES    10
#define DIR_RETRY_MS 100

bool reassign_has(const int32_t *ids, int32_t count, int32_t id)
{
    bool found = false;
    for (int32_t i = 0; !found && i < count; i++)
        found = ids[i] == id;
    return found;
}

struct str reassign_ids_text(struct arena *arena, const int32_t *ids, int32_t count,
                             const char *separator)
{
    struct bytebuf text;
    bytebuf_init(&text);
    for (int32_t i = 0; i < count; i++)
        bytebuf_printf(&text, "%s%d", i ? separator : "", ids[i]);
    struct str copy = arena_str(arena, str_from((const char *)text.data, text.len));
    bytebuf_release(&text);
    return copy;
}

struct str reassign_names(struct reassign_command *command, const struct reassign_moves *moves,
                          const bool *wanted, size_t *ret_count)
{
    struct bytebuf text;
    size_t count = 0;
    bytebuf_init(&text);
    for (size_t i = 0; i < moves->count; i++) {
        if (wanted == NULL || wanted[i])
            bytebuf_printf(&text, "%s%.*s-%d", count++ ? "," : "", STR_FMT(moves->items[i].topic),
                           moves->items[i].partition);
    }
    struct str copy = arena_str(&command->arena, str_from((const char *)text.data, text.len));
    bytebuf_release(&text);
    *ret_count = count;
    return copy;
}

const reassign_ongoing *reassign_find(const struct list_partition_reassignments_response *ongoing,
                                      struct str topic, int32_t partition)
{
    for (int32_t t = 0; t < ongoing->topics_count; t++) {
        for (int32_t p = 0;
             str_eq(ongoing->topics[t].name, topic) && p < ongoing->topics[t].partitions_count;
             p++) {
            if (ongoing->topics[t].partitions[p].partition_index == partition)
                return &ongoing->topics[t].partitions[p];
        }
    }
    return NULL;
}

/* --- the file ----------------------------------------------------------------------------- */

static bool read_dirs(struct reassign_command *command, const json_t *list,
                      struct reassign_move *move, struct failure *failure)
{
    size_t i;
    const json_t *entry;
    if (!json_input_items(list, failure))
        return false;
    move->dirs = ARENA_ARRAY(&command->arena, struct str, json_array_size(list));
    json_array_foreach(list, i, entry)
    {
        if (!json_input_str(entry, &move->dirs[i], failure))
            return false;
        if (str_eq(move->dirs[i], STR(ANY_DIR)))
            move->dirs[i] = STR_NULL;
    }
    if (json_array_size(list) != (size_t)move->count) {
        char *dirs = json_dumps(list, JSON_COMPACT);
        struct bytebuf plain;
        bytebuf_init(&plain);
        for (const char *at = dirs ? dirs : ""; *at; at++) {
            if (*at != '"')
                bytebuf_printf(&plain, "%c%s", *at, *at == ',' ? " " : "");
        }
        struct str replicas = reassign_ids_text(&command->arena, move->replicas, move->count, ", ");
        failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                    "Size of replicas list [%.*s] is different from size of log dirs list %.*s "
                    "for partition %.*s-%d",
                    STR_FMT(replicas), (int)plain.len, (const char *)plain.data,
                    STR_FMT(move->topic), move->partition);
        bytebuf_release(&plain);
        free(dirs);
        return false;
    }
    return true;
}

static bool read_move(struct reassign_command *command, const json_t *entry, bool to_execute,
                      struct reassign_move *move, struct failure *failure)
{
    const json_t *field, *id;
    size_t i;
    if (!json_input_object(entry, failure) ||
        (field = json_input_field(entry, "topic", failure)) == NULL ||
        !reassign_topic_name(field, &move->topic, failure) ||
        (field = json_input_field(entry, "partition", failure)) == NULL ||
        !json_input_int32(field, &move->partition, failure) ||
        (field = json_input_field(entry, "replicas", failure)) == NULL ||
        !json_input_items(field, failure))
        return false;
    move->replicas = ARENA_ARRAY(&command->arena, int32_t, json_array_size(field));
    json_array_foreach(field, i, id)
    {
        if (!json_input_int32(id, &move->replicas[i], failure))
            return false;
        if (to_execute && reassign_has(move->replicas, (int32_t)i, move->replicas[i]))
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                               "Partition replica lists may not contain duplicate entries: "
                               "%.*s-%d contains multiple entries for %d",
                               STR_FMT(move->topic), move->partition, move->replicas[i]);
    }
    move->count = (int32_t)json_array_size(field);
    if (to_execute && move->count == 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Partition replica list cannot be empty");
    field = json_object_get(entry, "log_dirs");
    return field == NULL || read_dirs(command, field, move, failure);
}

int reassign_by_name(const void *a, const void *b)
{
    const struct reassign_move *x = a, *y = b;
    int order = str_cmp(x->topic, y->topic);
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static int by_name_and_place(const void *a, const void *b)
{
    const struct reassign_move *x = a, *y = b;
    int order = reassign_by_name(x, y);
    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

static bool read_file(struct reassign_command *command, const char *path, struct failure *failure)
{
    return json_input_read_or(path, "The input string is not a valid JSON",
                              "The input string shouldn't be empty", &command->file, failure) &&
           json_input_version(command->file, failure);
}

bool reassign_topic_name(const json_t *field, struct str *ret_name, struct failure *failure)
{
    if (!json_input_str(field, ret_name, failure))
        return false;
    return ret_name->len > 0 ||
           failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                       "The given topic name '' cannot be represented in a request.");
}

bool reassign_read_moves(struct reassign_command *command, const char *path, bool to_execute,
                         struct reassign_moves *ret_moves, struct failure *failure)
{
    const json_t *list, *entry;
    size_t i;
    if (!read_file(command, path, failure) ||
        !json_input_list_if_any(command->file, "partitions", &list, failure))
        return false;
    size_t count = json_array_size(list), kept = 0;
    struct reassign_move *moves = ARENA_ARRAY(&command->arena, struct reassign_move, count);
    json_array_foreach(list, i, entry)
    {
        moves[i] = (struct reassign_move){.place = i};
        if (!read_move(command, entry, to_execute, &moves[i], failure))
            return false;
    }
    if (count > 0)
        qsort(moves, count, sizeof(*moves), by_name_and_place);
    for (i = 0; i < count; i++) {
        bool repeated = kept > 0 && reassign_by_name(&moves[kept - 1], &moves[i]) == 0;
        if (repeated && to_execute)
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                               "Partition reassignment contains duplicate topic partitions: "
                               "%.*s-%d",
                               STR_FMT(moves[i].topic), moves[i].partition);
        kept += !repeated;
        moves[kept - 1] = moves[i];
    }
    *ret_moves = (struct reassign_moves){moves, kept};
    return true;
}

/* --- what is ------------------------------------------------------------------------------ */

static void note_dir(struct reassign_moves *current, int32_t broker, struct str dir,
                     const struct describe_log_dirs_response_describe_log_dirs_topic *topic)
{
    for (size_t i = 0; i < current->count; i++) {
        struct reassign_move *move = &current->items[i];
        for (int32_t p = 0; str_eq(move->topic, topic->name) && p < topic->partitions_count; p++) {
            if (topic->partitions[p].partition_index != move->partition ||
                topic->partitions[p].is_future_key)
                continue;
            for (int32_t r = 0; r < move->count; r++)
                move->dirs[r] = move->replicas[r] == broker ? dir : move->dirs[r];
        }
    }
}

/* A broker may be about to make what was created a moment ago. */
static bool is_missing(const struct reassign_moves *current, int32_t broker)
{
    bool missing = false;
    for (size_t i = 0; !missing && i < current->count; i++) {
        const struct reassign_move *move = &current->items[i];
        for (int32_t r = 0; !missing && r < move->count; r++)
            missing = move->replicas[r] == broker && str_is_null(move->dirs[r]);
    }
    return missing;
}

static void find_dirs_of(struct reassign_command *command, int32_t broker,
                         struct reassign_moves *current)
{
    for (int tries = 0; tries < DIR_TRIES && is_missing(current, broker); tries++) {
        struct describe_log_dirs_response response;
        struct failure failure;
        if (tries > 0)
            usleep(DIR_RETRY_MS * 1000);
        if (!broker_log_dirs_ask(command->client, broker, &command->arena, &response, &failure))
            return;
        for (int32_t d = 0; d < response.results_count; d++)
            for (int32_t t = 0; t < response.results[d].topics_count; t++)
                note_dir(current, broker, response.results[d].log_dir,
                         &response.results[d].topics[t]);
    }
}

/* Brokers that do not answer: their replicas are anywhere. */
static void find_dirs(struct reassign_command *command, struct reassign_moves *current)
{
    int32_t *brokers;
    size_t count;
    struct failure failure;
    if (!broker_log_dirs_brokers(command->client, &command->arena, &brokers, &count, &failure))
        return;
    for (size_t b = 0; b < count; b++)
        find_dirs_of(command, brokers[b], current);
}

static void take_partition(struct reassign_command *command, const struct admin_topic *topic,
                           const struct admin_partition *partition, struct reassign_moves *current)
{
    struct reassign_move *move = &current->items[current->count++];
    *move = (struct reassign_move){.topic = topic->name,
                                   .partition = partition->index,
                                   .replicas = partition->replicas.items,
                                   .count = MAX(partition->replicas.count, 0)};
    move->dirs = ARENA_ARRAY(&command->arena, struct str, move->count);
    for (int32_t i = 0; i < move->count; i++)
        move->dirs[i] = STR_NULL;
}

static bool ask_topics(struct reassign_command *command, const struct str *names, size_t count,
                       struct admin_topics *ret_topics, struct failure *failure)
{
    struct client_op op;
    client_op_begin(&op, command->client, "describeTopics", &command->arena);
    do {
        failure->error = KAFKA_ERROR_NONE;
        if (admin_try_topics(&op, names, (int32_t)count, false, ret_topics, failure))
            return true;
        if (failure->error != KAFKA_ERROR_NONE)
            return false;
    } while (client_try_later(&op, failure));
    return false;
}

bool reassign_topics_of(struct reassign_command *command, const struct str *names, size_t count,
                        struct reassign_moves *ret_current, struct failure *failure)
{
    struct admin_topics topics;
    size_t partitions = 0;
    if (!ask_topics(command, names, count, &topics, failure))
        return false;
    for (size_t t = 0; t < topics.count; t++) {
        if (topics.items[t].error == KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION)
            return failure_set(failure, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                               "Topic %.*s not found.", STR_FMT(topics.items[t].name));
        if (topics.items[t].error != 0)
            return failure_set_error(failure, topics.items[t].error, STR_NULL);
        partitions += (size_t)topics.items[t].partitions_count;
    }
    struct reassign_moves current = {0};
    current.items = ARENA_ARRAY(&command->arena, struct reassign_move, partitions);
    for (size_t t = 0; t < topics.count; t++)
        for (int32_t p = 0; p < topics.items[t].partitions_count; p++)
            take_partition(command, &topics.items[t], &topics.items[t].partitions[p], &current);
    find_dirs(command, &current);
    *ret_current = current;
    return true;
}

static struct reassign_move *find_move(const struct reassign_moves *moves,
                                       const struct reassign_move *like)
{
    if (moves->count == 0)
        return NULL;
    return bsearch(like, moves->items, moves->count, sizeof(*moves->items), reassign_by_name);
}

bool reassign_current(struct reassign_command *command, const struct reassign_moves *moves,
                      struct reassign_moves *ret_current, struct failure *failure)
{
    struct str *names = ARENA_ARRAY(&command->arena, struct str, moves->count);
    size_t count = 0;
    for (size_t i = 0; i < moves->count; i++) {
        if (i == 0 || !str_eq(moves->items[i].topic, moves->items[i - 1].topic))
            names[count++] = moves->items[i].topic;
    }
    struct reassign_moves all, current = {0};
    if (!reassign_topics_of(command, names, count, &all, failure))
        return false;
    qsort(all.items, all.count, sizeof(*all.items), reassign_by_name);
    current.items = ARENA_ARRAY(&command->arena, struct reassign_move, moves->count);
    for (size_t i = 0; i < moves->count; i++) {
        const struct reassign_move *found = find_move(&all, &moves->items[i]);
        if (found == NULL)
            return failure_set(failure, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                               "Unable to find partition: %.*s-%d", STR_FMT(moves->items[i].topic),
                               moves->items[i].partition);
        current.items[current.count++] = *found;
    }
    *ret_current = current;
    return true;
}

json_t *reassign_to_json(const struct reassign_moves *moves)
{
    json_t *list = json_array(), *document = json_object();
    for (size_t i = 0; i < moves->count; i++) {
        const struct reassign_move *move = &moves->items[i];
        json_t *entry = json_object(), *replicas = json_array(), *dirs = json_array();
        for (int32_t r = 0; r < move->count; r++) {
            bool any = move->dirs == NULL || str_is_null(move->dirs[r]);
            json_array_append_new(replicas, json_integer(move->replicas[r]));
            json_array_append_new(dirs, tool_json_str(any ? STR(ANY_DIR) : move->dirs[r]));
        }
        json_object_set_new(entry, "topic", tool_json_str(move->topic));
        json_object_set_new(entry, "partition", json_integer(move->partition));
        json_object_set_new(entry, "replicas", replicas);
        json_object_set_new(entry, "log_dirs", dirs);
        json_array_append_new(list, entry);
    }
    json_object_set_new(document, "version", json_integer(1));
    json_object_set_new(document, "partitions", list);
    return document;
}
