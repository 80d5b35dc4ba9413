/* kafka-metadata-quorum: who votes on the metadata, how far each has come, and changes of that. */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/describe_cluster.h"
#include "tools/metadata_quorum.h"
#include "tools/uuid_text.h"

#include "common/protocol/messages/remove_raft_voter.h"

#include <stdlib.h>
#include <time.h>

enum { BOOTSTRAP = 1 };
enum { ENDPOINTS_OF_BROKERS = 1, ENDPOINTS_OF_CONTROLLERS = 2 };

static const struct args_option globals[] = {
    {"command-config", 0, true, false, 0,
     "A file of client properties; for add-controller, the controller's server.properties."},
    {"bootstrap-server", 0, true, true, BOOTSTRAP, "Brokers to begin with, HOST:PORT,..."},
    {"bootstrap-controller", 0, true, true, BOOTSTRAP, "Controllers to begin with, HOST:PORT,..."},
    {NULL},
};
static const struct args_option describe_options[] = {
    {"status", 0, false, false, 0, "The quorum in a few words."},
    {"replication", 0, false, false, 0, "How far each of its nodes has come."},
    {"human-readable", 0, false, false, 0, "Times as \"N ms ago\"."},
    {NULL},
};
static const struct args_option add_options[] = {
    {"dry-run", 0, false, false, 0, "Only say what would be done."},
    {NULL},
};
static const struct args_option remove_options[] = {
    {"controller-id", 'i', true, true, 0, "The node id of the voter.", true},
    {"controller-directory-id", 'd', true, true, 0, "The id of its metadata directory."},
    {"dry-run", 0, false, false, 0, "Only say what would be done."},
    {NULL},
};
static const struct args_command commands[] = {
    {"describe", "Describe the quorum.", describe_options},
    {"add-controller", "Make a controller a voter.", add_options},
    {"remove-controller", "Take a controller from the voters.", remove_options},
    {NULL},
};

/* --- what is asked ---------------------------------------------------------------------------- */

bool metadata_quorum_ask(struct client_op *op, struct quorum *ret_quorum, struct failure *failure)
{
    struct describe_quorum_request_partition_data partition = {.partition_index = 0};
    struct describe_quorum_request_topic_data topic = {
        .topic_name = STR("__cluster_metadata"), .partitions = &partition, .partitions_count = 1};
    struct describe_quorum_request request;
    message_init(&describe_quorum_request_desc, &request);
    request.topics = &topic;
    request.topics_count = 1;
    struct describe_quorum_response *response = &ret_quorum->response;
    for (;;) {
        if (!client_call(op, CLIENT_CONTROLLER, API_DESCRIBE_QUORUM, &request, response, failure))
            return false;
        int16_t error = response->error_code;
        struct str message = response->error_message;
        if (error == 0 &&
            (response->topics_count != 1 || response->topics[0].partitions_count != 1))
            return failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                               "The answer is about %d topics where one was asked for",
                               response->topics_count);
        if (error == 0) {
            ret_quorum->partition = &response->topics[0].partitions[0];
            error = ret_quorum->partition->error_code;
            message = ret_quorum->partition->error_message;
        }
        if (error == 0)
            break;
        if (!client_retry(op, error, message, failure))
            return false;
    }
    const struct describe_quorum_response_partition_data *p = ret_quorum->partition;
    for (int32_t i = 0; i < p->current_voters_count; i++) {
        if (p->current_voters[i].replica_id == p->leader_id)
            ret_quorum->leader = &p->current_voters[i];
    }
    return ret_quorum->leader != NULL ||
           failure_set(failure, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                       "Node %d leads the quorum, but is none of its voters", p->leader_id);
}

static bool ask_cluster_id(const struct args *args, struct client_op *op, struct str *ret_id,
                           struct failure *failure)
{
    struct describe_cluster_request request;
    struct describe_cluster_response response;
    message_init(&describe_cluster_request_desc, &request);
    request.endpoint_type =
        args_has(args, "bootstrap-server") ? ENDPOINTS_OF_BROKERS : ENDPOINTS_OF_CONTROLLERS;
    if (!client_ask(op, CLIENT_ANY_NODE, API_DESCRIBE_CLUSTER, &request, &response,
                    &response.error_code, &response.error_message, failure))
        return false;
    *ret_id = response.cluster_id;
    return true;
}

