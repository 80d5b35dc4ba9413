/* DeleteTopics: by name or by id (KIP-516); decided by the controller. */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(delete_topics)

static void fail_all(struct request *request, struct delete_topics_response *response,
                     enum kafka_error error, struct str message)
{
    const struct delete_topics_request *body = request->body;
    bool by_state = request->header.request_api_version >= 6;
    int32_t count = by_state ? body->topics_count : body->topic_names_count;
    message_init(&delete_topics_response_desc, response);
    response->responses =
        MESSAGE_ARRAY(&request->arena, delete_topics_response_deletable_topic_result, count);
    response->responses_count = count;
    for (int32_t i = 0; i < count; i++) {
        response->responses[i].name = by_state ? body->topics[i].name : body->topic_names[i];
        if (by_state)
            response->responses[i].topic_id = body->topics[i].topic_id;
        response->responses[i].error_code = (int16_t)error;
        response->responses[i].error_message = message;
    }
}

static void reply(struct controller_call *call)
{
    struct request *request = call->ctx;
    if (call->error != KAFKA_ERROR_NONE)
        fail_all(request, call->response, call->error, controller_call_message(call));
    request_respond(request, call->response);
}

void handle_delete_topics(struct request *request)
{
    const struct delete_topics_request *body = request->body;
    if (body->timeout_ms <= 0) {
        struct delete_topics_response response;
        fail_all(request, &response, KAFKA_ERROR_REQUEST_TIMED_OUT, STR_NULL);
        request_respond(request, &response);
        return;
    }
    struct controller_call *call = controller_call_new(request);
    call->timeout_ms = body->timeout_ms;
    call->decide = decide_delete_topics;
    call->reply = reply;
    controller_call_start(call);
}
