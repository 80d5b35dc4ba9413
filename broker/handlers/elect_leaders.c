/* ElectLeaders: preferred and unclean elections (KIP-460); decided by the controller. */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(elect_leaders)

/* For the whole, and for each partition that was named: version 0 has the latter only. */
static void fail_all(struct request *request, struct elect_leaders_response *response,
                     enum kafka_error error, struct str message)
{
    const struct elect_leaders_request *body = request->body;
    message_init(&elect_leaders_response_desc, response);
    response->error_code = (int16_t)error;
    if (body->topic_partitions_count <= 0)
        return;
    response->replica_election_results =
        MESSAGE_ARRAY(&request->arena, elect_leaders_response_replica_election_result,
                      body->topic_partitions_count);
    response->replica_election_results_count = body->topic_partitions_count;
    for (int32_t i = 0; i < body->topic_partitions_count; i++) {
        const struct elect_leaders_request_topic_partitions *topic = &body->topic_partitions[i];
        struct elect_leaders_response_replica_election_result *result =
            &response->replica_election_results[i];
        result->topic = topic->topic;
        result->partition_result = MESSAGE_ARRAY(
            &request->arena, elect_leaders_response_partition_result, topic->partitions_count);
        result->partition_result_count = topic->partitions_count;
        for (int32_t k = 0; k < topic->partitions_count; k++) {
            result->partition_result[k].partition_id = topic->partitions[k];
            result->partition_result[k].error_code = (int16_t)error;
            result->partition_result[k].error_message = message;
        }
    }
}

static void reply(struct controller_call *call)
{
    struct request *request = call->ctx;
    if (call->error != KAFKA_ERROR_NONE)
        fail_all(request, call->response, call->error, controller_call_message(call));
    request_respond(request, call->response);
}

void handle_elect_leaders(struct request *request)
{
    const struct elect_leaders_request *body = request->body;
    if (body->timeout_ms <= 0 && body->topic_partitions_count != 0) {
        struct elect_leaders_response response;
        fail_all(request, &response, KAFKA_ERROR_REQUEST_TIMED_OUT, STR_NULL);
        request_respond(request, &response);
        return;
    }
    struct controller_call *call = controller_call_new(request);
    call->timeout_ms = body->timeout_ms;
    call->decide = decide_elect_leaders;
    call->reply = reply;
    controller_call_start(call);
}