/* --- describe --status ------------------------------------------------------------------------ */

/* The host of IPv6 stands in brackets. */
static json_t *json_of_listener(const struct describe_quorum_response_listener *listener)
{
    bool is_v6 =
        listener->host.len > 0 && memchr(listener->host.data, ':', (size_t)listener->host.len);
    return json_sprintf("%.*s://%s%.*s%s:%d", STR_FMT(listener->name), is_v6 ? "[" : "",
                        STR_FMT(listener->host), is_v6 ? "]" : "", listener->port);
}

static json_t *json_of_replica(const struct quorum *quorum,
                               const struct describe_quorum_response_replica_state *replica)
{
    json_t *node = json_object(), *endpoints = json_array();
    char id[UUID_TEXT_LEN + 1];
    uuid_format(replica->replica_directory_id, id);
    json_object_set_new(node, "id", json_integer(replica->replica_id));
    if (!uuid_is_zero(replica->replica_directory_id))
        json_object_set_new(node, "directoryId", json_string(id));
    for (int32_t i = 0; i < quorum->response.nodes_count; i++) {
        const struct describe_quorum_response_node *n = &quorum->response.nodes[i];
        for (int32_t l = 0; n->node_id == replica->replica_id && l < n->listeners_count; l++)
            json_array_append_new(endpoints, json_of_listener(&n->listeners[l]));
    }
    if (json_array_size(endpoints) > 0)
        json_object_set(node, "endpoints", endpoints);
    json_decref(endpoints);
    return node;
}

static json_t *json_of_replicas(const struct quorum *quorum,
                                const struct describe_quorum_response_replica_state *replicas,
                                int32_t count)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < count; i++)
        json_array_append_new(list, json_of_replica(quorum, &replicas[i]));
    return list;
}

/* The voter that is farthest behind: by records, and by time (-1: not known). */
static void find_lag(const struct quorum *quorum, int64_t *ret_lag, int64_t *ret_lag_ms)
{
    const struct describe_quorum_response_partition_data *p = quorum->partition;
    const struct describe_quorum_response_replica_state *leader = quorum->leader, *last = leader;
    for (int32_t i = 0; i < p->current_voters_count; i++) {
        if (p->current_voters[i].log_end_offset < last->log_end_offset)
            last = &p->current_voters[i];
    }
    *ret_lag = leader->log_end_offset - last->log_end_offset;
    *ret_lag_ms = last == leader ? 0
                  : leader->last_caught_up_timestamp < 0 || last->last_caught_up_timestamp < 0
                      ? -1
                      : leader->last_caught_up_timestamp - last->last_caught_up_timestamp;
}

static void print_list(const char *label, const json_t *list)
{
    /* With a space behind each separator, as Kafka writes it. */
    char *text = json_dumps(list, 0);
    printf("%-24s%s\n", label, text ? text : "[]");
    free(text);
}

static bool show_status(const struct args *args, struct client_op *op, struct failure *failure)
{
    struct quorum quorum = {0};
    struct str cluster_id;
    int64_t lag, lag_ms;
    if (!ask_cluster_id(args, op, &cluster_id, failure) ||
        !metadata_quorum_ask(op, &quorum, failure))
        return false;
    const struct describe_quorum_response_partition_data *p = quorum.partition;
    json_t *voters = json_of_replicas(&quorum, p->current_voters, p->current_voters_count);
    json_t *observers = json_of_replicas(&quorum, p->observers, p->observers_count);
    find_lag(&quorum, &lag, &lag_ms);
    if (args->json) {
        tool_print_json(json_pack("{s:o,s:i,s:i,s:I,s:I,s:I,s:O,s:O}", "clusterId",
                                  tool_json_str(cluster_id), "leaderId", (int)p->leader_id,
                                  "leaderEpoch", (int)p->leader_epoch, "highWatermark",
                                  (json_int_t)p->high_watermark, "maxFollowerLag", (json_int_t)lag,
                                  "maxFollowerLagTimeMs", (json_int_t)lag_ms, "currentVoters",
                                  voters, "currentObservers", observers));
    } else {
        printf("%-24s%.*s\n%-24s%d\n%-24s%d\n", "ClusterId:", STR_FMT(cluster_id),
               "LeaderId:", p->leader_id, "LeaderEpoch:", p->leader_epoch);
        printf("%-24s%lld\n%-24s%lld\n%-24s%lld\n", "HighWatermark:", (long long)p->high_watermark,
               "MaxFollowerLag:", (long long)lag, "MaxFollowerLagTimeMs:", (long long)lag_ms);
        print_list("CurrentVoters:", voters);
        print_list("CurrentObservers:", observers);
    }
    json_decref(voters);
    json_decref(observers);
    return true;
}

