/* kraftd-status: the brokers, the quorum, and leader, in-sync replicas and lag of each partition.
 */
#include "common/base/check.h"
#include "common/protocol/codec.h"
#include "common/protocol/messages/list_offsets.h"
#include "tools/cluster_status.h"
#include "tools/tool.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    DEBUGGING_REPLICA = -2, /* any replica answers it, with the end of its own log */
    LATEST = -1,
    RESOURCE_TOPIC = 2,
    ANSWER_MS = 3000, /* a node that says nothing must not hold up the picture of the others */
};

static const struct option_spec specs[] = {
    {"all", OPTION_FLAG, NULL, "Show all partitions, however many are in order."},
    {"bootstrap-server", OPTION_VALUE, "host:port",
     "Required: the brokers to connect to first, as host:port,..."},
    {"color", OPTION_VALUE, "auto|always|never",
     "Whether to use colours; auto: on a terminal, unless NO_COLOR is set.", .fallback = "auto"},
    {"command-config", OPTION_VALUE, "Config file", "A file of properties for the connection."},
    TOOL_COMMON_OPTIONS,
};

struct command {
    struct tool tool;
    struct client *client;
    struct client_config config;
    struct arena arena;
    struct admin_topics topics;
    struct cluster_status status;
};

/* --- partitions and what the metadata says of them -------------------------------------------- */

static bool has_id(const struct admin_ids *ids, int32_t id)
{
    for (int32_t i = 0; i < ids->count; i++)
        if (ids->items[i] == id)
            return true;
    return false;
}

static bool lives(const struct cluster_status *status, int32_t id)
{
    for (size_t i = 0; i < status->node_count; i++)
        if (status->nodes[i].id == id)
            return true;
    return false;
}

static void take_partition(struct command *command, const struct admin_topic *topic,
                           const struct admin_partition *from)
{
    struct cluster_status *status = &command->status;
    struct status_partition *out = &status->partitions[status->partition_count++];
    *out = (struct status_partition){.topic = topic->name,
                                     .index = from->index,
                                     .leader = lives(status, from->leader) ? from->leader : -1,
                                     .isr_count = from->isr.count,
                                     .replica_count = from->replicas.count};
    out->replicas = ARENA_ARRAY(&command->arena, struct status_replica, from->replicas.count);
    for (int32_t i = 0; i < from->replicas.count; i++)
        out->replicas[i] =
            (struct status_replica){.id = from->replicas.items[i],
                                    .alive = lives(status, from->replicas.items[i]),
                                    .in_sync = has_id(&from->isr, from->replicas.items[i]),
                                    .end = STATUS_UNKNOWN,
                                    .lag = STATUS_UNKNOWN};
    status->replica_count += (size_t)from->replicas.count;
}

static void take_topics(struct command *command)
{
    size_t room = 0;
    for (size_t t = 0; t < command->topics.count; t++)
        room += (size_t)command->topics.items[t].partitions_count;
    command->status.topic_count = command->topics.count;
    command->status.partitions = ARENA_ARRAY(&command->arena, struct status_partition, room);
    for (size_t t = 0; t < command->topics.count; t++)
        for (int32_t p = 0; p < command->topics.items[t].partitions_count; p++)
            take_partition(command, &command->topics.items[t],
                           &command->topics.items[t].partitions[p]);
}

