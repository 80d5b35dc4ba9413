/*
 * Throttles of reassignments (KIP-73): how fast brokers send and take what is moved, and which
 * replicas of a topic that concerns.
 *
 *   broker: leader.replication.throttled.rate, follower.replication.throttled.rate,
 *           replica.alter.log.dirs.io.max.bytes.per.second
 *   topic:  leader.replication.throttled.replicas, follower.replication.throttled.replicas, as
 *           partition:broker,...
 */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/incremental_alter_configs.h"
#include "tools/broker_log_dirs.h"
#include "tools/java_order.h"
#include "tools/reassign_internal.h"

#include <inttypes.h>

#define LEADER_RATE   "leader.replication.throttled.rate"
#define FOLLOWER_RATE "follower.replication.throttled.rate"
#define DIR_RATE      "replica.alter.log.dirs.io.max.bytes.per.second"
#define LEADERS       "leader.replication.throttled.replicas"
#define FOLLOWERS     "follower.replication.throttled.replicas"

enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4, OPERATION_SET = 0, OPERATION_DELETE = 1 };

struct setting {
    const char *key;
    struct str value; /* null: delete */
};

static bool alter(struct reassign_command *command, int8_t type, struct str name, int32_t node,
                  const struct setting *settings, size_t count, struct failure *failure)
{
    struct client_op op;
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_response response;
    struct arena *arena = &command->arena;
    message_init(&incremental_alter_configs_request_desc, &request);
    request.resources =
        MESSAGE_ARRAY(arena, incremental_alter_configs_request_alter_configs_resource, 1);
    request.resources_count = 1;
    request.resources[0].resource_type = type;
    request.resources[0].resource_name = name;
    request.resources[0].configs =
        MESSAGE_ARRAY(arena, incremental_alter_configs_request_alterable_config, (int32_t)count);
    request.resources[0].configs_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        request.resources[0].configs[i].name = str_of(settings[i].key);
        request.resources[0].configs[i].value = settings[i].value;
        request.resources[0].configs[i].config_operation =
            str_is_null(settings[i].value) ? OPERATION_DELETE : OPERATION_SET;
    }
    client_op_begin(&op, command->client, "incrementalAlterConfigs", arena);
    for (;;) {
        if (!client_call(&op, node, API_INCREMENTAL_ALTER_CONFIGS, &request, &response, failure))
            return false;
        if (response.responses_count < 1)
            return failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                               "The answer to IncrementalAlterConfigs is empty");
        int16_t error = response.responses[0].error_code;
        if (error == 0)
            return true;
        if (error != KAFKA_ERROR_NOT_CONTROLLER)
            return failure_set_error(failure, error, response.responses[0].error_message);
        if (!client_retry(&op, error, response.responses[0].error_message, failure))
            return false;
    }
}

static bool alter_broker(struct reassign_command *command, int32_t id,
                         const struct setting *settings, size_t count, struct failure *failure)
{
    return alter(command, RESOURCE_BROKER, arena_printf(&command->arena, "%d", id), id, settings,
                 count, failure);
}

/* --- setting ------------------------------------------------------------------------------ */

/* Who has the partition before it moves: what goes on already has its old replicas in the list. */
static struct reassign_move sources_of(struct reassign_command *command,
                                       const struct reassign_move *current,
                                       const reassign_ongoing *ongoing)
{
    struct reassign_move sources = *current;
    if (ongoing == NULL)
        return sources;
    sources.replicas = ARENA_ARRAY(&command->arena, int32_t, ongoing->replicas_count);
    sources.count = 0;
    for (int32_t i = 0; i < ongoing->replicas_count; i++) {
        if (!reassign_has(ongoing->adding_replicas, ongoing->adding_replicas_count,
                          ongoing->replicas[i]))
            sources.replicas[sources.count++] = ongoing->replicas[i];
    }
    return sources;
}

static void add_pairs(struct bytebuf *text, int32_t partition, const int32_t *ids, int32_t count,
                      const struct reassign_move *except)
{
    for (int32_t i = 0; i < count; i++) {
        if (except == NULL || !reassign_has(except->replicas, except->count, ids[i]))
            bytebuf_printf(text, "%s%d:%d", text->len ? "," : "", partition, ids[i]);
    }
}

