/* UpdateFeatures: levels of features, up and down (KIP-584, KIP-778); decided by the controller. */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(update_features)

/* Up to version 1 each feature has a result of its own; there is none when the whole was refused.
 */
static void add_results(struct request *request, struct update_features_response *response)
{
    const struct update_features_request *body = request->body;
    if (request->header.request_api_version >= 2 || response->error_code != KAFKA_ERROR_NONE)
        return;
    response->results =
        MESSAGE_ARRAY(&request->arena, update_features_response_updatable_feature_result,
                      body->feature_updates_count);
    response->results_count = body->feature_updates_count;
    for (int32_t i = 0; i < body->feature_updates_count; i++) {
        response->results[i].feature = body->feature_updates[i].feature;
        response->results[i].error_message = STR("NONE"); /* as Kafka says it */
    }
}

static void reply(struct controller_call *call)
{
    struct request *request = call->ctx;
    struct update_features_response *response = call->response;
    if (call->error != KAFKA_ERROR_NONE) {
        message_init(&update_features_response_desc, response);
        response->error_code = (int16_t)call->error;
        response->error_message = controller_call_message(call);
    }
    add_results(request, response);
    request_respond(request, response);
}

void handle_update_features(struct request *request)
{
    struct controller_call *call = controller_call_new(request);
    call->decide = decide_update_features;
    call->reply = reply;
    controller_call_start(call);
}
