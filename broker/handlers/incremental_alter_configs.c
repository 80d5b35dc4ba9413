/* IncrementalAlterConfigs: sets, deletes, appends to and subtracts from single keys (KIP-339);
 * checked here, decided by the controller. */
#include "broker/handlers/alter_checks.h"
#include "broker/handlers/handlers.h"
#include "broker/server/controller_call.h"

typedef struct incremental_alter_configs_request_alter_configs_resource asked;
typedef struct incremental_alter_configs_response_alter_configs_resource_response answered;

/* A request that this broker has checked; the controller gets what is left of it. */
struct alter {
    struct request *request;
    struct alter_resource *resources;
    struct incremental_alter_configs_request forwarded;
};

CONTROLLER_DECIDE(incremental_alter_configs)

static void respond(struct alter *alter, enum kafka_error error, struct str message,
                    const answered *decided)
{
    const struct incremental_alter_configs_request *body = alter->request->body;
    struct incremental_alter_configs_response response;
    message_init(&incremental_alter_configs_response_desc, &response);
    response.responses_count = body->resources_count;
    response.responses = MESSAGE_ARRAY(
        &alter->request->arena, incremental_alter_configs_response_alter_configs_resource_response,
        body->resources_count);
    for (int32_t i = 0; i < body->resources_count; i++) {
        const struct alter_resource *resource = &alter->resources[i];
        answered *out = &response.responses[i];
        if (!resource->decided && error == KAFKA_ERROR_NONE) {
            *out = *decided++;
            continue;
        }
        out->resource_type = resource->type;
        out->resource_name = resource->name;
        out->error_code = (int16_t)(resource->decided ? resource->error : error);
        out->error_message = resource->decided ? resource->message : message;
    }
    request_respond(alter->request, &response);
}

static void reply(struct controller_call *call)
{
    const struct incremental_alter_configs_response *response = call->response;
    respond(call->ctx, call->error, controller_call_message(call), response->responses);
}

/* The request in the form of the checks, which see to what the controller need not get. */
static void check(struct alter *alter)
{
    const struct incremental_alter_configs_request *body = alter->request->body;
    struct arena *arena = &alter->request->arena;
    alter->resources = ARENA_ARRAY(arena, struct alter_resource, body->resources_count);
    for (int32_t i = 0; i < body->resources_count; i++) {
        const asked *in = &body->resources[i];
        struct alter_resource *out = &alter->resources[i];
        *out = (struct alter_resource){.type = in->resource_type,
                                       .name = in->resource_name,
                                       .change_count = in->configs_count,
                                       .message = STR_NULL};
        out->changes = ARENA_ARRAY(arena, struct alter_change, in->configs_count);
        for (int32_t k = 0; k < in->configs_count; k++)
            out->changes[k] = (struct alter_change){in->configs[k].name, in->configs[k].value,
                                                    in->configs[k].config_operation};
    }
    alter_checks(alter->request, alter->resources, body->resources_count, true,
                 body->validate_only);
}

void handle_incremental_alter_configs(struct request *request)
{
    const struct incremental_alter_configs_request *body = request->body;
    struct alter *alter = ARENA_NEW(&request->arena, struct alter);
    alter->request = request;
    check(alter);
    alter->forwarded = *body;
    alter->forwarded.resources_count = 0;
    alter->forwarded.resources =
        MESSAGE_ARRAY(&request->arena, incremental_alter_configs_request_alter_configs_resource,
                      body->resources_count);
    for (int32_t i = 0; i < body->resources_count; i++)
        if (!alter->resources[i].decided)
            alter->forwarded.resources[alter->forwarded.resources_count++] = body->resources[i];
    if (alter->forwarded.resources_count == 0) {
        respond(alter, KAFKA_ERROR_NONE, STR_NULL, NULL);
        return;
    }
    struct controller_call *call = controller_call_new(request);
    call->body = &alter->forwarded;
    call->ctx = alter;
    call->decide = decide_incremental_alter_configs;
    call->reply = reply;
    controller_call_start(call);
}
