/* Begins reassignments, and gives them up. */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/alter_partition_reassignments.h"
#include "common/protocol/messages/alter_replica_log_dirs.h"
#include "tools/broker_log_dirs.h"
#include "tools/reassign_internal.h"

#include <stdlib.h>
#include <unistd.h>

#define DIR_RETRY_MS 100

typedef struct alter_partition_reassignments_response_reassignable_partition_response answer;

/* --- the request -------------------------------------------------------------------------- */

static void fill_request(struct reassign_command *command, const struct reassign_moves *moves,
                         const bool *wanted, bool cancel,
                         struct alter_partition_reassignments_request *request)
{
    struct arena *arena = &command->arena;
    message_init(&alter_partition_reassignments_request_desc, request);
    request->allow_replication_factor_change = !command->keep_factor;
    request->topics = MESSAGE_ARRAY(arena, alter_partition_reassignments_request_reassignable_topic,
                                    (int32_t)moves->count);
    for (size_t i = 0; i < moves->count; i++) {
        const struct reassign_move *move = &moves->items[i];
        if (wanted != NULL && !wanted[i])
            continue;
        struct alter_partition_reassignments_request_reassignable_topic *topic =
            request->topics_count > 0 ? &request->topics[request->topics_count - 1] : NULL;
        if (topic == NULL || !str_eq(topic->name, move->topic)) {
            topic = &request->topics[request->topics_count++];
            topic->name = move->topic;
            topic->partitions =
                MESSAGE_ARRAY(arena, alter_partition_reassignments_request_reassignable_partition,
                              (int32_t)(moves->count - i));
        }
        struct alter_partition_reassignments_request_reassignable_partition *partition =
            &topic->partitions[topic->partitions_count++];
        partition->partition_index = move->partition;
        partition->replicas = cancel ? NULL : move->replicas;
        partition->replicas_count = cancel ? -1 : move->count;
    }
}

static bool ask(struct reassign_command *command,
                struct alter_partition_reassignments_request *request,
                struct alter_partition_reassignments_response *ret_response,
                struct failure *failure)
{
    struct client_op op;
    client_op_begin(&op, command->client, "alterPartitionReassignments", &command->arena);
    for (;;) {
        request->timeout_ms = client_time_left(&op, INT32_MAX);
        if (!client_call(&op, CLIENT_CONTROLLER, API_ALTER_PARTITION_REASSIGNMENTS, request,
                         ret_response, failure))
            return false;
        if (ret_response->error_code == 0)
            return true;
        if (!client_retry(&op, ret_response->error_code, ret_response->error_message, failure))
            return false;
    }
}

/* Says what was refused under `title`; nothing where all went well. True where something was. */
static bool say_refused(const struct reassign_command *command, const char *title,
                        const struct alter_partition_reassignments_response *response)
{
    json_t *list = json_array();
    bool found = false;
    for (int32_t t = 0; t < response->responses_count; t++) {
        for (int32_t p = 0; p < response->responses[t].partitions_count; p++) {
            const answer *one = &response->responses[t].partitions[p];
            struct failure failure;
            if (one->error_code == 0)
                continue;
            failure_set_error(&failure, one->error_code, one->error_message);
            if (!command->tool.json)
                printf("%s%.*s-%d: %s\n", found ? "" : title, STR_FMT(response->responses[t].name),
                       one->partition_index, failure.text);
            json_t *entry = tool_json_of_failure(&failure);
            json_object_set_new(entry, "topic", tool_json_str(response->responses[t].name));
            json_object_set_new(entry, "partition", json_integer(one->partition_index));
            json_array_append_new(list, entry);
            found = true;
        }
    }
    if (found && command->tool.json) {
        json_t *document = json_object();
        json_object_set(document, "refused", list);
        tool_print_json(document);
    }
    json_decref(list);
    return found;
}

/* --- into directories --------------------------------------------------------------------- */

