/* CreatePartitions: grows topics; decided by the controller. */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(create_partitions)

static void fail_all(struct request *request, struct create_partitions_response *response,
                     enum kafka_error error, struct str message)
{
    const struct create_partitions_request *body = request->body;
    message_init(&create_partitions_response_desc, response);
    response->results =
        MESSAGE_ARRAY(&request->arena, create_partitions_response_create_partitions_topic_result,
                      body->topics_count);
    response->results_count = body->topics_count;
    for (int32_t i = 0; i < body->topics_count; i++) {
        response->results[i].name = body->topics[i].name;
        response->results[i].error_code = (int16_t)error;
        response->results[i].error_message = message;
    }
}

static void reply(struct controller_call *call)
{
    struct request *request = call->ctx;
    if (call->error != KAFKA_ERROR_NONE)
        fail_all(request, call->response, call->error, controller_call_message(call));
    request_respond(request, call->response);
}

void handle_create_partitions(struct request *request)
{
    const struct create_partitions_request *body = request->body;
    if (body->timeout_ms <= 0) {
        struct create_partitions_response response;
        fail_all(request, &response, KAFKA_ERROR_REQUEST_TIMED_OUT, STR_NULL);
        request_respond(request, &response);
        return;
    }
    struct controller_call *call = controller_call_new(request);
    call->timeout_ms = body->timeout_ms;
    call->decide = decide_create_partitions;
    call->reply = reply;
    controller_call_start(call);
}
