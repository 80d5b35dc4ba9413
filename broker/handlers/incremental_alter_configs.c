/* IncrementalAlterConfigs: sets, deletes, appends to and subtracts from single keys (KIP-339);
 * decided by the controller. */
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

CONTROLLER_DECIDE(incremental_alter_configs)

static void reply(struct controller_call *call)
{
    struct request *request = call->ctx;
    struct incremental_alter_configs_response *response = call->response;
    const struct incremental_alter_configs_request *body = request->body;
    if (call->error != KAFKA_ERROR_NONE) {
        message_init(&incremental_alter_configs_response_desc, response);
        response->responses = MESSAGE_ARRAY(
            &request->arena, incremental_alter_configs_response_alter_configs_resource_response,
            body->resources_count);
        response->responses_count = body->resources_count;
        for (int32_t i = 0; i < body->resources_count; i++) {
            response->responses[i].resource_type = body->resources[i].resource_type;
            response->responses[i].resource_name = body->resources[i].resource_name;
            response->responses[i].error_code = (int16_t)call->error;
        }
    }
    request_respond(request, response);
}

void handle_incremental_alter_configs(struct request *request)
{
    struct controller_call *call =
        controller_call_new(request, &incremental_alter_configs_response_desc);
    call->decide = decide_incremental_alter_configs;
    call->reply = reply;
    controller_call_start(call);
}