/* One replica into a directory of its broker. False: later, perhaps; the replica is not there. */
static bool move_dir(struct reassign_command *command, const struct reassign_move *move, int32_t i,
                     struct str path, bool *ret_later, struct failure *failure)
{
    struct client_op op;
    struct alter_replica_log_dirs_request request;
    struct alter_replica_log_dirs_response response;
    message_init(&alter_replica_log_dirs_request_desc, &request);
    struct alter_replica_log_dirs_request_alter_replica_log_dir *dir = request.dirs =
        MESSAGE_ARRAY(&command->arena, alter_replica_log_dirs_request_alter_replica_log_dir, 1);
    request.dirs_count = 1;
    dir->path = path;
    dir->topics = MESSAGE_ARRAY(&command->arena,
                                alter_replica_log_dirs_request_alter_replica_log_dir_topic, 1);
    dir->topics_count = 1;
    dir->topics[0].name = move->topic;
    dir->topics[0].partitions = ARENA_NEW(&command->arena, int32_t);
    dir->topics[0].partitions[0] = move->partition;
    dir->topics[0].partitions_count = 1;
    *ret_later = false;
    client_op_begin(&op, command->client, "alterReplicaLogDirs", &command->arena);
    if (!client_call(&op, move->replicas[i], API_ALTER_REPLICA_LOG_DIRS, &request, &response,
                     failure))
        return false;
    if (response.results_count < 1 || response.results[0].partitions_count < 1)
        return failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                           "The answer to AlterReplicaLogDirs is empty");
    int16_t error = response.results[0].partitions[0].error_code;
    *ret_later = error == KAFKA_ERROR_REPLICA_NOT_AVAILABLE;
    if (error != 0)
        return failure_set(failure, error, "Failed to alter dir for %.*s-%d-%d: %s",
                           STR_FMT(move->topic), move->partition, move->replicas[i],
                           kafka_error_message(error));
    if (!command->tool.json)
        printf("Successfully started moving log directory to %.*s for replica %.*s-%d with broker "
               "%d \n",
               STR_FMT(path), STR_FMT(move->topic), move->partition, move->replicas[i]);
    return true;
}

/* The replicas that are to lie in a directory of that name; new ones have to be there first. */
static bool move_dirs(struct reassign_command *command, const struct reassign_moves *moves,
                      struct failure *failure)
{
    int64_t end_ms = client_now_ms() + command->timeout_ms;
    for (size_t m = 0; m < moves->count; m++) {
        const struct reassign_move *move = &moves->items[m];
        for (int32_t i = 0; move->dirs != NULL && i < move->count; i++) {
            bool later = false;
            while (!str_is_null(move->dirs[i]) &&
                   !move_dir(command, move, i, move->dirs[i], &later, failure)) {
                if (!later || client_now_ms() >= end_ms)
                    return false;
                usleep(DIR_RETRY_MS * 1000);
            }
        }
    }
    return true;
}

/* --- execute ------------------------------------------------------------------------------ */

static bool check_brokers(struct reassign_command *command, const struct reassign_moves *moves,
                          struct failure *failure)
{
    struct client_op op;
    struct client_node *nodes;
    size_t count;
    client_op_begin(&op, command->client, "listNodes", &command->arena);
    if (!client_nodes(&op, &nodes, &count, failure))
        return false;
    for (size_t i = 0; i < moves->count; i++) {
        for (int32_t r = 0; r < moves->items[i].count; r++) {
            bool found = false;
            for (size_t n = 0; !found && n < count; n++)
                found = nodes[n].id == moves->items[i].replicas[r];
            if (!found)
                return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST, "Unknown broker id %d",
                                   moves->items[i].replicas[r]);
        }
    }
    return true;
}

static void say_current(const struct reassign_command *command,
                        const struct reassign_moves *current)
{
    if (command->tool.json)
        return;
    puts("Current partition replica assignment\n");
    tool_print_json(reassign_to_json(current));
    puts("\nSave this to use as the --reassignment-json-file option during rollback");
    if (command->throttle >= 0 || command->dir_throttle >= 0)
        puts("Warning: You must run --verify periodically, until the reassignment completes, to "
             "ensure the throttle is removed.");
}

static int start(struct reassign_command *command, const struct reassign_moves *moves,
                 const struct reassign_moves *current)
{
    struct failure failure;
    struct alter_partition_reassignments_request request;
    struct alter_partition_reassignments_response response;
    size_t count;
    fill_request(command, moves, NULL, false, &request);
    if (!ask(command, &request, &response, &failure))
        return reassign_fail(command, &failure);
    if (say_refused(command, "Error reassigning partition(s):\n", &response))
        return 1;
    struct str names = reassign_names(command, moves, NULL, &count);
    if (!command->tool.json)
        printf("Successfully started partition reassignment%s for %.*s\n", count > 1 ? "s" : "",
               STR_FMT(names));
    if (!move_dirs(command, moves, &failure))
        return reassign_fail(command, &failure);
    if (command->tool.json) {
        json_t *document = json_object();
        json_object_set_new(document, "current", reassign_to_json(current));
        json_object_set_new(document, "started", reassign_to_json(moves));
        tool_print_json(document);
    }
    return 0;
}