/* Partitions are still by name. NULL: it is gone. */
static struct status_partition *find_partition(struct cluster_status *status, struct str topic,
                                               int32_t index)
{
    size_t low = 0, high = status->partition_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        struct status_partition *p = &status->partitions[middle];
        int order = str_cmp(topic, p->topic);
        if (order == 0)
            order = (index > p->index) - (index < p->index);
        if (order == 0)
            return p;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static struct status_replica *find_replica(struct status_partition *partition, int32_t broker)
{
    for (int32_t i = 0; partition != NULL && i < partition->replica_count; i++)
        if (partition->replicas[i].id == broker)
            return &partition->replicas[i];
    return NULL;
}

static bool ask_min_isr(struct command *command, struct failure *failure)
{
    struct describe_configs_request request;
    struct describe_configs_response response;
    struct str key = STR("min.insync.replicas");
    size_t count = command->topics.count;
    message_init(&describe_configs_request_desc, &request);
    request.resources = MESSAGE_ARRAY(
        &command->arena, describe_configs_request_describe_configs_resource, (int32_t)count);
    request.resources_count = (int32_t)count;
    for (size_t t = 0; t < count; t++) {
        request.resources[t].resource_type = RESOURCE_TOPIC;
        request.resources[t].resource_name = command->topics.items[t].name;
        request.resources[t].configuration_keys = &key;
        request.resources[t].configuration_keys_count = 1;
    }
    if (!admin_describe_configs(command->client, &command->arena, CLIENT_ANY_NODE, &request,
                                &response, failure))
        return false;
    for (int32_t r = 0; r < response.results_count; r++) {
        struct status_partition *p;
        for (int32_t i = 0;
             response.results[r].configs_count > 0 &&
             (p = find_partition(&command->status, response.results[r].resource_name, i)) != NULL;
             i++)
            (void)str_to_i32(response.results[r].configs[0].value, &p->min_isr);
    }
    return true;
}

static bool ask_moves(struct command *command, struct failure *failure)
{
    struct list_partition_reassignments_response response;
    if (!admin_reassignments(command->client, &command->arena, &response, failure))
        return false;
    for (int32_t t = 0; t < response.topics_count; t++) {
        for (int32_t i = 0; i < response.topics[t].partitions_count; i++) {
            const struct list_partition_reassignments_response_ongoing_partition_reassignment
                *moving = &response.topics[t].partitions[i];
            struct status_partition *p =
                find_partition(&command->status, response.topics[t].name, moving->partition_index);
            if (p == NULL)
                continue;
            p->moving = true;
            for (int32_t a = 0; a < moving->adding_replicas_count; a++) {
                struct status_replica *replica = find_replica(p, moving->adding_replicas[a]);
                if (replica != NULL)
                    replica->adding = true;
            }
        }
    }
    return true;
}

/* --- how far each replica is ------------------------------------------------------------------ */

static void fill_ends_request(struct command *command, int32_t broker,
                              struct list_offsets_request *request)
{
    struct cluster_status *status = &command->status;
    struct arena *arena = &command->arena;
    message_init(&list_offsets_request_desc, request);
    request->replica_id = DEBUGGING_REPLICA;
    request->timeout_ms = ANSWER_MS;
    request->topics =
        MESSAGE_ARRAY(arena, list_offsets_request_list_offsets_topic, (int32_t)status->topic_count);
    struct list_offsets_request_list_offsets_partition *asked = MESSAGE_ARRAY(
        arena, list_offsets_request_list_offsets_partition, (int32_t)status->partition_count);
    for (size_t i = 0; i < status->partition_count; i++) {
        struct status_partition *p = &status->partitions[i];
        struct list_offsets_request_list_offsets_topic *topic =
            request->topics_count > 0 ? &request->topics[request->topics_count - 1] : NULL;
        if (find_replica(p, broker) == NULL)
            continue;
        if (topic == NULL || !str_eq(topic->name, p->topic)) {
            topic = &request->topics[request->topics_count++];
            topic->name = p->topic;
            topic->partitions = asked;
        }
        topic->partitions_count++;
        asked->partition_index = p->index;
        asked->current_leader_epoch = -1;
        asked++->timestamp = LATEST;
    }
}

/* A broker that says nothing leaves its replicas unknown. */
static void ask_ends(struct command *command, int32_t broker)
{
    struct client_op op;
    struct list_offsets_request request;
    struct list_offsets_response response;
    struct failure failure;
    client_op_begin(&op, command->client, "listOffsets", &command->arena);
    fill_ends_request(command, broker, &request);
    if (request.topics_count == 0 ||
        !client_try(&op, broker, API_LIST_OFFSETS, &request, &response, &failure))
        return;
    for (int32_t t = 0; t < response.topics_count; t++)
        for (int32_t i = 0; i < response.topics[t].partitions_count; i++) {
            const struct list_offsets_response_list_offsets_partition_response *from =
                &response.topics[t].partitions[i];
            struct status_replica *replica = find_replica(
                find_partition(&command->status, response.topics[t].name, from->partition_index),
                broker);
            if (replica != NULL && from->error_code == 0)
                replica->end = from->offset;
        }
}

static enum status_problem judge(const struct status_partition *p)
{
    int32_t wanted = 0;
    for (int32_t i = 0; i < p->replica_count; i++)
        wanted += !p->replicas[i].adding;
    if (p->leader < 0)
        return STATUS_NO_LEADER;
    if (p->isr_count < p->min_isr)
        return STATUS_UNDER_MIN_ISR;
    if (p->isr_count < wanted)
        return STATUS_UNDER_REPLICATED;
    if (p->moving)
        return STATUS_MOVING;
    return p->leader != p->replicas[0].id ? STATUS_NOT_PREFERRED : STATUS_FINE;
}

static void settle(struct status_partition *p)
{
    const struct status_replica *leader = find_replica(p, p->leader);
    for (int32_t i = 0; leader != NULL && i < p->replica_count; i++) {
        struct status_replica *replica = &p->replicas[i];
        if (leader->end == STATUS_UNKNOWN || replica->end == STATUS_UNKNOWN)
            continue;
        replica->lag = MAX(leader->end - replica->end, 0);
        p->max_lag = MAX(p->max_lag, replica->lag);
    }
    p->problem = judge(p);
}

static int by_problem(const void *a, const void *b)
{
    const struct status_partition *x = a, *y = b;
    if (x->problem != y->problem)
        return (x->problem > y->problem) - (x->problem < y->problem);
    int order = str_cmp(x->topic, y->topic);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

/* --- the tool --------------------------------------------------------------------------------- */

/* Without a leader of the quorum there is still something to show. */
static void ask_quorum(struct command *command)
{
    struct client_op op;
    struct failure failure;
    client_op_begin(&op, command->client, "describeMetadataQuorum", &command->arena);
    if (!metadata_quorum_ask(&op, &command->status.quorum, &failure))
        command->status.quorum_failure = arena_str_z(&command->arena, str_of(failure.text));
}

static bool collect(struct command *command, struct failure *failure)
{
    struct cluster_status *status = &command->status;
    struct client_op op;
    struct client_node *nodes;
    client_op_begin(&op, command->client, "describeCluster", &command->arena);
    if (!client_nodes(&op, &nodes, &status->node_count, failure) ||
        !admin_list_topics(command->client, "listTopics", &command->arena, &command->topics,
                           failure))
        return false;
    status->nodes = nodes;
    take_topics(command);
    ask_quorum(command);
    /* Reassignments are the controller's to tell. */
    if ((command->topics.count > 0 && !ask_min_isr(command, failure)) ||
        (status->quorum_failure == NULL && !ask_moves(command, failure)))
        return false;
    for (size_t i = 0; i < status->node_count; i++)
        ask_ends(command, nodes[i].id);
    for (size_t i = 0; i < status->partition_count; i++)
        settle(&status->partitions[i]);
    if (status->partition_count > 1)
        qsort(status->partitions, status->partition_count, sizeof(*status->partitions), by_problem);
    return true;
}

static bool take_color(const char *color, bool *ret_color, struct failure *failure)
{
    bool always = strcmp(color, "always") == 0, automatic = strcmp(color, "auto") == 0;
    if (!always && !automatic && strcmp(color, "never") != 0)
        return failure_set(failure, KAFKA_ERROR_INVALID_REQUEST,
                           "--color %s: choose auto, always or never", color);
    const char *no_color = getenv("NO_COLOR");
    *ret_color =
        always || (automatic && (no_color == NULL || no_color[0] == '\0') && isatty(STDOUT_FILENO));
    return true;
}

static int run(struct tool *tool)
{
    struct command *command = CONTAINER_OF(tool, struct command, tool);
    struct options *options = &tool->options;
    const char *bootstrap, *config_path, *color;
    struct status_view view = {.json = tool->json, .all = options_has(options, "all")};
    struct failure failure;
    if (!tool_require(tool, "bootstrap-server"))
        return 1;
    if (options_value(options, "bootstrap-server", &bootstrap) != 0 ||
        options_value(options, "color", &color) != 0 ||
        options_value(options, "command-config", &config_path) != 0)
        return tool_fail_options(tool);
    if (!tool_check_bootstrap(tool, bootstrap))
        return 1;
    client_config_init(&command->config, "kraftd-status");
    command->config.request_timeout_ms = ANSWER_MS;
    command->config.default_api_timeout_ms = ANSWER_MS;
    arena_init(&command->arena, 0);
    bool ok =
        take_color(color, &view.color, &failure) &&
        client_config_read(&command->config, config_path, &failure) &&
        client_new(bootstrap, CLIENT_OF_BROKERS, &command->config, &command->client, &failure) &&
        collect(command, &failure);
    if (ok)
        cluster_status_show(&command->status, &view);
    int code = ok ? 0 : tool_fail(tool, &failure);
    client_free(command->client);
    arena_release(&command->arena);
    client_config_release(&command->config);
    return code;
}

int cluster_status_main(int argc, char **argv)
{
    struct command command = {0};
    return tool_main(&command.tool,
                     "Shows brokers, quorum, and leader, in-sync replicas and lag of partitions.",
                     specs, TOOL_NEEDS_WORDS, argc, argv, run);
}
