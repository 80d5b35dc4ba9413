/*
 * AlterReplicaLogDirs: replicas of this broker are moved to other log directories (KIP-113). It is
 * answered when the copy has begun, or the move before it is over. A replica that is not here yet
 * is made there later; that is REPLICA_NOT_AVAILABLE, or UNKNOWN_TOPIC_OR_PARTITION.
 */
#include "broker/handlers/handlers.h"
#include "broker/replica/partition_move.h"
#include "broker/server/fan_out.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/protocol/messages/alter_replica_log_dirs.h"
#include "common/storage/log_manager_moves.h"

typedef struct alter_replica_log_dirs_request_alter_replica_log_dir asked_dir;
typedef struct alter_replica_log_dirs_request_alter_replica_log_dir_topic asked_topic;
typedef struct alter_replica_log_dirs_response_alter_replica_log_dir_topic_result answered_topic;
typedef struct alter_replica_log_dirs_response_alter_replica_log_dir_partition_result
    answered_partition;

/* One partition; the last directory that the request names for it. */
struct wanted_move {
    struct move_wait wait;
    struct fan_out_item *item;
    answered_topic *topic;
    struct str path;
    int dir;
};

struct alter_dirs_op {
    struct fan_out fan;
    struct log_manager *logs;
    struct wanted_move *moves; /* one for each item */
    struct alter_replica_log_dirs_response response;
};

static void moved(struct move_wait *wait, enum kafka_error error)
{
    struct wanted_move *move = CONTAINER_OF(wait, struct wanted_move, wait);
    move->item->error = error;
    fan_out_let_go(move->item);
}

static void handle_one(struct fan_out *fan, struct fan_out_item *item, struct partition *p)
{
    struct alter_dirs_op *op = CONTAINER_OF(fan, struct alter_dirs_op, fan);
    struct wanted_move *move = &op->moves[item - fan->items];
    if (p == NULL) {
        item->error = KAFKA_ERROR_REPLICA_NOT_AVAILABLE;
        log_manager_prefer(op->logs, move->topic->topic_name, item->partition, (size_t)move->dir);
        return;
    }
    move->wait.done = moved;
    list_init(&move->wait.link);
    (void)fan_out_hold(item);
    partition_move_to(p, (size_t)move->dir, &move->wait);
}

static void done(struct fan_out *fan)
{
    struct alter_dirs_op *op = CONTAINER_OF(fan, struct alter_dirs_op, fan);
    for (int32_t i = 0; i < fan->count; i++) {
        answered_topic *topic = op->moves[i].topic;
        answered_partition *out = &topic->partitions[topic->partitions_count++];
        out->partition_index = fan->items[i].partition;
        out->error_code = (int16_t)fan->items[i].error;
    }
    request_respond(fan->request, &op->response);
}

static enum kafka_error check(const struct alter_dirs_op *op, struct wanted_move *move,
                              int32_t partition)
{
    if (log_manager_name_too_long(move->topic->topic_name, partition))
        return KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
    move->dir = log_manager_find_dir(op->logs, move->path);
    if (move->dir < 0)
        return KAFKA_ERROR_LOG_DIR_NOT_FOUND;
    if (log_manager_dir_status(op->logs, (size_t)move->dir) != 0)
        return KAFKA_ERROR_KAFKA_STORAGE_ERROR;
    return log_manager_dir_cordoned(op->logs, (size_t)move->dir)
               ? KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT
               : KAFKA_ERROR_NONE;
}

static void resolve(struct alter_dirs_op *op, struct wanted_move *move)
{
    struct fan_out_item *item = move->item;
    struct str topic = move->topic->topic_name;
    int32_t partition = item->partition;
    item->error = check(op, move, partition);
    if (item->error != KAFKA_ERROR_NONE)
        return;
    fan_out_resolve(op->fan.request, topic, partition, item);
    if (item->error == KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION && partition >= 0)
        log_manager_prefer(op->logs, topic, partition, (size_t)move->dir);
}

static answered_topic *topic_of(struct alter_dirs_op *op, struct map *topics, struct str name)
{
    answered_topic *topic = map_get(topics, map_key_str(name));
    if (topic == NULL) {
        topic = &op->response.results[op->response.results_count++];
        topic->topic_name = name;
        map_put(topics, map_key_str(name), topic);
    }
    return topic;
}

static void add(struct alter_dirs_op *op, answered_topic *topic, struct map *seen,
                int32_t partition, struct str path)
{
    struct map_key key = map_key_str_int(topic->topic_name, partition);
    struct wanted_move *move = map_get(seen, key);
    if (move == NULL) {
        move = &op->moves[op->fan.count];
        move->item = &op->fan.items[op->fan.count++];
        move->item->partition = partition;
        move->topic = topic;
        topic->partitions_count++;
        map_put(seen, key, move);
    }
    move->path = path;
}

static void collect(struct alter_dirs_op *op, const struct alter_replica_log_dirs_request *body)
{
    struct map topics, seen;
    map_init(&topics, MAP_STR_BORROWED);
    map_init(&seen, MAP_STR_BORROWED);
    for (int32_t d = 0; d < body->dirs_count; d++) {
        const asked_dir *dir = &body->dirs[d];
        for (int32_t t = 0; t < dir->topics_count; t++) {
            for (int32_t i = 0; i < dir->topics[t].partitions_count; i++)
                add(op, topic_of(op, &topics, dir->topics[t].name), &seen,
                    dir->topics[t].partitions[i], dir->path);
        }
    }
    map_release(&topics);
    map_release(&seen);
}

void handle_alter_replica_log_dirs(struct request *request)
{
    const struct alter_replica_log_dirs_request *body = request->body;
    struct arena *arena = &request->arena;
    struct alter_dirs_op *op = ARENA_NEW(arena, struct alter_dirs_op);
    int32_t topics = 0, partitions = 0;
    for (int32_t d = 0; d < body->dirs_count; d++) {
        topics += body->dirs[d].topics_count;
        for (int32_t t = 0; t < body->dirs[d].topics_count; t++)
            partitions += body->dirs[d].topics[t].partitions_count;
    }
    op->logs = node_log_manager(request->shard->node);
    op->moves = ARENA_ARRAY(arena, struct wanted_move, partitions);
    op->fan = (struct fan_out){.request = request, .handle = handle_one, .done = done};
    op->fan.items = ARENA_ARRAY(arena, struct fan_out_item, partitions);
    message_init(&alter_replica_log_dirs_response_desc, &op->response);
    op->response.results = MESSAGE_ARRAY(
        arena, alter_replica_log_dirs_response_alter_replica_log_dir_topic_result, topics);
    collect(op, body);
    for (int32_t t = 0; t < op->response.results_count; t++) {
        answered_topic *topic = &op->response.results[t];
        topic->partitions = MESSAGE_ARRAY(
            arena, alter_replica_log_dirs_response_alter_replica_log_dir_partition_result,
            topic->partitions_count);
        topic->partitions_count = 0;
    }
    for (int32_t i = 0; i < op->fan.count; i++)
        resolve(op, &op->moves[i]);
    fan_out_start(&op->fan);
}
