/* What became of reassignments; where all are done the throttles are taken away. */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "tools/broker_log_dirs.h"
#include "tools/reassign_internal.h"

enum move_state { MOVE_DONE, MOVE_GOES_ON, MOVE_OTHER };

static const char *const state_names[] = {"completed", "in progress", "not under way"};

struct verdict {
    enum move_state state;
    const int32_t *replicas; /* as they are, or as they will be */
    int32_t count;
};

static bool check_topics(const struct admin_topics *topics, struct failure *failure)
{
    for (size_t t = 0; t < topics->count; t++) {
        int16_t error = topics->items[t].error;
        if (error != KAFKA_ERROR_NONE && error != KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION)
            return failure_set_error(failure, error, STR_NULL);
    }
    return true;
}

/* The partitions as they are; those that are not there have no replicas. */
static bool find_now(struct reassign_command *command, const struct reassign_moves *moves,
                     struct admin_topics *ret_topics, struct failure *failure)
{
    struct str *names = ARENA_ARRAY(&command->arena, struct str, moves->count);
    struct client_op op;
    size_t count = 0;
    for (size_t i = 0; i < moves->count; i++) {
        if (i == 0 || !str_eq(moves->items[i].topic, moves->items[i - 1].topic))
            names[count++] = moves->items[i].topic;
    }
    client_op_begin(&op, command->client, "describeTopics", &command->arena);
    do {
        failure->error = KAFKA_ERROR_NONE;
        if (admin_try_topics(&op, names, (int32_t)count, false, ret_topics, failure))
            return check_topics(ret_topics, failure);
        if (failure->error != KAFKA_ERROR_NONE)
            return false;
    } while (client_try_later(&op, failure));
    return false;
}

static const struct admin_partition *find_partition(const struct admin_topics *topics,
                                                    const struct reassign_move *move)
{
    for (size_t t = 0; t < topics->count; t++) {
        const struct admin_topic *topic = &topics->items[t];
        for (int32_t p = 0;
             topic->error == 0 && str_eq(topic->name, move->topic) && p < topic->partitions_count;
             p++) {
            if (topic->partitions[p].index == move->partition)
                return &topic->partitions[p];
        }
    }
    return NULL;
}

static bool same_ids(const int32_t *a, int32_t a_count, const int32_t *b, int32_t b_count)
{
    bool same = a_count == b_count;
    for (int32_t i = 0; same && i < a_count; i++)
        same = a[i] == b[i];
    return same;
}

static struct verdict judge(struct reassign_command *command, const struct reassign_move *move,
                            const reassign_ongoing *ongoing, const struct admin_topics *topics)
{
    const struct admin_partition *now = find_partition(topics, move);
    struct verdict verdict = {MOVE_OTHER, NULL, 0};
    if (ongoing != NULL) {
        /* It goes on, towards what is not to go; whatever was wanted. */
        int32_t *target = ARENA_ARRAY(&command->arena, int32_t, ongoing->replicas_count);
        int32_t count = 0;
        for (int32_t i = 0; i < ongoing->replicas_count; i++) {
            if (!reassign_has(ongoing->removing_replicas, ongoing->removing_replicas_count,
                              ongoing->replicas[i]))
                target[count++] = ongoing->replicas[i];
        }
        verdict.state = MOVE_GOES_ON;
        verdict.replicas = target;
        verdict.count = count;
        return verdict;
    }
    if (now == NULL)
        return verdict;
    if (same_ids(now->replicas.items, now->replicas.count, move->replicas, move->count))
        verdict.state = MOVE_DONE;
    verdict.replicas = now->replicas.items;
    verdict.count = now->replicas.count;
    return verdict;
}

static void say_move(struct reassign_command *command, const struct reassign_move *move,
                     const struct verdict *verdict)
{
    struct str wanted = reassign_ids_text(&command->arena, move->replicas, move->count, ",");
    struct str now = reassign_ids_text(&command->arena, verdict->replicas, verdict->count, ",");
    switch (verdict->state) {
    case MOVE_DONE:
        printf("Reassignment of partition %.*s-%d is completed.\n", STR_FMT(move->topic),
               move->partition);
        return;
    case MOVE_GOES_ON:
        printf("Reassignment of partition %.*s-%d is still in progress.\n", STR_FMT(move->topic),
               move->partition);
        return;
    case MOVE_OTHER:
        printf("There is no active reassignment of partition %.*s-%d, but replica set is %.*s "
               "rather than %.*s.\n",
               STR_FMT(move->topic), move->partition, STR_FMT(now), STR_FMT(wanted));
        return;
    }
}

static json_t *json_of(const struct reassign_move *move, const struct verdict *verdict)
{
    json_t *entry = json_object(), *replicas = json_array();
    for (int32_t i = 0; i < verdict->count; i++)
        json_array_append_new(replicas, json_integer(verdict->replicas[i]));
    json_object_set_new(entry, "topic", tool_json_str(move->topic));
    json_object_set_new(entry, "partition", json_integer(move->partition));
    json_object_set_new(entry, "state", json_string(state_names[verdict->state]));
    json_object_set_new(entry, "replicas", replicas);
    return entry;
}

