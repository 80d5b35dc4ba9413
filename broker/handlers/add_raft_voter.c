/* AddRaftVoter: makes a controller that is connected a voter (KIP-853). It is answered when it
 * votes. */
#include "broker/handlers/handlers.h"
#include "broker/handlers/raft_voter.h"
#include "common/protocol/messages/add_raft_voter.h"

static void answer(struct raft_voter *voter, enum kafka_error error, struct str message)
{
    struct add_raft_voter_response *response = voter->call->response;
    response->error_code = (int16_t)error;
    response->error_message = message;
    controller_call_finish(voter->call, KAFKA_ERROR_NONE);
}

static void run(struct metadata_loop *ml, struct controller_call *call)
{
    const struct add_raft_voter_request *body = call->body;
    struct raft_voter *voter = ARENA_NEW(call->arena, struct raft_voter);
    *voter = (struct raft_voter){.call = call,
                                 .ml = ml,
                                 .cluster_id = body->cluster_id,
                                 .id = body->voter_id,
                                 .directory_id = body->voter_directory_id,
                                 .verb = "Add",
                                 .answer = answer};
    struct endpoint_listener *listeners =
        ARENA_ARRAY(call->arena, struct endpoint_listener, body->listeners_count);
    for (int32_t i = 0; i < body->listeners_count; i++)
        listeners[i] = (struct endpoint_listener){body->listeners[i].name, body->listeners[i].host,
                                                  body->listeners[i].port};
    voter->listeners = listeners;
    voter->listeners_count = body->listeners_count;
    voter->change.timeout_ms = MAX(body->timeout_ms, 0);
    voter->change.early = !body->ack_when_committed;
    if (raft_voter_check_cluster(voter) && raft_voter_check_key(voter) &&
        raft_voter_check_listeners(voter))
        raft_voter_start(voter, QUORUM_MEMBER_ADD);
}

static void reply(struct controller_call *call)
{
    struct add_raft_voter_response *response = call->response;
    if (call->error != KAFKA_ERROR_NONE) {
        message_init(&add_raft_voter_response_desc, response);
        response->error_code =
            (int16_t)(call->error == KAFKA_ERROR_NOT_CONTROLLER ? KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER
                                                                : call->error);
        response->error_message = str_of(kafka_error_message(response->error_code));
    }
    request_respond(call->request, response);
}

void handle_add_raft_voter(struct request *request)
{
    struct controller_call *call = controller_call_new(request);
    call->run = run;
    call->reply = reply;
    controller_call_start(call);
}