int reassign_execute(struct reassign_command *command, const char *path)
{
    struct failure failure;
    struct reassign_moves moves, current;
    struct list_partition_reassignments_response ongoing;
    if (!reassign_read_moves(command, path, true, &moves, &failure))
        return reassign_fail(command, &failure);
    if (moves.count == 0) {
        failure_set(&failure, KAFKA_ERROR_INVALID_REQUEST,
                    "Partition reassignment list cannot be empty");
        return reassign_fail(command, &failure);
    }
    if (!admin_reassignments(command->client, &command->arena, &ongoing, &failure))
        return reassign_fail(command, &failure);
    if (ongoing.topics_count > 0 && !command->additional) {
        failure_set(&failure, KAFKA_ERROR_REASSIGNMENT_IN_PROGRESS,
                    "Cannot execute because there is an existing partition assignment.  Use "
                    "--additional to override this and create a new partition assignment in "
                    "addition to the existing one. The --additional flag can also be used to "
                    "change the throttle by resubmitting the current reassignment.");
        if (command->tool.json)
            return tool_fail(&command->tool, &failure);
        puts(failure.text);
        return 1;
    }
    if (!check_brokers(command, &moves, &failure) ||
        !reassign_current(command, &moves, &current, &failure))
        return reassign_fail(command, &failure);
    say_current(command, &current);
    fflush(stdout);
    if (!reassign_set_throttles(command, &moves, &current, &ongoing, &failure))
        return reassign_fail(command, &failure);
    return start(command, &moves, &current);
}

/* --- cancel ------------------------------------------------------------------------------- */

/* A move between directories is given up by asking for the one where the replica lies. */
static bool cancel_dirs(struct reassign_command *command, const struct reassign_moves *moves,
                        struct failure *failure)
{
    bool none = true, later;
    for (size_t m = 0; m < moves->count; m++) {
        const struct reassign_move *move = &moves->items[m];
        for (int32_t i = 0; move->dirs != NULL && i < move->count; i++) {
            struct describe_log_dirs_response response;
            if (str_is_null(move->dirs[i]))
                continue;
            if (!broker_log_dirs_ask(command->client, move->replicas[i], &command->arena, &response,
                                     failure))
                return false;
            struct str now = reassign_dir_of(&response, move, false);
            if (str_is_null(now) || str_is_null(reassign_dir_of(&response, move, true)))
                continue;
            none = false;
            if (!move_dir(command, move, i, now, &later, failure))
                return false;
        }
    }
    if (none && !command->tool.json)
        fputs("None of the specified partition moves are active.", stdout);
    return true;
}

static void say_cancelled(struct reassign_command *command, const struct reassign_moves *moves,
                          const bool *wanted)
{
    size_t count;
    struct str names = reassign_names(command, moves, wanted, &count);
    if (command->tool.json) {
        json_t *document = json_object(), *list = json_array();
        for (size_t i = 0; i < moves->count; i++) {
            if (wanted[i])
                json_array_append_new(list,
                                      tool_json_str(arena_printf(&command->arena, "%.*s-%d",
                                                                 STR_FMT(moves->items[i].topic),
                                                                 moves->items[i].partition)));
        }
        json_object_set_new(document, "cancelled", list);
        tool_print_json(document);
    } else if (count > 0) {
        printf("Successfully cancelled partition reassignment%s for: %.*s\n", count > 1 ? "s" : "",
               STR_FMT(names));
    } else {
        puts("None of the specified partition reassignments are active.");
    }
}

static bool check_indexes(const struct reassign_moves *moves, struct failure *failure)
{
    for (size_t i = 0; i < moves->count; i++) {
        if (moves->items[i].partition < 0)
            return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                               "The given partition index %d is not valid.",
                               moves->items[i].partition);
    }
    return true;
}

int reassign_cancel(struct reassign_command *command, const char *path)
{
    struct failure failure;
    struct reassign_moves moves;
    struct list_partition_reassignments_response ongoing;
    struct alter_partition_reassignments_request request;
    struct alter_partition_reassignments_response response;
    if (!reassign_read_moves(command, path, false, &moves, &failure) ||
        !check_indexes(&moves, &failure) ||
        !admin_reassignments(command->client, &command->arena, &ongoing, &failure))
        return reassign_fail(command, &failure);
    bool *wanted = ARENA_ARRAY(&command->arena, bool, moves.count);
    bool some = false;
    for (size_t i = 0; i < moves.count; i++) {
        wanted[i] = reassign_find(&ongoing, moves.items[i].topic, moves.items[i].partition) != NULL;
        some = some || wanted[i];
    }
    fill_request(command, &moves, wanted, true, &request);
    if (some && !ask(command, &request, &response, &failure))
        return reassign_fail(command, &failure);
    if (some &&
        say_refused(command, "Error cancelling partition reassignment(s) for:\n", &response))
        return 1;
    say_cancelled(command, &moves, wanted);
    if (!cancel_dirs(command, &moves, &failure))
        return reassign_fail(command, &failure);
    if (!command->preserve_throttles && !reassign_clear_throttles(command, &moves, &failure))
        return reassign_fail(command, &failure);
    return 0;
}