/* The partitions [first, end) of one topic. */
static bool throttle_topic(struct reassign_command *command, const struct reassign_moves *moves,
                           const struct reassign_moves *current,
                           const struct list_partition_reassignments_response *ongoing,
                           size_t first, size_t end, struct failure *failure)
{
    struct bytebuf leaders, followers;
    struct setting settings[2];
    size_t count = 0;
    bytebuf_init(&leaders);
    bytebuf_init(&followers);
    for (size_t i = first; i < end; i++) {
        const struct reassign_move *move = &moves->items[i];
        struct reassign_move sources = sources_of(
            command, &current->items[i], reassign_find(ongoing, move->topic, move->partition));
        size_t before = followers.len;
        add_pairs(&followers, move->partition, move->replicas, move->count, &sources);
        if (followers.len > before)
            add_pairs(&leaders, move->partition, sources.replicas, sources.count, NULL);
    }
    if (leaders.len > 0)
        settings[count++] =
            (struct setting){LEADERS, str_from((const char *)leaders.data, leaders.len)};
    if (followers.len > 0)
        settings[count++] =
            (struct setting){FOLLOWERS, str_from((const char *)followers.data, followers.len)};
    bool ok = count == 0 || alter(command, RESOURCE_TOPIC, moves->items[first].topic,
                                  CLIENT_CONTROLLER, settings, count, failure);
    bytebuf_release(&leaders);
    bytebuf_release(&followers);
    return ok;
}

/* All brokers that replicas of this leave, stay on or reach. */
static int32_t brokers_of(struct reassign_command *command, const struct reassign_moves *moves,
                          const struct reassign_moves *current, int32_t **ret_ids)
{
    size_t room = 0;
    int32_t count = 0;
    for (size_t i = 0; i < moves->count; i++)
        room += (size_t)moves->items[i].count + (size_t)current->items[i].count;
    int32_t *ids = ARENA_ARRAY(&command->arena, int32_t, room);
    for (size_t i = 0; i < moves->count; i++) {
        const struct reassign_move *both[] = {&moves->items[i], &current->items[i]};
        for (int b = 0; b < 2; b++)
            for (int32_t r = 0; r < both[b]->count; r++)
                if (!reassign_has(ids, count, both[b]->replicas[r]))
                    ids[count++] = both[b]->replicas[r];
    }
    *ret_ids = ids;
    return count;
}

static bool throttle_brokers(struct reassign_command *command, const struct reassign_moves *moves,
                             const struct reassign_moves *current, const struct setting *settings,
                             size_t count, struct failure *failure)
{
    int32_t *ids, id_count = brokers_of(command, moves, current, &ids);
    bool ok = true;
    for (int32_t i = 0; ok && i < id_count; i++)
        ok = alter_broker(command, ids[i], settings, count, failure);
    return ok;
}

/* With what goes on already beside the moves: its throttle is set anew, not taken away. */
static void add_ongoing(struct reassign_command *command,
                        const struct list_partition_reassignments_response *ongoing,
                        struct reassign_moves *moves, struct reassign_moves *current)
{
    size_t room = moves->count, named = moves->count;
    for (int32_t t = 0; t < ongoing->topics_count; t++)
        room += (size_t)ongoing->topics[t].partitions_count;
    struct reassign_move *to = ARENA_ARRAY(&command->arena, struct reassign_move, room);
    struct reassign_move *from = ARENA_ARRAY(&command->arena, struct reassign_move, room);
    size_t count = named;
    memcpy(to, moves->items, named * sizeof(*to));
    memcpy(from, current->items, named * sizeof(*from));
    for (int32_t t = 0; t < ongoing->topics_count; t++) {
        for (int32_t p = 0; p < ongoing->topics[t].partitions_count; p++) {
            const reassign_ongoing *one = &ongoing->topics[t].partitions[p];
            struct reassign_move move = {.topic = ongoing->topics[t].name,
                                         .partition = one->partition_index,
                                         .replicas = one->replicas,
                                         .count = one->replicas_count};
            if (bsearch(&move, moves->items, named, sizeof(move), reassign_by_name) == NULL)
                to[count] = from[count] = move, count++;
        }
    }
    qsort(to, count, sizeof(*to), reassign_by_name);
    qsort(from, count, sizeof(*from), reassign_by_name);
    *moves = (struct reassign_moves){to, count};
    *current = (struct reassign_moves){from, count};
}