/* --- directories -------------------------------------------------------------------------- */

/* Where a replica lies, and whether it is on its way to another directory. */
struct str reassign_dir_of(const struct describe_log_dirs_response *response,
                           const struct reassign_move *move, bool future)
{
    for (int32_t d = 0; d < response->results_count; d++) {
        for (int32_t t = 0; t < response->results[d].topics_count; t++) {
            const struct describe_log_dirs_response_describe_log_dirs_topic *topic =
                &response->results[d].topics[t];
            for (int32_t p = 0; str_eq(topic->name, move->topic) && p < topic->partitions_count;
                 p++) {
                if (topic->partitions[p].partition_index == move->partition &&
                    topic->partitions[p].is_future_key == future)
                    return response->results[d].log_dir;
            }
        }
    }
    return STR_NULL;
}

/* One replica that was to lie in a certain directory. True: it is still on its way. */
static bool say_dir(struct reassign_command *command, const struct reassign_move *move, int32_t i)
{
    struct describe_log_dirs_response response;
    struct failure failure;
    char name[300];
    snprintf(name, sizeof(name), "%.*s-%d-%d", STR_FMT(move->topic), move->partition,
             move->replicas[i]);
    bool asked = broker_log_dirs_ask(command->client, move->replicas[i], &command->arena, &response,
                                     &failure);
    if (!asked)
        message_init(&describe_log_dirs_response_desc, &response);
    struct str now = reassign_dir_of(&response, move, false);
    struct str next = reassign_dir_of(&response, move, true);
    bool goes_on = !str_is_null(next);
    if (command->tool.json)
        return goes_on;
    if (str_is_null(now))
        printf("Partition %.*s-%d is not found in any live log dir on broker %d. There is likely "
               "an offline log directory on the broker.\n",
               STR_FMT(move->topic), move->partition, move->replicas[i]);
    else if (goes_on && str_eq(next, move->dirs[i]))
        printf("Reassignment of replica %s is still in progress.\n", name);
    else if (goes_on)
        printf("Partition %.*s-%d on broker %d is being moved to log dir %.*s instead of %.*s.\n",
               STR_FMT(move->topic), move->partition, move->replicas[i], STR_FMT(next),
               STR_FMT(move->dirs[i]));
    else if (str_eq(now, move->dirs[i]))
        printf("Reassignment of replica %s completed successfully.\n", name);
    else
        printf("Partition %.*s-%d on broker %d is not being moved from log dir %.*s to %.*s.\n",
               STR_FMT(move->topic), move->partition, move->replicas[i], STR_FMT(now),
               STR_FMT(move->dirs[i]));
    return goes_on;
}

/* Without any of them there is an empty line, as in Kafka. */
static bool say_dirs(struct reassign_command *command, const struct reassign_moves *moves)
{
    bool goes_on = false, none = true;
    for (size_t m = 0; m < moves->count; m++) {
        const struct reassign_move *move = &moves->items[m];
        for (int32_t i = 0; move->dirs != NULL && i < move->count; i++) {
            if (str_is_null(move->dirs[i]))
                continue;
            none = false;
            if (say_dir(command, move, i))
                goes_on = true;
        }
    }
    if (none && !command->tool.json)
        putchar('\n');
    return goes_on;
}

int reassign_verify(struct reassign_command *command, const char *path)
{
    struct failure failure;
    struct reassign_moves moves;
    struct admin_topics topics;
    struct list_partition_reassignments_response ongoing;
    if (!reassign_read_moves(command, path, false, &moves, &failure) ||
        !admin_reassignments(command->client, &command->arena, &ongoing, &failure) ||
        !find_now(command, &moves, &topics, &failure))
        return reassign_fail(command, &failure);
    json_t *list = json_array();
    if (!command->tool.json)
        puts("Status of partition reassignment:");
    for (size_t i = 0; i < moves.count; i++) {
        const struct reassign_move *move = &moves.items[i];
        const reassign_ongoing *under_way = reassign_find(&ongoing, move->topic, move->partition);
        struct verdict verdict = judge(command, move, under_way, &topics);
        if (!command->tool.json)
            say_move(command, move, &verdict);
        json_array_append_new(list, json_of(move, &verdict));
    }
    bool goes_on = say_dirs(command, &moves) || ongoing.topics_count > 0;
    fflush(stdout);
    bool ok = goes_on || command->preserve_throttles ||
              reassign_clear_throttles(command, &moves, &failure);
    if (ok && command->tool.json) {
        json_t *document = json_object();
        json_object_set(document, "partitions", list);
        tool_print_json(document);
    }
    json_decref(list);
    return ok ? 0 : reassign_fail(command, &failure);
}