/* --- describe --replication ------------------------------------------------------------------- */

enum { COLUMNS = 7 };

struct row {
    const struct describe_quorum_response_replica_state *replica;
    const char *status;
};

static struct str time_text(int64_t ms, int64_t now_ms, bool human, struct arena *arena)
{
    if (human && ms >= 0)
        return arena_printf(arena, "%lld ms ago", (long long)(now_ms - ms));
    return arena_printf(arena, "%lld", (long long)ms);
}

static void fill_row(const struct quorum *quorum, const struct row *row, bool human,
                     struct arena *arena, struct str cells[COLUMNS])
{
    const struct describe_quorum_response_replica_state *r = row->replica;
    struct timespec now;
    char id[UUID_TEXT_LEN + 1];
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    uuid_format(r->replica_directory_id, id);
    cells[0] = arena_printf(arena, "%d", r->replica_id);
    cells[1] = arena_printf(arena, "%s", id);
    cells[2] = arena_printf(arena, "%lld", (long long)r->log_end_offset);
    cells[3] = arena_printf(arena, "%lld",
                            (long long)(quorum->leader->log_end_offset - r->log_end_offset));
    cells[4] = time_text(r->last_fetch_timestamp, now_ms, human, arena);
    cells[5] = time_text(r->last_caught_up_timestamp, now_ms, human, arena);
    cells[6] = str_of(row->status);
}

static json_t *json_of_row(const struct quorum *quorum, const struct row *row)
{
    const struct describe_quorum_response_replica_state *r = row->replica;
    char id[UUID_TEXT_LEN + 1];
    uuid_format(r->replica_directory_id, id);
    return json_pack("{s:i,s:s,s:I,s:I,s:I,s:I,s:s}", "nodeId", (int)r->replica_id, "directoryId",
                     id, "logEndOffset", (json_int_t)r->log_end_offset, "lag",
                     (json_int_t)(quorum->leader->log_end_offset - r->log_end_offset),
                     "lastFetchTimestamp", (json_int_t)r->last_fetch_timestamp,
                     "lastCaughtUpTimestamp", (json_int_t)r->last_caught_up_timestamp, "status",
                     row->status);
}

/* The leader, the other voters, the observers. */
static size_t list_rows(const struct quorum *quorum, struct row *rows)
{
    const struct describe_quorum_response_partition_data *p = quorum->partition;
    size_t count = 0;
    rows[count++] = (struct row){quorum->leader, "Leader"};
    for (int32_t i = 0; i < p->current_voters_count; i++) {
        if (&p->current_voters[i] != quorum->leader)
            rows[count++] = (struct row){&p->current_voters[i], "Follower"};
    }
    for (int32_t i = 0; i < p->observers_count; i++)
        rows[count++] = (struct row){&p->observers[i], "Observer"};
    return count;
}