static bool set_rates(struct reassign_command *command, const struct reassign_moves *moves,
                      const struct reassign_moves *current,
                      const struct list_partition_reassignments_response *ongoing,
                      struct failure *failure)
{
    struct reassign_moves all = *moves, now = *current;
    add_ongoing(command, ongoing, &all, &now);
    for (size_t i = 0, end; i < all.count; i = end) {
        for (end = i + 1; end < all.count && str_eq(all.items[end].topic, all.items[i].topic);
             end++)
            continue;
        if (!throttle_topic(command, &all, &now, ongoing, i, end, failure))
            return false;
    }
    struct str rate = arena_printf(&command->arena, "%" PRId64, command->throttle);
    const struct setting settings[] = {{LEADER_RATE, rate}, {FOLLOWER_RATE, rate}};
    return throttle_brokers(command, &all, &now, settings, ARRAY_LEN(settings), failure);
}

bool reassign_set_throttles(struct reassign_command *command, const struct reassign_moves *moves,
                            const struct reassign_moves *current,
                            const struct list_partition_reassignments_response *ongoing,
                            struct failure *failure)
{
    if (command->throttle >= 0 && !set_rates(command, moves, current, ongoing, failure))
        return false;
    const struct setting dir_rate = {
        DIR_RATE, arena_printf(&command->arena, "%" PRId64, command->dir_throttle)};
    if (command->dir_throttle >= 0 &&
        !throttle_brokers(command, moves, current, &dir_rate, 1, failure))
        return false;
    if (command->throttle >= 0 && !command->tool.json)
        printf("The inter-broker throttle limit was set to %" PRId64 " B/s\n", command->throttle);
    if (command->dir_throttle >= 0 && !command->tool.json)
        printf("The replica-alter-dir throttle limit was set to %" PRId64 " B/s\n",
               command->dir_throttle);
    return true;
}

/* --- clearing ----------------------------------------------------------------------------- */

static bool clear_brokers(struct reassign_command *command, struct failure *failure)
{
    static const struct setting settings[] = {
        {LEADER_RATE, {NULL, -1}}, {FOLLOWER_RATE, {NULL, -1}}, {DIR_RATE, {NULL, -1}}};
    int32_t *ids;
    size_t count;
    bool ok = broker_log_dirs_brokers(command->client, &command->arena, &ids, &count, failure);
    if (!ok)
        return false;
    struct str text = reassign_ids_text(&command->arena, ids, (int32_t)count, ",");
    if (!command->tool.json)
        printf("Clearing broker-level throttles on broker%s %.*s\n", count != 1 ? "s" : "",
               STR_FMT(text));
    for (size_t i = 0; ok && i < count; i++)
        ok = alter_broker(command, ids[i], settings, ARRAY_LEN(settings), failure);
    return ok;
}

bool reassign_clear_throttles(struct reassign_command *command, const struct reassign_moves *moves,
                              struct failure *failure)
{
    static const struct setting settings[] = {{LEADERS, {NULL, -1}}, {FOLLOWERS, {NULL, -1}}};
    struct str *topics = ARENA_ARRAY(&command->arena, struct str, moves->count);
    size_t *order = ARENA_ARRAY(&command->arena, size_t, moves->count);
    size_t count = 0;
    if (!clear_brokers(command, failure))
        return false;
    for (size_t i = 0; i < moves->count; i++) {
        if (i == 0 || !str_eq(moves->items[i].topic, moves->items[i - 1].topic))
            topics[count++] = moves->items[i].topic;
    }
    java_map_order(topics, count, 0, order);
    if (!command->tool.json) {
        printf("Clearing topic-level throttles on topic%s ", count != 1 ? "s" : "");
        for (size_t i = 0; i < count; i++)
            printf("%s%.*s", i ? "," : "", STR_FMT(topics[order[i]]));
        putchar('\n');
        fflush(stdout);
    }
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++)
        ok = alter(command, RESOURCE_TOPIC, topics[order[i]], CLIENT_CONTROLLER, settings,
                   ARRAY_LEN(settings), failure);
    return ok;
}
