/* AlterPartitionReassignments: moves replicas, or gives a move up (KIP-455); decided by the
 * controller. */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

typedef struct alter_partition_reassignments_response_reassignable_topic_response topic_result;
typedef struct alter_partition_reassignments_response_reassignable_partition_response
    partition_result;

CONTROLLER_DECIDE(alter_partition_reassignments)

static void fail_topic(struct request *request,
                       const struct alter_partition_reassignments_request_reassignable_topic *topic,
                       enum kafka_error error, struct str message, topic_result *result)
{
    result->name = topic->name;
    result->partitions = MESSAGE_ARRAY(
        &request->arena, alter_partition_reassignments_response_reassignable_partition_response,
        topic->partitions_count);
    result->partitions_count = topic->partitions_count;
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        partition_result *one = &result->partitions[i];
        one->partition_index = topic->partitions[i].partition_index;
        one->error_code = (int16_t)error;
        one->error_message = message;
    }
}

/* For the whole, and for each partition that was named. */
static void fail_all(struct request *request,
                     struct alter_partition_reassignments_response *response,
                     enum kafka_error error, struct str message)
{
    const struct alter_partition_reassignments_request *body = request->body;
    message_init(&alter_partition_reassignments_response_desc, response);
    response->error_code = (int16_t)error;
    response->error_message = message;
    response->responses = MESSAGE_ARRAY(
        &request->arena, alter_partition_reassignments_response_reassignable_topic_response,
        body->topics_count);
    response->responses_count = body->topics_count;
    for (int32_t i = 0; i < body->topics_count; i++)
        fail_topic(request, &body->topics[i], error, message, &response->responses[i]);
}

static void reply(struct controller_call *call)
{
    struct request *request = call->ctx;
    if (call->error != KAFKA_ERROR_NONE)
        fail_all(request, call->response, call->error, controller_call_message(call));
    request_respond(request, call->response);
}

void handle_alter_partition_reassignments(struct request *request)
{
    const struct alter_partition_reassignments_request *body = request->body;
    if (body->timeout_ms <= 0 && body->topics_count > 0) {
        struct alter_partition_reassignments_response response;
        fail_all(request, &response, KAFKA_ERROR_REQUEST_TIMED_OUT, STR_NULL);
        request_respond(request, &response);
        return;
    }
    struct controller_call *call = controller_call_new(request);
    call->timeout_ms = body->timeout_ms;
    call->decide = decide_alter_partition_reassignments;
    call->reply = reply;
    controller_call_start(call);
}
