/*
 * DescribeQuorum: the voters of the metadata log and how far each is (KIP-595, KIP-836, KIP-853).
 * Asked of the metadata loop; times are those of the leader.
 */
#include "broker/handlers/handlers.h"
#include "broker/server/metadata_loop.h"
#include "broker/server/node.h"
#include "broker/server/request.h"
#include "broker/server/shard.h"
#include "common/base/check.h"
#include "common/protocol/messages/describe_quorum.h"
#include "raft/quorum_node.h"

#define METADATA_TOPIC "__cluster_metadata"

typedef struct describe_quorum_response_partition_data answered_partition;
typedef struct describe_quorum_response_replica_state replica_state;

struct quorum_op {
    struct shard_call call;
    struct request *request;
    struct describe_quorum_response response;
};

static void fill_replica(const struct quorum_op *op, const struct quorum_node *quorum,
                         const struct quorum_server *server, replica_state *out)
{
    struct env *env = node_env(op->request->shard->node);
    int64_t now_ms = env_now_ms(env), wall_ms = env_wall_ms(env);
    struct quorum_progress progress;
    out->replica_id = server->node_id;
    out->replica_directory_id = server->directory_id;
    out->log_end_offset = out->last_fetch_timestamp = out->last_caught_up_timestamp = -1;
    if (server->node_id == node_id(op->request->shard->node)) {
        out->log_end_offset = quorum_node_log_end(quorum);
        out->last_fetch_timestamp = out->last_caught_up_timestamp = wall_ms;
        return;
    }
    if (quorum_core_progress(quorum_node_core(quorum), server->raft_id, &progress) != 0)
        return;
    out->log_end_offset = (int64_t)progress.match_index - 1;
    if (progress.heard_ms == INT64_MIN)
        return;
    out->last_fetch_timestamp = wall_ms - (now_ms - progress.heard_ms);
    if (out->log_end_offset >= quorum_node_high_watermark(quorum))
        out->last_caught_up_timestamp = out->last_fetch_timestamp;
}

static void fill_partition(struct quorum_op *op, struct quorum_node *quorum,
                           const struct quorum_voters *voters, answered_partition *out)
{
    struct arena *arena = &op->request->arena;
    out->error_message = STR_EMPTY;
    out->leader_id = quorum_node_leader_id(quorum);
    out->leader_epoch = quorum_node_epoch(quorum);
    out->high_watermark = quorum_node_high_watermark(quorum);
    out->current_voters =
        MESSAGE_ARRAY(arena, describe_quorum_response_replica_state, voters->count);
    out->observers = MESSAGE_ARRAY(arena, describe_quorum_response_replica_state, voters->count);
    for (int i = 0; i < voters->count; i++) {
        const struct quorum_server *server = &voters->servers[i];
        replica_state *room = server->role == QUORUM_VOTER
                                  ? &out->current_voters[out->current_voters_count++]
                                  : &out->observers[out->observers_count++];
        fill_replica(op, quorum, server, room);
    }
}

static void fill_nodes(struct quorum_op *op, const struct quorum_voters *voters)
{
    struct arena *arena = &op->request->arena;
    op->response.nodes = MESSAGE_ARRAY(arena, describe_quorum_response_node, voters->count);
    for (int i = 0; i < voters->count; i++) {
        const struct quorum_server *server = &voters->servers[i];
        if (server->role != QUORUM_VOTER)
            continue;
        struct describe_quorum_response_node *out = &op->response.nodes[op->response.nodes_count++];
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

/* On the metadata loop. */
static void collect(struct shard_call *call)
{
    struct quorum_op *op = CONTAINER_OF(call, struct quorum_op, call);
    const struct describe_quorum_request *body = op->request->body;
    struct arena *arena = &op->request->arena;
    struct quorum_node *quorum = metadata_loop_quorum(node_metadata_loop(op->request->shard->node));
    const struct quorum_core *core = quorum ? quorum_node_core(quorum) : NULL;
    const struct quorum_voters *voters = core ? quorum_core_voters(core) : NULL;
    if (voters == NULL || !quorum_node_is_active(quorum)) {
        op->response.error_code = KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
        shard_call_answer(call);
        return;
    }
    bool all_known = true;
    op->response.error_message = STR_EMPTY;
    op->response.topics =
        MESSAGE_ARRAY(arena, describe_quorum_response_topic_data, body->topics_count);
    op->response.topics_count = body->topics_count;
    for (int32_t t = 0; t < body->topics_count; t++) {
        const struct describe_quorum_request_topic_data *in = &body->topics[t];
        struct describe_quorum_response_topic_data *out = &op->response.topics[t];
        out->topic_name = in->topic_name;
        out->partitions =
            MESSAGE_ARRAY(arena, describe_quorum_response_partition_data, in->partitions_count);
        out->partitions_count = in->partitions_count;
        for (int32_t p = 0; p < in->partitions_count; p++) {
            bool known =
                str_eq_z(in->topic_name, METADATA_TOPIC) && in->partitions[p].partition_index == 0;
            out->partitions[p].partition_index = in->partitions[p].partition_index;
            all_known = all_known && known;
            if (known)
                fill_partition(op, quorum, voters, &out->partitions[p]);
            else
                fill_unknown(&out->partitions[p]);
        }
    }
    if (all_known)
        fill_nodes(op, voters);
    shard_call_answer(call);
}

static void done(struct shard_call *call)
{
    struct quorum_op *op = CONTAINER_OF(call, struct quorum_op, call);
    request_respond(op->request, &op->response);
}

void handle_describe_quorum(struct request *request)
{
    struct quorum_op *op = ARENA_NEW(&request->arena, struct quorum_op);
    op->request = request;
    message_init(&describe_quorum_response_desc, &op->response);
    shard_call_send(&op->call, request->shard->loop, node_env(request->shard->node)->loops[0],
                    collect, done);
}
