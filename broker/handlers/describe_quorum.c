/*
 * DescribeQuorum: the voters of the metadata log and how far each is (KIP-595, KIP-836, KIP-853).
 * Asked of the metadata loop; times are those of the leader.
 */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"
#include "broker/server/metadata_loop.h"
#include "broker/server/node.h"
#include "broker/server/request.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/protocol/messages/describe_quorum.h"
#include "raft/quorum_node.h"
#include "raft/quorum_serve.h"

#define METADATA_TOPIC "__cluster_metadata"

typedef struct describe_quorum_response_partition_data answered_partition;
typedef struct describe_quorum_response_replica_state replica_state;

/* Monotonic to what clients see: -1 for never. */
static int64_t wall_of(const struct controller_call *call, int64_t at_ms)
{
    struct env *env = node_env(call->shard->node);
    return at_ms < 0 ? -1 : env_wall_ms(env) - (env_now_ms(env) - at_ms);
}

/* Directories and end points are of version 2 on. */
static bool names_places(const struct controller_call *call)
{
    return call->version >= 2;
}

static void fill_replica(const struct controller_call *call, const struct quorum_node *quorum,
                         const struct quorum_server *server, replica_state *out)
{
    struct quorum_progress progress;
    out->replica_id = server->node_id;
    if (names_places(call))
        out->replica_directory_id = server->directory_id;
    out->log_end_offset = out->last_fetch_timestamp = out->last_caught_up_timestamp = -1;
    if (quorum_core_progress(quorum_node_core(quorum), server->raft_id, &progress) != 0)
        return;
    out->last_fetch_timestamp = wall_of(call, progress.heard_ms);
    out->last_caught_up_timestamp = wall_of(call, progress.caught_up_ms);
    if (server->raft_id == quorum_core_raft_id(quorum_node_core(quorum)))
        out->log_end_offset = quorum_node_log_end(quorum);
    else if (progress.heard_ms >= 0)
        out->log_end_offset = quorum_offset_of(progress.match_index) + 1;
}

/* Who fetches, but a disk that is in the set is told of by the quorum. */
static void add_observers(const struct controller_call *call, struct quorum_node *quorum,
                          const struct quorum_voters *voters, answered_partition *out)
{
    const struct quorum_replicas *replicas = quorum_node_replicas(quorum);
    for (size_t i = 0; i < replicas->count; i++) {
        const struct quorum_replica *replica = &replicas->items[i];
        if (quorum_voters_find(voters, quorum_raft_id(replica->directory_id)) != NULL)
            continue;
        replica_state *room = &out->observers[out->observers_count++];
        room->replica_id = replica->node_id;
        if (names_places(call))
            room->replica_directory_id = replica->directory_id;
        room->log_end_offset = replica->fetch_offset;
        room->last_fetch_timestamp = wall_of(call, replica->fetched_ms);
        room->last_caught_up_timestamp = wall_of(call, replica->caught_up_ms);
    }
}

static void fill_partition(struct controller_call *call, struct quorum_node *quorum,
                           const struct quorum_voters *voters, answered_partition *out)
{
    struct arena *arena = call->arena;
    int32_t observers = (int32_t)quorum_node_replicas(quorum)->count + voters->count;
    out->error_message = STR_EMPTY;
    out->leader_id = quorum_node_leader_id(quorum);
    out->leader_epoch = quorum_node_epoch(quorum);
    out->high_watermark = quorum_node_high_watermark(quorum);
    out->current_voters =
        MESSAGE_ARRAY(arena, describe_quorum_response_replica_state, voters->count);
    out->observers = MESSAGE_ARRAY(arena, describe_quorum_response_replica_state, observers);
    for (int i = 0; i < voters->count; i++) {
        const struct quorum_server *server = &voters->servers[i];
        replica_state *room = server->role == QUORUM_VOTER
                                  ? &out->current_voters[out->current_voters_count++]
                                  : &out->observers[out->observers_count++];
        fill_replica(call, quorum, server, room);
    }
    add_observers(call, quorum, voters, out);
}

static void fill_nodes(struct controller_call *call, const struct quorum_voters *voters)
{
    struct arena *arena = call->arena;
    struct describe_quorum_response *response = call->response;
    response->nodes = MESSAGE_ARRAY(arena, describe_quorum_response_node, voters->count);
    for (int i = 0; i < voters->count; i++) {
        const struct quorum_server *server = &voters->servers[i];
        if (server->role != QUORUM_VOTER)
            continue;
        struct describe_quorum_response_node *out = &response->nodes[response->nodes_count++];
        out->node_id = server->node_id;
        out->listeners =
            MESSAGE_ARRAY(arena, describe_quorum_response_listener, server->listener_count);
        out->listeners_count = server->listener_count;
        for (int l = 0; l < server->listener_count; l++) {
            out->listeners[l].name = arena_str(arena, str_of(server->listeners[l].name));
            out->listeners[l].host = arena_str(arena, str_of(server->listeners[l].host));
            out->listeners[l].port = server->listeners[l].port;
        }
    }
}

static void fill_unknown(answered_partition *out)
{
    out->error_code = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    out->error_message = str_of(kafka_error_message(KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION));
}

/* On the metadata loop of the leader. */
static void collect(struct metadata_loop *ml, struct controller_call *call)
{
    const struct describe_quorum_request *body = call->body;
    struct describe_quorum_response *response = call->response;
    struct quorum_node *quorum = metadata_loop_quorum(ml);
    const struct quorum_voters *voters = quorum_core_voters(quorum_node_core(quorum));
    bool all_known = true;
    response->error_message = STR_EMPTY;
    response->topics =
        MESSAGE_ARRAY(call->arena, describe_quorum_response_topic_data, body->topics_count);
    response->topics_count = body->topics_count;
    for (int32_t t = 0; t < body->topics_count; t++) {
        const struct describe_quorum_request_topic_data *in = &body->topics[t];
        struct describe_quorum_response_topic_data *out = &response->topics[t];
        out->topic_name = in->topic_name;
        out->partitions = MESSAGE_ARRAY(call->arena, describe_quorum_response_partition_data,
                                        in->partitions_count);
        out->partitions_count = in->partitions_count;
        for (int32_t p = 0; p < in->partitions_count; p++) {
            bool known =
                str_eq_z(in->topic_name, METADATA_TOPIC) && in->partitions[p].partition_index == 0;
            out->partitions[p].partition_index = in->partitions[p].partition_index;
            all_known = all_known && known;
            if (known)
                fill_partition(call, quorum, voters, &out->partitions[p]);
            else
                fill_unknown(&out->partitions[p]);
        }
    }
    if (all_known && body->topics_count > 0 && names_places(call))
        fill_nodes(call, voters);
    controller_call_finish(call, KAFKA_ERROR_NONE);
}

static void reply(struct controller_call *call)
{
    struct describe_quorum_response *response = call->response;
    if (call->error != KAFKA_ERROR_NONE) {
        message_init(&describe_quorum_response_desc, response);
        response->error_code =
            (int16_t)(call->error == KAFKA_ERROR_NOT_CONTROLLER ? KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER
                                                                : call->error);
        response->error_message = str_of(kafka_error_message(response->error_code));
    }
    request_respond(call->request, response);
}

void handle_describe_quorum(struct request *request)
{
    struct controller_call *call = controller_call_new(request);
    call->run = collect;
    call->reply = reply;
    controller_call_start(call);
}