static void print_table(const struct quorum *quorum, const struct row *rows, size_t count,
                        bool human, struct arena *arena)
{
    static const char *const titles[COLUMNS] = {
        "NodeId", "DirectoryId",        "LogEndOffset",
        "Lag",    "LastFetchTimestamp", "LastCaughtUpTimestamp",
        "Status"};
    struct str *cells = ARENA_ARRAY(arena, struct str, (count + 1) * COLUMNS);
    int widths[COLUMNS] = {0};
    for (size_t i = 0; i < COLUMNS; i++)
        cells[i] = str_of(titles[i]);
    for (size_t i = 0; i < count; i++)
        fill_row(quorum, &rows[i], human, arena, cells + (i + 1) * COLUMNS);
    for (size_t i = 0; i < (count + 1) * COLUMNS; i++)
        widths[i % COLUMNS] = MAX(widths[i % COLUMNS], cells[i].len);
    for (size_t i = 0; i < (count + 1) * COLUMNS; i++)
        printf("%-*.*s\t%s", widths[i % COLUMNS], STR_FMT(cells[i]),
               i % COLUMNS == COLUMNS - 1 ? "\n" : "");
}

static bool show_replication(const struct args *args, struct client_op *op, struct failure *failure)
{
    struct quorum quorum = {0};
    if (!metadata_quorum_ask(op, &quorum, failure))
        return false;
    const struct describe_quorum_response_partition_data *p = quorum.partition;
    struct row *rows =
        ARENA_ARRAY(op->arena, struct row, p->current_voters_count + p->observers_count + 1);
    size_t count = list_rows(&quorum, rows);
    if (!args->json) {
        print_table(&quorum, rows, count, args_has(args, "human-readable"), op->arena);
        return true;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_of_row(&quorum, &rows[i]));
    tool_print_json(json_pack("{s:o}", "replicas", list));
    return true;
}

static bool describe(const struct args *args, struct client_op *op, struct failure *failure)
{
    bool status = args_has(args, "status"), replication = args_has(args, "replication");
    if (status && replication)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Only one of --status or --replication should be specified with "
                           "describe sub-command");
    if (!status && !replication)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "One of --status or --replication must be specified with describe "
                           "sub-command");
    if (status && args_has(args, "human-readable"))
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "The option --human-readable is only supported along with "
                           "--replication");
    return status ? show_status(args, op, failure) : show_replication(args, op, failure);
}

/* --- remove-controller ------------------------------------------------------------------------ */

static bool remove_controller(const struct args *args, struct client_op *op,
                              struct failure *failure)
{
    struct remove_raft_voter_request request;
    struct remove_raft_voter_response response;
    struct failure problem;
    char id[UUID_TEXT_LEN + 1];
    message_init(&remove_raft_voter_request_desc, &request);
    request.cluster_id = STR_NULL;
    request.voter_id = args_number(args, "controller-id", -1);
    if (request.voter_id < 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Invalid negative --controller-id: %d", request.voter_id);
    if (!uuid_text_parse(str_of(args_value(args, "controller-directory-id")),
                         &request.voter_directory_id, &problem))
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "Failed to parse --controller-directory-id: %s", problem.text);
    uuid_format(request.voter_directory_id, id);
    bool dry = args_has(args, "dry-run");
    if (!dry && !client_ask(op, CLIENT_CONTROLLER, API_REMOVE_RAFT_VOTER, &request, &response,
                            &response.error_code, &response.error_message, failure))
        return false;
    if (args->json)
        tool_print_json(json_pack("{s:i,s:s,s:b}", "removed", (int)request.voter_id, "directoryId",
                                  id, "dryRun", dry));
    else
        printf("%s KRaft controller %d with directory id %s\n",
               dry ? "DRY RUN of removing " : "Removed", request.voter_id, id);
    return true;
}

static int run(const struct args *args)
{
    static const struct bootstrap_command runs[] = {
        {"describe", "describeMetadataQuorum", describe},
        {"add-controller", "addRaftVoter", metadata_quorum_add},
        {"remove-controller", "removeRaftVoter", remove_controller},
    };
    return bootstrap_run(args, args_value(args, "command-config"), runs, ARRAY_LEN(runs));
}

int metadata_quorum_main(int argc, char **argv)
{
    static const struct args_tool tool = {.name = "kafka-metadata-quorum",
                                          .purpose = "Describes and changes the metadata quorum.",
                                          .globals = globals,
                                          .commands = commands};
    struct args args;
    enum tool_begin begin = args_parse_tool(&args, &tool, argc, argv);
    int code = begin == TOOL_GO_ON ? run(&args) : begin == TOOL_REFUSED;
    args_release(&args);
    return code;
}
