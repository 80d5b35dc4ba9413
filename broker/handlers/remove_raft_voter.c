/* RemoveRaftVoter: takes a voter out of the quorum (KIP-853). A leader that is to go hands over
 * first; then its successor does it. */
#include "broker/handlers/handlers.h"
#include "broker/handlers/raft_voter.h"
#include "common/protocol/messages/remove_raft_voter.h"

/* The request does not say how long it may take. */
#define TIMEOUT_MS 30000

static void answer(struct raft_voter *voter, enum kafka_error error, struct str message)
{
    struct remove_raft_voter_response *response = voter->call->response;
    response->error_code = (int16_t)error;
    response->error_message = message;
    controller_call_finish(voter->call, KAFKA_ERROR_NONE);
}

static void run(struct metadata_loop *ml, struct controller_call *call)
{
    const struct remove_raft_voter_request *body = call->body;
    struct raft_voter *voter = ARENA_NEW(call->arena, struct raft_voter);
    *voter = (struct raft_voter){.call = call,
                                 .ml = ml,
                                 .cluster_id = body->cluster_id,
                                 .id = body->voter_id,
                                 .directory_id = body->voter_directory_id,
                                 .verb = "Remove",
                                 .answer = answer};
    voter->change.timeout_ms = TIMEOUT_MS;
    if (raft_voter_check_cluster(voter) && raft_voter_check_key(voter))
        raft_voter_start(voter, QUORUM_MEMBER_REMOVE);
}

static void reply(struct controller_call *call)
{
    struct remove_raft_voter_response *response = call->response;
    if (call->error != KAFKA_ERROR_NONE) {
        message_init(&remove_raft_voter_response_desc, response);
        response->error_code =
            (int16_t)(call->error == KAFKA_ERROR_NOT_CONTROLLER ? KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER
                                                                : call->error);
        response->error_message = str_of(kafka_error_message(response->error_code));
    }
    request_respond(call->request, response);
}

void handle_remove_raft_voter(struct request *request)
{
    struct controller_call *call = controller_call_new(request);
    call->run = run;
    call->reply = reply;
    controller_call_start(call);
}
