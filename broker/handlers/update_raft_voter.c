/* UpdateRaftVoter: a voter's new listeners (KIP-853). The answer names the leader, whoever it is.
 */
#include "broker/handlers/handlers.h"
#include "broker/handlers/raft_voter.h"
#include "broker/server/metadata_loop.h"
#include "broker/server/node.h"
#include "broker/server/shard.h"
#include "common/protocol/messages/update_raft_voter.h"
#include "raft/quorum_node.h"

/* The request does not say how long it may take. */
#define TIMEOUT_MS 5000

static void answer(struct raft_voter *voter, enum kafka_error error, struct str message)
{
    struct update_raft_voter_response *response = voter->call->response;
    response->error_code = (int16_t)error;
    controller_call_finish(voter->call, KAFKA_ERROR_NONE);
}

static bool check_epoch(struct raft_voter *voter, int32_t epoch)
{
    int32_t current = quorum_node_epoch(metadata_loop_quorum(voter->ml));
    if (epoch != current)
        answer(voter,
               epoch < current ? KAFKA_ERROR_FENCED_LEADER_EPOCH : KAFKA_ERROR_UNKNOWN_LEADER_EPOCH,
               STR_NULL);
    return epoch == current;
}

static bool check_range(struct raft_voter *voter, const struct update_raft_voter_request *body)
{
    int16_t min = body->kraft_version_feature.min_supported_version;
    int16_t max = body->kraft_version_feature.max_supported_version;
    if (min < 0 || max < min)
        answer(voter, KAFKA_ERROR_INVALID_REQUEST, STR_NULL);
    return min >= 0 && max >= min;
}

static void run(struct metadata_loop *ml, struct controller_call *call)
{
    const struct update_raft_voter_request *body = call->body;
    struct raft_voter *voter = ARENA_NEW(call->arena, struct raft_voter);
    struct endpoint_listener *listeners =
        ARENA_ARRAY(call->arena, struct endpoint_listener, body->listeners_count);
    for (int32_t i = 0; i < body->listeners_count; i++)
        listeners[i] = (struct endpoint_listener){body->listeners[i].name, body->listeners[i].host,
                                                  body->listeners[i].port};
    *voter = (struct raft_voter){.call = call,
                                 .ml = ml,
                                 .cluster_id = body->cluster_id,
                                 .id = body->voter_id,
                                 .directory_id = body->voter_directory_id,
                                 .listeners = listeners,
                                 .listeners_count = body->listeners_count,
                                 .verb = "Update",
                                 .change.timeout_ms = TIMEOUT_MS,
                                 .answer = answer};
    if (raft_voter_check_cluster(voter) && check_epoch(voter, body->current_leader_epoch) &&
        raft_voter_check_key(voter) && raft_voter_check_listeners(voter) &&
        check_range(voter, body))
        raft_voter_start(voter, QUORUM_MEMBER_UPDATE);
}

static void collect_leader(struct shard_call *shard_call);
static void respond(struct shard_call *shard_call);

/* The leader is asked for on its loop, once the outcome is known. */
struct outcome {
    struct shard_call call;
    struct controller_call *of;
};

static void reply(struct controller_call *call)
{
    struct update_raft_voter_response *response = call->response;
    if (call->error != KAFKA_ERROR_NONE) {
        message_init(&update_raft_voter_response_desc, response);
        response->error_code =
            (int16_t)(call->error == KAFKA_ERROR_NOT_CONTROLLER ? KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER
                                                                : call->error);
    }
    struct outcome *outcome = ARENA_NEW(call->arena, struct outcome);
    outcome->of = call;
    shard_call_send(&outcome->call, call->shard->loop, node_env(call->shard->node)->loops[0],
                    collect_leader, respond);
}

static void collect_leader(struct shard_call *shard_call)
{
    struct controller_call *call = CONTAINER_OF(shard_call, struct outcome, call)->of;
    struct update_raft_voter_response *response = call->response;
    struct metadata_leader leader;
    if (metadata_loop_leader(node_metadata_loop(call->shard->node), &leader)) {
        response->current_leader.leader_id = leader.id;
        response->current_leader.leader_epoch = leader.epoch;
        response->current_leader.host = arena_str(call->arena, str_of(leader.endpoint.host));
        response->current_leader.port = leader.endpoint.port;
    }
    shard_call_answer(shard_call);
}

static void respond(struct shard_call *shard_call)
{
    struct controller_call *call = CONTAINER_OF(shard_call, struct outcome, call)->of;
    request_respond(call->request, call->response);
}

void handle_update_raft_voter(struct request *request)
{
    struct controller_call *call = controller_call_new(request);
    call->run = run;
    call->reply = reply;
    controller_call_start(call);
}
